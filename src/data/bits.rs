//! Strings as arrays of bits, for the bitmap and bit field commands.
//!
//! Owns what is computed over bytes: counting, searching, reading and writing single bits and
//! fields of up to 64 bits, combining strings. It leaves to the commands what offsets a client may
//! name, and the growing of strings: reading past the end finds zeros, writing there is a bug.
//!
//! Bit 0 is the most significant bit of the first byte, and a field starts with its most significant
//! bit, so that a field over whole bytes is a big-endian number. Ranges include their last bit, as in the commands.

use crate::base::num;
use crate::base::simd::widest;

/// The bits that are one.
pub fn count(bytes: &[u8]) -> u64 {
    // By the word, which compilers turn into vector code; byte by byte it takes ten times as long.
    let (words, tail) = bytes.as_chunks::<8>();
    let in_words = widest(
        #[inline(always)]
        || {
            let counts = words
                .iter()
                .map(|word| u64::from(u64::from_ne_bytes(*word).count_ones()));
            counts.sum::<u64>()
        },
    );
    let in_tail = tail.iter().map(|byte| u64::from(byte.count_ones()));
    in_words + in_tail.sum::<u64>()
}

/// The bits from one to another, both included, that are one.
pub fn count_range(bytes: &[u8], start_bit: u64, end_bit: u64) -> u64 {
    let Some(parts) = Parts::of(bytes, start_bit, end_bit) else {
        return 0;
    };
    let edges = parts.first.iter().chain(&parts.last);
    let at_edges: u32 = edges.map(|edge| (edge.byte & edge.mask).count_ones()).sum();
    u64::from(at_edges) + count(parts.middle)
}

/// The first bit with the value, from one to another, both included.
///
/// Past the end of the string there are no bits, not even zeros.
pub fn position(bytes: &[u8], bit: bool, start_bit: u64, end_bit: u64) -> Option<u64> {
    let parts = Parts::of(bytes, start_bit, end_bit)?;
    // Flipped like this, the bit that is looked for is one.
    let flip = if bit { 0 } else { u8::MAX };
    let in_edge = |edge: Edge| {
        let found = (edge.byte ^ flip) & edge.mask;
        (found != 0).then(|| edge.at * 8 + u64::from(found.leading_zeros()))
    };
    let in_middle = || {
        let skipped = first_other_than(parts.middle, flip)?;
        let at = parts.middle_start + skipped as u64;
        in_edge(Edge {
            at,
            byte: parts.middle[skipped],
            mask: u8::MAX,
        })
    };
    let in_first = parts.first.and_then(in_edge);
    in_first
        .or_else(in_middle)
        .or_else(|| parts.last.and_then(in_edge))
}

/// A range of bits, as the bytes it takes whole and those it takes a part of.
struct Parts<'a> {
    /// The byte that the range begins in, if not at its first bit.
    first: Option<Edge>,
    middle: &'a [u8],
    middle_start: u64,
    /// The byte that the range ends in, if not with its last bit, and not `first`.
    last: Option<Edge>,
}

#[derive(Clone, Copy)]
struct Edge {
    at: u64,
    byte: u8,
    /// Ones for the bits in the range.
    mask: u8,
}

impl<'a> Parts<'a> {
    /// Nothing if the range has no bit in the string.
    fn of(bytes: &'a [u8], start_bit: u64, end_bit: u64) -> Option<Parts<'a>> {
        let bits = bytes.len() as u64 * 8;
        let end = end_bit.saturating_add(1).min(bits);
        if start_bit >= end {
            return None;
        }
        let edge = |at: u64, mask: u8| Edge {
            at,
            byte: bytes[at as usize],
            mask,
        };
        let (first_byte, last_byte) = (start_bit / 8, end / 8);
        let from_start = u8::MAX >> (start_bit % 8);
        let before_end = !(u8::MAX >> (end % 8));
        if first_byte == last_byte {
            let only = edge(first_byte, from_start & before_end);
            return Some(Parts {
                first: Some(only),
                middle: &[],
                middle_start: 0,
                last: None,
            });
        }
        let middle_start = start_bit.div_ceil(8);
        Some(Parts {
            first: (middle_start > first_byte).then(|| edge(first_byte, from_start)),
            middle: &bytes[middle_start as usize..last_byte as usize],
            middle_start,
            last: (before_end != 0).then(|| edge(last_byte, before_end)),
        })
    }
}

/// Where the first byte is that differs from `byte`, looked for in blocks that the compiler can
/// compare at once.
fn first_other_than(bytes: &[u8], byte: u8) -> Option<usize> {
    const BLOCK: usize = 64;
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let differs =
        |block: &[u8; BLOCK]| block.iter().fold(0, |all, &other| all | (other ^ byte)) != 0;
    let skipped = blocks.iter().position(differs).unwrap_or(blocks.len()) * BLOCK;
    bytes[skipped..]
        .iter()
        .position(|&other| other != byte)
        .map(|at| skipped + at)
}

/// One bit; zero past the end.
#[inline]
pub fn get_bit(bytes: &[u8], offset: u64) -> bool {
    let byte = usize::try_from(offset / 8)
        .ok()
        .and_then(|at| bytes.get(at));
    byte.is_some_and(|byte| byte << (offset % 8) & 0x80 != 0)
}

/// Sets one bit, which must be inside the string, and answers what it was.
#[inline]
pub fn set_bit(bytes: &mut [u8], offset: u64, bit: bool) -> bool {
    let byte = &mut bytes[usize::try_from(offset / 8).expect("the string has been grown")];
    let mask = 0x80 >> (offset % 8);
    let was = *byte & mask != 0;
    if bit {
        *byte |= mask;
    } else {
        *byte &= !mask;
    }
    was
}

/// How BITOP combines strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Ones where all strings have them.
    And,
    /// Ones where any string has them.
    Or,
    /// Ones where an odd number of strings have them.
    Xor,
    /// The opposite of the only string.
    Not,
}

/// Combines strings into one as long as the longest; the others are continued with zeros.
///
/// # Panics
/// If `Not` is given anything but one string.
pub fn combine(operation: Operation, sources: &[&[u8]]) -> Vec<u8> {
    let longest = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let mut result = Vec::with_capacity(longest);
    let Some((first, others)) = sources.split_first() else {
        return result;
    };
    result.extend_from_slice(first);
    result.resize(longest, 0);
    match operation {
        Operation::And => {
            for other in others {
                fold(&mut result, other, |left, right| left & right);
                result[other.len()..].fill(0);
            }
        }
        Operation::Or => {
            others
                .iter()
                .for_each(|other| fold(&mut result, other, |left, right| left | right));
        }
        Operation::Xor => {
            others
                .iter()
                .for_each(|other| fold(&mut result, other, |left, right| left ^ right));
        }
        Operation::Not => {
            assert!(others.is_empty(), "BITOP NOT takes one string");
            result.iter_mut().for_each(|byte| *byte = !*byte);
        }
    }
    result
}

fn fold(result: &mut [u8], other: &[u8], operation: impl Fn(u8, u8) -> u8) {
    for (left, &right) in result.iter_mut().zip(other) {
        *left = operation(*left, right);
    }
}

/// The type of a bit field: `i1` to `i64`, or `u1` to `u63`, so that every value fits an `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldType {
    signed: bool,
    bits: u32,
}

/// What becomes of a value that does not fit its field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Its low bits are kept.
    #[default]
    Wrap,
    /// The nearest value that fits is taken.
    Saturate,
    /// Nothing is written.
    Fail,
}

impl FieldType {
    /// Parses `i16`, `u8` and their like.
    pub fn parse(text: &[u8]) -> Option<FieldType> {
        let (signed, digits) = match text {
            [b'i', digits @ ..] => (true, digits),
            [b'u', digits @ ..] => (false, digits),
            _ => return None,
        };
        let bits_max = if signed { 64 } else { 63 };
        let bits = num::parse_u64(digits).filter(|bits| (1..=bits_max).contains(bits))?;
        Some(FieldType {
            signed,
            bits: bits as u32,
        })
    }

    /// How many bits the field has.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// Reads a field at any bit; past the end there are zeros.
    ///
    /// # Panics
    /// If the field would end past bit 2^64.
    pub fn get(self, bytes: &[u8], offset: u64) -> i64 {
        assert!(offset <= u64::MAX - 64, "a field's end must have a number");
        // A field touches nine bytes at most.
        let mut window = [0; 16];
        let start = usize::try_from(offset / 8)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let touched = &bytes[start..bytes.len().min(start.saturating_add(9))];
        window[..touched.len()].copy_from_slice(touched);
        let from_field_on = u128::from_be_bytes(window) << (offset % 8);
        self.truncate((from_field_on >> (128 - self.bits)) as i64)
    }

    /// Writes the value's low bits to a field, which must be inside the string.
    pub fn set(self, bytes: &mut [u8], offset: u64, value: i64) {
        let start = usize::try_from(offset / 8).expect("the string has been grown");
        let end = (offset % 8 + u64::from(self.bits)).div_ceil(8) as usize + start;
        let touched = &mut bytes[start..end];
        let mut window = [0; 16];
        window[..touched.len()].copy_from_slice(touched);
        let shift = 128 - u64::from(self.bits) - offset % 8;
        let mask = (u128::MAX >> (128 - self.bits)) << shift;
        let kept = u128::from_be_bytes(window) & !mask;
        let window = (kept | (value as u128) << shift & mask).to_be_bytes();
        touched.copy_from_slice(&window[..touched.len()]);
    }

    /// What a field holds after it is set to a value; nothing if that fails.
    ///
    /// The value of an unsigned field is taken as an unsigned number, as Redis takes it.
    pub fn fit(self, value: i64, overflow: Overflow) -> Option<i64> {
        let exact = if self.signed {
            i128::from(value)
        } else {
            i128::from(value as u64)
        };
        // Redis measures the room above the value in 64 bits. Where that is not enough it takes a
        // value far too small for one too large, which shows when it saturates.
        let room_is_lost = self.signed && self.max() - exact > i128::from(i64::MAX);
        if room_is_lost && self.bits < 64 && overflow == Overflow::Saturate {
            return Some(self.max() as i64);
        }
        self.fit_exact(exact, overflow)
    }

    /// What a field holding a value holds after it is incremented; nothing if that fails.
    pub fn increment(self, value: i64, increment: i64, overflow: Overflow) -> Option<i64> {
        self.fit_exact(i128::from(value) + i128::from(increment), overflow)
    }

    fn fit_exact(self, exact: i128, overflow: Overflow) -> Option<i64> {
        if (self.min()..=self.max()).contains(&exact) {
            return Some(exact as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.truncate(exact as i64)),
            Overflow::Saturate => Some(exact.clamp(self.min(), self.max()) as i64),
            Overflow::Fail => None,
        }
    }

    fn min(self) -> i128 {
        if self.signed {
            -1 << (self.bits - 1)
        } else {
            0
        }
    }

    fn max(self) -> i128 {
        (1 << (self.bits - u32::from(self.signed))) - 1
    }

    /// The value of the low bits.
    fn truncate(self, value: i64) -> i64 {
        let unused = 64 - self.bits;
        if self.signed {
            value << unused >> unused
        } else {
            ((value as u64) << unused >> unused) as i64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// The bits of a string one by one.
    fn naive(bytes: &[u8]) -> Vec<bool> {
        bytes
            .iter()
            .flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1 == 1))
            .collect()
    }

    /// Bytes as bitmaps have them: runs of the same, with something in between.
    fn bitmap(bytes_max: usize) -> impl Strategy<Value = Vec<u8>> {
        let run = (prop_oneof![Just(0u8), Just(255), any::<u8>()], 1..150usize);
        vec(run, 0..6).prop_map(move |runs| {
            let bytes = runs
                .into_iter()
                .flat_map(|(byte, len)| std::iter::repeat_n(byte, len));
            bytes.take(bytes_max).collect()
        })
    }

    fn field_type() -> impl Strategy<Value = FieldType> {
        (any::<bool>(), 1..=64u32).prop_map(|(signed, bits)| FieldType {
            signed,
            bits: if signed { bits } else { bits.min(63) },
        })
    }

    proptest! {
        #[test]
        fn counts_and_positions(bytes in bitmap(700), start in 0..6000u64, len in 0..6000u64, bit: bool) {
            let bits = naive(&bytes);
            prop_assert_eq!(count(&bytes), bits.iter().filter(|&&bit| bit).count() as u64);
            for (start, end) in [(start, start + len), (0, len), (start, u64::MAX), (start + 1, start)] {
                let inside = (0..bits.len() as u64).filter(|at| (start..=end).contains(at));
                let ones = inside.clone().filter(|&at| bits[at as usize]).count() as u64;
                prop_assert_eq!(count_range(&bytes, start, end), ones);
                let found = inside.clone().find(|&at| bits[at as usize] == bit);
                prop_assert_eq!(position(&bytes, bit, start, end), found);
            }
        }

        #[test]
        fn single_bits(mut bytes in vec(any::<u8>(), 1..20), offset in 0..160u64, bit: bool) {
            let mut bits = naive(&bytes);
            prop_assert_eq!(get_bit(&bytes, offset), bits.get(offset as usize).copied().unwrap_or(false));
            let offset = offset % bits.len() as u64;
            let was = std::mem::replace(&mut bits[offset as usize], bit);
            prop_assert_eq!(set_bit(&mut bytes, offset, bit), was);
            prop_assert_eq!(naive(&bytes), bits);
        }

        #[test]
        fn combinations(sources in vec(bitmap(200), 1..5)) {
            let slices: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            let longest = sources.iter().map(Vec::len).max().unwrap();
            let byte_at = |source: &Vec<u8>, at| source.get(at).copied().unwrap_or(0);
            let check = |operation, byte: &dyn Fn(usize) -> u8| {
                let expected: Vec<u8> = (0..longest).map(byte).collect();
                assert_eq!(combine(operation, &slices), expected, "{operation:?}");
            };
            check(Operation::And, &|at| sources.iter().fold(255, |all, source| all & byte_at(source, at)));
            check(Operation::Or, &|at| sources.iter().fold(0, |all, source| all | byte_at(source, at)));
            check(Operation::Xor, &|at| sources.iter().fold(0, |all, source| all ^ byte_at(source, at)));
            let opposite: Vec<u8> = sources[0].iter().map(|byte| !byte).collect();
            prop_assert_eq!(combine(Operation::Not, &slices[..1]), opposite);
        }

        #[test]
        fn fields(
            field in field_type(), mut bytes in vec(any::<u8>(), 9..30), offset in 0..300u64, value: i64
        ) {
            let value_of = |bits: &[bool]| {
                let magnitude = bits.iter().fold(0i128, |value, &bit| value * 2 + i128::from(bit));
                let negative = field.signed && bits[0];
                (magnitude - if negative { 1 << field.bits } else { 0 }) as i64
            };
            let mut bits = naive(&bytes);
            let width = field.bits as usize;
            let end_padded = bits.iter().copied().chain(std::iter::repeat(false));
            let read: Vec<bool> = end_padded.skip(offset as usize).take(width).collect();
            prop_assert_eq!(field.get(&bytes, offset), value_of(&read));
            let offset = offset as usize % (bits.len() - width + 1);
            field.set(&mut bytes, offset as u64, value);
            for at in 0..width {
                bits[offset + at] = value >> (width - 1 - at) & 1 == 1;
            }
            prop_assert_eq!(naive(&bytes), bits.clone());
            prop_assert_eq!(field.get(&bytes, offset as u64), value_of(&bits[offset..offset + width]));
        }

        #[test]
        fn wrapped_values_are_what_a_field_holds(field in field_type(), old: i64, value: i64) {
            let mut bytes = [0; 9];
            let old = field.truncate(old);
            for (kept, sum) in [
                (field.fit(value, Overflow::Wrap), value),
                (field.increment(old, value, Overflow::Wrap), old.wrapping_add(value)),
            ] {
                field.set(&mut bytes, 5, sum);
                prop_assert_eq!(kept, Some(field.get(&bytes, 5)));
            }
        }
    }

    #[test]
    fn far_past_the_end() {
        assert!(!get_bit(b"\xff", u64::MAX));
        assert_eq!(count_range(b"\xff", u64::MAX - 1, u64::MAX), 0);
        assert_eq!(position(b"\xff", false, 0, u64::MAX), None);
        assert_eq!(position(b"", true, 0, u64::MAX), None);
        let field = FieldType::parse(b"i64").unwrap();
        assert_eq!(field.get(b"\xff", u64::MAX - 64), 0);
        assert_eq!(field.get(b"\xff", 7), i64::MIN);
    }

    #[test]
    fn field_types() {
        fn check(text: &str, expected: Option<(bool, u32)>) {
            let parsed = FieldType::parse(text.as_bytes()).map(|field| (field.signed, field.bits));
            assert_eq!(parsed, expected, "{text:?}");
        }
        check("i1", Some((true, 1)));
        check("i64", Some((true, 64)));
        check("u1", Some((false, 1)));
        check("u63", Some((false, 63)));
        for text in [
            "", "i", "u", "8", "I8", "U8", "i0", "u0", "i65", "u64", "i08", "i+8", "i-8", "i8 ",
            "x8",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn overflows() {
        // What redis-server 7.0.15 leaves in a field: wrapping, saturating, and whether failing fails.
        fn check_fit(field: &str, value: i64, wrapped: i64, saturated: i64) {
            let field = FieldType::parse(field.as_bytes()).unwrap();
            let fits = wrapped == value && saturated == value;
            assert_eq!(
                field.fit(value, Overflow::Wrap),
                Some(wrapped),
                "{field:?} {value}"
            );
            assert_eq!(
                field.fit(value, Overflow::Saturate),
                Some(saturated),
                "{field:?} {value}"
            );
            assert_eq!(
                field.fit(value, Overflow::Fail),
                fits.then_some(value),
                "{field:?} {value}"
            );
        }
        check_fit("i8", 127, 127, 127);
        check_fit("i8", 128, -128, 127);
        check_fit("i8", -128, -128, -128);
        check_fit("i8", -129, 127, -128);
        check_fit("i8", i64::MAX, -1, 127);
        check_fit("i8", -9_223_372_036_854_775_680, -128, -128);
        check_fit("i8", -9_223_372_036_854_775_681, 127, 127);
        check_fit("i8", i64::MIN, 0, 127);
        check_fit("i64", i64::MIN, i64::MIN, i64::MIN);
        check_fit("i64", -5, -5, -5);
        check_fit("u8", 255, 255, 255);
        check_fit("u8", 256, 0, 255);
        check_fit("u8", -1, 255, 255);
        check_fit("u63", -1, i64::MAX, i64::MAX);
        check_fit("i1", 1, -1, 0);
        check_fit("u1", 2, 0, 1);

        fn check_increment(field: &str, old: i64, by: i64, wrapped: i64, saturated: i64) {
            let field = FieldType::parse(field.as_bytes()).unwrap();
            let fits = old
                .checked_add(by)
                .filter(|&sum| sum == wrapped && sum == saturated);
            assert_eq!(
                field.increment(old, by, Overflow::Wrap),
                Some(wrapped),
                "{field:?} {old} {by}"
            );
            assert_eq!(
                field.increment(old, by, Overflow::Saturate),
                Some(saturated),
                "{field:?} {old} {by}"
            );
            assert_eq!(
                field.increment(old, by, Overflow::Fail),
                fits,
                "{field:?} {old} {by}"
            );
        }
        check_increment("u8", 250, 5, 255, 255);
        check_increment("u8", 250, 6, 0, 255);
        check_increment("u8", 0, -1, 255, 0);
        check_increment("u8", 0, i64::MIN, 0, 0);
        check_increment("i8", 100, 28, -128, 127);
        check_increment("i8", -100, -29, 127, -128);
        check_increment("i8", 0, i64::MIN, 0, -128);
        check_increment("i64", i64::MAX, 1, i64::MIN, i64::MAX);
        check_increment("i64", i64::MIN, -1, i64::MAX, i64::MIN);
        check_increment("i64", 0, i64::MIN, i64::MIN, i64::MIN);
        check_increment("u63", i64::MAX, 1, 0, i64::MAX);
    }
}
