#![allow(unsafe_code)]
//! The hash table behind every database and every large set and hash.
//!
//! It maps a 64-bit hash to *handles*: pointers of 48 bits to entries that the table does not own.
//! What an entry looks like is the business of the [`Handle`] type; the table asks it for its hash
//! when a bucket is split, and asks its caller whether a candidate is the key that is looked for.
//!
//! # Layout
//!
//! A bucket is one cache line:
//!
//! ```text
//!  0        9      10                                                             64
//!  +--------+------+------+------+------+------+------+------+------+------+------+
//!  | 9 tags | meta | ref0 | ref1 | ref2 | ref3 | ref4 | ref5 | ref6 | ref7 | ref8 |
//!  +--------+------+------+------+------+------+------+------+------+------+------+
//! ```
//!
//! A tag is the top byte of the hash, so one 16-byte compare rules out all but one in 256 strangers.
//! A reference is a pointer's low 48 bits. `meta` holds the number of occupied slots, which are
//! always the first ones; whether the last reference leads to a further bucket of the same chain
//! (then only eight slots hold entries); and whether the chain may hold volatile entries.
//!
//! # Growth
//!
//! This is linear hashing (Litwin 1980). With `n` buckets, `mask + 1` the largest power of two not
//! above `n`, a hash lives in bucket `hash & (2 * mask + 1)`, or in `hash & mask` if that bucket does
//! not exist yet. Growing by one bucket splits the bucket `n - (mask + 1)` in two; shrinking merges
//! the last one back. So the load is the same at every size, no moment doubles the memory and no
//! operation pays for more than a few buckets. Buckets lie in segments of 64 KiB; only the directory
//! of segments, 8 bytes for about 6,000 entries, is ever moved.
//!
//! # Scanning
//!
//! A bucket holds all hashes that end in its index, at a depth of `b` or `b + 1` bits: buckets are
//! the leaves of a binary trie over the hash bits from the lowest up. A scan visits leaves in the
//! order of their bit-reversed index; the cursor is a position in that order. A split or merge
//! refines or coarsens a leaf in place, so every entry present from start to end is met at least
//! once, whatever grows or shrinks meanwhile; a merge may show some entries twice.
//!
//! Costs: a lookup reads one chain of buckets, mostly a single one, and one entry. From 50,000 entries
//! on the table costs 10 to 14 bytes an entry at every size (tested).

use crate::base::hash::Hasher;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error, realloc};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;

mod dues;
use dues::Dues;
pub use dues::GROUP;

/// What the table stores: a pointer to something that knows its hash.
pub trait Handle: Copy {
    /// The pointer; only its low 48 bits may be set.
    fn into_raw(self) -> NonNull<u8>;
    /// The handle that [`Handle::into_raw`] gave this pointer.
    ///
    /// # Safety
    /// `raw` came from `into_raw` of a handle that is still valid.
    unsafe fn from_raw(raw: NonNull<u8>) -> Self;
    /// The hash under which the handle was inserted.
    fn hash(self, hasher: &Hasher) -> u64;
    /// Asks the processor for all that the entry holds, whose beginning has arrived.
    #[inline]
    fn prefetch_rest(self) {}
}

/// Slots of a bucket.
const SLOTS: usize = 9;
/// The slot whose reference leads to the next bucket of a chain, if the bucket is chained.
const LINK: usize = SLOTS - 1;
/// Entries a bucket above which the table grows.
pub const LOAD_MAX: usize = 6;
/// Entries a bucket below which the table shrinks.
const LOAD_MIN: usize = 3;
/// Buckets of a segment.
const SEGMENT: usize = 1 << SEGMENT_BITS;
const SEGMENT_BITS: u32 = 10;

const COUNT: u8 = 0x0f;
const VOLATILE: u8 = 0x40;
const CHAINED: u8 = 0x80;

#[repr(C, align(64))]
struct Bucket {
    tags: [u8; SLOTS],
    meta: u8,
    refs: [[u8; 6]; SLOTS],
}

const _: () = assert!(size_of::<Bucket>() == 64);
const _: () = assert!(size_of::<usize>() == 8, "references are 48-bit pointers");

impl Bucket {
    #[inline]
    fn count(&self) -> usize {
        (self.meta & COUNT) as usize
    }

    #[inline]
    fn is_chained(&self) -> bool {
        self.meta & CHAINED != 0
    }

    #[inline]
    fn room(&self) -> usize {
        if self.is_chained() { LINK } else { SLOTS }
    }

    #[inline]
    fn pointer(&self, slot: usize) -> *mut u8 {
        let r = &self.refs[slot];
        let low = u32::from_le_bytes([r[0], r[1], r[2], r[3]]) as u64;
        let high = u16::from_le_bytes([r[4], r[5]]) as u64;
        (low | high << 32) as *mut u8
    }

    #[inline]
    fn set_pointer(&mut self, slot: usize, pointer: *mut u8) {
        let bits = pointer as u64;
        debug_assert!(bits != 0 && bits >> 48 == 0);
        self.refs[slot].copy_from_slice(&bits.to_le_bytes()[..6]);
    }

    #[inline]
    fn next(&self) -> Option<NonNull<Bucket>> {
        if self.is_chained() {
            NonNull::new(self.pointer(LINK).cast())
        } else {
            None
        }
    }

    /// A bit for each occupied slot whose tag is `tag`.
    #[inline]
    fn matches(&self, tag: u8) -> u32 {
        tag_matches(self, tag) & ((1 << self.count()) - 1)
    }

    #[inline]
    fn push(&mut self, tag: u8, pointer: *mut u8) -> usize {
        let slot = self.count();
        debug_assert!(slot < self.room());
        self.tags[slot] = tag;
        self.set_pointer(slot, pointer);
        self.meta += 1;
        slot
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn tag_matches(bucket: &Bucket, tag: u8) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_load_si128, _mm_movemask_epi8, _mm_set1_epi8};
    // SAFETY: a bucket is 64 bytes, aligned to 64; the first 16 are read. SSE2 is part of x86_64.
    unsafe {
        let tags = _mm_load_si128(std::ptr::from_ref(bucket).cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8(tag as i8))) as u32
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn tag_matches(bucket: &Bucket, tag: u8) -> u32 {
    let mut bits = 0;
    for (slot, &t) in bucket.tags.iter().enumerate() {
        bits |= u32::from(t == tag) << slot;
    }
    bits
}

#[inline]
fn tag_of(hash: u64) -> u8 {
    (hash >> 56) as u8
}

/// Where an entry lies; valid until the table is next changed.
#[derive(Clone, Copy)]
pub struct Place {
    bucket: NonNull<Bucket>,
    slot: u32,
}

/// A hash table of handles. It owns its buckets, not what the handles point to.
pub struct Table<H> {
    segments: Vec<NonNull<Bucket>>,
    /// Buckets in use; at least 1 once anything was inserted, 0 before.
    buckets: usize,
    /// The largest power of two not above `buckets`, less one.
    mask: usize,
    len: usize,
    /// Buckets beyond the first of their chain.
    links: usize,
    dues: Dues,
    hasher: Hasher,
    handles: PhantomData<H>,
}

// SAFETY: the table owns its buckets and no thread-local state; its handles are plain pointers whose
// owner decides who may follow them.
unsafe impl<H: Send> Send for Table<H> {}

impl<H: Handle> Table<H> {
    /// An empty table, which allocates nothing.
    pub fn new(hasher: Hasher) -> Self {
        Table {
            segments: Vec::new(),
            buckets: 0,
            mask: 0,
            len: 0,
            links: 0,
            dues: Dues::default(),
            hasher,
            handles: PhantomData,
        }
    }

    /// The number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of buckets, links of chains not counted.
    pub fn buckets(&self) -> usize {
        self.buckets
    }

    /// The number of buckets that hang off another one.
    pub fn links(&self) -> usize {
        self.links
    }

    /// Bytes of buckets and directory.
    pub fn bytes(&self) -> usize {
        (self.capacity() + self.links) * size_of::<Bucket>()
            + self.segments.capacity() * size_of::<usize>()
            + self.dues.bytes()
    }

    /// The hash function's key.
    #[inline]
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Asks the processor to fetch the bucket of `hash`.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        if self.buckets != 0 {
            prefetch(self.bucket(self.index(hash)).as_ptr().cast());
        }
    }

    /// Asks the processor to fetch the entry that `hash` most likely leads to.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        if self.buckets == 0 {
            return;
        }
        // SAFETY: `bucket` gives a live bucket, and nothing writes while `self` is borrowed.
        let bucket = unsafe { self.bucket(self.index(hash)).as_ref() };
        let hits = bucket.matches(tag_of(hash));
        if hits != 0 {
            let entry = bucket.pointer(hits.trailing_zeros() as usize);
            prefetch(entry);
            prefetch(entry.wrapping_add(64));
        } else if bucket.is_chained() {
            prefetch(bucket.pointer(LINK));
        }
    }

    /// Finds the entry with this hash that `is_match` accepts.
    #[inline]
    pub fn find(&self, hash: u64, mut is_match: impl FnMut(H) -> bool) -> Option<Place> {
        if self.buckets == 0 {
            return None;
        }
        let tag = tag_of(hash);
        let mut at = self.bucket(self.index(hash));
        loop {
            // SAFETY: `at` is a live bucket, and nothing writes while `self` is borrowed.
            let bucket = unsafe { at.as_ref() };
            let mut hits = bucket.matches(tag);
            while hits != 0 {
                let slot = hits.trailing_zeros();
                // SAFETY: an occupied slot holds a handle that was inserted and not removed.
                if is_match(unsafe { handle(bucket, slot as usize) }) {
                    return Some(Place { bucket: at, slot });
                }
                hits &= hits - 1;
            }
            at = bucket.next()?;
        }
    }

    /// The handle at a place.
    #[inline]
    pub fn get(&self, place: Place) -> H {
        // SAFETY: a place leads to an occupied slot until the table is changed.
        unsafe { handle(place.bucket.as_ref(), place.slot as usize) }
    }

    /// Puts another handle of the same hash at a place, and returns the old one.
    #[inline]
    pub fn replace(&mut self, place: Place, handle: H) -> H {
        let old = self.get(place);
        // SAFETY: as in `get`; `self` is borrowed exclusively.
        unsafe {
            (*place.bucket.as_ptr()).set_pointer(place.slot as usize, handle.into_raw().as_ptr())
        };
        old
    }

    /// Adds a handle, which must not be there yet, and grows the table if it is due.
    pub fn insert(&mut self, hash: u64, handle: H) -> Place {
        if self.buckets == 0 {
            self.push_bucket();
        }
        self.len += 1;
        if self.len > self.buckets * LOAD_MAX {
            self.split();
        }
        let (mut bucket, slot) =
            self.push(self.index(hash), tag_of(hash), handle.into_raw().as_ptr());
        // SAFETY: `push` gives a live bucket.
        debug_assert!(slot < unsafe { bucket.as_mut() }.count());
        Place {
            bucket,
            slot: slot as u32,
        }
    }

    /// Takes out the entry at a place, and shrinks the table if it is due.
    pub fn remove(&mut self, hash: u64, place: Place) -> H {
        let removed = self.get(place);
        let first = self.bucket(self.index(hash));
        self.take_slot(first, place);
        self.len -= 1;
        if self.len < self.buckets * LOAD_MIN && self.buckets > 1 {
            self.merge();
            if self.len < self.buckets * LOAD_MIN && self.buckets > 1 {
                self.merge();
            }
        }
        removed
    }

    /// Grows ahead of `extra` further entries.
    pub fn reserve(&mut self, extra: usize) {
        let wanted = (self.len + extra).div_ceil(LOAD_MAX).max(1);
        while self.buckets < wanted {
            if self.buckets == 0 {
                self.push_bucket()
            } else {
                self.split()
            }
        }
    }

    /// Says that the chain of `hash` holds a volatile entry, which is due at a time.
    #[inline]
    pub fn mark_volatile(&mut self, hash: u64, due: i64) {
        let index = self.index(hash);
        // SAFETY: a live bucket, borrowed exclusively through `self`.
        unsafe { (*self.bucket(index).as_ptr()).meta |= VOLATILE };
        self.dues.lower(index, due);
    }

    /// The first group of [`GROUP`] buckets, from group `from` on, where an entry may be due by `now`.
    pub fn next_due(&self, from: usize, now: i64) -> Option<usize> {
        self.dues.next(from, now)
    }

    /// Says when the first volatile entry of a group is due, all of which were visited.
    pub fn set_due(&mut self, group: usize, due: Option<i64>) {
        self.dues.set(group, due);
    }

    /// Asks the processor for the beginnings of the entries that [`Table::visit_volatile`] would show.
    pub fn prefetch_volatile(&self, indexes: Range<usize>) {
        for index in indexes {
            // SAFETY: a live bucket, and nothing writes while `self` is borrowed.
            let bucket = unsafe { self.bucket(index).as_ref() };
            if bucket.meta & VOLATILE != 0 {
                (0..bucket.count()).for_each(|slot| prefetch(bucket.pointer(slot)));
            }
        }
    }

    /// Calls `visit` with every entry of the chain at `index`, if it may hold volatile ones. `visit`
    /// says whether the entry is volatile; a chain without one is not visited again. Returns whether
    /// the chain was visited.
    pub fn visit_volatile(&mut self, index: usize, mut visit: impl FnMut(H) -> bool) -> bool {
        let first = self.bucket(index).as_ptr();
        // SAFETY: a live bucket, borrowed exclusively through `self`.
        if unsafe { (*first).meta } & VOLATILE == 0 {
            return false;
        }
        let mut any = false;
        self.visit_bucket(index, |h| any |= visit(h));
        if !any {
            // SAFETY: as above.
            unsafe { (*first).meta &= !VOLATILE };
        }
        true
    }

    /// Calls `visit` with every entry of the chain at `index`.
    pub fn visit_bucket(&self, index: usize, mut visit: impl FnMut(H)) {
        let mut at = Some(self.bucket(index));
        while let Some(bucket) = at {
            // SAFETY: a live bucket; `visit` gets handles only and cannot reach the table.
            let bucket = unsafe { bucket.as_ref() };
            for slot in 0..bucket.count() {
                // SAFETY: an occupied slot.
                visit(unsafe { handle(bucket, slot) });
            }
            at = bucket.next();
        }
    }

    /// Calls `visit` with every entry.
    pub fn for_each(&self, mut visit: impl FnMut(H)) {
        for index in 0..self.buckets {
            self.visit_bucket(index, &mut visit);
        }
    }

    /// All entries, in the order of their buckets; those of the buckets to come are prefetched. The
    /// entries may be freed as they come: the iterator does not look at them again.
    pub fn iter(&self) -> Iter<'_, H> {
        Iter {
            table: self,
            index: 0,
            bucket: None,
            slot: 0,
        }
    }

    /// Visits the next leaf of a scan (see the file's head) and returns the cursor to go on from; a
    /// scan starts and ends at 0.
    pub fn scan(&self, cursor: u64, visit: impl FnMut(H)) -> u64 {
        if self.buckets == 0 {
            return 0;
        }
        let index = self.index(cursor);
        self.visit_bucket(index, visit);
        let split_below = self.buckets - (self.mask + 1);
        let leaf = if index & self.mask < split_below {
            2 * self.mask + 1
        } else {
            self.mask
        };
        // The position after this leaf, in bit-reversed order: all bits above the leaf's depth are
        // set, so that adding one carries into the lowest bit that is a leaf's.
        (cursor | !(leaf as u64))
            .reverse_bits()
            .wrapping_add(1)
            .reverse_bits()
    }

    /// An entry chosen with equal chance among all; `random` gives 64 random bits a call.
    pub fn random(&self, mut random: impl FnMut() -> u64) -> Option<H> {
        // Choosing a bucket and one of `WIDTH` positions, and starting over if nothing lies there, is
        // fair among all entries whose position in their chain is below WIDTH: practically all.
        const WIDTH: u64 = 32;
        if self.len == 0 {
            return None;
        }
        loop {
            let bits = random();
            let index = ((bits >> 32) * self.buckets as u64) >> 32;
            let mut left = bits % WIDTH;
            let mut at = Some(self.bucket(index as usize));
            while let Some(bucket) = at {
                // SAFETY: a live bucket.
                let bucket = unsafe { bucket.as_ref() };
                if (left as usize) < bucket.count() {
                    // SAFETY: an occupied slot.
                    return Some(unsafe { handle(bucket, left as usize) });
                }
                left -= bucket.count() as u64;
                at = bucket.next();
            }
        }
    }

    /// How many chains hold 0, 1, 2 … entries (the last figure: that many or more).
    pub fn histogram(&self) -> [usize; 32] {
        let mut counts = [0; 32];
        for index in 0..self.buckets {
            let mut n = 0;
            self.visit_bucket(index, |_| n += 1);
            counts[n.min(31)] += 1;
        }
        counts
    }

    #[inline]
    fn index(&self, hash: u64) -> usize {
        let index = hash as usize & (2 * self.mask + 1);
        if index < self.buckets {
            index
        } else {
            index & self.mask
        }
    }

    #[inline]
    fn bucket(&self, index: usize) -> NonNull<Bucket> {
        debug_assert!(index < self.buckets);
        let segment = self.segments[index >> SEGMENT_BITS];
        // SAFETY: `index` is below `buckets`, and segments hold room for that many.
        unsafe { segment.add(index & (SEGMENT - 1)) }
    }

    /// Puts a pointer into the chain that starts at `index`.
    #[inline]
    fn push(&mut self, index: usize, tag: u8, pointer: *mut u8) -> (NonNull<Bucket>, usize) {
        let mut at = self.bucket(index);
        loop {
            // SAFETY: a live bucket, borrowed exclusively through `self`.
            let bucket = unsafe { at.as_mut() };
            if bucket.count() < bucket.room() {
                return (at, bucket.push(tag, pointer));
            }
            at = match bucket.next() {
                Some(next) => next,
                None => self.chain(at),
            };
        }
    }

    /// Hangs a new bucket off a full one; the entry that must make way for the link moves there.
    #[cold]
    fn chain(&mut self, mut at: NonNull<Bucket>) -> NonNull<Bucket> {
        let mut link: NonNull<Bucket> = allocate(1);
        self.links += 1;
        // SAFETY: both are live, distinct, and borrowed exclusively through `self`.
        let (bucket, next) = unsafe { (at.as_mut(), link.as_mut()) };
        debug_assert!(bucket.count() == SLOTS && !bucket.is_chained());
        next.push(bucket.tags[LINK], bucket.pointer(LINK));
        bucket.meta = (bucket.meta - 1) | CHAINED;
        bucket.tags[LINK] = 0;
        bucket.set_pointer(LINK, link.as_ptr().cast());
        link
    }

    /// Empties the slot at `place` of the chain that starts at `first`: the chain's last entry moves
    /// there, and a bucket that this empties is freed.
    fn take_slot(&mut self, first: NonNull<Bucket>, place: Place) {
        let mut before = None;
        let mut last = first;
        // SAFETY: live buckets of one chain, borrowed exclusively through `self`; references are made
        // one at a time.
        unsafe {
            while let Some(next) = last.as_ref().next() {
                before = Some(last);
                last = next;
            }
            let from = last.as_ref().count() - 1;
            let (tag, pointer) = (last.as_ref().tags[from], last.as_ref().pointer(from));
            let hole = &mut *place.bucket.as_ptr();
            hole.tags[place.slot as usize] = tag;
            hole.set_pointer(place.slot as usize, pointer);
            let tail = last.as_mut();
            tail.tags[from] = 0;
            tail.meta -= 1;
            if tail.count() == 0
                && let Some(mut before) = before
            {
                free(last, 1);
                self.links -= 1;
                before.as_mut().meta &= !CHAINED;
            }
        }
    }

    /// Adds one bucket and moves to it what belongs there.
    fn split(&mut self) {
        let from = self.buckets - (self.mask + 1);
        let bit = self.mask + 1;
        let to = self.buckets;
        self.push_bucket();
        let mut old = self.unchain(from);
        for &(_, pointer) in old.as_slice() {
            prefetch(pointer);
        }
        for &(tag, pointer) in old.as_slice() {
            // SAFETY: the pointer was in an occupied slot of this table.
            let entry = unsafe { H::from_raw(NonNull::new_unchecked(pointer)) };
            let high = entry.hash(&self.hasher) as usize & bit != 0;
            self.push(if high { to } else { from }, tag, pointer);
        }
        if old.volatile {
            for index in [from, to] {
                // SAFETY: a live bucket, borrowed exclusively through `self`.
                unsafe { (*self.bucket(index).as_ptr()).meta |= VOLATILE };
            }
            self.dues.hand_on(from, to);
        }
        old.more.clear();
    }

    /// Takes the last bucket away; what it held joins the bucket it was split from.
    fn merge(&mut self) {
        let last = self.buckets - 1;
        let old = self.unchain(last);
        self.pop_bucket();
        let to = last & self.mask;
        for &(tag, pointer) in old.as_slice() {
            self.push(to, tag, pointer);
        }
        if old.volatile {
            // SAFETY: a live bucket, borrowed exclusively through `self`.
            unsafe { (*self.bucket(to).as_ptr()).meta |= VOLATILE };
            self.dues.hand_on(last, to);
        }
        self.dues.cut(last);
    }

    /// Empties a chain down to its bare first bucket and returns what it held.
    fn unchain(&mut self, index: usize) -> Chain {
        let first = self.bucket(index);
        let mut chain = Chain {
            few: [(0, std::ptr::null_mut()); Chain::FEW],
            count: 0,
            more: Vec::new(),
            volatile: false,
        };
        let mut at = Some(first);
        while let Some(bucket) = at {
            // SAFETY: a live bucket; links are freed only after their last use here.
            unsafe {
                let b = bucket.as_ref();
                for slot in 0..b.count() {
                    chain.push(b.tags[slot], b.pointer(slot));
                }
                at = b.next();
                if bucket == first {
                    chain.volatile = b.meta & VOLATILE != 0;
                    bucket.as_ptr().write_bytes(0, 1);
                } else {
                    free(bucket, 1);
                    self.links -= 1;
                }
            }
        }
        chain
    }

    /// Buckets there is room for.
    fn capacity(&self) -> usize {
        match self.segments.len() {
            0 => 0,
            1 => first_segment_capacity(self.buckets),
            n => n * SEGMENT,
        }
    }

    /// Makes the bucket after the last one exist, empty.
    fn push_bucket(&mut self) {
        let n = self.buckets;
        if n.is_multiple_of(SEGMENT) {
            self.segments
                .push(allocate(if n == 0 { 1 } else { SEGMENT }));
        } else if n < SEGMENT && n.is_power_of_two() {
            self.segments[0] = resize(self.segments[0], n, 2 * n);
        }
        self.buckets = n + 1;
        self.mask = (usize::MAX >> 1) >> (self.buckets as u64).leading_zeros();
        debug_assert!(self.mask < self.buckets && self.buckets <= 2 * self.mask + 2);
    }

    /// Gives up the last bucket, which is empty and not the only one.
    fn pop_bucket(&mut self) {
        self.buckets -= 1;
        let n = self.buckets;
        self.mask = (usize::MAX >> 1) >> (n as u64).leading_zeros();
        if n.is_multiple_of(SEGMENT) {
            let segment = self
                .segments
                .pop()
                .expect("the last bucket lies in the last segment");
            // SAFETY: the segment holds SEGMENT buckets, and none is in use.
            unsafe { free(segment, SEGMENT) };
        } else if n < SEGMENT && n.is_power_of_two() {
            self.segments[0] = resize(self.segments[0], 2 * n, n);
        }
    }
}

impl<H> Drop for Table<H> {
    fn drop(&mut self) {
        let links = self.links;
        let mut freed = 0;
        for index in 0..self.buckets {
            // SAFETY: every bucket below `buckets` is live; links are reached once each, and freed
            // after their own link was read.
            unsafe {
                if freed == links {
                    break;
                }
                let mut next = self.segments[index >> SEGMENT_BITS]
                    .add(index & (SEGMENT - 1))
                    .as_ref()
                    .next();
                while let Some(link) = next {
                    next = link.as_ref().next();
                    free(link, 1);
                    freed += 1;
                }
            }
        }
        let single = self.segments.len() == 1;
        for &segment in &self.segments {
            let room = if single {
                first_segment_capacity(self.buckets)
            } else {
                SEGMENT
            };
            // SAFETY: allocated with this many buckets, and not used after this.
            unsafe { free(segment, room) };
        }
    }
}

/// All entries of a table, see [`Table::iter`].
pub struct Iter<'a, H> {
    table: &'a Table<H>,
    /// The chain to go on with when `bucket` is done.
    index: usize,
    bucket: Option<NonNull<Bucket>>,
    slot: usize,
}

impl<H: Handle> Iter<'_, H> {
    /// Buckets between the one that is visited and the one the beginnings of whose entries are fetched.
    const AHEAD: usize = 2;

    fn prefetch_ahead(&self) {
        if let Some(bucket) = self.bucket_ahead(Self::AHEAD) {
            for slot in 0..bucket.count() {
                let entry = bucket.pointer(slot);
                prefetch(entry);
                prefetch(entry.wrapping_add(24));
            }
        }
        if let Some(bucket) = self.bucket_ahead(1) {
            for slot in 0..bucket.count() {
                // SAFETY: an occupied slot.
                unsafe { handle::<H>(bucket, slot) }.prefetch_rest();
            }
        }
    }

    fn bucket_ahead(&self, distance: usize) -> Option<&Bucket> {
        let index = self.index + distance;
        // SAFETY: a live bucket, and nothing writes while the table is borrowed.
        (index < self.table.buckets).then(|| unsafe { self.table.bucket(index).as_ref() })
    }
}

impl<H: Handle> Iterator for Iter<'_, H> {
    type Item = H;

    #[inline]
    fn next(&mut self) -> Option<H> {
        loop {
            if let Some(at) = self.bucket {
                // SAFETY: a live bucket, and nothing writes while the table is borrowed.
                let bucket = unsafe { at.as_ref() };
                if self.slot < bucket.count() {
                    self.slot += 1;
                    // SAFETY: an occupied slot.
                    return Some(unsafe { handle(bucket, self.slot - 1) });
                }
                self.bucket = bucket.next();
            } else if self.index < self.table.buckets {
                self.prefetch_ahead();
                self.bucket = Some(self.table.bucket(self.index));
                self.index += 1;
            } else {
                return None;
            }
            self.slot = 0;
        }
    }
}

/// What a chain held, while its buckets are rebuilt.
struct Chain {
    few: [(u8, *mut u8); Chain::FEW],
    count: usize,
    more: Vec<(u8, *mut u8)>,
    volatile: bool,
}

impl Chain {
    const FEW: usize = 40;

    fn push(&mut self, tag: u8, pointer: *mut u8) {
        if self.count < Chain::FEW {
            self.few[self.count] = (tag, pointer);
        } else {
            if self.count == Chain::FEW {
                self.more.extend_from_slice(&self.few);
            }
            self.more.push((tag, pointer));
        }
        self.count += 1;
    }

    fn as_slice(&self) -> &[(u8, *mut u8)] {
        if self.count <= Chain::FEW {
            &self.few[..self.count]
        } else {
            &self.more
        }
    }
}

/// # Safety
/// The slot is occupied.
#[inline]
unsafe fn handle<H: Handle>(bucket: &Bucket, slot: usize) -> H {
    debug_assert!(slot < bucket.count());
    // SAFETY: an occupied slot holds the pointer of a handle that was inserted and not removed.
    unsafe { H::from_raw(NonNull::new_unchecked(bucket.pointer(slot))) }
}

/// Asks the processor for the cache line at an address, which need not be valid.
#[inline]
pub fn prefetch(pointer: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(pointer.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = pointer;
}

/// The room of a table's only segment: it doubles up to [`SEGMENT`].
fn first_segment_capacity(buckets: usize) -> usize {
    buckets.next_power_of_two().min(SEGMENT)
}

fn layout(buckets: usize) -> Layout {
    Layout::array::<Bucket>(buckets).expect("a segment is small")
}

fn allocate(buckets: usize) -> NonNull<Bucket> {
    // SAFETY: the layout is not empty. A zeroed bucket is an empty one.
    let memory = unsafe { alloc_zeroed(layout(buckets)) };
    NonNull::new(memory.cast()).unwrap_or_else(|| handle_alloc_error(layout(buckets)))
}

fn resize(segment: NonNull<Bucket>, from: usize, to: usize) -> NonNull<Bucket> {
    // SAFETY: `segment` was allocated with the layout of `from` buckets; new ones are zeroed.
    unsafe {
        let memory: *mut Bucket =
            realloc(segment.as_ptr().cast(), layout(from), layout(to).size()).cast();
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout(to)));
        if to > from {
            memory.add(from).as_ptr().write_bytes(0, to - from);
        }
        memory
    }
}

/// # Safety
/// `buckets` lie at this address, allocated by [`allocate`] or [`resize`], and are not used again.
unsafe fn free(segment: NonNull<Bucket>, buckets: usize) {
    // SAFETY: the caller's promise.
    unsafe { dealloc(segment.as_ptr().cast(), layout(buckets)) };
}

#[cfg(test)]
mod tests;
