//! What follows from a changed parameter.

use crate::server::config::{Apply, Choice, LogLevel};
use crate::server::log;
use crate::server::state::Server;

impl Server {
    /// Brings everything in line with the configuration that the server starts with.
    pub fn apply_start_up_config(&mut self) -> Result<(), String> {
        for renamed in self.config.renamed_commands.clone() {
            self.commands.rename(&renamed.from, &renamed.to)?;
        }
        self.note_config();
        Ok(())
    }

    /// Carries out a change that CONFIG SET made to `config`. On an error the caller takes the change
    /// back and applies it again.
    pub fn apply(&mut self, apply: Apply) -> Result<(), String> {
        match apply {
            Apply::Bind | Apply::Port => self.reopen_listeners(),
            Apply::Dir => {
                std::env::set_current_dir(self.config.dir.as_path()).map_err(|e| e.to_string())
            }
            Apply::LogLevel => {
                log::set_level(log_level(self.config.loglevel));
                Ok(())
            }
            Apply::Maxclients => self.check_maxclients(),
            _ => {
                self.note_config();
                Ok(())
            }
        }
    }

    /// Makes sure that there are descriptors for `maxclients`.
    fn check_maxclients(&mut self) -> Result<(), String> {
        const RESERVED: u64 = 32;
        let wanted = u64::from(self.config.maxclients) + RESERVED;
        let got = crate::base::sys::raise_open_files_limit(wanted);
        if got < wanted {
            return Err(format!(
                "The operating system is not able to handle the specified number of clients, try with {}",
                got.saturating_sub(RESERVED)
            ));
        }
        Ok(())
    }
}

/// The log's name for a level of the configuration.
pub fn log_level(level: LogLevel) -> log::LogLevel {
    log::LogLevel::from_name(level.name()).unwrap_or(log::LogLevel::Notice)
}
