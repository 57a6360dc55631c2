//! The log: what `tracing` events become. In Redis's form a line reads
//!
//! ```text
//! pid:role dd Mon yyyy HH:MM:SS.mmm level message
//! 4711:M 07 Mar 2026 14:03:09.120 * Ready to accept connections tcp
//! ```
//!
//! with the role M (master), S (replica), C (a child that saves) or X (sentinel), and the level `.` (debug), `-`
//! (verbose), `*` (notice) or `#` (warning). `log-format json` writes one object a line instead.
//!
//! Redis's levels are tracing's: TRACE is debug, DEBUG is verbose, INFO is notice, WARN and ERROR are warning. An
//! event below the level costs one load. A message never spans lines: control characters in it are escaped, since
//! parts of it may come from clients.
//!
//! The file is kept open, so that running out of descriptors does not silence the log, and opened again when its
//! path names another file, so that rotating it by renaming works. A line is written by one call, without buffering.
//! No lock is waited for longer than a moment: a forked child may inherit one that nobody will release.

use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

use crate::base::clock::{self, CivilTime};
use crate::base::sys;

/// How much is logged; each level includes those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum LogLevel {
    /// Everything, for developers.
    Debug,
    /// What is rarely useful.
    Verbose,
    /// What an operator wants to know.
    Notice,
    /// What an operator must know.
    Warning,
    /// No line at all.
    Nothing,
}

impl LogLevel {
    const ALL: [LogLevel; 5] = [
        LogLevel::Debug,
        LogLevel::Verbose,
        LogLevel::Notice,
        LogLevel::Warning,
        LogLevel::Nothing,
    ];

    /// The level of that name, in any case.
    pub fn from_name(name: &str) -> Option<LogLevel> {
        LogLevel::ALL
            .into_iter()
            .find(|level| level.name().eq_ignore_ascii_case(name))
    }

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Debug => "debug",
            LogLevel::Verbose => "verbose",
            LogLevel::Notice => "notice",
            LogLevel::Warning => "warning",
            LogLevel::Nothing => "nothing",
        }
    }

    fn of_event(level: Level) -> LogLevel {
        match level {
            Level::TRACE => LogLevel::Debug,
            Level::DEBUG => LogLevel::Verbose,
            Level::INFO => LogLevel::Notice,
            Level::WARN | Level::ERROR => LogLevel::Warning,
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Debug => LevelFilter::TRACE,
            LogLevel::Verbose => LevelFilter::DEBUG,
            LogLevel::Notice => LevelFilter::INFO,
            LogLevel::Warning => LevelFilter::WARN,
            LogLevel::Nothing => LevelFilter::OFF,
        }
    }

    fn mark(self) -> char {
        match self {
            LogLevel::Debug => '.',
            LogLevel::Verbose => '-',
            LogLevel::Notice => '*',
            LogLevel::Warning | LogLevel::Nothing => '#',
        }
    }

    /// Syslog's number for how grave it is.
    fn syslog_severity(self) -> u8 {
        match self {
            LogLevel::Debug => 7,
            LogLevel::Verbose => 6,
            LogLevel::Notice => 5,
            LogLevel::Warning | LogLevel::Nothing => 4,
        }
    }
}

/// What this process is, as its log lines say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// A server that takes writes.
    Master = b'M',
    /// A server that follows another.
    Replica = b'S',
    /// A forked child that writes a file.
    Child = b'C',
    /// A sentinel.
    Sentinel = b'X',
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Master => "master",
            Role::Replica => "replica",
            Role::Child => "child",
            Role::Sentinel => "sentinel",
        }
    }
}

/// Where the log goes and in which form.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// How much is logged at first.
    pub level: LogLevel,
    /// The file that lines are appended to; standard output if there is none.
    pub file: Option<PathBuf>,
    /// Whether lines are JSON objects.
    pub json: bool,
    /// Whether lines go to the system's log as well.
    pub syslog: Option<SyslogSettings>,
}

/// How we appear in the system's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogSettings {
    /// The name of the program there.
    pub ident: String,
    /// The facility's number: 1 is user, 16 to 23 are local0 to local7.
    pub facility: u8,
}

/// The number of the syslog facility of that name (`user`, `local0` to `local7`).
pub fn syslog_facility(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("local") {
        Some(digit) => digit
            .parse()
            .ok()
            .filter(|digit| *digit <= 7)
            .map(|digit: u8| 16 + digit),
        None => (name == "user").then_some(1),
    }
}

static LOGGER: OnceLock<Logger> = OnceLock::new();
static ROLE: AtomicU8 = AtomicU8::new(Role::Master as u8);

/// Starts the log of this process; fails if the file cannot be opened. To be called once.
pub fn init(settings: LogSettings) -> io::Result<()> {
    clock::refresh_zone();
    let logger = Logger::open(settings)?;
    if LOGGER.set(logger).is_err() {
        return Err(io::Error::other("the log was started before"));
    }
    let logger = LOGGER.get().expect("it was just set");
    tracing::subscriber::set_global_default(registry().with(LogLayer { logger }))
        .map_err(io::Error::other)
}

/// Changes how much is logged.
pub fn set_level(level: LogLevel) {
    if let Some(logger) = LOGGER.get() {
        logger.level.store(level as u8, Ordering::Relaxed);
        // Call sites remember whether anybody wants them.
        tracing::callsite::rebuild_interest_cache();
    }
}

/// How much is logged.
pub fn level() -> LogLevel {
    LOGGER.get().map_or(LogLevel::Notice, Logger::level)
}

/// Says what this process is from now on.
pub fn set_role(role: Role) {
    ROLE.store(role as u8, Ordering::Relaxed);
}

fn role() -> Role {
    match ROLE.load(Ordering::Relaxed) {
        b'S' => Role::Replica,
        b'C' => Role::Child,
        b'X' => Role::Sentinel,
        _ => Role::Master,
    }
}

/// Writes lines as they are, whatever the level: a banner, a crash report. In JSON each becomes a warning.
pub fn write_block(text: &str) {
    match LOGGER.get() {
        Some(logger) => logger.write_block(text),
        None => drop(sys::write_stdout(text.as_bytes())),
    }
}

/// Writes a warning without allocating, for signal handlers; cut if it is long.
pub fn write_emergency(message: fmt::Arguments<'_>) {
    let line = emergency_line(message, LOGGER.get().is_some_and(|logger| logger.json));
    match LOGGER.get() {
        Some(logger) => logger.write(line.bytes()),
        None => drop(sys::write_stdout(line.bytes())),
    }
}

fn emergency_line(message: fmt::Arguments<'_>, json: bool) -> ShortLine {
    let mut line = ShortLine {
        bytes: [0; 1024],
        len: 0,
    };
    let head = Head::now(LogLevel::Warning);
    // What does not fit is cut.
    let _ = if json {
        head.write_json(&mut line, message, "")
    } else {
        head.write_plain(&mut line)
            .and_then(|()| line.write_fmt(message))
    };
    line.finish(json);
    line
}

struct Logger {
    level: AtomicU8,
    json: bool,
    path: Option<PathBuf>,
    /// The file at `path`, if it could be opened.
    file: Mutex<Option<OpenFile>>,
    syslog: Option<Syslog>,
}

impl Logger {
    fn open(settings: LogSettings) -> io::Result<Logger> {
        let file = settings.file.as_deref().map(OpenFile::open).transpose()?;
        let syslog = settings.syslog.map(Syslog::open).transpose()?;
        Ok(Logger {
            level: AtomicU8::new(settings.level as u8),
            json: settings.json,
            path: settings.file,
            file: Mutex::new(file),
            syslog,
        })
    }

    fn level(&self) -> LogLevel {
        LogLevel::ALL[usize::from(self.level.load(Ordering::Relaxed))]
    }

    fn write_event(&self, event: &Event<'_>) {
        let mut said = Said {
            json: self.json,
            message: String::new(),
            fields: String::new(),
        };
        event.record(&mut said);
        let level = LogLevel::of_event(*event.metadata().level());
        self.write_message(level, &said.message, &said.fields);
    }

    /// `fields` is ready to stand behind the message, in this logger's form.
    fn write_message(&self, level: LogLevel, message: &str, fields: &str) {
        let mut line = String::with_capacity(64 + message.len() + fields.len());
        let head = Head::now(level);
        let written = if self.json {
            head.write_json(&mut line, message, fields)
        } else {
            head.write_plain(&mut line).and_then(|()| {
                push_escaped(&mut line, message);
                line.write_str(fields)
            })
        };
        written.expect("a string takes everything");
        if let Some(syslog) = &self.syslog {
            syslog.send(&head, &line[if self.json { 0 } else { head.plain_len() }..]);
        }
        line.push('\n');
        self.write(line.as_bytes());
    }

    fn write_block(&self, text: &str) {
        if !self.json {
            return self.write(text.as_bytes());
        }
        for line in text.lines().filter(|line| !line.is_empty()) {
            self.write_message(LogLevel::Warning, line, "");
        }
    }

    /// A line that cannot be written is lost: there is nobody to tell.
    fn write(&self, bytes: &[u8]) {
        let Some(path) = &self.path else {
            let _ = sys::write_stdout(bytes);
            return;
        };
        match lock_soon(&self.file) {
            Some(mut file) => {
                if !file.as_ref().is_some_and(|file| file.is_at(path)) {
                    // If the path leads nowhere, the old file is better than none.
                    if let Ok(opened) = OpenFile::open(path) {
                        *file = Some(opened);
                    }
                }
                if let Some(open) = file.as_mut() {
                    let _ = open.file.write_all(bytes);
                }
            }
            None => {
                let _ = OpenFile::open(path).and_then(|mut open| open.file.write_all(bytes));
            }
        }
    }
}

/// The lock, unless it stays taken for longer than any writer takes.
fn lock_soon<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    for _ in 0..50 {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
    None
}

struct OpenFile {
    file: File,
    device: u64,
    inode: u64,
}

impl OpenFile {
    fn open(path: &Path) -> io::Result<OpenFile> {
        let file = File::options().append(true).create(true).open(path)?;
        let metadata = file.metadata()?;
        Ok(OpenFile {
            file,
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    /// Whether the path still names this file.
    fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode)
    }
}

/// What stands before every message.
struct Head {
    pid: u32,
    role: Role,
    time: CivilTime,
    zone_offset_seconds: i32,
    level: LogLevel,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl Head {
    fn now(level: LogLevel) -> Head {
        Head {
            pid: std::process::id(),
            role: role(),
            time: CivilTime::now(),
            zone_offset_seconds: clock::zone_offset_seconds(),
            level,
        }
    }

    fn month(&self) -> &'static str {
        MONTHS[usize::from(self.time.month) - 1]
    }

    fn write_plain(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let CivilTime {
            year,
            day,
            hour,
            minute,
            second,
            millisecond,
            ..
        } = self.time;
        let (pid, role, month, mark) = (
            self.pid,
            char::from(self.role as u8),
            self.month(),
            self.level.mark(),
        );
        write!(
            out,
            "{pid}:{role} {day:02} {month} {year} {hour:02}:{minute:02}:{second:02}.{millisecond:03} {mark} "
        )
    }

    fn plain_len(&self) -> usize {
        let mut length = Counter(0);
        self.write_plain(&mut length).expect("counting cannot fail");
        length.0
    }

    /// The whole object. Names of fields must not be those of the head.
    fn write_json(
        &self,
        out: &mut impl fmt::Write,
        message: impl fmt::Display,
        fields: &str,
    ) -> fmt::Result {
        let CivilTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
            millisecond,
        } = self.time;
        write!(
            out,
            "{{\"time\":\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}"
        )?;
        let sign = if self.zone_offset_seconds < 0 {
            '-'
        } else {
            '+'
        };
        let minutes = self.zone_offset_seconds.unsigned_abs() / 60;
        match minutes {
            0 => out.write_char('Z')?,
            _ => write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)?,
        }
        let (level, role, pid) = (self.level.name(), self.role.name(), self.pid);
        write!(
            out,
            "\",\"level\":\"{level}\",\"role\":\"{role}\",\"pid\":{pid},\"message\":"
        )?;
        write_json_string(out, message)?;
        out.write_str(fields)?;
        out.write_char('}')
    }
}

struct Counter(usize);

impl fmt::Write for Counter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// A line on the stack.
struct ShortLine {
    bytes: [u8; 1024],
    len: usize,
}

impl ShortLine {
    /// What the end of a line takes, in JSON too.
    const END_BYTES: usize = 3;

    /// Ends the line, wherever it was cut.
    fn finish(&mut self, json: bool) {
        let cut = json && self.bytes[self.len - 1] != b'}';
        let end: &[u8] = if cut { b"\"}\n" } else { b"\n" };
        self.bytes[self.len..self.len + end.len()].copy_from_slice(end);
        self.len += end.len();
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Write for ShortLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - Self::END_BYTES - self.len;
        // Short pieces are escapes, half of which would spoil what follows.
        let taken = match text.len() {
            0..=8 if text.len() > room => 0,
            _ => text.floor_char_boundary(room),
        };
        self.bytes[self.len..self.len + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.len += taken;
        if taken == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// What an event says, gathered field by field in the form it will be written in.
struct Said {
    json: bool,
    message: String,
    fields: String,
}

impl Said {
    /// A field whose text may be anything.
    fn push_text(&mut self, field: &Field, text: &str) {
        if field.name() == "message" {
            self.message.push_str(text);
            return;
        }
        self.push_name(field);
        if self.json {
            write_json_string(&mut self.fields, text).expect("a string takes everything");
        } else {
            push_escaped(&mut self.fields, text);
        }
    }

    /// A field whose text is a number or a truth value, in JSON too.
    fn push_plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.push_name(field);
        write!(self.fields, "{value}").expect("a string takes everything");
    }

    fn push_name(&mut self, field: &Field) {
        let name = field.name();
        let written = if self.json {
            write!(self.fields, ",\"{name}\":")
        } else {
            write!(self.fields, " {name}=")
        };
        written.expect("a string takes everything");
    }
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.push_plain(field, value);
        } else {
            self.push_text(field, &value.to_string());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push_plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push_plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push_plain(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push_text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push_text(field, &format!("{value:?}"));
    }
}

fn push_escaped(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push('\t'),
            control if control.is_control() => {
                write!(out, "\\x{:02x}", u32::from(control)).expect("a string takes everything");
            }
            other => out.push(other),
        }
    }
}

fn write_json_string(out: &mut impl fmt::Write, text: impl fmt::Display) -> fmt::Result {
    out.write_char('"')?;
    write!(JsonText(out), "{text}")?;
    out.write_char('"')
}

/// Writes text as it stands between the quotes of a JSON string.
struct JsonText<'a, W>(&'a mut W);

impl<W: fmt::Write> fmt::Write for JsonText<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '"' => self.0.write_str("\\\"")?,
                '\\' => self.0.write_str("\\\\")?,
                '\n' => self.0.write_str("\\n")?,
                '\r' => self.0.write_str("\\r")?,
                '\t' => self.0.write_str("\\t")?,
                control if control < ' ' => write!(self.0, "\\u{:04x}", u32::from(control))?,
                other => self.0.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// The system's log, by datagrams to its socket.
struct Syslog {
    socket: UnixDatagram,
    settings: SyslogSettings,
}

impl Syslog {
    fn open(settings: SyslogSettings) -> io::Result<Syslog> {
        let socket = UnixDatagram::unbound()?;
        // A log daemon that hangs must not stop the server.
        socket.set_nonblocking(true)?;
        Ok(Syslog { socket, settings })
    }

    fn send(&self, head: &Head, message: &str) {
        let packet = self.packet(head, message);
        let _ = self.socket.send_to(packet.as_bytes(), "/dev/log");
    }

    /// RFC 3164's form, as local programs send it.
    fn packet(&self, head: &Head, message: &str) -> String {
        let SyslogSettings { ident, facility } = &self.settings;
        let priority = facility * 8 + head.level.syslog_severity();
        let CivilTime {
            day,
            hour,
            minute,
            second,
            ..
        } = head.time;
        let (pid, month) = (head.pid, head.month());
        format!(
            "<{priority}>{month} {day:2} {hour:02}:{minute:02}:{second:02} {ident}[{pid}]: {message}"
        )
    }
}

/// Our place in tracing's chain.
struct LogLayer {
    logger: &'static Logger,
}

impl LogLayer {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.logger.level().filter()
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.logger.level().filter())
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        self.logger.write_event(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{debug, error, info, trace, warn};

    /// What a logger of these settings appends to its file while `run` runs.
    fn logged(level: LogLevel, json: bool, run: impl FnOnce(&'static Logger, &Path)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let file = Some(path.clone());
        let logger = Logger::open(LogSettings {
            level,
            file,
            json,
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
        let log = logged(level, false, |_, _| log_each_level());
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
        let log = logged(LogLevel::Warning, false, |logger, _| {
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
        let log = logged(LogLevel::Notice, false, |_, _| {
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
        let log = logged(LogLevel::Notice, true, |logger, _| {
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
        let log = logged(LogLevel::Notice, false, |_, path| {
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
        let log = logged(LogLevel::Notice, false, |logger, _| {
            let _held = logger.file.lock().unwrap();
            info!("still here");
        });
        assert_eq!(without_time(&log), [":M * still here"]);
    }

    #[test]
    fn emergencies_are_cut_to_one_line_of_bounded_length() {
        let line = |message: &str, json| {
            let line = emergency_line(format_args!("{message}"), json);
            String::from_utf8(line.bytes().to_vec()).unwrap()
        };
        assert!(line("short", false).ends_with(" # short\n"));
        assert!(line("short", true).ends_with(",\"message\":\"short\"}\n"));
        let long = "lång".repeat(1000);
        assert_eq!(line(&long, false).len().div_ceil(4), 1024 / 4);
        assert!(line(&long, false).ends_with('\n'));
        assert!(line(&long, true).ends_with("\"}\n"));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error() {
        let file = Some(PathBuf::from("/nonexistent/folder/log"));
        let settings = LogSettings {
            level: LogLevel::Notice,
            file,
            json: false,
            syslog: None,
        };
        assert!(Logger::open(settings).is_err());
    }

    fn check_json_time(unix_ms: i64, zone_offset_seconds: i32, expected: &str) {
        let mut out = String::new();
        let time = CivilTime::new(unix_ms, zone_offset_seconds);
        let level = LogLevel::Notice;
        let head = Head {
            pid: 1,
            role: Role::Child,
            time,
            zone_offset_seconds,
            level,
        };
        head.write_json(&mut out, "m", "").unwrap();
        let rest = r#""level":"notice","role":"child","pid":1,"message":"m"}"#;
        assert_eq!(out, format!("{{\"time\":\"{expected}\",{rest}"));
    }

    #[test]
    fn times_in_json_are_rfc_3339() {
        check_json_time(0, 0, "1970-01-01T00:00:00.000Z");
        check_json_time(1_700_000_000_007, 5400, "2023-11-14T23:43:20.007+01:30");
        check_json_time(1_700_000_000_007, -18_000, "2023-11-14T17:13:20.007-05:00");
    }

    #[test]
    fn syslog_packets_have_the_form_of_rfc_3164() {
        let settings = SyslogSettings {
            ident: "redis".into(),
            facility: 16,
        };
        let syslog = Syslog::open(settings).unwrap();
        let time = CivilTime::new(1_701_500_000_000, 0);
        let (role, level) = (Role::Master, LogLevel::Warning);
        let head = Head {
            pid: 7,
            role,
            time,
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
}
