//! A fuzzer that knows the format: elements in every form, shortest or not, then damage, half of it
//! repaired in the header. What is refused must not panic, what is accepted must be safe to use.

use crate::base::fuzzing;
use std::time::Instant;

use super::element::{LENS, TEXT_6, TEXT_12, TEXT_32, backlen};
use super::tests::check_hostile;
use super::{EMPTY_LEN, END, HEADER_LEN};

/// Runs for `CINNABAR_FUZZ_SECONDS` (600) from `CINNABAR_FUZZ_SEED` (the clock):
/// `cargo test --lib fuzz_listpack_check -- --ignored --nocapture`.
#[test]
#[ignore = "runs for minutes"]
fn fuzz_listpack_check_for_minutes() {
    let (seed, end) = fuzzing::plan();
    let (runs, accepted) = fuzz(seed, |runs| runs % 256 != 0 || Instant::now() < end);
    println!("{runs} runs, {accepted} accepted");
}

#[test]
fn fuzzes_a_little() {
    let (_, accepted) = fuzz(1, |runs| runs < 2000);
    assert!(
        (200..1800).contains(&accepted),
        "{accepted} of 2000 accepted: the fuzzer is blind on one side"
    );
}

fn fuzz(seed: u64, more: impl Fn(u64) -> bool) -> (u64, u64) {
    let mut random = Random(seed);
    let (mut runs, mut accepted) = (0, 0);
    while more(runs) {
        let bytes = random.pack();
        // A panic inside names the input only if we do.
        match std::panic::catch_unwind(|| check_hostile(&bytes)) {
            Ok(was_accepted) => accepted += u64::from(was_accepted),
            Err(_) => panic!("run {runs} of seed {seed}: panic on {bytes:02x?}"),
        }
        runs += 1;
    }
    (runs, accepted)
}

/// SplitMix64, so that a seed gives the same inputs on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Some elements, then some damage, then perhaps a header that fits again.
    fn pack(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        let count = self.pick(&[0, 1, 1, 2, 2, 3, 5, 8, 20]);
        for _ in 0..count {
            self.element(&mut bytes);
        }
        bytes.push(END);
        let said = self.pick(&[count, count, count, count, usize::from(u16::MAX), count + 1]);
        Self::state(&mut bytes, said);
        for _ in 0..self.pick(&[0, 1, 1, 1, 2, 3]) {
            self.damage(&mut bytes);
        }
        if bytes.len() >= EMPTY_LEN && self.below(4) != 0 {
            let said = self.pick(&[usize::from(u16::MAX), said]);
            Self::state(&mut bytes, said);
        }
        bytes
    }

    fn state(bytes: &mut [u8], count: usize) {
        let total = bytes.len() as u32;
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        bytes[4..HEADER_LEN].copy_from_slice(&(count as u16).to_le_bytes());
    }

    /// An element in any form, without regard to whether a shorter one would do.
    fn element(&mut self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        match self.below(10) {
            0..5 => {
                let len = match self.below(12) {
                    0 => self.pick(&[63, 64, 124, 125, 126, 127, 128]),
                    1 => self.pick(&[4095, 4096, 16_377, 16_378, 16_379]),
                    _ => self.below(12),
                };
                self.text_head(bytes, len);
                let text = self.pick(&[&b"a"[..], b"ab", b"12", b"1", b"-7", b"\xff", b"\0"]);
                bytes.extend(text.iter().cycle().take(len));
            }
            5 => bytes.push(self.below(0x80) as u8),
            6 => bytes.extend([0xc0 | self.below(0x20) as u8, self.next() as u8]),
            _ => {
                let tag = self.pick(&[0xf1, 0xf2, 0xf3, 0xf4]);
                let len = usize::from(LENS[usize::from(tag)]) - 2;
                let value = self.next() as i64 >> self.below(64);
                bytes.push(tag);
                bytes.extend_from_slice(&value.to_le_bytes()[..len]);
            }
        }
        let (backlen, backlen_len) = backlen(bytes.len() - start);
        bytes.extend_from_slice(&backlen[..backlen_len]);
    }

    fn text_head(&mut self, bytes: &mut Vec<u8>, len: usize) {
        let longer = self.below(8);
        if len < 64 && longer != 0 {
            bytes.push(TEXT_6 | len as u8);
        } else if len < 4096 && longer < 4 {
            bytes.extend([TEXT_12 | (len >> 8) as u8, len as u8]);
        } else {
            bytes.push(TEXT_32);
            bytes.extend((len as u32).to_le_bytes());
        }
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let at = self.below(bytes.len());
        match self.below(6) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.next() as u8,
            2 => bytes[at] = self.pick(&[0, 1, 2, 0x7f, 0x80, 0xc0, 0xe0, 0xf0, 0xf4, 0xf5, END]),
            3 => bytes.truncate(at),
            4 => {
                bytes.remove(at);
            }
            _ => {
                let end = at + self.below((bytes.len() - at).min(40) + 1);
                let piece = bytes[at..end].to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
}
