//! `cjson`: JSON for scripts, as the lua-cjson 2.1.0 that Redis bundles has it.
//!
//! Here are the settings, which the functions of one table share, and the functions that change them; a table with
//! its own comes from `cjson.new`. JSON's null is a light userdata, `cjson.null`, since no table holds nil.

mod decode;
mod encode;
mod number;
mod word;

use std::cell::Cell;
use std::ffi::{CStr, c_int};

use super::stack::{Kind, Stack};

/// What the functions of one table go by.
struct Settings {
    /// Whether an excessively sparse array is encoded as an object, not refused.
    sparse_convert: Cell<i32>,
    /// An array is excessively sparse if its length is more than this times its values; 0: none is.
    sparse_ratio: Cell<i32>,
    /// No array up to this length is excessively sparse.
    sparse_safe: Cell<i32>,
    encode_max_depth: Cell<i32>,
    decode_max_depth: Cell<i32>,
    /// What becomes of NaN and infinity: `REFUSED`, `NULL`, or 1 for their names, which are no JSON.
    encode_invalid_numbers: Cell<i32>,
    decode_invalid_numbers: Cell<i32>,
    encode_keep_buffer: Cell<i32>,
    /// Significant digits.
    encode_number_precision: Cell<i32>,
}

/// Two values of `encode_invalid_numbers`.
const REFUSED: i32 = 0;
const NULL: i32 = 2;

impl Settings {
    fn new() -> Settings {
        Settings {
            sparse_convert: Cell::new(0),
            sparse_ratio: Cell::new(2),
            sparse_safe: Cell::new(10),
            encode_max_depth: Cell::new(1000),
            decode_max_depth: Cell::new(1000),
            encode_invalid_numbers: Cell::new(REFUSED),
            decode_invalid_numbers: Cell::new(1),
            encode_keep_buffer: Cell::new(1),
            encode_number_precision: Cell::new(14),
        }
    }
}

/// Pushes the library's table, with settings of its own.
pub(super) fn open(stack: Stack) {
    stack.push_table(0);
    stack.push_shared(Settings::new());
    set_shared(stack, c"encode_sparse_array", sparse_array);
    set_shared(stack, c"encode_max_depth", encode_max_depth);
    set_shared(stack, c"decode_max_depth", decode_max_depth);
    set_shared(stack, c"encode_number_precision", number_precision);
    set_shared(stack, c"encode_keep_buffer", keep_buffer);
    set_shared(stack, c"encode_invalid_numbers", encode_invalid_numbers);
    set_shared(stack, c"decode_invalid_numbers", decode_invalid_numbers);
    set_buffered(stack, c"encode", encode::encode);
    set_buffered(stack, c"decode", decode::decode);
    stack.pop(1);
    stack.set_function(
        c"new",
        |stack: Stack| {
            open(stack);
            1
        },
        0,
    );
    stack.push_null();
    stack.set_field(c"null");
    stack.push_text(b"cjson");
    stack.set_field(c"_NAME");
    stack.push_text(b"2.1.0");
    stack.set_field(c"_VERSION");
}

/// The upvalue of `encode` and `decode` that keeps a buffer; the first one is the settings.
const KEPT: c_int = 2;

/// Sets a function that shares the settings on top of the stack.
fn set_shared(stack: Stack, name: &CStr, function: impl Fn(Stack) -> c_int + Copy) {
    stack.push_copy(-2);
    stack.push_copy(-2);
    stack.set_function(name, function, 1);
    stack.pop(1);
}

/// Sets a function that shares the settings on top of the stack and keeps a buffer.
fn set_buffered(stack: Stack, name: &CStr, function: impl Fn(Stack) -> c_int + Copy) {
    stack.push_copy(-2);
    stack.push_copy(-2);
    stack.push_nil();
    stack.set_function(name, function, KEPT);
    stack.pop(1);
}

fn sparse_array(stack: Stack) -> c_int {
    let settings = settings_of_call(stack, 3);
    switch(stack, 1, &settings.sparse_convert);
    integer(stack, 2, &settings.sparse_ratio, 0, i32::MAX);
    integer(stack, 3, &settings.sparse_safe, 0, i32::MAX);
    3
}

fn encode_max_depth(stack: Stack) -> c_int {
    let setting = &settings_of_call(stack, 1).encode_max_depth;
    integer(stack, 1, setting, 1, i32::MAX)
}

fn decode_max_depth(stack: Stack) -> c_int {
    let setting = &settings_of_call(stack, 1).decode_max_depth;
    integer(stack, 1, setting, 1, i32::MAX)
}

fn number_precision(stack: Stack) -> c_int {
    let setting = &settings_of_call(stack, 1).encode_number_precision;
    integer(stack, 1, setting, 1, number::PRECISION_MAX as i32)
}

fn keep_buffer(stack: Stack) -> c_int {
    switch(stack, 1, &settings_of_call(stack, 1).encode_keep_buffer)
}

fn encode_invalid_numbers(stack: Stack) -> c_int {
    let setting = &settings_of_call(stack, 1).encode_invalid_numbers;
    choice(stack, 1, setting, &[c"off", c"on", c"null"])
}

fn decode_invalid_numbers(stack: Stack) -> c_int {
    switch(stack, 1, &settings_of_call(stack, 1).decode_invalid_numbers)
}

/// The settings, for a function of `count` optional arguments, which are nil where they are missing.
fn settings_of_call(stack: Stack<'_>, count: c_int) -> &Settings {
    if stack.top() > count {
        stack.fail_argument(count + 1, format_args!("found too many arguments"));
    }
    stack.set_top(count);
    stack.shared()
}

/// Changes a number if the argument is there, and pushes what it is then.
fn integer(stack: Stack, argument: c_int, setting: &Cell<i32>, min: i32, max: i32) -> c_int {
    if stack.kind(argument) != Kind::Nil {
        let value = stack.check_integer(argument) as i32;
        if !(min..=max).contains(&value) {
            // The library always names the first.
            stack.fail_argument(1, format_args!("expected integer between {min} and {max}"));
        }
        setting.set(value);
    }
    stack.push_number(f64::from(setting.get()));
    1
}

fn switch(stack: Stack, argument: c_int, setting: &Cell<i32>) -> c_int {
    choice(stack, argument, setting, &[c"off", c"on"])
}

/// Changes a choice if the argument is there, and pushes what it is then: off and on are also false and true.
fn choice(stack: Stack, argument: c_int, setting: &Cell<i32>, options: &[&CStr]) -> c_int {
    match stack.kind(argument) {
        Kind::Nil => {}
        Kind::Boolean => setting.set(i32::from(stack.boolean(argument))),
        _ => setting.set(stack.check_option(argument, options) as i32),
    }
    match setting.get() {
        chosen @ (0 | 1) => stack.push_boolean(chosen == 1),
        chosen => stack.push_text(options[chosen as usize].to_bytes()),
    }
    1
}
