//! Packed collections: checked, and kept as they are unless the limits ask for a big one.

use super::super::input::{Blob, Fault};
use super::super::load::Limits;
use super::{exact, fields_of, keep};
use crate::base::hash;
use crate::base::num::{parse_f64, parse_i64};
use crate::data::fields::Fields;
use crate::data::intset::IntSet;
use crate::data::listpack::{Item, Listpack, ListpackBuf, Needle};
use crate::data::members::Members;
use crate::data::quicklist::QuickList;
use crate::keyspace::value::{Big, Collection, NewValue, Packing, Stored};
use crate::keyspace::zset::Zset;

/// The listpack in bytes from anywhere, which are those of `what`.
pub fn check<'a>(bytes: &'a [u8], what: &str) -> Result<Listpack<'a>, Fault> {
    Listpack::check(bytes).map_err(|fault| wrong(what, &fault.to_string()))
}

/// The same, with `see` being shown the items on the way.
#[inline]
fn check_each<'a>(
    bytes: &'a [u8],
    what: &str,
    see: impl FnMut(Item<'a>),
) -> Result<Listpack<'a>, Fault> {
    Listpack::check_each(bytes, see).map_err(|fault| wrong(what, &fault.to_string()))
}

/// What is wrong with a packed collection, in the words that Redis logs and some more.
#[cold]
fn wrong(what: &str, why: &str) -> Fault {
    Fault::Described(format!("{what} integrity check failed: {why}").into())
}

/// A list in one listpack.
pub fn list<'a>(pack: ListpackBuf, limits: &Limits) -> Result<NewValue<'a>, Fault> {
    single_node(Blob::Long(pack.into_vec()), limits)
}

/// A list whose only node is a listpack.
pub fn single_node<'a>(blob: Blob<'a>, limits: &Limits) -> Result<NewValue<'a>, Fault> {
    let pack = check(blob.as_slice(), "Listpack")?;
    let (bytes, count) = (pack.bytes().len(), pack.len());
    if count == 0 {
        return Err(Fault::Empty);
    }
    let options = limits.list;
    if options.fill.fits_listpack(bytes, count, false) {
        return Ok(keep(Packing::List, blob));
    }
    let node = ListpackBuf::from_vec_trusted(exact(blob.into_vec()));
    let list = QuickList::from_listpack(node, options);
    Ok(NewValue::Big(Big::List(Box::new(list))))
}

/// A set in an intset.
pub fn ints<'a>(blob: Blob<'a>, limits: &Limits) -> Result<NewValue<'a>, Fault> {
    let ints = IntSet::check(blob.as_slice()).map_err(|fault| {
        Fault::Described(format!("Intset integrity check failed: {fault}").into())
    })?;
    if ints.is_empty() {
        return Err(Fault::Corrupt("Intset integrity check failed."));
    }
    if ints.len() <= limits.set.intset_entries {
        return Ok(keep(Packing::Ints, blob));
    }
    let mut members = Members::new(hash::process());
    members.reserve(ints.len());
    for value in ints.iter() {
        members.insert(itoa::Buffer::new().format(value).as_bytes());
    }
    Ok(NewValue::Big(Big::Set(Box::new(members))))
}

/// A set in a listpack.
pub fn set<'a>(blob: Blob<'a>, limits: &Limits) -> Result<NewValue<'a>, Fault> {
    let double = || wrong("Set listpack", "duplicate members");
    let mut marks = Marks::default();
    let pack = check_each(blob.as_slice(), "Set listpack", |item| marks.see(item))?;
    let count = pack.len();
    if count == 0 {
        return Err(Fault::Empty);
    }
    if count <= limits.set.listpack_entries {
        return if marks.are_distinct() || is_distinct(pack, count, 1) {
            Ok(keep(Packing::Set, blob))
        } else {
            Err(double())
        };
    }
    let mut members = Members::new(hash::process());
    members.reserve(count);
    for item in pack.iter() {
        if !members.insert(item.bytes(&mut itoa::Buffer::new())) {
            return Err(double());
        }
    }
    Ok(NewValue::Big(Big::Set(Box::new(members))))
}

/// A hash in a listpack.
pub fn hash<'a>(blob: Blob<'a>, limits: &Limits) -> Result<NewValue<'a>, Fault> {
    const WHAT: &str = "Hash listpack";
    let (mut marks, mut is_field) = (Marks::default(), false);
    let pack = check_each(blob.as_slice(), WHAT, |item| {
        is_field = !is_field;
        if is_field {
            marks.see(item);
        }
    })?;
    let count = count_of(pack, 2, WHAT)?;
    if count > limits.hash.entries_max {
        return Ok(NewValue::Big(Big::Hash(Box::new(fields_of(pack)?))));
    }
    if !marks.are_distinct() && !is_distinct(pack, count, 2) {
        return Err(wrong(WHAT, "duplicate fields"));
    }
    Ok(keep(Packing::Hash, blob))
}

/// A hash that was in no listpack before, so that the lengths of its fields and values count too.
pub fn hash_of_any_length<'a>(pack: ListpackBuf, limits: &Limits) -> Result<NewValue<'a>, Fault> {
    let read = pack.as_ref();
    if read.iter().any(|item| item.len() > limits.hash.value_max) {
        count_of(read, 2, "Hash listpack")?;
        return Ok(NewValue::Big(Big::Hash(Box::new(fields_of(read)?))));
    }
    hash(Blob::Long(pack.into_vec()), limits)
}

/// A hash in a listpack of fields, values, and times of expiry, 0 for none.
pub fn expiring_hash<'a>(blob: Blob<'a>) -> Result<NewValue<'a>, Fault> {
    const WHAT: &str = "Hash listpack";
    let pack = check(blob.as_slice(), WHAT)?;
    let count = count_of(pack, 3, WHAT)?;
    let mut fields = Fields::new(hash::process());
    fields.reserve(count);
    let mut items = pack.iter();
    while let (Some(field), Some(value), Some(time)) = (items.next(), items.next(), items.next()) {
        let (mut field_digits, mut digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        let field = field.bytes(&mut field_digits);
        let Some(expiry_ms) = time.integer() else {
            return Err(Fault::Corrupt("a field's time of expiry that is no number"));
        };
        if !fields.set(field, value.bytes(&mut digits)) {
            return Err(Fault::Corrupt("Duplicate hash fields detected"));
        }
        if expiry_ms != 0 {
            fields.set_expiry(field, Some(expiry_ms));
        }
    }
    Ok(NewValue::Big(Big::Hash(Box::new(fields))))
}

/// A sorted set in a listpack.
pub fn zset<'a>(blob: Blob<'a>, limits: &Limits) -> Result<NewValue<'a>, Fault> {
    const WHAT: &str = "Zset listpack";
    let double = || wrong(WHAT, "duplicate members");
    let (mut marks, mut order, mut member) = (Marks::default(), Order::default(), None);
    let pack = check_each(blob.as_slice(), WHAT, |item| match member.take() {
        None => {
            marks.see(item);
            member = Some(item);
        }
        Some(member) => order.see(member, item),
    })?;
    let count = count_of(pack, 2, WHAT)?;
    if order.has_no_number {
        return Err(Fault::Corrupt("a score that is no number"));
    }
    if !order.is_broken && count as u64 <= limits.zset.entries {
        return if marks.are_distinct() || is_distinct(pack, count, 2) {
            Ok(keep(Packing::Zset, blob))
        } else {
            Err(double())
        };
    }
    let mut zset = Zset::new_in(Vec::new());
    if count as u64 > limits.zset.entries {
        zset.expand();
    }
    let mut items = pack.iter();
    while let (Some(member), Some(score)) = (items.next(), items.next()) {
        let score = score_of(score).expect("scores were checked");
        let member = member.bytes(&mut itoa::Buffer::new()).to_vec();
        if zset.insert(&member, score, limits.zset).is_some() {
            return Err(double());
        }
    }
    Ok(match zset.into_stored() {
        Stored::Packed(packing, bytes) => keep(packing, Blob::Long(bytes)),
        Stored::Big(big) => NewValue::Big(big),
    })
}

/// How many members or fields there are, with so many elements each.
fn count_of(pack: Listpack<'_>, each: usize, what: &str) -> Result<usize, Fault> {
    match pack.len() {
        0 => Err(Fault::Empty),
        elements if elements.is_multiple_of(each) => Ok(elements / each),
        _ => Err(wrong(what, "a listpack with an element too few")),
    }
}

/// What finds out, while elements are read, that they are most likely not all distinct.
#[derive(Default)]
pub struct Marks {
    /// A bit for each of some numbers that marks are spread over.
    seen: [u64; 16],
    /// A bit was there already.
    is_doubtful: bool,
}

impl Marks {
    /// Notes an element.
    #[inline]
    pub fn see(&mut self, item: Item<'_>) {
        let place = mark_of(item) >> (u64::BITS - 10);
        let (word, bit) = (&mut self.seen[(place >> 6) as usize], 1 << (place & 63));
        self.is_doubtful |= *word & bit != 0;
        *word |= bit;
    }

    /// Whether all that were noted are distinct. No is no certain answer: see [`is_distinct`].
    #[inline]
    pub fn are_distinct(&self) -> bool {
        !self.is_doubtful
    }
}

/// Whether the first one of so many elements each time is another one each time.
#[cold]
pub fn is_distinct(pack: Listpack<'_>, count: usize, step: usize) -> bool {
    /// Up to how many are compared each with each.
    const FEW: usize = 32;
    let items = pack.iter().step_by(step);
    if count > FEW {
        let hasher = hash::process();
        let mut hashes: Vec<u64> = items
            .map(|item| hasher.hash(item.bytes(&mut itoa::Buffer::new())))
            .collect();
        hashes.sort_unstable();
        // Two that are not the same share 64 bits of a keyed hash once in an age.
        return hashes.is_sorted_by(|a, b| a < b);
    }
    let mut marks = [0; FEW];
    for (mark, item) in marks.iter_mut().zip(items) {
        *mark = mark_of(item);
    }
    let marks = &marks[..count];
    let is_other = |(index, mark): (usize, &u64)| !marks[..index].contains(mark);
    marks.iter().enumerate().all(is_other) || is_distinct_by_search(pack, step)
}

/// A number that is the same for elements of the same text, and for few others.
#[inline]
fn mark_of(item: Item<'_>) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let text = match item {
        Item::Int(number) => return (number as u64).wrapping_mul(SPREAD),
        Item::Bytes(text) => text,
    };
    // What is written as an integer can stand there as a text all the same.
    if let Some(b'0'..=b'9' | b'-') = text.first()
        && let Some(number) = parse_i64(text)
    {
        return (number as u64).wrapping_mul(SPREAD);
    }
    let (first, last) = if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let word = |chunk: &[u8; 4]| u32::from_le_bytes(*chunk).into();
        (word(first), word(last))
    } else {
        let at = |index| u64::from(text.get(index).copied().unwrap_or(0));
        (at(0) | at(1) << 8, at(2))
    };
    (first ^ last.rotate_left(32) ^ text.len() as u64).wrapping_mul(SPREAD)
}

/// [`is_distinct`] beyond doubt, each compared with all that follow.
#[cold]
fn is_distinct_by_search(pack: Listpack<'_>, step: usize) -> bool {
    let mut items = pack.iter();
    while let Some(item) = items.next() {
        if step == 2 {
            items.next();
        }
        let mut digits = itoa::Buffer::new();
        let needle = Needle::new(item.bytes(&mut digits));
        if let Some(rest) = items.front()
            && pack.find(rest, &needle, step).is_some()
        {
            return false;
        }
    }
    true
}

/// Whether the members of a sorted set that are seen are in order.
#[derive(Default)]
struct Order<'a> {
    last: Option<(Item<'a>, f64)>,
    /// A member came before the one that was seen before.
    is_broken: bool,
    /// A score was no number.
    has_no_number: bool,
}

impl<'a> Order<'a> {
    #[inline]
    fn see(&mut self, member: Item<'a>, score: Item<'a>) {
        let Some(score) = score_of(score) else {
            self.has_no_number = true;
            return;
        };
        if let Some((last, lower)) = self.last
            && lower >= score
        {
            self.is_broken |= lower > score || !precedes(last, member);
        }
        self.last = Some((member, score));
    }
}

/// Whether a member comes before another of the same score.
fn precedes(one: Item<'_>, other: Item<'_>) -> bool {
    one.bytes(&mut itoa::Buffer::new()) < other.bytes(&mut itoa::Buffer::new())
}

#[inline]
fn score_of(item: Item<'_>) -> Option<f64> {
    match item {
        Item::Int(score) => Some(score as f64),
        Item::Bytes(text) => parse_f64(text).filter(|score| !score.is_nan()),
    }
}
