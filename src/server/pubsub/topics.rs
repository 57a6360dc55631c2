//! Topics by name and by number, each with its subscribers in order.
//!
//! A topic's subscribers are an ascending list of 64-bit entries, a ticket above a slot:
//!
//! ```text
//! entry  | ticket: 40 bits, ascending in time | slot: 24 bits, or GONE |
//! ```
//!
//! Who leaves is found by binary search and marked as gone; the list is packed again when more than half
//! of it is. So entering and leaving cost O(log n) in a channel of any size, and an entry eight bytes.

use super::Kind;
use crate::server::client::Slot;
use std::collections::HashMap;
use std::rc::Rc;

const SLOT_BITS: u32 = 24;
/// Stands where the slot of a subscriber was that left.
const GONE: u64 = (1 << SLOT_BITS) - 1;
/// The bits of a topic's number; above them a [`Subscription`] has the kind.
const TOPIC_BITS: u32 = 30;

/// A client's part of a subscription.
#[derive(Clone, Copy)]
pub struct Subscription {
    key: u32,
    entry: u64,
}

impl Subscription {
    pub(super) fn new(kind: Kind, topic: u32, entry: u64) -> Subscription {
        let key = Subscription::key_of(kind, topic);
        Subscription { key, entry }
    }

    /// What subscriptions are sorted by.
    pub(super) fn key_of(kind: Kind, topic: u32) -> u32 {
        (kind as u32) << TOPIC_BITS | topic
    }

    pub(super) fn key(self) -> u32 {
        self.key
    }

    pub(super) fn kind(self) -> Kind {
        match self.key >> TOPIC_BITS {
            0 => Kind::Channel,
            1 => Kind::Pattern,
            _ => Kind::Shard,
        }
    }

    pub(super) fn topic(self) -> u32 {
        self.key & ((1 << TOPIC_BITS) - 1)
    }

    /// The subscriber's entry in the topic's list.
    pub(super) fn entry(self) -> u64 {
        self.entry
    }
}

/// Something that clients listen to.
pub(super) struct Topic {
    name: Rc<[u8]>,
    /// The ticket of its creation.
    created: u64,
    /// Ascending.
    entries: Vec<u64>,
    /// How many entries are marked as gone.
    gone: usize,
}

impl Topic {
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(super) fn created(&self) -> u64 {
        self.created
    }

    /// The number of subscribers.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.gone
    }

    /// The subscribers, in the order in which they came.
    #[inline]
    pub(super) fn subscribers(&self) -> impl Iterator<Item = Slot> {
        let slots = self.entries.iter().map(|entry| entry & GONE);
        slots.filter(|&slot| slot != GONE).map(|slot| slot as Slot)
    }

    fn leave(&mut self, entry: u64) {
        let at = self
            .entries
            .binary_search(&entry)
            .expect("a subscription has its entry in the topic");
        if at + 1 == self.entries.len() {
            self.entries.pop();
        } else {
            self.entries[at] |= GONE;
            self.gone += 1;
        }
        if 2 * self.gone > self.entries.len() {
            self.entries.retain(|entry| entry & GONE != GONE);
            self.gone = 0;
        }
        if self.entries.capacity() > 4 * self.entries.len() {
            self.entries.shrink_to(2 * self.entries.len());
        }
    }
}

/// The topics of a kind.
#[derive(Default)]
pub(super) struct Topics {
    by_name: HashMap<Rc<[u8]>, u32>,
    slots: Vec<Option<Topic>>,
    free: Vec<u32>,
    tickets: u64,
}

impl Topics {
    /// The number of topics.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// All topics.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.slots.iter().flatten()
    }

    /// The number of a topic.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The topic of a name.
    #[inline]
    pub(super) fn get(&self, name: &[u8]) -> Option<&Topic> {
        self.find(name).map(|id| self.at(id))
    }

    /// The topic of a number.
    #[inline]
    pub(super) fn at(&self, id: u32) -> &Topic {
        self.slots[id as usize]
            .as_ref()
            .expect("a topic has subscribers as long as its number is used")
    }

    /// The number of a topic, and whether it was created for this. A new one must be entered.
    pub(super) fn find_or_add(&mut self, name: &[u8]) -> (u32, bool) {
        if let Some(id) = self.find(name) {
            return (id, false);
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        assert!(id < 1 << TOPIC_BITS, "topics have {TOPIC_BITS}-bit numbers");
        self.tickets += 1;
        let name: Rc<[u8]> = name.into();
        self.by_name.insert(name.clone(), id);
        self.slots[id as usize] = Some(Topic {
            name,
            created: self.tickets,
            entries: Vec::new(),
            gone: 0,
        });
        (id, true)
    }

    /// Adds a subscriber, and returns its entry.
    pub(super) fn enter(&mut self, id: u32, slot: Slot) -> u64 {
        assert!((slot as u64) < GONE, "slots have {SLOT_BITS} bits");
        self.tickets += 1;
        let entry = self.tickets << SLOT_BITS | slot as u64;
        let topic = self.slots[id as usize].as_mut();
        let topic = topic.expect("the caller found the topic");
        if topic.entries.capacity() == 0 {
            // Most topics have one subscriber.
            topic.entries.reserve_exact(1);
        }
        topic.entries.push(entry);
        entry
    }

    /// Removes a subscriber. With the last one the topic goes, and its name is returned.
    pub(super) fn leave(&mut self, id: u32, entry: u64) -> Option<Rc<[u8]>> {
        let place = &mut self.slots[id as usize];
        let topic = place.as_mut().expect("a subscription has a topic");
        topic.leave(entry);
        if topic.len() > 0 {
            return None;
        }
        let name = place.take()?.name;
        self.by_name.remove(&name);
        if self.by_name.is_empty() {
            // What many topics took is given back with the last.
            (self.by_name, self.slots, self.free) = Default::default();
        } else {
            self.free.push(id);
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subscribers(topics: &Topics, name: &[u8]) -> Vec<Slot> {
        let topic = topics.get(name);
        topic.map_or(Vec::new(), |topic| topic.subscribers().collect())
    }

    #[test]
    fn a_topic_goes_with_its_last_subscriber() {
        let mut topics = Topics::default();
        let (a, is_new) = topics.find_or_add(b"a");
        assert!(is_new);
        let first = topics.enter(a, 7);
        assert_eq!(topics.find_or_add(b"a"), (a, false));
        let second = topics.enter(a, 3);
        assert_eq!(subscribers(&topics, b"a"), [7, 3]);
        assert!(topics.leave(a, first).is_none());
        assert_eq!(subscribers(&topics, b"a"), [3]);
        assert_eq!(topics.leave(a, second).as_deref(), Some(&b"a"[..]));
        assert_eq!((topics.len(), topics.find(b"a")), (0, None));
    }

    proptest! {
        #[test]
        fn order_holds_whoever_leaves(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..200)) {
            let mut topics = Topics::default();
            let mut model: Vec<(Slot, u64)> = Vec::new();
            for (step, (enters, which)) in steps.iter().enumerate() {
                if *enters || model.is_empty() {
                    let (id, is_new) = topics.find_or_add(b"t");
                    prop_assert_eq!(is_new, model.is_empty());
                    model.push((step, topics.enter(id, step)));
                } else {
                    let (_, entry) = model.remove(which.index(model.len()));
                    let id = topics.find(b"t").unwrap();
                    prop_assert_eq!(topics.leave(id, entry).is_some(), model.is_empty());
                }
                let expected: Vec<Slot> = model.iter().map(|(slot, _)| *slot).collect();
                prop_assert_eq!(subscribers(&topics, b"t"), expected);
                prop_assert_eq!(topics.get(b"t").map_or(0, Topic::len), model.len());
            }
        }
    }
}
