//! The manifest: which files the append-only file consists of, in the text format of Redis 7.
//!
//! A line a file: `file NAME seq NUMBER type b|h|i`, with names quoted that have spaces or worse in them.
//! Further pairs of a key and a value are skipped, as are lines that begin with `#`.

use crate::persist::files;
use crate::resp::request::{self, Argv, Limits, Parsed, Progress};
use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::io;
use std::path::PathBuf;

/// The longest line, its end not counted.
const LINE_BYTES_MAX: usize = 1024;

/// What a file is to the whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The data set as it was at a rewrite.
    Base,
    /// Made superfluous by a rewrite, to be removed.
    History,
    /// The commands since.
    Increment,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Kind::Base => 'b',
            Kind::History => 'h',
            Kind::Increment => 'i',
        }
    }
}

/// A file of the whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its name in the folder.
    pub name: String,
    /// Its number among those of its kind.
    pub seq: u64,
    /// What it is to the whole.
    pub kind: Kind,
}

/// The files of the whole, and the numbers that the next ones get.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The base, if there is one.
    pub base: Option<Part>,
    /// The increments, in the order in which they follow it.
    pub increments: Vec<Part>,
    /// What is to be removed, the latest first.
    pub history: VecDeque<Part>,
    base_seq: u64,
    increment_seq: u64,
}

/// Why a manifest is no good.
#[derive(Debug)]
pub enum ManifestError {
    /// It cannot be read.
    Io(io::Error),
    /// It says something that it must not.
    Wrong {
        /// Where: the number of the line, from 1 on, and the line. Nothing of the text as a whole.
        line: Option<(usize, String)>,
        /// What is wrong.
        what: &'static str,
    },
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ManifestError::Io(e) => write!(f, "Can't read the AOF manifest file: {e}"),
            ManifestError::Wrong { line, what } => {
                if let Some((number, line)) = line {
                    write!(
                        f,
                        "Reading the manifest file, at line {number}\n>>> '{line}'\n"
                    )?;
                }
                f.write_str(what)
            }
        }
    }
}

/// The names of files, which all begin with the one that `appendfilename` gives.
#[derive(Clone, Debug)]
pub struct Names {
    /// The folder, absolute or below the working one.
    pub folder: PathBuf,
    /// What all names begin with.
    pub stem: String,
}

impl Names {
    /// Where the manifest lies.
    pub fn manifest(&self) -> PathBuf {
        self.folder.join(format!("{}.manifest", self.stem))
    }

    /// Where a file lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where a file of that name lies until it is whole or named in the manifest.
    pub fn temporary(&self, name: &str) -> PathBuf {
        self.folder.join(format!("temp-{name}"))
    }

    /// Where the commands go while the first base is being written, until it is whole.
    pub fn temporary_increment(&self) -> PathBuf {
        self.temporary(&format!("{}.incr", self.stem))
    }

    fn base(&self, seq: u64, is_rdb: bool) -> String {
        let format = if is_rdb { "rdb" } else { "aof" };
        format!("{}.{seq}.base.{format}", self.stem)
    }

    fn increment(&self, seq: u64) -> String {
        format!("{}.{seq}.incr.aof", self.stem)
    }
}

impl Manifest {
    /// What the manifest in a folder says; `None` if there is none.
    pub fn load(names: &Names) -> Result<Option<Manifest>, ManifestError> {
        match std::fs::read(names.manifest()) {
            Ok(text) => Manifest::parse(&text).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(ManifestError::Io(e)),
        }
    }

    /// What a manifest's text says.
    pub fn parse(text: &[u8]) -> Result<Manifest, ManifestError> {
        let mut manifest = Manifest::default();
        if text.is_empty() {
            let what = "Found an empty AOF manifest";
            return Err(ManifestError::Wrong { line: None, what });
        }
        for (index, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
            if line[0] == b'#' {
                continue;
            }
            manifest.add_line(line).map_err(|what| {
                let shown = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_MAX)]);
                ManifestError::Wrong {
                    line: Some((index + 1, shown.trim_end().to_string())),
                    what,
                }
            })?;
        }
        Ok(manifest)
    }

    /// Replaces the manifest in a folder.
    pub fn save(&self, names: &Names) -> io::Result<()> {
        let path = names.manifest();
        let temporary = names.temporary(&format!("{}.manifest", names.stem));
        files::replace(&temporary, &path, self.text().as_bytes())
    }

    /// The manifest's text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let parts = self.base.iter().chain(&self.history);
        for part in parts.chain(&self.increments) {
            let (name, seq) = (quoted(&part.name), part.seq);
            let letter = part.kind.letter();
            writeln!(text, "file {name} seq {seq} type {letter}")
                .expect("memory takes what is written");
        }
        text
    }

    /// Makes the single file of versions before 7 the base.
    pub fn adopt(&mut self, name: &str) {
        self.base_seq = 1;
        self.base = Some(Part {
            name: name.into(),
            seq: self.base_seq,
            kind: Kind::Base,
        });
    }

    /// Adds a new increment after all others, and returns its name.
    pub fn add_increment(&mut self, names: &Names) -> String {
        let mut name;
        loop {
            self.increment_seq += 1;
            name = names.increment(self.increment_seq);
            // One that waits to be removed must not be mistaken for the new one.
            if self.history.iter().all(|part| part.name != name) {
                break;
            }
        }
        self.increments.push(Part {
            name: name.clone(),
            seq: self.increment_seq,
            kind: Kind::Increment,
        });
        name
    }

    /// Replaces the base by a new one, which is history then, and returns the name of the new one.
    pub fn replace_base(&mut self, names: &Names, is_rdb: bool) -> String {
        self.base_seq += 1;
        let name = names.base(self.base_seq, is_rdb);
        let old = self.base.replace(Part {
            name: name.clone(),
            seq: self.base_seq,
            kind: Kind::Base,
        });
        if let Some(mut old) = old {
            old.kind = Kind::History;
            self.history.push_front(old);
        }
        name
    }

    /// Makes the increments history that a new base has made superfluous: all but the last `kept`. Without any
    /// their numbers begin anew.
    pub fn retire_increments(&mut self, kept: usize) {
        let retired = self.increments.len().saturating_sub(kept);
        for mut part in self.increments.drain(..retired) {
            part.kind = Kind::History;
            self.history.push_front(part);
        }
        if self.increments.is_empty() {
            self.increment_seq = 0;
        }
    }

    /// The files that hold the data, in the order in which they are loaded.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &Part> {
        self.base.iter().chain(&self.increments)
    }

    fn add_line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        const INVALID: &str = "Invalid AOF manifest file format";
        if line.len() > LINE_BYTES_MAX || line.last() != Some(&b'\n') {
            return Err("The AOF manifest file contains too long line");
        }
        let mut buffer = line.trim_ascii().to_vec();
        buffer.extend_from_slice(b"\r\n");
        let (mut spans, mut progress) = (Vec::new(), Progress::default());
        let limits = Limits {
            bulk_bytes_max: LINE_BYTES_MAX,
            authenticated: true,
        };
        let Parsed::Request { .. } =
            request::parse_apart(&mut buffer, 0, &mut spans, &limits, &mut progress)
        else {
            return Err(INVALID);
        };
        let words = Argv::new(&buffer, &spans);
        if words.len() < 6 || !words.len().is_multiple_of(2) {
            return Err(INVALID);
        }
        let (mut name, mut seq, mut letter) = (None, None, None);
        for at in (0..words.len()).step_by(2) {
            let value = words.at(at + 1);
            let text = || String::from_utf8_lossy(value).into_owned();
            match &words.at(at).to_ascii_lowercase()[..] {
                b"file" => name = Some(text()),
                b"seq" => seq = text().parse::<u64>().ok(),
                b"type" => letter = value.first().copied(),
                _ => {}
            }
        }
        let (Some(name), Some(seq), Some(letter)) = (name, seq, letter) else {
            return Err(INVALID);
        };
        if name.contains('/') {
            return Err("File can't be a path, just a filename");
        }
        self.add(name, seq, letter)
    }

    fn add(&mut self, name: String, seq: u64, letter: u8) -> Result<(), &'static str> {
        let part = |kind| Part { name, seq, kind };
        match letter {
            b'b' if self.base.is_some() => Err("Found duplicate base file information"),
            b'b' => {
                self.base = Some(part(Kind::Base));
                self.base_seq = seq;
                Ok(())
            }
            b'h' => {
                self.history.push_back(part(Kind::History));
                Ok(())
            }
            b'i' if seq <= self.increment_seq => Err("Found a non-monotonic sequence number"),
            b'i' => {
                self.increments.push(part(Kind::Increment));
                self.increment_seq = seq;
                Ok(())
            }
            _ => Err("Unknown AOF file type"),
        }
    }
}

/// A name as a line holds it: in quotes if it needs some.
fn quoted(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    if !name.is_empty() && name.bytes().all(plain) {
        return name.into();
    }
    let mut quoted = String::from("\"");
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', byte as char]),
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            b' '..=b'~' => quoted.push(byte as char),
            _ => write!(quoted, "\\x{byte:02x}").expect("memory takes what is written"),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::{Manifest, ManifestError, Names};

    fn names() -> Names {
        Names {
            folder: "dir".into(),
            stem: "appendonly.aof".into(),
        }
    }

    #[test]
    fn a_rewrite_leaves_history() {
        let mut manifest = Manifest::default();
        assert_eq!(
            manifest.replace_base(&names(), true),
            "appendonly.aof.1.base.rdb"
        );
        assert_eq!(
            manifest.add_increment(&names()),
            "appendonly.aof.1.incr.aof"
        );
        manifest.add_increment(&names());
        manifest.replace_base(&names(), false);
        manifest.retire_increments(1);
        let text = "file appendonly.aof.2.base.aof seq 2 type b\n\
                    file appendonly.aof.1.incr.aof seq 1 type h\n\
                    file appendonly.aof.1.base.rdb seq 1 type h\n\
                    file appendonly.aof.2.incr.aof seq 2 type i\n";
        assert_eq!(manifest.text(), text);
        let mut read = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(read, manifest);
        assert_eq!(read.add_increment(&names()), "appendonly.aof.3.incr.aof");
    }

    #[test]
    fn names_with_spaces_are_quoted() {
        let mut manifest = Manifest::default();
        for name in ["a b", "quote\"d", "b\\s", "\u{e9}", "line\n", "plain"] {
            manifest.adopt(name);
            let read = Manifest::parse(manifest.text().as_bytes()).unwrap();
            assert_eq!(read.base.unwrap().name, name);
        }
    }

    #[test]
    fn unknown_pairs_and_comments_are_skipped() {
        let text = b"# a comment\nfile a seq 3 type i newkey newvalue\n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.increments[0].seq, 3);
    }

    #[test]
    fn faults() {
        fn check(text: &str, expected: &str, at_line: usize) {
            let Err(ManifestError::Wrong { line, what }) = Manifest::parse(text.as_bytes()) else {
                panic!("{text}");
            };
            assert_eq!(what, expected, "{text}");
            assert_eq!(line.map_or(0, |(number, _)| number), at_line, "{text}");
        }
        const INVALID: &str = "Invalid AOF manifest file format";
        check("", "Found an empty AOF manifest", 0);
        check("\n", INVALID, 1);
        check("file a seq 1 type i\n\n", INVALID, 2);
        check("file a seq 1\n", INVALID, 1);
        check("file a seq x type i\n", INVALID, 1);
        check("file a seq 1 type i newkey\n", INVALID, 1);
        check("filx a seq 1 type i\n", INVALID, 1);
        check("file \"a seq 1 type i\n", INVALID, 1);
        check("file a seq 1 type x\n", "Unknown AOF file type", 1);
        check(
            "file ../a seq 1 type b\n",
            "File can't be a path, just a filename",
            1,
        );
        check(
            "file a seq 1 type b\nfile b seq 2 type b\n",
            "Found duplicate base file information",
            2,
        );
        check(
            "file a seq 2 type i\nfile b seq 2 type i\n",
            "Found a non-monotonic sequence number",
            2,
        );
        let long = format!("file {} seq 1 type b\n", "x".repeat(1024));
        check(&long, "The AOF manifest file contains too long line", 1);
        check(
            "file a seq 1 type b",
            "The AOF manifest file contains too long line",
            1,
        );
    }
}
