//! Which key to give up when memory runs out: the best of a small sample.
//!
//! A sample is a run of neighbouring buckets from a random one on. Keys are spread over buckets by
//! their hash, so neighbours are strangers, and a sample of a few buckets costs a few cache lines.

use super::db::Keyspace;
use super::entry::EntryRef;

/// Samples about `samples` keys of each database, of volatile ones only if asked, and returns the
/// database and name of the one with the highest score; `None` if no key was met.
pub fn candidate(
    keyspace: &mut Keyspace,
    volatile_only: bool,
    samples: usize,
    score: impl Fn(EntryRef<'_>) -> u64,
) -> Option<(usize, Box<[u8]>)> {
    let mut best: Option<(u64, usize, Box<[u8]>)> = None;
    for index in 0..keyspace.count() {
        let random = keyspace.rng.next_u64();
        let db = keyspace.db_mut(index);
        let buckets = db.table().buckets();
        if db.is_empty() || volatile_only && db.volatile() == 0 {
            continue;
        }
        let first = (random % buckets as u64) as usize;
        let mut seen = 0;
        for step in 0..buckets {
            if seen >= samples {
                break;
            }
            let mut consider = |entry: EntryRef<'_>| {
                seen += 1;
                let score = score(entry);
                if best.as_ref().is_none_or(|(highest, ..)| score > *highest) {
                    best = Some((score, index, entry.key().into()));
                }
            };
            let bucket = (first + step) % buckets;
            if volatile_only {
                db.visit_volatile(bucket, |entry, _| consider(entry));
            } else {
                db.visit_bucket(bucket, consider);
            }
        }
    }
    best.map(|(_, db, key)| (db, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash;
    use crate::base::rng::Rng;
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

    #[test]
    fn the_best_of_a_large_sample_is_the_best() {
        let mut keyspace = keyspace(1000, 10);
        let oldest = |entry: EntryRef<'_>| u64::MAX - u64::from(entry.access());
        let (db, key) = candidate(&mut keyspace, false, 10_000, oldest).expect("there are keys");
        assert_eq!((db, &*key), (1, &b"key:0"[..]));
        let newest = |entry: EntryRef<'_>| u64::from(entry.access());
        let (_, key) = candidate(&mut keyspace, true, 10_000, newest).expect("there are keys");
        assert_eq!(&*key, b"key:990");
    }

    #[test]
    fn the_only_volatile_key_of_many_is_found() {
        let mut keyspace = keyspace(200_000, 1_000_000);
        let (_, key) = candidate(&mut keyspace, true, 5, |_| 0).expect("there is one");
        assert_eq!(&*key, b"key:0");
    }

    #[test]
    fn nothing_to_give_up() {
        assert!(candidate(&mut keyspace(0, 1), false, 5, |_| 0).is_none());
        let mut without_expiry = keyspace(100, 1000);
        let key = without_expiry.key(b"key:0");
        let place = without_expiry.db(1).find(key).expect("there");
        without_expiry.db_mut(1).set_expiry(key, place, None);
        assert!(candidate(&mut without_expiry, true, 5, |_| 0).is_none());
    }
}
