//! Digests of scripts: SHA-1, twenty bytes, or forty hexadecimal digits.

use sha1::{Digest as _, Sha1};

/// The digest of a script.
pub type Sha = [u8; 20];

/// The digest of these bytes.
pub fn digest(bytes: &[u8]) -> Sha {
    Sha1::digest(bytes).into()
}

/// Its digits, in lower case.
pub fn hex(sha: &Sha) -> [u8; 40] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 40];
    for (pair, byte) in text.chunks_exact_mut(2).zip(sha) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// The digest that forty digits of either case say.
pub fn parse(text: &[u8]) -> Option<Sha> {
    if text.len() != 40 {
        return None;
    }
    let mut sha = [0; 20];
    for (byte, pair) in sha.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(sha)
}

#[inline]
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_back() {
        let sha = digest(b"return 1");
        let text = hex(&sha);
        assert_eq!(&text, b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert_eq!(parse(&text), Some(sha));
        assert_eq!(parse(&text.to_ascii_uppercase()), Some(sha));
        assert_eq!(parse(&text[1..]), None);
        assert_eq!(parse(b"x0e1f9fabfc9d4800c877a703b823ac0578ff8db"), None);
    }
}
