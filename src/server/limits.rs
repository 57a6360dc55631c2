//! Limits on what a client may cost: connections, unfinished requests, unsent replies.

use crate::server::client::{Closing, Endpoint, Slot};
use crate::server::state::Server;

/// Memory reserved ahead for a request on the word of its header.
pub const ANNOUNCED_MAX: usize = 1 << 20;

/// Whether a client went too far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overrun {
    /// It did not.
    None,
    /// It is being closed.
    Close,
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

/// Checks what waits to be sent to a client against its class's limits, hard and soft.
pub fn check_output(server: &mut Server, slot: Slot) {
    let now_ms = server.now_ms();
    let client = server.clients.at_mut(slot);
    let limit = &server.config.client_output_buffer_limit.normal;
    let waiting = client.out.bytes() as u64;
    let hard = limit.hard != 0 && waiting > limit.hard;
    let soft = limit.soft != 0 && waiting > limit.soft;
    let over_since = if soft {
        *client.soft_limit_since_ms.get_or_insert(now_ms)
    } else {
        now_ms
    };
    if !soft {
        client.soft_limit_since_ms = None;
    }
    let too_long = soft && now_ms - over_since > limit.soft_seconds as i64 * 1000;
    if hard || too_long {
        close_for_output(server, slot);
    }
}

/// Checks replies that are about to be sent to a client against its class's hard limit. The limit is on what a client
/// asks for, whether or not the system has room for it at this moment.
#[inline]
pub fn check_replies(server: &mut Server, slot: Slot, bytes: usize) -> Overrun {
    /// Redis keeps as much in the client itself, where it does not count.
    const UNCOUNTED: usize = 16 << 10;
    let hard = server.config.client_output_buffer_limit.normal.hard;
    if hard == 0 || bytes <= UNCOUNTED {
        return Overrun::None;
    }
    let waiting = server.clients.at(slot).out.bytes() + bytes;
    if waiting as u64 <= hard {
        return Overrun::None;
    }
    close_for_output(server, slot);
    Overrun::Close
}

#[cold]
fn close_for_output(server: &mut Server, slot: Slot) {
    if server.clients.at(slot).closing != Some(Closing::Now) {
        tracing::warn!(
            "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.",
            server.describe(slot)
        );
        server.stats.output_limit_disconnections += 1;
        server.close_client(slot, Closing::Now);
    }
}

/// What a new connection is told if it cannot stay.
pub fn refuse_connection(server: &mut Server, peer: &Endpoint) -> Option<String> {
    if server.clients.len() >= server.config.maxclients as usize {
        server.stats.rejected_connections += 1;
        return Some("-ERR max number of clients reached\r\n".into());
    }
    let remote =
        matches!(peer, Endpoint::Tcp(address) if !address.ip().to_canonical().is_loopback());
    if remote && server.config.protected_mode && server.config.requirepass.is_empty() {
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
