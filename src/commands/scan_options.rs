//! What SCAN, SSCAN, HSCAN and ZSCAN have in common: the cursor, the options, and when a call ends.

use super::args::{self, integer, is};
use crate::base::glob;
use crate::resp::error::{self, ErrorReply};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;

/// What is scanned, since not every option fits everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scanned {
    /// The keys of a database.
    Keys,
    /// The members of a set.
    Set,
    /// The fields of a hash.
    Hash,
    /// The members of a sorted set.
    Zset,
}

/// The options of a scan.
#[derive(Debug)]
pub struct ScanOptions<'a> {
    /// What names must match.
    pattern: Option<&'a [u8]>,
    /// Elements after which a call ends.
    count: usize,
    /// The type of value that keys must have, which is that of a known one.
    pub kind: Option<&'a [u8]>,
    /// Whether values or scores are left out.
    pub names_only: bool,
}

impl<'a> ScanOptions<'a> {
    /// Reads the arguments from `from` on, those behind the cursor.
    pub fn parse(
        argv: Argv<'a>,
        from: usize,
        scanned: Scanned,
    ) -> Result<ScanOptions<'a>, ErrorReply> {
        let mut options = ScanOptions {
            pattern: None,
            count: 10,
            kind: None,
            names_only: false,
        };
        let mut i = from;
        while let Some(option) = argv.get(i) {
            if is(option, "NOVALUES") {
                if scanned != Scanned::Hash {
                    return Err("ERR NOVALUES option can only be used in HSCAN".into());
                }
                options.names_only = true;
                i += 1;
                continue;
            }
            if is(option, "NOSCORES") {
                if scanned != Scanned::Zset {
                    return Err("ERR NOSCORES option can only be used in ZSCAN".into());
                }
                options.names_only = true;
                i += 1;
                continue;
            }
            let value = args::after(argv, i)?;
            if is(option, "COUNT") {
                options.count = match integer(value)? {
                    count @ 1.. => count as usize,
                    _ => return Err(error::SYNTAX),
                };
            } else if is(option, "MATCH") {
                options.pattern = (value != b"*").then_some(value);
            } else if is(option, "TYPE") && scanned == Scanned::Keys {
                options.kind = Some(known_type(value)?);
            } else {
                return Err(error::SYNTAX);
            }
            i += 2;
        }
        Ok(options)
    }

    /// Whether a name matches.
    #[inline]
    pub fn accepts(&self, name: &[u8]) -> bool {
        self.pattern
            .is_none_or(|pattern| glob::matches(pattern, name, false))
    }

    /// Walks from a cursor on until the call has found enough, and returns the next cursor. `step`
    /// visits a bucket and says where to go on and how many elements were found so far.
    pub fn walk(&self, mut cursor: u64, mut step: impl FnMut(u64) -> (u64, usize)) -> u64 {
        /// Buckets visited for each element asked for, lest a sparse table or a rare pattern hold up
        /// everybody else.
        const BUCKETS_PER_ELEMENT: usize = 10;
        for _ in 0..self.count.saturating_mul(BUCKETS_PER_ELEMENT) {
            let (next, found) = step(cursor);
            cursor = next;
            if cursor == 0 || found >= self.count {
                break;
            }
        }
        cursor
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
pub fn cursor(arg: &[u8]) -> Result<u64, ErrorReply> {
    let text = std::str::from_utf8(arg).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or(error::INVALID_CURSOR)
}

/// Begins the reply: the next cursor, and the header of an array of so many elements.
pub fn reply_header(reply: &mut Reply, cursor: u64, elements: usize) {
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    reply.array(elements);
}

/// The whole reply where there is nothing to scan.
pub fn reply_empty(reply: &mut Reply) {
    reply_header(reply, 0, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::request::OwnedArgv;

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

    #[test]
    fn options_fit_what_is_scanned() {
        use Scanned::{Hash, Keys, Set, Zset};
        let check = |scanned: Scanned, words: &str, expected: &str| {
            let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
            let argv = OwnedArgv::from_slices(&words);
            let text = match ScanOptions::parse(argv.as_argv(), 0, scanned) {
                Ok(options) => format!("{} {}", options.count, options.names_only),
                Err(error) => error.to_string(),
            };
            assert_eq!(text, expected, "{scanned:?} {words:?}");
        };
        check(Keys, "COUNT 7 match a* TYPE Set", "7 false");
        check(Set, "count 7", "7 false");
        check(Hash, "NOVALUES COUNT 1", "1 true");
        check(Zset, "MATCH * noscores", "10 true");
        check(Set, "TYPE set", "ERR syntax error");
        check(Set, "COUNT 0", "ERR syntax error");
        check(Set, "COUNT", "ERR syntax error");
        check(Keys, "TYPE what", "ERR unknown type name 'what'");
        let only_hscan = "ERR NOVALUES option can only be used in HSCAN";
        check(Keys, "NOVALUES", only_hscan);
        check(Zset, "NOVALUES", only_hscan);
        let only_zscan = "ERR NOSCORES option can only be used in ZSCAN";
        check(Hash, "NOSCORES", only_zscan);
    }

    #[test]
    fn a_walk_ends_with_enough_or_at_the_end() {
        let argv = OwnedArgv::from_slices(&[b"COUNT", b"3"]);
        let options = ScanOptions::parse(argv.as_argv(), 0, Scanned::Set).expect("good options");
        // One element a bucket, then none at all, then an end before that.
        assert_eq!(options.walk(5, |at| (at + 1, at as usize - 4)), 8);
        assert_eq!(options.walk(5, |at| (at + 1, 0)), 35);
        assert_eq!(options.walk(5, |at| ((at + 1) % 8, 0)), 0);
    }
}
