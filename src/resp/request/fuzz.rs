//! A fuzzer that knows the protocol: right frames, then damage, then reads cut anywhere. Nothing
//! may panic, every promise that `feed` checks holds, and the cuts make no difference.

use crate::base::fuzzing;
use std::time::Instant;

use super::Limits;
use super::tests::{encode, feed};

/// Runs for `CINNABAR_FUZZ_SECONDS` (600) from `CINNABAR_FUZZ_SEED` (the clock):
/// `cargo test --lib fuzz_request_parser -- --ignored --nocapture`.
#[test]
#[ignore = "runs for minutes"]
fn fuzz_request_parser_for_minutes() {
    let (seed, end) = fuzzing::plan();
    let mut random = Random(seed);
    let (mut runs, mut requests, mut errors) = (0u64, 0u64, 0u64);
    while runs % 256 != 0 || Instant::now() < end {
        let stream = random.stream();
        let limits = Limits {
            bulk_bytes_max: random.pick(&[0, 99, 100, 70_000, 512 << 20, usize::MAX]),
            authenticated: random.below(4) != 0,
        };
        let cuts = random.cuts(stream.len());
        let prefix = random.below(3);
        // A panic inside names the input only if we do.
        let run = || {
            (
                feed(&stream, &[], &limits, 0),
                feed(&stream, &cuts, &limits, prefix),
            )
        };
        match std::panic::catch_unwind(run) {
            Ok((whole, cut)) if whole == cut => {
                requests += whole.requests.len() as u64;
                errors += u64::from(whole.end.is_err());
            }
            found => panic!(
                "run {runs} of seed {seed}: {limits:?}, cuts {cuts:?}, stream {}: {}",
                stream.escape_ascii(),
                if found.is_err() {
                    "panic"
                } else {
                    "whole and cut differ"
                },
            ),
        }
        runs += 1;
    }
    println!("{runs} runs, {requests} requests, {errors} protocol errors");
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

    /// Some frames, then some damage.
    fn stream(&mut self) -> Vec<u8> {
        let mut stream = Vec::new();
        for _ in 0..1 + self.below(4) {
            match self.below(4) {
                0 => self.inline(&mut stream),
                _ => self.multibulk(&mut stream),
            }
        }
        for _ in 0..self.pick(&[0, 1, 1, 2, 3, 8]) {
            self.damage(&mut stream);
        }
        stream
    }

    fn multibulk(&mut self, stream: &mut Vec<u8>) {
        let args = self.pick(&[0, 1, 2, 2, 3, 3, 4, 9, 10, 11, 12, 100]);
        let mut argv = Vec::new();
        for _ in 0..args {
            let len = match self.below(500) {
                0 => self.pick(&[16_384, 16_385, 65_536, 70_000]),
                1..60 => self.pick(&[9, 10, 11, 98, 99, 100, 101, 1000]),
                _ => self.below(8),
            };
            let fill = self.pick(b"ax\r\n$*1\0\xff");
            argv.push(vec![fill; len]);
        }
        stream.extend_from_slice(&encode(&argv));
    }

    fn inline(&mut self, stream: &mut Vec<u8>) {
        if self.below(200) == 0 {
            let len = self.pick(&[65_534, 65_535, 65_536, 65_537]);
            stream.resize(stream.len() + len, b'i');
        }
        for _ in 0..self.below(24) {
            stream.push(self.pick(b"abx14 \t\"\"''\\\\\x0b\r"));
        }
        stream.extend_from_slice(self.pick(&[&b"\n"[..], b"\r\n"]));
    }

    fn damage(&mut self, stream: &mut Vec<u8>) {
        if stream.is_empty() {
            return;
        }
        let at = self.below(stream.len());
        match self.below(6) {
            0 => stream[at] ^= 1 << self.below(8),
            1 => stream[at] = self.pick(b"*$\r\n0-19 \"'\\\0"),
            2 => stream.truncate(at),
            3 => {
                stream.remove(at);
            }
            4 => {
                let end = at + self.below((stream.len() - at).min(40) + 1);
                let piece = stream[at..end].to_vec();
                let to = self.below(stream.len());
                stream.splice(to..to, piece);
            }
            _ => self.edit_number(stream, at),
        }
    }

    /// Replaces the next run of digits.
    fn edit_number(&mut self, stream: &mut Vec<u8>, at: usize) {
        let Some(start) = stream[at..].iter().position(u8::is_ascii_digit) else {
            return;
        };
        let start = at + start;
        let end = stream[start..]
            .iter()
            .position(|byte| !byte.is_ascii_digit());
        let end = end.map_or(stream.len(), |len| start + len);
        let number = self.pick(&[
            "0",
            "00",
            "-0",
            "-1",
            "1",
            "2",
            "9",
            "10",
            "11",
            "99",
            "100",
            "16384",
            "16385",
            "65536",
            "1048576",
            "2147483647",
            "2147483648",
            "4294967296",
            "9999999999",
            "99999999999",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551616",
            "",
        ]);
        stream.splice(start..end, number.bytes());
    }

    /// Where the reads end: everywhere, or at some places.
    fn cuts(&mut self, len: usize) -> Vec<usize> {
        if len < 400 && self.below(4) == 0 {
            return (0..len).collect();
        }
        let mut cuts: Vec<usize> = (0..self.below(12)).map(|_| self.below(len + 1)).collect();
        cuts.sort_unstable();
        cuts
    }
}
