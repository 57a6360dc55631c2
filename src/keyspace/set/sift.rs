//! The one walk that intersections, differences and unions of sets are made of: over the members of
//! one set, of which those pass that are in all the others, or in none of them.
//!
//! An intersection is what of the smallest set is in all others; a difference what of the first set is
//! in none of the others; a union what of each set is in none of the sets before it. Nothing is
//! allocated.
//!
//! Where one of the others is a table, members are looked up in batches. Each is hashed once for all
//! tables; the tables' buckets are asked for while the batch fills, then the members that they lead
//! to, and only then is the first one compared, so that the waits for memory overlap.

use super::{Item, Needle, SetRef, has};
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
    if others.is_empty() {
        return set.try_for_each(visit);
    }
    if !others.iter().any(|other| matches!(other, SetRef::Table(_))) {
        return set.try_for_each(|item| {
            let mut digits = itoa::Buffer::new();
            let text = item.bytes(&mut digits);
            if passes(others, pass, item, text, 0) {
                visit(item)
            } else {
                ControlFlow::Continue(())
            }
        });
    }
    let mut batch = Batch::new(others, pass);
    set.try_for_each(|item| {
        batch.add(item);
        if batch.is_full() {
            batch.judge(&mut visit)
        } else {
            ControlFlow::Continue(())
        }
    })?;
    batch.judge(&mut visit)
}

/// Whether a member passes; its hash matters only to tables.
#[inline]
fn passes(others: &[SetRef<'_>], pass: Pass, item: Item<'_>, text: &[u8], hash: u64) -> bool {
    let mut others = others.iter();
    let is_in = |other: &SetRef<'_>| match other {
        SetRef::Ints(ints) => item.integer().is_some_and(|value| ints.contains(value)),
        SetRef::Pack(pack) => has(*pack, &Needle::new(text)),
        SetRef::Table(members) => members.contains_hashed(text, hash),
    };
    match pass {
        Pass::InAll => others.all(is_in),
        Pass::InNone => !others.any(is_in),
    }
}

/// Members whose fate is decided together.
struct Batch<'a, 'o> {
    others: &'o [SetRef<'o>],
    pass: Pass,
    members: [(Item<'a>, u64); Batch::SIZE],
    count: usize,
}

impl<'a, 'o> Batch<'a, 'o> {
    const SIZE: usize = 16;
    /// Of so many other sets the memory is asked for ahead; further ones are looked at seldom.
    const AHEAD: usize = 2;

    fn new(others: &'o [SetRef<'o>], pass: Pass) -> Batch<'a, 'o> {
        Batch {
            others,
            pass,
            members: [(Item::Int(0), 0); Batch::SIZE],
            count: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.count == Batch::SIZE
    }

    #[inline]
    fn add(&mut self, item: Item<'a>) {
        let mut tables = self.others.iter().filter_map(SetRef::table);
        let first = tables.next().expect("one of the other sets is a table");
        let hash = first.hash(item.bytes(&mut itoa::Buffer::new()));
        first.prefetch_bucket(hash);
        for table in tables.take(Self::AHEAD - 1) {
            table.prefetch_bucket(hash);
        }
        self.members[self.count] = (item, hash);
        self.count += 1;
    }

    /// Visits those that pass and empties the batch.
    #[inline]
    fn judge(&mut self, visit: &mut impl FnMut(Item<'a>) -> ControlFlow<()>) -> ControlFlow<()> {
        let members = &self.members[..self.count];
        self.count = 0;
        for table in self
            .others
            .iter()
            .filter_map(SetRef::table)
            .take(Self::AHEAD)
        {
            for &(_, hash) in members {
                table.prefetch_entry(hash);
            }
        }
        for &(item, hash) in members {
            let mut digits = itoa::Buffer::new();
            let text = item.bytes(&mut digits);
            if passes(self.others, self.pass, item, text, hash) {
                visit(item)?;
            }
        }
        ControlFlow::Continue(())
    }
}
