//! What comes in: the bytes of the ready sockets, and the requests that they are not all of yet.

use super::EventLoop;
use crate::server::blocked;
use crate::server::client::{Closing, Slot};
use crate::server::client_eviction;
use crate::server::limits::{self, Overrun};
use crate::server::query::LARGE_MIN;
use bytes::Bytes;
use std::io::{self, ErrorKind};

/// A socket is read only if this much of it is free.
pub(super) const READ_MIN: usize = 16 << 10;
/// What one socket may fill of it at once.
const READ_MAX: usize = 64 << 10;
/// What one read adds to a client's own buffer at most.
const GATHER_MAX: usize = 256 << 10;
/// If less than this is missing of a request, what follows it is read along.
const EXACT_MIN: usize = 4 << 10;

impl EventLoop {
    /// Has a client go on: what it sent behind the `used` bytes of the inbox is read, and cut into requests.
    /// Returns how much of the inbox is used then.
    ///
    /// As long as there may be whole requests that were read before, nothing more is read. Who sends faster than its
    /// requests run waits, and what came before the end of a connection has run when that is noticed.
    pub(super) fn receive(&mut self, slot: Slot, inbox: &mut [u8], used: usize) -> usize {
        let client = self.server.clients.at_mut(slot);
        if client.closing.is_some() || client.is_in_script() {
            // A script goes on, and what is read would only wait for its end.
            return used;
        }
        if client.is_held() {
            if self.gather(slot) {
                let client = self.server.clients.at_mut(slot);
                client.query.note_requests(true);
            }
            return used;
        }
        let query = &client.query;
        let is_large = query.progress().bytes_needed() > READ_MIN;
        let (pending, has_requests) = (query.len(), query.has_requests());
        if is_large || query.capacity() > LARGE_MIN {
            if has_requests {
                self.make_ready(slot);
            } else if !self.gather(slot) {
                return used;
            }
            // What is in the batch came first.
            self.run_batch(inbox);
            self.run_alone(slot);
            return 0;
        }
        // The start of an incomplete request moves into the inbox; what follows is read behind it.
        if inbox.len() - used < pending + READ_MIN {
            self.run_batch(inbox);
            return self.receive(slot, inbox, 0);
        }
        let from = used + pending;
        let to = (from + READ_MAX).min(inbox.len());
        let read = if has_requests {
            self.make_ready(slot);
            0
        } else {
            match self.read(slot, &mut inbox[from..to]) {
                Some(n) => n,
                None => return used,
            }
        };
        if pending > 0 {
            let client = self.server.clients.at(slot);
            inbox[used..from].copy_from_slice(client.query.bytes());
        }
        let end = from + read;
        let cut = self
            .batch
            .cut(&mut self.server, slot, &mut inbox[..end], used);
        let rest = if cut.failed { end } else { cut.rest };
        if pending > 0 || rest < end {
            let client = self.server.clients.at_mut(slot);
            client.query.keep(&inbox[rest..end], cut.again);
            client_eviction::note(&mut self.server, slot, 0);
            if cut.again {
                self.make_ready(slot);
            }
        }
        if self.batch.runs_scripts() {
            // A script may take long, and others are served meanwhile: none of them waits in the batch.
            self.run_batch(inbox);
            return 0;
        }
        end
    }

    /// Reads into the client's own buffer, more of a large request or what is to wait. Says whether the client is
    /// still there.
    fn gather(&mut self, slot: Slot) -> bool {
        let client = self.server.clients.at_mut(slot);
        let needed = client.query.progress().bytes_needed();
        let mut query = client.query.take().into_compact();
        let had = query.len();
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
        if missing < EXACT_MIN && query.len() < needed {
            // The room for what may have come behind the request is not needed until that is whole.
            query.shrink_to(needed);
        }
        let len = query.len();
        self.server
            .clients
            .at_mut(slot)
            .query
            .give_back(query.into());
        client_eviction::note(&mut self.server, slot, 0);
        client_eviction::evict(&mut self.server);
        !self.is_closing(slot) && limits::check_query(&mut self.server, slot, len) == Overrun::None
    }

    /// Runs requests that lie in the client's own buffer, if there are whole ones.
    fn run_alone(&mut self, slot: Slot) {
        let client = self.server.clients.at_mut(slot);
        if client.closing.is_some() {
            return;
        }
        let mut buffer = client.query.take();
        let cut = self
            .batch
            .cut(&mut self.server, slot, buffer.bytes_mut(), 0);
        let count = if cut.failed {
            buffer.bytes().len()
        } else {
            cut.rest
        };
        let query = &mut self.server.clients.at_mut(slot).query;
        query.give_back(buffer);
        if count == 0 {
            query.note_requests(false);
            self.batch.clear();
            return;
        }
        // What is behind has its place before anything runs: while a script does, more may come.
        let front = query.split(count, cut.again);
        client_eviction::note(&mut self.server, slot, front.capacity());
        if cut.again {
            self.make_ready(slot);
        }
        let buffer = match front.into_shared() {
            Err(front) => {
                self.run_batch(front.bytes());
                Some(front.into_compact())
            }
            Ok(frame) => {
                self.server.frame = frame.clone();
                self.run_batch(&frame);
                self.server.frame = Bytes::new();
                frame.try_into_mut().ok().map(|mut bytes| {
                    bytes.clear();
                    Vec::from(bytes)
                })
            }
        };
        let client = self.server.clients.at_mut(slot);
        if client.closing.is_none() {
            client.query.reuse(buffer, count);
        }
        client_eviction::note(&mut self.server, slot, 0);
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
            Ok(0) => {
                let client = self.server.clients.at(slot);
                if self.server.aof.holds(client.wrote_to) {
                    // It may wait for the answers to what it wrote, and for nothing else.
                    blocked::forget(&mut self.server, slot);
                    self.close(slot, Closing::AfterReplies);
                    return None;
                }
                "Client closed connection".to_string()
            }
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
}

/// Makes room for `more` bytes, and as long as a request needs it for about as much again as there is. Who has sent a
/// part of a request gets room for all of it, as moving what there is takes ever longer.
fn grow(query: &mut Vec<u8>, more: usize, needed: usize) {
    /// That part: what a client announces takes no more than so many times what it sends.
    const PARTS: usize = 16;
    let wanted = query.len() + more;
    if wanted > query.capacity() {
        let doubled = 2 * query.capacity();
        let room = match needed {
            _ if needed <= query.len() => doubled,
            _ if needed / PARTS <= query.len() => needed,
            _ => doubled.min(needed),
        };
        query.reserve_exact(room.max(wanted) - query.len());
    }
}
