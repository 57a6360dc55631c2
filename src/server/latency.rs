//! The latency monitor: for each kind of event, when it took longer than a limit.

use crate::server::state::Server;
use std::collections::BTreeMap;

/// Samples kept of an event.
const SAMPLES: usize = 160;

/// What is known of an event.
#[derive(Default)]
pub struct Series {
    /// Second of the Unix clock and milliseconds, oldest first; a second has one sample, its worst.
    pub samples: Vec<(i64, u64)>,
    /// The worst ever seen, in milliseconds.
    pub max_ms: u64,
    /// All that were seen, added up.
    pub sum_ms: u64,
    /// How many were seen.
    pub count: u64,
}

impl Series {
    /// The newest sample.
    pub fn latest(&self) -> (i64, u64) {
        self.samples.last().copied().unwrap_or_default()
    }
}

impl Server {
    /// Notes how long an event took, if that is above the limit in force.
    pub fn note_latency(&mut self, event: &'static str, took_us: u64) {
        let limit_ms = self.config.latency_monitor_threshold;
        let now_s = self.now_ms() / 1000;
        self.latency.note(event, took_us / 1000, limit_ms, now_s);
    }
}

/// All events.
#[derive(Default)]
pub struct LatencyMonitor {
    series: BTreeMap<&'static str, Series>,
}

impl LatencyMonitor {
    /// Notes that an event took this long, if the limit (in milliseconds; 0: off) is reached.
    #[inline]
    pub fn note(&mut self, event: &'static str, took_ms: u64, limit_ms: u64, now_s: i64) {
        if limit_ms != 0 && took_ms >= limit_ms {
            self.add(event, took_ms, now_s);
        }
    }

    fn add(&mut self, event: &'static str, took_ms: u64, now_s: i64) {
        let series = self.series.entry(event).or_default();
        series.max_ms = series.max_ms.max(took_ms);
        series.sum_ms += took_ms;
        series.count += 1;
        match series.samples.last_mut() {
            Some((at, worst)) if *at == now_s => *worst = (*worst).max(took_ms),
            _ => {
                if series.samples.len() == SAMPLES {
                    series.samples.remove(0);
                }
                series.samples.push((now_s, took_ms));
            }
        }
    }

    /// The events seen, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, &Series)> {
        self.series.iter().map(|(&name, series)| (name, series))
    }

    /// One event.
    pub fn get(&self, event: &[u8]) -> Option<&Series> {
        self.series.get(std::str::from_utf8(event).ok()?)
    }

    /// Forgets an event, or says that it was not known.
    pub fn reset(&mut self, event: &[u8]) -> bool {
        std::str::from_utf8(event).is_ok_and(|event| self.series.remove(event).is_some())
    }

    /// Forgets all, and says how many there were.
    pub fn reset_all(&mut self) -> usize {
        std::mem::take(&mut self.series).len()
    }
}
