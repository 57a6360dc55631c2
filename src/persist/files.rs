//! Files that are replaced as a whole: written beside, brought to the disk, renamed; and what is said of errors.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Takes away what lies behind the first `len` bytes of a file, on the disk too.
pub fn cut_off(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)?;
    file.sync_all()
}

/// Brings the names in a folder to the disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Replaces a file by these bytes, or leaves it as it was: at no moment is there a part of them under
/// that name. `temporary` is the name they have meanwhile, in the same folder.
pub fn replace(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let written = write_new(temporary, bytes).and_then(|()| fs::rename(temporary, path));
    if let Err(e) = written {
        // What is left of it is no use; that it may stay is no reason to hide the first error.
        let _ = fs::remove_file(temporary);
        return Err(e);
    }
    sync_folder(folder_of(path))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// An error of the system in its own words, without the number that the library puts behind them.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((words, _)) => words.to_string(),
        None => text,
    }
}

/// The folder that a file lies in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;
    use std::io;

    #[test]
    fn errors_of_the_system_lose_their_number() {
        let missing = plain(&io::Error::from_raw_os_error(2));
        assert_eq!(missing, "No such file or directory");
        assert_eq!(plain(&io::Error::other("else")), "else");
    }
}
