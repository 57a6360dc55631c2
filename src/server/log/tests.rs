//! Tests of the log: levels, forms, files, emergencies.

use super::*;
use std::fmt::Write as _;
use tracing::{debug, error, info, trace, warn};

const fn form(format: LogFormat) -> Form {
    Form {
        format,
        timestamp: LogTimestamp::Legacy,
    }
}

/// What a logger of these settings appends to its file while `run` runs.
fn logged(level: LogLevel, format: LogFormat, run: impl FnOnce(&'static Logger, &Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.log");
    let file = Some(path.clone());
    let logger = Logger::open(LogSettings {
        level,
        file,
        form: form(format),
        syslog: None,
    })
    .unwrap();
    let logger: &'static Logger = Box::leak(Box::new(logger));
    tracing::subscriber::with_default(registry().with(LogLayer { logger }), || {
        run(logger, &path);
    });
    fs::read_to_string(&path).unwrap()
}

/// The lines without what differs from run to run, the pid and the time, whose form is checked.
fn without_time(log: &str) -> Vec<String> {
    let shape = |text: &str| -> String {
        let class = |character: char| match character {
            '0'..='9' => '0',
            'A'..='Z' => 'A',
            'a'..='z' => 'a',
            other => other,
        };
        text.chars().map(class).collect()
    };
    let strip = |line: &str| {
        let rest = line
            .strip_prefix(&std::process::id().to_string())
            .expect("the pid");
        let (role, rest) = rest.split_at(2);
        let (time, rest) = rest.split_at(" 07 Mar 2026 14:03:09.120".len());
        assert_eq!(shape(time), " 00 Aaa 0000 00:00:00.000");
        format!("{role}{rest}")
    };
    log.lines().map(strip).collect()
}

fn log_each_level() {
    trace!("t");
    debug!("d");
    info!("i");
    warn!("w");
    error!("e");
}

fn check_level(level: LogLevel, expected: &[&str]) {
    let log = logged(level, LogFormat::Text, |_, _| log_each_level());
    assert_eq!(without_time(&log), expected);
}

#[test]
fn each_level_includes_those_after_it() {
    check_level(
        LogLevel::Debug,
        &[":M . t", ":M - d", ":M * i", ":M # w", ":M # e"],
    );
    check_level(LogLevel::Verbose, &[":M - d", ":M * i", ":M # w", ":M # e"]);
    check_level(LogLevel::Notice, &[":M * i", ":M # w", ":M # e"]);
    check_level(LogLevel::Warning, &[":M # w", ":M # e"]);
    check_level(LogLevel::Nothing, &[]);
}

#[test]
fn the_level_changes_while_the_server_runs() {
    let log = logged(LogLevel::Warning, LogFormat::Text, |logger, _| {
        for level in [LogLevel::Warning, LogLevel::Debug, LogLevel::Nothing] {
            logger.level.store(level as u8, Ordering::Relaxed);
            tracing::callsite::rebuild_interest_cache();
            log_each_level();
        }
    });
    let expected = [
        ":M # w", ":M # e", ":M . t", ":M - d", ":M * i", ":M # w", ":M # e",
    ];
    assert_eq!(without_time(&log), expected);
}

#[test]
fn fields_follow_the_message_and_nothing_spans_lines() {
    let log = logged(LogLevel::Notice, LogFormat::Text, |_, _| {
        info!(count = 3, name = "a b", "keys: {}", "x\ny");
        info!("\x1b[31m\r\u{85}é");
    });
    let expected = [
        ":M * keys: x\\ny count=3 name=a b",
        ":M * \\x1b[31m\\r\\x85é",
    ];
    assert_eq!(without_time(&log), expected);
}

#[test]
fn json_lines_are_objects() {
    let log = logged(LogLevel::Notice, LogFormat::Json, |logger, _| {
        warn!(
            count = -3,
            ratio = 0.5,
            odd = f64::NAN,
            on = true,
            name = "q\"\n",
            "he\\said"
        );
        logger.write_block("one\n\ntwo\n");
    });
    let pid = std::process::id();
    let cut = |line: &str| {
        let (time, rest) = line.split_at(line.find(",\"level\"").unwrap());
        assert!(
            time.starts_with("{\"time\":\"20") && time.ends_with('"'),
            "{time}"
        );
        assert_eq!(time.as_bytes()["{\"time\":\"2026-03-07".len()], b'T');
        rest.to_string()
    };
    let lines: Vec<String> = log.lines().map(cut).collect();
    let head = format!(",\"level\":\"warning\",\"role\":\"master\",\"pid\":{pid},\"message\":");
    let expected = [
        r#""he\\said","count":-3,"ratio":0.5,"odd":"NaN","on":true,"name":"q\"\n"}"#,
        r#""one"}"#,
        r#""two"}"#,
    ];
    assert_eq!(lines, expected.map(|rest| format!("{head}{rest}")));
}

#[test]
fn a_log_that_was_renamed_is_begun_anew() {
    let log = logged(LogLevel::Notice, LogFormat::Text, |_, path| {
        info!("first");
        fs::rename(path, path.with_extension("old")).unwrap();
        info!("second");
        let old = fs::read_to_string(path.with_extension("old")).unwrap();
        assert_eq!(without_time(&old), [":M * first"]);
    });
    assert_eq!(without_time(&log), [":M * second"]);
}

#[test]
fn a_lock_that_is_never_released_does_not_stop_the_log() {
    let log = logged(LogLevel::Notice, LogFormat::Text, |logger, _| {
        let _held = logger.file.lock().unwrap();
        info!("still here");
    });
    assert_eq!(without_time(&log), [":M * still here"]);
}

#[test]
fn emergencies_are_cut_to_one_line_of_bounded_length() {
    let line = |message: &str, format| {
        let head = Head::now(LogLevel::Warning);
        let line = ShortLine::new(&head, form(format), format_args!("{message}"));
        String::from_utf8(line.bytes().to_vec()).unwrap()
    };
    let long = "lång".repeat(1000);
    let check = |format, end: &str| {
        assert!(line("short", format).ends_with(&format!("short{end}")));
        for room in 0..8 {
            let long = line(&format!("{}{long}", &"shifted!"[..room]), format);
            assert!(long.ends_with(end), "{long}");
            assert!(long.len() > 1000 && long.len() <= 1024);
        }
        for length in 850..1024 {
            let full = line(&"}".repeat(length), format);
            assert!(full.ends_with(&format!("}}{end}")), "{full}");
        }
    };
    check(LogFormat::Text, "\n");
    check(LogFormat::Json, "\"}\n");
    check(LogFormat::Logfmt, "\"\n");
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error() {
    let file = Some(PathBuf::from("/nonexistent/folder/log"));
    let settings = LogSettings {
        level: LogLevel::Notice,
        file,
        form: form(LogFormat::Text),
        syslog: None,
    };
    assert!(Logger::open(settings).is_err());
}

fn check_time(form: Form, unix_ms: i64, zone_offset_seconds: i32, expected: &str) {
    let mut out = String::new();
    let head = Head {
        pid: 1,
        role: Role::Child,
        unix_ms,
        zone_offset_seconds,
        level: LogLevel::Verbose,
    };
    head.write(&mut out, form, "m").unwrap();
    write!(out, "{}{}", form.message_end(), form.line_end()).unwrap();
    assert_eq!(out, expected);
}

#[test]
fn times_in_json_are_rfc_3339() {
    let check = |unix_ms, zone_offset_seconds, expected: &str| {
        let rest = r#""level":"verbose","role":"child","pid":1,"message":"m"}"#;
        let expected = format!("{{\"time\":\"{expected}\",{rest}");
        check_time(
            form(LogFormat::Json),
            unix_ms,
            zone_offset_seconds,
            &expected,
        );
    };
    check(0, 0, "1970-01-01T00:00:00.000Z");
    check(1_700_000_000_007, 5400, "2023-11-14T23:43:20.007+01:30");
    check(1_700_000_000_007, -18_000, "2023-11-14T17:13:20.007-05:00");
}

#[test]
fn times_have_the_form_that_is_asked_for() {
    let check = |timestamp, zone_offset_seconds, expected: &str| {
        let check = |format, expected: String| {
            let form = Form { format, timestamp };
            check_time(form, 1_700_000_000_007, zone_offset_seconds, &expected);
        };
        check(LogFormat::Text, format!("1:C {expected} - m"));
        let logfmt = format!(r#"pid=1 role=RDB/AOF timestamp="{expected}" level=info message="m""#);
        check(LogFormat::Logfmt, logfmt);
    };
    check(LogTimestamp::Legacy, 0, "14 Nov 2023 22:13:20.007");
    check(LogTimestamp::Iso8601, 0, "2023-11-14T22:13:20.007+00:00");
    check(LogTimestamp::Iso8601, 5400, "2023-11-14T23:43:20.007+01:30");
    check(LogTimestamp::Milliseconds, 5400, "1700000000007");
}

#[test]
fn logfmt_lines_are_pairs_and_the_form_changes_while_the_server_runs() {
    let log = logged(LogLevel::Notice, LogFormat::Logfmt, |logger, _| {
        warn!(count = -3, name = "a \"b\"", "say \"x\"\n");
        logger.write_block("one\n\ntwo\n");
        logger.set_form(form(LogFormat::Text));
        logger.write_block("raw\n");
    });
    let pairs = |line: &str| match line.split_once(" level=") {
        Some((_, pairs)) => pairs.to_string(),
        None => line.to_string(),
    };
    let expected = [
        r#"warning message="say 'x' " count=-3 name="a 'b'""#,
        r#"warning message="one""#,
        r#"warning message="two""#,
        "raw",
    ];
    assert_eq!(log.lines().map(pairs).collect::<Vec<_>>(), expected);
}

#[test]
fn syslog_packets_have_the_form_of_rfc_3164() {
    let settings = SyslogSettings {
        ident: "redis".into(),
        facility: 16,
    };
    let syslog = Syslog::open(settings).unwrap();
    let (role, level) = (Role::Master, LogLevel::Warning);
    let head = Head {
        pid: 7,
        role,
        unix_ms: 1_701_500_000_000,
        zone_offset_seconds: 0,
        level,
    };
    assert_eq!(
        syslog.packet(&head, "hello"),
        "<132>Dec  2 06:53:20 redis[7]: hello"
    );
}

#[test]
fn names_are_those_of_the_configuration() {
    for level in LogLevel::ALL {
        assert_eq!(
            LogLevel::from_name(&level.name().to_uppercase()),
            Some(level)
        );
    }
    assert_eq!(LogLevel::from_name("loud"), None);
    assert_eq!(syslog_facility("LOCAL7"), Some(23));
    assert_eq!(syslog_facility("user"), Some(1));
    assert_eq!(syslog_facility("local8"), None);
    assert_eq!(syslog_facility("mail"), None);
}
