//! A hash, whichever form it is in: a listpack of fields and values by turns while they are few and
//! short, a table from then on, or once a field has an expiry.

use super::value::{Big, Collection, Packing, Stored, Type};
use crate::data::fields::Fields;
use crate::data::listpack::{Listpack, ListpackBuf};

/// A hash to read.
#[derive(Clone, Copy)]
pub enum HashRef<'a> {
    /// A few short fields.
    Pack(Listpack<'a>),
    /// A big one.
    Table(&'a Fields),
}

/// A hash to change.
pub enum Hash {
    /// A few short fields.
    Pack(ListpackBuf),
    /// A big one.
    Table(Box<Fields>),
}

impl Collection for Hash {
    const KIND: Type = Type::Hash;

    fn new_in(buffer: Vec<u8>) -> Hash {
        Hash::Pack(ListpackBuf::new_in(buffer))
    }

    fn from_stored(stored: Stored) -> Hash {
        match stored {
            Stored::Packed(Packing::Hash, bytes) => {
                Hash::Pack(ListpackBuf::from_vec_trusted(bytes))
            }
            Stored::Big(Big::Hash(fields)) => Hash::Table(fields),
            _ => panic!("the entry of a hash holds something else"),
        }
    }

    fn into_stored(self) -> Stored {
        match self {
            Hash::Pack(pack) => Stored::Packed(Packing::Hash, pack.into_vec()),
            Hash::Table(fields) => Stored::Big(Big::Hash(fields)),
        }
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }
}

impl Hash {
    /// The hash, to read.
    pub fn as_ref(&self) -> HashRef<'_> {
        match self {
            Hash::Pack(pack) => HashRef::Pack(pack.as_ref()),
            Hash::Table(fields) => HashRef::Table(fields),
        }
    }
}

impl<'a> HashRef<'a> {
    /// The number of fields, expired ones that were not noticed yet among them.
    pub fn len(self) -> usize {
        match self {
            HashRef::Pack(pack) => pack.len() / 2,
            HashRef::Table(fields) => fields.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        match self {
            HashRef::Pack(pack) => pack.is_empty(),
            HashRef::Table(fields) => fields.is_empty(),
        }
    }
}
