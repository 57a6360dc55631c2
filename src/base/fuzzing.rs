//! What the fuzzers that run for minutes are told by the environment.

use std::time::{Duration, Instant};

/// The seed and the end of a run: `CINNABAR_FUZZ_SEED` (by default the clock), which is printed, and
/// `CINNABAR_FUZZ_SECONDS` (600) from now.
pub fn plan() -> (u64, Instant) {
    let setting = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seconds = setting("CINNABAR_FUZZ_SECONDS").unwrap_or(600);
    let clock = std::time::UNIX_EPOCH
        .elapsed()
        .expect("the clock is past 1970")
        .as_nanos() as u64;
    let seed = setting("CINNABAR_FUZZ_SEED").unwrap_or(clock);
    println!("CINNABAR_FUZZ_SEED={seed}");
    let end = Instant::now() + Duration::from_secs(seconds);
    (seed, end)
}
