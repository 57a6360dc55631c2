//! The commands, a file a family: a table of entries, and their handlers.

use crate::server::command::Command;

mod args;
mod connection;
mod string;

/// All families' tables.
pub static FAMILIES: &[&[Command]] = &[string::COMMANDS, connection::COMMANDS];
