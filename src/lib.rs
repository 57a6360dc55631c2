//! Cinnabar, a Redis-compatible in-memory data-structure server.

pub mod base;
pub mod data;
pub mod resp;
pub mod server;
