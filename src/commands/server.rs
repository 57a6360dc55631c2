//! The server itself: what it reports of itself, its role, and its end.

use super::args::is;
use crate::base::clock;
use crate::resp::error::{self, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::ServerCx;
use crate::server::info;
use crate::server::state::Shutdown;

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
    cmd("shutdown", -1, Server(shutdown))
        .group(G)
        .flags(ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY)
        .doc(
            "Ends the server, after saving the data set if it is to be saved.",
            "O(N) in the number of keys when saving; else O(1)",
        )
        .usage("[[NOSAVE|SAVE] [NOW] [FORCE]|ABORT]")
        .history(&[("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers.")]),
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
    let now_us = clock::unix_us();
    cx.reply.array(2);
    cx.reply.bulk_int(now_us / 1_000_000);
    cx.reply.bulk_int(now_us % 1_000_000);
    Ok(())
}

/// There is no reply: the connection ends with the server.
fn shutdown(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let (mut save, mut nosave, mut abort) = (false, false, false);
    for option in argv.tail(1).iter() {
        match () {
            _ if is(option, "NOSAVE") => nosave = true,
            _ if is(option, "SAVE") => save = true,
            _ if is(option, "NOW") || is(option, "FORCE") => {}
            _ if is(option, "ABORT") => abort = true,
            _ => return Err(error::SYNTAX),
        }
    }
    if (abort && argv.len() > 2) || (save && nosave) {
        return Err(error::SYNTAX);
    }
    if abort {
        return Err("ERR No shutdown in progress.".into());
    }
    tracing::warn!("User requested shutdown...");
    cx.server.shutdown = Some(Shutdown::Exit);
    Ok(())
}
