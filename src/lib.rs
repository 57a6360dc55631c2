//! Cinnabar, a Redis-compatible in-memory data-structure server.

#[global_allocator]
static ALLOCATOR: base::alloc::Counting = base::alloc::Counting;

pub mod base;
pub mod commands;
pub mod data;
pub mod keyspace;
pub mod net;
pub mod resp;
pub mod server;
