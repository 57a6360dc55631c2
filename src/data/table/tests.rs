//! The table against a model, its scan, its memory and its fairness.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};

/// A key that lives on the heap, as entries do.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Key(NonNull<u64>);

// SAFETY: a plain pointer; the tests that move it to another thread own what it points to.
unsafe impl Send for Key {}

impl Key {
    fn new(value: u64) -> Key {
        Key(NonNull::from(Box::leak(Box::new(value))))
    }

    fn value(self) -> u64 {
        // SAFETY: live until `free`, which each test calls last.
        unsafe { self.0.read() }
    }

    fn free(self) {
        // SAFETY: made by `new`, freed once.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl Handle for Key {
    fn into_raw(self) -> NonNull<u8> {
        self.0.cast()
    }

    unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        Key(raw.cast())
    }

    fn hash(self, hasher: &Hasher) -> u64 {
        hash(hasher, self.value())
    }
}

fn hash(hasher: &Hasher, value: u64) -> u64 {
    hasher.hash(&value.to_le_bytes())
}

struct Keys(Table<Key>);

impl Keys {
    fn new() -> Keys {
        Keys(Table::new(Hasher::new(1, 2)))
    }

    fn find(&self, value: u64) -> Option<Place> {
        self.0
            .find(hash(self.0.hasher(), value), |k| k.value() == value)
    }

    fn insert(&mut self, value: u64) {
        let key = Key::new(value);
        let place = self.0.insert(hash(self.0.hasher(), value), key);
        assert_eq!(self.0.get(place), key);
    }

    fn remove(&mut self, value: u64) {
        let place = self.find(value).expect("present");
        self.0.remove(hash(self.0.hasher(), value), place).free();
    }

    fn values(&self) -> Vec<u64> {
        let mut all = Vec::new();
        self.0.for_each(|k| all.push(k.value()));
        all.sort_unstable();
        all
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.0.for_each(Key::free);
    }
}

proptest! {
    #[test]
    fn behaves_like_a_map(steps in prop::collection::vec((0u8..10, 0u64..400), 1..3000), bias in 2u8..9) {
        let mut table = Keys::new();
        let mut model = BTreeMap::new();
        for (kind, value) in steps {
            if kind < bias {
                if model.insert(value, ()).is_none() {
                    table.insert(value);
                }
            } else if model.remove(&value).is_some() {
                table.remove(value);
            }
            prop_assert_eq!(table.find(value).is_some(), model.contains_key(&value));
            prop_assert_eq!(table.0.len(), model.len());
        }
        let mut iterated: Vec<_> = table.0.iter().map(Key::value).collect();
        iterated.sort_unstable();
        prop_assert_eq!(&iterated, &table.values());
        prop_assert_eq!(iterated, model.into_keys().collect::<Vec<_>>());
    }

    #[test]
    fn scan_meets_all_that_stays(stay in 1u64..800, others in 0u64..3000, every in 1usize..5, grow in any::<bool>()) {
        let mut table = Keys::new();
        (0..stay).for_each(|v| table.insert(v));
        if !grow {
            (10_000..10_000 + others).for_each(|v| table.insert(v));
        }
        let (mut seen, mut cursor, mut step, mut changed) = (HashSet::new(), 0, 0, 0);
        loop {
            cursor = table.0.scan(cursor, |k| { seen.insert(k.value()); });
            if cursor == 0 {
                break;
            }
            step += 1;
            if step % every == 0 {
                for _ in 0..40.min(others - changed) {
                    let value = 10_000 + changed;
                    if grow { table.insert(value) } else { table.remove(value) }
                    changed += 1;
                }
            }
        }
        for value in 0..stay {
            prop_assert!(seen.contains(&value), "{} was missed", value);
        }
    }
}

#[test]
fn a_scan_of_a_still_table_shows_everything_once() {
    let mut table = Keys::new();
    (0..10_000).for_each(|v| table.insert(v));
    let (mut seen, mut cursor) = (Vec::new(), 0);
    loop {
        cursor = table.0.scan(cursor, |k| seen.push(k.value()));
        if cursor == 0 {
            break;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..10_000).collect::<Vec<_>>());
}

#[test]
fn memory_follows_the_number_of_entries_both_ways() {
    let mut table = Keys::new();
    for n in 1..=200_000u64 {
        table.insert(n);
        // Below that, the segment that was added last weighs too much.
        if n >= 50_000 && n.is_multiple_of(1000) {
            let each = table.0.bytes() as f64 / n as f64;
            assert!((10.0..14.0).contains(&each), "{each} bytes an entry at {n}");
        }
    }
    for n in 1..=200_000u64 {
        table.remove(n);
    }
    assert!(
        table.0.bytes() < 1024,
        "{} bytes when empty",
        table.0.bytes()
    );
    assert_eq!(table.0.links(), 0);
}

#[test]
fn random_is_fair() {
    let mut table = Keys::new();
    (0..1000).for_each(|v| table.insert(v));
    let mut counts = [0u32; 1000];
    let mut state = 7u64;
    for _ in 0..200_000 {
        let chosen = table.0.random(|| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ z >> 31
        });
        counts[chosen.expect("not empty").value() as usize] += 1;
    }
    // 200 draws expected each, with a deviation of 14.
    assert!(
        counts.iter().all(|c| (110..300).contains(c)),
        "{:?}",
        (counts.iter().min(), counts.iter().max())
    );
}

#[test]
fn a_chain_forgets_that_it_was_volatile() {
    let mut table = Keys::new();
    table.insert(1);
    let hash = hash(table.0.hasher(), 1);
    assert!(!table.0.visit_volatile(0, |_| true));
    table.0.mark_volatile(hash, 5);
    assert!(table.0.visit_volatile(0, |_| true));
    (2..1000).for_each(|v| table.insert(v));
    let marked = (0..table.0.buckets())
        .filter(|&i| table.0.visit_volatile(i, |k| k.value() == 1))
        .count();
    assert!(marked >= 1);
    let still = (0..table.0.buckets())
        .filter(|&i| table.0.visit_volatile(i, |k| k.value() == 1))
        .count();
    assert_eq!(still, 1);
}
