//! Runs the commands of a file again.
//!
//! They pass no gate: they were admitted when they ran first. Nothing that they find has expired, since it
//! had not when they ran, nothing is propagated, and nobody is told of what they do. A transaction runs when
//! its EXEC has been read, so that none of it is done if the file ends before.

use crate::persist::aof::reader::{CommandReader, Item, ReadError};
use crate::resp::argv::OwnedArgv;
use crate::resp::error::DB_INDEX_OUT_OF_RANGE;
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::client::Slot;
use crate::server::command::Command;
use crate::server::exec;
use crate::server::gate;
use crate::server::registry::{CommandId, Resolved};
use crate::server::state::Server;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};

/// A file whose commands are being run.
pub struct Replay {
    reader: CommandReader<File>,
    slot: Slot,
    reply: Reply,
    /// The commands of a transaction that has not come to its end.
    transaction: Option<Vec<(CommandId, OwnedArgv)>>,
    /// Where the file ends if what is not whole is left out.
    whole_to: u64,
}

/// Why a file is not run to its end.
#[derive(Debug)]
pub enum Fault {
    /// What is in the file, and where the item begins.
    Read(ReadError, u64),
    /// A command that cannot be run: what the client who sent it would have been told.
    Command(String),
}

impl Replay {
    /// Runs what lies from `offset` of a file on. Where checksums are, they are looked at if `checks` says so.
    pub fn new(
        server: &mut Server,
        mut file: File,
        offset: u64,
        checks: bool,
    ) -> io::Result<Replay> {
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(offset))?;
        Ok(Replay {
            reader: CommandReader::new(file, offset, end, checks),
            slot: server.clients.add_internal(),
            reply: Reply::new(),
            transaction: None,
            whole_to: offset,
        })
    }

    /// Where in the file it stands.
    pub fn offset(&self) -> u64 {
        self.reader.offset()
    }

    /// Where the file ends if what is not whole is left out.
    pub fn whole_to(&self) -> u64 {
        self.whole_to
    }

    /// Where the last checksum ends that was right, or reading began.
    pub fn sealed_to(&self) -> u64 {
        self.reader.sealed_to()
    }

    /// Whether the file ended inside a transaction.
    pub fn is_in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Runs some commands, of about so many bytes; says whether there are more.
    pub fn step(&mut self, server: &mut Server, bytes: u64) -> Result<bool, Fault> {
        let end = self.reader.offset() + bytes;
        while self.reader.offset() < end {
            let at = self.reader.offset();
            match self.reader.next() {
                Ok(Item::Command) => self.run(server)?,
                Ok(Item::Annotation(_)) => {}
                Ok(Item::End) if self.transaction.is_some() => {
                    return Err(Fault::Read(ReadError::Truncated, at));
                }
                Ok(Item::End) => return Ok(false),
                Err(e) => return Err(Fault::Read(e, at)),
            }
            if self.transaction.is_none() {
                self.whole_to = self.reader.offset();
            }
        }
        Ok(true)
    }

    /// Forgets what the client that ran the commands was to the server.
    pub fn finish(self, server: &mut Server) {
        server.forget_client(self.slot);
    }

    fn run(&mut self, server: &mut Server) -> Result<(), Fault> {
        let argv = self.reader.argv();
        let (id, command) = resolve(server, argv)?;
        match (command.name, &mut self.transaction) {
            ("multi", None) => self.transaction = Some(Vec::new()),
            ("exec", Some(_)) => {
                let queue = self.transaction.take().unwrap_or_default();
                for (id, argv) in &queue {
                    run(server, &mut self.reply, self.slot, *id, argv.as_argv())?;
                }
            }
            (_, Some(queue)) => queue.push((id, OwnedArgv::from(argv))),
            (_, None) => run(server, &mut self.reply, self.slot, id, argv)?,
        }
        Ok(())
    }
}

/// The command of a request, or what is wrong with it.
fn resolve(server: &Server, argv: Argv<'_>) -> Result<(CommandId, &'static Command), Fault> {
    let resolved = server.commands.resolve(argv.at(0), argv.get(1));
    let refusal = match resolved {
        Resolved::Found(id) => {
            let command = server.commands.get(id).command;
            if command.accepts(argv.len()) {
                return Ok((id, command));
            }
            crate::resp::error::wrong_arity(&server.commands.get(id).full_name)
        }
        resolved => gate::unresolved(server, resolved, argv),
    };
    let text = String::from_utf8_lossy(refusal.as_bytes()).into_owned();
    let text = text.strip_prefix("ERR ").unwrap_or(&text);
    Err(Fault::Command(text.to_string()))
}

/// Runs a command. What it could not do when it ran first it cannot do now, and that is no fault, unless it is
/// about a database that there is not: what follows would go to another.
fn run(
    server: &mut Server,
    reply: &mut Reply,
    slot: Slot,
    id: CommandId,
    argv: Argv<'_>,
) -> Result<(), Fault> {
    const KEPT_MAX: usize = 64 << 10;
    let outcome = exec::replay(server, reply, slot, id, argv);
    reply.clear(KEPT_MAX);
    match outcome {
        Err(error) if error == DB_INDEX_OUT_OF_RANGE => {
            Err(Fault::Command(needs_databases(server, argv)))
        }
        _ => Ok(()),
    }
}

/// What is said of a file of a server that had more databases.
#[cold]
fn needs_databases(server: &Server, argv: Argv<'_>) -> String {
    let words: Vec<_> = argv.iter().map(String::from_utf8_lossy).collect();
    let (words, count) = (words.join(" "), server.keyspace.count());
    format!(
        "'{words}' is about a database that there is not: 'databases' is {count} in the configuration"
    )
}
