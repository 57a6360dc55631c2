//! Data structures that know nothing of a server.

pub mod bits;
mod element;
pub mod fields;
pub mod geohash;
pub mod hyperloglog;
pub mod intset;
pub mod lcs;
pub mod listpack;
pub mod members;
mod ordered;
pub mod quicklist;
pub mod sorted;
pub mod stream;
pub mod table;
