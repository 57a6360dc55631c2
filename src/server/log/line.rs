//! What a line of the log looks like, in each of its forms.
//!
//! A line is a head, the message, and the event's fields. What ends the message and the line is kept apart from what
//! begins them, so that a line that had to be cut can still be ended.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};

use super::{LogLevel, Role, role};
use crate::base::clock::{self, CivilTime};
use crate::server::config::{LogFormat, LogTimestamp};

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The form of the whole.
    pub format: LogFormat,
    /// The form of the time; in JSON it is always that of RFC 3339.
    pub timestamp: LogTimestamp,
}

impl Form {
    /// What stands between the message and the fields.
    pub(super) fn message_end(self) -> &'static str {
        match self.format {
            LogFormat::Text => "",
            LogFormat::Json | LogFormat::Logfmt => "\"",
        }
    }

    /// What stands behind the fields, but for the end of the line.
    pub(super) fn line_end(self) -> &'static str {
        match self.format {
            LogFormat::Text | LogFormat::Logfmt => "",
            LogFormat::Json => "}",
        }
    }
}

/// What stands before every message.
pub(super) struct Head {
    pub(super) pid: u32,
    pub(super) role: Role,
    pub(super) unix_ms: i64,
    pub(super) zone_offset_seconds: i32,
    pub(super) level: LogLevel,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl Head {
    pub(super) fn now(level: LogLevel) -> Head {
        Head {
            pid: std::process::id(),
            role: role(),
            unix_ms: clock::unix_ms(),
            zone_offset_seconds: clock::zone_offset_seconds(),
            level,
        }
    }

    pub(super) fn time(&self) -> CivilTime {
        CivilTime::new(self.unix_ms, self.zone_offset_seconds)
    }

    pub(super) fn month(&self) -> &'static str {
        MONTHS[usize::from(self.time().month) - 1]
    }

    /// The head and the message, up to the message's end. Names of fields must not be those of the head.
    pub(super) fn write(
        &self,
        out: &mut impl fmt::Write,
        form: Form,
        message: impl fmt::Display,
    ) -> fmt::Result {
        match form.format {
            LogFormat::Text => self.write_text(out, form.timestamp)?,
            LogFormat::Json => self.write_json(out)?,
            LogFormat::Logfmt => self.write_logfmt(out, form.timestamp)?,
        }
        let format = form.format;
        write!(Escaped { out, format }, "{message}")
    }

    /// How long the head of a line of text is, which the system's log does without.
    pub(super) fn text_len(&self, timestamp: LogTimestamp) -> usize {
        let mut length = Counter(0);
        self.write_text(&mut length, timestamp)
            .expect("counting cannot fail");
        length.0
    }

    fn write_text(&self, out: &mut impl fmt::Write, timestamp: LogTimestamp) -> fmt::Result {
        write!(out, "{}:{} ", self.pid, char::from(self.role as u8))?;
        self.write_time(out, timestamp)?;
        write!(out, " {} ", self.level.mark())
    }

    fn write_json(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str("{\"time\":\"")?;
        let utc = if self.zone_offset_seconds.abs() < 60 {
            "Z"
        } else {
            ""
        };
        self.write_iso_time(out, utc)?;
        let (level, role, pid) = (self.level.name(), self.role.name(), self.pid);
        write!(
            out,
            "\",\"level\":\"{level}\",\"role\":\"{role}\",\"pid\":{pid},\"message\":\""
        )
    }

    /// The names of roles and levels are Valkey's.
    fn write_logfmt(&self, out: &mut impl fmt::Write, timestamp: LogTimestamp) -> fmt::Result {
        let role = match self.role {
            Role::Master => "primary",
            Role::Replica | Role::Sentinel => self.role.name(),
            Role::Child => "RDB/AOF",
        };
        write!(out, "pid={} role={role} timestamp=\"", self.pid)?;
        self.write_time(out, timestamp)?;
        let level = match self.level {
            LogLevel::Verbose => "info",
            level => level.name(),
        };
        write!(out, "\" level={level} message=\"")
    }

    fn write_time(&self, out: &mut impl fmt::Write, timestamp: LogTimestamp) -> fmt::Result {
        match timestamp {
            LogTimestamp::Iso8601 => self.write_iso_time(out, ""),
            LogTimestamp::Milliseconds => write!(out, "{}", self.unix_ms),
            LogTimestamp::Legacy => {
                let CivilTime {
                    year,
                    day,
                    hour,
                    minute,
                    second,
                    millisecond,
                    ..
                } = self.time();
                let month = self.month();
                write!(
                    out,
                    "{day:02} {month} {year} {hour:02}:{minute:02}:{second:02}.{millisecond:03}"
                )
            }
        }
    }

    /// The local time with its distance from UTC, or with `utc` in place of that unless it is empty.
    fn write_iso_time(&self, out: &mut impl fmt::Write, utc: &str) -> fmt::Result {
        let CivilTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
            millisecond,
        } = self.time();
        write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}{utc}"
        )?;
        if !utc.is_empty() {
            return Ok(());
        }
        let sign = if self.zone_offset_seconds < 0 {
            '-'
        } else {
            '+'
        };
        let minutes = self.zone_offset_seconds.unsigned_abs() / 60;
        write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
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
pub(super) struct ShortLine {
    bytes: [u8; 1024],
    len: usize,
}

impl ShortLine {
    /// What the end of a line takes, in any form.
    const END_BYTES: usize = 3;

    /// A line with this message, cut where it is too long.
    pub(super) fn new(head: &Head, form: Form, message: fmt::Arguments<'_>) -> ShortLine {
        let mut line = ShortLine {
            bytes: [0; 1024],
            len: 0,
        };
        let _ = head.write(&mut line, form, message);
        for end in [form.message_end(), form.line_end(), "\n"] {
            line.bytes[line.len..line.len + end.len()].copy_from_slice(end.as_bytes());
            line.len += end.len();
        }
        line
    }

    pub(super) fn bytes(&self) -> &[u8] {
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

/// What an event says, gathered field by field in the form it will be written in; the message as it is.
pub(super) struct Said {
    format: LogFormat,
    pub(super) message: String,
    pub(super) fields: String,
}

impl Said {
    pub(super) fn new(format: LogFormat) -> Said {
        Said {
            format,
            message: String::new(),
            fields: String::new(),
        }
    }

    /// A field whose text may be anything.
    fn push_text(&mut self, field: &Field, text: &str) {
        if field.name() == "message" {
            self.message.push_str(text);
            return;
        }
        let quote = match self.format {
            LogFormat::Text => "",
            LogFormat::Json | LogFormat::Logfmt => "\"",
        };
        self.push_plain(field, quote);
        let (out, format) = (&mut self.fields, self.format);
        write!(Escaped { out, format }, "{text}").expect("a string takes everything");
        self.fields.push_str(quote);
    }

    /// A field whose text is a number or a truth value, in JSON too.
    fn push_plain(&mut self, field: &Field, value: impl fmt::Display) {
        let name = field.name();
        let written = match self.format {
            LogFormat::Json => write!(self.fields, ",\"{name}\":{value}"),
            LogFormat::Text | LogFormat::Logfmt => write!(self.fields, " {name}={value}"),
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

/// Writes text so that it stays within its line, and within its quotes where it has some.
struct Escaped<'a, W> {
    out: &'a mut W,
    format: LogFormat,
}

impl<W: fmt::Write> fmt::Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match self.format {
                LogFormat::Text => write_escaped(self.out, character)?,
                LogFormat::Json => write_escaped_json(self.out, character)?,
                // Readers of logfmt know no escapes.
                LogFormat::Logfmt => match character {
                    '"' => self.out.write_char('\'')?,
                    '\n' | '\r' => self.out.write_char(' ')?,
                    other => write_escaped(self.out, other)?,
                },
            }
        }
        Ok(())
    }
}

fn write_escaped(out: &mut impl fmt::Write, character: char) -> fmt::Result {
    match character {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_char('\t'),
        control if control.is_control() => write!(out, "\\x{:02x}", u32::from(control)),
        other => out.write_char(other),
    }
}

fn write_escaped_json(out: &mut impl fmt::Write, character: char) -> fmt::Result {
    match character {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        control if control < ' ' => write!(out, "\\u{:04x}", u32::from(control)),
        other => out.write_char(other),
    }
}
