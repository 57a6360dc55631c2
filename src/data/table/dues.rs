//! When the first volatile entry of a few buckets is due, or earlier than that.
//!
//! What a table holds is due at times that only its owner knows. For each [`GROUP`] of buckets this keeps one time
//! before which nothing there is due. It is exact when the group was just looked through, and may be too early
//! later, never too late: adding an entry or changing its time can only lower it, a split hands it on to both
//! halves, and a merge keeps the lower of two. So looking for what is due costs a comparison for some fifty entries
//! and a visit where there is something, or was before it was changed or removed.
//!
//! Costs: 8 bytes a group, which is a sixth of a byte an entry, and nothing in a table without volatile entries.

/// Buckets that share a time.
pub const GROUP: usize = 8;
/// Nothing in a group is ever due.
const NEVER: i64 = i64::MAX;

/// The times of a table's groups; those beyond the last one are [`NEVER`].
#[derive(Default)]
pub(super) struct Dues {
    earliest: Vec<i64>,
}

impl Dues {
    /// An entry of a bucket is due at this time.
    #[inline]
    pub(super) fn lower(&mut self, bucket: usize, at: i64) {
        // What is due at the end of time is there all the same.
        let at = at.min(NEVER - 1);
        let group = bucket / GROUP;
        if group >= self.earliest.len() {
            self.earliest.resize(group + 1, NEVER);
        }
        let earliest = &mut self.earliest[group];
        *earliest = at.min(*earliest);
    }

    /// Entries of one bucket have moved to another one.
    pub(super) fn hand_on(&mut self, from: usize, to: usize) {
        let at = self.earliest.get(from / GROUP).copied().unwrap_or(NEVER);
        if at != NEVER {
            self.lower(to, at);
        }
    }

    /// The buckets from this one on are no more.
    pub(super) fn cut(&mut self, buckets: usize) {
        let groups = buckets.div_ceil(GROUP);
        if groups < self.earliest.len() {
            self.earliest.truncate(groups);
            if groups < self.earliest.capacity() / 4 {
                self.earliest.shrink_to(2 * groups);
            }
        }
    }

    /// A group was looked through, and this is when the first of its entries is due.
    pub(super) fn set(&mut self, group: usize, at: Option<i64>) {
        if let Some(earliest) = self.earliest.get_mut(group) {
            *earliest = NEVER;
        }
        if let Some(at) = at {
            self.lower(group * GROUP, at);
        }
    }

    /// The first group from this one on where something may be due by `now`.
    pub(super) fn next(&self, from: usize, now: i64) -> Option<usize> {
        let mut groups = self.earliest.get(from..)?.iter();
        Some(from + groups.position(|&at| at <= now)?)
    }

    /// Bytes that this takes.
    pub(super) fn bytes(&self) -> usize {
        self.earliest.capacity() * size_of::<i64>()
    }
}
