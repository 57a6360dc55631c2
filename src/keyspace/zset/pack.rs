//! A sorted set as a listpack: each member followed by its score, in order.
//!
//! Scores are stored as Redis stores them, so that the bytes are the same: whole numbers up to 2^62
//! as integers (which makes 0 of -0), others as their shortest text.

use super::range::Edge;
use crate::base::num::{F64_TEXT_MAX, format_f64_shortest, parse_f64};
use crate::data::listpack::{Item, Listpack, ListpackBuf, Needle, Pos};
use std::cmp::Ordering;
use std::iter;

/// All members with their scores, from the lowest up.
#[inline]
pub(super) fn pairs<'a>(pack: Listpack<'a>) -> impl Iterator<Item = (Item<'a>, f64)> {
    let mut items = pack.iter();
    iter::from_fn(move || Some((items.next()?, score_of(items.next()?))))
}

/// The members of this rank and higher ones, upwards.
pub(super) fn pairs_from<'a>(
    pack: Listpack<'a>,
    rank: usize,
) -> impl Iterator<Item = (Item<'a>, f64)> {
    let mut items = pack.seek(2 * rank as isize).map(|at| pack.iter_from(at));
    iter::from_fn(move || {
        let items = items.as_mut()?;
        Some((items.next()?, score_of(items.next()?)))
    })
}

/// The members of this rank and lower ones, downwards.
pub(super) fn pairs_down_from<'a>(
    pack: Listpack<'a>,
    rank: usize,
) -> impl Iterator<Item = (Item<'a>, f64)> {
    let last = pack.seek(2 * rank as isize + 1);
    let mut items = last.map(|at| pack.iter_back_from(at));
    iter::from_fn(move || {
        let items = items.as_mut()?;
        let score = score_of(items.next()?);
        Some((items.next()?, score))
    })
}

/// Where a member stands, and its score.
#[inline]
pub(super) fn find(pack: Listpack<'_>, member: &[u8]) -> Option<(Pos, f64)> {
    let at = pack.find(pack.first()?, &Needle::new(member), 2)?;
    Some((at, score_of(pack.get(score_place(pack, at)))))
}

/// A member's rank and score.
pub(super) fn rank(pack: Listpack<'_>, member: &[u8]) -> Option<(usize, f64)> {
    let needle = Needle::new(member);
    let mut items = pack.iter();
    let mut rank = 0;
    while let (Some(item), Some(score)) = (items.next(), items.next()) {
        if needle.is(item) {
            return Some((rank, score_of(score)));
        }
        rank += 1;
    }
    None
}

/// How many members lie below an edge.
pub(super) fn count_below(pack: Listpack<'_>, edge: Edge<'_>) -> usize {
    let mut members = pack.iter().step_by(2);
    let mut scores = pack.iter().skip(1).step_by(2).map(score_of);
    let above = match edge {
        Edge::Lowest => Some(0),
        Edge::Highest => None,
        Edge::BelowScore(edge) => scores.position(|score| score >= edge),
        Edge::AboveScore(edge) => scores.position(|score| score > edge),
        Edge::BelowMember(edge) => members.position(|item| compare(item, edge).is_ge()),
        Edge::AboveMember(edge) => members.position(|item| compare(item, edge).is_gt()),
    };
    above.unwrap_or_else(|| pack.len() / 2)
}

/// Adds a member behind all others, where it belongs.
pub(super) fn push(pack: &mut ListpackBuf, member: &[u8], score: f64) {
    pack.push_back(member);
    match whole(score) {
        Some(score) => pack.push_back_int(score),
        None => pack.push_back(format_f64_shortest(&mut [0; F64_TEXT_MAX], score)),
    }
}

/// Adds a member that is not there, where it belongs.
pub(super) fn insert(pack: &mut ListpackBuf, member: &[u8], score: f64) {
    let Some(at) = place_for(pack.as_ref(), member, score) else {
        return push(pack, member, score);
    };
    // The score first: its place is known already, and the member's is the same.
    match whole(score) {
        Some(score) => pack.insert_before(at, itoa::Buffer::new().format(score).as_bytes()),
        None => pack.insert_before(at, format_f64_shortest(&mut [0; F64_TEXT_MAX], score)),
    };
    pack.insert_before(at, member);
}

/// Gives the member at a place another score, and moves it to where it belongs then.
pub(super) fn rescore(pack: &mut ListpackBuf, at: Pos, member: &[u8], score: f64) {
    let read = pack.as_ref();
    let own_score = score_place(read, at);
    let above_previous = read.prev(at).is_none_or(|previous_score| {
        let previous = read.prev(previous_score);
        let previous = previous.expect("a member stands before each score");
        sorts(read, previous, member, score).is_lt()
    });
    let below_next = read
        .next(own_score)
        .is_none_or(|next| sorts(read, next, member, score).is_gt());
    if !(above_previous && below_next) {
        pack.remove_range(at, 2);
        return insert(pack, member, score);
    }
    match whole(score) {
        Some(score) => pack.replace_int(own_score, score),
        None => pack.replace(
            own_score,
            format_f64_shortest(&mut [0; F64_TEXT_MAX], score),
        ),
    };
}

/// The place before which a new member belongs; `None` if that is the end.
fn place_for(pack: Listpack<'_>, member: &[u8], score: f64) -> Option<Pos> {
    // Scores that grow with time are common.
    if score_of(pack.get(pack.last()?)) < score {
        return None;
    }
    let mut at = pack.first();
    while let Some(place) = at {
        if sorts(pack, place, member, score).is_gt() {
            return Some(place);
        }
        at = pack.next(score_place(pack, place));
    }
    None
}

/// How the member at a place sorts beside another one.
#[inline]
fn sorts(pack: Listpack<'_>, at: Pos, member: &[u8], score: f64) -> Ordering {
    let own = score_of(pack.get(score_place(pack, at)));
    own.partial_cmp(&score)
        .expect("a score is a number")
        .then_with(|| compare(pack.get(at), member))
}

/// The place of the score of the member at this place.
#[inline]
fn score_place(pack: Listpack<'_>, member: Pos) -> Pos {
    pack.next(member).expect("a score follows each member")
}

/// The score that an item stands for. A text that is no number, which only a damaged file can hold,
/// counts as 0.
#[inline]
fn score_of(item: Item<'_>) -> f64 {
    match item {
        Item::Int(score) => score as f64,
        Item::Bytes(text) => parse_f64(text).unwrap_or(0.0),
    }
}

/// How the text of an item sorts beside another one.
#[inline]
fn compare(item: Item<'_>, text: &[u8]) -> Ordering {
    item.bytes(&mut itoa::Buffer::new()).cmp(text)
}

/// The integer that a score is stored as.
#[inline]
fn whole(score: f64) -> Option<i64> {
    const WHOLE_MAX: f64 = (1u64 << 62) as f64;
    let integer = score as i64;
    (score.abs() <= WHOLE_MAX && integer as f64 == score).then_some(integer)
}
