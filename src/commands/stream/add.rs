//! Entries come at the end of a stream, and go at its beginning: XADD and XTRIM.

use super::ids;
use crate::commands::args::{integer, is};
use crate::data::stream::{AppendError, IdBuffer, Keep, Limits, Log, Stream, StreamId, Trim};
use crate::keyspace::effects::Class;
use crate::keyspace::value::Type;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::config::Config;
use crate::server::cx::DataCx;

/// What XADD and XTRIM are told about trimming, and XADD about a stream that is not there.
#[derive(Default)]
struct Options {
    keep: Option<Keep>,
    /// The argument that says what is kept.
    threshold_at: usize,
    approximate: bool,
    limit: Option<u64>,
    no_mkstream: bool,
}

/// The ID that a new entry is to get.
#[derive(Clone, Copy)]
enum NewId {
    /// One by the clock.
    Generated,
    /// The next one of this time.
    Within(u64),
    /// This one.
    Given(StreamId),
}

impl Options {
    /// Reads options from argument 2 on, up to the ID of XADD or to the end; gives the argument that
    /// they end before.
    #[inline]
    fn parse(argv: Argv<'_>, is_add: bool) -> Result<(Options, usize), ErrorReply> {
        let mut options = Options::default();
        let mut at = 2;
        while let Some(arg) = argv.get(at) {
            let is_last = at + 1 == argv.len();
            match arg.len() {
                6 if is(arg, "MAXLEN") && !is_last => at = options.threshold(argv, at, false)?,
                5 if is(arg, "MINID") && !is_last => at = options.threshold(argv, at, true)?,
                5 if is(arg, "LIMIT") && !is_last => {
                    at += 1;
                    let limit = u64::try_from(integer(argv.at(at))?);
                    let limit = limit.map_err(|_| "ERR The LIMIT argument must be >= 0.")?;
                    options.limit = Some(limit);
                }
                10 if is_add && is(arg, "NOMKSTREAM") => options.no_mkstream = true,
                _ if is_add => break,
                _ => return Err(error::SYNTAX),
            }
            at += 1;
        }
        Ok((options, at))
    }

    /// Reads what is kept, behind the argument `at`; gives the argument that says so.
    fn threshold(&mut self, argv: Argv<'_>, at: usize, is_id: bool) -> Result<usize, ErrorReply> {
        if self.keep.is_some() {
            return Err(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
                    .into(),
            );
        }
        let sign = argv.get(at + 1).filter(|_| at + 2 < argv.len());
        self.approximate = sign == Some(b"~");
        self.threshold_at = at + 1 + usize::from(matches!(sign, Some(b"~" | b"=")));
        let arg = argv.at(self.threshold_at);
        self.keep = Some(if is_id {
            Keep::From(ids::parse(arg)?)
        } else {
            let count = u64::try_from(integer(arg)?);
            Keep::Newest(count.map_err(|_| "ERR The MAXLEN argument must be >= 0.")?)
        });
        Ok(self.threshold_at)
    }

    /// The trim that the options ask for, if they agree with one another.
    #[inline]
    fn trim(&self, is_add: bool, config: &Config) -> Result<Option<Trim>, ErrorReply> {
        if self.keep.is_none() && self.limit.is_none() && is_add {
            return Ok(None);
        }
        if self.keep.is_none() && self.limit.is_some_and(|limit| limit > 0) {
            return Err(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
                    .into(),
            );
        }
        if self.keep.is_none() && !is_add {
            return Err("ERR syntax error, XTRIM must be called with a trimming strategy".into());
        }
        if self.limit.is_some() && !self.approximate {
            return Err(
                "ERR syntax error, LIMIT cannot be used without the special ~ option".into(),
            );
        }
        let limit = match self.limit {
            Some(limit) => limit,
            None if self.approximate => usual_limit(config),
            None => 0,
        };
        Ok(self.keep.map(|keep| Trim {
            keep,
            approximate: self.approximate,
            limit,
        }))
    }
}

/// What an approximate trim removes at most if nothing is said about it, so that it takes no long time:
/// the entries of 100 nodes.
fn usual_limit(config: &Config) -> u64 {
    match config.stream_node_max_entries.saturating_mul(100) {
        0 => 10_000,
        entries => entries.min(1_000_000),
    }
}

#[inline]
fn limits(config: &Config) -> Limits {
    Limits {
        bytes_max: config.stream_node_max_bytes,
        entries_max: config.stream_node_max_entries,
    }
}

impl NewId {
    #[inline]
    fn parse(arg: &[u8]) -> Result<NewId, ErrorReply> {
        if arg == b"*" {
            return Ok(NewId::Generated);
        }
        Ok(match ids::parse_new(arg)? {
            (ms, None) => NewId::Within(ms),
            (ms, Some(seq)) => NewId::Given(StreamId::new(ms, seq)),
        })
    }

    /// The ID itself; none if it would not be greater than the last one, for want of numbers.
    #[inline]
    fn settle(self, log: &Log, now_ms: i64) -> Option<StreamId> {
        let last = log.last_id();
        match self {
            NewId::Generated if now_ms as u64 > last.ms => Some(StreamId::new(now_ms as u64, 0)),
            // The clock was set back, or stands: what was generated goes on.
            NewId::Generated => last.next(),
            NewId::Within(ms) if ms == last.ms => Some(StreamId::new(ms, last.seq.checked_add(1)?)),
            NewId::Within(ms) => Some(StreamId::new(ms, 0)),
            NewId::Given(id) => Some(id),
        }
    }
}

/// What became of an addition.
struct Added {
    id: StreamId,
    trimmed: u64,
    /// What an exact trim that comes to the same keeps.
    kept: Keep,
}

pub(super) fn xadd(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (options, id_at) = if argv.at(2) == b"*" {
        (Options::default(), 2)
    } else {
        Options::parse(argv, true)?
    };
    let new_id = argv.get(id_at).map(NewId::parse).transpose()?;
    let trim = options.trim(true, cx.config)?;
    let fields = argv.tail(id_at + 1);
    let (Some(new_id), false) = (new_id, fields.is_empty() || fields.len() % 2 == 1) else {
        return Err(error::wrong_arity("xadd"));
    };
    if let NewId::Given(StreamId::MIN) = new_id {
        return Err("ERR The ID specified in XADD must be greater than 0-0".into());
    }
    let key = cx.key(argv, 1);
    let place = cx.find_write(key);
    let (limits, now_ms) = (limits(cx.config), cx.now_ms);
    let added = match place {
        Some(place) => {
            let (added, _) = cx.edit::<Box<Stream>, _>(key, place, |stream, _| {
                add(&mut stream.log, new_id, now_ms, fields, limits, trim)
            })?;
            let added = added?;
            cx.effects.became(cx.db_index, key.bytes);
            added
        }
        None if options.no_mkstream => {
            cx.reply.null();
            return Ok(());
        }
        None => {
            let mut stream = Stream::default();
            let added = add(&mut stream.log, new_id, now_ms, fields, limits, trim)?;
            cx.store_collection(key, None, Box::new(stream));
            added
        }
    };
    cx.effects
        .changed(Class::Stream, "xadd", cx.db_index, key.bytes);
    if added.trimmed > 0 {
        cx.effects
            .event(Class::Stream, "xtrim", cx.db_index, key.bytes);
    }
    if options.approximate || !matches!(new_id, NewId::Given(_)) {
        propagate(cx, argv, &options, added.kept, Some((id_at, added.id)));
    }
    cx.reply.bulk(added.id.format(&mut IdBuffer::new()));
    Ok(())
}

/// Adds an entry, and trims the stream after that.
#[inline]
fn add(
    log: &mut Log,
    id: NewId,
    now_ms: i64,
    fields: Argv<'_>,
    limits: Limits,
    trim: Option<Trim>,
) -> Result<Added, ErrorReply> {
    const ORDER: ErrorReply = ErrorReply::Fixed(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    );
    if log.last_id() == StreamId::MAX {
        return Err(
            "ERR The stream has exhausted the last possible ID, unable to add more items".into(),
        );
    }
    let id = id.settle(log, now_ms).ok_or(ORDER)?;
    log.append(id, fields.iter(), limits).map_err(|e| match e {
        AppendError::Order => ORDER,
        AppendError::Size => "ERR Elements are too large to be stored".into(),
    })?;
    let trimmed = trim.map_or(0, |trim| log.trim(trim));
    let kept = trim.map_or(Keep::Newest(0), |trim| exactly(log, trim.keep));
    Ok(Added { id, trimmed, kept })
}

/// What an exact trim must keep to leave the log as it is now.
fn exactly(log: &Log, keep: Keep) -> Keep {
    match keep {
        Keep::Newest(_) => Keep::Newest(log.len()),
        Keep::From(_) if log.is_empty() => Keep::From(StreamId::MAX),
        Keep::From(_) => Keep::From(log.first_id()),
    }
}

/// Has a command propagated with an exact trim instead of an approximate one, and with the ID that was
/// generated for the argument that is named with it.
fn propagate(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    options: &Options,
    kept: Keep,
    id: Option<(usize, StreamId)>,
) {
    if !cx.effects.propagates() {
        return;
    }
    let threshold = match kept {
        Keep::Newest(count) => count.to_string(),
        Keep::From(id) => id.to_string(),
    };
    let id_text = id.map_or(String::new(), |(_, id)| id.to_string());
    let mut rewritten: Vec<&[u8]> = Vec::with_capacity(argv.len());
    let mut at = 0;
    while let Some(arg) = argv.get(at) {
        match () {
            _ if options.approximate && at + 1 == options.threshold_at => rewritten.push(b"="),
            _ if options.approximate && at == options.threshold_at => {
                rewritten.push(threshold.as_bytes());
            }
            _ if id.is_some_and(|(id_at, _)| id_at == at) => {
                rewritten.push(id_text.as_bytes());
                rewritten.extend(argv.tail(at + 1).iter());
                break;
            }
            // A limit says nothing about an exact trim, and is refused with one.
            _ if options.limit.is_some() && at > 1 && is(arg, "LIMIT") => at += 1,
            _ => rewritten.push(arg),
        }
        at += 1;
    }
    cx.effects.rewrite(&rewritten);
}

pub(super) fn xtrim(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let (options, _) = Options::parse(argv, false)?;
    let trim = options.trim(false, cx.config)?;
    let trim = trim.expect("XTRIM was told what to keep");
    let key = cx.key(argv, 1);
    let Some(place) = cx.find_write(key) else {
        cx.reply.int(0);
        return Ok(());
    };
    cx.expect_kind(place, Type::Stream)?;
    let ((trimmed, kept), _) = cx.edit::<Box<Stream>, _>(key, place, |stream, _| {
        let trimmed = stream.log.trim(trim);
        (trimmed, exactly(&stream.log, trim.keep))
    })?;
    if trimmed > 0 {
        cx.effects.dirty += trimmed;
        cx.effects
            .event(Class::Stream, "xtrim", cx.db_index, key.bytes);
        if options.approximate {
            propagate(cx, argv, &options, kept, None);
        }
    }
    cx.reply.int(trimmed as i64);
    Ok(())
}
