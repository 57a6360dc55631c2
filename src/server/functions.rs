//! Functions: the libraries that FUNCTION LOAD made, found by the names of their functions.
//!
//! What is kept here is plain data: sources, names and flags, and the numbers under which the interpreter knows
//! the compiled functions. The interpreter lives in the layer above and is only kept here, as that of scripts is.
//! Snapshots and the append-only file write [`Functions::sources`], and loading them compiles them again: a
//! library is nowhere else.
//!
//! A function's name is looked up for every FCALL, in any case. The index for that is a table with open
//! addressing, made anew whenever a library comes or goes, which is rare.

use crate::resp::error::ErrorReply;
use crate::server::command::Flags;
use crate::server::scripting::{self, ScriptFlags};
use crate::server::state::Server;
use std::any::Any;
use std::rc::Rc;

/// A function.
#[derive(Debug)]
pub struct Function {
    /// Its name: letters, digits and underscores.
    pub name: Rc<str>,
    /// What it says of itself.
    pub description: Option<Box<[u8]>>,
    /// What it declares.
    pub flags: ScriptFlags,
    /// By what the interpreter knows it.
    pub handle: i32,
}

/// A library, its source aside.
#[derive(Debug)]
pub struct Library {
    /// Its name, of the same characters.
    pub name: Box<str>,
    /// Its functions, in the order in which they were registered; no two share a name, whatever the case.
    pub functions: Vec<Function>,
}

/// Loads a library from its source in place of the one of its name, or says why not.
pub type LoadFn = fn(&mut Server, &[u8], Existing) -> Result<Rc<str>, ErrorReply>;

/// What becomes of a library of the same name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// It stays, and the new one is refused.
    Stays,
    /// It gives way.
    Replaced,
}

/// The server's libraries.
#[derive(Default)]
pub struct Functions {
    libraries: Vec<Library>,
    /// The source of each.
    sources: Vec<Box<[u8]>>,
    /// Where functions are: library and place in it.
    index: Box<[Option<(u32, u32)>]>,
    /// The interpreter; none before it is first needed and while it runs.
    pub engine: Option<Box<dyn Any>>,
    /// Compiles what a snapshot holds; whoever knows the interpreter provides it.
    pub load: Option<LoadFn>,
}

impl Functions {
    /// All libraries, in the order in which they came.
    pub fn libraries(&self) -> impl ExactSizeIterator<Item = (&Library, &[u8])> {
        let sources = self.sources.iter().map(|source| &**source);
        self.libraries.iter().zip(sources)
    }

    /// The sources of all.
    pub fn sources(&self) -> &[Box<[u8]>] {
        &self.sources
    }

    /// How many functions there are.
    pub fn count(&self) -> usize {
        let counts = self.libraries.iter().map(|library| library.functions.len());
        counts.sum()
    }

    /// What the libraries take, the compiled functions aside.
    pub fn bytes(&self) -> usize {
        let described = |function: &Function| {
            function.name.len() + function.description.as_ref().map_or(0, |text| text.len())
        };
        let functions = self.libraries.iter().flat_map(|library| &library.functions);
        let texts: usize = functions.map(described).sum();
        let sources: usize = self.sources.iter().map(|source| source.len()).sum();
        texts
            + sources
            + self.count() * size_of::<Function>()
            + self.libraries.len() * (size_of::<Library>() + size_of::<Box<[u8]>>())
            + size_of_val(&*self.index)
    }

    /// The function of a name, in any case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Function> {
        if self.index.is_empty() {
            return None;
        }
        let mask = self.index.len() - 1;
        let mut at = hash(name) & mask;
        // There is always a free place.
        while let Some((library, place)) = self.index[at] {
            let function = &self.libraries[library as usize].functions[place as usize];
            if function.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(function);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Whether there is a library of this name.
    pub fn has_library(&self, name: &[u8]) -> bool {
        self.place_of(name).is_some()
    }

    /// Adds a library in place of the one of its name, which is returned; if it cannot be, it is given back.
    pub fn add(
        &mut self,
        library: Library,
        source: Box<[u8]>,
    ) -> Result<Option<Library>, (ErrorReply, Library)> {
        if let Some(refusal) = self.clash(&library, |name| *name == *library.name) {
            return Err((refusal, library));
        }
        let replaced = self.take(library.name.as_bytes());
        self.push(library, source);
        self.make_index();
        Ok(replaced)
    }

    /// Takes all libraries of `others` in, or none and says why not. Returns those that gave way; if it cannot
    /// be, the others are given back.
    pub fn join(
        &mut self,
        others: Functions,
        existing: Existing,
    ) -> Result<Vec<Library>, (ErrorReply, Vec<Library>)> {
        let comes = |name: &str| others.has_library(name.as_bytes());
        let known = self.libraries.iter().find(|library| comes(&library.name));
        let refusal = match known {
            Some(library) if existing == Existing::Stays => {
                Some(format!("ERR Library {} already exists", library.name).into())
            }
            _ => {
                let mut clashes = others.libraries.iter();
                clashes.find_map(|library| self.clash(library, comes))
            }
        };
        if let Some(refusal) = refusal {
            return Err((refusal, others.libraries));
        }
        let mut replaced = Vec::new();
        for (library, source) in others.libraries.into_iter().zip(others.sources) {
            replaced.extend(self.take(library.name.as_bytes()));
            self.push(library, source);
        }
        self.make_index();
        Ok(replaced)
    }

    /// Removes the library of a name.
    pub fn remove(&mut self, name: &[u8]) -> Option<Library> {
        let removed = self.take(name)?;
        self.make_index();
        Some(removed)
    }

    /// Removes all libraries.
    pub fn clear(&mut self) -> Vec<Library> {
        self.sources.clear();
        self.index = Box::default();
        std::mem::take(&mut self.libraries)
    }

    /// Why a library cannot be added: a function of it is in another one that does not go (`goes`).
    fn clash(&self, new: &Library, goes: impl Fn(&str) -> bool) -> Option<ErrorReply> {
        let stays = |name: &str| {
            let others = self.libraries.iter().filter(|library| !goes(&library.name));
            let mut functions = others.flat_map(|library| &library.functions);
            functions.any(|known| known.name.eq_ignore_ascii_case(name))
        };
        let mut functions = new.functions.iter();
        let known = functions.find(|f| self.find(f.name.as_bytes()).is_some() && stays(&f.name))?;
        Some(format!("ERR Function {} already exists", known.name).into())
    }

    fn place_of(&self, name: &[u8]) -> Option<usize> {
        let mut libraries = self.libraries.iter();
        libraries.position(|library| library.name.as_bytes() == name)
    }

    fn take(&mut self, name: &[u8]) -> Option<Library> {
        let place = self.place_of(name)?;
        self.sources.remove(place);
        Some(self.libraries.remove(place))
    }

    fn push(&mut self, library: Library, source: Box<[u8]>) {
        self.libraries.push(library);
        self.sources.push(source);
    }

    fn make_index(&mut self) {
        let mut index = vec![None; (2 * self.count() + 1).next_power_of_two()];
        let mask = index.len() - 1;
        for (library, place, name) in self.names() {
            let mut at = hash(name.as_bytes()) & mask;
            while index[at].is_some() {
                at = (at + 1) & mask;
            }
            index[at] = Some((library as u32, place as u32));
        }
        self.index = index.into();
    }

    fn names(&self) -> impl Iterator<Item = (usize, usize, &str)> {
        let libraries = self.libraries.iter().enumerate();
        libraries.flat_map(|(library, of)| {
            let functions = of.functions.iter().enumerate();
            functions.map(move |(place, function)| (library, place, &*function.name))
        })
    }
}

/// Forgets all libraries, and the interpreter with what they left in it.
pub fn flush(server: &mut Server) {
    server.functions.clear();
    server.functions.engine = None;
    note_figures(server);
    server.scripting.figures.vm_functions = 0;
}

/// Loads the libraries of a snapshot, one after the other, or says why one cannot be.
pub fn load_all(
    server: &mut Server,
    sources: &[Box<[u8]>],
    existing: Existing,
) -> Result<(), ErrorReply> {
    let Some(load) = server.functions.load else {
        assert!(sources.is_empty(), "somebody knows how to load a library");
        return Ok(());
    };
    for source in sources {
        load(server, source, existing)?;
    }
    Ok(())
}

/// Brings what INFO shows of libraries up to date.
pub fn note_figures(server: &mut Server) {
    let functions = &server.functions;
    let figures = &mut server.scripting.figures;
    figures.libraries = functions.bytes();
    figures.libraries_count = functions.libraries.len();
    figures.functions_count = functions.count();
}

/// The flags by which a request of FCALL is admitted, those of the command being `flags`.
pub fn admission_flags(server: &Server, flags: Flags, name: &[u8]) -> Flags {
    match server.functions.find(name) {
        Some(function) => scripting::declared_flags(flags, function.flags),
        None => flags,
    }
}

/// Whether a text can be the name of a library or of a function.
pub fn is_name(text: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    !text.is_empty() && text.iter().all(is_of_name)
}

/// A hash (FNV-1a) of a name in any case; only those who may load libraries choose what is in the index.
#[inline]
fn hash(name: &[u8]) -> usize {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in name {
        hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x100_0000_01B3);
    }
    (hash ^ hash >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, functions: &str) -> Library {
        let function = |name: &str| Function {
            name: name.into(),
            description: None,
            flags: 0,
            handle: 0,
        };
        Library {
            name: name.into(),
            functions: functions.split(' ').map(function).collect(),
        }
    }

    fn store(libraries: &[(&str, &str)]) -> Functions {
        let mut store = Functions::default();
        for (name, functions) in libraries {
            let outcome = store.add(library(name, functions), name.as_bytes().into());
            outcome.unwrap();
        }
        store
    }

    #[track_caller]
    fn check(store: &Functions, libraries: &str, functions: &str) {
        let names: Vec<&str> = store
            .libraries()
            .map(|(library, _)| &*library.name)
            .collect();
        assert_eq!(names.join(" "), libraries);
        let sources = store.sources().iter();
        let sources: Vec<_> = sources.map(|s| String::from_utf8_lossy(s)).collect();
        assert_eq!(sources.join(" "), libraries);
        let names: Vec<&str> = store.names().map(|(.., name)| name).collect();
        assert_eq!(names.join(" "), functions);
        for name in names {
            for case in [name.to_string(), name.to_uppercase(), name.to_lowercase()] {
                assert_eq!(&*store.find(case.as_bytes()).unwrap().name, name);
            }
        }
        assert!(store.find(b"nobody").is_none());
    }

    #[test]
    fn functions_are_found_in_any_case() {
        check(&Functions::default(), "", "");
        let mut store = store(&[("a", "one Two"), ("b", "THREE four five")]);
        check(&store, "a b", "one Two THREE four five");
        assert_eq!(&*store.remove(b"a").unwrap().name, "a");
        assert!(store.remove(b"a").is_none() && store.find(b"one").is_none());
        check(&store, "b", "THREE four five");
        store.clear();
        check(&store, "", "");
        let many: Vec<String> = (0..300).map(|n| format!("f_{n}")).collect();
        let mut many_store = Functions::default();
        many_store
            .add(library("m", &many.join(" ")), (*b"m").into())
            .unwrap();
        check(&many_store, "m", &many.join(" "));
    }

    #[test]
    fn a_name_is_only_given_once() {
        let mut store = store(&[("a", "one"), ("b", "two")]);
        let (refusal, _) = store.add(library("b", "two ONE"), [].into()).unwrap_err();
        assert_eq!(refusal.to_string(), "ERR Function ONE already exists");
        check(&store, "a b", "one two");
        let replaced = store.add(library("b", "TWO three"), (*b"b").into());
        assert_eq!(&*replaced.unwrap().unwrap().name, "b");
        check(&store, "a b", "one TWO three");
    }

    #[test]
    fn libraries_join_all_or_none() {
        let fails = |others: &[(&str, &str)], existing, text: &str| {
            let mut known = store(&[("a", "one"), ("b", "two")]);
            let (refusal, back) = known.join(store(others), existing).unwrap_err();
            assert_eq!(refusal.to_string(), text);
            assert_eq!(back.len(), others.len());
            check(&known, "a b", "one two");
        };
        use Existing::*;
        fails(
            &[("c", "x"), ("a", "one")],
            Stays,
            "ERR Library a already exists",
        );
        fails(&[("c", "ONE")], Stays, "ERR Function ONE already exists");
        fails(
            &[("a", "one two")],
            Replaced,
            "ERR Function two already exists",
        );
        let mut known = store(&[("a", "one"), ("b", "two")]);
        let replaced = known.join(store(&[("b", "one"), ("a", "two x")]), Replaced);
        assert_eq!(replaced.unwrap().len(), 2);
        check(&known, "b a", "one two x");
        let replaced = known.join(store(&[("c", "three")]), Stays);
        assert!(replaced.unwrap().is_empty());
        check(&known, "b a c", "one two x three");
    }

    #[test]
    fn names() {
        for name in ["a", "_", "A_9"] {
            assert!(is_name(name.as_bytes()), "{name}");
        }
        for name in ["", "a-b", "ä", "a b"] {
            assert!(!is_name(name.as_bytes()), "{name}");
        }
    }
}
