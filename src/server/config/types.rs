//! The configuration as typed fields, and the small types that some of them have.

use std::ffi::OsStr;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::LazyLock;

use super::choices::*;
use super::kinds::Mode;
use super::params::PARAMS;

/// The configuration in force. Its fields are those of [`Settings`]; a new one holds the defaults of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    // Settings' own `Default` is all zeros, which no server runs with: this wrapper makes the
    // table's defaults the only way to begin.
    settings: Box<Settings>,
}

impl Default for Config {
    fn default() -> Config {
        static DEFAULTS: LazyLock<Config> = LazyLock::new(|| {
            let mut settings = Box::<Settings>::default();
            for param in PARAMS {
                let default = param.default.as_bytes();
                if let Err(text) = param.set_text(&mut settings, default, Mode::Default) {
                    panic!("the default of {} is refused: {text}", param.name);
                }
            }
            Config { settings }
        });
        DEFAULTS.clone()
    }
}

impl Config {
    /// Whether keys are aged by how often they are used, rather than by when.
    pub fn is_lfu(&self) -> bool {
        self.maxmemory_policy.is_lfu()
    }

    /// Microseconds for which a child idles after each key that it writes (`rdb-key-save-delay`).
    pub fn key_delay_us(&self) -> u32 {
        u32::try_from(self.rdb_key_save_delay).unwrap_or(0)
    }
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl DerefMut for Config {
    fn deref_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }
}

/// A text that need not be UTF-8: a path, a password, a name. Optional ones are unset when empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(Vec<u8>);

impl Text {
    /// The text as a path.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The text for people to read; what is not UTF-8 in it is replaced.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<B: Into<Vec<u8>>> From<B> for Text {
    fn from(bytes: B) -> Text {
        Text(bytes.into())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// A save point: write a snapshot once so many changes were made and so many seconds passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// The seconds since the last snapshot.
    pub seconds: u64,
    /// The changes since the last snapshot.
    pub changes: u64,
}

/// How much unsent output a client may have before it is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BufferLimit {
    /// Bytes that close it at once; 0 is no limit.
    pub hard: u64,
    /// Bytes that close it when they stay exceeded; 0 is no limit.
    pub soft: u64,
    /// How long that is.
    pub soft_seconds: u64,
}

/// `client-output-buffer-limit`, by class of client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Plain clients, those that MONITOR included.
    pub normal: BufferLimit,
    /// Replicas.
    pub replica: BufferLimit,
    /// Clients with a subscription.
    pub pubsub: BufferLimit,
}

/// An amount of memory, in bytes or as a share of `maxmemory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryOrPercent {
    /// Bytes.
    Bytes(u64),
    /// Hundredths of `maxmemory`.
    Percent(u8),
}

impl MemoryOrPercent {
    /// The bytes that this is, given `maxmemory`.
    pub fn bytes(self, maxmemory: u64) -> u64 {
        match self {
            MemoryOrPercent::Bytes(bytes) => bytes,
            MemoryOrPercent::Percent(percent) => {
                (u128::from(maxmemory) * u128::from(percent) / 100) as u64
            }
        }
    }
}

impl Default for MemoryOrPercent {
    fn default() -> MemoryOrPercent {
        MemoryOrPercent::Bytes(0)
    }
}

/// The server that this one replicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryAddress {
    /// Its name or address.
    pub host: Text,
    /// Its port.
    pub port: u16,
}

/// A `rename-command` directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenamedCommand {
    /// The command's own name.
    pub from: Text,
    /// The name it answers to instead; empty if it is to answer to none.
    pub to: Text,
}

/// The classes of keyspace events, as `notify-keyspace-events` selects them.
pub mod events {
    /// `K`: published as `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: u32 = 1 << 0;
    /// `E`: published as `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: u32 = 1 << 1;
    /// `g`: commands that work on any type.
    pub const GENERIC: u32 = 1 << 2;
    /// `$`: strings.
    pub const STRING: u32 = 1 << 3;
    /// `l`: lists.
    pub const LIST: u32 = 1 << 4;
    /// `s`: sets.
    pub const SET: u32 = 1 << 5;
    /// `h`: hashes.
    pub const HASH: u32 = 1 << 6;
    /// `z`: sorted sets.
    pub const ZSET: u32 = 1 << 7;
    /// `x`: keys that expired.
    pub const EXPIRED: u32 = 1 << 8;
    /// `e`: keys that were evicted.
    pub const EVICTED: u32 = 1 << 9;
    /// `t`: streams.
    pub const STREAM: u32 = 1 << 10;
    /// `m`: reads that found no key.
    pub const KEY_MISS: u32 = 1 << 11;
    /// `d`: types of modules.
    pub const MODULE: u32 = 1 << 13;
    /// `n`: keys that are new.
    pub const NEW: u32 = 1 << 14;
    /// `A`: every class but `m` and `n`.
    pub const ALL: u32 =
        GENERIC | STRING | LIST | SET | HASH | ZSET | EXPIRED | EVICTED | STREAM | MODULE;
}

/// Every parameter. A field has its parameter's name with `_` for `-`, its unit is the parameter's, and
/// `redis.conf` says what it does.
#[allow(missing_docs, reason = "redis.conf documents the parameters, once")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    // Network.
    pub bind: Vec<String>,
    pub bind_source_addr: Text,
    pub client_default_resp: u32,
    pub client_output_buffer_limit: Limits,
    pub client_query_buffer_limit: u64,
    pub max_new_connections_per_cycle: u32,
    pub max_new_tls_connections_per_cycle: u32,
    pub maxclients: u32,
    pub maxmemory_clients: MemoryOrPercent,
    pub port: u16,
    pub protected_mode: bool,
    pub proto_max_bulk_len: u64,
    pub rdma_bind: Vec<String>,
    pub rdma_completion_vector: i32,
    pub rdma_port: u16,
    pub rdma_rx_size: u32,
    pub socket_mark_id: u32,
    pub tcp_backlog: u32,
    pub tcp_keepalive: u32,
    pub timeout: u32,
    pub unixsocket: Text,
    pub unixsocketgroup: Text,
    pub unixsocketperm: u32,

    // TLS.
    pub tls_auth_clients: TlsAuthClients,
    pub tls_ca_cert_dir: Text,
    pub tls_ca_cert_file: Text,
    pub tls_cert_file: Text,
    pub tls_ciphers: Text,
    pub tls_ciphersuites: Text,
    pub tls_client_cert_file: Text,
    pub tls_client_key_file: Text,
    pub tls_client_key_file_pass: Text,
    pub tls_cluster: bool,
    pub tls_dh_params_file: Text,
    pub tls_key_file: Text,
    pub tls_key_file_pass: Text,
    pub tls_port: u16,
    pub tls_prefer_server_ciphers: bool,
    pub tls_protocols: Text,
    pub tls_replication: bool,
    pub tls_session_cache_size: u32,
    pub tls_session_cache_timeout: u32,
    pub tls_session_caching: bool,

    // The process.
    pub always_show_logo: bool,
    pub aof_rewrite_cpulist: Text,
    pub bgsave_cpulist: Text,
    pub bio_cpulist: Text,
    pub crash_log_enabled: bool,
    pub crash_memcheck_enabled: bool,
    pub daemonize: bool,
    pub debug_context: Text,
    pub dir: Text,
    pub disable_thp: bool,
    pub dynamic_hz: bool,
    pub enable_debug_assert: bool,
    pub enable_debug_command: Allow,
    pub enable_module_command: Allow,
    pub enable_protected_configs: Allow,
    pub events_per_io_thread: u32,
    pub extended_redis_compatibility: bool,
    pub hz: u32,
    pub ignore_warnings: Text,
    pub io_threads: u32,
    pub io_threads_do_reads: bool,
    pub jemalloc_bg_thread: bool,
    pub locale_collate: Text,
    pub oom_score_adj: OomScoreAdj,
    pub oom_score_adj_values: [i32; 3],
    pub pidfile: Text,
    pub prefetch_batch_max_size: u32,
    pub proc_title_template: Text,
    pub server_cpulist: Text,
    pub set_proc_title: bool,
    pub shutdown_on_sigint: u32,
    pub shutdown_on_sigterm: u32,
    pub shutdown_timeout: u32,
    pub supervised: Supervised,
    pub use_exit_on_panic: bool,
    pub watchdog_period: u32,

    // Logs and what is measured.
    pub busy_reply_threshold: u64,
    pub commandlog_large_reply_max_len: u64,
    pub commandlog_large_request_max_len: u64,
    pub commandlog_reply_larger_than: i64,
    pub commandlog_request_larger_than: i64,
    pub hide_user_data_from_log: bool,
    pub latency_monitor_threshold: u64,
    pub latency_tracking: bool,
    pub latency_tracking_info_percentiles: Vec<f64>,
    pub log_format: LogFormat,
    pub log_timestamp_format: LogTimestamp,
    pub logfile: Text,
    pub loglevel: LogLevel,
    pub slowlog_log_slower_than: i64,
    pub slowlog_max_len: u64,
    pub syslog_enabled: bool,
    pub syslog_facility: SyslogFacility,
    pub syslog_ident: Text,

    // The data set and its memory.
    pub active_defrag_cycle_max: u32,
    pub active_defrag_cycle_min: u32,
    pub active_defrag_cycle_us: u32,
    pub active_defrag_ignore_bytes: u64,
    pub active_defrag_max_scan_fields: u64,
    pub active_defrag_threshold_lower: u32,
    pub active_defrag_threshold_upper: u32,
    pub active_expire_effort: u32,
    pub activedefrag: bool,
    pub activerehashing: bool,
    pub databases: u32,
    pub hash_max_listpack_entries: u64,
    pub hash_max_listpack_value: u64,
    pub hll_sparse_max_bytes: u64,
    pub import_mode: bool,
    pub lazyfree_lazy_eviction: bool,
    pub lazyfree_lazy_expire: bool,
    pub lazyfree_lazy_server_del: bool,
    pub lazyfree_lazy_user_del: bool,
    pub lazyfree_lazy_user_flush: bool,
    pub lfu_decay_time: u32,
    pub lfu_log_factor: u32,
    pub list_compress_depth: u32,
    pub list_max_listpack_size: i32,
    /// No parameter: DEBUG QUICKLIST-PACKED-THRESHOLD.
    pub list_packed_threshold: usize,
    /// Whether checksums of what is restored or loaded are not looked at (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    pub skip_checksum_validation: bool,
    pub maxmemory: u64,
    pub maxmemory_eviction_tenacity: u32,
    pub maxmemory_policy: MaxmemoryPolicy,
    pub maxmemory_samples: u32,
    pub notify_keyspace_events: u32,
    pub set_max_intset_entries: u64,
    pub set_max_listpack_entries: u64,
    pub set_max_listpack_value: u64,
    pub stream_node_max_bytes: u64,
    pub stream_node_max_entries: u64,
    pub tracking_table_max_keys: u64,
    pub zset_max_listpack_entries: u64,
    pub zset_max_listpack_value: u64,

    // Snapshots and the append-only file.
    pub aof_checksum: bool,
    pub aof_disable_auto_gc: bool,
    pub aof_load_truncated: bool,
    pub aof_rewrite_incremental_fsync: bool,
    pub aof_timestamp_enabled: bool,
    pub aof_use_rdb_preamble: bool,
    pub appenddirname: Text,
    pub appendfilename: Text,
    pub appendfsync: AppendFsync,
    pub appendonly: bool,
    pub auto_aof_rewrite_min_size: u64,
    pub auto_aof_rewrite_percentage: u32,
    pub dbfilename: Text,
    pub key_load_delay: i32,
    pub loading_process_events_interval_bytes: u64,
    pub no_appendfsync_on_rewrite: bool,
    pub rdb_del_sync_files: bool,
    pub rdb_key_save_delay: i32,
    pub rdb_save_incremental_fsync: bool,
    pub rdb_version: RdbVersion,
    pub rdb_version_check: RdbVersionCheck,
    pub rdbchecksum: bool,
    pub rdbcompression: bool,
    pub sanitize_dump_payload: SanitizeDumpPayload,
    pub save: Vec<SavePoint>,
    pub stop_writes_on_bgsave_error: bool,

    // Access control.
    pub acl_pubsub_default: AclPubsubDefault,
    pub aclfile: Text,
    pub acllog_max_len: u64,
    pub requirepass: Text,

    // Replication.
    pub dual_channel_replication_enabled: bool,
    pub masterauth: Text,
    pub masteruser: Text,
    pub min_replicas_max_lag: u32,
    pub min_replicas_to_write: u32,
    pub propagation_error_behavior: PropagationError,
    pub repl_backlog_size: u64,
    pub repl_backlog_ttl: u64,
    pub repl_disable_tcp_nodelay: bool,
    pub repl_diskless_load: DisklessLoad,
    pub repl_diskless_sync: bool,
    pub repl_diskless_sync_delay: u32,
    pub repl_diskless_sync_max_replicas: u32,
    pub repl_ping_replica_period: u32,
    pub repl_timeout: u32,
    pub replica_announce_ip: Text,
    pub replica_announce_port: u16,
    pub replica_announced: bool,
    pub replica_ignore_disk_write_errors: bool,
    pub replica_ignore_maxmemory: bool,
    pub replica_lazy_flush: bool,
    pub replica_priority: u32,
    pub replica_read_only: bool,
    pub replica_serve_stale_data: bool,
    pub replicaof: Option<PrimaryAddress>,

    // Cluster.
    pub availability_zone: Text,
    pub cluster_allow_pubsubshard_when_down: bool,
    pub cluster_allow_reads_when_down: bool,
    pub cluster_allow_replica_migration: bool,
    pub cluster_announce_bus_port: u16,
    pub cluster_announce_client_ipv4: Text,
    pub cluster_announce_client_ipv6: Text,
    pub cluster_announce_hostname: Text,
    pub cluster_announce_human_nodename: Text,
    pub cluster_announce_ip: Text,
    pub cluster_announce_port: u16,
    pub cluster_announce_tls_port: u16,
    pub cluster_blacklist_ttl: u64,
    pub cluster_config_file: Text,
    pub cluster_enabled: bool,
    pub cluster_link_sendbuf_limit: u64,
    pub cluster_manual_failover_timeout: u64,
    pub cluster_migration_barrier: u32,
    pub cluster_node_timeout: u64,
    pub cluster_ping_interval: u64,
    pub cluster_port: u16,
    pub cluster_preferred_endpoint_type: EndpointType,
    pub cluster_replica_no_failover: bool,
    pub cluster_replica_validity_factor: u32,
    pub cluster_require_full_coverage: bool,
    pub cluster_slot_stats_enabled: bool,

    // Directives that are not parameters: CONFIG GET does not know them.
    /// `rename-command`, in the order of the file.
    pub renamed_commands: Vec<RenamedCommand>,
    /// `user`: the name and the rules of each, in the order of the file.
    pub users: Vec<Vec<Text>>,
    /// `loadmodule`: the path and the arguments of each.
    pub modules: Vec<Vec<Text>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_of_maxmemory() {
        assert_eq!(MemoryOrPercent::Percent(5).bytes(u64::MAX), u64::MAX / 20);
        assert_eq!(MemoryOrPercent::Percent(100).bytes(7), 7);
        assert_eq!(MemoryOrPercent::Bytes(9).bytes(0), 9);
    }
}
