//! A heap: which slabs a class takes its slots from, where freed ones go, and what the system gets back.
//!
//! All of this but [`put_remote`] runs on the thread that holds the heap.
#![allow(unsafe_code)]

use std::alloc::{Layout, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::super::sys;
use super::classes::{CLASSES, SIZES};
use super::header::{
    ALL_SLABS, CHUNK, Chunk, HEADERS, NONE, Place, QUARTERS, REMOTE_NONE, SLAB, SLABS, Slab,
    check_poison, offset_in_slab, poison,
};

/// How many free slabs of a heap keep their pages.
pub(super) const KEPT_MAX: usize = 16;
/// From how many slabs the slots that others freed are taken back when a class has no free slot.
const COLLECT_STEP: usize = 4;

pub(super) struct Heap {
    pub(super) active: [Cell<*const Slab>; CLASSES],
    /// Bytes allocated, wrapping.
    pub(super) used: AtomicUsize,
    pub(super) reserved: AtomicUsize,
    /// Free slabs that have kept their pages.
    pub(super) kept: Cell<usize>,
    /// The chunks with a free slab, the one that was freed from last in front.
    pub(super) chunks: Cell<*const Chunk>,
    /// Slabs with a remote list, taken from `pending` and not looked at yet.
    pub(super) backlog: Cell<*const Slab>,
    pub(super) partial: [[Cell<*const Slab>; QUARTERS]; CLASSES],
    pub(super) next: AtomicPtr<Heap>,
    pub(super) pending: Pending,
}

/// Slabs that got a remote list; a cache line to itself, since other threads write it.
#[repr(align(64))]
pub(super) struct Pending(AtomicPtr<Slab>);

/// Bytes that were freed by other threads than the owners'. Heaps do not count these as freed.
pub(super) static FREED_REMOTELY: AtomicUsize = AtomicUsize::new(0);

/// Something that is never written, so that a `Cell` in it does no harm.
pub(super) struct Immutable<T>(pub(super) T);

// SAFETY: the two values that are wrapped are never written. FULL_SLAB has no free slot, is in no chunk and is
// recognised where an active slab is retired. NOBODY, the heap of threads without one, has FULL_SLAB for every
// class, nothing to collect and nothing to purge, and owns no slab that a slot could be put back to.
unsafe impl<T> Sync for Immutable<T> {}

/// The slab of a class that has none.
static FULL_SLAB: Immutable<Slab> =
    Immutable(Slab::new(ptr::null(), NonNull::dangling(), Place::Full));

impl Heap {
    pub(super) const fn new() -> Self {
        Heap {
            active: [const { Cell::new(&raw const FULL_SLAB.0) }; CLASSES],
            used: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            kept: Cell::new(0),
            chunks: Cell::new(ptr::null()),
            backlog: Cell::new(ptr::null()),
            partial: [const { [const { Cell::new(ptr::null()) }; QUARTERS] }; CLASSES],
            next: AtomicPtr::new(ptr::null_mut()),
            pending: Pending(AtomicPtr::new(ptr::null_mut())),
        }
    }

    #[inline]
    pub(super) fn active_slab(&self, class: usize) -> &Slab {
        // SAFETY: it is FULL_SLAB, or one of this heap's in use.
        unsafe { &*Cell::get(&self.active[class]) }
    }

    /// A slot of the class's active slab, if that has one.
    #[inline]
    pub(super) fn take(&self, class: usize) -> Option<NonNull<u8>> {
        let slab = self.active_slab(class);
        let offset = slab.free.get();
        if offset == NONE {
            return None;
        }
        // SAFETY: the offset names a slot that nobody holds, which begins with the next offset (Slots).
        let slot = unsafe {
            let slot = slab.base.add(offset.into());
            slab.free.set(slot.cast::<u16>().read());
            slot
        };
        slab.used.set(slab.used.get() + 1);
        add(&self.used, slab.slot_size.get().into());
        check_poison(slot, slab.slot_size.get());
        Some(slot)
    }

    /// Puts a slot of one of this heap's slabs back on its list.
    #[inline]
    pub(super) fn put(&self, slab: &Slab, pointer: NonNull<u8>) {
        poison(pointer, slab.slot_size.get());
        // SAFETY: the caller gives up the slot, and every slot has room for an offset.
        unsafe { pointer.cast::<u16>().write(slab.free.get()) };
        slab.free.set(offset_in_slab(pointer));
        let used = slab.used.get() - 1;
        slab.used.set(used);
        add(&self.used, usize::from(slab.slot_size.get()).wrapping_neg());
        if used < slab.used_min.get() {
            self.replace(slab);
        }
    }

    /// A slot of the class, from wherever one is found.
    pub(super) fn take_slowly(&self, class: usize) -> NonNull<u8> {
        loop {
            if let Some(slot) = self.take(class) {
                return slot;
            }
            let slab = self.active_slab(class);
            if !slab.extend() {
                self.retire(slab);
                self.collect(COLLECT_STEP);
                let slab = self.fullest(class).unwrap_or_else(|| self.new_slab(class));
                slab.used_min.set(0);
                slab.place.set(Place::Active);
                self.active[class].set(slab);
            }
        }
    }

    /// Ends the time of an active slab that has no slot left.
    fn retire(&self, slab: &Slab) {
        if slab.place.get() != Place::Active {
            assert!(
                ptr::eq(slab, &FULL_SLAB.0),
                "an active slab knows that it is"
            );
            return;
        }
        assert_eq!(slab.used.get(), slab.capacity.get(), "no slot is lost");
        self.active[usize::from(slab.class.get())].set(&raw const FULL_SLAB.0);
        slab.place.set(Place::Full);
        slab.used_min
            .set(slab.capacity.get() - slack(slab.capacity.get()) + 1);
    }

    /// Takes the fullest slab of the class that has a free slot off its list.
    fn fullest(&self, class: usize) -> Option<&Slab> {
        let lists = self.partial[class].iter().rev();
        let first = lists.map(Cell::get).find(|first| !first.is_null())?;
        // SAFETY: slabs on this heap's lists are in use, so their chunks are mapped.
        let slab = unsafe { &*first };
        self.unlink(slab);
        Some(slab)
    }

    /// Puts a slab that lost slots where it belongs now. An active one stays.
    fn replace(&self, slab: &Slab) {
        match slab.place.get() {
            Place::Active => return,
            Place::Full => {}
            Place::Partial(_) => self.unlink(slab),
            Place::Free => panic!("a slot was freed in a slab that is not in use"),
        }
        let used = usize::from(slab.used.get());
        if used == 0 {
            return self.release(slab);
        }
        let capacity = usize::from(slab.capacity.get());
        let quarter = used * QUARTERS / capacity;
        let used_min = (quarter * capacity).div_ceil(QUARTERS).max(1);
        slab.place.set(Place::Partial(quarter as u8));
        slab.used_min.set(used_min as u16);
        let list = &self.partial[usize::from(slab.class.get())][quarter];
        slab.previous.set(ptr::null());
        slab.next.set(list.get());
        // SAFETY: a slab on this heap's lists is in use.
        if let Some(next) = unsafe { list.get().as_ref() } {
            next.previous.set(slab);
        }
        list.set(slab);
    }

    fn unlink(&self, slab: &Slab) {
        let Place::Partial(quarter) = slab.place.get() else {
            panic!("a slab on a list knows which");
        };
        let list = &self.partial[usize::from(slab.class.get())][usize::from(quarter)];
        // SAFETY: a slab on this heap's lists is in use.
        unsafe {
            match slab.previous.get().as_ref() {
                Some(previous) => previous.next.set(slab.next.get()),
                None => list.set(slab.next.get()),
            }
            if let Some(next) = slab.next.get().as_ref() {
                next.previous.set(slab.previous.get());
            }
        }
    }

    /// Takes back what other threads freed, from at most `slabs_max` slabs; true if there is more.
    pub(super) fn collect(&self, slabs_max: usize) -> bool {
        for _ in 0..slabs_max {
            if self.backlog.get().is_null() {
                if self.pending.0.load(Ordering::Relaxed).is_null() {
                    return false;
                }
                // Acquire: the links between the slabs are seen.
                let pending = self.pending.0.swap(ptr::null_mut(), Ordering::Acquire);
                self.backlog.set(pending);
            }
            // SAFETY: a slab on this list has slots on its remote list, so it is in use (Life).
            let slab = unsafe { &*self.backlog.get() };
            // The next thread that frees a slot links the slab anew, so its link is read before.
            self.backlog.set(slab.remote_next.load(Ordering::Relaxed));
            let remote = slab.remote.swap(REMOTE_NONE, Ordering::AcqRel);
            self.take_back(slab, remote as u16, (remote >> 16) as u16);
        }
        !self.backlog.get().is_null() || !self.pending.0.load(Ordering::Relaxed).is_null()
    }

    /// Makes `count` slots, linked from the one at `first` on, free ones.
    fn take_back(&self, slab: &Slab, first: u16, count: u16) {
        assert!(
            0 < count && count <= slab.used.get(),
            "as many slots are freed as were allocated, at most"
        );
        slab.used.set(slab.used.get() - count);
        if slab.used.get() == 0 && slab.place.get() != Place::Active {
            // Nothing is left, so its slots need not be looked at: the next use of the slab links them anew.
        } else if slab.free.get() == NONE {
            slab.free.set(first);
        } else {
            // SAFETY: the links lead over `count` slots that nobody holds (Slots).
            unsafe {
                let mut last = slab.base.add(first.into()).cast::<u16>();
                for _ in 1..count {
                    last = slab.base.add(last.read().into()).cast::<u16>();
                }
                assert_eq!(
                    last.read(),
                    NONE,
                    "a remote list has as many slots as it counts"
                );
                last.write(slab.free.get());
            }
            slab.free.set(first);
        }
        if slab.used.get() < slab.used_min.get() {
            self.replace(slab);
        }
    }

    /// A slab for the class from the free ones.
    fn new_slab(&self, class: usize) -> &Slab {
        let chunk = self.chunk_with_space();
        let kept = chunk.kept.get();
        let number = match kept {
            0 => chunk.free.get().trailing_zeros(),
            _ => kept.trailing_zeros(),
        };
        chunk.free.set(chunk.free.get() & !(1 << number));
        if kept != 0 {
            chunk.kept.set(kept & !(1 << number));
            self.kept.set(self.kept.get() - 1);
        } else {
            add(&self.reserved, SLAB);
        }
        if chunk.free.get() == 0 {
            self.unlink_chunk(chunk);
        }
        let slab = chunk.slab(number);
        assert_eq!(slab.place.get(), Place::Free, "a free slab is not in use");
        slab.free.set(NONE);
        slab.used.set(0);
        slab.fresh.set(0);
        slab.slot_size.set(SIZES[class]);
        slab.capacity.set((SLAB / usize::from(SIZES[class])) as u16);
        slab.class.set(class as u8);
        slab
    }

    /// Puts a slab without a slot in use to the free ones of its chunk, and what is too many there back to the
    /// system.
    fn release(&self, slab: &Slab) {
        let chunk = slab.chunk();
        let bit = 1 << slab.number();
        slab.place.set(Place::Free);
        if chunk.free.get() != 0 {
            self.unlink_chunk(chunk);
        }
        chunk.free.set(chunk.free.get() | bit);
        if chunk.free.get() == ALL_SLABS && !self.chunks.get().is_null() {
            add(&self.reserved, SLAB.wrapping_neg());
            return self.unmap(chunk);
        }
        self.link_chunk(chunk);
        if self.kept.get() < KEPT_MAX {
            chunk.kept.set(chunk.kept.get() | bit);
            self.kept.set(self.kept.get() + 1);
        } else {
            self.discard(slab);
        }
    }

    /// Gives the pages of a free slab back to the system.
    fn discard(&self, slab: &Slab) {
        // Pages of the system's that are larger than ours are rounded up to as well, if slabs consist of them.
        let touched = usize::from(slab.fresh.get()).next_multiple_of(sys::page_size().min(SLAB));
        // SAFETY: nobody holds a slot in a free slab, and its slots are linked anew before the next use.
        unsafe { sys::discard_pages(slab.base, touched) };
        add(&self.reserved, SLAB.wrapping_neg());
    }

    pub(super) fn purge(&self) {
        self.collect(usize::MAX);
        for class in 0..CLASSES {
            let slab = self.active_slab(class);
            if slab.place.get() == Place::Active && slab.used.get() == 0 {
                self.active[class].set(&raw const FULL_SLAB.0);
                self.release(slab);
            }
        }
        let mut next = self.chunks.get();
        // SAFETY: chunks on this heap's list are mapped, and the next one is read before one is unmapped.
        while let Some(chunk) = unsafe { next.as_ref() } {
            next = chunk.next.get();
            if chunk.free.get() == ALL_SLABS {
                self.unlink_chunk(chunk);
                self.unmap(chunk);
                continue;
            }
            while chunk.kept.get() != 0 {
                let number = chunk.kept.get().trailing_zeros();
                chunk.kept.set(chunk.kept.get() & !(1 << number));
                self.kept.set(self.kept.get() - 1);
                self.discard(chunk.slab(number));
            }
        }
    }

    fn chunk_with_space(&self) -> &Chunk {
        if self.chunks.get().is_null() {
            self.map();
        }
        // SAFETY: chunks on this heap's list are mapped.
        unsafe { &*self.chunks.get() }
    }

    /// Gets a chunk from the system.
    fn map(&self) {
        let Ok(start) = sys::map_pages(CHUNK, CHUNK) else {
            handle_alloc_error(Layout::new::<[u8; CHUNK]>());
        };
        let chunk = start.cast::<Chunk>();
        // SAFETY: the headers fit the first slab's place, which is aligned to far more than they need, and
        // nobody else knows of the chunk yet.
        unsafe {
            chunk.write(Chunk {
                start,
                free: Cell::new(ALL_SLABS),
                kept: Cell::new(0),
                previous: Cell::new(ptr::null()),
                next: Cell::new(ptr::null()),
            });
            for number in 1..SLABS {
                let header = start.cast::<Slab>().add(number);
                header.write(Slab::new(self, start.add(number * SLAB), Place::Free));
            }
            self.link_chunk(chunk.as_ref());
        }
        add(&self.reserved, HEADERS);
    }

    /// Gives a chunk that is free, and on no list, back to the system.
    fn unmap(&self, chunk: &Chunk) {
        let kept = chunk.kept.get().count_ones() as usize;
        self.kept.set(self.kept.get() - kept);
        add(&self.reserved, (kept * SLAB + HEADERS).wrapping_neg());
        // SAFETY: no slab of it is in use, and the callers look at neither them nor it afterwards.
        unsafe { sys::unmap_pages(chunk.start, CHUNK) };
    }

    fn link_chunk(&self, chunk: &Chunk) {
        let first = self.chunks.replace(chunk);
        chunk.previous.set(ptr::null());
        chunk.next.set(first);
        // SAFETY: chunks on this heap's list are mapped.
        if let Some(first) = unsafe { first.as_ref() } {
            first.previous.set(chunk);
        }
    }

    fn unlink_chunk(&self, chunk: &Chunk) {
        // SAFETY: chunks on this heap's list are mapped.
        unsafe {
            match chunk.previous.get().as_ref() {
                Some(previous) => previous.next.set(chunk.next.get()),
                None => self.chunks.set(chunk.next.get()),
            }
            if let Some(next) = chunk.next.get().as_ref() {
                next.previous.set(chunk.previous.get());
            }
        }
    }
}

/// Puts a slot on the remote list of its slab.
///
/// # Safety
/// The slot is allocated and the caller gives it up.
#[cold]
#[inline(never)]
pub(super) unsafe fn put_remote(slab: *const Slab, pointer: NonNull<u8>) {
    let offset = u32::from(offset_in_slab(pointer));
    // SAFETY: the slot counts as used until the owner takes it back, so the slab's chunk is mapped and the slab
    // keeps its class (Life). The owner takes it back only after it found the slab on its list, that is, not
    // before the last line if this is the slot that puts it there, and possibly from the exchange on if it is
    // not: then the slab is not touched again. The heap lives forever.
    unsafe {
        FREED_REMOTELY.fetch_add((*slab).slot_size.get().into(), Ordering::Relaxed);
        poison(pointer, (*slab).slot_size.get());
        let owner = (*slab).owner;
        let mut before = (*slab).remote.load(Ordering::Relaxed);
        loop {
            pointer.cast::<u16>().write(before as u16);
            let after = (before & !0xFFFF).wrapping_add(1 << 16) | offset;
            // Release: the owner that reads the list sees its links. Acquire: the owner has read remote_next
            // before it emptied the list.
            let remote = &(*slab).remote;
            match remote.compare_exchange_weak(before, after, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(found) => before = found,
            }
        }
        if before == REMOTE_NONE {
            let link = |first| {
                (*slab).remote_next.store(first, Ordering::Relaxed);
                Some(slab.cast_mut())
            };
            let pending = &(*owner).pending.0;
            let _ = pending.fetch_update(Ordering::Release, Ordering::Relaxed, link);
        }
    }
}

/// How many slots must be free before a full slab is allocated from again: with only one each, keys that come and
/// go at random would send every second call to the lists of slabs.
const fn slack(capacity: u16) -> u16 {
    match capacity / 32 {
        0 => 1,
        slots if slots > 16 => 16,
        slots => slots,
    }
}

/// Adds to a counter that only this thread writes.
#[inline]
fn add(counter: &AtomicUsize, bytes: usize) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(bytes);
    counter.store(sum, Ordering::Relaxed);
}
