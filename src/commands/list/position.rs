//! LPOS: where an element is found.

use crate::commands::args::{self, integer_between, integer_in, is};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::cx::DataCx;

/// What LPOS is asked for.
struct Options {
    /// The first match to return: from the front, or from the end if it is negative.
    rank: i64,
    /// Matches to return, or none for a single one that is no array.
    count: Option<usize>,
    /// Elements to look at.
    looked_at_max: usize,
}

impl Options {
    fn parse(argv: Argv<'_>) -> Result<Options, ErrorReply> {
        let mut options = Options {
            rank: 1,
            count: None,
            looked_at_max: usize::MAX,
        };
        let mut i = 3;
        while let Some(option) = argv.get(i) {
            let value = args::after(argv, i);
            if is(option, "RANK") {
                let rank = integer_between(value?, -i64::MAX, i64::MAX)?;
                if rank == 0 {
                    return Err("ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
                                or use negative to start from the end of the list"
                        .into());
                }
                options.rank = rank;
            } else if is(option, "COUNT") {
                let out_of_range = "ERR COUNT can't be negative";
                let count = integer_in(value?, 0..=i64::MAX, out_of_range.into())?;
                options.count = Some(if count == 0 {
                    usize::MAX
                } else {
                    count as usize
                });
            } else if is(option, "MAXLEN") {
                let out_of_range = "ERR MAXLEN can't be negative";
                let max = integer_in(value?, 0..=i64::MAX, out_of_range.into())?;
                options.looked_at_max = if max == 0 { usize::MAX } else { max as usize };
            } else {
                return Err(error::SYNTAX);
            }
            i += 2;
        }
        Ok(options)
    }
}

pub(super) fn lpos(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let options = Options::parse(argv)?;
    let Some(place) = cx.find_read(cx.key(argv, 1)) else {
        match options.count {
            Some(_) => cx.reply.array(0),
            None => cx.reply.null(),
        }
        return Ok(());
    };
    let entry = cx.keyspace.db(cx.db_index).entry(place);
    let list = entry.list().ok_or(error::WRONG_TYPE)?;
    let header = options.count.map(|_| cx.reply.defer_array());
    let wanted = options.count.unwrap_or(1);
    let mut found = 0;
    list.positions(argv.at(2), options.rank, options.looked_at_max, |index| {
        cx.reply.int(index as i64);
        found += 1;
        found < wanted
    });
    match header {
        Some(header) => cx.reply.end_array(header, found),
        None if found == 0 => cx.reply.null(),
        None => {}
    }
    Ok(())
}
