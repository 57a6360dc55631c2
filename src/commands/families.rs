//! The families' tables, all together.

use crate::server::command::Command;

/// All families' tables.
pub static FAMILIES: &[&[Command]] = &[
    super::generic::COMMANDS,
    super::expire::COMMANDS,
    super::scan::COMMANDS,
    super::object::COMMANDS,
    super::dump::COMMANDS,
    super::migrate::COMMANDS,
    super::string::COMMANDS,
    super::list::COMMANDS,
    super::set::COMMANDS,
    super::sort::COMMANDS,
    super::hash::COMMANDS,
    super::hash::expiry::COMMANDS,
    super::zset::COMMANDS,
    super::geo::COMMANDS,
    super::stream::COMMANDS,
    super::bitmap::COMMANDS,
    super::bitfield::COMMANDS,
    super::hyperloglog::COMMANDS,
    super::transactions::COMMANDS,
    super::scripting::COMMANDS,
    super::functions::COMMANDS,
    super::connection::COMMANDS,
    super::pubsub::COMMANDS,
    super::server::COMMANDS,
    super::persistence::COMMANDS,
    super::config::COMMANDS,
    super::command::COMMANDS,
    super::slowlog::COMMANDS,
    super::latency::COMMANDS,
    super::memory::COMMANDS,
    super::module::COMMANDS,
    super::lolwut::COMMANDS,
    super::flush::COMMANDS,
    super::debug::COMMANDS,
    super::aof::COMMANDS,
    super::waiting::COMMANDS,
    super::cluster::COMMANDS,
];

/// Whether there is a command of this name, in any case.
pub fn exists(name: &[u8]) -> bool {
    let mut all = FAMILIES.iter().copied().flatten();
    all.any(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
}
