//! Unions, intersections and differences of sorted sets and sets: shown, stored or counted.

use super::{Shown, limits, score, store};
use crate::commands::args::{integer, integer_in, is};
use crate::data::listpack::Item;
use crate::keyspace::db::{Db, Key};
use crate::keyspace::value::Type;
use crate::keyspace::zset::{self, Aggregate, Input, Pair, Source, Texts, Zset};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::request::Argv;
use crate::server::cx::{DataCx, Place};

/// What is made of the inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of the result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Show,
    Store,
    Count,
}

/// What a command asks for.
struct Task<'a> {
    keys: Vec<Key<'a>>,
    operation: Operation,
    weights: Option<Vec<f64>>,
    aggregate: Aggregate,
    with_scores: bool,
    /// Members at most.
    limit: usize,
}

impl<'a> Task<'a> {
    /// Reads `numkeys key [key ...] [option ...]`. The keys are looked up between their being read and
    /// the options: a value of a wrong type is told of before a wrong option.
    fn parse(
        cx: &mut DataCx<'_>,
        args: Argv<'a>,
        operation: Operation,
        used: Use,
        command: &str,
    ) -> Result<Task<'a>, ErrorReply> {
        let count = integer(args.at(0))?;
        if count < 1 {
            return Err(
                format!("ERR at least 1 input key is needed for '{command}' command").into(),
            );
        }
        if count > args.len() as i64 - 1 {
            return Err(error::SYNTAX);
        }
        let count = count as usize;
        let mut task = Task {
            keys: Vec::with_capacity(count),
            operation,
            weights: None,
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: usize::MAX,
        };
        for name in args.tail(1).iter().take(count) {
            let key = cx.keyspace.key(name);
            if let Some(place) = cx.find_read(key)
                && !matches!(cx.entry(place).kind(), Type::Zset | Type::Set)
            {
                return Err(error::WRONG_TYPE);
            }
            task.keys.push(key);
        }
        task.parse_options(args.tail(1 + count), used)?;
        Ok(task)
    }

    fn parse_options(&mut self, options: Argv<'_>, used: Use) -> Outcome {
        let combines = self.operation != Operation::Difference && used != Use::Count;
        let mut i = 0;
        while let Some(option) = options.get(i) {
            let left = options.len() - i - 1;
            if combines && left >= self.keys.len() && is(option, "WEIGHTS") {
                let weights = options.tail(i + 1);
                let weights = weights
                    .iter()
                    .take(self.keys.len())
                    .map(|arg| score(arg).map_err(|_| "ERR weight value is not a float".into()));
                self.weights = Some(weights.collect::<Result<_, ErrorReply>>()?);
                i += self.keys.len();
            } else if combines && left >= 1 && is(option, "AGGREGATE") {
                self.aggregate = match options.at(i + 1) {
                    how if is(how, "SUM") => Aggregate::Sum,
                    how if is(how, "MIN") => Aggregate::Min,
                    how if is(how, "MAX") => Aggregate::Max,
                    _ => return Err(error::SYNTAX),
                };
                i += 1;
            } else if used == Use::Show && is(option, "WITHSCORES") {
                self.with_scores = true;
            } else if used == Use::Count && left >= 1 && is(option, "LIMIT") {
                const NEGATIVE: ErrorReply = ErrorReply::Fixed("ERR LIMIT can't be negative");
                let limit = integer_in(options.at(i + 1), 0..=i64::MAX, NEGATIVE)?;
                self.limit = if limit == 0 {
                    usize::MAX
                } else {
                    limit as usize
                };
                i += 1;
            } else {
                return Err(error::SYNTAX);
            }
            i += 1;
        }
        Ok(())
    }

    /// Where the keys' entries lie. What has expired among them went when they were first looked up, so
    /// that nothing moves any more.
    fn places(&self, cx: &mut DataCx<'_>) -> Vec<Option<Place>> {
        self.keys.iter().map(|&key| cx.find_unseen(key)).collect()
    }

    fn inputs<'d>(&self, db: &'d Db, places: &[Option<Place>]) -> Vec<Input<'d>> {
        let source = |place: Option<Place>| {
            let Some(place) = place else {
                return Source::Nothing;
            };
            let entry = db.entry(place);
            let zset = entry.zset().map(Source::Zset);
            let source = zset.or_else(|| entry.set().map(Source::Set));
            source.expect("other types were refused")
        };
        let input = |(i, &place): (usize, &Option<Place>)| Input {
            source: source(place),
            weight: self.weights.as_ref().map_or(1.0, |weights| weights[i]),
        };
        places.iter().enumerate().map(input).collect()
    }

    /// The result, in no order.
    fn result<'t>(&self, inputs: &[Input<'t>], texts: &'t Texts) -> Vec<Pair<'t>> {
        match self.operation {
            Operation::Union => zset::union(inputs, texts, self.aggregate),
            Operation::Intersection => {
                zset::intersection(inputs, texts, self.aggregate, self.limit)
            }
            Operation::Difference => zset::difference(inputs, texts),
        }
    }
}

fn show(cx: &mut DataCx<'_>, argv: Argv<'_>, operation: Operation, command: &str) -> Outcome {
    let task = Task::parse(cx, argv.tail(1), operation, Use::Show, command)?;
    let places = task.places(cx);
    let inputs = task.inputs(cx.keyspace.db(cx.db_index), &places);
    let texts = Texts::of(&inputs);
    let mut pairs = task.result(&inputs, &texts);
    zset::sort(&mut pairs);
    let shown = Shown::new(cx.reply, task.with_scores);
    shown.begin(cx.reply, pairs.len());
    for (member, score) in pairs {
        shown.add(cx.reply, Item::Bytes(member), score);
    }
    Ok(())
}

fn store_result(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    operation: Operation,
    command: &'static str,
) -> Outcome {
    let task = Task::parse(cx, argv.tail(2), operation, Use::Store, command)?;
    let places = task.places(cx);
    let limits = limits(cx);
    let result = {
        let inputs = task.inputs(cx.db(), &places);
        let texts = Texts::of(&inputs);
        let mut pairs = task.result(&inputs, &texts);
        zset::sort(&mut pairs);
        Zset::from_sorted(&pairs, limits)
    };
    store(cx, argv, result, command);
    Ok(())
}

pub(super) fn zunion(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    show(cx, argv, Operation::Union, "zunion")
}

pub(super) fn zinter(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    show(cx, argv, Operation::Intersection, "zinter")
}

pub(super) fn zdiff(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    show(cx, argv, Operation::Difference, "zdiff")
}

pub(super) fn zunionstore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    store_result(cx, argv, Operation::Union, "zunionstore")
}

pub(super) fn zinterstore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    store_result(cx, argv, Operation::Intersection, "zinterstore")
}

pub(super) fn zdiffstore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    store_result(cx, argv, Operation::Difference, "zdiffstore")
}

pub(super) fn zintercard(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let operation = Operation::Intersection;
    let task = Task::parse(cx, argv.tail(1), operation, Use::Count, "zintercard")?;
    let places = task.places(cx);
    let inputs = task.inputs(cx.db(), &places);
    let texts = Texts::of(&inputs);
    let count = task.result(&inputs, &texts).len();
    cx.reply.int(count as i64);
    Ok(())
}
