//! `bit`: operations on 32 bits, as Lua BitOp defines them.
//!
//! A number stands for its value modulo 2^32, a fraction rounded to even; results are signed.

use std::ffi::c_int;

use super::stack::Stack;

/// Pushes the library's table.
pub(super) fn open(stack: Stack) {
    stack.push_table(0);
    stack.set_function(c"tobit", |stack: Stack| push(stack, bits(stack, 1)), 0);
    stack.set_function(c"bnot", |stack: Stack| push(stack, !bits(stack, 1)), 0);
    stack.set_function(c"band", |stack: Stack| fold(stack, |a, b| a & b), 0);
    stack.set_function(c"bor", |stack: Stack| fold(stack, |a, b| a | b), 0);
    stack.set_function(c"bxor", |stack: Stack| fold(stack, |a, b| a ^ b), 0);
    stack.set_function(c"lshift", |stack: Stack| shift(stack, |a, n| a << n), 0);
    stack.set_function(c"rshift", |stack: Stack| shift(stack, |a, n| a >> n), 0);
    let arithmetic = |a: u32, n: u32| (a as i32 >> n) as u32;
    stack.set_function(c"arshift", move |stack: Stack| shift(stack, arithmetic), 0);
    stack.set_function(c"rol", |stack: Stack| shift(stack, u32::rotate_left), 0);
    stack.set_function(c"ror", |stack: Stack| shift(stack, u32::rotate_right), 0);
    let swap = |stack: Stack| push(stack, bits(stack, 1).swap_bytes());
    stack.set_function(c"bswap", swap, 0);
    stack.set_function(c"tohex", to_hex, 0);
}

fn fold(stack: Stack, operation: impl Fn(u32, u32) -> u32) -> c_int {
    let mut result = bits(stack, 1);
    // From the last one on, which is the one that an error names.
    for argument in (2..=stack.top()).rev() {
        result = operation(result, bits(stack, argument));
    }
    push(stack, result)
}

fn shift(stack: Stack, operation: impl Fn(u32, u32) -> u32) -> c_int {
    let value = bits(stack, 1);
    push(stack, operation(value, bits(stack, 2) & 31))
}

/// The last digits of the number, eight or as many as the second argument says; upper case if that is negative.
fn to_hex(stack: Stack) -> c_int {
    let value = bits(stack, 1);
    let wanted = if stack.is_none(2) {
        8
    } else {
        bits(stack, 2) as i32
    };
    let digits: &[u8; 16] = if wanted < 0 {
        b"0123456789ABCDEF"
    } else {
        b"0123456789abcdef"
    };
    let mut text = [0; 8];
    for (place, digit) in text.iter_mut().rev().enumerate() {
        *digit = digits[(value >> (4 * place)) as usize & 15];
    }
    let len = wanted.unsigned_abs().min(8) as usize;
    stack.push_text(&text[8 - len..]);
    1
}

/// The argument's value modulo 2^32.
fn bits(stack: Stack, argument: c_int) -> u32 {
    // Added to 1.5 * 2^52, a number stands in the mantissa's low bits in two's complement.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    let bits = (stack.number(argument) + SHIFT).to_bits() as u32;
    if bits == 0 && !stack.is_number(argument) {
        stack.fail_type(argument, c"number");
    }
    bits
}

fn push(stack: Stack, bits: u32) -> c_int {
    stack.push_number(f64::from(bits as i32));
    1
}
