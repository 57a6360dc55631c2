//! How often a request allocates: never to read, and only what the data set keeps to write.
//!
//! Requests run through the gate and the handlers as the event loop runs them, with a reply buffer
//! that has reached its size. Entries come from the slab heap, so what is counted here, the global
//! allocator's calls, is what the table adds: a bucket now and then.

use cinnabar::base::{alloc, hash, rng::Rng};
use cinnabar::commands;
use cinnabar::resp::reply::Reply;
use cinnabar::resp::request::OwnedArgv;
use cinnabar::server::client::Endpoint;
use cinnabar::server::config::Config;
use cinnabar::server::cx::KeyHashes;
use cinnabar::server::exec;
use cinnabar::server::state::Server;

const KEYS: usize = 100_000;

struct Bench {
    server: Server,
    reply: Reply,
    slot: usize,
}

impl Bench {
    fn new() -> Bench {
        let mut config = Config::default();
        // On a busy machine any command may be slow, and would be remembered.
        config.slowlog_log_slower_than = -1;
        let mut server = Server::new(config, commands::FAMILIES, hash::process(), Rng::from_os());
        let here = || Endpoint::tcp(([127, 0, 0, 1], 6379));
        let slot = server.add_client(0, here(), here());
        Bench {
            server,
            reply: Reply::new(),
            slot,
        }
    }

    /// Runs the requests and returns how often they allocated, all together.
    fn allocations(&mut self, requests: &[OwnedArgv]) -> u64 {
        let before = alloc::allocations();
        for request in requests {
            let argv = request.as_argv();
            let resolved = self.server.commands.resolve(argv.at(0), argv.get(1));
            let hashes = KeyHashes::default();
            exec::request(
                &mut self.server,
                &mut self.reply,
                self.slot,
                resolved,
                argv,
                hashes,
            );
            self.reply.clear(usize::MAX);
        }
        alloc::allocations() - before
    }
}

fn requests(words: impl Fn(usize) -> Vec<String>) -> Vec<OwnedArgv> {
    (0..KEYS)
        .map(|i| {
            let words = words(i);
            let slices: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
            OwnedArgv::from_slices(&slices)
        })
        .collect()
}

/// One test, since what is counted is the whole process's.
#[test]
fn reads_never_allocate_and_writes_only_what_is_kept() {
    strings_allocate_in_the_slab_heap_only();
    small_hashes_allocate_in_the_slab_heap_only();
}

fn strings_allocate_in_the_slab_heap_only() {
    let mut bench = Bench::new();
    let key = |i: usize| format!("key:{i:012}");
    let set = requests(|i| vec!["SET".into(), key(i), format!("value:{i:058}")]);
    let get = requests(|i| vec!["GET".into(), key(i)]);
    let miss = requests(|i| vec!["GET".into(), format!("none:{i}")]);
    let incr = requests(|i| vec!["INCR".into(), format!("n:{i}")]);
    // Histograms and buffers come to be with the first request of their kind.
    for warm_up in [&set[..1], &get[..1], &incr[..1]] {
        bench.allocations(warm_up);
    }
    let new = bench.allocations(&set);
    assert!(
        (new as usize) < KEYS / 8,
        "{new} allocations for {KEYS} new keys"
    );
    assert_eq!(bench.allocations(&set), 0, "SET of a key of the same size");
    assert_eq!(bench.allocations(&get), 0, "GET");
    assert_eq!(bench.allocations(&miss), 0, "GET of no key");
    bench.allocations(&incr);
    assert_eq!(bench.allocations(&incr), 0, "INCR of a key that is there");
}

fn small_hashes_allocate_in_the_slab_heap_only() {
    let mut bench = Bench::new();
    let key = |i: usize| format!("hash:{i:012}");
    let with = |name: &str, i: usize, rest: &[&str]| {
        let mut words = vec![name.to_string(), key(i)];
        words.extend(rest.iter().map(|word| word.to_string()));
        words
    };
    let new = requests(|i| with("HSET", i, &["a", "1", "b", "two", "c", "3.0"]));
    let hset = requests(|i| with("HSET", i, &["b", "TWO"]));
    let hget = requests(|i| with("HGET", i, &["b"]));
    let hgetall = requests(|i| with("HGETALL", i, &[]));
    let hincrby = requests(|i| with("HINCRBY", i, &["a", "1"]));
    for warm_up in [&new[..1], &hget[..1], &hgetall[..1], &hincrby[..1]] {
        bench.allocations(warm_up);
    }
    let allocations = bench.allocations(&new);
    assert!(
        (allocations as usize) < KEYS / 8,
        "{allocations} allocations for {KEYS} new hashes"
    );
    assert_eq!(bench.allocations(&hset), 0, "HSET of a value as long");
    assert_eq!(bench.allocations(&hget), 0, "HGET");
    assert_eq!(bench.allocations(&hgetall), 0, "HGETALL");
    assert_eq!(bench.allocations(&hincrby), 0, "HINCRBY");
}
