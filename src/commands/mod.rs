//! The commands, a file a family: a table of entries, and their handlers.

use crate::server::command::Command;

mod args;
mod bitfield;
mod bitmap;
mod client;
mod command;
mod config;
mod connection;
mod debug;
mod expire;
mod flush;
mod generic;
mod help;
mod latency;
mod lolwut;
mod memory;
mod module;
mod object;
mod scan;
mod server;
mod slowlog;
mod string;
#[cfg(test)]
mod table_tests;

/// All families' tables.
pub static FAMILIES: &[&[Command]] = &[
    generic::COMMANDS,
    expire::COMMANDS,
    scan::COMMANDS,
    object::COMMANDS,
    string::COMMANDS,
    bitmap::COMMANDS,
    bitfield::COMMANDS,
    connection::COMMANDS,
    server::COMMANDS,
    config::COMMANDS,
    command::COMMANDS,
    slowlog::COMMANDS,
    latency::COMMANDS,
    memory::COMMANDS,
    module::COMMANDS,
    lolwut::COMMANDS,
    flush::COMMANDS,
    debug::COMMANDS,
];

/// Whether there is a command of this name, in any case.
pub fn exists(name: &[u8]) -> bool {
    let mut all = FAMILIES.iter().copied().flatten();
    all.any(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
}
