//! Conditions on a value's text that go beyond its kind. The texts are Redis's.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::kinds::Mode;

type Verdict = Result<(), &'static str>;

/// Redis's limit on a host name, the byte that ends it included.
const HOSTNAME_MAX: usize = 256;

pub(super) fn dbfilename(text: &[u8], _: Mode) -> Verdict {
    is_file_name(
        text,
        "dbfilename can't be empty",
        "dbfilename can't be a path, just a filename",
    )
}

pub(super) fn appendfilename(text: &[u8], _: Mode) -> Verdict {
    is_file_name(
        text,
        "appendfilename can't be empty",
        "appendfilename can't be a path, just a filename",
    )
}

pub(super) fn appenddirname(text: &[u8], _: Mode) -> Verdict {
    is_file_name(
        text,
        "appenddirname can't be empty",
        "appenddirname can't be a path, just a dirname",
    )
}

pub(super) fn cluster_config_file(text: &[u8], _: Mode) -> Verdict {
    ensure(!text.is_empty(), "cluster-config-file can't be empty")
}

pub(super) fn proc_title_template(text: &[u8], _: Mode) -> Verdict {
    ensure(
        is_template(text),
        "template format is invalid or contains unknown variables",
    )
}

pub(super) fn hostname(text: &[u8], _: Mode) -> Verdict {
    ensure(
        text.len() < HOSTNAME_MAX,
        "Hostnames must be less than 256 characters",
    )?;
    ensure(
        text.iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')),
        "Hostnames may only contain alphanumeric characters, hyphens or dots",
    )
}

pub(super) fn nodename(text: &[u8], _: Mode) -> Verdict {
    ensure(
        !text.iter().any(|b| b"!#$%&()*+;<>?@[]^{|}~\0".contains(b)),
        "Announced human node name contained invalid character",
    )
}

pub(super) fn ipv4(text: &[u8], _: Mode) -> Verdict {
    ensure(
        text.is_empty() || parses::<Ipv4Addr>(text),
        "Invalid IPv4 address",
    )
}

pub(super) fn ipv6(text: &[u8], _: Mode) -> Verdict {
    ensure(
        text.is_empty() || parses::<Ipv6Addr>(text),
        "Invalid IPv6 address",
    )
}

/// A file that asks for it still starts the server, which then says in its log that it does without; turning it
/// on at run time is refused, as by any server whose allocator cannot be asked where fragments are.
pub(super) fn activedefrag(text: &[u8], mode: Mode) -> Verdict {
    ensure(
        mode != Mode::Set || !text.eq_ignore_ascii_case(b"yes"),
        "Active defragmentation cannot be enabled: it requires a Redis server compiled with a modified Jemalloc \
         like the one shipped by default with the Redis source distribution",
    )
}

pub(super) fn rdma(_: &[u8], mode: Mode) -> Verdict {
    ensure(mode != Mode::Set, "No RDMA building support.")
}

fn ensure(holds: bool, refusal: &'static str) -> Verdict {
    if holds { Ok(()) } else { Err(refusal) }
}

fn is_file_name(text: &[u8], empty: &'static str, path: &'static str) -> Verdict {
    ensure(!text.is_empty(), empty)?;
    ensure(!text.iter().any(|b| matches!(b, b'/' | b'\\')), path)
}

fn parses<T: std::str::FromStr>(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<T>().is_ok())
}

/// Whether a process title's variables are known and closed, and something is left of it. `{{` is a brace.
fn is_template(text: &[u8]) -> bool {
    const VARIABLES: [&[u8]; 7] = [
        b"title",
        b"listen-addr",
        b"server-mode",
        b"port",
        b"tls-port",
        b"unixsocket",
        b"config-file",
    ];
    let mut rest = text;
    while let Some(open) = rest.iter().position(|b| *b == b'{') {
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix(b"{") {
            rest = after;
            continue;
        }
        let Some(close) = rest.iter().position(|b| *b == b'}') else {
            return false;
        };
        if !VARIABLES.contains(&&rest[..close]) {
            return false;
        }
        rest = &rest[close + 1..];
    }
    !text.is_empty()
}
