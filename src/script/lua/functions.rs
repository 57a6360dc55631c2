//! Libraries of functions: how one is loaded, and `redis.register_function`.
//!
//! A library's code runs once, to register its functions, and finds little around it: the environment of all
//! code of the interpreter leads to a smaller table of globals meanwhile, whose `redis` can register and log.
//! Functions find the whole when they are called later, since their environment is the same table.
//!
//! What is registered is collected in [`Load`], outside of Lua. A name is copied there only once nothing can be
//! raised any more.

use super::{BYTES_MAX, ENVIRONMENT, GLOBALS, Inner, Vm, api, convert, sandbox, watch};
use crate::server::scripting::{FLAG_NAMES, ScriptFlags};
use mlua::ffi::*;
use std::ffi::{CStr, c_int};
use std::time::{Duration, Instant};

/// A function that a library has registered.
pub struct Registered {
    /// Its name, as it was given.
    pub name: Vec<u8>,
    /// What it says of itself.
    pub description: Option<Vec<u8>>,
    /// What it declares.
    pub flags: ScriptFlags,
    /// The function's number in the registry.
    pub handle: c_int,
}

/// A library that is being loaded.
pub(super) struct Load {
    registered: Vec<Registered>,
    until: Option<Instant>,
}

impl Load {
    /// Whether it has taken too long.
    pub(super) fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

impl Vm {
    /// Runs the code of a library, for at most so long; returns what it registered, or says why it cannot be
    /// loaded.
    pub fn load_library(
        &mut self,
        code: &[u8],
        limit: Option<Duration>,
    ) -> Result<Vec<Registered>, Vec<u8>> {
        let mut load = Load {
            registered: Vec::new(),
            until: limit.map(|limit| Instant::now() + limit),
        };
        // SAFETY: outside of the protected call nothing here raises: memory has no limit. `load` outlives the
        // call.
        let outcome = unsafe {
            let inner = self.inner.as_ptr();
            (*inner).load = &raw mut load;
            let outcome = run(inner, convert::until_zero(code));
            (*inner).load = std::ptr::null_mut();
            outcome
        };
        match outcome {
            Ok(()) => Ok(load.registered),
            Err(message) => {
                for function in load.registered {
                    self.release_handle(function.handle);
                }
                Err(message)
            }
        }
    }

    /// Forgets a function that was registered.
    pub fn release_handle(&mut self, handle: i32) {
        // SAFETY: releasing a reference does not raise.
        unsafe { luaL_unref((*self.inner.as_ptr()).state, LUA_REGISTRYINDEX, handle) };
    }
}

/// Compiles the code and runs it in the small environment.
unsafe fn run(inner: *mut Inner, code: &[u8]) -> Result<(), Vec<u8>> {
    let state = (*inner).state;
    if sandbox::load_text(state, code, c"@user_function") != LUA_OK {
        return Err(take_message(state, b"Error compiling function: "));
    }
    if (*inner).load_globals == 0 {
        push_globals(state);
        (*inner).load_globals = luaL_ref(state, LUA_REGISTRYINDEX);
    }
    lua_rawgeti_(state, LUA_REGISTRYINDEX, (*inner).load_globals);
    lead_environment(state);
    watch(inner);
    (*inner).bytes_max = BYTES_MAX;
    let status = lua_pcall(state, 0, 0, 0);
    (*inner).bytes_max = usize::MAX;
    lua_pushvalue(state, GLOBALS);
    lead_environment(state);
    if status == LUA_OK {
        return Ok(());
    }
    if lua_type(state, -1) == LUA_TTABLE {
        lua_pushstring_(state, c"err".as_ptr());
        lua_rawget_(state, -2);
        lua_remove(state, -2);
        return Err(take_message(state, b"Error registering functions: "));
    }
    Err(take_message(state, b"Error registering functions: ERR "))
}

/// What is on top of the stack, behind an introduction.
unsafe fn take_message(state: *mut lua_State, intro: &[u8]) -> Vec<u8> {
    let message = [intro, convert::until_zero(convert::bytes_at(state, -1))].concat();
    lua_settop(state, ENVIRONMENT);
    message
}

/// Makes the environment lead to the table on top of the stack, and pops that.
unsafe fn lead_environment(state: *mut lua_State) {
    lua_getmetatable(state, ENVIRONMENT);
    lua_insert(state, -2);
    lua_pushstring_(state, c"__index".as_ptr());
    lua_insert(state, -2);
    lua_rawset(state, -3);
    lua_settop(state, -2);
}

/// Pushes the globals that a library finds while it is loaded.
unsafe fn push_globals(state: *mut lua_State) {
    lua_createtable(state, 0, 2);
    api::push_load_table(state);
    sandbox::refuse_unknown(state);
    sandbox::push_view(state);
    lua_pushvalue(state, -1);
    lua_setfield(state, -3, c"redis".as_ptr());
    lua_setfield(state, -2, c"server".as_ptr());
    sandbox::refuse_unknown(state);
}

/// What a call of `register_function` says, as it lies on Lua's stack.
#[derive(Default)]
struct Arguments<'a> {
    name: Option<&'a [u8]>,
    description: Option<&'a [u8]>,
    flags: ScriptFlags,
    /// Where the function is on the stack.
    callback: Option<c_int>,
}

/// `redis.register_function(name, function)`, or with one table of named arguments.
pub(super) unsafe extern "C-unwind" fn register_function(state: *mut lua_State) -> c_int {
    let load = (*Inner::of(state)).load;
    if load.is_null() {
        const REFUSAL: &[u8] =
            b"ERR server.register_function can only be called on FUNCTION LOAD command";
        return raise(state, REFUSAL);
    }
    let arguments = match lua_gettop(state) {
        1 => named_arguments(state),
        2 => positional_arguments(state),
        _ => Err(c"ERR wrong number of arguments to server.register_function"),
    };
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(text) => return raise(state, text.to_bytes()),
    };
    let (Some(name), Some(callback)) = (arguments.name, arguments.callback) else {
        unreachable!("what was read has a name and a function");
    };
    lua_pushvalue(state, callback);
    let handle = luaL_ref(state, LUA_REGISTRYINDEX);
    (*load).registered.push(Registered {
        name: name.to_vec(),
        description: arguments.description.map(<[u8]>::to_vec),
        flags: arguments.flags,
        handle,
    });
    0
}

unsafe fn raise(state: *mut lua_State, text: &[u8]) -> c_int {
    convert::push_error(state, text);
    lua_error(state)
}

unsafe fn positional_arguments<'a>(state: *mut lua_State) -> Result<Arguments<'a>, &'static CStr> {
    let name = text_at(state, 1)
        .ok_or(c"ERR first argument to server.register_function must be a string")?;
    if lua_type(state, 2) != LUA_TFUNCTION {
        return Err(c"ERR second argument to server.register_function must be a function");
    }
    Ok(Arguments {
        name: Some(name),
        callback: Some(2),
        ..Arguments::default()
    })
}

/// Reads a table of arguments. Values that are kept get places of the stack below the walk.
unsafe fn named_arguments<'a>(state: *mut lua_State) -> Result<Arguments<'a>, &'static CStr> {
    const NAME: c_int = 2;
    const DESCRIPTION: c_int = 3;
    const CALLBACK: c_int = 4;
    if lua_type(state, 1) != LUA_TTABLE {
        return Err(
            c"ERR calling server.register_function with a single argument is only applicable to Lua table (representing named arguments).",
        );
    }
    let mut arguments = Arguments::default();
    lua_settop(state, CALLBACK);
    lua_pushnil(state);
    while lua_next(state, 1) != 0 {
        if lua_type(state, -2) != LUA_TSTRING {
            // A number is a string to Lua's interface, but no name of an argument.
            return Err(match lua_type(state, -2) {
                LUA_TNUMBER => c"ERR unknown argument given to server.register_function",
                _ => c"ERR named argument key given to server.register_function is not a string",
            });
        }
        let key = convert::bytes_at(state, -2);
        let is = |name: &[u8]| key.eq_ignore_ascii_case(name);
        match () {
            () if is(b"function_name") => {
                lua_replace(state, NAME);
                arguments.name = Some(text_at(state, NAME).ok_or(
                    c"ERR function_name argument given to server.register_function must be a string",
                )?);
            }
            () if is(b"description") => {
                lua_replace(state, DESCRIPTION);
                arguments.description = Some(text_at(state, DESCRIPTION).ok_or(
                    c"ERR description argument given to server.register_function must be a string",
                )?);
            }
            () if is(b"callback") => {
                if lua_type(state, -1) != LUA_TFUNCTION {
                    return Err(
                        c"ERR callback argument given to server.register_function must be a function",
                    );
                }
                lua_replace(state, CALLBACK);
                arguments.callback = Some(CALLBACK);
            }
            () if is(b"flags") => {
                arguments.flags = read_flags(state)?;
                lua_settop(state, -2);
            }
            () => return Err(c"ERR unknown argument given to server.register_function"),
        }
    }
    match arguments {
        Arguments { name: None, .. } => {
            Err(c"ERR server.register_function must get a function name argument")
        }
        Arguments { callback: None, .. } => {
            Err(c"ERR server.register_function must get a callback argument")
        }
        arguments => Ok(arguments),
    }
}

/// The flags that the table on top of the stack lists.
unsafe fn read_flags(state: *mut lua_State) -> Result<ScriptFlags, &'static CStr> {
    if lua_type(state, -1) != LUA_TTABLE {
        return Err(
            c"ERR flags argument to server.register_function must be a table representing function flags",
        );
    }
    let mut flags = 0;
    for index in 1.. {
        lua_rawgeti_(state, -1, index);
        if lua_type(state, -1) == LUA_TNIL {
            lua_settop(state, -2);
            break;
        }
        let name = text_at(state, -1).unwrap_or_default();
        let mut known = FLAG_NAMES.iter();
        let flag = known.find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name));
        lua_settop(state, -2);
        flags |= flag.ok_or(c"ERR unknown flag given")?.0;
    }
    Ok(flags)
}

/// The string or number at an index as text.
unsafe fn text_at<'a>(state: *mut lua_State, index: c_int) -> Option<&'a [u8]> {
    (lua_isstring(state, index) != 0).then(|| convert::bytes_at(state, index))
}
