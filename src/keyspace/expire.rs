//! The active expire cycle: finds keys whose time has come though nobody asks for them.
//!
//! There is no second table of volatile keys. The table knows of each few buckets a time before which none of
//! their keys expires, so the cycle visits those where that has passed, and no others: a database of keys that live
//! long costs it a comparison for some fifty of them. What it has looked through gets its exact time again.
//!
//! Beside that a few buckets are looked at in turn, due or not: they are the sample by which INFO judges all keys.
//!
//! Fields of hashes are found by the index that a database keeps of the hashes that have volatile
//! ones, in the order of their times: a database without such hashes costs one look.

use super::db::{Db, Key, Keyspace};
use super::hash::Hash;
use crate::data::table::GROUP;

/// What was found in a few buckets.
#[derive(Default)]
pub struct Found {
    /// Keys that have expired; the caller deletes them, with the effects that this has.
    pub expired: Vec<Box<[u8]>>,
    /// Volatile keys that were looked at.
    pub sampled: u64,
    /// The sum of the time to live of those that have not expired, in milliseconds.
    pub ttl_sum_ms: i64,
}

/// Looks at the next buckets where a key may have expired. `None` if there are no more before the end of the
/// table; the next call begins anew.
pub fn step(db: &mut Db, now_ms: i64) -> Option<Found> {
    let due = db.next_due(db.expire_cursor, now_ms);
    db.expire_cursor = due.map_or(0, |group| group + 1);
    due.map(|group| visit(db, group, now_ms))
}

/// Looks at the next buckets, whatever is due there, until there was a volatile key among them or there were
/// enough without one.
pub fn sample(db: &mut Db, now_ms: i64) -> Found {
    const GROUPS_MAX: usize = 16;
    let groups = db.table().buckets().div_ceil(GROUP);
    let mut found = Found::default();
    for _ in 0..groups.min(GROUPS_MAX) {
        if db.volatile() == 0 || found.sampled > 0 {
            break;
        }
        db.sample_cursor = (db.sample_cursor + 1) % groups;
        found = visit(db, db.sample_cursor, now_ms);
    }
    found
}

fn visit(db: &mut Db, group: usize, now_ms: i64) -> Found {
    let mut found = Found::default();
    let end = db.table().buckets().min((group + 1) * GROUP);
    let buckets = group * GROUP..end;
    db.table().prefetch_volatile(buckets.clone());
    let mut next: Option<i64> = None;
    for index in buckets {
        db.visit_volatile(index, |entry, at| {
            found.sampled += 1;
            if at <= now_ms {
                found.expired.push(entry.key().into());
            } else {
                found.ttl_sum_ms = found.ttl_sum_ms.saturating_add(at - now_ms);
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        });
    }
    db.set_due(group, next);
    found
}

/// Fields of a hash that had expired.
pub struct ExpiredFields {
    /// The hash's key.
    pub key: Box<[u8]>,
    /// The fields, which are gone.
    pub fields: Vec<Box<[u8]>>,
    /// Whether no field was left, so that the key is gone too.
    pub emptied: bool,
}

/// Removes expired fields, `max` of them at most, of the hash whose fields expire first, if it has
/// any.
pub fn take_fields(
    keyspace: &mut Keyspace,
    db: usize,
    now_ms: i64,
    max: usize,
) -> Option<ExpiredFields> {
    let (at, name) = keyspace.db(db).first_field_expiry()?;
    if at > now_ms {
        return None;
    }
    let name: Box<[u8]> = name.into();
    let key = keyspace.key(&name);
    let place = keyspace
        .db(db)
        .find(key)
        .expect("the index of volatile fields names keys that are there");
    let mut fields: Vec<Box<[u8]>> = Vec::new();
    let ((), emptied) = keyspace.edit::<Hash, _>(db, key, place, |hash, _| {
        hash.take_expired(now_ms, max, |field| fields.push(field.into()));
    });
    Some(ExpiredFields {
        key: name,
        fields,
        emptied,
    })
}

/// Deletes a key that [`step`] found, if it is still there and expired; says whether it was.
pub fn delete(keyspace: &mut Keyspace, db: usize, key: Key<'_>, now_ms: i64, lazily: bool) -> bool {
    let found = keyspace.db(db).find(key);
    let is_due = |place: &_| {
        let expiry = keyspace.db(db).entry(*place).expiry();
        expiry.is_some_and(|at| at <= now_ms)
    };
    match found.filter(is_due) {
        Some(place) => {
            keyspace.remove(db, key, place, lazily);
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash;
    use crate::base::rng::Rng;
    use crate::keyspace::db::{Disposal, Expiry};
    use crate::keyspace::value::NewValue;
    use proptest::prelude::*;

    fn name(n: u16) -> Vec<u8> {
        format!("key:{n}").into_bytes()
    }

    fn keyspace() -> Keyspace {
        Keyspace::new(2, hash::process(), Rng::from_seed(1))
    }

    fn insert(keyspace: &mut Keyspace, n: u16, expiry: Option<i64>) {
        let name = name(n);
        let key = keyspace.key(&name);
        match keyspace.db(0).find(key) {
            None => {
                keyspace.db_mut(0).insert(key, NewValue::Int(0), expiry, 0);
            }
            Some(place) => {
                let expiry = expiry.map_or(Expiry::Clear, Expiry::At);
                let value = NewValue::Int(1);
                let db = keyspace.db_mut(0);
                db.replace(key, place, value, expiry, Disposal::AtOnce);
            }
        }
    }

    /// Runs the cycle to its end, and returns how many groups of buckets it looked at.
    fn run(keyspace: &mut Keyspace, db: usize, now_ms: i64) -> usize {
        let mut visited = 0;
        while let Some(found) = step(keyspace.db_mut(db), now_ms) {
            visited += 1;
            for name in &found.expired {
                let key = keyspace.key(name);
                assert!(delete(keyspace, db, key, now_ms, false));
            }
        }
        visited
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u16, Option<i64>),
        SetExpiry(u16, Option<i64>),
        Remove(u16),
        Rename(u16, u16),
        Move(u16),
        Reserve(usize),
        Swap,
        Pass(i64),
        Sample,
    }

    fn op() -> impl Strategy<Value = Op> {
        let n = 0..600u16;
        let expiry = || proptest::option::weighted(0.7, 0..1000i64);
        prop_oneof![
            8 => (n.clone(), expiry()).prop_map(|(n, at)| Op::Insert(n, at)),
            3 => (n.clone(), expiry()).prop_map(|(n, at)| Op::SetExpiry(n, at)),
            4 => n.clone().prop_map(Op::Remove),
            1 => (n.clone(), n.clone()).prop_map(|(a, b)| Op::Rename(a, b)),
            1 => n.prop_map(Op::Move),
            1 => (0..300usize).prop_map(Op::Reserve),
            1 => Just(Op::Swap),
            1 => (0..300i64).prop_map(Op::Pass),
            1 => Just(Op::Sample),
        ]
    }

    fn apply(keyspace: &mut Keyspace, op: Op, now_ms: &mut i64) {
        let found = |keyspace: &Keyspace, db: usize, n: u16| {
            let name = name(n);
            keyspace.db(db).find(keyspace.key(&name))
        };
        match op {
            Op::Insert(n, at) => insert(keyspace, n, at.map(|at| at + *now_ms)),
            Op::SetExpiry(n, at) => {
                let bytes = name(n);
                let key = keyspace.key(&bytes);
                if let Some(place) = found(keyspace, 0, n) {
                    let at = at.map(|at| at + *now_ms);
                    keyspace.db_mut(0).set_expiry(key, place, at);
                }
            }
            Op::Remove(n) => {
                let bytes = name(n);
                let key = keyspace.key(&bytes);
                if let Some(place) = found(keyspace, 0, n) {
                    keyspace.remove(0, key, place, false);
                }
            }
            Op::Rename(a, b) => {
                let (old, new) = (name(a), name(b));
                let (key, new) = (keyspace.key(&old), keyspace.key(&new));
                if let (Some(place), None) = (found(keyspace, 0, a), found(keyspace, 0, b)) {
                    keyspace.db_mut(0).rename(key, place, new);
                }
            }
            Op::Move(n) => {
                let bytes = name(n);
                let key = keyspace.key(&bytes);
                if let (Some(place), None) = (found(keyspace, 0, n), found(keyspace, 1, n)) {
                    let (from, to) = keyspace.two(0, 1);
                    from.move_to(key, place, to);
                }
            }
            Op::Reserve(extra) => keyspace.db_mut(0).reserve(extra),
            Op::Swap => keyspace.swap(0, 1),
            Op::Pass(ms) => {
                *now_ms += ms;
                for db in 0..2 {
                    // What the shrinking table moves back is found by the cycle after.
                    while run(keyspace, db, *now_ms) > 0 {}
                    keyspace.db(db).for_each(|entry| {
                        assert!(entry.expiry().is_none_or(|at| at > *now_ms), "{now_ms}");
                    });
                }
            }
            Op::Sample => {
                let found = sample(keyspace.db_mut(0), *now_ms);
                for name in &found.expired {
                    let key = keyspace.key(name);
                    assert!(delete(keyspace, 0, key, *now_ms, false));
                }
            }
        }
    }

    proptest! {
        /// Whatever has become of the table meanwhile, cycles leave nothing that has expired.
        #[test]
        fn nothing_that_has_expired_is_missed(ops in proptest::collection::vec(op(), 1..400)) {
            let (mut keyspace, mut now_ms) = (keyspace(), 0);
            for op in ops {
                apply(&mut keyspace, op, &mut now_ms);
            }
            apply(&mut keyspace, Op::Pass(5000), &mut now_ms);
            prop_assert_eq!(keyspace.db(0).volatile() + keyspace.db(1).volatile(), 0);
        }
    }

    #[test]
    fn what_lives_long_is_not_looked_at() {
        let mut keyspace = keyspace();
        for n in 0..10_000 {
            insert(&mut keyspace, n, Some(1_000_000 + i64::from(n)));
        }
        assert_eq!(run(&mut keyspace, 0, 1000), 0);
        insert(&mut keyspace, 3, Some(2000));
        assert_eq!(run(&mut keyspace, 0, 1999), 0);
        assert_eq!(run(&mut keyspace, 0, 2000), 1);
        assert_eq!(run(&mut keyspace, 0, 2000), 0);
        assert_eq!(keyspace.db(0).len(), 9999);
    }

    #[test]
    fn a_sample_finds_volatile_keys_wherever_they_are() {
        let mut keyspace = keyspace();
        (0..2000).for_each(|n| insert(&mut keyspace, n, None));
        assert_eq!(sample(keyspace.db_mut(0), 0).sampled, 0);
        insert(&mut keyspace, 7, Some(500));
        let found: Vec<Found> = (0..10)
            .map(|_| sample(keyspace.db_mut(0), 100))
            .filter(|found| found.sampled > 0)
            .collect();
        assert!(!found.is_empty());
        assert!(found.iter().all(|found| found.ttl_sum_ms == 400));
    }
}
