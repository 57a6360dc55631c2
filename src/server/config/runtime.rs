//! CONFIG GET and CONFIG SET on a running server.

use std::fmt;

use super::kinds::{
    Apply, DENY_LOADING, HIDDEN, IMMUTABLE, Mode, PROTECTED, Param, Refusal, VOLATILE,
};
use super::params::{PARAMS, lookup};
use super::types::Config;
use crate::base::glob;

/// What decides whether a parameter may be set right now.
#[derive(Clone, Copy, Debug)]
pub struct SetContext {
    /// A data set is being loaded.
    pub loading: bool,
    /// `enable-protected-configs` lets this client set protected ones.
    pub protected_allowed: bool,
}

/// A change that was made, and what remains to be done for it.
#[derive(Debug)]
pub struct Change {
    /// What is to be applied, each once, with the parameter that asks for it.
    pub applies: Vec<(Apply, &'static str)>,
    before: Config,
}

/// Why CONFIG SET changed nothing. Displayed as the error reply's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// There is no such parameter.
    Unknown {
        /// The name as it was given.
        name: String,
    },
    /// It cannot be set while a data set is being loaded.
    Loading,
    /// It cannot be set, not to this value, or could not be applied.
    Failed {
        /// The name that was found wrong.
        name: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetError::Unknown { name } => {
                write!(
                    f,
                    "ERR Unknown option or number of arguments for CONFIG SET - '{name}'"
                )
            }
            SetError::Loading => f.write_str("LOADING Redis is loading the dataset in memory"),
            SetError::Failed { name, reason } => {
                write!(
                    f,
                    "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
                )
            }
        }
    }
}

impl SetError {
    fn failed(name: &[u8], reason: impl Into<Refusal>) -> SetError {
        SetError::Failed {
            name: String::from_utf8_lossy(name).into_owned(),
            reason: reason.into().into_owned(),
        }
    }
}

impl Config {
    /// The parameters that match any of the patterns, with their values. None comes twice.
    ///
    /// A name without wildcards is answered as it was spelled, and finds hidden parameters too.
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut add = |name: &[u8], param: &Param| {
            if !found
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
            {
                found.push((name.to_vec(), param.get(self)));
            }
        };
        for pattern in patterns {
            if !pattern.iter().any(|byte| b"[*?".contains(byte)) {
                if let Some(param) = lookup(pattern) {
                    add(pattern, param);
                }
                continue;
            }
            for param in PARAMS.iter().filter(|param| param.flags & HIDDEN == 0) {
                for name in param.names() {
                    if glob::matches(pattern, name.as_bytes(), true) {
                        add(name.as_bytes(), param);
                    }
                }
            }
        }
        found
    }

    /// Sets several parameters, or none of them.
    ///
    /// What the change asks to be applied is the caller's to do; if that fails, it gives the change to
    /// [`Config::roll_back`] and answers with [`SetError::Failed`].
    pub fn set_all(
        &mut self,
        pairs: &[(&[u8], &[u8])],
        context: SetContext,
    ) -> Result<Change, SetError> {
        let params = admit(pairs, context)?;
        let before = self.clone();
        let mut applies: Vec<(Apply, &'static str)> = Vec::new();
        for (param, (name, value)) in params.into_iter().zip(pairs) {
            if let Err(reason) = param.set_text(self, value, Mode::Set) {
                *self = before;
                return Err(SetError::failed(&name.to_ascii_lowercase(), reason));
            }
            let changed = param.get(self) != param.get(&before) || param.flags & VOLATILE != 0;
            let asked = applies.iter().any(|(apply, _)| *apply == param.apply);
            if changed && !asked && param.apply != Apply::None {
                applies.push((param.apply, param.name));
            }
        }
        Ok(Change { applies, before })
    }

    /// Takes a change back. What was applied of it already has to be applied again.
    pub fn roll_back(&mut self, change: Change) {
        *self = change.before;
    }
}

/// The parameters of a CONFIG SET if all of them may be set, or what speaks against the first that may not.
fn admit(pairs: &[(&[u8], &[u8])], context: SetContext) -> Result<Vec<&'static Param>, SetError> {
    let mut params: Vec<&'static Param> = Vec::with_capacity(pairs.len());
    for (at, (name, _)) in pairs.iter().enumerate() {
        let Some(param) = lookup(name) else {
            return Err(SetError::Unknown {
                name: String::from_utf8_lossy(name).into_owned(),
            });
        };
        if param.flags & IMMUTABLE != 0 {
            return Err(SetError::failed(name, "can't set immutable config"));
        }
        if param.flags & PROTECTED != 0 && !context.protected_allowed {
            return Err(SetError::failed(name, "can't set protected config"));
        }
        if param.flags & DENY_LOADING != 0 && context.loading {
            return Err(SetError::Loading);
        }
        if pairs[..at]
            .iter()
            .any(|(earlier, _)| earlier.eq_ignore_ascii_case(name))
        {
            return Err(SetError::failed(name, "duplicate parameter"));
        }
        params.push(param);
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: SetContext = SetContext {
        loading: false,
        protected_allowed: true,
    };

    #[test]
    fn get_answers_in_the_spelling_asked_for() {
        fn check(patterns: &[&str], expected: &[&str]) {
            let patterns: Vec<&[u8]> = patterns.iter().map(|p| p.as_bytes()).collect();
            let found = Config::default().get(&patterns);
            let names: Vec<_> = found
                .into_iter()
                .map(|(name, _)| String::from_utf8(name).unwrap())
                .collect();
            assert_eq!(names, expected, "{patterns:?}");
        }
        check(&["MaxMemory"], &["MaxMemory"]);
        check(&["maxmemory", "MAXMEMORY"], &["maxmemory"]);
        check(
            &["maxmem*s", "maxmemory-s*"],
            &["maxmemory-clients", "maxmemory-samples"],
        );
        check(&["*-PRIORITY"], &["replica-priority", "slave-priority"]);
        check(
            &["slave-priority", "*-priority"],
            &["slave-priority", "replica-priority"],
        );
        check(&["*of"], &["replicaof", "slaveof"]);
        check(&["", "nosuch", "no*such"], &[]);
        // Hidden ones have to be known.
        check(&["key-load-*"], &[]);
        check(&["key-load-delay"], &["key-load-delay"]);
    }

    #[test]
    fn get_reports_values() {
        let mut config = Config::default();
        config.requirepass = "secret".into();
        config.maxmemory = 1 << 20;
        let found = config.get(&[b"requirepass", b"maxmemory"]);
        let expected = [(b"requirepass".to_vec(), b"secret".to_vec())];
        assert_eq!(found[..1], expected);
        assert_eq!(found[1].1, b"1048576");
    }

    #[test]
    fn a_refused_set_changes_nothing() {
        fn check(pairs: &[(&str, &str)], context: SetContext, expected: &str) {
            let mut config = Config::default();
            let pairs: Vec<(&[u8], &[u8])> = pairs
                .iter()
                .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
                .collect();
            let refusal = config.set_all(&pairs, context).unwrap_err().to_string();
            assert_eq!(refusal, expected);
            assert_eq!(config, Config::default(), "{expected}");
        }
        let loading = SetContext {
            loading: true,
            ..ANY
        };
        let plain = SetContext {
            protected_allowed: false,
            ..ANY
        };
        let unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'NoSuch'";
        check(&[("maxmemory", "1"), ("NoSuch", "1")], ANY, unknown);
        check(
            &[("maxmemory", "1"), ("Slave-Priority", "x")],
            ANY,
            "ERR CONFIG SET failed (possibly related to argument 'slave-priority') - \
             argument couldn't be parsed into an integer",
        );
        check(
            &[("hz", "50"), ("maxmemory-clients", "200%"), ("port", "x")],
            ANY,
            "ERR CONFIG SET failed (possibly related to argument 'maxmemory-clients') - \
             percentage argument must be less or equal to 100",
        );
        check(
            &[("daemonIZE", "yes")],
            ANY,
            "ERR CONFIG SET failed (possibly related to argument 'daemonIZE') - \
             can't set immutable config",
        );
        check(
            &[("dir", "/")],
            plain,
            "ERR CONFIG SET failed (possibly related to argument 'dir') - \
             can't set protected config",
        );
        check(
            &[("hz", "11"), ("HZ", "12")],
            ANY,
            "ERR CONFIG SET failed (possibly related to argument 'HZ') - duplicate parameter",
        );
        check(
            &[("appendonly", "yes")],
            loading,
            "LOADING Redis is loading the dataset in memory",
        );
    }

    #[test]
    fn what_is_to_be_applied() {
        fn check(pairs: &[(&str, &str)], expected: &[(Apply, &'static str)]) {
            let mut config = Config::default();
            let pairs: Vec<(&[u8], &[u8])> = pairs
                .iter()
                .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
                .collect();
            assert_eq!(config.set_all(&pairs, ANY).unwrap().applies, expected);
        }
        check(&[("maxmemory", "1mb")], &[(Apply::Maxmemory, "maxmemory")]);
        check(&[("maxmemory", "0")], &[]);
        check(&[("timeout", "7")], &[]);
        // Once for both; the first is named if it fails.
        check(
            &[
                ("maxmemory-policy", "allkeys-lru"),
                ("maxmemory", "1mb"),
                ("port", "0"),
            ],
            &[
                (Apply::Maxmemory, "maxmemory-policy"),
                (Apply::Port, "port"),
            ],
        );
        // The file may have changed though its name did not.
        check(&[("tls-cert-file", "")], &[(Apply::Tls, "tls-cert-file")]);
    }

    #[test]
    fn a_change_can_be_taken_back() {
        let mut config = Config::default();
        let pairs: [(&[u8], &[u8]); 2] = [(b"port", b"7"), (b"bind", b"::1")];
        let change = config.set_all(&pairs, ANY).unwrap();
        assert_eq!((config.port, config.bind.len()), (7, 1));
        config.roll_back(change);
        assert_eq!(config, Config::default());
    }
}
