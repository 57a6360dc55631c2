//! Functions: FCALL and its kin, and FUNCTION, which manages libraries of them.

#[cfg(test)]
mod tests;

use super::args::is;
use super::help;
use super::scripting::{COUNTED, DEPENDS, RUNS, RUNS_READING};
use crate::base::glob;
use crate::persist::rdb;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::script::functions::{self as engine, Policy};
use crate::server::command::*;
use crate::server::config::Choice;
use crate::server::cx::ServerCx;
use crate::server::functions::{Existing, Function, Library};
use crate::server::gate;
use crate::server::monitor;
use crate::server::scripting::{self, FLAG_NAMES, Kind};

const G: Group = Group::Scripting;
const TO_ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
/// The language of all libraries, as Redis names it.
const ENGINE: &[u8] = b"LUA";

/// The family's table.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("fcall", -3, Server(fcall))
        .group(G)
        .since("7.0.0")
        .flags(RUNS)
        .keys(const { &[COUNTED
            .flags(RW | ACCESS | UPDATE)
            .notes("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE")] })
        .doc("Calls a function.", DEPENDS)
        .usage("function numkeys [key ...] [arg ...]"),
    cmd("fcall_ro", -3, Server(fcall_ro))
        .group(G)
        .since("7.0.0")
        .flags(RUNS_READING)
        .keys(const { &[COUNTED
            .flags(RO | ACCESS)
            .notes("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS")] })
        .doc("Calls a function that only reads.", DEPENDS)
        .usage("function numkeys [key ...] [arg ...]"),
    cmd("function", -2, Container)
        .group(G)
        .since("7.0.0")
        .doc("Holds the commands that manage functions.", "Depends on subcommand.")
        .subcommands(SUBCOMMANDS),
];

#[rustfmt::skip]
static SUBCOMMANDS: &[Command] = &[
    cmd("delete", 3, Server(delete))
        .group(G)
        .categories(CAT_SCRIPTING)
        .since("7.0.0")
        .flags(NOSCRIPT | WRITE)
        .doc("Deletes a library and its functions.", "O(1)")
        .usage("library-name")
        .tips(TO_ALL_SHARDS),
    cmd("dump", 2, Server(dump))
        .group(G)
        .categories(CAT_SCRIPTING)
        .since("7.0.0")
        .flags(NOSCRIPT)
        .doc("Returns all libraries as a payload.", "O(N) in the size of the libraries"),
    cmd("flush", -2, Server(flush))
        .group(G)
        .categories(CAT_SCRIPTING)
        .since("7.0.0")
        .flags(NOSCRIPT | WRITE)
        .doc("Deletes all libraries.", "O(N) in the number of functions")
        .usage("[ASYNC|SYNC]")
        .tips(TO_ALL_SHARDS),
    cmd("help", 2, Server(show_help))
        .group(G)
        .categories(CAT_SCRIPTING)
        .since("7.0.0")
        .flags(LOADING | STALE)
        .doc("Tells what the subcommands do.", "O(1)"),
    cmd("kill", 2, Server(kill))
        .group(G)
        .categories(CAT_SCRIPTING)
        .since("7.0.0")
        .flags(NOSCRIPT | ALLOW_BUSY)
        .doc("Ends the function that runs.", "O(1)")
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"]),
    cmd("list", -2, Server(list))
        .group(G)
        .categories(CAT_SCRIPTING)
        .since("7.0.0")
        .flags(NOSCRIPT)
        .doc("Tells what libraries there are.", "O(N) in the number of functions")
        .usage("[LIBRARYNAME library-name-pattern] [WITHCODE]")
        .tips(&["nondeterministic_output_order"]),
    cmd("load", -3, Server(load))
        .group(G)
        .categories(CAT_SCRIPTING)
        .since("7.0.0")
        .flags(NOSCRIPT | WRITE | DENYOOM)
        .doc("Makes a library of its source.", "O(1), compiling the source aside")
        .usage("[REPLACE] function-code")
        .tips(TO_ALL_SHARDS),
    cmd("restore", -3, Server(restore))
        .group(G)
        .categories(CAT_SCRIPTING)
        .since("7.0.0")
        .flags(NOSCRIPT | WRITE | DENYOOM)
        .doc("Makes the libraries of a payload.", "O(N) in the number of functions of the payload")
        .usage("serialized-value [FLUSH|APPEND|REPLACE]")
        .tips(TO_ALL_SHARDS),
    cmd("stats", 2, Server(stats))
        .group(G)
        .categories(CAT_SCRIPTING)
        .since("7.0.0")
        .flags(NOSCRIPT | ALLOW_BUSY)
        .doc("Tells which function runs, and what there is.", "O(1)")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
];

fn fcall(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    call(cx, argv, false)
}

fn fcall_ro(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    call(cx, argv, true)
}

#[inline]
fn call(cx: &mut ServerCx<'_>, argv: Argv<'_>, read_only: bool) -> Outcome {
    if cx.server.unusual & gate::unusual::MONITORS != 0 {
        // Monitors are shown the call before the commands that the function runs.
        monitor::feed(cx.server, cx.slot, argv);
    }
    engine::call(cx, argv, read_only)
}

fn load(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let options = argv.slice(2, argv.len() - 1);
    for option in options.iter() {
        if !is(option, "replace") {
            return Err([b"ERR Unknown option given: ", option].concat().into());
        }
    }
    let existing = match options.len() {
        0 => Existing::Stays,
        _ => Existing::Replaced,
    };
    let name = engine::load(cx.server, argv.at(argv.len() - 1), existing)?;
    cx.server.effects.dirty += 1;
    cx.reply.bulk(name.as_bytes());
    Ok(())
}

fn delete(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    engine::delete(cx.server, argv.at(2))?;
    done(cx)
}

fn flush(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let lazily = match argv.get(2) {
        _ if argv.len() > 3 => return Err(error::subcommand_syntax(argv.at(1), "function")),
        None => cx.server.config.lazyfree_lazy_user_flush,
        Some(mode) if is(mode, "sync") => false,
        Some(mode) if is(mode, "async") => true,
        Some(_) => return Err("ERR FUNCTION FLUSH only supports SYNC|ASYNC option".into()),
    };
    engine::flush(cx.server, lazily);
    done(cx)
}

fn dump(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let config = &cx.server.config;
    let version = rdb::Version::from_name(config.rdb_version.name());
    let version = version.expect("every name of rdb-version is a version");
    let sources = cx.server.functions.sources();
    let payload = rdb::dump_libraries(sources, version, config.rdbcompression);
    cx.reply.bulk(&payload);
    Ok(())
}

fn restore(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let policy = match argv.get(3) {
        _ if argv.len() > 4 => return Err(error::subcommand_syntax(argv.at(1), "function")),
        None => Policy::Append,
        Some(word) if is(word, "append") => Policy::Append,
        Some(word) if is(word, "replace") => Policy::Replace,
        Some(word) if is(word, "flush") => Policy::Flush,
        Some(_) => {
            return Err(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
                    .into(),
            );
        }
    };
    engine::restore(cx.server, argv.at(2), policy)?;
    done(cx)
}

/// The libraries are others now.
fn done(cx: &mut ServerCx<'_>) -> Outcome {
    cx.server.effects.dirty += 1;
    cx.reply.ok();
    Ok(())
}

fn kill(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.server.scripting.kill(Kind::Function)?;
    cx.reply.ok();
    Ok(())
}

fn stats(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let now_us = cx.server.now_us();
    let running = cx.server.scripting.running.as_ref();
    if let Some(running) = running
        && running.kind == Kind::Eval
    {
        return Err(scripting::busy(Kind::Eval));
    }
    cx.reply.map(2);
    cx.reply.bulk(b"running_script");
    match running {
        None => cx.reply.null(),
        Some(running) => {
            cx.reply.map(3);
            cx.reply.bulk(b"name");
            cx.reply.bulk(running.name.as_bytes());
            cx.reply.bulk(b"command");
            cx.reply.array(running.argv.len());
            for argument in &running.argv {
                cx.reply.bulk(argument);
            }
            cx.reply.bulk(b"duration_ms");
            cx.reply.int((now_us - running.began_us).max(0) / 1000);
        }
    }
    cx.reply.bulk(b"engines");
    cx.reply.map(1);
    cx.reply.bulk(ENGINE);
    cx.reply.map(2);
    cx.reply.bulk(b"libraries_count");
    cx.reply.int(cx.server.functions.libraries().len() as i64);
    cx.reply.bulk(b"functions_count");
    cx.reply.int(cx.server.functions.count() as i64);
    Ok(())
}

fn list(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let (pattern, with_code) = list_options(argv)?;
    let is_asked = |library: &Library| {
        pattern.is_none_or(|pattern| glob::matches(pattern, library.name.as_bytes(), true))
    };
    let all = || cx.server.functions.libraries();
    cx.reply
        .array(all().filter(|(library, _)| is_asked(library)).count());
    for (library, source) in all().filter(|(library, _)| is_asked(library)) {
        cx.reply.map(if with_code { 4 } else { 3 });
        cx.reply.bulk(b"library_name");
        cx.reply.bulk(library.name.as_bytes());
        cx.reply.bulk(b"engine");
        cx.reply.bulk(ENGINE);
        cx.reply.bulk(b"functions");
        cx.reply.array(library.functions.len());
        for function in &library.functions {
            describe(cx.reply, function);
        }
        if with_code {
            cx.reply.bulk(b"library_code");
            cx.reply.bulk(source);
        }
    }
    Ok(())
}

/// The pattern of the libraries that are asked about, and whether their sources are wanted.
fn list_options(argv: Argv<'_>) -> Result<(Option<&[u8]>, bool), ErrorReply> {
    let (mut pattern, mut with_code) = (None, false);
    let mut options = argv.tail(2).iter();
    while let Some(option) = options.next() {
        if !with_code && is(option, "withcode") {
            with_code = true;
        } else if pattern.is_none() && is(option, "libraryname") {
            let given = options.next();
            pattern = Some(given.ok_or("ERR library name argument was not given")?);
        } else {
            return Err([b"ERR Unknown argument ", option].concat().into());
        }
    }
    Ok((pattern, with_code))
}

fn describe(reply: &mut Reply, function: &Function) {
    reply.map(3);
    reply.bulk(b"name");
    reply.bulk(function.name.as_bytes());
    reply.bulk(b"description");
    match &function.description {
        Some(text) => reply.bulk(text),
        None => reply.null(),
    }
    reply.bulk(b"flags");
    let declared = || {
        let known = FLAG_NAMES.iter();
        known.filter(|(flag, _)| function.flags & flag != 0)
    };
    reply.set(declared().count());
    for (_, name) in declared() {
        reply.simple(name);
    }
}

fn show_help(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    const SUBCOMMANDS: &[(&str, &str)] = &[
        (
            "LOAD [REPLACE] <FUNCTION CODE>",
            "Make a library of its source; REPLACE has it take the place of the one of its name.",
        ),
        (
            "DELETE <LIBRARY NAME>",
            "Delete a library and its functions.",
        ),
        (
            "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
            "Tell what libraries there are, or those whose names match a pattern: name, engine and functions of\n\
             each, and its source too if WITHCODE is given.",
        ),
        (
            "STATS",
            "Tell which function runs, its command and for how many milliseconds, and how many libraries and\n\
             functions there are.",
        ),
        ("KILL", "End the function that runs, unless it has written."),
        ("FLUSH [ASYNC|SYNC]", "Delete all libraries."),
        (
            "DUMP",
            "Return all libraries as a payload for FUNCTION RESTORE.",
        ),
        (
            "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
            "Make the libraries of a payload, all or none. APPEND, the default, refuses those that are there,\n\
             REPLACE has them give way, and FLUSH deletes all others.",
        ),
    ];
    help::reply(cx.reply, "FUNCTION", SUBCOMMANDS);
    Ok(())
}
