//! Clients that wait for keys: who is served, in which order, with what, and what ends a wait.

use std::time::{Duration, Instant};

use crate::harness::{Server, is_ours, wait_for};
use crate::resp::{Client, Value};

/// Sends a request that will wait, and returns once the server has parked the client.
pub fn park(server: &Server, client: &mut Client, words: &str) {
    let before = server.info_number("blocked_clients");
    client.send(format!("{words}\r\n"));
    wait_for(Duration::from_secs(5), words, || {
        (server.info_number("blocked_clients") == before + 1).then_some(())
    });
}

fn texts(value: &Value) -> Vec<String> {
    value.items().iter().map(Value::text).collect()
}

fn check_served(client: &mut Client, expected: &[&str]) {
    assert_eq!(texts(&client.read()), expected);
}

#[test]
fn clients_are_served_in_the_order_in_which_they_came() {
    let server = Server::start(&[]);
    let mut waiting: Vec<Client> = (0..5).map(|_| server.connect()).collect();
    for client in &mut waiting {
        park(&server, client, "BLPOP list 0");
    }
    let mut pusher = server.connect();
    assert_eq!(pusher.run("RPUSH list a b c"), Value::Integer(3));
    for (client, element) in waiting.iter_mut().zip(["a", "b", "c"]) {
        check_served(client, &["list", element]);
    }
    assert_eq!(pusher.run("EXISTS list"), Value::Integer(0));
    assert_eq!(pusher.run("RPUSH list d e"), Value::Integer(2));
    for (client, element) in waiting[3..].iter_mut().zip(["d", "e"]) {
        check_served(client, &["list", element]);
    }
    assert_eq!(server.info_number("blocked_clients"), 0);
    assert_eq!(server.info_number("total_blocking_keys"), 0);
}

#[test]
fn the_first_of_several_keys_that_has_something_serves() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    park(&server, &mut client, "BRPOP one two three 0");
    assert_eq!(server.info_number("total_blocking_keys"), 3);
    other.run("RPUSH two x y");
    check_served(&mut client, &["two", "y"]);
    // It waits for none of them any more.
    other.run("RPUSH one left");
    assert_eq!(other.run("LLEN one"), Value::Integer(1));
    assert_eq!(client.run("BRPOP three one 0").items().len(), 2);
}

#[test]
fn a_wait_ends_after_its_time_and_not_before() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for (words, timeout_ms) in [("BLPOP none 0.05", 50), ("BZPOPMIN none 0.123", 123)] {
        let started = Instant::now();
        assert_eq!(client.run(words), Value::Null);
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(timeout_ms), "{took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    assert_eq!(client.run("BLMOVE a b LEFT LEFT 0.01"), Value::Null);
    assert_eq!(client.run("PING"), Value::Simple("PONG".into()));
}

#[test]
fn bad_timeouts_are_refused() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for (timeout, error) in [
        ("-1", "ERR timeout is negative"),
        ("abc", "ERR timeout is not a float or out of range"),
        ("nan", "ERR timeout is not a float or out of range"),
        ("1e30", "ERR timeout is out of range"),
    ] {
        let reply = client.run(&format!("BLPOP key {timeout}"));
        assert_eq!(reply, Value::Error(error.into()), "{timeout}");
    }
    if is_ours() {
        // Redis came to look at this later.
        let reply = client.run("WAIT 1 9223372036854775807");
        let error = "ERR timeout is out of range";
        assert_eq!(reply, Value::Error(error.into()));
    }
}

#[test]
fn a_chain_of_moves_feeds_every_link() {
    let server = Server::start(&[]);
    let mut links: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    // Parked from the end of the chain to its beginning, and the other way round for a second one.
    for (client, (from, to)) in links.iter_mut().zip([("c", "d"), ("b", "c"), ("a", "b")]) {
        park(&server, client, &format!("BLMOVE {from} {to} LEFT RIGHT 0"));
    }
    let mut last = links.pop().expect("four of them");
    park(&server, &mut last, "BLPOP d 0");
    server.connect().run("RPUSH a ball");
    check_served(&mut last, &["d", "ball"]);
    for client in &mut links {
        assert_eq!(client.read(), Value::bulk("ball"));
    }
}

#[test]
fn two_clients_that_feed_each_other_do_not_hold_up_the_server() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (server.connect(), server.connect());
    park(&server, &mut one, "BLMOVE a b LEFT LEFT 0");
    park(&server, &mut two, "BLMOVE b a LEFT LEFT 0");
    let mut other = server.connect();
    other.run("RPUSH a x");
    assert_eq!(one.read(), Value::bulk("x"));
    assert_eq!(two.read(), Value::bulk("x"));
    assert_eq!(other.run("LRANGE a 0 -1").items().len(), 1);
}

#[test]
fn only_a_value_of_the_right_type_serves() {
    let server = Server::start(&[]);
    let (mut on_list, mut on_zset) = (server.connect(), server.connect());
    park(&server, &mut on_list, "BLPOP key 0");
    park(&server, &mut on_zset, "BZPOPMIN key 0");
    let mut other = server.connect();
    other.run("SET key string");
    other.run("DEL key");
    other.run("ZADD key 1 member");
    check_served(&mut on_zset, &["key", "member", "1"]);
    assert_eq!(server.info_number("blocked_clients"), 1);
    other.run("RPUSH key element");
    check_served(&mut on_list, &["key", "element"]);
}

#[test]
fn whatever_makes_a_key_serves() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    for making in [
        "RENAME source key",
        "COPY source key",
        "LMOVE source key LEFT LEFT",
        "SORT source STORE key ALPHA",
    ] {
        other.run("FLUSHALL");
        other.run("RPUSH source x");
        let mut client = server.connect();
        park(&server, &mut client, "BLPOP key 0");
        other.run(making);
        check_served(&mut client, &["key", "x"]);
    }
    // A value of another type in its place is no obstacle.
    other.run("FLUSHALL");
    let mut client = server.connect();
    park(&server, &mut client, "BLPOP key 0");
    other.run("SET key string");
    other.run("RPUSH source x");
    other.run("RENAME source key");
    check_served(&mut client, &["key", "x"]);
    // Another database.
    park(&server, &mut client, "BLPOP key 0");
    other.run("SELECT 1");
    other.run("RPUSH key moved swapped");
    other.run("MOVE key 0");
    check_served(&mut client, &["key", "moved"]);
    client.run("DEL key");
    other.run("RPUSH key swapped");
    park(&server, &mut client, "BLPOP key 0");
    other.run("SWAPDB 0 1");
    check_served(&mut client, &["key", "swapped"]);
}

/// A result that is stored over a value serves nobody, unlike one under a new key: Redis has it so.
#[test]
fn a_result_in_the_place_of_another_value_serves_nobody() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    for (waiting, storing, serving) in [
        ("BLPOP key 0", "SORT list STORE key", "RPUSH key x"),
        ("BZPOPMIN key 0", "ZUNIONSTORE key 1 zset", "ZADD key 1 x"),
        (
            "BZPOPMIN key 0",
            "ZRANGESTORE key zset 0 -1",
            "ZADD key 1 x",
        ),
        (
            "BZPOPMIN key 0",
            "GEOSEARCHSTORE key geo FROMMEMBER m BYRADIUS 10 km",
            "ZADD key 1 x",
        ),
    ] {
        for words in [
            "FLUSHALL",
            "RPUSH list 1 2",
            "ZADD zset 1 a",
            "GEOADD geo 1 2 m",
        ] {
            other.run(words);
        }
        let mut client = server.connect();
        park(&server, &mut client, waiting);
        for words in ["SET key string", storing] {
            other.run(words);
        }
        assert_eq!(server.info_number("blocked_clients"), 1, "{storing}");
        other.run("DEL key");
        other.run(serving);
        assert_eq!(texts(&client.read())[..2], ["key", "x"], "{storing}");
    }
    // Who reads for a group is told that the stream is no more.
    let mut client = server.connect();
    other.run("XGROUP CREATE stream g $ MKSTREAM");
    park(
        &server,
        &mut client,
        "XREADGROUP GROUP g c BLOCK 0 STREAMS stream >",
    );
    other.run("SORT list STORE stream");
    assert!(client.read().is_error());
}

#[test]
fn a_wait_survives_what_does_not_serve_it() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    park(&server, &mut client, "BLPOP key 0");
    for words in [
        "FLUSHALL",
        "SWAPDB 0 1",
        "SET other x",
        "SADD key x",
        "DEL key",
    ] {
        other.run(words);
    }
    assert_eq!(server.info_number("blocked_clients"), 1);
    other.run("RPUSH key x");
    check_served(&mut client, &["key", "x"]);
}

#[test]
fn unblocking_by_command() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    let Value::Integer(id) = client.run("CLIENT ID") else {
        panic!("an integer");
    };
    assert_eq!(
        other.run(&format!("CLIENT UNBLOCK {id}")),
        Value::Integer(0)
    );
    for (reason, expected) in [
        ("", Value::Null),
        ("TIMEOUT", Value::Null),
        (
            "ERROR",
            Value::Error("UNBLOCKED client unblocked via CLIENT UNBLOCK".into()),
        ),
    ] {
        park(&server, &mut client, "BLMPOP 0 2 a b LEFT");
        let reply = other.run(&format!("CLIENT UNBLOCK {id} {reason}"));
        assert_eq!(reply, Value::Integer(1));
        assert_eq!(client.read(), expected);
        assert_eq!(client.run("ECHO on"), Value::bulk("on"));
    }
}

#[test]
fn a_client_that_waits_is_not_idle() {
    let server = Server::start(&["--timeout", "1"]);
    let (mut client, mut other) = (server.connect(), server.connect());
    client.send("BLPOP key 0\r\n");
    let until = Instant::now() + Duration::from_millis(3_500);
    while Instant::now() < until {
        other.run("PING");
        std::thread::sleep(Duration::from_millis(100));
    }
    other.run("RPUSH key value");
    check_served(&mut client, &["key", "value"]);
    // Nor has it just been.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(client.run("PING"), Value::Simple("PONG".into()));
}

#[test]
fn who_leaves_is_forgotten() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    let (mut leaving, mut killed, mut staying) =
        (server.connect(), server.connect(), server.connect());
    let Value::Integer(id) = killed.run("CLIENT ID") else {
        panic!("an integer");
    };
    park(&server, &mut leaving, "BLPOP key 0");
    park(&server, &mut killed, "BLPOP key 0");
    park(&server, &mut staying, "BLPOP key 0");
    drop(leaving);
    other.run(&format!("CLIENT KILL ID {id}"));
    wait_for(Duration::from_secs(5), "two to be gone", || {
        (server.info_number("blocked_clients") == 1).then_some(())
    });
    other.run("RPUSH key x");
    check_served(&mut staying, &["key", "x"]);
    assert_eq!(other.run("EXISTS key"), Value::Integer(0));
}

#[test]
fn what_was_sent_behind_a_wait_runs_after_it() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    park(
        &server,
        &mut client,
        "PING\r\nBLPOP key 0\r\nECHO after\r\nBLPOP key 0\r\nECHO last",
    );
    client.send("ECHO later\r\n");
    assert_eq!(client.read(), Value::Simple("PONG".into()));
    other.run("RPUSH key one");
    check_served(&mut client, &["key", "one"]);
    assert_eq!(client.read(), Value::bulk("after"));
    wait_for(Duration::from_secs(5), "the second wait", || {
        (server.info_number("blocked_clients") == 1).then_some(())
    });
    other.run("RPUSH key two");
    check_served(&mut client, &["key", "two"]);
    assert_eq!(client.read(), Value::bulk("last"));
    assert_eq!(client.read(), Value::bulk("later"));
}

/// Quotes of inline requests are taken away where they stand: what must wait is not read a second time as if it
/// still had them.
#[test]
fn quoted_words_behind_a_wait_are_as_they_were_sent() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    let mut listener = server.connect();
    listener.send("SUBSCRIBE 'a channel'\r\n");
    listener.read();
    let requests = "PUBLISH \"a channel\" \"m\\x41\"\r\n\r\n  SET 'k y' \"*1 \\\"w\"\r\n\
                    *2\r\n$3\r\nGET\r\n$3\r\nk y\r\n\"*\"\r\n\"GET\" \"k y\"\r\n";
    let replies = ":1\r\n+OK\r\n$5\r\n*1 \"w\r\n\
                   -ERR unknown command '*', with args beginning with: \r\n$5\r\n*1 \"w\r\n";
    park(&server, &mut client, &format!("BLPOP key 0\r\n{requests}"));
    other.run("RPUSH key x");
    check_served(&mut client, &["key", "x"]);
    client.expect(replies);
    assert_eq!(texts(&listener.read()), ["message", "a channel", "mA"]);
    // The same behind a pause, which holds back a request that was cut.
    other.run("CLIENT PAUSE 100 ALL");
    client.send(requests);
    client.expect(replies);
    assert_eq!(texts(&listener.read()), ["message", "a channel", "mA"]);
    // What is no request ends the connection when its turn has come.
    for (what, told) in [
        ("*none", "invalid multibulk length"),
        ("set k \"open", "unbalanced quotes in request"),
    ] {
        let mut client = server.connect();
        park(&server, &mut client, &format!("BLPOP key 0\r\n{what}"));
        other.run("RPUSH key x");
        check_served(&mut client, &["key", "x"]);
        let expected = format!("-ERR Protocol error: {told}\r\n");
        assert_eq!(client.read_to_close(), expected.as_bytes());
    }
}

#[test]
fn a_client_serves_another_in_one_batch() {
    // Its own replies come in order though its request ran in the middle of somebody else's.
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    for _ in 0..50 {
        client.send("ECHO before\r\nBLPOP key 0\r\nECHO behind\r\n");
        other.send("RPUSH key x\r\nPING\r\n");
        assert_eq!(client.read(), Value::bulk("before"));
        check_served(&mut client, &["key", "x"]);
        assert_eq!(client.read(), Value::bulk("behind"));
        assert_eq!(other.read(), Value::Integer(1));
        assert_eq!(other.read(), Value::Simple("PONG".into()));
    }
}

#[test]
fn several_elements_at_once_and_by_score() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    park(&server, &mut client, "BLMPOP 0 2 a b RIGHT COUNT 2");
    other.run("RPUSH b 1 2 3");
    let reply = client.read();
    assert_eq!(reply.items()[0].text(), "b");
    assert_eq!(texts(&reply.items()[1]), ["3", "2"]);
    park(&server, &mut client, "BZMPOP 0 1 z MAX COUNT 5");
    other.run("ZADD z 1 a 2 b");
    let reply = client.read();
    assert_eq!(reply.items()[0].text(), "z");
    assert_eq!(texts(&reply.items()[1].items()[0]), ["b", "2"]);
}

#[test]
fn a_wrong_type_is_an_error_at_once_and_when_served() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    other.run("SET string x");
    assert!(client.run("BLPOP string 0").is_error());
    park(&server, &mut client, "BLMOVE source string LEFT LEFT 0");
    other.run("RPUSH source x");
    assert!(client.read().is_error());
    assert_eq!(other.run("LLEN source"), Value::Integer(1));
}

#[test]
fn many_waiting_clients_cost_no_scan() {
    let server = Server::start(&[]);
    let mut clients: Vec<Client> = (0..500).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("BLPOP queue 0\r\n");
    }
    wait_for(Duration::from_secs(10), "all to wait", || {
        (server.info_number("blocked_clients") == 500).then_some(())
    });
    // In which order they came to wait is the network's business.
    let mut other = server.connect();
    for _ in &clients {
        assert_eq!(other.run("RPUSH queue x"), Value::Integer(1));
    }
    for client in &mut clients {
        check_served(client, &["queue", "x"]);
    }
}
