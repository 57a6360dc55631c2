//! Which patterns a channel may match, found without a look at the others.
//!
//! A pattern is filed under its *anchor*: the literal bytes it begins with, or if it begins with none,
//! the literal bytes it ends with. A channel has one prefix and one suffix of each length, so it is looked
//! up once for each length of anchor in use. Patterns without any (`*`) are candidates for every channel.

use crate::base::glob;
use std::collections::{BTreeMap, HashMap};

/// Patterns, by number.
#[derive(Default)]
pub(super) struct Anchors {
    /// By how they begin; those without an anchor are under the empty one.
    prefixes: Anchored,
    /// By how they end.
    suffixes: Anchored,
}

#[derive(Default)]
struct Anchored {
    patterns: HashMap<Box<[u8]>, Vec<u32>>,
    /// How many anchors there are of each length.
    lengths: BTreeMap<usize, usize>,
}

impl Anchors {
    /// Adds a pattern.
    pub(super) fn add(&mut self, pattern: &[u8], id: u32) {
        let (side, anchor) = self.side(pattern);
        side.add(anchor, id);
    }

    /// Removes a pattern that was added.
    pub(super) fn remove(&mut self, pattern: &[u8], id: u32) {
        let (side, anchor) = self.side(pattern);
        side.remove(anchor, id);
    }

    /// Calls `candidate` with each pattern whose anchor a channel has.
    pub(super) fn visit(&self, channel: &[u8], mut candidate: impl FnMut(u32)) {
        for &len in self.prefixes.lengths_to(channel.len()) {
            self.prefixes.visit(&channel[..len], &mut candidate);
        }
        for &len in self.suffixes.lengths_to(channel.len()) {
            let end = &channel[channel.len() - len..];
            self.suffixes.visit(end, &mut candidate);
        }
    }

    fn side<'p>(&mut self, pattern: &'p [u8]) -> (&mut Anchored, &'p [u8]) {
        match (glob::literal_prefix(pattern), literal_suffix(pattern)) {
            ([], []) => (&mut self.prefixes, &[]),
            ([], suffix) => (&mut self.suffixes, suffix),
            (prefix, _) => (&mut self.prefixes, prefix),
        }
    }
}

impl Anchored {
    fn add(&mut self, anchor: &[u8], id: u32) {
        if let Some(ids) = self.patterns.get_mut(anchor) {
            ids.push(id);
            return;
        }
        self.patterns.insert(anchor.into(), vec![id]);
        *self.lengths.entry(anchor.len()).or_default() += 1;
    }

    fn remove(&mut self, anchor: &[u8], id: u32) {
        let ids = self.patterns.get_mut(anchor);
        let ids = ids.expect("a pattern is filed under its anchor");
        let at = ids.iter().position(|&other| other == id);
        ids.swap_remove(at.expect("a pattern is filed under its anchor"));
        if !ids.is_empty() {
            return;
        }
        self.patterns.remove(anchor);
        let count = self.lengths.get_mut(&anchor.len());
        let count = count.expect("the lengths of all anchors are counted");
        *count -= 1;
        if *count == 0 {
            self.lengths.remove(&anchor.len());
        }
    }

    fn lengths_to(&self, max: usize) -> impl Iterator<Item = &usize> {
        self.lengths.range(..=max).map(|(len, _)| len)
    }

    #[inline]
    fn visit(&self, anchor: &[u8], candidate: &mut impl FnMut(u32)) {
        if let Some(ids) = self.patterns.get(anchor) {
            ids.iter().for_each(|&id| candidate(id));
        }
    }
}

/// Bytes that every matching text ends with; none for a pattern with sets, where it is not worth finding
/// out which bytes are of one.
fn literal_suffix(pattern: &[u8]) -> &[u8] {
    if memchr::memchr(b'[', pattern).is_some() {
        return &[];
    }
    let special = |byte: &u8| matches!(byte, b'*' | b'?' | b'\\');
    let Some(last) = pattern.iter().rposition(special) else {
        return pattern;
    };
    // What follows a backslash is literal, but the backslash may itself have been made literal.
    let escapes = usize::from(pattern[last] == b'\\');
    pattern.get(last + 1 + escapes..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn suffixes() {
        let check = |pattern: &[u8], expected: &[u8]| {
            assert_eq!(literal_suffix(pattern), expected, "{pattern:?}");
        };
        check(b"*", b"");
        check(b"*.log", b".log");
        check(b"?ab*cd", b"cd");
        check(b"*\\ab", b"b");
        check(b"*\\", b"");
        check(b"*[ab]c", b"");
        check(b"abc", b"abc");
    }

    proptest! {
        #[test]
        fn no_matching_pattern_is_missed(
            patterns in prop::collection::vec(r"[ab*?\[\]^\\-]{0,6}", 1..20),
            channels in prop::collection::vec(r"[ab\[\]\\-]{0,6}", 1..20),
        ) {
            let mut anchors = Anchors::default();
            for (id, pattern) in patterns.iter().enumerate() {
                anchors.add(pattern.as_bytes(), id as u32);
            }
            for channel in &channels {
                let mut found = vec![0; patterns.len()];
                anchors.visit(channel.as_bytes(), |id| found[id as usize] += 1);
                for (pattern, found) in patterns.iter().zip(found) {
                    prop_assert!(found <= 1);
                    let matches = glob::matches(pattern.as_bytes(), channel.as_bytes(), false);
                    prop_assert!(!matches || found == 1, "{} {}", pattern, channel);
                }
            }
            for (id, pattern) in patterns.iter().enumerate() {
                anchors.remove(pattern.as_bytes(), id as u32);
            }
            prop_assert!(anchors.prefixes.patterns.is_empty() && anchors.suffixes.lengths.is_empty());
        }
    }
}
