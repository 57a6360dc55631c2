//! The Lua engine: sandbox, conversions, libraries, functions.
