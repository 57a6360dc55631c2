//! Digests by which tests compare data sets, within a server and across servers.
//!
//! They are Redis's: two data sets have the same digest there and here. A digest is 20 bytes that
//! start as zeros. *Adding* bytes to it is an exclusive or with their SHA-1, so the order of additions
//! does not matter; *chaining* them is adding them and then replacing the digest by its own SHA-1, so
//! the order does. A data set adds, for each key, the digest that chains the key, the number of its
//! type, and the value, and adds a marker if the key is volatile; before the keys of a database, its
//! number is chained. Numbers are of 32 bits, big-endian.
//!
//! A list chains its elements. The others, which have no order of their own or whose order follows
//! from what they hold, add a digest for each element: of a set its member alone; of a sorted set and
//! of a hash one that chains the member and its score, or the field and its value, and has a marker
//! added if the field is volatile. A stream chains of each entry its ID, with a dot between the parts,
//! and its fields and values; its groups do not count.

use crate::data::listpack::Item;
use crate::data::stream::{Stream, StreamId};
use crate::keyspace::db::Keyspace;
use crate::keyspace::entry::EntryRef;
use crate::keyspace::hash::HashRef;
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
        const KIND: &str = "an entry holds what its kind says";
        match entry.kind() {
            Type::String => {
                let string = entry.string().unwrap_or(StringRef::Bytes(b""));
                self.chain(string.bytes(&mut itoa::Buffer::new()));
            }
            Type::List => {
                let list = entry.list().expect(KIND);
                list.for_each(|element| self.chain_item(element));
            }
            Type::Set => {
                let set = entry.set().expect(KIND);
                set.for_each(|member| self.add_item(member));
            }
            Type::Zset => {
                let zset = entry.zset().expect(KIND);
                zset.walk(0..zset.len(), false, |member, score| {
                    self.add_scored(member, score);
                });
            }
            Type::Hash => self.add_hash(entry.hash().expect(KIND)),
            Type::Stream => self.chain_stream(entry.stream().expect(KIND)),
        }
        if entry.expiry().is_some() {
            self.add(b"!!expire!!");
        }
    }

    fn add_scored(&mut self, member: Item<'_>, score: f64) {
        let mut of_member = Digest::default();
        of_member.chain_item(member);
        of_member.chain(seventeen_digits(score).as_bytes());
        self.add(&of_member.0);
    }

    fn add_hash(&mut self, hash: HashRef<'_>) {
        hash.for_each(|field, value, expiry| {
            let mut of_field = Digest::default();
            of_field.chain_item(field);
            of_field.chain_item(value);
            if expiry.is_some() {
                of_field.add(b"!!hexpire!!");
            }
            self.add(&of_field.0);
        });
    }

    fn chain_stream(&mut self, stream: &Stream) {
        for entry in stream.log.range(StreamId::MIN, StreamId::MAX) {
            self.chain(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
            for (name, value) in entry.fields() {
                self.chain_item(name);
                self.chain_item(value);
            }
        }
    }

    fn add_item(&mut self, item: Item<'_>) {
        self.add(item.bytes(&mut itoa::Buffer::new()));
    }

    fn chain_item(&mut self, item: Item<'_>) {
        self.chain(item.bytes(&mut itoa::Buffer::new()));
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

/// A score as C's `%.17g` writes it.
fn seventeen_digits(score: f64) -> String {
    const DIGITS: i32 = 17;
    if !score.is_finite() {
        return if score > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{score:.*e}", DIGITS as usize - 1);
    let (digits, exponent) = scientific.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("a short integer");
    let without_zeros = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    if (-4..DIGITS).contains(&exponent) {
        let decimals = (DIGITS - 1 - exponent) as usize;
        return without_zeros(&format!("{score:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let exponent = exponent.abs();
    format!("{}e{sign}{exponent:02}", without_zeros(digits))
}

/// The number of a type in digests (and in the RDB format's beginnings).
fn type_number(kind: Type) -> u32 {
    match kind {
        Type::String => 0,
        Type::List => 1,
        Type::Set => 2,
        Type::Zset => 3,
        Type::Hash => 4,
        Type::Stream => 6,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, seventeen_digits};
    use crate::base::hash::Hasher;
    use crate::base::rng::Rng;
    use crate::data::fields::Fields;
    use crate::data::listpack::ListpackBuf;
    use crate::data::members::Members;
    use crate::data::quicklist::{Options, QuickList};
    use crate::data::sorted::Sorted;
    use crate::keyspace::db::Keyspace;
    use crate::keyspace::value::{Big, NewValue, Packing};

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

    fn digest_of(value: NewValue<'_>) -> String {
        let mut keyspace = Keyspace::new(1, Hasher::new(1, 2), Rng::from_seed(1));
        let key = keyspace.key(b"key");
        let place = keyspace.db_mut(0).insert(key, value, None, 0);
        Digest::of_value(keyspace.db(0).entry(place)).to_string()
    }

    fn digest_of_pack(packing: Packing, items: &[&str]) -> String {
        let mut pack = ListpackBuf::new();
        items
            .iter()
            .for_each(|item| pack.push_back(item.as_bytes()));
        digest_of(NewValue::Packed(packing, &pack.into_vec()))
    }

    /// What redis-server 7.0.15 answers to DEBUG DIGEST-VALUE.
    #[test]
    fn equal_collections_have_redis_digest_in_either_form() {
        let hasher = Hasher::new(1, 2);
        let hash = "0f35fa34b329a7eadf52d098c358e1a441c5e6c4";
        let pairs = [("field", "value"), ("n", "12345"), ("", "x")];
        let flat: Vec<&str> = pairs.iter().flat_map(|&(f, v)| [f, v]).collect();
        assert_eq!(digest_of_pack(Packing::Hash, &flat), hash);
        let mut fields = Box::new(Fields::new(hasher));
        for (field, value) in pairs {
            fields.set(field.as_bytes(), value.as_bytes());
        }
        assert_eq!(digest_of(NewValue::Big(Big::Hash(fields))), hash);

        let list = "75091bf6554bf3aa42ab66c3f3681055f143cafc";
        let elements = ["a", "1", "a", "-70000"];
        assert_eq!(digest_of_pack(Packing::List, &elements), list);
        let mut quicklist = Box::new(QuickList::new(Options::default()));
        elements
            .iter()
            .for_each(|e| quicklist.push_back(e.as_bytes()));
        assert_eq!(digest_of(NewValue::Big(Big::List(quicklist))), list);

        let set = "6f6b28cd1ec68decf84958962492399439db1474";
        assert_eq!(digest_of_pack(Packing::Set, &["a", "bc"]), set);
        let mut members = Box::new(Members::new(hasher));
        members.insert(b"bc");
        members.insert(b"a");
        assert_eq!(digest_of(NewValue::Big(Big::Set(members))), set);
        let ints = "bff1310353f341fe4488c7323df3673679c04f02";
        assert_eq!(digest_of_pack(Packing::Set, &["1", "2", "300"]), ints);

        let zset = "d8e17501e218536b2a3d1942e2395e78eaeb6adf";
        let scored = [
            ("i", f64::NEG_INFINITY),
            ("f", 0.0),
            ("h", 1e-7),
            ("e", 0.1),
            ("one", 1.0),
            ("b", 1.5),
            ("j", 1e16),
            ("g", 1e17),
            ("d", 1e20),
            ("c", f64::INFINITY),
        ];
        let mut sorted = Box::new(Sorted::new(hasher));
        let mut flat = Vec::new();
        for (member, score) in scored {
            sorted.insert(member.as_bytes(), score);
            flat.extend([member.to_string(), format!("{score:e}")]);
        }
        assert_eq!(digest_of(NewValue::Big(Big::Zset(sorted))), zset);
        let flat: Vec<&str> = flat.iter().map(String::as_str).collect();
        assert_eq!(digest_of_pack(Packing::Zset, &flat), zset);
    }

    #[test]
    fn a_volatile_field_shows_in_the_digest() {
        let mut fields = Fields::new(Hasher::new(1, 2));
        fields.set(b"f", b"v");
        let plain = digest_of(NewValue::Big(Big::Hash(Box::new(fields.clone()))));
        fields.set_expiry(b"f", Some(5));
        let volatile = digest_of(NewValue::Big(Big::Hash(Box::new(fields))));
        assert_ne!(plain, volatile);
    }

    /// What `printf` of C writes.
    #[test]
    fn scores_have_seventeen_digits() {
        let check = |score: f64, expected: &str| assert_eq!(seventeen_digits(score), expected);
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.0, "1");
        check(-1.5, "-1.5");
        check(0.1, "0.10000000000000001");
        check(1e-4, "0.0001");
        check(1e-5, "1.0000000000000001e-05");
        check(1e16, "10000000000000000");
        check(1e17, "1e+17");
        check(123456789012345678.0, "1.2345678901234568e+17");
        check(99999999999999999.0, "1e+17");
        check(5e-324, "4.9406564584124654e-324");
        check(f64::MAX, "1.7976931348623157e+308");
        check(f64::INFINITY, "inf");
    }
}
