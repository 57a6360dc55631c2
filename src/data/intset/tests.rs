//! Intsets against bytes that Redis 7.0.15 made, against an ordered set, and against bytes that are
//! none.

use crate::base::fuzzing;
use std::collections::BTreeSet;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

fn set_of(values: &[i64]) -> IntSetBuf {
    let mut set = IntSetBuf::new();
    for &value in values {
        set.insert(value);
    }
    set
}

/// Reads a set in every way there is and compares with the values it should hold.
fn check_reads(set: IntSet<'_>, model: &BTreeSet<i64>) {
    assert_eq!(IntSet::check(set.bytes()), Ok(set));
    assert_eq!(set.len(), model.len());
    assert_eq!(set.is_empty(), model.is_empty());
    assert_eq!(set.min(), model.first().copied());
    assert_eq!(set.max(), model.last().copied());
    assert_eq!(set.iter().len(), model.len());
    assert!(set.iter().eq(model.iter().copied()));
    assert!(set.iter().rev().eq(model.iter().rev().copied()));
    assert_eq!(set.iter().nth(2), model.iter().nth(2).copied());
    for (index, &value) in model.iter().enumerate() {
        assert_eq!(set.get(index), Some(value));
        for near in [
            value.wrapping_sub(1),
            value,
            value.wrapping_add(1),
            value ^ 1 << 40,
        ] {
            assert_eq!(set.contains(near), model.contains(&near), "{near}");
        }
    }
    assert_eq!(set.get(model.len()), None);
    assert_eq!(set.get(usize::MAX), None);
}

/// If the bytes are accepted, they can be read in every way and changed. Says whether they were.
fn check_hostile(bytes: &[u8]) -> bool {
    let Ok(set) = IntSet::check(bytes) else {
        return false;
    };
    let mut model: BTreeSet<i64> = set.iter().collect();
    check_reads(set, &model);
    let mut set = IntSetBuf::from_vec_trusted(bytes.to_vec());
    for value in [0, i64::MIN, 40_000] {
        assert_eq!(set.insert(value), model.insert(value));
    }
    if let Some(&value) = model.iter().nth(model.len() / 2) {
        assert!(set.remove(value) && model.remove(&value));
    }
    check_reads(set.as_ref(), &model);
    true
}

#[test]
fn bytes_are_those_of_redis() {
    fn check(set: &IntSetBuf, expected: &[u8]) {
        assert_eq!(set.0, expected);
    }
    // From DUMP of sets of Redis 7.0.15 after the same commands.
    let mut set = set_of(&[2, 1, 3, 1]);
    check(&set, b"\x02\0\0\0\x03\0\0\0\x01\0\x02\0\x03\0");
    set.insert(-40_000);
    check(
        &set,
        b"\x04\0\0\0\x04\0\0\0\xc0\x63\xff\xff\x01\0\0\0\x02\0\0\0\x03\0\0\0",
    );
    set.insert(5_000_000_000);
    check(
        &set,
        b"\x08\0\0\0\x05\0\0\0\xc0\x63\xff\xff\xff\xff\xff\xff\x01\0\0\0\0\0\0\0\
          \x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\xf2\x05\x2a\x01\0\0\0",
    );
    set.remove(5_000_000_000);
    set.remove(-40_000);
    check(
        &set,
        b"\x08\0\0\0\x03\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0",
    );
}

#[test]
fn widens_at_the_limits() {
    fn check(value: i64, width: usize) {
        let mut model: BTreeSet<i64> = (-5..5).collect();
        let mut set = set_of(&Vec::from_iter(model.iter().copied()));
        assert_eq!(set.as_ref().width(), SMALL);
        assert!(!set.remove(value));
        assert!(set.insert(value) && !set.insert(value));
        model.insert(value);
        assert_eq!(set.as_ref().width(), width, "{value}");
        check_reads(set.as_ref(), &model);
        assert!(set.remove(value) && !set.remove(value));
        assert_eq!(set.as_ref().width(), width, "{value} is gone");
    }
    check(i16::MAX.into(), SMALL);
    check(i16::MIN.into(), SMALL);
    check(i64::from(i16::MAX) + 1, MEDIUM);
    check(i64::from(i16::MIN) - 1, MEDIUM);
    check(i32::MAX.into(), MEDIUM);
    check(i32::MIN.into(), MEDIUM);
    check(i64::from(i32::MAX) + 1, LARGE);
    check(i64::from(i32::MIN) - 1, LARGE);
    check(i64::MAX, LARGE);
    check(i64::MIN, LARGE);
}

#[test]
fn refuses_what_is_no_intset() {
    fn check(bytes: &[u8], expected: Result<usize, Fault>) {
        let found = IntSet::check(bytes).map(IntSet::len);
        assert_eq!(found, expected, "{bytes:02x?}");
        if let Err(fault) = expected {
            assert!(fault.to_string().starts_with("an intset "));
        }
    }
    check(b"", Err(Fault::Short));
    check(b"\x02\0\0\0\0\0\0", Err(Fault::Short));
    check(b"\x02\0\0\0\0\0\0\0", Ok(0));
    check(b"\0\0\0\0\0\0\0\0", Err(Fault::Width));
    check(b"\x03\0\0\0\0\0\0\0", Err(Fault::Width));
    check(b"\x02\x01\0\0\0\0\0\0", Err(Fault::Width));
    check(b"\x10\0\0\0\0\0\0\0", Err(Fault::Width));
    check(b"\x02\0\0\0\x01\0\0\0", Err(Fault::Count));
    check(b"\x02\0\0\0\0\0\0\0\x01\0", Err(Fault::Count));
    check(b"\x02\0\0\0\x01\0\0\0\x01\0\0", Err(Fault::Count));
    check(b"\x02\0\0\0\xff\xff\xff\xff\x01\0", Err(Fault::Count));
    check(b"\x08\0\0\0\0\0\0\x20", Err(Fault::Count));
    check(b"\x02\0\0\0\x02\0\0\0\x01\0\x01\0", Err(Fault::Order));
    check(b"\x02\0\0\0\x02\0\0\0\x01\0\xff\xff", Err(Fault::Order));
    check(b"\x02\0\0\0\x02\0\0\0\xff\xff\x01\0", Ok(2));
    for width in [SMALL, MEDIUM, LARGE] {
        let (mut one, mut two) = (vec![0; width], vec![0; width]);
        (one[0], two[0]) = (1, 2);
        let header = [&(width as u32).to_le_bytes()[..], &2u32.to_le_bytes()].concat();
        check(&[&header, &one[..], &two].concat(), Ok(2));
        check(&[&header, &two[..], &one].concat(), Err(Fault::Order));
        check(&[&header, &one[..], &one].concat(), Err(Fault::Order));
    }
    check(b"\x04\0\0\0\x01\0\0\0\x01\0\0\0", Ok(1));
}

#[test]
fn memory_is_reused() {
    let vec = Vec::with_capacity(100);
    let place = vec.as_ptr();
    let mut set = IntSetBuf::new_in(vec);
    assert_eq!(set, IntSetBuf::default());
    set.insert(1);
    set.insert(-1 << 40);
    assert_eq!(set.0.as_ptr(), place);
}

/// Values next to where the width changes, and a few that come again.
fn value() -> impl Strategy<Value = i64> {
    let edges = vec![
        0,
        i64::from(i16::MAX),
        i64::from(i16::MIN),
        i64::from(i32::MAX),
        i64::from(i32::MIN),
        i64::MAX,
    ];
    prop_oneof![
        4 => -20i64..20,
        2 => any::<i16>().prop_map(i64::from),
        1 => any::<i32>().prop_map(i64::from),
        1 => any::<i64>(),
        1 => (prop::sample::select(edges), -2i64..3)
            .prop_map(|(edge, by)| edge.wrapping_add(by)),
    ]
}

proptest! {
    #[test]
    fn behaves_as_a_set(
        small in prop::collection::vec(-2000i64..2000, 0..200),
        changes in prop::collection::vec((value(), 0..3), 0..100),
    ) {
        let (mut set, mut model) = (IntSetBuf::new(), BTreeSet::new());
        let mut width = SMALL;
        for (value, change) in small.into_iter().map(|value| (value, 0)).chain(changes) {
            if change == 2 {
                prop_assert_eq!(set.remove(value), model.remove(&value));
            } else {
                prop_assert_eq!(set.insert(value), model.insert(value));
                width = width.max(width_of(value));
            }
            prop_assert_eq!(set.as_ref().width(), width);
            prop_assert_eq!(set.as_ref().contains(value), change != 2);
            prop_assert_eq!(set.0.len(), EMPTY_LEN + width * model.len());
        }
        check_reads(set.as_ref(), &model);
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        check_hostile(&bytes);
    }

    #[test]
    fn changed_bytes_are_refused_or_read(
        values in prop::collection::vec(value(), 0..10),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = set_of(&values).into_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check_hostile(&bytes);
    }
}

/// Runs for `CINNABAR_FUZZ_SECONDS` (600) from `CINNABAR_FUZZ_SEED` (the clock):
/// `cargo test --lib fuzz_intset_check -- --ignored --nocapture`.
#[test]
#[ignore = "runs for minutes"]
fn fuzz_intset_check_for_minutes() {
    let (seed, end) = fuzzing::plan();
    let (runs, accepted) = fuzz(seed, |runs| runs % 256 != 0 || Instant::now() < end);
    println!("{runs} runs, {accepted} accepted");
}

#[test]
fn fuzzes_a_little() {
    let (_, accepted) = fuzz(1, |runs| runs < 2000);
    assert!(
        (200..1800).contains(&accepted),
        "{accepted} of 2000 accepted: the fuzzer is blind on one side"
    );
}

fn fuzz(seed: u64, more: impl Fn(u64) -> bool) -> (u64, u64) {
    let mut random = Random(seed);
    let (mut runs, mut accepted) = (0, 0);
    while more(runs) {
        let bytes = random.set();
        // A panic inside names the input only if we do.
        match std::panic::catch_unwind(|| check_hostile(&bytes)) {
            Ok(was_accepted) => accepted += u64::from(was_accepted),
            Err(_) => panic!("run {runs} of seed {seed}: panic on {bytes:02x?}"),
        }
        runs += 1;
    }
    (runs, accepted)
}

/// SplitMix64, so that a seed gives the same inputs on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Some values, then some damage, then perhaps a count that fits again.
    fn set(&mut self) -> Vec<u8> {
        let mut set = IntSetBuf::new();
        for _ in 0..self.below(12) {
            // Most are near each other, so that damage brings them out of order.
            let bits_lost = match self.below(20) {
                0 => self.below(40),
                _ => 49 + self.below(15),
            };
            let value = self.next() as i64 >> bits_lost;
            set.insert(value);
        }
        let mut bytes = set.into_vec();
        for _ in 0..self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            match self.below(8) {
                0 => bytes.truncate(at),
                1 => bytes[0] = [2, 4, 8][self.below(3)],
                2 => {
                    bytes.remove(at);
                }
                3 => bytes.insert(at, self.next() as u8),
                4 => bytes.extend_from_slice(&self.next().to_le_bytes()),
                5 => bytes[at] = self.next() as u8,
                _ => bytes[at] ^= 1 << self.below(8),
            }
        }
        if bytes.len() >= EMPTY_LEN && self.below(4) != 0 {
            let width = usize::from(bytes[0]).max(1);
            let count = ((bytes.len() - EMPTY_LEN) / width) as u32;
            bytes[4..EMPTY_LEN].copy_from_slice(&count.to_le_bytes());
        }
        bytes
    }
}
