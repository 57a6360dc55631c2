#![allow(unsafe_code)]
//! Lets a loop use the widest vector instructions that the processor has.
//!
//! The program is built for any x86-64, whose instructions work on 16 bytes and cannot count bits. [`widest`] has the
//! compiler make a second version of a loop for AVX2, and chooses at run time. The loop is ordinary code: what it does
//! is the same in both.

/// Runs `work`, compiled for what this processor can do. All that it calls in its loops must be inlined into it, or
/// stays as it is.
#[inline(always)]
pub fn widest<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected;
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
            // SAFETY: the processor has these instructions.
            return unsafe { with_avx2(work) };
        }
    }
    work()
}

/// # Safety
/// The processor must have the instructions that are named here.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
unsafe fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}
