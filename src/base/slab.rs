//! (interim) The slab heap's interface over the system's allocator.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The largest size that is served from slabs.
pub const CLASS_MAX: usize = 1024;

/// Allocates `size` bytes, at least 1, at an alignment of 2.
#[inline]
pub fn alloc(size: usize) -> NonNull<u8> {
    debug_assert!(size > 0);
    let layout = Layout::from_size_align(class_size(size), 8).expect("a size that exists");
    // SAFETY: the size is not zero.
    let pointer = unsafe {
        if size > CLASS_MAX {
            std::alloc::alloc(layout)
        } else {
            USED.fetch_add(class_size(size), Ordering::Relaxed);
            System.alloc(layout)
        }
    };
    NonNull::new(pointer).unwrap_or_else(|| std::alloc::handle_alloc_error(layout))
}

/// Frees an allocation, on any thread.
///
/// # Safety
/// `pointer` came from [`alloc`] with this size, or one of the same class, and was not freed since.
#[inline]
pub unsafe fn free(pointer: NonNull<u8>, size: usize) {
    let layout = Layout::from_size_align(class_size(size), 8).expect("a size that exists");
    // SAFETY: the caller's promise.
    unsafe {
        if size > CLASS_MAX {
            std::alloc::dealloc(pointer.as_ptr(), layout)
        } else {
            USED.fetch_sub(class_size(size), Ordering::Relaxed);
            System.dealloc(pointer.as_ptr(), layout)
        }
    }
}

/// The bytes an allocation of `size` bytes takes.
#[inline]
pub const fn class_size(size: usize) -> usize {
    if size > CLASS_MAX {
        super::alloc::class_size(size, 8)
    } else {
        size.next_multiple_of(2)
    }
}

/// Bytes in allocations of at most [`CLASS_MAX`]; larger ones are the global allocator's to count.
pub fn used_bytes() -> usize {
    USED.load(Ordering::Relaxed)
}

/// Bytes of memory taken from the system.
pub fn reserved_bytes() -> usize {
    USED.load(Ordering::Relaxed)
}

/// Takes back what other threads freed of the calling thread's slabs, at most about `slots_max` of them; true if there is more.
pub fn collect(slots_max: usize) -> bool {
    let _ = slots_max;
    false
}

/// Takes back everything other threads freed and gives all free slabs back to the system.
pub fn purge() {}

static USED: AtomicUsize = AtomicUsize::new(0);
