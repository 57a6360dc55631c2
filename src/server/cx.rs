//! What a handler reaches: the keyspace with time and effects, or the whole server.

use crate::base::clock;
use crate::base::rng::Rng;
use crate::keyspace::db::{Db, Expiry, Key, Keyspace};
use crate::keyspace::effects::{AtEnd, Class, Effects, Replaced, Wait};
use crate::keyspace::entry::EntryRef;
use crate::keyspace::value::{Collection, NewValue, Type};
use crate::resp::error::{self, ErrorReply};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::client::{Client, Slot};
use crate::server::config::Config;
use crate::server::state::Server;
use crate::server::stats::KeyspaceStats;
use bytes::Bytes;

/// A shorter value is copied: that costs less than an allocation that is shared.
const KEPT_IN_PLACE_MIN: usize = 32 << 10;

pub use crate::data::table::Place;

/// What the access clocks of entries are set to.
#[derive(Clone, Copy)]
pub struct AccessClock {
    /// Seconds of the LRU clock (24 bits).
    pub lru: u32,
    /// Minutes of the LFU clock (16 bits).
    pub lfu_minutes: u32,
    /// Whether `maxmemory-policy` is one of the LFU ones.
    pub lfu: bool,
}

impl AccessClock {
    /// The counter that a new key starts with.
    const LFU_INITIAL: u32 = 5;

    /// The clocks at a time.
    pub fn at(now_ms: i64, lfu: bool) -> AccessClock {
        AccessClock {
            lru: (now_ms / 1000) as u32 & 0xff_ffff,
            lfu_minutes: (now_ms / 60_000) as u32 & 0xffff,
            lfu,
        }
    }

    /// What a new entry gets.
    #[inline]
    pub fn new_entry(self) -> u32 {
        if self.lfu {
            self.lfu_minutes << 8 | Self::LFU_INITIAL
        } else {
            self.lru
        }
    }

    /// An entry's LFU counter as it stands now, after its decay.
    pub fn lfu_counter(self, access: u32, decay_minutes: u32) -> u32 {
        let (then, counter) = (access >> 8, access & 0xff);
        let elapsed = self.lfu_minutes.wrapping_sub(then) & 0xffff;
        match decay_minutes {
            0 => counter,
            minutes => counter.saturating_sub(elapsed / minutes),
        }
    }

    /// Seconds since an entry was used, by its LRU clock.
    pub fn idle_seconds(self, access: u32) -> u32 {
        self.lru.wrapping_sub(access) & 0xff_ffff
    }
}

/// The hashes of a request's keys, computed while its bucket was fetched.
#[derive(Clone, Copy, Default)]
pub struct KeyHashes<'a> {
    /// The argument that the first hash is of, and how many arguments lie between two.
    pub first: usize,
    #[allow(missing_docs)]
    pub step: usize,
    /// The hashes; fewer than there are keys, possibly none.
    pub hashes: &'a [u64],
}

/// What a handler of the keyspace reaches.
pub struct DataCx<'a> {
    /// All databases.
    pub keyspace: &'a mut Keyspace,
    /// The client's selected database.
    pub db_index: usize,
    /// Where the reply goes.
    pub reply: &'a mut Reply,
    /// What the command did.
    pub effects: &'a mut Effects,
    /// Hits and misses.
    pub stats: &'a mut KeyspaceStats,
    /// Thresholds and limits.
    pub config: &'a Config,
    /// Milliseconds of the Unix clock; the same for the whole command.
    pub now_ms: i64,
    /// What expires at this time or before has expired: `now_ms`, but nothing has while a file is replayed,
    /// whose commands come from a time when it had not.
    pub horizon_ms: i64,
    /// What used keys' access clocks are set to.
    pub access: AccessClock,
    /// Whether keys are used without leaving a mark (CLIENT NO-TOUCH).
    pub no_touch: bool,
    /// Whether a child process shares the memory: a mark on a key that is only read would have its page copied.
    pub shares_memory: bool,
    /// Whether expired keys are deleted when they are met; if not, they are only overlooked.
    pub delete_expired: bool,
    /// Key hashes that are known already.
    pub hashes: KeyHashes<'a>,
    /// The buffer of the request if it is a large one that has it to itself; see [`DataCx::value`].
    pub frame: &'a Bytes,
    /// Whether the client can be made to wait.
    pub may_wait: bool,
    /// Whether a script runs the command.
    pub in_script: bool,
}

/// What a change to a collection reaches beside it.
pub struct Aside<'a> {
    /// Where the reply goes.
    pub reply: &'a mut Reply,
    /// Randomness.
    pub rng: &'a mut Rng,
}

impl DataCx<'_> {
    /// The key that argument `index` is.
    #[inline]
    pub fn key<'k>(&self, argv: Argv<'k>, index: usize) -> Key<'k> {
        let bytes = argv.at(index);
        let known = match index.checked_sub(self.hashes.first) {
            Some(0) => self.hashes.hashes.first(),
            Some(n) if self.hashes.step > 0 && n.is_multiple_of(self.hashes.step) => {
                self.hashes.hashes.get(n / self.hashes.step)
            }
            _ => None,
        };
        match known {
            Some(&hash) => Key { bytes, hash },
            None => self.keyspace.key(bytes),
        }
    }

    /// The selected database.
    #[inline]
    pub fn db(&self) -> &Db {
        self.keyspace.db(self.db_index)
    }

    /// The selected database, to change.
    #[inline]
    pub fn db_mut(&mut self) -> &mut Db {
        self.keyspace.db_mut(self.db_index)
    }

    /// The entry at a place of the selected database.
    #[inline]
    pub fn entry(&self, place: Place) -> EntryRef<'_> {
        self.db().entry(place)
    }

    /// Looks a key up to read its value: counts a hit or miss and marks it as used.
    #[inline]
    pub fn find_read(&mut self, key: Key<'_>) -> Option<Place> {
        let place = self.find_unseen(key);
        if let Some(place) = place {
            self.touch(place);
        }
        self.count_lookup(key, place.is_some());
        place
    }

    /// Counts a hit or miss, and states the event of a miss.
    #[inline]
    pub fn count_lookup(&mut self, key: Key<'_>, is_hit: bool) {
        if is_hit {
            self.stats.hits += 1;
        } else {
            self.stats.misses += 1;
            self.effects
                .event(Class::KeyMiss, "keymiss", self.db_index, key.bytes);
        }
    }

    /// Looks a key up to look at it from outside (TTL, OBJECT, TYPE …): counts a hit or miss and
    /// leaves no mark.
    pub fn find_quietly(&mut self, key: Key<'_>) -> Option<Place> {
        let before = std::mem::replace(&mut self.no_touch, true);
        let place = self.find_read(key);
        self.no_touch = before;
        place
    }

    /// Looks a key up to change its value: marks it as used, counts nothing.
    #[inline]
    pub fn find_write(&mut self, key: Key<'_>) -> Option<Place> {
        let place = self.find_unseen(key)?;
        self.touch(place);
        Some(place)
    }

    /// Looks a key up and leaves no trace, but that an expired one is gone afterwards.
    #[inline]
    pub fn find_unseen(&mut self, key: Key<'_>) -> Option<Place> {
        self.find_in(self.db_index, key)
    }

    /// The same in another database.
    #[inline]
    pub fn find_in(&mut self, db: usize, key: Key<'_>) -> Option<Place> {
        let place = self.keyspace.db(db).find(key)?;
        match self.keyspace.db(db).entry(place).expiry() {
            Some(at) if at <= self.horizon_ms => {
                self.expire(db, key, place);
                None
            }
            _ => Some(place),
        }
    }

    #[cold]
    fn expire(&mut self, db: usize, key: Key<'_>, place: Place) {
        if self.delete_expired {
            let watch = (self.config.latency_monitor_threshold != 0).then(clock::mono_us);
            self.keyspace
                .remove(db, key, place, self.config.lazyfree_lazy_expire);
            if let Some(began_us) = watch {
                let slowest_us = &mut self.effects.slowest_expiry_us;
                *slowest_us = (clock::mono_us() - began_us).max(*slowest_us);
            }
            self.stats.expired += 1;
            self.effects.expired(db, key.bytes);
        }
    }

    /// Marks a key as used now.
    #[inline]
    pub fn touch(&mut self, place: Place) {
        if self.no_touch || self.shares_memory {
            return;
        }
        let access = if self.access.lfu {
            self.lfu_used(place)
        } else {
            self.access.lru
        };
        self.db_mut().set_access(place, access);
    }

    /// The LFU clock of a key that is used now: the counter decays with time and grows with a chance
    /// that falls as it grows.
    fn lfu_used(&mut self, place: Place) -> u32 {
        let mut counter = self
            .access
            .lfu_counter(self.entry(place).access(), self.config.lfu_decay_time);
        if counter < 255 {
            let above = counter.saturating_sub(AccessClock::LFU_INITIAL) as f64;
            let chance = 1.0 / (above * self.config.lfu_log_factor as f64 + 1.0);
            let draw = (self.keyspace.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            if draw < chance {
                counter += 1;
            }
        }
        self.access.lfu_minutes << 8 | counter
    }

    /// The value that an argument makes. If it is nearly all of a large request it stays where it was read to, and
    /// is not copied.
    #[inline]
    pub fn value<'v>(&self, bytes: &'v [u8]) -> NewValue<'v> {
        if bytes.len() < KEPT_IN_PLACE_MIN {
            return NewValue::from_bytes(bytes);
        }
        let is_in_frame = self.frame.as_ptr_range().contains(&bytes.as_ptr());
        let others = self.frame.len().saturating_sub(bytes.len());
        if is_in_frame && others <= bytes.len() / 8 {
            NewValue::shared(self.frame.slice_ref(bytes))
        } else {
            NewValue::text(bytes)
        }
    }

    /// Stores a value under a key that was looked up before.
    #[inline]
    pub fn store(
        &mut self,
        key: Key<'_>,
        place: Option<Place>,
        value: NewValue<'_>,
        expiry: Expiry,
    ) {
        match place {
            Some(place) => {
                let lazily = self.config.lazyfree_lazy_server_del;
                let db = self.db_index;
                if self.entry(place).kind() != value.kind() {
                    self.effects.lost(db, key.bytes);
                }
                self.keyspace.replace(db, key, place, value, expiry, lazily);
            }
            None => {
                let at = if let Expiry::At(at) = expiry {
                    Some(at)
                } else {
                    None
                };
                let access = self.access.new_entry();
                self.db_mut().insert(key, value, at, access);
                self.effects.created(self.db_index, key.bytes);
            }
        }
    }

    /// Stores a collection that was made outside, whatever the key held before; it has no expiry
    /// then.
    pub fn store_collection<C: Collection>(
        &mut self,
        key: Key<'_>,
        place: Option<Place>,
        collection: C,
    ) {
        let lazily = self.config.lazyfree_lazy_server_del;
        let access = self.access.new_entry();
        match place {
            // Nobody is served by what takes another value's place: that is so in Redis.
            Some(place) if self.entry(place).kind() != C::KIND => {
                self.effects.lost(self.db_index, key.bytes);
            }
            Some(_) => {}
            None => self.effects.created(self.db_index, key.bytes),
        }
        self.keyspace
            .put(self.db_index, key, place, collection, access, lazily);
    }

    /// Fails unless the value at a place is of this type.
    #[inline]
    pub fn expect_kind(&self, place: Place, kind: Type) -> Result<(), ErrorReply> {
        if self.entry(place).kind() == kind {
            Ok(())
        } else {
            Err(error::WRONG_TYPE)
        }
    }

    /// Changes the collection at a place, or fails if the value is of another type. If nothing is
    /// left of it its key is removed, and the result says so: the events are the caller's,
    /// [`Effects::emptied`] after its own.
    #[inline]
    pub fn edit<C: Collection, R>(
        &mut self,
        key: Key<'_>,
        place: Place,
        change: impl FnOnce(&mut C, Aside<'_>) -> R,
    ) -> Result<(R, bool), ErrorReply> {
        self.expect_kind(place, C::KIND)?;
        let reply = &mut *self.reply;
        Ok(self
            .keyspace
            .edit(self.db_index, key, place, |collection, rng| {
                change(collection, Aside { reply, rng })
            }))
    }

    /// Changes a collection and creates it if the key is not there: `change` must leave something
    /// in it. Fails if the value is of another type.
    #[inline]
    pub fn edit_or_create<C: Collection, R>(
        &mut self,
        key: Key<'_>,
        place: Option<Place>,
        change: impl FnOnce(&mut C, Aside<'_>) -> R,
    ) -> Result<R, ErrorReply> {
        match place {
            Some(place) => {
                let (result, emptied) = self.edit(key, place, change)?;
                debug_assert!(!emptied, "what adds to a collection does not empty it");
                Ok(result)
            }
            None => {
                let reply = &mut *self.reply;
                let access = self.access.new_entry();
                let (result, created) =
                    self.keyspace
                        .create(self.db_index, key, access, |collection, rng| {
                            change(collection, Aside { reply, rng })
                        });
                if created.is_some() {
                    self.effects.created(self.db_index, key.bytes);
                }
                Ok(result)
            }
        }
    }

    /// Has the client wait until one of these keys holds a value of this type, and run its command
    /// again then. The handler has found nothing and written no reply. A client that cannot wait
    /// gets the reply of a wait in vain.
    pub fn wait<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k [u8]>,
        kind: Type,
        timeout_us: Option<i64>,
    ) {
        self.wait_for(|| Wait {
            keys: keys.map(Box::from).collect(),
            kind,
            timeout_us,
            on_loss: false,
            at_end: AtEnd::NullArray,
            settled: Vec::new(),
        });
    }

    /// The same for a wait with more to it, which is only put together if the client can wait.
    pub fn wait_for(&mut self, wait: impl FnOnce() -> Wait) {
        if self.may_wait {
            self.effects.wait = Some(wait());
        } else {
            self.reply.null_array();
        }
    }

    /// Edits a string in place; see [`Db::edit_string`].
    pub fn edit_string(
        &mut self,
        key: Key<'_>,
        place: Option<Place>,
        len: usize,
        change: impl FnOnce(&mut [u8]),
    ) {
        let access = self.access.new_entry();
        self.db_mut().edit_string(key, place, len, access, change);
        if place.is_none() {
            self.effects.created(self.db_index, key.bytes);
        }
    }

    /// Deletes a key that was given an expiry which has passed, with all that follows from it.
    pub fn delete_as_expired(&mut self, key: Key<'_>, place: Place) {
        let lazily = self.config.lazyfree_lazy_expire;
        self.delete(key, place, lazily);
        self.stats.expired += 1;
        self.effects
            .changed(Class::Expired, "expired", self.db_index, key.bytes);
        let command: &[u8] = if lazily { b"UNLINK" } else { b"DEL" };
        self.effects.rewrite(&[command, key.bytes]);
    }

    /// Empties all databases.
    pub fn empty_all(&mut self, lazily: bool) {
        for db in 0..self.keyspace.count() {
            self.effects.dirty += self.keyspace.flush(db, lazily) as u64;
        }
        self.effects.replaced = Some(Replaced::Flushed(0..self.keyspace.count()));
    }

    /// Deletes a key that was looked up before. The event is the caller's.
    pub fn delete(&mut self, key: Key<'_>, place: Place, lazily: bool) {
        self.effects.lost(self.db_index, key.bytes);
        self.keyspace.remove(self.db_index, key, place, lazily);
    }
}

/// What a handler of the server reaches.
pub struct ServerCx<'a> {
    /// Everything.
    pub server: &'a mut Server,
    /// The client that asked.
    pub slot: Slot,
    /// Where the reply goes.
    pub reply: &'a mut Reply,
}

impl ServerCx<'_> {
    /// The client that asked.
    pub fn client(&self) -> &Client {
        self.server.clients.at(self.slot)
    }

    /// The client that asked, to change.
    pub fn client_mut(&mut self) -> &mut Client {
        self.server.clients.at_mut(self.slot)
    }

    /// The keyspace with time and effects, for a command that needs both worlds.
    pub fn data(&mut self) -> DataCx<'_> {
        self.server
            .data_cx(self.slot, self.reply, KeyHashes::default())
    }
}
