//! The slow log: the last commands that took longer than a limit.

use crate::resp::request::Argv;
use std::collections::VecDeque;

/// Arguments of a command that an entry keeps, and bytes of each.
const ARGS_MAX: usize = 32;
const ARG_BYTES_MAX: usize = 128;

/// A slow command.
pub struct Entry {
    /// Ascending from 0.
    pub id: u64,
    /// When it ran, in seconds of the Unix clock.
    pub at_s: i64,
    /// How long, in microseconds.
    pub duration_us: u64,
    /// What it was, shortened.
    pub argv: Vec<Vec<u8>>,
    /// Who sent it.
    pub peer: String,
    /// The name the client gave itself.
    pub name: Vec<u8>,
}

/// The log, newest first.
#[derive(Default)]
pub struct SlowLog {
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl SlowLog {
    /// Adds an entry; the oldest ones beyond `len_max` go.
    pub fn push(
        &mut self,
        at_s: i64,
        duration_us: u64,
        argv: Vec<Vec<u8>>,
        peer: String,
        name: Vec<u8>,
        len_max: usize,
    ) {
        self.entries.push_front(Entry {
            id: self.next_id,
            at_s,
            duration_us,
            argv,
            peer,
            name,
        });
        self.next_id += 1;
        self.entries.truncate(len_max);
    }

    /// The entries, newest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops the oldest entries beyond `len_max`.
    pub fn trim(&mut self, len_max: usize) {
        self.entries.truncate(len_max);
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        self.entries.clear();
    }
}

/// A command's arguments as the log keeps them: long ones and many of them cut short, with a remark
/// on how much is missing.
pub fn shorten(argv: Argv<'_>) -> Vec<Vec<u8>> {
    let kept = if argv.len() > ARGS_MAX {
        ARGS_MAX - 1
    } else {
        argv.len()
    };
    let mut short: Vec<Vec<u8>> = argv.iter().take(kept).map(shorten_arg).collect();
    if kept < argv.len() {
        short.push(format!("... ({} more arguments)", argv.len() - kept).into_bytes());
    }
    short
}

fn shorten_arg(arg: &[u8]) -> Vec<u8> {
    if arg.len() <= ARG_BYTES_MAX {
        return arg.to_vec();
    }
    let mut short = arg[..ARG_BYTES_MAX].to_vec();
    short.extend_from_slice(format!("... ({} more bytes)", arg.len() - ARG_BYTES_MAX).as_bytes());
    short
}
