//! `cmsgpack`: MessagePack for scripts, as the lua-cmsgpack 0.4.0 that Redis bundles has it.

mod pack;
mod unpack;

use super::stack::Stack;

/// Pushes the library's table.
pub(super) fn open(stack: Stack) {
    stack.push_table(0);
    stack.push_nil();
    stack.set_function(c"pack", pack::pack, 1);
    stack.set_function(c"unpack", unpack::unpack, 0);
    stack.set_function(c"unpack_one", unpack::unpack_one, 0);
    stack.set_function(c"unpack_limit", unpack::unpack_limit, 0);
    for (name, text) in [
        (c"_NAME", "cmsgpack"),
        (c"_VERSION", "lua-cmsgpack 0.4.0"),
        (c"_COPYRIGHT", "Copyright (C) 2012, Redis Ltd."),
        (c"_DESCRIPTION", "MessagePack C implementation for Lua"),
    ] {
        stack.push_text(text.as_bytes());
        stack.set_field(name);
    }
}
