//! `maxmemory`: what each kind of policy gives up, and what is refused when nothing may be.

use crate::harness::Server;
use crate::resp::{Client, Value};

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
