//! LATENCY: what took too long when, and how long commands take.

mod doctor;
mod graph;

use super::help;
use crate::resp::error::quotable;
use crate::resp::error::{ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::ServerCx;
use crate::server::registry::{CommandId, Registered, Registry};

const G: Group = Group::Server;
const RUNS: Flags = ADMIN | NOSCRIPT | LOADING | STALE;
const TIPS: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_nodes",
    "response_policy:special",
];

/// The command.
pub static COMMANDS: &[Command] = &[cmd("latency", -2, Container)
    .group(G)
    .since("2.8.13")
    .doc(
        "Holds the commands on how long things take.",
        "Depends on the subcommand",
    )
    .subcommands(SUBCOMMANDS)];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    cmd("doctor", 2, Server(doctor))
        .group(G)
        .since("2.8.13")
        .flags(RUNS)
        .doc("Says in words what was slow, and what may help.", "O(1)")
        .tips(TIPS),
    cmd("graph", 3, Server(graph))
        .group(G)
        .since("2.8.13")
        .flags(RUNS)
        .doc("Draws the samples of an event.", "O(1)")
        .usage("event")
        .tips(TIPS),
    cmd("help", 2, Server(latency_help))
        .group(G)
        .since("2.8.13")
        .flags(LOADING | STALE)
        .doc("Returns what the subcommands are for.", "O(1)"),
    cmd("histogram", -2, Server(histogram))
        .group(G)
        .since("7.0.0")
        .flags(RUNS)
        .doc("Returns how long calls of commands took, as cumulative counts.", "O(N) in the number of commands that are returned")
        .usage("[command [command ...]]")
        .tips(TIPS),
    cmd("history", 3, Server(history))
        .group(G)
        .since("2.8.13")
        .flags(RUNS)
        .doc("Returns the samples of an event.", "O(1)")
        .usage("event")
        .tips(TIPS),
    cmd("latest", 2, Server(latest))
        .group(G)
        .since("2.8.13")
        .flags(RUNS)
        .doc("Returns the newest sample of every event.", "O(1)")
        .tips(TIPS),
    cmd("reset", -2, Server(reset))
        .group(G)
        .since("2.8.13")
        .flags(RUNS)
        .doc("Forgets the samples of events, or of all.", "O(1)")
        .usage("[event [event ...]]")
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum"]),
];

fn latest(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let events = cx.server.latency.iter();
    cx.reply.array(events.len());
    for (name, series) in events {
        let (at_s, took_ms) = series.latest();
        cx.reply.array(6);
        cx.reply.bulk(name.as_bytes());
        cx.reply.int(at_s);
        cx.reply.int(took_ms as i64);
        cx.reply.int(series.max_ms as i64);
        cx.reply.int(series.sum_ms as i64);
        cx.reply.int(series.count as i64);
    }
    Ok(())
}

fn history(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let samples = match cx.server.latency.get(argv.at(2)) {
        Some(series) => series.samples.as_slice(),
        None => &[],
    };
    cx.reply.array(samples.len());
    for &(at_s, took_ms) in samples {
        cx.reply.array(2);
        cx.reply.int(at_s);
        cx.reply.int(took_ms as i64);
    }
    Ok(())
}

fn reset(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let events = argv.tail(2);
    let forgotten = if events.is_empty() {
        cx.server.latency.reset_all()
    } else {
        events
            .iter()
            .filter(|event| cx.server.latency.reset(event))
            .count()
    };
    cx.reply.int(forgotten as i64);
    Ok(())
}

fn graph(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let event = argv.at(2);
    let Some(series) = cx.server.latency.get(event) else {
        return Err(ErrorReply::Bytes(
            [
                b"ERR No samples available for event '",
                quotable(event, usize::MAX),
                b"'",
            ]
            .concat(),
        ));
    };
    let text = graph::draw(
        &String::from_utf8_lossy(event),
        series,
        cx.server.now_ms() / 1000,
    );
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn doctor(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let text = doctor::report(&cx.server.latency, &cx.server.config);
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn histogram(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let names = argv.tail(2);
    let commands = &cx.server.commands;
    let shown: Vec<&Registered> = if names.is_empty() {
        commands.iter().collect()
    } else {
        names
            .iter()
            .flat_map(|name| family(commands, name))
            .collect()
    };
    let map = cx.reply.defer_map();
    let mut count = 0;
    for registered in shown {
        let Some(histogram) = &registered.stats.latency else {
            continue;
        };
        count += 1;
        cx.reply.bulk(registered.full_name.as_bytes());
        cx.reply.map(2);
        cx.reply.bulk(b"calls");
        cx.reply.int(histogram.total() as i64);
        cx.reply.bulk(b"histogram_usec");
        let rows = histogram.cumulative_us();
        cx.reply.map(rows.len());
        for (bound_us, calls) in rows {
            cx.reply.int(bound_us as i64);
            cx.reply.int(calls as i64);
        }
    }
    cx.reply.end_map(map, count);
    Ok(())
}

/// The command of this name and its subcommands, or the subcommand of the form `container|name`.
fn family<'a>(commands: &'a Registry, name: &[u8]) -> Vec<&'a Registered> {
    let mut words = name.splitn(2, |&byte| byte == b'|');
    let Some(id) = words.next().and_then(|name| commands.lookup(name)) else {
        return Vec::new();
    };
    let get = |id: CommandId| commands.get(id);
    match words.next() {
        Some(sub) => commands.lookup_sub(id, sub).map(get).into_iter().collect(),
        None => {
            let subcommands = get(id).subcommands.iter().copied();
            std::iter::once(id).chain(subcommands).map(get).collect()
        }
    }
}

fn latency_help(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    help::reply(
        cx.reply,
        "LATENCY",
        &[
            ("DOCTOR", "Say in words what was slow, and what may help."),
            ("GRAPH <event>", "Draw the samples of <event>."),
            (
                "HISTORY <event>",
                "Say the samples of <event>: Unix time and milliseconds.",
            ),
            (
                "LATEST",
                "Say of every event its newest sample, the longest, the sum and the number of all.",
            ),
            (
                "RESET [<event> ...]",
                "Forget the samples of some events, or of all.",
            ),
            (
                "HISTOGRAM [<command> ...]",
                "Say how many calls of some commands, or of all, took at most how many microseconds.",
            ),
        ],
    );
    Ok(())
}
