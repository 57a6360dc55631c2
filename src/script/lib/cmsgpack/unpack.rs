//! `cmsgpack.unpack`, `unpack_one` and `unpack_limit`.
//!
//! An array's table is made as big as the bytes promise, but all promises together are believed up to the number of
//! bytes: more values than that they cannot hold. Beyond it, and in maps, tables grow as values come. Containers are
//! kept in [`Levels`], not on the processor's stack. How deep they may be inside each other is Redis's limit: the slots of Lua's stack that its library uses,
//! one for each value and table that is not complete.

use std::ffi::c_int;

use super::super::stack::{Levels, SLOTS_MAX, Stack};

/// What a stack overflow says, and what it says where an array begins.
const TOO_MANY: &str = "too many return values at once; use unpack_one or unpack_limit instead.";
const IN_ARRAY: &str = "in function mp_decode_to_lua_array";

/// `unpack(text)`: all values.
pub(super) fn unpack(stack: Stack) -> c_int {
    values(stack, 0, 0)
}

/// `unpack_one(text, offset)`: where to go on, and the value at the offset.
pub(super) fn unpack_one(stack: Stack) -> c_int {
    let offset = stack.check_integer_or(2, 0);
    drop_behind_first(stack);
    values(stack, 1, offset)
}

/// `unpack_limit(text, limit, offset)`: where to go on, and at most so many values from the offset on.
pub(super) fn unpack_limit(stack: Stack) -> c_int {
    let limit = stack.check_integer(2);
    let offset = stack.check_integer_or(3, 0);
    drop_behind_first(stack);
    values(stack, limit, offset)
}

fn drop_behind_first(stack: Stack) {
    if stack.top() > 1 {
        stack.set_top(1);
    }
}

/// Pushes `limit` values and the offset behind them; with neither limit nor offset all values and no offset.
fn values(stack: Stack, limit: i64, offset: i64) -> c_int {
    let bytes = stack.check_text(1);
    let (len, whole) = (bytes.len(), limit == 0 && offset == 0);
    if offset < 0 || limit < 0 {
        // The library gives the length for the limit, and both in 32 bits.
        let (offset, limit) = (offset as i32, len as i32);
        stack.fail(format_args!(
            "Invalid request to unpack with offset of {offset} and limit of {limit}."
        ));
    }
    if offset as usize > len {
        let (offset, len) = (offset as i32, len as i32);
        stack.fail(format_args!(
            "Start offset {offset} greater than input length {len}."
        ));
    }
    let mut unpacker = Unpacker {
        stack,
        rest: &bytes[offset as usize..],
        slots: stack.top() as usize,
        believed: (len - offset as usize) as u32,
    };
    let first = stack.top() + 1;
    let limit = if whole { i64::from(i32::MAX) } else { limit };
    let mut levels = Levels::new();
    let mut count = 0;
    while !unpacker.rest.is_empty() && count < limit {
        unpacker.value(&mut levels);
        count += 1;
    }
    if !whole {
        let next = match unpacker.rest.len() {
            0 => -1.0,
            rest => (len - rest) as f64,
        };
        stack.check_or_fail(1, "in function mp_unpack_full");
        stack.push_number(next);
        stack.insert(first);
        count += 1;
    }
    count as c_int
}

struct Unpacker<'call> {
    stack: Stack<'call>,
    rest: &'call [u8],
    /// How many slots of Lua's stack Redis's library would use.
    slots: usize,
    /// How many more values of arrays are believed to come before they do.
    believed: u32,
}

/// A container that is being read, with `left` values to come, pairs in a map.
#[derive(Clone, Copy)]
enum Level {
    /// Its table is on the stack, big enough for all values if it `is_sized`. The values are set from `next` on.
    Array {
        next: c_int,
        left: u32,
        is_sized: bool,
    },
    /// Its table is on the stack, and above it the key if that is read.
    Map { has_key: bool, left: u32 },
}

/// What a value begins with: the whole of it, or a container of so many values.
enum Begun {
    Scalar,
    Nil,
    Array(u32),
    Map(u32),
}

impl<'call> Unpacker<'call> {
    /// Pushes a value.
    fn value(&mut self, levels: &mut Levels<Level>) {
        self.stack.check_or_fail(1, TOO_MANY);
        loop {
            let mut is_nil = false;
            match self.begin() {
                Begun::Scalar => {}
                Begun::Nil => {
                    self.stack.push_nil();
                    is_nil = true;
                }
                Begun::Array(0) | Begun::Map(0) => self.stack.push_table(0),
                Begun::Array(len) => {
                    let level = self.begin_array(len);
                    levels.push(level);
                    continue;
                }
                Begun::Map(left) => {
                    self.slots += 1;
                    // The table, a key and its value.
                    self.stack.check_or_fail(3, TOO_MANY);
                    self.stack.push_table(0);
                    levels.push(Level::Map {
                        has_key: false,
                        left,
                    });
                    continue;
                }
            }
            while self.store(levels, is_nil) {
                levels.pop();
                is_nil = false;
            }
            if levels.len() == 0 {
                self.slots += 1;
                return;
            }
        }
    }

    fn begin_array(&mut self, len: u32) -> Level {
        self.slots += 1;
        self.check_slots(IN_ARRAY);
        self.slots += 1;
        // The table, a value, and two more to build the table again.
        self.stack.check_or_fail(4, IN_ARRAY);
        let is_sized = len <= self.believed;
        if is_sized {
            self.believed -= len;
            // As big as one that took the values one by one.
            self.stack.push_table(len.next_power_of_two() as c_int);
        } else {
            self.stack.push_table(0);
        }
        Level::Array {
            next: 1,
            left: len,
            is_sized,
        }
    }

    /// Takes the value on top of the stack, nil or not, into the innermost container, if there is one, and says
    /// whether that is complete, its table then on top.
    #[inline]
    fn store(&mut self, levels: &mut Levels<Level>, is_nil: bool) -> bool {
        let Some(level) = levels.last() else {
            return false;
        };
        match level {
            Level::Map {
                has_key: has_key @ false,
                ..
            } => {
                *has_key = true;
                self.slots += 1;
                false
            }
            Level::Map { has_key, left } => {
                *has_key = false;
                *left -= 1;
                self.stack.set(-3);
                self.slots -= 1 + usize::from(*left == 0);
                *left == 0
            }
            Level::Array {
                next,
                left,
                is_sized,
            } => {
                if is_nil && *is_sized {
                    // A nil leaves a hole, and the table must be as if it had come by one by one.
                    *is_sized = false;
                    Self::build_again(self.stack, *next);
                }
                self.stack.set_index(-2, *next);
                *next += 1;
                *left -= 1;
                self.slots -= 2 * usize::from(*left == 0);
                *left == 0
            }
        }
    }

    /// Puts a table that grew value by value in place of the one below the top of the stack, with the values before
    /// `next`.
    #[cold]
    fn build_again(stack: Stack, next: c_int) {
        stack.push_table(0);
        for index in 1..next {
            stack.get_index(-3, index);
            stack.set_index(-2, index);
        }
        stack.replace(-3);
    }

    /// Fails where Redis's library has no slot left for one more value.
    #[inline]
    fn check_slots(&self, what: &str) {
        if self.slots + 1 > SLOTS_MAX {
            self.stack.fail(format_args!("stack overflow ({what})"));
        }
    }

    /// Reads what a value begins with, and pushes it unless it is a container.
    #[inline]
    fn begin(&mut self) -> Begun {
        let stack = self.stack;
        let tag = self.take(1)[0];
        self.check_slots(TOO_MANY);
        match tag {
            0x00..0x80 => stack.push_number(f64::from(tag)),
            0x80..0x90 => return Begun::Map(u32::from(tag & 0x0f)),
            0x90..0xa0 => return Begun::Array(u32::from(tag & 0x0f)),
            0xa0..0xc0 => self.text(usize::from(tag & 0x1f)),
            0xc0 => return Begun::Nil,
            0xc2 => stack.push_boolean(false),
            0xc3 => stack.push_boolean(true),
            0xca => stack.push_number(f64::from(f32::from_be_bytes(self.bytes()))),
            0xcb => stack.push_number(f64::from_be_bytes(self.bytes())),
            0xcc => stack.push_number(f64::from(self.bytes::<1>()[0])),
            0xcd => stack.push_number(f64::from(u16::from_be_bytes(self.bytes()))),
            0xce => stack.push_number(f64::from(u32::from_be_bytes(self.bytes()))),
            // An unsigned integer above the signed ones comes out negative, as in the library.
            0xcf | 0xd3 => stack.push_number(i64::from_be_bytes(self.bytes()) as f64),
            0xd0 => stack.push_number(f64::from(i8::from_be_bytes(self.bytes()))),
            0xd1 => stack.push_number(f64::from(i16::from_be_bytes(self.bytes()))),
            0xd2 => stack.push_number(f64::from(i32::from_be_bytes(self.bytes()))),
            0xd9 => {
                let len = usize::from(self.bytes::<1>()[0]);
                self.text(len);
            }
            0xda => {
                let len = usize::from(u16::from_be_bytes(self.bytes()));
                self.text(len);
            }
            0xdb => {
                let len = u32::from_be_bytes(self.bytes()) as usize;
                self.text(len);
            }
            0xdc => return Begun::Array(u32::from(u16::from_be_bytes(self.bytes()))),
            0xdd => return Begun::Array(u32::from_be_bytes(self.bytes())),
            0xde => return Begun::Map(u32::from(u16::from_be_bytes(self.bytes()))),
            0xdf => return Begun::Map(u32::from_be_bytes(self.bytes())),
            0xe0.. => stack.push_number(f64::from(tag as i8)),
            // Binary data, extensions, and the one byte that the format never uses.
            0xc1 | 0xc4..0xca | 0xd4..0xd9 => stack.fail(format_args!("Bad data format in input.")),
        }
        Begun::Scalar
    }

    #[inline]
    fn text(&mut self, len: usize) {
        let text = self.take(len);
        self.stack.push_text(text);
    }

    #[inline]
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .unwrap_or_else(|| self.fail_at_end());
        self.rest = rest;
        *bytes
    }

    #[inline]
    fn take(&mut self, len: usize) -> &'call [u8] {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            self.fail_at_end()
        };
        self.rest = rest;
        taken
    }

    #[cold]
    fn fail_at_end(&self) -> ! {
        self.stack.fail(format_args!("Missing bytes in input."))
    }
}
