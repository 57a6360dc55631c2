//! Writes one value: its type, and its bytes in the form that a version of the format has for it.
//!
//! Packed collections go out as they are, a list node by node; nothing is built on the way.

use super::format::{Version, container, kind};
use super::sink::Sink;
use crate::data::fields::Fields;
use crate::data::listpack::{Item, Listpack};
use crate::data::quicklist::Stored;
use crate::data::stream::{Group, Stream, StreamId};
use crate::keyspace::EntryRef;
use crate::keyspace::hash::HashRef;
use crate::keyspace::list::ListRef;
use crate::keyspace::set::SetRef;
use crate::keyspace::value::{StringRef, Type};
use crate::keyspace::zset::ZsetRef;

/// What a version lacks that a value needs; none if it can hold the value.
pub fn lack(entry: EntryRef<'_>, version: Version) -> Option<&'static str> {
    match entry.hash() {
        Some(HashRef::Table(fields)) if fields.volatile() > 0 && !version.has_field_expiry() => {
            Some("fields of the hash expire, which this version of the format cannot say")
        }
        _ => None,
    }
}

/// The number of the type under which a value is written.
pub fn kind_of(entry: EntryRef<'_>, version: Version) -> u8 {
    const SAME: &str = "the value is of the type that its entry says";
    match entry.kind() {
        Type::String => kind::STRING,
        Type::List if version.has_listpacks() => kind::LIST_QUICKLIST_2,
        Type::List => kind::LIST,
        Type::Set => match entry.set().expect(SAME) {
            SetRef::Ints(_) => kind::SET_INTSET,
            SetRef::Pack(_) if version.has_set_listpacks() => kind::SET_LISTPACK,
            SetRef::Pack(_) | SetRef::Table(_) => kind::SET,
        },
        Type::Zset => match entry.zset().expect(SAME) {
            ZsetRef::Pack(_) if version.has_listpacks() => kind::ZSET_LISTPACK,
            ZsetRef::Pack(_) | ZsetRef::Tree(_) => kind::ZSET_2,
        },
        Type::Hash => match entry.hash().expect(SAME) {
            HashRef::Pack(_) if version.has_listpacks() => kind::HASH_LISTPACK,
            HashRef::Table(fields) if fields.volatile() > 0 => match version {
                Version::Valkey80 => kind::HASH_2_OF_VALKEY,
                _ => kind::HASH_EXPIRING,
            },
            HashRef::Pack(_) | HashRef::Table(_) => kind::HASH,
        },
        Type::Stream if version.has_set_listpacks() => kind::STREAM_3,
        Type::Stream if version.has_listpacks() => kind::STREAM_2,
        Type::Stream => kind::STREAM,
    }
}

/// Writes a value, its type not included. The version can hold it: see [`lack`].
pub fn value(sink: &mut Sink<'_>, entry: EntryRef<'_>, version: Version) {
    let kind = kind_of(entry, version);
    if let Some(string) = entry.string() {
        match string {
            StringRef::Int(n) => sink.int(n),
            StringRef::Bytes(bytes) => sink.string(bytes),
        }
    } else if let Some(set) = entry.set() {
        encode_set(sink, set, kind);
    } else if let Some(hash) = entry.hash() {
        encode_hash(sink, hash, kind);
    } else if let Some(zset) = entry.zset() {
        encode_zset(sink, zset, kind);
    } else if let Some(list) = entry.list() {
        encode_list(sink, list, kind);
    } else if let Some(stream) = entry.stream() {
        encode_stream(sink, stream, kind);
    } else {
        unreachable!("a value is of one of the types");
    }
}

#[inline]
fn item(sink: &mut Sink<'_>, item: Item<'_>) {
    match item {
        Item::Int(n) => sink.int(n),
        Item::Bytes(bytes) => sink.string(bytes),
    }
}

fn items(sink: &mut Sink<'_>, pack: Listpack<'_>) {
    pack.iter().for_each(|one| item(sink, one));
}

fn encode_list(sink: &mut Sink<'_>, list: ListRef<'_>, kind: u8) {
    match list {
        _ if kind == kind::LIST => {
            sink.len(list.len() as u64);
            list.for_each(|element| item(sink, element));
        }
        ListRef::Pack(pack) => {
            sink.len(1);
            sink.len(container::PACKED);
            sink.bytes(pack.bytes());
        }
        ListRef::Quick(list) => {
            sink.len(list.nodes() as u64);
            for node in list.iter_nodes() {
                sink.len(if node.is_plain() {
                    container::PLAIN
                } else {
                    container::PACKED
                });
                match node.stored() {
                    Stored::Raw(bytes) => sink.bytes(bytes),
                    Stored::Lzf(packed) => sink.packed(packed, node.raw_len()),
                }
            }
        }
    }
}

fn encode_set(sink: &mut Sink<'_>, set: SetRef<'_>, kind: u8) {
    match set {
        SetRef::Ints(ints) => sink.bytes(ints.bytes()),
        SetRef::Pack(pack) if kind == kind::SET_LISTPACK => sink.bytes(pack.bytes()),
        SetRef::Pack(pack) => {
            sink.len(pack.len() as u64);
            items(sink, pack);
        }
        SetRef::Table(members) => {
            sink.len(members.len() as u64);
            members.iter().for_each(|member| sink.string(member));
        }
    }
}

fn encode_zset(sink: &mut Sink<'_>, zset: ZsetRef<'_>, kind: u8) {
    if let ZsetRef::Pack(pack) = zset
        && kind == kind::ZSET_LISTPACK
    {
        return sink.bytes(pack.bytes());
    }
    // From the highest down: what reads it may insert at the front of a skiplist then.
    sink.len(zset.len() as u64);
    zset.walk(0..zset.len(), true, |member, score| {
        item(sink, member);
        sink.raw(&score.to_le_bytes());
    });
}

fn encode_hash(sink: &mut Sink<'_>, hash: HashRef<'_>, kind: u8) {
    match hash {
        HashRef::Pack(pack) if kind == kind::HASH_LISTPACK => sink.bytes(pack.bytes()),
        HashRef::Pack(pack) => {
            sink.len(pack.len() as u64 / 2);
            items(sink, pack);
        }
        HashRef::Table(fields) => encode_fields(sink, fields, kind),
    }
}

fn encode_fields(sink: &mut Sink<'_>, fields: &Fields, kind: u8) {
    let first_ms = fields.next_expiry().unwrap_or(0);
    if kind == kind::HASH_EXPIRING {
        sink.time_ms(first_ms);
    }
    sink.len(fields.len() as u64);
    for (field, value, expiry_ms) in fields.iter() {
        if kind == kind::HASH_EXPIRING {
            // One more than the difference: 0 is a field that does not expire.
            sink.len(expiry_ms.map_or(0, |at| (at - first_ms) as u64 + 1));
        }
        sink.string(field);
        sink.string(value);
        if kind == kind::HASH_2_OF_VALKEY {
            sink.time_ms(expiry_ms.unwrap_or(-1));
        }
    }
}

fn encode_stream(sink: &mut Sink<'_>, stream: &Stream, kind: u8) {
    let log = &stream.log;
    sink.len(log.node_count() as u64);
    for (master, node) in log.nodes() {
        sink.bytes(&id_bytes(master));
        sink.bytes(node);
    }
    sink.len(log.len());
    id(sink, log.last_id());
    if kind != kind::STREAM {
        id(sink, log.first_id());
        id(sink, log.max_deleted_id());
        sink.len(log.entries_added());
    }
    sink.len(stream.groups.len() as u64);
    for (name, group) in stream.groups.iter() {
        sink.string(name);
        encode_group(sink, group, kind);
    }
}

fn encode_group(sink: &mut Sink<'_>, group: &Group, kind: u8) {
    id(sink, group.last_id());
    if kind != kind::STREAM {
        // What is not known is -1.
        sink.len(group.entries_read().unwrap_or(u64::MAX));
    }
    sink.len(group.pending_count() as u64);
    for (id, nack) in group.pending(StreamId::MIN) {
        sink.raw(&id_bytes(id));
        sink.time_ms(nack.delivery_time_ms);
        sink.len(nack.delivery_count);
    }
    sink.len(group.consumer_count() as u64);
    for (id, consumer) in group.consumers() {
        sink.string(consumer.name());
        sink.time_ms(consumer.seen_time_ms);
        if kind == kind::STREAM_3 {
            sink.time_ms(consumer.active_time_ms);
        }
        sink.len(consumer.pending_count() as u64);
        for (pending, _) in group.pending_of(id, StreamId::MIN) {
            sink.raw(&id_bytes(pending));
        }
    }
}

fn id(sink: &mut Sink<'_>, id: StreamId) {
    sink.len(id.ms);
    sink.len(id.seq);
}

fn id_bytes(id: StreamId) -> [u8; 16] {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes()
}
