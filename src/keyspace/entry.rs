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
//!   bytes, which are a string or a packed collection; or a pointer to what is too big for the entry.
//!
//! Nothing is aligned; every field is read and written as bytes.
//!
//! Invariant: an [`Entry`] is a bare pointer, copied freely inside the keyspace. It is live from
//! [`Entry::new`] until [`Entry::free`]; the table of a database holds live entries only, each once,
//! and [`EntryRef`], the view that leaves this layer, borrows that database.

use super::hash::HashRef;
use super::list::ListRef;
use super::set::SetRef;
use super::value::{
    Big, EMBSTR_MAX, INLINE_MAX, NewValue, Packing, RawString, Stored, StringRef, Type,
};
use super::zset::ZsetRef;
use crate::base::alloc;
use crate::base::hash::Hasher;
use crate::base::slab;
use crate::data::fields::Fields;
use crate::data::intset::IntSet;
use crate::data::listpack::Listpack;
use crate::data::members::Members;
use crate::data::quicklist::QuickList;
use crate::data::sorted::Sorted;
use crate::data::stream::Stream;
use crate::data::table::{Handle, prefetch};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// What the processor fetches at once.
const LINE: usize = 64;

const KIND: u8 = 0x0f;
/// The entry has an expiry.
const VOLATILE: u8 = 0x10;
/// The key's length takes four bytes.
const WIDE_KEY: u8 = 0x20;
/// The inline value's length takes two bytes.
const WIDE_VALUE: u8 = 0x40;
/// Of an inline string: OBJECT ENCODING says `raw` though it is short, since it was changed in place.
const CHANGED: u8 = 0x80;
/// Of a packed collection: its bytes lie in an allocation of their own.
const APART: u8 = 0x80;

const INT: u8 = 0;
const INLINE: u8 = 1;
const RAW: u8 = 2;
const PACKED_LIST: u8 = 3;
const PACKED_INTS: u8 = 4;
const PACKED_SET: u8 = 5;
const PACKED_HASH: u8 = 6;
const PACKED_ZSET: u8 = 7;
const BIG_LIST: u8 = 8;
const BIG_SET: u8 = 9;
const BIG_HASH: u8 = 10;
const BIG_ZSET: u8 = 11;
const BIG_STREAM: u8 = 12;

/// The kind of a packed collection.
const fn packed_kind(packing: Packing) -> u8 {
    match packing {
        Packing::List => PACKED_LIST,
        Packing::Ints => PACKED_INTS,
        Packing::Set => PACKED_SET,
        Packing::Hash => PACKED_HASH,
        Packing::Zset => PACKED_ZSET,
    }
}

/// How a value lies in its entry.
enum Form {
    Int,
    Inline,
    Raw,
    Packed(Packing),
    Apart(Packing),
    Big,
}

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

    #[inline]
    fn prefetch_rest(self) {
        match self.form() {
            Form::Int => {}
            Form::Inline | Form::Packed(_) => {
                let (at, len) = self.inline_span();
                for offset in (at..at + len).step_by(LINE) {
                    prefetch(self.0.as_ptr().wrapping_add(offset));
                }
                prefetch(self.0.as_ptr().wrapping_add(at + len));
            }
            Form::Raw | Form::Apart(_) | Form::Big => prefetch(self.pointer()),
        }
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
        let (kind, bytes) = match &value {
            NewValue::Int(_) => (INT, None),
            NewValue::Bytes(b) => (INLINE, Some(*b)),
            NewValue::Changed(b) => (INLINE | CHANGED, Some(*b)),
            NewValue::Raw(_) => (RAW, None),
            NewValue::Packed(packing, b) => (packed_kind(*packing), Some(*b)),
            NewValue::Apart(packing, _) => (packed_kind(*packing) | APART, None),
            NewValue::Big(Big::List(_)) => (BIG_LIST, None),
            NewValue::Big(Big::Set(_)) => (BIG_SET, None),
            NewValue::Big(Big::Hash(_)) => (BIG_HASH, None),
            NewValue::Big(Big::Zset(_)) => (BIG_ZSET, None),
            NewValue::Big(Big::Stream(_)) => (BIG_STREAM, None),
        };
        let value_len = match bytes {
            None => 8,
            Some(b) => {
                debug_assert!(b.len() <= INLINE_MAX);
                if b.len() > u8::MAX as usize {
                    flags |= WIDE_VALUE;
                    2 + b.len()
                } else {
                    1 + b.len()
                }
            }
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
            NewValue::Bytes(b) | NewValue::Changed(b) | NewValue::Packed(_, b) => {
                if flags & WIDE_VALUE != 0 {
                    entry.write(value_at, &(b.len() as u16).to_le_bytes());
                    entry.write(value_at + 2, b);
                } else {
                    entry.write(value_at, &[b.len() as u8]);
                    entry.write(value_at + 1, b);
                }
            }
            NewValue::Raw(raw) => entry.put_box(value_at, raw),
            NewValue::Apart(_, bytes) => entry.put_box(value_at, bytes),
            NewValue::Big(Big::List(list)) => entry.put_box(value_at, list),
            NewValue::Big(Big::Set(members)) => entry.put_box(value_at, members),
            NewValue::Big(Big::Hash(fields)) => entry.put_box(value_at, fields),
            NewValue::Big(Big::Zset(sorted)) => entry.put_box(value_at, sorted),
            NewValue::Big(Big::Stream(stream)) => entry.put_box(value_at, stream),
        }
        entry
    }

    /// Gives the entry's memory back, its value's too.
    pub fn free(self) {
        drop(self.moved());
        self.free_shell();
    }

    /// Gives the entry's memory back after its value was taken out.
    pub(super) fn free_shell(self) {
        // SAFETY: allocated in `new` with the size that the header still says; the caller gives up
        // the entry.
        unsafe { slab::free(self.0, self.size()) };
    }

    /// Gives the memory of an entry back whose collection was taken out and did not come back.
    pub(super) fn free_hollow(self) {
        if let Form::Apart(_) = self.form() {
            drop(self.take_box::<Vec<u8>>());
        }
        self.free_shell();
    }

    /// An entry with the same key and value and another expiry; this one ceases to be.
    pub fn with_expiry(self, expiry_ms: Option<i64>) -> Entry {
        let entry = Entry::new(self.key(), self.moved(), expiry_ms, self.access());
        self.free_shell();
        entry
    }

    /// The entry's value under another key.
    pub fn renamed(self, key: &[u8]) -> Entry {
        let entry = Entry::new(key, self.moved(), self.expiry(), self.access());
        self.free_shell();
        entry
    }

    /// Takes the value out, for another entry or to drop it; what is left must be freed with
    /// [`Entry::free_shell`]. What lies in the entry is borrowed from it.
    fn moved<'a>(self) -> NewValue<'a> {
        match self.form() {
            Form::Int => NewValue::Int(self.int()),
            Form::Inline if self.byte(0) & CHANGED != 0 => NewValue::Changed(self.inline()),
            Form::Inline => NewValue::Bytes(self.inline()),
            Form::Raw => NewValue::Raw(self.take_box()),
            Form::Packed(packing) => NewValue::Packed(packing, self.inline()),
            Form::Apart(packing) => NewValue::Apart(packing, self.take_box()),
            Form::Big => NewValue::Big(self.take_big()),
        }
    }

    /// Takes a collection out, to be changed and put back with [`Entry::refill`]; until then the entry
    /// must not be read. The bytes of a packed one come in `buffer` or in their own.
    pub(super) fn take(self, mut buffer: Vec<u8>) -> Stored {
        match self.form() {
            Form::Packed(packing) => {
                buffer.clear();
                buffer.extend_from_slice(self.inline());
                Stored::Packed(packing, buffer)
            }
            Form::Apart(packing) => {
                // SAFETY: the pointer of a live entry; callers borrow the database exclusively.
                let bytes = unsafe { &mut *self.pointer::<Vec<u8>>() };
                Stored::Packed(packing, std::mem::take(bytes))
            }
            Form::Big => Stored::Big(self.take_big()),
            Form::Int | Form::Inline | Form::Raw => panic!("a string is not taken out"),
        }
    }

    /// Puts a collection that was taken out back, if its form is still that of the entry. If not it
    /// comes back, and the entry is good for nothing but [`Entry::free_hollow`].
    pub(super) fn refill(self, stored: Stored, buffer: &mut Vec<u8>) -> Result<(), Stored> {
        let at = self.value_at();
        match (self.form(), stored) {
            (Form::Big, Stored::Big(big)) => {
                self.refill_big(at, big);
                Ok(())
            }
            (Form::Apart(_), Stored::Packed(packing, bytes)) if bytes.len() > INLINE_MAX => {
                self.write(0, &[self.byte(0) & !KIND | packed_kind(packing)]);
                // SAFETY: as in `take`.
                let place = unsafe { &mut *self.pointer::<Vec<u8>>() };
                *place = bytes;
                if place.capacity() - place.len() > place.len() / 4 + 64 {
                    place.shrink_to_fit();
                }
                Ok(())
            }
            (Form::Packed(_), Stored::Packed(packing, bytes)) => {
                let kind = self.byte(0) & !KIND | packed_kind(packing);
                if !self.fits_inline(&bytes) {
                    return Err(Stored::Packed(packing, bytes));
                }
                self.write(0, &[kind]);
                self.write_inline(at, &bytes);
                *buffer = bytes;
                Ok(())
            }
            (_, stored) => Err(stored),
        }
    }

    fn refill_big(self, at: usize, big: Big) {
        let (kind, pointer) = match big {
            Big::List(list) => (BIG_LIST, Box::into_raw(list) as usize),
            Big::Set(members) => (BIG_SET, Box::into_raw(members) as usize),
            Big::Hash(fields) => (BIG_HASH, Box::into_raw(fields) as usize),
            Big::Zset(sorted) => (BIG_ZSET, Box::into_raw(sorted) as usize),
            Big::Stream(stream) => (BIG_STREAM, Box::into_raw(stream) as usize),
        };
        assert_eq!(self.kind(), kind, "a collection keeps its type");
        self.write(at, &pointer.to_le_bytes());
    }

    /// Whether these bytes can take the place of the inline ones: a length of as many bytes, and the
    /// same size class.
    #[inline]
    fn fits_inline(self, bytes: &[u8]) -> bool {
        let wide = self.byte(0) & WIDE_VALUE != 0;
        if bytes.len() > INLINE_MAX || (bytes.len() > u8::MAX as usize) != wide {
            return false;
        }
        let (at, old) = self.inline_span();
        old == bytes.len() || slab::class_size(at + old) == slab::class_size(at + bytes.len())
    }

    /// Writes inline bytes that fit, with their length.
    #[inline]
    fn write_inline(self, at: usize, bytes: &[u8]) {
        if self.byte(0) & WIDE_VALUE != 0 {
            self.write(at, &(bytes.len() as u16).to_le_bytes());
            self.write(at + 2, bytes);
        } else {
            self.write(at, &[bytes.len() as u8]);
            self.write(at + 1, bytes);
        }
    }

    /// Gives up a box to the entry.
    fn put_box<T>(self, at: usize, value: Box<T>) {
        self.write(at, &(Box::into_raw(value) as usize).to_le_bytes());
    }

    /// Takes the box that the entry holds; its place is empty until it is refilled or freed.
    fn take_box<T>(self) -> Box<T> {
        let pointer = self.pointer::<T>();
        assert!(!pointer.is_null(), "a value is taken out once");
        self.write(self.value_at(), &[0; 8]);
        // SAFETY: the pointer came from `put_box` or `refill_big` with this type, which the kind
        // says, and was taken once: its place holds null now.
        unsafe { Box::from_raw(pointer) }
    }

    fn take_big(self) -> Big {
        match self.kind() {
            BIG_LIST => Big::List(self.take_box()),
            BIG_SET => Big::Set(self.take_box()),
            BIG_HASH => Big::Hash(self.take_box()),
            BIG_ZSET => Big::Zset(self.take_box()),
            BIG_STREAM => Big::Stream(self.take_box()),
            kind => panic!("kind {kind} is no big collection"),
        }
    }

    /// Stores `value` without a new allocation if it fits the present one exactly: same place, same
    /// size class. The expiry stays as it is.
    #[inline]
    pub fn overwrite(self, value: &NewValue<'_>) -> bool {
        let kind = self.kind();
        match value {
            NewValue::Int(n) if kind == INT => {
                self.write(self.value_at(), &n.to_le_bytes());
                true
            }
            NewValue::Bytes(b) if kind == INLINE && self.fits_inline(b) => {
                self.write(0, &[self.byte(0) & !CHANGED]);
                self.write_inline(self.value_at(), b);
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

    /// The value, if it is a string.
    #[inline]
    pub fn string<'a>(self) -> Option<StringRef<'a>> {
        match self.kind() {
            INT => Some(StringRef::Int(self.int())),
            INLINE => Some(StringRef::Bytes(self.inline())),
            RAW => Some(StringRef::Bytes(self.shared::<RawString>().as_slice())),
            _ => None,
        }
    }

    /// The string in an allocation of its own, if the value is one.
    #[inline]
    pub fn raw_mut<'a>(self) -> Option<&'a mut RawString> {
        // SAFETY: a live entry's pointer is live; callers borrow the database exclusively.
        (self.kind() == RAW).then(|| unsafe { &mut *self.pointer::<RawString>() })
    }

    /// Whether the value is a stream.
    #[inline]
    pub(super) fn is_stream(self) -> bool {
        self.kind() == BIG_STREAM
    }

    /// When the first field of a hash expires, if the value is a hash with such fields.
    #[inline]
    pub(super) fn next_field_expiry(self) -> Option<i64> {
        if self.kind() != BIG_HASH {
            return None;
        }
        self.shared::<Fields>().next_expiry()
    }

    /// About how many allocations freeing the value gives back.
    pub(super) fn weight(self) -> usize {
        match self.kind() {
            BIG_LIST => self.shared::<QuickList>().nodes(),
            BIG_SET => self.shared::<Members>().len(),
            BIG_HASH => self.shared::<Fields>().len(),
            BIG_ZSET => self.shared::<Sorted>().len(),
            BIG_STREAM => self.shared::<Stream>().weight(),
            _ => 1,
        }
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
        match self.form() {
            Form::Inline | Form::Packed(_) => {
                let (at, len) = self.inline_span();
                at + len
            }
            Form::Int | Form::Raw | Form::Apart(_) | Form::Big => self.value_at() + 8,
        }
    }

    #[inline]
    fn form(self) -> Form {
        let packing = match self.kind() {
            INT => return Form::Int,
            INLINE => return Form::Inline,
            RAW => return Form::Raw,
            PACKED_LIST => Packing::List,
            PACKED_INTS => Packing::Ints,
            PACKED_SET => Packing::Set,
            PACKED_HASH => Packing::Hash,
            PACKED_ZSET => Packing::Zset,
            _ => return Form::Big,
        };
        if self.byte(0) & APART != 0 {
            Form::Apart(packing)
        } else {
            Form::Packed(packing)
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

    #[inline]
    fn pointer<T>(self) -> *mut T {
        usize::from_le_bytes(self.array(self.value_at())) as *mut T
    }

    /// What the entry points to, to read; `T` is what its kind says.
    #[inline]
    fn shared<'a, T>(self) -> &'a T {
        let pointer = self.pointer::<T>();
        debug_assert!(!pointer.is_null(), "a value that was taken out is not read");
        // SAFETY: a live entry's pointer is live, and the caller's borrow of the database keeps it
        // from being changed.
        unsafe { &*pointer }
    }

    /// The bytes of a packed collection.
    #[inline]
    fn packed<'a>(self) -> &'a [u8] {
        if self.byte(0) & APART != 0 {
            self.shared::<Vec<u8>>()
        } else {
            self.inline()
        }
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
        match self.0.kind() {
            INT | INLINE | RAW => Type::String,
            PACKED_LIST | BIG_LIST => Type::List,
            PACKED_INTS | PACKED_SET | BIG_SET => Type::Set,
            PACKED_HASH | BIG_HASH => Type::Hash,
            PACKED_ZSET | BIG_ZSET => Type::Zset,
            _ => Type::Stream,
        }
    }

    /// The name of the encoding, as OBJECT ENCODING says it.
    pub fn encoding(self) -> &'static str {
        match self.0.kind() {
            INT => "int",
            INLINE if self.0.byte(0) & CHANGED == 0 && self.0.inline().len() <= EMBSTR_MAX => {
                "embstr"
            }
            INLINE | RAW => "raw",
            PACKED_INTS => "intset",
            PACKED_LIST | PACKED_SET | PACKED_HASH | PACKED_ZSET => "listpack",
            BIG_LIST => "quicklist",
            BIG_SET | BIG_HASH => "hashtable",
            BIG_ZSET => "skiplist",
            _ => "stream",
        }
    }

    /// The value, if it is a string.
    #[inline]
    pub fn string(self) -> Option<StringRef<'a>> {
        self.0.string()
    }

    /// The value, if it is a list.
    #[inline]
    pub fn list(self) -> Option<ListRef<'a>> {
        match self.0.kind() {
            PACKED_LIST => Some(ListRef::Pack(Listpack::from_trusted(self.0.packed()))),
            BIG_LIST => Some(ListRef::Quick(self.0.shared())),
            _ => None,
        }
    }

    /// The value, if it is a set.
    #[inline]
    pub fn set(self) -> Option<SetRef<'a>> {
        match self.0.kind() {
            PACKED_INTS => Some(SetRef::Ints(IntSet::from_trusted(self.0.packed()))),
            PACKED_SET => Some(SetRef::Pack(Listpack::from_trusted(self.0.packed()))),
            BIG_SET => Some(SetRef::Table(self.0.shared())),
            _ => None,
        }
    }

    /// The value, if it is a hash.
    #[inline]
    pub fn hash(self) -> Option<HashRef<'a>> {
        match self.0.kind() {
            PACKED_HASH => Some(HashRef::Pack(Listpack::from_trusted(self.0.packed()))),
            BIG_HASH => Some(HashRef::Table(self.0.shared())),
            _ => None,
        }
    }

    /// The value, if it is a sorted set.
    #[inline]
    pub fn zset(self) -> Option<ZsetRef<'a>> {
        match self.0.kind() {
            PACKED_ZSET => Some(ZsetRef::Pack(Listpack::from_trusted(self.0.packed()))),
            BIG_ZSET => Some(ZsetRef::Tree(self.0.shared())),
            _ => None,
        }
    }

    /// The value, if it is a stream.
    #[inline]
    pub fn stream(self) -> Option<&'a Stream> {
        (self.0.kind() == BIG_STREAM).then(|| self.0.shared())
    }

    /// The listpack or intset that a packed collection is.
    pub fn packed(self) -> Option<&'a [u8]> {
        match self.0.form() {
            Form::Packed(_) | Form::Apart(_) => Some(self.0.packed()),
            Form::Int | Form::Inline | Form::Raw | Form::Big => None,
        }
    }

    /// Bytes of heap that the entry takes, with what lies in it: the key, and a short value.
    pub fn shell_allocated(self) -> usize {
        slab::class_size(self.0.size())
    }

    /// Bytes that a string has room for beyond its own.
    pub fn string_spare(self) -> usize {
        match self.0.kind() {
            RAW => self.0.shared::<RawString>().spare(),
            _ => 0,
        }
    }

    /// Bytes of heap that entry and value take, as MEMORY USAGE says without the table's share.
    pub fn allocated(self) -> usize {
        let boxed = |size, inner: usize| alloc::class_size(size, 8) + inner;
        self.shell_allocated()
            + match self.0.kind() {
                RAW => self.0.shared::<RawString>().allocated(),
                BIG_LIST => boxed(
                    size_of::<QuickList>(),
                    self.0.shared::<QuickList>().allocated(),
                ),
                BIG_SET => boxed(size_of::<Members>(), self.0.shared::<Members>().allocated()),
                BIG_HASH => boxed(size_of::<Fields>(), self.0.shared::<Fields>().allocated()),
                BIG_ZSET => boxed(size_of::<Sorted>(), self.0.shared::<Sorted>().allocated()),
                BIG_STREAM => boxed(size_of::<Stream>(), self.0.shared::<Stream>().allocated()),
                _ if self.0.byte(0) & APART != 0 && self.packed().is_some() => {
                    let bytes = self.0.shared::<Vec<u8>>();
                    boxed(size_of::<Vec<u8>>(), alloc::class_size(bytes.capacity(), 1))
                }
                _ => 0,
            }
    }

    /// A copy of the value, for another key.
    pub fn value_copy(self) -> NewValue<'a> {
        match self.0.form() {
            Form::Int => NewValue::Int(self.0.int()),
            Form::Inline if self.0.byte(0) & CHANGED != 0 => NewValue::Changed(self.0.inline()),
            Form::Inline => NewValue::Bytes(self.0.inline()),
            Form::Raw => {
                let bytes = self.0.shared::<RawString>().as_slice();
                NewValue::Raw(Box::new(RawString::from(bytes)))
            }
            Form::Packed(packing) => NewValue::Packed(packing, self.0.inline()),
            Form::Apart(packing) => NewValue::Apart(packing, Box::new(self.0.packed().to_vec())),
            Form::Big => NewValue::Big(self.big_copy()),
        }
    }

    fn big_copy(self) -> Big {
        match self.0.kind() {
            BIG_LIST => Big::List(Box::new(self.0.shared::<QuickList>().clone())),
            BIG_SET => Big::Set(Box::new(self.0.shared::<Members>().clone())),
            BIG_HASH => Big::Hash(Box::new(self.0.shared::<Fields>().clone())),
            BIG_ZSET => Big::Zset(Box::new(self.0.shared::<Sorted>().clone())),
            BIG_STREAM => Big::Stream(Box::new(self.0.shared::<Stream>().clone())),
            kind => panic!("kind {kind} is no big collection"),
        }
    }
}
