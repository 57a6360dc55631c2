//! The scripts that EVAL and SCRIPT LOAD made known, found by their source or by their digest.
//!
//! A script is compiled once and stays. Those that came with EVAL are given up again when there are more than
//! [`EVALED_MAX`], the one that was not used for longest first: who makes a new script for every call must not
//! fill the memory. Those of SCRIPT LOAD stay until SCRIPT FLUSH.
//!
//! Digesting a source costs more than running a short script, so a source that was seen before is found by a
//! cheap hash of it, and compared.

use super::lua::FunctionRef;
use crate::server::scripting::ScriptFlags;
use crate::server::scripting::sha::{self, Sha};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

/// How many scripts of EVAL are kept.
const EVALED_MAX: usize = 500;

/// The number of a script in the cache.
pub type ScriptId = usize;

/// A script that is known.
pub struct Script {
    /// Its digest.
    pub sha: Sha,
    /// The digest in digits, by which messages name it.
    pub name: Rc<str>,
    /// Its source.
    pub source: Box<[u8]>,
    /// What it declares.
    pub flags: ScriptFlags,
    /// The compiled function.
    pub function: FunctionRef,
    /// When it was last used, counted in uses; `None` if it is never given up.
    used: Option<u64>,
}

/// All scripts that are known.
#[derive(Default)]
pub struct Cache {
    scripts: Vec<Option<Script>>,
    free: Vec<ScriptId>,
    by_sha: HashMap<u64, Vec<ScriptId>, Plain>,
    by_source: HashMap<u64, ScriptId, Plain>,
    /// Those that may be given up.
    evaled: Vec<ScriptId>,
    uses: u64,
    source_bytes: usize,
}

impl Cache {
    /// The number of scripts.
    pub fn len(&self) -> usize {
        self.scripts.len() - self.free.len()
    }

    /// What they take, the compiled functions aside.
    pub fn bytes(&self) -> usize {
        let each = size_of::<Script>() + 40 + 2 * size_of::<(u64, ScriptId)>();
        self.source_bytes + self.len() * each
    }

    /// A script.
    #[inline]
    pub fn get(&self, id: ScriptId) -> &Script {
        self.scripts[id].as_ref().expect("the script is known")
    }

    /// The script of this source, whose hash is known, if it was seen before.
    #[inline]
    pub fn by_source(&self, hash: u64, source: &[u8]) -> Option<ScriptId> {
        let &id = self.by_source.get(&hash)?;
        (*self.get(id).source == *source).then_some(id)
    }

    /// The script of this digest.
    #[inline]
    pub fn by_sha(&self, sha: &Sha) -> Option<ScriptId> {
        let mut known = self.by_sha.get(&head(sha))?.iter().copied();
        known.find(|&id| self.get(id).sha == *sha)
    }

    /// Notes that a script is used.
    #[inline]
    pub fn touch(&mut self, id: ScriptId) {
        self.uses += 1;
        let now = self.uses;
        let script = self.scripts[id].as_mut().expect("the script is known");
        if let Some(used) = &mut script.used {
            *used = now;
        }
    }

    /// A script is never given up from now on.
    pub fn keep(&mut self, id: ScriptId) {
        self.scripts[id].as_mut().expect("the script is known").used = None;
        self.evaled.retain(|&other| other != id);
    }

    /// Takes a new script in; `hash` is that of its source.
    pub fn add(
        &mut self,
        hash: u64,
        sha: Sha,
        source: &[u8],
        flags: ScriptFlags,
        function: FunctionRef,
        is_kept: bool,
    ) -> ScriptId {
        let digits = sha::hex(&sha);
        let name = std::str::from_utf8(&digits).expect("digits are ASCII");
        let script = Script {
            sha,
            name: name.into(),
            source: source.into(),
            flags,
            function,
            used: (!is_kept).then_some(self.uses),
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.scripts[id] = Some(script);
                id
            }
            None => {
                self.scripts.push(Some(script));
                self.scripts.len() - 1
            }
        };
        self.source_bytes += source.len();
        self.by_sha.entry(head(&sha)).or_default().push(id);
        self.by_source.insert(hash, id);
        if !is_kept {
            self.evaled.push(id);
        }
        id
    }

    /// Whether a script must be given up before another one of EVAL comes.
    pub fn is_full(&self) -> bool {
        self.evaled.len() >= EVALED_MAX
    }

    /// Gives up the script of EVAL that was not used for longest; returns it. `hash_of` is that of a source.
    pub fn evict(&mut self, hash_of: impl Fn(&[u8]) -> u64) -> Option<Script> {
        let ages = self.evaled.iter().enumerate();
        let (place, &id) = ages.min_by_key(|&(_, &id)| self.get(id).used)?;
        self.evaled.swap_remove(place);
        let script = self.scripts[id].take().expect("the script is known");
        self.free.push(id);
        self.source_bytes -= script.source.len();
        let hash = hash_of(&script.source);
        if self.by_source.get(&hash) == Some(&id) {
            self.by_source.remove(&hash);
        }
        if let Some(same) = self.by_sha.get_mut(&head(&script.sha)) {
            same.retain(|&other| other != id);
            if same.is_empty() {
                self.by_sha.remove(&head(&script.sha));
            }
        }
        Some(script)
    }
}

/// The first eight bytes of a digest, which is hash enough.
#[inline]
fn head(sha: &Sha) -> u64 {
    u64::from_le_bytes(*sha.first_chunk().expect("a digest has twenty bytes"))
}

type Plain = BuildHasherDefault<PlainHasher>;

/// Keys that are hashes already.
#[derive(Default)]
struct PlainHasher(u64);

impl Hasher for PlainHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are words");
    }

    #[inline]
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
