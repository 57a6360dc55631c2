//! A walk over a tree from any rank on, up or down, which fetches what is to come ahead.

use super::Ordered;
use super::leaf::Leaf;
use crate::data::element::Element;

/// Elements in ascending order, or in descending order if `BACK`.
pub(in crate::data) struct Walk<'a, const BACK: bool> {
    tree: &'a Ordered,
    leaf: Option<&'a Leaf>,
    /// Elements of the leaf that are still to come.
    left: usize,
    /// Elements to come after those.
    beyond: usize,
    /// The leaf that comes next.
    next: Option<&'a Leaf>,
}

impl<'a, const BACK: bool> Walk<'a, BACK> {
    /// How many elements ahead one is fetched.
    const AHEAD: usize = 8;

    /// From a rank on; `left` says how many elements of a leaf are to come from an index on.
    pub(super) fn from(
        tree: &'a Ordered,
        from: usize,
        left: impl Fn(&Leaf, usize) -> usize,
    ) -> Self {
        let mut walk = Walk {
            tree,
            leaf: None,
            left: 0,
            beyond: 0,
            next: None,
        };
        if from < tree.len {
            let (leaf, index) = tree.locate(from);
            walk.leaf = Some(leaf);
            walk.left = left(leaf, index);
            let all = if BACK { from + 1 } else { tree.len - from };
            walk.beyond = all - walk.left;
            walk.look_ahead();
        }
        walk
    }

    /// The element after `skipped` others, in a leaf of which `left` are to come.
    #[inline]
    fn peek(leaf: &Leaf, left: usize, skipped: usize) -> Element {
        leaf.get(if BACK {
            left - 1 - skipped
        } else {
            leaf.len() - left + skipped
        })
    }

    /// Prepares for a leaf that was just entered: the next leaf, and its own first elements.
    fn look_ahead(&mut self) {
        self.next = match self.beyond {
            0 => None,
            beyond if BACK => Some(self.tree.locate(beyond - 1).0),
            beyond => Some(self.tree.locate(self.tree.len - beyond).0),
        };
        if let Some(next) = self.next {
            next.prefetch();
        }
        let Some(leaf) = self.leaf else { return };
        for skipped in 0..self.left.min(Self::AHEAD) {
            Self::peek(leaf, self.left, skipped).prefetch();
        }
    }

    fn enter_next(&mut self) -> Option<&'a Leaf> {
        let leaf = self.next?;
        self.leaf = Some(leaf);
        self.left = leaf.len();
        self.beyond -= self.left;
        self.look_ahead();
        Some(leaf)
    }
}

impl<'a, const BACK: bool> Iterator for Walk<'a, BACK> {
    type Item = Element;

    #[inline]
    fn next(&mut self) -> Option<Element> {
        let mut leaf = self.leaf?;
        if self.left == 0 {
            leaf = self.enter_next()?;
        }
        if self.left > Self::AHEAD {
            Self::peek(leaf, self.left, Self::AHEAD).prefetch();
        } else if let Some(next) = self.next {
            let skipped = Self::AHEAD - self.left;
            if skipped < next.len() {
                Self::peek(next, next.len(), skipped).prefetch();
            }
        }
        let element = Self::peek(leaf, self.left, 0);
        self.left -= 1;
        Some(element)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let all = self.left + self.beyond;
        (all, Some(all))
    }
}

impl<const BACK: bool> ExactSizeIterator for Walk<'_, BACK> {}
