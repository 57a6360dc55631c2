//! CLIENT PAUSE: commands that wait until a time.

use crate::server::command::{Flags, MAY_REPLICATE, WRITE};

/// Which commands wait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// Those that may write.
    Write,
    /// All of them.
    All,
}

/// The pause in force, if any.
#[derive(Default)]
pub struct Pause {
    until: Option<(Scope, i64)>,
}

impl Pause {
    /// Starts a pause or extends the present one; neither its end nor its scope shrinks.
    pub fn start(&mut self, scope: Scope, until_ms: i64) {
        let (old_scope, old_until) = self.until.unwrap_or((scope, until_ms));
        self.until = Some((scope.max(old_scope), until_ms.max(old_until)));
    }

    /// Ends it.
    pub fn end(&mut self) {
        self.until = None;
    }

    /// What waits until when, in milliseconds of the Unix clock.
    pub fn current(&self) -> Option<(Scope, i64)> {
        self.until
    }

    /// Whether a command with these flags must wait.
    pub fn holds(&self, flags: Flags, now_ms: i64) -> bool {
        match self.until {
            Some((_, until)) if until <= now_ms => false,
            Some((Scope::All, _)) => true,
            Some((Scope::Write, _)) => flags & (WRITE | MAY_REPLICATE) != 0,
            None => false,
        }
    }
}
