//! SORT: the elements of a list, set or sorted set in order, by their own value or by that of keys
//! whose names they are part of; replied, or stored as a list.
//!
//! The elements are copied into one run of bytes first, for looking keys up may change the keyspace:
//! a key that is found expired is deleted. Each element has its weight, a number or a text, looked up
//! once; then they are sorted, only as far as LIMIT asks for, and only then what GET names is looked up.

use super::args::{self, integer, is};
use super::items::reply_item;
use super::list;
use crate::base::num::parse_f64;
use crate::keyspace::db::Db;
use crate::keyspace::effects::Class;
use crate::keyspace::list::{End, List};
use crate::keyspace::set::Item;
use crate::keyspace::value::{StringRef, Type};
use crate::keyspace::zset::Zset;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::{DataCx, Place};
use std::ops::Range;

const G: Group = Group::Generic;
const CATEGORIES: Categories = CAT_SET | CAT_SORTEDSET | CAT_LIST | CAT_DANGEROUS;
const SORTED: KeySpec = FIRST.flags(RO | ACCESS);
const PATTERNS: KeySpec = KeySpec::unknown(None).flags(RO | ACCESS).notes(
    "For the optional BY/GET keyword. It is marked 'unknown' because the \
            key names derive from the content of the key we sort",
);
const STORED: KeySpec = KeySpec::unknown(Some("STORE")).flags(OW | UPDATE).notes(
    "For the optional STORE keyword. It is marked 'unknown' because \
            the keyword can appear anywhere in the argument array",
);

/// The family's table, as far as it sorts.
pub static COMMANDS: &[Command] = &[
    cmd("sort", -2, Data(sort))
        .group(G)
        .categories(CATEGORIES)
        .flags(WRITE | DENYOOM)
        .keys(&[SORTED, PATTERNS, STORED])
        .doc(
            "Returns or stores the elements of a list, set or sorted set in order.",
            "O(N+M*log(M)) in the elements and those returned; O(N) if they need not be sorted",
        )
        .usage(
            "key [BY by-pattern:pattern] [LIMIT offset count] [GET get-pattern:pattern [GET get-pattern:pattern ...]] \
             [ASC|DESC] [ALPHA] [STORE destination]",
        ),
    cmd("sort_ro", -2, Data(sort_ro))
        .group(G)
        .categories(CATEGORIES)
        .since("7.0.0")
        .flags(READONLY)
        .keys(&[SORTED, PATTERNS])
        .doc(
            "Returns the elements of a list, set or sorted set in order.",
            "O(N+M*log(M)) in the elements and those returned; O(N) if they need not be sorted",
        )
        .usage(
            "key [BY by-pattern:pattern] [LIMIT offset count] [GET get-pattern:pattern [GET get-pattern:pattern ...]] \
             [ASC|DESC] [ALPHA]",
        ),
];

fn sort(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let options = Options::parse(argv, true)?;
    run(cx, argv, options)
}

fn sort_ro(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let options = Options::parse(argv, false)?;
    run(cx, argv, options)
}

fn run(cx: &mut DataCx<'_>, argv: Argv<'_>, mut options: Options<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let place = cx.find_read(key);
    let kind = match place {
        Some(place) => cx.entry(place).kind(),
        None => Type::List,
    };
    if matches!(kind, Type::String | Type::Hash | Type::Stream) {
        return Err(error::WRONG_TYPE);
    }
    if options.unsorted && kind == Type::Set && (options.store.is_some() || cx.in_script) {
        // What is stored must not depend on the order within the set.
        (options.unsorted, options.alpha, options.by) = (false, true, None);
    }
    let mut elements = Elements::default();
    let mut window = 0..0;
    if let Some(place) = place {
        if kind == Type::Zset {
            // Redis sorts from a tree, and leaves the set as one.
            cx.edit(key, place, |zset: &mut Zset, _| zset.expand())?;
        }
        window = elements.load(cx.db(), place, &options);
    }
    if !options.unsorted {
        elements.weigh(cx, &options)?;
        elements.sort(&options, &window);
    }
    match options.store {
        Some(index) => store(cx, argv, index, &elements, window, &options),
        None => reply(cx, &elements, window, &options),
    }
    Ok(())
}

/// What is asked for.
struct Options<'a> {
    by: Option<Pattern<'a>>,
    /// BY names no pattern: the elements are wanted as they come.
    unsorted: bool,
    get: Vec<Pattern<'a>>,
    offset: i64,
    /// Negative: no limit.
    count: i64,
    descending: bool,
    alpha: bool,
    /// The argument that is the key to store under.
    store: Option<usize>,
}

impl<'a> Options<'a> {
    fn parse(argv: Argv<'a>, may_store: bool) -> Result<Options<'a>, ErrorReply> {
        let mut options = Options {
            by: None,
            unsorted: false,
            get: Vec::new(),
            offset: 0,
            count: -1,
            descending: false,
            alpha: false,
            store: None,
        };
        let mut i = 2;
        while let Some(option) = argv.get(i) {
            if is(option, "ASC") {
                options.descending = false;
            } else if is(option, "DESC") {
                options.descending = true;
            } else if is(option, "ALPHA") {
                options.alpha = true;
            } else if is(option, "LIMIT") && argv.len() > i + 2 {
                options.offset = integer(argv.at(i + 1))?;
                options.count = integer(argv.at(i + 2))?;
                i += 2;
            } else {
                let value = args::after(argv, i)?;
                i += 1;
                if is(option, "STORE") && may_store {
                    options.store = Some(i);
                } else if is(option, "BY") {
                    // Once without a pattern, always unsorted.
                    options.unsorted |= !until_nul(value).contains(&b'*');
                    options.by = Some(Pattern::parse(value));
                } else if is(option, "GET") {
                    options.get.push(Pattern::parse(value));
                } else {
                    return Err(error::SYNTAX);
                }
            }
            i += 1;
        }
        Ok(options)
    }

    /// The elements of so many that LIMIT asks for.
    fn window(&self, len: usize) -> Range<usize> {
        let start = usize::try_from(self.offset).unwrap_or(0).min(len);
        let count = usize::try_from(self.count).unwrap_or(len);
        start..start.saturating_add(count).min(len)
    }
}

/// What leads from an element to another value.
enum Pattern<'a> {
    /// To the element itself.
    Element,
    /// Nowhere: there is no place for the element.
    Nowhere,
    /// To a string, or the field of a hash, under a key that has the element in its name.
    Key {
        before: &'a [u8],
        after: &'a [u8],
        field: Option<&'a [u8]>,
    },
}

/// Where a pattern has led.
enum Found<'e> {
    Text(&'e [u8]),
    Place(Place),
}

impl<'a> Pattern<'a> {
    fn parse(pattern: &'a [u8]) -> Pattern<'a> {
        // What is looked for is looked for in front of a NUL, as in C; what is taken is taken whole.
        let text = until_nul(pattern);
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = text.iter().position(|&byte| byte == b'*') else {
            return Pattern::Nowhere;
        };
        let (before, after) = (&pattern[..star], &pattern[star + 1..]);
        let arrow = text[star + 1..].windows(2).position(|two| two == b"->");
        match arrow {
            // An arrow at the end is part of the name.
            Some(arrow) if star + 1 + arrow + 2 < text.len() => Pattern::Key {
                before,
                after: &after[..arrow],
                field: Some(&after[arrow + 2..]),
            },
            _ => Pattern::Key {
                before,
                after,
                field: None,
            },
        }
    }

    /// Follows the pattern from an element; `name` is memory for names.
    fn follow<'e>(
        &self,
        cx: &mut DataCx<'_>,
        element: &'e [u8],
        name: &mut Vec<u8>,
    ) -> Option<Found<'e>> {
        match self {
            Pattern::Element => Some(Found::Text(element)),
            Pattern::Nowhere => None,
            Pattern::Key { before, after, .. } => {
                name.clear();
                for part in [before, element, after] {
                    name.extend_from_slice(part);
                }
                let key = cx.keyspace.key(name);
                cx.find_read(key).map(Found::Place)
            }
        }
    }

    /// Reads what was found; nothing if it is of another type than the pattern says.
    fn read<'d>(&self, db: &'d Db, found: Found<'d>, now_ms: i64) -> Option<Item<'d>> {
        let entry = match found {
            Found::Text(text) => return Some(Item::Bytes(text)),
            Found::Place(place) => db.entry(place),
        };
        match self {
            Pattern::Key {
                field: Some(field), ..
            } => entry.hash()?.at(now_ms).get(field),
            _ => Some(match entry.string()? {
                StringRef::Int(value) => Item::Int(value),
                StringRef::Bytes(bytes) => Item::Bytes(bytes),
            }),
        }
    }
}

/// Texts in one run of bytes.
#[derive(Default)]
struct Texts(Vec<u8>);

/// One of some [`Texts`].
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    len: usize,
}

impl Texts {
    fn keep(&mut self, item: Item<'_>) -> Span {
        let start = self.0.len();
        self.0
            .extend_from_slice(item.bytes(&mut itoa::Buffer::new()));
        Span {
            start,
            len: self.0.len() - start,
        }
    }

    fn at(&self, span: Span) -> &[u8] {
        &self.0[span.start..span.start + span.len]
    }
}

/// What an element is sorted by.
#[derive(Clone, Copy)]
enum Weight {
    /// By a number, then by the element itself; a missing one is 0.
    Number(f64),
    /// By the element itself.
    Element,
    /// By another text; no text comes before every other one.
    Text(Option<Span>),
}

struct Element {
    text: Span,
    weight: Weight,
    /// The place in the order they came in, which decides between equals.
    rank: usize,
}

/// The elements to sort.
#[derive(Default)]
struct Elements {
    texts: Texts,
    weights: Texts,
    all: Vec<Element>,
}

impl Elements {
    /// Copies the elements from where they are. Says which of those copied LIMIT asks for: if they
    /// are not to be sorted, only those are copied where that is possible.
    fn load(&mut self, db: &Db, place: Place, options: &Options<'_>) -> Range<usize> {
        let entry = db.entry(place);
        if let Some(set) = entry.set() {
            set.for_each(|item| self.push(item));
            return options.window(self.all.len());
        }
        let (list, zset) = (entry.list(), entry.zset());
        let len = match (list, zset) {
            (Some(list), _) => list.len(),
            (_, Some(zset)) => zset.len(),
            _ => unreachable!("the type was checked"),
        };
        let window = options.window(len);
        let descending = options.unsorted && options.descending;
        let span = match options.unsorted {
            true if descending => len - window.end..len - window.start,
            true => window.clone(),
            false => 0..len,
        };
        if let Some(list) = list {
            list.visit(span, |item| self.push(item));
        } else if let Some(zset) = zset {
            zset.walk(span, false, |item, _| self.push(item));
        }
        if descending {
            self.all.reverse();
        }
        if options.unsorted {
            0..window.len()
        } else {
            window
        }
    }

    fn push(&mut self, item: Item<'_>) {
        let text = self.texts.keep(item);
        self.all.push(Element {
            text,
            weight: Weight::Element,
            rank: self.all.len(),
        });
    }

    /// Finds out the weights; fails if one should be a number and is none.
    fn weigh(&mut self, cx: &mut DataCx<'_>, options: &Options<'_>) -> Result<(), ErrorReply> {
        let mut name = Vec::new();
        let mut all_numbers = true;
        for element in &mut self.all {
            let text = self.texts.at(element.text);
            let item = match &options.by {
                None => Some(Item::Bytes(text)),
                Some(by) => {
                    let found = by.follow(cx, text, &mut name);
                    let db = cx.keyspace.db(cx.db_index);
                    found.and_then(|found| by.read(db, found, cx.now_ms))
                }
            };
            element.weight = match item {
                _ if options.alpha && options.by.is_none() => Weight::Element,
                _ if options.alpha => Weight::Text(item.map(|item| self.weights.keep(item))),
                Some(item) => {
                    let number = number(item);
                    all_numbers &= number.is_some();
                    Weight::Number(number.unwrap_or(0.0))
                }
                None => Weight::Number(0.0),
            };
        }
        if all_numbers {
            Ok(())
        } else {
            Err("ERR One or more scores can't be converted into double".into())
        }
    }

    /// Sorts at least what is in the window.
    fn sort(&mut self, options: &Options<'_>, window: &Range<usize>) {
        let (texts, weights) = (&self.texts, &self.weights);
        let by_text = |a: &Element, b: &Element| texts.at(a.text).cmp(texts.at(b.text));
        let weight = |span| weights.at(span);
        let compare = |a: &Element, b: &Element| {
            let order = match (a.weight, b.weight) {
                (Weight::Number(x), Weight::Number(y)) => x
                    .partial_cmp(&y)
                    .expect("a weight is a number")
                    .then_with(|| by_text(a, b)),
                (Weight::Element, Weight::Element) => by_text(a, b),
                (Weight::Text(x), Weight::Text(y)) => x.map(weight).cmp(&y.map(weight)),
                _ => unreachable!("all are weighed in the same way"),
            };
            let order = if options.descending {
                order.reverse()
            } else {
                order
            };
            order.then(a.rank.cmp(&b.rank))
        };
        let mut all = &mut self.all[..];
        // What lies behind the window and before it is only divided from it.
        if window.end < all.len() {
            all.select_nth_unstable_by(window.end, compare);
            all = &mut all[..window.end];
        }
        if window.start > 0 && window.start < all.len() {
            all.select_nth_unstable_by(window.start, compare);
            all = &mut all[window.start..];
        }
        all.sort_unstable_by(compare);
    }

    /// The elements in the window.
    fn in_window(&self, window: Range<usize>) -> impl Iterator<Item = &[u8]> {
        self.all[window]
            .iter()
            .map(|element| self.texts.at(element.text))
    }
}

/// The number that a weight spells. Space before it does not matter, and an empty one is 0, as C's
/// `strtod` has it.
fn number(item: Item<'_>) -> Option<f64> {
    let text = match item {
        Item::Int(value) => return Some(value as f64),
        Item::Bytes(bytes) => until_nul(bytes),
    };
    if text.is_empty() {
        return Some(0.0);
    }
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'\x0b';
    let start = text.iter().position(|byte| !is_space(byte))?;
    parse_f64(&text[start..])
}

/// What of a text C's string functions see.
fn until_nul(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

fn reply(cx: &mut DataCx<'_>, elements: &Elements, window: Range<usize>, options: &Options<'_>) {
    let mut name = Vec::new();
    cx.reply.array(window.len() * options.get.len().max(1));
    for element in elements.in_window(window) {
        if options.get.is_empty() {
            cx.reply.bulk(element);
        }
        for pattern in &options.get {
            let found = pattern.follow(cx, element, &mut name);
            let db = cx.keyspace.db(cx.db_index);
            match found.and_then(|found| pattern.read(db, found, cx.now_ms)) {
                Some(item) => reply_item(cx.reply, item),
                None => cx.reply.null(),
            }
        }
    }
}

/// Stores the result as a list, in which what GET does not find is empty; no elements delete the key.
fn store(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    index: usize,
    elements: &Elements,
    window: Range<usize>,
    options: &Options<'_>,
) {
    let len = window.len() * options.get.len().max(1);
    let list_options = list::options(cx.config);
    let mut list = List::for_many(list_options);
    let mut name = Vec::new();
    for element in elements.in_window(window) {
        if options.get.is_empty() {
            list.push(End::Right, element);
        }
        for pattern in &options.get {
            let found = pattern.follow(cx, element, &mut name);
            let db = cx.keyspace.db(cx.db_index);
            let item = found.and_then(|found| pattern.read(db, found, cx.now_ms));
            let item = item.unwrap_or(Item::Bytes(b""));
            list.push(End::Right, item.bytes(&mut itoa::Buffer::new()));
        }
    }
    list.settle(list_options);
    let key = cx.key(argv, index);
    let place = cx.find_write(key);
    if len > 0 {
        cx.store_collection(key, place, list);
        cx.effects.dirty += len as u64;
        cx.effects
            .event(Class::List, "sortstore", cx.db_index, key.bytes);
    } else if let Some(place) = place {
        cx.delete(key, place, cx.config.lazyfree_lazy_server_del);
        cx.effects
            .changed(Class::Generic, "del", cx.db_index, key.bytes);
    }
    cx.reply.int(len as i64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::testing::Session;

    #[test]
    fn weights_are_read_as_in_c() {
        let check = |text: &[u8], expected: Option<f64>| {
            assert_eq!(number(Item::Bytes(text)), expected, "{text:?}")
        };
        check(b"3", Some(3.0));
        check(b" \t\x0b3", Some(3.0));
        check(b"3 ", None);
        check(b"", Some(0.0));
        check(b" ", None);
        check(b"\0x", Some(0.0));
        check(b"3\0x", Some(3.0));
        check(b"1e999", None);
        check(b"nan", None);
        check(b"-inf", Some(f64::NEG_INFINITY));
        check(b"0x10", Some(16.0));
        check(b"x", None);
    }

    #[test]
    fn patterns_have_a_place_for_the_element() {
        let check = |pattern: &[u8], expected: &[&[u8]]| {
            let parts: Vec<&[u8]> = match Pattern::parse(pattern) {
                Pattern::Element => vec![b"#"],
                Pattern::Nowhere => vec![],
                Pattern::Key {
                    before,
                    after,
                    field,
                } => [before, after].into_iter().chain(field).collect(),
            };
            assert_eq!(parts, expected, "{pattern:?}");
        };
        check(b"#", &[b"#"]);
        check(b"#*", &[b"#", b""]);
        check(b"", &[]);
        check(b"none", &[]);
        check(b"a*b", &[b"a", b"b"]);
        check(b"a*b*c", &[b"a", b"b*c"]);
        check(b"a*b->f", &[b"a", b"b", b"f"]);
        check(b"a->b*c", &[b"a->b", b"c"]);
        check(b"a*->", &[b"a", b"->"]);
        check(b"a*->f->g", &[b"a", b"", b"f->g"]);
        check(b"a\0*", &[]);
        check(b"a*\0->f", &[b"a", b"\0->f"]);
    }

    #[test]
    fn a_limit_is_cut_to_what_is_there() {
        let check = |offset, count, len, expected: Range<usize>| {
            let argv = crate::resp::request::OwnedArgv::from_slices(&[b"sort", b"key"]);
            let mut options = Options::parse(argv.as_argv(), true).expect("no options");
            (options.offset, options.count) = (offset, count);
            let window = options.window(len);
            assert_eq!(window, expected, "LIMIT {offset} {count} of {len}");
        };
        check(0, -1, 5, 0..5);
        check(2, 2, 5, 2..4);
        check(2, 9, 5, 2..5);
        check(7, 1, 5, 5..5);
        check(-3, 2, 5, 0..2);
        check(0, 0, 5, 0..0);
        check(i64::MAX, i64::MAX, 5, 5..5);
        check(i64::MIN, i64::MIN, 5, 0..5);
        check(0, -1, 0, 0..0);
    }

    #[test]
    fn sorts_by_itself_or_by_others() {
        let mut s = Session::new();
        s.run("RPUSH l 10 9 1");
        s.check_reply("SORT l", "*3 $1 1 $1 9 $2 10");
        s.check_reply("SORT l DESC", "*3 $2 10 $1 9 $1 1");
        s.check_reply("SORT_RO l ALPHA", "*3 $1 1 $2 10 $1 9");
        s.check_reply("SORT l LIMIT 1 1", "*1 $1 9");
        s.check_reply("SORT l BY nosort", "*3 $2 10 $1 9 $1 1");
        s.check_reply("SORT l BY nosort DESC LIMIT 0 2", "*2 $1 1 $1 9");
        s.run("MSET w1 3 w9 2 w10 x");
        s.check_reply(
            "SORT l BY w*",
            "-ERR One or more scores can't be converted into double",
        );
        s.check_reply("SORT l BY w* ALPHA", "*3 $1 9 $1 1 $2 10");
        // Without a weight: 0, or before all texts.
        s.run("DEL w10");
        s.check_reply("SORT l BY w*", "*3 $2 10 $1 9 $1 1");
        s.check_reply("SORT l BY w* ALPHA", "*3 $2 10 $1 9 $1 1");
        s.run("HSET h9 f nine");
        s.check_reply(
            "SORT l GET # GET h*->f LIMIT 1 2",
            "*4 $1 9 $4 nine $2 10 $-1",
        );
        s.check_reply("SORT l GET w*->f", "*3 $-1 $-1 $-1");
        s.run("ZADD z 2 a 1 b 3 c");
        s.check_reply("SORT z BY nosort LIMIT 0 2", "*2 $1 b $1 a");
        s.check_reply("SORT z BY nosort DESC", "*3 $1 c $1 a $1 b");
        s.check_reply("SORT none GET x", "*0");
        s.check_reply("SORT h9", &format!("-{}", error::WRONG_TYPE));
        s.check_reply("SORT_RO l STORE d", "-ERR syntax error");
        s.check_reply("SORT l LIMIT 1", "-ERR syntax error");
    }

    #[test]
    fn stores_a_list() {
        let mut s = Session::new();
        s.run("SADD s 3 1 2");
        s.check("SORT s STORE d", ":3", 3, "new sortstore", "as received");
        s.check_reply("LRANGE d 0 -1", "*3 $1 1 $1 2 $1 3");
        s.check_reply("OBJECT ENCODING d", "$8 listpack");
        s.check(
            "SORT s STORE s GET # GET x*",
            ":6",
            6,
            "sortstore",
            "as received",
        );
        s.check_reply("LRANGE s 0 3", "*4 $1 1 $0  $1 2 $0");
        // The order within a set must not be seen.
        s.run("SADD t b c a");
        s.run("SORT t BY nosort STORE d");
        s.check_reply("LRANGE d 0 -1", "*3 $1 a $1 b $1 c");
        s.check("SORT none STORE d", ":0", 1, "del", "as received");
        s.check("SORT none STORE d", ":0", 0, "", "");
        s.check(
            "SORT t STORE d",
            "-ERR One or more scores can't be converted into double",
            0,
            "",
            "",
        );
    }

    #[test]
    fn a_list_beyond_a_listpack_is_stored() {
        let mut s = Session::new();
        let members: Vec<String> = (0..3000).map(|n| n.to_string()).collect();
        s.run(&format!("SADD s {}", members.join(" ")));
        s.check(
            "SORT s STORE d",
            ":3000",
            3000,
            "new sortstore",
            "as received",
        );
        s.check_reply("OBJECT ENCODING d", "$9 quicklist");
        s.check_reply("SORT d LIMIT 2000 2", "*2 $4 2000 $4 2001");
        s.check_reply("SORT d DESC LIMIT 2998 5", "*2 $1 1 $1 0");
    }
}
