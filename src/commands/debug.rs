//! DEBUG: what tests need to see and do that users must not.
//!
//! As in Redis it is one command without real subcommands: they are found by name and number of
//! arguments here, and COMMAND does not know them. Many of those that the upstream tests call set
//! something that this server does not have; they are accepted and change nothing.

mod digest;
mod object;
mod protocol;
mod reload;

use super::args::{integer, integer_in, is};
use super::help;
use crate::base::{glob, num, sys};
use crate::data::table::{Handle, Table};
use crate::keyspace::EntryRef;
use crate::keyspace::db::Expiry;
use crate::keyspace::value::{NewValue, StringRef};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::config::RewriteOptions;
use crate::server::cx::ServerCx;
use crate::server::state::Shutdown;
use digest::Digest;
use std::fmt::Write as _;
use std::time::Duration;

/// The command, of the server's family.
pub static COMMANDS: &[Command] = &[cmd("debug", -2, Server(debug))
    .group(Group::Server)
    .flags(ADMIN | NOSCRIPT | LOADING | STALE | PROTECTED)
    .doc(
        "Looks behind the scenes and does harm, for tests.",
        "Depends on the subcommand",
    )];

/// What DEBUG can do.
struct Subcommand {
    name: &'static str,
    /// The least and the most arguments after the name.
    arguments: (usize, usize),
    usage: &'static str,
    text: &'static str,
    run: fn(&mut ServerCx<'_>, Argv<'_>) -> Outcome,
}

const MANY: usize = usize::MAX;
const NO_EFFECT: &str = "Accepted for tests that are shared with Redis; has no effect.";

#[rustfmt::skip]
const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand { name: "aof-flush-sleep", arguments: (1, 1), usage: "AOF-FLUSH-SLEEP <microseconds>", text: NO_EFFECT, run: ignore },
    Subcommand { name: "assert", arguments: (0, MANY), usage: "ASSERT", text: "Crash as if a program error had been found.", run: crash_by_assertion },
    Subcommand { name: "change-repl-id", arguments: (0, 0), usage: "CHANGE-REPL-ID", text: "Give the history of the data set another name.", run: reload::change_replication_id },
    Subcommand { name: "client-enforce-reply-list", arguments: (1, 1), usage: "CLIENT-ENFORCE-REPLY-LIST <0|1>", text: "With 1, every reply counts as a large one against limits.", run: enforce_reply_list },
    Subcommand { name: "config-rewrite-force-all", arguments: (0, 0), usage: "CONFIG-REWRITE-FORCE-ALL", text: "Like CONFIG REWRITE, but with every parameter.", run: rewrite_all },
    Subcommand { name: "crash-and-recover", arguments: (0, MANY), usage: "CRASH-AND-RECOVER [<milliseconds>]", text: "Start the program anew after a delay, without saving.", run: restart },
    Subcommand { name: "delay-rdb-client-free-seconds", arguments: (1, 1), usage: "DELAY-RDB-CLIENT-FREE-SECONDS <seconds>", text: NO_EFFECT, run: ignore },
    Subcommand { name: "dict-resizing", arguments: (1, 1), usage: "DICT-RESIZING <0|1>", text: NO_EFFECT, run: ignore },
    Subcommand { name: "digest", arguments: (0, 0), usage: "DIGEST", text: "Reply with a digest of the data set, equal to that of a Redis with the same data.", run: dataset_digest },
    Subcommand { name: "digest-value", arguments: (0, MANY), usage: "DIGEST-VALUE <key> [<key> ...]", text: "Reply with a digest of each key's value.", run: value_digests },
    Subcommand { name: "error", arguments: (1, 1), usage: "ERROR <message>", text: "Reply with an error of this text, its code first.", run: reply_error },
    Subcommand { name: "htstats", arguments: (1, MANY), usage: "HTSTATS <db> [full]", text: "Tell how full the hash table of a database is.", run: htstats },
    Subcommand { name: "htstats-key", arguments: (1, MANY), usage: "HTSTATS-KEY <key> [full]", text: "The same of the hash table that <key> is kept in.", run: htstats_key },
    Subcommand { name: "leak", arguments: (1, 1), usage: "LEAK <string>", text: NO_EFFECT, run: ignore },
    Subcommand { name: "listpack", arguments: (1, 1), usage: "LISTPACK <key>", text: "Write the elements of the listpack that <key> is kept in to the server's log.", run: listpack },
    Subcommand { name: "loadaof", arguments: (0, 0), usage: "LOADAOF", text: "Write what waits for the append-only file, empty the memory and load that file.", run: reload::load_aof },
    Subcommand { name: "log", arguments: (1, 1), usage: "LOG <message>", text: "Write a warning to the server's log.", run: log },
    Subcommand { name: "object", arguments: (1, 2), usage: "OBJECT <key> [fast]", text: "Tell how the value of <key> is kept; `fast` leaves out what takes time to find out.", run: object },
    Subcommand { name: "oom", arguments: (0, MANY), usage: "OOM", text: "Crash as if there were no memory left.", run: crash_by_memory },
    Subcommand { name: "panic", arguments: (0, MANY), usage: "PANIC", text: "Crash with a panic.", run: crash_by_panic },
    Subcommand { name: "pause-after-fork", arguments: (1, 1), usage: "PAUSE-AFTER-FORK <0|1>", text: NO_EFFECT, run: ignore },
    Subcommand { name: "pause-cron", arguments: (1, 1), usage: "PAUSE-CRON <0|1>", text: "Stop what the server does by the clock, or go on with it.", run: pause_cron },
    Subcommand { name: "populate", arguments: (1, 3), usage: "POPULATE <count> [<prefix>] [<size>]", text: "Add <count> strings, named <prefix>:<number> (`key` if no prefix is given), of <size> bytes.\nKeys that exist stay as they are.", run: populate },
    Subcommand { name: "protocol", arguments: (1, 1), usage: "PROTOCOL <kind>", text: "Reply with a sample of a kind of reply: string, integer, double, bignum, null, array,\nset, map, attrib, push, verbatim, true, false.", run: protocol_sample },
    Subcommand { name: "quicklist", arguments: (1, 2), usage: "QUICKLIST <key> [<0|1>]", text: "Write the nodes of the quicklist that <key> is kept in to the server's log.", run: quicklist },
    Subcommand { name: "quicklist-packed-threshold", arguments: (1, 1), usage: "QUICKLIST-PACKED-THRESHOLD <size>", text: "Keep list elements of this many bytes and more by themselves; 0 for the usual size.", run: packed_threshold },
    Subcommand { name: "reload", arguments: (0, MANY), usage: "RELOAD [MERGE] [NOFLUSH] [NOSAVE]", text: "Save the data set, empty the memory and load it again; NOSAVE and NOFLUSH leave the first two\nout, and with MERGE what is loaded replaces keys that are there.", run: reload::reload },
    Subcommand { name: "replicate", arguments: (1, MANY), usage: "REPLICATE <argument> [<argument> ...]", text: NO_EFFECT, run: ignore },
    Subcommand { name: "replybuffer", arguments: (2, 2), usage: "REPLYBUFFER PEAK-RESET-TIME <NEVER|RESET|milliseconds>|RESIZING <0|1>", text: NO_EFFECT, run: replybuffer },
    Subcommand { name: "restart", arguments: (0, MANY), usage: "RESTART [<milliseconds>]", text: "Start the program anew after a delay.", run: restart },
    Subcommand { name: "sdslen", arguments: (1, 1), usage: "SDSLEN <key>", text: "Tell the lengths of <key> and its string, what they have room for, and what is allocated for them;\na short string lies within what is allocated for its key.", run: string_lengths },
    Subcommand { name: "segfault", arguments: (0, MANY), usage: "SEGFAULT", text: "Crash by a memory fault.", run: crash_by_fault },
    Subcommand { name: "set-active-expire", arguments: (1, 1), usage: "SET-ACTIVE-EXPIRE <0|1>", text: "With 0, expired keys are deleted only when somebody asks for them.", run: set_active_expire },
    Subcommand { name: "set-disable-deny-scripts", arguments: (1, 1), usage: "SET-DISABLE-DENY-SCRIPTS <0|1>", text: "With 1, scripts may run commands that are not meant for them.", run: set_disable_deny_scripts },
    Subcommand { name: "set-skip-checksum-validation", arguments: (1, 1), usage: "SET-SKIP-CHECKSUM-VALIDATION <0|1>", text: "With 1, RESTORE and loading do not look at checksums.", run: skip_checksum_validation },
    Subcommand { name: "sleep", arguments: (1, 1), usage: "SLEEP <seconds>", text: "Do nothing at all for some time, which may have a fraction.", run: sleep },
    Subcommand { name: "stringmatch-len", arguments: (2, 2), usage: "STRINGMATCH-LEN <pattern> <string>", text: "Say whether a string matches a pattern.", run: stringmatch },
];

fn debug(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let name = argv.at(1);
    let given = argv.len() - 2;
    if is(name, "help") && given == 0 {
        let lines: Vec<_> = SUBCOMMANDS.iter().map(|s| (s.usage, s.text)).collect();
        help::reply(cx.reply, "DEBUG", &lines);
        return Ok(());
    }
    let fits =
        |s: &&Subcommand| is(name, s.name) && (s.arguments.0..=s.arguments.1).contains(&given);
    match SUBCOMMANDS.iter().find(fits) {
        Some(subcommand) => (subcommand.run)(cx, argv),
        None => Err(error::subcommand_syntax(name, "DEBUG")),
    }
}

fn ignore(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.reply.ok();
    Ok(())
}

fn rewrite_all(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let force = true;
    cx.server.rewrite_config(&RewriteOptions {
        force,
        ..RewriteOptions::default()
    })?;
    cx.reply.ok();
    Ok(())
}

/// Whether a switch is on: any number but 0.
fn is_on(arg: &[u8]) -> bool {
    num::parse_i64(arg).is_some_and(|n| n != 0)
}

fn set_active_expire(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    cx.server.active_expire = is_on(argv.at(2));
    cx.reply.ok();
    Ok(())
}

fn set_disable_deny_scripts(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    cx.server.scripting.allows_all = is_on(argv.at(2));
    cx.reply.ok();
    Ok(())
}

fn pause_cron(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    cx.server.cron_paused = is_on(argv.at(2));
    cx.reply.ok();
    Ok(())
}

/// The entry of the key that argument 2 names.
fn entry_of<'a>(cx: &'a ServerCx<'_>, argv: Argv<'_>) -> Result<EntryRef<'a>, ErrorReply> {
    let key = cx.server.keyspace.key(argv.at(2));
    let db = cx.server.keyspace.db(cx.client().db);
    Ok(db.entry(db.find(key).ok_or(error::NO_SUCH_KEY)?))
}

fn string_lengths(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let entry = entry_of(cx, argv)?;
    let Some(StringRef::Bytes(value)) = entry.string() else {
        return Err("ERR Not an sds encoded string.".into());
    };
    let shell = entry.shell_allocated();
    let line = format!(
        "key_sds_len:{}, key_sds_avail:0, key_zmalloc: {shell}, val_sds_len:{}, val_sds_avail:{}, val_zmalloc: {}",
        entry.key().len(),
        value.len(),
        entry.string_spare(),
        entry.allocated() - shell
    );
    cx.reply.simple(&line);
    Ok(())
}

fn listpack(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let lines =
        object::listpack_lines(entry_of(cx, argv)?).ok_or("ERR Not a listpack encoded object.")?;
    write_lines(&lines);
    cx.reply.simple("Listpack structure printed on stdout");
    Ok(())
}

fn quicklist(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let lines = object::quicklist_lines(entry_of(cx, argv)?)
        .ok_or("ERR Not a quicklist encoded object.")?;
    write_lines(&lines);
    cx.reply.simple("Quicklist structure printed on stdout");
    Ok(())
}

fn write_lines(lines: &[String]) {
    for line in lines {
        tracing::warn!("{line}");
    }
}

fn skip_checksum_validation(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    cx.server.config.skip_checksum_validation = is_on(argv.at(2));
    cx.reply.ok();
    Ok(())
}

fn packed_threshold(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    match num::parse_memory(argv.at(2)) {
        Some(bytes @ 0..=0xffff_ffff) => {
            cx.server.config.list_packed_threshold = bytes as usize;
            cx.reply.ok();
        }
        _ => {
            return Err(
                "ERR argument must be a memory value bigger than 1 and smaller than 4gb".into(),
            );
        }
    }
    Ok(())
}

fn enforce_reply_list(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    cx.server.replies_count_large = integer(argv.at(2))? != 0;
    cx.reply.ok();
    Ok(())
}

fn replybuffer(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let (setting, value) = (argv.at(2), argv.at(3));
    if is(setting, "peak-reset-time") {
        if !is(value, "never") && !is(value, "reset") {
            integer(value)?;
        }
    } else if !is(setting, "resizing") {
        return Err(error::subcommand_syntax(argv.at(1), "DEBUG"));
    }
    cx.reply.ok();
    Ok(())
}

fn sleep(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let seconds = num::parse_f64(argv.at(2)).unwrap_or(0.0);
    std::thread::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    cx.reply.ok();
    Ok(())
}

fn stringmatch(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    cx.reply
        .int(glob::matches(argv.at(2), argv.at(3), false).into());
    Ok(())
}

fn log(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(argv.at(2)));
    cx.reply.ok();
    Ok(())
}

/// The error goes out as it was given, even if it is not of the form that errors have, and is not
/// counted as one.
fn reply_error(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let mut line = [b"-", argv.at(2)].concat();
    line.iter_mut()
        .filter(|byte| matches!(byte, b'\r' | b'\n'))
        .for_each(|byte| *byte = b' ');
    line.extend_from_slice(b"\r\n");
    cx.reply.raw(&line);
    Ok(())
}

fn protocol_sample(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    protocol::sample(cx.reply, argv.at(2))
}

fn crash_by_assertion(_cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    panic!("ASSERTION FAILED: DEBUG ASSERT asked for it");
}

fn crash_by_panic(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    panic!(
        "DEBUG PANIC called at Unix time {}",
        cx.server.now_ms() / 1000
    );
}

fn crash_by_fault(_cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    sys::provoke_segmentation_fault();
    Err(error::SYNTAX)
}

fn crash_by_memory(_cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    const TOO_MUCH: usize = isize::MAX as usize / 2;
    let layout =
        std::alloc::Layout::array::<u8>(TOO_MUCH).expect("a size below the address space's");
    std::alloc::handle_alloc_error(layout)
}

/// There is no reply: the connection ends with the program.
fn restart(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let delay_ms = argv.get(2).map(integer).transpose()?.unwrap_or(0);
    std::thread::sleep(Duration::from_millis(u64::try_from(delay_ms).unwrap_or(0)));
    cx.server.shutdown = Some(Shutdown::Restart);
    Ok(())
}

fn populate(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    /// More keys than fit any memory.
    const KEYS_MAX: i64 = 1 << 36;
    let positive = |arg| integer_in(arg, 0..=i64::MAX, error::MUST_BE_POSITIVE);
    let count = positive(argv.at(2))?;
    let prefix = argv.get(3).unwrap_or(b"key");
    let size = argv.get(4).map(positive).transpose()?.unwrap_or(0);
    if count > KEYS_MAX {
        return Err("ERR OOM in dictTryExpand".into());
    }
    if size as u64 > cx.server.config.proto_max_bulk_len {
        return Err(error::STRING_TOO_LONG);
    }
    let mut data = cx.data();
    for n in 0..count {
        let mut digits = itoa::Buffer::new();
        let number = digits.format(n).as_bytes();
        let name = [prefix, b":", number].concat();
        let key = data.keyspace.key(&name);
        if data.find_unseen(key).is_none() {
            let mut value = [b"value:", number].concat();
            if size > 0 {
                value.resize(size as usize, 0);
            }
            data.store(key, None, NewValue::from_bytes(&value), Expiry::Clear);
        }
    }
    data.reply.ok();
    Ok(())
}

fn object(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let access = cx.server.access_clock();
    let key = cx.server.keyspace.key(argv.at(2));
    let db = cx.server.keyspace.db(cx.client().db);
    let entry = db.entry(db.find(key).ok_or(error::NO_SUCH_KEY)?);
    let in_full = !argv.get(3).is_some_and(|option| is(option, "fast"));
    let line = object::describe(entry, access, &cx.server.config, in_full);
    cx.reply.simple(&line);
    Ok(())
}

fn dataset_digest(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let digest = Digest::of_keyspace(&cx.server.keyspace);
    cx.reply.simple(&digest.to_string());
    Ok(())
}

fn value_digests(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let db = cx.server.keyspace.db(cx.client().db);
    cx.reply.array(argv.len() - 2);
    for name in argv.tail(2).iter() {
        let place = db.find(cx.server.keyspace.key(name));
        let digest = place.map_or(Digest::default(), |place| Digest::of_value(db.entry(place)));
        cx.reply.simple(&digest.to_string());
    }
    Ok(())
}

fn htstats(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let out_of_range = error::ErrorReply::from("ERR Out of range database");
    let index = usize::try_from(integer(argv.at(2))?).map_err(|_| out_of_range.clone())?;
    if index >= cx.server.keyspace.count() {
        return Err(out_of_range);
    }
    let full = argv.get(3).is_some_and(|option| is(option, "full"));
    let db = cx.server.keyspace.db(index);
    let text = format!(
        "[Dictionary HT]\n{}[Expires HT]\nThere is no second table: {} of the keys above are volatile.\n",
        table_figures(db.table(), full),
        db.volatile(),
    );
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// What Redis says of its tables, as far as there is the same in this one.
fn table_figures<H: Handle>(table: &Table<H>, full: bool) -> String {
    if table.is_empty() {
        return "No stats available for empty dictionaries\n".into();
    }
    let histogram = table.histogram();
    let used = table.buckets() - histogram[0];
    let longest = histogram
        .iter()
        .rposition(|&chains| chains > 0)
        .unwrap_or(0);
    let mut text = format!(
        "Hash table 0 stats (main hash table):\n table size: {}\n number of elements: {}\n different slots: {used}\n \
         linked buckets: {}\n max chain length: {longest}\n avg chain length: {:.2}\n bytes: {}\n",
        table.buckets(),
        table.len(),
        table.links(),
        table.len() as f64 / used as f64,
        table.bytes(),
    );
    if full {
        text.push_str(" Chain length distribution:\n");
        for (length, chains) in histogram
            .iter()
            .enumerate()
            .filter(|(_, chains)| **chains > 0)
        {
            let percent = *chains as f64 * 100.0 / table.buckets() as f64;
            writeln!(text, "   {length}: {chains} ({percent:.2}%)")
                .expect("a string takes what is written");
        }
    }
    text
}

fn htstats_key(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let mut data = cx.data();
    let key = data.key(argv, 2);
    let place = data.find_unseen(key).ok_or(error::NO_SUCH_KEY)?;
    let text = object::table_figures(data.entry(place)).ok_or(
        "ERR The value stored at the specified key is not represented using an hash table",
    )?;
    data.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::SUBCOMMANDS;
    use crate::commands::testing::Session;
    use crate::server::config::Allow;

    #[test]
    fn lengths_of_strings() {
        let mut s = Session::new();
        s.config_mut().enable_debug_command = Allow::Yes;
        s.run("set k hello");
        let line = s.run("debug sdslen k");
        let short = "+key_sds_len:1, key_sds_avail:0, key_zmalloc: ";
        let value = ", val_sds_len:5, val_sds_avail:0, val_zmalloc: 0";
        assert!(line.starts_with(short) && line.ends_with(value), "{line}");
        s.run("setrange k 5000 x");
        let line = s.run("debug sdslen k");
        assert!(line.contains("val_sds_len:5001, val_sds_avail:"), "{line}");
        let (_, allocated) = line.rsplit_once(' ').expect("words");
        assert!(allocated.parse::<usize>().unwrap() > 5001, "{line}");
        s.run("set n 1");
        s.run("lpush l a");
        for key in ["n", "l"] {
            let refusal = "-ERR Not an sds encoded string.";
            assert_eq!(s.run(&format!("debug sdslen {key}")), refusal);
        }
        assert_eq!(s.run("debug sdslen x"), "-ERR no such key");
    }

    #[test]
    fn subcommands_are_in_order_and_their_usage_begins_with_their_name() {
        assert!(SUBCOMMANDS.is_sorted_by(|a, b| a.name < b.name));
        for subcommand in SUBCOMMANDS {
            let word = subcommand.usage.split(' ').next().expect("a first word");
            assert_eq!(word.to_ascii_lowercase(), subcommand.name);
        }
    }
}
