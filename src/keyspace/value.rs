//! What a key can hold: types, the forms in which values go in and out of entries, and the string
//! that is too big to live inside its entry.
//!
//! A collection has one of two forms. *Packed* it is one run of bytes (a listpack or an intset), in
//! its entry if it is short. *Big* it is a structure of its own, and the entry holds its address.
//! Which form serves when is decided by the types (`list`, `set`, `hash`, `zset`); a stream is always
//! big.

use crate::base::num::parse_i64;
use crate::data::fields::Fields;
use crate::data::members::Members;
use crate::data::quicklist::QuickList;
use crate::data::sorted::Sorted;
use crate::data::stream::Stream;
use bytes::Bytes;

/// The type of a value, as TYPE names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// A byte string or an integer.
    String,
    /// A list of strings.
    List,
    /// A set of strings.
    Set,
    /// A set of strings that are ordered by a score.
    Zset,
    /// A map of strings.
    Hash,
    /// A log of entries.
    Stream,
}

impl Type {
    /// All types, in the order of the RDB format's numbers.
    pub const ALL: [Type; 6] = [
        Type::String,
        Type::List,
        Type::Set,
        Type::Zset,
        Type::Hash,
        Type::Stream,
    ];

    /// The name that TYPE and SCAN TYPE use.
    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::List => "list",
            Type::Set => "set",
            Type::Zset => "zset",
            Type::Hash => "hash",
            Type::Stream => "stream",
        }
    }
}

/// The longest string or packed collection that lives inside its entry; a longer one has an
/// allocation of its own.
pub const INLINE_MAX: usize = 512;

/// What the bytes of a packed collection are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// A listpack of a list's elements.
    List,
    /// An intset.
    Ints,
    /// A listpack of a set's members.
    Set,
    /// A listpack of a hash's fields and values by turns.
    Hash,
    /// A listpack of a sorted set's members and scores by turns, in order.
    Zset,
}

impl Packing {
    /// The type that is packed so.
    pub fn kind(self) -> Type {
        match self {
            Packing::List => Type::List,
            Packing::Ints | Packing::Set => Type::Set,
            Packing::Hash => Type::Hash,
            Packing::Zset => Type::Zset,
        }
    }
}

/// A big collection.
#[derive(Clone)]
pub enum Big {
    /// A list.
    List(Box<QuickList>),
    /// A set.
    Set(Box<Members>),
    /// A hash.
    Hash(Box<Fields>),
    /// A sorted set.
    Zset(Box<Sorted>),
    /// A stream.
    Stream(Box<Stream>),
}

impl Big {
    /// About how many allocations freeing it gives back.
    pub fn weight(&self) -> usize {
        match self {
            Big::List(list) => list.nodes(),
            Big::Set(members) => members.len(),
            Big::Hash(fields) => fields.len(),
            Big::Zset(sorted) => sorted.len(),
            Big::Stream(stream) => stream.weight(),
        }
    }
}

/// A collection outside of an entry, whatever its type: taken out to be changed, or on its way in.
pub enum Stored {
    /// Packed in these bytes.
    Packed(Packing, Vec<u8>),
    /// A structure of its own.
    Big(Big),
}

impl Stored {
    /// When the first field of a hash expires, in milliseconds of the Unix clock.
    #[inline]
    pub fn next_field_expiry(&self) -> Option<i64> {
        match self {
            Stored::Big(Big::Hash(fields)) => fields.next_expiry(),
            _ => None,
        }
    }

    /// The value to make an entry of.
    pub fn as_new(self, packed: &mut Vec<u8>) -> NewValue<'_> {
        match self {
            Stored::Packed(packing, bytes) if bytes.len() <= INLINE_MAX => {
                *packed = bytes;
                NewValue::Packed(packing, packed)
            }
            Stored::Packed(packing, bytes) => {
                // A buffer that was reused may have much more room than this needs.
                let apart = Box::new(bytes.as_slice().to_vec());
                *packed = bytes;
                NewValue::Apart(packing, apart)
            }
            Stored::Big(big) => NewValue::Big(big),
        }
    }
}

/// A type of collection, in whichever form it is: what [`Db::edit`](super::db::Db::edit) takes out
/// of an entry and puts back.
pub trait Collection: Sized {
    /// The type.
    const KIND: Type;
    /// An empty one, in its first form; `buffer` is reused.
    fn new_in(buffer: Vec<u8>) -> Self;
    /// The collection that was taken out of an entry of this type.
    fn from_stored(stored: Stored) -> Self;
    /// The collection to put back.
    fn into_stored(self) -> Stored;
    /// Whether nothing is left, so that its key goes.
    fn is_empty(&self) -> bool;
}

/// The longest string that OBJECT ENCODING calls `embstr`.
pub const EMBSTR_MAX: usize = 44;

/// A value on its way into the keyspace.
pub enum NewValue<'a> {
    /// An integer.
    Int(i64),
    /// A string as a command received it.
    Bytes(&'a [u8]),
    /// A string that was changed in place before, which OBJECT ENCODING calls `raw` at any length.
    Changed(&'a [u8]),
    /// A string in an allocation of its own.
    Raw(Box<RawString>),
    /// A packed collection that is to lie in the entry: at most [`INLINE_MAX`] bytes.
    Packed(Packing, &'a [u8]),
    /// A packed collection in an allocation of its own.
    Apart(Packing, Box<Vec<u8>>),
    /// A big collection.
    Big(Big),
}

impl<'a> NewValue<'a> {
    /// The type of the value.
    pub fn kind(&self) -> Type {
        match self {
            NewValue::Int(_) | NewValue::Bytes(_) | NewValue::Changed(_) | NewValue::Raw(_) => {
                Type::String
            }
            NewValue::Packed(packing, _) | NewValue::Apart(packing, _) => packing.kind(),
            NewValue::Big(Big::List(_)) => Type::List,
            NewValue::Big(Big::Set(_)) => Type::Set,
            NewValue::Big(Big::Hash(_)) => Type::Hash,
            NewValue::Big(Big::Zset(_)) => Type::Zset,
            NewValue::Big(Big::Stream(_)) => Type::Stream,
        }
    }

    /// These bytes as they are, even if they spell an integer.
    pub fn text(bytes: &'a [u8]) -> NewValue<'a> {
        if bytes.len() > INLINE_MAX {
            NewValue::Raw(Box::new(RawString::from(bytes)))
        } else {
            NewValue::Bytes(bytes)
        }
    }

    /// The value that storing these bytes makes: an integer if they are one in canonical form.
    #[inline]
    pub fn from_bytes(bytes: &'a [u8]) -> NewValue<'a> {
        if bytes.len() <= 20
            && let Some(n) = parse_i64(bytes)
        {
            return NewValue::Int(n);
        }
        NewValue::text(bytes)
    }

    /// The value that bytes of an allocation of their own make.
    pub fn shared(bytes: Bytes) -> NewValue<'a> {
        debug_assert!(bytes.len() > INLINE_MAX);
        NewValue::Raw(Box::new(RawString::Shared(bytes)))
    }

    /// The value that edited bytes make. Long ones are taken out of `bytes`, not copied.
    pub fn edited(bytes: &'a mut Vec<u8>) -> NewValue<'a> {
        if bytes.len() > INLINE_MAX {
            NewValue::Raw(Box::new(RawString::Owned(std::mem::take(bytes))))
        } else {
            NewValue::Changed(bytes)
        }
    }
}

/// A string in an allocation of its own. It can be shared with replies that are still being sent.
pub enum RawString {
    /// Nobody else reads it.
    Owned(Vec<u8>),
    /// Replies may hold it too.
    Shared(Bytes),
}

impl From<&[u8]> for RawString {
    fn from(bytes: &[u8]) -> RawString {
        RawString::Owned(bytes.to_vec())
    }
}

impl RawString {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            RawString::Owned(v) => v,
            RawString::Shared(b) => b,
        }
    }

    /// The bytes, to keep alongside; nothing is copied.
    pub fn share(&mut self) -> Bytes {
        if let RawString::Owned(v) = self {
            *self = RawString::Shared(Bytes::from(std::mem::take(v)));
        }
        match self {
            RawString::Shared(b) => b.clone(),
            RawString::Owned(_) => unreachable!("made shared above"),
        }
    }

    /// The bytes, to change; copied only if a reply still holds them.
    pub fn make_mut(&mut self) -> &mut Vec<u8> {
        if let RawString::Shared(b) = self {
            *self = RawString::Owned(Vec::from(std::mem::take(b)));
        }
        match self {
            RawString::Owned(v) => v,
            RawString::Shared(_) => unreachable!("made owned above"),
        }
    }

    /// Bytes allocated for it, its own header included.
    pub fn allocated(&self) -> usize {
        size_of::<RawString>()
            + match self {
                RawString::Owned(v) => v.capacity(),
                RawString::Shared(b) => b.len() + 32,
            }
    }

    /// Bytes that it has room for beyond its own.
    pub fn spare(&self) -> usize {
        match self {
            RawString::Owned(v) => v.capacity() - v.len(),
            RawString::Shared(_) => 0,
        }
    }
}

/// A string value as commands read it.
#[derive(Clone, Copy)]
pub enum StringRef<'a> {
    /// An integer.
    Int(i64),
    /// Bytes, which may well spell an integer.
    Bytes(&'a [u8]),
}

impl<'a> StringRef<'a> {
    /// The bytes; an integer is written to `digits`.
    pub fn bytes<'b>(self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            StringRef::Int(n) => digits.format(n).as_bytes(),
            StringRef::Bytes(b) => b,
        }
    }

    /// The length in bytes.
    pub fn len(self) -> usize {
        match self {
            StringRef::Int(n) => itoa::Buffer::new().format(n).len(),
            StringRef::Bytes(b) => b.len(),
        }
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        matches!(self, StringRef::Bytes([]))
    }

    /// The integer that it is or spells.
    pub fn integer(self) -> Option<i64> {
        match self {
            StringRef::Int(n) => Some(n),
            StringRef::Bytes(b) => parse_i64(b),
        }
    }
}
