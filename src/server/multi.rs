//! MULTI: requests that a client sends one by one and that run together.
//!
//! Between MULTI and EXEC the gate admits requests as ever and then has them queued here instead of run.
//! One that it refuses spoils the transaction, and EXEC says so. EXEC runs the queue through
//! [`exec::call`], where all commands run: nothing comes between them, the clock stands still, and none
//! of them waits. What follows from them for clients that wait for keys, follows from EXEC as a whole.
//!
//! Only a client that uses any of this has a [`Transaction`]; what it queued is copied out of the read
//! buffer, and the keys are hashed when it runs.

use crate::resp::argv::OwnedArgv;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::client::{Client, Slot, unusual};
use crate::server::command::{Command, Flags};
use crate::server::cx::KeyHashes;
use crate::server::deliveries;
use crate::server::exec;
use crate::server::registry::CommandId;
use crate::server::state::Server;
use crate::server::watch::{self, Watched};

/// A request that waits for EXEC.
struct Queued {
    id: CommandId,
    argv: OwnedArgv,
}

/// What a client queued and watches.
pub struct Transaction {
    queue: Vec<Queued>,
    /// The heap bytes of the queue's arguments.
    argv_bytes: usize,
    /// The flags that any of the queued commands has.
    any_flags: Flags,
    /// The flags that all of them have.
    all_flags: Flags,
    /// A request was refused, so EXEC will be.
    is_spoilt: bool,
    /// The keys it watches.
    pub(super) watched: Vec<Watched>,
    /// A watched key was changed, so EXEC will run nothing.
    pub(super) is_touched: bool,
}

impl Default for Transaction {
    fn default() -> Transaction {
        Transaction {
            queue: Vec::new(),
            argv_bytes: 0,
            any_flags: 0,
            all_flags: Flags::MAX,
            is_spoilt: false,
            watched: Vec::new(),
            is_touched: false,
        }
    }
}

impl Transaction {
    /// The number of queued requests.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The number of watched keys.
    pub fn watched(&self) -> usize {
        self.watched.len()
    }

    /// Whether a watched key was changed.
    pub fn is_touched(&self) -> bool {
        self.is_touched
    }

    /// The heap bytes that the queue holds.
    pub fn queue_bytes(&self) -> usize {
        self.argv_bytes + self.queue.capacity() * size_of::<Queued>()
    }

    /// The heap bytes that it holds, itself among them.
    pub fn heap_bytes(&self) -> usize {
        let watched: usize = self.watched.iter().map(Watched::heap_bytes).sum();
        size_of::<Transaction>() + self.queue_bytes() + watched
    }

    /// Gives up a queue that will not run.
    pub(super) fn drop_queue(&mut self) {
        self.queue = Vec::new();
        self.argv_bytes = 0;
        (self.any_flags, self.all_flags) = (0, Flags::MAX);
    }
}

/// Begins a transaction.
pub fn begin(client: &mut Client) {
    client.transaction.get_or_insert_default();
    client.set_unusual(unusual::MULTI, true);
}

/// Queues a request that was admitted.
#[cold]
pub fn queue(client: &mut Client, id: CommandId, flags: Flags, argv: Argv<'_>) {
    let transaction = client.transaction.get_or_insert_default();
    if transaction.is_spoilt || transaction.is_touched {
        // It will not run.
        return;
    }
    let argv = OwnedArgv::from(argv);
    transaction.argv_bytes += argv.heap_bytes();
    transaction.any_flags |= flags;
    transaction.all_flags &= flags;
    transaction.queue.push(Queued { id, argv });
}

/// The flags by which a command is admitted: those of any, and those of all that run with it. EXEC
/// stands for what was queued too.
pub fn admission_flags(client: &Client, command: &Command) -> (Flags, Flags) {
    match &client.transaction {
        Some(transaction) if is_exec(command) => (
            command.flags | transaction.any_flags,
            command.flags & transaction.all_flags,
        ),
        _ => (command.flags, command.flags),
    }
}

/// What the refusal of a request means for its client's transaction: it is spoilt, and over if the
/// request was EXEC, which then says so. Returns what the client is told.
pub fn note_refusal(
    server: &mut Server,
    slot: Slot,
    command: Option<&Command>,
    refusal: ErrorReply,
) -> ErrorReply {
    if command.is_some_and(is_exec) {
        discard(server, slot);
        let reason = refusal.as_bytes();
        let reason = reason.strip_prefix(b"ERR ").unwrap_or(reason);
        const ABORTED: &[u8] = b"EXECABORT Transaction discarded because of: ";
        return ErrorReply::Bytes([ABORTED, reason].concat());
    }
    let client = server.clients.at_mut(slot);
    if client.is_in_multi()
        && let Some(transaction) = &mut client.transaction
    {
        transaction.is_spoilt = true;
        transaction.drop_queue();
    }
    refusal
}

/// Whether this is EXEC.
pub fn is_exec(command: &Command) -> bool {
    command.name == "exec"
}

/// Runs what a client queued, and ends its transaction.
pub fn execute(server: &mut Server, slot: Slot, reply: &mut Reply) -> Outcome {
    watch::check_expired(server, slot);
    let client = server.clients.at_mut(slot);
    let transaction = client.transaction.as_mut();
    let transaction = transaction.expect("a client inside MULTI has a transaction");
    if transaction.is_spoilt {
        discard(server, slot);
        return Err(error::EXEC_ABORT);
    }
    if transaction.is_touched {
        discard(server, slot);
        reply.null_array();
        return Ok(());
    }
    let queue = std::mem::take(&mut transaction.queue);
    // What it does itself must not touch it.
    watch::forget(server, slot);
    run(server, slot, reply, &queue);
    discard(server, slot);
    Ok(())
}

fn run(server: &mut Server, slot: Slot, reply: &mut Reply, queue: &[Queued]) {
    let began = server.time();
    let request_bytes = server.request_bytes;
    reply.array(queue.len());
    server.stream.begin_unit();
    for Queued { id, argv } in queue {
        server.request_bytes = argv.heap_bytes();
        let argv = argv.as_argv();
        exec::call(server, reply, slot, *id, argv, KeyHashes::default());
        exec::show(server, slot, *id, argv);
        deliveries::relieve(server, slot);
        server.hold_time(&began);
    }
    server.stream.end_unit();
    server.request_bytes = request_bytes;
    // What they did is done with: EXEC itself did nothing, in the time that they took.
    server.effects.reset();
    server.set_time(began);
}

/// Ends a client's transaction, if it has one, and its watches.
pub fn discard(server: &mut Server, slot: Slot) {
    watch::forget(server, slot);
    if let Some(client) = server.clients.get_mut(slot) {
        client.transaction = None;
        client.set_unusual(unusual::MULTI, false);
    }
}
