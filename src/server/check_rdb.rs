//! `--check-rdb`: a snapshot's report on standard output, a progress bar on standard error if that is a
//! terminal.

use crate::base::clock;
use crate::persist::rdb::{self, CheckOptions};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

/// Checks a file; says whether it is sound.
pub fn run(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let size = file.metadata().ok().filter(|data| data.is_file());
    let size = size.map(|data| data.len());
    let name = path.to_string_lossy();
    let options = CheckOptions {
        name: &name,
        now_ms: clock::unix_us() / 1000,
        size,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let shown = io::stderr().is_terminal();
    let end = rdb::check(file, options, &mut out, &mut |read| {
        if let (true, Some(size)) = (shown, size) {
            show(read, size);
        }
    })?;
    out.flush()?;
    Ok(end.is_some())
}

/// Draws the bar over itself, and takes it away at the end. That it can't be seen is no fault.
pub(super) fn show(read: u64, size: u64) {
    const WIDTH: u64 = 40;
    let mut err = io::stderr().lock();
    let bar = if read < size {
        let done = WIDTH * read / size.max(1);
        let percent = 100 * read / size.max(1);
        let (full, empty) = (
            "#".repeat(done as usize),
            ".".repeat((WIDTH - done) as usize),
        );
        format!("\r[{full}{empty}] {percent:3} %")
    } else {
        "\r\x1b[K".into()
    };
    let _ = err.write_all(bar.as_bytes());
    let _ = err.flush();
}
