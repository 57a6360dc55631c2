//! The stack of a Lua call, with an interface that the libraries can use without `unsafe`.
//!
//! mlua's own interface costs too much an element for an encoder, so the libraries talk to Lua's C interface.
//! All that is unsafe about it is here: [`Stack`] is the arguments, locals and results of one call, [`Buffer`] the
//! bytes that a call builds, [`Levels`] the containers it is in the middle of.
//!
//! Lua reports errors by `longjmp`, running no destructors on the way. Nearly every function can do that: by
//! [`Stack::fail`], by a wrong argument, or because memory ran out. So the memory of a buffer is Lua's, a userdata
//! on the stack that the garbage collector frees whatever happens, and counts against the engine's limit.
//!
//! What the `SAFETY` comments lean on, and the libraries owe in return for a safe interface:
//! 1. **Frames.** A [`Stack`] exists only below a call that Lua made (or in a protected call), and no frame
//!    between holds a value with a destructor. [`function`](Stack::set_function) takes functions only, no closures
//!    that capture, and nothing in these libraries allocates outside Lua.
//! 2. **Room.** A call begins with room for 20 values, and asks for more by [`Stack::check`] before it pushes more.
//! 3. **Indices.** A negative index names a value that this call pushed or was given; a positive one may name
//!    nothing, which Lua answers for.
//! 4. **Texts.** A string is used only while it is reachable: as an argument that stays on the stack, as a value
//!    not yet popped, or as a key or value in a table that is still on it. Lua does not move strings.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::fmt::{self, Write};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::slice;

use mlua::ffi;
use mlua::lua_State;

/// The values of one call. `'call` is how long it runs, which is how long its arguments stay.
#[derive(Clone, Copy)]
pub(super) struct Stack<'call>(*mut lua_State, PhantomData<&'call ()>);

/// What kind of value a place on the stack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nil,
    Boolean,
    Number,
    String,
    Table,
    /// The light userdata that stands for null.
    Null,
    /// Functions, threads, userdata.
    Other,
}

/// The most slots that Lua gives a C function, so no call is inside more containers than that.
pub(super) const SLOTS_MAX: usize = 8000;

/// The longest message that [`Stack::fail`] can give; what is longer is cut.
const MESSAGE_MAX: usize = 256;

impl<'call> Stack<'call> {
    /// The stack of the call that runs on `state`.
    ///
    /// # Safety
    /// The state is valid for `'call`, and rule 1 of this file holds for everything the stack is passed to.
    pub(super) unsafe fn new(state: *mut lua_State) -> Stack<'call> {
        Stack(state, PhantomData)
    }

    // --- places ---

    /// How many values the stack holds, which at the beginning of a call are its arguments.
    #[inline]
    pub(super) fn top(self) -> c_int {
        // SAFETY: rule 1.
        unsafe { ffi::lua_gettop(self.0) }
    }

    /// Cuts the stack to `top` values, or fills it up with nil.
    #[inline]
    pub(super) fn set_top(self, top: c_int) {
        debug_assert!(top >= 0);
        // SAFETY: rules 1 and 2.
        unsafe { ffi::lua_settop(self.0, top) }
    }

    #[inline]
    pub(super) fn pop(self, count: c_int) {
        // SAFETY: rules 1 and 3.
        unsafe { ffi::lua_pop(self.0, count) }
    }

    /// Pushes a copy of the value at `index`.
    #[inline]
    pub(super) fn push_copy(self, index: c_int) {
        // SAFETY: rules 1 to 3.
        unsafe { ffi::lua_pushvalue(self.0, index) }
    }

    /// Moves the value on top to `index`, shifting those above.
    pub(super) fn insert(self, index: c_int) {
        // SAFETY: rules 1 and 3.
        unsafe { ffi::lua_insert(self.0, index) }
    }

    /// Pops the value on top into the place at `index`.
    #[inline]
    pub(super) fn replace(self, index: c_int) {
        // SAFETY: rules 1 and 3.
        unsafe { ffi::lua_replace(self.0, index) }
    }

    /// Makes room for `count` more values; false if Lua has none left.
    #[inline]
    pub(super) fn check(self, count: c_int) -> bool {
        // SAFETY: rule 1.
        unsafe { ffi::lua_checkstack(self.0, count) != 0 }
    }

    /// Makes room for `count` more values, or fails with a stack overflow that says `what`.
    #[inline]
    pub(super) fn check_or_fail(self, count: c_int, what: &str) {
        if !self.check(count) {
            self.fail(format_args!("stack overflow ({what})"));
        }
    }

    // --- values ---

    #[inline]
    pub(super) fn kind(self, index: c_int) -> Kind {
        // SAFETY: rules 1 and 3.
        match unsafe { ffi::lua_type(self.0, index) } {
            ffi::LUA_TNONE | ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            // SAFETY: rules 1 and 3.
            ffi::LUA_TLIGHTUSERDATA if unsafe { ffi::lua_touserdata(self.0, index) }.is_null() => {
                Kind::Null
            }
            _ => Kind::Other,
        }
    }

    /// Whether there is no value at `index` at all.
    pub(super) fn is_none(self, index: c_int) -> bool {
        // SAFETY: rules 1 and 3.
        unsafe { ffi::lua_type(self.0, index) == ffi::LUA_TNONE }
    }

    /// Lua's word for the kind of the value at `index`.
    pub(super) fn kind_name(self, index: c_int) -> &'static str {
        // SAFETY: rules 1 and 3; the names are constants of Lua's.
        let name = unsafe { CStr::from_ptr(ffi::luaL_typename(self.0, index)) };
        name.to_str().expect("Lua names its types in ASCII")
    }

    /// The number at `index`, 0 if it is neither a number nor the text of one.
    #[inline]
    pub(super) fn number(self, index: c_int) -> f64 {
        // SAFETY: rules 1 and 3.
        unsafe { ffi::lua_tonumber(self.0, index) }
    }

    /// Whether the value at `index` is a number or the text of one.
    pub(super) fn is_number(self, index: c_int) -> bool {
        // SAFETY: rules 1 and 3.
        unsafe { ffi::lua_isnumber(self.0, index) != 0 }
    }

    #[inline]
    pub(super) fn boolean(self, index: c_int) -> bool {
        // SAFETY: rules 1 and 3.
        unsafe { ffi::lua_toboolean(self.0, index) != 0 }
    }

    /// The bytes of the value at `index`, which is a string.
    #[inline]
    pub(super) fn text(self, index: c_int) -> &'call [u8] {
        debug_assert_eq!(self.kind(index), Kind::String);
        let mut len = 0;
        // SAFETY: rules 1, 3 and 4. A string is not converted, and a valid address of its length comes back.
        unsafe {
            let start = ffi::lua_tolstring(self.0, index, &mut len);
            slice::from_raw_parts(start.cast(), len)
        }
    }

    /// The length of the value at `index`: bytes of a string, border of a table.
    #[inline]
    pub(super) fn len(self, index: c_int) -> usize {
        // SAFETY: rules 1 and 3.
        unsafe { ffi::lua_objlen(self.0, index) }
    }

    #[inline]
    pub(super) fn push_nil(self) {
        // SAFETY: rules 1 and 2.
        unsafe { ffi::lua_pushnil(self.0) }
    }

    /// Pushes the light userdata that stands for null.
    pub(super) fn push_null(self) {
        // SAFETY: rules 1 and 2.
        unsafe { ffi::lua_pushlightuserdata(self.0, ptr::null_mut()) }
    }

    #[inline]
    pub(super) fn push_boolean(self, value: bool) {
        // SAFETY: rules 1 and 2.
        unsafe { ffi::lua_pushboolean(self.0, c_int::from(value)) }
    }

    #[inline]
    pub(super) fn push_number(self, value: f64) {
        // SAFETY: rules 1 and 2.
        unsafe { ffi::lua_pushnumber(self.0, value) }
    }

    #[inline]
    pub(super) fn push_text(self, text: &[u8]) {
        // SAFETY: rules 1, 2 and 4; Lua copies the bytes.
        unsafe { ffi::lua_pushlstring_(self.0, text.as_ptr().cast(), text.len()) }
    }

    // --- tables ---

    /// Pushes an empty table with room for `array` values from index 1 on.
    #[inline]
    pub(super) fn push_table(self, array: c_int) {
        debug_assert!(array >= 0);
        // SAFETY: rules 1 and 2.
        unsafe { ffi::lua_createtable(self.0, array, 0) }
    }

    /// Pops a key and pushes the next key and its value; only pops if there is none. Nil asks for the first.
    #[inline]
    pub(super) fn next(self, table: c_int) -> bool {
        // SAFETY: rules 1 to 3; the key came from the table, which is not changed in between.
        unsafe { ffi::lua_next(self.0, table) != 0 }
    }

    /// Pushes the value at `index` of a table, without metamethods.
    #[inline]
    pub(super) fn get_index(self, table: c_int, index: c_int) {
        debug_assert_eq!(self.kind(table), Kind::Table);
        // SAFETY: rules 1 to 3.
        unsafe { ffi::lua_rawgeti_(self.0, table, index) }
    }

    /// Pops a value into `index` of a table, without metamethods.
    #[inline]
    pub(super) fn set_index(self, table: c_int, index: c_int) {
        debug_assert_eq!(self.kind(table), Kind::Table);
        // SAFETY: rules 1 and 3.
        unsafe { ffi::lua_rawseti_(self.0, table, index) }
    }

    /// Pops a key and its value, which is on top, into a table. Fails if the key is nil or NaN.
    #[inline]
    pub(super) fn set(self, table: c_int) {
        debug_assert_eq!(self.kind(table), Kind::Table);
        // SAFETY: rules 1 and 3.
        unsafe { ffi::lua_rawset(self.0, table) }
    }

    /// Pops all values above `place` into a table there, in order, as big as one that took them one by one.
    pub(super) fn gather(self, place: c_int) {
        let count = self.top() - place;
        debug_assert!(count > 0);
        self.push_table((count as u32).next_power_of_two() as c_int);
        self.replace(place);
        for index in (1..=count).rev() {
            self.set_index(place, index);
        }
    }

    /// Pops a value into the field `name` of the table below it.
    pub(super) fn set_field(self, name: &CStr) {
        // SAFETY: rules 1 and 3, and the name ends in a zero byte.
        unsafe { ffi::lua_setfield(self.0, -2, name.as_ptr()) }
    }

    /// Pops a value into the global `name`.
    pub(super) fn set_global(self, name: &CStr) {
        // SAFETY: rule 1, and the name ends in a zero byte.
        unsafe { ffi::lua_setglobal(self.0, name.as_ptr()) }
    }

    /// Pops `upvalues` values and sets the field `name` of the table below them to a function with those.
    pub(super) fn set_function<F>(self, name: &CStr, _function: F, upvalues: c_int)
    where
        F: Fn(Stack) -> c_int + Copy,
    {
        const { assert!(size_of::<F>() == 0, "a function that captures nothing") };
        // SAFETY: rules 1 and 3.
        unsafe { ffi::lua_pushcclosure(self.0, call::<F>, upvalues) }
        self.set_field(name);
    }

    // --- upvalues ---

    /// Pushes a userdata that holds `value`, for the functions that shall share it.
    pub(super) fn push_shared<T: 'static>(self, value: T) {
        const { assert!(!std::mem::needs_drop::<T>() && align_of::<T>() <= 8) };
        // SAFETY: rules 1 and 2. Lua aligns a userdata to 8 bytes, and this one has room for a T.
        unsafe {
            ffi::lua_newuserdata(self.0, size_of::<T>())
                .cast::<T>()
                .write(value)
        }
    }

    /// The value that [`push_shared`](Self::push_shared) made the first upvalue of this function.
    #[inline]
    pub(super) fn shared<T: 'static>(self) -> &'call T {
        let index = ffi::lua_upvalueindex(1);
        debug_assert_eq!(self.len(index), size_of::<T>());
        // SAFETY: rule 1. Scripts have no way to change the upvalues of a function, so this is the userdata of a
        // T, which the running function keeps alive; it is only ever borrowed shared.
        unsafe { &*ffi::lua_touserdata(self.0, index).cast::<T>() }
    }

    // --- arguments ---

    /// The string or number at `argument` as text, with the zero byte that Lua puts behind it.
    #[inline]
    pub(super) fn check_text_with_zero(self, argument: c_int) -> &'call [u8] {
        let mut len = 0;
        // SAFETY: rules 1, 3 and 4. Lua puts a zero byte behind each string.
        unsafe {
            let start = ffi::luaL_checklstring(self.0, argument, &mut len);
            slice::from_raw_parts(start.cast(), len + 1)
        }
    }

    /// The string or number at `argument` as text.
    #[inline]
    pub(super) fn check_text(self, argument: c_int) -> &'call [u8] {
        let text = self.check_text_with_zero(argument);
        &text[..text.len() - 1]
    }

    pub(super) fn check_number(self, argument: c_int) -> f64 {
        // SAFETY: rules 1 and 3.
        unsafe { ffi::luaL_checknumber(self.0, argument) }
    }

    pub(super) fn check_integer(self, argument: c_int) -> i64 {
        // SAFETY: rules 1 and 3.
        unsafe { ffi::luaL_checkinteger(self.0, argument) as i64 }
    }

    /// The integer at `argument`, or `default` if that is nil or missing.
    pub(super) fn check_integer_or(self, argument: c_int, default: i64) -> i64 {
        match self.kind(argument) {
            Kind::Nil => default,
            _ => self.check_integer(argument),
        }
    }

    /// Which of `options`, at most three, the text at `argument` is.
    pub(super) fn check_option(self, argument: c_int, options: &[&CStr]) -> usize {
        let mut names = [ptr::null(); 4];
        for (name, option) in names[..3].iter_mut().zip(options) {
            *name = option.as_ptr();
        }
        // SAFETY: rules 1 and 3; the list of names ends in a null.
        let found = unsafe { ffi::luaL_checkoption(self.0, argument, ptr::null(), names.as_ptr()) };
        found as usize
    }

    // --- errors ---

    /// Raises an error with the place of the caller in front.
    #[cold]
    pub(super) fn fail(self, message: fmt::Arguments) -> ! {
        let message = Message::new(message);
        // SAFETY: rule 1. Nothing looks at the stack any more, so it is made empty and has room.
        unsafe {
            ffi::lua_settop(self.0, 0);
            ffi::luaL_where(self.0, 1);
            ffi::lua_pushlstring_(self.0, message.text.as_ptr().cast(), message.len);
            ffi::lua_concat(self.0, 2);
            ffi::lua_error(self.0)
        }
    }

    /// Raises the error of an argument that is wrong.
    #[cold]
    pub(super) fn fail_argument(self, argument: c_int, message: fmt::Arguments) -> ! {
        let message = Message::new(message);
        // SAFETY: rule 1; the message has a zero byte behind it.
        unsafe { ffi::luaL_argerror(self.0, argument, message.text.as_ptr().cast()) };
        unreachable!("luaL_argerror does not return")
    }

    /// Raises the error of an argument in which `byte` is wrong, whatever it is.
    #[cold]
    pub(super) fn fail_argument_byte(self, argument: c_int, what: &str, byte: u8) -> ! {
        let mut message = Message::new(format_args!("{what} '?'"));
        if let Some(mark) = message.text.iter_mut().rfind(|other| **other == b'?') {
            *mark = byte;
        }
        // SAFETY: rule 1; the message has a zero byte behind it.
        unsafe { ffi::luaL_argerror(self.0, argument, message.text.as_ptr().cast()) };
        unreachable!("luaL_argerror does not return")
    }

    /// Raises the error of an argument that is not a `wanted`.
    #[cold]
    pub(super) fn fail_type(self, argument: c_int, wanted: &CStr) -> ! {
        // SAFETY: rule 1; the name has a zero byte behind it.
        unsafe { ffi::luaL_typerror(self.0, argument, wanted.as_ptr()) };
        unreachable!("luaL_typerror does not return")
    }
}

/// What Lua calls for a function of a library.
unsafe extern "C-unwind" fn call<F: Fn(Stack) -> c_int + Copy>(state: *mut lua_State) -> c_int {
    // SAFETY: an F is zero bytes, and `set_function` was given one, so there is such a value.
    let function = unsafe { NonNull::<F>::dangling().read() };
    // SAFETY: Lua calls with a valid state. A function item holds nothing, nor does this frame.
    function(unsafe { Stack::new(state) })
}

/// A message in memory that needs no freeing, with a zero byte behind it.
struct Message {
    text: [u8; MESSAGE_MAX + 1],
    len: usize,
}

impl Message {
    fn new(arguments: fmt::Arguments) -> Message {
        let mut message = Message {
            text: [0; MESSAGE_MAX + 1],
            len: 0,
        };
        // An error says that the message was cut, which is all that can be done about it.
        let _ = message.write_fmt(arguments);
        message
    }
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let cut = text.len().min(MESSAGE_MAX - self.len);
        self.text[self.len..self.len + cut].copy_from_slice(&text.as_bytes()[..cut]);
        self.len += cut;
        if cut < text.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

/// Bytes that a call builds, in a userdata at a fixed place on its stack.
///
/// A function that builds something at every call keeps the userdata in an upvalue. While a call uses it, it is
/// not there, so that a call from within (Lua may run a finalizer whenever it allocates) makes its own.
pub(super) struct Buffer<'call> {
    stack: Stack<'call>,
    slot: c_int,
    /// Of the userdata at `slot`, or dangling if `capacity` is 0.
    start: NonNull<u8>,
    len: usize,
    capacity: usize,
}

/// The smallest buffer, in bytes.
const CAPACITY_MIN: usize = 1 << 10;

/// What a call needs more than this for, in bytes, is not kept for the next.
const KEPT_MAX: usize = 1 << 20;

/// No result gets longer, in bytes, which is also what a value may have: a table that holds another many times, and
/// that one a third, must end somewhere.
const LEN_MAX: usize = 512 << 20;

impl<'call> Buffer<'call> {
    /// An empty buffer at `slot`: what is kept in `upvalue`, or one that owns nothing yet. Needs room for one value.
    #[inline]
    pub(super) fn take(stack: Stack<'call>, slot: c_int, upvalue: c_int) -> Buffer<'call> {
        debug_assert!((1..=stack.top()).contains(&slot));
        let upvalue = ffi::lua_upvalueindex(upvalue);
        stack.push_copy(upvalue);
        stack.replace(slot);
        // SAFETY: rules 1 and 3. The upvalue is nil or what `keep` put there, a userdata of plain bytes.
        let start = unsafe { ffi::lua_touserdata(stack.0, slot) }.cast::<u8>();
        let capacity = if start.is_null() { 0 } else { stack.len(slot) };
        stack.push_nil();
        stack.replace(upvalue);
        Buffer {
            stack,
            slot,
            start: NonNull::new(start).unwrap_or(NonNull::dangling()),
            len: 0,
            capacity,
        }
    }

    /// Keeps the buffer's memory in `upvalue` for the next call, if it is not too much.
    #[inline]
    pub(super) fn keep(self, upvalue: c_int) {
        if (1..=KEPT_MAX).contains(&self.capacity) {
            self.stack.push_copy(self.slot);
            self.stack.replace(ffi::lua_upvalueindex(upvalue));
        }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are written, in a userdata that stays at `slot` as long as this one does.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes back what was put behind the first `len` bytes.
    #[inline]
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    #[inline]
    pub(super) fn put(&mut self, byte: u8) {
        self.reserve(1);
        // SAFETY: `reserve` made room for the byte.
        unsafe { self.start.add(self.len).write(byte) };
        self.len += 1;
    }

    #[inline]
    pub(super) fn put_all(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        // SAFETY: `reserve` made room for the bytes, in memory that is this buffer's alone.
        unsafe {
            let end = self.start.add(self.len);
            ptr::copy_nonoverlapping(bytes.as_ptr(), end.as_ptr(), bytes.len());
        }
        self.len += bytes.len();
    }

    /// Puts the first `len` bytes of a word, the lowest first.
    #[inline]
    pub(super) fn put_word(&mut self, word: u64, len: usize) {
        debug_assert!(len <= size_of::<u64>());
        self.reserve(size_of::<u64>());
        // SAFETY: `reserve` made room for the whole word. What is behind `len` is not counted.
        unsafe {
            let end = self.start.add(self.len).cast::<[u8; 8]>();
            end.write_unaligned(word.to_le_bytes());
        }
        self.len += len.min(size_of::<u64>());
    }

    /// Puts what `fill` puts into a run of at most `room` bytes, and returns what it returns.
    #[inline]
    pub(super) fn run<T>(&mut self, room: usize, fill: impl FnOnce(&mut Run) -> T) -> T {
        self.reserve(room);
        // SAFETY: `reserve` made room for so many bytes, all in one userdata.
        let mut run = unsafe {
            let start = self.start.add(self.len);
            Run {
                end: start,
                limit: start.add(room),
                bytes: PhantomData,
            }
        };
        let result = fill(&mut run);
        // SAFETY: the end of a run lies between where it began, in the buffer's memory, and its limit there.
        self.len = unsafe { run.end.offset_from_unsigned(self.start) };
        result
    }

    #[inline]
    fn reserve(&mut self, additional: usize) {
        if self.capacity - self.len < additional {
            self.grow(additional);
        }
    }

    /// Moves to a userdata at least twice the size. Needs room for one value on the stack.
    #[cold]
    fn grow(&mut self, additional: usize) {
        let needed = self.len.saturating_add(additional);
        if needed > LEN_MAX {
            self.stack.fail(format_args!("result too large"));
        }
        let capacity = needed.max(self.capacity * 2).max(CAPACITY_MIN);
        // SAFETY: rule 1, and the caller has room for a value. The old userdata is at `slot` until `replace`,
        // so both are valid for the copy, and then the buffer's memory is the new one, which is there.
        unsafe {
            let start = ffi::lua_newuserdata(self.stack.0, capacity).cast::<u8>();
            ptr::copy_nonoverlapping(self.start.as_ptr(), start, self.len);
            self.stack.replace(self.slot);
            self.start = NonNull::new(start).expect("Lua raises an error if it has no memory");
        }
        self.capacity = capacity;
    }
}

/// Bytes at the end of a buffer that get there faster than one by one: there is room for them.
pub(super) struct Run<'buffer> {
    /// All before is written.
    end: NonNull<u8>,
    limit: NonNull<u8>,
    bytes: PhantomData<&'buffer mut u8>,
}

impl Run<'_> {
    #[inline]
    pub(super) fn put(&mut self, byte: u8) {
        assert!(self.end < self.limit, "a run keeps to its room");
        // SAFETY: there is room for a byte, and the end is at most the limit then.
        unsafe {
            self.end.write(byte);
            self.end = self.end.add(1);
        }
    }

    /// Puts the first `len` bytes of a word, fewer than all, the lowest first, and another one behind them. There must
    /// be room for all of the word.
    #[inline]
    pub(super) fn put_word_and(&mut self, word: u64, len: usize, byte: u8) {
        // SAFETY: the end is at most the limit, in the same userdata.
        let room = unsafe { self.limit.offset_from_unsigned(self.end) };
        assert!(len < 8 && 8 <= room, "a run keeps to its room");
        // SAFETY: there is room for eight bytes, and the one behind `len` is among them.
        unsafe {
            self.end
                .cast::<[u8; 8]>()
                .write_unaligned(word.to_le_bytes());
            self.end.add(len).write(byte);
            self.end = self.end.add(len + 1);
        }
    }

    /// Puts the first `len` bytes of a word, the lowest first. There must be room for all of it.
    #[inline]
    pub(super) fn put_word(&mut self, word: u64, len: usize) {
        // SAFETY: the end is at most the limit, in the same userdata.
        let room = unsafe { self.limit.offset_from_unsigned(self.end) };
        assert!(len <= 8 && 8 <= room, "a run keeps to its room");
        // SAFETY: there is room for eight bytes, and `len` is no more.
        unsafe {
            self.end
                .cast::<[u8; 8]>()
                .write_unaligned(word.to_le_bytes());
            self.end = self.end.add(len);
        }
    }
}

/// The containers that a call is in the middle of, outermost first: one for each slot at most.
pub(super) struct Levels<T> {
    levels: [MaybeUninit<T>; SLOTS_MAX],
    /// So many are written.
    len: usize,
}

impl<T: Copy> Levels<T> {
    #[inline]
    pub(super) fn new() -> Levels<T> {
        Levels {
            levels: [const { MaybeUninit::uninit() }; SLOTS_MAX],
            len: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Enters a container, of which there are fewer than `SLOTS_MAX`.
    #[inline]
    pub(super) fn push(&mut self, level: T) {
        self.levels[self.len].write(level);
        self.len += 1;
    }

    /// Leaves the innermost container.
    #[inline]
    pub(super) fn pop(&mut self) {
        self.len -= 1;
    }

    /// The innermost container.
    #[inline]
    pub(super) fn last(&mut self) -> Option<&mut T> {
        let level = self.levels[..self.len].last_mut()?;
        // SAFETY: the first `len` are written.
        Some(unsafe { level.assume_init_mut() })
    }
}
