//! A closer look at a fault: which part of an item is wrong.

use crate::base::num::parse_i64;
use crate::persist::aof::reader::ReadError;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// Where an item is wrong.
pub(super) struct Flaw {
    /// Where the part begins that is.
    pub(super) at: u64,
    /// The lines of the item before it.
    pub(super) lines: u64,
    /// What is wrong; `None` if it is no item at all.
    pub(super) what: Option<String>,
}

/// Looks closer at the item at an offset, which `error` says is wrong.
pub(super) fn flaw_at(mut file: &File, at: u64, size: u64, error: &ReadError) -> io::Result<Flaw> {
    file.seek(SeekFrom::Start(at))?;
    let mut source = BufReader::new(file.take(size - at));
    let first = source.fill_buf()?.first().copied();
    let what = match first {
        Some(b'*') => {
            let mut scan = Scan {
                source,
                at,
                lines: 0,
            };
            return scan.command();
        }
        Some(b'#') if matches!(error, ReadError::Truncated) => {
            Some("Reached EOF inside an annotation".into())
        }
        Some(b'#') if source.fill_buf()?.starts_with(b"#CRC:") => {
            Some("Expected a length and a checksum".into())
        }
        Some(b'#') => Some("Expected the end of an annotation, which is too long".into()),
        _ => None,
    };
    Ok(Flaw { at, lines: 0, what })
}

/// A command being read in small steps, to see which one fails.
struct Scan<R> {
    source: R,
    at: u64,
    lines: u64,
}

impl<R: BufRead> Scan<R> {
    fn command(&mut self) -> io::Result<Flaw> {
        let count = match self.number(b'*')? {
            Ok(count) => count,
            Err(flaw) => return Ok(flaw),
        };
        for _ in 0..count {
            if let Err(flaw) = self.argument()? {
                return Ok(flaw);
            }
        }
        // What the reader demands beyond that: at least one argument, and numbers without ornament.
        Ok(self.flaw(self.at, "Expected a command".into()))
    }

    fn argument(&mut self) -> io::Result<Result<(), Flaw>> {
        let at = self.at;
        let len = match self.number(b'$')? {
            Ok(len) => len,
            Err(flaw) => return Ok(Err(flaw)),
        };
        let Some(wanted) = u64::try_from(len).ok().and_then(|len| len.checked_add(2)) else {
            let what = format!(
                "Expected to read string of {len} bytes, which is not in the suitable range"
            );
            return Ok(Err(self.flaw(at, what)));
        };
        let at = self.at;
        let mut end = Vec::new();
        let text = io::copy(&mut (&mut self.source).take(wanted - 2), &mut io::sink())?;
        (&mut self.source).take(2).read_to_end(&mut end)?;
        let found = text + end.len() as u64;
        self.at += found;
        if found < wanted {
            let what = format!("Expected to read {wanted} bytes, got {found} bytes");
            return Ok(Err(self.flaw(at, what)));
        }
        Ok(self.line_end(at, &end))
    }

    /// The line of a count or a length.
    fn number(&mut self, prefix: u8) -> io::Result<Result<i64, Flaw>> {
        const LINE_BYTES_MAX: u64 = 128;
        let at = self.at;
        let mut line = Vec::new();
        (&mut self.source)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)?;
        self.at += line.len() as u64;
        let Some((&first, rest)) = line.split_first() else {
            let what = format!(
                "Expected prefix '{}', got the end of the file",
                prefix as char
            );
            return Ok(Err(self.flaw(at, what)));
        };
        if first != prefix {
            let (prefix, first) = (prefix as char, first.escape_ascii());
            let what = format!("Expected prefix '{prefix}', got: '{first}'");
            return Ok(Err(self.flaw(at, what)));
        }
        let is_digit = |byte: &&u8| byte.is_ascii_digit() || **byte == b'-';
        let (digits, end) = rest.split_at(rest.iter().take_while(is_digit).count());
        if let Err(flaw) = self.line_end(at, end) {
            return Ok(Err(flaw));
        }
        let number = parse_i64(digits);
        Ok(number.ok_or_else(|| self.flaw(at, "Expected a number".into())))
    }

    /// Counts a line if it ends here.
    fn line_end(&mut self, at: u64, found: &[u8]) -> Result<(), Flaw> {
        if found.starts_with(b"\r\n") {
            self.lines += 1;
            return Ok(());
        }
        let byte = |index: usize| found.get(index).copied().unwrap_or(0);
        let what = format!("Expected \\r\\n, got: {:02x}{:02x}", byte(0), byte(1));
        Err(self.flaw(at, what))
    }

    fn flaw(&self, at: u64, what: String) -> Flaw {
        Flaw {
            at,
            lines: self.lines,
            what: Some(what),
        }
    }
}
