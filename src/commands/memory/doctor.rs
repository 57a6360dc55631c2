//! MEMORY DOCTOR: what the figures say about how well the memory is used.

use crate::base::num::humanize_bytes;
use crate::server::memory::Breakdown;

/// Below this the figures say nothing.
const USED_MIN: usize = 5 << 20;
/// An amount that is worth a remark.
const REMARKABLE: isize = 10 << 20;
/// Bytes of the average client that are.
const CLIENT_BYTES: usize = 200 << 10;

/// The report.
pub(super) fn report(memory: &Breakdown, clients: usize) -> String {
    if memory.used < USED_MIN {
        return "There is so little data in this Cinnabar instance that its memory figures say nothing yet.\n".into();
    }
    let remarks = remarks(memory, clients);
    if remarks.is_empty() {
        return "All is well with the memory of this Cinnabar instance.\n".into();
    }
    remarks
        .iter()
        .map(|remark| format!("- {remark}\n"))
        .collect()
}

fn remarks(memory: &Breakdown, clients: usize) -> Vec<String> {
    let mut remarks = Vec::new();
    if memory.used * 3 / 2 < memory.peak {
        remarks.push(format!(
            "At its peak the instance used {}, now it uses {}: if the resident size does not fall, MEMORY PURGE gives back \
             what the allocator kept.",
            humanize_bytes(memory.peak as u64),
            humanize_bytes(memory.used as u64)
        ));
    }
    let exceeds = |(ratio, bytes): (f64, isize), limit: f64| ratio > limit && bytes > REMARKABLE;
    if exceeds(memory.allocator_fragmentation(), 1.1) {
        remarks.push(
            "The allocator's pages are only partly used (allocator-fragmentation): values of many sizes came and went. \
             A restart packs them anew."
                .into(),
        );
    }
    if exceeds(memory.allocator_resident(), 1.1) {
        remarks.push(
            "The allocator keeps free pages (allocator-rss): MEMORY PURGE gives them back.".into(),
        );
    }
    if exceeds(memory.resident_overhead(), 1.1) {
        remarks.push("The process holds memory beside the allocator's (rss-overhead), as buffers of the system.".into());
    }
    if memory.clients > CLIENT_BYTES * clients.max(1) {
        remarks.push(
            "Clients hold more than 200K each on average: large requests, or replies that are not read. CLIENT LIST shows \
             which (qbuf, omem)."
                .into(),
        );
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::alloc::Stats;

    fn check(change: impl FnOnce(&mut Breakdown), expected: &str) {
        const MIB: usize = 1 << 20;
        let mut memory = Breakdown {
            used: 100 * MIB,
            peak: 100 * MIB,
            startup: MIB,
            resident: 105 * MIB,
            clients: 0,
            aof: 0,
            tables: Vec::new(),
            keys: 1,
            scripts: Default::default(),
            allocator: Stats {
                allocated: 100 * MIB,
                active: 101 * MIB,
                resident: 102 * MIB,
                ..Stats::default()
            },
        };
        change(&mut memory);
        let text = report(&memory, 10);
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn what_is_remarkable_is_said() {
        check(|_| {}, "All is well");
        check(|m| m.used = 1 << 20, "so little data");
        check(|m| m.peak *= 2, "At its peak");
        check(|m| m.allocator.allocated /= 2, "allocator-fragmentation");
        check(|m| m.clients = 11 * CLIENT_BYTES, "CLIENT LIST");
        check(|m| m.resident *= 2, "rss-overhead");
    }
}
