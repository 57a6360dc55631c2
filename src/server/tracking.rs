//! CLIENT TRACKING: clients are told when keys that they keep copies of change.
//!
//! In the default mode the server remembers which client read which key ([`Table`]), and tells it once
//! when the key changes; ids of clients that are gone are passed over then. At most
//! `tracking-table-max-keys` keys are remembered: beyond that, keys drawn at random are invalidated as if
//! they had changed. In the broadcasting mode nothing is remembered: a client is told of all changed keys
//! with one of its prefixes, once an iteration of the event loop, in one message.
//!
//! A client that changes what it tracks itself is told after the reply to its command (or EXEC), by the
//! means that it has then; all others at once, through [`Server::deliveries`], which keeps their place among
//! replies. A message is encoded once for each protocol, and shared.

mod table;

use crate::keyspace::effects::Event;
use crate::resp::reply::{Proto, Reply};
use crate::resp::request::Argv;
use crate::server::client::{Client, Slot, unusual};
use crate::server::command::{PUBSUB, READONLY, RUNS_SCRIPTS};
use crate::server::gate;
use crate::server::keyspecs::keys_of;
use crate::server::reactions;
use crate::server::registry::CommandId;
use crate::server::state::Server;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use table::Table;

/// The channel on which a client that speaks RESP2 gets another's invalidations.
const CHANNEL: &[u8] = b"__redis__:invalidate";
/// Keys invalidated in one go while there are too many; each time that is not enough, as many more the
/// next time.
const EFFORT_STEP: usize = 100;

/// How a client tracks.
#[derive(Clone, Copy, Default)]
pub struct Mode {
    /// The client that is told instead; 0 for none.
    pub redirect: u64,
    /// It is told of all changes.
    pub broadcast: bool,
    /// Only keys of commands after CLIENT CACHING YES are remembered.
    pub opt_in: bool,
    /// Keys of commands after CLIENT CACHING NO are not remembered.
    pub opt_out: bool,
    /// It is not told of changes that it made itself.
    pub no_loop: bool,
}

/// The tracking of a client.
#[derive(Default)]
pub struct Tracking {
    /// How it tracks.
    pub mode: Mode,
    /// CLIENT CACHING was said for the next command.
    pub caching: bool,
    /// The client's last request was a CLIENT command, which CLIENT CACHING outlives.
    follows_client: bool,
    /// The client to tell instead was gone when it was to be told.
    pub is_broken: bool,
    /// The prefixes of keys that it is told of, if it is told of all changes.
    pub prefixes: BTreeSet<Box<[u8]>>,
}

impl Tracking {
    /// The heap bytes that it holds, itself among them.
    pub fn heap_bytes(&self) -> usize {
        let prefixes = self.prefixes.iter();
        let prefixes: usize = prefixes.map(|p| size_of::<Box<[u8]>>() + p.len()).sum();
        size_of::<Tracking>() + prefixes
    }

    /// Whether the keys that the command in progress reads are remembered.
    fn remembers(&self) -> bool {
        match self.mode {
            mode if mode.broadcast => false,
            mode if mode.opt_in => self.caching,
            mode if mode.opt_out => !self.caching,
            _ => true,
        }
    }
}

/// Those that are told of changed keys with a prefix.
#[derive(Default)]
struct Broadcast {
    clients: BTreeSet<Slot>,
    /// Keys that have changed since the last message, and who changed them last.
    keys: BTreeMap<Box<[u8]>, Option<Slot>>,
}

/// All tracking.
#[derive(Default)]
pub struct AllTracking {
    clients: usize,
    table: Table,
    prefixes: BTreeMap<Box<[u8]>, Broadcast>,
    /// No prefix is longer.
    prefix_bytes_max: usize,
    /// Whether there is something to broadcast.
    has_news: bool,
    /// Who is told after the reply to the command in progress, and of which key; `None` stands for all.
    late: Vec<(Slot, Option<Box<[u8]>>)>,
    /// How many times in a row too many keys were left.
    shortfalls: usize,
}

impl AllTracking {
    /// The number of clients that track.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// The number of keys that are remembered.
    pub fn keys(&self) -> usize {
        self.table.len()
    }

    /// The number of pairs of client and key that are remembered.
    pub fn items(&self) -> usize {
        self.table.items()
    }

    /// The number of prefixes.
    pub fn prefixes(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether anybody is to be told of changes.
    pub fn has_listeners(&self) -> bool {
        self.clients > 0 || self.table.len() > 0
    }
}

/// A message, encoded when it is first needed in a protocol.
struct Message<'a> {
    what: What<'a>,
    resp2: Option<Bytes>,
    resp3: Option<Bytes>,
}

/// What is invalid.
enum What<'a> {
    Key(&'a [u8]),
    Keys(Vec<&'a [u8]>),
    Everything,
}

impl<'a> Message<'a> {
    fn new(what: What<'a>) -> Message<'a> {
        Message {
            what,
            resp2: None,
            resp3: None,
        }
    }

    fn bytes(&mut self, proto: Proto) -> Bytes {
        let what = &self.what;
        let known = match proto {
            Proto::Resp2 => &mut self.resp2,
            Proto::Resp3 => &mut self.resp3,
        };
        known.get_or_insert_with(|| encode(proto, what)).clone()
    }
}

fn encode(proto: Proto, what: &What<'_>) -> Bytes {
    let mut reply = Reply::with_proto(proto);
    match proto {
        Proto::Resp2 => {
            reply.push(3);
            reply.bulk(b"message");
            reply.bulk(CHANNEL);
        }
        Proto::Resp3 => {
            reply.push(2);
            reply.bulk(b"invalidate");
        }
    }
    match what {
        What::Key(key) => {
            reply.array(1);
            reply.bulk(key);
        }
        What::Keys(keys) => {
            reply.array(keys.len());
            keys.iter().for_each(|key| reply.bulk(key));
        }
        What::Everything => reply.null(),
    }
    whole(reply)
}

/// Everything that was written.
fn whole(reply: Reply) -> Bytes {
    reply.take_range(0, reply.len()).concat().into()
}

/// Switches a client's tracking on or changes it; the prefixes come to those it has.
pub fn enable(server: &mut Server, slot: Slot, mode: Mode, prefixes: &[&[u8]]) {
    let client = server.clients.at_mut(slot);
    let is_new = client.tracking.is_none();
    client.set_unusual(unusual::TRACKING, true);
    let tracking = client.tracking.get_or_insert_default();
    tracking.mode = mode;
    tracking.is_broken = false;
    tracking.follows_client = true;
    server.tracking.clients += usize::from(is_new);
    if mode.broadcast {
        let all: &[&[u8]] = if prefixes.is_empty() {
            &[b""]
        } else {
            prefixes
        };
        for &prefix in all {
            tracking.prefixes.insert(prefix.into());
            let broadcast = server.tracking.prefixes.entry(prefix.into());
            broadcast.or_default().clients.insert(slot);
            let longest = &mut server.tracking.prefix_bytes_max;
            *longest = prefix.len().max(*longest);
        }
    }
    if let Some(target) = server.clients.by_id(mode.redirect) {
        let target = target.slot;
        let target = server.clients.at_mut(target);
        target.set_unusual(unusual::REDIRECTED_TO, true);
    }
    reactions::note_listeners(server);
}

/// Switches a client's tracking off. What it read is not forgotten, which would cost a look at every key;
/// it is passed over.
pub fn disable(server: &mut Server, slot: Slot) {
    let Some(client) = server.clients.get_mut(slot) else {
        return;
    };
    let Some(tracking) = client.tracking.take() else {
        return;
    };
    client.set_unusual(unusual::TRACKING, false);
    server.tracking.clients -= 1;
    for prefix in &tracking.prefixes {
        let broadcast = server.tracking.prefixes.get_mut(prefix);
        let broadcast = broadcast.expect("a client's prefix is in the table");
        broadcast.clients.remove(&slot);
        if broadcast.clients.is_empty() {
            server.tracking.prefixes.remove(prefix);
        }
    }
    if server.tracking.prefixes.is_empty() {
        server.tracking.prefix_bytes_max = 0;
    }
    reactions::note_listeners(server);
}

/// Forgets a client that is gone, and if it was the last one what was remembered for all.
pub fn forget(server: &mut Server, slot: Slot) {
    disable(server, slot);
    if server.tracking.clients == 0 && server.tracking.keys() > 0 {
        forget_keys(server);
        reactions::note_listeners(server);
    }
}

/// A client that tracks makes a request, a CLIENT command or another: CLIENT CACHING was for one
/// command or transaction.
pub fn begin_request(client: &mut Client, is_client_command: bool) {
    let is_in_multi = client.is_in_multi();
    if let Some(tracking) = &mut client.tracking {
        tracking.caching &= tracking.follows_client || is_in_multi;
        tracking.follows_client = is_client_command;
    }
}

/// The request that [`begin_request`] was told of is put off, and will begin again.
pub fn put_off_request(client: &mut Client) {
    if let Some(tracking) = &mut client.tracking {
        tracking.follows_client = true;
    }
}

/// Remembers the keys that a client's command read.
#[cold]
pub fn remember(server: &mut Server, slot: Slot, id: CommandId, argv: Argv<'_>) {
    let command = server.commands.get(id).command;
    // Shard channels count as keys, but nobody keeps copies of them. Of a script, its commands' keys count.
    if command.flags & READONLY == 0 || command.flags & (PUBSUB | RUNS_SCRIPTS) != 0 {
        return;
    }
    let client = server.clients.at(slot);
    let (id, tracking) = (client.id, client.tracking.as_ref());
    if !tracking.is_some_and(|tracking| tracking.remembers()) {
        return;
    }
    for key in keys_of(command, argv).into_iter().flatten() {
        server.tracking.table.add(argv.at(key.index), id);
    }
    note_limit(server);
}

/// A key was changed by a command of `by`, or by nobody's.
pub fn invalidate(server: &mut Server, event: &Event, by: Option<Slot>) {
    if server.tracking.prefix_bytes_max > 0 || !server.tracking.prefixes.is_empty() {
        note_news(
            &mut server.tracking,
            &event.key,
            by.filter(|_| event.is_own),
        );
    }
    invalidate_key(server, &event.key, by);
}

/// Notes a changed key for those who are told of all with one of its prefixes.
fn note_news(tracking: &mut AllTracking, key: &[u8], by: Option<Slot>) {
    for len in 0..=key.len().min(tracking.prefix_bytes_max) {
        if let Some(broadcast) = tracking.prefixes.get_mut(&key[..len]) {
            tracking.has_news = true;
            match broadcast.keys.get_mut(key) {
                Some(last) => *last = by,
                None => {
                    broadcast.keys.insert(key.into(), by);
                }
            }
        }
    }
}

/// Tells those who read a key, and forgets it.
fn invalidate_key(server: &mut Server, key: &[u8], by: Option<Slot>) {
    let Some(ids) = server.tracking.table.take(key) else {
        return;
    };
    let mut message = Message::new(What::Key(key));
    for &id in ids.as_slice() {
        let Some(client) = server.clients.by_id(id) else {
            continue;
        };
        let (slot, tracking) = (client.slot, client.tracking.as_ref());
        let is_told = tracking.is_some_and(|tracking| {
            let mode = tracking.mode;
            let is_left_out = mode.no_loop && by == Some(slot);
            !mode.broadcast && !is_left_out
        });
        if is_told && by == Some(slot) {
            tell_later(server, slot, Some(key));
        } else if is_told {
            send(server, slot, &mut message);
        }
    }
    if !server.tracking.has_listeners() {
        reactions::note_listeners(server);
    }
}

/// Databases were emptied by a command of `by`: nothing that anybody read is good any more.
pub fn note_flush(server: &mut Server, by: Option<Slot>) {
    if server.tracking.clients > 0 {
        let tracking = server.clients.iter().filter(|c| c.tracking.is_some());
        let slots: Vec<Slot> = tracking.map(|client| client.slot).collect();
        let mut message = Message::new(What::Everything);
        for slot in slots {
            if by == Some(slot) {
                tell_later(server, slot, None);
            } else {
                send(server, slot, &mut message);
            }
        }
    }
    forget_keys(server);
}

fn forget_keys(server: &mut Server) {
    server.tracking.table = Table::default();
    note_limit(server);
}

/// Sends what was noted of changes to those who are told of all of them.
pub fn broadcast(server: &mut Server) {
    if !std::mem::take(&mut server.tracking.has_news) {
        return;
    }
    let mut prefixes = std::mem::take(&mut server.tracking.prefixes);
    for broadcast in prefixes.values_mut() {
        let keys = std::mem::take(&mut broadcast.keys);
        if keys.is_empty() {
            continue;
        }
        let all = keys.keys().map(|key| &**key).collect();
        let mut message = Message::new(What::Keys(all));
        for &slot in &broadcast.clients {
            let tracking = server.clients.at(slot).tracking.as_ref();
            let tracking = tracking.expect("those with prefixes track");
            if !tracking.mode.no_loop {
                send(server, slot, &mut message);
                continue;
            }
            let others = keys.iter().filter(|&(_, by)| *by != Some(slot));
            let others: Vec<&[u8]> = others.map(|(key, _)| &**key).collect();
            if !others.is_empty() {
                send(server, slot, &mut Message::new(What::Keys(others)));
            }
        }
    }
    server.tracking.prefixes = prefixes;
}

/// Sends a client a message, or the client that is told instead.
fn send(server: &mut Server, slot: Slot, message: &mut Message<'_>) {
    let client = server.clients.at(slot);
    // A client may end its tracking in the transaction that changed what it read.
    let tracking = client.tracking.as_ref();
    let redirect = tracking.map_or(0, |tracking| tracking.mode.redirect);
    let target = match redirect {
        0 => client,
        id => match server.clients.by_id(id) {
            Some(target) if target.closing.is_none() => target,
            _ => return report_broken(server, slot),
        },
    };
    // RESP2 knows messages only of channels.
    if target.proto == Proto::Resp2 && !(redirect != 0 && target.is_subscribed()) {
        return;
    }
    let delivery = (target.slot, message.bytes(target.proto));
    server.deliveries.push(delivery);
}

/// The client that is to be told instead of this one is gone.
fn report_broken(server: &mut Server, slot: Slot) {
    let client = server.clients.at_mut(slot);
    let tracking = client.tracking.as_mut().expect("the client tracks");
    tracking.is_broken = true;
    if client.proto == Proto::Resp3 {
        let mut reply = Reply::with_proto(Proto::Resp3);
        reply.push(2);
        reply.bulk(b"tracking-redir-broken");
        reply.int(tracking.mode.redirect as i64);
        server.deliveries.push((slot, whole(reply)));
    }
}

/// A client changed what it tracks itself: it is told after the reply.
fn tell_later(server: &mut Server, slot: Slot, key: Option<&[u8]>) {
    server.tracking.late.push((slot, key.map(Box::from)));
    server.set_unusual(gate::unusual::INVALIDATED, true);
}

/// The reply to a client's command is written: it is told now what that command invalidated.
#[cold]
pub fn send_late(server: &mut Server) {
    server.set_unusual(gate::unusual::INVALIDATED, false);
    for (slot, key) in std::mem::take(&mut server.tracking.late) {
        if server.clients.get(slot).is_some() {
            let what = key.as_deref().map_or(What::Everything, What::Key);
            send(server, slot, &mut Message::new(what));
        }
    }
}

/// Brings it up to date whether there are more keys than may be.
pub fn note_limit(server: &mut Server) {
    let keys_max = server.config.tracking_table_max_keys as usize;
    let is_over = keys_max != 0 && server.tracking.table.len() > keys_max;
    server.set_unusual(gate::unusual::TRACKING_FULL, is_over);
}

/// Invalidates keys drawn at random until there are no more than may be, or enough for one time.
#[cold]
pub fn limit(server: &mut Server) {
    let keys_max = server.config.tracking_table_max_keys as usize;
    let effort = EFFORT_STEP * (server.tracking.shortfalls + 1);
    server.tracking.shortfalls += 1;
    for _ in 0..effort {
        note_limit(server);
        if server.unusual & gate::unusual::TRACKING_FULL == 0 {
            server.tracking.shortfalls = 0;
            return;
        }
        let draw = server.keyspace.rng.next_u64();
        let key = server.tracking.table.draw(draw);
        let key = key.expect("a table that is over a limit has keys");
        invalidate_key(server, &key, None);
    }
    debug_assert!(keys_max != 0);
    note_limit(server);
}
