//! The checksum of snapshots and of DUMP's payloads: CRC-64 with the polynomial that Redis chose ("Jones"),
//! reflected, begun at 0 and not inverted at the end.

use crc_fast::{CrcAlgorithm, Digest};

/// A running checksum.
#[derive(Clone, Copy)]
pub struct Crc64(Digest);

impl Default for Crc64 {
    fn default() -> Self {
        Crc64::new()
    }
}

impl Crc64 {
    /// The checksum of no bytes.
    pub fn new() -> Crc64 {
        Crc64(Digest::new(CrcAlgorithm::Crc64Redis))
    }

    /// Takes further bytes in. Long pieces are many times cheaper a byte than short ones.
    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

/// The checksum of these bytes.
pub fn crc64(bytes: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(bytes);
    crc.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_that_of_redis() {
        assert_eq!(crc64(b""), 0);
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn pieces_make_the_whole() {
        let bytes: Vec<u8> = (0..10_000u32).map(|n| (n * 7 + n / 251) as u8).collect();
        for step in [1, 7, 64, 255, 4096] {
            let mut crc = Crc64::new();
            bytes.chunks(step).for_each(|piece| crc.update(piece));
            assert_eq!(crc.value(), crc64(&bytes), "in pieces of {step}");
        }
    }
}
