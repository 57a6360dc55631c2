//! What comes in: the bytes of the ready sockets, and the requests that they are not all of yet.

use super::EventLoop;
use crate::server::client::{Closing, Slot};
use crate::server::client_eviction;
use crate::server::limits::{self, Overrun};
use std::io::ErrorKind;

/// A socket is read only if this much of it is free.
pub(super) const READ_MIN: usize = 16 << 10;
/// What one socket may fill of it at once.
const READ_MAX: usize = 64 << 10;
/// An incomplete request larger than this is gathered in the client's own buffer.
const GATHER_MIN: usize = 32 << 10;
/// What one read adds to that buffer at most.
const GATHER_MAX: usize = 256 << 10;

impl EventLoop {
    /// Reads what a client sent behind the `used` bytes of the inbox and cuts it into requests.
    /// Returns how much of the inbox is used then.
    pub(super) fn receive(&mut self, slot: Slot, inbox: &mut [u8], used: usize) -> usize {
        let client = self.server.clients.at_mut(slot);
        if client.closing.is_some() {
            return used;
        }
        let pending = client.query.len();
        if pending > GATHER_MIN || client.progress().bytes_needed() > READ_MIN {
            self.gather(slot, inbox);
            return used;
        }
        // The start of an incomplete request moves into the inbox; what follows is read behind it.
        if inbox.len() - used < pending + READ_MIN {
            self.run_batch(inbox);
            return self.receive(slot, inbox, 0);
        }
        let client = self.server.clients.at_mut(slot);
        inbox[used..used + pending].copy_from_slice(&client.query);
        let from = used + pending;
        let to = (from + READ_MAX).min(inbox.len());
        let held = client.is_held();
        let read = match self.read(slot, &mut inbox[from..to]) {
            Some(n) => n,
            None if pending > 0 && !held && !self.is_closing(slot) => 0,
            None => return used,
        };
        let client = self.server.clients.at_mut(slot);
        client.query.clear();
        if held {
            client.query.extend_from_slice(&inbox[used..from + read]);
            return used;
        }
        let end = from + read;
        let cut = self
            .batch
            .cut(&mut self.server, slot, &mut inbox[..end], used);
        if !cut.failed {
            self.keep(slot, &inbox[cut.rest..end]);
        }
        if cut.again && cut.rest < end {
            self.make_ready(slot);
        }
        if self.batch.runs_scripts() {
            // A script may take long, and others are served meanwhile: none of them waits in the batch.
            self.run_batch(inbox);
            return 0;
        }
        end
    }

    /// Keeps the start of an incomplete request until more of it comes.
    fn keep(&mut self, slot: Slot, rest: &[u8]) {
        let client = self.server.clients.at_mut(slot);
        if rest.is_empty() {
            return;
        }
        let announced = limits::announced_room(client.progress().bytes_needed());
        let room = rest.len().max(announced).max(limits::QUERY_ROOM_MIN);
        client.query.reserve_exact(room);
        client.query.extend_from_slice(rest);
        client.note_query(rest.len());
        client_eviction::note(&mut self.server, slot, 0);
    }

    /// Reads more of a large request into the client's own buffer, and runs it from there when it is
    /// whole.
    fn gather(&mut self, slot: Slot, inbox: &[u8]) {
        let client = self.server.clients.at_mut(slot);
        let mut query = std::mem::take(&mut client.query);
        let held = client.is_held();
        let had = query.len();
        let needed = client.progress().bytes_needed();
        let missing = needed.saturating_sub(had);
        let more = missing.clamp(READ_MAX, GATHER_MAX);
        grow(&mut query, more, needed);
        query.resize(had + more, 0);
        let read = self.read(slot, &mut query[had..]);
        query.truncate(had + read.unwrap_or(0));
        if missing < READ_MAX && query.len() < needed {
            // The room for what may have come behind the request is not needed until that is whole.
            query.shrink_to(needed);
        }
        client_eviction::note(&mut self.server, slot, query.capacity());
        client_eviction::evict(&mut self.server);
        if self.is_closing(slot) {
            return;
        }
        if limits::check_query(&mut self.server, slot, query.len()) == Overrun::Close || held {
            self.server.clients.at_mut(slot).query = query;
            return;
        }
        // What is in the batch lies in the inbox, and came first.
        self.run_batch(inbox);
        let cut = self.batch.cut(&mut self.server, slot, &mut query, 0);
        self.run_batch(&query);
        let client = self.server.clients.at_mut(slot);
        if cut.failed || client.closing.is_some() {
            return;
        }
        if client.is_held() {
            client.query.extend_from_slice(&query[cut.rest..]);
            return;
        }
        client.note_query(query.len());
        let more_requests = cut.again && cut.rest < query.len();
        query.drain(..cut.rest);
        if query.capacity() > limits::QUERY_ROOM_KEPT_MAX && cut.rest > 0 {
            query.shrink_to_fit();
        }
        client.query = query;
        client_eviction::note(&mut self.server, slot, 0);
        if more_requests {
            self.make_ready(slot);
        }
    }

    /// Reads from a client's socket; `None` if there is nothing, or an end, which is noted. A client
    /// that may have sent more is ready again.
    fn read(&mut self, slot: Slot, into: &mut [u8]) -> Option<usize> {
        let connection = self.sockets.connections[slot].as_mut()?;
        let (room, read_closed) = (into.len(), connection.read_closed);
        let end = match connection.transport.read(into) {
            Ok(0) => "Client closed connection".to_string(),
            Ok(n) => {
                self.server.stats.reads += 1;
                self.server.stats.bytes_in += n as u64;
                let now_ms = self.server.now_ms();
                let client = self.server.clients.at_mut(slot);
                client.bytes_in += n as u64;
                client.active_ms = now_ms;
                if n == room || read_closed {
                    self.make_ready(slot);
                }
                return Some(n);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return None,
            Err(e) => format!("Reading from client: {e}"),
        };
        tracing::debug!("{end} {}", self.server.describe(slot));
        self.close(slot, Closing::Now);
        None
    }

    /// Puts requests that must wait back in front of what the client sent after them.
    pub(super) fn put_back(&mut self, slot: Slot, mut unrun: Vec<u8>) {
        if unrun.is_empty() {
            return;
        }
        let client = self.server.clients.at_mut(slot);
        unrun.extend_from_slice(&client.query);
        client.query = unrun;
        client.set_progress(Default::default());
    }
}

/// Makes room for `more` bytes, and as long as a request needs it for about as much again as there is.
fn grow(query: &mut Vec<u8>, more: usize, needed: usize) {
    let wanted = query.len() + more;
    if wanted > query.capacity() {
        let room = (2 * query.capacity()).min(needed).max(wanted);
        query.reserve_exact(room - query.len());
    }
}
