//! Transactions: what is queued, what spoils a queue, which changes a watch sees, and who sees what of it.

use std::thread::sleep;
use std::time::Duration;

use crate::dialogue::{Dialogue, play, render};
use crate::harness::{Server, is_ours, wait_for};
use crate::resp::Value;

#[test]
fn what_is_queued_runs_at_once_and_errors_do_not_stop_it() {
    let server = Server::start(&[]);
    play(
        &server,
        "1> MULTI => OK
         1> SET k v => QUEUED
         2> GET k => nil
         1> LPUSH k x => QUEUED
         1> GET k => QUEUED
         1> EXEC => [OK, -WRONGTYPE Operation against a key holding the wrong kind of value, v]
         1> EXEC => -ERR EXEC without MULTI
         1> MULTI => OK
         1> EXEC => []
         1> MULTI => OK
         1> DEL k => QUEUED
         1> DISCARD => OK
         1> DISCARD => -ERR DISCARD without MULTI
         1> GET k => v",
    );
}

#[test]
fn a_refused_request_spoils_the_transaction() {
    let server = Server::start(&[]);
    let aborted = "-EXECABORT Transaction discarded because of previous errors.";
    for (refused, error) in [
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        (
            "NOSUCH",
            "-ERR unknown command 'NOSUCH', with args beginning with: ",
        ),
        ("SHUTDOWN", "-ERR Command not allowed inside a transaction"),
    ] {
        let dialogue = format!(
            "1> MULTI => OK
             1> SET k v => QUEUED
             1> {refused} => {error}
             1> SET k w => QUEUED
             1> EXEC => {aborted}
             1> GET k => nil"
        );
        play(&server, &dialogue);
    }
    // An EXEC that is refused itself ends the transaction too.
    play(
        &server,
        "1> MULTI => OK
         1> EXEC x => -EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command
         1> EXEC => -ERR EXEC without MULTI
         1> EXEC x => -EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command",
    );
}

#[test]
fn multi_and_watch_have_no_place_inside_multi() {
    if !is_ours() {
        return;
    }
    let server = Server::start(&[]);
    for command in ["MULTI", "WATCH k"] {
        let dialogue = format!(
            "1> MULTI => OK
             1> {command} => -ERR Command not allowed inside a transaction
             1> EXEC => -EXECABORT Transaction discarded because of previous errors."
        );
        play(&server, &dialogue);
    }
}

/// Plays a first part before `WATCH k` of connection 1 (in database 0), a second one after it, and expects
/// that its transaction runs or not.
#[track_caller]
fn check_watch(before: &str, after: &str, runs: bool) {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut dialogue = Dialogue::with(&server);
    let outcome = if runs { "[PONG]" } else { "nil" };
    let transaction = format!("1> MULTI => OK\n1> PING => QUEUED\n1> EXEC => {outcome}");
    dialogue.play(before);
    dialogue.play("1> WATCH k => OK");
    dialogue.play(after);
    dialogue.play(&transaction);
    assert_eq!(server.info("watching_clients"), "0");
    assert_eq!(server.info("total_watched_keys"), "0");
}

#[test]
fn watches_see_changes() {
    let check = check_watch;
    check("", "2> GET k => nil", true);
    check("", "2> SET k v => OK", false);
    check("", "2> SET other v => OK", true);
    check("", "1> SET k v => OK", false);
    check("2> SET k v => OK", "2> SET k v => OK", false);
    check("2> SET k v => OK", "2> DEL k => 1", false);
    check("2> SET k v => OK", "2> EXPIRE k 100 => 1", false);
    check("2> SET k v => OK", "2> PERSIST k => 0", true);
    check("2> SET o v => OK", "2> RENAME o k => OK", false);
    check("2> RPUSH o a => 1", "2> LMOVE o k LEFT LEFT => a", false);
    check("2> PFADD k a => 1", "2> PFCOUNT k => 1", false);
    // A key that came and went has changed.
    check("", "2> SET k v => OK\n2> DEL k => 1", false);
    check("2> SADD k a => 1", "2> SREM k b => 0", true);
}

#[test]
fn unwatch_and_transactions_end_watches() {
    let check = check_watch;
    check("", "1> UNWATCH => OK\n2> SET k v => OK", true);
    check("", "2> SET k v => OK\n1> UNWATCH => OK", true);
    check(
        "",
        "1> MULTI => OK\n1> DISCARD => OK\n2> SET k v => OK",
        true,
    );
    check("", "1> MULTI => OK\n1> EXEC => []\n2> SET k v => OK", true);
    // Inside MULTI it is queued, and too late.
    let server = Server::start(&[]);
    play(
        &server,
        "1> WATCH k => OK
         1> MULTI => OK
         1> UNWATCH => QUEUED
         2> SET k v => OK
         1> EXEC => nil",
    );
}

#[test]
fn watches_belong_to_a_database() {
    let check = check_watch;
    check("", "2> SELECT 1 => OK\n2> SET k v => OK", true);
    check("", "1> SELECT 1 => OK\n2> SET k v => OK", false);
    check("2> SET k v => OK", "2> MOVE k 1 => 1", false);
}

#[test]
fn whole_databases_change_what_they_held() {
    let check = check_watch;
    check("", "2> FLUSHALL => OK", true);
    check("2> SET k v => OK", "2> FLUSHALL => OK", false);
    check("2> SET k v => OK", "2> FLUSHDB => OK", false);
    check(
        "2> SET k v => OK",
        "2> SELECT 1 => OK\n2> FLUSHDB => OK",
        true,
    );
    check("", "2> SWAPDB 0 1 => OK", true);
    check("2> SET k v => OK", "2> SWAPDB 0 1 => OK", false);
    check(
        "2> SELECT 1 => OK\n2> SET k v => OK\n2> SELECT 0 => OK",
        "2> SWAPDB 1 0 => OK",
        false,
    );
}

/// Makes `k` a key that has expired and is still there.
fn expired(server: &Server) -> Dialogue<'_> {
    let mut dialogue = Dialogue::with(server);
    dialogue.play("2> DEBUG SET-ACTIVE-EXPIRE 0 => OK\n2> SET k v PX 1 => OK");
    sleep(Duration::from_millis(10));
    dialogue
}

#[test]
fn a_key_that_was_expired_when_it_was_watched_may_go() {
    let parts = [
        ("2> GET k => nil", "[PONG]"),
        ("2> FLUSHALL => OK", "[PONG]"),
        ("2> SWAPDB 0 1 => OK", "[PONG]"),
        ("2> SWAPDB 0 1 => OK\n2> SWAPDB 0 1 => OK", "[PONG]"),
        ("2> SET k w => OK", "nil"),
        ("2> GET k => nil\n2> SET k w => OK", "nil"),
        ("2> FLUSHALL => OK\n2> SET k w => OK", "nil"),
    ];
    for (change, outcome) in parts {
        let server = Server::start(&["--enable-debug-command", "yes"]);
        let mut dialogue = expired(&server);
        dialogue.play("1> WATCH k => OK");
        dialogue.play(change);
        let transaction = format!("1> MULTI => OK\n1> PING => QUEUED\n1> EXEC => {outcome}");
        for line in transaction.lines() {
            let (request, reply) = line[3..].split_once(" => ").unwrap();
            let got = render(&dialogue.client("1").run(request));
            assert_eq!(got, reply, "{line} after {change}");
        }
    }
}

#[test]
fn a_key_that_expires_while_it_is_watched_has_changed() {
    for noticed in ["", "2> GET k => nil"] {
        let server = Server::start(&["--enable-debug-command", "yes"]);
        let mut dialogue = Dialogue::with(&server);
        dialogue.play(
            "2> DEBUG SET-ACTIVE-EXPIRE 0 => OK
             2> SET k v PX 20 => OK
             1> WATCH k => OK",
        );
        sleep(Duration::from_millis(30));
        dialogue.play(noticed);
        dialogue.play("1> MULTI => OK\n1> EXEC => nil");
    }
}

#[test]
fn nothing_waits_inside_a_transaction() {
    let server = Server::start(&[]);
    play(
        &server,
        "1> MULTI => OK
         1> BLPOP none 0 => QUEUED
         1> BLMOVE none other LEFT LEFT 0 => QUEUED
         1> BZMPOP 0 1 none MIN => QUEUED
         1> EXEC => [nil, nil, nil]",
    );
}

#[test]
fn those_who_wait_see_only_what_is_left_in_the_end() {
    let server = Server::start(&[]);
    let mut waiting = server.connect();
    waiting.send("BLPOP list 0\r\n");
    wait_for(Duration::from_secs(5), "a parked client", || {
        (server.info_number("blocked_clients") == 1).then_some(())
    });
    play(
        &server,
        "1> MULTI => OK
         1> RPUSH list a => QUEUED
         1> DEL list => QUEUED
         1> RPUSH list b c => QUEUED
         1> LLEN list => QUEUED
         1> EXEC => [1, 1, 2, 2]
         1> LRANGE list 0 -1 => [c]",
    );
    assert_eq!(render(&waiting.read()), "[list, b]");
}

#[test]
fn the_clock_stands_still() {
    if !is_ours() {
        return;
    }
    let server = Server::start(&["--enable-debug-command", "yes"]);
    play(
        &server,
        "1> MULTI => OK
         1> SET k v PX 5 => QUEUED
         1> DEBUG SLEEP 0.02 => QUEUED
         1> GET k => QUEUED
         1> EXEC => [OK, OK, v]
         1> GET k => nil",
    );
}

#[test]
fn quit_reset_and_the_end_of_a_connection_leave_nothing() {
    let server = Server::start(&[]);
    for end in ["QUIT", "RESET", ""] {
        let mut client = server.connect();
        client.run("WATCH a b");
        client.run("MULTI");
        client.run("SET a 1");
        assert_eq!(server.info("watching_clients"), "1");
        assert_eq!(server.info("total_watched_keys"), "2");
        if end.is_empty() {
            drop(client);
        } else {
            client.run(end);
            if end == "RESET" {
                let again = client.run("EXEC").text();
                assert_eq!(again, "ERR EXEC without MULTI");
            }
        }
        wait_for(Duration::from_secs(5), "the watches to end", || {
            (server.info_number("watching_clients") == 0).then_some(())
        });
        assert_eq!(server.info("total_watched_keys"), "0");
        assert_eq!(server.connect().run("EXISTS a"), Value::Integer(0));
    }
}

#[test]
fn exec_is_admitted_for_all_that_it_runs() {
    let server = Server::start(&[]);
    play(
        &server,
        "1> MULTI => OK
         1> SET k v => QUEUED
         2> CONFIG SET maxmemory 1 => OK
         1> EXEC => -EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.
         1> MULTI => OK
         1> SET k v => -OOM command not allowed when used memory > 'maxmemory'.
         1> EXEC => -EXECABORT Transaction discarded because of previous errors.
         1> MULTI => OK
         1> GET k => QUEUED
         1> EXEC => [nil]
         2> CONFIG SET maxmemory 0 => OK",
    );
}

#[test]
fn a_pause_holds_transactions_that_write() {
    let server = Server::start(&[]);
    let mut dialogue = Dialogue::with(&server);
    for line in ["MULTI", "SET k v"] {
        dialogue.client("1").run(line);
    }
    dialogue.client("2").run("CLIENT PAUSE 60000 WRITE");
    dialogue.client("1").send("EXEC\r\n");
    wait_for(Duration::from_secs(5), "a held client", || {
        (server.info_number("blocked_clients") == 1).then_some(())
    });
    assert_eq!(render(&dialogue.client("2").run("GET k")), "nil");
    dialogue.client("2").run("CLIENT UNPAUSE");
    dialogue.play("1< [OK]");
}

#[test]
fn monitors_see_commands_when_they_run() {
    let server = Server::start(&[]);
    let mut monitor = server.connect();
    monitor.run("MONITOR");
    play(
        &server,
        "1> MULTI => OK
         1> SET k v => QUEUED
         1> GET k => QUEUED
         1> EXEC => [OK, v]",
    );
    for expected in [
        "\"MULTI\"",
        "\"SET\" \"k\" \"v\"",
        "\"GET\" \"k\"",
        "\"EXEC\"",
    ] {
        let line = monitor.read().text();
        assert!(line.ends_with(expected), "{line} where {expected} was due");
    }
}

#[test]
fn clients_are_described() {
    let server = Server::start(&[]);
    let mut dialogue = Dialogue::with(&server);
    let client = dialogue.client("1");
    let id = render(&client.run("CLIENT ID"));
    let mut check = |requests: &[&str], expected: &[&str]| {
        for request in requests {
            dialogue.client("1").run(request);
        }
        let list = dialogue.client("2").run("CLIENT LIST").text();
        let own = format!("id={id} ");
        let mut lines = list.lines();
        let line = lines.find(|line| line.starts_with(&own)).unwrap();
        for field in expected {
            assert!(line.contains(field), "{line} without {field}");
        }
    };
    check(&["WATCH a b"], &[" flags=N ", " watch=2 ", " multi=-1 "]);
    check(
        &["MULTI", "SET x y", "GET x"],
        &[" flags=x ", " multi=2 ", " watch=2 "],
    );
    let mut other = server.connect();
    other.run("SET a 1");
    check(&[], &[" flags=xd "]);
    check(
        &["EXEC"],
        &[" flags=N ", " multi=-1 ", " watch=0 ", " multi-mem=0 "],
    );
}
