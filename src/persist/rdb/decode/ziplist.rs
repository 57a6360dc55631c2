//! Ziplists, the packed form of small collections before Redis 7:
//!
//! ```text
//!   | total bytes: u32 | offset of the last entry: u32 | count: u16 | entry | entry | ... | 0xff |
//!
//!   entry: | size of the entry before | tag, with a part of what follows | rest |
//! ```
//!
//! The size before is one byte, or 254 and four. The tags:
//!
//! ```text
//!   00pppppp                      a text of up to 63 bytes
//!   01pppppp qqqqqqqq             a text of 14 bits of length, high bits first
//!   10000000 u32, high bits first a longer text
//!   11000000, 11010000, 11100000  an integer of 16, 32, 64 bits
//!   11110000, 11111110            an integer of 24, 8 bits
//!   1111xxxx                      an integer, xxxx - 1, from 0 to 12
//! ```
//!
//! All other numbers have their low bits first.

use super::super::input::Fault;
use crate::data::listpack::ListpackBuf;

const WRONG: Fault = Fault::Corrupt("Ziplist integrity check failed.");
const HEADER: usize = 10;
const END: u8 = 0xff;

/// The elements of a ziplist from anywhere as a listpack.
pub fn to_listpack(bytes: &[u8]) -> Result<ListpackBuf, Fault> {
    let (header, [END]) = bytes.split_last_chunk().ok_or(WRONG)? else {
        return Err(WRONG);
    };
    let (header, mut rest) = header.split_first_chunk::<HEADER>().ok_or(WRONG)?;
    let [a, b, c, d, e, f, g, h, i, j] = *header;
    let total = u32::from_le_bytes([a, b, c, d]);
    let last = u32::from_le_bytes([e, f, g, h]);
    let count = u16::from_le_bytes([i, j]);
    if usize::try_from(total) != Ok(bytes.len()) {
        return Err(WRONG);
    }
    let mut pack = ListpackBuf::new_in(Vec::with_capacity(bytes.len()));
    let (mut found, mut size_before, mut last_at) = (0u32, 0, HEADER);
    while !rest.is_empty() {
        last_at = bytes.len() - 1 - rest.len();
        let (entry, behind) = read(rest, size_before).ok_or(WRONG)?;
        match entry {
            Entry::Text(text) => pack.push_back(text),
            Entry::Int(value) => pack.push_back_int(value),
        }
        size_before = rest.len() - behind.len();
        rest = behind;
        found += 1;
    }
    let is_counted = count == u16::MAX || u32::from(count) == found;
    if usize::try_from(last) != Ok(last_at) || !is_counted {
        return Err(WRONG);
    }
    Ok(pack)
}

enum Entry<'a> {
    Text(&'a [u8]),
    Int(i64),
}

/// The entry that bytes begin with, and what is behind it.
fn read(bytes: &[u8], size_before: usize) -> Option<(Entry<'_>, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut said = usize::from(first);
    if first == 254 {
        let (size, behind) = rest.split_first_chunk()?;
        said = u32::from_le_bytes(*size) as usize;
        rest = behind;
    }
    if first == 255 || said != size_before {
        return None;
    }
    let (&tag, rest) = rest.split_first()?;
    let low = usize::from(tag & 0x3f);
    match tag {
        0..0x40 => text(rest, low),
        0x40..0x80 => {
            let (&next, rest) = rest.split_first()?;
            text(rest, low << 8 | usize::from(next))
        }
        0x80 => {
            let (len, rest) = rest.split_first_chunk()?;
            text(rest, u32::from_be_bytes(*len) as usize)
        }
        0xc0 => int(rest, 2),
        0xd0 => int(rest, 4),
        0xe0 => int(rest, 8),
        0xf0 => int(rest, 3),
        0xfe => int(rest, 1),
        0xf1..=0xfd => Some((Entry::Int(i64::from(tag & 0xf) - 1), rest)),
        _ => None,
    }
}

fn text(bytes: &[u8], len: usize) -> Option<(Entry<'_>, &[u8])> {
    let (text, rest) = bytes.split_at_checked(len)?;
    Some((Entry::Text(text), rest))
}

fn int(bytes: &[u8], width: usize) -> Option<(Entry<'_>, &[u8])> {
    let (low, rest) = bytes.split_at_checked(width)?;
    let mut all = [0; 8];
    all[8 - width..].copy_from_slice(low);
    let value = i64::from_le_bytes(all) >> (64 - 8 * width);
    Some((Entry::Int(value), rest))
}
