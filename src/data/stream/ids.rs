//! A map from IDs in order: the nodes of a stream, and the entries that groups have pending.
//!
//! ```text
//!   chunks:  [ (id, value) (id, value) ... ]  [ (id, value) ... ]  ...
//! ```
//!
//! IDs come in ascending order nearly always, and mostly leave from the front or near it. So the map
//! is a deque of sorted chunks of up to 64: filled at the end they stay full, while the nodes of a
//! search tree would be split in half. Finding takes a binary search of the chunks and one within
//! a chunk; a change moves at most one chunk's values, and, every so many changes, the handles of the
//! chunks from there to the nearer end.

use super::id::StreamId;
use crate::base::alloc;
use std::collections::VecDeque;

/// How many values a chunk takes.
const CHUNK_MAX: usize = 64;

type Chunk<V> = Vec<(StreamId, V)>;

/// The map.
#[derive(Clone, Debug)]
pub struct IdMap<V> {
    /// None is empty.
    chunks: VecDeque<Chunk<V>>,
    len: usize,
}

/// A place in a map, or its end; any insertion and removal leaves it meaningless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    chunk: usize,
    index: usize,
}

impl<V> Default for IdMap<V> {
    fn default() -> Self {
        IdMap {
            chunks: VecDeque::new(),
            len: 0,
        }
    }
}

impl<V> IdMap<V> {
    /// How many IDs there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of chunks.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// The first ID with its value.
    #[inline]
    pub fn first(&self) -> Option<(StreamId, &V)> {
        self.at(self.start())
    }

    /// The last ID with its value.
    #[inline]
    pub fn last(&self) -> Option<(StreamId, &V)> {
        let (id, value) = self.chunks.back()?.last()?;
        Some((*id, value))
    }

    /// The last ID with its value, to change.
    #[inline]
    pub fn last_mut(&mut self) -> Option<(StreamId, &mut V)> {
        let (id, value) = self.chunks.back_mut()?.last_mut()?;
        Some((*id, value))
    }

    /// The value of an ID.
    #[inline]
    pub fn get(&self, id: StreamId) -> Option<&V> {
        let (chunk, index) = self.search(id);
        Some(&self.chunks.get(chunk)?[index.ok()?].1)
    }

    /// The value of an ID, to change.
    #[inline]
    pub fn get_mut(&mut self, id: StreamId) -> Option<&mut V> {
        let (chunk, index) = self.search(id);
        Some(&mut self.chunks.get_mut(chunk)?[index.ok()?].1)
    }

    /// Gives an ID a value; the one that it had comes back.
    pub fn insert(&mut self, id: StreamId, value: V) -> Option<V> {
        let (mut chunk, index) = self.search(id);
        let mut index = match index {
            Ok(index) => {
                let old = &mut self.chunks[chunk][index].1;
                return Some(std::mem::replace(old, value));
            }
            Err(index) => index,
        };
        if chunk == self.chunks.len() {
            self.chunks.push_back(Vec::new());
        } else if self.chunks[chunk].len() == CHUNK_MAX {
            let is_last = chunk + 1 == self.chunks.len() && index == CHUNK_MAX;
            let at = if is_last { CHUNK_MAX } else { CHUNK_MAX / 2 };
            let tail = self.chunks[chunk].split_off(at);
            self.chunks.insert(chunk + 1, tail);
            if index >= at {
                chunk += 1;
                index -= at;
            }
        }
        let chunk = &mut self.chunks[chunk];
        if chunk.len() == chunk.capacity() {
            let room = chunk.len().clamp(1, CHUNK_MAX - chunk.len());
            chunk.reserve_exact(room);
        }
        chunk.insert(index, (id, value));
        self.len += 1;
        None
    }

    /// Takes an ID out with its value.
    pub fn remove(&mut self, id: StreamId) -> Option<V> {
        let (chunk, index) = self.search(id);
        let (_, value) = self.chunks.get_mut(chunk)?.remove(index.ok()?);
        self.len -= 1;
        self.settle(chunk);
        Some(value)
    }

    /// The first place.
    #[inline]
    pub fn start(&self) -> Cursor {
        Cursor { chunk: 0, index: 0 }
    }

    /// The place of an ID, or of the next one that there is, or the end.
    #[inline]
    pub fn ceiling(&self, id: StreamId) -> Cursor {
        let (chunk, index) = self.search(id);
        let index = index.unwrap_or_else(|index| index);
        match self.chunks.get(chunk) {
            Some(values) if index == values.len() => Cursor {
                chunk: chunk + 1,
                index: 0,
            },
            _ => Cursor { chunk, index },
        }
    }

    /// The place of an ID, or of the last one before it.
    #[inline]
    pub fn floor(&self, id: StreamId) -> Option<Cursor> {
        let (chunk, index) = self.search(id);
        match index {
            Ok(index) => Some(Cursor { chunk, index }),
            Err(index) => self.previous(Cursor { chunk, index }),
        }
    }

    /// What is at a place; nothing at the end.
    #[inline]
    pub fn at(&self, at: Cursor) -> Option<(StreamId, &V)> {
        let (id, value) = self.chunks.get(at.chunk)?.get(at.index)?;
        Some((*id, value))
    }

    /// What is at a place, to change.
    #[inline]
    pub fn at_mut(&mut self, at: Cursor) -> Option<(StreamId, &mut V)> {
        let (id, value) = self.chunks.get_mut(at.chunk)?.get_mut(at.index)?;
        Some((*id, value))
    }

    /// The place behind one that is not the end.
    #[inline]
    pub fn next(&self, at: Cursor) -> Cursor {
        if at.index + 1 < self.chunks[at.chunk].len() {
            Cursor {
                index: at.index + 1,
                ..at
            }
        } else {
            Cursor {
                chunk: at.chunk + 1,
                index: 0,
            }
        }
    }

    /// The place before another, or before the end.
    #[inline]
    pub fn previous(&self, at: Cursor) -> Option<Cursor> {
        let (chunk, index) = match at.index.checked_sub(1) {
            Some(index) => (at.chunk, index),
            None => {
                let chunk = at.chunk.checked_sub(1)?;
                (chunk, self.chunks[chunk].len() - 1)
            }
        };
        Some(Cursor { chunk, index })
    }

    /// The IDs with their values, from one on, which need not be there.
    pub fn iter_from(&self, from: StreamId) -> impl Iterator<Item = (StreamId, &V)> {
        let start = self.ceiling(from);
        let first = self.chunks.get(start.chunk);
        let rest = self
            .chunks
            .range((start.chunk + 1).min(self.chunks.len())..);
        first
            .into_iter()
            .flat_map(move |chunk| &chunk[start.index..])
            .chain(rest.flatten())
            .map(|(id, value)| (*id, value))
    }

    /// Bytes that the map takes, what the values own not counted.
    pub fn allocated(&self) -> usize {
        let bytes = |count: usize, each: usize| match count {
            0 => 0,
            count => alloc::class_size(count * each, 8),
        };
        let chunks = self.chunks.iter();
        chunks
            .map(|chunk| bytes(chunk.capacity(), size_of::<(StreamId, V)>()))
            .sum::<usize>()
            + bytes(self.chunks.capacity(), size_of::<Chunk<V>>())
    }

    /// The chunk where an ID is or would go, and where in it. Only in an empty map is there no such
    /// chunk.
    #[inline]
    fn search(&self, id: StreamId) -> (usize, Result<usize, usize>) {
        let Some(last) = self.chunks.len().checked_sub(1) else {
            return (0, Err(0));
        };
        let newest = &self.chunks[last];
        if newest[newest.len() - 1].0 < id {
            return (last, Err(newest.len()));
        }
        let behind = self.chunks.partition_point(|chunk| chunk[0].0 <= id);
        let chunk = behind.saturating_sub(1);
        (
            chunk,
            self.chunks[chunk].binary_search_by_key(&id, |(id, _)| *id),
        )
    }

    /// Drops a chunk that a removal has left empty, and joins one that it has left small with its
    /// neighbour.
    fn settle(&mut self, chunk: usize) {
        let len = self.chunks[chunk].len();
        if len == 0 {
            self.chunks.remove(chunk);
            if self.chunks.is_empty() {
                self.chunks = VecDeque::new();
            }
            return;
        }
        if len > CHUNK_MAX / 4 {
            return;
        }
        let fits = |other: usize| {
            let other = self.chunks.get(other);
            other.is_some_and(|other| other.len() + len <= CHUNK_MAX / 2)
        };
        let low = match chunk.checked_sub(1) {
            Some(before) if fits(before) => before,
            _ if fits(chunk + 1) => chunk,
            _ => return,
        };
        let mut high = self.chunks.remove(low + 1).expect("a chunk that fits");
        let low = &mut self.chunks[low];
        low.reserve_exact(CHUNK_MAX.saturating_sub(low.len()).min(high.len()));
        low.append(&mut high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn check(map: &IdMap<u32>, model: &BTreeMap<StreamId, u32>) {
        assert_eq!(map.len(), model.len());
        let all: Vec<_> = map
            .iter_from(StreamId::MIN)
            .map(|(id, v)| (id, *v))
            .collect();
        let expected: Vec<_> = model.iter().map(|(id, v)| (*id, *v)).collect();
        assert_eq!(all, expected);
        assert!(
            map.chunks
                .iter()
                .all(|c| (1..=CHUNK_MAX).contains(&c.len()))
        );
        let last = map.last().map(|(id, v)| (id, *v));
        assert_eq!(last, expected.last().copied());
        let mut at = map.start();
        for pair in &expected {
            assert_eq!(map.at(at).map(|(id, v)| (id, *v)), Some(*pair));
            let next = map.next(at);
            assert_eq!(map.previous(next), Some(at));
            at = next;
        }
        assert_eq!(map.at(at), None);
        assert_eq!(map.previous(map.start()), None);
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(steps in prop::collection::vec((0u64..600, any::<bool>(), any::<u32>()), 1..1500)) {
            let (mut map, mut model) = (IdMap::default(), BTreeMap::new());
            for (n, insert, value) in steps {
                let id = StreamId::new(n / 7, n % 7);
                if insert {
                    prop_assert_eq!(map.insert(id, value), model.insert(id, value));
                } else {
                    let ceiling = map.at(map.ceiling(id)).map(|(id, _)| id);
                    prop_assert_eq!(ceiling, model.range(id..).next().map(|(id, _)| *id));
                    let floor = map.floor(id).and_then(|at| map.at(at)).map(|(id, _)| id);
                    prop_assert_eq!(floor, model.range(..=id).next_back().map(|(id, _)| *id));
                    prop_assert_eq!(map.get(id), model.get(&id));
                    let tail = map.iter_from(id).map(|(id, _)| id);
                    prop_assert!(tail.eq(model.range(id..).map(|(id, _)| *id)));
                    prop_assert_eq!(map.remove(id), model.remove(&id));
                }
            }
            check(&map, &model);
        }
    }

    #[test]
    fn ascending_ids_fill_the_chunks() {
        let mut map = IdMap::default();
        let count = 64_000;
        for n in 0..count {
            map.insert(StreamId::new(n, 0), ());
        }
        assert_eq!(map.chunks(), 1000);
        let each = map.allocated() as f64 / count as f64;
        assert!(each < 17.0, "{each} bytes an ID");
        for n in 0..count {
            assert_eq!(map.remove(StreamId::new(n, 0)), Some(()));
        }
        assert_eq!((map.len(), map.allocated()), (0, 0));
    }
}
