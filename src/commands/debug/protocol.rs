//! DEBUG PROTOCOL: a reply of each kind that the protocol has, for tests of clients.

use crate::resp::error::Outcome;
use crate::resp::reply::{Proto, Reply};

/// What Redis gives as a float. It is not meant to be anything that a circle has.
#[allow(clippy::approx_constant)]
const DOUBLE: f64 = 3.141;

/// Writes the reply of the kind that is named.
pub fn sample(reply: &mut Reply, kind: &[u8]) -> Outcome {
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.int(12345),
        b"double" => reply.double(DOUBLE),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|n| reply.int(n));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|n| reply.int(n));
        }
        b"map" => {
            reply.map(3);
            for n in 0..3 {
                reply.int(n);
                reply.bool(n == 1);
            }
        }
        b"attrib" => attribute(reply),
        b"push" => return push(reply),
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => reply.bool(true),
        b"false" => reply.bool(false),
        _ => {
            return Err("ERR Wrong protocol type name. Please use one of the following: \
                        string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
                .into());
        }
    }
    Ok(())
}

/// An attribute belongs to the reply that follows it, so there is one.
fn attribute(reply: &mut Reply) {
    if reply.proto() == Proto::Resp3 {
        reply.attribute(1);
        reply.bulk(b"key-popularity");
        reply.array(2);
        reply.bulk(b"key:123");
        reply.int(90);
    }
    reply.bulk(b"Some real reply following the attribute");
}

/// A push message answers nothing, so the reply that the client waits for comes after it.
fn push(reply: &mut Reply) -> Outcome {
    if reply.proto() == Proto::Resp2 {
        return Err("ERR RESP2 is not supported by this command".into());
    }
    reply.push(2);
    reply.bulk(b"server-cpu-usage");
    reply.int(42);
    reply.bulk(b"Some real reply following the push reply");
    Ok(())
}
