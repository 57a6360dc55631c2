//! Cuts a file into commands and annotations, and sums it up.
//!
//! No more is held than an item and a chunk. The checksum is not taken item by item but of all that passed, when
//! it is asked for or the bytes are given up: commands are short, and long pieces cost a fraction of short ones.

use super::{Item, ReadError};
use crate::persist::aof::annotation::Annotation;
use crate::resp::request::{self, Argv, Limits, Parsed, Progress, Span};
use crc64fast::Digest;
use memchr::memchr;
use std::io::Read;

/// The longest annotation.
const ANNOTATION_BYTES_MAX: usize = 1024;

/// A file of commands, item by item, whatever checksums say.
pub(super) struct Items<R> {
    source: R,
    buffer: Vec<u8>,
    /// Where in the buffer the item begins that was found last.
    item: usize,
    /// Where in the buffer the next item begins.
    at: usize,
    /// The offset in the file of the buffer's first byte.
    buffer_offset: u64,
    /// Where the file ends.
    end: u64,
    /// Whether the source has no more.
    is_at_end: bool,
    /// The arguments of the last command.
    spans: Vec<Span>,
    /// The line ends before the next item.
    lines: u64,
    /// Bytes that are read at once.
    chunk: usize,
    /// The checksum, if one is taken, of what lies before `summed` in the buffer.
    sum: Option<Digest>,
    summed: usize,
}

impl<R: Read> Items<R> {
    /// Reads from `source`, which stands at `offset` of its file and ends at `end` of it, about so many bytes at once.
    pub(super) fn new(source: R, offset: u64, end: u64, chunk: usize) -> Items<R> {
        Items {
            source,
            buffer: Vec::new(),
            item: 0,
            at: 0,
            buffer_offset: offset,
            end,
            is_at_end: false,
            spans: Vec::new(),
            lines: 0,
            chunk,
            sum: None,
            summed: 0,
        }
    }

    /// Where the next item begins.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.buffer_offset + self.at as u64
    }

    /// The offset of the first byte that is held: an item begins there.
    #[inline]
    pub(super) fn held_from(&self) -> u64 {
        self.buffer_offset
    }

    /// How many line ends lie before the next item.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// How far the source was read.
    pub(super) fn read_to(&self) -> u64 {
        self.buffer_offset + self.buffer.len() as u64
    }

    /// Bytes of memory that the buffer takes.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// The source.
    pub(super) fn source(&mut self) -> &mut R {
        &mut self.source
    }

    /// Where the item begins that was found last.
    pub(super) fn item_offset(&self) -> u64 {
        self.buffer_offset + self.item as u64
    }

    /// Takes a checksum from the next item on.
    pub(super) fn begin_sum(&mut self) {
        self.sum = Some(Digest::new());
        self.summed = self.at;
    }

    /// The checksum of what lies before the item that was found last.
    pub(super) fn sum(&mut self) -> u64 {
        self.sum_up_to(self.item);
        self.sum.as_ref().map_or(0, Digest::sum64)
    }

    /// Has [`Items::next`] find the annotation again that it found last.
    pub(super) fn step_back(&mut self) {
        self.at = self.item;
        self.lines -= 1;
    }

    /// The arguments of the command that was found last.
    #[inline]
    pub(super) fn argv(&self) -> Argv<'_> {
        Argv::new(&self.buffer, &self.spans)
    }

    /// Finds the next item.
    pub(super) fn next(&mut self) -> Result<Item, ReadError> {
        self.spans.clear();
        if self.at == self.buffer.len() && !self.read_more(1)? {
            self.item = self.at;
            return Ok(Item::End);
        }
        match self.buffer[self.at] {
            b'*' => self.command(),
            b'#' => self.annotation(),
            _ => Err(ReadError::BadFormat),
        }
    }

    fn command(&mut self) -> Result<Item, ReadError> {
        let limits = Limits {
            bulk_bytes_max: i64::MAX as usize / 2,
            authenticated: true,
        };
        let mut progress = Progress::default();
        loop {
            let parsed = request::parse_apart(
                &mut self.buffer,
                self.at,
                &mut self.spans,
                &limits,
                &mut progress,
            );
            match parsed {
                Parsed::Request { consumed } => {
                    if !self.lines_end_well() {
                        return Err(ReadError::BadFormat);
                    }
                    self.lines += 1 + 2 * self.spans.len() as u64;
                    self.consume(consumed);
                    return Ok(Item::Command);
                }
                Parsed::Incomplete => {
                    let needed = progress.bytes_needed();
                    let missing = needed.saturating_sub(self.buffer.len() - self.at);
                    // What cannot be there is not looked for: a length that was damaged may ask for anything.
                    let ends_before = self.offset().saturating_add(needed as u64) > self.end;
                    if ends_before || !self.read_more(missing)? {
                        return Err(self.what_ends_here(progress.argument_at()));
                    }
                }
                Parsed::Empty { .. } | Parsed::Error(_) => return Err(ReadError::BadFormat),
            }
        }
    }

    /// What is wrong with a command that the file ends in: it was cut off, unless another byte than that of an
    /// argument stands where the first one begins that is not whole.
    fn what_ends_here(&self, argument_at: usize) -> ReadError {
        match self.buffer.get(self.at + argument_at) {
            Some(&byte) if argument_at > 0 && byte != b'$' => ReadError::BadFormat,
            _ => ReadError::Truncated,
        }
    }

    /// Whether all lines of the command that was cut end as they must: of clients that is not demanded.
    fn lines_end_well(&self) -> bool {
        const END: &[u8] = b"\r\n";
        let first = self
            .spans
            .first()
            .map_or(self.at, |span| span.range().start);
        let head = &self.buffer[self.at..first];
        let head_ends = memchr(b'\r', head).is_some_and(|end| head[end..].starts_with(END));
        head_ends
            && self.spans.iter().all(|span| {
                let range = span.range();
                self.buffer[..range.start].ends_with(END)
                    && self.buffer[range.end..].starts_with(END)
            })
    }

    fn annotation(&mut self) -> Result<Item, ReadError> {
        loop {
            let rest = &self.buffer[self.at..];
            let found = memchr(b'\n', rest);
            if found.unwrap_or(rest.len()) > ANNOTATION_BYTES_MAX {
                return Err(ReadError::BadFormat);
            }
            if let Some(end) = found {
                let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
                let annotation = Annotation::parse(line);
                self.lines += 1;
                self.consume(end + 1);
                return Ok(Item::Annotation(annotation));
            }
            if !self.read_more(1)? {
                return Err(ReadError::Truncated);
            }
        }
    }

    #[inline]
    fn consume(&mut self, len: usize) {
        self.item = self.at;
        self.at += len;
    }

    fn sum_up_to(&mut self, to: usize) {
        if let Some(sum) = &mut self.sum {
            sum.write(&self.buffer[self.summed..to]);
            self.summed = to;
        }
    }

    /// Reads on, at least `missing` bytes if there are so many; says whether there was anything. Room is
    /// made as bytes come, not as they are announced.
    fn read_more(&mut self, missing: usize) -> Result<bool, ReadError> {
        self.sum_up_to(self.at);
        self.buffer.drain(..self.at);
        self.buffer_offset += self.at as u64;
        (self.item, self.at, self.summed) = (0, 0, 0);
        let before = self.buffer.len();
        let wanted = before.saturating_add(missing);
        while !self.is_at_end {
            let chunk = self.chunk.max(self.buffer.len()) as u64;
            let read = (&mut self.source).take(chunk).read_to_end(&mut self.buffer);
            self.is_at_end = read.map_err(ReadError::Io)? == 0;
            if self.buffer.len() >= wanted {
                break;
            }
        }
        Ok(self.buffer.len() > before)
    }
}
