//! Streams: nodes of entries as they are, what is known beside them, and the groups.

use super::super::format::kind;
use super::super::input::{Fault, Input, Scratch};
use super::exact;
use crate::data::stream::groups::position;
use crate::data::stream::{Counters, Group, Nack, Stream, StreamId};
use crate::keyspace::value::{Big, NewValue};

/// Reads a stream of one of the three types.
pub fn read<'a>(
    kind: u8,
    input: &mut Input<'_>,
    scratch: &mut Scratch,
) -> Result<NewValue<'a>, Fault> {
    let mut stream = Box::new(Stream::new());
    for _ in 0..input.len()? {
        let mut master = std::mem::take(&mut scratch.field);
        input.string_into(&mut master, scratch)?;
        let id = master.as_slice().try_into();
        let id =
            id.map_err(|_| Fault::Corrupt("Stream node key entry is not the size of a stream ID"))?;
        let id = id_of(id);
        scratch.field = master;
        let node = exact(input.blob(scratch)?.into_vec());
        stream
            .log
            .push_node(id, node)
            .map_err(|fault| Fault::Described(fault.to_string().into()))?;
    }
    let len = input.len()?;
    let last_id = read_id(input)?;
    let mut counters = Counters {
        last_id,
        max_deleted_id: StreamId::MIN,
        entries_added: stream.log.len(),
    };
    if kind != kind::STREAM {
        // The first ID is known from the entries.
        read_id(input)?;
        counters.max_deleted_id = read_id(input)?;
        counters.entries_added = input.len()?;
    }
    if len != stream.log.len() {
        return Err(Fault::Corrupt(
            "Stream length inconsistent with its entries",
        ));
    }
    if !stream.log.restore(counters) {
        return Err(Fault::Corrupt("Stream with entries behind its last ID"));
    }
    for _ in 0..input.len()? {
        let name = input.owned(scratch)?;
        let last_id = read_id(input)?;
        let entries_read = match kind {
            kind::STREAM => position(&stream.log, last_id),
            // What is not known is written as -1.
            _ => Some(input.len()?).filter(|read| i64::try_from(*read).is_ok()),
        };
        let group = stream.groups.create(&name, last_id, entries_read);
        let group = group.ok_or(Fault::Corrupt("Duplicated consumer group name"))?;
        read_group(kind, group, input, scratch)?;
    }
    Ok(NewValue::Big(Big::Stream(stream)))
}

/// A pending entry that no consumer was found for yet.
struct Pending {
    id: StreamId,
    delivery_time_ms: i64,
    delivery_count: u64,
    is_taken: bool,
}

fn read_group(
    kind: u8,
    group: &mut Group,
    input: &mut Input<'_>,
    scratch: &mut Scratch,
) -> Result<(), Fault> {
    let mut pending: Vec<Pending> = Vec::new();
    for _ in 0..input.len()? {
        let id = id_of(&input.array()?);
        if pending.last().is_some_and(|last| last.id >= id) {
            return Err(Fault::Corrupt(
                "pending entries of a group that are not in order",
            ));
        }
        pending.push(Pending {
            id,
            delivery_time_ms: input.time_ms()?,
            delivery_count: input.len()?,
            is_taken: false,
        });
    }
    for _ in 0..input.len()? {
        let name = input.owned(scratch)?;
        let seen_time_ms = input.time_ms()?;
        let active_time_ms = match kind {
            kind::STREAM_3 => input.time_ms()?,
            _ => seen_time_ms,
        };
        let consumer = group.create_consumer(&name, seen_time_ms);
        let consumer = consumer.ok_or(Fault::Corrupt("Duplicate stream consumer detected."))?;
        group.consumer_mut(consumer).active_time_ms = active_time_ms;
        for _ in 0..input.len()? {
            let id = id_of(&input.array()?);
            let Ok(place) = pending.binary_search_by_key(&id, |one| one.id) else {
                return Err(Fault::Corrupt(
                    "Consumer entry not found in group global PEL",
                ));
            };
            let one = &mut pending[place];
            if std::mem::replace(&mut one.is_taken, true) {
                return Err(Fault::Corrupt(
                    "Duplicated consumer PEL entry loading a stream consumer group",
                ));
            }
            group.assign(
                id,
                Nack {
                    consumer,
                    delivery_time_ms: one.delivery_time_ms,
                    delivery_count: one.delivery_count,
                },
            );
        }
    }
    if pending.iter().any(|one| !one.is_taken) {
        return Err(Fault::Corrupt("Stream CG PEL entry without consumer"));
    }
    Ok(())
}

fn read_id(input: &mut Input<'_>) -> Result<StreamId, Fault> {
    let ms = input.len()?;
    Ok(StreamId::new(ms, input.len()?))
}

fn id_of(bytes: &[u8; 16]) -> StreamId {
    let both = u128::from_be_bytes(*bytes);
    StreamId::new((both >> 64) as u64, both as u64)
}
