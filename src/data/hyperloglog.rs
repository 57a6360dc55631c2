//! HyperLogLog: how many different elements were seen, from 16384 small registers.
//!
//! An element's hash chooses a register and has a rank, the place of its first one bit; a register
//! keeps the highest rank it saw. The string of a key holds all of it, in Redis's format to the byte:
//!
//! ```text
//! "HYLL" | encoding: 1 | unused: 3 | count: 8, little-endian, top bit: out of date | registers
//! ```
//!
//! - **Dense** registers take 6 bits each, 12288 bytes in all ([`dense`]): an element costs O(1).
//! - **Sparse** registers are runs of the same value ([`sparse`]): 2 bytes when all are zero, some 2
//!   bytes an element after that. An element costs a walk. Past a limit the string becomes dense, for good.
//!
//! Which runs a sparse string has depends on the order in which it was filled; it is that of Redis,
//! so that a replica or a file of either server has the same bytes as the other.
//!
//! This file owns the string: what is one, its header, and which encoding it has. Clients can write
//! any bytes there, so a sparse body is believed only as far as it was read: whoever reads all of it
//! gets an error unless its runs cover the registers exactly, and stops as soon as they cover more.

mod dense;
mod element;
mod estimate;
mod registers;
mod self_test;
mod sparse;
#[cfg(test)]
mod tests;

pub use element::Element;
pub use registers::Registers;
pub use self_test::self_test;
pub use sparse::Run;

/// The number of registers.
pub const REGISTERS: usize = 1 << element::REGISTER_BITS;
/// The length of a dense string.
pub const DENSE_BYTES: usize = HEADER_BYTES + dense::BYTES;
/// The string that has seen nothing: sparse, one run of zeros, and its count not known to be 0.
pub const EMPTY: [u8; HEADER_BYTES + 2] = *b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff";

const MAGIC: &[u8] = b"HYLL";
const HEADER_BYTES: usize = 16;
const ENCODING_AT: usize = 4;
const COUNT_AT: usize = 8;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// Set in a count that is out of date.
const OUT_OF_DATE: u64 = 1 << 63;

/// A sparse string's runs do not cover the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupted;

/// A string that is a HyperLogLog by its header and, if it is dense, its length.
#[derive(Clone, Copy)]
pub struct HyperLogLog<'a> {
    header: &'a [u8; HEADER_BYTES],
    body: Body<'a>,
}

#[derive(Clone, Copy)]
enum Body<'a> {
    Dense(&'a dense::Packed),
    Sparse(&'a [u8]),
}

impl<'a> HyperLogLog<'a> {
    /// The HyperLogLog that a string is, if it is one.
    pub fn parse(string: &'a [u8]) -> Option<HyperLogLog<'a>> {
        let (header, body) = string.split_first_chunk()?;
        if !header.starts_with(MAGIC) {
            return None;
        }
        let body = match header[ENCODING_AT] {
            DENSE => Body::Dense(body.try_into().ok()?),
            SPARSE => Body::Sparse(body),
            _ => return None,
        };
        Some(HyperLogLog { header, body })
    }

    /// Whether it is dense.
    pub fn is_dense(self) -> bool {
        matches!(self.body, Body::Dense(_))
    }

    /// The count that was kept, unless it is out of date.
    pub fn cached_count(self) -> Option<u64> {
        let [.., c0, c1, c2, c3, c4, c5, c6, c7] = *self.header;
        let count = u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7]);
        (count & OUT_OF_DATE == 0).then_some(count)
    }

    /// Estimates the number of different elements it has seen.
    pub fn count(self) -> Result<u64, Corrupted> {
        let histogram = match self.body {
            Body::Dense(packed) => estimate::histogram(dense::words(packed)),
            Body::Sparse(body) => sparse::histogram(body)?,
        };
        Ok(estimate::count(&histogram))
    }

    /// Whether adding an element would change it. A sparse body is read up to the element's register.
    pub fn would_change(self, element: Element) -> Result<bool, Corrupted> {
        match self.body {
            Body::Dense(packed) => Ok(dense::get(packed, element.register) < element.rank),
            Body::Sparse(body) => sparse::would_change(body, element),
        }
    }

    /// The runs of a sparse one, even of a corrupted one, but not more than can be right.
    pub fn runs(self) -> Option<impl Iterator<Item = Run> + 'a> {
        match self.body {
            Body::Dense(_) => None,
            Body::Sparse(body) => Some(sparse::unchecked_runs(body).take(REGISTERS)),
        }
    }

    /// The dense string with the same header and registers.
    pub fn to_dense(self) -> Result<Vec<u8>, Corrupted> {
        let mut registers = Registers::new();
        registers.merge(self)?;
        Ok(dense_string(self.header, &registers))
    }
}

/// Adds an element and says whether that changed anything. A sparse string that would outgrow the
/// limit becomes dense.
///
/// # Panics
/// If the string is no HyperLogLog.
pub fn add(
    string: &mut Vec<u8>,
    element: Element,
    sparse_bytes_max: usize,
) -> Result<bool, Corrupted> {
    if string[ENCODING_AT] == DENSE {
        return Ok(add_dense(string, element));
    }
    let mut cursor = sparse::START;
    match sparse::set(string, &mut cursor, element, sparse_bytes_max)? {
        sparse::Outcome::Unchanged => Ok(false),
        sparse::Outcome::Changed => {
            invalidate_count(string);
            Ok(true)
        }
        sparse::Outcome::Full => {
            *string = parse_known(string).to_dense()?;
            assert!(add_dense(string, element), "no room means that it is new");
            Ok(true)
        }
    }
}

/// Adds an element to a dense string and says whether that changed anything.
///
/// # Panics
/// If the string is not dense.
pub fn add_dense(string: &mut [u8], element: Element) -> bool {
    let changed = dense::set(packed_mut(string), element);
    if changed {
        invalidate_count(string);
    }
    changed
}

/// Raises the registers of a string to those of a union that it is part of. It becomes dense if that
/// is asked for, or if it would outgrow the limit as a sparse one.
///
/// # Panics
/// If the string is no HyperLogLog, or a corrupted one: being part of the union it was read before.
pub fn raise(string: &mut Vec<u8>, union: &Registers, want_dense: bool, sparse_bytes_max: usize) {
    let is_dense = string[ENCODING_AT] == DENSE;
    if is_dense {
        raise_dense(string, union);
    } else if want_dense || !sparse::raise(string, union, sparse_bytes_max) {
        *string = dense_string(parse_known(string).header, union);
    }
    invalidate_count(string);
}

/// The same for a dense string, which can be changed in place.
///
/// # Panics
/// If the string is not dense.
pub fn raise_dense(string: &mut [u8], union: &Registers) {
    dense::pack(packed_mut(string), union.values());
    invalidate_count(string);
}

/// Keeps a count with a HyperLogLog.
pub fn set_count(string: &mut [u8], count: u64) {
    string[COUNT_AT..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
}

/// Marks the count that a HyperLogLog keeps as out of date.
fn invalidate_count(string: &mut [u8]) {
    string[HEADER_BYTES - 1] |= (OUT_OF_DATE >> 56) as u8;
}

fn dense_string(header: &[u8; HEADER_BYTES], registers: &Registers) -> Vec<u8> {
    let mut string = vec![0; DENSE_BYTES];
    string[..HEADER_BYTES].copy_from_slice(header);
    string[ENCODING_AT] = DENSE;
    dense::pack(packed_mut(&mut string), registers.values());
    string
}

fn parse_known(string: &[u8]) -> HyperLogLog<'_> {
    HyperLogLog::parse(string).expect("a string that was parsed before")
}

fn packed_mut(string: &mut [u8]) -> &mut dense::Packed {
    assert_eq!(string[ENCODING_AT], DENSE);
    let packed = &mut string[HEADER_BYTES..];
    packed
        .try_into()
        .expect("the length was checked when the string was parsed")
}
