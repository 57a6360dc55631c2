//! A big set: a hash table of elements, which it owns.
//!
//! A lookup hashes the member once and touches a bucket and an element. Callers that look many members
//! up use [`Members::contains_each`], or hash and prefetch a batch themselves.
//!
//! Costs: 10 to 14 bytes of table a member, and 2 beside its own bytes, rounded up to an even number.

use super::element::Element;
use super::table::{Handle, Place, Table};
use crate::base::hash::Hasher;
use crate::base::rng::Rng;

/// A set of byte strings.
pub struct Members {
    table: Table<Element>,
    /// Bytes of all elements.
    bytes: usize,
}

impl Members {
    /// An empty set, which allocates nothing.
    pub fn new(hasher: Hasher) -> Members {
        Members {
            table: Table::new(hasher),
            bytes: 0,
        }
    }

    /// The number of members.
    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no member.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The hash of a member, for the methods that take one.
    #[inline]
    pub fn hash(&self, member: &[u8]) -> u64 {
        self.table.hasher().hash(member)
    }

    /// Asks the processor for the bucket of `hash`.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch_bucket(hash);
    }

    /// Asks the processor for the member that `hash` most likely leads to; its bucket should have come.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        self.table.prefetch_entry(hash);
    }

    /// Whether `member` is in the set.
    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        self.contains_hashed(member, self.hash(member))
    }

    /// [`Members::contains`] for a member whose hash is known.
    #[inline]
    pub fn contains_hashed(&self, member: &[u8], hash: u64) -> bool {
        self.find(member, hash).is_some()
    }

    /// Calls `visit` with each of `members` in turn and whether the set contains it. The lookups of a
    /// batch overlap, which makes this some times faster than [`Members::contains`] on a set that the
    /// cache does not hold.
    pub fn contains_each<'m>(
        &self,
        mut members: impl Iterator<Item = &'m [u8]>,
        mut visit: impl FnMut(&'m [u8], bool),
    ) {
        const BATCH: usize = 16;
        let mut batch: [(&[u8], u64); BATCH] = [(&[], 0); BATCH];
        loop {
            let mut count = 0;
            for (place, member) in batch.iter_mut().zip(members.by_ref()) {
                let hash = self.hash(member);
                self.table.prefetch_bucket(hash);
                *place = (member, hash);
                count += 1;
            }
            let batch = &batch[..count];
            for &(_, hash) in batch {
                self.table.prefetch_entry(hash);
            }
            for &(member, hash) in batch {
                visit(member, self.contains_hashed(member, hash));
            }
            if count < BATCH {
                return;
            }
        }
    }

    /// Adds a member. False if it was there.
    #[inline]
    pub fn insert(&mut self, member: &[u8]) -> bool {
        self.insert_hashed(member, self.hash(member))
    }

    /// [`Members::insert`] for a member whose hash is known.
    pub fn insert_hashed(&mut self, member: &[u8], hash: u64) -> bool {
        if self.find(member, hash).is_some() {
            return false;
        }
        let element = Element::new(member, None, None);
        self.bytes += element.allocated();
        self.table.insert(hash, element);
        true
    }

    /// Adds members; the lookups of a batch overlap. False, with those before it added, if one was there.
    pub fn insert_each<'m>(&mut self, mut members: impl Iterator<Item = &'m [u8]>) -> bool {
        const BATCH: usize = 16;
        let mut batch: [(&[u8], u64); BATCH] = [(&[], 0); BATCH];
        loop {
            let mut count = 0;
            for (place, member) in batch.iter_mut().zip(members.by_ref()) {
                let hash = self.hash(member);
                self.table.prefetch_bucket(hash);
                *place = (member, hash);
                count += 1;
            }
            let mut batch = batch[..count].iter();
            if !batch.all(|&(member, hash)| self.insert_hashed(member, hash)) {
                return false;
            }
            if count < BATCH {
                return true;
            }
        }
    }

    /// Removes a member. False if it was not there.
    #[inline]
    pub fn remove(&mut self, member: &[u8]) -> bool {
        self.remove_hashed(member, self.hash(member))
    }

    /// [`Members::remove`] for a member whose hash is known.
    pub fn remove_hashed(&mut self, member: &[u8], hash: u64) -> bool {
        match self.find(member, hash) {
            Some(place) => {
                self.take(hash, place).free();
                true
            }
            None => false,
        }
    }

    /// All members, in no particular order; the ones to come are prefetched.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.table.iter().map(Element::field)
    }

    /// Visits some members and returns the cursor to go on from; a scan starts and ends at 0. A member
    /// that is there during a whole scan is visited at least once.
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(&'a [u8])) -> u64 {
        self.table.scan(cursor, |element| visit(element.field()))
    }

    /// A member chosen with equal chance among all.
    pub fn random(&self, rng: &mut Rng) -> Option<&[u8]> {
        self.table.random(|| rng.next_u64()).map(Element::field)
    }

    /// Removes a member chosen with equal chance among all, after `visit` has seen it. False if there
    /// is none.
    pub fn pop_random(&mut self, rng: &mut Rng, visit: impl FnOnce(&[u8])) -> bool {
        let Some(element) = self.table.random(|| rng.next_u64()) else {
            return false;
        };
        let hash = self.hash(element.field());
        let place = self.table.find(hash, |other| other == element);
        let element = self.take(hash, place.expect("a chosen member is in the table"));
        visit(element.field());
        element.free();
        true
    }

    /// Grows the table ahead of `extra` further members.
    pub fn reserve(&mut self, extra: usize) {
        self.table.reserve(extra);
    }

    /// Bytes that table and members take.
    pub fn allocated(&self) -> usize {
        self.table.bytes() + self.bytes
    }

    #[inline]
    fn find(&self, member: &[u8], hash: u64) -> Option<Place> {
        self.table.find(hash, |element| element.field() == member)
    }

    fn take(&mut self, hash: u64, place: Place) -> Element {
        let element = self.table.remove(hash, place);
        self.bytes -= element.allocated();
        element
    }
}

impl Clone for Members {
    fn clone(&self) -> Members {
        let mut table = Table::new(*self.table.hasher());
        table.reserve(self.len());
        for element in self.table.iter() {
            table.insert(element.hash(table.hasher()), element.duplicate());
        }
        Members {
            table,
            bytes: self.bytes,
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.table.iter().for_each(Element::free);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use proptest::prelude::*;
    use std::collections::{BTreeSet, HashSet};

    fn members() -> Members {
        Members::new(Hasher::new(3, 4))
    }

    /// Members of all lengths that matter: none, short ones, those with a wide length, and those that
    /// are too large for the slab.
    fn member(id: u16) -> Vec<u8> {
        let len = match id % 7 {
            0..4 => usize::from(id % 23),
            4 => 254 + usize::from(id % 5),
            5 => 300,
            _ => 1024 + usize::from(id % 9),
        };
        let mut bytes = id.to_le_bytes().to_vec();
        bytes.resize(len, b'\0');
        bytes
    }

    fn sorted<'a>(set: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
        let mut all: Vec<_> = set.map(<[u8]>::to_vec).collect();
        all.sort();
        all
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(steps in prop::collection::vec((0u8..10, 0u16..300), 1..600), bias in 2u8..9) {
            let (mut set, mut model, mut rng) = (members(), BTreeSet::new(), Rng::from_seed(1));
            for (kind, id) in steps {
                let member = member(id);
                prop_assert_eq!(set.contains(&member), model.contains(&member));
                if kind < bias {
                    prop_assert_eq!(set.insert(&member), model.insert(member));
                } else if kind == 9 {
                    let mut popped = None;
                    prop_assert_eq!(set.pop_random(&mut rng, |m| popped = Some(m.to_vec())), !model.is_empty());
                    if let Some(popped) = popped {
                        prop_assert!(model.remove(&popped));
                    }
                } else {
                    prop_assert_eq!(set.remove(&member), model.remove(&member));
                }
                prop_assert_eq!(set.len(), model.len());
                prop_assert_eq!(set.random(&mut rng).is_some(), !model.is_empty());
            }
            let elements: usize = set.table.iter().map(Element::allocated).sum();
            prop_assert_eq!(set.allocated(), set.table.bytes() + elements);
            let all: Vec<_> = model.iter().cloned().collect();
            prop_assert_eq!(&sorted(set.iter()), &all);
            let copy = set.clone();
            drop(set);
            prop_assert_eq!(&sorted(copy.iter()), &all);
            let ids: Vec<_> = (0..300).map(member).collect();
            let mut seen = Vec::new();
            copy.contains_each(ids.iter().map(Vec::as_slice), |member, is_in| seen.push((member, is_in)));
            prop_assert_eq!(seen, ids.iter().map(|m| (m.as_slice(), model.contains(m))).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_scan_meets_all_that_stays() {
        let mut set = members();
        let name = |n: u32| format!("member:{n}").into_bytes();
        for n in 0..2000 {
            set.insert(&name(n));
        }
        let (mut cursor, mut seen, mut n) = (0, HashSet::new(), 2000);
        loop {
            cursor = set.scan(cursor, |member| {
                seen.insert(member.to_vec());
            });
            if cursor == 0 {
                break;
            }
            for _ in 0..20 {
                set.insert(&name(n));
                n += 1;
                // The table grows, then shrinks.
                for gone in [n % 1000, 2000 + n / 3] {
                    if n > 6000 && gone >= 500 {
                        set.remove(&name(gone));
                    }
                }
            }
        }
        for n in 0..500 {
            assert!(seen.contains(&name(n)), "{n} was missed");
        }
    }

    #[test]
    fn a_big_set_is_small() {
        let mut set = members();
        let count = 200_000;
        for n in 0..count {
            set.insert(format!("member:{n:010}").as_bytes());
        }
        let each = set.allocated() as f64 / f64::from(count);
        println!("{each:.2} bytes a member of 17");
        assert!(each <= 34.0, "{each} bytes a member");
    }

    #[test]
    fn a_set_may_move_to_another_thread() {
        let mut set = members();
        for n in 0..1000u32 {
            set.insert(&n.to_le_bytes());
        }
        let freeing = std::thread::spawn(move || drop(set));
        freeing.join().expect("the thread ends well");
    }
}
