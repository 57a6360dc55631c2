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

/// The parameters of a CONFIG SET if all of them may be set.
///
/// An unknown name is told before anything else, and loading before what else is wrong.
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
