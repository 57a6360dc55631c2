//! Fields that expire by the clock, with nobody asking for them.

use std::thread;
use std::time::Duration;

use crate::harness::{Server, is_ours, wait_for};
use crate::resp::{Client, Value};

const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until a command replies with this number.
fn wait_for_number(client: &mut Client, words: &str, expected: i64) {
    wait_for(PATIENCE, words, || {
        (client.run(words) == Value::Integer(expected)).then_some(())
    });
}

#[test]
fn expired_fields_and_their_hashes_go_by_themselves() {
    if !is_ours() {
        return;
    }
    let server = Server::start(&["--hz", "50"]);
    let mut client = server.connect();
    client.run("HSET mixed a 1 b 2 c 3");
    client.run("HSET gone a 1 b 2");
    client.run("SELECT 3");
    client.run("HSET elsewhere a 1 b 2");
    client.run("HPEXPIRE elsewhere 60 FIELDS 1 b");
    client.run("SELECT 0");
    client.run("HPEXPIRE mixed 50 FIELDS 2 a c");
    client.run("HPEXPIRE gone 70 FIELDS 1 a");
    client.run("HPEXPIRE gone 30 FIELDS 1 b");
    wait_for_number(&mut client, "EXISTS gone", 0);
    wait_for_number(&mut client, "HLEN mixed", 1);
    client.run("SELECT 3");
    wait_for_number(&mut client, "HLEN elsewhere", 1);
    assert_eq!(server.info_number("expired_subkeys"), 5);
    assert_eq!(server.info_number("expired_keys"), 0);
    assert_eq!(server.info("db0"), "keys=1,expires=0,avg_ttl=0,subexpiry=0");
}

#[test]
fn a_field_never_goes_early_and_others_stay() {
    if !is_ours() {
        return;
    }
    let server = Server::start(&["--hz", "100"]);
    let mut client = server.connect();
    for round in 0..20 {
        let key = format!("hash:{round}");
        client.run(&format!("HSET {key} stays 1 goes 2"));
        client.run(&format!(
            "HPEXPIRE {key} {} FIELDS 1 goes",
            100 + 10 * round
        ));
        client.run(&format!("HPEXPIRE {key} 100000 FIELDS 1 stays"));
    }
    for _ in 0..100 {
        for round in 0..20 {
            let left = client.run(&format!("HPTTL hash:{round} FIELDS 1 goes"));
            let value = client.run(&format!("HGET hash:{round} goes"));
            // What had more than the time of a slow machine left a moment ago is still there.
            if matches!(left.items(), [Value::Integer(2000..)]) {
                assert_eq!(value, Value::bulk("2"));
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    for round in 0..20 {
        wait_for_number(&mut client, &format!("HLEN hash:{round}"), 1);
        let stays = client.run(&format!("HGET hash:{round} stays"));
        assert_eq!(stays, Value::bulk("1"));
    }
}

#[test]
fn very_many_fields_may_expire_at_once() {
    if !is_ours() {
        return;
    }
    const FIELDS: usize = 50_000;
    let server = Server::start(&[]);
    let mut client = server.connect();
    for from in (0..FIELDS).step_by(500) {
        let fields: Vec<String> = (from..from + 500).map(|n| format!("f{n}")).collect();
        let pairs: Vec<String> = fields.iter().map(|field| format!("{field} v")).collect();
        client.run(&format!("HSET big {}", pairs.join(" ")));
        let fields = fields.join(" ");
        client.run(&format!("HPEXPIRE big 300000 FIELDS 500 {fields}"));
    }
    client.run("HSET big last v");
    let soon = client.run("TIME").items()[0].text().parse::<u64>().unwrap() + 1;
    for from in (0..FIELDS).step_by(500) {
        let fields: Vec<String> = (from..from + 500).map(|n| format!("f{n}")).collect();
        let fields = fields.join(" ");
        client.run(&format!("HEXPIREAT big {} FIELDS 500 {fields}", soon + 1));
    }
    wait_for_number(&mut client, "HLEN big", 1);
    assert_eq!(client.run("HGET big last"), Value::bulk("v"));
}

#[test]
fn the_index_follows_keys_wherever_they_go() {
    if !is_ours() {
        return;
    }
    let server = Server::start(&["--hz", "50", "--databases", "4"]);
    let mut client = server.connect();
    client.run("HSET a keep 1 go 2");
    client.run("HPEXPIRE a 400 FIELDS 1 go");
    client.run("COPY a b");
    client.run("COPY a c DB 1");
    client.run("RENAME a d");
    client.run("HSET e keep 1 go 2");
    client.run("HPEXPIRE e 400 FIELDS 1 go");
    client.run("MOVE e 2");
    client.run("EXPIRE b 1000");
    client.run("SWAPDB 0 3");
    for (db, key) in [(3, "b"), (3, "d"), (1, "c"), (2, "e")] {
        client.run(&format!("SELECT {db}"));
        wait_for_number(&mut client, &format!("HLEN {key}"), 1);
        assert_eq!(client.run(&format!("HGET {key} keep")), Value::bulk("1"));
    }
    client.run("SELECT 3");
    client.run("SET d string");
    client.run("FLUSHALL");
    assert_eq!(client.run("PING"), Value::Simple("PONG".into()));
}
