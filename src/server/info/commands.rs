//! What was counted for each command, and for each kind of error.

use super::Fields;
use crate::server::state::Server;
use std::fmt::Write;

pub(super) fn calls(server: &Server, out: &mut Fields) {
    for registered in server.commands.iter() {
        let stats = &registered.stats;
        if stats.calls == 0 && stats.rejected == 0 && stats.failed == 0 {
            continue;
        }
        let microseconds = stats.nanoseconds / 1000;
        let each = stats.nanoseconds as f64 / 1000.0 / stats.calls.max(1) as f64;
        out.add(
            format_args!("cmdstat_{}", registered.full_name),
            format_args!(
                "calls={},usec={microseconds},usec_per_call={each:.2},rejected_calls={},failed_calls={}",
                stats.calls, stats.rejected, stats.failed
            ),
        );
    }
}

pub(super) fn errors(server: &Server, out: &mut Fields) {
    for (code, count) in &server.stats.errors_by_code {
        // A script may make codes up that would read as lines of their own.
        let code = code.replace(['#', ':', '\n', '\r'], "_");
        out.add(
            format_args!("errorstat_{code}"),
            format_args!("count={count}"),
        );
    }
}

pub(super) fn latencies(server: &Server, out: &mut Fields) {
    if !server.config.latency_tracking {
        return;
    }
    for registered in server.commands.iter() {
        let Some(histogram) = &registered.stats.latency else {
            continue;
        };
        let mut line = String::new();
        for percentile in &server.config.latency_tracking_info_percentiles {
            let microseconds = histogram.percentile(*percentile) as f64 / 1000.0;
            let separator = if line.is_empty() { "" } else { "," };
            write!(line, "{separator}p{percentile}={microseconds:.3}")
                .expect("a string takes what is written");
        }
        out.add(
            format_args!("latency_percentiles_usec_{}", registered.full_name),
            line,
        );
    }
}
