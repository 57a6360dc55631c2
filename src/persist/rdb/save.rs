//! Writes a keyspace as a snapshot.

use super::encode::{self, lack};
use super::error::SaveError;
use super::format::{Version, opcode};
use super::sink::Sink;
use crate::keyspace::{Db, Keyspace};
use std::io::Write;

/// How a snapshot is written.
#[derive(Clone, Copy)]
pub struct SaveOptions<'a> {
    /// In which version of the format.
    pub version: Version,
    /// Whether strings are compressed (`rdbcompression`).
    pub compress: bool,
    /// Whether it ends in a checksum (`rdbchecksum`).
    pub checksum: bool,
    /// What is said of the use of keys.
    pub access: AccessHints,
    /// Names and values to begin with: what wrote it, when, its place in a replication stream.
    pub aux: &'a [(&'a str, String)],
    /// The sources of function libraries.
    pub functions: &'a [Box<[u8]>],
}

/// What a snapshot says of the use of keys, by `maxmemory-policy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessHints {
    /// Nothing.
    None,
    /// Since when each was not used. The access clocks of entries hold seconds of 24 bits, and this is
    /// the time now.
    Idle(u32),
    /// How often each is used: the counter in the low 8 bits of its access clock.
    Frequency,
}

/// How far a snapshot has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Keys written.
    pub keys: u64,
    /// Bytes given to the writer.
    pub bytes: u64,
}

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Saved {
    /// Keys.
    pub keys: u64,
    /// Bytes, the checksum included.
    pub bytes: u64,
}

/// Writes the whole keyspace. `progress` is told about every 256 KiB, after they went to the writer.
///
/// A version that cannot hold the data is found out before anything is written. The writer is not flushed.
pub fn save<W: Write>(
    keyspace: &Keyspace,
    out: &mut W,
    options: &SaveOptions<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Saved, SaveError> {
    let version = choose(keyspace, options.version)?;
    let mut sink = Sink::new(Some(out), options.checksum, options.compress, progress);
    sink.raw(version.magic());
    for (name, value) in options.aux {
        sink.byte(opcode::AUX);
        sink.string(name.as_bytes());
        sink.string(value.as_bytes());
    }
    for source in options.functions {
        sink.byte(opcode::FUNCTION);
        sink.string(source);
    }
    for (index, db) in keyspace.iter().enumerate() {
        if !db.is_empty() {
            write_db(&mut sink, index, db, version, options);
        }
    }
    sink.byte(opcode::END);
    let keys = sink.keys;
    let bytes = sink.finish()?;
    Ok(Saved { keys, bytes })
}

/// The version to write: the one that was asked for if it can hold the data, or the lowest that can.
fn choose(keyspace: &Keyspace, version: Version) -> Result<Version, SaveError> {
    let is_expiring = keyspace.iter().any(|db| db.volatile_hashes() > 0);
    match version {
        Version::Auto if is_expiring => Ok(Version::V12),
        Version::Auto => Ok(Version::V10),
        version if is_expiring && !version.has_field_expiry() => {
            let mut entries = keyspace.iter().enumerate().flat_map(|(index, db)| {
                let entries = db.iter();
                entries.filter_map(move |entry| Some((index, entry, lack(entry, version)?)))
            });
            let (db, entry, why) = entries.next().expect("a hash with fields that expire");
            let key = entry.key().into();
            Err(SaveError::Unrepresentable { db, key, why })
        }
        version => Ok(version),
    }
}

fn write_db(
    sink: &mut Sink<'_>,
    index: usize,
    db: &Db,
    version: Version,
    options: &SaveOptions<'_>,
) {
    sink.byte(opcode::SELECT);
    sink.len(index as u64);
    sink.byte(opcode::RESIZE);
    sink.len(db.len() as u64);
    sink.len(db.volatile() as u64);
    for entry in db.iter() {
        if let Some(at) = entry.expiry() {
            sink.byte(opcode::EXPIRY_MS);
            sink.time_ms(at);
        }
        match options.access {
            AccessHints::None => {}
            AccessHints::Idle(now) => {
                sink.byte(opcode::IDLE);
                sink.len(u64::from(now.wrapping_sub(entry.access()) & 0xff_ffff));
            }
            AccessHints::Frequency => sink.raw(&[opcode::FREQUENCY, entry.access() as u8]),
        }
        sink.byte(encode::kind_of(entry, version));
        sink.string(entry.key());
        encode::value(sink, entry, version);
        sink.keys += 1;
        if sink.has_failed() {
            return;
        }
    }
}
