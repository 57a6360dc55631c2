//! LATENCY DOCTOR: the samples in words, and what may help.

use crate::server::config::Config;
use crate::server::latency::{LatencyMonitor, Series};
use std::fmt::Write;

/// The report.
pub(super) fn report(monitor: &LatencyMonitor, config: &Config) -> String {
    if config.latency_monitor_threshold == 0 && monitor.iter().len() == 0 {
        return "Nothing is being measured: latency monitoring is off in this Cinnabar instance. Turn it on with \
                \"CONFIG SET latency-monitor-threshold <milliseconds>\".\n"
            .into();
    }
    if monitor.iter().len() == 0 {
        return "All is well: nothing took longer than latency-monitor-threshold since the samples were last reset.\n"
            .into();
    }
    let mut text = String::from("These events took longer than latency-monitor-threshold:\n\n");
    for (index, (event, series)) in monitor.iter().enumerate() {
        let (average, deviation) = average_and_deviation(series);
        writeln!(
            text,
            "{}. {event}: {} in the last {} seconds with any (average {average} ms, mean deviation {deviation} ms). \
             The worst ever took {} ms.",
            index + 1,
            series.count,
            series.samples.len(),
            series.max_ms,
        )
        .expect("a string takes what is written");
    }
    text.push_str("\nWhat may help:\n\n");
    for advice in advice(monitor, config) {
        writeln!(text, "- {advice}").expect("as above");
    }
    text
}

fn average_and_deviation(series: &Series) -> (u64, u64) {
    let took = || series.samples.iter().map(|&(_, took_ms)| took_ms);
    let count = series.samples.len().max(1) as u64;
    let average = took().sum::<u64>() / count;
    let deviation = took().map(|took_ms| took_ms.abs_diff(average)).sum::<u64>() / count;
    (average, deviation)
}

fn advice(monitor: &LatencyMonitor, config: &Config) -> Vec<String> {
    let mut advice = Vec::new();
    let seen = |event: &str| monitor.get(event.as_bytes()).is_some();
    if seen("command") {
        let threshold_us = config.latency_monitor_threshold.saturating_mul(1000);
        let logged_from_us = config.slowlog_log_slower_than;
        if logged_from_us < 0 || logged_from_us as u64 > threshold_us {
            advice.push(format!(
                "The slow log misses some of these commands: 'CONFIG SET slowlog-log-slower-than {threshold_us}' has it \
                 keep them all."
            ));
        }
        advice.push("SLOWLOG GET shows which commands were slow. Those that visit many elements at once can often be split.".into());
    }
    if seen("fast-command") {
        advice.push(
            "Commands of constant time are slow only if the process does not run: look for other busy processes, \
             swapping, or a virtual machine that has to share its processors."
                .into(),
        );
    }
    if seen("expire-cycle") {
        advice.push(
            "Many keys expire at the same time, or large ones do: spread their expiries, or turn lazyfree-lazy-expire on."
                .into(),
        );
    }
    if seen("aof-fsync-always") || seen("aof-write-pending-fsync") {
        advice.push(
            "The disk is slow to take the append-only file: 'CONFIG SET appendfsync everysec' has nobody wait for it, \
             and a disk of its own keeps others' writes out of its way."
                .into(),
        );
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_trouble_gets_its_advice() {
        let mut config = Config::default();
        let mut monitor = LatencyMonitor::default();
        assert!(report(&monitor, &config).contains("monitoring is off"));
        config.latency_monitor_threshold = 5;
        assert!(report(&monitor, &config).starts_with("All is well"));
        monitor.note("command", 10, 5, 1);
        monitor.note("command", 30, 5, 2);
        let text = report(&monitor, &config);
        assert!(
            text.contains(
                "1. command: 2 in the last 2 seconds with any (average 20 ms, mean deviation 10 ms)"
            ),
            "{text}"
        );
        assert!(text.contains("slowlog-log-slower-than 5000"), "{text}");
        assert!(!text.contains("lazyfree"), "{text}");
        monitor.note("expire-cycle", 10, 5, 1);
        assert!(report(&monitor, &config).contains("lazyfree-lazy-expire"));
    }
}
