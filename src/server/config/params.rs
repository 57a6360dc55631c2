//! The table of parameters: one line each, with its names, field, kind, range, default, and what a change of it
//! entails. Parsing, CONFIG GET and SET, CONFIG REWRITE and the tests all work from it.
//!
//! Defaults are those of Redis 7.2. Parameters of subsystems that we do not have are stored and reported, so that
//! a file written for Redis or Valkey loads.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::checks;
use super::choices::*;
use super::kinds::{
    Apply, Check, Converted, DENY_LOADING, HIDDEN, IMMUTABLE, Kind, PROTECTED, Param, Place,
    SENSITIVE, Special, Unit, VOLATILE,
};
use super::special;
use super::types::{MemoryOrPercent, Text};

/// The parameter of this name or alias, in any case.
pub fn lookup(name: &[u8]) -> Option<&'static Param> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static Param>> = LazyLock::new(|| {
        let names = |param: &'static Param| param.names().map(move |name| (name, param));
        PARAMS.iter().flat_map(names).collect()
    });
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    BY_NAME.get(name.as_str()).copied()
}

/// Whether this parameter's value must be kept out of logs, MONITOR and the slow log.
pub fn is_secret(name: &[u8]) -> bool {
    lookup(name).is_some_and(Param::is_sensitive)
}

impl Param {
    /// The name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    const fn new(name: &'static str, default: &'static str, kind: Kind) -> Param {
        Param {
            name,
            aliases: &[],
            default,
            apply: Apply::None,
            kind,
            flags: 0,
            check: None,
        }
    }

    const fn alias(mut self, aliases: &'static [&'static str]) -> Param {
        self.aliases = aliases;
        self
    }

    const fn flags(mut self, flags: u8) -> Param {
        self.flags = flags;
        self
    }

    const fn apply(mut self, apply: Apply) -> Param {
        self.apply = apply;
        self
    }

    const fn check(mut self, check: Check) -> Param {
        self.check = Some(check);
        self
    }
}

const fn yes_no(name: &'static str, at: Place<bool>, default: &'static str) -> Param {
    Param::new(name, default, Kind::Bool(at))
}

const fn text(name: &'static str, at: Place<Text>, default: &'static str) -> Param {
    Param::new(
        name,
        default,
        Kind::Text {
            at,
            unset_if_empty: false,
        },
    )
}

const fn optional(name: &'static str, at: Place<Text>) -> Param {
    Param::new(
        name,
        "",
        Kind::Text {
            at,
            unset_if_empty: true,
        },
    )
}

const fn number(
    name: &'static str,
    at: Converted<i128>,
    default: &'static str,
    min: i128,
    max: i128,
) -> Param {
    Param::new(
        name,
        default,
        Kind::Number {
            at,
            unit: Unit::Plain,
            min,
            max,
        },
    )
}

const fn memory(
    name: &'static str,
    at: Converted<i128>,
    default: &'static str,
    min: i128,
    max: i128,
) -> Param {
    Param::new(
        name,
        default,
        Kind::Number {
            at,
            unit: Unit::Memory,
            min,
            max,
        },
    )
}

const fn octal(name: &'static str, at: Converted<i128>, default: &'static str, max: i128) -> Param {
    Param::new(
        name,
        default,
        Kind::Number {
            at,
            unit: Unit::Octal,
            min: 0,
            max,
        },
    )
}

const fn choice(
    name: &'static str,
    at: Converted<usize>,
    names: &'static [&'static str],
    default: &'static str,
) -> Param {
    Param::new(name, default, Kind::Choice { at, names })
}

const fn signal(name: &'static str, at: Place<u32>) -> Param {
    let kind = Kind::Bits {
        at,
        names: shutdown::NAMES,
        conflict: shutdown::conflict,
    };
    Param::new(name, "default", kind)
}

const fn addresses(name: &'static str, at: Place<Vec<String>>, default: &'static str) -> Param {
    Param::new(name, default, Kind::Addresses(at))
}

const fn special(name: &'static str, special: &'static Special, default: &'static str) -> Param {
    Param::new(name, default, Kind::Special(special))
}

/// A field as it is.
macro_rules! at {
    ($field:ident) => {
        Place {
            get: |s| &s.$field,
            get_mut: |s| &mut s.$field,
        }
    };
}

/// A field that holds a number of any width. The range of the parameter fits the field; a test sees to it.
macro_rules! num {
    ($field:ident) => {
        Converted {
            get: |s| s.$field as i128,
            set: |s, value| s.$field = value as _,
        }
    };
}

/// A field that holds an enum.
macro_rules! pick {
    ($field:ident) => {
        Converted {
            get: |s| s.$field.index(),
            set: |s, index| s.$field = named(index),
        }
    };
}

fn named<T: Choice>(index: usize) -> T {
    T::VALUES[index]
}

const INT: i128 = i32::MAX as i128;
const INT_MIN: i128 = i32::MIN as i128;
const UINT: i128 = u32::MAX as i128;
const LONG: i128 = i64::MAX as i128;
const ULONG: i128 = u64::MAX as i128;
const PORT: i128 = u16::MAX as i128;
const MIB: i128 = 1 << 20;

/// Out-of-range rates are taken for the nearest one.
const HZ: Converted<i128> = Converted {
    get: |s| s.hz.into(),
    set: |s, value| s.hz = value.clamp(1, 500) as u32,
};

/// A smaller backlog than this is of no use to anybody.
const REPL_BACKLOG: Converted<i128> = Converted {
    get: |s| s.repl_backlog_size.into(),
    set: |s, value| s.repl_backlog_size = value.max(16 << 10) as u64,
};

const MAXMEMORY_CLIENTS: Converted<i128> = Converted {
    get: |s| match s.maxmemory_clients {
        MemoryOrPercent::Bytes(bytes) => bytes.into(),
        MemoryOrPercent::Percent(percent) => -i128::from(percent),
    },
    set: |s, value| {
        s.maxmemory_clients = match value {
            percent if percent < 0 => MemoryOrPercent::Percent(-percent as u8),
            bytes => MemoryOrPercent::Bytes(bytes as u64),
        };
    },
};

/// All parameters, in the order that CONFIG GET reports them.
#[rustfmt::skip]
pub static PARAMS: &[Param] = &[
    // Network.
    addresses("bind", at!(bind), "* -::*").apply(Apply::Bind),
    optional("bind-source-addr", at!(bind_source_addr)),
    number("client-default-resp", num!(client_default_resp), "2", 2, 3).flags(IMMUTABLE | HIDDEN),
    special("client-output-buffer-limit", &special::OUTPUT_BUFFER, "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60"),
    memory("client-query-buffer-limit", num!(client_query_buffer_limit), "1gb", MIB, LONG),
    number("max-new-connections-per-cycle", num!(max_new_connections_per_cycle), "10", 1, 1000),
    number("max-new-tls-connections-per-cycle", num!(max_new_tls_connections_per_cycle), "1", 1, 1000),
    number("maxclients", num!(maxclients), "10000", 1, UINT).apply(Apply::Maxclients),
    Param::new("maxmemory-clients", "0", Kind::Number { at: MAXMEMORY_CLIENTS, unit: Unit::MemoryOrPercent, min: -100, max: LONG }).apply(Apply::ClientEviction),
    number("port", num!(port), "6379", 0, PORT).apply(Apply::Port),
    yes_no("protected-mode", at!(protected_mode), "yes"),
    memory("proto-max-bulk-len", num!(proto_max_bulk_len), "512mb", MIB, LONG),
    addresses("rdma-bind", at!(rdma_bind), "").check(checks::rdma),
    number("rdma-completion-vector", num!(rdma_completion_vector), "-1", -1, 1024).flags(IMMUTABLE),
    number("rdma-port", num!(rdma_port), "0", 0, PORT).check(checks::rdma),
    number("rdma-rx-size", num!(rdma_rx_size), "1048576", 64 << 10, 16 << 20).flags(IMMUTABLE),
    number("socket-mark-id", num!(socket_mark_id), "0", 0, UINT).flags(IMMUTABLE),
    number("tcp-backlog", num!(tcp_backlog), "511", 0, INT).flags(IMMUTABLE),
    number("tcp-keepalive", num!(tcp_keepalive), "300", 0, INT),
    number("timeout", num!(timeout), "0", 0, INT),
    optional("unixsocket", at!(unixsocket)).flags(IMMUTABLE),
    optional("unixsocketgroup", at!(unixsocketgroup)).flags(IMMUTABLE),
    octal("unixsocketperm", num!(unixsocketperm), "0", 0o777).flags(IMMUTABLE),

    // TLS.
    choice("tls-auth-clients", pick!(tls_auth_clients), TlsAuthClients::NAMES, "yes"),
    optional("tls-ca-cert-dir", at!(tls_ca_cert_dir)).flags(VOLATILE).apply(Apply::Tls),
    optional("tls-ca-cert-file", at!(tls_ca_cert_file)).flags(VOLATILE).apply(Apply::Tls),
    optional("tls-cert-file", at!(tls_cert_file)).flags(VOLATILE).apply(Apply::Tls),
    optional("tls-ciphers", at!(tls_ciphers)).apply(Apply::Tls),
    optional("tls-ciphersuites", at!(tls_ciphersuites)).apply(Apply::Tls),
    optional("tls-client-cert-file", at!(tls_client_cert_file)).flags(VOLATILE).apply(Apply::Tls),
    optional("tls-client-key-file", at!(tls_client_key_file)).flags(VOLATILE).apply(Apply::Tls),
    optional("tls-client-key-file-pass", at!(tls_client_key_file_pass)).flags(SENSITIVE).apply(Apply::Tls),
    yes_no("tls-cluster", at!(tls_cluster), "no").apply(Apply::Tls),
    optional("tls-dh-params-file", at!(tls_dh_params_file)).flags(VOLATILE).apply(Apply::Tls),
    optional("tls-key-file", at!(tls_key_file)).flags(VOLATILE).apply(Apply::Tls),
    optional("tls-key-file-pass", at!(tls_key_file_pass)).flags(SENSITIVE).apply(Apply::Tls),
    number("tls-port", num!(tls_port), "0", 0, PORT).check(checks::tls_port).apply(Apply::TlsPort),
    yes_no("tls-prefer-server-ciphers", at!(tls_prefer_server_ciphers), "no").apply(Apply::Tls),
    optional("tls-protocols", at!(tls_protocols)).apply(Apply::Tls),
    yes_no("tls-replication", at!(tls_replication), "no").apply(Apply::Tls),
    number("tls-session-cache-size", num!(tls_session_cache_size), "20480", 0, INT).apply(Apply::Tls),
    number("tls-session-cache-timeout", num!(tls_session_cache_timeout), "300", 0, INT).apply(Apply::Tls),
    yes_no("tls-session-caching", at!(tls_session_caching), "yes").apply(Apply::Tls),

    // The process.
    yes_no("always-show-logo", at!(always_show_logo), "no").flags(IMMUTABLE),
    optional("aof_rewrite_cpulist", at!(aof_rewrite_cpulist)).alias(&["aof-rewrite-cpulist"]).flags(IMMUTABLE),
    optional("bgsave_cpulist", at!(bgsave_cpulist)).alias(&["bgsave-cpulist"]).flags(IMMUTABLE),
    optional("bio_cpulist", at!(bio_cpulist)).alias(&["bio-cpulist"]).flags(IMMUTABLE),
    yes_no("crash-log-enabled", at!(crash_log_enabled), "yes").apply(Apply::CrashLog),
    yes_no("crash-memcheck-enabled", at!(crash_memcheck_enabled), "yes"),
    yes_no("daemonize", at!(daemonize), "no").flags(IMMUTABLE),
    text("debug-context", at!(debug_context), "").flags(HIDDEN),
    special("dir", &special::DIR, ".").flags(PROTECTED | DENY_LOADING).apply(Apply::Dir),
    yes_no("disable-thp", at!(disable_thp), "yes").flags(IMMUTABLE),
    yes_no("dynamic-hz", at!(dynamic_hz), "yes"),
    yes_no("enable-debug-assert", at!(enable_debug_assert), "no").flags(IMMUTABLE | HIDDEN),
    choice("enable-debug-command", pick!(enable_debug_command), Allow::NAMES, "no").flags(IMMUTABLE),
    choice("enable-module-command", pick!(enable_module_command), Allow::NAMES, "no").flags(IMMUTABLE),
    choice("enable-protected-configs", pick!(enable_protected_configs), Allow::NAMES, "no").flags(IMMUTABLE),
    number("events-per-io-thread", num!(events_per_io_thread), "2", 0, INT).flags(HIDDEN),
    yes_no("extended-redis-compatibility", at!(extended_redis_compatibility), "no"),
    number("hz", HZ, "10", 0, INT).apply(Apply::Hz),
    text("ignore-warnings", at!(ignore_warnings), ""),
    number("io-threads", num!(io_threads), "1", 1, 256).flags(IMMUTABLE),
    yes_no("io-threads-do-reads", at!(io_threads_do_reads), "no").flags(IMMUTABLE | HIDDEN),
    yes_no("jemalloc-bg-thread", at!(jemalloc_bg_thread), "yes").apply(Apply::JemallocThread),
    text("locale-collate", at!(locale_collate), "").check(checks::locale).apply(Apply::LocaleCollate),
    choice("oom-score-adj", pick!(oom_score_adj), OomScoreAdj::NAMES, "no").apply(Apply::OomScore),
    special("oom-score-adj-values", &special::OOM_SCORES, "0 200 800").apply(Apply::OomScore),
    optional("pidfile", at!(pidfile)).flags(IMMUTABLE),
    number("prefetch-batch-max-size", num!(prefetch_batch_max_size), "16", 0, 128),
    text("proc-title-template", at!(proc_title_template), "{title} {listen-addr} {server-mode}").check(checks::proc_title_template).apply(Apply::ProcTitle),
    optional("server_cpulist", at!(server_cpulist)).alias(&["server-cpulist"]).flags(IMMUTABLE),
    yes_no("set-proc-title", at!(set_proc_title), "yes").flags(IMMUTABLE),
    signal("shutdown-on-sigint", at!(shutdown_on_sigint)),
    signal("shutdown-on-sigterm", at!(shutdown_on_sigterm)),
    number("shutdown-timeout", num!(shutdown_timeout), "10", 0, INT),
    choice("supervised", pick!(supervised), Supervised::NAMES, "no").flags(IMMUTABLE),
    yes_no("use-exit-on-panic", at!(use_exit_on_panic), "no").flags(HIDDEN),
    number("watchdog-period", num!(watchdog_period), "0", 0, INT).flags(HIDDEN).apply(Apply::Watchdog),

    // Logs and what is measured.
    number("busy-reply-threshold", num!(busy_reply_threshold), "5000", 0, LONG).alias(&["lua-time-limit"]),
    number("commandlog-large-reply-max-len", num!(commandlog_large_reply_max_len), "128", 0, LONG).apply(Apply::SlowlogLength),
    number("commandlog-large-request-max-len", num!(commandlog_large_request_max_len), "128", 0, LONG).apply(Apply::SlowlogLength),
    number("commandlog-reply-larger-than", num!(commandlog_reply_larger_than), "1048576", -1, LONG),
    number("commandlog-request-larger-than", num!(commandlog_request_larger_than), "1048576", -1, LONG),
    yes_no("hide-user-data-from-log", at!(hide_user_data_from_log), "no"),
    number("latency-monitor-threshold", num!(latency_monitor_threshold), "0", 0, LONG),
    yes_no("latency-tracking", at!(latency_tracking), "yes"),
    special("latency-tracking-info-percentiles", &special::PERCENTILES, "50 99 99.9"),
    choice("log-format", pick!(log_format), LogFormat::NAMES, "text").apply(Apply::LogFormat),
    choice("log-timestamp-format", pick!(log_timestamp_format), LogTimestamp::NAMES, "legacy").apply(Apply::LogFormat),
    text("logfile", at!(logfile), "").flags(IMMUTABLE),
    choice("loglevel", pick!(loglevel), LogLevel::NAMES, "notice").apply(Apply::LogLevel),
    number("slowlog-log-slower-than", num!(slowlog_log_slower_than), "10000", -1, LONG).alias(&["commandlog-execution-slower-than"]),
    number("slowlog-max-len", num!(slowlog_max_len), "128", 0, LONG).alias(&["commandlog-slow-execution-max-len"]).apply(Apply::SlowlogLength),
    yes_no("syslog-enabled", at!(syslog_enabled), "no").flags(IMMUTABLE),
    choice("syslog-facility", pick!(syslog_facility), SyslogFacility::NAMES, "local0").flags(IMMUTABLE),
    text("syslog-ident", at!(syslog_ident), "redis").flags(IMMUTABLE),

    // The data set and its memory.
    number("active-defrag-cycle-max", num!(active_defrag_cycle_max), "25", 1, 99).apply(Apply::Defrag),
    number("active-defrag-cycle-min", num!(active_defrag_cycle_min), "1", 1, 99).apply(Apply::Defrag),
    number("active-defrag-cycle-us", num!(active_defrag_cycle_us), "500", 0, 100_000).apply(Apply::Defrag),
    memory("active-defrag-ignore-bytes", num!(active_defrag_ignore_bytes), "100mb", 1, LONG),
    number("active-defrag-max-scan-fields", num!(active_defrag_max_scan_fields), "1000", 1, LONG),
    number("active-defrag-threshold-lower", num!(active_defrag_threshold_lower), "10", 0, 1000),
    number("active-defrag-threshold-upper", num!(active_defrag_threshold_upper), "100", 0, 1000).apply(Apply::Defrag),
    number("active-expire-effort", num!(active_expire_effort), "1", 1, 10),
    yes_no("activedefrag", at!(activedefrag), "no").check(checks::activedefrag),
    yes_no("activerehashing", at!(activerehashing), "yes"),
    number("databases", num!(databases), "16", 1, INT).flags(IMMUTABLE),
    number("hash-max-listpack-entries", num!(hash_max_listpack_entries), "512", 0, LONG).alias(&["hash-max-ziplist-entries"]),
    memory("hash-max-listpack-value", num!(hash_max_listpack_value), "64", 0, LONG).alias(&["hash-max-ziplist-value"]),
    memory("hll-sparse-max-bytes", num!(hll_sparse_max_bytes), "3000", 0, LONG),
    yes_no("import-mode", at!(import_mode), "no"),
    yes_no("lazyfree-lazy-eviction", at!(lazyfree_lazy_eviction), "no"),
    yes_no("lazyfree-lazy-expire", at!(lazyfree_lazy_expire), "no"),
    yes_no("lazyfree-lazy-server-del", at!(lazyfree_lazy_server_del), "no"),
    yes_no("lazyfree-lazy-user-del", at!(lazyfree_lazy_user_del), "no"),
    yes_no("lazyfree-lazy-user-flush", at!(lazyfree_lazy_user_flush), "yes"),
    number("lfu-decay-time", num!(lfu_decay_time), "1", 0, INT),
    number("lfu-log-factor", num!(lfu_log_factor), "10", 0, INT),
    number("list-compress-depth", num!(list_compress_depth), "0", 0, INT),
    number("list-max-listpack-size", num!(list_max_listpack_size), "-2", INT_MIN, INT).alias(&["list-max-ziplist-size"]),
    memory("maxmemory", num!(maxmemory), "0", 0, ULONG).apply(Apply::Maxmemory),
    number("maxmemory-eviction-tenacity", num!(maxmemory_eviction_tenacity), "10", 0, 100),
    choice("maxmemory-policy", pick!(maxmemory_policy), MaxmemoryPolicy::NAMES, "noeviction").apply(Apply::Maxmemory),
    number("maxmemory-samples", num!(maxmemory_samples), "5", 1, INT),
    special("notify-keyspace-events", &special::EVENTS, "").apply(Apply::Events),
    number("set-max-intset-entries", num!(set_max_intset_entries), "512", 0, LONG),
    number("set-max-listpack-entries", num!(set_max_listpack_entries), "128", 0, LONG),
    number("set-max-listpack-value", num!(set_max_listpack_value), "64", 0, LONG),
    memory("stream-node-max-bytes", num!(stream_node_max_bytes), "4096", 0, LONG),
    number("stream-node-max-entries", num!(stream_node_max_entries), "100", 0, LONG),
    number("tracking-table-max-keys", num!(tracking_table_max_keys), "1000000", 0, LONG),
    number("zset-max-listpack-entries", num!(zset_max_listpack_entries), "128", 0, LONG).alias(&["zset-max-ziplist-entries"]),
    memory("zset-max-listpack-value", num!(zset_max_listpack_value), "64", 0, LONG).alias(&["zset-max-ziplist-value"]),

    // Snapshots and the append-only file.
    yes_no("aof-checksum", at!(aof_checksum), "yes"),
    yes_no("aof-disable-auto-gc", at!(aof_disable_auto_gc), "no").apply(Apply::AofGarbage),
    yes_no("aof-load-truncated", at!(aof_load_truncated), "yes"),
    yes_no("aof-rewrite-incremental-fsync", at!(aof_rewrite_incremental_fsync), "yes"),
    yes_no("aof-timestamp-enabled", at!(aof_timestamp_enabled), "no"),
    yes_no("aof-use-rdb-preamble", at!(aof_use_rdb_preamble), "yes"),
    text("appenddirname", at!(appenddirname), "appendonlydir").flags(IMMUTABLE).check(checks::appenddirname),
    text("appendfilename", at!(appendfilename), "appendonly.aof").flags(IMMUTABLE).check(checks::appendfilename),
    choice("appendfsync", pick!(appendfsync), AppendFsync::NAMES, "everysec").apply(Apply::Appendfsync),
    yes_no("appendonly", at!(appendonly), "no").flags(DENY_LOADING).apply(Apply::Appendonly),
    memory("auto-aof-rewrite-min-size", num!(auto_aof_rewrite_min_size), "64mb", 0, LONG),
    number("auto-aof-rewrite-percentage", num!(auto_aof_rewrite_percentage), "100", 0, INT),
    text("dbfilename", at!(dbfilename), "dump.rdb").flags(PROTECTED).check(checks::dbfilename),
    number("key-load-delay", num!(key_load_delay), "0", INT_MIN, INT).flags(HIDDEN),
    number("loading-process-events-interval-bytes", num!(loading_process_events_interval_bytes), "2097152", 1024, INT).flags(HIDDEN),
    yes_no("no-appendfsync-on-rewrite", at!(no_appendfsync_on_rewrite), "no"),
    yes_no("rdb-del-sync-files", at!(rdb_del_sync_files), "no"),
    number("rdb-key-save-delay", num!(rdb_key_save_delay), "0", INT_MIN, INT).flags(HIDDEN),
    yes_no("rdb-save-incremental-fsync", at!(rdb_save_incremental_fsync), "yes"),
    choice("rdb-version", pick!(rdb_version), RdbVersion::NAMES, "auto"),
    choice("rdb-version-check", pick!(rdb_version_check), RdbVersionCheck::NAMES, "strict"),
    yes_no("rdbchecksum", at!(rdbchecksum), "yes").flags(IMMUTABLE),
    yes_no("rdbcompression", at!(rdbcompression), "yes"),
    choice("sanitize-dump-payload", pick!(sanitize_dump_payload), SanitizeDumpPayload::NAMES, "no"),
    special("save", &special::SAVE, "3600 1 300 100 60 10000"),
    yes_no("stop-writes-on-bgsave-error", at!(stop_writes_on_bgsave_error), "yes"),

    // Access control.
    choice("acl-pubsub-default", pick!(acl_pubsub_default), AclPubsubDefault::NAMES, "resetchannels"),
    text("aclfile", at!(aclfile), "").flags(IMMUTABLE),
    number("acllog-max-len", num!(acllog_max_len), "128", 0, LONG),
    optional("requirepass", at!(requirepass)).flags(SENSITIVE).apply(Apply::RequirePass),

    // Replication.
    yes_no("dual-channel-replication-enabled", at!(dual_channel_replication_enabled), "no"),
    optional("masterauth", at!(masterauth)).alias(&["primaryauth"]).flags(SENSITIVE),
    optional("masteruser", at!(masteruser)).alias(&["primaryuser"]).flags(SENSITIVE),
    number("min-replicas-max-lag", num!(min_replicas_max_lag), "10", 0, INT).alias(&["min-slaves-max-lag"]).apply(Apply::MinReplicas),
    number("min-replicas-to-write", num!(min_replicas_to_write), "0", 0, INT).alias(&["min-slaves-to-write"]).apply(Apply::MinReplicas),
    choice("propagation-error-behavior", pick!(propagation_error_behavior), PropagationError::NAMES, "ignore"),
    memory("repl-backlog-size", REPL_BACKLOG, "1mb", 1, LONG).apply(Apply::ReplBacklog),
    number("repl-backlog-ttl", num!(repl_backlog_ttl), "3600", 0, LONG),
    yes_no("repl-disable-tcp-nodelay", at!(repl_disable_tcp_nodelay), "no"),
    choice("repl-diskless-load", pick!(repl_diskless_load), DisklessLoad::NAMES, "disabled").flags(DENY_LOADING),
    yes_no("repl-diskless-sync", at!(repl_diskless_sync), "yes"),
    number("repl-diskless-sync-delay", num!(repl_diskless_sync_delay), "5", 0, INT),
    number("repl-diskless-sync-max-replicas", num!(repl_diskless_sync_max_replicas), "0", 0, INT),
    number("repl-ping-replica-period", num!(repl_ping_replica_period), "10", 1, INT).alias(&["repl-ping-slave-period"]),
    number("repl-timeout", num!(repl_timeout), "60", 1, INT),
    optional("replica-announce-ip", at!(replica_announce_ip)).alias(&["slave-announce-ip"]),
    number("replica-announce-port", num!(replica_announce_port), "0", 0, PORT).alias(&["slave-announce-port"]),
    yes_no("replica-announced", at!(replica_announced), "yes"),
    yes_no("replica-ignore-disk-write-errors", at!(replica_ignore_disk_write_errors), "no"),
    yes_no("replica-ignore-maxmemory", at!(replica_ignore_maxmemory), "yes").alias(&["slave-ignore-maxmemory"]),
    yes_no("replica-lazy-flush", at!(replica_lazy_flush), "no").alias(&["slave-lazy-flush"]),
    number("replica-priority", num!(replica_priority), "100", 0, INT).alias(&["slave-priority"]),
    yes_no("replica-read-only", at!(replica_read_only), "yes").alias(&["slave-read-only"]),
    yes_no("replica-serve-stale-data", at!(replica_serve_stale_data), "yes").alias(&["slave-serve-stale-data"]),
    special("replicaof", &special::REPLICAOF, "no one").alias(&["slaveof"]).flags(IMMUTABLE),

    // Cluster.
    text("availability-zone", at!(availability_zone), ""),
    yes_no("cluster-allow-pubsubshard-when-down", at!(cluster_allow_pubsubshard_when_down), "yes"),
    yes_no("cluster-allow-reads-when-down", at!(cluster_allow_reads_when_down), "no"),
    yes_no("cluster-allow-replica-migration", at!(cluster_allow_replica_migration), "yes"),
    number("cluster-announce-bus-port", num!(cluster_announce_bus_port), "0", 0, PORT).apply(Apply::Cluster),
    optional("cluster-announce-client-ipv4", at!(cluster_announce_client_ipv4)).check(checks::ipv4).apply(Apply::Cluster),
    optional("cluster-announce-client-ipv6", at!(cluster_announce_client_ipv6)).check(checks::ipv6).apply(Apply::Cluster),
    optional("cluster-announce-hostname", at!(cluster_announce_hostname)).check(checks::hostname).apply(Apply::Cluster),
    optional("cluster-announce-human-nodename", at!(cluster_announce_human_nodename)).check(checks::nodename).apply(Apply::Cluster),
    optional("cluster-announce-ip", at!(cluster_announce_ip)).apply(Apply::Cluster),
    number("cluster-announce-port", num!(cluster_announce_port), "0", 0, PORT).apply(Apply::Cluster),
    number("cluster-announce-tls-port", num!(cluster_announce_tls_port), "0", 0, PORT).apply(Apply::Cluster),
    number("cluster-blacklist-ttl", num!(cluster_blacklist_ttl), "60", 0, LONG),
    text("cluster-config-file", at!(cluster_config_file), "nodes.conf").flags(IMMUTABLE).check(checks::cluster_config_file),
    yes_no("cluster-enabled", at!(cluster_enabled), "no").flags(IMMUTABLE),
    memory("cluster-link-sendbuf-limit", num!(cluster_link_sendbuf_limit), "0", 0, ULONG),
    number("cluster-manual-failover-timeout", num!(cluster_manual_failover_timeout), "5000", 1, INT),
    number("cluster-migration-barrier", num!(cluster_migration_barrier), "1", 0, INT),
    number("cluster-node-timeout", num!(cluster_node_timeout), "15000", 0, LONG),
    number("cluster-ping-interval", num!(cluster_ping_interval), "0", 0, LONG).flags(HIDDEN),
    number("cluster-port", num!(cluster_port), "0", 0, PORT).flags(IMMUTABLE),
    choice("cluster-preferred-endpoint-type", pick!(cluster_preferred_endpoint_type), EndpointType::NAMES, "ip").apply(Apply::Cluster),
    yes_no("cluster-replica-no-failover", at!(cluster_replica_no_failover), "no").alias(&["cluster-slave-no-failover"]).apply(Apply::Cluster),
    number("cluster-replica-validity-factor", num!(cluster_replica_validity_factor), "10", 0, INT).alias(&["cluster-slave-validity-factor"]),
    yes_no("cluster-require-full-coverage", at!(cluster_require_full_coverage), "yes"),
    yes_no("cluster-slot-stats-enabled", at!(cluster_slot_stats_enabled), "no"),
];

#[cfg(test)]
pub(super) mod tests;
