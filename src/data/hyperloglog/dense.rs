//! Dense registers: 6 bits each, from the lowest bit of the first byte on, so that four take three
//! bytes and eight take six.
//!
//! ```text
//! byte     0         1         2
//!          11000000  22221111  33333322     (the digit: which register a bit belongs to)
//! ```
//!
//! Loops over all of them spread eight registers at a time over the bytes of a word, and back, with
//! three shifts; there is no branch and no bounds check in them, and compilers make vector code of it.

use super::REGISTERS;
use super::element::Element;

/// The bytes of all registers.
pub(super) const BYTES: usize = REGISTERS * BITS / 8;
/// Dense registers without their header.
pub(super) type Packed = [u8; BYTES];

const BITS: usize = 6;
const MASK: u32 = (1 << BITS) - 1;
/// Eight registers, packed.
const GROUP_BYTES: usize = 8 * BITS / 8;

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
    packed.as_chunks::<GROUP_BYTES>().0.iter().map(spread)
}

/// Raises each value to that of its register.
pub(super) fn merge(packed: &Packed, values: &mut [u8; REGISTERS]) {
    let groups = packed.as_chunks::<GROUP_BYTES>().0.iter();
    for (eight, group) in values.as_chunks_mut::<8>().0.iter_mut().zip(groups) {
        let others = spread(group).to_le_bytes();
        for (value, other) in eight.iter_mut().zip(others) {
            *value = other.max(*value);
        }
    }
}

/// Sets each register to its value, which fits 6 bits.
pub(super) fn pack(packed: &mut Packed, values: &[u8; REGISTERS]) {
    let groups = packed.as_chunks_mut::<GROUP_BYTES>().0.iter_mut();
    for (eight, group) in values.as_chunks::<8>().0.iter().zip(groups) {
        let packed = gather(u64::from_le_bytes(*eight)).to_le_bytes();
        group.copy_from_slice(&packed[..GROUP_BYTES]);
    }
}

/// The first of the three bytes that hold a register, and where it is in them.
fn place(register: usize) -> (usize, u32) {
    (register / 4 * 3, (register % 4 * BITS) as u32)
}

fn load(packed: &Packed, at: usize) -> u32 {
    u32::from_le_bytes([packed[at], packed[at + 1], packed[at + 2], 0])
}

/// Eight numbers of 6 bits, a byte each.
fn spread(group: &[u8; GROUP_BYTES]) -> u64 {
    let [b0, b1, b2, b3, b4, b5] = *group;
    let packed = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, 0, 0]);
    let fours = packed & 0x0000_00ff_ffff | (packed & 0xffff_ff00_0000) << 8;
    let twos = fours & 0x0000_0fff_0000_0fff | (fours & 0x00ff_f000_00ff_f000) << 4;
    twos & 0x003f_003f_003f_003f | (twos & 0x0fc0_0fc0_0fc0_0fc0) << 2
}

/// The reverse of [`spread`].
fn gather(eight: u64) -> u64 {
    let twos = eight & 0x003f_003f_003f_003f | (eight & 0x3f00_3f00_3f00_3f00) >> 2;
    let fours = twos & 0x0000_0fff_0000_0fff | (twos & 0x0fff_0000_0fff_0000) >> 4;
    fours & 0x0000_0000_00ff_ffff | (fours & 0x00ff_ffff_0000_0000) >> 8
}
