//! The quicklist: a long list as a sequence of nodes, each a listpack of some hundred short elements, or
//! one big element alone.
//!
//! ```text
//!   directory:  [ node, node, node, ... ]  [ node, node, ... ]
//!                  |
//!                  listpack of up to 8 KiB | plain bytes of one big element | either, LZF
//! ```
//!
//! - `quicklist/limits.rs` says how much goes into a node ([`Fill`], [`Options`]).
//! - `quicklist/node.rs` is one node and what can be done within it.
//! - `quicklist/directory.rs` holds the nodes in order and finds one by an element's index.
//! - This file is the list: what involves several nodes.
//!
//! Pushing and popping at the ends take constant time but for moving the bytes of one node, and allocate
//! only when a node grows. Getting at an index steps over chunks of nodes from the nearer end, and within
//! one node over elements. A node that a middle insertion finds full is split there. Nodes that removals
//! leave small are merged with their neighbours.
//!
//! With a compression depth, the nodes between so many at each end are kept compressed if that makes them
//! smaller. They are decompressed for a reader into memory of its own, which is why elements are shown to
//! a function rather than lent out.
//!
//! The list does not decide when to be one: a list that is small enough is a listpack, by its owner's
//! choice ([`Fill::fits`], [`QuickList::fits_listpack`]).

mod directory;
mod limits;
mod node;

use self::directory::{Directory, Place};
use self::limits::Limits;
use self::node::{Content, Node};
use super::listpack::{EMPTY_LEN, Item, ListpackBuf, Needle};

pub use self::limits::{Fill, Options};

/// A list of texts.
#[derive(Clone)]
pub struct QuickList {
    directory: Directory,
    limits: Limits,
    options: Options,
}

impl QuickList {
    /// A list without elements.
    pub fn new(options: Options) -> Self {
        QuickList {
            directory: Directory::default(),
            limits: Limits::new(&options),
            options,
        }
    }

    /// A list of a listpack's elements, which become its first node.
    pub fn from_listpack(pack: ListpackBuf, options: Options) -> Self {
        let mut list = QuickList::new(options);
        list.append_listpack(pack);
        list
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.directory.elements()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of nodes.
    pub fn nodes(&self) -> usize {
        self.directory.len()
    }

    /// What it was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The bytes that all of it takes from the allocator, beside the list's own struct. Takes a step for
    /// 128 nodes.
    pub fn allocated(&self) -> usize {
        self.directory.allocated()
    }

    /// All nodes, from the first on.
    pub fn iter_nodes(&self) -> impl Iterator<Item = NodeRef<'_>> {
        self.directory.iter().map(|node| NodeRef { node })
    }

    /// Adds an element behind the last.
    #[inline]
    pub fn push_back(&mut self, text: &[u8]) {
        let limits = self.limits;
        if let Some(at) = self.directory.last()
            && self.directory.node(at).accepts(text.len(), &limits)
        {
            return self
                .directory
                .edit(at, |node| node.push_back(text, &limits));
        }
        self.directory.push_back(Node::of(text, &limits));
        self.settle(None, 1);
    }

    /// Adds an element before the first.
    #[inline]
    pub fn push_front(&mut self, text: &[u8]) {
        let limits = self.limits;
        if let Some(at) = self.directory.first()
            && self.directory.node(at).accepts(text.len(), &limits)
        {
            return self
                .directory
                .edit(at, |node| node.push_front(text, &limits));
        }
        self.directory.push_front(Node::of(text, &limits));
        self.settle(None, 1);
    }

    /// Adds all elements of a listpack behind the last, as one node of their own, whatever its size.
    pub fn append_listpack(&mut self, pack: ListpackBuf) {
        if !pack.as_ref().is_empty() {
            self.directory.push_back(Node::from_pack(pack));
            self.settle(None, 1);
        }
    }

    /// Adds an element behind the last, as a plain node, whatever its size.
    pub fn append_plain(&mut self, bytes: Vec<u8>) {
        self.directory.push_back(Node::Plain { bytes });
        self.settle(None, 1);
    }

    /// Shows the last element and takes it out; none if there is none.
    #[inline]
    pub fn pop_back<R>(&mut self, show: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let at = self.directory.last()?;
        Some(self.pop(at, true, show))
    }

    /// Shows the first element and takes it out; none if there is none.
    #[inline]
    pub fn pop_front<R>(&mut self, show: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let at = self.directory.first()?;
        Some(self.pop(at, false, show))
    }

    /// Makes the last element the first.
    pub fn rotate_right(&mut self) {
        if let Some(text) = self.pop_back(text_of) {
            self.push_front(&text);
        }
    }

    /// Makes the first element the last.
    pub fn rotate_left(&mut self) {
        if let Some(text) = self.pop_front(text_of) {
            self.push_back(&text);
        }
    }

    /// Shows the element with this index; negative ones count from the end, -1 being the last. None if
    /// there is none.
    pub fn get<R>(&self, index: i64, show: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let (at, offset) = self.directory.seek(self.index(index)?)?;
        let mut scratch = Vec::new();
        let item = match self.directory.node(at).content(&mut scratch) {
            Content::Packed(pack) => pack.get(node::seek(pack, offset)),
            Content::Plain(bytes) => Item::Bytes(bytes),
        };
        Some(show(item))
    }

    /// Shows so many elements, or all there are, from one to the last.
    pub fn visit(&self, start: usize, count: usize, mut show: impl FnMut(Item<'_>)) {
        let mut left = count.min(self.len().saturating_sub(start));
        let mut at = self.directory.seek(start);
        let mut scratch = Vec::new();
        while left > 0
            && let Some((place, offset)) = at
        {
            let node = self.directory.node(place);
            match node.content(&mut scratch) {
                Content::Packed(pack) => {
                    let items = pack.iter_from(node::seek(pack, offset));
                    items.take(left).for_each(&mut show);
                }
                Content::Plain(bytes) => show(Item::Bytes(bytes)),
            }
            left -= left.min(node.elements() - offset);
            at = self.directory.next(place).map(|place| (place, 0));
        }
    }

    /// Shows so many elements, or all there are, from one to the first.
    pub fn visit_back(&self, start: usize, count: usize, mut show: impl FnMut(Item<'_>)) {
        let mut left = count.min(start.saturating_add(1));
        let mut at = self.directory.seek(start);
        let mut scratch = Vec::new();
        while left > 0
            && let Some((place, offset)) = at
        {
            match self.directory.node(place).content(&mut scratch) {
                Content::Packed(pack) => {
                    let items = pack.iter_back_from(node::seek(pack, offset));
                    items.take(left).for_each(&mut show);
                }
                Content::Plain(bytes) => show(Item::Bytes(bytes)),
            }
            left -= left.min(offset + 1);
            let before = self.directory.prev(place);
            at = before.map(|place| (place, self.directory.node(place).elements() - 1));
        }
    }

    /// Tells the indexes of elements with this text, in the order they are found, until told to stop by a
    /// false. `rank` is the first to be told: 1 for the first, 2 for the one behind it, and so on; negative
    /// ones, from the last element on: -1 for the last. At most `len_max` elements are looked at.
    pub fn positions(
        &self,
        text: &[u8],
        rank: i64,
        len_max: usize,
        mut found: impl FnMut(usize) -> bool,
    ) {
        let needle = Needle::new(text);
        let back = rank < 0;
        let mut skip = rank.unsigned_abs().saturating_sub(1);
        let mut tell = |index: usize| {
            let skipped = skip > 0;
            skip -= u64::from(skipped);
            skipped || found(index)
        };
        let mut left = len_max.min(self.len());
        let mut start = if back { self.len() } else { 0 };
        let mut at = self.end(back);
        let mut scratch = Vec::new();
        while left > 0
            && let Some(place) = at
        {
            let node = self.directory.node(place);
            let count = node.elements();
            start -= if back { count } else { 0 };
            let on = match node.content(&mut scratch) {
                Content::Plain(bytes) => !needle.is(Item::Bytes(bytes)) || tell(start),
                Content::Packed(pack) if back => (pack.iter().rev().take(left).enumerate())
                    .filter(|&(_, item)| needle.is(item))
                    .all(|(from_end, _)| tell(start + count - 1 - from_end)),
                Content::Packed(pack) => (pack.iter().take(left).enumerate())
                    .filter(|&(_, item)| needle.is(item))
                    .all(|(offset, _)| tell(start + offset)),
            };
            if !on {
                return;
            }
            left -= left.min(count);
            start += if back { 0 } else { count };
            at = self.step(place, back);
        }
    }

    /// Puts a text in an element's stead; negative indexes count from the end. False if there is none.
    pub fn set(&mut self, index: i64, text: &[u8]) -> bool {
        let Some(index) = self.index(index) else {
            return false;
        };
        let (at, offset) = self.directory.seek(index).expect("an index in the list");
        let limits = self.limits;
        if !self.edit(at, |node| node.replace(offset, text, &limits)) {
            self.remove_range(index, 1);
            self.insert(index, text);
        }
        true
    }

    /// Adds an element before the first with the pivot's text. False if there is none.
    pub fn insert_before(&mut self, pivot: &[u8], text: &[u8]) -> bool {
        let found = self.find(pivot);
        if let Some((at, offset)) = found {
            self.insert_at(at, offset, text);
        }
        found.is_some()
    }

    /// Adds an element behind the first with the pivot's text. False if there is none.
    pub fn insert_after(&mut self, pivot: &[u8], text: &[u8]) -> bool {
        let found = self.find(pivot);
        if let Some((at, offset)) = found {
            self.insert_at(at, offset + 1, text);
        }
        found.is_some()
    }

    /// Takes out elements with this text: all for a count of 0, else so many, from the first on, or for a
    /// negative count from the last on. How many there were.
    pub fn remove(&mut self, count: i64, text: &[u8]) -> usize {
        let back = count < 0;
        let count_max = match usize::try_from(count.unsigned_abs()) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(count) => count,
        };
        let needle = Needle::new(text);
        let nodes = self.nodes();
        let (mut removed, mut scratch) = (0, Vec::new());
        // Whether the node passed last has become smaller, so that it may merge with the next.
        let mut shrunk = false;
        let mut at = self.end(back);
        while removed < count_max
            && let Some(mut place) = at
        {
            let count = self.directory.node(place).elements();
            let found =
                self.remove_matches(place, &needle, count_max - removed, back, &mut scratch);
            removed += found;
            if found == count {
                at = self.drop_node(place, back);
                continue;
            }
            if (shrunk || found > 0)
                && let Some(passed) = self.step(place, !back)
            {
                place = self.merge_either(passed, place, back).unwrap_or(place);
            }
            shrunk = found > 0;
            at = self.step(place, back);
        }
        if shrunk
            && let Some(place) = at
            && let Some(passed) = self.step(place, !back)
        {
            self.merge_either(passed, place, back);
        }
        if removed > 0 {
            self.settle(None, nodes - self.nodes() + REACH);
        }
        removed
    }

    /// Shows so many elements, or all there are, from the first or the last on, and takes them out. The others stay in
    /// the nodes in which they are.
    pub fn pop_many(&mut self, back: bool, count: usize, show: impl FnMut(Item<'_>)) {
        let (len, nodes) = (self.len(), self.nodes());
        let start = if back { len.saturating_sub(count) } else { 0 };
        if back {
            self.visit_back(len.saturating_sub(1), count, show);
        } else {
            self.visit(0, count, show);
        }
        self.cut_range(start, count);
        self.settle(None, nodes - self.nodes() + 1);
    }

    /// Takes out so many elements, or all there are, from one on.
    pub fn remove_range(&mut self, start: usize, count: usize) {
        let nodes = self.nodes();
        if let Some(seam) = self.cut_range(start, count) {
            let removed = nodes - self.nodes();
            self.merge_around(seam);
            self.settle(Some(seam), removed + REACH);
        }
    }

    /// Takes them out, and does nothing else. Gives the index of the node where they began, if there were any.
    fn cut_range(&mut self, start: usize, count: usize) -> Option<usize> {
        let mut left = count.min(self.len().saturating_sub(start));
        let (mut at, offset) = self.directory.seek(start).filter(|_| left > 0)?;
        let limits = self.limits;
        let seam = self.directory.index_of(at);
        let mut next = Some(at);
        if offset > 0 {
            let cut = left.min(self.directory.node(at).elements() - offset);
            self.edit(at, |node| node.cut(offset, cut, &limits));
            left -= cut;
            next = self.directory.next(at);
        }
        if let Some(first) = next {
            // Whole nodes, then what is left of the last.
            let mut whole = 0;
            while let Some(place) = next
                && self.directory.node(place).elements() <= left
            {
                left -= self.directory.node(place).elements();
                whole += 1;
                next = self.directory.next(place);
            }
            if whole > 0 {
                next = self.directory.remove_range(first, whole);
            }
            if left > 0 {
                at = next.expect("the node of what is left to remove");
                self.edit(at, |node| node.cut(0, left, &limits));
            }
        }
        Some(seam)
    }

    /// Keeps so many elements from one on, and takes out all others.
    pub fn trim(&mut self, start: usize, count: usize) {
        self.remove_range(start.saturating_add(count), usize::MAX);
        self.remove_range(0, start);
    }

    /// Whether the list is to become a listpack by this fill: all of it is in one node that holds a listpack
    /// within the limit, or within half of it if the list is shrinking.
    pub fn fits_listpack(&self, fill: Fill, shrinking: bool) -> bool {
        let mut nodes = self.directory.iter();
        match (nodes.next(), nodes.next()) {
            (None, _) => true,
            (Some(node), None) => {
                !node.is_plain() && fill.fits_listpack(node.len(), node.elements(), shrinking)
            }
            (Some(_), Some(_)) => false,
        }
    }

    /// The listpack of a list that is all in one, as [`QuickList::fits_listpack`] tells.
    pub fn into_listpack(mut self) -> ListpackBuf {
        assert!(self.nodes() <= 1, "the listpack of a list of several nodes");
        match self.directory.first() {
            None => ListpackBuf::new(),
            Some(at) => {
                let mut pack = self.directory.take(at).into_pack();
                pack.shrink_to_fit();
                pack
            }
        }
    }

    /// An index from the first element on.
    fn index(&self, index: i64) -> Option<usize> {
        let steps = usize::try_from(index.unsigned_abs()).ok()?;
        if index < 0 {
            self.len().checked_sub(steps)
        } else {
            Some(steps).filter(|&index| index < self.len())
        }
    }

    /// The first node, or the last.
    fn end(&self, back: bool) -> Option<Place> {
        if back {
            self.directory.last()
        } else {
            self.directory.first()
        }
    }

    /// The next node, or the one before.
    fn step(&self, at: Place, back: bool) -> Option<Place> {
        if back {
            self.directory.prev(at)
        } else {
            self.directory.next(at)
        }
    }

    /// Changes a node, and compresses it behind that if it is between the ends.
    fn edit<R>(&mut self, at: Place, change: impl FnOnce(&mut Node) -> R) -> R {
        let depth = self.options.compress_depth;
        if depth == 0 {
            return self.directory.edit(at, change);
        }
        let index = self.directory.index_of(at);
        let at_end = index < depth || index >= self.nodes().saturating_sub(depth);
        self.directory.edit(at, |node| {
            node.expand();
            let result = change(node);
            if !at_end {
                node.compress();
            }
            result
        })
    }

    #[inline]
    fn pop<R>(&mut self, at: Place, back: bool, show: impl FnOnce(Item<'_>) -> R) -> R {
        let alone = self.directory.node(at).elements() == 1;
        let result = self.directory.edit(at, |node| node.pop(back, show));
        if alone {
            self.directory.remove(at);
            self.settle(None, 1);
        }
        result
    }

    /// The first element with this text: its node and how many of that are before it.
    fn find(&self, text: &[u8]) -> Option<(Place, usize)> {
        let needle = Needle::new(text);
        let mut scratch = Vec::new();
        let mut at = self.directory.first();
        while let Some(place) = at {
            match self.directory.node(place).content(&mut scratch) {
                Content::Packed(pack) => {
                    let first = pack.first().expect("an element in a node");
                    if let Some(found) = pack.find(first, &needle, 1) {
                        let before = pack.positions().take_while(|&at| at != found);
                        return Some((place, before.count()));
                    }
                }
                Content::Plain(bytes) if bytes == text => return Some((place, 0)),
                Content::Plain(_) => {}
            }
            at = self.directory.next(place);
        }
        None
    }

    /// Adds an element with so many others before it.
    fn insert(&mut self, index: usize, text: &[u8]) {
        match self.directory.seek(index) {
            Some((at, offset)) => self.insert_at(at, offset, text),
            None => self.push_back(text),
        }
    }

    /// Adds an element to a node, or beside it, with so many others of the node before it.
    fn insert_at(&mut self, at: Place, offset: usize, text: &[u8]) {
        let limits = self.limits;
        let node = self.directory.node(at);
        let count = node.elements();
        if node.accepts(text.len(), &limits) {
            return self.edit(at, |node| node.insert(offset, text, &limits));
        }
        let accepts = |at: &Place| self.directory.node(*at).accepts(text.len(), &limits);
        if offset == 0
            && let Some(before) = self.directory.prev(at).filter(accepts)
        {
            return self.edit(before, |node| node.push_back(text, &limits));
        }
        if offset == count
            && let Some(behind) = self.directory.next(at).filter(accepts)
        {
            return self.edit(behind, |node| node.push_front(text, &limits));
        }
        let index = self.directory.index_of(at);
        if offset == 0 {
            self.directory.insert_before(at, Node::of(text, &limits));
        } else if offset == count {
            self.directory.insert_after(at, Node::of(text, &limits));
        } else {
            self.split_for(at, offset, text);
            self.merge_around(index + 1);
        }
        self.settle(Some(index), REACH);
    }

    /// Splits a node where an element is to go that it does not accept.
    fn split_for(&mut self, at: Place, offset: usize, text: &[u8]) {
        let limits = self.limits;
        let mut tail = self.edit(at, |node| node.split_off(offset, &limits));
        let head = self.directory.node(at);
        if head.accepts(text.len(), &limits) {
            self.edit(at, |node| node.push_back(text, &limits));
            self.directory.insert_after(at, tail);
        } else if tail.accepts(text.len(), &limits) {
            tail.push_front(text, &limits);
            self.directory.insert_after(at, tail);
        } else {
            let own = self.directory.insert_after(at, Node::of(text, &limits));
            self.directory.insert_after(own, tail);
        }
    }

    /// Takes matches out of one node. Leaves a node as it is of which nothing would be left.
    fn remove_matches(
        &mut self,
        at: Place,
        needle: &Needle<'_>,
        count_max: usize,
        back: bool,
        scratch: &mut Vec<u8>,
    ) -> usize {
        let node = self.directory.node(at);
        match node.content(scratch) {
            Content::Plain(bytes) => return usize::from(needle.is(Item::Bytes(bytes))),
            Content::Packed(pack) => {
                let first = pack.first().expect("an element in a node");
                if pack.find(first, needle, 1).is_none() {
                    return 0;
                }
                let count = node.elements();
                if count <= count_max && pack.iter().all(|item| needle.is(item)) {
                    return count;
                }
            }
        }
        let limits = self.limits;
        self.edit(at, |node| {
            node.remove_matches(needle, count_max, back, &limits)
        })
    }

    /// Takes a node out; the one that follows in this direction.
    fn drop_node(&mut self, at: Place, back: bool) -> Option<Place> {
        let next = self.directory.remove(at);
        if back { self.before(next) } else { next }
    }

    /// The node before a place, or the last one if the place is behind that.
    fn before(&self, at: Option<Place>) -> Option<Place> {
        match at {
            Some(at) => self.directory.prev(at),
            None => self.directory.last(),
        }
    }

    /// Merges two neighbours, the first of which was passed before the second, in either direction.
    fn merge_either(&mut self, passed: Place, at: Place, back: bool) -> Option<Place> {
        if back {
            self.merge(at, passed)
        } else {
            self.merge(passed, at)
        }
    }

    /// Merges two neighbours into the first if they fit; where that is then.
    fn merge(&mut self, left: Place, right: Place) -> Option<Place> {
        let (a, b) = (self.directory.node(left), self.directory.node(right));
        let bytes = a.len() + b.len() - EMPTY_LEN.min(b.len());
        if a.is_plain() || b.is_plain() || !self.limits.fit(bytes, a.elements() + b.elements()) {
            return None;
        }
        let limits = self.limits;
        let moved = self.directory.take(right);
        self.edit(left, |node| node.append(moved, &limits));
        let next = self.directory.remove(right);
        self.before(next)
    }

    /// Merges the nodes about an index where something was removed or split, as far as they fit.
    fn merge_around(&mut self, index: usize) {
        for left in (index.saturating_sub(2)..=index + 1).rev() {
            if let Some(left) = self.directory.nth(left)
                && let Some(right) = self.directory.next(left)
            {
                self.merge(left, right);
            }
        }
    }

    /// Compresses what has come to be between the ends, and decompresses what has come to be at an end:
    /// nodes about a place, and those that a change of the number of nodes by `reach` has pushed over a
    /// border. Changes push many nodes only in one direction: when many are removed, others come to be at
    /// the ends.
    fn settle(&mut self, about: Option<usize>, reach: usize) {
        let (nodes, depth) = (self.nodes(), self.options.compress_depth);
        if depth == 0 {
            return;
        }
        let back = nodes.saturating_sub(depth);
        let near = reach.min(REACH);
        let around =
            about.map(|about| about.saturating_sub(REACH)..about.saturating_add(REACH + 1));
        let front_border = depth.saturating_sub(reach)..depth.saturating_add(near);
        let back_border = back.saturating_sub(near)..back.saturating_add(reach);
        for span in [Some(front_border), Some(back_border), around] {
            let span = span.unwrap_or_default();
            for index in span.start..span.end.min(nodes) {
                let at = self.directory.nth(index).expect("a node by its index");
                let at_end = index < depth || index >= back;
                self.directory.edit(at, |node| {
                    if at_end {
                        node.expand();
                    } else {
                        node.compress();
                    }
                });
            }
        }
    }
}

/// A node, for snapshots and DEBUG.
#[derive(Clone, Copy)]
pub struct NodeRef<'a> {
    node: &'a Node,
}

/// The bytes of a node as they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored<'a> {
    /// The listpack, or the plain element.
    Raw(&'a [u8]),
    /// Either of them, compressed by LZF.
    Lzf(&'a [u8]),
}

impl<'a> NodeRef<'a> {
    /// The number of its elements.
    pub fn elements(self) -> usize {
        self.node.elements()
    }

    /// Whether it is one element alone rather than a listpack.
    pub fn is_plain(self) -> bool {
        self.node.is_plain()
    }

    /// The bytes of the listpack or element, decompressed.
    pub fn raw_len(self) -> usize {
        self.node.len()
    }

    /// The bytes as they are stored.
    pub fn stored(self) -> Stored<'a> {
        match self.node {
            Node::Packed { pack, .. } => Stored::Raw(pack.as_ref().bytes()),
            Node::Plain { bytes } => Stored::Raw(bytes),
            Node::Compressed { bytes, .. } => Stored::Lzf(bytes),
        }
    }
}

/// How many nodes about a change in the middle it may have touched.
const REACH: usize = 4;

fn text_of(item: Item<'_>) -> Vec<u8> {
    item.bytes(&mut itoa::Buffer::new()).to_vec()
}

#[cfg(test)]
mod tests;
