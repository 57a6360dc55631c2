//! When keys expire: setting, asking, and taking it back.

use super::args::{Unit, integer, is};
use crate::keyspace::effects::Class;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::DataCx;

const G: Group = Group::Generic;
const OPTIONS_HISTORY: &[(&str, &str)] = &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")];
const MISSING_HISTORY: &[(&str, &str)] = &[("2.8.0", "Added the -2 reply.")];

/// The family's table, as far as it is about time.
pub static COMMANDS: &[Command] = &[
    cmd("expire", -3, Data(expire))
        .group(G)
        .categories(CAT_KEYSPACE)
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Lets a key expire after some seconds.", "O(1)")
        .usage("key seconds [NX|XX|GT|LT]")
        .history(OPTIONS_HISTORY),
    cmd("expireat", -3, Data(expireat))
        .group(G)
        .categories(CAT_KEYSPACE)
        .since("1.2.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Lets a key expire at a second of the Unix clock.", "O(1)")
        .usage("key unix-time-seconds [NX|XX|GT|LT]")
        .history(OPTIONS_HISTORY),
    cmd("expiretime", 2, Data(expiretime))
        .group(G)
        .categories(CAT_KEYSPACE)
        .since("7.0.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Returns the second of the Unix clock at which a key expires.",
            "O(1)",
        )
        .usage("key"),
    cmd("persist", 2, Data(persist))
        .group(G)
        .categories(CAT_KEYSPACE)
        .since("2.2.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Lets a key never expire.", "O(1)")
        .usage("key"),
    cmd("pexpire", -3, Data(pexpire))
        .group(G)
        .categories(CAT_KEYSPACE)
        .since("2.6.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Lets a key expire after some milliseconds.", "O(1)")
        .usage("key milliseconds [NX|XX|GT|LT]")
        .history(OPTIONS_HISTORY),
    cmd("pexpireat", -3, Data(pexpireat))
        .group(G)
        .categories(CAT_KEYSPACE)
        .since("2.6.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc(
            "Lets a key expire at a millisecond of the Unix clock.",
            "O(1)",
        )
        .usage("key unix-time-milliseconds [NX|XX|GT|LT]")
        .history(OPTIONS_HISTORY),
    cmd("pexpiretime", 2, Data(pexpiretime))
        .group(G)
        .categories(CAT_KEYSPACE)
        .since("7.0.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Returns the millisecond of the Unix clock at which a key expires.",
            "O(1)",
        )
        .usage("key"),
    cmd("pttl", 2, Data(pttl))
        .group(G)
        .categories(CAT_KEYSPACE)
        .since("2.6.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns the milliseconds until a key expires.", "O(1)")
        .usage("key")
        .history(MISSING_HISTORY)
        .tips(&["nondeterministic_output"]),
    cmd("ttl", 2, Data(ttl))
        .group(G)
        .categories(CAT_KEYSPACE)
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc("Returns the seconds until a key expires.", "O(1)")
        .usage("key")
        .history(MISSING_HISTORY)
        .tips(&["nondeterministic_output"]),
];

fn expire(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    set_expiry(cx, argv, Unit::Seconds, "expire")
}

fn pexpire(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    set_expiry(cx, argv, Unit::Milliseconds, "pexpire")
}

fn expireat(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    set_expiry(cx, argv, Unit::UnixSeconds, "expireat")
}

fn pexpireat(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    set_expiry(cx, argv, Unit::UnixMilliseconds, "pexpireat")
}

/// What must hold of the present expiry for a new one to be set.
#[derive(Clone, Copy, Default)]
struct Condition {
    none: bool,
    some: bool,
    later: bool,
    earlier: bool,
}

impl Condition {
    fn parse(argv: Argv<'_>) -> Result<Condition, ErrorReply> {
        let mut condition = Condition::default();
        for option in argv.tail(3).iter() {
            match () {
                _ if is(option, "NX") => condition.none = true,
                _ if is(option, "XX") => condition.some = true,
                _ if is(option, "GT") => condition.later = true,
                _ if is(option, "LT") => condition.earlier = true,
                _ => return Err([b"ERR Unsupported option ", option].concat().into()),
            }
        }
        if condition.none && (condition.some || condition.later || condition.earlier) {
            return Err(
                "ERR NX and XX, GT or LT options at the same time are not compatible".into(),
            );
        }
        if condition.later && condition.earlier {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(condition)
    }

    /// Whether it holds between the present expiry and a new one; none is later than any.
    fn holds(self, present: Option<i64>, new: i64) -> bool {
        match present {
            None => !self.some && !self.later,
            Some(present) => {
                !self.none && (!self.later || new > present) && (!self.earlier || new < present)
            }
        }
    }
}

fn set_expiry(cx: &mut DataCx<'_>, argv: Argv<'_>, unit: Unit, command: &str) -> Outcome {
    let condition = Condition::parse(argv)?;
    let at = unit
        .at_ms(integer(argv.at(2))?, cx.now_ms)
        .ok_or_else(|| error::invalid_expire(command))?;
    let key = cx.key(argv, 1);
    let place = match cx.find_write(key) {
        Some(place) if condition.holds(cx.entry(place).expiry(), at) => place,
        _ => {
            cx.reply.int(0);
            return Ok(());
        }
    };
    if at <= cx.horizon_ms && cx.delete_expired {
        cx.delete_as_expired(key, place);
    } else {
        cx.db_mut().set_expiry(key, place, Some(at));
        cx.effects
            .changed(Class::Generic, "expire", cx.db_index, key.bytes);
        cx.effects.rewrite(&[
            b"PEXPIREAT",
            key.bytes,
            itoa::Buffer::new().format(at).as_bytes(),
        ]);
    }
    cx.reply.int(1);
    Ok(())
}

fn persist(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    match cx.find_write(key) {
        Some(place) if cx.entry(place).expiry().is_some() => {
            cx.db_mut().set_expiry(key, place, None);
            cx.effects
                .changed(Class::Generic, "persist", cx.db_index, key.bytes);
            cx.reply.int(1);
        }
        _ => cx.reply.int(0),
    }
    Ok(())
}

fn ttl(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_expiry(cx, argv, |at, now_ms| rounded_seconds((at - now_ms).max(0)))
}

fn pttl(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_expiry(cx, argv, |at, now_ms| (at - now_ms).max(0))
}

fn expiretime(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_expiry(cx, argv, |at, _| rounded_seconds(at))
}

fn pexpiretime(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_expiry(cx, argv, |at, _| at)
}

/// Replies with what `shown` makes of the time at which a key expires and the present one.
fn reply_expiry(cx: &mut DataCx<'_>, argv: Argv<'_>, shown: fn(i64, i64) -> i64) -> Outcome {
    const MISSING: i64 = -2;
    const NEVER: i64 = -1;
    let value = match cx.find_quietly(cx.key(argv, 1)) {
        None => MISSING,
        Some(place) => cx
            .entry(place)
            .expiry()
            .map_or(NEVER, |at| shown(at, cx.now_ms)),
    };
    cx.reply.int(value);
    Ok(())
}

fn rounded_seconds(ms: i64) -> i64 {
    // Not by adding 500 first, which the last times of 64 bits cannot take.
    ms / 1000 + i64::from(ms % 1000 >= 500)
}

#[cfg(test)]
mod tests {
    use super::{Condition, rounded_seconds};
    use crate::resp::argv::OwnedArgv;

    #[test]
    fn conditions() {
        let check = |options: &[&str], present, new, expected| {
            let words: Vec<&[u8]> = ["expire", "key", "1"]
                .iter()
                .chain(options)
                .map(|word| word.as_bytes())
                .collect();
            let owned = OwnedArgv::from_slices(&words);
            let condition = Condition::parse(owned.as_argv()).expect("compatible options");
            assert_eq!(
                condition.holds(present, new),
                expected,
                "{options:?} {present:?} {new}"
            );
        };
        check(&[], None, 5, true);
        check(&[], Some(9), 5, true);
        check(&["nx"], None, 5, true);
        check(&["nx"], Some(9), 5, false);
        check(&["XX"], None, 5, false);
        check(&["XX"], Some(9), 5, true);
        check(&["GT"], None, 5, false);
        check(&["GT"], Some(5), 5, false);
        check(&["GT"], Some(4), 5, true);
        check(&["LT"], None, 5, true);
        check(&["LT"], Some(5), 5, false);
        check(&["LT"], Some(6), 5, true);
        check(&["XX", "LT"], None, 5, false);
        check(&["LT", "XX", "lt"], Some(6), 5, true);
    }

    #[test]
    fn conflicting_conditions() {
        let check = |options: &[&str], expected: &str| {
            let words: Vec<&[u8]> = ["expire", "key", "1"]
                .iter()
                .chain(options)
                .map(|word| word.as_bytes())
                .collect();
            let owned = OwnedArgv::from_slices(&words);
            let error = Condition::parse(owned.as_argv()).err().expect("a conflict");
            assert_eq!(error.to_string(), expected, "{options:?}");
        };
        check(
            &["NX", "GT"],
            "ERR NX and XX, GT or LT options at the same time are not compatible",
        );
        check(
            &["XX", "NX"],
            "ERR NX and XX, GT or LT options at the same time are not compatible",
        );
        check(
            &["GT", "XX", "LT"],
            "ERR GT and LT options at the same time are not compatible",
        );
        check(&["NX", "GT", "AB"], "ERR Unsupported option AB");
    }

    #[test]
    fn seconds_are_rounded_to_the_nearest() {
        let check = |ms, expected| assert_eq!(rounded_seconds(ms), expected, "{ms}");
        check(0, 0);
        check(499, 0);
        check(500, 1);
        check(1_499, 1);
        check(i64::MAX, i64::MAX / 1000 + 1);
    }
}
