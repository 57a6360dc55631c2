//! Readers of streams that wait: what serves them, in which order, and what ends their wait with an
//! error.

use std::time::{Duration, Instant};

use crate::blocking::park;
use crate::harness::{Server, wait_for};
use crate::resp::{Client, Value};

/// The IDs of the entries of the first stream in a reply of XREAD or XREADGROUP in RESP2.
fn ids(reply: &Value) -> Vec<String> {
    let entries = &reply.items()[0].items()[1];
    let ids = entries.items().iter();
    ids.map(|entry| entry.items()[0].text()).collect()
}

#[track_caller]
fn check_served(client: &mut Client, expected: &[&str]) {
    assert_eq!(ids(&client.read()), expected);
}

#[track_caller]
fn check_error(client: &mut Client, code: &str) {
    match client.read() {
        Value::Error(text) if text.starts_with(code) => {}
        other => panic!("{other:?} is no {code}"),
    }
}

/// Redis looks twice for what a reader names, and tells of both if there is nothing.
#[test]
fn a_reader_misses_a_key_twice() {
    let server = Server::start(&["--notify-keyspace-events", "Em"]);
    let (mut client, mut listener) = (server.connect(), server.connect());
    listener.run("SUBSCRIBE __keyevent@0__:keymiss");
    let mut check = |words: &str, missed: &[&str]| {
        client.run("CONFIG RESETSTAT");
        client.run(words);
        for key in missed {
            assert_eq!(listener.read().items()[2].text(), *key, "{words}");
        }
        let misses = server.info_number("keyspace_misses");
        assert_eq!(misses, missed.len() as i64, "{words}");
    };
    check("XREAD STREAMS s 0", &["s", "s"]);
    check("XREAD BLOCK 1 STREAMS s $", &["s", "s"]);
    check("XREAD BLOCK 1 STREAMS s t $ 5", &["s", "t", "s", "t"]);
    check("XREADGROUP GROUP g c STREAMS s >", &["s"]);
    check("XADD s 1-0 f v", &[]);
    check("XREAD STREAMS s t $ 0", &["t", "t"]);
    assert_eq!(server.info_number("keyspace_hits"), 2);
}

#[test]
fn every_reader_gets_the_entry() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    other.run("XADD s 1-0 f v");
    let mut readers: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for reader in &mut readers {
        park(&server, reader, "XREAD BLOCK 0 STREAMS none s 0 $");
    }
    other.run("XADD s 2-0 f v");
    for reader in &mut readers {
        check_served(reader, &["2-0"]);
    }
    assert_eq!(server.info_number("blocked_clients"), 0);
    assert_eq!(server.info_number("total_blocking_keys"), 0);
}

#[test]
fn the_end_of_a_stream_is_that_at_the_beginning_of_the_wait() {
    let server = Server::start(&[]);
    let (mut reader, mut other) = (server.connect(), server.connect());
    other.run("XADD s 5-0 f v");
    park(&server, &mut reader, "XREAD BLOCK 0 STREAMS s $");
    // It comes to be and is gone again before the reader's turn comes.
    other.send("XADD s 6-0 f v\r\nXADD s 7-0 f v\r\n");
    other.read();
    other.read();
    check_served(&mut reader, &["6-0"]);
    park(&server, &mut reader, "XREAD BLOCK 0 STREAMS none $");
    other.run("XADD none 1-0 f v");
    check_served(&mut reader, &["1-0"]);
    park(&server, &mut reader, "XREAD BLOCK 0 STREAMS later +");
    other.run("XADD later 1-0 f v");
    check_served(&mut reader, &["1-0"]);
}

#[test]
fn a_reader_waits_for_an_id_that_is_ahead() {
    let server = Server::start(&[]);
    let (mut reader, mut other) = (server.connect(), server.connect());
    other.run("XADD s 5-0 f v");
    park(&server, &mut reader, "XREAD BLOCK 0 STREAMS s 10-0");
    other.run("XADD s 10-0 f v");
    assert_eq!(server.info_number("blocked_clients"), 1);
    other.run("XADD s 11-0 f v");
    check_served(&mut reader, &["11-0"]);
}

#[test]
fn what_happens_to_the_key_does_not_concern_a_reader_without_group() {
    let server = Server::start(&[]);
    let (mut reader, mut other) = (server.connect(), server.connect());
    other.run("XADD s 5-0 f v");
    park(&server, &mut reader, "XREAD BLOCK 0 STREAMS s $");
    for words in ["SET s x", "DEL s", "LPUSH s x", "FLUSHALL", "SWAPDB 0 1"] {
        other.run(words);
        assert_eq!(server.info_number("blocked_clients"), 1, "{words}");
    }
    // Its end was at 5-0, whatever stream is there now.
    other.run("XADD s 4-0 f v");
    assert_eq!(server.info_number("blocked_clients"), 1);
    other.run("XADD s 6-0 f v");
    check_served(&mut reader, &["6-0"]);
}

#[test]
fn consumers_are_served_in_order_one_entry_each() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    other.run("XGROUP CREATE s g $ MKSTREAM");
    let mut consumers: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for (n, consumer) in consumers.iter_mut().enumerate() {
        park(
            &server,
            consumer,
            &format!("XREADGROUP GROUP g c{n} BLOCK 0 STREAMS s >"),
        );
    }
    other.run("XADD s 1-0 f v");
    check_served(&mut consumers[0], &["1-0"]);
    assert_eq!(server.info_number("blocked_clients"), 2);
    other.send("XADD s 2-0 f v\r\nXADD s 3-0 f v\r\nXADD s 4-0 f v\r\n");
    for _ in 0..3 {
        other.read();
    }
    check_served(&mut consumers[1], &["2-0"]);
    check_served(&mut consumers[2], &["3-0"]);
    assert_eq!(other.run("XPENDING s g").items()[0], Value::Integer(3));
}

/// What makes a consumer that waits for the stream `s` as one of the group `g` wait no longer.
#[test]
fn a_consumer_is_told_that_its_stream_or_group_is_gone() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut other = server.connect();
    for (words, code) in [
        ("DEL s", "NOGROUP"),
        ("UNLINK s", "NOGROUP"),
        ("SET s x", "WRONGTYPE"),
        ("SINTERSTORE s set", "WRONGTYPE"),
        ("SINTERSTORE s none", "NOGROUP"),
        ("SORT list STORE s ALPHA", "WRONGTYPE"),
        ("RENAME s t", "NOGROUP"),
        ("RENAME list s", "WRONGTYPE"),
        ("RENAME stream s", "NOGROUP"),
        ("COPY list s REPLACE", "WRONGTYPE"),
        ("MOVE s 1", "NOGROUP"),
        ("FLUSHDB", "NOGROUP"),
        ("FLUSHALL ASYNC", "NOGROUP"),
        ("SWAPDB 0 1", "NOGROUP"),
        ("EXPIRE s -1", "NOGROUP"),
        ("XGROUP DESTROY s g", "NOGROUP"),
    ] {
        other.run("FLUSHALL");
        other.run("RPUSH list x");
        other.run("SADD set x");
        other.run("XADD stream 1-0 f v");
        other.run("XGROUP CREATE s g $ MKSTREAM");
        let mut consumer = server.connect();
        park(
            &server,
            &mut consumer,
            "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
        );
        let reply = other.run(words);
        assert!(!reply.is_error(), "{words}: {reply:?}");
        check_error(&mut consumer, code);
        assert_eq!(server.info_number("blocked_clients"), 0, "{words}");
    }
}

#[test]
fn a_consumer_is_told_when_its_stream_expires() {
    let server = Server::start(&[]);
    let (mut consumer, mut other) = (server.connect(), server.connect());
    for noticed_by_a_command in [false, true] {
        other.run("XGROUP CREATE s g $ MKSTREAM");
        park(
            &server,
            &mut consumer,
            "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
        );
        let started = Instant::now();
        other.run("PEXPIRE s 30");
        if noticed_by_a_command {
            wait_for(Duration::from_secs(5), "the key to expire", || {
                (other.run("EXISTS s") == Value::Integer(0)).then_some(())
            });
        }
        check_error(&mut consumer, "NOGROUP");
        assert!(started.elapsed() >= Duration::from_millis(29));
    }
}

#[test]
fn a_consumer_survives_what_leaves_its_group() {
    let server = Server::start(&[]);
    let (mut consumer, mut other) = (server.connect(), server.connect());
    other.run("XADD s 1-0 f v");
    other.run("XGROUP CREATE s g $");
    park(
        &server,
        &mut consumer,
        "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
    );
    for words in [
        "XGROUP CREATE s h 0",
        "XGROUP DESTROY s h",
        "XGROUP DELCONSUMER s g c",
        "XDEL s 1-0",
        "XTRIM s MAXLEN 0",
        "SET other x",
        "DEL other",
        "COPY s t",
        "MOVE t 1",
        "SELECT 1",
        "FLUSHDB",
        "SELECT 0",
    ] {
        other.run(words);
        assert_eq!(server.info_number("blocked_clients"), 1, "{words}");
    }
    other.run("RENAME s t");
    check_error(&mut consumer, "NOGROUP");
    // A stream with the group, and something for it, comes in the place of one.
    other.run("XGROUP CREATE s g $ MKSTREAM");
    park(
        &server,
        &mut consumer,
        "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
    );
    other.run("XADD t 7-0 f v");
    other.run("RENAME t s");
    check_served(&mut consumer, &["7-0"]);
}

#[test]
fn a_wait_ends_after_its_time() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.run("XGROUP CREATE s g $ MKSTREAM");
    for words in [
        "XREAD BLOCK 50 STREAMS s none $ $",
        "XREADGROUP GROUP g c BLOCK 50 STREAMS s >",
    ] {
        let started = Instant::now();
        assert_eq!(client.run(words), Value::Null);
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(50), "{took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    // The consumer came to be although nothing came for it.
    assert_eq!(client.run("XINFO CONSUMERS s g").items().len(), 1);
}

#[test]
fn unblocking_by_command() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    let Value::Integer(id) = client.run("CLIENT ID") else {
        panic!("an integer");
    };
    for (reason, expected) in [
        ("TIMEOUT", Value::Null),
        (
            "ERROR",
            Value::Error("UNBLOCKED client unblocked via CLIENT UNBLOCK".into()),
        ),
    ] {
        park(&server, &mut client, "XREAD BLOCK 0 STREAMS s $");
        other.run(&format!("CLIENT UNBLOCK {id} {reason}"));
        assert_eq!(client.read(), expected);
    }
}

#[test]
fn resp3_tells_streams_as_a_map() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    client.run("HELLO 3");
    park(&server, &mut client, "XREAD BLOCK 0 STREAMS s $");
    other.run("XADD s 1-0 f v");
    assert_eq!(
        format!("{:?}", client.read()),
        format!("{:?}", client.run("XREAD STREAMS s 0"))
    );
}
