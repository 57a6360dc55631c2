//! The table as data: names, fields, ranges and defaults fit together.

use std::collections::HashSet;

use super::super::kinds::Mode;
use super::super::types::Config;
use super::*;

#[test]
fn names_are_unique_and_well_formed() {
    let mut seen = HashSet::new();
    for name in PARAMS.iter().flat_map(Param::names) {
        assert!(seen.insert(name), "{name} is there twice");
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
        assert!(name.bytes().all(plain), "{name}");
    }
    assert!(seen.len() > 220);
}

#[test]
fn every_field_has_one_parameter() {
    // A parameter that was given another one's field would change that one's value.
    for (param, value) in PARAMS.iter().filter_map(|p| Some((p, another_value(p)?))) {
        let mut config = Config::default();
        param
            .set_text(&mut config, value.as_bytes(), Mode::Load)
            .unwrap();
        for other in PARAMS.iter().filter(|other| other.name != param.name) {
            let default = other.get(&Config::default());
            assert_eq!(
                other.get(&config),
                default,
                "{} sets {}",
                param.name,
                other.name
            );
        }
        assert_ne!(
            param.get(&config),
            param.get(&Config::default()),
            "{}",
            param.name
        );
    }
}

#[test]
fn the_field_holds_the_whole_range() {
    for param in PARAMS {
        let Kind::Number { at, min, max, unit } = &param.kind else {
            continue;
        };
        let mut config = Config::default();
        for value in [*min, *max] {
            (at.set)(&mut config, value);
            let clamped = matches!(param.name, "hz" | "repl-backlog-size");
            assert!(
                clamped || (at.get)(&config) == value,
                "{} {value}",
                param.name
            );
        }
        assert!(
            min < max && (*unit != Unit::Octal || *min == 0),
            "{}",
            param.name
        );
    }
}

#[test]
fn set_to_what_is_reported_nothing_changes() {
    for param in PARAMS.iter().filter(|param| param.name != "replicaof") {
        let mut config = Config::default();
        if let Some(value) = another_value(param) {
            param
                .set_text(&mut config, value.as_bytes(), Mode::Load)
                .unwrap();
        }
        let (before, value) = (config.clone(), param.get(&config));
        let mode = if param.name == "dir" {
            Mode::Default
        } else {
            Mode::Set
        };
        match param.set_text(&mut config, &value, mode) {
            Ok(()) => assert_eq!(config, before, "{}", param.name),
            // Not at run time, whatever the value.
            Err(refusal) => assert!(
                param.name.starts_with("rdma")
                    || ["activedefrag", "tls-port"].contains(&param.name),
                "{}: {refusal}",
                param.name
            ),
        }
    }
}

#[test]
fn what_an_alias_names() {
    fn check(alias: &str, name: &str) {
        assert_eq!(lookup(alias.as_bytes()).map(|p| p.name), Some(name));
    }
    check("SlaveOf", "replicaof");
    check("hash-max-ziplist-value", "hash-max-listpack-value");
    check("primaryauth", "masterauth");
    check(
        "commandlog-execution-slower-than",
        "slowlog-log-slower-than",
    );
    check("server-cpulist", "server_cpulist");
    assert!(lookup(b"nosuch").is_none() && lookup(b"\xff").is_none());
}

#[test]
fn secrets() {
    for name in [
        "requirepass",
        "masterauth",
        "PrimaryAuth",
        "masteruser",
        "tls-key-file-pass",
    ] {
        assert!(is_secret(name.as_bytes()), "{name}");
    }
    assert!(!is_secret(b"port") && !is_secret(b"nosuch"));
}

/// A value that is not the default, if the parameter's kind has one to give.
pub(in crate::server::config) fn another_value(param: &Param) -> Option<String> {
    let value = match (&param.kind, param.name) {
        (Kind::Bool(_), _) => if param.default == "yes" { "no" } else { "yes" }.to_owned(),
        (
            Kind::Number {
                max,
                unit: Unit::Octal,
                ..
            },
            _,
        ) => format!("{max:o}"),
        (Kind::Number { .. }, "hz") => "77".to_owned(),
        (Kind::Number { max, .. }, _) => max.to_string(),
        (Kind::Choice { names, .. }, _) => {
            let mut names = names.iter();
            names.find(|name| **name != param.default)?.to_string()
        }
        (Kind::Bits { .. }, _) => "nosave now".to_owned(),
        (Kind::Addresses(_), _) => "127.0.0.1 -::1".to_owned(),
        (Kind::Text { .. }, "cluster-announce-client-ipv4") => "10.0.0.1".to_owned(),
        (Kind::Text { .. }, "cluster-announce-client-ipv6") => "fe80::1".to_owned(),
        (Kind::Text { .. }, "cluster-announce-hostname") => "host.example".to_owned(),
        (Kind::Text { .. }, "cluster-announce-human-nodename") => "node 1".to_owned(),
        (Kind::Text { .. }, "locale-collate") => "POSIX".to_owned(),
        (Kind::Text { .. }, _) => "some \"quoted\" text\n".to_owned(),
        (Kind::Special(_), "save") => "900 1 60 5".to_owned(),
        (Kind::Special(_), "client-output-buffer-limit") => "normal 1 2 3 slave 4 5 6".to_owned(),
        (Kind::Special(_), "oom-score-adj-values") => "1 2 3".to_owned(),
        (Kind::Special(_), "notify-keyspace-events") => "gxK".to_owned(),
        (Kind::Special(_), "replicaof") => "localhost 6380".to_owned(),
        (Kind::Special(_), "latency-tracking-info-percentiles") => "1.5 90".to_owned(),
        (Kind::Special(_), "dir") => "/".to_owned(),
        (Kind::Special(_), other) => panic!("{other} has no example"),
    };
    Some(value)
}
