//! The commands that wait for an element when there is none.

use super::moving::move_element;
use super::{MultiPop, end, list_at, take};
use crate::commands::args;
use crate::keyspace::list::End;
use crate::keyspace::value::Type;
use crate::resp::error::Outcome;
use crate::resp::request::Argv;
use crate::server::cx::DataCx;

pub(super) fn blpop(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    pop(cx, argv, End::Left)
}

pub(super) fn brpop(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    pop(cx, argv, End::Right)
}

fn pop(cx: &mut DataCx<'_>, argv: Argv<'_>, end: End) -> Outcome {
    let last = argv.len() - 1;
    let timeout_us = args::timeout_us(argv.at(last), cx.now_ms)?;
    for index in 1..last {
        let key = cx.key(argv, index);
        let Some(place) = cx.find_write(key) else {
            continue;
        };
        list_at(cx, place)?;
        cx.reply.array(2);
        cx.reply.bulk(key.bytes);
        take(cx, key, place, end, 1)?;
        let name: &[u8] = match end {
            End::Left => b"LPOP",
            End::Right => b"RPOP",
        };
        cx.effects.rewrite(&[name, key.bytes]);
        return Ok(());
    }
    cx.wait(argv.slice(1, last).iter(), Type::List, timeout_us);
    Ok(())
}

pub(super) fn blmpop(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let pop = MultiPop::parse(argv, 2)?;
    let timeout_us = args::timeout_us(argv.at(1), cx.now_ms)?;
    if !pop.take(cx, argv)? {
        cx.wait(pop.keys.iter(), Type::List, timeout_us);
    }
    Ok(())
}

pub(super) fn blmove(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (from, to) = (end(argv.at(3))?, end(argv.at(4))?);
    let names = [argv.at(3), argv.at(4)];
    wait_and_move(
        cx,
        argv,
        from,
        to,
        5,
        &[b"LMOVE", argv.at(1), argv.at(2), names[0], names[1]],
    )
}

pub(super) fn brpoplpush(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let rewritten: &[&[u8]] = &[b"RPOPLPUSH", argv.at(1), argv.at(2)];
    wait_and_move(cx, argv, End::Right, End::Left, 3, rewritten)
}

/// Moves an element or waits for one; `timeout_at` is the argument with the timeout, `rewritten` what
/// is propagated.
fn wait_and_move(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    from: End,
    to: End,
    timeout_at: usize,
    rewritten: &[&[u8]],
) -> Outcome {
    let timeout_us = args::timeout_us(argv.at(timeout_at), cx.now_ms)?;
    if move_element(cx, argv, from, to)? {
        cx.effects.rewrite(rewritten);
    } else if cx.may_wait {
        cx.wait(argv.slice(1, 2).iter(), Type::List, timeout_us);
    } else {
        cx.reply.null();
    }
    Ok(())
}
