//! Limits on what a client may cost: connections, unfinished requests, unsent replies.

use crate::server::client::{Client, Closing, Endpoint, Slot};
use crate::server::config::BufferLimit;
use crate::server::state::Server;
use std::num::NonZero;

/// A request of at most this many bytes is given room on the word of its header; a larger one as it
/// comes.
pub const ANNOUNCED_MAX: usize = 1 << 20;

/// Room that a client's own buffer has at least, once it has one.
pub const QUERY_ROOM_MIN: usize = 16 << 10;

/// Room that a client's own buffer keeps when its request has run, until the client's upkeep.
pub const QUERY_ROOM_KEPT_MAX: usize = 1 << 20;

/// Replies of at most this many bytes do not count against the limits if the socket takes them.
const REPLY_SMALL_MAX: usize = 16 << 10;

/// Bytes that may wait for a client that never authenticated and must.
const STRANGER_OUTPUT_MAX: usize = 1 << 10;

/// Whether a client went too far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overrun {
    /// It did not.
    None,
    /// It is being closed.
    Close,
}

/// The room that a request of this announced size is given before it has come.
pub fn announced_room(bytes: usize) -> usize {
    if bytes <= ANNOUNCED_MAX { bytes } else { 0 }
}

/// Checks the size of a client's unfinished request.
pub fn check_query(server: &mut Server, slot: Slot, bytes: usize) -> Overrun {
    if bytes <= server.config.client_query_buffer_limit as usize {
        return Overrun::None;
    }
    tracing::warn!(
        "Closing client that reached max query buffer length: {} (qbuf initial bytes: {bytes})",
        server.describe(slot)
    );
    server.stats.query_limit_disconnections += 1;
    server.close_client(slot, Closing::Now);
    Overrun::Close
}

/// Whether a client gets no reply of this size, because that would exceed a hard limit: it is being
/// closed then, and sent nothing of it.
#[inline]
pub fn refuse_reply(server: &mut Server, slot: Slot, bytes: usize) -> bool {
    let client = server.clients.at(slot);
    if bytes <= REPLY_SMALL_MAX && client.is_authenticated() {
        return false;
    }
    look_at_reply(server, slot, bytes)
}

#[cold]
fn look_at_reply(server: &mut Server, slot: Slot, bytes: usize) -> bool {
    let counted = if server.replies_count_large {
        bytes + REPLY_SMALL_MAX
    } else {
        bytes
    };
    let client = server.clients.at(slot);
    let waiting = client.out.bytes()
        + if counted <= REPLY_SMALL_MAX {
            0
        } else {
            counted
        };
    let refused = exceeds_hard_limit(server, client, waiting);
    if refused {
        close_for_output(server, slot);
    }
    refused
}

/// The limits of a client's class.
fn limit_of(server: &Server, client: &Client) -> BufferLimit {
    let limits = &server.config.client_output_buffer_limit;
    if client.is_subscribed() {
        limits.pubsub
    } else {
        limits.normal
    }
}

fn exceeds_hard_limit(server: &Server, client: &Client, waiting: usize) -> bool {
    let limit = limit_of(server, client).hard as usize;
    let is_stranger = !client.is_authenticated() && !client.was_authenticated;
    (limit != 0 && waiting > limit) || (is_stranger && waiting > STRANGER_OUTPUT_MAX)
}

/// Checks what waits to be sent to a client against its class's limits, hard and soft.
pub fn check_output(server: &mut Server, slot: Slot) {
    let now_s = (server.now_ms() / 1000) as u32;
    let limit = limit_of(server, server.clients.at(slot));
    let client = server.clients.at_mut(slot);
    let waiting = client.out.bytes();
    let soft = limit.soft != 0 && waiting as u64 > limit.soft;
    client.soft_limit_since_s = match soft {
        true => client.soft_limit_since_s.or(NonZero::new(now_s)),
        false => None,
    };
    let over_since = client.soft_limit_since_s.map_or(now_s, NonZero::get);
    let too_long = soft && u64::from(now_s.saturating_sub(over_since)) > limit.soft_seconds;
    if too_long || exceeds_hard_limit(server, server.clients.at(slot), waiting) {
        close_for_output(server, slot);
    }
}

fn close_for_output(server: &mut Server, slot: Slot) {
    if server.clients.at(slot).closing == Some(Closing::Now) {
        return;
    }
    tracing::warn!(
        "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.",
        server.describe(slot)
    );
    server.stats.output_limit_disconnections += 1;
    server.close_client(slot, Closing::Now);
}

/// What a new connection is told if it cannot stay.
pub fn refuse_connection(server: &mut Server, peer: &Endpoint) -> Option<String> {
    if server.clients.len() >= server.config.maxclients as usize {
        server.stats.rejected_connections += 1;
        return Some("-ERR max number of clients reached\r\n".into());
    }
    if !peer.is_local() && server.config.protected_mode && server.config.requirepass.is_empty() {
        server.stats.rejected_connections += 1;
        return Some(
            "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for \
             the default user. In this mode connections are only accepted from the loopback interface. To connect from \
             elsewhere, set a password for the default user (requirepass), bind only to trusted interfaces, or turn the \
             mode off from a local client with 'CONFIG SET protected-mode no' if nothing untrusted can reach this port.\r\n"
                .into(),
        );
    }
    None
}
