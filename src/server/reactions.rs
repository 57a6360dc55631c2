//! What follows from the events that a command, the clock or eviction stated.
//!
//! Events are recorded only while somebody wants them ([`note_listeners`]), so a server whose clients use
//! none of this pays the test of one mask an event.

use crate::keyspace::effects::Replaced;
use crate::server::blocked;
use crate::server::client::Slot;
use crate::server::notify;
use crate::server::propagate;
use crate::server::state::Server;
use crate::server::tracking;
use crate::server::watch;

/// Brings what [`Effects`](crate::keyspace::Effects) records up to date with who wants to know.
pub fn note_listeners(server: &mut Server) {
    let is_any_key_watched = !server.watchers.is_empty() || server.tracking.has_listeners();
    let notify_classes = notify::classes(server);
    server.effects.listen(notify_classes, is_any_key_watched);
}

/// Carries out what follows from the events of a command of `by`, and forgets them.
#[cold]
pub fn run(server: &mut Server, by: Option<Slot>) {
    let mut events = std::mem::take(&mut server.effects.events);
    for event in &events {
        if event.is_change {
            watch::touch(server, event.class, event.db, &event.key);
            tracking::invalidate(server, event, by);
        }
        notify::publish(server, std::slice::from_ref(event));
    }
    if let Some(replaced) = server.effects.replaced.take() {
        note_replaced(server, replaced, by);
    }
    #[cfg(test)]
    {
        let names = events.iter().map(|event| event.name);
        server.effects.told.extend(names);
    }
    events.clear();
    server.effects.events = events;
}

/// The same for what happened by the clock or for want of memory.
pub fn run_unasked(server: &mut Server) {
    propagate::expired(server);
    if server.effects.has_reactions() {
        run(server, None);
    }
}

fn note_replaced(server: &mut Server, replaced: Replaced, by: Option<Slot>) {
    match replaced {
        Replaced::Flushed(dbs) => {
            dbs.clone().for_each(|db| watch::note_flush(server, db));
            tracking::note_flush(server, by);
            blocked::note_flush(server, dbs);
        }
        Replaced::Swapped(first, second) => {
            watch::note_swap(server, first);
            watch::note_swap(server, second);
            blocked::note_swap(server, first, second);
        }
    }
}
