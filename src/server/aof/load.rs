//! Reads the append-only file back, part by part, and opens it for what follows.

use super::replay::{Fault, Replay};
use super::{State, names, note_config, rewrite};
use crate::persist::aof::appender::Appender;
use crate::persist::aof::manifest::{Kind, Manifest, ManifestError, Names, Part};
use crate::persist::aof::reader::ReadError;
use crate::persist::aof::seals;
use crate::persist::files::{cut_off, plain};
use crate::persist::rdb;
use crate::server::loading::{Expired, Failed, Progress, Snapshot, Source};
use crate::server::state::Server;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tracing::{info, warn};

/// Bytes of commands between two looks at the clock.
const PIECE_BYTES: u64 = 16 << 10;

/// The append-only file being read.
pub struct Load {
    left: VecDeque<Part>,
    names: Names,
    current: Option<Current>,
    /// Bytes of the parts that were read to their ends.
    bytes_before: u64,
    bytes_total: u64,
}

struct Current {
    part: Part,
    path: PathBuf,
    bytes: u64,
    began: Instant,
    form: Form,
}

enum Form {
    Snapshot(Box<Snapshot>),
    Commands(Box<Replay>),
}

/// What is to be loaded when the server starts, if there is anything.
pub fn source(server: &mut Server) -> Result<Option<Box<dyn Source>>, Failed> {
    let begun = Load::begin(server);
    let load = begun.map_err(|reason| {
        warn!("{reason}");
        Failed::Data
    })?;
    Ok(load.map(|load| Box::new(load) as Box<dyn Source>))
}

/// Takes note of what the manifest says, whether or not the file is in use. A fault is one that the server
/// does not start with.
pub fn read_manifest(server: &mut Server) -> Result<(), String> {
    let names = names(&server.config);
    let manifest = match Manifest::load(&names) {
        Ok(manifest) => manifest.unwrap_or_default(),
        Err(e) => {
            if let ManifestError::Wrong { .. } = e {
                warn!("\n*** FATAL AOF MANIFEST FILE ERROR ***\n");
            }
            return Err(e.to_string());
        }
    };
    server.aof.manifest = manifest;
    server.aof.names = names;
    Ok(())
}

impl Load {
    /// Begins to read what the manifest names; a file of versions before 7 is taken over before. `None` if
    /// there is nothing.
    pub fn begin(server: &mut Server) -> Result<Option<Load>, String> {
        adopt_old_file(server)?;
        let names = server.aof.names.clone();
        let left: VecDeque<Part> = server.aof.manifest.parts().cloned().collect();
        if left.is_empty() {
            return Ok(None);
        }
        let mut bytes_total = 0;
        for part in &left {
            let metadata = fs::metadata(names.path(&part.name));
            bytes_total += metadata.map_err(|e| cannot_open(part, &e))?.len();
        }
        Ok(Some(Load {
            left,
            names,
            current: None,
            bytes_before: 0,
            bytes_total,
        }))
    }

    fn go_on(&mut self, server: &mut Server) -> Result<Progress, String> {
        let Some(current) = &mut self.current else {
            return self.open_next(server);
        };
        let name = &current.part.name;
        let is_over = match &mut current.form {
            Form::Snapshot(snapshot) => match snapshot.step(server) {
                Ok(progress) => progress == Progress::Done,
                Err(_) => {
                    return Err(format!(
                        "Error reading the RDB base file {name}, AOF loading aborted"
                    ));
                }
            },
            Form::Commands(replay) => match replay.step(server, PIECE_BYTES) {
                Ok(more) => !more,
                Err(fault) => {
                    let is_last = self.left.is_empty();
                    end_at_fault(server, &current.path, name, replay, fault, is_last)?;
                    true
                }
            },
        };
        if is_over {
            self.finish_form(server)?;
        }
        Ok(Progress::More)
    }

    fn open_next(&mut self, server: &mut Server) -> Result<Progress, String> {
        let Some(part) = self.left.pop_front() else {
            return Ok(Progress::Done);
        };
        let path = self.names.path(&part.name);
        let opened = File::open(&path).and_then(|mut file| {
            let bytes = file.metadata()?.len();
            let is_snapshot = is_snapshot(&mut file)?;
            Ok((file, bytes, is_snapshot))
        });
        let (file, bytes, is_snapshot) = opened.map_err(|e| cannot_open(&part, &e))?;
        let form = if is_snapshot {
            if part.name == self.names.stem {
                info!("Reading RDB preamble from AOF file...");
            } else {
                info!("Reading RDB base file on AOF loading...");
            }
            Form::Snapshot(Box::new(Snapshot::new(server, file, bytes, Expired::Kept)))
        } else {
            commands(server, file, 0, &part.name)?
        };
        self.current = Some(Current {
            part,
            path,
            bytes,
            began: Instant::now(),
            form,
        });
        Ok(Progress::More)
    }

    /// Goes on behind what was read to its end: with the commands behind a snapshot, or the next part.
    fn finish_form(&mut self, server: &mut Server) -> Result<(), String> {
        let current = self.current.take().expect("a part is being read");
        match current.form {
            Form::Snapshot(snapshot) => {
                let offset = snapshot.offset();
                let form = commands(server, snapshot.into_file(), offset, &current.part.name)?;
                self.current = Some(Current { form, ..current });
            }
            Form::Commands(replay) => {
                replay.finish(server);
                self.bytes_before += current.bytes;
                let kind = match current.part.kind {
                    Kind::Base => "base",
                    _ => "incr",
                };
                if current.bytes > 0 {
                    let (name, took) = (&current.part.name, current.began.elapsed());
                    let seconds = took.as_secs_f64();
                    info!("DB loaded from {kind} file {name}: {seconds:.3} seconds");
                }
            }
        }
        Ok(())
    }
}

impl Source for Load {
    fn step(&mut self, server: &mut Server) -> Result<Progress, Failed> {
        self.go_on(server).map_err(|reason| {
            warn!("{reason}");
            Failed::Data
        })
    }

    fn total(&self) -> u64 {
        self.bytes_total
    }

    fn offset(&self) -> u64 {
        let current = self.current.as_ref();
        self.bytes_before
            + current.map_or(0, |current| match &current.form {
                Form::Snapshot(snapshot) => snapshot.offset(),
                Form::Commands(replay) => replay.offset(),
            })
    }
}

/// The commands that a file has from an offset on.
fn commands(server: &mut Server, file: File, offset: u64, name: &str) -> Result<Form, String> {
    let checks = server.config.aof_checksum;
    let replay = Replay::new(server, file, offset, checks).map_err(|e| unreadable(name, &e))?;
    Ok(Form::Commands(Box::new(replay)))
}

fn unreadable(name: &str, error: &io::Error) -> String {
    let why = plain(error);
    format!("Unrecoverable error reading the append only file {name}: {why}")
}

fn cannot_open(part: &Part, error: &io::Error) -> String {
    let (name, why) = (&part.name, plain(error));
    format!("Fatal error: can't open the append log file {name} for reading: {why}")
}

/// Whether a file begins with a snapshot; it stands at its beginning afterwards.
fn is_snapshot(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(rdb::MAGIC_LEN as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(rdb::is_snapshot(&start))
}

/// What becomes of a file that goes bad somewhere: if that is the end of the last one, and may be, the file
/// is cut there.
fn end_at_fault(
    server: &Server,
    path: &Path,
    name: &str,
    replay: &Replay,
    fault: Fault,
    is_last: bool,
) -> Result<(), String> {
    let (error, at) = match fault {
        Fault::Read(error, at) => (error, at),
        Fault::Command(text) => {
            return Err(format!(
                "Error reading the append only file {name}, error: {text}"
            ));
        }
    };
    match error {
        ReadError::Io(e) => Err(unreadable(name, &e)),
        ReadError::BadFormat => Err(format!(
            "Bad file format reading the append only file {name} at offset {at}: make a backup of your AOF file, then use \
             ./redis-check-aof --fix <filename>"
        )),
        ReadError::BadChecksum { from } => Err(format!(
            "Bad checksum in the append only file {name}: what lies between the offsets {from} and {at} is not what was \
             written. Make a backup of your AOF file, then use ./redis-check-aof --fix <filename>, or set aof-checksum to \
             no to load it as it is"
        )),
        ReadError::Truncated if !server.config.aof_load_truncated => Err(format!(
            "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF file, then \
             use ./redis-check-aof --fix <filename>. 2) Alternatively you can set the 'aof-load-truncated' configuration \
             option to yes and restart the server."
        )),
        ReadError::Truncated if !is_last => Err(format!(
            "Fatal error: the truncated file {name} is not the last file"
        )),
        ReadError::Truncated if is_swallowed(server, path, replay, at) => Err(format!(
            "Bad file format reading the append only file {name} at offset {at}: what is read there as one command has \
             checksums of others in it, so the file is damaged, not cut off. Make a backup of your AOF file, then use \
             ./redis-check-aof --fix <filename>"
        )),
        ReadError::Truncated => {
            let to = replay.whole_to();
            if replay.is_in_transaction() {
                warn!("Revert incomplete MULTI/EXEC transaction in AOF file {name}");
            }
            warn!("!!! Warning: short read while loading the AOF file {name}!!!");
            warn!("!!! Truncating the AOF {name} at offset {to} !!!");
            let cut = OpenOptions::new().write(true).open(path);
            cut.and_then(|file| cut_off(&file, to))
                .map_err(|e| format!("Error truncating the AOF file {name}: {}", plain(&e)))?;
            warn!("AOF {name} loaded anyway because aof-load-truncated is enabled");
            Ok(())
        }
    }
}

/// Whether the end of the file was reached because a damaged length takes all that follows for its own: cutting
/// it off would lose what is whole. In doubt, as if the file cannot be looked at, it is so.
fn is_swallowed(server: &Server, path: &Path, replay: &Replay, at: u64) -> bool {
    server.config.aof_checksum
        && File::open(path)
            .and_then(|file| seals::go_on_behind(&file, replay.sealed_to(), at))
            .unwrap_or(true)
}

/// Makes the single file of versions before 7 the base, if there is one and nothing else.
fn adopt_old_file(server: &mut Server) -> Result<(), String> {
    let names = server.aof.names.clone();
    let old = Path::new(&names.stem);
    let is_interrupted = |manifest: &Manifest| {
        let base = manifest.base.as_ref();
        manifest.increments.is_empty()
            && base.is_some_and(|base| base.name == names.stem && !names.path(&base.name).exists())
    };
    let is_new = !names.folder.exists() || !names.manifest().exists();
    if !old.is_file() || !(is_new || is_interrupted(&server.aof.manifest)) {
        return Ok(());
    }
    let stem = &names.stem;
    let folder = names.folder.display();
    create_folder(&names)?;
    if server.aof.manifest.base.is_none() {
        server.aof.manifest.adopt(stem);
        save_manifest(&server.aof.manifest, &names)?;
    }
    fs::rename(old, names.path(stem)).map_err(|e| {
        let why = plain(&e);
        format!("Error trying to move the old AOF file {stem} into dir {folder}: {why}")
    })?;
    info!(
        "Successfully migrated an old-style AOF file ({stem}) into the AOF directory ({folder})."
    );
    Ok(())
}

/// Opens the file for what follows; without a base one is made of the data there are.
pub fn open(server: &mut Server) -> Result<(), String> {
    let names = server.aof.names.clone();
    create_folder(&names)?;
    let mut manifest = server.aof.manifest.clone();
    if manifest.parts().next().is_none() {
        let is_rdb = server.config.aof_use_rdb_preamble;
        let name = manifest.replace_base(&names, is_rdb);
        info!("Creating AOF base file {name} on server start");
        rewrite::write_base(server, &names.path(&name), is_rdb)?;
    }
    let name = match manifest.increments.last() {
        Some(part) => {
            info!("Opening AOF incr file {} on server start", part.name);
            part.name.clone()
        }
        None => {
            let name = manifest.add_increment(&names);
            info!("Creating AOF incr file {name} on server start");
            name
        }
    };
    let appender = Appender::open(&names.path(&name)).map_err(|e| {
        let why = plain(&e);
        format!("Can't open the append-only file {name}: {why}")
    })?;
    if manifest != server.aof.manifest {
        save_manifest(&manifest, &names)?;
    }
    let len = |part: &Part| fs::metadata(names.path(&part.name)).map_or(0, |m| m.len());
    let aof = &mut server.aof;
    aof.earlier_bytes = manifest
        .parts()
        .filter(|part| part.name != name)
        .map(len)
        .sum();
    aof.rewrites.base_bytes = manifest.base.as_ref().map_or(0, len);
    aof.manifest = manifest;
    aof.appender = Some(appender);
    aof.state = State::On;
    let offset = server.stream.offset();
    aof.start_at(offset);
    server.stream.begin_anew();
    server.dirty = 0;
    note_config(server);
    rewrite::remove_history(server);
    Ok(())
}

/// Creates the folder unless it is there.
pub(super) fn create_folder(names: &Names) -> Result<(), String> {
    fs::create_dir_all(&names.folder).map_err(|e| {
        let (folder, why) = (names.folder.display(), plain(&e));
        format!("Can't open or create append-only dir {folder}: {why}")
    })
}

/// Replaces the manifest.
pub(super) fn save_manifest(manifest: &Manifest, names: &Names) -> Result<(), String> {
    manifest.save(names).map_err(|e| {
        let (path, why) = (names.manifest(), plain(&e));
        format!(
            "Can't write the AOF manifest file {}: {why}",
            path.display()
        )
    })
}
