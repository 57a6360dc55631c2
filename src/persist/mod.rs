//! What survives the process: snapshots in the RDB format, and the append-only file.

pub mod aof;
pub mod checksum;
pub mod files;
pub mod rdb;
