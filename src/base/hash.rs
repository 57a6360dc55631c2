//! SipHash-1-3: the keyed hash of the keyspace and of every large collection.
//!
//! SipHash (Aumasson and Bernstein) keyed with a secret of the process keeps clients from choosing
//! keys that collide. Here is the one-shot form over a byte string; the rounds are parameters, so
//! that the published vectors of SipHash-2-4 test the same code. The result is that of
//! the standard streaming implementations on every platform.
//!
//! The key travels in the `Hasher`, a `Copy` pair of words: hashing looks up nothing global.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// SipHash-1-3 with a 128-bit key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hasher {
    k0: u64,
    k1: u64,
}

static PROCESS: OnceLock<Hasher> = OnceLock::new();

/// Chooses the process-wide key; only the first choice counts, and it must come before `process`.
///
/// Answers whether the key was taken.
pub fn seed(k0: u64, k1: u64) -> bool {
    PROCESS.set(Hasher::new(k0, k1)).is_ok()
}

/// The hasher with the process-wide key, a random one unless `seed` chose it.
///
/// Structures copy it when they are made, so that hashing itself never comes here.
pub fn process() -> Hasher {
    *PROCESS.get_or_init(Hasher::random)
}

impl Hasher {
    /// A hasher with the given key, its first eight bytes (little-endian) in `k0`.
    pub const fn new(k0: u64, k1: u64) -> Hasher {
        Hasher { k0, k1 }
    }

    /// A hasher with a key from the operating system's randomness.
    pub fn random() -> Hasher {
        // The standard library's map keys are the one portable, safe source of it.
        let state = RandomState::new();
        Hasher::new(state.hash_one(0u64), state.hash_one(1u64))
    }

    /// The hash of a byte string.
    #[inline]
    pub fn hash(self, bytes: &[u8]) -> u64 {
        sip_hash::<1, 3>(self.k0, self.k1, bytes)
    }
}

#[inline(always)]
fn sip_hash<const COMPRESSION: usize, const FINALIZATION: usize>(
    k0: u64,
    k1: u64,
    bytes: &[u8],
) -> u64 {
    // The constants spell "somepseudorandomlygeneratedbytes".
    let mut state = State {
        v0: k0 ^ 0x736f_6d65_7073_6575,
        v1: k1 ^ 0x646f_7261_6e64_6f6d,
        v2: k0 ^ 0x6c79_6765_6e65_7261,
        v3: k1 ^ 0x7465_6462_7974_6573,
    };
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        state.absorb::<COMPRESSION>(u64::from_le_bytes(*word));
    }
    state.absorb::<COMPRESSION>((bytes.len() as u64) << 56 | tail_word(bytes, tail));
    state.v2 ^= 0xff;
    for _ in 0..FINALIZATION {
        state.round();
    }
    state.v0 ^ state.v1 ^ state.v2 ^ state.v3
}

/// The last zero to seven bytes as a little-endian number.
#[inline(always)]
fn tail_word(bytes: &[u8], tail: &[u8]) -> u64 {
    let len = tail.len();
    if len == 0 {
        return 0;
    }
    if let Some(last) = bytes.last_chunk::<8>() {
        // One load that ends at the last byte; the shift drops what an earlier word has covered.
        return u64::from_le_bytes(*last) >> (64 - 8 * len);
    }
    if let (Some(first), Some(last)) = (tail.first_chunk::<4>(), tail.last_chunk::<4>()) {
        // The two loads overlap, and agree where they do.
        let low = u64::from(u32::from_le_bytes(*first));
        let high = u64::from(u32::from_le_bytes(*last));
        return low | high << (8 * (len - 4));
    }
    // One to three bytes: first, middle and last meet all of them.
    u64::from(tail[0])
        | u64::from(tail[len / 2]) << (8 * (len / 2))
        | u64::from(tail[len - 1]) << (8 * (len - 1))
}

struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    #[inline(always)]
    fn absorb<const ROUNDS: usize>(&mut self, word: u64) {
        self.v3 ^= word;
        for _ in 0..ROUNDS {
            self.round();
        }
        self.v0 ^= word;
    }

    #[inline(always)]
    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hasher as _};

    /// Bytes 0, 1, 2, … as in the paper's appendix.
    fn counting(len: usize) -> Vec<u8> {
        (0..len).map(|byte| byte as u8).collect()
    }

    #[test]
    fn two_four_meets_the_published_vectors() {
        // From the reference implementation's vectors_sip64, key 00 01 … 0f, messages of 0, 1, … bytes.
        #[rustfmt::skip]
        let vectors: [[u8; 8]; 16] = [
            [0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72], [0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74],
            [0x5a, 0x4f, 0xa9, 0xd9, 0x09, 0x80, 0x6c, 0x0d], [0x2d, 0x7e, 0xfb, 0xd7, 0x96, 0x66, 0x67, 0x85],
            [0xb7, 0x87, 0x71, 0x27, 0xe0, 0x94, 0x27, 0xcf], [0x8d, 0xa6, 0x99, 0xcd, 0x64, 0x55, 0x76, 0x18],
            [0xce, 0xe3, 0xfe, 0x58, 0x6e, 0x46, 0xc9, 0xcb], [0x37, 0xd1, 0x01, 0x8b, 0xf5, 0x00, 0x02, 0xab],
            [0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93], [0xb0, 0xe4, 0xa9, 0x0b, 0xdf, 0x82, 0x00, 0x9e],
            [0xf3, 0xb9, 0xdd, 0x94, 0xc5, 0xbb, 0x5d, 0x7a], [0xa7, 0xad, 0x6b, 0x22, 0x46, 0x2f, 0xb3, 0xf4],
            [0xfb, 0xe5, 0x0e, 0x86, 0xbc, 0x8f, 0x1e, 0x75], [0x90, 0x3d, 0x84, 0xc0, 0x27, 0x56, 0xea, 0x14],
            [0xee, 0xf2, 0x7a, 0x8e, 0x90, 0xca, 0x23, 0xf7], [0xe5, 0x45, 0xbe, 0x49, 0x61, 0xca, 0x29, 0xa1],
        ];
        let (k0, k1) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        for (len, expected) in vectors.iter().enumerate() {
            let hash = sip_hash::<2, 4>(k0, k1, &counting(len));
            assert_eq!(hash, u64::from_le_bytes(*expected), "{len} bytes");
        }
    }

    #[test]
    fn one_three_agrees_with_the_standard_library() {
        // DefaultHasher is SipHash-1-3 with a key of zeros.
        for len in 0..300 {
            let bytes = counting(len);
            let mut standard = DefaultHasher::new();
            standard.write(&bytes);
            assert_eq!(
                Hasher::new(0, 0).hash(&bytes),
                standard.finish(),
                "{len} bytes"
            );
        }
    }

    #[test]
    fn the_key_matters() {
        let hashes = [
            Hasher::new(0, 0).hash(b"key"),
            Hasher::new(1, 0).hash(b"key"),
            Hasher::new(0, 1).hash(b"key"),
            Hasher::random().hash(b"key"),
            Hasher::random().hash(b"key"),
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash), "{hashes:x?}");
        }
    }

    #[test]
    fn the_process_key_does_not_change() {
        let first = process();
        assert_eq!(first, process());
        assert!(!seed(1, 2));
        assert_eq!(first, process());
    }
}
