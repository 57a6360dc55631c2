#![allow(unsafe_code)]
//! stand-in
use std::alloc::{Layout, alloc as a, dealloc};
use std::ptr::NonNull;
/// x
pub fn class_size(size: usize) -> usize { size.next_multiple_of(2) }
/// x
pub fn alloc(size: usize) -> NonNull<u8> {
    // SAFETY: x
    NonNull::new(unsafe { a(Layout::from_size_align(class_size(size), 8).unwrap()) }).unwrap()
}
/// # Safety
/// x
pub unsafe fn free(ptr: NonNull<u8>, size: usize) {
    // SAFETY: x
    unsafe { dealloc(ptr.as_ptr(), Layout::from_size_align(class_size(size), 8).unwrap()) }
}
/// x
pub fn collect(_n: usize) {}
