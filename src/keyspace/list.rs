//! A list, whichever form it is in: a listpack while it is small, a quicklist from then on.
//!
//! A list leaves the listpack when that would grow beyond one node of a quicklist (`list-max-listpack-size`),
//! and comes back to it when it has shrunk to a single node of half that size, so that a list that
//! lingers at the limit does not go back and forth.

use super::value::{Big, Collection, Packing, Stored, Type};
use crate::data::listpack::{Item, Listpack, ListpackBuf, Needle};
use crate::data::quicklist::{Options, QuickList};
use std::ops::Range;

/// An end of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Where index 0 is.
    Left,
    /// Where index -1 is.
    Right,
}

/// A list to read.
#[derive(Clone, Copy)]
pub enum ListRef<'a> {
    /// A small one.
    Pack(Listpack<'a>),
    /// A big one.
    Quick(&'a QuickList),
}

/// A list to change.
pub enum List {
    /// A small one.
    Pack(ListpackBuf),
    /// A big one.
    Quick(Box<QuickList>),
}

impl Collection for List {
    const KIND: Type = Type::List;

    fn new_in(buffer: Vec<u8>) -> List {
        List::Pack(ListpackBuf::new_in(buffer))
    }

    fn from_stored(stored: Stored) -> List {
        match stored {
            Stored::Packed(Packing::List, bytes) => {
                List::Pack(ListpackBuf::from_vec_trusted(bytes))
            }
            Stored::Big(Big::List(list)) => List::Quick(list),
            _ => panic!("the entry of a list holds something else"),
        }
    }

    fn into_stored(self) -> Stored {
        match self {
            List::Pack(pack) => Stored::Packed(Packing::List, pack.into_vec()),
            List::Quick(list) => Stored::Big(Big::List(list)),
        }
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }
}

impl List {
    /// The list, to read.
    pub fn as_ref(&self) -> ListRef<'_> {
        match self {
            List::Pack(pack) => ListRef::Pack(pack.as_ref()),
            List::Quick(list) => ListRef::Quick(list),
        }
    }

    /// Makes a listpack a quicklist if so many further elements of so many bytes together would
    /// exceed its limit.
    #[inline]
    pub fn make_room(&mut self, options: Options, bytes: usize, elements: usize) {
        if let List::Pack(pack) = self {
            let listpack = pack.as_ref();
            let (bytes, count) = (listpack.bytes().len() + bytes, listpack.len() + elements);
            if !options.fill.fits(bytes, count) {
                // A copy of just its size: the buffer that it lies in goes on to be used.
                let node = ListpackBuf::from_vec_trusted(listpack.bytes().to_vec());
                let list = QuickList::from_listpack(node, options);
                *self = List::Quick(Box::new(list));
            }
        }
    }

    /// Makes a quicklist a listpack if it has shrunk far enough.
    #[inline]
    pub fn shrink(&mut self, options: Options) {
        self.pack_if_it_fits(options, true);
    }

    /// An empty list for any number of elements; [`List::settle`] it once it has them all.
    pub fn for_many(options: Options) -> List {
        List::Quick(Box::new(QuickList::new(options)))
    }

    /// Makes a quicklist a listpack if it could be one.
    pub fn settle(&mut self, options: Options) {
        self.pack_if_it_fits(options, false);
    }

    #[inline]
    fn pack_if_it_fits(&mut self, options: Options, shrinking: bool) {
        if let List::Quick(list) = self
            && list.fits_listpack(options.fill, shrinking)
        {
            let list = std::mem::replace(&mut **list, QuickList::new(options));
            *self = List::Pack(list.into_listpack());
        }
    }

    /// Adds an element at an end. There is room for it: see [`List::make_room`].
    #[inline]
    pub fn push(&mut self, end: End, element: &[u8]) {
        match (self, end) {
            (List::Pack(pack), End::Left) => pack.push_front(element),
            (List::Pack(pack), End::Right) => pack.push_back(element),
            (List::Quick(list), End::Left) => list.push_front(element),
            (List::Quick(list), End::Right) => list.push_back(element),
        }
    }

    /// Takes `count` elements, of which there are that many, from an end, and shows each.
    pub fn pop(&mut self, end: End, count: usize, mut visit: impl FnMut(Item<'_>)) {
        match self {
            List::Quick(list) if count == 1 => {
                match end {
                    End::Left => list.pop_front(&mut visit).expect(ENOUGH),
                    End::Right => list.pop_back(&mut visit).expect(ENOUGH),
                };
            }
            List::Quick(list) => list.pop_many(end == End::Right, count, visit),
            List::Pack(pack) => {
                let listpack = pack.as_ref();
                let len = listpack.len();
                match end {
                    End::Left => {
                        listpack.iter().take(count).for_each(visit);
                        pack.remove_index_range(0, count);
                    }
                    End::Right => {
                        listpack.iter().rev().take(count).for_each(visit);
                        pack.remove_index_range(len - count, count);
                    }
                }
            }
        }
    }

    /// Replaces the element at an index; says whether there is one.
    pub fn set(&mut self, index: i64, element: &[u8]) -> bool {
        match self {
            List::Quick(list) => list.set(index, element),
            List::Pack(pack) => {
                let place = isize::try_from(index).ok();
                match place.and_then(|index| pack.as_ref().seek(index)) {
                    Some(at) => {
                        pack.replace(at, element);
                        true
                    }
                    None => false,
                }
            }
        }
    }

    /// Inserts an element before or after the first that is equal to `pivot`; says whether there is
    /// one.
    pub fn insert(&mut self, pivot: &[u8], before: bool, element: &[u8]) -> bool {
        match self {
            List::Quick(list) if before => list.insert_before(pivot, element),
            List::Quick(list) => list.insert_after(pivot, element),
            List::Pack(pack) => {
                let listpack = pack.as_ref();
                let needle = Needle::new(pivot);
                let first = listpack.first();
                match first.and_then(|first| listpack.find(first, &needle, 1)) {
                    Some(at) if before => pack.insert_before(at, element),
                    Some(at) => pack.insert_after(at, element),
                    None => return false,
                };
                true
            }
        }
    }

    /// Removes elements that are equal to one: up to `count` from the left, or from the right if it
    /// is negative, or all if it is 0. Returns how many.
    pub fn remove(&mut self, count: i64, element: &[u8]) -> usize {
        match self {
            List::Quick(list) => list.remove(count, element),
            List::Pack(pack) => remove_from_pack(pack, count, element),
        }
    }

    /// Keeps only the elements of a range of indexes, which is not empty.
    pub fn trim(&mut self, kept: Range<usize>) {
        match self {
            List::Quick(list) => list.trim(kept.start, kept.len()),
            List::Pack(pack) => {
                let len = pack.as_ref().len();
                pack.remove_index_range(kept.end, len - kept.end);
                pack.remove_index_range(0, kept.start);
            }
        }
    }
}

/// What the caller of [`List::pop`] made sure of.
const ENOUGH: &str = "there are as many elements as are taken";

fn remove_from_pack(pack: &mut ListpackBuf, count: i64, element: &[u8]) -> usize {
    let needle = Needle::new(element);
    let max = match count {
        0 => usize::MAX,
        _ => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
    };
    let mut removed = 0;
    let mut at = if count < 0 {
        pack.as_ref().last()
    } else {
        pack.as_ref().first()
    };
    while let Some(place) = at {
        if removed == max {
            break;
        }
        let listpack = pack.as_ref();
        let before = if count < 0 {
            listpack.prev(place)
        } else {
            None
        };
        if needle.is(listpack.get(place)) {
            let next = pack.remove(place);
            removed += 1;
            at = if count < 0 { before } else { next };
        } else {
            at = if count < 0 {
                before
            } else {
                listpack.next(place)
            };
        }
    }
    removed
}

impl<'a> ListRef<'a> {
    /// The number of elements.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            ListRef::Pack(pack) => pack.len(),
            ListRef::Quick(list) => list.len(),
        }
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        match self {
            ListRef::Pack(pack) => pack.is_empty(),
            ListRef::Quick(list) => list.is_empty(),
        }
    }

    /// Shows the element at an index, if there is one; negative indexes count from the right.
    pub fn get<R>(self, index: i64, show: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        match self {
            ListRef::Quick(list) => list.get(index, show),
            ListRef::Pack(pack) => {
                let at = pack.seek(isize::try_from(index).ok()?)?;
                Some(show(pack.get(at)))
            }
        }
    }

    /// Shows the elements of a range of indexes, which are all there.
    #[inline]
    pub fn visit(self, range: Range<usize>, mut show: impl FnMut(Item<'_>)) {
        match self {
            ListRef::Quick(list) => list.visit(range.start, range.len(), show),
            ListRef::Pack(pack) => {
                let start = isize::try_from(range.start).expect("an index of a listpack");
                if let Some(at) = pack.seek(start) {
                    pack.iter_from(at).take(range.len()).for_each(&mut show);
                }
            }
        }
    }

    /// Shows every element.
    pub fn for_each(self, show: impl FnMut(Item<'_>)) {
        self.visit(0..self.len(), show);
    }

    /// Tells the indexes of the elements that are equal to one, until told to stop by a false; see
    /// [`QuickList::positions`].
    pub fn positions(
        self,
        element: &[u8],
        rank: i64,
        looked_at_max: usize,
        mut found: impl FnMut(usize) -> bool,
    ) {
        let pack = match self {
            ListRef::Quick(list) => return list.positions(element, rank, looked_at_max, found),
            ListRef::Pack(pack) => pack,
        };
        let needle = Needle::new(element);
        let mut skipped = rank.unsigned_abs() - 1;
        let mut tell = |index| {
            if skipped > 0 {
                skipped -= 1;
                return true;
            }
            found(index)
        };
        let is_match = |&(_, item): &(usize, Item<'_>)| needle.is(item);
        let len = pack.len();
        if rank > 0 {
            let items = pack.iter().enumerate().take(looked_at_max);
            items.filter(is_match).all(|(index, _)| tell(index));
        } else {
            let items = pack.iter().rev().enumerate().take(looked_at_max);
            items.filter(is_match).all(|(back, _)| tell(len - 1 - back));
        }
    }
}

#[cfg(test)]
mod tests;
