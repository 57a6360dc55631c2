//! Listpacks: short texts and integers in one run of bytes, the packed form of small collections.
//!
//! The bytes are those of Redis's listpacks, so that a collection moves to and from a snapshot with
//! one copy. Numbers are little-endian unless said otherwise:
//!
//! ```text
//!   | total bytes: u32 | count: u16 | element | element | ... | 0xff |
//!
//!   element: | tag, with a part of what follows | rest | backlen |
//!
//!   0xxxxxxx                    an integer from 0 to 127
//!   10xxxxxx  text              a text of up to 63 bytes
//!   110xxxxx xxxxxxxx           an integer of 13 bits, high bits first, two's complement
//!   1110xxxx xxxxxxxx  text     a text of up to 4095 bytes, the length's high bits first
//!   11110000 u32  text          a longer text
//!   11110001 .. 11110100        an integer of 16, 24, 32 or 64 bits
//! ```
//!
//! The backlen is the size of what stands before it in the element, in one to five groups of seven
//! bits, high bits first; all groups but the first have their top bit set, so that it is read from
//! its end. A count of 65535 says that there are that many or more, and that only walking tells.
//!
//! A text that is an integer's, in the one form that prints back to the same bytes, is stored as the
//! shortest integer. Reading accepts longer forms as well: files by others may hold them.
//!
//! Steps and reads take constant time; finding, counting by index and every change are linear in
//! the bytes. Nothing here caps a listpack or shrinks its memory: what is small enough to stay
//! packed is its owner's business, below [`BYTES_MAX`].

use std::fmt;
use std::iter::{FusedIterator, Rev};

use self::element::{Element, LENS, TEXT_6, TEXT_6_MAX};
use self::element::{backlen_len, element_end, element_start, read, read_untrusted};
use crate::base::num::{digits10_i64, parse_i64};

mod element;

/// The bytes of a listpack without elements.
pub const EMPTY_LEN: usize = HEADER_LEN + 1;

/// What a listpack stays below: far less than its header could say, so that sums cannot overflow.
pub const BYTES_MAX: usize = 1 << 30;

const HEADER_LEN: usize = 6;
const COUNT_AT: usize = 4;
/// The count of a listpack whose elements have to be walked to know how many they are.
const COUNT_UNKNOWN: usize = u16::MAX as usize;
const END: u8 = 0xff;

/// Whether a listpack of so many bytes may grow by some more.
pub fn is_safe_to_add(bytes_now: usize, add: usize) -> bool {
    bytes_now
        .checked_add(add)
        .is_some_and(|sum| sum <= BYTES_MAX)
}

/// The bytes that an element of this text takes, its tag and backlen included.
pub fn encoded_len(text: &[u8]) -> usize {
    Element::of(text).len()
}

/// A place in a listpack: where an element begins. Any change of the listpack at or before it
/// leaves it meaningless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos(usize);

/// What an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An integer, which stands for its decimal text.
    Int(i64),
    /// A text.
    Bytes(&'a [u8]),
}

impl<'a> Item<'a> {
    /// Its text; that of an integer is written to the buffer.
    #[inline]
    pub fn bytes<'b>(self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Item::Int(value) => digits.format(value).as_bytes(),
            Item::Bytes(bytes) => bytes,
        }
    }

    /// The length of its text.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            Item::Int(value) => digits10_i64(value),
            Item::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether its text is empty.
    pub fn is_empty(self) -> bool {
        matches!(self, Item::Bytes([]))
    }

    /// Whether this is its text. To compare many items, make a [`Needle`] once.
    #[inline]
    pub fn is(self, text: &[u8]) -> bool {
        match self {
            Item::Int(value) => parse_i64(text) == Some(value),
            Item::Bytes(bytes) => bytes == text,
        }
    }

    /// The integer that it is, or that its text spells in the one accepted form.
    #[inline]
    pub fn integer(self) -> Option<i64> {
        match self {
            Item::Int(value) => Some(value),
            Item::Bytes(bytes) => parse_i64(bytes),
        }
    }
}

/// A text that is looked for: read once, compared with many items.
#[derive(Clone, Copy, Debug)]
pub struct Needle<'a> {
    text: &'a [u8],
    /// The integer that the text spells; then it is found in integers, too.
    integer: Option<i64>,
}

impl<'a> Needle<'a> {
    /// Looks for this text.
    #[inline]
    pub fn new(text: &'a [u8]) -> Needle<'a> {
        Needle {
            text,
            integer: parse_i64(text),
        }
    }

    /// Whether the item has this text.
    #[inline]
    pub fn is(&self, item: Item<'_>) -> bool {
        match item {
            Item::Int(value) => self.integer == Some(value),
            Item::Bytes(bytes) => self.text == bytes,
        }
    }
}

/// A listpack to read. Its methods trust the bytes: they were made by a [`ListpackBuf`] or passed
/// [`Listpack::check`], else what they return is unspecified, and they may panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listpack<'a> {
    bytes: &'a [u8],
}

impl<'a> Listpack<'a> {
    /// The listpack in these bytes, which are known to be one.
    #[inline]
    pub fn from_trusted(bytes: &'a [u8]) -> Self {
        debug_assert_eq!(check_frame(bytes), Ok(()), "the bytes of a listpack");
        Listpack { bytes }
    }

    /// The listpack in bytes from anywhere, or what is wrong with them. Linear in the bytes.
    ///
    /// What passes is safe to read and to change. Longer forms of integers and lengths than needed
    /// pass, as they do in Redis.
    pub fn check(bytes: &'a [u8]) -> Result<Self, Fault> {
        Listpack::check_each(bytes, |_| {})
    }

    /// The same, with `see` being shown the items on the way, those before a fault among them.
    #[inline]
    pub fn check_each(bytes: &'a [u8], mut see: impl FnMut(Item<'a>)) -> Result<Self, Fault> {
        check_frame(bytes)?;
        let end = bytes.len() - 1;
        let (mut at, mut count) = (HEADER_LEN, 0);
        while at < end {
            let (item, len) = read_untrusted(&bytes[at..end]).ok_or(Fault::Element { at })?;
            see(item);
            at += len;
            count += 1;
        }
        let pack = Listpack { bytes };
        match pack.count_in_header() {
            Some(said) if said != count => Err(Fault::Count),
            _ => Ok(pack),
        }
    }

    /// All its bytes.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many elements there are. Walks them if they are too many for the header.
    #[inline]
    pub fn len(self) -> usize {
        self.count_in_header()
            .unwrap_or_else(|| self.count_between(HEADER_LEN, self.end()))
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.bytes.len() == EMPTY_LEN
    }

    /// The first element.
    #[inline]
    pub fn first(self) -> Option<Pos> {
        self.pos_at(HEADER_LEN)
    }

    /// The last element.
    #[inline]
    pub fn last(self) -> Option<Pos> {
        self.pos_before(self.end())
    }

    /// The element behind this one.
    #[inline]
    pub fn next(self, at: Pos) -> Option<Pos> {
        self.pos_at(element_end(self.bytes, at.0))
    }

    /// The element before this one.
    #[inline]
    pub fn prev(self, at: Pos) -> Option<Pos> {
        self.pos_before(at.0)
    }

    /// What the element holds.
    #[inline]
    pub fn get(self, at: Pos) -> Item<'a> {
        read(self.bytes, at.0).0
    }

    /// The element with this index; negative ones count from the end, -1 being the last. Walks from
    /// the nearer end, unless the count is unknown.
    pub fn seek(self, index: isize) -> Option<Pos> {
        let (from_end, steps) = match (self.count_in_header(), index) {
            (_, ..0) if self.is_empty() => return None,
            (Some(count), _) => {
                let index = if index < 0 {
                    count.checked_sub(index.unsigned_abs())?
                } else {
                    index.unsigned_abs()
                };
                let back = count.checked_sub(1)?.checked_sub(index)?;
                (back < index, back.min(index))
            }
            (None, ..0) => (true, index.unsigned_abs() - 1),
            (None, _) => (false, index.unsigned_abs()),
        };
        if from_end {
            (0..steps).try_fold(self.last()?, |at, _| self.prev(at))
        } else {
            (0..steps).try_fold(self.first()?, |at, _| self.next(at))
        }
    }

    /// Its items, from either end.
    #[inline]
    pub fn iter(self) -> Iter<'a> {
        Iter {
            bytes: self.bytes,
            front: HEADER_LEN,
            back: self.end(),
        }
    }

    /// The items from this one to the last.
    #[inline]
    pub fn iter_from(self, at: Pos) -> Iter<'a> {
        Iter {
            front: at.0,
            ..self.iter()
        }
    }

    /// The items from this one to the first.
    #[inline]
    pub fn iter_back_from(self, at: Pos) -> Rev<Iter<'a>> {
        Iter {
            back: element_end(self.bytes, at.0),
            ..self.iter()
        }
        .rev()
    }

    /// The places of all elements.
    pub fn positions(self) -> impl Iterator<Item = Pos> + use<'a> {
        std::iter::successors(self.first(), move |&at| self.next(at))
    }

    /// The first element with the needle's text among this one, the one `step` elements further,
    /// and so on.
    pub fn find(self, from: Pos, needle: &Needle<'_>, step: usize) -> Option<Pos> {
        assert!(step > 0, "a search that stays where it is");
        let text_len = needle.text.len();
        if needle.integer.is_none() && (1..=TEXT_6_MAX).contains(&text_len) {
            return self.find_short(from, needle.text, step);
        }
        let mut at = from.0;
        while at < self.end() {
            let (item, len) = read(self.bytes, at);
            if needle.is(item) {
                return Some(Pos(at));
            }
            at = self.skip(at + len + backlen_len(len), step - 1);
        }
        None
    }

    /// `find` for what most searches are for: 1 to 63 bytes that are no integer.
    ///
    /// The tag gives nearly every other element away. Names often differ in their last bytes only, so
    /// that these are compared next, as one word; it reaches back over the tag, or into the header.
    fn find_short(self, from: Pos, text: &[u8], step: usize) -> Option<Pos> {
        let tag = TEXT_6 | text.len() as u8;
        let mut tail = [0; 8];
        let tail_len = text.len().min(8);
        tail[8 - tail_len..].copy_from_slice(&text[text.len() - tail_len..]);
        let (tail, mask) = (u64::from_le_bytes(tail), u64::MAX << (64 - 8 * tail_len));
        let mut at = from.0;
        while at < self.end() {
            if self.bytes[at] == tag {
                let text_end = at + 1 + text.len();
                let word = self.bytes[..text_end].last_chunk();
                let word = u64::from_le_bytes(*word.expect("a header and a tag before a text"));
                if (word ^ tail) & mask == 0
                    && (text.len() <= 8 || &self.bytes[at + 1..text_end] == text)
                {
                    return Some(Pos(at));
                }
            } else if LENS[usize::from(self.bytes[at])] == 0
                && read(self.bytes, at).0 == Item::Bytes(text)
            {
                return Some(Pos(at));
            }
            at = self.skip(at, step);
        }
        None
    }

    /// Where the element begins that is so many behind the one at `at`, or the end.
    #[inline]
    fn skip(self, mut at: usize, steps: usize) -> usize {
        for _ in 0..steps {
            if at >= self.end() {
                break;
            }
            at = element_end(self.bytes, at);
        }
        at
    }

    /// Where the end byte is.
    #[inline]
    fn end(self) -> usize {
        self.bytes.len() - 1
    }

    #[inline]
    fn pos_at(self, at: usize) -> Option<Pos> {
        (at < self.end()).then_some(Pos(at))
    }

    #[inline]
    fn pos_before(self, at: usize) -> Option<Pos> {
        (at > HEADER_LEN).then(|| Pos(element_start(self.bytes, at)))
    }

    /// The count, if it is few enough for the header.
    #[inline]
    fn count_in_header(self) -> Option<usize> {
        let count = [self.bytes[COUNT_AT], self.bytes[COUNT_AT + 1]];
        let count = usize::from(u16::from_le_bytes(count));
        (count != COUNT_UNKNOWN).then_some(count)
    }

    fn count_between(self, mut at: usize, end: usize) -> usize {
        let mut count = 0;
        while at < end {
            at = element_end(self.bytes, at);
            count += 1;
        }
        count
    }
}

/// Items of a listpack, from either end.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    /// Where the next element begins.
    front: usize,
    /// Where the next element from behind ends.
    back: usize,
}

impl Iter<'_> {
    /// Where the next item lies.
    #[inline]
    pub fn front(&self) -> Option<Pos> {
        (self.front < self.back).then_some(Pos(self.front))
    }

    /// Goes on at an item of its listpack, or is at its end.
    #[inline]
    pub fn set_front(&mut self, at: Option<Pos>) {
        self.front = at.map_or(self.back, |at| at.0);
    }

    /// Where the item lies that was taken last from behind.
    #[inline]
    pub fn back(&self) -> Pos {
        Pos(self.back)
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.front >= self.back {
            return None;
        }
        let (item, len) = read(self.bytes, self.front);
        self.front += len + backlen_len(len);
        Some(item)
    }

    /// Steps over items without reading them.
    #[inline]
    fn nth(&mut self, mut skip: usize) -> Option<Item<'a>> {
        while skip > 0 && self.front < self.back {
            self.front = element_end(self.bytes, self.front);
            skip -= 1;
        }
        self.next()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.front >= self.back {
            return None;
        }
        self.back = element_start(self.bytes, self.back);
        Some(read(self.bytes, self.back).0)
    }

    /// Steps over items without reading them.
    #[inline]
    fn nth_back(&mut self, mut skip: usize) -> Option<Self::Item> {
        while skip > 0 && self.front < self.back {
            self.back = element_start(self.bytes, self.back);
            skip -= 1;
        }
        self.next_back()
    }
}

impl FusedIterator for Iter<'_> {}

/// A listpack to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListpackBuf(Vec<u8>);

impl Default for ListpackBuf {
    fn default() -> Self {
        ListpackBuf::new()
    }
}

impl ListpackBuf {
    /// A listpack without elements.
    pub fn new() -> Self {
        ListpackBuf::new_in(Vec::new())
    }

    /// The same, in the memory of a vector whose content is given up.
    pub fn new_in(mut vec: Vec<u8>) -> Self {
        vec.clear();
        vec.extend_from_slice(&[EMPTY_LEN as u8, 0, 0, 0, 0, 0, END]);
        ListpackBuf(vec)
    }

    /// The listpack that these bytes are known to be.
    pub fn from_vec_trusted(vec: Vec<u8>) -> Self {
        debug_assert_eq!(check_frame(&vec), Ok(()), "the bytes of a listpack");
        ListpackBuf(vec)
    }

    /// Its bytes.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// The listpack, to read.
    #[inline]
    pub fn as_ref(&self) -> Listpack<'_> {
        Listpack { bytes: &self.0 }
    }

    /// The bytes that it has memory for.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Gives up memory that it does not use.
    pub fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }

    /// Adds a text behind the last element.
    #[inline]
    pub fn push_back(&mut self, text: &[u8]) {
        self.extend_with(|tail| tail.text(text));
    }

    /// Adds an integer behind the last element.
    pub fn push_back_int(&mut self, value: i64) {
        self.extend_with(|tail| tail.int(value));
    }

    /// Adds what `write` writes behind the last element, and states the header once for all of it.
    #[inline]
    pub fn extend_with(&mut self, write: impl FnOnce(&mut Tail<'_>)) {
        let end = self.0.pop();
        assert_eq!(end, Some(END), "a listpack ends with its end byte");
        let mut tail = Tail {
            bytes: &mut self.0,
            count: 0,
        };
        write(&mut tail);
        let added = tail.count;
        self.0.push(END);
        self.state_total();
        if let Some(count) = self.as_ref().count_in_header() {
            self.state_count(count + added);
        }
    }

    /// Adds a text before the first element.
    pub fn push_front(&mut self, text: &[u8]) {
        self.insert(HEADER_LEN, &Element::of(text));
    }

    /// Adds a text before an element; says where.
    pub fn insert_before(&mut self, at: Pos, text: &[u8]) -> Pos {
        self.insert(at.0, &Element::of(text))
    }

    /// Adds a text behind an element; says where.
    pub fn insert_after(&mut self, at: Pos, text: &[u8]) -> Pos {
        self.insert(element_end(&self.0, at.0), &Element::of(text))
    }

    /// Puts a text in an element's stead, which stays where it was.
    pub fn replace(&mut self, at: Pos, text: &[u8]) -> Pos {
        self.put(at.0, element_end(&self.0, at.0), &Element::of(text));
        at
    }

    /// Puts an integer in an element's stead, which stays where it was.
    pub fn replace_int(&mut self, at: Pos, value: i64) -> Pos {
        self.put(at.0, element_end(&self.0, at.0), &Element::of_int(value));
        at
    }

    /// Takes an element out; says where the one behind it is now.
    pub fn remove(&mut self, at: Pos) -> Option<Pos> {
        self.remove_range(at, 1)
    }

    /// Takes out so many elements from one on, or all of the rest; says where the next one is now.
    pub fn remove_range(&mut self, at: Pos, count: usize) -> Option<Pos> {
        let (mut end, mut removed) = (at.0, 0);
        while removed < count && end < self.end() {
            end = element_end(&self.0, end);
            removed += 1;
        }
        self.cut(at.0, end, removed);
        self.as_ref().pos_at(at.0)
    }

    /// Takes out so many elements from an index on, or all of the rest. What is taken out is not
    /// walked if the ends are nearer.
    pub fn remove_index_range(&mut self, start: usize, count: usize) {
        let pack = self.as_ref();
        let removed = count.min(pack.len().saturating_sub(start));
        if removed == 0 {
            return;
        }
        let place = |index: usize| pack.seek(index as isize).map_or(pack.end(), |at| at.0);
        let (at, end) = (place(start), place(start + removed));
        self.cut(at, end, removed);
    }

    /// Adds another's elements behind its own.
    pub fn append(&mut self, other: Listpack<'_>) {
        self.splice(self.end(), other);
    }

    /// Adds another's elements before its own.
    pub fn prepend(&mut self, other: Listpack<'_>) {
        self.splice(HEADER_LEN, other);
    }

    /// Splits it: keeps what is before an element, gives that and what is behind.
    pub fn split_off(&mut self, at: Pos) -> ListpackBuf {
        let pack = self.as_ref();
        let before = || pack.count_between(HEADER_LEN, at.0);
        let behind = || pack.count_between(at.0, pack.end());
        let (kept, given) = match pack.count_in_header() {
            None => (before(), behind()),
            Some(count) if at.0 < pack.bytes.len() / 2 => {
                let kept = before();
                (kept, count - kept)
            }
            Some(count) => {
                let given = behind();
                (count - given, given)
            }
        };
        let mut tail = Vec::with_capacity(HEADER_LEN + self.0.len() - at.0);
        tail.extend_from_slice(&[0; HEADER_LEN]);
        tail.extend_from_slice(&self.0[at.0..]);
        let mut tail = ListpackBuf(tail);
        tail.state(given);
        self.0.truncate(at.0);
        self.0.push(END);
        self.state(kept);
        tail
    }

    fn end(&self) -> usize {
        self.0.len() - 1
    }

    fn insert(&mut self, at: usize, element: &Element<'_>) -> Pos {
        self.put(at, at, element);
        if let Some(count) = self.as_ref().count_in_header() {
            self.state_count(count + 1);
        }
        Pos(at)
    }

    fn cut(&mut self, at: usize, end: usize, removed: usize) {
        self.resize_range(at, end, 0);
        if let Some(count) = self.as_ref().count_in_header() {
            self.state_count(count - removed);
        }
    }

    fn splice(&mut self, at: usize, other: Listpack<'_>) {
        let count = self.as_ref().len() + other.len();
        let elements = &other.bytes[HEADER_LEN..other.end()];
        self.resize_range(at, at, elements.len());
        self.0[at..at + elements.len()].copy_from_slice(elements);
        self.state_count(count);
    }

    /// Writes an element in the stead of the bytes from `at` to `end`.
    fn put(&mut self, at: usize, end: usize, element: &Element<'_>) {
        let len = element.len();
        self.resize_range(at, end, len);
        element.write(&mut self.0[at..at + len]);
    }

    /// Moves what is behind `end`, so that `len` bytes are between `at` and it.
    fn resize_range(&mut self, at: usize, end: usize, len: usize) {
        let (old_len, old_total) = (end - at, self.0.len());
        assert!(
            at >= HEADER_LEN && end < old_total,
            "a change from {at} to {end} in a listpack of {old_total} bytes"
        );
        if len == old_len {
            return;
        }
        if len > old_len {
            self.0.resize(old_total + (len - old_len), 0);
            self.0.copy_within(end..old_total, at + len);
        } else {
            self.0.copy_within(end..old_total, at + len);
            self.0.truncate(old_total - (old_len - len));
        }
        self.state_total();
    }

    /// Writes the header.
    fn state(&mut self, count: usize) {
        self.state_total();
        self.state_count(count);
    }

    fn state_total(&mut self) {
        let total = u32::try_from(self.0.len()).expect("a listpack that its header can measure");
        self.0[..COUNT_AT].copy_from_slice(&total.to_le_bytes());
    }

    fn state_count(&mut self, count: usize) {
        let count = count.min(COUNT_UNKNOWN) as u16;
        self.0[COUNT_AT..HEADER_LEN].copy_from_slice(&count.to_le_bytes());
    }
}

/// The end of a listpack that several elements are being added to.
#[derive(Debug)]
pub struct Tail<'a> {
    bytes: &'a mut Vec<u8>,
    count: usize,
}

impl Tail<'_> {
    /// Adds a text.
    #[inline]
    pub fn text(&mut self, text: &[u8]) {
        self.element(&Element::of(text));
    }

    /// Adds an integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.element(&Element::of_int(value));
    }

    #[inline]
    fn element(&mut self, element: &Element<'_>) {
        element.append_to(self.bytes);
        self.count += 1;
    }
}

/// What is wrong with bytes that are no listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Fewer bytes than a header and an end.
    Short,
    /// The header says another number of bytes.
    Total,
    /// The last byte is not the end byte.
    End,
    /// An element of an unknown kind, one that is longer than what is left, or a wrong backlen.
    Element {
        /// Where it begins.
        at: usize,
    },
    /// The header says another number of elements.
    Count,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Short => write!(f, "a listpack of fewer than {EMPTY_LEN} bytes"),
            Fault::Total => write!(f, "a listpack with a wrong size in its header"),
            Fault::End => write!(f, "a listpack without its end byte"),
            Fault::Element { at } => write!(f, "a listpack with a wrong element at byte {at}"),
            Fault::Count => write!(f, "a listpack with a wrong count in its header"),
        }
    }
}

impl std::error::Error for Fault {}

/// Checks all but the elements and their count.
fn check_frame(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() < EMPTY_LEN {
        return Err(Fault::Short);
    }
    let total = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    if usize::try_from(total) != Ok(bytes.len()) {
        return Err(Fault::Total);
    }
    if bytes[bytes.len() - 1] != END {
        return Err(Fault::End);
    }
    Ok(())
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
