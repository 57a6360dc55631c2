//! What the checksums behind a fault tell of it: they are looked for where items cannot be read any more.

use super::annotation::Annotation;
use crc64fast::Digest;
use memchr::memchr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// Bytes that are read at once.
const STEP: usize = 1 << 16;

/// Whether a file that seems to end inside the item at `fault` goes on behind that: a length that is not what was
/// written takes what follows for its own. A checksum tells, of a batch that the item is in or of a whole one behind
/// it; what only looks like one is of neither. `sealed_to` is where the last checksum before the fault ends.
///
/// In doubt it does: what is wrongly taken for the end is lost, what is not can be looked at.
pub fn go_on_behind(file: &File, sealed_to: u64, fault: u64) -> io::Result<bool> {
    /// What somebody wrote into a value to look like checksums is not read over and over.
    const TRIED_MAX: usize = 64;
    let size = file.metadata()?.len();
    let mut at = fault;
    for _ in 0..TRIED_MAX {
        let Some((line_at, len, crc)) = next_checksum(file, at, size)? else {
            return Ok(false);
        };
        let from = line_at.checked_sub(len).filter(|from| *from >= sealed_to);
        if let Some(from) = from
            && (from <= fault || crc == sum(file, from, len)?)
        {
            return Ok(true);
        }
        at = line_at + 1;
    }
    Ok(true)
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

#[cfg(test)]
mod tests {
    use super::go_on_behind;
    use crate::persist::aof::annotation::seal;
    use std::io::Write;

    #[test]
    fn a_file_that_was_cut_off_does_not_go_on() {
        let sealed = |bytes: &[u8]| {
            let mut batch = bytes.to_vec();
            seal(&mut batch, 0);
            batch
        };
        let check = |before: &[u8], fault: usize, behind: &[u8], expected: bool| {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&[before, behind].concat()).expect("written");
            let (sealed_to, fault) = (before.len() as u64, (before.len() + fault) as u64);
            let found = go_on_behind(&file, sealed_to, fault).expect("read");
            assert_eq!(found, expected, "{}", behind.escape_ascii());
        };
        let before = sealed(b"*1\r\n$4\r\nPING\r\n");
        check(&before, 0, b"*1\r\n$4\r\nPI", false);
        check(&before, 0, b"", false);
        // The item's own batch, and one behind it.
        check(&before, 0, &sealed(b"*1\r\n$9\r\nPING\r\n"), true);
        let behind = [b"*1\r\n$9\r\n", &sealed(b"PING\r\n")[..]].concat();
        check(&before, 0, &behind, true);
        // What looks like a checksum, and is of bytes that there are not, or of others.
        check(&before, 0, b"*1\r\n$90\r\n#CRC:900:0\r\n", false);
        let other = b"*1\r\n$90\r\nx\r\n#CRC:2:0\r\n";
        check(&before, 0, other, false);
        check(&before, 0, &[&other[..], &sealed(b"x")].concat(), true);
        // There are more of these than are looked at.
        check(&before, 0, &other.repeat(10), false);
        check(&before, 0, &other.repeat(70), true);
    }
}
