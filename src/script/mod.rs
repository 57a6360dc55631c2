//! The Lua engine: sandbox, conversions, libraries, functions.

mod bytecode;
mod cache;
pub mod engine;
pub mod functions;
pub mod lib;
mod lua;
mod pattern;
mod random;
