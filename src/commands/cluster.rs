//! The commands of a cluster's nodes, as a server answers them that is none. Clients and tools send some of them to
//! any server.

use crate::resp::error::{ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::ServerCx;

const G: Group = Group::Cluster;
const DISABLED: ErrorReply = ErrorReply::Fixed("ERR This instance has cluster support disabled");

/// The commands.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("asking", 1, Server(disabled))
        .group(G)
        .since("3.0.0")
        .flags(FAST)
        .categories(CAT_CONNECTION)
        .doc("Lets the next command pass to a slot that is being moved here.", "O(1)"),
    cmd("cluster", -2, Server(disabled))
        .group(G)
        .since("3.0.0")
        .doc("Holds the commands about a cluster and its nodes.", "Depends on the subcommand")
        .usage("subcommand [argument ...]"),
    cmd("readonly", 1, Server(accept))
        .group(G)
        .since("3.0.0")
        .flags(FAST | LOADING | STALE)
        .categories(CAT_CONNECTION)
        .doc("Lets a connection read from a replica.", "O(1)"),
    cmd("readwrite", 1, Server(accept))
        .group(G)
        .since("3.0.0")
        .flags(FAST | LOADING | STALE)
        .categories(CAT_CONNECTION)
        .doc("Takes back what READONLY did.", "O(1)"),
];

fn disabled(_cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    Err(DISABLED)
}

/// Which server a connection may read from makes no difference to a single one.
fn accept(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.reply.ok();
    Ok(())
}
