//! SLOWLOG and COMMANDLOG: the commands that took long, and those that were or answered much.

use super::args::is;
use super::help;
use crate::base::num;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::ServerCx;
use crate::server::slowlog::Kind;

const G: Group = Group::Server;
const RUNS: Flags = ADMIN | LOADING | STALE;
const GET_TIPS: &[&str] = &["request_policy:all_nodes", "nondeterministic_output"];
const LEN_TIPS: &[&str] = &[
    "request_policy:all_nodes",
    "response_policy:agg_sum",
    "nondeterministic_output",
];
const RESET_TIPS: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

/// The commands.
pub static COMMANDS: &[Command] = &[
    cmd("commandlog", -2, Container)
        .group(G)
        .since("8.1.0")
        .doc(
            "Holds the commands of the logs of remarkable commands.",
            "Depends on the subcommand",
        )
        .subcommands(COMMANDLOG),
    cmd("slowlog", -2, Container)
        .group(G)
        .since("2.2.12")
        .doc(
            "Holds the commands of the slow log.",
            "Depends on the subcommand",
        )
        .deprecated("8.1.0", "`COMMANDLOG`")
        .subcommands(SLOWLOG),
];

#[rustfmt::skip]
const COMMANDLOG: &[Command] = &[
    cmd("get", 4, Server(commandlog_get))
        .group(G)
        .since("8.1.0")
        .flags(RUNS)
        .doc("Returns the newest entries of a log.", "O(N) in the number of entries returned")
        .usage("count slow|large-request|large-reply")
        .tips(GET_TIPS),
    cmd("help", 2, Server(commandlog_help))
        .group(G)
        .since("8.1.0")
        .flags(LOADING | STALE)
        .doc("Returns what the subcommands are for.", "O(1)"),
    cmd("len", 3, Server(commandlog_len))
        .group(G)
        .since("8.1.0")
        .flags(RUNS)
        .doc("Returns the number of entries of a log.", "O(1)")
        .usage("slow|large-request|large-reply")
        .tips(LEN_TIPS),
    cmd("reset", 3, Server(commandlog_reset))
        .group(G)
        .since("8.1.0")
        .flags(RUNS)
        .doc("Empties a log.", "O(N) in the number of its entries")
        .usage("slow|large-request|large-reply")
        .tips(RESET_TIPS),
];

#[rustfmt::skip]
const SLOWLOG: &[Command] = &[
    cmd("get", -2, Server(slowlog_get))
        .group(G)
        .since("2.2.12")
        .flags(RUNS)
        .doc("Returns the newest entries of the slow log.", "O(N) in the number of entries returned")
        .usage("[count]")
        .history(&[("4.0.0", "Added client IP address, port and name to the reply.")])
        .tips(GET_TIPS)
        .deprecated("8.1.0", "`COMMANDLOG GET <count> SLOW`"),
    cmd("help", 2, Server(slowlog_help))
        .group(G)
        .since("6.2.0")
        .flags(LOADING | STALE)
        .doc("Returns what the subcommands are for.", "O(1)")
        .deprecated("8.1.0", "`COMMANDLOG HELP`"),
    cmd("len", 2, Server(slowlog_len))
        .group(G)
        .since("2.2.12")
        .flags(RUNS)
        .doc("Returns the number of entries of the slow log.", "O(1)")
        .tips(LEN_TIPS)
        .deprecated("8.1.0", "`COMMANDLOG LEN SLOW`"),
    cmd("reset", 2, Server(slowlog_reset))
        .group(G)
        .since("2.2.12")
        .flags(RUNS)
        .doc("Empties the slow log.", "O(N) in the number of its entries")
        .tips(RESET_TIPS)
        .deprecated("8.1.0", "`COMMANDLOG RESET SLOW`"),
];

fn slowlog_get(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    /// Entries that are returned if the request does not say how many.
    const COUNT: usize = 10;
    if argv.len() > 3 {
        return Err(error::subcommand_syntax(argv.at(1), "SLOWLOG"));
    }
    let count_max = argv.get(2).map_or(Ok(COUNT), count)?;
    reply_entries(cx, Kind::Slow, count_max);
    Ok(())
}

fn commandlog_get(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let kind = kind(argv.at(3))?;
    let count_max = count(argv.at(2))?;
    reply_entries(cx, kind, count_max);
    Ok(())
}

fn slowlog_len(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.reply.int(cx.server.slowlog.of(Kind::Slow).len() as i64);
    Ok(())
}

fn commandlog_len(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let kind = kind(argv.at(2))?;
    cx.reply.int(cx.server.slowlog.of(kind).len() as i64);
    Ok(())
}

fn slowlog_reset(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.server.slowlog.of_mut(Kind::Slow).reset();
    cx.reply.ok();
    Ok(())
}

fn commandlog_reset(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let kind = kind(argv.at(2))?;
    cx.server.slowlog.of_mut(kind).reset();
    cx.reply.ok();
    Ok(())
}

/// How many entries an argument asks for; -1 is all.
fn count(arg: &[u8]) -> Result<usize, ErrorReply> {
    match num::parse_i64(arg) {
        Some(-1) => Ok(usize::MAX),
        Some(n @ 0..) => Ok(n as usize),
        _ => Err("ERR count should be greater than or equal to -1".into()),
    }
}

fn kind(arg: &[u8]) -> Result<Kind, ErrorReply> {
    match () {
        _ if is(arg, "slow") => Ok(Kind::Slow),
        _ if is(arg, "large-request") => Ok(Kind::LargeRequest),
        _ if is(arg, "large-reply") => Ok(Kind::LargeReply),
        _ => {
            Err("ERR type should be one of the following: slow, large-request, large-reply".into())
        }
    }
}

fn reply_entries(cx: &mut ServerCx<'_>, kind: Kind, count_max: usize) {
    let log = cx.server.slowlog.of(kind);
    let count = log.len().min(count_max);
    cx.reply.array(count);
    for entry in log.iter().take(count) {
        cx.reply.array(6);
        cx.reply.int(entry.id as i64);
        cx.reply.int(entry.at_s);
        cx.reply.int(entry.amount as i64);
        cx.reply.array(entry.argv.len());
        entry.argv.iter().for_each(|arg| cx.reply.bulk(arg));
        cx.reply.bulk(entry.peer.as_bytes());
        cx.reply.bulk(&entry.name);
    }
}

fn slowlog_help(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    help::reply(
        cx.reply,
        "SLOWLOG",
        &[
            (
                "GET [<count>]",
                "Say the newest entries: 10 unless <count> is given, all if it is -1. An entry is\n\
                 id, Unix time, microseconds, arguments, the client's address, the client's name.",
            ),
            ("LEN", "Say how many entries there are."),
            ("RESET", "Forget all entries."),
        ],
    );
    Ok(())
}

fn commandlog_help(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    help::reply(
        cx.reply,
        "COMMANDLOG",
        &[
            (
                "GET <count> <type>",
                "Say the newest entries of a log, all if <count> is -1. An entry is id, Unix time,\n\
                 microseconds (slow) or bytes (large-request, large-reply), arguments, the client's\n\
                 address, the client's name.",
            ),
            ("LEN <type>", "Say how many entries a log has."),
            ("RESET <type>", "Forget all entries of a log."),
        ],
    );
    Ok(())
}
