//! Text to number and back, by Redis's rules.
//!
//! Owns the strict integer grammar that decides what counts as an integer everywhere (values,
//! arguments, listpack entries), the `strtod` grammar of floating-point arguments, the shortest
//! text of a double, and memory sizes. Everything works on byte strings: nothing here assumes
//! UTF-8 or panics on any input, and only `humanize_bytes` allocates. The 80-bit floats of INCRBYFLOAT are in `longdouble`.

/// The bytes the longest integer text takes: the sign and 19 digits, or 20 digits unsigned.
pub const INTEGER_TEXT_MAX: usize = 20;

/// The bytes the longest text of `format_f64_shortest` can take, rounded up.
pub const F64_TEXT_MAX: usize = 32;

/// Parses a signed integer in the one form that prints back to the same bytes.
///
/// Refused are: nothing at all, spaces, `+`, leading zeros, `-0`, and values outside `i64`.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let magnitude = parse_digits(digits)?;
    if negative {
        // "-0" prints back as "0", so it is not an integer's text.
        if magnitude == 0 || magnitude > i64::MIN.unsigned_abs() {
            return None;
        }
        Some((magnitude as i64).wrapping_neg())
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Parses an unsigned integer by the same strict rules: digits only, no leading zeros.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    parse_digits(text)
}

/// Decimal digits without a leading zero, at most `u64::MAX`.
#[inline]
fn parse_digits(digits: &[u8]) -> Option<u64> {
    let (&first, mut rest) = digits.split_first()?;
    let mut value = u64::from(first.wrapping_sub(b'0'));
    if value > 9 || (value == 0 && !rest.is_empty()) || rest.len() >= INTEGER_TEXT_MAX {
        return None;
    }
    // The first 19 digits cannot overflow; a 20th is checked below.
    let last = if rest.len() == INTEGER_TEXT_MAX - 1 {
        let (&last, shorter) = rest.split_last()?;
        rest = shorter;
        Some(last)
    } else {
        None
    };
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        value = value * 100_000_000 + parse_eight_digits(*chunk)?;
        rest = tail;
    }
    for &byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    let Some(last) = last else { return Some(value) };
    let digit = last.wrapping_sub(b'0');
    if digit > 9 {
        return None;
    }
    value.checked_mul(10)?.checked_add(u64::from(digit))
}

/// Eight digits at once: each step adds neighbours, so that three multiplications do what eight would.
#[inline]
fn parse_eight_digits(chunk: [u8; 8]) -> Option<u64> {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const THREES: u64 = 0x3030_3030_3030_3030;
    let word = u64::from_le_bytes(chunk);
    // A byte is a digit if its high nibble is 3, and still is when 6 is added.
    if word & HIGH != THREES || word.wrapping_add(0x0606_0606_0606_0606) & HIGH != THREES {
        return None;
    }
    let digits = word & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// Parses a double as the commands that take a float argument do.
///
/// The grammar is C's `strtod` in the "C" locale without leading space: a sign, decimal digits
/// with a point and an exponent, hexadecimal digits with a binary exponent, `inf` or `infinity`
/// in any case. Refused are NaN, anything left over, a number too large for a double, and one
/// too small for it that is not zero.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    // Scores are mostly small integers, which a double holds exactly.
    if text.len() <= 15
        && let Some(integer) = parse_i64(text)
    {
        return Some(integer as f64);
    }
    let (negative, unsigned) = split_sign(text);
    let magnitude = if is_infinity(unsigned) {
        f64::INFINITY
    } else if let [b'0', b'x' | b'X', digits @ ..] = unsigned {
        parse_hex_f64(digits)?
    } else {
        parse_decimal_f64(unsigned)?
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// The text without its sign, and whether that was a minus.
pub(crate) fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// Whether an unsigned text is one of `strtod`'s two words for infinity.
pub(crate) fn is_infinity(unsigned: &[u8]) -> bool {
    unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity")
}

fn parse_decimal_f64(unsigned: &[u8]) -> Option<f64> {
    // What remains of Rust's grammar once it starts with a digit or a point is strtod's.
    if !matches!(unsigned.first()?, b'0'..=b'9' | b'.') {
        return None;
    }
    let value: f64 = std::str::from_utf8(unsigned).ok()?.parse().ok()?;
    if value.is_infinite() {
        return None;
    }
    if value == 0.0 {
        let mut mantissa = unsigned
            .iter()
            .take_while(|byte| !matches!(byte, b'e' | b'E'));
        if mantissa.any(|byte| matches!(byte, b'1'..=b'9')) {
            return None;
        }
    }
    Some(value)
}

fn parse_hex_f64(digits: &[u8]) -> Option<f64> {
    let hex = HexFloat::parse(digits)?;
    if hex.mantissa == 0 {
        return Some(0.0);
    }
    // The leading bit's place decides how many bits the double keeps: 53, fewer below 2^-1022.
    let top = hex.exponent + 127;
    if !(-1075..1024).contains(&top) {
        return None;
    }
    let kept = 53 + (top + 1022).min(0);
    let rounded = round_to_bits(hex.mantissa, hex.sticky, kept as u32);
    // Exact: `rounded` has only the bits that fit, and at most 2^53 of them.
    let value = scale_by_power_of_two(rounded as f64, hex.exponent + 128 - kept);
    (value.is_finite() && value != 0.0).then_some(value)
}

/// A hexadecimal float: `mantissa * 2^exponent`, the mantissa's top bit set unless it is zero.
pub(crate) struct HexFloat {
    pub(crate) mantissa: u128,
    /// Held within ±100,000, far outside every format's range.
    pub(crate) exponent: i64,
    /// Whether bits that are not zero follow the mantissa's last.
    pub(crate) sticky: bool,
}

impl HexFloat {
    /// Parses what follows `0x`: digits with a point, then perhaps `p` and a decimal exponent.
    pub(crate) fn parse(text: &[u8]) -> Option<HexFloat> {
        let (digits, power) = match text.iter().position(|byte| matches!(byte, b'p' | b'P')) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (mut mantissa, mut exponent, mut sticky) = (0u128, power, false);
        let (mut digit_seen, mut point_seen) = (false, false);
        for &byte in digits {
            if byte == b'.' && !point_seen {
                point_seen = true;
                continue;
            }
            let digit = char::from(byte).to_digit(16)?;
            digit_seen = true;
            let fits = mantissa >> 124 == 0;
            if fits {
                mantissa = mantissa << 4 | u128::from(digit);
            } else {
                sticky |= digit != 0;
            }
            exponent += match (fits, point_seen) {
                (true, true) => -4,
                (false, false) => 4,
                _ => 0,
            };
        }
        let shift = mantissa.leading_zeros() % 128;
        let hex = HexFloat {
            mantissa: mantissa << shift,
            exponent: (exponent - i64::from(shift)).clamp(-100_000, 100_000),
            sticky,
        };
        digit_seen.then_some(hex)
    }
}

/// A signed decimal exponent; one too long to matter is held at ±10^15, beyond what any number
/// of digits in a text can make up for.
pub(crate) fn parse_exponent(text: &[u8]) -> Option<i64> {
    const HELD_AT: i64 = 1_000_000_000_000_000;
    let (negative, digits) = split_sign(text);
    let mut value = 0i64;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = (value * 10 + i64::from(byte - b'0')).min(HELD_AT);
    }
    let value = if negative { -value } else { value };
    (!digits.is_empty()).then_some(value)
}

/// The top `bits` (0 to 64) of a normalized mantissa, the rest rounded half to even.
///
/// `sticky` says that bits which are not zero follow the mantissa. A carry may take the result
/// to `2^bits`.
pub(crate) fn round_to_bits(mantissa: u128, sticky: bool, bits: u32) -> u128 {
    if bits == 0 {
        let half = 1 << 127;
        return u128::from(mantissa > half || (mantissa == half && sticky));
    }
    let dropped = 128 - bits;
    let kept = mantissa >> dropped;
    let rest = mantissa << bits;
    let half = 1 << 127;
    let up = rest > half || (rest == half && (sticky || kept & 1 == 1));
    kept + u128::from(up)
}

/// `value * 2^exponent` in steps that stay inside the range of a double.
fn scale_by_power_of_two(mut value: f64, mut exponent: i64) -> f64 {
    while exponent != 0 {
        let step = exponent.clamp(-1022, 1023);
        value *= f64::from_bits(((step + 1023) as u64) << 52);
        exponent -= step;
    }
    value
}

/// Writes a signed integer as text.
#[inline]
pub fn format_i64(buffer: &mut [u8; INTEGER_TEXT_MAX], value: i64) -> &[u8] {
    let mut digits = itoa::Buffer::new();
    let text = digits.format(value).as_bytes();
    buffer[..text.len()].copy_from_slice(text);
    &buffer[..text.len()]
}

/// How many decimal digits a number takes; 1 for zero.
#[inline]
pub fn digits10(value: u64) -> usize {
    value.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// How many bytes `format_i64` would write.
#[inline]
pub fn digits10_i64(value: i64) -> usize {
    digits10(value.unsigned_abs()) + usize::from(value < 0)
}

/// Writes a double the way scores and RESP3 doubles are printed.
///
/// Whole numbers up to 2^62 are plain integers, everything else is the fewest digits that read
/// back as the same double: plain if at most seven zeros pad it, else with an exponent (`1e+19`).
/// Also `inf`, `-inf`, `nan`, `0` and `-0`.
pub fn format_f64_shortest(buffer: &mut [u8; F64_TEXT_MAX], value: f64) -> &[u8] {
    let special: &[u8] = if value.is_nan() {
        b"nan"
    } else if value.is_infinite() {
        if value > 0.0 { b"inf" } else { b"-inf" }
    } else if value == 0.0 {
        if value.is_sign_negative() {
            b"-0"
        } else {
            b"0"
        }
    } else {
        b""
    };
    let mut out = TextWriter {
        bytes: buffer,
        len: 0,
    };
    const WHOLE_MAX: f64 = (1u64 << 62) as f64;
    if !special.is_empty() {
        out.put(special);
    } else if value.abs() <= WHOLE_MAX && value as i64 as f64 == value {
        out.put(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        put_shortest(&mut out, value);
    }
    let len = out.len;
    &buffer[..len]
}

fn put_shortest(out: &mut TextWriter<'_>, value: f64) {
    let mut text = zmij::Buffer::new();
    let shortest = Shortest::of(text.format_finite(value.abs()).as_bytes());
    let digits = &shortest.digits[..shortest.len];
    let len = digits.len() as i32;
    // The value is the digits, read as an integer, times 10^scale.
    let scale = shortest.exponent - (len - 1);
    if value < 0.0 {
        out.put(b"-");
    }
    if scale >= 0 && shortest.exponent < len + 7 {
        out.put(digits);
        out.put_zeros(scale as usize);
    } else if scale < 0 && (scale > -7 || shortest.exponent.abs() < 4) {
        let whole = len + scale;
        if whole <= 0 {
            out.put(b"0.");
            out.put_zeros(-whole as usize);
            out.put(digits);
        } else {
            let (whole, fraction) = digits.split_at(whole as usize);
            out.put(whole);
            out.put(b".");
            out.put(fraction);
        }
    } else {
        out.put(&digits[..1]);
        if len > 1 {
            out.put(b".");
            out.put(&digits[1..]);
        }
        out.put(if shortest.exponent < 0 { b"e-" } else { b"e+" });
        out.put(
            itoa::Buffer::new()
                .format(shortest.exponent.unsigned_abs())
                .as_bytes(),
        );
    }
}

/// The shortest digits of a positive double: `d.ddd * 10^exponent`, no zeros at either end.
struct Shortest {
    digits: [u8; 20],
    len: usize,
    exponent: i32,
}

impl Shortest {
    /// Takes apart a decimal text such as `0.00123`, `1200.0` or `1.5e-7`.
    fn of(text: &[u8]) -> Shortest {
        let (mantissa, power) = match memchr::memchr(b'e', text) {
            Some(at) => (
                &text[..at],
                parse_exponent(&text[at + 1..]).unwrap_or(0) as i32,
            ),
            None => (text, 0),
        };
        let mut shortest = Shortest {
            digits: [0; 20],
            len: 0,
            exponent: power - 1,
        };
        let mut zeros_pending = 0;
        let mut point_seen = false;
        for &byte in mantissa {
            if byte == b'.' {
                point_seen = true;
                continue;
            }
            let leading_zero = byte == b'0' && shortest.len == 0;
            // The exponent counts digits before the point, or takes zeros after it away.
            match (point_seen, leading_zero) {
                (false, false) => shortest.exponent += 1,
                (true, true) => shortest.exponent -= 1,
                _ => {}
            }
            if leading_zero {
                continue;
            }
            if byte == b'0' {
                zeros_pending += 1;
                continue;
            }
            for digit in std::iter::repeat_n(b'0', zeros_pending).chain([byte]) {
                shortest.digits[shortest.len] = digit;
                shortest.len += 1;
            }
            zeros_pending = 0;
        }
        shortest
    }
}

/// Appends to a fixed buffer; running over it would be a wrong bound above, and panics.
struct TextWriter<'a> {
    bytes: &'a mut [u8; F64_TEXT_MAX],
    len: usize,
}

impl TextWriter<'_> {
    fn put(&mut self, text: &[u8]) {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    fn put_zeros(&mut self, count: usize) {
        self.bytes[self.len..self.len + count].fill(b'0');
        self.len += count;
    }
}

/// Parses a memory size: digits and a unit in any case, `k`, `m`, `g` being powers of 1000 and
/// `kb`, `mb`, `gb` powers of 1024.
///
/// No digits at all count as zero, as they do in Redis. A size over `u64` is the largest one, where
/// Redis would wrap around if it has a unit.
pub fn parse_memory(text: &[u8]) -> Option<u64> {
    let split = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    const UNITS: [(&[u8], u64); 8] = [
        (b"", 1),
        (b"b", 1),
        (b"k", 1000),
        (b"kb", 1 << 10),
        (b"m", 1_000_000),
        (b"mb", 1 << 20),
        (b"g", 1_000_000_000),
        (b"gb", 1 << 30),
    ];
    let (_, unit_bytes) = UNITS
        .iter()
        .find(|(name, _)| equals_ignore_case(name, unit))?;
    let size = digits.iter().fold(0u64, |size, digit| {
        size.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(size.saturating_mul(*unit_bytes))
}

/// A size in bytes for people to read, as in INFO's `*_human` fields: `512B`, `1.50M`.
pub fn humanize_bytes(bytes: u64) -> String {
    const UNITS: &[u8; 5] = b"KMGTP";
    let power = bytes.checked_ilog2().unwrap_or(0) / 10;
    match power {
        1..=5 => {
            let unit = char::from(UNITS[power as usize - 1]);
            format!("{:.2}{unit}", bytes as f64 / (1u64 << (10 * power)) as f64)
        }
        _ => format!("{bytes}B"),
    }
}

/// Whether two texts are equal but for the case of ASCII letters.
#[inline]
pub fn equals_ignore_case(left: &[u8], right: &[u8]) -> bool {
    left.eq_ignore_ascii_case(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        fn check(text: &str, expected: Option<i64>) {
            assert_eq!(parse_i64(text.as_bytes()), expected, "{text:?}");
            let unsigned = expected.and_then(|value| u64::try_from(value).ok());
            if text.len() < 19 {
                assert_eq!(parse_u64(text.as_bytes()), unsigned, "{text:?} unsigned");
            }
            if let Some(value) = expected {
                assert_eq!(
                    format_i64(&mut [0; INTEGER_TEXT_MAX], value),
                    text.as_bytes()
                );
                assert_eq!(digits10_i64(value), text.len());
            }
        }
        for good in [
            0,
            1,
            -1,
            9,
            10,
            -10,
            12_345_678,
            123_456_789,
            -100_000_000,
            i64::MAX,
            i64::MIN,
        ] {
            check(&good.to_string(), Some(good));
        }
        for bad in [
            "",
            "-",
            "--1",
            "+1",
            " 1",
            "1 ",
            "1\0",
            "-0",
            "00",
            "01",
            "-01",
            "1.0",
            "0x1",
            "1e3",
            "12345678a",
            "1234567a8",
            "1/345678",
            "1:345678",
            "1\u{e9}45678",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999",
            "100000000000000000000",
            "-100000000000000000000",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn every_length_and_every_wrong_byte() {
        let digits = b"1234567890123456789";
        for len in 1..=digits.len() {
            let text = &digits[..len];
            let expected: u64 = std::str::from_utf8(text).unwrap().parse().unwrap();
            assert_eq!(parse_u64(text), Some(expected));
            for at in 0..len {
                for byte in (0..=255u8).filter(|byte| !byte.is_ascii_digit()) {
                    let mut wrong = text.to_vec();
                    wrong[at] = byte;
                    assert_eq!(parse_u64(&wrong), None, "{wrong:?}");
                }
            }
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"1844674407370955161x"), None);
    }

    #[test]
    fn digit_counts() {
        for power in 0..20 {
            let value = 10u64.pow(power);
            assert_eq!(digits10(value), power as usize + 1);
            assert_eq!(digits10(value - 1), (power as usize).max(1));
        }
    }

    #[test]
    fn floats() {
        fn check(text: &str, expected: &str) {
            let mut buffer = [0; F64_TEXT_MAX];
            let printed = parse_f64(text.as_bytes()).map_or(&b"refused"[..], |value| {
                format_f64_shortest(&mut buffer, value)
            });
            assert_eq!(std::str::from_utf8(printed).unwrap(), expected, "{text:?}");
        }
        // What ZADD and ZSCORE of Valkey 8.1.1 answered, but for -0, which ZADD stores as 0.
        for (text, expected) in [
            ("0", "0"),
            ("-0", "-0"),
            ("+5", "5"),
            ("00012", "12"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1E5", "100000"),
            ("0x1p3", "8"),
            ("0X1P+3", "8"),
            ("0x1p-3", "0.125"),
            ("0x.8", "0.5"),
            ("0x8.", "8"),
            ("-0x1.8", "-1.5"),
            ("0e99999999999999999999", "0"),
            ("0x0p-99999", "0"),
            ("inf", "inf"),
            ("+INF", "inf"),
            ("-infinity", "-inf"),
            ("1e-320", "1e-320"),
            ("0x1.0001p-1075", "5e-324"),
            ("2.4703282292062328e-324", "5e-324"),
            ("0x1.fffffffffffff7fp1023", "1.7976931348623157e+308"),
            // Half-way cases: to even, unless something is left however far behind.
            ("0x1.00000000000008p0", "1"),
            ("0x1.00000000000018p0", "1.0000000000000004"),
            (
                "0x1.00000000000008000000000000000000000000000000001p0",
                "1.0000000000000002",
            ),
            ("0x0.000000000000000000000000000000000000001p156", "1"),
            ("0x10000000000000000000000000000000000000000p-160", "1"),
            ("4611686018427387904", "4611686018427387904"),
            ("4611686018427389952", "4611686018427390000"),
            ("1e18", "1000000000000000000"),
            ("1e19", "1e+19"),
            ("123456789e11", "1.23456789e+19"),
            ("0.001234", "0.001234"),
            ("0.00001", "0.00001"),
            ("0.0000001", "1e-7"),
            ("12345.678901234567", "1.2345678901234567e+4"),
            ("-1234.5678901234567", "-1234.5678901234567"),
            ("1.5e300", "1.5e+300"),
            ("-1.7976931348623157e308", "-1.7976931348623157e+308"),
        ] {
            check(text, expected);
        }
        for text in [
            "",
            " ",
            ".",
            "+",
            "-",
            "--1",
            "+-1",
            "e5",
            "1e",
            "1e+",
            "1_0",
            "1,5",
            "0b1",
            "0x",
            "0x.",
            "0x1p",
            "0x1p+",
            "0x1.1.1",
            "0x1g",
            "-0xp1",
            " 1",
            "1 ",
            "1\t",
            "\u{0}1",
            "1\u{0}",
            "nan",
            "-NaN",
            "nan(1)",
            "infin",
            "infinityx",
            "1e400",
            "-1e400",
            "1e-400",
            "1e99999999999999999999",
            "0x1p99999999999999999999",
            "0x1p1024",
            "0x1.fffffffffffff8p1023",
            "0x1p-1075",
            "0x1p-1080",
            "2.4703282292062327e-324",
            "1.7976931348623159e308",
            "\u{661}",
            "inf\u{e9}",
        ] {
            check(text, "refused");
        }
    }

    #[test]
    fn shortest_text_reads_back() {
        let mut bits = 1u64;
        for _ in 0..200_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                let mut buffer = [0; F64_TEXT_MAX];
                let text = format_f64_shortest(&mut buffer, value);
                assert_eq!(parse_f64(text), Some(value), "{value:e}");
            }
        }
    }

    #[test]
    fn memory_sizes() {
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(parse_memory(text.as_bytes()), expected, "{text:?}");
        }
        for (text, expected) in [
            ("", 0),
            ("mb", 0),
            ("0", 0),
            ("007", 7),
            ("5b", 5),
            ("1k", 1000),
            ("1Kb", 1024),
            ("2m", 2_000_000),
            ("2MB", 2 << 20),
            ("3G", 3_000_000_000),
            ("3gb", 3 << 30),
            ("18446744073709551615", u64::MAX),
            ("18446744073709551616", u64::MAX),
            ("99999999999999999999b", u64::MAX),
            ("17179869184gb", u64::MAX),
        ] {
            check(text, Some(expected));
        }
        for text in [
            "1x",
            "1kbb",
            "-1",
            "+1",
            " 1",
            "1 mb",
            "1.5mb",
            "0x10",
            "99999999999999999999x",
        ] {
            check(text, None);
        }
        check("17179869183gb", Some((u64::MAX >> 30) << 30));
    }

    #[test]
    fn sizes_for_people() {
        fn check(bytes: u64, expected: &str) {
            assert_eq!(humanize_bytes(bytes), expected);
        }
        check(0, "0B");
        check(1023, "1023B");
        check(1024, "1.00K");
        check(1_572_864, "1.50M");
        check((1 << 30) - 1, "1024.00M");
        check(1 << 30, "1.00G");
        check(1 << 40, "1.00T");
        check(3 << 49, "1.50P");
        check(1 << 60, "1152921504606846976B");
        check(u64::MAX, "18446744073709551615B");
    }
}
