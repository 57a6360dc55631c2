//! Entries after an ID, from several streams, and those to come: XREAD and XREADGROUP.

use super::group::note_new_consumer;
use super::ids;
use super::show::{Propagated, no_key_or_group, reply_entries, reply_entry, stream_at};
use crate::commands::args::{integer, is, wait_us};
use crate::data::stream::{ConsumerId, Entry, Group, Log, Stream, StreamId};
use crate::keyspace::db::Key;
use crate::keyspace::effects::{AtEnd, Wait};
use crate::keyspace::value::Type;
use crate::resp::error::{self, ErrorReply, Outcome, quotable};
use crate::resp::reply::{Proto, Reply};
use crate::resp::request::Argv;
use crate::server::cx::{DataCx, Place};

/// What a reader asks for.
struct Reader<'a> {
    /// The group and the consumer that reads for it.
    group: Option<(&'a [u8], &'a [u8])>,
    count: usize,
    /// Whether to wait, and for how many microseconds at most.
    block: Option<Option<i64>>,
    no_ack: bool,
    /// The keys and then as many IDs.
    streams: Argv<'a>,
    /// The argument that the first key is.
    streams_at: usize,
}

/// From where on entries of a stream are wanted.
#[derive(Clone, Copy)]
enum From {
    /// Behind this ID.
    After(StreamId),
    /// Behind what the group was given.
    New,
}

/// A stream that is read.
#[derive(Clone, Copy)]
struct Target<'a> {
    key: Key<'a>,
    place: Option<Place>,
    from: From,
}

const NOTHING: Target<'_> = Target {
    key: Key {
        bytes: b"",
        hash: 0,
    },
    place: None,
    from: From::New,
};

pub(super) fn xread(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    read(cx, argv, false)
}

pub(super) fn xreadgroup(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    // What is propagated is what came of it.
    cx.effects.do_not_propagate();
    read(cx, argv, true)
}

fn read(cx: &mut DataCx<'_>, argv: Argv<'_>, for_group: bool) -> Outcome {
    let reader = Reader::parse(argv, for_group, cx.now_ms)?;
    let number = reader.streams.len() / 2;
    // Nearly always it is one.
    let (mut one, mut many) = ([NOTHING], Vec::new());
    let targets = if number == 1 {
        &mut one[..]
    } else {
        many.resize(number, NOTHING);
        &mut many[..]
    };
    for (index, target) in targets.iter_mut().enumerate() {
        *target = reader.target(cx, argv, index)?;
    }
    if number > 1 {
        // A key that was found expired may have moved those found before it.
        for target in targets.iter_mut().filter(|target| target.place.is_some()) {
            target.place = cx.db().find(target.key);
        }
    }
    if reader.serve(cx, targets) {
        return Ok(());
    }
    match reader.block {
        Some(timeout_us) => reader.wait(cx, targets, timeout_us),
        None => cx.reply.null_array(),
    }
    Ok(())
}

impl<'a> Reader<'a> {
    fn parse(argv: Argv<'a>, for_group: bool, now_ms: i64) -> Result<Reader<'a>, ErrorReply> {
        let mut reader = Reader {
            group: None,
            count: usize::MAX,
            block: None,
            no_ack: false,
            streams: argv.slice(0, 0),
            streams_at: 0,
        };
        let mut at = 1;
        while let Some(arg) = argv.get(at) {
            let left = argv.len() - at - 1;
            if left > 0 && is(arg, "BLOCK") {
                reader.block = Some(wait_us(argv.at(at + 1), now_ms)?);
                at += 1;
            } else if left > 0 && is(arg, "COUNT") {
                // None is given: all.
                let count = integer(argv.at(at + 1))?;
                reader.count = if count > 0 {
                    count as usize
                } else {
                    usize::MAX
                };
                at += 1;
            } else if left > 0 && is(arg, "STREAMS") {
                reader.streams_at = at + 1;
                reader.streams = argv.tail(at + 1);
                break;
            } else if left > 1 && is(arg, "GROUP") {
                only_for_groups(for_group, "GROUP")?;
                reader.group = Some((argv.at(at + 1), argv.at(at + 2)));
                at += 2;
            } else if is(arg, "NOACK") {
                only_for_groups(for_group, "NOACK")?;
                reader.no_ack = true;
            } else {
                return Err(error::SYNTAX);
            }
            at += 1;
        }
        if reader.streams.len() % 2 == 1 {
            return Err(unbalanced(for_group));
        }
        if reader.streams.is_empty() {
            return Err(error::SYNTAX);
        }
        if for_group && reader.group.is_none() {
            return Err("ERR Missing GROUP option for XREADGROUP".into());
        }
        Ok(reader)
    }

    /// The stream `index` of those that are read: the key and where to begin.
    fn target(
        &self,
        cx: &mut DataCx<'_>,
        argv: Argv<'a>,
        index: usize,
    ) -> Result<Target<'a>, ErrorReply> {
        let number = self.streams.len() / 2;
        let key = cx.key(argv, self.streams_at + index);
        let place = cx.find_read(key);
        let stream = place.map(|place| stream_at(cx, place)).transpose()?;
        let id = self.streams.at(number + index);
        let from = match self.group {
            Some((group, _)) => {
                if stream.and_then(|stream| stream.groups.get(group)).is_none() {
                    return Err(no_key_or_group(
                        key.bytes,
                        group,
                        " in XREADGROUP with GROUP option",
                    ));
                }
                group_start(id)?
            }
            None => From::After(start(id, stream.map(|stream| &stream.log))?),
        };
        Ok(Target { key, place, from })
    }

    /// Replies with what there is; says whether there was something.
    fn serve(&self, cx: &mut DataCx<'_>, targets: &[Target<'_>]) -> bool {
        let begun = cx.reply.mark();
        let header = if targets.len() == 1 {
            // Taken back if there is nothing.
            begin_reply(cx.reply, 1);
            None
        } else {
            Some(cx.reply.defer_array())
        };
        let mut served = 0;
        for target in targets {
            // Redis looks a key up where its ID is settled and again here, and both show in events and figures.
            cx.count_lookup(target.key, target.place.is_some());
            let Some(place) = target.place else {
                continue;
            };
            let is_served = match self.group {
                Some((group, consumer)) => self.serve_group(cx, target, place, group, consumer),
                None => self.serve_reader(cx, target, place),
            };
            served += usize::from(is_served);
        }
        match header {
            _ if served == 0 => cx.reply.rollback(begun),
            None => {}
            Some(header) if cx.reply.proto() == Proto::Resp2 => cx.reply.end_array(header, served),
            Some(header) => cx.reply.end_map(header, served),
        }
        served > 0
    }

    fn serve_reader(&self, cx: &mut DataCx<'_>, target: &Target<'_>, place: Place) -> bool {
        let entry = cx.keyspace.db(cx.db_index).entry(place);
        let log = &entry.stream().expect("the place of a stream").log;
        let From::After(after) = target.from else {
            unreachable!("only groups have new entries");
        };
        let mut entries = after_id(log, after).peekable();
        if entries.peek().is_none() {
            return false;
        }
        begin_stream(cx.reply, target.key.bytes);
        reply_entries(cx.reply, entries, self.count);
        true
    }

    /// Serves a consumer of a group, which is created if it is new.
    fn serve_group(
        &self,
        cx: &mut DataCx<'_>,
        target: &Target<'_>,
        place: Place,
        group: &[u8],
        consumer: &[u8],
    ) -> bool {
        let (db, now_ms, key) = (cx.db_index, cx.now_ms, target.key);
        let (reply, effects) = (&mut *cx.reply, &mut *cx.effects);
        let propagated = Propagated {
            key: key.bytes,
            group,
        };
        let change = |stream: &mut Box<Stream>, _: &mut _| {
            let Stream { log, groups } = &mut **stream;
            let group = groups.get_mut(group).expect("the group was found");
            let id = match group.find_consumer(consumer) {
                Some(id) => id,
                None => {
                    note_new_consumer(effects, db, key.bytes);
                    if self.no_ack {
                        propagated.new_consumer(effects, consumer);
                    }
                    let id = group.create_consumer(consumer, now_ms);
                    id.expect("there is none of this name")
                }
            };
            group.consumer_mut(id).seen_time_ms = now_ms;
            let delivery = Delivery {
                consumer: id,
                now_ms,
                count: self.count,
            };
            match target.from {
                From::After(after) => {
                    begin_stream(reply, key.bytes);
                    delivery.history(reply, log, group, after);
                }
                From::New => {
                    if after_id(log, group.last_id()).next().is_none() {
                        return false;
                    }
                    begin_stream(reply, key.bytes);
                    if self.no_ack {
                        delivery.unrecorded(reply, log, group);
                    } else {
                        delivery.new_entries(reply, log, group, |group, id| {
                            propagated.claim(effects, group, id);
                        });
                    }
                    propagated.last_id(effects, group);
                }
            }
            effects.dirty += 1;
            true
        };
        cx.keyspace.edit(db, key, place, change).0
    }

    /// Has the client wait for entries. Where the end of a stream was meant, it is the end that the
    /// stream has now.
    fn wait(&self, cx: &mut DataCx<'_>, targets: &[Target<'_>], timeout_us: Option<i64>) {
        let number = targets.len();
        let settled = || {
            let numbered = targets.iter().enumerate();
            let ends = numbered.filter(|(index, _)| self.streams.at(number + index) == b"$");
            ends.map(|(index, target)| {
                let From::After(id) = target.from else {
                    unreachable!("groups know no such ID");
                };
                let at = self.streams_at + number + index;
                (at, id.to_string().into_bytes().into_boxed_slice())
            })
            .collect()
        };
        cx.wait_for(|| Wait {
            keys: targets
                .iter()
                .map(|target| target.key.bytes.into())
                .collect(),
            kind: Type::Stream,
            timeout_us,
            on_loss: self.group.is_some(),
            at_end: AtEnd::NullArray,
            settled: settled(),
        });
    }
}

/// Entries on their way to a consumer.
struct Delivery {
    consumer: ConsumerId,
    now_ms: i64,
    count: usize,
}

impl Delivery {
    /// Delivers entries that the group was not given before; `delivered` is told of each.
    fn new_entries(
        &self,
        reply: &mut Reply,
        log: &Log,
        group: &mut Group,
        mut delivered: impl FnMut(&Group, StreamId),
    ) {
        let begun = reply.defer_array();
        let mut shown = 0;
        for entry in after_id(log, group.last_id()).take(self.count) {
            group.advance(log, entry.id);
            reply_entry(reply, &entry);
            group.deliver(entry.id, self.consumer, self.now_ms);
            delivered(group, entry.id);
            shown += 1;
        }
        group.consumer_mut(self.consumer).active_time_ms = self.now_ms;
        reply.end_array(begun, shown);
    }

    /// The same for a consumer that will not acknowledge them.
    fn unrecorded(&self, reply: &mut Reply, log: &Log, group: &mut Group) {
        let begun = reply.defer_array();
        let mut shown = 0;
        for entry in after_id(log, group.last_id()).take(self.count) {
            group.advance(log, entry.id);
            reply_entry(reply, &entry);
            shown += 1;
        }
        reply.end_array(begun, shown);
    }

    /// Delivers once more what the consumer was given before and has not acknowledged. Of an entry that
    /// is gone there is only the ID.
    fn history(&self, reply: &mut Reply, log: &Log, group: &mut Group, after: StreamId) {
        let begun = reply.defer_array();
        let (mut shown, mut from) = (0, after.next());
        while let Some(id) = from.filter(|_| shown < self.count) {
            let next = group.pending_of(self.consumer, id).next();
            let Some((id, _)) = next else {
                break;
            };
            match log.get(id) {
                Some(entry) => {
                    reply_entry(reply, &entry);
                    group.redeliver(id, self.now_ms);
                }
                None => {
                    reply.array(2);
                    ids::reply_id(reply, id);
                    reply.null_array();
                }
            }
            shown += 1;
            from = id.next();
        }
        reply.end_array(begun, shown);
    }
}

/// The entries behind an ID.
#[inline]
fn after_id(log: &Log, id: StreamId) -> impl Iterator<Item = Entry<'_>> {
    let start = id.next().filter(|_| id < log.last_id());
    start
        .map(|start| log.range(start, StreamId::MAX))
        .into_iter()
        .flatten()
}

/// Begins the reply of so many streams: pairs, or a map.
#[inline]
fn begin_reply(reply: &mut Reply, streams: usize) {
    match reply.proto() {
        Proto::Resp2 => reply.array(streams),
        Proto::Resp3 => reply.map(streams),
    }
}

/// Begins what is told of one stream.
#[inline]
fn begin_stream(reply: &mut Reply, key: &[u8]) {
    if reply.proto() == Proto::Resp2 {
        reply.array(2);
    }
    reply.bulk(key);
}

/// The ID behind which XREAD begins: a given one, the end of the stream, or just before its last entry.
fn start(arg: &[u8], log: Option<&Log>) -> Result<StreamId, ErrorReply> {
    match arg {
        b"$" => Ok(log.map_or(StreamId::MIN, Log::last_id)),
        b"+" => {
            let Some(log) = log else {
                return Ok(StreamId::MIN);
            };
            let before = log.last().and_then(|last| last.id.previous());
            Ok(before.unwrap_or(log.last_id()))
        }
        b">" => Err(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
                .into(),
        ),
        id => ids::parse(id),
    }
}

/// Where XREADGROUP begins: behind an ID in the consumer's own history, or with what is new.
fn group_start(arg: &[u8]) -> Result<From, ErrorReply> {
    match arg {
        b">" => Ok(From::New),
        b"$" | b"+" => Err(format!(
            "ERR The {0} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer \
             by specifying a proper ID, or use the > ID to get new messages. The {0} ID would just return an empty \
             result set.",
            quotable(arg, 1).escape_ascii()
        )
        .into()),
        id => Ok(match ids::parse(id)? {
            // Nothing comes behind it, so Redis lets it mean what is new.
            StreamId::MAX => From::New,
            id => From::After(id),
        }),
    }
}

fn only_for_groups(for_group: bool, option: &str) -> Outcome {
    if for_group {
        return Ok(());
    }
    Err(format!(
        "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
    )
    .into())
}

#[cold]
fn unbalanced(for_group: bool) -> ErrorReply {
    let (name, sign) = if for_group {
        ("xreadgroup", '>')
    } else {
        ("xread", '$')
    };
    format!(
        "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{sign}' must be specified."
    )
    .into()
}
