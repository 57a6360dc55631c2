//! The tree's invariants, and its behaviour against a sorted vector.

use super::*;
use proptest::prelude::*;

impl Ordered {
    /// Stops if the tree is not as the file's head says.
    pub(in crate::data) fn check(&self) {
        let mut tally = Tally::default();
        let mut all = Vec::new();
        match &self.root {
            None => assert_eq!(self.len, 0),
            Some(root) => {
                assert!(root.size() > usize::from(matches!(root, Node::Inner(_))));
                check_node(root, true, (true, true), &mut tally, &mut all);
            }
        }
        assert_eq!(all.len(), self.len);
        assert_eq!(tally, self.tally);
        for pair in all.windows(2) {
            let key = |e: Element| (order(e.score()), e.field());
            assert!(key(pair[0]) < key(pair[1]), "out of order");
        }
    }
}

/// Checks a node and returns its height. `edges`: whether it is at the left and at the right edge of the tree.
fn check_node(
    node: &Node,
    root: bool,
    edges: (bool, bool),
    tally: &mut Tally,
    all: &mut Vec<Element>,
) -> usize {
    assert!(node.size() > 0 && node.size() <= node.size_max());
    let at_edge = edges.0 || edges.1;
    assert!(root || at_edge || !node.is_underfull(), "an underfull node");
    match node {
        Node::Leaf(leaf) => {
            tally.leaf_bytes += leaf.allocated();
            all.extend((0..leaf.len()).map(|index| leaf.get(index)));
            0
        }
        Node::Inner(inner) => {
            tally.inners += 1;
            let mut heights = Vec::new();
            for index in 0..inner.len() {
                let (child, before) = (inner.child(index), all.len());
                let edges = (edges.0 && index == 0, edges.1 && index + 1 == inner.len());
                heights.push(check_node(child, false, edges, tally, all));
                assert_eq!(inner.count_of(index), all.len() - before);
                let first = all[before];
                assert_eq!(inner.first_of(index), (order(first.score()), Some(first)));
            }
            assert!(heights.iter().all(|h| *h == heights[0]), "{heights:?}");
            heights[0] + 1
        }
    }
}

/// A tree that owns its elements, beside a vector of them in order.
#[derive(Default)]
struct Pair {
    tree: Ordered,
    model: Vec<Element>,
}

impl Pair {
    fn place(&self, score: f64, field: &[u8]) -> Result<usize, usize> {
        let own = order(score);
        self.model
            .binary_search_by(|e| (order(e.score()), e.field()).cmp(&(own, field)))
    }

    fn insert(&mut self, score: f64, field: &[u8]) {
        if let Err(index) = self.place(score, field) {
            let element = Element::new(field, Some(score), None);
            self.tree.insert(element);
            self.model.insert(index, element);
        }
    }

    /// Elements with rising scores, given at once.
    fn insert_run(&mut self, from: f64, count: usize) {
        let is_new = |pair: &Pair, n: &usize| pair.place(from + *n as f64, b"r").is_err();
        let scores = (0..count)
            .filter(|n| is_new(self, n))
            .map(|n| from + n as f64);
        let run: Vec<Element> = scores
            .map(|score| Element::new(b"r", Some(score), None))
            .collect();
        self.tree.insert_run(&run);
        self.model.extend(run);
        self.model
            .sort_by(|a, b| (order(a.score()), a.field()).cmp(&(order(b.score()), b.field())));
    }

    fn remove(&mut self, index: usize) {
        let element = self.model.remove(index);
        self.tree.remove(element);
        element.free();
    }

    fn rescore(&mut self, index: usize, score: f64) {
        let element = self.model[index];
        if self.place(score, element.field()).is_ok() {
            return;
        }
        self.tree.rescore(element, score);
        self.model.remove(index);
        let place = self.place(score, element.field());
        self.model.insert(place.expect_err("a new place"), element);
    }

    fn remove_range(&mut self, from: usize, to: usize) {
        let mut left = to - from;
        let mut gone = Vec::new();
        while left > 0 {
            let before = gone.len();
            self.tree.remove_run(from, left, &mut gone);
            assert!(gone.len() > before);
            left -= gone.len() - before;
        }
        assert_eq!(gone, self.model.drain(from..to).collect::<Vec<_>>());
        gone.into_iter().for_each(Element::free);
    }

    fn replace(&mut self, index: usize) {
        let old = self.model[index];
        let new = old.duplicate();
        self.tree.replace(old, new);
        self.model[index] = new;
        old.free();
    }

    fn check(&self) {
        self.tree.check();
        assert_eq!(self.tree.len(), self.model.len());
        assert_eq!(self.tree.is_empty(), self.model.is_empty());
        assert_eq!(self.tree.first(), self.model.first().copied());
        assert_eq!(self.tree.last(), self.model.last().copied());
        assert_eq!(self.tree.at(self.model.len()), None);
        for (rank, &element) in self.model.iter().enumerate().step_by(7) {
            assert_eq!(self.tree.rank(element), rank);
            assert_eq!(self.tree.at(rank), Some(element));
        }
    }

    fn check_walks(&self, from: usize) {
        let walk = self.tree.walk(from);
        let expected = self.model.get(from..).unwrap_or_default();
        assert_eq!(walk.len(), expected.len());
        assert!(walk.eq(expected.iter().copied()));
        let walk = self.tree.walk_back(from);
        let expected = self.model.get(..=from).unwrap_or_default();
        assert_eq!(walk.len(), expected.len());
        assert!(walk.eq(expected.iter().rev().copied()));
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.model.iter().for_each(|element| element.free());
    }
}

/// What to do, with numbers that are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Ascend(usize),
    Descend(usize),
    Runs(usize, usize),
    Scatter(u64, usize),
    Same(u64, usize),
    Remove(usize, usize),
    RemoveRange(usize, usize),
    Rescore(usize, f64),
    Replace(usize),
    Walk(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1usize..600).prop_map(Step::Ascend),
        (1usize..600).prop_map(Step::Descend),
        (1..=RUN_MAX, 1usize..200).prop_map(|(count, n)| Step::Runs(count, n)),
        (any::<u64>(), 1usize..1500).prop_map(|(seed, n)| Step::Scatter(seed, n)),
        (any::<u64>(), 1usize..400).prop_map(|(seed, n)| Step::Same(seed, n)),
        (any::<usize>(), 1usize..400).prop_map(|(at, n)| Step::Remove(at, n)),
        (any::<usize>(), 1usize..900).prop_map(|(at, n)| Step::RemoveRange(at, n)),
        (any::<usize>(), score()).prop_map(|(at, score)| Step::Rescore(at, score)),
        any::<usize>().prop_map(Step::Replace),
        any::<usize>().prop_map(Step::Walk),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        prop::sample::select(vec![
            0.0,
            -0.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            -f64::MIN_POSITIVE / 4.0,
            f64::MIN_POSITIVE / 8.0,
        ]),
        any::<f64>().prop_filter("a number", |s| !s.is_nan()),
        -100.0..100.0,
    ]
}

fn apply(pair: &mut Pair, step: Step) {
    let len = pair.model.len();
    let edge = |element: Option<&Element>| element.map_or(0.0, |e| e.score().clamp(-1e9, 1e9));
    match step {
        Step::Ascend(n) => {
            let last = edge(pair.model.last());
            (0..n).for_each(|i| pair.insert(last + i as f64, &i.to_le_bytes()));
        }
        Step::Descend(n) => {
            let first = edge(pair.model.first());
            (0..n).for_each(|i| pair.insert(first - i as f64, &i.to_le_bytes()));
        }
        Step::Runs(count, n) => {
            for i in 0..n {
                let first = edge(pair.model.first());
                match i % 4 {
                    0 => pair.insert_run(edge(pair.model.last()) + 1.0, count),
                    3 => pair.insert_run(first + 0.5, count),
                    _ => pair.insert_run(first - count as f64, count),
                }
            }
        }
        Step::Scatter(seed, n) => {
            let mut rng = crate::base::rng::Rng::from_seed(seed);
            for _ in 0..n {
                let field = rng.below(5000).to_le_bytes();
                pair.insert(rng.below(2000) as f64 - 1000.0, &field);
            }
        }
        Step::Same(seed, n) => {
            let mut rng = crate::base::rng::Rng::from_seed(seed);
            (0..n).for_each(|_| pair.insert(7.0, &rng.below(5000).to_be_bytes()));
        }
        Step::Remove(at, n) => {
            (0..n.min(len)).for_each(|_| pair.remove(at % pair.model.len()));
        }
        Step::RemoveRange(at, n) if len > 0 => {
            let from = at % len;
            pair.remove_range(from, len.min(from + n));
        }
        Step::Rescore(at, score) if len > 0 => pair.rescore(at % len, score),
        Step::Replace(at) if len > 0 => pair.replace(at % len),
        Step::Walk(at) => pair.check_walks(at % (len + 2)),
        Step::RemoveRange(..) | Step::Rescore(..) | Step::Replace(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn behaves_like_a_sorted_vector(steps in prop::collection::vec(step(), 1..50)) {
        let mut pair = Pair::default();
        for step in steps {
            apply(&mut pair, step);
            pair.check();
        }
    }

    #[test]
    fn orders_sort_as_scores_do(a in score(), b in score()) {
        prop_assert_eq!(order(a).partial_cmp(&order(b)), a.partial_cmp(&b));
    }
}

#[test]
fn a_deep_tree_comes_and_goes() {
    let mut pair = Pair::default();
    let mut rng = crate::base::rng::Rng::from_seed(5);
    for n in 0..12_000u32 {
        let element = Element::new(&n.to_le_bytes(), Some(f64::from(n)), None);
        pair.tree.insert(element);
        pair.model.push(element);
    }
    pair.check();
    // Full leaves: a 72nd of 12,000, and four inner nodes above them.
    assert_eq!(pair.tree.tally.inners, 5);
    pair.check_walks(0);
    pair.check_walks(11_999);
    while !pair.model.is_empty() {
        let index = rng.below(pair.model.len() as u64) as usize;
        pair.remove(index);
        if pair.model.len().is_multiple_of(97) {
            pair.tree.check();
        }
    }
    assert_eq!(pair.tree.allocated(), 0);
}

#[test]
fn a_queue_stays_small() {
    let mut pair = Pair::default();
    for n in 0..30_000u32 {
        pair.insert(f64::from(n), b"member");
        if n >= 500 {
            pair.remove(0);
        }
    }
    pair.check();
    assert!(pair.tree.allocated() < 500 * 10 + 2048);
}

#[test]
fn a_big_tree_is_small_and_stays_in_order_as_it_empties() {
    let mut tree = Ordered::new();
    let mut elements: Vec<_> = (0..200_000u32)
        .map(|n| Element::new(&n.to_le_bytes(), Some(f64::from(n % 1009)), None))
        .collect();
    elements.iter().for_each(|element| tree.insert(*element));
    tree.check();
    let each = tree.allocated() as f64 / elements.len() as f64;
    println!("{each:.2} bytes of tree an element");
    assert!(each < 9.0, "{each} bytes an element");
    for element in elements.split_off(50_000) {
        tree.remove(element);
        element.free();
    }
    tree.check();
    let each = tree.allocated() as f64 / elements.len() as f64;
    println!("{each:.2} bytes of tree an element after three in four went");
    assert!(each < 16.0, "{each} bytes an element");
    let mut gone = Vec::new();
    while tree.len() > 1000 {
        tree.remove_run(500, tree.len() - 1000, &mut gone);
    }
    tree.check();
    while !tree.is_empty() {
        tree.remove_run(0, usize::MAX, &mut gone);
        tree.check();
    }
    assert_eq!(gone.len(), elements.len());
    assert_eq!(tree.allocated(), 0);
    elements.into_iter().for_each(Element::free);
}
