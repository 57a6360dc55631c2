//! Sorted sets against a plain model, in both forms and across the change between them.

use super::*;
use crate::base::rng::Rng;
use proptest::prelude::*;
use std::collections::BTreeMap;

const LIMITS: Limits = Limits {
    entries: 12,
    value: 10,
};

type Model = BTreeMap<Vec<u8>, f64>;

/// The members in order.
fn in_order(model: &Model) -> Vec<(Vec<u8>, f64)> {
    let mut all: Vec<_> = model.iter().map(|(m, s)| (m.clone(), *s)).collect();
    all.sort_by(|(_, a), (_, b)| a.partial_cmp(b).expect("numbers"));
    all
}

fn walked(zset: ZsetRef<'_>, span: ops::Range<usize>, descending: bool) -> Vec<(Vec<u8>, f64)> {
    let mut out = Vec::new();
    zset.walk(span, descending, |item, score| {
        out.push((item.bytes(&mut itoa::Buffer::new()).to_vec(), score));
    });
    out
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0..25i64).prop_map(|n| n.to_string().into_bytes()),
        4 => prop::collection::vec(97u8..100, 0..4),
        1 => prop::collection::vec(any::<u8>(), 9..13),
        1 => Just(b"-9223372036854775808".to_vec()),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (-3..4i32).prop_map(f64::from),
        2 => (-3..4i32).prop_map(|n| f64::from(n) / 3.0),
        1 => Just(-0.0),
        1 => prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, 5e-324, 1e300, 4611686018427387904.0, 9e18]),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>, f64),
    Add(Vec<u8>, f64),
    Remove(Vec<u8>),
    RemoveSpan(usize, usize),
    Pop(usize, bool),
    Between(f64, f64),
    Ranks(i64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (member(), score()).prop_map(|(m, s)| Step::Insert(m, s)),
        2 => (member(), score()).prop_map(|(m, s)| Step::Add(m, s)),
        4 => member().prop_map(Step::Remove),
        1 => (0..20usize, 0..5usize).prop_map(|(a, n)| Step::RemoveSpan(a, n)),
        1 => (1..4usize, any::<bool>()).prop_map(|(n, highest)| Step::Pop(n, highest)),
        2 => (score(), score()).prop_map(|(a, b)| Step::Between(a, b)),
        2 => (-20..20i64, -20..20i64).prop_map(|(a, b)| Step::Ranks(a, b)),
    ]
}

fn check_all(zset: ZsetRef<'_>, model: &Model) {
    let (all, len) = (in_order(model), model.len());
    assert_eq!(zset.len(), len);
    assert_eq!(walked(zset, 0..len, false), all);
    let mut backward = walked(zset, 0..len, true);
    backward.reverse();
    assert_eq!(backward, all);
    for (rank, (member, score)) in all.iter().enumerate() {
        assert_eq!(zset.rank(member), Some((rank, *score)));
        assert_eq!(zset.score(member), Some(*score));
    }
}

fn apply(zset: &mut Zset, model: &mut Model, step: Step) {
    match step {
        Step::Insert(member, score) => {
            assert_eq!(
                zset.insert(&member, score, LIMITS),
                model.insert(member, score)
            );
        }
        Step::Add(member, by) => {
            let sum = |old: Option<f64>| Some(old.unwrap_or(0.0) + by).filter(|s| !s.is_nan());
            let (old, new) = zset.insert_if(&member, LIMITS, sum);
            assert_eq!((old, new), (model.get(&member).copied(), sum(old)));
            new.map(|new| model.insert(member, new));
        }
        Step::Remove(member) => assert_eq!(zset.remove(&member), model.remove(&member)),
        Step::RemoveSpan(from, count) => {
            let from = from.min(model.len());
            let to = (from + count).min(model.len());
            in_order(model)[from..to].iter().for_each(|(member, _)| {
                model.remove(member);
            });
            zset.remove_span(from..to);
        }
        Step::Pop(count, highest) => {
            let mut expected = in_order(model);
            if highest {
                expected.reverse();
            }
            expected.truncate(count);
            let mut popped = Vec::new();
            zset.pop(count, highest, |item, score| {
                popped.push((item.bytes(&mut itoa::Buffer::new()).to_vec(), score));
            });
            assert_eq!(popped, expected);
            for (member, _) in popped {
                model.remove(&member);
            }
        }
        Step::Between(low, high) => {
            let range = Range::Between(Edge::BelowScore(low), Edge::AboveScore(high));
            let span = zset.as_ref().span(&range);
            let mut expected = in_order(model);
            expected.retain(|&(_, score)| low <= score && score <= high);
            assert_eq!(walked(zset.as_ref(), span, false), expected);
            let open = Range::Between(Edge::AboveScore(low), Edge::BelowScore(high));
            expected.retain(|&(_, score)| low < score && score < high);
            assert_eq!(zset.as_ref().span(&open).len(), expected.len());
            let mut expected = in_order(model);
            expected.retain(|&(_, score)| low <= score && score < high);
            expected.truncate(3);
            let mut visited = Vec::new();
            let _ = zset.as_ref().visit_scores(low..high, |item, score| {
                visited.push((item.bytes(&mut itoa::Buffer::new()).to_vec(), score));
                if visited.len() == 3 {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            assert_eq!(visited, expected);
        }
        Step::Ranks(start, stop) => {
            let span = zset.as_ref().span(&Range::Ranks { start, stop });
            let copy = zset.as_ref().copy_span(span.clone(), LIMITS);
            let expected = in_order(model)[span].to_vec();
            assert_eq!(walked(copy.as_ref(), 0..expected.len(), false), expected);
        }
    }
}

proptest! {
    #[test]
    fn behaves_like_a_map_in_order(steps in prop::collection::vec(step(), 1..120)) {
        let (mut zset, mut model) = (Zset::new_in(Vec::new()), Model::new());
        let (mut most, mut longest) = (0, 0);
        for step in steps {
            apply(&mut zset, &mut model, step);
            check_all(zset.as_ref(), &model);
            most = most.max(model.len());
            longest = model.keys().map(Vec::len).fold(longest, usize::max);
        }
        let is_tree = matches!(zset, Zset::Tree(_));
        prop_assert_eq!(is_tree, most > 12 || longest > 10, "{} {}", most, longest);
    }

    #[test]
    fn members_between_members(members in prop::collection::btree_set(member(), 0..30), low in member(), high in member()) {
        let mut zset = Zset::new_in(Vec::new());
        for member in &members {
            zset.insert(member, 1.5, LIMITS);
        }
        let expected = members.iter().filter(|m| **m >= low && **m < high).count();
        let range = Range::Between(Edge::BelowMember(&low), Edge::BelowMember(&high));
        prop_assert_eq!(zset.as_ref().span(&range).len(), expected);
        let expected = members.iter().filter(|m| **m > low && **m <= high).count();
        let range = Range::Between(Edge::AboveMember(&low), Edge::AboveMember(&high));
        prop_assert_eq!(zset.as_ref().span(&range).len(), expected);
        let range = Range::Between(Edge::Highest, Edge::Lowest);
        prop_assert!(zset.as_ref().span(&range).is_empty());
    }

    #[test]
    fn samples_are_different_members(len in 1..60u32, count in 0..70usize, seed: u64) {
        let mut zset = Zset::new_in(Vec::new());
        (0..len).for_each(|n| { zset.insert(&n.to_le_bytes(), 0.0, LIMITS); });
        let mut seen = std::collections::BTreeSet::new();
        zset.as_ref().sample(count, &mut Rng::from_seed(seed), |item, _| {
            assert!(seen.insert(item.bytes(&mut itoa::Buffer::new()).to_vec()));
        });
        prop_assert_eq!(seen.len(), count.min(len as usize));
    }
}

fn counted() -> impl Strategy<Value = Model> {
    let member = (0..90u8).prop_map(|n| match n % 3 {
        0 => n.to_string().into_bytes(),
        1 => vec![b'a' + n / 3],
        _ => vec![n; 12],
    });
    let score = (-4..5i32).prop_map(f64::from);
    prop_oneof![
        prop::collection::btree_map(member.clone(), score.clone(), 0..80),
        prop::collection::btree_map(member, score, 0..9),
    ]
}

proptest! {
    #[test]
    fn combining_is_that_of_maps(models in prop::collection::vec(counted(), 1..4), limit in 1..40usize) {
        let zsets: Vec<Zset> = models.iter().map(|model| {
            let mut zset = Zset::new_in(Vec::new());
            model.iter().for_each(|(member, score)| { zset.insert(member, *score, LIMITS); });
            zset
        }).collect();
        let inputs: Vec<Input<'_>> = (1..).zip(&zsets).map(|(weight, zset)| Input {
            source: Source::Zset(zset.as_ref()),
            weight: f64::from(weight),
        }).collect();
        let texts = Texts::of(&inputs);
        let sums = |all: bool| {
            let mut sums = Model::new();
            for (weight, model) in (1..).zip(&models) {
                for (member, score) in model {
                    if !all || models.iter().all(|model| model.contains_key(member)) {
                        *sums.entry(member.clone()).or_default() += f64::from(weight) * score;
                    }
                }
            }
            in_order(&sums)
        };
        let check = |mut pairs: Vec<Pair<'_>>, expected: Vec<(Vec<u8>, f64)>| {
            sort(&mut pairs);
            let zset = Zset::from_sorted(&pairs, LIMITS);
            assert_eq!(walked(zset.as_ref(), 0..pairs.len(), false), expected);
        };
        check(union(&inputs, &texts, Aggregate::Sum), sums(false));
        check(intersection(&inputs, &texts, Aggregate::Sum, usize::MAX), sums(true));
        let few = intersection(&inputs, &texts, Aggregate::Sum, limit).len();
        prop_assert_eq!(few, limit.min(sums(true).len()));
        let mut rest = models[0].clone();
        rest.retain(|member, _| !models[1..].iter().any(|model| model.contains_key(member)));
        check(difference(&inputs, &texts), in_order(&rest));
    }
}

/// The bytes that a Redis server of version 7.2 keeps after the same commands.
#[test]
fn packed_bytes() {
    let check = |steps: &[(&str, f64)], expected: &[u8]| {
        let mut zset = Zset::new_in(Vec::new());
        for &(member, score) in steps {
            zset.insert(member.as_bytes(), score, LIMITS);
        }
        let Zset::Pack(pack) = zset else {
            panic!("few short members");
        };
        assert_eq!(pack.into_vec(), expected);
    };
    check(
        &[("b", 2.0), ("a", 1.0)],
        b"\x11\0\0\0\x04\0\x81a\x02\x01\x01\x81b\x02\x02\x01\xff",
    );
    check(
        &[("7", 0.5), ("x", -0.0)],
        b"\x13\0\0\0\x04\0\x81x\x02\0\x01\x07\x01\x830.5\x04\xff",
    );
    check(
        &[("a", 1.0), ("b", 2.0), ("a", 3.0)],
        b"\x11\0\0\0\x04\0\x81b\x02\x02\x01\x81a\x02\x03\x01\xff",
    );
}

#[test]
fn algebra() {
    let zset = |pairs: &[(&str, f64)]| {
        let mut zset = Zset::new_in(Vec::new());
        for &(member, score) in pairs {
            zset.insert(member.as_bytes(), score, LIMITS);
        }
        zset
    };
    let many: Vec<_> = (0..20).map(|n| (n.to_string(), f64::from(n))).collect();
    let many: Vec<_> = many.iter().map(|(m, s)| (m.as_str(), *s)).collect();
    let sets = [
        zset(&[("1", 10.0), ("a", f64::INFINITY), ("b", 1.0)]),
        zset(&[("a", f64::NEG_INFINITY), ("1", 2.0)]),
        zset(&many),
    ];
    let inputs: Vec<_> = sets
        .iter()
        .map(|set| Input {
            source: Source::Zset(set.as_ref()),
            weight: 2.0,
        })
        .collect();
    let check = |inputs: &[Input<'_>], how: &str, expected: &str| {
        let texts = Texts::of(inputs);
        let mut pairs = match how {
            "sum" => union(inputs, &texts, Aggregate::Sum),
            "min" => union(inputs, &texts, Aggregate::Min),
            "inter" => intersection(inputs, &texts, Aggregate::Sum, usize::MAX),
            _ => difference(inputs, &texts),
        };
        sort(&mut pairs);
        let shown = pairs
            .iter()
            .map(|(m, s)| format!("{}:{s}", String::from_utf8_lossy(m)));
        assert_eq!(shown.collect::<Vec<_>>().join(" "), expected, "{how}");
    };
    check(&inputs[..2], "sum", "a:0 b:2 1:24");
    check(&inputs[..2], "min", "a:-inf b:2 1:4");
    check(&inputs[..2], "inter", "a:0 1:24");
    check(&inputs[..2], "diff", "b:1");
    check(&inputs, "inter", "1:26");
    let all_but_one: Vec<_> = (0..20)
        .filter(|&n| n != 1)
        .map(|n| format!("{n}:{n}"))
        .collect();
    let turned: Vec<_> = inputs.iter().rev().copied().collect();
    check(&turned, "diff", &all_but_one.join(" "));
    check(&[], "sum", "");
}
