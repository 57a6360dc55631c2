//! Sets against a model, through all their forms.

use super::*;
use crate::base::rng::Rng;
use proptest::prelude::*;
use std::collections::BTreeSet;

const LIMITS: Limits = Limits {
    intset_entries: 8,
    listpack_entries: 12,
    listpack_value: 10,
};

fn form(set: &Set) -> &'static str {
    match set {
        Set::New(_) => "new",
        Set::Ints(_) => "intset",
        Set::Pack(_) => "listpack",
        Set::Table(_) => "hashtable",
    }
}

fn set_of(words: &str) -> Set {
    let mut set = Set::new_in(Vec::new());
    for word in words.split_ascii_whitespace() {
        set.insert(word.as_bytes(), LIMITS);
    }
    set
}

fn text(item: Item<'_>) -> Vec<u8> {
    item.bytes(&mut itoa::Buffer::new()).to_vec()
}

fn sorted(set: SetRef<'_>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    set.for_each(|item| all.push(text(item)));
    all.sort();
    all
}

#[test]
fn forms_follow_the_members() {
    let check = |words: &str, expected: &str| {
        let set = set_of(words);
        assert_eq!(form(&set), expected, "{words}");
        let words: BTreeSet<_> = words.split_ascii_whitespace().collect();
        let words: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        assert_eq!(sorted(set.as_ref()), words);
    };
    check("", "new");
    check("1 2 3", "intset");
    check("1 2 3 4 5 6 7 8", "intset");
    check("1 2 3 4 5 6 7 8 9", "hashtable");
    check("1 2 3 a", "listpack");
    check("01 -0 +1", "listpack");
    check("a b c d e f g h i j k l", "listpack");
    check("a b c d e f g h i j k l m", "hashtable");
    check("0123456789", "listpack");
    check("01234567890", "hashtable");
    check("1 01234567890", "hashtable");
    check("12345678901 a", "hashtable");
    check("12345678901", "intset");
}

#[test]
fn what_is_expected_decides_the_first_form() {
    let check = |first: &str, count: usize, expected: &str| {
        let mut set = Set::new_in(Vec::new());
        set.expect(first.as_bytes(), count, LIMITS);
        assert_eq!(form(&set), expected, "{first} {count}");
    };
    check("1", 8, "intset");
    check("1", 9, "listpack");
    check("1", 13, "hashtable");
    check("a", 12, "listpack");
    check("a", 13, "hashtable");
    let mut set = set_of("1 2");
    set.expect(b"3", 8, LIMITS);
    assert_eq!(form(&set), "intset");
    set.expect(b"3", 9, LIMITS);
    assert_eq!(form(&set), "hashtable");
}

#[test]
fn a_set_of_few_integers_becomes_an_intset_when_asked() {
    let check = |words: &str, expected: &str| {
        let mut set = Set::Pack(ListpackBuf::new());
        for word in words.split_ascii_whitespace() {
            set.insert(word.as_bytes(), LIMITS);
        }
        let before = sorted(set.as_ref());
        set.narrow(LIMITS);
        assert_eq!(form(&set), expected, "{words}");
        assert_eq!(sorted(set.as_ref()), before);
    };
    check("1 2 3", "intset");
    check("12345678901", "intset");
    check("1 2 3 4 5 6 7 8 9", "listpack");
    check("1 2 x", "listpack");
}

#[test]
fn popping_most_of_a_table_packs_the_rest() {
    let words: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let check = |count: usize, expected: &str| {
        let mut set = set_of(&words.join(" "));
        let mut popped = Vec::new();
        set.pop_some(count, &mut Rng::from_seed(1), LIMITS, |item| {
            popped.push(text(item));
        });
        assert_eq!(form(&set), expected, "{count}");
        assert_eq!(popped.len(), count);
        popped.extend(sorted(set.as_ref()));
        popped.sort();
        assert_eq!(popped, sorted(set_of(&words.join(" ")).as_ref()));
    };
    check(10, "hashtable");
    check(80, "hashtable");
    check(88, "listpack");
    check(99, "listpack");
}

/// Shows members that are drawn.
type Drawing<'d> = &'d dyn Fn(&mut Rng, &mut dyn FnMut(Item<'_>));

/// Every member must come out about as often as any other.
#[test]
fn chances_are_equal() {
    const ROUNDS: u32 = 20_000;
    let table: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
    for words in ["1 2 3 4 5", "a b c d 5", &table.join(" ")] {
        let set = set_of(words);
        let len = set.as_ref().len();
        let check = |what: &str, each: usize, draw: Drawing<'_>| {
            let mut rng = Rng::from_seed(3);
            let mut counts = std::collections::HashMap::new();
            for _ in 0..ROUNDS {
                draw(&mut rng, &mut |item| {
                    *counts.entry(text(item)).or_insert(0u32) += 1
                });
            }
            assert_eq!(counts.len(), len, "{what} of {words}");
            let expected = f64::from(ROUNDS) * each as f64 / len as f64;
            for (member, count) in counts {
                let off = (f64::from(count) - expected).abs() / expected.sqrt();
                assert!(
                    off < 5.0,
                    "{what}: {member:?} came {count} times, not {expected}"
                );
            }
        };
        let read = set.as_ref();
        check("random", 1, &|rng, visit| {
            visit(read.random(rng).expect("members"))
        });
        check("draw", 6, &|rng, visit| read.draw(6, rng, visit));
        check("sample", 3, &|rng, visit| read.sample(3, rng, visit));
        check("pop", 2, &|rng, visit| {
            set_of(words).pop_some(2, rng, LIMITS, visit)
        });
    }
}

/// Integers, what looks like one, and short and long texts.
fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (-20i64..20).prop_map(|n| n.to_string().into_bytes()),
        1 => prop::num::i64::ANY.prop_map(|n| n.to_string().into_bytes()),
        3 => "[a-c]{0,2}".prop_map(String::into_bytes),
        1 => (0usize..4).prop_map(|n| vec![b'x'; 8 + n]),
        1 => (0i64..20).prop_map(|n| format!("0{n}").into_bytes()),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_set(steps in prop::collection::vec((0u8..8, member()), 1..60)) {
        let mut rng = Rng::from_seed(9);
        let (mut set, mut model) = (Set::new_in(Vec::new()), BTreeSet::new());
        for (kind, member) in steps {
            prop_assert_eq!(set.as_ref().contains(&member), model.contains(&member));
            match kind {
                0..=4 => prop_assert_eq!(set.insert(&member, LIMITS), model.insert(member)),
                5 => prop_assert_eq!(set.remove(&member), model.remove(&member)),
                6 => {
                    let mut popped = None;
                    let any = set.pop(&mut rng, |item| popped = Some(text(item)));
                    prop_assert_eq!(any, !model.is_empty());
                    prop_assert!(popped.is_none_or(|member| model.remove(&member)));
                }
                _ => {
                    let count = model.len() / 2;
                    let mut popped = Vec::new();
                    set.pop_some(count, &mut rng, LIMITS, |item| popped.push(text(item)));
                    prop_assert_eq!(popped.len(), count);
                    prop_assert!(popped.iter().all(|member| model.remove(member)));
                }
            }
            let all: Vec<_> = model.iter().cloned().collect();
            prop_assert_eq!(set.as_ref().len(), all.len());
            prop_assert_eq!(sorted(set.as_ref()), all);
            let mut sampled = BTreeSet::new();
            set.as_ref().sample(model.len() / 2, &mut rng, |item| {
                assert!(sampled.insert(text(item)));
            });
            prop_assert!(sampled.len() == model.len() / 2 && sampled.is_subset(&model));
            let mut drawn = 0;
            set.as_ref().draw(if model.is_empty() { 0 } else { 7 }, &mut rng, |item| {
                assert!(model.contains(&text(item)));
                drawn += 1;
            });
            prop_assert_eq!(drawn, if model.is_empty() { 0 } else { 7 });
        }
    }

    #[test]
    fn a_sift_finds_what_is_in_all_or_none(
        sets in prop::collection::vec(prop::collection::vec(member(), 0..40), 1..5),
    ) {
        let make = |members: &Vec<Vec<u8>>| {
            let mut set = Set::new_in(Vec::new());
            members.iter().for_each(|member| {
                set.insert(member, LIMITS);
            });
            set
        };
        let made: Vec<_> = sets.iter().map(make).collect();
        let others: Vec<_> = made[1..].iter().map(Set::as_ref).collect();
        for pass in [Pass::InAll, Pass::InNone] {
            let mut expected: Vec<_> = sorted(made[0].as_ref());
            expected.retain(|member| {
                let holders = sets[1..].iter().filter(|set| set.contains(member)).count();
                holders == if pass == Pass::InAll { others.len() } else { 0 }
            });
            let mut passed = Vec::new();
            let _ = sift(made[0].as_ref(), &others, pass, |item| {
                passed.push(text(item));
                ControlFlow::Continue(())
            });
            passed.sort();
            prop_assert_eq!(&passed, &expected);
            let (mut first, enough) = (0, expected.len() / 2);
            let _ = sift(made[0].as_ref(), &others, pass, |_| {
                first += 1;
                if first >= enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            prop_assert_eq!(first, enough.max(expected.len().min(1)));
        }
    }
}
