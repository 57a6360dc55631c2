//! What the server holds in memory, and where it goes.

use super::Fields;
use crate::base::num::humanize_bytes;
use crate::base::{alloc, sys};
use crate::server::config::Choice;
use crate::server::memory::Breakdown;
use crate::server::scripting::Figures;
use crate::server::state::Server;

pub(super) fn memory(server: &Server, out: &mut Fields) {
    let config = &server.config;
    let memory = Breakdown::of(server);
    let total_system = sys::total_memory_bytes();
    amount(out, "used_memory", memory.used);
    amount(out, "used_memory_rss", memory.resident);
    amount(out, "used_memory_peak", memory.peak);
    out.add(
        "used_memory_peak_perc",
        format_args!("{:.2}%", memory.peak_percent()),
    );
    out.add("used_memory_overhead", memory.overhead());
    out.add("used_memory_startup", memory.startup);
    out.add("used_memory_dataset", memory.dataset());
    out.add(
        "used_memory_dataset_perc",
        format_args!("{:.2}%", memory.dataset_percent()),
    );
    out.add("allocator_allocated", memory.allocator.allocated);
    out.add("allocator_active", memory.allocator.active);
    out.add("allocator_resident", memory.allocator.resident);
    out.add("allocator_muzzy", memory.allocator.muzzy);
    amount(out, "total_system_memory", total_system as usize);
    scripts(&server.scripting.figures, out);
    amount(out, "maxmemory", config.maxmemory as usize);
    out.add("maxmemory_policy", config.maxmemory_policy.name());
    for (name, (ratio, bytes)) in [
        ("allocator_frag", memory.allocator_fragmentation()),
        ("allocator_rss", memory.allocator_resident()),
        ("rss_overhead", memory.resident_overhead()),
    ] {
        out.add(format_args!("{name}_ratio"), format_args!("{ratio:.2}"));
        out.add(format_args!("{name}_bytes"), bytes);
    }
    let (ratio, bytes) = memory.fragmentation();
    out.add("mem_fragmentation_ratio", format_args!("{ratio:.2}"));
    out.add("mem_fragmentation_bytes", bytes);
    out.add("mem_not_counted_for_evict", server.uncounted_memory());
    out.zeros(&["mem_replication_backlog", "mem_total_replication_buffers"]);
    out.add("mem_clients_slaves", 0);
    out.add("mem_clients_normal", memory.clients);
    out.zeros(&["mem_cluster_links"]);
    out.add("mem_aof_buffer", memory.aof);
    out.add("mem_allocator", alloc::name());
    out.zeros(&[
        "mem_overhead_db_hashtable_rehashing",
        "active_defrag_running",
    ]);
    out.add(
        "lazyfree_pending_objects",
        server.keyspace.lazyfree.pending(),
    );
    out.add("lazyfreed_objects", server.keyspace.lazyfree.freed());
}

fn scripts(figures: &Figures, out: &mut Fields) {
    amount(out, "used_memory_lua", figures.vm_eval);
    out.add("used_memory_vm_eval", figures.vm_eval);
    out.add("used_memory_scripts_eval", figures.scripts);
    out.add("number_of_cached_scripts", figures.scripts_count);
    out.add("number_of_functions", figures.functions_count);
    out.add("number_of_libraries", figures.libraries_count);
    out.add("used_memory_vm_functions", figures.vm_functions);
    amount(out, "used_memory_vm_total", figures.vms());
    out.add("used_memory_functions", figures.libraries);
    amount(out, "used_memory_scripts", figures.sources());
}

fn amount(out: &mut Fields, name: &str, bytes: usize) {
    out.add(name, bytes);
    out.add(format_args!("{name}_human"), humanize_bytes(bytes as u64));
}
