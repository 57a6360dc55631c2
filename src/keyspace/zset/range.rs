//! Runs of members: by rank, or between two edges that scores or members mark.

use crate::data::sorted::{Bound, Sorted};
use std::ops;

/// A run of members.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Range<'a> {
    /// From one rank to another, both included; negative ones count from the highest member, -1.
    #[allow(missing_docs)]
    Ranks { start: i64, stop: i64 },
    /// What lies above the first edge and below the second.
    Between(Edge<'a>, Edge<'a>),
}

/// A line between members: each one lies below or above it.
///
/// Edges by member mean something only where all scores are the same, so that the order is that of the
/// members. Else which ones they select is left open, as it is in Redis.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Edge<'a> {
    /// Below all members.
    Lowest,
    /// Above all members.
    Highest,
    /// Below those of this score.
    BelowScore(f64),
    /// Above those of this score.
    AboveScore(f64),
    /// Below this member.
    BelowMember(&'a [u8]),
    /// Above this member.
    AboveMember(&'a [u8]),
}

/// The ranks from `start` to `stop`, both included, of `len` members.
pub(super) fn of_ranks(start: i64, stop: i64, len: usize) -> ops::Range<usize> {
    let len = len as i64;
    let from_lowest = |rank: i64| if rank < 0 { rank + len } else { rank };
    let start = from_lowest(start).max(0);
    let stop = from_lowest(stop).min(len - 1);
    if start > stop {
        return 0..0;
    }
    start as usize..stop as usize + 1
}

/// How many members of a tree lie below an edge.
pub(super) fn count_below(sorted: &Sorted, edge: Edge<'_>) -> usize {
    match edge {
        Edge::Lowest => 0,
        Edge::Highest => sorted.len(),
        Edge::BelowScore(score) => sorted.count_below(Bound::Score(score, false)),
        Edge::AboveScore(score) => sorted.count_below(Bound::Score(score, true)),
        Edge::BelowMember(member) => sorted.count_below(Bound::Lex(member, false)),
        Edge::AboveMember(member) => sorted.count_below(Bound::Lex(member, true)),
    }
}

#[cfg(test)]
mod tests {
    use super::of_ranks;

    #[test]
    fn ranks() {
        let check = |start, stop, len, expected| {
            assert_eq!(
                of_ranks(start, stop, len),
                expected,
                "{start} {stop} of {len}"
            );
        };
        check(0, -1, 3, 0..3);
        check(0, 0, 3, 0..1);
        check(-1, -1, 3, 2..3);
        check(-100, 100, 3, 0..3);
        check(1, 0, 3, 0..0);
        check(3, 5, 3, 0..0);
        check(-1, -2, 3, 0..0);
        check(0, -4, 3, 0..0);
        check(0, -1, 0, 0..0);
        check(i64::MIN, i64::MAX, 3, 0..3);
        check(i64::MAX, i64::MIN, 3, 0..0);
    }
}
