//! The append-only file as the command thread keeps it: what waits to be written, what is not on the disk
//! yet, and who waits for that.
//!
//! What commands propagate is gathered in the [`CommandStream`](crate::server::propagate::CommandStream) and
//! written once an iteration of the event loop, before replies are sent. Bringing it to the disk is another
//! thread's work ([`Syncer`]), by `appendfsync`:
//!
//! - `always`: replies to those who wrote are held back until what they wrote is on the disk. Whoever only
//!   reads is not held up, and what is written while the disk is busy goes there in one go when it is done.
//! - `everysec`: once a second. While the disk is busy nothing is written, since the system might make us
//!   wait, but for two seconds at most.
//! - `no`: when the system thinks fit.
//!
//! What cannot be written is kept, and new writes are refused until it can. Under `always` the replies it
//! belongs to stay held: nothing is acknowledged that is not on the disk.

use crate::base::clock;
use crate::persist::aof::annotation;
use crate::persist::aof::appender::{AppendError, Appender};
use crate::persist::aof::manifest::{Manifest, Names};
use crate::persist::aof::syncer::Syncer;
use crate::persist::files::plain;
use crate::server::blocked;
use crate::server::client::{Clients, Slot};
use crate::server::config::{AppendFsync, Config};
use crate::server::state::Server;
use crate::server::{gate, propagate};
use std::collections::VecDeque;
use std::io;

pub mod load;
pub mod replay;
pub mod rewrite;

/// Under `everysec`, how long the disk may be busy before it is written to nevertheless.
const POSTPONED_MS_MAX: i64 = 2000;
/// How often a lasting error is logged.
const LOG_EVERY_MS: i64 = 30_000;
/// A buffer is not kept beyond this.
const BUFFER_KEPT_MAX: usize = 1 << 20;

/// Whether there is an append-only file.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum State {
    /// There is none.
    #[default]
    Off,
    /// There will be once a rewrite has made its base; until then commands go to a temporary increment.
    Beginning,
    /// There is.
    On,
}

/// The append-only file.
pub struct Aof {
    state: State,
    names: Names,
    manifest: Manifest,
    /// The increment that is written to.
    appender: Option<Appender>,
    /// What was taken out of the stream and is not written yet.
    pending: Vec<u8>,
    /// How much of it is sealed with its checksum.
    sealed: usize,
    /// The stream's offset behind it.
    pending_end: u64,
    /// The stream's offset that the increment was written up to.
    written: u64,
    /// The same that was asked to be brought to the disk.
    sync_asked: u64,
    /// The same that is on the disk, or need not be.
    durable: u64,
    /// Replies to clients that wrote beyond this are held back.
    held_above: u64,
    /// Who waits for what was written to be on the disk (WAITAOF).
    waiting: Vec<Slot>,
    /// Who is held back, and up to which offset, in order of that.
    held: VecDeque<(u64, Slot)>,
    syncer: Syncer,
    /// When a sync was last asked for, in milliseconds of the Unix clock.
    synced_ms: i64,
    /// Since when writing is put off, in milliseconds of the Unix clock.
    postponed_since_ms: Option<i64>,
    /// The last second that an annotation told.
    told_second: i64,
    write_error: Option<String>,
    sync_error: Option<String>,
    error_logged_ms: i64,
    /// Bytes of the parts before the one that is written to.
    earlier_bytes: u64,
    /// Rewrites and what came of them.
    pub rewrites: rewrite::Rewrites,
    /// How often something was written though the disk was busy.
    pub delayed_syncs: u64,
}

impl Default for Aof {
    fn default() -> Aof {
        Aof {
            state: State::Off,
            names: Names {
                folder: Default::default(),
                stem: String::new(),
            },
            manifest: Manifest::default(),
            appender: None,
            pending: Vec::new(),
            sealed: 0,
            pending_end: 0,
            written: 0,
            sync_asked: 0,
            durable: 0,
            held_above: u64::MAX,
            waiting: Vec::new(),
            held: VecDeque::new(),
            syncer: Syncer::default(),
            synced_ms: 0,
            postponed_since_ms: None,
            told_second: 0,
            write_error: None,
            sync_error: None,
            error_logged_ms: 0,
            earlier_bytes: 0,
            rewrites: rewrite::Rewrites::default(),
            delayed_syncs: 0,
        }
    }
}

impl Aof {
    /// Whether there is one, or will be soon.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether commands are written somewhere.
    pub fn is_recording(&self) -> bool {
        self.state != State::Off && self.appender.is_some()
    }

    /// Bytes of all its parts.
    pub fn bytes(&self) -> u64 {
        self.earlier_bytes + self.appender.as_ref().map_or(0, Appender::len)
    }

    /// Bytes that wait to be written.
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Bytes of memory that its buffers take.
    pub fn heap_bytes(&self) -> usize {
        self.pending.capacity()
    }

    /// Whether something is being brought to the disk.
    pub fn is_syncing(&self) -> bool {
        self.syncer.is_busy()
    }

    /// The offset of the stream up to which everything is on the disk.
    pub fn synced(&self) -> u64 {
        self.syncer.synced()
    }

    /// Why writes are refused, if they are.
    pub fn error(&self) -> Option<&str> {
        self.write_error.as_deref().or(self.sync_error.as_deref())
    }

    /// Whether writing or syncing failed last, as INFO says.
    pub fn last_write_failed(&self) -> bool {
        self.error().is_some()
    }

    /// Has the command thread woken when something has been brought to the disk.
    pub fn set_wake(&mut self, wake: Box<dyn Fn() + Send>) {
        self.syncer.set_wake(wake);
    }

    /// Whether replies to a client are held back that wrote up to this offset of the stream.
    #[inline]
    pub fn holds(&self, wrote_to: u64) -> bool {
        wrote_to > self.held_above
    }

    /// What follows in the stream behind this offset is what is written.
    fn start_at(&mut self, offset: u64) {
        self.written = offset;
        self.sync_asked = offset;
        self.durable = offset;
        self.pending_end = offset;
        self.syncer.set_synced(offset);
    }

    /// What was taken out of the stream is not written.
    fn forget_pending(&mut self) {
        self.pending = Vec::new();
        self.sealed = 0;
        self.start_at(self.pending_end);
    }

    /// Notes that a client wrote up to this offset of the stream.
    pub fn note_writer(&mut self, slot: Slot, clients: &mut Clients, offset: u64) {
        if let Some(client) = clients.get_mut(slot) {
            client.wrote_to = offset;
        }
        if self.held_above == u64::MAX {
            return;
        }
        match self.held.back_mut() {
            Some((end, last)) if *last == slot => *end = offset,
            _ => self.held.push_back((offset, slot)),
        }
    }
}

/// Brings names and policy in line with the configuration.
pub fn note_config(server: &mut Server) {
    let aof = &mut server.aof;
    let always = aof.is_recording() && server.config.appendfsync == AppendFsync::Always;
    if !always {
        aof.held_above = u64::MAX;
        release(server, u64::MAX);
    } else if aof.held_above == u64::MAX {
        // What was written under another policy was promised less.
        aof.held_above = server.stream.offset();
    }
    propagate::note_consumers(server);
}

/// Writes what waits, and has it brought to the disk, as far as it is time for that.
#[inline]
pub fn flush(server: &mut Server) {
    let aof = &server.aof;
    if aof.is_recording()
        && (!server.stream.is_empty() || !aof.pending.is_empty() || aof.sync_asked < aof.written)
    {
        write(server, false);
    }
}

/// Writes what waits and brings it to the disk, before anything else.
pub fn flush_wholly(server: &mut Server) {
    if server.aof.is_recording() {
        write(server, true);
        sync_now(server);
    }
}

/// Takes note of what has been brought to the disk.
#[inline]
pub fn note_synced(server: &mut Server) {
    if server.aof.state != State::Off && server.aof.syncer.synced() > server.aof.durable {
        let durable = server.aof.syncer.synced();
        note_durable(server, durable);
        if let Some(took_us) = server.aof.syncer.take_slowest_us()
            && server.config.appendfsync == AppendFsync::Always
        {
            // Those who wrote waited for it, though the command thread did not.
            server.note_latency("aof-fsync-always", took_us);
        }
    }
    if server.aof.state != State::Off
        && let Some(e) = server.aof.syncer.take_error()
    {
        note_sync_error(server, &e);
    }
}

#[cold]
fn write(server: &mut Server, force: bool) {
    if server.stream.is_in_unit() {
        return;
    }
    gather(server);
    let now_ms = server.now_ms();
    let policy = server.config.appendfsync;
    let aof = &mut server.aof;
    if !aof.pending.is_empty() {
        if !force && aof.syncer.is_busy() && must_wait(aof, policy, now_ms) {
            return;
        }
        aof.postponed_since_ms = None;
        if aof.sealed < aof.pending.len() {
            if server.config.aof_checksum {
                annotation::seal(&mut aof.pending, aof.sealed);
            }
            aof.sealed = aof.pending.len();
        }
        let watch = (server.config.latency_monitor_threshold != 0).then(clock::mono_us);
        let was_busy = watch.is_some() && aof.syncer.is_busy();
        let appender = aof.appender.as_mut().expect("what is recorded has a file");
        let appended = appender.append(&aof.pending);
        if let Some(began_us) = watch {
            note_latency(server, began_us, was_busy);
        }
        match appended {
            Ok(()) => note_written(server),
            Err(e) => return note_write_error(server, e),
        }
    }
    sync_if_due(server, policy, now_ms);
}

/// Tells the latency monitor how long a write took, and what may have held it up.
fn note_latency(server: &mut Server, began_us: u64, was_busy: bool) {
    let took_us = clock::mono_us() - began_us;
    let cause = match () {
        _ if was_busy => "aof-write-pending-fsync",
        _ if server.children.is_any() => "aof-write-active-child",
        _ => "aof-write-alone",
    };
    for event in ["aof-write", cause] {
        server.note_latency(event, took_us);
    }
}

/// Takes what commands did out of the stream.
fn gather(server: &mut Server) {
    if server.stream.is_empty() {
        return;
    }
    let second = server.now_ms() / 1000;
    let aof = &mut server.aof;
    if server.config.aof_timestamp_enabled && second != aof.told_second {
        aof.told_second = second;
        annotation::push_time(&mut aof.pending, second);
    }
    if aof.pending.is_empty() {
        aof.pending = server.stream.take(std::mem::take(&mut aof.pending));
    } else {
        let bytes = server.stream.take(Vec::new());
        aof.pending.extend_from_slice(&bytes);
    }
    aof.pending_end = server.stream.offset();
}

/// Whether writing waits for a disk that is busy.
fn must_wait(aof: &mut Aof, policy: AppendFsync, now_ms: i64) -> bool {
    match policy {
        AppendFsync::Always => true,
        AppendFsync::No => false,
        AppendFsync::EverySecond => {
            let since = *aof.postponed_since_ms.get_or_insert(now_ms);
            // The clock may have been set back.
            if (0..POSTPONED_MS_MAX).contains(&(now_ms - since)) {
                return true;
            }
            aof.delayed_syncs += 1;
            tracing::info!(
                "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for \
                 fsync to complete, this may slow down the server."
            );
            false
        }
    }
}

fn note_written(server: &mut Server) {
    let aof = &mut server.aof;
    aof.written = aof.pending_end;
    aof.pending.clear();
    aof.pending.shrink_to(BUFFER_KEPT_MAX);
    aof.sealed = 0;
    if aof.write_error.take().is_some() {
        tracing::warn!("AOF write error looks solved. The server can write again.");
        note_errors(server);
    }
}

fn note_write_error(server: &mut Server, error: AppendError) {
    let now_ms = server.now_ms();
    let aof = &mut server.aof;
    aof.pending.drain(..error.left_in_file);
    aof.sealed -= error.left_in_file;
    let text = match &error.cause {
        Some(cause) => plain(cause),
        None => "No space left on device".into(),
    };
    if aof.write_error.is_none() || now_ms - aof.error_logged_ms >= LOG_EVERY_MS {
        aof.error_logged_ms = now_ms;
        tracing::warn!("Error writing to the AOF file: {text}");
    }
    aof.write_error = Some(text);
    note_errors(server);
}

fn note_sync_error(server: &mut Server, error: &io::Error) {
    let text = plain(error);
    if server.config.appendfsync == AppendFsync::Always {
        // Of what the disk took or not nobody can be sure after this, and replies must not go out.
        tracing::error!(
            "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {text}. Exiting..."
        );
        std::process::exit(1);
    }
    tracing::warn!("Fail to fsync the AOF file: {text}");
    server.aof.sync_error = Some(text);
    server.aof.sync_asked = server.aof.durable;
    note_errors(server);
}

/// Has the gate refuse writes while they cannot be kept.
fn note_errors(server: &mut Server) {
    let failed = server.aof.last_write_failed();
    server.set_unusual(gate::unusual::AOF_FAILED, failed);
}

fn sync_if_due(server: &mut Server, policy: AppendFsync, now_ms: i64) {
    let skips = server.config.no_appendfsync_on_rewrite && server.children.is_any();
    let aof = &mut server.aof;
    let due = match policy {
        AppendFsync::Always => true,
        AppendFsync::EverySecond => !(0..1000).contains(&(now_ms - aof.synced_ms)),
        AppendFsync::No => false,
    };
    if skips || policy == AppendFsync::No {
        // Nobody waits for the disk.
        let written = aof.written;
        aof.sync_asked = written;
        note_durable(server, written);
    } else if due && aof.sync_asked < aof.written && !aof.syncer.is_busy() {
        let appender = aof.appender.as_ref().expect("what is recorded has a file");
        aof.syncer.sync(appender.file(), aof.written);
        aof.sync_asked = aof.written;
        aof.synced_ms = now_ms;
    }
}

/// Waits until everything that was written is on the disk.
fn sync_now(server: &mut Server) {
    let aof = &mut server.aof;
    if let Some(appender) = &aof.appender {
        aof.syncer.sync(appender.file(), aof.written);
        aof.sync_asked = aof.written;
        aof.syncer.wait();
    }
    note_synced(server);
}

/// Notes that the stream is on the disk up to an offset, or need not be.
fn note_durable(server: &mut Server, offset: u64) {
    let aof = &mut server.aof;
    aof.durable = offset;
    if aof.held_above != u64::MAX {
        aof.held_above = aof.held_above.max(offset);
    }
    if aof.sync_error.take().is_some() {
        note_errors(server);
    }
    release(server, offset);
    look_again(server);
}

/// Has those look again who wait for what they wrote to be on the disk.
fn look_again(server: &mut Server) {
    for slot in std::mem::take(&mut server.aof.waiting) {
        blocked::look_again(server, slot);
    }
}

/// Has the event loop send what was held back of clients that wrote up to an offset.
fn release(server: &mut Server, offset: u64) {
    while let Some(&(end, slot)) = server.aof.held.front() {
        if end > offset {
            break;
        }
        server.aof.held.pop_front();
        server.attend(slot);
    }
}

/// Whether all that a client wrote is on the disk.
pub fn has_synced(server: &Server, slot: Slot) -> bool {
    let aof = &server.aof;
    aof.state == State::On && server.clients.at(slot).wrote_to <= aof.syncer.synced()
}

/// A client waits for what it wrote to be on the disk; its command runs again when there is news.
pub fn note_waiting(server: &mut Server, slot: Slot) {
    server.aof.waiting.push(slot);
}

/// Stops writing, with everything on the disk (CONFIG SET appendonly no).
pub fn stop(server: &mut Server) {
    rewrite::cancel(server);
    // What a transaction did before it turned the file off belongs there.
    server.stream.split_unit();
    flush_wholly(server);
    let aof = &mut server.aof;
    aof.state = State::Off;
    aof.appender = None;
    aof.forget_pending();
    (aof.write_error, aof.sync_error) = (None, None);
    note_errors(server);
    note_config(server);
}

/// The names of the files that the configuration wants.
pub fn names(config: &Config) -> Names {
    Names {
        folder: config.appenddirname.as_path().into(),
        stem: config.appendfilename.to_text(),
    }
}
