//! The Lua engine: sandbox, conversions, libraries, functions.

pub mod lib;
