//! Writes a keyspace as a snapshot.

use super::error::SaveError;
use super::format::Version;
use crate::keyspace::Keyspace;
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
    /// The time, in milliseconds of the Unix clock.
    pub now_ms: i64,
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
    _keyspace: &Keyspace,
    _out: &mut W,
    _options: &SaveOptions<'_>,
    _progress: &mut dyn FnMut(Progress),
) -> Result<Saved, SaveError> {
    Err(SaveError::Io(std::io::ErrorKind::Unsupported.into()))
}
