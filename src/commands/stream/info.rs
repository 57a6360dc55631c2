//! Streams, groups and consumers described: XINFO.

use super::ids::reply_id;
use super::show::{no_group, reply_entries, reply_entry, reply_known, stream_at};
use crate::commands::args::{integer, is};
use crate::commands::help as help_of;
use crate::data::stream::{Consumer, ConsumerId, Group, Log, Stream, StreamId};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::cx::{DataCx, Place};

/// The stream that a subcommand names, which must be there.
fn find(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Result<Place, ErrorReply> {
    let place = cx.find_read(cx.key(argv, 2)).ok_or(error::NO_SUCH_KEY)?;
    stream_at(cx, place)?;
    Ok(place)
}

pub(super) fn consumers(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let place = find(cx, argv)?;
    let entry = cx.keyspace.db(cx.db_index).entry(place);
    let stream = entry.stream().expect("the place of a stream");
    let group = stream.groups.get(argv.at(3));
    let group = group.ok_or_else(|| no_group(argv.at(2), argv.at(3)))?;
    cx.reply.array(group.consumer_count());
    for (_, consumer) in group.consumers() {
        let inactive_ms = match consumer.active_time_ms {
            -1 => -1,
            active_ms => cx.now_ms - active_ms,
        };
        cx.reply.map(4);
        cx.reply.bulk(b"name");
        cx.reply.bulk(consumer.name());
        cx.reply.bulk(b"pending");
        cx.reply.int(consumer.pending_count() as i64);
        cx.reply.bulk(b"idle");
        cx.reply.int((cx.now_ms - consumer.seen_time_ms).max(0));
        cx.reply.bulk(b"inactive");
        cx.reply.int(inactive_ms);
    }
    Ok(())
}

pub(super) fn groups(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let place = find(cx, argv)?;
    let entry = cx.keyspace.db(cx.db_index).entry(place);
    let stream = entry.stream().expect("the place of a stream");
    cx.reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        cx.reply.map(6);
        cx.reply.bulk(b"name");
        cx.reply.bulk(name);
        cx.reply.bulk(b"consumers");
        cx.reply.int(group.consumer_count() as i64);
        cx.reply.bulk(b"pending");
        cx.reply.int(group.pending_count() as i64);
        progress(cx.reply, &stream.log, group);
    }
    Ok(())
}

/// How far a group has read.
fn progress(reply: &mut Reply, log: &Log, group: &Group) {
    reply.bulk(b"last-delivered-id");
    reply_id(reply, group.last_id());
    reply.bulk(b"entries-read");
    reply_known(reply, group.entries_read().map(|read| read as i64));
    reply.bulk(b"lag");
    reply_known(reply, group.lag(log));
}

pub(super) fn stream(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let place = find(cx, argv)?;
    let count = full_count(argv)?;
    let entry = cx.keyspace.db(cx.db_index).entry(place);
    let stream = entry.stream().expect("the place of a stream");
    cx.reply.map(if count.is_some() { 9 } else { 10 });
    counters(cx.reply, &stream.log);
    match count {
        Some(count) => contents(cx.reply, stream, count),
        None => ends(cx.reply, stream),
    }
    Ok(())
}

/// How many entries of each kind FULL shows; none if it is not asked for.
fn full_count(argv: Argv<'_>) -> Result<Option<usize>, ErrorReply> {
    /// So many unless something else is asked for.
    const USUAL: usize = 10;
    let syntax = || error::subcommand_syntax(argv.at(1), "xinfo");
    match (argv.get(3), argv.get(4), argv.get(5)) {
        (None, ..) => Ok(None),
        (Some(full), None, _) if is(full, "FULL") => Ok(Some(USUAL)),
        (Some(full), Some(count), Some(number))
            if argv.len() == 6 && is(full, "FULL") && is(count, "COUNT") =>
        {
            Ok(Some(match integer(number)? {
                0 => usize::MAX,
                count => usize::try_from(count).unwrap_or(USUAL),
            }))
        }
        _ => Err(syntax()),
    }
}

/// What is known of a stream without looking at its entries. There is no radix tree: its keys are the
/// nodes that there are, and it has one more node, the root.
fn counters(reply: &mut Reply, log: &Log) {
    let nodes = log.node_count() as i64;
    for (name, number) in [
        ("length", log.len() as i64),
        ("radix-tree-keys", nodes),
        ("radix-tree-nodes", nodes + 1),
    ] {
        reply.bulk(name.as_bytes());
        reply.int(number);
    }
    reply.bulk(b"last-generated-id");
    reply_id(reply, log.last_id());
    reply.bulk(b"max-deleted-entry-id");
    reply_id(reply, log.max_deleted_id());
    reply.bulk(b"entries-added");
    reply.int(log.entries_added() as i64);
    reply.bulk(b"recorded-first-entry-id");
    reply_id(reply, log.first_id());
}

/// The number of groups, and the first and the last entry.
fn ends(reply: &mut Reply, stream: &Stream) {
    reply.bulk(b"groups");
    reply.int(stream.groups.len() as i64);
    let all = || stream.log.range(StreamId::MIN, StreamId::MAX);
    for (name, entry) in [
        ("first-entry", all().next()),
        ("last-entry", stream.log.last()),
    ] {
        reply.bulk(name.as_bytes());
        match entry {
            Some(entry) => reply_entry(reply, &entry),
            None => reply.null(),
        }
    }
}

/// Up to `count` entries, and all groups with up to as many pending entries.
fn contents(reply: &mut Reply, stream: &Stream, count: usize) {
    reply.bulk(b"entries");
    let all = stream.log.range(StreamId::MIN, StreamId::MAX);
    reply_entries(reply, all, count);
    reply.bulk(b"groups");
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(7);
        reply.bulk(b"name");
        reply.bulk(name);
        progress(reply, &stream.log, group);
        reply.bulk(b"pel-count");
        reply.int(group.pending_count() as i64);
        reply.bulk(b"pending");
        reply.array(group.pending_count().min(count));
        for (id, nack) in group.pending(StreamId::MIN).take(count) {
            reply.array(4);
            reply_id(reply, id);
            reply.bulk(group.consumer(nack.consumer).name());
            reply.int(nack.delivery_time_ms);
            reply.int(nack.delivery_count as i64);
        }
        reply.bulk(b"consumers");
        reply.array(group.consumer_count());
        for (id, consumer) in group.consumers() {
            describe_consumer(reply, group, id, consumer, count);
        }
    }
}

fn describe_consumer(
    reply: &mut Reply,
    group: &Group,
    id: ConsumerId,
    consumer: &Consumer,
    count: usize,
) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    for (name, number) in [
        ("seen-time", consumer.seen_time_ms),
        ("active-time", consumer.active_time_ms),
        ("pel-count", consumer.pending_count() as i64),
    ] {
        reply.bulk(name.as_bytes());
        reply.int(number);
    }
    reply.bulk(b"pending");
    reply.array(consumer.pending_count().min(count));
    for (id, nack) in group.pending_of(id, StreamId::MIN).take(count) {
        reply.array(3);
        reply_id(reply, id);
        reply.int(nack.delivery_time_ms);
        reply.int(nack.delivery_count as i64);
    }
}

pub(super) fn help(cx: &mut DataCx<'_>, _argv: Argv<'_>) -> Outcome {
    help_of::reply(
        cx.reply,
        "XINFO",
        &[
            (
                "CONSUMERS <key> <groupname>",
                "List the consumers of a group.",
            ),
            ("GROUPS <key>", "List the groups of a stream."),
            (
                "STREAM <key> [FULL [COUNT <count>]",
                "Describe a stream; with FULL, its entries, groups and consumers too.",
            ),
        ],
    );
    Ok(())
}
