//! How a value is kept, as DEBUG OBJECT and DEBUG HTSTATS-KEY tell it.

use crate::data::listpack::{Item, Listpack};
use crate::data::quicklist::{QuickList, Stored};
use crate::data::stream::Stream;
use crate::keyspace::entry::EntryRef;
use crate::keyspace::hash::HashRef;
use crate::keyspace::list::ListRef;
use crate::keyspace::set::SetRef;
use crate::keyspace::value::{StringRef, Type};
use crate::keyspace::zset::ZsetRef;
use crate::server::config::Config;
use crate::server::cx::AccessClock;
use std::fmt::Write as _;

/// The elements of the listpack that a value is kept in, a line each.
pub fn listpack_lines(entry: EntryRef<'_>) -> Option<Vec<String>> {
    let bytes = entry.packed().filter(|_| entry.encoding() == "listpack")?;
    let pack = Listpack::from_trusted(bytes);
    let mut lines = vec![format!(
        "listpack: {} bytes, {} elements",
        bytes.len(),
        pack.len()
    )];
    lines.extend(pack.iter().enumerate().map(|(index, item)| match item {
        Item::Int(n) => format!("{index}: integer {n}"),
        Item::Bytes(text) => format!("{index}: {} bytes \"{}\"", text.len(), text.escape_ascii()),
    }));
    Some(lines)
}

/// The nodes of the quicklist that a list is kept in, a line each.
pub fn quicklist_lines(entry: EntryRef<'_>) -> Option<Vec<String>> {
    let Some(ListRef::Quick(list)) = entry.list() else {
        return None;
    };
    let nodes = list.iter_nodes().enumerate().map(|(index, node)| {
        let container = if node.is_plain() { "PLAIN" } else { "PACKED" };
        let stored = match node.stored() {
            Stored::Raw(bytes) => format!("{} bytes", bytes.len()),
            Stored::Lzf(bytes) => format!("{} bytes, {} as LZF", node.raw_len(), bytes.len()),
        };
        format!(
            "node {index}: {container}, {} elements, {stored}",
            node.elements()
        )
    });
    let head = format!("quicklist: {} nodes, {} elements", list.nodes(), list.len());
    Some(std::iter::once(head).chain(nodes).collect())
}

/// The line of DEBUG OBJECT; in full it tells what takes time to find out too.
pub fn describe(
    entry: EntryRef<'_>,
    access: AccessClock,
    config: &Config,
    in_full: bool,
) -> String {
    let mut line = format!(
        "Value at:{:p} refcount:1 encoding:{}",
        entry.key().as_ptr(),
        entry.encoding()
    );
    let mut add = |part: std::fmt::Arguments<'_>| {
        line.write_fmt(part)
            .expect("a string takes what is written");
    };
    if in_full {
        add(format_args!(
            " serializedlength:{}",
            serialized_length(entry)
        ));
    }
    let idle = access.idle_seconds(entry.access());
    add(format_args!(
        " lru:{} lru_seconds_idle:{idle}",
        entry.access()
    ));
    if in_full && let Some(ListRef::Quick(list)) = entry.list() {
        let raw: usize = list.iter_nodes().map(|node| node.raw_len()).sum();
        add(format_args!(
            " ql_nodes:{} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} ql_uncompressed_size:{raw}",
            list.nodes(),
            list.len() as f64 / list.nodes() as f64,
            config.list_max_listpack_size,
            u8::from(list.options().compress_depth != 0),
        ));
    }
    line
}

/// What there is to tell of the hash table that a value is kept in, if it is.
pub fn table_figures(entry: EntryRef<'_>) -> Option<String> {
    let elements = match entry.kind() {
        Type::Set => match entry.set()? {
            SetRef::Table(members) => members.len(),
            SetRef::Ints(_) | SetRef::Pack(_) => return None,
        },
        Type::Zset => match entry.zset()? {
            ZsetRef::Tree(sorted) => sorted.len(),
            ZsetRef::Pack(_) => return None,
        },
        Type::Hash => match entry.hash()? {
            HashRef::Table(fields) => fields.len(),
            HashRef::Pack(_) => return None,
        },
        Type::String | Type::List | Type::Stream => return None,
    };
    Some(format!(
        "Hash table 0 stats (main hash table):\n number of elements: {elements}\n bytes: {}\n",
        entry.allocated()
    ))
}

/// The bytes that a value takes in a snapshot, if what is not compressed now is not compressed there.
fn serialized_length(entry: EntryRef<'_>) -> usize {
    const SCORE: usize = 8;
    if let Some(packed) = entry.packed() {
        return header_length(packed.len()) + packed.len();
    }
    let mut length = 0;
    match entry.kind() {
        Type::String => return entry.string().map_or(0, string_length),
        Type::List => {
            if let Some(ListRef::Quick(list)) = entry.list() {
                length = header_length(list.nodes()) + nodes_length(list);
            }
        }
        Type::Set => {
            if let Some(SetRef::Table(members)) = entry.set() {
                length = header_length(members.len());
                length += members.iter().map(bytes_length).sum::<usize>();
            }
        }
        Type::Zset => {
            if let Some(ZsetRef::Tree(sorted)) = entry.zset() {
                length = header_length(sorted.len());
                let members = sorted.iter_from(0);
                length += members.map(|(m, _)| bytes_length(m) + SCORE).sum::<usize>();
            }
        }
        Type::Hash => {
            if let Some(hash) = entry.hash() {
                length = header_length(hash.len());
                hash.for_each(|field, value, _| length += item_length(field) + item_length(value));
            }
        }
        Type::Stream => {
            if let Some(stream) = entry.stream() {
                length = stream_length(stream);
            }
        }
    }
    length
}

fn nodes_length(list: &QuickList) -> usize {
    const CONTAINER: usize = 1;
    let node_length = |stored: Stored<'_>, raw_len: usize| match stored {
        Stored::Raw(bytes) => header_length(bytes.len()) + bytes.len(),
        Stored::Lzf(bytes) => 1 + header_length(bytes.len()) + header_length(raw_len) + bytes.len(),
    };
    list.iter_nodes()
        .map(|node| CONTAINER + node_length(node.stored(), node.raw_len()))
        .sum()
}

/// The nodes with their IDs; the counters and groups behind them are left out.
fn stream_length(stream: &Stream) -> usize {
    const ID: usize = 1 + 16;
    let node_length = |bytes: &[u8]| ID + header_length(bytes.len()) + bytes.len();
    let nodes = stream.log.nodes();
    header_length(stream.log.node_count())
        + nodes.map(|(_, bytes)| node_length(bytes)).sum::<usize>()
}

fn item_length(item: Item<'_>) -> usize {
    match item {
        Item::Int(n) => string_length(StringRef::Int(n)),
        Item::Bytes(bytes) => bytes_length(bytes),
    }
}

fn bytes_length(bytes: &[u8]) -> usize {
    string_length(StringRef::Bytes(bytes))
}

/// The bytes of a string: a short integer as such, everything else as its length and itself.
fn string_length(string: StringRef<'_>) -> usize {
    /// Longer texts are not tried as integers.
    const INTEGER_TEXT_MAX: usize = 11;
    let len = string.len();
    let integer = if len <= INTEGER_TEXT_MAX {
        string.integer()
    } else {
        None
    };
    match integer {
        Some(n) if i8::try_from(n).is_ok() => 2,
        Some(n) if i16::try_from(n).is_ok() => 3,
        Some(n) if i32::try_from(n).is_ok() => 5,
        _ => header_length(len) + len,
    }
}

/// The bytes of a length.
fn header_length(len: usize) -> usize {
    match len {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0xffff_ffff => 5,
        _ => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::string_length;
    use crate::keyspace::value::StringRef;

    #[test]
    fn serialized_lengths() {
        let check = |text: &str, expected| {
            assert_eq!(
                string_length(StringRef::Bytes(text.as_bytes())),
                expected,
                "{text:?}"
            )
        };
        check("", 1);
        check("127", 2);
        check("128", 3);
        check("-32768", 3);
        check("2147483647", 5);
        check("2147483648", 11);
        check("007", 4);
        check(&"x".repeat(63), 64);
        check(&"x".repeat(64), 66);
        check(&"x".repeat(16383), 16385);
        check(&"x".repeat(16384), 16389);
        assert_eq!(string_length(StringRef::Int(i64::MIN)), 21);
    }
}
