//! The RDB format: snapshots of a keyspace and the payloads of DUMP, written and read.
//!
//! - `format.rs` is the format's numbers: versions, opcodes, types, and how lengths are written.
//! - `save.rs` writes a keyspace; `encode.rs` one value; `sink.rs` is what both write into.
//! - `load.rs` reads a snapshot step by step; `decode.rs` and what is below it one value of any type that
//!   was ever written; `input.rs` is what they read from.
//! - `payload.rs` is a value alone, as DUMP and RESTORE exchange it.
//! - `check.rs` reads a snapshot only to say what is in it, and whether it is sound.
//! - `functions.rs` is libraries of functions alone, as FUNCTION DUMP and RESTORE exchange them.
//! - `error.rs` is what goes wrong.

mod check;
mod decode;
mod encode;
mod error;
mod format;
mod functions;
#[cfg(test)]
mod fuzz;
mod input;
mod load;
mod payload;
mod save;
mod sink;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use self::check::{CheckOptions, check};
pub use self::error::{LoadError, RestoreError, SaveError};
pub use self::format::{MAGIC_LEN, Version, is_snapshot};
pub use self::functions::{LibrariesError, dump_libraries, restore_libraries};
pub use self::load::{AuxField, Limits, LoadOptions, Loaded, Loader, Step};
pub use self::payload::{RestoreOptions, dump, restore};
pub use self::save::{AccessHints, Progress, SaveOptions, Saved, save};
