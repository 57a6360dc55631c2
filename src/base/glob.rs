//! Glob patterns as KEYS, SCAN, PSUBSCRIBE, CONFIG GET and ACL rules use them.
//!
//! Owns the matching of one pattern against one byte string, with the result Redis gives for every
//! input, its oddities included:
//! - `*` any bytes, `?` one byte, `[abc]`, `[a-z]`, `[^a]` one byte of a set, `\x` the byte x;
//! - a set that is not closed ends with the pattern; a reversed range is turned round;
//! - range bounds compare as signed bytes (the letters of a C `char` on x86);
//! - an escaped byte in a set is compared exactly even when case is ignored;
//! - an empty text is matched by an empty pattern and by `*` alone, not by `**`.
//!
//! One thing is left out: Redis gives up on a pattern with more than a thousand stars.
//!
//! Every element but `*` consumes exactly one byte. So when a mismatch follows two stars, moving
//! the earlier star can never help, and the last star alone is moved on: the cost is at most
//! pattern length times text length, without recursion.

/// Stars that a match can pass, a run of them counted as one.
const STARS_MAX: usize = 1000;

/// Whether the whole text matches the pattern.
pub fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    if pattern == b"*" {
        // Redis's commands say so before they ask; publishing to the channel "" does not.
        return true;
    }
    let mut rest_pattern = pattern;
    let mut rest_text = text;
    // Where to resume: the pattern after the last star, and the text that it was tried on.
    let mut last_star: Option<(&[u8], &[u8])> = None;
    let mut stars = 0;
    loop {
        if rest_text.is_empty() {
            // Stars may match nothing at the end of a text, but not in an empty one. Where the
            // text is too short, moving the last star on would only make it shorter.
            let stars_match = !text.is_empty();
            return rest_pattern.iter().all(|&byte| byte == b'*' && stars_match);
        }
        if let [b'*', after @ ..] = rest_pattern {
            if after.is_empty() {
                return true;
            }
            stars += usize::from(after[0] != b'*');
            if stars > STARS_MAX {
                return false;
            }
            rest_pattern = after;
            last_star = Some((after, rest_text));
            continue;
        }
        if let Some(after) = match_one(rest_pattern, rest_text[0], nocase) {
            rest_pattern = after;
            rest_text = &rest_text[1..];
            continue;
        }
        let Some((after_star, tried)) = last_star else {
            return false;
        };
        let Some(retry) = next_start(after_star, &tried[1..], nocase) else {
            return false;
        };
        last_star = Some((after_star, retry));
        rest_pattern = after_star;
        rest_text = retry;
    }
}

/// Whether the pattern has no special byte, and so matches itself only.
pub fn is_literal(pattern: &[u8]) -> bool {
    literal_prefix(pattern).len() == pattern.len()
}

/// The bytes before the first special one: every matching text starts with them.
pub fn literal_prefix(pattern: &[u8]) -> &[u8] {
    let special = pattern
        .iter()
        .position(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'));
    &pattern[..special.unwrap_or(pattern.len())]
}

/// Matches the pattern's first element, which is not a star, and answers the pattern after it.
#[inline]
fn match_one(pattern: &[u8], byte: u8, nocase: bool) -> Option<&[u8]> {
    let (matched, after) = match pattern {
        [] => return None,
        [b'?', after @ ..] => (true, after),
        [b'[', set @ ..] => match_set(set, byte, nocase),
        [b'\\', literal, after @ ..] | [literal, after @ ..] => {
            (equals(*literal, byte, nocase), after)
        }
    };
    matched.then_some(after)
}

/// Matches what follows `[`, and answers the pattern after the set.
fn match_set(set: &[u8], byte: u8, nocase: bool) -> (bool, &[u8]) {
    let (negated, mut rest) = match set {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [] => break,
            [b'\\', literal, after @ ..] => {
                found |= *literal == byte;
                after
            }
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [first, b'-', last, after @ ..] => {
                found |= in_range(*first, *last, byte, nocase);
                after
            }
            [literal, after @ ..] => {
                found |= equals(*literal, byte, nocase);
                after
            }
        };
    }
    (found != negated, rest)
}

fn in_range(first: u8, last: u8, byte: u8, nocase: bool) -> bool {
    let (low, high) = if first as i8 > last as i8 {
        (last, first)
    } else {
        (first, last)
    };
    // The bounds are ordered before they lose their case, so `[Z-a]` without case is empty.
    let fold = |bound: u8| {
        if nocase {
            bound.to_ascii_lowercase() as i8
        } else {
            bound as i8
        }
    };
    (fold(low)..=fold(high)).contains(&fold(byte))
}

#[inline]
fn equals(left: u8, right: u8, nocase: bool) -> bool {
    left == right || (nocase && left.eq_ignore_ascii_case(&right))
}

/// The text from the next place where the pattern after a star can begin.
fn next_start<'a>(after_star: &[u8], text: &'a [u8], nocase: bool) -> Option<&'a [u8]> {
    let literal = match after_star {
        [b'\\', literal, ..] => *literal,
        [b'*' | b'?' | b'[', ..] | [] => return Some(text),
        [literal, ..] => *literal,
    };
    let at = if nocase && literal.is_ascii_alphabetic() {
        memchr::memchr2(
            literal.to_ascii_lowercase(),
            literal.to_ascii_uppercase(),
            text,
        )
    } else {
        memchr::memchr(literal, text)
    };
    at.map(|at| &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cases() {
        fn check(pattern: &[u8], matching: &[&[u8]], others: &[&[u8]]) {
            for text in matching {
                assert!(
                    matches(pattern, text, false),
                    "{pattern:?} should match {text:?}"
                );
            }
            for text in others {
                assert!(
                    !matches(pattern, text, false),
                    "{pattern:?} should not match {text:?}"
                );
            }
        }
        check(b"", &[b""], &[b"a"]);
        check(b"*", &[b"", b"a", b"ab"], &[]);
        check(b"**", &[b"a"], &[b""]);
        check(b"abc", &[b"abc"], &[b"", b"ab", b"abcd", b"ABC"]);
        check(b"a?c", &[b"abc", b"a?c"], &[b"ac", b"abbc"]);
        check(b"a*", &[b"a", b"abc"], &[b"", b"ba"]);
        check(b"*c", &[b"c", b"abc", b"cc"], &[b"", b"ca"]);
        check(
            b"a*b*c",
            &[b"abc", b"a-b-c", b"abbcc", b"abcbc"],
            &[b"acb", b"ab"],
        );
        check(b"*aab", &[b"aab", b"aaab", b"aabaab"], &[b"aaba"]);
        check(b"h[ae]llo", &[b"hallo", b"hello"], &[b"hillo", b"hllo"]);
        check(b"h[^e]llo", &[b"hallo"], &[b"hello", b"hllo"]);
        check(b"[a-c]", &[b"a", b"b", b"c"], &[b"d", b"-"]);
        check(b"[c-a]", &[b"a", b"b", b"c"], &[b"d"]);
        check(b"[a-]", &[b"]", b"a"], &[b"-", b"["]);
        check(b"[a-]x", &[], &[b"ax", b"]x", b"-x"]);
        check(b"[]", &[], &[b"", b"]", b"a"]);
        check(b"[^]", &[b"a", b"]"], &[b""]);
        check(b"[", &[], &[b"[", b""]);
        check(b"[^", &[b"["], &[b""]);
        check(b"[ab", &[b"a", b"b"], &[b"c", b"[ab"]);
        check(b"[\\]]", &[b"]"], &[b"\\", b"\\]"]);
        check(b"[\\", &[b"\\"], &[b"["]);
        check(b"\\*", &[b"*"], &[b"a", b"\\*", b"\\"]);
        check(b"\\", &[b"\\"], &[b""]);
        check(b"\\\\", &[b"\\"], &[b"\\\\"]);
        check(b"*\\?", &[b"?", b"a?"], &[b"a"]);
        // As signed bytes 0xff comes first, so that this range reaches from 0xff up to `a`.
        check(b"[a-\xff]", &[b"\xff", b"\0", b"a"], &[b"b", b"\x80"]);
        check(b"a\0*", &[b"a\0", b"a\0b"], &[b"a", b"ab"]);
    }

    #[test]
    fn too_many_stars() {
        let check = |element: &str, count, expected| {
            let pattern = element.repeat(count);
            let text = "a".repeat(2 * STARS_MAX);
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes(), false),
                expected,
                "{element} {count}"
            );
        };
        check("*a", STARS_MAX, true);
        check("*a", STARS_MAX + 1, false);
        check("*", STARS_MAX + 1, true);
        check("**?", STARS_MAX, true);
        check("**?", STARS_MAX + 1, false);
    }

    #[test]
    fn without_case() {
        fn check(pattern: &str, text: &str, expected: bool) {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes(), true),
                expected,
                "{pattern} {text}"
            );
        }
        check("MAX*Policy", "maxmemory-policy", true);
        check("*Z", "az", true);
        check("[A-C]", "b", true);
        check("[^A-C]", "b", false);
        check("\\A", "a", true);
        check("[\\A]", "a", false);
        check("[\\a]", "A", false);
        check("[Z-a]", "a", false);
        check("[A-z]", "_", false);
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = b"a*".repeat(STARS_MAX);
        let text = b"a".repeat(50_000);
        assert!(matches(&pattern, &text, false));
        assert!(!matches(&[&pattern[..], b"b"].concat(), &text, false));
    }

    #[test]
    fn literal_parts() {
        fn check(pattern: &str, prefix: &str) {
            assert_eq!(literal_prefix(pattern.as_bytes()), prefix.as_bytes());
            assert_eq!(is_literal(pattern.as_bytes()), pattern == prefix);
        }
        check("", "");
        check("key]^-", "key]^-");
        check("key:*", "key:");
        check("key?", "key");
        check("k[e]y", "k");
        check("k\\ey", "k");
    }

    /// The definition: a star tries every split, everything else one byte.
    fn naive(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
        match (pattern, text) {
            ([b'*', after @ ..], _) => {
                (0..=text.len()).any(|skipped| naive(after, &text[skipped..], nocase))
            }
            ([], []) => true,
            (_, []) => false,
            (_, [byte, rest @ ..]) => {
                match_one(pattern, *byte, nocase).is_some_and(|after| naive(after, rest, nocase))
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            pattern in r"[ab*?\[\]^\\-]{0,9}", text in r"[abAB\[\\-]{1,9}", nocase: bool
        ) {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text, nocase), naive(pattern, text, nocase));
        }
    }
}
