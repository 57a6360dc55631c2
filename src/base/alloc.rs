//! The global allocator: jemalloc, and counters that know what it holds to the byte.
//!
//! Every allocation is counted at the size jemalloc really gives it, which [`class_size`] computes from the
//! layout alone, so that freeing needs no look at the allocation. Each thread counts into a slot of its own with
//! plain loads and stores; a reader adds the slots up. What one thread allocates and another frees leaves one
//! slot too high and the other too low by the same amount, so only the sum means anything, and the sum is exact.
//!
//! A thread gives its slot back when it ends, with what it counted still in it, and the next thread counts on
//! from there. Threads that find no slot, and whatever a thread still does after its slot was given back, count
//! into one shared slot with atomic additions.
//!
//! The pages below the slab heap ([`super::slab`]) come from the system directly and are not counted here;
//! [`used_memory`] is the sum of both.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tikv_jemalloc_sys as jemalloc;
use tikv_jemallocator::Jemalloc;

use super::slab;

/// jemalloc with exact counters, to be declared as the `#[global_allocator]`.
pub struct Counting;

/// What the process holds in allocations: everything from the global allocator and every slot of the slab heap.
pub fn used_memory() -> usize {
    allocated_bytes() + slab::used_bytes()
}

/// Bytes allocated from the global allocator and not freed, by all threads.
pub fn allocated_bytes() -> usize {
    let slots = SLOTS_USED.load(Ordering::Acquire);
    let mut sum = SHARED.bytes.load(Ordering::Relaxed);
    for slot in &SLOTS[..slots] {
        sum = sum.wrapping_add(slot.bytes.load(Ordering::Relaxed));
    }
    // Threads move on while their slots are read: a free may be seen whose allocation is not yet, in which
    // case the sum of a nearly empty process could be below zero.
    (sum as isize).max(0) as usize
}

/// How often the calling thread allocated or reallocated. Only differences mean something: a thread counts on
/// from where the former owner of its slot stopped.
pub fn allocations() -> u64 {
    let slot = SLOT.get();
    if slot.is_null() {
        return SHARED.allocations.load(Ordering::Relaxed);
    }
    // SAFETY: a slot pointer that is not null points into the static SLOTS.
    unsafe { (*slot).allocations.load(Ordering::Relaxed) }
}

/// The bytes jemalloc takes for an allocation of `size` bytes at `align`.
///
/// Sizes are rounded up to classes: 8, multiples of 16 up to 128, then four classes a doubling up to 14 KiB, and
/// whole pages from there on. A size whose class is not aligned enough by itself gets that of the size rounded up
/// to the alignment, or pages, at least four, if it asks for an alignment of more than one.
#[inline]
pub const fn class_size(size: usize, align: usize) -> usize {
    if align <= QUANTUM && align <= size {
        return class_ceiling(size);
    }
    if size <= SMALL_MAX && align <= PAGE {
        let class = class_ceiling((size + align - 1) & !(align - 1));
        if class < LARGE_MIN {
            return class;
        }
    }
    class_ceiling(if size > LARGE_MIN { size } else { LARGE_MIN })
}

/// Name and version of the allocator as INFO shows them, `jemalloc-5.3.1`.
pub fn name() -> String {
    let mut version: *const c_char = ptr::null();
    if !read(c"version", &mut version) || version.is_null() {
        return "jemalloc".to_string();
    }
    // SAFETY: "version" answers with a static string that ends in a zero.
    let version = unsafe { CStr::from_ptr(version) }.to_string_lossy();
    let number = version.split('-').next().unwrap_or_default();
    format!("jemalloc-{number}")
}

/// Gives memory that is free but kept for later back to the system, of the global allocator and of the
/// calling thread's slab heap.
pub fn purge() {
    slab::purge();
    // The numbers of the arenas end before 4096, which stands for all of them.
    command(c"thread.tcache.flush");
    command(c"arena.4096.purge");
}

/// Has a thread of jemalloc's own give back what has been free for a while, or has it no longer; says whether that
/// is so now.
///
/// Without it each thread does so while it allocates, in pieces that take as long as they happen to, and nobody does
/// while the program is idle.
pub fn give_back_in_background(wanted: bool) -> bool {
    write(c"background_thread", wanted)
}

/// Gives back what has been free for a while, on this thread.
pub fn give_back() {
    command(c"arena.4096.decay");
}

/// What the process holds at the levels below the allocations, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// In allocations.
    pub allocated: usize,
    /// In pages that hold at least one allocation.
    pub active: usize,
    /// In pages that the system has given memory to.
    pub resident: usize,
    /// In addresses kept without memory behind them.
    pub retained: usize,
    /// In pages that the system may take back when it needs them.
    pub muzzy: usize,
}

/// The statistics of both heaps at this moment.
pub fn stats() -> Stats {
    refresh();
    let number = |name: &CStr| {
        let mut value = 0usize;
        // A number the allocator was built without reads as 0.
        if read(name, &mut value) { value } else { 0 }
    };
    let slabs = slab::reserved_bytes();
    Stats {
        allocated: number(c"stats.allocated") + slab::used_bytes(),
        active: number(c"stats.active") + slabs,
        resident: number(c"stats.resident") + slabs,
        retained: number(c"stats.retained"),
        muzzy: number(c"stats.arenas.4096.pmuzzy") * PAGE,
    }
}

/// The global allocator's own report, for MEMORY MALLOC-STATS.
pub fn stats_text() -> String {
    unsafe extern "C" fn append(text: *mut c_void, piece: *const c_char) {
        // SAFETY: jemalloc hands back the pointer it was given, which is that of `text` below and is not used
        // otherwise meanwhile, and a piece that ends in a zero.
        unsafe {
            let piece = CStr::from_ptr(piece).to_bytes();
            (*text.cast::<Vec<u8>>()).extend_from_slice(piece);
        }
    }
    refresh();
    let mut text: Vec<u8> = Vec::new();
    // SAFETY: the callback fits the pointer it is given; options may be null for all of them.
    unsafe { jemalloc::malloc_stats_print(Some(append), (&raw mut text).cast(), ptr::null()) };
    String::from_utf8_lossy(&text).into_owned()
}

// SAFETY: every method hands its arguments unchanged to jemalloc's implementation and its answer back; the
// counting beside it touches atomics and constant-initialised thread locals, which the standard library
// guarantees not to allocate.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about the layout is the one jemalloc asks for.
        let pointer = unsafe { Jemalloc.alloc(layout) };
        count_allocation(pointer, layout);
        pointer
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for alloc.
        let pointer = unsafe { Jemalloc.alloc_zeroed(layout) };
        count_allocation(pointer, layout);
        pointer
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from this allocator, which is from jemalloc, with this layout.
        unsafe { Jemalloc.dealloc(pointer, layout) };
        count(class_size(layout.size(), layout.align()).wrapping_neg(), 0);
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size_new: usize) -> *mut u8 {
        // SAFETY: as for dealloc, and the caller promises that the new size is not zero.
        let moved = unsafe { Jemalloc.realloc(pointer, layout, size_new) };
        if !moved.is_null() {
            let before = class_size(layout.size(), layout.align());
            let after = class_size(size_new, layout.align());
            count(after.wrapping_sub(before), 1);
        }
        moved
    }
}

/// What every allocation without an alignment of its own is aligned to.
const QUANTUM: usize = 16;
const PAGE: usize = 4096;
/// The largest class that shares pages with others, and the smallest that does not.
const SMALL_MAX: usize = 14 << 10;
const LARGE_MIN: usize = 16 << 10;

#[inline]
const fn class_ceiling(size: usize) -> usize {
    if size <= 128 {
        return if size <= 8 { 8 } else { (size + 15) & !15 };
    }
    let step = if size <= SMALL_MAX {
        // Four classes lie between two powers of two, so they are an eighth of the upper one apart.
        size.next_power_of_two() / 8
    } else {
        PAGE
    };
    // A size near the end of the address space is never allocated, but may be asked about.
    match size.checked_next_multiple_of(step) {
        Some(class) => class,
        None => size,
    }
}

/// One thread's share of the counters; a cache line, so that no two threads write to the same one.
#[repr(align(64))]
struct Slot {
    /// Allocated minus freed, wrapping.
    bytes: AtomicUsize,
    allocations: AtomicU64,
    taken: AtomicBool,
}

impl Slot {
    const fn new() -> Self {
        Slot {
            bytes: AtomicUsize::new(0),
            allocations: AtomicU64::new(0),
            taken: AtomicBool::new(false),
        }
    }
}

const _: () = assert!(size_of::<Slot>() == 64);

const SLOTS_MAX: usize = 128;
static SLOTS: [Slot; SLOTS_MAX] = [const { Slot::new() }; SLOTS_MAX];
/// All slots from this one on were never taken.
static SLOTS_USED: AtomicUsize = AtomicUsize::new(0);
static SHARED: Slot = Slot::new();

thread_local! {
    /// The thread's slot; null before its first allocation, after its end, and if there was none.
    static SLOT: Cell<*const Slot> = const { Cell::new(ptr::null()) };
    /// Takes a slot, and gives it back when the thread ends.
    static LEASE: Lease = Lease::take();
}

#[inline]
fn count_allocation(pointer: *mut u8, layout: Layout) {
    if !pointer.is_null() {
        count(class_size(layout.size(), layout.align()), 1);
    }
}

#[inline]
fn count(bytes: usize, allocations: u64) {
    let slot = SLOT.get();
    if slot.is_null() {
        return count_without_slot(bytes, allocations);
    }
    // SAFETY: a slot pointer that is not null points into the static SLOTS.
    let slot = unsafe { &*slot };
    // Only the thread that holds the slot writes to it, so nothing is lost between the load and the store.
    let sum = slot.bytes.load(Ordering::Relaxed).wrapping_add(bytes);
    slot.bytes.store(sum, Ordering::Relaxed);
    let sum = slot.allocations.load(Ordering::Relaxed) + allocations;
    slot.allocations.store(sum, Ordering::Relaxed);
}

#[cold]
fn count_without_slot(bytes: usize, allocations: u64) {
    if LEASE.try_with(|lease| lease.0.is_some()).unwrap_or(false) && !SLOT.get().is_null() {
        return count(bytes, allocations);
    }
    SHARED.bytes.fetch_add(bytes, Ordering::Relaxed);
    SHARED.allocations.fetch_add(allocations, Ordering::Relaxed);
}

struct Lease(Option<&'static Slot>);

impl Lease {
    fn take() -> Self {
        let free = |slot: &&Slot| {
            // Acquire: the counts that the former holder left are seen before they are added to.
            slot.taken
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        };
        let Some((at, slot)) = SLOTS.iter().enumerate().find(|(_, slot)| free(slot)) else {
            return Lease(None);
        };
        SLOTS_USED.fetch_max(at + 1, Ordering::Release);
        SLOT.set(slot);
        Lease(Some(slot))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        SLOT.set(ptr::null());
        if let Some(slot) = self.0 {
            slot.taken.store(false, Ordering::Release);
        }
    }
}

/// Brings the numbers that `read` gives up to date.
fn refresh() {
    write(c"epoch", 1u64);
}

/// Sets one of jemalloc's named values; false if it has none of this name and size, or refuses.
fn write<T: Copy>(name: &CStr, mut value: T) -> bool {
    // SAFETY: the value is read only if its length is the one given, and the callers give the type that the value of
    // this name has.
    let code = unsafe {
        jemalloc::mallctl(
            name.as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            (&raw mut value).cast(),
            size_of::<T>(),
        )
    };
    code == 0
}

/// Reads one of jemalloc's named values; false if it has none of this name and size.
fn read<T: Copy>(name: &CStr, value: &mut T) -> bool {
    let mut length = size_of::<T>();
    // SAFETY: the value is written only if its length is the one given, and the callers ask for values whose
    // every bit pattern of that length is a T.
    let code = unsafe {
        jemalloc::mallctl(
            name.as_ptr(),
            ptr::from_mut(value).cast(),
            &raw mut length,
            ptr::null_mut(),
            0,
        )
    };
    code == 0 && length == size_of::<T>()
}

/// Runs one of jemalloc's named commands. A command this build does not have is no loss.
fn command(name: &CStr) {
    // SAFETY: a command takes and gives nothing.
    unsafe {
        jemalloc::mallctl(
            name.as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_a_layout_is_what_jemalloc_takes() {
        let sizes = (1..5_000)
            .chain((5_000..70_000).step_by(97))
            .chain((12..23).flat_map(|power| {
                let size = 1usize << power;
                [
                    size - 1,
                    size,
                    size + 1,
                    size + size / 4,
                    size + size / 4 + 1,
                ]
            }));
        for size in sizes {
            for align in [1, 2, 8, 16, 32, 64, 256, 4096, 8192, 1 << 16] {
                check_class(size, align);
            }
        }
    }

    fn check_class(size: usize, align: usize) {
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: the size is not zero, and the allocation is freed with its layout.
        let taken = unsafe {
            let pointer = Jemalloc.alloc(layout);
            let taken = tikv_jemallocator::usable_size(pointer);
            Jemalloc.dealloc(pointer, layout);
            taken
        };
        assert_eq!(class_size(size, align), taken, "size {size}, align {align}");
    }

    #[test]
    fn sizes_that_cannot_be_have_a_class_nevertheless() {
        for size in [0, isize::MAX as usize, usize::MAX] {
            assert!(class_size(size, 1) >= size);
        }
    }

    #[test]
    fn a_thread_counts_its_allocations() {
        let (count, bytes) = (allocations(), own_bytes());
        let mut text: Vec<u8> = Vec::with_capacity(100);
        assert_eq!(allocations() - count, 1);
        assert_eq!(own_bytes() - bytes, 112);
        text.extend_from_slice(&[7; 100]);
        assert_eq!(allocations() - count, 1, "filling allocates nothing");
        text.reserve_exact(1_000);
        assert_eq!(allocations() - count, 2);
        assert_eq!(own_bytes() - bytes, 1_280);
        text.shrink_to(200);
        assert_eq!(own_bytes() - bytes, 224);
        let zeroed = vec![0u8; 5_000];
        assert_eq!(own_bytes() - bytes, 224 + 5_120);
        drop((text, zeroed));
        assert_eq!(own_bytes(), bytes);
    }

    /// What this thread allocated minus what it freed.
    fn own_bytes() -> usize {
        let slot = SLOT.get();
        assert!(!slot.is_null(), "so many threads do not run here");
        // SAFETY: as in count.
        unsafe { (*slot).bytes.load(Ordering::Relaxed) }
    }

    #[test]
    fn the_allocator_names_itself() {
        let name = name();
        let version = name.strip_prefix("jemalloc-").expect("its name");
        assert!(version.split('.').count() == 3, "{name}");
        assert!(
            version
                .bytes()
                .all(|byte| byte == b'.' || byte.is_ascii_digit()),
            "{name}"
        );
    }

    #[test]
    fn the_levels_below_the_allocations_are_reported() {
        let held = vec![1u8; 8 << 20];
        let stats = stats();
        assert!(stats.allocated >= held.len(), "{stats:?}");
        assert!(stats.active >= held.len(), "{stats:?}");
        assert!(stats.resident >= held.len(), "{stats:?}");
        let text = stats_text();
        assert!(text.contains("Allocated: "), "{text}");
        drop(held);
        purge();
    }
}
