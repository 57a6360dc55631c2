//! Every reason to refuse or delay a request, checked once, before it runs.

use crate::resp::error::{self, ErrorReply};
use crate::resp::reply::{Proto, Reply};
use crate::resp::request::Argv;
use crate::server::client::{Slot, unusual as client_unusual};
use crate::server::command::{self, Command};
use crate::server::multi;
use crate::server::registry::{CommandId, Resolved};
use crate::server::scripting;
use crate::server::state::Server;
use crate::server::tracking;

/// Conditions of the server under which the gate looks closer.
pub mod unusual {
    /// `maxmemory` is set.
    pub const MAXMEMORY: u32 = 1 << 0;
    /// Some client runs MONITOR.
    pub const MONITORS: u32 = 1 << 1;
    /// CLIENT PAUSE is in force.
    pub const PAUSED: u32 = 1 << 2;
    /// The data set is being loaded.
    pub const LOADING: u32 = 1 << 3;
    /// More keys are tracked than may be.
    pub const TRACKING_FULL: u32 = 1 << 4;
    /// The command in progress changed what its own client tracks.
    pub const INVALIDATED: u32 = 1 << 5;
    /// The append-only file cannot be written.
    pub const AOF_FAILED: u32 = 1 << 6;
    /// The last snapshot could not be written, and that matters.
    pub const SAVE_FAILED: u32 = 1 << 7;
    /// A script has run for longer than `busy-reply-threshold`.
    pub const BUSY: u32 = 1 << 8;
}

/// What becomes of a request.
pub enum Verdict {
    /// It runs now.
    Run,
    /// It runs with what else its client queues (MULTI).
    Queue,
    /// It is refused.
    Reject(ErrorReply),
    /// It waits for the end of a pause.
    Postpone,
}

/// Admits a request or says why not. What its client is told of what was done to make room goes to
/// `reply`.
#[inline]
pub fn admit(
    server: &mut Server,
    reply: &mut Reply,
    slot: Slot,
    command: &Command,
    argv: Argv<'_>,
) -> Verdict {
    let bits = server.unusual | server.clients.at(slot).unusual;
    if bits == 0 && command.accepts(argv.len()) && command.flags & command::PROTECTED == 0 {
        return Verdict::Run;
    }
    look_closer(server, reply, slot, command, argv)
}

#[cold]
fn look_closer(
    server: &mut Server,
    reply: &mut Reply,
    slot: Slot,
    command: &Command,
    argv: Argv<'_>,
) -> Verdict {
    use command::*;
    note_request(server, slot);
    if !command.accepts(argv.len()) {
        return Verdict::Reject(error::wrong_arity(&full_name(server, argv)));
    }
    let client = server.clients.at(slot);
    if !client.is_authenticated() && command.flags & NO_AUTH == 0 {
        return Verdict::Reject(error::NO_AUTH);
    }
    if command.flags & PROTECTED != 0 && !server.allows_protected(slot, command) {
        return Verdict::Reject(protected(command));
    }
    if client.is_in_multi() && command.flags & NO_MULTI != 0 {
        return Verdict::Reject(error::NOT_IN_MULTI);
    }
    let (any_flags, all_flags) = if command.flags & RUNS_SCRIPTS == 0 || multi::is_exec(command) {
        multi::admission_flags(client, command)
    } else {
        let flags = scripting::admission_flags(server, command, argv);
        (flags, flags)
    };
    let queues = client.is_in_multi() && command.flags & NOT_QUEUED == 0;
    let is_monitor = client.unusual & client_unusual::MONITOR != 0;
    if is_monitor && any_flags & (WRITE | READONLY | MAY_REPLICATE) != 0 {
        return Verdict::Reject(error::REPLICA_KEYSPACE);
    }
    if !make_room(server, reply, slot) && any_flags & DENYOOM != 0 {
        return Verdict::Reject(error::OOM);
    }
    if (any_flags & WRITE != 0 || command.name == "ping")
        && let Some(refusal) = persistence_refusal(server)
    {
        return Verdict::Reject(refusal);
    }
    let client = server.clients.at(slot);
    if client.is_subscribed() && client.proto == Proto::Resp2 && !command.runs_in_subscriber_mode()
    {
        return Verdict::Reject(error::in_subscriber_mode(&full_name(server, argv)));
    }
    if server.unusual & unusual::LOADING != 0 && all_flags & LOADING == 0 {
        return Verdict::Reject(error::LOADING);
    }
    if server.unusual & unusual::BUSY != 0 && all_flags & ALLOW_BUSY == 0 {
        let kind = server.scripting.running_mut().kind;
        return Verdict::Reject(scripting::busy(kind));
    }
    if server.unusual & unusual::PAUSED != 0 && server.pause.holds(any_flags, server.now_ms()) {
        tracking::put_off_request(server.clients.at_mut(slot));
        return Verdict::Postpone;
    }
    if queues { Verdict::Queue } else { Verdict::Run }
}

/// Admits a command of the running script, or says why not.
#[inline]
pub fn admit_in_script(server: &mut Server, argv: Argv<'_>) -> Result<CommandId, ErrorReply> {
    const WRONG_ARITY: ErrorReply =
        ErrorReply::Fixed("ERR Wrong number of args calling command from script");
    let id = match server.commands.resolve(argv.at(0), argv.get(1)) {
        Resolved::Found(id) => id,
        Resolved::Bare(_) => return Err(WRONG_ARITY),
        _ => return Err("ERR Unknown command called from script".into()),
    };
    let command = server.commands.get(id).command;
    if !command.accepts(argv.len()) {
        return Err(WRONG_ARITY);
    }
    if command.flags & command::NOSCRIPT != 0
        && (!server.scripting.allows_all || command.group == command::Group::Scripting)
    {
        return Err("ERR This Redis command is not allowed from script".into());
    }
    let running = server.scripting.running_mut();
    if running.read_only && command.flags & (command::WRITE | command::MAY_REPLICATE) != 0 {
        return Err("ERR Write commands are not allowed from read-only scripts.".into());
    }
    // Half of what a script does is worse than none: what was begun is let go on.
    if command.flags & (command::WRITE | command::DENYOOM) != 0 && !running.wrote {
        let allows_oom = running.allow_oom;
        let writes = command.flags & command::WRITE != 0;
        if writes && let Some(refusal) = persistence_refusal(server) {
            return Err(refusal);
        }
        if command.flags & command::DENYOOM != 0 && !allows_oom && !server.has_room() {
            return Err(error::OOM);
        }
        server.scripting.running_mut().wrote = writes;
    }
    Ok(id)
}

/// A client that tracks is about to do something else.
fn note_request(server: &mut Server, slot: Slot) {
    let client = server.clients.at_mut(slot);
    if client.unusual & client_unusual::TRACKING != 0 {
        let command = client.last_command.map(|id| server.commands.get(id));
        let is_of_client = command.is_some_and(|c| c.full_name.starts_with("client|"));
        tracking::begin_request(client, is_of_client);
    }
}

/// Makes room for data and for what is tracked; says whether there is enough for data. What the client
/// is told of that goes before its reply.
fn make_room(server: &mut Server, reply: &mut Reply, slot: Slot) -> bool {
    // What is being loaded must fit.
    let limits = server.unusual & (unusual::MAXMEMORY | unusual::LOADING);
    let has_room = limits != unusual::MAXMEMORY || server.make_room();
    server.had_room = has_room;
    if server.unusual & unusual::TRACKING_FULL != 0 {
        tracking::limit(server);
    }
    if !server.deliveries.is_empty() {
        let own = server.deliveries.extract_if(.., |(to, _)| *to == slot);
        own.for_each(|(_, bytes)| reply.raw(&bytes));
    }
    has_room
}

/// Why nothing is to be written now: it might not survive.
pub fn persistence_refusal(server: &Server) -> Option<ErrorReply> {
    if server.unusual & unusual::SAVE_FAILED != 0 {
        return Some(error::MISCONF_SAVE);
    }
    let reason = server.aof.error()?;
    Some(format!("MISCONF Errors writing to the AOF file: {reason}").into())
}

/// Brings up to date whether writes are refused because snapshots fail.
pub fn note_persistence(server: &mut Server) {
    let config = &server.config;
    let matters = config.stop_writes_on_bgsave_error && !config.save.is_empty();
    server.set_unusual(unusual::SAVE_FAILED, matters && server.snapshots.has_failed);
}

/// The refusal of a request whose first words lead nowhere.
#[cold]
pub fn unresolved(server: &Server, resolved: Resolved, argv: Argv<'_>) -> ErrorReply {
    match resolved {
        Resolved::Unknown | Resolved::Found(_) => {
            error::unknown_command(argv.at(0), argv.tail(1).iter())
        }
        Resolved::Bare(id) => error::wrong_arity(server.commands.get(id).command.name),
        Resolved::UnknownSub(id) => {
            error::unknown_subcommand(argv.at(1), server.commands.get(id).command.name)
        }
    }
}

/// The name of a request's command, with the subcommand.
fn full_name(server: &Server, argv: Argv<'_>) -> String {
    match server.commands.resolve(argv.at(0), argv.get(1)) {
        Resolved::Found(id) | Resolved::Bare(id) | Resolved::UnknownSub(id) => {
            server.commands.get(id).full_name.clone()
        }
        Resolved::Unknown => String::from_utf8_lossy(argv.at(0)).into_owned(),
    }
}

fn protected(command: &Command) -> ErrorReply {
    let (name, option) = if command.name == "debug" {
        ("DEBUG", "enable-debug-command")
    } else {
        ("MODULE", "enable-module-command")
    };
    ErrorReply::Text(format!(
        "ERR {name} command not allowed. If the {option} option is set to \"local\", you can run it from a local \
         connection, otherwise you need to set this option in the configuration file, and then restart the server."
    ))
}
