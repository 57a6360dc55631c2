//! WATCH: keys whose change keeps a transaction from running.
//!
//! A watch remembers how its key was: there, missing, or expired though not deleted yet. As long as the
//! watch is untouched the key is still so, since every change states an event ([`Effects::events`]) and
//! is seen here; so whether a flushed or swapped database had the key need not be looked up. A key that
//! was expired already may be deleted without a change; one that expires later has changed, which is
//! found out at EXEC if nothing else met it before.
//!
//! A change costs one lookup an event, and nothing is recorded while nobody watches.
//!
//! [`Effects::events`]: crate::keyspace::Effects

use crate::keyspace::effects::Class;
use crate::server::client::Slot;
use crate::server::reactions;
use crate::server::state::Server;
use std::collections::{BTreeMap, HashMap};

/// A key that a client watches.
pub struct Watched {
    db: usize,
    key: Box<[u8]>,
}

impl Watched {
    /// The heap bytes that it and its list's element hold.
    pub fn heap_bytes(&self) -> usize {
        size_of::<Watched>() + self.key.len()
    }
}

/// How a watched key was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Missing,
    Present,
    /// Expired, but still there.
    Expired,
}

struct Watcher {
    slot: Slot,
    state: State,
}

/// Who watches which key.
#[derive(Default)]
pub struct Watchers {
    dbs: BTreeMap<usize, HashMap<Box<[u8]>, Vec<Watcher>>>,
    clients: usize,
}

impl Watchers {
    /// The number of clients that watch keys.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// The number of keys that are watched.
    pub fn keys(&self) -> usize {
        self.dbs.values().map(HashMap::len).sum()
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.clients == 0
    }

    fn of_mut(&mut self, db: usize, key: &[u8]) -> Option<&mut Vec<Watcher>> {
        self.dbs.get_mut(&db)?.get_mut(key)
    }

    fn remove(&mut self, slot: Slot, watched: &Watched) {
        let keys = self.dbs.get_mut(&watched.db);
        let keys = keys.expect("a watched key is in the index");
        let watchers = keys.get_mut(&watched.key);
        let watchers = watchers.expect("a watched key is in the index");
        watchers.retain(|watcher| watcher.slot != slot);
        if watchers.is_empty() {
            keys.remove(&watched.key);
        }
        if keys.is_empty() {
            self.dbs.remove(&watched.db);
        }
    }
}

/// Has a client watch a key of its database, unless it does already.
pub fn add(server: &mut Server, slot: Slot, key: &[u8]) {
    let db = server.clients.at(slot).db;
    let state = state_of(server, db, key);
    let keys = server.watchers.dbs.entry(db).or_default();
    let watchers = match keys.get_mut(key) {
        Some(watchers) => watchers,
        None => keys.entry(key.into()).or_default(),
    };
    if watchers.iter().any(|watcher| watcher.slot == slot) {
        return;
    }
    watchers.push(Watcher { slot, state });
    let client = server.clients.at_mut(slot);
    let watched = &mut client.transaction.get_or_insert_default().watched;
    let is_first = watched.is_empty();
    let key = key.into();
    watched.push(Watched { db, key });
    if is_first {
        server.watchers.clients += 1;
        reactions::note_listeners(server);
    }
}

/// Ends all watches of a client.
pub fn forget(server: &mut Server, slot: Slot) {
    let client = server.clients.get_mut(slot);
    let Some(transaction) = client.and_then(|client| client.transaction.as_mut()) else {
        return;
    };
    let watched = std::mem::take(&mut transaction.watched);
    if watched.is_empty() {
        return;
    }
    for watched in &watched {
        server.watchers.remove(slot, watched);
    }
    server.watchers.clients -= 1;
    reactions::note_listeners(server);
}

/// UNWATCH: ends all watches of a client, and what came of them.
pub fn unwatch(server: &mut Server, slot: Slot) {
    forget(server, slot);
    let client = server.clients.at_mut(slot);
    if !client.is_in_multi() {
        client.transaction = None;
    } else if let Some(transaction) = &mut client.transaction {
        transaction.is_touched = false;
    }
}

/// A key was changed: transactions of those that watch it will not run.
pub fn touch(server: &mut Server, class: Class, db: usize, key: &[u8]) {
    let Some(watchers) = server.watchers.of_mut(db, key) else {
        return;
    };
    let mut touched = Vec::new();
    for watcher in watchers {
        if class == Class::Expired && watcher.state == State::Expired {
            watcher.state = State::Missing;
        } else {
            touched.push(watcher.slot);
        }
    }
    spoil(server, &touched);
}

/// A database was emptied.
pub fn note_flush(server: &mut Server, db: usize) {
    change_database(server, db, |_, before| match before {
        State::Present => None,
        State::Missing | State::Expired => Some(State::Missing),
    });
}

/// A database holds what another one held before.
pub fn note_swap(server: &mut Server, db: usize) {
    change_database(server, db, |now, before| match (before, now) {
        (State::Present, _) | (_, State::Present) => None,
        _ => Some(now),
    });
}

/// Tells each watch of a database how its key is now and was; what comes back is how the key is
/// regarded from here on, `None` if it has changed.
fn change_database(server: &mut Server, db: usize, judge: impl Fn(State, State) -> Option<State>) {
    let Some(mut keys) = server.watchers.dbs.remove(&db) else {
        return;
    };
    let mut touched = Vec::new();
    for (key, watchers) in &mut keys {
        let now = state_of(server, db, key);
        for watcher in watchers {
            match judge(now, watcher.state) {
                Some(state) => watcher.state = state,
                None => touched.push(watcher.slot),
            }
        }
    }
    server.watchers.dbs.insert(db, keys);
    spoil(server, &touched);
}

/// Looks whether a watched key has expired since.
pub fn check_expired(server: &mut Server, slot: Slot) {
    let Some(transaction) = &server.clients.at(slot).transaction else {
        return;
    };
    let has_expired = transaction.watched.iter().any(|Watched { db, key }| {
        let watchers = &server.watchers.dbs[db][key];
        let mut own = watchers.iter().filter(|watcher| watcher.slot == slot);
        own.any(|watcher| watcher.state != State::Expired)
            && state_of(server, *db, key) == State::Expired
    });
    if has_expired {
        spoil(server, &[slot]);
    }
}

fn state_of(server: &Server, db: usize, key: &[u8]) -> State {
    let db = server.keyspace.db(db);
    let Some(place) = db.find(server.keyspace.key(key)) else {
        return State::Missing;
    };
    let expiry = db.entry(place).expiry();
    if expiry.is_some_and(|at| at <= server.now_ms()) {
        State::Expired
    } else {
        State::Present
    }
}

/// The transactions of these clients will not run, so neither what they watch nor what they queued is
/// of use. A client may be among them more than once.
fn spoil(server: &mut Server, slots: &[Slot]) {
    for &slot in slots {
        let client = server.clients.at_mut(slot);
        let transaction = client.transaction.as_mut();
        let transaction = transaction.expect("a client that watches has a transaction");
        transaction.is_touched = true;
        transaction.drop_queue();
        forget(server, slot);
    }
}
