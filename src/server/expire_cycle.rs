//! Active expiry: deletes what has expired though nobody asks for it, in its share of the time.
//!
//! The clock begins a cycle as often as `hz` says. It works for a slice of at most [`SLICE_US`], which is as long as
//! clients wait for it. If it is not through then, it goes on between their requests, a slice now and then, so that
//! all slices together take the share that `active-expire-effort` allows: a million keys that expire at once are
//! gone soon, and nobody has to wait for more than a slice of that.
//!
//! What is looked at, and in what order, is the keyspace's business ([`crate::keyspace::expire`]).

use crate::base::clock;
use crate::keyspace::Db;
use crate::keyspace::expire::{self, Found};
use crate::server::blocked;
use crate::server::cron;
use crate::server::reactions;
use crate::server::state::Server;

/// The longest time without a pause.
const SLICE_US: u64 = 1000;

/// How far the cycle is.
#[derive(Default)]
pub struct ExpireCycle {
    /// The database to begin with.
    first_db: usize,
    /// The same for the fields of its hashes.
    first_fields_db: usize,
    /// When it goes on, in microseconds of the Unix clock, if it was not through.
    resumes_us: Option<i64>,
}

impl ExpireCycle {
    /// When it is to go on, in microseconds of the Unix clock, if it was not through.
    #[inline]
    pub fn resumes_us(&self) -> Option<i64> {
        self.resumes_us
    }
}

/// Begins a cycle, which the clock does.
pub fn run(server: &mut Server) {
    server.expire_cycle.resumes_us = None;
    if server.active_expire && !server.is_at_rest() {
        slice(server);
        take_samples(server);
    }
}

/// Goes on with a cycle that is not through, if it is time to.
#[inline]
pub fn go_on(server: &mut Server) {
    let resumes_us = server.expire_cycle.resumes_us;
    if resumes_us.is_some_and(|at| server.now_us() >= at) {
        server.expire_cycle.resumes_us = None;
        if server.active_expire && !server.is_at_rest() && !server.cron_paused {
            slice(server);
        }
    }
}

/// The share of the time that looking for what has expired may take, in percent: a quarter, and up to 18 % more
/// with effort, as Redis has it.
fn share_percent(server: &Server) -> u64 {
    25 + 2 * (server.config.active_expire_effort as u64 - 1)
}

/// Deletes for a slice, and decides when to go on.
fn slice(server: &mut Server) {
    let share = share_percent(server);
    let budget_us = SLICE_US.min(share * 10_000 / cron::runs_a_second(server) as u64);
    let began = clock::mono_us();
    let now_ms = server.now_ms();
    let is_through = expire_keys(server, now_ms, began + budget_us)
        // They had no turn in this slice otherwise.
        & expire_fields(server, now_ms, clock::mono_us() + budget_us / 2);
    reactions::run_unasked(server);
    blocked::serve(server);
    let took_us = clock::mono_us() - began;
    if !is_through {
        server.stats.expire_cycles_cut_short += 1;
        let pause_us = took_us * (100 - share) / share;
        server.expire_cycle.resumes_us = Some(server.now_us() + (took_us + pause_us) as i64);
    }
    server.stats.expire_cycle_us += took_us;
    server.note_latency("expire-cycle", took_us);
}

/// Deletes expired keys until a time of the monotonic clock; says whether that was enough.
fn expire_keys(server: &mut Server, now_ms: i64, until_us: u64) -> bool {
    let count = server.keyspace.count();
    let first = server.expire_cycle.first_db;
    for index in (first..count).chain(0..first) {
        while let Some(found) = expire::step(server.keyspace.db_mut(index), now_ms) {
            delete_all(server, index, &found, now_ms);
            if clock::mono_us() > until_us {
                // Others have their turn first when it goes on.
                server.expire_cycle.first_db = (index + 1) % count;
                return false;
            }
        }
    }
    true
}

/// Deletes expired fields of hashes until a time of the monotonic clock; says whether that was enough.
fn expire_fields(server: &mut Server, now_ms: i64, until_us: u64) -> bool {
    /// Fields between two looks at the clock.
    const FIELDS: usize = 64;
    let count = server.keyspace.count();
    let first = server.expire_cycle.first_fields_db;
    for db in (first..count).chain(0..first) {
        while let Some(found) = expire::take_fields(&mut server.keyspace, db, now_ms, FIELDS) {
            server.stats.keyspace.expired_fields += found.fields.len() as u64;
            server.effects.fields_expired(db, &found.key, found.fields);
            if found.emptied {
                server.effects.emptied(db, &found.key);
            }
            if clock::mono_us() > until_us {
                server.expire_cycle.first_fields_db = (db + 1) % count;
                return false;
            }
        }
    }
    true
}

/// Brings up to date what INFO says of all keys by a few of them.
fn take_samples(server: &mut Server) {
    let now_ms = server.now_ms();
    let (mut sampled, mut stale) = (0, 0);
    for index in 0..server.keyspace.count() {
        let found = expire::sample(server.keyspace.db_mut(index), now_ms);
        delete_all(server, index, &found, now_ms);
        note_average_ttl(server.keyspace.db_mut(index), &found);
        sampled += found.sampled;
        stale += found.expired.len();
    }
    if stale > 0 {
        reactions::run_unasked(server);
    }
    if sampled > 0 {
        let percent = stale as f64 * 100.0 / sampled as f64;
        server.stats.expired_stale_percent =
            percent * 0.05 + server.stats.expired_stale_percent * 0.95;
    }
}

fn note_average_ttl(db: &mut Db, sample: &Found) {
    let count = sample.sampled as i64 - sample.expired.len() as i64;
    if db.volatile() == 0 {
        db.avg_ttl_ms = 0;
    } else if count > 0 {
        let average = sample.ttl_sum_ms / count;
        db.avg_ttl_ms = if db.avg_ttl_ms == 0 {
            average
        } else {
            db.avg_ttl_ms / 50 * 49 + average / 50
        };
    }
}

fn delete_all(server: &mut Server, db: usize, found: &Found, now_ms: i64) {
    for key in &found.expired {
        delete(server, db, key, now_ms);
    }
}

fn delete(server: &mut Server, db: usize, key: &[u8], now_ms: i64) {
    let key = server.keyspace.key(key);
    let lazily = server.config.lazyfree_lazy_expire;
    let watch = (server.config.latency_monitor_threshold != 0).then(clock::mono_us);
    if expire::delete(&mut server.keyspace, db, key, now_ms, lazily) {
        if let Some(began_us) = watch {
            server.note_latency("expire-del", clock::mono_us() - began_us);
        }
        server.stats.keyspace.expired += 1;
        server.effects.expired(db, key.bytes);
    }
}
