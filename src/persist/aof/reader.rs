//! Reads commands back, checks what annotations say of them, and knows where a file went bad.
//!
//! A checksum is of the bytes before it, mostly of all since the one before. It is of fewer if something else
//! came in between that nobody sealed: commands of another server, or what is left of a batch that was cut off,
//! or whose own checksum is one no more. Its bytes are read a second time then, from the nearest item that is
//! known, so that such a file is read twice at most and others once; what is kept for that is an offset a chunk
//! of what is not sealed.

use self::items::Items;
use super::annotation::Annotation;
use crate::resp::request::Argv;
use std::io::{self, Read, Seek, SeekFrom};

mod items;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// What comes next.
#[derive(Debug)]
pub enum Item {
    /// A command: see [`CommandReader::argv`].
    Command,
    /// An annotation.
    Annotation(Annotation),
    /// Nothing: the file ends after a whole item.
    End,
}

/// Why there is no next item.
#[derive(Debug)]
pub enum ReadError {
    /// The file cannot be read.
    Io(io::Error),
    /// The file ends inside an item.
    Truncated,
    /// There is something else than an item.
    BadFormat,
    /// What a checksum is of is not what was written.
    BadChecksum {
        /// Where the bytes begin that it is of: at the end of the checksum before, or at an item behind that.
        from: u64,
    },
}

/// Reads a file of commands.
pub struct CommandReader<R> {
    items: Items<R>,
    /// Whether checksums are looked at.
    checks: bool,
    /// Where the last annotation of one ends.
    sealed_to: u64,
    /// Offsets behind that, in order, at which items begin: where the chunks began.
    borders: Vec<u64>,
    /// The last of them, whether it is behind that or not.
    border: u64,
}

impl<R: Read + Seek> CommandReader<R> {
    /// Reads from `source`, which stands at `offset` of its file and ends at `end` of it.
    pub fn new(source: R, offset: u64, end: u64, checks: bool) -> CommandReader<R> {
        CommandReader::in_chunks(source, offset, end, checks, CHUNK)
    }

    fn in_chunks(source: R, offset: u64, end: u64, checks: bool, chunk: usize) -> CommandReader<R> {
        let mut items = Items::new(source, offset, end, chunk);
        if checks {
            items.begin_sum();
        }
        CommandReader {
            items,
            checks,
            sealed_to: offset,
            borders: Vec::new(),
            border: offset,
        }
    }

    /// Where the next item begins.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.items.offset()
    }

    /// How many line ends lie before it.
    pub fn lines(&self) -> u64 {
        self.items.lines()
    }

    /// The arguments of the command that [`CommandReader::next`] found last.
    #[inline]
    pub fn argv(&self) -> Argv<'_> {
        self.items.argv()
    }

    /// Reads the next item.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Item, ReadError> {
        let item = self.items.next()?;
        if !self.checks {
            return Ok(item);
        }
        if self.items.held_from() != self.border {
            self.border = self.items.held_from();
            self.borders.push(self.border);
        }
        let checked = match item {
            Item::Annotation(Annotation::Checksum { len, crc }) => self.check(len, crc),
            Item::Annotation(Annotation::BadChecksum) => Err(ReadError::BadFormat),
            _ => return Ok(item),
        };
        if let Err(error) = checked {
            self.items.step_back();
            return Err(error);
        }
        self.sealed_to = self.items.offset();
        self.borders.clear();
        self.items.begin_sum();
        Ok(item)
    }

    /// Where the last checksum ends that was right, or reading began.
    pub fn sealed_to(&self) -> u64 {
        self.sealed_to
    }

    /// Compares the checksum that was found last with the so many bytes before it.
    fn check(&mut self, len: u64, crc: u64) -> Result<(), ReadError> {
        let end = self.items.item_offset();
        let len_max = end - self.sealed_to;
        let sum = self.items.sum();
        let found = match len_max.checked_sub(len) {
            Some(0) => Some((self.sealed_to, sum)),
            // If it is that of all the bytes, then the length is what is wrong.
            Some(others) if crc != sum => {
                let from = self.sealed_to + others;
                self.sum_between(from, end)?.map(|sum| (from, sum))
            }
            _ => None,
        };
        match found {
            Some((_, sum)) if sum == crc => Ok(()),
            Some((from, _)) => Err(ReadError::BadChecksum { from }),
            None => Err(ReadError::BadChecksum {
                from: self.sealed_to,
            }),
        }
    }

    /// The checksum of what lies between two offsets, the second of which is that of an item; `None` if the first
    /// is none of one. Both lie behind the last annotation of a checksum.
    fn sum_between(&mut self, from: u64, to: u64) -> Result<Option<u64>, ReadError> {
        let known = self.borders.partition_point(|&border| border <= from);
        let known = match known.checked_sub(1) {
            Some(index) => self.borders[index],
            None => self.sealed_to,
        };
        let ahead = self.items.read_to() - known;
        let source = self.items.source();
        let here = source.stream_position().map_err(ReadError::Io)?;
        let there = here.checked_sub(ahead).expect("what was read lies before");
        source.seek(SeekFrom::Start(there)).map_err(ReadError::Io)?;
        let again = Items::new(source.take(to - known), known, to, CHUNK);
        let sum = sum_of_rest(again, from)?;
        let source = self.items.source();
        source.seek(SeekFrom::Start(here)).map_err(ReadError::Io)?;
        Ok(sum)
    }
}

/// The checksum of what lies behind an offset; `None` if no item begins there.
fn sum_of_rest<R: Read>(mut items: Items<R>, from: u64) -> Result<Option<u64>, ReadError> {
    let mut is_found = false;
    loop {
        if items.offset() == from {
            items.begin_sum();
            is_found = true;
        }
        match items.next() {
            Ok(Item::End) => return Ok(is_found.then(|| items.sum())),
            Ok(_) => {}
            Err(ReadError::Io(e)) => return Err(ReadError::Io(e)),
            // It is not what it was when it was read first.
            Err(_) => return Ok(None),
        }
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests;
