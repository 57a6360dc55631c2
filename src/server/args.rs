//! The command line. A few options of our own are clap's; everything from the first argument that is none of them is
//! Redis's: a configuration file, `-` for standard input, and directives as `--name value ...`, which become lines to
//! be read after both. What a line means is the configuration's business.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::server::check_aof;
use crate::server::state::VERSION;
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Run, or only check what would be run with.
    Run(Start),
    /// Check this snapshot, report what is in it, and exit.
    CheckRdb(PathBuf),
    /// Check an append-only file.
    CheckAof(check_aof::Request),
    /// Print this to standard output and exit with 0.
    Inform(String),
    /// Print this to standard error and exit with 1.
    Refuse(String),
}

/// Where the configuration comes from. The file is read first, then standard input, then the directives; what is
/// said last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The configuration file; relative to the working directory unless absolute.
    pub config_file: Option<PathBuf>,
    /// Whether standard input holds configuration.
    pub config_from_stdin: bool,
    /// Lines in the configuration file's language.
    pub directives: Vec<Vec<u8>>,
    /// Whether to check the configuration and exit instead of running.
    pub check_only: bool,
}

/// The commit this was built from, if the build was told.
pub const GIT_SHA: &str = match option_env!("CINNABAR_GIT_SHA") {
    Some(sha) => sha,
    None => "00000000",
};

/// Whether the build had changes beyond that commit: `0` or `1`.
pub const GIT_DIRTY: &str = match option_env!("CINNABAR_GIT_DIRTY") {
    Some(dirty) => dirty,
    None => "0",
};

/// The allocator and its version, as INFO and `--version` name it.
pub const ALLOCATOR: &str = "jemalloc-5.3.1";

/// What tells builds apart: a hash (FNV-1a) of the version and the commit.
pub const BUILD_ID: u64 = {
    let parts = [env!("CARGO_PKG_VERSION"), GIT_SHA, GIT_DIRTY];
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    let mut part = 0;
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01B3);
            at += 1;
        }
        part += 1;
    }
    hash
};

/// The line that `--version` prints, in the form that tools take apart. What is called `redis-server` says what
/// INFO does, since tools decide by it what they can do.
pub fn version_line(is_called_redis: bool) -> String {
    let (name, version) = if is_called_redis {
        ("Redis", VERSION)
    } else {
        ("Cinnabar", env!("CARGO_PKG_VERSION"))
    };
    format!(
        "{name} server v={version} sha={GIT_SHA}:{GIT_DIRTY} malloc={ALLOCATOR} bits={} build={BUILD_ID:016x}",
        usize::BITS
    )
}

/// Reads a command line, the program's name included.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Invocation {
    let args: Vec<OsString> = args.into_iter().collect();
    if asks_for_sentinel(&args) {
        return refuse("Sentinel mode is not supported");
    }
    if let Some(invocation) = as_check_rdb(&args).or_else(|| as_check_aof(&args)) {
        return invocation;
    }
    let name = args.first().and_then(|name| Path::new(name).file_name());
    let is_called_redis = name.is_some_and(|name| name.as_bytes().ends_with(b"redis-server"));
    match command().try_get_matches_from(args) {
        Ok(matches) => invocation(matches, is_called_redis),
        Err(error) => Invocation::Refuse(error.to_string()),
    }
}

/// What is asked for if the program is called `redis-check-rdb`, by a link of that name.
fn as_check_rdb(args: &[OsString]) -> Option<Invocation> {
    let name = Path::new(args.first()?).file_name()?;
    if !name.as_bytes().ends_with(CHECK_RDB.as_bytes()) {
        return None;
    }
    let name = name.to_string_lossy();
    Some(match args {
        [_, option] if option == "-v" || option == "--version" => {
            Invocation::Inform(format!("{name} {}", env!("CARGO_PKG_VERSION")))
        }
        [_, file] => Invocation::CheckRdb(file.into()),
        _ => Invocation::Refuse(format!("Usage: {name} <rdb-file-name>\n")),
    })
}

/// What is asked for if the program is called `redis-check-aof`, by a link of that name, or with `--check-aof`
/// before all else.
fn as_check_aof(args: &[OsString]) -> Option<Invocation> {
    let name = Path::new(args.first()?).file_name()?;
    let is_named = name.as_bytes().ends_with(CHECK_AOF.as_bytes());
    let is_option =
        |arg: &OsString| arg.as_bytes().strip_prefix(b"--") == Some(CHECK_AOF.as_bytes());
    let (args, name) = match args.get(1) {
        _ if is_named => (args, name.to_string_lossy()),
        Some(first) if is_option(first) => (&args[1..], "cinnabar --check-aof".into()),
        _ => return None,
    };
    let request = |path: &OsString, fix, truncate_to| {
        Invocation::CheckAof(check_aof::Request {
            path: path.into(),
            fix,
            truncate_to,
        })
    };
    Some(match args {
        [_, option] if option == "-v" || option == "--version" => {
            Invocation::Inform(format!("{name} {}", env!("CARGO_PKG_VERSION")))
        }
        [_, file] => request(file, false, None),
        [_, option, file] if option == "--fix" => request(file, true, None),
        [_, option, time, file] if option == "--truncate-to-timestamp" => {
            match time.to_str().and_then(|time| time.parse().ok()) {
                Some(seconds) => request(file, false, Some(seconds)),
                None => Invocation::Refuse("Invalid timestamp, aborting...\n".into()),
            }
        }
        _ => Invocation::Refuse(format!(
            "Usage: {name} [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>\n"
        )),
    })
}

const REST: &str = "rest";
const CHECK_AOF: &str = "check-aof";
const CHECK_RDB: &str = "check-rdb";

fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    Command::new("cinnabar")
        .about("A Redis-compatible in-memory data-structure server")
        .override_usage("cinnabar [OPTION] [CONFIG | -] [--directive value...]...")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(flag("check-config", "Check the configuration, name every fault in it, and exit"))
        .arg(
            Arg::new(CHECK_RDB)
                .long(CHECK_RDB)
                .value_name("FILE")
                .value_parser(ValueParser::path_buf())
                .help("Check a snapshot, tell what is in it, and exit"),
        )
        .arg(
            Arg::new(CHECK_AOF)
                .long(CHECK_AOF)
                .value_name("[--fix] [--truncate-to-timestamp SECONDS] FILE")
                .help("Check an append-only file, or the manifest of one, mend its end if told to, and exit"),
        )
        .arg(flag("version", "Print the version and exit").short('v'))
        .arg(flag("help", "Print this help and exit").short('h'))
        .arg(flag("test-memory", "").hide(true))
        .arg(flag("check-system", "").hide(true))
        .arg(
            Arg::new(REST)
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(ValueParser::os_string())
                .hide(true),
        )
        .after_help(
            "CONFIG is a file in the language of redis.conf; - reads it from standard input. Without one, the\n\
             defaults hold. Every directive of that language can be given as an option, and then counts more\n\
             than the file:\n\n  \
             cinnabar\n  \
             cinnabar /etc/redis/redis.conf\n  \
             cinnabar --port 7777 --appendonly yes\n  \
             cinnabar redis.conf --appendonly yes --port 7000\n  \
             echo 'maxmemory 128mb' | cinnabar -\n  \
             cinnabar --check-config redis.conf",
        )
}

fn invocation(mut matches: ArgMatches, is_called_redis: bool) -> Invocation {
    if matches.get_flag("version") {
        return Invocation::Inform(version_line(is_called_redis));
    }
    if matches.get_flag("help") {
        return Invocation::Inform(command().render_help().to_string());
    }
    if matches.get_flag("test-memory") {
        return refuse("Testing memory is not supported; tools such as memtester do it better");
    }
    if let Some(path) = matches.remove_one::<PathBuf>(CHECK_RDB) {
        return Invocation::CheckRdb(path);
    }
    if matches.get_flag("check-system") {
        return refuse(
            "Checking the system is not supported; the log names what is wrong at start",
        );
    }
    let rest: Vec<OsString> = matches.remove_many(REST).unwrap_or_default().collect();
    let mut start = gather(&rest);
    start.check_only |= matches.get_flag("check-config");
    Invocation::Run(start)
}

fn refuse(reason: &str) -> Invocation {
    Invocation::Refuse(format!("{reason}.\n"))
}

/// Redis turns into a sentinel by its own name or by an argument anywhere.
fn asks_for_sentinel(args: &[OsString]) -> bool {
    let named = args.first().is_some_and(|name| {
        name.as_bytes()
            .windows(b"redis-sentinel".len())
            .any(|part| part == b"redis-sentinel")
    });
    named || args.iter().skip(1).any(|arg| arg == "--sentinel")
}

/// Redis's rules for what is an option and what is a value:
///
/// - the first argument is the configuration file unless it begins with `-`;
/// - `-` is standard input if it comes first or last, and a value elsewhere;
/// - what begins with `--` is a directive's name if the directive before it has a value. So a value may begin with
///   `--` where one is due, and `--name value` may be one argument;
/// - `--save` may lack its value: that means the empty one.
fn gather(args: &[OsString]) -> Start {
    let mut start = Start::default();
    // Whether the directive at hand could do without another value.
    let mut complete = true;
    let last = args.len().wrapping_sub(1);
    for (at, arg) in args.iter().map(|arg| arg.as_bytes()).enumerate() {
        if at == 0 && !arg.starts_with(b"-") {
            start.config_file = Some(PathBuf::from(OsStr::from_bytes(arg)));
        } else if arg == b"-" && (at == 0 || at == last) {
            start.config_from_stdin = true;
        } else if complete && arg == b"--check-config" {
            start.check_only = true;
        } else if complete && arg.starts_with(b"--") {
            let mut line = arg[2..].to_vec();
            complete = has_value(arg);
            if !complete && arg.eq_ignore_ascii_case(b"--save") {
                let next = args.get(at + 1).map(|next| next.as_bytes());
                if next.is_none_or(|next| next.starts_with(b"--")) {
                    line.extend_from_slice(b" \"\"");
                    complete = true;
                }
            }
            start.directives.push(line);
        } else {
            // Values without a name make a line as well: `redis.conf port 7777` is understood.
            if start.directives.is_empty() {
                start.directives.push(Vec::new());
            }
            let line = start.directives.last_mut().expect("there is a line");
            if !line.is_empty() {
                line.push(b' ');
            }
            push_quoted(line, arg);
            complete = true;
        }
    }
    start
}

/// Whether an argument that names a directive brings its value along.
fn has_value(arg: &[u8]) -> bool {
    arg.trim_ascii().iter().any(u8::is_ascii_whitespace)
}

/// Writes a value as a quoted string of the configuration's language, whatever bytes it has.
fn push_quoted(line: &mut Vec<u8>, value: &[u8]) {
    line.push(b'"');
    for &byte in value {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            b' '..=b'~' => line.push(byte),
            _ => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn parse_words(words: &[&str]) -> Invocation {
        parse(["cinnabar"].iter().chain(words).map(OsString::from))
    }

    /// The command line means to run with this file, standard input or not, and these lines.
    fn check(words: &[&str], file: Option<&str>, stdin: bool, lines: &[&str]) {
        let expected = Start {
            config_file: file.map(PathBuf::from),
            config_from_stdin: stdin,
            directives: lines.iter().map(|line| line.as_bytes().to_vec()).collect(),
            check_only: false,
        };
        assert_eq!(parse_words(words), Invocation::Run(expected), "{words:?}");
    }

    // Each of these was tried with redis-server 7.0.15, which shows the line it made when a directive is wrong.
    #[test]
    fn directives_follow_the_file_and_standard_input() {
        check(&[], None, false, &[]);
        check(&["redis.conf"], Some("redis.conf"), false, &[]);
        check(&["-"], None, true, &[]);
        check(&["-", "-"], None, true, &[]);
        check(&["redis.conf", "-"], Some("redis.conf"), true, &[]);
        check(
            &["redis.conf", "--port", "1"],
            Some("redis.conf"),
            false,
            &["port \"1\""],
        );
        check(
            &["--port", "7000", "--save", ""],
            None,
            false,
            &["port \"7000\"", "save \"\""],
        );
        check(&["-", "--port", "7000"], None, true, &["port \"7000\""]);
        check(&["--port", "7000", "-"], None, true, &["port \"7000\""]);
        check(
            &["--port", "7000", "-", "--a", "b"],
            None,
            false,
            &["port \"7000\" \"-\"", "a \"b\""],
        );
    }

    #[test]
    fn directives_take_any_number_of_values() {
        check(
            &["--replicaof", "127.0.0.1", "6379", "--save", "900", "1"],
            None,
            false,
            &["replicaof \"127.0.0.1\" \"6379\"", "save \"900\" \"1\""],
        );
        check(
            &["--port 7000", "--save 1 2"],
            None,
            false,
            &["port 7000", "save 1 2"],
        );
        check(&["--port ", "7000"], None, false, &["port  \"7000\""]);
        check(
            &["--save 1 2", "3", "4"],
            None,
            false,
            &["save 1 2 \"3\" \"4\""],
        );
        check(
            &["redis.conf", "port", "7000"],
            Some("redis.conf"),
            false,
            &["\"port\" \"7000\""],
        );
        check(&["-p", "7000"], None, false, &["\"-p\" \"7000\""]);
        check(&["--port"], None, false, &["port"]);
    }

    #[test]
    fn a_value_that_is_due_may_look_like_an_option() {
        check(
            &["--requirepass", "--secret", "--port", "1"],
            None,
            false,
            &["requirepass \"--secret\"", "port \"1\""],
        );
        check(
            &["--requirepass", "--version"],
            None,
            false,
            &["requirepass \"--version\""],
        );
        check(
            &["--requirepass", "--check-config"],
            None,
            false,
            &["requirepass \"--check-config\""],
        );
        check(
            &["--requirepass", "--"],
            None,
            false,
            &["requirepass \"--\""],
        );
        check(&["--port", "1", "-v"], None, false, &["port \"1\" \"-v\""]);
        check(
            &["--port", "1", "--version"],
            None,
            false,
            &["port \"1\"", "version"],
        );
        check(
            &["redis.conf", "--help"],
            Some("redis.conf"),
            false,
            &["help"],
        );
    }

    #[test]
    fn save_may_lack_its_value() {
        check(&["--save"], None, false, &["save \"\""]);
        check(
            &["--SAVE", "--port", "1"],
            None,
            false,
            &["SAVE \"\"", "port \"1\""],
        );
        check(
            &["--save", "", "--port", "1"],
            None,
            false,
            &["save \"\"", "port \"1\""],
        );
        check(&["--save", "1", "2"], None, false, &["save \"1\" \"2\""]);
    }

    #[test]
    fn values_are_quoted_whatever_they_hold() {
        check(
            &["--a", "b c\"\\\n\r\t'é"],
            None,
            false,
            &["a \"b c\\\"\\\\\\n\\r\\t'\\xc3\\xa9\""],
        );
        let args = [b"cinnabar".to_vec(), b"--a".to_vec(), vec![0xFF, 0x7F]];
        let Invocation::Run(start) = parse(args.map(OsString::from_vec)) else {
            panic!()
        };
        assert_eq!(start.directives, [b"a \"\\xff\\x7f\""]);
    }

    #[test]
    fn checking_can_be_asked_for_before_and_after() {
        for words in [
            &["--check-config", "redis.conf", "--port", "1"][..],
            &["redis.conf", "--port", "1", "--check-config"],
            &["redis.conf", "--check-config", "--port", "1"],
        ] {
            let Invocation::Run(start) = parse_words(words) else {
                panic!("{words:?}")
            };
            assert!(start.check_only, "{words:?}");
            assert_eq!(start.config_file, Some("redis.conf".into()), "{words:?}");
            assert_eq!(start.directives, [b"port \"1\""], "{words:?}");
        }
    }

    fn check_answer(words: &[&str], refused: bool, expected_part: &str) {
        let text = match parse_words(words) {
            Invocation::Inform(text) if !refused => text,
            Invocation::Refuse(text) if refused => text,
            other => panic!("{words:?}: {other:?}"),
        };
        assert!(text.contains(expected_part), "{words:?}: {text}");
    }

    #[test]
    fn questions_are_answered_and_what_we_cannot_do_is_said() {
        for version in ["-v", "--version"] {
            check_answer(&[version], false, "Cinnabar server v=0.");
            check_answer(&[version, "--port", "1"], false, " sha=");
        }
        for help in ["-h", "--help"] {
            check_answer(&[help, "more"], false, "--check-config");
        }
        check_answer(&["--test-memory"], true, "not supported");
        check_answer(&["--test-memory", "4096"], true, "not supported");
        check_answer(&["--check-system"], true, "not supported");
        check_answer(&["redis.conf", "--sentinel"], true, "Sentinel");
        let by_name = parse(["/usr/bin/redis-sentinel", "x.conf"].map(OsString::from));
        assert!(matches!(by_name, Invocation::Refuse(_)));
    }

    #[test]
    fn the_version_line_has_the_parts_that_tools_look_for() {
        let line = version_line(true);
        assert!(line.starts_with("Redis server v=7.4.0 sha="), "{line}");
        let line = version_line(false);
        let parts: Vec<&str> = line.split(' ').collect();
        assert_eq!(parts[..2], ["Cinnabar", "server"]);
        let names = parts[2..]
            .iter()
            .map(|part| part.split_once('=').unwrap().0);
        assert!(names.eq(["v", "sha", "malloc", "bits", "build"]), "{line}");
        assert_eq!(
            command()
                .render_help()
                .to_string()
                .matches("\n  cinnabar")
                .count(),
            5
        );
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }
}
