//! The families' tables, all together.

use super::{
    bitfield, bitmap, command, config, connection, debug, expire, flush, generic, hyperloglog,
    latency, lolwut, memory, module, object, scan, server, slowlog, string,
};
use crate::server::command::Command;

/// All families' tables.
pub static FAMILIES: &[&[Command]] = &[
    generic::COMMANDS,
    expire::COMMANDS,
    scan::COMMANDS,
    object::COMMANDS,
    string::COMMANDS,
    bitmap::COMMANDS,
    bitfield::COMMANDS,
    hyperloglog::COMMANDS,
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
