//! What every layer may use: numbers, patterns, time, randomness, hashing and the system calls.

pub mod clock;
pub mod glob;
pub mod longdouble;
pub mod num;
pub mod rng;
pub mod sys;
