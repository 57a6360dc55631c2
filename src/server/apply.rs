//! What follows from a changed parameter.

use crate::base::{alloc, sys};
use crate::persist::files::plain;
use crate::resp::error::ErrorReply;
use crate::server::client::unusual as client_unusual;
use crate::server::config::{
    Apply, Choice, Config, LogLevel, OomScoreAdj, RewriteOptions, SetContext, SetError,
    rewrite_file,
};
use crate::server::state::Server;
use crate::server::{aof, crash, gate, log, reactions, supervise};

impl Server {
    /// Brings everything in line with the configuration that the server starts with.
    pub fn apply_start_up_config(&mut self) -> Result<(), String> {
        for renamed in self.config.renamed_commands.clone() {
            self.commands.rename(&renamed.from, &renamed.to)?;
        }
        self.note_config();
        self.show_title(&self.name);
        self.apply_memory_thread();
        self.apply_oom_score()
    }

    /// Sets parameters on behalf of a client, and carries out what follows; either all of them or, with the error
    /// that the client is told, none.
    pub fn set_config(
        &mut self,
        pairs: &[(&[u8], &[u8])],
        client_is_local: bool,
    ) -> Result<(), ErrorReply> {
        let context = SetContext {
            loading: self.unusual & gate::unusual::LOADING != 0,
            protected_allowed: self.config.enable_protected_configs.allows(client_is_local),
        };
        let refused = |e: SetError| ErrorReply::from(e.to_string());
        let change = self.config.set_all(pairs, context).map_err(refused)?;
        let mut applies = change.applies.clone();
        // Listeners are opened for address and port together.
        if applies.iter().any(|(apply, _)| *apply == Apply::Bind) {
            applies.retain(|(apply, _)| *apply != Apply::Port);
        }
        for (done, (apply, name)) in applies.iter().enumerate() {
            let Err(reason) = self.apply(*apply) else {
                continue;
            };
            tracing::warn!(
                "A new value of {name} can't be put into effect ({reason}): back to the values before"
            );
            self.config.roll_back(change);
            for (apply, name) in &applies[..=done] {
                if let Err(e) = self.apply(*apply) {
                    tracing::warn!("The former value of {name} can't be put into effect: {e}");
                }
            }
            self.note_config();
            let name = (*name).to_string();
            return Err(refused(SetError::Failed { name, reason }));
        }
        self.note_config();
        // It may name the address.
        self.show_title(&self.name);
        Ok(())
    }

    /// Writes the configuration in force back to its file.
    pub fn rewrite_config(&self, options: &RewriteOptions) -> Result<(), ErrorReply> {
        let Some(file) = &self.config_file else {
            return Err("ERR The server is running without a config file".into());
        };
        match rewrite_file(file, &self.config, options) {
            Ok(()) => {
                tracing::info!("CONFIG REWRITE executed with success.");
                Ok(())
            }
            Err(e) => {
                tracing::warn!("CONFIG REWRITE failed: {e}");
                Err(format!("ERR Rewriting config file: {}", plain(&e)).into())
            }
        }
    }

    fn turn_aof_on_or_off(&mut self) -> Result<(), String> {
        let is_off = self.aof.state() == aof::State::Off;
        if self.config.appendonly != is_off {
            return Ok(());
        }
        if is_off {
            return aof::rewrite::turn_on(self)
                .map_err(|_| "Unable to turn on AOF. Check server logs.".into());
        }
        aof::stop(self);
        Ok(())
    }

    /// Carries out a change that CONFIG SET made to `config`. On an error the caller takes the change
    /// back and applies it again.
    fn apply(&mut self, apply: Apply) -> Result<(), String> {
        match apply {
            Apply::Bind => self
                .reopen_listeners()
                .map_err(|_| "Failed to bind to specified addresses.".into()),
            Apply::Port => self
                .reopen_listeners()
                .map_err(|_| "Unable to listen on this port. Check server logs.".into()),
            Apply::CrashLog => crash::set_signals_reported(self.config.crash_log_enabled)
                .map_err(|e| e.to_string()),
            Apply::Dir => {
                std::env::set_current_dir(self.config.dir.as_path()).map_err(|e| plain(&e))
            }
            Apply::LogLevel => {
                log::set_level(log_level(self.config.loglevel));
                Ok(())
            }
            Apply::LogFormat => {
                log::set_form(log_form(&self.config));
                Ok(())
            }
            Apply::Maxclients => self.check_maxclients(),
            Apply::Maxmemory => {
                self.warn_of_small_maxmemory();
                self.eviction_is_due = self.config.maxmemory != 0;
                // By another policy others are the best.
                self.eviction_pool.clear();
                Ok(())
            }
            Apply::AofGarbage => {
                aof::rewrite::remove_history(self);
                Ok(())
            }
            Apply::Appendonly => self.turn_aof_on_or_off(),
            Apply::Events => {
                reactions::note_listeners(self);
                Ok(())
            }
            Apply::JemallocThread => {
                self.apply_memory_thread();
                Ok(())
            }
            Apply::OomScore => self
                .apply_oom_score()
                .map_err(|_| "Failed to set current oom_score_adj. Check server logs.".into()),
            Apply::RequirePass => {
                self.let_in_without_password();
                Ok(())
            }
            Apply::None
            | Apply::Appendfsync
            | Apply::ClientEviction
            | Apply::Cluster
            | Apply::Defrag
            | Apply::Hz
            | Apply::LocaleCollate
            | Apply::MinReplicas
            | Apply::ProcTitle
            | Apply::ReplBacklog
            | Apply::SlowlogLength
            | Apply::Tls
            | Apply::TlsPort
            | Apply::Watchdog => Ok(()),
        }
    }

    /// Free memory goes back to the system by a thread, as `jemalloc-bg-thread` asks, or else by the clock.
    fn apply_memory_thread(&mut self) {
        let wanted = self.config.jemalloc_bg_thread;
        self.gives_memory_back = !(alloc::give_back_in_background(wanted) && wanted);
    }

    /// Counts from zero again (CONFIG RESETSTAT).
    pub fn reset_stats(&mut self) {
        self.stats.reset();
        self.commands.reset_stats();
        self.keyspace.lazyfree.reset_stats();
    }

    /// Shows in the process title what `proc-title-template` says, for a process of this name.
    pub fn show_title(&self, name_of_process: &str) {
        let config = &self.config;
        if !config.set_proc_title {
            return;
        }
        let value = |name: &str| {
            Some(match name {
                "title" => name_of_process.to_string(),
                "listen-addr" if config.port == 0 => config.unixsocket.to_text(),
                "listen-addr" => {
                    let host = config.bind.first().map_or("*", String::as_str);
                    format!("{}:{}", host.trim_start_matches('-'), config.port)
                }
                "server-mode" => String::new(),
                "port" => config.port.to_string(),
                "tls-port" => config.tls_port.to_string(),
                "unixsocket" => config.unixsocket.to_text(),
                "config-file" => self
                    .config_file
                    .as_ref()
                    .map_or_else(String::new, |f| f.display().to_string()),
                _ => return None,
            })
        };
        if let Some(title) = supervise::expand_title(&config.proc_title_template.to_text(), value) {
            sys::set_process_title(title.trim_end().as_bytes());
        }
    }

    /// Makes sure that there are descriptors for `maxclients`.
    fn check_maxclients(&mut self) -> Result<(), String> {
        const RESERVED: u64 = 32;
        let wanted = u64::from(self.config.maxclients) + RESERVED;
        let got = sys::raise_open_files_limit(wanted);
        if got < wanted {
            return Err(format!(
                "The operating system is not able to handle the specified number of clients, try with {}",
                got.saturating_sub(RESERVED)
            ));
        }
        Ok(())
    }

    fn warn_of_small_maxmemory(&self) {
        let (limit, used) = (self.config.maxmemory, alloc::used_memory());
        if limit != 0 && (limit as usize) < used {
            tracing::warn!(
                "maxmemory is now {limit}, less than the {used} bytes in use: keys will be evicted or writes refused, \
                 as maxmemory-policy says"
            );
        }
    }

    /// Tells the kernel how ready to be to kill this process; nothing is touched before a configuration asks for it.
    fn apply_oom_score(&mut self) -> Result<(), String> {
        let [ours, ..] = self.config.oom_score_adj_values;
        self.set_oom_score(ours)
    }

    /// The same for a child that we are, which is the first to go.
    pub fn apply_oom_score_of_child(&mut self) -> Result<(), String> {
        let [.., childs] = self.config.oom_score_adj_values;
        self.set_oom_score(childs)
    }

    fn set_oom_score(&mut self, ours: i32) -> Result<(), String> {
        let failed = |e: std::io::Error| {
            tracing::warn!("The oom score can't be set: {e}");
            e.to_string()
        };
        let before = match (self.config.oom_score_adj, self.oom_score_before) {
            (OomScoreAdj::No, None) => return Ok(()),
            (OomScoreAdj::No, Some(before)) => {
                self.oom_score_before = None;
                before
            }
            (_, Some(before)) => before,
            (_, None) => *self
                .oom_score_before
                .insert(sys::oom_score_adj().map_err(failed)?),
        };
        let score = match self.config.oom_score_adj {
            OomScoreAdj::No => before,
            OomScoreAdj::Yes => before.saturating_add(ours),
            OomScoreAdj::Absolute => ours,
        };
        sys::set_oom_score_adj(score.clamp(-1000, 1000)).map_err(failed)
    }

    /// Clients that owe a password owe none once there is none. Those that are in stay in when one is set.
    fn let_in_without_password(&mut self) {
        if self.config.requirepass.is_empty() {
            for client in self.clients.iter_mut() {
                client.set_unusual(client_unusual::UNAUTHENTICATED, false);
            }
        }
    }
}

/// The log's name for a level of the configuration.
pub fn log_level(level: LogLevel) -> log::LogLevel {
    log::LogLevel::from_name(level.name()).unwrap_or(log::LogLevel::Notice)
}

/// What lines of the log look like by a configuration.
pub fn log_form(config: &Config) -> log::Form {
    log::Form {
        format: config.log_format,
        timestamp: config.log_timestamp_format,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{hash, rng::Rng};
    use crate::server::config::Config;

    #[test]
    fn what_cannot_be_applied_is_taken_back() {
        let mut server = Server::new(Config::default(), &[], hash::process(), Rng::from_seed(1));
        server.listen = Some(Box::new(|config| match config.port {
            6379 => Ok(()),
            _ => Err("taken".into()),
        }));
        let pairs: [(&[u8], &[u8]); 2] = [(b"maxmemory", b"1mb"), (b"port", b"7000")];
        let refusal = server.set_config(&pairs, true).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server \
             logs."
        );
        assert_eq!((server.config.maxmemory, server.config.port), (0, 6379));
        assert_eq!(server.unusual & gate::unusual::MAXMEMORY, 0);
        assert_eq!(server.set_config(&pairs[..1], true), Ok(()));
        assert_ne!(server.unusual & gate::unusual::MAXMEMORY, 0);
    }
}
