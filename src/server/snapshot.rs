//! Snapshots: when one is written, by whom, and what follows from it.
//!
//! A snapshot is written to `temp-<pid>.rdb`, brought to the disk, and then takes the place of the file before, so
//! that there is always a whole one. SAVE, the end of the server and FLUSHALL have the server itself write it;
//! BGSAVE and the save points have a child do so ([`super::children`]). A child whose parent has died gives up: the
//! next server's file is not its to replace.
//!
//! When the last attempt in the background failed and save points are set, writes are refused until one succeeds
//! ([`super::gate::persistence_refusal`]): whoever relies on snapshots must not go on without noticing.

use crate::base::sys::{self, Ended};
use crate::base::{alloc, clock};
use crate::persist::files::plain;
use crate::persist::rdb::{self, AccessHints, SaveError, SaveOptions, Saved};
use crate::server::children::{self, Kind, Outcome, Reporter};
use crate::server::config::{Choice, MaxmemoryPolicy, SavePoint};
use crate::server::gate;
use crate::server::state::{Server, VERSION};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::OnceLock;

/// After a failure the save points wait for this long.
const RETRY_S: i64 = 5;
/// With `rdb-save-incremental-fsync`, the system is asked to write to the disk after so many bytes.
const WRITE_OUT_BYTES: u64 = 4 << 20;

/// What the server knows of its snapshots.
pub struct Snapshots {
    /// When the last one was written, in seconds of the Unix clock: the start, if none was.
    pub saved_s: i64,
    /// When writing one in the background was last tried.
    pub tried_s: i64,
    /// Whether that failed.
    pub has_failed: bool,
    /// The seconds that it took; `None` if it was never tried.
    pub took_s: Option<i64>,
    /// How many were begun, in the background or by SAVE.
    pub begun: u64,
    /// The most bytes that were copied because of the last child.
    pub cow: u64,
    /// Whether one is to be begun as soon as no other child runs.
    pub is_scheduled: bool,
    /// The changes that the child's snapshot contains.
    dirty_at_fork: u64,
    /// Keys of the last snapshot that was loaded.
    pub loaded: u64,
    /// Keys of it that had expired.
    pub loaded_expired: u64,
    /// The memory that the data of the last snapshot took where it was written; 0 if that is not known.
    pub memory_when_written: i64,
}

impl Snapshots {
    /// Nothing was written yet.
    pub fn new(now_s: i64) -> Snapshots {
        Snapshots {
            saved_s: now_s,
            tried_s: 0,
            has_failed: false,
            took_s: None,
            begun: 0,
            cow: 0,
            is_scheduled: false,
            dirty_at_fork: 0,
            loaded: 0,
            loaded_expired: 0,
            memory_when_written: 0,
        }
    }
}

/// The snapshot could not be written; the log says why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed;

/// Writes a snapshot while everybody waits.
pub fn save(server: &mut Server) -> Result<(), Failed> {
    write(server, None).map_err(|reason| {
        tracing::warn!("{reason}");
        Failed
    })?;
    tracing::info!("DB saved on disk");
    server.dirty = 0;
    server.snapshots.saved_s = now_s();
    server.snapshots.has_failed = false;
    gate::note_persistence(server);
    Ok(())
}

/// Begins to write a snapshot in the background. No child runs.
pub fn begin(server: &mut Server) -> Result<(), Failed> {
    server.snapshots.begun += 1;
    server.snapshots.tried_s = now_s();
    server.snapshots.dirty_at_fork = server.dirty;
    let child = children::spawn(
        server,
        Kind::Save,
        note_end,
        |server, reporter| match write(server, Some(reporter)) {
            Ok(()) => {
                tracing::info!("DB saved on disk");
                true
            }
            Err(reason) => {
                tracing::warn!("{reason}");
                reporter.fail(&reason);
                false
            }
        },
    );
    match child {
        Ok(pid) => {
            tracing::info!("Background saving started by pid {pid}");
            Ok(())
        }
        Err(e) => {
            tracing::warn!("Can't save in background: fork: {}", plain(&e));
            server.snapshots.has_failed = true;
            gate::note_persistence(server);
            Err(Failed)
        }
    }
}

/// What follows when a child that wrote a snapshot has ended.
fn note_end(server: &mut Server, outcome: &Outcome) {
    let snapshots = &mut server.snapshots;
    snapshots.took_s = Some(outcome.seconds);
    snapshots.cow = outcome.cow_peak;
    if outcome.succeeded() {
        tracing::info!("Background saving terminated with success");
        server.dirty = server.dirty.saturating_sub(snapshots.dirty_at_fork);
        snapshots.saved_s = now_s();
        snapshots.has_failed = false;
    } else {
        match (outcome.ended, &outcome.reason) {
            (Ended::Signal(signal), _) => {
                tracing::warn!("Background saving terminated by signal {signal}");
            }
            (Ended::Code(_), Some(reason)) => tracing::warn!("Background saving error: {reason}"),
            (Ended::Code(code), None) => {
                tracing::warn!("Background saving error: the child ended with code {code}");
            }
        }
        snapshots.has_failed |= !outcome.was_dismissed();
        // A child that was killed could not do so itself.
        let began_us = clock::mono_us();
        let _ = fs::remove_file(temporary_name(outcome.pid as u32));
        server.note_latency("rdb-unlink-temp-file", clock::mono_us() - began_us);
    }
    gate::note_persistence(server);
}

/// Begins a snapshot if a save point is reached, or one was put off and can begin now. Called by the clock.
pub fn begin_if_due(server: &mut Server) {
    if server.children.is_any() || server.loading.is_some() {
        return;
    }
    let now_s = server.now_ms() / 1000;
    let snapshots = &server.snapshots;
    let may_try = !snapshots.has_failed || now_s - snapshots.tried_s > RETRY_S;
    if !may_try {
        return;
    }
    let since_s = (now_s - snapshots.saved_s).max(0) as u64;
    if let Some(point) = reached(&server.config.save, server.dirty, since_s) {
        tracing::info!(
            "{} changes in {} seconds. Saving...",
            point.changes,
            point.seconds
        );
    } else if !snapshots.is_scheduled {
        return;
    }
    if begin(server).is_ok() {
        server.snapshots.is_scheduled = false;
    }
}

/// The first save point for which so many changes in so many seconds are enough.
fn reached(points: &[SavePoint], changes: u64, seconds: u64) -> Option<&SavePoint> {
    let mut points = points.iter();
    points.find(|point| changes >= point.changes && seconds > point.seconds)
}

/// What follows when all data were thrown away: nobody wants them back after a restart.
pub fn note_flush_all(server: &mut Server) {
    if server.children.is_saving() {
        children::dismiss_and_wait(server);
    }
    if !server.config.save.is_empty() {
        // The log says why if this fails; the next save point tries again.
        if save(server).is_ok() {
            // The snapshot is of the empty data set: the command in progress is in it.
            server.effects.dirty = 0;
        }
    }
}

/// The name of the file that a process writes before the snapshot is whole, in the server's folder.
pub fn temporary_name(pid: u32) -> String {
    format!("temp-{pid}.rdb")
}

/// Removes what this process has written of a snapshot, when it ends at once. For signal handlers: neither
/// allocates nor waits.
pub fn remove_temporary_file_at_once() {
    if let Some(name) = TEMPORARY_NAME.get() {
        let _ = fs::remove_file(name);
    }
}

static TEMPORARY_NAME: OnceLock<String> = OnceLock::new();

/// Writes a snapshot, or says why that failed.
fn write(server: &Server, mut reporter: Option<&mut Reporter>) -> Result<(), String> {
    let name = temporary_name(std::process::id());
    if reporter.is_none() {
        TEMPORARY_NAME.get_or_init(|| name.clone());
    }
    let temporary = Path::new(&name);
    let written = write_file(server, temporary, &mut reporter)
        .and_then(|()| replace(server, temporary, &mut reporter));
    if written.is_err() {
        let _ = fs::remove_file(temporary);
    }
    written
}

fn write_file(
    server: &Server,
    temporary: &Path,
    reporter: &mut Option<&mut Reporter>,
) -> Result<(), String> {
    let in_steps = server.config.rdb_save_incremental_fsync;
    let out = Output::create(temporary, in_steps).map_err(|e| {
        format!(
            "Failed opening the temp RDB file {} (in server root dir {}) for saving: {}",
            temporary.display(),
            server.config.dir.to_text(),
            plain(&e)
        )
    })?;
    out.write_whole(temporary, reporter, |out, progress| {
        write_snapshot(server, out, false, progress)
    })
    .map_err(|e| match e {
        SaveError::Io(e) => format!("Write error while saving DB to the disk: {}", plain(&e)),
        SaveError::Unrepresentable { .. } => {
            format!("The data set can't be saved in this rdb-version: {e}")
        }
    })
}

/// Ends a child whose parent is gone.
#[cold]
fn give_up(temporary: &Path) -> ! {
    tracing::warn!("The server has gone, and so does the child that saves for it");
    let _ = fs::remove_file(temporary);
    sys::exit_at_once(1)
}

/// Puts the whole file in the place of the one before.
fn replace(
    server: &Server,
    temporary: &Path,
    reporter: &mut Option<&mut Reporter>,
) -> Result<(), String> {
    if let Some(reporter) = reporter
        && !reporter.is_heard()
    {
        give_up(temporary);
    }
    let target = server.config.dbfilename.as_path();
    fs::rename(temporary, target).map_err(|e| {
        format!(
            "Error moving temp DB file {} on the final destination {} (in server root dir {}): {}",
            temporary.display(),
            target.display(),
            server.config.dir.to_text(),
            plain(&e)
        )
    })?;
    let folder = File::open(".").and_then(|folder| folder.sync_all());
    folder.map_err(|e| format!("Failed to fsync directory while saving DB: {}", plain(&e)))
}

/// Writes the data set in the form that the configuration wants, as a file of its own or as the base of an
/// append-only file; `progress` is told the keys written so far.
pub fn write_snapshot<W: Write>(
    server: &Server,
    out: &mut W,
    is_aof_base: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Saved, SaveError> {
    let config = &server.config;
    let version = rdb::Version::from_name(config.rdb_version.name());
    let aux = [
        ("redis-ver", VERSION.to_string()),
        ("redis-bits", usize::BITS.to_string()),
        ("ctime", now_s().to_string()),
        ("used-mem", alloc::used_memory().to_string()),
        ("aof-base", u8::from(is_aof_base).to_string()),
    ];
    let access = match config.maxmemory_policy {
        MaxmemoryPolicy::VolatileLru | MaxmemoryPolicy::AllkeysLru => {
            AccessHints::Idle(server.access_clock().lru)
        }
        policy if policy.is_lfu() => AccessHints::Frequency,
        _ => AccessHints::None,
    };
    let options = SaveOptions {
        version: version.expect("every name of rdb-version is a version"),
        compress: config.rdbcompression,
        checksum: config.rdbchecksum,
        access,
        key_delay_us: config.key_delay_us(),
        aux: &aux,
        functions: server.functions.sources(),
    };
    rdb::save(&server.keyspace, out, &options, &mut |p| progress(p.keys))
}

fn now_s() -> i64 {
    clock::unix_us() / 1_000_000
}

/// A file that reaches the disk as it grows, if it is to.
pub(super) struct Output {
    file: File,
    written: u64,
    /// Up to here the system was asked to write it out.
    begun: u64,
    in_steps: bool,
}

impl Output {
    /// Creates one; `in_steps` says whether it reaches the disk as it grows.
    pub(super) fn create(path: &Path, in_steps: bool) -> io::Result<Output> {
        Ok(Output {
            file: File::create(path)?,
            written: 0,
            begun: 0,
            in_steps,
        })
    }

    /// Has `write` write all of it, and brings it to the disk. `write` says how many keys it has written so
    /// far, which the parent is told if this is a child; one whose parent is gone ends.
    pub(super) fn write_whole<T>(
        mut self,
        path: &Path,
        reporter: &mut Option<&mut Reporter>,
        write: impl FnOnce(&mut Output, &mut dyn FnMut(u64)) -> Result<T, SaveError>,
    ) -> Result<(), SaveError> {
        write(&mut self, &mut |keys| {
            if let Some(reporter) = reporter
                && !reporter.progress(keys)
            {
                give_up(path);
            }
        })?;
        Ok(self.file.sync_all()?)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written += n as u64;
        let pending = self.written - self.begun;
        if self.in_steps && pending >= WRITE_OUT_BYTES {
            sys::begin_write_out(self.file.as_fd(), self.begun, pending);
            self.begun = self.written;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn save_points_want_changes_and_time() {
        let point = |seconds, changes| SavePoint { seconds, changes };
        let points = [point(900, 1), point(60, 100)];
        let check = |changes, seconds, expected: Option<SavePoint>| {
            let found = reached(&points, changes, seconds).copied();
            assert_eq!(found, expected, "{changes} changes in {seconds} s");
        };
        check(0, 10_000, None);
        check(1, 900, None);
        check(1, 901, Some(points[0]));
        check(99, 61, None);
        check(100, 61, Some(points[1]));
        check(100, 60, None);
        assert_eq!(reached(&[], 100, 10_000), None);
    }
}
