//! A stream: an append-only log of entries with ordered IDs, and the groups of consumers that read it.
//!
//! - `stream/id.rs` is the IDs.
//! - `stream/node.rs` is the form in which a hundred entries or so lie in one listpack.
//! - `stream/ids.rs` is the ordered map that finds a node, or a pending entry, by its ID.
//! - `stream/log.rs` is the entries as a whole: adding, deleting, trimming, ranges.
//! - `stream/groups.rs` is the groups, their consumers and what these have pending.
//!
//! Log and groups do not know of each other but for the counts that a group's lag is told from, so a
//! reader can walk the log while it changes a group. A pending entry may be gone from the log.

pub mod groups;
pub mod id;
pub mod ids;
pub mod log;
pub mod node;

pub use self::groups::{Consumer, ConsumerId, Group, Groups, Nack};
pub use self::id::{IdBuffer, StreamId};
pub use self::log::{AppendError, Counters, Keep, Log, Range, Trim};
pub use self::node::{Entry, Fault, Fields, Limits};

/// A stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// The entries.
    pub log: Log,
    /// The groups.
    pub groups: Groups,
}

impl Stream {
    /// A stream without entries and groups.
    pub fn new() -> Stream {
        Stream::default()
    }

    /// Bytes that entries and groups take.
    pub fn allocated(&self) -> usize {
        self.log.allocated() + self.groups.allocated()
    }

    /// About how many allocations freeing it gives back.
    pub fn weight(&self) -> usize {
        1 + self.log.node_count() + self.groups.weight()
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
