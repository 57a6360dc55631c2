//! What clients of a cluster say of their connections, as a server answers it that is none: tools send it to any
//! server. CLUSTER itself is not built yet.

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
