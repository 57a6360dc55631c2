//! A node: a run of entries in one listpack, in the bytes that Redis gives it.
//!
//! ```text
//!   | live | deleted | names | name ... | 0 | entry | entry | ...
//!
//!   entry:  | flags | ms | seq | value ... | elements |                     with SAME_FIELDS
//!           | flags | ms | seq | fields | name | value | ... | elements |   without
//! ```
//!
//! - `live` and `deleted` count the entries; one that is deleted is marked and stays where it is.
//! - The `names` are those of the entry that opened the node. An entry that has the same, in the same
//!   order, leaves them out and is flagged SAME_FIELDS.
//! - `ms` and `seq` are the differences to the ID of the node, which is that of the entry that
//!   opened it and stands outside. They wrap: `seq` is negative when `ms` has grown.
//!   An ID is greater than those of all entries before it that are not deleted. Deleted ones may have
//!   greater IDs, since the last ID of a stream can be set back as far as the last entry that there is.
//! - `elements` counts those before it in the entry, so that a node can be read from its end.
//!
//! Everything here but [`Node::check`] trusts the bytes. Getting at an entry walks those before it.

use super::id::StreamId;
use crate::base::alloc;
use crate::data::listpack::{self, EMPTY_LEN, Item, Iter, Listpack, ListpackBuf, Pos};
use std::fmt;
use std::iter::FusedIterator;

/// The entry is deleted.
const DELETED: i64 = 1;
/// The entry has the names of the node.
const SAME_FIELDS: i64 = 2;

/// What a single entry may take, and a node if nothing less is asked for.
pub const BYTES_MAX: usize = listpack::BYTES_MAX;

/// When a node is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// It is if it would have as many bytes (`stream-node-max-bytes`); 0 for no limit.
    pub bytes_max: u64,
    /// It is if it has as many entries, deleted ones counted (`stream-node-max-entries`); 0 for no limit.
    pub entries_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes_max: 4096,
            entries_max: 100,
        }
    }
}

impl Limits {
    #[inline]
    fn bytes_max(self) -> usize {
        match usize::try_from(self.bytes_max) {
            Ok(bytes) if (1..BYTES_MAX).contains(&bytes) => bytes,
            _ => BYTES_MAX,
        }
    }
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    pack: ListpackBuf,
}

/// Fields to be added, names and values by turns.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// The number of fields.
    pub fields: usize,
    /// The bytes of names and values.
    pub bytes: usize,
}

impl Measure {
    /// Measures fields.
    #[inline]
    pub fn of<'f>(fields: impl Iterator<Item = &'f [u8]>) -> Measure {
        let (mut texts, mut bytes) = (0, 0);
        for text in fields {
            texts += 1;
            bytes += text.len();
        }
        assert!(texts % 2 == 0, "every field has a value");
        Measure {
            fields: texts / 2,
            bytes,
        }
    }

    /// What the entry takes at most in a node.
    fn room(self) -> usize {
        /// Flags, differences, the number of fields, the number of elements, and their backlens.
        const HEAD: usize = 2 + 10 + 10 + 6 + 6;
        /// A length and a backlen.
        const TEXT: usize = 10;
        self.bytes + 2 * self.fields * TEXT + HEAD
    }
}

impl Node {
    /// A node that an entry opens.
    pub fn new<'f>(
        fields: impl Iterator<Item = &'f [u8]> + Clone,
        measure: Measure,
        limits: Limits,
    ) -> Node {
        const COUNTS: usize = 2 + 2 + 6 + 2;
        let need = EMPTY_LEN + COUNTS + measure.room();
        let mut pack = ListpackBuf::new_in(Vec::with_capacity(capacity_for(need, limits)));
        pack.extend_with(|tail| {
            tail.int(1);
            tail.int(0);
            tail.int(measure.fields as i64);
            fields.clone().step_by(2).for_each(|name| tail.text(name));
            tail.int(0);
            tail.int(SAME_FIELDS);
            tail.int(0);
            tail.int(0);
            fields.skip(1).step_by(2).for_each(|value| tail.text(value));
            tail.int(measure.fields as i64 + 3);
        });
        Node { pack }
    }

    /// Whether an entry is to open a new node instead of being added to this one.
    #[inline]
    pub fn is_full(&self, measure: Measure, limits: Limits) -> bool {
        let bytes = self.bytes().len() + measure.bytes;
        bytes >= limits.bytes_max()
            || limits.entries_max != 0 && self.live() + self.deleted() >= limits.entries_max
    }

    /// Adds an entry whose ID is greater than all others'. `master` is the node's.
    pub fn push<'f>(
        &mut self,
        master: StreamId,
        id: StreamId,
        fields: impl Iterator<Item = &'f [u8]> + Clone,
        measure: Measure,
        limits: Limits,
    ) {
        self.reserve(measure.room(), limits);
        let pack = self.pack.as_ref();
        let live_at = pack.first().expect(SHAPE);
        let live = integer(pack.get(live_at));
        let mut names = self.names();
        let is_same = names.len() == measure.fields
            && fields.clone().step_by(2).all(|name| {
                let (known, _) = names.next_name().expect("as many names");
                known.is(name)
            });
        self.pack.replace_int(live_at, live + 1);
        self.pack.extend_with(|tail| {
            tail.int(if is_same { SAME_FIELDS } else { 0 });
            tail.int(id.ms.wrapping_sub(master.ms) as i64);
            tail.int(id.seq.wrapping_sub(master.seq) as i64);
            let count = measure.fields as i64;
            if is_same {
                fields.skip(1).step_by(2).for_each(|value| tail.text(value));
                tail.int(count + 3);
            } else {
                tail.int(count);
                fields.for_each(|text| tail.text(text));
                tail.int(2 * count + 4);
            }
        });
    }

    /// The node of bytes from anywhere, which belong to an ID, or what is wrong with them. Linear in
    /// the bytes.
    pub fn check(master: StreamId, bytes: Vec<u8>) -> Result<Node, Fault> {
        check(master, &bytes)?;
        Ok(Node {
            pack: ListpackBuf::from_vec_trusted(bytes),
        })
    }

    /// Its bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.pack.as_ref().bytes()
    }

    /// Bytes allocated for it.
    pub fn allocated(&self) -> usize {
        alloc::class_size(self.pack.capacity(), 1)
    }

    /// The number of entries that are not deleted.
    #[inline]
    pub fn live(&self) -> u64 {
        let mut items = self.pack.as_ref().iter();
        integer(items.next().expect(SHAPE)) as u64
    }

    /// The number of entries that are deleted.
    #[inline]
    pub fn deleted(&self) -> u64 {
        let mut items = self.pack.as_ref().iter();
        integer(items.nth(1).expect(SHAPE)) as u64
    }

    /// The entries that are not deleted, from either end; `master` is the node's ID.
    #[inline]
    pub fn entries(&self, master: StreamId) -> Entries<'_> {
        let names = self.names();
        let mut rest = names.items.clone();
        let end = rest.nth(names.len());
        debug_assert_eq!(end, Some(Item::Int(0)), "what ends a node's names");
        Entries {
            pack: self.pack.as_ref(),
            master,
            names,
            rest,
        }
    }

    /// The ID of the last entry, deleted or not.
    pub fn last_id(&self, master: StreamId) -> StreamId {
        let mut entries = self.entries(master);
        entries.last_start().expect("a node has an entry").id
    }

    /// The ID of the last entry that is not deleted.
    pub fn last_live_id(&self, master: StreamId) -> Option<StreamId> {
        Some(self.entries(master).next_back()?.id)
    }

    /// Marks an entry as deleted, which it is not yet.
    pub fn delete(&mut self, at: Pos) {
        let flags = integer(self.pack.as_ref().get(at));
        debug_assert_eq!(flags & DELETED, 0, "an entry is deleted once");
        self.pack.replace_int(at, flags | DELETED);
        self.note_deleted(1);
    }

    /// Marks entries as deleted from the first on that is not, as long as `while_true` says so of an entry's
    /// ID and of how many were marked so far; says how many were.
    pub fn delete_while(
        &mut self,
        master: StreamId,
        mut while_true: impl FnMut(StreamId, u64) -> bool,
    ) -> u64 {
        let mut deleted = 0;
        let mut next = self.entries(master).rest.front();
        while let Some(at) = next {
            let (start, behind) = self.read_at(master, at);
            next = behind;
            if !start.is_live() {
                continue;
            }
            if !while_true(start.id, deleted) {
                break;
            }
            let len = self.bytes().len();
            self.pack.replace_int(at, start.flags | DELETED);
            deleted += 1;
            if self.bytes().len() != len {
                // The flags were in a longer form than needed.
                (_, next) = self.read_at(master, at);
            }
        }
        self.note_deleted(deleted);
        deleted
    }

    /// How an entry begins, and where the next one is.
    #[inline]
    fn read_at(&self, master: StreamId, at: Pos) -> (Start, Option<Pos>) {
        let mut entries = Entries {
            pack: self.pack.as_ref(),
            master,
            names: self.names(),
            rest: self.pack.as_ref().iter_from(at),
        };
        let start = entries.first_start();
        let start = start.expect("an entry where one begins");
        entries.rest.nth(start.elements());
        (start, entries.rest.front())
    }

    /// Gives up room that it does not need: no entry will be added.
    pub fn close(&mut self) {
        let len = self.bytes().len();
        if alloc::class_size(len, 1) < self.allocated() {
            self.pack.shrink_to_fit();
        }
    }

    /// Moves entries from one count to the other.
    fn note_deleted(&mut self, count: u64) {
        let pack = self.pack.as_ref();
        let live_at = pack.first().expect(SHAPE);
        let live = integer(pack.get(live_at)) - count as i64;
        assert!(live >= 0, "entries are deleted that a node does not have");
        self.pack.replace_int(live_at, live);
        let pack = self.pack.as_ref();
        let deleted_at = pack.next(live_at).expect(SHAPE);
        let deleted = integer(pack.get(deleted_at)) + count as i64;
        self.pack.replace_int(deleted_at, deleted);
    }

    fn names(&self) -> Names<'_> {
        let mut items = self.pack.as_ref().iter();
        let left = integer(items.nth(2).expect(SHAPE)) as usize;
        Names { items, left }
    }

    /// Makes room for so many further bytes.
    #[inline]
    fn reserve(&mut self, add: usize, limits: Limits) {
        let need = self.bytes().len() + add;
        if need > self.pack.capacity() {
            let mut bytes = std::mem::take(&mut self.pack).into_vec();
            bytes.reserve_exact(capacity_for(need, limits) - bytes.len());
            self.pack = ListpackBuf::from_vec_trusted(bytes);
        }
    }
}

/// The memory to ask for when so many bytes are needed: as much again, but not much more than fits
/// below the limit, and not more than the allocator gives anyway.
fn capacity_for(need: usize, limits: Limits) -> usize {
    const SLACK_MIN: usize = 64;
    const SLACK_MAX: usize = 4096;
    let slack = need.clamp(SLACK_MIN, SLACK_MAX.max(need / 4));
    let limit = limits.bytes_max().saturating_add(SLACK_MIN);
    alloc::class_size((need + slack).min(limit).max(need), 1)
}

const SHAPE: &str = "a node begins with its counts";

/// The integer that an element is by the format.
#[inline]
fn integer(item: Item<'_>) -> i64 {
    match item {
        Item::Int(value) => value,
        Item::Bytes(_) => panic!("a text where a node has an integer"),
    }
}

/// The names of a node.
#[derive(Clone, Debug)]
struct Names<'a> {
    items: Iter<'a>,
    left: usize,
}

impl<'a> Names<'a> {
    #[inline]
    fn len(&self) -> usize {
        self.left
    }

    #[inline]
    fn next_name(&mut self) -> Option<(Item<'a>, usize)> {
        self.left = self.left.checked_sub(1)?;
        Some((self.items.next()?, self.left))
    }
}

/// Entries of a node that are not deleted, from either end.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    pack: Listpack<'a>,
    master: StreamId,
    names: Names<'a>,
    /// The elements of the entries that are left.
    rest: Iter<'a>,
}

/// How an entry begins.
struct Start {
    at: Pos,
    flags: i64,
    id: StreamId,
    /// The number of fields.
    fields: usize,
}

impl Start {
    #[inline]
    fn is_live(&self) -> bool {
        self.flags & DELETED == 0
    }

    #[inline]
    fn has_names(&self) -> bool {
        self.flags & SAME_FIELDS == 0
    }

    /// The number of elements behind these, the one with their number not counted.
    #[inline]
    fn elements(&self) -> usize {
        if self.has_names() {
            2 * self.fields
        } else {
            self.fields
        }
    }
}

/// An entry: how it begins, and what stands behind that.
struct Head<'a> {
    start: Start,
    items: Iter<'a>,
}

impl<'a> Entries<'a> {
    /// Steps over the entries before an ID, which are the first ones, and deleted ones with them. They
    /// are walked from the end that the ID seems to be nearer to.
    pub fn skip_to(&mut self, id: StreamId) {
        if self.is_late(id) {
            let (mut rest, mut first) = (self.rest.clone(), None);
            while let Some(start) = self.last_start() {
                if start.id < id {
                    break;
                }
                first = Some(start.at);
            }
            rest.set_front(first);
            self.rest = rest;
            return;
        }
        loop {
            let before = self.rest.clone();
            let Some(start) = self.first_start() else {
                return;
            };
            if start.id >= id && start.is_live() {
                self.rest = before;
                return;
            }
            self.rest.nth(start.elements());
        }
    }

    /// Steps over the entries behind an ID, which are the last ones.
    pub fn skip_back_to(&mut self, id: StreamId) {
        loop {
            let behind = self.rest.clone();
            let Some(start) = self.last_start() else {
                return;
            };
            if start.id <= id {
                self.rest = behind;
                return;
            }
        }
    }

    /// Whether an ID is nearer to the last one than to the first, if they come evenly.
    fn is_late(&self, id: StreamId) -> bool {
        let Some(last) = self.clone().last_start() else {
            return false;
        };
        let span = |id: StreamId| {
            let ms = id.ms.saturating_sub(self.master.ms);
            (
                ms,
                if ms == 0 {
                    id.seq.saturating_sub(self.master.seq)
                } else {
                    id.seq
                },
            )
        };
        let ((ms, seq), (last_ms, last_seq)) = (span(id), span(last.id));
        (ms, seq)
            > if last_ms == 0 {
                (0, last_seq / 2)
            } else {
                (last_ms / 2, u64::MAX)
            }
    }

    /// Takes the first entry, deleted or not.
    #[inline]
    fn first_head(&mut self) -> Option<Head<'a>> {
        let start = self.first_start()?;
        let items = self.rest.clone();
        let elements = self.rest.nth(start.elements());
        debug_assert!(
            elements.is_some(),
            "an entry ends with its elements' number"
        );
        Some(Head { start, items })
    }

    /// Takes the last entry, deleted or not.
    #[inline]
    fn last_head(&mut self) -> Option<Head<'a>> {
        let at = self.last_place()?;
        let mut items = self.pack.iter_from(at);
        let start = self.read_start(at, &mut items);
        Some(Head { start, items })
    }

    /// Reads how the first entry begins, and leaves the rest of it.
    #[inline]
    fn first_start(&mut self) -> Option<Start> {
        let at = self.rest.front()?;
        let mut items = self.rest.clone();
        let start = self.read_start(at, &mut items);
        self.rest = items;
        Some(start)
    }

    /// Takes the last entry, and reads how it begins.
    #[inline]
    fn last_start(&mut self) -> Option<Start> {
        let at = self.last_place()?;
        Some(self.read_start(at, &mut self.pack.iter_from(at)))
    }

    /// Takes the last entry, and says where it begins.
    #[inline]
    fn last_place(&mut self) -> Option<Pos> {
        let elements = integer(self.rest.next_back()?) as usize;
        self.rest.nth_back(elements - 1);
        Some(self.rest.back())
    }

    #[inline]
    fn read_start(&self, at: Pos, items: &mut Iter<'a>) -> Start {
        let mut next = || integer(items.next().expect("an entry has a head"));
        let flags = next();
        let (ms, seq) = (next() as u64, next() as u64);
        let fields = if flags & SAME_FIELDS != 0 {
            self.names.len()
        } else {
            next() as usize
        };
        let id = StreamId::new(
            self.master.ms.wrapping_add(ms),
            self.master.seq.wrapping_add(seq),
        );
        Start {
            at,
            flags,
            id,
            fields,
        }
    }

    #[inline]
    fn entry(&self, head: Head<'a>) -> Entry<'a> {
        let names = (!head.start.has_names()).then(|| self.names.items.clone());
        Entry {
            id: head.start.id,
            at: head.start.at,
            fields: Fields {
                names,
                items: head.items,
                left: head.start.fields,
            },
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let head = self.first_head()?;
            if head.start.is_live() {
                return Some(self.entry(head));
            }
        }
    }
}

impl DoubleEndedIterator for Entries<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            let head = self.last_head()?;
            if head.start.is_live() {
                return Some(self.entry(head));
            }
        }
    }
}

impl FusedIterator for Entries<'_> {}

/// An entry to read.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its ID.
    pub id: StreamId,
    /// Where it begins in its node.
    pub(super) at: Pos,
    fields: Fields<'a>,
}

impl<'a> Entry<'a> {
    /// The number of its fields.
    #[inline]
    pub fn len(&self) -> usize {
        self.fields.left
    }

    /// Whether it has no fields, which only a snapshot by others can bring about.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its fields, each a name and a value.
    #[inline]
    pub fn fields(&self) -> Fields<'a> {
        self.fields.clone()
    }
}

/// The fields of an entry.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// The names, unless they stand among the values.
    names: Option<Iter<'a>>,
    items: Iter<'a>,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names {
            Some(names) => names.next()?,
            None => self.items.next()?,
        };
        Some((name, self.items.next()?))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}
impl FusedIterator for Fields<'_> {}

/// What is wrong with bytes that are no node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They are no listpack.
    Listpack(listpack::Fault),
    /// The counts or the names are missing or no such.
    Head,
    /// An entry is missing or not complete, or an element of it is not what the format says.
    Entry {
        /// How many are before it.
        index: u64,
    },
    /// An ID is before that of the node, or not behind those of the entries before it that are not
    /// deleted.
    Order {
        /// How many entries are before it.
        index: u64,
    },
    /// The entries are not as many, live and deleted, as the counts say, or none.
    Counts,
    /// The node's ID is not behind the node before it.
    Node,
}

impl From<listpack::Fault> for Fault {
    fn from(fault: listpack::Fault) -> Fault {
        Fault::Listpack(fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Listpack(fault) => fault.fmt(f),
            Fault::Head => write!(f, "a stream node without counts and names"),
            Fault::Entry { index } => write!(f, "a stream node with a wrong entry {index}"),
            Fault::Order { index } => write!(f, "a stream node with entry {index} out of order"),
            Fault::Counts => write!(f, "a stream node with wrong counts"),
            Fault::Node => write!(f, "a stream node out of order"),
        }
    }
}

impl std::error::Error for Fault {}

/// Checks bytes from anywhere that are to be the node of an ID. Each element is looked at twice.
pub fn check(master: StreamId, bytes: &[u8]) -> Result<(), Fault> {
    let mut items = Listpack::check(bytes)?.iter();
    let [live, deleted, names] = [(); 3].map(|()| count(&mut items));
    let (Some(live), Some(deleted), Some(names)) = (live, deleted, names) else {
        return Err(Fault::Head);
    };
    if !skip(&mut items, names) || items.next() != Some(Item::Int(0)) {
        return Err(Fault::Head);
    }
    let (mut index, mut marked, mut previous) = (0, 0, None);
    while items.front().is_some() {
        let (id, flags) = check_entry(master, names, &mut items).ok_or(Fault::Entry { index })?;
        if id < master || previous.is_some_and(|previous| id <= previous) {
            return Err(Fault::Order { index });
        }
        if flags & DELETED != 0 {
            marked += 1;
        } else {
            previous = Some(id);
        }
        index += 1;
    }
    if index == 0 || marked != deleted || index - marked != live {
        return Err(Fault::Counts);
    }
    Ok(())
}

/// Checks the entry at the front and takes it; gives its ID and flags.
fn check_entry(master: StreamId, names: u64, items: &mut Iter<'_>) -> Option<(StreamId, i64)> {
    let mut next = || match items.next() {
        Some(Item::Int(value)) => Some(value),
        _ => None,
    };
    let flags = next().filter(|flags| (0..=DELETED | SAME_FIELDS).contains(flags))?;
    let (ms, seq) = (next()? as u64, next()? as u64);
    let (texts, head) = if flags & SAME_FIELDS != 0 {
        (names, 3)
    } else {
        (count(items)?.checked_mul(2)?, 4)
    };
    if !skip(items, texts) || count(items)? != texts + head {
        return None;
    }
    let id = StreamId::new(master.ms.wrapping_add(ms), master.seq.wrapping_add(seq));
    Some((id, flags))
}

/// Takes a number that is not negative.
fn count(items: &mut Iter<'_>) -> Option<u64> {
    match items.next() {
        Some(Item::Int(value)) => u64::try_from(value).ok(),
        _ => None,
    }
}

/// Takes so many elements; says whether there were as many.
fn skip(items: &mut Iter<'_>, elements: u64) -> bool {
    (0..elements).all(|_| items.next().is_some())
}
