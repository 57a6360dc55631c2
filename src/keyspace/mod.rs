//! The keyspace: databases of entries, their expiry, and the effects that commands have on them.

pub mod db;
pub mod effects;
pub mod entry;
pub mod evict;
pub mod expire;
pub mod hash;
pub mod lazyfree;
pub mod list;
pub mod set;
pub mod stream;
pub mod value;
pub mod zset;

pub use db::{Db, Key, Keyspace};
pub use effects::Effects;
pub use entry::EntryRef;
