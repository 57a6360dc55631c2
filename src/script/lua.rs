//! An interpreter: Lua 5.1 in a sandbox, driven through its C interface.
//!
//! # Layout
//!
//! ```text
//! Vm ── owns ──> Inner (boxed)         Lua's state keeps Inner's address as the argument of its allocator,
//!                  state ──────────>   so every C function finds its way back with one load.
//! main stack:   1 error handler | 2 globals | 3 KEYS | 4 ARGV | 5 environment
//! ```
//!
//! [`sandbox`] says what scripts find in their environment and why they cannot change it, [`call`] is
//! `redis.call`, [`api`] the rest of `redis`, [`convert`] carries values between Lua and replies, [`strings`] has
//! the string functions whose costs must be bounded.
//!
//! # Why errors are safe here
//!
//! Lua raises an error by `longjmp` to the innermost protected call. Frames of Rust in between vanish without
//! their destructors, which is sound (and defined, in functions that are `extern "C-unwind"`) if there is nothing
//! to destruct. So in this file and its children:
//!
//! - A frame below which Lua may raise holds only plain values: numbers, pointers, slices.
//! - What must be kept between calls (arguments, replies, texts under way) lives in [`Inner`], which outlives
//!   every script.
//! - Commands run in functions of Rust that never call Lua (`call::perform`); what they own is gone when they
//!   return, and only then is the result handed to Lua.
//! - Code that calls Lua from outside of a protected call runs with [`Inner::bytes_max`] at its highest and uses
//!   no operation that raises for another reason than memory: it cannot raise. [`panic()`] guards that.
//!
//! # Why pointers are valid here
//!
//! - A `*mut lua_State` comes from Lua itself, as the argument of a C function, or from `Inner::state`, which is
//!   alive as long as its `Vm`.
//! - [`Inner`] is only reached through the raw pointer, and no reference to it or into it is held while Lua
//!   runs, but slices of heap memory that only the frame that holds them changes.
//! - [`Run`] lends the server to C functions: [`Vm::run`] has it exclusively, does not use it while Lua runs, and
//!   ends the loan before it returns.
//!
//! The functions here are unsafe as a whole, on these grounds, rather than block by block.
#![allow(unsafe_code, unsafe_op_in_unsafe_fn)]

mod api;
mod call;
mod convert;
mod functions;
mod sandbox;
mod strings;

pub use self::functions::Registered;
use super::bytecode;
use super::random::Random;
use crate::resp::error::Outcome;
use crate::resp::reply::{Proto, Reply};
use crate::resp::request::{Argv, Span};
use crate::server::client::Slot;
use crate::server::scripting;
use crate::server::state::{Server, Time};
use mlua::ffi::*;
use std::alloc::Layout;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::time::Instant;

/// A script may have this much memory, all that is kept for others included.
const BYTES_MAX: usize = 1 << 30;
/// Instructions before the first look at the clock, and at most between two. In between they are as many as take
/// [`HOOK_TIME_US`], since one that works on a long text takes as long as thousands of others.
const HOOK_FIRST: c_int = 100;
const HOOK_MAX: c_int = 100_000;
/// What should pass between two looks at the clock, in microseconds.
const HOOK_TIME_US: u64 = 5000;
/// Bytes that C functions allocate, copy or search between two looks at the clock: few instructions can ask for
/// many.
const SPENT_MAX: usize = 16 << 20;
/// A script that is to end gets no more blocks of this size.
const LARGE_MIN: usize = 64 << 10;
/// A buffer is not kept beyond this from one script to the next.
const BUFFER_KEEP_MAX: usize = 64 << 10;

/// What is noted of KEYS and ARGV before they are filled for the first time: it counts as too many to keep.
const NEVER: usize = usize::MAX;

/// Places of the main stack.
const HANDLER: c_int = 1;
const GLOBALS: c_int = 2;
const KEYS: c_int = 3;
const ARGV: c_int = 4;
const ENVIRONMENT: c_int = 5;

/// A compiled function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FunctionRef {
    /// Its number in the interpreter's registry.
    number: c_int,
    /// Where it finds globals: a place on the main stack. One that sets none finds them without the view that
    /// protects them. None if it stays with what it has.
    environment: Option<c_int>,
}

impl FunctionRef {
    /// A function that a library has registered.
    pub fn of_handle(handle: i32) -> FunctionRef {
        FunctionRef {
            number: handle,
            environment: None,
        }
    }
}

/// How a function gets its keys and arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// As the globals KEYS and ARGV.
    Globals,
    /// As its two arguments.
    Arguments,
}

/// An interpreter.
pub struct Vm {
    inner: ptr::NonNull<Inner>,
}

/// What C functions reach of an interpreter.
struct Inner {
    state: *mut lua_State,
    /// What Lua has allocated, and may.
    bytes: usize,
    bytes_max: usize,
    /// Bytes since the last look at the clock; see [`SPENT_MAX`].
    spent: usize,
    /// When the clock was last looked at between instructions, and how many instructions it was to be until then.
    hooked: Option<Instant>,
    hook_instructions: c_int,
    /// A block was refused because the script is to end.
    was_refused: bool,
    /// The script that runs.
    run: *mut Run,
    /// The library that is being loaded.
    load: *mut functions::Load,
    /// The globals that it finds, by their number in the registry; 0 before they are first needed.
    load_globals: c_int,
    /// The arguments of the command that a script runs.
    argv: Vec<u8>,
    spans: Vec<Span>,
    /// Its reply.
    reply: Reply,
    /// A text under way.
    text: Vec<u8>,
    random: Random,
    /// How many elements KEYS and ARGV had when they were last filled.
    filled: [usize; 2],
}

/// What a script that runs reaches of the outside.
struct Run {
    server: *mut Server,
    slot: Slot,
    began: Time,
    /// The request that called the script.
    request: Argv<'static>,
    /// It was ended from outside, and goes on with nothing.
    killed: bool,
}

impl Vm {
    /// An interpreter that knows no script.
    pub fn new() -> Vm {
        let inner = Box::new(Inner {
            state: ptr::null_mut(),
            bytes: 0,
            bytes_max: usize::MAX,
            spent: 0,
            hooked: None,
            hook_instructions: HOOK_FIRST,
            was_refused: false,
            run: ptr::null_mut(),
            load: ptr::null_mut(),
            load_globals: 0,
            argv: Vec::new(),
            spans: Vec::new(),
            reply: Reply::new(),
            text: Vec::new(),
            random: Random::default(),
            filled: [NEVER; 2],
        });
        let inner = ptr::NonNull::from(Box::leak(inner));
        // SAFETY: the state is new, and `inner` lives as long as it does.
        unsafe {
            let state = lua_newstate(allocate, inner.as_ptr().cast());
            assert!(!state.is_null(), "there is memory for an interpreter");
            (*inner.as_ptr()).state = state;
            lua_atpanic(state, panic);
            sandbox::open(state);
        }
        Vm { inner }
    }

    /// The bytes that it has allocated.
    pub fn bytes(&self) -> usize {
        // SAFETY: `inner` is alive, and nobody else reaches it while Lua does not run.
        unsafe { (*self.inner.as_ptr()).bytes }
    }

    /// Compiles a script, or says why it is none.
    pub fn compile(&mut self, source: &[u8], name: &CStr) -> Result<FunctionRef, Vec<u8>> {
        // SAFETY: outside of a protected call nothing here raises: loading is protected by itself, and memory
        // has no limit.
        unsafe {
            let state = (*self.inner.as_ptr()).state;
            if sandbox::load_text(state, source, name) != LUA_OK {
                let message = convert::bytes_at(state, -1).to_vec();
                lua_settop(state, -2);
                return Err(message);
            }
            let sets_globals = {
                let mut dump: Vec<u8> = Vec::new();
                let status = lua_dump_(state, append, (&raw mut dump).cast());
                status != LUA_OK || bytecode::sets_globals(&dump)
            };
            Ok(FunctionRef {
                number: luaL_ref(state, LUA_REGISTRYINDEX),
                environment: Some(if sets_globals { ENVIRONMENT } else { GLOBALS }),
            })
        }
    }

    /// Forgets a compiled function.
    pub fn release(&mut self, function: FunctionRef) {
        // SAFETY: releasing a reference does not raise.
        unsafe {
            luaL_unref(
                (*self.inner.as_ptr()).state,
                LUA_REGISTRYINDEX,
                function.number,
            )
        };
    }

    /// Runs a function on behalf of a client: its result becomes the reply, an error is returned, its name in it
    /// being `name`.
    pub fn run(
        &mut self,
        server: &mut Server,
        reply: &mut Reply,
        function: FunctionRef,
        passing: Passing,
        (request, keys, args): (Argv<'_>, Argv<'_>, Argv<'_>),
        running: scripting::Running,
    ) -> Outcome {
        let (slot, name) = (running.client, running.name.clone());
        let before = scripting::begin(server, running);
        let mut run = Run {
            server,
            slot,
            began: *before.began(),
            // SAFETY: the loan ends with this function, and so does what is lent.
            request: unsafe { std::mem::transmute::<Argv<'_>, Argv<'static>>(request) },
            killed: false,
        };
        // SAFETY: `run` outlives the call of Lua, and the server is reached through it alone until then.
        let (outcome, server) = unsafe {
            let inner = self.inner.as_ptr();
            let state = (*inner).state;
            (*inner).run = &mut run;
            (*inner).reply.set_proto(Proto::Resp2);
            let status = invoke(state, inner, function, passing, keys, args);
            let server = &mut *run.server;
            let outcome = if status == LUA_OK {
                let proto = (*inner).reply.proto();
                convert::to_reply(state, reply, server, proto)
            } else {
                Err(convert::failure(state, &name))
            };
            lua_settop(state, ENVIRONMENT);
            (*inner).run = ptr::null_mut();
            trim(inner);
            (outcome, server)
        };
        scripting::end(server, before);
        outcome
    }
}

// SAFETY: an interpreter refers to nothing of a thread: what it has is in its own memory, and its run, which lends it
// a server, is over whenever it can be moved.
unsafe impl Send for Vm {}

impl Default for Vm {
    fn default() -> Vm {
        Vm::new()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the state or to `inner` any more; closing frees all that Lua allocated.
        unsafe {
            lua_close((*self.inner.as_ptr()).state);
            drop(Box::from_raw(self.inner.as_ptr()));
        }
    }
}

impl Inner {
    /// That of the interpreter that a state belongs to.
    #[inline(always)]
    unsafe fn of(state: *mut lua_State) -> *mut Inner {
        let mut inner = ptr::null_mut();
        lua_getallocf(state, &mut inner);
        inner.cast()
    }
}

/// Calls a function, protected. Its result, or the error, is left on the stack.
unsafe fn invoke(
    state: *mut lua_State,
    inner: *mut Inner,
    function: FunctionRef,
    passing: Passing,
    keys: Argv<'_>,
    args: Argv<'_>,
) -> c_int {
    lua_rawgeti_(state, LUA_REGISTRYINDEX, function.number);
    let passed = match passing {
        Passing::Globals => {
            // A script may have given itself another environment when it ran before.
            if let Some(environment) = function.environment {
                lua_pushvalue(state, environment);
                lua_setfenv(state, -2);
            }
            fill(state, inner, KEYS, keys);
            fill(state, inner, ARGV, args);
            0
        }
        Passing::Arguments => {
            convert::push_array(state, keys);
            convert::push_array(state, args);
            2
        }
    };
    watch(inner);
    (*inner).bytes_max = BYTES_MAX;
    let status = lua_pcall(state, passed, 1, HANDLER);
    (*inner).bytes_max = usize::MAX;
    if status == LUA_ERRMEM {
        // What the script had is garbage now, and must not keep the next one from its share.
        lua_gc(state, LUA_GCCOLLECT, 0);
    }
    if status != LUA_OK && (*inner).was_refused {
        // Whatever the error says of memory, there was none because the script is to end.
        lua_settop(state, -2);
        api::push_killed(state);
    }
    status
}

/// Fills the table KEYS or ARGV. It is the one that the script before had, if that left nothing else in it: making
/// tables and collecting them would be a good part of what a short script costs.
unsafe fn fill(state: *mut lua_State, inner: *mut Inner, place: c_int, argv: Argv<'_>) {
    /// What is larger is not kept.
    const KEPT_MAX: usize = 32;
    let filled = &mut (&mut (*inner).filled)[(place - KEYS) as usize];
    let before = std::mem::replace(filled, argv.len());
    let name = if place == KEYS { c"KEYS" } else { c"ARGV" };
    if before.max(argv.len()) <= KEPT_MAX && lua_getmetatable(state, place) == 0 {
        for (index, argument) in argv.iter().enumerate() {
            convert::push_bytes(state, argument);
            lua_rawseti_(state, place, index as c_int + 1);
        }
        for index in argv.len()..before {
            lua_pushnil(state);
            lua_rawseti_(state, place, index as c_int + 1);
        }
        if argv.is_empty() {
            lua_pushnil(state);
        } else {
            lua_pushnumber(state, argv.len() as f64);
        }
        if lua_next(state, place) == 0 {
            return;
        }
    }
    // Only the function to call lies above the fixed places.
    lua_settop(state, ENVIRONMENT + 1);
    convert::push_array(state, argv);
    lua_pushvalue(state, -1);
    lua_replace(state, place);
    lua_setfield(state, GLOBALS, name.as_ptr());
}

/// Gives up what the buffers have beyond what most scripts need.
unsafe fn trim(inner: *mut Inner) {
    let inner = &mut *inner;
    if inner.argv.capacity() > BUFFER_KEEP_MAX {
        inner.argv = Vec::new();
    }
    if inner.text.capacity() > BUFFER_KEEP_MAX {
        inner.text = Vec::new();
    }
    inner.reply.clear(BUFFER_KEEP_MAX);
}

/// Called between instructions, every so many: the script may have to end, or to let others in between.
unsafe extern "C-unwind" fn hook(state: *mut lua_State, _: *mut lua_Debug) {
    let inner = Inner::of(state);
    let elapsed = (*inner).hooked.map(|before| before.elapsed());
    if is_to_end(inner) {
        raise_killed(state);
    }
    (*inner).hooked = Some(Instant::now());
    let elapsed_us = elapsed.map_or(HOOK_TIME_US, |elapsed| elapsed.as_micros() as u64);
    let instructions = (*inner).hook_instructions as u64;
    let next = instructions * HOOK_TIME_US / elapsed_us.max(HOOK_TIME_US / 2);
    (*inner).hook_instructions = next.clamp(10, HOOK_MAX as u64) as c_int;
    lua_sethook(state, Some(hook), LUA_MASKCOUNT, (*inner).hook_instructions);
}

/// Sets the hook for code that is about to run.
unsafe fn watch(inner: *mut Inner) {
    (*inner).spent = 0;
    (*inner).was_refused = false;
    (*inner).hooked = None;
    (*inner).hook_instructions = HOOK_FIRST;
    lua_sethook((*inner).state, Some(hook), LUA_MASKCOUNT, HOOK_FIRST);
}

/// Counts so many bytes as worked on, and looks at the clock if they have become too many.
#[inline]
unsafe fn spend(state: *mut lua_State, bytes: usize) {
    let inner = Inner::of(state);
    (*inner).spent += bytes;
    if (*inner).spent > SPENT_MAX && is_to_end(inner) {
        raise_killed(state);
    }
}

/// The same where nothing can be raised, for Lua allocates.
#[cold]
unsafe fn look(inner: *mut Inner) {
    if is_to_end(inner) {
        // The next instruction ends it; if it is one of a coroutine, which has a hook of its own, a block that is
        // refused does.
        lua_sethook((*inner).state, Some(hook), LUA_MASKCOUNT, 1);
    }
}

/// Whether the script that runs was told to end.
unsafe fn is_killed(inner: *mut Inner) -> bool {
    !(*inner).run.is_null() && (*(*inner).run).killed
}

/// Whether the script that runs is to end. Past its time others are served meanwhile.
#[cold]
unsafe fn is_to_end(inner: *mut Inner) -> bool {
    (*inner).spent = 0;
    let run = (*inner).run;
    if run.is_null() {
        let load = (*inner).load;
        return !load.is_null() && (*load).is_late();
    }
    if !(*run).killed {
        (*run).killed = scripting::interrupt(&mut *(*run).server, &(*run).began, (*run).request);
    }
    (*run).killed
}

/// Raises the error of a script that is to end.
#[cold]
unsafe fn raise_killed(state: *mut lua_State) -> ! {
    // Whoever catches the error is interrupted again, at its next instruction.
    lua_sethook(state, Some(hook), LUA_MASKCOUNT, 1);
    api::push_killed(state);
    lua_error(state)
}

/// Takes a part of a dump.
unsafe extern "C-unwind" fn append(
    _: *mut lua_State,
    piece: *const c_void,
    len: usize,
    dump: *mut c_void,
) -> c_int {
    let dump: *mut Vec<u8> = dump.cast();
    (*dump).extend_from_slice(std::slice::from_raw_parts(piece.cast(), len));
    LUA_OK
}

/// An error that nothing catches: it cannot be.
unsafe extern "C-unwind" fn panic(state: *mut lua_State) -> c_int {
    let message = String::from_utf8_lossy(convert::bytes_at(state, -1));
    panic!("an error in the interpreter outside of any protected call: {message}");
}

/// Lua's memory comes from the process's allocator, so that it is counted with all the rest.
unsafe extern "C" fn allocate(
    inner: *mut c_void,
    block: *mut c_void,
    size_old: usize,
    size_new: usize,
) -> *mut c_void {
    /// What any of Lua's values needs.
    const ALIGN: usize = 8;
    let inner: *mut Inner = inner.cast();
    let layout = |size| Layout::from_size_align_unchecked(size, ALIGN);
    let bytes_new = (*inner).bytes - size_old + size_new;
    if size_new > size_old && (*inner).bytes_max != usize::MAX {
        (*inner).spent += size_new;
        if (*inner).spent > SPENT_MAX {
            look(inner);
        }
        if size_new >= LARGE_MIN && is_killed(inner) {
            (*inner).was_refused = true;
            return ptr::null_mut();
        }
        if bytes_new > (*inner).bytes_max {
            return ptr::null_mut();
        }
    }
    let moved = if size_new == 0 {
        if size_old > 0 {
            std::alloc::dealloc(block.cast(), layout(size_old));
        }
        ptr::null_mut()
    } else if block.is_null() || size_old == 0 {
        std::alloc::alloc(layout(size_new))
    } else {
        std::alloc::realloc(block.cast(), layout(size_old), size_new)
    };
    if moved.is_null() && size_new > 0 {
        return ptr::null_mut();
    }
    (*inner).bytes = bytes_new;
    moved.cast()
}
