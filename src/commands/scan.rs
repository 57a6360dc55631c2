//! Walks over the keys of a database: all at once, in steps, or one by chance.

use super::args::is;
use super::scan_options::{self, ScanOptions, Scanned};
use crate::base::glob;
use crate::keyspace::entry::EntryRef;
use crate::resp::error::Outcome;
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::DataCx;

const G: Group = Group::Generic;

/// The family's table, as far as it looks for keys.
pub static COMMANDS: &[Command] = &[
    cmd("keys", 2, Data(keys))
        .group(G)
        .categories(CAT_KEYSPACE | CAT_DANGEROUS)
        .flags(READONLY)
        .doc(
            "Returns the names of all keys that match a pattern.",
            "O(N) in the number of keys of the database",
        )
        .usage("pattern")
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    cmd("randomkey", 1, Data(randomkey))
        .group(G)
        .categories(CAT_KEYSPACE)
        .flags(READONLY)
        .doc("Returns the name of a key chosen by chance.", "O(1)")
        .tips(&[
            "request_policy:all_shards",
            "response_policy:special",
            "nondeterministic_output",
        ]),
    cmd("scan", -2, Data(scan))
        .group(G)
        .categories(CAT_KEYSPACE)
        .since("2.8.0")
        .flags(READONLY)
        .doc(
            "Returns some names of keys and the cursor by which to ask for the next ones.",
            "O(1) a call, O(N) in the number of keys for all calls",
        )
        .usage("cursor [MATCH pattern] [COUNT count] [TYPE type]")
        .history(&[("6.0.0", "Added the `TYPE` subcommand.")])
        .tips(&[
            "nondeterministic_output",
            "request_policy:special",
            "response_policy:special",
        ]),
];

fn has_expired(entry: EntryRef<'_>, now_ms: i64) -> bool {
    entry.expiry().is_some_and(|at| at <= now_ms)
}

fn keys(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let pattern = argv.at(1);
    // The lone star matches every key here, even the empty one.
    let every = pattern == b"*";
    let (header, mut found) = (cx.reply.defer_array(), 0);
    cx.keyspace.db(cx.db_index).for_each(|entry| {
        if (every || glob::matches(pattern, entry.key(), false)) && !has_expired(entry, cx.now_ms) {
            cx.reply.bulk(entry.key());
            found += 1;
        }
    });
    cx.reply.end_array(header, found);
    Ok(())
}

fn randomkey(cx: &mut DataCx<'_>, _argv: Argv<'_>) -> Outcome {
    /// Where expired keys must stay, there may be no others.
    const TRIES_MAX: usize = 100;
    for tries in 1.. {
        let Some(entry) = cx.keyspace.random(cx.db_index) else {
            break;
        };
        if !has_expired(entry, cx.now_ms) || !cx.delete_expired && tries == TRIES_MAX {
            cx.reply.bulk(entry.key());
            return Ok(());
        }
        let name = entry.key().to_vec();
        let gone = cx.find_unseen(cx.keyspace.key(&name));
        debug_assert!(gone.is_none());
    }
    cx.reply.null();
    Ok(())
}

fn scan(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let cursor = scan_options::cursor(argv.at(1))?;
    let options = ScanOptions::parse(argv, 2, Scanned::Keys)?;
    let accepts = |entry: EntryRef<'_>| {
        options.accepts(entry.key())
            && options
                .kind
                .is_none_or(|kind| is(kind, entry.kind().name()))
    };
    let db = cx.keyspace.db(cx.db_index);
    let (mut found, mut expired) = (Vec::new(), Vec::new());
    let cursor = options.walk(cursor, |cursor| {
        let next = db.scan(cursor, |entry| {
            if !accepts(entry) {
                return;
            }
            if has_expired(entry, cx.now_ms) {
                expired.push(entry.key().to_vec());
            } else {
                found.push(entry.key());
            }
        });
        (next, found.len())
    });
    scan_options::reply_header(cx.reply, cursor, found.len());
    for key in found {
        cx.reply.bulk(key);
    }
    for key in expired {
        cx.find_unseen(cx.keyspace.key(&key));
    }
    Ok(())
}
