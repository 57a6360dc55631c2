//! The headers of slabs and of the chunks they lie in, the way from a slot to them, and the slots themselves.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32};

use super::class_size;
use super::heap::Heap;

pub(super) const CHUNK: usize = 2 << 20;
pub(super) const SLAB: usize = 32 << 10;
pub(super) const SLABS: usize = CHUNK / SLAB;
/// What the front of a chunk takes of its first slab, which is not used otherwise.
pub(super) const HEADERS: usize = SLABS * size_of::<Slab>();
/// A bit for every slab of a chunk, but for the one that the headers are in.
pub(super) const ALL_SLABS: u64 = !1;
/// No slot: no offset is odd.
pub(super) const NONE: u16 = u16::MAX;
/// An empty remote list.
pub(super) const REMOTE_NONE: u32 = NONE as u32;
/// Bytes of slots that are put on a slab's free list at a time.
const EXTEND_STEP: usize = 4096;

const _: () = {
    assert!(SLABS == u64::BITS as usize);
    assert!(SLAB < NONE as usize);
    assert!(size_of::<Slab>() == 64 && size_of::<Chunk>() == size_of::<Slab>());
    assert!(HEADERS <= 4096);
};

/// The header of a slab.
#[repr(C, align(64))]
pub(super) struct Slab {
    pub(super) owner: *const Heap,
    /// The first slot.
    pub(super) base: NonNull<u8>,
    /// Offset of the first free slot, or NONE.
    pub(super) free: Cell<u16>,
    /// Slots that are allocated, or freed by another thread and not taken back yet.
    pub(super) used: Cell<u16>,
    /// Below this many used slots the slab belongs elsewhere: on another list, or to the free ones.
    pub(super) used_min: Cell<u16>,
    /// Offset of the slots that were never on the free list.
    pub(super) fresh: Cell<u16>,
    pub(super) slot_size: Cell<u16>,
    pub(super) capacity: Cell<u16>,
    pub(super) class: Cell<u8>,
    pub(super) place: Cell<Place>,
    /// The slots freed by other threads: how many in the upper half, the offset of the first in the lower.
    pub(super) remote: AtomicU32,
    pub(super) previous: Cell<*const Slab>,
    pub(super) next: Cell<*const Slab>,
    /// The next on the owner's list of slabs that have a remote list.
    pub(super) remote_next: AtomicPtr<Slab>,
}

/// Where a slab is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In its chunk's set of free ones.
    Free,
    /// The one its class takes slots from.
    Active,
    /// On no list: it has no free slots, or too few to be worth a turn.
    Full,
    /// On its class's list of those that are at least so many quarters full.
    Partial(u8),
}

pub(super) const QUARTERS: usize = 4;

/// What stands before the headers of a chunk's slabs, in the place of that of slab 0.
#[repr(C, align(64))]
pub(super) struct Chunk {
    /// Where it begins, as a pointer to all of it.
    pub(super) start: NonNull<u8>,
    /// The slabs that are free.
    pub(super) free: Cell<u64>,
    /// Those of them that have kept their pages.
    pub(super) kept: Cell<u64>,
    /// Neighbours on the heap's list of the chunks with a free slab.
    pub(super) previous: Cell<*const Chunk>,
    pub(super) next: Cell<*const Chunk>,
}

impl Slab {
    pub(super) const fn new(owner: *const Heap, base: NonNull<u8>, place: Place) -> Self {
        Slab {
            owner,
            base,
            free: Cell::new(NONE),
            used: Cell::new(0),
            used_min: Cell::new(0),
            fresh: Cell::new(0),
            slot_size: Cell::new(0),
            capacity: Cell::new(0),
            class: Cell::new(0),
            place: Cell::new(place),
            remote: AtomicU32::new(REMOTE_NONE),
            previous: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            remote_next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    pub(super) fn chunk(&self) -> &Chunk {
        let start = self
            .base
            .as_ptr()
            .map_addr(|address| address & !(CHUNK - 1));
        // SAFETY: the chunk that a slab is in begins with its header.
        unsafe { &*start.cast::<Chunk>() }
    }

    pub(super) fn number(&self) -> u32 {
        (self.base.addr().get() / SLAB % SLABS) as u32
    }

    /// Puts the next page of slots that were never used on the empty free list; false if there are none.
    pub(super) fn extend(&self) -> bool {
        let slot_size = usize::from(self.slot_size.get());
        let start = usize::from(self.fresh.get());
        let end = usize::from(self.capacity.get()) * slot_size;
        if start == end {
            return false;
        }
        let end = end.min(start + slot_size.max(EXTEND_STEP / slot_size * slot_size));
        for offset in (start..end).step_by(slot_size) {
            let next = offset + slot_size;
            // SAFETY: the slot lies within the slab, and nobody ever held it.
            unsafe {
                let slot = self.base.add(offset);
                poison(slot, self.slot_size.get());
                let link = if next == end { NONE } else { next as u16 };
                slot.cast::<u16>().write(link);
            }
        }
        self.free.set(start as u16);
        self.fresh.set(end as u16);
        true
    }
}

impl Chunk {
    pub(super) fn slab(&self, number: u32) -> &Slab {
        // SAFETY: the headers follow that of the chunk, up to number SLABS - 1, and a set of slabs has no others.
        unsafe { self.start.cast::<Slab>().add(number as usize).as_ref() }
    }
}

/// The header of the slab that a slot is in.
#[inline]
pub(super) fn slab_of(pointer: NonNull<u8>) -> *const Slab {
    let chunk = pointer.as_ptr().map_addr(|address| address & !(CHUNK - 1));
    let number = pointer.addr().get() / SLAB % SLABS;
    chunk.cast::<Slab>().wrapping_add(number)
}

#[inline]
pub(super) fn offset_in_slab(pointer: NonNull<u8>) -> u16 {
    (pointer.addr().get() % SLAB) as u16
}

/// What free slots are filled with in debug builds, behind their link.
const POISON: u8 = 0xDE;
const LINK: usize = size_of::<u16>();

#[inline]
pub(super) fn poison(slot: NonNull<u8>, slot_size: u16) {
    if cfg!(debug_assertions) {
        // SAFETY: the callers own the slot.
        unsafe {
            slot.add(LINK)
                .write_bytes(POISON, usize::from(slot_size) - LINK)
        };
    }
}

#[inline]
pub(super) fn check_poison(slot: NonNull<u8>, slot_size: u16) {
    debug_assert!(
        is_poisoned(slot, slot_size),
        "a slot was written to after it was freed"
    );
}

fn is_poisoned(slot: NonNull<u8>, slot_size: u16) -> bool {
    // SAFETY: the callers own the slot, which the heap fills whenever it links it.
    let bytes = unsafe { std::slice::from_raw_parts(slot.as_ptr(), slot_size.into()) };
    bytes[LINK..].iter().all(|&byte| byte == POISON)
}

/// Ends a debug build that frees what is not allocated, or with the wrong size.
///
/// # Safety
/// The slab's header is mapped.
#[inline]
pub(super) unsafe fn check_allocated(
    slab: *const Slab,
    pointer: NonNull<u8>,
    size: usize,
    heap: *const Heap,
) {
    if !cfg!(debug_assertions) {
        return;
    }
    // SAFETY: the class of a slab changes only while no slot of it is allocated.
    let (slot_size, owner) = unsafe { ((*slab).slot_size.get(), (*slab).owner) };
    assert_eq!(
        usize::from(slot_size),
        class_size(size),
        "freed with the size of another class"
    );
    assert_eq!(
        offset_in_slab(pointer) % slot_size,
        0,
        "freed what is not a slot"
    );
    // Content that looks free is no proof, the list is; only the owner can read it.
    if ptr::eq(owner, heap) && is_poisoned(pointer, slot_size) {
        // SAFETY: this thread owns the slab, whose list leads over free slots.
        unsafe {
            let mut offset = (*slab).free.get();
            while offset != NONE {
                assert_ne!(offset, offset_in_slab(pointer), "freed twice");
                offset = (*slab).base.add(offset.into()).cast::<u16>().read();
            }
        }
    }
}
