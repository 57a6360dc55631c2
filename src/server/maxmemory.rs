//! `maxmemory`: room is made by giving up keys, as far as the policy allows.
//!
//! What counts against the limit is all that is in use but for the buffers of the append-only file. How far
//! eviction has come is measured by what the keyspace gave back: what giving up a key costs beside it (the
//! message to whoever tracks it, its event, its deletion in the append-only file) is soon gone, and if it
//! counted, the cost of one key would push out the next.

use crate::base::{alloc, clock};
use crate::keyspace::effects::Class;
use crate::keyspace::entry::EntryRef;
use crate::keyspace::evict::{self, Victim};
use crate::server::config::MaxmemoryPolicy;
use crate::server::gate;
use crate::server::propagate;
use crate::server::reactions;
use crate::server::state::Server;

/// Keys given up between two looks at the clock.
const KEYS_A_LOOK: usize = 16;

/// How an attempt to make room ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Progress {
    /// There is room, or as much was freed as was missing.
    Enough,
    /// The time is over.
    Unfinished,
    /// There was nothing more to give up.
    Exhausted,
}

impl Server {
    /// Whether there is room below `maxmemory`, after making some. If that takes long, the present
    /// command may go beyond the limit and the next one goes on.
    pub fn make_room(&mut self) -> bool {
        let excess = self.excess();
        if excess == 0 {
            self.eviction_is_due = false;
            return true;
        }
        if self.unusual & gate::unusual::PAUSED != 0 {
            // A pause keeps the data set as it is.
            self.eviction_is_due = true;
            return true;
        }
        if self.config.maxmemory_policy == MaxmemoryPolicy::NoEviction {
            self.eviction_is_due = false;
            return false;
        }
        let began_us = clock::mono_us();
        let progress = self.evict(excess, began_us);
        self.note_latency("eviction-cycle", clock::mono_us() - began_us);
        self.eviction_is_due = progress == Progress::Unfinished;
        reactions::run_unasked(self);
        progress != Progress::Exhausted
    }

    /// Whether keys are to be given up though no command asks for room: `maxmemory` was lowered, or the last time was
    /// not enough.
    #[inline]
    pub fn is_evicting(&self) -> bool {
        let may = self.eviction_is_due && !self.is_at_rest() && !self.cron_paused;
        may && !self.keyspace.lazyfree.is_busy()
    }

    /// Bytes in use that do not count against `maxmemory`: buffers that are written soon, and only grow when keys
    /// are given up.
    pub fn uncounted_memory(&self) -> usize {
        self.stream.waiting() + self.aof.heap_bytes()
    }

    /// Bytes in use beyond `maxmemory`.
    fn excess(&self) -> usize {
        let limit = self.config.maxmemory as usize;
        let used = alloc::used_memory();
        if used <= limit {
            return 0;
        }
        used.saturating_sub(self.uncounted_memory())
            .saturating_sub(limit)
    }

    /// Gives keys up until so many bytes are free, or there is room by what others freed, or the time for it is over.
    fn evict(&mut self, excess: usize, began_us: u64) -> Progress {
        let budget_us = budget_us(self.config.maxmemory_eviction_tenacity.into());
        // What a thread frees meanwhile, or a big value grows by, may make it less than nothing.
        let mut missing = excess as isize;
        loop {
            for _ in 0..KEYS_A_LOOK {
                if self.keyspace.lazyfree.is_busy() {
                    // Who knows how much that will be: it may be all that is missing.
                    return Progress::Unfinished;
                }
                match self.evict_one() {
                    Some(freed) => missing -= freed,
                    None if self.excess() == 0 => return Progress::Enough,
                    None => return Progress::Exhausted,
                }
                if missing <= 0 || self.excess() == 0 {
                    return Progress::Enough;
                }
            }
            if clock::mono_us() - began_us > budget_us {
                return Progress::Unfinished;
            }
        }
    }

    /// Gives one key up; says how many bytes that freed, or that there was none.
    fn evict_one(&mut self) -> Option<isize> {
        let (db, name) = self.find_victim()?;
        let key = self.keyspace.key(&name);
        let place = self
            .keyspace
            .db(db)
            .find(key)
            .expect("the candidate is there");
        let watch = (self.config.latency_monitor_threshold != 0).then(clock::mono_us);
        let before = alloc::used_memory();
        self.keyspace
            .remove(db, key, place, self.config.lazyfree_lazy_eviction);
        let freed = before.wrapping_sub(alloc::used_memory()) as isize;
        if let Some(began_us) = watch {
            self.note_latency("eviction-del", clock::mono_us() - began_us);
        }
        self.stats.keyspace.evicted += 1;
        self.effects
            .unasked(Class::Evicted, "evicted", db, key.bytes);
        self.effects.lost(db, key.bytes);
        propagate::evicted(self, db, key.bytes);
        Some(freed)
    }

    /// The key to give up next.
    fn find_victim(&mut self) -> Option<Victim> {
        let policy = self.config.maxmemory_policy;
        let volatile_only = policy.is_volatile_only();
        if policy.is_random() {
            return evict::any(&mut self.keyspace, volatile_only);
        }
        let (clock, decay) = (self.access_clock(), self.config.lfu_decay_time);
        let now_s = self.now_ms() as u64 / 1000;
        let score = |entry: EntryRef<'_>| match policy {
            MaxmemoryPolicy::AllkeysLru | MaxmemoryPolicy::VolatileLru => {
                let idle_s = clock.idle_seconds(entry.access());
                u64::MAX - now_s.saturating_sub(idle_s.into())
            }
            MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::VolatileLfu => {
                u64::from(u8::MAX) - u64::from(clock.lfu_counter(entry.access(), decay))
            }
            MaxmemoryPolicy::VolatileTtl => u64::MAX - entry.expiry().unwrap_or(i64::MAX) as u64,
            _ => unreachable!("the policy knows no better and worse"),
        };
        let samples = self.config.maxmemory_samples as usize;
        self.eviction_pool
            .search(&mut self.keyspace, volatile_only, samples, score)
    }
}

/// How long one command may spend on eviction, by `maxmemory-eviction-tenacity`: up to 500 µs at the
/// default of 10, then 15 % more with each step, without end at 100.
fn budget_us(tenacity: u64) -> u64 {
    match tenacity {
        0..=10 => 50 * tenacity,
        11..=99 => (500.0 * 1.15f64.powi(tenacity as i32 - 10)) as u64,
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::budget_us;

    #[test]
    fn tenacity() {
        let check = |tenacity, expected| assert_eq!(budget_us(tenacity), expected, "{tenacity}");
        check(0, 0);
        check(10, 500);
        check(11, 575);
        check(100, u64::MAX);
        assert!(budget_us(99) > 60_000_000);
    }
}
