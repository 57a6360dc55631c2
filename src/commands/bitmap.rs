//! Bitmaps: strings as arrays of bits, bit 0 being the highest of the first byte.
//!
//! This file owns which bits a client may name, how far and with what errors; what is computed over
//! them is `data::bits`'s. Fields of several bits are `bitfield`'s.

use super::args::{integer, integer_in, is};
use super::string::string_at;
use crate::base::num::parse_i64;
use crate::data::bits::{self, Operation};
use crate::keyspace::db::{Expiry, Key};
use crate::keyspace::effects::Class;
use crate::keyspace::value::{NewValue, StringRef};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::DataCx;
use std::borrow::Cow;

const G: Group = Group::Bitmap;

/// The family's table, but for fields.
pub static COMMANDS: &[Command] = &[
    cmd("bitcount", -2, Data(bitcount))
        .group(G)
        .since("2.6.0")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Counts the ones in a string or a part of it.", "O(N) in the length of the part")
        .usage("key [start [end [BYTE|BIT]]]")
        .history(&[
            ("7.0.0", "Added the `BYTE|BIT` option."),
            ("8.0.0", "`end` made optional; when called without argument the command reports the last BYTE."),
        ]),
    cmd("bitop", -4, Data(bitop))
        .group(G)
        .since("2.6.0")
        .flags(WRITE | DENYOOM)
        .keys(&[KeySpec::at(2).flags(OW | UPDATE), KeySpec::at(3).to_end(1).flags(RO | ACCESS)])
        .doc("Combines strings bit by bit, and stores the result.", "O(N) in the length of the longest string")
        .usage("AND|OR|XOR|NOT destkey key [key ...]"),
    cmd("bitpos", -3, Data(bitpos))
        .group(G)
        .since("2.8.7")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Finds the first one or the first zero in a string or a part of it.", "O(N) in the length of the part")
        .usage("key bit [start [end [BYTE|BIT]]]")
        .history(&[("7.0.0", "Added the `BYTE|BIT` option.")]),
    cmd("getbit", 3, Data(getbit))
        .group(G)
        .since("2.2.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns a bit of a string.", "O(1)")
        .usage("key offset"),
    cmd("setbit", 4, Data(setbit))
        .group(G)
        .since("2.2.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE)])
        .doc("Sets or clears a bit of a string, lengthens it if need be, and returns what the bit was.", "O(1), but for lengthening")
        .usage("key offset value"),
];

/// The offset of a bit that an argument names, below what a string may hold. With `field_bits`,
/// `#3` is the offset of the fourth field of so many bits.
pub(super) fn bit_offset(
    cx: &DataCx<'_>,
    arg: &[u8],
    field_bits: Option<u32>,
) -> Result<u64, ErrorReply> {
    let (digits, unit) = match (arg, field_bits) {
        ([b'#', digits @ ..], Some(bits)) => (digits, bits as i64),
        _ => (arg, 1),
    };
    // A product beyond 64 bits wraps around, as it does in Redis.
    let offset = parse_i64(digits)
        .map(|n| n.wrapping_mul(unit))
        .and_then(|n| u64::try_from(n).ok());
    offset
        .filter(|offset| offset / 8 < cx.config.proto_max_bulk_len)
        .ok_or(error::BIT_OFFSET)
}

/// The string of a key, empty if there is none, for `with` to read.
pub(super) fn read_string<T>(
    cx: &mut DataCx<'_>,
    key: Key<'_>,
    with: impl FnOnce(Option<&[u8]>) -> T,
) -> Result<T, ErrorReply> {
    match cx.find_read(key) {
        Some(place) => Ok(with(Some(
            string_at(cx, place)?.bytes(&mut itoa::Buffer::new()),
        ))),
        None => Ok(with(None)),
    }
}

fn getbit(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let offset = bit_offset(cx, argv.at(2), None)?;
    let bit = read_string(cx, cx.key(argv, 1), |bytes| {
        bits::get_bit(bytes.unwrap_or_default(), offset)
    })?;
    cx.reply.int(bit.into());
    Ok(())
}

fn setbit(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let offset = bit_offset(cx, argv.at(2), None)?;
    let new = integer_in(argv.at(3), 0..=1, error::BIT_VALUE)? == 1;
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    let old_len = match place {
        Some(place) => Some(string_at(cx, place)?.len()),
        None => None,
    };
    let len = (offset / 8) as usize + 1;
    let mut old = false;
    cx.edit_string(key, place, len, |bytes| {
        old = bits::set_bit(bytes, offset, new)
    });
    if old != new || old_len.is_none_or(|old_len| old_len < len) {
        cx.effects
            .changed(Class::String, "setbit", cx.db_index, key.bytes);
    }
    cx.reply.int(old.into());
    Ok(())
}

/// A part of a string as BITCOUNT and BITPOS are given it.
struct Part {
    start: i64,
    /// The end, included; that of the string if it is not said.
    end: Option<i64>,
    in_bits: bool,
}

impl Part {
    /// The part that the arguments from `from` on say, of which there are three at most.
    fn parse(argv: Argv<'_>, from: usize) -> Result<Option<Part>, ErrorReply> {
        if argv.len() > from + 3 {
            return Err(error::SYNTAX);
        }
        let Some(start) = argv.get(from) else {
            return Ok(None);
        };
        let start = integer(start)?;
        let in_bits = match argv.get(from + 2) {
            None => false,
            Some(unit) if is(unit, "BIT") => true,
            Some(unit) if is(unit, "BYTE") => false,
            Some(_) => return Err(error::SYNTAX),
        };
        let end = argv.get(from + 1).map(integer).transpose()?;
        Ok(Some(Part {
            start,
            end,
            in_bits,
        }))
    }

    /// The first and the last bit of the part in a string of `len` bytes, if it is not empty.
    fn bits(&self, len: usize) -> Option<(u64, u64)> {
        let unit_bits = if self.in_bits { 1 } else { 8 };
        let len = (len * 8 / unit_bits) as i64;
        let from_either_end = |at: i64| if at < 0 { (len + at).max(0) } else { at };
        let start = from_either_end(self.start);
        let end = from_either_end(self.end.unwrap_or(-1)).min(len - 1);
        let unit_bits = unit_bits as u64;
        (start <= end).then(|| {
            (
                start as u64 * unit_bits,
                end as u64 * unit_bits + unit_bits - 1,
            )
        })
    }

    /// Whether both ends count from the end of the string and in the wrong order. Beyond the
    /// string's start they would fall together and be a part of one element.
    fn is_reversed_from_end(&self) -> bool {
        self.end
            .is_some_and(|end| self.start < 0 && end < 0 && self.start > end)
    }
}

const WHOLE: Part = Part {
    start: 0,
    end: None,
    in_bits: false,
};

fn bitcount(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let part = Part::parse(argv, 2)?.unwrap_or(WHOLE);
    let count = read_string(cx, cx.key(argv, 1), |bytes| {
        let bytes = bytes.unwrap_or_default();
        match part.bits(bytes.len()) {
            Some((start, end)) if !part.is_reversed_from_end() => {
                bits::count_range(bytes, start, end)
            }
            _ => 0,
        }
    })?;
    cx.reply.int(count as i64);
    Ok(())
}

fn bitpos(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    const NOT_FOUND: i64 = -1;
    let bit = match integer(argv.at(2))? {
        0 => false,
        1 => true,
        _ => return Err("ERR The bit argument must be 1 or 0.".into()),
    };
    let part = Part::parse(argv, 3)?.unwrap_or(WHOLE);
    let position = read_string(cx, cx.key(argv, 1), |bytes| {
        // Whatever part of it is asked for, a missing string has zeros from the start on.
        let Some(bytes) = bytes else {
            return if bit { NOT_FOUND } else { 0 };
        };
        let Some((start, end)) = part.bits(bytes.len()) else {
            return NOT_FOUND;
        };
        match bits::position(bytes, bit, start, end) {
            Some(at) => at as i64,
            // Zeros go on behind the string, unless its end is the end of what was asked for.
            None if !bit && part.end.is_none() => end as i64 + 1,
            None => NOT_FOUND,
        }
    })?;
    cx.reply.int(position);
    Ok(())
}

fn bitop(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let operation = match argv.at(1) {
        name if is(name, "AND") => Operation::And,
        name if is(name, "OR") => Operation::Or,
        name if is(name, "XOR") => Operation::Xor,
        name if is(name, "NOT") => Operation::Not,
        _ => return Err(error::SYNTAX),
    };
    if matches!(operation, Operation::Not) && argv.len() != 4 {
        return Err("ERR BITOP NOT must be called with a single source key.".into());
    }
    let mut result = combined(cx, argv.tail(3), operation)?;
    let len = result.len();
    let key = cx.key(argv, 2);
    let place = cx.find_write(key);
    if len > 0 {
        cx.store(key, place, NewValue::edited(&mut result), Expiry::Clear);
        cx.effects
            .changed(Class::String, "set", cx.db_index, key.bytes);
    } else if let Some(place) = place {
        cx.delete(key, place, cx.config.lazyfree_lazy_server_del);
        cx.effects
            .changed(Class::Generic, "del", cx.db_index, key.bytes);
    }
    cx.reply.int(len as i64);
    Ok(())
}

/// What comes of the strings of some keys, of which those that are not there count as empty.
fn combined(
    cx: &mut DataCx<'_>,
    names: Argv<'_>,
    operation: Operation,
) -> Result<Vec<u8>, ErrorReply> {
    let mut keys = Vec::with_capacity(names.len());
    for name in names.iter() {
        let key = cx.keyspace.key(name);
        let place = cx.find_read(key);
        if let Some(place) = place {
            string_at(cx, place)?;
        }
        keys.push(place.map(|_| key));
    }
    // All are found again now that no lookup can move them any more by removing an expired key.
    let db = cx.db();
    let sources: Vec<Cow<'_, [u8]>> = keys
        .into_iter()
        .map(|key| {
            let place = key.and_then(|key| db.find(key));
            match place.and_then(|place| db.entry(place).string()) {
                Some(StringRef::Bytes(bytes)) => bytes.into(),
                Some(StringRef::Int(n)) => itoa::Buffer::new().format(n).as_bytes().to_vec().into(),
                None => Cow::default(),
            }
        })
        .collect();
    let sources: Vec<&[u8]> = sources.iter().map(|source| &**source).collect();
    Ok(bits::combine(operation, &sources))
}

#[cfg(test)]
mod tests {
    use super::Part;

    #[test]
    fn parts_of_a_string() {
        let check = |start, end: Option<i64>, in_bits, expected| {
            let part = Part {
                start,
                end,
                in_bits,
            };
            assert_eq!(part.bits(3), expected, "{start} {end:?} {in_bits}");
        };
        check(0, None, false, Some((0, 23)));
        check(0, Some(-1), false, Some((0, 23)));
        check(1, Some(1), false, Some((8, 15)));
        check(-1, None, false, Some((16, 23)));
        check(-100, Some(0), false, Some((0, 7)));
        check(-100, Some(-200), false, Some((0, 7)));
        check(2, Some(1), false, None);
        check(3, Some(100), false, None);
        check(i64::MIN, Some(i64::MAX), true, Some((0, 23)));
        check(5, Some(6), true, Some((5, 6)));
        check(-1, Some(-1), true, Some((23, 23)));
        let empty = Part {
            start: 0,
            end: Some(-1),
            in_bits: true,
        };
        assert_eq!(empty.bits(0), None);
    }
}
