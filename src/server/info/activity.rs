//! Clients, data set, persistence and replication, and what was counted of them.

use super::Fields;
use crate::server::aof::State;
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
    out.add("loading", u8::from(server.is_loading()));
    out.add("async_loading", 0);
    child(server, out);
    snapshots(server, out);
    aof(server, out);
    out.zeros(&["module_fork_in_progress", "module_fork_last_cow_size"]);
    if server.aof.state() != State::Off {
        aof_files(server, out);
    }
    loading(server, out);
}

fn aof(server: &Server, out: &mut Fields) {
    let rewrites = &server.aof.rewrites;
    let is_rewriting = server.children.is_rewriting();
    let began_ms = server.children.began_ms().filter(|_| is_rewriting);
    let running_s = began_ms.map_or(-1, |began| (server.now_ms() - began).max(0) / 1000);
    let status = |failed| if failed { "err" } else { "ok" };
    out.add("aof_enabled", u8::from(server.aof.state() != State::Off));
    out.add("aof_rewrite_in_progress", u8::from(is_rewriting));
    out.add("aof_rewrite_scheduled", u8::from(rewrites.is_scheduled));
    out.add("aof_last_rewrite_time_sec", rewrites.last_seconds);
    out.add("aof_current_rewrite_time_sec", running_s);
    out.add("aof_last_bgrewrite_status", status(rewrites.has_failed));
    out.add("aof_rewrites", rewrites.count);
    out.add(
        "aof_rewrites_consecutive_failures",
        rewrites.failures_in_a_row,
    );
    out.add(
        "aof_last_write_status",
        status(server.aof.last_write_failed()),
    );
    out.add("aof_last_cow_size", rewrites.last_cow);
}

/// What is only told of an append-only file that is there.
fn aof_files(server: &Server, out: &mut Fields) {
    let aof = &server.aof;
    out.add("aof_current_size", aof.bytes());
    out.add("aof_base_size", aof.rewrites.base_bytes);
    out.add("aof_pending_rewrite", 0);
    out.add("aof_buffer_length", aof.waiting());
    out.add("aof_pending_bio_fsync", u8::from(aof.is_syncing()));
    out.add("aof_delayed_fsync", aof.delayed_syncs);
}

/// How far the child is that writes a file.
fn child(server: &Server, out: &mut Fields) {
    let child = server.children.progress();
    let age_s = match child.cow_at_ms {
        0 => 0,
        at_ms => (server.now_ms() - at_ms).max(0) / 1000,
    };
    let percent = child.keys as f64 * 100.0 / child.keys_total.max(1) as f64;
    out.add("current_cow_peak", child.cow_peak);
    out.add("current_cow_size", child.cow);
    out.add("current_cow_size_age", age_s);
    out.add("current_fork_perc", format_args!("{percent:.2}"));
    out.add("current_save_keys_processed", child.keys);
    out.add("current_save_keys_total", child.keys_total);
}

fn snapshots(server: &Server, out: &mut Fields) {
    let snapshots = &server.snapshots;
    let is_saving = server.children.is_saving();
    let began_ms = server.children.began_ms().filter(|_| is_saving);
    let running_s = began_ms.map_or(-1, |began| (server.now_ms() - began).max(0) / 1000);
    let status = if snapshots.has_failed { "err" } else { "ok" };
    out.add("rdb_changes_since_last_save", server.dirty);
    out.add("rdb_bgsave_in_progress", u8::from(is_saving));
    out.add("rdb_last_save_time", snapshots.saved_s);
    out.add("rdb_last_bgsave_status", status);
    out.add("rdb_last_bgsave_time_sec", snapshots.took_s.unwrap_or(-1));
    out.add("rdb_current_bgsave_time_sec", running_s);
    out.add("rdb_saves", snapshots.begun);
    out.add("rdb_last_cow_size", snapshots.cow);
    out.add("rdb_last_load_keys_expired", snapshots.loaded_expired);
    out.add("rdb_last_load_keys_loaded", snapshots.loaded);
}

/// How far loading is, while there is something to load.
fn loading(server: &Server, out: &mut Fields) {
    let Some(loading) = &server.loading else {
        return;
    };
    let (total, loaded) = (loading.total_bytes, loading.loaded_bytes());
    let elapsed_s = (server.now_ms() - loading.began_ms).max(0) as u64 / 1000;
    let left_s = match elapsed_s {
        // Too early to tell.
        0 => 1,
        _ => elapsed_s * total.saturating_sub(loaded) / (loaded + 1),
    };
    let percent = loaded as f64 * 100.0 / total.max(1) as f64;
    out.add("loading_start_time", loading.began_ms / 1000);
    out.add("loading_total_bytes", total);
    out.add("loading_rdb_used_mem", server.snapshots.memory_when_written);
    out.add("loading_loaded_bytes", loaded);
    out.add("loading_loaded_perc", format_args!("{percent:.2}"));
    out.add("loading_eta_seconds", left_s);
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
    out.add("evicted_scripts", stats.evicted_scripts);
    out.zeros(&[
        "total_eviction_exceeded_time",
        "current_eviction_exceeded_time",
    ]);
    out.add("keyspace_hits", stats.keyspace.hits);
    out.add("keyspace_misses", stats.keyspace.misses);
    out.add("pubsub_channels", server.pubsub.count(Kind::Channel));
    out.add("pubsub_patterns", server.pubsub.count(Kind::Pattern));
    out.add("pubsubshard_channels", server.pubsub.count(Kind::Shard));
    out.add("latest_fork_usec", stats.last_fork_us);
    out.add("total_forks", stats.forks);
    out.add("migrate_cached_sockets", server.peers.len());
    out.zeros(&["slave_expires_tracked_keys"]);
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
