//! Consumer groups made and changed: XGROUP, XACK; and XSETID, which does for a stream what XGROUP SETID
//! does for a group.

use super::ids;
use super::show::{no_group, stream_at};
use crate::commands::args::{integer, is};
use crate::commands::help as help_of;
use crate::data::stream::{Group, Stream, StreamId};
use crate::keyspace::db::Key;
use crate::keyspace::effects::{Class, Effects};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::cx::{DataCx, Place};

/// The options of XGROUP CREATE and SETID, behind the ID.
#[derive(Default)]
struct Options {
    mkstream: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn parse(argv: Argv<'_>, may_create: bool) -> Result<Options, ErrorReply> {
        let mut options = Options::default();
        let mut at = 5;
        while let Some(arg) = argv.get(at) {
            match argv.get(at + 1) {
                _ if may_create && is(arg, "MKSTREAM") => options.mkstream = true,
                Some(value) if is(arg, "ENTRIESREAD") => {
                    options.entries_read = entries_read(value)?;
                    at += 1;
                }
                _ => return Err(syntax(argv)),
            }
            at += 1;
        }
        Ok(options)
    }
}

/// A number of entries, or -1 where it is unknown.
fn entries_read(arg: &[u8]) -> Result<Option<u64>, ErrorReply> {
    match integer(arg)? {
        -1 => Ok(None),
        read => match u64::try_from(read) {
            Ok(read) => Ok(Some(read)),
            Err(_) => Err("ERR value for ENTRIESREAD must be positive or -1".into()),
        },
    }
}

fn syntax(argv: Argv<'_>) -> ErrorReply {
    error::subcommand_syntax(argv.at(1), "xgroup")
}

/// The stream of a subcommand, which must be there.
fn find(cx: &mut DataCx<'_>, key: Key<'_>) -> Result<Place, ErrorReply> {
    find_or_none(cx, key)?.ok_or(
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
         option to create an empty stream automatically."
            .into(),
    )
}

fn find_or_none(cx: &mut DataCx<'_>, key: Key<'_>) -> Result<Option<Place>, ErrorReply> {
    let place = cx.find_write(key);
    if let Some(place) = place {
        stream_at(cx, place)?;
    }
    Ok(place)
}

/// The stream and group of a subcommand, which must both be there.
fn find_group(cx: &mut DataCx<'_>, key: Key<'_>, group: &[u8]) -> Result<Place, ErrorReply> {
    let place = find(cx, key)?;
    match stream_at(cx, place)?.groups.get(group) {
        Some(_) => Ok(place),
        None => Err(no_group(key.bytes, group)),
    }
}

/// Changes a group that was found.
fn edit_group<R>(
    cx: &mut DataCx<'_>,
    key: Key<'_>,
    place: Place,
    group: &[u8],
    change: impl FnOnce(&mut Group) -> R,
) -> Result<R, ErrorReply> {
    let (result, _) = cx.edit::<Box<Stream>, _>(key, place, |stream, _| {
        let group = stream.groups.get_mut(group);
        change(group.expect("the group was found"))
    })?;
    Ok(result)
}

pub(super) fn create(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let options = Options::parse(argv, true)?;
    let (key, name) = (cx.key(argv, 2), argv.at(3));
    let place = if options.mkstream {
        find_or_none(cx, key)?
    } else {
        Some(find(cx, key)?)
    };
    if argv.len() > 8 {
        return Err(syntax(argv));
    }
    let id = match (argv.at(4), place) {
        (b"$", Some(place)) => stream_at(cx, place)?.log.last_id(),
        (b"$", None) => StreamId::MIN,
        (id, _) => ids::parse(id)?,
    };
    let is_new = match place {
        Some(place) => {
            let (is_new, _) = cx.edit::<Box<Stream>, _>(key, place, |stream, _| {
                let groups = &mut stream.groups;
                groups.create(name, id, options.entries_read).is_some()
            })?;
            is_new
        }
        None => {
            let mut stream = Stream::default();
            stream.groups.create(name, id, options.entries_read);
            cx.store_collection(key, None, Box::new(stream));
            true
        }
    };
    if !is_new {
        return Err("BUSYGROUP Consumer Group name already exists".into());
    }
    let (effects, db) = (&mut *cx.effects, cx.db_index);
    if place.is_some() {
        effects.noted(Class::Stream, "xgroup-create", db, key.bytes);
    } else {
        effects.changed(Class::Stream, "xgroup-create", db, key.bytes);
    }
    cx.reply.ok();
    Ok(())
}

pub(super) fn set_id(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let options = Options::parse(argv, false)?;
    let (key, name) = (cx.key(argv, 2), argv.at(3));
    let place = find_group(cx, key, name)?;
    if argv.len() > 7 {
        return Err(syntax(argv));
    }
    let id = match argv.at(4) {
        b"$" => stream_at(cx, place)?.log.last_id(),
        id => ids::limit(id, 0)?,
    };
    edit_group(cx, key, place, name, |group| {
        group.set_id(id, options.entries_read);
    })?;
    cx.effects
        .noted(Class::Stream, "xgroup-setid", cx.db_index, key.bytes);
    cx.reply.ok();
    Ok(())
}

pub(super) fn destroy(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (key, name) = (cx.key(argv, 2), argv.at(3));
    let place = find(cx, key)?;
    let (was_there, _) =
        cx.edit::<Box<Stream>, _>(key, place, |stream, _| stream.groups.destroy(name))?;
    if was_there {
        cx.effects
            .noted(Class::Stream, "xgroup-destroy", cx.db_index, key.bytes);
        // Those who wait as its consumers wait no longer.
        cx.effects.became(cx.db_index, key.bytes);
    }
    cx.reply.int(was_there.into());
    Ok(())
}

/// States that a consumer was created.
pub(super) fn note_new_consumer(effects: &mut Effects, db: usize, key: &[u8]) {
    effects.noted(Class::Stream, "xgroup-createconsumer", db, key);
}

pub(super) fn create_consumer(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (key, name, consumer) = (cx.key(argv, 2), argv.at(3), argv.at(4));
    let place = find_group(cx, key, name)?;
    let now_ms = cx.now_ms;
    let created = edit_group(cx, key, place, name, |group| {
        group.create_consumer(consumer, now_ms).is_some()
    })?;
    if created {
        note_new_consumer(cx.effects, cx.db_index, key.bytes);
    }
    cx.reply.int(created.into());
    Ok(())
}

pub(super) fn delete_consumer(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (key, name, consumer) = (cx.key(argv, 2), argv.at(3), argv.at(4));
    let place = find_group(cx, key, name)?;
    let pending = edit_group(cx, key, place, name, |group| {
        group.delete_consumer(consumer)
    })?;
    if pending.is_some() {
        cx.effects
            .noted(Class::Stream, "xgroup-delconsumer", cx.db_index, key.bytes);
    }
    cx.reply.int(pending.unwrap_or(0) as i64);
    Ok(())
}

pub(super) fn help(cx: &mut DataCx<'_>, _argv: Argv<'_>) -> Outcome {
    help_of::reply(
        cx.reply,
        "XGROUP",
        &[
            (
                "CREATE <key> <groupname> <id|$> [option]",
                "Make a consumer group that begins behind an ID. Options are:\n\
                 * MKSTREAM\n  Make an empty stream if there is none.\n\
                 * ENTRIESREAD entries_read\n  Say how many entries were read (internal use).",
            ),
            (
                "CREATECONSUMER <key> <groupname> <consumer>",
                "Make a consumer in a group.",
            ),
            (
                "DELCONSUMER <key> <groupname> <consumer>",
                "Remove a consumer, with all that is pending for it.",
            ),
            ("DESTROY <key> <groupname>", "Remove a group."),
            (
                "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
                "Set the ID behind which a group goes on, and how many entries it has read.",
            ),
        ],
    );
    Ok(())
}

pub(super) fn xack(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (key, name) = (cx.key(argv, 1), argv.at(2));
    let place = match cx.find_read(key) {
        Some(place) if stream_at(cx, place)?.groups.get(name).is_some() => place,
        _ => {
            cx.reply.int(0);
            return Ok(());
        }
    };
    let wanted = argv.tail(3);
    for arg in wanted.iter() {
        ids::parse(arg)?;
    }
    let acknowledged = edit_group(cx, key, place, name, |group| {
        let ids = wanted.iter().filter_map(ids::try_parse);
        ids.filter(|&id| group.ack(id)).count()
    })?;
    cx.effects.dirty += acknowledged as u64;
    cx.reply.int(acknowledged as i64);
    Ok(())
}

pub(super) fn xsetid(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let id = ids::parse(argv.at(2))?;
    let (mut entries_added, mut max_deleted) = (None, StreamId::MIN);
    let mut at = 3;
    while let Some(arg) = argv.get(at) {
        let value = argv.get(at + 1).ok_or(error::SYNTAX)?;
        if is(arg, "ENTRIESADDED") {
            let count = u64::try_from(integer(value)?);
            entries_added = Some(count.map_err(|_| "ERR entries_added must be positive")?);
        } else if is(arg, "MAXDELETEDID") {
            max_deleted = ids::parse(value)?;
            if id < max_deleted {
                return Err(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id".into(),
                );
            }
        } else {
            return Err(error::SYNTAX);
        }
        at += 2;
    }
    let key = cx.key(argv, 1);
    let place = cx.find_write(key).ok_or(error::NO_SUCH_KEY)?;
    let log = &stream_at(cx, place)?.log;
    if id < log.max_deleted_id() {
        return Err(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id".into(),
        );
    }
    if let Some(last) = log.last() {
        if id < last.id {
            return Err(
                "ERR The ID specified in XSETID is smaller than the target stream top item".into(),
            );
        }
        if entries_added.is_some_and(|count| count < log.len()) {
            return Err("ERR The entries_added specified in XSETID is smaller than the target stream length".into());
        }
    }
    cx.edit::<Box<Stream>, _>(key, place, |stream, _| {
        stream.log.set_last_id(id);
        if let Some(count) = entries_added {
            stream.log.set_entries_added(count);
        }
        if !max_deleted.is_zero() {
            stream.log.set_max_deleted_id(max_deleted);
        }
    })?;
    cx.effects
        .noted(Class::Stream, "xsetid", cx.db_index, key.bytes);
    cx.reply.ok();
    Ok(())
}
