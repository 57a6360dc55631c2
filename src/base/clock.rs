//! Time: the date for expiry and logs, and a counter cheap enough to read around every command.
//!
//! `ticks` is the processor's cycle counter where that runs at one rate (nothing else costs less than a cache
//! miss), and CLOCK_MONOTONIC's nanoseconds where it does not. How long a tick lasts is measured at start and then
//! more exactly by `recalibrate`, which the server's cron calls.
//!
//! Nothing here takes the C library's locks, but for `refresh_zone`: a log line may be written in a forked child or
//! while the process is dying.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::sys;

/// Microseconds since 1970, which clock settings may move either way.
#[inline]
pub fn unix_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_micros() as i64,
        Err(before) => -(before.duration().as_micros() as i64),
    }
}

/// Milliseconds since 1970.
#[inline]
pub fn unix_ms() -> i64 {
    unix_us().div_euclid(1000)
}

/// Microseconds since some moment before the process started; never goes back.
#[inline]
pub fn mono_us() -> u64 {
    sys::monotonic_ns() / 1000
}

/// Where ticks come from. Decided once, by the first reader.
static SOURCE: AtomicU8 = AtomicU8::new(UNDECIDED);
const UNDECIDED: u8 = 0;
const CYCLES: u8 = 1;
const NANOSECONDS: u8 = 2;

/// Nanoseconds a tick, as a fraction of 2^32.
static NS_PER_TICK: AtomicU64 = AtomicU64::new(1 << 32);

static CALIBRATION: Mutex<Option<Calibration>> = Mutex::new(None);

/// A count of ticks, to be subtracted from a later one and handed to `ticks_to_ns`.
#[inline(always)]
pub fn ticks() -> u64 {
    if SOURCE.load(Ordering::Relaxed) == CYCLES {
        sys::cycle_counter()
    } else {
        ticks_by_clock()
    }
}

/// How long a number of ticks lasts, in nanoseconds.
#[inline(always)]
pub fn ticks_to_ns(ticks: u64) -> u64 {
    let ns = (u128::from(ticks) * u128::from(NS_PER_TICK.load(Ordering::Relaxed))) >> 32;
    ns as u64
}

/// Nanoseconds between two counts of ticks; 0 if the second is the earlier one, as it may be by a little when a
/// thread moves between processors.
#[inline(always)]
pub fn ns_between(earlier: u64, later: u64) -> u64 {
    ticks_to_ns(later.saturating_sub(earlier))
}

#[cold]
#[inline(never)]
fn ticks_by_clock() -> u64 {
    calibrate();
    if SOURCE.load(Ordering::Relaxed) == CYCLES {
        sys::cycle_counter()
    } else {
        sys::monotonic_ns()
    }
}

/// Measures how long a tick lasts, in about 4 ms. The first reader of ticks does so anyway; called at start, it does
/// not fall on a command.
pub fn calibrate() {
    const WINDOW_NS: u64 = 4_000_000;
    if SOURCE.load(Ordering::Relaxed) != UNDECIDED {
        return;
    }
    let mut calibration = CALIBRATION.lock().expect("calibrating does not panic");
    if SOURCE.load(Ordering::Relaxed) != UNDECIDED {
        return;
    }
    if !sys::has_steady_cycle_counter() {
        SOURCE.store(NANOSECONDS, Ordering::Relaxed);
        return;
    }
    let start = Sample::take();
    while sys::monotonic_ns() - start.ns < WINDOW_NS {
        std::hint::spin_loop();
    }
    match start.rate_until(Sample::take()) {
        Some(rate) => {
            NS_PER_TICK.store(rate, Ordering::Relaxed);
            *calibration = Some(Calibration {
                start,
                rate,
                doubted: rate,
            });
            SOURCE.store(CYCLES, Ordering::Release);
        }
        None => SOURCE.store(NANOSECONDS, Ordering::Relaxed),
    }
}

/// Measures again how long a tick lasts, over the time since the last call. To be called about once a second.
pub fn recalibrate() {
    let mut calibration = CALIBRATION.lock().expect("calibrating does not panic");
    if let Some(calibration) = calibration.as_mut() {
        NS_PER_TICK.store(calibration.update(Sample::take()), Ordering::Relaxed);
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy)]
struct Sample {
    ticks: u64,
    ns: u64,
}

impl Sample {
    /// Of a few readings, the one that the other clock's reading delayed the least.
    fn take() -> Sample {
        let reading = || {
            let before = sys::cycle_counter();
            let ns = sys::monotonic_ns();
            let took = sys::cycle_counter().saturating_sub(before);
            (
                took,
                Sample {
                    ticks: before + took / 2,
                    ns,
                },
            )
        };
        let readings = [reading(), reading(), reading(), reading()];
        readings
            .into_iter()
            .min_by_key(|(took, _)| *took)
            .expect("there are readings")
            .1
    }

    /// Nanoseconds a tick, as a fraction of 2^32; `None` if a clock stood or went back.
    fn rate_until(self, later: Sample) -> Option<u64> {
        let ticks = later
            .ticks
            .checked_sub(self.ticks)
            .filter(|&ticks| ticks > 0)?;
        let ns = later.ns.checked_sub(self.ns)?;
        u64::try_from((u128::from(ns) << 32) / u128::from(ticks))
            .ok()
            .filter(|&rate| rate > 0)
    }
}

/// The rate in use, and the window that the next one is measured over.
struct Calibration {
    start: Sample,
    rate: u64,
    /// The last rate that was too far off to believe.
    doubted: u64,
}

impl Calibration {
    /// The rate to use from now on. While the machine sleeps, one clock may stand and the other run on, so a rate
    /// that differs much is believed only if it is measured twice: then the machine under us was exchanged.
    fn update(&mut self, now: Sample) -> u64 {
        const SHORTEST_WINDOW_NS: u64 = 100_000_000;
        if now.ns.saturating_sub(self.start.ns) < SHORTEST_WINDOW_NS {
            return self.rate;
        }
        if let Some(rate) = self.start.rate_until(now) {
            let near = |other: u64| rate.abs_diff(other) < other / 100;
            if near(self.rate) || near(self.doubted) {
                self.rate = rate;
            }
            self.doubted = rate;
        }
        self.start = now;
        self.rate
    }
}

/// Seconds east of Greenwich.
static ZONE_OFFSET: AtomicI32 = AtomicI32::new(0);

/// Looks up the local time zone's present offset. To be called at start and from the cron now and then, because
/// summer time begins and ends.
pub fn refresh_zone() {
    let offset = sys::zone_offset_seconds(unix_us().div_euclid(1_000_000));
    ZONE_OFFSET.store(offset, Ordering::Relaxed);
}

/// Seconds that local time is ahead of UTC, as of the last `refresh_zone`.
pub fn zone_offset_seconds() -> i32 {
    ZONE_OFFSET.load(Ordering::Relaxed)
}

/// A moment as the calendar shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CivilTime {
    /// The year of the common era.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999.
    pub millisecond: u16,
}

impl CivilTime {
    /// The moment `unix_ms` milliseconds after 1970, where clocks are `offset_seconds` ahead of UTC.
    pub fn new(unix_ms: i64, offset_seconds: i32) -> CivilTime {
        let seconds = unix_ms.div_euclid(1000) + i64::from(offset_seconds);
        let of_day = seconds.rem_euclid(86_400);
        let (year, month, day) = date_of_day(seconds.div_euclid(86_400));
        CivilTime {
            year,
            month,
            day,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            millisecond: unix_ms.rem_euclid(1000) as u16,
        }
    }

    /// The moment it is now, in the local zone.
    pub fn now() -> CivilTime {
        CivilTime::new(unix_ms(), zone_offset_seconds())
    }
}

/// The date of a day counted from 1970-01-01. Years are taken to begin in March, so that the leap day is a year's
/// last one, and are counted in the 400-year cycles after which the calendar repeats.
fn date_of_day(day: i64) -> (i64, u8, u8) {
    const DAYS_FROM_MARCH_OF_YEAR_0: i64 = 719_468;
    const DAYS_A_CYCLE: i64 = 146_097;
    let day = day + DAYS_FROM_MARCH_OF_YEAR_0;
    let cycle = day.div_euclid(DAYS_A_CYCLE);
    let day_of_cycle = day.rem_euclid(DAYS_A_CYCLE);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // From March on, months have 31, 30, 31, 30, 31 days again and again.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
    (year, month as u8, day_of_month as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_measure_what_the_monotonic_clock_measures() {
        calibrate();
        let ratio = || {
            let (ticks_before, before) = (ticks(), sys::monotonic_ns());
            std::thread::sleep(std::time::Duration::from_millis(20));
            let (ticks_after, after) = (ticks(), sys::monotonic_ns());
            recalibrate();
            ns_between(ticks_before, ticks_after) as f64 / (after - before) as f64
        };
        // A busy machine may take the processor away between two readings, but not every time.
        let ratios: Vec<f64> = (0..20).map(|_| ratio()).collect();
        assert!(
            ratios.iter().any(|ratio| (ratio - 1.0).abs() < 0.001),
            "{ratios:?}"
        );
        assert_eq!(ns_between(5, 3), 0);
    }

    #[test]
    fn the_largest_count_converts_without_overflow() {
        calibrate();
        assert!(ticks_to_ns(u64::MAX) > 0);
    }

    /// A calibration at one nanosecond a tick meets windows, each given as (ticks, ns) that pass.
    fn check_updates(windows: &[(u64, u64)], expected_ns_per_tick: f64) {
        let mut now = Sample {
            ticks: 1000,
            ns: 1000,
        };
        let mut calibration = Calibration {
            start: now,
            rate: 1 << 32,
            doubted: 1 << 32,
        };
        let mut rate = 0;
        for &(ticks, ns) in windows {
            now = Sample {
                ticks: now.ticks.wrapping_add(ticks),
                ns: now.ns + ns,
            };
            rate = calibration.update(now);
        }
        let ns_per_tick = rate as f64 / (1u64 << 32) as f64;
        assert!(
            (ns_per_tick / expected_ns_per_tick - 1.0).abs() < 1e-6,
            "{windows:?}: {ns_per_tick}"
        );
    }

    #[test]
    fn recalibration_follows_drift_and_doubts_leaps() {
        const SECOND: u64 = 1_000_000_000;
        check_updates(&[(SECOND, SECOND + 1000)], 1.000001);
        // Too short to measure anything.
        check_updates(&[(100, 200)], 1.0);
        // The counter ran on through a sleep, once.
        check_updates(&[(50 * SECOND, SECOND)], 1.0);
        check_updates(&[(50 * SECOND, SECOND), (SECOND, SECOND)], 1.0);
        // Another machine, twice as fast.
        check_updates(&[(2 * SECOND, SECOND), (2 * SECOND, SECOND)], 0.5);
        // The counter began anew.
        check_updates(&[(SECOND.wrapping_neg(), SECOND)], 1.0);
    }

    fn check_civil(unix_ms: i64, offset_seconds: i32, expected: &str) {
        let time = CivilTime::new(unix_ms, offset_seconds);
        let shown = format!(
            "{}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
            time.year, time.month, time.day, time.hour, time.minute, time.second, time.millisecond
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn moments_become_dates() {
        check_civil(0, 0, "1970-01-01 00:00:00.000");
        check_civil(-1, 0, "1969-12-31 23:59:59.999");
        check_civil(951_782_400_000, 0, "2000-02-29 00:00:00.000");
        check_civil(951_868_799_999, 0, "2000-02-29 23:59:59.999");
        check_civil(951_868_800_000, 0, "2000-03-01 00:00:00.000");
        check_civil(1_709_164_800_123, 3600, "2024-02-29 01:00:00.123");
        check_civil(4_107_542_400_000, 0, "2100-03-01 00:00:00.000");
        check_civil(1_700_000_000_000, -5 * 3600, "2023-11-14 17:13:20.000");
        check_civil(-62_135_596_800_000, 0, "1-01-01 00:00:00.000");
    }

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let mut before = date_of_day(-150_000);
        for day in -149_999..150_000 {
            let (year, month, day_of_month) = date_of_day(day);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days_of_february = if leap { 29 } else { 28 };
            let lengths = [31, days_of_february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            if day_of_month > 1 {
                assert_eq!(before, (year, month, day_of_month - 1));
                assert!(day_of_month <= lengths[usize::from(month) - 1]);
            } else if month > 1 {
                assert_eq!(before, (year, month - 1, lengths[usize::from(month) - 2]));
            } else {
                assert_eq!(before, (year - 1, 12, 31));
            }
            before = (year, month, day_of_month);
        }
    }

    #[test]
    fn the_three_clocks_agree_on_what_they_count() {
        let (us, ms) = (unix_us(), unix_ms());
        assert!((ms - us / 1000) < 1000 && us > 1_700_000_000_000_000);
        let before = mono_us();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(mono_us() >= before + 2000);
    }
}
