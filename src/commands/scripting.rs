//! Scripts: EVAL and its kin, and SCRIPT, which knows them.

use super::help;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::script::engine::{self, Named};
use crate::server::command::*;
use crate::server::cx::ServerCx;
use crate::server::gate;
use crate::server::monitor;
use crate::server::scripting::Kind;

const G: Group = Group::Scripting;
pub(super) const RUNS: Flags =
    NOSCRIPT | SKIP_MONITOR | MAY_REPLICATE | NO_MANDATORY_KEYS | STALE | RUNS_SCRIPTS;
pub(super) const RUNS_READING: Flags = (RUNS & !MAY_REPLICATE) | READONLY;

/// The keys that a number before them counts.
pub(super) const COUNTED: KeySpec = KeySpec {
    begin: Begin::Index(2),
    find: Find::KeyNum {
        index: 0,
        first: 1,
        step: 1,
    },
    flags: 0,
    notes: None,
};

pub(super) const DEPENDS: &str = "Depends on the script that is executed.";

/// The family's table.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("eval", -3, Server(eval))
        .group(G)
        .since("2.6.0")
        .flags(RUNS)
        .keys(const { &[COUNTED
            .flags(RW | ACCESS | UPDATE)
            .notes("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE")] })
        .doc("Runs a script.", DEPENDS)
        .usage("script numkeys [key ...] [arg ...]"),
    cmd("evalsha", -3, Server(evalsha))
        .group(G)
        .since("2.6.0")
        .flags(RUNS)
        .keys(const { &[COUNTED.flags(RW | ACCESS | UPDATE)] })
        .doc("Runs a script that is known, named by its digest.", DEPENDS)
        .usage("sha1 numkeys [key ...] [arg ...]"),
    cmd("evalsha_ro", -3, Server(evalsha_ro))
        .group(G)
        .since("7.0.0")
        .flags(RUNS_READING)
        .keys(const { &[COUNTED.flags(RO | ACCESS)] })
        .doc("Runs a script that is known and only reads, named by its digest.", DEPENDS)
        .usage("sha1 numkeys [key ...] [arg ...]"),
    cmd("eval_ro", -3, Server(eval_ro))
        .group(G)
        .since("7.0.0")
        .flags(RUNS_READING)
        .keys(const { &[COUNTED
            .flags(RO | ACCESS)
            .notes("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS")] })
        .doc("Runs a script that only reads.", DEPENDS)
        .usage("script numkeys [key ...] [arg ...]"),
    cmd("script", -2, Container)
        .group(G)
        .since("2.6.0")
        .doc("Holds the commands that manage scripts.", "Depends on subcommand.")
        .subcommands(SUBCOMMANDS),
];

#[rustfmt::skip]
static SUBCOMMANDS: &[Command] = &[
    cmd("debug", 3, Server(debug))
        .group(G)
        .since("3.2.0")
        .flags(NOSCRIPT)
        .doc("Sets the debug mode of scripts.", "O(1)")
        .usage("<YES|SYNC|NO>"),
    cmd("exists", -3, Server(exists))
        .group(G)
        .since("2.6.0")
        .flags(NOSCRIPT)
        .doc("Tells which scripts are known.", "O(N) in the number of scripts asked about")
        .usage("sha1 [sha1 ...]")
        .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"]),
    cmd("flush", -2, Server(flush))
        .group(G)
        .since("2.6.0")
        .flags(NOSCRIPT)
        .doc("Forgets all scripts.", "O(N) in the number of scripts")
        .usage("[ASYNC|SYNC]")
        .history(&[("6.2.0", "Added the `ASYNC` and `SYNC` flushing mode modifiers.")])
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    cmd("help", 2, Server(show_help))
        .group(G)
        .since("5.0.0")
        .flags(LOADING | STALE)
        .doc("Tells what the subcommands do.", "O(1)"),
    cmd("kill", 2, Server(kill))
        .group(G)
        .since("2.6.0")
        .flags(NOSCRIPT | ALLOW_BUSY)
        .doc("Ends the script that runs.", "O(1)")
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"]),
    cmd("load", 3, Server(load))
        .group(G)
        .since("2.6.0")
        .flags(NOSCRIPT | STALE)
        .doc("Makes a script known.", "O(N) in the length of the script")
        .usage("script")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    cmd("show", 3, Server(show))
        .group(G)
        .since("8.0.0")
        .flags(NOSCRIPT)
        .doc("Shows the source of a script that is known.", "O(1)")
        .usage("sha1"),
];

fn eval(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    run(cx, argv, Named::BySource, false)
}

fn evalsha(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    run(cx, argv, Named::BySha, false)
}

fn eval_ro(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    run(cx, argv, Named::BySource, true)
}

fn evalsha_ro(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    run(cx, argv, Named::BySha, true)
}

#[inline]
fn run(cx: &mut ServerCx<'_>, argv: Argv<'_>, named: Named, read_only: bool) -> Outcome {
    if cx.server.unusual & gate::unusual::MONITORS != 0 {
        // Monitors are shown the script before the commands that it runs.
        monitor::feed(cx.server, cx.slot, argv);
    }
    engine::eval(cx, argv, named, read_only)
}

fn load(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let sha = engine::load(cx.server, argv.at(2))?;
    cx.reply.bulk(&sha);
    Ok(())
}

fn exists(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    cx.reply.array(argv.len() - 2);
    for sha in argv.tail(2).iter() {
        let exists = engine::exists(cx.server, sha);
        cx.reply.int(i64::from(exists));
    }
    Ok(())
}

fn show(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let source = engine::source(cx.server, argv.at(2)).ok_or(error::NO_SCRIPT)?;
    cx.reply.bulk(source);
    Ok(())
}

fn flush(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let lazily = match argv.get(2) {
        None => cx.server.config.lazyfree_lazy_user_flush,
        Some(mode) if mode.eq_ignore_ascii_case(b"async") => true,
        Some(mode) if mode.eq_ignore_ascii_case(b"sync") => false,
        Some(_) => return Err(FLUSH_OPTIONS),
    };
    if argv.len() > 3 {
        return Err(FLUSH_OPTIONS);
    }
    engine::flush(cx.server, lazily);
    cx.reply.ok();
    Ok(())
}

const FLUSH_OPTIONS: ErrorReply =
    ErrorReply::Fixed("ERR SCRIPT FLUSH only support SYNC|ASYNC option");

fn kill(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.server.scripting.kill(Kind::Eval)?;
    cx.reply.ok();
    Ok(())
}

fn debug(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    match argv.at(2) {
        mode if mode.eq_ignore_ascii_case(b"no") => {
            cx.reply.ok();
            Ok(())
        }
        mode if mode.eq_ignore_ascii_case(b"yes") || mode.eq_ignore_ascii_case(b"sync") => {
            Err("ERR There is no script debugger in this server".into())
        }
        _ => Err("ERR Use SCRIPT DEBUG YES/SYNC/NO".into()),
    }
}

fn show_help(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    const SUBCOMMANDS: &[(&str, &str)] = &[
        (
            "DEBUG (YES|SYNC|NO)",
            "Set the debug mode for subsequent scripts executed.",
        ),
        (
            "EXISTS <sha1> [<sha1> ...]",
            "Return information about the existence of the scripts in the script cache.",
        ),
        (
            "FLUSH [ASYNC|SYNC]",
            "Forget all scripts of the script cache. Not for replicas.",
        ),
        ("KILL", "End the script that runs."),
        (
            "LOAD <script>",
            "Load a script into the script cache without executing it.",
        ),
        ("SHOW <sha1>", "Show a script of the script cache."),
    ];
    help::reply(cx.reply, "SCRIPT", SUBCOMMANDS);
    Ok(())
}

#[cfg(test)]
mod tests;
