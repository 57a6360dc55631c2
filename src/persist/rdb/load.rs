//! Reads a snapshot into a keyspace, step by step.

use super::error::LoadError;
use crate::data::quicklist;
use crate::keyspace::{Keyspace, hash, set, zset};
use std::io::Read;

/// What decides in which form a collection is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of lists.
    pub list: quicklist::Options,
    /// Of sets.
    pub set: set::Limits,
    /// Of hashes.
    pub hash: hash::Limits,
    /// Of sorted sets.
    pub zset: zset::Limits,
}

/// How a snapshot is read.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// The time, in milliseconds of the Unix clock.
    pub now_ms: i64,
    /// Whether keys that have expired are left out, as a primary does.
    pub drop_expired: bool,
    /// The forms of collections.
    pub limits: Limits,
    /// The access clock of keys of whose use nothing is said.
    pub access: u32,
    /// Whether access clocks hold LFU minutes and counters rather than LRU seconds.
    pub lfu: bool,
    /// How many bytes there are to read, if that is known: claims beyond it are refused at once, and
    /// tables are made large enough ahead.
    pub size_hint: Option<u64>,
}

/// A snapshot being read.
pub struct Loader<R> {
    reader: R,
}

/// What a step of reading has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// There is more to read.
    More,
    /// The snapshot's end was read, and its checksum was right.
    Done(Loaded),
}

/// What was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Loaded {
    /// Keys that are in the keyspace now.
    pub keys: u64,
    /// Keys left out because they had expired.
    pub expired: u64,
    /// Bytes of the snapshot, the checksum included.
    pub bytes: u64,
    /// The version of the format.
    pub version: u32,
}

impl<R: Read> Loader<R> {
    /// Begins to read; nothing is read yet.
    pub fn new(reader: R, _options: LoadOptions) -> Loader<R> {
        Loader { reader }
    }

    /// Reads about so many bytes more, at least a key. After an error there is nothing more to be read.
    pub fn step(&mut self, _keyspace: &mut Keyspace, _budget: u64) -> Result<Step, LoadError> {
        Err(LoadError {
            offset: 0,
            key: None,
            is_truncated: false,
            what: String::new(),
        })
    }

    /// How many bytes of the snapshot were read.
    pub fn offset(&self) -> u64 {
        0
    }

    /// The names and values at its beginning, as far as it was read.
    pub fn aux(&self) -> &[(Box<[u8]>, Box<[u8]>)] {
        &[]
    }

    /// The sources of function libraries, as far as it was read.
    pub fn functions(&self) -> &[Box<[u8]>] {
        &[]
    }

    /// The reader, and the bytes that were taken from it beyond the snapshot's end: what comes behind a
    /// snapshot that an append-only file begins with.
    pub fn into_rest(self) -> (Vec<u8>, R) {
        (Vec::new(), self.reader)
    }
}
