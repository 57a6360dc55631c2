//! `maxmemory`: what each kind of policy gives up, and what is refused when nothing may be.

use crate::harness::{Server, wait_for};
use crate::resp::{Client, Value};
use std::thread;
use std::time::Duration;

/// Keys of 1 KiB that are more than the limit of 8 MiB holds.
const KEYS: usize = 20_000;

fn fill(client: &mut Client, with_expiry: bool) -> usize {
    let value = "v".repeat(1024);
    let mut refused = 0;
    for i in 0..KEYS {
        let key = format!("key:{i}");
        let reply = if with_expiry {
            client.command(&["SET", &key, &value, "EX", &(1000 + i).to_string()])
        } else {
            client.command(&["SET", &key, &value])
        };
        if reply.is_error() {
            assert!(
                reply.text().starts_with("OOM command not allowed"),
                "{reply:?}"
            );
            refused += 1;
        }
    }
    refused
}

fn server(policy: &str) -> Server {
    Server::start(&["--maxmemory", "8mb", "--maxmemory-policy", policy])
}

#[test]
fn without_eviction_writes_are_refused_and_reads_go_on() {
    let server = server("noeviction");
    let mut client = server.connect();
    assert!(fill(&mut client, false) > 0);
    assert_eq!(client.run("EXISTS key:0"), Value::Integer(1));
    assert_eq!(client.run("DEL key:0"), Value::Integer(1));
    assert_eq!(server.info_number("evicted_keys"), 0);
}

#[test]
fn eviction_makes_room_for_every_write() {
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        let server = server(policy);
        assert_eq!(fill(&mut server.connect(), false), 0, "{policy}");
        assert!(server.info_number("evicted_keys") > 0, "{policy}");
        let used = server.info_number("used_memory");
        assert!(used < 9 << 20, "{policy} leaves {used} bytes in use");
    }
}

/// Nobody writes, and there are no clients to wait for.
#[test]
fn a_lower_limit_is_reached_without_being_asked() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.run("DEBUG POPULATE 300000 key 100");
    client.run("CONFIG SET maxmemory-policy allkeys-lru");
    client.run("CONFIG SET maxmemory 16mb");
    wait_for(Duration::from_secs(20), "room", || {
        (server.info_number("used_memory") < 17 << 20).then_some(())
    });
    // Without a policy there is nothing to do, and the server rests.
    client.run("CONFIG SET maxmemory-policy noeviction maxmemory 8mb");
    let loops = || server.info_number("eventloop_cycles");
    let before = loops();
    thread::sleep(Duration::from_millis(300));
    assert!(loops() - before < 100, "the event loop waits");
}

/// What the freeing thread has yet to free is not given up twice.
#[test]
fn no_more_collections_go_than_are_needed() {
    const HASHES: i64 = 20;
    for lazily in ["no", "yes"] {
        let server = Server::start(&["--lazyfree-lazy-eviction", lazily]);
        let mut client = server.connect();
        let fields: Vec<String> = (0..20_000).map(|i| format!("field:{i}")).collect();
        for hash in 0..HASHES {
            let name = format!("hash:{hash}");
            let mut argv = vec!["HSET", name.as_str()];
            argv.extend(fields.iter().flat_map(|field| [field.as_str(), "value"]));
            client.command(&argv);
        }
        client.run("CONFIG SET maxmemory-policy allkeys-random");
        let limit = server.info_number("used_memory") - 10_000;
        client.run(&format!("CONFIG SET maxmemory {limit}"));
        for i in 0..1000 {
            client.run(&format!("SET string:{i} {}", "v".repeat(1000)));
        }
        let left = (0..HASHES)
            .filter(|hash| client.run(&format!("EXISTS hash:{hash}")) == Value::Integer(1));
        let left = left.count() as i64;
        // One is needed, or two; a string may be chosen as well.
        assert!(left >= HASHES - 4, "{left} of {HASHES} are left");
    }
}

#[test]
fn volatile_policies_spare_what_has_no_expiry() {
    let server = server("volatile-ttl");
    let mut client = server.connect();
    for i in 0..100 {
        client.command(&["SET", &format!("kept:{i}"), "v"]);
    }
    assert_eq!(fill(&mut client, true), 0);
    for i in 0..100 {
        assert_eq!(client.run(&format!("EXISTS kept:{i}")), Value::Integer(1));
    }
    // The keys that would have expired first are gone, the last ones are there.
    assert_eq!(client.run("EXISTS key:0"), Value::Integer(0));
    assert_eq!(
        client.run(&format!("EXISTS key:{}", KEYS - 1)),
        Value::Integer(1)
    );
    // With nothing volatile left to give up, writes are refused.
    client.run("FLUSHALL");
    assert!(fill(&mut client, false) > 0);
}

/// What it costs to tell others of keys that were given up does not push out more of them.
#[test]
fn invalidations_do_not_push_out_more_keys() {
    let server = Server::start(&[
        "--maxmemory-policy",
        "allkeys-lru",
        "--maxmemory-eviction-tenacity",
        "100",
    ]);
    let mut client = server.connect();
    let mut readers: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    for reader in &mut readers {
        reader.run("HELLO 3");
        reader.run("CLIENT TRACKING ON");
    }
    for i in 0..300 {
        let key = format!("{i}{}", "x".repeat(1000));
        client.command(&["SET", &key, "x"]);
        for reader in &mut readers {
            assert_eq!(reader.command(&["GET", &key]).text(), "x");
        }
    }
    // The first makes room for such a reply.
    server.info_number("used_memory");
    let limit = server.info_number("used_memory") - 40_000;
    client.command(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
    let evicted = server.info_number("evicted_keys");
    assert!((10..=50).contains(&evicted), "{evicted} keys were evicted");
    for reader in &mut readers {
        assert!(matches!(reader.read(), Value::Push(_)));
    }
}

/// The buffer of the append-only file is not held against the keys, and INFO says so.
#[test]
fn a_buffer_that_is_written_soon_does_not_count() {
    let server = Server::start(&["--appendonly", "yes", "--save", ""]);
    let mut client = server.connect();
    client.command(&["SET", "k", &"v".repeat(1 << 20)]);
    let uncounted = server.info_number("mem_not_counted_for_evict");
    let buffer = server.info_number("mem_aof_buffer");
    assert!(buffer >= 1 << 20, "{buffer} bytes");
    assert_eq!(uncounted, buffer);
}
