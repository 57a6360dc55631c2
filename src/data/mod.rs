//! Data structures that know nothing of a server.

pub mod bits;
pub mod intset;
pub mod lcs;
pub mod listpack;
pub mod quicklist;
pub mod table;
