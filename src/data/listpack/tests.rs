//! Listpacks against bytes that Redis 7.0.15 made, against a vector of texts, and against bytes that
//! are none.

use proptest::prelude::*;

use super::element::backlen;
use super::*;

/// The bytes that `hex` spells.
fn bytes_of(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The listpack made by pushing these texts.
pub(super) fn pack_of<T: AsRef<[u8]>>(texts: &[T]) -> ListpackBuf {
    let mut pack = ListpackBuf::new();
    for text in texts {
        pack.push_back(text.as_ref());
    }
    pack
}

pub(super) fn text_of(item: Item<'_>) -> Vec<u8> {
    item.bytes(&mut itoa::Buffer::new()).to_vec()
}

/// Reads a listpack in every way there is and compares with the texts it should hold.
pub(super) fn check_reads(pack: Listpack<'_>, texts: &[Vec<u8>]) {
    assert_eq!(Listpack::check(pack.bytes()), Ok(pack));
    assert_eq!(pack.len(), texts.len());
    assert_eq!(pack.is_empty(), texts.is_empty());
    let forward: Vec<_> = pack.iter().map(text_of).collect();
    assert_eq!(forward, texts);
    let mut backward: Vec<_> = pack.iter().rev().map(text_of).collect();
    backward.reverse();
    assert_eq!(backward, texts);

    let positions: Vec<_> = pack.positions().collect();
    assert_eq!(positions.len(), texts.len());
    assert_eq!(pack.first(), positions.first().copied());
    assert_eq!(pack.last(), positions.last().copied());
    let (mut prev, count) = (None, positions.len() as isize);
    for (index, &at) in positions.iter().enumerate() {
        let item = pack.get(at);
        assert_eq!(text_of(item), texts[index]);
        assert_eq!(item.len(), texts[index].len());
        assert_eq!(item.is_empty(), texts[index].is_empty());
        assert!(item.is(&texts[index]));
        assert_eq!(item.integer(), parse_i64(&texts[index]));
        assert_eq!(pack.prev(at), prev);
        assert_eq!(pack.next(at), positions.get(index + 1).copied());
        prev = Some(at);
    }
    for index in -count - 2..count + 2 {
        let expected = if index < 0 { index + count } else { index };
        let expected = usize::try_from(expected).ok();
        let expected = expected.and_then(|index| positions.get(index)).copied();
        assert_eq!(pack.seek(index), expected, "index {index} of {count}");
    }
    assert_eq!(pack.seek(isize::MIN), None);
    assert_eq!(pack.seek(isize::MAX), None);
    for index in [0, texts.len() / 2, texts.len().saturating_sub(1)] {
        let Some(&at) = positions.get(index) else {
            continue;
        };
        assert!(pack.iter_from(at).map(text_of).eq(texts[index..].to_vec()));
        let back = pack.iter_back_from(at).map(text_of);
        assert!(back.eq(texts[..=index].iter().rev().cloned()));
    }
}

/// Looks for every text, and for some that are close to it, from some places.
pub(super) fn check_finds(pack: Listpack<'_>, texts: &[Vec<u8>]) {
    let positions: Vec<_> = pack.positions().collect();
    let check = |text: &[u8], from: usize, step: usize| {
        let expected = (from..texts.len())
            .step_by(step)
            .find(|&index| texts[index] == text)
            .map(|index| positions[index]);
        let needle = Needle::new(text);
        let found = pack.find(positions[from], &needle, step);
        assert_eq!(found, expected, "{}", text.escape_ascii());
        if let Some(at) = found {
            assert!(needle.is(pack.get(at)));
        }
    };
    for (index, text) in texts.iter().enumerate() {
        let mut other = text.clone();
        let at = index % (text.len() + 1);
        match other.get_mut(at) {
            Some(byte) => *byte ^= 1,
            None => other.push(b'x'),
        }
        for step in 1..=3 {
            let from = index / 4 * 2;
            check(text, from, step);
            check(&other, from, step);
            check(b"", index, step);
        }
    }
}

#[test]
fn bytes_are_those_of_redis() {
    fn check(texts: &[&str], expected: &str) {
        let pack = pack_of(texts);
        let texts: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        assert_eq!(pack.into_vec(), bytes_of(expected));
        let expected = bytes_of(expected);
        check_reads(Listpack::check(&expected).unwrap(), &texts);
        check_finds(Listpack::check(&expected).unwrap(), &texts);
    }
    // From DUMP of a list, a list, a hash and a sorted set of Redis 7.0.15.
    let integers = [
        "0",
        "127",
        "128",
        "-1",
        "-4096",
        "-4097",
        "4095",
        "4096",
        "32767",
        "32768",
        "-32768",
        "-32769",
        "8388607",
        "8388608",
        "-8388608",
        "-8388609",
        "2147483647",
        "2147483648",
        "-2147483648",
        "-2147483649",
        "9223372036854775807",
        "-9223372036854775808",
    ];
    check(
        &integers,
        "7b000000160000017f01c08002dfff02d00002f1ffef03cfff02f1001003f1ff7f03f200800004f1008003\
         f2ff7fff04f2ffff7f04f30000800005f200008004f3ffff7fff05f3ffffff7f05f4000000800000000009\
         f30000008005f4ffffff7fffffffff09f4ffffffffffffff7f09f4000000000000008009ff"
            .replace(' ', "")
            .as_str(),
    );
    check(
        &[
            "",
            "a",
            "007",
            "+1",
            "-0",
            "-",
            "9223372036854775808",
            " 1",
            "1.0",
        ],
        "3a000000090080018161028330303704822b3103822d3003812d0293393232333337323033363835343737\
         35383038148220310383312e3004ff",
    );
    let long = "x".repeat(64);
    check(
        &["name", "Ada", "age", "36", "f", &long],
        &format!(
            "5f0000000600846e616d6505834164610483616765042401816602e040{}42ff",
            "78".repeat(64)
        ),
    );
    check(
        &["a", "-3", "b", "1.5", "c", "2", "17", "10000"],
        "200000000800816102dffd0281620283312e350481630202011101f1102703ff",
    );
}

#[test]
fn lengths_and_backlens_are_those_of_redis() {
    fn check(text_len: usize, head: &str, backlen: &str) {
        let text = vec![b'x'; text_len];
        let mut expected = bytes_of(head);
        expected.resize(expected.len() + text_len, b'x');
        expected.extend(bytes_of(backlen));
        let pack = pack_of(&[&text]);
        assert_eq!(
            pack.0[HEADER_LEN..pack.end()],
            expected,
            "{text_len} bytes of text"
        );
        assert_eq!(encoded_len(&text), expected.len());
        check_reads(pack.as_ref(), &[text]);
    }
    check(0, "80", "01");
    check(63, "bf", "40");
    check(64, "e040", "42");
    check(125, "e07d", "7f");
    check(126, "e07e", "0180");
    check(4095, "efff", "2081");
    check(4096, "f000100000", "2085");
    check(16_377, "f0f93f0000", "7ffe");
    check(16_378, "f0fa3f0000", "00ffff");
    check(16_379, "f0fb3f0000", "018080");
    check(2_097_145, "f0f9ff1f00", "7ffffe");
    check(2_097_146, "f0faff1f00", "00ffffff");
    check(2_097_147, "f0fbff1f00", "01808080");
    assert_eq!(backlen_len((1 << 28) - 2), 4);
    assert_eq!(backlen((1 << 28) - 1), ([0, 0xff, 0xff, 0xff, 0xff], 5));
}

#[test]
fn integers_in_longer_forms_are_found() {
    let mut pack = ListpackBuf::new();
    // 5 as 13, 16, 24, 32 and 64 bits, and as a text of each form; "ab" as the longer texts.
    for element in [
        "c00502",
        "f1050003",
        "f205000004",
        "f30500000005",
        "f4050000000000000009",
        "813502",
        "e0013503",
        "f0010000003506",
        "e002616204",
        "f002000000616207",
    ] {
        let at = pack.end();
        pack.0.splice(at..at, bytes_of(element));
    }
    pack.state(10);
    let texts: Vec<_> = ["5"; 8].iter().chain(&["ab"; 2]).collect();
    let texts: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    check_reads(pack.as_ref(), &texts);
    check_finds(pack.as_ref(), &texts);
    for at in pack.as_ref().positions().take(8) {
        let needle = Needle::new(b"5");
        assert_eq!(pack.as_ref().find(at, &needle, 1), Some(at));
    }
    assert!(!Item::Int(5).is(b"05"));
    assert!(!Item::Int(5).is(b"6"));
}

#[test]
fn refuses_what_is_no_listpack() {
    fn check(hex: &str, expected: Fault) {
        let found = Listpack::check(&bytes_of(hex)).map(|pack| pack.len());
        assert_eq!(found, Err(expected), "{hex}");
        assert!(expected.to_string().starts_with("a listpack "));
    }
    check("", Fault::Short);
    check("06000000ff00", Fault::Short);
    check("08000000000 0ff".replace(' ', "").as_str(), Fault::Total);
    check("070000000000fe", Fault::End);
    check("070000000100ff", Fault::Count);
    check(
        "09000000000005 01ff".replace(' ', "").as_str(),
        Fault::Count,
    );
    let element = Fault::Element { at: HEADER_LEN };
    check("080000000100 05ff".replace(' ', "").as_str(), element);
    for damaged in [
        "0502",       // a wrong backlen
        "8002",       // the same behind a text
        "826103",     // a text over the end
        "bf",         // the same, without any of it
        "c0",         // half an integer
        "e0",         // half a length
        "f0010000",   // the same, of 32 bits
        "f0ffffffff", // a length far over the end
        "f10500",     // no backlen
        "f4050000000000",
        "f501", // tags that mean nothing
        "fe01",
        "ff01", // the end, too early
    ] {
        let total = EMPTY_LEN + damaged.len() / 2;
        check(&format!("{total:02x}0000000100{damaged}ff"), element);
    }
    let long = "78".repeat(126);
    // A backlen that is read from its end right, but has a group too many.
    check(&format!("8a0000000100e07e{long}008180ff"), element);
}

#[test]
fn every_changed_byte_is_refused_or_read() {
    let texts = ["", "12", "-300", "name", "99999", "5000000000", "123456789"];
    let bytes = pack_of(&texts).into_vec();
    for at in 0..bytes.len() {
        for byte in 0..=255 {
            let mut changed = bytes.clone();
            changed[at] = byte;
            check_hostile(&changed);
        }
        check_hostile(&bytes[..at]);
    }
}

/// If the bytes are accepted, they can be read in every way and changed. Says whether they were.
pub(super) fn check_hostile(bytes: &[u8]) -> bool {
    let Ok(pack) = Listpack::check(bytes) else {
        return false;
    };
    let texts: Vec<_> = pack.iter().map(text_of).collect();
    check_reads(pack, &texts);
    check_finds(pack, &texts);
    let mut pack = ListpackBuf::from_vec_trusted(bytes.to_vec());
    let mut texts = texts;
    if let Some(at) = pack.as_ref().seek(texts.len() as isize / 2) {
        let index = texts.len() / 2;
        pack.replace(at, b"replaced");
        texts[index] = b"replaced".to_vec();
        assert!(Listpack::check(&pack.0).is_ok());
        pack.remove_index_range(0, 1);
        texts.remove(0);
    }
    pack.push_back(b"-1");
    texts.push(b"-1".to_vec());
    check_reads(pack.as_ref(), &texts);
    true
}

#[test]
fn more_elements_than_the_header_can_count() {
    let count = COUNT_UNKNOWN - 1;
    let mut pack = ListpackBuf::new();
    for index in 0..count as i64 {
        pack.push_back_int(index % 300);
    }
    assert_eq!(pack.as_ref().count_in_header(), Some(count));
    pack.push_back(b"last but one");
    assert_eq!(pack.as_ref().count_in_header(), None);
    pack.push_back(b"last");
    let read = pack.as_ref();
    assert!(Listpack::check(read.bytes()).is_ok());
    assert_eq!(read.len(), count + 2);
    assert_eq!(read.iter().rev().count(), count + 2);
    let at = |index| read.seek(index).map(|at| text_of(read.get(at)));
    assert_eq!(at(-2), Some(b"last but one".to_vec()));
    assert_eq!(at(count as isize + 1), Some(b"last".to_vec()));
    assert_eq!(at(count as isize + 2), None);
    assert_eq!(at(-(count as isize) - 2), Some(b"0".to_vec()));
    assert_eq!(at(-(count as isize) - 3), None);

    // Only a split or a join counts anew, as in Redis.
    pack.remove_index_range(10, 100);
    assert_eq!(pack.as_ref().count_in_header(), None);
    assert_eq!(pack.as_ref().len(), count - 98);
    let tail = pack.split_off(pack.as_ref().seek(-3).unwrap());
    assert_eq!(tail.as_ref().count_in_header(), Some(3));
    assert_eq!(pack.as_ref().count_in_header(), Some(count - 101));
    pack.append(tail.as_ref());
    assert_eq!(pack.as_ref().count_in_header(), Some(count - 98));
    let copy = pack.clone();
    pack.prepend(copy.as_ref());
    assert_eq!(pack.as_ref().count_in_header(), None);
    assert_eq!(pack.as_ref().len(), 2 * (count - 98));
    let middle = pack.as_ref().seek(count as isize - 98).unwrap();
    assert_eq!(pack.split_off(middle), copy);
    assert_eq!(pack, copy);
}

#[test]
fn memory_is_reused_and_given_up() {
    let mut vec = vec![1; 100];
    vec.reserve_exact(100);
    let place = vec.as_ptr();
    let mut pack = ListpackBuf::new_in(vec);
    assert_eq!(pack, ListpackBuf::default());
    pack.push_back(&[b'x'; 80]);
    pack.replace(Pos(HEADER_LEN), b"short");
    assert!(pack.capacity() >= 200);
    assert_eq!(pack.0.as_ptr(), place);
    pack.shrink_to_fit();
    assert!(pack.capacity() < 200);
    assert_eq!(pack, pack_of(&["short"]));
}

#[test]
fn sizes_that_are_safe() {
    assert!(is_safe_to_add(0, BYTES_MAX));
    assert!(is_safe_to_add(BYTES_MAX - 5, 5));
    assert!(!is_safe_to_add(BYTES_MAX - 5, 6));
    assert!(!is_safe_to_add(usize::MAX, 1));
    assert_eq!(ListpackBuf::new().0.len(), EMPTY_LEN);
}

#[test]
#[should_panic(expected = "a search that stays where it is")]
fn a_search_without_a_step() {
    let pack = pack_of(&["a"]);
    pack.as_ref().find(Pos(HEADER_LEN), &Needle::new(b"b"), 0);
}

/// A change. Indexes are taken modulo the length.
#[derive(Clone, Debug)]
enum Op {
    PushBack(Vec<u8>),
    PushFront(Vec<u8>),
    PushBackInt(i64),
    InsertBefore(usize, Vec<u8>),
    InsertAfter(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    ReplaceInt(usize, i64),
    Remove(usize),
    RemoveRange(usize, usize),
    RemoveIndexRange(usize, usize),
    Append(Vec<Vec<u8>>),
    Prepend(Vec<Vec<u8>>),
    Split(usize, bool),
    Renew,
}

/// Integers next to where their form changes.
fn integer() -> impl Strategy<Value = i64> {
    let edges = vec![
        0,
        127,
        4095,
        i64::from(i16::MAX),
        (1 << 23) - 1,
        i64::from(i32::MAX),
        i64::MAX,
    ];
    prop_oneof![
        (prop::sample::select(edges), any::<bool>(), -2i64..3).prop_map(|(edge, negative, by)| {
            let edge = if negative { -edge } else { edge };
            edge.wrapping_add(by)
        }),
        any::<i64>(),
        -200i64..200,
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let lens = vec![62, 63, 64, 65, 124, 125, 126, 127, 128];
    let long = vec![4094, 4095, 4096, 4097, 16_377, 16_378, 16_379];
    prop_oneof![
        6 => integer().prop_map(|value| value.to_string().into_bytes()),
        6 => prop::collection::vec(prop::sample::select(&b"ab0-"[..]), 0..5),
        4 => prop::collection::vec(any::<u8>(), 0..20),
        2 => (prop::sample::select(lens), any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        1 => (prop::sample::select(long), any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let index = 0usize..1000;
    let texts = || prop::collection::vec(text(), 0..6);
    prop_oneof![
        4 => text().prop_map(Op::PushBack),
        4 => text().prop_map(Op::PushFront),
        2 => integer().prop_map(Op::PushBackInt),
        4 => (index.clone(), text()).prop_map(|(at, text)| Op::InsertBefore(at, text)),
        4 => (index.clone(), text()).prop_map(|(at, text)| Op::InsertAfter(at, text)),
        6 => (index.clone(), text()).prop_map(|(at, text)| Op::Replace(at, text)),
        2 => (index.clone(), integer()).prop_map(|(at, value)| Op::ReplaceInt(at, value)),
        4 => index.clone().prop_map(Op::Remove),
        1 => (index.clone(), 0usize..6).prop_map(|(at, count)| Op::RemoveRange(at, count)),
        1 => (0usize..40, 0usize..6).prop_map(|(at, count)| Op::RemoveIndexRange(at, count)),
        2 => texts().prop_map(Op::Append),
        2 => texts().prop_map(Op::Prepend),
        1 => (index, any::<bool>()).prop_map(|(at, tail)| Op::Split(at, tail)),
        1 => Just(Op::Renew),
    ]
}

/// The place that a change gave must be that of the index, or none behind the last.
fn check_place(pack: &ListpackBuf, found: Option<Pos>, index: usize) {
    assert_eq!(found, pack.as_ref().positions().nth(index));
}

fn apply(pack: &mut ListpackBuf, model: &mut Vec<Vec<u8>>, op: Op) {
    let place = |index: usize| {
        let index = index.checked_rem(model.len())?;
        Some((index, pack.as_ref().positions().nth(index).unwrap()))
    };
    match op {
        Op::PushBack(text) => {
            pack.push_back(&text);
            model.push(text);
        }
        Op::PushFront(text) => {
            pack.push_front(&text);
            model.insert(0, text);
        }
        Op::PushBackInt(value) => {
            pack.push_back_int(value);
            model.push(value.to_string().into_bytes());
        }
        Op::Append(texts) => {
            pack.append(pack_of(&texts).as_ref());
            model.extend(texts);
        }
        Op::Prepend(texts) => {
            pack.prepend(pack_of(&texts).as_ref());
            model.splice(..0, texts);
        }
        Op::RemoveIndexRange(start, count) => {
            pack.remove_index_range(start, count);
            let start = start.min(model.len());
            model.drain(start..(start + count).min(model.len()));
        }
        Op::Renew => {
            let vec = std::mem::take(pack).into_vec();
            *pack = ListpackBuf::new_in(vec);
            model.clear();
        }
        Op::InsertBefore(index, _)
        | Op::InsertAfter(index, _)
        | Op::Replace(index, _)
        | Op::ReplaceInt(index, _)
        | Op::Remove(index)
        | Op::RemoveRange(index, _)
        | Op::Split(index, _) => {
            if let Some((index, at)) = place(index) {
                apply_at(pack, model, index, at, op);
            }
        }
    }
}

fn apply_at(pack: &mut ListpackBuf, model: &mut Vec<Vec<u8>>, index: usize, at: Pos, op: Op) {
    let (found, index) = match op {
        Op::InsertBefore(_, text) => {
            let found = pack.insert_before(at, &text);
            model.insert(index, text);
            (Some(found), index)
        }
        Op::InsertAfter(_, text) => {
            let found = pack.insert_after(at, &text);
            model.insert(index + 1, text);
            (Some(found), index + 1)
        }
        Op::Replace(_, text) => {
            let found = pack.replace(at, &text);
            model[index] = text;
            (Some(found), index)
        }
        Op::ReplaceInt(_, value) => {
            let found = pack.replace_int(at, value);
            model[index] = value.to_string().into_bytes();
            (Some(found), index)
        }
        Op::Remove(_) => {
            model.remove(index);
            (pack.remove(at), index)
        }
        Op::RemoveRange(_, count) => {
            model.drain(index..(index + count).min(model.len()));
            (pack.remove_range(at, count), index)
        }
        Op::Split(_, keep_tail) => {
            let tail = pack.split_off(at);
            let tail_model = model.split_off(index);
            check_reads(tail.as_ref(), &tail_model);
            check_reads(pack.as_ref(), model);
            if keep_tail {
                (*pack, *model) = (tail, tail_model);
                (pack.as_ref().first(), 0)
            } else {
                (None, model.len())
            }
        }
        _ => unreachable!("a change at no place"),
    };
    check_place(pack, found, index);
}

proptest! {
    #[test]
    fn behaves_as_a_vector_of_texts(ops in prop::collection::vec(op(), 1..60)) {
        let (mut pack, mut model) = (ListpackBuf::new(), Vec::new());
        for op in ops {
            apply(&mut pack, &mut model, op);
            check_reads(pack.as_ref(), &model);
            // However it came about, the bytes are those that pushing gives.
            prop_assert_eq!(&pack, &pack_of(&model));
        }
        check_finds(pack.as_ref(), &model);
    }

    #[test]
    fn encoded_lens_add_up(texts in prop::collection::vec(text(), 0..8)) {
        let sum: usize = texts.iter().map(|text| encoded_len(text)).sum();
        prop_assert_eq!(pack_of(&texts).into_vec().len(), EMPTY_LEN + sum);
    }

    #[test]
    fn any_bytes_are_refused_or_read(
        mut bytes in prop::collection::vec(any::<u8>(), 0..60), right_frame in any::<bool>(),
    ) {
        if right_frame && bytes.len() >= EMPTY_LEN {
            let total = bytes.len();
            bytes[..HEADER_LEN].copy_from_slice(&[total as u8, 0, 0, 0, 255, 255]);
            bytes[total - 1] = END;
        }
        check_hostile(&bytes);
    }

    #[test]
    fn changed_bytes_are_refused_or_read(
        texts in prop::collection::vec(text(), 0..8),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = pack_of(&texts).into_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check_hostile(&bytes);
    }
}

/// What `extend_with` adds is what the pushes add, header included; beyond the count's end too.
#[test]
fn several_elements_are_added_at_once() {
    for before in [0, 1, 65_533, 65_534, 65_535, 65_536] {
        let mut one_by_one = ListpackBuf::new();
        (0..before).for_each(|_| one_by_one.push_back_int(1));
        let mut at_once = one_by_one.clone();
        one_by_one.push_back(b"text");
        one_by_one.push_back(b"17");
        one_by_one.push_back_int(-70_000);
        at_once.extend_with(|tail| {
            tail.text(b"text");
            tail.text(b"17");
            tail.int(-70_000);
        });
        assert!(at_once == one_by_one, "{before} elements");
        at_once.extend_with(|_| {});
        assert!(at_once == one_by_one, "{before} elements");
    }
}

#[test]
fn items_are_stepped_over_from_either_end() {
    let mut pack = ListpackBuf::new();
    (0..10).for_each(|n| pack.push_back(&vec![b'x'; n * 40]));
    let pack = pack.as_ref();
    let len = |item: Option<Item<'_>>| item.map(|item| item.len() / 40);
    let mut items = pack.iter();
    assert_eq!(len(items.nth(2)), Some(2));
    assert_eq!(len(items.nth_back(3)), Some(6));
    assert_eq!(pack.get(items.back()).len(), 6 * 40);
    let front = items.front();
    assert_eq!(front.map(|at| pack.get(at).len()), Some(3 * 40));
    assert_eq!(len(items.nth(2)), Some(5));
    assert_eq!(
        (items.front(), items.next(), items.nth(1)),
        (None, None, None)
    );
    items.set_front(front);
    assert_eq!(items.clone().count(), 3);
    items.set_front(None);
    assert_eq!((items.front(), items.nth_back(0)), (None, None));
    assert_eq!(pack.iter().nth(10), None);
    assert_eq!(pack.iter().nth_back(10), None);
}
