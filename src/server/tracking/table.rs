//! Which clients read which keys.
//!
//! The keys lie in a list, so that one can be drawn at random, and a map says where:
//! ```text
//! index   key → place        keys   place → key, ids of its readers
//! ```
//! Both share the key's bytes. A key that is taken out leaves its place to the last one.

use std::collections::HashMap;
use std::rc::Rc;

/// The table.
#[derive(Default)]
pub(super) struct Table {
    index: HashMap<Rc<[u8]>, usize>,
    keys: Vec<(Rc<[u8]>, Ids)>,
    items: usize,
}

/// The ids of clients, without a list as long as there is but one.
pub(super) enum Ids {
    One(u64),
    /// In ascending order.
    Many(Vec<u64>),
}

impl Ids {
    /// The ids, in ascending order.
    pub(super) fn as_slice(&self) -> &[u64] {
        match self {
            Ids::One(id) => std::slice::from_ref(id),
            Ids::Many(ids) => ids,
        }
    }

    /// Adds an id; says whether it was not there.
    fn add(&mut self, id: u64) -> bool {
        let Err(at) = self.as_slice().binary_search(&id) else {
            return false;
        };
        match self {
            Ids::One(other) => {
                let mut ids = vec![*other];
                ids.insert(at, id);
                *self = Ids::Many(ids);
            }
            Ids::Many(ids) => ids.insert(at, id),
        }
        true
    }
}

impl Table {
    /// The number of keys.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The number of pairs of key and client.
    pub(super) fn items(&self) -> usize {
        self.items
    }

    /// A client read a key.
    pub(super) fn add(&mut self, key: &[u8], id: u64) {
        if let Some(&place) = self.index.get(key) {
            self.items += usize::from(self.keys[place].1.add(id));
            return;
        }
        let key: Rc<[u8]> = key.into();
        self.index.insert(key.clone(), self.keys.len());
        self.keys.push((key, Ids::One(id)));
        self.items += 1;
    }

    /// Forgets a key, and says who read it.
    pub(super) fn take(&mut self, key: &[u8]) -> Option<Ids> {
        let place = self.index.remove(key)?;
        let (_, ids) = self.keys.swap_remove(place);
        if let Some((moved, _)) = self.keys.get(place) {
            *self.index.get_mut(moved).expect("a key is in the index") = place;
        }
        self.items -= ids.as_slice().len();
        Some(ids)
    }

    /// The key that a random number chooses.
    pub(super) fn draw(&self, random: u64) -> Option<Rc<[u8]>> {
        let place = random.checked_rem(self.keys.len() as u64)?;
        Some(self.keys[place as usize].0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    proptest! {
        #[test]
        fn behaves_like_a_map_of_sets(
            steps in proptest::collection::vec((0..8u8, 0..6u64, any::<bool>()), 0..200)
        ) {
            let mut table = Table::default();
            let mut model: BTreeMap<u8, BTreeSet<u64>> = BTreeMap::new();
            for (key, id, adds) in steps {
                if adds {
                    table.add(&[key], id);
                    model.entry(key).or_default().insert(id);
                } else {
                    let ids = table.take(&[key]).map(|ids| ids.as_slice().to_vec());
                    let expected = model.remove(&key).map(|ids| ids.into_iter().collect());
                    prop_assert_eq!(ids, expected);
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert_eq!(table.items(), model.values().map(BTreeSet::len).sum::<usize>());
                let drawn = table.draw(id + 1);
                prop_assert_eq!(drawn.is_none(), model.is_empty());
                prop_assert!(drawn.is_none_or(|key| model.contains_key(&key[0])));
            }
        }
    }
}
