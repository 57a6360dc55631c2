//! What comes in: the bytes of the ready sockets, and the requests that they are not all of yet.

use super::EventLoop;
use crate::server::client::{Closing, Slot};
use crate::server::client_eviction;
use crate::server::limits::{self, Overrun};
use bytes::{Buf, Bytes};
use std::io::{self, ErrorKind};

/// A socket is read only if this much of it is free.
pub(super) const READ_MIN: usize = 16 << 10;
/// What one socket may fill of it at once.
const READ_MAX: usize = 64 << 10;
/// An incomplete request larger than this is gathered in the client's own buffer.
const GATHER_MIN: usize = 32 << 10;
/// What one read adds to that buffer at most.
const GATHER_MAX: usize = 256 << 10;
/// If less than this is missing of a request, what follows it is read along.
const EXACT_MIN: usize = 4 << 10;

impl EventLoop {
    /// Reads what a client sent behind the `used` bytes of the inbox and cuts it into requests.
    /// Returns how much of the inbox is used then.
    pub(super) fn receive(&mut self, slot: Slot, inbox: &mut [u8], used: usize) -> usize {
        let client = self.server.clients.at_mut(slot);
        if client.closing.is_some() {
            return used;
        }
        let pending = client.query.len();
        let is_large = client.progress().bytes_needed() > READ_MIN;
        if is_large || client.query.capacity() > GATHER_MIN {
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
        // Not a byte more than belongs to the request, so that its buffer is its own; the next one is thought to be
        // as large.
        let more = match missing {
            0 if had == 0 => query.capacity().clamp(READ_MIN, GATHER_MAX),
            ..EXACT_MIN => READ_MAX,
            _ => missing.min(GATHER_MAX),
        };
        grow(&mut query, more, needed);
        self.read_behind(slot, &mut query, more);
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
        let len = query.len();
        let mut query = self.run_alone(query, cut.rest);
        let client = self.server.clients.at_mut(slot);
        if cut.failed || client.closing.is_some() {
            return;
        }
        if client.is_held() {
            client.query.extend_from_slice(&query);
            return;
        }
        client.note_query(len);
        let more_requests = cut.again && !query.is_empty();
        if cut.rest > 0 {
            fit(&mut query, len);
        }
        client.query = query;
        client_eviction::note(&mut self.server, slot, 0);
        if more_requests {
            self.make_ready(slot);
        }
    }

    /// Runs the batch, whose requests lie in a buffer of their own, up to `rest`. What lies behind is given back, in
    /// the same buffer unless a value has stayed there.
    fn run_alone(&mut self, mut query: Vec<u8>, rest: usize) -> Vec<u8> {
        let spare = query.capacity() - query.len();
        if rest == 0 || spare > query.len() / 8 {
            // Nothing runs, or a value would have all that room beside it.
            self.run_batch(&query);
            query.drain(..rest);
            return query;
        }
        let frame = Bytes::from(query);
        self.server.frame = frame.clone();
        self.run_batch(&frame);
        self.server.frame = Bytes::new();
        match frame.try_into_mut() {
            Ok(mut query) => {
                query.advance(rest);
                Vec::from(query)
            }
            Err(frame) => frame[rest..].to_vec(),
        }
    }

    /// Reads from a client's socket; `None` if there is nothing, or an end, which is noted. A client
    /// that may have sent more is ready again.
    fn read(&mut self, slot: Slot, into: &mut [u8]) -> Option<usize> {
        let connection = self.sockets.connections[slot].as_mut()?;
        let result = connection.transport.read(into);
        self.note_read(slot, result, into.len())
    }

    /// The same into the room behind what `into` holds, at most `max` bytes.
    fn read_behind(&mut self, slot: Slot, into: &mut Vec<u8>, max: usize) -> Option<usize> {
        let connection = self.sockets.connections[slot].as_mut()?;
        let result = connection.transport.read_behind(into, max);
        self.note_read(slot, result, max)
    }

    fn note_read(&mut self, slot: Slot, result: io::Result<usize>, room: usize) -> Option<usize> {
        let read_closed = self.sockets.connections[slot].as_ref()?.read_closed;
        let end = match result {
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

/// Gives a buffer the room that it is to have when requests of so many bytes have run.
fn fit(query: &mut Vec<u8>, bytes: usize) {
    if bytes < GATHER_MIN || query.capacity() > limits::QUERY_ROOM_KEPT_MAX {
        query.shrink_to(limits::QUERY_ROOM_MIN);
    } else if query.capacity() == 0 && bytes <= limits::QUERY_ROOM_KEPT_MAX {
        // A value has stayed in the last one.
        query.reserve_exact(bytes);
    }
}

/// Makes room for `more` bytes, and as long as a request needs it for about as much again as there is. Who has sent a
/// part of a request gets room for all of it, as moving what there is takes ever longer.
fn grow(query: &mut Vec<u8>, more: usize, needed: usize) {
    /// That part: what a client announces takes no more than so many times what it sends.
    const PARTS: usize = 16;
    let wanted = query.len() + more;
    if wanted > query.capacity() {
        let room = if query.len() >= needed / PARTS {
            needed
        } else {
            2 * query.capacity()
        };
        query.reserve_exact(room.clamp(wanted, needed.max(wanted)) - query.len());
    }
}
