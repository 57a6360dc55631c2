//! The child process that writes a file while the server goes on: at most one at a time, a copy of the server as it
//! was when it was forked.
//!
//! The child reports over a pipe how far it is and what copying on write costs; [`check`], called by the clock,
//! reads that and notices its end. What follows from the end is the business of whoever had the child started: it
//! gives [`spawn`] a function for that.
//!
//! A line of the pipe is a letter, a space and what it says: `p` keys done and bytes copied on write, `c` the most
//! bytes that were copied, `e` why the work failed.
//!
//! Nothing else changes while a child runs. The keyspace's tables grow and shrink by single buckets, which dirties no
//! more pages than the commands that cause it, so there is no rehash to hold back; memory that is given back to the
//! system is dropped from our page tables without being copied.

use crate::base::clock;
use crate::base::sys::{self, DISMISSAL_SIGNAL, Ended};
use crate::server::log::{self, Role};
use crate::server::state::Server;
use crate::server::supervise;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd};

/// What a child is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It writes a snapshot.
    Save,
    /// It writes a new base of the append-only file.
    Rewrite,
}

impl Kind {
    /// What its log lines call it.
    fn name(self) -> &'static str {
        match self {
            Kind::Save => "RDB",
            Kind::Rewrite => "AOF",
        }
    }

    /// What `ps` calls it.
    fn title(self) -> &'static str {
        match self {
            Kind::Save => "cinnabar-rdb-bgsave",
            Kind::Rewrite => "cinnabar-aof-rewrite",
        }
    }
}

/// How a child ended.
pub struct Outcome {
    /// Which one it was.
    pub pid: i32,
    /// How it ended: with code 0 if its work was done.
    pub ended: Ended,
    /// Why its work failed, if it said so.
    pub reason: Option<String>,
    /// The most bytes that were copied because of it.
    pub cow_peak: u64,
    /// The seconds that it ran.
    pub seconds: i64,
}

impl Outcome {
    /// Whether its work was done.
    pub fn succeeded(&self) -> bool {
        self.ended == Ended::Code(0)
    }

    /// Whether it was ended because it was no longer wanted, which is no failure.
    pub fn was_dismissed(&self) -> bool {
        self.ended == Ended::Signal(DISMISSAL_SIGNAL)
    }
}

/// What is done when a child has ended.
pub type OnEnd = fn(&mut Server, &Outcome);

/// What the server knows of its child.
#[derive(Default)]
pub struct Children {
    running: Option<Child>,
}

struct Child {
    kind: Kind,
    pid: i32,
    on_end: OnEnd,
    pipe: PipeReader,
    /// The start of a line whose end is still to come.
    unread: Vec<u8>,
    began_ms: i64,
    progress: Progress,
    reason: Option<String>,
}

/// How far a child is.
#[derive(Clone, Copy, Default)]
pub struct Progress {
    /// The keys that it has written.
    pub keys: u64,
    /// The keys that it has to write.
    pub keys_total: u64,
    /// The bytes that were copied because of it, when it last looked.
    pub cow: u64,
    /// The most that it ever saw.
    pub cow_peak: u64,
    /// When it last looked, in milliseconds of the Unix clock; 0 if it has not.
    pub cow_at_ms: i64,
}

impl Children {
    /// Whether a child runs.
    #[inline]
    pub fn is_any(&self) -> bool {
        self.running.is_some()
    }

    /// Whether a child of this kind runs.
    pub fn is(&self, kind: Kind) -> bool {
        self.running
            .as_ref()
            .is_some_and(|child| child.kind == kind)
    }

    /// Whether a child writes a snapshot.
    pub fn is_saving(&self) -> bool {
        self.is(Kind::Save)
    }

    /// Whether a child rewrites the append-only file.
    pub fn is_rewriting(&self) -> bool {
        self.is(Kind::Rewrite)
    }

    /// The process id of the child that runs.
    pub fn pid(&self) -> Option<i32> {
        Some(self.running.as_ref()?.pid)
    }

    /// When the child that runs began, in milliseconds of the Unix clock.
    pub fn began_ms(&self) -> Option<i64> {
        Some(self.running.as_ref()?.began_ms)
    }

    /// How far the child is; all zero if none runs.
    pub fn progress(&self) -> Progress {
        self.running
            .as_ref()
            .map_or_else(Progress::default, |child| child.progress)
    }
}

/// Forks a child, which does `work` with its copy of the server and ends; the work says whether it succeeded, and
/// tells the [`Reporter`] how far it is. There must be no child yet.
pub fn spawn(
    server: &mut Server,
    kind: Kind,
    on_end: OnEnd,
    work: impl FnOnce(&mut Server, &mut Reporter) -> bool,
) -> io::Result<i32> {
    assert!(!server.children.is_any(), "one child at a time");
    let (pipe, to_parent) = io::pipe()?;
    sys::set_nonblocking(pipe.as_fd())?;
    sys::set_nonblocking(to_parent.as_fd())?;
    let mut unwanted: Vec<_> = server.clients.iter().map(|client| client.fd).collect();
    if let Some(listening) = &server.listening {
        unwanted.extend(listening());
    }
    // While it held this end too, a child would not notice that its parent has died.
    unwanted.push(pipe.as_raw_fd());
    let keys_total = server.keyspace.iter().map(|db| db.len() as u64).sum();
    let began_us = clock::mono_us();
    let forked = sys::fork_and_run(&unwanted, || {
        let mut reporter = Reporter::new(to_parent, kind);
        settle_in(server, kind);
        let succeeded = work(server, &mut reporter);
        if succeeded {
            reporter.finish();
        }
        i32::from(!succeeded)
    });
    note_fork(server, clock::mono_us() - began_us);
    let pid = forked?;
    server.children.running = Some(Child {
        kind,
        pid,
        on_end,
        pipe,
        unread: Vec::new(),
        began_ms: clock::unix_us() / 1000,
        progress: Progress {
            keys_total,
            ..Progress::default()
        },
        reason: None,
    });
    Ok(pid)
}

/// What a child does before its work: it says what it is, and lets the kernel kill it rather than its parent.
fn settle_in(server: &mut Server, kind: Kind) {
    log::set_role(Role::Child);
    server.show_title(kind.title());
    // A child that may not is still a child.
    let _ = server.apply_oom_score_of_child();
    let cpus = match kind {
        Kind::Save => &server.config.bgsave_cpulist,
        Kind::Rewrite => &server.config.aof_rewrite_cpulist,
    };
    if let Some(cpus) = supervise::parse_cpu_list(&cpus.to_text()) {
        let _ = sys::set_affinity(&cpus);
    }
}

fn note_fork(server: &mut Server, took_us: u64) {
    server.stats.forks += 1;
    server.stats.last_fork_us = took_us;
    server.note_latency("fork", took_us);
}

/// Reads what the child reports, and does what follows if it has ended. Called by the clock.
pub fn check(server: &mut Server) {
    let Some(child) = &mut server.children.running else {
        return;
    };
    child.read_reports();
    match sys::child_ended(child.pid) {
        Ok(None) => {}
        Ok(Some(ended)) => note_end(server, ended),
        Err(e) => {
            tracing::warn!("The child {} can't be waited for: {e}", child.pid);
            note_end(server, Ended::Code(1));
        }
    }
}

/// Tells the child that it is no longer wanted; [`check`] will notice its end.
pub fn dismiss(server: &Server) {
    if let Some(child) = &server.children.running {
        sys::signal_child(child.pid, DISMISSAL_SIGNAL);
    }
}

/// Ends the child and does what follows before it returns.
pub fn dismiss_and_wait(server: &mut Server) {
    dismiss(server);
    if let Some(child) = &server.children.running {
        let ended = sys::wait_for_child(child.pid);
        note_end(server, ended.unwrap_or(Ended::Code(1)));
    }
}

fn note_end(server: &mut Server, ended: Ended) {
    let Some(mut child) = server.children.running.take() else {
        return;
    };
    // The last words.
    child.read_reports();
    let outcome = Outcome {
        pid: child.pid,
        ended,
        reason: child.reason,
        cow_peak: child.progress.cow_peak,
        seconds: (clock::unix_us() / 1000 - child.began_ms).max(0) / 1000,
    };
    (child.on_end)(server, &outcome);
}

impl Child {
    fn read_reports(&mut self) {
        let mut bytes = [0; 1024];
        while let Ok(n @ 1..) = self.pipe.read(&mut bytes) {
            self.unread.extend_from_slice(&bytes[..n]);
        }
        let Some(end) = self.unread.iter().rposition(|&byte| byte == b'\n') else {
            return;
        };
        let lines: Vec<u8> = self.unread.drain(..=end).collect();
        for line in String::from_utf8_lossy(&lines).lines() {
            self.note(line);
        }
    }

    fn note(&mut self, line: &str) {
        let Some((kind, rest)) = line.split_once(' ') else {
            return;
        };
        let mut numbers = rest.split(' ').map_while(|word| word.parse::<u64>().ok());
        match kind {
            "p" => {
                self.progress.keys = numbers.next().unwrap_or(0);
                self.note_cow(numbers.next().unwrap_or(0));
            }
            "c" => self.note_cow(numbers.next().unwrap_or(0)),
            "e" => self.reason = Some(rest.to_string()),
            _ => {}
        }
    }

    fn note_cow(&mut self, cow: u64) {
        self.progress.cow = cow;
        self.progress.cow_peak = self.progress.cow_peak.max(cow);
        self.progress.cow_at_ms = clock::unix_us() / 1000;
    }
}

/// The child's end of the pipe.
pub struct Reporter {
    pipe: PipeWriter,
    kind: Kind,
    reported_us: u64,
    cow: CowMeter,
}

impl Reporter {
    /// Reports are this far apart.
    const EVERY_US: u64 = 1_000_000;

    fn new(pipe: PipeWriter, kind: Kind) -> Reporter {
        Reporter {
            pipe,
            kind,
            reported_us: clock::mono_us(),
            cow: CowMeter::default(),
        }
    }

    /// So many keys are written. Says whether there is still somebody who wants the rest: not if the parent has
    /// died, whose successor must not find its files changed.
    pub fn progress(&mut self, keys: u64) -> bool {
        let now_us = clock::mono_us();
        if now_us - self.reported_us < Self::EVERY_US {
            return true;
        }
        self.reported_us = now_us;
        let measured = self.cow.measure_if_cheap();
        if measured && self.cow.now > 0 {
            tracing::debug!("Fork CoW for {}: {}", self.kind.name(), self.cow.text());
        }
        self.send(format!("p {keys} {}", self.cow.now))
    }

    /// Whether the parent is still there.
    pub fn is_heard(&mut self) -> bool {
        self.send(format!("c {}", self.cow.now))
    }

    /// Says why the work fails.
    pub fn fail(&mut self, reason: &str) {
        /// What a pipe takes in one piece, and more than anybody reads.
        const LENGTH_MAX: usize = 1_000;
        let line: String = reason
            .replace('\n', " ")
            .chars()
            .take(LENGTH_MAX / 4)
            .collect();
        self.send(format!("e {line}"));
    }

    /// The work is done: what it has cost.
    fn finish(&mut self) {
        self.cow.measure();
        tracing::info!("Fork CoW for {}: {}", self.kind.name(), self.cow.text());
        self.send(format!("c {}", self.cow.peak));
    }

    fn send(&mut self, mut line: String) -> bool {
        line.push('\n');
        match self.pipe.write_all(line.as_bytes()) {
            Ok(()) => true,
            // A parent that is busy does not need every report.
            Err(e) => e.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

/// Measures what was copied on write, as often as that is worth.
#[derive(Default)]
struct CowMeter {
    now: u64,
    peak: u64,
    sum: u64,
    count: u64,
    measured_us: u64,
    cost_us: u64,
}

impl CowMeter {
    /// Measuring takes at most one part in so many of the time.
    const SHARE: u64 = 100;

    fn measure_if_cheap(&mut self) -> bool {
        let due =
            self.count == 0 || clock::mono_us() - self.measured_us > self.cost_us * Self::SHARE;
        if due {
            self.measure();
        }
        due
    }

    fn measure(&mut self) {
        let began_us = clock::mono_us();
        self.now = sys::private_dirty_bytes();
        self.measured_us = clock::mono_us();
        self.cost_us = self.measured_us - began_us;
        self.peak = self.peak.max(self.now);
        self.sum += self.now;
        self.count += 1;
    }

    fn text(&self) -> String {
        let average = self.sum / self.count.max(1);
        format!(
            "current {} MB, peak {} MB, average {} MB",
            self.now >> 20,
            self.peak >> 20,
            average >> 20
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child() -> (Child, PipeWriter) {
        let (pipe, writer) = io::pipe().unwrap();
        sys::set_nonblocking(pipe.as_fd()).unwrap();
        let child = Child {
            kind: Kind::Save,
            pid: 1,
            on_end: |_, _| {},
            pipe,
            unread: Vec::new(),
            began_ms: 0,
            progress: Progress::default(),
            reason: None,
        };
        (child, writer)
    }

    #[test]
    fn reports_arrive_whole_and_in_pieces() {
        let (mut child, mut writer) = child();
        child.read_reports();
        writer.write_all(b"p 7 4096\np 9 1").unwrap();
        child.read_reports();
        assert_eq!((child.progress.keys, child.progress.cow), (7, 4096));
        writer
            .write_all(b"00\nnonsense\ne disk full: no room\n")
            .unwrap();
        child.read_reports();
        assert_eq!((child.progress.keys, child.progress.cow), (9, 100));
        assert_eq!(child.progress.cow_peak, 4096);
        assert_eq!(child.reason.as_deref(), Some("disk full: no room"));
    }

    #[test]
    fn a_reporter_notices_that_nobody_listens() {
        let (mut child, writer) = child();
        let mut reporter = Reporter::new(writer, Kind::Save);
        reporter.fail("two\nlines");
        assert!(reporter.is_heard());
        child.read_reports();
        assert_eq!(child.reason.as_deref(), Some("two lines"));
        drop(child);
        assert!(!reporter.is_heard());
    }
}
