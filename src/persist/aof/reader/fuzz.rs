//! A fuzzer that knows the format: files of commands and annotations, then damage. No file may make the reader
//! panic or hold more than the file has, what it takes for whole must be there to be read again, and what it says
//! of a checksum must be so.

use super::super::annotation::{Annotation, push_time, seal};
use super::{CHUNK, CommandReader, Item, ReadError};
use crate::base::fuzzing;
use crate::base::rng::Rng;
use crate::resp::encode;
use crc64fast::Digest;
use std::io::Cursor;
use std::time::Instant;

/// Runs for `CINNABAR_FUZZ_SECONDS` (600) from `CINNABAR_FUZZ_SEED` (the clock):
/// `cargo test --lib fuzz_aof -- --ignored --nocapture`.
#[test]
#[ignore = "runs for minutes"]
fn fuzz_aof_reader_for_minutes() {
    let (seed, end) = fuzzing::plan();
    let (runs, whole) = fuzz(seed, |runs| runs % 256 != 0 || Instant::now() < end);
    println!("{runs} runs, {whole} read to the end");
}

#[test]
fn reads_some_of_everything() {
    let (_, whole) = fuzz(1, |runs| runs < 20_000);
    assert!(
        (1_000..19_000).contains(&whole),
        "{whole} of 20000 read to the end: the fuzzer is blind on one side"
    );
}

/// Reads files until told to stop; gives how many there were, and how many were read to the end.
fn fuzz(seed: u64, goes_on: impl Fn(u64) -> bool) -> (u64, u64) {
    let mut rng = Rng::from_seed(seed);
    let (mut runs, mut whole) = (0, 0);
    while goes_on(runs) {
        runs += 1;
        let mut file = file(&mut rng);
        for _ in 0..rng.next_u64() % 3 {
            damage(&mut file, &mut rng);
        }
        let checks = !rng.next_u64().is_multiple_of(4);
        let chunk = [1, 16, 100, CHUNK][rng.next_u64() as usize % 4];
        let (commands, to, is_whole) = read(&file, checks, chunk);
        whole += u64::from(is_whole);
        let (again, to_again, is_whole) = read(&file[..to], checks, chunk);
        assert!(
            is_whole && to_again == to && again == commands,
            "seed {seed}"
        );
    }
    (runs, whole)
}

/// Reads a file: how many commands there are, where it is whole up to, and whether that is its end.
fn read(file: &[u8], checks: bool, chunk: usize) -> (usize, usize, bool) {
    let mut reader =
        CommandReader::in_chunks(Cursor::new(file), 0, file.len() as u64, checks, chunk);
    let mut commands = 0;
    // Where items begin from the end of the last checksum on.
    let mut borders = Vec::new();
    loop {
        let whole_to = reader.offset() as usize;
        borders.push(whole_to);
        match reader.next() {
            Ok(Item::Command) => {
                commands += 1;
                let bytes: usize = reader.argv().iter().map(<[u8]>::len).sum();
                assert!(bytes < file.len());
            }
            Ok(Item::Annotation(Annotation::Checksum { .. })) => {
                let line = &file[whole_to..reader.offset() as usize];
                assert!(!checks || is_right(file, whole_to, line, &borders));
                borders.clear();
            }
            Ok(Item::Annotation(_)) => {}
            Ok(Item::End) => return (commands, whole_to, true),
            Err(error) => {
                if let ReadError::BadChecksum { from } = error {
                    assert!(checks && borders.contains(&(from as usize)));
                    assert!(!is_right(file, whole_to, &file[whole_to..], &borders));
                }
                assert!(reader.items.capacity() <= 4 * file.len() + (4 << 20));
                return (commands, whole_to, false);
            }
        }
    }
}

/// Whether the checksum at an offset is that of what lies before it, from an item on.
fn is_right(file: &[u8], at: usize, text: &[u8], borders: &[usize]) -> bool {
    let mut line = text.split(|&byte| byte == b'\n').next().unwrap_or(text);
    line = line.strip_suffix(b"\r").unwrap_or(line);
    let Annotation::Checksum { len, crc } = Annotation::parse(line) else {
        panic!("no checksum");
    };
    let from = at.checked_sub(len as usize);
    from.is_some_and(|from| {
        let mut digest = Digest::new();
        digest.write(&file[from..at]);
        borders.contains(&from) && digest.sum64() == crc
    })
}

fn file(rng: &mut Rng) -> Vec<u8> {
    let mut file = Vec::new();
    let mut sealed = 0;
    for _ in 0..rng.next_u64() % 8 {
        match rng.next_u64() % 6 {
            0 => push_time(&mut file, rng.next_u64() as i64 >> (rng.next_u64() % 64)),
            1 => {
                seal(&mut file, sealed);
                sealed = file.len();
            }
            // What was not sealed stays so.
            2 if rng.next_u64().is_multiple_of(2) => sealed = file.len(),
            2 => file.extend_from_slice(b"# somebody else's\r\n"),
            _ => {
                let argv: Vec<Vec<u8>> = (0..1 + rng.next_u64() % 5)
                    .map(|_| vec![rng.next_u64() as u8; (rng.next_u64() % 40) as usize])
                    .collect();
                encode::command(&mut file, argv.iter().map(|argument| &argument[..]));
            }
        }
    }
    file
}

fn damage(file: &mut Vec<u8>, rng: &mut Rng) {
    const TOKENS: [&[u8]; 8] = [
        b"*",
        b"$",
        b"#CRC:",
        b"\r\n",
        b"-1",
        b"0",
        b"99999999999999999999",
        b"*2147483647\r\n",
    ];
    if file.is_empty() {
        return;
    }
    let at = rng.next_u64() as usize % file.len();
    match rng.next_u64() % 5 {
        0 => file[at] ^= 1 << (rng.next_u64() % 8),
        1 => file.truncate(at),
        2 => {
            file.remove(at);
        }
        3 => {
            let token = TOKENS[rng.next_u64() as usize % TOKENS.len()];
            file.splice(at..at, token.iter().copied());
        }
        _ => {
            let to = at + rng.next_u64() as usize % (file.len() - at);
            let piece = file[at..to].to_vec();
            file.splice(at..at, piece);
        }
    }
}
