//! Sets: members without order, each once.

use super::args::{integer_in, is};
use super::draws::Draws;
use super::items::reply_item;
use super::scan_options::{self, ScanOptions, Scanned};
use crate::keyspace::db::{Db, Key};
use crate::keyspace::effects::{Class, Effects};
use crate::keyspace::set::{Item, Limits, Set, SetRef};
use crate::keyspace::value::Type;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::config::Config;
use crate::server::cx::{DataCx, Place};

mod algebra;

const G: Group = Group::Set;

/// The family's table.
pub static COMMANDS: &[Command] = &[
    cmd("sadd", -3, Data(sadd))
        .group(G)
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | INSERT)])
        .doc(
            "Adds members to a set, and creates it if need be.",
            "O(1) a member",
        )
        .usage("key member [member ...]")
        .history(&[("2.4.0", "Accepts multiple `member` arguments.")]),
    cmd("scard", 2, Data(scard))
        .group(G)
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO)])
        .doc("Returns the number of members of a set.", "O(1)")
        .usage("key"),
    cmd("sdiff", -2, Data(algebra::sdiff))
        .group(G)
        .flags(READONLY)
        .keys(&[FIRST.to_end(1).flags(RO | ACCESS)])
        .doc(
            "Returns the members of a set that are in none of some others.",
            "O(N) in the members of all sets",
        )
        .usage("key [key ...]")
        .tips(&["nondeterministic_output_order"]),
    cmd("sdiffstore", -3, Data(algebra::sdiffstore))
        .group(G)
        .flags(WRITE | DENYOOM)
        .keys(&[
            FIRST.flags(OW | UPDATE),
            KeySpec::at(2).to_end(1).flags(RO | ACCESS),
        ])
        .doc(
            "Stores the members of a set that are in none of some others.",
            "O(N) in the members of all sets",
        )
        .usage("destination key [key ...]"),
    cmd("sinter", -2, Data(algebra::sinter))
        .group(G)
        .flags(READONLY)
        .keys(&[FIRST.to_end(1).flags(RO | ACCESS)])
        .doc(
            "Returns the members that are in all of some sets.",
            "O(N*M) in the members of the smallest set and the number of sets",
        )
        .usage("key [key ...]")
        .tips(&["nondeterministic_output_order"]),
    cmd("sintercard", -3, Data(algebra::sintercard))
        .group(G)
        .since("7.0.0")
        .flags(READONLY)
        .keys(&[KeySpec {
            begin: Begin::Index(1),
            find: Find::KeyNum {
                index: 0,
                first: 1,
                step: 1,
            },
            flags: RO | ACCESS,
            notes: None,
        }])
        .doc(
            "Returns how many members are in all of some sets.",
            "O(N*M) in the members of the smallest set and the number of sets",
        )
        .usage("numkeys key [key ...] [LIMIT limit]"),
    cmd("sinterstore", -3, Data(algebra::sinterstore))
        .group(G)
        .flags(WRITE | DENYOOM)
        .keys(&[
            FIRST.flags(OW | UPDATE),
            KeySpec::at(2).to_end(1).flags(RO | ACCESS),
        ])
        .doc(
            "Stores the members that are in all of some sets.",
            "O(N*M) in the members of the smallest set and the number of sets",
        )
        .usage("destination key [key ...]"),
    cmd("sismember", 3, Data(sismember))
        .group(G)
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO)])
        .doc("Tells whether a set has a member.", "O(1)")
        .usage("key member"),
    cmd("smembers", 2, Data(smembers))
        .group(G)
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns all members of a set.", "O(N) in the members")
        .usage("key")
        .tips(&["nondeterministic_output_order"]),
    cmd("smismember", -3, Data(smismember))
        .group(G)
        .since("6.2.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Tells which of some members a set has.",
            "O(N) in the members asked for",
        )
        .usage("key member [member ...]"),
    cmd("smove", 4, Data(smove))
        .group(G)
        .flags(WRITE | FAST)
        .keys(&[
            FIRST.flags(RW | ACCESS | DELETE),
            KeySpec::at(2).flags(RW | INSERT),
        ])
        .doc("Moves a member from one set to another.", "O(1)")
        .usage("source destination member"),
    cmd("spop", -2, Data(spop))
        .group(G)
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | DELETE)])
        .doc(
            "Removes and returns members of a set chosen by chance; an empty set goes.",
            "O(1) a member",
        )
        .usage("key [count]")
        .history(&[("3.2.0", "Added the `count` argument.")])
        .tips(&["nondeterministic_output"]),
    cmd("srandmember", -2, Data(srandmember))
        .group(G)
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Returns members of a set chosen by chance.",
            "O(1) a member",
        )
        .usage("key [count]")
        .history(&[("2.6.0", "Added the optional `count` argument.")])
        .tips(&["nondeterministic_output"]),
    cmd("srem", -3, Data(srem))
        .group(G)
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | DELETE)])
        .doc(
            "Removes members from a set; an empty set goes.",
            "O(1) a member",
        )
        .usage("key member [member ...]")
        .history(&[("2.4.0", "Accepts multiple `member` arguments.")]),
    cmd("sscan", -3, Data(sscan))
        .group(G)
        .since("2.8.0")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Returns some members of a set and the cursor by which to ask for the next ones.",
            "O(1) a call, O(N) in the members for all calls",
        )
        .usage("key cursor [MATCH pattern] [COUNT count]")
        .tips(&["nondeterministic_output"]),
    cmd("sunion", -2, Data(algebra::sunion))
        .group(G)
        .flags(READONLY)
        .keys(&[FIRST.to_end(1).flags(RO | ACCESS)])
        .doc(
            "Returns the members that are in any of some sets.",
            "O(N) in the members of all sets",
        )
        .usage("key [key ...]")
        .tips(&["nondeterministic_output_order"]),
    cmd("sunionstore", -3, Data(algebra::sunionstore))
        .group(G)
        .flags(WRITE | DENYOOM)
        .keys(&[
            FIRST.flags(OW | UPDATE),
            KeySpec::at(2).to_end(1).flags(RO | ACCESS),
        ])
        .doc(
            "Stores the members that are in any of some sets.",
            "O(N) in the members of all sets",
        )
        .usage("destination key [key ...]"),
];

/// The configured limits of packed sets.
#[inline]
fn limits(config: &Config) -> Limits {
    /// Intsets do not grow beyond this, whatever the configuration says.
    const INTSET_ENTRIES_MAX: u64 = 1 << 30;
    Limits {
        intset_entries: config.set_max_intset_entries.min(INTSET_ENTRIES_MAX) as usize,
        listpack_entries: config.set_max_listpack_entries as usize,
        listpack_value: config.set_max_listpack_value as usize,
    }
}

/// The set at a place, or the error that it is none.
#[inline]
fn set_at(db: &Db, place: Place) -> Result<SetRef<'_>, ErrorReply> {
    db.entry(place).set().ok_or(error::WRONG_TYPE)
}

fn sadd(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    let limits = limits(cx.config);
    let added = cx.edit_or_create(key, place, |set: &mut Set, _| {
        set.expect(argv.at(2), argv.len() - 2, limits);
        let members = argv.tail(2);
        members
            .iter()
            .filter(|member| set.insert(member, limits))
            .count()
    })?;
    if added > 0 {
        cx.effects.dirty += added as u64;
        cx.effects.event(Class::Set, "sadd", cx.db_index, key.bytes);
    }
    cx.reply.int(added as i64);
    Ok(())
}

fn srem(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_write(key) else {
        cx.reply.int(0);
        return Ok(());
    };
    let (removed, emptied) = cx.edit(key, place, |set: &mut Set, _| {
        let members = argv.tail(2);
        members.iter().filter(|member| set.remove(member)).count()
    })?;
    if removed > 0 {
        cx.effects.dirty += removed as u64;
        cx.effects.event(Class::Set, "srem", cx.db_index, key.bytes);
    }
    if emptied {
        cx.effects.emptied(cx.db_index, key.bytes);
    }
    cx.reply.int(removed as i64);
    Ok(())
}

fn smove(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (source, destination) = (cx.key(argv, 1), cx.key(argv, 2));
    let member = argv.at(3);
    // In this order, so that a source that is found expired spoils nothing: it ends the command.
    let to = cx.find_write(destination);
    let Some(from) = cx.find_write(source) else {
        cx.reply.int(0);
        return Ok(());
    };
    cx.expect_kind(from, Type::Set)?;
    if let Some(to) = to {
        cx.expect_kind(to, Type::Set)?;
    }
    if source.bytes == destination.bytes {
        let is_member = set_at(cx.db(), from)?.contains(member);
        cx.reply.int(is_member.into());
        return Ok(());
    }
    let (moved, emptied) = cx.edit(source, from, |set: &mut Set, _| set.remove(member))?;
    cx.reply.int(moved.into());
    if !moved {
        return Ok(());
    }
    cx.effects
        .changed(Class::Set, "srem", cx.db_index, source.bytes);
    let mut to = to;
    if emptied {
        cx.effects.emptied(cx.db_index, source.bytes);
        // With the source gone, entries may lie elsewhere.
        to = cx.find_unseen(destination);
    }
    let limits = limits(cx.config);
    let added = cx.edit_or_create(destination, to, |set: &mut Set, _| {
        set.insert(member, limits)
    })?;
    if added {
        cx.effects
            .changed(Class::Set, "sadd", cx.db_index, destination.bytes);
    }
    Ok(())
}

fn scard(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let len = match cx.find_read(cx.key(argv, 1)) {
        Some(place) => set_at(cx.db(), place)?.len(),
        None => 0,
    };
    cx.reply.int(len as i64);
    Ok(())
}

fn sismember(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let is_member = match cx.find_read(cx.key(argv, 1)) {
        Some(place) => set_at(cx.db(), place)?.contains(argv.at(2)),
        None => false,
    };
    cx.reply.int(is_member.into());
    Ok(())
}

fn smismember(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let place = cx.find_read(cx.key(argv, 1));
    let set = match place {
        Some(place) => set_at(cx.keyspace.db(cx.db_index), place)?,
        None => SetRef::EMPTY,
    };
    cx.reply.array(argv.len() - 2);
    for member in argv.tail(2).iter() {
        cx.reply.int(set.contains(member).into());
    }
    Ok(())
}

fn smembers(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let place = cx.find_read(cx.key(argv, 1));
    let set = match place {
        Some(place) => set_at(cx.keyspace.db(cx.db_index), place)?,
        None => SetRef::EMPTY,
    };
    reply_set(cx.reply, set);
    Ok(())
}

/// Replies with all members.
fn reply_set(reply: &mut Reply, set: SetRef<'_>) {
    reply.set(set.len());
    set.for_each(|item| reply_item(reply, item));
}

fn spop(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let count = match argv.len() {
        2 => None,
        3 => Some(integer_in(argv.at(2), 0..=i64::MAX, error::MUST_BE_POSITIVE)? as usize),
        _ => return Err(error::SYNTAX),
    };
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_write(key) else {
        match count {
            Some(_) => cx.reply.set(0),
            None => cx.reply.null(),
        }
        return Ok(());
    };
    let len = set_at(cx.db(), place)?.len();
    match count {
        None => pop_one(cx, key, place),
        Some(0) => cx.reply.set(0),
        Some(count) if count >= len => pop_all(cx, key, place),
        Some(count) => pop_some(cx, key, place, count),
    }
    Ok(())
}

fn pop_one(cx: &mut DataCx<'_>, key: Key<'_>, place: Place) {
    let (reply, effects) = (&mut *cx.reply, &mut *cx.effects);
    let change = |set: &mut Set, rng: &mut _| {
        set.pop(rng, |item| {
            let mut digits = itoa::Buffer::new();
            let member = item.bytes(&mut digits);
            reply.bulk(member);
            effects.rewrite(&[b"SREM", key.bytes, member]);
        })
    };
    let (popped, emptied) = cx.keyspace.edit(cx.db_index, key, place, change);
    assert!(popped, "a set under a key has members");
    cx.effects
        .changed(Class::Set, "spop", cx.db_index, key.bytes);
    if emptied {
        cx.effects.emptied(cx.db_index, key.bytes);
    }
}

fn pop_all(cx: &mut DataCx<'_>, key: Key<'_>, place: Place) {
    let set = cx.keyspace.db(cx.db_index).entry(place).set();
    let set = set.expect("the caller has seen a set");
    cx.effects.dirty += set.len() as u64;
    reply_set(cx.reply, set);
    let lazily = cx.config.lazyfree_lazy_server_del;
    cx.delete(key, place, lazily);
    cx.effects.event(Class::Set, "spop", cx.db_index, key.bytes);
    cx.effects.emptied(cx.db_index, key.bytes);
    let command: &[u8] = if lazily { b"UNLINK" } else { b"DEL" };
    cx.effects.rewrite(&[command, key.bytes]);
}

/// Pops fewer members than there are.
fn pop_some(cx: &mut DataCx<'_>, key: Key<'_>, place: Place, count: usize) {
    let limits = limits(cx.config);
    let (reply, effects) = (&mut *cx.reply, &mut *cx.effects);
    let mut removals = Removals::new(key.bytes, effects);
    reply.set(count);
    let change = |set: &mut Set, rng: &mut _| {
        set.pop_some(count, rng, limits, |item| {
            reply_item(reply, item);
            removals.add(item);
        });
    };
    let ((), emptied) = cx.keyspace.edit(cx.db_index, key, place, change);
    debug_assert!(!emptied);
    removals.end();
    cx.effects.dirty += count as u64;
    cx.effects.event(Class::Set, "spop", cx.db_index, key.bytes);
}

/// The removals that many pops are propagated as.
struct Removals<'a> {
    key: &'a [u8],
    effects: &'a mut Effects,
    members: Vec<Box<[u8]>>,
}

impl<'a> Removals<'a> {
    /// Members of one SREM.
    const BATCH: usize = 1024;

    fn new(key: &'a [u8], effects: &'a mut Effects) -> Removals<'a> {
        Removals {
            key,
            effects,
            members: Vec::new(),
        }
    }

    fn add(&mut self, item: Item<'_>) {
        if self.effects.propagates() {
            self.members
                .push(item.bytes(&mut itoa::Buffer::new()).into());
            if self.members.len() == Self::BATCH {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let mut command: Vec<&[u8]> = vec![b"SREM", self.key];
        command.extend(self.members.iter().map(|member| &**member));
        self.effects.rewrite(&command);
        self.members.clear();
    }

    fn end(mut self) {
        if !self.members.is_empty() {
            self.flush();
        }
    }
}

fn srandmember(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let draws = match argv.len() {
        2 => None,
        3 => Some(Draws::parse(argv.at(2), false, cx)?),
        _ => return Err(error::SYNTAX),
    };
    let Some(place) = cx.find_read(cx.key(argv, 1)) else {
        match draws {
            Some(_) => cx.reply.array(0),
            None => cx.reply.null(),
        }
        return Ok(());
    };
    let (db, rng) = cx.keyspace.db_and_rng(cx.db_index);
    let set = set_at(db, place)?;
    let reply = &mut *cx.reply;
    match draws {
        None => reply_item(
            reply,
            set.random(rng).expect("a set under a key has members"),
        ),
        Some(draws) if draws.distinct => {
            let count = set.len().min(draws.count);
            reply.array(count);
            set.sample(count, rng, |item| reply_item(reply, item));
        }
        Some(draws) => {
            reply.array(draws.count);
            draws.repeat(|count| {
                set.draw(count, rng, |item| reply_item(reply, item));
                reply.len()
            });
        }
    }
    Ok(())
}

fn sscan(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let cursor = scan_options::cursor(argv.at(2))?;
    let Some(place) = cx.find_read(cx.key(argv, 1)) else {
        scan_options::reply_empty(cx.reply);
        return Ok(());
    };
    let set = set_at(cx.keyspace.db(cx.db_index), place)?;
    let options = ScanOptions::parse(argv, 3, Scanned::Set)?;
    let mut found = Vec::new();
    let cursor = options.walk(cursor, |cursor| {
        let next = set.scan(cursor, |item| {
            if options.accepts(item.bytes(&mut itoa::Buffer::new())) {
                found.push(item);
            }
        });
        (next, found.len())
    });
    scan_options::reply_header(cx.reply, cursor, found.len());
    for item in found {
        reply_item(cx.reply, item);
    }
    Ok(())
}

/// The number of keys and the limit of SINTERCARD; no limit is 0.
fn intercard_options(argv: Argv<'_>) -> Result<(usize, usize), ErrorReply> {
    let no_keys = "ERR numkeys should be greater than 0".into();
    let keys = integer_in(argv.at(1), 1..=i64::MAX, no_keys)? as usize;
    if keys > argv.len() - 2 {
        return Err("ERR Number of keys can't be greater than number of args".into());
    }
    let mut limit = 0;
    let mut i = 2 + keys;
    while let Some(option) = argv.get(i) {
        if !is(option, "LIMIT") {
            return Err(error::SYNTAX);
        }
        let value = super::args::after(argv, i)?;
        let negative = "ERR LIMIT can't be negative".into();
        limit = integer_in(value, 0..=i64::MAX, negative)? as usize;
        i += 2;
    }
    Ok((keys, limit))
}

#[cfg(test)]
mod tests;
