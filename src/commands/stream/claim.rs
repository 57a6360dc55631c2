//! Pending entries change their owner: XCLAIM and XAUTOCLAIM.
//!
//! A claim is idempotent as it is propagated, with everything that it came to. An entry that is pending
//! but was deleted is not claimed: it is taken from the pending ones.

use super::group::note_new_consumer;
use super::ids::{self, reply_id};
use super::show::{Propagated, find_group, reply_entry};
use crate::base::num::parse_i64;
use crate::commands::args::{integer_in, is};
use crate::data::stream::{ConsumerId, Group, Log, Nack, Stream, StreamId};
use crate::keyspace::effects::Effects;
use crate::resp::error::{self, ErrorReply, Outcome, quotable};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::cx::DataCx;

/// What XCLAIM asks for.
struct Claim<'a> {
    ids: Argv<'a>,
    idle_min_ms: i64,
    /// When the entries are to count as delivered.
    delivery_time_ms: i64,
    delivery_count: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl<'a> Claim<'a> {
    fn parse(argv: Argv<'a>, now_ms: i64) -> Result<Claim<'a>, ErrorReply> {
        let idle = number(argv.at(4), "Invalid min-idle-time argument for XCLAIM")?;
        let args = argv.tail(5);
        let ids = args.iter().take_while(|arg| ids::try_parse(arg).is_some());
        let ids = ids.count();
        let mut claim = Claim {
            ids: args.slice(0, ids),
            idle_min_ms: idle.max(0),
            delivery_time_ms: now_ms,
            delivery_count: None,
            force: false,
            just_id: false,
            last_id: StreamId::MIN,
        };
        let mut at = ids;
        while let Some(option) = args.get(at) {
            match args.get(at + 1) {
                _ if is(option, "FORCE") => claim.force = true,
                _ if is(option, "JUSTID") => claim.just_id = true,
                Some(value) => {
                    claim.option(option, value, now_ms)?;
                    at += 1;
                }
                None => return Err(unrecognized(option)),
            }
            at += 1;
        }
        Ok(claim)
    }

    /// Reads an option that has a value.
    fn option(&mut self, option: &[u8], value: &[u8], now_ms: i64) -> Outcome {
        // A time that makes no sense is that of now: the client's clock may be another one.
        let sensible = |time: i64| (0..=now_ms).contains(&time);
        if is(option, "IDLE") {
            let idle = number(value, "Invalid IDLE option argument for XCLAIM")?;
            let time = now_ms.checked_sub(idle).filter(|&time| sensible(time));
            self.delivery_time_ms = time.unwrap_or(now_ms);
        } else if is(option, "TIME") {
            let time = number(value, "Invalid TIME option argument for XCLAIM")?;
            self.delivery_time_ms = Some(time).filter(|&time| sensible(time)).unwrap_or(now_ms);
        } else if is(option, "RETRYCOUNT") {
            let count = number(value, "Invalid RETRYCOUNT option argument for XCLAIM")?;
            self.delivery_count = u64::try_from(count).ok();
        } else if is(option, "LASTID") {
            self.last_id = ids::parse(value)?;
        } else {
            return Err(unrecognized(option));
        }
        Ok(())
    }

    /// What becomes of an entry that is in the log; none if it is not claimed.
    fn claimed(&self, nack: Option<&Nack>, consumer: ConsumerId, now_ms: i64) -> Option<Nack> {
        let before = match nack {
            Some(nack) if is_idle(nack, self.idle_min_ms, now_ms) => nack.delivery_count,
            None if self.force => 1,
            _ => return None,
        };
        let counted = before.saturating_add(u64::from(!self.just_id));
        Some(Nack {
            consumer,
            delivery_time_ms: self.delivery_time_ms,
            delivery_count: self.delivery_count.unwrap_or(counted),
        })
    }
}

fn number(arg: &[u8], otherwise: &'static str) -> Result<i64, ErrorReply> {
    parse_i64(arg).ok_or_else(|| format!("ERR {otherwise}").into())
}

#[cold]
fn unrecognized(option: &[u8]) -> ErrorReply {
    let option = quotable(option, option.len());
    [b"ERR Unrecognized XCLAIM option '", option, b"'"]
        .concat()
        .into()
}

#[inline]
fn is_idle(nack: &Nack, idle_min_ms: i64, now_ms: i64) -> bool {
    idle_min_ms == 0 || nack.idle_ms(now_ms) >= idle_min_ms
}

/// The consumer of a name, which is created if it is new, and seen now.
fn consumer_of(
    effects: &mut Effects,
    (db, key): (usize, &[u8]),
    group: &mut Group,
    name: &[u8],
    now_ms: i64,
) -> ConsumerId {
    let id = group.find_consumer(name).unwrap_or_else(|| {
        note_new_consumer(effects, db, key);
        let id = group.create_consumer(name, now_ms);
        id.expect("there is none of this name")
    });
    group.consumer_mut(id).seen_time_ms = now_ms;
    id
}

pub(super) fn xclaim(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (key, name, consumer) = (cx.key(argv, 1), argv.at(2), argv.at(3));
    let place = find_group(cx, key, name)?;
    let claim = Claim::parse(argv, cx.now_ms)?;
    cx.effects.do_not_propagate();
    let (db, now_ms) = (cx.db_index, cx.now_ms);
    let (reply, effects) = (&mut *cx.reply, &mut *cx.effects);
    let propagated = Propagated {
        key: key.bytes,
        group: name,
    };
    let change = |stream: &mut Box<Stream>, _: &mut _| {
        let Stream { log, groups } = &mut **stream;
        let group = groups.get_mut(name).expect("the group was found");
        // A claim that is propagated says it too.
        let mut owes_last_id = claim.last_id > group.last_id();
        if owes_last_id {
            group.set_id(claim.last_id, group.entries_read());
        }
        let consumer = consumer_of(effects, (db, key.bytes), group, consumer, now_ms);
        let begun = reply.defer_array();
        let mut claimed = 0;
        for id in claim.ids.iter().filter_map(ids::try_parse) {
            let Some(entry) = log.get(id) else {
                if group.nack(id).is_some() {
                    drop_gone(effects, &propagated, group, id);
                    owes_last_id = false;
                }
                continue;
            };
            let Some(nack) = claim.claimed(group.nack(id), consumer, now_ms) else {
                continue;
            };
            group.assign(id, nack);
            group.consumer_mut(consumer).active_time_ms = now_ms;
            if claim.just_id {
                reply_id(reply, id);
            } else {
                reply_entry(reply, &entry);
            }
            propagated.claim(effects, group, id);
            effects.dirty += 1;
            owes_last_id = false;
            claimed += 1;
        }
        if owes_last_id {
            propagated.last_id(effects, group);
            effects.dirty += 1;
        }
        reply.end_array(begun, claimed);
    };
    cx.keyspace.edit(db, key, place, change);
    Ok(())
}

/// Takes a pending entry that is in the log no more from the pending ones. The claim that is propagated
/// does the same there.
fn drop_gone(effects: &mut Effects, propagated: &Propagated<'_>, group: &mut Group, id: StreamId) {
    propagated.claim(effects, group, id);
    effects.dirty += 1;
    group.ack(id);
}

/// What XAUTOCLAIM asks for.
struct AutoClaim {
    idle_min_ms: i64,
    start: StreamId,
    count: usize,
    just_id: bool,
}

impl AutoClaim {
    /// As many entries are looked at for each that may be claimed.
    const LOOKS: usize = 10;

    fn parse(argv: Argv<'_>) -> Result<AutoClaim, ErrorReply> {
        /// The largest count that Redis takes.
        const COUNT_MAX: i64 = i64::MAX / 16;
        let idle = number(argv.at(4), "Invalid min-idle-time argument for XAUTOCLAIM")?;
        let mut claim = AutoClaim {
            idle_min_ms: idle.max(0),
            start: ids::range_start(argv.at(5))?,
            count: 100,
            just_id: false,
        };
        let mut at = 6;
        while let Some(option) = argv.get(at) {
            match argv.get(at + 1) {
                Some(value) if is(option, "COUNT") => {
                    let count = integer_in(value, 1..=COUNT_MAX, "ERR COUNT must be > 0".into())?;
                    claim.count = count as usize;
                    at += 1;
                }
                _ if is(option, "JUSTID") => claim.just_id = true,
                _ => return Err(error::SYNTAX),
            }
            at += 1;
        }
        Ok(claim)
    }
}

/// What an XAUTOCLAIM came to.
#[derive(Default)]
struct Found {
    claimed: Vec<StreamId>,
    gone: Vec<StreamId>,
    /// Where the next one goes on; 0-0 at the end.
    next: StreamId,
}

pub(super) fn xautoclaim(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let claim = AutoClaim::parse(argv)?;
    let (key, name, consumer) = (cx.key(argv, 1), argv.at(2), argv.at(3));
    let place = find_group(cx, key, name)?;
    cx.effects.do_not_propagate();
    let (db, now_ms) = (cx.db_index, cx.now_ms);
    let (reply, effects) = (&mut *cx.reply, &mut *cx.effects);
    let propagated = Propagated {
        key: key.bytes,
        group: name,
    };
    let change = |stream: &mut Box<Stream>, _: &mut _| {
        let Stream { log, groups } = &mut **stream;
        let group = groups.get_mut(name).expect("the group was found");
        let consumer = consumer_of(effects, (db, key.bytes), group, consumer, now_ms);
        let found = claim.run(log, group, consumer, now_ms, effects, &propagated);
        show_found(reply, log, &found, claim.just_id);
    };
    cx.keyspace.edit(db, key, place, change);
    Ok(())
}

impl AutoClaim {
    fn run(
        &self,
        log: &Log,
        group: &mut Group,
        consumer: ConsumerId,
        now_ms: i64,
        effects: &mut Effects,
        propagated: &Propagated<'_>,
    ) -> Found {
        let mut found = Found::default();
        let mut looks_left = self.count.saturating_mul(Self::LOOKS);
        let mut from = Some(self.start);
        loop {
            let next = from.and_then(|from| group.pending(from).next());
            let Some((id, &nack)) = next else {
                return found;
            };
            if looks_left == 0 || found.claimed.len() + found.gone.len() == self.count {
                found.next = id;
                return found;
            }
            looks_left -= 1;
            from = id.next();
            if !log.contains(id) {
                drop_gone(effects, propagated, group, id);
                found.gone.push(id);
            } else if is_idle(&nack, self.idle_min_ms, now_ms) {
                let counted = nack.delivery_count.saturating_add(u64::from(!self.just_id));
                group.assign(
                    id,
                    Nack {
                        consumer,
                        delivery_time_ms: now_ms,
                        delivery_count: counted,
                    },
                );
                group.consumer_mut(consumer).active_time_ms = now_ms;
                propagated.claim(effects, group, id);
                effects.dirty += 1;
                found.claimed.push(id);
            }
        }
    }
}

fn show_found(reply: &mut Reply, log: &Log, found: &Found, just_id: bool) {
    reply.array(3);
    reply_id(reply, found.next);
    reply.array(found.claimed.len());
    for &id in &found.claimed {
        if just_id {
            reply_id(reply, id);
        } else {
            reply_entry(
                reply,
                &log.get(id).expect("the log had it when it was claimed"),
            );
        }
    }
    reply.array(found.gone.len());
    for &id in &found.gone {
        reply_id(reply, id);
    }
}
