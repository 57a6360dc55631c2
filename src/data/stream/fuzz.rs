//! A fuzzer that knows the format: nodes in the right form, then elements changed, added, taken out and
//! moved, or bytes damaged. What is refused must not panic, what is accepted must be safe to use.

use crate::base::fuzzing;
use std::time::Instant;

use super::node::check;
use super::{Keep, Limits, Log, StreamId, Trim};
use crate::data::listpack::ListpackBuf;

/// Runs for `CINNABAR_FUZZ_SECONDS` (600) from `CINNABAR_FUZZ_SEED` (the clock):
/// `cargo test --lib fuzz_stream_node_check -- --ignored --nocapture`.
#[test]
#[ignore = "runs for minutes"]
fn fuzz_stream_node_check_for_minutes() {
    let (seed, end) = fuzzing::plan();
    let (runs, accepted) = fuzz(seed, |runs| runs % 256 != 0 || Instant::now() < end);
    println!("{runs} runs, {accepted} accepted");
}

#[test]
fn fuzzes_a_little() {
    let (_, accepted) = fuzz(1, |runs| runs < 4000);
    assert!(
        (400..3600).contains(&accepted),
        "{accepted} of 4000 accepted: the fuzzer is blind on one side"
    );
}

fn fuzz(seed: u64, more: impl Fn(u64) -> bool) -> (u64, u64) {
    let mut random = Random(seed);
    let (mut runs, mut accepted) = (0, 0);
    while more(runs) {
        let master = random.master();
        let bytes = random.node(master);
        // A panic inside names the input only if we do.
        match std::panic::catch_unwind(|| check_hostile(master, &bytes)) {
            Ok(was_accepted) => accepted += u64::from(was_accepted),
            Err(_) => panic!(
                "run {runs} of seed {seed}: panic on {master}, {}",
                show(&bytes)
            ),
        }
        runs += 1;
    }
    (runs, accepted)
}

/// The bytes as digits.
fn show(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Uses bytes in every way if they pass for a node; says whether they did.
fn check_hostile(master: StreamId, bytes: &[u8]) -> bool {
    let mut log = Log::default();
    let result = log.push_node(master, bytes.to_vec());
    assert_eq!(result.is_ok(), check(master, bytes).is_ok());
    if result.is_err() {
        assert_eq!((log.len(), log.node_count()), (0, 0));
        return false;
    }
    let (all, last_id) = (ids(&log), log.last_id().max(master));
    assert_eq!(log.len(), all.len() as u64);
    assert!(all.is_sorted_by(|a, b| a < b) && all.first().is_none_or(|first| *first >= master));
    let back = log.range_back(StreamId::MIN, StreamId::MAX);
    assert!(back.map(|entry| entry.id).eq(all.iter().rev().copied()));
    for &id in &all {
        let entry = log.get(id).expect("an entry of the range");
        assert_eq!(entry.fields().count(), entry.len());
        assert_eq!(log.range(id, id).count(), 1);
        assert_eq!(log.range_back(id, id).count(), 1);
    }
    if let Some(id) = last_id.next() {
        let fields = [&b"f"[..], b"v", b"g", b"w"].into_iter();
        assert_eq!(log.append(id, fields, Limits::default()), Ok(()));
        assert_eq!(log.last().map(|entry| entry.id), Some(id));
    }
    let mut trimmed = log.clone();
    let trim = |keep| Trim {
        keep,
        approximate: false,
        limit: 0,
    };
    trimmed.trim(trim(Keep::Newest(log.len() / 2)));
    assert_eq!(trimmed.len(), log.len() / 2);
    if let Some(&id) = all.get(all.len() * 3 / 4) {
        trimmed.trim(trim(Keep::From(id)));
        assert!(ids(&trimmed).first().is_none_or(|first| *first >= id));
    }
    for id in ids(&log) {
        assert!(log.delete(id) && !log.delete(id));
        assert!(log.nodes().all(|(id, bytes)| check(id, bytes).is_ok()));
    }
    assert!(log.is_empty());
    true
}

fn ids(log: &Log) -> Vec<StreamId> {
    let all = log.range(StreamId::MIN, StreamId::MAX);
    all.map(|entry| entry.id).collect()
}

/// An element to be.
#[derive(Clone)]
enum Element {
    Int(i64),
    Text(Vec<u8>),
}

/// SplitMix64, so that a seed gives the same inputs on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    fn master(&mut self) -> StreamId {
        let parts = [0, 1, 5, 1 << 40, u64::MAX - 1, u64::MAX];
        StreamId::new(self.pick(&parts), self.pick(&parts))
    }

    /// A node, mostly with a fault or two.
    fn node(&mut self, master: StreamId) -> Vec<u8> {
        let mut elements = self.elements(master);
        for _ in 0..self.pick(&[0, 0, 1, 1, 1, 2, 3]) {
            self.change(&mut elements);
        }
        let mut pack = ListpackBuf::new();
        for element in &elements {
            match element {
                Element::Int(value) => pack.push_back_int(*value),
                Element::Text(text) => pack.push_back(text),
            }
        }
        let mut bytes = pack.into_vec();
        if self.below(4) == 0 {
            self.damage(&mut bytes);
        }
        bytes
    }

    fn elements(&mut self, master: StreamId) -> Vec<Element> {
        let entries = self.pick(&[0, 1, 1, 2, 3, 5, 8, 140]);
        let names = self.below(4);
        let mut body = Vec::new();
        let (mut live, mut deleted) = (0, 0);
        let mut id = master;
        for n in 0..entries {
            if n > 0 {
                let ms = id.ms.wrapping_add(self.below(3) as u64);
                let seq = id.seq.wrapping_add(self.below(300) as u64 + 1);
                id = StreamId::new(ms, if self.below(9) == 0 { 0 } else { seq });
            }
            let (flags, fields) = (self.below(4) as i64, self.below(4));
            let is_same = flags & 2 != 0;
            *(if flags & 1 != 0 {
                &mut deleted
            } else {
                &mut live
            }) += 1;
            body.push(Element::Int(flags));
            body.push(Element::Int(id.ms.wrapping_sub(master.ms) as i64));
            body.push(Element::Int(id.seq.wrapping_sub(master.seq) as i64));
            if !is_same {
                body.push(Element::Int(fields as i64));
            }
            let texts = if is_same { names } else { 2 * fields };
            body.extend((0..texts).map(|_| self.text()));
            body.push(Element::Int((texts + if is_same { 3 } else { 4 }) as i64));
        }
        let mut elements = [live, deleted, names as i64].map(Element::Int).to_vec();
        elements.extend((0..names).map(|_| self.text()));
        elements.push(Element::Int(0));
        elements.append(&mut body);
        elements
    }

    fn text(&mut self) -> Element {
        let len = self.pick(&[0, 1, 3, 8, 63, 64, 130]);
        let byte = self.pick(b"a1-\0\xff");
        Element::Text(vec![byte; len])
    }

    fn change(&mut self, elements: &mut Vec<Element>) {
        let at = self.below(elements.len());
        let other = elements[self.below(elements.len())].clone();
        match self.below(6) {
            0..3 => {
                elements[at] = match elements[at] {
                    Element::Int(value) => Element::Int(self.other_number(value)),
                    Element::Text(_) => self.text(),
                }
            }
            3 => elements.insert(at, other),
            4 if elements.len() > 1 => {
                elements.remove(at);
            }
            4 => {}
            _ => elements[at] = other,
        }
    }

    fn other_number(&mut self, value: i64) -> i64 {
        let any = self.next() as i64;
        self.pick(&[
            value.wrapping_add(1),
            value.wrapping_sub(1),
            value ^ 1,
            value ^ 2,
            -1,
            0,
            i64::MAX,
            i64::MIN,
            1 << 32,
            any,
        ])
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        match self.below(4) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.next() as u8,
            2 => bytes.truncate(at),
            _ => {
                bytes.remove(at);
            }
        }
        if bytes.len() >= 6 && self.below(4) != 0 {
            let total = bytes.len() as u32;
            bytes[..4].copy_from_slice(&total.to_le_bytes());
        }
    }
}
