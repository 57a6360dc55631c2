//! The commands, a file a family: a table of entries, and their handlers.

mod aof;
mod args;
mod bitfield;
mod bitmap;
mod client;
mod cluster;
mod command;
mod config;
mod connection;
mod debug;
mod draws;
mod dump;
mod expire;
mod families;
mod flush;
mod functions;
mod generic;
mod geo;
mod hash;
mod help;
mod hyperloglog;
mod items;
mod latency;
mod list;
mod lolwut;
mod memory;
mod migrate;
mod module;
mod object;
mod persistence;
mod pubsub;
mod scan;
mod scan_options;
mod scripting;
mod server;
mod set;
mod slowlog;
mod sort;
mod stream;
mod string;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod testing;
mod transactions;
mod waiting;
mod zset;

pub use families::{FAMILIES, exists};
