//! One node of a quicklist: a listpack, one big element alone, or either of them compressed.
//!
//! A listpack's memory grows by doubling from 64 bytes to the limit of the fill and never past it, so
//! that a full node takes just its size class.

use super::limits::Limits;
use crate::base::alloc::class_size;
use crate::base::lzf;
use crate::data::listpack::{EMPTY_LEN, Item, Listpack, ListpackBuf, Needle, Pos, encoded_len};

/// A node. It holds at least one element, except while the list is about to drop it.
#[derive(Clone)]
pub(super) enum Node {
    /// Some elements.
    Packed { pack: ListpackBuf, count: u32 },
    /// One element, too big to be moved about in a listpack.
    Plain { bytes: Vec<u8> },
    /// Either of them, to be decompressed before it is used.
    Compressed {
        bytes: Box<[u8]>,
        /// How many bytes it decompresses to.
        original_len: usize,
        /// How many elements it has; none stands for one plain element.
        count: u32,
    },
}

const _: () = assert!(size_of::<Node>() == 32);

/// What a node holds, readable.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Packed(Listpack<'a>),
    Plain(&'a [u8]),
}

/// Fewer bytes are not worth compressing.
const COMPRESS_MIN: usize = 48;
/// What compressing has to save to be kept.
const COMPRESS_SAVED_MIN: usize = 8;
/// The first memory of a listpack.
const CAPACITY_MIN: usize = 64;
/// What an element takes at most beside its text.
const ELEMENT_HEAD_MAX: usize = 10;

impl Node {
    /// A node of one element.
    pub(super) fn of(text: &[u8], limits: &Limits) -> Self {
        if limits.is_large(text.len()) {
            return Node::Plain {
                bytes: text.to_vec(),
            };
        }
        let capacity = capacity_for(EMPTY_LEN + encoded_len(text), limits);
        let mut pack = ListpackBuf::new_in(Vec::with_capacity(capacity));
        pack.push_back(text);
        Node::Packed { pack, count: 1 }
    }

    /// A node of all elements of a listpack.
    pub(super) fn from_pack(pack: ListpackBuf) -> Self {
        let count = pack.as_ref().len();
        let count = u32::try_from(count).expect("a listpack of fewer than 4 GiB");
        Node::Packed { pack, count }
    }

    /// A node without elements or memory, in the place of one that is being rebuilt.
    pub(super) fn nothing() -> Self {
        Node::Plain { bytes: Vec::new() }
    }

    #[inline]
    pub(super) fn elements(&self) -> usize {
        match *self {
            Node::Packed { count, .. } => count as usize,
            Node::Plain { .. } => 1,
            Node::Compressed { count, .. } => count.max(1) as usize,
        }
    }

    /// The bytes of its listpack or plain element, as they are when not compressed.
    pub(super) fn len(&self) -> usize {
        match self {
            Node::Packed { pack, .. } => pack.as_ref().bytes().len(),
            Node::Plain { bytes } => bytes.len(),
            Node::Compressed { original_len, .. } => *original_len,
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        match self {
            Node::Packed { .. } => false,
            Node::Plain { .. } => true,
            Node::Compressed { count, .. } => *count == 0,
        }
    }

    /// The bytes that it has asked the allocator for.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        match self {
            Node::Packed { pack, .. } => pack.capacity(),
            Node::Plain { bytes } => bytes.capacity(),
            Node::Compressed { bytes, .. } => bytes.len(),
        }
    }

    /// Whether another element of this size may join.
    #[inline]
    pub(super) fn accepts(&self, text_len: usize, limits: &Limits) -> bool {
        !self.is_plain() && limits.accept(self.len(), self.elements(), text_len)
    }

    /// What it holds; decompressed into the scratch memory if need be.
    #[inline]
    pub(super) fn content<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Content<'a> {
        match self {
            Node::Packed { pack, .. } => Content::Packed(pack.as_ref()),
            Node::Plain { bytes } => Content::Plain(bytes),
            Node::Compressed {
                bytes,
                original_len,
                count,
            } => {
                decompress(bytes, *original_len, scratch);
                if *count == 0 {
                    Content::Plain(scratch)
                } else {
                    Content::Packed(Listpack::from_trusted(scratch))
                }
            }
        }
    }

    /// Decompresses it. Whether that changed it.
    #[inline]
    pub(super) fn expand(&mut self) -> bool {
        match self {
            Node::Packed { .. } | Node::Plain { .. } => false,
            Node::Compressed {
                bytes,
                original_len,
                count,
            } => {
                let mut original = Vec::new();
                decompress(bytes, *original_len, &mut original);
                *self = if *count == 0 {
                    Node::Plain { bytes: original }
                } else {
                    Node::Packed {
                        count: *count,
                        pack: ListpackBuf::from_vec_trusted(original),
                    }
                };
                true
            }
        }
    }

    /// Compresses it, if it is worth it.
    pub(super) fn compress(&mut self) {
        let (original, count) = match self {
            Node::Packed { pack, count } => (pack.as_ref().bytes(), *count),
            Node::Plain { bytes } => (bytes.as_slice(), 0),
            Node::Compressed { .. } => return,
        };
        let original_len = original.len();
        let mut bytes = Vec::new();
        if original_len >= COMPRESS_MIN
            && lzf::compress(original, &mut bytes)
            && bytes.len() + COMPRESS_SAVED_MIN < original_len
        {
            *self = Node::Compressed {
                bytes: bytes.into_boxed_slice(),
                original_len,
                count,
            };
        }
    }

    /// Adds an element, which it accepts.
    #[inline]
    pub(super) fn push_back(&mut self, text: &[u8], limits: &Limits) {
        let (pack, count) = self.room_for(text, limits);
        pack.push_back(text);
        *count += 1;
    }

    /// The same before all others.
    #[inline]
    pub(super) fn push_front(&mut self, text: &[u8], limits: &Limits) {
        let (pack, count) = self.room_for(text, limits);
        pack.push_front(text);
        *count += 1;
    }

    /// Adds an element, which it accepts, that so many others are before.
    pub(super) fn insert(&mut self, offset: usize, text: &[u8], limits: &Limits) {
        if offset == self.elements() {
            return self.push_back(text, limits);
        }
        let (pack, count) = self.room_for(text, limits);
        let at = seek(pack.as_ref(), offset);
        pack.insert_before(at, text);
        *count += 1;
    }

    /// Puts another text in the stead of the element with so many others before it. False, with nothing
    /// changed, if it would not fit, or belongs into a node of another form.
    pub(super) fn replace(&mut self, offset: usize, text: &[u8], limits: &Limits) -> bool {
        match self {
            Node::Plain { bytes } => {
                let large = limits.is_large(text.len());
                if large {
                    *bytes = text.to_vec();
                }
                large
            }
            Node::Packed { pack, count } => {
                let read = pack.as_ref();
                let at = seek(read, offset);
                // What the old one takes at least: an integer takes less than its text may.
                let (old_len, old_bytes) = match read.get(at) {
                    Item::Int(_) => (0, 0),
                    Item::Bytes(old) => (old.len(), encoded_len(old)),
                };
                let grows = text.len() > old_len;
                let (rest, others) = (read.bytes().len() - old_len, *count as usize - 1);
                if limits.is_large(text.len()) || grows && !limits.accept(rest, others, text.len())
                {
                    return false;
                }
                self.reserve(encoded_len(text).saturating_sub(old_bytes), limits);
                self.packed_mut().0.replace(at, text);
                self.settle(limits);
                true
            }
            Node::Compressed { .. } => panic!("a change of a compressed node"),
        }
    }

    /// Shows the last element, or the first, and takes it out, unless it is the only one: then the list
    /// drops the node.
    #[inline]
    pub(super) fn pop<R>(&mut self, back: bool, show: impl FnOnce(Item<'_>) -> R) -> R {
        match self {
            Node::Packed { pack, count } => {
                let read = pack.as_ref();
                let at = if back { read.last() } else { read.first() };
                let at = at.expect("an element in a node");
                let result = show(read.get(at));
                if *count > 1 {
                    pack.remove(at);
                    *count -= 1;
                }
                result
            }
            Node::Plain { bytes } => show(Item::Bytes(bytes)),
            Node::Compressed { .. } => panic!("a change of a compressed node"),
        }
    }

    /// Takes out so many elements, not all, that so many others are before. The memory follows.
    pub(super) fn cut(&mut self, start: usize, removed: usize, limits: &Limits) {
        let (pack, count) = self.packed_mut();
        pack.remove_index_range(start, removed);
        *count -= removed as u32;
        self.settle(limits);
    }

    /// Takes out elements with the needle's text, so many at most, from the last on or from the first.
    /// How many there were. None may be left; then the list drops the node.
    pub(super) fn remove_matches(
        &mut self,
        needle: &Needle<'_>,
        count_max: usize,
        back: bool,
        limits: &Limits,
    ) -> usize {
        let (pack, count) = self.packed_mut();
        let removed = if back {
            remove_matches_back(pack, needle, count_max)
        } else {
            remove_matches_front(pack, needle, count_max)
        };
        *count -= removed as u32;
        self.settle(limits);
        removed
    }

    /// Splits it: keeps so many elements, gives those behind.
    pub(super) fn split_off(&mut self, offset: usize, limits: &Limits) -> Node {
        let (pack, count) = self.packed_mut();
        let at = seek(pack.as_ref(), offset);
        let tail = pack.split_off(at);
        let tail_count = *count - offset as u32;
        *count = offset as u32;
        self.settle(limits);
        Node::Packed {
            pack: tail,
            count: tail_count,
        }
    }

    /// Adds the elements of a listpack's node, which fit.
    pub(super) fn append(&mut self, mut other: Node, limits: &Limits) {
        other.expand();
        let (other, other_count) = other.packed_mut();
        let add = other.as_ref().bytes().len() - EMPTY_LEN;
        self.reserve(add, limits);
        let (pack, count) = self.packed_mut();
        pack.append(other.as_ref());
        *count += *other_count;
    }

    /// Its listpack, and what it was a node of is given up.
    pub(super) fn into_pack(mut self) -> ListpackBuf {
        self.expand();
        match self {
            Node::Packed { pack, .. } => pack,
            Node::Plain { .. } | Node::Compressed { .. } => panic!("the listpack of a plain node"),
        }
    }

    #[inline]
    fn packed_mut(&mut self) -> (&mut ListpackBuf, &mut u32) {
        match self {
            Node::Packed { pack, count } => (pack, count),
            Node::Plain { .. } | Node::Compressed { .. } => {
                panic!("a change of the elements of a node that is no listpack")
            }
        }
    }

    /// Its listpack, with memory for one more element.
    #[inline]
    fn room_for(&mut self, text: &[u8], limits: &Limits) -> (&mut ListpackBuf, &mut u32) {
        if self.capacity() - self.len() < text.len() + ELEMENT_HEAD_MAX {
            self.reserve(encoded_len(text), limits);
        }
        self.packed_mut()
    }

    /// Grows its memory by steps until there is room for so many bytes.
    #[inline(never)]
    fn reserve(&mut self, add: usize, limits: &Limits) {
        let needed = self.len() + add;
        if needed > self.capacity() {
            self.rebuild(|bytes| {
                bytes.reserve_exact(capacity_for(needed, limits) - bytes.len());
            });
        }
    }

    /// Gives memory back if less than half of it is in use.
    fn settle(&mut self, limits: &Limits) {
        let capacity = capacity_for(self.len(), limits);
        if capacity <= self.capacity() / 2 {
            self.rebuild(|bytes| bytes.shrink_to(capacity));
        }
    }

    /// Hands the memory of its listpack out and takes it back.
    fn rebuild(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let Node::Packed { pack, count } = std::mem::replace(self, Node::nothing()) else {
            panic!("the listpack of a node that has none");
        };
        let mut bytes = pack.into_vec();
        change(&mut bytes);
        let pack = ListpackBuf::from_vec_trusted(bytes);
        *self = Node::Packed { pack, count };
    }
}

/// The memory that a listpack of so many bytes gets.
fn capacity_for(len: usize, limits: &Limits) -> usize {
    let capacity = len.next_power_of_two().max(CAPACITY_MIN);
    if capacity <= limits.bytes_max() {
        capacity
    } else {
        // Near the limit, or one element alone beyond it.
        class_size(len, 1)
    }
}

fn decompress(bytes: &[u8], original_len: usize, out: &mut Vec<u8>) {
    lzf::decompress_into(bytes, original_len, out).expect("a node that was compressed here");
}

/// The element with so many others before it.
#[inline]
pub(super) fn seek(pack: Listpack<'_>, offset: usize) -> Pos {
    pack.seek(offset as isize)
        .expect("an element of the node, by its index")
}

fn remove_matches_front(pack: &mut ListpackBuf, needle: &Needle<'_>, count_max: usize) -> usize {
    let mut removed = 0;
    let mut from = pack.as_ref().first();
    while removed < count_max
        && let Some(at) = from.and_then(|at| pack.as_ref().find(at, needle, 1))
    {
        // Neighbours go together, so that what is behind them moves once.
        let run = pack
            .as_ref()
            .iter_from(at)
            .take(count_max - removed)
            .take_while(|&item| needle.is(item))
            .count();
        from = pack.remove_range(at, run);
        removed += run;
    }
    removed
}

fn remove_matches_back(pack: &mut ListpackBuf, needle: &Needle<'_>, count_max: usize) -> usize {
    let mut removed = 0;
    let mut from = pack.as_ref().last();
    while removed < count_max
        && let Some(at) = from
    {
        // What is before a place stays where it is when the place's element goes.
        let read = pack.as_ref();
        from = read.prev(at);
        if needle.is(read.get(at)) {
            pack.remove(at);
            removed += 1;
        }
    }
    removed
}
