//! Where the memory goes, as INFO and MEMORY STATS report it.

use std::cell::Cell;

use crate::base::{alloc, clock, sys};
use crate::server::client::Client;
use crate::server::scripting::Figures;
use crate::server::state::Server;

/// What the system and the allocator say, which takes longer to ask than the rest together: an answer serves for a
/// moment, so that who reads INFO all the time pays for it no more often than ten times a second.
#[derive(Default)]
pub struct Sampled(Cell<Option<Sample>>);

#[derive(Clone, Copy)]
struct Sample {
    taken_us: u64,
    resident: usize,
    allocator: alloc::Stats,
}

impl Sampled {
    const SERVES_US: u64 = 100_000;

    fn get(&self) -> Sample {
        let now_us = clock::mono_us();
        let recent = self.0.get();
        if let Some(sample) = recent.filter(|s| now_us - s.taken_us < Self::SERVES_US) {
            return sample;
        }
        let sample = Sample {
            taken_us: now_us,
            resident: sys::resident_bytes() as usize,
            allocator: alloc::stats(),
        };
        self.0.set(Some(sample));
        sample
    }

    /// The next one who asks gets new figures.
    pub fn forget(&self) {
        self.0.set(None);
    }
}

/// Amounts of memory at a moment, in bytes.
pub struct Breakdown {
    /// In allocations, exactly.
    pub used: usize,
    /// The most there ever was.
    pub peak: usize,
    /// When the server started.
    pub startup: usize,
    /// In RAM, as the system counted it a moment ago.
    pub resident: usize,
    /// Buffers and state of the clients.
    pub clients: usize,
    /// Buffers of the append-only file.
    pub aof: usize,
    /// The hash table of each database that has keys.
    pub tables: Vec<(usize, usize)>,
    /// Keys in all databases.
    pub keys: usize,
    /// What scripts and their interpreters take.
    pub scripts: Figures,
    /// What the allocator said at the same time.
    pub allocator: alloc::Stats,
}

impl Breakdown {
    /// The amounts now.
    pub fn of(server: &Server) -> Breakdown {
        let used = alloc::used_memory();
        let sample = server.memory_sampled.get();
        let dbs = server.keyspace.iter().enumerate();
        Breakdown {
            used,
            peak: server.stats.memory_peak.max(used),
            startup: server.memory_at_start,
            resident: sample.resident,
            clients: server.clients.iter().map(Client::memory).sum(),
            aof: server.stream.waiting() + server.aof.heap_bytes(),
            tables: dbs
                .filter(|(_, db)| db.table().buckets() > 0)
                .map(|(index, db)| (index, db.table().bytes()))
                .collect(),
            keys: server.keyspace.iter().map(|db| db.len()).sum(),
            scripts: server.scripting.figures,
            allocator: sample.allocator,
        }
    }

    /// What is used beside keys and values.
    pub fn overhead(&self) -> usize {
        let tables: usize = self.tables.iter().map(|(_, bytes)| bytes).sum();
        let scripts = self.scripts.vms() + self.scripts.sources();
        self.startup + self.clients + self.aof + tables + scripts
    }

    /// What keys and values use.
    pub fn dataset(&self) -> usize {
        self.used.saturating_sub(self.overhead())
    }

    /// Their share of what was added since the start.
    pub fn dataset_percent(&self) -> f64 {
        let added = self.used.saturating_sub(self.startup);
        percent(self.dataset().min(added), added)
    }

    /// What is used now, as a share of the peak.
    pub fn peak_percent(&self) -> f64 {
        percent(self.used, self.peak)
    }

    /// What was added since the start, a key.
    pub fn bytes_per_key(&self) -> usize {
        self.used
            .saturating_sub(self.startup)
            .checked_div(self.keys)
            .unwrap_or(0)
    }

    /// Pages that hold allocations, beyond the allocations.
    pub fn allocator_fragmentation(&self) -> (f64, isize) {
        beyond(self.allocator.active, self.allocator.allocated)
    }

    /// Pages in RAM, beyond those that hold allocations.
    pub fn allocator_resident(&self) -> (f64, isize) {
        beyond(self.allocator.resident, self.allocator.active)
    }

    /// RAM of the process beyond the allocator's.
    pub fn resident_overhead(&self) -> (f64, isize) {
        beyond(self.resident, self.allocator.resident)
    }

    /// RAM of the process beyond what is used.
    pub fn fragmentation(&self) -> (f64, isize) {
        beyond(self.resident, self.used)
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 * 100.0 / whole as f64
    }
}

/// One amount as a multiple of another, and by how much it is larger.
fn beyond(amount: usize, base: usize) -> (f64, isize) {
    let ratio = if base == 0 {
        0.0
    } else {
        amount as f64 / base as f64
    };
    (ratio, amount as isize - base as isize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_serves_for_a_moment_and_can_be_forgotten() {
        let sampled = Sampled::default();
        let first = sampled.get().taken_us;
        let is_recent = || clock::mono_us() - first < Sampled::SERVES_US;
        assert!(sampled.get().taken_us == first || !is_recent());
        sampled.0.set(Some(Sample {
            taken_us: first - Sampled::SERVES_US,
            ..sampled.get()
        }));
        let second = sampled.get().taken_us;
        assert!(second > first - Sampled::SERVES_US);
        std::thread::sleep(std::time::Duration::from_micros(100));
        sampled.forget();
        assert!(sampled.get().taken_us > second);
    }

    #[test]
    fn shares_and_multiples() {
        assert_eq!(percent(1, 4), 25.0);
        assert_eq!(percent(1, 0), 0.0);
        assert_eq!(beyond(150, 100), (1.5, 50));
        assert_eq!(beyond(50, 100), (0.5, -50));
        assert_eq!(beyond(50, 0), (0.0, 50));
    }
}
