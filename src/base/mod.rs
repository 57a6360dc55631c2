//! What every layer may use: numbers, patterns, time, randomness, hashing and the system calls.

pub mod glob;
pub mod hash;
pub mod longdouble;
pub mod num;
pub mod sys;
