//! Scripts as clients see them: what they do to others, what others see of them, and how long they may run.

use std::thread::sleep;
use std::time::Duration;

use crate::harness::{Server, is_ours, wait_for};
use crate::resp::{Client, Value, frame};

const BUSY: &str =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

fn eval(client: &mut Client, script: &str) -> Value {
    client.command(&["EVAL", script, "0"])
}

/// Starts a script and waits until it has made the server busy.
fn make_busy(server: &Server, victim: &mut Client, script: &str) -> Client {
    victim.send(frame(&["EVAL", script, "0"]));
    let mut other = server.connect();
    wait_for(Duration::from_secs(20), "the server to be busy", || {
        (other.run("PING").text() == BUSY).then_some(())
    });
    other
}

#[test]
fn a_busy_server_runs_what_it_must() {
    let server = Server::start(&["--busy-reply-threshold", "50"]);
    let mut victim = server.connect();
    let mut other = make_busy(&server, &mut victim, "while true do end");
    for (request, expected) in [
        ("GET k", BUSY),
        ("SHUTDOWN", BUSY),
        ("EVAL return~1 0", BUSY),
        ("FUNCTION STATS", ""),
        ("MULTI", "OK"),
        ("GET k", BUSY),
        ("EXEC", ""),
        ("RESET", "RESET"),
    ] {
        let answer = match other.run(request) {
            Value::Array(_) | Value::Map(_) => String::new(),
            other => other.text(),
        };
        assert!(answer.starts_with(expected), "{request}: {answer}");
    }
    // Newcomers are let in, and told.
    assert_eq!(server.connect().run("PING").text(), BUSY);
    assert_eq!(other.run("SCRIPT KILL").text(), "OK");
    let error = victim.read().text();
    assert!(
        error.starts_with("ERR Script killed by user with SCRIPT KILL. script: "),
        "{error}"
    );
    assert_eq!(
        other.run("SCRIPT KILL").text(),
        "NOTBUSY No scripts in execution right now."
    );
    assert!(server.log().contains("Slow script detected"));
}

#[test]
fn a_script_that_wrote_is_not_killed_but_the_server_can_be() {
    let mut server = Server::start(&["--busy-reply-threshold", "50"]);
    let mut victim = server.connect();
    let mut other = make_busy(
        &server,
        &mut victim,
        "redis.call('SET', 'k', 'v') while true do end",
    );
    let refusal = other.run("SCRIPT KILL").text();
    assert!(refusal.starts_with("UNKILLABLE "), "{refusal}");
    assert_eq!(other.run("PING").text(), BUSY);
    other.send(frame(&["SHUTDOWN", "NOSAVE"]));
    assert!(server.wait().success());
}

#[test]
fn what_a_client_sends_behind_a_busy_script_runs_after_it() {
    let server = Server::start(&["--busy-reply-threshold", "50"]);
    let mut victim = server.connect();
    victim.send(
        [
            frame(&["PING", "0"]),
            frame(&["EVAL", "while true do end", "0"]),
            frame(&["PING", "1"]),
        ]
        .concat(),
    );
    let mut other = server.connect();
    wait_for(Duration::from_secs(20), "the server to be busy", || {
        (other.run("PING").text() == BUSY).then_some(())
    });
    victim.send(frame(&["PING", "2"]));
    for _ in 0..5 {
        sleep(Duration::from_millis(10));
        assert_eq!(other.run("PING").text(), BUSY);
    }
    victim.send(frame(&["PING", "3"]));
    assert_eq!(other.run("SCRIPT KILL").text(), "OK");
    assert_eq!(victim.read().text(), "0");
    assert!(victim.read().is_error());
    for expected in ["1", "2", "3"] {
        assert_eq!(victim.read().text(), expected);
    }
}

/// A large request runs from its client's own buffer, and what comes while it does must not get lost or between.
#[test]
fn what_comes_while_a_large_script_is_busy_has_its_place() {
    let server = Server::start(&["--busy-reply-threshold", "20"]);
    let mut other = server.connect();
    for padding in [10, 100_000, 2_000_000] {
        let mut victim = server.connect();
        let padding = "x".repeat(padding);
        let script = frame(&["EVAL", "while true do end", "0", &padding]);
        let behind = [
            frame(&["SET", "key", "AAAABBBB"]),
            frame(&["GET", "key"]),
            frame(&["ECHO", "last"]),
        ]
        .concat();
        let cut = behind.len() / 4;
        victim.send([&script[..], &behind[..cut]].concat());
        wait_for(Duration::from_secs(20), "the server to be busy", || {
            (other.run("PING").text() == BUSY).then_some(())
        });
        for piece in behind[cut..].chunks(behind.len() / 3) {
            victim.send(piece);
            sleep(Duration::from_millis(10));
            assert_eq!(other.run("PING").text(), BUSY);
        }
        assert_eq!(other.run("SCRIPT KILL").text(), "OK");
        assert!(victim.read().is_error());
        for expected in ["OK", "AAAABBBB", "last"] {
            assert_eq!(victim.read().text(), expected, "{}", padding.len());
        }
    }
}

/// Who hangs up has what it sent run nevertheless.
#[test]
fn requests_behind_a_busy_script_run_though_their_client_has_left() {
    let server = Server::start(&["--busy-reply-threshold", "20"]);
    let mut other = server.connect();
    for round in 1..=3 {
        let mut client = server.connect();
        let increments = frame(&["INCR", "counter"]).repeat(3);
        client.send([frame(&["EVAL", "while true do end", "0"]), increments].concat());
        wait_for(Duration::from_secs(20), "the server to be busy", || {
            (other.run("PING").text() == BUSY).then_some(())
        });
        client.finish_sending();
        drop(client);
        for _ in 0..5 {
            sleep(Duration::from_millis(10));
            assert_eq!(other.run("PING").text(), BUSY);
        }
        assert_eq!(other.run("SCRIPT KILL").text(), "OK");
        wait_for(Duration::from_secs(5), "the increments", || {
            (other.run("GET counter").text() == (3 * round).to_string()).then_some(())
        });
    }
}

#[test]
fn two_clients_that_send_scripts_at_once() {
    let server = Server::start(&["--busy-reply-threshold", "50"]);
    let mut clients: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for round in 0..20 {
        for (index, client) in clients.iter_mut().enumerate() {
            let script = format!("return {{{round}, {index}, redis.call('INCR', 'n')}}");
            client.send([frame(&["EVAL", &script, "0"]), frame(&["PING"])].concat());
        }
        for (index, client) in clients.iter_mut().enumerate() {
            let reply = client.read();
            assert_eq!(
                reply.items()[..2],
                [Value::Integer(round), Value::Integer(index as i64)]
            );
            assert_eq!(client.read().text(), "PONG");
        }
    }
    assert_eq!(clients[0].run("GET n").text(), "160");
}

#[test]
fn clients_that_wait_are_served_after_the_script() {
    let server = Server::start(&[]);
    let mut waiting = server.connect();
    waiting.send(frame(&["BLPOP", "list", "0"]));
    let mut client = server.connect();
    wait_for(Duration::from_secs(10), "a client that waits", || {
        (server.info_number("blocked_clients") == 1).then_some(())
    });
    let script = "redis.call('LPUSH', 'list', 'a') redis.call('DEL', 'list') redis.call('LPUSH', 'list', 'b') \
                  return redis.call('LLEN', 'list')";
    assert_eq!(eval(&mut client, script), Value::Integer(1));
    assert_eq!(waiting.read().items()[1].text(), "b");
}

#[test]
fn time_stands_still_in_a_script() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let script = "redis.call('SET', 'k', 'v', 'PX', 5)
        local before = redis.call('TIME')
        local start = os.clock() while os.clock() - start < 0.02 do end
        local after = redis.call('TIME')
        return {redis.call('GET', 'k'), before[1] == after[1] and before[2] == after[2] and 'same'}";
    let reply = eval(&mut client, script);
    assert_eq!(reply.items(), [Value::bulk("v"), Value::bulk("same")]);
    assert_eq!(client.run("GET k"), Value::Null);
}

#[test]
fn the_database_and_protocol_of_a_script_are_its_own() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let script = "redis.setresp(3) redis.call('SELECT', 3) redis.call('SET', 'k', 'v') return redis.call('GET', 'k')";
    assert_eq!(eval(&mut client, script).text(), "v");
    assert_eq!(client.run("GET k"), Value::Null);
    assert_eq!(
        eval(&mut client, "return redis.call('GET', 'k')"),
        Value::Null
    );
    client.run("SELECT 3");
    assert_eq!(client.run("GET k").text(), "v");
}

#[test]
fn monitors_see_a_script_and_then_its_commands() {
    let server = Server::start(&[]);
    let (mut monitor, mut client) = (server.connect(), server.connect());
    monitor.run("MONITOR");
    client.command(&["EVAL", "redis.call('SET', KEYS[1], 'v')", "1", "k"]);
    let lines = [monitor.read().text(), monitor.read().text()];
    assert!(
        lines[0].ends_with(r#""EVAL" "redis.call('SET', KEYS[1], 'v')" "1" "k""#),
        "{lines:?}"
    );
    assert!(lines[1].ends_with(r#"[0 lua] "SET" "k" "v""#), "{lines:?}");
}

#[test]
fn a_script_in_a_transaction_sees_what_came_before() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.run("MULTI");
    client.run("SET k 1");
    client.command(&["EVAL", "return redis.call('INCR', 'k')", "0"]);
    client.command(&["EVAL", "return redis.call('BLPOP', 'list', 0)", "0"]);
    client.command(&["EVAL", "return redis.call('NOSUCH')", "0"]);
    let replies = client.run("EXEC");
    assert_eq!(
        replies.items()[..3],
        [Value::ok(), Value::Integer(2), Value::Null]
    );
    assert!(replies.items()[3].is_error());
}

#[test]
fn no_write_begins_without_room() {
    let server = Server::start(&["--maxmemory-policy", "noeviction"]);
    let mut client = server.connect();
    client.run("SET k v");
    client.run("CONFIG SET maxmemory 1");
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    for (script, expected) in [
        ("return redis.call('SET', 'k', 'w')", oom),
        ("#!lua\nreturn 1", oom),
        (
            "#!lua flags=allow-oom\nredis.call('SET', 'k', 'w') return 'done'",
            "done",
        ),
        ("#!lua flags=no-writes\nreturn redis.call('GET', 'k')", "w"),
        (
            "redis.call('DEL', 'k') redis.call('SET', 'k', 'x') return redis.call('GET', 'k')",
            "x",
        ),
    ] {
        let reply = eval(&mut client, script).text();
        assert!(reply.starts_with(expected), "{script}\ngave {reply}");
    }
}

#[test]
fn a_pause_of_writes_holds_scripts_that_may_write() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    other.run("CLIENT PAUSE 60000 WRITE");
    assert_eq!(
        eval(&mut client, "#!lua flags=no-writes\nreturn 'read'").text(),
        "read"
    );
    assert!(client.run("EVAL_RO return~1 0").is_error());
    client.send(frame(&["EVAL", "return 'ran'", "0"]));
    sleep(Duration::from_millis(100));
    assert_eq!(server.info("paused_reason"), "client_pause");
    other.run("CLIENT UNPAUSE");
    assert_eq!(client.read().text(), "ran");
}

/// A script that waits by the clock waits no longer than until others are served in between: time stands still for
/// it only up to there.
#[test]
fn time_goes_on_for_a_script_that_is_busy() {
    if !is_ours() {
        return;
    }
    let server = Server::start(&["--busy-reply-threshold", "50"]);
    let mut client = server.connect();
    let script = "local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end \
                  local began, turns = now(), 0 while now() - began < 20000 do turns = turns + 1 end return turns";
    let Value::Integer(turns) = client.command(&["EVAL", script, "0"]) else {
        panic!("no number")
    };
    assert!(turns > 0);
    assert_eq!(client.run("PING"), Value::Simple("PONG".into()));
}
