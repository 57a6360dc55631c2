//! `cjson.encode`.
//!
//! A table is an array if all its keys are whole numbers from 1 on, else an object in the order of Lua's `next`.
//! Containers are kept in [`Levels`], not on the processor's stack, so a script may allow any depth.

use std::ffi::c_int;

use super::super::stack::{Buffer, Kind, Levels, SLOTS_MAX, Stack};
use super::number::{TEXT_MAX, format};
use super::{KEPT, NULL, REFUSED, Settings};

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
            if stack.kind(-1) == Kind::Table {
                self.open(&mut levels);
            } else {
                self.scalar();
                stack.pop(1);
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
    fn scalar(&mut self) {
        match self.stack.kind(-1) {
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
        match self.array_len() {
            Some(len) if len > 0 => {
                self.out.put(b'[');
                levels.push(Level::Array { index: 0, len });
            }
            _ => {
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

    /// The length of the table on top of the stack as an array; none if it is an object.
    fn array_len(&self) -> Option<i32> {
        let stack = self.stack;
        let (mut len, mut values) = (0i32, 0i32);
        stack.push_nil();
        while stack.next(-2) {
            let key = match stack.kind(-2) {
                Kind::Number => stack.number(-2),
                _ => 0.0,
            };
            if !(key >= 1.0 && key.floor() == key) {
                stack.pop(2);
                return None;
            }
            if key > f64::from(len) {
                // What does not fit makes an object of the table, as it does in the library on x86-64.
                len = if key <= f64::from(i32::MAX) {
                    key as i32
                } else {
                    i32::MIN
                };
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
        Some(len)
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
        while let Some(plain) = text
            .iter()
            .position(|byte| ESCAPES[usize::from(*byte)] != 0)
        {
            self.out.put_all(&text[..plain]);
            self.escape(text[plain]);
            text = &text[plain + 1..];
        }
        self.out.put_all(text);
        self.out.put(b'"');
    }

    fn escape(&mut self, byte: u8) {
        match ESCAPES[usize::from(byte)] {
            b'u' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                self.out
                    .put_all(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
            }
            letter => self.out.put_all(&[b'\\', letter]),
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
