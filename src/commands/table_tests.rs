//! The table of commands, tested as data.

use super::FAMILIES;
use crate::resp::request::OwnedArgv;
use crate::server::command::*;
use crate::server::registry::Registry;
use crate::server::usage::{self, Argument, Kind};
use std::collections::BTreeSet;

/// Every command with its full name and the number of words that its name has.
fn all() -> Vec<(String, usize, &'static Command)> {
    let mut all = Vec::new();
    for command in FAMILIES.iter().copied().flatten() {
        all.push((command.name.to_string(), 1, command));
        let subs = command.subcommands.iter();
        all.extend(subs.map(|sub| (format!("{}|{}", command.name, sub.name), 2, sub)));
    }
    all
}

/// Fails with all faults that `fault` finds.
fn check(fault: impl Fn(&str, usize, &'static Command) -> Option<String>) {
    let faults: Vec<String> = all()
        .iter()
        .filter_map(|(name, words, command)| {
            Some(format!("{name}: {}", fault(name, *words, command)?))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn names_are_unique_and_lower_case() {
    let all = all();
    let names: BTreeSet<&str> = all.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names.len(), all.len());
    check(|name, _, _| (name != name.to_ascii_lowercase()).then(|| "not lower case".into()));
}

#[test]
fn everything_is_documented() {
    check(|_, _, command| {
        let since: Vec<&str> = command.since.split('.').collect();
        match () {
            _ if command.summary.is_empty() => Some("no summary".into()),
            _ if !command.summary.ends_with('.') => Some("the summary is no sentence".into()),
            _ if command.complexity.is_empty() => Some("no complexity".into()),
            _ if since.len() != 3 || since.iter().any(|part| part.parse::<u8>().is_err()) => {
                Some(format!("no version: {}", command.since))
            }
            _ => None,
        }
    });
}

#[test]
fn arity_fits_usage() {
    // QUIT ignores its arguments; CLIENT KILL needs one of its optional filters; DEBUG documents its
    // subcommands itself.
    const EXCEPTIONS: &[&str] = &["quit", "client|kill", "debug"];
    check(|name, words, command| {
        if EXCEPTIONS.contains(&name) || !command.subcommands.is_empty() {
            return None;
        }
        let (least, more) = usage::bounds(&usage::arguments(command, words));
        let arity = (words + least) as i32 * if more { -1 } else { 1 };
        (arity != command.arity)
            .then(|| format!("arity {} where the usage means {arity}", command.arity))
    });
}

/// The key specs that an argument refers to, and the names of those arguments that are no key.
fn visit(argument: &Argument, specs: &mut BTreeSet<usize>, others: &mut Vec<String>) {
    match argument.kind {
        Kind::Key(spec) => {
            specs.insert(spec);
        }
        _ => others.push(argument.name.clone()),
    }
    argument
        .parts()
        .iter()
        .for_each(|part| visit(part, specs, others));
}

#[test]
fn key_positions_fit_usage() {
    const KEY_NAMES: &[&str] = &[
        "key",
        "key1",
        "key2",
        "source",
        "destination",
        "destkey",
        "newkey",
    ];
    check(|_, words, command| {
        let (mut found, mut others) = (BTreeSet::new(), Vec::new());
        for argument in usage::arguments(command, words) {
            visit(&argument, &mut found, &mut others);
        }
        let specs = command.keys.iter().enumerate().filter(|(_, spec)| {
            spec.flags & NOT_KEY == 0 && !matches!(spec.begin, Begin::Unknown(None))
        });
        let specs: BTreeSet<usize> = specs.map(|(i, _)| i).collect();
        match others
            .iter()
            .find(|name| KEY_NAMES.contains(&name.as_str()))
        {
            _ if found != specs => {
                Some(format!("key specs {specs:?} where the usage has {found:?}"))
            }
            Some(name) => Some(format!("{name} is no key")),
            None => None,
        }
    });
}

#[test]
fn key_flags_say_one_kind_of_access() {
    check(|_, _, command| {
        let access = |spec: &KeySpec| (spec.flags & (RW | RO | OW | RM)).count_ones();
        let bad = command
            .keys
            .iter()
            .position(|spec| spec.flags & NOT_KEY == 0 && access(spec) != 1);
        bad.map(|spec| format!("key spec {spec} is not one of RW, RO, OW, RM"))
    });
}

#[test]
fn flags_agree() {
    check(|_, _, command| {
        let has = |flag| command.flags & flag != 0;
        match () {
            _ if has(WRITE) && has(READONLY) => Some("writes and only reads".into()),
            _ if has(DENYOOM) && !has(WRITE) => Some("needs memory but does not write".into()),
            _ if matches!(command.handler, Container) && command.subcommands.is_empty() => {
                Some("holds nothing".into())
            }
            _ => None,
        }
    });
}

#[test]
fn keys_are_found_at_a_glance() {
    let registry = Registry::new(FAMILIES);
    let check = |words: &str, expected: &[usize]| {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let argv = OwnedArgv::from_slices(&words);
        let argv = argv.as_argv();
        let id = registry.lookup(words[0]).expect("a command");
        let keys = registry.get(id).keys;
        let found: Vec<usize> = (keys.first..keys.end(argv)).step_by(keys.step).collect();
        assert_eq!(found, expected, "{argv:?}");
    };
    check("get k", &[1]);
    check("get", &[]);
    check("mset a 1 b 2", &[1, 3]);
    check("blpop a b 0", &[1, 2]);
    check("eval s 1 k a", &[3]);
    check("fcall f 2 k l a", &[3, 4]);
    check("evalsha s 12 k", &[3]);
    check("eval s -1 k", &[]);
    check("eval s 123 k", &[]);
    check("zunionstore d 2 a b", &[1]);
    check("zunion 2 a b weights 1 2", &[2, 3]);
}
