//! Channels: messages from clients to whoever listens.

use super::help;
use crate::resp::error::{self, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::ServerCx;
use crate::server::pubsub::{self, Kind};

const G: Group = Group::Pubsub;
/// What all who listen or cease to have in common. NOSCRIPT tells them from those who publish.
const LISTENS: Flags = PUBSUB | NOSCRIPT | LOADING | STALE;
const PUBLISHES: Flags = PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE;
const ASKS: Flags = PUBSUB | LOADING | STALE;

/// The family's table.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("psubscribe", -2, Server(psubscribe))
        .group(G)
        .since("2.0.0")
        .flags(LISTENS)
        .doc("Listens to the channels that match patterns.", "O(N) in the number of patterns")
        .usage("pattern [pattern ...]"),
    cmd("publish", 3, Server(publish))
        .group(G)
        .since("2.0.0")
        .flags(PUBLISHES)
        .doc(
            "Sends a message to those who listen to a channel.",
            "O(N+M) in the number of receivers and of patterns that may match",
        )
        .usage("channel message"),
    cmd("pubsub", -2, Container)
        .group(G)
        .since("2.8.0")
        .doc("Holds the commands that tell of channels.", "Depends on subcommand.")
        .subcommands(SUBCOMMANDS),
    cmd("punsubscribe", -1, Server(punsubscribe))
        .group(G)
        .since("2.0.0")
        .flags(LISTENS)
        .doc("Listens to patterns no longer, by default to none.", "O(N) in the number of patterns")
        .usage("[pattern [pattern ...]]"),
    cmd("spublish", 3, Server(spublish))
        .group(G)
        .since("7.0.0")
        .flags(PUBLISHES)
        .keys(const { &[FIRST.flags(NOT_KEY)] })
        .doc("Sends a message to those who listen to a shard channel.", "O(N) in the number of receivers")
        .usage("shardchannel message"),
    cmd("ssubscribe", -2, Server(ssubscribe))
        .group(G)
        .since("7.0.0")
        .flags(LISTENS)
        .keys(const { &[FIRST.to_end(1).flags(NOT_KEY)] })
        .doc("Listens to shard channels.", "O(N) in the number of shard channels")
        .usage("shardchannel [shardchannel ...]"),
    cmd("subscribe", -2, Server(subscribe))
        .group(G)
        .since("2.0.0")
        .flags(LISTENS)
        .doc("Listens to channels.", "O(N) in the number of channels")
        .usage("channel [channel ...]"),
    cmd("sunsubscribe", -1, Server(sunsubscribe))
        .group(G)
        .since("7.0.0")
        .flags(LISTENS)
        .keys(const { &[FIRST.to_end(1).flags(NOT_KEY)] })
        .doc("Listens to shard channels no longer, by default to none.", "O(N) in the number of shard channels")
        .usage("[shardchannel [shardchannel ...]]"),
    cmd("unsubscribe", -1, Server(unsubscribe))
        .group(G)
        .since("2.0.0")
        .flags(LISTENS)
        .doc("Listens to channels no longer, by default to none.", "O(N) in the number of channels")
        .usage("[channel [channel ...]]"),
];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    cmd("channels", -2, Server(channels))
        .group(G)
        .since("2.8.0")
        .flags(ASKS)
        .doc("Returns the channels that somebody listens to.", "O(N) in the number of channels")
        .usage("[pattern]"),
    cmd("help", 2, Server(help))
        .group(G)
        .since("6.2.0")
        .flags(LOADING | STALE)
        .doc("Lists the subcommands.", "O(1)"),
    cmd("numpat", 2, Server(numpat))
        .group(G)
        .since("2.8.0")
        .flags(ASKS)
        .doc("Returns the number of different patterns that somebody listens to.", "O(1)"),
    cmd("numsub", -2, Server(numsub))
        .group(G)
        .since("2.8.0")
        .flags(ASKS)
        .doc("Returns how many listen to each of these channels.", "O(N) in the number of channels asked for")
        .usage("[channel [channel ...]]"),
    cmd("shardchannels", -2, Server(shardchannels))
        .group(G)
        .since("7.0.0")
        .flags(ASKS)
        .doc("Returns the shard channels that somebody listens to.", "O(N) in the number of shard channels")
        .usage("[pattern]"),
    cmd("shardnumsub", -2, Server(shardnumsub))
        .group(G)
        .since("7.0.0")
        .flags(ASKS)
        .doc("Returns how many listen to each of these shard channels.", "O(N) in the number of shard channels asked for")
        .usage("[shardchannel [shardchannel ...]]"),
];

fn subscribe(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    begin(cx, argv, Kind::Channel, b"subscribe")
}

fn psubscribe(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    begin(cx, argv, Kind::Pattern, b"psubscribe")
}

fn ssubscribe(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    if cx.client().is_in_multi() {
        return Err("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client".into());
    }
    begin(cx, argv, Kind::Shard, b"ssubscribe")
}

fn unsubscribe(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    end(cx, argv, Kind::Channel, b"unsubscribe")
}

fn punsubscribe(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    end(cx, argv, Kind::Pattern, b"punsubscribe")
}

fn sunsubscribe(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    end(cx, argv, Kind::Shard, b"sunsubscribe")
}

/// Listens to topics, each of which is answered by a message of its own.
fn begin(cx: &mut ServerCx<'_>, argv: Argv<'_>, kind: Kind, word: &[u8]) -> Outcome {
    for name in argv.tail(1).iter() {
        pubsub::subscribe(cx.server, cx.slot, kind, name);
        confirm(cx, kind, word, Some(name));
    }
    Ok(())
}

/// Listens to topics no longer, without names to all of a kind; if there are none that is said too.
fn end(cx: &mut ServerCx<'_>, argv: Argv<'_>, kind: Kind, word: &[u8]) -> Outcome {
    for name in argv.tail(1).iter() {
        pubsub::unsubscribe(cx.server, cx.slot, kind, name);
        confirm(cx, kind, word, Some(name));
    }
    if argv.len() > 1 {
        return Ok(());
    }
    let names = pubsub::names(cx.server, cx.slot, kind);
    for name in &names {
        pubsub::unsubscribe(cx.server, cx.slot, kind, name);
        confirm(cx, kind, word, Some(name));
    }
    if names.is_empty() {
        confirm(cx, kind, word, None);
    }
    Ok(())
}

/// Says what was done, and how many topics the client listens to now: channels and patterns together,
/// shard channels apart.
fn confirm(cx: &mut ServerCx<'_>, kind: Kind, word: &[u8], name: Option<&[u8]>) {
    let client = cx.client();
    let count = match kind {
        Kind::Shard => client.subscribed_to(Kind::Shard),
        Kind::Channel | Kind::Pattern => {
            client.subscribed_to(Kind::Channel) + client.subscribed_to(Kind::Pattern)
        }
    };
    cx.reply.push(3);
    cx.reply.bulk(word);
    match name {
        Some(name) => cx.reply.bulk(name),
        None => cx.reply.null(),
    }
    cx.reply.int(count as i64);
}

fn publish(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let receivers = pubsub::publish(cx.server, argv.at(1), argv.at(2));
    cx.reply.int(receivers as i64);
    Ok(())
}

fn spublish(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let receivers = pubsub::publish_to_shard(cx.server, argv.at(1), argv.at(2));
    cx.reply.int(receivers as i64);
    Ok(())
}

fn channels(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    list(cx, argv, Kind::Channel)
}

fn shardchannels(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    list(cx, argv, Kind::Shard)
}

fn list(cx: &mut ServerCx<'_>, argv: Argv<'_>, kind: Kind) -> Outcome {
    if argv.len() > 3 {
        return Err(error::subcommand_syntax(argv.at(1), "pubsub"));
    }
    let header = cx.reply.defer_array();
    let mut count = 0;
    for name in cx.server.pubsub.names(kind, argv.get(2)) {
        cx.reply.bulk(name);
        count += 1;
    }
    cx.reply.end_array(header, count);
    Ok(())
}

fn numsub(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    count(cx, argv, Kind::Channel)
}

fn shardnumsub(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    count(cx, argv, Kind::Shard)
}

fn count(cx: &mut ServerCx<'_>, argv: Argv<'_>, kind: Kind) -> Outcome {
    let names = argv.tail(2);
    cx.reply.array(2 * names.len());
    for name in names.iter() {
        cx.reply.bulk(name);
        let subscribers = cx.server.pubsub.subscribers(kind, name);
        cx.reply.int(subscribers as i64);
    }
    Ok(())
}

fn numpat(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let patterns = cx.server.pubsub.count(Kind::Pattern);
    cx.reply.int(patterns as i64);
    Ok(())
}

fn help(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    help::reply(
        cx.reply,
        "PUBSUB",
        &[
            (
                "CHANNELS [<pattern>]",
                "The channels that somebody listens to, or those that match a pattern.",
            ),
            (
                "NUMPAT",
                "The number of different patterns that somebody listens to.",
            ),
            (
                "NUMSUB [<channel> ...]",
                "How many listen to each of these channels, patterns aside.",
            ),
            (
                "SHARDCHANNELS [<pattern>]",
                "The shard channels that somebody listens to, or those that match a pattern.",
            ),
            (
                "SHARDNUMSUB [<shardchannel> ...]",
                "How many listen to each of these shard channels.",
            ),
        ],
    );
    Ok(())
}
