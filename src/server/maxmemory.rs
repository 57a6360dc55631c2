//! `maxmemory`: room is made by giving up keys, as far as the policy allows.

use crate::base::{alloc, clock};
use crate::keyspace::effects::Class;
use crate::keyspace::entry::EntryRef;
use crate::keyspace::evict;
use crate::server::config::MaxmemoryPolicy;
use crate::server::gate;
use crate::server::propagate;
use crate::server::reactions;
use crate::server::state::Server;

/// Keys given up between two looks at the clock.
const KEYS_A_LOOK: usize = 16;

impl Server {
    /// Whether there is room below `maxmemory`, after making some. If that takes long, the present
    /// command may go beyond the limit and the next one goes on.
    pub fn make_room(&mut self) -> bool {
        let limit = self.config.maxmemory as usize;
        if alloc::used_memory() <= limit {
            self.eviction_is_due = false;
            return true;
        }
        if self.unusual & gate::unusual::PAUSED != 0 {
            // A pause keeps the data set as it is.
            self.eviction_is_due = true;
            return true;
        }
        if self.config.maxmemory_policy == MaxmemoryPolicy::NoEviction {
            return false;
        }
        let room = self.evict_to(limit);
        self.eviction_is_due = room && alloc::used_memory() > limit;
        reactions::run_unasked(self);
        room
    }

    /// Gives keys up until what is in use is below a limit, the time for it is over, or there are no more.
    fn evict_to(&mut self, limit: usize) -> bool {
        let began_us = clock::mono_us();
        let budget_us = budget_us(self.config.maxmemory_eviction_tenacity.into());
        loop {
            for _ in 0..KEYS_A_LOOK {
                if !self.evict_one() {
                    return false;
                }
                if alloc::used_memory() <= limit {
                    return true;
                }
            }
            let took_us = clock::mono_us() - began_us;
            if took_us > budget_us {
                let now_s = self.now_ms() / 1000;
                let limit_ms = self.config.latency_monitor_threshold;
                self.latency
                    .note("eviction-cycle", took_us / 1000, limit_ms, now_s);
                return true;
            }
        }
    }

    /// Gives one key up; says whether there was one.
    fn evict_one(&mut self) -> bool {
        let policy = self.config.maxmemory_policy;
        let samples = self.config.maxmemory_samples as usize;
        let (clock, decay) = (self.access_clock(), self.config.lfu_decay_time);
        let score = |entry: EntryRef<'_>| match policy {
            MaxmemoryPolicy::AllkeysLru | MaxmemoryPolicy::VolatileLru => {
                clock.idle_seconds(entry.access()).into()
            }
            MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::VolatileLfu => {
                u64::from(u8::MAX) - u64::from(clock.lfu_counter(entry.access(), decay))
            }
            MaxmemoryPolicy::VolatileTtl => u64::MAX - entry.expiry().unwrap_or(i64::MAX) as u64,
            MaxmemoryPolicy::AllkeysRandom
            | MaxmemoryPolicy::VolatileRandom
            | MaxmemoryPolicy::NoEviction => 0,
        };
        let volatile_only = policy.is_volatile_only();
        let Some((db, name)) = evict::candidate(&mut self.keyspace, volatile_only, samples, score)
        else {
            return false;
        };
        let key = self.keyspace.key(&name);
        let place = self
            .keyspace
            .db(db)
            .find(key)
            .expect("the candidate is there");
        self.keyspace
            .remove(db, key, place, self.config.lazyfree_lazy_eviction);
        self.stats.keyspace.evicted += 1;
        self.effects.event(Class::Evicted, "evicted", db, key.bytes);
        self.effects.lost(db, key.bytes);
        propagate::evicted(self, db, key.bytes);
        true
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
