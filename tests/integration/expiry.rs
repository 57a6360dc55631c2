//! Keys that expire by the clock, with nobody asking for them.

use std::time::Duration;

use crate::harness::{Server, is_ours, wait_for};
use crate::resp::{Value, frame};

const PATIENCE: Duration = Duration::from_secs(20);

/// What one slice of the cycle does not get to is done in the next ones, in every database.
#[test]
fn many_keys_that_expire_at_once_are_soon_gone() {
    const KEYS: usize = 60_000;
    let server = Server::start(&[]);
    let mut client = server.connect();
    for db in ["0", "9"] {
        client.command(&["SELECT", db]);
        client.run("SET stays 1");
        client.run("SET stays:long 1 EX 1000");
        let mut requests = Vec::new();
        for n in 0..KEYS {
            requests.extend(frame(&["SET", &format!("key:{n}"), "x", "PX", "700"]));
        }
        client.send(requests);
        (0..KEYS).for_each(|_| assert_eq!(client.read(), Value::ok()));
    }
    for db in ["0", "9"] {
        client.command(&["SELECT", db]);
        wait_for(PATIENCE, "the keys to be gone", || {
            (client.run("DBSIZE") == Value::Integer(2)).then_some(())
        });
    }
    assert_eq!(server.info_number("expired_keys"), 2 * KEYS as i64);
    if is_ours() {
        assert!(server.info_number("expired_time_cap_reached_count") > 0);
    }
}
