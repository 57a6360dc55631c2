//! A value alone: the payload that DUMP makes and RESTORE takes. It is the value's type and its bytes as
//! in a snapshot, the version of the format in two bytes, and a CRC-64 of all that.

use super::error::RestoreError;
use super::format::Version;
use super::load::Limits;
use crate::keyspace::EntryRef;
use crate::keyspace::value::Stored;

/// How a payload is taken.
#[derive(Clone, Copy, Debug)]
pub struct RestoreOptions {
    /// The time, in milliseconds of the Unix clock.
    pub now_ms: i64,
    /// The forms of collections.
    pub limits: Limits,
}

/// Adds the payload of an entry's value. A version that cannot hold it gives way to one that can.
pub fn dump(_entry: EntryRef<'_>, _out: &mut Vec<u8>, _version: Version) {}

/// The value of a payload.
pub fn restore(_payload: &[u8], _options: &RestoreOptions) -> Result<Restored, RestoreError> {
    Err(RestoreError::BadFormat)
}

/// A value that was read.
pub enum Restored {
    /// A string.
    String(Vec<u8>),
    /// A collection.
    Collection(Stored),
}
