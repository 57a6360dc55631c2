//! JSON's numbers to text by `printf`'s `%.Ng`, and from text by `strtod`, without calling either.
//!
//! Writing begins with the shortest text that reads back as the number: if that has no more digits than wanted,
//! they are the ones, and else rounding it gives what rounding the number gives, except when it ends in a 5
//! just behind the last digit wanted, where the number may lie on either side.

use std::io::Write;

use crate::base::num::{self, HexFloat};

/// The most significant digits that scripts can ask for.
pub(super) const PRECISION_MAX: usize = 14;

/// The longest text that [`format()`] writes, rounded up.
pub(super) const TEXT_MAX: usize = 32;

/// The text of a number with at most `precision` significant digits, in `buffer`.
pub(super) fn format(buffer: &mut [u8; TEXT_MAX], value: f64, precision: usize) -> &[u8] {
    const POWERS: [f64; PRECISION_MAX + 1] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
    ];
    let mut out = Writer { buffer, len: 0 };
    let whole = value as i64;
    if whole as f64 == value && value.abs() < POWERS[precision] {
        if whole == 0 && value.is_sign_negative() {
            out.put(b"-");
        }
        out.put(itoa::Buffer::new().format(whole).as_bytes());
    } else if value.is_nan() {
        out.put(b"nan");
    } else {
        if value < 0.0 {
            out.put(b"-");
        }
        if value.is_infinite() {
            out.put(b"inf");
        } else {
            out.put_decimal(&Decimal::rounded(value.abs(), precision), precision);
        }
    }
    let len = out.len;
    &buffer[..len]
}

/// `d.ddd` times a power of ten, without zeros at the end.
struct Decimal {
    digits: [u8; 20],
    len: usize,
    exponent: i32,
}

impl Decimal {
    fn rounded(value: f64, precision: usize) -> Decimal {
        let mut decimal = Decimal::parse(zmij::Buffer::new().format_finite(value).as_bytes());
        let is_tie = decimal.len == precision + 1 && decimal.digits[precision] == b'5';
        if is_tie || !value.is_normal() {
            let mut exact = [0; TEXT_MAX];
            let mut rest = &mut exact[..];
            write!(rest, "{value:.*e}", precision - 1).expect("room for every digit");
            let unused = rest.len();
            return Decimal::parse(&exact[..TEXT_MAX - unused]);
        }
        if decimal.len > precision {
            let up = decimal.digits[precision] >= b'5';
            decimal.len = precision;
            if up {
                decimal.round_up();
            }
            decimal.trim();
        }
        decimal
    }

    /// Reads the text of a positive number: digits, perhaps with a point, perhaps with an exponent.
    fn parse(text: &[u8]) -> Decimal {
        let mut decimal = Decimal {
            digits: [b'0'; 20],
            len: 0,
            exponent: -1,
        };
        let (mut fraction, mut power) = (false, 0);
        for (at, &byte) in text.iter().enumerate() {
            match byte {
                b'.' => fraction = true,
                b'e' => {
                    power = num::parse_exponent(&text[at + 1..]).expect("an exponent") as i32;
                    break;
                }
                // A zero in front only moves the point.
                b'0' if decimal.len == 0 => decimal.exponent -= i32::from(fraction),
                digit => {
                    decimal.exponent += i32::from(!fraction);
                    if decimal.len < decimal.digits.len() {
                        decimal.digits[decimal.len] = digit;
                        decimal.len += 1;
                    }
                }
            }
        }
        decimal.exponent += power;
        decimal.trim();
        decimal
    }

    fn trim(&mut self) {
        while self.len > 1 && self.digits[self.len - 1] == b'0' {
            self.len -= 1;
        }
    }

    /// Adds one to the last digit.
    fn round_up(&mut self) {
        for digit in self.digits[..self.len].iter_mut().rev() {
            if *digit != b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        self.digits[0] = b'1';
        self.exponent += 1;
    }
}

struct Writer<'a> {
    buffer: &'a mut [u8; TEXT_MAX],
    len: usize,
}

impl Writer<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.buffer[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// With an exponent if the point would stand outside the digits or more than three zeros before them.
    fn put_decimal(&mut self, decimal: &Decimal, precision: usize) {
        let digits = &decimal.digits[..decimal.len];
        let exponent = decimal.exponent;
        if exponent < -4 || exponent >= precision as i32 {
            let (first, fraction) = digits.split_at(1);
            self.put(first);
            self.put_fraction(fraction);
            self.put(if exponent < 0 { b"e-" } else { b"e+" });
            if exponent.abs() < 10 {
                self.put(b"0");
            }
            self.put(itoa::Buffer::new().format(exponent.abs()).as_bytes());
        } else if exponent < 0 {
            self.put(b"0.");
            self.put(&b"000"[..(-exponent - 1) as usize]);
            self.put(digits);
        } else {
            let whole = exponent as usize + 1;
            self.put(&digits[..whole.min(digits.len())]);
            for _ in digits.len()..whole {
                self.put(b"0");
            }
            self.put_fraction(&digits[whole.min(digits.len())..]);
        }
    }

    fn put_fraction(&mut self, fraction: &[u8]) {
        if !fraction.is_empty() {
            self.put(b".");
            self.put(fraction);
        }
    }
}

/// The number at the start of a text that ends in a zero byte, and its length; none if there is no number.
pub(super) fn parse(text: &[u8]) -> Option<(f64, usize)> {
    let negative = text[0] == b'-';
    let start = usize::from(negative || text[0] == b'+');
    let (magnitude, len) = parse_magnitude(&text[start..])?;
    let value = if negative { -magnitude } else { magnitude };
    Some((value, start + len))
}

#[inline]
fn parse_magnitude(text: &[u8]) -> Option<(f64, usize)> {
    let mut scan = Scan::default();
    scan.digits(text);
    let whole = scan.at;
    if scan.is_whole_at_end(text) {
        return Some((scan.mantissa as f64, scan.at));
    }
    if whole == 0 && text[0] != b'.' {
        return parse_word(text);
    }
    if whole == 1 && text[0] == b'0' && matches!(text[1], b'x' | b'X') {
        return Some(parse_hexadecimal(text).unwrap_or((0.0, 1)));
    }
    if text[scan.at] == b'.' {
        scan.at += 1;
        let before = scan.at;
        scan.digits(text);
        let fraction = scan.at - before;
        if whole == 0 && fraction == 0 {
            return None;
        }
        scan.power -= fraction as i64;
    }
    if matches!(text[scan.at], b'e' | b'E') {
        scan.exponent(text);
    }
    let value = scan.exact().unwrap_or_else(|| {
        let digits = str::from_utf8(&text[..scan.at]).expect("digits are ASCII");
        digits.parse().expect("a decimal number")
    });
    Some((value, scan.at))
}

/// How far a decimal number has been read, and what it is so far.
#[derive(Default)]
struct Scan {
    at: usize,
    /// The digits, which overflow unnoticed; see `count`.
    mantissa: u64,
    /// How many digits went into the mantissa, zeros in front not counted.
    count: u32,
    /// The power of ten that the mantissa is to be multiplied by.
    power: i64,
}

/// So many digits fit into the mantissa whatever they are.
const COUNT_EXACT: u32 = 19;

impl Scan {
    #[inline]
    fn digits(&mut self, text: &[u8]) {
        while let digit @ b'0'..=b'9' = text[self.at] {
            let digit = u64::from(digit - b'0');
            self.mantissa = self.mantissa.wrapping_mul(10).wrapping_add(digit);
            self.count += u32::from(self.count != 0 || digit != 0);
            self.at += 1;
        }
    }

    /// Whether the number ended after its whole part, and the mantissa is all of it.
    #[inline]
    fn is_whole_at_end(&self, text: &[u8]) -> bool {
        self.at > 0
            && self.count <= COUNT_EXACT
            && !matches!(text[self.at], b'.' | b'e' | b'E' | b'x' | b'X')
    }

    /// Reads an exponent, if its letter is followed by one.
    fn exponent(&mut self, text: &[u8]) {
        let sign = usize::from(matches!(text[self.at + 1], b'+' | b'-'));
        let start = self.at + 1;
        let mut end = start + sign;
        while text[end].is_ascii_digit() {
            end += 1;
        }
        if end > start + sign {
            self.at = end;
            // Held at 10^15, which is no less out of reach.
            self.power += num::parse_exponent(&text[start..end]).expect("a sign and digits");
        }
    }

    /// The value if one operation on exact operands gives it, which rounds once and so rightly.
    #[inline]
    fn exact(&self) -> Option<f64> {
        const POWERS: [f64; 23] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
            1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
        ];
        if self.count > COUNT_EXACT || self.mantissa > 1 << f64::MANTISSA_DIGITS {
            return None;
        }
        let power = *POWERS.get(self.power.unsigned_abs() as usize)?;
        let mantissa = self.mantissa as f64;
        Some(if self.power < 0 {
            mantissa / power
        } else {
            mantissa * power
        })
    }
}

/// Infinity or NaN, in any case; NaN perhaps with something in parentheses.
fn parse_word(text: &[u8]) -> Option<(f64, usize)> {
    let begins = |word: &[u8]| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    if begins(b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if begins(b"inf") {
        return Some((f64::INFINITY, 3));
    }
    if !begins(b"nan") {
        return None;
    }
    let mut end = 4;
    if text[3] == b'(' {
        while text[end].is_ascii_alphanumeric() || text[end] == b'_' {
            end += 1;
        }
        if text[end] == b')' {
            return Some((f64::NAN, end + 1));
        }
    }
    Some((f64::NAN, 3))
}

/// A hexadecimal number that starts with its `0x`; none if no digit follows that.
fn parse_hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let digits_end = |mut at: usize| {
        while text[at].is_ascii_hexdigit() {
            at += 1;
        }
        at
    };
    let start = 2;
    let mut end = digits_end(start);
    if text[end] == b'.' {
        let fraction_end = digits_end(end + 1);
        if fraction_end == start + 1 {
            return None;
        }
        end = fraction_end;
    }
    if end == start {
        return None;
    }
    if matches!(text[end], b'p' | b'P') {
        let power = end + 1 + usize::from(matches!(text[end + 1], b'+' | b'-'));
        let digits = text[power..].iter().take_while(|b| b.is_ascii_digit());
        match digits.count() {
            0 => {}
            len => end = power + len,
        }
    }
    let value = num::parse_f64(&text[..end]).unwrap_or_else(|| {
        // Outside the range of a double, on the side that the exponent tells.
        let hexadecimal = HexFloat::parse(&text[start..end]);
        match hexadecimal.is_some_and(|number| number.exponent > 0) {
            true => f64::INFINITY,
            false => 0.0,
        }
    });
    Some((value, end))
}

#[cfg(test)]
mod tests {
    use super::{TEXT_MAX, format, parse};

    fn check_format(value: f64, precision: usize, expected: &str) {
        let mut buffer = [0; TEXT_MAX];
        let text = format(&mut buffer, value, precision);
        assert_eq!(text, expected.as_bytes(), "{value:?} {precision}");
    }

    #[test]
    fn writes_what_printf_writes() {
        check_format(0.0, 14, "0");
        check_format(-0.0, 14, "-0");
        check_format(0.1, 14, "0.1");
        check_format(0.1 + 0.2, 14, "0.3");
        check_format(-1.0 / 3.0, 14, "-0.33333333333333");
        check_format(2.0 / 3.0, 3, "0.667");
        check_format(99_999_999_999_999.0, 14, "99999999999999");
        check_format(100_000_000_000_000.0, 14, "1e+14");
        check_format(99_999_999_999_999.9, 14, "1e+14");
        check_format(9.999_999_999_999_999, 14, "10");
        check_format(0.0001, 14, "0.0001");
        check_format(0.000_099_999_999_999_999_9, 14, "0.0001");
        check_format(0.000_01, 14, "1e-05");
        check_format(123_456.789, 1, "1e+05");
        check_format(123_456.0, 6, "123456");
        check_format(123_456.0, 5, "1.2346e+05");
        check_format(f64::MAX, 14, "1.7976931348623e+308");
        check_format(5e-324, 14, "4.9406564584125e-324");
        check_format(f64::NEG_INFINITY, 14, "-inf");
        check_format(-f64::NAN, 14, "nan");
        // The shortest text ends in a 5 behind the last digit; the exact value decides.
        check_format(0.5, 1, "0.5");
        check_format(2.5, 1, "2");
        check_format(3.5, 1, "4");
        check_format(0.15, 1, "0.1");
        check_format(0.25, 1, "0.2");
        check_format(0.35, 1, "0.3");
        check_format(1.005, 3, "1");
        check_format(8.345, 3, "8.35");
    }

    fn check_parse(text: &str, expected: Option<(f64, usize)>) {
        let with_zero = [text.as_bytes(), b"\0"].concat();
        let found = parse(&with_zero);
        let bits = |found: Option<(f64, usize)>| found.map(|(value, len)| (value.to_bits(), len));
        assert_eq!(bits(found), bits(expected), "{text}: {found:?}");
    }

    #[test]
    fn reads_what_strtod_reads() {
        check_parse("0", Some((0.0, 1)));
        check_parse("-0", Some((-0.0, 2)));
        check_parse("+12,", Some((12.0, 3)));
        check_parse("007", Some((7.0, 3)));
        check_parse("1.5]", Some((1.5, 3)));
        check_parse("1.", Some((1.0, 2)));
        check_parse(".5", Some((0.5, 2)));
        check_parse(".", None);
        check_parse("-", None);
        check_parse("1e5", Some((1e5, 3)));
        check_parse("1e", Some((1.0, 1)));
        check_parse("1e+", Some((1.0, 1)));
        check_parse("1E-7x", Some((1e-7, 4)));
        check_parse("1e999", Some((f64::INFINITY, 5)));
        check_parse("-1e-999", Some((-0.0, 7)));
        check_parse("1e99999999999999999999", Some((f64::INFINITY, 22)));
        check_parse(
            "18446744073709551615",
            Some((18_446_744_073_709_551_615.0, 20)),
        );
        check_parse("9007199254740993", Some((9_007_199_254_740_992.0, 16)));
        check_parse("0.30000000000000004", Some((0.1 + 0.2, 19)));
        check_parse("0x10", Some((16.0, 4)));
        check_parse("-0xA.8p1,", Some((-21.0, 8)));
        check_parse("0x", Some((0.0, 1)));
        check_parse("0x.p1", Some((0.0, 1)));
        check_parse("0x1p", Some((1.0, 3)));
        check_parse("0x1p9999", Some((f64::INFINITY, 8)));
        check_parse("0x1p-9999", Some((0.0, 9)));
        check_parse("inf", Some((f64::INFINITY, 3)));
        check_parse("-InfinityX", Some((f64::NEG_INFINITY, 9)));
        check_parse("NaN", Some((f64::NAN, 3)));
        check_parse("-nan(12_a)]", Some((-f64::NAN, 10)));
        check_parse("nan(12", Some((f64::NAN, 3)));
        check_parse("nul", None);
    }
}
