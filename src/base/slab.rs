//! The slab heap: memory for the many small things of a keyspace, in size classes two bytes apart.
//!
//! It hands out uninitialised bytes aligned to 2, takes them back on any thread, knows what is in use to the
//! byte, and gives memory back to the system as it empties. Callers keep the size of what they hold: an
//! allocation carries no header of its own. Sizes above [`CLASS_MAX`] go to the global allocator.
//!
//! ```text
//! chunk, 2 MiB, aligned to its size
//! ┌────────────────────────────┬─────────┬─────────┬─ ─ ─ ─┬──────────┐
//! │ chunk header               │ slab 1  │ slab 2  │       │ slab 63  │   32 KiB each
//! │ headers of slab 1, … 63    │ A A A A │ B B B B │       │          │   slots of one class
//! └────────────────────────────┴─────────┴─────────┴─ ─ ─ ─┴──────────┘
//! ```
//!
//! A slab is an array of slots of one size and nothing else, so that slots tile it; its header stands with the
//! others at the front of the chunk, where they share a page, and an address leads there by its bits. Free slots
//! form a list inside the slab: each holds the offset of the next one. Slots that were never used are put on the
//! list a page at a time, so a slab touches no more memory than it needs.
//!
//! Every thread that allocates has a heap, and every chunk belongs to one. A heap fills one slab a class until
//! it is full and goes on with the fullest it finds, so that the emptier ones get a chance to empty. A slab that
//! empties keeps its pages if it is one of the few next to be used, else the system gets them; a chunk that
//! empties is unmapped. Allocating and freeing on the owner's thread is a dozen instructions without an atomic
//! operation that locks.
//!
//! Another thread that frees a slot puts it on the slab's remote list, one atomic exchange, and the first one on
//! the list puts the slab on the owner's list of such slabs. The owner takes some of them back whenever it runs
//! out of slots, and when [`collect`] is called. If all that is left in a slab was freed by others, which is
//! what dropping a database on another thread leads to, it takes the slab back without looking at the slots.
//!
//! The heap of a thread that ends waits, with what is still allocated from it, for the next thread that needs
//! one. Heaps are never freed; there are as many as there were threads at one time that allocated here.
//!
//! The invariants that the `SAFETY` comments lean on:
//! 1. **Owner.** Only the thread that holds a heap touches the `Cell`s of that heap, its chunks and its slabs.
//!    A heap is held by the thread whose `HEAP` names it, or, waiting in `IDLE`, by whoever has `IDLE` locked.
//!    Others touch only what is atomic or never changes: `Heap::{used, reserved, pending, next}` and
//!    `Slab::{owner, base, remote, remote_next}`, and the class of a slab in which they hold a slot.
//! 2. **Life.** A chunk is mapped while any slot in it is allocated or on a remote list: such slots count in
//!    `Slab::used`, and a slab is free only at 0.
//! 3. **Slots.** An offset on a free or remote list names a slot of that slab that nobody holds.
#![allow(unsafe_code)]

use std::alloc::{Layout, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{alloc as global, sys};

/// The largest size that is served from slabs, in bytes.
pub const CLASS_MAX: usize = 1024;

/// Allocates `size` bytes, at least 1, aligned to 2 (to 8 above [`CLASS_MAX`]). Their content is undefined.
///
/// Ends the program if the system has no memory, as all allocations do.
#[inline]
pub fn alloc(size: usize) -> NonNull<u8> {
    debug_assert!(size > 0, "nothing was asked for");
    if size > CLASS_MAX {
        return alloc_large(size);
    }
    let class = class_of(size);
    // SAFETY: HEAP names a heap that lives forever and that this thread holds, or NOBODY, whose slabs have no
    // free slot.
    match unsafe { (*HEAP.get()).take(class) } {
        Some(slot) => slot,
        None => alloc_slow(class),
    }
}

/// Frees an allocation, on any thread.
///
/// # Safety
/// `pointer` came from [`alloc`] with this size, or one of the same [`class_size`], and nobody uses it any more.
#[inline]
pub unsafe fn free(pointer: NonNull<u8>, size: usize) {
    if size > CLASS_MAX {
        // SAFETY: sizes of one class_size are all above CLASS_MAX or none is, so it came from alloc_large.
        return unsafe { free_large(pointer, size) };
    }
    // SAFETY: the slot is allocated, so its chunk is mapped (Life); the owner of a slab never changes.
    unsafe {
        let slab = slab_of(pointer);
        let heap = HEAP.get();
        check_allocated(slab, pointer, size);
        if ptr::eq((*slab).owner, heap) {
            (*heap).put(&*slab, pointer);
        } else {
            put_remote(slab, pointer);
        }
    }
}

/// The bytes that an allocation of `size` bytes takes.
#[inline]
pub const fn class_size(size: usize) -> usize {
    if size > CLASS_MAX {
        global::class_size(size, LARGE_ALIGN)
    } else {
        SIZES[class_of(size)] as usize
    }
}

/// Bytes in slots that are allocated. What is larger than [`CLASS_MAX`] is in the global allocator's count.
pub fn used_bytes() -> usize {
    let freed_remotely = FREED_REMOTELY.load(Ordering::Relaxed);
    let used = sum_of_heaps(|heap| &heap.used).wrapping_sub(freed_remotely);
    // Threads go on while their counts are read, so a nearly empty heap may appear to hold less than nothing.
    (used as isize).max(0) as usize
}

/// Bytes of memory that the heaps have from the system, at most: slabs in use, free ones that were kept, headers.
pub fn reserved_bytes() -> usize {
    sum_of_heaps(|heap| &heap.reserved)
}

/// Takes back what other threads freed, from at most `slabs_max` slabs of this thread's heap and of each that has
/// no thread. True if there is more.
pub fn collect(slabs_max: usize) -> bool {
    // SAFETY: as in alloc; NOBODY has nothing to collect.
    let mut more = unsafe { (*HEAP.get()).collect(slabs_max) };
    for heap in idle_heaps().iter() {
        more |= heap.0.collect(slabs_max);
    }
    more
}

/// Takes back what other threads freed, and gives the memory of all free slabs back to the system, of this
/// thread's heap and of those without a thread.
pub fn purge() {
    for heap in idle_heaps().iter() {
        heap.0.purge();
    }
    // SAFETY: as in alloc; NOBODY has nothing to purge.
    unsafe { (*HEAP.get()).purge() }
}

const CHUNK: usize = 2 << 20;
const SLAB: usize = 32 << 10;
const SLABS: usize = CHUNK / SLAB;
/// What the front of a chunk takes of its first slab, which is not used otherwise.
const HEADERS: usize = SLABS * size_of::<Slab>();
/// A bit for every slab of a chunk, but for the one that the headers are in.
const ALL_SLABS: u64 = !1;
/// How many free slabs of a heap keep their pages.
const KEPT_MAX: usize = 16;
/// Bytes of slots that are put on a slab's free list at a time.
const EXTEND_STEP: usize = 4096;
/// From how many slabs the slots that others freed are taken back when a class has no free slot.
const COLLECT_STEP: usize = 4;

/// No slot: no offset is odd.
const NONE: u16 = u16::MAX;
/// An empty remote list.
const REMOTE_NONE: u32 = NONE as u32;

const LARGE_ALIGN: usize = 8;

/// The slot sizes. Up to 128 they are two bytes apart. Above they grow by about 3 %, to sizes that divide the
/// slab with the least left over.
const SIZES: [u16; CLASSES] = {
    let mut sizes = [0; CLASSES];
    let (mut class, mut size) = (0, 0);
    while class < CLASSES {
        size = size_after(size);
        sizes[class] = size as u16;
        class += 1;
    }
    sizes
};

const CLASSES: usize = {
    let (mut classes, mut size) = (0, 0);
    while size < CLASS_MAX {
        size = size_after(size);
        classes += 1;
    }
    classes
};

/// The class of every size.
static CLASS_OF: [u8; CLASS_MAX + 1] = {
    let mut class_of = [0; CLASS_MAX + 1];
    let (mut size, mut class) = (1, 0);
    while size <= CLASS_MAX {
        if size > SIZES[class] as usize {
            class += 1;
        }
        class_of[size] = class as u8;
        size += 1;
    }
    class_of
};

const _: () = {
    assert!(CLASSES <= u8::MAX as usize);
    assert!(SIZES[CLASSES - 1] as usize == CLASS_MAX);
    assert!(SLABS == u64::BITS as usize);
    assert!(SLAB < NONE as usize);
    assert!(size_of::<Slab>() == 64 && size_of::<Chunk>() == size_of::<Slab>());
    assert!(HEADERS <= 4096);
};

const fn size_after(size: usize) -> usize {
    if size < 128 {
        return size + 2;
    }
    let mut slots = SLAB.div_ceil(size + size * 3 / 100);
    while SLAB / slots & !1 <= size {
        slots -= 1;
    }
    SLAB / slots & !1
}

#[inline]
const fn class_of(size: usize) -> usize {
    CLASS_OF[size] as usize
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

/// The header of a slab.
#[repr(C, align(64))]
struct Slab {
    owner: *const Heap,
    /// The first slot.
    base: NonNull<u8>,
    /// Offset of the first free slot, or NONE.
    free: Cell<u16>,
    /// Slots that are allocated, or freed by another thread and not taken back yet.
    used: Cell<u16>,
    /// Below this many used slots the slab belongs elsewhere: on another list, or to the free ones.
    used_min: Cell<u16>,
    /// Offset of the slots that were never on the free list.
    fresh: Cell<u16>,
    slot_size: Cell<u16>,
    capacity: Cell<u16>,
    class: Cell<u8>,
    place: Cell<Place>,
    /// The slots freed by other threads: how many in the upper half, the offset of the first in the lower.
    remote: AtomicU32,
    previous: Cell<*const Slab>,
    next: Cell<*const Slab>,
    /// The next on the owner's list of slabs that have a remote list.
    remote_next: AtomicPtr<Slab>,
}

/// Where a slab is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In its chunk's set of free ones.
    Free,
    /// The one its class takes slots from.
    Active,
    /// On no list: it has no free slots, or too few to be worth a turn.
    Full,
    /// On its class's list of those that are at least so many quarters full.
    Partial(u8),
}

const QUARTERS: usize = 4;

/// What stands before the headers of a chunk's slabs, in the place of that of slab 0.
#[repr(C, align(64))]
struct Chunk {
    /// Where it begins, as a pointer to all of it.
    start: NonNull<u8>,
    /// The slabs that are free.
    free: Cell<u64>,
    /// Those of them that have kept their pages.
    kept: Cell<u64>,
    /// Neighbours on the heap's list of the chunks with a free slab.
    previous: Cell<*const Chunk>,
    next: Cell<*const Chunk>,
}

struct Heap {
    active: [Cell<*const Slab>; CLASSES],
    /// Bytes allocated, wrapping.
    used: AtomicUsize,
    reserved: AtomicUsize,
    /// Free slabs that have kept their pages.
    kept: Cell<usize>,
    /// The chunks with a free slab, the one that was freed from last in front.
    chunks: Cell<*const Chunk>,
    /// Slabs with a remote list, taken from `pending` and not looked at yet.
    backlog: Cell<*const Slab>,
    partial: [[Cell<*const Slab>; QUARTERS]; CLASSES],
    next: AtomicPtr<Heap>,
    pending: Pending,
}

/// Slabs that got a remote list; a cache line to itself, since other threads write it.
#[repr(align(64))]
struct Pending(AtomicPtr<Slab>);

/// All heaps there are.
static HEAPS: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());
/// The heaps whose threads have ended.
static IDLE: Mutex<Vec<IdleHeap>> = Mutex::new(Vec::new());
/// Bytes that were freed by other threads than the owners'. Heaps do not count these as freed.
static FREED_REMOTELY: AtomicUsize = AtomicUsize::new(0);

struct IdleHeap(&'static Heap);

// SAFETY: whoever takes it out of IDLE, or has IDLE locked, holds the heap (Owner); the lock orders what former
// holders did before.
unsafe impl Send for IdleHeap {}

struct Immutable<T>(T);

// SAFETY: what is wrapped below is never written: NOBODY owns no slab, has none to allocate from, and no thread
// that finds it in HEAP calls a method that changes it without checking; FULL_SLAB is in no chunk.
unsafe impl<T> Sync for Immutable<T> {}

/// The slab a class has that has none: full.
static FULL_SLAB: Immutable<Slab> =
    Immutable(Slab::new(ptr::null(), NonNull::dangling(), Place::Full));
/// The heap a thread has that has none: it spares the fast path a check.
static NOBODY: Immutable<Heap> = Immutable(Heap::new());

thread_local! {
    static HEAP: Cell<*const Heap> = const { Cell::new(&raw const NOBODY.0) };
    /// Brings the thread its heap, and puts it to the idle ones when the thread ends.
    static LEASE: Lease = Lease::take();
}

struct Lease(&'static Heap);

impl Lease {
    fn take() -> Self {
        let idle = idle_heaps().pop();
        let heap = idle.map_or_else(new_heap, |idle| idle.0);
        HEAP.set(heap);
        Lease(heap)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        HEAP.set(&raw const NOBODY.0);
        self.0.purge();
        idle_heaps().push(IdleHeap(self.0));
    }
}

fn idle_heaps() -> MutexGuard<'static, Vec<IdleHeap>> {
    // Nothing below the lock leaves the list half changed.
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_heap() -> &'static Heap {
    let heap: &'static Heap = Box::leak(Box::new(Heap::new()));
    let link = |first| {
        heap.next.store(first, Ordering::Relaxed);
        Some(ptr::from_ref(heap).cast_mut())
    };
    let _ = HEAPS.fetch_update(Ordering::Release, Ordering::Relaxed, link);
    heap
}

fn sum_of_heaps(count: impl Fn(&Heap) -> &AtomicUsize) -> usize {
    let mut sum = 0usize;
    let mut heap = HEAPS.load(Ordering::Acquire);
    while !heap.is_null() {
        // SAFETY: heaps are never freed, and what is read of them is atomic.
        let counted = unsafe { &*heap };
        sum = sum.wrapping_add(count(counted).load(Ordering::Relaxed));
        heap = counted.next.load(Ordering::Relaxed);
    }
    sum
}

#[cold]
#[inline(never)]
fn alloc_slow(class: usize) -> NonNull<u8> {
    if LEASE.try_with(|_| ()).is_ok() {
        // SAFETY: the lease has put a heap that this thread holds into HEAP.
        return unsafe { (*HEAP.get()).take_slowly(class) };
    }
    // The thread is ending and has given its heap back, and another destructor allocates.
    let mut idle = idle_heaps();
    if idle.is_empty() {
        idle.push(IdleHeap(new_heap()));
    }
    let heap = idle[0].0;
    heap.take(class).unwrap_or_else(|| heap.take_slowly(class))
}

#[cold]
fn alloc_large(size: usize) -> NonNull<u8> {
    let layout = large_layout(size);
    // SAFETY: the size is not zero.
    let pointer = unsafe { std::alloc::alloc(layout) };
    NonNull::new(pointer).unwrap_or_else(|| handle_alloc_error(layout))
}

/// # Safety
/// As for [`free`], with a size above `CLASS_MAX`.
#[cold]
unsafe fn free_large(pointer: NonNull<u8>, size: usize) {
    // SAFETY: it was allocated with this layout, or one of the same size class.
    unsafe { std::alloc::dealloc(pointer.as_ptr(), large_layout(size)) }
}

/// The layout of the class, so that sizes of the same class have the same layout.
fn large_layout(size: usize) -> Layout {
    Layout::from_size_align(class_size(size), LARGE_ALIGN).expect("sizes fit the address space")
}

/// The header of the slab that a slot is in.
#[inline]
fn slab_of(pointer: NonNull<u8>) -> *const Slab {
    let chunk = pointer.as_ptr().map_addr(|address| address & !(CHUNK - 1));
    let number = pointer.addr().get() / SLAB % SLABS;
    chunk.cast::<Slab>().wrapping_add(number)
}

#[inline]
fn offset_in_slab(pointer: NonNull<u8>) -> u16 {
    (pointer.addr().get() % SLAB) as u16
}

/// Puts a slot on the remote list of its slab.
///
/// # Safety
/// The slot is allocated and the caller gives it up.
#[cold]
#[inline(never)]
unsafe fn put_remote(slab: *const Slab, pointer: NonNull<u8>) {
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

impl Heap {
    const fn new() -> Self {
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
    fn active_slab(&self, class: usize) -> &Slab {
        // SAFETY: it is FULL_SLAB, or one of this heap's in use.
        unsafe { &*Cell::get(&self.active[class]) }
    }

    /// A slot of the class's active slab, if that has one.
    #[inline]
    fn take(&self, class: usize) -> Option<NonNull<u8>> {
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
    fn put(&self, slab: &Slab, pointer: NonNull<u8>) {
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
    fn take_slowly(&self, class: usize) -> NonNull<u8> {
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
    fn collect(&self, slabs_max: usize) -> bool {
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

    fn purge(&self) {
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

impl Slab {
    const fn new(owner: *const Heap, base: NonNull<u8>, place: Place) -> Self {
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

    fn chunk(&self) -> &Chunk {
        let start = self
            .base
            .as_ptr()
            .map_addr(|address| address & !(CHUNK - 1));
        // SAFETY: the chunk that a slab is in begins with its header.
        unsafe { &*start.cast::<Chunk>() }
    }

    fn number(&self) -> u32 {
        (self.base.addr().get() / SLAB % SLABS) as u32
    }

    /// Puts the next page of slots that were never used on the empty free list; false if there are none.
    fn extend(&self) -> bool {
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
    fn slab(&self, number: u32) -> &Slab {
        // SAFETY: the headers follow that of the chunk, up to number SLABS - 1, and a set of slabs has no others.
        unsafe { self.start.cast::<Slab>().add(number as usize).as_ref() }
    }
}

/// Adds to a counter that only this thread writes.
#[inline]
fn add(counter: &AtomicUsize, bytes: usize) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(bytes);
    counter.store(sum, Ordering::Relaxed);
}

/// What free slots are filled with in debug builds, behind their link.
const POISON: u8 = 0xDE;
const LINK: usize = size_of::<u16>();

#[inline]
fn poison(slot: NonNull<u8>, slot_size: u16) {
    if cfg!(debug_assertions) {
        // SAFETY: the callers own the slot.
        unsafe {
            slot.add(LINK)
                .write_bytes(POISON, usize::from(slot_size) - LINK)
        };
    }
}

#[inline]
fn check_poison(slot: NonNull<u8>, slot_size: u16) {
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
unsafe fn check_allocated(slab: *const Slab, pointer: NonNull<u8>, size: usize) {
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
    if ptr::eq(owner, HEAP.get()) && is_poisoned(pointer, slot_size) {
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

#[cfg(test)]
mod tests;
