//! `cmsgpack.pack`.
//!
//! A table is an array if its keys are the whole numbers from 1 on without a hole, so an empty one is, else a map in
//! the order of Lua's `next`. Numbers that are whole and fit 64 bits are integers, others the shorter of the two
//! floats that holds them. What has no form becomes nil, and so does a table inside 16 others.

use std::ffi::c_int;

use super::super::stack::{Buffer, Kind, Stack};

/// Tables inside so many others become nil; one that contains itself has to end somewhere.
const DEPTH_MAX: u32 = 16;

/// The upvalue that keeps the buffer.
const KEPT: c_int = 1;

pub(super) fn pack(stack: Stack) -> c_int {
    let count = stack.top();
    if count == 0 {
        stack.fail_argument(0, format_args!("MessagePack pack needs input."));
    }
    if !stack.check(count) {
        stack.fail_argument(0, format_args!("Too many arguments for MessagePack pack."));
    }
    stack.check_or_fail(4, "in function mp_check");
    stack.push_nil();
    let mut packer = Packer {
        stack,
        out: Buffer::take(stack, count + 1, KEPT),
    };
    for argument in 1..=count {
        stack.push_copy(argument);
        packer.value(0);
    }
    stack.push_text(packer.out.bytes());
    packer.out.keep(KEPT);
    1
}

struct Packer<'call> {
    stack: Stack<'call>,
    out: Buffer<'call>,
}

impl Packer<'_> {
    /// Packs the value on top of the stack, which is inside `depth` tables, and pops it.
    fn value(&mut self, depth: u32) {
        match self.stack.kind(-1) {
            Kind::String => self.text(),
            Kind::Number => self.number(),
            Kind::Boolean if self.stack.boolean(-1) => self.out.put(0xc3),
            Kind::Boolean => self.out.put(0xc2),
            Kind::Table if depth < DEPTH_MAX => self.table(depth),
            Kind::Table | Kind::Nil | Kind::Null | Kind::Other => self.out.put(0xc0),
        }
        self.stack.pop(1);
    }

    fn text(&mut self) {
        let text = self.stack.text(-1);
        let len = text.len();
        match len {
            0..32 => self.out.put(0xa0 | len as u8),
            32..0x100 => self.out.put_all(&[0xd9, len as u8]),
            _ => self.len(len, 0xda, 0xdb),
        }
        self.out.put_all(text);
    }

    /// Puts a length in 16 bits, or if it needs more, in 32.
    fn len(&mut self, len: usize, tag16: u8, tag32: u8) {
        match u16::try_from(len) {
            Ok(len) => self.tagged(tag16, len.to_be_bytes()),
            Err(_) => self.tagged(tag32, (len as u32).to_be_bytes()),
        }
    }

    #[inline]
    fn tagged<const N: usize>(&mut self, tag: u8, bytes: [u8; N]) {
        self.out.put(tag);
        self.out.put_all(&bytes);
    }

    fn number(&mut self) {
        let value = self.stack.number(-1);
        let whole = value as i64;
        // The largest integer is what greater numbers are cut to, and no double is equal to it.
        if whole as f64 == value && whole != i64::MAX {
            self.integer(whole);
        } else if f64::from(value as f32) == value {
            self.tagged(0xca, (value as f32).to_be_bytes());
        } else {
            self.tagged(0xcb, value.to_be_bytes());
        }
    }

    fn integer(&mut self, value: i64) {
        match value {
            -32..0x80 => self.out.put(value as u8),
            0x80..0x100 => self.out.put_all(&[0xcc, value as u8]),
            0x100..0x1_0000 => self.tagged(0xcd, (value as u16).to_be_bytes()),
            0x1_0000..0x1_0000_0000 => self.tagged(0xce, (value as u32).to_be_bytes()),
            0x1_0000_0000.. => self.tagged(0xcf, value.to_be_bytes()),
            -0x80..-32 => self.out.put_all(&[0xd0, value as u8]),
            -0x8000..-0x80 => self.tagged(0xd1, (value as i16).to_be_bytes()),
            -0x8000_0000..-0x8000 => self.tagged(0xd2, (value as i32).to_be_bytes()),
            _ => self.tagged(0xd3, value.to_be_bytes()),
        }
    }

    /// Packs the table on top of the stack.
    fn table(&mut self, depth: u32) {
        let stack = self.stack;
        // A key, a value, a copy of the key, and what a growing buffer needs.
        stack.check_or_fail(4, "in function table_is_an_array");
        let (len, is_array) = self.shape();
        if is_array {
            match len {
                0..16 => self.out.put(0x90 | len as u8),
                _ => self.len(len as usize, 0xdc, 0xdd),
            }
            for index in 1..=len {
                stack.get_index(-1, index);
                self.value(depth + 1);
            }
            return;
        }
        match len {
            0..16 => self.out.put(0x80 | len as u8),
            _ => self.len(len as usize, 0xde, 0xdf),
        }
        stack.push_nil();
        while stack.next(-2) {
            stack.push_copy(-2);
            self.value(depth + 1);
            self.value(depth + 1);
        }
    }

    /// How many values the table on top of the stack has, and whether their keys are those of an array.
    fn shape(&self) -> (c_int, bool) {
        let stack = self.stack;
        let (mut count, mut max, mut is_array) = (0, 0.0f64, true);
        stack.push_nil();
        while stack.next(-2) {
            count += 1;
            if is_array {
                let key = match stack.kind(-2) {
                    Kind::Number => stack.number(-2),
                    _ => 0.0,
                };
                max = max.max(key);
                is_array = key >= 1.0 && f64::from(key as i32) == key;
            }
            stack.pop(1);
        }
        (count, is_array && max == f64::from(count))
    }
}
