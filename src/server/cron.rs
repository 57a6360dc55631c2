//! What happens by the clock: sampling, expiry, idle clients, the end of pauses, signals.

use crate::base::{alloc, clock, sys};
use crate::keyspace::Db;
use crate::keyspace::expire::{self, Found};
use crate::server::aof;
use crate::server::blocked;
use crate::server::children;
use crate::server::gate;
use crate::server::info;
use crate::server::reactions;
use crate::server::shutdown;
use crate::server::snapshot;
use crate::server::state::Server;
use crate::server::stats::Counters;
use crate::server::tracking;
use crate::server::upkeep;

/// Rates are sampled this often.
const SAMPLE_MS: i64 = 100;
/// What a crash report shows of INFO is at most this old.
const INFO_KEPT_MS: i64 = 5_000;

/// While a pause is in force or the data set is loaded, it does not change by the clock.
const AT_REST: u32 = gate::unusual::PAUSED | gate::unusual::LOADING;

/// Runs what is due, and says in how many milliseconds to come back.
pub fn run(server: &mut Server) -> i64 {
    let now_ms = server.now_ms();
    let began_us = clock::mono_us();
    check_signals(server);
    if server.unusual & gate::unusual::PAUSED != 0 {
        server.pause_is_over();
    }
    if !server.cron_paused {
        sample(server, now_ms);
        children::check(server);
        snapshot::begin_if_due(server);
        aof::rewrite::check(server);
        aof::flush(server);
        let is_at_rest = server.unusual & AT_REST != 0;
        if server.active_expire && !is_at_rest {
            expire_cycle(server);
            expire_fields(server);
            reactions::run_unasked(server);
            blocked::serve(server);
        }
        if server.unusual & gate::unusual::TRACKING_FULL != 0 {
            tracking::limit(server);
        }
        if server.eviction_is_due && !is_at_rest {
            server.make_room();
        }
        upkeep::visit_some(server, runs_a_second(server));
        server.peers.close_idle(now_ms);
        give_memory_back(server, now_ms);
        if now_ms - server.info_kept_ms >= INFO_KEPT_MS {
            server.info_kept_ms = now_ms;
            info::remember(server);
        }
    }
    server.stats.cron_us += clock::mono_us() - began_us;
    1000 / runs_a_second(server) as i64
}

/// Takes back what the freeing thread freed, for at most a millisecond, and returns to the system what
/// has been free for a while.
fn give_memory_back(server: &mut Server, now_ms: i64) {
    const BUDGET_US: u64 = 1000;
    let began_us = clock::mono_us();
    while crate::base::slab::collect(8) && clock::mono_us() - began_us < BUDGET_US {}
    if now_ms - server.decayed_ms >= 1000 {
        server.decayed_ms = now_ms;
        alloc::decay();
    }
}

fn runs_a_second(server: &Server) -> usize {
    server.config.hz.clamp(1, 500) as usize
}

/// Whether a signal asked for an end.
pub fn check_signals(server: &mut Server) {
    // The request stays pending: a second interrupt then ends the process at once.
    if server.shutdown.is_none()
        && !server.cron_paused
        && let Some(signal) = sys::stop_signal()
    {
        let (name, wanted) = match signal {
            sys::StopSignal::Interrupt => ("SIGINT", server.config.shutdown_on_sigint),
            sys::StopSignal::Terminate => ("SIGTERM", server.config.shutdown_on_sigterm),
        };
        tracing::warn!("Received {name} scheduling shutdown...");
        // If it cannot be, the log says why.
        let _ = shutdown::begin(server, wanted, None);
    }
}

fn sample(server: &mut Server, now_ms: i64) {
    let used = alloc::used_memory();
    if used > server.stats.memory_peak {
        server.stats.memory_peak = used;
        server.stats.memory_peak_at_ms = now_ms;
    }
    if now_ms - server.sampled_ms >= SAMPLE_MS {
        server.sampled_ms = now_ms;
        clock::recalibrate();
        if now_ms - server.zone_read_ms >= 60_000 {
            server.zone_read_ms = now_ms;
            clock::refresh_zone();
        }
        let counters = Counters {
            commands: server.stats.commands,
            bytes_in: server.stats.bytes_in,
            bytes_out: server.stats.bytes_out,
            loops: server.stats.loops,
            loop_us: server.stats.loop_us,
        };
        server.stats.rates.sample(clock::unix_us(), counters);
    }
}

/// How long a cycle may look for what has expired: a quarter of the time, and up to 18 % more with
/// effort, as Redis has it.
fn expire_budget_us(server: &Server) -> u64 {
    let effort = server.config.active_expire_effort as u64 - 1;
    (25 + 2 * effort) * 10_000 / runs_a_second(server) as u64
}

/// Deletes expired fields of hashes for a bounded share of the time between two runs.
fn expire_fields(server: &mut Server) {
    /// Fields between two looks at the clock.
    const FIELDS: usize = 64;
    // Half of what keys get: they had their turn in this run already.
    let budget_us = expire_budget_us(server) / 2;
    let began = clock::mono_us();
    let now_ms = server.now_ms();
    for db in 0..server.keyspace.count() {
        while let Some(found) = expire::take_fields(&mut server.keyspace, db, now_ms, FIELDS) {
            server.stats.keyspace.expired_fields += found.fields.len() as u64;
            server.effects.fields_expired(db, &found.key, found.fields);
            if found.emptied {
                server.effects.emptied(db, &found.key);
            }
            if clock::mono_us() - began > budget_us {
                server.stats.expire_cycles_cut_short += 1;
                return;
            }
        }
    }
}

/// Deletes expired keys for a bounded share of the time between two runs.
fn expire_cycle(server: &mut Server) {
    let budget_us = expire_budget_us(server);
    let began = clock::mono_us();
    let now_ms = server.now_ms();
    let (mut sampled, mut stale) = (0, 0);
    let mut is_late = false;
    let count = server.keyspace.count();
    let first = server.expire_db;
    for index in (first..count).chain(0..first) {
        while !is_late && let Some(found) = expire::step(server.keyspace.db_mut(index), now_ms) {
            delete_all_expired(server, index, &found, now_ms);
            is_late = clock::mono_us() - began > budget_us;
            if is_late {
                // Others have their turn first in the next run.
                server.expire_db = (index + 1) % count;
            }
        }
        let found = expire::sample(server.keyspace.db_mut(index), now_ms);
        delete_all_expired(server, index, &found, now_ms);
        note_average_ttl(server.keyspace.db_mut(index), &found);
        sampled += found.sampled;
        stale += found.expired.len();
    }
    if is_late {
        server.stats.expire_cycles_cut_short += 1;
    }
    if sampled > 0 {
        let percent = stale as f64 * 100.0 / sampled as f64;
        server.stats.expired_stale_percent =
            percent * 0.05 + server.stats.expired_stale_percent * 0.95;
    }
    let took_us = clock::mono_us() - began;
    server.stats.expire_cycle_us += took_us;
    server.note_latency("expire-cycle", took_us);
}

/// Brings the average time to live up to date by a sample of the keys.
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

fn delete_all_expired(server: &mut Server, db: usize, found: &Found, now_ms: i64) {
    for key in &found.expired {
        delete_expired(server, db, key, now_ms);
    }
}

fn delete_expired(server: &mut Server, db: usize, key: &[u8], now_ms: i64) {
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
