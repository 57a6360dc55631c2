//! Rewrites: a new base made by a child process while a new increment takes what happens meanwhile.

use crate::server::state::Server;

/// Rewrites and what came of them.
#[derive(Default)]
pub struct Rewrites {}

/// Gives up a rewrite in progress, and one that is to come.
pub fn cancel(_server: &mut Server) {}

/// Whether a child process is at work.
pub fn has_child(_server: &Server) -> bool {
    false
}
