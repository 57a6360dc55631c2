//! CLIENT: what the server knows of its connections, and what they may ask of it.

mod filter;
mod tracking;

use super::args::{integer, is};
use super::help;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::blocked;
use crate::server::client::{Client, Closing, ReplyMode};
use crate::server::client_eviction;
use crate::server::client_info;
use crate::server::command::*;
use crate::server::cx::ServerCx;
use crate::server::gate;
use crate::server::pause::Scope;
use filter::Filter;
use tracking::{caching, getredir, tracking, trackinginfo};

/// CLIENT with its subcommands, for the family's table.
pub(super) const COMMAND: Command = cmd("client", -2, Container)
    .group(Group::Connection)
    .since("2.4.0")
    .doc(
        "Holds the commands about connections.",
        "Depends on subcommand.",
    )
    .subcommands(SUBCOMMANDS);

const fn sub(
    name: &'static str,
    arity: i32,
    run: fn(&mut ServerCx<'_>, Argv<'_>) -> Outcome,
) -> Command {
    cmd(name, arity, Server(run))
        .group(Group::Connection)
        .flags(NOSCRIPT | LOADING | STALE)
}

const fn admin(
    name: &'static str,
    arity: i32,
    run: fn(&mut ServerCx<'_>, Argv<'_>) -> Outcome,
) -> Command {
    sub(name, arity, run).flags(ADMIN | NOSCRIPT | LOADING | STALE)
}

const SUBCOMMANDS: &[Command] = &[
    sub("caching", 3, caching)
        .since("6.0.0")
        .doc("Says whether the keys of the next command are tracked.", "O(1)")
        .usage("<YES|NO>"),
    sub("capa", -3, capa)
        .since("8.0.0")
        .doc("Announces what the client is able to do.", "O(1)")
        .usage("capability [capability ...]"),
    sub("getname", 2, getname)
        .since("2.6.9")
        .doc("Returns the connection's name.", "O(1)"),
    sub("getredir", 2, getredir)
        .since("6.0.0")
        .doc("Returns the client that invalidation messages go to instead.", "O(1)"),
    sub("help", 2, help)
        .since("5.0.0")
        .flags(LOADING | STALE)
        .doc("Lists the subcommands.", "O(1)"),
    sub("id", 2, id)
        .since("5.0.0")
        .doc("Returns the connection's number, which no other ever had.", "O(1)"),
    sub("import-source", 3, import_source)
        .since("8.1.0")
        .doc("Marks the connection as one that imports data.", "O(1)")
        .usage("<ON|OFF>"),
    sub("info", 2, info)
        .since("6.2.0")
        .doc("Describes the connection.", "O(1)")
        .tips(&["nondeterministic_output"]),
    admin("kill", -3, kill)
        .since("2.4.0")
        .doc("Ends connections.", "O(N) in the number of connections")
        .usage(
            "<ip-and-port|[ID client-id [client-id ...]] \
             [TYPE <NORMAL|MASTER|PRIMARY|SLAVE|REPLICA|PUBSUB>] [USER username] \
             [ADDR ip-and-port] [LADDR ip-and-port] [SKIPME <YES|NO>] [MAXAGE maxage]>",
        )
        .history(&[
            ("2.8.12", "Takes filters."),
            ("2.8.12", "Added the `ID` filter."),
            ("3.2.0", "Added the type `master`."),
            ("5.0.0", "The type `slave` is called `replica`; the old name still works."),
            ("6.2.0", "Added the `LADDR` filter."),
            ("7.4.0", "Added the `MAXAGE` filter."),
        ]),
    admin("list", -2, list)
        .since("2.4.0")
        .doc("Describes the connections.", "O(N) in the number of connections")
        .usage(
            "[TYPE <NORMAL|MASTER|REPLICA|PUBSUB>] [ID client-id [client-id ...]] [USER username] \
             [ADDR ip-and-port] [LADDR ip-and-port] [SKIPME <YES|NO>] [MAXAGE maxage]",
        )
        .history(&[
            ("2.8.12", "Added the field `id`."),
            ("5.0.0", "Added the `TYPE` filter."),
            ("6.0.0", "Added the field `user`."),
            ("6.2.0", "Added the fields `argv-mem`, `tot-mem`, `laddr` and `redir`, and the `ID` filter."),
            ("7.0.0", "Added the fields `resp`, `multi-mem`, `rbs` and `rbp`."),
            ("7.0.3", "Added the field `ssub`."),
        ])
        .tips(&["nondeterministic_output"]),
    admin("no-evict", 3, no_evict)
        .since("7.0.0")
        .doc("Says whether the connection may be ended to save memory.", "O(1)")
        .usage("<ON|OFF>"),
    sub("no-touch", 3, no_touch)
        .since("7.2.0")
        .doc("Says whether the connection's commands count as use of their keys.", "O(1)")
        .usage("<ON|OFF>"),
    admin("pause", -3, pause)
        .since("3.0.0")
        .doc("Makes commands wait for a while.", "O(1)")
        .usage("timeout [WRITE|ALL]")
        .history(&[("6.2.0", "Can pause writes only.")]),
    sub("reply", 3, reply)
        .since("3.2.0")
        .doc("Says whether the connection is sent replies.", "O(1)")
        .usage("<ON|OFF|SKIP>"),
    sub("setinfo", 4, setinfo)
        .since("7.2.0")
        .doc("Tells which client library is in use.", "O(1)")
        .usage("<LIB-NAME libname|LIB-VER libver>")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    sub("setname", 3, setname)
        .since("2.6.9")
        .doc("Names the connection.", "O(1)")
        .usage("connection-name")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    sub("tracking", -3, tracking)
        .since("6.0.0")
        .doc("Says whether the connection is told when keys that it read change.", "O(1)")
        .usage("<ON|OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]"),
    sub("trackinginfo", 2, trackinginfo)
        .since("6.2.0")
        .doc("Describes the connection's tracking.", "O(1)"),
    admin("unblock", -3, unblock)
        .since("5.0.0")
        .doc("Ends another connection's wait in a blocking command.", "O(log N) in the number of connections")
        .usage("client-id [TIMEOUT|ERROR]"),
    admin("unpause", 2, unpause)
        .since("6.2.0")
        .doc("Ends a pause.", "O(N) in the number of commands that wait"),
];

fn help(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    help::reply(
        cx.reply,
        "CLIENT",
        &[
            (
                "CACHING (YES|NO)",
                "Track the keys of the next command, or do not (OPTIN, OPTOUT).",
            ),
            (
                "CAPA <capability> [<capability> ...]",
                "Announce what this client is able to do: REDIRECT.",
            ),
            ("GETNAME", "The name of this connection."),
            (
                "GETREDIR",
                "The client that this one's invalidation messages go to.",
            ),
            ("ID", "The number of this connection."),
            (
                "IMPORT-SOURCE (ON|OFF)",
                "Mark this connection as one that imports data.",
            ),
            ("INFO", "Describe this connection."),
            ("KILL <ip:port>", "End the connection from this address."),
            (
                "KILL <filter> <value> [<filter> <value> ...]",
                "End the connections that pass all filters:\n\
                 * ID <client-id> [<client-id> ...]\n\
                 * ADDR (<ip:port>|<unixsocket>:0), the other end\n\
                 * LADDR (<ip:port>|<unixsocket>:0), this end\n\
                 * TYPE (NORMAL|PRIMARY|REPLICA|PUBSUB)\n\
                 * USER <username>\n\
                 * SKIPME (YES|NO), default YES\n\
                 * MAXAGE <seconds>, connected for at least so long",
            ),
            (
                "LIST [<filter> <value> ...]",
                "Describe the connections that pass all filters of KILL.",
            ),
            (
                "NO-EVICT (ON|OFF)",
                "Keep this connection when memory is short.",
            ),
            (
                "NO-TOUCH (ON|OFF)",
                "Do not count this connection's commands as use of their keys.",
            ),
            (
                "PAUSE <milliseconds> [WRITE|ALL]",
                "Make all commands, or those that write, wait.",
            ),
            (
                "REPLY (ON|OFF|SKIP)",
                "Send this connection replies, none, or not the next one.",
            ),
            (
                "SETINFO <option> <value>",
                "Tell about the client's library:\n* LIB-NAME, its name\n* LIB-VER, its version",
            ),
            ("SETNAME <name>", "Name this connection."),
            (
                "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
                "Have this connection told when keys that it read change.",
            ),
            ("TRACKINGINFO", "Describe this connection's tracking."),
            (
                "UNBLOCK <client-id> [TIMEOUT|ERROR]",
                "End a connection's wait in a blocking command.",
            ),
            ("UNPAUSE", "End a pause."),
        ],
    );
    Ok(())
}

/// Refuses a name with bytes that would break the lines of CLIENT LIST. `what` names it.
pub(super) fn check_name(what: &[u8], name: &[u8]) -> Outcome {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(());
    }
    let rest = b" cannot contain spaces, newlines or special characters.";
    Err(ErrorReply::Bytes([b"ERR ", what, rest].concat()))
}

fn setname(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    check_name(b"Client names", argv.at(2))?;
    cx.client_mut().set_name(argv.at(2));
    cx.reply.ok();
    Ok(())
}

fn getname(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    match cx.server.clients.at(cx.slot).name() {
        [] => cx.reply.null(),
        name => cx.reply.bulk(name),
    }
    Ok(())
}

fn setinfo(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let (option, value) = (argv.at(2), argv.at(3));
    let is_name = is(option, "LIB-NAME");
    if !is_name && !is(option, "LIB-VER") {
        return Err(ErrorReply::Bytes(
            [b"ERR Unrecognized option '", option, b"'"].concat(),
        ));
    }
    check_name(option, value)?;
    let label = cx.client_mut().label_mut();
    let field = if is_name {
        &mut label.lib_name
    } else {
        &mut label.lib_version
    };
    *field = value.to_vec();
    cx.reply.ok();
    Ok(())
}

fn id(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let id = cx.client().id;
    cx.reply.int(id as i64);
    Ok(())
}

fn capa(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    // What is not known is what a later version of the protocol brought.
    if argv
        .tail(2)
        .iter()
        .any(|capability| is(capability, "REDIRECT"))
    {
        cx.client_mut().can_redirect = true;
    }
    cx.reply.ok();
    Ok(())
}

fn import_source(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    if !is(argv.at(2), "OFF") {
        return Err("ERR Server is not in import mode".into());
    }
    cx.reply.ok();
    Ok(())
}

/// The line of a client, with the line end that CLIENT INFO and LIST put behind each.
fn describe(cx: &ServerCx<'_>, client: &Client) -> String {
    let request_bytes = if client.slot == cx.slot {
        cx.server.request_bytes
    } else {
        0
    };
    let mut line = client_info::line(cx.server, client, request_bytes);
    line.push('\n');
    line
}

fn info(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let line = describe(cx, cx.client());
    cx.reply.verbatim("txt", line.as_bytes());
    Ok(())
}

fn list(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let filter = Filter::parse(argv.tail(2), false)?;
    let lines: String = filter
        .select(cx)
        .iter()
        .map(|&slot| describe(cx, cx.server.clients.at(slot)))
        .collect();
    cx.reply.verbatim("txt", lines.as_bytes());
    Ok(())
}

fn kill(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let by_address = argv.len() == 3;
    let filter = if by_address {
        Filter::address(argv.at(2))
    } else {
        Filter::parse(argv.tail(2), true)?
    };
    let killed = filter.select(cx);
    for &slot in &killed {
        if slot == cx.slot {
            // The client that asks is told first.
            cx.server.close_client(slot, Closing::AfterReplies);
        } else {
            cx.server.kill_client(slot);
        }
    }
    match by_address {
        true if killed.is_empty() => return Err("ERR No such client".into()),
        true => cx.reply.ok(),
        false => cx.reply.int(killed.len() as i64),
    }
    Ok(())
}

/// The truth value that ON or OFF is.
fn on_off(arg: &[u8]) -> Result<bool, ErrorReply> {
    match () {
        _ if is(arg, "ON") => Ok(true),
        _ if is(arg, "OFF") => Ok(false),
        _ => Err(error::SYNTAX),
    }
}

fn no_evict(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    cx.client_mut().no_evict = on_off(argv.at(2))?;
    client_eviction::note(cx.server, cx.slot, 0);
    cx.reply.ok();
    Ok(())
}

fn no_touch(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    cx.client_mut().no_touch = on_off(argv.at(2))?;
    cx.reply.ok();
    Ok(())
}

fn reply(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let (slot, mode) = (cx.slot, argv.at(2));
    let client = cx.server.clients.at_mut(slot);
    if is(mode, "ON") {
        client.set_reply_mode(ReplyMode::On);
        cx.reply.ok();
    } else if is(mode, "OFF") {
        client.set_reply_mode(ReplyMode::Off);
    } else if is(mode, "SKIP") {
        if client.reply_mode != ReplyMode::Off {
            client.set_reply_mode(ReplyMode::SkipNext);
        }
    } else {
        return Err(error::SYNTAX);
    }
    Ok(())
}

fn pause(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let scope = match argv.get(3) {
        None => Scope::All,
        Some(mode) if is(mode, "WRITE") => Scope::Write,
        Some(mode) if is(mode, "ALL") => Scope::All,
        Some(_) => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".into()),
    };
    let timeout_ms = integer(argv.at(2)).map_err(|_| error::TIMEOUT_NOT_AN_INTEGER)?;
    if timeout_ms < 0 {
        return Err(error::TIMEOUT_NEGATIVE);
    }
    let until_ms = timeout_ms
        .checked_add(cx.server.now_ms())
        .ok_or("ERR timeout is out of range")?;
    cx.server.pause.start(scope, until_ms);
    cx.server.set_unusual(gate::unusual::PAUSED, true);
    cx.reply.ok();
    Ok(())
}

fn unpause(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.server.pause.end();
    cx.server.set_unusual(gate::unusual::PAUSED, false);
    cx.reply.ok();
    Ok(())
}

fn unblock(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    if argv
        .get(3)
        .is_some_and(|reason| !is(reason, "TIMEOUT") && !is(reason, "ERROR"))
    {
        return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into());
    }
    let id = integer(argv.at(2))?;
    let by_error = argv.get(3).is_some_and(|reason| is(reason, "ERROR"));
    let error = by_error.then_some(error::UNBLOCKED);
    let found = u64::try_from(id)
        .ok()
        .and_then(|id| cx.server.clients.by_id(id));
    let unblocked = match found.map(|client| client.slot) {
        Some(slot) => blocked::unblock(cx.server, slot, error),
        None => false,
    };
    cx.reply.int(unblocked.into());
    Ok(())
}
