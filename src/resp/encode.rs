//! Commands as requests of the protocol: arrays of bulk strings.

/// Appends a command to `out`.
pub fn command<'a>(out: &mut Vec<u8>, argv: impl ExactSizeIterator<Item = &'a [u8]>) {
    header(out, b'*', argv.len());
    for argument in argv {
        bulk(out, argument);
    }
}

/// Appends one argument.
#[inline]
pub fn bulk(out: &mut Vec<u8>, argument: &[u8]) {
    out.reserve(argument.len() + 16);
    header(out, b'$', argument.len());
    out.extend_from_slice(argument);
    out.extend_from_slice(b"\r\n");
}

/// Appends the line of a count (`*`) or a length (`$`).
#[inline]
pub fn header(out: &mut Vec<u8>, marker: u8, n: usize) {
    if n < 10 {
        out.extend_from_slice(&[marker, b'0' + n as u8, b'\r', b'\n']);
    } else {
        out.push(marker);
        out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        let mut out = Vec::new();
        let long = [b'x'; 10];
        command(&mut out, [&b"SET"[..], b"", &long].into_iter());
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$10\r\nxxxxxxxxxx\r\n");
    }
}
