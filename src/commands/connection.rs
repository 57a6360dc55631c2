//! Connections: who a client is and how it is talked to.

use crate::resp::error::Outcome;
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::ServerCx;

const G: Group = Group::Connection;

/// The family's table.
pub static COMMANDS: &[Command] = &[cmd("ping", -1, Server(ping))
    .group(G)
    .flags(FAST)
    .doc("Answers, to show that the server does.", "O(1)")
    .usage("[message]")];

fn ping(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    match argv.len() {
        1 => cx.reply.simple("PONG"),
        2 => cx.reply.bulk(argv.at(1)),
        _ => return Err(crate::resp::error::wrong_arity("ping")),
    }
    Ok(())
}
