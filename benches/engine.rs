//! The engine without sockets: lookups in the table, and whole requests through gate and handler.

use cinnabar::base::{hash, rng::Rng};
use cinnabar::commands;
use cinnabar::keyspace::Key;
use cinnabar::keyspace::db::{Db, Disposal};
use cinnabar::keyspace::value::NewValue;
use cinnabar::resp::reply::Reply;
use cinnabar::resp::request::OwnedArgv;
use cinnabar::server::client::Endpoint;
use cinnabar::server::config::Config;
use cinnabar::server::cx::KeyHashes;
use cinnabar::server::exec;
use cinnabar::server::state::Server;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const KEYS: u64 = 100_000;

fn table(c: &mut Criterion) {
    let hasher = hash::process();
    let keys: Vec<Vec<u8>> = (0..KEYS)
        .map(|i| format!("key:{i:012}").into_bytes())
        .collect();
    let key = |i: u64| {
        let bytes = &keys[(i % KEYS) as usize][..];
        Key {
            bytes,
            hash: hasher.hash(bytes),
        }
    };
    let mut db = Db::new(hasher);
    for i in 0..KEYS {
        db.insert(key(i), NewValue::Int(i as i64), None, 0);
    }
    let mut i = 0;
    let mut next = || {
        i += 7919;
        i
    };
    c.bench_function("hash of 16 bytes", |b| {
        b.iter(|| black_box(key(next()).hash))
    });
    c.bench_function("table: find", |b| {
        b.iter(|| black_box(db.find(key(next())).is_some()))
    });
    c.bench_function("table: insert and remove", |b| {
        b.iter(|| {
            let bytes = next().to_le_bytes();
            let key = Key {
                bytes: &bytes,
                hash: hasher.hash(&bytes),
            };
            let place = db.insert(key, NewValue::Bytes(b"0123456789abcdef"), None, 0);
            db.remove(key, place, Disposal::AtOnce);
        });
    });
}

fn dispatch(c: &mut Criterion) {
    let mut server = Server::new(
        Config::default(),
        commands::FAMILIES,
        hash::process(),
        Rng::from_os(),
    );
    let here = || Endpoint::tcp(([127, 0, 0, 1], 6379));
    let slot = server.add_client(0, here(), here());
    let mut reply = Reply::new();
    let mut request = |words: &[&str]| {
        let slices: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
        let owned = OwnedArgv::from_slices(&slices);
        let argv = owned.as_argv();
        let resolved = server.commands.resolve(argv.at(0), argv.get(1));
        c.bench_function(&format!("request: {}", words.join(" ")), |b| {
            b.iter(|| {
                reply.clear(usize::MAX);
                exec::request(
                    &mut server,
                    &mut reply,
                    slot,
                    resolved,
                    argv,
                    KeyHashes::default(),
                )
            });
        });
    };
    request(&[
        "SET",
        "key:000000000001",
        "0123456789abcdef0123456789abcdef",
    ]);
    request(&["GET", "key:000000000001"]);
    request(&["GET", "key:none"]);
    request(&["INCR", "counter"]);
    request(&["MGET", "key:000000000001", "key:none", "counter"]);
}

criterion_group!(benches, table, dispatch);
criterion_main!(benches);
