//! Connections: who a client is, which database and protocol it uses, and how it leaves.

use super::args::{integer, is};
use super::client;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::reply::Proto;
use crate::resp::request::Argv;
use crate::server::client::{Closing, ReplyMode, unusual};
use crate::server::command::*;
use crate::server::cx::ServerCx;
use crate::server::multi;
use crate::server::pubsub;
use crate::server::state::VERSION;
use crate::server::tracking;

const G: Group = Group::Connection;

/// What runs before a client has authenticated, and at any other time.
const ALWAYS: Flags = NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY;

/// The family's table.
pub static COMMANDS: &[Command] = &[
    cmd("auth", -2, Server(auth))
        .group(G)
        .flags(ALWAYS)
        .doc(
            "Authenticates the connection.",
            "O(N) in the number of passwords of the user",
        )
        .usage("[username] password")
        .history(&[(
            "6.0.0",
            "Takes a user name, for users other than `default`.",
        )]),
    client::COMMAND,
    cmd("echo", 2, Server(echo))
        .group(G)
        .flags(LOADING | STALE | FAST)
        .doc("Returns its argument.", "O(1)")
        .usage("message"),
    cmd("hello", -1, Server(hello))
        .group(G)
        .since("6.0.0")
        .flags(ALWAYS)
        .doc(
            "Chooses the protocol, and authenticates and names the connection on the way.",
            "O(1)",
        )
        .usage("[protover [AUTH username password] [SETNAME clientname]]")
        .history(&[("6.2.0", "Without arguments it only reports.")]),
    cmd("ping", -1, Server(ping))
        .group(G)
        .flags(FAST)
        .doc("Answers, to show that the server does.", "O(1)")
        .usage("[message]")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("quit", -1, Server(quit))
        .group(G)
        .flags(ALWAYS | NOT_QUEUED)
        .doc("Ends the connection once its replies are sent.", "O(1)")
        .deprecated("7.2.0", "just closing the connection"),
    cmd("reset", 1, Server(reset))
        .group(G)
        .since("6.2.0")
        .flags(ALWAYS | NOT_QUEUED)
        .doc(
            "Puts the connection back into the state of a new one.",
            "O(1)",
        ),
    cmd("select", 2, Server(select))
        .group(G)
        .flags(LOADING | STALE | FAST)
        .doc("Selects the database that the connection uses.", "O(1)")
        .usage("index"),
];

const AUTH_WITHOUT_PASSWORD: ErrorReply = ErrorReply::Fixed(
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration \
     is correct?",
);
const HELLO_NEEDS_AUTH: ErrorReply = ErrorReply::Fixed(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> \
     option can be used to authenticate the client and select the RESP protocol version at the same time",
);

fn auth(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    match argv.len() {
        2 if password(cx).is_empty() => return Err(AUTH_WITHOUT_PASSWORD),
        2 => authenticate(cx, b"default", argv.at(1))?,
        3 => authenticate(cx, argv.at(1), argv.at(2))?,
        _ => return Err(error::SYNTAX),
    }
    cx.reply.ok();
    Ok(())
}

/// The password of the user `default`; empty if it needs none.
fn password<'a>(cx: &'a ServerCx<'_>) -> &'a [u8] {
    cx.server.config.requirepass.as_ref()
}

/// Makes the client run as this user, if the password is right.
fn authenticate(cx: &mut ServerCx<'_>, user: &[u8], given: &[u8]) -> Outcome {
    let wanted = password(cx);
    if user != b"default" || !(wanted.is_empty() || equal_in_constant_time(wanted, given)) {
        cx.server.stats.acl_denied_auth += 1;
        return Err(error::WRONG_PASS);
    }
    let client = cx.client_mut();
    client.forget_user();
    client.was_authenticated = true;
    client.set_unusual(unusual::UNAUTHENTICATED, false);
    Ok(())
}

/// Compares so that the time taken says nothing about where the two differ.
fn equal_in_constant_time(wanted: &[u8], given: &[u8]) -> bool {
    let mut difference = wanted.len() ^ given.len();
    for (i, byte) in given.iter().enumerate() {
        difference |= usize::from(byte ^ wanted[i % wanted.len()]);
    }
    std::hint::black_box(difference) == 0
}

fn echo(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    cx.reply.bulk(argv.at(1));
    Ok(())
}

fn ping(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let client = cx.client();
    if client.is_subscribed() && client.proto == Proto::Resp2 && argv.len() <= 2 {
        // A subscriber is only ever sent arrays.
        cx.reply.array(2);
        cx.reply.bulk(b"pong");
        cx.reply.bulk(argv.get(1).unwrap_or_default());
        return Ok(());
    }
    match argv.len() {
        1 => cx.reply.simple("PONG"),
        2 => cx.reply.bulk(argv.at(1)),
        _ => return Err(error::wrong_arity("ping")),
    }
    Ok(())
}

fn quit(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.reply.ok();
    cx.server.close_client(cx.slot, Closing::AfterReplies);
    Ok(())
}

/// What Redis says to a number that its C type does not hold.
const NOT_AN_INT: ErrorReply =
    ErrorReply::Fixed("ERR value is out of range, value must between -2147483648 and 2147483647");

fn select(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let index = i32::try_from(integer(argv.at(1))?).map_err(|_| NOT_AN_INT)?;
    match usize::try_from(index) {
        Ok(index) if index < cx.server.keyspace.count() => cx.client_mut().db = index,
        _ => return Err(error::DB_INDEX_OUT_OF_RANGE),
    }
    cx.reply.ok();
    Ok(())
}

fn reset(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let slot = cx.slot;
    cx.server.remove_monitor(slot);
    multi::discard(cx.server, slot);
    tracking::disable(cx.server, slot);
    pubsub::unsubscribe_all(cx.server, slot);
    let needs_password = !password(cx).is_empty();
    let client = cx.client_mut();
    client.db = 0;
    client.proto = Proto::Resp2;
    client.forget_user();
    client.no_touch = false;
    client.no_evict = false;
    client.set_name(b"");
    client.set_reply_mode(ReplyMode::On);
    client.set_unusual(unusual::UNAUTHENTICATED, needs_password);
    client.set_unusual(unusual::MONITOR, false);
    cx.reply.set_proto(Proto::Resp2);
    cx.reply.simple("RESET");
    Ok(())
}

/// What HELLO was asked to do.
#[derive(Default)]
struct Greeting<'a> {
    proto: Option<Proto>,
    login: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

impl<'a> Greeting<'a> {
    fn parse(argv: Argv<'a>) -> Result<Greeting<'a>, ErrorReply> {
        let mut greeting = Greeting::default();
        if let Some(version) = argv.get(1) {
            greeting.proto = match integer(version).map_err(|_| error::PROTO_NOT_AN_INTEGER)? {
                2 => Some(Proto::Resp2),
                3 => Some(Proto::Resp3),
                _ => return Err(error::NO_PROTO),
            };
        }
        let mut i = 2;
        while let Some(option) = argv.get(i) {
            match (argv.get(i + 1), argv.get(i + 2)) {
                (Some(user), Some(password)) if is(option, "AUTH") => {
                    greeting.login = Some((user, password));
                    i += 3;
                }
                (Some(name), _) if is(option, "SETNAME") => {
                    client::check_name(b"Client names", name)?;
                    greeting.name = Some(name);
                    i += 2;
                }
                _ => {
                    let text = [b"ERR Syntax error in HELLO option '", option, b"'"].concat();
                    return Err(ErrorReply::Bytes(text));
                }
            }
        }
        Ok(greeting)
    }
}

fn hello(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let greeting = Greeting::parse(argv)?;
    if let Some((user, password)) = greeting.login {
        authenticate(cx, user, password)?;
    }
    if !cx.client().is_authenticated() {
        return Err(HELLO_NEEDS_AUTH);
    }
    if let Some(name) = greeting.name {
        cx.client_mut().set_name(name);
    }
    if let Some(proto) = greeting.proto {
        cx.client_mut().proto = proto;
        cx.reply.set_proto(proto);
    }
    let (id, proto) = (cx.client().id, cx.client().proto);
    let text = |reply: &mut crate::resp::reply::Reply, key: &str, value: &str| {
        reply.bulk(key.as_bytes());
        reply.bulk(value.as_bytes());
    };
    let zone = cx.server.config.availability_zone.to_text();
    cx.reply.map(if zone.is_empty() { 7 } else { 8 });
    text(cx.reply, "server", "redis");
    text(cx.reply, "version", VERSION);
    cx.reply.bulk(b"proto");
    cx.reply.int(if proto == Proto::Resp3 { 3 } else { 2 });
    cx.reply.bulk(b"id");
    cx.reply.int(id as i64);
    text(cx.reply, "mode", "standalone");
    text(cx.reply, "role", "master");
    cx.reply.bulk(b"modules");
    cx.reply.array(0);
    if !zone.is_empty() {
        text(cx.reply, "availability_zone", &zone);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::equal_in_constant_time;

    #[test]
    fn passwords_are_compared_whole() {
        let check =
            |wanted: &str, given: &str| equal_in_constant_time(wanted.as_bytes(), given.as_bytes());
        assert!(check("secret", "secret"));
        for wrong in ["", "s", "secre", "secrets", "Secret", "secretsecret"] {
            assert!(!check("secret", wrong), "{wrong}");
        }
    }
}
