//! A sorted set, whichever form it is in: a listpack of members and scores by turns, in order, while
//! they are few and short; a table with an ordered tree from then on.
//!
//! Members are ordered by score, those of the same score by their bytes. A *rank* is a place in that
//! order, 0 the lowest; whatever selects a run of members, by rank, score or bytes, is first turned
//! into a range of ranks ([`ZsetRef::span`]) and then walked or removed as such.
//!
//! A sorted set that grew into a tree stays one however few members are left; only what is stored as a
//! whole (ZUNIONSTORE and its kin) begins again with the form that fits.
//!
//! Costs: linear in the listpack, which is short; else logarithmic, and constant for each member that
//! is walked.

mod algebra;
mod pack;
mod range;
mod sample;
#[cfg(test)]
mod tests;

pub use self::algebra::{
    Aggregate, Input, Pair, Source, Texts, difference, intersection, sort, union,
};
pub use self::range::{Edge, Range};

use super::value::{Big, Collection, Packing, Stored, Type};
use crate::base::hash;
use crate::data::listpack::{Item, Listpack, ListpackBuf, is_safe_to_add};
use crate::data::sorted::Sorted;
use std::ops::{self, ControlFlow};

/// Up to when a sorted set is a listpack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Members (`zset-max-listpack-entries`).
    pub entries: u64,
    /// Bytes of a member (`zset-max-listpack-value`).
    pub value: u64,
}

impl Limits {
    /// Whether so many members, the longest one of so many bytes, are few and short.
    #[inline]
    fn allow(self, members: usize, longest: usize) -> bool {
        members as u64 <= self.entries && longest as u64 <= self.value
    }
}

/// A sorted set to read.
#[derive(Clone, Copy)]
pub enum ZsetRef<'a> {
    /// A few short members.
    Pack(Listpack<'a>),
    /// A big one.
    Tree(&'a Sorted),
}

/// A sorted set to change.
pub enum Zset {
    /// A few short members.
    Pack(ListpackBuf),
    /// A big one.
    Tree(Box<Sorted>),
}

impl Collection for Zset {
    const KIND: Type = Type::Zset;

    fn new_in(buffer: Vec<u8>) -> Zset {
        Zset::Pack(ListpackBuf::new_in(buffer))
    }

    fn from_stored(stored: Stored) -> Zset {
        match stored {
            Stored::Packed(Packing::Zset, bytes) => {
                Zset::Pack(ListpackBuf::from_vec_trusted(bytes))
            }
            Stored::Big(Big::Zset(sorted)) => Zset::Tree(sorted),
            _ => panic!("the entry of a sorted set holds something else"),
        }
    }

    fn into_stored(self) -> Stored {
        match self {
            Zset::Pack(pack) => Stored::Packed(Packing::Zset, pack.into_vec()),
            Zset::Tree(sorted) => Stored::Big(Big::Zset(sorted)),
        }
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }
}

impl Zset {
    /// The sorted set, to read.
    pub fn as_ref(&self) -> ZsetRef<'_> {
        match self {
            Zset::Pack(pack) => ZsetRef::Pack(pack.as_ref()),
            Zset::Tree(sorted) => ZsetRef::Tree(sorted),
        }
    }

    /// An empty sorted set in the form that suits so many members, the longest one of so many bytes.
    fn for_members(members: usize, longest: usize, limits: Limits) -> Zset {
        let bytes = members.saturating_mul(longest);
        if limits.allow(members, longest) && is_safe_to_add(0, bytes) {
            Zset::Pack(ListpackBuf::new())
        } else {
            let mut sorted = Sorted::new(hash::process());
            sorted.reserve(members);
            Zset::Tree(Box::new(sorted))
        }
    }

    /// Makes it a tree ahead of members that are too many or too long for a listpack.
    #[inline]
    pub fn expect(&mut self, members: usize, longest: usize, limits: Limits) {
        if !limits.allow(members, longest) {
            self.make_tree(members);
        }
    }

    /// Gives a member a score and returns the one that it had.
    #[inline]
    pub fn insert(&mut self, member: &[u8], score: f64, limits: Limits) -> Option<f64> {
        if let Zset::Tree(sorted) = self {
            return sorted.insert(member, score);
        }
        self.insert_if(member, limits, |_| Some(score)).0
    }

    /// Gives a member the score, if any, that `decide` makes of the one that it has; returns that one
    /// and the one that was given.
    pub fn insert_if(
        &mut self,
        member: &[u8],
        limits: Limits,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> (Option<f64>, Option<f64>) {
        let pack = match self {
            Zset::Tree(sorted) => {
                let mut new = None;
                let hash = sorted.hash(member);
                let old = sorted.update_hashed(member, hash, |old| {
                    new = decide(old);
                    new
                });
                return (old, new);
            }
            Zset::Pack(pack) => pack,
        };
        let found = pack::find(pack.as_ref(), member);
        let old = found.map(|(_, score)| score);
        let Some(new) = decide(old) else {
            return (old, None);
        };
        if let Some((at, old)) = found {
            if old != new {
                pack::rescore(pack, at, member, new);
            }
        } else if limits.allow(pack.as_ref().len() / 2 + 1, member.len())
            && is_safe_to_add(pack.as_ref().bytes().len(), member.len())
        {
            pack::insert(pack, member, new);
        } else {
            self.make_tree(1).insert(member, new);
        }
        (old, Some(new))
    }

    /// A sorted set of these members, which are in order.
    pub fn from_sorted(pairs: &[Pair<'_>], limits: Limits) -> Zset {
        let longest = pairs.iter().map(|(member, _)| member.len()).max();
        let mut zset = Zset::for_members(pairs.len(), longest.unwrap_or(0), limits);
        for &(member, score) in pairs {
            zset.push_last(member, score);
        }
        zset
    }

    /// Adds a member that is not there and sorts behind all others, without a look at the limits.
    fn push_last(&mut self, member: &[u8], score: f64) {
        match self {
            Zset::Pack(pack) => pack::push(pack, member, score),
            Zset::Tree(sorted) => {
                let old = sorted.insert(member, score);
                debug_assert!(old.is_none());
            }
        }
    }

    /// Removes a member and returns its score.
    #[inline]
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self {
            Zset::Pack(pack) => {
                let (at, score) = pack::find(pack.as_ref(), member)?;
                pack.remove_range(at, 2);
                Some(score)
            }
            Zset::Tree(sorted) => sorted.remove(member),
        }
    }

    /// Removes up to `count` members from the lowest up, or from the highest down, after `visit` has
    /// seen them.
    pub fn pop(&mut self, count: usize, highest: bool, mut visit: impl FnMut(Item<'_>, f64)) {
        match self {
            Zset::Tree(sorted) if count == 1 && highest => {
                sorted.pop_last(|member, score| visit(Item::Bytes(member), score));
            }
            Zset::Tree(sorted) if count == 1 => {
                sorted.pop_first(|member, score| visit(Item::Bytes(member), score));
            }
            _ => {
                let len = self.as_ref().len();
                let count = count.min(len);
                let span = if highest { len - count..len } else { 0..count };
                self.as_ref().walk(span.clone(), highest, visit);
                self.remove_span(span);
            }
        }
    }

    /// Removes the members of these ranks.
    pub fn remove_span(&mut self, span: ops::Range<usize>) {
        match self {
            Zset::Pack(pack) => pack.remove_index_range(2 * span.start, 2 * span.len()),
            Zset::Tree(sorted) => sorted.remove_range(span.start, span.end, &mut |_, _| {}),
        }
    }

    /// Makes a listpack a tree, whatever the limits are.
    pub fn expand(&mut self) {
        self.make_tree(0);
    }

    /// Makes it a tree, with room for `extra` further members.
    fn make_tree(&mut self, extra: usize) -> &mut Sorted {
        if let Zset::Pack(pack) = self {
            let pack = pack.as_ref();
            let mut sorted = Sorted::new(hash::process());
            sorted.reserve(pack.len() / 2 + extra);
            for (item, score) in pack::pairs(pack) {
                sorted.insert(item.bytes(&mut itoa::Buffer::new()), score);
            }
            *self = Zset::Tree(Box::new(sorted));
        }
        match self {
            Zset::Tree(sorted) => sorted,
            Zset::Pack(_) => unreachable!("made a tree above"),
        }
    }
}

impl<'a> ZsetRef<'a> {
    /// The number of members.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            ZsetRef::Pack(pack) => pack.len() / 2,
            ZsetRef::Tree(sorted) => sorted.len(),
        }
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        match self {
            ZsetRef::Pack(pack) => pack.is_empty(),
            ZsetRef::Tree(sorted) => sorted.is_empty(),
        }
    }

    /// A member's score.
    #[inline]
    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            ZsetRef::Pack(pack) => Some(pack::find(pack, member)?.1),
            ZsetRef::Tree(sorted) => sorted.score(member),
        }
    }

    /// A member's rank and score.
    #[inline]
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            ZsetRef::Pack(pack) => pack::rank(pack, member),
            ZsetRef::Tree(sorted) => sorted.rank_hashed(member, sorted.hash(member)),
        }
    }

    /// The ranks that a range selects, from the lowest up.
    #[inline]
    pub fn span(self, range: &Range<'_>) -> ops::Range<usize> {
        match *range {
            Range::Ranks { start, stop } => range::of_ranks(start, stop, self.len()),
            Range::Between(low, high) => {
                let (start, end) = (self.count_below(low), self.count_below(high));
                start..end.max(start)
            }
        }
    }

    /// How many members lie below an edge.
    fn count_below(self, edge: Edge<'_>) -> usize {
        match (self, edge) {
            (_, Edge::Lowest) => 0,
            (_, Edge::Highest) => self.len(),
            (ZsetRef::Pack(pack), _) => pack::count_below(pack, edge),
            (ZsetRef::Tree(sorted), _) => range::count_below(sorted, edge),
        }
    }

    /// Shows the members of these ranks, from the lowest up or from the highest down.
    #[inline]
    pub fn walk(
        self,
        span: ops::Range<usize>,
        descending: bool,
        mut visit: impl FnMut(Item<'a>, f64),
    ) {
        if span.is_empty() {
            return;
        }
        let count = span.len();
        let mut show = |(member, score)| visit(Item::Bytes(member), score);
        match (self, descending) {
            (ZsetRef::Tree(sorted), false) => {
                sorted.iter_from(span.start).take(count).for_each(&mut show);
            }
            (ZsetRef::Tree(sorted), true) => {
                let last = span.end - 1;
                sorted.iter_back_from(last).take(count).for_each(&mut show);
            }
            (ZsetRef::Pack(pack), false) => {
                let pairs = pack::pairs_from(pack, span.start).take(count);
                pairs.for_each(|(item, score)| visit(item, score));
            }
            (ZsetRef::Pack(pack), true) => {
                let pairs = pack::pairs_down_from(pack, span.end - 1).take(count);
                pairs.for_each(|(item, score)| visit(item, score));
            }
        }
    }

    /// Shows the members whose scores lie in a range, from the lowest up, until `visit` says to break.
    #[inline]
    pub fn visit_scores(
        self,
        scores: ops::Range<f64>,
        mut visit: impl FnMut(Item<'a>, f64) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            ZsetRef::Pack(pack) => pack::pairs(pack)
                .skip_while(|&(_, score)| score < scores.start)
                .take_while(|&(_, score)| score < scores.end)
                .try_for_each(|(item, score)| visit(item, score)),
            ZsetRef::Tree(sorted) => sorted
                .iter_from(range::count_below(sorted, Edge::BelowScore(scores.start)))
                .take_while(|&(_, score)| score < scores.end)
                .try_for_each(|(member, score)| visit(Item::Bytes(member), score)),
        }
    }

    /// Shows some members and returns the cursor to go on from; a scan starts and ends at 0. A listpack
    /// is shown as a whole.
    pub fn scan(self, cursor: u64, mut visit: impl FnMut(Item<'a>, f64)) -> u64 {
        match self {
            ZsetRef::Pack(pack) => {
                pack::pairs(pack).for_each(|(item, score)| visit(item, score));
                0
            }
            ZsetRef::Tree(sorted) => {
                sorted.scan(cursor, |member, score| visit(Item::Bytes(member), score))
            }
        }
    }

    /// A sorted set of its own that holds the members of these ranks.
    pub fn copy_span(self, span: ops::Range<usize>, limits: Limits) -> Zset {
        let mut longest = 0;
        self.walk(span.clone(), false, |item, _| {
            longest = longest.max(item.len())
        });
        let mut copy = Zset::for_members(span.len(), longest, limits);
        self.walk(span, false, |item, score| {
            copy.push_last(item.bytes(&mut itoa::Buffer::new()), score);
        });
        copy
    }
}
