//! Fuzzers that know the format: files and payloads of every type and version, then damage, with the checksum
//! made right again. What is refused must not panic, what is accepted must be safe to use and come back.

use super::testing::*;
use super::*;
use crate::base::fuzzing;
use crate::base::rng::Rng;
use crate::data::stream::StreamId;
use crate::keyspace::hash::Hash;
use crate::keyspace::list::{End, List};
use crate::keyspace::set::Set;
use crate::keyspace::stream::Stream;
use crate::keyspace::value::Type;
use crate::keyspace::zset::Zset;
use crate::persist::checksum::crc64;
use std::time::Instant;

/// Runs for `CINNABAR_FUZZ_SECONDS` (600) from `CINNABAR_FUZZ_SEED` (the clock):
/// `cargo test --lib fuzz_restore -- --ignored --nocapture`.
#[test]
#[ignore = "runs for minutes"]
fn fuzz_restore_for_minutes() {
    let (seed, end) = fuzzing::plan();
    let (runs, accepted) = fuzz_restore(seed, |runs| runs % 256 != 0 || Instant::now() < end);
    println!("{runs} runs, {accepted} accepted");
}

/// The same for whole files: `cargo test --lib fuzz_rdb_load -- --ignored --nocapture`.
#[test]
#[ignore = "runs for minutes"]
fn fuzz_rdb_load_for_minutes() {
    let (seed, end) = fuzzing::plan();
    let (runs, accepted) = fuzz_load(seed, |runs| runs % 64 != 0 || Instant::now() < end);
    println!("{runs} runs, {accepted} accepted");
}

#[test]
fn restores_a_little_of_everything() {
    let (_, accepted) = fuzz_restore(1, |runs| runs < 20_000);
    assert!(
        (1_000..19_000).contains(&accepted),
        "{accepted} of 20000 accepted: the fuzzer is blind on one side"
    );
}

#[test]
fn loads_a_little_of_everything() {
    let (_, accepted) = fuzz_load(1, |runs| runs < 400);
    assert!(
        (10..390).contains(&accepted),
        "{accepted} of 400 accepted: the fuzzer is blind on one side"
    );
}

/// Payloads of every type and encoding, without their checksums.
fn payloads() -> Vec<Vec<u8>> {
    let keyspace = sample(true);
    let mut payloads = old_payloads();
    for version in Version::ALL {
        for compress in [true, false] {
            for db in keyspace.iter() {
                for entry in db.iter() {
                    let mut payload = Vec::new();
                    dump(entry, &mut payload, version, compress);
                    payload.truncate(payload.len() - 8);
                    // Long ones only show what short ones show.
                    if payload.len() < 4_000 {
                        payloads.push(payload);
                    }
                }
            }
        }
    }
    payloads
}

fn fuzz_restore(seed: u64, more: impl Fn(u64) -> bool) -> (u64, u64) {
    let corpus = payloads();
    let mut rng = Rng::from_seed(seed);
    let (mut runs, mut accepted) = (0, 0);
    while more(runs) {
        let mut payload = corpus[rng.below(corpus.len() as u64) as usize].clone();
        let other = &corpus[rng.below(corpus.len() as u64) as usize];
        damage(&mut payload, other, &mut rng);
        let crc = crc64(&payload);
        payload.extend_from_slice(&crc.to_le_bytes());
        match std::panic::catch_unwind(|| try_payload(&payload)) {
            Ok(was_accepted) => accepted += u64::from(was_accepted),
            Err(_) => panic!("run {runs} of seed {seed}: panic on {payload:02x?}"),
        }
        runs += 1;
    }
    (runs, accepted)
}

/// Restores a payload, and if that is accepted does to the value what commands do.
fn try_payload(payload: &[u8]) -> bool {
    let options = RestoreOptions {
        limits: limits(),
        check_crc: true,
        any_version: false,
    };
    let mut keyspace = empty();
    let key = keyspace.key(b"key");
    let restored = restore(payload, &options, |value| {
        keyspace.db_mut(0).insert(key, value, None, 0)
    });
    let Ok(place) = restored else {
        return false;
    };
    let mut again = Vec::new();
    let entry = keyspace.db(0).entry(place);
    dump(entry, &mut again, Version::V12, true);
    // A table that could be a listpack becomes one on the way.
    let contents = |picture: String| picture.split_once(' ').expect("an encoding").1.to_string();
    let before = contents(picture_of(entry));
    let mut copy = empty();
    let copied = restore(&again, &options, |value| {
        copy.db_mut(0).insert(key, value, None, 0)
    });
    let copied = copied.expect("what we dump we restore");
    assert_eq!(contents(picture_of(copy.db(0).entry(copied))), before);
    use_up(&mut keyspace);
    true
}

/// Changes the value and takes it apart.
fn use_up(keyspace: &mut crate::keyspace::Keyspace) {
    let key = keyspace.key(b"key");
    let place = keyspace.db(0).find(key).expect("it was put there");
    let limits = limits();
    match keyspace.db(0).entry(place).kind() {
        Type::String => {}
        Type::List => {
            keyspace.edit::<List, _>(0, key, place, |list, _| {
                list.make_room(limits.list, 5, 1);
                list.push(End::Left, b"first");
                list.set(-1, b"last");
                let len = list.as_ref().len();
                list.pop(End::Right, len, |_| {});
            });
        }
        Type::Set => {
            keyspace.edit::<Set, _>(0, key, place, |set, rng| {
                set.insert(b"another", limits.set);
                while set.pop(rng, |_| {}) {}
            });
        }
        Type::Hash => {
            keyspace.edit::<Hash, _>(0, key, place, |hash, _| {
                hash.set(b"another", b"value", limits.hash, 0);
                hash.set_expiry(b"another", Some(5), 0);
                let mut fields = Vec::new();
                hash.as_ref().for_each(|field, _, _| {
                    fields.push(field.bytes(&mut itoa::Buffer::new()).to_vec());
                });
                for field in fields {
                    assert!(hash.remove(&field, i64::MIN));
                }
            });
        }
        Type::Zset => {
            keyspace.edit::<Zset, _>(0, key, place, |zset, _| {
                zset.insert(b"another", 1.0, limits.zset);
                let len = zset.as_ref().len();
                zset.pop(len, false, |_, _| {});
                assert!(zset.as_ref().is_empty());
            });
        }
        Type::Stream => {
            keyspace.edit::<Box<Stream>, _>(0, key, place, |stream, _| {
                let ids: Vec<StreamId> = stream
                    .log
                    .range_back(StreamId::MIN, StreamId::MAX)
                    .map(|entry| entry.id)
                    .collect();
                for id in ids {
                    assert!(stream.log.delete(id));
                }
                let names: Vec<Vec<u8>> = stream
                    .groups
                    .iter()
                    .map(|(name, _)| name.to_vec())
                    .collect();
                for name in names {
                    let group = stream.groups.get_mut(&name).expect("it was named");
                    let ids: Vec<StreamId> =
                        group.pending(StreamId::MIN).map(|(id, _)| id).collect();
                    assert!(ids.into_iter().all(|id| group.ack(id)));
                    assert!(stream.groups.destroy(&name));
                }
            });
        }
    }
}

fn fuzz_load(seed: u64, more: impl Fn(u64) -> bool) -> (u64, u64) {
    let corpus: Vec<Vec<u8>> = [Version::V9, Version::V11, Version::V12, Version::Valkey80]
        .iter()
        .map(|version| {
            let expires = matches!(version, Version::V12 | Version::Valkey80);
            let mut keyspace = sample(expires);
            thin_out(&mut keyspace);
            saved(&keyspace, &save_options(*version)).expect("it can be saved")
        })
        .collect();
    let mut rng = Rng::from_seed(seed);
    let (mut runs, mut accepted) = (0, 0);
    while more(runs) {
        let mut file = corpus[rng.below(corpus.len() as u64) as usize].clone();
        let other = &corpus[rng.below(corpus.len() as u64) as usize];
        file.truncate(file.len() - 8);
        damage(&mut file, other, &mut rng);
        let crc = crc64(&file);
        file.extend_from_slice(&crc.to_le_bytes());
        let hint = (rng.below(2) == 0).then_some(file.len() as u64);
        let result = std::panic::catch_unwind(|| {
            let found = loaded(&file, load_options(hint), 10_000);
            if let Ok((keyspace, _)) = &found {
                picture(keyspace);
            }
            let options = CheckOptions {
                name: "",
                now_ms: 0,
                size: hint,
            };
            check(&file[..], options, &mut Vec::new(), &mut |_| {})
                .expect("memory takes everything");
            found.is_ok()
        });
        match result {
            Ok(was_accepted) => accepted += u64::from(was_accepted),
            Err(_) => panic!("run {runs} of seed {seed}: panic on {file:02x?}"),
        }
        runs += 1;
    }
    (runs, accepted)
}

/// Changes some bytes: one at a time, or a piece that goes, comes twice, or comes from elsewhere.
fn damage(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    for _ in 0..1 + rng.below(4) {
        let at = rng.below(bytes.len() as u64) as usize;
        let end = bytes.len().min(at + 1 + rng.below(12) as usize);
        match rng.below(10) {
            0..4 => bytes[at] ^= 1 << rng.below(8),
            4 | 5 => bytes[at] = [0, 1, 0x7f, 0x80, 0x81, 0xc3, 0xfe, 0xff][rng.below(8) as usize],
            6 => drop(bytes.drain(at..end)),
            7 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            8 => {
                let from = rng.below(other.len() as u64) as usize;
                let to = other.len().min(from + 1 + rng.below(12) as usize);
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}
