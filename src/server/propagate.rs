//! What commands did, as commands: encoded once, for all who are to repeat them (the append-only file).
//!
//! What belongs together is one *unit*: a command with the deletions of expired keys that it met, a
//! transaction, a script. A unit of several commands stands between MULTI and EXEC, so that nobody sees a
//! part of it. A SELECT goes before a command whenever its database is not that of the command before.
//!
//! Nothing of this runs unless [`note_consumers`] said that somebody reads it.

use crate::keyspace::effects::Propagation;
use crate::resp::encode;
use crate::resp::request::Argv;
use crate::server::client::Slot;
use crate::server::command::{MAY_REPLICATE, WRITE};
use crate::server::gate;
use crate::server::registry::CommandId;
use crate::server::state::Server;

/// The commands that were not taken by their readers yet, and what the next one must know of them.
#[derive(Default)]
pub struct CommandStream {
    bytes: Vec<u8>,
    /// Bytes that were taken before.
    taken: u64,
    /// The database that a reader has selected.
    selected: Option<usize>,
    /// How many units are open, each inside the one before.
    depth: usize,
    /// Where the outermost one begins.
    unit_start: usize,
    /// Commands in it so far.
    unit_commands: usize,
}

impl CommandStream {
    /// Where the stream ends: the bytes that there ever were of it.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.taken + self.bytes.len() as u64
    }

    /// Whether nothing waits to be taken.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether there is a part of a unit that is not at its end.
    pub fn is_in_unit(&self) -> bool {
        self.depth > 0 && self.unit_commands > 0
    }

    /// Ends what there is of a unit, and has what follows be another: its readers change in the middle of it.
    pub fn split_unit(&mut self) {
        if self.is_in_unit() {
            let depth = std::mem::replace(&mut self.depth, 1);
            self.end_unit();
            self.begin_unit();
            self.depth = depth;
        }
    }

    /// The bytes that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.bytes.capacity()
    }

    /// Hands over what waits, in exchange for an empty buffer.
    pub fn take(&mut self, mut buffer: Vec<u8>) -> Vec<u8> {
        assert!(!self.is_in_unit(), "a unit is taken as a whole");
        debug_assert!(buffer.is_empty());
        self.taken += self.bytes.len() as u64;
        self.unit_start = 0;
        std::mem::swap(&mut self.bytes, &mut buffer);
        buffer
    }

    /// A reader begins here, and has no database selected.
    pub fn begin_anew(&mut self) {
        self.selected = None;
    }

    /// Begins a unit, maybe inside another.
    pub fn begin_unit(&mut self) {
        if self.depth == 0 {
            self.unit_start = self.bytes.len();
            self.unit_commands = 0;
        }
        self.depth += 1;
    }

    /// Ends a unit, unless it was abandoned.
    pub fn end_unit(&mut self) {
        if self.depth == 0 {
            return;
        }
        self.depth -= 1;
        if self.depth == 0 && self.unit_commands > 1 {
            encode::command(&mut self.bytes, [&b"EXEC"[..]].into_iter());
        }
    }

    /// Ends a unit as if it had not been, and with it those around it: what is done by halves is not repeated.
    pub fn abandon_unit(&mut self) {
        self.bytes.truncate(self.unit_start);
        self.depth = 0;
        // The SELECT may have gone with it.
        self.selected = None;
    }

    /// Adds a command for a database to the unit in progress.
    pub fn push<'a>(&mut self, db: usize, argv: impl ExactSizeIterator<Item = &'a [u8]>) {
        debug_assert!(self.depth > 0);
        if self.unit_commands == 1 {
            let first = self.bytes.split_off(self.unit_start);
            encode::command(&mut self.bytes, [&b"MULTI"[..]].into_iter());
            self.bytes.extend_from_slice(&first);
        }
        self.unit_commands += 1;
        if self.selected != Some(db) {
            self.selected = Some(db);
            let mut digits = itoa::Buffer::new();
            let index = digits.format(db).as_bytes();
            encode::command(&mut self.bytes, [&b"SELECT"[..], index].into_iter());
        }
        encode::command(&mut self.bytes, argv);
    }
}

/// Brings what depends on whether anybody repeats commands up to date.
pub fn note_consumers(server: &mut Server) {
    let loading = server.unusual & gate::unusual::LOADING != 0;
    let propagating = server.aof.is_recording() && !loading;
    server.effects.set_propagating(propagating);
}

/// Propagates what a command of a client did.
#[cold]
#[inline(never)]
pub fn command(server: &mut Server, slot: Slot, id: CommandId, argv: Argv<'_>) {
    let db = server.clients.at(slot).db;
    let flags = server.commands.get(id).command.flags;
    server.stream.begin_unit();
    push_expired(server);
    let effects = &server.effects;
    match effects.propagation {
        Propagation::AsReceived if effects.dirty > 0 && flags & (WRITE | MAY_REPLICATE) != 0 => {
            server.stream.push(db, argv.iter());
        }
        Propagation::Rewritten => {
            for argv in effects.rewritten.iter() {
                server.stream.push(db, argv);
            }
        }
        Propagation::AsReceived | Propagation::Nothing => {}
    }
    server.stream.end_unit();
    server
        .aof
        .note_writer(slot, &mut server.clients, server.stream.offset());
}

/// Propagates that keys and fields were found expired by the clock, each as a unit of its own.
pub fn expired(server: &mut Server) {
    if server.effects.has_propagation() {
        let stream = &mut server.stream;
        let deletion = deletion(server.config.lazyfree_lazy_expire);
        for (db, key) in server.effects.expired.drain(..) {
            stream.begin_unit();
            stream.push(db, [deletion, &*key].into_iter());
            stream.end_unit();
        }
        for found in server.effects.expired_fields.drain(..) {
            stream.begin_unit();
            stream.push(found.db, field_deletion(&found.key, &found.fields));
            stream.end_unit();
        }
    }
}

/// Propagates that a key was given up for want of memory.
pub fn evicted(server: &mut Server, db: usize, key: &[u8]) {
    if server.effects.propagates() {
        let deletion = deletion(server.config.lazyfree_lazy_eviction);
        server.stream.begin_unit();
        server.stream.push(db, [deletion, key].into_iter());
        server.stream.end_unit();
    }
}

/// Adds to the unit in progress what its command found expired.
fn push_expired(server: &mut Server) {
    let effects = &server.effects;
    let deletion = deletion(server.config.lazyfree_lazy_expire);
    for (db, key) in &effects.expired {
        server.stream.push(*db, [deletion, key].into_iter());
    }
    for found in &effects.expired_fields {
        let argv = field_deletion(&found.key, &found.fields);
        server.stream.push(found.db, argv);
    }
}

fn deletion(lazily: bool) -> &'static [u8] {
    if lazily { b"UNLINK" } else { b"DEL" }
}

fn field_deletion<'a>(
    key: &'a [u8],
    fields: &'a [Box<[u8]>],
) -> impl ExactSizeIterator<Item = &'a [u8]> {
    // The length of a chain is not known to the type system.
    (0..fields.len() + 2).map(move |i| match i {
        0 => &b"HDEL"[..],
        1 => key,
        _ => &fields[i - 2],
    })
}

#[cfg(test)]
mod tests {
    use super::CommandStream;

    fn words(stream: &mut CommandStream) -> String {
        let bytes = stream.take(Vec::new());
        let text = String::from_utf8(bytes).unwrap();
        let words = text.split("\r\n");
        let words: Vec<&str> = words.filter(|w| !w.starts_with(['*', '$'])).collect();
        words.join(" ").trim().to_string()
    }

    #[test]
    fn several_commands_of_a_unit_stand_in_a_transaction() {
        let mut stream = CommandStream::default();
        let mut unit = |commands: &[(usize, &[&[u8]])]| {
            stream.begin_unit();
            for (db, argv) in commands {
                stream.begin_unit();
                stream.push(*db, argv.iter().copied());
                stream.end_unit();
            }
            stream.end_unit();
            words(&mut stream)
        };
        let mut check = |commands: &[(usize, &[&[u8]])], expected| {
            assert_eq!(unit(commands), expected);
        };
        check(&[], "");
        check(&[(0, &[b"SET", b"a", b"1"])], "SELECT 0 SET a 1");
        check(&[(0, &[b"INCR", b"a"])], "INCR a");
        check(
            &[
                (1, &[b"DEL", b"a"]),
                (1, &[b"DEL", b"b"]),
                (0, &[b"DEL", b"c"]),
            ],
            "MULTI SELECT 1 DEL a DEL b SELECT 0 DEL c EXEC",
        );
    }

    #[test]
    fn offsets_count_all_bytes() {
        let mut stream = CommandStream::default();
        stream.begin_unit();
        stream.push(0, [&b"PING"[..]].into_iter());
        stream.end_unit();
        let len = stream.offset();
        assert_eq!(stream.take(Vec::new()).len() as u64, len);
        assert!(stream.is_empty());
        assert_eq!(stream.offset(), len);
    }
}
