//! The configuration: what a server may be told, how it is read, changed at run time and written back.
//!
//! `params` is the table of parameters, one line each; everything else works from it. Nothing here touches a
//! socket or applies a value: a change returns what is to be applied ([`Apply`]) and the server performs it.

mod checks;
mod choices;
mod glob_files;
mod kinds;
mod params;
mod parse;
mod quote;
mod rewrite;
mod runtime;
#[cfg(test)]
mod shipped;
mod special;
mod types;
mod unbuilt;

pub use choices::*;
pub use kinds::{Apply, Mode, Param};
pub use params::{PARAMS, is_secret, lookup};
pub use parse::{Fault, Loaded, Loader, Origin, Place};
pub use quote::{quote, split_line};
pub use rewrite::{RewriteOptions, rewrite, rewrite_file};
pub use runtime::{Change, SetContext, SetError};
pub use types::{
    BufferLimit, Config, Limits, MemoryOrPercent, PrimaryAddress, RenamedCommand, SavePoint,
    Settings, Text, events,
};
pub use unbuilt::missed;
