//! The parser against tables of what Redis 7.0.15 and Valkey 8.1.1 answer, and against every way
//! to cut a stream into reads.

use proptest::prelude::*;

use super::*;

const OPEN: Limits = Limits {
    bulk_bytes_max: 512 << 20,
    authenticated: true,
};
const CLOSED: Limits = Limits {
    bulk_bytes_max: 512 << 20,
    authenticated: false,
};

/// What a stream of bytes came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) requests: Vec<Vec<Vec<u8>>>,
    /// The bytes after the last whole frame, if no error came first.
    pub(super) end: Result<usize, ProtocolError>,
}

type Result<T, E> = std::result::Result<T, E>;

/// Feeds `stream` in the reads that `cuts` ends, as a client's connection would, behind `prefix`
/// bytes that belong to others. Checks every promise of `parse` on the way.
pub(super) fn feed(stream: &[u8], cuts: &[usize], limits: &Limits, prefix: usize) -> Outcome {
    let mut buf = vec![b'#'; prefix];
    let mut spans = vec![Span::new(0, 0)];
    let mut progress = Progress::default();
    let mut requests = Vec::new();
    let mut fed = 0;
    for &cut in cuts.iter().chain([&stream.len()]) {
        buf.extend_from_slice(&stream[fed..cut]);
        fed = cut;
        loop {
            let needed = progress.bytes_needed();
            let held = buf.len() - prefix;
            match parse(&mut buf, prefix, &mut spans, limits, &mut progress) {
                Parsed::Request { consumed } => {
                    assert!(spans.len() > 1 && needed <= consumed && consumed <= held);
                    let frame_end = prefix + consumed;
                    assert!(spans[1..].iter().all(|span| span.range().end <= frame_end));
                    let argv = Argv::new(&buf, &spans[1..]);
                    requests.push(argv.iter().map(<[u8]>::to_vec).collect());
                    spans.truncate(1);
                    buf.drain(prefix..frame_end);
                }
                Parsed::Empty { consumed } => {
                    assert!((1..=held).contains(&consumed) && needed <= consumed);
                    assert_eq!(spans.len(), 1);
                    buf.drain(prefix..prefix + consumed);
                }
                Parsed::Incomplete => {
                    assert_eq!(spans.len(), 1);
                    assert!(held == 0 || progress.bytes_needed() > held);
                    break;
                }
                Parsed::Error(error) => {
                    assert_eq!(spans.len(), 1);
                    return Outcome {
                        requests,
                        end: Err(error),
                    };
                }
            }
            assert_eq!(
                progress,
                Progress::default(),
                "a whole frame leaves no progress"
            );
        }
    }
    Outcome {
        requests,
        end: Ok(buf.len() - prefix),
    }
}

/// Parses `stream` whole and cut at every byte, and compares with what it should come to.
fn check(stream: &[u8], limits: &Limits, requests: &[&[&[u8]]], end: Result<usize, ProtocolError>) {
    let requests = requests
        .iter()
        .map(|argv| argv.iter().map(|arg| arg.to_vec()).collect());
    let expected = Outcome {
        requests: requests.collect(),
        end,
    };
    assert_eq!(
        feed(stream, &[], limits, 3),
        expected,
        "{}",
        stream.escape_ascii()
    );
    let every_byte: Vec<usize> = (0..stream.len()).collect();
    assert_eq!(
        feed(stream, &every_byte, limits, 0),
        expected,
        "{}",
        stream.escape_ascii()
    );
}

#[test]
fn frames() {
    let check =
        |stream: &[u8], requests: &[&[&[u8]]], rest| check(stream, &OPEN, requests, Ok(rest));
    check(b"", &[], 0);
    check(b"*1\r\n$4\r\nPING\r\n", &[&[b"PING"]], 0);
    check(
        b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n*1\r\n$0\r\n\r\n",
        &[&[b"GET", b"x"], &[b""]],
        0,
    );
    check(
        b"*2\r\n$3\r\nGET\r\n$16\r\n0123456789abcdef\r\n*1",
        &[&[b"GET", b"0123456789abcdef"]],
        2,
    );
    check(b"*0\r\n*-5\r\n\r\n\n  \r\nPING\n", &[&[b"PING"]], 0);
    check(b"*2147483647\r\n$1\r\nx\r\n", &[], 20);
    // What stands for the line feed and for the end of an argument is not looked at.
    check(
        b"*1\rX$4\rXPINGab*1\r\n$4\r\nECHOxxPING\n",
        &[&[b"PING"], &[b"ECHO"], &[b"PING"]],
        0,
    );
}

#[test]
fn arguments_of_every_header_length() {
    for len in [
        0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 12_345, 100_000, 1_000_000,
    ] {
        let value = vec![b'v'; len];
        let mut stream = format!("*2\r\n$1\r\nx\r\n${len}\r\n").into_bytes();
        stream.extend_from_slice(&value);
        stream.extend_from_slice(b"\r\n");
        let expected = Outcome {
            requests: vec![vec![b"x".to_vec(), value]],
            end: Ok(0),
        };
        assert_eq!(feed(&stream, &[], &OPEN, 1), expected);
        assert_eq!(
            feed(&stream, &[3, 14, 15, 16, stream.len() - 1], &OPEN, 1),
            expected
        );
    }
}

/// The reading of a header in one load accepts digits and nothing else, whatever the bytes are.
#[test]
fn short_headers_are_those_of_one_or_two_digits() {
    let check = |header: &[u8], expected: Option<(usize, usize)>| {
        let padded = [header, b"\r\n$9"].concat();
        assert_eq!(
            short_header(&padded, b'$'),
            expected,
            "{}",
            header.escape_ascii()
        );
    };
    for first in 0..=255u8 {
        let digit = first.is_ascii_digit().then(|| usize::from(first - b'0'));
        check(&[b'$', first, b'\r', b'\n'], digit.map(|digit| (digit, 4)));
        for second in 0..=255u8 {
            let text = [first, second];
            let number = parse_i64(&text).filter(|number| *number >= 10);
            check(
                &[b'$', first, second, b'\r', b'\n'],
                number.map(|number| (number as usize, 5)),
            );
        }
    }
    for right in [&b"$5\r\n"[..], b"$16\r\n"] {
        for at in [0, right.len() - 2, right.len() - 1] {
            for wrong in (0..=255u8).filter(|byte| *byte != right[at]) {
                let mut header = right.to_vec();
                header[at] = wrong;
                check(&header, None);
            }
        }
    }
}

#[test]
fn inline_lines() {
    let check = |line: &[u8], argv: &[&[u8]]| check(line, &OPEN, &[argv], Ok(0));
    check(b"PING\n", &[b"PING"]);
    check(b" set \t key  value \r\n", &[b"set", b"key", b"value"]);
    check(
        b"echo \"a\\x41\\n\\r\\t\\b\\a\\z\\xzz\\x4\\\"\\\\\"\n",
        &[b"echo", b"aA\n\r\t\x08\x07zxzzx4\"\\"],
    );
    check(b"echo 'a\\'b\\n\"'\n", &[b"echo", b"a'b\\n\""]);
    check(b"echo a\"b c\" 'd'\n", &[b"echo", b"ab c", b"d"]);
    check(b"echo \"\" ''\n", &[b"echo", b"", b""]);
    check(b"echo a\\nb\n", &[b"echo", b"a\\nb"]);
    check(b"echo \"a\"\x0b'b'\n", &[b"echo", b"a", b"b"]);
    check(b"\x0b\x0cecho a\x0bb\n", &[b"echo", b"a\x0bb"]);
    check(b"echo a\rb\n", &[b"echo", b"a", b"b"]);
    check(b"echo \r\r\n", &[b"echo"]);
    check(b"$1\r\n", &[b"$1"]);
}

#[test]
fn protocol_errors() {
    use ProtocolError::*;
    let check = |stream: &[u8], error| check(stream, &OPEN, &[], Err(error));
    for count in [
        "2147483648",
        "",
        "+1",
        "01",
        "-0",
        "abc",
        "1\0",
        "99999999999999999999",
        "1 ",
    ] {
        check(format!("*{count}\r\n").as_bytes(), InvalidCount);
    }
    for len in [
        "-1",
        "536870913",
        "+4",
        "04",
        "",
        "99999999999999999999999",
        "1 ",
        "4294967296",
    ] {
        check(format!("*1\r\n${len}\r\n").as_bytes(), InvalidLength);
    }
    for found in [b'X', 0, b'\n', 0xff, b'*', b'1'] {
        check(
            &[b"*1\r\n", &[found][..], b"4\r\n"].concat(),
            ExpectedDollar(found),
        );
    }
    check(b"*1\r\n\r\n", ExpectedDollar(b'\r'));
    for line in [
        "set \"foo",
        "a \"b\"c",
        "a 'b'c",
        "a\"b c\"d",
        "a \"\\\"",
        "a 'b\\\\'",
        "\"a\\",
        "'a\\'",
    ] {
        check(format!("{line}\n").as_bytes(), UnbalancedQuotes);
    }
}

#[test]
fn a_line_ends_within_64_kib() {
    use ProtocolError::*;
    let line =
        |start: &str, len: usize, fill: &str| format!("{start}{}", fill.repeat(len - start.len()));
    let check = |head: &str, stream: String, end| {
        let stream = format!("{head}{stream}");
        let cuts: Vec<usize> = (65_500..stream.len()).collect();
        for cuts in [&[][..], &cuts] {
            assert_eq!(feed(stream.as_bytes(), cuts, &OPEN, 2).end, end);
        }
    };
    for (head, start, error) in [
        ("", "A", InlineTooBig),
        ("", "*1", CountTooBig),
        ("*1\r\n", "$1", LengthTooBig),
    ] {
        check(
            head,
            line(start, LINE_BYTES_MAX, "1"),
            Ok(head.len() + LINE_BYTES_MAX),
        );
        check(head, line(start, LINE_BYTES_MAX + 1, "1"), Err(error));
        check(
            head,
            line(start, LINE_BYTES_MAX + 1, "1") + "\r\n",
            Err(error),
        );
    }
    check("", line("A", LINE_BYTES_MAX, "1") + "\n", Ok(0));
    check(
        "",
        line("*1", LINE_BYTES_MAX, "1") + "\r\n",
        Err(InvalidCount),
    );
    check(
        "*1\r\n",
        line("$1", LINE_BYTES_MAX, "1") + "\r\n",
        Err(InvalidLength),
    );
    // A zero byte hides the line end.
    check("", "ec\0ho\nPING\n".into(), Ok(11));
    check(
        "",
        line("ec\0ho\nPING\n", LINE_BYTES_MAX + 1, "1"),
        Err(InlineTooBig),
    );
}

#[test]
fn a_client_that_has_not_authenticated_may_send_little() {
    use ProtocolError::*;
    let check = |stream: &[u8], end| assert_eq!(feed(stream, &[], &CLOSED, 0).end, end);
    check(b"*10\r\n", Ok(5));
    check(b"*11\r\n", Err(UnauthenticatedCount));
    check(b"*2147483648\r\n", Err(InvalidCount));
    check(b"*1\r\n$16384\r\n", Ok(12));
    check(b"*1\r\n$16385\r\n", Err(UnauthenticatedLength));
    check(b"*1\r\n$999999999\r\n", Err(InvalidLength));
    check(b"a b c d e f g h i j k l m\n", Ok(0));
}

#[test]
fn error_texts() {
    let check = |error: ProtocolError, text: &[u8]| {
        let text = [b"ERR Protocol error: ", text].concat();
        assert_eq!(error.reply().as_bytes(), text);
    };
    check(ProtocolError::InlineTooBig, b"too big inline request");
    check(ProtocolError::CountTooBig, b"too big mbulk count string");
    check(ProtocolError::InvalidCount, b"invalid multibulk length");
    check(
        ProtocolError::UnauthenticatedCount,
        b"unauthenticated multibulk length",
    );
    check(ProtocolError::LengthTooBig, b"too big bulk count string");
    check(
        ProtocolError::ExpectedDollar(0xff),
        b"expected '$', got '\xff'",
    );
    check(ProtocolError::InvalidLength, b"invalid bulk length");
    check(
        ProtocolError::UnauthenticatedLength,
        b"unauthenticated bulk length",
    );
    check(
        ProtocolError::UnbalancedQuotes,
        b"unbalanced quotes in request",
    );
}

/// A frame of many arguments in small reads was once a quadratic attack on Redis itself.
#[test]
fn small_reads_of_a_long_frame_are_walked_once() {
    let args = 100_000;
    let mut stream = format!("*{args}\r\n").into_bytes();
    for _ in 0..args {
        stream.extend_from_slice(b"$3\r\nabc\r\n");
    }
    let mut buf = Vec::new();
    let mut spans = Vec::new();
    let mut progress = Progress::default();
    for read in stream.chunks(100) {
        buf.extend_from_slice(read);
        match parse(&mut buf, 0, &mut spans, &OPEN, &mut progress) {
            // The next read starts at the argument that is not whole, ten bytes back at most.
            Parsed::Incomplete => assert!(buf.len() - progress.resume.max(progress.searched) < 10),
            found => assert_eq!(
                found,
                Parsed::Request {
                    consumed: stream.len()
                }
            ),
        }
        assert_eq!(
            spans.len(),
            if buf.len() == stream.len() { args } else { 0 }
        );
    }
}

#[test]
fn an_announced_size_reserves_nothing() {
    let mut spans = Vec::new();
    let mut progress = Progress::default();
    let mut buf = b"*2147483647\r\n$536870912\r\nabc".to_vec();
    assert_eq!(
        parse(&mut buf, 0, &mut spans, &OPEN, &mut progress),
        Parsed::Incomplete
    );
    assert!(spans.capacity() < 100);
    assert_eq!(progress.bytes_needed(), 25 + 536_870_912 + 2);
}

#[test]
fn argv_reads_borrowed_and_owned_alike() {
    let mut buf = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n".to_vec();
    let mut spans = Vec::new();
    parse(&mut buf, 0, &mut spans, &OPEN, &mut Progress::default());
    let borrowed = Argv::new(&buf, &spans);
    let owned = OwnedArgv::from(borrowed.tail(0));
    let made = OwnedArgv::from_slices(&[b"SET", b"k", b""]);
    assert_eq!(owned.heap_bytes(), 4 + 3 * 16);
    for argv in [borrowed, owned.as_argv(), made.as_argv()] {
        assert_eq!(argv.iter().collect::<Vec<_>>(), [&b"SET"[..], b"k", b""]);
        assert_eq!(
            (&argv[0], argv.at(1), argv.get(2), argv.get(3)),
            (&b"SET"[..], &b"k"[..], Some(&b""[..]), None)
        );
        assert_eq!(
            (argv.len(), argv.tail(1).len(), argv.tail(1).at(0)),
            (3, 2, &b"k"[..])
        );
        assert!(argv.tail(3).is_empty() && argv.tail(9).is_empty() && !argv.is_empty());
    }
}

/// A frame that is right, in either form.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let argument = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..12),
        1 => prop::collection::vec(prop::sample::select(b"\r\n$*1 \"'\\x".to_vec()), 0..130),
    ];
    prop_oneof![
        3 => prop::collection::vec(argument, 0..6).prop_map(|argv| encode(&argv)),
        1 => "[a-c \"'\\\\x1]{0,20}\r?\n".prop_map(String::into_bytes),
    ]
}

pub(super) fn encode(argv: &[Vec<u8>]) -> Vec<u8> {
    let mut frame = format!("*{}\r\n", argv.len()).into_bytes();
    for argument in argv {
        frame.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        frame.extend_from_slice(argument);
        frame.extend_from_slice(b"\r\n");
    }
    frame
}

proptest! {
    #[test]
    fn every_cut_of_a_stream_gives_the_same_requests(
        frames in prop::collection::vec(frame(), 1..5),
        noise in prop::collection::vec(any::<u8>(), 0..4),
        authenticated: bool,
    ) {
        let stream = [frames.concat(), noise].concat();
        let limits = Limits { bulk_bytes_max: 100, authenticated };
        let whole = feed(&stream, &[], &limits, 0);
        for cut in 0..stream.len() {
            prop_assert_eq!(&feed(&stream, &[cut], &limits, cut % 3), &whole);
        }
        let every_byte: Vec<usize> = (0..stream.len()).collect();
        prop_assert_eq!(&feed(&stream, &every_byte, &limits, 1), &whole);
    }

    #[test]
    fn what_was_encoded_is_what_is_parsed(
        requests in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20), 0..5),
    ) {
        let stream: Vec<u8> = requests.iter().flat_map(|argv| encode(argv)).collect();
        let expected = Outcome { requests, end: Ok(0) };
        prop_assert_eq!(feed(&stream, &[], &OPEN, 0), expected);
    }
}
