//! What a command did, stated by its handler and carried out by its caller.
//!
//! A handler never notifies, propagates or wakes anybody. It says here what happened; the caller
//! (`server::exec`) does what follows from it, and only as far as anybody listens.

mod command_list;

use super::value::Type;
use std::ops::Range;

pub use command_list::CommandList;

/// Classes of keyspace events, as `notify-keyspace-events` selects them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Class {
    /// `g`: commands of no particular type.
    Generic = 1 << 2,
    /// `$`: string commands.
    String = 1 << 3,
    /// `l`: list commands.
    List = 1 << 4,
    /// `s`: set commands.
    Set = 1 << 5,
    /// `h`: hash commands.
    Hash = 1 << 6,
    /// `z`: sorted set commands.
    Zset = 1 << 7,
    /// `x`: a key expired.
    Expired = 1 << 8,
    /// `e`: a key was given up for want of memory.
    Evicted = 1 << 9,
    /// `t`: stream commands.
    Stream = 1 << 10,
    /// `n`: a key came to be.
    New = 1 << 14,
    /// `m`: a key was looked for in vain.
    KeyMiss = 1 << 11,
    /// A change that no notification tells of, only those who watch the key.
    Untold = 1 << 20,
}

/// The classes of events that say nothing of a change to a key that was there, or is stated of itself.
const NO_CHANGE: u32 = Class::KeyMiss as u32 | Class::New as u32;

/// A keyspace event.
pub struct Event {
    /// Its class.
    pub class: Class,
    /// Its name.
    pub name: &'static str,
    /// The database.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
    /// Whether the client whose command stated it did it. It did not if the time of a key or field had come, or
    /// memory was short: whoever met that first has no part in it.
    pub is_own: bool,
    /// Whether it says that the key was changed, so that what was read of it is no longer true.
    pub is_change: bool,
}

/// How a command goes to the append-only file and to replicas.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Propagation {
    /// As it was received, if it changed anything.
    #[default]
    AsReceived,
    /// As the commands that [`Effects::rewrite`] was given instead.
    Rewritten,
    /// Not at all.
    Nothing,
}

/// What the commands of one request did.
#[derive(Default)]
pub struct Effects {
    /// Changes to the data set, as `rdb_changes_since_last_save` counts them.
    pub dirty: u64,
    /// The event classes that somebody listens to.
    listening: u32,
    /// Whether what is propagated goes anywhere.
    propagating: bool,
    /// The events, in order.
    pub events: Vec<Event>,
    /// The names of events that were told to listeners, for tests to look at.
    #[cfg(test)]
    pub told: Vec<&'static str>,
    /// How the command is propagated.
    pub propagation: Propagation,
    /// The commands that are propagated instead of the one that was received.
    pub rewritten: CommandList,
    /// Deletions of keys that were found expired: database and key.
    pub expired: Vec<(usize, Box<[u8]>)>,
    /// Deletions of fields that were found expired.
    pub expired_fields: Vec<ExpiredFields>,
    /// How long the slowest deletion of an expired key took, in microseconds, as far as that is measured; whoever
    /// wants to know takes it.
    pub slowest_expiry_us: u64,
    /// Whether clients wait for keys to come to be.
    awaited: bool,
    /// Whether some of them wait no longer if a key goes.
    losses_matter: bool,
    /// Keys that came to be, got a value of another type or went: database and key. Only kept while
    /// clients wait for some.
    pub became: Vec<(usize, Box<[u8]>)>,
    /// What became of whole databases.
    pub replaced: Option<Replaced>,
    /// What the command's client is to wait for, since there was nothing for it.
    pub wait: Option<Wait>,
}

/// A change to databases as a whole, for which no events are stated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replaced {
    /// These were emptied.
    Flushed(Range<usize>),
    /// These two have changed places.
    Swapped(usize, usize),
}

/// Fields of a hash that were found expired and deleted.
pub struct ExpiredFields {
    /// The database.
    pub db: usize,
    /// The hash's key.
    pub key: Box<[u8]>,
    /// The fields.
    pub fields: Vec<Box<[u8]>>,
}

/// What becomes of a wait whose time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtEnd {
    /// Its client is told that there is nothing.
    NullArray,
    /// Its command runs a last time, and waits no more.
    RunAgain,
}

/// A client's wish to run its command again once there is something for it.
pub struct Wait {
    /// The keys it waits for.
    pub keys: Vec<Box<[u8]>>,
    /// The type of value that serves it.
    pub kind: Type,
    /// How long it waits at most, in microseconds.
    pub timeout_us: Option<i64>,
    /// Whether it is over too when a key goes or gets a value of another type.
    pub on_loss: bool,
    /// What becomes of it when its time is over.
    pub at_end: AtEnd,
    /// Arguments whose meaning was settled when the wait began, and what stands for them when the
    /// command runs again.
    pub settled: Vec<(usize, Box<[u8]>)>,
}

impl Effects {
    /// Records the events of these classes from now on, and if keys are watched all that say a key was
    /// changed.
    pub fn listen(&mut self, classes: u32, keys_are_watched: bool) {
        self.listening = if keys_are_watched {
            classes | !NO_CHANGE
        } else {
            classes
        };
    }

    /// Says whether clients wait for keys, so that `became` is kept, and whether it matters to some of
    /// them that a key goes.
    pub fn set_awaited(&mut self, awaited: bool, losses_matter: bool) {
        self.awaited = awaited;
        self.losses_matter = losses_matter;
    }

    /// A key went, or its value gave way to one of another type.
    #[inline]
    pub fn lost(&mut self, db: usize, key: &[u8]) {
        if self.losses_matter {
            self.became.push((db, key.into()));
        }
    }

    /// A key came to be, a stream got an entry, or a group of its went.
    #[inline]
    pub fn became(&mut self, db: usize, key: &[u8]) {
        if self.awaited {
            self.became.push((db, key.into()));
        }
    }

    /// A key came to be that was not there.
    #[inline]
    pub fn created(&mut self, db: usize, key: &[u8]) {
        self.event(Class::New, "new", db, key);
        self.became(db, key);
    }

    /// Effects that record the events of these classes, and what is propagated only if it goes
    /// anywhere.
    pub fn new(listening: u32, propagating: bool) -> Effects {
        Effects {
            listening,
            propagating,
            ..Effects::default()
        }
    }

    /// A key was changed in a way that `class` and `name` describe.
    #[inline]
    pub fn changed(&mut self, class: Class, name: &'static str, db: usize, key: &[u8]) {
        self.dirty += 1;
        self.event(class, name, db, key);
    }

    /// What is kept beside a value was changed, as the groups of a stream: it is a change of the data set, and none of
    /// the key for those who read it.
    pub fn noted(&mut self, class: Class, name: &'static str, db: usize, key: &[u8]) {
        self.dirty += 1;
        self.record(class, name, db, key, true, false);
    }

    /// A key was changed in a way that no notification tells of.
    pub fn touched(&mut self, db: usize, key: &[u8]) {
        self.changed(Class::Untold, "", db, key);
    }

    /// Something happened to a key that is no change of its own.
    #[inline]
    pub fn event(&mut self, class: Class, name: &'static str, db: usize, key: &[u8]) {
        self.record(class, name, db, key, true, class as u32 & NO_CHANGE == 0);
    }

    /// The same for what nobody's command did.
    pub fn unasked(&mut self, class: Class, name: &'static str, db: usize, key: &[u8]) {
        self.record(class, name, db, key, false, class as u32 & NO_CHANGE == 0);
    }

    #[inline]
    fn record(
        &mut self,
        class: Class,
        name: &'static str,
        db: usize,
        key: &[u8],
        is_own: bool,
        is_change: bool,
    ) {
        if self.listening & class as u32 != 0 {
            self.events.push(Event {
                class,
                name,
                db,
                key: key.into(),
                is_own,
                is_change,
            });
        }
    }

    /// A key was found expired and deleted.
    pub fn expired(&mut self, db: usize, key: &[u8]) {
        self.unasked(Class::Expired, "expired", db, key);
        self.lost(db, key);
        if self.propagating {
            self.expired.push((db, key.into()));
        }
    }

    /// Fields of a hash were found expired and deleted.
    pub fn fields_expired(&mut self, db: usize, key: &[u8], fields: Vec<Box<[u8]>>) {
        self.unasked(Class::Hash, "hexpired", db, key);
        if self.propagating {
            let key = key.into();
            self.expired_fields.push(ExpiredFields { db, key, fields });
        }
    }

    /// Says whether what is propagated goes anywhere.
    pub fn set_propagating(&mut self, propagating: bool) {
        self.propagating = propagating;
    }

    /// Whether there may be something to propagate.
    #[inline]
    pub fn has_propagation(&self) -> bool {
        self.propagating
            && (self.dirty > 0
                || self.propagation == Propagation::Rewritten
                || !self.expired.is_empty()
                || !self.expired_fields.is_empty())
    }

    /// Whether what is propagated goes anywhere, so that it pays to put it together.
    #[inline]
    pub fn propagates(&self) -> bool {
        self.propagating
    }

    /// The command is propagated as this one instead of as received.
    #[inline]
    pub fn rewrite(&mut self, argv: &[&[u8]]) {
        if self.propagating {
            self.rewritten.push(argv);
            self.propagation = Propagation::Rewritten;
        }
    }

    /// The command is not propagated.
    #[inline]
    pub fn do_not_propagate(&mut self) {
        self.propagation = Propagation::Nothing;
    }

    /// Whether something is left to do once the command is through.
    #[inline]
    pub fn has_aftermath(&self) -> bool {
        self.wait.is_some() || !self.became.is_empty()
    }

    /// Whether something happened that others may want to know.
    #[inline]
    pub fn has_reactions(&self) -> bool {
        !self.events.is_empty() || self.replaced.is_some()
    }

    /// A change that removed the last element of a collection, and so its key.
    #[inline]
    pub fn emptied(&mut self, db: usize, key: &[u8]) {
        self.event(Class::Generic, "del", db, key);
    }

    /// Forgets everything, for the next command. What [`Effects::became`] and the wish to wait say
    /// is taken by the caller, so that nothing of it is left.
    #[inline(always)]
    pub fn reset(&mut self) {
        self.dirty = 0;
        if self.listening != 0 || self.propagating {
            self.events.clear();
            self.expired.clear();
            self.expired_fields.clear();
        }
        if self.propagation != Propagation::AsReceived {
            self.propagation = Propagation::AsReceived;
            self.rewritten.clear();
        }
    }
}
