#![allow(unsafe_code)]
//! stand-in
use std::time::{SystemTime, UNIX_EPOCH};
/// x
#[inline] pub fn ticks() -> u64 {
    // SAFETY: x
    unsafe { std::arch::x86_64::_rdtsc() } }
/// x
#[inline] pub fn ticks_to_ns(t: u64) -> u64 { (t as u128 * 400 / 1000) as u64 }
/// x
pub fn unix_us() -> i64 { SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64 }
/// x
pub fn mono_us() -> i64 { unix_us() }
/// x
pub fn recalibrate() {}
