//! What kinds of parameters there are: how each reads its arguments, reports its value and writes it to a file.
//!
//! The error texts are Redis's, since clients and scripts look for them.

use std::borrow::Cow;

use super::quote::quote;
use super::types::{Settings, Text};
use crate::base::num;

/// Why a value is refused, in Redis's words.
pub type Refusal = Cow<'static, str>;

/// Where a value comes from, which some parameters care about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The table's default.
    Default,
    /// A configuration file or the command line.
    Load,
    /// CONFIG SET.
    Set,
}

/// What the server has to do for a changed value to take effect.
#[allow(missing_docs, reason = "each is named for what it brings up to date")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apply {
    /// Nothing: the value is read where it is used.
    None,
    AofGarbage,
    Appendfsync,
    Appendonly,
    Bind,
    ClientEviction,
    Cluster,
    CrashLog,
    Defrag,
    Dir,
    Events,
    Hz,
    JemallocThread,
    LocaleCollate,
    LogFormat,
    LogLevel,
    Maxclients,
    Maxmemory,
    MinReplicas,
    OomScore,
    Port,
    ProcTitle,
    ReplBacklog,
    RequirePass,
    SlowlogLength,
    Tls,
    TlsPort,
    Watchdog,
}

/// A parameter of the configuration.
pub struct Param {
    /// The name that files are written with.
    pub name: &'static str,
    /// Other names that it is set and reported by.
    pub aliases: &'static [&'static str],
    /// The default, as one would write it in a file.
    pub default: &'static str,
    /// What a change of it entails.
    pub apply: Apply,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) check: Option<Check>,
}

/// A condition on the text of a value beyond its kind's.
pub(super) type Check = fn(&[u8], Mode) -> Result<(), &'static str>;

/// What speaks against a combination of bits.
pub(super) type Conflict = fn(u32) -> Option<&'static str>;

/// CONFIG SET refuses it.
pub(super) const IMMUTABLE: u8 = 1 << 0;
/// Reported only by its full name.
pub(super) const HIDDEN: u8 = 1 << 1;
/// CONFIG SET needs `enable-protected-configs`.
pub(super) const PROTECTED: u8 = 1 << 2;
/// Its value must not appear in logs.
pub(super) const SENSITIVE: u8 = 1 << 3;
/// CONFIG SET refuses it while a data set is loaded.
pub(super) const DENY_LOADING: u8 = 1 << 4;
/// Applied even if set to the value it has, since what the value names may have changed.
pub(super) const VOLATILE: u8 = 1 << 5;

/// A field of [`Settings`], to read and to write.
#[derive(Clone, Copy)]
pub(super) struct Place<T: 'static> {
    pub(super) get: fn(&Settings) -> &T,
    pub(super) get_mut: fn(&mut Settings) -> &mut T,
}

/// A field that converts to and from `V`: any width of number, or the index of an enum's name.
#[derive(Clone, Copy)]
pub(super) struct Converted<V> {
    pub(super) get: fn(&Settings) -> V,
    pub(super) set: fn(&mut Settings, V),
}

/// How a number is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Plain,
    Memory,
    Octal,
    /// A percentage is held as a negative number.
    MemoryOrPercent,
}

type SetFromArgs = fn(&mut Settings, &[&[u8]], Mode) -> Result<(), Refusal>;

/// How a parameter that fits no other kind works.
pub(super) struct Special {
    /// Takes several arguments.
    pub(super) multi: bool,
    pub(super) set: SetFromArgs,
    pub(super) get: fn(&Settings) -> Vec<u8>,
    /// The arguments of each line that a file needs for this value and not for the default one.
    pub(super) lines: fn(&Settings, default: &Settings) -> Vec<Vec<u8>>,
}

pub(super) enum Kind {
    Bool(Place<bool>),
    Number {
        at: Converted<i128>,
        unit: Unit,
        min: i128,
        max: i128,
    },
    Text {
        at: Place<Text>,
        unset_if_empty: bool,
    },
    Choice {
        at: Converted<usize>,
        names: &'static [&'static str],
    },
    /// Bits by name, any number of them that go together.
    Bits {
        at: Place<u32>,
        names: &'static [(&'static str, u32)],
        conflict: Conflict,
    },
    /// Addresses to listen on.
    Addresses(Place<Vec<String>>),
    Special(&'static Special),
}

/// Redis's limit on the addresses to listen on.
const ADDRESSES_MAX: usize = 16;

impl Param {
    /// Whether CONFIG SET refuses it.
    pub fn is_immutable(&self) -> bool {
        self.flags & IMMUTABLE != 0
    }

    /// Whether its value must be kept out of logs.
    pub fn is_sensitive(&self) -> bool {
        self.flags & SENSITIVE != 0
    }

    /// Whether its value is a list of arguments.
    pub fn is_multi(&self) -> bool {
        match &self.kind {
            Kind::Bits { .. } | Kind::Addresses(_) => true,
            Kind::Special(special) => special.multi,
            Kind::Bool(_) | Kind::Number { .. } | Kind::Text { .. } | Kind::Choice { .. } => false,
        }
    }

    /// The value as CONFIG GET reports it.
    pub fn get(&self, settings: &Settings) -> Vec<u8> {
        match &self.kind {
            Kind::Bool(at) => yes_no(*(at.get)(settings)).into(),
            Kind::Number { at, unit, .. } => number_text((at.get)(settings), *unit).into(),
            Kind::Text { at, .. } => (at.get)(settings).to_vec(),
            Kind::Choice { at, names } => names[(at.get)(settings)].into(),
            Kind::Bits { at, names, .. } => bits_text(*(at.get)(settings), names).into(),
            Kind::Addresses(at) => (at.get)(settings).join(" ").into(),
            Kind::Special(special) => (special.get)(settings),
        }
    }

    /// Sets the value from its arguments, or leaves it as it is and says why.
    pub fn set(&self, settings: &mut Settings, args: &[&[u8]], mode: Mode) -> Result<(), Refusal> {
        if !self.is_multi() && args.len() != 1 {
            return Err("wrong number of arguments".into());
        }
        if let Some(check) = self.check {
            check(args.first().copied().unwrap_or_default(), mode)?;
        }
        match &self.kind {
            Kind::Bool(at) => *(at.get_mut)(settings) = parse_bool(args[0])?,
            Kind::Number { at, unit, min, max } => {
                (at.set)(settings, parse_number(args[0], *unit, *min, *max)?);
            }
            Kind::Text { at, .. } => *(at.get_mut)(settings) = Text::from(args[0]),
            Kind::Choice { at, names } => (at.set)(settings, parse_choice(args[0], names)?),
            Kind::Bits {
                at,
                names,
                conflict,
            } => {
                let bits = parse_bits(args, names)?;
                match conflict(bits) {
                    Some(refusal) => return Err(refusal.into()),
                    None => *(at.get_mut)(settings) = bits,
                }
            }
            Kind::Addresses(at) => *(at.get_mut)(settings) = parse_addresses(args)?,
            Kind::Special(special) => (special.set)(settings, args, mode)?,
        }
        Ok(())
    }

    /// Sets the value from one text, as CONFIG SET gives it: a list is separated by single spaces.
    pub fn set_text(
        &self,
        settings: &mut Settings,
        value: &[u8],
        mode: Mode,
    ) -> Result<(), Refusal> {
        if !self.is_multi() {
            return self.set(settings, &[value], mode);
        }
        let args: Vec<&[u8]> = match value {
            [] => Vec::new(),
            _ => value.split(|byte| *byte == b' ').collect(),
        };
        self.set(settings, &args, mode)
    }

    /// The lines that give a file this value, each without the name. None if leaving it out does.
    pub(super) fn lines(&self, settings: &Settings, default: &Settings) -> Vec<Vec<u8>> {
        match &self.kind {
            Kind::Text { at, unset_if_empty } => match (at.get)(settings) {
                text if text.is_empty() && *unset_if_empty => Vec::new(),
                text => vec![quote(text)],
            },
            Kind::Number {
                at,
                unit: Unit::Memory | Unit::MemoryOrPercent,
                ..
            } => {
                vec![memory_line((at.get)(settings)).into()]
            }
            Kind::Addresses(at) => addresses_lines((at.get)(settings), (at.get)(default)),
            Kind::Special(special) => (special.lines)(settings, default),
            Kind::Bool(_) | Kind::Number { .. } | Kind::Choice { .. } | Kind::Bits { .. } => {
                vec![self.get(settings)]
            }
        }
    }
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn parse_bool(text: &[u8]) -> Result<bool, Refusal> {
    if text.eq_ignore_ascii_case(b"yes") {
        Ok(true)
    } else if text.eq_ignore_ascii_case(b"no") {
        Ok(false)
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

fn number_text(value: i128, unit: Unit) -> String {
    match unit {
        Unit::Octal => format!("{value:o}"),
        Unit::MemoryOrPercent if value < 0 => format!("{}%", -value),
        Unit::Plain | Unit::Memory | Unit::MemoryOrPercent => value.to_string(),
    }
}

/// A size with the largest unit that it is a multiple of.
pub(super) fn memory_line(bytes: i128) -> String {
    let divisible = |shift: u32| bytes != 0 && bytes % (1 << shift) == 0;
    match bytes {
        percent if percent < 0 => number_text(percent, Unit::MemoryOrPercent),
        _ if divisible(30) => format!("{}gb", bytes >> 30),
        _ if divisible(20) => format!("{}mb", bytes >> 20),
        _ if divisible(10) => format!("{}kb", bytes >> 10),
        _ => bytes.to_string(),
    }
}

fn parse_number(text: &[u8], unit: Unit, min: i128, max: i128) -> Result<i128, Refusal> {
    let value = match unit {
        Unit::Plain => parse_plain(text).ok_or("argument couldn't be parsed into an integer")?,
        Unit::Memory => parse_bytes(text).ok_or("argument must be a memory value")?,
        Unit::Octal => parse_octal(text).ok_or("argument couldn't be parsed as an octal number")?,
        Unit::MemoryOrPercent => parse_bytes(text)
            .or_else(|| parse_percent(text))
            .ok_or("argument must be a memory or percent value")?,
    };
    if unit == Unit::MemoryOrPercent && value < min {
        return Err(format!("percentage argument must be less or equal to {}", -min).into());
    }
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    let refusal = match unit {
        Unit::Octal => format!("argument must be between {min:o} and {max:o} inclusive"),
        _ => format!("argument must be between {min} and {max} inclusive"),
    };
    Err(refusal.into())
}

fn parse_plain(text: &[u8]) -> Option<i128> {
    num::parse_i64(text).map(i128::from)
}

fn parse_bytes(text: &[u8]) -> Option<i128> {
    num::parse_memory(text).map(i128::from)
}

fn parse_octal(text: &[u8]) -> Option<i128> {
    let text = std::str::from_utf8(text).ok()?;
    i64::from_str_radix(text, 8).ok().map(i128::from)
}

fn parse_percent(text: &[u8]) -> Option<i128> {
    let percent = num::parse_u64(text.strip_suffix(b"%")?)?;
    Some(-i128::from(percent))
}

fn parse_choice(text: &[u8], names: &[&str]) -> Result<usize, Refusal> {
    let found = names
        .iter()
        .position(|name| name.as_bytes().eq_ignore_ascii_case(text));
    found.ok_or_else(|| not_one_of(names.iter().copied()))
}

fn parse_bits(args: &[&[u8]], names: &[(&str, u32)]) -> Result<u32, Refusal> {
    let refusal = || not_one_of(names.iter().map(|(name, _)| *name));
    if args.is_empty() {
        return Err(refusal());
    }
    args.iter().try_fold(0, |bits, arg| {
        let found = names
            .iter()
            .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(arg));
        Ok(bits | found.ok_or_else(refusal)?.1)
    })
}

fn bits_text(bits: u32, names: &[(&str, u32)]) -> String {
    if let Some((name, _)) = names.iter().find(|(_, bit)| *bit == bits) {
        return (*name).to_owned();
    }
    let set: Vec<&str> = names
        .iter()
        .filter(|(_, bit)| bits & bit != 0)
        .map(|(name, _)| *name)
        .collect();
    set.join(" ")
}

fn not_one_of<'a>(names: impl Iterator<Item = &'a str>) -> Refusal {
    let names: Vec<&str> = names.collect();
    format!(
        "argument(s) must be one of the following: {}",
        names.join(", ")
    )
    .into()
}

fn parse_addresses(args: &[&[u8]]) -> Result<Vec<String>, Refusal> {
    if args.len() > ADDRESSES_MAX {
        return Err("Too many bind addresses specified.".into());
    }
    if let [b""] = args {
        return Ok(Vec::new());
    }
    args.iter()
        .map(|arg| match std::str::from_utf8(arg) {
            Ok(address) => Ok(address.to_owned()),
            Err(_) => Err("addresses must be text".into()),
        })
        .collect()
}

fn addresses_lines(addresses: &[String], default: &[String]) -> Vec<Vec<u8>> {
    if addresses == default {
        return Vec::new();
    }
    let quoted = |address: &String| match address.is_empty() {
        false
            if address
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"\"'\\".contains(&b)) =>
        {
            address.clone().into_bytes()
        }
        _ => quote(address.as_bytes()),
    };
    if addresses.is_empty() {
        return vec![b"\"\"".to_vec()];
    }
    vec![addresses.iter().map(quoted).collect::<Vec<_>>().join(&b' ')]
}

#[cfg(test)]
mod tests;
