//! Data structures that know nothing of a server.

pub mod bits;
pub mod table;
