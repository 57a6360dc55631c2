//! The server around the keyspace: its state, its clients, and the way of a command through it.

pub mod apply;
pub mod args;
pub mod client;
pub mod client_info;
pub mod command;
pub mod config;
pub mod crash;
pub mod cron;
pub mod cx;
pub mod exec;
pub mod gate;
pub mod histogram;
pub mod info;
pub mod keyspecs;
pub mod latency;
pub mod limits;
pub mod log;
pub mod memory;
pub mod monitor;
pub mod pause;
pub mod registry;
pub mod slowlog;
pub mod state;
pub mod stats;
pub mod supervise;
pub mod usage;
