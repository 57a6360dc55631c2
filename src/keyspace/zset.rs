//! A sorted set, whichever form it is in: a listpack of members and scores by turns, in order, while
//! they are few and short; a table with an ordered tree from then on.

use super::value::{Big, Collection, Packing, Stored, Type};
use crate::data::listpack::{Listpack, ListpackBuf};
use crate::data::sorted::Sorted;

/// A sorted set to read.
#[derive(Clone, Copy)]
pub enum ZsetRef<'a> {
    /// A few short members.
    Pack(Listpack<'a>),
    /// A big one.
    Tree(&'a Sorted),
}

/// A sorted set to change.
pub enum Zset {
    /// A few short members.
    Pack(ListpackBuf),
    /// A big one.
    Tree(Box<Sorted>),
}

impl Collection for Zset {
    const KIND: Type = Type::Zset;

    fn new_in(buffer: Vec<u8>) -> Zset {
        Zset::Pack(ListpackBuf::new_in(buffer))
    }

    fn from_stored(stored: Stored) -> Zset {
        match stored {
            Stored::Packed(Packing::Zset, bytes) => {
                Zset::Pack(ListpackBuf::from_vec_trusted(bytes))
            }
            Stored::Big(Big::Zset(sorted)) => Zset::Tree(sorted),
            _ => panic!("the entry of a sorted set holds something else"),
        }
    }

    fn into_stored(self) -> Stored {
        match self {
            Zset::Pack(pack) => Stored::Packed(Packing::Zset, pack.into_vec()),
            Zset::Tree(sorted) => Stored::Big(Big::Zset(sorted)),
        }
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }
}

impl Zset {
    /// The sorted set, to read.
    pub fn as_ref(&self) -> ZsetRef<'_> {
        match self {
            Zset::Pack(pack) => ZsetRef::Pack(pack.as_ref()),
            Zset::Tree(sorted) => ZsetRef::Tree(sorted),
        }
    }
}

impl<'a> ZsetRef<'a> {
    /// The number of members.
    pub fn len(self) -> usize {
        match self {
            ZsetRef::Pack(pack) => pack.len() / 2,
            ZsetRef::Tree(sorted) => sorted.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        match self {
            ZsetRef::Pack(pack) => pack.is_empty(),
            ZsetRef::Tree(sorted) => sorted.is_empty(),
        }
    }
}
