//! The parser on a pipelined buffer, and the replies it leads to.

use std::hint::black_box;

use bytes::Bytes;
use cinnabar::resp::reply::Reply;
use cinnabar::resp::request::{Limits, Parsed, Progress, Span, parse};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Requests in a buffer, replies in a batch.
const BATCH: usize = 64;

fn parser(c: &mut Criterion) {
    let key = b"key:000000000001";
    let many: Vec<&[u8]> = std::iter::repeat_n(&key[..], 100).collect();
    let mut group = c.benchmark_group("parse");
    for (name, argv) in [
        ("get", &[b"GET", &key[..]][..]),
        ("set_64", &[b"SET", &key[..], &[b'v'; 64]]),
        ("set_1000", &[b"SET", &key[..], &[b'v'; 1000]]),
        ("mget_100", &many),
    ] {
        let mut buf = frame(argv).repeat(BATCH);
        let mut spans = Vec::new();
        group.throughput(Throughput::Elements((BATCH * argv.len()) as u64));
        group.bench_function(name, |b| {
            b.iter(|| assert_eq!(parse_all(black_box(&mut buf), &mut spans), BATCH));
        });
    }
    group.finish();
}

fn parse_all(buf: &mut [u8], spans: &mut Vec<Span>) -> usize {
    let limits = Limits {
        bulk_bytes_max: 512 << 20,
        authenticated: true,
    };
    let mut progress = Progress::default();
    let (mut at, mut requests) = (0, 0);
    spans.clear();
    while let Parsed::Request { consumed } = parse(buf, at, spans, &limits, &mut progress) {
        at += consumed;
        requests += 1;
    }
    requests
}

fn frame(argv: &[&[u8]]) -> Vec<u8> {
    let mut frame = format!("*{}\r\n", argv.len()).into_bytes();
    for argument in argv {
        frame.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        frame.extend_from_slice(argument);
        frame.extend_from_slice(b"\r\n");
    }
    frame
}

fn replies(c: &mut Criterion) {
    let value = Bytes::from(vec![b'v'; 20_000]);
    let mut group = c.benchmark_group("reply");
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut bench = |name, write: &dyn Fn(&mut Reply)| {
        let mut reply = Reply::new();
        group.bench_function(name, |b| {
            b.iter(|| {
                reply.clear(usize::MAX);
                (0..BATCH).for_each(|_| write(&mut reply));
                black_box(reply.len())
            });
        });
    };
    bench("bulk_8", &|reply| reply.bulk(black_box(&[b'v'; 8])));
    bench("bulk_64", &|reply| reply.bulk(black_box(&[b'v'; 64])));
    bench("bulk_1000", &|reply| reply.bulk(black_box(&[b'v'; 1000])));
    bench("bulk_shared_20000", &|reply| {
        reply.bulk_shared(black_box(&value).clone())
    });
    bench("int_1", &|reply| reply.int(black_box(1)));
    bench("int_123456", &|reply| reply.int(black_box(123_456)));
    bench("double", &|reply| reply.double(black_box(1.25)));
    bench("deferred_array", &|reply| {
        let deferred = reply.defer_array();
        reply.int(black_box(1));
        reply.end_array(deferred, 1);
    });
    group.finish();
}

criterion_group!(benches, parser, replies);
criterion_main!(benches);
