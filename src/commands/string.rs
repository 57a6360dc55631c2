//! Strings: bytes, and integers that are kept as such.

use super::args::{self, Unit, integer, is};
use crate::base::longdouble::LongDouble;
use crate::data;
use crate::data::lcs::Lcs;
use crate::keyspace::db::{Expiry, Key};
use crate::keyspace::effects::Class;
use crate::keyspace::value::{NewValue, StringRef};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::reply::SHARED_MIN;
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::{DataCx, Place};

const G: Group = Group::String;

/// The family's table.
pub static COMMANDS: &[Command] = &[
    cmd("append", 3, Data(append))
        .group(G)
        .since("2.0.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | INSERT)])
        .doc("Lengthens a string by another, and creates it if need be.", "O(1), amortised over the growth of the string")
        .usage("key value"),
    cmd("decr", 2, Data(decr))
        .group(G)
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE)])
        .doc("Takes one from an integer; a missing key counts as 0.", "O(1)")
        .usage("key"),
    cmd("decrby", 3, Data(decrby))
        .group(G)
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE)])
        .doc("Takes a number from an integer; a missing key counts as 0.", "O(1)")
        .usage("key decrement"),
    cmd("get", 2, Data(get))
        .group(G)
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns a string.", "O(1)")
        .usage("key"),
    cmd("getdel", 2, Data(getdel))
        .group(G)
        .since("6.2.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | DELETE)])
        .doc("Returns a string and deletes its key.", "O(1)")
        .usage("key"),
    cmd("getex", -2, Data(getex))
        .group(G)
        .since("6.2.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE).notes("RW and UPDATE because it changes the TTL")])
        .doc("Returns a string and sets or removes its expiry.", "O(1)")
        .usage("key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]"),
    cmd("getrange", 4, Data(getrange))
        .group(G)
        .since("2.4.0")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns a part of a string, by offsets from either end.", "O(N) in the length of the part")
        .usage("key start end"),
    cmd("getset", 3, Data(getset))
        .group(G)
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE)])
        .doc("Stores a string and returns the one before it.", "O(1)")
        .usage("key value")
        .deprecated("6.2.0", "`SET` with the `!GET` argument"),
    cmd("incr", 2, Data(incr))
        .group(G)
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE)])
        .doc("Adds one to an integer; a missing key counts as 0.", "O(1)")
        .usage("key"),
    cmd("incrby", 3, Data(incrby))
        .group(G)
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE)])
        .doc("Adds a number to an integer; a missing key counts as 0.", "O(1)")
        .usage("key increment"),
    cmd("incrbyfloat", 3, Data(incrbyfloat))
        .group(G)
        .since("2.6.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE)])
        .doc("Adds a number to a decimal number; a missing key counts as 0.", "O(1)")
        .usage("key increment:double"),
    cmd("lcs", -3, Data(lcs))
        .group(G)
        .since("7.0.0")
        .flags(READONLY)
        .keys(&[KeySpec { begin: Begin::Index(1), find: Find::Range { last: 1, step: 1, limit: 0 }, flags: RO | ACCESS, notes: None }])
        .doc("Returns the longest common subsequence of two strings.", "O(N*M) in the lengths of the two")
        .usage("key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]"),
    cmd("mget", -2, Data(mget))
        .group(G)
        .flags(READONLY | FAST)
        .keys(&[FIRST.to_end(1).flags(RO | ACCESS)])
        .doc("Returns the strings of several keys.", "O(N) in the number of keys")
        .usage("key [key ...]")
        .tips(&["request_policy:multi_shard"]),
    cmd("mset", -3, Data(mset))
        .group(G)
        .since("1.0.1")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.to_end(2).flags(OW | UPDATE)])
        .doc("Stores the strings of several keys, all at once.", "O(N) in the number of keys")
        .usage("key value [key value ...]")
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    cmd("msetnx", -3, Data(msetnx))
        .group(G)
        .since("1.0.1")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.to_end(2).flags(OW | INSERT)])
        .doc("Stores the strings of several keys if none of them exists.", "O(N) in the number of keys")
        .usage("key value [key value ...]"),
    cmd("psetex", 4, Data(psetex))
        .group(G)
        .since("2.6.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(OW | UPDATE)])
        .doc("Stores a string that expires after some milliseconds.", "O(1)")
        .usage("key milliseconds value")
        .deprecated("2.6.12", "`SET` with the `PX` argument"),
    cmd("set", -3, Data(set))
        .group(G)
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE | VARIABLE_FLAGS).notes("RW and ACCESS due to the optional `GET` argument")])
        .doc("Stores a string, whatever the key held before.", "O(1)")
        .usage(
            "key value [NX|XX|IFEQ comparison-value] [GET] \
             [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]",
        )
        .history(&[
            ("2.6.12", "Added the `EX`, `PX`, `NX` and `XX` options."),
            ("6.0.0", "Added the `KEEPTTL` option."),
            ("6.2.0", "Added the `GET`, `EXAT` and `PXAT` option."),
            ("7.0.0", "Allowed the `NX` and `GET` options to be used together."),
        ]),
    cmd("setex", 4, Data(setex))
        .group(G)
        .since("2.0.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(OW | UPDATE)])
        .doc("Stores a string that expires after some seconds.", "O(1)")
        .usage("key seconds value")
        .deprecated("2.6.12", "`SET` with the `EX` argument"),
    cmd("setnx", 3, Data(setnx))
        .group(G)
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(OW | INSERT)])
        .doc("Stores a string if the key does not exist.", "O(1)")
        .usage("key value")
        .deprecated("2.6.12", "`SET` with the `NX` argument"),
    cmd("setrange", 4, Data(setrange))
        .group(G)
        .since("2.2.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Overwrites a part of a string from an offset on, and lengthens it if need be.", "O(N) in the length of the part")
        .usage("key offset value"),
    cmd("strlen", 2, Data(strlen))
        .group(G)
        .since("2.2.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO)])
        .doc("Returns the length of a string.", "O(1)")
        .usage("key"),
    cmd("substr", 4, Data(getrange))
        .group(G)
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns a part of a string, by offsets from either end.", "O(N) in the length of the part")
        .usage("key start end")
        .deprecated("2.0.0", "`GETRANGE`"),
];

/// The string at a place, or the error that it is none.
#[inline]
pub(super) fn string_at<'a>(cx: &'a DataCx<'_>, place: Place) -> Result<StringRef<'a>, ErrorReply> {
    cx.entry(place).string().ok_or(error::WRONG_TYPE)
}

/// Replies with the string at a place.
#[inline]
fn reply_string(cx: &mut DataCx<'_>, place: Place) -> Outcome {
    match cx
        .keyspace
        .db(cx.db_index)
        .entry(place)
        .string()
        .ok_or(error::WRONG_TYPE)?
    {
        StringRef::Int(n) => cx.reply.bulk_int(n),
        StringRef::Bytes(bytes) if bytes.len() < SHARED_MIN => cx.reply.bulk(bytes),
        StringRef::Bytes(_) => {
            let shared = cx
                .db_mut()
                .share_string(place)
                .expect("a long string has its own allocation");
            cx.reply.bulk_shared(shared);
        }
    }
    Ok(())
}

fn get(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    match cx.find_read(key) {
        Some(place) => reply_string(cx, place),
        None => {
            cx.reply.null();
            Ok(())
        }
    }
}

fn getdel(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_read(key) else {
        cx.reply.null();
        return Ok(());
    };
    reply_string(cx, place)?;
    cx.delete(key, place, cx.config.lazyfree_lazy_server_del);
    cx.effects
        .changed(Class::Generic, "del", cx.db_index, key.bytes);
    cx.effects.rewrite(&[b"DEL", key.bytes]);
    Ok(())
}

fn getset(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let place = cx.find_read(key);
    match place {
        Some(place) => reply_string(cx, place)?,
        None => cx.reply.null(),
    }
    cx.store(key, place, cx.value(argv.at(2)), Expiry::Clear);
    cx.effects
        .changed(Class::String, "set", cx.db_index, key.bytes);
    cx.effects.rewrite(&[b"SET", key.bytes, argv.at(2)]);
    Ok(())
}

fn getex(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let mut expiry: Option<(&[u8], Unit)> = None;
    let mut persist = false;
    let mut i = 2;
    // An option may come again; the last one counts.
    while let Some(option) = argv.get(i) {
        if is(option, "PERSIST") && expiry.is_none() {
            persist = true;
        } else if let Some(unit) = Unit::of_option(option)
            && !persist
            && expiry.is_none_or(|(_, given)| given == unit)
        {
            expiry = Some((args::after(argv, i)?, unit));
            i += 1;
        } else {
            return Err(error::SYNTAX);
        }
        i += 1;
    }
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_read(key) else {
        cx.reply.null();
        return Ok(());
    };
    string_at(cx, place)?;
    let at = match expiry {
        Some((value, unit)) => Some(args::expiry_at_ms(value, unit, cx.now_ms, "getex")?),
        None => None,
    };
    reply_string(cx, place)?;
    match at {
        Some(at) if at <= cx.horizon_ms => {
            cx.delete_as_expired(key, place);
        }
        Some(at) => {
            cx.db_mut().set_expiry(key, place, Some(at));
            cx.effects
                .changed(Class::Generic, "expire", cx.db_index, key.bytes);
            cx.effects.rewrite(&[
                b"PEXPIREAT",
                key.bytes,
                itoa::Buffer::new().format(at).as_bytes(),
            ]);
        }
        None if persist && cx.entry(place).expiry().is_some() => {
            cx.db_mut().set_expiry(key, place, None);
            cx.effects
                .changed(Class::Generic, "persist", cx.db_index, key.bytes);
            cx.effects.rewrite(&[b"PERSIST", key.bytes]);
        }
        None => {}
    }
    Ok(())
}

/// The options of SET.
#[derive(Default)]
struct SetOptions<'a> {
    only_if_absent: bool,
    only_if_present: bool,
    only_if_equal: Option<&'a [u8]>,
    get: bool,
    keep_ttl: bool,
    expiry: Option<(&'a [u8], Unit)>,
}

impl<'a> SetOptions<'a> {
    fn parse(argv: Argv<'a>) -> Result<SetOptions<'a>, ErrorReply> {
        let mut o = SetOptions::default();
        let mut i = 3;
        while let Some(option) = argv.get(i) {
            let conditional = o.only_if_absent || o.only_if_present || o.only_if_equal.is_some();
            if is(option, "NX") && (!conditional || o.only_if_absent) {
                o.only_if_absent = true;
            } else if is(option, "XX") && (!conditional || o.only_if_present) {
                o.only_if_present = true;
            } else if is(option, "IFEQ") && !conditional {
                o.only_if_equal = Some(args::after(argv, i)?);
                i += 1;
            } else if is(option, "GET") {
                o.get = true;
            } else if is(option, "KEEPTTL") && o.expiry.is_none() {
                o.keep_ttl = true;
            } else if let Some(unit) = Unit::of_option(option)
                && !o.keep_ttl
                && o.expiry.is_none_or(|(_, given)| given == unit)
            {
                o.expiry = Some((args::after(argv, i)?, unit));
                i += 1;
            } else {
                return Err(error::SYNTAX);
            }
            i += 1;
        }
        Ok(o)
    }
}

fn set(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let value = argv.at(2);
    if argv.len() == 3 {
        let place = cx.find_write(key);
        cx.store(key, place, cx.value(value), Expiry::Clear);
        cx.effects
            .changed(Class::String, "set", cx.db_index, key.bytes);
        cx.reply.ok();
        return Ok(());
    }
    let options = SetOptions::parse(argv)?;
    let expiry = match options.expiry {
        Some((arg, unit)) => Expiry::At(args::expiry_at_ms(arg, unit, cx.now_ms, "set")?),
        None if options.keep_ttl => Expiry::Keep,
        None => Expiry::Clear,
    };
    set_if(cx, key, value, &options, expiry)
}

/// Stores a string if the options' condition holds, and replies as they ask.
fn set_if(
    cx: &mut DataCx<'_>,
    key: Key<'_>,
    value: &[u8],
    options: &SetOptions<'_>,
    expiry: Expiry,
) -> Outcome {
    let place = if options.get {
        cx.find_read(key)
    } else {
        cx.find_write(key)
    };
    if options.get {
        match place {
            Some(place) => reply_string(cx, place)?,
            None => cx.reply.null(),
        }
    }
    let mut holds =
        !(options.only_if_absent && place.is_some() || options.only_if_present && place.is_none());
    if let Some(wanted) = options.only_if_equal {
        holds = match place {
            Some(place) => string_at(cx, place)?.bytes(&mut itoa::Buffer::new()) == wanted,
            None => false,
        };
    }
    if !holds {
        if !options.get {
            cx.reply.null();
        }
        return Ok(());
    }
    if !options.get {
        cx.reply.ok();
    }
    // A time that has passed already is stored all the same, and found expired at once.
    cx.store(key, place, cx.value(value), expiry);
    cx.effects
        .changed(Class::String, "set", cx.db_index, key.bytes);
    match expiry {
        Expiry::At(at) => {
            cx.effects
                .event(Class::Generic, "expire", cx.db_index, key.bytes);
            cx.effects.rewrite(&[
                b"SET",
                key.bytes,
                value,
                b"PXAT",
                itoa::Buffer::new().format(at).as_bytes(),
            ]);
        }
        _ => {
            if options.keep_ttl {
                cx.effects.rewrite(&[b"SET", key.bytes, value, b"KEEPTTL"]);
            } else if options.get || options.only_if_equal.is_some() {
                cx.effects.rewrite(&[b"SET", key.bytes, value]);
            }
        }
    }
    Ok(())
}

fn setnx(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    if place.is_none() {
        cx.store(key, None, cx.value(argv.at(2)), Expiry::Clear);
        cx.effects
            .changed(Class::String, "set", cx.db_index, key.bytes);
    }
    cx.reply.int(place.is_none().into());
    Ok(())
}

fn setex(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    set_with_expiry(cx, argv, Unit::Seconds, "setex")
}

fn psetex(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    set_with_expiry(cx, argv, Unit::Milliseconds, "psetex")
}

fn set_with_expiry(cx: &mut DataCx<'_>, argv: Argv<'_>, unit: Unit, command: &str) -> Outcome {
    let at = args::expiry_at_ms(argv.at(2), unit, cx.now_ms, command)?;
    let key = cx.key(argv, 1);
    set_if(cx, key, argv.at(3), &SetOptions::default(), Expiry::At(at))
}

fn mget(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    cx.reply.array(argv.len() - 1);
    for i in 1..argv.len() {
        let key = cx.key(argv, i);
        match cx.find_read(key) {
            Some(place) if cx.entry(place).string().is_some() => reply_string(cx, place)?,
            _ => cx.reply.null(),
        }
    }
    Ok(())
}

fn mset(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    if argv.len().is_multiple_of(2) {
        return Err(error::wrong_arity("mset"));
    }
    store_pairs(cx, argv);
    cx.reply.ok();
    Ok(())
}

fn msetnx(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    if argv.len().is_multiple_of(2) {
        return Err(error::wrong_arity("msetnx"));
    }
    for i in (1..argv.len()).step_by(2) {
        let key = cx.key(argv, i);
        if cx.find_write(key).is_some() {
            cx.reply.int(0);
            return Ok(());
        }
    }
    store_pairs(cx, argv);
    cx.reply.int(1);
    Ok(())
}

fn store_pairs(cx: &mut DataCx<'_>, argv: Argv<'_>) {
    for i in (1..argv.len()).step_by(2) {
        let key = cx.key(argv, i);
        let place = cx.find_write(key);
        cx.store(key, place, cx.value(argv.at(i + 1)), Expiry::Clear);
        cx.effects
            .changed(Class::String, "set", cx.db_index, key.bytes);
    }
}

fn incr(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    add(cx, cx.key(argv, 1), 1)
}

fn decr(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    add(cx, cx.key(argv, 1), -1)
}

fn incrby(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let by = integer(argv.at(2))?;
    add(cx, cx.key(argv, 1), by)
}

fn decrby(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let by = integer(argv.at(2))?
        .checked_neg()
        .ok_or(error::DECR_OVERFLOW)?;
    add(cx, cx.key(argv, 1), by)
}

fn add(cx: &mut DataCx<'_>, key: Key<'_>, by: i64) -> Outcome {
    let place = cx.find_write(key);
    let old = match place {
        Some(place) => string_at(cx, place)?
            .integer()
            .ok_or(error::NOT_AN_INTEGER)?,
        None => 0,
    };
    let new = old.checked_add(by).ok_or(error::INCR_OVERFLOW)?;
    cx.store(key, place, NewValue::Int(new), Expiry::Keep);
    cx.effects
        .changed(Class::String, "incrby", cx.db_index, key.bytes);
    cx.reply.int(new);
    Ok(())
}

fn incrbyfloat(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    let old = match place {
        Some(place) => {
            let mut digits = itoa::Buffer::new();
            LongDouble::parse(string_at(cx, place)?.bytes(&mut digits)).ok_or(error::NOT_A_FLOAT)?
        }
        None => LongDouble::parse(b"0").expect("zero is a number"),
    };
    let by = LongDouble::parse(argv.at(2)).ok_or(error::NOT_A_FLOAT)?;
    let new = old.checked_add(by).ok_or(error::INCR_NAN)?.format_human();
    // The result stays the text that it is, integral or not.
    cx.store(key, place, NewValue::text(&new), Expiry::Keep);
    cx.effects
        .changed(Class::String, "incrbyfloat", cx.db_index, key.bytes);
    cx.effects.rewrite(&[b"SET", key.bytes, &new, b"KEEPTTL"]);
    cx.reply.bulk(&new);
    Ok(())
}

/// Refuses a string longer than `proto-max-bulk-len`.
pub(super) fn check_length(cx: &DataCx<'_>, len: u64) -> Outcome {
    if len > cx.config.proto_max_bulk_len {
        Err(error::STRING_TOO_LONG)
    } else {
        Ok(())
    }
}

fn append(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let value = argv.at(2);
    let place = cx.find_write(key);
    let Some(at) = place else {
        cx.store(key, None, cx.value(value), Expiry::Clear);
        cx.effects
            .changed(Class::String, "append", cx.db_index, key.bytes);
        cx.reply.int(value.len() as i64);
        return Ok(());
    };
    let old = string_at(cx, at)?.len();
    check_length(cx, old as u64 + value.len() as u64)?;
    cx.edit_string(key, place, old + value.len(), |bytes| {
        bytes[old..].copy_from_slice(value)
    });
    cx.effects
        .changed(Class::String, "append", cx.db_index, key.bytes);
    cx.reply.int((old + value.len()) as i64);
    Ok(())
}

fn setrange(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let offset = integer(argv.at(2))?;
    if offset < 0 {
        return Err(error::OFFSET_OUT_OF_RANGE);
    }
    let value = argv.at(3);
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    let old = match place {
        Some(place) => string_at(cx, place)?.len(),
        None => 0,
    };
    if value.is_empty() {
        cx.reply.int(old as i64);
        return Ok(());
    }
    check_length(cx, (offset as u64).saturating_add(value.len() as u64))?;
    let (from, to) = (offset as usize, offset as usize + value.len());
    cx.edit_string(key, place, to, |bytes| {
        bytes[from..to].copy_from_slice(value)
    });
    cx.effects
        .changed(Class::String, "setrange", cx.db_index, key.bytes);
    cx.reply.int(old.max(to) as i64);
    Ok(())
}

fn strlen(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let len = match cx.find_read(cx.key(argv, 1)) {
        Some(place) => string_at(cx, place)?.len(),
        None => 0,
    };
    cx.reply.int(len as i64);
    Ok(())
}

fn getrange(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (start, end) = (integer(argv.at(2))?, integer(argv.at(3))?);
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_read(key) else {
        cx.reply.bulk(b"");
        return Ok(());
    };
    let mut digits = itoa::Buffer::new();
    let entry = cx.keyspace.db(cx.db_index).entry(place);
    let bytes = entry.string().ok_or(error::WRONG_TYPE)?.bytes(&mut digits);
    cx.reply.bulk(&bytes[range(start, end, bytes.len())]);
    Ok(())
}

/// The part of `len` bytes from `start` to `end`, both counted from the end if negative.
fn range(start: i64, end: i64, len: usize) -> std::ops::Range<usize> {
    let len = len as i64;
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let from_either_end = |at: i64| {
        if at < 0 {
            (len + at.max(-len - 1)).max(0)
        } else {
            at
        }
    };
    let (start, end) = (from_either_end(start), from_either_end(end).min(len - 1));
    if start > end || len == 0 {
        0..0
    } else {
        start as usize..end as usize + 1
    }
}

/// The options of LCS.
#[derive(Default)]
struct LcsOptions {
    length: bool,
    matches: bool,
    /// Shorter matches are left out.
    length_min: i64,
    with_lengths: bool,
}

impl LcsOptions {
    fn parse(argv: Argv<'_>) -> Result<LcsOptions, ErrorReply> {
        let mut o = LcsOptions::default();
        let mut i = 3;
        while let Some(option) = argv.get(i) {
            if is(option, "IDX") {
                o.matches = true;
            } else if is(option, "LEN") {
                o.length = true;
            } else if is(option, "WITHMATCHLEN") {
                o.with_lengths = true;
            } else if is(option, "MINMATCHLEN") {
                o.length_min = integer(args::after(argv, i)?)?;
                i += 1;
            } else {
                return Err(error::SYNTAX);
            }
            i += 1;
        }
        if o.length && o.matches {
            return Err("ERR If you want both the length and indexes, please just use IDX.".into());
        }
        Ok(o)
    }
}

fn lcs(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    // Both are looked up before either is refused.
    let first = lcs_source(cx, cx.key(argv, 1));
    let (second, first) = (lcs_source(cx, cx.key(argv, 2))?, first?);
    let options = LcsOptions::parse(argv)?;
    let limit = cx.config.proto_max_bulk_len;
    if options.length {
        let length = data::lcs::length(&first, &second, limit).map_err(lcs_refused)?;
        cx.reply.int(length as i64);
        return Ok(());
    }
    let lcs = Lcs::new(&first, &second, limit).map_err(lcs_refused)?;
    if !options.matches {
        cx.reply.bulk(&lcs.bytes());
        return Ok(());
    }
    cx.reply.map(2);
    cx.reply.bulk(b"matches");
    let (header, mut count) = (cx.reply.defer_array(), 0);
    for found in lcs
        .matches()
        .filter(|m| m.first.len() as i64 >= options.length_min)
    {
        cx.reply.array(2 + usize::from(options.with_lengths));
        for part in [&found.first, &found.second] {
            cx.reply.array(2);
            cx.reply.int(part.start as i64);
            cx.reply.int(part.end as i64 - 1);
        }
        if options.with_lengths {
            cx.reply.int(found.first.len() as i64);
        }
        count += 1;
    }
    cx.reply.end_array(header, count);
    cx.reply.bulk(b"len");
    cx.reply.int(lcs.length() as i64);
    Ok(())
}

/// A copy of a string to compare: looking up the other one may remove keys.
fn lcs_source(cx: &mut DataCx<'_>, key: Key<'_>) -> Result<Vec<u8>, ErrorReply> {
    let Some(place) = cx.find_read(key) else {
        return Ok(Vec::new());
    };
    let string =
        string_at(cx, place).map_err(|_| "ERR The specified keys must contain string values")?;
    Ok(string.bytes(&mut itoa::Buffer::new()).to_vec())
}

fn lcs_refused(error: data::lcs::Error) -> ErrorReply {
    match error {
        data::lcs::Error::TooLong => "ERR String too long for LCS",
        data::lcs::Error::OverLimit => {
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
        }
        data::lcs::Error::OutOfMemory => {
            "ERR Insufficient memory, failed allocating transient memory for LCS"
        }
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_from_both_ends() {
        let check = |start, end, expected: &str| {
            assert_eq!(
                &"Hello World"[range(start, end, 11)],
                expected,
                "{start} {end}"
            )
        };
        check(0, 3, "Hell");
        check(0, -1, "Hello World");
        check(-4, -1, "orld");
        check(5, 3, "");
        check(5, 5000, " World");
        check(-5000, 10000, "Hello World");
        check(0, -100, "H");
        check(i64::MIN, i64::MAX, "Hello World");
        check(-1, -100, "");
        assert_eq!(range(0, 0, 0), 0..0);
    }
}
