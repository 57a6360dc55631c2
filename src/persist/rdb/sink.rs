//! What a snapshot or payload is written into: a buffer before a writer, and the format's primitives.
//!
//! What goes to the writer goes in pieces of a few hundred KiB, each of which the checksum takes in at once;
//! a long string is not copied into the buffer. After a failure of the writer everything is ignored, and
//! [`Sink::finish`] says what it was.

use super::format::length;
use super::save::Progress;
use crate::base::lzf::{self, Spare};
use crate::persist::checksum::Crc64;
use std::io::{self, Write};

/// The buffer with its writer.
pub struct Sink<'a> {
    buffer: Vec<u8>,
    /// Where full buffers go; a payload has none and stays in the buffer.
    writer: Option<&'a mut dyn Write>,
    crc: Option<Crc64>,
    /// Whether strings are compressed.
    compresses: bool,
    /// What does that, from the first one that is long enough on.
    lzf: Option<Spare>,
    /// What they are compressed in.
    packed: Vec<u8>,
    error: Option<io::Error>,
    progress: &'a mut dyn FnMut(Progress),
    /// Bytes that went to the writer.
    written: u64,
    /// Keys so far.
    pub keys: u64,
}

/// What goes to the writer at once.
const PIECE: usize = 256 << 10;

/// From here on a string goes to the writer without being copied into the buffer.
const DIRECT_MIN: usize = 64 << 10;

/// Up to here a string is never compressed.
const COMPRESS_MIN: usize = 21;

/// The longest text of an integer that is stored as one.
const INT_TEXT_MAX: usize = 11;

impl<'a> Sink<'a> {
    /// A sink before a writer, which `progress` is told of.
    pub fn new(
        writer: Option<&'a mut dyn Write>,
        checksum: bool,
        compress: bool,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Sink<'a> {
        Sink {
            buffer: Vec::new(),
            writer,
            crc: checksum.then(Crc64::new),
            compresses: compress,
            lzf: None,
            packed: Vec::new(),
            error: None,
            progress,
            written: 0,
            keys: 0,
        }
    }

    /// Writes bytes as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        if bytes.len() >= DIRECT_MIN && self.writer.is_some() {
            return self.direct(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush();
        }
    }

    /// Writes a byte.
    #[inline]
    pub fn byte(&mut self, byte: u8) {
        self.raw(&[byte]);
    }

    /// Writes a length.
    #[inline]
    pub fn len(&mut self, len: u64) {
        match len {
            0..0x40 => self.raw(&[len as u8]),
            0x40..0x4000 => self.raw(&[0x40 | (len >> 8) as u8, len as u8]),
            0x4000..0x1_0000_0000 => {
                let [a, b, c, d] = (len as u32).to_be_bytes();
                self.raw(&[length::BYTES_4, a, b, c, d]);
            }
            _ => {
                self.byte(length::BYTES_8);
                self.raw(&len.to_be_bytes());
            }
        }
    }

    /// Writes a time in milliseconds.
    pub fn time_ms(&mut self, time_ms: i64) {
        self.raw(&time_ms.to_le_bytes());
    }

    /// Writes an integer as a string.
    #[inline]
    pub fn int(&mut self, n: i64) {
        if let Ok(n) = i8::try_from(n) {
            self.raw(&[length::INT_8, n as u8]);
        } else if let Ok(n) = i16::try_from(n) {
            let [a, b] = n.to_le_bytes();
            self.raw(&[length::INT_16, a, b]);
        } else if let Ok(n) = i32::try_from(n) {
            let [a, b, c, d] = n.to_le_bytes();
            self.raw(&[length::INT_32, a, b, c, d]);
        } else {
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(n).as_bytes();
            self.len(digits.len() as u64);
            self.raw(digits);
        }
    }

    /// Writes a string, as an integer if it is the text of one.
    #[inline]
    pub fn string(&mut self, bytes: &[u8]) {
        if bytes.len() <= INT_TEXT_MAX
            && let Some(n) = crate::base::num::parse_i64(bytes)
            && i32::try_from(n).is_ok()
        {
            return self.int(n);
        }
        self.bytes(bytes);
    }

    /// Writes a string that is known not to be the text of an integer.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if bytes.len() >= COMPRESS_MIN && self.compresses {
            let room = bytes.len() + lzf::ROOM;
            if self.packed.len() < room {
                self.packed = vec![0; room];
            }
            let lzf = self.lzf.get_or_insert_with(Spare::take);
            if let Some(len) = lzf.compress_to(bytes, &mut self.packed) {
                let packed = std::mem::take(&mut self.packed);
                self.packed(&packed[..len], bytes.len());
                self.packed = packed;
                return;
            }
        }
        self.len(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Writes a string that is compressed already.
    pub fn packed(&mut self, packed: &[u8], original_len: usize) {
        self.byte(length::LZF);
        self.len(packed.len() as u64);
        self.len(original_len as u64);
        self.raw(packed);
    }

    /// Writes the checksum, or zeros if there is none, and gives the number of all bytes. The writer
    /// has them all then.
    pub fn finish(mut self) -> io::Result<u64> {
        self.flush();
        let crc = self.crc.take().map_or(0, |crc| crc.value());
        self.buffer.extend_from_slice(&crc.to_le_bytes());
        self.flush();
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.written),
        }
    }

    /// Whether the writer has failed.
    #[inline]
    pub fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// What is in the buffer.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Begins with a buffer that holds something already.
    pub fn with_buffer(mut self, buffer: Vec<u8>) -> Sink<'a> {
        self.buffer = buffer;
        self
    }

    #[cold]
    fn direct(&mut self, bytes: &[u8]) {
        self.flush();
        for piece in bytes.chunks(PIECE) {
            self.give(piece);
        }
    }

    #[cold]
    fn flush(&mut self) {
        if self.writer.is_none() || self.buffer.is_empty() {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        self.give(&buffer);
        buffer.clear();
        self.buffer = buffer;
    }

    fn give(&mut self, piece: &[u8]) {
        let Some(writer) = &mut self.writer else {
            return;
        };
        if self.error.is_some() {
            return;
        }
        if let Some(crc) = &mut self.crc {
            crc.update(piece);
        }
        match writer.write_all(piece) {
            Ok(()) => {
                self.written += piece.len() as u64;
                self.tell();
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// Says how far it is.
    fn tell(&mut self) {
        (self.progress)(Progress {
            keys: self.keys,
            bytes: self.written,
        });
    }

    /// Counts a key that was written; many small ones are told of before there is much to write.
    #[inline]
    pub fn count_key(&mut self) {
        const TOLD_EVERY: u64 = 1024;
        self.keys += 1;
        if self.keys.is_multiple_of(TOLD_EVERY) {
            self.tell();
        }
    }
}
