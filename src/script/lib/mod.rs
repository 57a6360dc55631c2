//! The libraries that scripts find as globals: `cjson`, `cmsgpack`, `struct` and `bit`.

mod bit;
mod cjson;
mod cmsgpack;
#[cfg(test)]
mod fuzz;
mod install;
mod stack;
mod structure;
#[cfg(test)]
mod tests;

pub use install::{install, install_raw};
