//! Replies and effects of the commands, as a client, the append-only file and listeners see them.

use super::*;
use crate::base::hash as hashing;
use crate::base::rng::Rng;
use crate::commands::FAMILIES;
use crate::keyspace::effects::{Effects, Propagation};
use crate::resp::argv::OwnedArgv;
use crate::resp::reply::Reply;
use crate::server::client::Endpoint;
use crate::server::config::Config;
use crate::server::cx::KeyHashes;
use crate::server::exec;
use crate::server::state::Server;

/// A server with a client, whose effects all have a listener.
struct Session {
    server: Server,
    slot: usize,
}

impl Session {
    fn new() -> Session {
        let config = Config::default();
        let mut server = Server::new(config, FAMILIES, hashing::process(), Rng::from_seed(1));
        let here = || Endpoint::tcp(([127, 0, 0, 1], 6379));
        let slot = server.add_client(0, here(), here());
        server.effects = Effects::new(u32::MAX, true);
        Session { server, slot }
    }

    /// Runs a command and returns its reply, with a space for every line end.
    fn run(&mut self, words: &str) -> String {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let argv = OwnedArgv::from_slices(&words);
        let mut reply = Reply::new();
        let resolved = self.server.commands.resolve(words[0], None);
        self.server.effects.told.clear();
        self.server.effects.expired_fields.clear();
        exec::request(
            &mut self.server,
            &mut reply,
            self.slot,
            resolved,
            argv.as_argv(),
            KeyHashes::default(),
        );
        let bytes = reply.contiguous(0, reply.len()).expect("short replies");
        let text = String::from_utf8_lossy(bytes);
        text.trim_end().replace("\r\n", " ")
    }

    /// The events of the last command, and what it propagated; numbers above a billion are times.
    fn effects(&self) -> (String, String) {
        let effects = &self.server.effects;
        let events = &effects.told;
        let commands: Vec<String> = match effects.propagation {
            Propagation::AsReceived if effects.dirty == 0 => Vec::new(),
            Propagation::AsReceived => vec!["as received".into()],
            Propagation::Nothing => vec!["nothing".into()],
            Propagation::Rewritten => effects.rewritten.iter().map(shown).collect(),
        };
        (events.join(" "), commands.join("; "))
    }

    /// Runs a command, and compares reply, dirty count, events and propagation.
    #[track_caller]
    fn check(&mut self, words: &str, reply: &str, dirty: u64, events: &str, propagated: &str) {
        assert_eq!(self.run(words), reply, "{words}");
        assert_eq!(self.server.effects.dirty, dirty, "{words}");
        let expected = (events.to_string(), propagated.to_string());
        assert_eq!(self.effects(), expected, "{words}");
    }
}

fn shown<'a>(argv: impl Iterator<Item = &'a [u8]>) -> String {
    let words: Vec<String> = argv
        .map(|word| match parse_i64(word) {
            Some(1_000_000_000..) => "T".to_string(),
            _ => String::from_utf8_lossy(word).into_owned(),
        })
        .collect();
    words.join(" ")
}

#[test]
fn expiring() {
    let mut s = Session::new();
    s.run("HSET h a 1 b 2 c 3");
    s.check("HEXPIRE none 10 FIELDS 2 a b", "*2 :-2 :-2", 0, "", "");
    s.check(
        "HEXPIRE h 10 FIELDS 3 a b x",
        "*3 :1 :1 :-2",
        2,
        "hexpire",
        "HPEXPIREAT h T FIELDS 2 a b",
    );
    s.check("HEXPIRE h 10 NX FIELDS 1 a", "*1 :0", 0, "", "");
    s.check("HEXPIRE h 10 XX FIELDS 1 c", "*1 :0", 0, "", "");
    s.check(
        "hpexpire h 20000 gt fields 3 a b c",
        "*3 :1 :1 :0",
        2,
        "hexpire",
        "HPEXPIREAT h T FIELDS 2 a b",
    );
    s.check(
        "HEXPIRE h 15 LT FIELDS 2 c a",
        "*2 :1 :1",
        2,
        "hexpire",
        "HPEXPIREAT h T FIELDS 2 c a",
    );
    assert_eq!(s.run("HTTL h FIELDS 3 a b x"), "*3 :15 :20 :-2");
    s.check(
        "HPEXPIREAT h 5 FIELDS 2 a x",
        "*2 :2 :-2",
        1,
        "hdel",
        "HDEL h a",
    );
    s.check(
        "HEXPIREAT h 0 FIELDS 2 b c",
        "*2 :2 :2",
        2,
        "hdel del",
        "HDEL h b c",
    );
    assert_eq!(s.run("EXISTS h"), ":0");
    s.run("HSET h a 1 b 2");
    s.run("HEXPIRE h 100 FIELDS 1 a");
    s.check(
        "HEXPIREAT h 1 NX FIELDS 2 a b",
        "*2 :0 :2",
        1,
        "hdel",
        "HDEL h b",
    );
}

#[test]
fn asking_and_persisting() {
    let mut s = Session::new();
    s.run("HSET h a 1 b 2");
    s.run("HPEXPIREAT h 32503680000999 FIELDS 1 a");
    assert_eq!(s.run("HEXPIRETIME h FIELDS 2 a b"), "*2 :32503680001 :-1");
    assert_eq!(
        s.run("HPEXPIRETIME h FIELDS 2 a x"),
        "*2 :32503680000999 :-2"
    );
    assert_eq!(s.run("HPTTL none FIELDS 1 a"), "*1 :-2");
    s.check(
        "HPERSIST h FIELDS 3 a b x",
        "*3 :1 :-1 :-2",
        1,
        "hpersist",
        "HPERSIST h FIELDS 1 a",
    );
    s.check("HPERSIST h FIELDS 1 a", "*1 :-1", 0, "", "");
    assert_eq!(s.run("HTTL h FIELDS 1 a"), "*1 :-1");
}

#[test]
fn writes_clear_or_keep_an_expiry() {
    let mut s = Session::new();
    s.run("HSET h a 1 b 2 c 3 d 4");
    s.run("HEXPIRE h 100 FIELDS 4 a b c d");
    s.run("HSET h a 1");
    s.check("HINCRBY h b 1", ":3", 1, "hincrby", "as received");
    s.check(
        "HINCRBYFLOAT h c 0.5",
        "$3 3.5",
        1,
        "hincrbyfloat",
        "HSET h c 3.5; HPEXPIREAT h T FIELDS 1 c",
    );
    s.run("HSETNX h d 5");
    assert_eq!(s.run("HTTL h FIELDS 4 a b c d"), "*4 :-1 :100 :100 :100");
    s.run("COPY h copy");
    s.run("RENAME h new");
    assert_eq!(s.run("HTTL copy FIELDS 2 a b"), "*2 :-1 :100");
    assert_eq!(s.run("HTTL new FIELDS 2 a b"), "*2 :-1 :100");
}

#[test]
fn getting_and_deleting() {
    let mut s = Session::new();
    s.run("HSET h a 1 b 2 c 3");
    s.check("HGETDEL none FIELDS 2 a b", "*2 $-1 $-1", 0, "", "");
    s.check("HGETDEL h FIELDS 1 x", "*1 $-1", 0, "", "");
    s.check(
        "HGETDEL h FIELDS 3 a x b",
        "*3 $1 1 $-1 $1 2",
        2,
        "hdel",
        "HDEL h a x b",
    );
    s.check("HGETDEL h FIELDS 1 c", "*1 $1 3", 1, "hdel del", "HDEL h c");
}

#[test]
fn getting_and_expiring() {
    let mut s = Session::new();
    s.run("HSET h a 1 b 2 c 3");
    s.check("HGETEX none FIELDS 1 a", "*1 $-1", 0, "", "");
    s.check("HGETEX h FIELDS 2 a x", "*2 $1 1 $-1", 0, "", "");
    s.check(
        "HGETEX h EX 100 FIELDS 2 a x",
        "*2 $1 1 $-1",
        1,
        "hexpire",
        "HPEXPIREAT h T FIELDS 1 a",
    );
    s.check(
        "HGETEX h PERSIST FIELDS 3 a b x",
        "*3 $1 1 $1 2 $-1",
        1,
        "hpersist",
        "HPERSIST h FIELDS 1 a",
    );
    s.check("HGETEX h PERSIST FIELDS 1 a", "*1 $1 1", 0, "", "");
    s.check(
        "HGETEX h PXAT 1 FIELDS 3 a b c",
        "*3 $1 1 $1 2 $1 3",
        3,
        "hdel del",
        "HDEL h a b c",
    );
}

#[test]
fn setting_and_expiring() {
    let mut s = Session::new();
    s.check("HSETEX h FXX FIELDS 1 a 1", ":0", 0, "", "");
    s.check(
        "HSETEX h FNX FIELDS 2 a 1 b 2",
        ":1",
        2,
        "new hset",
        "HSET h a 1 b 2",
    );
    s.check("HSETEX h FNX FIELDS 2 b 1 c 2", ":0", 0, "", "");
    s.check("HSETEX h FXX FIELDS 2 b 1 c 2", ":0", 0, "", "");
    s.check(
        "HSETEX h EX 100 FXX FIELDS 1 a 9",
        ":1",
        1,
        "hset hexpire",
        "HSET h a 9; HPEXPIREAT h T FIELDS 1 a",
    );
    s.check(
        "HSETEX h KEEPTTL FIELDS 2 a 8 b 7",
        ":1",
        2,
        "hset",
        "HSET h a 8 b 7; HPEXPIREAT h T FIELDS 1 a",
    );
    assert_eq!(s.run("HTTL h FIELDS 2 a b"), "*2 :100 :-1");
    assert_eq!(s.run("HMGET h a b"), "*2 $1 8 $1 7");
    s.check("HSETEX h FIELDS 1 a 1", ":1", 1, "hset", "HSET h a 1");
    assert_eq!(s.run("HTTL h FIELDS 1 a"), "*1 :-1");
    s.check(
        "HSETEX h PXAT 1 FIELDS 2 a 1 x 1",
        ":1",
        1,
        "hdel",
        "HDEL h a",
    );
    s.check(
        "HSETEX h PX 0 FIELDS 1 b 1",
        ":1",
        1,
        "hdel del",
        "HDEL h b",
    );
    s.check("HSETEX h PX 0 FIELDS 1 b 1", ":1", 0, "", "");
    assert_eq!(s.run("EXISTS h"), ":0");
}

#[test]
fn expired_fields_are_not_there() {
    let mut s = Session::new();
    s.run("HSET h a 1 b 2");
    s.run("HPEXPIRE h 1 FIELDS 1 a");
    s.run("HSET gone a 1");
    s.run("HPEXPIRE gone 1 FIELDS 1 a");
    std::thread::sleep(std::time::Duration::from_millis(3));
    s.run("PING");
    s.check("HGET h a", "$-1", 0, "", "");
    assert_eq!(s.run("HGETALL h"), "*2 $1 b $1 2");
    assert_eq!(s.run("HKEYS h"), "*1 $1 b");
    assert_eq!(s.run("HEXISTS h a"), ":0");
    assert_eq!(s.run("HSTRLEN h a"), ":0");
    assert_eq!(s.run("HRANDFIELD h"), "$1 b");
    assert_eq!(s.run("HRANDFIELD h 5 WITHVALUES"), "*2 $1 b $1 2");
    assert_eq!(s.run("HSCAN h 0"), "*2 $1 0 *2 $1 b $1 2");
    assert_eq!(s.run("HTTL h FIELDS 1 a"), "*1 :-2");
    assert_eq!(s.run("HLEN h"), ":2");
    assert_eq!(s.run("HGETALL gone"), "*0");
    assert_eq!(s.run("HRANDFIELD gone"), "$-1");
    // A write removes them first.
    s.check("HDEL h x", ":0", 0, "hexpired", "");
    let expired = &s.server.effects.expired_fields[0];
    assert_eq!(
        (
            &*expired.key,
            shown(expired.fields.iter().map(|field| &**field))
        ),
        (&b"h"[..], "a".into())
    );
    assert_eq!(s.run("HLEN h"), ":1");
    s.check(
        "HSETNX gone a 2",
        ":1",
        1,
        "hexpired del new hset",
        "as received",
    );
    assert_eq!(s.server.stats.keyspace.expired_fields, 2);
}

#[test]
fn errors() {
    let mut s = Session::new();
    s.run("HSET h a 1");
    s.run("SET string 1");
    let mut check = |words: &str, error: &str| {
        assert_eq!(s.run(words), format!("-{error}"), "{words}");
    };
    let wrong_type = "WRONGTYPE Operation against a key holding the wrong kind of value";
    check("HEXPIRE string what FIELDS 1 a", wrong_type);
    check("HTTL string what 1 a", wrong_type);
    check("HSETEX string FIELDS 1 a b", wrong_type);
    check("HGETEX string EX 5 FIELDS 1 a", wrong_type);
    check("HGETDEL string FIELDS 1 a", wrong_type);
    let integer = "ERR value is not an integer or out of range";
    check("HEXPIRE h what FIELDS 1 a", integer);
    check("HGETEX h EX what FIELDS 1 a", integer);
    check("HSETEX h EX FIELDS 1 a b", integer);
    let negative = "ERR invalid expire time, must be >= 0";
    check("HEXPIRE h -1 FIELDS 1 a", negative);
    check("HGETEX h PX -1 FIELDS 1 a", negative);
    let too_late = |command| format!("ERR invalid expire time in '{command}' command");
    check(
        "HPEXPIREAT h 70368744177664 FIELDS 1 a",
        &too_late("hpexpireat"),
    );
    check(
        "HEXPIRE h 9223372036854775807 FIELDS 1 a",
        &too_late("hexpire"),
    );
    check(
        "HSETEX h EXAT 9223372036854775 FIELDS 1 a b",
        &too_late("hsetex"),
    );
    let fields = "ERR Mandatory argument FIELDS is missing or not at the right position";
    check("HEXPIRE h 1 NX XX FIELDS 1 a", fields);
    check("HEXPIRE h 1 FIELD 1 a", fields);
    check("HTTL h a FIELDS 1", fields);
    check("HGETEX h PERSIST 1 FIELDS 1 a", fields);
    check("HGETEX h PXAT 1 1", fields);
    let greater = "ERR Parameter `numFields` should be greater than 0";
    check("HEXPIRE h 1 FIELDS 0 a", greater);
    check("HEXPIRE h 1 FIELDS x a", greater);
    check(
        "HTTL h FIELDS 0 a",
        "ERR Number of fields must be a positive integer",
    );
    check(
        "HGETDEL h FIELDS -1 a",
        "ERR Number of fields must be a positive integer",
    );
    let mismatch = "ERR The `numfields` parameter must match the number of arguments";
    check("HEXPIRE h 1 FIELDS 2 a", mismatch);
    check("HPERSIST h FIELDS 1 a b", mismatch);
    check("HGETEX h EX 1 FIELDS 9223372036854775807 a", mismatch);
    let arity = "ERR wrong number of arguments for 'hsetex' command";
    check("HSETEX h FIELDS 2 a b c", arity);
    check("HSETEX h FIELDS 1 a b c", arity);
    check("HSETEX h EX 1 FIELDS 1", arity);
    check("HSETEX h FIELDS 0 a b", "ERR invalid number of fields");
    check(
        "HSETEX h FIELDS 9223372036854775808 a b",
        "ERR invalid number of fields",
    );
    check("HSETEX h NX FIELDS 1 a b", "ERR unknown argument: NX");
    check(
        "HSETEX h FNX KEEPTTL EX 1",
        "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
    );
    check(
        "HSETEX h FNX FXX FIELDS 1 a b",
        "ERR Only one of FXX or FNX arguments can be specified",
    );
    check(
        "HSETEX h FNX PX 1 EX",
        "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
    );
    check(
        "HSETEX h EX 1 FNX PX",
        "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
    );
    assert_eq!(s.run("HGETALL h"), "*2 $1 a $1 1");
}

#[test]
fn conditions() {
    let check = |option: &str, present, new, expected| {
        let condition = match option {
            "" => Condition::Always,
            option => Condition::of_option(option.as_bytes()).expect("a condition"),
        };
        assert_eq!(
            condition.holds(present, new),
            expected,
            "{option} {present:?} {new}"
        );
    };
    check("", None, 5, true);
    check("", Some(9), 5, true);
    check("nx", None, 5, true);
    check("NX", Some(9), 5, false);
    check("XX", None, 5, false);
    check("XX", Some(9), 5, true);
    check("GT", None, 5, false);
    check("GT", Some(5), 5, false);
    check("GT", Some(4), 5, true);
    check("LT", None, 5, true);
    check("LT", Some(5), 5, false);
    check("LT", Some(6), 5, true);
    assert_eq!(Condition::of_option(b"FIELDS"), None);
}

#[test]
fn begun_seconds_count() {
    let check = |ms, expected| assert_eq!(seconds(ms), expected, "{ms}");
    check(0, 0);
    check(1, 1);
    check(1000, 1);
    check(1001, 2);
    check(i64::MAX, i64::MAX / 1000 + 1);
}
