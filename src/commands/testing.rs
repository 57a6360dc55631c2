//! A client for tests of handlers: replies and effects, as a client, the append-only file and listeners
//! see them.

use super::FAMILIES;
use crate::base::hash;
use crate::base::rng::Rng;
use crate::keyspace::Keyspace;
use crate::keyspace::effects::{Class, Effects, Propagation};
use crate::resp::reply::Reply;
use crate::resp::request::OwnedArgv;
use crate::server::client::Endpoint;
use crate::server::config::Config;
use crate::server::cx::KeyHashes;
use crate::server::exec;
use crate::server::state::Server;

/// A server with a client, whose effects have a listener, but for keys that were not found.
pub struct Session {
    server: Server,
    slot: usize,
}

impl Session {
    /// One with nothing in it.
    pub fn new() -> Session {
        let config = Config::default();
        let mut server = Server::new(config, FAMILIES, hash::process(), Rng::from_seed(1));
        let here = || Endpoint::tcp(([127, 0, 0, 1], 6379));
        let slot = server.add_client(0, here(), here());
        let listening = !(Class::KeyMiss as u32);
        server.effects = Effects::new(listening, true);
        Session { server, slot }
    }

    /// The server's configuration, to change.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.server.config
    }

    /// The data.
    pub fn keyspace(&self) -> &Keyspace {
        &self.server.keyspace
    }

    /// Runs a command, its words separated by spaces, and returns its reply, with a space for every
    /// line end.
    pub fn run(&mut self, words: &str) -> String {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        self.run_argv(&words)
    }

    /// The same for words that may have spaces in them.
    pub fn run_argv(&mut self, words: &[&[u8]]) -> String {
        let argv = OwnedArgv::from_slices(words);
        let mut reply = Reply::with_proto(self.server.clients.at(self.slot).proto);
        let resolved = self
            .server
            .commands
            .resolve(words[0], words.get(1).copied());
        self.server.effects.told.clear();
        exec::request(
            &mut self.server,
            &mut reply,
            self.slot,
            resolved,
            argv.as_argv(),
            KeyHashes::default(),
        );
        let bytes = reply.contiguous(0, reply.len()).expect("short replies");
        let text = String::from_utf8_lossy(bytes);
        text.trim_end().replace("\r\n", " ")
    }

    /// Runs a command, and compares reply, dirty count, events and what is propagated.
    #[track_caller]
    pub fn check(&mut self, words: &str, reply: &str, dirty: u64, events: &str, propagated: &str) {
        assert_eq!(self.run(words), reply, "{words}");
        assert_eq!(self.server.effects.dirty, dirty, "{words}");
        assert_eq!(self.server.effects.told.join(" "), events, "{words}");
        assert_eq!(self.propagated(), propagated, "{words}");
    }

    /// The same for a command that only replies.
    #[track_caller]
    pub fn check_reply(&mut self, words: &str, reply: &str) {
        assert_eq!(self.run(words), reply, "{words}");
        assert_eq!(self.server.effects.dirty, 0, "{words}");
    }

    /// How much the last command changed.
    pub fn dirty(&self) -> u64 {
        self.server.effects.dirty
    }

    /// What the last command propagated: commands, or `as received`.
    pub fn propagated(&self) -> String {
        let effects = &self.server.effects;
        let commands: Vec<String> = match effects.propagation {
            Propagation::AsReceived if effects.dirty == 0 => Vec::new(),
            Propagation::AsReceived => vec!["as received".into()],
            Propagation::Nothing => vec!["nothing".into()],
            Propagation::Rewritten => {
                let commands = effects.rewritten.iter();
                let joined = commands.map(|argv| argv.collect::<Vec<_>>().join(&b' '));
                joined
                    .map(|argv| String::from_utf8_lossy(&argv).into_owned())
                    .collect()
            }
        };
        commands.join("; ")
    }
}
