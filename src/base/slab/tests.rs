//! The heap against a model, on one thread and between threads, and what it gives back to the system.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;

use super::classes::CLASSES;
use super::header::{Chunk, NONE, Place, QUARTERS, SLAB, SLABS, Slab};
use super::heap::KEPT_MAX;
use super::*;

#[test]
fn a_class_wastes_little() {
    for size in 1..=CLASS_MAX {
        let slot = class_size(size);
        assert!(slot >= size && slot.is_multiple_of(2), "{size} in {slot}");
        if size <= 128 {
            assert!(slot - size <= 1, "{size} in {slot}");
        } else {
            assert!((slot - size) * 1000 <= slot * 31, "{size} in {slot}");
        }
        let left_over = SLAB % slot;
        assert!(
            left_over * 100 <= SLAB * 2,
            "{left_over} bytes behind slots of {slot}"
        );
        assert_eq!(class_size(slot), slot);
    }
    assert_eq!(class_size(CLASS_MAX + 1), 1280);
}

#[test]
fn what_is_larger_than_a_class_comes_from_elsewhere() {
    let used_before = own().used;
    let large: Vec<Piece> = [CLASS_MAX + 1, 5_000, 1 << 20]
        .map(|size| Piece::new(size, 7))
        .into();
    assert_eq!(own().used, used_before);
    large.into_iter().for_each(Piece::free);
}

/// What one step of a test does.
#[derive(Clone, Debug)]
enum Step {
    /// Allocate so many pieces of so many bytes.
    Alloc(usize, usize),
    /// Free so many of the live pieces, counted from the one at this share of them.
    Free(prop::sample::Index, usize),
    /// The same, on another thread.
    FreeElsewhere(prop::sample::Index, usize),
    Collect(usize),
    Purge,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![1..=CLASS_MAX, 20..60usize, Just(38), Just(CLASS_MAX + 9)];
    let at = any::<prop::sample::Index>;
    let step = prop_oneof![
        6 => (size, 1..700usize).prop_map(|(size, count)| Step::Alloc(size, count)),
        3 => (at(), 1..900usize).prop_map(|(at, count)| Step::Free(at, count)),
        2 => (at(), 1..900usize).prop_map(|(at, count)| Step::FreeElsewhere(at, count)),
        1 => (0..6usize).prop_map(Step::Collect),
        1 => Just(Step::Purge),
    ];
    vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn pieces_keep_apart_and_keep_their_content(steps in steps()) {
        check_steps(steps);
    }
}

fn check_steps(steps: Vec<Step>) {
    let mut live: Vec<Piece> = Vec::new();
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    let mut elsewhere = 0;
    let used_before = own().used;
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Alloc(size, count) => {
                for _ in 0..count {
                    let piece = Piece::new(size, number as u8);
                    let (start, end) = piece.range();
                    let before = taken.range(..end).next_back();
                    assert!(before.is_none_or(|(_, &other_end)| other_end <= start));
                    taken.insert(start, end);
                    live.push(piece);
                }
            }
            Step::Free(at, count) => {
                for piece in cut(&mut live, at, count) {
                    taken.remove(&piece.range().0);
                    piece.free();
                }
            }
            Step::FreeElsewhere(at, count) => {
                let pieces = cut(&mut live, at, count);
                for piece in &pieces {
                    taken.remove(&piece.range().0);
                    elsewhere += piece.slot_bytes();
                }
                on_another_thread(move || pieces.into_iter().for_each(Piece::free));
            }
            Step::Collect(slabs_max) => {
                collect(slabs_max);
            }
            Step::Purge => purge(),
        }
        let held: usize = live.iter().map(Piece::slot_bytes).sum();
        assert_eq!(own().used - used_before, held + elsewhere);
        check_heap();
    }
    live.into_iter().for_each(Piece::free);
    purge();
    check_heap();
}

fn cut(live: &mut Vec<Piece>, at: prop::sample::Index, count: usize) -> Vec<Piece> {
    if live.is_empty() {
        return Vec::new();
    }
    let start = at.index(live.len());
    live.drain(start..live.len().min(start + count)).collect()
}

#[test]
fn threads_pass_pieces_around() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 300;
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS)
        .map(|_| mpsc::sync_channel::<Vec<Piece>>(1_000))
        .unzip();
    thread::scope(|scope| {
        for (me, receiver) in receivers.into_iter().enumerate() {
            let senders = senders.clone();
            scope.spawn(move || {
                let mut kept = Vec::new();
                let mut random = me as u64 + 1;
                let mut below = |bound: u64| {
                    random = random
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    (random >> 33) % bound
                };
                for _ in 0..ROUNDS {
                    let size = 1 + below(120) as usize * (1 + below(8) as usize);
                    let pieces: Vec<_> = (0..below(200))
                        .map(|_| Piece::new(size, me as u8))
                        .collect();
                    senders[below(THREADS as u64) as usize]
                        .send(pieces)
                        .unwrap();
                    for pieces in receiver.try_iter() {
                        kept.extend(pieces);
                    }
                    while kept.len() > 2_000 {
                        let at = below(kept.len() as u64) as usize;
                        kept.swap_remove(at).free();
                    }
                }
                drop(senders);
                for pieces in receiver.iter() {
                    pieces.into_iter().for_each(Piece::free);
                }
                kept.into_iter().for_each(Piece::free);
                check_heap();
            });
        }
        drop(senders);
    });
}

#[test]
fn freed_memory_goes_back_to_the_system() {
    use_fresh_heap();
    let before = own();
    let pieces = many_pieces();
    let full = own();
    assert!(full.reserved - before.reserved >= MANY_BYTES);
    assert!(
        full.reserved - before.reserved <= MANY_BYTES * 103 / 100,
        "{full:?}"
    );
    pieces.into_iter().for_each(Piece::free);
    let after = own();
    assert_eq!(after.used, before.used);
    assert!(
        after.reserved - before.reserved <= MANY_BYTES / 20,
        "{after:?}"
    );
    purge();
    assert_eq!(own().reserved, before.reserved);
    check_heap();
}

#[test]
fn what_another_thread_freed_goes_back_in_steps() {
    use_fresh_heap();
    let before = own();
    let mut pieces = many_pieces();
    // One piece in the middle keeps its slab.
    let last = pieces.swap_remove(MANY / 2);
    on_another_thread(move || pieces.into_iter().for_each(Piece::free));
    assert!(
        own().reserved - before.reserved >= MANY_BYTES,
        "nobody collected yet"
    );
    let mut steps = 0;
    while collect(10) {
        steps += 1;
        assert!(steps < 10_000);
    }
    assert!(steps > MANY_BYTES / SLAB / 10 - 2, "{steps} steps");
    assert!(
        own().reserved - before.reserved <= MANY_BYTES / 20,
        "{:?}",
        own()
    );
    last.free();
    purge();
    assert_eq!(own().reserved, before.reserved);
}

#[test]
fn memory_that_another_thread_freed_is_used_again_without_a_collection() {
    use_fresh_heap();
    let mut pieces = many_pieces();
    let reserved = own().reserved;
    for _ in 0..4 {
        on_another_thread(move || pieces.into_iter().for_each(Piece::free));
        pieces = many_pieces();
    }
    assert!(own().reserved <= reserved + reserved / 20, "{:?}", own());
    pieces.into_iter().for_each(Piece::free);
}

#[test]
fn pieces_outlive_their_thread() {
    let pieces = thread::spawn(many_pieces).join().unwrap();
    for (number, piece) in pieces.into_iter().enumerate() {
        piece.check();
        piece.free();
        // The heap may have been adopted meanwhile, by whichever thread.
        if number % 10_000 == 0 {
            let small = thread::spawn(|| Piece::new(30, 1)).join().unwrap();
            small.free();
        }
    }
    collect(usize::MAX);
}

#[test]
fn a_thread_that_ends_may_still_allocate_and_free() {
    struct Late(Option<Piece>);
    impl Drop for Late {
        fn drop(&mut self) {
            let pieces: Vec<_> = (0..2_000).map(|_| Piece::new(64, 9)).collect();
            self.0.take().unwrap().free();
            pieces.into_iter().for_each(Piece::free);
        }
    }
    thread_local!(static LATE: Cell<Option<Late>> = const { Cell::new(None) });
    // Destructors run in an order of the system's, so one thread-local comes before the heap's and one after.
    for heap_first in [true, false] {
        on_another_thread(move || {
            if heap_first {
                Piece::new(40, 3).free();
            }
            LATE.set(Some(Late(Some(Piece::new(40, 3)))));
        });
    }
}

#[test]
fn the_fullest_slab_is_filled_first() {
    use_fresh_heap();
    let slab_of_piece = |piece: &Piece| piece.range().0 / SLAB;
    let capacity = SLAB / class_size(990);
    let mut slabs: BTreeMap<usize, Vec<Piece>> = BTreeMap::new();
    for _ in 0..capacity * 10 {
        let piece = Piece::new(990, 5);
        slabs.entry(slab_of_piece(&piece)).or_default().push(piece);
    }
    let full: Vec<usize> = slabs
        .iter()
        .filter(|(_, pieces)| pieces.len() == capacity)
        .map(|(&slab, _)| slab)
        .collect();
    // Leave few pieces in one slab, many in another, and fill up what the class was using before.
    let (sparse, dense) = (full[1], full[2]);
    for (slab, left) in [(sparse, 3), (dense, capacity - 3)] {
        for piece in slabs.get_mut(&slab).unwrap().drain(left..) {
            piece.free();
        }
    }
    let mut seen = Vec::new();
    for _ in 0..capacity * 2 {
        let piece = Piece::new(990, 5);
        let slab = slab_of_piece(&piece);
        if !seen.contains(&slab) {
            seen.push(slab);
        }
        slabs.entry(slab).or_default().push(piece);
    }
    let at = |slab| seen.iter().position(|&other| other == slab);
    assert!(at(dense).unwrap() < at(sparse).unwrap(), "{seen:?}");
    slabs.into_values().flatten().for_each(Piece::free);
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "freed twice")]
fn freeing_twice_is_noticed() {
    let pointer = alloc(40);
    // SAFETY: the second call is the fault, which ends it before it changes anything.
    unsafe {
        free(pointer, 40);
        free(pointer, 40);
    }
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "another class")]
fn freeing_with_a_wrong_size_is_noticed() {
    let pointer = alloc(40);
    // SAFETY: the call is the fault, which ends it before it changes anything.
    unsafe { free(pointer, 43) };
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "written to after it was freed")]
fn writing_to_what_is_free_is_noticed() {
    let pointer = alloc(40);
    // SAFETY: the write is the fault; the slot is still the heap's own memory.
    unsafe {
        free(pointer, 40);
        pointer.add(9).write(1);
    }
    alloc(40);
}

const MANY: usize = 400_000;
const MANY_BYTES: usize = MANY * 38;

fn many_pieces() -> Vec<Piece> {
    (0..MANY)
        .map(|number| Piece::new(38, number as u8))
        .collect()
}

fn on_another_thread(work: impl FnOnce() + Send + 'static) {
    thread::spawn(work).join().unwrap();
}

/// The counts of this thread's heap.
#[derive(Debug)]
struct Own {
    used: usize,
    reserved: usize,
}

fn own() -> Own {
    let heap = own_heap();
    Own {
        used: heap.used.load(Ordering::Relaxed),
        reserved: heap.reserved.load(Ordering::Relaxed),
    }
}

fn own_heap() -> &'static Heap {
    LEASE.with(|_| ());
    // SAFETY: the thread has a heap now, and heaps live forever.
    unsafe { &*HEAP.get() }
}

/// Gives this thread a heap that no test before it used, for tests that weigh it: what is still allocated from
/// an adopted one may be freed at any time. The heap and what the test leaves in it are lost.
fn use_fresh_heap() {
    LEASE.with(|_| ());
    HEAP.set(new_heap());
}

/// Checks that what this thread's heap says of its chunks and slabs agrees with itself.
fn check_heap() {
    let heap = own_heap();
    let mut kept = 0;
    let mut chunk = heap.chunks.get();
    let mut previous: *const Chunk = ptr::null();
    // SAFETY: chunks and slabs on the lists of this thread's heap are mapped.
    while let Some(listed) = unsafe { chunk.as_ref() } {
        assert!(ptr::eq(listed.previous.get(), previous));
        assert_ne!(listed.free.get(), 0);
        assert_eq!(listed.kept.get() & !listed.free.get(), 0);
        kept += listed.kept.get().count_ones() as usize;
        for number in 1..SLABS as u32 {
            let slab = listed.slab(number);
            assert_eq!(slab.number(), number);
            let is_free = listed.free.get() & 1 << number != 0;
            assert_eq!(is_free, slab.place.get() == Place::Free);
        }
        previous = chunk;
        chunk = listed.next.get();
    }
    assert_eq!(kept, heap.kept.get());
    assert!(kept <= KEPT_MAX);
    for class in 0..CLASSES {
        check_slab(heap.active_slab(class));
        for (quarter, list) in heap.partial[class].iter().enumerate() {
            let mut slab = list.get();
            // SAFETY: as above.
            while let Some(listed) = unsafe { slab.as_ref() } {
                assert_eq!(listed.place.get(), Place::Partial(quarter as u8));
                assert_eq!(usize::from(listed.class.get()), class);
                assert!(listed.used.get() >= listed.used_min.get());
                assert_eq!(
                    usize::from(listed.used.get()) * QUARTERS / usize::from(listed.capacity.get()),
                    quarter
                );
                check_slab(listed);
                slab = listed.next.get();
            }
        }
    }
}

fn check_slab(slab: &Slab) {
    let slot_size = slab.slot_size.get();
    let mut free = 0;
    let mut offset = slab.free.get();
    while offset != NONE {
        assert!(offset < slab.fresh.get() && offset.is_multiple_of(slot_size));
        free += 1;
        // SAFETY: the offset names a free slot of this thread's slab.
        offset = unsafe { slab.base.add(offset.into()).cast::<u16>().read() };
    }
    if slab.place.get() != Place::Full {
        assert_eq!(slab.used.get() + free, slab.fresh.get() / slot_size);
    }
}

/// An allocation filled with a byte of its own.
struct Piece {
    pointer: NonNull<u8>,
    size: usize,
    fill: u8,
}

// SAFETY: the pointer is to memory that only the piece uses.
unsafe impl Send for Piece {}

impl Piece {
    fn new(size: usize, fill: u8) -> Self {
        let pointer = alloc(size);
        assert!(pointer.addr().get().is_multiple_of(2));
        // SAFETY: the allocation is that long.
        unsafe { pointer.write_bytes(fill, size) };
        Piece {
            pointer,
            size,
            fill,
        }
    }

    fn range(&self) -> (usize, usize) {
        let start = self.pointer.addr().get();
        (start, start + class_size(self.size))
    }

    /// What the heap counts for it.
    fn slot_bytes(&self) -> usize {
        if self.size > CLASS_MAX {
            0
        } else {
            class_size(self.size)
        }
    }

    fn check(&self) {
        // SAFETY: new filled the allocation.
        let bytes = unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.size) };
        assert!(
            bytes.iter().all(|&byte| byte == self.fill),
            "a piece of {} changed",
            self.size
        );
    }

    fn free(self) {
        self.check();
        // SAFETY: it came from alloc with this size, and goes with self.
        unsafe { free(self.pointer, self.size) };
    }
}
