//! The command line as lines of configuration: `--port 7000 --save ""` is `port 7000` and `save ""`.
//!
//! The rules are those of Redis 7. An option's first argument is its value even if it begins with `--`, except
//! after `--save`, where a list that came out empty must not swallow the next option. An option and its value may
//! share an argument (`"--port 7000"`). A first argument without a dash is the configuration file, and `-`, first
//! or last, stands for standard input.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::quote::{quote, split_line};

/// What a command line says about the configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// Whether more configuration comes from standard input, to be read after the file.
    pub stdin: bool,
    /// The directives, one a line, to be read last.
    pub lines: Vec<u8>,
}

/// Reads the arguments that follow the program's name.
pub fn lines_from_args<A: AsRef<OsStr>>(args: &[A]) -> CommandLine {
    let args: Vec<&[u8]> = args.iter().map(|a| a.as_ref().as_bytes()).collect();
    let mut command_line = CommandLine::default();
    let mut first = 0;
    if let Some(path) = args.first().filter(|a| !a.starts_with(b"-")) {
        command_line.file = Some(PathBuf::from(OsStr::from_bytes(path)));
        first = 1;
    }
    // False right after an option's bare name, when whatever comes next is its value.
    let mut option_may_start = true;
    for (at, argument) in args.iter().enumerate().skip(first) {
        let next = args.get(at + 1);
        if *argument == b"-" && (at == 0 || next.is_none()) {
            command_line.stdin = true;
        } else if option_may_start && argument.starts_with(b"--") {
            option_may_start = add_option(&mut command_line.lines, argument, next.copied());
        } else {
            command_line.lines.extend_from_slice(&quote(argument));
            command_line.lines.push(b' ');
            option_may_start = true;
        }
    }
    command_line
}

/// Starts a line with an option; returns whether the next argument may be an option too.
fn add_option(lines: &mut Vec<u8>, argument: &[u8], next: Option<&[u8]>) -> bool {
    if !lines.is_empty() {
        lines.push(b'\n');
    }
    lines.extend_from_slice(&argument[2..]);
    lines.push(b' ');
    if split_line(argument).is_none_or(|parts| parts.len() != 1) {
        return true;
    }
    let next_is_option = next.is_some_and(|next| next.starts_with(b"--"));
    if argument.eq_ignore_ascii_case(b"--save") && (next_is_option || next.is_none()) {
        lines.extend_from_slice(b"\"\"");
        return true;
    }
    argument.eq_ignore_ascii_case(b"--sentinel") && next_is_option
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_lines() {
        fn check(args: &[&str], expected: &str) {
            let lines = lines_from_args(args).lines;
            let lines = String::from_utf8(lines).unwrap();
            let trimmed: Vec<&str> = lines.split('\n').map(str::trim_end).collect();
            assert_eq!(trimmed.join("|"), expected, "{args:?}");
        }
        check(&[], "");
        check(&["--port", "7000"], r#"port "7000""#);
        check(
            &["a.conf", "--port", "6379", "6380"],
            r#"port "6379" "6380""#,
        );
        check(
            &["--port", "--loglevel", "verbose"],
            r#"port "--loglevel" "verbose""#,
        );
        check(
            &["--port", "--bla", "--loglevel", "verbose"],
            r#"port "--bla"|loglevel "verbose""#,
        );
        check(&["--port"], "port");
        check(
            &["--port 7000", "--loglevel debug"],
            "port 7000|loglevel debug",
        );
        check(
            &["--save", "--loglevel", "verbose"],
            r#"save ""|loglevel "verbose""#,
        );
        check(
            &["--loglevel", "verbose", "--SAVE"],
            r#"loglevel "verbose"|SAVE """#,
        );
        check(&["--save", "", "--port", "1"], r#"save ""|port "1""#);
        check(&["--save", "900", "1"], r#"save "900" "1""#);
        check(
            &["a.conf", "loglevel", "verbose", "--maxmemory '700mb'"],
            r#""loglevel" "verbose"|maxmemory '700mb'"#,
        );
        check(
            &[
                "--proc-title-template",
                "--save",
                "--save",
                "",
                "--port",
                "1",
            ],
            r#"proc-title-template "--save"|save ""|port "1""#,
        );
        check(&["--dir", "./", "--dir", "./"], r#"dir "./"|dir "./""#);
    }

    #[test]
    fn the_file_and_standard_input() {
        fn check(args: &[&str], file: Option<&str>, stdin: bool) {
            let got = lines_from_args(args);
            assert_eq!(
                (got.file, got.stdin),
                (file.map(PathBuf::from), stdin),
                "{args:?}"
            );
        }
        check(&[], None, false);
        check(&["/etc/redis.conf"], Some("/etc/redis.conf"), false);
        check(&["-"], None, true);
        check(&["-", "--port", "1"], None, true);
        check(&["a.conf", "-"], Some("a.conf"), true);
        check(&["a.conf", "--port", "1", "-"], Some("a.conf"), true);
        // In between it is a value like any other.
        check(
            &["a.conf", "--logfile", "-", "--port", "1"],
            Some("a.conf"),
            false,
        );
        check(&["--port", "1"], None, false);
    }
}
