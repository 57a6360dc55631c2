//! Pub/sub: who listens to which channel, and the fan-out of a message.
//!
//! A channel, shard channel or pattern that somebody listens to is a *topic* ([`topics`]), named by a
//! small number; it lists its subscribers in the order in which they came. A client lists the topics it
//! listens to, sorted by number, 16 bytes each, and nothing at all if there are none. Either side finds
//! the other by binary search, so that a client leaves a channel of any size in logarithmic time.
//!
//! A message costs one lookup of its channel, one for each length of pattern prefix or suffix in use
//! ([`anchors`]), and a reference for each receiver: its bytes are put together once for each topic and
//! protocol, and shared. They go through [`Server::deliveries`], which keeps their place among replies.

mod anchors;
mod topics;

use crate::base::glob;
use crate::resp::reply::Proto;
use crate::server::client::{Clients, Slot, unusual};
use crate::server::deliveries;
use crate::server::reactions;
use crate::server::state::Server;
use anchors::Anchors;
use bytes::Bytes;
use topics::{Topic, Topics};

pub use topics::Subscription;

/// What a topic is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A channel.
    Channel,
    /// A pattern of channels.
    Pattern,
    /// A channel of a cluster's shard, apart from the others.
    Shard,
}

/// The topics a client listens to.
#[derive(Default)]
pub struct Subscriptions {
    /// Sorted by kind and topic.
    all: Vec<Subscription>,
}

impl Subscriptions {
    /// How many there are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.of(kind).len()
    }

    /// The heap bytes they take.
    pub fn heap_bytes(&self) -> usize {
        size_of::<Subscriptions>() + self.all.capacity() * size_of::<Subscription>()
    }

    fn of(&self, kind: Kind) -> &[Subscription] {
        let from = self.all.partition_point(|s| s.kind() < kind);
        let to = self.all.partition_point(|s| s.kind() <= kind);
        &self.all[from..to]
    }

    /// Where a topic is, or where it would be.
    fn find(&self, kind: Kind, topic: u32) -> Result<usize, usize> {
        let key = Subscription::key_of(kind, topic);
        self.all.binary_search_by_key(&key, |s| s.key())
    }
}

/// All topics.
#[derive(Default)]
pub struct PubSub {
    channels: Topics,
    patterns: Topics,
    shards: Topics,
    /// Finds the patterns that a channel may match.
    anchors: Anchors,
    /// Clients that listen to anything.
    clients: usize,
    /// Where the patterns that a message matches are gathered.
    matched: Vec<(u64, u32)>,
}

impl PubSub {
    /// The topics of a kind.
    fn topics(&self, kind: Kind) -> &Topics {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        }
    }

    fn topics_mut(&mut self, kind: Kind) -> &mut Topics {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }

    /// The number of topics of a kind that somebody listens to.
    pub fn count(&self, kind: Kind) -> usize {
        self.topics(kind).len()
    }

    /// The number of clients that listen to anything.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// Whether somebody listens to a channel or pattern: whether a message can have a receiver.
    #[inline]
    pub fn has_listeners(&self) -> bool {
        self.channels.len() + self.patterns.len() != 0
    }

    /// The number of clients that listen to a topic.
    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> usize {
        self.topics(kind).get(name).map_or(0, Topic::len)
    }

    /// The names of the topics of a kind that match a pattern, or of all.
    pub fn names<'a>(
        &'a self,
        kind: Kind,
        pattern: Option<&'a [u8]>,
    ) -> impl Iterator<Item = &'a [u8]> {
        let names = self.topics(kind).iter().map(Topic::name);
        names.filter(move |name| pattern.is_none_or(|pattern| matches(pattern, name)))
    }

    /// Gathers the patterns that a channel matches, in the order of their creation.
    fn gather_matches(&mut self, channel: &[u8]) {
        let (patterns, matched) = (&self.patterns, &mut self.matched);
        matched.clear();
        self.anchors.visit(channel, |id| {
            let topic = patterns.at(id);
            if matches(topic.name(), channel) {
                matched.push((topic.created(), id));
            }
        });
        matched.sort_unstable();
    }
}

/// Whether a channel matches a pattern. Unlike elsewhere, `*` does not match an empty name.
fn matches(pattern: &[u8], channel: &[u8]) -> bool {
    glob::matches(pattern, channel, false) && (!channel.is_empty() || pattern.is_empty())
}

/// Has a client listen to a topic. Nothing changes if it does already.
pub fn subscribe(server: &mut Server, slot: Slot, kind: Kind, name: &[u8]) {
    let had_listeners = server.pubsub.has_listeners();
    let client = server.clients.at_mut(slot);
    let pubsub = &mut server.pubsub;
    let subscriptions = client.subscriptions.get_or_insert_default();
    let (topic, is_new) = pubsub.topics_mut(kind).find_or_add(name);
    let Err(at) = subscriptions.find(kind, topic) else {
        return;
    };
    if is_new && kind == Kind::Pattern {
        pubsub.anchors.add(name, topic);
    }
    let entry = pubsub.topics_mut(kind).enter(topic, slot);
    let subscription = Subscription::new(kind, topic, entry);
    if subscriptions.all.capacity() == 0 {
        // Most clients that listen at all listen to one channel.
        subscriptions.all.reserve_exact(1);
    }
    subscriptions.all.insert(at, subscription);
    if client.unusual & unusual::SUBSCRIBED == 0 {
        client.set_unusual(unusual::SUBSCRIBED, true);
        pubsub.clients += 1;
    }
    note_listeners(server, had_listeners);
}

/// Has a client listen to a topic no longer.
pub fn unsubscribe(server: &mut Server, slot: Slot, kind: Kind, name: &[u8]) {
    let had_listeners = server.pubsub.has_listeners();
    let client = server.clients.at_mut(slot);
    let Some(subscriptions) = &mut client.subscriptions else {
        return;
    };
    let topic = server.pubsub.topics(kind).find(name);
    let Some(at) = topic.and_then(|topic| subscriptions.find(kind, topic).ok()) else {
        return;
    };
    let subscription = subscriptions.all.remove(at);
    if subscriptions.all.is_empty() {
        client.subscriptions = None;
        client.set_unusual(unusual::SUBSCRIBED, false);
        server.pubsub.clients -= 1;
    } else if subscriptions.all.capacity() > 4 * subscriptions.all.len() {
        subscriptions.all.shrink_to(2 * subscriptions.all.len());
    }
    leave(&mut server.pubsub, subscription);
    note_listeners(server, had_listeners);
}

/// The names of what a client listens to, in the order in which it began to.
pub fn names(server: &Server, slot: Slot, kind: Kind) -> Vec<Box<[u8]>> {
    let client = server.clients.at(slot);
    let Some(subscriptions) = &client.subscriptions else {
        return Vec::new();
    };
    let mut all: Vec<&Subscription> = subscriptions.of(kind).iter().collect();
    all.sort_unstable_by_key(|s| s.entry());
    let topics = server.pubsub.topics(kind);
    let names = all.iter().map(|s| topics.at(s.topic()).name().into());
    names.collect()
}

/// Ends all subscriptions of a client without telling it.
pub fn unsubscribe_all(server: &mut Server, slot: Slot) {
    let client = server.clients.at_mut(slot);
    client.set_unusual(unusual::SUBSCRIBED, false);
    let Some(subscriptions) = client.subscriptions.take() else {
        return;
    };
    let had_listeners = server.pubsub.has_listeners();
    server.pubsub.clients -= 1;
    for subscription in subscriptions.all {
        leave(&mut server.pubsub, subscription);
    }
    note_listeners(server, had_listeners);
}

fn leave(pubsub: &mut PubSub, subscription: Subscription) {
    let (kind, topic) = (subscription.kind(), subscription.topic());
    let Some(name) = pubsub.topics_mut(kind).leave(topic, subscription.entry()) else {
        return;
    };
    if kind == Kind::Pattern {
        pubsub.anchors.remove(&name, topic);
    }
}

/// Keyspace events are recorded only while somebody could be told of them.
fn note_listeners(server: &mut Server, had_listeners: bool) {
    if server.pubsub.has_listeners() != had_listeners {
        reactions::note_listeners(server);
    }
}

/// Sends a message to the subscribers of a channel and of the patterns that it matches: to those of the
/// channel in the order of their subscriptions, then to those of the patterns in the order of theirs.
/// Returns the number of receivers.
pub fn publish(server: &mut Server, channel: &[u8], message: &[u8]) -> usize {
    let receivers = reach(server, channel, message);
    deliveries::note(server, channel.len() + message.len(), receivers);
    receivers
}

fn reach(server: &mut Server, channel: &[u8], message: &[u8]) -> usize {
    let (clients, deliveries) = (&server.clients, &mut server.deliveries);
    let pubsub = &mut server.pubsub;
    let mut receivers = 0;
    if let Some(topic) = pubsub.channels.get(channel) {
        receivers += fan_out(clients, deliveries, topic, &[b"message", channel, message]);
    }
    if pubsub.patterns.len() == 0 {
        return receivers;
    }
    pubsub.gather_matches(channel);
    for &(_, id) in &pubsub.matched {
        let topic = pubsub.patterns.at(id);
        let parts = [b"pmessage", topic.name(), channel, message];
        receivers += fan_out(clients, deliveries, topic, &parts);
    }
    receivers
}

/// The same for a shard channel, which no pattern matches.
pub fn publish_to_shard(server: &mut Server, channel: &[u8], message: &[u8]) -> usize {
    let Some(topic) = server.pubsub.shards.get(channel) else {
        return 0;
    };
    let parts: [&[u8]; 3] = [b"smessage", channel, message];
    let receivers = fan_out(&server.clients, &mut server.deliveries, topic, &parts);
    deliveries::note(server, channel.len() + message.len(), receivers);
    receivers
}

/// Queues a message of these parts for the subscribers of a topic; returns how many there are.
fn fan_out(
    clients: &Clients,
    deliveries: &mut Vec<(Slot, Bytes)>,
    topic: &Topic,
    parts: &[&[u8]],
) -> usize {
    let mut encoded: [Option<Bytes>; 2] = [None, None];
    deliveries.reserve(topic.len());
    for slot in topic.subscribers() {
        let proto = clients.at(slot).proto;
        let bytes = encoded[usize::from(proto == Proto::Resp3)]
            .get_or_insert_with(|| encode(proto, parts))
            .clone();
        deliveries.push((slot, bytes));
    }
    topic.len()
}

/// A push message of these parts.
fn encode(proto: Proto, parts: &[&[u8]]) -> Bytes {
    /// A marker, the digits of a length and two line ends.
    const AROUND_MAX: usize = 1 + 20 + 2 + 2;
    let room = parts.iter().map(|part| part.len() + AROUND_MAX).sum();
    let mut digits = itoa::Buffer::new();
    let mut out = Vec::with_capacity(4 + usize::min(room, isize::MAX as usize - 4));
    out.push(if proto == Proto::Resp3 { b'>' } else { b'*' });
    out.push(b'0' + parts.len() as u8);
    out.extend_from_slice(b"\r\n");
    for part in parts {
        out.push(b'$');
        out.extend_from_slice(digits.format(part.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    Bytes::from(out)
}
