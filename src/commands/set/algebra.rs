//! Intersections, differences and unions of sets: to reply with, to count, or to store.
//!
//! A key that is not there counts as an empty set. What is replied is written as it is found, without
//! a set in between, unless there are many sets.

use super::{intercard_options, limits, set_at};
use crate::commands::items::reply_item;
use crate::keyspace::db::Db;
use crate::keyspace::effects::Class;
use crate::keyspace::set::{Item, Limits, Pass, Set, SetRef, sift};
use crate::keyspace::value::{Collection, Type};
use crate::resp::error::{ErrorReply, Outcome};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::cx::{DataCx, Place};
use std::ops::{ControlFlow, Range};

/// Up to so many sets, looking a member up in each of them costs less than a set of what they hold.
const SIFTED_MAX: usize = 4;

pub(super) fn sinter(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let places = find_all(cx, argv, 1..argv.len())?;
    let mut sets = sets_at(cx.keyspace.db(cx.db_index), &places);
    sets.sort_by_key(|set| set.len());
    reply_found(cx.reply, |visit| {
        let _ = sift(sets[0], &sets[1..], Pass::InAll, |item| {
            visit(item);
            ControlFlow::Continue(())
        });
    });
    Ok(())
}

pub(super) fn sintercard(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (keys, limit) = intercard_options(argv)?;
    let places = find_all(cx, argv, 2..2 + keys)?;
    let mut sets = sets_at(cx.keyspace.db(cx.db_index), &places);
    sets.sort_by_key(|set| set.len());
    let mut found = 0;
    let _ = sift(sets[0], &sets[1..], Pass::InAll, |_| {
        found += 1;
        if found == limit {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    cx.reply.int(found as i64);
    Ok(())
}

pub(super) fn sinterstore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let places = find_all(cx, argv, 2..argv.len())?;
    let mut sets = sets_at(cx.keyspace.db(cx.db_index), &places);
    let limits = limits(cx.config);
    sets.sort_by_key(|set| set.len());
    let mut result = Set::for_part_of(sets[0]);
    let _ = sift(sets[0], &sets[1..], Pass::InAll, |item| {
        result.insert_item(item, limits);
        ControlFlow::Continue(())
    });
    result.narrow(limits);
    store(cx, argv, result, "sinterstore");
    Ok(())
}

pub(super) fn sunion(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let places = find_all(cx, argv, 1..argv.len())?;
    let mut sets = sets_at(cx.keyspace.db(cx.db_index), &places);
    // Nothing of the first one need be looked up.
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let limits = limits(cx.config);
    reply_found(cx.reply, |visit| {
        if sets.len() > SIFTED_MAX {
            let mut seen = Set::new_in(Vec::new());
            for item_set in &sets {
                item_set.for_each(|item| {
                    if seen.insert_item(item, limits) {
                        visit(item);
                    }
                });
            }
            return;
        }
        for (i, set) in sets.iter().enumerate() {
            let _ = sift(*set, &sets[..i], Pass::InNone, |item| {
                visit(item);
                ControlFlow::Continue(())
            });
        }
    });
    Ok(())
}

pub(super) fn sunionstore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let places = find_all(cx, argv, 2..argv.len())?;
    let sets = sets_at(cx.keyspace.db(cx.db_index), &places);
    let limits = limits(cx.config);
    let mut result = Set::of_ints();
    for set in sets {
        set.for_each(|item| {
            result.insert_item(item, limits);
        });
    }
    store(cx, argv, result, "sunionstore");
    Ok(())
}

pub(super) fn sdiff(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let places = find_all(cx, argv, 1..argv.len())?;
    let limits = limits(cx.config);
    let mut union = Set::new_in(Vec::new());
    let mut sets = sets_at(cx.keyspace.db(cx.db_index), &places);
    let first = sets.remove(0);
    if sets.len() > SIFTED_MAX && first.len() > total_len(&sets) / SIFTED_MAX {
        for set in sets.drain(..) {
            set.for_each(|item| {
                union.insert_item(item, limits);
            });
        }
        sets.push(union.as_ref());
    }
    reply_found(cx.reply, |visit| sift_out(first, sets, visit));
    Ok(())
}

pub(super) fn sdiffstore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let places = find_all(cx, argv, 2..argv.len())?;
    let mut sets = sets_at(cx.keyspace.db(cx.db_index), &places);
    let limits = limits(cx.config);
    let result = difference(&mut sets, limits);
    store(cx, argv, result, "sdiffstore");
    Ok(())
}

/// The difference as a set. How it is made decides in which form it is; it is made as in Redis.
fn difference(sets: &mut Vec<SetRef<'_>>, limits: Limits) -> Set {
    let present = sets.iter().filter(|set| !set.is_empty()).count();
    let looking_up = sets[0].len().saturating_mul(present) / 2;
    let removing = total_len(sets);
    let first = sets.remove(0);
    let mut result = Set::of_ints();
    let mut add = |item: Item<'_>| {
        result.insert_item(item, limits);
    };
    if looking_up <= removing {
        sift_out(first, std::mem::take(sets), add);
    } else {
        first.for_each(&mut add);
        for set in sets {
            set.for_each(|item| {
                result.remove_item(item);
            });
        }
    }
    result
}

/// Visits the members of a set that are in none of the others.
fn sift_out<'a>(first: SetRef<'a>, mut others: Vec<SetRef<'_>>, mut visit: impl FnMut(Item<'a>)) {
    others.retain(|set| !set.is_empty());
    others.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let _ = sift(first, &others, Pass::InNone, |item| {
        visit(item);
        ControlFlow::Continue(())
    });
}

fn total_len(sets: &[SetRef<'_>]) -> usize {
    sets.iter().map(|set| set.len()).sum()
}

/// Looks up the sets whose keys are these arguments; fails if one is something else.
fn find_all(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    args: Range<usize>,
) -> Result<Vec<Option<Place>>, ErrorReply> {
    let keys_before = cx.db().len();
    let mut places = Vec::with_capacity(args.len());
    for i in args.clone() {
        let place = cx.find_read(cx.key(argv, i));
        if let Some(place) = place {
            cx.expect_kind(place, Type::Set)?;
        }
        places.push(place);
    }
    if cx.db().len() != keys_before {
        // One was found expired and is gone, and so entries may lie elsewhere.
        places.clear();
        places.extend(args.map(|i| cx.find_unseen(cx.key(argv, i))));
    }
    Ok(places)
}

/// The sets at these places; a missing one is empty.
fn sets_at<'a>(db: &'a Db, places: &[Option<Place>]) -> Vec<SetRef<'a>> {
    let set = |place: &Option<Place>| match *place {
        Some(place) => set_at(db, place).expect("the type was checked"),
        None => SetRef::EMPTY,
    };
    places.iter().map(set).collect()
}

/// Replies with the members that `find` visits.
fn reply_found<'a>(reply: &mut Reply, find: impl FnOnce(&mut dyn FnMut(Item<'a>))) {
    let (header, mut found) = (reply.defer_set(), 0);
    find(&mut |item| {
        reply_item(reply, item);
        found += 1;
    });
    reply.end_set(header, found);
}

/// Stores a result under the key that the first argument is, whatever was there, and replies with its
/// size; an empty one deletes the key.
fn store(cx: &mut DataCx<'_>, argv: Argv<'_>, result: Set, event: &'static str) {
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    let len = result.as_ref().len();
    if len > 0 {
        cx.store_collection(key, place, result);
        cx.effects
            .changed(Class::Set, event, cx.db_index, key.bytes);
    } else if let Some(place) = place {
        cx.delete(key, place, cx.config.lazyfree_lazy_server_del);
        cx.effects
            .changed(Class::Generic, "del", cx.db_index, key.bytes);
    }
    cx.reply.int(len as i64);
}
