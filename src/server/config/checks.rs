//! Conditions on a value's text that go beyond its kind. The texts are Redis's.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::kinds::Mode;
use crate::base::sys;

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

/// The environment's locale, which no text stands for, need not be there: it is not what was asked for.
pub(super) fn locale(text: &[u8], _: Mode) -> Verdict {
    ensure(
        text.is_empty() || sys::is_locale(text),
        "Invalid locale name",
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

/// Without TLS, nothing would listen there.
pub(super) fn tls_port(text: &[u8], mode: Mode) -> Verdict {
    ensure(
        mode != Mode::Set || text == b"0",
        "Unable to update TLS configuration. Check server logs.",
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

/// Whether a process title's variables are known and closed, and something is sure to be left of it.
/// `{{` is a brace.
fn is_template(text: &[u8]) -> bool {
    let mut rest = text;
    let mut leaves_something = false;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'{' {
            leaves_something |= !byte.is_ascii_whitespace();
        } else if let Some(after) = rest.strip_prefix(b"{") {
            leaves_something = true;
            rest = after;
        } else {
            let Some(close) = rest.iter().position(|b| *b == b'}') else {
                return false;
            };
            match &rest[..close] {
                b"listen-addr" | b"port" | b"tls-port" => leaves_something = true,
                b"title" | b"server-mode" | b"unixsocket" | b"config-file" => {}
                _ => return false,
            }
            rest = &rest[close + 1..];
        }
    }
    leaves_something
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_templates() {
        fn check(text: &str, expected: bool) {
            assert_eq!(is_template(text.as_bytes()), expected, "{text:?}");
        }
        check("{title} {listen-addr} {server-mode}", true);
        check("plain", true);
        check("--my--title--template", true);
        check("{{literal}", true);
        check("x {title}", true);
        check("{port}", true);
        // Nothing need be left of these.
        check("", false);
        check("  ", false);
        check("{title} {server-mode}", false);
        check("{nope} x", false);
        check("x {title", false);
        check("x {}", false);
    }

    #[test]
    fn names_and_addresses() {
        fn check(test: fn(&[u8], Mode) -> Verdict, good: &[&str], bad: &[&str]) {
            for text in good {
                assert_eq!(test(text.as_bytes(), Mode::Set), Ok(()), "{text}");
            }
            for text in bad {
                assert!(test(text.as_bytes(), Mode::Set).is_err(), "{text}");
            }
        }
        let long = "a".repeat(255);
        check(
            hostname,
            &["", "a-b.C9", &long],
            &["a b", "a_b", &"a".repeat(256), "h\u{e9}"],
        );
        check(nodename, &["", "node 1", "a/b"], &["a|b", "a=b;", "{}"]);
        check(ipv4, &["", "1.2.3.4"], &["::1", "1.2.3", "x"]);
        check(ipv6, &["", "::1"], &["1.2.3.4", "x"]);
        check(appenddirname, &["aof"], &["", "a/b"]);
        check(activedefrag, &["no"], &["yes", "YES"]);
        assert_eq!(activedefrag(b"yes", Mode::Load), Ok(()));
        check(rdma, &[], &["1"]);
    }
}
