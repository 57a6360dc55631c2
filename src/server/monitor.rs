//! MONITOR: every command that runs, shown to the clients that asked for it.

use crate::resp::request::Argv;
use crate::server::client::Slot;
use crate::server::deliveries;
use crate::server::state::Server;
use bytes::Bytes;
use std::fmt::Write;

/// Shows a command of `slot`, which has run, to all monitors.
#[cold]
pub fn feed(server: &mut Server, slot: Slot, argv: Argv<'_>) {
    let client = server.clients.at(slot);
    let from = client.peer.to_string();
    send(server, client.db, &from, argv);
}

/// Shows a command that a script of `slot` has run to all monitors.
#[cold]
pub fn feed_from_script(server: &mut Server, slot: Slot, argv: Argv<'_>) {
    send(server, server.clients.at(slot).db, "lua", argv);
}

fn send(server: &mut Server, db: usize, from: &str, argv: Argv<'_>) {
    let now_us = crate::base::clock::unix_us();
    let mut line = format!(
        "+{}.{:06} [{db} {from}]",
        now_us / 1_000_000,
        now_us % 1_000_000,
    );
    for arg in redacted(argv, |argv| argv.iter().map(<[u8]>::to_vec).collect()) {
        line.push(' ');
        quote(&mut line, &arg);
    }
    line.push_str("\r\n");
    let line = Bytes::from(line);
    deliveries::note(server, line.len(), server.monitors.len());
    let monitors = server.monitors.iter();
    server
        .deliveries
        .extend(monitors.map(|&monitor| (monitor, line.clone())));
}

/// A command's arguments, shaped by `shape`, with passwords made unreadable.
pub fn redacted(argv: Argv<'_>, shape: impl Fn(Argv<'_>) -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut shown = shape(argv);
    let secret = |i: usize, shown: &mut Vec<Vec<u8>>| {
        if i < shown.len() {
            shown[i] = b"(redacted)".to_vec();
        }
    };
    let is = |i: usize, word: &[u8]| argv.get(i).is_some_and(|a| a.eq_ignore_ascii_case(word));
    if is(0, b"auth") {
        (1..argv.len()).for_each(|i| secret(i, &mut shown));
    } else if is(0, b"hello") {
        for i in 2..argv.len() {
            if is(i, b"auth") {
                secret(i + 1, &mut shown);
                secret(i + 2, &mut shown);
            }
        }
    } else if is(0, b"migrate") {
        for i in 6..argv.len() {
            let words = match (is(i, b"auth"), is(i, b"auth2")) {
                (true, _) => 1,
                (_, true) => 2,
                _ => 0,
            };
            (1..=words).for_each(|word| secret(i + word, &mut shown));
        }
    } else if is(0, b"config") && is(1, b"set") {
        for i in (2..argv.len()).step_by(2) {
            if crate::server::config::is_secret(argv.at(i)) {
                secret(i + 1, &mut shown);
            }
        }
    }
    shown
}

/// Appends bytes as a quoted string with escapes.
pub fn quote(line: &mut String, bytes: &[u8]) {
    line.push('"');
    for &b in bytes {
        match b {
            b'\\' | b'"' => {
                line.push('\\');
                line.push(b as char);
            }
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            7 => line.push_str("\\a"),
            8 => line.push_str("\\b"),
            0x20..0x7f => line.push(b as char),
            _ => write!(line, "\\x{b:02x}").expect("a string takes all"),
        }
    }
    line.push('"');
}
