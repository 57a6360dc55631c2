//! What clients are sent beside their replies: messages, invalidations, the lines of MONITOR.
//!
//! It gathers in [`Server::deliveries`] and goes out behind the replies of the batch that caused it, in one write with
//! them where it can. A script or a transaction may cause any amount of it before that, so when it has become much
//! there it is handed to the clients' output, where limits bound it.

use crate::server::client::Slot;
use crate::server::client_eviction;
use crate::server::limits;
use crate::server::state::Server;
use bytes::Bytes;

/// Messages of so many bytes do not wait for the end of a script.
const BYTES_MAX: usize = 1 << 20;

/// Notes that a message of so many bytes, which they share, is to be delivered to so many clients.
#[inline]
pub fn note(server: &mut Server, bytes: usize, clients: usize) {
    server.delivery_bytes += bytes + clients * size_of::<(Slot, Bytes)>();
}

/// Hands over what is to be delivered if that has become much, but for what the client is sent whose script or
/// transaction runs: that has its place behind the reply. The replies of all others have been sent.
#[inline]
pub fn relieve(server: &mut Server, runs: Slot) {
    if server.delivery_bytes > BYTES_MAX {
        hand_over(server, runs);
    }
}

#[cold]
fn hand_over(server: &mut Server, runs: Slot) {
    server.delivery_bytes = 0;
    let mut all = std::mem::take(&mut server.deliveries);
    server.deliveries = all.extract_if(.., |(to, _)| *to == runs).collect();
    for (slot, bytes) in all {
        queue(server, slot, bytes);
    }
}

/// Puts a message behind the output of a client. Says whether something else waits there before it.
///
/// A client that is about to be closed is sent nothing more.
#[inline]
pub fn queue(server: &mut Server, slot: Slot, bytes: Bytes) -> bool {
    let Some(client) = server.clients.get_mut(slot) else {
        return false;
    };
    if client.closing.is_some() {
        return false;
    }
    let was_empty = client.out.is_empty();
    client.out.push(bytes);
    limits::check_output(server, slot);
    // A client with output is either attended to already, or when its socket has room.
    if was_empty {
        server.attend(slot);
    }
    client_eviction::note(server, slot, 0);
    !was_empty
}
