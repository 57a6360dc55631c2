//! Walks over the keys of a database: all at once, in steps, or one by chance.

use super::args::{self, integer, is};
use crate::base::glob;
use crate::keyspace::entry::EntryRef;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::DataCx;

const G: Group = Group::Generic;

/// The family's table, as far as it looks for keys.
pub static COMMANDS: &[Command] = &[
    cmd("keys", 2, Data(keys))
        .group(G)
        .categories(CAT_KEYSPACE | CAT_DANGEROUS)
        .flags(READONLY)
        .doc(
            "Returns the names of all keys that match a pattern.",
            "O(N) in the number of keys of the database",
        )
        .usage("pattern")
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    cmd("randomkey", 1, Data(randomkey))
        .group(G)
        .categories(CAT_KEYSPACE)
        .flags(READONLY)
        .doc("Returns the name of a key chosen by chance.", "O(1)")
        .tips(&[
            "request_policy:all_shards",
            "response_policy:special",
            "nondeterministic_output",
        ]),
    cmd("scan", -2, Data(scan))
        .group(G)
        .categories(CAT_KEYSPACE)
        .since("2.8.0")
        .flags(READONLY)
        .doc(
            "Returns some names of keys and the cursor by which to ask for the next ones.",
            "O(1) a call, O(N) in the number of keys for all calls",
        )
        .usage("cursor [MATCH pattern] [COUNT count] [TYPE type]")
        .history(&[("6.0.0", "Added the `TYPE` subcommand.")])
        .tips(&[
            "nondeterministic_output",
            "request_policy:special",
            "response_policy:special",
        ]),
];

fn has_expired(entry: EntryRef<'_>, now_ms: i64) -> bool {
    entry.expiry().is_some_and(|at| at <= now_ms)
}

fn keys(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let pattern = argv.at(1);
    // The lone star matches every key here, even the empty one.
    let every = pattern == b"*";
    let (header, mut found) = (cx.reply.defer_array(), 0);
    cx.keyspace.db(cx.db_index).for_each(|entry| {
        if (every || glob::matches(pattern, entry.key(), false)) && !has_expired(entry, cx.now_ms) {
            cx.reply.bulk(entry.key());
            found += 1;
        }
    });
    cx.reply.end_array(header, found);
    Ok(())
}

fn randomkey(cx: &mut DataCx<'_>, _argv: Argv<'_>) -> Outcome {
    /// Where expired keys must stay, there may be no others.
    const TRIES_MAX: usize = 100;
    for tries in 1.. {
        let Some(entry) = cx.keyspace.random(cx.db_index) else {
            break;
        };
        if !has_expired(entry, cx.now_ms) || !cx.delete_expired && tries == TRIES_MAX {
            cx.reply.bulk(entry.key());
            return Ok(());
        }
        let name = entry.key().to_vec();
        let gone = cx.find_unseen(cx.keyspace.key(&name));
        debug_assert!(gone.is_none());
    }
    cx.reply.null();
    Ok(())
}

/// What SCAN and its kin return of what they meet.
#[derive(Debug)]
struct Options<'a> {
    pattern: Option<&'a [u8]>,
    /// Elements after which a call ends.
    count: usize,
    kind: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(argv: Argv<'a>) -> Result<Options<'a>, ErrorReply> {
        let mut options = Options {
            pattern: None,
            count: 10,
            kind: None,
        };
        let mut i = 2;
        while let Some(option) = argv.get(i) {
            if is(option, "NOVALUES") {
                return Err("ERR NOVALUES option can only be used in HSCAN".into());
            }
            if is(option, "NOSCORES") {
                return Err("ERR NOSCORES option can only be used in ZSCAN".into());
            }
            let value = args::after(argv, i)?;
            if is(option, "COUNT") {
                options.count = match integer(value)? {
                    count @ 1.. => count as usize,
                    _ => return Err(error::SYNTAX),
                };
            } else if is(option, "MATCH") {
                options.pattern = (value != b"*").then_some(value);
            } else if is(option, "TYPE") {
                options.kind = Some(known_type(value)?);
            } else {
                return Err(error::SYNTAX);
            }
            i += 2;
        }
        Ok(options)
    }

    fn accepts(&self, entry: EntryRef<'_>) -> bool {
        self.pattern
            .is_none_or(|pattern| glob::matches(pattern, entry.key(), false))
            && self.kind.is_none_or(|kind| is(kind, entry.kind().name()))
    }
}

/// Checks that there is a type of this name, be there such keys or not.
fn known_type(name: &[u8]) -> Result<&[u8], ErrorReply> {
    const NAMES: [&str; 6] = ["string", "list", "set", "zset", "hash", "stream"];
    if NAMES.iter().any(|known| is(name, known)) {
        Ok(name)
    } else {
        Err([b"ERR unknown type name '", name, b"'"].concat().into())
    }
}

/// The cursor that an argument is: any number of 64 bits, whether or not a scan ever came there.
fn cursor(arg: &[u8]) -> Result<u64, ErrorReply> {
    let text = std::str::from_utf8(arg).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or(error::INVALID_CURSOR)
}

fn scan(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    /// Buckets visited for each element asked for, lest a sparse table or a rare pattern hold up
    /// everybody else.
    const BUCKETS_PER_ELEMENT: usize = 10;
    let mut cursor = cursor(argv.at(1))?;
    let options = Options::parse(argv)?;
    let db = cx.keyspace.db(cx.db_index);
    let (mut found, mut expired) = (Vec::new(), Vec::new());
    for _ in 0..options.count.saturating_mul(BUCKETS_PER_ELEMENT) {
        cursor = db.scan(cursor, |entry| {
            if !options.accepts(entry) {
                return;
            }
            if has_expired(entry, cx.now_ms) {
                expired.push(entry.key().to_vec());
            } else {
                found.push(entry.key());
            }
        });
        if cursor == 0 || found.len() >= options.count {
            break;
        }
    }
    cx.reply.array(2);
    cx.reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    cx.reply.array(found.len());
    for key in found {
        cx.reply.bulk(key);
    }
    for key in expired {
        cx.find_unseen(cx.keyspace.key(&key));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::cursor;

    #[test]
    fn cursors() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(cursor(text.as_bytes()).ok(), expected, "{text:?}")
        };
        check("0", Some(0));
        check("18446744073709551615", Some(u64::MAX));
        check("18446744073709551616", None);
        check("007", Some(7));
        check(" 7", None);
        check("+7", Some(7));
        check("++7", None);
        check("-7", None);
        check("", None);
        check("7 ", None);
        check("7a", None);
    }
}
