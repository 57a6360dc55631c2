//! Puts the libraries into a Lua state.

#![allow(unsafe_code)]

use mlua::Lua;
use mlua::ffi::lua_State;

use super::stack::Stack;
use super::{bit, cjson, cmsgpack, structure};

/// Creates the globals `cjson`, `cmsgpack`, `struct` and `bit`: plain tables, which the caller makes
/// read-only if scripts must not change them.
pub fn install(lua: &Lua) -> mlua::Result<()> {
    // SAFETY: the closure runs in a protected call on a valid state, and neither it nor what it calls holds
    // anything that an error would have to drop.
    unsafe { lua.exec_raw((), |state| install_raw(state)) }
}

/// The same for a state that is not the crate's.
///
/// # Safety
///
/// The state is valid, and an error, which only a want of memory can raise, has nothing to drop where it goes.
pub unsafe fn install_raw(state: *mut lua_State) {
    // SAFETY: the caller's promise.
    let stack = unsafe { Stack::new(state) };
    for (name, open) in [
        (c"bit", bit::open as fn(Stack)),
        (c"cjson", cjson::open),
        (c"cmsgpack", cmsgpack::open),
        (c"struct", structure::open),
    ] {
        open(stack);
        stack.set_global(name);
    }
}
