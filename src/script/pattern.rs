//! Lua's patterns: `find`, `match`, `gmatch` and `gsub` look for them.
//!
//! The algorithm is Lua's: backtracking, which takes exponential time for some patterns, so that a pattern can
//! keep a server busy for longer than anybody waits. Therefore this one counts its steps and asks every
//! [`STEPS`] whether to go on, and it recurses [`DEPTH_MAX`] deep at most, where Lua's could overflow the stack.
//!
//! A pattern ends at its first zero byte, as it does in Lua 5.1.

/// How many captures a pattern may have.
pub const CAPTURES_MAX: usize = 32;
/// Steps between two questions whether to go on.
const STEPS: u32 = 1 << 14;
/// How deep matching recurses.
const DEPTH_MAX: u32 = 4_000;

const ESCAPE: u8 = b'%';

/// Why matching stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The pattern is wrong: the text says how.
    Malformed(&'static std::ffi::CStr),
    /// It was not to go on.
    Interrupted,
}

/// A part of the subject that parentheses captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capture {
    /// These bytes.
    Bytes(usize, usize),
    /// An empty one: this position.
    Position(usize),
}

/// A capture as a search keeps it: all of them are made for every search.
#[derive(Clone, Copy)]
struct Slot {
    start: u32,
    /// The length, or one of the two values below.
    len: u32,
}

const OPEN: u32 = u32::MAX;
const POSITION: u32 = u32::MAX - 1;

/// A search in progress.
pub struct Matcher<'a, I> {
    subject: &'a [u8],
    pattern: &'a [u8],
    captures: [Slot; CAPTURES_MAX],
    level: usize,
    depth: u32,
    steps: u32,
    interrupt: I,
}

/// Whether a pattern is one: a text without special characters is looked for as it is.
pub fn is_plain(pattern: &[u8]) -> bool {
    let special = |byte: &u8| b"^$*+?.([%-".contains(byte);
    !until_zero(pattern).iter().any(special)
}

fn until_zero(pattern: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, pattern).unwrap_or(pattern.len());
    &pattern[..end]
}

type Match = Result<Option<usize>, Stop>;

impl<'a, I: FnMut() -> bool> Matcher<'a, I> {
    /// Looks for `pattern` in `subject`; `interrupt` says whether to stop.
    pub fn new(subject: &'a [u8], pattern: &'a [u8], interrupt: I) -> Matcher<'a, I> {
        assert!(
            subject.len() < POSITION as usize,
            "positions have 32 bits, and no string is as long"
        );
        Matcher {
            subject,
            pattern: until_zero(pattern),
            captures: [Slot { start: 0, len: 0 }; CAPTURES_MAX],
            level: 0,
            depth: 0,
            steps: 0,
            interrupt,
        }
    }

    /// Whether the pattern matches at a position, from its byte `from` on; returns where the match ends.
    pub fn match_at(&mut self, at: usize, from: usize) -> Match {
        self.level = 0;
        self.depth = 0;
        self.run(at, from)
    }

    /// How many captures the last match has.
    pub fn captures(&self) -> usize {
        self.level
    }

    /// A capture of the last match, which was `start..end`: the first one of a pattern without any is all of it.
    pub fn capture(&self, index: usize, start: usize, end: usize) -> Result<Capture, Stop> {
        if index >= self.level {
            return match index {
                0 => Ok(Capture::Bytes(start, end)),
                _ => Err(Stop::Malformed(c"invalid capture index")),
            };
        }
        let Slot { start, len } = self.captures[index];
        let start = start as usize;
        match len {
            OPEN => Err(Stop::Malformed(c"unfinished capture")),
            POSITION => Ok(Capture::Position(start)),
            len => Ok(Capture::Bytes(start, start + len as usize)),
        }
    }

    #[inline]
    fn step(&mut self) -> Result<(), Stop> {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS) && (self.interrupt)() {
            return Err(Stop::Interrupted);
        }
        Ok(())
    }

    /// Matches the pattern from `p` on at `s`.
    fn run(&mut self, s: usize, p: usize) -> Match {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Stop::Malformed(c"pattern too complex"));
        }
        let end = self.run_items(s, p);
        self.depth -= 1;
        end
    }

    /// Matches item after item, until one needs to try several continuations.
    fn run_items(&mut self, mut s: usize, mut p: usize) -> Match {
        loop {
            self.step()?;
            let Some(&first) = self.pattern.get(p) else {
                return Ok(Some(s));
            };
            match (first, self.pattern.get(p + 1)) {
                (b'(', Some(b')')) => return self.open(s, p + 2, POSITION),
                (b'(', _) => return self.open(s, p + 1, OPEN),
                (b')', _) => return self.close(s, p + 1),
                (ESCAPE, Some(b'b')) => {
                    let Some(end) = self.balance(s, p + 2)? else {
                        return Ok(None);
                    };
                    (s, p) = (end, p + 4);
                    continue;
                }
                (ESCAPE, Some(b'f')) => {
                    let Some(end) = self.frontier(s, p + 2)? else {
                        return Ok(None);
                    };
                    p = end;
                    continue;
                }
                (ESCAPE, Some(digit)) if digit.is_ascii_digit() => {
                    let Some(end) = self.repeat_capture(s, *digit)? else {
                        return Ok(None);
                    };
                    (s, p) = (end, p + 2);
                    continue;
                }
                (b'$', None) => return Ok((s == self.subject.len()).then_some(s)),
                _ => {}
            }
            let end = self.item_end(p)?;
            match self.pattern.get(end) {
                Some(b'?') => {
                    if self.matches_one(s, p, end)
                        && let Some(found) = self.run(s + 1, end + 1)?
                    {
                        return Ok(Some(found));
                    }
                    p = end + 1;
                }
                Some(b'*') => return self.most(s, p, end),
                Some(b'+') if !self.matches_one(s, p, end) => return Ok(None),
                Some(b'+') => return self.most(s + 1, p, end),
                Some(b'-') => return self.fewest(s, p, end),
                _ if !self.matches_one(s, p, end) => return Ok(None),
                _ => (s, p) = (s + 1, end),
            }
        }
    }

    fn open(&mut self, s: usize, p: usize, len: u32) -> Match {
        if self.level >= CAPTURES_MAX {
            return Err(Stop::Malformed(c"too many captures"));
        }
        let start = s as u32;
        self.captures[self.level] = Slot { start, len };
        self.level += 1;
        let end = self.run(s, p)?;
        if end.is_none() {
            self.level -= 1;
        }
        Ok(end)
    }

    fn close(&mut self, s: usize, p: usize) -> Match {
        let is_open = |capture: &Slot| capture.len == OPEN;
        let open = self.captures[..self.level].iter().rposition(is_open);
        let index = open.ok_or(Stop::Malformed(c"invalid pattern capture"))?;
        self.captures[index].len = s as u32 - self.captures[index].start;
        let end = self.run(s, p)?;
        if end.is_none() {
            self.captures[index].len = OPEN;
        }
        Ok(end)
    }

    /// `%bxy`: from an x to the y that balances it.
    fn balance(&mut self, s: usize, p: usize) -> Match {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err(Stop::Malformed(c"unbalanced pattern"));
        };
        if self.subject.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1;
        for at in s + 1..self.subject.len() {
            self.step()?;
            let byte = self.subject[at];
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// `%f[set]`: between a byte outside of the set and one in it. Returns where the pattern goes on.
    fn frontier(&mut self, s: usize, p: usize) -> Match {
        if self.pattern.get(p) != Some(&b'[') {
            return Err(Stop::Malformed(c"missing '[' after '%%f' in pattern"));
        }
        let end = self.item_end(p)?;
        let before = if s == 0 { 0 } else { self.subject[s - 1] };
        let after = self.subject.get(s).copied().unwrap_or(0);
        let is_there = !self.is_in_set(before, p, end - 1) && self.is_in_set(after, p, end - 1);
        Ok(is_there.then_some(end))
    }

    /// `%1`: the same bytes as a capture before.
    fn repeat_capture(&mut self, s: usize, digit: u8) -> Match {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        if index >= self.level {
            return Err(Stop::Malformed(c"invalid capture index"));
        }
        let Slot { start, len } = self.captures[index];
        match len {
            OPEN => Err(Stop::Malformed(c"invalid capture index")),
            POSITION => Ok(None),
            len => {
                let captured = &self.subject[start as usize..][..len as usize];
                let is_same = self.subject[s..].starts_with(captured);
                Ok(is_same.then_some(s + captured.len()))
            }
        }
    }

    /// As many of the item as there are, and then fewer.
    fn most(&mut self, s: usize, p: usize, end: usize) -> Match {
        let rest = &self.subject[s..];
        let item = self.item(p, end);
        let count = rest.iter().take_while(|&&byte| self.is_one(byte, item));
        let mut count = count.count();
        loop {
            if let Some(found) = self.run(s + count, end + 1)? {
                return Ok(Some(found));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    /// None of the item, and then more.
    fn fewest(&mut self, mut s: usize, p: usize, end: usize) -> Match {
        loop {
            if let Some(found) = self.run(s, end + 1)? {
                return Ok(Some(found));
            }
            if !self.matches_one(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    /// Where the item at `p` ends: a byte, an escape, or a set.
    fn item_end(&self, p: usize) -> Result<usize, Stop> {
        match self.pattern[p] {
            ESCAPE if p + 1 == self.pattern.len() => {
                Err(Stop::Malformed(c"malformed pattern (ends with '%%')"))
            }
            ESCAPE => Ok(p + 2),
            b'[' => self.set_end(p),
            _ => Ok(p + 1),
        }
    }

    fn set_end(&self, p: usize) -> Result<usize, Stop> {
        const MISSING: Stop = Stop::Malformed(c"malformed pattern (missing ']')");
        let mut at = p + 1;
        if self.pattern.get(at) == Some(&b'^') {
            at += 1;
        }
        loop {
            // A bracket that comes first is one of the set.
            let &byte = self.pattern.get(at).ok_or(MISSING)?;
            at += 1;
            if byte == ESCAPE {
                self.pattern.get(at).ok_or(MISSING)?;
                at += 1;
            }
            if self.pattern.get(at) == Some(&b']') {
                return Ok(at + 1);
            }
        }
    }

    /// Whether the byte at `s` is one of the item `p..end`.
    #[inline]
    fn matches_one(&self, s: usize, p: usize, end: usize) -> bool {
        let byte = self.subject.get(s);
        byte.is_some_and(|&byte| self.is_one(byte, self.item(p, end)))
    }

    /// The item `p..end`.
    #[inline]
    fn item(&self, p: usize, end: usize) -> Item {
        match self.pattern[p] {
            b'.' => Item::Any,
            ESCAPE => match class_bit(self.pattern[p + 1]) {
                0 => Item::Byte(self.pattern[p + 1]),
                bit => Item::Class(bit, self.pattern[p + 1].is_ascii_uppercase()),
            },
            b'[' => Item::Set(p, end - 1),
            literal => Item::Byte(literal),
        }
    }

    #[inline]
    fn is_one(&self, byte: u8, item: Item) -> bool {
        match item {
            Item::Any => true,
            Item::Byte(literal) => literal == byte,
            Item::Class(bit, is_negated) => (CLASSES[byte as usize] & bit != 0) != is_negated,
            Item::Set(p, end) => self.is_in_set(byte, p, end),
        }
    }

    /// Whether a byte is in the set whose brackets are at `p` and `end`.
    fn is_in_set(&self, byte: u8, p: usize, end: usize) -> bool {
        let mut at = p + 1;
        let is_negated = self.pattern[at] == b'^';
        if is_negated {
            at += 1;
        }
        while at < end {
            let first = self.pattern[at];
            if first == ESCAPE {
                if is_of_class(byte, self.pattern[at + 1]) {
                    return !is_negated;
                }
                at += 2;
            } else if at + 2 < end && self.pattern[at + 1] == b'-' {
                if (first..=self.pattern[at + 2]).contains(&byte) {
                    return !is_negated;
                }
                at += 3;
            } else {
                if first == byte {
                    return !is_negated;
                }
                at += 1;
            }
        }
        is_negated
    }
}

/// What one byte of the subject is compared with.
#[derive(Clone, Copy)]
enum Item {
    Any,
    Byte(u8),
    /// A bit of [`CLASSES`], and whether the others are meant.
    Class(u16, bool),
    /// Where its brackets are.
    Set(usize, usize),
}

/// The classes that each byte is of, in the order of [`CLASS_LETTERS`].
static CLASSES: [u16; 256] = {
    let mut classes = [0; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        let is_of = [
            byte.is_ascii_alphabetic(),
            byte.is_ascii_control(),
            byte.is_ascii_digit(),
            byte.is_ascii_lowercase(),
            byte.is_ascii_punctuation(),
            matches!(byte, b' ' | b'\t'..=b'\r'),
            byte.is_ascii_uppercase(),
            byte.is_ascii_alphanumeric(),
            byte.is_ascii_hexdigit(),
            byte == 0,
        ];
        let mut class = 0;
        while class < is_of.len() {
            classes[i] |= (is_of[class] as u16) << class;
            class += 1;
        }
        i += 1;
    }
    classes
};

const CLASS_LETTERS: &[u8; 10] = b"acdlpsuwxz";

/// The bit of the class that a letter of either case names; 0 if it names none.
#[inline]
fn class_bit(letter: u8) -> u16 {
    let lower = letter | 0x20;
    if !letter.is_ascii_alphabetic() {
        return 0;
    }
    let place = CLASS_LETTERS.iter().position(|&known| known == lower);
    place.map_or(0, |place| 1 << place)
}

/// Whether a byte is of the class that a letter names; a letter in upper case names all others.
#[inline]
fn is_of_class(byte: u8, letter: u8) -> bool {
    match class_bit(letter) {
        0 => letter == byte,
        bit => (CLASSES[byte as usize] & bit != 0) != letter.is_ascii_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first match: the whole, and the captures.
    fn find(subject: &str, pattern: &str) -> Result<Option<Vec<String>>, Stop> {
        let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
        let mut matcher = Matcher::new(subject, pattern, || false);
        for start in 0..=subject.len() {
            if let Some(end) = matcher.match_at(start, 0)? {
                let mut found = vec![Capture::Bytes(start, end)];
                for index in 0..matcher.captures() {
                    found.push(matcher.capture(index, start, end)?);
                }
                let shown = found.into_iter().map(|capture| match capture {
                    Capture::Bytes(from, to) => {
                        String::from_utf8_lossy(&subject[from..to]).into_owned()
                    }
                    Capture::Position(at) => format!("@{at}"),
                });
                return Ok(Some(shown.collect()));
            }
        }
        Ok(None)
    }

    #[test]
    fn patterns_find_what_lua_finds() {
        let check = |subject: &str, pattern: &str, expected: &str| {
            let found = find(subject, pattern).unwrap();
            let shown = found.map_or("nothing".into(), |found| found.join("|"));
            assert_eq!(shown, expected, "{pattern} in {subject}");
        };
        check("hello world", "o w", "o w");
        check("hello", "l+", "ll");
        check("hello", "l-o", "llo");
        check("hello", "xl*", "nothing");
        check("hello", "el?lo$", "ello");
        check("key:123:x", "(%w+):(%d+)", "key:123|key|123");
        check("  x", "^%s*(.-)%s*$", "nothing");
        check("f(a(b)c)d", "%b()", "(a(b)c)");
        check("THE (quick) fox", "%f[%a]%a+%f[%A]", "THE");
        check("abab", "(ab)%1", "abab|ab");
        check("hello", "()ll()", "ll|@2|@4");
        check("a]b", "[]]", "]");
        check("a-b", "[a%-]+", "a-");
        check("x^y", "[x^]+", "x^");
        check("abc", "[^a]+", "bc");
        check("2026-11-25", "(%d+)-(%d+)-(%d+)", "2026-11-25|2026|11|25");
        check("a.b", "%.", ".");
        check("", "", "");
        check("aXb", "%u", "X");
        check("0x1F", "0x%x+", "0x1F");
    }

    #[test]
    fn wrong_patterns() {
        let check = |pattern: &str, text: &'static std::ffi::CStr| {
            assert_eq!(
                find("aaaa", pattern),
                Err(Stop::Malformed(text)),
                "{pattern}"
            );
        };
        check("%", c"malformed pattern (ends with '%%')");
        check("[a", c"malformed pattern (missing ']')");
        check("[", c"malformed pattern (missing ']')");
        check("[%", c"malformed pattern (missing ']')");
        check("a)", c"invalid pattern capture");
        check("(a", c"unfinished capture");
        check("%1", c"invalid capture index");
        check("%b", c"unbalanced pattern");
        check("%fx", c"missing '[' after '%%f' in pattern");
        check(&"()".repeat(33), c"too many captures");
        check(&"a-".repeat(5_000), c"pattern too complex");
    }

    #[test]
    fn a_pattern_that_takes_for_ever_can_be_interrupted() {
        let (subject, pattern) = ("a".repeat(1000), ".-".repeat(30) + "b");
        let mut asked = 0;
        let mut matcher = Matcher::new(subject.as_bytes(), pattern.as_bytes(), || {
            asked += 1;
            asked == 3
        });
        assert_eq!(matcher.match_at(0, 0), Err(Stop::Interrupted));
        assert_eq!(asked, 3);
    }
}
