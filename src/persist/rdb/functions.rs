//! Libraries of functions alone: the payload that FUNCTION DUMP makes and FUNCTION RESTORE takes. It is every
//! library as in a snapshot, an opcode and the source, and then what ends every payload.

use super::format::{Version, opcode};
use super::input::{Input, Scratch, Window};
use super::payload::verify;
use super::sink::Sink;
use crate::persist::checksum::crc64;
use std::io;

/// Why a payload was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LibrariesError {
    /// It is of a version that is not known, or was changed on the way.
    BadChecksumOrVersion,
    /// It holds a library in the form of the candidates of Redis 7.0.
    PreRelease,
    /// It holds something else.
    NotALibrary,
    /// A source is cut off or badly packed.
    BadSource,
}

/// The payload of libraries, given their sources. A version that has no libraries gives way to one that has.
pub fn dump_libraries(sources: &[Box<[u8]>], version: Version, compress: bool) -> Vec<u8> {
    let version = match version.has_listpacks() {
        true => version,
        false => Version::V10,
    };
    let mut ignored = |_| {};
    let mut sink = Sink::new(None, false, compress, &mut ignored);
    for source in sources {
        sink.byte(opcode::FUNCTION);
        sink.string(source);
    }
    sink.raw(&version.number().to_le_bytes());
    let mut payload = sink.into_buffer();
    let crc = crc64(&payload);
    payload.extend_from_slice(&crc.to_le_bytes());
    payload
}

/// The sources of the libraries of a payload.
pub fn restore_libraries(
    payload: &[u8],
    check_crc: bool,
) -> Result<Vec<Box<[u8]>>, LibrariesError> {
    let (body, _) =
        verify(payload, check_crc, false).map_err(|_| LibrariesError::BadChecksumOrVersion)?;
    let mut none = io::empty();
    let mut input = Input::new(Window::of(body.to_vec()), &mut none);
    let mut scratch = Scratch::default();
    let mut sources = Vec::new();
    while input.left() != Some(0) {
        match input.byte() {
            Ok(opcode::FUNCTION) => {}
            Ok(opcode::FUNCTION_PRE_GA) => return Err(LibrariesError::PreRelease),
            _ => return Err(LibrariesError::NotALibrary),
        }
        let source = input.owned(&mut scratch);
        sources.push(source.map_err(|_| LibrariesError::BadSource)?);
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(of: &[&str]) -> Vec<Box<[u8]>> {
        of.iter().map(|source| source.as_bytes().into()).collect()
    }

    #[test]
    fn what_is_dumped_is_restored() {
        let long = "#!lua name=b\n".to_string() + &"redis.x()".repeat(1000);
        for list in [&[][..], &["#!lua name=a\nx()"], &["#!lua name=a\n", &long]] {
            for compress in [false, true] {
                let sources = sources(list);
                let payload = dump_libraries(&sources, Version::Auto, compress);
                assert_eq!(restore_libraries(&payload, true), Ok(sources));
            }
        }
    }

    #[test]
    fn other_payloads_are_refused() {
        let signed = |body: &[u8]| {
            let mut payload = [body, &10u16.to_le_bytes()].concat();
            let crc = crc64(&payload);
            payload.extend_from_slice(&crc.to_le_bytes());
            payload
        };
        let check = |payload: &[u8], error| {
            assert_eq!(restore_libraries(payload, true), Err(error), "{payload:?}");
        };
        check(b"", LibrariesError::BadChecksumOrVersion);
        check(
            b"some bytes that are none",
            LibrariesError::BadChecksumOrVersion,
        );
        check(
            &signed(&[opcode::FUNCTION_PRE_GA]),
            LibrariesError::PreRelease,
        );
        check(&signed(&[0, 1, b'x']), LibrariesError::NotALibrary);
        check(
            &signed(&[opcode::FUNCTION, 9, b'x']),
            LibrariesError::BadSource,
        );
        let mut changed = dump_libraries(&sources(&["#!lua name=a\n"]), Version::V9, false);
        changed[3] ^= 1;
        check(&changed, LibrariesError::BadChecksumOrVersion);
    }
}
