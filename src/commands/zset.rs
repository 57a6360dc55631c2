//! Sorted sets: members with scores, ordered by them.
//!
//! This file holds the whole family's table, and the commands that look members up or remove them by
//! name. Those that give members scores are in `add`, those that select a run of members in `range`,
//! those that take members from an end in `pop`, those that combine several sorted sets in `combine`,
//! those that draw members or walk over them in steps in `pick`.

pub(super) mod add;
mod combine;
mod pick;
mod pop;
mod range;

use super::args::is;
use super::items::reply_item;
use crate::base::num::parse_f64;
use crate::data::listpack::Item;
use crate::keyspace::effects::Class;
use crate::keyspace::zset::{Limits, Zset, ZsetRef};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::reply::{Proto, Reply};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::{DataCx, Place};

const G: Group = Group::SortedSet;

/// The key that is read: the first argument.
const READ: &[KeySpec] = &[FIRST.flags(RO | ACCESS)];
/// Where members are taken from: the first argument.
const TAKE: &[KeySpec] = &[FIRST.flags(RW | DELETE)];
/// Where members are taken from and shown: the first argument.
const POP: &[KeySpec] = &[FIRST.flags(RW | ACCESS | DELETE)];
/// A number of keys that are read.
const READ_MANY: &[KeySpec] = &[counted(1, RO | ACCESS)];
/// A key that is written, and a number of keys that are read.
const STORE: &[KeySpec] = &[FIRST.flags(OW | UPDATE), counted(2, RO | ACCESS)];

/// Keys whose number is the argument at `index`.
const fn counted(index: i32, flags: KeyFlags) -> KeySpec {
    KeySpec {
        begin: Begin::Index(index),
        find: Find::KeyNum {
            index: 0,
            first: 1,
            step: 1,
        },
        flags,
        notes: None,
    }
}

/// The family's table.
pub static COMMANDS: &[Command] = &[
    cmd("bzmpop", -5, Data(pop::bzmpop))
        .group(G)
        .since("7.0.0")
        .flags(WRITE | BLOCKING)
        .keys(&[counted(2, RW | ACCESS | DELETE)])
        .doc(
            "Takes the lowest or highest members from the first of several sorted sets that is not empty, and waits if all are.",
            "O(K) + O(M*log(N)) for K keys and M members out of N",
        )
        .usage("timeout:double numkeys key [key ...] <MIN|MAX> [COUNT count]"),
    cmd("bzpopmax", -3, Data(pop::bzpopmax))
        .group(G)
        .since("5.0.0")
        .flags(WRITE | FAST | BLOCKING)
        .keys(&[LAST_BUT_ONE])
        .doc(
            "Takes the highest member from the first of several sorted sets that is not empty, and waits if all are.",
            "O(log(N)) in the number of members",
        )
        .usage("key [key ...] timeout:double")
        .history(&[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")]),
    cmd("bzpopmin", -3, Data(pop::bzpopmin))
        .group(G)
        .since("5.0.0")
        .flags(WRITE | FAST | BLOCKING)
        .keys(&[LAST_BUT_ONE])
        .doc(
            "Takes the lowest member from the first of several sorted sets that is not empty, and waits if all are.",
            "O(log(N)) in the number of members",
        )
        .usage("key [key ...] timeout:double")
        .history(&[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")]),
    cmd("zadd", -4, Data(add::zadd))
        .group(G)
        .since("1.2.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc("Adds members to a sorted set or gives them other scores.", "O(log(N)) a member")
        .usage("key [NX|XX] [GT|LT] [CH] [INCR] score:double member [score:double member ...]")
        .history(&[
            ("2.4.0", "Accepts multiple elements."),
            ("3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."),
            ("6.2.0", "Added the `GT` and `LT` options."),
        ]),
    cmd("zcard", 2, Data(zcard))
        .group(G)
        .since("1.2.0")
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO)])
        .doc("Returns the number of members of a sorted set.", "O(1)")
        .usage("key"),
    cmd("zcount", 4, Data(range::zcount))
        .group(G)
        .since("2.0.0")
        .flags(READONLY | FAST)
        .keys(READ)
        .doc("Returns how many members have scores within a range.", "O(log(N)) in the number of members")
        .usage("key min:double max:double"),
    cmd("zdiff", -3, Data(combine::zdiff))
        .group(G)
        .since("6.2.0")
        .flags(READONLY)
        .keys(READ_MANY)
        .doc(
            "Returns the members of the first sorted set that the others do not have.",
            "O(L + N*log(N)) for L members in all, N of them in the first sorted set",
        )
        .usage("numkeys key [key ...] [WITHSCORES]"),
    cmd("zdiffstore", -4, Data(combine::zdiffstore))
        .group(G)
        .since("6.2.0")
        .flags(WRITE | DENYOOM)
        .keys(STORE)
        .doc(
            "Stores the members of the first sorted set that the others do not have.",
            "O(L + N*log(N)) for L members in all, N of them in the first sorted set",
        )
        .usage("destination numkeys key [key ...]"),
    cmd("zincrby", 4, Data(add::zincrby))
        .group(G)
        .since("1.2.0")
        .flags(WRITE | DENYOOM | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE)])
        .doc("Adds to the score of a member, and adds the member if need be.", "O(log(N)) in the number of members")
        .usage("key increment member"),
    cmd("zinter", -3, Data(combine::zinter))
        .group(G)
        .since("6.2.0")
        .flags(READONLY)
        .keys(READ_MANY)
        .doc(
            "Returns the members that several sorted sets have in common.",
            "O(N*K) + O(M*log(M)) for K sorted sets, the smallest one of N members, and M members in common",
        )
        .usage("numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>] [WITHSCORES]"),
    cmd("zintercard", -3, Data(combine::zintercard))
        .group(G)
        .since("7.0.0")
        .flags(READONLY)
        .keys(READ_MANY)
        .doc(
            "Returns how many members several sorted sets have in common.",
            "O(N*K) for K sorted sets, the smallest one of N members",
        )
        .usage("numkeys key [key ...] [LIMIT limit:integer]"),
    cmd("zinterstore", -4, Data(combine::zinterstore))
        .group(G)
        .since("2.0.0")
        .flags(WRITE | DENYOOM)
        .keys(STORE)
        .doc(
            "Stores the members that several sorted sets have in common.",
            "O(N*K) + O(M*log(M)) for K sorted sets, the smallest one of N members, and M members in common",
        )
        .usage("destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>]"),
    cmd("zlexcount", 4, Data(range::zlexcount))
        .group(G)
        .since("2.8.9")
        .flags(READONLY | FAST)
        .keys(READ)
        .doc("Returns how many members lie within a range of bytes.", "O(log(N)) in the number of members")
        .usage("key min max"),
    cmd("zmpop", -4, Data(pop::zmpop))
        .group(G)
        .since("7.0.0")
        .flags(WRITE)
        .keys(&[counted(1, RW | ACCESS | DELETE)])
        .doc(
            "Takes the lowest or highest members from the first of several sorted sets that is not empty.",
            "O(K) + O(M*log(N)) for K keys and M members out of N",
        )
        .usage("numkeys key [key ...] <MIN|MAX> [COUNT count]"),
    cmd("zmscore", -3, Data(zmscore))
        .group(G)
        .since("6.2.0")
        .flags(READONLY | FAST)
        .keys(READ)
        .doc("Returns the scores of members.", "O(N) in the number of members asked for")
        .usage("key member [member ...]"),
    cmd("zpopmax", -2, Data(pop::zpopmax))
        .group(G)
        .since("5.0.0")
        .flags(WRITE | FAST)
        .keys(POP)
        .doc("Takes the highest members from a sorted set.", "O(M*log(N)) for M members out of N")
        .usage("key [count]"),
    cmd("zpopmin", -2, Data(pop::zpopmin))
        .group(G)
        .since("5.0.0")
        .flags(WRITE | FAST)
        .keys(POP)
        .doc("Takes the lowest members from a sorted set.", "O(M*log(N)) for M members out of N")
        .usage("key [count]"),
    cmd("zrandmember", -2, Data(pick::zrandmember))
        .group(G)
        .since("6.2.0")
        .flags(READONLY)
        .keys(READ)
        .doc("Returns members chosen by chance.", "O(N) in the number of members returned")
        .usage("key [count [WITHSCORES]]")
        .tips(&["nondeterministic_output"]),
    cmd("zrange", -4, Data(range::zrange))
        .group(G)
        .since("1.2.0")
        .flags(READONLY)
        .keys(READ)
        .doc(
            "Returns a run of members, by rank, score or bytes.",
            "O(log(N)+M) for M members returned out of N",
        )
        .usage("key start:string stop:string [BYSCORE|BYLEX] [REV] [LIMIT offset:integer count] [WITHSCORES]")
        .history(&[("6.2.0", "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options.")]),
    cmd("zrangebylex", -4, Data(range::zrangebylex))
        .group(G)
        .since("2.8.9")
        .flags(READONLY)
        .keys(READ)
        .doc(
            "Returns the members within a range of bytes.",
            "O(log(N)+M) for M members returned out of N",
        )
        .usage("key min max [LIMIT offset:integer count]")
        .deprecated("6.2.0", "`ZRANGE` with the `BYLEX` argument"),
    cmd("zrangebyscore", -4, Data(range::zrangebyscore))
        .group(G)
        .since("1.0.5")
        .flags(READONLY)
        .keys(READ)
        .doc(
            "Returns the members whose scores lie within a range.",
            "O(log(N)+M) for M members returned out of N",
        )
        .usage("key min:double max:double [WITHSCORES] [LIMIT offset:integer count]")
        .history(&[("2.0.0", "Added the `WITHSCORES` modifier.")])
        .deprecated("6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
    cmd("zrangestore", -5, Data(range::zrangestore))
        .group(G)
        .since("6.2.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(OW | UPDATE), KeySpec::at(2).flags(RO | ACCESS)])
        .doc(
            "Stores a run of members, by rank, score or bytes.",
            "O(log(N)+M) for M members stored out of N",
        )
        .usage("dst src min max [BYSCORE|BYLEX] [REV] [LIMIT offset:integer count]"),
    cmd("zrank", -3, Data(zrank))
        .group(G)
        .since("2.0.0")
        .flags(READONLY | FAST)
        .keys(READ)
        .doc("Returns the rank of a member, counted from the lowest.", "O(log(N)) in the number of members")
        .usage("key member [WITHSCORE]")
        .history(&[("7.2.0", "Added the optional `WITHSCORE` argument.")]),
    cmd("zrem", -3, Data(zrem))
        .group(G)
        .since("1.2.0")
        .flags(WRITE | FAST)
        .keys(TAKE)
        .doc("Removes members.", "O(M*log(N)) for M members out of N")
        .usage("key member [member ...]")
        .history(&[("2.4.0", "Accepts multiple elements.")]),
    cmd("zremrangebylex", 4, Data(range::zremrangebylex))
        .group(G)
        .since("2.8.9")
        .flags(WRITE)
        .keys(TAKE)
        .doc("Removes the members within a range of bytes.", "O(log(N)+M) for M members out of N")
        .usage("key min max"),
    cmd("zremrangebyrank", 4, Data(range::zremrangebyrank))
        .group(G)
        .since("2.0.0")
        .flags(WRITE)
        .keys(TAKE)
        .doc("Removes the members within a range of ranks.", "O(log(N)+M) for M members out of N")
        .usage("key start:integer stop:integer"),
    cmd("zremrangebyscore", 4, Data(range::zremrangebyscore))
        .group(G)
        .since("1.2.0")
        .flags(WRITE)
        .keys(TAKE)
        .doc("Removes the members whose scores lie within a range.", "O(log(N)+M) for M members out of N")
        .usage("key min:double max:double"),
    cmd("zrevrange", -4, Data(range::zrevrange))
        .group(G)
        .since("1.2.0")
        .flags(READONLY)
        .keys(READ)
        .doc(
            "Returns a run of members by rank, from the highest down.",
            "O(log(N)+M) for M members returned out of N",
        )
        .usage("key start:integer stop:integer [WITHSCORES]")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` argument"),
    cmd("zrevrangebylex", -4, Data(range::zrevrangebylex))
        .group(G)
        .since("2.8.9")
        .flags(READONLY)
        .keys(READ)
        .doc(
            "Returns the members within a range of bytes, from the highest down.",
            "O(log(N)+M) for M members returned out of N",
        )
        .usage("key max min [LIMIT offset:integer count]")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
    cmd("zrevrangebyscore", -4, Data(range::zrevrangebyscore))
        .group(G)
        .since("2.2.0")
        .flags(READONLY)
        .keys(READ)
        .doc(
            "Returns the members whose scores lie within a range, from the highest down.",
            "O(log(N)+M) for M members returned out of N",
        )
        .usage("key max:double min:double [WITHSCORES] [LIMIT offset:integer count]")
        .history(&[("2.1.6", "`min` and `max` can be exclusive.")])
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
    cmd("zrevrank", -3, Data(zrevrank))
        .group(G)
        .since("2.0.0")
        .flags(READONLY | FAST)
        .keys(READ)
        .doc("Returns the rank of a member, counted from the highest.", "O(log(N)) in the number of members")
        .usage("key member [WITHSCORE]")
        .history(&[("7.2.0", "Added the optional `WITHSCORE` argument.")]),
    cmd("zscan", -3, Data(pick::zscan))
        .group(G)
        .since("2.8.0")
        .flags(READONLY)
        .keys(READ)
        .doc(
            "Returns some members with their scores and the cursor by which to ask for the next ones.",
            "O(1) a call, O(N) in the number of members for all calls",
        )
        .usage("key cursor [MATCH pattern] [COUNT count] [NOSCORES]")
        .history(&[("8.0.0", "Added noscores option.")])
        .tips(&["nondeterministic_output"]),
    cmd("zscore", 3, Data(zscore))
        .group(G)
        .since("1.2.0")
        .flags(READONLY | FAST)
        .keys(READ)
        .doc("Returns the score of a member.", "O(1)")
        .usage("key member"),
    cmd("zunion", -3, Data(combine::zunion))
        .group(G)
        .since("6.2.0")
        .flags(READONLY)
        .keys(READ_MANY)
        .doc(
            "Returns the members that at least one of several sorted sets has.",
            "O(N) + O(M*log(M)) for N members in all, M of them different",
        )
        .usage("numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>] [WITHSCORES]"),
    cmd("zunionstore", -4, Data(combine::zunionstore))
        .group(G)
        .since("2.0.0")
        .flags(WRITE | DENYOOM)
        .keys(STORE)
        .doc(
            "Stores the members that at least one of several sorted sets has.",
            "O(N) + O(M*log(M)) for N members in all, M of them different",
        )
        .usage("destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>]"),
];

/// All keys before the last argument, members of which are taken.
const LAST_BUT_ONE: KeySpec = KeySpec {
    begin: Begin::Index(1),
    find: Find::Range {
        last: -2,
        step: 1,
        limit: 0,
    },
    flags: RW | ACCESS | DELETE,
    notes: None,
};

/// When sorted sets stop being listpacks.
#[inline]
pub(super) fn limits(cx: &DataCx<'_>) -> Limits {
    Limits {
        entries: cx.config.zset_max_listpack_entries,
        value: cx.config.zset_max_listpack_value,
    }
}

/// The sorted set at a place, or the error that it is none.
#[inline]
fn zset_at<'a>(cx: &'a DataCx<'_>, place: Place) -> Result<ZsetRef<'a>, ErrorReply> {
    cx.entry(place).zset().ok_or(error::WRONG_TYPE)
}

/// The number that a score or weight is.
#[inline]
fn score(arg: &[u8]) -> Result<f64, ErrorReply> {
    parse_f64(arg).ok_or(error::NOT_A_FLOAT)
}

/// Replies with members as they come; the one place that says how members and scores are shown.
struct Shown {
    with_scores: bool,
    /// Each member and its score in an array of their own.
    in_pairs: bool,
}

impl Shown {
    /// Members and scores by turns.
    const FLAT: Shown = Shown {
        with_scores: true,
        in_pairs: false,
    };

    /// Each member and its score in an array of their own.
    const IN_PAIRS: Shown = Shown {
        with_scores: true,
        in_pairs: true,
    };

    /// As ranges do: RESP3 has an array a pair.
    #[inline]
    fn new(reply: &Reply, with_scores: bool) -> Shown {
        Shown {
            with_scores,
            in_pairs: with_scores && reply.proto() == Proto::Resp3,
        }
    }

    /// Begins a reply of so many members.
    #[inline]
    fn begin(&self, reply: &mut Reply, count: usize) {
        let twice = self.with_scores && !self.in_pairs;
        reply.array(if twice { 2 * count } else { count });
    }

    /// Adds a member.
    #[inline]
    fn add(&self, reply: &mut Reply, member: Item<'_>, score: f64) {
        if self.in_pairs {
            reply.array(2);
        }
        reply_item(reply, member);
        if self.with_scores {
            reply.double(score);
        }
    }
}

fn zrem(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_write(key) else {
        cx.reply.int(0);
        return Ok(());
    };
    let (removed, emptied) = cx.edit::<Zset, _>(key, place, |zset, _| {
        let members = argv.tail(2);
        let removed = members.iter().filter(|m| zset.remove(m).is_some());
        removed.count()
    })?;
    note_removed(cx, key.bytes, "zrem", removed, emptied);
    cx.reply.int(removed as i64);
    Ok(())
}

/// States that members were removed, and perhaps the key with the last of them.
fn note_removed(
    cx: &mut DataCx<'_>,
    key: &[u8],
    event: &'static str,
    removed: usize,
    emptied: bool,
) {
    if removed == 0 {
        return;
    }
    cx.effects.dirty += removed as u64;
    cx.effects.event(Class::Zset, event, cx.db_index, key);
    if emptied {
        cx.effects.emptied(cx.db_index, key);
    }
}

/// Stores a sorted set under the first key, or deletes that if the sorted set is empty, and replies
/// with the number of members.
fn store(cx: &mut DataCx<'_>, argv: Argv<'_>, zset: Zset, event: &'static str) {
    let key = cx.key(argv, 1);
    let place = cx.find_unseen(key);
    let count = zset.as_ref().len();
    cx.reply.int(count as i64);
    if count > 0 {
        cx.store_collection(key, place, zset);
        cx.effects
            .changed(Class::Zset, event, cx.db_index, key.bytes);
    } else if let Some(place) = place {
        cx.delete(key, place, cx.config.lazyfree_lazy_server_del);
        cx.effects
            .changed(Class::Generic, "del", cx.db_index, key.bytes);
    }
}

fn zcard(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let count = match cx.find_read(cx.key(argv, 1)) {
        Some(place) => zset_at(cx, place)?.len(),
        None => 0,
    };
    cx.reply.int(count as i64);
    Ok(())
}

fn zscore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let score = match cx.find_read(cx.key(argv, 1)) {
        Some(place) => zset_at(cx, place)?.score(argv.at(2)),
        None => None,
    };
    reply_score(cx.reply, score);
    Ok(())
}

fn zmscore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let place = cx.find_read(cx.key(argv, 1));
    let zset = match place {
        Some(place) => {
            let entry = cx.keyspace.db(cx.db_index).entry(place);
            Some(entry.zset().ok_or(error::WRONG_TYPE)?)
        }
        None => None,
    };
    let members = argv.tail(2);
    cx.reply.array(members.len());
    for member in members.iter() {
        reply_score(cx.reply, zset.and_then(|zset| zset.score(member)));
    }
    Ok(())
}

fn reply_score(reply: &mut Reply, score: Option<f64>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

fn zrank(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_rank(cx, argv, false)
}

fn zrevrank(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_rank(cx, argv, true)
}

fn reply_rank(cx: &mut DataCx<'_>, argv: Argv<'_>, from_highest: bool) -> Outcome {
    if argv.len() > 4 {
        let name = if from_highest { "zrevrank" } else { "zrank" };
        return Err(error::wrong_arity(name));
    }
    let with_score = argv.len() == 4;
    if with_score && !is(argv.at(3), "WITHSCORE") {
        return Err(error::SYNTAX);
    }
    let found = match cx.find_read(cx.key(argv, 1)) {
        Some(place) => {
            let zset = zset_at(cx, place)?;
            zset.rank(argv.at(2)).map(|(rank, score)| {
                let highest = zset.len() - 1;
                (if from_highest { highest - rank } else { rank }, score)
            })
        }
        None => None,
    };
    match found {
        Some((rank, score)) => {
            if with_score {
                cx.reply.array(2);
            }
            cx.reply.int(rank as i64);
            if with_score {
                cx.reply.double(score);
            }
        }
        None if with_score => cx.reply.null_array(),
        None => cx.reply.null(),
    }
    Ok(())
}
