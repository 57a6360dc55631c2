//! The `redis.conf` that comes with the server is complete, loads, and shows the defaults. Tests only.

use std::collections::HashMap;

use super::kinds::HIDDEN;
use super::{Config, Loader, Origin, PARAMS, lookup};

const SHIPPED: &str = include_str!("../../../redis.conf");

/// How a directive stands in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stands {
    Active,
    /// Switched off, showing the default.
    Default,
    /// Switched off, showing how it looks.
    Example,
}

fn directives() -> Vec<(Stands, &'static str)> {
    let lines = SHIPPED.lines().filter(|line| !line.is_empty());
    lines
        .filter_map(|line| match line.strip_prefix('#') {
            None => Some((Stands::Active, line)),
            Some(off) if off.starts_with(|c: char| c.is_ascii_lowercase()) => {
                Some(match off.strip_prefix("example: ") {
                    Some(example) => (Stands::Example, example),
                    None => (Stands::Default, off),
                })
            }
            Some(_) => None,
        })
        .collect()
}

fn load(lines: &[&str]) -> Config {
    let text = lines.join("\n");
    match Loader::new()
        .text(Origin::CommandLine, text.as_bytes())
        .finish()
    {
        Ok((config, _)) => config,
        Err(faults) => panic!("{}", faults[0]),
    }
}

#[test]
fn it_loads_and_changes_nothing_but_who_can_connect() {
    let mut config = load(&SHIPPED.lines().collect::<Vec<_>>());
    assert_eq!(config.bind, ["127.0.0.1", "-::1"]);
    config.bind = Config::default().bind.clone();
    assert_eq!(config, load(&[]));
}

#[test]
fn what_is_switched_off_shows_the_defaults() {
    let of = |stands| {
        directives()
            .into_iter()
            .filter(move |(s, _)| *s == stands)
            .map(|(_, line)| line)
    };
    assert_eq!(load(&of(Stands::Default).collect::<Vec<_>>()), load(&[]));
    for line in of(Stands::Example).filter(|line| !line.starts_with("include")) {
        load(&[line]);
    }
}

#[test]
fn every_parameter_is_there_once() {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for (_, line) in directives() {
        let name = line.split(' ').next().unwrap();
        if let Some(param) = lookup(name.as_bytes()) {
            assert_eq!(param.name, name, "an alias");
            *times.entry(name).or_default() += 1;
        }
    }
    for param in PARAMS {
        let expected = match param.name {
            "save" => 2,
            "client-output-buffer-limit" => 3,
            _ if param.flags & HIDDEN != 0 => 0,
            _ => 1,
        };
        let found = times.get(param.name).copied().unwrap_or(0);
        assert_eq!(found, expected, "{}", param.name);
    }
    for directive in ["include", "loadmodule", "user", "rename-command"] {
        assert!(
            directives()
                .iter()
                .any(|(_, line)| line.starts_with(directive)),
            "{directive}"
        );
    }
}
