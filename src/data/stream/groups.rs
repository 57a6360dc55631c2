//! Consumer groups: how far each has read, its consumers, and the entries they have not acknowledged.
//!
//! A pending entry stands once in its group, with who has it, since when, and how often it was
//! delivered; and its ID once more with its consumer. A consumer is named by an index there, so that
//! nothing is copied for an entry: 40 bytes in the group and 16 with the consumer.
//!
//! # How far a group has read
//!
//! `entries_read` counts the entries of the stream up to the group's last ID, among all ever added. It
//! stays right only as long as each step of the group is over one entry, and is unknown otherwise. The
//! *lag* is the number of entries that are left: those ever added without those read. That is right
//! unless entries that the group has not read were deleted. Whether they were is judged by the greatest
//! ID that was ever deleted, the *tombstone*: it is ahead of the group if it is not before its last ID.
//!
//! Where the count is unknown, the position of an ID among all entries ever added can still be told
//! if it is at an end ([`position`]): at or before the first entry with no tombstone behind that, at the
//! last ID, or anywhere in a stream that is empty.

use super::id::StreamId;
use super::ids::IdMap;
use super::log::Log;
use crate::base::alloc;
use std::collections::BTreeMap;

/// The groups of a stream, in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Groups(BTreeMap<Box<[u8]>, Group>);

/// A consumer group.
#[derive(Clone, Debug)]
pub struct Group {
    last_id: StreamId,
    entries_read: Option<u64>,
    pending: IdMap<Nack>,
    /// By their index; a place is empty after its consumer was deleted, until the next is created.
    consumers: Vec<Option<Consumer>>,
    /// The indexes of the consumers, in the order of their names.
    by_name: Vec<u32>,
}

/// Names a consumer within its group, as long as it is not deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConsumerId(u32);

/// A consumer.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it was last heard of, in milliseconds of the Unix clock.
    pub seen_time_ms: i64,
    /// When it last got or claimed something; -1 if it never did.
    pub active_time_ms: i64,
    pending: IdMap<()>,
}

/// A pending entry: one that was delivered and not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nack {
    /// Who has it.
    pub consumer: ConsumerId,
    /// When it was last delivered, in milliseconds of the Unix clock.
    pub delivery_time_ms: i64,
    /// How often it was delivered.
    pub delivery_count: u64,
}

impl Nack {
    /// How long ago it was delivered.
    #[inline]
    pub fn idle_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.delivery_time_ms).max(0)
    }
}

impl Groups {
    /// The number of groups.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The group of a name.
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.0.get(name)
    }

    /// The group of a name, to change.
    #[inline]
    pub fn get_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.0.get_mut(name)
    }

    /// Creates a group that has read up to an ID, `entries_read` entries if that is known; gives it,
    /// or nothing if there is one of this name.
    pub fn create(
        &mut self,
        name: &[u8],
        last_id: StreamId,
        entries_read: Option<u64>,
    ) -> Option<&mut Group> {
        if self.0.contains_key(name) {
            return None;
        }
        let group = Group {
            last_id,
            entries_read,
            pending: IdMap::default(),
            consumers: Vec::new(),
            by_name: Vec::new(),
        };
        Some(self.0.entry(name.into()).or_insert(group))
    }

    /// Takes a group away; says whether there was one of this name.
    pub fn destroy(&mut self, name: &[u8]) -> bool {
        self.0.remove(name).is_some()
    }

    /// The groups with their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        self.0.iter().map(|(name, group)| (&**name, group))
    }

    /// Bytes that the groups take.
    pub fn allocated(&self) -> usize {
        /// What a search tree that is two thirds full adds to its values.
        const SHARE: usize = (size_of::<(Box<[u8]>, Group)>()) * 3 / 2;
        let groups = self.0.iter();
        groups
            .map(|(name, group)| SHARE + alloc::class_size(name.len(), 1) + group.allocated())
            .sum()
    }

    /// About how many allocations freeing them gives back.
    pub(super) fn weight(&self) -> usize {
        self.0.values().map(Group::weight).sum()
    }
}

impl Group {
    /// The ID up to which the group has read.
    #[inline]
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// How many entries up to there were ever added, if that is known.
    #[inline]
    pub fn entries_read(&self) -> Option<u64> {
        self.entries_read
    }

    /// Sets how far the group has read.
    pub fn set_id(&mut self, last_id: StreamId, entries_read: Option<u64>) {
        self.last_id = last_id;
        self.entries_read = entries_read;
    }

    /// Moves on to an entry of the log that was delivered; nothing changes if it is not behind the last.
    #[inline]
    pub fn advance(&mut self, log: &Log, id: StreamId) {
        if id <= self.last_id {
            return;
        }
        let steady = self.last_id >= log.first_id() && !has_tombstone_from(log, self.last_id);
        self.entries_read = match self.entries_read {
            Some(read) if steady => Some(read + 1),
            read if log.entries_added() == 0 => read,
            _ => position(log, id),
        };
        self.last_id = id;
    }

    /// How many entries are left to read; unknown if entries ahead were deleted.
    pub fn lag(&self, log: &Log) -> Option<i64> {
        let added = log.entries_added();
        let read = match self.entries_read {
            _ if added == 0 => Some(0),
            Some(read) if !has_tombstone_from(log, self.last_id) => Some(read),
            _ => position(log, self.last_id),
        };
        read.map(|read| added.wrapping_sub(read) as i64)
    }

    /// The consumer of a name.
    #[inline]
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerId> {
        let place = self.search(name).ok()?;
        Some(ConsumerId(self.by_name[place]))
    }

    /// Creates a consumer, seen now; gives it, or nothing if there is one of this name.
    pub fn create_consumer(&mut self, name: &[u8], now_ms: i64) -> Option<ConsumerId> {
        let place = self.search(name).err()?;
        let consumer = Consumer {
            name: name.into(),
            seen_time_ms: now_ms,
            active_time_ms: -1,
            pending: IdMap::default(),
        };
        let free = match self.by_name.len() == self.consumers.len() {
            true => None,
            false => self.consumers.iter().position(Option::is_none),
        };
        let index = free.unwrap_or(self.consumers.len());
        match free {
            Some(free) => self.consumers[free] = Some(consumer),
            None => self.consumers.push(Some(consumer)),
        }
        let index = u32::try_from(index).expect("fewer consumers than fit into memory");
        self.by_name.insert(place, index);
        Some(ConsumerId(index))
    }

    /// Deletes a consumer and what it has pending; gives the number of that, or nothing if there is
    /// no such consumer.
    pub fn delete_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let place = self.search(name).ok()?;
        let index = self.by_name.remove(place) as usize;
        let consumer = self.consumers[index]
            .take()
            .expect("a consumer that was found");
        for (id, ()) in consumer.pending.iter_from(StreamId::MIN) {
            let nack = self.pending.remove(id);
            assert!(nack.is_some(), "what a consumer has pending, its group has");
        }
        Some(consumer.pending.len())
    }

    /// A consumer.
    #[inline]
    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        self.consumers[id.0 as usize].as_ref().expect(DELETED)
    }

    /// A consumer, to set its times.
    #[inline]
    pub fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.consumers[id.0 as usize].as_mut().expect(DELETED)
    }

    /// The number of consumers.
    #[inline]
    pub fn consumer_count(&self) -> usize {
        self.by_name.len()
    }

    /// The consumers, in the order of their names.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = (ConsumerId, &Consumer)> {
        let ids = self.by_name.iter().map(|&index| ConsumerId(index));
        ids.map(|id| (id, self.consumer(id)))
    }

    /// The number of pending entries.
    #[inline]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// The IDs of the first and the last pending entry.
    pub fn pending_bounds(&self) -> Option<(StreamId, StreamId)> {
        Some((self.pending.first()?.0, self.pending.last()?.0))
    }

    /// A pending entry.
    #[inline]
    pub fn nack(&self, id: StreamId) -> Option<&Nack> {
        self.pending.get(id)
    }

    /// The pending entries from an ID on.
    pub fn pending(&self, from: StreamId) -> impl Iterator<Item = (StreamId, &Nack)> {
        self.pending.iter_from(from)
    }

    /// The pending entries of one consumer from an ID on.
    pub fn pending_of(
        &self,
        consumer: ConsumerId,
        from: StreamId,
    ) -> impl Iterator<Item = (StreamId, &Nack)> {
        let ids = self.consumer(consumer).pending.iter_from(from);
        ids.map(|(id, ())| (id, self.pending.get(id).expect(PENDING)))
    }

    /// Notes that an entry was delivered to a consumer for the first time, whoever had it before.
    #[inline]
    pub fn deliver(&mut self, id: StreamId, consumer: ConsumerId, now_ms: i64) {
        self.assign(
            id,
            Nack {
                consumer,
                delivery_time_ms: now_ms,
                delivery_count: 1,
            },
        );
    }

    /// Makes an entry pending as is said, whether it was pending before or not.
    pub fn assign(&mut self, id: StreamId, nack: Nack) {
        let before = self.pending.insert(id, nack).map(|before| before.consumer);
        if before == Some(nack.consumer) {
            return;
        }
        if let Some(before) = before {
            let known = self.consumer_mut(before).pending.remove(id);
            assert!(known.is_some(), "{PENDING}");
        }
        self.consumer_mut(nack.consumer).pending.insert(id, ());
    }

    /// Notes that a pending entry was delivered once more to who has it; says whether it is pending.
    #[inline]
    pub fn redeliver(&mut self, id: StreamId, now_ms: i64) -> bool {
        let Some(nack) = self.pending.get_mut(id) else {
            return false;
        };
        nack.delivery_time_ms = now_ms;
        nack.delivery_count = nack.delivery_count.saturating_add(1);
        true
    }

    /// Forgets a pending entry; says whether there was one.
    #[inline]
    pub fn ack(&mut self, id: StreamId) -> bool {
        let Some(nack) = self.pending.remove(id) else {
            return false;
        };
        let known = self.consumer_mut(nack.consumer).pending.remove(id);
        assert!(known.is_some(), "{PENDING}");
        true
    }

    /// Where a name is in the order of names, or would be.
    #[inline]
    fn search(&self, name: &[u8]) -> Result<usize, usize> {
        self.by_name
            .binary_search_by(|&index| (*self.consumer(ConsumerId(index)).name).cmp(name))
    }

    fn allocated(&self) -> usize {
        let bytes = |count: usize, each: usize| match count {
            0 => 0,
            count => alloc::class_size(count * each, 8),
        };
        let consumers = self.consumers.iter().flatten();
        self.pending.allocated()
            + bytes(self.consumers.capacity(), size_of::<Option<Consumer>>())
            + bytes(self.by_name.capacity(), size_of::<u32>())
            + consumers
                .map(|c| alloc::class_size(c.name.len(), 1) + c.pending.allocated())
                .sum::<usize>()
    }

    fn weight(&self) -> usize {
        let consumers = self.consumers.iter().flatten();
        let lists = consumers.map(|consumer| 1 + consumer.pending.chunks());
        1 + self.pending.chunks() + lists.sum::<usize>()
    }
}

impl Consumer {
    /// The name.
    #[inline]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The number of entries that it has pending.
    #[inline]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }
}

const DELETED: &str = "a deleted consumer is not named any more";
const PENDING: &str = "an entry is pending in the group and with its consumer, or in neither";

/// How many entries up to an ID were ever added, if that can be told: see the head of this file.
pub fn position(log: &Log, id: StreamId) -> Option<u64> {
    let added = log.entries_added();
    if added == 0 {
        return Some(0);
    }
    if log.is_empty() && id <= log.last_id() {
        return Some(added);
    }
    let tombstone = log.max_deleted_id();
    if !id.is_zero() && id < tombstone || id > log.last_id() {
        return None;
    }
    if id == log.last_id() {
        return Some(added);
    }
    if tombstone.is_zero() || tombstone < log.first_id() {
        let before = added.wrapping_sub(log.len());
        if id < log.first_id() {
            return Some(before);
        }
        if id == log.first_id() {
            return Some(before.wrapping_add(1));
        }
    }
    None
}

/// Whether entries from an ID on are known to have been deleted.
#[inline]
fn has_tombstone_from(log: &Log, id: StreamId) -> bool {
    let tombstone = log.max_deleted_id();
    !log.is_empty() && !tombstone.is_zero() && id <= tombstone
}

#[cfg(test)]
mod tests {
    use super::super::log::{Keep, Trim};
    use super::super::node::Limits;
    use super::*;

    /// What `set` and `group` say of the entries read.
    fn entries_read(words: &[&str]) -> Option<u64> {
        words.get(2).and_then(|word| word.parse().ok())
    }

    fn run(log: &mut Log, group: &mut Group, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let id = |at: usize| StreamId::parse(words[at].as_bytes(), 0).expect("an ID");
        match words[0] {
            "add" => {
                let fields = [&b"a"[..], b"1"].into_iter();
                assert_eq!(log.append(id(1), fields, Limits::default()), Ok(()));
            }
            "del" => assert!(log.delete(id(1))),
            "trim" => {
                let keep = match words[1] {
                    "MAXLEN" => Keep::Newest(words[2].parse().expect("a number")),
                    _ => Keep::From(id(2)),
                };
                log.trim(Trim {
                    keep,
                    approximate: false,
                    limit: 0,
                });
            }
            "group" | "set" => group.set_id(id(1), entries_read(&words)),
            "read" => {
                let count = words[1].parse().expect("a number");
                let from = group.last_id().next().expect("not the greatest");
                for entry in log.range(from, StreamId::MAX).take(count) {
                    group.advance(log, entry.id);
                }
            }
            word => panic!("{word}"),
        }
    }

    /// Entries read and lag that Valkey 8.1.1 tells in XINFO GROUPS after the commands, each time
    /// something but an addition is done, and at the end.
    #[test]
    fn lags_are_those_of_valkey() {
        let check = |commands: &str, expected: &[(Option<u64>, Option<i64>)]| {
            let (mut log, mut groups) = (Log::default(), Groups::default());
            let group = groups.create(b"g", StreamId::MIN, None);
            let (group, mut is_there) = (group.expect("a new one"), false);
            let mut found = Vec::new();
            let mut commands_left = commands.split(';').peekable();
            while let Some(command) = commands_left.next() {
                let command = command.trim();
                run(&mut log, group, command);
                is_there |= command.starts_with("group");
                if is_there && (!command.starts_with("add") || commands_left.peek().is_none()) {
                    found.push((group.entries_read(), group.lag(&log)));
                }
            }
            assert_eq!(found, expected, "{commands}");
        };
        check(
            "group 0; add 1-0; add 2-0; read 1; add 3-0; read 5; add 4-0; add 5-0",
            &[
                (None, Some(0)),
                (Some(1), Some(1)),
                (Some(3), Some(0)),
                (Some(3), Some(2)),
            ],
        );
        check(
            "group 0; add 1-0; add 2-0; add 3-0; add 4-0; add 5-0; del 3-0; read 1; read 1; read 1; read 1; add 6-0; read 1",
            &[
                (None, Some(0)),
                (None, None),
                (None, None),
                (None, None),
                (None, None),
                (Some(5), Some(0)),
                (Some(6), Some(0)),
            ],
        );
        check(
            "add 1-0; add 2-0; add 3-0; add 4-0; add 5-0; group 0; del 1-0; read 1; read 1; del 2-0; read 5",
            &[
                (None, Some(5)),
                (None, Some(4)),
                (Some(2), Some(3)),
                (Some(3), Some(2)),
                (Some(3), Some(2)),
                (Some(5), Some(0)),
            ],
        );
        check(
            "add 1-0; add 2-0; add 3-0; add 4-0; add 5-0; group 0; trim MAXLEN 2; read 1; trim MAXLEN 0; add 6-0; read 1",
            &[
                (None, Some(5)),
                (None, Some(2)),
                (Some(4), Some(1)),
                (Some(4), Some(1)),
                (Some(6), Some(0)),
            ],
        );
        check(
            "add 1-0; add 2-0; add 3-0; group 2-0; read 1; set 1-0; read 1; set 1-0 1; read 1; read 1; set 0 0; read 1; set 3-0; read 1; set 99-0; add 100-0; read 1",
            &[
                (None, None),
                (Some(3), Some(0)),
                (None, Some(2)),
                (None, None),
                (Some(1), Some(2)),
                (Some(2), Some(1)),
                (Some(3), Some(0)),
                (Some(0), Some(3)),
                (Some(1), Some(2)),
                (None, Some(0)),
                (None, Some(0)),
                (None, None),
                (Some(4), Some(0)),
            ],
        );
        check(
            "add 1-0; add 2-0; add 3-0; add 4-0; group 0; read 2; del 1-0; trim MINID 3-0; read 1; del 4-0; add 5-0; read 1",
            &[
                (None, Some(4)),
                (Some(2), Some(2)),
                (Some(2), Some(2)),
                (Some(2), Some(2)),
                (Some(3), Some(1)),
                (Some(3), None),
                (Some(5), Some(0)),
            ],
        );
        check(
            "add 1-0; group 0; del 1-0; set 5-0; set 0; add 7-0; set 0; read 1",
            &[
                (None, Some(1)),
                (None, Some(0)),
                (None, None),
                (None, Some(0)),
                (None, Some(1)),
                (Some(2), Some(0)),
            ],
        );
        check(
            "add 1-0; add 2-0; add 3-0; group 3-0; trim MINID 3-0; set 3-0; set 2-0; del 3-0; set 2-0; set 9-0",
            &[
                (None, Some(0)),
                (None, Some(0)),
                (None, Some(0)),
                (None, Some(1)),
                (None, Some(0)),
                (None, Some(0)),
                (None, None),
            ],
        );
        check(
            "add 1-0; add 2-0; add 3-0; add 4-0; add 5-0; group 2-0 2; del 2-0; set 3-0 3; del 4-0; read 1; read 1; add 6-0; read 1",
            &[
                (Some(2), Some(3)),
                (Some(2), None),
                (Some(3), Some(2)),
                (Some(3), None),
                (Some(5), Some(0)),
                (Some(5), Some(0)),
                (Some(6), Some(0)),
            ],
        );
    }
}
