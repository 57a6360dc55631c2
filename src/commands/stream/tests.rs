//! What the commands on streams reply, count, state and propagate.

use crate::commands::testing::Session;

/// A session whose stream `s` has the entries 1-0 to 5-0, each with a field `f` and its number.
fn five() -> Session {
    let mut s = Session::new();
    for n in 1..=5 {
        s.run(&format!("xadd s {n}-0 f {n}"));
    }
    s
}

/// The same with a group `g` from the beginning, of which `a` has been given the first three.
fn three_pending() -> Session {
    let mut s = five();
    s.run("xgroup create s g 0");
    s.run("xreadgroup GROUP g a COUNT 3 STREAMS s >");
    s
}

const TOO_SMALL: &str =
    "-ERR The ID specified in XADD is equal or smaller than the target stream top item";
const BAD_ID: &str = "-ERR Invalid stream ID specified as stream command argument";
const SYNTAX: &str = "-ERR syntax error";

#[test]
fn an_entry_is_propagated_with_its_id() {
    let mut s = Session::new();
    s.check("xadd s 5-3 f v", "$3 5-3", 1, "new xadd", "as received");
    s.check("xadd s 5-* f v", "$3 5-4", 1, "xadd", "xadd s 5-4 f v");
    s.check("xadd s 6 f v", "$3 6-0", 1, "xadd", "as received");
    s.check(
        "xadd s NOMKSTREAM 7-* a b c d",
        "$3 7-0",
        1,
        "xadd",
        "xadd s NOMKSTREAM 7-0 a b c d",
    );
    s.check_reply("xadd none nomkstream * f v", "$-1");
    let id = s.run("xadd s * f v");
    let id = id.split(' ').nth(1).expect("a bulk string");
    assert_eq!(s.propagated(), format!("xadd s {id} f v"));
    s.check_reply("xlen s", ":5");
}

#[test]
fn ids_grow() {
    let mut s = Session::new();
    s.check_reply(
        "xadd s 0-0 f v",
        "-ERR The ID specified in XADD must be greater than 0-0",
    );
    s.check_reply("exists s", ":0");
    s.check("xadd s 0-* f v", "$3 0-1", 1, "new xadd", "xadd s 0-1 f v");
    s.check_reply("xadd s 0-1 f v", TOO_SMALL);
    s.run("xadd s 9-18446744073709551615 f v");
    s.check_reply("xadd s 9-* f v", TOO_SMALL);
    s.check_reply("xadd s 8-* f v", TOO_SMALL);
    s.run("xadd s 99999999999999-18446744073709551615 f v");
    // The clock is behind.
    s.check(
        "xadd s * f v",
        "$17 100000000000000-0",
        1,
        "xadd",
        "xadd s 100000000000000-0 f v",
    );
    s.run("xadd s 18446744073709551615-18446744073709551615 f v");
    s.check_reply(
        "xadd s * f v",
        "-ERR The stream has exhausted the last possible ID, unable to add more items",
    );
}

#[test]
fn what_is_wrong_with_an_addition() {
    let mut s = Session::new();
    let arity = "-ERR wrong number of arguments for 'xadd' command";
    for (words, error) in [
        ("xadd s * f v g", arity),
        ("xadd s maxlen 5 nomkstream nomkstream", arity),
        ("xadd s x f v", BAD_ID),
        ("xadd s - f v", BAD_ID),
        ("xadd s 5-*x f v", BAD_ID),
        (
            "xadd s maxlen -1 * f v",
            "-ERR The MAXLEN argument must be >= 0.",
        ),
        (
            "xadd s maxlen x * f v",
            "-ERR value is not an integer or out of range",
        ),
        ("xadd s minid x * f v", BAD_ID),
        (
            "xadd s maxlen ~ 5 limit -1 * f v",
            "-ERR The LIMIT argument must be >= 0.",
        ),
        (
            "xadd s maxlen 5 minid 3 * f v",
            "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
        ),
        (
            "xadd s limit 5 * f v",
            "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
        ),
        (
            "xadd s maxlen = 5 limit 5 * f v",
            "-ERR syntax error, LIMIT cannot be used without the special ~ option",
        ),
        ("xtrim s maxlen", SYNTAX),
        ("xtrim s nomkstream maxlen 5", SYNTAX),
        (
            "xtrim s limit 0 limit 0",
            "-ERR syntax error, XTRIM must be called with a trimming strategy",
        ),
    ] {
        s.check_reply(words, error);
    }
    s.check_reply("exists s", ":0");
    s.run("set string x");
    s.check_reply(
        "xadd string * f v",
        "-WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn trims_are_propagated_as_what_they_came_to() {
    let mut s = five();
    s.config_mut().stream_node_max_entries = 2;
    s.check("xtrim s maxlen 4", ":1", 1, "xtrim", "as received");
    s.check("xtrim s minid 3", ":1", 1, "xtrim", "as received");
    s.check_reply("xtrim s maxlen ~ 1", ":0");
    // From here on nodes have two entries.
    s.run("xadd s 6-0 f v");
    s.run("xadd s 7-0 f v");
    s.check(
        "xtrim s maxlen ~ 1 limit 100",
        ":3",
        3,
        "xtrim",
        "xtrim s maxlen = 2",
    );
    s.check(
        "xadd s maxlen ~ 0 limit 1 8-0 f v",
        "$3 8-0",
        1,
        "xadd",
        "xadd s maxlen = 3 8-0 f v",
    );
    s.check(
        "xadd s minid ~ 7 9-* f v",
        "$3 9-0",
        1,
        "xadd",
        "xadd s minid = 6-0 9-0 f v",
    );
    s.check(
        "xadd s maxlen 1 10-0 f v",
        "$4 10-0",
        1,
        "xadd xtrim",
        "as received",
    );
    s.check("xtrim s maxlen 0", ":1", 1, "xtrim", "as received");
    s.check_reply("exists s", ":1");
    s.check_reply("xtrim none maxlen 0", ":0");
}

#[test]
fn ranges() {
    let mut s = five();
    let entry = |n: u32| format!("*2 $3 {n}-0 *2 $1 f $1 {n}");
    let entries = |numbers: &[u32]| {
        let shown: Vec<String> = numbers.iter().map(|n| format!(" {}", entry(*n))).collect();
        format!("*{}{}", numbers.len(), shown.concat())
    };
    for (words, numbers) in [
        ("xrange s - +", &[1, 2, 3, 4, 5][..]),
        ("xrange s 2 4", &[2, 3, 4]),
        ("xrange s (2 (4-0", &[3]),
        ("xrange s (2-0 + count 2", &[3, 4]),
        ("xrevrange s + - COUNT 2", &[5, 4]),
        ("xrevrange s (4-0 (1-0", &[3, 2]),
        ("xrange s + -", &[]),
        ("xrange none - +", &[]),
    ] {
        s.check_reply(words, &entries(numbers));
    }
    s.check_reply("xrange s - + count 0", "*-1");
    s.check_reply("xrange s - + count -5", "*-1");
    s.check_reply("xrange none - + count 0", "*0");
    s.check_reply("xrange s - + count", SYNTAX);
    s.check_reply("xrange s x +", BAD_ID);
    s.check_reply(
        "xrange s (18446744073709551615-18446744073709551615 +",
        "-ERR invalid start ID for the interval",
    );
    s.check_reply("xrange s - (0-0", "-ERR invalid end ID for the interval");
    s.check("xdel s 2-0 2-0 4 9", ":2", 2, "xdel", "as received");
    s.check_reply("xdel s 3-0 x", BAD_ID);
    s.check_reply("xrange s - +", &entries(&[1, 3, 5]));
}

#[test]
fn deliveries_are_propagated_one_by_one() {
    let mut s = five();
    s.check(
        "xgroup create s g 0",
        "+OK",
        1,
        "xgroup-create",
        "as received",
    );
    let reply = s.run("xreadgroup GROUP g a COUNT 2 STREAMS s >");
    assert_eq!(
        reply,
        "*1 *2 $1 s *2 *2 $3 1-0 *2 $1 f $1 1 *2 $3 2-0 *2 $1 f $1 2"
    );
    let propagated = s.propagated();
    let commands: Vec<Vec<&str>> = propagated
        .split("; ")
        .map(|command| command.split(' ').collect())
        .collect();
    assert_eq!(commands.len(), 3, "{propagated}");
    for (command, id) in commands.iter().zip(["1-0", "2-0"]) {
        assert_eq!(command[..7], ["XCLAIM", "s", "g", "a", "0", id, "TIME"]);
        let rest = ["RETRYCOUNT", "1", "FORCE", "JUSTID", "LASTID", id];
        assert_eq!(command[8..], rest);
    }
    assert_eq!(commands[2].join(" "), "XGROUP SETID s g 2-0 ENTRIESREAD 2");
    // One for the consumer, one for the delivery.
    assert_eq!(s.dirty(), 2);
    let reply = s.run("xreadgroup GROUP g b NOACK COUNT 1 STREAMS s >");
    assert_eq!(reply, "*1 *2 $1 s *1 *2 $3 3-0 *2 $1 f $1 3");
    assert_eq!(
        s.propagated(),
        "XGROUP CREATECONSUMER s g b; XGROUP SETID s g 3-0 ENTRIESREAD 3"
    );
    s.check("xack s g 1-0 1-0 3-0", ":1", 1, "", "as received");
    s.check_reply("xack s g x", BAD_ID);
    s.check_reply("xack s none 1-0", ":0");
    s.check_reply("xack none g x", ":0");
}

#[test]
fn a_consumer_has_its_history() {
    let mut s = three_pending();
    s.run("xdel s 2-0");
    let reply = s.run("xreadgroup GROUP g a COUNT 2 BLOCK 0 STREAMS s 0");
    assert_eq!(reply, "*1 *2 $1 s *2 *2 $3 1-0 *2 $1 f $1 1 *2 $3 2-0 *-1");
    assert_eq!(s.propagated(), "nothing");
    let reply = s.run("xreadgroup GROUP g a STREAMS s 3-0");
    assert_eq!(reply, "*1 *2 $1 s *0");
    let reply = s.run("xreadgroup GROUP g b STREAMS s 0");
    assert_eq!(reply, "*1 *2 $1 s *0");
}

#[test]
fn what_is_wrong_with_a_reader() {
    let mut s = five();
    s.run("xgroup create s g 0");
    s.run("set string x");
    let no_group = "-NOGROUP No such key 's' or consumer group 'h' in XREADGROUP with GROUP option";
    for (words, error) in [
        (
            "xread streams s t 0",
            "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
        ),
        (
            "xreadgroup group g a streams s s 0",
            "-ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.",
        ),
        ("xread count 1 block 1", SYNTAX),
        (
            "xread count x streams s 0",
            "-ERR value is not an integer or out of range",
        ),
        ("xread block -1 streams s 0", "-ERR timeout is negative"),
        (
            "xread block x streams s 0",
            "-ERR timeout is not an integer or out of range",
        ),
        (
            "xread block 9223372036854775807 streams s 0",
            "-ERR timeout is out of range",
        ),
        (
            "xread group g a streams s 0",
            "-ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
        ),
        (
            "xread noack streams s 0",
            "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
        ),
        (
            "xreadgroup count 1 noack streams s t > >",
            "-ERR Missing GROUP option for XREADGROUP",
        ),
        (
            "xread streams s >",
            "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        ),
        ("xread streams s x", BAD_ID),
        ("xreadgroup group h a streams s >", no_group),
        (
            "xreadgroup group g a streams s $",
            "-ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer \
             by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty \
             result set.",
        ),
        (
            "xread streams string 0",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ] {
        s.check_reply(words, error);
    }
    s.check_reply("xread streams s none 5-0 0", "*-1");
    s.check_reply(
        "xread count 1 streams s none 4-0 0",
        "*1 *2 $1 s *1 *2 $3 5-0 *2 $1 f $1 5",
    );
    s.check_reply(
        "xread streams s none + +",
        "*1 *2 $1 s *1 *2 $3 5-0 *2 $1 f $1 5",
    );
    s.run("xdel s 5-0");
    s.check_reply("xread streams s +", "*1 *2 $1 s *1 *2 $3 4-0 *2 $1 f $1 4");
    s.run("xtrim s maxlen 0");
    s.check_reply("xread streams s +", "*-1");
}

#[test]
fn claims() {
    let mut s = three_pending();
    s.run("xdel s 2-0");
    let reply = s.run("xclaim s g b 0 1-0 2-0 5-0 TIME 1000 JUSTID");
    assert_eq!(reply, "*1 $3 1-0");
    assert_eq!(s.dirty(), 3);
    let propagated = s.propagated();
    let commands: Vec<&str> = propagated.split("; ").collect();
    assert_eq!(
        commands[0],
        "XCLAIM s g b 0 1-0 TIME 1000 RETRYCOUNT 1 FORCE JUSTID LASTID 3-0"
    );
    assert!(
        commands[1].starts_with("XCLAIM s g a 0 2-0 TIME "),
        "{propagated}"
    );
    s.check(
        "xclaim s g b 0 5-0 FORCE TIME 5 RETRYCOUNT 7 LASTID 4-0",
        "*1 *2 $3 5-0 *2 $1 f $1 5",
        1,
        "",
        "XCLAIM s g b 0 5-0 TIME 5 RETRYCOUNT 7 FORCE JUSTID LASTID 4-0",
    );
    s.check(
        "xclaim s g b 3600000 3-0 LASTID 5-0",
        "*0",
        1,
        "",
        "XGROUP SETID s g 5-0 ENTRIESREAD 3",
    );
    for (words, error) in [
        (
            "xclaim s g b x 1-0",
            "-ERR Invalid min-idle-time argument for XCLAIM",
        ),
        (
            "xclaim s g b 0 1-0 IDLE x",
            "-ERR Invalid IDLE option argument for XCLAIM",
        ),
        (
            "xclaim s g b 0 1-0 IDLE",
            "-ERR Unrecognized XCLAIM option 'IDLE'",
        ),
        (
            "xclaim s g b 0 1-0 what",
            "-ERR Unrecognized XCLAIM option 'what'",
        ),
        (
            "xclaim s h b x 1-0",
            "-NOGROUP No such key 's' or consumer group 'h'",
        ),
        (
            "xautoclaim s g b x 0",
            "-ERR Invalid min-idle-time argument for XAUTOCLAIM",
        ),
        ("xautoclaim s g b 0 0 COUNT 0", "-ERR COUNT must be > 0"),
        ("xautoclaim s g b 0 0 COUNT", SYNTAX),
        (
            "xautoclaim s h b 0 0",
            "-NOGROUP No such key 's' or consumer group 'h'",
        ),
    ] {
        s.check_reply(words, error);
    }
}

#[test]
fn autoclaims_go_through_all_that_is_pending() {
    let mut s = three_pending();
    s.run("xdel s 2-0");
    let reply = s.run("xautoclaim s g b 0 - COUNT 1");
    assert_eq!(reply, "*3 $3 2-0 *1 *2 $3 1-0 *2 $1 f $1 1 *0");
    let reply = s.run("xautoclaim s g b 0 2-0 COUNT 1");
    assert_eq!(reply, "*3 $3 3-0 *0 *1 $3 2-0");
    let reply = s.run("xautoclaim s g b 0 (2-0 JUSTID");
    assert_eq!(reply, "*3 $3 0-0 *1 $3 3-0 *0");
    s.check_reply("xautoclaim s g b 3600000 0", "*3 $3 0-0 *0 *0");
    s.check_reply("xpending s g", "*4 :2 $3 1-0 $3 3-0 *1 *2 $1 b $1 2");
}

#[test]
fn pending_entries() {
    let mut s = three_pending();
    s.run("xgroup create s empty $");
    s.check_reply("xpending s g", "*4 :3 $3 1-0 $3 3-0 *1 *2 $1 a $1 3");
    s.check_reply("xpending s empty", "*4 :0 $-1 $-1 *-1");
    s.run("xclaim s g b 0 2-0 TIME 1 RETRYCOUNT 9 JUSTID");
    let check = |s: &mut Session, words: &str, ids: &[&str]| {
        let reply = s.run(words);
        let shown: Vec<&str> = reply
            .split(' ')
            .filter(|word| word.contains("-0"))
            .collect();
        assert_eq!(shown, ids, "{words}");
    };
    check(&mut s, "xpending s g - + 10", &["1-0", "2-0", "3-0"]);
    check(&mut s, "xpending s g - + 2", &["1-0", "2-0"]);
    check(&mut s, "xpending s g (1-0 (3-0 10", &["2-0"]);
    check(&mut s, "xpending s g - + 10 a", &["1-0", "3-0"]);
    check(&mut s, "xpending s g - + 10 nobody", &[]);
    check(&mut s, "xpending s g IDLE 3600000 - + 10", &["2-0"]);
    check(&mut s, "xpending s g IDLE 3600000 - + 10 a", &[]);
    check(&mut s, "xpending s g - + -1", &[]);
    for (words, error) in [
        ("xpending s g - +", SYNTAX),
        ("xpending s g IDLE 5 - +", SYNTAX),
        ("xpending s g x + 10", BAD_ID),
        (
            "xpending s g - + x",
            "-ERR value is not an integer or out of range",
        ),
        (
            "xpending s h",
            "-NOGROUP No such key 's' or consumer group 'h'",
        ),
        (
            "xpending none g",
            "-NOGROUP No such key 'none' or consumer group 'g'",
        ),
    ] {
        s.check_reply(words, error);
    }
}

#[test]
fn groups_are_made_and_changed() {
    let mut s = Session::new();
    let no_key = "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
                  MKSTREAM option to create an empty stream automatically.";
    s.check_reply("xgroup create s g $", no_key);
    s.check(
        "xgroup create s g $ MKSTREAM",
        "+OK",
        1,
        "new xgroup-create",
        "as received",
    );
    s.check_reply(
        "xgroup create s g 0",
        "-BUSYGROUP Consumer Group name already exists",
    );
    let syntax =
        "-ERR unknown subcommand or wrong number of arguments for 'create'. Try XGROUP HELP.";
    s.check_reply("xgroup create s h 0 what", syntax);
    s.check_reply("xgroup create s h 0 ENTRIESREAD", syntax);
    s.check_reply(
        "xgroup create s h 0 ENTRIESREAD -2",
        "-ERR value for ENTRIESREAD must be positive or -1",
    );
    s.check_reply("xgroup create s h x", BAD_ID);
    s.check(
        "xgroup setid s g + ENTRIESREAD 3",
        "+OK",
        1,
        "xgroup-setid",
        "as received",
    );
    let no_group = "-NOGROUP No such consumer group 'h' for key name 's'";
    s.check_reply("xgroup setid s h 0", no_group);
    s.check_reply("xgroup createconsumer s h a", no_group);
    s.check_reply("xgroup delconsumer s h a", no_group);
    s.check_reply("xinfo consumers s h", no_group);
    s.check(
        "xgroup createconsumer s g a",
        ":1",
        1,
        "xgroup-createconsumer",
        "as received",
    );
    s.check_reply("xgroup createconsumer s g a", ":0");
    s.check(
        "xgroup delconsumer s g a",
        ":0",
        1,
        "xgroup-delconsumer",
        "as received",
    );
    s.check_reply("xgroup delconsumer s g a", ":0");
    s.check(
        "xgroup destroy s g",
        ":1",
        1,
        "xgroup-destroy",
        "as received",
    );
    s.check_reply("xgroup destroy s g", ":0");
    s.check_reply("xgroup destroy none g", no_key);
}

#[test]
fn last_ids_are_set() {
    let mut s = five();
    s.check(
        "xsetid s 9-0 ENTRIESADDED 50 MAXDELETEDID 4-0",
        "+OK",
        1,
        "xsetid",
        "as received",
    );
    for (words, error) in [
        ("xsetid s x", BAD_ID),
        ("xsetid s 9-0 ENTRIESADDED", SYNTAX),
        (
            "xsetid s 9-0 ENTRIESADDED -1",
            "-ERR entries_added must be positive",
        ),
        (
            "xsetid s 9-0 MAXDELETEDID 10-0",
            "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
        ),
        (
            "xsetid s 3-0",
            "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ),
        (
            "xsetid s 4-5",
            "-ERR The ID specified in XSETID is smaller than the target stream top item",
        ),
        (
            "xsetid s 5-0 ENTRIESADDED 4",
            "-ERR The entries_added specified in XSETID is smaller than the target stream length",
        ),
        ("xsetid none 5-0", "-ERR no such key"),
    ] {
        s.check_reply(words, error);
    }
    s.check_reply(
        "xinfo stream s",
        "*20 $6 length :5 $15 radix-tree-keys :1 $16 radix-tree-nodes :2 $17 last-generated-id $3 9-0 \
         $20 max-deleted-entry-id $3 4-0 $13 entries-added :50 $23 recorded-first-entry-id $3 1-0 $6 groups :0 \
         $11 first-entry *2 $3 1-0 *2 $1 f $1 1 $10 last-entry *2 $3 5-0 *2 $1 f $1 5",
    );
}

#[test]
fn streams_are_described() {
    let mut s = three_pending();
    s.check_reply(
        "xinfo groups s",
        "*1 *12 $4 name $1 g $9 consumers :1 $7 pending :3 $17 last-delivered-id $3 3-0 $12 entries-read :3 $3 lag :2",
    );
    let reply = s.run("xinfo stream s FULL COUNT 1");
    assert!(reply.starts_with("*18 $6 length :5"), "{reply}");
    assert!(reply.contains("$7 entries *1 *2 $3 1-0"), "{reply}");
    assert!(
        reply.contains("$9 pel-count :3 $7 pending *1 *4 $3 1-0 $1 a :"),
        "{reply}"
    );
    let syntax =
        "-ERR unknown subcommand or wrong number of arguments for 'stream'. Try XINFO HELP.";
    s.check_reply("xinfo stream s what", syntax);
    s.check_reply("xinfo stream s FULL COUNT", syntax);
    s.check_reply(
        "xinfo stream s FULL COUNT x",
        "-ERR value is not an integer or out of range",
    );
    s.check_reply("xinfo stream none what", "-ERR no such key");
    s.check_reply("xinfo groups none", "-ERR no such key");
}
