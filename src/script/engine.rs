//! What commands ask of scripts: run one, make one known, forget all.
//!
//! The engine holds the interpreter and the scripts that are known. It is made when it is first needed, lives in
//! [`Scripting::engine`](crate::server::scripting::Scripting), and is taken out of there while a script runs: that
//! none runs inside another follows.

use super::cache::{Cache, ScriptId};
use super::lua::{Passing, Vm};
use crate::base::hash::Hasher;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::cx::ServerCx;
use crate::server::gate;
use crate::server::scripting::sha::{self, Sha};
use crate::server::scripting::shebang;
use crate::server::scripting::{
    ALLOW_OOM, Figures, Kind, NO_WRITES, Running, ScriptFlags, TO_AOF, TO_REPLICAS, UNDECLARED,
};
use crate::server::state::Server;
use std::collections::HashMap;

/// What a script is named by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// Its source.
    BySource,
    /// Its digest.
    BySha,
}

/// The interpreter of EVAL, and what it knows.
#[derive(Default)]
pub struct Engine {
    vm: Vm,
    cache: Cache,
}

/// Runs the script that a request of EVAL or its kin names.
pub fn eval(cx: &mut ServerCx<'_>, argv: Argv<'_>, named: Named, read_only: bool) -> Outcome {
    let keys_end = keys_end(argv)?;
    let mut engine = take(cx.server);
    let outcome = engine.eval(cx, argv, keys_end, named, read_only);
    put_back(cx.server, engine);
    outcome
}

/// Makes a script known for good, and returns its digest in digits.
pub fn load(server: &mut Server, source: &[u8]) -> Result<[u8; 40], ErrorReply> {
    let mut engine = take(server);
    let hasher = *server.keyspace.hasher();
    let sha = sha::digest(source);
    let outcome = match engine.cache.by_sha(&sha) {
        Some(id) => {
            engine.cache.keep(id);
            Ok(())
        }
        None => {
            let hash = hasher.hash(source);
            engine
                .compile(server, hasher, hash, sha, source, true)
                .map(|_| ())
        }
    };
    put_back(server, engine);
    outcome.map(|()| sha::hex(&sha))
}

/// Whether the script of a digest is known.
pub fn exists(server: &mut Server, digits: &[u8]) -> bool {
    let Some(sha) = sha::parse(digits) else {
        return false;
    };
    known(server).is_some_and(|engine| engine.cache.by_sha(&sha).is_some())
}

/// The source of the script of a digest.
pub fn source<'a>(server: &'a Server, digits: &[u8]) -> Option<&'a [u8]> {
    let engine = known(server)?;
    let id = engine.cache.by_sha(&sha::parse(digits)?)?;
    Some(&engine.cache.get(id).source)
}

/// Forgets all scripts, and the interpreter with what they left in it; with `lazily`, a thread that only frees
/// does the work.
pub fn flush(server: &mut Server, lazily: bool) {
    if server.scripting.engine.is_some() {
        let engine = take(server);
        if lazily {
            server.keyspace.lazyfree.drop_later(Box::new(engine.vm));
        }
    }
    server.scripting.declared = HashMap::new();
    let figures = server.scripting.figures;
    server.scripting.figures = Figures {
        vm_eval: 0,
        scripts: 0,
        scripts_count: 0,
        ..figures
    };
}

impl Engine {
    fn eval(
        &mut self,
        cx: &mut ServerCx<'_>,
        argv: Argv<'_>,
        keys_end: usize,
        named: Named,
        read_only: bool,
    ) -> Outcome {
        let id = match named {
            Named::BySource => self.by_source(cx.server, argv.at(1))?,
            Named::BySha => {
                let sha = sha::parse(argv.at(1)).ok_or(error::NO_SCRIPT)?;
                self.cache.by_sha(&sha).ok_or(error::NO_SCRIPT)?
            }
        };
        self.cache.touch(id);
        let script = self.cache.get(id);
        check_rules(cx.server, script.flags, read_only)?;
        let running = Running {
            client: cx.slot,
            kind: Kind::Eval,
            name: script.name.clone(),
            argv: Vec::new(),
            began_us: cx.server.now_us(),
            read_only: read_only || script.flags & NO_WRITES != 0,
            allow_oom: script.flags & ALLOW_OOM != 0,
            wrote: false,
            killed: false,
            is_busy: false,
            propagates_to: TO_AOF | TO_REPLICAS,
        };
        let parts = (argv, argv.slice(3, keys_end), argv.tail(keys_end));
        let function = script.function;
        self.vm.run(
            cx.server,
            cx.reply,
            function,
            Passing::Globals,
            parts,
            running,
        )
    }

    /// The script of a source, which is compiled if it is new.
    fn by_source(&mut self, server: &mut Server, source: &[u8]) -> Result<ScriptId, ErrorReply> {
        let hasher = *server.keyspace.hasher();
        let hash = hasher.hash(source);
        if let Some(id) = self.cache.by_source(hash, source) {
            return Ok(id);
        }
        let sha = sha::digest(source);
        match self.cache.by_sha(&sha) {
            Some(id) => Ok(id),
            None => self.compile(server, hasher, hash, sha, source, false),
        }
    }

    fn compile(
        &mut self,
        server: &mut Server,
        hasher: Hasher,
        hash: u64,
        sha: Sha,
        source: &[u8],
        is_kept: bool,
    ) -> Result<ScriptId, ErrorReply> {
        let shebang = shebang::parse(source)?;
        if shebang.engine != b"lua" {
            let text = [
                b"ERR Could not find scripting engine '",
                shebang.engine,
                b"'",
            ]
            .concat();
            return Err(text.into());
        }
        let function = self.vm.compile(&source[shebang.len..], c"@user_script");
        let function = function.map_err(|message| {
            const INTRO: &[u8] = b"ERR Error compiling script (new function): ";
            ErrorReply::Bytes([INTRO, &message].concat())
        })?;
        if !is_kept && self.cache.is_full() {
            if let Some(script) = self.cache.evict(|source| hasher.hash(source)) {
                self.vm.release(script.function);
                server.scripting.declared.remove(&script.sha);
            }
            server.stats.evicted_scripts += 1;
        }
        let flags = shebang.flags;
        if flags & UNDECLARED == 0 {
            server.scripting.declared.insert(sha, flags);
        }
        Ok(self.cache.add(hash, sha, source, flags, function, is_kept))
    }
}

/// The checks of a script that declares what it does.
pub(super) fn check_rules(server: &Server, flags: ScriptFlags, read_only: bool) -> Outcome {
    if flags & UNDECLARED != 0 {
        return Ok(());
    }
    let writes = flags & NO_WRITES == 0;
    if writes && read_only {
        return Err("ERR Can not execute a script with write flag using *_ro command.".into());
    }
    if writes && let Some(refusal) = gate::persistence_refusal(server) {
        return Err(refusal);
    }
    if writes && flags & ALLOW_OOM == 0 && !server.has_room() {
        return Err(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'".into(),
        );
    }
    Ok(())
}

/// Where the keys of a request end, which says after the script how many they are.
pub fn keys_end(argv: Argv<'_>) -> Result<usize, ErrorReply> {
    let count = crate::base::num::parse_i64(argv.at(2)).ok_or(error::NOT_AN_INTEGER)?;
    if count > (argv.len() - 3) as i64 {
        return Err("ERR Number of keys can't be greater than number of args".into());
    }
    let count = usize::try_from(count).map_err(|_| "ERR Number of keys can't be negative")?;
    Ok(3 + count)
}

fn take(server: &mut Server) -> Box<Engine> {
    match server.scripting.engine.take() {
        Some(engine) => engine.downcast().expect("the engine is an Engine"),
        None => {
            assert!(
                server.scripting.running.is_none(),
                "a script does not call another"
            );
            Box::default()
        }
    }
}

fn put_back(server: &mut Server, engine: Box<Engine>) {
    let figures = &mut server.scripting.figures;
    figures.vm_eval = engine.vm.bytes();
    figures.scripts = engine.cache.bytes();
    figures.scripts_count = engine.cache.len();
    server.scripting.engine = Some(engine);
}

fn known(server: &Server) -> Option<&Engine> {
    let engine = server.scripting.engine.as_ref()?;
    Some(engine.downcast_ref().expect("the engine is an Engine"))
}
