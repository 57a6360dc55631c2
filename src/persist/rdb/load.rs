//! Reads a snapshot into a keyspace, step by step.

use super::decode::{self, Context};
use super::error::LoadError;
use super::format::{MAGIC_LEN, VALKEY_VERSION, is_known, opcode};
use super::input::{Fault, Input, Scratch, Window};
use crate::data::quicklist;
use crate::keyspace::value::NewValue;
use crate::keyspace::{Key, Keyspace, hash, set, zset};
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
    /// Whether a key that is there already is replaced, rather than an error.
    pub replaces: bool,
    /// Whether versions that are not known are read too (`rdb-version-check relaxed`).
    pub any_version: bool,
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

/// A name and a value that a snapshot begins with.
pub type AuxField = (Box<[u8]>, Box<[u8]>);

/// A snapshot being read.
pub struct Loader<R> {
    reader: R,
    window: Window,
    options: LoadOptions,
    scratch: Scratch,
    key: Vec<u8>,
    aux: Vec<AuxField>,
    functions: Vec<Box<[u8]>>,
    /// None until the header was read.
    version: Option<u32>,
    db: usize,
    next: Hints,
    loaded: Loaded,
    doing: Doing,
    kind: u8,
}

/// What takes what a snapshot holds.
pub(super) trait Target {
    /// How many databases there are.
    fn databases(&self) -> usize;
    /// A database is about to get keys, so many if that is told.
    fn select(&mut self, db: usize, keys: Option<usize>, offset: u64);
    /// A name and a value at the beginning.
    fn aux(&mut self, name: &[u8], value: &[u8], offset: u64);
    /// A key is about to be put: what it takes to find its place can be fetched while its value is read.
    /// Gives the key's hash.
    fn announce(&mut self, db: usize, key: &[u8]) -> u64;
    /// Takes a key. False if it was there.
    fn put(&mut self, at: Place<'_>, value: NewValue<'_>, access: u32) -> bool;
    /// The key that was put, with all that was said of it, took the bytes from one offset to the other.
    fn measure(&mut self, from: u64, to: u64);
}

/// Of a key: where it goes, and how it stood in the file.
pub(super) struct Place<'a> {
    pub(super) db: usize,
    pub(super) key: &'a [u8],
    /// What [`Target::announce`] gave.
    pub(super) hash: u64,
    pub(super) expiry_ms: Option<i64>,
    /// The number of the value's type.
    pub(super) kind: u8,
    /// Whether a key that is there already gives way.
    pub(super) replaces: bool,
}

impl Target for Keyspace {
    fn databases(&self) -> usize {
        self.count()
    }

    fn select(&mut self, db: usize, keys: Option<usize>, _offset: u64) {
        if let Some(keys) = keys {
            self.db_mut(db).reserve(keys);
        }
    }

    fn aux(&mut self, _name: &[u8], _value: &[u8], _offset: u64) {}

    #[inline]
    fn announce(&mut self, db: usize, key: &[u8]) -> u64 {
        let hash = self.key(key).hash;
        self.db(db).prefetch_bucket(hash);
        hash
    }

    #[inline]
    fn put(&mut self, at: Place<'_>, value: NewValue<'_>, access: u32) -> bool {
        let key = Key {
            bytes: at.key,
            hash: at.hash,
        };
        if let Some(place) = self.db(at.db).find(key) {
            if !at.replaces {
                return false;
            }
            self.remove(at.db, key, place, false);
        }
        let db = self.db_mut(at.db);
        db.insert(key, value, at.expiry_ms, access);
        true
    }

    #[inline]
    fn measure(&mut self, _from: u64, _to: u64) {}
}

/// What is being read, for who is told that it is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Doing {
    #[default]
    Start,
    Type,
    Expiry,
    Key,
    Value,
    Checksum,
    Length,
    Aux,
    ModuleAux,
    Functions,
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
    /// Whether there was a checksum, or zeros in its place; nothing if the version has none.
    pub checksum: Option<bool>,
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
            doing: Doing::default(),
            kind: 0,
        }
    }

    /// Reads about so many bytes more, at least a key. After an error there is nothing more to be read.
    pub fn step(&mut self, keyspace: &mut Keyspace, budget: u64) -> Result<Step, LoadError> {
        self.step_into(keyspace, budget)
    }

    /// The same into whatever takes what a snapshot holds.
    pub(super) fn step_into<T: Target>(
        &mut self,
        target: &mut T,
        budget: u64,
    ) -> Result<Step, LoadError> {
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
            doing: &mut self.doing,
            kind: &mut self.kind,
        };
        let result = part.run(&mut input, target, budget);
        let offset = input.offset();
        self.window = input.window;
        result.map_err(|fault| {
            let in_key = matches!(self.doing, Doing::Key | Doing::Value);
            LoadError {
                offset,
                key: in_key.then(|| self.key.as_slice().into()),
                is_truncated: matches!(fault, Fault::Truncated),
                what: fault.to_string(),
            }
        })
    }

    /// How many bytes of the snapshot were read.
    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    /// The names and values at its beginning, as far as it was read.
    pub fn aux(&self) -> &[AuxField] {
        &self.aux
    }

    /// The sources of function libraries, as far as it was read.
    pub fn functions(&self) -> &[Box<[u8]>] {
        &self.functions
    }

    /// What is being read, and the type of the value if it is one.
    pub(super) fn doing(&self) -> (Doing, u8) {
        (self.doing, self.kind)
    }

    /// What was read so far.
    pub fn loaded(&self) -> Loaded {
        self.loaded
    }

    /// The reader, of which some was taken beyond the snapshot's end.
    pub fn into_reader(self) -> R {
        self.reader
    }
}

/// All of a loader but its reader and window, while a step runs.
struct Part<'a> {
    options: &'a LoadOptions,
    scratch: &'a mut Scratch,
    key: &'a mut Vec<u8>,
    aux: &'a mut Vec<AuxField>,
    functions: &'a mut Vec<Box<[u8]>>,
    version: &'a mut Option<u32>,
    db: &'a mut usize,
    next: &'a mut Hints,
    loaded: &'a mut Loaded,
    doing: &'a mut Doing,
    kind: &'a mut u8,
}

impl Part<'_> {
    fn run<T: Target>(
        &mut self,
        input: &mut Input<'_>,
        target: &mut T,
        budget: u64,
    ) -> Result<Step, Fault> {
        let version = match *self.version {
            Some(version) => version,
            None => {
                let version = read_header(input, self.options.any_version)?;
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
            *self.doing = Doing::Type;
            let code = input.byte()?;
            if code == opcode::END {
                *self.doing = Doing::Checksum;
                self.loaded.checksum = finish(input, version)?;
                self.loaded.bytes = input.offset();
                return Ok(Step::Done(*self.loaded));
            }
            if code < opcode::SLOT_IMPORT {
                self.read_key(code, input, target, &cx)?;
                if input.offset() >= until {
                    return Ok(Step::More);
                }
            } else {
                self.read_other(code, input, target)?;
            }
        }
    }

    /// Reads a key with its value.
    #[inline]
    fn read_key<T: Target>(
        &mut self,
        kind: u8,
        input: &mut Input<'_>,
        target: &mut T,
        cx: &Context,
    ) -> Result<(), Fault> {
        if !decode::is_kind(kind, cx.version) {
            return Err(Fault::Described(
                format!("Unknown RDB encoding type {kind}").into(),
            ));
        }
        // Its type has been read.
        let start = input.offset() - 1;
        *self.kind = kind;
        *self.doing = Doing::Key;
        self.key.clear();
        input.string_into(self.key, self.scratch)?;
        let hash = target.announce(*self.db, self.key);
        *self.doing = Doing::Value;
        let hints = std::mem::take(self.next);
        let value = match decode::value(kind, input, self.scratch, cx) {
            Err(Fault::Empty) => {
                self.skip_empty();
                return Ok(());
            }
            result => result?,
        };
        let options = self.options;
        if options.drop_expired && hints.expiry_ms.is_some_and(|at| at < options.now_ms) {
            self.loaded.expired += 1;
            return Ok(());
        }
        let place = Place {
            db: *self.db,
            key: self.key,
            hash,
            expiry_ms: hints.expiry_ms,
            kind,
            replaces: options.replaces,
        };
        if !target.put(place, value, hints.access(options)) {
            let (db, key) = (*self.db, self.key.escape_ascii());
            return Err(Fault::Described(
                format!("RDB has duplicated key '{key}' in DB {db}").into(),
            ));
        }
        self.loaded.keys += 1;
        target.measure(start, input.offset());
        Ok(())
    }

    /// Counts a key whose collection is empty, and says so of the first ones.
    #[cold]
    fn skip_empty(&mut self) {
        const TOLD_MAX: u64 = 10;
        if self.loaded.empty < TOLD_MAX {
            let key = self.key.escape_ascii();
            tracing::info!("rdbLoadObject skipping empty key: {key}");
        }
        self.loaded.empty += 1;
    }

    /// Reads what is neither a key nor the end.
    #[cold]
    fn read_other<T: Target>(
        &mut self,
        code: u8,
        input: &mut Input<'_>,
        target: &mut T,
    ) -> Result<(), Fault> {
        *self.doing = match code {
            opcode::EXPIRY_MS | opcode::EXPIRY_S => Doing::Expiry,
            opcode::AUX => Doing::Aux,
            opcode::FUNCTION | opcode::FUNCTION_PRE_GA => Doing::Functions,
            opcode::MODULE_AUX => Doing::ModuleAux,
            _ => Doing::Length,
        };
        match code {
            opcode::EXPIRY_MS => self.next.expiry_ms = Some(input.time_ms()?),
            opcode::EXPIRY_S => {
                let seconds = i32::from_le_bytes(input.array()?);
                self.next.expiry_ms = Some(i64::from(seconds) * 1000);
            }
            opcode::IDLE => self.next.idle_seconds = Some(input.len()?),
            opcode::FREQUENCY => self.next.frequency = Some(input.byte()?),
            opcode::SELECT => {
                *self.db = read_db(input, target.databases())?;
                target.select(*self.db, None, input.offset());
            }
            opcode::RESIZE => {
                let keys = input.len()?;
                input.len()?;
                let keys = input.plausible(keys, KEY_BYTES_MIN);
                target.select(*self.db, Some(keys), input.offset());
            }
            opcode::AUX => {
                let name = input.owned(self.scratch)?;
                let value = input.owned(self.scratch)?;
                target.aux(&name, &value, input.offset());
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

fn read_header(input: &mut Input<'_>, any_version: bool) -> Result<u32, Fault> {
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
    let is_known = is_known(version) && is_valkey == (version >= VALKEY_VERSION);
    if !(is_known || any_version && version > 0) {
        return Err(Fault::Described(
            format!("Can't handle RDB format version {version}").into(),
        ));
    }
    Ok(version)
}

/// Reads what is behind the end, and says whether it is a checksum.
fn finish(input: &mut Input<'_>, version: u32) -> Result<Option<bool>, Fault> {
    /// The first version that ends in a checksum.
    const SUMMED: u32 = 5;
    if version < SUMMED {
        return Ok(None);
    }
    let found = input.checksum();
    let said = u64::from_le_bytes(input.array()?);
    // Zero says that the writer did not sum.
    match found {
        Some(found) if said != 0 && said != found => Err(Fault::Described(
            format!("RDB CRC error: the file says {said:x}, its bytes have {found:x}").into(),
        )),
        _ => Ok(Some(said != 0)),
    }
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
