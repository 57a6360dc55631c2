//! Snapshots and payloads go out and come back; what was damaged on the way is refused.

use super::testing::*;
use super::*;
use crate::keyspace::value::{NewValue, Type};
use crate::keyspace::{EntryRef, Keyspace};

const VERSIONS: [Version; 6] = Version::ALL;

/// What differs by version: the form of what streams say.
fn comparable(keyspace: &Keyspace, version: Version) -> Vec<((usize, String), String)> {
    let all = picture(keyspace).into_iter();
    let is_old = version == Version::V9;
    all.filter(|((_, key), _)| !(is_old && key.starts_with("stream:")))
        .collect()
}

#[test]
fn every_version_brings_everything_back() {
    for version in VERSIONS {
        for compress in [true, false] {
            let can_expire = matches!(version, Version::Auto | Version::V12 | Version::Valkey80);
            let keyspace = sample(can_expire);
            let mut options = save_options(version);
            options.compress = compress;
            let file = saved(&keyspace, &options).expect("it can be saved");
            let expected = comparable(&keyspace, version);
            for (budget, hint) in [
                (u64::MAX, Some(file.len() as u64)),
                (1, None),
                (5_000, None),
            ] {
                let (found, done) = loaded(&file, load_options(hint), budget).expect("it loads");
                assert_eq!(comparable(&found, version), expected, "{version:?}");
                assert_eq!(done.bytes, file.len() as u64);
                assert_eq!(done.keys, picture(&keyspace).len() as u64);
            }
        }
    }
}

#[test]
fn streams_of_the_oldest_version_come_back_with_what_it_says() {
    let file = saved(&sample(false), &save_options(Version::V9)).expect("it can be saved");
    let (keyspace, _) = loaded(&file, load_options(None), u64::MAX).expect("it loads");
    let all = picture(&keyspace);
    let few = &all[&(3, "stream:few".into())];
    assert!(
        few.starts_with("stream until None: 3 2-2 5-2 0-0 3 nodes 1 "),
        "{few}"
    );
    assert!(few.contains("group group 4-1 None"), "{few}");
}

#[test]
fn auto_is_the_lowest_version_that_can_hold_the_data() {
    let check = |expiring, expected: &[u8]| {
        let file = saved(&sample(expiring), &save_options(Version::Auto)).expect("it can be saved");
        assert!(file.starts_with(expected));
    };
    check(false, b"REDIS0010");
    check(true, b"REDIS0012");
}

#[test]
fn what_a_version_cannot_hold_is_named() {
    for version in [Version::V9, Version::V10, Version::V11] {
        let mut file = Vec::new();
        let error = save(
            &sample(true),
            &mut file,
            &save_options(version),
            &mut |_| {},
        );
        match error {
            Err(SaveError::Unrepresentable { db: 3, key, .. }) => {
                assert_eq!(&*key, b"hash:expiring")
            }
            other => panic!("{version:?}: {other:?}"),
        }
        assert!(file.is_empty());
    }
}

#[test]
fn failing_writers_are_told() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let room = self.0.min(bytes.len());
            self.0 -= room;
            match room {
                0 => Err(std::io::ErrorKind::StorageFull.into()),
                room => Ok(room),
            }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for room in [0, 5, 100_000] {
        let result = save(
            &sample(false),
            &mut Full(room),
            &save_options(Version::Auto),
            &mut |_| {},
        );
        match result {
            Err(SaveError::Io(error)) => assert_eq!(error.kind(), std::io::ErrorKind::StorageFull),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_stands_beside_the_keys_comes_back() {
    let mut keyspace = empty();
    put(&mut keyspace, 0, "key", NewValue::Int(1), None);
    let aux = [
        ("redis-ver", "7.4.0".to_string()),
        ("ctime", "1700000000".to_string()),
    ];
    let functions = [b"#!lua name=one\nreturn".to_vec().into_boxed_slice()];
    let mut options = save_options(Version::Auto);
    (options.aux, options.functions) = (&aux, &functions);
    let mut file = saved(&keyspace, &options).expect("it can be saved");
    let len = file.len() as u64;
    file.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    let mut loader = Loader::new(&file[..], load_options(None));
    let mut found = empty();
    let done = loader.step(&mut found, u64::MAX).expect("it loads");
    assert!(matches!(done, Step::Done(done) if done.bytes == len && done.keys == 1));
    let aux: Vec<_> = loader
        .aux()
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    assert_eq!(
        aux,
        [
            (&b"redis-ver"[..], &b"7.4.0"[..]),
            (b"ctime", b"1700000000")
        ]
    );
    assert_eq!(loader.functions(), functions);
    assert_eq!(loader.offset(), len);
    let (mut rest, mut reader) = loader.into_rest();
    std::io::Read::read_to_end(&mut reader, &mut rest).expect("bytes in memory");
    assert_eq!(rest, b"*1\r\n$4\r\nPING\r\n");
}

#[test]
fn hints_of_use_come_back() {
    for (lfu, access) in [
        (false, AccessHints::Idle(5_000)),
        (true, AccessHints::Frequency),
    ] {
        let mut keyspace = empty();
        let key = keyspace.key(b"key");
        keyspace
            .db_mut(0)
            .insert(key, NewValue::Int(1), None, 0x1234);
        let mut options = save_options(Version::Auto);
        options.access = access;
        let file = saved(&keyspace, &options).expect("it can be saved");
        let mut options = load_options(None);
        (options.lfu, options.access) = (lfu, 9_000);
        let (found, _) = loaded(&file, options, u64::MAX).expect("it loads");
        let place = found.db(0).find(key).expect("the key");
        let expected = if lfu {
            9_000 & !0xff | 0x34
        } else {
            9_000 - (5_000 - 0x1234)
        };
        assert_eq!(found.db(0).entry(place).access(), expected);
    }
}

#[test]
fn keys_that_have_expired_are_left_out_if_asked() {
    let mut keyspace = empty();
    for (name, at) in [
        ("before", 999_999),
        ("now", 1_000_000),
        ("later", 1_000_001),
    ] {
        put(&mut keyspace, 0, name, NewValue::Int(1), Some(at));
    }
    let file = saved(&keyspace, &save_options(Version::Auto)).expect("it can be saved");
    for drop_expired in [true, false] {
        let mut options = load_options(None);
        options.drop_expired = drop_expired;
        let (found, done) = loaded(&file, options, u64::MAX).expect("it loads");
        assert_eq!(found.db(0).len(), if drop_expired { 2 } else { 3 });
        assert_eq!(done.expired, u64::from(drop_expired));
    }
}

fn restored(payload: &[u8]) -> Result<String, RestoreError> {
    let options = RestoreOptions {
        limits: limits(),
        check_crc: true,
    };
    restore(payload, &options, |value| {
        let mut keyspace = empty();
        let key = keyspace.key(b"key");
        let place = keyspace.db_mut(0).insert(key, value, None, 0);
        picture_of(keyspace.db(0).entry(place))
    })
}

fn dumped(entry: EntryRef<'_>, version: Version) -> Vec<u8> {
    let mut payload = b"before".to_vec();
    dump(entry, &mut payload, version, true);
    payload.split_off(6)
}

#[test]
fn payloads_come_back() {
    let keyspace = sample(true);
    for version in VERSIONS {
        for (_, entry) in entries(&keyspace) {
            let payload = dumped(entry, version);
            let expected = picture_of(entry);
            let (before, contents) = expected.split_once(" until ").expect("an encoding");
            let (_, contents) = contents.split_once(": ").expect("contents");
            if version == Version::V9 && entry.kind() == Type::Stream {
                continue;
            }
            assert_eq!(
                restored(&payload),
                Ok(format!("{before} until None: {contents}"))
            );
        }
    }
}

fn entries(keyspace: &Keyspace) -> impl Iterator<Item = (usize, EntryRef<'_>)> {
    let dbs = keyspace.iter().enumerate();
    dbs.flat_map(|(index, db)| db.iter().map(move |entry| (index, entry)))
}

/// Payloads that Redis 7.0.15 made with DUMP.
#[test]
fn payloads_of_redis_are_read() {
    let check =
        |payload: &[u8], expected: &str| assert_eq!(restored(payload).as_deref(), Ok(expected));
    check(
        b"\x00\xc0\x0a\x0a\x00n\x9fWE\x0e\xaec\xbb",
        "int until None: 10",
    );
}

#[test]
fn every_truncation_is_told() {
    let mut keyspace = sample(true);
    thin_out(&mut keyspace);
    for version in [Version::V12, Version::Valkey80] {
        let file = saved(&keyspace, &save_options(version)).expect("it can be saved");
        for len in 0..file.len() {
            let hint = (len % 2 == 0).then_some(len as u64);
            let error = loaded(&file[..len], load_options(hint), u64::MAX).err();
            let error = error.unwrap_or_else(|| panic!("{len} of {} bytes load", file.len()));
            assert!(error.is_truncated, "{len}: {error}");
            assert!(error.offset <= len as u64);
        }
    }
}

/// Takes the long values away, so that a test may look at each byte.
fn thin_out(keyspace: &mut Keyspace) {
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

#[test]
fn flipped_bits_are_refused_or_harmless() {
    let mut keyspace = sample(true);
    thin_out(&mut keyspace);
    for version in [Version::V12, Version::Valkey80] {
        let file = saved(&keyspace, &save_options(version)).expect("it can be saved");
        let mut options = load_options(Some(file.len() as u64));
        options.check_crc = false;
        for at in 0..file.len() {
            let mut file = file.clone();
            file[at] ^= 1 << (at % 8);
            let error = loaded(&file, load_options(None), u64::MAX);
            assert!(error.is_err(), "a wrong byte {at} is overlooked");
            if let Ok((keyspace, _)) = loaded(&file, options, u64::MAX) {
                picture(&keyspace);
            }
        }
    }
}
