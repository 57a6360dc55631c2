//! The memory counters of the whole process. One test, so that nothing else allocates meanwhile.

use std::sync::Barrier;
use std::thread;

use cinnabar::base::{alloc, slab};

/// More than there are counters for.
const THREADS: usize = 200;

#[test]
fn the_counters_are_exact_and_memory_goes_back() {
    check_balance("allocations", || {
        let held: Vec<Vec<u8>> = (0..10_000).map(|size| vec![1; size % 3_000]).collect();
        held.len()
    });
    check_balance("threads that free what others allocated", || {
        thread::spawn(|| drop(thread::spawn(|| vec![1u8; 100_000]).join().unwrap()))
            .join()
            .unwrap();
        0
    });
    check_balance("more threads at once than have counters", || {
        let barrier = Barrier::new(THREADS);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|number| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let held = vec![1u8; number * 100 + 1];
                        barrier.wait();
                        held.len()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        })
    });
    // The thread's heap is an allocation too, made for its first slot.
    free_slot(allocate_slot());
    check_balance("slots", || {
        let used = alloc::used_memory();
        let slots: Vec<usize> = (0..100_000).map(|_| allocate_slot()).collect();
        let list = alloc::class_size(slots.len() * size_of::<usize>(), 8);
        assert_eq!(alloc::used_memory() - used, 100_000 * 38 + list);
        slots.iter().copied().for_each(free_slot);
        slots.len()
    });
    check_balance(
        "slots that another thread frees, which counts at once",
        || {
            let slots: Vec<usize> = (0..100_000).map(|_| allocate_slot()).collect();
            let used = slab::used_bytes();
            let reserved = slab::reserved_bytes();
            thread::spawn(move || slots.into_iter().for_each(free_slot))
                .join()
                .unwrap();
            assert_eq!(used - slab::used_bytes(), 100_000 * 38);
            slab::purge();
            assert!(reserved - slab::reserved_bytes() > 100_000 * 38 * 95 / 100);
            0
        },
    );
    assert_eq!(slab::used_bytes(), 0);
    assert_eq!(slab::reserved_bytes(), 0);
}

/// Checks that what `work` allocates is gone from the counters when it has run.
fn check_balance(what: &str, work: impl Fn() -> usize) {
    // The first run brings what stays: thread-locals, a heap, lists of what is idle.
    std::hint::black_box(work());
    let before = alloc::used_memory();
    std::hint::black_box(work());
    assert_eq!(alloc::used_memory(), before, "{what}");
}

/// A slot's address, which unlike the pointer may go to another thread.
fn allocate_slot() -> usize {
    slab::alloc(38).expose_provenance().get()
}

#[allow(unsafe_code)]
fn free_slot(address: usize) {
    let pointer = std::ptr::with_exposed_provenance_mut(address);
    let pointer = std::ptr::NonNull::new(pointer).expect("the address of a slot");
    // SAFETY: the slots were allocated with this size and are freed once.
    unsafe { slab::free(pointer, 38) };
}
