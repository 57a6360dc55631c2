//! The closed sets of values: one enum a parameter that takes a word, and the flags of those that take several.

/// An enum whose values have names in the configuration language.
pub trait Choice: Copy + PartialEq + 'static {
    /// Every spelling, in the order that an error lists them.
    const NAMES: &'static [&'static str];
    /// The value of each spelling. The first spelling of a value is the one reported.
    const VALUES: &'static [Self];

    /// The place of a value's reported name in `NAMES`.
    fn index(self) -> usize {
        let found = Self::VALUES.iter().position(|value| *value == self);
        found.expect("every value of a choice has a name")
    }

    /// The name that is reported.
    fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        choice! { $(#[$doc])* $name { $($variant),* } { $($variant = $text),* } }
    };
    // The spellings apart from the variants, where a value has several.
    ($(#[$doc:meta])* $name:ident { $($variant:ident),* } { $($value:ident = $text:literal),* }) => {
        $(#[$doc])*
        #[allow(missing_docs, reason = "the table of names below the variants says what they are")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { #[default] $($variant),* }

        impl Choice for $name {
            const NAMES: &'static [&'static str] = &[$($text),*];
            const VALUES: &'static [$name] = &[$($name::$value),*];
        }
    };
}

choice! {
    /// `loglevel`, from the most to the least talkative.
    LogLevel {
        Debug = "debug", Verbose = "verbose", Notice = "notice", Warning = "warning",
        Nothing = "nothing",
    }
}

choice! {
    /// `log-format`: Redis's line, one JSON object a line, or one of pairs a line. `legacy` is Valkey's name for
    /// the first.
    LogFormat { Text, Json, Logfmt } {
        Text = "text", Json = "json", Logfmt = "logfmt", Text = "legacy"
    }
}

choice! {
    /// `log-timestamp-format`.
    LogTimestamp { Legacy = "legacy", Iso8601 = "iso8601", Milliseconds = "milliseconds" }
}

choice! {
    /// `maxmemory-policy`.
    MaxmemoryPolicy {
        VolatileLru = "volatile-lru", VolatileLfu = "volatile-lfu",
        VolatileRandom = "volatile-random", VolatileTtl = "volatile-ttl",
        AllkeysLru = "allkeys-lru", AllkeysLfu = "allkeys-lfu", AllkeysRandom = "allkeys-random",
        NoEviction = "noeviction",
    }
}

choice! {
    /// `syslog-facility`.
    SyslogFacility {
        User = "user", Local0 = "local0", Local1 = "local1", Local2 = "local2",
        Local3 = "local3", Local4 = "local4", Local5 = "local5", Local6 = "local6",
        Local7 = "local7",
    }
}

choice! {
    /// `supervised`.
    Supervised { Upstart = "upstart", Systemd = "systemd", Auto = "auto", No = "no" }
}

choice! {
    /// `appendfsync`.
    AppendFsync { EverySecond = "everysec", Always = "always", No = "no" }
}

choice! {
    /// `repl-diskless-load`.
    DisklessLoad {
        Disabled = "disabled", OnEmptyDb = "on-empty-db", Swapdb = "swapdb",
        FlushBeforeLoad = "flush-before-load",
    }
}

choice! {
    /// `tls-auth-clients`.
    TlsAuthClients { No = "no", Yes = "yes", Optional = "optional" }
}

choice! {
    /// `oom-score-adj`; `relative` is another word for `yes`.
    OomScoreAdj { No, Yes, Absolute } {
        No = "no", Yes = "yes", Yes = "relative", Absolute = "absolute"
    }
}

choice! {
    /// `acl-pubsub-default`.
    AclPubsubDefault { AllChannels = "allchannels", ResetChannels = "resetchannels" }
}

choice! {
    /// `sanitize-dump-payload`.
    SanitizeDumpPayload { No = "no", Yes = "yes", Clients = "clients" }
}

choice! {
    /// `enable-debug-command` and its kin: who may use what is dangerous.
    Allow { No = "no", Yes = "yes", Local = "local" }
}

choice! {
    /// `cluster-preferred-endpoint-type`.
    EndpointType { Ip = "ip", Hostname = "hostname", Unknown = "unknown-endpoint" }
}

choice! {
    /// `propagation-error-behavior`.
    PropagationError {
        Ignore = "ignore", Panic = "panic", PanicOnReplicas = "panic-on-replicas",
    }
}

choice! {
    /// `rdb-version-check`.
    RdbVersionCheck { Strict = "strict", Relaxed = "relaxed" }
}

choice! {
    /// `rdb-version`: the format that snapshots are written in. `auto` is the lowest that holds the data.
    RdbVersion { Auto = "auto", V9 = "9", V10 = "10", V11 = "11", V12 = "12", V80 = "80" }
}

impl Allow {
    /// Whether a client may, given whether it connected from this machine.
    pub fn allows(self, local: bool) -> bool {
        match self {
            Allow::No => false,
            Allow::Yes => true,
            Allow::Local => local,
        }
    }
}

impl MaxmemoryPolicy {
    /// Whether the policy gives up only keys that have an expiry.
    pub fn is_volatile_only(self) -> bool {
        use MaxmemoryPolicy::{VolatileLfu, VolatileLru, VolatileRandom, VolatileTtl};
        matches!(
            self,
            VolatileLru | VolatileLfu | VolatileRandom | VolatileTtl
        )
    }

    /// Whether the policy gives up any key.
    pub fn is_random(self) -> bool {
        matches!(
            self,
            MaxmemoryPolicy::AllkeysRandom | MaxmemoryPolicy::VolatileRandom
        )
    }

    /// Whether the policy counts how often keys are used, rather than when.
    pub fn is_lfu(self) -> bool {
        matches!(
            self,
            MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu
        )
    }
}

/// What `shutdown-on-sigint` and `shutdown-on-sigterm` may combine; no bit is `default`.
pub mod shutdown {
    /// Save even if no save points are configured.
    pub const SAVE: u32 = 1;
    /// Do not save even if save points are configured.
    pub const NOSAVE: u32 = 2;
    /// Do not wait for replicas that lag.
    pub const NOW: u32 = 4;
    /// Exit even if saving fails.
    pub const FORCE: u32 = 8;

    /// The bits by name, in the order that they are reported.
    pub const NAMES: &[(&str, u32)] = &[
        ("default", 0),
        ("save", SAVE),
        ("nosave", NOSAVE),
        ("now", NOW),
        ("force", FORCE),
    ];

    pub(crate) fn conflict(bits: u32) -> Option<&'static str> {
        let both = bits & SAVE != 0 && bits & NOSAVE != 0;
        both.then_some("shutdown options SAVE and NOSAVE can't be used simultaneously")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_synonym_is_reported_by_the_first_spelling() {
        fn check<T: Choice>(spelling: &str, reported: &str) {
            let at = T::NAMES.iter().position(|name| *name == spelling).unwrap();
            assert_eq!(T::VALUES[at].name(), reported);
        }
        check::<OomScoreAdj>("relative", "yes");
        check::<LogFormat>("legacy", "text");
        check::<LogLevel>("nothing", "nothing");
        check::<RdbVersion>("80", "80");
    }

    #[test]
    fn local_means_this_machine() {
        assert!(Allow::Local.allows(true) && !Allow::Local.allows(false));
        assert!(Allow::Yes.allows(false) && !Allow::No.allows(true));
    }
}
