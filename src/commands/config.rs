//! CONFIG: the configuration read, changed and written back while the server runs.

use super::help;
use crate::resp::error::{self, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::config::RewriteOptions;
use crate::server::cx::ServerCx;

const G: Group = Group::Server;
const RUNS: Flags = ADMIN | NOSCRIPT | LOADING | STALE;
const ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

/// The command.
pub static COMMANDS: &[Command] = &[cmd("config", -2, Container)
    .group(G)
    .since("2.0.0")
    .doc(
        "Holds the commands of the configuration.",
        "Depends on the subcommand",
    )
    .subcommands(SUBCOMMANDS)];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    cmd("get", -3, Server(get))
        .group(G)
        .since("2.0.0")
        .flags(RUNS)
        .doc("Returns the parameters whose names match, with their values.", "O(N) in the number of parameters")
        .usage("parameter [parameter ...]")
        .history(&[("7.0.0", "Added the ability to pass multiple pattern parameters in one call")]),
    cmd("help", 2, Server(config_help))
        .group(G)
        .since("5.0.0")
        .flags(LOADING | STALE)
        .doc("Returns what the subcommands are for.", "O(1)"),
    cmd("resetstat", 2, Server(resetstat))
        .group(G)
        .since("2.0.0")
        .flags(RUNS)
        .doc("Sets the counters of INFO back to zero.", "O(1)")
        .tips(ALL_NODES),
    cmd("rewrite", 2, Server(rewrite))
        .group(G)
        .since("2.8.0")
        .flags(RUNS)
        .doc("Writes the configuration in force back to its file.", "O(1)")
        .tips(ALL_NODES),
    cmd("set", -4, Server(set))
        .group(G)
        .since("2.0.0")
        .flags(RUNS)
        .doc("Sets parameters, either all that are given or none.", "O(N) in the number of parameters given")
        .usage("parameter value [parameter value ...]")
        .history(&[("7.0.0", "Added the ability to set multiple parameters in one call.")])
        .tips(ALL_NODES),
];

fn get(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let patterns: Vec<&[u8]> = argv.tail(2).iter().collect();
    let found = cx.server.config.get(&patterns);
    cx.reply.map(found.len());
    for (name, value) in found {
        cx.reply.bulk(&name);
        cx.reply.bulk(&value);
    }
    Ok(())
}

fn set(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let arguments = argv.tail(2);
    if !arguments.len().is_multiple_of(2) {
        return Err(error::SYNTAX);
    }
    let pairs: Vec<(&[u8], &[u8])> = (0..arguments.len())
        .step_by(2)
        .map(|i| (arguments.at(i), arguments.at(i + 1)))
        .collect();
    let local = cx.client().is_local();
    cx.server.set_config(&pairs, local)?;
    cx.reply.ok();
    Ok(())
}

fn resetstat(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.server.reset_stats();
    cx.reply.ok();
    Ok(())
}

fn rewrite(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.server.rewrite_config(&RewriteOptions::default())?;
    cx.reply.ok();
    Ok(())
}

fn config_help(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    help::reply(
        cx.reply,
        "CONFIG",
        &[
            (
                "GET <pattern> [<pattern> ...]",
                "Say the parameters that match a glob-like pattern, and their values.",
            ),
            (
                "SET <parameter> <value> [<parameter> <value> ...]",
                "Change parameters, all of them or none.",
            ),
            ("RESETSTAT", "Count from zero again what INFO reports."),
            (
                "REWRITE",
                "Write the configuration in force to the file it came from.",
            ),
        ],
    );
    Ok(())
}
