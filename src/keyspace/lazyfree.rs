//! The thread that frees what is too big to free while clients wait.
//!
//! It receives owned values over a channel and drops them; the memory goes back to the command
//! thread's heap by the heap's own means (`base::slab`).

use super::db::Db;
use super::entry::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

/// Something to free, which nothing else refers to.
pub(super) enum Garbage {
    Entry(Entry),
    /// An entry whose user asked for no laziness, so that no figure shows it.
    Uncounted(Entry),
    Db(Db),
    /// What is none of the keyspace's.
    Other(Box<dyn Send>),
}

impl Garbage {
    /// How many keys go with it.
    fn objects(&self) -> u64 {
        match self {
            Garbage::Entry(_) => 1,
            Garbage::Uncounted(_) | Garbage::Other(_) => 0,
            Garbage::Db(db) => db.len() as u64,
        }
    }

    fn free(self) {
        match self {
            Garbage::Entry(entry) | Garbage::Uncounted(entry) => entry.free(),
            Garbage::Db(db) => drop(db),
            Garbage::Other(other) => drop(other),
        }
    }
}

#[derive(Default)]
struct Counters {
    /// What was sent and is not freed yet, counted or not.
    sent: AtomicU64,
    pending: AtomicU64,
    freed: AtomicU64,
}

/// The sending side; the thread starts with the first thing to free and ends with this.
pub struct LazyFree {
    sender: Option<Sender<Garbage>>,
    counters: Arc<Counters>,
}

impl Default for LazyFree {
    fn default() -> Self {
        LazyFree::new()
    }
}

impl LazyFree {
    /// A string with fewer bytes is freed faster than it is handed over.
    const BYTES_MIN: usize = 64 << 10;
    /// The same for a collection, in allocations.
    const WEIGHT_MIN: usize = 64;
    /// Freeing a collection of more allocations would be felt, whatever the settings are.
    const WEIGHT_MAX: usize = 4096;
    /// A database with fewer keys is freed faster than it is handed over.
    pub(super) const KEYS_MIN: usize = 64;

    /// No thread yet.
    pub fn new() -> LazyFree {
        LazyFree {
            sender: None,
            counters: Arc::default(),
        }
    }

    /// Keys that were handed over and are not freed yet.
    pub fn pending(&self) -> u64 {
        self.counters.pending.load(Ordering::Relaxed)
    }

    /// Whether the thread has something to free.
    pub fn is_busy(&self) -> bool {
        self.counters.sent.load(Ordering::Relaxed) > 0
    }

    /// Keys that the thread has freed since the start, or since [`LazyFree::reset_stats`].
    pub fn freed(&self) -> u64 {
        self.counters.freed.load(Ordering::Relaxed)
    }

    /// Counts from zero again (CONFIG RESETSTAT).
    pub fn reset_stats(&mut self) {
        self.counters.freed.store(0, Ordering::Relaxed);
    }

    /// Has the thread drop something that is none of the keyspace's.
    pub fn drop_later(&mut self, garbage: Box<dyn Send>) {
        self.send(Garbage::Other(garbage));
    }

    /// Whether an entry is worth handing over.
    pub(super) fn takes(&self, entry: Entry) -> bool {
        entry.weight() > Self::WEIGHT_MIN
            || entry
                .raw_mut()
                .is_some_and(|raw| raw.allocated() >= Self::BYTES_MIN)
    }

    /// Whether an entry is handed over although nobody asked for it.
    #[inline]
    pub(super) fn takes_anyway(&self, entry: Entry) -> bool {
        entry.weight() > Self::WEIGHT_MAX
    }

    pub(super) fn send(&mut self, garbage: Garbage) {
        self.counters
            .pending
            .fetch_add(garbage.objects(), Ordering::Relaxed);
        if self.sender.is_none() {
            self.sender = start(self.counters.clone());
        }
        self.counters.sent.fetch_add(1, Ordering::Relaxed);
        let refused = match &self.sender {
            Some(sender) => sender.send(garbage).err().map(|refused| refused.0),
            None => Some(garbage),
        };
        if let Some(garbage) = refused {
            free(garbage, &self.counters);
        }
    }
}

/// The thread; `None` if the system has none to give.
fn start(counters: Arc<Counters>) -> Option<Sender<Garbage>> {
    let (sender, receiver) = channel::<Garbage>();
    let started = std::thread::Builder::new()
        .name("lazyfree".into())
        .spawn(move || {
            for garbage in receiver {
                free(garbage, &counters);
            }
        });
    started.is_ok().then_some(sender)
}

fn free(garbage: Garbage, counters: &Counters) {
    let objects = garbage.objects();
    garbage.free();
    counters.pending.fetch_sub(objects, Ordering::Relaxed);
    counters.freed.fetch_add(objects, Ordering::Relaxed);
    counters.sent.fetch_sub(1, Ordering::Relaxed);
}
