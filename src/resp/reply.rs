//! Replies, written once into one buffer for many clients.
//!
//! A [`Reply`] is a stream of bytes: a buffer, and large values shared with the keyspace that are
//! sent from where they lie. Each client's part is a range of the stream; the caller sends it with
//! one `writev` of [`Reply::slices`] and keeps what was not taken as [`Reply::take_range`].
//!
//! ```text
//! buf       $5\r\nhello\r\n$20000\r\n|\r\n:1\r\n        the bar: where `shared[0]` goes
//! stream    ----------- 0..11 ---- | 20000 bytes | ----
//! ```
//!
//! Every method writes a whole reply element in the client's protocol; that counts and elements
//! agree is the command's business. Sockets and queues are the caller's.

use std::fmt;
use std::io::IoSlice;

use bytes::Bytes;

use super::error::ErrorReply;
use crate::base::num::{F64_TEXT_MAX, format_f64_shortest};

/// A shared value of at least that many bytes is sent from where it lies, a shorter one copied.
pub const SHARED_MIN: usize = 16 * 1024;

/// The protocol a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proto {
    /// Version 2, which a connection starts with.
    #[default]
    Resp2,
    /// Version 3, asked for with HELLO.
    Resp3,
}

/// Replies in the order they are sent.
#[derive(Debug, Default)]
pub struct Reply {
    buf: Vec<u8>,
    /// In the order of the stream.
    shared: Vec<Segment>,
    shared_bytes: usize,
    proto: Proto,
}

/// A value that is sent from where it lies.
#[derive(Clone, Debug)]
struct Segment {
    /// The position in `buf` it goes before.
    at: usize,
    /// The position in the stream it starts at.
    stream_at: usize,
    bytes: Bytes,
}

/// A place to come back to with [`Reply::rollback`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    buf: usize,
    shared: usize,
}

/// A header that is written once its count is known.
#[must_use = "a deferred header must be written with one of the end methods"]
#[derive(Debug)]
pub struct Deferred {
    at: usize,
    shared: usize,
}

impl Reply {
    /// An empty one that writes RESP2.
    pub fn new() -> Reply {
        Reply::default()
    }

    /// An empty one that writes `proto`.
    pub fn with_proto(proto: Proto) -> Reply {
        Reply {
            proto,
            ..Reply::default()
        }
    }

    /// The protocol it writes.
    #[inline]
    pub fn proto(&self) -> Proto {
        self.proto
    }

    /// Writes `proto` from here on.
    #[inline]
    pub fn set_proto(&mut self, proto: Proto) {
        self.proto = proto;
    }

    /// A simple string, which holds no line end.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        debug_assert!(!text.contains(['\r', '\n']));
        self.line(b'+', text.as_bytes());
    }

    /// A simple string that need not be UTF-8.
    pub fn status(&mut self, text: &[u8]) {
        debug_assert!(!text.iter().any(|byte| matches!(byte, b'\r' | b'\n')));
        self.line(b'+', text);
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.buf.extend_from_slice(b"+OK\r\n");
    }

    /// An error. Line ends around its text are dropped, those within become spaces, as in Redis.
    #[cold]
    pub fn error(&mut self, error: &ErrorReply) {
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let text = error.as_bytes();
        let start = text
            .iter()
            .position(|byte| !is_line_end(byte))
            .unwrap_or(text.len());
        let end = text
            .iter()
            .rposition(|byte| !is_line_end(byte))
            .map_or(start, |last| last + 1);
        self.buf.push(b'-');
        let shown = text[start..end].iter();
        self.buf
            .extend(shown.map(|byte| if is_line_end(byte) { b' ' } else { *byte }));
        self.buf.extend_from_slice(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len() as i64);
        self.buf.extend_from_slice(bytes);
        self.buf.extend_from_slice(b"\r\n");
    }

    /// A bulk string whose bytes are shared: sent from where they lie if they are many.
    #[inline]
    pub fn bulk_shared(&mut self, bytes: Bytes) {
        if bytes.len() < SHARED_MIN {
            return self.bulk(&bytes);
        }
        self.header(b'$', bytes.len() as i64);
        self.segment(bytes);
        self.buf.extend_from_slice(b"\r\n");
    }

    /// An integer as a bulk string.
    #[inline]
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A formatted text as a bulk string.
    pub fn bulk_fmt(&mut self, text: fmt::Arguments<'_>) {
        match text.as_str() {
            Some(text) => self.bulk(text.as_bytes()),
            None => self.bulk(text.to_string().as_bytes()),
        }
    }

    /// Nothing, where a string or any one value could be.
    #[inline]
    pub fn null(&mut self) {
        match self.proto {
            Proto::Resp2 => self.buf.extend_from_slice(b"$-1\r\n"),
            Proto::Resp3 => self.buf.extend_from_slice(b"_\r\n"),
        }
    }

    /// Nothing, where an array could be.
    #[inline]
    pub fn null_array(&mut self) {
        match self.proto {
            Proto::Resp2 => self.buf.extend_from_slice(b"*-1\r\n"),
            Proto::Resp3 => self.buf.extend_from_slice(b"_\r\n"),
        }
    }

    /// An array of the next `n` elements.
    #[inline]
    pub fn array(&mut self, n: usize) {
        self.header(b'*', n as i64);
    }

    /// A map of the next `n` pairs.
    #[inline]
    pub fn map(&mut self, n: usize) {
        let (marker, count) = self.map_header(n);
        self.header(marker, count);
    }

    /// A set of the next `n` elements.
    #[inline]
    pub fn set(&mut self, n: usize) {
        let marker = self.set_marker();
        self.header(marker, n as i64);
    }

    /// A push message of the next `n` elements.
    #[inline]
    pub fn push(&mut self, n: usize) {
        let marker = match self.proto {
            Proto::Resp2 => b'*',
            Proto::Resp3 => b'>',
        };
        self.header(marker, n as i64);
    }

    /// An attribute of the next `n` pairs, which only RESP3 has.
    pub fn attribute(&mut self, n: usize) {
        assert_eq!(self.proto, Proto::Resp3, "attributes exist in RESP3 only");
        self.header(b'|', n as i64);
    }

    /// A float.
    pub fn double(&mut self, value: f64) {
        let mut text = [0; F64_TEXT_MAX];
        let text = format_f64_shortest(&mut text, value);
        match self.proto {
            Proto::Resp2 => self.bulk(text),
            Proto::Resp3 => self.line(b',', text),
        }
    }

    /// A truth value; an integer in RESP2.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.buf.extend_from_slice(match (self.proto, value) {
            (Proto::Resp2, true) => b":1\r\n",
            (Proto::Resp2, false) => b":0\r\n",
            (Proto::Resp3, true) => b"#t\r\n",
            (Proto::Resp3, false) => b"#f\r\n",
        });
    }

    /// A text for people, `format` being three letters such as `txt`; a bulk string in RESP2.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        assert_eq!(
            format.len(),
            3,
            "a verbatim string's format has three letters"
        );
        if self.proto == Proto::Resp2 {
            return self.bulk(text);
        }
        self.header(b'=', text.len() as i64 + 4);
        self.buf.extend_from_slice(format.as_bytes());
        self.buf.push(b':');
        self.buf.extend_from_slice(text);
        self.buf.extend_from_slice(b"\r\n");
    }

    /// An integer of any size, in decimal; a bulk string in RESP2.
    pub fn big_number(&mut self, digits: impl AsRef<[u8]>) {
        let digits = digits.as_ref();
        match self.proto {
            Proto::Resp2 => self.bulk(digits),
            Proto::Resp3 => self.line(b'(', digits),
        }
    }

    /// Bytes that are a reply already.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// Begins an array whose count comes with [`Reply::end_array`].
    #[inline]
    pub fn defer_array(&mut self) -> Deferred {
        self.defer()
    }

    /// Begins a map whose count comes with [`Reply::end_map`].
    #[inline]
    pub fn defer_map(&mut self) -> Deferred {
        self.defer()
    }

    /// Begins a set whose count comes with [`Reply::end_set`].
    #[inline]
    pub fn defer_set(&mut self) -> Deferred {
        self.defer()
    }

    /// Everything since `deferred` is an array of `n` elements.
    pub fn end_array(&mut self, deferred: Deferred, n: usize) {
        self.end(deferred, b'*', n as i64);
    }

    /// Everything since `deferred` is a map of `n` pairs.
    pub fn end_map(&mut self, deferred: Deferred, n: usize) {
        let (marker, count) = self.map_header(n);
        self.end(deferred, marker, count);
    }

    /// Everything since `deferred` is a set of `n` elements.
    pub fn end_set(&mut self, deferred: Deferred, n: usize) {
        let marker = self.set_marker();
        self.end(deferred, marker, n as i64);
    }

    /// Remembers this place in the stream.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark {
            buf: self.buf.len(),
            shared: self.shared.len(),
        }
    }

    /// Throws away what was written since `mark`.
    pub fn rollback(&mut self, mark: Mark) {
        assert!(
            mark.buf <= self.buf.len() && mark.shared <= self.shared.len(),
            "mark from the future"
        );
        self.buf.truncate(mark.buf);
        let dropped = self
            .shared
            .drain(mark.shared..)
            .map(|segment| segment.bytes.len());
        self.shared_bytes -= dropped.sum::<usize>();
    }

    /// The length of the stream in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.buf.len() + self.shared_bytes
    }

    /// Whether nothing was written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// The range `from..to` of the stream as one slice, if no shared value lies in it.
    #[inline]
    pub fn contiguous(&self, from: usize, to: usize) -> Option<&[u8]> {
        if self.shared.is_empty() {
            Some(&self.buf[from..to])
        } else {
            None
        }
    }

    /// Appends the bytes of the stream from `from` to `to` to `out`, in order.
    pub fn slices<'a>(&'a self, from: usize, to: usize, out: &mut Vec<IoSlice<'a>>) {
        self.pieces(from, to, |piece| out.push(IoSlice::new(piece.as_slice())));
    }

    /// The bytes of the stream from `from` to `to`, to outlive this reply: those of the buffer
    /// copied, shared values still shared.
    pub fn take_range(&self, from: usize, to: usize) -> Vec<Bytes> {
        let mut out = Vec::new();
        self.pieces(from, to, |piece| out.push(piece.to_bytes()));
        out
    }

    /// Empties it and keeps its buffer, unless that has grown beyond `capacity_max` bytes.
    pub fn clear(&mut self, capacity_max: usize) {
        self.buf.clear();
        self.shared.clear();
        self.shared_bytes = 0;
        self.buf.shrink_to(capacity_max);
        self.shared.shrink_to(capacity_max / size_of::<Segment>());
    }

    /// The heap bytes it holds, without the shared ones.
    pub fn heap_bytes(&self) -> usize {
        self.buf.capacity() + self.shared.capacity() * size_of::<Segment>()
    }

    fn map_header(&self, pairs: usize) -> (u8, i64) {
        match self.proto {
            Proto::Resp2 => (b'*', 2 * pairs as i64),
            Proto::Resp3 => (b'%', pairs as i64),
        }
    }

    fn set_marker(&self) -> u8 {
        match self.proto {
            Proto::Resp2 => b'*',
            Proto::Resp3 => b'~',
        }
    }

    /// A marker, a number and a line end.
    #[inline]
    fn header(&mut self, marker: u8, value: i64) {
        if (0..10).contains(&value) {
            let header = [marker, b'0' + value as u8, b'\r', b'\n'];
            self.buf.extend_from_slice(&header);
        } else if (10..100).contains(&value) {
            let (tens, units) = (value as u8 / 10, value as u8 % 10);
            let header = [marker, b'0' + tens, b'0' + units, b'\r', b'\n'];
            self.buf.extend_from_slice(&header);
        } else {
            self.long_header(marker, value);
        }
    }

    #[inline(never)]
    fn long_header(&mut self, marker: u8, value: i64) {
        if !(0..10_000_000).contains(&value) {
            return self.line(marker, itoa::Buffer::new().format(value).as_bytes());
        }
        // A store of constant size, cut to what counts, costs less than copying what counts.
        let (digits, len) = seven_digits(value as u64);
        self.buf
            .extend_from_slice(&(digits << 8 | u64::from(marker)).to_le_bytes());
        self.buf.truncate(self.buf.len() - (7 - len));
        self.buf.extend_from_slice(b"\r\n");
    }

    /// A marker, a text and a line end.
    #[inline(never)]
    fn line(&mut self, marker: u8, text: &[u8]) {
        self.buf.push(marker);
        self.buf.extend_from_slice(text);
        self.buf.extend_from_slice(b"\r\n");
    }

    fn segment(&mut self, bytes: Bytes) {
        let (at, stream_at) = (self.buf.len(), self.len());
        self.shared_bytes += bytes.len();
        self.shared.push(Segment {
            at,
            stream_at,
            bytes,
        });
    }

    #[inline]
    fn defer(&mut self) -> Deferred {
        Deferred {
            at: self.buf.len(),
            shared: self.shared.len(),
        }
    }

    /// Writes the header behind what came since and turns it to the front.
    fn end(&mut self, deferred: Deferred, marker: u8, count: i64) {
        let before = self.buf.len();
        assert!(
            deferred.at <= before,
            "a deferred header that was rolled back"
        );
        self.header(marker, count);
        let header_len = self.buf.len() - before;
        self.buf[deferred.at..].rotate_right(header_len);
        for segment in &mut self.shared[deferred.shared..] {
            segment.at += header_len;
            segment.stream_at += header_len;
        }
    }

    fn pieces<'a>(&'a self, from: usize, to: usize, mut found: impl FnMut(Piece<'a>)) {
        assert!(
            from <= to && to <= self.len(),
            "range {from}..{to} of a reply of {}",
            self.len()
        );
        let first = self
            .shared
            .partition_point(|segment| segment.stream_at + segment.bytes.len() <= from);
        let mut at = from;
        for segment in &self.shared[first..] {
            if segment.stream_at >= to || at == to {
                break;
            }
            if at < segment.stream_at {
                let buf_end = segment.at;
                found(Piece::Buffer(
                    &self.buf[buf_end - (segment.stream_at - at)..buf_end],
                ));
                at = segment.stream_at;
            }
            let end = to.min(segment.stream_at + segment.bytes.len());
            found(Piece::Shared(
                &segment.bytes,
                at - segment.stream_at,
                end - segment.stream_at,
            ));
            at = end;
        }
        if at < to {
            // No segment starts in what is left, so that buffer and stream differ by a constant.
            let before = self
                .shared
                .partition_point(|segment| segment.stream_at < to);
            let shift = before.checked_sub(1).map_or(0, |last| {
                let last = &self.shared[last];
                last.stream_at + last.bytes.len() - last.at
            });
            found(Piece::Buffer(&self.buf[at - shift..to - shift]));
        }
    }
}

enum Piece<'a> {
    Buffer(&'a [u8]),
    Shared(&'a Bytes, usize, usize),
}

impl<'a> Piece<'a> {
    fn as_slice(&self) -> &'a [u8] {
        match *self {
            Piece::Buffer(bytes) => bytes,
            Piece::Shared(bytes, from, to) => &bytes[from..to],
        }
    }

    fn to_bytes(&self) -> Bytes {
        match *self {
            Piece::Buffer(bytes) => Bytes::copy_from_slice(bytes),
            Piece::Shared(bytes, from, to) => bytes.slice(from..to),
        }
    }
}

/// The decimal text of a number of at most seven digits, first digit in the lowest byte, and how
/// many digits there are. All digits at once: halves, then quarters, then single digits are split
/// by multiplying with a reciprocal.
#[inline]
fn seven_digits(value: u64) -> (u64, usize) {
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x0f_000f_000f_000f;
    let ones = tens | ((twos - tens * 10) << 8);
    // The first byte is that of an eighth digit. A zero has one digit, the last.
    let leading = (ones | (1 << 56)).trailing_zeros() & !7;
    let digits = (ones | 0x3030_3030_3030_3030) >> leading;
    (digits, 8 - leading as usize / 8)
}

#[cfg(test)]
mod tests;
