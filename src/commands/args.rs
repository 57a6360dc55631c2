//! Reading arguments: numbers, options and expiries, with the errors that clients know.

use crate::base::num::{parse_f64, parse_i64};
use crate::resp::error::{self, ErrorReply};
use crate::resp::request::Argv;

/// The integer that an argument is.
#[inline]
pub fn integer(arg: &[u8]) -> Result<i64, ErrorReply> {
    parse_i64(arg).ok_or(error::NOT_AN_INTEGER)
}

/// The integer that an argument is, within a range; else the error given.
pub fn integer_in(
    arg: &[u8],
    range: std::ops::RangeInclusive<i64>,
    otherwise: ErrorReply,
) -> Result<i64, ErrorReply> {
    match parse_i64(arg) {
        Some(n) if range.contains(&n) => Ok(n),
        _ => Err(otherwise),
    }
}

/// The integer of 32 bits that an argument is.
pub fn integer32(arg: &[u8]) -> Result<i32, ErrorReply> {
    integer_between(arg, i32::MIN.into(), i32::MAX.into()).map(|n| n as i32)
}

/// The integer that an argument is, within a range that the error names.
pub fn integer_between(arg: &[u8], min: i64, max: i64) -> Result<i64, ErrorReply> {
    match integer(arg)? {
        n if (min..=max).contains(&n) => Ok(n),
        _ => Err(format!("ERR value is out of range, value must between {min} and {max}").into()),
    }
}

/// The microseconds of a timeout that is given in seconds; none if it is 0, for ever. What rounds up to
/// 0 milliseconds counts as that.
pub fn timeout_us(arg: &[u8], now_ms: i64) -> Result<Option<i64>, ErrorReply> {
    let seconds = parse_f64(arg).ok_or(error::TIMEOUT_NOT_A_FLOAT)?;
    let ms = (seconds * 1000.0).ceil();
    if ms < 0.0 {
        return Err(error::TIMEOUT_NEGATIVE);
    }
    // A number beyond the largest integer is converted to that.
    match now_ms.checked_add(ms as i64) {
        None => Err(error::TIMEOUT_OUT_OF_RANGE),
        Some(_) if ms == 0.0 => Ok(None),
        Some(_) => Ok(Some((seconds * 1e6).ceil() as i64)),
    }
}

/// How long to wait at most, given in milliseconds, in microseconds; 0 is for ever.
pub fn wait_us(arg: &[u8], now_ms: i64) -> Result<Option<i64>, ErrorReply> {
    let ms = integer(arg).map_err(|_| error::TIMEOUT_NOT_AN_INTEGER)?;
    match now_ms.checked_add(ms) {
        _ if ms < 0 => Err(error::TIMEOUT_NEGATIVE),
        None => Err(error::TIMEOUT_OUT_OF_RANGE),
        Some(_) => Ok((ms > 0).then(|| ms.saturating_mul(1000))),
    }
}

/// Whether an argument is this word, in any case.
#[inline]
pub fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// How an expiry is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Seconds from now (EX).
    Seconds,
    /// Milliseconds from now (PX).
    Milliseconds,
    /// Seconds of the Unix clock (EXAT).
    UnixSeconds,
    /// Milliseconds of the Unix clock (PXAT).
    UnixMilliseconds,
}

impl Unit {
    /// The option of this name.
    pub fn of_option(arg: &[u8]) -> Option<Unit> {
        if arg.len() > 4 {
            return None;
        }
        Some(match () {
            _ if is(arg, "EX") => Unit::Seconds,
            _ if is(arg, "PX") => Unit::Milliseconds,
            _ if is(arg, "EXAT") => Unit::UnixSeconds,
            _ if is(arg, "PXAT") => Unit::UnixMilliseconds,
            _ => return None,
        })
    }

    /// Whether it counts seconds.
    pub fn is_seconds(self) -> bool {
        matches!(self, Unit::Seconds | Unit::UnixSeconds)
    }

    /// Whether it counts from now.
    pub fn is_relative(self) -> bool {
        matches!(self, Unit::Seconds | Unit::Milliseconds)
    }

    /// The time a value stands for, in milliseconds of the Unix clock; `None` if that is no time of
    /// 64 bits.
    pub fn at_ms(self, value: i64, now_ms: i64) -> Option<i64> {
        let ms = if self.is_seconds() {
            value.checked_mul(1000)?
        } else {
            value
        };
        if self.is_relative() {
            ms.checked_add(now_ms)
        } else {
            Some(ms)
        }
    }
}

/// The time at which a value with such an expiry is to end, which must lie after the epoch.
pub fn expiry_at_ms(arg: &[u8], unit: Unit, now_ms: i64, command: &str) -> Result<i64, ErrorReply> {
    let value = integer(arg)?;
    match unit.at_ms(value, now_ms) {
        Some(at) if value > 0 && at > 0 => Ok(at),
        _ => Err(error::invalid_expire(command)),
    }
}

/// The argument after `index`, which an option there needs.
pub fn after<'a>(argv: Argv<'a>, index: usize) -> Result<&'a [u8], ErrorReply> {
    argv.get(index + 1).ok_or(error::SYNTAX)
}
