//! Cinnabar, a Redis-compatible in-memory data-structure server.

pub mod base;
pub mod commands;
pub mod data;
pub mod keyspace;
pub mod net;
pub mod resp;
pub mod server;
