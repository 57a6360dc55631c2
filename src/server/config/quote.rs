//! The quoting of the configuration language: a line to its arguments, and an argument back to text.
//!
//! Arguments are separated by blanks. Between double quotes `\n \r \t \b \a \xHH` are the usual escapes and a
//! backslash takes any other byte as it is; between single quotes only `\'` is an escape. A closing quote ends
//! its argument, so a blank or the end of the line must follow it.

/// Splits a line into its arguments, or `None` if a quote is not closed or text follows a closing one.
pub fn split_line(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = line;
    let mut arguments = Vec::new();
    loop {
        rest = skip_blanks(rest);
        if rest.is_empty() {
            return Some(arguments);
        }
        let (argument, after) = take_argument(rest)?;
        arguments.push(argument);
        rest = after;
    }
}

/// Writes bytes between double quotes, so that [`split_line`] gives them back.
pub fn quote(bytes: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(bytes.len() + 2);
    quoted.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => quoted.extend_from_slice(&[b'\\', byte]),
            b'\n' => quoted.extend_from_slice(b"\\n"),
            b'\r' => quoted.extend_from_slice(b"\\r"),
            b'\t' => quoted.extend_from_slice(b"\\t"),
            0x07 => quoted.extend_from_slice(b"\\a"),
            0x08 => quoted.extend_from_slice(b"\\b"),
            b' '..=b'~' => quoted.push(byte),
            _ => quoted.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    quoted.push(b'"');
    quoted
}

/// The first argument of text that does not begin with a blank, and what follows it.
fn take_argument(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut argument = Vec::new();
    let mut rest = text;
    loop {
        let Some((&byte, tail)) = rest.split_first() else {
            return Some((argument, rest));
        };
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' | 0 => return Some((argument, rest)),
            b'"' | b'\'' => {
                let after = take_quoted(tail, byte, &mut argument)?;
                return match after.first() {
                    Some(next) if !is_blank(*next) => None,
                    _ => Some((argument, after)),
                };
            }
            _ => argument.push(byte),
        }
        rest = tail;
    }
}

/// Appends what stands before the closing quote, and returns what follows that quote.
fn take_quoted<'a>(text: &'a [u8], quote: u8, argument: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut rest = text;
    loop {
        let (byte, consumed) = match *rest {
            [] => return None,
            [byte, ..] if byte == quote => return Some(&rest[1..]),
            [b'\\', b'x', high, low, ..] if quote == b'"' && is_hex(high, low) => {
                (hex_digit(high) << 4 | hex_digit(low), 4)
            }
            [b'\\', escaped, ..] if quote == b'"' => (unescape(escaped), 2),
            [b'\\', b'\'', ..] => (b'\'', 2),
            [byte, ..] => (byte, 1),
        };
        argument.push(byte);
        rest = &rest[consumed..];
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn is_hex(high: u8, low: u8) -> bool {
    high.is_ascii_hexdigit() && low.is_ascii_hexdigit()
}

fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => byte.to_ascii_lowercase() - b'a' + 10,
    }
}

/// What C's `isspace` takes for a blank, and the NUL that ends Redis's lines.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d | 0)
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    &text[blanks..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_split_as_in_redis() {
        fn check(line: &str, expected: Option<&[&str]>) {
            let split = split_line(line.as_bytes());
            let expected = expected.map(|all| {
                all.iter()
                    .map(|a| a.as_bytes().to_vec())
                    .collect::<Vec<_>>()
            });
            assert_eq!(split, expected, "{line:?}");
        }
        check("", Some(&[]));
        check("  \t ", Some(&[]));
        check("port  6379\r", Some(&["port", "6379"]));
        check("save \"\"", Some(&["save", ""]));
        check("save ''", Some(&["save", ""]));
        check(r#"a "b c" d"#, Some(&["a", "b c", "d"]));
        check(
            r#"a "\n\r\t\b\a\x41\q\"" "#,
            Some(&["a", "\n\r\t\u{8}\u{7}Aq\""]),
        );
        check(r#"a "\xZZ""#, Some(&["a", "xZZ"]));
        check(r"a 'it\'s \n'", Some(&["a", r"it's \n"]));
        check(r#"a b"c d""#, Some(&["a", "bc d"]));
        check(r#"a "b"c"#, None);
        check("a 'b'c", None);
        check("a \"b", None);
        check("a 'b", None);
        check(r#"a "b\"#, None);
        check("#x 1", Some(&["#x", "1"]));
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(bytes: Vec<u8>) {
            prop_assert_eq!(split_line(&quote(&bytes)), Some(vec![bytes]));
        }

        #[test]
        fn any_line_is_split_or_refused(line: Vec<u8>) {
            split_line(&line);
        }
    }
}
