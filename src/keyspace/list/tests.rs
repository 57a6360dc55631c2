//! A list against a deque, in both forms and across the changes from one to the other.

use super::*;
use crate::data::quicklist::Fill;
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Step {
    Push(End, Vec<u8>),
    Pop(End, usize),
    Set(i64, Vec<u8>),
    Insert(Vec<u8>, bool, Vec<u8>),
    Remove(i64, Vec<u8>),
    Trim(usize, usize),
}

type Model = VecDeque<Vec<u8>>;

fn elements() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0..6u8).prop_map(|n| n.to_string().into_bytes()),
        2 => prop::collection::vec(any::<u8>(), 0..9),
        1 => prop::collection::vec(any::<u8>(), 60..90),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let ends = || prop_oneof![Just(End::Left), Just(End::Right)];
    prop_oneof![
        9 => (ends(), elements()).prop_map(|(end, e)| Step::Push(end, e)),
        3 => (ends(), 1..4usize).prop_map(|(end, count)| Step::Pop(end, count)),
        2 => (-12..12i64, elements()).prop_map(|(index, e)| Step::Set(index, e)),
        2 => (elements(), any::<bool>(), elements()).prop_map(|(p, b, e)| Step::Insert(p, b, e)),
        2 => (-3..4i64, elements()).prop_map(|(count, e)| Step::Remove(count, e)),
        1 => (0..4usize, 1..20usize).prop_map(|(start, len)| Step::Trim(start, len)),
    ]
}

fn text(item: Item<'_>) -> Vec<u8> {
    item.bytes(&mut itoa::Buffer::new()).to_vec()
}

fn apply(step: &Step, list: &mut List, model: &mut Model, options: Options) {
    match step {
        Step::Push(end, element) => {
            list.make_room(options, element.len(), 1);
            list.push(*end, element);
            match end {
                End::Left => model.push_front(element.clone()),
                End::Right => model.push_back(element.clone()),
            }
        }
        Step::Pop(end, count) => {
            let count = *count.min(&model.len());
            let mut popped = Vec::new();
            list.pop(*end, count, |item| popped.push(text(item)));
            for element in popped {
                let expected = match end {
                    End::Left => model.pop_front(),
                    End::Right => model.pop_back(),
                };
                assert_eq!(Some(element), expected);
            }
            list.shrink(options);
        }
        Step::Set(index, element) => {
            let len = model.len() as i64;
            let at = if *index < 0 { len + index } else { *index };
            let place = usize::try_from(at).ok().and_then(|at| model.get_mut(at));
            list.make_room(options, element.len(), 1);
            assert_eq!(list.set(*index, element), place.is_some(), "{step:?}");
            if let Some(place) = place {
                *place = element.clone();
            }
            list.shrink(options);
        }
        Step::Insert(pivot, before, element) => {
            list.make_room(options, element.len(), 1);
            let at = model.iter().position(|e| e == pivot);
            assert_eq!(
                list.insert(pivot, *before, element),
                at.is_some(),
                "{step:?}"
            );
            if let Some(at) = at {
                model.insert(at + usize::from(!before), element.clone());
            }
        }
        Step::Remove(count, element) => {
            let removed = list.remove(*count, element);
            assert_eq!(removed, remove(model, *count, element), "{step:?}");
            list.shrink(options);
        }
        Step::Trim(start, len) => {
            if *start < model.len() {
                let end = model.len().min(start + len);
                list.trim(*start..end);
                *model = model.range(*start..end).cloned().collect();
                list.shrink(options);
            }
        }
    }
}

fn remove(model: &mut Model, count: i64, element: &[u8]) -> usize {
    let is_match = |i: &usize| model[*i] == element;
    let mut places: Vec<usize> = (0..model.len()).filter(is_match).collect();
    if count < 0 {
        places.reverse();
    }
    if count != 0 {
        places.truncate(count.unsigned_abs() as usize);
    }
    places.sort_unstable();
    for &place in places.iter().rev() {
        model.remove(place);
    }
    places.len()
}

fn check(list: ListRef<'_>, model: &Model) {
    assert_eq!(list.len(), model.len());
    let mut seen = Vec::new();
    list.for_each(|item| seen.push(text(item)));
    assert_eq!(seen, model.iter().cloned().collect::<Vec<_>>());
    for index in [0, 1, -1, 5] {
        let at = if index < 0 {
            model.len() as i64 + index
        } else {
            index
        };
        let expected = usize::try_from(at)
            .ok()
            .and_then(|at| model.get(at))
            .cloned();
        assert_eq!(list.get(index, text), expected, "{index}");
    }
    let mut found = Vec::new();
    list.positions(b"1", -2, usize::MAX, |index| {
        found.push(index);
        found.len() < 2
    });
    let backward = (0..model.len()).rev().filter(|&i| model[i] == b"1");
    assert_eq!(found, backward.skip(1).take(2).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn a_list_is_what_a_deque_is(
        fill in prop_oneof![Just(2), Just(5), Just(8)],
        compress_depth in 0..2usize,
        steps in prop::collection::vec(steps(), 1..120),
    ) {
        let options = Options { fill: Fill::new(fill), compress_depth, packed_threshold: 64 };
        let mut list = List::new_in(Vec::new());
        let mut model = Model::new();
        for step in &steps {
            apply(step, &mut list, &mut model, options);
            check(list.as_ref(), &model);
            // Taken apart and put together again, as between any two commands.
            list = List::from_stored(list.into_stored());
        }
    }
}
