//! The first line of a script, in which it may declare its language and flags: `#!lua flags=no-writes`.

use super::{ScriptFlags, UNDECLARED, flag_named};
use crate::resp::error::ErrorReply;

/// What a first line says.
#[derive(Debug, PartialEq, Eq)]
pub struct Shebang<'a> {
    /// The language.
    pub engine: &'a [u8],
    /// The flags; [`UNDECLARED`] if there is no such line.
    pub flags: ScriptFlags,
    /// Its length; the line end, which the interpreter counts, is not part of it.
    pub len: usize,
}

/// Reads the first line of a script.
pub fn parse(source: &[u8]) -> Result<Shebang<'_>, ErrorReply> {
    if !source.starts_with(b"#!") {
        return Ok(Shebang {
            engine: b"lua",
            flags: UNDECLARED,
            len: 0,
        });
    }
    let len = memchr::memchr(b'\n', source).ok_or("ERR Invalid script shebang")?;
    let mut words = source[..len]
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let engine = words.next().ok_or("ERR Invalid engine in script shebang")?;
    let mut flags = 0;
    for word in words {
        let Some(names) = word.strip_prefix(b"flags=") else {
            let text = [b"ERR Unknown lua shebang option: ", word].concat();
            return Err(text.into());
        };
        for name in names.split(|&byte| byte == b',') {
            if names.is_empty() {
                break;
            }
            flags |= flag_named(name).ok_or_else(|| {
                ErrorReply::Bytes([b"ERR Unexpected flag in script shebang: ", name].concat())
            })?;
        }
    }
    Ok(Shebang {
        engine: &engine[2..],
        flags,
        len,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::scripting::{ALLOW_OOM, NO_WRITES};

    #[test]
    fn first_lines() {
        let check = |source: &str, engine: &str, flags| {
            let shebang = parse(source.as_bytes()).unwrap();
            assert_eq!(shebang.engine, engine.as_bytes(), "{source:?}");
            assert_eq!(shebang.flags, flags, "{source:?}");
            assert!(
                source[shebang.len..].is_empty()
                    || shebang.len == 0
                    || source[shebang.len..].starts_with('\n')
            );
        };
        check("return 1", "lua", UNDECLARED);
        check("#!lua\nreturn 1", "lua", 0);
        check("#!lua flags=\nreturn 1", "lua", 0);
        check(
            "#!lua flags=no-writes,allow-oom\n",
            "lua",
            NO_WRITES | ALLOW_OOM,
        );
        check("#!js  flags=no-writes \n", "js", NO_WRITES);
        let fails = |source: &str, text: &str| {
            assert_eq!(parse(source.as_bytes()).unwrap_err().to_string(), text);
        };
        fails("#!lua", "ERR Invalid script shebang");
        fails("#!lua name=x\n", "ERR Unknown lua shebang option: name=x");
        fails(
            "#!lua flags=no\n",
            "ERR Unexpected flag in script shebang: no",
        );
    }
}
