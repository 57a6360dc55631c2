//! Who is let in: `maxclients` and `protected-mode`, with Redis's texts.

use std::net::UdpSocket;
use std::time::Duration;

use crate::harness::{Server, wait_for};
use crate::resp::{Client, Value};

#[test]
fn one_client_too_many_is_told_so() {
    let server = Server::start(&["--maxclients", "5"]);
    // The harness's own first connection may still be on its way out.
    wait_for(Duration::from_secs(5), "an empty server", || {
        (server.info_number("connected_clients") == 1).then_some(())
    });
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..5 {
        let mut client = server.connect();
        assert_eq!(client.run("PING"), Value::Simple("PONG".into()));
        clients.push(client);
    }
    let mut refused = server.connect();
    assert_eq!(
        refused.read_to_close(),
        b"-ERR max number of clients reached\r\n"
    );
    clients.pop();
    wait_for(Duration::from_secs(5), "a free place", || {
        let mut client = server.connect();
        client.try_send("PING\r\n").ok()?;
        (client.try_read().ok()? == Value::Simple("PONG".into())).then_some(())
    });
    assert!(
        clients[0]
            .run("INFO stats")
            .text()
            .contains("rejected_connections:")
    );
}

#[test]
fn protected_mode_refuses_other_machines() {
    // No packet is sent: the route alone says which address of ours would be used.
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    if probe.connect("198.51.100.1:9").is_err() {
        return;
    }
    let address = probe.local_addr().unwrap().ip();
    if address.is_loopback() {
        return;
    }
    let server = Server::start(&["--bind", "0.0.0.0", "--protected-mode", "yes"]);
    let mut client = Client::tcp(&format!("{address}:{}", server.port));
    let refusal = String::from_utf8(client.read_to_close()).unwrap();
    assert!(refusal.starts_with("-DENIED "), "{refusal}");
    assert_eq!(
        server.connect().run("CONFIG SET protected-mode no"),
        Value::ok()
    );
    let mut client = Client::tcp(&format!("{address}:{}", server.port));
    assert_eq!(client.run("PING"), Value::Simple("PONG".into()));
}

#[test]
fn several_addresses_may_be_bound() {
    // A leading minus makes an address optional: 192.0.2.1 is no machine's.
    let server = Server::start(&["--bind", "127.0.0.1", "127.0.0.2", "-192.0.2.1"]);
    let mut client = Client::tcp(&format!("127.0.0.2:{}", server.port));
    assert_eq!(client.run("PING"), Value::Simple("PONG".into()));
    assert_eq!(server.connect().run("PING"), Value::Simple("PONG".into()));
}
