//! OBJECT: how a value is kept, and when it was last used.

use super::help;
use crate::resp::error::Outcome;
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::{DataCx, Place};

const G: Group = Group::Generic;
const KEY: &[KeySpec] = &[KeySpec::at(2).flags(RO)];
const TIPS: &[&str] = &["nondeterministic_output"];

/// The family's table, as far as it looks behind the values.
pub static COMMANDS: &[Command] = &[cmd("object", -2, Container)
    .group(G)
    .since("2.2.3")
    .doc(
        "Holds the commands that tell how values are kept.",
        "Depends on the subcommand",
    )
    .subcommands(&[
        cmd("encoding", 3, Data(encoding))
            .group(G)
            .categories(CAT_KEYSPACE)
            .since("2.2.3")
            .flags(READONLY)
            .keys(KEY)
            .doc(
                "Returns the name of the encoding that a value is kept in.",
                "O(1)",
            )
            .usage("key")
            .tips(TIPS),
        cmd("freq", 3, Data(freq))
            .group(G)
            .categories(CAT_KEYSPACE)
            .since("4.0.0")
            .flags(READONLY)
            .keys(KEY)
            .doc(
                "Returns the logarithmic counter of how often a value is used.",
                "O(1)",
            )
            .usage("key")
            .tips(TIPS),
        cmd("help", 2, Data(object_help))
            .group(G)
            .categories(CAT_KEYSPACE)
            .since("6.2.0")
            .flags(LOADING | STALE)
            .doc("Returns what the subcommands are for.", "O(1)"),
        cmd("idletime", 3, Data(idletime))
            .group(G)
            .categories(CAT_KEYSPACE)
            .since("2.2.3")
            .flags(READONLY)
            .keys(KEY)
            .doc("Returns the seconds since a value was last used.", "O(1)")
            .usage("key")
            .tips(TIPS),
        cmd("refcount", 3, Data(refcount))
            .group(G)
            .categories(CAT_KEYSPACE)
            .since("2.2.3")
            .flags(READONLY)
            .keys(KEY)
            .doc("Returns how many references to a value there are.", "O(1)")
            .usage("key")
            .tips(TIPS),
    ])];

/// Looks the key up, counted as any reading, but without a mark or event; replies if it is not there.
fn look_at(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Option<Place> {
    let place = cx.find_unseen(cx.key(argv, 2));
    match place {
        Some(_) => cx.stats.hits += 1,
        None => {
            cx.stats.misses += 1;
            cx.reply.null();
        }
    }
    place
}

fn encoding(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    if let Some(place) = look_at(cx, argv) {
        let name = cx.entry(place).encoding();
        cx.reply.bulk(name.as_bytes());
    }
    Ok(())
}

fn freq(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let Some(place) = look_at(cx, argv) else {
        return Ok(());
    };
    if !cx.access.lfu {
        return Err("ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                    switching between policies at runtime LRU and LFU data will take some time to adjust."
            .into());
    }
    let counter = cx
        .access
        .lfu_counter(cx.entry(place).access(), cx.config.lfu_decay_time);
    cx.reply.int(counter.into());
    Ok(())
}

fn idletime(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let Some(place) = look_at(cx, argv) else {
        return Ok(());
    };
    if cx.access.lfu {
        return Err("ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
                    between policies at runtime LRU and LFU data will take some time to adjust."
            .into());
    }
    let seconds = cx.access.idle_seconds(cx.entry(place).access());
    cx.reply.int(seconds.into());
    Ok(())
}

/// Values are not shared between keys.
fn refcount(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    if look_at(cx, argv).is_some() {
        cx.reply.int(1);
    }
    Ok(())
}

fn object_help(cx: &mut DataCx<'_>, _argv: Argv<'_>) -> Outcome {
    help::reply(
        cx.reply,
        "OBJECT",
        &[
            (
                "ENCODING <key>",
                "Say in which encoding the value of <key> is kept.",
            ),
            (
                "FREQ <key>",
                "Say how often <key> is used, as a logarithmic counter. For LFU policies only.",
            ),
            (
                "IDLETIME <key>",
                "Say for how many seconds <key> has not been used. Not for LFU policies.",
            ),
            (
                "REFCOUNT <key>",
                "Say how many references to the value of <key> there are.",
            ),
        ],
    );
    Ok(())
}
