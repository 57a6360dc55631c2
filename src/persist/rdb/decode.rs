//! Reads one value of any type that was ever written.
//!
//! Everything is checked before it is believed: packed collections element by element, for double members
//! too; what is packed by today's formats is then kept as it is, if the limits let it. What older versions
//! wrote is read into the form that suits it now.

mod ahead;
mod packed;
mod stream;
mod ziplist;
mod zipmap;

use self::ahead::{AHEAD_MAX, Ahead};
use super::format::{VALKEY_VERSION, container, kind};
use super::input::{Blob, Fault, Input, Kept, Scratch, Text};
use super::load::Limits;
use crate::base::hash;
use crate::base::num::parse_f64;
use crate::data::fields::Fields;
use crate::data::listpack::{Item, Listpack, ListpackBuf};
use crate::data::members::Members;
use crate::data::quicklist::QuickList;
use crate::data::sorted::{BATCH_MAX, Sorted};
use crate::keyspace::hash::Hash;
use crate::keyspace::list::List;
use crate::keyspace::set::Set;
use crate::keyspace::value::{Big, Collection, NewValue, Packing, RawString};
use crate::keyspace::zset::Zset;

/// What reading a value depends on.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The forms of collections.
    pub limits: Limits,
    /// The version of the format.
    pub version: u32,
}

/// Bytes of the file that stand for each element that memory is set aside for ahead.
const BYTES_EACH: u64 = 8;

/// Reads a value of the type of this number. It lies in the window or the scratch memory if it is short.
#[inline]
pub fn value<'a>(
    kind: u8,
    input: &'a mut Input<'_>,
    scratch: &'a mut Scratch,
    cx: &Context,
) -> Result<NewValue<'a>, Fault> {
    if kind == kind::STRING {
        return Ok(match input.kept(scratch)? {
            Kept::Int(n) => NewValue::Int(n),
            Kept::Short(bytes) => NewValue::from_bytes(bytes),
            Kept::Long(bytes) => NewValue::Raw(Box::new(RawString::Owned(exact(bytes)))),
        });
    }
    collection(kind, input, scratch, cx)
}

fn collection<'a>(
    kind: u8,
    input: &'a mut Input<'_>,
    scratch: &'a mut Scratch,
    cx: &Context,
) -> Result<NewValue<'a>, Fault> {
    let limits = &cx.limits;
    let is_valkey = cx.version >= VALKEY_VERSION;
    match kind {
        kind::LIST => list(input, scratch, limits),
        kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => quicklist(kind, input, scratch, limits),
        kind::LIST_ZIPLIST => {
            let blob = input.blob(scratch)?;
            packed::list(
                ziplist::to_listpack(blob.as_slice(), "List ziplist")?,
                limits,
            )
        }
        kind::SET => set(input, scratch, limits),
        kind::SET_INTSET => packed::ints(input.blob(scratch)?, limits),
        kind::SET_LISTPACK => packed::set(input.blob(scratch)?, limits),
        kind::ZSET | kind::ZSET_2 => zset(kind, input, scratch, limits),
        kind::ZSET_LISTPACK => packed::zset(input.blob(scratch)?, limits),
        kind::ZSET_ZIPLIST => {
            let pack = ziplist::to_listpack(input.blob(scratch)?.as_slice(), "Zset ziplist")?;
            packed::zset(Blob::Long(pack.into_vec()), limits)
        }
        kind::HASH => hash(input, scratch, limits),
        kind::HASH_LISTPACK => packed::hash(input.blob(scratch)?, limits),
        kind::HASH_ZIPLIST => {
            let pack = ziplist::to_listpack(input.blob(scratch)?.as_slice(), "Hash ziplist")?;
            packed::hash(Blob::Long(pack.into_vec()), limits)
        }
        kind::HASH_ZIPMAP => {
            let pack = zipmap::to_listpack(input.blob(scratch)?.as_slice())?;
            packed::hash_of_any_length(pack, limits)
        }
        kind::HASH_2_OF_VALKEY if is_valkey => expiring_hash(Times::Behind, input, scratch),
        kind::HASH_EXPIRING_PRE_GA if !is_valkey => {
            expiring_hash(Times::Before(None), input, scratch)
        }
        kind::HASH_EXPIRING if !is_valkey => {
            let first_ms = input.time_ms()?;
            expiring_hash(Times::Before(Some(first_ms)), input, scratch)
        }
        kind::HASH_LISTPACK_EXPIRING_PRE_GA if !is_valkey => {
            packed::expiring_hash(input.blob(scratch)?)
        }
        kind::HASH_LISTPACK_EXPIRING if !is_valkey => {
            input.time_ms()?;
            packed::expiring_hash(input.blob(scratch)?)
        }
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => stream::read(kind, input, scratch),
        kind::MODULE_PRE_GA => Err(Fault::Corrupt("Pre-release module format not supported")),
        kind::MODULE_2 => {
            let name = module_name(input.len()?);
            Err(Fault::Described(
                format!(
                    "The RDB file contains module data I can't load: no matching module type '{name}'"
                )
                .into(),
            ))
        }
        _ => Err(Fault::Described(
            format!("Unknown RDB encoding type {kind}").into(),
        )),
    }
}

/// Whether a number is that of a type of values.
pub fn is_kind(number: u8, version: u32) -> bool {
    match number {
        kind::STRING..=kind::MODULE_2 | kind::HASH_ZIPMAP..=kind::STREAM_3 => true,
        kind::HASH_2_OF_VALKEY => true,
        kind::HASH_LISTPACK_EXPIRING_PRE_GA..=kind::HASH_LISTPACK_EXPIRING => {
            version < VALKEY_VERSION
        }
        _ => false,
    }
}

/// Passes over a module's value, of which nothing but its end needs to be known.
pub fn skip_module_value(input: &mut Input<'_>) -> Result<(), Fault> {
    loop {
        match input.len()? {
            0 => return Ok(()),
            1 | 2 => {
                input.len()?;
            }
            3 => input.skip(4)?,
            4 => input.skip(8)?,
            5 => input.skip_string()?,
            _ => return Err(Fault::Corrupt("module data of an unknown kind")),
        }
    }
}

/// The name of a module's type: nine characters of six bits each, before ten bits of a version.
pub fn module_name(id: u64) -> String {
    const CHARACTERS: &[u8; 64] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let character = |index: u32| CHARACTERS[(id >> (10 + 6 * index)) as usize & 63] as char;
    (0..9).rev().map(character).collect()
}

/// The number of elements of a collection, which is not empty.
fn count(input: &mut Input<'_>) -> Result<u64, Fault> {
    match input.len()? {
        0 => Err(Fault::Empty),
        count => Ok(count),
    }
}

/// A collection that was built, on its way.
fn built<'a>(collection: impl Collection, scratch: &'a mut Scratch) -> NewValue<'a> {
    collection.into_stored().as_new(&mut scratch.packed)
}

/// Without room for more.
fn exact(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.capacity() > bytes.len() {
        bytes.shrink_to_fit();
    }
    bytes
}

fn list<'a>(
    input: &mut Input<'_>,
    scratch: &'a mut Scratch,
    limits: &Limits,
) -> Result<NewValue<'a>, Fault> {
    let count = count(input)?;
    let mut list = QuickList::new(limits.list);
    for _ in 0..count {
        let text = input.string(scratch)?;
        list.push_back(text.bytes(&mut itoa::Buffer::new()));
    }
    let mut list = List::Quick(Box::new(list));
    list.settle(limits.list);
    Ok(built(list, scratch))
}

fn quicklist<'a>(
    kind: u8,
    input: &'a mut Input<'_>,
    scratch: &'a mut Scratch,
    limits: &Limits,
) -> Result<NewValue<'a>, Fault> {
    let nodes = count(input)?;
    let options = limits.list;
    let mut list = QuickList::new(options);
    for _ in 0..nodes {
        let container = match kind {
            kind::LIST_QUICKLIST => None,
            _ => Some(input.len()?),
        };
        if !matches!(container, None | Some(container::PACKED | container::PLAIN)) {
            return Err(Fault::Corrupt("Quicklist integrity check failed."));
        }
        if nodes == 1 && container == Some(container::PACKED) {
            // The most common list by far.
            return packed::single_node(input.blob(scratch)?, limits);
        }
        let blob = match input.kept(scratch)? {
            Kept::Int(n) => Blob::Long(n.to_string().into_bytes()),
            Kept::Short(bytes) => Blob::Short(bytes),
            Kept::Long(bytes) => Blob::Long(bytes),
        };
        match container {
            Some(container::PLAIN) if blob.as_slice().is_empty() => {
                return Err(Fault::Corrupt("a plain node of a list without its element"));
            }
            Some(container::PLAIN) => list.append_plain(exact(blob.into_vec())),
            Some(_) => {
                let bytes = exact(blob.into_vec());
                packed::check(&bytes, "Listpack")?;
                list.append_listpack(ListpackBuf::from_vec_trusted(bytes));
            }
            None => list.append_listpack(ziplist::to_listpack(blob.as_slice(), "Ziplist")?),
        }
    }
    if list.is_empty() {
        return Err(Fault::Empty);
    }
    let mut list = List::Quick(Box::new(list));
    list.settle(options);
    Ok(built(list, scratch))
}

fn set<'a>(
    input: &mut Input<'_>,
    scratch: &'a mut Scratch,
    limits: &Limits,
) -> Result<NewValue<'a>, Fault> {
    const DOUBLE: Fault = Fault::Corrupt("Duplicate set members detected");
    let count = count(input)?;
    if count > limits.set.intset_entries as u64 {
        let mut members = Members::new(hash::process());
        members.reserve(input.plausible(count, BYTES_EACH));
        let (mut ahead, mut left) = (Ahead::default(), count);
        while left > 0 {
            left -= ahead.read(left, AHEAD_MAX, |ahead| ahead.string(input, scratch))?;
            if !members.insert_each(ahead.strings()) {
                return Err(DOUBLE);
            }
        }
        return Ok(NewValue::Big(Big::Set(Box::new(members))));
    }
    let mut set = Set::new_in(std::mem::take(&mut scratch.packed));
    let mut marks = packed::Marks::default();
    let mut left = count;
    while left > 0 {
        let text = input.string(scratch)?;
        let mut digits = itoa::Buffer::new();
        if left == count {
            set.expect(text.bytes(&mut digits), count as usize, limits.set);
        }
        let is_new = match text {
            Text::Int(n) => {
                marks.see(Item::Int(n));
                set.insert_item(Item::Int(n), limits.set)
            }
            Text::Bytes(bytes) => {
                marks.see(Item::Bytes(bytes));
                set.insert_untested(bytes, limits.set)
            }
        };
        if !is_new {
            return Err(DOUBLE);
        }
        left -= 1;
        if count <= limits.set.listpack_entries as u64
            && let Set::Pack(pack) = &mut set
        {
            left -= pack_members(pack, left, input, limits, &mut marks);
        }
    }
    let is_distinct = match &set {
        Set::Pack(_) if marks.are_distinct() => true,
        Set::Pack(pack) => packed::is_distinct(pack.as_ref(), count as usize, 1),
        _ => set.as_ref().len() as u64 == count,
    };
    if !is_distinct {
        return Err(DOUBLE);
    }
    Ok(built(set, scratch))
}

/// Adds members to a packed set, which may have so many more, up to one that is not short. Says how many.
fn pack_members(
    pack: &mut ListpackBuf,
    left: u64,
    input: &mut Input<'_>,
    limits: &Limits,
    marks: &mut packed::Marks,
) -> u64 {
    /// Far from what a listpack can hold.
    const AT_ONCE: u64 = 1 << 16;
    let mut added = 0;
    pack.extend_with(|tail| {
        while added < left.min(AT_ONCE)
            && let Some(member) = input.short_string(limits.set.listpack_value)
        {
            marks.see(Item::Bytes(member));
            tail.text(member);
            added += 1;
        }
    });
    added
}

fn zset<'a>(
    kind: u8,
    input: &mut Input<'_>,
    scratch: &'a mut Scratch,
    limits: &Limits,
) -> Result<NewValue<'a>, Fault> {
    const DOUBLE: Fault = Fault::Corrupt("Duplicate zset fields detected");
    let count = count(input)?;
    if count > limits.zset.entries {
        let mut sorted = Sorted::new(hash::process());
        sorted.reserve(input.plausible(count, 2 * BYTES_EACH));
        let (mut ahead, mut left) = (Ahead::default(), count);
        let mut scores = Vec::new();
        while left > 0 {
            scores.clear();
            left -= ahead.read(left, BATCH_MAX, |ahead| {
                ahead.string(input, scratch)?;
                scores.push(score(kind, input)?);
                Ok(())
            })?;
            if !sorted.insert_batch(ahead.strings().zip(scores.iter().copied())) {
                return Err(DOUBLE);
            }
        }
        return Ok(NewValue::Big(Big::Zset(Box::new(sorted))));
    }
    let mut zset = Zset::new_in(std::mem::take(&mut scratch.packed));
    let mut member = std::mem::take(&mut scratch.field);
    for _ in 0..count {
        input.string_into(&mut member, scratch)?;
        if zset
            .insert(&member, score(kind, input)?, limits.zset)
            .is_some()
        {
            return Err(DOUBLE);
        }
    }
    scratch.field = member;
    Ok(built(zset, scratch))
}

/// The score of a member in a sorted set of this type.
fn score(kind: u8, input: &mut Input<'_>) -> Result<f64, Fault> {
    let score = match kind {
        kind::ZSET => score_text(input)?,
        _ => f64::from_le_bytes(input.array()?),
    };
    if score.is_nan() {
        return Err(Fault::Corrupt("Zset with NAN score detected"));
    }
    Ok(score)
}

/// A score as its text, with a byte of length before it, the highest of which are what is no number.
fn score_text(input: &mut Input<'_>) -> Result<f64, Fault> {
    match input.byte()? {
        253 => Ok(f64::NAN),
        254 => Ok(f64::INFINITY),
        255 => Ok(f64::NEG_INFINITY),
        len => {
            let text = input.take(len.into())?;
            parse_f64(text).ok_or(Fault::Corrupt("a score that is no number"))
        }
    }
}

fn hash<'a>(
    input: &mut Input<'_>,
    scratch: &'a mut Scratch,
    limits: &Limits,
) -> Result<NewValue<'a>, Fault> {
    const DOUBLE: Fault = Fault::Corrupt("Duplicate hash fields detected");
    let count = count(input)?;
    if count > limits.hash.entries_max as u64 {
        let mut fields = Fields::new(hash::process());
        fields.reserve(input.plausible(count, BYTES_EACH));
        let (mut ahead, mut left) = (Ahead::default(), count);
        while left > 0 {
            left -= ahead.read(left, AHEAD_MAX, |ahead| {
                ahead.string(input, scratch)?;
                ahead.string(input, scratch)
            })?;
            if !fields.set_each(ahead.pairs()) {
                return Err(DOUBLE);
            }
        }
        return Ok(NewValue::Big(Big::Hash(Box::new(fields))));
    }
    let mut hash = Hash::new_in(std::mem::take(&mut scratch.packed));
    let mut field = std::mem::take(&mut scratch.field);
    for _ in 0..count {
        input.string_into(&mut field, scratch)?;
        let text = input.string(scratch)?;
        let mut digits = itoa::Buffer::new();
        if !hash.set(&field, text.bytes(&mut digits), limits.hash, 0) {
            return Err(DOUBLE);
        }
    }
    scratch.field = field;
    Ok(built(hash, scratch))
}

/// How a hash says when its fields expire.
#[derive(Clone, Copy)]
enum Times {
    /// Behind each field and value, -1 for never.
    Behind,
    /// Before each, as a length, 0 for never; as one more than the difference to this if it is given.
    Before(Option<i64>),
}

fn expiring_hash<'a>(
    times: Times,
    input: &mut Input<'_>,
    scratch: &'a mut Scratch,
) -> Result<NewValue<'a>, Fault> {
    let count = count(input)?;
    let mut fields = Fields::new(hash::process());
    fields.reserve(input.plausible(count, BYTES_EACH));
    let mut field = std::mem::take(&mut scratch.field);
    for _ in 0..count {
        let before = match times {
            Times::Before(first_ms) => expiry_before(input.len()?, first_ms)?,
            Times::Behind => None,
        };
        input.string_into(&mut field, scratch)?;
        let text = input.string(scratch)?;
        if !fields.set(&field, text.bytes(&mut itoa::Buffer::new())) {
            return Err(Fault::Corrupt("Duplicate hash fields detected"));
        }
        let expiry_ms = match times {
            Times::Before(_) => before,
            Times::Behind => Some(input.time_ms()?).filter(|at| *at != -1),
        };
        if expiry_ms.is_some() {
            fields.set_expiry(&field, expiry_ms);
        }
    }
    scratch.field = field;
    Ok(NewValue::Big(Big::Hash(Box::new(fields))))
}

/// The time that stands before a field.
fn expiry_before(number: u64, first_ms: Option<i64>) -> Result<Option<i64>, Fault> {
    const WRONG: Fault = Fault::Corrupt("a field's time of expiry that is out of range");
    if number == 0 {
        return Ok(None);
    }
    let number = i64::try_from(number).map_err(|_| WRONG)?;
    match first_ms {
        None => Ok(Some(number)),
        Some(first_ms) => first_ms.checked_add(number - 1).map(Some).ok_or(WRONG),
    }
}

/// What is packed and stays so.
fn keep(packing: Packing, blob: Blob<'_>) -> NewValue<'_> {
    match blob {
        Blob::Short(bytes) => NewValue::Packed(packing, bytes),
        Blob::Long(bytes) => NewValue::Apart(packing, Box::new(exact(bytes))),
    }
}

/// The fields of a listpack as a table.
fn fields_of(pack: Listpack<'_>) -> Result<Fields, Fault> {
    let mut fields = Fields::new(hash::process());
    fields.reserve(pack.len() / 2);
    let mut items = pack.iter();
    while let (Some(field), Some(value)) = (items.next(), items.next()) {
        let (mut field_digits, mut digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        if !fields.set(field.bytes(&mut field_digits), value.bytes(&mut digits)) {
            return Err(Fault::Corrupt("Duplicate hash fields detected"));
        }
    }
    Ok(fields)
}
