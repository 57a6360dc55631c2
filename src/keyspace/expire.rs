//! The active expire cycle: finds keys whose time has come though nobody asks for them.
//!
//! There is no second table of volatile keys. The cycle walks the buckets of a database in order and
//! looks into those that are marked as holding volatile entries; a mark that no longer holds is
//! cleared on the way, so a database without expiries costs one byte read a bucket.

use super::db::{Db, Key, Keyspace};

/// What a slice of the cycle found.
#[derive(Default)]
pub struct Found {
    /// Keys that have expired; the caller deletes them, with the effects that this has.
    pub expired: Vec<Box<[u8]>>,
    /// Volatile keys that were looked at.
    pub sampled: u64,
    /// The sum of the time to live of those that have not expired, in milliseconds.
    pub ttl_sum_ms: i64,
    /// Whether the walk passed the last bucket.
    pub wrapped: bool,
}

/// Looks at the next buckets of a database: at most `buckets_max`, or until `expired_max` keys were
/// found.
pub fn step(db: &mut Db, now_ms: i64, buckets_max: usize, expired_max: usize) -> Found {
    let mut found = Found::default();
    let buckets = db.table().buckets();
    if db.volatile() == 0 || buckets == 0 {
        db.expire_cursor = 0;
        found.wrapped = true;
        return found;
    }
    for _ in 0..buckets_max {
        if db.expire_cursor >= buckets {
            db.expire_cursor = 0;
            found.wrapped = true;
            break;
        }
        let index = db.expire_cursor;
        db.expire_cursor += 1;
        db.visit_volatile(index, |entry, at| {
            found.sampled += 1;
            if at <= now_ms {
                found.expired.push(entry.key().into());
            } else {
                found.ttl_sum_ms += at - now_ms;
            }
        });
        if found.expired.len() >= expired_max {
            break;
        }
    }
    found
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
