//! A session of real use by the `redis` crate, over both protocols.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use redis::{Connection, ExistenceCheck, Expiry, SetExpiry, SetOptions, TypedCommands};

use crate::harness::Server;

/// Runs a session once over RESP2 and once over RESP3, each on an empty server.
fn on_both_protocols(session: impl Fn(&Server, &mut Connection)) {
    let server = Server::start(&[]);
    for protocol in ["resp2", "resp3"] {
        let mut connection = open(&server, protocol);
        redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
        session(&server, &mut connection);
    }
}

fn open(server: &Server, protocol: &str) -> Connection {
    let client = redis::Client::open(format!(
        "redis://{}/0?protocol={protocol}",
        server.address()
    ))
    .unwrap();
    let connection = client
        .get_connection_with_timeout(Duration::from_secs(5))
        .unwrap();
    connection
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    connection
}

#[test]
fn strings() {
    on_both_protocols(|_, connection| {
        connection.set("key", "value").unwrap();
        assert_eq!(connection.get("key").unwrap().as_deref(), Some("value"));
        assert_eq!(connection.get("none").unwrap(), None);
        assert_eq!(connection.append("key", "s").unwrap(), 6);
        assert_eq!(connection.strlen("key").unwrap(), 6);
        assert_eq!(connection.getrange("key", -2, -1).unwrap(), "es");
        assert_eq!(connection.setrange("key", 0, "V").unwrap(), 6);
        assert_eq!(
            connection.get_del("key").unwrap().as_deref(),
            Some("Values")
        );
        assert!(!connection.exists("key").unwrap());

        let binary: Vec<u8> = (0..=255).collect();
        connection.set("binary", &binary).unwrap();
        let back: Vec<u8> = redis::Commands::get(connection, "binary").unwrap();
        assert_eq!(back, binary);

        connection.mset(&[("a", "1"), ("b", "2")]).unwrap();
        assert_eq!(
            connection.mget(&["a", "b", "none"]).unwrap(),
            [Some("1".into()), Some("2".into()), None]
        );
        assert!(!connection.mset_nx(&[("b", "3"), ("c", "3")]).unwrap());
        assert!(!connection.exists("c").unwrap());
    });
}

#[test]
fn counters() {
    on_both_protocols(|_, connection| {
        assert_eq!(connection.incr("n", 5).unwrap(), 5);
        assert_eq!(connection.decr("n", 7).unwrap(), -2);
        let float: f64 = redis::Commands::incr(connection, "n", 0.5f64).unwrap();
        assert_eq!(float, -1.5);
        let error = connection.incr("n", 1).unwrap_err();
        assert_eq!(
            error.detail(),
            Some("value is not an integer or out of range")
        );
        connection.set("max", i64::MAX).unwrap();
        assert!(
            connection
                .incr("max", 1)
                .unwrap_err()
                .to_string()
                .contains("increment or decrement would overflow")
        );
        assert_eq!(connection.get_int("max").unwrap(), Some(i64::MAX as isize));
    });
}

#[test]
fn expiry() {
    on_both_protocols(|_, connection| {
        let options = SetOptions::default()
            .conditional_set(ExistenceCheck::NX)
            .get(false)
            .with_expiration(SetExpiry::PX(60_000));
        assert_eq!(
            connection
                .set_options("key", "value", options.clone())
                .unwrap()
                .as_deref(),
            Some("OK")
        );
        assert_eq!(
            connection.set_options("key", "other", options).unwrap(),
            None
        );
        let ttl: i64 = redis::Commands::pttl(connection, "key").unwrap();
        assert!((59_000..=60_000).contains(&ttl), "{ttl}");
        assert_eq!(
            connection
                .get_ex("key", Expiry::PERSIST)
                .unwrap()
                .as_deref(),
            Some("value")
        );
        let ttl: i64 = redis::Commands::ttl(connection, "key").unwrap();
        assert_eq!(ttl, -1);
        assert!(connection.pexpire("key", 20).unwrap());
        thread::sleep(Duration::from_millis(60));
        assert_eq!(connection.get("key").unwrap(), None);
        let ttl: i64 = redis::Commands::ttl(connection, "key").unwrap();
        assert_eq!(ttl, -2);
    });
}

#[test]
fn pipelines() {
    on_both_protocols(|_, connection| {
        let mut pipeline = redis::pipe();
        for n in 0..1_000 {
            pipeline.set(format!("key:{n}"), n).ignore();
            pipeline.get(format!("key:{n}"));
        }
        let values: Vec<usize> = pipeline.query(connection).unwrap();
        assert_eq!(values, (0..1_000).collect::<Vec<_>>());

        let failed: redis::RedisResult<()> = redis::pipe()
            .set("a", 1)
            .cmd("NOSUCH")
            .get("a")
            .query(connection);
        assert!(failed.unwrap_err().to_string().contains("unknown command"));
        assert_eq!(connection.get("a").unwrap().as_deref(), Some("1"));
    });
}

#[test]
fn scanning() {
    on_both_protocols(|_, connection| {
        for n in 0..500 {
            connection.set(format!("key:{n}"), n).unwrap();
            connection.set(format!("other:{n}"), n).unwrap();
        }
        let found: HashSet<String> = redis::Commands::scan_match(connection, "key:*")
            .unwrap()
            .map(|key| key.unwrap())
            .collect();
        assert_eq!(found.len(), 500);
        let all: HashSet<String> = redis::Commands::scan(connection)
            .unwrap()
            .map(|key| key.unwrap())
            .collect();
        assert_eq!(all.len(), 1_000);
        assert_eq!(connection.keys("key:1?").unwrap().len(), 10);
        assert_eq!(
            connection.del(found.iter().collect::<Vec<_>>()).unwrap(),
            500
        );
        assert_eq!(redis::cmd("DBSIZE").query::<i64>(connection).unwrap(), 500);
    });
}

#[test]
fn bits() {
    on_both_protocols(|_, connection| {
        assert!(!connection.setbit("bits", 7, true).unwrap());
        assert!(connection.getbit("bits", 7).unwrap());
        assert_eq!(connection.get("bits").unwrap().as_deref(), Some("\u{1}"));
        assert_eq!(connection.bitcount("bits").unwrap(), 1);
        assert_eq!(connection.bit_not("inverse", "bits").unwrap(), 1);
        let inverse: Vec<u8> = redis::Commands::get(connection, "inverse").unwrap();
        assert_eq!(inverse, [0xFE]);
        let fields: Vec<i64> = redis::cmd("BITFIELD")
            .arg("field")
            .arg(&[
                "SET", "u8", "#1", "200", "OVERFLOW", "SAT", "INCRBY", "u8", "#1", "100", "GET",
                "i8", "8",
            ])
            .query(connection)
            .unwrap();
        assert_eq!(fields, [0, 255, -1]);
    });
}

#[test]
fn keys() {
    on_both_protocols(|_, connection| {
        connection.set("key", "value").unwrap();
        connection.rename("key", "new").unwrap();
        assert!(
            connection
                .rename("key", "other")
                .unwrap_err()
                .to_string()
                .contains("no such key")
        );
        let copied: bool = redis::cmd("COPY")
            .arg(&["new", "copy"])
            .query(connection)
            .unwrap();
        assert!(copied);
        assert_eq!(
            connection.object_encoding("copy").unwrap().as_deref(),
            Some("embstr")
        );
        connection.set("integer", 12).unwrap();
        assert_eq!(
            connection.object_encoding("integer").unwrap().as_deref(),
            Some("int")
        );
        assert_eq!(connection.unlink(&["new", "copy", "none"]).unwrap(), 2);
        let random: String = redis::cmd("RANDOMKEY").query(connection).unwrap();
        assert_eq!(random, "integer");
        let kind: String = redis::cmd("TYPE").arg("integer").query(connection).unwrap();
        assert_eq!(kind, "string");
    });
}

#[test]
fn many_connections_count_together() {
    let server = Server::start(&[]);
    let workers: Vec<_> = (0..8)
        .map(|n| {
            let mut connection = open(&server, if n % 2 == 0 { "resp2" } else { "resp3" });
            thread::spawn(move || {
                for _ in 0..500 {
                    connection.incr("counter", 1).unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(
        open(&server, "resp2").get_int("counter").unwrap(),
        Some(4_000)
    );
}

#[test]
fn a_slow_command_times_out_and_the_server_goes_on() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut connection = open(&server, "resp2");
    connection
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let slept: redis::RedisResult<()> = redis::cmd("DEBUG")
        .arg("SLEEP")
        .arg("0.5")
        .query(&mut connection);
    assert!(slept.unwrap_err().is_timeout());
    let mut other = open(&server, "resp3");
    other.set("key", "value").unwrap();
    assert_eq!(other.get("key").unwrap().as_deref(), Some("value"));
}

#[test]
fn a_unix_socket_and_a_password() {
    let builder = Server::builder();
    let socket = builder.folder().join("socket");
    let server = builder
        .args(&[
            "--unixsocket",
            socket.to_str().unwrap(),
            "--requirepass",
            "secret",
        ])
        .start();
    let client =
        redis::Client::open(format!("unix://{}?pass=secret&db=2", socket.display())).unwrap();
    let mut connection = client.get_connection().unwrap();
    connection.set("key", "value").unwrap();
    let refused = redis::Client::open(format!("redis://{}/", server.address()))
        .unwrap()
        .get_connection();
    assert!(refused.is_err() || refused.unwrap().get("key").is_err());
    let mut connection = redis::Client::open(format!("redis://:secret@{}/2", server.address()))
        .unwrap()
        .get_connection()
        .unwrap();
    assert_eq!(connection.get("key").unwrap().as_deref(), Some("value"));
}
