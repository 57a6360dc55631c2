//! What scripts find around them, and why they cannot change it.
//!
//! # Read-only tables
//!
//! Lua 5.1 has no tables that cannot be written, so scripts never get hold of the real ones. What they see is a
//! *view*: an empty table whose metatable has `__index` lead to the real table and `__newindex` to an error. The
//! environment is a view of the table of globals, and every library in that is a view of its table.
//!
//! ```text
//! environment (view) ── __index ──> globals ── "string" ──> view ── __index ──> real table of functions
//!                    ── __newindex > error   ── "KEYS"   ──> plain table
//!                                            ── (nothing) ─> error: nonexistent global variable
//! ```
//!
//! A chunk that sets no globals, as its byte code shows ([`bytecode`](crate::script::bytecode)), runs with the table of
//! globals itself for its environment, which saves looking through the view. It cannot write there: only the
//! instruction that it does not have could, and `getfenv` shows it the view.
//!
//! A view stays empty, because whatever writes past `__newindex` is replaced by a function that refuses views
//! ([`rawset`], [`table_insert`], [`setmetatable`]); what reads past `__index` (`next`, `pairs`, `rawget`) is
//! replaced by one that looks through. `__metatable` hides the metatable itself. The metatable of strings, which
//! all scripts share, is hidden in the same way.
//!
//! # What is missing or different
//!
//! - `dofile`, `loadfile`, `print`, `require`, `module`, `io`, `debug`, `os` but for `os.clock`: gone, as in Redis.
//! - `newproxy` is gone: its finalizers run where nothing could end them.
//! - `load` and `loadstring` take no byte code, which could be forged.
//! - `setfenv` does not change the environment of a whole thread; that of a script's own function lasts until the
//!   script ends.
//! - `collectgarbage` collects and counts, but cannot switch collection off for those who come after.
//! - `pcall` and `xpcall` let a script that is to end, end.

use super::{ARGV, GLOBALS, HANDLER, Inner, KEYS, api, convert, strings};
use crate::script::lib;
use mlua::ffi::*;
use std::ffi::{CStr, c_char, c_int, c_void};

type Function = unsafe extern "C-unwind" fn(*mut lua_State) -> c_int;

/// Functions in place of those that Lua brings, or beside them.
const GLOBAL_FUNCTIONS: &[(&CStr, Function)] = &[
    (c"collectgarbage", collectgarbage),
    (c"load", load),
    (c"loadstring", loadstring),
    (c"next", next),
    (c"pcall", pcall),
    (c"rawget", rawget),
    (c"rawset", rawset),
    (c"setfenv", setfenv),
    (c"setmetatable", setmetatable),
    (c"unpack", unpack),
    (c"xpcall", xpcall),
];

const GONE: &[&CStr] = &[c"dofile", c"loadfile", c"newproxy", c"print"];

/// What tells views from tables that scripts made; its address does.
static VIEW: u8 = 0;

/// Fills the main stack of a new state, as the head of [`super`] shows it, and the environment.
pub(super) unsafe fn open(state: *mut lua_State) {
    lua_pushcfunction(state, handle_error);
    assert_eq!(lua_gettop(state), HANDLER);
    for (name, library) in [
        (c"", luaopen_base as Function),
        (c"table", luaopen_table),
        (c"string", luaopen_string),
        (c"math", luaopen_math),
        (c"os", luaopen_os),
    ] {
        lua_pushcfunction(state, library);
        lua_pushstring_(state, name.as_ptr());
        lua_call(state, 1, 0);
    }
    lib::install_raw(state);
    lua_pushvalue(state, LUA_GLOBALSINDEX);
    assert_eq!(lua_gettop(state), GLOBALS);
    // They become globals when a script is first given any.
    lua_createtable(state, 0, 0);
    lua_createtable(state, 0, 0);
    assert_eq!(lua_gettop(state), ARGV);
    assert_eq!(ARGV, KEYS + 1);
    change_libraries(state);
    hide_string_metatable(state);
    api::push_table(state);
    lua_pushvalue(state, -1);
    lua_setfield(state, GLOBALS, c"redis".as_ptr());
    lua_setfield(state, GLOBALS, c"server".as_ptr());
    protect_libraries(state);
    push_environment(state);
}

/// Puts our functions in place of Lua's.
unsafe fn change_libraries(state: *mut lua_State) {
    for (name, function) in GLOBAL_FUNCTIONS {
        lua_pushcfunction(state, *function);
        lua_setfield(state, GLOBALS, name.as_ptr());
    }
    lua_pushcfunction(state, next);
    lua_pushcclosure(state, pairs, 1);
    lua_setfield(state, GLOBALS, c"pairs".as_ptr());
    lua_getfield_(state, GLOBALS, c"string".as_ptr());
    strings::change(state);
    lua_settop(state, -2);
    for name in [c"__redis__err__handler", c"__server__err__handler"] {
        lua_pushvalue(state, HANDLER);
        lua_setfield(state, GLOBALS, name.as_ptr());
    }
    for name in GONE {
        lua_pushnil(state);
        lua_setfield(state, GLOBALS, name.as_ptr());
    }
    // Of `os` there is only the clock.
    lua_getfield_(state, GLOBALS, c"os".as_ptr());
    lua_getfield_(state, -1, c"clock".as_ptr());
    lua_createtable(state, 0, 1);
    lua_insert(state, -2);
    lua_setfield(state, -2, c"clock".as_ptr());
    lua_setfield(state, GLOBALS, c"os".as_ptr());
    lua_settop(state, -2);
    for (library, name, function) in [
        (c"math", c"random", random as Function),
        (c"math", c"randomseed", randomseed),
        (c"table", c"insert", table_insert),
    ] {
        lua_getfield_(state, GLOBALS, library.as_ptr());
        lua_pushcfunction(state, function);
        lua_setfield(state, -2, name.as_ptr());
        lua_settop(state, -2);
    }
}

/// Scripts that ask for the metatable of strings get a view of one that only leads to a view of `string`.
unsafe fn hide_string_metatable(state: *mut lua_State) {
    convert::push_bytes(state, b"");
    lua_getmetatable(state, -1);
    lua_createtable(state, 0, 1);
    lua_getfield_(state, GLOBALS, c"string".as_ptr());
    push_view(state);
    lua_setfield(state, -2, c"__index".as_ptr());
    push_view(state);
    lua_setfield(state, -2, c"__metatable".as_ptr());
    lua_settop(state, -3);
}

/// Replaces every table among the globals by a view of it.
unsafe fn protect_libraries(state: *mut lua_State) {
    lua_pushnil(state);
    while lua_next(state, GLOBALS) != 0 {
        // Changing fields that are there does not disturb the walk. `_G` comes later.
        let is_own = [GLOBALS, KEYS, ARGV]
            .iter()
            .any(|&own| lua_rawequal(state, -1, own) != 0);
        if lua_type(state, -1) == LUA_TTABLE && !is_own {
            push_view(state);
            lua_pushvalue(state, -2);
            lua_insert(state, -2);
            lua_rawset(state, GLOBALS);
        } else {
            lua_settop(state, -2);
        }
    }
    // `redis` and `server` are the same.
    lua_getfield_(state, GLOBALS, c"server".as_ptr());
    lua_setfield(state, GLOBALS, c"redis".as_ptr());
}

/// Pushes the environment, and has all code that is loaded from here on run in it.
unsafe fn push_environment(state: *mut lua_State) {
    // Globals that are not there are an error.
    lua_pushvalue(state, GLOBALS);
    refuse_unknown(state);
    lua_getmetatable(state, -1);
    lua_remove(state, -2);
    // The environment has a metatable that scripts may look at, as it has in Redis.
    push_view(state);
    lua_pushvalue(state, GLOBALS);
    push_view(state);
    lua_getmetatable(state, -1);
    lua_pushvalue(state, -3);
    lua_setfield(state, -2, c"__metatable".as_ptr());
    lua_settop(state, -2);
    lua_remove(state, -2);
    lua_pushvalue(state, -1);
    lua_setfield(state, GLOBALS, c"_G".as_ptr());
    lua_pushstring_(state, c"getfenv".as_ptr());
    lua_pushvalue(state, GLOBALS);
    lua_pushcclosure(state, getfenv, 1);
    lua_rawset(state, GLOBALS);
    lua_pushvalue(state, -1);
    lua_replace(state, LUA_GLOBALSINDEX);
    assert_eq!(lua_gettop(state), super::ENVIRONMENT);
}

/// Makes it an error to read what the table on top of the stack has not.
pub(super) unsafe fn refuse_unknown(state: *mut lua_State) {
    lua_createtable(state, 0, 1);
    lua_pushcfunction(state, refuse_unknown_global);
    lua_setfield(state, -2, c"__index".as_ptr());
    lua_setmetatable(state, -2);
}

/// Replaces the table on top of the stack by a view of it.
pub(super) unsafe fn push_view(state: *mut lua_State) {
    lua_createtable(state, 0, 0);
    lua_createtable(state, 1, 3);
    lua_pushvalue(state, -3);
    lua_setfield(state, -2, c"__index".as_ptr());
    lua_pushcfunction(state, refuse_write);
    lua_setfield(state, -2, c"__newindex".as_ptr());
    lua_pushboolean(state, 0);
    lua_setfield(state, -2, c"__metatable".as_ptr());
    lua_pushlightuserdata(state, (&raw const VIEW).cast_mut().cast());
    lua_rawseti_(state, -2, 1);
    lua_setmetatable(state, -2);
    lua_remove(state, -2);
}

/// Whether the value at an index is a view.
#[inline]
unsafe fn is_view(state: *mut lua_State, index: c_int) -> bool {
    if lua_getmetatable(state, index) == 0 {
        return false;
    }
    lua_rawgeti_(state, -1, 1);
    let mark = lua_touserdata(state, -1).cast_const();
    lua_settop(state, -3);
    mark == (&raw const VIEW).cast()
}

/// Puts the real table in place of a view at an index.
#[inline]
unsafe fn look_through(state: *mut lua_State, index: c_int) {
    if is_view(state, index) {
        lua_getmetatable(state, index);
        lua_pushstring_(state, c"__index".as_ptr());
        lua_rawget_(state, -2);
        lua_replace(state, index);
        lua_settop(state, -2);
    }
}

/// Raises an error if the value at an index is a view. In a function that is not Lua's, an error has no place.
unsafe fn refuse_view(state: *mut lua_State, index: c_int) {
    if is_view(state, index) {
        lua_pushstring_(state, c"Attempt to modify a readonly table".as_ptr());
        lua_error(state);
    }
}

unsafe extern "C-unwind" fn refuse_write(state: *mut lua_State) -> c_int {
    luaL_error(state, c"Attempt to modify a readonly table".as_ptr())
}

unsafe extern "C-unwind" fn refuse_unknown_global(state: *mut lua_State) -> c_int {
    if lua_gettop(state) != 2 {
        return luaL_error(
            state,
            c"Wrong number of arguments to luaProtectedTableError".as_ptr(),
        );
    }
    if lua_isstring(state, 2) == 0 {
        return luaL_error(
            state,
            c"Second argument to luaProtectedTableError must be a string or number".as_ptr(),
        );
    }
    luaL_error(
        state,
        c"Script attempted to access nonexistent global variable '%s'".as_ptr(),
        lua_tostring(state, 2),
    )
}

/// Gives an error that nobody caught its place, and the form of a table if it has not.
unsafe extern "C-unwind" fn handle_error(state: *mut lua_State) -> c_int {
    lua_settop(state, 1);
    if lua_type(state, 1) != LUA_TTABLE {
        lua_pushstring_(state, c"ERR ".as_ptr());
        push_text(state, 1);
        lua_concat(state, 2);
        lua_createtable(state, 0, 3);
        lua_insert(state, -2);
        lua_setfield(state, -2, c"err".as_ptr());
        lua_replace(state, 1);
    }
    if is_view(state, 1) {
        return 1;
    }
    let mut place: lua_Debug = std::mem::zeroed();
    // Of an error in one of our functions, the place is where the script called it.
    let is_known = lua_getstack(state, 1, &mut place) != 0
        && lua_getinfo(state, c"Sl".as_ptr(), &mut place) != 0
        && (CStr::from_ptr(place.what) != c"C"
            || (lua_getstack(state, 2, &mut place) != 0
                && lua_getinfo(state, c"Sl".as_ptr(), &mut place) != 0));
    if is_known {
        lua_pushstring_(state, c"source".as_ptr());
        lua_pushstring_(state, place.source);
        lua_rawset(state, 1);
        lua_pushstring_(state, c"line".as_ptr());
        lua_pushnumber(state, f64::from(place.currentline));
        lua_rawset(state, 1);
    }
    1
}

/// Pushes a value as `tostring` shows it.
unsafe fn push_text(state: *mut lua_State, index: c_int) {
    match lua_type(state, index) {
        LUA_TSTRING | LUA_TNUMBER => {
            lua_pushvalue(state, index);
            convert::bytes_at(state, -1);
        }
        LUA_TNIL => lua_pushstring_(state, c"nil".as_ptr()),
        LUA_TBOOLEAN if lua_toboolean(state, index) != 0 => {
            lua_pushstring_(state, c"true".as_ptr());
        }
        LUA_TBOOLEAN => lua_pushstring_(state, c"false".as_ptr()),
        kind => {
            let name = lua_typename(state, kind);
            lua_pushfstring(state, c"%s: %p".as_ptr(), name, lua_topointer(state, index));
        }
    }
}

/// Compiles a text; byte code is none.
pub(super) unsafe fn load_text(state: *mut lua_State, source: &[u8], name: &CStr) -> c_int {
    if source.first() == LUA_SIGNATURE.first() {
        lua_pushfstring(
            state,
            c"%s: a script is text, not byte code".as_ptr(),
            name.as_ptr(),
        );
        return LUA_ERRSYNTAX;
    }
    // The parser does not hold on to its name for the text: this one is the same object (CVE-2025-49844).
    lua_pushstring_(state, name.as_ptr());
    let status = luaL_loadbuffer(state, source.as_ptr().cast(), source.len(), name.as_ptr());
    lua_remove(state, -2);
    status
}

/// What `load` and `loadstring` return: a function, or nil and a message.
unsafe fn loaded(state: *mut lua_State, status: c_int) -> c_int {
    if status == LUA_OK {
        return 1;
    }
    lua_pushnil(state);
    lua_insert(state, -2);
    2
}

unsafe extern "C-unwind" fn loadstring(state: *mut lua_State) -> c_int {
    let mut len = 0;
    let source = luaL_checklstring(state, 1, &mut len);
    let name = luaL_optlstring(state, 2, source, std::ptr::null_mut());
    let source = std::slice::from_raw_parts(source.cast(), len);
    let status = load_text(state, source, CStr::from_ptr(name));
    loaded(state, status)
}

unsafe extern "C-unwind" fn load(state: *mut lua_State) -> c_int {
    let name = luaL_optlstring(state, 2, c"=(load)".as_ptr(), std::ptr::null_mut());
    luaL_checktype(state, 1, LUA_TFUNCTION);
    // The third place keeps the piece that is being read, the fourth the name: see `load_text`.
    lua_settop(state, 3);
    lua_pushstring_(state, name);
    let mut has_begun = false;
    let status = lua_load(state, read_piece, (&raw mut has_begun).cast(), name);
    loaded(state, status)
}

/// Gets the next piece of a text from the function that `load` was given.
unsafe extern "C-unwind" fn read_piece(
    state: *mut lua_State,
    has_begun: *mut c_void,
    size: *mut usize,
) -> *const c_char {
    luaL_checkstack_(state, 2, c"too many nested functions".as_ptr());
    lua_pushvalue(state, 1);
    lua_call(state, 0, 1);
    if lua_type(state, -1) == LUA_TNIL {
        lua_settop(state, -2);
        *size = 0;
        return std::ptr::null();
    }
    if lua_isstring(state, -1) == 0 {
        luaL_error(state, c"reader function must return a string".as_ptr());
    }
    lua_replace(state, 3);
    let piece = convert::bytes_at(state, 3);
    let has_begun: *mut bool = has_begun.cast();
    if !*has_begun && piece.first() == LUA_SIGNATURE.first() {
        luaL_error(state, c"a script is text, not byte code".as_ptr());
    }
    *has_begun = true;
    *size = piece.len();
    piece.as_ptr().cast()
}

/// Raises the error on top of the stack again if the script is to end, whoever catches it.
unsafe fn let_end(state: *mut lua_State) {
    let run = (*Inner::of(state)).run;
    if !run.is_null() && (*run).killed {
        lua_error(state);
    }
}

/// An error that is a table with a text is returned as that text, as it was before errors were tables.
unsafe extern "C-unwind" fn pcall(state: *mut lua_State) -> c_int {
    if lua_gettop(state) == 0 {
        lua_pushboolean(state, 0);
        lua_pushstring_(state, c"attempt to call a boolean value".as_ptr());
        return 2;
    }
    lua_pushboolean(state, 1);
    lua_insert(state, 1);
    if lua_pcall(state, lua_gettop(state) - 2, LUA_MULTRET, 0) != LUA_OK {
        let_end(state);
        if lua_type(state, -1) == LUA_TTABLE {
            lua_pushstring_(state, c"err".as_ptr());
            lua_rawget_(state, -2);
            if lua_isstring(state, -1) != 0 {
                lua_replace(state, -2);
            } else {
                lua_settop(state, -2);
            }
        }
        lua_pushboolean(state, 0);
        lua_replace(state, 1);
    }
    lua_gettop(state)
}

unsafe extern "C-unwind" fn xpcall(state: *mut lua_State) -> c_int {
    luaL_checkany(state, 2);
    lua_settop(state, 2);
    lua_pushvalue(state, 2);
    lua_pushcclosure(state, handle_for_script, 1);
    lua_replace(state, 2);
    lua_insert(state, 1);
    // handler, function
    let status = lua_pcall(state, 0, LUA_MULTRET, 1);
    if status != LUA_OK {
        let_end(state);
    }
    lua_pushboolean(state, c_int::from(status == LUA_OK));
    lua_replace(state, 1);
    lua_gettop(state)
}

/// Has a script's own handler handle an error, unless the script is to end: the handler would run where nothing
/// could end it.
unsafe extern "C-unwind" fn handle_for_script(state: *mut lua_State) -> c_int {
    lua_settop(state, 1);
    let run = (*Inner::of(state)).run;
    if !run.is_null() && (*run).killed {
        return 1;
    }
    lua_pushvalue(state, lua_upvalueindex(1));
    lua_insert(state, 1);
    lua_call(state, 1, 1);
    1
}

unsafe extern "C-unwind" fn next(state: *mut lua_State) -> c_int {
    luaL_checktype(state, 1, LUA_TTABLE);
    look_through(state, 1);
    lua_settop(state, 2);
    if lua_next(state, 1) != 0 {
        return 2;
    }
    lua_pushnil(state);
    1
}

unsafe extern "C-unwind" fn pairs(state: *mut lua_State) -> c_int {
    luaL_checktype(state, 1, LUA_TTABLE);
    lua_pushvalue(state, lua_upvalueindex(1));
    lua_pushvalue(state, 1);
    lua_pushnil(state);
    3
}

unsafe extern "C-unwind" fn rawget(state: *mut lua_State) -> c_int {
    luaL_checktype(state, 1, LUA_TTABLE);
    luaL_checkany(state, 2);
    lua_settop(state, 2);
    look_through(state, 1);
    lua_rawget_(state, 1);
    1
}

unsafe extern "C-unwind" fn rawset(state: *mut lua_State) -> c_int {
    luaL_checktype(state, 1, LUA_TTABLE);
    luaL_checkany(state, 2);
    luaL_checkany(state, 3);
    lua_settop(state, 3);
    refuse_view(state, 1);
    lua_rawset(state, 1);
    1
}

/// As Lua's, which counts wrongly between bounds that are too far apart.
unsafe extern "C-unwind" fn unpack(state: *mut lua_State) -> c_int {
    luaL_checktype(state, 1, LUA_TTABLE);
    let from = luaL_optinteger(state, 2, 1) as c_int;
    let to = if lua_type(state, 3) <= LUA_TNIL {
        lua_objlen(state, 1) as c_int
    } else {
        luaL_checkinteger(state, 3) as c_int
    };
    if from > to {
        return 0;
    }
    let count = i64::from(to) - i64::from(from) + 1;
    match c_int::try_from(count) {
        Ok(count) if lua_checkstack(state, count) != 0 => {
            for index in from..=to {
                lua_rawgeti_(state, 1, index);
            }
            count
        }
        _ => luaL_error(state, c"too many results to unpack".as_ptr()),
    }
}

unsafe extern "C-unwind" fn setmetatable(state: *mut lua_State) -> c_int {
    luaL_checktype(state, 1, LUA_TTABLE);
    let kind = lua_type(state, 2);
    luaL_argcheck(
        state,
        c_int::from(matches!(kind, LUA_TNIL | LUA_TTABLE)),
        2,
        c"nil or table expected".as_ptr(),
    );
    refuse_view(state, 1);
    if luaL_getmetafield_(state, 1, c"__metatable".as_ptr()) != 0 {
        luaL_error(state, c"cannot change a protected metatable".as_ptr());
    }
    lua_settop(state, 2);
    lua_setmetatable(state, 1);
    1
}

/// Pushes the function that the first argument means: itself, or the one at that level of the stack.
unsafe fn push_function(state: *mut lua_State, level: lua_Integer) {
    if lua_type(state, 1) == LUA_TFUNCTION {
        return lua_pushvalue(state, 1);
    }
    luaL_argcheck(
        state,
        c_int::from(level >= 0),
        1,
        c"level must be non-negative".as_ptr(),
    );
    let mut place: lua_Debug = std::mem::zeroed();
    if lua_getstack(state, level as c_int, &mut place) == 0 {
        luaL_argerror(state, 1, c"invalid level".as_ptr());
    }
    lua_getinfo(state, c"f".as_ptr(), &mut place);
    if lua_type(state, -1) == LUA_TNIL {
        luaL_error(
            state,
            c"no function environment for tail call at level %d".as_ptr(),
            level as c_int,
        );
    }
}

/// As Lua's, but the table of globals is shown as the view of it.
unsafe extern "C-unwind" fn getfenv(state: *mut lua_State) -> c_int {
    let is_function = lua_type(state, 1) == LUA_TFUNCTION;
    let level = if is_function {
        0
    } else {
        luaL_optinteger(state, 1, 1)
    };
    push_function(state, level);
    if lua_iscfunction(state, -1) != 0 {
        lua_pushvalue(state, LUA_GLOBALSINDEX);
        return 1;
    }
    lua_getfenv(state, -1);
    if lua_rawequal(state, -1, lua_upvalueindex(1)) != 0 {
        lua_pushvalue(state, LUA_GLOBALSINDEX);
    }
    1
}

/// As Lua's, but level 0, the environment of the thread, stays.
unsafe extern "C-unwind" fn setfenv(state: *mut lua_State) -> c_int {
    luaL_checktype(state, 2, LUA_TTABLE);
    let is_function = lua_type(state, 1) == LUA_TFUNCTION;
    let level = if is_function {
        1
    } else {
        luaL_checkinteger(state, 1)
    };
    if level != 0 {
        push_function(state, level);
        lua_pushvalue(state, 2);
        if lua_iscfunction(state, -2) == 0 && lua_setfenv(state, -2) != 0 {
            return 1;
        }
    }
    luaL_error(
        state,
        c"'setfenv' cannot change environment of given object".as_ptr(),
    )
}

unsafe extern "C-unwind" fn collectgarbage(state: *mut lua_State) -> c_int {
    let what = luaL_optlstring(state, 1, c"collect".as_ptr(), std::ptr::null_mut());
    let extent = luaL_optinteger(state, 2, 0) as c_int;
    match CStr::from_ptr(what).to_bytes() {
        b"collect" => lua_pushnumber(state, f64::from(lua_gc(state, LUA_GCCOLLECT, 0))),
        b"count" => {
            let kibibytes = f64::from(lua_gc(state, LUA_GCCOUNT, 0));
            let rest = f64::from(lua_gc(state, LUA_GCCOUNTB, 0));
            lua_pushnumber(state, kibibytes + rest / 1024.0);
        }
        b"step" => lua_pushboolean(state, lua_gc(state, LUA_GCSTEP, extent)),
        b"stop" | b"restart" => lua_pushnumber(state, 0.0),
        b"setpause" | b"setstepmul" => lua_pushnumber(state, 200.0),
        _ => {
            return luaL_argerror(
                state,
                1,
                lua_pushfstring(state, c"invalid option '%s'".as_ptr(), what),
            );
        }
    }
    1
}

unsafe extern "C-unwind" fn random(state: *mut lua_State) -> c_int {
    let unit = (*Inner::of(state)).random.unit();
    let (low, high) = match lua_gettop(state) {
        0 => {
            lua_pushnumber(state, unit);
            return 1;
        }
        1 => (1, luaL_checkinteger(state, 1) as c_int),
        2 => (
            luaL_checkinteger(state, 1) as c_int,
            luaL_checkinteger(state, 2) as c_int,
        ),
        _ => return luaL_error(state, c"wrong number of arguments".as_ptr()),
    };
    luaL_argcheck(
        state,
        c_int::from(low <= high),
        lua_gettop(state),
        c"interval is empty".as_ptr(),
    );
    let count = high.wrapping_sub(low).wrapping_add(1);
    lua_pushnumber(state, (unit * f64::from(count)).floor() + f64::from(low));
    1
}

unsafe extern "C-unwind" fn randomseed(state: *mut lua_State) -> c_int {
    let seed = luaL_checkinteger(state, 1) as i32;
    (*Inner::of(state)).random.seed(seed);
    0
}

unsafe extern "C-unwind" fn table_insert(state: *mut lua_State) -> c_int {
    luaL_checktype(state, 1, LUA_TTABLE);
    refuse_view(state, 1);
    let end = lua_objlen(state, 1) as c_int + 1;
    let place = match lua_gettop(state) {
        2 => end,
        3 => {
            let place = luaL_checkinteger(state, 2) as c_int;
            for index in (place + 1..=end.max(place)).rev() {
                lua_rawgeti_(state, 1, index - 1);
                lua_rawseti_(state, 1, index);
            }
            place
        }
        _ => return luaL_error(state, c"wrong number of arguments to 'insert'".as_ptr()),
    };
    lua_rawseti_(state, 1, place);
    0
}
