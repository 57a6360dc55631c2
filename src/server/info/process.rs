//! What the process is and what it uses of its processors.

use super::Fields;
use crate::base::clock;
use crate::base::sys::{self, Usage};
use crate::server::args;
use crate::server::state::{Server, VERSION};

pub(super) fn server(server: &Server, out: &mut Fields) {
    let config = &server.config;
    let system = sys::system_name();
    let uptime_s = (server.now_ms() - server.started_ms).max(0) / 1000;
    out.add("redis_version", VERSION);
    out.add("server_name", "cinnabar");
    out.add("cinnabar_version", env!("CARGO_PKG_VERSION"));
    out.add("redis_git_sha1", args::GIT_SHA);
    out.add("redis_git_dirty", args::GIT_DIRTY);
    out.add("redis_build_id", format_args!("{:016x}", args::BUILD_ID));
    out.add("redis_mode", "standalone");
    out.add(
        "os",
        format_args!("{} {} {}", system.system, system.release, system.machine),
    );
    out.add("arch_bits", usize::BITS);
    out.add("monotonic_clock", monotonic_clock());
    out.add("multiplexing_api", "epoll");
    out.add("atomicvar_api", "rust-std");
    out.add("gcc_version", "0.0.0");
    out.add("process_id", std::process::id());
    out.add("process_supervised", server.supervisor.name());
    out.add("run_id", &server.run_id);
    out.add("tcp_port", config.port);
    out.add("server_time_usec", clock::unix_us());
    out.add("uptime_in_seconds", uptime_s);
    out.add("uptime_in_days", uptime_s / (24 * 3600));
    out.add("hz", config.hz);
    out.add("configured_hz", config.hz);
    out.add("clients_hz", config.hz);
    out.add("lru_clock", server.access_clock().lru);
    out.add("executable", server.executable.display());
    let file = server.config_file.as_deref().unwrap_or("".as_ref());
    out.add("config_file", file.display());
    out.add("io_threads_active", 0);
    out.add("availability_zone", config.availability_zone.to_text());
    listeners(server, out);
}

fn monotonic_clock() -> &'static str {
    if sys::has_steady_cycle_counter() {
        "processor's cycle counter"
    } else {
        "POSIX clock_gettime"
    }
}

fn listeners(server: &Server, out: &mut Fields) {
    let config = &server.config;
    let mut index = 0;
    if config.port != 0 {
        let binds: String = config
            .bind
            .iter()
            .map(|address| format!("bind={address},"))
            .collect();
        out.add(
            "listener0",
            format_args!("name=tcp,{binds}port={}", config.port),
        );
        index += 1;
    }
    if !config.unixsocket.is_empty() {
        let path = config.unixsocket.to_text();
        out.add(
            format_args!("listener{index}"),
            format_args!("name=unix,bind={path}"),
        );
    }
}

pub(super) fn cpu(_: &Server, out: &mut Fields) {
    let mut add = |suffix: &str, whose| {
        let times = sys::cpu_times(whose);
        let text =
            |time: std::time::Duration| format!("{}.{:06}", time.as_secs(), time.subsec_micros());
        out.add(format_args!("used_cpu_sys{suffix}"), text(times.system));
        out.add(format_args!("used_cpu_user{suffix}"), text(times.user));
    };
    add("", Usage::Process);
    add("_children", Usage::Children);
    add("_main_thread", Usage::Thread);
}

pub(super) fn cluster(_: &Server, out: &mut Fields) {
    out.add("cluster_enabled", 0);
}
