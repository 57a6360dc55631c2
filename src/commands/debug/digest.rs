//! Digests by which tests compare data sets, within a server and across servers.
//!
//! They are Redis's: two data sets have the same digest there and here. A digest is 20 bytes that
//! start as zeros. *Adding* bytes to it is an exclusive or with their SHA-1, so the order of additions
//! does not matter; *chaining* them is adding them and then replacing the digest by its own SHA-1, so
//! the order does. A data set adds, for each key, the digest that chains the key, the number of its
//! type, and the value, and adds a marker if the key is volatile; before the keys of a database, its
//! number is chained. Numbers are of 32 bits, big-endian.

use crate::keyspace::db::Keyspace;
use crate::keyspace::entry::EntryRef;
use crate::keyspace::set::SetRef;
use crate::keyspace::value::{StringRef, Type};
use sha1::{Digest as _, Sha1};
use std::fmt;

/// A digest, which is shown in lower-case hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Digest([u8; 20]);

impl Digest {
    /// The digest of everything.
    pub fn of_keyspace(keyspace: &Keyspace) -> Digest {
        let mut digest = Digest::default();
        for (number, db) in keyspace.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
            digest.chain(&(number as u32).to_be_bytes());
            db.for_each(|entry| {
                let mut of_entry = Digest::default();
                of_entry.chain(entry.key());
                of_entry.chain_value(entry);
                digest.add(&of_entry.0);
            });
        }
        digest
    }

    /// The digest of a key's value, without its name.
    pub fn of_value(entry: EntryRef<'_>) -> Digest {
        let mut digest = Digest::default();
        digest.chain_value(entry);
        digest
    }

    fn chain_value(&mut self, entry: EntryRef<'_>) {
        self.chain(&type_number(entry.kind()).to_be_bytes());
        match entry.kind() {
            Type::String => {
                let string = entry.string().unwrap_or(StringRef::Bytes(b""));
                self.chain(string.bytes(&mut itoa::Buffer::new()));
            }
            Type::Set => {
                let set = entry.set().unwrap_or(SetRef::EMPTY);
                set.for_each(|item| self.add(item.bytes(&mut itoa::Buffer::new())));
            }
            Type::List | Type::Zset | Type::Hash => {}
        }
        if entry.expiry().is_some() {
            self.add(b"!!expire!!");
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        for (byte, other) in self.0.iter_mut().zip(Sha1::digest(bytes)) {
            *byte ^= other;
        }
    }

    fn chain(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = Sha1::digest(self.0).into();
    }
}

/// The number of a type in digests (and in the RDB format's beginnings).
fn type_number(kind: Type) -> u32 {
    match kind {
        Type::String => 0,
        Type::List => 1,
        Type::Set => 2,
        Type::Zset => 3,
        Type::Hash => 4,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;
    use crate::base::hash::Hasher;
    use crate::base::rng::Rng;
    use crate::keyspace::db::Keyspace;
    use crate::keyspace::value::NewValue;

    /// What redis-server 7.0.15 answers to DEBUG DIGEST with the same keys.
    #[test]
    fn equal_data_sets_have_redis_digest() {
        let check = |keys: &[(usize, &str, &str, Option<i64>)], expected: &str| {
            let mut keyspace = Keyspace::new(2, Hasher::new(1, 2), Rng::from_seed(1));
            for &(db, name, value, expiry) in keys {
                let key = keyspace.key(name.as_bytes());
                keyspace
                    .db_mut(db)
                    .insert(key, NewValue::from_bytes(value.as_bytes()), expiry, 0);
            }
            assert_eq!(
                Digest::of_keyspace(&keyspace).to_string(),
                expected,
                "{keys:?}"
            );
        };
        check(&[], "0000000000000000000000000000000000000000");
        let long = "x".repeat(1000);
        let mut keys = vec![(0, "key", "value", None)];
        check(&keys, "f149f3abd419a8d7d8c5673c73a100bb87404213");
        keys.push((0, "number", "12345", Some(1)));
        check(&keys, "68e7e2160c9c0f8d8d88963d413ad956280f152a");
        keys.extend([(1, "", long.as_str(), None), (1, "key", "value", None)]);
        check(&keys, "3e320f129806228176b38f55e4a155a84800ec5e");
    }
}
