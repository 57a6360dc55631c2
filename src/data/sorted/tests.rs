//! The sorted set against a model, its scan, its memory, and its speed if asked for.

use super::*;
use crate::base::rng::Rng;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};

type Model = BTreeMap<Vec<u8>, f64>;

fn set() -> Sorted {
    Sorted::new(Hasher::new(3, 4))
}

/// Members of all lengths that matter.
fn member(id: u16) -> Vec<u8> {
    match id % 600 {
        0 => Vec::new(),
        1 => vec![b'l'; 300],
        2 => vec![0xff; 1100],
        id => format!("member:{id}").into_bytes(),
    }
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-20i8..20).prop_map(f64::from),
        prop::sample::select(vec![
            -0.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            5e-324,
            -5e-324
        ]),
        any::<f64>().prop_filter("a number", |s| !s.is_nan()),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u16, f64),
    Remove(u16),
    RemoveRange(usize, usize),
    PopFirst,
    PopLast,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (any::<u16>(), score()).prop_map(|(id, score)| Step::Insert(id, score)),
        5 => any::<u16>().prop_map(Step::Remove),
        1 => (0usize..300, 0usize..30).prop_map(|(from, n)| Step::RemoveRange(from, from + n)),
        1 => Just(Step::PopFirst),
        1 => Just(Step::PopLast),
    ]
}

/// The model's members in order.
fn in_order(model: &Model) -> Vec<(&[u8], f64)> {
    let mut all: Vec<_> = model.iter().map(|(m, s)| (m.as_slice(), *s)).collect();
    all.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap().then(a.0.cmp(b.0)));
    all
}

fn apply(set: &mut Sorted, model: &mut Model, step: Step) {
    let mut seen = Vec::new();
    let mut see = |member: &[u8], score: f64| seen.push((member.to_vec(), score));
    let (from, to) = match step {
        Step::Insert(id, score) => {
            let former = model.get(&member(id)).copied();
            assert_eq!(set.insert(&member(id), score), former);
            // A zero stays the zero it is.
            if former != Some(score) {
                model.insert(member(id), score);
            }
            return;
        }
        Step::Remove(id) => {
            assert_eq!(set.remove(&member(id)), model.remove(&member(id)));
            return;
        }
        Step::RemoveRange(from, to) => {
            set.remove_range(from, to, &mut see);
            (from, to)
        }
        Step::PopFirst => {
            assert_eq!(set.pop_first(&mut see), !model.is_empty());
            (0, 1)
        }
        Step::PopLast => {
            assert_eq!(set.pop_last(&mut see), !model.is_empty());
            (model.len().saturating_sub(1), model.len())
        }
    };
    let all = in_order(model);
    let gone = all.get(from..to.min(all.len())).unwrap_or_default();
    let gone: Vec<_> = gone.iter().map(|(m, s)| (m.to_vec(), *s)).collect();
    assert_eq!(seen, gone);
    gone.iter().for_each(|(m, _)| {
        model.remove(m);
    });
}

fn check(set: &Sorted, model: &Model) {
    set.tree.check();
    let all = in_order(model);
    assert_eq!((set.len(), set.is_empty()), (all.len(), all.is_empty()));
    assert!(set.iter_from(0).eq(all.iter().copied()));
    for (rank, &(member, score)) in all.iter().enumerate() {
        assert_eq!(set.rank(member), Some(rank));
        assert_eq!(
            set.rank_hashed(member, set.hash(member)),
            Some((rank, score))
        );
        assert_eq!(set.at(rank), Some((member, score)));
        assert_eq!(set.score(member).map(f64::to_bits), Some(score.to_bits()));
        let below = all.iter().filter(|(_, s)| *s < score).count();
        assert_eq!(set.count_below(Bound::Score(score, false)), below);
        let most = all.iter().filter(|(_, s)| *s <= score).count();
        assert_eq!(set.count_below(Bound::Score(score, true)), most);
    }
    let elements: usize = set.table.iter().map(Element::allocated).sum();
    assert_eq!(set.bytes, elements);
}

proptest! {
    #[test]
    fn behaves_like_a_sorted_map(steps in prop::collection::vec(step(), 1..700), from in 0usize..300) {
        let (mut set, mut model) = (set(), Model::new());
        for step in steps {
            apply(&mut set, &mut model, step);
        }
        check(&set, &model);
        let all = in_order(&model);
        let ahead = all.get(from..).unwrap_or_default();
        prop_assert_eq!(set.iter_from(from).len(), ahead.len());
        prop_assert!(set.iter_from(from).eq(ahead.iter().copied()));
        let back = all.get(..=from).unwrap_or_default();
        prop_assert_eq!(set.iter_back_from(from).len(), back.len());
        prop_assert!(set.iter_back_from(from).eq(back.iter().rev().copied()));
        let copy = set.clone();
        drop(set);
        check(&copy, &model);
    }

    #[test]
    fn batches_are_added_like_their_members(
        batches in prop::collection::vec(prop::collection::vec((any::<u16>(), score()), 0..=BATCH_MAX), 0..12),
        order in any::<u8>(),
    ) {
        let (mut set, mut model) = (set(), Model::new());
        for mut batch in batches {
            match order % 3 {
                0 => batch.sort_by(|a, b| a.1.total_cmp(&b.1)),
                1 => batch.sort_by(|a, b| b.1.total_cmp(&a.1)),
                _ => {}
            }
            let members: Vec<Vec<u8>> = batch.iter().map(|(id, _)| member(*id)).collect();
            let all = members.iter().zip(&batch).map(|(member, (_, score))| (&member[..], *score));
            let mut are_new = true;
            for (member, score) in all.clone() {
                are_new = are_new && !model.contains_key(member);
                if are_new {
                    model.insert(member.to_vec(), score);
                }
            }
            prop_assert_eq!(set.insert_batch(all), are_new);
            check(&set, &model);
        }
    }

    #[test]
    fn members_of_one_score_are_ordered_by_their_bytes(ids in prop::collection::vec(any::<u16>(), 0..900), at in any::<u16>()) {
        let (mut set, mut model) = (set(), Model::new());
        for id in ids {
            set.insert(&member(id), 0.0);
            model.insert(member(id), 0.0);
        }
        check(&set, &model);
        let pivot = member(at);
        let below = model.keys().filter(|m| **m < pivot).count();
        prop_assert_eq!(set.count_below(Bound::Lex(&pivot, false)), below);
        let most = model.keys().filter(|m| **m <= pivot).count();
        prop_assert_eq!(set.count_below(Bound::Lex(&pivot, true)), most);
    }
}

#[test]
fn an_update_sees_the_present_score_and_may_decline() {
    let mut set = set();
    let hash = set.hash(b"m");
    let mut update = |decide: fn(Option<f64>) -> Option<f64>| {
        let former = set.update_hashed(b"m", hash, decide);
        (former, set.score(b"m"))
    };
    assert_eq!(update(|_| None), (None, None));
    assert_eq!(
        update(|score| Some(score.unwrap_or(1.0))),
        (None, Some(1.0))
    );
    assert_eq!(update(|score| Some(score? + 1.5)), (Some(1.0), Some(2.5)));
    assert_eq!(update(|_| None), (Some(2.5), Some(2.5)));
}

#[test]
fn both_zeros_are_one_score_and_keep_their_sign() {
    let mut set = set();
    set.insert(b"b", -0.0);
    set.insert(b"a", 0.0);
    set.insert(b"c", 0.0);
    let all: Vec<_> = set
        .iter_from(0)
        .map(|(m, s)| (m, s.is_sign_negative()))
        .collect();
    assert_eq!(all, [(&b"a"[..], false), (b"b", true), (b"c", false)]);
    assert_eq!(set.count_below(Bound::Score(0.0, false)), 0);
    assert_eq!(set.count_below(Bound::Score(-0.0, true)), 3);
}

#[test]
fn a_scan_meets_all_that_stays() {
    let mut set = set();
    let name = |n: u32| format!("member:{n}").into_bytes();
    for n in 0..1000 {
        set.insert(&name(n), f64::from(n));
    }
    let (mut cursor, mut seen, mut n) = (0, HashSet::new(), 1000);
    loop {
        cursor = set.scan(cursor, |member, _| {
            seen.insert(member.to_vec());
        });
        if cursor == 0 {
            break;
        }
        for _ in 0..30 {
            set.insert(&name(n), f64::from(n % 17));
            n += 1;
        }
    }
    for n in 0..1000 {
        assert!(seen.contains(&name(n)), "{n} was missed");
    }
}

#[test]
fn a_big_set_is_small() {
    let count = 300_000u64;
    for scattered in [true, false] {
        let mut set = set();
        for n in 0..count {
            let score = if scattered { n * 7919 % 1_000_003 } else { n };
            set.insert(format!("member:{n:010}").as_bytes(), score as f64);
        }
        let each = set.allocated() as f64 / count as f64;
        println!("{each:.2} bytes a member of 17 (scattered: {scattered})");
        assert!(each <= 51.0, "{each} bytes a member");
    }
}

#[test]
fn a_set_may_move_to_another_thread() {
    let mut set = set();
    for n in 0..1000u32 {
        set.insert(&n.to_le_bytes(), f64::from(n));
    }
    let mut rng = Rng::from_seed(1);
    assert!(set.random(&mut rng).is_some());
    let freeing = std::thread::spawn(move || drop(set));
    freeing.join().expect("the thread ends well");
}
