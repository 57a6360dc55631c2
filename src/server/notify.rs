//! Keyspace notifications: the events of the keyspace, published as messages.
//!
//! Each event is up to two messages, as `notify-keyspace-events` says: what happened to a key on the
//! key's channel (`K`), and to which key something happened on the event's channel (`E`).

use crate::keyspace::effects::Event;
use crate::server::config::events;
use crate::server::pubsub;
use crate::server::state::Server;
use std::io::Write;

/// The classes of events that somebody could be told of.
pub fn classes(server: &Server) -> u32 {
    let wanted = server.config.notify_keyspace_events;
    let has_channel = wanted & (events::KEYSPACE | events::KEYEVENT) != 0;
    if has_channel && server.pubsub.has_listeners() {
        wanted
    } else {
        0
    }
}

/// Publishes events, in order.
pub fn publish(server: &mut Server, happened: &[Event]) {
    let wanted = classes(server);
    let mut channel = Vec::new();
    for event in happened {
        if wanted & event.class as u32 == 0 {
            continue;
        }
        let name = event.name.as_bytes();
        if wanted & events::KEYSPACE != 0 {
            begin(&mut channel, "keyspace", event.db, &event.key);
            pubsub::publish(server, &channel, name);
        }
        if wanted & events::KEYEVENT != 0 {
            begin(&mut channel, "keyevent", event.db, name);
            pubsub::publish(server, &channel, &event.key);
        }
    }
}

/// The channel `__<space>@<db>__:<of>`.
fn begin(channel: &mut Vec<u8>, space: &str, db: usize, of: &[u8]) {
    channel.clear();
    write!(channel, "__{space}@{db}__:").expect("a Vec takes all bytes");
    channel.extend_from_slice(of);
}
