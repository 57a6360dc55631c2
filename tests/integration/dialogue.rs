//! Dialogues between a server and several connections, written down line by line:
//! ```text
//! 1> GET k => v       connection 1 sends GET k and is answered v
//! 2< >[invalidate, [k]]     connection 2 is sent this
//! ```
//! Values are written as [`render`] does; `*` stands for any. A connection's first mention opens it. At the end none of them may
//! have been sent anything else.

use std::collections::BTreeMap;

use crate::harness::Server;
use crate::resp::{Client, Value};

/// Plays a dialogue with a server.
#[track_caller]
pub fn play(server: &Server, dialogue: &str) {
    Dialogue::with(server).play(dialogue);
}

/// The connections of a dialogue that goes on.
pub struct Dialogue<'a> {
    server: &'a Server,
    clients: BTreeMap<String, Client>,
}

impl<'a> Dialogue<'a> {
    pub fn with(server: &'a Server) -> Dialogue<'a> {
        let clients = BTreeMap::new();
        Dialogue { server, clients }
    }

    /// A connection.
    pub fn client(&mut self, name: &str) -> &mut Client {
        let server = self.server;
        self.clients
            .entry(name.into())
            .or_insert_with(|| server.connect())
    }

    /// Takes a connection out of it.
    pub fn take(&mut self, name: &str) -> Client {
        self.clients.remove(name).expect("it was mentioned")
    }

    /// Plays some lines, and checks that nothing else was sent.
    #[track_caller]
    pub fn play(&mut self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|l| !l.is_empty()) {
            self.play_line(line);
        }
        for (name, client) in &mut self.clients {
            let answer = render(&client.run("PING"));
            let is_pong = ["PONG", "[pong, ]"].contains(&answer.as_str());
            assert!(is_pong, "connection {name} was sent {answer} at the end");
        }
    }

    #[track_caller]
    fn play_line(&mut self, line: &str) {
        let (name, rest) = line.split_at(1);
        let (got, expected) = if let Some(request) = rest.strip_prefix("> ") {
            let (words, expected) = request.split_once(" => ").expect("a reply after =>");
            (self.client(name).run(words), expected)
        } else {
            let expected = rest
                .strip_prefix("< ")
                .expect("a line begins with 1> or 1<");
            (self.client(name).read(), expected)
        };
        if expected.trim() != "*" {
            assert_eq!(render(&got).trim(), expected.trim(), "in the line: {line}");
        }
    }
}

/// A value as dialogues show it.
pub fn render(value: &Value) -> String {
    let list = |items: &[Value]| items.iter().map(render).collect::<Vec<_>>().join(", ");
    match value {
        Value::Null => "nil".into(),
        Value::Error(text) => format!("-{text}"),
        Value::Array(items) | Value::Set(items) => format!("[{}]", list(items)),
        Value::Push(items) => format!(">[{}]", list(items)),
        Value::Map(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(key, value)| format!("{}: {}", render(key), render(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Integer(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        other => other.text(),
    }
}
