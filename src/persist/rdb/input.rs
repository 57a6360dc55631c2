//! What a snapshot or payload is read from: a window over a reader, and the format's primitives.
//!
//! The window holds a few hundred KiB; what fits into it is lent out in place, what does not is copied
//! into memory that grows with what was really read, never with what was only claimed. The checksum runs
//! over whole windows, not over single reads.

use super::format::length;
use crate::base::lzf;
use crate::keyspace::value::INLINE_MAX;
use crate::persist::checksum::Crc64;
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;

/// What is wrong with what is read.
#[derive(Debug)]
pub enum Fault {
    /// It ends too early.
    Truncated,
    /// The reader failed.
    Io(io::Error),
    /// It is no such thing as the format knows.
    Corrupt(&'static str),
    /// The same, in words that were put together.
    Described(Box<str>),
    /// A collection without elements; all of it was read.
    Empty,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Truncated => f.write_str("Unexpected EOF reading RDB file"),
            Fault::Io(error) => write!(f, "Error reading RDB file: {error}"),
            Fault::Corrupt(what) => f.write_str(what),
            Fault::Described(what) => f.write_str(what),
            Fault::Empty => f.write_str("an empty collection"),
        }
    }
}

impl From<lzf::Fault> for Fault {
    fn from(_: lzf::Fault) -> Fault {
        Fault::Corrupt("invalid LZF compressed string")
    }
}

/// What has been read and is not used up yet, from one step to the next.
pub struct Window {
    /// Memory; what lies from `at` to `end` is unused.
    bytes: Vec<u8>,
    at: usize,
    end: usize,
    /// Up to where the checksum has come.
    summed: usize,
    /// The place of the window's first byte in all that is read.
    start: u64,
    /// How many bytes there are in all, at most.
    size: Option<u64>,
    crc: Option<Crc64>,
}

/// The longest piece that [`Input::take`] gives.
pub const PIECE_MAX: usize = 64 << 10;

/// Bytes that are read at once.
const WINDOW: usize = 256 << 10;

/// Memory that is set aside ahead on a mere claim.
const TRUST_MAX: usize = 1 << 20;

/// Things that room is made for ahead, be there ever so many bytes: a file may be mostly holes.
const AHEAD_MAX: u64 = 1 << 24;

/// Bytes of a string that memory is set aside for ahead.
const STRING_AHEAD_MAX: usize = 8 << 20;

impl Window {
    /// An empty one. `size` is how many bytes there are to come, if that is known.
    pub fn new(size: Option<u64>, with_checksum: bool) -> Window {
        Window {
            bytes: Vec::new(),
            at: 0,
            end: 0,
            summed: 0,
            start: 0,
            size,
            crc: with_checksum.then(Crc64::new),
        }
    }

    /// One that holds all there is.
    pub fn of(bytes: Vec<u8>) -> Window {
        Window {
            size: Some(bytes.len() as u64),
            end: bytes.len(),
            bytes,
            ..Window::new(None, false)
        }
    }

    /// How many bytes were used.
    pub fn offset(&self) -> u64 {
        self.start + self.at as u64
    }
}

/// A window with its reader.
pub struct Input<'r> {
    /// What has been read.
    pub window: Window,
    reader: &'r mut dyn Read,
}

/// Memory for strings that do not lie in the window as they are.
#[derive(Default)]
pub struct Scratch {
    text: Vec<u8>,
    /// What a long string was compressed in; between two strings, for whoever reads.
    pub packed: Vec<u8>,
    /// For whoever reads: it is not touched here.
    pub field: Vec<u8>,
}

impl Scratch {
    /// Room for any short string to be decompressed the quick way.
    #[inline]
    fn make_room(&mut self) {
        const ROOM: usize = INLINE_MAX + lzf::ROOM;
        if self.text.capacity() < ROOM {
            self.text.reserve_exact(ROOM - self.text.len());
        }
    }
}

/// A string that was read.
#[derive(Clone, Copy)]
pub enum Text<'a> {
    /// One that the file holds as an integer.
    Int(i64),
    /// Bytes, which may well spell one.
    Bytes(&'a [u8]),
}

impl<'a> Text<'a> {
    /// The bytes; an integer is written to `digits`.
    #[inline]
    pub fn bytes<'b>(self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Text::Int(n) => digits.format(n).as_bytes(),
            Text::Bytes(bytes) => bytes,
        }
    }
}

/// A string that is to be kept: a short one is lent, a long one given.
pub enum Kept<'a> {
    /// One that the file holds as an integer.
    Int(i64),
    /// At most [`INLINE_MAX`] bytes.
    Short(&'a [u8]),
    /// More.
    Long(Vec<u8>),
}

/// The bytes of a packed collection.
pub enum Blob<'a> {
    /// At most [`INLINE_MAX`] bytes.
    Short(&'a [u8]),
    /// More.
    Long(Vec<u8>),
}

impl Blob<'_> {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Blob::Short(bytes) => bytes,
            Blob::Long(bytes) => bytes,
        }
    }

    /// The bytes, to own.
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Blob::Short(bytes) => bytes.to_vec(),
            Blob::Long(bytes) => bytes,
        }
    }
}

/// How a string is stored.
enum Stored {
    Raw(u64),
    Int(i64),
    /// Its compressed and its own length.
    Lzf(u64, u64),
}

impl<'r> Input<'r> {
    /// Goes on with a window.
    pub fn new(window: Window, reader: &'r mut dyn Read) -> Input<'r> {
        Input { window, reader }
    }

    /// How many bytes were used.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    /// How many bytes are left at most, if that is known.
    pub fn left(&self) -> Option<u64> {
        let size = self.window.size?;
        Some(size.saturating_sub(self.offset()))
    }

    /// How many of so many claimed things, of at least so many bytes each, memory may be set aside for.
    pub fn plausible(&self, claimed: u64, bytes_each: u64) -> usize {
        let fit = match self.left() {
            Some(left) => left / bytes_each,
            None => TRUST_MAX as u64 / bytes_each,
        };
        claimed.min(fit).min(AHEAD_MAX) as usize
    }

    /// The checksum of all bytes that were used.
    pub fn checksum(&mut self) -> Option<u64> {
        let window = &mut self.window;
        let crc = window.crc.as_mut()?;
        crc.update(&window.bytes[window.summed..window.at]);
        window.summed = window.at;
        Some(crc.value())
    }

    /// The next bytes, at most [`PIECE_MAX`] of them.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&[u8], Fault> {
        debug_assert!(len <= PIECE_MAX);
        if self.window.end - self.window.at < len {
            self.refill(len)?;
        }
        let at = self.window.at;
        self.window.at += len;
        Ok(&self.window.bytes[at..at + len])
    }

    /// The next bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.take(N)?;
        Ok(*bytes
            .first_chunk()
            .expect("as many bytes as were asked for"))
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    /// A length. The special forms are none.
    #[inline]
    pub fn len(&mut self) -> Result<u64, Fault> {
        let first = self.byte()?;
        self.len_from(first)
    }

    /// A time in milliseconds.
    pub fn time_ms(&mut self) -> Result<i64, Fault> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A string, good until the next is read.
    #[inline]
    pub fn string<'a>(&'a mut self, scratch: &'a mut Scratch) -> Result<Text<'a>, Fault> {
        match self.short(usize::MAX) {
            Some(place) => Ok(Text::Bytes(&self.window.bytes[place])),
            None => self.string_of_any_form(scratch),
        }
    }

    /// The next string, if it is at hand as it is: one of fewer than 64 bytes, which are at most `max`, that lies
    /// in the window.
    #[inline]
    pub fn short_string(&mut self, max: usize) -> Option<&[u8]> {
        let place = self.short(max)?;
        Some(&self.window.bytes[place])
    }

    /// Passes over a string that [`Input::short_string`] gives; says where it is.
    #[inline]
    fn short(&mut self, max: usize) -> Option<Range<usize>> {
        let window = &mut self.window;
        let [len @ ..0x40, behind @ ..] = &window.bytes[window.at..window.end] else {
            return None;
        };
        let len = usize::from(*len);
        if len > behind.len().min(max) {
            return None;
        }
        let from = window.at + 1;
        window.at = from + len;
        Some(from..from + len)
    }

    fn string_of_any_form<'a>(&'a mut self, scratch: &'a mut Scratch) -> Result<Text<'a>, Fault> {
        match self.stored()? {
            Stored::Raw(len) if len <= PIECE_MAX as u64 => {
                Ok(Text::Bytes(self.take(len as usize)?))
            }
            Stored::Raw(len) => {
                self.read_long(len, &mut scratch.text)?;
                Ok(Text::Bytes(&scratch.text))
            }
            Stored::Int(n) => Ok(Text::Int(n)),
            Stored::Lzf(packed, len) => {
                self.unpack(packed, len, &mut scratch.text, &mut scratch.packed)?;
                Ok(Text::Bytes(&scratch.text))
            }
        }
    }

    /// A string, copied into memory whose content is given up.
    pub fn string_into(&mut self, out: &mut Vec<u8>, scratch: &mut Scratch) -> Result<(), Fault> {
        let text = self.string(scratch)?;
        let mut digits = itoa::Buffer::new();
        out.clear();
        out.extend_from_slice(text.bytes(&mut digits));
        Ok(())
    }

    /// A string of its own.
    pub fn owned(&mut self, scratch: &mut Scratch) -> Result<Box<[u8]>, Fault> {
        let text = self.string(scratch)?;
        Ok(text.bytes(&mut itoa::Buffer::new()).into())
    }

    /// A string that is to be kept.
    #[inline]
    pub fn kept<'a>(&'a mut self, scratch: &'a mut Scratch) -> Result<Kept<'a>, Fault> {
        match self.short(usize::MAX) {
            Some(place) => Ok(Kept::Short(&self.window.bytes[place])),
            None => self.kept_of_any_form(scratch),
        }
    }

    fn kept_of_any_form<'a>(&'a mut self, scratch: &'a mut Scratch) -> Result<Kept<'a>, Fault> {
        const INLINE: u64 = INLINE_MAX as u64;
        match self.stored()? {
            Stored::Raw(len) if len <= INLINE => Ok(Kept::Short(self.take(len as usize)?)),
            Stored::Raw(len) => {
                let mut bytes = Vec::new();
                self.read_long(len, &mut bytes)?;
                Ok(Kept::Long(bytes))
            }
            Stored::Int(n) => Ok(Kept::Int(n)),
            Stored::Lzf(packed, len) if len <= INLINE => {
                scratch.make_room();
                self.unpack(packed, len, &mut scratch.text, &mut scratch.packed)?;
                Ok(Kept::Short(&scratch.text))
            }
            Stored::Lzf(packed, len) => {
                let mut bytes = Vec::new();
                self.unpack(packed, len, &mut bytes, &mut scratch.packed)?;
                Ok(Kept::Long(bytes))
            }
        }
    }

    /// The bytes of a packed collection, which no integer stands for.
    pub fn blob<'a>(&'a mut self, scratch: &'a mut Scratch) -> Result<Blob<'a>, Fault> {
        match self.kept(scratch)? {
            Kept::Int(_) => Err(Fault::Corrupt(
                "an integer where a packed collection is due",
            )),
            Kept::Short(bytes) => Ok(Blob::Short(bytes)),
            Kept::Long(bytes) => Ok(Blob::Long(bytes)),
        }
    }

    /// Passes over a string.
    pub fn skip_string(&mut self) -> Result<(), Fault> {
        match self.stored()? {
            Stored::Raw(len) | Stored::Lzf(len, _) => self.skip(len),
            Stored::Int(_) => Ok(()),
        }
    }

    /// Passes over bytes.
    pub fn skip(&mut self, len: u64) -> Result<(), Fault> {
        let mut left = len;
        while left > 0 {
            let piece = left.min(PIECE_MAX as u64);
            self.take(piece as usize)?;
            left -= piece;
        }
        Ok(())
    }

    #[inline]
    fn len_from(&mut self, first: u8) -> Result<u64, Fault> {
        match first {
            0..=0x3f => Ok(u64::from(first)),
            0x40..=0x7f => {
                let low = self.byte()?;
                Ok(u64::from(first & 0x3f) << 8 | u64::from(low))
            }
            length::BYTES_4 => Ok(u64::from(u32::from_be_bytes(self.array()?))),
            length::BYTES_8 => Ok(u64::from_be_bytes(self.array()?)),
            _ => Err(Fault::Corrupt("unknown form of a length")),
        }
    }

    #[inline]
    fn stored(&mut self) -> Result<Stored, Fault> {
        let first = self.byte()?;
        if first < length::SPECIAL {
            return Ok(Stored::Raw(self.len_from(first)?));
        }
        Ok(match first {
            length::INT_8 => Stored::Int(i64::from(self.byte()? as i8)),
            length::INT_16 => Stored::Int(i64::from(i16::from_le_bytes(self.array()?))),
            length::INT_32 => Stored::Int(i64::from(i32::from_le_bytes(self.array()?))),
            length::LZF => {
                let packed = self.len()?;
                Stored::Lzf(packed, self.len()?)
            }
            _ => return Err(Fault::Corrupt("unknown encoding of a string")),
        })
    }

    /// Reads a long string into memory whose content is given up.
    fn read_long(&mut self, len: u64, out: &mut Vec<u8>) -> Result<(), Fault> {
        out.clear();
        out.reserve_exact(self.plausible(len, 1).min(STRING_AHEAD_MAX));
        let mut left = len;
        while left > 0 {
            let piece = left.min(PIECE_MAX as u64) as usize;
            let bytes = self.take(piece)?;
            out.extend_from_slice(bytes);
            left -= piece as u64;
        }
        Ok(())
    }

    /// Reads a compressed string of so many bytes and decompresses it.
    fn unpack(
        &mut self,
        packed: u64,
        len: u64,
        out: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let len = usize::try_from(len).map_err(|_| Fault::Corrupt("a string that is too long"))?;
        if packed <= PIECE_MAX as u64 {
            return Ok(lzf::decompress_into(self.take(packed as usize)?, len, out)?);
        }
        self.read_long(packed, scratch)?;
        lzf::decompress_into(scratch, len, out)?;
        *scratch = Vec::new();
        Ok(())
    }

    /// Reads on until so many bytes lie ahead.
    #[cold]
    fn refill(&mut self, len: usize) -> Result<(), Fault> {
        let window = &mut self.window;
        if let Some(crc) = &mut window.crc {
            crc.update(&window.bytes[window.summed..window.at]);
        }
        window.bytes.copy_within(window.at..window.end, 0);
        window.start += window.at as u64;
        window.end -= window.at;
        (window.at, window.summed) = (0, 0);
        let left = window.size.map(|size| size.saturating_sub(window.start));
        let wanted = left.map_or(WINDOW, |left| left.clamp(1, WINDOW as u64) as usize);
        if window.bytes.len() < wanted.max(len) {
            window.bytes.resize(wanted.max(len), 0);
        }
        while window.end < len {
            match self.reader.read(&mut window.bytes[window.end..]) {
                Ok(0) => return Err(Fault::Truncated),
                Ok(read) => window.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Io(error)),
            }
        }
        Ok(())
    }
}
