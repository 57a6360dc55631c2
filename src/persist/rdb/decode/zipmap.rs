//! Zipmaps, the packed form of small hashes before Redis 2.6:
//!
//! ```text
//!   | count | length | field | length | free | value | free bytes | length | ... | 0xff |
//! ```
//!
//! The count is right below 254. A length is one byte, or 254 and four, low bits first.

use super::super::input::Fault;
use crate::data::listpack::{ListpackBuf, is_safe_to_add};

const WRONG: Fault = Fault::Corrupt("Zipmap integrity check failed.");
const BIG: u8 = 254;
const END: u8 = 0xff;

/// The fields and values of a zipmap from anywhere as a listpack.
pub fn to_listpack(bytes: &[u8]) -> Result<ListpackBuf, Fault> {
    let (&count, mut rest) = bytes.split_first().ok_or(WRONG)?;
    let mut pack = ListpackBuf::new_in(Vec::with_capacity(bytes.len()));
    let mut found = 0usize;
    while rest != [END] {
        let (field, value, behind) = read(rest).ok_or(WRONG)?;
        if !is_safe_to_add(pack.as_ref().bytes().len(), field.len() + value.len()) {
            return Err(WRONG);
        }
        pack.push_back(field);
        pack.push_back(value);
        rest = behind;
        found += 1;
    }
    if count < BIG && usize::from(count) != found {
        return Err(WRONG);
    }
    Ok(pack)
}

fn read(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (len, rest) = length(bytes)?;
    let (field, rest) = rest.split_at_checked(len)?;
    let (len, rest) = length(rest)?;
    let (&free, rest) = rest.split_first()?;
    let (value, rest) = rest.split_at_checked(len)?;
    let (_, rest) = rest.split_at_checked(free.into())?;
    Some((field, value, rest))
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        BIG => {
            let (len, rest) = rest.split_first_chunk()?;
            Some((u32::from_le_bytes(*len) as usize, rest))
        }
        END => None,
        len => Some((len.into(), rest)),
    }
}
