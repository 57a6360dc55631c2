//! The server around the keyspace.

pub mod config;
pub mod crash;
pub mod log;
pub mod supervise;
