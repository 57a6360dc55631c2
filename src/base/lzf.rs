//! LZF: the fast and simple compression of strings in snapshots and of inner nodes of long lists.
//!
//! Compressed bytes are a sequence of runs and references, told apart by the first byte:
//!
//! ```text
//!   000nnnnn  n + 1 bytes       a run: these bytes as they are, 1 to 32
//!   lllooooo oooooooo           a reference of l + 2 bytes, l from 1 to 6
//!   111ooooo llllllll oooooooo  a reference of l + 9 bytes
//! ```
//!
//! A reference repeats what begins `o` + 1 bytes before the end of the output so far, high bits of `o`
//! first, and may reach into what it writes itself. So it looks back 8192 bytes at most and repeats at
//! most 264. The format carries no length: whoever stores the bytes stores the original's beside them.
//!
//! Compressing remembers for every three bytes, by a hash, where they were last seen: one pass, linear
//! time, a table of 64 KiB. A [`Compressor`] keeps the table from one input to the next, which spares short
//! ones the time to clear it, and a thread keeps a [`Spare`] one for who has a single input.

use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Adds the compressed form of the input to `out`. False, with `out` as it was, if that would not save at
/// least 4 bytes, or if the input is longer than 32 bits can say.
pub fn compress(input: &[u8], out: &mut Vec<u8>) -> bool {
    Spare::take().compress(input, out)
}

/// How much longer than the input the memory is that [`Compressor::compress_to`] writes to; with so much more room
/// than the output takes, [`decompress_into`] is quickest.
pub const ROOM: usize = RUN_MAX;

/// What compresses many inputs, each alone.
pub struct Compressor {
    /// Where three bytes of a hash were last seen, plus one and `base`. What is not above `base` is of an
    /// earlier input.
    seen: [u32; 1 << HASH_BITS],
    base: u32,
}

/// The compressor that a thread keeps; a new one while that is in use.
pub struct Spare(Option<Box<Compressor>>);

thread_local! {
    static SPARE: Cell<Option<Box<Compressor>>> = const { Cell::new(None) };
}

impl Spare {
    /// Takes it until this is dropped.
    pub fn take() -> Spare {
        Spare(Some(SPARE.take().unwrap_or_default()))
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        // A thread that ends needs none any more.
        let _ = SPARE.try_with(|spare| spare.set(self.0.take()));
    }
}

impl Deref for Spare {
    type Target = Compressor;

    fn deref(&self) -> &Compressor {
        self.0.as_ref().expect("it is there until the drop")
    }
}

impl DerefMut for Spare {
    fn deref_mut(&mut self) -> &mut Compressor {
        self.0.as_mut().expect("it is there until the drop")
    }
}

impl Default for Compressor {
    fn default() -> Self {
        Compressor {
            seen: [0; 1 << HASH_BITS],
            base: 0,
        }
    }
}

impl Compressor {
    /// See [`compress`].
    pub fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> bool {
        let before = out.len();
        out.resize(before + input.len() + ROOM, 0);
        let len = self.compress_to(input, &mut out[before..]);
        out.truncate(before + len.unwrap_or(0));
        len.is_some()
    }

    /// The same to the beginning of a slice, which is longer than the input by [`ROOM`] at least; gives the number
    /// of bytes. What is behind them in the slice means nothing then.
    pub fn compress_to(&mut self, input: &[u8], out: &mut [u8]) -> Option<usize> {
        assert!(out.len() >= input.len() + ROOM, "room for the output");
        let len = match u32::try_from(input.len()) {
            Ok(len) if input.len() > SAVED_MIN => len,
            _ => return None,
        };
        if self.base.checked_add(len).is_none() {
            *self = Compressor::default();
        }
        // Of a short input only a part of the table is used, which stays in the nearest cache.
        let packed_len = match input.len() {
            ..0x200 => self.compress_by::<10>(input, out),
            0x200..0x800 => self.compress_by::<12>(input, out),
            _ => self.compress_by::<HASH_BITS>(input, out),
        };
        self.base = self.base.saturating_add(len);
        packed_len
    }

    fn compress_by<const BITS: u32>(&mut self, input: &[u8], out: &mut [u8]) -> Option<usize> {
        let (seen, _) = self.seen.split_at_mut(1 << BITS);
        let mut scan = Scan {
            input,
            seen,
            base: self.base,
            at: 0,
            run_start: 0,
            out: Output {
                bytes: out,
                len: 0,
                max: input.len() - SAVED_MIN,
            },
        };
        scan.go::<BITS, false>()?;
        scan.go::<BITS, true>()?;
        let (out, run_start) = (&mut scan.out, scan.run_start);
        (out.run(input, run_start, input.len()) && out.len <= out.max).then_some(out.len)
    }
}

/// An input on its way into an output.
struct Scan<'a> {
    input: &'a [u8],
    seen: &'a mut [u32],
    base: u32,
    at: usize,
    /// What is from here on before `at` was not found earlier and is not written yet.
    run_start: usize,
    out: Output<'a>,
}

impl Scan<'_> {
    /// Goes on for as long as there are eight bytes, or to the last bytes of which a reference is worth it. None if the
    /// output would exceed its maximum.
    #[inline(always)]
    fn go<const BITS: u32, const IS_LAST: bool>(&mut self) -> Option<()> {
        let (input, base) = (self.input, self.base);
        let (mut at, mut run_start) = (self.at, self.run_start);
        let seen = &mut self.seen[..1 << BITS];
        while let Some((word, beyond)) = word_at::<IS_LAST>(input, at) {
            let place = &mut seen[hash::<BITS>((word as u32) << 8)];
            let now = base + at as u32 + 1;
            // What an earlier input left is further back than this one goes.
            let back = (now - std::mem::replace(place, now)) as usize;
            if back > at.min(BACK_MAX) {
                at += 1;
                continue;
            }
            let from = at - back;
            let (other, _) = word_at::<IS_LAST>(input, from)?;
            let differs = word ^ other | beyond;
            if differs & 0xff_ffff != 0 {
                at += 1;
                continue;
            }
            // What the run before it takes can only be too much if nothing was found for long.
            if run_start < at && !self.out.run(input, run_start, at) {
                return None;
            }
            let len = match differs {
                0 => match_len(input, from, at),
                _ => differs.trailing_zeros() as usize / 8,
            };
            self.out.reference(back, len);
            at += len;
            run_start = at;
            if let Some(four) = input.get(at - 2..at + 2).and_then(|f| f.first_chunk()) {
                // What follows a match often repeats from its last places.
                let four = u32::from_le_bytes(*four);
                let now = base + at as u32;
                seen[hash::<BITS>(four << 8)] = now - 1;
                seen[hash::<BITS>(four & !0xff)] = now;
            }
        }
        (self.at, self.run_start) = (at, run_start);
        Some(())
    }
}

/// What is written to, with room behind its maximum for what is copied in one piece.
struct Output<'a> {
    bytes: &'a mut [u8],
    len: usize,
    max: usize,
}

impl Output<'_> {
    /// Writes bytes of the input as they are. False, with nothing written, if the output would exceed its maximum.
    #[inline]
    fn run(&mut self, input: &[u8], mut from: usize, to: usize) -> bool {
        let count = to - from;
        if self.len + count + count.div_ceil(RUN_MAX) > self.max {
            return false;
        }
        while from < to {
            let run = (to - from).min(RUN_MAX);
            self.bytes[self.len] = run as u8 - 1;
            let place = &mut self.bytes[self.len + 1..][..RUN_MAX];
            match input[from..].first_chunk::<RUN_MAX>() {
                // The longest run is copied at once; what is too much is written over.
                Some(longest) => place.copy_from_slice(longest),
                None => place[..run].copy_from_slice(&input[from..from + run]),
            }
            self.len += 1 + run;
            from += run;
        }
        true
    }

    /// Writes a reference, which the room is for if it exceeds the maximum.
    #[inline]
    fn reference(&mut self, back: usize, len: usize) {
        let [high, low] = (back as u16 - 1).to_be_bytes();
        let place = &mut self.bytes[self.len..][..3];
        if len < LONG_MIN {
            place[..2].copy_from_slice(&[(len as u8 - 2) << 5 | high, low]);
            self.len += 2;
        } else {
            place.copy_from_slice(&[7 << 5 | high, (len - LONG_MIN) as u8, low]);
            self.len += 3;
        }
    }
}

/// The original, of exactly so many bytes.
///
/// Safe for input from anywhere: no more than the expected bytes are allocated, and nothing if so few
/// bytes cannot stand for so many.
pub fn decompress(input: &[u8], expected_len: usize) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    decompress_into(input, expected_len, &mut out)?;
    Ok(out)
}

/// The same into a vector whose content is given up, so that its memory serves many times. After a fault
/// its content means nothing.
pub fn decompress_into(input: &[u8], expected_len: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
    // The densest form is three bytes for the longest reference.
    if expected_len / REFERENCE_MAX > input.len() / 3 {
        return Err(Fault::Length);
    }
    let room = expected_len + ROOM;
    if out.capacity() >= room {
        // What is at the end can be copied in whole pieces too.
        out.resize(room, 0);
    } else {
        out.clear();
        out.reserve_exact(expected_len);
        out.resize(expected_len, 0);
    }
    let len = unpack(input, out)?;
    out.truncate(expected_len);
    if len == expected_len {
        Ok(())
    } else {
        Err(Fault::Length)
    }
}

/// Decompresses to the beginning of a slice; gives the number of bytes.
fn unpack(input: &[u8], out: &mut [u8]) -> Result<usize, Fault> {
    let (mut at, mut len) = (0, 0);
    while let Some(&control) = input.get(at) {
        at += 1;
        if usize::from(control) < RUN_MAX {
            let run = usize::from(control) + 1;
            if let (Some(from), Some(to)) = (
                input[at..].first_chunk::<RUN_MAX>(),
                out[len..].first_chunk_mut::<RUN_MAX>(),
            ) {
                // The longest run is copied at once; what is too much is written over.
                *to = *from;
            } else {
                let run = input.get(at..at + run).ok_or(Fault::Truncated)?;
                let place = out.get_mut(len..len + run.len()).ok_or(Fault::Length)?;
                place.copy_from_slice(run);
            }
            at += run;
            len += run;
            continue;
        }
        let mut byte = || {
            let byte = input.get(at).copied().ok_or(Fault::Truncated)?;
            at += 1;
            Ok(usize::from(byte))
        };
        let mut count = usize::from(control >> 5) + 2;
        if count == LONG_MIN {
            count += byte()?;
        }
        let back = (usize::from(control & 0x1f) << 8 | byte()?) + 1;
        if count > out.len() - len {
            return Err(Fault::Length);
        }
        let from = len.checked_sub(back).ok_or(Fault::Reference)?;
        repeat(out, from, len, count);
        len += count;
    }
    Ok(len)
}

/// Writes so many bytes at a place, as they are from an earlier one on.
#[inline]
fn repeat(out: &mut [u8], from: usize, to: usize, count: usize) {
    let back = to - from;
    if back >= REPEAT_PIECE && out.len() - to >= count + REPEAT_PIECE {
        // In pieces that may go beyond the end, which is written over later.
        let mut done = 0;
        while done < count {
            let piece = out[from + done..].first_chunk::<REPEAT_PIECE>();
            let piece = *piece.expect("it is before `to`");
            out[to + done..][..REPEAT_PIECE].copy_from_slice(&piece);
            done += REPEAT_PIECE;
        }
    } else if back == 1 {
        let byte = out[from];
        out[to..to + count].fill(byte);
    } else {
        // Into its own output: each round repeats all that is there.
        let mut done = 0;
        while done < count {
            let piece = (count - done).min(back + done);
            out.copy_within(from..from + piece, to + done);
            done += piece;
        }
    }
}

/// What is wrong with bytes that do not decompress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They end within a run or a reference.
    Truncated,
    /// They refer to before the beginning.
    Reference,
    /// They give more or fewer bytes than expected.
    Length,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Truncated => "LZF data that ends too early",
            Fault::Reference => "LZF data that refers to before its beginning",
            Fault::Length => "LZF data of another length than expected",
        })
    }
}

impl std::error::Error for Fault {}

/// What compressing has to save.
const SAVED_MIN: usize = 4;
const RUN_MAX: usize = 32;
/// What is repeated at once where there is room.
const REPEAT_PIECE: usize = 16;
const BACK_MAX: usize = 1 << 13;
const REFERENCE_MAX: usize = LONG_MIN + 255;
/// The reference from which on its length takes a byte of its own.
const LONG_MIN: usize = 9;
/// Twice as many places as a reference can reach, so that few are lost to others.
const HASH_BITS: u32 = 14;

/// The eight bytes at a place as a number, and the bits of those that are beyond the end. Only at last there may be
/// such, and none if less than four bytes are left, of which three would not be worth a reference.
#[inline(always)]
fn word_at<const IS_LAST: bool>(input: &[u8], at: usize) -> Option<(u64, u64)> {
    let rest = input.get(at..)?;
    match rest.first_chunk() {
        Some(word) => Some((u64::from_le_bytes(*word), 0)),
        None if IS_LAST && rest.len() >= 4 => {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            Some((u64::from_le_bytes(word), u64::MAX << (8 * rest.len())))
        }
        None => None,
    }
}

/// The place in the table of three bytes, which are the upper ones of a number whose lowest byte is 0.
#[inline]
fn hash<const BITS: u32>(three: u32) -> usize {
    (three.wrapping_mul(0x9e37_79b1) >> (32 - BITS)) as usize
}

/// How far the bytes from `from` and from `at` on are the same, at most what one reference repeats.
#[inline]
fn match_len(input: &[u8], from: usize, at: usize) -> usize {
    let end = input.len().min(at + REFERENCE_MAX);
    let word = |at: usize| {
        input
            .get(at..)?
            .first_chunk()
            .copied()
            .map(u64::from_le_bytes)
    };
    let mut len = 0;
    while at + len + 8 <= end {
        let (Some(one), Some(other)) = (word(from + len), word(at + len)) else {
            break;
        };
        if one != other {
            return len + (one ^ other).trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let same = |len: &usize| input[from + len] == input[at + len];
    len + (len..end - at).take_while(same).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_redis_compressed_is_read() {
        // The payloads of DUMP by Redis 7.0.15, without the lengths before and the footer behind.
        let animals = "The quick brown fox, the quick brown dog, the quick brown cat; ";
        let vectors: [(&[u8], String); 2] = [
            (
                b"\x15The quick brown fox, t\xe0\x06\x14\x02dog\xe0\t\x14\x05cat; a\xe0H\x00\x01aa",
                animals.to_string() + &"a".repeat(84),
            ),
            (
                b"\x01aa\xe0\xff\x00\xe0\xff\x00\xe0\xff\x00\xe0\xff\x00\xe0\xff\x00\xe0\xff\x00\
                  \xe0\xff\x00\xe0\xff\x00\xe0\xff\x00\xe0\xff\x00\xe0\xff\x00\xe0S\x00\x01aa",
                "a".repeat(3_000),
            ),
        ];
        for (bytes, text) in vectors {
            assert_eq!(
                decompress(bytes, text.len()).as_deref(),
                Ok(text.as_bytes())
            );
            check(text.as_bytes());
        }
    }

    #[test]
    fn a_spare_compressor_is_there_again_and_a_second_one_meanwhile() {
        let text = b"once upon a time, once upon a time".repeat(9);
        let check = |compressor: &mut Compressor| {
            let mut out = Vec::new();
            assert!(compressor.compress(&text, &mut out));
            assert_eq!(decompress(&out, text.len()).as_deref(), Ok(&text[..]));
        };
        let mut first = Spare::take();
        check(&mut first);
        let (base, address) = (first.base, &raw const *first);
        check(&mut Spare::take());
        drop(first);
        let mut again = Spare::take();
        assert!(again.base == base && &raw const *again == address);
        check(&mut again);
    }

    #[test]
    fn texts_come_back() {
        check(b"");
        check(b"aaaa");
        check(b"aaaaa");
        check(&[b'a'; 31]);
        check(&[0; 100_000]);
        for len in 0..600 {
            check(&b"abcdefg".repeat(100)[..len]);
            check(&vec![b'x'; len]);
        }
        let far: Vec<u8> = [&b"once upon a time"[..], &[b'.'; 8176], b"once upon a time"].concat();
        check(&far);
        check(&[&far[..16], b".", &far[16..]].concat());
        let numbers: String = (0..50_000).map(|number| format!("{number},")).collect();
        check(numbers.as_bytes());
    }

    /// Compresses and comes back; without gain the output is left alone.
    fn check(text: &[u8]) {
        let mut out = b"before".to_vec();
        if compress(text, &mut out) {
            assert!(out.len() - 6 <= text.len() - 4, "{} bytes", out.len() - 6);
            assert_eq!(decompress(&out[6..], text.len()).as_deref(), Ok(text));
            assert!(decompress(&out[6..], text.len() - 1).is_err());
            assert!(decompress(&out[6..], text.len() + 1).is_err());
        } else {
            assert_eq!(out, b"before");
        }
        assert!(out.starts_with(b"before"));
    }

    #[test]
    fn one_input_does_not_show_in_the_next() {
        let mut compressor = Compressor::default();
        let texts = [
            "abcabcabcabcabcabc",
            "xyzabcabcabcabcabc",
            &"cab".repeat(3_000),
        ];
        for round in 0..100 {
            if round == 50 {
                compressor.base = u32::MAX - 9_020;
            }
            for text in texts {
                let mut out = Vec::new();
                assert!(compressor.compress(text.as_bytes(), &mut out));
                let back = decompress(&out, text.len());
                assert_eq!(back.as_deref(), Ok(text.as_bytes()), "round {round}");
            }
        }
    }

    #[test]
    fn repetition_shrinks_and_noise_does_not() {
        let mut out = Vec::new();
        assert!(compress(&[7; 1_000], &mut out));
        assert!(out.len() < 20, "{} bytes", out.len());
        let mut state = 1u32;
        let noise: Vec<u8> = (0..10_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        out.clear();
        assert!(!compress(&noise, &mut out));
        assert!(out.is_empty());
    }

    #[test]
    fn broken_bytes_are_refused() {
        #[rustfmt::skip]
        let cases: [(&[u8], usize, Fault); 10] = [
            (b"", 1, Fault::Length),
            (b"\x02ab", 3, Fault::Truncated),
            (b"\x02abc", 2, Fault::Length),
            (b"\x00a\x20", 5, Fault::Truncated),
            (b"\x00a\xe0\x00", 50, Fault::Truncated),
            (b"\x00a\x20\x01", 4, Fault::Reference),
            (b"\x20\x00", 3, Fault::Reference),
            (b"\x00a\xe0\xff\x00", 264, Fault::Length),
            (b"\x00a\xe0\xff\x00", usize::MAX, Fault::Length),
            (b"\x00a\x20\x00\x00b", 4, Fault::Length),
        ];
        for (bytes, len, fault) in cases {
            let name = bytes.escape_ascii();
            assert_eq!(decompress(bytes, len), Err(fault), "{name}, {len}");
        }
        assert_eq!(decompress(b"", 0), Ok(vec![]));
        assert_eq!(decompress(b"\x00a\x20\x00", 4), Ok(b"aaaa".to_vec()));
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(text in prop::collection::vec(any::<u8>(), 0..3_000)) {
            check(&text);
        }

        #[test]
        fn any_words_come_back(words in prop::collection::vec("[a-d]{1,6}", 0..4_000)) {
            check(words.concat().as_bytes());
        }

        #[test]
        fn any_input_is_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            len in 0usize..5_000,
        ) {
            if let Ok(text) = decompress(&bytes, len) {
                prop_assert_eq!(text.len(), len);
                prop_assert_eq!(text.capacity(), len);
            }
        }

        #[test]
        fn damage_is_survived(
            words in prop::collection::vec("[a-d]{1,6}", 20..400),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let text = words.concat();
            let mut out = Vec::new();
            prop_assume!(compress(text.as_bytes(), &mut out));
            for (at, byte) in damage {
                let at = at.index(out.len());
                out[at] = byte;
            }
            if let Ok(found) = decompress(&out, text.len()) {
                prop_assert_eq!(found.len(), text.len());
            }
        }
    }
}
