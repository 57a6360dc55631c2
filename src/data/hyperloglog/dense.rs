//! Dense registers: 6 bits each, from the lowest bit of the first byte on, so that four take three
//! bytes and eight take six.
//!
//! ```text
//! byte     0         1         2
//!          11000000  22221111  33333322     (the digit: which register a bit belongs to)
//! ```
//!
//! Loops over all of them spread eight registers at a time over the bytes of a word, and back, with
//! three shifts, for many words side by side; there is no branch and no bounds check in them, and compilers make
//! vector code of it.

use super::REGISTERS;
use super::element::Element;
use crate::base::simd::widest;

/// The bytes of all registers.
pub(super) const BYTES: usize = REGISTERS * BITS / 8;
/// Dense registers without their header.
pub(super) type Packed = [u8; BYTES];

const BITS: usize = 6;
const MASK: u32 = (1 << BITS) - 1;
/// Groups of eight registers, 6 bytes each, that are worked on side by side.
const GROUPS: usize = 32;
const BLOCK_BYTES: usize = GROUPS * 8 * BITS / 8;

/// The value of a register.
pub(super) fn get(packed: &Packed, register: usize) -> u8 {
    let (at, shift) = place(register);
    (load(packed, at) >> shift & MASK) as u8
}

/// Raises a register to an element's rank; whether it was lower.
pub(super) fn set(packed: &mut Packed, element: Element) -> bool {
    let (at, shift) = place(element.register);
    let four = load(packed, at);
    let rank = u32::from(element.rank);
    if four >> shift & MASK >= rank {
        return false;
    }
    let four = four & !(MASK << shift) | rank << shift;
    packed[at..at + 3].copy_from_slice(&four.to_le_bytes()[..3]);
    true
}

/// All registers, eight in each word: the first in its lowest byte.
pub(super) fn words(packed: &Packed) -> impl Iterator<Item = u64> {
    packed.as_chunks::<BLOCK_BYTES>().0.iter().flat_map(spread)
}

/// Raises each value to that of its register.
pub(super) fn merge(packed: &Packed, values: &mut [u8; REGISTERS]) {
    widest(
        #[inline(always)]
        || {
            let blocks = packed.as_chunks::<BLOCK_BYTES>().0.iter();
            let (values, _) = values.as_chunks_mut::<{ 8 * GROUPS }>();
            for (values, block) in values.iter_mut().zip(blocks) {
                let others = spread(block).map(u64::to_le_bytes);
                for (value, &other) in values.iter_mut().zip(others.as_flattened()) {
                    *value = other.max(*value);
                }
            }
        },
    );
}

/// Sets each register to its value, which fits 6 bits.
pub(super) fn pack(packed: &mut Packed, values: &[u8; REGISTERS]) {
    widest(
        #[inline(always)]
        || {
            let blocks = packed.as_chunks_mut::<BLOCK_BYTES>().0.iter_mut();
            let groups = values.as_chunks::<8>().0.as_chunks::<GROUPS>().0;
            for (groups, block) in groups.iter().zip(blocks) {
                *block = gather(groups.map(u64::from_le_bytes));
            }
        },
    );
}

/// The first of the three bytes that hold a register, and where it is in them.
fn place(register: usize) -> (usize, u32) {
    (register / 4 * 3, (register % 4 * BITS) as u32)
}

fn load(packed: &Packed, at: usize) -> u32 {
    u32::from_le_bytes([packed[at], packed[at + 1], packed[at + 2], 0])
}

/// A block's registers, a byte each, eight in each word.
#[inline(always)]
fn spread(block: &[u8; BLOCK_BYTES]) -> [u64; GROUPS] {
    let mut words = [0; GROUPS];
    for (word, four) in words
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip(block.as_chunks::<24>().0)
    {
        let at = |at: usize| {
            let bytes = four[at..].first_chunk().expect("a word lies in the bytes");
            u64::from_le_bytes(*bytes)
        };
        // The upper 16 bits of a word are the next group's.
        *word = [at(0), at(6), at(12), at(16) >> 16];
    }
    words.map(|packed| {
        let fours = packed & 0x0000_00ff_ffff | (packed & 0xffff_ff00_0000) << 8;
        let twos = fours & 0x0000_0fff_0000_0fff | (fours & 0x00ff_f000_00ff_f000) << 4;
        twos & 0x003f_003f_003f_003f | (twos & 0x0fc0_0fc0_0fc0_0fc0) << 2
    })
}

/// The reverse of [`spread`].
#[inline(always)]
fn gather(words: [u64; GROUPS]) -> [u8; BLOCK_BYTES] {
    let groups = words.map(|eight| {
        let twos = eight & 0x003f_003f_003f_003f | (eight & 0x3f00_3f00_3f00_3f00) >> 2;
        let fours = twos & 0x0000_0fff_0000_0fff | (twos & 0x0fff_0000_0fff_0000) >> 4;
        fours & 0x0000_0000_00ff_ffff | (fours & 0x00ff_ffff_0000_0000) >> 8
    });
    let mut block = [0; BLOCK_BYTES];
    for (bytes, four) in block
        .as_chunks_mut::<24>()
        .0
        .iter_mut()
        .zip(groups.as_chunks::<4>().0)
    {
        let packed = [
            four[0] | four[1] << 48,
            four[1] >> 16 | four[2] << 32,
            four[2] >> 32 | four[3] << 16,
        ];
        bytes.copy_from_slice(packed.map(u64::to_le_bytes).as_flattened());
    }
    block
}
