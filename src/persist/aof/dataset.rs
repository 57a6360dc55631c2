//! The data set as commands: a base for readers that do not know snapshots.
//!
//! A collection goes out in commands of [`BATCH`] items at most, as Redis writes them, an expiry as a command
//! of its own behind its key. About every [`SEAL_BYTES`] a checksum is written ([`annotation`]). What is held
//! in memory does not depend on the size of values, but for the one string that is being written.

use super::annotation;
use crate::data::listpack::Item;
use crate::data::stream::{Groups, Log, StreamId};
use crate::keyspace::entry::EntryRef;
use crate::keyspace::value::Type;
use crate::keyspace::{Db, Keyspace};
use crate::resp::encode;
use std::io::{self, Write};
use std::time::Duration;

/// Items of a collection in one command.
const BATCH: usize = 64;
/// About so many bytes are sealed together.
const SEAL_BYTES: usize = 256 << 10;
/// A buffer is not kept beyond this.
const BUFFER_KEPT_MAX: usize = 4 * SEAL_BYTES;

/// How the data set is written.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// The time to begin with, in seconds of the Unix clock.
    pub timestamp: Option<i64>,
    /// Whether checksums are written.
    pub checksums: bool,
    /// Microseconds to idle after each key, for tests that want to look on.
    pub key_delay_us: u32,
}

/// Writes the whole keyspace, after the sources of function libraries. `progress` is told the keys written
/// so far, now and then.
pub fn write<W: Write>(
    keyspace: &Keyspace,
    functions: &[Box<[u8]>],
    out: &mut W,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let mut writer = Commands {
        out,
        buffer: Vec::new(),
        checksums: options.checksums,
        error: None,
    };
    if let Some(seconds) = options.timestamp {
        annotation::push_time(&mut writer.buffer, seconds);
    }
    for source in functions {
        writer.command(&[b"FUNCTION", b"LOAD", source]);
    }
    let mut keys = 0;
    for (index, db) in keyspace.iter().enumerate() {
        if !db.is_empty() {
            writer.command(&[b"SELECT", index.to_string().as_bytes()]);
            write_db(&mut writer, db, options.key_delay_us, &mut keys, progress);
        }
    }
    writer.seal();
    match writer.error {
        Some(e) => Err(e),
        None => Ok(()),
    }
}

fn write_db<W: Write>(
    writer: &mut Commands<'_, W>,
    db: &Db,
    key_delay_us: u32,
    keys: &mut u64,
    progress: &mut dyn FnMut(u64),
) {
    /// Keys between two reports.
    const REPORT_KEYS: u64 = 1024;
    db.for_each(|entry| {
        if writer.error.is_some() {
            return;
        }
        write_entry(writer, entry);
        *keys += 1;
        if key_delay_us != 0 {
            std::thread::sleep(Duration::from_micros(key_delay_us.into()));
        }
        if keys.is_multiple_of(REPORT_KEYS) {
            progress(*keys);
        }
    });
    progress(*keys);
}

fn write_entry<W: Write>(writer: &mut Commands<'_, W>, entry: EntryRef<'_>) {
    const SAME: &str = "the entry holds what its kind says";
    let key = entry.key();
    match entry.kind() {
        Type::String => {
            let mut digits = itoa::Buffer::new();
            let value = entry.string().expect(SAME).bytes(&mut digits);
            writer.command(&[b"SET", key, value]);
        }
        Type::List => {
            let list = entry.list().expect(SAME);
            let mut batches = writer.batches(b"RPUSH", key, list.len(), 1);
            list.for_each(|item| batches.add(|out| push(out, item)));
        }
        Type::Set => {
            let set = entry.set().expect(SAME);
            let mut batches = writer.batches(b"SADD", key, set.len(), 1);
            set.for_each(|item| batches.add(|out| push(out, item)));
        }
        Type::Zset => {
            let zset = entry.zset().expect(SAME);
            let mut batches = writer.batches(b"ZADD", key, zset.len(), 2);
            zset.walk(0..zset.len(), false, |member, score| {
                batches.add(|out| {
                    let mut text = [0; crate::base::num::F64_TEXT_MAX];
                    encode::bulk(out, crate::base::num::format_f64_shortest(&mut text, score));
                    push(out, member);
                });
            });
        }
        Type::Hash => {
            let hash = entry.hash().expect(SAME);
            let mut batches = writer.batches(b"HMSET", key, hash.len(), 2);
            hash.for_each(|field, value, _| {
                batches.add(|out| {
                    push(out, field);
                    push(out, value);
                });
            });
            hash.for_each(|field, _, expiry| {
                if let Some(at) = expiry {
                    let mut digits = itoa::Buffer::new();
                    let field = field.bytes(&mut digits);
                    let at = at.to_string();
                    let at = at.as_bytes();
                    writer.command(&[b"HPEXPIREAT", key, at, b"FIELDS", b"1", field]);
                }
            });
        }
        Type::Stream => {
            let stream = entry.stream().expect(SAME);
            write_log(writer, key, &stream.log);
            write_groups(writer, key, &stream.groups);
        }
    }
    if let Some(at) = entry.expiry() {
        writer.command(&[b"PEXPIREAT", key, at.to_string().as_bytes()]);
    }
}

/// The entries of a stream, and what it remembers of others.
fn write_log<W: Write>(writer: &mut Commands<'_, W>, key: &[u8], log: &Log) {
    for entry in log.range(StreamId::MIN, StreamId::MAX) {
        let out = &mut writer.buffer;
        encode::header(out, b'*', 3 + 2 * entry.len());
        encode::bulk(out, b"XADD");
        encode::bulk(out, key);
        encode::bulk(out, id(entry.id).as_bytes());
        for (name, value) in entry.fields() {
            push(out, name);
            push(out, value);
        }
        writer.seal_if_large();
    }
    let last = id(log.last_id());
    if log.is_empty() {
        // An entry that is trimmed at once makes a stream without any.
        let added = if log.last_id().is_zero() {
            id(StreamId::new(0, 1))
        } else {
            last.clone()
        };
        let added = added.as_bytes();
        writer.command(&[b"XADD", key, b"MAXLEN", b"0", added, b"x", b"y"]);
    }
    let count = log.entries_added().to_string();
    let deleted = id(log.max_deleted_id());
    writer.command(&[
        b"XSETID",
        key,
        last.as_bytes(),
        b"ENTRIESADDED",
        count.as_bytes(),
        b"MAXDELETEDID",
        deleted.as_bytes(),
    ]);
}

fn write_groups<W: Write>(writer: &mut Commands<'_, W>, key: &[u8], groups: &Groups) {
    for (name, group) in groups.iter() {
        let last = id(group.last_id());
        let read = group.entries_read();
        let read = read.map_or_else(|| "-1".to_string(), |read| read.to_string());
        writer.command(&[
            b"XGROUP",
            b"CREATE",
            key,
            name,
            last.as_bytes(),
            b"ENTRIESREAD",
            read.as_bytes(),
        ]);
        for (_, consumer) in group.consumers() {
            writer.command(&[b"XGROUP", b"CREATECONSUMER", key, name, consumer.name()]);
        }
        for (entry, nack) in group.pending(StreamId::MIN) {
            let entry = id(entry);
            let time = nack.delivery_time_ms.to_string();
            let count = nack.delivery_count.to_string();
            writer.command(&[
                b"XCLAIM",
                key,
                name,
                group.consumer(nack.consumer).name(),
                b"0",
                entry.as_bytes(),
                b"TIME",
                time.as_bytes(),
                b"RETRYCOUNT",
                count.as_bytes(),
                b"JUSTID",
                b"FORCE",
            ]);
        }
    }
}

fn id(id: StreamId) -> String {
    format!("{}-{}", id.ms, id.seq)
}

/// Appends an element as an argument.
fn push(out: &mut Vec<u8>, item: Item<'_>) {
    encode::bulk(out, item.bytes(&mut itoa::Buffer::new()));
}

/// Commands on their way to a writer.
struct Commands<'a, W> {
    out: &'a mut W,
    /// What is not sealed and written yet.
    buffer: Vec<u8>,
    checksums: bool,
    /// Why nothing more is written.
    error: Option<io::Error>,
}

impl<W: Write> Commands<'_, W> {
    fn command(&mut self, argv: &[&[u8]]) {
        encode::command(&mut self.buffer, argv.iter().copied());
        self.seal_if_large();
    }

    /// Commands that begin with a name and a key and have items behind it, each of so many arguments, some at a time.
    fn batches<'b>(
        &'b mut self,
        name: &'static [u8],
        key: &'b [u8],
        items: usize,
        arguments: usize,
    ) -> Batches<'b, W>
    where
        Self: 'b,
    {
        Batches {
            buffer: &mut self.buffer,
            out: self.out,
            error: &mut self.error,
            checksums: self.checksums,
            head: [name, key],
            items_left: items,
            batch_left: 0,
            arguments,
        }
    }

    fn seal_if_large(&mut self) {
        if self.buffer.len() >= SEAL_BYTES {
            self.seal();
        }
    }

    fn seal(&mut self) {
        seal(&mut self.buffer, self.out, self.checksums, &mut self.error);
    }
}

/// Writes what is in the buffer, with its checksum.
fn seal<W: Write>(
    buffer: &mut Vec<u8>,
    out: &mut W,
    checksums: bool,
    error: &mut Option<io::Error>,
) {
    if !buffer.is_empty() && error.is_none() {
        if checksums {
            annotation::seal(buffer, 0);
        }
        *error = out.write_all(buffer).err();
    }
    buffer.clear();
    buffer.shrink_to(BUFFER_KEPT_MAX);
}

/// A collection in commands of some items each.
struct Batches<'a, W> {
    buffer: &'a mut Vec<u8>,
    out: &'a mut W,
    error: &'a mut Option<io::Error>,
    checksums: bool,
    head: [&'a [u8]; 2],
    items_left: usize,
    batch_left: usize,
    arguments: usize,
}

impl<W: Write> Batches<'_, W> {
    /// Adds an item, whose arguments `push` appends.
    fn add(&mut self, push: impl FnOnce(&mut Vec<u8>)) {
        if self.batch_left == 0 {
            if self.buffer.len() >= SEAL_BYTES {
                seal(self.buffer, self.out, self.checksums, self.error);
            }
            self.batch_left = self.items_left.min(BATCH);
            self.items_left -= self.batch_left;
            let arguments = self.head.len() + self.batch_left * self.arguments;
            encode::header(self.buffer, b'*', arguments);
            for argument in self.head {
                encode::bulk(self.buffer, argument);
            }
        }
        self.batch_left -= 1;
        push(self.buffer);
    }
}
