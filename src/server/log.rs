//! The log: what `tracing` events become. In Redis's form a line reads
//!
//! ```text
//! pid:role dd Mon yyyy HH:MM:SS.mmm level message
//! 4711:M 07 Mar 2026 14:03:09.120 * Ready to accept connections tcp
//! ```
//!
//! with the role M (master), S (replica), C (a child that saves) or X (sentinel), and the level `.` (debug), `-`
//! (verbose), `*` (notice) or `#` (warning). `log-format json` writes one object a line instead, `logfmt` one of
//! pairs like `level=notice`. Where lines go is here; what they look like is in [`mod@line`].
//!
//! Redis's levels are tracing's: TRACE is debug, DEBUG is verbose, INFO is notice, WARN and ERROR are warning. An
//! event below the level costs one load. A message never spans lines: control characters in it are escaped, since
//! parts of it may come from clients.
//!
//! The file is kept open, so that running out of descriptors does not silence the log, and opened again when its
//! path names another file, so that rotating it by renaming works. A line is written by one call, without buffering.
//! No lock is waited for longer than a moment: a forked child may inherit one that nobody will release.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

pub use self::line::Form;
use self::line::{Head, Said, ShortLine};
use crate::base::clock::{self, CivilTime};
use crate::base::sys;
use crate::server::config::{Choice, LogFormat, LogTimestamp};

mod line;

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
    /// What lines look like at first.
    pub form: Form,
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

/// Changes what lines look like.
pub fn set_form(form: Form) {
    if let Some(logger) = LOGGER.get() {
        logger.set_form(form);
    }
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

/// Writes lines as they are, whatever the level: a banner, a crash report. Where lines have a form for machines each
/// becomes a warning.
pub fn write_block(text: &str) {
    match LOGGER.get() {
        Some(logger) => logger.write_block(text),
        None => drop(sys::write_stdout(text.as_bytes())),
    }
}

/// Writes a warning without allocating, for signal handlers; cut if it is long.
pub fn write_emergency(message: fmt::Arguments<'_>) {
    let form = LOGGER.get().map_or(
        Form {
            format: LogFormat::Text,
            timestamp: LogTimestamp::Legacy,
        },
        Logger::form,
    );
    let line = ShortLine::new(&Head::now(LogLevel::Warning), form, message);
    match LOGGER.get() {
        Some(logger) => logger.write(line.bytes()),
        None => drop(sys::write_stdout(line.bytes())),
    }
}

struct Logger {
    level: AtomicU8,
    /// The places of the form's parts among their kinds' values.
    format: AtomicU8,
    timestamp: AtomicU8,
    path: Option<PathBuf>,
    /// The file at `path`, if it could be opened.
    file: Mutex<Option<OpenFile>>,
    syslog: Option<Syslog>,
}

impl Logger {
    fn open(settings: LogSettings) -> io::Result<Logger> {
        let file = settings.file.as_deref().map(OpenFile::open).transpose()?;
        let syslog = settings.syslog.map(Syslog::open).transpose()?;
        let logger = Logger {
            level: AtomicU8::new(settings.level as u8),
            format: AtomicU8::new(0),
            timestamp: AtomicU8::new(0),
            path: settings.file,
            file: Mutex::new(file),
            syslog,
        };
        logger.set_form(settings.form);
        Ok(logger)
    }

    fn set_form(&self, form: Form) {
        let (format, timestamp) = (form.format.index(), form.timestamp.index());
        self.format.store(format as u8, Ordering::Relaxed);
        self.timestamp.store(timestamp as u8, Ordering::Relaxed);
    }

    fn form(&self) -> Form {
        let index = |place: &AtomicU8| usize::from(place.load(Ordering::Relaxed));
        Form {
            format: LogFormat::VALUES[index(&self.format)],
            timestamp: LogTimestamp::VALUES[index(&self.timestamp)],
        }
    }

    fn level(&self) -> LogLevel {
        LogLevel::ALL[usize::from(self.level.load(Ordering::Relaxed))]
    }

    fn write_event(&self, event: &Event<'_>) {
        let form = self.form();
        let mut said = Said::new(form.format);
        event.record(&mut said);
        let level = LogLevel::of_event(*event.metadata().level());
        self.write_message(level, form, &said.message, &said.fields);
    }

    /// `fields` is ready to stand behind the message, in this form.
    fn write_message(&self, level: LogLevel, form: Form, message: &str, fields: &str) {
        let mut line = String::with_capacity(96 + message.len() + fields.len());
        let head = Head::now(level);
        head.write(&mut line, form, message)
            .expect("a string takes everything");
        line.extend([form.message_end(), fields, form.line_end()]);
        if let Some(syslog) = &self.syslog {
            let from = match form.format {
                LogFormat::Text => head.text_len(form.timestamp),
                LogFormat::Json | LogFormat::Logfmt => 0,
            };
            syslog.send(&head, &line[from..]);
        }
        line.push('\n');
        self.write(line.as_bytes());
    }

    fn write_block(&self, text: &str) {
        let form = self.form();
        if form.format == LogFormat::Text {
            return self.write(text.as_bytes());
        }
        for line in text.lines().filter(|line| !line.is_empty()) {
            self.write_message(LogLevel::Warning, form, line, "");
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
        } = head.time();
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
mod tests;
