//! COMMAND: the table of commands, told to clients.

use super::args::is;
use super::help;
use crate::base::glob;
use crate::resp::error::{self, Outcome};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::ServerCx;
use crate::server::keyspecs::keys_of;
use crate::server::registry::{CommandId, Registered, Registry, Resolved};
use crate::server::usage::{self, Argument, Kind};

const G: Group = Group::Server;
const ORDER: &[&str] = &["nondeterministic_output_order"];

/// The command.
pub static COMMANDS: &[Command] = &[cmd("command", -1, Server(all))
    .group(G)
    .categories(CAT_CONNECTION)
    .since("2.8.13")
    .flags(LOADING | STALE)
    .doc(
        "Returns the facts about all commands.",
        "O(N) in the number of commands",
    )
    .tips(ORDER)
    .subcommands(SUBCOMMANDS)];

const fn sub(
    name: &'static str,
    arity: i32,
    run: fn(&mut ServerCx<'_>, Argv<'_>) -> Outcome,
) -> Command {
    cmd(name, arity, Server(run))
        .group(G)
        .categories(CAT_CONNECTION)
        .flags(LOADING | STALE)
}

const SUBCOMMANDS: &[Command] = &[
    sub("count", 2, count)
        .since("2.8.13")
        .doc("Returns the number of commands.", "O(1)"),
    sub("docs", -2, docs)
        .since("7.0.0")
        .doc(
            "Returns what commands are for and which arguments they take.",
            "O(N) in the number of commands looked up",
        )
        .usage("[command-name [command-name ...]]")
        .tips(ORDER),
    sub("getkeys", -3, getkeys)
        .since("2.8.13")
        .doc(
            "Returns the keys among the arguments of a command.",
            "O(N) in the number of arguments",
        )
        .usage("command [arg [arg ...]]"),
    sub("getkeysandflags", -3, getkeysandflags)
        .since("7.0.0")
        .doc(
            "Returns the keys among the arguments of a command, and what it does with them.",
            "O(N) in the number of arguments",
        )
        .usage("command [arg [arg ...]]"),
    sub("help", 2, help)
        .since("5.0.0")
        .doc("Lists the subcommands.", "O(1)"),
    sub("info", -2, info)
        .since("2.8.13")
        .doc(
            "Returns the facts about commands.",
            "O(N) in the number of commands looked up",
        )
        .usage("[command-name [command-name ...]]")
        .history(&[("7.0.0", "Without names it is about all commands.")])
        .tips(ORDER),
    sub("list", -2, list)
        .since("7.0.0")
        .doc(
            "Returns the names of commands.",
            "O(N) in the number of commands",
        )
        .usage("[FILTERBY <MODULE module-name|ACLCAT category|PATTERN pattern>]")
        .tips(ORDER),
];

fn help(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    help::reply(
        cx.reply,
        "COMMAND",
        &[
            ("(no subcommand)", "The facts about all commands."),
            ("COUNT", "The number of commands."),
            (
                "LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
                "The names of commands.",
            ),
            (
                "INFO [<command-name> ...]",
                "The facts about these commands, or about all.",
            ),
            (
                "DOCS [<command-name> ...]",
                "What these commands are for and take, or all do.",
            ),
            (
                "GETKEYS <full-command>",
                "The keys among a command's arguments.",
            ),
            (
                "GETKEYSANDFLAGS <full-command>",
                "The same, with what the command does with each.",
            ),
        ],
    );
    Ok(())
}

/// The commands that can be called, subcommands aside.
fn callable(registry: &Registry) -> Vec<CommandId> {
    registry.bound().map(|(id, _)| id).collect()
}

fn all(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let registry = &cx.server.commands;
    let ids = callable(registry);
    cx.reply.array(ids.len());
    for id in ids {
        describe(cx.reply, registry, registry.get(id));
    }
    Ok(())
}

fn count(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.reply.int(cx.server.commands.bound().count() as i64);
    Ok(())
}

fn info(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    if argv.len() == 2 {
        return all(cx, argv);
    }
    let registry = &cx.server.commands;
    cx.reply.array(argv.len() - 2);
    for name in argv.tail(2).iter() {
        match registry.by_full_name(name) {
            Some(id) => describe(cx.reply, registry, registry.get(id)),
            None => cx.reply.null(),
        }
    }
    Ok(())
}

/// A set of words, each a status.
fn words<'a>(reply: &mut Reply, words: impl Iterator<Item = &'a str>) {
    let set = reply.defer_set();
    let mut count = 0;
    for word in words {
        reply.simple(word);
        count += 1;
    }
    reply.end_set(set, count);
}

/// The ten elements of COMMAND INFO.
fn describe(reply: &mut Reply, registry: &Registry, registered: &Registered) {
    let command = registered.command;
    let (first, last, step) = registered.command.legacy_range();
    reply.array(10);
    reply.bulk(registered.full_name.as_bytes());
    reply.int(command.arity.into());
    words(reply, command.flag_names());
    reply.int(first.into());
    reply.int(last.into());
    reply.int(step.into());
    let categories: Vec<String> = category_names(command.acl_categories())
        .map(|name| format!("@{name}"))
        .collect();
    words(reply, categories.iter().map(String::as_str));
    reply.set(command.tips.len());
    command
        .tips
        .iter()
        .for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(command.keys.len());
    command
        .keys
        .iter()
        .for_each(|spec| describe_keys(reply, spec));
    reply.array(registered.subcommands.len());
    for &id in &registered.subcommands {
        describe(reply, registry, registry.get(id));
    }
}

fn describe_keys(reply: &mut Reply, spec: &KeySpec) {
    let number = |reply: &mut Reply, name: &str, value: i32| {
        reply.bulk(name.as_bytes());
        reply.int(value.into());
    };
    let kind = |reply: &mut Reply, name: &str, fields| {
        reply.map(2);
        reply.bulk(b"type");
        reply.bulk(name.as_bytes());
        reply.bulk(b"spec");
        reply.map(fields);
    };
    reply.map(3 + usize::from(spec.notes.is_some()));
    if let Some(notes) = spec.notes {
        reply.bulk(b"notes");
        reply.bulk(notes.as_bytes());
    }
    reply.bulk(b"flags");
    words(reply, key_flag_names(spec.flags));
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(index) => {
            kind(reply, "index", 1);
            number(reply, "index", index);
        }
        Begin::Keyword(keyword, from) => {
            kind(reply, "keyword", 2);
            reply.bulk(b"keyword");
            reply.bulk(keyword.as_bytes());
            number(reply, "startfrom", from);
        }
        Begin::Unknown(_) => kind(reply, "unknown", 0),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            kind(reply, "range", 3);
            number(reply, "lastkey", last);
            number(reply, "keystep", step);
            number(reply, "limit", limit);
        }
        Find::KeyNum { index, first, step } => {
            kind(reply, "keynum", 3);
            number(reply, "keynumidx", index);
            number(reply, "firstkey", first);
            number(reply, "keystep", step);
        }
        Find::Unknown => kind(reply, "unknown", 0),
    }
}

fn docs(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let registry = &cx.server.commands;
    let ids = match argv.len() {
        2 => callable(registry),
        _ => argv
            .tail(2)
            .iter()
            .filter_map(|name| registry.by_full_name(name))
            .collect(),
    };
    cx.reply.map(ids.len());
    for id in ids {
        document(cx.reply, registry, registry.get(id));
    }
    Ok(())
}

/// A command's name and the map of what COMMAND DOCS says of it.
fn document(reply: &mut Reply, registry: &Registry, registered: &Registered) {
    let command = registered.command;
    let mut fields = 0;
    let mut field = |reply: &mut Reply, name: &str| {
        reply.bulk(name.as_bytes());
        fields += 1;
    };
    let text = |reply: &mut Reply, text: &str| reply.bulk(text.as_bytes());
    reply.bulk(registered.full_name.as_bytes());
    let map = reply.defer_map();
    field(reply, "summary");
    text(reply, command.summary);
    field(reply, "since");
    text(reply, command.since);
    field(reply, "group");
    text(reply, command.group.name());
    if !command.complexity.is_empty() {
        field(reply, "complexity");
        text(reply, command.complexity);
    }
    if let Some((since, instead)) = command.deprecated {
        field(reply, "doc_flags");
        words(reply, ["deprecated"].into_iter());
        field(reply, "deprecated_since");
        text(reply, since);
        field(reply, "replaced_by");
        text(reply, instead);
    }
    if !command.history.is_empty() {
        field(reply, "history");
        reply.set(command.history.len());
        for (version, change) in command.history {
            reply.array(2);
            text(reply, version);
            text(reply, change);
        }
    }
    let arguments = usage::arguments(command, 1 + usize::from(registered.parent.is_some()));
    if !arguments.is_empty() {
        field(reply, "arguments");
        document_arguments(reply, &arguments);
    }
    if !registered.subcommands.is_empty() {
        field(reply, "subcommands");
        reply.map(registered.subcommands.len());
        for &id in &registered.subcommands {
            document(reply, registry, registry.get(id));
        }
    }
    reply.end_map(map, fields);
}

fn document_arguments(reply: &mut Reply, arguments: &[Argument]) {
    reply.array(arguments.len());
    for argument in arguments {
        let mut fields = 2;
        let map = reply.defer_map();
        reply.bulk(b"name");
        reply.bulk(argument.name.as_bytes());
        reply.bulk(b"type");
        reply.bulk(argument.kind.name().as_bytes());
        if argument.parts().is_empty() {
            reply.bulk(b"display_text");
            reply.bulk(argument.name.as_bytes());
            fields += 1;
        }
        if let Kind::Key(spec) = argument.kind {
            reply.bulk(b"key_spec_index");
            reply.int(spec as i64);
            fields += 1;
        }
        if let Some(token) = &argument.token {
            reply.bulk(b"token");
            reply.bulk(token.as_bytes());
            fields += 1;
        }
        let flags = [
            (argument.optional, "optional"),
            (argument.multiple, "multiple"),
            (argument.multiple_token, "multiple_token"),
        ];
        if flags.iter().any(|(on, _)| *on) {
            reply.bulk(b"flags");
            words(
                reply,
                flags
                    .into_iter()
                    .filter_map(|(on, name)| on.then_some(name)),
            );
            fields += 1;
        }
        if !argument.parts().is_empty() {
            reply.bulk(b"arguments");
            document_arguments(reply, argument.parts());
            fields += 1;
        }
        reply.end_map(map, fields);
    }
}

/// What COMMAND LIST shows.
enum Listed<'a> {
    All,
    /// Those of a module: there are no modules.
    Module,
    Category(Categories),
    Pattern(&'a [u8]),
}

impl Listed<'_> {
    fn accepts(&self, registered: &Registered) -> bool {
        match self {
            Listed::All => true,
            Listed::Module => false,
            Listed::Category(category) => registered.command.acl_categories() & category != 0,
            Listed::Pattern(pattern) => {
                glob::matches(pattern, registered.full_name.as_bytes(), true)
            }
        }
    }
}

fn list(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let listed = match (argv.len(), argv.get(3)) {
        (2, _) => Listed::All,
        (5, Some(by)) if is(argv.at(2), "FILTERBY") => match () {
            _ if is(by, "MODULE") => Listed::Module,
            _ if is(by, "ACLCAT") => Listed::Category(category(argv.at(4)).unwrap_or(0)),
            _ if is(by, "PATTERN") => Listed::Pattern(argv.at(4)),
            _ => return Err(error::SYNTAX),
        },
        _ => return Err(error::SYNTAX),
    };
    let registry = &cx.server.commands;
    let array = cx.reply.defer_array();
    let mut shown = 0;
    let mut show = |reply: &mut Reply, registered: &Registered| {
        if listed.accepts(registered) {
            reply.bulk(registered.full_name.as_bytes());
            shown += 1;
        }
    };
    for id in callable(registry) {
        let registered = registry.get(id);
        show(cx.reply, registered);
        registered
            .subcommands
            .iter()
            .for_each(|&sub| show(cx.reply, registry.get(sub)));
    }
    cx.reply.end_array(array, shown);
    Ok(())
}

fn getkeys(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_keys(cx, argv.tail(2), false)
}

fn getkeysandflags(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_keys(cx, argv.tail(2), true)
}

/// Replies with the keys of a request.
fn reply_keys(cx: &mut ServerCx<'_>, request: Argv<'_>, with_flags: bool) -> Outcome {
    let command = match cx.server.commands.resolve(request.at(0), request.get(1)) {
        Resolved::Found(id) | Resolved::Bare(id) => cx.server.commands.get(id).command,
        Resolved::Unknown | Resolved::UnknownSub(_) => {
            return Err("ERR Invalid command specified".into());
        }
    };
    if command.keys.iter().all(|spec| spec.flags & NOT_KEY != 0) {
        return Err("ERR The command has no key arguments".into());
    }
    if !command.accepts(request.len()) {
        return Err("ERR Invalid number of arguments specified for command".into());
    }
    let keys = keys_of(command, request).unwrap_or_default();
    if keys.is_empty() && command.flags & NO_MANDATORY_KEYS == 0 {
        return Err("ERR Invalid arguments specified for command".into());
    }
    cx.reply.array(keys.len());
    for key in keys {
        if with_flags {
            cx.reply.array(2);
        }
        cx.reply.bulk(request.at(key.index));
        if with_flags {
            words(cx.reply, key_flag_names(key.flags));
        }
    }
    Ok(())
}
