//! IDs as commands are given them and show them: `5-3`, `5`, and in ranges `-`, `+` and `(5-3`.

use crate::data::stream::{IdBuffer, StreamId};
use crate::resp::error::ErrorReply;
use crate::resp::reply::Reply;

/// What is no ID.
pub(super) const INVALID_ID: ErrorReply =
    ErrorReply::Fixed("ERR Invalid stream ID specified as stream command argument");

/// The longest argument that is looked at.
const TEXT_MAX: usize = 127;

/// The ID that an argument is; given by its time alone, its number is 0.
#[inline]
pub(super) fn parse(arg: &[u8]) -> Result<StreamId, ErrorReply> {
    try_parse(arg).ok_or(INVALID_ID)
}

/// The same for an argument that may be something else.
#[inline]
pub(super) fn try_parse(arg: &[u8]) -> Option<StreamId> {
    if arg.len() > TEXT_MAX {
        return None;
    }
    StreamId::parse(arg, 0)
}

/// The time and number that XADD is given: the number is `None` for `5-*`.
#[inline]
pub(super) fn parse_new(arg: &[u8]) -> Result<(u64, Option<u64>), ErrorReply> {
    if arg.len() <= TEXT_MAX
        && let Some((ms, Some(b"*"))) = StreamId::parse_parts(arg)
    {
        return Ok((ms, None));
    }
    let id = parse(arg)?;
    Ok((id.ms, Some(id.seq)))
}

/// The lower end of a range, which is part of it.
pub(super) fn range_start(arg: &[u8]) -> Result<StreamId, ErrorReply> {
    const NONE: ErrorReply = ErrorReply::Fixed("ERR invalid start ID for the interval");
    match arg {
        [b'(', id @ ..] if !id.is_empty() => parse(id)?.next().ok_or(NONE),
        end => limit(end, 0),
    }
}

/// The upper end of a range, which is part of it.
pub(super) fn range_end(arg: &[u8]) -> Result<StreamId, ErrorReply> {
    const NONE: ErrorReply = ErrorReply::Fixed("ERR invalid end ID for the interval");
    match arg {
        [b'(', id @ ..] if !id.is_empty() => limit_number(id, u64::MAX)?.previous().ok_or(NONE),
        end => limit(end, u64::MAX),
    }
}

/// An ID, `-` for the least or `+` for the greatest; given by its time alone it has this number.
pub(super) fn limit(arg: &[u8], missing_seq: u64) -> Result<StreamId, ErrorReply> {
    match arg {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        id => limit_number(id, missing_seq),
    }
}

fn limit_number(arg: &[u8], missing_seq: u64) -> Result<StreamId, ErrorReply> {
    if arg.len() > TEXT_MAX {
        return Err(INVALID_ID);
    }
    StreamId::parse(arg, missing_seq).ok_or(INVALID_ID)
}

/// Replies with an ID.
#[inline]
pub(super) fn reply_id(reply: &mut Reply, id: StreamId) {
    reply.bulk(id.format(&mut IdBuffer::new()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(ms: u64, seq: u64) -> StreamId {
        StreamId::new(ms, seq)
    }

    #[test]
    fn new_ids() {
        assert_eq!(parse_new(b"5-*"), Ok((5, None)));
        assert_eq!(parse_new(b"5"), Ok((5, Some(0))));
        assert_eq!(parse_new(b"5-2"), Ok((5, Some(2))));
        for bad in ["", "-", "+", "*-*", "5-**", "-*", "$"] {
            assert_eq!(parse_new(bad.as_bytes()), Err(INVALID_ID), "{bad}");
        }
    }

    #[test]
    fn only_short_arguments_are_looked_at() {
        assert_eq!(try_parse("0".repeat(127).as_bytes()), Some(id(0, 0)));
        assert_eq!(try_parse("0".repeat(128).as_bytes()), None);
    }

    #[test]
    fn ends_of_ranges() {
        let start = |text: &str| range_start(text.as_bytes());
        let end = |text: &str| range_end(text.as_bytes());
        assert_eq!(
            (start("-"), end("+")),
            (Ok(StreamId::MIN), Ok(StreamId::MAX))
        );
        assert_eq!(
            (start("+"), end("-")),
            (Ok(StreamId::MAX), Ok(StreamId::MIN))
        );
        assert_eq!((start("5"), end("5")), (Ok(id(5, 0)), Ok(id(5, u64::MAX))));
        assert_eq!(
            (start("(5"), end("(5")),
            (Ok(id(5, 1)), Ok(id(5, u64::MAX - 1)))
        );
        assert_eq!(end("(5-0"), Ok(id(4, u64::MAX)));
        assert_eq!(start("(5-18446744073709551615"), Ok(id(6, 0)));
        assert!(start("(18446744073709551615-18446744073709551615").is_err());
        assert!(end("(0-0").is_err());
        for bad in ["(", "(-", "(+", "((1", "x", ""] {
            assert_eq!(
                (start(bad), end(bad)),
                (Err(INVALID_ID), Err(INVALID_ID)),
                "{bad}"
            );
        }
    }
}
