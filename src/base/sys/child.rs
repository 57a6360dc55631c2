//! For tests of what happens to a whole process: the test program starts itself again to run one of its tests, which
//! finds in the environment what it is to do.

#![allow(unsafe_code)]

use std::process::{Command, Output};

use super::exit_at_once;

const VARIABLE: &str = "CINNABAR_TEST_CHILD";

/// What this process was started to do; `None` in the process that the person running the tests started.
pub fn scenario() -> Option<String> {
    std::env::var(VARIABLE).ok()
}

/// Runs the test of that path as a process of its own, on its main thread, to do `scenario`.
pub fn run(test: &str, scenario: &str) -> Output {
    let output = Command::new(std::env::current_exe().expect("a running program has a file"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(VARIABLE, scenario)
        .output()
        .expect("the test program can be started again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("running 1 test"),
        "there is no test {test}: {text}"
    );
    output
}

/// Does something in a process that has a single thread, which a test itself never has. Meant for a process that was
/// started by `run`. The process ends with code 0 if `what` returns.
pub fn alone(what: impl FnOnce()) {
    // SAFETY: the only other thread waits for this test to end and holds no lock that the child could need.
    match unsafe { libc::fork() } {
        -1 => panic!("the system cannot fork"),
        0 => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(what));
            exit_at_once(if outcome.is_ok() { 0 } else { 101 });
        }
        pid => {
            let mut status = 0;
            // SAFETY: `status` is there to be written to.
            unsafe { libc::waitpid(pid, &mut status, 0) };
            assert_eq!(status, 0, "the process of its own failed");
        }
    }
}
