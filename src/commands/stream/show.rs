//! Entries as replies, and looking streams and groups up with the errors that clients know.

use super::ids::reply_id;
use crate::commands::items::reply_item;
use crate::data::stream::{Entry, Group, Stream, StreamId};
use crate::keyspace::db::Key;
use crate::keyspace::effects::Effects;
use crate::resp::error::{self, ErrorReply, quotable};
use crate::resp::reply::Reply;
use crate::server::cx::{DataCx, Place};

/// The stream at a place, or an error if another type is there.
#[inline]
pub(super) fn stream_at<'c>(cx: &'c DataCx<'_>, place: Place) -> Result<&'c Stream, ErrorReply> {
    cx.entry(place).stream().ok_or(error::WRONG_TYPE)
}

/// Replies with an entry: its ID, and its fields and values by turns.
#[inline]
pub(super) fn reply_entry(reply: &mut Reply, entry: &Entry<'_>) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply.array(2 * entry.len());
    for (name, value) in entry.fields() {
        reply_item(reply, name);
        reply_item(reply, value);
    }
}

/// Replies with up to `count` entries.
pub(super) fn reply_entries<'e>(
    reply: &mut Reply,
    entries: impl Iterator<Item = Entry<'e>>,
    count: usize,
) {
    let begun = reply.defer_array();
    let mut shown = 0;
    for entry in entries.take(count) {
        reply_entry(reply, &entry);
        shown += 1;
    }
    reply.end_array(begun, shown);
}

/// A key and group that commands need and do not find, in the words of most of them; `rest` goes on.
#[cold]
pub(super) fn no_key_or_group(key: &[u8], group: &[u8], rest: &str) -> ErrorReply {
    let (key, group) = (quotable(key, key.len()), quotable(group, group.len()));
    let pieces: [&[u8]; 6] = [
        b"NOGROUP No such key '",
        key,
        b"' or consumer group '",
        group,
        b"'",
        rest.as_bytes(),
    ];
    pieces.concat().into()
}

/// A group that a stream does not have.
#[cold]
pub(super) fn no_group(key: &[u8], group: &[u8]) -> ErrorReply {
    let (key, group) = (quotable(key, key.len()), quotable(group, group.len()));
    let pieces: [&[u8]; 5] = [
        b"NOGROUP No such consumer group '",
        group,
        b"' for key name '",
        key,
        b"'",
    ];
    pieces.concat().into()
}

/// The place of a stream that has this group; both must be there. Counts a hit or miss.
pub(super) fn find_group(
    cx: &mut DataCx<'_>,
    key: Key<'_>,
    group: &[u8],
) -> Result<Place, ErrorReply> {
    if let Some(place) = cx.find_read(key)
        && stream_at(cx, place)?.groups.get(group).is_some()
    {
        return Ok(place);
    }
    Err(no_key_or_group(key.bytes, group, ""))
}

/// What a client is shown of the number of entries that a group has read, or has left.
pub(super) fn reply_known(reply: &mut Reply, number: Option<i64>) {
    match number {
        Some(number) => reply.int(number),
        None => reply.null(),
    }
}

/// The commands that say what a delivery or claim did, for the append-only file and replicas.
pub(super) struct Propagated<'a> {
    pub key: &'a [u8],
    pub group: &'a [u8],
}

impl Propagated<'_> {
    /// An entry is pending as it is: the claim says when, for whom and how often it was delivered,
    /// and up to where the group has read.
    pub(super) fn claim(&self, effects: &mut Effects, group: &Group, id: StreamId) {
        if !effects.propagates() {
            return;
        }
        let nack = *group.nack(id).expect("the entry is pending");
        let consumer = group.consumer(nack.consumer).name();
        let (id, last_id) = (id.to_string(), group.last_id().to_string());
        let (time, count) = (
            nack.delivery_time_ms.to_string(),
            nack.delivery_count.to_string(),
        );
        effects.rewrite(&[
            b"XCLAIM",
            self.key,
            self.group,
            consumer,
            b"0",
            id.as_bytes(),
            b"TIME",
            time.as_bytes(),
            b"RETRYCOUNT",
            count.as_bytes(),
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            last_id.as_bytes(),
        ]);
    }

    /// A consumer was created that will have nothing pending.
    pub(super) fn new_consumer(&self, effects: &mut Effects, consumer: &[u8]) {
        effects.rewrite(&[b"XGROUP", b"CREATECONSUMER", self.key, self.group, consumer]);
    }

    /// How far the group has read.
    pub(super) fn last_id(&self, effects: &mut Effects, group: &Group) {
        if !effects.propagates() {
            return;
        }
        let last_id = group.last_id().to_string();
        let read = group
            .entries_read()
            .map_or(-1, |read| read as i64)
            .to_string();
        effects.rewrite(&[
            b"XGROUP",
            b"SETID",
            self.key,
            self.group,
            last_id.as_bytes(),
            b"ENTRIESREAD",
            read.as_bytes(),
        ]);
    }
}
