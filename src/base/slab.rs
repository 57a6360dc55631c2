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
//! empties is unmapped. A full slab is taken from again when some of its slots are free, not at the first one: at
//! most a thirtieth of the memory waits that way. Allocating and freeing on the owner's thread is about twenty
//! instructions, none of them a locked one.
//!
//! Another thread that frees a slot puts it on the slab's remote list, and the first slot on that list puts the
//! slab on the owner's list of such slabs. The owner takes some of them back whenever it runs
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
//!    `Slab::used`, and a slab is free only at 0. Where a chunk is unmapped, nothing follows that looks at a
//!    header in it, although references to headers are still in scope.
//! 3. **Slots.** An offset on a free or remote list names a slot of that slab that nobody holds.
#![allow(unsafe_code)]

mod classes;
mod header;
mod heap;
#[cfg(test)]
mod tests;

use std::alloc::{Layout, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::alloc as global;
pub use classes::CLASS_MAX;
use classes::{SIZES, class_of};
use header::{check_allocated, slab_of};
use heap::{FREED_REMOTELY, Heap, Immutable, put_remote};

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
        check_allocated(slab, pointer, size, heap);
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

const LARGE_ALIGN: usize = 8;

/// All heaps there are.
static HEAPS: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());
/// The heaps whose threads have ended.
static IDLE: Mutex<Vec<IdleHeap>> = Mutex::new(Vec::new());

struct IdleHeap(&'static Heap);

// SAFETY: whoever takes it out of IDLE, or has IDLE locked, holds the heap (Owner); the lock orders what former
// holders did before.
unsafe impl Send for IdleHeap {}

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
