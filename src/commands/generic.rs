//! Keys of any type: whether they exist, their names, and which database they are in.

use super::args::{self, is};
use crate::keyspace::db::Key;
use crate::keyspace::effects::Class;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::DataCx;

const G: Group = Group::Generic;

/// The family's table, but for what `expire`, `scan` and `object` own.
pub static COMMANDS: &[Command] = &[
    cmd("copy", -3, Data(copy))
        .group(G)
        .categories(CAT_KEYSPACE)
        .since("6.2.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(RO | ACCESS), KeySpec::at(2).flags(OW | UPDATE)])
        .doc("Copies a value to another key, here or in another database.", "O(N) in the number of nested items; O(1) for strings")
        .usage("source destination [DB destination-db] [REPLACE]"),
    cmd("del", -2, Data(del))
        .group(G)
        .categories(CAT_KEYSPACE)
        .flags(WRITE)
        .keys(&[FIRST.to_end(1).flags(RM | DELETE)])
        .doc("Deletes keys.", "O(N) in the number of keys, and in the elements of those that are collections")
        .usage("key [key ...]")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("exists", -2, Data(exists))
        .group(G)
        .categories(CAT_KEYSPACE)
        .flags(READONLY | FAST)
        .keys(&[FIRST.to_end(1).flags(RO)])
        .doc("Counts those of the given keys that exist.", "O(N) in the number of keys")
        .usage("key [key ...]")
        .history(&[("3.0.3", "Accepts multiple `key` arguments.")])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("move", 3, Data(move_key))
        .group(G)
        .categories(CAT_KEYSPACE)
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | UPDATE)])
        .doc("Moves a key to another database that does not have it.", "O(1)")
        .usage("key db"),
    cmd("rename", 3, Data(rename))
        .group(G)
        .categories(CAT_KEYSPACE)
        .flags(WRITE)
        .keys(&[FIRST.flags(RW | ACCESS | DELETE), KeySpec::at(2).flags(OW | UPDATE)])
        .doc("Gives a key another name, whatever had that name before.", "O(1), but for freeing what is overwritten")
        .usage("key newkey"),
    cmd("renamenx", 3, Data(renamenx))
        .group(G)
        .categories(CAT_KEYSPACE)
        .flags(WRITE | FAST)
        .keys(&[FIRST.flags(RW | ACCESS | DELETE), KeySpec::at(2).flags(OW | INSERT)])
        .doc("Gives a key another name if no key has it.", "O(1)")
        .usage("key newkey")
        .history(&[("3.2.0", "The command no longer returns an error when source and destination names are the same.")]),
    cmd("touch", -2, Data(touch))
        .group(G)
        .categories(CAT_KEYSPACE)
        .since("3.2.1")
        .flags(READONLY | FAST)
        .keys(&[FIRST.to_end(1).flags(RO)])
        .doc("Marks keys as used now, and counts those that exist.", "O(N) in the number of keys")
        .usage("key [key ...]")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("type", 2, Data(type_of))
        .group(G)
        .categories(CAT_KEYSPACE)
        .flags(READONLY | FAST)
        .keys(&[FIRST.flags(RO)])
        .doc("Returns the type of a key's value.", "O(1)")
        .usage("key"),
    cmd("unlink", -2, Data(unlink))
        .group(G)
        .categories(CAT_KEYSPACE)
        .since("4.0.0")
        .flags(WRITE | FAST)
        .keys(&[FIRST.to_end(1).flags(RM | DELETE)])
        .doc("Deletes keys and leaves freeing what is big to another thread.", "O(1) a key, whatever its size")
        .usage("key [key ...]")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
];

/// The database that an argument names.
fn database(cx: &DataCx<'_>, arg: &[u8]) -> Result<usize, ErrorReply> {
    match usize::try_from(args::integer32(arg)?) {
        Ok(index) if index < cx.keyspace.count() => Ok(index),
        _ => Err(error::DB_INDEX_OUT_OF_RANGE),
    }
}

fn copy(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (mut to_db, mut replace) = (cx.db_index, false);
    let mut i = 3;
    while let Some(option) = argv.get(i) {
        if is(option, "REPLACE") {
            replace = true;
        } else if is(option, "DB") {
            to_db = database(cx, args::after(argv, i)?)?;
            i += 1;
        } else {
            return Err(error::SYNTAX);
        }
        i += 1;
    }
    let (key, new) = (cx.key(argv, 1), cx.key(argv, 2));
    if to_db == cx.db_index && key.bytes == new.bytes {
        return Err(error::SAME_OBJECT);
    }
    if cx.find_read(key).is_none() {
        cx.reply.int(0);
        return Ok(());
    }
    if let Some(taken) = cx.find_in(to_db, new) {
        if !replace {
            cx.reply.int(0);
            return Ok(());
        }
        cx.keyspace
            .remove(to_db, new, taken, cx.config.lazyfree_lazy_server_del);
    }
    // What was removed or found expired under the new name may have moved the source.
    let place = cx
        .db()
        .find(key)
        .expect("found above, and only another key was removed since");
    cx.keyspace
        .copy(cx.db_index, place, to_db, new, cx.access.new_entry());
    cx.effects.created(to_db, new.bytes);
    cx.effects
        .changed(Class::Generic, "copy_to", to_db, new.bytes);
    cx.reply.int(1);
    Ok(())
}

fn del(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    delete_all(cx, argv, cx.config.lazyfree_lazy_user_del)
}

fn unlink(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    delete_all(cx, argv, true)
}

fn delete_all(cx: &mut DataCx<'_>, argv: Argv<'_>, lazily: bool) -> Outcome {
    let mut deleted = 0;
    for i in 1..argv.len() {
        let key = cx.key(argv, i);
        if let Some(place) = cx.find_unseen(key) {
            cx.delete(key, place, lazily);
            cx.effects
                .changed(Class::Generic, "del", cx.db_index, key.bytes);
            deleted += 1;
        }
    }
    cx.reply.int(deleted);
    Ok(())
}

fn exists(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let found = (1..argv.len())
        .filter(|&i| cx.find_quietly(cx.key(argv, i)).is_some())
        .count();
    cx.reply.int(found as i64);
    Ok(())
}

fn touch(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    // A client under CLIENT NO-TOUCH asks for it here.
    cx.no_touch = false;
    let found = (1..argv.len())
        .filter(|&i| cx.find_read(cx.key(argv, i)).is_some())
        .count();
    cx.reply.int(found as i64);
    Ok(())
}

fn type_of(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let place = cx.find_quietly(cx.key(argv, 1));
    let name = place.map_or("none", |place| cx.entry(place).kind().name());
    cx.reply.simple(name);
    Ok(())
}

fn move_key(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (from, to) = (cx.db_index, database(cx, argv.at(2))?);
    if from == to {
        return Err(error::SAME_OBJECT);
    }
    let key = cx.key(argv, 1);
    let moved = match cx.find_write(key) {
        Some(place) if cx.find_in(to, key).is_none() => {
            let (from, to) = cx.keyspace.two(from, to);
            from.move_to(key, place, to);
            true
        }
        _ => false,
    };
    if moved {
        cx.effects.lost(from, key.bytes);
        cx.effects.created(to, key.bytes);
        cx.effects
            .changed(Class::Generic, "move_from", from, key.bytes);
        cx.effects.event(Class::Generic, "move_to", to, key.bytes);
    }
    cx.reply.int(moved.into());
    Ok(())
}

fn rename(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (key, new) = (cx.key(argv, 1), cx.key(argv, 2));
    check_source(cx, key)?;
    if key.bytes != new.bytes {
        if let Some(taken) = cx.find_unseen(new) {
            cx.delete(new, taken, cx.config.lazyfree_lazy_server_del);
        }
        rename_to_free(cx, key, new);
    }
    cx.reply.ok();
    Ok(())
}

fn renamenx(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (key, new) = (cx.key(argv, 1), cx.key(argv, 2));
    check_source(cx, key)?;
    let free = key.bytes != new.bytes && cx.find_write(new).is_none();
    if free {
        rename_to_free(cx, key, new);
    }
    cx.reply.int(free.into());
    Ok(())
}

fn check_source(cx: &mut DataCx<'_>, key: Key<'_>) -> Outcome {
    cx.find_write(key).map(drop).ok_or(error::NO_SUCH_KEY)
}

/// Renames a key that exists to a name that no key has.
fn rename_to_free(cx: &mut DataCx<'_>, key: Key<'_>, new: Key<'_>) {
    let place = cx
        .db()
        .find(key)
        .expect("the caller found it, and only another key was removed since");
    cx.db_mut().rename(key, place, new);
    cx.effects.lost(cx.db_index, key.bytes);
    cx.effects.created(cx.db_index, new.bytes);
    cx.effects
        .changed(Class::Generic, "rename_from", cx.db_index, key.bytes);
    cx.effects
        .event(Class::Generic, "rename_to", cx.db_index, new.bytes);
}
