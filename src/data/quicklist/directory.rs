//! The nodes of a quicklist in their order, in chunks that know how many elements they hold.
//!
//! ```text
//!   chunks:  [ 128 nodes, 52224 elements ] [ 97 nodes, 39000 elements ] ...
//!                |
//!                node node node ...          32 bytes each
//! ```
//!
//! Both levels are double-ended queues. At an end, a node comes and goes in constant time. In the middle,
//! that moves up to half a chunk, 2 KiB, and when a chunk splits or goes, up to half of the chunks' heads:
//! a list of 10 million elements in nodes of 8 KiB has 25,000 nodes in 200 chunks of 40 bytes. The same 200
//! are what a search by index steps over. No step grows with the elements, and none copies all nodes.
//!
//! A [`Place`] names a node by chunk and slot; inserting and removing leave no place valid but those they
//! return.

use std::collections::VecDeque;

use super::node::Node;
use crate::base::alloc::class_size;

/// The most nodes in a chunk: 4 KiB of them.
pub(super) const CHUNK_MAX: usize = 128;

/// Where a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    chunk: usize,
    slot: usize,
}

/// All nodes of a list.
#[derive(Default)]
pub(super) struct Directory {
    /// None is empty.
    chunks: VecDeque<Chunk>,
    nodes: usize,
    elements: usize,
    /// What the nodes' contents take from the allocator.
    bytes: usize,
}

struct Chunk {
    nodes: VecDeque<Node>,
    elements: usize,
}

impl Chunk {
    fn new(nodes: VecDeque<Node>) -> Self {
        let elements = nodes.iter().map(Node::elements).sum();
        Chunk { nodes, elements }
    }
}

impl Clone for Directory {
    fn clone(&self) -> Self {
        let chunks = self.chunks.iter();
        let chunks: VecDeque<Chunk> = chunks
            .map(|chunk| Chunk::new(chunk.nodes.clone()))
            .collect();
        let nodes = chunks.iter().flat_map(|chunk| &chunk.nodes);
        Directory {
            // A copy has no more memory than it needs.
            bytes: nodes.map(allocated).sum(),
            chunks,
            ..*self
        }
    }
}

impl Directory {
    pub(super) fn len(&self) -> usize {
        self.nodes
    }

    #[inline]
    pub(super) fn elements(&self) -> usize {
        self.elements
    }

    /// What all of it takes from the allocator. Linear in the chunks.
    pub(super) fn allocated(&self) -> usize {
        let slots = |chunk: &Chunk| heap::<Node>(chunk.nodes.capacity());
        heap::<Chunk>(self.chunks.capacity())
            + self.chunks.iter().map(slots).sum::<usize>()
            + self.bytes
    }

    #[inline]
    pub(super) fn first(&self) -> Option<Place> {
        (self.nodes > 0).then_some(Place { chunk: 0, slot: 0 })
    }

    #[inline]
    pub(super) fn last(&self) -> Option<Place> {
        let chunk = self.chunks.len().checked_sub(1)?;
        let slot = self.chunks[chunk].nodes.len() - 1;
        Some(Place { chunk, slot })
    }

    #[inline]
    pub(super) fn next(&self, at: Place) -> Option<Place> {
        if at.slot + 1 < self.chunks[at.chunk].nodes.len() {
            return Some(Place {
                slot: at.slot + 1,
                ..at
            });
        }
        let chunk = at.chunk + 1;
        (chunk < self.chunks.len()).then_some(Place { chunk, slot: 0 })
    }

    #[inline]
    pub(super) fn prev(&self, at: Place) -> Option<Place> {
        if let Some(slot) = at.slot.checked_sub(1) {
            return Some(Place { slot, ..at });
        }
        let chunk = at.chunk.checked_sub(1)?;
        let slot = self.chunks[chunk].nodes.len() - 1;
        Some(Place { chunk, slot })
    }

    #[inline]
    pub(super) fn node(&self, at: Place) -> &Node {
        &self.chunks[at.chunk].nodes[at.slot]
    }

    /// The node with so many others before it.
    pub(super) fn nth(&self, index: usize) -> Option<Place> {
        let (chunk, slot) = self.locate(index, self.nodes, |chunk| chunk.nodes.len())?;
        Some(Place { chunk, slot })
    }

    /// How many nodes are before it.
    pub(super) fn index_of(&self, at: Place) -> usize {
        let before = self.chunks.range(..at.chunk);
        before.map(|chunk| chunk.nodes.len()).sum::<usize>() + at.slot
    }

    /// The node with the element that has so many others before it, and how many of those it has itself.
    /// Steps over chunks, and then nodes, from the nearer end.
    pub(super) fn seek(&self, index: usize) -> Option<(Place, usize)> {
        let (chunk, mut offset) = self.locate(index, self.elements, |chunk| chunk.elements)?;
        let Chunk { nodes, elements } = &self.chunks[chunk];
        if offset < elements / 2 {
            for (slot, node) in nodes.iter().enumerate() {
                if offset < node.elements() {
                    return Some((Place { chunk, slot }, offset));
                }
                offset -= node.elements();
            }
        } else {
            let mut start = *elements;
            for (slot, node) in nodes.iter().enumerate().rev() {
                start -= node.elements();
                if offset >= start {
                    return Some((Place { chunk, slot }, offset - start));
                }
            }
        }
        panic!("a chunk of {elements} elements that has fewer in its nodes");
    }

    /// All nodes.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.chunks.iter().flat_map(|chunk| &chunk.nodes)
    }

    /// Changes a node, and keeps count of what that changes.
    #[inline]
    pub(super) fn edit<R>(&mut self, at: Place, change: impl FnOnce(&mut Node) -> R) -> R {
        let chunk = &mut self.chunks[at.chunk];
        let node = &mut chunk.nodes[at.slot];
        let (elements, capacity) = (node.elements(), node.capacity());
        let result = change(node);
        chunk.elements = chunk.elements - elements + node.elements();
        self.elements = self.elements - elements + node.elements();
        if node.capacity() != capacity {
            self.bytes = self.bytes - class_of(capacity) + allocated(node);
        }
        result
    }

    /// Takes a node's content, for one of that the place is about to be removed or given another.
    pub(super) fn take(&mut self, at: Place) -> Node {
        self.edit(at, |node| std::mem::replace(node, Node::nothing()))
    }

    pub(super) fn push_back(&mut self, node: Node) -> Place {
        match self.last() {
            Some(at) => self.insert_after(at, node),
            None => self.insert(0, 0, node),
        }
    }

    pub(super) fn push_front(&mut self, node: Node) -> Place {
        self.insert(0, 0, node)
    }

    pub(super) fn insert_before(&mut self, at: Place, node: Node) -> Place {
        self.insert(at.chunk, at.slot, node)
    }

    pub(super) fn insert_after(&mut self, at: Place, node: Node) -> Place {
        self.insert(at.chunk, at.slot + 1, node)
    }

    /// Takes a node out; says where the next one is now.
    pub(super) fn remove(&mut self, at: Place) -> Option<Place> {
        self.remove_range(at, 1)
    }

    /// Takes out so many nodes, which there are, from one on; says where the next one is now.
    pub(super) fn remove_range(&mut self, at: Place, mut count: usize) -> Option<Place> {
        let at = self.cut(at.chunk, at.slot, &mut count);
        // Whole chunks go together.
        let mut end = at.chunk;
        while count > 0
            && let Some(chunk) = self.chunks.get(end)
            && chunk.nodes.len() <= count
        {
            count -= chunk.nodes.len();
            self.nodes -= chunk.nodes.len();
            self.elements -= chunk.elements;
            self.bytes -= chunk.nodes.iter().map(allocated).sum::<usize>();
            end += 1;
        }
        self.chunks.drain(at.chunk..end);
        if count > 0 {
            self.cut(at.chunk, 0, &mut count);
        }
        assert_eq!(count, 0, "nodes to remove that are not there");
        give_back(&mut self.chunks);
        self.join(at)
    }

    /// Takes out nodes of one chunk, so many at most, from a slot on. The chunk goes if none is left.
    /// Says where the next node is, which may be one slot behind the chunk's last.
    fn cut(&mut self, chunk: usize, slot: usize, count: &mut usize) -> Place {
        let part = &mut self.chunks[chunk];
        let removed = part.nodes.len().min(slot + *count);
        for node in part.nodes.drain(slot..removed) {
            *count -= 1;
            self.nodes -= 1;
            self.elements -= node.elements();
            part.elements -= node.elements();
            self.bytes -= allocated(&node);
        }
        if part.nodes.is_empty() {
            self.chunks.remove(chunk);
            return Place { chunk, slot: 0 };
        }
        give_back(&mut part.nodes);
        if slot == part.nodes.len() {
            return Place {
                chunk: chunk + 1,
                slot: 0,
            };
        }
        Place { chunk, slot }
    }

    /// Joins the chunks about a place that nodes were removed before, if that leaves room in them. Says
    /// where the place is then, if there is a node.
    fn join(&mut self, at: Place) -> Option<Place> {
        let mut at = at;
        for left in [at.chunk, at.chunk.wrapping_sub(1)] {
            let right = left.wrapping_add(1);
            if right == 0 || right >= self.chunks.len() {
                continue;
            }
            let left_len = self.chunks[left].nodes.len();
            if left_len + self.chunks[right].nodes.len() > CHUNK_MAX / 2 {
                continue;
            }
            let mut moved = self.chunks.remove(right).expect("a chunk to join");
            let chunk = &mut self.chunks[left];
            chunk.nodes.append(&mut moved.nodes);
            chunk.elements += moved.elements;
            if at.chunk == right {
                at = Place {
                    chunk: left,
                    slot: left_len + at.slot,
                };
            }
        }
        (at.chunk < self.chunks.len()).then_some(at)
    }

    /// The part with the item number `index`, and which of the part's own it is. Parts have so many items
    /// as `size` says, all of them together `total`. From the nearer end.
    fn locate(
        &self,
        index: usize,
        total: usize,
        size: impl Fn(&Chunk) -> usize,
    ) -> Option<(usize, usize)> {
        if index >= total {
            return None;
        }
        if index < total / 2 {
            let mut offset = index;
            for (at, chunk) in self.chunks.iter().enumerate() {
                if offset < size(chunk) {
                    return Some((at, offset));
                }
                offset -= size(chunk);
            }
        } else {
            let mut start = total;
            for (at, chunk) in self.chunks.iter().enumerate().rev() {
                start -= size(chunk);
                if index >= start {
                    return Some((at, index - start));
                }
            }
        }
        panic!("{total} items that the chunks do not hold");
    }

    /// Puts a node into a chunk, or beside it if there is no room.
    fn insert(&mut self, mut chunk: usize, mut slot: usize, node: Node) -> Place {
        self.nodes += 1;
        self.elements += node.elements();
        self.bytes += allocated(&node);
        let full = |chunk: &Chunk| chunk.nodes.len() == CHUNK_MAX;
        if self.chunks.get(chunk).is_none_or(full) {
            (chunk, slot) = self.make_room(chunk, slot);
        }
        let part = &mut self.chunks[chunk];
        part.elements += node.elements();
        part.nodes.insert(slot, node);
        Place { chunk, slot }
    }

    /// Makes room in a full chunk: at the ends of the list by a new one, so that lists that grow there have
    /// full chunks, elsewhere by splitting it.
    fn make_room(&mut self, chunk: usize, slot: usize) -> (usize, usize) {
        let last = self.chunks.len().saturating_sub(1);
        if chunk == 0 && slot == 0 {
            self.chunks.push_front(Chunk::new(VecDeque::new()));
            return (0, 0);
        }
        if chunk == last && slot == CHUNK_MAX {
            self.chunks.push_back(Chunk::new(VecDeque::new()));
            return (chunk + 1, 0);
        }
        let part = &mut self.chunks[chunk];
        let tail = Chunk::new(part.nodes.split_off(CHUNK_MAX / 2));
        part.elements -= tail.elements;
        self.chunks.insert(chunk + 1, tail);
        match slot.checked_sub(CHUNK_MAX / 2) {
            None | Some(0) => (chunk, slot),
            Some(slot) => (chunk + 1, slot),
        }
    }

    /// Stops the program if the sums are not those of the nodes.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.nodes, self.iter().count());
        assert_eq!(
            self.elements,
            self.iter().map(Node::elements).sum::<usize>()
        );
        assert_eq!(self.bytes, self.iter().map(allocated).sum::<usize>());
        for chunk in &self.chunks {
            assert!((1..=CHUNK_MAX).contains(&chunk.nodes.len()));
            assert_eq!(
                chunk.elements,
                chunk.nodes.iter().map(Node::elements).sum::<usize>()
            );
        }
    }
}

/// Gives half of the memory back, or more, if only a quarter is in use.
fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.len() < queue.capacity() / 4 {
        queue.shrink_to(2 * queue.len());
    }
}

/// What a node's content takes from the allocator.
fn allocated(node: &Node) -> usize {
    class_of(node.capacity())
}

#[inline]
fn class_of(capacity: usize) -> usize {
    if capacity == 0 {
        0
    } else {
        class_size(capacity, 1)
    }
}

/// What so many values in a row take from the allocator.
fn heap<T>(capacity: usize) -> usize {
    if capacity == 0 {
        0
    } else {
        class_size(capacity * size_of::<T>(), align_of::<T>())
    }
}
