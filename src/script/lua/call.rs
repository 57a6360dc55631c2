//! `redis.call` and `redis.pcall`: a command out of a script.
//!
//! The arguments are copied from Lua's stack into one buffer that is there already, the command runs, and its
//! reply, which lies in another such buffer, becomes values of Lua: nothing is allocated on the way but what Lua
//! makes of the values.

use super::{Inner, convert, spend};
use crate::base::num::{F64_TEXT_MAX, format_f64_shortest};
use crate::resp::request::{Argv, Span};
use crate::server::scripting;
use mlua::ffi::*;
use std::ffi::c_int;

/// `redis.call`: an error of the command is raised.
pub(super) unsafe extern "C-unwind" fn call(state: *mut lua_State) -> c_int {
    if command(state) {
        lua_error(state)
    }
    1
}

/// `redis.pcall`: an error of the command is returned.
pub(super) unsafe extern "C-unwind" fn pcall(state: *mut lua_State) -> c_int {
    command(state);
    1
}

/// Runs a command and leaves its result on the stack. Says whether that is an error.
#[inline]
unsafe fn command(state: *mut lua_State) -> bool {
    let inner = Inner::of(state);
    if let Err(text) = read_arguments(state, inner) {
        convert::push_error(state, text.as_bytes());
        return true;
    }
    if (*inner).run.is_null() {
        convert::push_error(
            state,
            b"ERR Commands can only be called while a script runs",
        );
        return true;
    }
    spend(state, (*inner).argv.len());
    lua_settop(state, 0);
    perform(inner);
    (*inner).spent += (*inner).reply.len();
    convert::push_reply(state, inner)
}

/// Copies the arguments from the stack; says why they are none.
#[inline]
pub(super) unsafe fn read_arguments(
    state: *mut lua_State,
    inner: *mut Inner,
) -> Result<(), &'static str> {
    let count = lua_gettop(state);
    if count == 0 {
        return Err("ERR Please specify at least one argument for this call");
    }
    let inner = &mut *inner;
    inner.argv.clear();
    inner.spans.clear();
    for index in 1..=count {
        let start = inner.argv.len();
        match lua_type(state, index) {
            LUA_TSTRING => {
                let bytes = convert::bytes_at(state, index);
                inner.argv.extend_from_slice(bytes);
            }
            LUA_TNUMBER => write_number(&mut inner.argv, lua_tonumber(state, index)),
            _ => return Err("ERR Command arguments must be strings or integers"),
        }
        inner.spans.push(Span::new(start, inner.argv.len() - start));
    }
    Ok(())
}

/// Writes a number as commands understand it: an integer without a fraction or exponent, another one with as
/// many digits as tell it from its neighbours.
fn write_number(argv: &mut Vec<u8>, number: f64) {
    const LIMIT: f64 = (i64::MAX / 2) as f64;
    let integer = number as i64;
    if (-LIMIT..=LIMIT).contains(&number) && integer as f64 == number {
        argv.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else {
        argv.extend_from_slice(format_f64_shortest(&mut [0; F64_TEXT_MAX], number));
    }
}

/// Whether the client of the script may run the command whose arguments were read; `None` if there is none.
pub(super) unsafe fn is_permitted(inner: *mut Inner) -> Option<bool> {
    let inner = &mut *inner;
    let argv = Argv::new(&inner.argv, &inner.spans);
    let run = inner.run.as_ref()?;
    scripting::is_permitted(&*run.server, run.slot, argv)
}

/// Runs the command whose arguments were read. Lua does not run meanwhile.
#[inline(never)]
unsafe fn perform(inner: *mut Inner) {
    let inner = &mut *inner;
    let run = &*inner.run;
    let server = &mut *run.server;
    inner.reply.clear(super::BUFFER_KEEP_MAX);
    let argv = Argv::new(&inner.argv, &inner.spans);
    scripting::call(server, &mut inner.reply, run.slot, argv, &run.began);
}
