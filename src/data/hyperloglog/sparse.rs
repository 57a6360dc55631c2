//! Sparse registers: runs of the same value.
//!
//! ```text
//! 00llllll            ZERO   l + 1 zeros, 64 at most
//! 01llllll llllllll   XZERO  l + 1 zeros, 16384 at most
//! 1vvvvvll            VAL    l + 1 registers (4 at most) of the value v + 1 (32 at most)
//! ```
//!
//! A set splits the run that a register lies in, then joins neighbouring runs of equal values around it.
//! The joining looks at five runs, from the one before the split on, and never revisits others: what it
//! leaves apart stays apart, which is why the bytes tell the order of the sets.

use super::element::Element;
use super::registers::Registers;
use super::{Corrupted, HEADER_BYTES, REGISTERS};

const ZERO_LEN_MAX: usize = 64;
const VAL_LEN_MAX: usize = 4;
const VALUE_MAX: u8 = 32;
const XZERO: u8 = 0x40;
const VAL: u8 = 0x80;
/// How many runs are looked at for joining.
const JOINED_MAX: usize = 5;
/// Later sets, of higher registers, change no run that begins so far before a register that was set:
/// they may change the run before the one they split, and neither is longer than 4 unless it is zeros.
const SETTLED: usize = 2 * VAL_LEN_MAX;

/// Neighbouring registers of the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// How many there are.
    pub len: usize,
    /// Their value.
    pub value: u8,
    /// Whether they are zeros in the form that takes two bytes.
    pub is_wide: bool,
}

/// What became of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The register was at least as high.
    Unchanged,
    /// It is set.
    Changed,
    /// It must be set in a dense string: it is too high for this one, or there is no room.
    Full,
}

/// Where a run begins: at which byte of the string, and with which register.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    at: usize,
    register: usize,
}

/// The first run.
pub(super) const START: Cursor = Cursor {
    at: HEADER_BYTES,
    register: 0,
};

/// The runs of a body. They cover the registers exactly, or the last is an error.
pub(super) fn runs(body: &[u8]) -> Runs<'_> {
    Runs {
        rest: body,
        missing: REGISTERS,
    }
}

/// See [`runs`].
pub(super) struct Runs<'a> {
    rest: &'a [u8],
    /// The registers that are not covered yet.
    missing: usize,
}

impl Iterator for Runs<'_> {
    type Item = Result<Run, Corrupted>;

    fn next(&mut self) -> Option<Result<Run, Corrupted>> {
        if self.rest.is_empty() && self.missing == 0 {
            return None;
        }
        match first(self.rest) {
            Some(run) if run.len <= self.missing => {
                self.rest = &self.rest[run.bytes()..];
                self.missing -= run.len;
                Some(Ok(run))
            }
            _ => {
                (self.rest, self.missing) = (&[], 0);
                Some(Err(Corrupted))
            }
        }
    }
}

/// The runs of a body, whatever they cover.
pub(super) fn unchecked_runs(mut body: &[u8]) -> impl Iterator<Item = Run> {
    std::iter::from_fn(move || {
        let run = first(body)?;
        body = &body[run.bytes()..];
        Some(run)
    })
}

/// How many registers have each value.
pub(super) fn histogram(body: &[u8]) -> Result<[u32; 64], Corrupted> {
    let mut histogram = [0; 64];
    for run in runs(body) {
        let run = run?;
        histogram[usize::from(run.value)] += run.len as u32;
    }
    Ok(histogram)
}

/// Whether setting an element's register would change anything.
pub(super) fn would_change(body: &[u8], element: Element) -> Result<bool, Corrupted> {
    if element.rank > VALUE_MAX {
        return Ok(true);
    }
    let start = Cursor { at: 0, register: 0 };
    let found = locate(body, start, element.register)?;
    Ok(found.run.value < element.rank)
}

/// Sets an element's register in a string.
///
/// The run is looked for from the cursor on. That moves forward, to a place from which every higher
/// register can be set.
pub(super) fn set(
    string: &mut Vec<u8>,
    cursor: &mut Cursor,
    element: Element,
    bytes_max: usize,
) -> Result<Outcome, Corrupted> {
    if element.rank > VALUE_MAX {
        return Ok(Outcome::Full);
    }
    let found = locate(string, *cursor, element.register)?;
    *cursor = found.settled;
    if found.run.value >= element.rank {
        return Ok(Outcome::Unchanged);
    }
    let new = Split::of(found.run, found.begin.register, element);
    let old_bytes = found.run.bytes();
    if new.len > old_bytes && string.len() - old_bytes + new.len > bytes_max {
        return Ok(Outcome::Full);
    }
    let at = found.begin.at;
    string.splice(at..at + old_bytes, new.as_slice().iter().copied());
    join(string, found.before_at);
    Ok(Outcome::Changed)
}

/// Raises the registers of a string, which was read before, to those of a union, in their order.
/// Whether they all fit; if not, it is anyhow how far that got.
pub(super) fn raise(string: &mut Vec<u8>, union: &Registers, bytes_max: usize) -> bool {
    let mut cursor = START;
    let values = union.values().iter().enumerate();
    for (register, &rank) in values.filter(|&(_, &value)| value > 0) {
        let element = Element { register, rank };
        let outcome = set(string, &mut cursor, element, bytes_max);
        if outcome.expect("the runs were read before") == Outcome::Full {
            return false;
        }
    }
    true
}

impl Run {
    /// The bytes that say it.
    fn bytes(self) -> usize {
        1 + usize::from(self.is_wide)
    }
}

/// The first run, if it is there as a whole.
#[inline]
fn first(bytes: &[u8]) -> Option<Run> {
    Some(match *bytes {
        [byte @ ..XZERO, ..] => Run {
            len: usize::from(byte) + 1,
            value: 0,
            is_wide: false,
        },
        [byte @ VAL..=u8::MAX, ..] => Run {
            len: usize::from(byte & 3) + 1,
            value: (byte >> 2 & 31) + 1,
            is_wide: false,
        },
        [high, low, ..] => Run {
            len: usize::from(u16::from_be_bytes([high & !XZERO, low])) + 1,
            value: 0,
            is_wide: true,
        },
        _ => return None,
    })
}

/// Where a register was found.
struct Located {
    run: Run,
    begin: Cursor,
    /// Where the run before begins, or where this one does if there is none.
    before_at: usize,
    /// The last place from which higher registers can be looked for.
    settled: Cursor,
}

fn locate(bytes: &[u8], from: Cursor, register: usize) -> Result<Located, Corrupted> {
    let (mut begin, mut before_at, mut settled) = (from, from.at, from);
    loop {
        let run = bytes.get(begin.at..).and_then(first).ok_or(Corrupted)?;
        if begin.register + SETTLED <= register {
            settled = begin;
        }
        let next = begin.register + run.len;
        if register < next {
            return Ok(Located {
                run,
                begin,
                before_at,
                settled,
            });
        }
        before_at = begin.at;
        begin = Cursor {
            at: begin.at + run.bytes(),
            register: next,
        };
    }
}

/// What replaces a run in which one register is set: five bytes at most.
#[derive(Default)]
struct Split {
    bytes: [u8; 5],
    len: usize,
}

impl Split {
    fn of(run: Run, first_register: usize, element: Element) -> Split {
        let before = element.register - first_register;
        let mut split = Split::default();
        split.push(run.value, before);
        split.push(element.rank, 1);
        split.push(run.value, run.len - before - 1);
        split
    }

    /// Appends a run in its shortest form, unless it is empty.
    fn push(&mut self, value: u8, len: usize) {
        match (value, len) {
            (_, 0) => {}
            (0, 1..=ZERO_LEN_MAX) => self.push_byte(len as u8 - 1),
            (0, _) => {
                let [high, low] = (len as u16 - 1).to_be_bytes();
                self.push_byte(high | XZERO);
                self.push_byte(low);
            }
            _ => self.push_byte(VAL | (value - 1) << 2 | (len as u8 - 1)),
        }
    }

    fn push_byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Joins neighbouring runs of the same value, from the one at `at` on.
fn join(string: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOINED_MAX {
        match string.get(at..) {
            Some(&[left @ VAL..=u8::MAX, right @ VAL..=u8::MAX, ..])
                if left >> 2 == right >> 2
                    && usize::from((left & 3) + (right & 3) + 2) <= VAL_LEN_MAX =>
            {
                string[at] = left + (right & 3) + 1;
                string.remove(at + 1);
            }
            Some(&[XZERO..VAL, ..]) => at += 2,
            _ => at += 1,
        }
    }
}
