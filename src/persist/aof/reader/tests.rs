//! Whole files, files that end anywhere, and every way in which a checksum can be wrong.

use super::super::annotation::{push_time, seal};
use super::{CommandReader, Item, ReadError};
use crate::resp::encode;
use std::io::Cursor;

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
    read_in_chunks(bytes, super::CHUNK)
}

fn read_in_chunks(bytes: &[u8], chunk: usize) -> (Vec<String>, Option<ReadError>, u64) {
    let mut reader =
        CommandReader::in_chunks(Cursor::new(bytes), 0, bytes.len() as u64, true, chunk);
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

/// The end of the file says nothing of what is wrong before it.
#[test]
fn what_is_no_argument_is_not_cut_off() {
    let check = |end: &str, is_cut_off: bool| {
        let bytes = [file(), end.as_bytes().to_vec()].concat();
        match read(&bytes).1 {
            Some(ReadError::Truncated) => assert!(is_cut_off, "{end:?}"),
            Some(ReadError::BadFormat) => assert!(!is_cut_off, "{end:?}"),
            other => panic!("{end:?}: {other:?}"),
        }
    };
    check("*3\r\n", true);
    check("*3\r\n$", true);
    check("*3\r\n$3\r\nSET\r\n$3", true);
    check("*3\r\nXXXX", false);
    check("*3\r\n$3\r\nSET\r\n3\r", false);
}

/// A length that goes beyond the end of the file is no reason to read all of that.
#[test]
fn a_length_beyond_the_end_takes_no_memory() {
    let rest = commands(&["SET"; 100], 100_000);
    let bytes = [&b"*2\r\n$3\r\nSET\r\n$99999999999\r\n"[..], &rest].concat();
    let end = bytes.len() as u64;
    let mut reader = CommandReader::new(Cursor::new(&bytes), 0, end, true);
    assert!(matches!(reader.next(), Err(ReadError::Truncated)));
    let taken = reader.items.capacity();
    assert!(taken <= 4 * super::CHUNK, "{taken} bytes");
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

/// Commands by their names, each with a value of so many bytes.
fn commands(names: &[&str], value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        encode::command(
            &mut bytes,
            [name.as_bytes(), &vec![b'v'; value]].into_iter(),
        );
    }
    bytes
}

/// Something nobody sealed, then a sealed batch, and what is wrong with that: where it begins that is not what was
/// written, from the end of what nobody sealed. Chunks that end everywhere make no difference.
#[track_caller]
fn check_end(before: &[u8], batch: &[u8], from: Option<i64>) {
    let bytes = [before, batch].concat();
    let expected = from.map(|from| before.len() as i64 + from);
    for chunk in [1, 7, 64, 1000, super::CHUNK] {
        let (names, error, offset) = read_in_chunks(&bytes, chunk);
        let found = match error {
            None => None,
            Some(ReadError::BadChecksum { from }) => Some(from as i64),
            Some(other) => panic!("{chunk}: {other:?}"),
        };
        assert_eq!(found, expected, "{chunk}: {names:?}");
        let seal = bytes.windows(5).rposition(|window| window == b"#CRC:");
        let end = if found.is_none() {
            bytes.len()
        } else {
            seal.expect("a checksum")
        };
        assert_eq!(offset, end as u64, "{chunk}");
    }
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    seal(&mut bytes, 0);
    bytes
}

#[test]
fn a_batch_behind_what_nobody_sealed_is_checked() {
    let good = sealed(commands(&["A"], 2000));
    let mut changed = sealed(commands(&["D", "E"], 300));
    changed[200] ^= 1;
    let cut_seal = &good[..good.len() - 30];
    for others in [
        commands(&["B", "C"], 500),
        // A batch that was cut off, and one whose checksum is one no more.
        [&good[..], &commands(&["B"], 100)].concat(),
        [cut_seal, b"\r\n"].concat(),
        [&good[..], &commands(&["B"], 10), b"#CRX:1:2\r\n#TS:7\r\n"].concat(),
    ] {
        check_end(&others, &sealed(commands(&["D", "E"], 300)), None);
        check_end(&others, &changed, Some(0));
    }
    // Such a one is no reason not to look at the next.
    let next = [
        &commands(&["B"], 9)[..],
        &good,
        &commands(&["C"], 9),
        &changed,
    ]
    .concat();
    check_end(&next[..next.len() - changed.len()], &changed, Some(0));
}

#[test]
fn a_checksum_is_of_whole_items_behind_the_one_before() {
    let others = commands(&["B", "C"], 50);
    let batch = commands(&["D"], 50);
    let end_of = |len: usize| {
        let mut bytes = [&others[..], &batch].concat();
        let from = bytes.len() - len;
        seal(&mut bytes, from);
        bytes[others.len()..].to_vec()
    };
    check_end(&others, &end_of(batch.len()), None);
    check_end(&others, &end_of(batch.len() + others.len() / 2), None);
    check_end(&others, &end_of(0), None);
    for len in [1, batch.len() - 1, batch.len() + 1] {
        check_end(&others, &end_of(len), Some(-(others.len() as i64)));
    }
    // Nor is there one of more than there is, be it that the rest is sealed already.
    let before = sealed(commands(&["A"], 50));
    let mut bytes = before.clone();
    bytes.extend(commands(&["D"], 50));
    seal(&mut bytes, 0);
    check_end(&before, &bytes[before.len()..], Some(0));
}

#[test]
fn a_length_that_was_changed_takes_nothing_from_the_batch() {
    let before = sealed(commands(&["A"], 50));
    let batch = commands(&["B", "C"], 46);
    assert_eq!(batch.len(), 128);
    let text = String::from_utf8(sealed(batch)).expect("text");
    // The second is the length of its last command.
    for len in ["#CRC:028:", "#CRC:64:", "#CRC:129:"] {
        let changed = text.replace("#CRC:128:", len);
        check_end(&before, changed.as_bytes(), Some(0));
    }
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
        "*1\r $1\r\na\r\n",
        "*1\r\n$1\r a\r\n",
        "*1\r\n$1\r\na\r ",
    ] {
        let error = read(text.as_bytes()).1;
        assert!(
            matches!(error, Some(ReadError::BadFormat)),
            "{text}: {error:?}"
        );
    }
}
