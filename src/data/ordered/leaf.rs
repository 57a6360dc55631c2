#![allow(unsafe_code)]
//! A leaf: up to [`LEAF_MAX`] references to elements, in an allocation of the slab heap that grows and
//! shrinks with them.
//!
//! ```text
//!  0     1      2      8
//!  +-----+------+------+------+------+ ─ ─ ─
//!  | len | room | ref0 | ref1 | ref2 |
//!  +-----+------+------+------+------+ ─ ─ ─
//! ```
//!
//! A reference is a pointer's low 48 bits. The two bytes before the first one let every reference be
//! read as the upper end of an eight-byte word that lies in the allocation.
//!
//! Invariants: `len <= room <= LEAF_MAX`, the allocation is that of `size(room)` bytes, and the first
//! `len` references are elements that whoever owns the tree keeps alive.

use super::{Place, search};
use crate::base::slab;
use crate::data::element::Element;
use crate::data::table::{Handle, prefetch};
use std::ptr::NonNull;

/// References a leaf holds at most: what a search narrows down to a single one in two rounds of eight
/// fetches at once.
pub(super) const LEAF_MAX: usize = 72;

/// Bytes of a reference.
const REF: usize = 6;
/// References by which a full leaf grows.
const STEP: usize = 4;
/// Free references from which on a leaf shrinks.
const SLACK: usize = 12;

/// A leaf of the tree. It owns its memory, not the elements.
pub(super) struct Leaf(NonNull<u8>);

// SAFETY: a leaf owns its memory; its elements are plain pointers.
unsafe impl Send for Leaf {}
// SAFETY: through a shared reference a leaf is only read.
unsafe impl Sync for Leaf {}

impl Leaf {
    /// A leaf of these elements: at most [`LEAF_MAX`].
    pub(super) fn of(elements: &[Element]) -> Leaf {
        let mut leaf = Leaf::with_room(elements.len().max(STEP));
        for (index, &element) in elements.iter().enumerate() {
            leaf.insert(index, element);
        }
        leaf
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.byte(0)
    }

    /// The element at `index`.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Element {
        assert!(index < self.len(), "no such element in the leaf");
        // SAFETY: the word ends where the reference does, and begins in the leaf; the reference is one
        // of the first `len`, a live element's.
        unsafe {
            let word = self.0.add(REF * index).cast::<u64>().read_unaligned();
            let pointer = (u64::from_le(word) >> 16) as *mut u8;
            Element::from_raw(NonNull::new_unchecked(pointer))
        }
    }

    /// Where `element` stands.
    #[inline]
    pub(super) fn position(&self, element: Element) -> Option<usize> {
        (0..self.len()).find(|&index| self.get(index) == element)
    }

    /// How many elements are before a place.
    pub(super) fn partition(&self, place: Place<'_>) -> usize {
        search(
            0,
            self.len(),
            |index| self.get(index),
            |element| place.follows(element),
        )
    }

    /// Puts an element at `index`; there must be less than [`LEAF_MAX`].
    pub(super) fn insert(&mut self, index: usize, element: Element) {
        let len = self.len();
        assert!(index <= len && len < LEAF_MAX, "no place in the leaf");
        if len == self.room() {
            self.resize(len + STEP);
        }
        self.shift(index, index + 1, len - index);
        self.set(index, element);
        self.set_len(len + 1);
    }

    /// Puts another element in the place of one.
    pub(super) fn replace(&mut self, index: usize, element: Element) {
        assert!(index < self.len(), "no such element in the leaf");
        self.set(index, element);
    }

    /// Takes out the elements from `from` to before `to`.
    pub(super) fn remove(&mut self, from: usize, to: usize) {
        let len = self.len();
        assert!(from <= to && to <= len, "no such elements in the leaf");
        self.shift(to, from, len - to);
        self.set_len(len - (to - from));
        self.fit();
    }

    /// Moves the elements from `at` on to a new leaf.
    pub(super) fn split_off(&mut self, at: usize) -> Leaf {
        let len = self.len();
        assert!(at <= len, "no such place in the leaf");
        let mut right = Leaf::with_room(len - at);
        right.copy_from(self, at, len - at);
        self.set_len(at);
        self.fit();
        right
    }

    /// Adds all elements of `right` behind those of this leaf.
    pub(super) fn append(&mut self, right: &Leaf) {
        let len = self.len() + right.len();
        assert!(len <= LEAF_MAX, "two leaves do not fit into one");
        if len > self.room() {
            self.resize(len);
        }
        self.copy_from(right, 0, right.len());
    }

    /// Bytes that the leaf takes.
    #[inline]
    pub(super) fn allocated(&self) -> usize {
        slab::class_size(size(self.room()))
    }

    /// Asks the processor for most of the leaf.
    #[inline]
    pub(super) fn prefetch(&self) {
        for line in 0..4 {
            prefetch(self.0.as_ptr().wrapping_add(64 * line));
        }
    }

    fn with_room(room: usize) -> Leaf {
        let room = rounded(room);
        let mut leaf = Leaf(slab::alloc(size(room)));
        leaf.set_len(0);
        leaf.set_room(room);
        leaf
    }

    #[inline]
    fn room(&self) -> usize {
        self.byte(1)
    }

    /// Gives memory back if much of it is free.
    fn fit(&mut self) {
        if self.room() - self.len() >= SLACK {
            self.resize(self.len() + STEP / 2);
        }
    }

    fn resize(&mut self, room: usize) {
        let mut moved = Leaf::with_room(room);
        if moved.room() != self.room() {
            moved.copy_from(self, 0, self.len());
            std::mem::swap(self, &mut moved);
        }
    }

    #[inline]
    fn byte(&self, at: usize) -> usize {
        debug_assert!(at < 2);
        // SAFETY: the header's two bytes are part of every leaf.
        usize::from(unsafe { self.0.add(at).read() })
    }

    fn set_len(&mut self, len: usize) {
        // SAFETY: as in `byte`.
        unsafe { self.0.write(len as u8) };
    }

    fn set_room(&mut self, room: usize) {
        // SAFETY: as in `byte`.
        unsafe { self.0.add(1).write(room as u8) };
    }

    fn set(&mut self, index: usize, element: Element) {
        debug_assert!(index < self.room());
        let bits = element.into_raw().as_ptr() as u64;
        debug_assert!(bits >> 48 == 0);
        let bytes = &bits.to_le_bytes()[..REF];
        // SAFETY: the leaf has room for the reference.
        unsafe {
            let place = self.0.as_ptr().add(2 + REF * index);
            place.copy_from_nonoverlapping(bytes.as_ptr(), REF);
        }
    }

    /// Moves `count` references from one index to another.
    fn shift(&mut self, from: usize, to: usize, count: usize) {
        debug_assert!(from.max(to) + count <= self.room());
        // SAFETY: both places lie in the leaf.
        unsafe {
            let source = self.0.as_ptr().add(2 + REF * from);
            source.copy_to(self.0.as_ptr().add(2 + REF * to), REF * count);
        }
    }

    /// Adds `count` elements of another leaf, from `from` on, at the end.
    fn copy_from(&mut self, other: &Leaf, from: usize, count: usize) {
        let len = self.len();
        assert!(len + count <= self.room() && from + count <= other.len());
        // SAFETY: both places lie in their leaves, which are not the same one.
        unsafe {
            let source = other.0.as_ptr().add(2 + REF * from);
            let place = self.0.as_ptr().add(2 + REF * len);
            source.copy_to_nonoverlapping(place, REF * count);
        }
        self.set_len(len + count);
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        // SAFETY: allocated with this size, by `with_room`.
        unsafe { slab::free(self.0, size(self.room())) };
    }
}

const fn size(room: usize) -> usize {
    2 + REF * room
}

/// As much room as the allocation for `room` references has.
fn rounded(room: usize) -> usize {
    ((slab::class_size(size(room.max(STEP))) - 2) / REF).min(LEAF_MAX)
}

const _: () = assert!(LEAF_MAX <= u8::MAX as usize && size(LEAF_MAX) <= slab::CLASS_MAX);
