//! Requests and replies on the wire: frames cut anywhere, pipelines, inline commands, protocol errors
//! and the close behind them, HELLO, CLIENT REPLY, QUIT and RESET.

use std::time::Duration;

use crate::harness::{Server, is_ours, wait_for};
use crate::resp::{Client, Value, frame};

const TIMEOUT: Duration = Duration::from_secs(15);

#[test]
fn a_frame_may_be_cut_at_every_byte() {
    let server = Server::start(&[]);
    let mut requests = frame(&[b"SET".as_slice(), b"key", b"a\r\nb\0c"]);
    requests.extend(b"\r\nPING\r\n");
    requests.extend(frame(&["GET", "key"]));
    requests.extend(b"*0\r\n*-1\r\nECHO \"x\\x41\"\n");
    requests.extend(frame(&["ECHO", ""]));
    let replies = b"+OK\r\n+PONG\r\n$6\r\na\r\nb\0c\r\n$2\r\nxA\r\n$0\r\n\r\n";

    let mut other = server.connect();
    for cut in 1..requests.len() {
        let mut client = server.connect();
        client.send(&requests[..cut]);
        // A round trip on another connection: the server has seen the first part by now.
        assert_eq!(other.run("PING"), Value::Simple("PONG".into()));
        client.send(&requests[cut..]);
        client.expect(replies);
    }
}

#[test]
fn a_frame_may_come_byte_by_byte() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for byte in frame(&["SET", "key", "value"])
        .iter()
        .chain(&frame(&["GET", "key"]))
    {
        client.send([*byte]);
        std::thread::sleep(Duration::from_millis(1));
    }
    client.expect("+OK\r\n$5\r\nvalue\r\n");
}

/// The buffer that a large value is read to becomes the value. What was sent around it must not show, nor what is
/// done to it later in what others hold of it.
#[test]
fn a_large_value_stays_where_it_was_read_to() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for size in [40_000, 100_000, 1_000_000, 3_000_000] {
        let value = |with: &str| with.repeat(size);
        let before = server.info_number("used_memory");
        for command in [
            vec!["SET", "a", &value("x")],
            vec!["SET", "b", &value("y"), "EX", "100"],
            vec!["GETSET", "c", &value("z")],
            vec!["MSET", "d", &value("v"), "e", "short"],
        ] {
            // Something smaller before and behind it, in one piece.
            let around = [frame(&["PING"]), frame(&command), frame(&["PING"])].concat();
            client.send(around);
            assert_eq!(client.read(), Value::Simple("PONG".into()));
            assert!(!client.read().is_error());
            assert_eq!(client.read(), Value::Simple("PONG".into()));
        }
        for (key, with) in [("a", "x"), ("b", "y"), ("c", "z"), ("d", "v")] {
            assert_eq!(client.run(&format!("GET {key}")), Value::bulk(value(with)));
        }
        if is_ours() {
            wait_for(TIMEOUT, "the buffers to be given back", || {
                let used = server.info_number("used_memory") - before;
                (used < 4 * (size as i64) * 5 / 4 + 100_000).then_some(())
            });
        }
        assert_eq!(client.run("APPEND a !"), Value::Integer(size as i64 + 1));
        assert_eq!(client.run("GET a"), Value::bulk(value("x") + "!"));
        client.run("SETRANGE b 1 changed");
        assert_eq!(client.run("GETRANGE b 0 8").text(), "ychangedy");
        client.command(&["EVAL", "redis.call('SET', 'f', ARGV[1])", "0", &value("w")]);
        assert_eq!(client.run("GET f"), Value::bulk(value("w")));
        client.run("FLUSHALL");
    }
}

#[test]
fn a_large_value_arrives_in_pieces() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let value: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let request = frame(&[b"SET".as_slice(), b"key", &value]);
    for piece in request.chunks(77_777) {
        client.send(piece);
    }
    assert_eq!(client.read(), Value::ok());
    assert_eq!(client.command(&["GET", "key"]), Value::Bulk(value));
}

#[test]
fn a_pipeline_is_answered_in_order() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut requests = Vec::new();
    for n in 0..5_000 {
        requests.extend(frame(&["INCR", "counter"]));
        requests.extend(frame(&["ECHO", &n.to_string()]));
        requests.extend(frame(&["NOSUCHCOMMAND"]));
    }
    client.send(requests);
    for n in 0..5_000 {
        assert_eq!(client.read(), Value::Integer(n + 1));
        assert_eq!(client.read(), Value::bulk(n.to_string()));
        assert!(client.read().is_error());
    }
}

#[test]
fn commands_before_the_end_of_input_are_answered() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send(frame(&["ECHO", "last words"]).repeat(100));
    client.finish_sending();
    assert_eq!(client.read_to_close(), b"$10\r\nlast words\r\n".repeat(100));
}

#[test]
fn inline_commands() {
    let server = Server::start(&[]);
    let check = |request: &str, reply: &str| {
        let mut client = server.connect();
        client.send(request);
        client.expect(reply);
    };
    check("PING\r\n", "+PONG\r\n");
    check("ping\n", "+PONG\r\n");
    check("\r\n \r\n\nPING\r\n", "+PONG\r\n");
    check("  ECHO \t a  \r\n", "$1\r\na\r\n");
    check("ECHO \"a b\"\r\n", "$3\r\na b\r\n");
    check("ECHO 'a b'\r\n", "$3\r\na b\r\n");
    check("ECHO 'it\\'s \\n'\r\n", "$7\r\nit's \\n\r\n");
    check(
        "ECHO \"\\x41\\n\\r\\t\\b\\a\\\\\\q\"\r\n",
        "$8\r\nA\n\r\t\x08\x07\\q\r\n",
    );
    check("ECHO \"\"\r\n", "$0\r\n\r\n");
    check("ECHO a\"b c\"\r\n", "$4\r\nab c\r\n");
}

#[test]
fn protocol_errors_say_what_is_wrong_and_close() {
    let server = Server::start(&[]);
    let check = |request: &str, error: &str| {
        let mut client = server.connect();
        // What comes before the fault is answered, what comes behind it is not.
        client.send(["PING\r\n".as_bytes(), request.as_bytes(), b"PING\r\n"].concat());
        let reply = client.read_to_close();
        assert_eq!(
            String::from_utf8_lossy(&reply),
            format!("+PONG\r\n-ERR Protocol error: {error}\r\n"),
            "{request:?}"
        );
    };
    check("*a\r\n", "invalid multibulk length");
    check("*\r\n", "invalid multibulk length");
    check("*1 \r\n", "invalid multibulk length");
    check("*+1\r\n", "invalid multibulk length");
    check("*01\r\n", "invalid multibulk length");
    check("*2147483648\r\n", "invalid multibulk length");
    check("*99999999999999999999\r\n", "invalid multibulk length");
    check("*1\r\n+PING\r\n", "expected '$', got '+'");
    check("*1\r\n\r\n", "expected '$', got ' '");
    check("*2\r\n$4\r\nECHO\r\n:5\r\n", "expected '$', got ':'");
    check("*1\r\n$a\r\n", "invalid bulk length");
    check("*1\r\n$-1\r\n", "invalid bulk length");
    check("*1\r\n$04\r\nPING\r\n", "invalid bulk length");
    check("*1\r\n$536870913\r\n", "invalid bulk length");
    check("*1\r\n$1073741824\r\n", "invalid bulk length");
    check("*1\r\n$9223372036854775808\r\n", "invalid bulk length");
    check("ECHO \"a\r\n", "unbalanced quotes in request");
    check("ECHO 'a\r\n", "unbalanced quotes in request");
    check("ECHO \"a\"b\r\n", "unbalanced quotes in request");
}

#[test]
fn a_line_without_an_end_is_refused() {
    let server = Server::start(&[]);
    let check = |start: &str, error: &str| {
        let mut client = server.connect();
        // The server may close before everything is sent.
        let _ = client.try_send([start.as_bytes(), &b"1".repeat(70_000)].concat());
        let reply = client.read_to_close();
        assert_eq!(
            String::from_utf8_lossy(&reply),
            format!("-ERR Protocol error: {error}\r\n")
        );
    };
    check("", "too big inline request");
    check("*", "too big mbulk count string");
    check("*1\r\n$", "too big bulk count string");
}

#[test]
fn lengths_are_small_before_authentication() {
    let server = Server::start(&["--requirepass", "secret"]);
    let check = |request: &str, error: &str| {
        let mut client = server.connect();
        client.send(request);
        assert_eq!(
            String::from_utf8_lossy(&client.read_to_close()),
            format!("-ERR Protocol error: {error}\r\n")
        );
    };
    check("*11\r\n", "unauthenticated multibulk length");
    check(
        "*2\r\n$4\r\nAUTH\r\n$16385\r\n",
        "unauthenticated bulk length",
    );

    let mut client = server.connect();
    client.send("*10\r\n$4\r\nMGET\r\n");
    client.send("$1\r\nx\r\n".repeat(9));
    assert_eq!(client.read().text(), "NOAUTH Authentication required.");
    assert_eq!(client.run("AUTH secret"), Value::ok());
    let value = "x".repeat(20_000);
    assert_eq!(client.command(&["ECHO", &value]).text(), value);
}

/// What AUTH allows holds for what was sent together with it, however the reads fall.
#[test]
fn authentication_counts_for_the_rest_of_its_pipeline() {
    let server = Server::start(&["--requirepass", "secret"]);
    let value = "x".repeat(100_000);
    for _ in 0..20 {
        let mut client = server.connect();
        let mut pipeline = frame(&["AUTH", "secret"]);
        for i in 0..20 {
            pipeline.extend(frame(&["SET", &format!("key:{i}"), &value]));
            pipeline.extend(frame(&["STRLEN", &format!("key:{i}")]));
        }
        client.send(pipeline);
        assert_eq!(client.read(), Value::ok());
        for _ in 0..20 {
            assert_eq!(client.read(), Value::ok());
            assert_eq!(client.read(), Value::Integer(100_000));
        }
    }
}

/// What came before the end of a connection has run when that is noticed.
#[test]
fn what_was_sent_behind_auth_before_hanging_up_runs() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut client = server.connect();
    let requests = frame(&["INCR", "counter"]).repeat(5_000);
    client.send([frame(&["AUTH", "secret"]), requests].concat());
    client.finish_sending();
    assert_eq!(client.read(), Value::ok());
    for expected in 1..=5_000 {
        assert_eq!(client.read(), Value::Integer(expected));
    }
    assert_eq!(client.read_to_close(), b"");
}

/// A pause of writes holds up what a client sent behind its write, too.
#[test]
fn a_paused_pipeline_keeps_its_order() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    assert_eq!(other.run("CLIENT PAUSE 300 WRITE"), Value::ok());
    let mut client = server.connect();
    client.send("INCR counter\r\nGET counter\r\n");
    std::thread::sleep(Duration::from_millis(50));
    client.send("INCR counter\r\nGET counter\r\n");
    for expected in [1, 2] {
        assert_eq!(client.read(), Value::Integer(expected));
        assert_eq!(client.read(), Value::bulk(expected.to_string()));
    }
}

#[test]
fn browsers_are_sent_away() {
    let server = Server::start(&[]);
    for request in ["POST / HTTP/1.1\r\nX: y\r\n\r\n", "Host: localhost\r\n"] {
        let mut client = server.connect();
        client.send(request);
        assert_eq!(client.read_to_close(), b"");
    }
    assert!(
        server.log().contains("SECURITY ATTACK"),
        "the log names the attack"
    );
}

#[test]
fn what_follows_an_argument_is_not_looked_at() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n");
    client.expect("+PONG\r\n+PONG\r\n");
}

#[test]
fn errors_quote_what_was_sent_safely() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut check = |argv: &[&[u8]], error: &str| {
        assert_eq!(client.command(argv), Value::Error(error.into()));
    };
    check(
        &[b"nosuch"],
        "ERR unknown command 'nosuch', with args beginning with: ",
    );
    check(
        &[b"nosuch", b"a\r\nb", b""],
        "ERR unknown command 'nosuch', with args beginning with: 'a  b' '' ",
    );
    check(&[b"GET"], "ERR wrong number of arguments for 'get' command");
    check(
        &[b"client", b"getname", b"x"],
        "ERR wrong number of arguments for 'client|getname' command",
    );
    check(
        &[b"CLIENT"],
        "ERR wrong number of arguments for 'client' command",
    );
    check(
        &[b"CLIENT", b"NOSUCH"],
        "ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.",
    );
    let long = "x".repeat(300);
    let shown = format!(
        "ERR unknown command '{}', with args beginning with: ",
        "x".repeat(128)
    );
    assert_eq!(client.command(&[long]), Value::Error(shown));
    assert_eq!(client.run("PING"), Value::Simple("PONG".into()));
}

#[test]
fn hello_switches_the_protocol() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let field = |reply: &Value, name: &str| match reply {
        Value::Map(pairs) => pairs
            .iter()
            .find(|(key, _)| key.text() == name)
            .expect(name)
            .1
            .clone(),
        Value::Array(items) => items
            .chunks_exact(2)
            .find(|pair| pair[0].text() == name)
            .expect(name)[1]
            .clone(),
        other => panic!("{other:?}"),
    };

    let reply = client.run("HELLO");
    assert!(matches!(reply, Value::Array(_)));
    assert_eq!(field(&reply, "proto"), Value::Integer(2));
    client.send("GET nokey\r\n");
    client.expect("$-1\r\n");

    let reply = client.run("HELLO 3 SETNAME tester");
    assert!(matches!(reply, Value::Map(_)));
    assert_eq!(field(&reply, "server").text(), "redis");
    assert_eq!(field(&reply, "proto"), Value::Integer(3));
    assert_eq!(field(&reply, "mode").text(), "standalone");
    assert_eq!(field(&reply, "role").text(), "master");
    assert_eq!(field(&reply, "modules"), Value::Array(vec![]));
    assert_eq!(client.run("CLIENT GETNAME").text(), "tester");
    assert_eq!(field(&reply, "id"), client.run("CLIENT ID"));
    client.send("GET nokey\r\n");
    client.expect("_\r\n");
    assert!(matches!(client.run("CONFIG GET port"), Value::Map(_)));

    assert!(matches!(client.run("HELLO 2"), Value::Array(_)));
    client.send("GET nokey\r\n");
    client.expect("$-1\r\n");
}

#[test]
fn hello_refuses_and_changes_nothing() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut check = |request: &str, error: &str| {
        client.send(format!("{request}\r\nGET nokey\r\n"));
        client.expect(format!("-{error}\r\n$-1\r\n"));
    };
    check("HELLO 4", "NOPROTO unsupported protocol version");
    check("HELLO 1", "NOPROTO unsupported protocol version");
    check(
        "HELLO x",
        "ERR Protocol version is not an integer or out of range",
    );
    check(
        "HELLO 3 nosuch",
        "ERR Syntax error in HELLO option 'nosuch'",
    );
    check(
        "HELLO 3 SETNAME",
        "ERR Syntax error in HELLO option 'SETNAME'",
    );
    check(
        "HELLO 3 AUTH default",
        "ERR Syntax error in HELLO option 'AUTH'",
    );
    check(
        "HELLO 3 SETNAME \"a b\"",
        "ERR Client names cannot contain spaces, newlines or special characters.",
    );
    check(
        "HELLO 3 AUTH nobody x",
        "WRONGPASS invalid username-password pair or user is disabled.",
    );
}

#[test]
fn hello_authenticates() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut client = server.connect();
    assert_eq!(
        client.run("PING"),
        Value::Error("NOAUTH Authentication required.".into())
    );
    assert!(
        client
            .run("HELLO 3")
            .text()
            .starts_with("NOAUTH HELLO must be called with the client already authenticated")
    );
    assert!(
        client
            .run("HELLO 3 AUTH default wrong")
            .text()
            .starts_with("WRONGPASS ")
    );
    assert!(matches!(
        client.run("HELLO 3 AUTH default secret"),
        Value::Map(_)
    ));
    assert_eq!(client.run("PING"), Value::Simple("PONG".into()));

    let mut client = server.connect();
    assert_eq!(
        client.run("AUTH wrong").text(),
        "WRONGPASS invalid username-password pair or user is disabled."
    );
    assert_eq!(client.run("AUTH secret"), Value::ok());
    assert_eq!(client.run("AUTH default secret"), Value::ok());
    assert_eq!(client.run("RESET").text(), "RESET");
    assert_eq!(
        client.run("PING"),
        Value::Error("NOAUTH Authentication required.".into())
    );
}

#[test]
fn replies_can_be_switched_off() {
    let server = Server::start(&[]);
    let check = |request: &str, reply: &str| {
        let mut client = server.connect();
        client.send(format!("{request}ECHO end\r\n"));
        client.expect(format!("{reply}$3\r\nend\r\n"));
    };
    check(
        "CLIENT REPLY OFF\r\nPING\r\nNOSUCH\r\nCLIENT REPLY ON\r\n",
        "+OK\r\n",
    );
    check("CLIENT REPLY SKIP\r\nPING\r\n", "");
    check("CLIENT REPLY SKIP\r\nNOSUCH\r\nPING\r\n", "+PONG\r\n");
    check(
        "CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nPING\r\nCLIENT REPLY ON\r\n",
        "+OK\r\n",
    );
    check("CLIENT REPLY ON\r\n", "+OK\r\n");
    check("CLIENT REPLY NOSUCH\r\n", "-ERR syntax error\r\n");
}

#[test]
fn quit_answers_and_closes() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("PING\r\nQUIT\r\nSET key value\r\n");
    assert_eq!(client.read_to_close(), b"+PONG\r\n+OK\r\n");
    assert_eq!(server.connect().run("EXISTS key"), Value::Integer(0));
}

#[test]
fn reset_restores_the_connection() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.run("SELECT 3"), Value::ok());
    assert_eq!(client.run("CLIENT SETNAME someone"), Value::ok());
    client.run("HELLO 3");
    assert_eq!(client.run("SET key here"), Value::ok());
    assert_eq!(client.run("RESET"), Value::Simple("RESET".into()));
    client.send("GET key\r\n");
    client.expect("$-1\r\n");
    assert_eq!(client.run("CLIENT GETNAME"), Value::Null);
    assert_eq!(client.run("SELECT 3"), Value::ok());
    assert_eq!(client.run("GET key"), Value::bulk("here"));
}

#[test]
fn databases_are_apart() {
    let server = Server::start(&["--databases", "4"]);
    let mut client = server.connect();
    assert_eq!(client.run("SET key zero"), Value::ok());
    assert_eq!(client.run("SELECT 3"), Value::ok());
    assert_eq!(client.run("GET key"), Value::Null);
    assert_eq!(
        client.run("SELECT 4"),
        Value::Error("ERR DB index is out of range".into())
    );
    assert_eq!(
        client.run("SELECT -1"),
        Value::Error("ERR DB index is out of range".into())
    );
    assert_eq!(
        client.run("SELECT x"),
        Value::Error("ERR value is not an integer or out of range".into())
    );
    assert_eq!(client.run("SWAPDB 0 3"), Value::ok());
    assert_eq!(client.run("GET key"), Value::bulk("zero"));
    assert_eq!(client.run("DBSIZE"), Value::Integer(1));
}

#[test]
fn a_unix_socket_speaks_the_same() {
    let builder = Server::builder();
    let socket = builder.folder().join("socket");
    let server = builder
        .args(&[
            "--unixsocket",
            socket.to_str().unwrap(),
            "--unixsocketperm",
            "700",
        ])
        .start();
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let mut client = Client::unix(&socket);
    assert_eq!(client.run("SET key value"), Value::ok());
    assert_eq!(server.connect().run("GET key"), Value::bulk("value"));
    let listed = client.run("CLIENT LIST").text();
    assert!(
        listed.contains(&format!("addr={}:0 ", socket.display())),
        "{listed}"
    );
}

#[test]
fn the_server_says_who_it_is() {
    let server = Server::start(&[]);
    assert_eq!(server.info_number("tcp_port"), i64::from(server.port));
    assert_eq!(server.info_number("process_id"), i64::from(server.pid()));
    if is_ours() {
        assert_eq!(server.info("redis_version"), "7.4.0");
        assert_eq!(server.info("server_name"), "cinnabar");
        assert_eq!(server.info("cinnabar_version"), env!("CARGO_PKG_VERSION"));
    }
}
