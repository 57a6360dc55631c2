//! The string functions whose costs must be bounded: those with patterns, which could run for ever where no hook
//! is called, and `string.rep`, which could ask for more memory than there is before it begins.
//!
//! Results that grow are gathered in place or in a userdata on Lua's stack ([`Text`]), which is collected and limited
//! like all that is Lua's, and an error on the way leaves nothing behind.

use super::{BYTES_MAX, Inner, convert, is_to_end, raise_killed, spend};
use crate::script::pattern::{self, Capture, Matcher, Stop};
use mlua::ffi::*;
use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;
use std::ptr;

/// Puts our functions in place of those in the table on top of the stack.
pub(super) unsafe fn change(state: *mut lua_State) {
    type Function = unsafe extern "C-unwind" fn(*mut lua_State) -> c_int;
    for (name, function) in [
        (c"find", find as Function),
        (c"gfind", gmatch),
        (c"gmatch", gmatch),
        (c"gsub", gsub),
        (c"match", find_match),
        (c"rep", rep),
    ] {
        lua_pushcfunction(state, function);
        lua_setfield(state, -2, name.as_ptr());
    }
}

/// The string argument at an index, or an error.
#[inline]
unsafe fn check_bytes<'a>(state: *mut lua_State, index: c_int) -> &'a [u8] {
    let mut len = 0;
    let bytes = luaL_checklstring(state, index, &mut len);
    std::slice::from_raw_parts(bytes.cast(), len)
}

/// Raises the error of a search that stopped.
#[cold]
unsafe fn raise(state: *mut lua_State, stop: Stop) -> c_int {
    match stop {
        Stop::Malformed(text) => luaL_error(state, text.as_ptr()),
        Stop::Interrupted => raise_killed(state),
    }
}

unsafe extern "C-unwind" fn find(state: *mut lua_State) -> c_int {
    search(state, true)
}

unsafe extern "C-unwind" fn find_match(state: *mut lua_State) -> c_int {
    search(state, false)
}

/// `string.find`, which tells where, and `string.match`, which returns what.
unsafe fn search(state: *mut lua_State, tells_where: bool) -> c_int {
    let subject = check_bytes(state, 1);
    let pattern = check_bytes(state, 2);
    let start = start_of(luaL_optinteger(state, 3, 1), subject.len());
    if tells_where && (lua_toboolean(state, 4) != 0 || pattern::is_plain(pattern)) {
        spend(state, subject.len() - start);
        return match memchr::memmem::find(&subject[start..], pattern) {
            Some(at) => {
                lua_pushnumber(state, (start + at + 1) as f64);
                lua_pushnumber(state, (start + at + pattern.len()) as f64);
                2
            }
            None => {
                lua_pushnil(state);
                1
            }
        };
    }
    let inner = Inner::of(state);
    let mut matcher = Matcher::new(subject, pattern, || is_to_end(inner));
    let is_anchored = pattern.first() == Some(&b'^');
    let from = usize::from(is_anchored);
    let last = if is_anchored { start } else { subject.len() };
    for at in start..=last {
        match matcher.match_at(at, from) {
            Err(stop) => return raise(state, stop),
            Ok(None) => {}
            Ok(Some(end)) if tells_where => {
                lua_pushnumber(state, at as f64 + 1.0);
                lua_pushnumber(state, end as f64);
                return 2 + push_captures(state, &matcher, subject, None);
            }
            Ok(Some(end)) => return push_captures(state, &matcher, subject, Some((at, end))),
        }
    }
    lua_pushnil(state);
    1
}

/// Where a search begins that was told to at a position, which may count from the end.
fn start_of(position: lua_Integer, len: usize) -> usize {
    let from_start = if position < 0 {
        position.saturating_add(len as lua_Integer + 1)
    } else {
        position
    };
    (from_start.max(1) as usize - 1).min(len)
}

/// Pushes the captures of a match; if there are none, the whole of it.
unsafe fn push_captures<I: FnMut() -> bool>(
    state: *mut lua_State,
    matcher: &Matcher<'_, I>,
    subject: &[u8],
    whole: Option<(usize, usize)>,
) -> c_int {
    let count = match (matcher.captures(), whole) {
        (0, Some(_)) => 1,
        (count, _) => count,
    };
    luaL_checkstack_(state, count as c_int, c"too many captures".as_ptr());
    let (start, end) = whole.unwrap_or_default();
    for index in 0..count {
        match matcher.capture(index, start, end) {
            Ok(capture) => push_capture(state, capture, subject),
            Err(stop) => return raise(state, stop),
        }
    }
    count as c_int
}

unsafe fn push_capture(state: *mut lua_State, capture: Capture, subject: &[u8]) {
    match capture {
        Capture::Bytes(from, to) => convert::push_bytes(state, &subject[from..to]),
        Capture::Position(at) => lua_pushnumber(state, at as f64 + 1.0),
    }
}

/// An iterator over matches: subject, pattern, and where it goes on are its upvalues.
unsafe extern "C-unwind" fn gmatch(state: *mut lua_State) -> c_int {
    check_bytes(state, 1);
    check_bytes(state, 2);
    lua_settop(state, 2);
    lua_pushnumber(state, 0.0);
    lua_pushcclosure(state, next_match, 3);
    1
}

unsafe extern "C-unwind" fn next_match(state: *mut lua_State) -> c_int {
    let subject = convert::bytes_at(state, lua_upvalueindex(1));
    let pattern = convert::bytes_at(state, lua_upvalueindex(2));
    let from = lua_tonumber(state, lua_upvalueindex(3)) as usize;
    let inner = Inner::of(state);
    let mut matcher = Matcher::new(subject, pattern, || is_to_end(inner));
    for at in from..=subject.len() {
        match matcher.match_at(at, 0) {
            Err(stop) => return raise(state, stop),
            Ok(None) => {}
            Ok(Some(end)) => {
                // An empty match is found once.
                let next = if end == at { end + 1 } else { end };
                lua_pushnumber(state, next as f64);
                lua_replace(state, lua_upvalueindex(3));
                return push_captures(state, &matcher, subject, Some((at, end)));
            }
        }
    }
    0
}

unsafe extern "C-unwind" fn gsub(state: *mut lua_State) -> c_int {
    let subject = check_bytes(state, 1);
    let pattern = check_bytes(state, 2);
    let kind = lua_type(state, 3);
    let most = luaL_optinteger(state, 4, subject.len() as lua_Integer + 1);
    luaL_argcheck(
        state,
        c_int::from(matches!(
            kind,
            LUA_TNUMBER | LUA_TSTRING | LUA_TFUNCTION | LUA_TTABLE
        )),
        3,
        c"string/function/table expected".as_ptr(),
    );
    let is_anchored = pattern.first() == Some(&b'^');
    let inner = Inner::of(state);
    let mut matcher = Matcher::new(subject, pattern, || is_to_end(inner));
    lua_settop(state, 4);
    let mut text = Text::new(state, subject.len());
    // What lies between `copied` and `at` is kept as it is, and copied at once.
    let (mut at, mut copied, mut count) = (0, 0, 0);
    while count < most {
        let found = match matcher.match_at(at, usize::from(is_anchored)) {
            Ok(found) => found,
            Err(stop) => return raise(state, stop),
        };
        if let Some(end) = found {
            count += 1;
            text.add(state, &subject[copied..at]);
            copied = end;
            add_value(state, &mut text, &matcher, subject, (at, end), kind);
        }
        match found {
            Some(end) if end > at => at = end,
            _ if at < subject.len() => at += 1,
            _ => break,
        }
        if is_anchored {
            break;
        }
    }
    text.add(state, &subject[copied..]);
    text.push(state);
    lua_pushnumber(state, count as f64);
    2
}

/// Adds what a match is replaced by.
unsafe fn add_value<I: FnMut() -> bool>(
    state: *mut lua_State,
    text: &mut Text,
    matcher: &Matcher<'_, I>,
    subject: &[u8],
    (at, end): (usize, usize),
    kind: c_int,
) {
    match kind {
        LUA_TFUNCTION => {
            lua_pushvalue(state, 3);
            let count = push_captures(state, matcher, subject, Some((at, end)));
            lua_call(state, count, 1);
        }
        LUA_TTABLE => {
            match matcher.capture(0, at, end) {
                Ok(capture) => push_capture(state, capture, subject),
                Err(stop) => {
                    raise(state, stop);
                }
            }
            lua_gettable_(state, 3);
        }
        _ => return add_template(state, text, matcher, subject, (at, end)),
    }
    if lua_toboolean(state, -1) == 0 {
        text.add(state, &subject[at..end]);
    } else if lua_isstring(state, -1) != 0 {
        text.add(state, convert::bytes_at(state, -1));
    } else {
        let name = lua_typename(state, lua_type(state, -1));
        luaL_error(state, c"invalid replacement value (a %s)".as_ptr(), name);
    }
    lua_settop(state, -2);
}

/// Adds a replacement in which `%1` stands for a capture.
unsafe fn add_template<I: FnMut() -> bool>(
    state: *mut lua_State,
    text: &mut Text,
    matcher: &Matcher<'_, I>,
    subject: &[u8],
    (at, end): (usize, usize),
) {
    let template = convert::bytes_at(state, 3);
    let mut rest = template;
    while let Some(escape) = memchr::memchr(b'%', rest) {
        text.add(state, &rest[..escape]);
        match rest.get(escape + 1) {
            Some(b'0') => text.add(state, &subject[at..end]),
            Some(digit) if digit.is_ascii_digit() => {
                match matcher.capture(usize::from(digit - b'1'), at, end) {
                    Ok(capture) => push_capture(state, capture, subject),
                    Err(stop) => {
                        raise(state, stop);
                    }
                }
                text.add(state, convert::bytes_at(state, -1));
                lua_settop(state, -2);
            }
            Some(other) => text.add(state, std::slice::from_ref(other)),
            None => text.add(state, b"\0"),
        }
        rest = rest.get(escape + 2..).unwrap_or_default();
    }
    text.add(state, rest);
}

unsafe extern "C-unwind" fn rep(state: *mut lua_State) -> c_int {
    let piece = check_bytes(state, 1);
    let count = luaL_checkinteger(state, 2).max(0) as usize;
    let count = if piece.is_empty() { 0 } else { count };
    let len = piece.len().saturating_mul(count);
    if len > BYTES_MAX / 2 {
        lua_pushstring_(state, c"not enough memory".as_ptr());
        lua_error(state);
    }
    let mut text = Text::new(state, len);
    if let [byte] = piece {
        text.fill(*byte, len);
    } else {
        for _ in 0..count {
            text.add(state, piece);
        }
    }
    text.push(state);
    1
}

/// A text that grows: first in place, then in a userdata that has its place on the stack.
struct Text {
    /// Where the userdata is.
    place: c_int,
    /// That of the userdata, or null while `short` is enough.
    bytes: *mut u8,
    len: usize,
    room: usize,
    short: MaybeUninit<[u8; Text::SHORT]>,
}

impl Text {
    const SHORT: usize = 256;

    /// An empty one, with room for what is expected.
    #[inline]
    unsafe fn new(state: *mut lua_State, expected: usize) -> Text {
        let (bytes, room) = if expected <= Text::SHORT {
            lua_pushnil(state);
            (ptr::null_mut(), Text::SHORT)
        } else {
            (lua_newuserdata(state, expected).cast(), expected)
        };
        Text {
            place: lua_gettop(state),
            bytes,
            len: 0,
            room,
            short: MaybeUninit::uninit(),
        }
    }

    #[inline]
    fn start(&mut self) -> *mut u8 {
        if self.bytes.is_null() {
            self.short.as_mut_ptr().cast()
        } else {
            self.bytes
        }
    }

    #[inline]
    unsafe fn add(&mut self, state: *mut lua_State, piece: &[u8]) {
        if piece.len() > self.room - self.len {
            self.grow(state, piece.len());
        }
        let to = self.start().add(self.len);
        ptr::copy_nonoverlapping(piece.as_ptr(), to, piece.len());
        self.len += piece.len();
    }

    #[cold]
    unsafe fn grow(&mut self, state: *mut lua_State, more: usize) {
        let room = (2 * self.room).max(self.len + more);
        let bytes: *mut u8 = lua_newuserdata(state, room).cast();
        ptr::copy_nonoverlapping(self.start(), bytes, self.len);
        lua_replace(state, self.place);
        (self.bytes, self.room) = (bytes, room);
    }

    /// Adds a byte so many times, for which there must be room.
    unsafe fn fill(&mut self, byte: u8, count: usize) {
        assert!(count <= self.room - self.len);
        ptr::write_bytes(self.start().add(self.len), byte, count);
        self.len += count;
    }

    /// Pushes it as a string.
    unsafe fn push(&mut self, state: *mut lua_State) {
        lua_pushlstring_(state, self.start().cast(), self.len);
    }
}

/// What the compiler cannot know: none of these is raised over with something to drop.
const _: () = {
    assert!(!std::mem::needs_drop::<Text>());
    assert!(!std::mem::needs_drop::<Stop>());
    assert!(!std::mem::needs_drop::<&CStr>());
};
