//! Cinnabar, a Redis-compatible in-memory data-structure server.

#[global_allocator]
static ALLOCATOR: base::alloc::Counting = base::alloc::Counting;

pub mod base;
pub mod data;
pub mod resp;
pub mod server;
