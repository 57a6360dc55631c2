//! Transactions: commands that are queued and run together, unless a watched key was changed.

use crate::resp::error::Outcome;
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::ServerCx;
use crate::server::{multi, watch};

const G: Group = Group::Transactions;

/// The family's table.
pub static COMMANDS: &[Command] = &[
    cmd("discard", 1, Server(discard))
        .group(G)
        .since("2.0.0")
        .flags(NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | NOT_QUEUED)
        .doc(
            "Gives a transaction up.",
            "O(N), when N is the number of queued commands",
        ),
    cmd("exec", 1, Server(exec))
        .group(G)
        .since("1.2.0")
        .flags(NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG | NOT_QUEUED | RUNS_SCRIPTS)
        .doc(
            "Runs all commands of a transaction.",
            "Depends on commands in the transaction",
        ),
    cmd("multi", 1, Server(multi))
        .group(G)
        .since("1.2.0")
        .flags(NOSCRIPT | LOADING | STALE | FAST | NO_MULTI | ALLOW_BUSY)
        .doc("Begins a transaction.", "O(1)"),
    cmd("unwatch", 1, Server(unwatch))
        .group(G)
        .since("2.2.0")
        .flags(NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY)
        .doc("Ends all watches of the connection.", "O(1)"),
    cmd("watch", -2, Server(watch))
        .group(G)
        .since("2.2.0")
        .flags(NOSCRIPT | LOADING | STALE | FAST | NO_MULTI | ALLOW_BUSY)
        .keys(const { &[FIRST.to_end(1).flags(RO)] })
        .doc(
            "Keeps the next transaction from running if one of the keys is changed before.",
            "O(1) for every key.",
        )
        .usage("key [key ...]"),
];

fn multi(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    multi::begin(cx.client_mut());
    cx.reply.ok();
    Ok(())
}

fn exec(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    if !cx.client().is_in_multi() {
        return Err("ERR EXEC without MULTI".into());
    }
    multi::execute(cx.server, cx.slot, cx.reply)
}

fn discard(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    if !cx.client().is_in_multi() {
        return Err("ERR DISCARD without MULTI".into());
    }
    multi::discard(cx.server, cx.slot);
    cx.reply.ok();
    Ok(())
}

fn watch(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let transaction = cx.client().transaction.as_ref();
    // One more key makes no difference to a transaction that will not run.
    if !transaction.is_some_and(|transaction| transaction.is_touched()) {
        for key in argv.tail(1).iter() {
            watch::add(cx.server, cx.slot, key);
        }
    }
    cx.reply.ok();
    Ok(())
}

fn unwatch(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    watch::unwatch(cx.server, cx.slot);
    cx.reply.ok();
    Ok(())
}
