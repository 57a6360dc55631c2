//! Values between Lua and the protocol, both ways.
//!
//! A reply of a command, which lies in a buffer as it would be sent, is read once from front to back and becomes
//! values on Lua's stack ([`push_reply`]). A value of Lua is written as a reply element by element
//! ([`to_reply`]); an array's count is guessed from its length and only counted if that proves wrong.
//!
//! What a type becomes is Redis's, and depends on the protocol that the script chose (`redis.setresp`), not on
//! the client's.

use super::Inner;
use crate::base::num;
use crate::resp::error::{ErrorReply, Outcome};
use crate::resp::reply::{Proto, Reply};
use crate::resp::request::Argv;
use crate::server::state::Server;
use mlua::ffi::*;
use std::ffi::{CStr, c_int};

/// The bytes of the string or number at an index; none of another value. They are Lua's, and stay as long as the
/// value is on the stack. A number is turned into a string where it stands.
pub(super) unsafe fn bytes_at<'a>(state: *mut lua_State, index: c_int) -> &'a [u8] {
    let mut len = 0;
    let bytes = lua_tolstring(state, index, &mut len);
    if bytes.is_null() {
        return &[];
    }
    std::slice::from_raw_parts(bytes.cast(), len)
}

/// Pushes a string.
#[inline]
pub(super) unsafe fn push_bytes(state: *mut lua_State, bytes: &[u8]) {
    lua_pushlstring_(state, bytes.as_ptr().cast(), bytes.len());
}

/// Pushes arguments as an array.
#[inline]
pub(super) unsafe fn push_array(state: *mut lua_State, argv: Argv<'_>) {
    lua_createtable(state, argv.len() as c_int, 0);
    for (index, argument) in argv.iter().enumerate() {
        push_bytes(state, argument);
        lua_rawseti_(state, -2, index as c_int + 1);
    }
}

/// Pushes a table with this text as `err`, its code first.
pub(super) unsafe fn push_error(state: *mut lua_State, text: &[u8]) {
    lua_createtable(state, 0, 4);
    push_bytes(state, text);
    lua_setfield(state, -2, c"err".as_ptr());
}

/// Pushes the reply that the last command left. Says whether it is an error.
#[inline]
pub(super) unsafe fn push_reply(state: *mut lua_State, inner: *mut Inner) -> bool {
    let bytes = reply_bytes(inner);
    match *bytes {
        [] => {
            // A command that does not answer, as if it had nothing to say.
            lua_pushnil(state);
            false
        }
        [b':', ref digits @ ..] => {
            lua_pushnumber(state, integer(line(digits)) as f64);
            false
        }
        [b'-', ..] => {
            push_element(state, bytes, &mut 0);
            true
        }
        _ => {
            push_element(state, bytes, &mut 0);
            false
        }
    }
}

/// The reply as one slice; large values that are shared are copied behind one another first.
unsafe fn reply_bytes<'a>(inner: *mut Inner) -> &'a [u8] {
    let inner = &mut *inner;
    let len = inner.reply.len();
    let bytes: *const [u8] = match inner.reply.contiguous(0, len) {
        Some(bytes) => bytes,
        None => {
            inner.text.clear();
            for piece in inner.reply.take_range(0, len) {
                inner.text.extend_from_slice(&piece);
            }
            inner.text.as_slice()
        }
    };
    &*bytes
}

/// Pushes the element of a reply at `at`, and moves that behind it.
unsafe fn push_element(state: *mut lua_State, bytes: &[u8], at: &mut usize) {
    let marker = bytes[*at];
    let text = line(&bytes[*at + 1..]);
    *at += 1 + text.len() + 2;
    match marker {
        b':' => lua_pushnumber(state, integer(text) as f64),
        b'$' => push_bulk(state, bytes, at, integer(text)),
        b'+' => push_field(state, c"ok", text),
        b'-' => push_command_error(state, text),
        b'*' | b'>' => push_elements(state, bytes, at, integer(text)),
        b'%' => push_map(state, bytes, at, integer(text)),
        b'~' => push_set(state, bytes, at, integer(text)),
        b'_' => lua_pushnil(state),
        b'#' => lua_pushboolean(state, c_int::from(text == b"t")),
        b',' => {
            lua_createtable(state, 0, 1);
            lua_pushnumber(state, double(text));
            lua_setfield(state, -2, c"double".as_ptr());
        }
        b'(' => push_field(state, c"big_number", text),
        b'=' => push_verbatim(state, bytes, at, integer(text) as usize),
        b'|' => {
            // Attributes are not shown to scripts.
            for _ in 0..2 * integer(text) {
                push_element(state, bytes, at);
                lua_settop(state, -2);
            }
            push_element(state, bytes, at);
        }
        other => unreachable!("a reply does not begin with {:?}", other as char),
    }
}

#[inline]
unsafe fn push_bulk(state: *mut lua_State, bytes: &[u8], at: &mut usize, len: i64) {
    if len < 0 {
        return lua_pushboolean(state, 0);
    }
    let end = *at + len as usize;
    push_bytes(state, &bytes[*at..end]);
    *at = end + 2;
}

unsafe fn push_elements(state: *mut lua_State, bytes: &[u8], at: &mut usize, count: i64) {
    if count < 0 {
        return lua_pushboolean(state, 0);
    }
    luaL_checkstack(state, 4, c"in a reply".as_ptr());
    lua_createtable(state, count as c_int, 0);
    for index in 1..=count {
        push_element(state, bytes, at);
        lua_rawseti_(state, -2, index as c_int);
    }
}

unsafe fn push_map(state: *mut lua_State, bytes: &[u8], at: &mut usize, pairs: i64) {
    luaL_checkstack(state, 6, c"in a reply".as_ptr());
    lua_createtable(state, 0, 1);
    lua_createtable(state, 0, pairs as c_int);
    for _ in 0..pairs {
        push_element(state, bytes, at);
        push_element(state, bytes, at);
        lua_rawset(state, -3);
    }
    lua_setfield(state, -2, c"map".as_ptr());
}

unsafe fn push_set(state: *mut lua_State, bytes: &[u8], at: &mut usize, count: i64) {
    luaL_checkstack(state, 6, c"in a reply".as_ptr());
    lua_createtable(state, 0, 1);
    lua_createtable(state, 0, count as c_int);
    for _ in 0..count {
        push_element(state, bytes, at);
        lua_pushboolean(state, 1);
        lua_rawset(state, -3);
    }
    lua_setfield(state, -2, c"set".as_ptr());
}

unsafe fn push_verbatim(state: *mut lua_State, bytes: &[u8], at: &mut usize, len: usize) {
    let text = &bytes[*at..*at + len];
    *at += len + 2;
    lua_createtable(state, 0, 1);
    lua_createtable(state, 0, 2);
    push_bytes(state, &text[4..]);
    lua_setfield(state, -2, c"string".as_ptr());
    push_bytes(state, &text[..3]);
    lua_setfield(state, -2, c"format".as_ptr());
    lua_setfield(state, -2, c"verbatim_string".as_ptr());
}

/// Pushes a table with one field.
pub(super) unsafe fn push_field(state: *mut lua_State, name: &CStr, text: &[u8]) {
    lua_createtable(state, 0, 1);
    push_bytes(state, text);
    lua_setfield(state, -2, name.as_ptr());
}

/// Pushes the error of a command, which was counted when it ran.
#[cold]
unsafe fn push_command_error(state: *mut lua_State, text: &[u8]) {
    push_coded_error(state, text);
    lua_pushboolean(state, 1);
    lua_setfield(state, -2, c"ignore_error_stats_update".as_ptr());
}

/// Pushes an error whose text begins with its code; one that has no blank is no code.
pub(super) unsafe fn push_coded_error(state: *mut lua_State, text: &[u8]) {
    let has_code = memchr::memchr(b' ', text).is_some();
    let text = text.trim_ascii_end();
    if has_code {
        return push_error(state, text);
    }
    lua_createtable(state, 0, 4);
    push_bytes(state, b"ERR ");
    push_bytes(state, text);
    lua_concat(state, 2);
    lua_setfield(state, -2, c"err".as_ptr());
}

/// What comes before the next line end.
#[inline]
fn line(bytes: &[u8]) -> &[u8] {
    // Most are shorter than a search that is made for long ones pays for.
    let short = bytes.iter().take(16).position(|&byte| byte == b'\r');
    let end = short.or_else(|| memchr::memchr(b'\r', bytes));
    &bytes[..end.expect("a line of a reply ends")]
}

/// The number that a reply writes in decimal.
#[inline]
fn integer(digits: &[u8]) -> i64 {
    let (is_negative, digits) = match digits {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let value = digits.iter().fold(0i64, |value, &digit| {
        value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'))
    });
    if is_negative {
        value.wrapping_neg()
    } else {
        value
    }
}

fn double(text: &[u8]) -> f64 {
    match text {
        b"inf" => f64::INFINITY,
        b"-inf" => f64::NEG_INFINITY,
        b"nan" | b"-nan" => f64::NAN,
        _ => num::parse_f64(text).expect("a double in a reply is a number"),
    }
}

/// What C makes of a number that an integer is asked for: numbers out of range become the least one.
pub(super) fn truncate(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

/// Writes the value on top of the stack as a reply, `proto` being what the script speaks, and pops it. An error
/// that is the whole reply is returned instead.
pub(super) unsafe fn to_reply(
    state: *mut lua_State,
    reply: &mut Reply,
    server: &mut Server,
    proto: Proto,
) -> Outcome {
    if lua_type(state, -1) == LUA_TTABLE
        && let Some(error) = error_of(state)
    {
        lua_settop(state, -2);
        return Err(error);
    }
    write(state, reply, server, proto);
    Ok(())
}

/// Writes the value on top of the stack, and pops it.
unsafe fn write(state: *mut lua_State, reply: &mut Reply, server: &mut Server, proto: Proto) {
    if lua_checkstack(state, 4) == 0 {
        let error = ErrorReply::Fixed("ERR reached lua stack limit");
        server.stats.count_error(&error);
        reply.error(&error);
        return lua_settop(state, -2);
    }
    match lua_type(state, -1) {
        LUA_TSTRING => reply.bulk(bytes_at(state, -1)),
        LUA_TNUMBER => reply.int(truncate(lua_tonumber(state, -1))),
        LUA_TBOOLEAN => match (proto, lua_toboolean(state, -1) != 0) {
            (Proto::Resp2, true) => reply.int(1),
            (Proto::Resp2, false) => reply.null(),
            (Proto::Resp3, value) => reply.bool(value),
        },
        LUA_TTABLE => write_table(state, reply, server, proto),
        _ => reply.null(),
    }
    lua_settop(state, -2);
}

unsafe fn write_table(state: *mut lua_State, reply: &mut Reply, server: &mut Server, proto: Proto) {
    if let Some(error) = error_of(state) {
        server.stats.count_error(&error);
        return reply.error(&error);
    }
    if field(state, c"ok") == LUA_TSTRING {
        let text = status_text(bytes_at(state, -1));
        reply.status(&text);
        return lua_settop(state, -2);
    }
    lua_settop(state, -2);
    if field(state, c"double") == LUA_TNUMBER {
        reply.double(lua_tonumber(state, -1));
        return lua_settop(state, -2);
    }
    lua_settop(state, -2);
    if field(state, c"big_number") == LUA_TSTRING {
        let digits = plain_line(bytes_at(state, -1));
        reply.big_number(&digits);
        return lua_settop(state, -2);
    }
    lua_settop(state, -2);
    if field(state, c"verbatim_string") == LUA_TTABLE {
        let format = field(state, c"format");
        lua_insert(state, -2);
        let string = field(state, c"string");
        if (format, string) == (LUA_TSTRING, LUA_TSTRING) {
            write_verbatim(reply, bytes_at(state, -3), bytes_at(state, -1));
            return lua_settop(state, -4);
        }
        lua_settop(state, -3);
    }
    lua_settop(state, -2);
    if field(state, c"map") == LUA_TTABLE {
        write_map(state, reply, server, proto);
        return lua_settop(state, -2);
    }
    lua_settop(state, -2);
    if field(state, c"set") == LUA_TTABLE {
        write_set(state, reply, server, proto);
        return lua_settop(state, -2);
    }
    lua_settop(state, -2);
    write_array(state, reply, server, proto);
}

unsafe fn write_map(state: *mut lua_State, reply: &mut Reply, server: &mut Server, proto: Proto) {
    let deferred = reply.defer_map();
    let mut pairs = 0;
    lua_pushnil(state);
    while lua_next(state, -2) != 0 {
        // The key is needed for the next step, and a number among them must stay one.
        lua_pushvalue(state, -2);
        write(state, reply, server, proto);
        write(state, reply, server, proto);
        pairs += 1;
    }
    reply.end_map(deferred, pairs);
}

unsafe fn write_set(state: *mut lua_State, reply: &mut Reply, server: &mut Server, proto: Proto) {
    let deferred = reply.defer_set();
    let mut count = 0;
    lua_pushnil(state);
    while lua_next(state, -2) != 0 {
        lua_settop(state, -2);
        lua_pushvalue(state, -1);
        write(state, reply, server, proto);
        count += 1;
    }
    reply.end_set(deferred, count);
}

/// Writes the elements up to the first that is nil.
unsafe fn write_array(state: *mut lua_State, reply: &mut Reply, server: &mut Server, proto: Proto) {
    let guess = lua_objlen(state, -1);
    // Behind the length there is nil, but there may be one before.
    let is_whole = (1..=guess).all(|index| {
        lua_rawgeti_(state, -1, index as c_int);
        let kind = lua_type(state, -1);
        lua_settop(state, -2);
        kind != LUA_TNIL
    });
    let count = if is_whole {
        guess
    } else {
        let mut count = 0;
        while {
            lua_rawgeti_(state, -1, count as c_int + 1);
            let kind = lua_type(state, -1);
            lua_settop(state, -2);
            kind != LUA_TNIL
        } {
            count += 1;
        }
        count
    };
    reply.array(count);
    for index in 1..=count {
        lua_rawgeti_(state, -1, index as c_int);
        write(state, reply, server, proto);
    }
}

fn write_verbatim(reply: &mut Reply, format: &[u8], text: &[u8]) {
    let mut three = [b' '; 3];
    let given = &format[..format.len().min(3)];
    three[..given.len()].copy_from_slice(given);
    match std::str::from_utf8(&three) {
        Ok(format) => reply.verbatim(format, text),
        Err(_) => reply.verbatim("txt", text),
    }
}

/// Pushes a field of the table on top of the stack, whatever its metatable says; returns the type.
#[inline]
unsafe fn field(state: *mut lua_State, name: &CStr) -> c_int {
    lua_pushstring_(state, name.as_ptr());
    lua_rawget_(state, -2);
    lua_type(state, -1)
}

/// The error that the table on top of the stack is, if it is one.
unsafe fn error_of(state: *mut lua_State) -> Option<ErrorReply> {
    let is_error = field(state, c"err") == LUA_TSTRING;
    let text = is_error.then(|| until_zero(bytes_at(state, -1)).to_vec());
    lua_settop(state, -2);
    let text = text?;
    let is_counted =
        field(state, c"ignore_error_stats_update") == LUA_TBOOLEAN && lua_toboolean(state, -1) != 0;
    lua_settop(state, -2);
    Some(if is_counted {
        ErrorReply::Counted(text)
    } else {
        ErrorReply::Custom(text)
    })
}

/// What a failed call left on the stack, as an error reply: text, and where in the script it happened.
pub(super) unsafe fn failure(state: *mut lua_State, name: &str) -> ErrorReply {
    if lua_type(state, -1) != LUA_TTABLE {
        const SHOWN_MAX: usize = 100;
        let message = match until_zero(bytes_at(state, -1)) {
            [] => b"execution failure",
            message => &message[..message.len().min(SHOWN_MAX)],
        };
        let intro = format!("ERR Error running script {name}, ");
        return [intro.as_bytes(), message].concat().into();
    }
    if field(state, c"err") == LUA_TNUMBER {
        // It counts as the text that it is shown as.
        bytes_at(state, -1);
        lua_pushstring_(state, c"err".as_ptr());
        lua_insert(state, -2);
        lua_rawset(state, -3);
    } else {
        lua_settop(state, -2);
    }
    let mut error = error_of(state).unwrap_or(ErrorReply::Custom(b"ERR unknown error".to_vec()));
    let has_source = field(state, c"source") == LUA_TSTRING;
    lua_insert(state, -2);
    let has_line = matches!(field(state, c"line"), LUA_TNUMBER | LUA_TSTRING);
    if let ErrorReply::Custom(text) | ErrorReply::Counted(text) = &mut error
        && has_source
        && has_line
    {
        text.extend_from_slice(format!(" script: {name}, on ").as_bytes());
        text.extend_from_slice(bytes_at(state, -3));
        text.push(b':');
        text.extend_from_slice(bytes_at(state, -1));
        text.push(b'.');
    }
    error
}

/// A text as C sees it.
pub(super) fn until_zero(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}

/// A text as it may stand in one line.
fn plain_line(bytes: &[u8]) -> Vec<u8> {
    let plain = bytes.iter().map(|&byte| match byte {
        b'\r' | b'\n' => b' ',
        other => other,
    });
    plain.collect()
}

/// A status as it is sent: one line, up to a zero byte.
fn status_text(bytes: &[u8]) -> Vec<u8> {
    plain_line(until_zero(bytes))
}
