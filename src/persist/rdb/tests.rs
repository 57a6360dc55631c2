//! Snapshots and payloads go out and come back; what was damaged on the way is refused.

use super::format::kind;
use super::testing::*;
use super::*;
use crate::data::listpack::ListpackBuf;
use crate::keyspace::stream::Stream;
use crate::keyspace::value::{NewValue, Type};
use crate::keyspace::{EntryRef, Keyspace};
use proptest::prelude::*;

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
    let mut keyspace = sample(false);
    let key = keyspace.key(b"stream:few");
    let place = keyspace.db(3).find(key).expect("there is one");
    keyspace.edit::<Box<Stream>, _>(3, key, place, |stream, _| {
        let group = stream.groups.get_mut(b"group").expect("there is one");
        group.create_consumer(b"idle", 5);
    });
    let file = saved(&keyspace, &save_options(Version::Auto)).expect("it can be saved");
    assert!(
        file.starts_with(b"REDIS0011"),
        "what a consumer did last is of 11"
    );
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
        any_version: false,
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

/// What was packed by Redis before 7, and what no server writes any more.
#[test]
fn old_forms_are_read() {
    let check = |kind: u8, value: &[u8], expected: &str| {
        assert_eq!(
            restored(&payload(kind, 6, value)).as_deref(),
            Ok(expected),
            "type {kind}"
        );
    };
    let check_bad = |kind: u8, value: &[u8]| {
        let result = restored(&payload(kind, 6, value));
        assert!(
            matches!(result, Err(RestoreError::BadFormat(_))),
            "{result:?}"
        );
    };
    let ziplist = string(&ziplist(&["a", "1", "bc", "-300", "d", "70000"]));
    check(10, &ziplist, "listpack until None: a 1 bc -300 d 70000");
    check(
        13,
        &ziplist,
        "listpack until None: a=1@None bc=-300@None d=70000@None",
    );
    check(
        12,
        &string(&testing::ziplist(&["low", "-1.5", "high", "12"])),
        "listpack until None: low=-1.5 high=12",
    );
    check(
        14,
        &[&[2][..], &ziplist, &ziplist].concat(),
        "quicklist until None: a 1 bc -300 d 70000 a 1 bc -300 d 70000",
    );
    check(
        9,
        b"\x16\x02\x03foo\x03\x00bar\x05hello\x02\x01wox\xff",
        "listpack until None: foo=bar@None hello=wo@None",
    );
    check(
        3,
        b"\x03\x01a\x031.5\x01b\xfe\x01c\xff",
        "listpack until None: c=-inf a=1.5 b=inf",
    );
    check(1, b"\x02\x01a\xc0\x05", "listpack until None: a 5");
    check(2, b"\x02\x01a\xc0\x05", "listpack until None: 5 a");
    check(4, b"\x01\x01a\xc0\x05", "listpack until None: a=5@None");
    check_bad(3, b"\x01\x01a\xfd");
    check_bad(3, b"\x01\x01a\x03abc");
    check_bad(9, b"\x08\x01\x03foo\x03\x01bar\xff");
    check_bad(9, b"\x0b\x02\x03foo\x03\x00bar\xff");
    for (kind, twice) in [(13, ["a", "1", "a", "2"]), (12, ["a", "1", "a", "2"])] {
        check_bad(kind, &string(&testing::ziplist(&twice)));
    }
    check_bad(13, &string(&testing::ziplist(&["a", "1", "b"])));
    let mut torn = testing::ziplist(&["a", "1"]);
    torn[4] += 1;
    check_bad(10, &string(&torn));
    for kind in [1, 2, 3, 4, 5, 10, 12, 13, 14, 16, 17, 18, 20] {
        check_bad(kind, b"\x00");
    }
    check_bad(7, b"\x81\x00\x00\x00\x00\x00\x00\x04\x00\x00");
    check_bad(8, b"");
}

/// Hashes with fields that expire, as Redis 7.4, its candidates, and Valkey 9 write them.
#[test]
fn fields_that_expire_are_read() {
    let check = |kind: u8, version: u16, value: &[u8], expected: &str| {
        assert_eq!(
            restored(&payload(kind, version, value)).as_deref(),
            Ok(expected),
            "type {kind}"
        );
    };
    let first = 0x1234i64.to_le_bytes();
    let expected = "hashtable until None: a=1@Some(4660) b=2@None c=3@Some(4665)";
    check(
        24,
        12,
        &[
            &first[..],
            b"\x03\x01\x01a\x011\x00\x01b\x012\x06\x01c\x013",
        ]
        .concat(),
        expected,
    );
    check(
        22,
        12,
        b"\x03\x52\x34\x01a\x011\x00\x01b\x012\x52\x39\x01c\x013",
        expected,
    );
    let mut pack = crate::data::listpack::ListpackBuf::new();
    for text in ["a", "1", "4660", "b", "2", "0", "c", "3", "4665"] {
        pack.push_back(text.as_bytes());
    }
    let pack = string(pack.as_ref().bytes());
    check(25, 12, &[&first[..], &pack].concat(), expected);
    check(23, 12, &pack, expected);
    let never = (-1i64).to_le_bytes();
    let last = 0x1239i64.to_le_bytes();
    let valkey = [
        &b"\x03\x01a\x011"[..],
        &first,
        b"\x01b\x012",
        &never,
        b"\x01c\x013",
        &last,
    ]
    .concat();
    check(22, 80, &valkey, expected);
}

/// Claims of more than there is are refused without memory being set aside for them.
#[test]
fn claims_are_not_believed() {
    let many = b"\x81\x00\x00\x00\x0f\xff\xff\xff\xff";
    for kind in [1u8, 2, 3, 4, 5, 14, 15, 18, 19, 21, 22, 24] {
        let before: &[u8] = if kind == 24 { &[0; 8] } else { &[] };
        let result = restored(&payload(kind, 12, &[before, many, b"\x01a\x01b"].concat()));
        assert!(
            matches!(result, Err(RestoreError::BadFormat(_))),
            "type {kind}: {result:?}"
        );
    }
    for kind in [0u8, 9, 10, 11, 12, 13, 16, 17, 20] {
        let result = restored(&payload(kind, 11, &[&many[..], b"abc"].concat()));
        assert!(
            matches!(result, Err(RestoreError::BadFormat(_))),
            "type {kind}: {result:?}"
        );
    }
    let file = [
        b"REDIS0011\xfe\x00\xfb",
        &many[..],
        &many[..],
        b"\x00",
        &many[..],
        b"abc",
    ]
    .concat();
    for hint in [None, Some(file.len() as u64)] {
        let error = loaded(&file, load_options(hint), u64::MAX)
            .err()
            .expect("a torn file");
        assert!(error.is_truncated, "{error}");
    }
}

#[test]
fn keys_that_come_twice_are_refused() {
    let file = b"REDIS0003\xfe\x00\x00\x01k\x01v\x00\x01k\x01w\xff";
    let error = loaded(file, load_options(None), u64::MAX)
        .err()
        .expect("a wrong file");
    assert_eq!(error.what, "RDB has duplicated key 'k' in DB 0");
    assert_eq!(error.key.as_deref(), Some(&b"k"[..]));
}

/// Wherever the second one stands, among few or many, and though it may be an integer as a number once and as a text
/// once, as other servers may write it.
#[test]
fn members_that_come_twice_are_refused() {
    let set_of = |members: &[Vec<u8>]| {
        let mut value = vec![0x40, members.len() as u8];
        for member in members {
            value.push(member.len() as u8);
            value.extend(member);
        }
        payload(kind::SET, 11, &value)
    };
    let packed = |kind: u8, members: &[Vec<u8>], others: usize| {
        let mut pack = ListpackBuf::new();
        for (index, member) in members.iter().enumerate() {
            pack.push_back(member);
            (0..others).for_each(|_| pack.push_back_int(index as i64));
        }
        payload(kind, 11, &string(pack.as_ref().bytes()))
    };
    type Form<'a> = &'a dyn Fn(&[Vec<u8>]) -> Vec<u8>;
    let forms: [Form<'_>; 4] = [
        &set_of,
        &|members| packed(kind::SET_LISTPACK, members, 0),
        &|members| packed(kind::HASH_LISTPACK, members, 1),
        &|members| packed(kind::ZSET_LISTPACK, members, 1),
    ];
    let name = |index: usize| match index % 4 {
        0 => format!("member {index} of many").into_bytes(),
        1 => format!("{index}").into_bytes(),
        2 => format!("m{index}").into_bytes(),
        _ => format!("x{index:08}").into_bytes(),
    };
    for count in [2, 3, 8, 20, 32, 33, 100] {
        let members: Vec<Vec<u8>> = (0..count).map(name).collect();
        for form in forms {
            assert!(restored(&form(&members)).is_ok(), "{count} members");
            for (first, second) in [
                (0, 1),
                (0, count - 1),
                (count / 2, count - 1),
                (count - 2, count - 1),
            ] {
                let mut members = members.clone();
                if first != second {
                    members[second] = members[first].clone();
                    assert!(
                        restored(&form(&members)).is_err(),
                        "{first} and {second} of {count}"
                    );
                }
            }
        }
    }
    // The number 12, and its text.
    let pack = [&[13, 0, 0, 0, 2, 0, 12, 1, 0x82][..], b"12", &[3, 0xff]].concat();
    assert!(restored(&payload(kind::SET_LISTPACK, 11, &string(&pack))).is_err());
}

#[test]
fn empty_collections_are_passed_over() {
    let file = b"REDIS0003\xfe\x00\x02\x01k\x00\x00\x01s\x01w\xff";
    let (keyspace, done) = loaded(file, load_options(None), u64::MAX).expect("it loads");
    assert_eq!((done.keys, done.empty, keyspace.db(0).len()), (1, 1, 1));
}

/// What a snapshot may hold beside keys, as other servers write it.
#[test]
fn what_is_not_needed_is_passed_over() {
    let module = b"\xf7\x81\x00\x00\x00\x00\x00\x00\x04\x00\x02\x01\x05\x03abc\x02\x07\x03\x00\x00\x00\x00\x00";
    let old_function = b"\xf6\x04name\x03LUA\x01\x04text\x04code";
    let slots = b"\xf4\x05\x01\x00\xf3\x03job\x01\x00\x45\x00";
    let file = [
        b"REDIS0012",
        &module[..],
        old_function,
        b"\xfe\x01",
        slots,
        b"\xfd\x00\x00\x00\x7f\x00\x01k\x01v\xff\0\0\0\0\0\0\0\0",
    ];
    let file = file.concat();
    let mut keyspace = empty();
    let mut loader = Loader::new(&file[..], load_options(None));
    let done = loader.step(&mut keyspace, u64::MAX).expect("it loads");
    assert!(matches!(done, Step::Done(done) if done.keys == 1 && done.checksum == Some(false)));
    assert_eq!(&*loader.functions()[0], b"#!LUA name=name\ncode");
    assert_eq!(
        picture(&keyspace)[&(1, "k".into())],
        "embstr until Some(2130706432000): v"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Any keyspace comes back from any version.
    #[test]
    fn any_keyspace_comes_back(
        values in prop::collection::vec((0usize..4, any::<u16>(), 0usize..6, 0usize..200, 0usize..90), 0..60),
    ) {
        let mut keyspace = empty();
        for (db, name, kind, count, len) in values {
            fill(&mut keyspace, db, name, kind, count, len);
        }
        for version in Version::ALL {
            let file = saved(&keyspace, &save_options(version)).expect("it can be saved");
            let (found, _) = loaded(&file, load_options(None), 100).expect("it loads");
            prop_assert_eq!(comparable(&found, version), comparable(&keyspace, version));
        }
    }
}
