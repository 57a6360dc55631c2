//! Registers, runs and whole strings against naive models, and against what redis-server has and counts.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const LIMIT: usize = 3000;

fn element() -> impl Strategy<Value = Element> {
    // Few registers, close together, so that runs are split and joined; and some anywhere.
    let register = prop_oneof![3 => 0..40usize, 1 => 0..REGISTERS, 1 => REGISTERS - 40..REGISTERS];
    let rank = prop_oneof![8 => 1..5u8, 1 => 1..=32u8];
    (register, rank).prop_map(|(register, rank)| Element { register, rank })
}

fn filled(elements: &[Element], sparse_bytes_max: usize) -> Vec<u8> {
    let mut string = EMPTY.to_vec();
    for &element in elements {
        add(&mut string, element, sparse_bytes_max).unwrap();
    }
    string
}

fn naive(elements: &[Element]) -> Vec<u8> {
    let mut values = vec![0; REGISTERS];
    for element in elements {
        values[element.register] = element.rank.max(values[element.register]);
    }
    values
}

fn union_of(strings: &[&[u8]]) -> Registers {
    let mut union = Registers::new();
    for string in strings {
        union.merge(parse_known(string)).unwrap();
    }
    union
}

proptest! {
    #[test]
    fn sparse_dense_and_naive_agree(elements in vec(element(), 0..300), limit in prop_oneof![Just(LIMIT), 18..200usize]) {
        let values = naive(&elements);
        let (sparse, dense) = (filled(&elements, limit), filled(&elements, 0));
        prop_assert!(elements.is_empty() || parse_known(&dense).is_dense());
        prop_assert!(parse_known(&sparse).is_dense() || sparse.len() <= limit.max(EMPTY.len()));
        for string in [&sparse, &dense] {
            let hll = parse_known(string);
            let union = union_of(&[string]);
            prop_assert_eq!(&union.values()[..], &values[..]);
            let same_header = dense_string(hll.header, &union);
            prop_assert_eq!(hll.to_dense(), Ok(same_header));
            prop_assert_eq!(hll.count(), parse_known(&dense).count());
            prop_assert_eq!(hll.count(), Ok(union.count()));
            for &element in &elements {
                prop_assert_eq!(hll.would_change(element), Ok(false));
                let higher = Element { rank: values[element.register] + 1, ..element };
                prop_assert_eq!(hll.would_change(higher), Ok(true));
            }
        }
    }

    #[test]
    fn adding_says_whether_it_changed_anything(elements in vec(element(), 0..200), limit in 18..200usize) {
        let mut string = EMPTY.to_vec();
        for element in elements {
            let (before, foreseen) = (string.clone(), parse_known(&string).would_change(element));
            set_count(&mut string, 5);
            let changed = add(&mut string, element, limit);
            prop_assert_eq!(changed, foreseen);
            prop_assert_eq!(changed.unwrap(), string[HEADER_BYTES..] != before[HEADER_BYTES..]);
            prop_assert_eq!(parse_known(&string).cached_count(), (!changed.unwrap()).then_some(5));
        }
    }

    /// The cursor only saves walking: what it leads to is what sets from the start on lead to.
    #[test]
    fn a_union_is_written_as_single_sets_write_it(
        own in vec(element(), 0..200), others in vec(element(), 0..200), limit in prop_oneof![Just(LIMIT), 18..600usize]
    ) {
        let (own, others) = (filled(&own, LIMIT), filled(&others, LIMIT));
        let union = union_of(&[&own, &others]);
        let mut raised = own.clone();
        raise(&mut raised, &union, false, limit);
        let mut expected = own;
        for (register, &rank) in union.values().iter().enumerate().filter(|(_, value)| **value > 0) {
            add(&mut expected, Element { register, rank }, limit).unwrap();
        }
        invalidate_count(&mut expected);
        prop_assert_eq!(raised, expected);
    }

    #[test]
    fn dense_registers(values in vec(0..64u8, REGISTERS), others in vec(0..64u8, REGISTERS), at in 0..REGISTERS) {
        let values: &[u8; REGISTERS] = values.as_slice().try_into().unwrap();
        let others: &[u8; REGISTERS] = others.as_slice().try_into().unwrap();
        let mut packed = [0; dense::BYTES];
        dense::pack(&mut packed, values);
        prop_assert_eq!((0..REGISTERS).map(|at| dense::get(&packed, at)).collect::<Vec<_>>(), values.to_vec());
        prop_assert_eq!(dense::words(&packed).flat_map(u64::to_le_bytes).collect::<Vec<_>>(), values.to_vec());
        let mut merged = *others;
        dense::merge(&packed, &mut merged);
        let highest: Vec<u8> = values.iter().zip(others).map(|(a, b)| *a.max(b)).collect();
        prop_assert_eq!(&merged[..], &highest[..]);
        let before = packed;
        let element = Element { register: at, rank: others[at] };
        prop_assert_eq!(dense::set(&mut packed, element), others[at] > values[at]);
        prop_assert_eq!(dense::get(&packed, at), highest[at]);
        dense::set(&mut packed, Element { register: at, rank: 63 });
        let mut expected = *values;
        expected[at] = 63;
        let mut whole = before;
        dense::pack(&mut whole, &expected);
        prop_assert_eq!(packed.to_vec(), whole.to_vec());
    }

    /// Whatever a client writes into a string, it gets an answer or an error.
    #[test]
    fn hostile_strings(
        body in vec(prop_oneof![3 => any::<u8>(), 1 => Just(0x7f), 1 => Just(0x40)], 0..60), elements in vec(element(), 1..20)
    ) {
        let string = [&b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80"[..], &body].concat();
        let hll = HyperLogLog::parse(&string).unwrap();
        let is_whole = hll.count().is_ok();
        prop_assert_eq!(hll.to_dense().is_ok(), is_whole);
        prop_assert_eq!(Registers::new().merge(hll).is_ok(), is_whole);
        prop_assert!(hll.runs().unwrap().count() <= REGISTERS);
        let mut edited = string.clone();
        for element in elements {
            let done = add(&mut edited, element, LIMIT);
            prop_assert!(done.is_ok() || !is_whole);
        }
        if is_whole {
            prop_assert!(parse_known(&edited).count().is_ok());
        }
    }
}

#[test]
fn what_is_one() {
    let check = |string: &[u8], expected: Option<bool>| {
        let is_dense = HyperLogLog::parse(string).map(HyperLogLog::is_dense);
        assert_eq!(is_dense, expected, "{string:?}");
    };
    let dense = [b"HYLL\0".to_vec(), vec![0; DENSE_BYTES - 5]].concat();
    check(&EMPTY, Some(false));
    check(&EMPTY[..16], Some(false));
    check(&dense, Some(true));
    check(&dense[1..], None);
    check(&dense[..DENSE_BYTES - 1], None);
    check(&[dense, vec![0]].concat(), None);
    check(&EMPTY[..15], None);
    check(b"", None);
    check(b"HYLM\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff", None);
    check(b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0\x7f\xff", None);
    assert_eq!(parse_known(&EMPTY[..16]).count(), Err(Corrupted));
}

#[test]
fn bodies_that_cover_too_few_or_too_many() {
    let check = |body: &[u8], expected: Result<u64, Corrupted>| {
        let string = [&EMPTY[..HEADER_BYTES], body].concat();
        assert_eq!(parse_known(&string).count(), expected, "{body:?}");
    };
    check(b"\x7f\xff", Ok(0));
    check(b"\x7f\xfe\x80", Ok(1));
    check(b"\x7f\xfe\x80\x80", Err(Corrupted));
    check(b"\x7f\xfe", Err(Corrupted));
    check(b"\x7f\xfe\x00\x00", Err(Corrupted));
    check(b"\x7f\xfe\x7f", Err(Corrupted));
    check(&[0x3f; 256], Ok(0));
    check(&[0x3f; 257], Err(Corrupted));
    check(&vec![0x3f; 1 << 20], Err(Corrupted));
}

/// What redis-server 7.0.15 has after a PFADD of a few elements.
#[test]
fn the_bytes_of_redis() {
    let elements = [
        "a",
        "b",
        "c",
        "",
        "redis",
        "HyperLogLogHyperLogLogHyperLogLog",
    ];
    let string = filled(&elements.map(|text| Element::of(text.as_bytes())), LIMIT);
    assert_eq!(
        string,
        b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80@l\x80V\xc3\x84I\xc0\x80D\x05\x84L\xaa\x84K\xfb\x80BZ"
    );
}

/// What redis-server 7.0.15 has and counts after a PFADD of 1 to n, in tens.
#[test]
fn the_counts_of_redis() {
    let checksum = |string: &[u8]| {
        let weighed = string.iter().enumerate();
        weighed.fold(0u32, |sum, (i, &byte)| {
            sum.wrapping_add((i as u32 * 31 + 7).wrapping_mul(u32::from(byte)))
        })
    };
    let mut string = EMPTY.to_vec();
    let mut n = 0;
    let mut check = |upto: u32, count: u64, len: usize, sum: u32| {
        while n < upto {
            n += 1;
            add(&mut string, Element::of(n.to_string().as_bytes()), LIMIT).unwrap();
        }
        assert_eq!(parse_known(&string).count(), Ok(count), "{n}");
        assert_eq!((string.len(), checksum(&string)), (len, sum), "{n}");
    };
    check(1, 1, 21, 403_929);
    check(10, 10, 47, 3_149_057);
    check(100, 100, 287, 133_805_345);
    check(1000, 1001, 1922, 4_266_110_342);
    check(2000, 2006, DENSE_BYTES, 3_933_491_531);
    check(10_000, 9988, DENSE_BYTES, 4_148_935_062);
    check(100_000, 99_562, DENSE_BYTES, 1_440_344_399);
}

#[test]
fn forged_registers_count_as_in_redis() {
    let check = |value: u8, count: u64| {
        let mut packed = [0; dense::BYTES];
        dense::pack(&mut packed, &[value; REGISTERS]);
        let histogram = estimate::histogram(dense::words(&packed));
        assert_eq!(estimate::count(&histogram), count, "{value}");
    };
    check(0, 0);
    for value in [50, 51, 52, 63] {
        check(value, 1 << 63);
    }
}

#[test]
fn the_self_test_passes() {
    assert_eq!(
        self_test(&mut crate::base::rng::Rng::from_seed(7), 20_000, LIMIT),
        Ok(())
    );
}
