//! One element of a listpack: reading it, stepping over it both ways, checking it, writing it.
//!
//! The forms are listed in the parent's doc. Everything here but [`read_untrusted`] trusts the bytes.

use super::Item;
use crate::base::num::parse_i64;

// The tags, or the first of those that carry a part of the value or the length.
pub(super) const TEXT_6: u8 = 0x80;
const INT_13: u8 = 0xc0;
pub(super) const TEXT_12: u8 = 0xe0;
const TEXT_12_LAST: u8 = 0xef;
pub(super) const TEXT_32: u8 = 0xf0;
const INT_16: u8 = 0xf1;
const INT_24: u8 = 0xf2;
const INT_32: u8 = 0xf3;
const INT_64: u8 = 0xf4;

pub(super) const TEXT_6_MAX: usize = (1 << 6) - 1;
const TEXT_12_MAX: usize = (1 << 12) - 1;
const BACKLEN_MAX: usize = 5;

/// What the element holds that the bytes begin with, and its size, if there is a whole and right one.
#[inline]
pub(super) fn read_untrusted(bytes: &[u8]) -> Option<(Item<'_>, usize)> {
    // Nearly all elements are short texts and small integers.
    match *bytes.first()? {
        tag @ TEXT_6..INT_13 => {
            let len = 1 + usize::from(tag - TEXT_6);
            let found = usize::from(*bytes.get(len)?);
            (found == len).then_some((Item::Bytes(&bytes[1..len]), len + 1))
        }
        tag @ 0..TEXT_6 => (*bytes.get(1)? == 1).then_some((Item::Int(i64::from(tag)), 2)),
        _ => read_untrusted_other(bytes),
    }
}

fn read_untrusted_other(bytes: &[u8]) -> Option<(Item<'_>, usize)> {
    let (head_len, text_len) = match *bytes {
        [tag @ TEXT_12..=TEXT_12_LAST, low, ..] => (2, text_12_len(tag, low)),
        [TEXT_32, a, b, c, d, ..] => (5, u32::from_le_bytes([a, b, c, d]) as usize),
        [tag @ (INT_13..TEXT_12 | INT_16..=INT_64), ..] => {
            (usize::from(LENS[usize::from(tag)]) - 1, 0)
        }
        _ => return None,
    };
    let behind_head = bytes.get(head_len..)?;
    let found = behind_head.get(text_len..)?;
    let len = head_len + text_len;
    let (backlen, backlen_len) = backlen(len);
    let is_whole = found.starts_with(&backlen[..backlen_len]);
    is_whole.then(|| (read(bytes, 0).0, len + backlen_len))
}

/// The size of an element by its tag, its backlen included; 0 where the tag does not tell.
pub(super) const LENS: [u8; 256] = {
    let mut lens = [0; 256];
    let mut tag = 0;
    while tag < 256 {
        lens[tag] = match tag as u8 {
            0..TEXT_6 => 2,
            text @ TEXT_6..INT_13 => 1 + (text - TEXT_6) + 1,
            INT_13..TEXT_12 => 3,
            INT_16 => 4,
            INT_24 => 5,
            INT_32 => 6,
            INT_64 => 10,
            _ => 0,
        };
        tag += 1;
    }
    lens
};

/// Where the element at `at` ends.
#[inline]
pub(super) fn element_end(bytes: &[u8], at: usize) -> usize {
    match LENS[usize::from(bytes[at])] {
        0 => {
            let (_, len) = read(bytes, at);
            at + len + backlen_len(len)
        }
        len => at + usize::from(len),
    }
}

/// Where the element begins that ends at `end`.
#[inline]
pub(super) fn element_start(bytes: &[u8], end: usize) -> usize {
    let last = bytes[end - 1];
    if last < 0x80 {
        return end - 1 - usize::from(last);
    }
    let mut len = 0;
    for groups in 0..BACKLEN_MAX {
        let group = bytes[end - 1 - groups];
        len |= usize::from(group & 0x7f) << (7 * groups);
        if group < 0x80 {
            return end - (groups + 1) - len;
        }
    }
    panic!("a backlen of more than {BACKLEN_MAX} bytes before byte {end} of a listpack");
}

/// What the element at `at` holds, and its size without the backlen.
#[inline]
pub(super) fn read(bytes: &[u8], at: usize) -> (Item<'_>, usize) {
    let text = |head_len: usize, len: usize| {
        let text = &bytes[at + head_len..at + head_len + len];
        (Item::Bytes(text), head_len + len)
    };
    match bytes[at] {
        tag @ 0..TEXT_6 => (Item::Int(i64::from(tag)), 1),
        tag @ TEXT_6..INT_13 => text(1, usize::from(tag - TEXT_6)),
        tag @ INT_13..TEXT_12 => {
            // The sign bit moves to the top, and back with its copies.
            let high = i16::from_be_bytes([tag << 3, 0]);
            let value = (high | i16::from(bytes[at + 1]) << 3) >> 3;
            (Item::Int(i64::from(value)), 2)
        }
        tag @ TEXT_12..=TEXT_12_LAST => text(2, text_12_len(tag, bytes[at + 1])),
        TEXT_32 => text(5, u32::from_le_bytes(fixed(bytes, at + 1)) as usize),
        INT_16 => {
            let value = i16::from_le_bytes(fixed(bytes, at + 1));
            (Item::Int(i64::from(value)), 3)
        }
        INT_24 => {
            let [low, middle, high] = fixed(bytes, at + 1);
            let value = i32::from_le_bytes([0, low, middle, high]) >> 8;
            (Item::Int(i64::from(value)), 4)
        }
        INT_32 => {
            let value = i32::from_le_bytes(fixed(bytes, at + 1));
            (Item::Int(i64::from(value)), 5)
        }
        INT_64 => (Item::Int(i64::from_le_bytes(fixed(bytes, at + 1))), 9),
        tag => panic!("the tag {tag:#x} at byte {at} of a listpack"),
    }
}

#[inline]
fn text_12_len(tag: u8, low: u8) -> usize {
    usize::from(tag - TEXT_12) << 8 | usize::from(low)
}

#[inline]
fn fixed<const LEN: usize>(bytes: &[u8], at: usize) -> [u8; LEN] {
    *bytes[at..]
        .first_chunk()
        .expect("an integer inside the listpack")
}

/// How many bytes the backlen of an element of so many bytes takes. The highest value of each
/// length but the first already takes one more.
#[inline]
pub(super) fn backlen_len(len: usize) -> usize {
    match len {
        0..=127 => 1,
        128..0x3fff => 2,
        0x3fff..0x1f_ffff => 3,
        0x1f_ffff..0xfff_ffff => 4,
        _ => BACKLEN_MAX,
    }
}

/// The backlen of an element of so many bytes, and how many bytes it takes.
#[inline]
pub(super) fn backlen(len: usize) -> ([u8; BACKLEN_MAX], usize) {
    let groups = backlen_len(len);
    let mut bytes = [0; BACKLEN_MAX];
    for (place, byte) in bytes[..groups].iter_mut().enumerate() {
        let group = (len >> (7 * (groups - 1 - place))) as u8 & 0x7f;
        *byte = if place == 0 { group } else { group | 0x80 };
    }
    (bytes, groups)
}

/// An element to be written.
pub(super) struct Element<'a> {
    /// The tag and what belongs to it: an integer, or a text's length.
    head: [u8; 9],
    head_len: usize,
    text: &'a [u8],
}

impl<'a> Element<'a> {
    /// A text, as an integer if it is one's.
    #[inline]
    pub(super) fn of(text: &'a [u8]) -> Self {
        match parse_i64(text) {
            Some(value) => Element::of_int(value),
            None => Element::of_text(text),
        }
    }

    fn of_text(text: &'a [u8]) -> Self {
        let mut head = [0; 9];
        let len = text.len();
        let head_len = if len <= TEXT_6_MAX {
            head[0] = TEXT_6 | len as u8;
            1
        } else if len <= TEXT_12_MAX {
            head[0] = TEXT_12 | (len >> 8) as u8;
            head[1] = len as u8;
            2
        } else {
            let len = u32::try_from(len).expect("a text that its element can measure");
            head[0] = TEXT_32;
            head[1..5].copy_from_slice(&len.to_le_bytes());
            5
        };
        Element {
            head,
            head_len,
            text,
        }
    }

    /// An integer, in the shortest form.
    pub(super) fn of_int(value: i64) -> Self {
        const INT_24_MAX: i64 = (1 << 23) - 1;
        const INT_24_MIN: i64 = -INT_24_MAX - 1;
        let (tag, value_len) = match value {
            0..=127 => (value as u8, 0),
            -4096..=4095 => {
                let [high, low] = (value as u16 & 0x1fff).to_be_bytes();
                let mut head = [0; 9];
                head[..2].copy_from_slice(&[INT_13 | high, low]);
                return Element {
                    head,
                    head_len: 2,
                    text: b"",
                };
            }
            -0x8000..=0x7fff => (INT_16, 2),
            INT_24_MIN..=INT_24_MAX => (INT_24, 3),
            -0x8000_0000..=0x7fff_ffff => (INT_32, 4),
            _ => (INT_64, 8),
        };
        let mut head = [tag; 9];
        head[1..].copy_from_slice(&value.to_le_bytes());
        Element {
            head,
            head_len: 1 + value_len,
            text: b"",
        }
    }

    /// All its bytes, the backlen included.
    #[inline]
    pub(super) fn len(&self) -> usize {
        let len = self.head_len + self.text.len();
        len + backlen_len(len)
    }

    /// Writes it behind other bytes.
    #[inline]
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        let len = self.head_len + self.text.len();
        // And for the end byte of a listpack.
        out.reserve(self.len() + 1);
        if self.head_len == 1 {
            out.push(self.head[0]);
        } else {
            out.extend_from_slice(&self.head[..self.head_len]);
        }
        out.extend_from_slice(self.text);
        if len < 0x80 {
            out.push(len as u8);
        } else {
            let (backlen, backlen_len) = backlen(len);
            out.extend_from_slice(&backlen[..backlen_len]);
        }
    }

    /// Writes it to a place of just its size.
    #[inline]
    pub(super) fn write(&self, out: &mut [u8]) {
        let (head, out) = out.split_at_mut(self.head_len);
        // Nearly all heads and backlens are one byte, not worth the call that copies any number.
        if let [only] = head {
            *only = self.head[0];
        } else {
            head.copy_from_slice(&self.head[..self.head_len]);
        }
        let (text, out) = out.split_at_mut(self.text.len());
        text.copy_from_slice(self.text);
        let len = self.head_len + self.text.len();
        if let [only] = out {
            *only = len as u8;
        } else {
            let (backlen, backlen_len) = backlen(len);
            out.copy_from_slice(&backlen[..backlen_len]);
        }
    }
}
