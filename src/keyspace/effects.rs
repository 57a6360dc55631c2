//! What a command did, stated by its handler and carried out by its caller.
//!
//! A handler never notifies, propagates or wakes anybody. It says here what happened; the caller
//! (`server::exec`) does what follows from it, and only as far as anybody listens.

/// Classes of keyspace events, as `notify-keyspace-events` selects them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Class {
    /// `g`: commands of no particular type.
    Generic = 1 << 2,
    /// `$`: string commands.
    String = 1 << 3,
    /// `x`: a key expired.
    Expired = 1 << 8,
    /// `n`: a key came to be.
    New = 1 << 14,
    /// `m`: a key was looked for in vain.
    KeyMiss = 1 << 11,
}

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
}

/// How a command goes to the append-only file and to replicas.
#[derive(Default)]
pub enum Propagation {
    /// As it was received, if it changed anything.
    #[default]
    AsReceived,
    /// As these commands instead.
    Rewritten(Vec<Vec<Box<[u8]>>>),
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
    /// How the command is propagated.
    pub propagation: Propagation,
    /// Deletions of keys that were found expired: database and key.
    pub expired: Vec<(usize, Box<[u8]>)>,
}

impl Effects {
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

    /// Something happened to a key that is no change of its own.
    #[inline]
    pub fn event(&mut self, class: Class, name: &'static str, db: usize, key: &[u8]) {
        if self.listening & class as u32 != 0 {
            self.events.push(Event {
                class,
                name,
                db,
                key: key.into(),
            });
        }
    }

    /// A key was found expired and deleted.
    pub fn expired(&mut self, db: usize, key: &[u8]) {
        self.event(Class::Expired, "expired", db, key);
        if self.propagating {
            self.expired.push((db, key.into()));
        }
    }

    /// The command is propagated as this one instead of as received.
    #[inline]
    pub fn rewrite(&mut self, argv: &[&[u8]]) {
        if self.propagating {
            let command = argv.iter().map(|&a| a.into()).collect();
            match &mut self.propagation {
                Propagation::Rewritten(commands) => commands.push(command),
                other => *other = Propagation::Rewritten(vec![command]),
            }
        }
    }

    /// The command is not propagated.
    #[inline]
    pub fn do_not_propagate(&mut self) {
        self.propagation = Propagation::Nothing;
    }

    /// Forgets everything, for the next command.
    #[inline]
    pub fn reset(&mut self) {
        self.dirty = 0;
        if self.listening != 0 || self.propagating {
            self.events.clear();
            self.expired.clear();
        }
        if !matches!(self.propagation, Propagation::AsReceived) {
            self.propagation = Propagation::AsReceived;
        }
    }
}
