//! Says whether the files of an append-only file are sound, and cuts off what is not at the end of the last.
//!
//! The lines of the report are those of redis-check-aof, with what checksums say and how many commands there
//! are of each name beside them.

use super::annotation::Annotation;
use super::manifest::{Manifest, ManifestError, Part};
use super::reader::{CommandReader, Item, ReadError};
use crate::persist::files;
use crate::persist::rdb;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// What is done beside looking.
#[derive(Clone, Copy, Default)]
pub struct CheckOptions {
    /// What is not sound at the end of the last file is cut off.
    pub fix: bool,
    /// What came after this time, in seconds of the Unix clock, is cut off, as far as annotations tell.
    pub truncate_to: Option<i64>,
    /// The time now, in milliseconds of the Unix clock.
    pub now_ms: i64,
}

/// Who sees the report, and is asked.
pub struct Surroundings<'a> {
    /// Where the report goes.
    pub out: &'a mut dyn Write,
    /// Asks for consent.
    pub confirm: &'a mut dyn FnMut() -> bool,
    /// Is told how many bytes of how many were read.
    pub progress: &'a mut dyn FnMut(u64, u64),
}

/// Why the check ends: the last line of the report.
struct Fault(String);

type Checked<T> = Result<T, Fault>;

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault(error.to_string())
    }
}

/// What became of a file.
enum Verdict {
    Valid,
    Empty,
    Truncated,
    TruncatedToTime(i64),
}

/// Commands whose names the report tells.
const NAMES_MAX: usize = 10;

/// Checks a manifest and the files that it names, or one file of versions before 7; says whether all is sound,
/// or is so now.
pub fn check(
    path: &Path,
    options: CheckOptions,
    around: &mut Surroundings<'_>,
) -> io::Result<bool> {
    let checked = open(path).and_then(|mut file| {
        if is_manifest(&mut file)? {
            check_parts(path, options, around)
        } else {
            writeln!(around.out, "Start checking Old-Style AOF")?;
            let name = path.to_string_lossy();
            check_file(path, &name, "AOF", true, options, around)
        }
    });
    match checked {
        Ok(()) => Ok(true),
        Err(Fault(reason)) => {
            writeln!(around.out, "{reason}")?;
            Ok(false)
        }
    }
}

fn open(path: &Path) -> Checked<File> {
    File::open(path).map_err(|e| Fault(format!("Cannot open file {}: {e}", path.display())))
}

/// Whether the first line that is no comment is one of a manifest.
fn is_manifest(file: &mut File) -> Checked<bool> {
    const LOOKED_AT: u64 = 64 << 10;
    let mut start = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut start)?;
    let mut lines = start.split(|&byte| byte == b'\n');
    let first = lines.find(|line| !line.starts_with(b"#"));
    Ok(first.is_some_and(|line| line.starts_with(b"file")))
}

fn check_parts(path: &Path, options: CheckOptions, around: &mut Surroundings<'_>) -> Checked<()> {
    writeln!(around.out, "Start checking Multi Part AOF")?;
    let manifest = Manifest::parse(&std::fs::read(path)?).map_err(|e| {
        let heading = match e {
            ManifestError::Wrong { .. } => "\n*** FATAL AOF MANIFEST FILE ERROR ***\n",
            ManifestError::Io(_) => "",
        };
        Fault(format!("{heading}{e}"))
    })?;
    let folder = files::folder_of(path);
    let mut check = |part: &Part, what, is_last| {
        check_file(
            &folder.join(&part.name),
            &part.name,
            what,
            is_last,
            options,
            around,
        )
    };
    if let Some(base) = &manifest.base {
        check(base, "BASE AOF", manifest.increments.is_empty())?;
    }
    for (index, part) in manifest.increments.iter().enumerate() {
        check(part, "INCR AOF", index + 1 == manifest.increments.len())?;
    }
    writeln!(around.out, "All AOF files and manifest are valid")?;
    Ok(())
}

fn check_file(
    path: &Path,
    name: &str,
    what: &str,
    is_last: bool,
    options: CheckOptions,
    around: &mut Surroundings<'_>,
) -> Checked<()> {
    let mut file = File::open(path).map_err(|e| {
        Fault(format!(
            "Cannot open file {}: {e}, aborting...",
            path.display()
        ))
    })?;
    let size = file.metadata()?.len();
    let has_snapshot = begins_with_snapshot(&mut file)?;
    match what {
        "BASE AOF" => {
            let format = if has_snapshot { "RDB" } else { "RESP" };
            writeln!(around.out, "Start to check BASE AOF ({format} format).")?;
        }
        "INCR AOF" => writeln!(around.out, "Start to check INCR files.")?,
        _ => {}
    }
    let verdict = if size == 0 {
        Verdict::Empty
    } else {
        let mut part = PartCheck {
            path,
            name,
            size,
            is_last,
            options,
        };
        part.run(file, has_snapshot, around)?
    };
    match verdict {
        Verdict::Valid => writeln!(around.out, "{what} {name} is valid")?,
        Verdict::Empty => writeln!(around.out, "{what} {name} is empty")?,
        Verdict::Truncated => writeln!(around.out, "Successfully truncated AOF {name}")?,
        Verdict::TruncatedToTime(at) => {
            writeln!(
                around.out,
                "Successfully truncated AOF {name} to timestamp {at}"
            )?;
        }
    }
    Ok(())
}

/// Whether a file begins with a snapshot; it stands at its beginning afterwards.
fn begins_with_snapshot(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(6).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start.starts_with(b"REDIS") || start.starts_with(b"VALKEY"))
}

/// A file being checked.
struct PartCheck<'a> {
    path: &'a Path,
    name: &'a str,
    size: u64,
    is_last: bool,
    options: CheckOptions,
}

/// How far a file is sound.
struct Sound {
    to: u64,
    lines: u64,
    /// What is wrong behind that.
    fault: Option<String>,
    /// How many commands there are of each name, and how many batches have a checksum.
    commands: HashMap<Vec<u8>, u64>,
    checksums: u64,
}

impl PartCheck<'_> {
    fn run(
        &mut self,
        mut file: File,
        has_snapshot: bool,
        around: &mut Surroundings<'_>,
    ) -> Checked<Verdict> {
        let mut from = 0;
        if has_snapshot {
            writeln!(around.out, "The AOF appears to start with an RDB preamble.")?;
            writeln!(around.out, "Checking the RDB preamble to start:")?;
            let options = rdb::CheckOptions {
                name: self.name,
                now_ms: self.options.now_ms,
                size: Some(self.size),
            };
            let size = self.size;
            let end = rdb::check_preamble(&file, options, around.out, &mut |read| {
                (around.progress)(read, size);
            })?;
            let Some(end) = end else {
                return Err(Fault(
                    "RDB preamble of AOF file is not sane, aborting.".into(),
                ));
            };
            writeln!(
                around.out,
                "RDB preamble is OK, proceeding with AOF tail..."
            )?;
            from = end;
            file.seek(SeekFrom::Start(from))?;
        }
        let sound = match self.read(file, from, around)? {
            Found::ToTime(at, cut) => return self.truncate_to_time(at, cut),
            Found::Sound(sound) => sound,
        };
        self.report(&sound, around.out)?;
        if sound.to == self.size {
            return Ok(Verdict::Valid);
        }
        self.fix(&sound, around)
    }

    /// Reads the commands to the end, the first fault, or the time that is looked for.
    fn read(&self, file: File, from: u64, around: &mut Surroundings<'_>) -> Checked<Found> {
        const STEP: u64 = 1 << 20;
        let mut reader = CommandReader::new(file, from, true);
        let mut sound = Sound {
            to: from,
            lines: 1,
            fault: None,
            commands: HashMap::new(),
            checksums: 0,
        };
        let (mut in_multi, mut told) = (false, from);
        loop {
            let at = reader.offset();
            if at - told >= STEP {
                told = at;
                (around.progress)(at, self.size);
            }
            let wrong = match reader.next() {
                Ok(Item::Command) => {
                    let name = reader.argv().at(0).to_ascii_lowercase();
                    let wrong = match (&name[..], in_multi) {
                        (b"multi", true) => Some("Unexpected MULTI"),
                        (b"exec", false) => Some("Unexpected EXEC"),
                        (b"multi", false) => {
                            in_multi = true;
                            None
                        }
                        (b"exec", true) => {
                            in_multi = false;
                            None
                        }
                        _ => None,
                    };
                    *sound.commands.entry(name).or_default() += 1;
                    wrong.map(str::to_string)
                }
                Ok(Item::Annotation(annotation)) => {
                    match (annotation, self.options.truncate_to) {
                        (Annotation::Time(time), Some(to)) if time > to => {
                            return Ok(Found::ToTime(at, to));
                        }
                        (Annotation::Checksum { .. }, _) => sound.checksums += 1,
                        _ => {}
                    }
                    None
                }
                Ok(Item::End) if in_multi => {
                    Some("Reached EOF before reading EXEC for MULTI".to_string())
                }
                Ok(Item::End) => {
                    (around.progress)(self.size, self.size);
                    return Ok(Found::Sound(sound));
                }
                Err(ReadError::Io(e)) => {
                    return Err(Fault(format!(
                        "Failed to read from AOF {}, aborting... ({e})",
                        self.name
                    )));
                }
                Err(ReadError::Truncated) => Some("Unexpected end of file".to_string()),
                Err(ReadError::BadFormat) => Some("Bad format".to_string()),
                Err(ReadError::BadChecksum { from }) => Some(format!(
                    "Bad checksum: what lies from offset {from} on is not what was written"
                )),
            };
            if let Some(wrong) = wrong {
                (around.progress)(self.size, self.size);
                sound.fault = Some(format!("0x{at:16x}: {wrong}"));
                return Ok(Found::Sound(sound));
            }
            if !in_multi {
                sound.to = reader.offset();
                sound.lines = reader.lines() + 1;
            }
        }
    }

    fn report(&self, sound: &Sound, out: &mut dyn Write) -> io::Result<()> {
        let name = self.name;
        if let Some(fault) = &sound.fault {
            writeln!(out, "AOF {name} format error")?;
            writeln!(out, "{fault}")?;
        }
        if let Some(to) = self.options.truncate_to {
            writeln!(out, "Truncate nothing in AOF {name} to timestamp {to}")?;
        }
        writeln!(
            out,
            "AOF analyzed: filename={name}, size={}, ok_up_to={}, ok_up_to_line={}, diff={}",
            self.size,
            sound.to,
            sound.lines,
            self.size - sound.to
        )?;
        let mut names: Vec<(&Vec<u8>, &u64)> = sound.commands.iter().collect();
        names.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let total: u64 = sound.commands.values().sum();
        write!(
            out,
            "Commands: {total}, batches with a checksum: {}",
            sound.checksums
        )?;
        for (index, (name, count)) in names.iter().take(NAMES_MAX).enumerate() {
            let before = if index == 0 { "; " } else { ", " };
            write!(out, "{before}{} {count}", name.escape_ascii())?;
        }
        writeln!(out)
    }

    fn fix(&self, sound: &Sound, around: &mut Surroundings<'_>) -> Checked<Verdict> {
        let name = self.name;
        if !self.options.fix {
            return Err(Fault(format!(
                "AOF {name} is not valid. Use the --fix option to try fixing it."
            )));
        }
        if !self.is_last {
            return Err(Fault(format!(
                "Failed to truncate AOF {name} because it is not the last file"
            )));
        }
        writeln!(
            around.out,
            "This will shrink the AOF {name} from {} bytes, with {} bytes, to {} bytes",
            self.size,
            self.size - sound.to,
            sound.to
        )?;
        write!(around.out, "Continue? [y/N]: ")?;
        around.out.flush()?;
        if !(around.confirm)() {
            return Err(Fault("Aborting...".into()));
        }
        self.cut(sound.to)
            .map_err(|e| Fault(format!("Failed to truncate AOF {name}: {e}")))?;
        Ok(Verdict::Truncated)
    }

    fn truncate_to_time(&self, at: u64, to: i64) -> Checked<Verdict> {
        let name = self.name;
        if at == 0 {
            return Err(Fault(format!(
                "AOF {name} has nothing before timestamp {to}, aborting..."
            )));
        }
        if !self.is_last {
            return Err(Fault(format!(
                "Failed to truncate AOF {name} to timestamp {to} to offset {at} because it is not the last file.\n\
                 To go back that far, take the files behind it out of the manifest and delete them, then run this again."
            )));
        }
        self.cut(at).map_err(|e| {
            Fault(format!(
                "Failed to truncate AOF {name} to timestamp {to}: {e}"
            ))
        })?;
        Ok(Verdict::TruncatedToTime(to))
    }

    fn cut(&self, to: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path)?;
        file.set_len(to)?;
        file.sync_all()
    }
}

/// What reading has come to.
enum Found {
    /// The end, or a fault.
    Sound(Sound),
    /// A time later than the one that is looked for: where, and that one.
    ToTime(u64, i64),
}

#[cfg(test)]
mod tests {
    use super::super::annotation::{push_time, seal};
    use super::{CheckOptions, Surroundings, check};
    use crate::resp::encode;
    use std::path::Path;

    fn set(value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode::command(&mut bytes, [&b"SET"[..], b"k", value].into_iter());
        bytes
    }

    /// Checks a file; gives the verdict and the report.
    fn run(path: &Path, options: CheckOptions) -> (bool, String) {
        let mut out = Vec::new();
        let mut around = Surroundings {
            out: &mut out,
            confirm: &mut || true,
            progress: &mut |_, _| {},
        };
        let sound = check(path, options, &mut around).unwrap();
        (sound, String::from_utf8(out).unwrap())
    }

    #[test]
    fn files_of_a_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        let manifest = folder.path().join("a.manifest");
        write(
            "a.manifest",
            b"file base seq 1 type b\nfile incr seq 1 type i\n",
        );
        write("base", &set(b"1"));
        let mut batch = set(b"2");
        seal(&mut batch, 0);
        write("incr", &batch);
        let check = |options, sound, expected: &[&str]| {
            let (is_sound, report) = run(&manifest, options);
            assert_eq!(is_sound, sound, "{report}");
            for text in expected {
                assert!(report.contains(text), "no {text:?} in {report}");
            }
        };
        let look = CheckOptions::default();
        let fix = CheckOptions {
            fix: true,
            ..CheckOptions::default()
        };
        check(
            look,
            true,
            &[
                "Start to check BASE AOF (RESP format).",
                "BASE AOF base is valid",
                "INCR AOF incr is valid",
                "Commands: 1, batches with a checksum: 1; set 1",
                "All AOF files and manifest are valid",
            ],
        );
        write(
            "incr",
            &[&batch[..], b"*1\r\n$5\r\nMULTI\r\n", &set(b"3")].concat(),
        );
        check(
            look,
            false,
            &[
                "Reached EOF before reading EXEC for MULTI",
                "incr is not valid",
            ],
        );
        check(fix, true, &["Successfully truncated AOF incr"]);
        check(look, true, &["diff=0"]);
        let mut changed = batch.clone();
        let at = batch.iter().position(|&byte| byte == b'k').unwrap();
        changed[at] ^= 1;
        write("incr", &changed);
        check(look, false, &["incr format error"]);
        write("incr", &batch);
        write("base", b"!!!");
        check(
            fix,
            false,
            &["Failed to truncate AOF base because it is not the last file"],
        );
    }

    #[test]
    fn back_to_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.aof");
        let mut bytes = Vec::new();
        for second in 10..13 {
            push_time(&mut bytes, second);
            bytes.extend(set(b"x"));
        }
        std::fs::write(&path, &bytes).unwrap();
        let to = |second| CheckOptions {
            truncate_to: Some(second),
            ..CheckOptions::default()
        };
        let (sound, report) = run(&path, to(12));
        assert!(sound && report.contains("Truncate nothing"), "{report}");
        let (sound, report) = run(&path, to(10));
        assert!(
            sound && report.contains("Successfully truncated AOF"),
            "{report}"
        );
        assert_eq!(std::fs::read(&path).unwrap().len(), bytes.len() / 3);
        let (sound, report) = run(&path, to(9));
        assert!(
            !sound && report.contains("has nothing before timestamp 9, aborting"),
            "{report}"
        );
    }
}
