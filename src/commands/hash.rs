//! Hashes: maps of strings under one key. When fields expire is `expiry`'s part.
//!
//! A field that has expired is not there for any command, but that HLEN counts it until it is
//! removed, as Redis does. Removed it is by the next write to its hash, or by the expire cycle.

pub(super) mod expiry;

use super::args::{integer, integer_between, is};
use super::draws::Draws;
use super::items::reply_item;
use super::scan_options::{self, ScanOptions, Scanned};
use crate::base::longdouble::LongDouble;
use crate::base::rng::Rng;
use crate::data::listpack::Item;
use crate::keyspace::db::{Db, Key};
use crate::keyspace::effects::Class;
use crate::keyspace::hash::{AddError, Hash, Limits, Live};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::reply::{Proto, Reply};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::{DataCx, Place};

const G: Group = Group::Hash;

/// The family's table, but for what `expiry` owns.
pub static COMMANDS: &[Command] = &[
    cmd("hdel", -3, Data(hdel))
        .group(G)
        .since("2.0.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | DELETE)])
        .doc(
            "Deletes fields of a hash, and the hash with the last one.",
            "O(N) in the number of fields to delete",
        )
        .usage("key field [field ...]")
        .history(&[("2.4.0", "Accepts multiple `field` arguments.")]),
    cmd("hexists", 3, Data(hexists))
        .group(G)
        .since("2.0.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO)])
        .doc("Tells whether a hash has a field.", "O(1)")
        .usage("key field"),
    cmd("hget", 3, Data(hget))
        .group(G)
        .since("2.0.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns the value of a field.", "O(1)")
        .usage("key field"),
    cmd("hgetall", 2, Data(hgetall))
        .group(G)
        .since("2.0.0")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Returns all fields of a hash with their values.",
            "O(N) in the number of fields",
        )
        .usage("key")
        .tips(&["nondeterministic_output_order"]),
    cmd("hincrby", 4, Data(hincrby))
        .group(G)
        .since("2.0.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE)])
        .doc(
            "Adds a number to the integer in a field; a missing one counts as 0.",
            "O(1)",
        )
        .usage("key field increment"),
    cmd("hincrbyfloat", 4, Data(hincrbyfloat))
        .group(G)
        .since("2.6.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE)])
        .doc(
            "Adds a number to the decimal number in a field; a missing one counts as 0.",
            "O(1)",
        )
        .usage("key field increment:double"),
    cmd("hkeys", 2, Data(hkeys))
        .group(G)
        .since("2.0.0")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Returns the names of all fields of a hash.",
            "O(N) in the number of fields",
        )
        .usage("key")
        .tips(&["nondeterministic_output_order"]),
    cmd("hlen", 2, Data(hlen))
        .group(G)
        .since("2.0.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO)])
        .doc("Returns the number of fields of a hash.", "O(1)")
        .usage("key"),
    cmd("hmget", -3, Data(hmget))
        .group(G)
        .since("2.0.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Returns the values of several fields.",
            "O(N) in the number of fields asked for",
        )
        .usage("key field [field ...]"),
    cmd("hmset", -4, Data(hmset))
        .group(G)
        .since("2.0.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc(
            "Sets the values of several fields.",
            "O(N) in the number of fields to set",
        )
        .usage("key field value [field value ...]")
        .deprecated("4.0.0", "`HSET` with multiple field-value pairs"),
    cmd("hrandfield", -2, Data(hrandfield))
        .group(G)
        .since("6.2.0")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Returns fields of a hash chosen by chance.",
            "O(N) in the number of fields returned",
        )
        .usage("key [count [WITHVALUES]]")
        .tips(&["nondeterministic_output"]),
    cmd("hscan", -3, Data(hscan))
        .group(G)
        .since("2.8.0")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Returns some fields of a hash, and the cursor by which to ask for the next ones.",
            "O(1) a call, O(N) in the number of fields for all calls",
        )
        .usage("key cursor [MATCH pattern] [COUNT count] [NOVALUES]")
        .tips(&["nondeterministic_output"]),
    cmd("hset", -4, Data(hset))
        .group(G)
        .since("2.0.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc(
            "Sets fields of a hash, and creates it if need be.",
            "O(1) a field, O(N) in the number of fields to set",
        )
        .usage("key field value [field value ...]")
        .history(&[("4.0.0", "Accepts multiple `field` and `value` arguments.")]),
    cmd("hsetnx", 4, Data(hsetnx))
        .group(G)
        .since("2.0.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | INSERT)])
        .doc("Sets a field of a hash if there is no such field.", "O(1)")
        .usage("key field value"),
    cmd("hstrlen", 3, Data(hstrlen))
        .group(G)
        .since("3.2.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO)])
        .doc("Returns the length of a field's value.", "O(1)")
        .usage("key field"),
    cmd("hvals", 2, Data(hvals))
        .group(G)
        .since("2.0.0")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Returns the values of all fields of a hash.",
            "O(N) in the number of fields",
        )
        .usage("key")
        .tips(&["nondeterministic_output_order"]),
];

/// The thresholds of the configuration.
#[inline]
fn limits(cx: &DataCx<'_>) -> Limits {
    Limits {
        entries_max: cx.config.hash_max_listpack_entries as usize,
        value_max: cx.config.hash_max_listpack_value as usize,
    }
}

/// Looks a hash up to read it, with [`live`].
#[inline]
fn find(cx: &mut DataCx<'_>, key: Key<'_>) -> Result<Option<Place>, ErrorReply> {
    let place = cx.find_read(key);
    if let Some(place) = place {
        cx.entry(place).hash().ok_or(error::WRONG_TYPE)?;
    }
    Ok(place)
}

/// The hash at a place, as it stands at a time.
#[inline]
fn live(db: &Db, place: Place, now_ms: i64) -> Live<'_> {
    let hash = db.entry(place).hash();
    hash.expect("a place of a hash").at(now_ms)
}

/// Looks a hash up to change it, and removes what has expired of it, or some if that is much.
#[inline]
fn find_to_change(cx: &mut DataCx<'_>, key: Key<'_>) -> Result<Option<Place>, ErrorReply> {
    let Some(place) = cx.find_write(key) else {
        return Ok(None);
    };
    let hash = cx.entry(place).hash().ok_or(error::WRONG_TYPE)?;
    if hash.has_expired(cx.horizon_ms) && cx.delete_expired {
        return Ok(remove_expired(cx, key, place));
    }
    Ok(Some(place))
}

#[cold]
fn remove_expired(cx: &mut DataCx<'_>, key: Key<'_>, place: Place) -> Option<Place> {
    /// A write removes no more than these: the rest is left to the expire cycle.
    const FIELDS_MAX: usize = 64;
    let now_ms = cx.horizon_ms;
    let mut fields: Vec<Box<[u8]>> = Vec::new();
    let taken = cx.edit::<Hash, _>(key, place, |hash, _| {
        hash.take_expired(now_ms, FIELDS_MAX, |field| fields.push(field.into()));
    });
    let ((), emptied) = taken.expect("a place of a hash");
    cx.stats.expired_fields += fields.len() as u64;
    cx.effects.fields_expired(cx.db_index, key.bytes, fields);
    if emptied {
        cx.effects.emptied(cx.db_index, key.bytes);
        return None;
    }
    Some(place)
}

#[inline]
fn reply_value(reply: &mut Reply, value: Option<Item<'_>>) {
    match value {
        Some(value) => reply_item(reply, value),
        None => reply.null(),
    }
}

fn hset(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let created = set_pairs(cx, argv, "hset")?;
    cx.reply.int(created);
    Ok(())
}

fn hmset(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    set_pairs(cx, argv, "hmset")?;
    cx.reply.ok();
    Ok(())
}

/// Sets the fields that are given with their values behind the key; returns how many are new.
fn set_pairs(cx: &mut DataCx<'_>, argv: Argv<'_>, command: &str) -> Result<i64, ErrorReply> {
    if argv.len() % 2 == 1 {
        return Err(error::wrong_arity(command));
    }
    let key = cx.key(argv, 1);
    let place = find_to_change(cx, key)?;
    let (limits, now_ms) = (limits(cx), cx.horizon_ms);
    let created = cx.edit_or_create::<Hash, _>(key, place, |hash, _| {
        if argv.len() > 4 {
            hash.prepare_for(argv.tail(2).iter(), limits);
        }
        let mut created = 0;
        for i in (2..argv.len()).step_by(2) {
            created += i64::from(hash.set(argv.at(i), argv.at(i + 1), limits, now_ms));
        }
        created
    })?;
    cx.effects
        .changed(Class::Hash, "hset", cx.db_index, key.bytes);
    cx.effects.dirty += argv.len() as u64 / 2 - 2;
    Ok(created)
}

fn hsetnx(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let place = find_to_change(cx, key)?;
    if let Some(place) = place
        && live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms)
            .get(argv.at(2))
            .is_some()
    {
        cx.reply.int(0);
        return Ok(());
    }
    let (limits, now_ms) = (limits(cx), cx.horizon_ms);
    cx.edit_or_create::<Hash, _>(key, place, |hash, _| {
        hash.set(argv.at(2), argv.at(3), limits, now_ms)
    })?;
    cx.effects
        .changed(Class::Hash, "hset", cx.db_index, key.bytes);
    cx.reply.int(1);
    Ok(())
}

fn hincrby(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let by = integer(argv.at(3))?;
    let key = cx.key(argv, 1);
    let place = find_to_change(cx, key)?;
    let (limits, now_ms) = (limits(cx), cx.horizon_ms);
    let sum = cx
        .edit_or_create::<Hash, _>(key, place, |hash, _| {
            hash.add(argv.at(2), by, limits, now_ms)
        })?
        .map_err(|e| match e {
            AddError::NotAnInteger => "ERR hash value is not an integer".into(),
            AddError::Overflow => error::INCR_OVERFLOW,
        })?;
    cx.effects
        .changed(Class::Hash, "hincrby", cx.db_index, key.bytes);
    cx.reply.int(sum);
    Ok(())
}

fn hincrbyfloat(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let by = LongDouble::parse(argv.at(3)).ok_or(error::NOT_A_FLOAT)?;
    if by.is_infinite() {
        return Err("ERR value is NaN or Infinity".into());
    }
    let (key, field) = (cx.key(argv, 1), argv.at(2));
    let place = find_to_change(cx, key)?;
    let mut digits = itoa::Buffer::new();
    let old =
        place.and_then(|place| live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms).get(field));
    let old = old.map_or(&b"0"[..], |value| value.bytes(&mut digits));
    let old = LongDouble::parse(old).ok_or("ERR hash value is not a float")?;
    let sum = old.checked_add(by).ok_or(error::INCR_NAN)?.format_human();
    let (limits, now_ms) = (limits(cx), cx.horizon_ms);
    let expiry = cx.edit_or_create::<Hash, _>(key, place, |hash, _| {
        hash.set_keeping_expiry(field, &sum, limits, now_ms);
        hash.as_ref().at(now_ms).expiry(field).flatten()
    })?;
    cx.effects
        .changed(Class::Hash, "hincrbyfloat", cx.db_index, key.bytes);
    // Additions need not give the same digits everywhere, so what goes out is the sum.
    cx.effects.rewrite(&[b"HSET", key.bytes, field, &sum]);
    if let Some(at) = expiry {
        expiry::propagate_expiry(cx, key, at, &[field]);
    }
    cx.reply.bulk(&sum);
    Ok(())
}

fn hdel(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let mut deleted = 0u32;
    if let Some(place) = find_to_change(cx, key)? {
        let now_ms = cx.horizon_ms;
        let ((), emptied) = cx.edit::<Hash, _>(key, place, |hash, _| {
            for field in argv.tail(2).iter() {
                deleted += u32::from(hash.remove(field, now_ms));
            }
        })?;
        note_deleted(cx, key, deleted, emptied);
    }
    cx.reply.int(deleted.into());
    Ok(())
}

/// States the effects of the deletion of so many fields.
fn note_deleted(cx: &mut DataCx<'_>, key: Key<'_>, deleted: u32, emptied: bool) {
    if deleted == 0 {
        return;
    }
    cx.effects
        .changed(Class::Hash, "hdel", cx.db_index, key.bytes);
    cx.effects.dirty += u64::from(deleted) - 1;
    if emptied {
        cx.effects.emptied(cx.db_index, key.bytes);
    }
}

fn hget(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    match cx.find_read(key) {
        Some(place) => {
            let entry = cx.keyspace.db(cx.db_index).entry(place);
            let hash = entry.hash().ok_or(error::WRONG_TYPE)?.at(cx.horizon_ms);
            reply_value(cx.reply, hash.get(argv.at(2)));
        }
        None => cx.reply.null(),
    }
    Ok(())
}

fn hmget(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let place = find(cx, cx.key(argv, 1))?;
    let hash = place.map(|place| live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms));
    cx.reply.array(argv.len() - 2);
    for field in argv.tail(2).iter() {
        reply_value(cx.reply, hash.and_then(|hash| hash.get(field)));
    }
    Ok(())
}

fn hexists(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let place = find(cx, cx.key(argv, 1))?;
    let value = place
        .and_then(|place| live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms).get(argv.at(2)));
    let is_there = value.is_some();
    cx.reply.int(is_there.into());
    Ok(())
}

fn hstrlen(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let place = find(cx, cx.key(argv, 1))?;
    let value = place
        .and_then(|place| live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms).get(argv.at(2)));
    let len = value.map_or(0, Item::len);
    cx.reply.int(len as i64);
    Ok(())
}

fn hlen(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let len = match cx.find_read(cx.key(argv, 1)) {
        Some(place) => cx.entry(place).hash().ok_or(error::WRONG_TYPE)?.len(),
        None => 0,
    };
    cx.reply.int(len as i64);
    Ok(())
}

fn hgetall(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    match find(cx, cx.key(argv, 1))? {
        Some(place) => {
            let hash = live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms);
            cx.reply.map(hash.len());
            hash.for_each(|field, value| {
                reply_item(cx.reply, field);
                reply_item(cx.reply, value);
            });
        }
        None => cx.reply.map(0),
    }
    Ok(())
}

fn hkeys(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_each(cx, argv, |field, _| field)
}

fn hvals(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_each(cx, argv, |_, value| value)
}

/// Replies with what `part` takes of every field and its value.
fn reply_each(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    part: impl for<'a> Fn(Item<'a>, Item<'a>) -> Item<'a>,
) -> Outcome {
    match find(cx, cx.key(argv, 1))? {
        Some(place) => {
            let hash = live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms);
            cx.reply.array(hash.len());
            hash.for_each(|field, value| reply_item(cx.reply, part(field, value)));
        }
        None => cx.reply.array(0),
    }
    Ok(())
}

fn hrandfield(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let Some(count) = argv.get(2) else {
        return one_by_chance(cx, argv);
    };
    let with_values = match argv.get(3) {
        None => false,
        Some(option) if is(option, "WITHVALUES") && argv.len() == 4 => true,
        Some(_) => {
            // A count that is none is told first.
            integer_between(count, -i64::MAX, i64::MAX)?;
            return Err(error::SYNTAX);
        }
    };
    let draws = Draws::parse(count, with_values, cx)?;
    let place = find(cx, cx.key(argv, 1))?;
    let mut rng = Rng::from_seed(cx.keyspace.rng.next_u64());
    match place {
        Some(place) => {
            let hash = live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms);
            some_by_chance(cx.reply, hash, draws, with_values, &mut rng);
        }
        None => cx.reply.array(0),
    }
    Ok(())
}

fn one_by_chance(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let place = find(cx, cx.key(argv, 1))?;
    let mut rng = Rng::from_seed(cx.keyspace.rng.next_u64());
    match place.map(|place| live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms)) {
        Some(hash) if !hash.is_empty() => {
            hash.draw(1, &mut rng, |field, _| reply_item(cx.reply, field));
        }
        _ => cx.reply.null(),
    }
    Ok(())
}

fn some_by_chance(
    reply: &mut Reply,
    hash: Live<'_>,
    draws: Draws,
    with_values: bool,
    rng: &mut Rng,
) {
    let len = hash.len();
    let returned = match draws.distinct {
        _ if len == 0 => 0,
        true => draws.count.min(len),
        false => draws.count,
    };
    let in_pairs = with_values && reply.proto() == Proto::Resp3;
    let doubled = with_values && !in_pairs;
    reply.array(returned << u32::from(doubled));
    if returned == 0 {
        return;
    }
    let show = |reply: &mut Reply, field: Item<'_>, value: Item<'_>| {
        if in_pairs {
            reply.array(2);
        }
        reply_item(reply, field);
        if with_values {
            reply_item(reply, value);
        }
    };
    if draws.distinct {
        return hash.sample(returned, len, rng, |field, value| show(reply, field, value));
    }
    draws.repeat(|count| {
        hash.draw(count, rng, |field, value| show(reply, field, value));
        reply.len()
    });
}

fn hscan(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let cursor = scan_options::cursor(argv.at(2))?;
    let Some(place) = find(cx, cx.key(argv, 1))? else {
        scan_options::reply_empty(cx.reply);
        return Ok(());
    };
    let options = ScanOptions::parse(argv, 3, Scanned::Hash)?;
    let hash = live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms);
    // The cursor goes out before what is found on the way to it.
    let mut found = Reply::new();
    let mut count = 0;
    let cursor = options.walk(cursor, |cursor| {
        let next = hash.scan(cursor, |field, value| {
            if options.accepts(field.bytes(&mut itoa::Buffer::new())) {
                reply_item(&mut found, field);
                if !options.names_only {
                    reply_item(&mut found, value);
                }
                count += 1;
            }
        });
        (next, count)
    });
    let elements = count << u32::from(!options.names_only);
    scan_options::reply_header(cx.reply, cursor, elements);
    let bytes = found.contiguous(0, found.len());
    cx.reply.raw(bytes.expect("nothing in it is shared"));
    Ok(())
}
