//! Lines between commands, which begin with `#`: readers skip those that they do not know.
//!
//! - `#TS:<seconds>`: what follows happened at that time of the Unix clock or later.
//! - `#CRC:<length>:<crc>`: the so many bytes before this line have this checksum, in 16 hexadecimal
//!   digits: CRC-64/XZ (the one of the `.xz` file format).

use crc64fast::Digest;
use std::io::Write;

/// What a line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Annotation {
    /// The time, in seconds of the Unix clock.
    Time(i64),
    /// A checksum of the bytes before.
    Checksum {
        /// How many bytes.
        len: u64,
        /// Their CRC-64/XZ.
        crc: u64,
    },
    /// What should be a time, and is none.
    BadTime,
    /// What should be a checksum, and is none.
    BadChecksum,
    /// Something that we do not know.
    Other,
}

impl Annotation {
    /// What a line says, its `#` included and its end not.
    pub fn parse(line: &[u8]) -> Annotation {
        let text = std::str::from_utf8(line).unwrap_or_default();
        let time = || text.strip_prefix("#TS:")?.parse().ok();
        let checksum = || {
            let (len, crc) = text.strip_prefix("#CRC:")?.split_once(':')?;
            let crc = u64::from_str_radix(crc, 16).ok()?;
            Some((len.parse().ok()?, crc))
        };
        match (time(), checksum()) {
            (Some(seconds), _) => Annotation::Time(seconds),
            _ if line.starts_with(b"#TS:") => Annotation::BadTime,
            (_, Some((len, crc))) => Annotation::Checksum { len, crc },
            _ if line.starts_with(b"#CRC:") => Annotation::BadChecksum,
            _ => Annotation::Other,
        }
    }
}

/// Appends the time.
pub fn push_time(out: &mut Vec<u8>, seconds: i64) {
    write!(out, "#TS:{seconds}\r\n").expect("memory takes what is written");
}

/// Ends a batch, which begins at `from`, with its checksum.
pub fn seal(batch: &mut Vec<u8>, from: usize) {
    let mut crc = Digest::new();
    crc.write(&batch[from..]);
    let len = batch.len() - from;
    write!(batch, "#CRC:{len}:{:016x}\r\n", crc.sum64()).expect("memory takes what is written");
}

#[cfg(test)]
mod tests {
    use super::{Annotation, push_time, seal};

    #[test]
    fn a_batch_is_sealed_with_its_length_and_checksum() {
        let mut batch = b"before123456789".to_vec();
        seal(&mut batch, 6);
        // The check value of CRC-64/XZ.
        assert_eq!(batch, b"before123456789#CRC:9:995dc9bbdf1939fa\r\n");
    }

    #[test]
    fn lines_are_read() {
        fn check(line: &str, expected: Annotation) {
            assert_eq!(Annotation::parse(line.as_bytes()), expected, "{line}");
        }
        check("#TS:1628217470", Annotation::Time(1_628_217_470));
        check(
            "#CRC:9:995dc9bbdf1939fa",
            Annotation::Checksum {
                len: 9,
                crc: 0x995d_c9bb_df19_39fa,
            },
        );
        check("#TS:", Annotation::BadTime);
        check("#TS:1x", Annotation::BadTime);
        for bad in ["#CRC:9", "#CRC:x:0", "#CRC:1:g", "#CRC::"] {
            check(bad, Annotation::BadChecksum);
        }
        for other in ["#", "#TS", "#CRC", "#crc:1:0", "#\u{e9}"] {
            check(other, Annotation::Other);
        }
        let mut line = Vec::new();
        push_time(&mut line, 7);
        assert_eq!(line, b"#TS:7\r\n");
    }
}
