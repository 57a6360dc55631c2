//! The server itself: what it reports of itself, its role, and its end.

use super::args::is;
use crate::base::{clock, num, sys};
use crate::resp::error::{self, Outcome};
use crate::resp::request::Argv;
use crate::server::client::unusual;
use crate::server::command::*;
use crate::server::config::shutdown as flags;
use crate::server::cx::ServerCx;
use crate::server::gate;
use crate::server::info;
use crate::server::scripting;
use crate::server::shutdown;

const G: Group = Group::Server;

/// The family's table, but for what `flush`, `debug`, `config`, `slowlog`, `latency` and `memory` own.
pub static COMMANDS: &[Command] = &[
    cmd("info", -1, Server(info))
        .group(G)
        .categories(CAT_DANGEROUS)
        .flags(LOADING | STALE)
        .doc(
            "Reports the state of the server and what it has counted.",
            "O(1)",
        )
        .usage("[section [section ...]]")
        .history(&[(
            "7.0.0",
            "Added support for taking multiple section arguments.",
        )])
        .tips(&[
            "nondeterministic_output",
            "request_policy:all_shards",
            "response_policy:special",
        ]),
    cmd("monitor", 1, Server(monitor))
        .group(G)
        .flags(ADMIN | NOSCRIPT | LOADING | STALE)
        .doc(
            "Shows every command that the server runs from now on.",
            "O(1), and a share of every command",
        ),
    cmd("replicaof", 3, Server(replicaof))
        .group(G)
        .since("5.0.0")
        .flags(ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING)
        .doc(
            "Makes the server a replica of another one, or a primary again.",
            "O(1)",
        )
        .usage("<host port|NO ONE>"),
    cmd("role", 1, Server(role))
        .group(G)
        .since("2.8.12")
        .categories(CAT_ADMIN | CAT_DANGEROUS)
        .flags(NOSCRIPT | LOADING | STALE | FAST)
        .doc("Returns the server's role in replication.", "O(1)"),
    cmd("shutdown", -1, Server(end))
        .group(G)
        .flags(ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY)
        .doc(
            "Ends the server, after saving the data set if it is to be saved.",
            "O(N) in the number of keys when saving; else O(1)",
        )
        .usage("[[NOSAVE|SAVE] [NOW] [FORCE]|ABORT]")
        .history(&[("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers.")]),
    cmd("slaveof", 3, Server(replicaof))
        .group(G)
        .flags(ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING)
        .doc(
            "Makes the server a replica of another one, or a primary again.",
            "O(1)",
        )
        .usage("<host port|NO ONE>")
        .deprecated("5.0.0", "`REPLICAOF`"),
    cmd("time", 1, Server(time))
        .group(G)
        .since("2.6.0")
        .flags(LOADING | STALE | FAST)
        .doc(
            "Returns the Unix time in seconds, and the microseconds of the present one.",
            "O(1)",
        )
        .tips(&["nondeterministic_output"]),
];

fn info(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let text = info::text(cx.server, argv.tail(1).iter());
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn time(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    // To a script, time stands still, until it has run for so long that others are served meanwhile.
    let script = cx.server.scripting.running.as_ref();
    let now_us = match script {
        Some(script) if !script.is_busy => script.began_us,
        _ => clock::unix_us(),
    };
    cx.reply.array(2);
    cx.reply.bulk_int(now_us / 1_000_000);
    cx.reply.bulk_int(now_us % 1_000_000);
    Ok(())
}

/// There is no reply: the connection ends with the server.
fn end(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    const OPTIONS: &[(&str, u32)] = &[
        ("NOSAVE", flags::NOSAVE),
        ("SAVE", flags::SAVE),
        ("NOW", flags::NOW),
        ("FORCE", flags::FORCE),
    ];
    let (mut wanted, mut abort) = (0, false);
    for option in argv.tail(1).iter() {
        match OPTIONS.iter().find(|(name, _)| is(option, name)) {
            Some((_, flag)) => wanted |= flag,
            None if is(option, "ABORT") => abort = true,
            None => return Err(error::SYNTAX),
        }
    }
    let saves_and_not = wanted & flags::SAVE != 0 && wanted & flags::NOSAVE != 0;
    if (abort && wanted != 0) || saves_and_not {
        return Err(error::SYNTAX);
    }
    if abort {
        // One that a command asked for is under way before another command runs, so only a signal's can wait.
        if sys::stop_signal().is_none() {
            return Err("ERR No shutdown in progress.".into());
        }
        sys::clear_stop_signal();
        tracing::info!("Shutdown manually aborted.");
        cx.reply.ok();
        return Ok(());
    }
    if cx.server.unusual & gate::unusual::BUSY != 0 && wanted & flags::NOSAVE == 0 {
        // What would be saved is half of what the script does.
        return Err(scripting::busy(cx.server.scripting.running_mut().kind));
    }
    shutdown::begin(cx.server, wanted, Some(cx.slot))
        .map_err(|_| "ERR Errors trying to SHUTDOWN. Check logs.".into())
}

fn role(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.reply.array(3);
    cx.reply.bulk(b"master");
    cx.reply.int(0);
    cx.reply.array(0);
    Ok(())
}

fn replicaof(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    if is(argv.at(1), "NO") && is(argv.at(2), "ONE") {
        // The server is a primary as it is.
        cx.reply.ok();
        return Ok(());
    }
    match num::parse_i64(argv.at(2)) {
        Some(0..=65_535) => Err("ERR this server cannot be a replica yet".into()),
        _ => Err("ERR Invalid master port".into()),
    }
}

/// A client that is a monitor already is not answered, as in Redis.
fn monitor(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let slot = cx.slot;
    if cx.client().unusual & unusual::MONITOR != 0 {
        return Ok(());
    }
    cx.client_mut().set_unusual(unusual::MONITOR, true);
    cx.server.monitors.push(slot);
    cx.server.set_unusual(gate::unusual::MONITORS, true);
    cx.reply.ok();
    Ok(())
}
