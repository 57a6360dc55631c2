//! Commands that wait until what a connection wrote is in more places than one: with replicas, on the disk.

use crate::commands::args;
use crate::keyspace::effects::{AtEnd, Wait};
use crate::keyspace::value::Type;
use crate::resp::error::{ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::aof;
use crate::server::command::*;
use crate::server::cx::ServerCx;

const G: Group = Group::Generic;

/// The family's table.
pub static COMMANDS: &[Command] = &[
    cmd("wait", 3, Server(wait))
        .group(G)
        .since("3.0.0")
        .flags(BLOCKING)
        .categories(CAT_CONNECTION)
        .doc(
            "Waits until replicas have what this connection wrote.",
            "O(1)",
        )
        .usage("numreplicas timeout")
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
    cmd("waitaof", 4, Server(waitaof))
        .group(G)
        .since("7.2.0")
        .flags(BLOCKING)
        .categories(CAT_CONNECTION)
        .doc(
            "Waits until what this connection wrote is on the disk, here and with replicas.",
            "O(1)",
        )
        .usage("numlocal numreplicas timeout")
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
];

/// There are no replicas: a wait for some ends with its time.
fn wait(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let replicas = args::integer(argv.at(1))?;
    let timeout_us = args::wait_us(argv.at(2), cx.server.now_ms())?;
    if replicas <= 0 || !wait_on(cx, timeout_us) {
        cx.reply.int(0);
    }
    Ok(())
}

fn waitaof(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let local = args::integer_between(argv.at(1), 0, 1)?;
    let replicas = positive(argv.at(2))?;
    let timeout_us = args::wait_us(argv.at(3), cx.server.now_ms())?;
    if local > 0 && !cx.server.config.appendonly {
        return Err(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.".into(),
        );
    }
    let synced = i64::from(aof::has_synced(cx.server, cx.slot));
    if (synced >= local && replicas == 0) || !wait_on(cx, timeout_us) {
        cx.reply.array(2);
        cx.reply.int(synced);
        cx.reply.int(0);
        return Ok(());
    }
    aof::note_waiting(cx.server, cx.slot);
    Ok(())
}

/// Has the client wait, if it can; the command runs again whenever there is news, and at the end.
fn wait_on(cx: &mut ServerCx<'_>, timeout_us: Option<i64>) -> bool {
    let may_wait = cx.client().may_wait() && !cx.server.blocked.is_at_end();
    if may_wait {
        cx.server.effects.wait = Some(Wait {
            keys: Vec::new(),
            kind: Type::String,
            timeout_us,
            on_loss: false,
            at_end: AtEnd::RunAgain,
            settled: Vec::new(),
        });
    }
    may_wait
}

fn positive(arg: &[u8]) -> Result<i64, ErrorReply> {
    match args::integer(arg)? {
        n if n < 0 => Err("ERR value is out of range, must be positive".into()),
        n => Ok(n),
    }
}
