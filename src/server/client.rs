//! A client as the server knows it. Its socket belongs to `net`, under the same slot.

use crate::base::vec;
use crate::resp::reply::Proto;
use crate::server::blocked::Parked;
use crate::server::multi::Transaction;
use crate::server::out_queue::OutQueue;
use crate::server::pubsub::{Kind, Subscriptions};
use crate::server::query::Query;
use crate::server::tracking::Tracking;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZero;
use std::path::PathBuf;

/// An index into the table of clients; reused, so [`Client::id`] tells one from the next.
pub type Slot = usize;

/// Who is at the other end, or at ours.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// An IPv4 address.
    Tcp4(SocketAddrV4),
    /// An IPv6 address.
    Tcp6(Box<SocketAddrV6>),
    /// A Unix socket's path.
    Unix(Box<PathBuf>),
}

const _: () = assert!(size_of::<Endpoint>() == 16);

impl Endpoint {
    /// A TCP address.
    pub fn tcp(address: impl Into<SocketAddr>) -> Endpoint {
        match address.into() {
            SocketAddr::V4(address) => Endpoint::Tcp4(address),
            SocketAddr::V6(address) => Endpoint::Tcp6(Box::new(address)),
        }
    }

    /// A Unix socket's path.
    pub fn unix(path: impl Into<PathBuf>) -> Endpoint {
        Endpoint::Unix(Box::new(path.into()))
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Endpoint::Tcp4(address) => address.ip().is_loopback(),
            Endpoint::Tcp6(address) => address.ip().to_canonical().is_loopback(),
            Endpoint::Unix(_) => true,
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Tcp4(address) => write!(f, "{address}"),
            Endpoint::Tcp6(address) => write!(f, "{address}"),
            Endpoint::Unix(path) => write!(f, "{}:0", path.display()),
        }
    }
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// Once everything written so far was sent (QUIT, protocol errors).
    AfterReplies,
    /// At once.
    Now,
}

/// Whether replies are sent (CLIENT REPLY).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ReplyMode {
    /// Always.
    #[default]
    On,
    /// Not at all.
    Off,
    /// Not to this command, which set it; to be followed by `Skip`.
    SkipNext,
    /// Not to this command.
    Skip,
}

/// What is unusual about a client: the gate looks closer if any of these is set.
pub mod unusual {
    /// It has not authenticated and must.
    pub const UNAUTHENTICATED: u32 = 1 << 0;
    /// CLIENT REPLY is not ON.
    pub const REPLY_MODE: u32 = 1 << 1;
    /// It receives every command (MONITOR).
    pub const MONITOR: u32 = 1 << 2;
    /// It is inside MULTI.
    pub const MULTI: u32 = 1 << 3;
    /// It is told of changed keys (CLIENT TRACKING).
    pub const TRACKING: u32 = 1 << 4;
    /// It may be told of changed keys for another one.
    pub const REDIRECTED_TO: u32 = 1 << 5;
    /// It listens to channels or patterns.
    pub const SUBSCRIBED: u32 = 1 << 8;
    /// A script of its runs.
    pub const SCRIPT: u32 = 1 << 9;
}

/// The id of clients that are no connections.
const INTERNAL_ID: u64 = 0;

/// A connected client.
pub struct Client {
    /// Unique and ascending.
    pub id: u64,
    /// Its place in the table.
    pub slot: Slot,
    /// Bits of [`unusual`].
    pub unusual: u32,
    /// The selected database.
    pub db: usize,
    /// The protocol that replies are written in.
    pub proto: Proto,
    /// How the connection ends, if it is to.
    pub closing: Option<Closing>,
    /// Whether replies are sent.
    pub reply_mode: ReplyMode,
    /// Its keys' access clocks are left alone (CLIENT NO-TOUCH).
    pub no_touch: bool,
    /// It is not evicted (CLIENT NO-EVICT).
    pub no_evict: bool,
    /// It understands being sent elsewhere (CLIENT CAPA REDIRECT).
    pub can_redirect: bool,
    /// Its next command waits for the end of a pause.
    pub postponed: bool,
    /// What its command waits for, if it does.
    pub parked: Option<Box<Parked>>,
    /// What it queued since MULTI and watches, if it does either.
    pub transaction: Option<Box<Transaction>>,
    /// How it is told of changed keys, if it is.
    pub tracking: Option<Box<Tracking>>,
    /// The channels and patterns that it listens to; `None` if there are none.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// When it connected, in milliseconds of the Unix clock.
    pub created_ms: i64,
    /// When it last sent something or took what it was sent.
    pub active_ms: i64,
    /// When its output first exceeded the soft limit, in seconds of the Unix clock.
    pub soft_limit_since_s: Option<NonZero<u32>>,
    /// The last command it ran.
    pub last_command: Option<crate::server::registry::CommandId>,
    /// Received bytes that are not a whole request yet, or must wait.
    pub query: Query,
    /// What could not be sent at once.
    pub out: OutQueue,
    /// The most bytes of replies that it was sent at once, lately.
    pub reply_peak: u32,
    /// Since when, in milliseconds of the Unix clock.
    pub reply_peak_ms: i64,
    /// Where in the stream of commands its last write ends.
    pub wrote_to: u64,
    /// Commands run.
    pub commands: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// The peer.
    pub peer: Endpoint,
    /// Our end.
    pub local: Endpoint,
    /// The descriptor, to show.
    pub fd: i32,
    /// It has authenticated once, whatever it is now.
    pub was_authenticated: bool,
    /// What only some clients set.
    pub label: Option<Box<Label>>,
}

/// Of an idle client nothing more is to be kept than this.
const _: () = assert!(size_of::<Client>() <= 256);

/// Names that a client gave itself, and what else only some have.
#[derive(Default)]
pub struct Label {
    /// CLIENT SETNAME.
    pub name: Vec<u8>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Vec<u8>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_version: Vec<u8>,
    /// The user it runs as; `None` is `default`.
    pub user: Option<Box<str>>,
}

impl Client {
    /// A client that has just connected.
    pub fn new(
        id: u64,
        slot: Slot,
        fd: i32,
        peer: Endpoint,
        local: Endpoint,
        now_ms: i64,
    ) -> Client {
        Client {
            id,
            slot,
            unusual: 0,
            db: 0,
            proto: Proto::Resp2,
            closing: None,
            reply_mode: ReplyMode::On,
            no_touch: false,
            no_evict: false,
            can_redirect: false,
            postponed: false,
            parked: None,
            transaction: None,
            tracking: None,
            subscriptions: None,
            created_ms: now_ms,
            active_ms: now_ms,
            soft_limit_since_s: None,
            last_command: None,
            query: Query::default(),
            out: OutQueue::default(),
            reply_peak: 0,
            reply_peak_ms: now_ms,
            wrote_to: 0,
            commands: 0,
            bytes_in: 0,
            bytes_out: 0,
            peer,
            local,
            fd,
            was_authenticated: false,
            label: None,
        }
    }

    /// Whether it has authenticated, or need not.
    #[inline]
    pub fn is_authenticated(&self) -> bool {
        self.unusual & unusual::UNAUTHENTICATED == 0
    }

    /// Whether nothing that it sends runs for now.
    #[inline]
    pub fn is_held(&self) -> bool {
        self.postponed || self.parked.is_some() || self.is_in_script()
    }

    /// Whether it is inside MULTI.
    #[inline]
    pub fn is_in_multi(&self) -> bool {
        self.unusual & unusual::MULTI != 0
    }

    /// Whether its commands may wait: not inside a transaction or script.
    #[inline]
    pub fn may_wait(&self) -> bool {
        self.unusual & (unusual::MULTI | unusual::SCRIPT) == 0
    }

    /// Whether its commands are those of a script.
    #[inline]
    pub fn is_in_script(&self) -> bool {
        self.unusual & unusual::SCRIPT != 0
    }

    /// Whether it listens to channels or patterns.
    #[inline]
    pub fn is_subscribed(&self) -> bool {
        self.unusual & unusual::SUBSCRIBED != 0
    }

    /// Notes that so many bytes were sent to it.
    pub fn note_sent(&mut self, bytes: usize, now_ms: i64) {
        self.bytes_out += bytes as u64;
        self.active_ms = now_ms;
    }

    /// Whether it is shown every command.
    pub fn is_monitor(&self) -> bool {
        self.unusual & unusual::MONITOR != 0
    }

    /// Whether it may be sent something that is no reply to a request of its own, which must keep its
    /// place among its replies.
    #[inline]
    pub fn is_listening(&self) -> bool {
        const ANY: u32 =
            unusual::SUBSCRIBED | unusual::MONITOR | unusual::TRACKING | unusual::REDIRECTED_TO;
        self.unusual & ANY != 0
    }

    /// How many topics of a kind it listens to.
    pub fn subscribed_to(&self, kind: Kind) -> usize {
        let subscriptions = self.subscriptions.as_deref();
        subscriptions.map_or(0, |all| all.count(kind))
    }

    /// The bytes of memory that it takes, buffers and all.
    pub fn memory(&self) -> usize {
        let parked = self.parked.as_ref().map_or(0, |p| p.heap_bytes());
        let transaction = self.transaction.as_ref().map_or(0, |t| t.heap_bytes());
        let tracking = self.tracking.as_ref().map_or(0, |t| t.heap_bytes());
        let subscriptions = self.subscriptions.as_ref();
        let subscriptions = subscriptions.map_or(0, |s| s.heap_bytes());
        let buffers = self.query.heap_bytes() + self.out.bytes();
        size_of::<Client>() + buffers + parked + transaction + tracking + subscriptions
    }

    /// Whether it connects from this machine.
    pub fn is_local(&self) -> bool {
        self.peer.is_local()
    }

    /// The names it gave itself, to set.
    pub fn label_mut(&mut self) -> &mut Label {
        self.label.get_or_insert_default()
    }

    /// The name it gave itself.
    pub fn name(&self) -> &[u8] {
        self.label.as_ref().map_or(&[], |l| &l.name)
    }

    /// Names it; an empty name is none.
    pub fn set_name(&mut self, name: &[u8]) {
        if !name.is_empty() || self.label.is_some() {
            self.label_mut().name = name.to_vec();
        }
    }

    /// The user it runs as.
    pub fn user(&self) -> &str {
        let user = self.label.as_ref().and_then(|l| l.user.as_deref());
        user.unwrap_or("default")
    }

    /// Has it run as the user `default`.
    pub fn forget_user(&mut self) {
        if let Some(label) = &mut self.label {
            label.user = None;
        }
    }

    /// Changes whether replies are sent.
    pub fn set_reply_mode(&mut self, mode: ReplyMode) {
        self.reply_mode = mode;
        self.set_unusual(unusual::REPLY_MODE, mode != ReplyMode::On);
    }

    /// Sets or clears a bit of [`unusual`].
    pub fn set_unusual(&mut self, bit: u32, on: bool) {
        self.unusual = if on {
            self.unusual | bit
        } else {
            self.unusual & !bit
        };
    }

    /// Ends the connection; the stricter of two wishes counts.
    pub fn close(&mut self, how: Closing) {
        if self.closing != Some(Closing::Now) {
            self.closing = Some(how);
        }
    }
}

/// All clients, by slot and by id.
#[derive(Default)]
pub struct Clients {
    slots: Vec<Option<Box<Client>>>,
    free: Vec<Slot>,
    ids: Ids,
    next_id: u64,
}

/// The slots of ids, which only ever ascend: one word a client, an id above its slot. Those of clients that
/// are gone stay, without their slots, until they are half of all.
#[derive(Default)]
struct Ids {
    entries: Vec<u64>,
    gone: usize,
}

impl Ids {
    const SLOT_BITS: u32 = 24;
    const GONE: u64 = (1 << Self::SLOT_BITS) - 1;

    fn len(&self) -> usize {
        self.entries.len() - self.gone
    }

    fn add(&mut self, id: u64, slot: Slot) {
        assert!(
            (slot as u64) < Self::GONE,
            "slots have {} bits",
            Self::SLOT_BITS
        );
        vec::push_sparingly(&mut self.entries, id << Self::SLOT_BITS | slot as u64);
    }

    fn place(&self, id: u64) -> Option<usize> {
        let id_of = |entry: &u64| entry >> Self::SLOT_BITS;
        self.entries.binary_search_by_key(&id, id_of).ok()
    }

    fn find(&self, id: u64) -> Option<Slot> {
        let slot = self.entries[self.place(id)?] & Self::GONE;
        (slot != Self::GONE).then_some(slot as Slot)
    }

    fn remove(&mut self, id: u64) {
        let place = self.place(id).expect("a client has its id");
        self.entries[place] |= Self::GONE;
        self.gone += 1;
        if 2 * self.gone > self.entries.len() {
            self.entries
                .retain(|entry| entry & Self::GONE != Self::GONE);
            self.entries.shrink_to(2 * self.entries.len());
            self.gone = 0;
        }
    }
}

impl Clients {
    /// Adds a client.
    pub fn add(&mut self, fd: i32, peer: Endpoint, local: Endpoint, now_ms: i64) -> &mut Client {
        self.next_id += 1;
        let slot = self.free_slot();
        self.ids.add(self.next_id, slot);
        self.slots[slot].insert(Box::new(Client::new(
            self.next_id,
            slot,
            fd,
            peer,
            local,
            now_ms,
        )))
    }

    /// Adds one that nobody is connected as and that is not counted or listed: what runs as it is ours.
    pub fn add_internal(&mut self) -> Slot {
        let slot = self.free_slot();
        let nowhere = || Endpoint::unix("");
        let client = Client::new(INTERNAL_ID, slot, -1, nowhere(), nowhere(), 0);
        self.slots[slot] = Some(Box::new(client));
        slot
    }

    fn free_slot(&mut self) -> Slot {
        self.free.pop().unwrap_or_else(|| {
            vec::push_sparingly(&mut self.slots, None);
            self.slots.len() - 1
        })
    }

    /// A client that is about to go counts no longer, and is not found by its id.
    pub fn retire(&mut self, slot: Slot) {
        let id = self.at(slot).id;
        if self.ids.find(id).is_some() {
            self.ids.remove(id);
        }
    }

    /// Removes a client.
    pub fn remove(&mut self, slot: Slot) -> Option<Box<Client>> {
        self.get(slot)?;
        self.retire(slot);
        self.free.push(slot);
        self.slots[slot].take()
    }

    /// The client in a slot, which must be one.
    #[inline]
    pub fn at(&self, slot: Slot) -> &Client {
        self.slots[slot]
            .as_deref()
            .expect("the slot holds a client")
    }

    /// The same, to change.
    #[inline]
    pub fn at_mut(&mut self, slot: Slot) -> &mut Client {
        self.slots[slot]
            .as_deref_mut()
            .expect("the slot holds a client")
    }

    /// The client in a slot, if there is one.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&Client> {
        self.slots.get(slot)?.as_deref()
    }

    /// The same, to change.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Client> {
        self.slots.get_mut(slot)?.as_deref_mut()
    }

    /// The client of an id.
    pub fn by_id(&self, id: u64) -> Option<&Client> {
        self.ids.find(id).map(|slot| self.at(slot))
    }

    /// The number of slots, taken or free.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The number of clients.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.len() == 0
    }

    /// All clients, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        let all = self.slots.iter().filter_map(|c| c.as_deref());
        all.filter(|client| client.id != INTERNAL_ID)
    }

    /// The same, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        let all = self.slots.iter_mut().filter_map(|c| c.as_deref_mut());
        all.filter(|client| client.id != INTERNAL_ID)
    }
}
