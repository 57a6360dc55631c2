//! Reading the configuration: files with what they include, standard input and the command line, in that order.
//!
//! A line is a directive and its arguments; one that begins with `#` is a comment. The last of repeated
//! directives counts, but for `save`, whose lines add up and whose first replaces the defaults. Reading goes on
//! after a fault, so that a check can tell all of them; a server that starts tells the first and ends.
//!
//! `include` takes a path or a pattern, from the directory that `dir` has set so far if it is relative. A pattern
//! may match nothing; a path must exist. A file that includes itself, however indirectly, is a fault.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::glob_files::glob_files;
use super::kinds::{Mode, Param, Refusal};
use super::params::lookup;
use super::quote::split_line;
use super::special::system_error;
use super::types::{Config, RenamedCommand, Text};

/// How deep files may include one another.
const INCLUDE_DEPTH_MAX: usize = 16;

/// How many files may be included in all: nesting alone would allow a few files to multiply.
const INCLUDED_FILES_MAX: usize = 10_000;

/// Where a line was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file that was named to the server.
    File(PathBuf),
    /// A file that another one includes.
    Included(PathBuf),
    /// Standard input.
    StandardInput,
    /// The arguments, one directive a line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path) | Origin::Included(path) => write!(f, "{}", path.display()),
            Origin::StandardInput => f.write_str("standard input"),
            Origin::CommandLine => f.write_str("command line"),
        }
    }
}

/// Something wrong with the configuration. Displayed as one line, `origin:line: 'directive' reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line it is about; none if it is about the whole, or about a file that cannot be read.
    pub place: Option<Place>,
    /// What is wrong, in Redis's words.
    pub reason: String,
}

/// A line of configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it was read.
    pub origin: Origin,
    /// Its number, from 1.
    pub number: usize,
    /// The line, without the blanks around it.
    pub line: String,
}

impl Fault {
    /// What a server prints to standard error before it ends: Redis's block, which tools look for.
    pub fn fatal_text(&self, version: &str) -> String {
        let mut text = format!("\n*** FATAL CONFIG FILE ERROR (Cinnabar {version}) ***\n");
        if let Some(Place {
            origin,
            number,
            line,
        }) = &self.place
        {
            text += &format!("Reading the configuration file, at line {number}");
            match origin {
                Origin::File(_) => {}
                other => text += &format!(" ({other})"),
            }
            text += &format!("\n>>> '{line}'\n");
        }
        text + &self.reason + "\n"
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(Place {
                origin,
                number,
                line,
            }) => {
                write!(f, "{origin}:{number}: '{line}' {}", self.reason)
            }
            None => f.write_str(&self.reason),
        }
    }
}

/// What is known of a configuration besides its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration file, absolute, for CONFIG REWRITE.
    pub file: Option<PathBuf>,
    /// What is to be logged once there is a log.
    pub warnings: Vec<String>,
}

/// Reads a configuration, piece by piece; later pieces override earlier ones.
pub struct Loader {
    config: Config,
    loaded: Loaded,
    faults: Vec<Fault>,
    save_seen: bool,
    module_directive: Option<Place>,
    command_exists: Option<fn(&[u8]) -> bool>,
    /// The files being read, innermost last.
    reading: Vec<PathBuf>,
    files_included: usize,
}

impl Loader {
    /// Begins with the defaults, in the directory of the process.
    pub fn new() -> Loader {
        let mut config = Config::default();
        if let Ok(directory) = std::env::current_dir() {
            config.dir = Text::from(directory.into_os_string().into_encoded_bytes());
        }
        Loader {
            config,
            loaded: Loaded::default(),
            faults: Vec::new(),
            save_seen: false,
            module_directive: None,
            command_exists: None,
            reading: Vec::new(),
            files_included: 0,
        }
    }

    /// Has `rename-command` checked against the commands there are.
    pub fn commands(mut self, exists: fn(&[u8]) -> bool) -> Loader {
        self.command_exists = Some(exists);
        self
    }

    /// Reads the configuration file. It is the one that CONFIG REWRITE will write.
    pub fn file(mut self, path: impl AsRef<Path>) -> Loader {
        let path = path.as_ref();
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        self.loaded.file = Some(absolute.clone());
        self.read_file(absolute, Origin::File(path.to_owned()));
        self
    }

    /// Reads text that is at hand.
    pub fn text(mut self, origin: Origin, text: &[u8]) -> Loader {
        self.read_text(&origin, text);
        self
    }

    /// The configuration, or everything that is wrong with it, in the order it was found.
    pub fn finish(mut self) -> Result<(Config, Loaded), Vec<Fault>> {
        self.check_whole();
        if self.faults.is_empty() {
            Ok((self.config, self.loaded))
        } else {
            Err(self.faults)
        }
    }

    fn read_file(&mut self, path: PathBuf, origin: Origin) {
        match fs::read(&path) {
            Ok(text) => {
                self.reading.push(path);
                self.read_text(&origin, &text);
                self.reading.pop();
            }
            Err(error) => {
                let reason = system_error(&error);
                let reason = format!("Fatal error, can't open config file '{origin}': {reason}");
                self.faults.push(Fault {
                    place: None,
                    reason,
                });
            }
        }
    }

    fn read_text(&mut self, origin: &Origin, text: &[u8]) {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let place = Place {
                origin: origin.clone(),
                number: index + 1,
                line: String::from_utf8_lossy(line).into_owned(),
            };
            let done = match split_line(line) {
                Some(args) => self.directive(&args, &place),
                None => Err("Unbalanced quotes in configuration line".into()),
            };
            if let Err(reason) = done {
                self.faults.push(Fault {
                    place: Some(place),
                    reason: reason.into_owned(),
                });
            }
        }
    }

    fn directive(&mut self, args: &[Vec<u8>], place: &Place) -> Result<(), Refusal> {
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let Some((name, values)) = args.split_first() else {
            return Ok(());
        };
        if let Some(param) = lookup(name) {
            return self.parameter(param, values, place);
        }
        match (name.to_ascii_lowercase().as_slice(), values) {
            (b"include", [path]) => self.include(path)?,
            (b"rename-command", [from, to]) => self.rename_command(from, to)?,
            (b"user", [_, ..]) => self.config.users.push(texts(values)),
            (b"loadmodule", [_, ..]) => self.config.modules.push(texts(values)),
            (b"sentinel", [_, ..]) => {
                return Err("sentinel directive while not in sentinel mode".into());
            }
            (retired, [_]) if is_retired(retired) => {}
            (dotted, values) if dotted.contains(&b'.') => {
                if values.is_empty() {
                    return Err("Module config specified without value".into());
                }
                self.module_directive.get_or_insert_with(|| place.clone());
            }
            _ => return Err("Bad directive or wrong number of arguments".into()),
        }
        Ok(())
    }

    fn parameter(
        &mut self,
        param: &'static Param,
        values: &[&[u8]],
        place: &Place,
    ) -> Result<(), Refusal> {
        if param.name == "save" && !self.save_seen {
            self.save_seen = true;
            self.config.save.clear();
        }
        set_from_line(param, &mut self.config, values, Mode::Load)?;
        if param.name == "oom-score-adj-values" && !self.config.oom_score_adj_values.is_sorted() {
            self.loaded.warnings.push(format!(
                "{}:{}: oom-score-adj-values that do not grow may not work without privileges",
                place.origin, place.number
            ));
        }
        Ok(())
    }

    fn include(&mut self, path: &[u8]) -> Result<(), Refusal> {
        let base = self.config.dir.as_path().to_owned();
        for path in glob_files(&base, path) {
            if self.reading.len() >= INCLUDE_DEPTH_MAX {
                return Err(format!(
                    "files include one another more than {INCLUDE_DEPTH_MAX} deep"
                )
                .into());
            }
            if self.reading.contains(&path) {
                return Err(format!("'{}' includes itself", path.display()).into());
            }
            self.files_included += 1;
            if self.files_included > INCLUDED_FILES_MAX {
                return Err(format!("more than {INCLUDED_FILES_MAX} files are included").into());
            }
            self.read_file(path.clone(), Origin::Included(path));
        }
        Ok(())
    }

    fn rename_command(&mut self, from: &[u8], to: &[u8]) -> Result<(), Refusal> {
        let renamed = &self.config.renamed_commands;
        if let Some(exists) = self.command_exists {
            // A renamed command's own name is free again, and the name it got is taken.
            let is_taken = |name: &[u8]| {
                let last = renamed.iter().rev().find_map(|r| {
                    match (
                        r.to.eq_ignore_ascii_case(name),
                        r.from.eq_ignore_ascii_case(name),
                    ) {
                        (true, _) => Some(true),
                        (false, gone) => gone.then_some(false),
                    }
                });
                last.unwrap_or_else(|| exists(name))
            };
            if !is_taken(from) {
                return Err("No such command in rename-command".into());
            }
            if !to.is_empty() && !from.eq_ignore_ascii_case(to) && is_taken(to) {
                return Err("Target command name already exists".into());
            }
        }
        let renamed = RenamedCommand {
            from: Text::from(from),
            to: Text::from(to),
        };
        self.config.renamed_commands.push(renamed);
        Ok(())
    }

    /// What can only be said once everything is read.
    fn check_whole(&mut self) {
        let config = &mut self.config;
        if let (Some(place), true) = (&self.module_directive, config.modules.is_empty()) {
            self.faults.push(Fault {
                place: Some(place.clone()),
                reason: "Module configuration without a loadmodule directive".to_owned(),
            });
        }
        if config.cluster_enabled && config.replicaof.is_some() {
            let reason = "replicaof directive not allowed in cluster mode".to_owned();
            self.faults.push(Fault {
                place: None,
                reason,
            });
        }
        if config.cluster_enabled && config.databases > 1 {
            self.loaded.warnings.push(format!(
                "Changing databases number from {} to 1 since we are in cluster mode",
                config.databases
            ));
            config.databases = 1;
        }
        if config.cluster_enabled {
            let warning =
                "cluster-enabled: cluster mode is not built yet, the server runs by itself";
            self.loaded.warnings.push(warning.to_owned());
        }
        if config.activedefrag {
            let warning =
                "activedefrag is not supported by this server's allocator and does nothing";
            self.loaded.warnings.push(warning.to_owned());
        }
    }
}

impl Default for Loader {
    fn default() -> Loader {
        Loader::new()
    }
}

/// Sets a parameter from a line's arguments: a list may be one argument that holds it whole.
pub(super) fn set_from_line(
    param: &Param,
    config: &mut Config,
    values: &[&[u8]],
    mode: Mode,
) -> Result<(), Refusal> {
    if let ([whole], true) = (values, param.is_multi())
        && !whole.is_empty()
    {
        let parts = split_line(whole).ok_or("Unbalanced quotes in configuration line")?;
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        return param.set(config, &parts, mode);
    }
    param.set(config, values, mode)
}

/// Directives that old files still have. They are read over.
pub(super) fn is_retired(name: &[u8]) -> bool {
    let retired: [&[u8]; 3] = [
        b"list-max-ziplist-entries",
        b"list-max-ziplist-value",
        b"lua-replicate-commands",
    ];
    retired.contains(&name)
}

fn texts(values: &[&[u8]]) -> Vec<Text> {
    values.iter().map(|value| Text::from(*value)).collect()
}

#[cfg(test)]
mod tests;
