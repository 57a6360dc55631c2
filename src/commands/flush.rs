//! Whole databases: their size, emptying and exchanging them.

use super::args::{self, is};
use crate::keyspace::effects::Replaced;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::{DataCx, ServerCx};
use crate::server::snapshot;

const G: Group = Group::Server;
const FLUSH_TIPS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
const FLUSH_HISTORY: &[(&str, &str)] = &[
    ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
    ("6.2.0", "Added the `SYNC` flushing mode modifier."),
];

/// The commands on databases, of the server's family.
pub static COMMANDS: &[Command] = &[
    cmd("dbsize", 1, Data(dbsize))
        .group(G)
        .categories(CAT_KEYSPACE)
        .flags(READONLY | FAST)
        .doc(
            "Returns the number of keys in the selected database.",
            "O(1)",
        )
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
    cmd("flushall", -1, Server(flushall))
        .group(G)
        .categories(CAT_KEYSPACE | CAT_DANGEROUS)
        .flags(WRITE)
        .doc(
            "Empties all databases.",
            "O(N) in the number of all keys; O(1) with ASYNC",
        )
        .usage("[ASYNC|SYNC]")
        .history(FLUSH_HISTORY)
        .tips(FLUSH_TIPS),
    cmd("flushdb", -1, Data(flushdb))
        .group(G)
        .categories(CAT_KEYSPACE | CAT_DANGEROUS)
        .flags(WRITE)
        .doc(
            "Empties the selected database.",
            "O(N) in the number of its keys; O(1) with ASYNC",
        )
        .usage("[ASYNC|SYNC]")
        .history(FLUSH_HISTORY)
        .tips(FLUSH_TIPS),
    cmd("swapdb", 3, Data(swapdb))
        .group(G)
        .categories(CAT_KEYSPACE | CAT_DANGEROUS)
        .since("4.0.0")
        .flags(WRITE | FAST)
        .doc(
            "Exchanges two databases: their clients see each other's keys.",
            "O(N) in the clients that watch or wait for keys in them",
        )
        .usage("index1 index2"),
];

fn dbsize(cx: &mut DataCx<'_>, _argv: Argv<'_>) -> Outcome {
    let keys = cx.db().len();
    cx.reply.int(keys as i64);
    Ok(())
}

fn flushall(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let mut data = cx.data();
    let lazily = is_lazy(&data, argv)?;
    data.empty_all(lazily);
    flushed(&mut data, argv);
    snapshot::note_flush_all(cx.server);
    Ok(())
}

fn flushdb(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let lazily = is_lazy(cx, argv)?;
    cx.effects.dirty += cx.keyspace.flush(cx.db_index, lazily) as u64;
    cx.effects.replaced = Some(Replaced::Flushed(cx.db_index..cx.db_index + 1));
    flushed(cx, argv);
    Ok(())
}

/// Whether the memory is given back by another thread.
fn is_lazy(cx: &DataCx<'_>, argv: Argv<'_>) -> Result<bool, ErrorReply> {
    match (argv.get(1), argv.len()) {
        (None, _) => Ok(cx.config.lazyfree_lazy_user_flush),
        (Some(mode), 2) if is(mode, "ASYNC") => Ok(true),
        (Some(mode), 2) if is(mode, "SYNC") => Ok(false),
        _ => Err(error::SYNTAX),
    }
}

/// Replies, and has the command propagated even if there was nothing to remove here: a replica may
/// have expired keys that are gone here.
fn flushed(cx: &mut DataCx<'_>, argv: Argv<'_>) {
    cx.effects.rewrite(&argv.iter().collect::<Vec<_>>());
    cx.reply.ok();
}

fn swapdb(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let index = |arg, otherwise: &'static str| {
        args::integer_in(arg, i32::MIN.into()..=i32::MAX.into(), otherwise.into())
    };
    let first = index(argv.at(1), "ERR invalid first DB index")?;
    let second = index(argv.at(2), "ERR invalid second DB index")?;
    let count = cx.keyspace.count() as i64;
    if !(0..count).contains(&first) || !(0..count).contains(&second) {
        return Err(error::DB_INDEX_OUT_OF_RANGE);
    }
    if first != second {
        cx.keyspace.swap(first as usize, second as usize);
        cx.effects.replaced = Some(Replaced::Swapped(first as usize, second as usize));
    }
    cx.effects.dirty += 1;
    cx.reply.ok();
    Ok(())
}
