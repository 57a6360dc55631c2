//! Data structures that know nothing of a server.

pub mod bits;
pub mod geohash;
pub mod hyperloglog;
pub mod lcs;
pub mod table;
