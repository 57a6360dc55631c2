//! Randomness: a fast generator for choices (sampling, eviction, RANDOMKEY), and identifiers from the system for what
//! nobody may guess.
//!
//! The generator is xoshiro256** of Blackman and Vigna (public domain): four words of state, a period of 2^256 - 1,
//! and no use for secrets.

use super::sys;

/// A generator of numbers that look random.
#[derive(Clone, Debug)]
pub struct Rng {
    /// Never all zero.
    state: [u64; 4],
}

impl Rng {
    /// A generator that nobody can foresee at start.
    pub fn from_os() -> Rng {
        let mut seed = [0; 8];
        sys::random_bytes(&mut seed);
        Rng::from_seed(u64::from_ne_bytes(seed))
    }

    /// A generator that yields the same numbers for the same seed.
    pub fn from_seed(seed: u64) -> Rng {
        // The authors advise SplitMix64 to spread a seed; no seed makes it yield four zeros.
        let mut spread = seed;
        let mut next = || {
            spread = spread.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = spread;
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^ (word >> 31)
        };
        Rng {
            state: [next(), next(), next(), next()],
        }
    }

    /// The next number.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.state;
        let result = s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let s2 = s2 ^ s0;
        let s3 = s3 ^ s1;
        self.state = [s0 ^ s3, s1 ^ s2, s2 ^ (s1 << 17), s3.rotate_left(45)];
        result
    }

    /// A number below `bound`, every one as likely as any other.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero");
        // Lemire's method: the high word of a product; the few low words that would favour some results are drawn
        // again.
        let mut product = u128::from(self.next_u64()) * u128::from(bound);
        if (product as u64) < bound {
            let unfair = bound.wrapping_neg() % bound;
            while (product as u64) < unfair {
                product = u128::from(self.next_u64()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }
}

/// An identifier of `digits` hexadecimal digits from the system's randomness: run ids, passwords.
pub fn hex_id(digits: usize) -> String {
    let mut bytes = vec![0; digits.div_ceil(2)];
    sys::random_bytes(&mut bytes);
    let nibbles = bytes.iter().flat_map(|&byte| [byte >> 4, byte & 15]);
    nibbles
        .take(digits)
        .map(|nibble| char::from(b"0123456789abcdef"[usize::from(nibble)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_authors_generator() {
        // By the authors' C code, from the state 1, 2, 3, 4.
        let mut rng = Rng {
            state: [1, 2, 3, 4],
        };
        let expected = [11520, 0, 1_509_978_240, 1_215_971_899_390_074_240];
        assert_eq!(expected.map(|_| rng.next_u64()), expected);
    }

    #[test]
    fn seeds_repeat_and_differ() {
        let numbers = |seed| {
            let mut rng = Rng::from_seed(seed);
            [(); 8].map(|()| rng.next_u64())
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
        assert_ne!(Rng::from_os().next_u64(), Rng::from_os().next_u64());
    }

    #[test]
    fn bounded_numbers_are_spread_evenly() {
        let mut rng = Rng::from_seed(1);
        for bound in [1, 2, 3, 7, 100] {
            let mut counts = vec![0u32; bound as usize];
            for _ in 0..10_000 * bound {
                counts[rng.below(bound) as usize] += 1;
            }
            assert!(
                counts.iter().all(|count| (9_500..10_500).contains(count)),
                "{counts:?}"
            );
        }
        // Two thirds of the range: without drawing again, the lower half would come twice as often.
        let bound = u64::MAX / 3 * 2;
        let low = (0..30_000).filter(|_| rng.below(bound) < bound / 2).count();
        assert!((14_500..15_500).contains(&low), "{low}");
    }

    #[test]
    fn identifiers_have_the_asked_length_and_differ() {
        for digits in [0, 1, 7, 40] {
            let id = hex_id(digits);
            assert_eq!(id.len(), digits);
            assert!(
                id.bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            );
        }
        assert_ne!(hex_id(40), hex_id(40));
    }
}
