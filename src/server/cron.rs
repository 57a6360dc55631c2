//! What happens by the clock: sampling, idle clients, the end of pauses, signals; expiry begins here.

use crate::base::{alloc, clock, sys};
use crate::server::aof;
use crate::server::children;
use crate::server::expire_cycle;
use crate::server::gate;
use crate::server::info;
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
        expire_cycle::run(server);
        if server.unusual & gate::unusual::TRACKING_FULL != 0 {
            tracking::limit(server);
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
    if server.gives_memory_back && now_ms - server.gave_back_ms >= 1000 {
        server.gave_back_ms = now_ms;
        alloc::give_back();
    }
}

/// How often the clock has its turn.
pub fn runs_a_second(server: &Server) -> usize {
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
