//! Client-side caching: who is told of which changed keys, and when.

use std::thread::sleep;
use std::time::Duration;

use crate::dialogue::{Dialogue, play, render};
use crate::harness::{Server, wait_for};
use crate::resp::Value;

/// Starts connections 1 and 2 in RESP3.
fn resp3(server: &Server) -> Dialogue<'_> {
    let mut dialogue = Dialogue::with(server);
    for name in ["1", "2"] {
        dialogue.client(name).run("HELLO 3");
    }
    dialogue
}

/// What is kept beside a stream is read by nobody who watches it.
#[test]
fn the_groups_of_a_stream_are_no_change_of_it() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    client.run("HELLO 3");
    other.run("XADD s 1-1 f v");
    client.run("CLIENT TRACKING ON NOLOOP");
    client.run("XLEN s");
    client.run("WATCH s");
    other.run("XGROUP CREATE s g 0");
    other.run("XREADGROUP GROUP g one STREAMS s >");
    other.run("XGROUP CREATECONSUMER s g two");
    other.run("XGROUP SETID s g 0");
    client.run("XREADGROUP GROUP g three STREAMS s >");
    client.run("MULTI");
    client.run("PING");
    let expected = Value::Array(vec![Value::Simple("PONG".into())]);
    assert_eq!(client.run("EXEC"), expected);
    // An entry is one, and is told.
    other.run("XADD s 2-1 f v");
    let told = client.read();
    let name = Value::Array(vec![Value::bulk("s")]);
    assert_eq!(told, Value::Push(vec![Value::bulk("invalidate"), name]));
    client.run("WATCH s");
    other.run("XGROUP CREATE new g $ MKSTREAM");
    other.run("XADD s 3-1 f v");
    client.run("MULTI");
    client.run("PING");
    assert_eq!(client.run("EXEC"), Value::Null);
}

#[test]
fn a_client_is_told_once_of_a_key_that_it_read() {
    let server = Server::start(&[]);
    resp3(&server).play(
        "1> CLIENT TRACKING ON => OK
         1> GET k => nil
         1> MGET a b => [nil, nil]
         2> SET k 1 => OK
         1< >[invalidate, [k]]
         2> SET k 2 => OK
         2> MSET b 1 a 1 => OK
         1< >[invalidate, [b]]
         1< >[invalidate, [a]]
         1> GET k => 2
         1> CLIENT TRACKING OFF => OK
         2> SET k 3 => OK",
    );
}

#[test]
fn what_a_client_does_itself_is_told_after_the_reply() {
    let server = Server::start(&[]);
    resp3(&server).play(
        "1> CLIENT TRACKING ON => OK
         1> GET k => nil
         1> SET k 1 => OK
         1< >[invalidate, [k]]
         1> GET k => 1
         1> MULTI => OK
         1> SET k 2 => QUEUED
         1> GET k => QUEUED
         1> SET k 3 => QUEUED
         1> FLUSHDB => QUEUED
         1> EXEC => [OK, 2, OK, OK]
         1< >[invalidate, [k]]
         1< >[invalidate, [k]]
         1< >[invalidate, nil]",
    );
}

/// How a client is told of what its transaction changed is decided when the transaction is over.
#[test]
fn a_transaction_may_change_how_its_client_is_told() {
    let server = Server::start(&[]);
    let mut dialogue = resp3(&server);
    let other = dialogue.client("2").run("CLIENT ID");
    let other = render(&other);
    let begin = "1> HELLO 3 => *
         1> CLIENT TRACKING OFF => OK
         1> CLIENT TRACKING ON => OK
         1> GET k => *
         1> MULTI => OK";
    let mut check = |lines: &str| dialogue.play(&format!("{begin}\n{lines}"));
    // It speaks another protocol, in which there are no pushes, or did for a while.
    check(
        "1> SET k 1 => QUEUED
         1> HELLO 2 => QUEUED
         1> EXEC => *",
    );
    check(
        "1> HELLO 2 => QUEUED
         1> SET k 1 => QUEUED
         1> HELLO 3 => QUEUED
         1> EXEC => *
         1< >[invalidate, [k]]",
    );
    // It is told although it has ended its tracking, or another is.
    check(
        "1> SET k 1 => QUEUED
         1> CLIENT TRACKING OFF => QUEUED
         1> EXEC => [OK, OK]
         1< >[invalidate, [k]]",
    );
    check(&format!(
        "1> SET k 1 => QUEUED
         1> CLIENT TRACKING OFF => QUEUED
         1> CLIENT TRACKING ON REDIRECT {other} => QUEUED
         1> EXEC => [OK, OK, OK]
         2< >[invalidate, [k]]"
    ));
    check(
        "1> FLUSHALL => QUEUED
         1> HELLO 2 => QUEUED
         1> EXEC => *",
    );
}

/// Nobody is told any more for a client that was killed.
#[test]
fn who_is_killed_tracks_nothing() {
    let server = Server::start(&[]);
    let mut dialogue = resp3(&server);
    let target = render(&dialogue.client("1").run("CLIENT ID"));
    for (name, mode) in [("3", ""), ("4", "BCAST")] {
        let id = render(&dialogue.client(name).run("CLIENT ID"));
        dialogue.play(&format!(
            "{name}> CLIENT TRACKING ON REDIRECT {target} {mode} => OK
             {name}> GET k => *"
        ));
        let mut killed = dialogue.take(name);
        dialogue
            .client("2")
            .send(format!("CLIENT KILL ID {id}\r\nSET k 1\r\n"));
        dialogue.client("2").expect(":1\r\n+OK\r\n");
        killed.read_to_close();
        // Nothing was sent to the first one.
        dialogue.play("2> PING => PONG");
    }
}

#[test]
fn pushes_keep_their_place_in_a_pipeline() {
    let server = Server::start(&[]);
    let mut dialogue = resp3(&server);
    let client = dialogue.client("1");
    client.run("CLIENT TRACKING ON");
    client.send("GET k\r\nSET k 1\r\nGET k\r\nINCR k\r\nPING\r\n");
    client.expect(
        "_\r\n+OK\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n$1\r\n1\r\n:2\r\n\
         >2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n+PONG\r\n",
    );
}

#[test]
fn no_loop_leaves_out_what_a_client_does_itself() {
    let server = Server::start(&[]);
    resp3(&server).play(
        "1> CLIENT TRACKING ON NOLOOP => OK
         1> MGET a b => [nil, nil]
         1> SET a 1 => OK
         2> SET b 1 => OK
         1< >[invalidate, [b]]",
    );
}

#[test]
fn broadcasting_tells_of_all_keys_with_a_prefix() {
    let server = Server::start(&[]);
    resp3(&server).play(
        "1> CLIENT TRACKING ON BCAST PREFIX a: PREFIX b: => OK
         2> CLIENT TRACKING ON BCAST NOLOOP => OK
         2> MSET a:2 1 c: 1 a:1 1 b:1 1 => OK
         1< >[invalidate, [a:1, a:2]]
         1< >[invalidate, [b:1]]
         1> SET a: 1 => OK
         1< >[invalidate, [a:]]
         2< >[invalidate, [a:]]
         1> CLIENT TRACKING ON BCAST PREFIX c => OK
         2> SET c 1 => OK
         1< >[invalidate, [c]]
         1> CLIENT TRACKINGINFO => {flags: [on, bcast], redirect: 0, prefixes: [a:, b:, c]}
         2> CLIENT TRACKINGINFO => {flags: [on, bcast, noloop], redirect: 0, prefixes: []}",
    );
    wait_for(Duration::from_secs(5), "the prefixes to go", || {
        (server.info_number("tracking_total_prefixes") == 0).then_some(())
    });
}

/// A time in the past is the doing of whoever gave it; that a time has come is nobody's.
#[test]
fn a_time_in_the_past_is_a_change_of_ones_own() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut dialogue = resp3(&server);
    dialogue.play(
        "1> CLIENT TRACKING ON BCAST NOLOOP => OK
         2> CLIENT TRACKING ON BCAST => OK
         1> SET k 1 => OK
         2< >[invalidate, [k]]
         1> EXPIREAT k 1 => 1
         2< >[invalidate, [k]]
         1> SET k 1 => OK
         2< >[invalidate, [k]]
         1> PEXPIRE k -1 => 1
         2< >[invalidate, [k]]
         1> SET k 1 => OK
         2< >[invalidate, [k]]
         1> GETEX k EXAT 1 => 1
         2< >[invalidate, [k]]
         1> DEBUG SET-ACTIVE-EXPIRE 0 => OK
         1> SET k 1 PX 1 => OK
         2< >[invalidate, [k]]",
    );
    sleep(Duration::from_millis(5));
    dialogue.play(
        "1> GET k => nil
         1< >[invalidate, [k]]
         2< >[invalidate, [k]]",
    );
}

#[test]
fn opt_in_and_opt_out_are_for_one_command_or_transaction() {
    let server = Server::start(&[]);
    resp3(&server).play(
        "1> CLIENT TRACKING ON OPTIN => OK
         1> GET a => nil
         1> CLIENT CACHING YES => OK
         1> CLIENT TRACKINGINFO => {flags: [on, optin, caching-yes], redirect: 0, prefixes: []}
         1> GET b => nil
         1> GET c => nil
         1> CLIENT CACHING YES => OK
         1> MULTI => OK
         1> GET d => QUEUED
         1> GET e => QUEUED
         1> EXEC => [nil, nil]
         1> GET f => nil
         2> MSET a 1 b 1 c 1 d 1 e 1 f 1 => OK
         1< >[invalidate, [b]]
         1< >[invalidate, [d]]
         1< >[invalidate, [e]]
         1> CLIENT CACHING NO => -ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.
         1> CLIENT TRACKING OFF => OK
         1> CLIENT TRACKING ON OPTOUT => OK
         1> CLIENT CACHING NO => OK
         1> GET a => 1
         1> GET b => 1
         2> MSET a 2 b 2 => OK
         1< >[invalidate, [b]]",
    );
}

#[test]
fn options_that_do_not_go_together() {
    let server = Server::start(&[]);
    play(
        &server,
        "1> CLIENT TRACKING ON PREFIX a => -ERR PREFIX option requires BCAST mode to be enabled
         1> CLIENT TRACKING ON BCAST OPTIN => -ERR OPTIN and OPTOUT are not compatible with BCAST
         1> CLIENT TRACKING ON OPTIN OPTOUT => -ERR You can't specify both OPTIN mode and OPTOUT mode
         1> CLIENT TRACKING ON REDIRECT 12345 => -ERR The client ID you want redirect to does not exist
         1> CLIENT TRACKING MAYBE => -ERR syntax error
         1> CLIENT TRACKING ON PREFIX => -ERR syntax error
         1> CLIENT CACHING YES => -ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled
         1> CLIENT TRACKING ON BCAST PREFIX ab PREFIX a => -ERR Prefix 'ab' overlaps with another provided prefix 'a'. Prefixes for a single client must not overlap.
         1> CLIENT TRACKING ON BCAST PREFIX ab => OK
         1> CLIENT TRACKING ON BCAST PREFIX a => -ERR Prefix 'a' overlaps with an existing prefix 'ab'. Prefixes for a single client must not overlap.
         1> CLIENT TRACKING ON => -ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.
         1> CLIENT TRACKING OFF => OK
         1> CLIENT TRACKING ON OPTIN => OK
         1> CLIENT CACHING MAYBE => -ERR syntax error
         1> CLIENT TRACKING ON OPTOUT => -ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
    );
}

#[test]
fn messages_go_where_they_are_redirected() {
    let server = Server::start(&[]);
    let mut dialogue = Dialogue::with(&server);
    let id = render(&dialogue.client("3").run("CLIENT ID"));
    dialogue.client("3").run("SUBSCRIBE __redis__:invalidate");
    let redirect = format!("CLIENT TRACKING ON REDIRECT {id}");
    dialogue.client("1").run(&redirect);
    assert_eq!(render(&dialogue.client("1").run("CLIENT GETREDIR")), id);
    dialogue.play(
        "1> GET k => nil
         2> SET k 1 => OK
         3< [message, __redis__:invalidate, [k]]
         1> GET k => 1
         2> FLUSHALL => OK
         3< [message, __redis__:invalidate, nil]",
    );
    // One that is gone is reported when it is missed.
    dialogue.client("1").run("HELLO 3");
    dialogue.client("3").run("QUIT");
    dialogue.client("1").run("GET k");
    dialogue.client("2").run("SET k 1");
    let expected = format!(">[tracking-redir-broken, {id}]");
    assert_eq!(render(&dialogue.client("1").read()), expected);
    let list = dialogue.client("1").run("CLIENT LIST").text();
    assert!(list.contains(" flags=tR "), "{list}");
}

#[test]
fn keys_that_expire_or_are_given_up_are_told() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut dialogue = resp3(&server);
    dialogue.play(
        "2> DEBUG SET-ACTIVE-EXPIRE 0 => OK
         1> CLIENT TRACKING ON => OK
         2> MSET x 1 y 1 => OK
         2> PEXPIRE y 5 => 1
         1> MGET x y => [1, 1]",
    );
    sleep(Duration::from_millis(10));
    // The one that reads the key again is told that it had gone, and then has read that it is not there.
    dialogue.play(
        "1> MGET x y => [1, nil]
         1< >[invalidate, [y]]
         2> SET y 1 PX 5 => OK
         1< >[invalidate, [y]]
         1> GET y => 1",
    );
    dialogue.client("2").run("DEBUG SET-ACTIVE-EXPIRE 1");
    dialogue.play("1< >[invalidate, [y]]");
}

#[test]
fn too_many_keys_are_invalidated_before_the_next_reply() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut dialogue = resp3(&server);
    for line in ["DEBUG PAUSE-CRON 1", "CONFIG SET tracking-table-max-keys 1"] {
        dialogue.client("2").run(line);
    }
    let client = dialogue.client("1");
    for line in ["CLIENT TRACKING ON", "GET a", "GET b"] {
        let reply = render(&client.run(line));
        assert!(!reply.starts_with('>'), "{line}: {reply}");
    }
    // Which of the two it is is drawn at random.
    let invalidated = render(&client.run("GET a"));
    assert!(invalidated.starts_with(">[invalidate, ["), "{invalidated}");
    assert_eq!(render(&client.read()), "nil");
}

#[test]
fn counts_and_descriptions() {
    let server = Server::start(&[]);
    let mut dialogue = resp3(&server);
    dialogue.play(
        "1> CLIENT TRACKING ON => OK
         1> MGET a b => [nil, nil]
         2> CLIENT TRACKING ON => OK
         2> GET a => nil
         3> CLIENT TRACKING ON BCAST => OK
         3> CLIENT GETREDIR => 0
         4> CLIENT GETREDIR => -1
         4> CLIENT TRACKINGINFO => [flags, [off], redirect, -1, prefixes, []]",
    );
    for (field, expected) in [
        ("tracking_clients", 3),
        ("tracking_total_keys", 2),
        ("tracking_total_items", 3),
        ("tracking_total_prefixes", 1),
    ] {
        assert_eq!(server.info_number(field), expected, "{field}");
    }
    let list = dialogue.client("4").run("CLIENT LIST").text();
    assert_eq!(list.matches(" flags=t ").count(), 2, "{list}");
    assert_eq!(list.matches(" flags=tB ").count(), 1, "{list}");
    assert_eq!(list.matches(" redir=0 ").count(), 3, "{list}");
    dialogue.play("1> RESET => RESET\n2> CLIENT TRACKING OFF => OK");
    drop(dialogue);
    wait_for(Duration::from_secs(5), "all to be forgotten", || {
        let left =
            server.info_number("tracking_clients") + server.info_number("tracking_total_keys");
        (left == 0).then_some(())
    });
}
