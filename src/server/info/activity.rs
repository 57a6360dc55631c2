//! Clients, data set, persistence and replication, and what was counted of them.

use super::Fields;
use crate::server::pause::Scope;
use crate::server::pubsub::Kind;
use crate::server::state::Server;

pub(super) fn clients(server: &Server, out: &mut Fields) {
    let largest = |size: fn(&crate::server::client::Client) -> usize| {
        server.clients.iter().map(size).max().unwrap_or(0)
    };
    out.add("connected_clients", server.clients.len());
    out.add("cluster_connections", 0);
    out.add("maxclients", server.config.maxclients);
    out.add(
        "client_recent_max_input_buffer",
        largest(|client| client.query.capacity()),
    );
    out.add(
        "client_recent_max_output_buffer",
        largest(|client| client.out.bytes()),
    );
    out.add(
        "blocked_clients",
        server.postponed.len() + server.blocked.clients(),
    );
    out.add("tracking_clients", server.tracking.clients());
    out.add("pubsub_clients", server.pubsub.clients());
    out.add("watching_clients", server.watchers.clients());
    out.add("clients_in_timeout_table", server.blocked.timeouts());
    out.add("total_watched_keys", server.watchers.keys());
    out.add("total_blocking_keys", server.blocked.keys());
    out.add(
        "total_blocking_keys_on_nokey",
        server.blocked.keys_not_to_be_lost(),
    );
    let left_ms = |until: i64| until - server.now_ms();
    let (reason, actions, timeout_ms) = match server.pause.current() {
        Some((_, until)) if left_ms(until) <= 0 => ("none", "none", 0),
        Some((Scope::All, until)) => ("client_pause", "all", left_ms(until)),
        Some((Scope::Write, until)) => ("client_pause", "write", left_ms(until)),
        None => ("none", "none", 0),
    };
    out.add("paused_reason", reason);
    out.add("paused_actions", actions);
    out.add("paused_timeout_milliseconds", timeout_ms);
}

pub(super) fn persistence(server: &Server, out: &mut Fields) {
    out.zeros(&["loading", "async_loading"]);
    out.zeros(&[
        "current_cow_peak",
        "current_cow_size",
        "current_cow_size_age",
    ]);
    out.add("current_fork_perc", "0.00");
    out.zeros(&["current_save_keys_processed", "current_save_keys_total"]);
    out.add("rdb_changes_since_last_save", server.dirty);
    out.add("rdb_bgsave_in_progress", 0);
    out.add("rdb_last_save_time", server.started_ms / 1000);
    out.add("rdb_last_bgsave_status", "ok");
    out.add("rdb_last_bgsave_time_sec", -1);
    out.add("rdb_current_bgsave_time_sec", -1);
    out.zeros(&["rdb_saves", "rdb_last_cow_size"]);
    out.zeros(&["rdb_last_load_keys_expired", "rdb_last_load_keys_loaded"]);
    out.zeros(&[
        "aof_enabled",
        "aof_rewrite_in_progress",
        "aof_rewrite_scheduled",
    ]);
    out.add("aof_last_rewrite_time_sec", -1);
    out.add("aof_current_rewrite_time_sec", -1);
    out.add("aof_last_bgrewrite_status", "ok");
    out.zeros(&["aof_rewrites", "aof_rewrites_consecutive_failures"]);
    out.add("aof_last_write_status", "ok");
    out.add("aof_last_cow_size", 0);
    out.zeros(&["module_fork_in_progress", "module_fork_last_cow_size"]);
}

pub(super) fn stats(server: &Server, out: &mut Fields) {
    let stats = &server.stats;
    let rates = stats.rates.per_second();
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    out.add("total_connections_received", stats.connections);
    out.add("total_commands_processed", stats.commands);
    out.add("instantaneous_ops_per_sec", rates.commands);
    out.add("total_net_input_bytes", stats.bytes_in);
    out.add("total_net_output_bytes", stats.bytes_out);
    out.zeros(&["total_net_repl_input_bytes", "total_net_repl_output_bytes"]);
    out.add("instantaneous_input_kbps", kilobytes(rates.bytes_in));
    out.add("instantaneous_output_kbps", kilobytes(rates.bytes_out));
    out.add("instantaneous_input_repl_kbps", "0.00");
    out.add("instantaneous_output_repl_kbps", "0.00");
    out.add("rejected_connections", stats.rejected_connections);
    out.zeros(&["sync_full", "sync_partial_ok", "sync_partial_err"]);
    out.add("expired_subkeys", stats.keyspace.expired_fields);
    out.add("expired_keys", stats.keyspace.expired);
    out.add(
        "expired_stale_perc",
        format_args!("{:.2}", stats.expired_stale_percent),
    );
    out.add(
        "expired_time_cap_reached_count",
        stats.expire_cycles_cut_short,
    );
    out.add(
        "expire_cycle_cpu_milliseconds",
        stats.expire_cycle_us / 1000,
    );
    out.add("evicted_keys", stats.keyspace.evicted);
    out.add("evicted_clients", stats.evicted_clients);
    out.add("evicted_scripts", server.scripting.figures.evicted);
    out.zeros(&[
        "total_eviction_exceeded_time",
        "current_eviction_exceeded_time",
    ]);
    out.add("keyspace_hits", stats.keyspace.hits);
    out.add("keyspace_misses", stats.keyspace.misses);
    out.add("pubsub_channels", server.pubsub.count(Kind::Channel));
    out.add("pubsub_patterns", server.pubsub.count(Kind::Pattern));
    out.add("pubsubshard_channels", server.pubsub.count(Kind::Shard));
    out.zeros(&[
        "latest_fork_usec",
        "total_forks",
        "migrate_cached_sockets",
        "slave_expires_tracked_keys",
    ]);
    out.zeros(&[
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
    ]);
    out.zeros(&["total_active_defrag_time", "current_active_defrag_time"]);
    out.add("tracking_total_keys", server.tracking.keys());
    out.add("tracking_total_items", server.tracking.items());
    out.add("tracking_total_prefixes", server.tracking.prefixes());
    out.add("unexpected_error_replies", 0);
    out.add("total_error_replies", stats.errors);
    out.add("dump_payload_sanitizations", 0);
    out.add("total_reads_processed", stats.reads);
    out.add("total_writes_processed", stats.writes);
    out.zeros(&[
        "io_threaded_reads_processed",
        "io_threaded_writes_processed",
    ]);
    out.zeros(&[
        "io_threaded_freed_objects",
        "io_threaded_accept_processed",
        "io_threaded_poll_processed",
    ]);
    out.zeros(&[
        "io_threaded_total_prefetch_batches",
        "io_threaded_total_prefetch_entries",
    ]);
    out.add(
        "client_query_buffer_limit_disconnections",
        stats.query_limit_disconnections,
    );
    out.add(
        "client_output_buffer_limit_disconnections",
        stats.output_limit_disconnections,
    );
    out.zeros(&["reply_buffer_shrinks", "reply_buffer_expands"]);
    out.add("eventloop_cycles", stats.loops);
    out.add("eventloop_duration_sum", stats.loop_us);
    let command_ns: u64 = server.commands.iter().map(|c| c.stats.nanoseconds).sum();
    out.add("eventloop_duration_cmd_sum", command_ns / 1000);
    out.add("instantaneous_eventloop_cycles_per_sec", rates.loops);
    out.add(
        "instantaneous_eventloop_duration_usec",
        rates.loop_us.checked_div(rates.loops).unwrap_or(0),
    );
    out.add("acl_access_denied_auth", stats.acl_denied_auth);
    out.zeros(&[
        "acl_access_denied_cmd",
        "acl_access_denied_key",
        "acl_access_denied_channel",
    ]);
}

pub(super) fn replication(server: &Server, out: &mut Fields) {
    out.add("role", "master");
    out.zeros(&["connected_slaves", "replicas_waiting_psync"]);
    out.add("master_failover_state", "no-failover");
    out.add("master_replid", &server.replication_id);
    out.add("master_replid2", "0".repeat(server.replication_id.len()));
    out.add("master_repl_offset", 0);
    out.add("second_repl_offset", -1);
    out.add("repl_backlog_active", 0);
    out.add("repl_backlog_size", server.config.repl_backlog_size);
    out.zeros(&["repl_backlog_first_byte_offset", "repl_backlog_histlen"]);
}

pub(super) fn keyspace(server: &Server, out: &mut Fields) {
    for (index, db) in server.keyspace.iter().enumerate() {
        if !db.is_empty() {
            out.add(
                format_args!("db{index}"),
                format_args!(
                    "keys={},expires={},avg_ttl={},subexpiry={}",
                    db.len(),
                    db.volatile(),
                    db.avg_ttl_ms,
                    db.volatile_hashes()
                ),
            );
        }
    }
}

pub(super) fn debug(server: &Server, out: &mut Fields) {
    let stats = &server.stats;
    out.add("eventloop_duration_aof_sum", 0);
    out.add("eventloop_duration_cron_sum", stats.cron_us);
    out.add("eventloop_duration_max", stats.loop_us_max);
    out.add("eventloop_cmd_per_cycle_max", stats.loop_commands_max);
}
