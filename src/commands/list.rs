//! Lists: sequences of strings that grow and shrink at both ends.

mod blocking;
mod moving;
mod position;
#[cfg(test)]
mod tests;

use super::args::{integer, integer_between, integer_in, is};
use super::items::reply_item;
use crate::data::quicklist::{Fill, Options};
use crate::keyspace::db::Key;
use crate::keyspace::effects::Class;
use crate::keyspace::list::{End, List, ListRef};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::config::Config;
use crate::server::cx::{DataCx, Place};

const G: Group = Group::List;
const POPPED: KeyFlags = RW | ACCESS | DELETE;
const TIMEOUT_HISTORY: &[(&str, &str)] = &[(
    "6.0.0",
    "`timeout` is interpreted as a double instead of an integer.",
)];
const COUNT_HISTORY: &[(&str, &str)] = &[("6.2.0", "Added the `count` argument.")];

/// The keys that a number before them counts, that number being the argument `index`.
const fn counted(index: i32) -> KeySpec {
    KeySpec {
        begin: Begin::Index(index),
        find: Find::KeyNum {
            index: 0,
            first: 1,
            step: 1,
        },
        flags: POPPED,
        notes: None,
    }
}

/// All arguments but the last, which is a timeout.
const ALL_BUT_LAST: KeySpec = KeySpec {
    begin: Begin::Index(1),
    find: Find::Range {
        last: -2,
        step: 1,
        limit: 0,
    },
    flags: POPPED,
    notes: None,
};

/// The family's table.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("blmove", 6, Data(blocking::blmove))
        .group(G)
        .since("6.2.0")
        .flags(WRITE | DENYOOM | BLOCKING)
        .keys(&[FIRST.flags(POPPED), KeySpec::at(2).flags(RW | INSERT)])
        .doc("Moves an element from one end of a list to one of another, and waits for one if there is none.", "O(1)")
        .usage("source destination LEFT|RIGHT LEFT|RIGHT timeout:double"),
    cmd("blmpop", -5, Data(blocking::blmpop))
        .group(G)
        .since("7.0.0")
        .flags(WRITE | BLOCKING)
        .keys(&[counted(2)])
        .doc("Takes elements from the first of several lists that has some, and waits for some if none has.", "O(N+M) in the number of keys and of elements taken")
        .usage("timeout:double numkeys key [key ...] LEFT|RIGHT [COUNT count]"),
    cmd("blpop", -3, Data(blocking::blpop))
        .group(G)
        .since("2.0.0")
        .flags(WRITE | BLOCKING)
        .keys(&[ALL_BUT_LAST])
        .doc("Takes the first element of the first of several lists that has one, and waits for one if none has.", "O(N) in the number of keys")
        .usage("key [key ...] timeout:double")
        .history(TIMEOUT_HISTORY),
    cmd("brpop", -3, Data(blocking::brpop))
        .group(G)
        .since("2.0.0")
        .flags(WRITE | BLOCKING)
        .keys(&[ALL_BUT_LAST])
        .doc("Takes the last element of the first of several lists that has one, and waits for one if none has.", "O(N) in the number of keys")
        .usage("key [key ...] timeout:double")
        .history(TIMEOUT_HISTORY),
    cmd("brpoplpush", 4, Data(blocking::brpoplpush))
        .group(G)
        .since("2.2.0")
        .flags(WRITE | DENYOOM | BLOCKING)
        .keys(&[FIRST.flags(POPPED), KeySpec::at(2).flags(RW | INSERT)])
        .doc("Moves the last element of a list to the front of another, and waits for one if there is none.", "O(1)")
        .usage("source destination timeout:double")
        .history(TIMEOUT_HISTORY)
        .deprecated("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
    cmd("lindex", 3, Data(lindex))
        .group(G)
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns an element by its index, from either end.", "O(N) in the distance from the nearer end")
        .usage("key index"),
    cmd("linsert", 5, Data(linsert))
        .group(G)
        .since("2.2.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(RW | INSERT)])
        .doc("Inserts an element before or after another one.", "O(N) in the number of elements before that one")
        .usage("key BEFORE|AFTER pivot element"),
    cmd("llen", 2, Data(llen))
        .group(G)
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO)])
        .doc("Returns the number of elements.", "O(1)")
        .usage("key"),
    cmd("lmove", 5, Data(moving::lmove))
        .group(G)
        .since("6.2.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(POPPED), KeySpec::at(2).flags(RW | INSERT)])
        .doc("Moves an element from one end of a list to one of another.", "O(1)")
        .usage("source destination LEFT|RIGHT LEFT|RIGHT"),
    cmd("lmpop", -4, Data(lmpop))
        .group(G)
        .since("7.0.0")
        .flags(WRITE)
        .keys(&[counted(1)])
        .doc("Takes elements from the first of several lists that has some.", "O(N+M) in the number of keys and of elements taken")
        .usage("numkeys key [key ...] LEFT|RIGHT [COUNT count]"),
    cmd("lpop", -2, Data(lpop))
        .group(G)
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(POPPED)])
        .doc("Takes the first elements.", "O(N) in the number of elements taken")
        .usage("key [count]")
        .history(COUNT_HISTORY),
    cmd("lpos", -3, Data(position::lpos))
        .group(G)
        .since("6.0.6")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns where an element is found.", "O(N) in the number of elements that are looked at")
        .usage("key element [RANK rank] [COUNT num-matches] [MAXLEN len]"),
    cmd("lpush", -3, Data(lpush))
        .group(G)
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | INSERT)])
        .doc("Puts elements in front, one after the other, and creates the list if need be.", "O(N) in the number of elements put")
        .usage("key element [element ...]")
        .history(&[("2.4.0", "Accepts multiple `element` arguments.")]),
    cmd("lpushx", -3, Data(lpushx))
        .group(G)
        .since("2.2.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | INSERT)])
        .doc("Puts elements in front if the list exists.", "O(N) in the number of elements put")
        .usage("key element [element ...]")
        .history(&[("4.0.0", "Accepts multiple `element` arguments.")]),
    cmd("lrange", 4, Data(lrange))
        .group(G)
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns the elements from one index to another.", "O(S+N) in the distance of the first from the nearer end and the number returned")
        .usage("key start stop"),
    cmd("lrem", 4, Data(lrem))
        .group(G)
        .flags(WRITE)
        .keys(&[FIRST.flags(RW | DELETE)])
        .doc("Removes elements that are equal to one.", "O(N+M) in the length of the list and the number removed")
        .usage("key count element"),
    cmd("lset", 4, Data(lset))
        .group(G)
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Replaces the element at an index.", "O(N) in the distance from the nearer end")
        .usage("key index element"),
    cmd("ltrim", 4, Data(ltrim))
        .group(G)
        .flags(WRITE)
        .keys(&[FIRST.flags(RW | DELETE)])
        .doc("Removes the elements outside of a range of indexes.", "O(N) in the number removed")
        .usage("key start stop"),
    cmd("rpop", -2, Data(rpop))
        .group(G)
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(POPPED)])
        .doc("Takes the last elements.", "O(N) in the number of elements taken")
        .usage("key [count]")
        .history(COUNT_HISTORY),
    cmd("rpoplpush", 3, Data(moving::rpoplpush))
        .group(G)
        .since("1.2.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(POPPED), KeySpec::at(2).flags(RW | INSERT)])
        .doc("Moves the last element of a list to the front of another.", "O(1)")
        .usage("source destination")
        .deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
    cmd("rpush", -3, Data(rpush))
        .group(G)
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | INSERT)])
        .doc("Puts elements at the end, and creates the list if need be.", "O(N) in the number of elements put")
        .usage("key element [element ...]")
        .history(&[("2.4.0", "Accepts multiple `element` arguments.")]),
    cmd("rpushx", -3, Data(rpushx))
        .group(G)
        .since("2.2.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | INSERT)])
        .doc("Puts elements at the end if the list exists.", "O(N) in the number of elements put")
        .usage("key element [element ...]")
        .history(&[("4.0.0", "Accepts multiple `element` arguments.")]),
];

/// How a list arranges its elements, by the configuration.
pub(super) fn options(config: &Config) -> Options {
    Options {
        fill: Fill::new(config.list_max_listpack_size.into()),
        compress_depth: config.list_compress_depth as usize,
        packed_threshold: config.list_packed_threshold,
    }
}

/// The list at a place, or the error that it is none.
fn list_at<'a>(cx: &'a DataCx<'_>, place: Place) -> Result<ListRef<'a>, ErrorReply> {
    cx.entry(place).list().ok_or(error::WRONG_TYPE)
}

/// The end that an argument names.
fn end(arg: &[u8]) -> Result<End, ErrorReply> {
    match () {
        _ if is(arg, "LEFT") => Ok(End::Left),
        _ if is(arg, "RIGHT") => Ok(End::Right),
        _ => Err(error::SYNTAX),
    }
}

/// The name of the event that elements were put at an end.
fn push_event(end: End) -> &'static str {
    match end {
        End::Left => "lpush",
        End::Right => "rpush",
    }
}

/// The name of the event that elements were taken from an end.
fn pop_event(end: End) -> &'static str {
    match end {
        End::Left => "lpop",
        End::Right => "rpop",
    }
}

fn lpush(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    push(cx, argv, End::Left, false)
}

fn rpush(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    push(cx, argv, End::Right, false)
}

fn lpushx(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    push(cx, argv, End::Left, true)
}

fn rpushx(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    push(cx, argv, End::Right, true)
}

fn push(cx: &mut DataCx<'_>, argv: Argv<'_>, end: End, only_if_present: bool) -> Outcome {
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    if place.is_none() && only_if_present {
        cx.reply.int(0);
        return Ok(());
    }
    let options = options(cx.config);
    let elements = argv.tail(2);
    let len = cx.edit_or_create(key, place, |list: &mut List, _| {
        let bytes = elements.iter().map(<[u8]>::len).sum();
        list.make_room(options, bytes, elements.len());
        for element in elements.iter() {
            list.push(end, element);
        }
        list.as_ref().len()
    })?;
    cx.effects
        .changed(Class::List, push_event(end), cx.db_index, key.bytes);
    cx.effects.dirty += elements.len() as u64 - 1;
    cx.reply.int(len as i64);
    Ok(())
}

fn lpop(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    pop(cx, argv, End::Left)
}

fn rpop(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    pop(cx, argv, End::Right)
}

fn pop(cx: &mut DataCx<'_>, argv: Argv<'_>, end: End) -> Outcome {
    if argv.len() > 3 {
        return Err(error::wrong_arity(match end {
            End::Left => "lpop",
            End::Right => "rpop",
        }));
    }
    let count = match argv.get(2) {
        Some(arg) => Some(integer_in(arg, 0..=i64::MAX, error::MUST_BE_POSITIVE)? as usize),
        None => None,
    };
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_write(key) else {
        match count {
            Some(_) => cx.reply.null_array(),
            None => cx.reply.null(),
        }
        return Ok(());
    };
    let len = list_at(cx, place)?.len();
    match count {
        Some(0) => {
            cx.reply.array(0);
            return Ok(());
        }
        Some(count) => cx.reply.array(count.min(len)),
        None => {}
    }
    take(cx, key, place, end, count.unwrap_or(1))
}

/// Takes so many elements from an end, or all if there are fewer, and writes them to the reply.
fn take(cx: &mut DataCx<'_>, key: Key<'_>, place: Place, end: End, count: usize) -> Outcome {
    let options = options(cx.config);
    let (taken, emptied) = cx.edit(key, place, |list: &mut List, aside| {
        let count = count.min(list.as_ref().len());
        list.pop(end, count, |item| reply_item(aside.reply, item));
        list.shrink(options);
        count
    })?;
    removed(cx, key, pop_event(end), taken, emptied);
    Ok(())
}

/// Says that elements were removed.
fn removed(cx: &mut DataCx<'_>, key: Key<'_>, event: &'static str, count: usize, emptied: bool) {
    cx.effects
        .changed(Class::List, event, cx.db_index, key.bytes);
    cx.effects.dirty += count as u64 - 1;
    if emptied {
        cx.effects.emptied(cx.db_index, key.bytes);
    }
}

/// What LMPOP and BLMPOP are asked for.
struct MultiPop<'a> {
    /// The argument that is the first key.
    first: usize,
    keys: Argv<'a>,
    end: End,
    count: usize,
}

impl<'a> MultiPop<'a> {
    /// Reads `numkeys key [key ...] LEFT|RIGHT [COUNT count]` from an argument on.
    fn parse(argv: Argv<'a>, at: usize) -> Result<MultiPop<'a>, ErrorReply> {
        let out_of_range = "ERR numkeys should be greater than 0";
        let numkeys = integer_in(argv.at(at), 1..=i64::MAX, out_of_range.into())?;
        let first = at + 1;
        let where_at = usize::try_from(numkeys)
            .ok()
            .and_then(|n| n.checked_add(first))
            .filter(|&at| at < argv.len())
            .ok_or(error::SYNTAX)?;
        let end = end(argv.at(where_at))?;
        let mut count = None;
        let mut i = where_at + 1;
        while let Some(option) = argv.get(i) {
            if !is(option, "COUNT") || count.is_some() {
                return Err(error::SYNTAX);
            }
            let value = super::args::after(argv, i)?;
            let out_of_range = "ERR count should be greater than 0";
            count = Some(integer_in(value, 1..=i64::MAX, out_of_range.into())? as usize);
            i += 2;
        }
        Ok(MultiPop {
            first,
            keys: argv.slice(first, where_at),
            end,
            count: count.unwrap_or(1),
        })
    }

    /// Takes from the first key that has something; says whether there was one.
    fn take(&self, cx: &mut DataCx<'_>, argv: Argv<'_>) -> Result<bool, ErrorReply> {
        for index in self.first..self.first + self.keys.len() {
            let key = cx.key(argv, index);
            let Some(place) = cx.find_write(key) else {
                continue;
            };
            let len = list_at(cx, place)?.len();
            cx.reply.array(2);
            cx.reply.bulk(key.bytes);
            cx.reply.array(self.count.min(len));
            take(cx, key, place, self.end, self.count)?;
            let name: &[u8] = match self.end {
                End::Left => b"LPOP",
                End::Right => b"RPOP",
            };
            let mut digits = itoa::Buffer::new();
            let count = digits.format(self.count.min(len)).as_bytes();
            cx.effects.rewrite(&[name, key.bytes, count]);
            return Ok(true);
        }
        Ok(false)
    }
}

fn lmpop(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    if !MultiPop::parse(argv, 1)?.take(cx, argv)? {
        cx.reply.null_array();
    }
    Ok(())
}

fn llen(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let len = match cx.find_read(cx.key(argv, 1)) {
        Some(place) => list_at(cx, place)?.len(),
        None => 0,
    };
    cx.reply.int(len as i64);
    Ok(())
}

fn lindex(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let Some(place) = cx.find_read(cx.key(argv, 1)) else {
        cx.reply.null();
        return Ok(());
    };
    let entry = cx.keyspace.db(cx.db_index).entry(place);
    let list = entry.list().ok_or(error::WRONG_TYPE)?;
    let found = list.get(integer(argv.at(2))?, |item| reply_item(cx.reply, item));
    if found.is_none() {
        cx.reply.null();
    }
    Ok(())
}

fn lset(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let place = cx.find_write(key).ok_or(error::NO_SUCH_KEY)?;
    list_at(cx, place)?;
    let index = integer(argv.at(2))?;
    let element = argv.at(3);
    let options = options(cx.config);
    let (found, _) = cx.edit(key, place, |list: &mut List, _| {
        list.make_room(options, element.len(), 1);
        let found = list.set(index, element);
        if found {
            list.shrink(options);
        }
        found
    })?;
    if !found {
        return Err(error::INDEX_OUT_OF_RANGE);
    }
    cx.effects
        .changed(Class::List, "lset", cx.db_index, key.bytes);
    cx.reply.ok();
    Ok(())
}

fn linsert(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let before = match argv.at(2) {
        word if is(word, "BEFORE") => true,
        word if is(word, "AFTER") => false,
        _ => return Err(error::SYNTAX),
    };
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_write(key) else {
        cx.reply.int(0);
        return Ok(());
    };
    let (pivot, element) = (argv.at(3), argv.at(4));
    let options = options(cx.config);
    let (len, _) = cx.edit(key, place, |list: &mut List, _| {
        list.make_room(options, element.len(), 1);
        let found = list.insert(pivot, before, element);
        found.then(|| list.as_ref().len())
    })?;
    match len {
        Some(len) => {
            cx.effects
                .changed(Class::List, "linsert", cx.db_index, key.bytes);
            cx.reply.int(len as i64);
        }
        None => cx.reply.int(-1),
    }
    Ok(())
}

fn lrange(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (start, stop) = (integer(argv.at(2))?, integer(argv.at(3))?);
    let Some(place) = cx.find_read(cx.key(argv, 1)) else {
        cx.reply.array(0);
        return Ok(());
    };
    let entry = cx.keyspace.db(cx.db_index).entry(place);
    let list = entry.list().ok_or(error::WRONG_TYPE)?;
    let range = range(start, stop, list.len());
    cx.reply.array(range.len());
    list.visit(range, |item| reply_item(cx.reply, item));
    Ok(())
}

/// The indexes from `start` to `stop`, both counted from the end if negative.
fn range(start: i64, stop: i64, len: usize) -> std::ops::Range<usize> {
    let len = len as i64;
    let from_either_end = |at: i64| if at < 0 { len.saturating_add(at) } else { at };
    let start = from_either_end(start).max(0);
    let stop = from_either_end(stop).min(len - 1);
    if start > stop {
        return 0..0;
    }
    start as usize..stop as usize + 1
}

fn ltrim(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (start, stop) = (integer(argv.at(2))?, integer(argv.at(3))?);
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_write(key) else {
        cx.reply.ok();
        return Ok(());
    };
    let len = list_at(cx, place)?.len();
    let kept = range(start, stop, len);
    let gone = len - kept.len();
    let emptied = kept.is_empty();
    if emptied {
        cx.delete(key, place, cx.config.lazyfree_lazy_server_del);
    } else {
        let options = options(cx.config);
        cx.edit(key, place, |list: &mut List, _| {
            list.trim(kept);
            list.shrink(options);
        })?;
    }
    cx.effects
        .changed(Class::List, "ltrim", cx.db_index, key.bytes);
    cx.effects.dirty += (gone as u64).saturating_sub(1);
    if emptied {
        cx.effects.emptied(cx.db_index, key.bytes);
    }
    cx.reply.ok();
    Ok(())
}

fn lrem(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let count = integer_between(argv.at(2), -i64::MAX, i64::MAX)?;
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_write(key) else {
        cx.reply.int(0);
        return Ok(());
    };
    let element = argv.at(3);
    let options = options(cx.config);
    let (gone, emptied) = cx.edit(key, place, |list: &mut List, _| {
        let gone = list.remove(count, element);
        if gone > 0 {
            list.shrink(options);
        }
        gone
    })?;
    if gone > 0 {
        removed(cx, key, "lrem", gone, emptied);
    }
    cx.reply.int(gone as i64);
    Ok(())
}
