//! Clients that send garbage, stop half-way, announce what they do not send or never read: each costs
//! bounded memory, is closed with a reason in the log, and leaves the others alone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Server, info_field, is_ours, wait_for};
use crate::resp::{Client, REPLY_TIMEOUT, Value, frame};

/// A small generator: the same bytes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[test]
fn garbage_harms_nobody() {
    let mut server = Server::start(&[]);
    let mut bystander = server.connect();
    assert_eq!(bystander.run("SET key value"), Value::ok());
    let mut random = Random(0x5EED);
    for _ in 0..300 {
        let mut client = server.connect();
        let garbage: Vec<u8> = (0..random.below(3_000))
            .map(|_| random.next() as u8)
            .collect();
        let _ = client.try_send(garbage);
    }
    assert_eq!(bystander.run("GET key"), Value::bulk("value"));
    assert!(server.is_running());
}

#[test]
fn damaged_frames_harm_nobody() {
    let mut server = Server::start(&[]);
    let mut bystander = server.connect();
    let mut random = Random(0xDA4A6ED);
    let good: Vec<u8> = ["SET", "GET", "APPEND", "GETRANGE", "BITFIELD", "SETEX"]
        .iter()
        .flat_map(|name| frame(&[name, "key", "10", "20"]))
        .collect();
    for _ in 0..500 {
        let mut bytes = good.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = random.next() as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"*$\r\n0123456789-"[random.below(14)]),
            }
        }
        let mut client = server.connect();
        let _ = client.try_send(bytes);
    }
    assert_eq!(bystander.run("PING"), Value::Simple("PONG".into()));
    assert!(server.is_running());
}

#[test]
fn an_announced_size_costs_nothing_before_it_is_sent() {
    let server = Server::start(&[]);
    let before = server.info_number("used_memory");
    let mut clients: Vec<Client> = (0..50)
        .map(|_| {
            let mut client = server.connect();
            client.send("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$536870912\r\nonly this much");
            client
        })
        .chain((0..50).map(|_| {
            let mut client = server.connect();
            client.send("*1000000\r\n$4\r\nMGET\r\n$1\r\na\r\n");
            client
        }))
        .collect();
    assert_eq!(server.connect().run("PING"), Value::Simple("PONG".into()));
    if is_ours() {
        let grown = server.info_number("used_memory") - before;
        assert!(
            grown < 100 * 100_000,
            "100 clients with half a frame cost {grown} bytes"
        );
    }
    // One GiB is past proto-max-bulk-len and refused at once.
    let mut client = server.connect();
    client.send("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$1073741824\r\n");
    assert_eq!(
        client.read_to_close(),
        b"-ERR Protocol error: invalid bulk length\r\n"
    );
    clients.clear();
    wait_for(Duration::from_secs(5), "the clients to be gone", || {
        (server.info_number("connected_clients") == 1).then_some(())
    });
    assert_eq!(server.connect().run("EXISTS key"), Value::Integer(0));
}

#[test]
fn half_a_frame_is_dropped_with_its_connection() {
    let server = Server::start(&[]);
    for request in [
        "*2\r\n$3\r\nSE",
        "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nval",
        "SET key val",
    ] {
        let mut client = server.connect();
        client.send(request);
        client.finish_sending();
        assert_eq!(client.read_to_close(), b"");
    }
    assert_eq!(server.connect().run("DBSIZE"), Value::Integer(0));
}

#[test]
fn a_client_that_never_reads_is_closed_at_the_hard_limit() {
    let server = Server::start(&["--client-output-buffer-limit", "normal", "2mb", "0", "0"]);
    let mut admin = server.connect();
    assert_eq!(
        admin.command(&["SET", "key", &"x".repeat(100_000)]),
        Value::ok()
    );
    let before = server.info_number("used_memory");
    let mut client = server.connect();
    // 20 MB of replies: more than the limit and the socket buffers hold, at most once over.
    let _ = client.try_send(frame(&["GET", "key"]).repeat(1_000));
    wait_for(Duration::from_secs(10), "the client to be closed", || {
        (server.info_number("connected_clients") == 2).then_some(())
    });
    assert!(
        server.log().contains("overcoming of output buffer limits"),
        "the log says why"
    );
    let grown = server.info_number("used_memory") - before;
    assert!(grown < 4 << 20, "{grown} bytes are still held");
    assert_eq!(admin.run("PING"), Value::Simple("PONG".into()));
}

#[test]
fn memory_stays_bounded_while_a_client_does_not_read() {
    let server = Server::start(&["--client-output-buffer-limit", "normal", "1mb", "0", "0"]);
    let mut admin = server.connect();
    assert_eq!(
        admin.command(&["SET", "key", &"x".repeat(1_000_000)]),
        Value::ok()
    );
    for _ in 0..5 {
        let mut client = server.connect();
        let _ = client.try_send(frame(&["GET", "key"]).repeat(2_000));
    }
    let peak = server.info_number("used_memory_peak");
    assert!(peak < 64 << 20, "used_memory reached {peak} bytes");
}

#[test]
fn the_soft_limit_waits_its_seconds() {
    let server = Server::start(&["--client-output-buffer-limit", "normal", "0", "100kb", "2"]);
    let mut admin = server.connect();
    assert_eq!(
        admin.command(&["SET", "key", &"x".repeat(100_000)]),
        Value::ok()
    );
    let mut client = server.connect();
    client.send(frame(&["GET", "key"]).repeat(200));
    let started = Instant::now();
    wait_for(Duration::from_secs(10), "the client to be closed", || {
        (server.info_number("connected_clients") == 2).then_some(())
    });
    assert!(
        started.elapsed() > Duration::from_millis(1_500),
        "closed after {:?}",
        started.elapsed()
    );
    assert!(
        server.log().contains("overcoming of output buffer limits"),
        "the log says why"
    );
}

#[test]
fn a_slow_reader_gets_everything() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let value = "0123456789".repeat(5_000);
    assert_eq!(client.command(&["SET", "key", &value]), Value::ok());
    client.send(frame(&["GET", "key"]).repeat(300));
    thread::sleep(Duration::from_millis(300));
    for _ in 0..300 {
        assert_eq!(client.read(), Value::bulk(&value));
    }
}

#[test]
fn an_idle_client_is_closed() {
    let server = Server::start(&["--timeout", "1"]);
    let mut idle = server.connect();
    let mut busy = server.connect();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        assert_eq!(busy.run("PING"), Value::Simple("PONG".into()));
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(idle.read_to_close(), b"");
}

#[test]
fn a_query_buffer_has_a_limit() {
    let server = Server::start(&["--client-query-buffer-limit", "1mb"]);
    let mut client = server.connect();
    let mut request = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$2000000\r\n".to_vec();
    request.extend(b"x".repeat(2_000_000));
    let _ = client.try_send(request);
    assert_eq!(client.read_to_close(), b"");
    assert!(
        server.log().contains("max query buffer length"),
        "the log says why"
    );
    assert_eq!(server.connect().run("EXISTS key"), Value::Integer(0));
}

/// Who sends faster than it is served waits in its socket.
#[test]
fn a_stranger_that_sends_and_sends_costs_no_memory() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut watcher = server.connect();
    assert_eq!(watcher.run("AUTH secret"), Value::ok());
    let mut stranger = TcpStream::connect(server.address()).unwrap();
    stranger.set_read_timeout(Some(REPLY_TIMEOUT)).unwrap();
    let mut sender = stranger.try_clone().unwrap();
    let sending = thread::spawn(move || {
        let requests = frame(&["PING"]).repeat(20_000);
        // A server that has enough of it may hang up.
        (0..100)
            .take_while(|_| sender.write_all(&requests).is_ok())
            .count()
    });
    let mut replies = vec![0; 1 << 20];
    let (mut received, mut peak) = (0, 0);
    let all = 100 * 20_000 * "-NOAUTH Authentication required.\r\n".len();
    while received < all {
        let read = stranger.read(&mut replies);
        let info = watcher.run("INFO memory").text();
        peak = info_field(&info, "used_memory_peak").parse().unwrap();
        match read {
            Ok(n @ 1..) => received += n,
            _ => break,
        }
    }
    drop(stranger);
    assert!(sending.join().unwrap() > 0);
    if is_ours() {
        assert!(peak < 4 << 20, "{peak} bytes were in use");
    }
}

/// What is cut into requests takes more memory than before.
#[test]
fn many_requests_behind_one_that_waits_cost_what_was_sent() {
    const REQUESTS: usize = 2_000_000;
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    client.send(frame(&["BLPOP", "key", "0"]));
    let requests = "PING\r\n".repeat(REQUESTS / 20);
    (0..20).for_each(|_| client.send(&requests));
    let sent = REQUESTS * "PING\r\n".len();
    wait_for(Duration::from_secs(20), "all of it", || {
        (server.info_number("total_net_input_bytes") > sent as i64).then_some(())
    });
    other.run("RPUSH key value");
    assert_eq!(client.read().items().len(), 2);
    for _ in 0..REQUESTS {
        assert_eq!(client.read(), Value::Simple("PONG".into()));
    }
    if is_ours() {
        let peak = server.info_number("used_memory_peak");
        assert!(peak < 3 * sent as i64, "{peak} bytes were in use");
    }
}

#[test]
fn a_crowd_that_hangs_up_leaves_nothing_behind() {
    let server = Server::start(&[]);
    for _ in 0..10 {
        let clients: Vec<Client> = (0..100)
            .map(|n| {
                let mut client = server.connect();
                client.send(format!(
                    "SET key:{n} value\r\nGET key:{n}\r\n*2\r\n$3\r\nGE"
                ));
                client
            })
            .collect();
        drop(clients);
    }
    wait_for(Duration::from_secs(5), "the clients to be gone", || {
        (server.info_number("connected_clients") == 1).then_some(())
    });
    assert_eq!(server.connect().run("DBSIZE"), Value::Integer(100));
}
