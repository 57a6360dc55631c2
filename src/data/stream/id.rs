//! The IDs of stream entries: a time in milliseconds and a number within it, 128 bits in all.

use crate::base::num::parse_u64;
use std::fmt;

/// The ID of an entry; they are ordered by time, then by sequence number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct StreamId {
    /// Milliseconds of the Unix clock, as far as the server generates IDs.
    pub ms: u64,
    /// What tells entries of one millisecond apart.
    pub seq: u64,
}

impl StreamId {
    /// The least ID, 0-0, which no entry has.
    pub const MIN: StreamId = StreamId::new(0, 0);
    /// The greatest ID.
    pub const MAX: StreamId = StreamId::new(u64::MAX, u64::MAX);

    /// The ID of these parts.
    pub const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    /// The ID that a text spells in full, `ms-seq`, or by its time alone; the number is then
    /// `missing_seq`. Zeros and a plus before a number are read over, as Redis does; spaces are not.
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<StreamId> {
        let (ms, seq) = StreamId::parse_parts(text)?;
        let seq = match seq {
            Some(seq) => parse_number(seq)?,
            None => missing_seq,
        };
        Some(StreamId::new(ms, seq))
    }

    /// The ID that a text spells in full.
    pub fn parse_full(text: &[u8]) -> Option<StreamId> {
        let (ms, seq) = StreamId::parse_parts(text)?;
        Some(StreamId::new(ms, parse_number(seq?)?))
    }

    /// The time that a text begins with, and what stands behind its dash, unread: a number, or a `*`.
    pub fn parse_parts(text: &[u8]) -> Option<(u64, Option<&[u8]>)> {
        match memchr::memchr(b'-', text) {
            Some(dash) => Some((parse_number(&text[..dash])?, Some(&text[dash + 1..]))),
            None => Some((parse_number(text)?, None)),
        }
    }

    /// The ID behind this one; none behind the greatest.
    #[inline]
    pub fn next(self) -> Option<StreamId> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(StreamId::new(self.ms, seq)),
            None => Some(StreamId::new(self.ms.checked_add(1)?, 0)),
        }
    }

    /// The ID before this one; none before the least.
    #[inline]
    pub fn previous(self) -> Option<StreamId> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(StreamId::new(self.ms, seq)),
            None => Some(StreamId::new(self.ms.checked_sub(1)?, u64::MAX)),
        }
    }

    /// Whether it is 0-0.
    #[inline]
    pub fn is_zero(self) -> bool {
        self == StreamId::MIN
    }

    /// The text `ms-seq`, written to a buffer.
    #[inline]
    pub fn format(self, buffer: &mut IdBuffer) -> &[u8] {
        let mut len = 0;
        let mut digits = itoa::Buffer::new();
        for part in [
            digits.format(self.ms),
            "-",
            itoa::Buffer::new().format(self.seq),
        ] {
            buffer.0[len..len + part.len()].copy_from_slice(part.as_bytes());
            len += part.len();
        }
        &buffer.0[..len]
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// A part of an ID.
#[inline]
fn parse_number(text: &[u8]) -> Option<u64> {
    parse_u64(text).or_else(|| {
        let digits = text.strip_prefix(b"+").unwrap_or(text);
        let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
        // The last digit stays, be it a zero.
        parse_u64(&digits[zeros.min(digits.len().saturating_sub(1))..])
    })
}

/// Room for the text of any ID.
pub struct IdBuffer([u8; IdBuffer::LEN]);

impl IdBuffer {
    /// Twice 20 digits and the dash.
    const LEN: usize = 41;

    /// Room without a text yet.
    pub fn new() -> IdBuffer {
        IdBuffer([0; IdBuffer::LEN])
    }
}

impl Default for IdBuffer {
    fn default() -> Self {
        IdBuffer::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = u64::MAX;

    #[test]
    fn parses_and_prints() {
        let check = |text: &str, expected: Option<(u64, u64)>| {
            let expected = expected.map(|(ms, seq)| StreamId::new(ms, seq));
            assert_eq!(StreamId::parse(text.as_bytes(), 7), expected, "{text:?}");
            let full = expected.filter(|_| text.contains('-'));
            assert_eq!(StreamId::parse_full(text.as_bytes()), full, "{text:?}");
            if let Some(id) = full {
                assert_eq!(id.format(&mut IdBuffer::new()), id.to_string().as_bytes());
            }
        };
        check("5-3", Some((5, 3)));
        check("5", Some((5, 7)));
        check("0-0", Some((0, 0)));
        check("00-007", Some((0, 7)));
        check("+5-+3", Some((5, 3)));
        check(
            "18446744073709551615-18446744073709551615",
            Some((MAX, MAX)),
        );
        for wrong in [
            "",
            "-",
            "+",
            "*",
            "5-",
            "-5",
            "5-*",
            "5-3-1",
            "5-++3",
            " 5-3",
            "5-3 ",
            "(5-3",
            "a-b",
            "5.0-1",
            "18446744073709551616-0",
            "0-18446744073709551616",
            "$",
            ">",
            "5--3",
        ] {
            check(wrong, None);
        }
        assert_eq!(StreamId::parse_parts(b"5-*"), Some((5, Some(&b"*"[..]))));
        assert_eq!(StreamId::parse_parts(b"x-*"), None);
    }

    #[test]
    fn steps_both_ways() {
        let check = |low: Option<(u64, u64)>, high: Option<(u64, u64)>| {
            let [low, high] = [low, high].map(|id| id.map(|(ms, seq)| StreamId::new(ms, seq)));
            if let Some(low) = low {
                assert_eq!(low.next(), high);
            }
            if let Some(high) = high {
                assert_eq!(high.previous(), low);
            }
        };
        check(None, Some((0, 0)));
        check(Some((0, 0)), Some((0, 1)));
        check(Some((0, MAX)), Some((1, 0)));
        check(Some((MAX, MAX - 1)), Some((MAX, MAX)));
        check(Some((MAX, MAX)), None);
    }
}
