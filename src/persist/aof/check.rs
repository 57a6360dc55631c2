//! Says whether an append-only file is whole, and cuts off what is not: the report of `--check-aof`.
//!
//! What is given may be a manifest, whose parts are all looked at, or a single file: of commands, or of a
//! snapshot with commands behind it. The lines are those of redis-check-aof, which tools read, with what
//! checksums say and how many commands there are of each name beside them. Nothing is changed unless that is
//! asked for, and then only the last part: what follows a cut would not fit what is before it.
//!
//! A file is good up to the last item that was whole outside a transaction; but where a checksum is
//! wrong, only up to the checksum before, since any of the bytes between may be the wrong ones.
//!
//! A command is held in memory as a whole, nothing else of a file is.

use super::annotation::Annotation;
use super::manifest::{Kind, Manifest};
use super::reader::{CommandReader, Item, ReadError};
use crate::base::num::parse_i64;
use crate::persist::files;
use crate::persist::rdb;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes between two reports of the progress.
const PROGRESS_BYTES: u64 = 1 << 20;

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

/// Checks a manifest and the files that it names, or one file of versions before 7; says whether all is sound,
/// or is so now. An error is one of the report.
pub fn check(
    path: &Path,
    options: CheckOptions,
    around: &mut Surroundings<'_>,
) -> io::Result<bool> {
    match (Checker { options, around }).run(path) {
        Ok(()) => Ok(true),
        Err(Stop::Told(why)) => {
            writeln!(around.out, "{why}")?;
            Ok(false)
        }
        Err(Stop::Report(e)) => Err(e),
    }
}

/// Why it goes no further.
enum Stop {
    /// For the last line of the report.
    Told(String),
    /// The report cannot be written.
    Report(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Report(error)
    }
}

/// A file to be looked at.
struct Subject<'a> {
    /// What it is called in the report.
    name: &'a str,
    path: &'a Path,
    /// Whether no other file follows it.
    is_last: bool,
}

/// What became of a file.
enum Verdict {
    Valid,
    Empty,
    Cut,
    CutAtTime(i64),
}

/// What was found in a file.
struct Walk {
    /// Where it ends if what is not whole is left out.
    good_to: u64,
    /// The line at which it is not good any more, or ends.
    line: u64,
    /// What is wrong.
    fault: Option<String>,
    /// Where that begins what is later than wanted.
    late_from: Option<u64>,
    /// How many batches have a checksum, which is right.
    checksums: u64,
    commands: Tally,
}

/// How many commands there are of each name.
#[derive(Default)]
struct Tally {
    all: u64,
    by_name: HashMap<Vec<u8>, u64>,
}

impl Tally {
    /// Names beyond these are no commands but damage, and not kept.
    const NAMES_MAX: usize = 1024;
    const NAME_BYTES_MAX: usize = 64;
    /// So many names the report tells.
    const NAMES_TOLD: usize = 10;

    /// Counts a command by its name in lower case.
    fn add(&mut self, name: &[u8]) {
        self.all += 1;
        if let Some(count) = self.by_name.get_mut(name) {
            *count += 1;
        } else if self.by_name.len() < Tally::NAMES_MAX && name.len() <= Tally::NAME_BYTES_MAX {
            self.by_name.insert(name.to_vec(), 1);
        }
    }

    fn write(&self, checksums: u64, out: &mut dyn Write) -> io::Result<()> {
        let mut names: Vec<(&Vec<u8>, &u64)> = self.by_name.iter().collect();
        names.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let all = self.all;
        write!(out, "Commands: {all}, batches with a checksum: {checksums}")?;
        for (index, (name, count)) in names.iter().take(Tally::NAMES_TOLD).enumerate() {
            let before = if index == 0 { "; " } else { ", " };
            write!(out, "{before}{} {count}", name.escape_ascii())?;
        }
        writeln!(out)
    }
}

struct Checker<'a, 'b> {
    options: CheckOptions,
    around: &'a mut Surroundings<'b>,
}

impl Checker<'_, '_> {
    fn run(&mut self, path: &Path) -> Result<(), Stop> {
        let start = File::open(path).and_then(|file| start_of(&file));
        let start = start.map_err(|e| cannot_open(path, &e))?;
        if is_manifest(&start) {
            return self.all_parts(path);
        }
        writeln!(self.around.out, "Start checking Old-Style AOF")?;
        let subject = Subject {
            name: &path.to_string_lossy(),
            path,
            is_last: true,
        };
        self.one_file("AOF", &subject)
    }

    /// The files that a manifest names.
    fn all_parts(&mut self, path: &Path) -> Result<(), Stop> {
        writeln!(self.around.out, "Start checking Multi Part AOF")?;
        let text = fs::read(path).map_err(|e| cannot_open(path, &e))?;
        let manifest = Manifest::parse(&text)
            .map_err(|e| Stop::Told(format!("\n*** FATAL AOF MANIFEST FILE ERROR ***\n\n{e}")))?;
        let mut left = manifest.parts().count();
        let mut is_first_increment = true;
        for part in manifest.parts() {
            left -= 1;
            let path = files::folder_of(path).join(&part.name);
            let subject = Subject {
                name: &part.name,
                path: &path,
                is_last: left == 0,
            };
            if part.kind == Kind::Base {
                let start = File::open(&path).and_then(|file| start_of(&file));
                let start = start.map_err(|e| cannot_open(&path, &e))?;
                let form = if is_snapshot(&start) { "RDB" } else { "RESP" };
                writeln!(self.around.out, "Start to check BASE AOF ({form} format).")?;
                self.one_file("BASE AOF", &subject)?;
            } else {
                if is_first_increment {
                    writeln!(self.around.out, "Start to check INCR files.")?;
                }
                is_first_increment = false;
                self.one_file("INCR AOF", &subject)?;
            }
        }
        writeln!(self.around.out, "All AOF files and manifest are valid")?;
        Ok(())
    }

    fn one_file(&mut self, kind: &str, subject: &Subject<'_>) -> Result<(), Stop> {
        let verdict = self.judge(subject)?;
        let (out, name) = (&mut self.around.out, subject.name);
        match verdict {
            Verdict::Valid => writeln!(out, "{kind} {name} is valid")?,
            Verdict::Empty => writeln!(out, "{kind} {name} is empty")?,
            Verdict::Cut => writeln!(out, "Successfully truncated AOF {name}")?,
            Verdict::CutAtTime(time) => {
                writeln!(out, "Successfully truncated AOF {name} to timestamp {time}")?;
            }
        }
        Ok(())
    }

    fn judge(&mut self, subject: &Subject<'_>) -> Result<Verdict, Stop> {
        let changes = self.options.fix || self.options.truncate_to.is_some();
        let opened = OpenOptions::new()
            .read(true)
            .write(changes && subject.is_last)
            .open(subject.path);
        let looked_at = opened.and_then(|file| {
            let (size, start) = (file.metadata()?.len(), start_of(&file)?);
            Ok((file, size, start))
        });
        let (file, size, start) = looked_at.map_err(|e| cannot_open(subject.path, &e))?;
        if size == 0 {
            return Ok(Verdict::Empty);
        }
        let mut commands_from = 0;
        if is_snapshot(&start) {
            commands_from = self.snapshot(subject, &file, size)?;
        }
        let walk = self.commands(subject, &file, commands_from, size)?;
        (self.around.progress)(size, size);
        if let (Some(at), Some(time)) = (walk.late_from, self.options.truncate_to) {
            return cut_at_time(subject, &file, at, time);
        }
        self.conclude(subject, &file, size, &walk)
    }

    /// Reads a snapshot, and returns where it ends.
    fn snapshot(&mut self, subject: &Subject<'_>, file: &File, size: u64) -> Result<u64, Stop> {
        let options = rdb::CheckOptions {
            name: subject.name,
            now_ms: self.options.now_ms,
            size: Some(size),
        };
        let progress = &mut *self.around.progress;
        let out = &mut *self.around.out;
        let end = rdb::check(file, options, out, &mut |read| progress(read, size))?;
        let why = "RDB preamble of AOF file is not sane, aborting.";
        let end = end.ok_or_else(|| Stop::Told(why.into()))?;
        writeln!(out, "RDB preamble is OK, proceeding with AOF tail...")?;
        Ok(end)
    }

    /// Reads the commands of a file from an offset on.
    fn commands(
        &mut self,
        subject: &Subject<'_>,
        mut file: &File,
        from: u64,
        size: u64,
    ) -> Result<Walk, Stop> {
        let failed = |e: &io::Error| {
            let (name, why) = (subject.name, files::plain(e));
            Stop::Told(format!(
                "Failed to read from AOF {name}: {why}, aborting..."
            ))
        };
        file.seek(SeekFrom::Start(from)).map_err(|e| failed(&e))?;
        // What a server appends meanwhile is left to the next time.
        let mut reader = CommandReader::new(file.take(size.saturating_sub(from)), from, true);
        let mut walk = Walk {
            good_to: from,
            line: 1,
            fault: None,
            late_from: None,
            checksums: 0,
            commands: Tally::default(),
        };
        let mut name = Vec::new();
        let mut in_transaction = false;
        // The end of the last checksum, and where the file was good up to then.
        let (mut sealed_to, mut sealed_good) = (from, (from, 1));
        let mut told_at = from;
        loop {
            let at = reader.offset();
            walk.line = reader.lines() + 1;
            if !in_transaction {
                walk.good_to = at;
            }
            if at - told_at >= PROGRESS_BYTES {
                told_at = at;
                (self.around.progress)(at, size);
            }
            match reader.next() {
                Ok(Item::End) => {
                    if in_transaction {
                        walk.fault =
                            Some(fault_at(at, "Reached EOF before reading EXEC for MULTI"));
                    }
                    return Ok(walk);
                }
                Ok(Item::Command) => {
                    name.clear();
                    name.extend(reader.argv().at(0).iter().map(u8::to_ascii_lowercase));
                    walk.commands.add(&name);
                    let (begins, ends) = (name == b"multi", name == b"exec");
                    if (begins && in_transaction) || (ends && !in_transaction) {
                        let name = if begins { "MULTI" } else { "EXEC" };
                        let path = subject.path.display();
                        let what = format!("Unexpected {name} in AOF {path}");
                        walk.fault = Some(fault_at(at, &what));
                        return Ok(walk);
                    }
                    in_transaction = begins || (in_transaction && !ends);
                }
                Ok(Item::Annotation(Annotation::Time(time))) => {
                    if self.options.truncate_to.is_some_and(|wanted| time > wanted) {
                        walk.late_from = Some(walk.good_to);
                        return Ok(walk);
                    }
                }
                Ok(Item::Annotation(Annotation::Checksum { len, .. })) => {
                    // One of fewer bytes was not checked.
                    if len == at - sealed_to {
                        walk.checksums += 1;
                    }
                    sealed_to = reader.offset();
                    if !in_transaction {
                        sealed_good = (sealed_to, reader.lines() + 1);
                    }
                }
                Ok(Item::Annotation(Annotation::Other)) => {}
                Err(ReadError::Io(e)) => return Err(failed(&e)),
                Err(ReadError::BadChecksum { from }) => {
                    let what = format!(
                        "Bad checksum: what lies between the offsets {from} and {at} is not what was written"
                    );
                    walk.fault = Some(fault_at(at, &what));
                    (walk.good_to, walk.line) = sealed_good;
                    return Ok(walk);
                }
                Err(error) => {
                    let flaw = flaw_at(file, at, size, &error).map_err(|e| failed(&e))?;
                    walk.line += flaw.lines;
                    walk.fault = Some(match flaw.what {
                        Some(what) => fault_at(flaw.at, &what),
                        None => format!("AOF {} format error", subject.name),
                    });
                    return Ok(walk);
                }
            }
        }
    }

    /// Says what was found, and cuts off what is not whole if that is wanted.
    fn conclude(
        &mut self,
        subject: &Subject<'_>,
        file: &File,
        size: u64,
        walk: &Walk,
    ) -> Result<Verdict, Stop> {
        let (out, name) = (&mut self.around.out, subject.name);
        if let Some(fault) = &walk.fault {
            writeln!(out, "{fault}")?;
        }
        let (good_to, diff) = (walk.good_to, size - walk.good_to);
        if let (0, Some(time)) = (diff, self.options.truncate_to) {
            writeln!(out, "Truncate nothing in AOF {name} to timestamp {time}")?;
            return Ok(Verdict::Valid);
        }
        let line = walk.line;
        writeln!(
            out,
            "AOF analyzed: filename={name}, size={size}, ok_up_to={good_to}, ok_up_to_line={line}, diff={diff}"
        )?;
        walk.commands.write(walk.checksums, out)?;
        if diff == 0 {
            return Ok(Verdict::Valid);
        }
        if !self.options.fix {
            return Err(Stop::Told(format!(
                "AOF {name} is not valid. Use the --fix option to try fixing it."
            )));
        }
        if !subject.is_last {
            return Err(Stop::Told(format!(
                "Failed to truncate AOF {name} because it is not the last file"
            )));
        }
        writeln!(
            out,
            "This will shrink the AOF {name} from {size} bytes, with {diff} bytes, to {good_to} bytes"
        )?;
        write!(out, "Continue? [y/N]: ")?;
        out.flush()?;
        if !(self.around.confirm)() {
            return Err(Stop::Told("Aborting...".into()));
        }
        cut(file, good_to).map_err(|e| {
            let why = files::plain(&e);
            Stop::Told(format!("Failed to truncate AOF {name}: {why}"))
        })?;
        Ok(Verdict::Cut)
    }
}

fn cut_at_time(subject: &Subject<'_>, file: &File, at: u64, time: i64) -> Result<Verdict, Stop> {
    let path = subject.path.display();
    let why = if at == 0 {
        format!("AOF {path} has nothing before timestamp {time}, aborting...")
    } else if !subject.is_last {
        format!(
            "Failed to truncate AOF {path} to timestamp {time} to offset {at} because it is not the last file.\n\
             To truncate it all the same, remove the files that follow it, take their lines out of the manifest, \
             and check again."
        )
    } else {
        match cut(file, at) {
            Ok(()) => return Ok(Verdict::CutAtTime(time)),
            Err(e) => {
                let why = files::plain(&e);
                format!("Failed to truncate AOF {path} to timestamp {time}: {why}")
            }
        }
    };
    Err(Stop::Told(why))
}

fn cut(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)?;
    file.sync_all()
}

fn cannot_open(path: &Path, error: &io::Error) -> Stop {
    let (path, why) = (path.display(), files::plain(error));
    Stop::Told(format!("Cannot open file {path}: {why}"))
}

fn fault_at(at: u64, what: &str) -> String {
    format!("0x{at:16x}: {what}")
}

/// The first bytes of a file, enough to tell what it is; it stands at its beginning afterwards.
fn start_of(mut file: &File) -> io::Result<Vec<u8>> {
    const START_BYTES: u64 = 64 << 10;
    let mut start = Vec::new();
    file.take(START_BYTES).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start)
}

/// Whether these are the first bytes of a manifest: its first line that is no comment names a file.
fn is_manifest(start: &[u8]) -> bool {
    let mut lines = start.split(|&byte| byte == b'\n');
    lines
        .find(|line| line.first() != Some(&b'#'))
        .is_some_and(|line| line.starts_with(b"file"))
}

fn is_snapshot(start: &[u8]) -> bool {
    const HEADER_LEN: usize = 8;
    start.len() >= HEADER_LEN && (start.starts_with(b"REDIS") || start.starts_with(b"VALKEY"))
}

/// Where an item is wrong.
struct Flaw {
    /// Where the part begins that is.
    at: u64,
    /// The lines of the item before it.
    lines: u64,
    /// What is wrong; `None` if it is no item at all.
    what: Option<String>,
}

/// Looks closer at the item at an offset, which `error` says is wrong.
fn flaw_at(mut file: &File, at: u64, size: u64, error: &ReadError) -> io::Result<Flaw> {
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

#[cfg(test)]
mod tests;
