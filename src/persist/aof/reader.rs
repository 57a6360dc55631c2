//! Reads commands back, checks what annotations say of them, and knows where a file went bad.

use super::annotation::Annotation;
use crate::resp::request::{self, Argv, Limits, Parsed, Progress, Span};
use crc64fast::Digest;
use memchr::memchr;
use std::io::{self, Read};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;
/// The longest annotation.
const ANNOTATION_BYTES_MAX: usize = 1024;

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
    /// What was read since the checksum before is not what was written.
    BadChecksum {
        /// Where the bytes begin that it is of.
        from: u64,
    },
}

/// Reads a file of commands.
pub struct CommandReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// Where in the buffer the next item begins.
    at: usize,
    /// The offset in the file of the buffer's first byte.
    buffer_offset: u64,
    /// Whether the source has no more.
    is_at_end: bool,
    /// The arguments of the last command.
    spans: Vec<Span>,
    /// The lines that were read, by which people find their way.
    lines: u64,
    /// Whether checksums are looked at.
    checks: bool,
    /// The checksum since the last annotation of one, and how many bytes that are.
    crc: Digest,
    crc_len: u64,
}

impl<R: Read> CommandReader<R> {
    /// Reads from `source`, which stands at `offset` of its file.
    pub fn new(source: R, offset: u64, checks: bool) -> CommandReader<R> {
        CommandReader {
            source,
            buffer: Vec::new(),
            at: 0,
            buffer_offset: offset,
            is_at_end: false,
            spans: Vec::new(),
            lines: 0,
            checks,
            crc: Digest::new(),
            crc_len: 0,
        }
    }

    /// Where the next item begins.
    pub fn offset(&self) -> u64 {
        self.buffer_offset + self.at as u64
    }

    /// How many line ends lie before it.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The arguments of the command that [`CommandReader::next`] found last.
    pub fn argv(&self) -> Argv<'_> {
        Argv::new(&self.buffer, &self.spans)
    }

    /// Reads the next item.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Item, ReadError> {
        self.spans.clear();
        if self.at == self.buffer.len() && !self.read_more(1)? {
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
                    let ends_well = |span: &Span| {
                        let end = span.range().end;
                        self.buffer[end..].starts_with(b"\r\n")
                    };
                    if !self.spans.iter().all(ends_well) {
                        return Err(ReadError::BadFormat);
                    }
                    self.lines += 1 + 2 * self.spans.len() as u64;
                    self.consume(consumed);
                    return Ok(Item::Command);
                }
                Parsed::Incomplete => {
                    let missing = progress
                        .bytes_needed()
                        .saturating_sub(self.buffer.len() - self.at);
                    if !self.read_more(missing)? {
                        return Err(ReadError::Truncated);
                    }
                }
                Parsed::Empty { .. } | Parsed::Error(_) => return Err(ReadError::BadFormat),
            }
        }
    }

    fn annotation(&mut self) -> Result<Item, ReadError> {
        loop {
            let rest = &self.buffer[self.at..];
            let found = memchr(b'\n', rest);
            if found.unwrap_or(rest.len()) > ANNOTATION_BYTES_MAX {
                return Err(ReadError::BadFormat);
            }
            let Some(end) = found else {
                if !self.read_more(1)? {
                    return Err(ReadError::Truncated);
                }
                continue;
            };
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            let annotation = Annotation::parse(line);
            if let Annotation::Checksum { len, crc } = annotation
                && self.checks
            {
                self.check(len, crc)?;
            }
            self.lines += 1;
            self.consume(end + 1);
            if matches!(annotation, Annotation::Checksum { .. }) {
                self.crc = Digest::new();
                self.crc_len = 0;
            }
            return Ok(Item::Annotation(annotation));
        }
    }

    /// Compares a checksum with what was read. One of fewer bytes than there were since the one before
    /// says nothing: others, who write none, appended before it.
    fn check(&self, len: u64, crc: u64) -> Result<(), ReadError> {
        if len > self.crc_len || (len == self.crc_len && crc != self.crc.sum64()) {
            let from = self.offset() - len.min(self.crc_len);
            return Err(ReadError::BadChecksum { from });
        }
        Ok(())
    }

    fn consume(&mut self, len: usize) {
        if self.checks {
            self.crc.write(&self.buffer[self.at..self.at + len]);
            self.crc_len += len as u64;
        }
        self.at += len;
    }

    /// Reads on, at least `missing` bytes if there are so many; says whether there was anything. Room is
    /// made as bytes come, not as they are announced.
    fn read_more(&mut self, missing: usize) -> Result<bool, ReadError> {
        self.buffer.drain(..self.at);
        self.buffer_offset += self.at as u64;
        self.at = 0;
        let before = self.buffer.len();
        let wanted = before.saturating_add(missing);
        while !self.is_at_end {
            let chunk = CHUNK.max(self.buffer.len()) as u64;
            let read = (&mut self.source).take(chunk).read_to_end(&mut self.buffer);
            self.is_at_end = read.map_err(ReadError::Io)? == 0;
            if self.buffer.len() >= wanted {
                break;
            }
        }
        Ok(self.buffer.len() > before)
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::super::annotation::{push_time, seal};
    use super::{CommandReader, Item, ReadError};
    use crate::resp::encode;

    fn file() -> Vec<u8> {
        let mut bytes = Vec::new();
        encode::command(&mut bytes, [&b"SELECT"[..], b"0"].into_iter());
        push_time(&mut bytes, 1);
        encode::command(&mut bytes, [&b"SET"[..], b"k", &[b'v'; 3000]].into_iter());
        seal(&mut bytes, 0);
        let from = bytes.len();
        encode::command(&mut bytes, [&b"DEL"[..], b"k"].into_iter());
        seal(&mut bytes, from);
        bytes
    }

    fn read(bytes: &[u8]) -> (Vec<String>, Option<ReadError>, u64) {
        let mut reader = CommandReader::new(bytes, 0, true);
        let mut names = Vec::new();
        loop {
            match reader.next() {
                Ok(Item::Command) => {
                    names.push(String::from_utf8_lossy(reader.argv().at(0)).into_owned());
                }
                Ok(Item::Annotation(_)) => {}
                Ok(Item::End) => return (names, None, reader.offset()),
                Err(e) => return (names, Some(e), reader.offset()),
            }
        }
    }

    #[test]
    fn a_whole_file() {
        let bytes = file();
        let (names, error, offset) = read(&bytes);
        assert_eq!(names, ["SELECT", "SET", "DEL"]);
        assert!(error.is_none());
        assert_eq!(offset, bytes.len() as u64);
    }

    #[test]
    fn a_file_that_ends_anywhere_is_truncated_after_whole_items() {
        let bytes = file();
        for len in 0..bytes.len() {
            let (_, error, offset) = read(&bytes[..len]);
            match error {
                None => assert_eq!(offset, len as u64),
                Some(ReadError::Truncated) => assert!(offset < len as u64),
                Some(other) => panic!("{len}: {other:?}"),
            }
        }
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        let bytes = file();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            // An annotation that is one no more says nothing, and one that is cut into two lines neither.
            let in_annotation = {
                let line = bytes[..at]
                    .iter()
                    .rposition(|&b| b == b'\n')
                    .map_or(0, |n| n + 1);
                bytes[line] == b'#' || bytes[at] == b'#'
            };
            let (names, error, _) = read(&changed);
            assert!(error.is_some() || in_annotation, "{at}: {names:?}");
        }
    }

    #[test]
    fn what_others_appended_without_a_checksum_is_no_fault() {
        let mut bytes = Vec::new();
        encode::command(&mut bytes, [&b"PING"[..]].into_iter());
        let from = bytes.len();
        encode::command(&mut bytes, [&b"DEL"[..], b"k"].into_iter());
        seal(&mut bytes, from);
        assert!(read(&bytes).1.is_none());
    }

    #[test]
    fn announced_lengths_are_not_believed() {
        for text in [
            "*2\r\n$3\r\nSET\r\n$9000000000000\r\nx",
            "*2000000000\r\n$1\r\na\r\n",
        ] {
            let (_, error, offset) = read(text.as_bytes());
            assert!(
                matches!(error, Some(ReadError::Truncated)),
                "{text}: {error:?}"
            );
            assert_eq!(offset, 0);
        }
        for text in [
            "x",
            "SET k v\r\n",
            "*x\r\n",
            "*0\r\n",
            "*1\r\n$-1\r\n",
            "*1\r\n$1\r\nabc",
        ] {
            let error = read(text.as_bytes()).1;
            assert!(
                matches!(error, Some(ReadError::BadFormat)),
                "{text}: {error:?}"
            );
        }
    }
}
