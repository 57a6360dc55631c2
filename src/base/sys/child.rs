//! For tests of what happens to a whole process: the test program starts itself again to run one of its tests, which
//! finds in the environment what it is to do.

use std::process::{Command, Output};

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
