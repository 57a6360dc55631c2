//! Says whether a snapshot is sound, and what is in it: the report of `--check-rdb`.
//!
//! The lines down to the verdict are those of redis-check-rdb, which tools read; statistics follow. Every
//! value is read and dropped, so that a file may be far bigger than the memory. That no key is there twice is
//! not checked: it would take all their names.

use super::error::LoadError;
use super::format::kind;
use super::load::{Doing, Limits, LoadOptions, Loader, Place, Step, Target};
use crate::data::quicklist;
use crate::keyspace::value::{NewValue, Type};
use crate::keyspace::{hash, set, zset};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{self, Read, Write};

/// How a snapshot is checked.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions<'a> {
    /// The file's name, for the report.
    pub name: &'a str,
    /// The time, in milliseconds of the Unix clock.
    pub now_ms: i64,
    /// The file's size, if it is known.
    pub size: Option<u64>,
}

/// How many of the biggest keys are named.
const BIGGEST: usize = 10;

/// Bytes between two looks at the progress.
const STEP: u64 = 1 << 20;

/// Reads a snapshot to its end or to the first fault, and writes the report; gives where the snapshot
/// ends if it is sound. `progress` is told how many bytes were read.
pub fn check<R: Read>(
    reader: R,
    options: CheckOptions<'_>,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> io::Result<Option<u64>> {
    writeln!(out, "[offset 0] Checking RDB file {}", options.name)?;
    let mut loader = Loader::new(reader, load_options(options));
    let mut tally = Tally::new(options.now_ms);
    loop {
        let step = loader.step_into(&mut tally, STEP);
        for line in tally.lines.drain(..) {
            out.write_all(&line)?;
        }
        progress(loader.offset());
        match step {
            Ok(Step::More) => {}
            Ok(Step::Done(done)) => {
                let offset = loader.offset();
                let checksum = match done.checksum {
                    Some(true) => "Checksum OK",
                    Some(false) => "RDB file was saved with checksum disabled: no check performed.",
                    None => "The file is of a version without a checksum",
                };
                writeln!(out, "[offset {offset}] {checksum}")?;
                writeln!(out, "[offset {offset}] \\o/ RDB looks OK! \\o/")?;
                tally.write_counts(out)?;
                writeln!(out)?;
                tally.write_statistics(out)?;
                return Ok(Some(offset));
            }
            Err(error) => {
                write_error(&error, loader.doing(), out)?;
                tally.write_counts(out)?;
                return Ok(None);
            }
        }
    }
}

/// Nothing is left out, and every collection stays as it is packed.
fn load_options(options: CheckOptions<'_>) -> LoadOptions {
    LoadOptions {
        now_ms: options.now_ms,
        drop_expired: false,
        replaces: false,
        any_version: false,
        check_crc: true,
        limits: Limits {
            list: quicklist::Options::default(),
            set: set::Limits {
                intset_entries: usize::MAX,
                listpack_entries: usize::MAX,
                listpack_value: usize::MAX,
            },
            hash: hash::Limits {
                entries_max: usize::MAX,
                value_max: usize::MAX,
            },
            zset: zset::Limits {
                entries: u64::MAX,
                value: u64::MAX,
            },
        },
        access: 0,
        lfu: false,
        size_hint: options.size,
    }
}

fn write_error(
    error: &LoadError,
    (doing, kind): (Doing, u8),
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "--- RDB ERROR DETECTED ---")?;
    writeln!(out, "[offset {}] {}", error.offset, error.what)?;
    writeln!(out, "[additional info] While doing: {}", name_of(doing))?;
    if let Some(key) = &error.key {
        let key = String::from_utf8_lossy(key);
        writeln!(out, "[additional info] Reading key '{key}'")?;
    }
    if matches!(doing, Doing::Key | Doing::Value) {
        let name = KIND_NAMES.get(usize::from(kind)).unwrap_or(&"unknown");
        writeln!(out, "[additional info] Reading type {kind} ({name})")?;
    }
    Ok(())
}

fn name_of(doing: Doing) -> &'static str {
    match doing {
        Doing::Start => "start",
        Doing::Type => "read-type",
        Doing::Expiry => "read-expire",
        Doing::Key => "read-key",
        Doing::Value => "read-object-value",
        Doing::Checksum => "check-sum",
        Doing::Length => "read-len",
        Doing::Aux => "read-aux",
        Doing::ModuleAux => "read-module-aux",
        Doing::Functions => "read-functions",
    }
}

/// The names that redis-check-rdb has for the types.
const KIND_NAMES: [&str; 26] = [
    "string",
    "list-linked",
    "set-hashtable",
    "zset-v1",
    "hash-hashtable",
    "zset-v2",
    "module-pre-release",
    "module-value",
    "",
    "hash-zipmap",
    "list-ziplist",
    "set-intset",
    "zset-ziplist",
    "hash-ziplist",
    "quicklist",
    "stream",
    "hash-listpack",
    "zset-listpack",
    "quicklist-v2",
    "stream-v2",
    "set-listpack",
    "stream-v3",
    "hash-hashtable-md-pre-release",
    "hash-listpack-md-pre-release",
    "hash-hashtable-md",
    "hash-listpack-md",
];

/// Keys and the bytes that they take in the file.
#[derive(Clone, Copy, Default)]
struct Sum {
    keys: u64,
    bytes: u64,
    expires: u64,
}

impl Sum {
    fn add(&mut self, bytes: u64, expires: bool) {
        self.keys += 1;
        self.bytes += bytes;
        self.expires += u64::from(expires);
    }
}

/// A key that is among the biggest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Big {
    bytes: u64,
    db: usize,
    key: Vec<u8>,
    kind: u8,
}

/// What was found.
struct Tally {
    now_ms: i64,
    all: Sum,
    expired: u64,
    by_type: [Sum; Type::ALL.len()],
    by_kind: BTreeMap<u8, Sum>,
    by_db: BTreeMap<usize, Sum>,
    /// The least of them on top.
    biggest: BinaryHeap<Reverse<Big>>,
    /// The key that was put last, to be measured.
    last: Big,
    last_type: usize,
    last_expires: bool,
    /// Lines of the report that are not written yet.
    lines: Vec<Vec<u8>>,
}

impl Tally {
    fn new(now_ms: i64) -> Tally {
        Tally {
            now_ms,
            all: Sum::default(),
            expired: 0,
            by_type: [Sum::default(); Type::ALL.len()],
            by_kind: BTreeMap::new(),
            by_db: BTreeMap::new(),
            biggest: BinaryHeap::new(),
            last: Big {
                bytes: 0,
                db: 0,
                key: Vec::new(),
                kind: kind::STRING,
            },
            last_type: 0,
            last_expires: false,
            lines: Vec::new(),
        }
    }

    /// The lines that redis-check-rdb ends with.
    fn write_counts(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "[info] {} keys read", self.all.keys)?;
        writeln!(out, "[info] {} expires", self.all.expires)?;
        writeln!(out, "[info] {} already expired", self.expired)
    }

    fn write_statistics(&self, out: &mut dyn Write) -> io::Result<()> {
        let row = |out: &mut dyn Write, name: &str, sum: &Sum| {
            let mean = sum.bytes.checked_div(sum.keys).unwrap_or(0);
            let Sum {
                keys,
                bytes,
                expires,
            } = sum;
            writeln!(
                out,
                "{name:<28}{keys:>14}{bytes:>16}{mean:>12}{expires:>14}"
            )
        };
        let head = |out: &mut dyn Write, name: &str| {
            writeln!(
                out,
                "{name:<28}{:>14}{:>16}{:>12}{:>14}",
                "keys", "bytes", "a key", "expire"
            )
        };
        head(out, "type")?;
        for (kind, sum) in Type::ALL.iter().zip(&self.by_type) {
            if sum.keys > 0 {
                row(out, kind.name(), sum)?;
            }
        }
        row(out, "all", &self.all)?;
        writeln!(out)?;
        head(out, "form")?;
        for (kind, sum) in &self.by_kind {
            row(
                out,
                KIND_NAMES.get(usize::from(*kind)).unwrap_or(&"unknown"),
                sum,
            )?;
        }
        writeln!(out)?;
        head(out, "database")?;
        for (db, sum) in &self.by_db {
            row(out, &db.to_string(), sum)?;
        }
        if self.biggest.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nbiggest keys")?;
        let mut biggest: Vec<&Big> = self.biggest.iter().map(|Reverse(big)| big).collect();
        biggest.sort_by(|a, b| b.cmp(a));
        for big in biggest {
            let name = KIND_NAMES.get(usize::from(big.kind)).unwrap_or(&"unknown");
            let key = big.key.escape_ascii();
            writeln!(out, "{:>16} {name:<20} db{} {key}", big.bytes, big.db)?;
        }
        Ok(())
    }
}

impl Target for Tally {
    fn databases(&self) -> usize {
        usize::MAX
    }

    fn select(&mut self, db: usize, keys: Option<usize>, offset: u64) {
        if keys.is_none() {
            let line = format!("[offset {offset}] Selecting DB ID {db}\n");
            self.lines.push(line.into_bytes());
        }
    }

    fn aux(&mut self, name: &[u8], value: &[u8], offset: u64) {
        let start = format!("[offset {offset}] AUX FIELD ");
        let line = [start.as_bytes(), name, b" = '", value, b"'\n"];
        self.lines.push(line.concat());
    }

    fn announce(&mut self, _db: usize, _key: &[u8]) -> u64 {
        0
    }

    fn put(&mut self, at: Place<'_>, value: NewValue<'_>, _access: u32) -> bool {
        let of_type = Type::ALL.iter().position(|kind| *kind == value.kind());
        self.last_type = of_type.expect("every type is one of all");
        self.last_expires = at.expiry_ms.is_some();
        self.expired += u64::from(at.expiry_ms.is_some_and(|at| at < self.now_ms));
        (self.last.db, self.last.kind) = (at.db, at.kind);
        self.last.key.clear();
        self.last.key.extend_from_slice(at.key);
        true
    }

    fn measure(&mut self, from: u64, to: u64) {
        let (bytes, expires) = (to - from, self.last_expires);
        let by_db = self.by_db.entry(self.last.db).or_default();
        let by_kind = self.by_kind.entry(self.last.kind).or_default();
        let by_type = &mut self.by_type[self.last_type];
        for sum in [&mut self.all, by_type, by_kind, by_db] {
            sum.add(bytes, expires);
        }
        let least = self.biggest.peek().map_or(0, |Reverse(least)| least.bytes);
        if self.biggest.len() < BIGGEST || bytes > least {
            self.biggest.push(Reverse(Big {
                bytes,
                db: self.last.db,
                key: std::mem::take(&mut self.last.key),
                kind: self.last.kind,
            }));
            if self.biggest.len() > BIGGEST {
                self.biggest.pop();
            }
        }
    }
}

const _: () = assert!(KIND_NAMES.len() == kind::HASH_LISTPACK_EXPIRING as usize + 1);

#[cfg(test)]
mod tests {
    use super::super::testing::{sample, save_options, saved};
    use super::super::{AccessHints, Version};
    use super::*;

    fn report(file: &[u8]) -> (bool, String) {
        let options = CheckOptions {
            name: "dump.rdb",
            now_ms: 2_000_050,
            size: Some(file.len() as u64),
        };
        let (mut out, mut seen) = (Vec::new(), 0);
        let sound = check(file, options, &mut out, &mut |read| seen = read);
        assert!(seen <= file.len() as u64);
        let text = String::from_utf8(out).expect("text");
        let end = sound.expect("memory takes everything");
        assert!(end.is_none_or(|end| end == file.len() as u64));
        (end.is_some(), text)
    }

    #[test]
    fn a_sound_file_is_described() {
        let aux = [
            ("redis-ver", "7.0.15".to_string()),
            ("redis-bits", "64".into()),
        ];
        let mut options = save_options(Version::V12);
        options.aux = &aux;
        options.access = AccessHints::Idle(0);
        let file = saved(&sample(true), &options).expect("it can be saved");
        let (sound, text) = report(&file);
        assert!(sound, "{text}");
        for line in [
            "[offset 0] Checking RDB file dump.rdb\n",
            "[offset 27] AUX FIELD redis-ver = '7.0.15'\n",
            "AUX FIELD redis-bits = '64'\n",
            "Selecting DB ID 3\n",
            "] Checksum OK\n",
            "] \\o/ RDB looks OK! \\o/\n[info] ",
            " 17 expires\n",
            " 7 already expired\n",
            "\nbiggest keys\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn a_fault_is_told_with_its_place() {
        let mut file = saved(&sample(false), &save_options(Version::Auto)).expect("saved");
        let at = file.len() - 3;
        file[at] ^= 1;
        let (sound, text) = report(&file);
        assert!(!sound);
        assert!(
            text.contains("--- RDB ERROR DETECTED ---\n[offset "),
            "{text}"
        );
        assert!(text.contains("While doing: check-sum\n"), "{text}");
        let (sound, text) = report(&file[..at - 2000]);
        assert!(!sound);
        assert!(
            text.contains("] Unexpected EOF reading RDB file\n"),
            "{text}"
        );
        assert!(text.contains("[additional info] Reading key '"), "{text}");
        let (sound, text) = report(b"REDIX0011");
        assert!(!sound && text.contains("] Wrong signature trying to load DB from file\n"));
        let (_, text) = report(b"REDIS9999");
        assert!(
            text.contains("] Can't handle RDB format version 9999\n"),
            "{text}"
        );
    }
}
