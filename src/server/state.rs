//! The state of a running server.

use crate::base::alloc;
use crate::base::clock;
use crate::base::hash::Hasher;
use crate::base::rng::{self, Rng};
use crate::keyspace::evict::Pool;
use crate::keyspace::{Effects, Keyspace};
use crate::resp::reply::Reply;
use crate::server::aof::{self, Aof};
use crate::server::blocked::{self, Blocked};
use crate::server::children::Children;
use crate::server::client::{self, Clients, Closing, Endpoint, Slot};
use crate::server::client_eviction::{self, ClientEviction};
use crate::server::client_info;
use crate::server::command::Command;
use crate::server::config::Config;
use crate::server::cx::{AccessClock, DataCx, KeyHashes};
use crate::server::expire_cycle::ExpireCycle;
use crate::server::functions::Functions;
use crate::server::gate;
use crate::server::latency::LatencyMonitor;
use crate::server::loading::Loading;
use crate::server::memory::Sampled;
use crate::server::multi;
use crate::server::pause::Pause;
use crate::server::peers::Peers;
use crate::server::propagate::CommandStream;
use crate::server::pubsub::{self, PubSub};
use crate::server::registry::Registry;
use crate::server::scripting::Scripting;
use crate::server::slowlog::{CommandLogs, Kind};
use crate::server::snapshot::Snapshots;
use crate::server::stats::Stats;
use crate::server::supervise::Supervisor;
use crate::server::tracking::{self, AllTracking};
use crate::server::watch::Watchers;
use bytes::Bytes;
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::path::PathBuf;

/// The version of Redis that clients are told, whose features they can expect.
pub const VERSION: &str = "7.4.0";
/// Hexadecimal digits of an identifier of the server.
const ID_DIGITS: usize = 40;

/// A wish of a command or signal that the event loop carries out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// End the process with success.
    Exit,
    /// Start the same program anew (DEBUG RESTART).
    Restart,
    /// End the process with a failure: the data set could not be loaded.
    NothingLoaded,
}

/// Opens the TCP listeners anew for a configuration, or says why that failed; there may be none then,
/// and the caller tries the configuration before.
pub type ListenFn = Box<dyn FnMut(&Config) -> Result<(), String>>;

/// Names the descriptors of the listening sockets.
pub type ListeningFn = Box<dyn Fn() -> Vec<RawFd>>;

/// Everything the command thread owns, sockets aside.
pub struct Server {
    /// The configuration in force.
    pub config: Config,
    /// The configuration file, if there is one, as an absolute path.
    pub config_file: Option<PathBuf>,
    /// The program.
    pub executable: PathBuf,
    /// The name it was called by.
    pub name: String,
    /// Chosen at random at each start.
    pub run_id: String,
    /// The name of the data set's history, chosen at random at each start.
    pub replication_id: String,
    /// The databases.
    pub keyspace: Keyspace,
    /// The commands.
    pub commands: Registry,
    /// The clients.
    pub clients: Clients,
    /// Counters.
    pub stats: Stats,
    /// Bits of [`gate::unusual`].
    pub unusual: u32,
    /// What the command in progress did.
    pub effects: Effects,
    /// What commands did, as commands, as far as nobody took it yet.
    pub stream: CommandStream,
    /// The append-only file.
    pub aof: Aof,
    /// The child that writes a file, if there is one.
    pub children: Children,
    /// Snapshots.
    pub snapshots: Snapshots,
    /// What is being loaded, if anything is.
    pub loading: Option<Box<Loading>>,
    /// Changes to the data set since the last save.
    pub dirty: u64,
    /// CLIENT PAUSE.
    pub pause: Pause,
    /// SLOWLOG and COMMANDLOG.
    pub slowlog: CommandLogs,
    /// LATENCY.
    pub latency: LatencyMonitor,
    /// What clients take, as far as that is limited.
    pub client_eviction: ClientEviction,
    /// Whether there was room for data when the last request was admitted, if `maxmemory` is set.
    pub had_room: bool,
    /// Whether keys are to be given up though no command asks for it, because one did not or must not.
    pub eviction_is_due: bool,
    /// Keys that may be given up next.
    pub eviction_pool: Pool,
    /// Who listens to which channels.
    pub pubsub: PubSub,
    /// Clients that run MONITOR.
    pub monitors: Vec<Slot>,
    /// Clients with output or an end that the event loop must see to.
    pub attention: VecDeque<Slot>,
    /// Clients that wait for the end of a pause.
    pub postponed: Vec<Slot>,
    /// Clients that wait for keys.
    pub blocked: Blocked,
    /// Scripts.
    pub scripting: Scripting,
    /// Libraries of functions.
    pub functions: Functions,
    /// Who watches which keys.
    pub watchers: Watchers,
    /// Who is told of which changed keys.
    pub tracking: AllTracking,
    /// The buffer of a large request that runs and has it to itself, so that a value can stay where it was read to;
    /// empty otherwise.
    pub frame: Bytes,
    /// What clients are sent beside the replies to their own requests, in order; the event loop puts each
    /// behind what its client was answered before.
    pub deliveries: Vec<(Slot, Bytes)>,
    /// Bytes of the messages among them, as [`deliveries::note`](crate::server::deliveries::note) was told.
    pub delivery_bytes: usize,
    /// Connections to other servers that keys were moved to.
    pub peers: Peers,
    /// Clients whose wait is over, and that go on with what they sent meanwhile.
    pub resumed: Vec<Slot>,
    /// Whether expired keys are found actively (DEBUG SET-ACTIVE-EXPIRE).
    pub active_expire: bool,
    /// Whether nothing happens by the clock (DEBUG PAUSE-CRON).
    pub cron_paused: bool,
    /// Whether every reply counts as a large one (DEBUG CLIENT-ENFORCE-REPLY-LIST).
    pub replies_count_large: bool,
    /// A wish to end.
    pub shutdown: Option<Shutdown>,
    /// Opens the listening sockets anew, as the configuration says; the event loop provides it.
    pub listen: Option<ListenFn>,
    /// Which descriptors a child must not keep: those of the listening sockets. The event loop provides it.
    pub listening: Option<ListeningFn>,
    /// Whoever is to be told how the server is.
    pub supervisor: Supervisor,
    /// The kernel's readiness to kill the process as it was before `oom-score-adj` changed it.
    pub oom_score_before: Option<i32>,
    /// When the server started, in milliseconds of the Unix clock.
    pub started_ms: i64,
    /// `used_memory` when it started.
    pub memory_at_start: usize,
    /// What the system and the allocator said of the memory when they were asked last.
    pub memory_sampled: Sampled,
    /// When rates were last sampled and idle clients looked for, in milliseconds of the Unix clock.
    pub sampled_ms: i64,
    /// When a browser was last reported, in milliseconds of the Unix clock.
    pub attack_logged_ms: i64,
    /// The client that was last looked after by the clock.
    pub upkeep_slot: Slot,
    /// How far active expiry is.
    pub expire_cycle: ExpireCycle,
    /// The same for what a crash report shows of INFO.
    pub info_kept_ms: i64,
    /// Whether the clock gives free memory back to the system, because no thread does.
    pub gives_memory_back: bool,
    /// When it last did, in milliseconds of the Unix clock.
    pub gave_back_ms: i64,
    /// The same for the time zone.
    pub zone_read_ms: i64,
    /// Bytes of the request in progress and those its client sent behind it.
    pub request_bytes: usize,
    /// Time as of the command in progress.
    time: Time,
}

/// Time, derived from the cheap tick counter: read once a command, at its end.
#[derive(Clone, Copy)]
pub struct Time {
    /// The tick counter when the command in progress began.
    ticks: u64,
    /// The tick counter and the Unix clock in microseconds when the two were last compared.
    base_ticks: u64,
    base_us: i64,
    /// The Unix clock in milliseconds when the command in progress began.
    now_ms: i64,
    access: AccessClock,
}

impl Server {
    /// A server with these commands and this configuration.
    pub fn new(
        config: Config,
        families: &[&'static [Command]],
        hasher: Hasher,
        rng: Rng,
    ) -> Server {
        let now_us = clock::unix_us();
        let time = Time {
            ticks: clock::ticks(),
            base_ticks: clock::ticks(),
            base_us: now_us,
            now_ms: now_us / 1000,
            access: AccessClock::at(now_us / 1000, false),
        };
        let mut server = Server {
            keyspace: Keyspace::new(config.databases as usize, hasher, rng),
            config,
            config_file: None,
            executable: std::env::current_exe().unwrap_or_default(),
            name: String::new(),
            run_id: rng::hex_id(ID_DIGITS),
            replication_id: rng::hex_id(ID_DIGITS),
            commands: Registry::new(families),
            clients: Clients::default(),
            stats: Stats::default(),
            unusual: 0,
            effects: Effects::default(),
            stream: CommandStream::default(),
            aof: Aof::default(),
            children: Children::default(),
            snapshots: Snapshots::new(now_us / 1_000_000),
            loading: None,
            dirty: 0,
            pause: Pause::default(),
            slowlog: CommandLogs::default(),
            latency: LatencyMonitor::default(),
            client_eviction: ClientEviction::default(),
            had_room: true,
            eviction_is_due: false,
            eviction_pool: Pool::default(),
            pubsub: PubSub::default(),
            monitors: Vec::new(),
            attention: VecDeque::new(),
            postponed: Vec::new(),
            blocked: Blocked::default(),
            scripting: Scripting::default(),
            functions: Functions::default(),
            watchers: Watchers::default(),
            tracking: AllTracking::default(),
            frame: Bytes::new(),
            deliveries: Vec::new(),
            delivery_bytes: 0,
            peers: Peers::default(),
            resumed: Vec::new(),
            active_expire: true,
            cron_paused: false,
            replies_count_large: false,
            shutdown: None,
            listen: None,
            listening: None,
            supervisor: Supervisor::default(),
            oom_score_before: None,
            started_ms: now_us / 1000,
            memory_at_start: alloc::used_memory(),
            memory_sampled: Sampled::default(),
            sampled_ms: 0,
            attack_logged_ms: 0,
            upkeep_slot: 0,
            expire_cycle: ExpireCycle::default(),
            info_kept_ms: 0,
            gives_memory_back: true,
            gave_back_ms: 0,
            zone_read_ms: 0,
            request_bytes: 0,
            time,
        };
        server.note_config();
        server
    }

    /// Brings what is derived from the configuration up to date.
    pub fn note_config(&mut self) {
        self.set_unusual(gate::unusual::MAXMEMORY, self.config.maxmemory != 0);
        tracking::note_limit(self);
        client_eviction::note_config(self);
        aof::note_config(self);
        gate::note_persistence(self);
        self.time.access = AccessClock::at(self.time.now_ms, self.config.is_lfu());
        for kind in [Kind::Slow, Kind::LargeRequest, Kind::LargeReply] {
            self.slowlog
                .of_mut(kind)
                .trim(self.config.command_log_limits(kind).1);
        }
    }

    /// Whether the data set is being loaded.
    pub fn is_loading(&self) -> bool {
        self.unusual & gate::unusual::LOADING != 0
    }

    /// Sets or clears a bit of [`gate::unusual`].
    pub fn set_unusual(&mut self, bit: u32, on: bool) {
        self.unusual = if on {
            self.unusual | bit
        } else {
            self.unusual & !bit
        };
    }

    /// Milliseconds of the Unix clock as of the command in progress.
    #[inline]
    pub fn now_ms(&self) -> i64 {
        self.time.now_ms
    }

    /// Microseconds of the Unix clock as of the command in progress.
    pub fn now_us(&self) -> i64 {
        self.time.base_us
            + (clock::ticks_to_ns(self.time.ticks.wrapping_sub(self.time.base_ticks)) / 1000) as i64
    }

    /// Reads the tick counter: what follows happens at this time.
    #[inline]
    pub fn advance_time(&mut self) {
        self.advance_time_to(clock::ticks());
    }

    /// What follows happens at this reading of the tick counter. Returns the nanoseconds since the
    /// time before.
    #[inline]
    pub fn advance_time_to(&mut self, ticks: u64) -> u64 {
        let elapsed = clock::ns_between(self.time.ticks, ticks);
        self.time.ticks = ticks;
        let since_base_us = clock::ns_between(self.time.base_ticks, ticks) / 1000;
        let now_ms = (self.time.base_us + since_base_us as i64) / 1000;
        if now_ms != self.time.now_ms {
            self.time.now_ms = now_ms;
            self.time.access = AccessClock::at(now_ms, self.time.access.lfu);
        }
        elapsed
    }

    /// The time as of the command in progress, to hold or go back to.
    pub fn time(&self) -> Time {
        self.time
    }

    /// To commands it stays this time, however long they take.
    pub fn hold_time(&mut self, at: &Time) {
        self.time.now_ms = at.now_ms;
        self.time.access = at.access;
    }

    /// Goes back to this time of the command in progress, which then takes as long as it did.
    pub fn set_time(&mut self, time: Time) {
        self.time = time;
    }

    /// Compares the tick counter with the Unix clock again, which others may have set.
    pub fn synchronise_time(&mut self) {
        self.time.base_ticks = clock::ticks();
        self.time.base_us = clock::unix_us();
        self.advance_time();
    }

    /// Whether the data set does not change by the clock: a pause is in force, or it is being loaded.
    pub fn is_at_rest(&self) -> bool {
        self.unusual & (gate::unusual::PAUSED | gate::unusual::LOADING) != 0
    }

    /// What used keys' access clocks are set to now.
    pub fn access_clock(&self) -> AccessClock {
        self.time.access
    }

    /// What a handler of the keyspace reaches, for a client.
    #[inline]
    pub fn data_cx<'a>(
        &'a mut self,
        slot: Slot,
        reply: &'a mut Reply,
        hashes: KeyHashes<'a>,
    ) -> DataCx<'a> {
        let client = self.clients.at(slot);
        DataCx {
            db_index: client.db,
            no_touch: client.no_touch,
            shares_memory: self.children.is_any(),
            keyspace: &mut self.keyspace,
            reply,
            effects: &mut self.effects,
            stats: &mut self.stats.keyspace,
            config: &self.config,
            now_ms: self.time.now_ms,
            horizon_ms: if self.unusual & gate::unusual::LOADING == 0 {
                self.time.now_ms
            } else {
                i64::MIN
            },
            access: self.time.access,
            delete_expired: self.unusual & gate::unusual::PAUSED == 0,
            hashes,
            frame: &self.frame,
            may_wait: client.may_wait(),
            in_script: client.is_in_script(),
        }
    }

    /// Takes a new connection in, and returns its slot.
    pub fn add_client(&mut self, fd: i32, peer: Endpoint, local: Endpoint) -> Slot {
        self.stats.connections += 1;
        let must_authenticate = !self.config.requirepass.is_empty();
        let client = self.clients.add(fd, peer, local, self.time.now_ms);
        client.set_unusual(client::unusual::UNAUTHENTICATED, must_authenticate);
        let slot = client.slot;
        client_eviction::note(self, slot, 0);
        slot
    }

    /// Ends a client's connection; the event loop sees to it.
    pub fn close_client(&mut self, slot: Slot, how: Closing) {
        if let Some(client) = self.clients.get_mut(slot) {
            client.close(how);
            self.attend(slot);
        }
    }

    /// Ends a client's connection as another client asked: whoever is served next meets nothing of it any more,
    /// though its socket is closed later.
    pub fn kill_client(&mut self, slot: Slot) {
        self.close_client(slot, Closing::Now);
        // What its script still does is done in its name.
        if !self.clients.at(slot).is_in_script() {
            self.withdraw(slot);
            self.clients.retire(slot);
        }
    }

    /// Forgets a client whose socket is gone.
    pub fn forget_client(&mut self, slot: Slot) {
        self.withdraw(slot);
        self.clients.remove(slot);
        client_eviction::note(self, slot, 0);
    }

    /// Ends all that a client takes part in.
    fn withdraw(&mut self, slot: Slot) {
        multi::discard(self, slot);
        tracking::forget(self, slot);
        self.remove_monitor(slot);
        let Some(client) = self.clients.get_mut(slot) else {
            return;
        };
        if std::mem::take(&mut client.postponed) {
            self.postponed.retain(|&other| other != slot);
        }
        blocked::forget(self, slot);
        pubsub::unsubscribe_all(self, slot);
    }

    /// A client ceases to be shown every command.
    pub fn remove_monitor(&mut self, slot: Slot) {
        self.monitors.retain(|&m| m != slot);
        self.set_unusual(gate::unusual::MONITORS, !self.monitors.is_empty());
    }

    /// A client in words, as CLIENT INFO shows it.
    pub fn describe(&self, slot: Slot) -> String {
        client_info::line(self, self.clients.at(slot), 0)
    }

    /// Whether no pause is in force; one whose time has come ends here.
    pub fn pause_is_over(&mut self) -> bool {
        if self
            .pause
            .current()
            .is_some_and(|(_, until)| until <= self.time.now_ms)
        {
            self.pause.end();
        }
        let over = self.pause.current().is_none();
        self.set_unusual(gate::unusual::PAUSED, !over);
        over
    }

    /// Opens the listening sockets anew for a changed address or port.
    pub fn reopen_listeners(&mut self) -> Result<(), String> {
        match &mut self.listen {
            Some(listen) => listen(&self.config),
            None => Ok(()),
        }
    }

    /// Says that the event loop must look after a client.
    pub fn attend(&mut self, slot: Slot) {
        self.attention.push_back(slot);
    }

    /// Whether there was room for data when the last request was admitted.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.unusual & gate::unusual::MAXMEMORY == 0 || self.had_room
    }

    /// Whether a client may run DEBUG or MODULE.
    pub fn allows_protected(&self, slot: Slot, command: &Command) -> bool {
        let setting = if command.name == "debug" {
            self.config.enable_debug_command
        } else {
            self.config.enable_module_command
        };
        setting.allows(self.clients.at(slot).is_local())
    }
}
