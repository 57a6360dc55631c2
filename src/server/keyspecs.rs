//! Which arguments of a request are keys, and what the command does with them.

use crate::base::num::parse_i64;
use crate::resp::request::Argv;
use crate::server::command::{
    ACCESS, Begin, Command, Find, KeyFlags, KeySpec, NOT_KEY, OW, RO, RW, UPDATE, VARIABLE_FLAGS,
};

/// A key among a request's arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyAt {
    /// The argument.
    pub index: usize,
    /// What is done with it.
    pub flags: KeyFlags,
}

/// The keys of a request, in the order of the command's specs; `None` if its arguments contradict
/// them.
pub fn keys_of(command: &Command, argv: Argv<'_>) -> Option<Vec<KeyAt>> {
    let mut keys = Vec::new();
    for spec in command.keys.iter().filter(|spec| spec.flags & NOT_KEY == 0) {
        let Some(first) = begin(spec, argv) else {
            continue;
        };
        let (first, last, step) = range(spec, first, argv)?;
        let flags = flags_of(command, spec, argv);
        keys.extend(
            (first..=last)
                .step_by(step)
                .map(|index| KeyAt { index, flags }),
        );
    }
    Some(keys)
}

/// Where a spec's search begins; `None` if its keyword is not there.
fn begin(spec: &KeySpec, argv: Argv<'_>) -> Option<usize> {
    match spec.begin {
        Begin::Index(index) => Some(index as usize),
        Begin::Keyword(keyword, from) => {
            let is_keyword = |i: &usize| argv.at(*i).eq_ignore_ascii_case(keyword.as_bytes());
            let found = if from >= 0 {
                (from as usize..argv.len()).find(is_keyword)
            } else {
                (1..=argv.len().checked_sub(from.unsigned_abs() as usize)?)
                    .rev()
                    .find(is_keyword)
            };
            found.map(|keyword| keyword + 1)
        }
        Begin::Unknown(None) => None,
        // Only SORT has such keys. Of several the last one counts.
        Begin::Unknown(Some(word)) => sort_option(word, argv),
    }
}

/// The argument of the last one of these options of SORT, those that are arguments of other options
/// left out.
fn sort_option(word: &str, argv: Argv<'_>) -> Option<usize> {
    const OPTIONS: [(&str, usize); 3] = [("LIMIT", 2), ("GET", 1), ("BY", 1)];
    let (mut i, mut found) = (2, None);
    while let Some(arg) = argv.get(i) {
        let is = |option: &str| arg.eq_ignore_ascii_case(option.as_bytes());
        if let Some((_, arguments)) = OPTIONS.iter().find(|(option, _)| is(option)) {
            i += arguments;
        } else if is(word) && i + 1 < argv.len() {
            i += 1;
            found = Some(i);
        }
        i += 1;
    }
    found
}

/// The first and last argument and the step of a spec whose search began; a count of zero gives an
/// empty range.
fn range(spec: &KeySpec, begin: usize, argv: Argv<'_>) -> Option<(usize, usize, usize)> {
    let (first, last, step) = match spec.find {
        Find::Range { last, step, .. } if last >= 0 => (begin, begin + last as usize, step),
        Find::Range { last, step, limit } => {
            let left = argv.len().checked_sub(begin)?;
            let taken = if limit >= 2 {
                left / limit as usize
            } else {
                left
            };
            (
                begin,
                (begin + taken).checked_add_signed(last as isize)?,
                step,
            )
        }
        Find::Unknown => (begin, begin, 1),
        Find::KeyNum { index, first, step } => {
            let count = parse_i64(argv.get(begin + index as usize)?)?;
            let count = usize::try_from(count)
                .ok()
                .filter(|&count| count < argv.len())?;
            let (first, step) = (begin + first as usize, step as usize);
            if count == 0 {
                return Some((1, 0, step));
            }
            (first, first + (count - 1) * step, step as i32)
        }
    };
    let fits = first <= last && last < argv.len();
    fits.then_some((first, last, step.max(1) as usize))
}

/// The flags of a spec's keys; those of some commands depend on their options.
fn flags_of(command: &Command, spec: &KeySpec, argv: Argv<'_>) -> KeyFlags {
    if spec.flags & VARIABLE_FLAGS == 0 {
        return spec.flags;
    }
    let has = |words: &[&str]| {
        let is_one = |arg: &[u8]| {
            words
                .iter()
                .any(|word| arg.eq_ignore_ascii_case(word.as_bytes()))
        };
        argv.tail(2).iter().any(is_one)
    };
    match command.name {
        "set"
            if !argv
                .tail(3)
                .iter()
                .any(|arg| arg.eq_ignore_ascii_case(b"GET")) =>
        {
            OW | UPDATE
        }
        "bitfield" if !has(&["SET", "INCRBY"]) => RO | ACCESS,
        _ => spec.flags & !VARIABLE_FLAGS & (RW | ACCESS | UPDATE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::error::Outcome;
    use crate::resp::request::OwnedArgv;
    use crate::server::command::{Data, FIRST, cmd};
    use crate::server::cx::DataCx;

    fn nothing(_: &mut DataCx<'_>, _: Argv<'_>) -> Outcome {
        Ok(())
    }

    fn check(keys: &'static [KeySpec], request: &str, expected: Option<&[usize]>) {
        let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let argv = OwnedArgv::from_slices(&words);
        let command = cmd("x", -1, Data(nothing)).keys(keys);
        let found = keys_of(&command, argv.as_argv());
        let found = found.map(|keys| keys.iter().map(|key| key.index).collect::<Vec<_>>());
        assert_eq!(found.as_deref(), expected, "{request}");
    }

    #[test]
    fn ranges() {
        check(const { &[FIRST] }, "x a b", Some(&[1]));
        check(const { &[FIRST.to_end(1)] }, "x a b c", Some(&[1, 2, 3]));
        check(const { &[FIRST.to_end(2)] }, "x a 1 b 2", Some(&[1, 3]));
        check(const { &[FIRST, KeySpec::at(2)] }, "x a b", Some(&[1, 2]));
        check(const { &[KeySpec::at(3)] }, "x a b", None);
        check(const { &[FIRST.to_end(1)] }, "x", None);
        check(const { &[FIRST.flags(NOT_KEY)] }, "x a", Some(&[]));
    }

    #[test]
    fn the_place_to_store_what_is_sorted() {
        const SORT: &[KeySpec] = &[FIRST, KeySpec::unknown(Some("STORE"))];
        check(SORT, "sort a", Some(&[1]));
        check(SORT, "sort a store b", Some(&[1, 3]));
        check(SORT, "sort a store b desc STORE c", Some(&[1, 6]));
        check(
            SORT,
            "sort a by store get store limit store store",
            Some(&[1]),
        );
        check(SORT, "sort a store", Some(&[1]));
        check(
            const { &[FIRST, KeySpec::unknown(None)] },
            "sort a by b",
            Some(&[1]),
        );
    }

    #[test]
    fn counts() {
        const KEYNUM: &[KeySpec] = &[KeySpec {
            begin: Begin::Index(2),
            find: Find::KeyNum {
                index: 0,
                first: 1,
                step: 1,
            },
            flags: 0,
            notes: None,
        }];
        check(KEYNUM, "x script 2 a b c", Some(&[3, 4]));
        check(KEYNUM, "x script 0 a", Some(&[]));
        check(KEYNUM, "x script 4 a b c", None);
        check(KEYNUM, "x script -1 a", None);
        check(KEYNUM, "x script 9223372036854775807 a", None);
        check(KEYNUM, "x script many a", None);
        check(KEYNUM, "x script", None);
    }

    #[test]
    fn keywords() {
        const STREAMS: &[KeySpec] = &[KeySpec {
            begin: Begin::Keyword("STREAMS", 1),
            find: Find::Range {
                last: -1,
                step: 1,
                limit: 2,
            },
            flags: 0,
            notes: None,
        }];
        check(STREAMS, "x COUNT 2 streams a b 0 0", Some(&[4, 5]));
        check(STREAMS, "x COUNT 2", Some(&[]));
        check(STREAMS, "x streams", None);
        const LAST: &[KeySpec] = &[KeySpec {
            begin: Begin::Keyword("KEYS", -2),
            ..KeySpec::at(0).to_end(1)
        }];
        check(LAST, "x a KEYS b KEYS c", Some(&[5]));
        check(LAST, "x", Some(&[]));
    }

    #[test]
    fn flags_that_depend_on_options() {
        let set = cmd("set", -3, Data(nothing));
        let set = set.keys(const { &[FIRST.flags(RW | ACCESS | UPDATE | VARIABLE_FLAGS)] });
        let check = |request: &str, expected: KeyFlags| {
            let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
            let argv = OwnedArgv::from_slices(&words);
            assert_eq!(
                keys_of(&set, argv.as_argv()).unwrap()[0].flags,
                expected,
                "{request}"
            );
        };
        check("set k v", OW | UPDATE);
        check("set k get", OW | UPDATE);
        check("set k v nx get", RW | ACCESS | UPDATE);
    }
}
