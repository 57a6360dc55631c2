//! Loading the data set: at the start, while clients are already answered, or all at once (DEBUG RELOAD).
//!
//! What is loaded is a sequence of [`Source`]s, each a file: a snapshot, or commands as the append-only file has
//! them. The event loop calls [`step`] once an iteration, which reads for about [`BUDGET_US`]; meanwhile the gate
//! lets only those commands pass that can do without data. A file that cannot be read ends the server: to go on
//! with a part of the data, and perhaps save it over the whole, would be worse.

use crate::base::clock;
use crate::data::quicklist::{self, Fill};
use crate::keyspace::{hash, set, zset};
use crate::persist::files::plain;
use crate::persist::rdb::{self, LoadError, LoadOptions, Loaded, Loader};
use crate::server::aof;
use crate::server::config::{Config, RdbVersionCheck};
use crate::server::functions::{self, Existing};
use crate::server::gate;
use crate::server::propagate;
use crate::server::state::{Server, Shutdown};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

/// How long one step may keep clients waiting.
const BUDGET_US: u64 = 10_000;
/// What a snapshot is read in; between two pieces the clock is looked at.
const PIECE_BYTES: u64 = 64 << 10;
/// Whoever supervises the server is told this often that it is still loading.
const TELL_SUPERVISOR_MS: i64 = 5_000;

/// What became of reading a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There is more.
    More,
    /// That was all.
    Done,
}

/// A file that is loaded.
pub trait Source {
    /// Reads a piece, for at most some milliseconds. After an error, which the log has been told of, the data set
    /// is in no state to be used.
    fn step(&mut self, server: &mut Server) -> Result<Progress, Failed>;

    /// The bytes that it has.
    fn total(&self) -> u64;

    /// How many of them were read.
    fn offset(&self) -> u64;
}

/// The data set could not be loaded; the log says why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failed {
    /// What there is of it is in no state to be used.
    Data,
    /// It is there, but for its libraries of functions.
    Libraries,
}

/// What is being loaded.
pub struct Loading {
    sources: VecDeque<Box<dyn Source>>,
    /// What is done when all is loaded, given the seconds that it took.
    on_done: fn(&mut Server, f64),
    /// When it began, in milliseconds of the Unix clock.
    pub began_ms: i64,
    began_us: u64,
    /// Bytes of all sources.
    pub total_bytes: u64,
    /// Bytes of the sources that are done.
    passed_bytes: u64,
    told_supervisor_ms: i64,
}

impl Loading {
    /// Bytes read so far.
    pub fn loaded_bytes(&self) -> u64 {
        self.passed_bytes + self.sources.front().map_or(0, |source| source.offset())
    }
}

/// Begins to load these sources, one after the other, into the present data set.
pub fn begin(server: &mut Server, sources: Vec<Box<dyn Source>>, on_done: fn(&mut Server, f64)) {
    let now_ms = clock::unix_us() / 1000;
    server.set_unusual(gate::unusual::LOADING, true);
    propagate::note_consumers(server);
    server.loading = Some(Box::new(Loading {
        total_bytes: sources.iter().map(|source| source.total()).sum(),
        sources: sources.into(),
        on_done,
        began_ms: now_ms,
        began_us: clock::mono_us(),
        passed_bytes: 0,
        told_supervisor_ms: now_ms,
    }));
}

/// Begins what the configuration wants loaded when the server starts.
pub fn begin_at_start(server: &mut Server) -> Result<(), Failed> {
    if server.config.appendonly {
        return begin_with_commands(server);
    }
    let path = server.config.dbfilename.clone();
    let Some(snapshot) = open_snapshot(server, path.as_path(), Expired::Dropped)? else {
        announce_ready(server);
        return Ok(());
    };
    server.supervisor.status("Loading the data set");
    begin(server, vec![Box::new(snapshot)], |server, seconds| {
        tracing::info!("DB loaded from disk: {seconds:.3} seconds");
        announce_ready(server);
    });
    Ok(())
}

/// Begins to load the append-only file, which takes what follows when that is done.
fn begin_with_commands(server: &mut Server) -> Result<(), Failed> {
    match aof::load::source(server)? {
        None => open_and_announce(server),
        Some(source) => {
            server.supervisor.status("Loading the data set");
            begin(server, vec![source], |server, seconds| {
                tracing::info!("DB loaded from append only file: {seconds:.3} seconds");
                open_and_announce(server);
            });
        }
    }
    Ok(())
}

/// What is acknowledged from now on goes to the append-only file.
fn open_and_announce(server: &mut Server) {
    match aof::load::open(server) {
        Ok(()) => announce_ready(server),
        Err(reason) => {
            tracing::warn!("{reason}");
            server.shutdown = Some(Shutdown::NothingLoaded);
        }
    }
}

/// Says that the server takes commands from now on.
fn announce_ready(server: &mut Server) {
    if server.config.port != 0 {
        tracing::info!("Ready to accept connections tcp");
    }
    if !server.config.unixsocket.is_empty() {
        tracing::info!("Ready to accept connections unix");
    }
    server.supervisor.ready();
}

/// Goes on loading, if there is anything to load, for as long as clients can wait. A failure ends the server.
#[inline]
pub fn step(server: &mut Server) {
    if server.loading.is_some() {
        go_on(server);
    }
}

#[cold]
fn go_on(server: &mut Server) {
    let until_us = clock::mono_us() + BUDGET_US;
    while clock::mono_us() < until_us {
        match advance(server) {
            Ok(Progress::More) => {}
            Ok(Progress::Done) => return,
            Err(_) => {
                if !server.config.appendonly {
                    tracing::warn!("Terminating server after rdb file reading failure.");
                }
                server.shutdown = Some(Shutdown::NothingLoaded);
                return;
            }
        }
    }
    tell_supervisor(server);
}

/// Loads all that [`begin`] was given before it returns.
fn run_to_end(server: &mut Server) -> Result<(), Failed> {
    while advance(server)? == Progress::More {}
    Ok(())
}

/// Opens the configured snapshot to load it into the present data set, where keys that are there already are
/// replaced or, as in any other file, an error.
pub fn open_to_reload(server: &Server, replaces: bool) -> Result<Box<dyn Source>, Failed> {
    let path = server.config.dbfilename.as_path();
    let (file, bytes) = open_file(path).map_err(|e| log_unreadable(path, &e))?;
    let options = LoadOptions {
        replaces,
        ..load_options(server, bytes, Expired::Dropped)
    };
    Ok(Box::new(Snapshot::with(file, options)))
}

/// Loads these sources into the present data set while everybody waits. If that fails the server ends, unless it
/// is only for libraries of functions.
pub fn load_now(server: &mut Server, sources: Vec<Box<dyn Source>>) -> Result<(), Failed> {
    begin(server, sources, |_, _| {});
    let outcome = run_to_end(server);
    if outcome == Err(Failed::Data) {
        server.shutdown = Some(Shutdown::NothingLoaded);
    }
    outcome
}

/// Reads a piece of what is being loaded.
fn advance(server: &mut Server) -> Result<Progress, Failed> {
    let Some(mut loading) = server.loading.take() else {
        return Ok(Progress::Done);
    };
    // A source may run commands, which find the server loading but not what.
    let progress = match loading.sources.front_mut() {
        Some(source) => source.step(server),
        None => Ok(Progress::Done),
    };
    if let Ok(Progress::Done) = progress
        && let Some(source) = loading.sources.pop_front()
    {
        loading.passed_bytes += source.total();
    }
    if progress.is_err() || loading.sources.is_empty() {
        end(server, &loading, progress.is_ok());
        return progress;
    }
    server.loading = Some(loading);
    Ok(Progress::More)
}

fn end(server: &mut Server, loading: &Loading, is_whole: bool) {
    server.set_unusual(gate::unusual::LOADING, false);
    propagate::note_consumers(server);
    server.eviction_is_due = server.config.maxmemory != 0;
    if is_whole {
        let seconds = (clock::mono_us() - loading.began_us) as f64 / 1e6;
        (loading.on_done)(server, seconds);
    }
}

/// Keeps a supervisor from losing patience.
fn tell_supervisor(server: &mut Server) {
    let now_ms = clock::unix_us() / 1000;
    let Some(loading) = &mut server.loading else {
        return;
    };
    if now_ms - loading.told_supervisor_ms >= TELL_SUPERVISOR_MS {
        loading.told_supervisor_ms = now_ms;
        let percent = loading.loaded_bytes() * 100 / loading.total_bytes.max(1);
        server
            .supervisor
            .status(&format!("Loading the data set: {percent} %"));
        server
            .supervisor
            .extend_timeout(Duration::from_millis(4 * TELL_SUPERVISOR_MS as u64));
    }
}

/// What becomes of keys of a snapshot that have expired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expired {
    /// They are left out.
    Dropped,
    /// They stay until somebody notices: commands that follow may count on them.
    Kept,
}

/// Opens a snapshot to load it; there may be none.
pub fn open_snapshot(
    server: &Server,
    path: &Path,
    expired: Expired,
) -> Result<Option<Snapshot>, Failed> {
    match open_file(path) {
        Ok((file, bytes)) => Ok(Some(Snapshot::new(server, file, bytes, expired))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(log_unreadable(path, &e)),
    }
}

/// A file and how many bytes it has.
fn open_file(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

fn log_unreadable(path: &Path, error: &io::Error) -> Failed {
    tracing::warn!(
        "Fatal error: can't open the RDB file {} for reading: {}",
        path.display(),
        plain(error)
    );
    Failed::Data
}

/// A snapshot that is loaded.
pub struct Snapshot {
    loader: Loader<File>,
    total: u64,
    /// Whether what the snapshot says of itself was logged.
    is_introduced: bool,
    /// What becomes of a library that is there already.
    existing: Existing,
}

impl Snapshot {
    /// One that begins where `file` is, which has so many bytes.
    pub fn new(server: &Server, file: File, bytes: u64, expired: Expired) -> Snapshot {
        Snapshot::with(file, load_options(server, bytes, expired))
    }

    fn with(file: File, options: LoadOptions) -> Snapshot {
        Snapshot {
            total: options.size_hint.unwrap_or(0),
            existing: if options.replaces {
                Existing::Replaced
            } else {
                Existing::Stays
            },
            loader: Loader::new(file, options),
            is_introduced: false,
        }
    }

    /// The file, of which some was read beyond the snapshot's end.
    pub fn into_file(self) -> File {
        self.loader.into_reader()
    }

    /// Logs what the snapshot says of itself, once that was read.
    fn introduce(&mut self, server: &mut Server) {
        let field = |name: &str| {
            let fields = self.loader.aux().iter();
            let mut found = fields.filter(|(known, _)| **known == *name.as_bytes());
            found.next().map(|(_, v)| String::from_utf8_lossy(v))
        };
        for (name, maker) in [("redis-ver", "Redis"), ("valkey-ver", "Valkey")] {
            if let Some(version) = field(name) {
                tracing::info!("Loading RDB produced by {maker} version {version}");
            }
        }
        let number = |name| field(name)?.parse::<i64>().ok();
        if let Some(created_s) = number("ctime") {
            let age_s = (clock::unix_us() / 1_000_000 - created_s).max(0);
            tracing::info!("RDB age {age_s} seconds");
        }
        if let Some(bytes) = number("used-mem") {
            let mib = bytes as f64 / f64::from(1 << 20);
            tracing::info!("RDB memory usage when created {mib:.2} Mb");
        }
        server.snapshots.memory_when_written = number("used-mem").unwrap_or(0);
        self.is_introduced = true;
    }

    /// Compiles the libraries that were read.
    fn load_functions(&self, server: &mut Server) -> Result<(), Failed> {
        let loaded = functions::load_all(server, self.loader.functions(), self.existing);
        loaded.map_err(|refusal| {
            let text = refusal.to_string();
            let reason = text.strip_prefix("ERR ").unwrap_or(&text);
            tracing::warn!("Failed loading library, {reason}");
            Failed::Libraries
        })
    }
}

/// How the configuration has a file of so many bytes read.
fn load_options(server: &Server, bytes: u64, expired: Expired) -> LoadOptions {
    let config = &server.config;
    LoadOptions {
        now_ms: clock::unix_us() / 1000,
        drop_expired: expired == Expired::Dropped,
        replaces: false,
        any_version: config.rdb_version_check == RdbVersionCheck::Relaxed,
        check_crc: config.rdbchecksum && !config.skip_checksum_validation,
        limits: limits(config),
        access: server.access_clock().new_entry(),
        lfu: config.is_lfu(),
        size_hint: Some(bytes),
    }
}

impl Source for Snapshot {
    fn step(&mut self, server: &mut Server) -> Result<Progress, Failed> {
        let delay = server.config.key_load_delay;
        let keys_before = if delay != 0 { count_keys(server) } else { 0 };
        let outcome = self.loader.step(&mut server.keyspace, PIECE_BYTES);
        if !self.is_introduced {
            self.introduce(server);
        }
        if delay != 0 {
            wait_for_keys(count_keys(server) - keys_before, delay);
        }
        match outcome {
            Ok(rdb::Step::More) => Ok(Progress::More),
            Ok(rdb::Step::Done(loaded)) => {
                note_loaded(server, loaded);
                self.load_functions(server)?;
                Ok(Progress::Done)
            }
            Err(e) => {
                log_bad(&e);
                Err(Failed::Data)
            }
        }
    }

    fn total(&self) -> u64 {
        self.total
    }

    fn offset(&self) -> u64 {
        self.loader.offset()
    }
}

fn note_loaded(server: &mut Server, loaded: Loaded) {
    let (keys, expired) = (loaded.keys, loaded.expired);
    match loaded.empty {
        0 => tracing::info!("Done loading RDB, keys loaded: {keys}, keys expired: {expired}."),
        empty => tracing::info!(
            "Done loading RDB, keys loaded: {keys}, keys expired: {expired}, empty keys skipped: {empty}."
        ),
    }
    server.snapshots.loaded = loaded.keys;
    server.snapshots.loaded_expired = loaded.expired;
}

fn log_bad(error: &LoadError) {
    if error.is_truncated {
        tracing::warn!("Short read or OOM loading DB. Unrecoverable error, aborting now.");
    }
    tracing::warn!("Internal error in RDB: {error}");
    tracing::warn!("[offset {}] {}", error.offset, error.what);
}

fn count_keys(server: &Server) -> u64 {
    server.keyspace.iter().map(|db| db.len() as u64).sum()
}

/// Takes its time over some keys, for tests: so many microseconds a key, or one for so many keys if negative.
fn wait_for_keys(keys: u64, delay: i32) {
    let us = match u64::try_from(delay) {
        Ok(us) => keys * us,
        Err(_) => keys / u64::from(delay.unsigned_abs()),
    };
    std::thread::sleep(Duration::from_micros(us));
}

/// The forms of collections that the configuration wants.
pub fn limits(config: &Config) -> rdb::Limits {
    rdb::Limits {
        list: quicklist::Options {
            fill: Fill::new(config.list_max_listpack_size.into()),
            compress_depth: config.list_compress_depth as usize,
            packed_threshold: config.list_packed_threshold,
        },
        set: set::Limits {
            intset_entries: config.set_max_intset_entries as usize,
            listpack_entries: config.set_max_listpack_entries as usize,
            listpack_value: config.set_max_listpack_value as usize,
        },
        hash: hash::Limits {
            entries_max: config.hash_max_listpack_entries as usize,
            value_max: config.hash_max_listpack_value as usize,
        },
        zset: zset::Limits {
            entries: config.zset_max_listpack_entries,
            value: config.zset_max_listpack_value,
        },
    }
}
