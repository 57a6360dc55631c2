//! DUMP and RESTORE: a value as bytes that any other server of the same or a later version takes.

use super::args::{after, integer, is};
use crate::keyspace::db::Expiry;
use crate::keyspace::effects::Class;
use crate::persist::rdb::{self, RestoreError, RestoreOptions, Version};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::config::Choice;
use crate::server::cx::DataCx;
use crate::server::loading;

const RESTORE_COMPLEXITY: &str = "O(1) to create the key and O(N*M) to build the value, N being the \
                                  number of its elements and M their size; O(N*M*log(N)) for a sorted set";
const RESTORE_USAGE: &str =
    "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]";
const RESTORE_HISTORY: &[(&str, &str)] = &[
    ("3.0.0", "Added the `REPLACE` modifier."),
    ("5.0.0", "Added the `ABSTTL` modifier."),
    ("5.0.0", "Added the `IDLETIME` and `FREQ` options."),
];

/// The family's table, as far as it is about serialized values.
pub static COMMANDS: &[Command] = &[
    cmd("dump", 2, Data(dump))
        .group(Group::Generic)
        .categories(CAT_KEYSPACE)
        .since("2.6.0")
        .flags(READONLY)
        .keys(&[FIRST.flags(RO | ACCESS)])
        .doc(
            "Returns a value in its serialized form.",
            "O(1) to find the key and O(N*M) to serialize the value, N being the number of its elements and M their size",
        )
        .usage("key")
        .tips(&["nondeterministic_output"]),
    cmd("restore", -4, Data(restore))
        .group(Group::Generic)
        .categories(CAT_KEYSPACE | CAT_DANGEROUS)
        .since("2.6.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(OW | UPDATE)])
        .doc("Creates a key of a serialized value.", RESTORE_COMPLEXITY)
        .usage(RESTORE_USAGE)
        .history(RESTORE_HISTORY),
    cmd("restore-asking", -4, Data(restore))
        .group(Group::Server)
        .categories(CAT_KEYSPACE | CAT_DANGEROUS)
        .since("3.0.0")
        .flags(WRITE | DENYOOM | ASKING)
        .keys(&[FIRST.flags(OW | UPDATE)])
        .doc(
            "Creates a key that is being moved within a cluster.",
            RESTORE_COMPLEXITY,
        )
        .usage(RESTORE_USAGE)
        .history(RESTORE_HISTORY),
];

fn dump(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let Some(place) = cx.find_read(cx.key(argv, 1)) else {
        cx.reply.null();
        return Ok(());
    };
    let mut payload = Vec::new();
    let version = Version::from_name(cx.config.rdb_version.name()).unwrap_or_default();
    rdb::dump(
        cx.entry(place),
        &mut payload,
        version,
        cx.config.rdbcompression,
    );
    cx.reply.bulk_shared(payload.into());
    Ok(())
}

/// What RESTORE is asked for beside the value.
#[derive(Default)]
struct Options {
    replace: bool,
    is_absolute: bool,
    idle_seconds: Option<i64>,
    frequency: Option<i64>,
}

impl Options {
    fn parse(argv: Argv<'_>) -> Result<Options, ErrorReply> {
        let mut options = Options::default();
        let mut i = 4;
        while let Some(option) = argv.get(i) {
            if is(option, "REPLACE") {
                options.replace = true;
            } else if is(option, "ABSTTL") {
                options.is_absolute = true;
            } else if is(option, "IDLETIME") && options.frequency.is_none() {
                let seconds = integer(after(argv, i)?)?;
                if seconds < 0 {
                    return Err("ERR Invalid IDLETIME value, must be >= 0".into());
                }
                options.idle_seconds = Some(seconds);
                i += 1;
            } else if is(option, "FREQ") && options.idle_seconds.is_none() {
                let frequency = integer(after(argv, i)?)?;
                if !(0..=255).contains(&frequency) {
                    return Err("ERR Invalid FREQ value, must be >= 0 and <= 255".into());
                }
                options.frequency = Some(frequency);
                i += 1;
            } else {
                return Err(error::SYNTAX);
            }
            i += 1;
        }
        Ok(options)
    }

    /// The access clock that the key gets.
    fn access(&self, cx: &DataCx<'_>) -> u32 {
        let access = cx.access.new_entry();
        match (self.frequency, self.idle_seconds) {
            (Some(frequency), _) if cx.access.lfu => access & !0xff | frequency as u32,
            (_, Some(seconds)) if !cx.access.lfu => {
                access.wrapping_sub(seconds.min(0xff_ffff) as u32) & 0xff_ffff
            }
            _ => access,
        }
    }
}

fn restore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let options = Options::parse(argv)?;
    let key = cx.key(argv, 1);
    if cx.find_write(key).is_some() && !options.replace {
        return Err(error::BUSY_KEY);
    }
    let ttl = integer(argv.at(2))?;
    if ttl < 0 {
        return Err("ERR Invalid TTL value, must be >= 0".into());
    }
    let expiry_ms = match ttl {
        0 => None,
        ttl if options.is_absolute => Some(ttl),
        ttl => Some(ttl.saturating_add(cx.now_ms)),
    };
    let restore = RestoreOptions {
        limits: loading::limits(cx.config),
        check_crc: !cx.config.skip_checksum_validation,
    };
    let stored = rdb::restore(argv.at(3), &restore, |value| {
        let deleted = make_room(cx, argv);
        if cx.delete_expired && expiry_ms.is_some_and(|at| at <= cx.now_ms) {
            if deleted {
                state_deletion(cx, argv);
            }
            return;
        }
        let expiry = expiry_ms.map_or(Expiry::Clear, Expiry::At);
        cx.store(key, None, value, expiry);
        if let Some(place) = cx.db().find(key) {
            let access = options.access(cx);
            cx.db_mut().set_access(place, access);
        }
        state_restoration(cx, argv, expiry_ms, &options);
    });
    stored.map_err(|error| -> ErrorReply {
        match error {
            RestoreError::BadChecksumOrVersion => {
                "ERR DUMP payload version or checksum are wrong".into()
            }
            RestoreError::BadFormat => "ERR Bad data format".into(),
        }
    })?;
    cx.reply.ok();
    Ok(())
}

/// Removes what the key holds; says whether there was something.
fn make_room(cx: &mut DataCx<'_>, argv: Argv<'_>) -> bool {
    let key = cx.key(argv, 1);
    match cx.db().find(key) {
        Some(place) => {
            cx.delete(key, place, cx.config.lazyfree_lazy_server_del);
            true
        }
        None => false,
    }
}

/// The value gave way to one whose time has passed already.
fn state_deletion(cx: &mut DataCx<'_>, argv: Argv<'_>) {
    let key = argv.at(1);
    let lazily = cx.config.lazyfree_lazy_server_del;
    let command: &[u8] = if lazily { b"UNLINK" } else { b"DEL" };
    cx.effects.rewrite(&[command, key]);
    cx.effects.changed(Class::Generic, "del", cx.db_index, key);
}

/// A time to live is propagated as the time that it ends at.
fn state_restoration(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    expiry_ms: Option<i64>,
    options: &Options,
) {
    let key = argv.at(1);
    if let Some(at) = expiry_ms
        && !options.is_absolute
        && cx.effects.propagates()
    {
        let mut digits = itoa::Buffer::new();
        let mut rewritten: Vec<&[u8]> = (0..argv.len()).map(|index| argv.at(index)).collect();
        rewritten[2] = digits.format(at).as_bytes();
        rewritten.push(b"ABSTTL");
        cx.effects.rewrite(&rewritten);
    }
    cx.effects
        .changed(Class::Generic, "restore", cx.db_index, key);
}

#[cfg(test)]
mod tests {
    use super::super::testing::Session;

    #[test]
    fn options_are_checked_in_the_order_of_redis() {
        let mut session = Session::new();
        session.run("SET taken 1");
        for (words, reply) in [
            ("DUMP nothing", "$-1"),
            (
                "RESTORE key 0",
                "-ERR wrong number of arguments for 'restore' command",
            ),
            ("RESTORE taken -1 x NOPE", "-ERR syntax error"),
            (
                "RESTORE taken -1 x",
                "-BUSYKEY Target key name already exists.",
            ),
            ("RESTORE key -1 x", "-ERR Invalid TTL value, must be >= 0"),
            (
                "RESTORE key a x",
                "-ERR value is not an integer or out of range",
            ),
            (
                "RESTORE key 0 x",
                "-ERR DUMP payload version or checksum are wrong",
            ),
            ("RESTORE key 0 x IDLETIME", "-ERR syntax error"),
            ("RESTORE key 0 x IDLETIME 1 FREQ 1", "-ERR syntax error"),
            (
                "RESTORE key 0 x IDLETIME -1",
                "-ERR Invalid IDLETIME value, must be >= 0",
            ),
            (
                "RESTORE key 0 x FREQ 256",
                "-ERR Invalid FREQ value, must be >= 0 and <= 255",
            ),
        ] {
            session.check_reply(words, reply);
        }
    }
}
