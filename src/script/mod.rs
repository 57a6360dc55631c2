//! The Lua engine: sandbox, conversions, libraries, functions.

mod cache;
pub mod engine;
mod lua;
mod pattern;
mod random;
