//! For the tests of the format: keyspaces of every type and encoding, and what is in one as text.

use super::load::{Limits, LoadOptions, Loader, Step};
use super::save::{AccessHints, Progress, SaveOptions, save};
use super::{LoadError, SaveError, Version};
use crate::base::hash;
use crate::base::rng::Rng;
use crate::data::quicklist::{self, Fill};
use crate::data::stream::{self, Keep, Stream, StreamId, Trim};
use crate::keyspace::db::Expiry;
use crate::keyspace::hash::Hash;
use crate::keyspace::list::{End, List};
use crate::keyspace::set::Set;
use crate::keyspace::value::{NewValue, Type};
use crate::keyspace::zset::Zset;
use crate::keyspace::{EntryRef, Keyspace, set, zset};
use std::collections::BTreeMap;

/// The limits of a server that nobody configured.
pub fn limits() -> Limits {
    Limits {
        list: quicklist::Options {
            fill: Fill::new(-2),
            ..quicklist::Options::default()
        },
        set: set::Limits {
            intset_entries: 512,
            listpack_entries: 128,
            listpack_value: 64,
        },
        hash: crate::keyspace::hash::Limits {
            entries_max: 128,
            value_max: 64,
        },
        zset: zset::Limits {
            entries: 128,
            value: 64,
        },
    }
}

/// Options to load with.
pub fn load_options(size_hint: Option<u64>) -> LoadOptions {
    LoadOptions {
        any_version: false,
        now_ms: 1_000_000,
        drop_expired: true,
        replaces: false,
        check_crc: true,
        limits: limits(),
        access: 0,
        lfu: false,
        size_hint,
    }
}

/// Options to save with.
pub fn save_options(version: Version) -> SaveOptions<'static> {
    SaveOptions {
        version,
        compress: true,
        checksum: true,
        access: AccessHints::None,
        key_delay_us: 0,
        aux: &[],
        functions: &[],
    }
}

/// An empty keyspace of four databases.
pub fn empty() -> Keyspace {
    Keyspace::new(4, hash::process(), Rng::from_seed(1))
}

/// A keyspace saved.
pub fn saved(keyspace: &Keyspace, options: &SaveOptions<'_>) -> Result<Vec<u8>, SaveError> {
    let mut file = Vec::new();
    let mut last = Progress { keys: 0, bytes: 0 };
    let done = save(keyspace, &mut file, options, &mut |now| {
        assert!(now.keys >= last.keys && now.bytes > last.bytes);
        last = now;
    })?;
    assert_eq!(done.bytes, file.len() as u64);
    assert_eq!(last.bytes, done.bytes);
    Ok(file)
}

/// A file loaded, in steps of so many bytes.
pub fn loaded(
    file: &[u8],
    options: LoadOptions,
    budget: u64,
) -> Result<(Keyspace, super::Loaded), LoadError> {
    let mut keyspace = empty();
    let mut loader = Loader::new(file, options);
    loop {
        if let Step::Done(done) = loader.step(&mut keyspace, budget)? {
            return Ok((keyspace, done));
        }
    }
}

/// What a keyspace holds.
pub fn picture(keyspace: &Keyspace) -> BTreeMap<(usize, String), String> {
    let dbs = keyspace.iter().enumerate();
    let entries = dbs.flat_map(|(index, db)| db.iter().map(move |entry| (index, entry)));
    entries
        .map(|(index, entry)| {
            let key = entry.key().escape_ascii().to_string();
            ((index, key), picture_of(entry))
        })
        .collect()
}

/// What an entry holds.
pub fn picture_of(entry: EntryRef<'_>) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let shown = |item: crate::data::listpack::Item<'_>| text(item.bytes(&mut itoa::Buffer::new()));
    let mut lines: Vec<String> = Vec::new();
    match entry.kind() {
        Type::String => {
            let string = entry.string().expect("a string");
            lines.push(text(string.bytes(&mut itoa::Buffer::new())));
        }
        Type::List => {
            let list = entry.list().expect("a list");
            list.for_each(|item| lines.push(shown(item)));
        }
        Type::Set => {
            let set = entry.set().expect("a set");
            set.for_each(|item| lines.push(shown(item)));
            lines.sort();
        }
        Type::Zset => {
            let zset = entry.zset().expect("a sorted set");
            zset.walk(0..zset.len(), false, |item, score| {
                lines.push(format!("{}={score}", shown(item)));
            });
        }
        Type::Hash => {
            let hash = entry.hash().expect("a hash");
            hash.for_each(|field, value, expiry| {
                lines.push(format!("{}={}@{expiry:?}", shown(field), shown(value)));
            });
            lines.sort();
        }
        Type::Stream => picture_of_stream(entry.stream().expect("a stream"), &mut lines),
    }
    format!(
        "{} until {:?}: {}",
        entry.encoding(),
        entry.expiry(),
        lines.join(" ")
    )
}

fn picture_of_stream(stream: &Stream, lines: &mut Vec<String>) {
    let log = &stream.log;
    lines.push(format!(
        "{} {} {} {} {} nodes {}",
        log.len(),
        log.first_id(),
        log.last_id(),
        log.max_deleted_id(),
        log.entries_added(),
        log.node_count()
    ));
    for entry in log.range(StreamId::MIN, StreamId::MAX) {
        lines.push(format!(
            "{}: {:?}",
            entry.id,
            entry.fields().collect::<Vec<_>>()
        ));
    }
    for (name, group) in stream.groups.iter() {
        lines.push(format!(
            "group {} {} {:?}",
            name.escape_ascii(),
            group.last_id(),
            group.entries_read()
        ));
        for (id, consumer) in group.consumers() {
            lines.push(format!(
                "consumer {} {} {}",
                consumer.name().escape_ascii(),
                consumer.seen_time_ms,
                consumer.active_time_ms
            ));
            for (id, nack) in group.pending_of(id, StreamId::MIN) {
                lines.push(format!(
                    "{id} {} {}",
                    nack.delivery_time_ms, nack.delivery_count
                ));
            }
        }
    }
}

/// Something of every type and encoding, in several databases; `expiring_fields` too if asked.
pub fn sample(expiring_fields: bool) -> Keyspace {
    let mut keyspace = empty();
    strings(&mut keyspace);
    lists(&mut keyspace);
    sets(&mut keyspace);
    zsets(&mut keyspace);
    hashes(&mut keyspace, expiring_fields);
    streams(&mut keyspace);
    keyspace
}

fn strings(keyspace: &mut Keyspace) {
    for n in [
        0,
        1,
        -1,
        127,
        128,
        -128,
        -129,
        32_767,
        32_768,
        -32_768,
        1 << 31,
        (1 << 31) - 1,
        -(1 << 31),
        i64::MAX,
        i64::MIN,
    ] {
        put(keyspace, 0, &format!("int:{n}"), NewValue::Int(n), None);
    }
    for len in [
        0, 1, 12, 20, 21, 44, 45, 63, 64, 200, 512, 513, 16_383, 16_384, 70_000, 600_000,
    ] {
        let noise: Vec<u8> = (0..len as u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        put(
            keyspace,
            1,
            &format!("noise:{len}"),
            NewValue::text(&noise),
            None,
        );
        let same = vec![b'x'; len];
        put(
            keyspace,
            1,
            &format!("same:{len}"),
            NewValue::text(&same),
            Some(2_000_000 + len as i64),
        );
    }
    put(keyspace, 0, "", NewValue::text(b"the empty key"), None);
    put(
        keyspace,
        0,
        "12345",
        NewValue::text(b"a key that is a number"),
        None,
    );
    put(
        keyspace,
        0,
        &"k".repeat(300),
        NewValue::text(b"a long key"),
        Some(i64::MAX),
    );
    put(keyspace, 0, "007", NewValue::text(b"0012"), None);
}

/// Puts a value under a key.
pub fn put(
    keyspace: &mut Keyspace,
    db: usize,
    name: &str,
    value: NewValue<'_>,
    expiry: Option<i64>,
) {
    let key = keyspace.key(name.as_bytes());
    match keyspace.db(db).find(key) {
        Some(place) => {
            let expiry = expiry.map_or(Expiry::Clear, Expiry::At);
            keyspace.replace(db, key, place, value, expiry, false);
        }
        None => {
            keyspace.db_mut(db).insert(key, value, expiry, 0);
        }
    }
}

fn lists(keyspace: &mut Keyspace) {
    for (name, count, len) in [
        ("list:one", 1, 3),
        ("list:few", 20, 10),
        ("list:wide", 3, 600),
        ("list:many", 3_000, 20),
        ("list:plain", 3, 20_000),
    ] {
        let mut list = List::for_many(limits().list);
        for n in 0..count {
            let element = format!("{n}{}", "e".repeat(len));
            list.push(End::Right, element.as_bytes());
            list.push(End::Left, n.to_string().as_bytes());
        }
        list.settle(limits().list);
        let key = keyspace.key(name.as_bytes());
        keyspace.put(2, key, None, list, 0, false);
    }
    let options = quicklist::Options {
        compress_depth: 1,
        ..limits().list
    };
    let mut list = List::for_many(options);
    for n in 0..5_000 {
        list.push(End::Right, format!("element number {n}").as_bytes());
    }
    let key = keyspace.key(b"list:compressed");
    keyspace.put(2, key, None, list, 0, false);
}

fn sets(keyspace: &mut Keyspace) {
    for (name, members) in [
        (
            "set:int16",
            (0..20).map(|n| n.to_string()).collect::<Vec<_>>(),
        ),
        (
            "set:int32",
            (0..20).map(|n| (n * 100_000 - 7).to_string()).collect(),
        ),
        (
            "set:int64",
            (0..500)
                .map(|n| (n * 10_000_000_000i64).to_string())
                .collect(),
        ),
        ("set:ints", (0..1_000).map(|n| n.to_string()).collect()),
        ("set:few", (0..10).map(|n| format!("member{n}")).collect()),
        (
            "set:mixed",
            (0..100)
                .map(|n| {
                    if n % 2 == 0 {
                        n.to_string()
                    } else {
                        format!("m{n}")
                    }
                })
                .collect(),
        ),
        (
            "set:long",
            (0..3).map(|n| format!("{n}").repeat(70)).collect(),
        ),
        (
            "set:many",
            (0..2_000).map(|n| format!("member:{n}")).collect(),
        ),
    ] {
        let key = keyspace.key(name.as_bytes());
        keyspace.create::<Set, _>(2, key, 0, |set, _| {
            for member in members {
                set.insert(member.as_bytes(), limits().set);
            }
        });
    }
}

fn zsets(keyspace: &mut Keyspace) {
    let scores = [
        0.0,
        1.0,
        -1.5,
        3.25e300,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e-7,
        4e18,
        0.1,
    ];
    for (name, count, len) in [
        ("zset:few", 9, 5),
        ("zset:long", 5, 100),
        ("zset:many", 1_000, 8),
    ] {
        let key = keyspace.key(name.as_bytes());
        keyspace.create::<Zset, _>(2, key, 0, |zset, _| {
            for n in 0..count {
                let score = scores[n % scores.len()] + if n > 9 { n as f64 } else { 0.0 };
                let member = format!("{n}{}", "m".repeat(len));
                zset.insert(member.as_bytes(), score, limits().zset);
                zset.insert(n.to_string().as_bytes(), n as f64, limits().zset);
            }
        });
    }
}

fn hashes(keyspace: &mut Keyspace, expiring_fields: bool) {
    for (name, count, len) in [
        ("hash:few", 5, 5),
        ("hash:long", 5, 100),
        ("hash:many", 700, 8),
    ] {
        let key = keyspace.key(name.as_bytes());
        keyspace.create::<Hash, _>(3, key, 0, |hash, _| {
            for n in 0..count {
                let value = format!("{n}{}", "v".repeat(len));
                hash.set(
                    format!("field{n}").as_bytes(),
                    value.as_bytes(),
                    limits().hash,
                    0,
                );
                hash.set(
                    n.to_string().as_bytes(),
                    n.to_string().as_bytes(),
                    limits().hash,
                    0,
                );
            }
        });
    }
    if !expiring_fields {
        return;
    }
    let key = keyspace.key(b"hash:expiring");
    keyspace.create::<Hash, _>(3, key, 0, |hash, _| {
        for n in 0..40i64 {
            let field = format!("field{n}");
            hash.set(field.as_bytes(), n.to_string().as_bytes(), limits().hash, 0);
            if n % 3 == 0 {
                hash.set_expiry(field.as_bytes(), Some(5_000_000_000 + n * n), 0);
            }
        }
    });
}

fn streams(keyspace: &mut Keyspace) {
    for (name, entries) in [
        ("stream:none", 0),
        ("stream:few", 5),
        ("stream:many", 1_000),
    ] {
        let mut stream = Box::new(Stream::new());
        for n in 1..=entries {
            let value = n.to_string();
            let fields = [&b"field"[..], value.as_bytes(), b"other", b"text"].into_iter();
            let added =
                stream
                    .log
                    .append(StreamId::new(n, n % 3), fields, stream::Limits::default());
            assert_eq!(added, Ok(()));
        }
        if entries > 4 {
            assert!(stream.log.delete(StreamId::new(3, 0)));
            stream.log.trim(Trim {
                keep: Keep::Newest(entries - 2),
                approximate: false,
                limit: 0,
            });
            let group = stream
                .groups
                .create(b"group", StreamId::new(4, 1), Some(3))
                .expect("a new one");
            let alice = group.create_consumer(b"alice", 7_000).expect("a new one");
            group.consumer_mut(alice).active_time_ms = 7_000;
            group.deliver(StreamId::new(2, 2), alice, 6_000);
            group.deliver(StreamId::new(4, 1), alice, 6_500);
            group.redeliver(StreamId::new(4, 1), 6_600);
            let bob = group.create_consumer(b"bob", 8_000).expect("a new one");
            group.consumer_mut(bob).active_time_ms = 8_000;
            group.deliver(StreamId::new(3, 0), bob, 6_000);
        }
        stream
            .groups
            .create(b"empty", StreamId::MIN, None)
            .expect("a new one");
        let key = keyspace.key(name.as_bytes());
        keyspace.put(3, key, None, stream, 0, false);
    }
}

/// Takes the long values away, so that a test may look at each byte.
pub fn thin_out(keyspace: &mut Keyspace) {
    for db in 0..keyspace.count() {
        let mut long: Vec<Vec<u8>> = Vec::new();
        for entry in keyspace.db(db).iter() {
            let name = entry.key();
            let is_long = [
                &b"many"[..],
                b"plain",
                b"compressed",
                b"ints",
                b"int64",
                b"00",
                b"13",
            ];
            if is_long.iter().any(|end| name.ends_with(end)) {
                long.push(name.to_vec());
            }
        }
        for name in long {
            let key = keyspace.key(&name);
            let place = keyspace.db(db).find(key).expect("a key that was seen");
            keyspace.remove(db, key, place, false);
        }
    }
}

/// Puts a value of a type, with so many elements of so many bytes, under a key unless it is there.
pub fn fill(keyspace: &mut Keyspace, db: usize, name: u16, kind: usize, count: usize, len: usize) {
    let name = format!("key:{name}");
    let key = keyspace.key(name.as_bytes());
    if keyspace.db(db).find(key).is_some() {
        return;
    }
    let element = |n: usize| match n % 3 {
        0 => (n * 1_000 * len).to_string(),
        _ => format!("{n}{}", "e".repeat(len)),
    };
    let limits = limits();
    match kind {
        0 => {
            let value = "v".repeat(count * len);
            put(
                keyspace,
                db,
                &name,
                NewValue::from_bytes(value.as_bytes()),
                Some(3_000_000),
            );
        }
        1 => {
            let mut list = List::for_many(limits.list);
            (0..=count).for_each(|n| list.push(End::Right, element(n).as_bytes()));
            list.settle(limits.list);
            keyspace.put(db, key, None, list, 0, false);
        }
        2 => {
            keyspace.create::<Set, _>(db, key, 0, |set, _| {
                (0..=count).for_each(|n| {
                    set.insert(element(n).as_bytes(), limits.set);
                });
            });
        }
        3 => {
            keyspace.create::<Zset, _>(db, key, 0, |zset, _| {
                (0..=count).for_each(|n| {
                    zset.insert(element(n).as_bytes(), (n % 7) as f64 / 4.0, limits.zset);
                });
            });
        }
        4 => {
            keyspace.create::<Hash, _>(db, key, 0, |hash, _| {
                (0..=count).for_each(|n| {
                    hash.set(
                        element(n).as_bytes(),
                        element(n / 2).as_bytes(),
                        limits.hash,
                        0,
                    );
                });
            });
        }
        _ => {
            let value = NewValue::Int(count as i64 * 1_000_003 - 5);
            put(keyspace, db, &name, value, None);
        }
    }
}

/// The bytes of a string in a file.
pub fn string(bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len() as u32;
    [&[0x80][..], &len.to_be_bytes(), bytes].concat()
}

/// A payload of a value of a type.
pub fn payload(kind: u8, version: u16, value: &[u8]) -> Vec<u8> {
    let mut payload = [&[kind][..], value, &version.to_le_bytes()].concat();
    let crc = crate::persist::checksum::crc64(&payload);
    payload.extend_from_slice(&crc.to_le_bytes());
    payload
}

/// A ziplist of these texts, integers in the shortest form.
pub fn ziplist(texts: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0; 10];
    let (mut last, mut before) = (10, 0u32);
    for text in texts {
        last = bytes.len();
        match before {
            0..254 => bytes.push(before as u8),
            _ => {
                bytes.push(254);
                bytes.extend_from_slice(&before.to_le_bytes());
            }
        }
        match text.parse::<i64>() {
            Ok(n @ 0..=12) => bytes.push(0xf1 + n as u8),
            Ok(n) if i8::try_from(n).is_ok() => bytes.extend_from_slice(&[0xfe, n as u8]),
            Ok(n) if i16::try_from(n).is_ok() => {
                bytes.push(0xc0);
                bytes.extend_from_slice(&(n as i16).to_le_bytes());
            }
            Ok(n) if (-(1 << 23)..1 << 23).contains(&n) => {
                bytes.push(0xf0);
                bytes.extend_from_slice(&n.to_le_bytes()[..3]);
            }
            Ok(n) if i32::try_from(n).is_ok() => {
                bytes.push(0xd0);
                bytes.extend_from_slice(&(n as i32).to_le_bytes());
            }
            Ok(n) => {
                bytes.push(0xe0);
                bytes.extend_from_slice(&n.to_le_bytes());
            }
            Err(_) => {
                match text.len() {
                    len @ 0..64 => bytes.push(len as u8),
                    len @ 64..16_384 => {
                        bytes.extend_from_slice(&[0x40 | (len >> 8) as u8, len as u8])
                    }
                    len => {
                        bytes.push(0x80);
                        bytes.extend_from_slice(&(len as u32).to_be_bytes());
                    }
                }
                bytes.extend_from_slice(text.as_bytes());
            }
        }
        before = (bytes.len() - last) as u32;
    }
    bytes.push(0xff);
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
    bytes[8..10].copy_from_slice(&(texts.len() as u16).to_le_bytes());
    bytes
}

/// Payloads of types that are not written any more, without their checksums.
pub fn old_payloads() -> Vec<Vec<u8>> {
    let long = "x".repeat(300);
    let texts = [
        "a",
        "1",
        "bc",
        "-300",
        "d",
        "70000",
        "e",
        "9000000",
        "f",
        "5000000000",
        &long,
        &long[1..],
    ];
    let ziplist = string(&ziplist(&texts));
    let scores = string(&self::ziplist(&[
        "low", "-1.5", "high", "12", "higher", "1e300",
    ]));
    let values: [(u8, Vec<u8>); 8] = [
        (10, ziplist.clone()),
        (13, ziplist.clone()),
        (12, scores),
        (14, [&[2][..], &ziplist, &ziplist].concat()),
        (
            9,
            b"\x16\x02\x03foo\x03\x00bar\x05hello\x02\x01wox\xff".to_vec(),
        ),
        (3, b"\x03\x01a\x031.5\x01b\xfe\x01c\xff".to_vec()),
        (1, b"\x02\x01a\xc0\x05".to_vec()),
        (
            22,
            b"\x03\x52\x34\x01a\x011\x00\x01b\x012\x52\x39\x01c\x013".to_vec(),
        ),
    ];
    let cut = |(kind, value): &(u8, Vec<u8>)| {
        let mut payload = payload(*kind, 12, value);
        payload.truncate(payload.len() - 8);
        payload
    };
    values.iter().map(cut).collect()
}
