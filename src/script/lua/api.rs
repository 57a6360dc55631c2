//! The table `redis`, which is also `server`: what scripts can ask for beside commands.

use super::{Inner, call, convert, functions, spend};
use crate::resp::reply::Proto;
use crate::server::scripting::{self, Kind, TO_AOF, TO_REPLICAS, sha};
use crate::server::state::VERSION;
use mlua::ffi::*;
use std::ffi::{CStr, c_int};

type Function = unsafe extern "C-unwind" fn(*mut lua_State) -> c_int;

/// Its functions.
const FUNCTIONS: &[(&CStr, Function)] = &[
    (c"acl_check_cmd", acl_check_cmd),
    (c"breakpoint", breakpoint),
    (c"call", call::call),
    (c"debug", debug),
    (c"error_reply", error_reply),
    (c"log", write_log),
    (c"pcall", call::pcall),
    (c"replicate_commands", replicate_commands),
    (c"set_repl", set_repl),
    (c"setresp", setresp),
    (c"sha1hex", sha1hex),
    (c"status_reply", status_reply),
];

const NUMBERS: &[(&CStr, u32)] = &[
    (c"LOG_DEBUG", 0),
    (c"LOG_VERBOSE", 1),
    (c"LOG_NOTICE", 2),
    (c"LOG_WARNING", 3),
    (c"REPL_NONE", 0),
    (c"REPL_AOF", TO_AOF as u32),
    (c"REPL_SLAVE", TO_REPLICAS as u32),
    (c"REPL_REPLICA", TO_REPLICAS as u32),
    (c"REPL_ALL", (TO_AOF | TO_REPLICAS) as u32),
];

/// Its functions while a library is loaded.
const LOAD_FUNCTIONS: &[(&CStr, Function)] = &[
    (c"log", write_log),
    (c"register_function", functions::register_function),
];

/// The first of the numbers, which a library finds too while it is loaded.
const LOG_LEVELS: usize = 4;

/// Pushes the table.
pub(super) unsafe fn push_table(state: *mut lua_State) {
    lua_createtable(state, 0, 32);
    for (name, function) in FUNCTIONS {
        lua_pushcfunction(state, *function);
        lua_setfield(state, -2, name.as_ptr());
    }
    push_numbers(state, NUMBERS);
    push_versions(state);
}

/// Pushes the table that a library finds while it is loaded.
pub(super) unsafe fn push_load_table(state: *mut lua_State) {
    lua_createtable(state, 0, 16);
    for (name, function) in LOAD_FUNCTIONS {
        lua_pushcfunction(state, *function);
        lua_setfield(state, -2, name.as_ptr());
    }
    push_numbers(state, &NUMBERS[..LOG_LEVELS]);
    push_versions(state);
}

/// Adds numbers to the table on top of the stack.
unsafe fn push_numbers(state: *mut lua_State, numbers: &[(&CStr, u32)]) {
    for (name, number) in numbers {
        lua_pushnumber(state, f64::from(*number));
        lua_setfield(state, -2, name.as_ptr());
    }
}

/// Adds what we are to the table on top of the stack.
unsafe fn push_versions(state: *mut lua_State) {
    for (name, version) in [("REDIS", VERSION), ("SERVER", env!("CARGO_PKG_VERSION"))] {
        let texts = [
            (format!("{name}_VERSION\0"), version.to_string()),
            (format!("{name}_VERSION_NUM\0"), String::new()),
        ];
        for (key, text) in &texts {
            if text.is_empty() {
                lua_pushnumber(state, f64::from(version_number(version)));
            } else {
                convert::push_bytes(state, text.as_bytes());
            }
            lua_setfield(state, -2, key.as_ptr().cast());
        }
    }
    convert::push_bytes(state, b"cinnabar");
    lua_setfield(state, -2, c"SERVER_NAME".as_ptr());
}

/// A version of three numbers, a byte each.
fn version_number(version: &str) -> u32 {
    let parts = version.split('.').take(3);
    let numbers = parts.map(|part| part.parse::<u8>().unwrap_or(0));
    numbers.fold(0, |all, number| all << 8 | u32::from(number))
}

/// Pushes the error of a script that was ended from outside.
pub(super) unsafe fn push_killed(state: *mut lua_State) {
    let inner = Inner::of(state);
    if (*inner).run.is_null() {
        return convert::push_error(state, b"ERR FUNCTION LOAD timeout");
    }
    let server = &*(*(*inner).run).server;
    let kind = server
        .scripting
        .running
        .as_ref()
        .map(|running| running.kind);
    let text: &[u8] = match kind {
        Some(Kind::Function) => b"ERR Script killed by user with FUNCTION KILL.",
        _ => b"ERR Script killed by user with SCRIPT KILL.",
    };
    convert::push_error(state, text);
}

/// Raises an error with this text.
unsafe fn raise(state: *mut lua_State, text: &[u8]) -> c_int {
    convert::push_error(state, text);
    lua_error(state)
}

unsafe extern "C-unwind" fn sha1hex(state: *mut lua_State) -> c_int {
    if lua_gettop(state) != 1 {
        return raise(state, b"ERR wrong number of arguments");
    }
    let bytes = convert::bytes_at(state, 1);
    spend(state, bytes.len());
    let digest = sha::digest(bytes);
    convert::push_bytes(state, &sha::hex(&digest));
    1
}

unsafe extern "C-unwind" fn status_reply(state: *mut lua_State) -> c_int {
    if lua_gettop(state) != 1 || lua_type(state, 1) != LUA_TSTRING {
        convert::push_error(state, b"ERR wrong number or type of arguments");
        return 1;
    }
    lua_createtable(state, 0, 1);
    lua_pushvalue(state, 1);
    lua_setfield(state, -2, c"ok".as_ptr());
    1
}

unsafe extern "C-unwind" fn error_reply(state: *mut lua_State) -> c_int {
    if lua_gettop(state) != 1 || lua_type(state, 1) != LUA_TSTRING {
        convert::push_error(state, b"ERR wrong number or type of arguments");
        return 1;
    }
    let text = convert::until_zero(convert::bytes_at(state, 1));
    convert::push_coded_error(state, text.strip_prefix(b"-").unwrap_or(text));
    1
}

unsafe extern "C-unwind" fn setresp(state: *mut lua_State) -> c_int {
    if lua_gettop(state) != 1 {
        return raise(state, b"ERR server.setresp() requires one argument.");
    }
    let proto = match convert::truncate(lua_tonumber(state, 1)) {
        2 => Proto::Resp2,
        3 => Proto::Resp3,
        _ => return raise(state, b"ERR RESP version must be 2 or 3."),
    };
    (*Inner::of(state)).reply.set_proto(proto);
    0
}

unsafe extern "C-unwind" fn set_repl(state: *mut lua_State) -> c_int {
    if lua_gettop(state) != 1 {
        return raise(state, b"ERR server.set_repl() requires one argument.");
    }
    let Some(to @ 0..=3) = u8::try_from(convert::truncate(lua_tonumber(state, 1))).ok() else {
        return raise(
            state,
            b"ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        );
    };
    let run = (*Inner::of(state)).run;
    if !run.is_null() {
        scripting::set_repl(&mut *(*run).server, to);
    }
    0
}

/// Effects are always replicated one by one.
unsafe extern "C-unwind" fn replicate_commands(state: *mut lua_State) -> c_int {
    lua_pushboolean(state, 1);
    1
}

/// There is no debugger to stop in.
unsafe extern "C-unwind" fn breakpoint(state: *mut lua_State) -> c_int {
    lua_pushboolean(state, 0);
    1
}

/// There is no debugger to show this.
unsafe extern "C-unwind" fn debug(_: *mut lua_State) -> c_int {
    0
}

unsafe extern "C-unwind" fn acl_check_cmd(state: *mut lua_State) -> c_int {
    let inner = Inner::of(state);
    if let Err(text) = call::read_arguments(state, inner) {
        return raise(state, text.as_bytes());
    }
    match call::is_permitted(inner) {
        Some(is_permitted) => {
            lua_pushboolean(state, c_int::from(is_permitted));
            1
        }
        None => raise(
            state,
            b"ERR Invalid command passed to server.acl_check_cmd()",
        ),
    }
}

unsafe extern "C-unwind" fn write_log(state: *mut lua_State) -> c_int {
    let count = lua_gettop(state);
    if count < 2 {
        return raise(state, b"ERR server.log() requires two arguments or more.");
    }
    if lua_isnumber(state, 1) == 0 {
        return raise(state, b"ERR First argument must be a number (log level).");
    }
    let level = convert::truncate(lua_tonumber(state, 1));
    if !(0..=3).contains(&level) {
        return raise(state, b"ERR Invalid log level.");
    }
    let inner = Inner::of(state);
    (*inner).text.clear();
    for index in 2..=count {
        if lua_isstring(state, index) != 0 {
            let piece = convert::bytes_at(state, index);
            let text = &mut (*inner).text;
            if index > 2 {
                text.push(b' ');
            }
            text.extend_from_slice(piece);
        }
    }
    log(level, &(*inner).text);
    0
}

fn log(level: i64, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    match level {
        0 => tracing::trace!("{text}"),
        1 => tracing::debug!("{text}"),
        2 => tracing::info!("{text}"),
        _ => tracing::warn!("{text}"),
    }
}
