//! Fields of hashes that expire: setting, asking and taking it back, alone or together with reading
//! and writing.
//!
//! The replies to a field are numbers: -2 there is no such field, -1 it never expires, 0 the
//! condition does not hold, 1 done, 2 deleted, since its time has passed. What is propagated names
//! times of the clock and only the fields that were changed, in the words of Redis 7.4.

use super::super::args::{Unit, integer, is};
use super::{find, find_to_change, limits, live, note_deleted, reply_value};
use crate::base::num::parse_i64;
use crate::keyspace::db::Key;
use crate::keyspace::effects::Class;
use crate::keyspace::hash::Hash;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::{DataCx, Place};

const G: Group = Group::Hash;

/// The family's table, as far as it is about time.
pub static COMMANDS: &[Command] = &[
    cmd("hexpire", -6, Data(hexpire))
        .group(G)
        .since("7.4.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Lets fields of a hash expire after some seconds.", "O(N) in the number of fields given")
        .usage("key seconds [NX|XX|GT|LT] FIELDS numfields field [field ...]"),
    cmd("hexpireat", -6, Data(hexpireat))
        .group(G)
        .since("7.4.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Lets fields of a hash expire at a second of the Unix clock.", "O(N) in the number of fields given")
        .usage("key unix-time-seconds [NX|XX|GT|LT] FIELDS numfields field [field ...]"),
    cmd("hexpiretime", -5, Data(hexpiretime))
        .group(G)
        .since("7.4.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns the seconds of the Unix clock at which fields expire.", "O(N) in the number of fields given")
        .usage("key FIELDS numfields field [field ...]"),
    cmd("hgetdel", -5, Data(hgetdel))
        .group(G)
        .since("8.0.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | DELETE)])
        .doc("Returns the values of fields and deletes them.", "O(N) in the number of fields given")
        .usage("key FIELDS numfields field [field ...]"),
    cmd("hgetex", -5, Data(hgetex))
        .group(G)
        .since("8.0.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE).notes("RW and UPDATE because it changes the TTL")])
        .doc("Returns the values of fields and sets or removes their expiry.", "O(N) in the number of fields given")
        .usage(
            "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST] \
             FIELDS numfields field [field ...]",
        ),
    cmd("hpersist", -5, Data(hpersist))
        .group(G)
        .since("7.4.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Lets fields of a hash never expire.", "O(N) in the number of fields given")
        .usage("key FIELDS numfields field [field ...]"),
    cmd("hpexpire", -6, Data(hpexpire))
        .group(G)
        .since("7.4.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Lets fields of a hash expire after some milliseconds.", "O(N) in the number of fields given")
        .usage("key milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...]"),
    cmd("hpexpireat", -6, Data(hpexpireat))
        .group(G)
        .since("7.4.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Lets fields of a hash expire at a millisecond of the Unix clock.", "O(N) in the number of fields given")
        .usage("key unix-time-milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...]"),
    cmd("hpexpiretime", -5, Data(hpexpiretime))
        .group(G)
        .since("7.4.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns the milliseconds of the Unix clock at which fields expire.", "O(N) in the number of fields given")
        .usage("key FIELDS numfields field [field ...]"),
    cmd("hpttl", -5, Data(hpttl))
        .group(G)
        .since("7.4.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns the milliseconds until fields expire.", "O(N) in the number of fields given")
        .usage("key FIELDS numfields field [field ...]")
        .tips(&["nondeterministic_output"]),
    cmd("hsetex", -6, Data(hsetex))
        .group(G)
        .since("8.0.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Sets fields of a hash that expire.", "O(N) in the number of fields to set")
        .usage(
            "key [FNX|FXX] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL] \
             FIELDS numfields field value [field value ...]",
        ),
    cmd("httl", -5, Data(httl))
        .group(G)
        .since("7.4.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns the seconds until fields expire.", "O(N) in the number of fields given")
        .usage("key FIELDS numfields field [field ...]")
        .tips(&["nondeterministic_output"]),
];

/// The latest time, in milliseconds, that a field may be given: Redis keeps it in 46 bits.
const AT_MAX_MS: i64 = (1 << 46) - 1;

const NO_FIELD: i64 = -2;
const NO_EXPIRY: i64 = -1;
const CONDITION_FAILED: i64 = 0;
const DONE: i64 = 1;
const DELETED: i64 = 2;

/// The error to a number of fields that is none, as most commands say it.
const NUMFIELDS: &str = "ERR Number of fields must be a positive integer";

/// The time that an argument stands for.
fn expiry_at_ms(arg: &[u8], unit: Unit, now_ms: i64, command: &str) -> Result<i64, ErrorReply> {
    let value = integer(arg)?;
    if value < 0 {
        return Err("ERR invalid expire time, must be >= 0".into());
    }
    match unit.at_ms(value, now_ms) {
        Some(at) if at <= AT_MAX_MS => Ok(at),
        _ => Err(error::invalid_expire(command)),
    }
}

/// The fields that are listed from argument `from` on, behind the word FIELDS and their number.
fn listed_fields<'a>(
    argv: Argv<'a>,
    from: usize,
    bad_number: &'static str,
) -> Result<Argv<'a>, ErrorReply> {
    if !argv.get(from).is_some_and(|word| is(word, "FIELDS")) {
        let text = "ERR Mandatory argument FIELDS is missing or not at the right position";
        return Err(text.into());
    }
    let number = argv.get(from + 1).and_then(parse_i64);
    let fields = argv.tail(from + 2);
    match number {
        Some(number @ 1..) if number as usize == fields.len() => Ok(fields),
        Some(1..) => Err("ERR The `numfields` parameter must match the number of arguments".into()),
        _ => Err(bad_number.into()),
    }
}

/// Fails if the key holds another type; these commands look there before they read their arguments.
fn expect_hash(cx: &mut DataCx<'_>, key: Key<'_>) -> Outcome {
    match cx.find_unseen(key) {
        Some(place) => cx.expect_kind(place, crate::keyspace::value::Type::Hash),
        None => Ok(()),
    }
}

/// What must hold of a field's present expiry for a new one to be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Condition {
    Always,
    None,
    Some,
    Later,
    Earlier,
}

impl Condition {
    fn of_option(arg: &[u8]) -> Option<Condition> {
        Some(match () {
            _ if is(arg, "NX") => Condition::None,
            _ if is(arg, "XX") => Condition::Some,
            _ if is(arg, "GT") => Condition::Later,
            _ if is(arg, "LT") => Condition::Earlier,
            _ => return None,
        })
    }

    /// Whether it holds between the present expiry and a new one; none is later than any.
    fn holds(self, present: Option<i64>, new: i64) -> bool {
        match self {
            Condition::Always => true,
            Condition::None => present.is_none(),
            Condition::Some => present.is_some(),
            Condition::Later => present.is_some_and(|at| new > at),
            Condition::Earlier => present.is_none_or(|at| new < at),
        }
    }
}

fn hexpire(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    set_expiries(cx, argv, Unit::Seconds, "hexpire")
}

fn hpexpire(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    set_expiries(cx, argv, Unit::Milliseconds, "hpexpire")
}

fn hexpireat(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    set_expiries(cx, argv, Unit::UnixSeconds, "hexpireat")
}

fn hpexpireat(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    set_expiries(cx, argv, Unit::UnixMilliseconds, "hpexpireat")
}

fn set_expiries(cx: &mut DataCx<'_>, argv: Argv<'_>, unit: Unit, command: &str) -> Outcome {
    let key = cx.key(argv, 1);
    expect_hash(cx, key)?;
    let at = expiry_at_ms(argv.at(2), unit, cx.now_ms, command)?;
    let (condition, list) = match Condition::of_option(argv.at(3)) {
        Some(condition) => (condition, 4),
        None => (Condition::Always, 3),
    };
    let bad_number = "ERR Parameter `numFields` should be greater than 0";
    let fields = listed_fields(argv, list, bad_number)?;
    let place = find_to_change(cx, key)?;
    cx.reply.array(fields.len());
    let Some(place) = place else {
        fields.iter().for_each(|_| cx.reply.int(NO_FIELD));
        return Ok(());
    };
    let mut change = Change::new(cx, Some(at));
    let ((), emptied) = cx.edit::<Hash, _>(key, place, |hash, aside| {
        for field in fields.iter() {
            let present = hash.as_ref().at(change.now_ms).expiry(field);
            aside.reply.int(match present {
                None => NO_FIELD,
                Some(present) if !condition.holds(present, at) => CONDITION_FAILED,
                Some(_) => change.apply(hash, field),
            });
        }
    })?;
    change.note(cx, key, emptied);
    Ok(())
}

/// A change of the expiry of fields, and how far it has come.
struct Change<'a> {
    /// The new expiry; `None` is never.
    expiry: Option<i64>,
    now_ms: i64,
    /// Whether it deletes the fields, since that time has passed.
    deletes: bool,
    /// How many fields were changed.
    count: u32,
    /// These fields, if anybody wants to know them.
    fields: Option<Vec<&'a [u8]>>,
}

impl<'a> Change<'a> {
    fn new(cx: &DataCx<'_>, expiry: Option<i64>) -> Change<'a> {
        let has_passed = expiry.is_some_and(|at| at <= cx.horizon_ms);
        Change {
            expiry,
            now_ms: cx.horizon_ms,
            deletes: has_passed && cx.delete_expired,
            count: 0,
            fields: cx.effects.propagates().then(Vec::new),
        }
    }

    /// Changes a field that is there.
    fn apply(&mut self, hash: &mut Hash, field: &'a [u8]) -> i64 {
        let changed = if self.deletes {
            hash.remove(field, self.now_ms)
        } else {
            hash.set_expiry(field, self.expiry, self.now_ms)
        };
        debug_assert!(changed, "the caller found the field");
        self.note_field(field);
        if self.deletes { DELETED } else { DONE }
    }

    fn note_field(&mut self, field: &'a [u8]) {
        self.count += 1;
        if let Some(fields) = &mut self.fields {
            fields.push(field);
        }
    }

    /// States the effects.
    fn note(self, cx: &mut DataCx<'_>, key: Key<'_>, emptied: bool) {
        let fields = self.fields.unwrap_or_default();
        if self.count == 0 {
            return;
        }
        if self.deletes {
            cx.stats.expired_fields += u64::from(self.count);
            note_deleted(cx, key, self.count, emptied);
            propagate(cx, &[b"HDEL", key.bytes], &fields);
            return;
        }
        let event = if self.expiry.is_some() {
            "hexpire"
        } else {
            "hpersist"
        };
        cx.effects
            .changed(Class::Hash, event, cx.db_index, key.bytes);
        cx.effects.dirty += u64::from(self.count) - 1;
        match self.expiry {
            Some(at) => propagate_expiry(cx, key, at, &fields),
            None => {
                let mut digits = itoa::Buffer::new();
                let number = digits.format(fields.len()).as_bytes();
                propagate(cx, &[b"HPERSIST", key.bytes, b"FIELDS", number], &fields);
            }
        }
    }
}

/// Propagates a command that ends in these fields.
fn propagate(cx: &mut DataCx<'_>, head: &[&[u8]], fields: &[&[u8]]) {
    if cx.effects.propagates() {
        cx.effects.rewrite(&[head, fields].concat());
    }
}

/// Propagates that these fields expire at a time.
pub(super) fn propagate_expiry(cx: &mut DataCx<'_>, key: Key<'_>, at: i64, fields: &[&[u8]]) {
    let (mut at_digits, mut digits) = (itoa::Buffer::new(), itoa::Buffer::new());
    let at = at_digits.format(at).as_bytes();
    let number = digits.format(fields.len()).as_bytes();
    propagate(
        cx,
        &[b"HPEXPIREAT", key.bytes, at, b"FIELDS", number],
        fields,
    );
}

fn httl(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_expiries(cx, argv, |at, now_ms| seconds(at - now_ms))
}

fn hpttl(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_expiries(cx, argv, |at, now_ms| at - now_ms)
}

fn hexpiretime(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_expiries(cx, argv, |at, _| seconds(at))
}

fn hpexpiretime(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_expiries(cx, argv, |at, _| at)
}

/// Whole seconds; a begun one counts.
fn seconds(ms: i64) -> i64 {
    ms / 1000 + i64::from(ms % 1000 > 0)
}

/// Replies with what `shown` makes of the times at which fields expire and the present one.
fn reply_expiries(cx: &mut DataCx<'_>, argv: Argv<'_>, shown: fn(i64, i64) -> i64) -> Outcome {
    let place = find(cx, cx.key(argv, 1))?;
    let fields = listed_fields(argv, 2, NUMFIELDS)?;
    let hash = place.map(|place| live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms));
    cx.reply.array(fields.len());
    for field in fields.iter() {
        cx.reply
            .int(match hash.and_then(|hash| hash.expiry(field)) {
                None => NO_FIELD,
                Some(None) => NO_EXPIRY,
                Some(Some(at)) => shown(at, cx.now_ms),
            });
    }
    Ok(())
}

fn hpersist(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    expect_hash(cx, key)?;
    let fields = listed_fields(argv, 2, NUMFIELDS)?;
    let place = find_to_change(cx, key)?;
    cx.reply.array(fields.len());
    let Some(place) = place else {
        fields.iter().for_each(|_| cx.reply.int(NO_FIELD));
        return Ok(());
    };
    let mut change = Change::new(cx, None);
    let ((), emptied) = cx.edit::<Hash, _>(key, place, |hash, aside| {
        for field in fields.iter() {
            let present = hash.as_ref().at(change.now_ms).expiry(field);
            aside.reply.int(match present {
                None => NO_FIELD,
                Some(None) => NO_EXPIRY,
                Some(Some(_)) => change.apply(hash, field),
            });
        }
    })?;
    change.note(cx, key, emptied);
    Ok(())
}

fn hgetdel(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    expect_hash(cx, key)?;
    let fields = listed_fields(argv, 2, NUMFIELDS)?;
    let place = find_to_change(cx, key)?;
    cx.reply.array(fields.len());
    let Some(place) = place else {
        fields.iter().for_each(|_| cx.reply.null());
        return Ok(());
    };
    let now_ms = cx.horizon_ms;
    let mut deleted = 0;
    let ((), emptied) = cx.edit::<Hash, _>(key, place, |hash, aside| {
        for field in fields.iter() {
            reply_value(aside.reply, hash.as_ref().at(now_ms).get(field));
            deleted += u32::from(hash.remove(field, now_ms));
        }
    })?;
    note_deleted(cx, key, deleted, emptied);
    if deleted > 0 && cx.effects.propagates() {
        let fields: Vec<&[u8]> = fields.iter().collect();
        propagate(cx, &[b"HDEL", key.bytes], &fields);
    }
    Ok(())
}

fn hgetex(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    expect_hash(cx, key)?;
    let unit = Unit::of_option(argv.at(2));
    let persists = is(argv.at(2), "PERSIST");
    let list = match unit {
        Some(_) => 4,
        None => 2 + usize::from(persists),
    };
    let at = match unit {
        Some(unit) => Some(expiry_at_ms(argv.at(3), unit, cx.now_ms, "hgetex")?),
        None => None,
    };
    let fields = listed_fields(argv, list, NUMFIELDS)?;
    let place = find_to_change(cx, key)?;
    cx.reply.array(fields.len());
    let Some(place) = place else {
        fields.iter().for_each(|_| cx.reply.null());
        return Ok(());
    };
    if at.is_none() && !persists {
        let hash = live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms);
        fields
            .iter()
            .for_each(|field| reply_value(cx.reply, hash.get(field)));
        return Ok(());
    }
    let mut change = Change::new(cx, at);
    let ((), emptied) = cx.edit::<Hash, _>(key, place, |hash, aside| {
        for field in fields.iter() {
            let live = hash.as_ref().at(change.now_ms);
            reply_value(aside.reply, live.get(field));
            match live.expiry(field) {
                None => {}
                Some(None) if persists => {}
                Some(_) => {
                    change.apply(hash, field);
                }
            }
        }
    })?;
    change.note(cx, key, emptied);
    Ok(())
}

/// The arguments of HSETEX.
struct SetRequest<'a> {
    only_if_absent: bool,
    only_if_present: bool,
    keep_ttl: bool,
    at: Option<i64>,
    /// Fields and values by turns.
    pairs: Argv<'a>,
}

impl<'a> SetRequest<'a> {
    fn parse(argv: Argv<'a>, now_ms: i64) -> Result<SetRequest<'a>, ErrorReply> {
        let mut request = SetRequest {
            only_if_absent: false,
            only_if_present: false,
            keep_ttl: false,
            at: None,
            pairs: argv.tail(argv.len()),
        };
        let mut i = 2;
        while let Some(option) = argv.get(i) {
            if is(option, "FIELDS") {
                request.pairs = listed_pairs(argv, i)?;
                return Ok(request);
            }
            if is(option, "FNX") || is(option, "FXX") {
                if request.only_if_absent || request.only_if_present {
                    let text = "ERR Only one of FXX or FNX arguments can be specified";
                    return Err(text.into());
                }
                request.only_if_absent = is(option, "FNX");
                request.only_if_present = !request.only_if_absent;
            } else if let Some(unit) = Unit::of_option(option) {
                request.expect_no_expiry()?;
                let value = argv.get(i + 1).ok_or("ERR missing expire time")?;
                request.at = Some(expiry_at_ms(value, unit, now_ms, "hsetex")?);
                i += 1;
            } else if is(option, "KEEPTTL") {
                request.expect_no_expiry()?;
                request.keep_ttl = true;
            } else {
                return Err([b"ERR unknown argument: ", option].concat().into());
            }
            i += 1;
        }
        Err("ERR missing FIELDS argument".into())
    }

    fn expect_no_expiry(&self) -> Outcome {
        if self.at.is_some() || self.keep_ttl {
            let text = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified";
            return Err(text.into());
        }
        Ok(())
    }

    fn fields(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.pairs.iter().step_by(2)
    }
}

/// The fields and values that are listed from the word FIELDS on, which is argument `from`.
fn listed_pairs(argv: Argv<'_>, from: usize) -> Result<Argv<'_>, ErrorReply> {
    let pairs = argv.tail(from + 2);
    if pairs.len() < 2 {
        return Err(error::wrong_arity("hsetex"));
    }
    match parse_i64(argv.at(from + 1)) {
        Some(number @ 1..=0x7fff_ffff) if number as usize * 2 == pairs.len() => Ok(pairs),
        Some(1..=0x7fff_ffff) => Err(error::wrong_arity("hsetex")),
        _ => Err("ERR invalid number of fields".into()),
    }
}

fn hsetex(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let request = SetRequest::parse(argv, cx.now_ms)?;
    let place = find_to_change(cx, key)?;
    let is_there = |cx: &DataCx<'_>, field: &[u8]| {
        place.is_some_and(|place| {
            live(cx.keyspace.db(cx.db_index), place, cx.horizon_ms)
                .get(field)
                .is_some()
        })
    };
    let refused = request.only_if_absent && request.fields().any(|field| is_there(cx, field))
        || request.only_if_present && !request.fields().all(|field| is_there(cx, field));
    if refused {
        cx.reply.int(CONDITION_FAILED);
        return Ok(());
    }
    if request.at.is_some_and(|at| at <= cx.horizon_ms) && cx.delete_expired {
        set_in_the_past(cx, key, place, &request)?;
    } else {
        set_with_expiry(cx, key, place, &request)?;
    }
    cx.reply.int(DONE);
    Ok(())
}

/// Sets fields whose time has passed: they are not there afterwards.
fn set_in_the_past(
    cx: &mut DataCx<'_>,
    key: Key<'_>,
    place: Option<Place>,
    request: &SetRequest<'_>,
) -> Outcome {
    let Some(place) = place else {
        return Ok(());
    };
    let mut change = Change::new(cx, request.at);
    let ((), emptied) = cx.edit::<Hash, _>(key, place, |hash, _| {
        for field in request.fields() {
            if hash.remove(field, change.now_ms) {
                change.note_field(field);
            }
        }
    })?;
    change.note(cx, key, emptied);
    Ok(())
}

fn set_with_expiry(
    cx: &mut DataCx<'_>,
    key: Key<'_>,
    place: Option<Place>,
    request: &SetRequest<'_>,
) -> Outcome {
    let (limits, now_ms) = (limits(cx), cx.horizon_ms);
    let propagates = cx.effects.propagates();
    let mut kept = Vec::new();
    cx.edit_or_create::<Hash, _>(key, place, |hash, _| {
        hash.prepare_for(request.pairs.iter(), limits);
        for i in (0..request.pairs.len()).step_by(2) {
            let (field, value) = (request.pairs.at(i), request.pairs.at(i + 1));
            if !request.keep_ttl {
                hash.set(field, value, limits, now_ms);
                if request.at.is_some() {
                    hash.set_expiry(field, request.at, now_ms);
                }
                continue;
            }
            hash.set_keeping_expiry(field, value, limits, now_ms);
            if propagates && let Some(Some(at)) = hash.as_ref().at(now_ms).expiry(field) {
                kept.push((field, at));
            }
        }
    })?;
    cx.effects
        .changed(Class::Hash, "hset", cx.db_index, key.bytes);
    cx.effects.dirty += request.pairs.len() as u64 / 2 - 1;
    if request.at.is_some() {
        cx.effects
            .event(Class::Hash, "hexpire", cx.db_index, key.bytes);
    }
    if propagates {
        let pairs: Vec<&[u8]> = request.pairs.iter().collect();
        propagate(cx, &[b"HSET", key.bytes], &pairs);
        if let Some(at) = request.at {
            let fields: Vec<&[u8]> = request.fields().collect();
            propagate_expiry(cx, key, at, &fields);
        }
        for (field, at) in kept {
            propagate_expiry(cx, key, at, &[field]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
