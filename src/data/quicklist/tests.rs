//! The quicklist against a plain sequence of texts, its invariants, and its memory.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::node::Content;
use super::*;
use crate::base::{alloc, lzf};
use crate::data::listpack::Listpack;

fn options(fill: i64, compress_depth: usize, packed_threshold: usize) -> Options {
    Options {
        fill: Fill::new(fill),
        compress_depth,
        packed_threshold,
    }
}

fn texts(list: &QuickList) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    list.visit(0, usize::MAX, |item| texts.push(text_of(item)));
    texts
}

/// The number of elements of each node; a plain one counts as 0, compressed ones are negative.
fn shape(list: &QuickList) -> Vec<i64> {
    let nodes = list.iter_nodes().map(|node| {
        let count = if node.is_plain() {
            0
        } else {
            node.elements() as i64
        };
        match node.stored() {
            Stored::Raw(_) => count,
            Stored::Lzf(_) => -count,
        }
    });
    nodes.collect()
}

/// Stops the program if the list breaks one of its own rules.
fn check(list: &QuickList) {
    list.directory.check();
    let (nodes, depth) = (list.nodes(), list.options.compress_depth);
    let limits = Limits::new(&list.options);
    for (index, node) in list.directory.iter().enumerate() {
        let mut scratch = Vec::new();
        match node.content(&mut scratch) {
            Content::Packed(pack) => {
                assert_eq!(Listpack::check(pack.bytes()), Ok(pack));
                assert_eq!(pack.len(), node.elements());
                let (bytes, count) = (pack.bytes().len(), pack.len());
                assert!(count > 0, "an empty node");
                assert!(count == 1 || limits.fit(bytes, count), "{bytes}, {count}");
                assert_eq!(node.len(), bytes);
            }
            Content::Plain(bytes) => assert_eq!(node.len(), bytes.len()),
        }
        let at_end = depth == 0 || index < depth || index + depth >= nodes;
        match node {
            Node::Compressed { .. } => assert!(!at_end, "node {index} of {nodes} is compressed"),
            Node::Plain { .. } | Node::Packed { .. } if at_end => {}
            Node::Plain { .. } | Node::Packed { .. } => {
                let mut compressed = node.clone();
                compressed.compress();
                let stays = !matches!(compressed, Node::Compressed { .. });
                assert!(stays, "node {index} of {nodes} is not compressed");
            }
        }
        if let Node::Packed { pack, .. } = node {
            let size = alloc::class_size(pack.as_ref().bytes().len(), 1);
            assert!(pack.capacity() <= (2 * size).max(limits.bytes_max()));
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    PushBack(Vec<u8>),
    PushFront(Vec<u8>),
    PushMany(Vec<u8>, usize, bool),
    PopBack,
    PopFront,
    PopMany(usize, bool),
    Set(i64, Vec<u8>),
    InsertBefore(Vec<u8>, Vec<u8>),
    InsertAfter(Vec<u8>, Vec<u8>),
    InsertBesideIndex(prop::sample::Index, Vec<u8>, bool),
    Remove(i64, Vec<u8>),
    RemoveRange(prop::sample::Index, usize),
    Trim(usize, usize),
    RotateRight,
    RotateLeft,
    AppendListpack(Vec<Vec<u8>>),
    Copy,
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0..12i64).prop_map(|number| number.to_string().into_bytes()),
        2 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        6 => "[a-c]{0,3}".prop_map(String::into_bytes),
        3 => prop::collection::vec(any::<u8>(), 10..300),
        2 => (b'a'..b'e', 60..4_000usize).prop_map(|(byte, len)| vec![byte; len]),
        1 => (b'a'..b'e', prop::sample::select(vec![4_050, 4_096, 4_097, 8_170, 8_192, 8_193, 20_000, 70_000]))
            .prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => text().prop_map(Op::PushBack),
        4 => text().prop_map(Op::PushFront),
        6 => (text(), 1..300usize, any::<bool>()).prop_map(|(text, count, back)| Op::PushMany(text, count, back)),
        2 => Just(Op::PopBack),
        2 => Just(Op::PopFront),
        2 => (1..100usize, any::<bool>()).prop_map(|(count, back)| Op::PopMany(count, back)),
        6 => (-40..40i64, text()).prop_map(|(index, text)| Op::Set(index, text)),
        2 => (text(), text()).prop_map(|(pivot, text)| Op::InsertBefore(pivot, text)),
        2 => (text(), text()).prop_map(|(pivot, text)| Op::InsertAfter(pivot, text)),
        10 => (index(), text(), any::<bool>()).prop_map(|(at, text, after)| Op::InsertBesideIndex(at, text, after)),
        4 => (-20..20i64, text()).prop_map(|(count, text)| Op::Remove(count, text)),
        2 => text().prop_map(|text| Op::Remove(0, text)),
        1 => (-400..400i64, text()).prop_map(|(count, text)| Op::Remove(count, text)),
        4 => (index(), 0..40usize).prop_map(|(start, count)| Op::RemoveRange(start, count)),
        1 => (index(), 0..1_000usize).prop_map(|(start, count)| Op::RemoveRange(start, count)),
        1 => (0..50usize, 0..2_000usize).prop_map(|(start, count)| Op::Trim(start, count)),
        1 => Just(Op::RotateRight),
        1 => Just(Op::RotateLeft),
        1 => prop::collection::vec("[a-c]{0,3}|[0-9]{1,3}".prop_map(String::into_bytes), 0..4).prop_map(Op::AppendListpack),
        1 => Just(Op::Copy),
    ]
}

/// Texts of a run that are not all the same, so that order and matches matter.
fn varied(text: &[u8], number: usize) -> Vec<u8> {
    match number % 3 {
        0 => text.to_vec(),
        1 => (number / 3 % 7).to_string().into_bytes(),
        _ => [b"b", &text[..text.len().min(number % 40)]].concat(),
    }
}

fn apply(list: &mut QuickList, model: &mut VecDeque<Vec<u8>>, op: &Op) {
    match op {
        Op::PushBack(text) => {
            list.push_back(text);
            model.push_back(text.clone());
        }
        Op::PushFront(text) => {
            list.push_front(text);
            model.push_front(text.clone());
        }
        Op::PushMany(text, count, back) => {
            for number in 0..*count {
                let text = varied(text, number);
                let push = if *back { Op::PushBack } else { Op::PushFront };
                apply(list, model, &push(text));
            }
        }
        Op::PopBack => assert_eq!(list.pop_back(text_of), model.pop_back()),
        Op::PopFront => assert_eq!(list.pop_front(text_of), model.pop_front()),
        Op::PopMany(count, back) => {
            let mut popped = Vec::new();
            list.pop_many(*back, *count, |item| popped.push(text_of(item)));
            let kept = model.len().saturating_sub(*count);
            let expected: Vec<_> = if *back {
                model.drain(kept..).rev().collect()
            } else {
                model.drain(..model.len() - kept).collect()
            };
            assert_eq!(popped, expected);
        }
        Op::Set(index, text) => {
            let place = if *index < 0 {
                model.len().checked_sub(index.unsigned_abs() as usize)
            } else {
                Some(*index as usize)
            };
            let slot = place.and_then(|place| model.get_mut(place));
            assert_eq!(list.set(*index, text), slot.is_some());
            if let Some(slot) = slot {
                slot.clone_from(text);
            }
        }
        Op::InsertBefore(pivot, text) => {
            let place = model.iter().position(|text| text == pivot);
            assert_eq!(list.insert_before(pivot, text), place.is_some());
            if let Some(place) = place {
                model.insert(place, text.clone());
            }
        }
        Op::InsertAfter(pivot, text) => {
            let place = model.iter().position(|text| text == pivot);
            assert_eq!(list.insert_after(pivot, text), place.is_some());
            if let Some(place) = place {
                model.insert(place + 1, text.clone());
            }
        }
        Op::InsertBesideIndex(at, text, after) => {
            if !model.is_empty() {
                let pivot = model[at.index(model.len())].clone();
                let insert = if *after {
                    Op::InsertAfter
                } else {
                    Op::InsertBefore
                };
                apply(list, model, &insert(pivot, text.clone()));
            }
        }
        Op::Remove(count, text) => {
            let found = remove_from_model(model, *count, text);
            assert_eq!(list.remove(*count, text), found);
        }
        Op::RemoveRange(start, count) => {
            let start = start.index(model.len() + 1);
            list.remove_range(start, *count);
            model.drain(start..(start + count).min(model.len()));
        }
        Op::Trim(start, count) => {
            list.trim(*start, *count);
            model.truncate(start + count);
            model.drain(..(*start).min(model.len()));
        }
        Op::RotateRight => {
            list.rotate_right();
            model.rotate_right(1.min(model.len()));
        }
        Op::RotateLeft => {
            list.rotate_left();
            model.rotate_left(1.min(model.len()));
        }
        Op::AppendListpack(texts) => {
            let texts = &texts[..texts.len().min(list.limits_count())];
            let mut pack = ListpackBuf::new();
            texts.iter().for_each(|text| pack.push_back(text));
            list.append_listpack(pack);
            model.extend(texts.iter().cloned());
        }
        Op::Copy => *list = list.clone(),
    }
}

impl QuickList {
    /// How many elements a node that is appended whole may have for the checks to hold.
    fn limits_count(&self) -> usize {
        (0..5)
            .rev()
            .find(|&count| self.limits.fit(0, count))
            .unwrap_or(0)
    }
}

fn remove_from_model(model: &mut VecDeque<Vec<u8>>, count: i64, text: &[u8]) -> usize {
    let matches: Vec<usize> = (0..model.len()).filter(|&at| model[at] == text).collect();
    let count_max = match count.unsigned_abs() as usize {
        0 => matches.len(),
        count => count.min(matches.len()),
    };
    let gone = if count < 0 {
        &matches[matches.len() - count_max..]
    } else {
        &matches[..count_max]
    };
    for &at in gone.iter().rev() {
        model.remove(at);
    }
    gone.len()
}

/// Every way to read gives the model's texts.
fn check_reads(list: &QuickList, model: &VecDeque<Vec<u8>>, start: usize, count: usize) {
    assert_eq!(list.len(), model.len());
    assert_eq!(list.is_empty(), model.is_empty());
    assert_eq!(texts(list), Vec::from(model.clone()));
    let mut found = Vec::new();
    list.visit(start, count, |item| found.push(text_of(item)));
    let expected: Vec<_> = model.iter().skip(start).take(count).cloned().collect();
    assert_eq!(found, expected);
    found.clear();
    list.visit_back(start, count, |item| found.push(text_of(item)));
    let expected: Vec<_> = match start < model.len() {
        true => (model.range(..=start).rev().take(count).cloned()).collect(),
        false => Vec::new(),
    };
    assert_eq!(found, expected);
    for index in [0, 1, start as i64, model.len() as i64 - 1] {
        let expected = usize::try_from(index).ok().and_then(|at| model.get(at));
        if index >= 0 {
            assert_eq!(list.get(index, text_of).as_ref(), expected);
        }
        let expected = (model.len() as i64 - 1 - index).try_into().ok();
        let expected = expected.and_then(|at: usize| model.get(at));
        assert_eq!(list.get(-index - 1, text_of).as_ref(), expected);
    }
    for (rank, len_max) in [(1, 0), (2, usize::MAX), (-1, usize::MAX), (1, 50), (-3, 70)] {
        check_positions(list, model, model.get(start), rank, len_max);
    }
}

fn check_positions(
    list: &QuickList,
    model: &VecDeque<Vec<u8>>,
    text: Option<&Vec<u8>>,
    rank: i64,
    len_max: usize,
) {
    let Some(text) = text else { return };
    let mut order: Vec<usize> = (0..model.len()).collect();
    if rank < 0 {
        order.reverse();
    }
    let expected: Vec<usize> = (order.into_iter().take(len_max))
        .filter(|&at| model[at] == *text)
        .skip(rank.unsigned_abs() as usize - 1)
        .take(3)
        .collect();
    let mut found = Vec::new();
    list.positions(text, rank, len_max, |at| {
        found.push(at);
        found.len() < 3
    });
    assert_eq!(found, expected, "rank {rank}, at most {len_max} looked at");
}

const FILLS: [i64; 10] = [-5, -4, -3, -2, -1, 0, 1, 2, 3, 128];

proptest! {
    #[test]
    fn it_is_a_sequence_of_texts(
        fill in prop::sample::select(&FILLS),
        depth in 0usize..4,
        threshold in prop::sample::select(&[0, 0, 0, 1, 30, 1 << 20]),
        ops in prop::collection::vec(op(), 1..40),
        start in 0usize..600,
        count in 0usize..600,
    ) {
        let mut list = QuickList::new(options(fill, depth, threshold));
        let mut model = VecDeque::new();
        for op in &ops {
            apply(&mut list, &mut model, op);
            check(&list);
        }
        check_reads(&list, &model, start, count);
    }
}

/// A list of the numbers up to `count`.
fn numbers(count: usize, options: Options) -> QuickList {
    let mut list = QuickList::new(options);
    (0..count).for_each(|number| list.push_back(number.to_string().as_bytes()));
    list
}

#[test]
fn nodes_hold_what_the_fill_says() {
    // (fill, length of the texts, how many are pushed, elements of the nodes)
    let cases: [(i64, usize, usize, &[i64]); 9] = [
        (0, 3, 3, &[1, 1, 1]),
        (1, 3, 3, &[1, 1, 1]),
        (3, 3, 7, &[3, 3, 1]),
        (3, 4_000, 7, &[2, 2, 2, 1]),
        (3, 8_192, 2, &[1, 1]),
        (3, 8_193, 2, &[0, 0]),
        (-1, 2_000, 4, &[2, 2]),
        (-1, 4_096, 2, &[1, 1]),
        (-1, 4_097, 2, &[0, 0]),
    ];
    for (fill, len, count, expected) in cases {
        let mut list = QuickList::new(options(fill, 0, 0));
        (0..count).for_each(|_| list.push_back(&vec![b'x'; len]));
        assert_eq!(shape(&list), expected, "fill {fill}, texts of {len} bytes");
        check(&list);
    }
    // A million texts of 18 bytes fill nodes of 8 KiB with 408 each, as in Redis.
    let mut list = QuickList::new(options(-2, 0, 0));
    (0..1_000).for_each(|_| list.push_front(&[b'x'; 18]));
    assert_eq!(shape(&list), [184, 408, 408]);
}

#[test]
fn the_threshold_makes_small_texts_plain() {
    let mut list = QuickList::new(options(-2, 0, 5));
    for text in ["aa", "bb", "12345", "cc", "123456", "123456"] {
        list.push_back(text.as_bytes());
    }
    assert_eq!(shape(&list), [2, 0, 1, 0, 0]);
    assert!(list.set(0, b"bigger"));
    assert!(list.set(-1, b"dd"));
    assert_eq!(shape(&list), [0, 1, 0, 1, 0, 1]);
    assert!(list.set(2, b"c"));
    assert_eq!(shape(&list), [0, 3, 0, 1]);
    assert_eq!(list.remove(0, b"123456"), 1);
    assert_eq!(shape(&list), [0, 3, 1]);
    check(&list);
}

#[test]
fn a_full_node_splits_where_something_is_inserted() {
    let mut list = numbers(12, options(4, 0, 0));
    assert!(list.insert_before(b"5", b"x"));
    assert_eq!(shape(&list), [4, 2, 3, 4]);
    assert!(list.insert_after(b"3", b"y"), "joins the next node");
    assert_eq!(shape(&list), [4, 3, 3, 4]);
    assert!(list.insert_before(b"8", b"z"), "joins the node before");
    assert_eq!(shape(&list), [4, 3, 4, 4]);
    assert!(list.insert_after(b"11", b"last"));
    assert_eq!(shape(&list), [4, 3, 4, 4, 1]);
    assert!(!list.insert_after(b"12", b"nothing"));
    let found = texts(&list).concat();
    assert_eq!(found, b"0123y4x567z891011last");
    check(&list);
}

#[test]
fn small_neighbours_merge() {
    let mut list = numbers(16, options(4, 0, 0));
    list.remove_range(2, 5);
    assert_eq!(shape(&list), [3, 4, 4]);
    assert_eq!(list.remove(1, b"9"), 1);
    assert_eq!(list.remove(-1, b"13"), 1);
    assert_eq!(shape(&list), [3, 3, 3]);
    list.remove_range(2, 4);
    assert_eq!(shape(&list), [2, 3]);
    check(&list);
}

#[test]
fn nodes_between_the_ends_are_compressed() {
    let mut list = QuickList::new(options(4, 2, 0));
    for number in 0..24 {
        list.push_back(format!("{number:0>40}").as_bytes());
    }
    assert_eq!(shape(&list), [4, 4, -4, -4, 4, 4]);
    list.push_front(b"first");
    assert_eq!(shape(&list), [1, 4, -4, -4, -4, 4, 4]);
    assert!(list.set(10, &[b'x'; 40]));
    assert_eq!(shape(&list), [1, 4, -4, -4, -4, 4, 4]);
    list.remove_range(0, 5);
    assert_eq!(shape(&list), [4, 4, -4, 4, 4]);
    check(&list);
    let pack = list.iter_nodes().nth(2).unwrap();
    let Stored::Lzf(bytes) = pack.stored() else {
        panic!("an inner node");
    };
    let pack = lzf::decompress(bytes, pack.raw_len()).unwrap();
    assert_eq!(Listpack::check(&pack).unwrap().len(), 4);
    let mut raw = QuickList::new(options(4, 0, 0));
    list.visit(0, usize::MAX, |item| raw.push_back(&text_of(item)));
    assert!(list.allocated() < raw.allocated());
}

#[test]
fn a_list_in_one_node_is_a_listpack() {
    // (elements, fill, whether it fits as it is, and when shrinking)
    let cases = [
        (4, 4, true, false),
        (2, 4, true, true),
        (5, 4, false, false),
        (600, -1, true, true),
        (900, -1, true, false),
        (2_000, -1, false, false),
    ];
    for (count, fill, fits, fits_shrinking) in cases {
        let list = numbers(count, options(-5, 0, 0));
        let fill = Fill::new(fill);
        assert_eq!(list.fits_listpack(fill, false), fits, "{count}, {fill:?}");
        assert_eq!(list.fits_listpack(fill, true), fits_shrinking, "{count}");
        let pack = list.clone().into_listpack();
        assert_eq!(pack.as_ref().len(), count);
        let back = QuickList::from_listpack(pack, options(-5, 0, 0));
        assert_eq!(texts(&back), texts(&list));
    }
    let mut plain = QuickList::new(options(-1, 0, 0));
    plain.push_back(&[0; 5_000]);
    assert!(!plain.fits_listpack(Fill::new(-5), false));
    assert!(!numbers(3, options(1, 0, 0)).fits_listpack(Fill::new(-2), false));
    assert!(Fill::new(-2).fits(8_192, 100_000) && !Fill::new(-2).fits(8_193, 1));
    assert!(Fill::new(10).fits(8_192, 10) && !Fill::new(10).fits(8_193, 1));
    assert!(!Fill::new(10).fits(100, 11));
}

#[test]
fn a_million_elements_take_20_bytes_each() {
    for front in [false, true] {
        let mut list = QuickList::new(options(-2, 0, 0));
        for number in 0..1_000_000 {
            let text = format!("element:{number:0>10}");
            if front {
                list.push_front(text.as_bytes());
            } else {
                list.push_back(text.as_bytes());
            }
        }
        let each = list.allocated() as f64 / list.len() as f64;
        assert!(each <= 20.2, "{each} bytes an element");
        assert!(list.clone().allocated() <= list.allocated());
        for index in [0, 1, 407, 408, 499_999, 500_000, 999_999] {
            let number = if front { 999_999 - index } else { index };
            let text = list.get(index, text_of).unwrap();
            assert_eq!(text, format!("element:{number:0>10}").as_bytes());
        }
        list.remove_range(10, 999_980);
        assert_eq!(list.len(), 20);
        assert_eq!(list.nodes(), 1);
        assert!(list.allocated() < 2_000, "{}", list.allocated());
        check(&list);
    }
}

#[test]
fn many_nodes_are_inserted_and_removed_in_the_middle() {
    let mut list = numbers(3_000, options(1, 1, 0));
    for number in (0..3_000).step_by(3) {
        assert!(list.insert_after(number.to_string().as_bytes(), b"new"));
    }
    check(&list);
    let expected: Vec<Vec<u8>> = (0..3_000)
        .flat_map(|number| {
            let own = number.to_string().into_bytes();
            let new = (number % 3 == 0).then(|| b"new".to_vec());
            [Some(own), new].into_iter().flatten()
        })
        .collect();
    assert_eq!(texts(&list), expected);
    assert_eq!(list.remove(-990, b"new"), 990);
    check(&list);
    list.remove_range(100, 1_000);
    list.remove_range(1_500, 300);
    list.trim(50, 1_000);
    check(&list);
    assert_eq!(list.nodes(), 1_000);
    list.remove_range(0, usize::MAX);
    assert!(list.is_empty() && list.allocated() < 4_096);
}

#[test]
fn sizes_beyond_all_limits_are_survived() {
    let mut list = numbers(10, options(i64::MIN, usize::MAX, usize::MAX));
    assert_eq!(list.options().fill, Fill::new(-5));
    assert_eq!(Fill::new(i64::MAX), Fill::new(40_000));
    for index in [i64::MIN, -11, 10, i64::MAX] {
        assert_eq!(list.get(index, text_of), None);
        assert!(!list.set(index, b"x"));
    }
    assert_eq!(list.remove(i64::MIN, b"3"), 1);
    list.visit(usize::MAX, usize::MAX, |_| panic!("nothing is there"));
    list.visit_back(usize::MAX, usize::MAX, |_| panic!("nothing is there"));
    list.remove_range(usize::MAX, usize::MAX);
    list.remove_range(5, 0);
    list.trim(usize::MAX, usize::MAX);
    assert!(list.is_empty());
    list.rotate_left();
    assert_eq!(list.pop_back(text_of), None);
    list.positions(b"x", i64::MIN, usize::MAX, |_| panic!("nothing is there"));
    list.append_listpack(ListpackBuf::new());
    assert_eq!(list.nodes(), 0);
    list.append_plain(Vec::new());
    assert_eq!(list.pop_front(text_of), Some(Vec::new()));
    list.push_back(&vec![b'x'; 3 << 20]);
    assert_eq!(shape(&list), [1], "the threshold allows it");
    check(&list);
}

#[test]
fn a_listpack_beyond_all_limits_is_a_node_nevertheless() {
    // Files by others may hold such nodes; more elements than the header of a listpack can say.
    const COUNT: usize = 70_000;
    let mut pack = ListpackBuf::new();
    (0..COUNT).for_each(|number| pack.push_back_int(number as i64 % 100));
    let mut list = QuickList::from_listpack(pack, options(-1, 1, 0));
    let mut model: VecDeque<Vec<u8>> = texts(&list).into();
    let ops = [
        Op::PushBack(b"x".to_vec()),
        Op::PopFront,
        Op::Set(66_000, b"set to something else".to_vec()),
        Op::InsertAfter(b"99".to_vec(), b"in between".to_vec()),
        Op::Remove(-700, b"7".to_vec()),
        Op::Trim(10, 69_000),
    ];
    for op in ops {
        apply(&mut list, &mut model, &op);
        list.directory.check();
    }
    check_reads(&list, &model, 30_000, 20_000);
    apply(&mut list, &mut model, &Op::Trim(20_000, 1_000));
    check_reads(&list, &model, 100, 100);
    check(&list);
}

#[test]
fn lists_move_between_threads() {
    fn moves<T: Send>() {}
    moves::<QuickList>();
}
