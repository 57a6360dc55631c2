//! A hash against a map, in both forms and across the change from one to the other.

use super::*;
use crate::base::rng::Rng;
use proptest::prelude::*;
use std::collections::BTreeMap;

const LIMITS: Limits = Limits {
    entries_max: 8,
    value_max: 12,
};

/// What a hash is to be equal to: fields with their values and expiries, expired ones among them.
type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<u8>, Vec<u8>),
    SetKeeping(Vec<u8>, Vec<u8>),
    SetMany(Vec<(Vec<u8>, Vec<u8>)>),
    Add(Vec<u8>, i64),
    Remove(Vec<u8>),
    Expire(Vec<u8>, Option<i64>),
    TakeExpired(usize),
    Wait(i64),
}

fn fields() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0..12u8).prop_map(|n| format!("f{n}").into_bytes()),
        2 => (-3..4i64).prop_map(|n| n.to_string().into_bytes()),
        1 => Just(Vec::new()),
        1 => Just(b"a field of more bytes than the limit".to_vec()),
    ]
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => any::<i16>().prop_map(|n| n.to_string().into_bytes()),
        1 => prop_oneof![Just(i64::MAX), Just(i64::MIN)].prop_map(|n| n.to_string().into_bytes()),
        2 => prop::collection::vec(any::<u8>(), 0..11),
        1 => prop::collection::vec(any::<u8>(), 13..40),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (fields(), values()).prop_map(|(f, v)| Step::Set(f, v)),
        2 => (fields(), values()).prop_map(|(f, v)| Step::SetKeeping(f, v)),
        1 => prop::collection::vec((fields(), values()), 0..12).prop_map(Step::SetMany),
        3 => (fields(), any::<i16>()).prop_map(|(f, n)| Step::Add(f, n.into())),
        4 => fields().prop_map(Step::Remove),
        2 => (fields(), prop::option::weighted(0.8, 1..50i64)).prop_map(|(f, at)| Step::Expire(f, at)),
        1 => (0..4usize).prop_map(Step::TakeExpired),
        2 => (1..10i64).prop_map(Step::Wait),
    ]
}

/// Whether a field is there at a time, expired or not, or as the last says.
fn is_live(model: &Model, field: &[u8], now_ms: i64) -> bool {
    let expiry = model.get(field).map(|(_, expiry)| *expiry);
    matches!(expiry, Some(None)) || matches!(expiry, Some(Some(at)) if at > now_ms)
}

fn set(model: &mut Model, field: &[u8], value: &[u8], keep: bool, now_ms: i64) -> bool {
    let was_live = is_live(model, field, now_ms);
    let kept = model.get(field).and_then(|(_, expiry)| *expiry);
    let expiry = kept.filter(|_| keep && was_live);
    model.insert(field.to_vec(), (value.to_vec(), expiry));
    !was_live
}

fn apply(step: &Step, hash: &mut Hash, model: &mut Model, now_ms: &mut i64) {
    let now = *now_ms;
    match step {
        Step::Set(field, value) => {
            let is_new = hash.set(field, value, LIMITS, now);
            assert_eq!(is_new, set(model, field, value, false, now), "{step:?}");
        }
        Step::SetKeeping(field, value) => {
            let is_new = hash.set_keeping_expiry(field, value, LIMITS, now);
            assert_eq!(is_new, set(model, field, value, true, now), "{step:?}");
        }
        Step::SetMany(pairs) => {
            let texts: Vec<&[u8]> = pairs.iter().flat_map(|(f, v)| [&f[..], &v[..]]).collect();
            hash.prepare_for(texts.iter().copied(), LIMITS);
            for (field, value) in pairs {
                hash.set(field, value, LIMITS, now);
                set(model, field, value, false, now);
            }
        }
        Step::Add(field, by) => {
            let old = match model.get(field) {
                Some((value, _)) if is_live(model, field, now) => parse_i64(value),
                _ => Some(0),
            };
            let expected = match old {
                None => Err(AddError::NotAnInteger),
                Some(old) => old.checked_add(*by).ok_or(AddError::Overflow),
            };
            assert_eq!(hash.add(field, *by, LIMITS, now), expected, "{step:?}");
            if let Ok(sum) = expected {
                set(model, field, sum.to_string().as_bytes(), true, now);
            }
        }
        Step::Remove(field) => {
            let was_live = is_live(model, field, now);
            assert_eq!(hash.remove(field, now), was_live, "{step:?}");
            if was_live {
                model.remove(field);
            }
        }
        Step::Expire(field, after) => {
            let at = after.map(|after| now + after);
            let was_live = is_live(model, field, now);
            assert_eq!(hash.set_expiry(field, at, now), was_live, "{step:?}");
            if was_live {
                model.get_mut(field).expect("a live field").1 = at;
            }
        }
        Step::TakeExpired(max) => {
            let mut taken = 0;
            hash.take_expired(now, *max, |field| {
                let (_, expiry) = model.remove(field).expect("a field of the model");
                assert!(expiry.is_some_and(|at| at <= now));
                taken += 1;
            });
            let left = hash.as_ref().has_expired(now);
            assert!(taken == *max || taken < *max && !left, "{step:?}");
        }
        Step::Wait(ms) => *now_ms += ms,
    }
}

fn text(item: Item<'_>) -> Vec<u8> {
    item.bytes(&mut itoa::Buffer::new()).to_vec()
}

/// Fails unless the hash holds what the model does, by every way to look at it.
fn check(hash: &Hash, model: &Model, now_ms: i64) {
    let (all, live) = (hash.as_ref(), hash.as_ref().at(now_ms));
    assert_eq!(all.len(), model.len());
    let mut seen = Model::new();
    all.for_each(|field, value, expiry| {
        seen.insert(text(field), (text(value), expiry));
    });
    assert_eq!(&seen, model);

    let expected: BTreeMap<&[u8], &[u8]> = model
        .iter()
        .filter(|(field, _)| is_live(model, field, now_ms))
        .map(|(field, (value, _))| (&field[..], &value[..]))
        .collect();
    assert_eq!(live.len(), expected.len());
    let mut shown = BTreeMap::new();
    live.for_each(|field, value| {
        shown.insert(text(field), text(value));
    });
    let shown: BTreeMap<&[u8], &[u8]> = shown.iter().map(|(f, v)| (&f[..], &v[..])).collect();
    assert_eq!(shown, expected);
    for (field, (_, expiry)) in model {
        let is_there = expected.contains_key(&field[..]);
        let value = live.get(field).map(text);
        assert_eq!(value.as_deref(), expected.get(&field[..]).copied());
        assert_eq!(live.expiry(field), is_there.then_some(*expiry));
    }
    assert!(live.get(b"no such field").is_none() && live.expiry(b"no such field").is_none());
    check_chance(live, &expected);

    if let Hash::Pack(_) = hash {
        assert!(model.len() <= LIMITS.entries_max);
        let fits = |text: &[u8]| text.len() <= LIMITS.value_max;
        assert!(
            model
                .iter()
                .all(|(f, (v, expiry))| fits(f) && fits(v) && expiry.is_none())
        );
    }
}

/// What chance brings is there, samples have the wanted size and no field twice.
fn check_chance(live: Live<'_>, expected: &BTreeMap<&[u8], &[u8]>) {
    if expected.is_empty() {
        return;
    }
    let mut rng = Rng::from_seed(7);
    let is_known = |field: &[u8], value: &[u8]| expected.get(field) == Some(&value);
    let mut drawn = 0;
    for count in [1, 20] {
        live.draw(count, &mut rng, |field, value| {
            assert!(is_known(&text(field), &text(value)));
            drawn += 1;
        });
    }
    assert_eq!(drawn, 21);
    for count in [0, 1, 3, 100] {
        let mut sample = BTreeMap::new();
        live.sample(count, expected.len(), &mut rng, |field, value| {
            assert!(is_known(&text(field), &text(value)));
            assert!(sample.insert(text(field), ()).is_none());
        });
        assert_eq!(sample.len(), count.min(expected.len()));
    }
}

proptest! {
    #[test]
    fn a_hash_is_a_map(steps in prop::collection::vec(steps(), 0..80)) {
        let mut hash = Hash::new_in(Vec::new());
        let (mut model, mut now_ms) = (Model::new(), 1000);
        for step in &steps {
            apply(step, &mut hash, &mut model, &mut now_ms);
            check(&hash, &model, now_ms);
        }
    }
}

/// A hash of so many fields, as a table if it is to be one.
fn hash_of(count: usize, entries_max: usize) -> Hash {
    let limits = Limits {
        entries_max,
        value_max: 64,
    };
    let mut hash = Hash::new_in(Vec::new());
    for n in 0..count {
        let (field, value) = (format!("field:{n}"), n.to_string());
        hash.set(field.as_bytes(), value.as_bytes(), limits, 0);
    }
    hash
}

#[test]
fn a_hash_outgrows_its_listpack() {
    let check = |count, entries_max, is_table| {
        let hash = hash_of(count, entries_max);
        assert_eq!(
            matches!(hash, Hash::Table(_)),
            is_table,
            "{count} of {entries_max}"
        );
    };
    check(1, 0, true);
    check(512, 512, false);
    check(513, 512, true);

    let limits = Limits {
        entries_max: 3,
        value_max: 4,
    };
    let check_texts = |texts: &[&str], is_table: bool| {
        let mut hash = Hash::new_in(Vec::new());
        hash.prepare_for(texts.iter().map(|text| text.as_bytes()), limits);
        assert_eq!(matches!(hash, Hash::Table(_)), is_table, "{texts:?}");
    };
    check_texts(&["f", "1234"], false);
    check_texts(&["f", "12345"], true);
    check_texts(&["field", "1"], true);
    // Equal fields count each for itself here.
    check_texts(&["f", "1", "f", "2", "f", "3"], false);
    check_texts(&["f", "1", "f", "2", "f", "3", "f", "4"], true);
}

#[test]
fn an_expiry_makes_a_table() {
    let mut hash = hash_of(3, 512);
    assert!(!hash.set_expiry(b"no such field", Some(5), 1));
    assert!(hash.set_expiry(b"field:1", None, 1));
    assert!(matches!(hash, Hash::Pack(_)));
    assert!(hash.set_expiry(b"field:1", Some(5), 1));
    assert!(matches!(hash, Hash::Table(_)));
    assert_eq!(hash.as_ref().len(), 3);
}

#[test]
fn samples_are_fair_in_every_form() {
    const ROUNDS: usize = 20_000;
    let check = |hash: Hash, count: usize, now_ms: i64| {
        let live = hash.as_ref().at(now_ms);
        let len = live.len();
        let mut rng = Rng::from_seed(3);
        let mut hits = BTreeMap::new();
        let hit =
            |hits: &mut BTreeMap<Vec<u8>, usize>, field| *hits.entry(text(field)).or_default() += 1;
        for _ in 0..ROUNDS {
            live.sample(count, len, &mut rng, |field, _| hit(&mut hits, field));
            live.draw(count, &mut rng, |field, _| hit(&mut hits, field));
        }
        let expected = 2.0 * (ROUNDS * count) as f64 / len as f64;
        assert_eq!(hits.len(), len);
        for (field, count) in hits {
            let ratio = count as f64 / expected;
            assert!((0.85..1.15).contains(&ratio), "{field:?}: {ratio}");
        }
    };
    check(hash_of(10, 512), 1, 0);
    check(hash_of(10, 512), 4, 0);
    check(hash_of(10, 0), 4, 0);
    check(hash_of(40, 0), 2, 0);
    let mut volatile = hash_of(20, 0);
    for n in 0..10 {
        volatile.set_expiry(format!("field:{n}").as_bytes(), Some(5), 0);
    }
    check(volatile, 3, 9);
}

#[test]
fn a_scan_returns_what_is_there_throughout() {
    let mut hash = hash_of(3000, 0);
    let limits = Limits {
        entries_max: 0,
        value_max: 64,
    };
    let (mut cursor, mut calls) = (0, 0);
    let mut seen = HashSet::new();
    loop {
        cursor = hash.as_ref().at(0).scan(cursor, |field, _| {
            seen.insert(text(field));
        });
        calls += 1;
        // It grows at first, and shrinks later.
        for n in 0..20 {
            let field = format!("other:{}:{n}", calls % 200);
            if calls < 200 {
                hash.set(field.as_bytes(), b"1", limits, 0);
            } else {
                hash.remove(field.as_bytes(), 0);
            }
        }
        if cursor == 0 {
            break;
        }
    }
    assert!((0..3000).all(|n| seen.contains(format!("field:{n}").as_bytes())));
}
