//! The slow log and its kin: the last commands that took longer, or were or answered more, than a limit.

use crate::base::num::digits10;
use crate::resp::request::Argv;
use crate::server::config::Config;
use std::collections::VecDeque;

/// Arguments of a command that an entry keeps, and bytes of each.
const ARGS_MAX: usize = 32;
const ARG_BYTES_MAX: usize = 128;

/// What a command is logged for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It took long.
    Slow,
    /// It was large.
    LargeRequest,
    /// Its reply was.
    LargeReply,
}

/// A log of each kind.
#[derive(Default)]
pub struct CommandLogs([Log; 3]);

impl CommandLogs {
    /// The log of a kind.
    pub fn of(&self, kind: Kind) -> &Log {
        &self.0[kind as usize]
    }

    /// The same, to change.
    pub fn of_mut(&mut self, kind: Kind) -> &mut Log {
        &mut self.0[kind as usize]
    }
}

impl Config {
    /// From which amount on a log takes a command in (microseconds or bytes; `u64::MAX`: never), and how many it keeps.
    #[inline]
    pub fn command_log_limits(&self, kind: Kind) -> (u64, usize) {
        let (least, len_max) = match kind {
            Kind::Slow => (self.slowlog_log_slower_than, self.slowlog_max_len),
            Kind::LargeRequest => (
                self.commandlog_request_larger_than,
                self.commandlog_large_request_max_len,
            ),
            Kind::LargeReply => (
                self.commandlog_reply_larger_than,
                self.commandlog_large_reply_max_len,
            ),
        };
        (u64::try_from(least).unwrap_or(u64::MAX), len_max as usize)
    }
}

/// A command that was logged.
pub struct Entry {
    /// Ascending from 0.
    pub id: u64,
    /// When it ran, in seconds of the Unix clock.
    pub at_s: i64,
    /// How long it took, in microseconds, or how large it was, in bytes.
    pub amount: u64,
    /// What it was, shortened.
    pub argv: Vec<Vec<u8>>,
    /// Who sent it.
    pub peer: String,
    /// The name the client gave itself.
    pub name: Vec<u8>,
}

/// A log, newest first.
#[derive(Default)]
pub struct Log {
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl Log {
    /// Adds an entry; the oldest ones beyond `len_max` go.
    pub fn push(
        &mut self,
        at_s: i64,
        amount: u64,
        argv: Vec<Vec<u8>>,
        peer: String,
        name: Vec<u8>,
        len_max: usize,
    ) {
        if len_max == 0 {
            return;
        }
        self.entries.push_front(Entry {
            id: self.next_id,
            at_s,
            amount,
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

/// The bytes of a request as it was sent.
pub fn request_bytes(argv: Argv<'_>) -> u64 {
    let header = |n: usize| 3 + digits10(n as u64);
    let arguments: usize = argv
        .iter()
        .map(|arg| header(arg.len()) + arg.len() + 2)
        .sum();
    (header(argv.len()) + arguments) as u64
}

fn shorten_arg(arg: &[u8]) -> Vec<u8> {
    if arg.len() <= ARG_BYTES_MAX {
        return arg.to_vec();
    }
    let mut short = arg[..ARG_BYTES_MAX].to_vec();
    short.extend_from_slice(format!("... ({} more bytes)", arg.len() - ARG_BYTES_MAX).as_bytes());
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::request::OwnedArgv;

    #[test]
    fn a_request_is_as_large_as_it_was_sent() {
        let check = |args: &[&[u8]], sent: &str| {
            let argv = OwnedArgv::from_slices(args);
            assert_eq!(request_bytes(argv.as_argv()), sent.len() as u64);
        };
        check(&[b"ping"], "*1\r\n$4\r\nping\r\n");
        check(&[b"echo", b""], "*2\r\n$4\r\necho\r\n$0\r\n\r\n");
        check(&[b"0123456789"], "*1\r\n$10\r\n0123456789\r\n");
    }

    #[test]
    fn a_log_keeps_the_newest_and_counts_only_what_it_takes() {
        let mut log = Log::default();
        let push =
            |log: &mut Log, len_max| log.push(0, 0, Vec::new(), String::new(), Vec::new(), len_max);
        push(&mut log, 0);
        assert!(log.is_empty());
        (0..5).for_each(|_| push(&mut log, 3));
        let ids: Vec<u64> = log.iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [4, 3, 2]);
    }
}
