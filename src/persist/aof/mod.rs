//! The append-only file: every change as the command that repeats it.
//!
//! It is several files in a folder of their own. A *base* holds the data set as it was at a rewrite, in the
//! RDB format or as commands; *increments* hold the commands since; the [`manifest`] says which files these
//! are and in which order. Files of the [`manifest`]'s history are those that a rewrite made superfluous.
//!
//! Every batch that is appended ends in an [`annotation`]: a line that readers of the format skip, with a
//! checksum of the batch.

pub mod annotation;
pub mod appender;
pub mod check;
pub mod dataset;
pub mod manifest;
pub mod reader;
pub mod seals;
pub mod syncer;
