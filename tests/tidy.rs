//! Guards the shape of `src/`: layers whose uses point down only, `unsafe` and `libc` in the few files
//! that own them, files of a readable length that say what they own, `mod.rs` files that only declare.
//!
//! The rules work on the source text with comments and literals blanked out; `rules_see_what_they_forbid`
//! shows each of them a fault, so that a rule that stopped seeing anything is noticed.

use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may see of the others. A layer always sees itself; `main.rs` and `lib.rs` see all.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("resp", &["base"]),
    ("data", &["base"]),
    ("keyspace", &["base", "data"]),
    ("persist", &["base", "resp", "data", "keyspace"]),
    ("server", &["base", "resp", "data", "keyspace", "persist"]),
    (
        "script",
        &["base", "resp", "data", "keyspace", "persist", "server"],
    ),
    (
        "replication",
        &["base", "resp", "data", "keyspace", "persist", "server"],
    ),
    (
        "commands",
        &[
            "base",
            "resp",
            "data",
            "keyspace",
            "persist",
            "server",
            "script",
            "replication",
        ],
    ),
    (
        "net",
        &[
            "base",
            "resp",
            "data",
            "keyspace",
            "persist",
            "server",
            "script",
            "replication",
        ],
    ),
];

/// The files that own raw memory or make system calls. A name stands for `name.rs` and all of `name/`.
const UNSAFE_FILES: &[&str] = &[
    "base/alloc",
    "base/simd",
    "base/slab",
    "base/sys",
    "data/element",
    "data/ordered/leaf",
    "data/table",
    "keyspace/entry",
    "script/lib/install",
    "script/lib/stack",
    "script/lua",
];

/// The only files that name `libc`.
const LIBC_FILES: &[&str] = &["base/sys"];

const LINES_MAX: usize = 1_500;

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(
        files.len() > 10,
        "only {} files found below {}",
        files.len(),
        root.display()
    );
    let faults: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let path = file
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .expect("a UTF-8 path");
            faults(
                path,
                &fs::read_to_string(file).expect("a readable source file"),
            )
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

/// Everything that is wrong with the file at `path` (relative to `src/`), one line each.
fn faults(path: &str, text: &str) -> Vec<String> {
    let code = blank_comments_and_literals(text);
    let mut faults = Vec::new();
    let mut fault = |what: String| faults.push(format!("src/{path}: {what}"));

    if !opens_with_doc(text) {
        fault("does not open with a //! doc that says what the file owns".into());
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        fault(format!("{lines} lines; past {LINES_MAX} it is two things"));
    }
    for (layer, line) in layers_seen(&code) {
        if !may_see(path, &layer) {
            fault(format!(
                "line {line}: an arrow that does not point down, to `crate::{layer}`"
            ));
        }
    }
    if let Some(line) = line_of_word(&code, "super::super::super") {
        fault(format!(
            "line {line}: climbs by super:: where a crate:: path would show its layer"
        ));
    }
    if !owned_by(path, UNSAFE_FILES)
        && let Some(line) = line_of_word(&code, "unsafe")
    {
        fault(format!(
            "line {line}: unsafe, outside the files that own raw memory"
        ));
    }
    if !owned_by(path, LIBC_FILES)
        && let Some(line) = line_of_word(&code, "libc::").or_else(|| line_of_word(&code, "libc;"))
    {
        fault(format!("line {line}: libc, outside base/sys"));
    }
    if path.ends_with("mod.rs")
        && let Some(item) = first_item_that_is_no_declaration(&code)
    {
        fault(format!(
            "holds more than declarations and re-exports: `{item}`"
        ));
    }
    faults
}

/// True for `name.rs` and everything in `name/`, for a name on the list.
fn owned_by(path: &str, owners: &[&str]) -> bool {
    owners.iter().any(|owner| {
        path.strip_prefix(owner)
            .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    })
}

/// True when the first lines, inner attributes such as `#![allow(…)]` aside, are a module's doc.
fn opens_with_doc(text: &str) -> bool {
    text.lines()
        .find(|line| !line.starts_with("#![") && !line.is_empty())
        .is_some_and(|line| line.starts_with("//!"))
}

fn may_see(path: &str, seen: &str) -> bool {
    let Some((layer, _)) = path.split_once('/') else {
        return true;
    };
    // A name that is no layer is an item of lib.rs, such as a macro or a constant.
    if layer == seen || LAYERS.iter().all(|(name, _)| *name != seen) {
        return true;
    }
    match LAYERS.iter().find(|(name, _)| *name == layer) {
        Some((_, sees)) => sees.contains(&seen),
        None => panic!("src/{layer}/ is a layer that LAYERS in tests/tidy.rs does not know"),
    }
}

/// The first path segments behind every `crate::`, braces of a grouped import included, with their lines.
fn layers_seen(code: &str) -> Vec<(String, usize)> {
    let mut seen = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let line = line_at(code, at);
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => seen.push((identifier(rest), line)),
            Some(group) => seen.extend(group_items(group).into_iter().map(|item| (item, line))),
        }
    }
    seen
}

/// The leading identifiers of the items at the top level of a brace group, whose `{` is already read.
fn group_items(group: &str) -> Vec<String> {
    let (mut items, mut depth, mut start) = (Vec::new(), 1, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            items.push(identifier(group[start..at].trim_start()));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    items.retain(|item| !item.is_empty());
    items
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn line_of_word(code: &str, word: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .find(|(at, _)| {
            let begins = !code[..*at].ends_with(is_word);
            let ends = !word.ends_with(is_word) || !code[at + word.len()..].starts_with(is_word);
            begins && ends
        })
        .map(|(at, _)| line_at(code, at))
}

fn line_at(code: &str, at: usize) -> usize {
    1 + code[..at].matches('\n').count()
}

/// The first statement that is neither `mod x;` nor `use …;`, attributes and visibility aside.
fn first_item_that_is_no_declaration(code: &str) -> Option<String> {
    let mut statements = code.split(';').map(str::trim).collect::<Vec<_>>();
    let rest = statements.pop().filter(|rest| !rest.is_empty());
    statements
        .into_iter()
        .filter(|statement| {
            let mut item = *statement;
            while let Some(attribute) = item.strip_prefix('#') {
                item = attribute
                    .split_once(']')
                    .map_or("", |(_, item)| item)
                    .trim_start();
            }
            if let Some(visible) = item.strip_prefix("pub") {
                item = match visible.strip_prefix('(') {
                    Some(scope) => scope.split_once(')').map_or("", |(_, item)| item),
                    None => visible,
                };
            }
            let item = item.trim_start();
            !(item.starts_with("use ") || item.starts_with("mod ") && !item.contains('{'))
        })
        .chain(rest)
        .next()
        .map(|item| item.lines().next().unwrap_or_default().to_owned())
}

/// The source with the insides of comments, strings and character literals turned into spaces; line
/// breaks stay, so that positions still name lines.
fn blank_comments_and_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        match end {
            None => at += 1,
            Some(end) => {
                out[at..end]
                    .iter_mut()
                    .filter(|byte| **byte != b'\n')
                    .for_each(|byte| *byte = b' ');
                at = end;
            }
        }
    }
    String::from_utf8(out).expect("whole characters were blanked")
}

/// Where the comment or literal that starts at `at` ends; None where none starts.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let find = |from: usize, pattern: &[u8]| {
        rest[from..]
            .windows(pattern.len())
            .position(|window| window == pattern)
            .map(|n| at + from + n)
    };
    let starts_a_word =
        at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => Some(find(0, b"\n").unwrap_or(bytes.len())),
        [b'/', b'*', ..] => {
            let (mut depth, mut n) = (1, 2);
            while depth > 0 && n < rest.len() {
                match &rest[n..] {
                    [b'/', b'*', ..] => (depth, n) = (depth + 1, n + 2),
                    [b'*', b'/', ..] => (depth, n) = (depth - 1, n + 2),
                    _ => n += 1,
                }
            }
            Some(at + n)
        }
        [b'r', b'"' | b'#', ..] | [b'b' | b'c', b'r', b'"' | b'#', ..] if starts_a_word => {
            let prefix = rest.iter().position(|byte| *byte == b'r').unwrap() + 1;
            let hashes = rest[prefix..]
                .iter()
                .take_while(|byte| **byte == b'#')
                .count();
            if rest.get(prefix + hashes) != Some(&b'"') {
                return None; // A raw identifier: r#type.
            }
            let close = [b"\"", &b"#".repeat(hashes)[..]].concat();
            find(prefix + hashes + 1, &close).map(|end| end + close.len())
        }
        [b'"', ..] => Some(at + quoted(rest, b'"')),
        // A lifetime has no closing quote behind its first character.
        [b'\'', b'\\', ..] => Some(at + quoted(rest, b'\'')),
        [b'\'', first, ..] => {
            let width = match first {
                0..0x80 => 1,
                0x80..0xE0 => 2,
                0xE0..0xF0 => 3,
                _ => 4,
            };
            (rest.get(1 + width) == Some(&b'\'')).then_some(at + width + 2)
        }
        _ => None,
    }
}

/// The length of the quoted literal at the start, closing quote included.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut n = 1;
    while n < rest.len() {
        match rest[n] {
            b'\\' => n += 2,
            byte if byte == quote => return n + 1,
            _ => n += 1,
        }
    }
    rest.len()
}

#[test]
fn rules_see_what_they_forbid() {
    let check = |path: &str, code: &str, expected: &str| {
        let found = faults(path, &format!("//! Doc.\n{code}"));
        match expected {
            "" => assert!(found.is_empty(), "{path}: {code}: {found:?}"),
            _ => assert!(
                found.len() == 1 && found[0].contains(expected),
                "{path}: {code}: {found:?}"
            ),
        }
    };
    check("data/x.rs", "use crate::base::num;", "");
    check("data/x.rs", "use crate::server::state;", "crate::server");
    check(
        "data/x.rs",
        "use crate::{base::num, resp::Reply};",
        "crate::resp",
    );
    check(
        "data/x.rs",
        "use crate::{\n    base::{num, sys},\n    keyspace,\n};",
        "crate::keyspace",
    );
    check("data/x.rs", "fn f() { crate::net::poll() }", "crate::net");
    check(
        "data/x.rs",
        "// use crate::net::poll;\nconst X: &str = \"crate::net\";",
        "",
    );
    check("resp/x.rs", "use crate::data::slab;", "crate::data");
    check("net/x.rs", "use crate::commands::table;", "crate::commands");
    check("commands/x.rs", "use crate::net::loop_;", "crate::net");
    check(
        "commands/x.rs",
        "use crate::{resp::Reply, script::Engine, server::Client};",
        "",
    );
    check("main.rs", "use crate::net::poll;", "");
    check("server/x.rs", "use super::super::super::net;", "climbs");
    check("server/x.rs", "fn f() { unsafe { g() } }", "unsafe");
    check(
        "server/x.rs",
        "#![allow(unsafe_code)]\nfn f(c: char) -> bool { c == '\"' } // unsafe",
        "",
    );
    check("base/slab/heap.rs", "fn f() { unsafe { g() } }", "");
    check("base/slab.rs", "fn f() { unsafe { g() } }", "");
    check("data/table/tests.rs", "fn f() { unsafe { g() } }", "");
    check("data/tables.rs", "fn f() { unsafe { g() } }", "unsafe");
    check("base/sys.rs", "fn f() { unsafe { libc::fork() } }", "");
    check(
        "base/sys/signal.rs",
        "fn f() { unsafe { libc::fork() } }",
        "",
    );
    check("base/system.rs", "fn f() { libc::fork() }", "libc");
    check("base/x.rs", "use libc;", "libc");
    check(
        "data/mod.rs",
        "#[cfg(test)]\nmod a;\npub mod b;\npub(crate) use b::{C, D};",
        "",
    );
    check("data/mod.rs", "pub mod b;\npub fn f() {}", "pub fn f");
    check("data/mod.rs", "pub struct S;\npub mod b;", "pub struct S");
    check("data/x.rs", &"\n".repeat(LINES_MAX), "lines");
    check(
        "data/x.rs",
        "const A: &str = r#\"unsafe \" unsafe\"#;\nfn f<'a>(x: &'a str) -> char { '\\'' }",
        "",
    );
    assert!(faults("data/x.rs", "#![allow(dead_code)]\n\n//! Doc.").is_empty());
    assert_eq!(
        faults("data/x.rs", "#![allow(dead_code)]\nfn f() {}").len(),
        1
    );
}
