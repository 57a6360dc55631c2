//! Memory by the page, and what the system says about ours. Knows nothing of the allocator.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::ptr::{self, NonNull};

/// The size of a page in bytes.
pub fn page_size() -> usize {
    // SAFETY: sysconf reads a number; every Linux knows its page size.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("the page size is known")
}

/// The memory of the machine in bytes.
pub fn total_memory_bytes() -> u64 {
    // SAFETY: sysconf reads a number.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    u64::try_from(pages).unwrap_or(0) * page_size() as u64
}

/// The memory of this process that is in RAM, in bytes; 0 where `/proc` is not mounted.
pub fn resident_bytes() -> u64 {
    let Ok(statm) = std::fs::read_to_string("/proc/self/statm") else {
        return 0;
    };
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|field| field.parse().ok())
        .unwrap_or(0);
    pages * page_size() as u64
}

/// The memory that this process has changed and shares with nobody, in bytes: in a child, what copying on write has
/// cost so far. The kernel looks at every page to find out, so asking is dear when there are many. 0 where `/proc`
/// is not mounted.
pub fn private_dirty_bytes() -> u64 {
    let Ok(rollup) = std::fs::read_to_string("/proc/self/smaps_rollup") else {
        return 0;
    };
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Asks the kernel to back this process, and what it starts, with small pages only.
pub fn disable_huge_pages() -> io::Result<()> {
    // SAFETY: PR_SET_THP_DISABLE takes numbers only.
    match unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Fresh zeroed pages: `len` bytes, a multiple of the page size, at an address that is a multiple of `align`,
/// a power of two. They stay until `unmap_pages`.
pub fn map_pages(len: usize, align: usize) -> io::Result<NonNull<u8>> {
    let page = page_size();
    assert!(
        len > 0 && len.is_multiple_of(page),
        "whole pages are mapped"
    );
    assert!(align.is_power_of_two(), "alignments are powers of two");
    if align <= page {
        return map(len);
    }
    // The kernel aligns to pages only, so as much more is mapped as the worst address needs, and the surplus on
    // both sides is given back.
    let surplus = align - page;
    let start = map(len.checked_add(surplus).ok_or(io::ErrorKind::OutOfMemory)?)?;
    let head = start.addr().get().next_multiple_of(align) - start.addr().get();
    // SAFETY: head <= surplus, so head + len lies within the mapping of len + surplus bytes; what is unmapped
    // was mapped above and nobody has seen it.
    unsafe {
        let aligned = start.add(head);
        if head > 0 {
            unmap_pages(start, head);
        }
        if head < surplus {
            unmap_pages(aligned.add(len), surplus - head);
        }
        Ok(aligned)
    }
}

/// Gives pages back to the system.
///
/// # Safety
/// `start` and `len` name whole pages that came from `map_pages` and that nobody uses any more.
pub unsafe fn unmap_pages(start: NonNull<u8>, len: usize) {
    // SAFETY: the caller promises that these pages are ours and unused.
    let failed = unsafe { libc::munmap(start.as_ptr().cast::<c_void>(), len) };
    assert_eq!(failed, 0, "our own pages can be unmapped");
}

/// Gives back the memory behind pages whose content is no longer wanted, keeping their addresses: they read as
/// zeros afterwards.
///
/// # Safety
/// `start` and `len` name whole pages that came from `map_pages`, and nobody relies on what they hold.
pub unsafe fn discard_pages(start: NonNull<u8>, len: usize) {
    // SAFETY: the caller promises that these pages are ours and that losing what they hold is right.
    let failed =
        unsafe { libc::madvise(start.as_ptr().cast::<c_void>(), len, libc::MADV_DONTNEED) };
    assert_eq!(failed, 0, "our own pages can be discarded");
}

fn map(len: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: an anonymous private mapping at an address of the kernel's choosing touches no existing memory.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(NonNull::new(start.cast()).expect("the kernel maps nothing at address zero"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_mapping(pages: usize, align: usize) {
        let len = pages * page_size();
        let start = map_pages(len, align).unwrap();
        assert_eq!(start.addr().get() % align, 0);
        // SAFETY: the pages were just mapped and are used by this test only.
        unsafe {
            let bytes = std::slice::from_raw_parts_mut(start.as_ptr(), len);
            assert!(bytes.iter().all(|&byte| byte == 0));
            bytes.fill(0xAB);
            discard_pages(start, len);
            assert!(
                std::slice::from_raw_parts(start.as_ptr(), len)
                    .iter()
                    .all(|&byte| byte == 0)
            );
            unmap_pages(start, len);
        }
    }

    #[test]
    fn pages_come_aligned_and_zeroed_and_can_be_discarded() {
        for align in [1, 4096, 1 << 16, 1 << 21] {
            for pages in [1, 3, 512] {
                check_mapping(pages, align);
            }
        }
    }

    #[test]
    fn more_than_the_address_space_is_an_error() {
        let most = usize::MAX & !(page_size() - 1);
        assert!(map_pages(most, 1).is_err());
        assert!(map_pages(most, 1 << 21).is_err());
    }

    #[test]
    fn the_process_is_smaller_than_the_machine() {
        let resident = resident_bytes();
        assert!(resident > 100_000, "{resident}");
        assert!(resident < total_memory_bytes());
        assert!(private_dirty_bytes() > 100_000);
    }
}
