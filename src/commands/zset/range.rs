//! Runs of members: ZRANGE and its elder relatives, counting, removing and storing.
//!
//! Every form becomes a [`Query`], a query becomes a range of ranks, and that is walked.

use super::{Shown, limits, note_removed, store, zset_at};
use crate::base::num::parse_f64;
use crate::commands::args::{integer, is};
use crate::keyspace::zset::{Edge, Range, Zset, ZsetRef};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::cx::DataCx;
use std::ops;

/// What marks a run's ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Bytes,
}

impl By {
    /// The range between two arguments, the lower end first.
    fn range<'a>(self, low: &'a [u8], high: &'a [u8]) -> Result<Range<'a>, ErrorReply> {
        Ok(match self {
            By::Rank => Range::Ranks {
                start: integer(low)?,
                stop: integer(high)?,
            },
            By::Score => {
                const NO_FLOAT: ErrorReply = ErrorReply::Fixed("ERR min or max is not a float");
                let low = score_edge(low).ok_or(NO_FLOAT)?;
                let high = score_edge(high).ok_or(NO_FLOAT)?;
                Range::Between(
                    if low.excluded {
                        Edge::AboveScore(low.at)
                    } else {
                        Edge::BelowScore(low.at)
                    },
                    if high.excluded {
                        Edge::BelowScore(high.at)
                    } else {
                        Edge::AboveScore(high.at)
                    },
                )
            }
            By::Bytes => {
                const NO_ITEM: ErrorReply =
                    ErrorReply::Fixed("ERR min or max not valid string range item");
                let edges = lex_edge(low, false).zip(lex_edge(high, true));
                let (low, high) = edges.ok_or(NO_ITEM)?;
                Range::Between(low, high)
            }
        })
    }
}

/// A score at an end of a range.
struct ScoreEdge {
    at: f64,
    excluded: bool,
}

/// The score that an argument such as `1.5`, `(1.5` or `-inf` names.
fn score_edge(arg: &[u8]) -> Option<ScoreEdge> {
    let (excluded, text) = match arg {
        [b'(', text @ ..] => (true, text),
        text => (false, text),
    };
    let at = parse_f64(text).or_else(|| lenient_f64(text))?;
    Some(ScoreEdge { at, excluded })
}

/// What Redis accepts here beyond its other numbers: nothing at all, which is 0, what is too large or
/// too small for a double, spaces before the number, and anything behind a zero byte.
#[cold]
fn lenient_f64(text: &[u8]) -> Option<f64> {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    let text = &text[..end];
    if text.is_empty() {
        return Some(0.0);
    }
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let start = text.iter().position(|byte| !is_space(byte))?;
    let text = &text[start..];
    if let Some(number) = parse_f64(text) {
        return Some(number);
    }
    let unsigned = text
        .strip_prefix(b"-")
        .or(text.strip_prefix(b"+"))
        .unwrap_or(text);
    if !matches!(unsigned.first()?, b'0'..=b'9' | b'.') {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The edge that an argument such as `[a`, `(a`, `-` or `+` marks at the lower or higher end.
fn lex_edge(arg: &[u8], high: bool) -> Option<Edge<'_>> {
    Some(match (arg, high) {
        ([b'-'] | [b'-', 0, ..], _) => Edge::Lowest,
        ([b'+'] | [b'+', 0, ..], _) => Edge::Highest,
        ([b'[', member @ ..], false) | ([b'(', member @ ..], true) => Edge::BelowMember(member),
        ([b'(', member @ ..], false) | ([b'[', member @ ..], true) => Edge::AboveMember(member),
        _ => return None,
    })
}

/// A run of members, and how it is shown.
struct Query<'a> {
    range: Range<'a>,
    descending: bool,
    /// Members passed over at the end where the walk begins; if negative, all.
    offset: i64,
    /// Members at most; if negative, all.
    count: i64,
    with_scores: bool,
}

impl<'a> Query<'a> {
    /// Reads `start stop [option ...]`. What `by` and `descending` say cannot be changed by options;
    /// where they say nothing, it can.
    fn parse(
        args: Argv<'a>,
        by: Option<By>,
        descending: Option<bool>,
        stores: bool,
    ) -> Result<Query<'a>, ErrorReply> {
        let (mut chosen, mut downward) = (by, descending);
        let (mut offset, mut count, mut with_scores) = (0, -1, false);
        let mut i = 2;
        while let Some(option) = args.get(i) {
            if !stores && is(option, "WITHSCORES") {
                with_scores = true;
            } else if is(option, "LIMIT")
                && let (Some(first), Some(second)) = (args.get(i + 1), args.get(i + 2))
            {
                (offset, count) = (integer(first)?, integer(second)?);
                i += 2;
            } else if downward.is_none() && is(option, "REV") {
                downward = Some(true);
            } else if chosen.is_none() && is(option, "BYLEX") {
                chosen = Some(By::Bytes);
            } else if chosen.is_none() && is(option, "BYSCORE") {
                chosen = Some(By::Score);
            } else {
                return Err(error::SYNTAX);
            }
            i += 1;
        }
        let (by, descending) = (chosen.unwrap_or(By::Rank), downward.unwrap_or(false));
        if count != -1 && by == By::Rank {
            return Err("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX".into());
        }
        if with_scores && by == By::Bytes {
            return Err(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX".into(),
            );
        }
        let (low, high) = if descending && by != By::Rank {
            (1, 0)
        } else {
            (0, 1)
        };
        Ok(Query {
            range: by.range(args.at(low), args.at(high))?,
            descending,
            offset: if by == By::Rank { 0 } else { offset },
            count,
            with_scores,
        })
    }

    /// The ranks that the query selects.
    fn span(&self, zset: ZsetRef<'_>) -> ops::Range<usize> {
        let span = zset.span(&self.range);
        if let Range::Ranks { .. } = self.range {
            let len = zset.len();
            return if self.descending {
                len - span.end..len - span.start
            } else {
                span
            };
        }
        let skipped = usize::try_from(self.offset)
            .unwrap_or(usize::MAX)
            .min(span.len());
        let left = span.len() - skipped;
        let taken = usize::try_from(self.count).unwrap_or(usize::MAX).min(left);
        if self.descending {
            let end = span.end - skipped;
            end - taken..end
        } else {
            let start = span.start + skipped;
            start..start + taken
        }
    }
}

/// Replies with the run of members that the arguments behind the key select.
fn reply_range(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    by: Option<By>,
    descending: Option<bool>,
) -> Outcome {
    let query = Query::parse(argv.tail(2), by, descending, false)?;
    let Some(place) = cx.find_read(cx.key(argv, 1)) else {
        cx.reply.array(0);
        return Ok(());
    };
    let entry = cx.keyspace.db(cx.db_index).entry(place);
    let zset = entry.zset().ok_or(error::WRONG_TYPE)?;
    let span = query.span(zset);
    let shown = Shown::new(cx.reply, query.with_scores);
    shown.begin(cx.reply, span.len());
    zset.walk(span, query.descending, |member, score| {
        shown.add(cx.reply, member, score);
    });
    Ok(())
}

pub(super) fn zrange(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_range(cx, argv, None, None)
}

pub(super) fn zrevrange(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_range(cx, argv, Some(By::Rank), Some(true))
}

pub(super) fn zrangebyscore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_range(cx, argv, Some(By::Score), Some(false))
}

pub(super) fn zrevrangebyscore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_range(cx, argv, Some(By::Score), Some(true))
}

pub(super) fn zrangebylex(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_range(cx, argv, Some(By::Bytes), Some(false))
}

pub(super) fn zrevrangebylex(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_range(cx, argv, Some(By::Bytes), Some(true))
}

pub(super) fn zrangestore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let query = Query::parse(argv.tail(3), None, None, true)?;
    let limits = limits(cx);
    let run = match cx.find_read(cx.key(argv, 2)) {
        Some(place) => {
            let zset = zset_at(cx, place)?;
            zset.copy_span(query.span(zset), limits)
        }
        None => Zset::from_sorted(&[], limits),
    };
    store(cx, argv, run, "zrangestore");
    Ok(())
}

/// Replies with how many members the two arguments behind the key enclose.
fn reply_count(cx: &mut DataCx<'_>, argv: Argv<'_>, by: By) -> Outcome {
    let range = by.range(argv.at(2), argv.at(3))?;
    let count = match cx.find_read(cx.key(argv, 1)) {
        Some(place) => zset_at(cx, place)?.span(&range).len(),
        None => 0,
    };
    cx.reply.int(count as i64);
    Ok(())
}

pub(super) fn zcount(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_count(cx, argv, By::Score)
}

pub(super) fn zlexcount(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_count(cx, argv, By::Bytes)
}

/// Removes the members that the two arguments behind the key enclose.
fn remove_range(cx: &mut DataCx<'_>, argv: Argv<'_>, by: By, event: &'static str) -> Outcome {
    let range = by.range(argv.at(2), argv.at(3))?;
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_write(key) else {
        cx.reply.int(0);
        return Ok(());
    };
    let zset = zset_at(cx, place)?;
    let (span, len) = (zset.span(&range), zset.len());
    let removed = span.len();
    let all = removed == len;
    if all {
        // The key goes as a whole, which may be the freeing thread's work.
        cx.delete(key, place, cx.config.lazyfree_lazy_server_del);
    } else if removed > 0 {
        cx.edit::<Zset, _>(key, place, |zset, _| zset.remove_span(span))?;
    }
    note_removed(cx, key.bytes, event, removed, all);
    cx.reply.int(removed as i64);
    Ok(())
}

pub(super) fn zremrangebyrank(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    remove_range(cx, argv, By::Rank, "zremrangebyrank")
}

pub(super) fn zremrangebyscore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    remove_range(cx, argv, By::Score, "zremrangebyscore")
}

pub(super) fn zremrangebylex(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    remove_range(cx, argv, By::Bytes, "zremrangebylex")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn score_edges() {
        let check = |arg: &str, expected: Option<(f64, bool)>| {
            let edge = score_edge(arg.as_bytes()).map(|edge| (edge.at, edge.excluded));
            assert_eq!(edge, expected, "{arg:?}");
        };
        check("1.5", Some((1.5, false)));
        check("(1.5", Some((1.5, true)));
        check("-inf", Some((f64::NEG_INFINITY, false)));
        check("(+inf", Some((f64::INFINITY, true)));
        check("0x10", Some((16.0, false)));
        // What redis-server 7.0.15 takes for a number here, though not elsewhere.
        check("", Some((0.0, false)));
        check("(", Some((0.0, true)));
        check(" 7", Some((7.0, false)));
        check("7\0x", Some((7.0, false)));
        check("1e400", Some((f64::INFINITY, false)));
        check("(-1e400", Some((f64::NEG_INFINITY, true)));
        check("1e-400", Some((0.0, false)));
        for refused in [
            "nan", "(nan", "  ", "7 ", "((7", "x", "(x", "--1", "1_0", "\u{661}",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn lex_edges() {
        let check = |arg: &'static [u8], low: Option<Edge<'_>>, high: Option<Edge<'_>>| {
            assert_eq!((lex_edge(arg, false), lex_edge(arg, true)), (low, high));
        };
        let same = |arg, edge| check(arg, edge, edge);
        same(b"-", Some(Edge::Lowest));
        same(b"+", Some(Edge::Highest));
        check(
            b"[a",
            Some(Edge::BelowMember(b"a")),
            Some(Edge::AboveMember(b"a")),
        );
        check(
            b"(",
            Some(Edge::AboveMember(b"")),
            Some(Edge::BelowMember(b"")),
        );
        for refused in [&b""[..], b"a", b"+a", b"-a"] {
            same(refused, None);
        }
    }

    #[test]
    fn limits_cut_a_run() {
        use crate::keyspace::value::Collection;
        let mut zset = Zset::new_in(Vec::new());
        let limits = crate::keyspace::zset::Limits {
            entries: 9,
            value: 9,
        };
        for member in [b"a", b"b", b"c", b"d", b"e"] {
            zset.insert(member, 0.0, limits);
        }
        let check = |descending, offset, count, expected: ops::Range<usize>| {
            let query = Query {
                range: Range::Between(Edge::AboveMember(b"a"), Edge::Highest),
                descending,
                offset,
                count,
                with_scores: false,
            };
            assert_eq!(
                query.span(zset.as_ref()),
                expected,
                "{descending} {offset} {count}"
            );
        };
        check(false, 0, -1, 1..5);
        check(false, 1, 2, 2..4);
        check(true, 1, 2, 2..4);
        check(true, 0, 1, 4..5);
        check(false, 3, i64::MAX, 4..5);
        check(false, 4, 1, 5..5);
        check(false, -1, 1, 5..5);
        check(true, i64::MAX, i64::MIN, 1..1);
        check(false, 0, 0, 1..1);
    }
}
