//! A tree of elements in the order of their scores, and of their bytes where scores are equal, that
//! knows every element's rank.
//!
//! ```text
//!                  ┌───────────────────────────────┐
//!                  │ first score, count, … a child │           inner: up to 51 children
//!                  └───┬───────────┬───────────┬───┘
//!          ┌───────────┘           │           └───────────┐
//!  ┌───────┴───────┐       ┌───────┴───────┐       ┌───────┴───────┐
//!  │ references    │       │ references    │       │ references    │  leaves: up to 72 elements
//!  └───────────────┘       └───────────────┘       └───────────────┘
//! ```
//!
//! It is a B+ tree (Bayer and McCreight 1972; Comer 1979) whose inner nodes count the elements below
//! each child, so that a rank is a sum on the way down. They also hold each child's first element with
//! its score: a descent follows pointers to elements only where scores are equal. A leaf is nothing but
//! references, 6 bytes each, in an allocation that is as long as they need. Elements that are in the
//! tree are found in their leaf by their address; for a new one the leaf is searched in two rounds of
//! eight fetches at once.
//!
//! A full leaf splits in two halves, or gives its right neighbour only the new element if that comes
//! last of all: what is inserted in ascending order makes full leaves. A node of less than a quarter
//! merges with its neighbour, or shares with it. The nodes at the tree's edges may be smaller. A run of
//! elements that comes before or behind all others becomes a leaf as it is: what is read back in order is
//! not searched for, and makes full leaves too.
//! There are no links between leaves, which would have to be kept: a walk finds the next leaf by its
//! rank, one descent for about fifty elements.
//!
//! The tree does not own the elements. No two of them are equal in score and bytes, and none changes
//! either but through [`Ordered::rescore`].
//!
//! Costs: 7 to 9 bytes an element beside the element itself, up to 16 when most were removed. Each
//! operation is one descent, a rescore at most three.

mod inner;
mod leaf;
#[cfg(test)]
mod tests;
mod walk;

use super::element::Element;
use crate::base::alloc;
use inner::{INNER_MAX, Inner};
use leaf::{LEAF_MAX, Leaf};
use walk::Walk;

/// The tree.
#[derive(Default)]
pub struct Ordered {
    root: Option<Node>,
    len: usize,
    tally: Tally,
}

/// What the nodes of a tree take.
#[derive(Default, Debug, PartialEq, Eq)]
struct Tally {
    leaf_bytes: usize,
    inners: usize,
}

enum Node {
    Leaf(Leaf),
    Inner(Box<Inner>),
}

/// An end of the tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Left,
    Right,
}

/// How many elements [`Ordered::insert_run`] takes at once.
pub(super) const RUN_MAX: usize = LEAF_MAX;

/// A number that sorts as the score does; both zeros are the same.
#[inline]
pub(super) fn order(score: f64) -> u64 {
    debug_assert!(!score.is_nan(), "a score is a number");
    // Adding zero turns the negative zero into the positive one.
    let bits = (score + 0.0).to_bits();
    // All bits of a negative number, whose magnitude sorts the wrong way, the sign of a positive one.
    bits ^ ((bits as i64 >> 63) as u64 | 1 << 63)
}

/// A place between elements: those before it, then those behind it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// Elements of a lower order are before the place.
    least: u64,
    /// Of those from `least` to below this order, the bytes decide. All others are behind it.
    most: u64,
    bytes: &'a [u8],
    /// Whether an element of just these bytes is before the place.
    inclusive: bool,
}

impl<'a> Place<'a> {
    /// Before all elements of a score, or behind them if `inclusive`.
    pub(super) fn by_score(score: f64, inclusive: bool) -> Place<'a> {
        let order = order(score) + u64::from(inclusive);
        Place {
            least: order,
            most: order,
            bytes: &[],
            inclusive,
        }
    }

    /// Before the element of these bytes, or behind it if `inclusive`, whatever the scores are.
    pub(super) fn by_bytes(bytes: &'a [u8], inclusive: bool) -> Place<'a> {
        Place {
            least: 0,
            most: u64::MAX,
            bytes,
            inclusive,
        }
    }

    /// Behind an element, were its score `score`.
    fn behind(element: Element, score: f64) -> Place<'a> {
        let order = order(score);
        Place {
            least: order,
            most: order + 1,
            bytes: element.field(),
            inclusive: true,
        }
    }

    /// Whether an element is before the place.
    #[inline]
    fn follows(&self, element: Element) -> bool {
        let order = order(element.score());
        order < self.least || order < self.most && self.follows_bytes(element.field())
    }

    /// [`Place::follows`] where the bytes decide.
    #[inline]
    fn follows_bytes(&self, bytes: &[u8]) -> bool {
        bytes < self.bytes || self.inclusive && bytes == self.bytes
    }
}

/// Whether an element comes before another.
pub(super) fn precedes(one: Element, other: Element) -> bool {
    one != other && Place::behind(other, other.score()).follows(one)
}

/// The first index from `low` to before `high` whose element is not `before` a place, `high` if there is
/// none. What the search may ask about next is fetched at once.
fn search(
    mut low: usize,
    mut high: usize,
    get: impl Fn(usize) -> Element,
    before: impl Fn(Element) -> bool,
) -> usize {
    const WAYS: usize = 8;
    while high - low >= WAYS {
        let probe = |way: usize| low + (high - low) * way / WAYS;
        for way in 1..WAYS {
            get(probe(way)).prefetch();
        }
        let way = halve(1, WAYS, |way| before(get(probe(way))));
        let from = if way == 1 { low } else { probe(way - 1) + 1 };
        let to = if way == WAYS { high } else { probe(way) };
        (low, high) = (from, to);
    }
    for index in low..high {
        get(index).prefetch();
    }
    halve(low, high, |index| before(get(index)))
}

/// The first number from `low` to before `high` of which `before` is false, `high` if there is none.
#[inline]
fn halve(mut low: usize, mut high: usize, before: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

impl Ordered {
    /// An empty tree, which allocates nothing.
    pub(super) fn new() -> Ordered {
        Ordered::default()
    }

    /// The number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that the nodes take.
    pub(super) fn allocated(&self) -> usize {
        self.tally.leaf_bytes + self.tally.inners * alloc::class_size(size_of::<Inner>(), 8)
    }

    /// Adds an element, which must not be there.
    pub(super) fn insert(&mut self, element: Element) {
        let tally = &mut self.tally;
        let Some(root) = &mut self.root else {
            self.root = Some(Node::Leaf(tally.added(Leaf::of(&[element]))));
            self.len = 1;
            return;
        };
        let place = Place::behind(element, element.score());
        if let Some(right) = root.insert(element, place, true, tally) {
            self.grow(right);
        }
        self.len += 1;
    }

    /// Adds elements in ascending order, none of which may be there: at most [`RUN_MAX`].
    pub(super) fn insert_run(&mut self, run: &[Element]) {
        let [first, .., last] = run else {
            return run.iter().for_each(|&element| self.insert(element));
        };
        let edge = match (self.first(), self.last()) {
            (Some(least), _) if precedes(*last, least) => Edge::Left,
            (_, Some(most)) if precedes(most, *first) => Edge::Right,
            (None, _) => Edge::Right,
            _ => return run.iter().for_each(|&element| self.insert(element)),
        };
        let leaf = Leaf::of(run);
        self.len += run.len();
        let right = match &mut self.root {
            Some(root) => root.add_leaf(leaf, edge, &mut self.tally),
            None => {
                self.root = Some(Node::Leaf(self.tally.added(leaf)));
                return;
            }
        };
        if let Some(right) = right {
            self.grow(right);
        }
    }

    /// Puts a root above the old one and what split off it.
    fn grow(&mut self, right: Node) {
        let mut above = Inner::new();
        self.tally.inners += 1;
        above.insert(0, self.root.take().expect("there is a root"));
        above.insert(1, right);
        self.root = Some(Node::Inner(above));
    }

    /// Removes an element, which must be there.
    pub(super) fn remove(&mut self, element: Element) {
        let root = self.root.as_mut().expect("the element is in the tree");
        let place = Place::behind(element, element.score());
        root.remove(element, place, &mut self.tally);
        self.len -= 1;
        self.settle_root();
    }

    /// Removes elements from rank `from` on and adds them to `run`: at least one, at most `max` and not
    /// more than a leaf holds.
    pub(super) fn remove_run(&mut self, from: usize, max: usize, run: &mut Vec<Element>) {
        assert!(from < self.len && max > 0, "nothing to remove");
        let root = self.root.as_mut().expect("there are elements");
        self.len -= root.remove_run(from, max, run, &mut self.tally);
        self.settle_root();
    }

    /// Puts `new`, which has the same score and bytes, in the place of `old`.
    pub(super) fn replace(&mut self, old: Element, new: Element) {
        debug_assert!(old.field() == new.field() && order(old.score()) == order(new.score()));
        let root = self.root.as_mut().expect("the element is in the tree");
        root.replace(old, new, Place::behind(old, old.score()));
    }

    /// Gives an element, which must be there, another score and the place that goes with it.
    pub(super) fn rescore(&mut self, element: Element, score: f64) {
        if self.keeps_place(element, score) {
            element.set_score(score);
            return;
        }
        self.remove(element);
        element.set_score(score);
        self.insert(element);
    }

    /// The number of elements before a place.
    pub(super) fn count(&self, place: Place<'_>) -> usize {
        let Some(mut node) = self.root.as_ref() else {
            return 0;
        };
        let mut count = 0;
        loop {
            match node {
                Node::Leaf(leaf) => return count + leaf.partition(place),
                Node::Inner(inner) => {
                    let index = inner.child_at(place);
                    node = inner.child(index);
                    node.prefetch();
                    count += inner.count_before(index);
                }
            }
        }
    }

    /// The rank of an element, which must be there.
    pub(super) fn rank(&self, element: Element) -> usize {
        let (leaf, index, before) = self.find(element);
        debug_assert!(leaf.get(index) == element);
        before + index
    }

    /// The element of a rank.
    pub(super) fn at(&self, rank: usize) -> Option<Element> {
        (rank < self.len).then(|| {
            let (leaf, index) = self.locate(rank);
            leaf.get(index)
        })
    }

    /// The first element.
    pub(super) fn first(&self) -> Option<Element> {
        self.root.as_ref().map(Node::first)
    }

    /// The last element.
    pub(super) fn last(&self) -> Option<Element> {
        self.at(self.len.wrapping_sub(1))
    }

    /// All elements from a rank on; those to come are prefetched.
    pub(super) fn walk(&self, from: usize) -> Walk<'_, false> {
        Walk::from(self, from, |leaf, index| leaf.len() - index)
    }

    /// All elements from a rank on down to the first; those to come are prefetched.
    pub(super) fn walk_back(&self, from: usize) -> Walk<'_, true> {
        Walk::from(self, from, |_, index| index + 1)
    }

    /// The leaf of an element, its place there, and the number of elements before the leaf.
    fn find(&self, element: Element) -> (&Leaf, usize, usize) {
        let place = Place::behind(element, element.score());
        let mut node = self.root.as_ref().expect("the element is in the tree");
        let mut before = 0;
        loop {
            match node {
                Node::Leaf(leaf) => return (leaf, position(leaf, element), before),
                Node::Inner(inner) => {
                    let index = inner.child_at(place);
                    node = inner.child(index);
                    node.prefetch();
                    before += inner.count_before(index);
                }
            }
        }
    }

    /// Whether the element keeps its place with another score. False is always right: an element at
    /// the end of its leaf counts as moved.
    fn keeps_place(&self, element: Element, score: f64) -> bool {
        let (leaf, index, _) = self.find(element);
        if index == 0 || index + 1 == leaf.len() {
            return false;
        }
        let (previous, next) = (leaf.get(index - 1), leaf.get(index + 1));
        previous.prefetch();
        next.prefetch();
        let place = Place::behind(element, score);
        place.follows(previous) && !place.follows(next)
    }

    /// The leaf that holds the element of a rank, and its place there.
    fn locate(&self, mut rank: usize) -> (&Leaf, usize) {
        let mut node = self.root.as_ref().expect("a rank below the length");
        loop {
            match node {
                Node::Leaf(leaf) => return (leaf, rank),
                Node::Inner(inner) => {
                    let (index, rest) = inner.child_of_rank(rank);
                    node = inner.child(index);
                    rank = rest;
                }
            }
        }
    }

    /// Takes away a root that has nothing or a single child below it.
    fn settle_root(&mut self) {
        loop {
            match &mut self.root {
                Some(Node::Inner(inner)) if inner.len() <= 1 => {
                    self.tally.inners -= 1;
                    self.root = (inner.len() == 1).then(|| inner.remove(0));
                }
                Some(Node::Leaf(leaf)) if leaf.len() == 0 => {
                    self.tally.leaf_bytes -= leaf.allocated();
                    self.root = None;
                }
                _ => return,
            }
        }
    }
}

impl Tally {
    fn added(&mut self, leaf: Leaf) -> Leaf {
        self.leaf_bytes += leaf.allocated();
        leaf
    }

    /// Changes a leaf and follows its size.
    fn change<T>(&mut self, leaf: &mut Leaf, change: impl FnOnce(&mut Leaf) -> T) -> T {
        self.leaf_bytes -= leaf.allocated();
        let result = change(leaf);
        self.leaf_bytes += leaf.allocated();
        result
    }
}

impl Node {
    /// The number of elements below.
    fn count(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.len(),
            Node::Inner(inner) => inner.count(),
        }
    }

    /// The number of elements or children in the node itself.
    fn size(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.len(),
            Node::Inner(inner) => inner.len(),
        }
    }

    /// What [`Node::size`] is at most.
    fn size_max(&self) -> usize {
        match self {
            Node::Leaf(_) => LEAF_MAX,
            Node::Inner(_) => INNER_MAX,
        }
    }

    /// Whether the node has so little in it that its neighbour should take it, or share.
    fn is_underfull(&self) -> bool {
        self.size() < self.size_max() / 4
    }

    #[inline]
    fn first(&self) -> Element {
        match self {
            Node::Leaf(leaf) => leaf.get(0),
            Node::Inner(inner) => inner.first(),
        }
    }

    /// Asks the processor for what a descent reads of the node.
    #[inline]
    fn prefetch(&self) {
        match self {
            Node::Leaf(leaf) => leaf.prefetch(),
            Node::Inner(inner) => inner.prefetch(),
        }
    }

    /// Adds an element at its place. If the node was full, it returns the new one
    /// that took its right part. `edge`: nothing in the tree is to the right of this node.
    fn insert(
        &mut self,
        element: Element,
        place: Place<'_>,
        edge: bool,
        tally: &mut Tally,
    ) -> Option<Node> {
        match self {
            Node::Leaf(leaf) => {
                let index = leaf.partition(place);
                insert_in_leaf(leaf, index, element, edge, tally).map(Node::Leaf)
            }
            Node::Inner(inner) => {
                let index = inner.child_at(place);
                let last = index + 1 == inner.len();
                let old = inner.count_of(index);
                let child = inner.child_mut(index);
                child.prefetch();
                let Some(right) = child.insert(element, place, edge && last, tally) else {
                    inner.refresh(index, old + 1);
                    return None;
                };
                inner.refresh(index, old + 1 - right.count());
                let edge = edge.then_some(Edge::Right);
                insert_in_inner(inner, index + 1, right, edge, tally).map(Node::Inner)
            }
        }
    }

    /// Adds a leaf, which is not counted yet, before or behind all elements below. Returns what split off to the
    /// right, as [`Node::insert`] does.
    fn add_leaf(&mut self, leaf: Leaf, edge: Edge, tally: &mut Tally) -> Option<Node> {
        match self {
            Node::Leaf(own) => {
                tally.leaf_bytes -= own.allocated();
                let mut right = match edge {
                    Edge::Left => std::mem::replace(own, leaf),
                    Edge::Right => leaf,
                };
                let total = own.len() + right.len();
                if total <= LEAF_MAX {
                    own.append(&right);
                } else if own.len().min(right.len()) < LEAF_MAX / 4 {
                    // One of them is at the edge no longer.
                    share_leaves(own, &mut right, total / 2);
                }
                tally.leaf_bytes += own.allocated();
                (total > LEAF_MAX).then(|| {
                    tally.leaf_bytes += right.allocated();
                    Node::Leaf(right)
                })
            }
            Node::Inner(inner) => {
                let index = match edge {
                    Edge::Left => 0,
                    Edge::Right => inner.len() - 1,
                };
                let right = inner.child_mut(index).add_leaf(leaf, edge, tally);
                inner.refresh(index, inner.child(index).count());
                let right = insert_in_inner(inner, index + 1, right?, Some(edge), tally);
                right.map(Node::Inner)
            }
        }
    }

    /// Removes an element at its place.
    fn remove(&mut self, element: Element, place: Place<'_>, tally: &mut Tally) {
        match self {
            Node::Leaf(leaf) => {
                let index = position(leaf, element);
                tally.change(leaf, |leaf| leaf.remove(index, index + 1));
            }
            Node::Inner(inner) => {
                let index = inner.child_at(place);
                let child = inner.child_mut(index);
                child.prefetch();
                child.remove(element, place, tally);
                settle(inner, index, 1, tally);
            }
        }
    }

    /// Moves elements from a rank on to `run`, at most `max` and from one leaf, and says how many.
    fn remove_run(
        &mut self,
        from: usize,
        max: usize,
        run: &mut Vec<Element>,
        tally: &mut Tally,
    ) -> usize {
        match self {
            Node::Leaf(leaf) => {
                let to = leaf.len().min(from.saturating_add(max));
                run.extend((from..to).map(|index| leaf.get(index)));
                tally.change(leaf, |leaf| leaf.remove(from, to));
                to - from
            }
            Node::Inner(inner) => {
                let (index, rank) = inner.child_of_rank(from);
                let gone = inner.child_mut(index).remove_run(rank, max, run, tally);
                settle(inner, index, gone, tally);
                gone
            }
        }
    }

    fn replace(&mut self, old: Element, new: Element, place: Place<'_>) {
        match self {
            Node::Leaf(leaf) => leaf.replace(position(leaf, old), new),
            Node::Inner(inner) => {
                let index = inner.child_at(place);
                inner.child_mut(index).replace(old, new, place);
                inner.refresh(index, inner.count_of(index));
            }
        }
    }
}

#[inline]
fn position(leaf: &Leaf, element: Element) -> usize {
    leaf.position(element)
        .expect("an element of the tree is in the leaf its score leads to")
}

fn insert_in_leaf(
    leaf: &mut Leaf,
    index: usize,
    element: Element,
    edge: bool,
    tally: &mut Tally,
) -> Option<Leaf> {
    let len = leaf.len();
    if len < LEAF_MAX {
        tally.change(leaf, |leaf| leaf.insert(index, element));
        return None;
    }
    if edge && index == len {
        return Some(tally.added(Leaf::of(&[element])));
    }
    let half = len / 2;
    let mut right = tally.change(leaf, |leaf| leaf.split_off(half));
    if index <= half {
        tally.change(leaf, |leaf| leaf.insert(index, element));
    } else {
        right.insert(index - half, element);
    }
    Some(tally.added(right))
}

fn insert_in_inner(
    inner: &mut Inner,
    index: usize,
    node: Node,
    edge: Option<Edge>,
    tally: &mut Tally,
) -> Option<Box<Inner>> {
    let len = inner.len();
    if len < INNER_MAX {
        inner.insert(index, node);
        return None;
    }
    tally.inners += 1;
    let half = match edge {
        Some(Edge::Right) if index == len => {
            let mut right = Inner::new();
            right.insert(0, node);
            return Some(right);
        }
        Some(Edge::Left) if index == 1 => 1,
        _ => len / 2,
    };
    let mut right = inner.split_off(half);
    if index <= half {
        inner.insert(index, node);
    } else {
        right.insert(index - half, node);
    }
    Some(right)
}

/// Brings a node in order after `gone` elements below its child at `index` went.
fn settle(inner: &mut Inner, index: usize, gone: usize, tally: &mut Tally) {
    let child = inner.child(index);
    if child.size() == 0 {
        match inner.remove(index) {
            Node::Leaf(leaf) => tally.leaf_bytes -= leaf.allocated(),
            Node::Inner(_) => tally.inners -= 1,
        }
        return;
    }
    let underfull = child.is_underfull();
    inner.refresh(index, inner.count_of(index) - gone);
    if underfull && inner.len() > 1 {
        balance(inner, index.saturating_sub(1), tally);
    }
}

/// Merges the children at `index` and after it, or shares what they have between them.
fn balance(inner: &mut Inner, index: usize, tally: &mut Tally) {
    let (left, right) = inner.pair_mut(index);
    let total = left.size() + right.size();
    let merged = total <= left.size_max();
    match (left, right) {
        (Node::Leaf(left), Node::Leaf(right)) => {
            tally.leaf_bytes -= left.allocated() + right.allocated();
            share_leaves(left, right, if merged { total } else { total / 2 });
            tally.leaf_bytes += left.allocated();
            if !merged {
                tally.leaf_bytes += right.allocated();
            }
        }
        (Node::Inner(left), Node::Inner(right)) => {
            share_inners(left, right, if merged { total } else { total / 2 });
            tally.inners -= usize::from(merged);
        }
        _ => panic!("children of one node at different depths"),
    }
    if merged {
        drop(inner.remove(index + 1));
    } else {
        inner.refresh(index + 1, inner.child(index + 1).count());
    }
    inner.refresh(index, inner.child(index).count());
}

/// Moves elements so that the left leaf has `size`.
fn share_leaves(left: &mut Leaf, right: &mut Leaf, size: usize) {
    if left.len() > size {
        let mut moved = left.split_off(size);
        moved.append(right);
        *right = moved;
    } else {
        let rest = right.split_off(size - left.len());
        left.append(right);
        *right = rest;
    }
}

/// Moves children so that the left node has `size`.
fn share_inners(left: &mut Box<Inner>, right: &mut Box<Inner>, size: usize) {
    if left.len() > size {
        let mut moved = left.split_off(size);
        moved.append(right);
        *right = moved;
    } else {
        let rest = right.split_off(size - left.len());
        left.append(right);
        *right = rest;
    }
}
