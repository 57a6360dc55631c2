//! The walk through the commands of a file: up to where they are good, and what there is of them.

use super::fault::flaw_at;
use super::{Checker, Stop, Subject};
use crate::persist::aof::annotation::Annotation;
use crate::persist::aof::reader::{CommandReader, Item, ReadError};
use crate::persist::aof::seals::batch_around;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Bytes between two reports of the progress.
const PROGRESS_BYTES: u64 = 1 << 20;

/// A place in a file where it can end.
#[derive(Clone, Copy)]
struct Place {
    offset: u64,
    line: u64,
}

/// What was found in a file.
pub(super) struct Walk {
    /// Where it ends if what is not whole is left out.
    pub(super) good_to: u64,
    /// The line at which it is not good any more, or ends.
    pub(super) line: u64,
    pub(super) fault: Option<Fault>,
    /// Where that begins what is later than wanted.
    pub(super) late_from: Option<u64>,
    /// Where the last checksum ends, and up to where it was good then.
    sealed_to: u64,
    sealed_good: Place,
    /// How many batches have a checksum, which is right.
    pub(super) checksums: u64,
    pub(super) commands: Tally,
}

impl Walk {
    fn new(from: u64) -> Walk {
        Walk {
            good_to: from,
            line: 1,
            fault: None,
            late_from: None,
            sealed_to: from,
            sealed_good: Place {
                offset: from,
                line: 1,
            },
            checksums: 0,
            commands: Tally::default(),
        }
    }
}

/// What is wrong in a file.
pub(super) struct Fault {
    /// The item at which it was found.
    at: u64,
    /// Where the batch begins whose checksum says so.
    batch_from: Option<u64>,
    pub(super) text: String,
}

impl Fault {
    /// Something that is wrong with the item at an offset.
    fn new(at: u64, what: &str) -> Fault {
        Fault {
            at,
            batch_from: None,
            text: fault_at(at, what),
        }
    }
}

impl Checker<'_, '_> {
    /// Reads the commands of a file from an offset on, and leaves out the batch that a fault lies in.
    pub(super) fn commands(
        &mut self,
        subject: &Subject<'_>,
        file: &File,
        from: u64,
        size: u64,
    ) -> Result<Walk, Stop> {
        let mut walk = self.walk(subject, file, from, size)?;
        let Some(fault) = &walk.fault else {
            return Ok(walk);
        };
        let batch_from = match fault.batch_from {
            None => batch_around(file, walk.sealed_to, fault.at, size)
                .map_err(|e| subject.cannot_read(&e))?,
            known => known,
        };
        if let Some(batch_from) = batch_from {
            let good = if batch_from == walk.sealed_to {
                walk.sealed_good
            } else {
                // What nobody sealed lies before it, and may have begun a transaction.
                let before = self.walk(subject, file, from, batch_from)?;
                Place {
                    offset: before.good_to,
                    line: before.line,
                }
            };
            (walk.good_to, walk.line) = (good.offset, good.line);
        }
        Ok(walk)
    }

    /// Reads the commands of a file from an offset to another, or to the first fault.
    fn walk(
        &mut self,
        subject: &Subject<'_>,
        mut file: &File,
        from: u64,
        to: u64,
    ) -> Result<Walk, Stop> {
        file.seek(SeekFrom::Start(from))
            .map_err(|e| subject.cannot_read(&e))?;
        // What a server appends meanwhile is left to the next time.
        let mut reader = CommandReader::new(file.take(to.saturating_sub(from)), from, to, true);
        let mut walk = Walk::new(from);
        let mut name = Vec::new();
        let mut in_transaction = false;
        let mut told_at = from;
        loop {
            let at = reader.offset();
            walk.line = reader.lines() + 1;
            if !in_transaction {
                walk.good_to = at;
            }
            if at - told_at >= PROGRESS_BYTES {
                told_at = at;
                (self.around.progress)(at, to);
            }
            match reader.next() {
                Ok(Item::End) => {
                    if in_transaction {
                        let what = "Reached EOF before reading EXEC for MULTI";
                        walk.fault = Some(Fault::new(at, what));
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
                        let what = format!("Unexpected {name} in AOF {}", subject.path.display());
                        walk.fault = Some(Fault::new(at, &what));
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
                Ok(Item::Annotation(Annotation::BadTime)) => {
                    if self.options.truncate_to.is_some() {
                        return Err(Stop::Told("Invalid timestamp annotation".into()));
                    }
                }
                Ok(Item::Annotation(Annotation::Checksum { .. })) => {
                    walk.checksums += 1;
                    walk.sealed_to = reader.offset();
                    if !in_transaction {
                        walk.sealed_good = Place {
                            offset: walk.sealed_to,
                            line: reader.lines() + 1,
                        };
                    }
                }
                // What should be a checksum and is none is an error of the reader's.
                Ok(Item::Annotation(Annotation::Other | Annotation::BadChecksum)) => {}
                Err(ReadError::BadChecksum { from }) => {
                    let what = format!(
                        "Bad checksum: what lies between the offsets {from} and {at} is not what was written"
                    );
                    walk.fault = Some(Fault {
                        batch_from: Some(from),
                        ..Fault::new(at, &what)
                    });
                    return Ok(walk);
                }
                Err(ReadError::Io(e)) => return Err(subject.cannot_read(&e)),
                Err(error) => {
                    let flaw =
                        flaw_at(file, at, to, &error).map_err(|e| subject.cannot_read(&e))?;
                    walk.line += flaw.lines;
                    walk.fault = Some(Fault {
                        at,
                        batch_from: None,
                        text: match flaw.what {
                            Some(what) => fault_at(flaw.at, &what),
                            None => format!("AOF {} format error", subject.name),
                        },
                    });
                    return Ok(walk);
                }
            }
        }
    }
}

fn fault_at(at: u64, what: &str) -> String {
    format!("0x{at:16x}: {what}")
}

/// How many commands there are of each name.
#[derive(Default)]
pub(super) struct Tally {
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

    pub(super) fn write(&self, checksums: u64, out: &mut dyn Write) -> io::Result<()> {
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
