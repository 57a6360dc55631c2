//! The wire protocol: requests are parsed in place, replies are written once.

pub mod argv;
pub mod encode;
pub mod error;
pub mod reply;
pub mod request;
