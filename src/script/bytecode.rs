//! What a compiled chunk may do, read from its byte code as `lua_dump` writes it (Lua 5.1, 64 bits, little-endian).
//!
//! ```text
//! header    12 bytes
//! function  source  lines (2 ints)  upvalues, parameters, varargs, stack (4 bytes)
//!           code (count, 4 bytes each)  constants (count, each a type and a value)
//!           functions in it (count, each the same)  lines (count, 4 bytes each)
//!           locals (count, each a name and 2 ints)  upvalues (count, a name each)
//! string    a length of 8 bytes, and as many bytes
//! ```

const HEADER_BYTES: usize = 12;
/// The instruction that sets a global.
const SET_GLOBAL: u8 = 7;
const OPCODE_MASK: u8 = 0x3f;

/// Whether a chunk, or a function in it, sets globals. A dump that is not understood might.
pub fn sets_globals(dump: &[u8]) -> bool {
    let mut reader = Reader(dump.get(HEADER_BYTES..).unwrap_or_default());
    match reader.function() {
        Some(sets) => sets || !reader.0.is_empty(),
        None => true,
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads a function; says whether it sets globals.
    fn function(&mut self) -> Option<bool> {
        self.string()?;
        self.bytes(2 * 4 + 4)?;
        let code = self.count()?;
        let code = self.bytes(4 * code)?;
        let mut sets = code
            .chunks_exact(4)
            .any(|word| word[0] & OPCODE_MASK == SET_GLOBAL);
        for _ in 0..self.count()? {
            self.constant()?;
        }
        for _ in 0..self.count()? {
            sets |= self.function()?;
        }
        let lines = self.count()?;
        self.bytes(4 * lines)?;
        for _ in 0..self.count()? {
            self.string()?;
            self.bytes(2 * 4)?;
        }
        for _ in 0..self.count()? {
            self.string()?;
        }
        Some(sets)
    }

    fn constant(&mut self) -> Option<()> {
        const NIL: u8 = 0;
        const BOOLEAN: u8 = 1;
        const NUMBER: u8 = 3;
        const STRING: u8 = 4;
        match self.bytes(1)?[0] {
            NIL => Some(()),
            BOOLEAN => self.bytes(1).map(|_| ()),
            NUMBER => self.bytes(8).map(|_| ()),
            STRING => self.string(),
            _ => None,
        }
    }

    fn string(&mut self) -> Option<()> {
        let len = u64::from_le_bytes(*self.bytes(8)?.first_chunk()?);
        self.bytes(usize::try_from(len).ok()?).map(|_| ())
    }

    fn count(&mut self) -> Option<usize> {
        let count = i32::from_le_bytes(*self.bytes(4)?.first_chunk()?);
        usize::try_from(count).ok()
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sets_globals_is_told_from_what_does_not() {
        let lua = mlua::Lua::new();
        let check = |source: &str, expected: bool| {
            let dump = lua.load(source).into_function().unwrap().dump(false);
            assert_eq!(sets_globals(&dump), expected, "{source}");
            // Whatever is not understood might set some.
            assert!(sets_globals(&dump[..dump.len() - 1]));
            assert!(sets_globals(&[&dump[..], b"x"].concat()));
        };
        check("return 1", false);
        check("return redis.call('GET', KEYS[1])", false);
        check(
            "local a = {} a.x = 1 a[1], a[2] = nil, true return a",
            false,
        );
        check(
            "local f = function(...) return x, ... end return f('text', 1.5)",
            false,
        );
        check("x = 1", true);
        check("if false then x = 1 end", true);
        check("local f = function() return function() x = 1 end end", true);
        check("function f() end", true);
        check("local function f() end", false);
        assert!(sets_globals(b""));
    }
}
