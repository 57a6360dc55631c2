//! `cjson.decode`.
//!
//! Redis's library reads a text that ends in a zero byte, and takes every number that C's `strtod` takes, so this
//! does: what follows a zero byte is ignored. Tables grow as values come, never by what a text promises. The
//! first values of an array wait on Lua's stack until it is known how many they are, since a table that grows value
//! by value is moved at each power of two; it gets the size that it would have grown to.
//!
//! Containers are kept in [`Levels`], not on the processor's stack, so a script may allow any depth.

use std::ffi::c_int;

use super::super::stack::{Buffer, Levels, Run, SLOTS_MAX, Stack};
use super::{KEPT, Settings, number, word};

/// How many values of an array wait on the stack.
const WAITING_MAX: c_int = 128;

/// Arrays that begin above this many values on the stack have none wait.
const WAITING_TOP_MAX: c_int = 1000;

pub(super) fn decode(stack: Stack) -> c_int {
    if stack.top() != 1 {
        stack.fail_argument(1, format_args!("expected 1 argument"));
    }
    let text = stack.check_text_with_zero(1);
    if text.len() > 2 && (text[0] == 0 || text[1] == 0) {
        stack.fail(format_args!(
            "JSON parser does not support UTF-16 or UTF-32"
        ));
    }
    // The place of the buffer.
    stack.set_top(2);
    let mut decoder = Decoder {
        stack,
        settings: stack.shared(),
        text,
        at: 0,
        unescaped: None,
    };
    decoder.document();
    if let Some(buffer) = decoder.unescaped {
        buffer.keep(KEPT);
    }
    1
}

struct Decoder<'call> {
    stack: Stack<'call>,
    settings: &'call Settings,
    /// Ends in a zero byte, and so ends whatever is read from it.
    text: &'call [u8],
    /// Where the next token begins, or spaces before it.
    at: usize,
    /// The last string that had escapes, once there was one.
    unescaped: Option<Buffer<'call>>,
}

/// A value that is one token and no string.
enum Scalar {
    Number(f64),
    Boolean(bool),
    Null,
}

/// What is wrong with a token.
type Problem = &'static str;

/// A container that is being read.
#[derive(Clone, Copy)]
enum Level {
    /// Its table is on the stack, the key above it.
    Object,
    /// A place for its table is on the stack, the values above it.
    Waiting { top: c_int },
    /// Its table is on the stack.
    Array { len: c_int },
}

impl Decoder<'_> {
    /// Pushes the value that the text holds and nothing else.
    fn document(&mut self) {
        let mut levels = Levels::new();
        loop {
            self.skip_spaces();
            match self.text[self.at] {
                b'"' => self.string("value"),
                b'-' | b'0'..=b'9' => self.number(),
                b'{' => {
                    if self.begin_object(&mut levels) {
                        continue;
                    }
                }
                b'[' => {
                    if self.begin_array(&mut levels) {
                        continue;
                    }
                }
                _ => self.word(),
            }
            if !self.after_value(&mut levels) {
                return;
            }
        }
    }

    /// Stores the value on top of the stack, and ends the containers that end behind it. Says whether another value
    /// follows, which the text is at then.
    #[inline]
    fn after_value(&mut self, levels: &mut Levels<Level>) -> bool {
        loop {
            let Some(level) = levels.last() else {
                self.skip_spaces();
                if self.text[self.at] != 0 {
                    self.refuse_next("the end");
                }
                return false;
            };
            if matches!(level, Level::Object) {
                self.stack.set(-3);
                if self.takes(b',') {
                    self.key();
                    return true;
                }
                if !self.takes(b'}') {
                    self.refuse_next("comma or object end");
                }
            } else {
                self.store(level);
                if self.takes(b',') {
                    return true;
                }
                if !self.takes(b']') {
                    self.refuse_next("comma or array end");
                }
                self.end_array(*level);
            }
            levels.pop();
        }
    }

    /// Pushes the number that the text is at.
    #[inline]
    fn number(&mut self) {
        match self.read_number() {
            Ok(value) => self.stack.push_number(value),
            Err(problem) => self.refuse("value", problem, self.at),
        }
    }

    /// Pushes a value that begins as no other kind does.
    fn word(&mut self) {
        match self.read_word() {
            Some(Ok(Scalar::Number(value))) => self.stack.push_number(value),
            Some(Ok(Scalar::Boolean(value))) => self.stack.push_boolean(value),
            Some(Ok(Scalar::Null)) => self.stack.push_null(),
            Some(Err(problem)) => self.refuse("value", problem, self.at),
            None => self.refuse_next("value"),
        }
    }

    // --- objects ---

    /// Pushes a table, and if the object has members, the first key.
    fn begin_object(&mut self, levels: &mut Levels<Level>) -> bool {
        self.at += 1;
        // The table, a key, its value, and what a growing buffer needs.
        self.descend(levels, 4);
        self.stack.push_table(0);
        if self.takes(b'}') {
            return false;
        }
        levels.push(Level::Object);
        self.key();
        true
    }

    /// Pushes a key, and goes on to its value.
    #[inline]
    fn key(&mut self) {
        self.skip_spaces();
        if self.text[self.at] != b'"' {
            self.refuse_next("object key string");
        }
        self.string("object key string");
        if !self.takes(b':') {
            self.refuse_next("colon");
        }
    }

    /// Makes room for a container one level down.
    fn descend(&self, levels: &Levels<Level>, slots: c_int) {
        let depth = levels.len() + 1;
        let allowed = depth as i64 <= i64::from(self.settings.decode_max_depth.get());
        if !allowed || depth > SLOTS_MAX || !self.stack.check(slots) {
            let at = self.at;
            self.stack.fail(format_args!(
                "Found too many nested data structures ({depth}) at character {at}"
            ));
        }
    }

    // --- arrays ---

    /// Pushes a table, or the place of one if the array has values.
    fn begin_array(&mut self, levels: &mut Levels<Level>) -> bool {
        self.at += 1;
        let waits = self.stack.top() < WAITING_TOP_MAX;
        self.descend(levels, if waits { WAITING_MAX + 3 } else { 3 });
        if self.takes(b']') {
            self.stack.push_table(0);
            return false;
        }
        levels.push(if waits {
            self.stack.push_nil();
            Level::Waiting {
                top: self.stack.top(),
            }
        } else {
            self.stack.push_table(0);
            Level::Array { len: 0 }
        });
        true
    }

    /// Takes the value on top of the stack into an array.
    #[inline]
    fn store(&self, level: &mut Level) {
        match level {
            Level::Array { len } => {
                *len += 1;
                self.stack.set_index(-2, *len);
            }
            Level::Waiting { top } => {
                let len = self.stack.top() - *top;
                if len == WAITING_MAX {
                    self.stack.gather(*top);
                    *level = Level::Array { len };
                }
            }
            Level::Object => unreachable!("an object is no array"),
        }
    }

    /// Leaves the table of an array on top of the stack.
    #[inline]
    fn end_array(&self, level: Level) {
        if let Level::Waiting { top } = level {
            self.stack.gather(top);
        }
    }

    // --- strings ---

    /// Pushes the string whose quote the text is at, or says that it is not what was `wanted`.
    #[inline]
    fn string(&mut self, wanted: &str) {
        let start = self.at + 1;
        let end = self.plain_end(start);
        if self.text[end] == b'"' {
            self.stack.push_text(&self.text[start..end]);
            self.at = end + 1;
        } else {
            self.string_with_escapes(wanted);
        }
    }

    /// Where the plain bytes from `start` on end.
    #[inline]
    fn plain_end(&self, start: usize) -> usize {
        let mut end = start;
        loop {
            let ends = word::ends_decoded(word::first(&self.text[end..]));
            if ends != 0 {
                return end + word::before(ends);
            }
            end += word::LEN;
        }
    }

    fn string_with_escapes(&mut self, wanted: &str) {
        match self.read_string() {
            Ok(()) => {}
            Err((at, problem)) => self.refuse(wanted, problem, at),
        }
        let unescaped = self.unescaped.as_ref().expect("a string was read");
        self.stack.push_text(unescaped.bytes());
    }

    /// Reads the string whose quote the text is at into `unescaped`, or says what is wrong where.
    fn read_string(&mut self) -> Result<(), (usize, Problem)> {
        let stack = self.stack;
        let unescaped = &mut self.unescaped;
        let buffer = unescaped.get_or_insert_with(|| Buffer::take(stack, 2, KEPT));
        buffer.truncate(0);
        let start = self.at + 1;
        let text = &self.text[start..];
        // No escape is shorter than what it stands for.
        let (len, problem) = buffer.run(text.len() + word::LEN, |run| unescape(text, run));
        match problem {
            Some(problem) => Err((start + len, problem)),
            None => {
                self.at = start + len + 1;
                Ok(())
            }
        }
    }

    // --- tokens ---

    #[inline]
    fn skip_spaces(&mut self) {
        while matches!(self.text[self.at], b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Reads the next token if it is this one, of one byte, and says so.
    #[inline]
    fn takes(&mut self, byte: u8) -> bool {
        if self.text[self.at] != byte {
            self.skip_spaces();
            if self.text[self.at] != byte {
                return false;
            }
        }
        self.at += 1;
        true
    }

    #[inline]
    fn read_number(&mut self) -> Result<f64, Problem> {
        let text = &self.text[self.at..];
        if self.settings.decode_invalid_numbers.get() == 0 && is_no_json_number(text) {
            return Err("invalid number");
        }
        let (value, len) = number::parse(text).ok_or("invalid number")?;
        self.at += len;
        Ok(value)
    }

    /// Reads a token of letters; none if it is another kind.
    fn read_word(&mut self) -> Option<Result<Scalar, Problem>> {
        let text = &self.text[self.at..];
        for (word, value) in [
            (&b"true"[..], Scalar::Boolean(true)),
            (b"false", Scalar::Boolean(false)),
            (b"null", Scalar::Null),
        ] {
            if text.starts_with(word) {
                self.at += word.len();
                return Some(Ok(value));
            }
        }
        if matches!(text[0], b'{' | b'}' | b'[' | b']' | b',' | b':' | 0) {
            return None;
        }
        let may_be_number = matches!(text[0], b'+' | b'i' | b'I' | b'n' | b'N');
        if may_be_number
            && self.settings.decode_invalid_numbers.get() != 0
            && is_no_json_number(text)
        {
            return Some(self.read_number().map(Scalar::Number));
        }
        Some(Err("invalid token"))
    }

    // --- errors ---

    /// Raises the error of the next token, which is not what was `wanted`, or no token at all.
    #[cold]
    fn refuse_next(&mut self, wanted: &str) -> ! {
        self.skip_spaces();
        let mut at = self.at;
        let found = match self.text[at] {
            b'{' => "T_OBJ_BEGIN",
            b'}' => "T_OBJ_END",
            b'[' => "T_ARR_BEGIN",
            b']' => "T_ARR_END",
            b',' => "T_COMMA",
            b':' => "T_COLON",
            0 => "T_END",
            b'"' => match self.read_string() {
                Ok(()) => "T_STRING",
                Err((problem_at, problem)) => {
                    at = problem_at;
                    problem
                }
            },
            b'-' | b'0'..=b'9' => self
                .read_number()
                .map_or_else(|problem| problem, |_| "T_NUMBER"),
            _ => match self.read_word().expect("other kinds are excluded") {
                Ok(Scalar::Number(_)) => "T_NUMBER",
                Ok(Scalar::Boolean(_)) => "T_BOOLEAN",
                Ok(Scalar::Null) => "T_NULL",
                Err(problem) => problem,
            },
        };
        self.refuse(wanted, found, at)
    }

    #[cold]
    fn refuse(&self, wanted: &str, found: &str, at: usize) -> ! {
        let at = at + 1;
        self.stack.fail(format_args!(
            "Expected {wanted} but found {found} at character {at}"
        ))
    }
}

/// Whether what `strtod` may take is for certain no number of JSON's.
fn is_no_json_number(text: &[u8]) -> bool {
    let unsigned = match text[0] {
        b'+' => return true,
        b'-' => &text[1..],
        _ => text,
    };
    if unsigned[0] == b'0' {
        return matches!(unsigned[1], b'x' | b'X' | b'0'..=b'9');
    }
    unsigned
        .get(..3)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan"))
}

/// Puts what a string stands for that begins behind its quote. Returns how long it is, and what is wrong there if it
/// does not end in another quote.
#[inline]
fn unescape(text: &[u8], run: &mut Run) -> (usize, Option<Problem>) {
    // Words begin eight bytes apart as long as no code unit comes, so that the next one need not wait for the length
    // of an escape.
    let mut base = 0;
    'words: loop {
        let mut word = word::first(&text[base..]);
        let mut ends = word::ends_decoded(word);
        let mut taken = 0;
        while ends != 0 {
            let plain = word::before(ends);
            let mut at = base + taken + plain;
            if text[at] != b'\\' {
                run.put_word(word, plain);
                match text[at] {
                    b'"' => return (at, None),
                    0 => return (at, Some("unexpected end of string")),
                    // It only stood behind one that ends a run.
                    byte => run.put(byte),
                }
                taken += plain + 1;
                word = word::without(word::without(word, plain), 1);
                ends = word::without(word::without(ends, plain), 1);
                continue;
            }
            match ESCAPED[usize::from(text[at + 1])] {
                0 => return (at, Some("invalid escape code")),
                CODE_UNIT => {
                    run.put_word(word, plain);
                    // They come in rows.
                    while text[at..].starts_with(b"\\u") {
                        let Some((code, len)) = code_units(&text[at + 2..]) else {
                            return (at, Some("invalid unicode escape code"));
                        };
                        put_utf8(code, run);
                        at += 2 + len;
                    }
                    base = at;
                    continue 'words;
                }
                byte => run.put_word_and(word, plain, byte),
            }
            taken += plain + 2;
            if taken > word::LEN {
                base += word::LEN + 1;
                continue 'words;
            }
            word = word::without(word::without(word, plain), 2);
            ends = word::without(word::without(ends, plain), 2);
        }
        run.put_word(word, word::LEN - taken);
        base += word::LEN;
    }
}

/// What the letter behind a backslash stands for; 0 if for nothing.
static ESCAPED: [u8; 256] = {
    let mut escaped = [0; 256];
    escaped[b'"' as usize] = b'"';
    escaped[b'\\' as usize] = b'\\';
    escaped[b'/' as usize] = b'/';
    escaped[b'b' as usize] = 0x08;
    escaped[b't' as usize] = b'\t';
    escaped[b'n' as usize] = b'\n';
    escaped[b'f' as usize] = 0x0c;
    escaped[b'r' as usize] = b'\r';
    escaped[b'u' as usize] = CODE_UNIT;
    escaped
};

/// Stands for the digits that follow, of a code unit.
const CODE_UNIT: u8 = b'u';

/// The character whose code unit, behind its `\u`, a text begins with, and how many bytes of it that takes: four,
/// or with a second unit ten.
#[inline]
fn code_units(digits: &[u8]) -> Option<(u32, usize)> {
    let unit = hexadecimal4(digits)?;
    if !(0xd800..0xe000).contains(&unit) {
        return Some((unit, 4));
    }
    let low = hexadecimal4(digits[4..].strip_prefix(b"\\u")?)?;
    if unit >= 0xdc00 || !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    Some((0x1_0000 + ((unit & 0x3ff) << 10 | low & 0x3ff), 10))
}

/// The value of four hexadecimal digits.
#[inline]
fn hexadecimal4(digits: &[u8]) -> Option<u32> {
    let digits: &[u8; 4] = digits.first_chunk()?;
    // What is no digit is moved up at most to bit 28, so it leaves its mark above the sixteen bits.
    let value = digits
        .iter()
        .fold(0, |value, digit| value << 4 | DIGITS[usize::from(*digit)]);
    (value <= 0xffff).then_some(value)
}

static DIGITS: [u32; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u32;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u32;
        value += 1;
    }
    digits
};

/// More than four digits can be.
const NO_DIGIT: u32 = 1 << 16;

/// Puts a character in UTF-8.
#[inline]
fn put_utf8(code: u32, run: &mut Run) {
    let tail = |shift: u32| u64::from(0x80 | code >> shift & 0x3f);
    let head = |shift: u32| u64::from(code >> shift);
    let (word, len) = match code {
        0..0x80 => (head(0), 1),
        0x80..0x800 => (0xc0 | head(6) | tail(0) << 8, 2),
        0x800..0x1_0000 => (0xe0 | head(12) | tail(6) << 8 | tail(0) << 16, 3),
        _ => (
            0xf0 | head(18) | tail(12) << 8 | tail(6) << 16 | tail(0) << 24,
            4,
        ),
    };
    run.put_word(word, len);
}
