//! The file that commands are appended to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open increment, of which nobody else writes.
pub struct Appender {
    /// Shared with the thread that brings it to the disk.
    file: Arc<File>,
    path: PathBuf,
    /// Bytes of whole batches.
    len: u64,
}

/// Why a batch was not written.
#[derive(Debug)]
pub struct AppendError {
    /// What the system said; nothing if it took less than it was given.
    pub cause: Option<io::Error>,
    /// Bytes of the batch that the file holds nevertheless, since they could not be taken back.
    pub left_in_file: usize,
}

impl Appender {
    /// Opens a file to append to, which is created if it is not there.
    pub fn open(path: &Path) -> io::Result<Appender> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Appender::from_file(file, path)
    }

    /// The same for one that is emptied if it is there.
    pub fn create(path: &Path) -> io::Result<Appender> {
        File::create(path)?;
        Appender::open(path)
    }

    fn from_file(file: File, path: &Path) -> io::Result<Appender> {
        let len = file.metadata()?.len();
        Ok(Appender {
            file: Arc::new(file),
            path: path.into(),
            len,
        })
    }

    /// The file, for the thread that brings it to the disk.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that it has another name now.
    pub fn set_path(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Appends a batch as a whole or not at all: what was written of one that did not fit is taken back.
    pub fn append(&mut self, batch: &[u8]) -> Result<(), AppendError> {
        let mut written = 0;
        let cause = loop {
            match (&*self.file).write(&batch[written..]) {
                Ok(0) => break None,
                Ok(n) => written += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Some(e),
            }
            if written == batch.len() {
                self.len += written as u64;
                return Ok(());
            }
        };
        let mut left_in_file = 0;
        if written > 0 && self.file.set_len(self.len).is_err() {
            self.len += written as u64;
            left_in_file = written;
        }
        Err(AppendError {
            cause,
            left_in_file,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Appender;

    #[test]
    fn batches_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("incr");
        Appender::open(&path).unwrap().append(b"one ").unwrap();
        let mut appender = Appender::open(&path).unwrap();
        assert_eq!(appender.len(), 4);
        appender.append(b"two").unwrap();
        assert_eq!(appender.len(), 7);
        assert_eq!(std::fs::read(&path).unwrap(), b"one two");
        assert_eq!(Appender::create(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_full_disk_takes_nothing() {
        let full = std::path::Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let error = Appender::open(full).unwrap().append(b"batch").unwrap_err();
        assert_eq!(error.left_in_file, 0);
        let cause = error.cause.map(|cause| cause.kind());
        assert_eq!(cause, Some(std::io::ErrorKind::StorageFull));
    }
}
