//! Entries looked at and deleted by their IDs: XRANGE, XREVRANGE, XLEN, XDEL.

use super::ids::{self, range_end, range_start};
use super::show::{reply_entries, stream_at};
use crate::commands::args::{after, integer, is};
use crate::data::stream::Stream;
use crate::keyspace::effects::Class;
use crate::resp::error::{self, Outcome};
use crate::resp::request::Argv;
use crate::server::cx::DataCx;

pub(super) fn xlen(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let len = match cx.find_read(cx.key(argv, 1)) {
        Some(place) => stream_at(cx, place)?.log.len(),
        None => 0,
    };
    cx.reply.int(len as i64);
    Ok(())
}

pub(super) fn xrange(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    range(cx, argv, false)
}

pub(super) fn xrevrange(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    range(cx, argv, true)
}

fn range(cx: &mut DataCx<'_>, argv: Argv<'_>, is_back: bool) -> Outcome {
    let (start_at, end_at) = if is_back { (3, 2) } else { (2, 3) };
    let start = range_start(argv.at(start_at))?;
    let end = range_end(argv.at(end_at))?;
    let (mut count, mut at) = (usize::MAX, 4);
    while let Some(option) = argv.get(at) {
        if !is(option, "COUNT") {
            return Err(error::SYNTAX);
        }
        count = integer(after(argv, at)?)?.max(0) as usize;
        at += 2;
    }
    let Some(place) = cx.find_read(cx.key(argv, 1)) else {
        cx.reply.array(0);
        return Ok(());
    };
    let entry = cx.keyspace.db(cx.db_index).entry(place);
    let log = &entry.stream().ok_or(error::WRONG_TYPE)?.log;
    if count == 0 {
        cx.reply.null_array();
    } else if is_back {
        reply_entries(cx.reply, log.range_back(start, end), count);
    } else {
        reply_entries(cx.reply, log.range(start, end), count);
    }
    Ok(())
}

pub(super) fn xdel(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_write(key) else {
        cx.reply.int(0);
        return Ok(());
    };
    stream_at(cx, place)?;
    let wanted = argv.tail(2);
    for arg in wanted.iter() {
        ids::parse(arg)?;
    }
    let (deleted, _) = cx.edit::<Box<Stream>, _>(key, place, |stream, _| {
        let ids = wanted.iter().filter_map(ids::try_parse);
        ids.filter(|&id| stream.log.delete(id)).count()
    })?;
    if deleted > 0 {
        cx.effects.dirty += deleted as u64;
        cx.effects
            .event(Class::Stream, "xdel", cx.db_index, key.bytes);
    }
    cx.reply.int(deleted as i64);
    Ok(())
}
