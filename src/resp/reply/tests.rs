//! Every reply type in both protocols, and a model that holds the stream against plain bytes.

use proptest::prelude::*;

use super::*;
use crate::resp::error;

/// What `write` writes in RESP2 and in RESP3.
fn check(write: impl Fn(&mut Reply), resp2: &[u8], resp3: &[u8]) {
    for (proto, expected) in [(Proto::Resp2, resp2), (Proto::Resp3, resp3)] {
        let mut reply = Reply::with_proto(proto);
        write(&mut reply);
        assert_eq!(
            stream(&reply).escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
        assert_eq!(reply.len(), expected.len());
    }
}

fn check_both(write: impl Fn(&mut Reply), expected: &[u8]) {
    check(write, expected, expected);
}

fn stream(reply: &Reply) -> Vec<u8> {
    slices(reply, 0, reply.len())
}

fn slices(reply: &Reply, from: usize, to: usize) -> Vec<u8> {
    let mut slices = Vec::new();
    reply.slices(from, to, &mut slices);
    assert!(slices.iter().all(|slice| !slice.is_empty()));
    slices
        .iter()
        .flat_map(|slice| slice.iter().copied())
        .collect()
}

#[test]
fn scalars() {
    check_both(|r| r.ok(), b"+OK\r\n");
    check_both(|r| r.simple("PONG"), b"+PONG\r\n");
    check_both(|r| r.bulk(b"a\r\nb"), b"$4\r\na\r\nb\r\n");
    check_both(|r| r.bulk(b""), b"$0\r\n\r\n");
    check_both(
        |r| r.bulk_shared(Bytes::from_static(b"abc")),
        b"$3\r\nabc\r\n",
    );
    check_both(|r| r.bulk_int(-12), b"$3\r\n-12\r\n");
    check_both(
        |r| r.bulk_fmt(format_args!("{}-{}", 1, 2)),
        b"$3\r\n1-2\r\n",
    );
    check_both(|r| r.bulk_fmt(format_args!("plain")), b"$5\r\nplain\r\n");
    check_both(|r| r.raw(b":1\r\n"), b":1\r\n");
    check(|r| r.null(), b"$-1\r\n", b"_\r\n");
    check(|r| r.null_array(), b"*-1\r\n", b"_\r\n");
    check(|r| r.bool(true), b":1\r\n", b"#t\r\n");
    check(|r| r.bool(false), b":0\r\n", b"#f\r\n");
    check(
        |r| r.verbatim("txt", b"Some"),
        b"$4\r\nSome\r\n",
        b"=8\r\ntxt:Some\r\n",
    );
    check(|r| r.big_number("-12"), b"$3\r\n-12\r\n", b"(-12\r\n");
}

#[test]
fn doubles() {
    let check = |value: f64, text: &str| {
        let resp2 = format!("${}\r\n{text}\r\n", text.len());
        check(
            |r| r.double(value),
            resp2.as_bytes(),
            format!(",{text}\r\n").as_bytes(),
        );
    };
    check(-3.25, "-3.25");
    check(-0.0, "-0");
    check(3.0, "3");
    check(1e19, "1e+19");
    check(f64::INFINITY, "inf");
    check(f64::NEG_INFINITY, "-inf");
    check(f64::NAN, "nan");
    check(-2.2250738585072014e-308, "-2.2250738585072014e-308");
}

#[test]
fn aggregates() {
    check_both(|r| r.array(0), b"*0\r\n");
    check_both(|r| r.array(100), b"*100\r\n");
    check(|r| r.map(5), b"*10\r\n", b"%5\r\n");
    check(|r| r.set(5), b"*5\r\n", b"~5\r\n");
    check(|r| r.push(3), b"*3\r\n", b">3\r\n");
    let mut reply = Reply::with_proto(Proto::Resp3);
    reply.attribute(1);
    assert_eq!(stream(&reply), b"|1\r\n");
}

#[test]
fn integers() {
    let check = |value: i64| {
        let mut reply = Reply::new();
        reply.int(value);
        assert_eq!(stream(&reply), format!(":{value}\r\n").as_bytes());
    };
    (-1000..200_000).for_each(check);
    (200_000..10_100_000).step_by(997).for_each(check);
    for power in 0..19 {
        let edge = 10i64.pow(power);
        [edge - 1, edge, edge + 1, -edge, 1 - edge, -1 - edge]
            .into_iter()
            .for_each(check);
    }
    [i64::MIN, i64::MAX, 1 << 32].into_iter().for_each(check);
}

#[test]
fn bulk_lengths() {
    for len in [
        9,
        10,
        11,
        99,
        100,
        101,
        9_999,
        10_000,
        SHARED_MIN - 1,
        SHARED_MIN,
        10_000_000,
    ] {
        let value = vec![b'v'; len];
        let expected = [format!("${len}\r\n").as_bytes(), &value, b"\r\n"].concat();
        check_both(|r| r.bulk(&value), &expected);
        check_both(|r| r.bulk_shared(Bytes::from(value.clone())), &expected);
    }
}

#[test]
fn errors_are_one_line() {
    let check = |error: ErrorReply, expected: &[u8]| check_both(|r| r.error(&error), expected);
    check(error::SYNTAX, b"-ERR syntax error\r\n");
    check("\r\nERR a\r\nb\n\n".into(), b"-ERR a  b\r\n");
    check(b"ERR \xff\0\n.".to_vec().into(), b"-ERR \xff\0 .\r\n");
    check("\r\n".into(), b"-\r\n");
}

#[test]
fn deferred_headers_nest() {
    let write = |r: &mut Reply| {
        r.int(7);
        let outer = r.defer_array();
        r.bulk(b"first");
        let inner = r.defer_map();
        r.bulk(b"k");
        r.null();
        r.end_map(inner, 1);
        let set = r.defer_set();
        r.end_set(set, 0);
        r.end_array(outer, 1234);
        r.ok();
    };
    check(
        write,
        b":7\r\n*1234\r\n$5\r\nfirst\r\n*2\r\n$1\r\nk\r\n$-1\r\n*0\r\n+OK\r\n",
        b":7\r\n*1234\r\n$5\r\nfirst\r\n%1\r\n$1\r\nk\r\n_\r\n~0\r\n+OK\r\n",
    );
}

#[test]
fn shared_values_are_sent_from_where_they_lie() {
    let value = Bytes::from(vec![b'v'; SHARED_MIN]);
    let mut reply = Reply::new();
    let deferred = reply.defer_array();
    reply.bulk_shared(value.clone());
    reply.end_array(deferred, 1);
    let mut slices = Vec::new();
    reply.slices(0, reply.len(), &mut slices);
    assert_eq!(
        slices.iter().map(|slice| slice.len()).collect::<Vec<_>>(),
        [12, SHARED_MIN, 2]
    );
    assert_eq!(slices[1].as_ptr(), value.as_ptr());
    let kept = reply.take_range(12 + 5, reply.len());
    reply.clear(0);
    assert_eq!(kept[0].as_ptr(), value[5..].as_ptr());
    assert_eq!(&kept[1][..], b"\r\n");
    assert!(reply.is_empty() && reply.heap_bytes() == 0);
}

#[test]
fn clear_keeps_capacity_up_to_its_bound() {
    let mut reply = Reply::new();
    reply.bulk(&[0; 10_000]);
    reply.clear(100_000);
    assert!(reply.heap_bytes() >= 10_000);
    reply.clear(1_000);
    assert!(reply.heap_bytes() <= 1_000);
}

/// What a command may do to a reply.
#[derive(Clone, Debug)]
enum Step {
    Bulk(usize),
    Shared(usize),
    Defer,
    End,
    Mark,
    Rollback,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..300usize).prop_map(Step::Bulk),
        (SHARED_MIN - 2..SHARED_MIN + 5).prop_map(Step::Shared),
        Just(Step::Defer),
        Just(Step::End),
        Just(Step::Mark),
        Just(Step::Rollback),
    ]
}

proptest! {
    #[test]
    fn the_stream_is_what_plain_bytes_would_be(
        steps in prop::collection::vec(step(), 0..40),
        ranges in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 12),
    ) {
        let mut reply = Reply::new();
        let mut model: Vec<u8> = Vec::new();
        let mut deferred = Vec::new();
        let mut marks: Vec<(Mark, usize)> = Vec::new();
        let mut count = 0;
        for step in steps {
            match step {
                Step::Bulk(len) | Step::Shared(len) => {
                    let value: Vec<u8> = (0..len).map(|at| (at * 31 + count) as u8).collect();
                    model.extend_from_slice(format!("${len}\r\n").as_bytes());
                    model.extend_from_slice(&value);
                    model.extend_from_slice(b"\r\n");
                    match step {
                        Step::Shared(_) => reply.bulk_shared(value.into()),
                        _ => reply.bulk(&value),
                    }
                    count += 7;
                }
                Step::Defer => deferred.push((reply.defer_array(), model.len())),
                Step::End => {
                    if let Some((header, at)) = deferred.pop() {
                        reply.end_array(header, count);
                        model.splice(at..at, format!("*{count}\r\n").into_bytes());
                        marks.retain(|&(_, len)| len <= at);
                    }
                }
                Step::Mark => marks.push((reply.mark(), model.len())),
                Step::Rollback => {
                    if let Some((mark, len)) = marks.pop() {
                        reply.rollback(mark);
                        model.truncate(len);
                        deferred.retain(|&(_, at)| at <= len);
                    }
                }
            }
            prop_assert_eq!(reply.len(), model.len());
        }
        prop_assert!(stream(&reply) == model);
        for (from, to) in ranges {
            let (from, to) = (from.index(model.len() + 1), to.index(model.len() + 1));
            let (from, to) = (from.min(to), from.max(to));
            prop_assert!(slices(&reply, from, to) == model[from..to]);
            let taken = reply.take_range(from, to);
            prop_assert!(taken.iter().all(|bytes| !bytes.is_empty()));
            prop_assert!(taken.concat() == model[from..to]);
        }
    }
}
