//! Says whether an append-only file is whole, and cuts off what is not: the report of `--check-aof`.
//!
//! What is given may be a manifest, whose parts are all looked at, or a single file: of commands, or of a
//! snapshot with commands behind it. The lines are those of redis-check-aof, which tools read, with what
//! checksums say and how many commands there are of each name beside them. Nothing is changed unless that is
//! asked for, and then only the last part: what follows a cut would not fit what is before it.
//!
//! A file is good up to the last item that was whole outside a transaction. But of a batch whose checksum is
//! wrong nothing is: any of its bytes may be the wrong ones. Nor is anything of a batch with a fault that is found
//! before its checksum is reached, which is therefore looked for behind the fault.
//!
//! A command is held in memory as a whole, nothing else of a file is.

use self::walk::Walk;
use super::manifest::{Kind, Manifest};
use crate::persist::files;
use crate::persist::rdb;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

mod fault;
mod walk;

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

impl Subject<'_> {
    fn cannot_read(&self, error: &io::Error) -> Stop {
        let (name, why) = (self.name, files::plain(error));
        Stop::Told(format!(
            "Failed to read from AOF {name}: {why}, aborting..."
        ))
    }
}

/// What became of a file.
enum Verdict {
    Valid,
    Empty,
    Cut,
    CutAtTime(i64),
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
                let form = if rdb::is_snapshot(&start) {
                    "RDB"
                } else {
                    "RESP"
                };
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
        let (file, size, start) = looked_at.map_err(|e| {
            let (path, why) = (subject.path.display(), files::plain(&e));
            Stop::Told(format!("Cannot open file {path}: {why}, aborting..."))
        })?;
        if size == 0 {
            return Ok(Verdict::Empty);
        }
        let mut commands_from = 0;
        if rdb::is_snapshot(&start) {
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
            writeln!(out, "{}", fault.text)?;
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
        files::cut_off(file, good_to).map_err(|e| {
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
        match files::cut_off(file, at) {
            Ok(()) => return Ok(Verdict::CutAtTime(time)),
            Err(e) => {
                let why = files::plain(&e);
                format!("Failed to truncate AOF {path} to timestamp {time}: {why}")
            }
        }
    };
    Err(Stop::Told(why))
}

fn cannot_open(path: &Path, error: &io::Error) -> Stop {
    let (path, why) = (path.display(), files::plain(error));
    Stop::Told(format!("Cannot open file {path}: {why}"))
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

#[cfg(test)]
mod tests;
