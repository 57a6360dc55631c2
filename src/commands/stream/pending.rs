//! What a group's consumers were given and have not acknowledged: XPENDING.

use super::ids::{range_end, range_start, reply_id};
use super::show::find_group;
use crate::commands::args::{integer, is};
use crate::data::stream::{Group, StreamId};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::cx::DataCx;

/// Which pending entries are asked for.
struct Query<'a> {
    idle_min_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Query<'a> {
    /// Reads `[IDLE min-idle-time] start end count [consumer]`.
    fn parse(mut args: Argv<'a>) -> Result<Query<'a>, ErrorReply> {
        let mut idle_min_ms = 0;
        if is(args.at(0), "IDLE") {
            idle_min_ms = integer(args.at(1))?;
            args = args.tail(2);
            if args.len() < 3 {
                return Err(error::SYNTAX);
            }
        }
        Ok(Query {
            idle_min_ms,
            count: integer(args.at(2))?.max(0) as usize,
            start: range_start(args.at(0))?,
            end: range_end(args.at(1))?,
            consumer: args.get(3),
        })
    }
}

pub(super) fn xpending(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let query = match argv.len() {
        3 => None,
        6..=9 => Some(Query::parse(argv.tail(3))?),
        _ => return Err(error::SYNTAX),
    };
    let (key, name) = (cx.key(argv, 1), argv.at(2));
    let place = find_group(cx, key, name)?;
    let entry = cx.keyspace.db(cx.db_index).entry(place);
    let stream = entry.stream().expect("the place of a stream");
    let group = stream.groups.get(name).expect("the group was found");
    match query {
        None => summary(cx.reply, group),
        Some(query) => list(cx.reply, group, &query, cx.now_ms),
    }
    Ok(())
}

/// How many entries are pending, the first and the last, and how many each consumer has.
fn summary(reply: &mut Reply, group: &Group) {
    reply.array(4);
    reply.int(group.pending_count() as i64);
    let Some((first, last)) = group.pending_bounds() else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(reply, first);
    reply_id(reply, last);
    let busy = || {
        let consumers = group.consumers().map(|(_, consumer)| consumer);
        consumers.filter(|consumer| consumer.pending_count() > 0)
    };
    reply.array(busy().count());
    for consumer in busy() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_int(consumer.pending_count() as i64);
    }
}

/// Pending entries: of each its ID, who has it, for how long, and how often it was delivered.
fn list(reply: &mut Reply, group: &Group, query: &Query<'_>, now_ms: i64) {
    let consumer = query.consumer.map(|name| group.find_consumer(name));
    let begun = reply.defer_array();
    let mut shown = 0;
    let mut show = |id: StreamId, nack: &crate::data::stream::Nack| {
        let idle_ms = nack.idle_ms(now_ms);
        if idle_ms >= query.idle_min_ms || query.idle_min_ms == 0 {
            reply.array(4);
            reply_id(reply, id);
            reply.bulk(group.consumer(nack.consumer).name());
            reply.int(idle_ms);
            reply.int(nack.delivery_count as i64);
            shown += 1;
        }
        shown < query.count
    };
    let is_wanted = |id: &StreamId| *id <= query.end && query.count > 0;
    match consumer {
        // A consumer that there is not has nothing.
        Some(None) => {}
        Some(Some(consumer)) => {
            let mut pending = group.pending_of(consumer, query.start);
            pending.find(|(id, nack)| !is_wanted(id) || !show(*id, nack));
        }
        None => {
            let mut pending = group.pending(query.start);
            pending.find(|(id, nack)| !is_wanted(id) || !show(*id, nack));
        }
    }
    reply.end_array(begun, shown);
}
