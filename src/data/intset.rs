//! Intsets: sorted integers of one width in one run of bytes, the packed form of small sets of integers.
//!
//! The bytes are those of Redis's intsets, so that a set moves to and from a snapshot with one copy.
//! All numbers are little-endian:
//!
//! ```text
//!   | bytes a value: u32 (2, 4 or 8) | count: u32 | value | value | ... |
//! ```
//!
//! Values ascend and are unique. A value that does not fit makes all of them wider; they stay so
//! when it is removed, as in Redis. Looking up takes logarithmic time, a change moves what is
//! behind it. How many values are few enough is the owner's business.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;

/// The bytes of a set without values.
pub const EMPTY_LEN: usize = 8;

/// The widths of values, in bytes.
const SMALL: usize = 2;
const MEDIUM: usize = 4;
const LARGE: usize = 8;

/// A set to read. Its methods trust the bytes: they were made by an [`IntSetBuf`] or passed
/// [`IntSet::check`], else what they return is unspecified, and they may panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntSet<'a> {
    bytes: &'a [u8],
}

impl<'a> IntSet<'a> {
    /// A set without values.
    pub const EMPTY: IntSet<'static> = IntSet {
        bytes: &[SMALL as u8, 0, 0, 0, 0, 0, 0, 0],
    };

    /// The set in these bytes, which are known to be one.
    #[inline]
    pub fn from_trusted(bytes: &'a [u8]) -> Self {
        debug_assert_eq!(check_frame(bytes), Ok(()), "the bytes of an intset");
        IntSet { bytes }
    }

    /// The set in bytes from anywhere, or what is wrong with them. Linear in the bytes.
    ///
    /// Wider values than needed pass, as they do in Redis; so does a set without values, which
    /// Redis refuses.
    pub fn check(bytes: &'a [u8]) -> Result<Self, Fault> {
        check_frame(bytes)?;
        let set = IntSet { bytes };
        let ascends = match set.values() {
            Values::Small(values) => values.is_sorted_by(|a, b| small(a) < small(b)),
            Values::Medium(values) => values.is_sorted_by(|a, b| medium(a) < medium(b)),
            Values::Large(values) => values.is_sorted_by(|a, b| large(a) < large(b)),
        };
        if ascends { Ok(set) } else { Err(Fault::Order) }
    }

    /// All its bytes.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many values there are.
    #[inline]
    pub fn len(self) -> usize {
        u32_at(self.bytes, 4) as usize
    }

    /// Whether there are no values.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.bytes.len() == EMPTY_LEN
    }

    /// Whether the value is there.
    #[inline]
    pub fn contains(self, value: i64) -> bool {
        self.search(value).is_ok()
    }

    /// The value with this index, in ascending order.
    #[inline]
    pub fn get(self, index: usize) -> Option<i64> {
        match self.values() {
            Values::Small(values) => values.get(index).map(small),
            Values::Medium(values) => values.get(index).map(medium),
            Values::Large(values) => values.get(index).map(large),
        }
    }

    /// The lowest value.
    #[inline]
    pub fn min(self) -> Option<i64> {
        self.get(0)
    }

    /// The highest value.
    #[inline]
    pub fn max(self) -> Option<i64> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The values in ascending order, from either end.
    #[inline]
    pub fn iter(self) -> Iter<'a> {
        Iter {
            set: self,
            indexes: 0..self.len(),
        }
    }

    /// The index of a value, or the one at which it would be inserted.
    #[inline]
    fn search(self, value: i64) -> Result<usize, usize> {
        let outside = if value < 0 { 0 } else { self.len() };
        match self.values() {
            Values::Small(values) => {
                let value = i16::try_from(value).map_err(|_| outside)?;
                values.binary_search_by_key(&value, |bytes| i16::from_le_bytes(*bytes))
            }
            Values::Medium(values) => {
                let value = i32::try_from(value).map_err(|_| outside)?;
                values.binary_search_by_key(&value, |bytes| i32::from_le_bytes(*bytes))
            }
            Values::Large(values) => values.binary_search_by_key(&value, large),
        }
    }

    /// The bytes that a value takes.
    #[inline]
    fn width(self) -> usize {
        u32_at(self.bytes, 0) as usize
    }

    #[inline]
    fn values(self) -> Values<'a> {
        let values = &self.bytes[EMPTY_LEN..];
        match self.width() {
            SMALL => Values::Small(values.as_chunks().0),
            MEDIUM => Values::Medium(values.as_chunks().0),
            LARGE => Values::Large(values.as_chunks().0),
            width => panic!("an intset of {width} bytes a value"),
        }
    }
}

/// The values by their width.
enum Values<'a> {
    Small(&'a [[u8; SMALL]]),
    Medium(&'a [[u8; MEDIUM]]),
    Large(&'a [[u8; LARGE]]),
}

#[inline]
fn small(bytes: &[u8; SMALL]) -> i64 {
    i64::from(i16::from_le_bytes(*bytes))
}

#[inline]
fn medium(bytes: &[u8; MEDIUM]) -> i64 {
    i64::from(i32::from_le_bytes(*bytes))
}

#[inline]
fn large(bytes: &[u8; LARGE]) -> i64 {
    i64::from_le_bytes(*bytes)
}

/// Values in ascending order, from either end.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    set: IntSet<'a>,
    indexes: Range<usize>,
}

impl Iterator for Iter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        self.set.get(self.indexes.next()?)
    }

    #[inline]
    fn nth(&mut self, skipped: usize) -> Option<i64> {
        self.set.get(self.indexes.nth(skipped)?)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.indexes.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<i64> {
        self.set.get(self.indexes.next_back()?)
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl FusedIterator for Iter<'_> {}

/// A set to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntSetBuf(Vec<u8>);

impl Default for IntSetBuf {
    fn default() -> Self {
        IntSetBuf::new()
    }
}

impl IntSetBuf {
    /// A set without values.
    pub fn new() -> Self {
        IntSetBuf::new_in(Vec::new())
    }

    /// The same, in the memory of a vector whose content is given up.
    pub fn new_in(mut vec: Vec<u8>) -> Self {
        vec.clear();
        vec.extend_from_slice(&[SMALL as u8, 0, 0, 0, 0, 0, 0, 0]);
        IntSetBuf(vec)
    }

    /// The set that these bytes are known to be.
    pub fn from_vec_trusted(vec: Vec<u8>) -> Self {
        debug_assert_eq!(check_frame(&vec), Ok(()), "the bytes of an intset");
        IntSetBuf(vec)
    }

    /// Its bytes.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// The set, to read.
    #[inline]
    pub fn as_ref(&self) -> IntSet<'_> {
        IntSet { bytes: &self.0 }
    }

    /// Adds a value; says whether it is new.
    pub fn insert(&mut self, value: i64) -> bool {
        let Err(index) = self.as_ref().search(value) else {
            return false;
        };
        let width = self.as_ref().width();
        let width_needed = width_of(value);
        if width_needed > width {
            self.widen(width, width_needed);
        }
        let width = width.max(width_needed);
        let (at, end) = (EMPTY_LEN + index * width, self.0.len());
        self.0.resize(end + width, 0);
        self.0.copy_within(at..end, at + width);
        self.0[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        self.state_count();
        true
    }

    /// Takes a value out; says whether it was there.
    pub fn remove(&mut self, value: i64) -> bool {
        let set = self.as_ref();
        let Ok(index) = set.search(value) else {
            return false;
        };
        let width = set.width();
        let at = EMPTY_LEN + index * width;
        self.0.copy_within(at + width.., at);
        self.0.truncate(self.0.len() - width);
        self.state_count();
        true
    }

    /// Makes every value wider, the last one first, so that none is overwritten before it is moved.
    fn widen(&mut self, old: usize, new: usize) {
        let count = self.as_ref().len();
        self.0.reserve((count + 1) * new - count * old);
        self.0.resize(EMPTY_LEN + count * new, 0);
        for index in (0..count).rev() {
            let (from, to) = (EMPTY_LEN + index * old, EMPTY_LEN + index * new);
            let is_negative = self.0[from + old - 1] >= 0x80;
            self.0.copy_within(from..from + old, to);
            self.0[to + old..to + new].fill(if is_negative { 0xff } else { 0 });
        }
        self.0[..4].copy_from_slice(&(new as u32).to_le_bytes());
    }

    fn state_count(&mut self) {
        let count = (self.0.len() - EMPTY_LEN) / self.as_ref().width();
        let count = u32::try_from(count).expect("an intset that its header can measure");
        self.0[4..EMPTY_LEN].copy_from_slice(&count.to_le_bytes());
    }
}

/// What is wrong with bytes that are no intset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Fewer bytes than a header.
    Short,
    /// Values of a width that there is not.
    Width,
    /// Another number of bytes than the header says.
    Count,
    /// A value that is not above the one before it.
    Order,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Short => "an intset of fewer than 8 bytes",
            Fault::Width => "an intset of an unknown encoding",
            Fault::Count => "an intset with a wrong count in its header",
            Fault::Order => "an intset with values out of order",
        })
    }
}

impl std::error::Error for Fault {}

/// Checks all but the order.
fn check_frame(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() < EMPTY_LEN {
        return Err(Fault::Short);
    }
    let set = IntSet { bytes };
    let width = set.width();
    if !matches!(width, SMALL | MEDIUM | LARGE) {
        return Err(Fault::Width);
    }
    let values_len = bytes.len() - EMPTY_LEN;
    if !values_len.is_multiple_of(width) || values_len / width != set.len() {
        return Err(Fault::Count);
    }
    Ok(())
}

/// The least bytes that hold the value.
#[inline]
fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        SMALL
    } else if i32::try_from(value).is_ok() {
        MEDIUM
    } else {
        LARGE
    }
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let chunk = bytes[at..].first_chunk();
    u32::from_le_bytes(*chunk.expect("the header of an intset"))
}

#[cfg(test)]
mod tests;
