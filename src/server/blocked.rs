//! Clients that wait for a key: BLPOP and its kin, and the readers of streams.
//!
//! A handler that finds nothing says what it waits for ([`Wait`]); its client is *parked*, with a copy
//! of the request, under each of the keys. Whoever makes such a key come to be serves the clients that
//! wait for it after its own command, in the order in which they came: each one's request runs again,
//! as if it had just arrived, until nothing is left for the next. A request that finds nothing again
//! keeps its place. Serving may make further keys come to be, and those are served next.
//!
//! A reader of a consumer group waits for a stream that is there: it is told if the key goes, gets a
//! value of another type, or the group is destroyed. Its request runs again then too, and fails.
//!
//! Parked clients cost nothing but memory: nobody looks through them. Waits with a timeout are kept in
//! order of their ends.

use crate::keyspace::effects::{AtEnd, Wait};
use crate::keyspace::value::Type;
use crate::resp::argv::OwnedArgv;
use crate::resp::error::ErrorReply;
use crate::resp::reply::{Proto, Reply};
use crate::resp::request::Argv;
use crate::server::client::Slot;
use crate::server::cx::KeyHashes;
use crate::server::exec;
use crate::server::gate;
use crate::server::registry::CommandId;
use crate::server::state::Server;
use crate::server::tracking;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;

/// What a parked client waits for.
pub struct Parked {
    command: CommandId,
    argv: OwnedArgv,
    db: usize,
    keys: Vec<Box<[u8]>>,
    kind: Type,
    /// Whether its request runs again too when a key goes or gets a value of another type.
    on_loss: bool,
    deadline_us: Option<i64>,
    at_end: AtEnd,
    /// Its place among all that ever waited.
    ticket: u64,
}

impl Parked {
    /// The heap bytes it holds.
    pub fn heap_bytes(&self) -> usize {
        let keys: usize = self.keys.iter().map(|key| key.len()).sum();
        size_of::<Parked>() + self.argv.heap_bytes() + keys + size_of_val(&*self.keys)
    }
}

/// Who waits for a key, by ticket, and whether it matters to them if it goes.
type Queue = BTreeMap<u64, (Slot, bool)>;

/// All parked clients.
#[derive(Default)]
pub struct Blocked {
    queues: BTreeMap<usize, HashMap<Box<[u8]>, Queue>>,
    deadlines: BTreeSet<(i64, Slot)>,
    /// Keys that came to be, or went, and may serve somebody.
    ready: VecDeque<(usize, Box<[u8]>)>,
    tickets: u64,
    clients: usize,
    /// How many of the clients are told of losses.
    on_loss: usize,
    /// Whether the request that runs again does so for the last time.
    is_at_end: bool,
    /// What replies to parked clients are written in.
    reply: Reply,
}

impl Blocked {
    /// The number of parked clients.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// The number of keys that somebody waits for.
    pub fn keys(&self) -> usize {
        self.queues.values().map(HashMap::len).sum()
    }

    /// The number of keys that somebody waits for who is told if they go.
    pub fn keys_not_to_be_lost(&self) -> usize {
        let queues = self.queues.values().flat_map(HashMap::values);
        queues
            .filter(|queue| queue.values().any(|&(_, on_loss)| on_loss))
            .count()
    }

    /// The number of clients whose wait ends at some time.
    pub fn timeouts(&self) -> usize {
        self.deadlines.len()
    }

    /// Whether the request in progress has waited as long as it may.
    pub fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// When the next wait ends in vain, in microseconds of the Unix clock.
    #[inline]
    pub fn next_deadline_us(&self) -> Option<i64> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// The first client from a ticket on that waits for a key.
    fn next_waiting(&self, db: usize, key: &[u8], from: u64) -> Option<(u64, Slot)> {
        let queue = self.queues.get(&db)?.get(key)?;
        queue.range(from..).next().map(|(&t, &(slot, _))| (t, slot))
    }

    fn enter(&mut self, slot: Slot, parked: &Parked) {
        let queues = self.queues.entry(parked.db).or_default();
        for key in &parked.keys {
            let queue = queues.entry(key.clone()).or_default();
            queue.insert(parked.ticket, (slot, parked.on_loss));
        }
        if let Some(deadline) = parked.deadline_us {
            self.deadlines.insert((deadline, slot));
        }
        self.clients += 1;
        self.on_loss += usize::from(parked.on_loss);
    }

    fn leave(&mut self, slot: Slot, parked: &Parked) {
        if let Some(queues) = self.queues.get_mut(&parked.db) {
            for key in &parked.keys {
                if let Some(queue) = queues.get_mut(key) {
                    queue.remove(&parked.ticket);
                    if queue.is_empty() {
                        queues.remove(key);
                    }
                }
            }
            if queues.is_empty() {
                self.queues.remove(&parked.db);
            }
        }
        if let Some(deadline) = parked.deadline_us {
            self.deadlines.remove(&(deadline, slot));
        }
        self.clients -= 1;
        self.on_loss -= usize::from(parked.on_loss);
    }
}

/// Parks the client whose request found nothing.
#[cold]
pub fn park(server: &mut Server, slot: Slot, command: CommandId, argv: Argv<'_>, wait: Wait) {
    server.blocked.tickets += 1;
    let now_us = server.now_us();
    let client = server.clients.at_mut(slot);
    let parked = Box::new(Parked {
        command,
        argv: settled(argv, &wait.settled),
        db: client.db,
        keys: wait.keys,
        kind: wait.kind,
        on_loss: wait.on_loss,
        deadline_us: wait
            .timeout_us
            .map(|timeout| now_us.saturating_add(timeout)),
        at_end: wait.at_end,
        ticket: server.blocked.tickets,
    });
    server.blocked.enter(slot, &parked);
    client.parked = Some(parked);
    note_waiting(server);
}

/// The request as it runs again: with what those arguments stand for whose meaning is settled.
fn settled(argv: Argv<'_>, settled: &[(usize, Box<[u8]>)]) -> OwnedArgv {
    if settled.is_empty() {
        return OwnedArgv::from(argv);
    }
    let mut arguments: Vec<&[u8]> = argv.iter().collect();
    for (index, meaning) in settled {
        arguments[*index] = meaning;
    }
    OwnedArgv::from_slices(&arguments)
}

/// Has the effects of commands say what those who wait must know.
fn note_waiting(server: &mut Server) {
    let blocked = &server.blocked;
    server
        .effects
        .set_awaited(blocked.clients > 0, blocked.on_loss > 0);
}

/// Takes a client out of the parked ones, if it is one. What it sent meanwhile is looked at next.
fn unpark(server: &mut Server, slot: Slot) -> Option<Box<Parked>> {
    let parked = server.clients.get_mut(slot)?.parked.take()?;
    retire(server, slot, &parked);
    Some(parked)
}

/// A client whose wait is over goes on with what it sent meanwhile.
fn retire(server: &mut Server, slot: Slot, parked: &Parked) {
    server.blocked.leave(slot, parked);
    note_waiting(server);
    server.resumed.push(slot);
}

/// Forgets the wait of a client that goes, if it waits.
pub fn forget(server: &mut Server, slot: Slot) {
    unpark(server, slot);
}

/// Serves the clients that wait for keys which came to be.
#[cold]
pub fn serve(server: &mut Server) {
    loop {
        let became = server.effects.became.drain(..);
        server.blocked.ready.extend(became);
        let Some((db, key)) = server.blocked.ready.pop_front() else {
            return;
        };
        serve_key(server, db, &key);
    }
}

/// The keys of two databases have changed places: those that are there now may serve somebody, those that
/// are not are lost.
pub fn note_swap(server: &mut Server, first: usize, second: usize) {
    for db in [first, second] {
        note_all(server, db);
    }
}

/// All keys of these databases are gone: those who wait for what they had are told.
pub fn note_flush(server: &mut Server, databases: Range<usize>) {
    if server.blocked.on_loss > 0 {
        for db in databases {
            note_all(server, db);
        }
    }
}

/// Has all keys of a database looked at that somebody waits for.
fn note_all(server: &mut Server, db: usize) {
    if let Some(queues) = server.blocked.queues.get(&db) {
        let keys = queues.keys().map(|key| (db, key.clone()));
        server.effects.became.extend(keys);
    }
}

fn serve_key(server: &mut Server, db: usize, key: &[u8]) {
    // Those that begin to wait meanwhile are not served in this round, lest two clients that feed
    // each other go on for ever.
    let last = server.blocked.tickets;
    let mut from = 0;
    while let Some((ticket, slot)) = server.blocked.next_waiting(db, key, from) {
        let kind = kind_of(server, db, key);
        let serves_nobody = kind.is_none() && server.blocked.on_loss == 0;
        if serves_nobody || ticket > last {
            return;
        }
        from = ticket + 1;
        let parked = server.clients.at(slot).parked.as_ref();
        let parked = parked.expect("who stands in a queue is parked");
        if kind == Some(parked.kind) || parked.on_loss {
            try_again(server, slot);
        }
    }
}

/// The type of the value that a key holds, if it is there and has not expired.
fn kind_of(server: &Server, db: usize, key: &[u8]) -> Option<Type> {
    let db = server.keyspace.db(db);
    let entry = db.entry(db.find(server.keyspace.key(key))?);
    let expired = entry.expiry().is_some_and(|at| at <= server.now_ms());
    (!expired).then(|| entry.kind())
}

/// Runs a parked client's request again, if it still is parked: there is news of what it waits for.
pub fn look_again(server: &mut Server, slot: Slot) {
    let client = server.clients.get(slot);
    if client.is_some_and(|client| client.parked.is_some()) {
        try_again(server, slot);
    }
}

/// Runs a parked client's request again.
fn try_again(server: &mut Server, slot: Slot) {
    let client = server.clients.at_mut(slot);
    let parked = client.parked.take().expect("the caller found it parked");
    let mut reply = begin_reply(server, slot);
    let argv = parked.argv.as_argv();
    let delivered = server.deliveries.len();
    exec::call(
        server,
        &mut reply,
        slot,
        parked.command,
        argv,
        KeyHashes::default(),
    );
    if server.effects.wait.take().is_some() {
        debug_assert!(reply.is_empty());
        server.blocked.reply = reply;
        server.clients.at_mut(slot).parked = Some(parked);
        return;
    }
    retire(server, slot, &parked);
    let own = server
        .deliveries
        .extract_if(delivered.., |(to, _)| *to == slot);
    let own: Vec<_> = own.collect();
    send(server, slot, reply);
    // What it caused itself to be sent follows its reply.
    server.deliveries.extend(own);
    if server.unusual & gate::unusual::INVALIDATED != 0 {
        tracking::send_late(server);
    }
}

/// Ends the waits whose time has come.
#[cold]
pub fn end_waits(server: &mut Server) {
    let now_us = server.now_us();
    while let Some(&(deadline, slot)) = server.blocked.deadlines.first() {
        if deadline > now_us {
            return;
        }
        end_in_vain(server, slot, None);
    }
}

/// Ends a client's wait as if its time had come, or with an error; says whether it was waiting.
pub fn unblock(server: &mut Server, slot: Slot, error: Option<ErrorReply>) -> bool {
    let is_parked = server
        .clients
        .get_mut(slot)
        .is_some_and(|client| client.parked.is_some());
    if is_parked {
        end_in_vain(server, slot, error);
    }
    is_parked
}

fn end_in_vain(server: &mut Server, slot: Slot, error: Option<ErrorReply>) {
    let parked = server.clients.get_mut(slot);
    let parked = parked.and_then(|client| client.parked.as_ref());
    if error.is_none() && parked.is_some_and(|parked| parked.at_end == AtEnd::RunAgain) {
        server.blocked.is_at_end = true;
        try_again(server, slot);
        server.blocked.is_at_end = false;
        return;
    }
    let parked = unpark(server, slot).expect("the caller found it waiting");
    let mut reply = begin_reply(server, slot);
    let stats = server.commands.stats_mut(parked.command);
    stats.calls += 1;
    match error {
        None => reply.null_array(),
        Some(error) => {
            stats.rejected += 1;
            server.stats.count_error(&error);
            reply.error(&error);
        }
    }
    send(server, slot, reply);
}

fn begin_reply(server: &mut Server, slot: Slot) -> Reply {
    let mut reply = std::mem::take(&mut server.blocked.reply);
    reply.set_proto(
        server
            .clients
            .get_mut(slot)
            .map_or(Proto::Resp2, |c| c.proto),
    );
    reply
}

/// Queues a reply for a client whose request came in an earlier batch.
fn send(server: &mut Server, slot: Slot, mut reply: Reply) {
    if !exec::is_silenced(server, slot) {
        let chunks = reply.take_range(0, reply.len()).into_iter();
        server.deliveries.extend(chunks.map(|chunk| (slot, chunk)));
    }
    const KEPT_MAX: usize = 16 << 10;
    reply.clear(KEPT_MAX);
    server.blocked.reply = reply;
}
