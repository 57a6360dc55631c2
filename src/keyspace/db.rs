//! A database: a table of entries, and the operations by which commands read and change it.
//!
//! Nothing here knows of time or effects: a key that has expired is still found, and the caller
//! (`server::cx`) decides. A [`Place`] names a found entry and is good until the database changes.

use super::entry::{Entry, EntryRef};
use super::lazyfree::{Garbage, LazyFree};
use super::value::{INLINE_MAX, NewValue, RawString};
use crate::base::hash::Hasher;
use crate::base::rng::Rng;
use crate::data::table::{Place, Table};
use bytes::Bytes;

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
    /// Where the expire cycle goes on.
    pub(super) expire_cursor: usize,
    /// A running average of the time to live of volatile keys, in milliseconds, as INFO reports it.
    pub avg_ttl_ms: i64,
}

impl Db {
    /// An empty database.
    pub fn new(hasher: Hasher) -> Db {
        Db {
            table: Table::new(hasher),
            volatile: 0,
            expire_cursor: 0,
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
        if expiry.is_some() {
            self.volatile += 1;
            self.table.mark_volatile(key.hash);
        }
        place
    }

    /// Replaces the value of a key. Its access clock stays.
    #[inline]
    pub fn replace(&mut self, key: Key<'_>, place: Place, value: NewValue<'_>, expiry: Expiry) {
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
            }
            return;
        }
        let access = old.access();
        self.table
            .replace(place, Entry::new(key.bytes, value, expiry, access));
        old.free();
        self.count_volatile(key, was.is_some(), expiry.is_some());
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
                self.count_volatile(key, was.is_some(), expiry.is_some());
            }
        }
    }

    /// Takes a key out. What it held is freed at once, or handed to the freeing thread if `lazily`.
    pub fn remove(&mut self, key: Key<'_>, place: Place, lazily: Option<&mut LazyFree>) {
        let entry = self.detach(key, place);
        match lazily {
            Some(lazyfree)
                if entry
                    .raw_mut()
                    .is_some_and(|raw| raw.allocated() >= LazyFree::BYTES_MIN) =>
            {
                lazyfree.send(Garbage::Entry(entry));
            }
            _ => entry.free(),
        }
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
        let old = entry.string().bytes(&mut digits);
        if old.len() >= len
            && let Some(bytes) = entry.inline_mut()
        {
            return change(bytes);
        }
        let len = len.max(old.len());
        let mut bytes = zeroed_with_room(len);
        bytes[..old.len()].copy_from_slice(old);
        change(&mut bytes);
        self.replace(key, place, NewValue::edited(&mut bytes), Expiry::Keep);
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

    /// Makes room for this many further keys.
    pub fn reserve(&mut self, extra: usize) {
        self.table.reserve(extra);
    }

    fn detach(&mut self, key: Key<'_>, place: Place) -> Entry {
        let entry = self.table.remove(key.hash, place);
        if entry.expiry().is_some() {
            self.volatile -= 1;
        }
        entry
    }

    fn attach(&mut self, key: Key<'_>, entry: Entry) {
        debug_assert!(self.find(key).is_none());
        self.table.insert(key.hash, entry);
        self.count_volatile(key, false, entry.expiry().is_some());
    }

    fn count_volatile(&mut self, key: Key<'_>, was: bool, is: bool) {
        if is && !was {
            self.volatile += 1;
            self.table.mark_volatile(key.hash);
        } else if was && !is {
            self.volatile -= 1;
        }
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        self.table.for_each(Entry::free);
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

    /// Removes a key; see [`Db::remove`].
    pub fn remove(&mut self, db: usize, key: Key<'_>, place: Place, lazily: bool) {
        let lazyfree = lazily.then_some(&mut self.lazyfree);
        self.dbs[db].remove(key, place, lazyfree);
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
        }
        count
    }
}
