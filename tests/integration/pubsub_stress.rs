//! Messages of all sizes under stress: every one must arrive on the channel that it was published to, whole, and
//! in its order, however slowly it is read and whoever comes and goes meanwhile.
//!
//! Publishers send pipelines, cut anywhere, with replies, without, and in transactions. Subscribers speak either
//! protocol, read slowly, change their subscriptions, have other replies among the messages, and some are killed
//! again and again. A message tells its publisher, its number on its channel, and the channel.
//!
//! `CINNABAR_STRESS` multiplies the number of messages.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::Server;
use crate::resp::{Client, Value, frame};

const CHANNELS: u64 = 24;
const PUBLISHERS: u64 = 4;
const SUBSCRIBERS: u64 = 8;
/// The first ones are killed and come again.
const KILLED: u64 = 3;
/// Patterns of all channels with messages, one for each of the last subscribers.
const PATTERNS: [&str; 3] = ["*[0-9]", "*:*", "?*:*"];
/// Messages of each publisher.
const MESSAGES: u64 = 1200;
/// A value beyond the size from which replies are sent from where they lie.
const VALUE_BYTES: usize = 20_000;

/// Xorshift: the same choices in each run, as far as the clock has no say.
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Whether something that happens once in so many times happens now.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// What is known of a message: the number that it has among its publisher's on its channel.
type Numbers = HashMap<(u64, String), u64>;

/// A message, filled up to a length; those of one byte have nothing but their number.
fn message(publisher: u64, channel: &str, number: u64, len: u64) -> Vec<u8> {
    if channel.starts_with("byte") {
        return vec![number as u8];
    }
    let mut text = format!("{publisher} {number} {channel} ").into_bytes();
    let end = (len as usize).max(text.len());
    text.resize(end, b'a' + ((publisher + number) % 26) as u8);
    text
}

/// Checks that a message is one of this channel, and says whose it is and which number it has.
fn check_message(channel: &str, bytes: &[u8]) -> (u64, u64) {
    if let Some(publisher) = channel.strip_prefix("byte:") {
        assert_eq!(bytes.len(), 1, "{channel}");
        return (publisher.parse().unwrap(), bytes[0].into());
    }
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
    let mut words = bytes.splitn(4, |&byte| byte == b' ');
    let mut word = || String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
    let (publisher, number, named) = (word(), word(), word());
    assert_eq!(named, channel, "a message came by another channel: {shown}");
    let (publisher, number) = (publisher.parse().unwrap(), number.parse().unwrap());
    let whole = message(publisher, channel, number, bytes.len() as u64);
    assert!(whole == bytes, "a message is not what was sent: {shown}");
    (publisher, number)
}

fn length(draws: &mut Draws) -> u64 {
    match draws.below(10) {
        0..=4 => draws.below(200),
        5 | 6 => draws.below(5_000),
        7 | 8 => 15_000 + draws.below(10_000),
        _ => draws.below(100_000),
    }
}

/// Publishes, and says how many messages each channel got.
fn publish(server: &Server, publisher: u64, messages: u64) -> Numbers {
    let mut client = server.connect();
    let mut draws = Draws(1000 + publisher);
    let is_silent = publisher == 1;
    let in_transactions = publisher == 2;
    if publisher == 3 {
        client.run("HELLO 3");
    }
    if is_silent {
        client.send("CLIENT REPLY OFF\r\n");
    }
    let mut numbers = Numbers::new();
    let mut left = messages;
    while left > 0 {
        let count = (1 + draws.below(12)).min(left);
        left -= count;
        let mut pipeline = Vec::new();
        let mut replies = count;
        if in_transactions {
            pipeline.extend(frame(&["MULTI"]));
            replies += 2;
        }
        for _ in 0..count {
            let channel = match draws.below(CHANNELS + 1) {
                CHANNELS => format!("byte:{publisher}"),
                channel => format!("ch:{channel}"),
            };
            let number = numbers.entry((publisher, channel.clone())).or_default();
            let text = message(publisher, &channel, *number, length(&mut draws));
            *number += 1;
            pipeline.extend(frame(&[b"PUBLISH", channel.as_bytes(), &text]));
        }
        if in_transactions {
            pipeline.extend(frame(&["EXEC"]));
        }
        let mut rest = &pipeline[..];
        while !rest.is_empty() {
            let some = 1 + draws.below(120_000) as usize;
            let (piece, others) = rest.split_at(some.min(rest.len()));
            client.send(piece);
            rest = others;
        }
        for _ in 0..replies * u64::from(!is_silent) {
            let reply = client.read();
            assert!(!reply.is_error(), "{reply:?}");
        }
    }
    // All is done when this is answered.
    client.send("CLIENT REPLY ON\r\nPING\r\n");
    while client.read() != Value::Simple("PONG".into()) {}
    numbers
}

/// What a subscriber knows.
struct Subscriber {
    draws: Draws,
    is_resp3: bool,
    /// The channels whose subscription is confirmed.
    channels: HashSet<String>,
    /// The numbers that come next, by a channel's subscription and by a pattern's.
    next: [Numbers; 2],
}

impl Subscriber {
    /// Takes what came; says whether it was the end.
    fn take(&mut self, value: &Value) -> bool {
        let items = match value {
            Value::Push(items) => items,
            Value::Array(items) if !self.is_resp3 => items,
            Value::Bulk(bytes) => {
                assert!(bytes.len() == VALUE_BYTES && bytes.iter().all(|&byte| byte == b'v'));
                return false;
            }
            other => panic!("{other:?}"),
        };
        let name = |index: usize| items[index].text();
        match name(0).as_str() {
            "subscribe" => {
                self.forget(&name(1));
                self.channels.insert(name(1));
            }
            "unsubscribe" => {
                self.channels.remove(&name(1));
                self.forget(&name(1));
            }
            "message" if name(1) == "end" => return true,
            "message" => {
                let channel = name(1);
                assert!(self.channels.contains(&channel), "{channel} was left");
                self.note(0, channel, &items[2]);
            }
            "pmessage" => {
                assert!(PATTERNS.contains(&&*name(1)));
                self.note(1, name(2), &items[3]);
            }
            "psubscribe" | "pong" => {}
            other => panic!("{other}: {items:?}"),
        }
        false
    }

    fn forget(&mut self, channel: &str) {
        self.next[0].retain(|(_, of), _| of != channel);
    }

    /// Checks a message, and that it is the one after the last on its channel.
    fn note(&mut self, by: usize, channel: String, message: &Value) {
        let Value::Bulk(bytes) = message else {
            panic!("{message:?}");
        };
        let (publisher, number) = check_message(&channel, bytes);
        let is_byte = channel.starts_with("byte");
        let shown = format!("of publisher {publisher} on {channel}");
        let next = self.next[by].entry((publisher, channel));
        let expected = next.or_insert(number);
        let same = match is_byte {
            true => *expected as u8 == number as u8,
            false => *expected == number,
        };
        assert!(same, "{number} {shown} came instead of {expected}");
        *expected += 1;
    }

    /// Does something that gives the server more to do.
    fn stir(&mut self, client: &mut Client) -> std::io::Result<()> {
        if self.draws.once_in(20) {
            thread::sleep(Duration::from_micros(100 + self.draws.below(2_000)));
        }
        if !self.draws.once_in(30) {
            return Ok(());
        }
        let channel = self.draws.below(CHANNELS);
        let words = match self.draws.below(4) {
            0 => format!("SUBSCRIBE ch:{channel}\r\n"),
            1 => format!("UNSUBSCRIBE ch:{channel}\r\n"),
            _ if self.is_resp3 => "GET value\r\n".into(),
            _ => "PING\r\n".into(),
        };
        client.try_send(words)
    }
}

/// Reads what is published until the end of it, from a new connection whenever one is lost; says which numbers
/// come next.
fn subscribe(server: &Server, number: u64, ids: &Mutex<HashMap<u64, i64>>) -> Numbers {
    let mut life = 0;
    loop {
        life += 1;
        let mut client = server.connect();
        let mut subscriber = Subscriber {
            draws: Draws(1 + number + 100 * life),
            is_resp3: number % 2 == 1,
            channels: HashSet::new(),
            next: Default::default(),
        };
        if number < KILLED {
            let Value::Integer(id) = client.run("CLIENT ID") else {
                panic!("an integer");
            };
            ids.lock().unwrap().insert(number, id);
        }
        match listen(&mut client, &mut subscriber, number) {
            Ok(()) => return std::mem::take(&mut subscriber.next[1]),
            Err(error) => assert!(number < KILLED, "{error}"),
        }
    }
}

/// The pattern that a subscriber listens to.
fn pattern_of(number: u64) -> Option<&'static str> {
    let index = number.checked_sub(SUBSCRIBERS - PATTERNS.len() as u64)?;
    PATTERNS.get(index as usize).copied()
}

fn listen(client: &mut Client, subscriber: &mut Subscriber, number: u64) -> std::io::Result<()> {
    if subscriber.is_resp3 {
        client.try_send("HELLO 3\r\n")?;
        client.try_read()?;
    }
    client.try_send("SUBSCRIBE end\r\nSUBSCRIBE ch:1 ch:2 ch:3 ch:5\r\n")?;
    if let Some(pattern) = pattern_of(number) {
        client.try_send(format!("PSUBSCRIBE {pattern}\r\n"))?;
    }
    while !subscriber.take(&client.try_read()?) {
        subscriber.stir(client)?;
    }
    Ok(())
}

#[test]
fn every_message_comes_by_its_channel_in_its_order() {
    let factor = std::env::var("CINNABAR_STRESS").map_or(1, |factor| factor.parse().unwrap());
    let server = Server::start(&["--client-output-buffer-limit", "pubsub 0 0 0"]);
    let mut control = server.connect();
    control.command(&["SET", "value", &"v".repeat(VALUE_BYTES)]);
    let (ids, is_over) = (Mutex::new(HashMap::new()), AtomicBool::new(false));
    thread::scope(|scope| {
        let (server, ids, is_over) = (&server, &ids, &is_over);
        let subscribers: Vec<_> = (0..SUBSCRIBERS)
            .map(|number| scope.spawn(move || subscribe(server, number, ids)))
            .collect();
        // Those who miss nothing must all be there.
        while control.run("PUBSUB NUMPAT") != Value::Integer(PATTERNS.len() as i64)
            || control.run("PUBSUB NUMSUB end").items()[1] != Value::Integer(SUBSCRIBERS as i64)
        {
            thread::sleep(Duration::from_millis(1));
        }
        let killer = scope.spawn(move || {
            let mut client = server.connect();
            let mut draws = Draws(77);
            while !is_over.load(Ordering::Relaxed) {
                let id = ids.lock().unwrap().get(&draws.below(KILLED)).copied();
                if let Some(id) = id {
                    client.run(&format!("CLIENT KILL ID {id}"));
                }
                thread::sleep(Duration::from_millis(draws.below(20)));
            }
        });
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|number| scope.spawn(move || publish(server, number, factor * MESSAGES)))
            .collect();
        let mut published = Numbers::new();
        for publisher in publishers {
            published.extend(publisher.join().unwrap());
        }
        is_over.store(true, Ordering::Relaxed);
        killer.join().unwrap();
        // Those who were killed last may miss the first.
        while subscribers
            .iter()
            .any(|subscriber| !subscriber.is_finished())
        {
            control.run("PUBLISH end end");
            thread::sleep(Duration::from_millis(20));
        }
        for (number, subscriber) in subscribers.into_iter().enumerate() {
            let next = subscriber.join().unwrap();
            if pattern_of(number as u64).is_some() {
                let whole = next.into_iter().map(|(of, next)| {
                    let is_byte = of.1.starts_with("byte");
                    (of.clone(), if is_byte { published[&of] } else { next })
                });
                assert!(whole.collect::<Numbers>() == published, "some were missed");
            }
        }
    });
}
