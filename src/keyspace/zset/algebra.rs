//! Unions, intersections and differences of sorted sets, and of sets, whose members count as having
//! the score 1.
//!
//! Results are lists of borrowed members with their scores; [`sort`] puts them in order. Members
//! that packed collections keep as integers are spelled once into [`Texts`], so that every member is a
//! slice of bytes that stays where it is.
//!
//! Scores of several inputs are combined in ascending order of the inputs' sizes, since sums of
//! doubles depend on their order and the results are to be Redis's, to the bit.
//!
//! Costs: a union looks each member up once in a hash table, but those of the largest input, which are
//! not put there; an intersection looks the members of the smallest input up in the others; a
//! difference those of the first.

use super::{ZsetRef, pack};
use crate::base::hash::{self, Hasher};
use crate::data::listpack::Item;
use crate::keyspace::set::SetRef;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hash};
use std::ops::ControlFlow;

/// A member and its score.
pub type Pair<'a> = (&'a [u8], f64);

/// How the scores of a member in several inputs become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aggregate {
    /// They are added.
    Sum,
    /// The least one counts.
    Min,
    /// The greatest one counts.
    Max,
}

impl Aggregate {
    /// Infinities that cancel out make 0.
    fn apply(self, one: f64, other: f64) -> f64 {
        match self {
            Aggregate::Sum => number(one + other),
            Aggregate::Min if other < one => other,
            Aggregate::Max if other > one => other,
            Aggregate::Min | Aggregate::Max => one,
        }
    }
}

/// 0 for what is no number, such as an infinity times 0.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What an input holds.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// A sorted set.
    Zset(ZsetRef<'a>),
    /// A set.
    Set(SetRef<'a>),
    /// The key does not exist.
    Nothing,
}

impl<'a> Source<'a> {
    /// The number of members.
    pub fn len(self) -> usize {
        match self {
            Source::Zset(zset) => zset.len(),
            Source::Set(set) => set.len(),
            Source::Nothing => 0,
        }
    }

    /// Whether there is no member.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// A member's score; `hash` is what [`Source::hash`] says.
    #[inline]
    fn score(self, member: &[u8], hash: u64) -> Option<f64> {
        match self {
            Source::Zset(ZsetRef::Tree(sorted)) => sorted.score_hashed(member, hash),
            Source::Zset(zset) => zset.score(member),
            Source::Set(SetRef::Table(members)) => {
                members.contains_hashed(member, hash).then_some(1.0)
            }
            Source::Set(set) => set.contains(member).then_some(1.0),
            Source::Nothing => None,
        }
    }

    /// A member's hash, if looking it up takes one, else 0; its bucket is on its way then.
    #[inline]
    fn hash(self, member: &[u8]) -> u64 {
        match self {
            Source::Zset(ZsetRef::Tree(sorted)) => {
                let hash = sorted.hash(member);
                sorted.prefetch_bucket(hash);
                hash
            }
            Source::Set(SetRef::Table(members)) => {
                let hash = members.hash(member);
                members.prefetch_bucket(hash);
                hash
            }
            Source::Zset(_) | Source::Set(_) | Source::Nothing => 0,
        }
    }

    /// Asks the processor for the element that a hash most likely leads to.
    #[inline]
    fn prefetch(self, hash: u64) {
        match self {
            Source::Zset(ZsetRef::Tree(sorted)) => sorted.prefetch_entry(hash),
            Source::Set(SetRef::Table(members)) => members.prefetch_entry(hash),
            Source::Zset(_) | Source::Set(_) | Source::Nothing => {}
        }
    }

    /// Whether finding a member means looking through them.
    fn is_listpack(self) -> bool {
        matches!(
            self,
            Source::Zset(ZsetRef::Pack(_)) | Source::Set(SetRef::Pack(_))
        )
    }

    /// Shows the members that are kept as integers, in order.
    fn integers(self, mut visit: impl FnMut(i64)) {
        let mut show = |item: Item<'_>| {
            if let Item::Int(n) = item {
                visit(n);
            }
        };
        match self {
            Source::Zset(ZsetRef::Pack(pack)) => pack.iter().step_by(2).for_each(show),
            Source::Set(SetRef::Table(_)) | Source::Zset(ZsetRef::Tree(_)) | Source::Nothing => {}
            Source::Set(set) => set.for_each(&mut show),
        }
    }

    /// Shows all members until `visit` says to break; `texts` are those of its integers.
    fn visit<'t>(
        self,
        texts: &'t [Text],
        mut visit: impl FnMut(&'t [u8], f64) -> ControlFlow<()>,
    ) -> ControlFlow<()>
    where
        'a: 't,
    {
        let mut texts = texts.iter().map(Text::bytes);
        let mut text = |item: Item<'t>| match item {
            Item::Bytes(bytes) => bytes,
            Item::Int(_) => texts.next().expect("every integer was spelled"),
        };
        match self {
            Source::Zset(ZsetRef::Pack(pack)) => {
                pack::pairs(pack).try_for_each(|(item, score)| visit(text(item), score))
            }
            Source::Zset(ZsetRef::Tree(sorted)) => sorted
                .iter_from(0)
                .try_for_each(|(member, score)| visit(member, score)),
            Source::Set(set) => set.try_for_each(|item| visit(text(item), 1.0)),
            Source::Nothing => ControlFlow::Continue(()),
        }
    }

    /// Shows all members.
    fn for_each<'t>(self, texts: &'t [Text], mut visit: impl FnMut(&'t [u8], f64))
    where
        'a: 't,
    {
        let _ = self.visit(texts, |member, score| {
            visit(member, score);
            ControlFlow::Continue(())
        });
    }
}

/// An input.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Its members.
    pub source: Source<'a>,
    /// What its scores are multiplied with.
    pub weight: f64,
}

/// The text of an integer.
struct Text {
    len: u8,
    bytes: [u8; 20],
}

impl Text {
    fn of(n: i64) -> Text {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(n).as_bytes();
        let mut bytes = [0; 20];
        bytes[..digits.len()].copy_from_slice(digits);
        Text {
            len: digits.len() as u8,
            bytes,
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The texts of the members of several inputs that are kept as integers.
pub struct Texts(Vec<Box<[Text]>>);

impl Texts {
    /// Those of these inputs.
    pub fn of(inputs: &[Input<'_>]) -> Texts {
        let of_one = |input: &Input<'_>| {
            let mut texts = Vec::new();
            input.source.integers(|n| texts.push(Text::of(n)));
            texts.into_boxed_slice()
        };
        Texts(inputs.iter().map(of_one).collect())
    }
}

/// The inputs' numbers in ascending order of size; equal ones stay as they are.
fn by_size(inputs: &[Input<'_>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|&i| inputs[i].source.len());
    order
}

/// All members of the inputs.
pub fn union<'t>(inputs: &[Input<'t>], texts: &'t Texts, aggregate: Aggregate) -> Vec<Pair<'t>> {
    let order = by_size(inputs);
    let Some((&largest, _)) = order.split_last() else {
        return Vec::new();
    };
    let mut pairs: Vec<Pair<'t>> = Vec::with_capacity(inputs[largest].source.len());
    let mut known = Known::default();
    for i in order {
        let Input { source, weight } = inputs[i];
        source.for_each(&texts.0[i], |member, score| {
            let score = number(score * weight);
            let found = if i == largest {
                known.find(member)
            } else {
                known.find_or_add(member, pairs.len())
            };
            match found {
                Some(at) => pairs[at].1 = aggregate.apply(pairs[at].1, score),
                None => pairs.push((member, score)),
            }
        });
    }
    pairs
}

/// The members that all inputs have, at most `limit` of them.
pub fn intersection<'t>(
    inputs: &[Input<'t>],
    texts: &'t Texts,
    aggregate: Aggregate,
    limit: usize,
) -> Vec<Pair<'t>> {
    let order = by_size(inputs);
    let Some((&smallest, others)) = order.split_first() else {
        return Vec::new();
    };
    let others: Vec<Input<'t>> = others.iter().map(|&i| inputs[i]).collect();
    let mut pairs = Vec::new();
    let mut batch = Batch::new(&others, |pair, weight, score| {
        let Some(score) = score else {
            return false;
        };
        pair.1 = aggregate.apply(pair.1, score * weight);
        true
    });
    let Input { source, weight } = inputs[smallest];
    let _ = source.visit(&texts.0[smallest], |member, score| {
        batch.add((member, number(score * weight)), &mut pairs);
        if pairs.len() >= limit {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    batch.judge(&mut pairs);
    pairs.truncate(limit);
    pairs
}

/// The members of the first input that no other one has.
pub fn difference<'t>(inputs: &[Input<'t>], texts: &'t Texts) -> Vec<Pair<'t>> {
    let Some((first, others)) = inputs.split_first() else {
        return Vec::new();
    };
    // Looking through a listpack for each of many members would be slow.
    const FEW: usize = 8;
    let is_long = first.source.len() > FEW;
    let mut excluded = Known::default();
    let mut looked_up = Vec::new();
    for (i, other) in others.iter().enumerate() {
        if is_long && other.source.is_listpack() {
            other.source.for_each(&texts.0[i + 1], |member, _| {
                excluded.find_or_add(member, 0);
            });
        } else {
            looked_up.push(*other);
        }
    }
    let mut pairs = Vec::new();
    let mut batch = Batch::new(&looked_up, |_, _, score| score.is_none());
    first.source.for_each(&texts.0[0], |member, score| {
        if excluded.find(member).is_none() {
            batch.add((member, score), &mut pairs);
        }
    });
    batch.judge(&mut pairs);
    pairs
}

/// How many members are looked up at once.
const BATCH: usize = 16;

/// Members that wait to be looked up in other inputs: some at once, so that the waits for memory
/// overlap.
struct Batch<'i, 't, F> {
    others: &'i [Input<'t>],
    /// Whether a member stays, by an input's weight and the score that the member has there.
    keep: F,
    pairs: Vec<Pair<'t>>,
}

impl<'i, 't, F: FnMut(&mut Pair<'t>, f64, Option<f64>) -> bool> Batch<'i, 't, F> {
    fn new(others: &'i [Input<'t>], keep: F) -> Self {
        Batch {
            others,
            keep,
            pairs: Vec::with_capacity(BATCH),
        }
    }

    /// Adds a member; when they are enough, those that stay go to `kept`.
    #[inline]
    fn add(&mut self, pair: Pair<'t>, kept: &mut Vec<Pair<'t>>) {
        self.pairs.push(pair);
        if self.pairs.len() == BATCH {
            self.judge(kept);
        }
    }

    /// Looks the members up, and moves those that stay to `kept`.
    fn judge(&mut self, kept: &mut Vec<Pair<'t>>) {
        for &Input { source, weight } in self.others {
            let mut hashes = [0; BATCH];
            for (hash, (member, _)) in hashes.iter_mut().zip(&self.pairs) {
                *hash = source.hash(member);
            }
            for &hash in &hashes[..self.pairs.len()] {
                source.prefetch(hash);
            }
            let mut hashes = hashes.into_iter();
            self.pairs.retain_mut(|pair| {
                let hash = hashes.next().expect("a hash for each member");
                (self.keep)(pair, weight, source.score(pair.0, hash))
            });
        }
        kept.append(&mut self.pairs);
    }
}

/// Puts members in the order of a sorted set.
pub fn sort(pairs: &mut [Pair<'_>]) {
    pairs.sort_by(|(one, score), (other, other_score)| {
        let by_score = score.partial_cmp(other_score);
        by_score
            .expect("a score is a number")
            .then_with(|| one.cmp(other))
    });
}

/// A member that is known, with its hash.
struct Keyed<'t> {
    hash: u64,
    member: &'t [u8],
}

impl PartialEq for Keyed<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.member == other.member
    }
}

impl Eq for Keyed<'_> {}

impl Hash for Keyed<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Takes a hash for what it is.
#[derive(Default)]
struct Hashed(u64);

impl std::hash::Hasher for Hashed {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only hashes are hashed here");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Members that were met, and a number for each.
struct Known<'t> {
    hasher: Hasher,
    numbers: HashMap<Keyed<'t>, usize, BuildHasherDefault<Hashed>>,
}

impl Default for Known<'_> {
    fn default() -> Self {
        Known {
            hasher: hash::process(),
            numbers: HashMap::default(),
        }
    }
}

impl<'t> Known<'t> {
    fn find(&self, member: &'t [u8]) -> Option<usize> {
        if self.numbers.is_empty() {
            return None;
        }
        let hash = self.hasher.hash(member);
        self.numbers.get(&Keyed { hash, member }).copied()
    }

    /// Finds a member's number, or gives it this one.
    fn find_or_add(&mut self, member: &'t [u8], number: usize) -> Option<usize> {
        let hash = self.hasher.hash(member);
        match self.numbers.entry(Keyed { hash, member }) {
            Entry::Occupied(found) => Some(*found.get()),
            Entry::Vacant(place) => {
                place.insert(number);
                None
            }
        }
    }
}
