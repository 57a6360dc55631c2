//! A stream as a value of the keyspace. It is always big: even a short one has IDs and counters that no
//! listpack holds. One without entries keeps its key, for the sake of its last ID and its groups.

use super::value::{Big, Collection, Stored, Type};
pub use crate::data::stream::Stream;

impl Collection for Box<Stream> {
    const KIND: Type = Type::Stream;

    fn new_in(_buffer: Vec<u8>) -> Box<Stream> {
        Box::default()
    }

    fn from_stored(stored: Stored) -> Box<Stream> {
        match stored {
            Stored::Big(Big::Stream(stream)) => stream,
            _ => panic!("the entry of a stream holds something else"),
        }
    }

    fn into_stored(self) -> Stored {
        Stored::Big(Big::Stream(self))
    }

    fn is_empty(&self) -> bool {
        false
    }
}
