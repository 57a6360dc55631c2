//! Bit fields: integers of any width at any bit of a string.

use super::args::{self, integer, is};
use super::bitmap::{bit_offset, read_string};
use super::string::string_at;
use crate::data::bits::{FieldType, Overflow};
use crate::keyspace::effects::Class;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::DataCx;

const G: Group = Group::Bitmap;

/// The bitmap family's commands on fields.
pub static COMMANDS: &[Command] = &[
    cmd("bitfield", -2, Data(bitfield))
        .group(G)
        .since("3.2.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(RW | UPDATE | ACCESS | VARIABLE_FLAGS).notes("This command allows both access and modification of the key")])
        .doc("Reads, writes and increments integers of any width in a string.", "O(1) for each operation")
        .usage(
            "key [GET encoding offset|[OVERFLOW <WRAP|SAT|FAIL>] <SET encoding offset value|INCRBY encoding offset increment> \
             [GET encoding offset|[OVERFLOW <WRAP|SAT|FAIL>] <SET encoding offset value|INCRBY encoding offset increment> ...]]",
        ),
    cmd("bitfield_ro", -2, Data(bitfield_ro))
        .group(G)
        .since("6.0.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Reads integers of any width in a string.", "O(1) for each operation")
        .usage("key [GET encoding offset [GET encoding offset ...]]"),
];

/// What is done to one field.
struct Step {
    field: FieldType,
    offset: u64,
    action: Action,
}

enum Action {
    Get,
    Set(i64, Overflow),
    Increment(i64, Overflow),
}

impl Step {
    /// The string's length, in bytes, that the step needs; reading needs none.
    fn bytes_needed(&self) -> usize {
        match self.action {
            Action::Get => 0,
            Action::Set(..) | Action::Increment(..) => {
                (self.offset + u64::from(self.field.bits())).div_ceil(8) as usize
            }
        }
    }

    /// Carries the step out. The answer is nothing where the value does not fit and is to fail;
    /// with it comes whether the field changed.
    fn run(&self, bytes: &mut [u8]) -> (Option<i64>, bool) {
        let old = self.field.get(bytes, self.offset);
        let new = match self.action {
            Action::Get => return (Some(old), false),
            Action::Set(value, overflow) => self.field.fit(value, overflow),
            Action::Increment(by, overflow) => self.field.increment(old, by, overflow),
        };
        let Some(new) = new else { return (None, false) };
        self.field.set(bytes, self.offset, new);
        let answer = if let Action::Set(..) = self.action {
            old
        } else {
            new
        };
        (Some(answer), old != new)
    }
}

/// The steps that the arguments after the key say.
fn parse(cx: &DataCx<'_>, argv: Argv<'_>) -> Result<Vec<Step>, ErrorReply> {
    let mut steps = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut i = 2;
    while let Some(name) = argv.get(i) {
        if is(name, "OVERFLOW") {
            overflow = parse_overflow(args::after(argv, i)?)?;
            i += 2;
            continue;
        }
        let length = match () {
            _ if is(name, "GET") => 3,
            _ if is(name, "SET") || is(name, "INCRBY") => 4,
            _ => return Err(error::SYNTAX),
        };
        if argv.len() < i + length {
            return Err(error::SYNTAX);
        }
        let field = FieldType::parse(argv.at(i + 1)).ok_or(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        )?;
        let offset = bit_offset(cx, argv.at(i + 2), Some(field.bits()))?;
        let action = match () {
            _ if is(name, "GET") => Action::Get,
            _ if is(name, "SET") => Action::Set(integer(argv.at(i + 3))?, overflow),
            _ => Action::Increment(integer(argv.at(i + 3))?, overflow),
        };
        steps.push(Step {
            field,
            offset,
            action,
        });
        i += length;
    }
    Ok(steps)
}

fn parse_overflow(name: &[u8]) -> Result<Overflow, ErrorReply> {
    match () {
        _ if is(name, "WRAP") => Ok(Overflow::Wrap),
        _ if is(name, "SAT") => Ok(Overflow::Saturate),
        _ if is(name, "FAIL") => Ok(Overflow::Fail),
        _ => Err("ERR Invalid OVERFLOW type specified".into()),
    }
}

fn bitfield(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let steps = parse(cx, argv)?;
    let len = steps.iter().map(Step::bytes_needed).max().unwrap_or(0);
    if len == 0 {
        return get_all(cx, argv, &steps);
    }
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    let old_len = match place {
        Some(place) => string_at(cx, place)?.len(),
        None => 0,
    };
    let mut results = Vec::new();
    cx.edit_string(key, place, len, |bytes| {
        results.extend(steps.iter().map(|step| step.run(bytes)))
    });
    // A string that has grown was changed by every step that wrote to it.
    let grown = len > old_len;
    let writes = steps
        .iter()
        .zip(&results)
        .filter(|(step, _)| step.bytes_needed() > 0);
    let changes = writes
        .filter(|(_, (answer, changed))| *changed || grown && answer.is_some())
        .count();
    if changes > 0 || grown {
        cx.effects
            .changed(Class::String, "setbit", cx.db_index, key.bytes);
        cx.effects.dirty += changes.saturating_sub(1) as u64;
    }
    cx.reply.array(results.len());
    for (answer, _) in results {
        match answer {
            Some(value) => cx.reply.int(value),
            None => cx.reply.null(),
        }
    }
    Ok(())
}

fn bitfield_ro(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let steps = parse(cx, argv)?;
    if steps.iter().any(|step| !matches!(step.action, Action::Get)) {
        return Err("ERR BITFIELD_RO only supports the GET subcommand".into());
    }
    get_all(cx, argv, &steps)
}

fn get_all(cx: &mut DataCx<'_>, argv: Argv<'_>, steps: &[Step]) -> Outcome {
    let get = |bytes: Option<&[u8]>| -> Vec<i64> {
        let bytes = bytes.unwrap_or_default();
        steps
            .iter()
            .map(|step| step.field.get(bytes, step.offset))
            .collect()
    };
    let values = read_string(cx, cx.key(argv, 1), get)?;
    cx.reply.array(values.len());
    for value in values {
        cx.reply.int(value);
    }
    Ok(())
}
