//! Taking members from an end, at once or as soon as there are some.

use super::{Shown, note_removed};
use crate::commands::args::{integer_in, is, timeout_us};
use crate::keyspace::db::Key;
use crate::keyspace::value::Type;
use crate::keyspace::zset::Zset;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::cx::{DataCx, Place};

/// The end that members are taken from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Lowest,
    Highest,
}

impl End {
    fn event(self) -> &'static str {
        match self {
            End::Lowest => "zpopmin",
            End::Highest => "zpopmax",
        }
    }

    /// The command that takes members from this end of one key.
    fn command(self) -> &'static [u8] {
        match self {
            End::Lowest => b"ZPOPMIN",
            End::Highest => b"ZPOPMAX",
        }
    }
}

/// Takes up to `count` members from an end of the sorted set at a place, which is one; `begin` writes
/// what stands in the reply before them and says how they are shown. Returns how many they were.
fn take(
    cx: &mut DataCx<'_>,
    key: Key<'_>,
    place: Place,
    end: End,
    count: usize,
    begin: impl FnOnce(&mut Reply, usize) -> Shown,
) -> Result<usize, ErrorReply> {
    let (taken, emptied) = cx.edit::<Zset, _>(key, place, |zset, aside| {
        let taken = count.min(zset.as_ref().len());
        let shown = begin(aside.reply, taken);
        zset.pop(taken, end == End::Highest, |member, score| {
            shown.add(aside.reply, member, score);
        });
        taken
    })?;
    note_removed(cx, key.bytes, end.event(), taken, emptied);
    Ok(taken)
}

pub(super) fn zpopmin(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    pop(cx, argv, End::Lowest)
}

pub(super) fn zpopmax(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    pop(cx, argv, End::Highest)
}

fn pop(cx: &mut DataCx<'_>, argv: Argv<'_>, end: End) -> Outcome {
    if argv.len() > 3 {
        return Err(error::SYNTAX);
    }
    let count = match argv.get(2) {
        Some(arg) => Some(integer_in(arg, 0..=i64::MAX, error::MUST_BE_POSITIVE)? as usize),
        None => None,
    };
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    if let Some(place) = place {
        cx.expect_kind(place, Type::Zset)?;
    }
    let place = place.filter(|_| count != Some(0));
    let Some(place) = place else {
        cx.reply.array(0);
        return Ok(());
    };
    take(cx, key, place, end, count.unwrap_or(1), |reply, taken| {
        // Without a count, RESP3 has no array a pair either.
        let shown = if count.is_some() {
            Shown::new(reply, true)
        } else {
            Shown::FLAT
        };
        shown.begin(reply, taken);
        shown
    })?;
    Ok(())
}

/// What ZMPOP and BZMPOP ask for.
struct Task<'a> {
    args: Argv<'a>,
    /// How many of them, from the second one on, are keys.
    keys: usize,
    end: End,
    count: usize,
}

impl<'a> Task<'a> {
    /// Reads `numkeys key [key ...] <MIN|MAX> [COUNT count]`.
    fn parse(args: Argv<'a>) -> Result<Task<'a>, ErrorReply> {
        const NO_KEYS: ErrorReply = ErrorReply::Fixed("ERR numkeys should be greater than 0");
        const NO_COUNT: ErrorReply = ErrorReply::Fixed("ERR count should be greater than 0");
        let keys = integer_in(args.at(0), 1..=i64::MAX, NO_KEYS)?;
        let keys = usize::try_from(keys).unwrap_or(usize::MAX);
        let options = args.tail(keys.saturating_add(1));
        let end = match options.get(0).ok_or(error::SYNTAX)? {
            end if is(end, "MIN") => End::Lowest,
            end if is(end, "MAX") => End::Highest,
            _ => return Err(error::SYNTAX),
        };
        let mut count = 1;
        if let (Some(option), Some(arg)) = (options.get(1), options.get(2))
            && is(option, "COUNT")
        {
            count = integer_in(arg, 1..=i64::MAX, NO_COUNT)? as usize;
            if options.len() > 3 {
                return Err(error::SYNTAX);
            }
        } else if options.len() > 1 {
            return Err(error::SYNTAX);
        }
        Ok(Task {
            args,
            keys,
            end,
            count,
        })
    }

    fn keys(&self) -> impl Iterator<Item = &'a [u8]> {
        self.args.iter().skip(1).take(self.keys)
    }
}

/// The first of several keys that holds a sorted set. Another type before it is an error.
fn first_of<'k>(
    cx: &mut DataCx<'_>,
    keys: impl Iterator<Item = &'k [u8]>,
) -> Result<Option<(Key<'k>, Place)>, ErrorReply> {
    for name in keys {
        let key = cx.keyspace.key(name);
        if let Some(place) = cx.find_write(key) {
            cx.expect_kind(place, Type::Zset)?;
            return Ok(Some((key, place)));
        }
    }
    Ok(None)
}

/// Takes members as ZMPOP does, if there are some.
fn pop_of_many(cx: &mut DataCx<'_>, task: &Task<'_>) -> Result<bool, ErrorReply> {
    let Some((key, place)) = first_of(cx, task.keys())? else {
        return Ok(false);
    };
    let taken = take(cx, key, place, task.end, task.count, |reply, taken| {
        reply.array(2);
        reply.bulk(key.bytes);
        reply.array(taken);
        Shown::IN_PAIRS
    })?;
    let mut digits = itoa::Buffer::new();
    let taken = digits.format(taken).as_bytes();
    cx.effects.rewrite(&[task.end.command(), key.bytes, taken]);
    Ok(true)
}

pub(super) fn zmpop(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let task = Task::parse(argv.tail(1))?;
    if !pop_of_many(cx, &task)? {
        cx.reply.null_array();
    }
    Ok(())
}

pub(super) fn bzmpop(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let task = Task::parse(argv.tail(2))?;
    let timeout_us = timeout_us(argv.at(1), cx.now_ms)?;
    if !pop_of_many(cx, &task)? {
        cx.wait(task.keys(), Type::Zset, timeout_us);
    }
    Ok(())
}

pub(super) fn bzpopmin(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    pop_or_wait(cx, argv, End::Lowest)
}

pub(super) fn bzpopmax(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    pop_or_wait(cx, argv, End::Highest)
}

fn pop_or_wait(cx: &mut DataCx<'_>, argv: Argv<'_>, end: End) -> Outcome {
    let last = argv.len() - 1;
    let timeout_us = timeout_us(argv.at(last), cx.now_ms)?;
    let keys = argv.iter().take(last).skip(1);
    let Some((key, place)) = first_of(cx, keys.clone())? else {
        cx.wait(keys, Type::Zset, timeout_us);
        return Ok(());
    };
    take(cx, key, place, end, 1, |reply, _| {
        reply.array(3);
        reply.bulk(key.bytes);
        Shown::FLAT
    })?;
    cx.effects.rewrite(&[end.command(), key.bytes]);
    Ok(())
}
