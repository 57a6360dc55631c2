//! A big hash: a hash table of elements, each a field with its value, which it owns.
//!
//! A field may have a time at which it expires. Such fields stand in a tree in the order of their times
//! as well; a hash without them pays for a null pointer. What time it is, the caller says: until it has
//! expired fields taken out, they are there like any other.
//!
//! Costs: 10 to 14 bytes of table a field, and 3 beside its own bytes and those of its value, rounded up
//! to an even number; 15 to 17 more for an expiry.

use super::element::Element;
use super::ordered::Ordered;
use super::table::{Handle, Place, Table};
use crate::base::alloc;
use crate::base::hash::Hasher;
use crate::base::rng::Rng;

/// A map of byte strings.
pub struct Fields {
    table: Table<Element>,
    /// The fields that expire; none if there are none. An element's score is its time.
    volatile: Option<Box<Ordered>>,
    /// Bytes of all elements.
    bytes: usize,
}

/// A time beyond this, in the year 287396, is this; up to here a score is exact.
const LATEST_MS: i64 = 1 << 53;

impl Fields {
    /// An empty hash, which allocates nothing.
    pub fn new(hasher: Hasher) -> Fields {
        Fields {
            table: Table::new(hasher),
            volatile: None,
            bytes: 0,
        }
    }

    /// The number of fields, expired ones included.
    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no field.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The hash of a field's name, for the methods that take one.
    #[inline]
    pub fn hash(&self, field: &[u8]) -> u64 {
        self.table.hasher().hash(field)
    }

    /// Asks the processor for the bucket of `hash`.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch_bucket(hash);
    }

    /// Asks the processor for the field that `hash` most likely leads to; its bucket should have come.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        self.table.prefetch_entry(hash);
    }

    /// A field's value.
    #[inline]
    pub fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.get_hashed(field, self.hash(field))
    }

    /// [`Fields::get`] for a field whose hash is known.
    #[inline]
    pub fn get_hashed(&self, field: &[u8], hash: u64) -> Option<&[u8]> {
        let place = self.find(field, hash)?;
        Some(self.table.get(place).value())
    }

    /// A field's value, and when it expires.
    #[inline]
    pub fn get_with_expiry(&self, field: &[u8]) -> Option<(&[u8], Option<i64>)> {
        self.get_with_expiry_hashed(field, self.hash(field))
    }

    /// [`Fields::get_with_expiry`] for a field whose hash is known.
    #[inline]
    pub fn get_with_expiry_hashed(&self, field: &[u8], hash: u64) -> Option<(&[u8], Option<i64>)> {
        let element = self.table.get(self.find(field, hash)?);
        Some((element.value(), expiry_of(element)))
    }

    /// Gives a field a value; it does not expire any more. True if the field is new.
    #[inline]
    pub fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.set_hashed(field, self.hash(field), value)
    }

    /// [`Fields::set`] for a field whose hash is known.
    pub fn set_hashed(&mut self, field: &[u8], hash: u64, value: &[u8]) -> bool {
        let Some(place) = self.find(field, hash) else {
            self.add(hash, Element::new(field, None, Some(value)));
            return true;
        };
        let element = self.table.get(place);
        if element.is_scored() || !element.overwrite(value) {
            self.exchange(place, Element::new(field, None, Some(value)));
        }
        false
    }

    /// Gives fields their values; the lookups of a batch overlap. False, with those before it set, if one was there.
    pub fn set_each<'f>(&mut self, mut pairs: impl Iterator<Item = (&'f [u8], &'f [u8])>) -> bool {
        const BATCH: usize = 16;
        let mut batch: [(&[u8], &[u8], u64); BATCH] = [(&[], &[], 0); BATCH];
        loop {
            let mut count = 0;
            for (place, (field, value)) in batch.iter_mut().zip(pairs.by_ref()) {
                let hash = self.hash(field);
                self.prefetch_bucket(hash);
                *place = (field, value, hash);
                count += 1;
            }
            let mut batch = batch[..count].iter();
            if !batch.all(|&(field, value, hash)| self.set_hashed(field, hash, value)) {
                return false;
            }
            if count < BATCH {
                return true;
            }
        }
    }

    /// Gives a field a value; when it expires stays as it is. True if the field is new.
    #[inline]
    pub fn set_keeping_expiry(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.set_keeping_expiry_hashed(field, self.hash(field), value)
    }

    /// [`Fields::set_keeping_expiry`] for a field whose hash is known.
    pub fn set_keeping_expiry_hashed(&mut self, field: &[u8], hash: u64, value: &[u8]) -> bool {
        let Some(place) = self.find(field, hash) else {
            self.add(hash, Element::new(field, None, Some(value)));
            return true;
        };
        let element = self.table.get(place);
        if !element.overwrite(value) {
            let score = element.is_scored().then(|| element.score());
            self.exchange(place, Element::new(field, score, Some(value)));
        }
        false
    }

    /// Removes a field. False if there was none.
    #[inline]
    pub fn remove(&mut self, field: &[u8]) -> bool {
        self.remove_hashed(field, self.hash(field))
    }

    /// [`Fields::remove`] for a field whose hash is known.
    pub fn remove_hashed(&mut self, field: &[u8], hash: u64) -> bool {
        let Some(place) = self.find(field, hash) else {
            return false;
        };
        let element = self.table.get(place);
        self.unlist(element);
        self.release(element, hash, place);
        true
    }

    /// All fields with their values and when they expire, in no particular order; those to come are
    /// prefetched.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], Option<i64>)> {
        self.table.iter().map(parts)
    }

    /// Visits some fields and returns the cursor to go on from; a scan starts and ends at 0. A field
    /// that is there during a whole scan is visited at least once.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(&[u8], &[u8], Option<i64>)) -> u64 {
        self.table.scan(cursor, |element| {
            visit(element.field(), element.value(), expiry_of(element));
        })
    }

    /// A field chosen with equal chance among all, expired ones included.
    pub fn random(&self, rng: &mut Rng) -> Option<(&[u8], &[u8], Option<i64>)> {
        self.table.random(|| rng.next_u64()).map(parts)
    }

    /// Grows the table ahead of `extra` further fields.
    pub fn reserve(&mut self, extra: usize) {
        self.table.reserve(extra);
    }

    /// Bytes that table, fields and the tree of those that expire take.
    pub fn allocated(&self) -> usize {
        let tree = self.volatile.as_ref().map_or(0, |tree| {
            alloc::class_size(size_of::<Ordered>(), 8) + tree.allocated()
        });
        self.table.bytes() + self.bytes + tree
    }

    /// When a field expires, in milliseconds; `Some(None)` if it never does, `None` if it does not exist.
    #[inline]
    pub fn expiry(&self, field: &[u8]) -> Option<Option<i64>> {
        let place = self.find(field, self.hash(field))?;
        Some(expiry_of(self.table.get(place)))
    }

    /// Says when a field expires, or that it never does. False if it does not exist. Times beyond 2^53
    /// milliseconds from the epoch are kept as that.
    pub fn set_expiry(&mut self, field: &[u8], expiry_ms: Option<i64>) -> bool {
        let Some(place) = self.find(field, self.hash(field)) else {
            return false;
        };
        let element = self.table.get(place);
        let score = expiry_ms.map(|ms| ms.clamp(-LATEST_MS, LATEST_MS) as f64);
        match (score, &mut self.volatile) {
            (Some(score), Some(tree)) if element.is_scored() => tree.rescore(element, score),
            (None, _) if !element.is_scored() => {}
            _ => self.exchange(place, Element::new(field, score, Some(element.value()))),
        }
        true
    }

    /// The number of fields that expire.
    #[inline]
    pub fn volatile(&self) -> usize {
        self.volatile.as_ref().map_or(0, |tree| tree.len())
    }

    /// When the first field expires, in milliseconds.
    #[inline]
    pub fn next_expiry(&self) -> Option<i64> {
        let first = self.volatile.as_ref()?.first()?;
        expiry_of(first)
    }

    /// Removes fields whose time is `now_ms` or before, at most `max` of them and the earliest first,
    /// after `visit` has seen each. Returns how many.
    pub fn take_expired(
        &mut self,
        now_ms: i64,
        max: usize,
        visit: &mut impl FnMut(&[u8]),
    ) -> usize {
        let mut taken = 0;
        while taken < max
            && let Some(tree) = &self.volatile
            && let Some(element) = tree.first()
            && expiry_of(element).is_some_and(|at| at <= now_ms)
        {
            visit(element.field());
            self.unlist(element);
            let hash = element.hash(self.table.hasher());
            let place = self.table.find(hash, |other| other == element);
            self.release(
                element,
                hash,
                place.expect("the tree's fields are in the table"),
            );
            taken += 1;
        }
        taken
    }

    #[inline]
    fn find(&self, field: &[u8], hash: u64) -> Option<Place> {
        self.table.find(hash, |element| element.field() == field)
    }

    fn add(&mut self, hash: u64, element: Element) {
        self.bytes += element.allocated();
        self.table.insert(hash, element);
    }

    /// Puts another element of the same name in the place of one, which it frees.
    fn exchange(&mut self, place: Place, new: Element) {
        let old = self.table.replace(place, new);
        match (&mut self.volatile, old.is_scored() && new.is_scored()) {
            (Some(tree), true) => tree.replace(old, new),
            _ => {
                self.unlist(old);
                self.list(new);
            }
        }
        self.bytes += new.allocated();
        self.bytes -= old.allocated();
        old.free();
    }

    /// Adds an element to the tree if it expires.
    fn list(&mut self, element: Element) {
        if element.is_scored() {
            let tree = self.volatile.get_or_insert_default();
            tree.insert(element);
        }
    }

    /// Takes an element out of the tree if it expires, and the tree away if it was the last.
    fn unlist(&mut self, element: Element) {
        if !element.is_scored() {
            return;
        }
        let tree = self.volatile.as_mut();
        let tree = tree.expect("a field that expires is in the tree");
        tree.remove(element);
        if tree.is_empty() {
            self.volatile = None;
        }
    }

    fn release(&mut self, element: Element, hash: u64, place: Place) {
        self.bytes -= element.allocated();
        self.table.remove(hash, place);
        element.free();
    }
}

#[inline]
fn expiry_of(element: Element) -> Option<i64> {
    element.is_scored().then(|| element.score() as i64)
}

#[inline]
fn parts<'a>(element: Element) -> (&'a [u8], &'a [u8], Option<i64>) {
    (element.field(), element.value(), expiry_of(element))
}

impl Clone for Fields {
    fn clone(&self) -> Fields {
        let mut copy = Fields::new(*self.table.hasher());
        copy.table.reserve(self.len());
        copy.bytes = self.bytes;
        for element in self.table.iter() {
            let element = element.duplicate();
            copy.table
                .insert(element.hash(self.table.hasher()), element);
            copy.list(element);
        }
        copy
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        self.table.iter().for_each(Element::free);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashSet};

    type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

    fn fields() -> Fields {
        Fields::new(Hasher::new(3, 4))
    }

    fn name(id: u8) -> Vec<u8> {
        match id % 5 {
            0 => vec![id; usize::from(id)],
            1 => vec![id; 300],
            2 => vec![id; 1100],
            _ => format!("field:{id}").into_bytes(),
        }
    }

    fn value(id: u16) -> Vec<u8> {
        let len = match id % 6 {
            0 => 0,
            1..4 => usize::from(id % 37),
            4 => 250 + usize::from(id % 12),
            _ => 1020 + usize::from(id % 9),
        };
        vec![id as u8; len]
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(u8, u16),
        SetKeeping(u8, u16),
        Remove(u8),
        Expire(u8, Option<i64>),
        Take(i64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let time = prop_oneof![4 => 0i64..100, 1 => any::<i64>()];
        prop_oneof![
            4 => (any::<u8>(), any::<u16>()).prop_map(|(f, v)| Step::Set(f, v)),
            2 => (any::<u8>(), any::<u16>()).prop_map(|(f, v)| Step::SetKeeping(f, v)),
            2 => any::<u8>().prop_map(Step::Remove),
            4 => (any::<u8>(), prop::option::weighted(0.9, time)).prop_map(|(f, t)| Step::Expire(f, t)),
            1 => (0i64..50, 0usize..8).prop_map(|(now, max)| Step::Take(now, max)),
        ]
    }

    /// Does a step to the hash and to the model, and compares what they say.
    fn apply(hash: &mut Fields, model: &mut Model, step: Step) {
        match step {
            Step::Set(f, v) => {
                let new = model.insert(name(f), (value(v), None)).is_none();
                assert_eq!(hash.set(&name(f), &value(v)), new);
            }
            Step::SetKeeping(f, v) => {
                let expiry = model.get(&name(f)).and_then(|(_, expiry)| *expiry);
                let new = model.insert(name(f), (value(v), expiry)).is_none();
                assert_eq!(hash.set_keeping_expiry(&name(f), &value(v)), new);
            }
            Step::Remove(f) => assert_eq!(hash.remove(&name(f)), model.remove(&name(f)).is_some()),
            Step::Expire(f, expiry) => {
                let known = model.get_mut(&name(f));
                assert_eq!(hash.set_expiry(&name(f), expiry), known.is_some());
                if let Some((_, known)) = known {
                    *known = expiry.map(|ms| ms.clamp(-LATEST_MS, LATEST_MS));
                }
            }
            Step::Take(now, max) => {
                let mut gone = Vec::new();
                let taken = hash.take_expired(now, max, &mut |f| gone.push(f.to_vec()));
                assert_eq!(taken, gone.len());
                let mut due: Vec<_> = model
                    .iter()
                    .filter_map(|(f, (_, at))| Some(((*at)?, f.clone())))
                    .filter(|(at, _)| *at <= now)
                    .collect();
                due.sort();
                due.truncate(max);
                assert_eq!(gone, due.into_iter().map(|(_, f)| f).collect::<Vec<_>>());
                gone.iter().for_each(|f| {
                    model.remove(f);
                });
            }
        }
    }

    fn check(hash: &Fields, model: &Model) {
        let all: Model = hash
            .iter()
            .map(|(f, v, expiry)| (f.to_vec(), (v.to_vec(), expiry)))
            .collect();
        assert_eq!(&all, model);
        assert_eq!(hash.len(), model.len());
        let times = || model.values().filter_map(|(_, expiry)| *expiry);
        assert_eq!(hash.volatile(), times().count());
        assert_eq!(hash.next_expiry(), times().min());
        assert_eq!(hash.volatile.is_some(), times().count() > 0);
        let elements: usize = hash.table.iter().map(Element::allocated).sum();
        assert_eq!(hash.bytes, elements);
    }

    proptest! {
        #[test]
        fn behaves_like_a_map_with_expiries(steps in prop::collection::vec(step(), 1..400)) {
            let (mut hash, mut model) = (fields(), Model::new());
            for step in steps {
                apply(&mut hash, &mut model, step);
            }
            check(&hash, &model);
            for id in 0..=255 {
                let known = model.get(&name(id));
                prop_assert_eq!(hash.get(&name(id)), known.map(|(v, _)| v.as_slice()));
                prop_assert_eq!(hash.expiry(&name(id)), known.map(|(_, expiry)| *expiry));
                let both = known.map(|(v, expiry)| (v.as_slice(), *expiry));
                prop_assert_eq!(hash.get_with_expiry(&name(id)), both);
            }
            let copy = hash.clone();
            drop(hash);
            check(&copy, &model);
        }
    }

    #[test]
    fn a_scan_meets_all_that_stays() {
        let mut hash = fields();
        let name = |n: u32| format!("field:{n}").into_bytes();
        for n in 0..1000 {
            hash.set(&name(n), b"value");
        }
        let (mut cursor, mut seen, mut n) = (0, HashSet::new(), 1000);
        loop {
            cursor = hash.scan(cursor, |f, v, expiry| {
                assert!(v == b"value" && expiry.is_none());
                seen.insert(f.to_vec());
            });
            if cursor == 0 {
                break;
            }
            for _ in 0..30 {
                hash.set(&name(n), b"value");
                n += 1;
            }
        }
        for n in 0..1000 {
            assert!(seen.contains(&name(n)), "{n} was missed");
        }
    }

    #[test]
    fn a_big_hash_is_small() {
        let mut hash = fields();
        let count = 200_000;
        for n in 0..count {
            let field = format!("field:{n:010}");
            hash.set(field.as_bytes(), field.as_bytes());
        }
        let each = hash.allocated() as f64 / f64::from(count);
        println!("{each:.2} bytes a field of 16 with a value of 16");
        assert!(each <= 50.0, "{each} bytes a field");
        for n in 0..count {
            hash.set_expiry(
                format!("field:{n:010}").as_bytes(),
                Some(i64::from(n % 1009)),
            );
        }
        let each = hash.allocated() as f64 / f64::from(count);
        println!("{each:.2} bytes with an expiry");
        assert!(each <= 67.0, "{each} bytes a field that expires");
        assert_eq!(
            hash.take_expired(1009, usize::MAX, &mut |_| {}),
            count as usize
        );
        assert_eq!((hash.len(), hash.bytes), (0, 0));
    }

    #[test]
    fn a_hash_may_move_to_another_thread() {
        let mut hash = fields();
        for n in 0..1000u32 {
            hash.set(&n.to_le_bytes(), b"value");
            hash.set_expiry(&n.to_le_bytes(), Some(i64::from(n)));
        }
        let freeing = std::thread::spawn(move || drop(hash));
        freeing.join().expect("the thread ends well");
    }
}
