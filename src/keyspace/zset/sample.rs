//! Members drawn by chance.

use super::{ZsetRef, pack};
use crate::base::rng::Rng;
use crate::data::listpack::Item;
use std::collections::HashSet;

impl<'a> ZsetRef<'a> {
    /// A member chosen with equal chance among all.
    pub fn random(self, rng: &mut Rng) -> Option<(Item<'a>, f64)> {
        match self {
            ZsetRef::Pack(pack) if pack.is_empty() => None,
            ZsetRef::Pack(pack) => {
                let rank = rng.below(self.len() as u64) as usize;
                pack::pairs_from(pack, rank).next()
            }
            ZsetRef::Tree(sorted) => {
                let (member, score) = sorted.random(rng)?;
                Some((Item::Bytes(member), score))
            }
        }
    }

    /// Shows so many members, each chosen with equal chance among all, those shown before included.
    pub fn draw(self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Item<'a>, f64)) {
        match self {
            ZsetRef::Pack(pack) => {
                let all: Vec<_> = pack::pairs(pack).collect();
                for _ in 0..count {
                    let (member, score) = all[rng.below(all.len() as u64) as usize];
                    visit(member, score);
                }
            }
            ZsetRef::Tree(sorted) => {
                for _ in 0..count {
                    let drawn = sorted.random(rng);
                    let (member, score) = drawn.expect("a sorted set is not empty");
                    visit(Item::Bytes(member), score);
                }
            }
        }
    }

    /// Shows so many different members, or all if there are no more; each choice of members is as likely
    /// as any other.
    pub fn sample(self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Item<'a>, f64)) {
        let len = self.len();
        if let ZsetRef::Tree(sorted) = self
            && count < len / 4
        {
            for rank in distinct(count, len, rng) {
                let (member, score) = sorted.at(rank).expect("a rank below the length");
                visit(Item::Bytes(member), score);
            }
            return;
        }
        // Each member comes with the chance that is left for it.
        let (mut wanted, mut left) = (count.min(len) as u64, len as u64);
        self.walk(0..len, false, |member, score| {
            if wanted == left || wanted > 0 && rng.below(left) < wanted {
                visit(member, score);
                wanted -= 1;
            }
            left -= 1;
        });
    }
}

/// So many different numbers below a bound: Floyd's algorithm, which draws each only once.
fn distinct(count: usize, below: usize, rng: &mut Rng) -> impl Iterator<Item = usize> {
    let mut drawn = HashSet::with_capacity(count);
    (below - count..below).map(move |last| {
        let number = rng.below(last as u64 + 1) as usize;
        if drawn.insert(number) {
            return number;
        }
        drawn.insert(last);
        last
    })
}
