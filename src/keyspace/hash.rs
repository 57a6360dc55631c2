//! A hash, whichever form it is in: a listpack of fields and values by turns while they are few and
//! short, a table from then on, or once a field has an expiry. It does not go back.
//!
//! A field that has expired may still be there: nobody deletes it before a write, or the expire
//! cycle, comes by. [`Live`] is the view that overlooks such fields, and what changes a hash takes
//! the time to the same end. Only a table whose earliest expiry has passed pays for it.

use super::value::{Big, Collection, Packing, Stored, Type};
use crate::base::hash;
use crate::base::num::{digits10_i64, parse_i64};
use crate::base::rng::Rng;
use crate::data::fields::Fields;
use crate::data::listpack::{self, Item, Listpack, ListpackBuf, Needle, Pos};
use std::collections::HashSet;

/// When a hash outgrows its listpack.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// More fields than these do not stay in one.
    pub entries_max: usize,
    /// A longer field or value does not go into one.
    pub value_max: usize,
}

/// A hash to read, expired fields among its others.
#[derive(Clone, Copy)]
pub enum HashRef<'a> {
    /// A few short fields.
    Pack(Listpack<'a>),
    /// A big one.
    Table(&'a Fields),
}

/// A hash to read as it stands at a time: what has expired by then is not there.
#[derive(Clone, Copy)]
pub struct Live<'a> {
    hash: HashRef<'a>,
    /// The time, if some fields have expired.
    due_ms: Option<i64>,
}

/// A hash to change.
pub enum Hash {
    /// A few short fields.
    Pack(ListpackBuf),
    /// A big one.
    Table(Box<Fields>),
}

/// Why a number could not be added to a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddError {
    /// The value is no integer.
    NotAnInteger,
    /// The sum is not one of 64 bits.
    Overflow,
}

impl Collection for Hash {
    const KIND: Type = Type::Hash;

    fn new_in(buffer: Vec<u8>) -> Hash {
        Hash::Pack(ListpackBuf::new_in(buffer))
    }

    #[inline]
    fn from_stored(stored: Stored) -> Hash {
        match stored {
            Stored::Packed(Packing::Hash, bytes) => {
                Hash::Pack(ListpackBuf::from_vec_trusted(bytes))
            }
            Stored::Big(Big::Hash(fields)) => Hash::Table(fields),
            _ => panic!("the entry of a hash holds something else"),
        }
    }

    #[inline]
    fn into_stored(self) -> Stored {
        match self {
            Hash::Pack(pack) => Stored::Packed(Packing::Hash, pack.into_vec()),
            Hash::Table(fields) => Stored::Big(Big::Hash(fields)),
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }
}

impl Hash {
    /// The hash, to read.
    #[inline]
    pub fn as_ref(&self) -> HashRef<'_> {
        match self {
            Hash::Pack(pack) => HashRef::Pack(pack.as_ref()),
            Hash::Table(fields) => HashRef::Table(fields),
        }
    }

    /// Becomes a table at once if one of these texts is too long for a listpack, or if they are so
    /// many that it would become one before the last is in.
    pub fn prepare_for<'t>(
        &mut self,
        texts: impl ExactSizeIterator<Item = &'t [u8]>,
        limits: Limits,
    ) {
        let Hash::Pack(pack) = self else {
            return;
        };
        let count = texts.len() / 2;
        let mut bytes = 0usize;
        let too_long = |text: &[u8]| {
            bytes = bytes.saturating_add(text.len());
            text.len() > limits.value_max
        };
        if count > limits.entries_max
            || texts.map(too_long).fold(false, |any, is| any | is)
            || !listpack::is_safe_to_add(pack.as_ref().bytes().len(), bytes)
        {
            self.become_table(count);
        }
    }

    /// Sets a field; says whether it was not there. An expiry that it had is gone.
    #[inline]
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: Limits, now_ms: i64) -> bool {
        match self.pack_for(field, value, limits) {
            Some(pack) => {
                let is_new = set_packed(pack, field, value);
                self.outgrow(limits);
                is_new
            }
            None => {
                let fields = self.table();
                forget_expired(fields, field, now_ms);
                fields.set(field, value)
            }
        }
    }

    /// The same, but an expiry that the field has stays.
    pub fn set_keeping_expiry(
        &mut self,
        field: &[u8],
        value: &[u8],
        limits: Limits,
        now_ms: i64,
    ) -> bool {
        if let Hash::Table(fields) = self {
            forget_expired(fields, field, now_ms);
            return fields.set_keeping_expiry(field, value);
        }
        self.set(field, value, limits, now_ms)
    }

    /// Adds to the integer that a field's value is, 0 if there is no such field; gives the sum. An
    /// expiry that the field has stays.
    #[inline]
    pub fn add(
        &mut self,
        field: &[u8],
        by: i64,
        limits: Limits,
        now_ms: i64,
    ) -> Result<i64, AddError> {
        let plus = |old: Option<i64>| {
            let old = old.ok_or(AddError::NotAnInteger)?;
            old.checked_add(by).ok_or(AddError::Overflow)
        };
        if let Hash::Pack(pack) = self
            && let Some(at) = value_place(pack.as_ref(), field)
        {
            let sum = plus(pack.as_ref().get(at).integer())?;
            pack.replace_int(at, sum);
            if digits10_i64(sum).max(field.len()) > limits.value_max {
                self.become_table(0);
            }
            self.outgrow(limits);
            return Ok(sum);
        }
        let mut digits = itoa::Buffer::new();
        if let Hash::Table(fields) = self {
            forget_expired(fields, field, now_ms);
            let hash = fields.hash(field);
            let old = fields.get_hashed(field, hash);
            let sum = plus(old.map_or(Some(0), parse_i64))?;
            fields.set_keeping_expiry_hashed(field, hash, digits.format(sum).as_bytes());
            return Ok(sum);
        }
        let sum = plus(Some(0))?;
        self.set(field, digits.format(sum).as_bytes(), limits, now_ms);
        Ok(sum)
    }

    /// Removes a field; says whether it was there.
    pub fn remove(&mut self, field: &[u8], now_ms: i64) -> bool {
        match self {
            Hash::Pack(pack) => match field_place(pack.as_ref(), field) {
                Some(at) => {
                    pack.remove_range(at, 2);
                    true
                }
                None => false,
            },
            Hash::Table(fields) => !has_expired(fields, field, now_ms) && fields.remove(field),
        }
    }

    /// Sets when a field expires, or that it never does; says whether there is such a field. A hash
    /// that gets its first volatile field becomes a table.
    pub fn set_expiry(&mut self, field: &[u8], expiry_ms: Option<i64>, now_ms: i64) -> bool {
        if let Hash::Pack(pack) = self {
            if field_place(pack.as_ref(), field).is_none() {
                return false;
            }
            if expiry_ms.is_none() {
                return true;
            }
            self.become_table(0);
        }
        let fields = self.table();
        !has_expired(fields, field, now_ms) && fields.set_expiry(field, expiry_ms)
    }

    /// Removes at most `max` of the fields that have expired, and shows them.
    pub fn take_expired(&mut self, now_ms: i64, max: usize, mut visit: impl FnMut(&[u8])) {
        if let Hash::Table(fields) = self {
            fields.take_expired(now_ms, max, &mut visit);
        }
    }

    /// The listpack, if the hash is one and a field and value of these lengths may go into it; else
    /// the hash is a table afterwards.
    #[inline]
    fn pack_for(&mut self, field: &[u8], value: &[u8], limits: Limits) -> Option<&mut ListpackBuf> {
        if let Hash::Pack(pack) = self {
            let fits = field.len() <= limits.value_max
                && value.len() <= limits.value_max
                && listpack::is_safe_to_add(pack.as_ref().bytes().len(), field.len() + value.len());
            if !fits {
                self.become_table(1);
            }
        }
        match self {
            Hash::Pack(pack) => Some(pack),
            Hash::Table(_) => None,
        }
    }

    /// Becomes a table if it is a listpack of too many fields.
    #[inline]
    fn outgrow(&mut self, limits: Limits) {
        if let Hash::Pack(pack) = self
            && pack.as_ref().len() / 2 > limits.entries_max
        {
            self.become_table(0);
        }
    }

    /// Becomes a table with room for so many further fields.
    #[cold]
    fn become_table(&mut self, extra: usize) {
        let Hash::Pack(pack) = self else {
            return;
        };
        let pack = pack.as_ref();
        let mut fields = Fields::new(hash::process());
        fields.reserve(pack.len() / 2 + extra);
        for_each_pair(pack, |field, value| {
            let (mut field_digits, mut digits) = (itoa::Buffer::new(), itoa::Buffer::new());
            let is_new = fields.set(field.bytes(&mut field_digits), value.bytes(&mut digits));
            assert!(is_new, "the fields of a listpack are distinct");
        });
        *self = Hash::Table(Box::new(fields));
    }

    fn table(&mut self) -> &mut Fields {
        match self {
            Hash::Table(fields) => fields,
            Hash::Pack(_) => unreachable!("a listpack was dealt with before"),
        }
    }
}

impl<'a> HashRef<'a> {
    /// The number of fields, expired ones that were not noticed yet among them.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            HashRef::Pack(pack) => pack.len() / 2,
            HashRef::Table(fields) => fields.len(),
        }
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        match self {
            HashRef::Pack(pack) => pack.is_empty(),
            HashRef::Table(fields) => fields.is_empty(),
        }
    }

    /// Whether a field has expired by a time, in milliseconds of the Unix clock.
    #[inline]
    pub fn has_expired(self, now_ms: i64) -> bool {
        match self {
            HashRef::Pack(_) => false,
            HashRef::Table(fields) => fields.next_expiry().is_some_and(|at| at <= now_ms),
        }
    }

    /// The hash as it stands at a time.
    #[inline]
    pub fn at(self, now_ms: i64) -> Live<'a> {
        Live {
            hash: self,
            due_ms: self.has_expired(now_ms).then_some(now_ms),
        }
    }

    /// Shows every field with its value and its expiry.
    pub fn for_each(self, mut visit: impl FnMut(Item<'a>, Item<'a>, Option<i64>)) {
        match self {
            HashRef::Pack(pack) => for_each_pair(pack, |field, value| visit(field, value, None)),
            HashRef::Table(fields) => {
                for (field, value, expiry) in fields.iter() {
                    visit(Item::Bytes(field), Item::Bytes(value), expiry);
                }
            }
        }
    }
}

impl<'a> Live<'a> {
    /// The value of a field.
    #[inline]
    pub fn get(self, field: &[u8]) -> Option<Item<'a>> {
        match self.hash {
            HashRef::Pack(pack) => value_place(pack, field).map(|at| pack.get(at)),
            HashRef::Table(fields) => {
                if self.due_ms.is_none() {
                    return fields.get(field).map(Item::Bytes);
                }
                let (value, expiry) = fields.get_with_expiry(field)?;
                self.is_there(expiry).then_some(Item::Bytes(value))
            }
        }
    }

    /// When a field expires; `None` if there is no such field.
    pub fn expiry(self, field: &[u8]) -> Option<Option<i64>> {
        match self.hash {
            HashRef::Pack(pack) => field_place(pack, field).map(|_| None),
            HashRef::Table(fields) => fields.expiry(field).filter(|&expiry| self.is_there(expiry)),
        }
    }

    /// The number of fields. They are counted if some have expired.
    pub fn len(self) -> usize {
        if self.due_ms.is_none() {
            return self.hash.len();
        }
        let mut count = 0;
        self.for_each(|_, _| count += 1);
        count
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Shows every field with its value.
    #[inline]
    pub fn for_each(self, mut visit: impl FnMut(Item<'a>, Item<'a>)) {
        match self.hash {
            HashRef::Pack(pack) => for_each_pair(pack, visit),
            HashRef::Table(fields) => {
                for (field, value, expiry) in fields.iter() {
                    if self.is_there(expiry) {
                        visit(Item::Bytes(field), Item::Bytes(value));
                    }
                }
            }
        }
    }

    /// Shows the fields of the next step of a scan, with their values, and gives the cursor for the
    /// one after; a listpack is shown all at once.
    pub fn scan(self, cursor: u64, mut visit: impl FnMut(Item<'_>, Item<'_>)) -> u64 {
        match self.hash {
            HashRef::Pack(pack) => {
                for_each_pair(pack, visit);
                0
            }
            HashRef::Table(fields) => fields.scan(cursor, |field, value, expiry| {
                if self.is_there(expiry) {
                    visit(Item::Bytes(field), Item::Bytes(value));
                }
            }),
        }
    }

    /// Shows `count` fields with their values, each chosen with equal chance among all, so that one
    /// may come again. There is at least one.
    pub fn draw(self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Item<'a>, Item<'a>)) {
        match self.hash {
            HashRef::Table(fields) if self.due_ms.is_none() => {
                for _ in 0..count {
                    let (field, value, _) = fields.random(rng).expect("a hash is not empty");
                    visit(Item::Bytes(field), Item::Bytes(value));
                }
            }
            HashRef::Pack(pack) if count == 1 => {
                let index = rng.below(pack.len() as u64 / 2) as isize;
                let at = pack.seek(index * 2).expect("an index below the count");
                let (field, value) = pair_at(pack, at);
                visit(field, value);
            }
            _ => {
                let mut pairs = Vec::with_capacity(self.hash.len());
                self.for_each(|field, value| pairs.push((field, value)));
                for _ in 0..count {
                    let (field, value) = pairs[rng.below(pairs.len() as u64) as usize];
                    visit(field, value);
                }
            }
        }
    }

    /// Shows `count` different fields with their values, all choices being equally likely; all
    /// fields if there are no more. `len` is [`Live::len`].
    pub fn sample(
        self,
        count: usize,
        len: usize,
        rng: &mut Rng,
        mut visit: impl FnMut(Item<'a>, Item<'a>),
    ) {
        /// A table with more fields than so many times the wanted ones is not walked for them.
        const SPARSE: usize = 16;
        match self.hash {
            HashRef::Table(fields) if self.due_ms.is_none() && len / SPARSE >= count => {
                let mut seen = HashSet::with_capacity(count);
                while seen.len() < count {
                    let (field, value, _) = fields.random(rng).expect("a hash is not empty");
                    if seen.insert(field) {
                        visit(Item::Bytes(field), Item::Bytes(value));
                    }
                }
            }
            _ => {
                // Each is taken with the chance that leaves the rest to those that come after it.
                let (mut wanted, mut left) = (count.min(len) as u64, len as u64);
                self.for_each(|field, value| {
                    if wanted > 0 && (wanted == left || rng.below(left) < wanted) {
                        visit(field, value);
                        wanted -= 1;
                    }
                    left -= 1;
                });
            }
        }
    }

    /// Whether a field with this expiry is there.
    #[inline]
    fn is_there(self, expiry: Option<i64>) -> bool {
        match (self.due_ms, expiry) {
            (Some(now_ms), Some(at)) => at > now_ms,
            _ => true,
        }
    }
}

/// Sets a field of a listpack; says whether it was not there.
#[inline]
fn set_packed(pack: &mut ListpackBuf, field: &[u8], value: &[u8]) -> bool {
    match value_place(pack.as_ref(), field) {
        Some(at) => {
            pack.replace(at, value);
            false
        }
        None => {
            pack.push_back(field);
            pack.push_back(value);
            true
        }
    }
}

/// Where a field lies in a listpack of fields and values by turns.
#[inline]
fn field_place(pack: Listpack<'_>, field: &[u8]) -> Option<Pos> {
    pack.find(pack.first()?, &Needle::new(field), 2)
}

/// Where the value of a field lies.
#[inline]
fn value_place(pack: Listpack<'_>, field: &[u8]) -> Option<Pos> {
    let at = field_place(pack, field)?;
    Some(pack.next(at).expect(PAIRED))
}

const PAIRED: &str = "every field of a listpack has a value behind it";

fn pair_at(pack: Listpack<'_>, at: Pos) -> (Item<'_>, Item<'_>) {
    let value_at = pack.next(at).expect(PAIRED);
    (pack.get(at), pack.get(value_at))
}

#[inline]
fn for_each_pair<'a>(pack: Listpack<'a>, mut visit: impl FnMut(Item<'a>, Item<'a>)) {
    let mut items = pack.iter();
    while let Some(field) = items.next() {
        visit(field, items.next().expect(PAIRED));
    }
}

/// Whether there is a field of this name that has expired.
#[inline]
fn has_expired(fields: &Fields, field: &[u8], now_ms: i64) -> bool {
    fields.next_expiry().is_some_and(|at| at <= now_ms)
        && matches!(fields.expiry(field), Some(Some(at)) if at <= now_ms)
}

/// Removes a field that has expired, so that it can be set as a new one.
#[inline]
fn forget_expired(fields: &mut Fields, field: &[u8], now_ms: i64) {
    if has_expired(fields, field, now_ms) {
        fields.remove(field);
    }
}

#[cfg(test)]
mod tests;
