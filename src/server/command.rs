//! What a command is: one declarative entry, from which everything about it is derived.
//!
//! A family's file holds a `pub static COMMANDS: &[Command]` built with [`cmd`], each entry above its
//! handler. Dispatch, arity errors, COMMAND INFO, DOCS, GETKEYS and LIST, ACL categories and key
//! extraction all read these entries; nothing about a command is written down a second time.

use crate::resp::error::Outcome;
use crate::resp::request::Argv;
use crate::server::cx::{DataCx, ServerCx};

/// Properties of a command, as COMMAND INFO names them (and a few that are ours).
pub type Flags = u32;

/// May change the data set.
pub const WRITE: Flags = 1 << 0;
/// Only reads keys.
pub const READONLY: Flags = 1 << 1;
/// May need memory: refused when `maxmemory` is reached.
pub const DENYOOM: Flags = 1 << 2;
/// An administrator's command.
pub const ADMIN: Flags = 1 << 3;
/// Related to pub/sub.
pub const PUBSUB: Flags = 1 << 4;
/// Not allowed in scripts.
pub const NOSCRIPT: Flags = 1 << 5;
/// May block the client.
pub const BLOCKING: Flags = 1 << 6;
/// Runs while the data set is loaded.
pub const LOADING: Flags = 1 << 7;
/// Runs on a replica whose data is stale.
pub const STALE: Flags = 1 << 8;
/// Not shown to MONITOR.
pub const SKIP_MONITOR: Flags = 1 << 9;
/// Not put into the slow log.
pub const SKIP_SLOWLOG: Flags = 1 << 10;
/// Constant or logarithmic time.
pub const FAST: Flags = 1 << 11;
/// Runs without authentication.
pub const NO_AUTH: Flags = 1 << 12;
/// May be propagated although it does not write.
pub const MAY_REPLICATE: Flags = 1 << 13;
/// Not allowed inside MULTI.
pub const NO_MULTI: Flags = 1 << 14;
/// Runs while a script has been running too long.
pub const ALLOW_BUSY: Flags = 1 << 15;
/// Not run with several databases (cluster).
pub const NO_ASYNC_LOADING: Flags = 1 << 16;
/// Refused unless the configuration allows it (DEBUG, MODULE).
pub const PROTECTED: Flags = 1 << 17;
/// Key positions depend on the arguments in a way that key specs cannot say fully.
pub const MOVABLE_KEYS: Flags = 1 << 18;
/// Access is not recorded by the touched keys' clocks (TOUCH aside, introspection).
pub const NO_MANDATORY_KEYS: Flags = 1 << 19;

/// The flags that COMMAND INFO shows, in its order.
pub const FLAG_NAMES: &[(Flags, &str)] = &[
    (WRITE, "write"),
    (READONLY, "readonly"),
    (DENYOOM, "denyoom"),
    (ADMIN, "admin"),
    (PUBSUB, "pubsub"),
    (NOSCRIPT, "noscript"),
    (BLOCKING, "blocking"),
    (LOADING, "loading"),
    (STALE, "stale"),
    (SKIP_MONITOR, "skip_monitor"),
    (SKIP_SLOWLOG, "skip_slowlog"),
    (FAST, "fast"),
    (NO_AUTH, "no_auth"),
    (MAY_REPLICATE, "may_replicate"),
    (NO_ASYNC_LOADING, "no_async_loading"),
    (NO_MULTI, "no_multi"),
    (MOVABLE_KEYS, "movablekeys"),
    (ALLOW_BUSY, "allow_busy"),
    (NO_MANDATORY_KEYS, "no_mandatory_keys"),
];

/// A command's family: COMMAND DOCS' group, and the ACL category that comes with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Group {
    Generic,
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Pubsub,
    Transactions,
    Connection,
    Server,
    Scripting,
    Hyperloglog,
    Cluster,
    Sentinel,
    Geo,
    Stream,
    Bitmap,
}

impl Group {
    /// The name that COMMAND DOCS uses.
    pub fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::Pubsub => "pubsub",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Scripting => "scripting",
            Group::Hyperloglog => "hyperloglog",
            Group::Cluster => "cluster",
            Group::Sentinel => "sentinel",
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
        }
    }
}

/// ACL categories that neither group nor flags imply.
pub type Categories = u32;
/// `@keyspace`.
pub const CAT_KEYSPACE: Categories = 1 << 0;
/// `@dangerous`.
pub const CAT_DANGEROUS: Categories = 1 << 1;
/// `@connection`.
pub const CAT_CONNECTION: Categories = 1 << 2;
/// `@admin`, for a command without the flag.
pub const CAT_ADMIN: Categories = 1 << 4;
/// `@admin` and `@dangerous` are implied by ADMIN, `@slow` by the absence of FAST, and so on.
pub const CAT_TRANSACTION: Categories = 1 << 3;

/// What a command does with the keys of a [`KeySpec`].
pub type KeyFlags = u16;
/// Reads and writes the value.
pub const RW: KeyFlags = 1 << 0;
/// Reads it.
pub const RO: KeyFlags = 1 << 1;
/// Overwrites it without looking.
pub const OW: KeyFlags = 1 << 2;
/// Removes the key.
pub const RM: KeyFlags = 1 << 3;
/// Returns, copies or uses the user's data.
pub const ACCESS: KeyFlags = 1 << 4;
/// Changes the user's data.
pub const UPDATE: KeyFlags = 1 << 5;
/// Adds to it without reading.
pub const INSERT: KeyFlags = 1 << 6;
/// Removes user data.
pub const DELETE: KeyFlags = 1 << 7;
/// A name that is no key (a channel).
pub const NOT_KEY: KeyFlags = 1 << 8;
/// Some keys may be missed by this spec.
pub const INCOMPLETE: KeyFlags = 1 << 9;
/// The flags depend on the arguments.
pub const VARIABLE_FLAGS: KeyFlags = 1 << 10;

/// Where the search for keys begins.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    /// At this argument.
    Index(i32),
    /// After this word, looked for from this argument on (negative: backward from the end).
    Keyword(&'static str, i32),
}

/// Which arguments from there on are keys.
#[derive(Clone, Copy, Debug)]
pub enum Find {
    /// From the beginning to `last` (relative; negative: from the end), every `step`th; with
    /// `last` -1 a `limit` of 2 or more stops at that fraction of the arguments.
    #[allow(missing_docs)]
    Range { last: i32, step: i32, limit: i32 },
    /// A number of keys at `index`, the first at `first`, every `step`th (all relative).
    #[allow(missing_docs)]
    KeyNum { index: i32, first: i32, step: i32 },
}

/// A rule that finds keys among a command's arguments.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// Where to begin.
    pub begin: Begin,
    /// What to take.
    pub find: Find,
    /// What is done with the keys.
    pub flags: KeyFlags,
    /// A remark for COMMAND INFO.
    pub notes: Option<&'static str>,
}

impl KeySpec {
    /// The argument at `index`.
    pub const fn at(index: i32) -> KeySpec {
        KeySpec {
            begin: Begin::Index(index),
            find: Find::Range {
                last: 0,
                step: 1,
                limit: 0,
            },
            flags: 0,
            notes: None,
        }
    }

    /// Up to the last argument, every `step`th.
    pub const fn to_end(mut self, step: i32) -> KeySpec {
        self.find = Find::Range {
            last: -1,
            step,
            limit: 0,
        };
        self
    }

    /// The same keys with these flags.
    pub const fn flags(mut self, flags: KeyFlags) -> KeySpec {
        self.flags = flags;
        self
    }

    /// The same with a remark.
    pub const fn notes(mut self, notes: &'static str) -> KeySpec {
        self.notes = Some(notes);
        self
    }
}

/// The first argument.
pub const FIRST: KeySpec = KeySpec::at(1);

/// A handler: what it may reach says what it can do.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Reads and changes the keyspace, and nothing else.
    Data(fn(&mut DataCx<'_>, Argv<'_>) -> Outcome),
    /// Reaches the whole server and its clients.
    Server(fn(&mut ServerCx<'_>, Argv<'_>) -> Outcome),
    /// Does nothing itself: it has subcommands.
    Container,
}
pub use Handler::{Container, Data, Server};

/// A command or subcommand.
pub struct Command {
    /// The name in lower case; a subcommand's own, without its container's.
    pub name: &'static str,
    /// The number of arguments, the name (and subcommand name) among them; negative: at least.
    pub arity: i32,
    /// What runs.
    pub handler: Handler,
    /// Its properties.
    pub flags: Flags,
    /// Its keys.
    pub keys: &'static [KeySpec],
    /// Its family.
    pub group: Group,
    /// ACL categories that group and flags do not imply.
    pub categories: Categories,
    /// The version of Redis that brought it.
    pub since: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What it costs.
    pub complexity: &'static str,
    /// Its arguments, after the name, in the field's notation.
    pub usage: &'static str,
    /// Changes in later versions: version and text.
    pub history: &'static [(&'static str, &'static str)],
    /// Hints for clients.
    pub tips: &'static [&'static str],
    /// Since when it is deprecated, and what replaces it.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// Its subcommands.
    pub subcommands: &'static [Command],
}

/// Begins an entry.
pub const fn cmd(name: &'static str, arity: i32, handler: Handler) -> Command {
    Command {
        name,
        arity,
        handler,
        flags: 0,
        keys: &[],
        group: Group::Generic,
        categories: 0,
        since: "1.0.0",
        summary: "",
        complexity: "",
        usage: "",
        history: &[],
        tips: &[],
        deprecated: None,
        subcommands: &[],
    }
}

impl Command {
    /// Sets the family.
    pub const fn group(mut self, group: Group) -> Command {
        self.group = group;
        self
    }

    /// Sets the version that brought it.
    pub const fn since(mut self, version: &'static str) -> Command {
        self.since = version;
        self
    }

    /// Sets its properties.
    pub const fn flags(mut self, flags: Flags) -> Command {
        self.flags = flags;
        self
    }

    /// Sets its keys.
    pub const fn keys(mut self, keys: &'static [KeySpec]) -> Command {
        self.keys = keys;
        self
    }

    /// Adds ACL categories.
    pub const fn categories(mut self, categories: Categories) -> Command {
        self.categories = categories;
        self
    }

    /// Sets what it does and what it costs.
    pub const fn doc(mut self, summary: &'static str, complexity: &'static str) -> Command {
        self.summary = summary;
        self.complexity = complexity;
        self
    }

    /// Sets its arguments.
    pub const fn usage(mut self, usage: &'static str) -> Command {
        self.usage = usage;
        self
    }

    /// Sets its history.
    pub const fn history(mut self, history: &'static [(&'static str, &'static str)]) -> Command {
        self.history = history;
        self
    }

    /// Sets hints for clients.
    pub const fn tips(mut self, tips: &'static [&'static str]) -> Command {
        self.tips = tips;
        self
    }

    /// Marks it as deprecated since a version, and says what to use instead.
    pub const fn deprecated(mut self, since: &'static str, instead: &'static str) -> Command {
        self.deprecated = Some((since, instead));
        self
    }

    /// Sets its subcommands.
    pub const fn subcommands(mut self, subcommands: &'static [Command]) -> Command {
        self.subcommands = subcommands;
        self
    }

    /// Whether a request of this many arguments is one.
    #[inline]
    pub fn accepts(&self, argc: usize) -> bool {
        if self.arity >= 0 {
            argc == self.arity as usize
        } else {
            argc >= self.arity.unsigned_abs() as usize
        }
    }

    /// First key, last key and step, as COMMAND INFO says them: those of the specs that are plain
    /// ranges from a fixed argument.
    pub const fn legacy_range(&self) -> (i32, i32, i32) {
        let (mut first, mut last, mut step) = (0, 0, 0);
        let mut i = 0;
        while i < self.keys.len() {
            if let (
                Begin::Index(at),
                Find::Range {
                    last: l,
                    step: s,
                    limit: 0,
                },
            ) = (self.keys[i].begin, self.keys[i].find)
            {
                let end = if l < 0 { l } else { at + l };
                if first == 0 {
                    (first, last, step) = (at, end, s);
                } else if last >= 0 && at == last + 1 && end >= 0 {
                    last = end;
                }
            }
            i += 1;
        }
        (first, last, step)
    }
}
