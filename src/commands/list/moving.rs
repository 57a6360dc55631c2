//! An element that moves from one end of a list to one of another, or of the same.

use super::{end, list_at, options, pop_event, push_event};
use crate::keyspace::effects::Class;
use crate::keyspace::list::{End, List};
use crate::resp::error::{ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::cx::DataCx;

pub(super) fn lmove(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (from, to) = (end(argv.at(3))?, end(argv.at(4))?);
    move_or_null(cx, argv, from, to)
}

pub(super) fn rpoplpush(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    move_or_null(cx, argv, End::Right, End::Left)
}

fn move_or_null(cx: &mut DataCx<'_>, argv: Argv<'_>, from: End, to: End) -> Outcome {
    if !move_element(cx, argv, from, to)? {
        cx.reply.null();
    }
    Ok(())
}

/// Moves an element from the list that argument 1 names to the one that argument 2 names, and
/// replies with it. Says whether there was one.
pub(super) fn move_element(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    from: End,
    to: End,
) -> Result<bool, ErrorReply> {
    let (source, destination) = (cx.key(argv, 1), cx.key(argv, 2));
    let Some(place) = cx.find_write(source) else {
        return Ok(false);
    };
    list_at(cx, place)?;
    // What expired under the other name may have moved the source.
    let target = cx.find_write(destination);
    if let Some(target) = target {
        list_at(cx, target)?;
    }
    let place = cx
        .db()
        .find(source)
        .expect("found above, and only another key can have expired since");
    let options = options(cx.config);
    let mut element = Vec::new();
    let is_same = source.bytes == destination.bytes;
    let take = |list: &mut List, element: &mut Vec<u8>| {
        list.pop(from, 1, |item| {
            element.extend_from_slice(item.bytes(&mut itoa::Buffer::new()));
        });
    };
    let put = |list: &mut List, element: &[u8]| {
        list.make_room(options, element.len(), 1);
        list.push(to, element);
    };
    let emptied = if is_same {
        cx.edit(source, place, |list: &mut List, _| {
            take(list, &mut element);
            put(list, &element);
            list.shrink(options);
        })?;
        false
    } else {
        // Taken before it is put: the key of an emptied list goes, which may move the other entry.
        let ((), emptied) = cx.edit(source, place, |list: &mut List, _| {
            take(list, &mut element);
            list.shrink(options);
        })?;
        let target = target.and_then(|_| cx.db().find(destination));
        cx.edit_or_create(destination, target, |list: &mut List, _| {
            put(list, &element)
        })?;
        emptied
    };
    let db = cx.db_index;
    cx.effects
        .changed(Class::List, push_event(to), db, destination.bytes);
    cx.effects
        .event(Class::List, pop_event(from), db, source.bytes);
    if emptied {
        cx.effects.emptied(db, source.bytes);
    }
    cx.reply.bulk(&element);
    Ok(true)
}
