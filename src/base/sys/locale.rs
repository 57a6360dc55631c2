//! Which locales the system knows.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::ptr;

/// Whether the system has a collation of this name.
pub fn is_locale(name: &[u8]) -> bool {
    let Ok(name) = CString::new(name) else {
        return false;
    };
    // SAFETY: the name is a C string that lives through the call, and no locale is given to be changed, so that a
    // new one is made, which is ours alone and freed once.
    unsafe {
        let locale = libc::newlocale(libc::LC_COLLATE_MASK, name.as_ptr(), ptr::null_mut());
        if locale.is_null() {
            return false;
        }
        libc::freelocale(locale);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_has_the_locale_of_c() {
        assert!(is_locale(b"C") && is_locale(b"POSIX"));
        assert!(!is_locale(b"xx_YY.NONE") && !is_locale(b"C\0"));
    }
}
