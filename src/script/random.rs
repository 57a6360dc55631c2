//! The generator behind `math.random`: that of `lrand48`, so that a seed gives the same numbers on every machine.

/// The state: 48 bits.
pub struct Random(u64);

const MASK: u64 = (1 << 48) - 1;
/// What the low 16 bits begin with.
const LOW: u64 = 0x330e;

/// One more than the largest number it gives, as far as [`Random::unit`] is concerned.
const RANGE: i32 = i32::MAX;

impl Default for Random {
    fn default() -> Random {
        Random(0x1234_abcd_330e)
    }
}

impl Random {
    /// Begins the numbers of a seed.
    pub fn seed(&mut self, seed: i32) {
        self.0 = u64::from(seed as u32) << 16 | LOW;
    }

    /// The next number, from 0 to less than 1.
    pub fn unit(&mut self) -> f64 {
        f64::from(self.next() % RANGE) / f64::from(RANGE)
    }

    /// The next 31 bits.
    fn next(&mut self) -> i32 {
        self.0 = self.0.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & MASK;
        (self.0 >> 17) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the C library's `srand48` and `lrand48` give them.
    #[test]
    fn the_numbers_of_a_seed() {
        let mut random = Random::default();
        random.seed(0);
        let numbers = [random.next(), random.next(), random.next()];
        assert_eq!(numbers, [366_850_414, 1_610_402_240, 206_956_554]);
    }
}
