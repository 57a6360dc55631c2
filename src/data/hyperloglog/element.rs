//! Elements as registers see them: MurmurHash64A (Austin Appleby's) with Redis's seed, cut in two.

/// How many bits of the hash choose the register.
pub(super) const REGISTER_BITS: u32 = 14;
/// The highest rank there is: no bit set in what is left of the hash.
pub(super) const RANK_MAX: u8 = (64 - REGISTER_BITS + 1) as u8;

const SEED: u64 = 0xadc8_3b19;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;

/// What is left of an element: a register, and the least value it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    pub(super) register: usize,
    pub(super) rank: u8,
}

impl Element {
    /// The register is the hash's low 14 bits; the rank is one more than the zeros that follow.
    pub fn of(bytes: &[u8]) -> Element {
        let hash = hash(bytes);
        let rest = hash >> REGISTER_BITS | 1 << (64 - REGISTER_BITS);
        Element {
            register: (hash & ((1 << REGISTER_BITS) - 1)) as usize,
            rank: rest.trailing_zeros() as u8 + 1,
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    for word in words {
        let mixed = mix(u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER));
        hash = (hash ^ mixed.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        let mut word = [0; 8];
        word[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(MULTIPLIER);
    }
    mix(mix(hash).wrapping_mul(MULTIPLIER))
}

fn mix(word: u64) -> u64 {
    word ^ word >> 47
}
