//! Members drawn by chance, and walks over all members in steps.

use super::Shown;
use crate::base::num::{F64_TEXT_MAX, format_f64_shortest};
use crate::base::rng::Rng;
use crate::commands::args::is;
use crate::commands::draws::Draws;
use crate::commands::items::reply_item;
use crate::commands::scan_options::{self, ScanOptions, Scanned};
use crate::keyspace::zset::ZsetRef;
use crate::resp::error::{self, Outcome};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::cx::DataCx;

pub(super) fn zrandmember(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let with_scores = argv.len() == 4 && is(argv.at(3), "WITHSCORES");
    let draws = match argv.get(2) {
        Some(arg) => Some(Draws::parse(arg, with_scores, cx)?),
        None => None,
    };
    if argv.len() > 4 || argv.len() == 4 && !with_scores {
        return Err(error::SYNTAX);
    }
    let Some(place) = cx.find_read(cx.key(argv, 1)) else {
        match draws {
            Some(_) => cx.reply.array(0),
            None => cx.reply.null(),
        }
        return Ok(());
    };
    // A generator of its own: drawing members borrows the keyspace.
    let rng = &mut Rng::from_seed(cx.keyspace.rng.next_u64());
    let entry = cx.keyspace.db(cx.db_index).entry(place);
    let zset = entry.zset().ok_or(error::WRONG_TYPE)?;
    let Some(draws) = draws else {
        let (member, _) = zset.random(rng).expect("a sorted set is not empty");
        reply_item(cx.reply, member);
        return Ok(());
    };
    let shown = Shown::new(cx.reply, with_scores);
    let reply = &mut *cx.reply;
    if draws.distinct {
        let count = draws.count.min(zset.len());
        shown.begin(reply, count);
        zset.sample(count, rng, |member, score| shown.add(reply, member, score));
    } else {
        shown.begin(reply, draws.count);
        draws.repeat(|count| {
            zset.draw(count, rng, |member, score| shown.add(reply, member, score));
            reply.len()
        });
    }
    Ok(())
}

pub(super) fn zscan(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let cursor = scan_options::cursor(argv.at(2))?;
    let Some(place) = cx.find_read(cx.key(argv, 1)) else {
        scan_options::reply_empty(cx.reply);
        return Ok(());
    };
    let entry = cx.keyspace.db(cx.db_index).entry(place);
    let zset = entry.zset().ok_or(error::WRONG_TYPE)?;
    let options = ScanOptions::parse(argv, 3, Scanned::Zset)?;
    let mut found = Vec::new();
    let cursor = options.walk(cursor, |cursor| {
        let next = zset.scan(cursor, |member, score| {
            if options.accepts(member.bytes(&mut itoa::Buffer::new())) {
                found.push((member, score));
            }
        });
        (next, found.len())
    });
    let each = if options.names_only { 1 } else { 2 };
    scan_options::reply_header(cx.reply, cursor, each * found.len());
    for (member, score) in found {
        reply_item(cx.reply, member);
        if !options.names_only {
            reply_scanned_score(cx.reply, zset, score);
        }
    }
    Ok(())
}

/// Replies with a score as ZSCAN shows it: with 17 digits where it comes from a tree, as it is stored
/// where it comes from a listpack.
fn reply_scanned_score(reply: &mut Reply, zset: ZsetRef<'_>, score: f64) {
    match zset {
        ZsetRef::Tree(_) => reply.bulk(seventeen_digits(score).as_bytes()),
        ZsetRef::Pack(_) => {
            let mut text = [0; F64_TEXT_MAX];
            reply.bulk(format_f64_shortest(&mut text, score));
        }
    }
}

/// A score as C's `%.17g` prints it.
fn seventeen_digits(score: f64) -> String {
    if score.is_infinite() {
        return if score > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{score:.16e}");
    let (digits, exponent) = scientific.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    let bare = |text: &str| {
        let text = text.trim_end_matches('0');
        text.trim_end_matches('.').to_string()
    };
    if (-4..17).contains(&exponent) {
        let decimals = (16 - exponent) as usize;
        let fixed = format!("{score:.decimals$}");
        return if decimals > 0 { bare(&fixed) } else { fixed };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", bare(digits), exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::seventeen_digits;

    #[test]
    fn scores_of_zscan() {
        let check = |score, expected| assert_eq!(seventeen_digits(score), expected);
        check(0.0, "0");
        check(-0.0, "-0");
        check(100.0, "100");
        check(0.1, "0.10000000000000001");
        check(-1.5, "-1.5");
        check(1e16, "10000000000000000");
        check(1e17, "1e+17");
        check(1.5e300, "1.5000000000000001e+300");
        check(1e-5, "1.0000000000000001e-05");
        check(0.0001, "0.0001");
        check(f64::INFINITY, "inf");
        check(f64::NEG_INFINITY, "-inf");
    }
}
