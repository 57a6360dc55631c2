//! Raw clocks: the processor's cycle counter, CLOCK_MONOTONIC and the local time zone. What they mean together
//! is `base::clock`'s business.

#![allow(unsafe_code)]

/// Nanoseconds of CLOCK_MONOTONIC.
#[inline]
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid timespec to write to; CLOCK_MONOTONIC exists on every Linux.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    assert_eq!(failed, 0, "the kernel must have CLOCK_MONOTONIC");
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Whether `cycle_counter` runs at one rate on every core, whatever they clock at or sleep.
#[cfg(target_arch = "x86_64")]
pub fn has_steady_cycle_counter() -> bool {
    use std::arch::x86_64::__cpuid;
    use std::sync::LazyLock;
    const POWER_LEAF: u32 = 0x8000_0007;
    const INVARIANT_TSC: u32 = 1 << 8;
    // In a virtual machine the processor's answer comes from the host, which takes microseconds.
    static IS_STEADY: LazyLock<bool> = LazyLock::new(|| {
        let highest = __cpuid(0x8000_0000).eax;
        highest >= POWER_LEAF && __cpuid(POWER_LEAF).edx & INVARIANT_TSC != 0
    });
    *IS_STEADY
}

/// Whether `cycle_counter` runs at one rate on every core: the architecture promises it.
#[cfg(target_arch = "aarch64")]
pub fn has_steady_cycle_counter() -> bool {
    true
}

/// Whether `cycle_counter` is worth using: this architecture has none that we know.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn has_steady_cycle_counter() -> bool {
    false
}

/// The processor's own counter, in units of its choosing.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn cycle_counter() -> u64 {
    // SAFETY: every x86_64 processor has RDTSC, and Linux lets user code execute it unless a process asked to be
    // forbidden (PR_SET_TSC), which we do not.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// The processor's own counter, in units of its choosing.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub fn cycle_counter() -> u64 {
    let ticks: u64;
    // SAFETY: CNTVCT_EL0 is readable from user code on Linux; reading it has no effect on memory or flags.
    unsafe {
        std::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags));
    }
    ticks
}

/// A stand-in for the cycle counter this architecture lacks.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline]
pub fn cycle_counter() -> u64 {
    monotonic_ns()
}

/// Seconds east of Greenwich of the local zone at a Unix time; 0 when the time has no local form.
/// Takes the C library's lock: not for signal handlers, nor for a child forked beside other threads.
pub fn zone_offset_seconds(unix_seconds: i64) -> i32 {
    // SAFETY: a tm of zero bytes is valid (integers, and a pointer that may be null); both pointers live
    // through the call.
    unsafe {
        let mut local: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&unix_seconds, &mut local).is_null() {
            return 0;
        }
        local.tm_gmtoff as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_does_not_go_back() {
        let first = monotonic_ns();
        assert!(monotonic_ns() >= first);
        assert!(cycle_counter() > 0);
    }

    #[test]
    fn zone_offsets_are_within_a_day() {
        for seconds in [0, 1_700_000_000, 4_000_000_000, i64::MAX] {
            assert!(zone_offset_seconds(seconds).abs() <= 26 * 3600);
        }
    }
}
