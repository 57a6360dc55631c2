#![allow(unsafe_code)]
//! An element: one member of a big set or sorted set, or one field of a big hash with its value, in
//! one allocation of the slab heap.
//!
//! ```text
//!  0       1              1 (or 9)
//!  +-------+--------------+-----------+-------+----------------+-------+
//!  | flags | score        | field len | field | value len      | value |
//!  +-------+--------------+-----------+-------+----------------+-------+
//!           if SCORED: 8    1 or 4              if VALUED: 1 or 4
//! ```
//!
//! The score is that of a sorted set's member, or the time at which a hash's field expires. It stands
//! first, so that the ordered tree reads it without looking at anything else.
//!
//! Nothing is aligned; every field is read and written as bytes. A set's member costs 2 bytes beside
//! its own (5 from 256 bytes on), a sorted set's 10, a hash's field and value 3.
//!
//! Invariant: an [`Element`] is a bare pointer, copied freely inside this layer. It is live from
//! [`Element::new`] until [`Element::free`]; the table of a collection holds live elements only, each
//! once, and owns them. The bytes that it lends out carry the lifetime that the caller names, which
//! must be that of a borrow of the collection.

use super::table::{Handle, prefetch};
use crate::base::hash::Hasher;
use crate::base::slab;
use std::ptr::NonNull;

/// There is a score.
const SCORED: u8 = 0x01;
/// There is a value.
const VALUED: u8 = 0x02;
/// The field's length takes four bytes.
const WIDE_FIELD: u8 = 0x04;
/// The value's length takes four bytes.
const WIDE_VALUE: u8 = 0x08;

/// A live element's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Element(NonNull<u8>);

// SAFETY: a plain pointer; the collection that owns it decides which thread follows it.
unsafe impl Send for Element {}

impl Handle for Element {
    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        self.0
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        Element(raw)
    }

    #[inline]
    fn hash(self, hasher: &Hasher) -> u64 {
        hasher.hash(self.field())
    }
}

impl Element {
    /// Makes an element.
    pub(super) fn new(field: &[u8], score: Option<f64>, value: Option<&[u8]>) -> Element {
        let mut flags = 0;
        let mut at = 1;
        if score.is_some() {
            flags |= SCORED;
            at += 8;
        }
        let len_at = at;
        if field.len() > u8::MAX as usize {
            flags |= WIDE_FIELD;
        }
        at += len_size(field.len());
        let field_at = at;
        at += field.len();
        let value_at = at;
        if let Some(value) = value {
            flags |= VALUED;
            if value.len() > u8::MAX as usize {
                flags |= WIDE_VALUE;
            }
            at += len_size(value.len()) + value.len();
        }
        let element = Element(slab::alloc(at));
        element.write(0, &[flags]);
        if let Some(score) = score {
            element.write(1, &score.to_le_bytes());
        }
        element.write_len(len_at, field.len());
        element.write(field_at, field);
        if let Some(value) = value {
            element.write_len(value_at, value.len());
            element.write(value_at + len_size(value.len()), value);
        }
        element
    }

    /// Gives the element's memory back.
    pub(super) fn free(self) {
        // SAFETY: allocated in `new` with the size that the header still says, or another of the same
        // class; the caller gives up the element.
        unsafe { slab::free(self.0, self.size()) };
    }

    /// A new element that holds the same.
    pub(super) fn duplicate(self) -> Element {
        let size = self.size();
        let copy = Element(slab::alloc(size));
        copy.write(0, self.slice(0, size));
        copy
    }

    /// The member, or the field's name.
    #[inline]
    pub(super) fn field<'a>(self) -> &'a [u8] {
        let (at, len) = self.field_span();
        self.slice(at, len)
    }

    /// The score; there must be one.
    #[inline]
    pub(super) fn score(self) -> f64 {
        debug_assert!(self.is_scored());
        f64::from_le_bytes(self.array(1))
    }

    /// Whether there is a score.
    #[inline]
    pub(super) fn is_scored(self) -> bool {
        self.byte(0) & SCORED != 0
    }

    /// Changes the score; there must be one.
    #[inline]
    pub(super) fn set_score(self, score: f64) {
        debug_assert!(self.is_scored());
        self.write(1, &score.to_le_bytes());
    }

    /// The value; there must be one.
    #[inline]
    pub(super) fn value<'a>(self) -> &'a [u8] {
        let (at, len) = self.value_span();
        self.slice(at, len)
    }

    /// Changes the value in place, if the new one takes as much memory: a length of as many bytes, and
    /// the same size class.
    #[inline]
    pub(super) fn overwrite(self, value: &[u8]) -> bool {
        let (at, old) = self.value_span();
        if old == value.len() {
            self.write(at, value);
            return true;
        }
        if len_size(old) != len_size(value.len())
            || slab::class_size(at + old) != slab::class_size(at + value.len())
        {
            return false;
        }
        self.write_len(at - len_size(old), value.len());
        self.write(at, value);
        true
    }

    /// Bytes that the element takes.
    #[inline]
    pub(super) fn allocated(self) -> usize {
        slab::class_size(self.size())
    }

    /// Asks the processor to fetch the element.
    #[inline]
    pub(super) fn prefetch(self) {
        // A short one lies across two cache lines every third time.
        let start = self.0.as_ptr();
        prefetch(start);
        prefetch(start.wrapping_add(24));
    }

    fn size(self) -> usize {
        let (at, len) = if self.byte(0) & VALUED == 0 {
            self.field_span()
        } else {
            self.value_span()
        };
        at + len
    }

    #[inline]
    fn field_span(self) -> (usize, usize) {
        let flags = self.byte(0);
        let at = if flags & SCORED == 0 { 1 } else { 9 };
        self.sized(at, flags & WIDE_FIELD != 0)
    }

    #[inline]
    fn value_span(self) -> (usize, usize) {
        let flags = self.byte(0);
        debug_assert!(flags & VALUED != 0);
        let (at, len) = self.field_span();
        self.sized(at + len, flags & WIDE_VALUE != 0)
    }

    /// Where the bytes begin whose length stands at `at`, and how many they are.
    #[inline]
    fn sized(self, at: usize, wide: bool) -> (usize, usize) {
        if wide {
            (at + 4, u32::from_le_bytes(self.array(at)) as usize)
        } else {
            (at + 1, self.byte(at) as usize)
        }
    }

    #[inline]
    fn write_len(self, at: usize, len: usize) {
        if len_size(len) == 1 {
            self.write(at, &[len as u8]);
        } else {
            let len = u32::try_from(len).expect("an element's parts are shorter than 4 GiB");
            self.write(at, &len.to_le_bytes());
        }
    }

    #[inline]
    fn byte(self, at: usize) -> u8 {
        // SAFETY: `at` lies in the element, by the layout that its header states.
        unsafe { self.0.add(at).read() }
    }

    #[inline]
    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        // SAFETY: as in `byte`.
        unsafe { self.0.add(at).cast::<[u8; N]>().read() }
    }

    #[inline]
    fn slice<'a>(self, at: usize, len: usize) -> &'a [u8] {
        // SAFETY: as in `byte`; the bytes stay while the element lives and is not changed, which the
        // borrow of its collection ensures.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(at), len) }
    }

    #[inline]
    fn write(self, at: usize, bytes: &[u8]) {
        // SAFETY: as in `byte`; what changes a collection borrows it exclusively, so nobody reads
        // here, and the bytes come from elsewhere: no caller's slice can outlive that borrow.
        unsafe {
            let place = self.0.as_ptr().add(at);
            place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }
}

#[inline]
fn len_size(len: usize) -> usize {
    if len > u8::MAX as usize { 4 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{alloc, rng::Rng};
    use crate::data::{fields::Fields, members::Members, sorted::Sorted};
    use proptest::prelude::*;
    use std::{env, process::Command};

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::collection::vec(any::<u8>(), 250..262),
            prop::collection::vec(any::<u8>(), 900..2000),
        ]
    }

    proptest! {
        #[test]
        fn an_element_holds_what_it_was_made_of(
            field in bytes(),
            score in prop::option::of(any::<f64>().prop_filter("no NaN", |s| !s.is_nan())),
            value in prop::option::of(bytes()),
            other in bytes(),
        ) {
            let element = Element::new(&field, score, value.as_deref());
            let copy = element.duplicate();
            if let Some(score) = score {
                element.set_score(-score);
                prop_assert_eq!(element.score().to_bits(), (-score).to_bits());
            }
            if value.is_some() {
                let fits = element.overwrite(&other);
                let expected = if fits { Some(&other) } else { value.as_ref() };
                prop_assert_eq!(Some(element.value()), expected.map(Vec::as_slice));
            }
            for each in [element, copy] {
                prop_assert_eq!(each.field(), &field);
                prop_assert_eq!(each.is_scored(), score.is_some());
            }
            if let Some(value) = value {
                prop_assert_eq!(copy.value(), value);
            }
            element.free();
            copy.free();
        }
    }

    #[test]
    fn short_elements_are_small() {
        let check = |field: &[u8], score, value: Option<&[u8]>, most: usize| {
            let element = Element::new(field, score, value);
            assert!(element.allocated() <= most, "{}", element.allocated());
            element.free();
        };
        check(&[7; 17], None, None, 20);
        check(&[7; 17], Some(1.5), None, 28);
        check(&[7; 16], None, Some(&[8; 16]), 36);
    }

    #[test]
    fn a_value_of_the_same_class_is_written_in_place() {
        let element = Element::new(&[7; 16], Some(9.0), Some(&[8; 16]));
        assert!(element.overwrite(&[9; 16]));
        let old = element.allocated();
        assert!(element.overwrite(&[9; 17]));
        assert_eq!(element.allocated(), old);
        assert!(!element.overwrite(&[9; 30]));
        assert!(!element.overwrite(&[9; 300]));
        assert_eq!(element.value(), [9; 17]);
        assert_eq!((element.field(), element.score()), (&[7; 16][..], 9.0));
        element.free();
    }

    /// Fills a collection of each kind, empties some of it, copies it, and drops all.
    fn come_and_go(count: u64) {
        let hasher = Hasher::new(3, 4);
        let mut rng = Rng::from_seed(count);
        let (mut members, mut fields) = (Members::new(hasher), Fields::new(hasher));
        let mut sorted = Sorted::new(hasher);
        for n in 0..count {
            let name = vec![n as u8; 3 + rng.below(40) as usize * if n % 50 == 0 { 40 } else { 1 }];
            let name = [&n.to_le_bytes()[..], &name].concat();
            members.insert(&name);
            fields.set(&name, b"value");
            fields.set_expiry(&name, (n % 3 > 0).then(|| rng.below(1000) as i64));
            fields.set_keeping_expiry(&name, &name);
            sorted.insert(&name, rng.below(1000) as f64);
            sorted.insert(&name, rng.below(1000) as f64);
        }
        let copies = (members.clone(), fields.clone(), sorted.clone());
        for _ in 0..count / 4 {
            members.pop_random(&mut rng, |member| {
                fields.remove(member);
                sorted.remove(member);
            });
        }
        fields.take_expired(500, usize::MAX, &mut |_| {});
        sorted.remove_range(count as usize / 8, count as usize / 2, &mut |_, _| {});
        assert!(copies.0.len() >= members.len() && copies.2.len() >= sorted.len());
    }

    #[test]
    fn dropped_collections_leave_nothing_allocated() {
        const NAME: &str = "data::element::tests::dropped_collections_leave_nothing_allocated";
        // What is allocated is counted for the whole process, so this needs one without other tests.
        if env::var_os("CINNABAR_TEST_ALONE").is_none() {
            let alone = Command::new(env::current_exe().expect("a test has a file"))
                .args([NAME, "--exact"])
                .env("CINNABAR_TEST_ALONE", "yes")
                .output();
            let output = alone.expect("the test starts itself");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{text}");
            assert!(text.contains("1 passed"), "{text}");
            return;
        }
        come_and_go(10);
        let before = (slab::used_bytes(), alloc::allocated_bytes());
        for count in [1, 100, 20_000] {
            come_and_go(count);
            assert_eq!(slab::used_bytes(), before.0);
            // The thread that waits for the test allocates a little beside it.
            assert!(alloc::allocated_bytes() < before.1 + 8192);
        }
    }
}
