//! Which key to give up when memory runs out.
//!
//! A search looks at a small sample of the keys: a run of neighbouring buckets from a random one on. Keys are spread
//! over buckets by their hash, so neighbours are strangers, and a few buckets cost a few cache lines. What it met
//! competes for the few places of a [`Pool`], which lasts from one search to the next, so that what is given up is
//! the best of many samples for the price of one.
//!
//! The pool holds hashes, not names, and so takes no memory when there is none. A candidate is found again by its
//! hash and judged anew: it may have been used, changed or removed since.

use super::db::{Db, Keyspace};
use super::entry::EntryRef;
use crate::base::rng::Rng;
use crate::data::table::GROUP;

/// The best candidates of the searches so far.
#[derive(Default)]
pub struct Pool {
    /// The best one last.
    candidates: Vec<Candidate>,
}

struct Candidate {
    score: u64,
    hash: u64,
    db: usize,
}

/// A key to give up.
pub type Victim = (usize, Box<[u8]>);

impl Pool {
    /// Candidates that are kept.
    const ROOM: usize = 16;

    /// Forgets all candidates: they are judged by something else from now on.
    pub fn clear(&mut self) {
        self.candidates.clear();
    }

    /// Samples about `samples` keys of each database, volatile ones only if asked, and returns the one with the
    /// highest score of these and of those that were sampled before; `None` if no key was met.
    ///
    /// The score of a key that nobody touches should not change with time.
    pub fn search(
        &mut self,
        keyspace: &mut Keyspace,
        volatile_only: bool,
        samples: usize,
        score: impl Fn(EntryRef<'_>) -> u64,
    ) -> Option<Victim> {
        let hasher = *keyspace.hasher();
        for index in 0..keyspace.count() {
            let random = keyspace.rng.next_u64();
            let db = keyspace.db_mut(index);
            sample(db, volatile_only, samples, random, |entry| {
                let score = score(entry);
                if self.takes(score) {
                    let hash = hasher.hash(entry.key());
                    self.add(Candidate {
                        score,
                        hash,
                        db: index,
                    });
                }
            });
        }
        self.take_best(keyspace, volatile_only, score)
    }

    fn takes(&self, score: u64) -> bool {
        self.candidates.len() < Self::ROOM || score > self.candidates[0].score
    }

    /// Gives a candidate its place; the worst one leaves if there is no other.
    fn add(&mut self, new: Candidate) {
        let all = &mut self.candidates;
        if let Some(same) = all
            .iter()
            .position(|c| (c.hash, c.db) == (new.hash, new.db))
        {
            all.remove(same);
        } else if all.len() == Self::ROOM {
            all.remove(0);
        }
        let at = all.partition_point(|c| c.score < new.score);
        all.insert(at, new);
    }

    /// Takes out the best candidate that is still there and still as good as it was.
    fn take_best(
        &mut self,
        keyspace: &Keyspace,
        volatile_only: bool,
        score: impl Fn(EntryRef<'_>) -> u64,
    ) -> Option<Victim> {
        while let Some(best) = self.candidates.pop() {
            let db = keyspace.db(best.db);
            let Some(place) = db.find_hash(best.hash) else {
                continue;
            };
            let entry = db.entry(place);
            if volatile_only && entry.expiry().is_none() {
                continue;
            }
            let score = score(entry);
            if score < best.score {
                // Somebody has used it. Each is put back once at most, as it has its true score then.
                self.add(Candidate { score, ..best });
                continue;
            }
            return Some((best.db, entry.key().into()));
        }
        None
    }
}

/// Chooses any key, of all databases alike, volatile ones only if asked; `None` if there is none.
///
/// Every key is as likely as another, but where few are volatile: there it depends on how they lie.
pub fn any(keyspace: &mut Keyspace, volatile_only: bool) -> Option<Victim> {
    /// Draws until a volatile key is met.
    const DRAWS: usize = 16;
    let count = |db: &Db| {
        let keys = if volatile_only {
            db.volatile()
        } else {
            db.len()
        };
        keys as u64
    };
    let total: u64 = keyspace.iter().map(count).sum();
    if total == 0 {
        return None;
    }
    let mut left = keyspace.rng.below(total);
    let index = keyspace.iter().position(|db| {
        let is_beyond = left < count(db);
        left = left.saturating_sub(count(db));
        is_beyond
    });
    let index = index.expect("less than the sum lies before the end");
    for _ in 0..DRAWS {
        let entry = keyspace.random(index)?;
        if !volatile_only || entry.expiry().is_some() {
            return Some((index, entry.key().into()));
        }
    }
    Some((index, any_volatile(keyspace, index)?))
}

/// One of a few volatile keys that lie together.
fn any_volatile(keyspace: &mut Keyspace, index: usize) -> Option<Box<[u8]>> {
    /// A chain of buckets seldom holds more.
    const SAMPLES: usize = 8;
    let random = keyspace.rng.next_u64();
    let mut rng = Rng::from_seed(keyspace.rng.next_u64());
    let mut seen = 0;
    let mut chosen = None;
    sample(keyspace.db_mut(index), true, SAMPLES, random, |entry| {
        seen += 1;
        // Each is chosen over those before it with its share of the chance.
        if rng.below(seen) == 0 {
            chosen = Some(entry.key().into());
        }
    });
    chosen
}

/// Shows the keys of a run of buckets, volatile ones only if asked, until so many were seen.
fn sample(
    db: &mut Db,
    volatile_only: bool,
    samples: usize,
    random: u64,
    mut show: impl FnMut(EntryRef<'_>),
) {
    let buckets = db.table().buckets();
    if db.is_empty() || volatile_only && db.volatile() == 0 {
        return;
    }
    let first = (random % buckets as u64) as usize;
    let mut seen = 0;
    for run in [first..buckets, 0..first] {
        let mut bucket = run.start;
        let mut seen_before = None;
        while bucket < run.end && seen < samples {
            if !volatile_only {
                db.visit_bucket(bucket, |entry| {
                    seen += 1;
                    show(entry);
                });
                bucket += 1;
                continue;
            }
            // Where volatile keys are rare, what is known of when they expire leads to them, and is mended where there
            // is none any more.
            match db.next_volatile(bucket / GROUP) {
                Some(group) if group > bucket / GROUP => bucket = group * GROUP,
                Some(group) => {
                    if bucket.is_multiple_of(GROUP) {
                        seen_before = Some(seen);
                    }
                    db.visit_volatile(bucket, |entry, _| {
                        seen += 1;
                        show(entry);
                    });
                    bucket += 1;
                    let is_through = bucket.is_multiple_of(GROUP) || bucket == buckets;
                    if is_through && seen_before.take() == Some(seen) {
                        db.set_due(group, None);
                    }
                }
                None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash;
    use crate::keyspace::value::NewValue;

    fn keyspace(keys: u32, volatile_every: u32) -> Keyspace {
        let mut keyspace = Keyspace::new(2, hash::process(), Rng::from_seed(1));
        for i in 0..keys {
            let name = format!("key:{i}");
            let key = keyspace.key(name.as_bytes());
            let expiry = i.is_multiple_of(volatile_every).then_some(i64::from(i));
            keyspace.db_mut(1).insert(key, NewValue::Int(0), expiry, i);
        }
        keyspace
    }

    fn oldest(entry: EntryRef<'_>) -> u64 {
        u64::MAX - u64::from(entry.access())
    }

    fn remove(keyspace: &mut Keyspace, (db, name): &Victim) {
        let key = keyspace.key(name);
        let place = keyspace.db(*db).find(key).expect("a victim is there");
        keyspace.remove(*db, key, place, false);
    }

    #[test]
    fn the_best_of_a_large_sample_is_the_best() {
        let mut keyspace = keyspace(1000, 10);
        let victim = Pool::default().search(&mut keyspace, false, 10_000, oldest);
        assert_eq!(victim, Some((1, b"key:0"[..].into())));
        let newest = |entry: EntryRef<'_>| u64::from(entry.access());
        let victim = Pool::default().search(&mut keyspace, true, 10_000, newest);
        assert_eq!(victim, Some((1, b"key:990"[..].into())));
    }

    #[test]
    fn small_samples_find_the_oldest_third() {
        let mut keyspace = keyspace(30_000, 1);
        for volatile_only in [false, true] {
            let mut pool = Pool::default();
            let left = keyspace.db(1).len() as u32;
            let mut of_the_old = 0;
            for _ in 0..left / 3 {
                let found = pool.search(&mut keyspace, volatile_only, 5, oldest);
                let victim = found.expect("there are keys");
                let number: u32 = std::str::from_utf8(&victim.1[4..])
                    .unwrap()
                    .parse()
                    .unwrap();
                of_the_old += u32::from(number < 30_000 - left + left / 2);
                remove(&mut keyspace, &victim);
            }
            assert!(
                of_the_old * 100 > left / 3 * 95,
                "{of_the_old} of {}",
                left / 3
            );
        }
    }

    #[test]
    fn a_candidate_is_judged_anew() {
        let mut keyspace = keyspace(10, 1);
        let mut pool = Pool::default();
        let mut next = |keyspace: &mut Keyspace| {
            let victim = pool.search(keyspace, true, 100, oldest);
            String::from_utf8(victim.expect("there are keys").1.into()).unwrap()
        };
        assert_eq!(next(&mut keyspace), "key:0");
        // Used meanwhile, deleted, and no longer volatile.
        let key = keyspace.key(b"key:0");
        let place = keyspace.db(1).find(key).unwrap();
        keyspace.db_mut(1).set_access(place, 100);
        remove(&mut keyspace, &(1, b"key:1"[..].into()));
        let key = keyspace.key(b"key:2");
        let place = keyspace.db(1).find(key).unwrap();
        keyspace.db_mut(1).set_expiry(key, place, None);
        assert_eq!(next(&mut keyspace), "key:3");
        keyspace.swap(0, 1);
        assert_eq!(next(&mut keyspace), "key:3");
        keyspace.flush(0, false);
        assert!(pool.search(&mut keyspace, true, 100, oldest).is_none());
    }

    #[test]
    fn any_key_is_as_likely_as_another() {
        let mut keyspace = keyspace(2_000, 2);
        let other = keyspace.key(b"key:2000");
        keyspace
            .db_mut(0)
            .insert(other, NewValue::Int(0), Some(1), 0);
        for (volatile_only, keys) in [(false, 2_001), (true, 1_001)] {
            let mut counts = vec![0; 2_001];
            for _ in 0..100 * keys {
                let (_, name) = any(&mut keyspace, volatile_only).expect("there are keys");
                let number = std::str::from_utf8(&name[4..]).unwrap();
                counts[number.parse::<usize>().unwrap()] += 1;
            }
            let chosen = counts.iter().filter(|&&count| count > 0);
            assert_eq!(chosen.clone().count(), keys);
            // Chosen 100 times on average, with a deviation of 10.
            let allowed = 50..160;
            assert!(
                chosen.clone().all(|count| allowed.contains(count)),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn the_only_volatile_key_of_many_is_found() {
        for expiry in [0, i64::MAX] {
            let mut keyspace = keyspace(200_000, 1_000_000);
            let key = keyspace.key(b"key:0");
            let place = keyspace.db(1).find(key).unwrap();
            keyspace.db_mut(1).set_expiry(key, place, Some(expiry));
            let victim = Pool::default().search(&mut keyspace, true, 5, |_| 0);
            assert_eq!(victim.expect("there is one").1[..], b"key:0"[..]);
            assert_eq!(any(&mut keyspace, true).unwrap().1[..], b"key:0"[..]);
        }
    }

    #[test]
    fn nothing_to_give_up() {
        let mut pool = Pool::default();
        assert!(pool.search(&mut keyspace(0, 1), false, 5, oldest).is_none());
        assert!(any(&mut keyspace(0, 1), false).is_none());
        let mut without_expiry = keyspace(100, 1000);
        let key = without_expiry.key(b"key:0");
        let place = without_expiry.db(1).find(key).expect("there");
        without_expiry.db_mut(1).set_expiry(key, place, None);
        assert!(pool.search(&mut without_expiry, true, 5, oldest).is_none());
        assert!(any(&mut without_expiry, true).is_none());
    }
}
