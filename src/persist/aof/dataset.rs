//! The data set as commands: a base for readers that do not know snapshots.

use crate::keyspace::Keyspace;
use std::io::{self, Write};

/// How the data set is written.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// The time to begin with, in seconds of the Unix clock.
    pub timestamp: Option<i64>,
}

/// Writes the whole keyspace. `progress` is told the keys written so far.
pub fn write<W: Write>(
    _keyspace: &Keyspace,
    _functions: &[Box<[u8]>],
    _out: &mut W,
    _options: &Options,
    _progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    if _keyspace.iter().all(|db| db.is_empty()) {
        return Ok(());
    }
    Err(io::ErrorKind::Unsupported.into())
}
