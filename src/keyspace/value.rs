//! What a key can hold: types, encodings and their names, and the string that is too big to live
//! inside its entry.

use crate::base::num::parse_i64;
use bytes::Bytes;

/// The type of a value, as TYPE names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// A byte string or an integer.
    String,
}

impl Type {
    /// The name that TYPE and SCAN TYPE use.
    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
        }
    }
}

/// The longest string that lives inside its entry; a longer one has an allocation of its own.
pub const INLINE_MAX: usize = 512;

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
}

impl<'a> NewValue<'a> {
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
