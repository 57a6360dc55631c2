//! What every layer may use: numbers, patterns, time, randomness, hashing, memory and the system calls.

pub mod alloc;
pub mod clock;
#[cfg(test)]
pub mod fuzzing;
pub mod glob;
pub mod hash;
pub mod longdouble;
pub mod lzf;
pub mod num;
pub mod rng;
pub mod simd;
pub mod slab;
pub mod sys;
pub mod vec;
