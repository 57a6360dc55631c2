//! `--check-aof`: the report on standard output, a progress bar on standard error if that is a terminal, and
//! questions that standard input answers.

use crate::base::clock;
use crate::persist::aof::check::{self, CheckOptions, Surroundings};
use crate::server::check_rdb;
use std::io::{self, BufRead, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// A manifest, or a file of versions before 7.
    pub path: PathBuf,
    /// What is not sound at the end is cut off.
    pub fix: bool,
    /// What came after this time, in seconds of the Unix clock, is cut off.
    pub truncate_to: Option<i64>,
}

/// Checks a file; says whether it is sound, or is so now.
pub fn run(request: &Request) -> io::Result<bool> {
    let options = CheckOptions {
        fix: request.fix,
        truncate_to: request.truncate_to,
        now_ms: clock::unix_us() / 1000,
    };
    let shown = io::stderr().is_terminal();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut around = Surroundings {
        out: &mut out,
        confirm: &mut || {
            let mut answer = String::new();
            // No answer is none.
            let _ = io::stdin().lock().read_line(&mut answer);
            answer.starts_with(['y', 'Y'])
        },
        progress: &mut |read, size| {
            if shown {
                check_rdb::show(read, size);
            }
        },
    };
    let sound = check::check(&request.path, options, &mut around)?;
    out.flush()?;
    Ok(sound)
}
