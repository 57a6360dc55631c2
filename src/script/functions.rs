//! What commands ask of functions: call one, load a library, take libraries from elsewhere.
//!
//! Functions have an interpreter of their own, beside that of EVAL, which is made for the first library and goes
//! with the last. The libraries as the server knows them are in
//! [`Functions`](crate::server::functions); here they are compiled.

use super::engine::check_rules;
use super::lua::{FunctionRef, Passing, Registered, Vm};
use crate::base::num;
use crate::persist::rdb::{self, LibrariesError};
use crate::resp::error::{ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::config::split_line;
use crate::server::cx::ServerCx;
use crate::server::functions::{self, Existing, Function, Functions, Library};
use crate::server::scripting::{ALLOW_OOM, Kind, NO_WRITES, Running, TO_AOF, TO_REPLICAS};
use crate::server::state::Server;
use std::rc::Rc;
use std::time::Duration;

/// A library that a client sends must be through with registering within this time.
const LOAD_TIME_MAX: Duration = Duration::from_millis(500);

/// What becomes of the libraries that are there when others are restored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// They go.
    Flush,
    /// They stay, but those of the same name.
    Replace,
    /// They stay.
    Append,
}

/// The interpreter of functions.
#[derive(Default)]
struct Engine {
    vm: Vm,
}

/// Calls the function that a request of FCALL or its kin names.
pub fn call(cx: &mut ServerCx<'_>, argv: Argv<'_>, read_only: bool) -> Outcome {
    let function = cx.server.functions.find(argv.at(1));
    let function = function.ok_or("ERR Function not found")?;
    let keys_end = keys_end(argv)?;
    check_rules(cx.server, function.flags, read_only)?;
    let running = Running {
        client: cx.slot,
        kind: Kind::Function,
        name: function.name.clone(),
        argv: Vec::new(),
        began_us: cx.server.now_us(),
        read_only: read_only || function.flags & NO_WRITES != 0,
        allow_oom: function.flags & ALLOW_OOM != 0,
        wrote: false,
        killed: false,
        is_busy: false,
        propagates_to: TO_AOF | TO_REPLICAS,
    };
    let compiled = FunctionRef::of_handle(function.handle);
    let mut engine = take(cx.server)?;
    let parts = (argv, argv.slice(3, keys_end), argv.tail(keys_end));
    let outcome = engine.vm.run(
        cx.server,
        cx.reply,
        compiled,
        Passing::Arguments,
        parts,
        running,
    );
    put_back(cx.server, engine);
    outcome
}

/// Loads a library and returns its name. One that a file holds may take its time.
pub fn load(server: &mut Server, source: &[u8], existing: Existing) -> Result<Rc<str>, ErrorReply> {
    let known = |name: &str| server.functions.has_library(name.as_bytes());
    let stays = |name: &str| existing == Existing::Stays && known(name);
    let header = Header::parse(source)?;
    if stays(&header.name) {
        return Err(already_exists(&header.name));
    }
    let limit = (!server.is_loading()).then_some(LOAD_TIME_MAX);
    let mut engine = take(server)?;
    let outcome = engine.compile(&header, source, limit).and_then(|library| {
        let added = server.functions.add(library, source.into());
        added.map_err(|(refusal, library)| {
            engine.release([library]);
            refusal
        })
    });
    let outcome = outcome.map(|replaced| {
        engine.release(replaced);
        Rc::from(&*header.name)
    });
    put_back(server, engine);
    functions::note_figures(server);
    outcome
}

/// Removes the library of a name, which there must be.
pub fn delete(server: &mut Server, name: &[u8]) -> Outcome {
    let library = server.functions.remove(name);
    let library = library.ok_or("ERR Library not found")?;
    if let Ok(mut engine) = take(server) {
        engine.release([library]);
        put_back(server, engine);
    }
    functions::note_figures(server);
    Ok(())
}

/// Forgets all libraries, and the interpreter with what they left in it; with `lazily`, a thread that only frees
/// does the work.
pub fn flush(server: &mut Server, lazily: bool) {
    if lazily && let Some(engine) = server.functions.engine.take() {
        let engine: Box<Engine> = engine.downcast().expect("the engine is an Engine");
        server.keyspace.lazyfree.drop_later(Box::new(engine.vm));
    }
    functions::flush(server);
}

/// Adds the libraries of a payload, all or none.
pub fn restore(server: &mut Server, payload: &[u8], policy: Policy) -> Outcome {
    let check_crc = !server.config.skip_checksum_validation;
    let sources = rdb::restore_libraries(payload, check_crc).map_err(|e| match e {
        LibrariesError::BadChecksumOrVersion => "ERR DUMP payload version or checksum are wrong",
        LibrariesError::PreRelease => "ERR Pre-GA function format not supported",
        LibrariesError::NotALibrary => "ERR given type is not a function",
        LibrariesError::BadSource => "ERR Failed loading library payload",
    })?;
    let mut engine = take(server)?;
    let outcome = engine.compile_all(sources).and_then(|others| {
        if policy == Policy::Flush {
            engine.release(server.functions.clear());
        }
        let existing = match policy {
            Policy::Append => Existing::Stays,
            Policy::Flush | Policy::Replace => Existing::Replaced,
        };
        server
            .functions
            .join(others, existing)
            .map_err(|(refusal, libraries)| {
                engine.release(libraries);
                refusal
            })
    });
    let outcome = outcome.map(|replaced| engine.release(replaced));
    put_back(server, engine);
    functions::note_figures(server);
    outcome
}

impl Engine {
    /// Compiles a library.
    fn compile(
        &mut self,
        header: &Header,
        source: &[u8],
        limit: Option<Duration>,
    ) -> Result<Library, ErrorReply> {
        let code = &source[header.len..];
        let registered = self
            .vm
            .load_library(code, limit)
            .map_err(|message| ErrorReply::Bytes([b"ERR ", &message[..]].concat()))?;
        if let Some(refusal) = fault(&registered) {
            for function in registered {
                self.vm.release_handle(function.handle);
            }
            return Err(refusal);
        }
        let functions = registered.into_iter().map(|function| Function {
            name: String::from_utf8_lossy(&function.name).into(),
            description: function.description.map(Into::into),
            flags: function.flags,
            handle: function.handle,
        });
        Ok(Library {
            name: header.name.clone(),
            functions: functions.collect(),
        })
    }

    /// Compiles libraries that come together.
    fn compile_all(&mut self, sources: Vec<Box<[u8]>>) -> Result<Functions, ErrorReply> {
        let mut all = Functions::default();
        for source in sources {
            let outcome = Header::parse(&source).and_then(|header| {
                if all.has_library(header.name.as_bytes()) {
                    return Err(already_exists(&header.name));
                }
                let library = self.compile(&header, &source, None)?;
                all.add(library, source).map_err(|(refusal, library)| {
                    self.release([library]);
                    refusal
                })
            });
            if let Err(refusal) = outcome {
                self.release(all.clear());
                return Err(refusal);
            }
        }
        Ok(all)
    }

    /// Forgets the functions of libraries.
    fn release(&mut self, libraries: impl IntoIterator<Item = Library>) {
        for function in libraries.into_iter().flat_map(|library| library.functions) {
            self.vm.release_handle(function.handle);
        }
    }
}

/// Why functions that were registered make no library.
fn fault(registered: &[Registered]) -> Option<ErrorReply> {
    if registered.is_empty() {
        return Some("ERR No functions registered".into());
    }
    for (place, function) in registered.iter().enumerate() {
        if !functions::is_name(&function.name) {
            return Some(
                "ERR Function names can only contain letters, numbers, or underscores(_) and must be at least one \
                 character long"
                    .into(),
            );
        }
        let mut others = registered[..place].iter();
        // Names that differ in case are no clash here; the first is the one that is found.
        if others.any(|other| other.name == function.name) {
            return Some("ERR Function already exists in the library".into());
        }
    }
    None
}

/// What the first line of a library says: `#!lua name=mylib`.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    name: Box<str>,
    /// Its length; the line end, which the interpreter counts, is not part of it.
    len: usize,
}

impl Header {
    fn parse(source: &[u8]) -> Result<Header, ErrorReply> {
        const INVALID: &str = "ERR Invalid library metadata";
        if !source.starts_with(b"#!") {
            return Err("ERR Missing library metadata".into());
        }
        let len = memchr::memchr(b'\n', source).ok_or(INVALID)?;
        let words = split_line(&source[..len]).ok_or(INVALID)?;
        let mut words = words.iter().map(Vec::as_slice);
        let engine = &words.next().ok_or(INVALID)?[2..];
        let mut name = None;
        for word in words {
            let value = match word.split_at_checked(b"name=".len()) {
                Some((key, value)) if key.eq_ignore_ascii_case(b"name=") => value,
                _ => {
                    return Err([b"ERR Invalid metadata value given: ", word]
                        .concat()
                        .into());
                }
            };
            if name.replace(value).is_some() {
                return Err(
                    "ERR Invalid metadata value, name argument was given multiple times".into(),
                );
            }
        }
        let name = name.ok_or("ERR Library name was not given")?;
        if !functions::is_name(name) {
            return Err(
                "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one \
                 character long"
                    .into(),
            );
        }
        if !engine.eq_ignore_ascii_case(b"lua") {
            return Err([b"ERR Engine '", engine, b"' not found"].concat().into());
        }
        Ok(Header {
            name: String::from_utf8_lossy(name).into(),
            len,
        })
    }
}

fn already_exists(name: &str) -> ErrorReply {
    format!("ERR Library '{name}' already exists").into()
}

/// Where the keys of a request end, which says after the function how many they are.
fn keys_end(argv: Argv<'_>) -> Result<usize, ErrorReply> {
    let count = num::parse_i64(argv.at(2)).ok_or("ERR Bad number of keys provided")?;
    if count > (argv.len() - 3) as i64 {
        return Err("ERR Number of keys can't be greater than number of args".into());
    }
    let count = usize::try_from(count).map_err(|_| "ERR Number of keys can't be negative")?;
    Ok(3 + count)
}

fn take(server: &mut Server) -> Result<Box<Engine>, ErrorReply> {
    if server.scripting.running.is_some() {
        // Only scripts that DEBUG allows everything come this far.
        return Err("ERR Functions can't be called or changed while a script runs".into());
    }
    Ok(match server.functions.engine.take() {
        Some(engine) => engine.downcast().expect("the engine is an Engine"),
        None => Box::default(),
    })
}

/// Puts the interpreter back, unless there is nothing left that it is for.
fn put_back(server: &mut Server, engine: Box<Engine>) {
    if server.functions.sources().is_empty() {
        server.scripting.figures.vm_functions = 0;
        return;
    }
    server.scripting.figures.vm_functions = engine.vm.bytes();
    server.functions.engine = Some(engine);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines() {
        let check = |line: &str, expected: &str| {
            let shown = match Header::parse(line.as_bytes()) {
                Ok(header) => header.name.to_string(),
                Err(refusal) => refusal.to_string(),
            };
            assert_eq!(shown, expected, "{line:?}");
        };
        check("#!lua name=a\n", "a");
        check("#!LUA NAME=\"abc\"  \nx", "abc");
        check("", "ERR Missing library metadata");
        check(" #!lua name=a\n", "ERR Missing library metadata");
        check("#!lua", "ERR Invalid library metadata");
        check("#!lua name=\"a\n", "ERR Invalid library metadata");
        check("#!lua\n", "ERR Library name was not given");
        check("#!\n", "ERR Library name was not given");
        check("#! name=a\n", "ERR Engine '' not found");
        check("#!js name=a\n", "ERR Engine 'js' not found");
        check(
            "#!lua name=a name=b\n",
            "ERR Invalid metadata value, name argument was given multiple times",
        );
        check("#!lua nam=a\n", "ERR Invalid metadata value given: nam=a");
        for name in ["name=", "name=a-", "name=\"a b\""] {
            check(
                &format!("#!lua {name}\n"),
                "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one \
                 character long",
            );
        }
    }
}
