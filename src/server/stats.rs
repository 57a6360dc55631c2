//! Counters that INFO reports and CONFIG RESETSTAT sets back.

use crate::resp::error::ErrorReply;
use std::collections::BTreeMap;

/// What lookups of keys count.
#[derive(Default)]
pub struct KeyspaceStats {
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Keys deleted because their time had come.
    pub expired: u64,
    /// Fields of hashes deleted because their time had come.
    pub expired_fields: u64,
    /// Keys deleted to make room.
    pub evicted: u64,
}

/// What the server counts.
#[derive(Default)]
pub struct Stats {
    /// Commands processed.
    pub commands: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused because of `maxclients`.
    pub rejected_connections: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Events that read from a socket.
    pub reads: u64,
    /// Events that wrote to one.
    pub writes: u64,
    /// Clients closed because their unsent replies grew too large.
    pub output_limit_disconnections: u64,
    /// Clients closed because all together took too much memory.
    pub evicted_clients: u64,
    /// Scripts of EVAL forgotten because there were too many.
    pub evicted_scripts: u64,
    /// Clients closed because their unfinished request grew too large.
    pub query_limit_disconnections: u64,
    /// Lookups.
    pub keyspace: KeyspaceStats,
    /// Times the expire cycle ended because its time was up.
    pub expire_cycles_cut_short: u64,
    /// An estimate of the share of volatile keys that have expired and are still there, in percent.
    pub expired_stale_percent: f64,
    /// Error replies.
    pub errors: u64,
    /// Error replies by code.
    pub errors_by_code: BTreeMap<String, u64>,
    /// AUTH calls that failed.
    pub acl_denied_auth: u64,
    /// Iterations of the event loop.
    pub loops: u64,
    /// Time spent in them, in microseconds, polling aside.
    pub loop_us: u64,
    /// The longest of them.
    pub loop_us_max: u64,
    /// The most commands in one of them.
    pub loop_commands_max: u64,
    /// Children that were forked.
    pub forks: u64,
    /// How long the last fork took, in microseconds.
    pub last_fork_us: u64,
    /// Time spent on what happens by the clock, in microseconds.
    pub cron_us: u64,
    /// Time spent on finding expired keys, in microseconds.
    pub expire_cycle_us: u64,
    /// The highest `used_memory` seen.
    pub memory_peak: usize,
    /// When it was seen, in milliseconds of the Unix clock.
    pub memory_peak_at_ms: i64,
    /// Rates.
    pub rates: Rates,
}

/// Once there are that many error codes, new ones of scripts are counted as one: they must not grow the table.
const CODES_MAX: usize = 128;
const CODES_OVERFLOW: &str = "ERRORSTATS_OVERFLOW";

impl Stats {
    /// Counts an iteration of the event loop, which took so long and ran so many commands.
    pub fn count_loop(&mut self, took_us: u64, commands: u64) {
        self.loops += 1;
        self.loop_us += took_us;
        self.loop_us_max = self.loop_us_max.max(took_us);
        self.loop_commands_max = self.loop_commands_max.max(commands);
    }

    /// Counts an error reply, unless it was counted before.
    pub fn count_error(&mut self, error: &ErrorReply) {
        let code = match error {
            ErrorReply::Counted(_) => return,
            // Our own codes are few.
            ErrorReply::Custom(_) if self.errors_by_code.len() < CODES_MAX => error.code(),
            ErrorReply::Custom(_) if !self.errors_by_code.contains_key(error.code()) => {
                CODES_OVERFLOW
            }
            _ => error.code(),
        };
        self.errors += 1;
        match self.errors_by_code.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                self.errors_by_code.insert(code.to_string(), 1);
            }
        }
    }

    /// Counts from zero again; peaks and rates stay.
    pub fn reset(&mut self) {
        *self = Stats {
            memory_peak: self.memory_peak,
            memory_peak_at_ms: self.memory_peak_at_ms,
            rates: std::mem::take(&mut self.rates),
            ..Stats::default()
        };
    }
}

/// What rates are made of: counters, or how they grow in a second.
#[derive(Clone, Copy, Default)]
pub struct Counters {
    /// Commands.
    pub commands: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Iterations of the event loop.
    pub loops: u64,
    /// Microseconds in them.
    pub loop_us: u64,
}

/// Averages over the last 16 samples of counters, one sample every 100 ms.
#[derive(Default)]
pub struct Rates {
    at_us: i64,
    last: Counters,
    samples: [Counters; Rates::SAMPLES],
    next: usize,
}

impl Rates {
    const SAMPLES: usize = 16;

    /// Takes a sample.
    pub fn sample(&mut self, now_us: i64, now: Counters) {
        let elapsed_us = (now_us - self.at_us).max(1) as u64;
        if self.at_us != 0 {
            let last = self.last;
            self.samples[self.next] = Counters {
                commands: a_second(last.commands, now.commands, elapsed_us),
                bytes_in: a_second(last.bytes_in, now.bytes_in, elapsed_us),
                bytes_out: a_second(last.bytes_out, now.bytes_out, elapsed_us),
                loops: a_second(last.loops, now.loops, elapsed_us),
                loop_us: a_second(last.loop_us, now.loop_us, elapsed_us),
            };
            self.next = (self.next + 1) % Rates::SAMPLES;
        }
        (self.at_us, self.last) = (now_us, now);
    }

    /// The growth a second.
    pub fn per_second(&self) -> Counters {
        let average = |counter: fn(&Counters) -> u64| {
            self.samples.iter().map(counter).sum::<u64>() / Rates::SAMPLES as u64
        };
        Counters {
            commands: average(|c| c.commands),
            bytes_in: average(|c| c.bytes_in),
            bytes_out: average(|c| c.bytes_out),
            loops: average(|c| c.loops),
            loop_us: average(|c| c.loop_us),
        }
    }
}

/// The growth of a counter as so much a second; none if it was set back meanwhile.
fn a_second(last: u64, now: u64, elapsed_us: u64) -> u64 {
    now.saturating_sub(last).saturating_mul(1_000_000) / elapsed_us
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::error;

    #[test]
    fn codes_beyond_the_limit_share_a_count() {
        let mut stats = Stats::default();
        let custom = |code: &str| ErrorReply::Custom(format!("{code} text").into_bytes());
        (0..CODES_MAX).for_each(|n| stats.count_error(&custom(&n.to_string())));
        stats.count_error(&custom("0"));
        stats.count_error(&custom("MORE"));
        stats.count_error(&custom("STILLMORE"));
        assert_eq!(stats.errors, CODES_MAX as u64 + 3);
        assert_eq!(stats.errors_by_code["0"], 2);
        assert_eq!(stats.errors_by_code[CODES_OVERFLOW], 2);
        assert!(!stats.errors_by_code.contains_key("MORE"));
        // Codes of our own are counted all the same.
        stats.count_error(&error::SYNTAX);
        stats.count_error(&ErrorReply::Counted(b"ERR text".to_vec()));
        assert_eq!(stats.errors_by_code["ERR"], 1);
    }

    #[test]
    fn rates_are_averages_and_survive_a_reset() {
        let mut rates = Rates::default();
        let counters = |commands| Counters {
            commands,
            ..Counters::default()
        };
        (0..=16).for_each(|n| rates.sample(1 + n * 100_000, counters(n as u64 * 50)));
        assert_eq!(rates.per_second().commands, 500);
        (0..16).for_each(|n| rates.sample(1 + (17 + n) * 100_000, counters(0)));
        assert_eq!(rates.per_second().commands, 0);
    }
}
