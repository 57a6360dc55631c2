//! The one place where a handler runs, and what follows from it.

use crate::base::clock;
use crate::resp::error::{ErrorReply, Outcome};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::blocked;
use crate::server::client::{Closing, ReplyMode, Slot, unusual as client_unusual};
use crate::server::command::{ADMIN, Handler, RUNS_SCRIPTS, SKIP_MONITOR, SKIP_SLOWLOG};
use crate::server::crash;
use crate::server::cx::{KeyHashes, ServerCx};
use crate::server::gate::{self, Verdict};
use crate::server::monitor;
use crate::server::multi;
use crate::server::propagate;
use crate::server::reactions;
use crate::server::registry::{CommandId, Resolved};
use crate::server::scripting;
use crate::server::slowlog::{self, Kind};
use crate::server::state::Server;
use crate::server::tracking;

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// It was answered.
    Answered,
    /// It must be offered again later, and nothing of the client's before.
    Postponed,
    /// It waits for a key, and what the client sent after it waits with it.
    Parked,
}

/// Admits and runs a request of a client; the reply is appended to `reply`.
#[inline]
pub fn request(
    server: &mut Server,
    reply: &mut Reply,
    slot: Slot,
    resolved: Resolved,
    argv: Argv<'_>,
    hashes: KeyHashes<'_>,
) -> Done {
    let Resolved::Found(id) = resolved else {
        if is_another_protocol(argv) {
            return hang_up(server, slot);
        }
        let refusal = gate::unresolved(server, resolved, argv);
        return refuse(server, reply, slot, None, argv, refusal);
    };
    server.clients.at_mut(slot).last_command = Some(id);
    let command = server.commands.get(id).command;
    match gate::admit(server, reply, slot, command, argv) {
        Verdict::Run => {}
        Verdict::Queue => return queue(server, reply, slot, id, argv),
        Verdict::Reject(refusal) => return refuse(server, reply, slot, Some(id), argv, refusal),
        Verdict::Postpone => return Done::Postponed,
    }
    let start = reply.mark();
    run(server, reply, slot, id, argv, hashes);
    if server.unusual & (gate::unusual::MONITORS | gate::unusual::INVALIDATED) != 0 {
        tell_others(server, slot, id, argv);
    }
    let parked = server.effects.has_aftermath() && aftermath(server, slot, id, argv);
    if parked {
        return Done::Parked;
    }
    if server.clients.at(slot).unusual & client_unusual::REPLY_MODE != 0
        && silence(server, slot)
        && !command.is_subscribing()
    {
        reply.rollback(start);
    }
    Done::Answered
}

/// Tells those who want to know of a client's command that it has run, or what it changed.
#[cold]
fn tell_others(server: &mut Server, slot: Slot, id: CommandId, argv: Argv<'_>) {
    show(server, slot, id, argv);
    if server.unusual & gate::unusual::INVALIDATED != 0 {
        tracking::send_late(server);
    }
}

/// Shows a command that has run to those who asked for all of them.
#[inline]
pub fn show(server: &mut Server, slot: Slot, id: CommandId, argv: Argv<'_>) {
    if server.unusual & gate::unusual::MONITORS != 0
        && server.commands.get(id).command.flags & (SKIP_MONITOR | ADMIN) == 0
    {
        monitor::feed(server, slot, argv);
    }
}

/// What follows from a client's command once it is through: it waits, or others wait no longer.
/// Says whether it waits.
#[cold]
fn aftermath(server: &mut Server, slot: Slot, id: CommandId, argv: Argv<'_>) -> bool {
    let wait = server.effects.wait.take();
    let parked = wait.is_some();
    if let Some(wait) = wait {
        blocked::park(server, slot, id, argv, wait);
    }
    blocked::serve(server);
    parked
}

/// Runs a command that was admitted, and carries out its effects. This is for those that come in other
/// ways than from a socket: in a function of their own, so that the path of the others stays one piece.
#[inline(never)]
pub fn call(
    server: &mut Server,
    reply: &mut Reply,
    slot: Slot,
    id: CommandId,
    argv: Argv<'_>,
    hashes: KeyHashes<'_>,
) {
    run(server, reply, slot, id, argv, hashes);
}

/// Runs a command that ran before, from a file: nothing is counted, and nobody is told.
pub fn replay(
    server: &mut Server,
    reply: &mut Reply,
    slot: Slot,
    id: CommandId,
    argv: Argv<'_>,
) -> Outcome {
    let outer = crash::enter_command(&server.commands.get(id).command.name, argv.len(), 0);
    let outcome = handle(server, reply, slot, id, argv, KeyHashes::default());
    crash::leave_command(outer);
    // Those who wait or watch began before the data set was replaced, and were told of that.
    server.effects.events.clear();
    server.effects.became.clear();
    server.effects.wait = None;
    server.effects.replaced = None;
    server.dirty += server.effects.dirty;
    outcome
}

#[inline(always)]
fn run(
    server: &mut Server,
    reply: &mut Reply,
    slot: Slot,
    id: CommandId,
    argv: Argv<'_>,
    hashes: KeyHashes<'_>,
) {
    let command = server.commands.get(id).command;
    let (start, length_before) = (reply.mark(), reply.len());
    let outer = crash::enter_command(&command.name, argv.len(), server.request_bytes);
    let outcome = handle(server, reply, slot, id, argv, hashes);
    crash::leave_command(outer);
    let failed = outcome.is_err();
    if let Err(e) = outcome {
        reply.rollback(start);
        answer_error(server, reply, &e);
    }
    let reply_bytes = (reply.len() - length_before) as u64;
    finish(server, slot, id, argv, failed, reply_bytes);
}

/// Has a command's handler do its work.
#[inline(always)]
fn handle(
    server: &mut Server,
    reply: &mut Reply,
    slot: Slot,
    id: CommandId,
    argv: Argv<'_>,
    hashes: KeyHashes<'_>,
) -> Outcome {
    server.effects.reset();
    match server.commands.get(id).command.handler {
        Handler::Data(run) => run(&mut server.data_cx(slot, reply, hashes), argv),
        Handler::Server(run) => run(
            &mut ServerCx {
                server,
                slot,
                reply,
            },
            argv,
        ),
        Handler::Container => unreachable!("a container resolves to a subcommand or is refused"),
    }
}

/// Counts what ran. One reading of the clock ends this command and begins the next.
#[inline(always)]
fn finish(
    server: &mut Server,
    slot: Slot,
    id: CommandId,
    argv: Argv<'_>,
    failed: bool,
    reply_bytes: u64,
) {
    let nanoseconds = server.advance_time_to(clock::ticks());
    if server.effects.has_reactions() {
        reactions::run(server, Some(slot));
    }
    if server.effects.has_propagation() {
        propagate::command(server, slot, id, argv);
    }
    server.dirty += server.effects.dirty;
    if server.effects.wait.is_some() {
        // It counts when it has run to its end. What it did before (keys found expired, a consumer
        // created) is done.
        if server.clients.at(slot).unusual & client_unusual::TRACKING != 0 {
            tracking::remember(server, slot, id, argv);
        }
        return;
    }
    server.stats.commands += 1;
    let stats = server.commands.stats_mut(id);
    stats.calls += 1;
    stats.nanoseconds += nanoseconds;
    stats.failed += u64::from(failed);
    if server.config.latency_tracking {
        stats.latency.get_or_insert_default().record(nanoseconds);
    }
    // A command may end its own client.
    if let Some(client) = server.clients.get_mut(slot) {
        client.commands += 1;
        if client.unusual & client_unusual::TRACKING != 0 {
            tracking::remember(server, slot, id, argv);
        }
    }
    let logged = [
        (Kind::Slow, nanoseconds / 1000),
        // With what the client sent behind it: the exact size is found out if this is large.
        (Kind::LargeRequest, server.request_bytes as u64),
        (Kind::LargeReply, reply_bytes),
    ];
    for (kind, amount) in logged {
        if amount >= server.config.command_log_limits(kind).0 {
            log_command(server, slot, id, argv, kind, amount);
        }
    }
    if server.config.latency_monitor_threshold != 0 {
        let event = if server.commands.get(id).command.flags & crate::server::command::FAST != 0 {
            "fast-command"
        } else {
            "command"
        };
        let (limit_ms, now_s) = (
            server.config.latency_monitor_threshold,
            server.now_ms() / 1000,
        );
        server
            .latency
            .note(event, nanoseconds / 1_000_000, limit_ms, now_s);
        let expiry_us = std::mem::take(&mut server.effects.slowest_expiry_us);
        server.note_latency("expire-del", expiry_us);
    }
}

#[cold]
fn log_command(
    server: &mut Server,
    slot: Slot,
    id: CommandId,
    argv: Argv<'_>,
    kind: Kind,
    amount: u64,
) {
    let (least, len_max) = server.config.command_log_limits(kind);
    let amount = if kind == Kind::LargeRequest {
        slowlog::request_bytes(argv)
    } else {
        amount
    };
    if amount < least || server.commands.get(id).command.flags & SKIP_SLOWLOG != 0 {
        return;
    }
    let argv = monitor::redacted(argv, slowlog::shorten);
    let (peer, name) = match server.clients.get_mut(slot) {
        Some(client) => (client.peer.to_string(), client.name().to_vec()),
        None => Default::default(),
    };
    let now_s = server.now_ms() / 1000;
    let log = server.slowlog.of_mut(kind);
    log.push(now_s, amount, argv, peer, name, len_max);
}

/// Whether this is a line of an HTTP request: somebody has a browser talk to us (cross-protocol
/// scripting), and what follows would be commands of theirs.
fn is_another_protocol(argv: Argv<'_>) -> bool {
    let word = argv.at(0);
    word.eq_ignore_ascii_case(b"post") || word.eq_ignore_ascii_case(b"host:")
}

/// Ends the connection of a client that speaks another protocol, without an answer.
#[cold]
fn hang_up(server: &mut Server, slot: Slot) -> Done {
    const LOG_EVERY_MS: i64 = 60_000;
    if server.now_ms() - server.attack_logged_ms >= LOG_EVERY_MS {
        server.attack_logged_ms = server.now_ms();
        tracing::warn!(
            "Possible SECURITY ATTACK detected: HTTP was sent to this port, as when a browser is made to send commands. \
             Connection from {} aborted.",
            server.clients.at(slot).peer
        );
    }
    server.close_client(slot, Closing::Now);
    Done::Answered
}

/// Queues a request inside MULTI.
#[cold]
fn queue(
    server: &mut Server,
    reply: &mut Reply,
    slot: Slot,
    id: CommandId,
    argv: Argv<'_>,
) -> Done {
    let start = reply.mark();
    let command = server.commands.get(id).command;
    let flags = if command.flags & RUNS_SCRIPTS == 0 {
        command.flags
    } else {
        scripting::admission_flags(server, command, argv)
    };
    multi::queue(server.clients.at_mut(slot), id, flags, argv);
    reply.simple("QUEUED");
    if server.clients.at(slot).unusual & client_unusual::REPLY_MODE != 0 && silence(server, slot) {
        reply.rollback(start);
    }
    Done::Answered
}

/// Answers a request that does not run.
#[cold]
fn refuse(
    server: &mut Server,
    reply: &mut Reply,
    slot: Slot,
    id: Option<CommandId>,
    argv: Argv<'_>,
    refusal: ErrorReply,
) -> Done {
    let start = reply.mark();
    if id.is_none() {
        // The gate did not see it.
        tracking::begin_request(server.clients.at_mut(slot), false);
    }
    let command = id.map(|id| server.commands.get(id).command);
    let refusal = multi::note_refusal(server, slot, command, refusal);
    answer_error(server, reply, &refusal);
    if let Some(id) = id {
        server.commands.stats_mut(id).rejected += 1;
    }
    if let Some(id) = id
        && command.is_some_and(multi::is_exec)
    {
        // Monitors were shown the MULTI.
        show(server, slot, id, argv);
    }
    if server.clients.at(slot).unusual & client_unusual::REPLY_MODE != 0 && silence(server, slot) {
        reply.rollback(start);
    }
    Done::Answered
}

/// Writes an error reply and counts it.
#[cold]
fn answer_error(server: &mut Server, reply: &mut Reply, error: &ErrorReply) {
    server.stats.count_error(error);
    reply.error(error);
}

/// The same for a client of whatever state, gone ones among them.
pub fn is_silenced(server: &mut Server, slot: Slot) -> bool {
    match server.clients.get_mut(slot) {
        Some(client) if client.unusual & client_unusual::REPLY_MODE != 0 => silence(server, slot),
        Some(_) => false,
        None => true,
    }
}

/// Whether the reply to the command that just ran is not sent, by CLIENT REPLY.
fn silence(server: &mut Server, slot: Slot) -> bool {
    let client = server.clients.at_mut(slot);
    match client.reply_mode {
        ReplyMode::On => false,
        ReplyMode::Off => client.closing != Some(Closing::AfterReplies),
        ReplyMode::SkipNext => {
            client.set_reply_mode(ReplyMode::Skip);
            true
        }
        ReplyMode::Skip => {
            client.set_reply_mode(ReplyMode::On);
            true
        }
    }
}
