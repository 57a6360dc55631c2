//! Patterns over file names, for `include`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::base::glob;

/// The files that a path with wildcards names, sorted, or the path itself if it has none.
///
/// A wildcard stands for part of one name, and not for a dot at its beginning. What cannot be listed has no names.
pub(super) fn glob_files(base: &Path, pattern: &[u8]) -> Vec<PathBuf> {
    if !has_wildcard(pattern) {
        return vec![base.join(OsStr::from_bytes(pattern))];
    }
    let start = if pattern.starts_with(b"/") {
        Path::new("/")
    } else {
        base
    };
    let mut found = vec![start.to_owned()];
    for part in pattern
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
    {
        found = found
            .iter()
            .flat_map(|directory| step(directory, part))
            .collect();
    }
    found.retain(|path| path.is_file());
    found.sort();
    found
}

/// The entries of a directory that one part of the pattern names.
fn step(directory: &Path, part: &[u8]) -> Vec<PathBuf> {
    if !has_wildcard(part) {
        return vec![directory.join(OsStr::from_bytes(part))];
    }
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| {
            let name = name.as_bytes();
            name.starts_with(b".") == part.starts_with(b".") && glob::matches(part, name, false)
        })
        .map(|name| directory.join(name))
        .collect()
}

fn has_wildcard(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_part_by_part() {
        let base = tempfile::tempdir().unwrap();
        for name in [
            "b.conf",
            "a.conf",
            ".hidden.conf",
            "x/1.conf",
            "y/2.conf",
            "y/2.txt",
        ] {
            let path = base.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let check = |pattern: &str, expected: &[&str]| {
            let expected: Vec<PathBuf> = expected.iter().map(|e| base.path().join(e)).collect();
            assert_eq!(
                glob_files(base.path(), pattern.as_bytes()),
                expected,
                "{pattern}"
            );
            let absolute = base.path().join(pattern);
            let absolute = absolute.as_os_str().as_bytes();
            assert_eq!(
                glob_files(Path::new("/nowhere"), absolute),
                expected,
                "{pattern}"
            );
        };
        check("*.conf", &["a.conf", "b.conf"]);
        check(".h*", &[".hidden.conf"]);
        check("?/*.conf", &["x/1.conf", "y/2.conf"]);
        check("[xz]/?.conf", &["x/1.conf"]);
        check("*", &["a.conf", "b.conf"]);
        check("nothing*", &[]);
        check("not-there.conf", &["not-there.conf"]);
    }
}
