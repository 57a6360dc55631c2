//! What goes out: replies, what others cause a client to be sent, and the end of connections.
//!
//! Replies are written at once, from the buffer that all of an iteration share. Everything else is queued with its
//! client, and written when the client is attended to.

use super::EventLoop;
use crate::net::transport::Transport;
use crate::server::aof;
use crate::server::client::{Closing, Slot, unusual};
use crate::server::client_eviction;
use crate::server::deliveries;
use crate::server::limits;
use crate::server::out_queue::OutQueue;
use std::io::{self, ErrorKind, IoSlice};

/// A reply buffer is not kept beyond this.
const REPLY_KEEP_MAX: usize = 4 << 20;

/// Clients that are attended to in one iteration; the others follow in the next ones, in their order. A message to
/// thousands does not keep everybody waiting then, and one that comes while the last is still going out to them goes
/// out in the same writes: they are what such a message costs.
const ATTENDED_MAX: usize = 256;

/// What is queued for a client beside its replies is sent at once if it is more than this.
const DELIVER_MAX: usize = 64 << 10;

/// Slices of one write.
const IOV_MAX: usize = 1024;

impl EventLoop {
    /// Sends each client its part of the replies, and then what others caused it to be sent.
    pub(super) fn send_all(&mut self, outputs: &mut Vec<(Slot, usize, usize)>) {
        // What is acknowledged is written before.
        aof::flush(&mut self.server);
        let mut keep_max = REPLY_KEEP_MAX;
        for (slot, from, to) in outputs.drain(..) {
            if from < to && limits::refuse_reply(&mut self.server, slot, to - from) {
                // So large a reply was not meant to be, and nor is a buffer for it.
                keep_max = 0;
            } else if from < to {
                self.send(slot, from, to);
            }
            if self.is_closing(slot) {
                self.server.attend(slot);
            }
            client_eviction::note(&mut self.server, slot, 0);
        }
        self.reply_peak = self.reply_peak.max(self.reply.len());
        self.reply.clear(keep_max);
        self.deliver();
    }

    /// Queues what clients are sent beside their replies.
    pub(super) fn deliver(&mut self) {
        if self.server.deliveries.is_empty() {
            return;
        }
        let mut deliveries = std::mem::take(&mut self.server.deliveries);
        self.server.delivery_bytes = 0;
        for (slot, bytes) in deliveries.drain(..) {
            let had_more = deliveries::queue(&mut self.server, slot, bytes);
            if had_more && self.server.clients.at(slot).out.bytes() > DELIVER_MAX {
                self.flush(slot);
                if self.is_closing(slot) {
                    self.server.attend(slot);
                }
                client_eviction::note(&mut self.server, slot, 0);
            }
        }
        self.server.deliveries = deliveries;
    }

    /// Sends a part of the replies to a client; what its socket does not take is queued.
    fn send(&mut self, slot: Slot, from: usize, to: usize) {
        let Some(Some(connection)) = self.sockets.connections.get_mut(slot) else {
            return;
        };
        let now_ms = self.server.now_ms();
        let client = self.server.clients.at_mut(slot);
        client.reply_peak = client
            .reply_peak
            .max(u32::try_from(to - from).unwrap_or(u32::MAX));
        let mut sent = 0;
        let is_held = self.server.aof.holds(client.wrote_to);
        if client.out.is_empty() && connection.writable && !is_held {
            let result = match self.reply.contiguous(from, to) {
                Some(bytes) => connection.transport.write(bytes),
                None => {
                    let mut slices = Vec::new();
                    self.reply.slices(from, to, &mut slices);
                    slices.truncate(IOV_MAX);
                    connection.transport.write_vectored(&slices)
                }
            };
            match result {
                Ok(n) => {
                    sent = n;
                    self.server.stats.writes += 1;
                    self.server.stats.bytes_out += n as u64;
                    client.note_sent(n, now_ms);
                    if from + sent == to {
                        return;
                    }
                    // A socket that took a part of more than it has room for is full.
                    connection.writable = sent == 0 || self.reply.contiguous(from, to).is_none();
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => connection.writable = false,
                Err(_) => return self.close(slot, Closing::Now),
            }
        }
        for chunk in self.reply.take_range(from + sent, to) {
            client.out.push(chunk);
        }
        limits::check_output(&mut self.server, slot);
        if self.sockets.connections[slot]
            .as_ref()
            .is_some_and(|c| c.writable)
            || self.is_closing(slot)
        {
            self.server.attend(slot);
        }
    }

    /// Sends what is queued for a client, until its socket is full.
    fn flush(&mut self, slot: Slot) {
        let Some(Some(connection)) = self.sockets.connections.get_mut(slot) else {
            return;
        };
        let now_ms = self.server.now_ms();
        let client = self.server.clients.at_mut(slot);
        if self.server.aof.holds(client.wrote_to) {
            return;
        }
        while connection.writable && !client.out.is_empty() {
            match write_queued(&mut connection.transport, &client.out) {
                Ok(n) => {
                    self.server.stats.writes += 1;
                    self.server.stats.bytes_out += n as u64;
                    client.note_sent(n, now_ms);
                    client.out.consume(n);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => connection.writable = false,
                Err(_) => {
                    client.close(Closing::Now);
                    return;
                }
            }
        }
        limits::check_output(&mut self.server, slot);
    }

    /// Looks after the clients that commands, timers or sockets said need it, the first of them.
    pub(super) fn attend(&mut self) {
        for _ in 0..ATTENDED_MAX {
            let Some(slot) = self.server.attention.pop_front() else {
                break;
            };
            self.attend_to(slot);
        }
        for slot in std::mem::take(&mut self.server.resumed) {
            self.make_ready(slot);
        }
        if !self.server.postponed.is_empty() && self.server.pause_is_over() {
            for slot in std::mem::take(&mut self.server.postponed) {
                if let Some(client) = self.server.clients.get_mut(slot) {
                    client.postponed = false;
                    self.make_ready(slot);
                }
            }
        }
    }

    /// Sends a client what is queued for it, and ends its connection if it is to end.
    pub(super) fn attend_to(&mut self, slot: Slot) {
        let connection = self.sockets.connections.get(slot);
        if connection.is_none_or(Option::is_none) {
            return;
        }
        if self.server.clients.at(slot).closing != Some(Closing::Now) {
            self.flush(slot);
            client_eviction::note(&mut self.server, slot, 0);
        }
        let client = self.server.clients.at(slot);
        match client.closing {
            // Its script goes on without it.
            _ if client.unusual & unusual::SCRIPT != 0 => {}
            Some(Closing::Now) => self.disconnect(slot),
            Some(Closing::AfterReplies) if client.out.is_empty() => self.disconnect(slot),
            _ => {}
        }
    }
}

/// Writes what waits, as many pieces as one call takes.
fn write_queued(transport: &mut Transport, queue: &OutQueue) -> io::Result<usize> {
    /// Pieces for which room on the stack is enough.
    const FEW: usize = 16;
    let count = queue.count();
    if count == 1 {
        return transport.write(queue.first());
    }
    if count <= FEW {
        let mut slices = [IoSlice::new(&[]); FEW];
        for (slice, piece) in slices.iter_mut().zip(queue.pieces()) {
            *slice = IoSlice::new(piece);
        }
        return transport.write_vectored(&slices[..count]);
    }
    let slices: Vec<IoSlice<'_>> = queue.pieces().take(IOV_MAX).map(IoSlice::new).collect();
    transport.write_vectored(&slices)
}
