//! INFO: the state of the server in sections of `field:value` lines.
//!
//! A section is an entry of [`SECTIONS`] and a function that writes its fields. Fields of a subsystem that is
//! idle or absent are there with the values it has when idle, since tools expect to find them.

mod activity;
mod commands;
mod memory;
mod process;

use crate::server::state::Server;
use std::fmt::{Display, Write};
use std::sync::Mutex;

/// A part of the text.
struct Section {
    /// The name that selects it.
    name: &'static str,
    /// Another name that does.
    alias: &'static str,
    title: &'static str,
    shown: Shown,
    write: fn(&Server, &mut Fields),
}

/// When a section is shown although nobody named it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    Always,
    /// With `all` or `everything`.
    InAll,
    Never,
}

use Shown::{Always, InAll, Never};

#[rustfmt::skip]
const SECTIONS: &[Section] = &[
    Section { name: "server", alias: "", title: "Server", shown: Always, write: process::server },
    Section { name: "clients", alias: "", title: "Clients", shown: Always, write: activity::clients },
    Section { name: "memory", alias: "", title: "Memory", shown: Always, write: memory::memory },
    Section { name: "persistence", alias: "", title: "Persistence", shown: Always, write: activity::persistence },
    Section { name: "stats", alias: "", title: "Stats", shown: Always, write: activity::stats },
    Section { name: "replication", alias: "", title: "Replication", shown: Always, write: activity::replication },
    Section { name: "cpu", alias: "", title: "CPU", shown: Always, write: process::cpu },
    Section { name: "modules", alias: "module_list", title: "Modules", shown: Always, write: nothing },
    Section { name: "commandstats", alias: "", title: "Commandstats", shown: InAll, write: commands::calls },
    Section { name: "errorstats", alias: "", title: "Errorstats", shown: Always, write: commands::errors },
    Section { name: "latencystats", alias: "", title: "Latencystats", shown: InAll, write: commands::latencies },
    Section { name: "cluster", alias: "", title: "Cluster", shown: Always, write: process::cluster },
    Section { name: "keyspace", alias: "", title: "Keyspace", shown: Always, write: activity::keyspace },
    Section { name: "debug", alias: "", title: "Debug", shown: Never, write: activity::debug },
];

/// The text, with the sections of these names or, if there are none, the usual ones.
pub fn text<'a>(server: &Server, names: impl Iterator<Item = &'a [u8]>) -> String {
    let (mut widest, mut named) = (None, [false; SECTIONS.len()]);
    let mut any = false;
    for name in names {
        any = true;
        let is = |word: &str| !word.is_empty() && name.eq_ignore_ascii_case(word.as_bytes());
        let selected = match () {
            _ if is("default") => Some(Always),
            _ if is("all") || is("everything") => Some(InAll),
            _ => None,
        };
        widest = widest.max(selected);
        for (section, named) in SECTIONS.iter().zip(&mut named) {
            *named |= is(section.name) || is(section.alias);
        }
    }
    if !any {
        widest = Some(Always);
    }
    let mut fields = Fields::default();
    for (section, named) in SECTIONS.iter().zip(named) {
        if named || widest.is_some_and(|widest| section.shown <= widest) {
            fields.begin(section.title);
            (section.write)(server, &mut fields);
        }
    }
    fields.0
}

/// The text that a crash report shows: a recent one, as far as it can be had without waiting.
pub fn last_text() -> String {
    match LAST.try_lock() {
        Ok(text) => text.clone(),
        Err(_) => String::new(),
    }
}

/// Keeps the present text for a crash report.
pub fn remember(server: &Server) {
    let text = text(server, [&b"everything"[..]].into_iter());
    if let Ok(mut last) = LAST.try_lock() {
        *last = text;
    }
}

// A crash may come at any moment, also from a thread that writes this: nobody waits for it.
static LAST: Mutex<String> = Mutex::new(String::new());

/// The lines written so far.
#[derive(Default)]
struct Fields(String);

impl Fields {
    fn begin(&mut self, title: &str) {
        if !self.0.is_empty() {
            self.0.push_str("\r\n");
        }
        self.0.push_str("# ");
        self.0.push_str(title);
        self.0.push_str("\r\n");
    }

    fn add(&mut self, name: impl Display, value: impl Display) {
        write!(self.0, "{name}:{value}\r\n").expect("a string takes what is written");
    }

    /// Fields that are all zero.
    fn zeros(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.add(name, 0));
    }
}

fn nothing(_: &Server, _: &mut Fields) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{hash, rng::Rng};
    use crate::server::config::Config;

    fn server() -> Server {
        Server::new(Config::default(), &[], hash::process(), Rng::from_seed(1))
    }

    fn titles(names: &[&str]) -> String {
        let text = text(&server(), names.iter().map(|name| name.as_bytes()));
        let titles = text.lines().filter_map(|line| line.strip_prefix("# "));
        titles.collect::<Vec<_>>().join(" ")
    }

    /// As Valkey 8.1 shows them.
    #[test]
    fn names_select_sections() {
        let check =
            |names: &[&str], expected: &str| assert_eq!(titles(names), expected, "{names:?}");
        let usual = "Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace";
        let all = "Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Latencystats \
                   Cluster Keyspace";
        check(&[], usual);
        check(&["default"], usual);
        check(&["all"], all);
        check(&["EVERYTHING"], all);
        check(
            &["default", "commandstats"],
            &usual.replace("Errorstats", "Commandstats Errorstats"),
        );
        check(&["keyspace", "cpu", "Keyspace"], "CPU Keyspace");
        check(&["modules"], "Modules");
        check(&["debug"], "Debug");
        check(&["nosuch"], "");
        check(&[""], "");
    }

    #[test]
    fn every_line_is_a_field_that_comes_once() {
        let everything = [&b"everything"[..], b"debug"];
        let text = text(&server(), everything.into_iter());
        let mut seen = std::collections::HashSet::new();
        for line in text
            .split("\r\n")
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (name, value) = line.split_once(':').expect("a field has a value");
            assert!(seen.insert(name.to_string()), "{name} comes twice");
            assert!(!value.contains('\n'), "{line}");
        }
        assert!(seen.contains("redis_version") && seen.len() > 150);
    }

    #[test]
    fn a_crash_report_gets_what_was_kept() {
        remember(&server());
        assert!(last_text().starts_with("# Server\r\nredis_version:"));
        let _held = LAST.lock().unwrap();
        assert_eq!(last_text(), "");
    }
}
