//! HyperLogLogs: strings that tell how many different elements were added to them, about.
//!
//! This file owns which strings count as one, how a change is written back and stated, and the errors;
//! registers, encodings and estimates are `data::hyperloglog`'s.
//!
//! A dense string is changed in place. A sparse one grows and shrinks with every change, and a client
//! may have broken it: it is edited in a copy, of 3000 bytes at most as a rule, which replaces it only if
//! all went well. Adding what changes nothing, by far the most frequent case, copies nothing.

use super::args::is;
use super::string::string_at;
use crate::data::hyperloglog::{
    self, Corrupted, DENSE_BYTES, EMPTY, Element, HyperLogLog, Registers, Run,
};
use crate::keyspace::db::{Expiry, Key};
use crate::keyspace::effects::Class;
use crate::keyspace::value::{EMBSTR_MAX, NewValue, StringRef};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::{DataCx, Place};

const G: Group = Group::Hyperloglog;
/// With how many elements PFSELFTEST tests.
const SELF_TEST_ELEMENTS: u64 = 10_000_000;

const NOT_A_HYPERLOGLOG: ErrorReply =
    ErrorReply::Fixed("WRONGTYPE Key is not a valid HyperLogLog string value.");
const CORRUPTED: ErrorReply = ErrorReply::Fixed("INVALIDOBJ Corrupted HLL object detected");

/// The family's table.
pub static COMMANDS: &[Command] = &[
    cmd("pfadd", -2, Data(pfadd))
        .group(G)
        .since("2.8.9")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | INSERT)])
        .doc("Adds elements to a HyperLogLog, and creates it if need be.", "O(1) for every element")
        .usage("key [element [element ...]]"),
    cmd("pfcount", -2, Data(pfcount))
        .group(G)
        .since("2.8.9")
        .flags(READONLY | MAY_REPLICATE)
        .keys(&[FIRST.to_end(1).flags(RW | ACCESS).notes(
            "RW because it may change the internal representation of the key, and propagate to replicas",
        )])
        .doc(
            "Estimates how many different elements were added to one or several HyperLogLogs.",
            "O(1) for one key, mostly by a kept count; O(N) with a large constant for N keys",
        )
        .usage("key [key ...]"),
    cmd("pfdebug", 3, Data(pfdebug))
        .group(G)
        .since("2.8.9")
        .flags(WRITE | DENYOOM | ADMIN)
        .keys(&[KeySpec::at(2).flags(RW | ACCESS)])
        .doc("Shows and converts the registers of a HyperLogLog.", "N/A")
        .usage("subcommand key"),
    cmd("pfmerge", -2, Data(pfmerge))
        .group(G)
        .since("2.8.9")
        .flags(WRITE | DENYOOM)
        .keys(&[
            FIRST.flags(RW | ACCESS | INSERT),
            KeySpec::at(2).to_end(1).flags(RO | ACCESS),
        ])
        .doc("Merges HyperLogLogs into one.", "O(N) with a large constant for N keys")
        .usage("destkey [sourcekey [sourcekey ...]]"),
    cmd("pfselftest", 1, Data(pfselftest))
        .group(G)
        .since("2.8.9")
        .flags(ADMIN)
        .doc("Tests the registers and estimates of HyperLogLogs.", "N/A")
        .usage(""),
];

impl From<Corrupted> for ErrorReply {
    fn from(_: Corrupted) -> ErrorReply {
        CORRUPTED
    }
}

/// The HyperLogLog at a place, or the error that it is none.
fn at<'a>(cx: &'a DataCx<'_>, place: Place) -> Result<HyperLogLog<'a>, ErrorReply> {
    match string_at(cx, place)? {
        StringRef::Bytes(bytes) => HyperLogLog::parse(bytes).ok_or(NOT_A_HYPERLOGLOG),
        StringRef::Int(_) => Err(NOT_A_HYPERLOGLOG),
    }
}

/// The bytes of what [`at`] found to be a HyperLogLog.
fn bytes_at<'a>(cx: &'a DataCx<'_>, place: Place) -> &'a [u8] {
    match cx.entry(place).string() {
        Some(StringRef::Bytes(bytes)) => bytes,
        _ => unreachable!("a HyperLogLog is a string of bytes"),
    }
}

/// A HyperLogLog that a command with `RW` keys used is `raw` to OBJECT ENCODING, changed or not.
fn mark_raw(cx: &mut DataCx<'_>, key: Key<'_>, place: Place) {
    if bytes_at(cx, place).len() <= EMBSTR_MAX {
        cx.edit_string(key, Some(place), 0, |_| {});
    }
}

/// Puts an edited copy in the place of a string.
fn store(cx: &mut DataCx<'_>, key: Key<'_>, place: Option<Place>, mut string: Vec<u8>) {
    string.shrink_to_fit();
    cx.store(key, place, NewValue::edited(&mut string), Expiry::Keep);
}

fn sparse_bytes_max(cx: &DataCx<'_>) -> usize {
    usize::try_from(cx.config.hll_sparse_max_bytes).unwrap_or(usize::MAX)
}

fn pfadd(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let elements = argv.tail(2);
    let updates = match cx.find_write(key) {
        Some(place) if at(cx, place)?.is_dense() => add_in_place(cx, key, place, elements),
        Some(place) => {
            mark_raw(cx, key, place);
            add_in_copy(cx, key, place, elements)?
        }
        None => {
            let mut string = EMPTY.to_vec();
            let elements = elements.iter().map(Element::of);
            let updates = 1 + add_all(&mut string, elements, sparse_bytes_max(cx))?;
            store(cx, key, None, string);
            updates
        }
    };
    if updates > 0 {
        cx.effects
            .changed(Class::String, "pfadd", cx.db_index, key.bytes);
        cx.effects.dirty += updates - 1;
    }
    cx.reply.int((updates > 0).into());
    Ok(())
}

/// Adds to a dense string, and returns how many elements changed it.
fn add_in_place(cx: &mut DataCx<'_>, key: Key<'_>, place: Place, elements: Argv<'_>) -> u64 {
    let mut updates = 0;
    cx.edit_string(key, Some(place), DENSE_BYTES, |string| {
        for element in elements.iter() {
            updates += u64::from(hyperloglog::add_dense(string, Element::of(element)));
        }
    });
    updates
}

/// Adds to a sparse string, and returns how many elements changed it; it may be dense afterwards.
fn add_in_copy(
    cx: &mut DataCx<'_>,
    key: Key<'_>,
    place: Place,
    elements: Argv<'_>,
) -> Result<u64, ErrorReply> {
    let old = at(cx, place)?;
    let mut elements = elements.iter().map(Element::of);
    let news = loop {
        match elements.next() {
            Some(element) if old.would_change(element)? => {
                break std::iter::once(element).chain(elements);
            }
            Some(_) => {}
            None => return Ok(0),
        }
    };
    let mut string = bytes_at(cx, place).to_vec();
    let updates = add_all(&mut string, news, sparse_bytes_max(cx))?;
    store(cx, key, Some(place), string);
    Ok(updates)
}

fn add_all(
    string: &mut Vec<u8>,
    elements: impl Iterator<Item = Element>,
    sparse_bytes_max: usize,
) -> Result<u64, Corrupted> {
    let mut updates = 0;
    for element in elements {
        updates += u64::from(hyperloglog::add(string, element, sparse_bytes_max)?);
    }
    Ok(updates)
}

fn pfcount(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let count = if argv.len() == 2 {
        count_one(cx, cx.key(argv, 1))?
    } else {
        let mut union = Registers::new();
        merge_all(cx, argv, &mut union)?;
        union.count()
    };
    cx.reply.int(count as i64);
    Ok(())
}

/// The count of a single key, which is kept with it. That is a change to the data set.
fn count_one(cx: &mut DataCx<'_>, key: Key<'_>) -> Result<u64, ErrorReply> {
    let Some(place) = cx.find_read(key) else {
        return Ok(0);
    };
    let hll = at(cx, place)?;
    if let Some(count) = hll.cached_count() {
        mark_raw(cx, key, place);
        return Ok(count);
    }
    let count = hll.count()?;
    cx.edit_string(key, Some(place), 0, |string| {
        hyperloglog::set_count(string, count)
    });
    cx.effects.touched(cx.db_index, key.bytes);
    Ok(count)
}

/// Takes all keys of a command into a union, and says whether one of them is dense.
fn merge_all(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    union: &mut Registers,
) -> Result<bool, ErrorReply> {
    let mut any_dense = false;
    for index in 1..argv.len() {
        if let Some(place) = cx.find_read(cx.key(argv, index)) {
            let hll = at(cx, place)?;
            any_dense |= hll.is_dense();
            union.merge(hll)?;
        }
    }
    Ok(any_dense)
}

fn pfmerge(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let mut union = Registers::new();
    let want_dense = merge_all(cx, argv, &mut union)?;
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    match place {
        Some(place) if at(cx, place)?.is_dense() => {
            cx.edit_string(key, Some(place), DENSE_BYTES, |string| {
                hyperloglog::raise_dense(string, &union)
            });
        }
        _ => {
            let mut string = match place {
                Some(place) => bytes_at(cx, place).to_vec(),
                None => EMPTY.to_vec(),
            };
            hyperloglog::raise(&mut string, &union, want_dense, sparse_bytes_max(cx));
            store(cx, key, place, string);
        }
    }
    cx.effects
        .changed(Class::String, "pfadd", cx.db_index, key.bytes);
    cx.reply.ok();
    Ok(())
}

fn pfdebug(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let subcommand = argv.at(1);
    if is(subcommand, "SIMD") {
        return simd(cx, argv.at(2));
    }
    let key = cx.key(argv, 2);
    let Some(place) = cx.find_write(key) else {
        return Err("ERR The specified key does not exist".into());
    };
    at(cx, place)?;
    mark_raw(cx, key, place);
    match () {
        _ if is(subcommand, "GETREG") => getreg(cx, key, place),
        _ if is(subcommand, "DECODE") => decode(cx, place),
        _ if is(subcommand, "ENCODING") => {
            let is_dense = at(cx, place)?.is_dense();
            cx.reply.simple(if is_dense { "dense" } else { "sparse" });
            Ok(())
        }
        _ if is(subcommand, "TODENSE") => {
            let converted = make_dense(cx, key, place)?;
            cx.reply.int(converted.into());
            Ok(())
        }
        _ => Err(unknown_subcommand(subcommand)),
    }
}

fn unknown_subcommand(name: &[u8]) -> ErrorReply {
    let name = error::quotable(name, usize::MAX);
    [b"ERR Unknown PFDEBUG subcommand '", name, b"'"]
        .concat()
        .into()
}

/// Switches code for vector instructions on and off, elsewhere. There is one code here, for all.
fn simd(cx: &mut DataCx<'_>, switch: &[u8]) -> Outcome {
    if !is(switch, "ON") && !is(switch, "OFF") {
        return Err("ERR Argument must be ON or OFF".into());
    }
    cx.reply.simple("disabled");
    Ok(())
}

/// Makes a sparse string dense, which counts as a change; whether it was sparse.
fn make_dense(cx: &mut DataCx<'_>, key: Key<'_>, place: Place) -> Result<bool, ErrorReply> {
    let hll = at(cx, place)?;
    if hll.is_dense() {
        return Ok(false);
    }
    let string = hll.to_dense()?;
    store(cx, key, Some(place), string);
    cx.effects.dirty += 1;
    Ok(true)
}

fn getreg(cx: &mut DataCx<'_>, key: Key<'_>, place: Place) -> Outcome {
    make_dense(cx, key, place)?;
    let place = cx.db().find(key).expect("found before");
    let mut registers = Registers::new();
    registers.merge(at(cx, place)?)?;
    cx.reply.array(registers.values().len());
    for &value in registers.values() {
        cx.reply.int(value.into());
    }
    Ok(())
}

fn decode(cx: &mut DataCx<'_>, place: Place) -> Outcome {
    let Some(runs) = at(cx, place)?.runs() else {
        return Err("ERR HLL encoding is not sparse".into());
    };
    let mut text = String::new();
    for run in runs {
        if !text.is_empty() {
            text.push(' ');
        }
        text += &match run {
            Run {
                len,
                value: 0,
                is_wide: false,
            } => format!("z:{len}"),
            Run {
                len,
                value: 0,
                is_wide: true,
            } => format!("Z:{len}"),
            Run { len, value, .. } => format!("v:{value},{len}"),
        };
    }
    cx.reply.bulk(text.as_bytes());
    Ok(())
}

fn pfselftest(cx: &mut DataCx<'_>, _: Argv<'_>) -> Outcome {
    let sparse_bytes_max = sparse_bytes_max(cx);
    hyperloglog::self_test(&mut cx.keyspace.rng, SELF_TEST_ELEMENTS, sparse_bytes_max)
        .map_err(|what| format!("ERR {what}"))?;
    cx.reply.ok();
    Ok(())
}
