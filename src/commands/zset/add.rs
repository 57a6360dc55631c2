//! Giving members scores: ZADD with its conditions, and increments.

use super::{limits, score};
use crate::commands::args::is;
use crate::keyspace::effects::Class;
use crate::keyspace::zset::{Pair, Zset};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::cx::DataCx;

/// The options of ZADD.
#[derive(Clone, Copy, Default)]
pub(in crate::commands) struct AddOptions {
    pub only_new: bool,
    pub only_known: bool,
    only_greater: bool,
    only_less: bool,
    pub count_changed: bool,
    increment: bool,
}

impl AddOptions {
    /// Reads the options, and gives the arguments behind them.
    #[inline]
    fn parse(argv: Argv<'_>) -> Result<(AddOptions, Argv<'_>), ErrorReply> {
        let mut o = AddOptions::default();
        let mut i = 2;
        while let Some(option) = argv.get(i) {
            match option.len() {
                2 if is(option, "NX") => o.only_new = true,
                2 if is(option, "XX") => o.only_known = true,
                2 if is(option, "GT") => o.only_greater = true,
                2 if is(option, "LT") => o.only_less = true,
                2 if is(option, "CH") => o.count_changed = true,
                4 if is(option, "INCR") => o.increment = true,
                _ => break,
            }
            i += 1;
        }
        let pairs = argv.tail(i);
        if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
            return Err(error::SYNTAX);
        }
        if i > 2 {
            o.check(pairs.len() / 2)?;
        }
        Ok((o, pairs))
    }

    fn check(&self, members: usize) -> Outcome {
        if self.only_new && self.only_known {
            return Err("ERR XX and NX options at the same time are not compatible".into());
        }
        let comparing = self.only_greater || self.only_less;
        if comparing && self.only_new || self.only_greater && self.only_less {
            return Err("ERR GT, LT, and/or NX options at the same time are not compatible".into());
        }
        if self.increment && members > 1 {
            return Err("ERR INCR option supports a single increment-element pair".into());
        }
        Ok(())
    }

    /// The score that a member gets, if it gets one; that may be NaN if an increment makes it so.
    #[inline]
    fn decide(&self, old: Option<f64>, given: f64) -> Option<f64> {
        let Some(old) = old else {
            return (!self.only_known).then_some(given);
        };
        let new = if self.increment { old + given } else { given };
        let holds =
            !(self.only_new || self.only_greater && new <= old || self.only_less && new >= old);
        holds.then_some(new)
    }

    /// Whether every member gets the score that is given.
    #[inline]
    fn is_plain(&self) -> bool {
        !(self.only_new || self.only_known || self.only_greater || self.only_less || self.increment)
    }
}

pub(super) fn zadd(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (options, pairs) = AddOptions::parse(argv)?;
    let (first, mut longest) = (score(pairs.at(0))?, pairs.at(1).len());
    for i in (2..pairs.len()).step_by(2) {
        score(pairs.at(i))?;
        longest = longest.max(pairs.at(i + 1).len());
    }
    if options.increment {
        return increment(cx, argv, first, pairs.at(1), options);
    }
    add(cx, argv, options, pairs.len() / 2, longest, |i| {
        let given = if i == 0 {
            first
        } else {
            score(pairs.at(2 * i)).expect("checked above")
        };
        (pairs.at(2 * i + 1), given)
    })
}

/// Gives so many members, the longest one of so many bytes, the scores that `pair` tells one by one,
/// as far as the options let it, and replies with how many members were added or changed.
pub(in crate::commands) fn add<'a>(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    options: AddOptions,
    members: usize,
    longest: usize,
    pair: impl Fn(usize) -> Pair<'a>,
) -> Outcome {
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    if place.is_none() && options.only_known {
        cx.reply.int(0);
        return Ok(());
    }
    let limits = limits(cx);
    let (added, changed) = cx.edit_or_create::<Zset, _>(key, place, |zset, _| {
        zset.expect(members, longest, limits);
        let (mut added, mut changed) = (0, 0);
        for (member, given) in (0..members).map(pair) {
            let (old, new) = if options.is_plain() {
                (zset.insert(member, given, limits), Some(given))
            } else {
                zset.insert_if(member, limits, |old| options.decide(old, given))
            };
            added += u64::from(old.is_none() && new.is_some());
            changed += u64::from(old.is_some() && new.is_some() && old != new);
        }
        (added, changed)
    })?;
    if added + changed > 0 {
        cx.effects.dirty += added + changed;
        cx.effects
            .event(Class::Zset, "zadd", cx.db_index, key.bytes);
    }
    let counted = if options.count_changed {
        added + changed
    } else {
        added
    };
    cx.reply.int(counted as i64);
    Ok(())
}

pub(super) fn zincrby(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let by = score(argv.at(2)).map_err(|e| {
        // Redis reads it as ZADD's options are read, and misses a pair behind one.
        match AddOptions::parse(argv) {
            Err(error) if error == error::SYNTAX => error,
            _ => e,
        }
    })?;
    let options = AddOptions {
        increment: true,
        ..AddOptions::default()
    };
    increment(cx, argv, by, argv.at(3), options)
}

/// Adds to the score of a member, and replies with it.
fn increment(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    by: f64,
    member: &[u8],
    options: AddOptions,
) -> Outcome {
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    if place.is_none() && options.only_known {
        cx.reply.null();
        return Ok(());
    }
    let limits = limits(cx);
    let mut is_number = true;
    let (old, new) = cx.edit_or_create::<Zset, _>(key, place, |zset, _| {
        zset.expect(1, member.len(), limits);
        zset.insert_if(member, limits, |old| {
            let new = options.decide(old, by);
            is_number = !new.is_some_and(f64::is_nan);
            new.filter(|_| is_number)
        })
    })?;
    if !is_number {
        return Err("ERR resulting score is not a number (NaN)".into());
    }
    match new {
        Some(new) => cx.reply.double(new),
        None => cx.reply.null(),
    }
    if new.is_some() && old != new {
        cx.effects
            .changed(Class::Zset, "zincr", cx.db_index, key.bytes);
    }
    Ok(())
}
