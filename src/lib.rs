//! Cinnabar, a Redis-compatible in-memory data-structure server.
//!
//! This is the architecture in prose; each module's head says what it owns, and `tests/tidy.rs` holds
//! the tree to it.
//!
//! # Layers
//!
//! Uses point down only: `net` and `commands`, which never see each other, use `server`, and `commands` use
//! `script` above it; `server` uses `persist`, that `keyspace`, that `data`, that `base`. `resp` stands beside
//! them and sees only `base`. `main` wires the whole.
//!
//! - [`base`]: numbers, patterns, clocks, randomness, the keyed hash, the two allocators, and behind
//!   [`base::sys`] every system call that Rust's library does not make for us.
//! - [`data`]: structures that know nothing of a server; first of all the hash [`table`](data::table)
//!   of 64-byte buckets that grows by one bucket at a time. On it stand the big set, hash and sorted set
//!   ([`members`](data::members), [`fields`](data::fields), [`sorted`](data::sorted), the last with a counted
//!   B+ tree beside it), with one allocation an element. Small collections are runs of bytes, equal to
//!   Redis's: the [`listpack`](data::listpack) and the [`intset`](data::intset); a big list is a
//!   [`quicklist`](data::quicklist) of listpacks, and a [`stream`](data::stream) keeps its entries in listpacks
//!   too, with its groups beside them.
//! - [`keyspace`]: an [`entry`](keyspace::entry) is one allocation of header, expiry, key and value; a
//!   [`db`](keyspace::db) is a table of entries; [`effects`](keyspace::effects) are what a command says
//!   it did. A file a type ([`list`](keyspace::list), [`set`](keyspace::set), [`hash`](keyspace::hash),
//!   [`zset`](keyspace::zset)) hides its forms from the commands: *packed* in the entry, or *big* behind a
//!   pointer. A command changes a collection through [`Db::edit`](keyspace::Db::edit), which takes it out
//!   of its entry and puts it back in whichever form it has then.
//! - [`persist`]: the files. [`rdb`](persist::rdb) writes and reads snapshots of every version, and looks closely
//!   at what it reads; [`aof`](persist::aof) is the parts of the append-only file, their manifest, and the thread
//!   that brings them to the disk.
//! - [`resp`]: requests are cut in place, replies are written once, into one buffer for many clients.
//! - [`server`]: state and configuration, clients, the declarative [`command`](server::command), the
//!   [`gate`](server::gate) where every reason to refuse a request is checked once, and
//!   [`exec`](server::exec), the one place where a handler runs.
//! - [`script`]: Lua in a sandbox, which calls commands through [`server::scripting`] and the gate.
//! - [`commands`]: a file a family; a file is a table of entries and their handlers.
//! - [`net`]: sockets, listeners and the event loop. What the bytes mean is not its business.
//!
//! # The way of a request
//!
//! One thread runs every command. An iteration of the event loop drains each ready socket into a
//! shared buffer. `resp::request` cuts that into requests whose arguments are spans of the buffer;
//! `net::batch` looks up each one's command, hashes its keys, and has the processor fetch their
//! buckets and entries in groups while earlier requests run. `gate::admit` lets a request pass, refuses
//! or postpones it: one bit set says whether anything is unusual enough to look closer. `exec::call`
//! runs the handler. A handler of the keyspace sees a `DataCx` (databases, reply, effects, the time of
//! this command) and nothing else; it edits the keyspace, writes its reply and states its effects. An
//! error is returned, not written, so its text is counted and sent in one place. One reading of the
//! cycle counter ends a command and begins the next. When the ready sockets were read, or much has gathered,
//! each client is sent its part of the replies in one call; what its socket does not take is queued with the
//! client. A large request is read into a buffer of its own, and its value stays there
//! ([`DataCx::value`](server::cx::DataCx::value)).
//!
//! A handler that finds nothing may wish to wait: its client is parked under the keys it waits for
//! ([`server::blocked`]), and whoever makes one of them come to be has its request run again, after their own.
//! What the events of a command lead to is carried out in one place ([`server::reactions`]): notifications are
//! published ([`server::pubsub`]), watched keys are touched ([`server::watch`]), cached ones invalidated
//! ([`server::tracking`]). What other clients are sent because of it finds its place among their replies
//! ([`server::deliveries`]). Inside MULTI the gate has a request queued; EXEC runs the queue through the same
//! `exec::call` ([`server::multi`]). A script runs as its client: each of its commands is admitted by
//! `gate::admit_in_script` and run by `exec::call`, its reply read from a buffer into values of Lua. A script that
//! runs for too long has the event loop serve others between two of its instructions
//! ([`server::scripting`]); so that none of them waits behind it unseen, the batch with a script in it ends there.
//!
//! # What survives
//!
//! What a command did is stated in its effects as commands that repeat it: as it was received, or rewritten.
//! `exec` has [`server::propagate`] encode them, once, behind what came before; a transaction or a script is one
//! *unit*, which stands between MULTI and EXEC if it has several. Before the replies of a batch are sent,
//! [`server::aof`] writes what was gathered; another thread brings it to the disk. Under `appendfsync always` the
//! replies of those who wrote wait for that thread, and what is written meanwhile goes to the disk in one go
//! with the next call.
//!
//! Snapshots and new bases of the append-only file are written by a child process ([`server::children`]), each
//! to a file of its own that takes the old one's place when it is whole and on the disk
//! ([`persist::rdb`], [`server::snapshot`], [`server::aof::rewrite`]). Loading is a state of the
//! server: the event loop goes a step on with it between two looks at the sockets ([`server::loading`]); commands
//! of a file run without gate, count or listener ([`server::aof::replay`]).
//!
//! # Invariants
//!
//! - A key is hashed once a request, and looked at in one chain of buckets, mostly a single one, and one entry.
//! - GET, SET and their like allocate nothing but what the data set keeps; `tests/allocations.rs` counts.
//! - No step of the table is proportional to its size: the table grows and shrinks by single
//!   buckets, and what is too big to free at once goes to a thread that only frees, whether or not the
//!   command asked for that.
//! - A client that waits for a key costs nothing until that key comes to be, and a key that is to expire nothing
//!   until its time; nobody waits for more than a millisecond while keys are deleted whose time has come
//!   ([`server::expire_cycle`]).
//! - A client owns a buffer only while a request of its is incomplete (and until the next upkeep) or a
//!   reply unsent, and limits bound both.
//! - `used_memory` is the sum of two exact counters: the global allocator's and the slab heap's.
//! - Nothing is acknowledged before it is written to the append-only file, and under `always` before it is on the
//!   disk; nothing is propagated by halves.
//! - A file is replaced as a whole: written beside, brought to the disk, renamed.
//! - Handlers of the keyspace never read a clock: the time of the command is passed to them.

pub mod base;
pub mod commands;
pub mod data;
pub mod keyspace;
pub mod net;
pub mod persist;
pub mod resp;
pub mod script;
pub mod server;

#[global_allocator]
static ALLOCATOR: base::alloc::Counting = base::alloc::Counting;
