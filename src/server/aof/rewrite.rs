//! Rewrites: a child process makes a new base while what happens meanwhile goes to a new increment.
//!
//! The increment is opened, and named in the manifest, before the fork: should the rewrite fail, the files so
//! far with that one behind them are still the whole. When the child is done its file becomes the base, and
//! what lies before the new increment is history.
//!
//! The first base of a file that CONFIG SET turned on is made in the same way, but the increment is a
//! temporary one until it is there: a base is needed below it.

use super::load::{create_folder, save_manifest};
use super::{State, flush_wholly, note_config};
use crate::base::clock;
use crate::base::sys::Ended;
use crate::persist::aof::appender::Appender;
use crate::persist::aof::dataset;
use crate::persist::files::{self, plain};
use crate::persist::rdb::SaveError;
use crate::resp::error::ErrorReply;
use crate::server::children::{self, Kind, Outcome, Reporter};
use crate::server::snapshot::{self, Output};
use crate::server::state::Server;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tracing::{debug, info, warn};

/// After so many failures in a row it is tried less and less often.
const FAILURES_MAX: u32 = 3;
/// The longest time between two tries, in minutes.
const RETRY_MINUTES_MAX: i64 = 60;

/// Rewrites and what came of them.
pub struct Rewrites {
    /// One begins as soon as it can.
    pub is_scheduled: bool,
    /// The last one failed.
    pub has_failed: bool,
    /// How long the last one took, in seconds; -1 if there was none.
    pub last_seconds: i64,
    /// How many there were.
    pub count: u64,
    /// How many failed since the last one that did not.
    pub failures_in_a_row: u32,
    /// Bytes that were copied because of the last one.
    pub last_cow: u64,
    /// Bytes of the whole after the last one, or of the base when the server started.
    pub base_bytes: u64,
    retry_minutes: i64,
    retry_at_ms: i64,
    /// Whether the one in progress writes a snapshot.
    is_rdb: bool,
}

impl Default for Rewrites {
    fn default() -> Rewrites {
        Rewrites {
            is_scheduled: false,
            has_failed: false,
            last_seconds: -1,
            count: 0,
            failures_in_a_row: 0,
            last_cow: 0,
            base_bytes: 0,
            retry_minutes: 0,
            retry_at_ms: 0,
            is_rdb: false,
        }
    }
}

/// Begins a rewrite that a client asked for, or puts it off until nothing is in its way. Returns what the
/// client is told.
pub fn ask(server: &mut Server, in_transaction: bool) -> Result<&'static str, ErrorReply> {
    if server.children.is_rewriting() {
        return Err("ERR Background append only file rewriting already in progress".into());
    }
    if server.children.is_any() || in_transaction {
        server.aof.rewrites.is_scheduled = true;
        server.aof.rewrites.failures_in_a_row = 0;
        info!("Background append only file rewriting scheduled.");
        return Ok("Background append only file rewriting scheduled");
    }
    match begin(server) {
        Ok(()) => Ok("Background append only file rewriting started"),
        Err(reason) => {
            warn!("{reason}");
            note_failure(server);
            Err(
                "ERR Can't execute an AOF background rewriting. Please check the server logs for more information."
                    .into(),
            )
        }
    }
}

/// Turns the file on (CONFIG SET appendonly yes).
pub fn turn_on(server: &mut Server) -> Result<(), String> {
    server.aof.state = State::Beginning;
    if server.children.is_rewriting() {
        info!(
            "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and starting a \
             rewrite now."
        );
        children::dismiss_and_wait(server);
    }
    if server.children.is_any() {
        server.aof.rewrites.is_scheduled = true;
        info!(
            "AOF was enabled but there is already another background operation. An AOF background was scheduled to start \
             when possible."
        );
        return Ok(());
    }
    begin(server).inspect_err(|reason| {
        warn!("{reason}");
        warn!(
            "The server needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above logs \
             for more info about the error."
        );
        note_failure(server);
        server.aof.state = State::Off;
    })
}

/// Gives up a rewrite in progress, and one that is to come.
pub fn cancel(server: &mut Server) {
    if server.children.is_rewriting() {
        let pid = server.children.pid().unwrap_or_default();
        info!("Killing running AOF rewrite child: {pid}");
        children::dismiss_and_wait(server);
    }
    if std::mem::take(&mut server.aof.rewrites.is_scheduled) {
        info!("AOF was disabled but there is a scheduled AOF background, cancel it.");
    }
}

/// Begins what is due: a rewrite that was put off, or one because the file has grown. Called by the clock.
pub fn check(server: &mut Server) {
    if server.children.is_any() {
        return;
    }
    let due = server.aof.rewrites.is_scheduled || has_grown(server);
    if due
        && !is_limited(server)
        && let Err(reason) = begin(server)
    {
        warn!("{reason}");
        note_failure(server);
    }
}

fn has_grown(server: &Server) -> bool {
    let percentage = server.config.auto_aof_rewrite_percentage as u64;
    let bytes = server.aof.bytes();
    let is_on = server.aof.state == State::On;
    if !is_on || percentage == 0 || bytes <= server.config.auto_aof_rewrite_min_size {
        return false;
    }
    let base = server.aof.rewrites.base_bytes.max(1);
    let growth = (bytes * 100 / base).saturating_sub(100);
    if growth < percentage {
        return false;
    }
    if server.aof.rewrites.failures_in_a_row < FAILURES_MAX {
        info!("Starting automatic rewriting of AOF on {growth}% growth");
    }
    true
}

/// Whether it failed so often lately that it must wait.
fn is_limited(server: &mut Server) -> bool {
    let now_ms = server.now_ms();
    let rewrites = &mut server.aof.rewrites;
    if rewrites.failures_in_a_row < FAILURES_MAX {
        rewrites.retry_minutes = 0;
        rewrites.retry_at_ms = 0;
        return false;
    }
    if rewrites.retry_at_ms != 0 {
        if now_ms < rewrites.retry_at_ms {
            return true;
        }
        rewrites.retry_at_ms = 0;
        return false;
    }
    rewrites.retry_minutes = (2 * rewrites.retry_minutes).clamp(1, RETRY_MINUTES_MAX);
    rewrites.retry_at_ms = now_ms + rewrites.retry_minutes * 60_000;
    let minutes = rewrites.retry_minutes;
    warn!(
        "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {minutes} minutes"
    );
    true
}

/// Forks the child that writes the new base.
fn begin(server: &mut Server) -> Result<(), String> {
    create_folder(&server.aof.names)?;
    match server.aof.state {
        State::On => open_increment(server)?,
        State::Beginning => open_temporary_increment(server)?,
        State::Off => {}
    }
    let is_rdb = server.config.aof_use_rdb_preamble;
    server.aof.rewrites.is_rdb = is_rdb;
    let folder = server.aof.names.folder.clone();
    let forked = children::spawn(server, Kind::Rewrite, finish, move |server, reporter| {
        let path = temporary_base(&folder, std::process::id() as i32);
        write_in_child(server, &path, is_rdb, reporter)
    });
    match forked {
        Ok(pid) => {
            info!("Background append only file rewriting started by pid {pid}");
            server.aof.rewrites.is_scheduled = false;
            Ok(())
        }
        Err(e) => {
            if server.aof.state == State::Beginning {
                drop_temporary_increment(server);
            }
            let why = plain(&e);
            Err(format!(
                "Can't rewrite append only file in background: fork: {why}"
            ))
        }
    }
}

/// Where a child writes.
fn temporary_base(folder: &Path, pid: i32) -> PathBuf {
    folder.join(format!("temp-rewriteaof-bg-{pid}.aof"))
}

/// What is written from now on goes to a new increment.
fn open_increment(server: &mut Server) -> Result<(), String> {
    flush_wholly(server);
    if server.aof.waiting() > 0 {
        return Err("Can't rewrite the AOF file while it can't be written".into());
    }
    let names = server.aof.names.clone();
    let mut manifest = server.aof.manifest.clone();
    let name = manifest.add_increment(&names);
    let path = names.path(&name);
    let appender = Appender::create(&path).map_err(|e| {
        let why = plain(&e);
        format!("Can't open the append-only file {name}: {why}")
    })?;
    // If that fails the file stays: it is not known whether the manifest on the disk names it, and it is empty.
    save_manifest(&manifest, &names)?;
    info!("Creating AOF incr file {name} on background rewrite");
    let aof = &mut server.aof;
    aof.manifest = manifest;
    if let Some(old) = aof.appender.replace(appender) {
        aof.earlier_bytes += old.len();
        aof.syncer.finish(old.file().clone());
    }
    server.stream.begin_anew();
    Ok(())
}

fn open_temporary_increment(server: &mut Server) -> Result<(), String> {
    let path = server.aof.names.temporary_increment();
    let appender = Appender::create(&path).map_err(|e| {
        let why = plain(&e);
        format!("Can't open the append-only file {}: {why}", path.display())
    })?;
    info!(
        "Creating AOF incr file {} on background rewrite",
        path.display()
    );
    server.aof.appender = Some(appender);
    server.aof.earlier_bytes = 0;
    let offset = server.stream.offset();
    server.aof.start_at(offset);
    server.stream.begin_anew();
    note_config(server);
    Ok(())
}

/// What went to the temporary increment is not needed without a base.
fn drop_temporary_increment(server: &mut Server) {
    let aof = &mut server.aof;
    if let Some(appender) = aof.appender.take() {
        let path = appender.path();
        info!(
            "Removing the temp incr aof file {} in the background",
            path.display()
        );
        if let Err(e) = fs::remove_file(path) {
            warn!("It can't be removed: {}", plain(&e));
        }
    }
    aof.forget_pending();
    note_config(server);
}

/// Writes a base and brings it to the disk, in the child.
fn write_in_child(server: &Server, path: &Path, is_rdb: bool, reporter: &mut Reporter) -> bool {
    let written = write_file(server, path, is_rdb, &mut Some(reporter));
    if let Err(e) = &written {
        warn!("Write error writing append only file on disk: {e}");
        reporter.fail(&e.to_string());
        // The parent removes it if this fails.
        let _ = fs::remove_file(path);
    }
    written.is_ok()
}

/// Writes a base in this process, for a server that has none when it starts.
pub fn write_base(server: &Server, path: &Path, is_rdb: bool) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!("temp-{name}"));
    let written = write_file(server, &temporary, is_rdb, &mut None);
    let placed = written.and_then(|()| {
        fs::rename(&temporary, path)?;
        Ok(files::sync_folder(files::folder_of(path))?)
    });
    if placed.is_err() {
        // What there is of it is no use.
        let _ = fs::remove_file(&temporary);
    }
    placed.map_err(|e| format!("Can't create the AOF base file {name}: {e}"))
}

/// Writes the data set to a file and brings it to the disk.
fn write_file(
    server: &Server,
    path: &Path,
    is_rdb: bool,
    reporter: &mut Option<&mut Reporter>,
) -> Result<(), SaveError> {
    let config = &server.config;
    let out = Output::create(path, config.aof_rewrite_incremental_fsync)?;
    if is_rdb {
        return out.write_whole(path, reporter, |out, progress| {
            snapshot::write_snapshot(server, out, true, progress)
        });
    }
    let timestamp = config
        .aof_timestamp_enabled
        .then_some(server.now_ms() / 1000);
    let options = dataset::Options {
        timestamp,
        checksums: config.aof_checksum,
        key_delay_us: config.key_delay_us(),
    };
    let functions = server.functions.sources();
    out.write_whole(path, reporter, |out, progress| {
        Ok(dataset::write(
            &server.keyspace,
            functions,
            out,
            &options,
            progress,
        )?)
    })
}

/// The child has ended: its file becomes the base, or nothing changes.
fn finish(server: &mut Server, outcome: &Outcome) {
    let temporary = temporary_base(&server.aof.names.folder, outcome.pid);
    server.aof.rewrites.last_seconds = outcome.seconds;
    server.aof.rewrites.last_cow = outcome.cow_peak;
    let result = if outcome.succeeded() {
        info!("Background AOF rewrite terminated with success");
        install(server, &temporary)
    } else {
        Err(failure(outcome))
    };
    match result {
        Ok(()) => {
            info!("Background AOF rewrite finished successfully");
            let rewrites = &mut server.aof.rewrites;
            rewrites.has_failed = false;
            rewrites.failures_in_a_row = 0;
            rewrites.count += 1;
        }
        Err(reason) => {
            warn!("{reason}");
            // A child that was killed could not do it.
            let _ = fs::remove_file(&temporary);
            if server.aof.state == State::Beginning {
                drop_temporary_increment(server);
            }
            if !outcome.was_dismissed() {
                note_failure(server);
                server.aof.rewrites.count += 1;
            }
        }
    }
    if server.aof.state == State::Beginning {
        // There is still none.
        server.aof.rewrites.is_scheduled = true;
    }
}

/// What is said of a child that did not do its work.
fn failure(outcome: &Outcome) -> String {
    match outcome.ended {
        Ended::Signal(signal) => format!("Background AOF rewrite terminated by signal {signal}"),
        Ended::Code(_) => "Background AOF rewrite terminated with error".into(),
    }
}

fn note_failure(server: &mut Server) {
    let rewrites = &mut server.aof.rewrites;
    rewrites.has_failed = true;
    rewrites.failures_in_a_row += 1;
}

/// Makes the child's file the base.
fn install(server: &mut Server, temporary: &Path) -> Result<(), String> {
    let names = server.aof.names.clone();
    let mut manifest = server.aof.manifest.clone();
    let base = manifest.replace_base(&names, server.aof.rewrites.is_rdb);
    let base_path = names.path(&base);
    let rename = |from: &Path, to: &Path, what: &str| {
        let (old, new) = (from.display(), to.display());
        fs::rename(from, to).map_err(|e| {
            let why = plain(&e);
            format!("Error trying to rename the temporary AOF {what} file {old} into {new}: {why}")
        })?;
        info!("Successfully renamed the temporary AOF {what} file {old} into {new}");
        Ok::<(), String>(())
    };
    let began_us = clock::mono_us();
    rename(temporary, &base_path, "base")?;
    server.note_latency("aof-rename", clock::mono_us() - began_us);
    let mut increment_path = None;
    if server.aof.state == State::Beginning {
        let path = names.path(&manifest.add_increment(&names));
        let began_us = clock::mono_us();
        if let Err(reason) = rename(&names.temporary_increment(), &path, "incr") {
            let _ = fs::remove_file(&base_path);
            return Err(reason);
        }
        server.note_latency("aof-rename", clock::mono_us() - began_us);
        increment_path = Some(path);
    }
    manifest.retire_increments(usize::from(server.aof.state != State::Off));
    if let Err(reason) = save_manifest(&manifest, &names) {
        // The manifest names neither of them.
        let _ = fs::remove_file(&base_path);
        if let Some(path) = increment_path {
            let _ = fs::rename(&path, names.temporary_increment());
        }
        return Err(reason);
    }
    let began_us = clock::mono_us();
    let base_bytes = fs::metadata(&base_path).map_or(0, |metadata| metadata.len());
    server.note_latency("aof-fstat", clock::mono_us() - began_us);
    let aof = &mut server.aof;
    aof.manifest = manifest;
    aof.earlier_bytes = base_bytes;
    if let (Some(path), Some(appender)) = (increment_path, &mut aof.appender) {
        appender.set_path(path);
        aof.state = State::On;
    }
    aof.rewrites.base_bytes = aof.bytes();
    remove_history(server);
    // What was written before there was a base is safe from now on.
    super::look_again(server);
    Ok(())
}

/// Removes the files that are history, if the configuration lets it.
pub fn remove_history(server: &mut Server) {
    if server.config.aof_disable_auto_gc || server.aof.manifest.history.is_empty() {
        return;
    }
    let names = server.aof.names.clone();
    let mut manifest = server.aof.manifest.clone();
    let history = std::mem::take(&mut manifest.history);
    if let Err(reason) = save_manifest(&manifest, &names) {
        warn!("{reason}");
        return;
    }
    server.aof.manifest = manifest;
    let mut files = Vec::new();
    for part in &history {
        info!("Removing the history file {} in the background", part.name);
        let path = names.path(&part.name);
        files.extend(File::open(&path));
        if let Err(e) = fs::remove_file(&path) {
            debug!("{} can't be removed: {e}", path.display());
        }
    }
    // Closing them frees their space, which may take long.
    server.keyspace.lazyfree.drop_later(Box::new(files));
}
