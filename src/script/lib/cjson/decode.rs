//! `cjson.decode`.
//!
//! Redis's library reads a text that ends in a zero byte, and takes every number that C's `strtod` takes, so this
//! does: what follows a zero byte is ignored. Tables grow as values come, never by what a text promises. The
//! first values of an array wait on Lua's stack until it is known how many they are, since a table that grows value
//! by value is moved at each power of two; it gets the size that it would have grown to.
//!
//! Containers are kept in [`Levels`], not on the processor's stack, so a script may allow any depth.

use std::ffi::c_int;

use super::super::stack::{Buffer, Levels, SLOTS_MAX, Stack};
use super::{KEPT, Settings, number};

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
        token_at: 0,
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
    /// Where an error of the last token is.
    token_at: usize,
    /// Holds the last string if that had escapes.
    unescaped: Option<Buffer<'call>>,
}

#[derive(Clone, Copy)]
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// A string that stands in the text as it is.
    Plain {
        start: usize,
        end: usize,
    },
    /// A string in `unescaped`.
    Unescaped,
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

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
        let mut token = self.token();
        loop {
            match token {
                Token::ObjectBegin => {
                    // The table, a key, its value, and what a growing buffer needs.
                    self.descend(&levels, 4);
                    self.stack.push_table(0);
                    token = self.token();
                    if !matches!(token, Token::ObjectEnd) {
                        levels.push(Level::Object);
                        token = self.key(token);
                        continue;
                    }
                }
                Token::ArrayBegin => {
                    let waits = self.stack.top() < WAITING_TOP_MAX;
                    self.descend(&levels, if waits { WAITING_MAX + 3 } else { 3 });
                    token = self.token();
                    if !matches!(token, Token::ArrayEnd) {
                        levels.push(self.begin_array(waits));
                        continue;
                    }
                    self.stack.push_table(0);
                }
                _ => self.scalar(token),
            }
            match self.after_value(&mut levels) {
                Some(next) => token = next,
                None => return,
            }
        }
    }

    /// Stores the value on top of the stack, and ends the containers that end behind it. The token that follows
    /// is the next value's first; there is none after the last.
    #[inline]
    fn after_value(&mut self, levels: &mut Levels<Level>) -> Option<Token> {
        loop {
            let Some(level) = levels.last() else {
                let token = self.token();
                return match token {
                    Token::End => None,
                    _ => self.refuse("the end", token),
                };
            };
            if matches!(level, Level::Object) {
                self.stack.set(-3);
                let token = self.token();
                match token {
                    Token::Comma => {
                        let key = self.token();
                        return Some(self.key(key));
                    }
                    Token::ObjectEnd => {}
                    _ => self.refuse("comma or object end", token),
                }
            } else {
                self.store(level);
                let token = self.token();
                match token {
                    Token::Comma => return Some(self.token()),
                    Token::ArrayEnd => self.end_array(*level),
                    _ => self.refuse("comma or array end", token),
                }
            }
            levels.pop();
        }
    }

    #[inline]
    fn scalar(&mut self, token: Token) {
        match token {
            Token::Plain { .. } | Token::Unescaped => self.push_string(token),
            Token::Number(value) => self.stack.push_number(value),
            Token::Boolean(value) => self.stack.push_boolean(value),
            Token::Null => self.stack.push_null(),
            _ => self.refuse("value", token),
        }
    }

    /// Pushes a key and returns the first token of its value.
    #[inline]
    fn key(&mut self, token: Token) -> Token {
        if !matches!(token, Token::Plain { .. } | Token::Unescaped) {
            self.refuse("object key string", token);
        }
        self.push_string(token);
        match self.token() {
            Token::Colon => self.token(),
            token => self.refuse("colon", token),
        }
    }

    #[inline]
    fn push_string(&self, token: Token) {
        match (token, &self.unescaped) {
            (Token::Plain { start, end }, _) => self.stack.push_text(&self.text[start..end]),
            (_, Some(buffer)) => self.stack.push_text(buffer.bytes()),
            (_, None) => unreachable!("an unescaped string is in the buffer"),
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

    fn begin_array(&self, waits: bool) -> Level {
        if !waits {
            self.stack.push_table(0);
            return Level::Array { len: 0 };
        }
        self.stack.push_nil();
        Level::Waiting {
            top: self.stack.top(),
        }
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

    // --- tokens ---

    #[inline]
    fn token(&mut self) -> Token {
        while matches!(self.text[self.at], b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.token_at = self.at;
        let token = match self.text[self.at] {
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => return self.number(),
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            0 => return Token::End,
            _ => return self.word(),
        };
        self.at += 1;
        token
    }

    fn number(&mut self) -> Token {
        let text = &self.text[self.at..];
        if self.settings.decode_invalid_numbers.get() == 0 && is_no_json_number(text) {
            return Token::Error("invalid number");
        }
        match number::parse(text) {
            Some((value, len)) => {
                self.at += len;
                Token::Number(value)
            }
            None => Token::Error("invalid number"),
        }
    }

    fn word(&mut self) -> Token {
        let text = &self.text[self.at..];
        for (word, token) in [
            (&b"true"[..], Token::Boolean(true)),
            (b"false", Token::Boolean(false)),
            (b"null", Token::Null),
        ] {
            if text.starts_with(word) {
                self.at += word.len();
                return token;
            }
        }
        let may_be_number = matches!(text[0], b'+' | b'i' | b'I' | b'n' | b'N');
        if may_be_number
            && self.settings.decode_invalid_numbers.get() != 0
            && is_no_json_number(text)
        {
            return self.number();
        }
        Token::Error("invalid token")
    }

    #[inline]
    fn string(&mut self) -> Token {
        let start = self.at + 1;
        let mut at = start;
        while !ENDS_PLAIN[usize::from(self.text[at])] {
            at += 1;
        }
        if self.text[at] != b'"' {
            return self.string_with_escapes(start, at);
        }
        self.at = at + 1;
        Token::Plain { start, end: at }
    }

    /// Reads a string that begins with the plain bytes from `start` to `at`.
    fn string_with_escapes(&mut self, mut start: usize, mut at: usize) -> Token {
        let stack = self.stack;
        let mut buffer = match self.unescaped.take() {
            Some(buffer) => buffer,
            None => Buffer::take(stack, 2, KEPT),
        };
        buffer.clear();
        let error = loop {
            buffer.put_all(&self.text[start..at]);
            match self.text[at] {
                b'"' => break None,
                0 => break Some("unexpected end of string"),
                _ => match unescape(&self.text[at + 1..], &mut buffer) {
                    Ok(len) => at += 1 + len,
                    Err(error) => break Some(error),
                },
            }
            start = at;
            while !ENDS_PLAIN[usize::from(self.text[at])] {
                at += 1;
            }
        };
        self.unescaped = Some(buffer);
        match error {
            Some(error) => {
                self.token_at = at;
                Token::Error(error)
            }
            None => {
                self.at = at + 1;
                Token::Unescaped
            }
        }
    }

    #[cold]
    fn refuse(&self, wanted: &str, found: Token) -> ! {
        let found = match found {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::Plain { .. } | Token::Unescaped => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Error(error) => error,
        };
        let at = self.token_at + 1;
        self.stack.fail(format_args!(
            "Expected {wanted} but found {found} at character {at}"
        ))
    }
}

/// The bytes that end a run of plain ones in a string.
static ENDS_PLAIN: [bool; 256] = {
    let mut ends = [false; 256];
    ends[0] = true;
    ends[b'"' as usize] = true;
    ends[b'\\' as usize] = true;
    ends
};

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

/// Puts what an escape stands for, whose backslash is read, and returns its length.
fn unescape(escape: &[u8], out: &mut Buffer) -> Result<usize, &'static str> {
    let byte = match escape[0] {
        byte @ (b'"' | b'\\' | b'/') => byte,
        b'b' => 0x08,
        b't' => b'\t',
        b'n' => b'\n',
        b'f' => 0x0c,
        b'r' => b'\r',
        b'u' => return unescape_unicode(escape, out).ok_or("invalid unicode escape code"),
        _ => return Err("invalid escape code"),
    };
    out.put(byte);
    Ok(1)
}

/// The same for an escape that starts with `u`: a code unit, or two where the first is a high surrogate.
fn unescape_unicode(escape: &[u8], out: &mut Buffer) -> Option<usize> {
    let unit = hexadecimal4(&escape[1..])?;
    let (code, len) = match char::from_u32(unit) {
        Some(code) => (code, 5),
        None => {
            let second = escape[5..].strip_prefix(b"\\u")?;
            let low = hexadecimal4(second)?;
            if !(0xd800..0xdc00).contains(&unit) || !(0xdc00..0xe000).contains(&low) {
                return None;
            }
            let code = 0x1_0000 + ((unit & 0x3ff) << 10 | low & 0x3ff);
            (char::from_u32(code)?, 11)
        }
    };
    out.put_all(code.encode_utf8(&mut [0; 4]).as_bytes());
    Some(len)
}

fn hexadecimal4(digits: &[u8]) -> Option<u32> {
    digits.get(..4)?.iter().try_fold(0, |value, digit| {
        Some(value << 4 | char::from(*digit).to_digit(16)?)
    })
}
