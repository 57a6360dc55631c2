//! The entries of a stream: nodes in the order of their IDs, and what is known of those that are gone.
//!
//! A node's key is the ID of the entry that opened it, so that the node of an ID is the last one whose
//! key is not behind it. Entries are added at the end only; one that is deleted stays in its node until
//! that holds no other. Adding takes constant time but for the comparison of field names; finding takes
//! a search of the nodes and a walk in one.

use super::id::StreamId;
use super::ids::{Cursor, IdMap};
use super::node::{self, Entries, Entry, Fault, Limits, Measure, Node};
use crate::data::listpack::Pos;
use std::iter::FusedIterator;

/// The entries.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub(super) nodes: IdMap<Node>,
    /// The entries that are not deleted.
    len: u64,
    /// The ID of the first of them, 0-0 if there is none.
    first_id: StreamId,
    last_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    /// Bytes allocated for the nodes' contents.
    pub(super) bytes: usize,
}

/// Why an entry is not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// Its ID is not greater than the last one.
    Order,
    /// Its fields are too many bytes.
    Size,
}

/// Which entries a trim leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The last ones, so many.
    Newest(u64),
    /// Those from an ID on.
    From(StreamId),
}

/// How a trim goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Which entries stay.
    pub keep: Keep,
    /// Only whole nodes are removed (`~`).
    pub approximate: bool,
    /// A node is left if more entries than this would have been removed with it; 0 for no limit.
    pub limit: u64,
}

/// What a snapshot says of a stream beside its nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The last ID that an entry got.
    pub last_id: StreamId,
    /// The greatest ID of a deleted entry, 0-0 if there is none.
    pub max_deleted_id: StreamId,
    /// The number of entries ever added.
    pub entries_added: u64,
}

impl Log {
    /// The number of entries.
    #[inline]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The ID of the first entry, 0-0 if there is none.
    #[inline]
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The last ID that an entry got, or that was set.
    #[inline]
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The greatest ID of an entry that was deleted by its ID, 0-0 if there is none.
    #[inline]
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// The number of entries ever added, as far as it is known.
    #[inline]
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// Sets the last ID, which is not before that of an entry; further entries have greater ones.
    pub fn set_last_id(&mut self, id: StreamId) {
        debug_assert!(self.last().is_none_or(|last| last.id <= id));
        self.last_id = id;
    }

    /// Sets the greatest ID of a deleted entry.
    pub fn set_max_deleted_id(&mut self, id: StreamId) {
        self.max_deleted_id = id;
    }

    /// Sets the number of entries ever added.
    pub fn set_entries_added(&mut self, count: u64) {
        self.entries_added = count;
    }

    /// Adds an entry; `fields` are names and values by turns.
    #[inline]
    pub fn append<'f>(
        &mut self,
        id: StreamId,
        fields: impl Iterator<Item = &'f [u8]> + Clone,
        limits: Limits,
    ) -> Result<(), AppendError> {
        if id <= self.last_id {
            return Err(AppendError::Order);
        }
        let measure = Measure::of(fields.clone());
        if measure.bytes > node::BYTES_MAX {
            return Err(AppendError::Size);
        }
        if self.nodes.last().is_some_and(|(master, _)| master >= id) {
            self.remove_dead_nodes(id);
        }
        match self.nodes.last_mut() {
            Some((master, node)) if !node.is_full(measure, limits) => {
                let before = node.allocated();
                node.push(master, id, fields, measure, limits);
                self.bytes = self.bytes - before + node.allocated();
            }
            _ => self.open_node(id, Node::new(fields, measure, limits)),
        }
        self.len += 1;
        self.entries_added += 1;
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
        Ok(())
    }

    /// Deletes an entry; says whether there was one of this ID.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some((master, at)) = self.place(id) else {
            return false;
        };
        let node = self.nodes.get_mut(master).expect("the node was found");
        if node.live() == 1 {
            self.remove_node(master);
        } else {
            let before = node.allocated();
            node.delete(at);
            self.bytes = self.bytes - before + node.allocated();
        }
        self.len -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id {
            self.find_first();
        }
        true
    }

    /// Removes entries from the beginning; gives their number.
    ///
    /// An exact trim removes whole nodes and then marks what else goes in the first one that stays. A
    /// node that a limit does not allow to be removed is not marked in either. Trims are not deletions:
    /// [`Log::max_deleted_id`] does not know of them.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let mut removed = 0;
        while let Some((master, node)) = self.nodes.first() {
            if let Keep::Newest(count) = trim.keep
                && self.len <= count
            {
                break;
            }
            let live = node.live();
            if trim.limit != 0 && removed + live > trim.limit {
                break;
            }
            let goes = match trim.keep {
                Keep::Newest(count) => self.len - live >= count,
                Keep::From(id) => node.last_id(master) < id,
            };
            if goes {
                self.remove_node(master);
                self.len -= live;
                removed += live;
                continue;
            }
            if !trim.approximate {
                removed += self.trim_first_node(trim.keep);
            }
            break;
        }
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    /// The entry of an ID.
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        let (master, node) = self.nodes.at(self.nodes.floor(id)?)?;
        let mut entries = node.entries(master);
        entries.skip_to(id);
        entries.next().filter(|entry| entry.id == id)
    }

    /// Whether there is an entry of this ID.
    #[inline]
    pub fn contains(&self, id: StreamId) -> bool {
        id >= self.first_id && id <= self.last_id && self.get(id).is_some()
    }

    /// The entries from one ID to another, both included, in order.
    #[inline]
    pub fn range(&self, from: StreamId, to: StreamId) -> Range<'_> {
        let start = self.nodes.floor(from).unwrap_or(self.nodes.start());
        let mut range = Range {
            log: self,
            next: None,
            entries: None,
            from,
            to,
            is_back: false,
        };
        if from <= to {
            range.enter(start);
        }
        range
    }

    /// The entries between two IDs, both included, the last one first.
    #[inline]
    pub fn range_back(&self, from: StreamId, to: StreamId) -> Range<'_> {
        let mut range = Range {
            log: self,
            next: None,
            entries: None,
            from,
            to,
            is_back: true,
        };
        if from <= to
            && let Some(start) = self.nodes.floor(to)
        {
            range.enter(start);
        }
        range
    }

    /// The last entry.
    pub fn last(&self) -> Option<Entry<'_>> {
        self.range_back(StreamId::MIN, StreamId::MAX).next()
    }

    /// The number of nodes.
    #[inline]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes in order, each with its ID, as a snapshot holds them.
    pub fn nodes(&self) -> impl Iterator<Item = (StreamId, &[u8])> {
        let nodes = self.nodes.iter_from(StreamId::MIN);
        nodes.map(|(master, node)| (master, node.bytes()))
    }

    /// Adds a node from a snapshot behind all others. Its entries count as they say.
    pub fn push_node(&mut self, master: StreamId, bytes: Vec<u8>) -> Result<(), Fault> {
        let mut node = Node::check(master, bytes)?;
        let before = self.nodes.last();
        let before = before.map(|(id, node)| node.last_live_id(id).unwrap_or(id));
        if before.is_some_and(|before| master <= before) {
            return Err(Fault::Node);
        }
        node.close();
        if let Some(last) = node.last_live_id(master) {
            self.last_id = last;
        }
        self.len += node.live();
        self.bytes += node.allocated();
        self.nodes.insert(master, node);
        if self.first_id.is_zero() {
            self.find_first();
        }
        Ok(())
    }

    /// Sets what a snapshot says beside the nodes, which were added before. False if its last ID is
    /// before that of an entry.
    pub fn restore(&mut self, counters: Counters) -> bool {
        if counters.last_id < self.last_id {
            return false;
        }
        self.last_id = counters.last_id;
        self.max_deleted_id = counters.max_deleted_id;
        self.entries_added = counters.entries_added;
        true
    }

    /// Bytes that nodes and their directory take.
    pub fn allocated(&self) -> usize {
        self.nodes.allocated() + self.bytes
    }

    /// Where the entry of an ID lies: its node's ID and its place there.
    fn place(&self, id: StreamId) -> Option<(StreamId, Pos)> {
        let (master, _) = self.nodes.at(self.nodes.floor(id)?)?;
        Some((master, self.get(id)?.at))
    }

    #[cold]
    fn open_node(&mut self, id: StreamId, node: Node) {
        if let Some((_, last)) = self.nodes.last_mut() {
            let before = last.allocated();
            last.close();
            self.bytes = self.bytes - before + last.allocated();
        }
        self.bytes += node.allocated();
        self.nodes.insert(id, node);
    }

    /// Removes the nodes from an ID on. They hold deleted entries only: the last ID was set back behind
    /// them.
    #[cold]
    fn remove_dead_nodes(&mut self, id: StreamId) {
        while let Some((master, node)) = self.nodes.last()
            && master >= id
        {
            assert_eq!(node.live(), 0, "an entry is behind the last ID");
            self.remove_node(master);
        }
    }

    fn remove_node(&mut self, master: StreamId) {
        let node = self.nodes.remove(master).expect("a node that is there");
        self.bytes -= node.allocated();
    }

    /// Marks entries of the first node as deleted; gives their number.
    fn trim_first_node(&mut self, keep: Keep) -> u64 {
        let len = self.len;
        let first = self.nodes.at_mut(self.nodes.start());
        let (master, node) = first.expect("a trim ends in a node");
        let before = node.allocated();
        let deleted = node.delete_while(master, |id, deleted| match keep {
            Keep::Newest(count) => len - deleted > count,
            Keep::From(first) => id < first,
        });
        self.bytes = self.bytes - before + node.allocated();
        self.len -= deleted;
        deleted
    }

    fn find_first(&mut self) {
        let first = self.range(StreamId::MIN, StreamId::MAX).next();
        self.first_id = first.map_or(StreamId::MIN, |entry| entry.id);
    }
}

/// Entries of a range of IDs, in order or from the end.
#[derive(Clone, Debug)]
pub struct Range<'a> {
    log: &'a Log,
    /// The node that comes after the one being read.
    next: Option<Cursor>,
    entries: Option<Entries<'a>>,
    from: StreamId,
    to: StreamId,
    is_back: bool,
}

impl<'a> Range<'a> {
    /// Begins to read a node.
    #[inline]
    fn enter(&mut self, at: Cursor) {
        let nodes = &self.log.nodes;
        let Some((master, node)) = nodes.at(at) else {
            self.entries = None;
            return;
        };
        let mut entries = node.entries(master);
        if self.is_back {
            self.next = nodes.previous(at);
            entries.skip_back_to(self.to);
        } else {
            self.next = Some(nodes.next(at));
            if master < self.from {
                entries.skip_to(self.from);
            }
        }
        self.entries = Some(entries);
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let entries = self.entries.as_mut()?;
            let entry = if self.is_back {
                entries.next_back()
            } else {
                entries.next()
            };
            match entry {
                Some(entry) if (self.from..=self.to).contains(&entry.id) => return Some(entry),
                Some(_) => self.entries = None,
                None => match self.next {
                    Some(next) => self.enter(next),
                    None => self.entries = None,
                },
            }
        }
    }
}

impl FusedIterator for Range<'_> {}
