#![allow(unsafe_code)]
//! An entry: key, expiry, access clock and value in one allocation of the slab heap.
//!
//! ```text
//!  0      1         4          5 (or 8)   + 8 if volatile   + key length
//!  +------+---------+----------+----------+-----------------+--------------------------+
//!  | kind | access  | key len  | expiry   | key             | value                    |
//!  +------+---------+----------+----------+-----------------+--------------------------+
//! ```
//!
//! - `kind`: the low four bits say how the value is stored, the others are the flags below.
//! - `access`: 24 bits: seconds of the LRU clock, or LFU minutes and counter.
//! - `key len`: one byte; four bytes with [`WIDE_KEY`].
//! - `expiry`: milliseconds of the Unix clock, only with [`VOLATILE`].
//! - `value`: an integer of 8 bytes; or a length of one byte (two with [`WIDE_VALUE`]) and that many
//!   bytes; or a pointer to a [`RawString`].
//!
//! Nothing is aligned; every field is read and written as bytes.
//!
//! Invariant: an [`Entry`] is a bare pointer, copied freely inside the keyspace. It is live from
//! [`Entry::new`] until [`Entry::free`]; the table of a database holds live entries only, each once,
//! and [`EntryRef`], the view that leaves this layer, borrows that database.

use super::value::{EMBSTR_MAX, INLINE_MAX, NewValue, RawString, StringRef, Type};
use crate::base::hash::Hasher;
use crate::base::slab;
use crate::data::table::Handle;
use std::marker::PhantomData;
use std::ptr::NonNull;

const KIND: u8 = 0x0f;
/// The entry has an expiry.
const VOLATILE: u8 = 0x10;
/// The key's length takes four bytes.
const WIDE_KEY: u8 = 0x20;
/// The inline value's length takes two bytes.
const WIDE_VALUE: u8 = 0x40;
/// OBJECT ENCODING says `raw` though the value is short: it was changed in place.
const CHANGED: u8 = 0x80;

const INT: u8 = 0;
const INLINE: u8 = 1;
const RAW: u8 = 2;

/// A live entry's address.
#[derive(Clone, Copy)]
pub struct Entry(NonNull<u8>);

// SAFETY: a plain pointer; the database that holds it decides which thread follows it.
unsafe impl Send for Entry {}

impl Handle for Entry {
    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        self.0
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        Entry(raw)
    }

    #[inline]
    fn hash(self, hasher: &Hasher) -> u64 {
        hasher.hash(self.key())
    }
}

impl Entry {
    /// Makes an entry.
    pub fn new(key: &[u8], value: NewValue<'_>, expiry_ms: Option<i64>, access: u32) -> Entry {
        let mut flags = 0;
        let mut key_at = 5;
        if key.len() > u8::MAX as usize {
            flags |= WIDE_KEY;
            key_at = 8;
        }
        if expiry_ms.is_some() {
            flags |= VOLATILE;
            key_at += 8;
        }
        let value_at = key_at + key.len();
        let (kind, value_len) = match &value {
            NewValue::Int(_) => (INT, 8),
            NewValue::Bytes(b) | NewValue::Changed(b) => {
                debug_assert!(b.len() <= INLINE_MAX);
                if matches!(value, NewValue::Changed(_)) {
                    flags |= CHANGED;
                }
                if b.len() > u8::MAX as usize {
                    flags |= WIDE_VALUE;
                    (INLINE, 2 + b.len())
                } else {
                    (INLINE, 1 + b.len())
                }
            }
            NewValue::Raw(_) => (RAW, 8),
        };
        let entry = Entry(slab::alloc(value_at + value_len));
        entry.write(0, &[kind | flags]);
        entry.set_access(access);
        if flags & WIDE_KEY != 0 {
            let len = u32::try_from(key.len()).expect("a key is shorter than 4 GiB");
            entry.write(4, &len.to_le_bytes());
        } else {
            entry.write(4, &[key.len() as u8]);
        }
        if let Some(at) = expiry_ms {
            entry.write(key_at - 8, &at.to_le_bytes());
        }
        entry.write(key_at, key);
        match value {
            NewValue::Int(n) => entry.write(value_at, &n.to_le_bytes()),
            NewValue::Bytes(b) | NewValue::Changed(b) if flags & WIDE_VALUE != 0 => {
                entry.write(value_at, &(b.len() as u16).to_le_bytes());
                entry.write(value_at + 2, b);
            }
            NewValue::Bytes(b) | NewValue::Changed(b) => {
                entry.write(value_at, &[b.len() as u8]);
                entry.write(value_at + 1, b);
            }
            NewValue::Raw(raw) => {
                entry.write(value_at, &(Box::into_raw(raw) as usize).to_le_bytes())
            }
        }
        entry
    }

    /// Gives the entry's memory back, its value's too.
    pub fn free(self) {
        if self.kind() == RAW {
            drop(self.take_raw());
        }
        self.free_shell();
    }

    /// Gives the entry's memory back after its value was taken out.
    fn free_shell(self) {
        // SAFETY: allocated in `new` with the size that the header still says; the caller gives up
        // the entry.
        unsafe { slab::free(self.0, self.size()) };
    }

    /// An entry with the same key and value and another expiry; this one ceases to be.
    pub fn with_expiry(self, expiry_ms: Option<i64>) -> Entry {
        let access = self.access();
        let entry = match self.kind() {
            INT => Entry::new(self.key(), NewValue::Int(self.int()), expiry_ms, access),
            INLINE if self.byte(0) & CHANGED != 0 => Entry::new(
                self.key(),
                NewValue::Changed(self.inline()),
                expiry_ms,
                access,
            ),
            INLINE => Entry::new(
                self.key(),
                NewValue::Bytes(self.inline()),
                expiry_ms,
                access,
            ),
            _ => Entry::new(
                self.key(),
                NewValue::Raw(self.take_raw()),
                expiry_ms,
                access,
            ),
        };
        self.free_shell();
        entry
    }

    /// Takes the value out, for another entry; what is left must be freed with [`Entry::free_shell`].
    fn take_raw(self) -> Box<RawString> {
        assert_eq!(self.kind(), RAW);
        // SAFETY: the pointer came from `Box::into_raw` in `new`, and is taken once: the entry is
        // given up.
        unsafe { Box::from_raw(self.raw_pointer()) }
    }

    /// The entry's value under another key.
    pub fn renamed(self, key: &[u8]) -> Entry {
        let (expiry, access) = (self.expiry(), self.access());
        let entry = match self.kind() {
            INT => Entry::new(key, NewValue::Int(self.int()), expiry, access),
            INLINE if self.byte(0) & CHANGED != 0 => {
                Entry::new(key, NewValue::Changed(self.inline()), expiry, access)
            }
            INLINE => Entry::new(key, NewValue::Bytes(self.inline()), expiry, access),
            _ => Entry::new(key, NewValue::Raw(self.take_raw()), expiry, access),
        };
        self.free_shell();
        entry
    }

    /// Stores `value` without a new allocation if it fits the present one exactly: same place, same
    /// size class. The expiry stays as it is.
    #[inline]
    pub fn overwrite(self, value: &NewValue<'_>) -> bool {
        let kind = self.kind();
        if kind == RAW {
            return false;
        }
        match value {
            NewValue::Int(n) if kind == INT => {
                self.write(self.value_at(), &n.to_le_bytes());
                true
            }
            NewValue::Bytes(b)
                if kind == INLINE
                    && b.len() <= u8::MAX as usize
                    && self.byte(0) & WIDE_VALUE == 0 =>
            {
                let at = self.value_at();
                let old = self.byte(at) as usize;
                if old != b.len()
                    && slab::class_size(at + 1 + old) != slab::class_size(at + 1 + b.len())
                {
                    return false;
                }
                self.write(0, &[self.byte(0) & !CHANGED]);
                self.write(at, &[b.len() as u8]);
                self.write(at + 1, b);
                true
            }
            _ => false,
        }
    }

    /// The key.
    #[inline]
    pub fn key<'a>(self) -> &'a [u8] {
        let (at, len) = self.key_span();
        self.slice(at, len)
    }

    /// When the entry expires, in milliseconds of the Unix clock.
    #[inline]
    pub fn expiry(self) -> Option<i64> {
        if self.byte(0) & VOLATILE == 0 {
            return None;
        }
        let at = if self.byte(0) & WIDE_KEY != 0 { 8 } else { 5 };
        Some(i64::from_le_bytes(self.array(at)))
    }

    /// Changes the expiry of an entry that has one.
    pub fn set_expiry(self, expiry_ms: i64) {
        assert!(self.byte(0) & VOLATILE != 0);
        let at = if self.byte(0) & WIDE_KEY != 0 { 8 } else { 5 };
        self.write(at, &expiry_ms.to_le_bytes());
    }

    /// The access clock: LRU seconds or LFU minutes and counter.
    #[inline]
    pub fn access(self) -> u32 {
        u32::from_le_bytes(self.array(0)) >> 8
    }

    /// Sets the access clock (24 bits).
    #[inline]
    pub fn set_access(self, access: u32) {
        self.write(1, &access.to_le_bytes()[..3]);
    }

    /// The value, as a string.
    #[inline]
    pub fn string<'a>(self) -> StringRef<'a> {
        match self.kind() {
            INT => StringRef::Int(self.int()),
            INLINE => StringRef::Bytes(self.inline()),
            _ => {
                // SAFETY: a live entry's pointer is live, and the caller's borrow of the database
                // keeps it from being changed.
                StringRef::Bytes(unsafe { &*self.raw_pointer() }.as_slice())
            }
        }
    }

    /// The string in an allocation of its own, if the value is one.
    #[inline]
    pub fn raw_mut<'a>(self) -> Option<&'a mut RawString> {
        // SAFETY: as in `string`; callers borrow the database exclusively.
        (self.kind() == RAW).then(|| unsafe { &mut *self.raw_pointer() })
    }

    /// The inline bytes to change in place, which makes OBJECT ENCODING say `raw`.
    pub fn inline_mut<'a>(self) -> Option<&'a mut [u8]> {
        if self.kind() != INLINE {
            return None;
        }
        self.write(0, &[self.byte(0) | CHANGED]);
        let (at, len) = self.inline_span();
        // SAFETY: within the entry; callers borrow the database exclusively.
        Some(unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr().add(at), len) })
    }

    /// Bytes the entry takes from the heap, its value's own allocations not counted.
    pub fn size(self) -> usize {
        match self.kind() {
            INLINE => {
                let (at, len) = self.inline_span();
                at + len
            }
            _ => self.value_at() + 8,
        }
    }

    #[inline]
    fn kind(self) -> u8 {
        self.byte(0) & KIND
    }

    #[inline]
    fn key_span(self) -> (usize, usize) {
        let flags = self.byte(0);
        let expiry = if flags & VOLATILE != 0 { 8 } else { 0 };
        if flags & WIDE_KEY == 0 {
            (5 + expiry, self.byte(4) as usize)
        } else {
            (8 + expiry, u32::from_le_bytes(self.array(4)) as usize)
        }
    }

    #[inline]
    fn value_at(self) -> usize {
        let (at, len) = self.key_span();
        at + len
    }

    #[inline]
    fn int(self) -> i64 {
        i64::from_le_bytes(self.array(self.value_at()))
    }

    fn raw_pointer(self) -> *mut RawString {
        usize::from_le_bytes(self.array(self.value_at())) as *mut RawString
    }

    #[inline]
    fn inline_span(self) -> (usize, usize) {
        let at = self.value_at();
        if self.byte(0) & WIDE_VALUE == 0 {
            (at + 1, self.byte(at) as usize)
        } else {
            (at + 2, u16::from_le_bytes(self.array(at)) as usize)
        }
    }

    #[inline]
    fn inline<'a>(self) -> &'a [u8] {
        let (at, len) = self.inline_span();
        self.slice(at, len)
    }

    #[inline]
    fn byte(self, at: usize) -> u8 {
        // SAFETY: `at` lies in the entry, by the layout that its header states.
        unsafe { self.0.add(at).read() }
    }

    #[inline]
    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        // SAFETY: as in `byte`.
        unsafe { self.0.add(at).cast::<[u8; N]>().read() }
    }

    #[inline]
    fn slice<'a>(self, at: usize, len: usize) -> &'a [u8] {
        // SAFETY: as in `byte`; the bytes stay while the entry lives and is not changed, which the
        // borrow of its database ensures.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(at), len) }
    }

    #[inline]
    fn write(self, at: usize, bytes: &[u8]) {
        // SAFETY: within the allocation: `new` reserved the size that the layout needs, `overwrite`
        // stays within the size class. `bytes` never lies in the entry that is written.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.as_ptr().add(at), bytes.len())
        };
    }
}

/// A view of an entry, good while its database is not changed.
#[derive(Clone, Copy)]
pub struct EntryRef<'a>(Entry, PhantomData<&'a ()>);

impl<'a> EntryRef<'a> {
    /// The view of a live entry; `'a` is the borrow of its database.
    #[inline]
    pub(super) fn new(entry: Entry) -> EntryRef<'a> {
        EntryRef(entry, PhantomData)
    }

    /// The key.
    #[inline]
    pub fn key(self) -> &'a [u8] {
        self.0.key()
    }

    /// When the entry expires, in milliseconds of the Unix clock.
    #[inline]
    pub fn expiry(self) -> Option<i64> {
        self.0.expiry()
    }

    /// The access clock: LRU seconds or LFU minutes and counter.
    pub fn access(self) -> u32 {
        self.0.access()
    }

    /// The type of the value.
    pub fn kind(self) -> Type {
        Type::String
    }

    /// The name of the encoding, as OBJECT ENCODING says it.
    pub fn encoding(self) -> &'static str {
        match self.0.kind() {
            INT => "int",
            INLINE if self.0.byte(0) & CHANGED == 0 && self.0.inline().len() <= EMBSTR_MAX => {
                "embstr"
            }
            _ => "raw",
        }
    }

    /// The value, if it is a string.
    #[inline]
    pub fn string(self) -> Option<StringRef<'a>> {
        Some(self.0.string())
    }

    /// Bytes of heap that entry and value take, as MEMORY USAGE says without the table's share.
    pub fn allocated(self) -> usize {
        let shell = slab::class_size(self.0.size());
        shell + self.0.raw_mut().map_or(0, |raw| raw.allocated())
    }

    /// A copy of the value, for another key.
    pub fn value_copy(self) -> NewValue<'a> {
        match self.0.kind() {
            INT => NewValue::Int(self.0.int()),
            INLINE if self.0.byte(0) & CHANGED != 0 => NewValue::Changed(self.0.inline()),
            INLINE => NewValue::Bytes(self.0.inline()),
            _ => match self.0.string() {
                StringRef::Bytes(b) => NewValue::Raw(Box::new(RawString::from(b))),
                StringRef::Int(n) => NewValue::Int(n),
            },
        }
    }
}
