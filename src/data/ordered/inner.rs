//! An inner node: what it knows of each child, in arrays of their own so that a search or a count reads
//! few cache lines.

use super::{Node, Place, order, search};
use crate::data::element::Element;
use crate::data::table::prefetch;

/// Children of an inner node at most. The node fills an allocation of 2 KiB.
pub(super) const INNER_MAX: usize = 51;

const _: () = assert!(size_of::<Inner>() == 2048);

/// A node with children; all of them are at the same depth.
pub(super) struct Inner {
    len: usize,
    /// The order of each child's first element.
    orders: [u64; INNER_MAX],
    /// The number of elements below each child.
    counts: [usize; INNER_MAX],
    /// Each child's first element.
    firsts: [Option<Element>; INNER_MAX],
    nodes: [Option<Node>; INNER_MAX],
}

impl Inner {
    /// A node without children.
    pub(super) fn new() -> Box<Inner> {
        Box::new(Inner {
            len: 0,
            orders: [0; INNER_MAX],
            counts: [0; INNER_MAX],
            firsts: [None; INNER_MAX],
            nodes: [const { None }; INNER_MAX],
        })
    }

    /// The number of children.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The child at `index`.
    #[inline]
    pub(super) fn child(&self, index: usize) -> &Node {
        self.nodes[index].as_ref().expect("a child below `len`")
    }

    /// The child at `index`, to change. [`Inner::refresh`] must follow.
    #[inline]
    pub(super) fn child_mut(&mut self, index: usize) -> &mut Node {
        self.nodes[index].as_mut().expect("a child below `len`")
    }

    /// The first element below the node.
    #[inline]
    pub(super) fn first(&self) -> Element {
        self.firsts[0].expect("a node has a child")
    }

    /// The first element below the child at `index`.
    #[cfg(test)]
    pub(super) fn first_of(&self, index: usize) -> (u64, Option<Element>) {
        (self.orders[index], self.firsts[index])
    }

    /// The number of elements below the child at `index`.
    #[inline]
    pub(super) fn count_of(&self, index: usize) -> usize {
        self.counts[index]
    }

    /// The number of elements below the children before `index`.
    #[inline]
    pub(super) fn count_before(&self, index: usize) -> usize {
        self.counts[..index].iter().sum()
    }

    /// The number of elements below the node.
    pub(super) fn count(&self) -> usize {
        self.count_before(self.len)
    }

    /// The child in which a place lies: the last one whose first element is before it, or the first.
    #[inline]
    pub(super) fn child_at(&self, place: Place<'_>) -> usize {
        // The first child is the answer if no other is, whatever its first element.
        let orders = &self.orders[1..self.len];
        let mut before = orders.partition_point(|&order| order < place.least);
        if orders.get(before).is_some_and(|&order| order < place.most) {
            let most = orders.partition_point(|&order| order < place.most);
            before = search(
                before,
                most,
                |index| self.firsts[index + 1].expect("a child below `len`"),
                |first| place.follows_bytes(first.field()),
            );
        }
        before
    }

    /// Asks the processor for what a descent reads of the node.
    #[inline]
    pub(super) fn prefetch(&self) {
        let arrays: [*const u8; 2] = [
            (&raw const self.orders).cast(),
            (&raw const self.counts).cast(),
        ];
        for array in arrays {
            for line in 0..7 {
                prefetch(array.wrapping_add(64 * line));
            }
        }
    }

    /// The child that holds the element of this rank below the node, and its rank below the child.
    #[inline]
    pub(super) fn child_of_rank(&self, mut rank: usize) -> (usize, usize) {
        for (index, &count) in self.counts[..self.len].iter().enumerate() {
            if rank < count {
                return (index, rank);
            }
            rank -= count;
        }
        panic!("a rank beyond the elements below a node")
    }

    /// Notes that the child at `index` has `count` elements now, and perhaps another first one.
    #[inline]
    pub(super) fn refresh(&mut self, index: usize, count: usize) {
        self.counts[index] = count;
        let first = self.child(index).first();
        if self.firsts[index] != Some(first) {
            self.firsts[index] = Some(first);
            self.orders[index] = order(first.score());
        }
    }

    /// Adds a child at `index`.
    pub(super) fn insert(&mut self, index: usize, node: Node) {
        assert!(index <= self.len && self.len < INNER_MAX, "a full node");
        self.len += 1;
        let first = node.first();
        put(&mut self.orders[index..self.len], order(first.score()));
        put(&mut self.counts[index..self.len], node.count());
        put(&mut self.firsts[index..self.len], Some(first));
        put(&mut self.nodes[index..self.len], Some(node));
    }

    /// Takes the child at `index` away.
    pub(super) fn remove(&mut self, index: usize) -> Node {
        self.orders[index..self.len].rotate_left(1);
        self.counts[index..self.len].rotate_left(1);
        self.firsts[index..self.len].rotate_left(1);
        self.nodes[index..self.len].rotate_left(1);
        self.len -= 1;
        self.firsts[self.len] = None;
        self.nodes[self.len].take().expect("a child below `len`")
    }

    /// The children at `index` and after it, to change. [`Inner::refresh`] of both must follow.
    pub(super) fn pair_mut(&mut self, index: usize) -> (&mut Node, &mut Node) {
        match &mut self.nodes[index..self.len] {
            [Some(left), Some(right), ..] => (left, right),
            _ => panic!("two children below `len`"),
        }
    }

    /// Moves the children from `at` on to a new node.
    pub(super) fn split_off(&mut self, at: usize) -> Box<Inner> {
        let mut right = Inner::new();
        self.move_to(&mut right, at);
        right
    }

    /// Adds all children of `right` behind those of this node.
    pub(super) fn append(&mut self, right: &mut Inner) {
        right.move_to(self, 0);
    }

    fn move_to(&mut self, other: &mut Inner, from: usize) {
        let count = self.len - from;
        let (to, end) = (other.len, other.len + count);
        assert!(end <= INNER_MAX, "two nodes do not fit into one");
        other.orders[to..end].copy_from_slice(&self.orders[from..self.len]);
        other.counts[to..end].copy_from_slice(&self.counts[from..self.len]);
        other.firsts[to..end].swap_with_slice(&mut self.firsts[from..self.len]);
        other.nodes[to..end].swap_with_slice(&mut self.nodes[from..self.len]);
        other.len = end;
        self.len = from;
    }
}

/// Moves what is in a slice up by one, the last of it out, and puts `value` at its start.
fn put<T>(slice: &mut [T], value: T) {
    slice.rotate_right(1);
    slice[0] = value;
}
