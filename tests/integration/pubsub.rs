//! Channels: who is sent a message, in which order beside the replies, and what a slow subscriber costs
//! the others. Keyspace notifications, which are such messages, and the eviction of clients.

use std::time::Duration;

use crate::blocking::park;
use crate::harness::{Server, is_ours, wait_for};
use crate::resp::{Client, Value, frame};

fn texts(value: &Value) -> Vec<String> {
    value.items().iter().map(Value::text).collect()
}

/// Sends a command that is answered by several messages.
fn run_all(client: &mut Client, words: &str, replies: usize) -> Vec<Value> {
    client.send(format!("{words}\r\n"));
    (0..replies).map(|_| client.read()).collect()
}

/// A connection that speaks RESP3.
fn connect3(server: &Server) -> Client {
    let mut client = server.connect();
    client.run("HELLO 3");
    client
}

#[test]
fn subscriptions_are_counted_and_confirmed_one_by_one() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut check = |words: &str, expected: &[(&str, i64)]| {
        for (reply, (name, count)) in run_all(&mut client, words, expected.len())
            .iter()
            .zip(expected)
        {
            assert_eq!(reply.items()[1].text(), *name, "{words}");
            assert_eq!(reply.items()[2], Value::Integer(*count), "{words}");
        }
    };
    check("SUBSCRIBE a b a", &[("a", 1), ("b", 2), ("a", 2)]);
    check("PSUBSCRIBE a* ?", &[("a*", 3), ("?", 4)]);
    check("SSUBSCRIBE s", &[("s", 1)]);
    check("UNSUBSCRIBE nothing b", &[("nothing", 4), ("b", 3)]);
    check("PUNSUBSCRIBE", &[("a*", 2), ("?", 1)]);
    check("UNSUBSCRIBE", &[("a", 0)]);
    check("SUNSUBSCRIBE", &[("s", 0)]);
    client.send("UNSUBSCRIBE\r\n");
    client.expect("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
}

#[test]
fn messages_go_to_the_channel_and_then_to_its_patterns() {
    let server = Server::start(&[]);
    let (mut listener, mut sender) = (server.connect(), server.connect());
    run_all(&mut listener, "PSUBSCRIBE news.? *s.1 news.[^1] news.1", 4);
    run_all(&mut listener, "SUBSCRIBE news.1", 1);
    assert_eq!(sender.run("PUBLISH news.1 hello"), Value::Integer(4));
    assert_eq!(texts(&listener.read()), ["message", "news.1", "hello"]);
    for pattern in ["news.?", "*s.1", "news.1"] {
        let expected = ["pmessage", pattern, "news.1", "hello"];
        assert_eq!(texts(&listener.read()), expected);
    }
    assert_eq!(sender.run("SPUBLISH news.1 hello"), Value::Integer(0));
    assert_eq!(sender.run("PUBSUB NUMPAT"), Value::Integer(4));
    assert_eq!(sender.run("PUBSUB CHANNELS n*").items().len(), 1);
    drop(listener);
    wait_for(
        Duration::from_secs(5),
        "the subscriber to be forgotten",
        || {
            let counts = ["pubsub_channels", "pubsub_patterns", "pubsub_clients"];
            let left = counts.map(|field| server.info_number(field));
            (left == [0, 0, 0]).then_some(())
        },
    );
}

#[test]
fn a_subscriber_of_the_old_protocol_runs_little_else() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.run("SUBSCRIBE a");
    let refusal = client.run("GET key");
    assert!(refusal.text().starts_with("ERR Can't execute 'get'"));
    assert_eq!(texts(&client.run("PING")), ["pong", ""]);
    assert_eq!(texts(&client.run("PING hi")), ["pong", "hi"]);
    assert_eq!(client.run("RESET"), Value::Simple("RESET".into()));
    assert_eq!(client.run("GET key"), Value::Null);
    assert_eq!(server.info_number("pubsub_clients"), 0);
}

/// What a client is sent for its own message comes after that message's reply and before the next one,
/// however many requests it sends at once.
#[test]
fn ones_own_messages_keep_their_place_among_the_replies() {
    let server = Server::start(&[]);
    let mut client = connect3(&server);
    client.run("SUBSCRIBE me");
    client.send(
        "PUBLISH me 1\r\nECHO a\r\nPUBLISH me 2\r\nUNSUBSCRIBE me\r\nPUBLISH me 3\r\nECHO b\r\n",
    );
    let push = |text: &str| {
        let words = ["message", "me", text];
        Value::Push(words.map(Value::bulk).to_vec())
    };
    assert_eq!(client.read(), Value::Integer(1));
    assert_eq!(client.read(), push("1"));
    assert_eq!(client.read(), Value::bulk("a"));
    assert_eq!(client.read(), Value::Integer(1));
    assert_eq!(client.read(), push("2"));
    assert_eq!(client.read().items()[0].text(), "unsubscribe");
    assert_eq!(client.read(), Value::Integer(0));
    assert_eq!(client.read(), Value::bulk("b"));
}

#[test]
fn messages_come_though_replies_are_off() {
    let server = Server::start(&[]);
    let (mut client, mut sender) = (connect3(&server), server.connect());
    client.send("CLIENT REPLY OFF\r\nGET key\r\nSUBSCRIBE a\r\n");
    assert_eq!(client.read().items()[0].text(), "subscribe");
    assert_eq!(sender.run("PUBLISH a hello"), Value::Integer(1));
    assert_eq!(texts(&client.read()), ["message", "a", "hello"]);
}

#[test]
fn a_slow_subscriber_is_dropped_and_the_others_are_not() {
    let server = Server::start(&["--client-output-buffer-limit", "pubsub 1mb 0 0"]);
    let mut slow = server.connect();
    slow.run("SUBSCRIBE a");
    let (mut quick, mut sender) = (server.connect(), server.connect());
    quick.run("SUBSCRIBE a");
    let message = "x".repeat(100_000);
    let publish = frame(&["PUBLISH", "a", &message]);
    let mut sent = 0;
    wait_for(
        Duration::from_secs(20),
        "the slow one to be dropped",
        || {
            sender.send(&publish);
            sent += 1;
            assert_eq!(texts(&quick.read())[2].len(), message.len());
            (sender.read() == Value::Integer(1)).then_some(())
        },
    );
    // Its socket took some megabytes first.
    assert!(sent > 10, "{sent}");
    assert_eq!(
        server.info_number("client_output_buffer_limit_disconnections"),
        1
    );
    assert!(server.log().contains("overcoming of output buffer limits"));
    assert_eq!(server.info_number("pubsub_clients"), 1);
}

/// What a script or a transaction publishes does not gather until its end.
#[test]
fn a_script_that_publishes_much_is_bounded_by_the_limits() {
    const MESSAGES: usize = 300;
    let server = Server::start(&["--client-output-buffer-limit", "pubsub 4mb 0 0"]);
    let (mut own, mut slow) = (connect3(&server), connect3(&server));
    run_all(&mut slow, "SUBSCRIBE c", 1);
    let message = "m".repeat(1 << 20);
    let script = format!("for i = 1, {MESSAGES} do redis.call('PUBLISH', 'c', ARGV[1]) end");
    own.command(&["EVAL", &script, "0", &message]);
    own.run("MULTI");
    for _ in 0..20 {
        own.command(&["PUBLISH", "c", &message]);
    }
    own.run("EXEC");
    if is_ours() {
        // The queue of the transaction, and what a socket takes.
        let peak = server.info_number("used_memory_peak");
        assert!(peak < 60 << 20, "{peak} bytes were in use");
        assert!(server.info_number("client_output_buffer_limit_disconnections") > 0);
    }
}

/// However much it is, everybody is told all of it in order, and who publishes hears of it behind the reply.
#[test]
fn what_a_transaction_publishes_has_its_place() {
    const MESSAGES: usize = 40;
    let server = Server::start(&[]);
    let (mut own, mut other) = (connect3(&server), connect3(&server));
    run_all(&mut own, "SUBSCRIBE c", 1);
    run_all(&mut other, "SUBSCRIBE c", 1);
    let padding = "m".repeat(100_000);
    own.run("MULTI");
    for i in 0..MESSAGES {
        own.command(&["PUBLISH", "c", &format!("{i}:{padding}")]);
    }
    let expected = Value::Array(vec![Value::Integer(2); MESSAGES]);
    assert_eq!(own.run("EXEC"), expected);
    for client in [&mut own, &mut other] {
        for i in 0..MESSAGES {
            let message = texts(&client.read());
            assert_eq!(message[..2], ["message", "c"]);
            assert!(message[2].starts_with(&format!("{i}:")), "{i}");
        }
        assert_eq!(client.run("PING"), Value::Simple("PONG".into()));
    }
}

#[test]
fn many_subscribers_are_all_told_in_order() {
    let server = Server::start(&[]);
    let mut listeners: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    for listener in &mut listeners {
        listener.run("SUBSCRIBE a");
    }
    let mut sender = server.connect();
    // More at once than is queued before some are sent.
    let batch: Vec<u8> = (0..1000)
        .flat_map(|i| frame(&["PUBLISH", "a", &i.to_string()]))
        .collect();
    sender.send(batch);
    for _ in 0..1000 {
        assert_eq!(sender.read(), Value::Integer(200));
    }
    for listener in &mut listeners {
        for i in 0..1000 {
            assert_eq!(listener.read().items()[2].text(), i.to_string());
        }
    }
}

/// They are told in several turns of the loop, between which the sender goes on.
#[test]
fn all_of_more_subscribers_than_one_turn_serves_are_told_everything() {
    let mut server = Server::start(&[]);
    let mut listeners: Vec<Client> = (0..700).map(|_| server.connect()).collect();
    for (index, listener) in listeners.iter_mut().enumerate() {
        if index % 2 == 1 {
            listener.run("HELLO 3");
        }
        run_all(listener, "SUBSCRIBE c", 1);
    }
    let mut sender = server.connect();
    let message = |n: usize| format!("{n}").repeat(1 + n * n);
    for n in 0..40 {
        let reply = sender.run(&format!("PUBLISH c {}", message(n)));
        assert_eq!(reply, Value::Integer(700));
    }
    // Nor does one that ends the server cut anything off.
    sender.send("SHUTDOWN NOSAVE\r\n");
    for listener in &mut listeners {
        for n in 0..40 {
            assert_eq!(texts(&listener.read())[2], message(n));
        }
        assert!(listener.read_to_close().is_empty());
    }
    server.wait();
}

#[test]
fn events_are_told_in_the_order_in_which_they_happened() {
    let server = Server::start(&["--notify-keyspace-events", "KEA"]);
    let (mut listener, mut client) = (server.connect(), server.connect());
    listener.run("PSUBSCRIBE __key*__:*");
    client.run("RPUSH list a");
    client.run("LMOVE list other LEFT RIGHT");
    client.run("SET key value EX 100");
    let expected = [
        ("keyspace@0__:list", "rpush"),
        ("keyevent@0__:rpush", "list"),
        ("keyspace@0__:other", "rpush"),
        ("keyevent@0__:rpush", "other"),
        ("keyspace@0__:list", "lpop"),
        ("keyevent@0__:lpop", "list"),
        ("keyspace@0__:list", "del"),
        ("keyevent@0__:del", "list"),
        ("keyspace@0__:key", "set"),
        ("keyevent@0__:set", "key"),
        ("keyspace@0__:key", "expire"),
        ("keyevent@0__:expire", "key"),
    ];
    let heard: Vec<Vec<String>> = expected.iter().map(|_| texts(&listener.read())).collect();
    for ((channel, message), heard) in expected.iter().zip(&heard) {
        assert_eq!(
            heard[2..],
            [format!("__{channel}"), message.to_string()],
            "{heard:?}"
        );
    }
    // Nothing is told twice, by the clock or otherwise.
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(texts(&listener.run("PING")), ["pong", ""]);
}

#[test]
fn a_new_key_is_said_to_be_new_first() {
    let server = Server::start(&["--notify-keyspace-events", "KAn"]);
    let (mut listener, mut client) = (server.connect(), server.connect());
    listener.run("PSUBSCRIBE *");
    client.run("SET key value PX 100000 NX");
    for event in ["new", "set", "expire"] {
        assert_eq!(texts(&listener.read())[3], event);
    }
}

#[test]
fn the_largest_clients_are_evicted() {
    if !is_ours() {
        // What a client takes is each server's own affair.
        return;
    }
    let server = Server::start(&[]);
    let mut control = server.connect();
    control.run("CLIENT NO-EVICT ON");
    let mut clients: Vec<Client> = [100_000, 900_000, 300_000]
        .map(|bytes: usize| {
            let mut client = server.connect();
            client.send(format!("*2\r\n${bytes}\r\n{}", "x".repeat(bytes)));
            client
        })
        .into();
    wait_for(Duration::from_secs(5), "the requests to come", || {
        (server.info_number("mem_clients_normal") > 1_300_000).then_some(())
    });
    control.run("CONFIG SET maxmemory-clients 800000");
    assert_eq!(clients[1].read_to_close(), b"");
    for index in [0, 2] {
        clients[index].send("\r\n$1\r\nx\r\n");
        assert!(clients[index].read().is_error());
    }
    assert_eq!(server.info_number("evicted_clients"), 1);
    assert!(server.log().contains("Evicting client"));
}

/// What a client does behind CLIENT KILL in a pipeline or transaction meets nothing of the one that was killed: no
/// subscription, no wait that would take an element with it, no copies of keys.
#[test]
fn who_is_killed_is_gone_at_once() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    let mut check = |words: &str, behind: &str, expected: &str| {
        for (begin, end, replies) in [("", "", ""), ("MULTI\r\n", "EXEC\r\n", "+OK\r\n")] {
            let mut killed = server.connect();
            let Value::Integer(id) = killed.run("CLIENT ID") else {
                panic!("an integer");
            };
            let (sends_nothing, words) = match words.strip_prefix("BLOCKED ") {
                Some(words) => (true, words),
                None => (false, words),
            };
            if sends_nothing {
                park(&server, &mut killed, words);
            } else {
                killed.run(words);
            }
            let commands = behind.lines().count() + 1;
            let mut expected_all = replies.to_string();
            if !replies.is_empty() {
                expected_all += &"+QUEUED\r\n".repeat(commands);
                expected_all += &format!("*{commands}\r\n");
            }
            expected_all += ":1\r\n";
            expected_all += expected;
            let behind = behind.replace("@ID", &id.to_string()).replace('\n', "\r\n");
            other.send(format!("{begin}CLIENT KILL ID {id}\r\n{behind}\r\n{end}"));
            other.expect(&expected_all);
            killed.read_to_close();
            other.run("FLUSHALL");
        }
    };
    check(
        "SUBSCRIBE c",
        "PUBLISH c m\nPUBSUB CHANNELS\nPUBSUB NUMSUB c",
        ":0\r\n*0\r\n*2\r\n$1\r\nc\r\n:0\r\n",
    );
    check(
        "BLOCKED BLPOP l 0",
        "RPUSH l x\nLLEN l\nCLIENT UNBLOCK @ID",
        ":1\r\n:1\r\n:0\r\n",
    );
    check(
        "PING",
        "CLIENT KILL ID @ID\nCLIENT LIST ID @ID\nCLIENT TRACKING ON REDIRECT @ID",
        ":0\r\n$0\r\n\r\n-ERR The client ID you want redirect to does not exist\r\n",
    );
}
