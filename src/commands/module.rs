//! MODULE: there are none, and none can be loaded.

use super::help;
use crate::resp::error::Outcome;
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::ServerCx;

const G: Group = Group::Server;
const LOADS: Flags = ADMIN | NOSCRIPT | PROTECTED | NO_ASYNC_LOADING;

/// The command.
pub static COMMANDS: &[Command] = &[cmd("module", -2, Container)
    .group(G)
    .since("4.0.0")
    .doc(
        "Holds the commands of modules.",
        "Depends on the subcommand",
    )
    .subcommands(SUBCOMMANDS)];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    cmd("help", 2, Server(module_help))
        .group(G)
        .since("5.0.0")
        .flags(LOADING | STALE)
        .doc("Returns what the subcommands are for.", "O(1)"),
    cmd("list", 2, Server(list))
        .group(G)
        .since("4.0.0")
        .flags(ADMIN | NOSCRIPT)
        .doc("Returns the modules that are loaded.", "O(N) in the number of modules")
        .tips(&["nondeterministic_output_order"]),
    cmd("load", -3, Server(load))
        .group(G)
        .since("4.0.0")
        .flags(LOADS)
        .doc("Loads a module.", "O(1)")
        .usage("path [arg [arg ...]]"),
    cmd("loadex", -3, Server(load))
        .group(G)
        .since("7.0.0")
        .flags(LOADS)
        .doc("Loads a module with a configuration.", "O(1)")
        .usage("path [CONFIG name value [CONFIG name value ...]] [ARGS args [args ...]]"),
    cmd("unload", 3, Server(unload))
        .group(G)
        .since("4.0.0")
        .flags(LOADS)
        .doc("Unloads a module.", "O(1)")
        .usage("name"),
];

fn list(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.reply.array(0);
    Ok(())
}

fn load(_cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let path = String::from_utf8_lossy(argv.at(2));
    tracing::warn!("Module {path} is not loaded: modules for Redis can't run in this server");
    Err("ERR Error loading the extension. Please check the server logs.".into())
}

fn unload(_cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    Err("ERR Error unloading module: no such module with that name".into())
}

fn module_help(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    help::reply(
        cx.reply,
        "MODULE",
        &[
            ("LIST", "Say which modules are loaded: none."),
            (
                "LOAD <path> [<arg> ...]",
                "Fail, since modules for Redis can't run in this server.",
            ),
            (
                "LOADEX <path> [CONFIG <name> <value> ...] [ARGS <arg> ...]",
                "Fail likewise.",
            ),
            ("UNLOAD <name>", "Fail likewise."),
        ],
    );
    Ok(())
}
