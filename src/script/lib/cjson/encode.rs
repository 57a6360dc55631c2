//! `cjson.encode`.
//!
//! A table is an array if all its keys are whole numbers from 1 on, else an object in the order of Lua's `next`.
//! Containers are kept in [`Levels`], not on the processor's stack, so a script may allow any depth.

use std::ffi::c_int;

use super::super::stack::{Buffer, Kind, Levels, SLOTS_MAX, Stack};
use super::number::{TEXT_MAX, format};
use super::{KEPT, NULL, REFUSED, Settings, word};

/// A container that is being written; its table is on the stack, the key of a member above it.
#[derive(Clone, Copy)]
enum Level {
    Array { index: i32, len: i32 },
    Object { is_empty: bool },
}

pub(super) fn encode(stack: Stack) -> c_int {
    if stack.top() != 1 {
        stack.fail_argument(1, format_args!("expected 1 argument"));
    }
    stack.set_top(2);
    let mut encoder = Encoder {
        stack,
        settings: stack.shared(),
        out: Buffer::take(stack, 2, KEPT),
    };
    stack.push_copy(1);
    encoder.value();
    stack.push_text(encoder.out.bytes());
    if encoder.settings.encode_keep_buffer.get() != 0 {
        encoder.out.keep(KEPT);
    }
    1
}

struct Encoder<'call> {
    stack: Stack<'call>,
    settings: &'call Settings,
    out: Buffer<'call>,
}

impl Encoder<'_> {
    /// Writes the value on top of the stack and pops it.
    fn value(&mut self) {
        let stack = self.stack;
        let mut levels = Levels::new();
        loop {
            match stack.kind(-1) {
                Kind::Table => self.open(&mut levels),
                kind => {
                    self.scalar(kind);
                    stack.pop(1);
                }
            }
            while !self.push_member(&mut levels) {
                levels.pop();
                stack.pop(1);
            }
            if levels.len() == 0 {
                return;
            }
        }
    }

    /// Writes the value on top of the stack, which is no table.
    #[inline]
    fn scalar(&mut self, kind: Kind) {
        match kind {
            Kind::String => self.text(-1),
            Kind::Number => self.number(-1),
            Kind::Boolean if self.stack.boolean(-1) => self.out.put_all(b"true"),
            Kind::Boolean => self.out.put_all(b"false"),
            Kind::Nil | Kind::Null => self.out.put_all(b"null"),
            Kind::Table | Kind::Other => self.refuse(-1, "type not supported"),
        }
    }

    /// Begins the table on top of the stack.
    fn open(&mut self, levels: &mut Levels<Level>) {
        let depth = levels.len() + 1;
        let allowed = depth as i64 <= i64::from(self.settings.encode_max_depth.get());
        // A key, a value, a copy, and what a growing buffer needs.
        if !allowed || depth > SLOTS_MAX || !self.stack.check(4) {
            self.stack.fail(format_args!(
                "Cannot serialise, excessive nesting ({depth})"
            ));
        }
        let start = self.out.len();
        self.out.put(b'[');
        match self.array() {
            Some((index, len)) if len > 0 => levels.push(Level::Array { index, len }),
            _ => {
                self.out.truncate(start);
                self.out.put(b'{');
                self.stack.push_nil();
                levels.push(Level::Object { is_empty: true });
            }
        }
    }

    /// Pushes the next member of the innermost container, its key written, and says true; or ends the container,
    /// and leaves its table on top. True as well if there is no container.
    #[inline]
    fn push_member(&mut self, levels: &mut Levels<Level>) -> bool {
        match levels.last() {
            None => true,
            Some(Level::Array { index, len }) => {
                if index == len {
                    self.out.put(b']');
                    return false;
                }
                if *index > 0 {
                    self.out.put(b',');
                }
                *index += 1;
                self.stack.get_index(-1, *index);
                true
            }
            Some(Level::Object { is_empty }) => {
                if !self.stack.next(-2) {
                    self.out.put(b'}');
                    return false;
                }
                if !*is_empty {
                    self.out.put(b',');
                }
                *is_empty = false;
                self.key();
                true
            }
        }
    }

    /// Writes the key below the value on top of the stack.
    #[inline]
    fn key(&mut self) {
        match self.stack.kind(-2) {
            Kind::String => {
                self.text(-2);
                self.out.put(b':');
            }
            Kind::Number => {
                self.out.put(b'"');
                self.number(-2);
                self.out.put_all(b"\":");
            }
            _ => self.refuse(-2, "table key must be a number or string"),
        }
    }

    /// How many values of the table on top of the stack are written, and its length as an array; none if it is an
    /// object.
    ///
    /// To tell them apart takes a look at all keys. Values that come by on the way are written at once, as long as
    /// they are scalars and come as those of an array do; what is written is only kept if it is one.
    fn array(&mut self) -> Option<(i32, i32)> {
        let stack = self.stack;
        let (mut len, mut values, mut written) = (0i32, 0i32, 0i32);
        stack.push_nil();
        while stack.next(-2) {
            let key = match stack.kind(-2) {
                Kind::Number => stack.number(-2),
                _ => 0.0,
            };
            let whole = key as i32;
            if f64::from(whole) == key && whole >= 1 {
                len = len.max(whole);
            } else if key > f64::from(i32::MAX) && key.floor() == key {
                // What does not fit makes an object of the table, as it does in the library on x86-64.
                len = i32::MIN;
            } else {
                stack.pop(2);
                return None;
            }
            if written == values && whole == written + 1 && self.writes_early(written) {
                written += 1;
            }
            values += 1;
            stack.pop(1);
        }
        let settings = self.settings;
        let ratio = settings.sparse_ratio.get();
        if ratio > 0 && len > values.wrapping_mul(ratio) && len > settings.sparse_safe.get() {
            if settings.sparse_convert.get() == 0 {
                self.refuse(-1, "excessively sparse array");
            }
            return None;
        }
        Some((written, len))
    }

    /// Writes the value on top of the stack, behind so many others of its array, unless that may have to wait: it
    /// is a table, or would be refused.
    #[inline]
    fn writes_early(&mut self, before: i32) -> bool {
        let kind = self.stack.kind(-1);
        let waits = match kind {
            Kind::Table | Kind::Other => true,
            Kind::Number => !self.stack.number(-1).is_finite(),
            Kind::String | Kind::Boolean | Kind::Nil | Kind::Null => false,
        };
        if !waits {
            if before > 0 {
                self.out.put(b',');
            }
            self.scalar(kind);
        }
        !waits
    }

    #[inline]
    fn number(&mut self, index: c_int) {
        let value = self.stack.number(index);
        if !value.is_finite() {
            match self.settings.encode_invalid_numbers.get() {
                REFUSED => self.refuse(index, "must not be NaN or Inf"),
                NULL => return self.out.put_all(b"null"),
                _ => {}
            }
        }
        let mut text = [0; TEXT_MAX];
        let precision = self.settings.encode_number_precision.get() as usize;
        self.out.put_all(format(&mut text, value, precision));
    }

    /// Writes the string at `index` in quotes.
    #[inline]
    fn text(&mut self, index: c_int) {
        let mut text = self.stack.text(index);
        self.out.put(b'"');
        loop {
            let mut word = word::first(text);
            let mut ends = word::ends_encoded(word);
            let mut left = text.len().min(word::LEN);
            while ends != 0 {
                let plain = word::before(ends);
                if plain >= left {
                    break;
                }
                self.out.put_word(word, plain);
                word = word::without(word, plain);
                self.escape(word as u8);
                word = word::without(word, 1);
                ends = word::without(word::without(ends, plain), 1);
                left -= plain + 1;
            }
            self.out.put_word(word, left);
            if text.len() <= word::LEN {
                break;
            }
            text = &text[word::LEN..];
        }
        self.out.put(b'"');
    }

    #[inline]
    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        match ESCAPES[usize::from(byte)] {
            b'u' => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                let escape = [b'\\', b'u', b'0', b'0', high, low, 0, 0];
                self.out.put_word(u64::from_le_bytes(escape), 6);
            }
            // It only stood behind one that is escaped.
            0 => self.out.put(byte),
            letter => self
                .out
                .put_word(u64::from_le_bytes([b'\\', letter, 0, 0, 0, 0, 0, 0]), 2),
        }
    }

    #[cold]
    fn refuse(&self, index: c_int, why: &str) -> ! {
        let kind = self.stack.kind_name(index);
        self.stack
            .fail(format_args!("Cannot serialise {kind}: {why}"))
    }
}

/// What follows the backslash in place of a byte: a letter, `u` for its number in hexadecimal, or 0 if the byte
/// stands for itself. The slash and DEL are escaped too.
static ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escapes[byte] = b'u';
        byte += 1;
    }
    escapes[0x7f] = b'u';
    escapes[0x08] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[0x0c] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'/' as usize] = b'/';
    escapes[b'\\' as usize] = b'\\';
    escapes
};
