//! Commands on the append-only file.

use crate::resp::error::Outcome;
use crate::resp::request::Argv;
use crate::server::aof::rewrite;
use crate::server::command::*;
use crate::server::cx::ServerCx;

/// The family's table.
pub static COMMANDS: &[Command] = &[cmd("bgrewriteaof", 1, Server(bgrewriteaof))
    .group(Group::Server)
    .since("1.0.0")
    .flags(ADMIN | NOSCRIPT | NO_ASYNC_LOADING)
    .doc("Rewrites the append-only file in the background.", "O(1)")];

fn bgrewriteaof(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let in_transaction = cx.client().is_in_multi();
    let said = rewrite::ask(cx.server, in_transaction)?;
    cx.reply.simple(said);
    Ok(())
}
