//! MEMORY: what keys cost, and where the memory of the process is.

mod doctor;

use super::args::{integer, is};
use super::help;
use crate::base::alloc;
use crate::data::table::Place;
use crate::resp::error::{self, Outcome};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::{DataCx, ServerCx};
use crate::server::memory::Breakdown;

const G: Group = Group::Server;
const REPORT_TIPS: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_shards",
    "response_policy:special",
];

/// The command.
pub static COMMANDS: &[Command] = &[cmd("memory", -2, Container)
    .group(G)
    .since("4.0.0")
    .doc("Holds the commands on memory.", "Depends on the subcommand")
    .subcommands(SUBCOMMANDS)];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    cmd("doctor", 2, Server(doctor))
        .group(G)
        .since("4.0.0")
        .doc("Says in words whether the memory is well used.", "O(1)")
        .tips(REPORT_TIPS),
    cmd("help", 2, Server(memory_help))
        .group(G)
        .since("4.0.0")
        .flags(LOADING | STALE)
        .doc("Returns what the subcommands are for.", "O(1)"),
    cmd("malloc-stats", 2, Server(malloc_stats))
        .group(G)
        .since("4.0.0")
        .flags(LOADING)
        .doc("Returns the figures of the allocator.", "O(1)")
        .tips(REPORT_TIPS),
    cmd("purge", 2, Server(purge))
        .group(G)
        .since("4.0.0")
        .flags(LOADING)
        .doc("Gives memory that is free but kept back to the system.", "Depends on how much there is; may be slow")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("stats", 2, Server(stats))
        .group(G)
        .since("4.0.0")
        .doc("Returns where the memory is.", "O(1)")
        .tips(REPORT_TIPS),
    cmd("usage", -3, Data(usage))
        .group(G)
        .since("4.0.0")
        .flags(READONLY)
        .keys(&[KeySpec::at(2).flags(RO)])
        .doc("Returns the bytes that a key and its value take.", "O(N) in the number of samples")
        .usage("key [SAMPLES count]"),
];

fn usage(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let mut index = 3;
    while let Some(option) = argv.get(index) {
        // Every value knows what it takes, so that there is nothing to sample.
        match argv.get(index + 1) {
            Some(count) if is(option, "SAMPLES") => {
                if integer(count)? < 0 {
                    return Err(error::SYNTAX);
                }
            }
            _ => return Err(error::SYNTAX),
        }
        index += 2;
    }
    match cx.find_unseen(cx.key(argv, 2)) {
        Some(place) => cx.reply.int(bytes_of(cx, place) as i64),
        None => cx.reply.null(),
    }
    Ok(())
}

/// The entry, and its place in the table.
fn bytes_of(cx: &DataCx<'_>, place: Place) -> usize {
    let table = cx.db().table();
    cx.entry(place).allocated() + table.bytes() / table.len().max(1)
}

fn stats(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let memory = Breakdown::of(cx.server);
    let tables: usize = memory.tables.iter().map(|(_, bytes)| bytes).sum();
    let mut out = Pairs {
        reply: cx.reply,
        count: 0,
    };
    let map = out.reply.defer_map();
    out.int("peak.allocated", memory.peak);
    out.int("total.allocated", memory.used);
    out.int("startup.allocated", memory.startup);
    out.int("replication.backlog", 0);
    out.int("clients.slaves", 0);
    out.int("clients.normal", memory.clients);
    out.int("cluster.links", 0);
    out.int("aof.buffer", memory.aof);
    out.int("lua.caches", memory.scripts.scripts);
    out.int("functions.caches", memory.scripts.libraries);
    for (index, bytes) in &memory.tables {
        out.name(&format!("db.{index}"));
        out.reply.map(2);
        out.reply.bulk(b"overhead.hashtable.main");
        out.reply.int(*bytes as i64);
        // Expiries lie in the entries.
        out.reply.bulk(b"overhead.hashtable.expires");
        out.reply.int(0);
    }
    out.int("overhead.db.hashtable.lut", tables);
    out.int("overhead.db.hashtable.rehashing", 0);
    out.int("overhead.total", memory.overhead());
    out.int("db.dict.rehashing.count", 0);
    out.int("keys.count", memory.keys);
    out.int("keys.bytes-per-key", memory.bytes_per_key());
    out.int("dataset.bytes", memory.dataset());
    out.double("dataset.percentage", memory.dataset_percent());
    out.double("peak.percentage", memory.peak_percent());
    out.int("allocator.allocated", memory.allocator.allocated);
    out.int("allocator.active", memory.allocator.active);
    out.int("allocator.resident", memory.allocator.resident);
    out.int("allocator.muzzy", memory.allocator.muzzy);
    out.beyond("allocator-fragmentation", memory.allocator_fragmentation());
    out.beyond("allocator-rss", memory.allocator_resident());
    out.beyond("rss-overhead", memory.resident_overhead());
    let (ratio, bytes) = memory.fragmentation();
    out.double("fragmentation", ratio);
    out.name("fragmentation.bytes");
    out.reply.int(bytes as i64);
    out.reply.end_map(map, out.count);
    Ok(())
}

/// A map being written.
struct Pairs<'a> {
    reply: &'a mut Reply,
    count: usize,
}

impl Pairs<'_> {
    fn name(&mut self, name: &str) {
        self.count += 1;
        self.reply.bulk(name.as_bytes());
    }

    fn int(&mut self, name: &str, value: usize) {
        self.name(name);
        self.reply.int(value as i64);
    }

    fn double(&mut self, name: &str, value: f64) {
        self.name(name);
        self.reply.double(value);
    }

    fn beyond(&mut self, name: &str, (ratio, bytes): (f64, isize)) {
        self.double(&format!("{name}.ratio"), ratio);
        self.name(&format!("{name}.bytes"));
        self.reply.int(bytes as i64);
    }
}

fn doctor(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let text = doctor::report(&Breakdown::of(cx.server), cx.server.clients.len());
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn purge(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    alloc::purge();
    cx.server.memory_sampled.forget();
    cx.reply.ok();
    Ok(())
}

fn malloc_stats(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let stats = alloc::stats();
    let text = format!(
        "Allocator: {}\nUsed, exactly: {}\nAllocated: {}, active: {}, resident: {}, retained: {}, muzzy: {}\n",
        alloc::name(),
        alloc::used_memory(),
        stats.allocated,
        stats.active,
        stats.resident,
        stats.retained,
        stats.muzzy,
    );
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn memory_help(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    help::reply(
        cx.reply,
        "MEMORY",
        &[
            ("DOCTOR", "Say in words whether the memory is well used."),
            ("MALLOC-STATS", "Say the figures of the allocator."),
            (
                "PURGE",
                "Give memory that is free but kept back to the system.",
            ),
            ("STATS", "Say where the memory is."),
            (
                "USAGE <key> [SAMPLES <count>]",
                "Say how many bytes <key> and its value take. The samples are of no consequence:\n\
                 the figure is exact.",
            ),
        ],
    );
    Ok(())
}
