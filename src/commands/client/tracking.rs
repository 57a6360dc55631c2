//! The subcommands of CLIENT about tracking: being told when keys that were read change.

use super::on_off;
use crate::commands::args::{self, integer, is};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::cx::ServerCx;
use crate::server::tracking::{self, Mode, Tracking};

const NOT_TRACKING: ErrorReply = ErrorReply::Fixed(
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
);
const NOT_OPT_IN: ErrorReply = ErrorReply::Fixed(
    "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
);
const NOT_OPT_OUT: ErrorReply = ErrorReply::Fixed(
    "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
);
const TWO_REDIRECTIONS: ErrorReply =
    ErrorReply::Fixed("ERR A client can only redirect to a single other client");
const NO_SUCH_TARGET: ErrorReply =
    ErrorReply::Fixed("ERR The client ID you want redirect to does not exist");
const PREFIX_WITHOUT_BCAST: ErrorReply =
    ErrorReply::Fixed("ERR PREFIX option requires BCAST mode to be enabled");
const OPTIONS_AND_BCAST: ErrorReply =
    ErrorReply::Fixed("ERR OPTIN and OPTOUT are not compatible with BCAST");
const BOTH_OPTIONS: ErrorReply =
    ErrorReply::Fixed("ERR You can't specify both OPTIN mode and OPTOUT mode");
const OTHER_BCAST: ErrorReply = ErrorReply::Fixed(
    "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with \
     a different mode.",
);
const OTHER_OPTION: ErrorReply = ErrorReply::Fixed(
    "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with \
     a different mode.",
);

pub(super) fn caching(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let answer = argv.at(2);
    let tracking = cx.client_mut().tracking.as_mut();
    let tracking = tracking.ok_or(NOT_TRACKING)?;
    match () {
        _ if is(answer, "YES") && !tracking.mode.opt_in => return Err(NOT_OPT_IN),
        _ if is(answer, "NO") && !tracking.mode.opt_out => return Err(NOT_OPT_OUT),
        _ if is(answer, "YES") || is(answer, "NO") => tracking.caching = true,
        _ => return Err(error::SYNTAX),
    }
    cx.reply.ok();
    Ok(())
}

pub(super) fn getredir(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let target = redirection(cx.client().tracking.as_deref());
    cx.reply.int(target);
    Ok(())
}

/// The client that is told instead, 0 if there is none, -1 if nothing is tracked.
fn redirection(tracking: Option<&Tracking>) -> i64 {
    tracking.map_or(-1, |tracking| tracking.mode.redirect as i64)
}

pub(super) fn trackinginfo(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let tracking = cx.server.clients.at(cx.slot).tracking.as_deref();
    let flags = flags(tracking);
    cx.reply.map(3);
    cx.reply.bulk(b"flags");
    cx.reply.set(flags.len());
    flags.iter().for_each(|flag| cx.reply.bulk(flag.as_bytes()));
    cx.reply.bulk(b"redirect");
    cx.reply.int(redirection(tracking));
    cx.reply.bulk(b"prefixes");
    cx.reply.array(tracking.map_or(0, |t| t.prefixes.len()));
    let prefixes = tracking.iter().flat_map(|tracking| &tracking.prefixes);
    prefixes.for_each(|prefix| cx.reply.bulk(prefix));
    Ok(())
}

fn flags(tracking: Option<&Tracking>) -> Vec<&'static str> {
    let Some(tracking) = tracking else {
        return vec!["off"];
    };
    let (mode, caching) = (tracking.mode, tracking.caching);
    let flags = [
        (true, "on"),
        (mode.broadcast, "bcast"),
        (mode.opt_in, "optin"),
        (mode.opt_in && caching, "caching-yes"),
        (mode.opt_out, "optout"),
        (mode.opt_out && caching, "caching-no"),
        (mode.no_loop, "noloop"),
        (tracking.is_broken, "broken_redirect"),
    ];
    let set = flags.iter().filter(|(is_set, _)| *is_set);
    set.map(|(_, name)| *name).collect()
}

pub(super) fn tracking(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let (mode, prefixes) = parse(cx, argv)?;
    if on_off(argv.at(2))? {
        check(cx.client().tracking.as_deref(), mode, &prefixes)?;
        tracking::enable(cx.server, cx.slot, mode, &prefixes);
    } else {
        tracking::disable(cx.server, cx.slot);
    }
    cx.reply.ok();
    Ok(())
}

/// The options.
fn parse<'a>(cx: &ServerCx<'_>, argv: Argv<'a>) -> Result<(Mode, Vec<&'a [u8]>), ErrorReply> {
    let (mut mode, mut prefixes) = (Mode::default(), Vec::new());
    let mut i = 3;
    while let Some(option) = argv.get(i) {
        if is(option, "REDIRECT") {
            let id = args::after(argv, i)?;
            if mode.redirect != 0 {
                return Err(TWO_REDIRECTIONS);
            }
            // It may be gone later, but it must be there now.
            mode.redirect = integer(id)? as u64;
            let target = cx.server.clients.by_id(mode.redirect);
            target.ok_or(NO_SUCH_TARGET)?;
            i += 1;
        } else if is(option, "PREFIX") {
            prefixes.push(args::after(argv, i)?);
            i += 1;
        } else if is(option, "BCAST") {
            mode.broadcast = true;
        } else if is(option, "OPTIN") {
            mode.opt_in = true;
        } else if is(option, "OPTOUT") {
            mode.opt_out = true;
        } else if is(option, "NOLOOP") {
            mode.no_loop = true;
        } else {
            return Err(error::SYNTAX);
        }
        i += 1;
    }
    Ok((mode, prefixes))
}

/// Whether the options go together, and with the tracking that is on already.
fn check(present: Option<&Tracking>, new: Mode, prefixes: &[&[u8]]) -> Outcome {
    let old = present.map(|tracking| tracking.mode);
    match old {
        _ if !new.broadcast && !prefixes.is_empty() => Err(PREFIX_WITHOUT_BCAST),
        Some(old) if old.broadcast != new.broadcast => Err(OTHER_BCAST),
        _ if new.broadcast && (new.opt_in || new.opt_out) => Err(OPTIONS_AND_BCAST),
        _ if new.opt_in && new.opt_out => Err(BOTH_OPTIONS),
        Some(old) if (new.opt_in && old.opt_out) || (new.opt_out && old.opt_in) => {
            Err(OTHER_OPTION)
        }
        _ => check_prefixes(present, prefixes),
    }
}

/// A client's prefixes must not overlap, lest it be told of a key twice.
fn check_prefixes(present: Option<&Tracking>, prefixes: &[&[u8]]) -> Outcome {
    let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
    for (i, &prefix) in prefixes.iter().enumerate() {
        let mut old = present.iter().flat_map(|tracking| &tracking.prefixes);
        if let Some(other) = old.find(|old| overlap(old, prefix)) {
            return Err(overlapping(prefix, b"an existing", other));
        }
        let mut later = prefixes[i + 1..].iter();
        if let Some(other) = later.find(|later| overlap(later, prefix)) {
            return Err(overlapping(prefix, b"another provided", other));
        }
    }
    Ok(())
}

fn overlapping(prefix: &[u8], which: &[u8], other: &[u8]) -> ErrorReply {
    ErrorReply::Bytes(
        [
            b"ERR Prefix '",
            prefix,
            b"' overlaps with ",
            which,
            b" prefix '",
            other,
            b"'. Prefixes for a single client must not overlap.",
        ]
        .concat(),
    )
}
