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
use crate::persist::files;

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
        let port = port.ok_or("Invalid primary port")?;
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
    Cow::Owned(files::plain(error))
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

#[cfg(test)]
mod tests {
    use super::super::params::lookup;
    use super::super::types::Config;
    use super::*;

    #[test]
    fn texts_and_what_is_reported() {
        fn check(name: &str, value: &str, expected: Result<&str, &str>) {
            let mut config = Config::default();
            let param = lookup(name.as_bytes()).unwrap();
            let before = param.get(&config);
            let set = param.set_text(&mut config, value.as_bytes(), Mode::Set);
            let after = String::from_utf8(param.get(&config)).unwrap();
            match expected {
                Ok(reported) => assert_eq!((set, after.as_str()), (Ok(()), reported), "{value}"),
                Err(refusal) => {
                    assert_eq!(set, Err(refusal.into()), "{name} {value}");
                    assert_eq!(after.as_bytes(), before, "{name} {value} changed something");
                }
            }
        }
        let invalid = Err("Invalid save parameters");
        check("save", "900 1 +60 007", Ok("900 1 60 7"));
        check("save", "", Ok(""));
        for wrong in [
            "900",
            "900 1 60",
            "0 1",
            "900 -1",
            "900  1",
            "x 1",
            "900 1x",
            "1 99999999999999999999",
        ] {
            check("save", wrong, invalid);
        }

        let limits = "client-output-buffer-limit";
        let rest = "pubsub 33554432 8388608 60";
        check(
            limits,
            "replica 1mb 1k 7",
            Ok(&format!("normal 0 0 0 slave 1048576 1000 7 {rest}")),
        );
        check(
            limits,
            "normal 1 2 3 SLAVE 4 5 6 pubsub 7 8 9 normal 9 9 9",
            Ok("normal 9 9 9 slave 4 5 6 pubsub 7 8 9"),
        );
        check(
            limits,
            "",
            Ok(&format!("normal 0 0 0 slave 268435456 67108864 60 {rest}")),
        );
        let count = Err("Wrong number of arguments in buffer limit configuration.");
        let class = Err("Invalid client class specified in buffer limit configuration.");
        let value =
            Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.");
        check(limits, "normal 0 0", count);
        check(limits, "master 0 0 0", class);
        // The first group is right, and must not be taken alone.
        check(limits, "normal 1 1 1 nobody 0 0 0", class);
        check(limits, "normal x 0 0", value);
        check(limits, "normal 0 -1 0", value);
        check(limits, "normal 0 0 -1", value);
        check(limits, "normal 0 0 1s", value);

        let scores = "oom-score-adj-values";
        check(scores, "-2000 0 2000", Ok("-2000 0 2000"));
        check(scores, "1 2", Err("wrong number of arguments"));
        check(scores, "", Err("wrong number of arguments"));
        let range = Err("Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
        check(scores, "1 2 2001", range);
        check(scores, "1 2 x", range);

        let events = "notify-keyspace-events";
        check(events, "KEA", Ok("AKE"));
        check(events, "Kg$lshzxetd", Ok("AK"));
        check(events, "Kg$mnd", Ok("g$dnKm"));
        check(events, "AnE", Ok("AnE"));
        check(events, "", Ok(""));
        check(
            events,
            "Kq",
            Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        );

        check("replicaof", "localhost 6380", Ok("localhost 6380"));
        check("replicaof", "NO ONE", Ok(""));
        check("replicaof", "localhost", Err("wrong number of arguments"));
        check("replicaof", "localhost 65536", Err("Invalid primary port"));
        check("replicaof", "localhost abc", Err("Invalid primary port"));

        let percentiles = "latency-tracking-info-percentiles";
        check(percentiles, "50 99.90 0 100", Ok("50 99.9 0 100"));
        check(percentiles, "99.9999999", Ok("100"));
        check(percentiles, "", Ok(""));
        check(
            percentiles,
            "50 x",
            Err("Invalid latency-tracking-info-percentiles parameters"),
        );
        check(
            percentiles,
            "nan",
            Err("Invalid latency-tracking-info-percentiles parameters"),
        );
        let range =
            Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
        check(percentiles, "100.1", range);
        check(percentiles, "-1", range);

        check("dir", "", Err("dir can't be empty"));
        check(
            "dir",
            "/no/such/directory",
            Err("No such file or directory"),
        );
        check("dir", "/proc/self/status", Err("Not a directory"));
        check("dir", "/proc/../", Ok("/"));
    }

    #[test]
    fn a_relative_dir_starts_from_the_one_before() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("inner")).unwrap();
        let mut config = Config::default();
        let mut enter = |path: &[u8]| {
            lookup(b"dir")
                .unwrap()
                .set(&mut config, &[path], Mode::Load)
                .unwrap();
            config.dir.as_path().to_owned()
        };
        let base_path = base.path().canonicalize().unwrap();
        assert_eq!(enter(base.path().as_os_str().as_bytes()), base_path);
        assert_eq!(enter(b"inner"), base_path.join("inner"));
        assert_eq!(enter(b".."), base_path);
    }

    #[test]
    fn save_lines_add_up_in_a_file_and_replace_at_run_time() {
        let mut config = Config::default();
        let save = lookup(b"save").unwrap();
        save.set(&mut config, &[b"1", b"2"], Mode::Set).unwrap();
        save.set(&mut config, &[b"3", b"4"], Mode::Load).unwrap();
        assert_eq!(save.get(&config), b"1 2 3 4");
        save.set(&mut config, &[b""], Mode::Load).unwrap();
        assert_eq!(save.get(&config), b"");
    }
}
