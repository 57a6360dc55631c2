//! From registers to a number: the estimator of Otmar Ertl, "New cardinality estimation algorithms
//! for HyperLogLog sketches" (arXiv:1702.01284), section 4, in the order of operations that makes
//! Redis's result to the last bit.

use super::REGISTERS;
use super::element::RANK_MAX;

/// 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// How many registers have each value, from words with eight registers each.
pub(super) fn histogram(words: impl Iterator<Item = u64>) -> [u32; 64] {
    // Most registers have one of a few values. A counter for each byte's place keeps an increment
    // from waiting for the one before.
    let mut lanes = [[0u16; 64]; 8];
    for word in words {
        for (lane, counts) in lanes.iter_mut().enumerate() {
            counts[(word >> (8 * lane)) as usize & 63] += 1;
        }
    }
    std::array::from_fn(|value| lanes.iter().map(|counts| u32::from(counts[value])).sum())
}

/// The number of elements that such a histogram stands for.
///
/// Registers above what a hash can give, which only a forged string has, are left out. If there is
/// nothing else the sum is 0 and the result what Redis makes of an infinite one on x86: 2^63.
pub(super) fn count(histogram: &[u32; 64]) -> u64 {
    let m = REGISTERS as f64;
    let of = |value: u8| f64::from(histogram[usize::from(value)]);
    let mut sum = m * tau((m - of(RANK_MAX)) / m);
    for rank in (1..RANK_MAX).rev() {
        sum = (sum + of(rank)) * 0.5;
    }
    sum += m * sigma(of(0) / m);
    let estimate = (ALPHA * m * m / sum).round();
    if estimate < i64::MAX as f64 {
        estimate as u64
    } else {
        1 << 63
    }
}

/// x + sum over k of x^(2^k) 2^(k-1), for the registers that saw nothing.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}

/// (1 - x - sum over k of (1 - x^(2^-k))^2 2^-k) / 3, for the registers that can't grow any more.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}
