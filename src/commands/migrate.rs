//! MIGRATE: keys move to another server, by DUMP here and RESTORE there. The server waits for the other one;
//! a key is deleted here when that has said that it took it.

use super::args::{integer, is};
use crate::keyspace::effects::Class;
use crate::persist::rdb::{self, Version};
use crate::resp::encode;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::config::Choice;
use crate::server::cx::ServerCx;
use crate::server::peers::{Peer, is_timeout};
use std::io;
use std::time::Duration;

/// The family's table, as far as it moves keys between servers.
pub static COMMANDS: &[Command] = &[cmd("migrate", -6, Server(migrate))
    .group(Group::Generic)
    .categories(CAT_KEYSPACE | CAT_DANGEROUS)
    .since("2.6.0")
    .flags(WRITE)
    .keys(&[
        KeySpec::at(3).flags(RW | ACCESS | DELETE),
        KeySpec {
            begin: Begin::Keyword("KEYS", -2),
            ..KeySpec::at(0)
        }
        .to_end(1)
        .flags(RW | ACCESS | DELETE | INCOMPLETE),
    ])
    .doc(
        "Moves keys to another server, each of them in one piece.",
        "DUMP and DEL here and RESTORE there, and O(N) for what goes over the network",
    )
    .usage(
        "host port <key | \"\"> destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password] \
         [KEYS key [key ...]]",
    )
    .history(&[
        ("3.0.0", "Added the `COPY` and `REPLACE` options."),
        ("3.0.6", "Added the `KEYS` option."),
        ("4.0.7", "Added the `AUTH` option."),
        ("6.0.0", "Added the `AUTH2` option."),
    ])
    .tips(&["nondeterministic_output"])];

/// What is asked for.
struct Order<'a> {
    host: &'a [u8],
    port: &'a [u8],
    db: i64,
    timeout: Duration,
    copy: bool,
    replace: bool,
    /// The arguments of AUTH there.
    credentials: Vec<&'a [u8]>,
    keys: Vec<&'a [u8]>,
}

/// How far an attempt has come.
enum Failure {
    /// Nothing was taken there; another attempt may do better.
    Retry(ErrorReply),
    /// It is over.
    Final(ErrorReply),
}

fn migrate(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let mut order = parse(argv)?;
    let mut data = cx.data();
    order
        .keys
        .retain(|key| data.find_read(data.keyspace.key(key)).is_some());
    if order.keys.is_empty() {
        cx.reply.simple("NOKEY");
        return Ok(());
    }
    let outcome = match attempt(cx, &order) {
        // It is common that a connection that was kept was closed there.
        Err(Failure::Retry(_)) => attempt(cx, &order),
        outcome => outcome,
    };
    match outcome {
        Ok(()) => {
            cx.reply.ok();
            Ok(())
        }
        Err(Failure::Retry(error) | Failure::Final(error)) => Err(error),
    }
}

fn parse(argv: Argv<'_>) -> Result<Order<'_>, ErrorReply> {
    let mut order = Order {
        host: argv.at(1),
        port: argv.at(2),
        db: 0,
        timeout: Duration::ZERO,
        copy: false,
        replace: false,
        credentials: Vec::new(),
        keys: vec![argv.at(3)],
    };
    let mut i = 6;
    while let Some(option) = argv.get(i) {
        let left = argv.len() - 1 - i;
        if is(option, "COPY") {
            order.copy = true;
        } else if is(option, "REPLACE") {
            order.replace = true;
        } else if is(option, "AUTH") && left >= 1 {
            order.credentials = vec![argv.at(i + 1)];
            i += 1;
        } else if is(option, "AUTH2") && left >= 2 {
            order.credentials = vec![argv.at(i + 1), argv.at(i + 2)];
            i += 2;
        } else if is(option, "KEYS") {
            if !argv.at(3).is_empty() {
                return Err(
                    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string".into(),
                );
            }
            order.keys = (i + 1..argv.len()).map(|index| argv.at(index)).collect();
            break;
        } else {
            return Err(error::SYNTAX);
        }
        i += 1;
    }
    let timeout_ms = integer(argv.at(5))?;
    order.db = integer(argv.at(4))?;
    let timeout_ms = if timeout_ms <= 0 { 1000 } else { timeout_ms };
    order.timeout = Duration::from_millis(timeout_ms.unsigned_abs());
    Ok(order)
}

/// Sends all keys and takes the answers.
fn attempt(cx: &mut ServerCx<'_>, order: &Order<'_>) -> Result<(), Failure> {
    let now_ms = cx.server.now_ms();
    let peers = &mut cx.server.peers;
    let db_there = match peers.get(order.host, order.port, order.timeout, now_ms) {
        Ok(peer) => peer.db,
        Err(_) => {
            peers.close(order.host, order.port);
            return Err(Failure::Final(
                "IOERR error or timeout connecting to the client".into(),
            ));
        }
    };
    let select = db_there != Some(order.db);
    let (request, keys) = write_request(cx, order, select);
    let peers = &mut cx.server.peers;
    let peer = peers.get(order.host, order.port, order.timeout, now_ms);
    let exchanged = peer
        .map_err(|error| (error, "writing"))
        .and_then(|peer| exchange(peer, &request, order, select, keys.len()));
    let answers = exchanged.map_err(|(error, what)| {
        cx.server.peers.close(order.host, order.port);
        let text = format!("IOERR error or timeout {what} to target instance").into();
        match is_timeout(&error) {
            true => Failure::Final(text),
            false => Failure::Retry(text),
        }
    })?;
    settle(cx, order, &keys, answers)
}

/// What came back.
struct Answers {
    /// What RESTORE said of each key, as far as it came.
    restored: Vec<Vec<u8>>,
    /// The error of AUTH or SELECT, which is all keys' too.
    refusal: Option<Vec<u8>>,
    /// Whether the connection broke before all had come.
    is_broken: bool,
}

/// Sends a request and reads the answers: those of AUTH and SELECT first, if they were sent. A failure
/// before the first key's is one of all.
fn exchange(
    peer: &mut Peer,
    request: &[u8],
    order: &Order<'_>,
    select: bool,
    keys: usize,
) -> Result<Answers, (io::Error, &'static str)> {
    peer.send(request).map_err(|error| (error, "writing"))?;
    let mut answers = Answers {
        restored: Vec::new(),
        refusal: None,
        is_broken: false,
    };
    for sent in [!order.credentials.is_empty(), select] {
        if sent {
            let line = peer.line().map_err(|error| (error, "reading"))?;
            if line.first() == Some(&b'-') && answers.refusal.is_none() {
                answers.refusal = Some(line);
            }
        }
    }
    for index in 0..keys {
        match peer.line() {
            Ok(line) => answers.restored.push(line),
            Err(error) if index == 0 && answers.refusal.is_none() => {
                return Err((error, "reading"));
            }
            Err(_) => {
                answers.is_broken = true;
                break;
            }
        }
    }
    Ok(answers)
}

/// Deletes what was taken there, and says how it went.
fn settle(
    cx: &mut ServerCx<'_>,
    order: &Order<'_>,
    keys: &[&[u8]],
    answers: Answers,
) -> Result<(), Failure> {
    let mut error = answers.refusal;
    let mut taken: Vec<&[u8]> = Vec::new();
    let refused = error.is_some();
    for (key, line) in keys.iter().zip(answers.restored) {
        if line.first() == Some(&b'-') {
            error.get_or_insert(line);
        } else if !refused {
            taken.push(key);
        }
    }
    let peers = &mut cx.server.peers;
    if answers.is_broken {
        peers.close(order.host, order.port);
    } else {
        let db = error.is_none().then_some(order.db);
        peers.note_db(order.host, order.port, db);
    }
    if !order.copy && !taken.is_empty() {
        delete(cx, &taken);
    }
    match error {
        Some(line) => {
            let line = String::from_utf8_lossy(&line[1..]).into_owned();
            let text = format!("ERR Target instance replied with error: {line}");
            Err(Failure::Final(text.into()))
        }
        None if answers.is_broken => Err(Failure::Final(
            "IOERR error or timeout reading to target instance".into(),
        )),
        None => Ok(()),
    }
}

/// Deletes keys that are elsewhere now.
fn delete(cx: &mut ServerCx<'_>, keys: &[&[u8]]) {
    let mut data = cx.data();
    for name in keys {
        let key = data.keyspace.key(name);
        if let Some(place) = data.db().find(key) {
            data.delete(key, place, data.config.lazyfree_lazy_server_del);
            data.effects
                .changed(Class::Generic, "del", data.db_index, name);
        }
    }
    let command: Vec<&[u8]> = std::iter::once(&b"DEL"[..])
        .chain(keys.iter().copied())
        .collect();
    data.effects.rewrite(&command);
}

/// The request for all keys that have not expired, and those keys.
fn write_request<'k>(
    cx: &mut ServerCx<'_>,
    order: &Order<'k>,
    select: bool,
) -> (Vec<u8>, Vec<&'k [u8]>) {
    let (mut request, mut keys, mut payload) = (Vec::new(), Vec::new(), Vec::new());
    if !order.credentials.is_empty() {
        let words: Vec<&[u8]> = std::iter::once(&b"AUTH"[..])
            .chain(order.credentials.iter().copied())
            .collect();
        encode::command(&mut request, words.into_iter());
    }
    if select {
        let mut digits = itoa::Buffer::new();
        let words = [&b"SELECT"[..], digits.format(order.db).as_bytes()];
        encode::command(&mut request, words.into_iter());
    }
    let data = cx.data();
    let version = Version::from_name(data.config.rdb_version.name()).unwrap_or_default();
    for &name in &order.keys {
        let Some(place) = data.db().find(data.keyspace.key(name)) else {
            continue;
        };
        let entry = data.entry(place);
        let ttl = entry.expiry().map_or(0, |at| at - data.now_ms);
        if ttl < 0 {
            continue;
        }
        let ttl = if entry.expiry().is_some() {
            ttl.max(1)
        } else {
            0
        };
        payload.clear();
        rdb::dump(entry, &mut payload, version, data.config.rdbcompression);
        let mut digits = itoa::Buffer::new();
        let words = [
            &b"RESTORE"[..],
            name,
            digits.format(ttl).as_bytes(),
            &payload,
            b"REPLACE",
        ];
        let count = if order.replace { 5 } else { 4 };
        encode::command(&mut request, words[..count].iter().copied());
        keys.push(name);
    }
    (request, keys)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Session;

    #[test]
    fn arguments_are_checked_before_anything_is_sent() {
        let mut session = Session::new();
        session.run("SET key 1");
        for (words, reply) in [
            ("MIGRATE 127.0.0.1 1 nothing 0 10", "+NOKEY"),
            ("MIGRATE 127.0.0.1 1 key 0 10 NOPE", "-ERR syntax error"),
            ("MIGRATE 127.0.0.1 1 key 0 10 AUTH", "-ERR syntax error"),
            ("MIGRATE 127.0.0.1 1 key 0 10 AUTH2 a", "-ERR syntax error"),
            (
                "MIGRATE 127.0.0.1 1 key 0 10 KEYS a",
                "-ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
            ),
            (
                "MIGRATE 127.0.0.1 1 key 0 a",
                "-ERR value is not an integer or out of range",
            ),
            (
                "MIGRATE 127.0.0.1 1 key 0 10",
                "-IOERR error or timeout connecting to the client",
            ),
        ] {
            session.check_reply(words, reply);
        }
    }
}
