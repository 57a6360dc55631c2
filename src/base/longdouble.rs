//! The 80-bit extended float of x86, in software, for INCRBYFLOAT and HINCRBYFLOAT.
//!
//! Redis computes these two commands in C's `long double` and prints 17 decimals. To answer the
//! same bytes, and the same on every platform, this file owns that format: 64 bits of mantissa, 15
//! of exponent, gradual underflow, rounding half to even. It parses (`strtold`'s grammar), adds
//! and prints; it does nothing else. Every step is exact up to its single rounding.
//!
//! Usual operands (up to 19 digits, exponents to 27) are parsed and printed in 128-bit integers.
//! The others go through `Natural`, a big integer that never passes 450 words: a text is refused
//! from 5,120 bytes on, and a number outside the format's range before any power is computed. The
//! worst text costs some tens of microseconds.

use crate::base::num;

/// The longest text that is parsed; Redis's buffer is one byte longer.
pub const TEXT_MAX: usize = 5119;

/// Decimals in the printed form, before trailing zeros are dropped.
const DECIMALS: usize = 17;
const TEN_TO_DECIMALS: u128 = 10u128.pow(DECIMALS as u32);

/// The exponent of the last mantissa bit of the smallest numbers.
const EXPONENT_MIN: i64 = -16445;
/// The exponent of the last mantissa bit of the largest numbers.
const EXPONENT_MAX: i64 = 16320;

/// A number in x86 extended precision, or an infinity; never a NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    /// `mantissa * 2^exponent`, with the top bit set unless the exponent is the smallest one;
    /// zero has the smallest. So of two numbers the one with the larger exponent is larger.
    Finite {
        exponent: i64,
        mantissa: u64,
    },
    Infinite,
}

impl LongDouble {
    /// Parses what `strtold` takes without leading space: decimal, hexadecimal, `inf`, `infinity`.
    ///
    /// Refused are NaN, anything left over, a number too large, and one that is not zero but
    /// too small.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let (negative, unsigned) = num::split_sign(text);
        let magnitude = if num::is_infinity(unsigned) {
            Magnitude::Infinite
        } else if let [b'0', b'x' | b'X', digits @ ..] = unsigned {
            let hex = num::HexFloat::parse(digits)?;
            nonzero_or_exact(hex.mantissa, hex.exponent, hex.sticky)?
        } else {
            parse_decimal(unsigned)?
        };
        Some(LongDouble {
            negative,
            magnitude,
        })
    }

    /// Whether this is an infinity, which only a text can bring about.
    pub fn is_infinite(self) -> bool {
        self.magnitude == Magnitude::Infinite
    }

    /// The sum, or nothing if it is infinite or not a number.
    pub fn checked_add(self, other: LongDouble) -> Option<LongDouble> {
        let (
            Magnitude::Finite {
                exponent: exponent_a,
                mantissa: mantissa_a,
            },
            Magnitude::Finite {
                exponent: exponent_b,
                mantissa: mantissa_b,
            },
        ) = (self.magnitude, other.magnitude)
        else {
            return None;
        };
        if (exponent_a, mantissa_a) < (exponent_b, mantissa_b) {
            return other.checked_add(self);
        }
        // Two bits stay free at the top for the carry; what the smaller one loses below only
        // matters as "something was there", because then the larger fills its 64 bits.
        const ROOM: u32 = 62;
        let larger = u128::from(mantissa_a) << ROOM;
        let distance = (exponent_a - exponent_b).min(127) as u32;
        let smaller = u128::from(mantissa_b) << ROOM >> distance;
        let sticky = smaller << distance != u128::from(mantissa_b) << ROOM;
        let (sum, negative) = if self.negative == other.negative {
            (larger + smaller, self.negative)
        } else {
            // Bits lost from what is taken away make the difference a little less than this.
            (
                larger - smaller - u128::from(sticky),
                self.negative && larger != smaller,
            )
        };
        let shift = sum.leading_zeros() % 128;
        let exponent = exponent_a - i64::from(ROOM) - i64::from(shift);
        Some(LongDouble {
            negative,
            magnitude: rounded(sum << shift, exponent, sticky)?,
        })
    }

    /// The text that Redis stores: 17 decimals, rounded half to even, trailing zeros dropped,
    /// never an exponent and never `-0`.
    pub fn format_human(self) -> Vec<u8> {
        let mut text = Vec::with_capacity(40);
        if self.negative {
            text.push(b'-');
        }
        match self.magnitude {
            Magnitude::Infinite => text.extend_from_slice(b"inf"),
            Magnitude::Finite {
                exponent: 0..,
                mantissa: 0,
            } => text.push(b'0'),
            Magnitude::Finite {
                exponent: exponent @ 0..,
                mantissa,
            } => {
                Natural::from(mantissa)
                    .shifted_left(exponent as usize)
                    .put_decimal(&mut text);
            }
            Magnitude::Finite { exponent, mantissa } => {
                put_with_fraction(&mut text, mantissa, exponent.unsigned_abs());
            }
        }
        if text == b"-0" {
            text.remove(0);
        }
        text
    }
}

impl From<i64> for LongDouble {
    /// Exact: the mantissa has as many bits as the integer.
    fn from(value: i64) -> LongDouble {
        let mantissa = u128::from(value.unsigned_abs());
        let shift = mantissa.leading_zeros() % 128;
        let magnitude = rounded(mantissa << shift, -i64::from(shift), false);
        LongDouble {
            negative: value < 0,
            magnitude: magnitude.expect("2^63 is in range"),
        }
    }
}

/// `mantissa * 2^exponent` in the format's precision, or nothing if it is too large.
///
/// The mantissa's top bit is set unless it is zero; `sticky` says that more bits follow it.
fn rounded(mantissa: u128, exponent: i64, sticky: bool) -> Option<Magnitude> {
    let zero = Magnitude::Finite {
        exponent: EXPONENT_MIN,
        mantissa: 0,
    };
    if mantissa == 0 {
        return Some(zero);
    }
    // 64 bits are kept, fewer where the exponent cannot get smaller.
    let bits = 64 - (EXPONENT_MIN - (exponent + 64)).max(0);
    if bits < 0 {
        return Some(zero);
    }
    let mantissa = num::round_to_bits(mantissa, sticky, bits as u32);
    let exponent = exponent + 128 - bits;
    let (mantissa, exponent) = match u64::try_from(mantissa) {
        Ok(mantissa) => (mantissa, exponent),
        Err(_) => (1 << 63, exponent + 1),
    };
    (exponent <= EXPONENT_MAX).then_some(Magnitude::Finite { exponent, mantissa })
}

/// As `rounded`, but what is not zero must not become zero: `strtold` reports that as an error.
fn nonzero_or_exact(mantissa: u128, exponent: i64, sticky: bool) -> Option<Magnitude> {
    let magnitude = rounded(mantissa, exponent, sticky)?;
    let lost = mantissa != 0 && matches!(magnitude, Magnitude::Finite { mantissa: 0, .. });
    (!lost).then_some(magnitude)
}

/// Parses digits with a point and an exponent.
fn parse_decimal(unsigned: &[u8]) -> Option<Magnitude> {
    let (mantissa, power) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&unsigned[..at], num::parse_exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };
    let point = memchr::memchr(b'.', mantissa);
    let decimals = point.map_or(0, |at| mantissa.len() - at - 1);
    let mut digits = Vec::with_capacity(mantissa.len());
    digits.extend_from_slice(&mantissa[..point.unwrap_or(mantissa.len())]);
    digits.extend_from_slice(&mantissa[mantissa.len() - decimals..]);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut power = power - decimals as i64;
    while digits.last() == Some(&b'0') {
        digits.pop();
        power += 1;
    }
    let leading = digits.iter().take_while(|&&digit| digit == b'0').count();
    scale_decimal(&digits[leading..], power)
}

/// `digits * 10^power`; the digits have no zero at either end, and zero has none at all.
fn scale_decimal(digits: &[u8], power: i64) -> Option<Magnitude> {
    if digits.is_empty() {
        return rounded(0, 0, false);
    }
    // The number is below 10^end. The largest is 1.2e4932, half the smallest 1.8e-4951.
    let end = digits.len() as i64 + power;
    if !(-4950..=4933).contains(&end) {
        return None;
    }
    // The factor 2^power goes into the exponent, which leaves 5^power to compute with.
    if let Some(mantissa) = small_decimal(digits)
        && power.unsigned_abs() <= FIVES_IN_WORD
    {
        let fives = 5u64.pow(power.unsigned_abs() as u32);
        if power >= 0 {
            let product = u128::from(mantissa) * u128::from(fives);
            let shift = product.leading_zeros();
            return nonzero_or_exact(product << shift, power - i64::from(shift), false);
        }
        // With the top bit set the quotient has 65 bits at least: enough to round once.
        let shift = u128::from(mantissa).leading_zeros();
        let dividend = u128::from(mantissa) << shift;
        let (quotient, rest) = (dividend / u128::from(fives), dividend % u128::from(fives));
        let normalize = quotient.leading_zeros();
        let exponent = power - i64::from(shift) - i64::from(normalize);
        return nonzero_or_exact(quotient << normalize, exponent, rest != 0);
    }
    let number = Natural::parse(digits);
    if power >= 0 {
        let (top, shift, sticky) = number.times_power_of_five(power.unsigned_abs()).top_bits();
        return nonzero_or_exact(top, power + shift, sticky);
    }
    let divisor = Natural::from(1).times_power_of_five(power.unsigned_abs());
    let (quotient, shift, sticky) = number.divided_by(divisor);
    nonzero_or_exact(quotient, power + shift, sticky)
}

/// The digits as one word, if they certainly fit.
fn small_decimal(digits: &[u8]) -> Option<u64> {
    let fold = |value: u64, &digit: &u8| value * 10 + u64::from(digit - b'0');
    (digits.len() <= DIGITS_IN_WORD).then(|| digits.iter().fold(0, fold))
}

/// Prints `mantissa / 2^shift`, whole part and rounded decimals.
fn put_with_fraction(text: &mut Vec<u8>, mantissa: u64, shift: u64) {
    let mantissa = u128::from(mantissa);
    let mut whole = mantissa.checked_shr(shift.min(127) as u32).unwrap_or(0);
    // At most 64 + 57 bits, so from a shift of 122 on it is less than half the last decimal.
    let scaled = (mantissa - (whole << shift.min(127))) * TEN_TO_DECIMALS;
    let mut decimals = 0;
    if shift < 122 {
        let half = 1u128 << (shift - 1);
        decimals = scaled >> shift;
        let rest = scaled - (decimals << shift);
        if rest > half || (rest == half && decimals & 1 == 1) {
            decimals += 1;
        }
    }
    if decimals == TEN_TO_DECIMALS {
        decimals = 0;
        whole += 1;
    }
    text.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    if decimals == 0 {
        return;
    }
    let mut digits = [b'0'; DECIMALS];
    for digit in digits.iter_mut().rev() {
        *digit += (decimals % 10) as u8;
        decimals /= 10;
    }
    let kept = digits
        .iter()
        .rposition(|&digit| digit != b'0')
        .map_or(0, |last| last + 1);
    text.push(b'.');
    text.extend_from_slice(&digits[..kept]);
}

/// The largest power of ten, and of five, in a word, with their exponents.
const DIGITS_IN_WORD: usize = 19;
const TEN_WORD: u64 = 10u64.pow(DIGITS_IN_WORD as u32);
const FIVES_IN_WORD: u64 = 27;
const FIVE_WORD: u64 = 5u64.pow(FIVES_IN_WORD as u32);

/// A natural number of any size that the limits above let come about.
struct Natural {
    /// Least significant first; the last is not zero.
    words: Vec<u64>,
}

impl From<u64> for Natural {
    fn from(value: u64) -> Natural {
        Natural {
            words: if value == 0 { Vec::new() } else { vec![value] },
        }
    }
}

impl Natural {
    /// 5,119 digits take 266 words, 5^10,069 takes 366; a division adds two to bring them level.
    const WORDS_MAX: usize = 450;

    fn parse(digits: &[u8]) -> Natural {
        let mut number = Natural::from(0);
        for chunk in digits.chunks(DIGITS_IN_WORD) {
            let value = chunk
                .iter()
                .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
            number.multiply_add(10u64.pow(chunk.len() as u32), value);
        }
        number
    }

    fn times_power_of_five(mut self, power: u64) -> Natural {
        for _ in 0..power / FIVES_IN_WORD {
            self.multiply_add(FIVE_WORD, 0);
        }
        self.multiply_add(5u64.pow((power % FIVES_IN_WORD) as u32), 0);
        self
    }

    fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = addend;
        for word in &mut self.words {
            let product = u128::from(*word) * u128::from(factor) + u128::from(carry);
            *word = product as u64;
            carry = (product >> 64) as u64;
        }
        if carry != 0 {
            self.words.push(carry);
            assert!(
                self.words.len() <= Natural::WORDS_MAX,
                "a number outside the format's range"
            );
        }
    }

    fn shifted_left(mut self, bits: usize) -> Natural {
        self.multiply_add(1 << (bits % 64), 0);
        self.words.splice(0..0, std::iter::repeat_n(0, bits / 64));
        assert!(
            self.words.len() <= Natural::WORDS_MAX,
            "a number outside the format's range"
        );
        self
    }

    fn bits(&self) -> usize {
        self.words.last().map_or(0, |last| {
            self.words.len() * 64 - last.leading_zeros() as usize
        })
    }

    /// The 128 bits from the highest on, the power of two that scales them, and whether any
    /// lower bit is set.
    fn top_bits(&self) -> (u128, i64, bool) {
        let word = |back: usize| {
            self.words
                .len()
                .checked_sub(back)
                .map_or(0, |at| u128::from(self.words[at]))
        };
        let shift = self.words.last().map_or(0, |last| last.leading_zeros());
        let high = word(1) << 64 | word(2);
        let top = high << shift | word(3) << shift >> 64;
        let lower = self.words.len().saturating_sub(3);
        let sticky =
            (word(3) << shift) as u64 != 0 || self.words[..lower].iter().any(|&word| word != 0);
        (top, self.bits() as i64 - 128, sticky)
    }

    /// The quotient's 128 bits from the highest on, the power of two that scales them, and
    /// whether anything is left over. Neither number is zero.
    fn divided_by(self, divisor: Natural) -> (u128, i64, bool) {
        // Bring both to the same length; then the quotient is at least 1/2 and below 2.
        let level = self.bits().max(divisor.bits());
        let (shift, divisor_shift) = (level - self.bits(), level - divisor.bits());
        let mut rest = self.shifted_left(shift);
        let divisor = divisor.shifted_left(divisor_shift);
        let mut scale = divisor_shift as i64 - shift as i64;
        if rest.is_below(&divisor) {
            rest.multiply_add(2, 0);
            scale -= 1;
        }
        let mut quotient = 0u128;
        for _ in 0..128 {
            quotient <<= 1;
            if !rest.is_below(&divisor) {
                rest.subtract(&divisor);
                quotient |= 1;
            }
            rest.multiply_add(2, 0);
        }
        (quotient, scale - 127, !rest.words.is_empty())
    }

    fn is_below(&self, other: &Natural) -> bool {
        let by_length = self.words.len().cmp(&other.words.len());
        by_length
            .then_with(|| self.words.iter().rev().cmp(other.words.iter().rev()))
            .is_lt()
    }

    /// Takes a number away that is not larger.
    fn subtract(&mut self, other: &Natural) {
        let mut borrow = false;
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        for (word, other) in self.words.iter_mut().zip(others) {
            let (difference, below) = word.overflowing_sub(other);
            let (difference, below_again) = difference.overflowing_sub(u64::from(borrow));
            *word = difference;
            borrow = below || below_again;
        }
        assert!(!borrow, "a larger number was subtracted");
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }

    fn put_decimal(mut self, text: &mut Vec<u8>) {
        let mut chunks = Vec::new();
        while !self.words.is_empty() {
            let mut rest = 0u128;
            for word in self.words.iter_mut().rev() {
                let dividend = rest << 64 | u128::from(*word);
                *word = (dividend / u128::from(TEN_WORD)) as u64;
                rest = dividend % u128::from(TEN_WORD);
            }
            while self.words.last() == Some(&0) {
                self.words.pop();
            }
            chunks.push(rest as u64);
        }
        for (at, chunk) in chunks.iter().rev().enumerate() {
            let mut buffer = itoa::Buffer::new();
            let digits = buffer.format(*chunk).as_bytes();
            let padding = if at == 0 {
                0
            } else {
                DIGITS_IN_WORD - digits.len()
            };
            text.extend(std::iter::repeat_n(b'0', padding));
            text.extend_from_slice(digits);
        }
    }
}

#[cfg(test)]
mod tests;
