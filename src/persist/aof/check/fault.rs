//! A closer look at a fault: which part of an item is wrong, and which batch the item belongs to.

use crate::base::num::parse_i64;
use crate::persist::aof::annotation::Annotation;
use crate::persist::aof::reader::ReadError;
use crc64fast::Digest;
use memchr::memchr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// Bytes that are read at once.
const STEP: usize = 1 << 16;

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
        Some(b'#') => Some("Expected the end of an annotation, which is too long".into()),
        _ => None,
    };
    Ok(Flaw { at, lines: 0, what })
}

/// Where the batch begins that a fault lies in, by the first checksum behind it, if it is the fault's batch or none
/// knows which it is. `sealed_to` is where the last checksum before the fault ends.
pub(super) fn batch_around(
    file: &File,
    sealed_to: u64,
    fault: u64,
    size: u64,
) -> io::Result<Option<u64>> {
    let Some((line_at, len, crc)) = next_checksum(file, fault, size)? else {
        return Ok(None);
    };
    let from = line_at.checked_sub(len).filter(|from| *from >= sealed_to);
    Ok(match from {
        Some(from) if from <= fault => Some(from),
        // A batch that is whole, behind a fault that is not of it.
        Some(from) if crc == sum(file, from, len)? => None,
        _ => Some(sealed_to),
    })
}

/// The first checksum behind an offset, be it that no line begins there: where it begins, and what it says.
fn next_checksum(mut file: &File, from: u64, size: u64) -> io::Result<Option<(u64, u64, u64)>> {
    const LINE_BYTES_MAX: u64 = 64;
    file.seek(SeekFrom::Start(from))?;
    let mut source = BufReader::with_capacity(STEP, file.take(size - from));
    let (mut at, mut line) = (from, Vec::new());
    let mut is_behind_sign = false;
    loop {
        if !is_behind_sign {
            let skipped = source.skip_until(b'#')?;
            if skipped == 0 {
                return Ok(None);
            }
            at += skipped as u64;
        }
        line.clear();
        line.push(b'#');
        let read = (&mut source)
            .take(LINE_BYTES_MAX)
            .read_until(b'#', &mut line)?;
        if let Some(end) = memchr(b'\n', &line)
            && let text = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end])
            && let Annotation::Checksum { len, crc } = Annotation::parse(text)
        {
            return Ok(Some((at - 1, len, crc)));
        }
        at += read as u64;
        is_behind_sign = read > 0 && line.ends_with(b"#");
    }
}

/// The checksum of so many bytes from an offset on.
fn sum(mut file: &File, from: u64, len: u64) -> io::Result<u64> {
    file.seek(SeekFrom::Start(from))?;
    let mut source = BufReader::with_capacity(STEP, file.take(len));
    let mut sum = Digest::new();
    loop {
        let held = source.fill_buf()?;
        if held.is_empty() {
            return Ok(sum.sum64());
        }
        sum.write(held);
        let len = held.len();
        source.consume(len);
    }
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
