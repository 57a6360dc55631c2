//! The loop of the command thread: wait, drain the ready sockets, run what they sent, answer.
//!
//! An iteration reads every ready socket into one shared buffer until that is full or no socket is
//! left, runs the requests as one [`Batch`], and writes the replies with one call a client. A client
//! owns a buffer only while a request of its is incomplete, and for a while after; a request that grows
//! large is gathered in that buffer and runs from there, alone.
//!
//! What comes in is in [`input`], what goes out in [`output`].

mod input;
mod output;

use super::batch::{Batch, REPLY_BYTES_MAX, Ran};
use super::listener::{Accepted, Listeners};
use super::transport::Transport;
use crate::base::alloc;
use crate::base::hash;
use crate::base::rng::Rng;
use crate::base::vec;
use crate::resp::error::ErrorReply;
use crate::resp::reply::Reply;
use crate::server::aof;
use crate::server::blocked;
use crate::server::client::{Closing, Slot};
use crate::server::client_eviction;
use crate::server::config::Config;
use crate::server::cron;
use crate::server::expire_cycle;
use crate::server::limits;
use crate::server::loading;
use crate::server::scripting::PumpFn;
use crate::server::state::{Server, Shutdown};
use crate::server::tracking;
use mio::{Events, Poll, Token, Waker};
use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;

/// Bytes of the shared read buffer.
const INBOX_BYTES: usize = 256 << 10;
/// So many replies are sent before further clients are served: with thousands of them the first would wait for all.
const OUTPUTS_MAX: usize = 256;
/// Connections accepted in one iteration.
const ACCEPTS_MAX: usize = 1000;

const SIGNALS: Token = Token(0);
const WAKE: Token = Token(1);
const LISTENERS: usize = 2;
const CONNECTIONS: usize = LISTENERS + Listeners::COUNT_MAX;

/// A connection, under the slot of its client.
struct Connection {
    transport: Transport,
    /// Whether the last write took everything: if not, the poll says when to go on.
    writable: bool,
    /// Whether the peer sends no more: what it sent is read to its end, which a short read is not.
    read_closed: bool,
    /// Whether it is among the ready ones, where it must not be twice: the second part of what a
    /// client sent would be cut before the first has run.
    is_ready: bool,
}

/// The connections, and what is known to be waiting on them.
#[derive(Default)]
struct Sockets {
    connections: Vec<Option<Connection>>,
    /// Clients with bytes to read or requests to go on with.
    ready: Vec<Slot>,
    /// Listeners with connections to accept.
    accepting: Vec<usize>,
}

/// The event loop, which owns the server and all sockets.
pub struct EventLoop {
    /// Shared with the loop that serves while a script is busy.
    poll: Rc<RefCell<Poll>>,
    server: Server,
    /// Shared with the function by which CONFIG SET opens others.
    listeners: Rc<RefCell<Listeners>>,
    sockets: Sockets,
    /// Where the sockets are while a script runs.
    lent: Rc<RefCell<Option<Sockets>>>,
    inbox: Vec<u8>,
    batch: Batch,
    reply: Reply,
    /// Whose part of `reply` is where.
    outputs: Vec<(Slot, usize, usize)>,
    /// The ready clients whose turn in this iteration is still to come, the next one last.
    serving: Vec<Slot>,
    signals: Option<mio::unix::pipe::Receiver>,
    /// The most that `reply` held since the last look at it.
    reply_peak: usize,
}

impl EventLoop {
    /// Opens the listeners that the configuration names.
    pub fn new(mut server: Server) -> Result<EventLoop, String> {
        let poll = Poll::new().map_err(|e| format!("Failed to create the event loop: {e}"))?;
        let listeners = Listeners::open(&server.config, poll.registry(), LISTENERS)?;
        let listeners = Rc::new(RefCell::new(listeners));
        let waker = Waker::new(poll.registry(), WAKE)
            .map_err(|e| format!("Failed to create the event loop's waker: {e}"))?;
        server.aof.set_wake(Box::new(move || {
            // A loop that is gone need not be woken.
            let _ = waker.wake();
        }));
        let shared = listeners.clone();
        server.listening = Some(Box::new(move || shared.borrow().descriptors()));
        let shared = listeners.clone();
        server.listen = Some(Box::new(move |config| {
            shared.borrow_mut().reopen_tcp(config)
        }));
        let poll = Rc::new(RefCell::new(poll));
        let lent = Rc::default();
        server.scripting.pump = Some(pump(&poll, &listeners, &lent));
        Ok(EventLoop::over(server, poll, listeners, lent))
    }

    /// A loop over these sockets.
    fn over(
        server: Server,
        poll: Rc<RefCell<Poll>>,
        listeners: Rc<RefCell<Listeners>>,
        lent: Rc<RefCell<Option<Sockets>>>,
    ) -> EventLoop {
        EventLoop {
            poll,
            server,
            listeners,
            sockets: Sockets::default(),
            lent,
            inbox: vec![0; INBOX_BYTES],
            batch: Batch::default(),
            reply: Reply::new(),
            outputs: Vec::new(),
            serving: Vec::new(),
            signals: None,
            reply_peak: 0,
        }
    }

    /// The server, to set it up before the loop runs.
    pub fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// Watches a descriptor that becomes readable when a signal came.
    pub fn watch_signals(&mut self, mut pipe: mio::unix::pipe::Receiver) -> io::Result<()> {
        self.poll
            .borrow()
            .registry()
            .register(&mut pipe, SIGNALS, mio::Interest::READABLE)?;
        self.signals = Some(pipe);
        Ok(())
    }

    /// Serves until a command or signal ends it.
    pub fn run(&mut self) -> Shutdown {
        self.server.memory_at_start = alloc::used_memory();
        let mut events = Events::with_capacity(1024);
        let mut cron_at_ms = self.server.now_ms();
        loop {
            let timeout = self.timeout(cron_at_ms);
            match self.poll.borrow_mut().poll(&mut events, Some(timeout)) {
                Err(e) if e.kind() != ErrorKind::Interrupted => {
                    panic!("the event loop cannot wait for events: {e}")
                }
                _ => {}
            }
            self.server.synchronise_time();
            let began_us = self.server.now_us();
            let commands_before = self.server.stats.commands;
            self.note_events(&events);
            aof::note_synced(&mut self.server);
            self.serve();
            self.accept();
            if self.server.blocked.next_deadline_us().is_some() {
                blocked::end_waits(&mut self.server);
            }
            if self.server.now_ms() >= cron_at_ms {
                cron_at_ms = self.server.now_ms() + cron::run(&mut self.server);
                self.trim_buffers();
            }
            expire_cycle::go_on(&mut self.server);
            if self.server.is_evicting() {
                self.server.make_room();
            }
            tracking::broadcast(&mut self.server);
            aof::flush(&mut self.server);
            self.deliver();
            client_eviction::evict(&mut self.server);
            self.attend();
            if self.server.is_loading() {
                self.go_on_loading();
            }
            if let Some(shutdown) = self.server.shutdown {
                while let Some(slot) = self.server.attention.pop_front() {
                    self.attend_to(slot);
                }
                return shutdown;
            }
            self.server.advance_time();
            let took_us = (self.server.now_us() - began_us).max(0) as u64;
            let commands = self.server.stats.commands.saturating_sub(commands_before);
            self.server.stats.count_loop(took_us, commands);
        }
    }

    /// Gives up what the shared buffers have beyond the needs of the time since the last call: what one big
    /// batch made of them is not kept.
    fn trim_buffers(&mut self) {
        self.batch.trim();
        self.reply.clear(2 * self.reply_peak);
        self.reply_peak = 0;
    }

    /// How long to wait for events: until the clock has something to do.
    fn timeout(&self, cron_at_ms: i64) -> Duration {
        if self.has_work() {
            return Duration::ZERO;
        }
        let cron = Duration::from_millis((cron_at_ms - self.server.now_ms()).max(0) as u64);
        let wait = self.server.blocked.next_deadline_us();
        let expiry = self.server.expire_cycle.resumes_us();
        [wait, expiry]
            .into_iter()
            .flatten()
            .map(|at_us| Duration::from_micros((at_us - self.server.now_us()).max(0) as u64))
            .fold(cron, Duration::min)
    }

    fn has_work(&self) -> bool {
        !self.sockets.ready.is_empty()
            || !self.sockets.accepting.is_empty()
            || !self.server.attention.is_empty()
            || !self.server.resumed.is_empty()
            || self.server.loading.is_some()
            || self.server.is_evicting()
    }

    fn note_events(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                SIGNALS => self.drain_signals(),
                // Whoever woke us left word.
                WAKE => {}
                Token(n) if n < CONNECTIONS => self.sockets.accepting.push(n - LISTENERS),
                Token(n) => self.note_event(n - CONNECTIONS, event),
            }
        }
    }

    /// Loads a piece of the data set. Its commands may be scripts, which others need not wait for.
    #[cold]
    fn go_on_loading(&mut self) {
        self.lend_sockets();
        loading::step(&mut self.server);
        self.take_sockets_back();
    }

    /// Serves clients once, for a script that has run for long: nothing happens by the clock.
    fn serve_while_busy(&mut self) {
        let mut events = Events::with_capacity(1024);
        // If the call fails there are no events.
        let _ = self
            .poll
            .borrow_mut()
            .poll(&mut events, Some(Duration::ZERO));
        self.server.synchronise_time();
        self.note_events(&events);
        self.serve();
        self.accept();
        self.deliver();
        self.attend();
    }

    fn note_event(&mut self, slot: Slot, event: &mio::event::Event) {
        let Some(Some(connection)) = self.sockets.connections.get_mut(slot) else {
            return;
        };
        if event.is_writable() && !connection.writable {
            connection.writable = true;
            self.server.attend(slot);
        }
        connection.read_closed |= event.is_read_closed() || event.is_error();
        if event.is_readable() || connection.read_closed {
            self.make_ready(slot);
        }
    }

    /// Has a client looked at: in this iteration, or while this one reads in the next.
    fn make_ready(&mut self, slot: Slot) {
        if let Some(Some(connection)) = self.sockets.connections.get_mut(slot)
            && !connection.is_ready
        {
            connection.is_ready = true;
            self.sockets.ready.push(slot);
        }
    }

    fn drain_signals(&mut self) {
        if let Some(pipe) = &mut self.signals {
            let mut bytes = [0; 64];
            while matches!(io::Read::read(pipe, &mut bytes), Ok(n) if n > 0) {}
        }
        cron::check_signals(&mut self.server);
    }

    /// Reads and runs what the ready clients sent, batch by batch. A socket that had more than its
    /// share is left for the next iteration.
    fn serve(&mut self) {
        std::mem::swap(&mut self.serving, &mut self.sockets.ready);
        self.serving.reverse();
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut used = 0;
        while let Some(slot) = self.serving.pop() {
            let Some(Some(connection)) = self.sockets.connections.get_mut(slot) else {
                continue;
            };
            connection.is_ready = false;
            if inbox.len() - used < input::READ_MIN {
                self.run_batch(&inbox);
                used = 0;
            }
            used = self.receive(slot, &mut inbox, used);
        }
        self.run_batch(&inbox);
        self.inbox = inbox;
        let mut outputs = std::mem::take(&mut self.outputs);
        self.send_all(&mut outputs);
        self.outputs = outputs;
    }

    /// Runs the batch, whose requests lie in `buffer`. The replies are sent when the ready clients were served, or
    /// when they have become much: a client that gets its reply while others are still read sends more at once, and
    /// what that costs the system delays them.
    fn run_batch(&mut self, buffer: &[u8]) {
        let batch = std::mem::take(&mut self.batch);
        batch.warm_up(&self.server);
        self.server.advance_time();
        let mut outputs = std::mem::take(&mut self.outputs);
        for index in 0..batch.regions() {
            let (slot, error) = batch.region(index);
            if !self.server.deliveries.is_empty() {
                // This client may be among those, and is answered after it.
                self.send_all(&mut outputs);
            }
            let is_last = index + 1 == batch.regions();
            let lends = is_last && batch.runs_scripts();
            if lends {
                self.send_all(&mut outputs);
                self.lend_sockets();
            }
            let mut next = 0;
            loop {
                let from = self.reply.len();
                self.reply.set_proto(self.server.clients.at(slot).proto);
                let ran = batch.run(&mut self.server, buffer, &mut self.reply, index, next);
                if lends {
                    self.take_sockets_back();
                }
                if let (Ran::Whole, Some(error)) = (&ran, error) {
                    self.refuse(slot, error.reply(), &buffer[batch.uncut(index)]);
                }
                outputs.push((slot, from, self.reply.len()));
                match ran {
                    Ran::Whole => {
                        if self.reply.len() > REPLY_BYTES_MAX || outputs.len() >= OUTPUTS_MAX {
                            self.send_all(&mut outputs);
                        }
                        break;
                    }
                    Ran::UpTo(frame) => {
                        next = frame;
                        self.send_all(&mut outputs);
                        if lends {
                            self.lend_sockets();
                        }
                    }
                    Ran::Postponed(unrun) => {
                        self.server.clients.at_mut(slot).query.put_back(&unrun);
                        self.server.clients.at_mut(slot).postponed = true;
                        self.server.postponed.push(slot);
                        break;
                    }
                    Ran::Parked(unrun) => {
                        self.server.clients.at_mut(slot).query.put_back(&unrun);
                        break;
                    }
                }
            }
        }
        self.outputs = outputs;
        self.batch = batch;
        self.batch.clear();
    }

    /// Puts the sockets where the loop that serves while a script is busy finds them.
    fn lend_sockets(&mut self) {
        self.sockets.ready.append(&mut self.serving);
        self.lent.replace(Some(std::mem::take(&mut self.sockets)));
    }

    fn take_sockets_back(&mut self) {
        let back = self.lent.take();
        self.sockets = back.expect("the sockets that were lent come back");
    }

    /// Answers bytes that are no request, and ends the connection.
    #[cold]
    fn refuse(&mut self, slot: Slot, error: ErrorReply, bytes: &[u8]) {
        let client = self.server.clients.at(slot);
        if client.closing.is_some() {
            return;
        }
        let reason = error.to_string();
        tracing::debug!(
            "Protocol error ({}) from client: {}. Query buffer: {}",
            reason.trim_start_matches("ERR Protocol error: "),
            self.server.describe(slot),
            excerpt(bytes, self.server.config.hide_user_data_from_log)
        );
        self.server.stats.count_error(&error);
        self.reply.error(&error);
        self.server.clients.at_mut(slot).query.clear();
        self.close(slot, Closing::AfterReplies);
    }

    fn is_closing(&self, slot: Slot) -> bool {
        self.server.clients.at(slot).closing.is_some()
    }

    fn close(&mut self, slot: Slot, how: Closing) {
        self.server.clients.at_mut(slot).close(how);
        self.server.attend(slot);
    }

    fn disconnect(&mut self, slot: Slot) {
        self.sockets.connections[slot] = None;
        self.server.forget_client(slot);
    }

    /// Accepts what the listeners have; more than a share is left for the next iteration.
    fn accept(&mut self) {
        let mut accepting = std::mem::take(&mut self.sockets.accepting);
        accepting.sort_unstable();
        accepting.dedup();
        for &index in &accepting {
            let mut left = ACCEPTS_MAX;
            loop {
                if left == 0 {
                    self.sockets.accepting.push(index);
                    break;
                }
                left -= 1;
                let keepalive_s = self.server.config.tcp_keepalive;
                let accepted = self.listeners.borrow().accept(index, keepalive_s);
                match accepted {
                    Ok(accepted) => self.welcome(accepted),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) if e.kind() == ErrorKind::ConnectionAborted => {}
                    Err(e) => {
                        tracing::warn!("Accepting client connection: {e}");
                        break;
                    }
                }
            }
        }
    }

    /// Takes a new connection in, or says why not.
    fn welcome(&mut self, accepted: Accepted) {
        let Accepted {
            mut transport,
            peer,
            local,
        } = accepted;
        if let Some(refusal) = limits::refuse_connection(&mut self.server, &peer) {
            // A client that does not read this is no concern of ours.
            let _ = transport.write(refusal.as_bytes());
            return;
        }
        let client = self.server.add_client(transport.fd(), peer, local);
        if transport
            .register(self.poll.borrow().registry(), Token(CONNECTIONS + client))
            .is_err()
        {
            self.server.forget_client(client);
            return;
        }
        while self.sockets.connections.len() <= client {
            vec::push_sparingly(&mut self.sockets.connections, None);
        }
        self.sockets.connections[client] = Some(Connection {
            transport,
            writable: true,
            read_closed: false,
            is_ready: false,
        });
    }
}

/// The function by which a script that has run for long has others served: an iteration of another loop, which has
/// buffers of its own, over the sockets that were lent. The server is in its place meanwhile.
fn pump(
    poll: &Rc<RefCell<Poll>>,
    listeners: &Rc<RefCell<Listeners>>,
    lent: &Rc<RefCell<Option<Sockets>>>,
) -> PumpFn {
    let (poll, listeners, lent) = (poll.clone(), listeners.clone(), lent.clone());
    let mut other = None;
    Box::new(move |server| {
        // Events that nobody could act upon would be lost.
        let Some(sockets) = lent.take() else {
            return;
        };
        // Few servers ever come here, and only they pay for it.
        let other = other.get_or_insert_with(|| {
            let nobody = Server::new(Config::default(), &[], hash::process(), Rng::from_seed(0));
            EventLoop::over(nobody, poll.clone(), listeners.clone(), Rc::default())
        });
        other.sockets = sockets;
        std::mem::swap(&mut other.server, server);
        other.serve_while_busy();
        std::mem::swap(&mut other.server, server);
        lent.replace(Some(std::mem::take(&mut other.sockets)));
    })
}

/// What the log shows of bytes that are no request.
fn excerpt(bytes: &[u8], is_secret: bool) -> String {
    const SHOWN_MAX: usize = 128;
    match bytes.get(..SHOWN_MAX) {
        _ if is_secret => "*redacted*".into(),
        None => format!("'{}'", bytes.escape_ascii()),
        Some(shown) => {
            let more = bytes.len() - SHOWN_MAX;
            format!("'{}' (... more {more} bytes ...)", shown.escape_ascii())
        }
    }
}
