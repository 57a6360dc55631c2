//! A value alone: the payload that DUMP makes and RESTORE takes. It is the value's type and its bytes as
//! in a snapshot, the version of the format in two bytes, and a CRC-64 of all that.

use super::decode::{self, Context};
use super::encode::{self, lack};
use super::error::RestoreError;
use super::format::{Version, is_accepted};
use super::input::{Input, Scratch, Window};
use super::load::Limits;
use super::sink::Sink;
use crate::keyspace::EntryRef;
use crate::keyspace::value::NewValue;
use crate::persist::checksum::crc64;
use std::io;

/// How a payload is taken.
#[derive(Clone, Copy, Debug)]
pub struct RestoreOptions {
    /// The forms of collections.
    pub limits: Limits,
    /// Whether the checksum is checked.
    pub check_crc: bool,
    /// Whether versions that are not known are taken too (`rdb-version-check relaxed`).
    pub any_version: bool,
}

/// Version and checksum.
const FOOTER: usize = 2 + 8;

/// Adds the payload of an entry's value. A version that cannot hold it gives way to one that can.
pub fn dump(entry: EntryRef<'_>, out: &mut Vec<u8>, version: Version, compress: bool) {
    let version = match lack(entry, version) {
        None => version,
        Some(_) => Version::V12,
    };
    let start = out.len();
    let mut ignored = |_| {};
    let sink = Sink::new(None, false, compress, &mut ignored);
    let mut sink = sink.with_buffer(std::mem::take(out));
    sink.byte(encode::kind_of(entry, version));
    encode::value(&mut sink, entry, version);
    sink.raw(&version.number().to_le_bytes());
    *out = sink.into_buffer();
    let crc = crc64(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Reads a payload and gives its value to a function.
pub fn restore<T>(
    payload: &[u8],
    options: &RestoreOptions,
    take: impl FnOnce(NewValue<'_>) -> T,
) -> Result<T, RestoreError> {
    let (body, version) = verify(payload, options.check_crc, options.any_version)?;
    let mut none = io::empty();
    let mut input = Input::new(Window::of(body.to_vec()), &mut none);
    let mut scratch = Scratch::default();
    let cx = Context {
        limits: options.limits,
        version,
    };
    let kind = input.byte();
    let kind = kind.map_err(|fault| RestoreError::BadFormat(fault.to_string()))?;
    let value = match decode::value(kind, &mut input, &mut scratch, &cx) {
        Ok(value) => value,
        Err(fault) => return Err(RestoreError::BadFormat(fault.to_string())),
    };
    Ok(take(value))
}

/// The bytes of the value and the version.
pub(super) fn verify(
    payload: &[u8],
    check_crc: bool,
    any_version: bool,
) -> Result<(&[u8], u32), RestoreError> {
    const WRONG: RestoreError = RestoreError::BadChecksumOrVersion;
    let (body, footer) = payload.split_last_chunk::<FOOTER>().ok_or(WRONG)?;
    let [low, high, crc @ ..] = *footer;
    let version = u32::from(u16::from_le_bytes([low, high]));
    let summed = &payload[..body.len() + 2];
    if !is_accepted(version, any_version) || check_crc && crc64(summed) != u64::from_le_bytes(crc) {
        return Err(WRONG);
    }
    Ok((body, version))
}
