//! Streams: logs of entries in the order of their IDs, and consumer groups that share them out.
//!
//! Entries come and go in `add` (XADD, XTRIM), are looked at in `range`, read and waited for in `read`;
//! `group` makes and changes consumer groups, `pending` and `claim` deal with what was delivered and not
//! acknowledged, `info` tells all of it. What is propagated is exact: generated IDs and what a trim came
//! to, and of a delivery its time, count and owner, so that a replica needs no clock and no luck.

use crate::server::command::*;

mod add;
mod claim;
mod group;
mod ids;
mod info;
mod pending;
mod range;
mod read;
mod show;
#[cfg(test)]
mod tests;

const G: Group = Group::Stream;

const STREAMS: KeySpec = KeySpec {
    begin: Begin::Keyword("STREAMS", 1),
    find: Find::Range {
        last: -1,
        step: 1,
        limit: 2,
    },
    flags: RO | ACCESS,
    notes: None,
};

/// The family's table.
pub static COMMANDS: &[Command] = &[
    cmd("xack", -4, Data(group::xack))
        .group(G)
        .since("5.0.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Takes entries from a group's pending ones, and returns how many were pending.", "O(1) an ID")
        .usage("key group id [id ...]"),
    cmd("xadd", -5, Data(add::xadd))
        .group(G)
        .since("5.0.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST
            .flags(RW | UPDATE)
            .notes("UPDATE instead of INSERT because of the optional trimming feature")])
        .doc("Adds an entry at the end of a stream, and creates the stream if need be.", "O(1), and O(N) in the number of entries trimmed")
        .usage("key [NOMKSTREAM] [<MAXLEN|MINID> [=|~] threshold [LIMIT count]] <*|id> field value [field value ...]")
        .history(&[
            ("6.2.0", "Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option."),
            ("7.0.0", "Added support for the `<ms>-*` explicit ID form."),
        ])
        .tips(&["nondeterministic_output"]),
    cmd("xautoclaim", -6, Data(claim::xautoclaim))
        .group(G)
        .since("6.2.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | DELETE)])
        .doc("Gives a consumer those entries from an ID on that have been pending for a time.", "O(1) if COUNT is small")
        .usage("key group consumer min-idle-time start:string [COUNT count] [JUSTID]")
        .history(&[(
            "7.0.0",
            "Added an element to the reply array, containing deleted entries the command cleared from the PEL",
        )])
        .tips(&["nondeterministic_output"]),
    cmd("xclaim", -6, Data(claim::xclaim))
        .group(G)
        .since("5.0.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Gives a consumer pending entries that others have left for a time.", "O(log N) in the number of the group's pending entries")
        .usage("key group consumer min-idle-time id [id ...] [IDLE ms:integer] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]")
        .tips(&["nondeterministic_output"]),
    cmd("xdel", -3, Data(range::xdel))
        .group(G)
        .since("5.0.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | DELETE)])
        .doc("Deletes entries, and returns how many there were.", "O(1) an ID, whatever the length of the stream")
        .usage("key id [id ...]"),
    cmd("xgroup", -2, Container)
        .group(G)
        .since("5.0.0")
        .doc("Holds the commands that make and change consumer groups.", "Depends on the subcommand")
        .subcommands(GROUP_COMMANDS),
    cmd("xinfo", -2, Container)
        .group(G)
        .since("5.0.0")
        .doc("Holds the commands that look into streams.", "Depends on the subcommand")
        .subcommands(INFO_COMMANDS),
    cmd("xlen", 2, Data(range::xlen))
        .group(G)
        .since("5.0.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO)])
        .doc("Returns the number of entries of a stream.", "O(1)")
        .usage("key"),
    cmd("xpending", -3, Data(pending::xpending))
        .group(G)
        .since("5.0.0")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Tells what a group's consumers were given and have not acknowledged.",
            "O(N) in the number of entries returned, and of those left out by IDLE; without a range, in the number of consumers",
        )
        .usage("key group [[IDLE min-idle-time:integer] start:string end:string count [consumer]]")
        .history(&[("6.2.0", "Added the `IDLE` option and exclusive range intervals.")])
        .tips(&["nondeterministic_output"]),
    cmd("xrange", -4, Data(range::xrange))
        .group(G)
        .since("5.0.0")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns the entries between two IDs.", "O(N) in the number of entries returned")
        .usage("key start:string end:string [COUNT count]")
        .history(&[("6.2.0", "Added exclusive ranges.")]),
    cmd("xread", -4, Data(read::xread))
        .group(G)
        .since("5.0.0")
        .flags(BLOCKING | READONLY)
        .keys(&[STREAMS])
        .doc(
            "Returns the entries of several streams after an ID of each, and waits for some if there are none.",
            "O(N) in the number of entries returned",
        )
        .usage("[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]"),
    cmd("xreadgroup", -7, Data(read::xreadgroup))
        .group(G)
        .since("5.0.0")
        .flags(BLOCKING | WRITE)
        .keys(&[KeySpec {
            begin: Begin::Keyword("STREAMS", 4),
            ..STREAMS
        }])
        .doc(
            "Returns new entries for a consumer of a group, and waits for some if there are none; or those it has not acknowledged.",
            "O(N) in the number of entries returned",
        )
        .usage("GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]"),
    cmd("xrevrange", -4, Data(range::xrevrange))
        .group(G)
        .since("5.0.0")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns the entries between two IDs, the last one first.", "O(N) in the number of entries returned")
        .usage("key end:string start:string [COUNT count]")
        .history(&[("6.2.0", "Added exclusive ranges.")]),
    cmd("xsetid", -3, Data(group::xsetid))
        .group(G)
        .since("5.0.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Sets the last ID of a stream and its counters, as replication needs it.", "O(1)")
        .usage("key last-id [ENTRIESADDED entries-added:integer] [MAXDELETEDID max-deleted-id]")
        .history(&[("7.0.0", "Added the `entries_added` and `max_deleted_entry_id` arguments.")]),
    cmd("xtrim", -4, Data(add::xtrim))
        .group(G)
        .since("5.0.0")
        .flags(WRITE)
        .keys(&[FIRST.flags(RW | DELETE)])
        .doc("Deletes entries from the beginning of a stream.", "O(N) in the number of entries deleted, most of which go many at once")
        .usage("key <MAXLEN|MINID> [=|~] threshold [LIMIT count]")
        .history(&[("6.2.0", "Added the `MINID` trimming strategy and the `LIMIT` option.")])
        .tips(&["nondeterministic_output"]),
];

/// The subcommands of XGROUP.
const GROUP_COMMANDS: &[Command] = &[
    cmd("create", -5, Data(group::create))
        .group(G)
        .since("5.0.0")
        .flags(WRITE | DENYOOM)
        .keys(&[KeySpec::at(2).flags(RW | INSERT)])
        .doc("Creates a consumer group.", "O(1)")
        .usage("key group <id|$> [MKSTREAM] [ENTRIESREAD entriesread:integer]")
        .history(&[("7.0.0", "Added the `entries_read` named argument.")]),
    cmd("createconsumer", 5, Data(group::create_consumer))
        .group(G)
        .since("6.2.0")
        .flags(WRITE | DENYOOM)
        .keys(&[KeySpec::at(2).flags(RW | INSERT)])
        .doc("Creates a consumer in a group.", "O(1)")
        .usage("key group consumer"),
    cmd("delconsumer", 5, Data(group::delete_consumer))
        .group(G)
        .since("5.0.0")
        .flags(WRITE)
        .keys(&[KeySpec::at(2).flags(RW | DELETE)])
        .doc(
            "Deletes a consumer, and returns how many entries were pending for it.",
            "O(1)",
        )
        .usage("key group consumer"),
    cmd("destroy", 4, Data(group::destroy))
        .group(G)
        .since("5.0.0")
        .flags(WRITE)
        .keys(&[KeySpec::at(2).flags(RW | DELETE)])
        .doc(
            "Destroys a consumer group.",
            "O(N) in the number of its pending entries",
        )
        .usage("key group"),
    cmd("help", 2, Data(group::help))
        .group(G)
        .since("5.0.0")
        .flags(LOADING | STALE)
        .doc("Returns what the subcommands are for.", "O(1)"),
    cmd("setid", -5, Data(group::set_id))
        .group(G)
        .since("5.0.0")
        .flags(WRITE)
        .keys(&[KeySpec::at(2).flags(RW | UPDATE)])
        .doc(
            "Sets the ID of the last entry that a group was given.",
            "O(1)",
        )
        .usage("key group <id|$> [ENTRIESREAD entriesread:integer]")
        .history(&[("7.0.0", "Added the optional `entries_read` argument.")]),
];

/// The subcommands of XINFO.
const INFO_COMMANDS: &[Command] = &[
    cmd("consumers", 4, Data(info::consumers))
        .group(G)
        .since("5.0.0")
        .flags(READONLY)
        .keys(&[KeySpec::at(2).flags(RO | ACCESS)])
        .doc("Lists the consumers of a group.", "O(N) in the number of consumers")
        .usage("key group")
        .history(&[("7.2.0", "Added the `inactive` field, and changed the meaning of `idle`.")])
        .tips(&["nondeterministic_output"]),
    cmd("groups", 3, Data(info::groups))
        .group(G)
        .since("5.0.0")
        .flags(READONLY)
        .keys(&[KeySpec::at(2).flags(RO | ACCESS)])
        .doc("Lists the consumer groups of a stream.", "O(N) in the number of groups")
        .usage("key")
        .history(&[("7.0.0", "Added the `entries-read` and `lag` fields")]),
    cmd("help", 2, Data(info::help))
        .group(G)
        .since("5.0.0")
        .flags(LOADING | STALE)
        .doc("Returns what the subcommands are for.", "O(1)"),
    cmd("stream", -3, Data(info::stream))
        .group(G)
        .since("5.0.0")
        .flags(READONLY)
        .keys(&[KeySpec::at(2).flags(RO | ACCESS)])
        .doc("Describes a stream.", "O(1); with FULL, O(N) in the number of entries returned")
        .usage("key [FULL [COUNT count]]")
        .history(&[
            ("6.0.0", "Added the `FULL` modifier."),
            (
                "7.0.0",
                "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields",
            ),
            ("7.2.0", "Added the `active-time` field, and changed the meaning of `seen-time`."),
        ]),
];
