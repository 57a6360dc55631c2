//! The server as a whole, seen from its sockets, its files and its exit codes.
//!
//! Every test starts a server of its own on a free port. With the environment variable
//! `CINNABAR_TEST_SERVER=/path/to/redis-server` the same tests run against another server, which
//! shows that they ask for Redis's behaviour and not for ours; the few about what only Cinnabar has
//! (`--check-config`, bounded memory under attack) then do nothing.

mod aof;
mod blocking;
mod clients;
mod config;
mod dialogue;
mod expiry;
mod harness;
mod hash_expiry;
mod limits;
mod maxmemory;
mod misbehaving;
mod multi;
mod persistence;
mod process;
mod protocol;
mod pubsub;
mod pubsub_stress;
mod resp;
mod script_attacks;
mod scripting;
mod stream;
mod tracking;
