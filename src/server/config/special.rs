//! The parameters with a syntax of their own.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::kinds::{Mode, Refusal, Special, memory_line};
use super::quote::quote;
use super::types::{BufferLimit, Limits, PrimaryAddress, SavePoint, Text, events};
use crate::base::num;

/// `save <seconds> <changes> [<seconds> <changes> ...]`, or `save ""` for no snapshots.
///
/// In a file, lines add up; whoever loads the file clears the defaults before the first.
pub(super) static SAVE: Special = Special {
    multi: true,
    set: |settings, args, mode| {
        let points = match args {
            [b""] => Vec::new(),
            _ => parse_save_points(args).ok_or("Invalid save parameters")?,
        };
        if mode != Mode::Load || args == [b""] {
            settings.save.clear();
        }
        settings.save.extend(points);
        Ok(())
    },
    get: |settings| save_text(&settings.save).into(),
    lines: |settings, _| match settings.save.as_slice() {
        [] => vec![b"\"\"".to_vec()],
        points => vec![save_text(points).into()],
    },
};

/// `client-output-buffer-limit <class> <hard> <soft> <soft seconds> [...]`; classes left out keep their limits.
pub(super) static OUTPUT_BUFFER: Special = Special {
    multi: true,
    set: |settings, args, _| {
        settings.client_output_buffer_limit =
            parse_limits(args, settings.client_output_buffer_limit)?;
        Ok(())
    },
    get: |settings| {
        let limits = &settings.client_output_buffer_limit;
        let texts = classes(limits).map(|(_, name, limit)| {
            format!(
                "{name} {} {} {}",
                limit.hard, limit.soft, limit.soft_seconds
            )
        });
        texts.join(" ").into()
    },
    lines: |settings, default| {
        let now = classes(&settings.client_output_buffer_limit);
        let before = classes(&default.client_output_buffer_limit);
        let changed = now
            .iter()
            .zip(before)
            .filter(|(now, before)| now.2 != before.2);
        changed
            .map(|((name, _, limit), _)| {
                let hard = memory_line(limit.hard.into());
                let soft = memory_line(limit.soft.into());
                format!("{name} {hard} {soft} {}", limit.soft_seconds).into()
            })
            .collect()
    },
};

/// `oom-score-adj-values <primary> <replica> <saving child>`.
pub(super) static OOM_SCORES: Special = Special {
    multi: true,
    set: |settings, args, _| {
        const REFUSAL: &str =
            "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
        if args.len() != 3 {
            return Err("wrong number of arguments".into());
        }
        let mut values = [0; 3];
        for (value, arg) in values.iter_mut().zip(args) {
            let parsed = parse_c_integer(arg).filter(|score| (-2000..=2000).contains(score));
            *value = parsed.ok_or(REFUSAL)? as i32;
        }
        settings.oom_score_adj_values = values;
        Ok(())
    },
    get: |settings| {
        settings
            .oom_score_adj_values
            .map(|v| v.to_string())
            .join(" ")
            .into()
    },
    lines: |settings, _| {
        vec![
            settings
                .oom_score_adj_values
                .map(|v| v.to_string())
                .join(" ")
                .into(),
        ]
    },
};

/// `notify-keyspace-events <classes>`.
pub(super) static EVENTS: Special = Special {
    multi: false,
    set: |settings, args, _| {
        const REFUSAL: &str = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
        let bits = args[0].iter().try_fold(0, |bits, class| {
            EVENT_CLASSES
                .iter()
                .find(|(letter, _)| letter == class)
                .map(|(_, bit)| bits | bit)
        });
        settings.notify_keyspace_events = bits.ok_or(REFUSAL)?;
        Ok(())
    },
    get: |settings| events_text(settings.notify_keyspace_events),
    lines: |settings, _| vec![quote(&events_text(settings.notify_keyspace_events))],
};

/// `replicaof <host> <port>`, or `replicaof no one`.
pub(super) static REPLICAOF: Special = Special {
    multi: true,
    set: |settings, args, _| {
        let [host, port] = args else {
            return Err("wrong number of arguments".into());
        };
        settings.replicaof = None;
        if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
            return Ok(());
        }
        let port = parse_c_integer(port).and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or("Invalid master port")?;
        settings.replicaof = Some(PrimaryAddress {
            host: Text::from(*host),
            port,
        });
        Ok(())
    },
    get: |settings| match &settings.replicaof {
        Some(primary) => [&primary.host, format!(" {}", primary.port).as_bytes()].concat(),
        None => Vec::new(),
    },
    lines: |settings, _| match &settings.replicaof {
        Some(primary) => {
            vec![
                [
                    &quote(&primary.host)[..],
                    format!(" {}", primary.port).as_bytes(),
                ]
                .concat(),
            ]
        }
        None => Vec::new(),
    },
};

/// `latency-tracking-info-percentiles <percentile> [<percentile> ...]`, or `""` for none.
pub(super) static PERCENTILES: Special = Special {
    multi: true,
    set: |settings, args, _| {
        settings.latency_tracking_info_percentiles = match args {
            [b""] => Vec::new(),
            _ => parse_percentiles(args)?,
        };
        Ok(())
    },
    get: |settings| percentiles_text(&settings.latency_tracking_info_percentiles).into(),
    lines: |settings, _| match settings.latency_tracking_info_percentiles.as_slice() {
        [] => vec![b"\"\"".to_vec()],
        percentiles => vec![percentiles_text(percentiles).into()],
    },
};

/// `dir <path>`: held as an absolute path, a relative one being one from the directory so far.
///
/// Entering it is the server's; here it is only looked at, so that a wrong one is told with its line.
pub(super) static DIR: Special = Special {
    multi: false,
    set: |settings, args, mode| {
        if args[0].is_empty() {
            return Err("dir can't be empty".into());
        }
        if mode == Mode::Default {
            settings.dir = Text::from(args[0]);
            return Ok(());
        }
        let path = settings
            .dir
            .as_path()
            .join(Path::new(OsStr::from_bytes(args[0])));
        let path = path.canonicalize().map_err(|error| system_error(&error))?;
        if !path.is_dir() {
            return Err("Not a directory".into());
        }
        settings.dir = Text::from(path.into_os_string().into_vec());
        Ok(())
    },
    get: |settings| settings.dir.to_vec(),
    lines: |settings, _| vec![quote(&settings.dir)],
};

/// The event classes by letter, in the order that they are reported.
const EVENT_CLASSES: [(u8, u32); 15] = [
    (b'A', events::ALL),
    (b'g', events::GENERIC),
    (b'$', events::STRING),
    (b'l', events::LIST),
    (b's', events::SET),
    (b'h', events::HASH),
    (b'z', events::ZSET),
    (b'x', events::EXPIRED),
    (b'e', events::EVICTED),
    (b't', events::STREAM),
    (b'd', events::MODULE),
    (b'n', events::NEW),
    (b'K', events::KEYSPACE),
    (b'E', events::KEYEVENT),
    (b'm', events::KEY_MISS),
];

/// What the operating system says of an error, without the number that the standard library adds.
pub(super) fn system_error(error: &io::Error) -> Refusal {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => Cow::Owned(text[..end].to_owned()),
        None => Cow::Owned(text),
    }
}

/// An integer as C's `strtoll` takes it, but for blanks before it: a plus sign and leading zeros are allowed.
fn parse_c_integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn parse_save_points(args: &[&[u8]]) -> Option<Vec<SavePoint>> {
    let (pairs, rest) = args.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[seconds, changes]| {
            let seconds = u64::try_from(parse_c_integer(seconds)?)
                .ok()
                .filter(|s| *s > 0)?;
            let changes = u64::try_from(parse_c_integer(changes)?).ok()?;
            Some(SavePoint { seconds, changes })
        })
        .collect()
}

fn save_text(points: &[SavePoint]) -> String {
    let texts: Vec<String> = points
        .iter()
        .map(|p| format!("{} {}", p.seconds, p.changes))
        .collect();
    texts.join(" ")
}

/// Each class with the name that files use, the name that CONFIG GET still reports, and its limit.
fn classes(limits: &Limits) -> [(&'static str, &'static str, BufferLimit); 3] {
    [
        ("normal", "normal", limits.normal),
        ("replica", "slave", limits.replica),
        ("pubsub", "pubsub", limits.pubsub),
    ]
}

fn parse_limits(args: &[&[u8]], mut limits: Limits) -> Result<Limits, Refusal> {
    let (groups, rest) = args.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    for [class, hard, soft, seconds] in groups {
        let place = match class.to_ascii_lowercase().as_slice() {
            b"normal" => &mut limits.normal,
            b"slave" | b"replica" => &mut limits.replica,
            b"pubsub" => &mut limits.pubsub,
            _ => {
                return Err("Invalid client class specified in buffer limit configuration.".into());
            }
        };
        let limit = || {
            Some(BufferLimit {
                hard: num::parse_memory(hard)?,
                soft: num::parse_memory(soft)?,
                soft_seconds: u64::try_from(parse_c_integer(seconds)?).ok()?,
            })
        };
        *place = limit()
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
    }
    Ok(limits)
}

/// The letters of some classes: `A` stands for those it covers, and comes first.
///
/// Redis leaves out `n` beside `A` though `A` does not cover it; reported, it survives being set again.
fn events_text(bits: u32) -> Vec<u8> {
    let mut left = bits;
    let mut text = Vec::new();
    for (letter, bit) in EVENT_CLASSES {
        if left & bit == bit {
            text.push(letter);
            left &= !bit;
        }
    }
    text
}

fn parse_percentiles(args: &[&[u8]]) -> Result<Vec<f64>, Refusal> {
    args.iter()
        .map(|arg| {
            let percentile = num::parse_f64(arg)
                .ok_or("Invalid latency-tracking-info-percentiles parameters")?;
            match percentile {
                0.0..=100.0 => Ok(percentile),
                _ => Err(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                        .into(),
                ),
            }
        })
        .collect()
}

fn percentiles_text(percentiles: &[f64]) -> String {
    let texts: Vec<String> = percentiles
        .iter()
        .map(|p| trimmed(format!("{p:.6}")))
        .collect();
    texts.join(" ")
}

/// A decimal fraction without the zeros at its end.
fn trimmed(text: String) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}
