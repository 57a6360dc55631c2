//! Reads a snapshot into a keyspace, step by step.

use super::decode::{self, Context};
use super::error::LoadError;
use super::format::{MAGIC_LEN, VALKEY_VERSION, is_known, opcode};
use super::input::{Fault, Input, Scratch, Window};
use crate::data::quicklist;
use crate::keyspace::{Keyspace, hash, set, zset};
use std::io::Read;

/// What decides in which form a collection is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of lists.
    pub list: quicklist::Options,
    /// Of sets.
    pub set: set::Limits,
    /// Of hashes.
    pub hash: hash::Limits,
    /// Of sorted sets.
    pub zset: zset::Limits,
}

/// How a snapshot is read.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// The time, in milliseconds of the Unix clock.
    pub now_ms: i64,
    /// Whether keys that have expired are left out, as a primary does.
    pub drop_expired: bool,
    /// Whether the checksum is checked (`rdbchecksum`).
    pub check_crc: bool,
    /// The forms of collections.
    pub limits: Limits,
    /// The access clock of keys of whose use nothing is said.
    pub access: u32,
    /// Whether access clocks hold LFU minutes and counters rather than LRU seconds.
    pub lfu: bool,
    /// How many bytes there are to read, if that is known: claims beyond it are refused at once, and
    /// tables are made large enough ahead.
    pub size_hint: Option<u64>,
}

/// A snapshot being read.
pub struct Loader<R> {
    reader: R,
    window: Window,
    options: LoadOptions,
    scratch: Scratch,
    key: Vec<u8>,
    aux: Vec<(Box<[u8]>, Box<[u8]>)>,
    functions: Vec<Box<[u8]>>,
    /// None until the header was read.
    version: Option<u32>,
    db: usize,
    next: Hints,
    loaded: Loaded,
}

/// What is said of the next key before it comes.
#[derive(Clone, Copy, Default)]
struct Hints {
    expiry_ms: Option<i64>,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

/// What a step of reading has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// There is more to read.
    More,
    /// The snapshot's end was read, and its checksum was right.
    Done(Loaded),
}

/// What was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Loaded {
    /// Keys that are in the keyspace now.
    pub keys: u64,
    /// Keys left out because they had expired.
    pub expired: u64,
    /// Keys left out because their collections were empty, which an old server may have written.
    pub empty: u64,
    /// Bytes of the snapshot, the checksum included.
    pub bytes: u64,
    /// The version of the format.
    pub version: u32,
}

impl<R: Read> Loader<R> {
    /// Begins to read; nothing is read yet.
    pub fn new(reader: R, options: LoadOptions) -> Loader<R> {
        Loader {
            reader,
            window: Window::new(options.size_hint, options.check_crc),
            options,
            scratch: Scratch::default(),
            key: Vec::new(),
            aux: Vec::new(),
            functions: Vec::new(),
            version: None,
            db: 0,
            next: Hints::default(),
            loaded: Loaded::default(),
        }
    }

    /// Reads about so many bytes more, at least a key. After an error there is nothing more to be read.
    pub fn step(&mut self, keyspace: &mut Keyspace, budget: u64) -> Result<Step, LoadError> {
        let window = std::mem::replace(&mut self.window, Window::new(None, false));
        let mut input = Input::new(window, &mut self.reader);
        let mut part = Part {
            options: &self.options,
            scratch: &mut self.scratch,
            key: &mut self.key,
            aux: &mut self.aux,
            functions: &mut self.functions,
            version: &mut self.version,
            db: &mut self.db,
            next: &mut self.next,
            loaded: &mut self.loaded,
        };
        let result = part.run(&mut input, keyspace, budget);
        let offset = input.offset();
        self.window = input.window;
        result.map_err(|fault| {
            let key = (!self.key.is_empty()).then(|| self.key.as_slice().into());
            describe(fault, offset, key)
        })
    }

    /// How many bytes of the snapshot were read.
    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    /// The names and values at its beginning, as far as it was read.
    pub fn aux(&self) -> &[(Box<[u8]>, Box<[u8]>)] {
        &self.aux
    }

    /// The sources of function libraries, as far as it was read.
    pub fn functions(&self) -> &[Box<[u8]>] {
        &self.functions
    }

    /// What was read so far.
    pub fn loaded(&self) -> Loaded {
        self.loaded
    }

    /// The reader, and the bytes that were taken from it beyond the snapshot's end: what comes behind a
    /// snapshot that an append-only file begins with.
    pub fn into_rest(self) -> (Vec<u8>, R) {
        (self.window.rest().to_vec(), self.reader)
    }
}

/// All of a loader but its reader and window, while a step runs.
struct Part<'a> {
    options: &'a LoadOptions,
    scratch: &'a mut Scratch,
    key: &'a mut Vec<u8>,
    aux: &'a mut Vec<(Box<[u8]>, Box<[u8]>)>,
    functions: &'a mut Vec<Box<[u8]>>,
    version: &'a mut Option<u32>,
    db: &'a mut usize,
    next: &'a mut Hints,
    loaded: &'a mut Loaded,
}

impl Part<'_> {
    fn run(
        &mut self,
        input: &mut Input<'_>,
        keyspace: &mut Keyspace,
        budget: u64,
    ) -> Result<Step, Fault> {
        let version = match *self.version {
            Some(version) => version,
            None => {
                let version = read_header(input)?;
                *self.version = Some(version);
                self.loaded.version = version;
                version
            }
        };
        let cx = Context {
            limits: self.options.limits,
            version,
        };
        let until = input.offset().saturating_add(budget);
        loop {
            let code = input.byte()?;
            if code == opcode::END {
                self.loaded.bytes = finish(input, version)?;
                return Ok(Step::Done(*self.loaded));
            }
            if code < opcode::SLOT_IMPORT {
                self.read_key(code, input, keyspace, &cx)?;
                if input.offset() >= until {
                    return Ok(Step::More);
                }
            } else {
                self.read_other(code, input, keyspace)?;
            }
        }
    }

    /// Reads a key with its value.
    #[inline]
    fn read_key(
        &mut self,
        kind: u8,
        input: &mut Input<'_>,
        keyspace: &mut Keyspace,
        cx: &Context,
    ) -> Result<(), Fault> {
        if !decode::is_kind(kind, cx.version) {
            return Err(Fault::Described(
                format!("Unknown RDB encoding type {kind}").into(),
            ));
        }
        input.string_into(self.key, self.scratch)?;
        let hints = std::mem::take(self.next);
        let value = match decode::value(kind, input, self.scratch, cx) {
            Err(Fault::Empty) => {
                self.loaded.empty += 1;
                self.key.clear();
                return Ok(());
            }
            result => result?,
        };
        let options = self.options;
        if options.drop_expired && hints.expiry_ms.is_some_and(|at| at < options.now_ms) {
            self.loaded.expired += 1;
            self.key.clear();
            return Ok(());
        }
        let key = keyspace.key(self.key);
        let db = keyspace.db_mut(*self.db);
        if db.find(key).is_some() {
            let db = *self.db;
            let key = self.key.escape_ascii();
            return Err(Fault::Described(
                format!("RDB has duplicated key '{key}' in DB {db}").into(),
            ));
        }
        db.insert(key, value, hints.expiry_ms, hints.access(options));
        self.loaded.keys += 1;
        self.key.clear();
        Ok(())
    }

    /// Reads what is neither a key nor the end.
    #[cold]
    fn read_other(
        &mut self,
        code: u8,
        input: &mut Input<'_>,
        keyspace: &mut Keyspace,
    ) -> Result<(), Fault> {
        match code {
            opcode::EXPIRY_MS => self.next.expiry_ms = Some(input.time_ms()?),
            opcode::EXPIRY_S => {
                let seconds = i32::from_le_bytes(input.array()?);
                self.next.expiry_ms = Some(i64::from(seconds) * 1000);
            }
            opcode::IDLE => self.next.idle_seconds = Some(input.len()?),
            opcode::FREQUENCY => self.next.frequency = Some(input.byte()?),
            opcode::SELECT => *self.db = read_db(input, keyspace.count())?,
            opcode::RESIZE => {
                let keys = input.len()?;
                input.len()?;
                let keys = input.plausible(keys, KEY_BYTES_MIN);
                keyspace.db_mut(*self.db).reserve(keys);
            }
            opcode::AUX => {
                let name = input.owned(self.scratch)?;
                let value = input.owned(self.scratch)?;
                self.aux.push((name, value));
            }
            opcode::FUNCTION => self.functions.push(input.owned(self.scratch)?),
            opcode::FUNCTION_PRE_GA => {
                let source = read_old_function(input, self.scratch)?;
                self.functions.push(source);
            }
            opcode::MODULE_AUX => skip_module_aux(input)?,
            opcode::SLOT_INFO => {
                for _ in 0..3 {
                    input.len()?;
                }
            }
            opcode::SLOT_IMPORT => {
                input.skip_string()?;
                for _ in 0..input.len()? {
                    input.len()?;
                    input.len()?;
                }
            }
            _ => unreachable!("a key or the end"),
        }
        Ok(())
    }
}

impl Hints {
    fn access(self, options: &LoadOptions) -> u32 {
        match (self.frequency, self.idle_seconds) {
            (Some(frequency), _) if options.lfu => options.access & !0xff | u32::from(frequency),
            (_, Some(seconds)) if !options.lfu => {
                let seconds = seconds.min(0xff_ffff) as u32;
                options.access.wrapping_sub(seconds) & 0xff_ffff
            }
            _ => options.access,
        }
    }
}

/// What a key takes in a file, by a low guess: room is made ahead for no more than fit by it.
const KEY_BYTES_MIN: u64 = 16;

fn read_header(input: &mut Input<'_>) -> Result<u32, Fault> {
    let magic: [u8; MAGIC_LEN] = input.array()?;
    let (digits, is_valkey) = match (magic.strip_prefix(b"REDIS"), magic.strip_prefix(b"VALKEY")) {
        (Some(digits), _) => (digits, false),
        (_, Some(digits)) => (digits, true),
        _ => {
            return Err(Fault::Corrupt(
                "Wrong signature trying to load DB from file",
            ));
        }
    };
    let version = std::str::from_utf8(digits).ok();
    let version = version.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    if !is_known(version) || is_valkey != (version >= VALKEY_VERSION) {
        return Err(Fault::Described(
            format!("Can't handle RDB format version {version}").into(),
        ));
    }
    Ok(version)
}

/// Reads what is behind the end, and gives the number of all bytes.
fn finish(input: &mut Input<'_>, version: u32) -> Result<u64, Fault> {
    /// The first version that ends in a checksum.
    const SUMMED: u32 = 5;
    if version >= SUMMED {
        let found = input.checksum();
        let said = u64::from_le_bytes(input.array()?);
        // Zero says that the writer did not sum.
        if let Some(found) = found
            && said != 0
            && said != found
        {
            return Err(Fault::Described(
                format!("Wrong RDB checksum expected: ({said:x}) but got ({found:x})").into(),
            ));
        }
    }
    Ok(input.offset())
}

fn read_db(input: &mut Input<'_>, count: usize) -> Result<usize, Fault> {
    let index = input.len()?;
    match usize::try_from(index) {
        Ok(index) if index < count => Ok(index),
        _ => Err(Fault::Described(
            format!(
                "Data file was created with a server configured to handle more than {count} databases"
            )
            .into(),
        )),
    }
}

/// Reads a library as the candidates of Redis 7.0 wrote it, with its name and engine beside its source.
fn read_old_function(input: &mut Input<'_>, scratch: &mut Scratch) -> Result<Box<[u8]>, Fault> {
    let name = input.owned(scratch)?;
    let engine = input.owned(scratch)?;
    if input.len()? != 0 {
        input.skip_string()?;
    }
    let code = input.owned(scratch)?;
    let source = [b"#!", &*engine, b" name=", &*name, b"\n", &*code];
    Ok(source.concat().into())
}

/// Passes over what a module kept: its ID, when it is to be loaded, and its data.
fn skip_module_aux(input: &mut Input<'_>) -> Result<(), Fault> {
    for _ in 0..3 {
        input.len()?;
    }
    decode::skip_module_value(input)
}

/// Puts a fault into words.
pub(super) fn describe(fault: Fault, offset: u64, key: Option<Box<[u8]>>) -> LoadError {
    let is_truncated = matches!(fault, Fault::Truncated);
    let what = match fault {
        Fault::Truncated => "Unexpected EOF reading RDB file".into(),
        Fault::Io(error) => format!("Error reading RDB file: {error}"),
        Fault::Corrupt(what) => what.into(),
        Fault::Described(what) => what.into(),
        Fault::Empty => "an empty collection".into(),
    };
    LoadError {
        offset,
        key,
        is_truncated,
        what,
    }
}
