//! The whole type beside a model of maps, and its nodes beside those of Redis.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId::new(ms, seq)
}

fn parse(text: &str) -> StreamId {
    StreamId::parse(text.as_bytes(), 0).expect("an ID")
}

fn limits(entries_max: u64, bytes_max: u64) -> Limits {
    Limits {
        bytes_max,
        entries_max,
    }
}

fn append(log: &mut Log, id: StreamId, fields: &[&str], limits: Limits) {
    let fields = fields.iter().map(|text| text.as_bytes());
    assert_eq!(log.append(id, fields, limits), Ok(()));
}

/// Does what commands of Redis do: `add ID field value ...`, `del ID ...`, `trim` as XTRIM, and `many`,
/// which adds numbered entries, seven in a millisecond.
fn run(log: &mut Log, command: &str, limits: Limits) {
    let words: Vec<&str> = command.split_whitespace().collect();
    let number = |at: usize| words[at].parse::<u64>().expect("a number");
    match words[0] {
        "add" => append(log, parse(words[1]), &words[2..], limits),
        "del" => words[1..].iter().for_each(|word| {
            log.delete(parse(word));
        }),
        "trim" => {
            let approximate = words[2] == "~";
            let at = 2 + usize::from(approximate);
            log.trim(Trim {
                keep: match words[1] {
                    "MAXLEN" => Keep::Newest(number(at)),
                    _ => Keep::From(parse(words[at])),
                },
                approximate,
                limit: if words.contains(&"LIMIT") {
                    number(at + 2)
                } else {
                    0
                },
            });
        }
        "many" => {
            for n in number(1)..=number(2) {
                let seq = if n < 7 { n + 1 } else { n % 7 };
                let (temp, hum) = ((n % 40).to_string(), (n % 90).to_string());
                append(
                    log,
                    id(1000 + n / 7, seq),
                    &["temp", &temp, "hum", &hum],
                    limits,
                );
            }
        }
        word => panic!("{word}"),
    }
}

/// The bytes as digits, or their number and hash (FNV-1a) if they are many.
fn show(bytes: &[u8]) -> String {
    if bytes.len() < 100 {
        return bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    }
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{} bytes, {hash:016x}", bytes.len())
}

/// What redis-server 7.0.15 has in the DUMP of a stream after the same commands: the nodes, and behind
/// them length, last ID, first ID, greatest deleted ID and entries added.
#[test]
fn nodes_are_those_of_redis() {
    let check =
        |(entries_max, bytes_max), commands: &str, nodes: &[(u64, u64, &str)], counters: &[u64]| {
            let (mut log, limits) = (Log::default(), limits(entries_max, bytes_max));
            commands
                .split(';')
                .for_each(|command| run(&mut log, command, limits));
            let found: Vec<_> = log
                .nodes()
                .map(|(id, bytes)| (id.ms, id.seq, show(bytes)))
                .collect();
            let expected: Vec<_> = nodes
                .iter()
                .map(|&(ms, seq, text)| (ms, seq, text.to_string()))
                .collect();
            assert_eq!(found, expected, "{commands}");
            let ids = [log.last_id(), log.first_id(), log.max_deleted_id()];
            let mut found = vec![log.len()];
            found.extend(ids.iter().flat_map(|id| [id.ms, id.seq]));
            found.push(log.entries_added());
            assert_eq!(found, counters, "{commands}");
            check_restored(&log);
        };
    check(
        (100, 4096),
        "add 1-1 a 1 b two",
        &[(
            1,
            1,
            "240000000c00010100010201816102816202000102010001000101018374776f040501ff",
        )],
        &[1, 1, 1, 1, 1, 0, 0, 1],
    );
    check(
        (100, 4096),
        "add 5-9 temp 20 hum 30; add 5-10 temp 21 hum 31; add 6-0 temp -5000 hum 70000; add 7-3 hum 1 temp 2; add 8-0 temp 1; add 9-1 temp x hum 123456789012",
        &[(5, 9, "135 bytes, 8c118c1691bd7740")],
        &[6, 9, 1, 5, 9, 0, 0, 6],
    );
    check(
        (3, 4096),
        "add 1-0 a 1; add 2-0 a 2; add 3-0 a 3; add 4-0 a 4; del 2-0; del 4-0; add 5-0 a 5; add 6-0 b 6; add 7-0 a 7; add 8-0 a 8; del 9-9",
        &[
            (
                1,
                0,
                "3000000014000201010101018161020001020100010001010104010301010100010201040102010201000103010401ff",
            ),
            (
                5,
                0,
                "35000000160003010001010181610200010201000100010501040100010101000101018162020601060102010201000107010401ff",
            ),
            (
                8,
                0,
                "1c0000000a00010100010101816102000102010001000108010401ff",
            ),
        ],
        &[6, 8, 0, 1, 0, 4, 0, 8],
    );
    check(
        (3, 4096),
        "add 1-0 a 1; add 2-0 a 2; add 3-0 a 3; add 4-0 a 4; del 1-0; del 2-0; del 3-0; del 4-0; add 5-0 z 1",
        &[(
            5,
            0,
            "1c0000000a00010100010101817a02000102010001000101010401ff",
        )],
        &[1, 5, 0, 5, 0, 4, 0, 5],
    );
    check(
        (4, 4096),
        "many 0 30; trim MAXLEN 13",
        &[
            (
                1002,
                2,
                "4a0000001e000201020102018474656d70058368756d040001030100010001100110010501030100010101110111010501020100010201120112010501020100010301130113010501ff",
            ),
            (
                1002,
                6,
                "4d0000001e000401000102018474656d70058368756d04000102010001000114011401050102010101dffa0215011501050102010101dffb0216011601050102010101dffc02170117010501ff",
            ),
            (
                1003,
                3,
                "4a0000001e000401000102018474656d70058368756d0400010201000100011801180105010201000101011901190105010201000102011a011a0105010201000103011b011b010501ff",
            ),
            (
                1004,
                0,
                "3e00000018000301000102018474656d70058368756d0400010201000100011c011c0105010201000101011d011d0105010201000102011e011e010501ff",
            ),
        ],
        &[13, 1004, 2, 1002, 4, 0, 0, 31],
    );
    check(
        (4, 4096),
        "many 0 30; trim MAXLEN ~ 13",
        &[
            (
                1002,
                2,
                "4a0000001e000401000102018474656d70058368756d040001020100010001100110010501020100010101110111010501020100010201120112010501020100010301130113010501ff",
            ),
            (
                1002,
                6,
                "4d0000001e000401000102018474656d70058368756d04000102010001000114011401050102010101dffa0215011501050102010101dffb0216011601050102010101dffc02170117010501ff",
            ),
            (
                1003,
                3,
                "4a0000001e000401000102018474656d70058368756d0400010201000100011801180105010201000101011901190105010201000102011a011a0105010201000103011b011b010501ff",
            ),
            (
                1004,
                0,
                "3e00000018000301000102018474656d70058368756d0400010201000100011c011c0105010201000101011d011d0105010201000102011e011e010501ff",
            ),
        ],
        &[15, 1004, 2, 1002, 2, 0, 0, 31],
    );
    check(
        (4, 4096),
        "many 0 30; trim MINID 1002-3",
        &[
            (
                1002,
                2,
                "4a0000001e000301010102018474656d70058368756d040001030100010001100110010501020100010101110111010501020100010201120112010501020100010301130113010501ff",
            ),
            (
                1002,
                6,
                "4d0000001e000401000102018474656d70058368756d04000102010001000114011401050102010101dffa0215011501050102010101dffb0216011601050102010101dffc02170117010501ff",
            ),
            (
                1003,
                3,
                "4a0000001e000401000102018474656d70058368756d0400010201000100011801180105010201000101011901190105010201000102011a011a0105010201000103011b011b010501ff",
            ),
            (
                1004,
                0,
                "3e00000018000301000102018474656d70058368756d0400010201000100011c011c0105010201000101011d011d0105010201000102011e011e010501ff",
            ),
        ],
        &[14, 1004, 2, 1002, 3, 0, 0, 31],
    );
    check(
        (4, 4096),
        "many 0 30; trim MINID ~ 1002-3; del 1002-6; del 1003-0",
        &[
            (
                1002,
                2,
                "4a0000001e000401000102018474656d70058368756d040001020100010001100110010501020100010101110111010501020100010201120112010501020100010301130113010501ff",
            ),
            (
                1002,
                6,
                "4d0000001e000201020102018474656d70058368756d04000103010001000114011401050103010101dffa0215011501050102010101dffb0216011601050102010101dffc02170117010501ff",
            ),
            (
                1003,
                3,
                "4a0000001e000401000102018474656d70058368756d0400010201000100011801180105010201000101011901190105010201000102011a011a0105010201000103011b011b010501ff",
            ),
            (
                1004,
                0,
                "3e00000018000301000102018474656d70058368756d0400010201000100011c011c0105010201000101011d011d0105010201000102011e011e010501ff",
            ),
        ],
        &[13, 1004, 2, 1002, 2, 1003, 0, 31],
    );
    check(
        (4, 4096),
        "many 0 30; trim MAXLEN ~ 3 LIMIT 10",
        &[
            (
                1001,
                1,
                "4a0000001e000401000102018474656d70058368756d0400010201000100010801080105010201000101010901090105010201000102010a010a0105010201000103010b010b010501ff",
            ),
            (
                1001,
                5,
                "4c0000001e000401000102018474656d70058368756d0400010201000100010c010c0105010201000101010d010d01050102010101dffb020e010e01050102010101dffc020f010f010501ff",
            ),
            (
                1002,
                2,
                "4a0000001e000401000102018474656d70058368756d040001020100010001100110010501020100010101110111010501020100010201120112010501020100010301130113010501ff",
            ),
            (
                1002,
                6,
                "4d0000001e000401000102018474656d70058368756d04000102010001000114011401050102010101dffa0215011501050102010101dffb0216011601050102010101dffc02170117010501ff",
            ),
            (
                1003,
                3,
                "4a0000001e000401000102018474656d70058368756d0400010201000100011801180105010201000101011901190105010201000102011a011a0105010201000103011b011b010501ff",
            ),
            (
                1004,
                0,
                "3e00000018000301000102018474656d70058368756d0400010201000100011c011c0105010201000101011d011d0105010201000102011e011e010501ff",
            ),
        ],
        &[23, 1004, 2, 1001, 1, 0, 0, 31],
    );
    check(
        (4, 4096),
        "add 1-0 a 1; add 2-0 a 2; add 3-0 a 3; del 3-0; trim MINID 3-0; add 4-0 a 4",
        &[(
            1,
            0,
            "3a0000001900010103010101816102000103010001000101010401030101010001020104010301020100010301040102010301000104010401ff",
        )],
        &[1, 4, 0, 4, 0, 3, 0, 4],
    );
    check(
        (100, 40),
        "add 1-0 a 1; add 2-0 a 2; add 3-0 a 333333; add 4-0 a 4; add 5-0 a x; add 6-0 abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz 1; add 7-0 a 1",
        &[
            (
                1,
                0,
                "260000000f0002010001010181610200010201000100010101040102010101000102010401ff",
            ),
            (
                3,
                0,
                "290000000f000201000101018161020001020100010001f215160504040102010101000104010401ff",
            ),
            (
                5,
                0,
                "1d0000000a0001010001010181610200010201000100018178020401ff",
            ),
            (
                6,
                0,
                "4f0000000a00010100010101b46162636465666768696a6b6c6d6e6f707172737475767778797a6162636465666768696a6b6c6d6e6f707172737475767778797a35000102010001000101010401ff",
            ),
            (
                7,
                0,
                "1c0000000a00010100010101816102000102010001000101010401ff",
            ),
        ],
        &[7, 7, 0, 1, 0, 0, 0, 7],
    );
    check(
        (0, 0),
        "many 0 200; del 1003-2; trim MAXLEN 150",
        &[(1000, 1, "2467 bytes, 70931d0c70f4df3a")],
        &[150, 1028, 4, 1007, 2, 1003, 2, 201],
    );
    check(
        (200, 4096),
        "many 0 139; del 1003-2 1004-2; trim MAXLEN 5",
        &[(1000, 1, "1726 bytes, 2dbbf6885e02cb72")],
        &[5, 1019, 6, 1019, 2, 1004, 2, 140],
    );
    check(
        (100, 4096),
        "add 18446744073709551614-18446744073709551615 a 1; add 18446744073709551615-0 a 2; add 18446744073709551615-18446744073709551615 a 3",
        &[(
            18446744073709551614,
            18446744073709551615,
            "3000000014000301000101018161020001020100010001010104010201010101010201040102010101000103010401ff",
        )],
        &[
            3,
            18446744073709551615,
            18446744073709551615,
            18446744073709551614,
            18446744073709551615,
            0,
            0,
            3,
        ],
    );
}

/// A log that is put together from another's nodes and counters is the same.
fn check_restored(log: &Log) {
    let mut copy = Log::default();
    for (id, bytes) in log.nodes() {
        assert_eq!(copy.push_node(id, bytes.to_vec()), Ok(()));
    }
    assert!(copy.restore(Counters {
        last_id: log.last_id(),
        max_deleted_id: log.max_deleted_id(),
        entries_added: log.entries_added(),
    }));
    assert_eq!((copy.len(), copy.first_id()), (log.len(), log.first_id()));
    assert!(copy.nodes().eq(log.nodes()));
}

type Fields = Vec<(String, String)>;

/// An entry of the model; its fields are gone once it is deleted.
struct Slot {
    id: StreamId,
    fields: Option<Fields>,
}

/// The stream as nodes of entries.
#[derive(Default)]
struct Model {
    nodes: Vec<Vec<Slot>>,
    last_id: StreamId,
    max_deleted_id: StreamId,
    added: u64,
    pending: BTreeMap<StreamId, (usize, i64, u64)>,
}

impl Model {
    fn live(&self) -> impl DoubleEndedIterator<Item = (StreamId, &Fields)> {
        let slots = self.nodes.iter().flatten();
        slots.filter_map(|slot| Some((slot.id, slot.fields.as_ref()?)))
    }

    fn append(&mut self, id: StreamId, fields: Fields, entries_max: usize) {
        if self
            .nodes
            .last()
            .is_none_or(|node| node.len() >= entries_max)
        {
            self.nodes.push(Vec::new());
        }
        let node = self.nodes.last_mut().expect("a node");
        node.push(Slot {
            id,
            fields: Some(fields),
        });
        (self.last_id, self.added) = (id, self.added + 1);
    }

    fn delete(&mut self, id: StreamId) -> bool {
        let slots = self.nodes.iter_mut().flatten();
        let found = slots.into_iter().find(|slot| slot.id == id);
        let Some(_) = found.and_then(|slot| slot.fields.take()) else {
            return false;
        };
        let is_live = |slot: &Slot| slot.fields.is_some();
        let holds = |node: &[Slot]| node.iter().any(|slot| slot.id == id);
        self.nodes
            .retain(|node| !holds(node) || node.iter().any(is_live));
        self.max_deleted_id = self.max_deleted_id.max(id);
        true
    }

    fn trim(&mut self, trim: Trim) -> u64 {
        let mut removed = 0;
        while let Some(node) = self.nodes.first() {
            let (len, live) = (
                self.live().count() as u64,
                node.iter().filter(|s| s.fields.is_some()).count() as u64,
            );
            if matches!(trim.keep, Keep::Newest(count) if len <= count)
                || trim.limit != 0 && removed + live > trim.limit
            {
                break;
            }
            let whole = match trim.keep {
                Keep::Newest(count) => len - live >= count,
                Keep::From(id) => node.last().is_some_and(|slot| slot.id < id),
            };
            if whole {
                removed += live;
                self.nodes.remove(0);
                continue;
            }
            let over = match trim.keep {
                Keep::Newest(count) => len - count,
                Keep::From(_) => u64::MAX,
            };
            let goes = |slot: &&mut Slot| match trim.keep {
                Keep::Newest(_) => slot.fields.is_some(),
                Keep::From(id) => slot.id < id && slot.fields.is_some(),
            };
            if !trim.approximate {
                let slots = self.nodes[0].iter_mut().filter(goes);
                for slot in slots.take(usize::try_from(over).expect("64 bits")) {
                    slot.fields = None;
                    removed += 1;
                }
            }
            break;
        }
        removed
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64, u64, Vec<(u8, u8)>),
    Delete(usize),
    Trim(Trim),
    Range(usize, usize),
    Deliver(usize, usize, i64),
    Assign(usize, usize, i64, u64),
    Redeliver(usize, i64),
    Ack(usize),
    DeleteConsumer(usize),
    Advance(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let fields = prop_oneof![
        3 => any::<(u8, u8)>().prop_map(|(a, b)| vec![(0, a), (1, b)]),
        1 => prop::collection::vec((0..4u8, any::<u8>()), 1..5),
    ];
    let keep = prop_oneof![
        (0..40u64).prop_map(Keep::Newest),
        (0..60u64, 0..3u64).prop_map(|(ms, seq)| Keep::From(id(ms, seq))),
    ];
    let trim = (keep, any::<bool>(), prop_oneof![Just(0), 1..20u64]);
    let trim = trim.prop_map(|(keep, approximate, limit)| {
        Step::Trim(Trim {
            keep,
            approximate,
            limit,
        })
    });
    let (at, who) = (0..100usize, 0..4usize);
    prop_oneof![
        10 => (0..3u64, 0..3u64, fields).prop_map(|(ms, seq, fields)| Step::Append(ms, seq, fields)),
        3 => at.clone().prop_map(Step::Delete),
        1 => trim,
        2 => (at.clone(), at.clone()).prop_map(|(from, to)| Step::Range(from, to)),
        3 => (at.clone(), who.clone(), 0..100i64).prop_map(|(at, who, now)| Step::Deliver(at, who, now)),
        1 => (at.clone(), who.clone(), 0..100i64, 0..9u64).prop_map(|(at, who, now, n)| Step::Assign(at, who, now, n)),
        1 => (at.clone(), 0..100i64).prop_map(|(at, now)| Step::Redeliver(at, now)),
        2 => at.clone().prop_map(Step::Ack),
        1 => who.prop_map(Step::DeleteConsumer),
        2 => at.prop_map(Step::Advance),
    ]
}

/// An ID near those that are there; 100 is behind them all.
fn pick(model: &Model, at: usize) -> StreamId {
    let ms = model.last_id.ms * at as u64 / 90;
    id(ms, at as u64 % 3)
}

const GROUP: &[u8] = b"group";

fn consumer(group: &mut Group, who: usize) -> ConsumerId {
    let name = format!("consumer {}", 3 - who);
    match group.find_consumer(name.as_bytes()) {
        Some(known) => known,
        None => group
            .create_consumer(name.as_bytes(), 7)
            .expect("a new one"),
    }
}

fn owned<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Vec<(StreamId, Fields)> {
    let text = |item: crate::data::listpack::Item<'_>| {
        String::from_utf8(item.bytes(&mut itoa::Buffer::new()).to_vec()).expect("text")
    };
    entries
        .map(|entry| {
            assert_eq!(entry.fields().count(), entry.len());
            (
                entry.id,
                entry.fields().map(|(n, v)| (text(n), text(v))).collect(),
            )
        })
        .collect()
}

fn apply(stream: &mut Stream, model: &mut Model, step: Step, entries_max: u64) {
    let Stream { log, groups } = stream;
    let group = groups.get_mut(GROUP).expect("the group");
    match step {
        Step::Append(ms, seq, fields) => {
            let new = id(
                model.last_id.ms + ms,
                if ms > 0 { seq } else { model.last_id.seq + seq },
            );
            let text = |n: u8| {
                if n.is_multiple_of(2) {
                    n.to_string()
                } else {
                    "x".repeat(usize::from(n))
                }
            };
            let fields: Fields = fields
                .iter()
                .map(|&(name, value)| (format!("field {name}"), text(value)))
                .collect();
            let flat = fields
                .iter()
                .flat_map(|(n, v)| [n.as_bytes(), v.as_bytes()]);
            let result = log.append(new, flat, limits(entries_max, 0));
            if new <= model.last_id {
                assert_eq!(result, Err(AppendError::Order));
            } else {
                assert_eq!(result, Ok(()));
                model.append(new, fields, entries_max as usize);
            }
        }
        Step::Delete(at) => {
            let id = pick(model, at);
            assert_eq!(log.contains(id), model.live().any(|(known, _)| known == id));
            assert_eq!(log.delete(id), model.delete(id));
        }
        Step::Trim(trim) => assert_eq!(log.trim(trim), model.trim(trim), "{trim:?}"),
        Step::Range(from, to) => {
            let (from, to) = (pick(model, from), pick(model, to));
            let mut expected: Vec<_> = model
                .live()
                .filter(|(id, _)| *id >= from && *id <= to)
                .collect();
            let known = |found: Vec<(StreamId, Fields)>, expected: &[(StreamId, &Fields)]| {
                assert!(
                    found
                        .iter()
                        .map(|(id, f)| (*id, f))
                        .eq(expected.iter().copied())
                );
            };
            known(owned(log.range(from, to)), &expected);
            expected.reverse();
            known(owned(log.range_back(from, to)), &expected);
        }
        Step::Deliver(at, who, now) => {
            let who_id = consumer(group, who);
            group.deliver(pick(model, at), who_id, now);
            model.pending.insert(pick(model, at), (who, now, 1));
        }
        Step::Assign(at, who, now, count) => {
            let consumer = consumer(group, who);
            let nack = Nack {
                consumer,
                delivery_time_ms: now,
                delivery_count: count,
            };
            group.assign(pick(model, at), nack);
            model.pending.insert(pick(model, at), (who, now, count));
        }
        Step::Redeliver(at, now) => {
            let id = pick(model, at);
            let known = model.pending.get_mut(&id);
            assert_eq!(group.redeliver(id, now), known.is_some());
            if let Some((_, time, count)) = known {
                (*time, *count) = (now, *count + 1);
            }
        }
        Step::Ack(at) => {
            let id = pick(model, at);
            assert_eq!(group.ack(id), model.pending.remove(&id).is_some());
        }
        Step::DeleteConsumer(who) => {
            let id = consumer(group, who);
            let name = group.consumer(id).name().to_vec();
            let before = model.pending.len();
            model.pending.retain(|_, (owner, ..)| *owner != who);
            assert_eq!(
                group.delete_consumer(&name),
                Some(before - model.pending.len())
            );
            assert_eq!(group.delete_consumer(&name), None);
        }
        Step::Advance(at) => {
            let id = pick(model, at);
            let from = group.last_id().next().expect("not the greatest");
            for entry in log.range(from, id) {
                group.advance(log, entry.id);
            }
        }
    }
}

fn check(stream: &Stream, model: &Model) {
    let log = &stream.log;
    let all: Vec<_> = model
        .live()
        .map(|(id, fields)| (id, fields.clone()))
        .collect();
    assert_eq!(owned(log.range(StreamId::MIN, StreamId::MAX)), all);
    assert_eq!(log.len(), all.len() as u64);
    assert_eq!(
        log.first_id(),
        all.first().map_or(StreamId::MIN, |(id, _)| *id)
    );
    assert_eq!(
        log.last().map(|entry| entry.id),
        all.last().map(|(id, _)| *id)
    );
    assert_eq!(log.last_id(), model.last_id);
    assert_eq!(log.max_deleted_id(), model.max_deleted_id);
    assert_eq!(log.entries_added(), model.added);
    assert!(
        log.nodes()
            .map(|(id, _)| id)
            .eq(model.nodes.iter().map(|node| node[0].id))
    );
    check_restored(log);

    let group = stream.groups.get(GROUP).expect("the group");
    let name = |who: usize| format!("consumer {}", 3 - who);
    let show = |(id, nack): (StreamId, &Nack)| {
        let name = String::from_utf8(group.consumer(nack.consumer).name().to_vec()).expect("text");
        (id, name, nack.delivery_time_ms, nack.delivery_count)
    };
    let pending: Vec<_> = model
        .pending
        .iter()
        .map(|(&id, &(who, now, n))| (id, name(who), now, n))
        .collect();
    assert_eq!(
        group.pending(StreamId::MIN).map(show).collect::<Vec<_>>(),
        pending
    );
    assert_eq!(group.pending_count(), pending.len());
    let mut consumers: Vec<_> = group.consumers().map(|(_, c)| c.name().to_vec()).collect();
    assert!(consumers.is_sorted());
    for (id, consumer) in group.consumers() {
        let name = String::from_utf8(consumer.name().to_vec()).expect("text");
        let own: Vec<_> = pending
            .iter()
            .filter(|(_, owner, ..)| *owner == name)
            .cloned()
            .collect();
        assert_eq!(
            group
                .pending_of(id, StreamId::MIN)
                .map(show)
                .collect::<Vec<_>>(),
            own
        );
        assert_eq!(consumer.pending_count(), own.len());
    }
    consumers.dedup();
    assert_eq!(consumers.len(), group.consumer_count());
}

proptest! {
    #[test]
    fn behaves_like_maps(entries_max in 1..7u64, steps in prop::collection::vec(step(), 1..300)) {
        let (mut stream, mut model) = (Stream::new(), Model::default());
        assert!(stream.groups.create(GROUP, StreamId::MIN, None).is_some());
        for step in steps {
            apply(&mut stream, &mut model, step, entries_max);
        }
        check(&stream, &model);
        let copy = stream.clone();
        drop(stream);
        check(&copy, &model);
    }
}

#[test]
fn groups_have_names_in_order() {
    let mut groups = Groups::default();
    for name in ["b", "", "a"] {
        assert!(groups.create(name.as_bytes(), id(1, 0), Some(1)).is_some());
        assert!(groups.create(name.as_bytes(), id(2, 0), None).is_none());
    }
    let names: Vec<_> = groups.iter().map(|(name, _)| name).collect();
    assert_eq!(names, [&b""[..], b"a", b"b"]);
    assert!(groups.destroy(b"a") && !groups.destroy(b"a"));
    assert_eq!(groups.len(), 2);
    let group = groups.get_mut(b"b").expect("it is there");
    group.set_id(id(7, 7), None);
    assert_eq!((group.last_id(), group.entries_read()), (id(7, 7), None));
}

#[test]
fn a_deleted_consumer_leaves_its_place_to_the_next() {
    let mut groups = Groups::default();
    let group = groups
        .create(GROUP, StreamId::MIN, None)
        .expect("a new one");
    let [a, b] = [b"a", b"b"].map(|name| group.create_consumer(name, 5).expect("a new one"));
    assert_eq!(group.create_consumer(b"a", 6), None);
    group.deliver(id(1, 0), a, 10);
    group.deliver(id(2, 0), b, 10);
    assert_eq!(group.delete_consumer(b"a"), Some(1));
    let c = group.create_consumer(b"c", 8).expect("a new one");
    assert_eq!(c, a);
    assert_eq!(group.consumer(c).pending_count(), 0);
    assert_eq!(group.nack(id(2, 0)).map(|nack| nack.idle_ms(12)), Some(2));
    assert_eq!(group.pending_bounds(), Some((id(2, 0), id(2, 0))));
    let times = group.consumer(c);
    assert_eq!((times.seen_time_ms, times.active_time_ms), (8, -1));
}

#[test]
fn ids_end_at_the_maximum() {
    let mut log = Log::default();
    append(
        &mut log,
        id(u64::MAX, u64::MAX - 1),
        &["a", "1"],
        Limits::default(),
    );
    append(&mut log, StreamId::MAX, &["a", "2"], Limits::default());
    for any in [StreamId::MIN, id(1, 1), StreamId::MAX] {
        let refused = log.append(any, [&b"a"[..], b"3"].into_iter(), Limits::default());
        assert_eq!(refused, Err(AppendError::Order));
    }
    assert_eq!(log.range(StreamId::MAX, StreamId::MAX).count(), 1);
    assert_eq!(log.range(StreamId::MAX, StreamId::MIN).count(), 0);
    assert_eq!(log.range_back(StreamId::MIN, StreamId::MAX).count(), 2);
    assert!(log.delete(StreamId::MAX));
    assert_eq!(
        log.last().map(|entry| entry.id),
        Some(id(u64::MAX, u64::MAX - 1))
    );
    let zero = Log::default().append(StreamId::MIN, std::iter::empty(), Limits::default());
    assert_eq!(zero, Err(AppendError::Order));
}

/// What is wrong with a node, beside that what is right passes.
#[test]
fn checks_name_the_fault() {
    use crate::data::listpack::ListpackBuf;
    let check = |text: &str, expected: Result<(), Fault>| {
        let mut pack = ListpackBuf::new();
        text.split_whitespace()
            .for_each(|word| pack.push_back(word.as_bytes()));
        let bytes = pack.into_vec();
        assert_eq!(node::check(id(5, 5), &bytes), expected, "{text}");
    };
    let entry = |index| Err(Fault::Entry { index });
    let order = |index| Err(Fault::Order { index });
    check("1 0 1 a 0  2 0 0 v 4", Ok(()));
    check("1 1 1 a 0  2 0 0 v 4  1 1 -5 1 b w 6", Ok(()));
    check("0 1 0 0  3 7 0 3", Ok(()));
    check("", Err(Fault::Head));
    check("1 0", Err(Fault::Head));
    check("1 -1 1 a 0  2 0 0 v 4", Err(Fault::Head));
    check("x 0 1 a 0  2 0 0 v 4", Err(Fault::Head));
    check("1 0 9 a 0  2 0 0 v 4", Err(Fault::Head));
    check("1 0 1 a 1  2 0 0 v 4", Err(Fault::Head));
    check("1 0 9223372036854775807 a 0", Err(Fault::Head));
    check("0 0 1 a 0", Err(Fault::Counts));
    check("2 0 1 a 0  2 0 0 v 4", Err(Fault::Counts));
    check("0 1 1 a 0  2 0 0 v 4", Err(Fault::Counts));
    check("1 0 1 a 0  4 0 0 v 4", entry(0));
    check("1 0 1 a 0  2 0 0 v 5", entry(0));
    check("1 0 1 a 0  2 0 0 v", entry(0));
    check("1 0 1 a 0  2 0 x v 4", entry(0));
    check("1 0 1 a 0  0 0 0 1 b w 7", entry(0));
    check("1 0 1 a 0  0 0 0 -1 b w 6", entry(0));
    check("1 0 1 a 0  0 0 0 9223372036854775807 b w 6", entry(0));
    check("2 0 1 a 0  2 0 0 v 4  2 1", entry(1));
    check("1 0 1 a 0  2 0 -1 v 4", order(0));
    check("2 0 1 a 0  2 0 1 v 4  2 0 1 v 4", order(1));
    check("2 0 1 a 0  2 1 0 v 4  2 0 9 v 4", order(1));
    check("1 1 1 a 0  3 1 0 v 4  2 0 9 v 4", Ok(()));
    check("1 1 1 a 0  2 1 0 v 4  3 0 9 v 4", order(1));
    let short = Err(Fault::Listpack(crate::data::listpack::Fault::Short));
    assert_eq!(node::check(id(5, 5), b""), short);
}

/// Flags in eight bytes became shorter when they were changed, and a trim went on in the wrong place.
#[test]
fn flags_may_have_any_form() {
    let mut bytes = vec![0, 0, 0, 0, 15, 0];
    bytes.extend([2, 1, 0, 1, 1, 1, 0x81, b'a', 2, 0, 1]);
    for n in 0..2 {
        bytes.extend([0xf4, 2, 0, 0, 0, 0, 0, 0, 0, 9]);
        bytes.extend([n, 1, 0, 1, 0x81, b'v', 2, 4, 1]);
    }
    bytes.push(0xff);
    bytes[0] = bytes.len() as u8;
    let mut log = Log::default();
    assert_eq!(log.push_node(id(5, 5), bytes.clone()), Ok(()));
    assert!(log.delete(id(5, 5)) && log.delete(id(6, 5)));
    let mut log = Log::default();
    assert_eq!(log.push_node(id(5, 5), bytes), Ok(()));
    append(&mut log, id(7, 0), &["a", "1"], Limits::default());
    run(&mut log, "trim MAXLEN 1", Limits::default());
    assert_eq!((log.len(), log.first_id()), (1, id(7, 0)));
    check_restored(&log);
}

/// The last ID can be set back behind deleted entries, whose places are then among greater IDs.
#[test]
fn ids_may_be_set_back_behind_deleted_entries() {
    let mut log = Log::default();
    for n in [1, 2, 9, 10] {
        append(&mut log, id(n, 0), &["a", "1"], limits(4, 0));
    }
    assert!(log.delete(id(9, 0)) && log.delete(id(10, 0)));
    log.set_last_id(id(2, 0));
    for n in [3, 4, 5] {
        append(&mut log, id(n, 0), &["a", "1"], limits(5, 0));
    }
    check_restored(&log);
    assert_eq!(log.node_count(), 2);
    assert!(log.contains(id(3, 0)) && log.contains(id(5, 0)) && !log.contains(id(9, 0)));
    assert_eq!(log.range(id(3, 0), id(4, 0)).count(), 2);
    assert_eq!(log.range_back(id(2, 0), id(3, 0)).count(), 2);

    // A node of nothing but deleted entries goes when the IDs begin before it again.
    let mut log = Log::default();
    for command in ["add 5-0 a 1", "add 6-0 a 1", "del 6-0", "trim MINID 6-0"] {
        run(&mut log, command, limits(4, 0));
    }
    assert_eq!((log.len(), log.node_count()), (0, 1));
    log.set_last_id(id(1, 0));
    append(&mut log, id(2, 0), &["a", "1"], limits(4, 0));
    assert_eq!(
        (log.len(), log.node_count(), log.first_id()),
        (1, 1, id(2, 0))
    );
}

#[test]
fn nodes_of_a_snapshot_are_in_order() {
    let mut source = Log::default();
    for n in 1..=3 {
        append(&mut source, id(n, 0), &["a", "1"], limits(2, 0));
    }
    let nodes: Vec<_> = source
        .nodes()
        .map(|(id, bytes)| (id, bytes.to_vec()))
        .collect();
    let mut log = Log::default();
    assert_eq!(log.push_node(nodes[0].0, nodes[0].1.clone()), Ok(()));
    for late in [id(1, 0), id(2, 0)] {
        assert_eq!(log.push_node(late, nodes[1].1.clone()), Err(Fault::Node));
    }
    assert_eq!(log.push_node(nodes[1].0, nodes[1].1.clone()), Ok(()));
    let counters = |ms| Counters {
        last_id: id(ms, 0),
        ..Counters::default()
    };
    assert!(!log.restore(counters(2)));
    assert!(log.restore(counters(3)));
    assert_eq!((log.len(), log.first_id()), (3, id(1, 0)));
}

/// The shape that the memory of streams is judged by: `XADD st * temp N hum N`.
#[test]
fn a_long_stream_is_small() {
    let (count, a_millisecond) = (200_000, 300);
    let mut stream = Stream::new();
    for n in 0..count {
        let (temp, hum) = ((n % 40).to_string(), (n % 90).to_string());
        let id = id(1_700_000_000_000 + n / a_millisecond, n % a_millisecond);
        append(
            &mut stream.log,
            id,
            &["temp", &temp, "hum", &hum],
            Limits::default(),
        );
    }
    let each = stream.allocated() as f64 / count as f64;
    println!(
        "{each:.2} bytes an entry, in {} nodes",
        stream.log.node_count()
    );
    assert!(each <= 13.5, "{each} bytes an entry");

    let group = stream
        .groups
        .create(GROUP, StreamId::MIN, None)
        .expect("a new one");
    let consumer = group.create_consumer(b"consumer", 0).expect("a new one");
    for entry in stream.log.range(StreamId::MIN, StreamId::MAX) {
        group.deliver(entry.id, consumer, 0);
    }
    let each = stream.groups.allocated() as f64 / count as f64;
    println!("{each:.2} bytes a pending entry");
    assert!(each <= 58.0, "{each} bytes a pending entry");
}

#[test]
fn what_a_stream_says_it_takes_it_takes() {
    let mut stream = Stream::new();
    let check = |stream: &Stream| {
        let bytes: usize = stream
            .log
            .nodes
            .iter_from(StreamId::MIN)
            .map(|(_, node)| node.allocated())
            .sum();
        assert_eq!(stream.log.bytes, bytes);
    };
    for n in 1..2000u64 {
        let value = "x".repeat((n * n % 700) as usize);
        append(
            &mut stream.log,
            id(n, 0),
            &["field", &value],
            Limits::default(),
        );
        if n % 3 == 0 {
            stream.log.delete(id(n / 2, 0));
        }
        if n % 100 == 0 {
            let keep = Keep::Newest(500);
            stream.log.trim(Trim {
                keep,
                approximate: n % 200 == 0,
                limit: 0,
            });
            check(&stream);
        }
    }
    // A node that another has followed has no room left over.
    let sizes = stream
        .log
        .nodes
        .iter_from(StreamId::MIN)
        .map(|(_, node)| (node.bytes().len(), node.allocated()));
    let closed = stream.log.node_count() - 1;
    for (len, allocated) in sizes.take(closed) {
        assert_eq!(allocated, crate::base::alloc::class_size(len, 1));
    }
    stream.log.trim(Trim {
        keep: Keep::Newest(0),
        approximate: false,
        limit: 0,
    });
    assert_eq!((stream.log.bytes, stream.log.allocated()), (0, 0));
}
