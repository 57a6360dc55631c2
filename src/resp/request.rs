//! Requests, cut in place: an argument is a span of the buffer it arrived in.
//!
//! [`parse`] reads one request, a RESP array of bulk strings or an inline line, and appends one
//! [`Span`] an argument; it neither copies nor allocates beyond the caller's span vector. The only
//! bytes it changes are those of an inline line with quotes, unescaped where they stand.
//!
//! A frame that is not whole yet is left alone: the caller keeps its bytes and a [`Progress`], so
//! that a frame of a million arguments that arrives in small reads is walked once, and cut once
//! when its last byte is there. Announced counts and lengths are believed only when their bytes
//! have come: nothing is reserved because a header says so.
//!
//! What is accepted and refused, and at which byte, depends only on the bytes, never on how the
//! reads cut them. Limits and texts are those of Redis 7.2. Owning buffers, sizing them and closing
//! the client after an error are the caller's business.

use std::ops::Range;

use memchr::{memchr, memchr2};

pub use super::argv::{Argv, OwnedArgv, Span};
use super::error::ErrorReply;
use crate::base::num::parse_i64;

/// An inline line, and the line of a count or a length, ends within that many bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// The most arguments a client may send before it has authenticated.
const UNAUTHENTICATED_ARGS_MAX: usize = 10;
/// The longest argument a client may send before it has authenticated.
const UNAUTHENTICATED_BULK_BYTES_MAX: usize = 16 * 1024;

/// The most digits of a header that is read without finding its line end first.
const LONG_HEADER_DIGITS_MAX: usize = 10;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest argument (`proto-max-bulk-len`).
    pub bulk_bytes_max: usize,
    /// Whether the client has authenticated, or need not; one that has not may send little.
    pub authenticated: bool,
}

/// What [`parse`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A request; its arguments were appended to the spans.
    Request {
        /// The bytes it took.
        consumed: usize,
    },
    /// Nothing to run: an empty line, or a count of zero or less.
    Empty {
        /// The bytes it took.
        consumed: usize,
    },
    /// The frame is not whole yet.
    Incomplete,
    /// The frame is wrong; where the next one would start is unknown.
    Error(ProtocolError),
}

/// Why a frame was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// No line end in the first 64 KiB of an inline request.
    InlineTooBig,
    /// No line end in the first 64 KiB of an argument count.
    CountTooBig,
    /// An argument count that is no number, or above `i32::MAX`.
    InvalidCount,
    /// More arguments than a client may send before it authenticates.
    UnauthenticatedCount,
    /// No line end in the first 64 KiB of an argument length.
    LengthTooBig,
    /// Another byte where the `$` of an argument should be.
    ExpectedDollar(u8),
    /// An argument length that is no number, negative, or above `proto-max-bulk-len`.
    InvalidLength,
    /// A longer argument than a client may send before it authenticates.
    UnauthenticatedLength,
    /// An inline request with an open quote, or text directly after a closing one.
    UnbalancedQuotes,
}

impl ProtocolError {
    /// The text without its code, for the log.
    pub fn text(self) -> String {
        let text = self.reply().to_string();
        text["ERR ".len()..].to_string()
    }

    /// What the client is told before it is closed.
    pub fn reply(self) -> ErrorReply {
        ErrorReply::Fixed(match self {
            ProtocolError::InlineTooBig => "ERR Protocol error: too big inline request",
            ProtocolError::CountTooBig => "ERR Protocol error: too big mbulk count string",
            ProtocolError::InvalidCount => "ERR Protocol error: invalid multibulk length",
            ProtocolError::UnauthenticatedCount => {
                "ERR Protocol error: unauthenticated multibulk length"
            }
            ProtocolError::LengthTooBig => "ERR Protocol error: too big bulk count string",
            ProtocolError::ExpectedDollar(found) => {
                let text = [
                    b"ERR Protocol error: expected '$', got '",
                    &[found][..],
                    b"'",
                ];
                return ErrorReply::Bytes(text.concat());
            }
            ProtocolError::InvalidLength => "ERR Protocol error: invalid bulk length",
            ProtocolError::UnauthenticatedLength => {
                "ERR Protocol error: unauthenticated bulk length"
            }
            ProtocolError::UnbalancedQuotes => "ERR Protocol error: unbalanced quotes in request",
        })
    }
}

/// How far an incomplete frame was read. A client keeps one beside the bytes of its frame; a whole
/// frame never touches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The frame is not whole with fewer bytes than this; 0 for a fresh frame.
    needed: usize,
    /// Where the first argument begins that is not whole, relative to the frame.
    resume: usize,
    /// How many arguments are not whole; 0 while the first line is not.
    args_left: usize,
    /// No line that is still open ends before this, relative to the frame.
    searched: usize,
}

impl Progress {
    /// The least number of bytes the whole frame has, as far as it is known; 0 for a fresh one.
    /// It grows with what the client announces: the caller caps what it reserves.
    pub fn bytes_needed(&self) -> usize {
        self.needed
    }

    /// Where in the frame the first argument begins that is not whole; 0 if none is known.
    pub fn argument_at(&self) -> usize {
        self.resume
    }
}

/// Parses the request that starts at `at`. Its spans are positions in `buf`; when there is no
/// request, `spans` is left as it was.
///
/// This is the first step of every request, so it is made part of the loop that calls it; others call
/// [`parse_apart`].
#[inline(always)]
pub fn parse(
    buf: &mut [u8],
    at: usize,
    spans: &mut Vec<Span>,
    limits: &Limits,
    progress: &mut Progress,
) -> Parsed {
    let spans_before = spans.len();
    let found = match buf.get(at) {
        None => return Parsed::Incomplete,
        Some(_) if progress.needed != 0 => parse_resumed(buf, at, spans, limits, progress),
        Some(b'*') => multibulk(buf, at, spans, limits, 0),
        Some(_) => inline(buf, at, spans, 0),
    };
    match found {
        Ok(consumed) if spans.len() > spans_before => Parsed::Request { consumed },
        Ok(consumed) => Parsed::Empty { consumed },
        Err(stop) => {
            spans.truncate(spans_before);
            match stop {
                Stop::Incomplete(so_far) => {
                    *progress = so_far;
                    Parsed::Incomplete
                }
                Stop::Error(error) => Parsed::Error(error),
            }
        }
    }
}

/// [`parse`] as a function, for where a call does not matter.
#[inline(never)]
pub fn parse_apart(
    buf: &mut [u8],
    at: usize,
    spans: &mut Vec<Span>,
    limits: &Limits,
    progress: &mut Progress,
) -> Parsed {
    parse(buf, at, spans, limits, progress)
}

/// Why parsing ended before the frame did.
enum Stop {
    Incomplete(Progress),
    Error(ProtocolError),
}

/// A position, relative to the frame as all below, or why there is none.
type Result<T> = std::result::Result<T, Stop>;

/// Goes on with a frame that was incomplete: counts the arguments that have come since, and cuts
/// the frame from its start once all are there.
#[cold]
fn parse_resumed(
    buf: &mut [u8],
    at: usize,
    spans: &mut Vec<Span>,
    limits: &Limits,
    progress: &mut Progress,
) -> Result<usize> {
    if buf.len() - at < progress.needed {
        return Err(Stop::Incomplete(*progress));
    }
    let mut searched = progress.searched;
    if progress.args_left != 0 {
        arguments(&buf[at..], *progress, limits, |_, _| ())?;
        searched = 0;
    }
    let end = match buf[at] {
        b'*' => multibulk(buf, at, spans, limits, searched)?,
        _ => inline(buf, at, spans, searched)?,
    };
    *progress = Progress::default();
    Ok(end)
}

/// Cuts a RESP array; gives the position after it.
#[inline(always)]
fn multibulk(
    buf: &[u8],
    at: usize,
    spans: &mut Vec<Span>,
    limits: &Limits,
    searched: usize,
) -> Result<usize> {
    let frame = &buf[at..];
    let (count, start) = match short_header(frame, b'*') {
        Some(header) => header,
        None => count_line(frame, searched)?,
    };
    if count > UNAUTHENTICATED_ARGS_MAX && !limits.authenticated {
        return Err(Stop::Error(ProtocolError::UnauthenticatedCount));
    }
    let fresh = Progress {
        needed: 0,
        resume: start,
        args_left: count,
        searched: 0,
    };
    arguments(frame, fresh, limits, |start, len| {
        spans.push(Span::new(at + start, len))
    })
}

/// Walks the arguments that are left, giving `found` where each starts and its length; gives the
/// position after the last.
#[inline(always)]
fn arguments(
    frame: &[u8],
    from: Progress,
    limits: &Limits,
    mut found: impl FnMut(usize, usize),
) -> Result<usize> {
    let Progress {
        mut args_left,
        mut searched,
        ..
    } = from;
    let mut rest = &frame[from.resume..];
    let len_max = match limits.authenticated {
        true => limits.bulk_bytes_max,
        false => limits.bulk_bytes_max.min(UNAUTHENTICATED_BULK_BYTES_MAX),
    };
    while args_left > 0 {
        let position = frame.len() - rest.len();
        let (len, start) = match short_header(rest, b'$') {
            Some(header) => header,
            None => length_line(frame, position, args_left, searched)?,
        };
        if len > len_max {
            return Err(Stop::Error(match len > limits.bulk_bytes_max {
                true => ProtocolError::InvalidLength,
                false => ProtocolError::UnauthenticatedLength,
            }));
        }
        // The two bytes after the argument are skipped, not checked, as Redis does.
        let end = start + len + 2;
        if end > rest.len() {
            let needed = position + end;
            return Err(Stop::Incomplete(Progress {
                needed,
                resume: position,
                args_left,
                searched: 0,
            }));
        }
        found(position + start, len);
        rest = &rest[end..];
        args_left -= 1;
        searched = 0;
    }
    Ok(frame.len() - rest.len())
}

/// Reads `marker`, one or two digits and a line end, as nearly every header is; gives the number
/// and the header's length. `None` for any other header and near the end of the buffer.
#[inline(always)]
fn short_header(rest: &[u8], marker: u8) -> Option<(usize, usize)> {
    let window = u64::from_le_bytes(*rest.first_chunk()?);
    // Expected bytes become zero and digits their value; rotating leaves only the latter.
    let digit = (window as u32 ^ u32::from_le_bytes([marker, b'0', b'\r', b'\n'])).rotate_right(8);
    if digit <= 9 {
        return Some((digit as usize, 4));
    }
    let expected = u64::from_le_bytes([marker, b'0', b'0', b'\r', b'\n', 0, 0, 0]);
    let digits = ((window ^ expected) << 24).rotate_right(32);
    // Tens from 1 to 9 and units up to 9: neither carries into the top bit of its byte.
    let shifted = digits.wrapping_sub(1);
    if (shifted | shifted.wrapping_add(0x7677)) & !0x7f7f == 0 {
        return Some(((digits & 0xff) as usize * 10 + (digits >> 8) as usize, 5));
    }
    None
}

/// Reads `marker`, some digits and a line end, as [`short_header`] does.
fn long_header(rest: &[u8], marker: u8) -> Option<(usize, usize)> {
    let (&first, text) = rest.split_first()?;
    let mut value = 0;
    for (at, &byte) in text.iter().enumerate().take(LONG_HEADER_DIGITS_MAX + 1) {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + usize::from(digit);
            continue;
        }
        let whole = first == marker && byte == b'\r' && text.len() > at + 1;
        let canonical = at > 0 && text[0] != b'0';
        return (whole && canonical).then_some((value, at + 3));
    }
    None
}

/// Reads the line of an argument count; gives the count, no less than 0, and the position after it.
#[cold]
fn count_line(frame: &[u8], searched: usize) -> Result<(usize, usize)> {
    match line(frame, 0, searched) {
        Line::Whole { end } => match parse_i64(&frame[1..end]) {
            Some(count) if count <= i64::from(i32::MAX) => Ok((count.max(0) as usize, end + 2)),
            _ => Err(Stop::Error(ProtocolError::InvalidCount)),
        },
        Line::Open { searched } => Err(Stop::Incomplete(open_line(
            frame,
            Progress {
                searched,
                ..Progress::default()
            },
        ))),
        Line::TooLong => Err(Stop::Error(ProtocolError::CountTooBig)),
    }
}

/// Reads the line of an argument's length at `at`; gives the length and that of the line.
#[inline(never)]
fn length_line(
    frame: &[u8],
    at: usize,
    args_left: usize,
    searched: usize,
) -> Result<(usize, usize)> {
    if let Some(header) = long_header(&frame[at..], b'$') {
        return Ok(header);
    }
    match line(frame, at, searched) {
        Line::Whole { .. } if frame[at] != b'$' => {
            Err(Stop::Error(ProtocolError::ExpectedDollar(frame[at])))
        }
        Line::Whole { end } => match parse_i64(&frame[at + 1..end]) {
            Some(len) if len >= 0 => Ok((len as usize, end + 2 - at)),
            _ => Err(Stop::Error(ProtocolError::InvalidLength)),
        },
        Line::Open { searched } => {
            let so_far = Progress {
                resume: at,
                args_left,
                searched,
                ..Progress::default()
            };
            Err(Stop::Incomplete(open_line(frame, so_far)))
        }
        Line::TooLong => Err(Stop::Error(ProtocolError::LengthTooBig)),
    }
}

/// A line that is still open needs one byte more than there are.
fn open_line(frame: &[u8], so_far: Progress) -> Progress {
    Progress {
        needed: frame.len() + 1,
        ..so_far
    }
}

enum Line {
    /// The position of its carriage return.
    Whole {
        end: usize,
    },
    /// Its carriage return, or the byte after that, is still to come; it is not before `searched`.
    Open {
        searched: usize,
    },
    TooLong,
}

/// Finds the end of the line at `at`, searching from `searched` on if that is later. One byte must
/// follow the carriage return; like Redis, nobody looks at it.
fn line(frame: &[u8], at: usize, searched: usize) -> Line {
    let from = at.max(searched);
    let window_end = frame.len().min(at + LINE_BYTES_MAX + 1);
    match memchr(b'\r', &frame[from..window_end]) {
        Some(found) if from + found + 1 < frame.len() => Line::Whole { end: from + found },
        Some(found) => Line::Open {
            searched: from + found,
        },
        None if frame.len() - at > LINE_BYTES_MAX => Line::TooLong,
        None => Line::Open {
            searched: frame.len(),
        },
    }
}

/// Cuts an inline line; gives the position after it. A zero byte hides the line end behind it, as
/// it does in Redis: such a line is never whole.
#[cold]
fn inline(buf: &mut [u8], at: usize, spans: &mut Vec<Span>, searched: usize) -> Result<usize> {
    let frame = &buf[at..];
    let window = &frame[..frame.len().min(LINE_BYTES_MAX + 1)];
    let stop = memchr2(b'\n', 0, &window[searched..]).map(|found| searched + found);
    let Some(newline) = stop.filter(|&stop| window[stop] == b'\n') else {
        if frame.len() > LINE_BYTES_MAX {
            return Err(Stop::Error(ProtocolError::InlineTooBig));
        }
        let searched = stop.unwrap_or(frame.len());
        let so_far = Progress {
            searched,
            ..Progress::default()
        };
        return Err(Stop::Incomplete(open_line(frame, so_far)));
    };
    let text = frame[..newline]
        .strip_suffix(b"\r")
        .unwrap_or(&frame[..newline]);
    let text_end = at + text.len();
    split_words(buf, at..text_end, spans)?;
    Ok(newline + 1)
}

/// Splits a line at its blanks and takes its quotes away, in place.
fn split_words(buf: &mut [u8], line: Range<usize>, spans: &mut Vec<Span>) -> Result<()> {
    let mut read = line.start;
    loop {
        while read < line.end && is_blank(buf[read]) {
            read += 1;
        }
        if read == line.end {
            return Ok(());
        }
        let start = read;
        let len = unquote_word(&mut buf[..line.end], &mut read)?;
        spans.push(Span::new(start, len));
    }
}

/// Unescapes the word at `read` where it stands and moves `read` past it; gives its length.
fn unquote_word(line: &mut [u8], read: &mut usize) -> Result<usize> {
    let start = *read;
    let mut write = start;
    let mut quote = None;
    while let Some(&byte) = line.get(*read) {
        let mut value = byte;
        let mut taken = 1;
        match (quote, byte) {
            (None, b' ' | b'\n' | b'\r' | b'\t') => break,
            (None, b'"' | b'\'') => {
                quote = Some(byte);
                *read += 1;
                continue;
            }
            (None, _) => {}
            (Some(open), _) if byte == open => {
                if line.get(*read + 1).is_some_and(|&after| !is_blank(after)) {
                    return Err(Stop::Error(ProtocolError::UnbalancedQuotes));
                }
                *read += 1;
                return Ok(write - start);
            }
            (Some(b'"'), b'\\') => (value, taken) = escape(&line[*read..]),
            (Some(b'\''), b'\\') if line.get(*read + 1) == Some(&b'\'') => {
                (value, taken) = (b'\'', 2)
            }
            (Some(_), _) => {}
        }
        line[write] = value;
        write += 1;
        *read += taken;
    }
    match quote {
        None => Ok(write - start),
        Some(_) => Err(Stop::Error(ProtocolError::UnbalancedQuotes)),
    }
}

/// The byte that the escape at the start of `text` stands for, and how many bytes the escape has.
fn escape(text: &[u8]) -> (u8, usize) {
    let hex = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    match *text {
        [_, b'x', high, low, ..] if hex(high).is_some() && hex(low).is_some() => {
            (hex(high).unwrap_or(0) << 4 | hex(low).unwrap_or(0), 4)
        }
        [_, b'n', ..] => (b'\n', 2),
        [_, b'r', ..] => (b'\r', 2),
        [_, b't', ..] => (b'\t', 2),
        [_, b'b', ..] => (8, 2),
        [_, b'a', ..] => (7, 2),
        [_, other, ..] => (other, 2),
        _ => (b'\\', 1),
    }
}

/// What C calls a space.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
