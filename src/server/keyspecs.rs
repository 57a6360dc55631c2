//! Which arguments of a request are keys, and what the command does with them.

use crate::base::num::parse_i64;
use crate::resp::request::Argv;
use crate::server::command::{
    ACCESS, Begin, Command, Find, INCOMPLETE, KeyFlags, KeySpec, NOT_KEY, OW, RO, RW, UPDATE,
    VARIABLE_FLAGS,
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
/// them, as a count of no keys does.
pub fn keys_of(command: &Command, argv: Argv<'_>) -> Option<Vec<KeyAt>> {
    let mut keys = Vec::new();
    for spec in command.keys.iter().filter(|spec| spec.flags & NOT_KEY == 0) {
        let Some(first) = begin(spec, argv) else {
            continue;
        };
        if spec.flags & INCOMPLETE != 0 {
            return Some(migrated(spec.flags & !INCOMPLETE, argv));
        }
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

/// Where a spec's search begins; `None` if its keyword is not there, or has nothing behind it.
fn begin(spec: &KeySpec, argv: Argv<'_>) -> Option<usize> {
    match spec.begin {
        Begin::Index(index) => Some(index as usize),
        Begin::Keyword(keyword, from) => {
            let is_keyword = |i: &usize| argv.at(*i).eq_ignore_ascii_case(keyword.as_bytes());
            let found = if from >= 0 {
                (from as usize..argv.len() - 1).find(is_keyword)
            } else {
                (2..=argv.len().checked_sub(from.unsigned_abs() as usize)?)
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

/// The keys of a MIGRATE that has the word KEYS somewhere, the only command whose specs are incomplete: the word
/// may be a password or a key too. There are none if both ways of naming keys are used, which it refuses.
fn migrated(flags: KeyFlags, argv: Argv<'_>) -> Vec<KeyAt> {
    let mut i = 6;
    while let Some(arg) = argv.get(i) {
        let is = |option: &str| arg.eq_ignore_ascii_case(option.as_bytes());
        if is("KEYS") {
            let named = match argv.at(3) {
                b"" => i + 1..argv.len(),
                _ => 0..0,
            };
            return named.map(|index| KeyAt { index, flags }).collect();
        }
        i += match () {
            _ if is("AUTH") => 2,
            _ if is("AUTH2") => 3,
            _ => 1,
        };
    }
    vec![KeyAt { index: 3, flags }]
}

/// The first and last argument and the step of a spec whose search began.
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
            let first = begin + first as usize;
            (first, first + count.checked_sub(1)? * step as usize, step)
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
    let all = spec.flags & !VARIABLE_FLAGS & (RW | ACCESS | UPDATE);
    let gets = |arg: &[u8]| arg.eq_ignore_ascii_case(b"GET");
    match command.name {
        "set" if !argv.tail(3).iter().any(gets) => OW | UPDATE,
        "bitfield" if only_reads(argv.tail(2)) => RO | ACCESS,
        _ => all,
    }
}

/// Whether these are steps of BITFIELD of which none writes.
fn only_reads(steps: Argv<'_>) -> bool {
    let mut i = 0;
    while let Some(step) = steps.get(i) {
        i += match () {
            _ if step.eq_ignore_ascii_case(b"GET") => 3,
            _ if step.eq_ignore_ascii_case(b"OVERFLOW") => 2,
            _ => return false,
        };
    }
    i == steps.len()
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
        check(KEYNUM, "x script 0 a", None);
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
        check(STREAMS, "x streams", Some(&[]));
        check(STREAMS, "x streams a", None);
        const LAST: &[KeySpec] = &[KeySpec {
            begin: Begin::Keyword("KEYS", -2),
            ..KeySpec::at(0).to_end(1)
        }];
        check(LAST, "x a KEYS b KEYS c", Some(&[5]));
        check(LAST, "x", Some(&[]));
        const STORE: &[KeySpec] = &[
            FIRST,
            KeySpec {
                begin: Begin::Keyword("STORE", 2),
                ..FIRST
            },
        ];
        check(STORE, "x a 1 STORE b", Some(&[1, 4]));
        check(STORE, "x a 1 STORE", Some(&[1]));
    }

    #[test]
    fn keys_that_migrate() {
        const MIGRATE: &[KeySpec] = &[
            KeySpec::at(3),
            KeySpec {
                begin: Begin::Keyword("KEYS", -2),
                ..KeySpec::at(0).to_end(1).flags(INCOMPLETE)
            },
        ];
        check(MIGRATE, "x h p k 0 9", Some(&[3]));
        check(MIGRATE, "x h p  0 9 KEYS a b", Some(&[7, 8]));
        check(
            MIGRATE,
            "x h p  0 9 copy REPLACE keys a KEYS",
            Some(&[9, 10]),
        );
        check(MIGRATE, "x h p k 0 9 KEYS a b", Some(&[]));
        check(MIGRATE, "x h p keys 0 9 COPY", Some(&[3]));
        check(MIGRATE, "x keys p k 0 9 KEYS", Some(&[3]));
        check(MIGRATE, "x h p k 0 9 AUTH keys COPY", Some(&[3]));
        check(MIGRATE, "x h p  0 9 AUTH2 keys keys KEYS a", Some(&[10]));
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

    #[test]
    fn bitfields_that_only_read() {
        let check = |steps: &str, expected: bool| {
            let words: Vec<&[u8]> = steps.split(' ').map(str::as_bytes).collect();
            let argv = OwnedArgv::from_slices(&words);
            assert_eq!(only_reads(argv.as_argv()), expected, "{steps}");
        };
        check("GET u8 0", true);
        check("get u8 set OVERFLOW incrby", true);
        check("GET u8 0 SET u8 0 1", false);
        check("INCRBY u8 0 1", false);
        check("GET u8", false);
        check("k", false);
    }
}
