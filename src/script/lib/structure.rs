//! `struct`: packs values into the layouts of C structures and takes them apart.
//!
//! A format is a string of options: `b h i l T` and `iN` are integers, upper case for unsigned ones; `f d` floats,
//! `s` a text that ends in a zero byte, `cN` one of N bytes, `x` a byte of padding; `<` and `>` choose the order
//! of bytes, `!N` the alignment. As in the library that Redis bundles, an integer may have up to 32 bytes, of
//! which the low eight count, and an offset below 1 is a very large one.

use std::ffi::c_int;

use super::stack::{Buffer, Stack};

/// The most bytes of an integer.
const INTEGER_MAX: usize = 32;

/// The alignment that `!` alone asks for.
const ALIGNMENT_NATURAL: usize = 8;

/// Pushes the library's table.
pub(super) fn open(stack: Stack) {
    stack.push_table(0);
    stack.push_nil();
    stack.set_function(c"pack", pack, 1);
    stack.set_function(c"unpack", unpack, 0);
    stack.set_function(c"size", size, 0);
}

/// The upvalue of `pack` that keeps its buffer.
const KEPT: c_int = 1;

fn pack(stack: Stack) -> c_int {
    let mut format = Format::of_argument(stack);
    // The value that is missing first is nil, not the buffer.
    stack.push_nil();
    stack.push_nil();
    let mut out = Buffer::take(stack, stack.top(), KEPT);
    let mut argument = 1;
    while let Some(field) = format.next() {
        for _ in 0..format.padding(out.bytes().len(), &field) {
            out.put(0);
        }
        if field.has_value() {
            argument += 1;
        }
        match field.option {
            b'x' => out.put(0),
            b'f' => {
                let bytes = (stack.check_number(argument) as f32).to_le_bytes();
                format.put_ordered(&mut out, bytes);
            }
            b'd' => {
                let bytes = stack.check_number(argument).to_le_bytes();
                format.put_ordered(&mut out, bytes);
            }
            b'c' | b's' => pack_text(stack, argument, &field, &mut out),
            _ if field.is_integer() => {
                let mut bytes = [0; INTEGER_MAX];
                let bits = integer_bits(stack.check_number(argument));
                bytes[..8].copy_from_slice(&bits.to_le_bytes());
                let bytes = &mut bytes[..field.size];
                if format.big_endian {
                    bytes.reverse();
                }
                out.put_all(bytes);
            }
            option => format.control(option),
        }
    }
    stack.push_text(out.bytes());
    out.keep(KEPT);
    1
}

fn pack_text(stack: Stack, argument: c_int, field: &Field, out: &mut Buffer) {
    let text = stack.check_text(argument);
    let size = if field.size == 0 {
        text.len()
    } else {
        field.size
    };
    if text.len() < size {
        // The library names the argument after the one that it means.
        stack.fail_argument(argument + 1, format_args!("string too short"));
    }
    out.put_all(&text[..size]);
    if field.option == b's' {
        out.put(0);
    }
}

fn unpack(stack: Stack) -> c_int {
    let mut format = Format::of_argument(stack);
    let data = stack.check_text(2);
    let offset = stack.check_integer_or(3, 1);
    if offset == 0 {
        stack.fail_argument(3, format_args!("offset must be 1 or greater"));
    }
    let mut at = (offset as usize).wrapping_sub(1);
    let mut results = 0;
    while let Some(mut field) = format.next() {
        at = at.wrapping_add(format.padding(at, &field));
        check_data(stack, data, at, field.size);
        stack.check_or_fail(2, "too many results");
        if field.option == b'c' && field.size == 0 {
            if results == 0 || !stack.is_number(-1) {
                stack.fail(format_args!("format 'c0' needs a previous size"));
            }
            field.size = integer_bits(stack.number(-1)) as usize;
            stack.pop(1);
            results -= 1;
            check_data(stack, data, at, field.size);
        }
        let rest = &data[at..];
        match field.option {
            b'x' => {}
            b'f' => stack.push_number(f64::from(f32::from_le_bytes(format.get_ordered(rest)))),
            b'd' => stack.push_number(f64::from_le_bytes(format.get_ordered(rest))),
            b'c' => stack.push_text(&rest[..field.size]),
            b's' => {
                let Some(len) = memchr::memchr(0, rest) else {
                    stack.fail(format_args!("unfinished string in data"));
                };
                stack.push_text(&rest[..len]);
                field.size = len + 1;
            }
            _ if field.is_integer() => stack.push_number(format.get_integer(rest, &field)),
            option => format.control(option),
        }
        results += c_int::from(field.has_value());
        at += field.size;
    }
    stack.push_number((at.wrapping_add(1)) as i64 as f64);
    results + 1
}

fn check_data(stack: Stack, data: &[u8], at: usize, size: usize) {
    if size > data.len() || at > data.len() - size {
        stack.fail_argument(2, format_args!("data string too short"));
    }
}

fn size(stack: Stack) -> c_int {
    let mut format = Format::of_argument(stack);
    let mut total = 0usize;
    while let Some(field) = format.next() {
        total += format.padding(total, &field);
        match (field.option, field.size) {
            (b's', _) => stack.fail_argument(1, format_args!("option 's' has no fixed size")),
            (b'c', 0) => stack.fail_argument(1, format_args!("option 'c0' has no fixed size")),
            // A letter that is no option counts nothing here.
            (option, _) if !option.is_ascii_alphanumeric() => format.control(option),
            _ => {}
        }
        total = total.wrapping_add(field.size);
    }
    stack.push_number(total as i64 as f64);
    1
}

/// What is left of a format, and the order of bytes and alignment that it has asked for.
struct Format<'call> {
    stack: Stack<'call>,
    /// Up to a zero byte, of which the last byte is one.
    text: &'call [u8],
    at: usize,
    big_endian: bool,
    alignment: usize,
}

/// An option of a format, and the bytes of what it stands for; 0 if it stands for none or says so.
struct Field {
    option: u8,
    size: usize,
}

impl Field {
    fn is_integer(&self) -> bool {
        matches!(
            self.option,
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I'
        )
    }

    fn has_value(&self) -> bool {
        self.is_integer() || matches!(self.option, b'f' | b'd' | b'c' | b's')
    }
}

impl<'call> Format<'call> {
    fn of_argument(stack: Stack<'call>) -> Format<'call> {
        Format {
            stack,
            text: stack.check_text_with_zero(1),
            at: 0,
            big_endian: cfg!(target_endian = "big"),
            alignment: 1,
        }
    }

    fn next(&mut self) -> Option<Field> {
        let option = self.text[self.at];
        if option == 0 {
            return None;
        }
        self.at += 1;
        let size = match option {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.count(1),
            b'i' | b'I' => {
                let size = self.count(4);
                if size > INTEGER_MAX {
                    self.stack.fail(format_args!(
                        "integral size {size} is larger than limit of {INTEGER_MAX}"
                    ));
                }
                size
            }
            _ => 0,
        };
        Some(Field { option, size })
    }

    /// The number that follows an option, or `default`.
    fn count(&mut self, default: usize) -> usize {
        if !self.text[self.at].is_ascii_digit() {
            return default;
        }
        let mut count = 0;
        while let digit @ b'0'..=b'9' = self.text[self.at] {
            count = count * 10 + usize::from(digit - b'0');
            if count > i32::MAX as usize {
                self.stack.fail(format_args!("integral size overflow"));
            }
            self.at += 1;
        }
        count
    }

    /// The bytes to skip at `at` so that the field is aligned.
    fn padding(&self, at: usize, field: &Field) -> usize {
        if field.size == 0 || field.option == b'c' {
            return 0;
        }
        let size = field.size.min(self.alignment);
        (size - (at & (size - 1))) & (size - 1)
    }

    /// Follows an option that stands for no value.
    fn control(&mut self, option: u8) {
        match option {
            b' ' => {}
            b'>' => self.big_endian = true,
            b'<' => self.big_endian = false,
            b'!' => {
                let alignment = self.count(ALIGNMENT_NATURAL);
                if !alignment.is_power_of_two() {
                    self.stack
                        .fail(format_args!("alignment {alignment} is not a power of 2"));
                }
                self.alignment = alignment;
            }
            _ => self
                .stack
                .fail_argument_byte(1, "invalid format option", option),
        }
    }

    fn put_ordered<const N: usize>(&self, out: &mut Buffer, mut bytes: [u8; N]) {
        if self.big_endian {
            bytes.reverse();
        }
        out.put_all(&bytes);
    }

    /// The first bytes of `data`, which has that many, with the lowest first.
    fn get_ordered<const N: usize>(&self, data: &[u8]) -> [u8; N] {
        let mut bytes = *data.first_chunk::<N>().expect("data as long as its field");
        if self.big_endian {
            bytes.reverse();
        }
        bytes
    }

    fn get_integer(&self, data: &[u8], field: &Field) -> f64 {
        let size = field.size;
        let mut low = [0; 8];
        let kept = size.min(8);
        if self.big_endian {
            low[..kept].copy_from_slice(&data[size - kept..size]);
            low[..kept].reverse();
        } else {
            low[..kept].copy_from_slice(&data[..kept]);
        }
        let bits = u64::from_le_bytes(low);
        if field.option.is_ascii_uppercase() {
            return bits as f64;
        }
        // The place of the sign is taken modulo 64, which is right up to 8 bytes and as in the library beyond.
        let sign = u64::MAX.wrapping_shl((size as u32 * 8).wrapping_sub(1));
        let extended = if bits & sign != 0 { bits | sign } else { bits };
        extended as i64 as f64
    }
}

/// A number as a 64-bit integer, signed or not, the way x86-64 converts: what fits neither is 2^63, or 0 from
/// 2^64 on.
fn integer_bits(number: f64) -> u64 {
    const OUT_OF_RANGE: u64 = 1 << 63;
    if number >= 18_446_744_073_709_551_616.0 {
        0
    } else if number >= 0.0 {
        number as u64
    } else if number >= -9_223_372_036_854_775_808.0 {
        number as i64 as u64
    } else {
        OUT_OF_RANGE
    }
}
