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

/// Runs at once inside MULTI, where others are queued.
pub const NOT_QUEUED: Flags = 1 << 20;
/// Runs in a cluster as if ASKING had been sent before.
pub const ASKING: Flags = 1 << 22;

/// Runs scripts, or what may run some.
pub const RUNS_SCRIPTS: Flags = 1 << 21;

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
    (ASKING, "asking"),
    (FAST, "fast"),
    (NO_AUTH, "no_auth"),
    (NO_ASYNC_LOADING, "no_async_loading"),
    (NO_MULTI, "no_multi"),
    (NO_MANDATORY_KEYS, "no_mandatory_keys"),
    (ALLOW_BUSY, "allow_busy"),
    (MOVABLE_KEYS, "movablekeys"),
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

/// ACL categories, a bit each. An entry names those that neither its group nor its flags imply.
pub type Categories = u32;
/// `@keyspace`.
pub const CAT_KEYSPACE: Categories = 1 << 0;
/// `@read`.
pub const CAT_READ: Categories = 1 << 1;
/// `@write`.
pub const CAT_WRITE: Categories = 1 << 2;
/// `@set`.
pub const CAT_SET: Categories = 1 << 3;
/// `@sortedset`.
pub const CAT_SORTEDSET: Categories = 1 << 4;
/// `@list`.
pub const CAT_LIST: Categories = 1 << 5;
/// `@hash`.
pub const CAT_HASH: Categories = 1 << 6;
/// `@string`.
pub const CAT_STRING: Categories = 1 << 7;
/// `@bitmap`.
pub const CAT_BITMAP: Categories = 1 << 8;
/// `@hyperloglog`.
pub const CAT_HYPERLOGLOG: Categories = 1 << 9;
/// `@geo`.
pub const CAT_GEO: Categories = 1 << 10;
/// `@stream`.
pub const CAT_STREAM: Categories = 1 << 11;
/// `@pubsub`.
pub const CAT_PUBSUB: Categories = 1 << 12;
/// `@admin`.
pub const CAT_ADMIN: Categories = 1 << 13;
/// `@fast`.
pub const CAT_FAST: Categories = 1 << 14;
/// `@slow`.
pub const CAT_SLOW: Categories = 1 << 15;
/// `@blocking`.
pub const CAT_BLOCKING: Categories = 1 << 16;
/// `@dangerous`.
pub const CAT_DANGEROUS: Categories = 1 << 17;
/// `@connection`.
pub const CAT_CONNECTION: Categories = 1 << 18;
/// `@transaction`.
pub const CAT_TRANSACTION: Categories = 1 << 19;
/// `@scripting`.
pub const CAT_SCRIPTING: Categories = 1 << 20;

/// The categories' names, in the order in which COMMAND INFO shows them: that of the bits.
const CATEGORY_NAMES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// The names of these categories.
pub fn category_names(categories: Categories) -> impl Iterator<Item = &'static str> {
    let named = CATEGORY_NAMES.iter().enumerate();
    named.filter_map(move |(bit, name)| (categories & 1 << bit != 0).then_some(*name))
}

/// The category of this name, in any case.
pub fn category(name: &[u8]) -> Option<Categories> {
    let bit = CATEGORY_NAMES
        .iter()
        .position(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
    Some(1 << bit)
}

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

/// The names of what is done with keys, in the order in which COMMAND INFO shows them.
const KEY_FLAG_NAMES: &[(KeyFlags, &str)] = &[
    (RO, "RO"),
    (RW, "RW"),
    (OW, "OW"),
    (RM, "RM"),
    (ACCESS, "access"),
    (UPDATE, "update"),
    (INSERT, "insert"),
    (DELETE, "delete"),
    (NOT_KEY, "not_key"),
    (INCOMPLETE, "incomplete"),
    (VARIABLE_FLAGS, "variable_flags"),
];

/// The names of these flags.
pub fn key_flag_names(flags: KeyFlags) -> impl Iterator<Item = &'static str> {
    let named = KEY_FLAG_NAMES.iter();
    named.filter_map(move |(flag, name)| (flags & flag != 0).then_some(*name))
}

/// Where the search for keys begins.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    /// At this argument.
    Index(i32),
    /// After this word, looked for from this argument on (negative: backward from the end).
    Keyword(&'static str, i32),
    /// Where no rule says: keys that are no arguments, or the one after this word, wherever it is.
    Unknown(Option<&'static str>),
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
    /// What no rule says.
    Unknown,
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

    /// Keys that no rule finds; see [`Begin::Unknown`].
    pub const fn unknown(word: Option<&'static str>) -> KeySpec {
        KeySpec {
            begin: Begin::Unknown(word),
            find: Find::Unknown,
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

    /// The names of its flags, in the order in which COMMAND INFO shows them.
    pub fn flag_names(&self) -> impl Iterator<Item = &'static str> {
        let derived = if self.has_movable_keys() {
            MOVABLE_KEYS
        } else {
            0
        };
        let flags = self.flags | derived;
        let named = FLAG_NAMES.iter();
        named.filter_map(move |(flag, name)| (flags & flag != 0).then_some(*name))
    }

    /// Whether first key, last key and step do not tell all its keys.
    fn has_movable_keys(&self) -> bool {
        self.keys.iter().any(|spec| {
            let is_plain = matches!(
                (spec.begin, spec.find),
                (Begin::Index(_), Find::Range { .. })
            );
            spec.flags & NOT_KEY == 0 && (!is_plain || spec.flags & INCOMPLETE != 0)
        })
    }

    /// Its ACL categories: those that its entry names, and those that its group and flags imply.
    pub fn acl_categories(&self) -> Categories {
        let is_container = matches!(self.handler, Container);
        let by_group = match self.group {
            _ if is_container => 0,
            Group::String => CAT_STRING,
            Group::List => CAT_LIST,
            Group::Set => CAT_SET,
            Group::SortedSet => CAT_SORTEDSET,
            Group::Hash => CAT_HASH,
            Group::Bitmap => CAT_BITMAP,
            Group::Hyperloglog => CAT_HYPERLOGLOG,
            Group::Geo => CAT_GEO,
            Group::Stream => CAT_STREAM,
            Group::Connection => CAT_CONNECTION,
            Group::Transactions => CAT_TRANSACTION,
            Group::Scripting => CAT_SCRIPTING,
            Group::Generic | Group::Server | Group::Pubsub | Group::Cluster | Group::Sentinel => 0,
        };
        let reads = self.flags & READONLY != 0 && self.group != Group::Scripting;
        let by_flag = [
            (self.flags & WRITE != 0, CAT_WRITE),
            (reads, CAT_READ),
            (self.flags & ADMIN != 0, CAT_ADMIN | CAT_DANGEROUS),
            (self.flags & PUBSUB != 0, CAT_PUBSUB),
            (self.flags & BLOCKING != 0, CAT_BLOCKING),
            (self.flags & FAST != 0, CAT_FAST),
            (self.flags & FAST == 0, CAT_SLOW),
        ];
        let implied = by_flag
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, category)| category);
        implied.fold(self.categories | by_group, |all, category| all | category)
    }

    /// Whether it is of those that begin or end subscriptions, whose replies are messages.
    pub fn is_subscribing(&self) -> bool {
        self.flags & (PUBSUB | NOSCRIPT) == PUBSUB | NOSCRIPT
    }

    /// Whether a client that speaks RESP2 may run it while it is subscribed.
    pub fn runs_in_subscriber_mode(&self) -> bool {
        self.is_subscribing() || matches!(self.name, "ping" | "quit" | "reset")
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
                } else if last >= 0 && at == last + 1 && s == step {
                    last = end;
                }
            }
            i += 1;
        }
        (first, last, step)
    }
}
