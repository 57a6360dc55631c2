//! Every system call that the standard library does not offer, as thin functions that are safe to call wherever
//! the call itself can be made safe. This folder is the only place that names `libc`; it decides nothing, keeps no
//! policy and logs nothing. It is written for Linux.

#[cfg(test)]
pub mod child;
mod fork;
mod locale;
mod memory;
mod process;
mod signal;
mod socket;
mod time;
mod title;

pub use fork::{
    DISMISSAL_SIGNAL, Ended, begin_write_out, child_ended, fork_and_run, set_nonblocking,
    signal_child, wait_for_child,
};
pub use locale::is_locale;
pub use memory::{
    disable_huge_pages, discard_pages, map_pages, page_size, private_dirty_bytes, resident_bytes,
    total_memory_bytes, unmap_pages,
};
pub use process::{
    CpuTimes, SystemName, Usage, cpu_times, daemonize, exit_at_once, group_id, oom_score_adj,
    open_files_limit, raise_open_files_limit, random_bytes, set_affinity, set_oom_score_adj,
    set_thread_name, set_umask, stop_own_process, system_name, thread_count, write_stdout,
};
pub use signal::{
    ABORT_SIGNAL, CrashSignal, Sender, StopSignal, abort_after, clear_stop_signal, die_by_signal,
    ignore_harmless_signals, install_alarm, install_alternate_stack, install_crash_signals,
    install_stop_signals, provoke_segmentation_fault, remove_crash_signals, signal_name,
    stop_signal, thread_id,
};
pub use socket::receive;
pub use time::{cycle_counter, has_steady_cycle_counter, monotonic_ns, zone_offset_seconds};
pub use title::{claim_title_area, set_process_title};
