//! The active expire cycle: finds keys whose time has come though nobody asks for them.
//!
//! There is no second table of volatile keys. The cycle walks the buckets of a database in order and
//! looks into those that are marked as holding volatile entries; a mark that no longer holds is
//! cleared on the way, so a database without expiries costs one byte read a bucket.
//!
//! Fields of hashes are found by the index that a database keeps of the hashes that have volatile
//! ones, in the order of their times: a database without such hashes costs one look.

use super::db::{Db, Key, Keyspace};
use super::hash::Hash;

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
