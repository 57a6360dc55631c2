//! What a search has found so far, and no more of it than its reply can need.
//!
//! If only so many of the nearest or farthest places are wanted, about twice as many are held. When
//! they have no room they are sorted and the worse ones dropped, and from then on the worst one left is
//! what others must beat. So memory follows the reply, not the area, and after a short while nearly
//! every place is passed over with one comparison.
//!
//! Places that are equally far stay in the order in which they were found, whatever the limit.

use crate::data::listpack::Item;

/// In which order places are returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Nearest,
    Farthest,
}

/// How many places are returned at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Limit {
    /// All.
    None,
    /// The first ones in order.
    Best(usize),
    /// Those that are found first.
    Any(usize),
}

/// A place that was found.
#[derive(Clone, Copy)]
pub(super) struct Hit<'a> {
    pub distance_m: f64,
    pub score: f64,
    pub member: Item<'a>,
}

/// The places that were found.
pub(super) struct Hits<'a> {
    found: Vec<Hit<'a>>,
    order: Option<Order>,
    limit: Limit,
    /// How far a place must be at most, or at least, to be among the best.
    worst_m: Option<f64>,
}

/// How many places are held beyond those wanted, at least.
const SPARE: usize = 64;

impl<'a> Hits<'a> {
    /// None yet. The best ones are those of an order.
    pub(super) fn new(order: Option<Order>, limit: Limit) -> Hits<'a> {
        assert!(
            order.is_some() || !matches!(limit, Limit::Best(_)),
            "without an order none is best"
        );
        Hits {
            found: Vec::new(),
            order,
            limit,
            worst_m: None,
        }
    }

    /// Adds a place.
    #[inline]
    pub(super) fn add(&mut self, hit: Hit<'a>) {
        if let Some(worst_m) = self.worst_m
            && !self.is_before(hit.distance_m, worst_m)
        {
            return;
        }
        if let Limit::Best(count) = self.limit
            && self.found.len() >= count.saturating_mul(2).max(count.saturating_add(SPARE))
        {
            self.sort();
            self.found.truncate(count);
            let worst_m = self.found[count - 1].distance_m;
            self.worst_m = Some(worst_m);
            if !self.is_before(hit.distance_m, worst_m) {
                return;
            }
        }
        self.found.push(hit);
    }

    /// Whether the search need not go on.
    #[inline]
    pub(super) fn suffice(&self) -> bool {
        matches!(self.limit, Limit::Any(count) if self.found.len() >= count)
    }

    /// The places to return, in order.
    pub(super) fn finish(mut self) -> Vec<Hit<'a>> {
        self.sort();
        if let Limit::Best(count) = self.limit {
            self.found.truncate(count);
        }
        self.found
    }

    fn is_before(&self, distance_m: f64, other_m: f64) -> bool {
        match self.order {
            Some(Order::Nearest) => distance_m < other_m,
            Some(Order::Farthest) => distance_m > other_m,
            None => false,
        }
    }

    fn sort(&mut self) {
        // Distances are not negative, so this order is that of numbers.
        match self.order {
            Some(Order::Nearest) => self
                .found
                .sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m)),
            Some(Order::Farthest) => self
                .found
                .sort_by(|a, b| b.distance_m.total_cmp(&a.distance_m)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn found(distances: &[u8], order: Option<Order>, limit: Limit) -> Vec<(u8, i64)> {
        let mut hits = Hits::new(order, limit);
        for (i, &distance) in distances.iter().enumerate() {
            if hits.suffice() {
                break;
            }
            hits.add(Hit {
                distance_m: f64::from(distance),
                score: 0.0,
                member: Item::Int(i as i64),
            });
        }
        let number = |hit: &Hit<'_>| hit.member.integer().expect("it was given one");
        let found = hits.finish();
        let found = found.iter().map(|hit| (hit.distance_m as u8, number(hit)));
        found.collect()
    }

    proptest! {
        #[test]
        fn the_best_are_the_first_of_all_in_order(distances in vec(any::<u8>(), 0..1000), count in 1..200usize) {
            let numbered = || distances.iter().copied().zip(0..);
            let mut nearest: Vec<_> = numbered().collect();
            nearest.sort_by_key(|hit| hit.0);
            let mut farthest: Vec<_> = numbered().collect();
            farthest.sort_by_key(|hit| std::cmp::Reverse(hit.0));
            let first = |all: &[(u8, i64)]| all.iter().copied().take(count).collect::<Vec<_>>();
            let (near, far) = (Some(Order::Nearest), Some(Order::Farthest));
            prop_assert_eq!(found(&distances, near, Limit::Best(count)), first(&nearest));
            prop_assert_eq!(found(&distances, far, Limit::Best(count)), first(&farthest));
            prop_assert_eq!(found(&distances, near, Limit::None), nearest);
            prop_assert_eq!(found(&distances, near, Limit::Best(usize::MAX)).len(), distances.len());
            let any: Vec<_> = numbered().take(count).collect();
            prop_assert_eq!(found(&distances, None, Limit::Any(count)), any);
        }
    }
}
