//! Counters that INFO reports and CONFIG RESETSTAT sets back.

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
    /// The highest `used_memory` seen.
    pub memory_peak: usize,
    /// When it was seen, in milliseconds of the Unix clock.
    pub memory_peak_at_ms: i64,
    /// Rates.
    pub rates: Rates,
}

/// More error codes than this are counted as one: a client must not grow the table.
const CODES_MAX: usize = 128;

impl Stats {
    /// Counts an error reply.
    pub fn count_error(&mut self, code: &str) {
        self.errors += 1;
        if let Some(count) = self.errors_by_code.get_mut(code) {
            *count += 1;
        } else if self.errors_by_code.len() < CODES_MAX {
            self.errors_by_code.insert(code.to_string(), 1);
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

/// Averages over the last 16 samples of counters, one sample every 100 ms.
#[derive(Default)]
pub struct Rates {
    at_us: i64,
    last: [u64; Rates::COUNT],
    samples: [[u64; Rates::SAMPLES]; Rates::COUNT],
    next: usize,
}

impl Rates {
    const SAMPLES: usize = 16;
    const COUNT: usize = 3;

    /// Takes a sample of commands, bytes received and bytes sent.
    pub fn sample(&mut self, now_us: i64, counters: [u64; Rates::COUNT]) {
        let elapsed = (now_us - self.at_us).max(1) as u64;
        if self.at_us != 0 {
            for (i, now) in counters.iter().enumerate() {
                self.samples[i][self.next] =
                    now.saturating_sub(self.last[i]).saturating_mul(1_000_000) / elapsed;
            }
            self.next = (self.next + 1) % Rates::SAMPLES;
        }
        (self.at_us, self.last) = (now_us, counters);
    }

    /// Commands, bytes received and bytes sent a second.
    pub fn per_second(&self) -> [u64; Rates::COUNT] {
        self.samples
            .map(|s| s.iter().sum::<u64>() / Rates::SAMPLES as u64)
    }
}
