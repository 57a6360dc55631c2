//! Scripts as the server sees them: which one runs, what it may do, and how it runs a command.
//!
//! The interpreter lives in the layer above and is only kept here, in [`Scripting::engine`], from where it is
//! taken while it runs. What others ask about it (INFO, the gate, SCRIPT KILL) is plain data beside it.
//!
//! A script runs as the client that called it, marked with [`unusual::SCRIPT`]: its database may be another
//! one meanwhile, and none of its commands waits. [`call`] is the one way of a command out of a script: it is
//! admitted by [`gate::admit_in_script`] and run by [`exec::call`], where all commands run. The clock stands
//! still, and what follows for clients that wait for keys, follows from the script as a whole.
//!
//! A script that runs for longer than `busy-reply-threshold` makes the server *busy*: between two of its
//! instructions, [`Scripting::pump`] has the event loop serve others, of whom the gate lets little pass.

pub mod sha;
pub mod shebang;

use crate::resp::error::ErrorReply;
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::client::{Slot, unusual};
use crate::server::command::{Command, DENYOOM, Flags, MAY_REPLICATE, STALE, WRITE};
use crate::server::cx::KeyHashes;
use crate::server::deliveries;
use crate::server::exec;
use crate::server::functions;
use crate::server::gate;
use crate::server::monitor;
use crate::server::propagate;
use crate::server::state::{Server, Time};
use sha::Sha;
use std::any::Any;
use std::collections::HashMap;
use std::rc::Rc;

/// Has the event loop serve other clients for a moment; the event loop provides it.
pub type PumpFn = Box<dyn FnMut(&mut Server)>;

/// What a script declares about itself, a bit each.
pub type ScriptFlags = u32;
/// It writes nothing.
pub const NO_WRITES: ScriptFlags = 1 << 0;
/// It may run when `maxmemory` is reached.
pub const ALLOW_OOM: ScriptFlags = 1 << 1;
/// It may run on a replica whose data is stale.
pub const ALLOW_STALE: ScriptFlags = 1 << 2;
/// It does not run in a cluster.
pub const NO_CLUSTER: ScriptFlags = 1 << 3;
/// Its keys may be of several slots.
pub const ALLOW_CROSS_SLOT: ScriptFlags = 1 << 4;
/// It declares nothing, as scripts did before they could: each of its commands is judged by itself.
pub const UNDECLARED: ScriptFlags = 1 << 5;

/// The names by which a script declares its flags.
pub const FLAG_NAMES: &[(ScriptFlags, &str)] = &[
    (NO_WRITES, "no-writes"),
    (ALLOW_OOM, "allow-oom"),
    (ALLOW_STALE, "allow-stale"),
    (NO_CLUSTER, "no-cluster"),
    (ALLOW_CROSS_SLOT, "allow-cross-slot-keys"),
];

/// The flag of a name.
pub fn flag_named(name: &[u8]) -> Option<ScriptFlags> {
    let named = FLAG_NAMES.iter();
    let mut found = named.filter(|(_, known)| known.as_bytes() == name);
    found.next().map(|&(flag, _)| flag)
}

/// How a script was called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// By EVAL and its kin.
    Eval,
    /// By FCALL.
    Function,
}

/// The script that runs.
pub struct Running {
    /// Who called it.
    pub client: Slot,
    /// How.
    pub kind: Kind,
    /// The digest of its source, or the name of its function.
    pub name: Rc<str>,
    /// The request that called it, once it has made the server busy.
    pub argv: Vec<Box<[u8]>>,
    /// When it began, in microseconds of the Unix clock.
    pub began_us: i64,
    /// It may not write.
    pub read_only: bool,
    /// It may write although `maxmemory` is reached.
    pub allow_oom: bool,
    /// It has run a command that writes.
    pub wrote: bool,
    /// It is to end, by SCRIPT KILL or FUNCTION KILL.
    pub killed: bool,
    /// Whether it has made the server busy.
    pub is_busy: bool,
    /// Where its writes are propagated (`redis.set_repl`): bit 0 the append-only file, bit 1 replicas.
    pub propagates_to: u8,
}

/// The bits of [`Running::propagates_to`].
pub const TO_AOF: u8 = 1;
/// Replicas.
pub const TO_REPLICAS: u8 = 2;

/// What INFO shows of the interpreters.
#[derive(Clone, Copy, Default)]
pub struct Figures {
    /// Bytes of the interpreter of EVAL.
    pub vm_eval: usize,
    /// Bytes of the interpreter of functions.
    pub vm_functions: usize,
    /// Bytes of the sources that EVAL keeps, and what belongs to them.
    pub scripts: usize,
    /// How many there are.
    pub scripts_count: usize,
    /// Bytes of libraries, and what belongs to them.
    pub libraries: usize,
    /// How many there are.
    pub libraries_count: usize,
    /// The functions in them.
    pub functions_count: usize,
}

impl Figures {
    /// Bytes of all interpreters.
    pub fn vms(&self) -> usize {
        self.vm_eval + self.vm_functions
    }

    /// Bytes of all that is kept to be run.
    pub fn sources(&self) -> usize {
        self.scripts + self.libraries
    }
}

/// The server's scripts.
#[derive(Default)]
pub struct Scripting {
    /// The interpreter; none before it is first needed and while it runs.
    pub engine: Option<Box<dyn Any>>,
    /// The script that runs.
    pub running: Option<Running>,
    /// What the interpreters take.
    pub figures: Figures,
    /// The flags of known scripts that declare some, by digest: the gate needs them before the script runs.
    pub declared: HashMap<Sha, ScriptFlags>,
    /// Serves other clients while a script is busy.
    pub pump: Option<PumpFn>,
    /// Scripts may run what is not meant for them (DEBUG SET-DISABLE-DENY-SCRIPTS).
    pub allows_all: bool,
}

impl Scripting {
    /// The script that runs, which there must be.
    #[inline]
    pub fn running_mut(&mut self) -> &mut Running {
        self.running.as_mut().expect("a script is running")
    }

    /// Ends the running script at the next occasion, or says why not.
    pub fn kill(&mut self, kind: Kind) -> Result<(), ErrorReply> {
        let Some(running) = &mut self.running else {
            return Err("NOTBUSY No scripts in execution right now.".into());
        };
        if running.wrote {
            return Err(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait \
                 the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
                    .into(),
            );
        }
        if running.kind != kind {
            return Err(busy(running.kind));
        }
        running.killed = true;
        Ok(())
    }
}

/// The flags by which a command that runs a script is admitted: what the script declares counts in place of what
/// the command says of scripts in general.
pub fn admission_flags(server: &Server, command: &Command, argv: Argv<'_>) -> Flags {
    let Some(name) = argv.get(1) else {
        return command.flags;
    };
    if command.name.starts_with("fcall") {
        return functions::admission_flags(server, command.flags, name);
    }
    let declared = if command.name.starts_with("evalsha") {
        let sha = sha::parse(name);
        sha.and_then(|sha| server.scripting.declared.get(&sha).copied())
    } else {
        shebang::parse(name).ok().map(|shebang| shebang.flags)
    };
    match declared {
        Some(declared) if declared & UNDECLARED == 0 => declared_flags(command.flags, declared),
        _ => command.flags,
    }
}

/// The flags of a command that runs a script which declares what it does.
pub fn declared_flags(flags: Flags, declared: ScriptFlags) -> Flags {
    let is = |flag| declared & flag != 0;
    let rest = flags & !(STALE | DENYOOM | WRITE | MAY_REPLICATE);
    let needs_memory = if is(ALLOW_OOM | NO_WRITES) {
        0
    } else {
        DENYOOM
    };
    let writes = if is(NO_WRITES) { 0 } else { WRITE };
    let runs_stale = if is(ALLOW_STALE) { STALE } else { 0 };
    rest | needs_memory | writes | runs_stale
}

/// The refusal of a request while a script is busy.
pub fn busy(kind: Kind) -> ErrorReply {
    match kind {
        Kind::Eval => crate::resp::error::BUSY_SCRIPT,
        Kind::Function => crate::resp::error::BUSY_FUNCTION,
    }
}

/// What must be as before once a script is through.
pub struct Before {
    began: Time,
    db: usize,
    request_bytes: usize,
}

impl Before {
    /// When the script began, which is the time of all its commands.
    pub fn began(&self) -> &Time {
        &self.began
    }
}

/// Begins a script: what its commands do is done by `running.client` from here to [`end`].
pub fn begin(server: &mut Server, running: Running) -> Before {
    assert!(
        server.scripting.running.is_none(),
        "a script does not run inside another"
    );
    let client = server.clients.at_mut(running.client);
    client.set_unusual(unusual::SCRIPT, true);
    let before = Before {
        db: client.db,
        began: server.time(),
        request_bytes: server.request_bytes,
    };
    server.scripting.running = Some(running);
    server.stream.begin_unit();
    before
}

/// Ends a script.
pub fn end(server: &mut Server, before: Before) -> Running {
    let running = server.scripting.running.take();
    let running = running.expect("a script that ends was begun");
    if server.shutdown.is_some() {
        // The end of the server has cut it short.
        server.stream.abandon_unit();
    } else {
        server.stream.end_unit();
    }
    if running.propagates_to & TO_AOF == 0 {
        propagate::note_consumers(server);
    }
    let client = server.clients.at_mut(running.client);
    client.set_unusual(unusual::SCRIPT, false);
    client.db = before.db;
    if running.is_busy {
        server.set_unusual(gate::unusual::BUSY, false);
        // What it sent meanwhile was left alone, and so was its end.
        server.resumed.push(running.client);
        server.attend(running.client);
    }
    server.request_bytes = before.request_bytes;
    // What its commands did is done with: the script itself did nothing, in the time that they took.
    server.effects.reset();
    server.set_time(before.began);
    running
}

/// Has the writes of the running script propagated to these from here on (`redis.set_repl`).
pub fn set_repl(server: &mut Server, to: u8) {
    server.scripting.running_mut().propagates_to = to;
    if to & TO_AOF == 0 {
        server.effects.set_propagating(false);
    } else {
        propagate::note_consumers(server);
    }
}

/// Runs a command of the running script, or says in the reply why not. The script began at `began`.
pub fn call(server: &mut Server, reply: &mut Reply, slot: Slot, argv: Argv<'_>, began: &Time) {
    let id = match gate::admit_in_script(server, argv) {
        Ok(id) => id,
        Err(refusal) => return refuse(server, reply, argv, &refusal),
    };
    exec::call(server, reply, slot, id, argv, KeyHashes::default());
    if server.unusual & gate::unusual::MONITORS != 0 {
        show(server, slot, id, argv);
    }
    deliveries::relieve(server, slot);
    server.hold_time(began);
}

/// Whether a client may run a command; `None` if there is no such command.
pub fn is_permitted(server: &Server, _slot: Slot, argv: Argv<'_>) -> Option<bool> {
    use crate::server::registry::Resolved;
    let resolved = server.commands.resolve(argv.at(0), argv.get(1));
    matches!(resolved, Resolved::Found(_)).then_some(true)
}

/// Shows a command of a script to those who asked for all of them.
#[cold]
fn show(server: &mut Server, slot: Slot, id: crate::server::registry::CommandId, argv: Argv<'_>) {
    use crate::server::command::{ADMIN, SKIP_MONITOR};
    if server.commands.get(id).command.flags & (SKIP_MONITOR | ADMIN) == 0 {
        monitor::feed_from_script(server, slot, argv);
    }
}

#[cold]
fn refuse(server: &mut Server, reply: &mut Reply, argv: Argv<'_>, refusal: &ErrorReply) {
    use crate::server::registry::Resolved;
    server.stats.count_error(refusal);
    if let Resolved::Found(id) = server.commands.resolve(argv.at(0), argv.get(1)) {
        server.commands.stats_mut(id).rejected += 1;
    }
    reply.error(refusal);
}

/// A moment of a script that has run for a while: says whether it is to end. Past `busy-reply-threshold` others
/// are served.
#[cold]
pub fn interrupt(server: &mut Server, before: &Time, request: Argv<'_>) -> bool {
    let threshold_ms = server.config.busy_reply_threshold;
    server.advance_time();
    let now_us = server.now_us();
    let running = server.scripting.running_mut();
    let elapsed_ms = (now_us - running.began_us).max(0) as u64 / 1000;
    if !running.is_busy && threshold_ms > 0 && elapsed_ms >= threshold_ms {
        running.is_busy = true;
        running.argv = request.iter().map(Box::from).collect();
        tracing::warn!(
            "Slow script detected: still in execution after {elapsed_ms} milliseconds. You can try killing the script \
             using the {} command. Script name is: {}.",
            match running.kind {
                Kind::Eval => "SCRIPT KILL",
                Kind::Function => "FUNCTION KILL",
            },
            running.name
        );
        server.set_unusual(gate::unusual::BUSY, true);
    }
    if server.scripting.running_mut().is_busy {
        serve_others(server);
    }
    server.hold_time(before);
    server.scripting.running_mut().killed || server.shutdown.is_some()
}

/// Has the event loop serve others, who must not see that they come in between.
fn serve_others(server: &mut Server) {
    let Some(mut pump) = server.scripting.pump.take() else {
        return;
    };
    let request_bytes = server.request_bytes;
    // Clients that wait for keys are served after the script.
    let became = std::mem::take(&mut server.effects.became);
    pump(server);
    server.effects.reset();
    server.effects.became = became;
    server.request_bytes = request_bytes;
    server.scripting.pump = Some(pump);
}
