//! Strings of JSON, eight bytes at a time.
//!
//! A word holds up to eight bytes, the first one lowest, and zeros behind them. Which of its bytes are among the few
//! that end a run of plain ones is found by arithmetic on all of them at once: the highest bit of each that is one is
//! set in the result. A borrow may set it in others behind the first one, so whoever goes on behind that looks at the
//! byte itself.

/// The bytes of a word.
pub(super) const LEN: usize = 8;

const LOWEST: u64 = 0x0101_0101_0101_0101;
const HIGHEST: u64 = LOWEST << 7;

/// The word that some bytes begin with.
#[inline]
pub(super) fn first(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => short(bytes),
    }
}

/// Which bytes end a run of plain ones in a text to decode: quotes, backslashes, zeros.
#[inline]
pub(super) fn ends_decoded(word: u64) -> u64 {
    equal(word, b'"') | equal(word, b'\\') | equal(word, 0)
}

/// Which bytes are not written as they are, and zeros.
#[inline]
pub(super) fn ends_encoded(word: u64) -> u64 {
    let control = below(word, b' ') | equal(word, 0x7f);
    control | equal(word, b'"') | equal(word, b'\\') | equal(word, b'/')
}

/// How many bytes come before the first of those found; all if there is none.
#[inline]
pub(super) fn before(found: u64) -> usize {
    found.trailing_zeros() as usize / 8
}

/// What is left of a word, or of what was found in it, without its first `count` bytes, of which it has more.
#[inline]
pub(super) fn without(word: u64, count: usize) -> u64 {
    word >> (8 * count)
}

/// The word of at most seven bytes: those at both ends, which overlap in the middle.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    if let (Some(start), Some(end)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let shift = 8 * (bytes.len() - size_of::<u32>());
        return u64::from(u32::from_le_bytes(*start))
            | u64::from(u32::from_le_bytes(*end)) << shift;
    }
    let (Some(start), Some(end)) = (bytes.first(), bytes.last()) else {
        return 0;
    };
    let middle = bytes.len() / 2;
    u64::from(*start)
        | u64::from(bytes[middle]) << (8 * middle)
        | u64::from(*end) << (8 * (bytes.len() - 1))
}

#[inline]
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(LOWEST * u64::from(limit)) & !word & HIGHEST
}

#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (LOWEST * u64::from(byte)), 1)
}

#[cfg(test)]
mod tests {
    use super::{LEN, before, ends_decoded, ends_encoded, first, without};

    #[test]
    fn a_word_holds_its_bytes_and_zeros() {
        let bytes = [1, 2, 3, 0xff, 5, 6, 7, 8, 9];
        for len in 0..=bytes.len() {
            let mut expected = [0; LEN];
            let held = len.min(LEN);
            expected[..held].copy_from_slice(&bytes[..held]);
            assert_eq!(first(&bytes[..len]), u64::from_le_bytes(expected), "{len}");
        }
    }

    /// Whatever stands before, behind and beside a byte, the first that ends a run is found, and no other is missed.
    #[test]
    fn finds_what_a_loop_finds() {
        let is_decoded = |byte: u8| !matches!(byte, 0 | b'"' | b'\\');
        let is_encoded = |byte: u8| !matches!(byte, 0..b' ' | 0x7f | b'"' | b'\\' | b'/');
        for byte in 0..=u8::MAX {
            for around in [0x01, 0x21, 0x23, 0x5b, 0x5d, 0x80, 0xa2, 0xff, b'"', byte] {
                for at in 0..LEN {
                    let mut bytes = [around; LEN];
                    bytes[at] = byte;
                    check(bytes, ends_decoded, is_decoded);
                    check(bytes, ends_encoded, is_encoded);
                }
            }
        }
    }

    fn check(bytes: [u8; LEN], find: fn(u64) -> u64, is_plain: impl Fn(u8) -> bool) {
        let found = find(u64::from_le_bytes(bytes));
        let first = bytes.iter().position(|byte| !is_plain(*byte));
        assert_eq!(before(found), first.unwrap_or(LEN), "{bytes:?}");
        for (at, byte) in bytes.iter().enumerate() {
            let is_found = without(found, at) & 0x80 != 0;
            assert!(is_found || is_plain(*byte), "{bytes:?}");
        }
    }
}
