//! A set, whichever form it is in: an intset while all members are integers and few, a listpack
//! while they are few and short, a table from then on.

use super::value::{Big, Collection, Packing, Stored, Type};
use crate::data::intset::{IntSet, IntSetBuf};
use crate::data::listpack::{Listpack, ListpackBuf};
use crate::data::members::Members;

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
        Set::Ints(IntSetBuf::new_in(buffer))
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
    /// The set, to read.
    pub fn as_ref(&self) -> SetRef<'_> {
        match self {
            Set::Ints(ints) => SetRef::Ints(ints.as_ref()),
            Set::Pack(pack) => SetRef::Pack(pack.as_ref()),
            Set::Table(members) => SetRef::Table(members),
        }
    }
}

impl<'a> SetRef<'a> {
    /// The number of members.
    pub fn len(self) -> usize {
        match self {
            SetRef::Ints(ints) => ints.len(),
            SetRef::Pack(pack) => pack.len(),
            SetRef::Table(members) => members.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        match self {
            SetRef::Ints(ints) => ints.is_empty(),
            SetRef::Pack(pack) => pack.is_empty(),
            SetRef::Table(members) => members.is_empty(),
        }
    }
}
