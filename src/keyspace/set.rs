//! A set, whichever form it is in: an intset while all members are integers and few, a listpack
//! while they are few and short, a table from then on.
//!
//! A set is made in the form that its first members ask for and only moves on: from an intset to a
//! listpack or table when a member comes that is no integer, from either to a table when it grows
//! beyond the [`Limits`]. What is removed moves nothing back. The forms, and when one gives way to
//! another, are those of Redis 7.2, so that OBJECT ENCODING says the same after the same commands.
//!
//! Packed forms are searched in time linear (listpack) or logarithmic (intset) in their members,
//! tables in constant time; all tables of sets share one hash function, so that a member is hashed once
//! for any number of them.

use super::value::{Big, Collection, Packing, Stored, Type};
use crate::base::hash;
use crate::base::num::{digits10_i64, parse_i64};
use crate::base::rng::Rng;
use crate::data::intset::{IntSet, IntSetBuf};
use crate::data::listpack::{self, Listpack, ListpackBuf, Needle, encoded_len, is_safe_to_add};
use crate::data::members::Members;
use std::collections::HashSet;
use std::ops::ControlFlow;

pub use crate::data::listpack::Item;
pub use sift::{Pass, sift};

mod sift;

/// Up to where a set stays in a packed form.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Members of an intset.
    pub intset_entries: usize,
    /// Members of a listpack.
    pub listpack_entries: usize,
    /// Bytes of a listpack's member.
    pub listpack_value: usize,
}

/// A set to read.
#[derive(Clone, Copy)]
pub enum SetRef<'a> {
    /// A few integers.
    Ints(IntSet<'a>),
    /// A few short members.
    Pack(Listpack<'a>),
    /// A big one.
    Table(&'a Members),
}

/// A set to change.
pub enum Set {
    /// One without members, whose form the first one decides, and memory for it.
    New(Vec<u8>),
    /// A few integers.
    Ints(IntSetBuf),
    /// A few short members.
    Pack(ListpackBuf),
    /// A big one.
    Table(Box<Members>),
}

impl Collection for Set {
    const KIND: Type = Type::Set;

    fn new_in(buffer: Vec<u8>) -> Set {
        Set::New(buffer)
    }

    fn from_stored(stored: Stored) -> Set {
        match stored {
            Stored::Packed(Packing::Ints, bytes) => Set::Ints(IntSetBuf::from_vec_trusted(bytes)),
            Stored::Packed(Packing::Set, bytes) => Set::Pack(ListpackBuf::from_vec_trusted(bytes)),
            Stored::Big(Big::Set(members)) => Set::Table(members),
            _ => panic!("the entry of a set holds something else"),
        }
    }

    fn into_stored(self) -> Stored {
        match self {
            Set::New(buffer) => Stored::Packed(Packing::Ints, IntSetBuf::new_in(buffer).into_vec()),
            Set::Ints(ints) => Stored::Packed(Packing::Ints, ints.into_vec()),
            Set::Pack(pack) => Stored::Packed(Packing::Set, pack.into_vec()),
            Set::Table(members) => Stored::Big(Big::Set(members)),
        }
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }
}

impl Set {
    /// One without members that is an intset until it must become something else, whatever comes.
    pub fn of_ints() -> Set {
        Set::Ints(IntSetBuf::new())
    }

    /// One without members to put the intersection of `smallest` and others into; [`Set::narrow`] it
    /// once it is complete.
    pub fn for_part_of(smallest: SetRef<'_>) -> Set {
        match smallest {
            SetRef::Ints(_) => Set::of_ints(),
            SetRef::Pack(_) | SetRef::Table(_) => Set::Pack(ListpackBuf::new()),
        }
    }

    /// The set, to read.
    #[inline]
    pub fn as_ref(&self) -> SetRef<'_> {
        match self {
            Set::New(_) => SetRef::EMPTY,
            Set::Ints(ints) => SetRef::Ints(ints.as_ref()),
            Set::Pack(pack) => SetRef::Pack(pack.as_ref()),
            Set::Table(members) => SetRef::Table(members),
        }
    }

    /// Prepares for so many members, of which `first` is the first: a new set takes a form, another
    /// becomes a table if they may be too many for its form.
    #[inline]
    pub fn expect(&mut self, first: &[u8], count: usize, limits: Limits) {
        match self {
            Set::New(_) => self.begin(first, count, limits),
            Set::Ints(_) if count > limits.intset_entries => self.become_table(count),
            Set::Pack(_) if count > limits.listpack_entries => self.become_table(count),
            Set::Ints(_) | Set::Pack(_) | Set::Table(_) => {}
        }
    }

    /// Adds a member; says whether it is new.
    #[inline]
    pub fn insert(&mut self, member: &[u8], limits: Limits) -> bool {
        match self {
            Set::Table(members) => members.insert(member),
            Set::Pack(pack) => {
                let needle = Needle::new(member);
                let pack_ref = pack.as_ref();
                if has(pack_ref, &needle) {
                    return false;
                }
                if fits(pack_ref, member, limits) {
                    pack.push_back(member);
                    true
                } else {
                    self.insert_in_table(member)
                }
            }
            Set::Ints(_) => match parse_i64(member) {
                Some(value) => self.insert_int(value, limits),
                None => self.insert_beside_ints(member, limits),
            },
            Set::New(_) => {
                self.begin(member, 1, limits);
                self.insert(member, limits)
            }
        }
    }

    /// The same without a search where the set is packed: whoever calls this finds out in the end whether a member
    /// came twice. Where it is not, says whether the member is new.
    #[inline]
    pub fn insert_untested(&mut self, member: &[u8], limits: Limits) -> bool {
        match self {
            Set::Pack(pack) if fits(pack.as_ref(), member, limits) => {
                pack.push_back(member);
                true
            }
            _ => self.insert(member, limits),
        }
    }

    /// Adds a member of another set; says whether it is new.
    pub fn insert_item(&mut self, item: Item<'_>, limits: Limits) -> bool {
        match (&mut *self, item) {
            (Set::Ints(_), Item::Int(value)) => self.insert_int(value, limits),
            _ => self.insert(item.bytes(&mut itoa::Buffer::new()), limits),
        }
    }

    /// Takes a member out; says whether it was there.
    #[inline]
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Set::Table(members) => members.remove(member),
            Set::Pack(pack) => match find(pack.as_ref(), &Needle::new(member)) {
                Some(at) => {
                    pack.remove(at);
                    true
                }
                None => false,
            },
            Set::Ints(ints) => parse_i64(member).is_some_and(|value| ints.remove(value)),
            Set::New(_) => false,
        }
    }

    /// Takes out a member of another set; says whether it was there.
    pub fn remove_item(&mut self, item: Item<'_>) -> bool {
        self.remove(item.bytes(&mut itoa::Buffer::new()))
    }

    /// Takes out a member chosen with equal chance among all, after `visit` has seen it. False if
    /// there is none.
    pub fn pop(&mut self, rng: &mut Rng, visit: impl FnOnce(Item<'_>)) -> bool {
        match self {
            Set::Table(members) => members.pop_random(rng, |member| visit(Item::Bytes(member))),
            Set::Pack(pack) => {
                let Some(at) = random_pos(pack.as_ref(), rng) else {
                    return false;
                };
                visit(pack.as_ref().get(at));
                pack.remove(at);
                true
            }
            Set::Ints(ints) => {
                let Some(value) = random_int(ints.as_ref(), rng) else {
                    return false;
                };
                visit(Item::Int(value));
                ints.remove(value);
                true
            }
            Set::New(_) => false,
        }
    }

    /// Takes out `count` members chosen by chance, fewer than there are, and shows them to `visit`.
    pub fn pop_some(
        &mut self,
        count: usize,
        rng: &mut Rng,
        limits: Limits,
        mut visit: impl FnMut(Item<'_>),
    ) {
        /// A table of which at most one in so many stays is made anew from what stays.
        const MOVED_SHARE: usize = 5;
        let stay = self.as_ref().len() - count;
        match self {
            Set::Table(members) if stay.saturating_mul(MOVED_SHARE) > count => {
                for _ in 0..count {
                    members.pop_random(rng, |member| visit(Item::Bytes(member)));
                }
            }
            Set::Table(members) => {
                let mut rest = Set::Pack(ListpackBuf::new());
                for _ in 0..stay {
                    members.pop_random(rng, |member| {
                        rest.insert(member, limits);
                    });
                }
                members.iter().for_each(|member| visit(Item::Bytes(member)));
                *self = rest;
            }
            Set::Pack(pack) => {
                let mut rest = ListpackBuf::new();
                let mut draw = Draw::new(count, stay + count);
                let mut digits = itoa::Buffer::new();
                for item in pack.as_ref().iter() {
                    if draw.takes_next(rng) {
                        visit(item);
                    } else {
                        rest.push_back(item.bytes(&mut digits));
                    }
                }
                *pack = rest;
            }
            Set::Ints(ints) => {
                let mut rest = IntSetBuf::new();
                let mut draw = Draw::new(count, stay + count);
                for value in ints.as_ref().iter() {
                    if draw.takes_next(rng) {
                        visit(Item::Int(value));
                    } else {
                        rest.insert(value);
                    }
                }
                *ints = rest;
            }
            Set::New(_) => {}
        }
    }

    /// Makes an intset of it if all members are integers and few enough for one.
    pub fn narrow(&mut self, limits: Limits) {
        let set = self.as_ref();
        if matches!(set, SetRef::Ints(_)) || set.len() > limits.intset_entries {
            return;
        }
        let mut ints = IntSetBuf::new();
        let all = set.try_for_each(|item| match item.integer() {
            Some(value) => {
                ints.insert(value);
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        });
        if all.is_continue() {
            *self = Set::Ints(ints);
        }
    }

    /// Gives a new set the form that so many members ask for.
    fn begin(&mut self, first: &[u8], count: usize, limits: Limits) {
        let Set::New(buffer) = self else {
            unreachable!("only a new set has no form");
        };
        let buffer = std::mem::take(buffer);
        *self = if count <= limits.intset_entries && parse_i64(first).is_some() {
            Set::Ints(IntSetBuf::new_in(buffer))
        } else if count <= limits.listpack_entries {
            Set::Pack(ListpackBuf::new_in(buffer))
        } else {
            let mut members = Box::new(Members::new(hash::process()));
            members.reserve(count);
            Set::Table(members)
        };
    }

    /// Adds an integer to an intset.
    fn insert_int(&mut self, value: i64, limits: Limits) -> bool {
        let Set::Ints(ints) = self else {
            unreachable!("the caller has an intset");
        };
        if !ints.insert(value) {
            return false;
        }
        let count = ints.as_ref().len();
        if count > limits.intset_entries {
            self.become_table(count);
        }
        true
    }

    /// Adds to an intset what is no integer.
    fn insert_beside_ints(&mut self, member: &[u8], limits: Limits) -> bool {
        let Set::Ints(ints) = self else {
            unreachable!("the caller has an intset");
        };
        let ints = ints.as_ref();
        let longest = [ints.min(), ints.max()].into_iter().flatten();
        let longest = longest.map(digits10_i64).max().unwrap_or(0);
        if ints.len() >= limits.listpack_entries
            || member.len().max(longest) > limits.listpack_value
            || !is_safe_to_add(ints.len() * INT_BYTES_MAX, encoded_len(member))
        {
            return self.insert_in_table(member);
        }
        let mut pack = ListpackBuf::new();
        ints.iter().for_each(|value| pack.push_back_int(value));
        pack.push_back(member);
        *self = Set::Pack(pack);
        true
    }

    /// Makes a table of a packed set and adds a member that it has not.
    fn insert_in_table(&mut self, member: &[u8]) -> bool {
        self.become_table(self.as_ref().len() + 1);
        match self {
            Set::Table(members) => members.insert(member),
            _ => unreachable!("it has just become a table"),
        }
    }

    /// Makes a table of it, with room for so many members.
    #[cold]
    fn become_table(&mut self, count: usize) {
        let mut members = Box::new(Members::new(hash::process()));
        members.reserve(count);
        let mut digits = itoa::Buffer::new();
        self.as_ref().for_each(|item| {
            members.insert(item.bytes(&mut digits));
        });
        *self = Set::Table(members);
    }
}

/// Whether a member may be added to a packed set.
#[inline]
fn fits(pack: Listpack<'_>, member: &[u8], limits: Limits) -> bool {
    pack.len() < limits.listpack_entries
        && member.len() <= limits.listpack_value
        && is_safe_to_add(pack.bytes().len(), member.len())
}

/// The most bytes that an integer takes in a listpack.
const INT_BYTES_MAX: usize = 10;

impl<'a> SetRef<'a> {
    /// One without members, as which a key is read that is not there.
    pub const EMPTY: SetRef<'static> = SetRef::Ints(IntSet::EMPTY);

    /// The number of members.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            SetRef::Ints(ints) => ints.len(),
            SetRef::Pack(pack) => pack.len(),
            SetRef::Table(members) => members.len(),
        }
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        match self {
            SetRef::Ints(ints) => ints.is_empty(),
            SetRef::Pack(pack) => pack.is_empty(),
            SetRef::Table(members) => members.is_empty(),
        }
    }

    /// Whether it has this member.
    #[inline]
    pub fn contains(self, member: &[u8]) -> bool {
        match self {
            SetRef::Ints(ints) => parse_i64(member).is_some_and(|value| ints.contains(value)),
            SetRef::Pack(pack) => has(pack, &Needle::new(member)),
            SetRef::Table(members) => members.contains(member),
        }
    }

    /// Visits all members, in no particular order.
    #[inline]
    pub fn for_each(self, mut visit: impl FnMut(Item<'a>)) {
        let _ = self.try_for_each(|item| {
            visit(item);
            ControlFlow::<()>::Continue(())
        });
    }

    /// Visits the members until `visit` has had enough.
    #[inline]
    pub fn try_for_each<B>(
        self,
        mut visit: impl FnMut(Item<'a>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        match self {
            SetRef::Ints(ints) => ints.iter().map(Item::Int).try_for_each(visit),
            SetRef::Pack(pack) => pack.iter().try_for_each(visit),
            SetRef::Table(members) => members
                .iter()
                .try_for_each(|member| visit(Item::Bytes(member))),
        }
    }

    /// The listpack that it is, if it is one.
    #[inline]
    fn pack(&self) -> Option<Listpack<'a>> {
        match self {
            SetRef::Pack(pack) => Some(*pack),
            SetRef::Ints(_) | SetRef::Table(_) => None,
        }
    }

    /// The table that it is, if it is one.
    #[inline]
    fn table(&self) -> Option<&'a Members> {
        match self {
            SetRef::Table(members) => Some(members),
            SetRef::Ints(_) | SetRef::Pack(_) => None,
        }
    }

    /// A member chosen with equal chance among all.
    pub fn random(self, rng: &mut Rng) -> Option<Item<'a>> {
        match self {
            SetRef::Ints(ints) => random_int(ints, rng).map(Item::Int),
            SetRef::Pack(pack) => random_pos(pack, rng).map(|at| pack.get(at)),
            SetRef::Table(members) => members.random(rng).map(Item::Bytes),
        }
    }

    /// Visits `count` members, each chosen with equal chance among all, whether or not it came before.
    pub fn draw(self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Item<'a>)) {
        /// So many members of a listpack are worth a list of all, so that it is walked once.
        const LISTED_MIN: usize = 4;
        match self {
            SetRef::Pack(pack) if count >= LISTED_MIN => {
                let all: Vec<_> = pack.iter().collect();
                for _ in 0..count {
                    visit(all[rng.below(all.len() as u64) as usize]);
                }
            }
            _ => (0..count).for_each(|_| self.random(rng).into_iter().for_each(&mut visit)),
        }
    }

    /// Visits `count` different members chosen by chance, at most as many as there are.
    pub fn sample(self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Item<'a>)) {
        /// Choosing one in so many members of a table is cheaper by chance than by walking over all.
        const WALKED_SHARE: usize = 8;
        match self {
            SetRef::Table(members) if count < members.len() / WALKED_SHARE => {
                let mut known = HashSet::with_capacity(count);
                while known.len() < count {
                    let member = members.random(rng).expect("a set that has members");
                    if known.insert(member.as_ptr()) {
                        visit(Item::Bytes(member));
                    }
                }
            }
            _ => {
                let mut draw = Draw::new(count, self.len());
                let _ = self.try_for_each(|item| {
                    if draw.is_over() {
                        return ControlFlow::Break(());
                    }
                    if draw.takes_next(rng) {
                        visit(item);
                    }
                    ControlFlow::Continue(())
                });
            }
        }
    }

    /// Visits some members and returns the cursor to go on from; a scan starts and ends at 0. A member
    /// that is there during a whole scan is visited at least once. A packed set is visited in one go.
    pub fn scan(self, cursor: u64, mut visit: impl FnMut(Item<'a>)) -> u64 {
        match self {
            SetRef::Table(members) => members.scan(cursor, |member| visit(Item::Bytes(member))),
            SetRef::Ints(_) | SetRef::Pack(_) => {
                self.for_each(visit);
                0
            }
        }
    }
}

/// A draw without replacement: so many of those that come by, each set of them as likely as any other.
struct Draw {
    wanted: u64,
    coming: u64,
}

impl Draw {
    /// Chooses `wanted` of the `coming` ones.
    fn new(wanted: usize, coming: usize) -> Draw {
        Draw {
            wanted: wanted as u64,
            coming: coming as u64,
        }
    }

    /// Whether all were chosen.
    fn is_over(&self) -> bool {
        self.wanted == 0
    }

    /// Whether the one that comes by is chosen.
    #[inline]
    fn takes_next(&mut self, rng: &mut Rng) -> bool {
        let takes = rng.below(self.coming) < self.wanted;
        self.coming -= 1;
        self.wanted -= u64::from(takes);
        takes
    }
}

#[inline]
fn find(pack: Listpack<'_>, needle: &Needle<'_>) -> Option<listpack::Pos> {
    pack.find(pack.first()?, needle, 1)
}

#[inline]
fn has(pack: Listpack<'_>, needle: &Needle<'_>) -> bool {
    find(pack, needle).is_some()
}

fn random_int(ints: IntSet<'_>, rng: &mut Rng) -> Option<i64> {
    if ints.is_empty() {
        return None;
    }
    ints.get(rng.below(ints.len() as u64) as usize)
}

fn random_pos(pack: Listpack<'_>, rng: &mut Rng) -> Option<listpack::Pos> {
    if pack.is_empty() {
        return None;
    }
    pack.seek(rng.below(pack.len() as u64) as isize)
}

#[cfg(test)]
mod tests;
