//! A database: a table of entries, and the operations by which commands read and change it.
//!
//! Nothing here knows of time or effects: a key that has expired is still found, and the caller
//! (`server::cx`) decides. A [`Place`] names a found entry and is good until the database changes.

use super::entry::{Entry, EntryRef};
use super::lazyfree::{Garbage, LazyFree};
use super::value::{Collection, INLINE_MAX, NewValue, RawString};
use crate::base::hash::Hasher;
use crate::base::rng::Rng;
use crate::data::table::{Place, Table};
use bytes::Bytes;
use std::collections::BTreeSet;

/// A key with its hash, which is computed once a request.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// The key.
    pub bytes: &'a [u8],
    /// Its hash under the process's seed.
    pub hash: u64,
}

/// What becomes of the expiry when a value is replaced.
#[derive(Clone, Copy)]
pub enum Expiry {
    /// It stays as it is.
    Keep,
    /// The key has none afterwards.
    Clear,
    /// The key expires at this time, in milliseconds of the Unix clock.
    At(i64),
}

/// One database.
pub struct Db {
    table: Table<Entry>,
    volatile: usize,
    streams: usize,
    /// The hashes with volatile fields, by the time of the first one: each such hash of the table
    /// exactly once.
    field_expiries: BTreeSet<(i64, Box<[u8]>)>,
    /// The groups of buckets at which the expire cycle goes on, looking for what is due and taking samples.
    pub(super) expire_cursor: usize,
    pub(super) sample_cursor: usize,
    /// A running average of the time to live of volatile keys, in milliseconds, as INFO reports it.
    pub avg_ttl_ms: i64,
}

impl Db {
    /// An empty database.
    pub fn new(hasher: Hasher) -> Db {
        Db {
            table: Table::new(hasher),
            volatile: 0,
            streams: 0,
            field_expiries: BTreeSet::new(),
            expire_cursor: 0,
            sample_cursor: 0,
            avg_ttl_ms: 0,
        }
    }

    /// The number of keys, expired ones that were not noticed yet among them.
    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The number of keys that have an expiry.
    pub fn volatile(&self) -> usize {
        self.volatile
    }

    /// The number of keys that hold streams.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// The number of hashes that have volatile fields.
    pub fn volatile_hashes(&self) -> usize {
        self.field_expiries.len()
    }

    /// The hash whose fields expire first, and when, in milliseconds of the Unix clock.
    pub fn first_field_expiry(&self) -> Option<(i64, &[u8])> {
        let (at, key) = self.field_expiries.first()?;
        Some((*at, key))
    }

    /// The table, to look at its shape.
    pub fn table(&self) -> &Table<impl crate::data::table::Handle> {
        &self.table
    }

    /// Asks the processor for the bucket of a key.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch_bucket(hash);
    }

    /// Asks the processor for the entry of a key, whose bucket should have arrived.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        self.table.prefetch_entry(hash);
    }

    /// Where a key's entry lies.
    #[inline]
    pub fn find(&self, key: Key<'_>) -> Option<Place> {
        self.table.find(key.hash, |e| e.key() == key.bytes)
    }

    /// Where the entry of a key with this hash lies.
    pub(super) fn find_hash(&self, hash: u64) -> Option<Place> {
        let hasher = self.table.hasher();
        self.table.find(hash, |e| hasher.hash(e.key()) == hash)
    }

    /// The entry at a place.
    #[inline]
    pub fn entry(&self, place: Place) -> EntryRef<'_> {
        EntryRef::new(self.table.get(place))
    }

    /// Sets an entry's access clock.
    #[inline]
    pub fn set_access(&mut self, place: Place, access: u32) {
        let entry = self.table.get(place);
        if entry.access() != access {
            entry.set_access(access);
        }
    }

    /// Adds a key that is not there.
    pub fn insert(
        &mut self,
        key: Key<'_>,
        value: NewValue<'_>,
        expiry: Option<i64>,
        access: u32,
    ) -> Place {
        debug_assert!(self.find(key).is_none());
        let entry = Entry::new(key.bytes, value, expiry, access);
        let place = self.table.insert(key.hash, entry);
        self.count_volatile(key, None, expiry);
        self.note_field_expiry(key.bytes, None, entry.next_field_expiry());
        self.streams += usize::from(entry.is_stream());
        place
    }

    /// Replaces the value of a key. Its access clock stays.
    #[inline]
    pub fn replace(
        &mut self,
        key: Key<'_>,
        place: Place,
        value: NewValue<'_>,
        expiry: Expiry,
        disposal: Disposal<'_>,
    ) {
        let old = self.table.get(place);
        let was = old.expiry();
        let expiry = match expiry {
            Expiry::Keep => was,
            Expiry::Clear => None,
            Expiry::At(at) => Some(at),
        };
        if was.is_some() == expiry.is_some() && old.overwrite(&value) {
            if let Some(at) = expiry {
                old.set_expiry(at);
                self.count_volatile(key, was, expiry);
            }
            return;
        }
        let access = old.access();
        let new = Entry::new(key.bytes, value, expiry, access);
        self.table.replace(place, new);
        self.note_field_expiry(key.bytes, old.next_field_expiry(), new.next_field_expiry());
        self.streams += usize::from(new.is_stream());
        self.streams -= usize::from(old.is_stream());
        disposal.dispose(old);
        self.count_volatile(key, was, expiry);
    }

    /// Changes or removes the expiry of a key.
    pub fn set_expiry(&mut self, key: Key<'_>, place: Place, expiry: Option<i64>) {
        let entry = self.table.get(place);
        let was = entry.expiry();
        match (was, expiry) {
            (Some(_), Some(at)) => entry.set_expiry(at),
            (None, None) => {}
            _ => {
                let entry = entry.with_expiry(expiry);
                self.table.replace(place, entry);
            }
        }
        self.count_volatile(key, was, expiry);
    }

    /// Takes a key out, and disposes of what it held.
    pub fn remove(&mut self, key: Key<'_>, place: Place, disposal: Disposal<'_>) {
        disposal.dispose(self.detach(key, place));
    }

    /// Takes a collection out of its entry, has it changed, and puts it back; if it is empty then,
    /// its key is removed instead. Says so beside what `change` returned. The place stays good
    /// unless the key was removed.
    ///
    /// The value is of the type; `buffer` is what small collections are changed in.
    #[inline]
    pub fn edit<C: Collection, R>(
        &mut self,
        key: Key<'_>,
        place: Place,
        buffer: &mut Vec<u8>,
        change: impl FnOnce(&mut C) -> R,
    ) -> (R, bool) {
        let entry = self.table.get(place);
        let expiry_before = entry.next_field_expiry();
        let mut collection = C::from_stored(entry.take(std::mem::take(buffer)));
        let result = change(&mut collection);
        let emptied = collection.is_empty();
        let stored = collection.into_stored();
        let expiry_after = stored.next_field_expiry();
        match entry.refill(stored, buffer) {
            Ok(()) => {}
            Err(stored) => {
                let new = Entry::new(
                    key.bytes,
                    stored.as_new(buffer),
                    entry.expiry(),
                    entry.access(),
                );
                self.table.replace(place, new);
                entry.free_hollow();
            }
        }
        trim(buffer);
        if expiry_before.is_some() || expiry_after.is_some() {
            self.note_field_expiry(key.bytes, expiry_before, expiry_after);
        }
        if emptied {
            self.detach(key, place).free();
        }
        (result, emptied)
    }

    /// Moves a key's entry to another name, which is free.
    pub fn rename(&mut self, key: Key<'_>, place: Place, new: Key<'_>) {
        let entry = self.detach(key, place);
        self.attach(new, entry.renamed(new.bytes));
    }

    /// Moves a key's entry to another database, which does not have the key.
    pub fn move_to(&mut self, key: Key<'_>, place: Place, to: &mut Db) {
        let entry = self.detach(key, place);
        to.attach(key, entry);
    }

    /// Makes a string `len` bytes long if it is shorter, with zero bytes, and lets `change` edit it.
    /// It is `raw` from then on. The key is created if `place` is `None`.
    pub fn edit_string(
        &mut self,
        key: Key<'_>,
        place: Option<Place>,
        len: usize,
        access: u32,
        change: impl FnOnce(&mut [u8]),
    ) {
        let Some(place) = place else {
            let mut bytes = vec![0; len];
            change(&mut bytes);
            self.insert(key, NewValue::edited(&mut bytes), None, access);
            return;
        };
        let entry = self.table.get(place);
        if let Some(raw) = entry.raw_mut() {
            let bytes = raw.make_mut();
            if bytes.len() < len {
                grow(bytes, len);
            }
            return change(bytes);
        }
        let mut digits = itoa::Buffer::new();
        let old = entry
            .string()
            .expect("the caller found a string")
            .bytes(&mut digits);
        if old.len() >= len
            && let Some(bytes) = entry.inline_mut()
        {
            return change(bytes);
        }
        let len = len.max(old.len());
        let mut bytes = zeroed_with_room(len);
        bytes[..old.len()].copy_from_slice(old);
        change(&mut bytes);
        let value = NewValue::edited(&mut bytes);
        self.replace(key, place, value, Expiry::Keep, Disposal::AtOnce);
    }

    /// The string at a place to send along without a copy, if it has an allocation of its own.
    #[inline]
    pub fn share_string(&mut self, place: Place) -> Option<Bytes> {
        self.table.get(place).raw_mut().map(RawString::share)
    }

    /// A key chosen with equal chance among all.
    pub fn random(&self, rng: &mut Rng) -> Option<EntryRef<'_>> {
        self.table.random(|| rng.next_u64()).map(EntryRef::new)
    }

    /// Shows the entries of the next step of a scan; see [`Table::scan`].
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(EntryRef<'a>)) -> u64 {
        self.table.scan(cursor, |e| visit(EntryRef::new(e)))
    }

    /// Shows every entry.
    pub fn for_each(&self, mut visit: impl FnMut(EntryRef<'_>)) {
        self.table.for_each(|e| visit(EntryRef::new(e)));
    }

    /// All entries, in the order of their buckets; those to come are prefetched.
    pub fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
        self.table.iter().map(EntryRef::new)
    }

    /// Shows the entries of one bucket.
    pub(super) fn visit_bucket(&self, index: usize, mut visit: impl FnMut(EntryRef<'_>)) {
        self.table.visit_bucket(index, |e| visit(EntryRef::new(e)));
    }

    /// Shows the entries of one bucket if it may hold volatile ones; see [`Table::visit_volatile`].
    pub(super) fn visit_volatile(
        &mut self,
        index: usize,
        mut visit: impl FnMut(EntryRef<'_>, i64),
    ) -> bool {
        self.table.visit_volatile(index, |e| {
            let expiry = e.expiry();
            if let Some(at) = expiry {
                visit(EntryRef::new(e), at);
            }
            expiry.is_some()
        })
    }

    /// The first group of buckets from this one on where a key may have expired.
    pub(super) fn next_due(&self, group: usize, now_ms: i64) -> Option<usize> {
        self.table.next_due(group, now_ms)
    }

    /// The first group of buckets from this one on where there may be volatile keys.
    pub(super) fn next_volatile(&self, group: usize) -> Option<usize> {
        self.table.next_due(group, i64::MAX - 1)
    }

    /// Says when the first key of a group expires, all of whose volatile keys were looked at.
    pub(super) fn set_due(&mut self, group: usize, at_ms: Option<i64>) {
        self.table.set_due(group, at_ms);
    }

    /// Makes room for this many further keys.
    pub fn reserve(&mut self, extra: usize) {
        self.table.reserve(extra);
    }

    fn detach(&mut self, key: Key<'_>, place: Place) -> Entry {
        let entry = self.table.remove(key.hash, place);
        if entry.expiry().is_some() {
            self.volatile -= 1;
        }
        self.note_field_expiry(key.bytes, entry.next_field_expiry(), None);
        self.streams -= usize::from(entry.is_stream());
        entry
    }

    fn attach(&mut self, key: Key<'_>, entry: Entry) {
        debug_assert!(self.find(key).is_none());
        self.table.insert(key.hash, entry);
        self.count_volatile(key, None, entry.expiry());
        self.note_field_expiry(key.bytes, None, entry.next_field_expiry());
        self.streams += usize::from(entry.is_stream());
    }

    /// Keeps the index of hashes with volatile fields true to a change.
    #[inline]
    fn note_field_expiry(&mut self, key: &[u8], before: Option<i64>, after: Option<i64>) {
        if before != after {
            self.move_field_expiry(key, before, after);
        }
    }

    #[cold]
    fn move_field_expiry(&mut self, key: &[u8], before: Option<i64>, after: Option<i64>) {
        if let Some(at) = before {
            let known = self.field_expiries.remove(&(at, key.into()));
            assert!(known, "a hash with volatile fields is in the index");
        }
        if let Some(at) = after {
            self.field_expiries.insert((at, key.into()));
        }
    }

    /// Takes note of a key's expiry before and after a change.
    #[inline]
    fn count_volatile(&mut self, key: Key<'_>, was: Option<i64>, is: Option<i64>) {
        self.volatile -= usize::from(was.is_some());
        self.volatile += usize::from(is.is_some());
        if let Some(at) = is
            && was != is
        {
            self.table.mark_volatile(key.hash, at);
        }
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        self.table.for_each(Entry::free);
    }
}

/// What becomes of a value that is given up.
pub enum Disposal<'a> {
    /// It is freed at once: it is known to be small.
    AtOnce,
    /// It is freed at once unless it is so big that this would be felt; then the freeing thread gets
    /// it.
    Now(&'a mut LazyFree),
    /// The freeing thread gets it if it is worth it, and counts it.
    Lazily(&'a mut LazyFree),
}

impl Disposal<'_> {
    fn dispose(self, entry: Entry) {
        match self {
            Disposal::Now(lazyfree) if lazyfree.takes_anyway(entry) => {
                lazyfree.send(Garbage::Uncounted(entry));
            }
            Disposal::Lazily(lazyfree) if lazyfree.takes(entry) => {
                lazyfree.send(Garbage::Entry(entry));
            }
            _ => entry.free(),
        }
    }
}

/// Keeps the buffer that small collections are changed in small itself.
#[inline]
fn trim(buffer: &mut Vec<u8>) {
    const KEPT_MAX: usize = 64 << 10;
    if buffer.capacity() > KEPT_MAX {
        *buffer = Vec::new();
    }
}

/// Lengthens a string with zero bytes.
fn grow(bytes: &mut Vec<u8>, len: usize) {
    if len > bytes.capacity() {
        bytes.reserve_exact(len + spare(len) - bytes.len());
    }
    bytes.resize(len, 0);
}

/// So many zero bytes, which the system need not back with memory before they are written.
fn zeroed_with_room(len: usize) -> Vec<u8> {
    let room = if len > INLINE_MAX { spare(len) } else { 0 };
    let mut bytes = vec![0; len + room];
    bytes.truncate(len);
    bytes
}

/// Room to grow further: as much again, at most 1 MiB.
fn spare(len: usize) -> usize {
    len.min(1 << 20)
}

/// All databases, and what they share.
pub struct Keyspace {
    dbs: Vec<Db>,
    hasher: Hasher,
    /// Hands big values to the thread that frees them.
    pub lazyfree: LazyFree,
    /// What small collections are changed in.
    buffer: Vec<u8>,
    /// Randomness for commands and for sampling.
    pub rng: Rng,
}

impl Keyspace {
    /// `count` empty databases.
    pub fn new(count: usize, hasher: Hasher, rng: Rng) -> Keyspace {
        Keyspace {
            dbs: (0..count).map(|_| Db::new(hasher)).collect(),
            hasher,
            lazyfree: LazyFree::new(),
            buffer: Vec::new(),
            rng,
        }
    }

    /// The hash function's key.
    #[inline]
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// A key with its hash.
    #[inline]
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key {
            bytes,
            hash: self.hasher.hash(bytes),
        }
    }

    /// The number of databases.
    pub fn count(&self) -> usize {
        self.dbs.len()
    }

    /// A database.
    #[inline]
    pub fn db(&self, index: usize) -> &Db {
        &self.dbs[index]
    }

    /// A database, to change.
    #[inline]
    pub fn db_mut(&mut self, index: usize) -> &mut Db {
        &mut self.dbs[index]
    }

    /// A database to read, and randomness.
    pub fn db_and_rng(&mut self, index: usize) -> (&Db, &mut Rng) {
        (&self.dbs[index], &mut self.rng)
    }

    /// Two different databases, to move entries between them.
    pub fn two(&mut self, first: usize, second: usize) -> (&mut Db, &mut Db) {
        let [a, b] = self
            .dbs
            .get_disjoint_mut([first, second])
            .expect("two different databases that exist");
        (a, b)
    }

    /// All databases.
    pub fn iter(&self) -> impl Iterator<Item = &Db> {
        self.dbs.iter()
    }

    /// Exchanges two databases.
    pub fn swap(&mut self, first: usize, second: usize) {
        self.dbs.swap(first, second);
    }

    /// Removes a key. What it held is freed by the freeing thread if it is big, and counted there
    /// if that was asked for.
    pub fn remove(&mut self, db: usize, key: Key<'_>, place: Place, lazily: bool) {
        let disposal = disposal(&mut self.lazyfree, lazily);
        self.dbs[db].remove(key, place, disposal);
    }

    /// Replaces the value of a key; see [`Db::replace`].
    #[inline]
    pub fn replace(
        &mut self,
        db: usize,
        key: Key<'_>,
        place: Place,
        value: NewValue<'_>,
        expiry: Expiry,
        lazily: bool,
    ) {
        let disposal = disposal(&mut self.lazyfree, lazily);
        self.dbs[db].replace(key, place, value, expiry, disposal);
    }

    /// Changes a collection; see [`Db::edit`]. `change` gets the randomness too.
    #[inline]
    pub fn edit<C: Collection, R>(
        &mut self,
        db: usize,
        key: Key<'_>,
        place: Place,
        change: impl FnOnce(&mut C, &mut Rng) -> R,
    ) -> (R, bool) {
        debug_assert_eq!(self.dbs[db].entry(place).kind(), C::KIND);
        let rng = &mut self.rng;
        self.dbs[db].edit(key, place, &mut self.buffer, |c| change(c, rng))
    }

    /// Makes a collection under a key that is not there, unless `fill` leaves it empty.
    pub fn create<C: Collection, R>(
        &mut self,
        db: usize,
        key: Key<'_>,
        access: u32,
        fill: impl FnOnce(&mut C, &mut Rng) -> R,
    ) -> (R, Option<Place>) {
        let mut collection = C::new_in(std::mem::take(&mut self.buffer));
        let result = fill(&mut collection, &mut self.rng);
        let is_empty = collection.is_empty();
        let value = collection.into_stored().as_new(&mut self.buffer);
        let place = (!is_empty).then(|| self.dbs[db].insert(key, value, None, access));
        trim(&mut self.buffer);
        (result, place)
    }

    /// Puts a collection that was made outside under a key; see [`Db::insert`] and [`Db::replace`].
    pub fn put<C: Collection>(
        &mut self,
        db: usize,
        key: Key<'_>,
        place: Option<Place>,
        collection: C,
        access: u32,
        lazily: bool,
    ) {
        let mut packed = Vec::new();
        let value = collection.into_stored().as_new(&mut packed);
        match place {
            Some(place) => self.replace(db, key, place, value, Expiry::Clear, lazily),
            None => {
                self.dbs[db].insert(key, value, None, access);
            }
        }
    }

    /// A key of a database, chosen with equal chance among all.
    pub fn random(&mut self, db: usize) -> Option<EntryRef<'_>> {
        self.dbs[db].random(&mut self.rng)
    }

    /// Copies an entry, its expiry too, to a name that is free in `to`.
    pub fn copy(&mut self, from: usize, place: Place, to: usize, new: Key<'_>, access: u32) {
        let source = self.dbs[from].entry(place);
        let copy = Entry::new(new.bytes, source.value_copy(), source.expiry(), access);
        self.dbs[to].attach(new, copy);
    }

    /// Empties a database and returns how many keys it had.
    pub fn flush(&mut self, db: usize, lazily: bool) -> usize {
        let old = std::mem::replace(&mut self.dbs[db], Db::new(self.hasher));
        let count = old.len();
        if lazily && count > LazyFree::KEYS_MIN {
            self.lazyfree.send(Garbage::Db(old));
        } else {
            self.free_all(old);
        }
        count
    }

    /// Gives all databases up without freeing what they hold: the process ends, and the system takes its memory
    /// back at once where this would walk through every entry.
    pub fn abandon(&mut self) {
        self.dbs.drain(..).for_each(std::mem::forget);
    }

    /// Frees a database here, but for the collections that are so big that this would be felt.
    fn free_all(&mut self, mut db: Db) {
        let table = std::mem::replace(&mut db.table, Table::new(self.hasher));
        table.for_each(|entry| Disposal::Now(&mut self.lazyfree).dispose(entry));
    }
}

fn disposal(lazyfree: &mut LazyFree, lazily: bool) -> Disposal<'_> {
    if lazily {
        Disposal::Lazily(lazyfree)
    } else {
        Disposal::Now(lazyfree)
    }
}
