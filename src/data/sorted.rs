//! A big sorted set: a hash table of elements, which it owns, and a tree of the same elements in order.
//!
//! A member's score is found by its hash, its rank by its score; both lie in the element, so a change
//! of score moves a reference and allocates nothing for the element.
//!
//! Costs: 10 to 14 bytes of table and 7 to 9 of tree a member, and 10 beside its own bytes, rounded up
//! to an even number.

use super::element::Element;
use super::ordered::{self, Ordered};
use super::table::{Handle, Place, Table};
use crate::base::hash::Hasher;
use crate::base::rng::Rng;

/// A set of byte strings that are ordered by their scores, and by their bytes where scores are equal.
/// Scores are numbers: never NaN.
pub struct Sorted {
    table: Table<Element>,
    tree: Ordered,
    /// Bytes of all elements.
    bytes: usize,
}

/// How many members [`Sorted::insert_batch`] takes.
pub const BATCH_MAX: usize = ordered::RUN_MAX;

/// A place between members, see [`Sorted::count_below`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound<'a> {
    /// Before all members of this score, or behind them if the flag is true.
    Score(f64, bool),
    /// Before this member, whether it exists or not, or behind it if the flag is true, in a set all of
    /// whose members have one score.
    Lex(&'a [u8], bool),
}

impl Sorted {
    /// An empty set, which allocates nothing.
    pub fn new(hasher: Hasher) -> Sorted {
        Sorted {
            table: Table::new(hasher),
            tree: Ordered::new(),
            bytes: 0,
        }
    }

    /// The number of members.
    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no member.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The hash of a member, for the methods that take one.
    #[inline]
    pub fn hash(&self, member: &[u8]) -> u64 {
        self.table.hasher().hash(member)
    }

    /// Asks the processor for the bucket of `hash`.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch_bucket(hash);
    }

    /// Asks the processor for the member that `hash` most likely leads to; its bucket should have come.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        self.table.prefetch_entry(hash);
    }

    /// A member's score.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.score_hashed(member, self.hash(member))
    }

    /// [`Sorted::score`] of a member whose hash is known.
    #[inline]
    pub fn score_hashed(&self, member: &[u8], hash: u64) -> Option<f64> {
        let place = self.find(member, hash)?;
        Some(self.table.get(place).score())
    }

    /// Gives a member a score, and returns its former one; none if it is new.
    #[inline]
    pub fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        self.insert_hashed(member, self.hash(member), score)
    }

    /// [`Sorted::insert`] of a member whose hash is known.
    #[inline]
    pub fn insert_hashed(&mut self, member: &[u8], hash: u64, score: f64) -> Option<f64> {
        self.update_hashed(member, hash, |_| Some(score))
    }

    /// Adds new members with their scores, at most [`BATCH_MAX`]: quicker than one after the other, and more so if
    /// they are in order, up or down, and beyond those that are there. False if one was there or comes twice: those
    /// before it are added then.
    pub fn insert_batch<'m>(
        &mut self,
        members: impl Iterator<Item = (&'m [u8], f64)> + Clone,
    ) -> bool {
        let mut hashes = [0; BATCH_MAX];
        let mut count = 0;
        for ((member, _), hash) in members.clone().zip(&mut hashes) {
            *hash = self.hash(member);
            self.prefetch_bucket(*hash);
            count += 1;
        }
        let mut run = Vec::with_capacity(count);
        let mut are_new = true;
        for ((member, score), &hash) in members.zip(&hashes) {
            assert!(!score.is_nan(), "a score is a number");
            are_new = self.find(member, hash).is_none();
            if !are_new {
                break;
            }
            let element = Element::new(member, Some(score), None);
            self.bytes += element.allocated();
            self.table.insert(hash, element);
            run.push(element);
        }
        if run.is_sorted_by(|a, b| ordered::precedes(*b, *a)) {
            run.reverse();
        }
        if run.is_sorted_by(|a, b| ordered::precedes(*a, *b)) {
            self.tree.insert_run(&run);
        } else {
            run.iter().for_each(|&element| self.tree.insert(element));
        }
        are_new
    }

    /// Gives a member the score that `decide` chooses, which is told its present one, none if the member
    /// is new. If it chooses none, everything stays as it is. Returns the former score.
    pub fn update_hashed(
        &mut self,
        member: &[u8],
        hash: u64,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Option<f64> {
        let known = self.find(member, hash).map(|place| self.table.get(place));
        let former = known.map(Element::score);
        let chosen = decide(former);
        assert!(!chosen.is_some_and(f64::is_nan), "a score is a number");
        match (known, chosen) {
            (_, None) => {}
            (Some(element), Some(score)) => {
                if former != chosen {
                    self.tree.rescore(element, score);
                }
            }
            (None, Some(score)) => {
                let element = Element::new(member, Some(score), None);
                self.bytes += element.allocated();
                self.table.insert(hash, element);
                self.tree.insert(element);
            }
        }
        former
    }

    /// Removes a member, and returns its score.
    #[inline]
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        self.remove_hashed(member, self.hash(member))
    }

    /// [`Sorted::remove`] of a member whose hash is known.
    pub fn remove_hashed(&mut self, member: &[u8], hash: u64) -> Option<f64> {
        let place = self.find(member, hash)?;
        let element = self.table.get(place);
        let score = element.score();
        self.tree.remove(element);
        self.release(element, hash, place);
        Some(score)
    }

    /// How many members sort before this one.
    #[inline]
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        Some(self.rank_hashed(member, self.hash(member))?.0)
    }

    /// [`Sorted::rank`] of a member whose hash is known, and its score.
    pub fn rank_hashed(&self, member: &[u8], hash: u64) -> Option<(usize, f64)> {
        let element = self.table.get(self.find(member, hash)?);
        Some((self.tree.rank(element), element.score()))
    }

    /// The member of a rank, and its score.
    pub fn at(&self, rank: usize) -> Option<(&[u8], f64)> {
        self.tree.at(rank).map(parts)
    }

    /// How many members sort before a bound: the members between two bounds are those of the ranks from
    /// one's count to before the other's.
    pub fn count_below(&self, bound: Bound<'_>) -> usize {
        self.tree.count(match bound {
            Bound::Score(score, inclusive) => ordered::Place::by_score(score, inclusive),
            Bound::Lex(member, inclusive) => ordered::Place::by_bytes(member, inclusive),
        })
    }

    /// The members from a rank on, in ascending order; those to come are prefetched.
    pub fn iter_from(&self, rank: usize) -> impl ExactSizeIterator<Item = (&[u8], f64)> {
        self.tree.walk(rank).map(parts)
    }

    /// The members from a rank on down to the first, in descending order; those to come are prefetched.
    /// A rank beyond the last is none at all.
    pub fn iter_back_from(&self, rank: usize) -> impl ExactSizeIterator<Item = (&[u8], f64)> {
        self.tree.walk_back(rank).map(parts)
    }

    /// Visits some members, in no order, and returns the cursor to go on from; a scan starts and ends
    /// at 0. A member that is there during a whole scan is visited at least once.
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(&'a [u8], f64)) -> u64 {
        self.table.scan(cursor, |element| {
            visit(element.field(), element.score());
        })
    }

    /// A member chosen with equal chance among all.
    pub fn random(&self, rng: &mut Rng) -> Option<(&[u8], f64)> {
        self.table.random(|| rng.next_u64()).map(parts)
    }

    /// Removes the members of the ranks from `from` to before `to`, after `visit` has seen them in
    /// ascending order.
    pub fn remove_range(&mut self, from: usize, to: usize, visit: &mut impl FnMut(&[u8], f64)) {
        let mut left = to.min(self.len()).saturating_sub(from);
        let mut run = Vec::new();
        while left > 0 {
            run.clear();
            self.tree.remove_run(from, left, &mut run);
            left -= run.len();
            for element in &run {
                element.prefetch();
            }
            for &element in &run {
                visit(element.field(), element.score());
                self.release_element(element);
            }
        }
    }

    /// Removes the first member, after `visit` has seen it. False if there is none.
    pub fn pop_first(&mut self, visit: impl FnOnce(&[u8], f64)) -> bool {
        self.pop(self.tree.first(), visit)
    }

    /// Removes the last member, after `visit` has seen it. False if there is none.
    pub fn pop_last(&mut self, visit: impl FnOnce(&[u8], f64)) -> bool {
        self.pop(self.tree.last(), visit)
    }

    /// Grows the table ahead of `extra` further members. Inserting them in ascending order makes the
    /// smallest tree, and is fastest.
    pub fn reserve(&mut self, extra: usize) {
        self.table.reserve(extra);
    }

    /// Bytes that table, tree and members take.
    pub fn allocated(&self) -> usize {
        self.table.bytes() + self.tree.allocated() + self.bytes
    }

    #[inline]
    fn find(&self, member: &[u8], hash: u64) -> Option<Place> {
        self.table.find(hash, |element| element.field() == member)
    }

    fn pop(&mut self, element: Option<Element>, visit: impl FnOnce(&[u8], f64)) -> bool {
        let Some(element) = element else {
            return false;
        };
        visit(element.field(), element.score());
        self.tree.remove(element);
        self.release_element(element);
        true
    }

    /// Frees an element that is no more in the tree.
    fn release_element(&mut self, element: Element) {
        let hash = element.hash(self.table.hasher());
        let place = self.table.find(hash, |other| other == element);
        self.release(
            element,
            hash,
            place.expect("the tree's elements are in the table"),
        );
    }

    fn release(&mut self, element: Element, hash: u64, place: Place) {
        self.bytes -= element.allocated();
        self.table.remove(hash, place);
        element.free();
    }
}

#[inline]
fn parts<'a>(element: Element) -> (&'a [u8], f64) {
    (element.field(), element.score())
}

impl Clone for Sorted {
    fn clone(&self) -> Sorted {
        let mut copy = Sorted::new(*self.table.hasher());
        copy.table.reserve(self.len());
        copy.bytes = self.bytes;
        for element in self.tree.walk(0) {
            let element = element.duplicate();
            copy.table
                .insert(element.hash(self.table.hasher()), element);
            copy.tree.insert(element);
        }
        copy
    }
}

impl Drop for Sorted {
    fn drop(&mut self) {
        self.table.iter().for_each(Element::free);
    }
}

#[cfg(test)]
mod tests;
