//! The one walk that intersections, differences and unions of sets are made of: over the members of
//! one set, of which those pass that are in all the others, or in none of them.
//!
//! An intersection is what of the smallest set is in all others; a difference what of the first set is
//! in none of the others; a union what of each set is in none of the sets before it. Nothing is
//! allocated.
//!
//! Where lookups are many or go to tables, members are looked up in batches. Each is hashed once for
//! all sets; the tables' buckets are asked for while the batch fills, then the members that they lead
//! to, and only then is the first one compared, so that the waits for memory overlap. Listpacks have
//! no hashes, and searching them is linear; a [`Hint`] tells of nearly all members that are in none of
//! them that they are not.

use super::{Item, Needle, SetRef, has};
use crate::base::hash;
use std::ops::ControlFlow;

/// Which members pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pass {
    /// Those in all other sets.
    InAll,
    /// Those in none of them.
    InNone,
}

/// Visits the members of `set` that pass, until `visit` has had enough. The work is least if those of
/// the `others` come first that most likely decide: the smallest to be in all, the biggest to be in
/// none.
pub fn sift<'a>(
    set: SetRef<'a>,
    others: &[SetRef<'_>],
    pass: Pass,
    mut visit: impl FnMut(Item<'a>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    /// Members on either side from which on a hint pays.
    const HINTED_MIN: usize = 16;
    if others.is_empty() {
        return set.try_for_each(visit);
    }
    let pack_len = |other: &SetRef<'_>| other.pack().map_or(0, |pack| pack.len());
    let is_hinted =
        set.len() >= HINTED_MIN && others.iter().map(pack_len).sum::<usize>() >= HINTED_MIN;
    let sieve = Sieve {
        others,
        pass,
        hint: if is_hinted {
            Hint::of_packs(others, pass)
        } else {
            Hint::UNKNOWN
        },
    };
    if !is_hinted && others.iter().all(|other| other.table().is_none()) {
        return set.try_for_each(|item| match sieve.passes(item, 0) {
            true => visit(item),
            false => ControlFlow::Continue(()),
        });
    }
    let mut batch = Batch::default();
    set.try_for_each(|item| {
        batch.add(item, &sieve);
        if batch.is_full() {
            batch.empty(&sieve, &mut visit)
        } else {
            ControlFlow::Continue(())
        }
    })?;
    batch.empty(&sieve, &mut visit)
}

/// What decides whether a member passes.
struct Sieve<'o> {
    others: &'o [SetRef<'o>],
    pass: Pass,
    hint: Hint,
}

impl Sieve<'_> {
    /// Whether a member passes; its hash matters only to tables and to a hint.
    #[inline]
    fn passes(&self, item: Item<'_>, hash: u64) -> bool {
        let mut digits = itoa::Buffer::new();
        let text = item.bytes(&mut digits);
        let may_be_packed = self.hint.allows(hash);
        if self.pass == Pass::InAll && !may_be_packed {
            return false;
        }
        let is_in = |other: &SetRef<'_>| match other {
            SetRef::Ints(ints) => item.integer().is_some_and(|value| ints.contains(value)),
            SetRef::Pack(pack) => may_be_packed && has(*pack, &Needle::new(text)),
            SetRef::Table(members) => members.contains_hashed(text, hash),
        };
        match self.pass {
            Pass::InAll => self.others.iter().all(is_in),
            Pass::InNone => !self.others.iter().any(is_in),
        }
    }
}

/// Which hashes the members of listpacks have, of which a few bits count.
struct Hint([u64; Hint::WORDS]);

impl Hint {
    /// 2048 bits, so that a listpack of 128 members, the most by default, leaves most of them unset.
    const WORDS: usize = 32;
    /// One that excludes nothing.
    const UNKNOWN: Hint = Hint([u64::MAX; Hint::WORDS]);

    /// The hashes of what is in all the listpacks among some sets, or in any of them if the question is
    /// what is in none.
    fn of_packs(sets: &[SetRef<'_>], pass: Pass) -> Hint {
        let hasher = hash::process();
        let of_pack = |set: &SetRef<'_>| {
            let mut hint = Hint([0; Hint::WORDS]);
            let mut digits = itoa::Buffer::new();
            for item in set.pack()?.iter() {
                let (word, bit) = Hint::place(hasher.hash(item.bytes(&mut digits)));
                hint.0[word] |= bit;
            }
            Some(hint)
        };
        let both = |mut a: Hint, b: Hint| {
            for (word, other) in a.0.iter_mut().zip(b.0) {
                match pass {
                    Pass::InAll => *word &= other,
                    Pass::InNone => *word |= other,
                }
            }
            a
        };
        sets.iter()
            .filter_map(of_pack)
            .reduce(both)
            .unwrap_or(Hint::UNKNOWN)
    }

    #[inline]
    fn place(hash: u64) -> (usize, u64) {
        (hash as usize >> 6 & (Hint::WORDS - 1), 1 << (hash & 63))
    }

    #[inline]
    fn allows(&self, hash: u64) -> bool {
        let (word, bit) = Hint::place(hash);
        self.0[word] & bit != 0
    }
}

/// Members whose fate is decided together.
struct Batch<'a> {
    members: [(Item<'a>, u64); Batch::SIZE],
    count: usize,
}

impl Default for Batch<'_> {
    fn default() -> Self {
        Batch {
            members: [(Item::Int(0), 0); Batch::SIZE],
            count: 0,
        }
    }
}

impl<'a> Batch<'a> {
    const SIZE: usize = 16;
    /// Of so many tables the memory is asked for ahead; further ones are looked at seldom.
    const AHEAD: usize = 2;

    fn is_full(&self) -> bool {
        self.count == Batch::SIZE
    }

    #[inline]
    fn add(&mut self, item: Item<'a>, sieve: &Sieve<'_>) {
        let hash = hash::process().hash(item.bytes(&mut itoa::Buffer::new()));
        let tables = sieve.others.iter().filter_map(SetRef::table);
        for table in tables.take(Self::AHEAD) {
            table.prefetch_bucket(hash);
        }
        self.members[self.count] = (item, hash);
        self.count += 1;
    }

    /// Visits those that pass and empties the batch.
    #[inline]
    fn empty(
        &mut self,
        sieve: &Sieve<'_>,
        visit: &mut impl FnMut(Item<'a>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let members = &self.members[..self.count];
        self.count = 0;
        let tables = sieve.others.iter().filter_map(SetRef::table);
        for table in tables.take(Self::AHEAD) {
            for &(_, hash) in members {
                table.prefetch_entry(hash);
            }
        }
        for &(item, hash) in members {
            if sieve.passes(item, hash) {
                visit(item)?;
            }
        }
        ControlFlow::Continue(())
    }
}
