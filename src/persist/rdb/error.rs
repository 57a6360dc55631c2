//! What goes wrong between a keyspace and its bytes.

use std::fmt;
use std::io;

/// Why a snapshot could not be written.
#[derive(Debug)]
pub enum SaveError {
    /// The writer failed.
    Io(io::Error),
    /// The chosen version of the format cannot hold what a key holds. Nothing was written.
    Unrepresentable {
        /// The key's database.
        db: usize,
        /// The key.
        key: Box<[u8]>,
        /// What the version cannot hold.
        why: &'static str,
    },
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaveError::Io(error) => error.fmt(f),
            SaveError::Unrepresentable { db, key, why } => {
                write!(f, "key '{}' of database {db}: {why}", key.escape_ascii())
            }
        }
    }
}

impl std::error::Error for SaveError {}

impl From<io::Error> for SaveError {
    fn from(error: io::Error) -> SaveError {
        SaveError::Io(error)
    }
}

/// Why a snapshot could not be read.
#[derive(Debug)]
pub struct LoadError {
    /// About where: how many bytes had been read.
    pub offset: u64,
    /// The key that was being read.
    pub key: Option<Box<[u8]>>,
    /// Whether the snapshot ends too early, rather than being wrong.
    pub is_truncated: bool,
    /// What was wrong.
    pub what: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.what, self.offset)?;
        if let Some(key) = &self.key {
            write!(f, ", reading key '{}'", key.escape_ascii())?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

/// Why a payload of DUMP was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RestoreError {
    /// It is of a version that is not known, or was changed on the way.
    BadChecksumOrVersion,
    /// It is none, though it says so.
    BadFormat,
}
