//! Replies and effects of the commands on lists.

use super::range;
use crate::commands::testing::Session;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn elements_are_pushed() {
    let mut s = Session::new();
    s.check("LPUSHX l a", ":0", 0, "", "");
    s.check("RPUSHX l a", ":0", 0, "", "");
    s.check("RPUSH l a b", ":2", 2, "new rpush", "as received");
    s.check("LPUSH l c d", ":4", 2, "lpush", "as received");
    s.check("LPUSHX l e", ":5", 1, "lpush", "as received");
    s.check_reply("LRANGE l 0 -1", "*5 $1 e $1 d $1 c $1 a $1 b");
    s.run("SET text x");
    s.check("LPUSH text a", WRONG_TYPE, 0, "", "");
    s.check("RPUSHX text a", WRONG_TYPE, 0, "", "");
}

#[test]
fn elements_are_popped() {
    let mut s = Session::new();
    s.check("LPOP l", "$-1", 0, "", "");
    s.check("LPOP l 2", "*-1", 0, "", "");
    s.run("RPUSH l a b c d e");
    s.check("LPOP l", "$1 a", 1, "lpop", "as received");
    s.check("RPOP l 2", "*2 $1 e $1 d", 2, "rpop", "as received");
    s.check("LPOP l 0", "*0", 0, "", "");
    s.check("LPOP l 9", "*2 $1 b $1 c", 2, "lpop del", "as received");
    let negative = "-ERR value is out of range, must be positive";
    s.check("LPOP l -1", negative, 0, "", "");
    s.check("RPOP l x", negative, 0, "", "");
    let arity = "-ERR wrong number of arguments for 'lpop' command";
    s.check("LPOP l 1 2", arity, 0, "", "");
    s.run("SET text x");
    s.check("RPOP text", WRONG_TYPE, 0, "", "");
}

#[test]
fn elements_move() {
    let mut s = Session::new();
    s.run("SET text x");
    s.run("RPUSH a 1 2 3");
    s.check("LMOVE none b LEFT LEFT", "$-1", 0, "", "");
    s.check("LMOVE a b LEFT UP", "-ERR syntax error", 0, "", "");
    s.check("LMOVE a text LEFT LEFT", WRONG_TYPE, 0, "", "");
    s.check("LMOVE text a LEFT LEFT", WRONG_TYPE, 0, "", "");
    s.check(
        "LMOVE a b LEFT RIGHT",
        "$1 1",
        1,
        "new rpush lpop",
        "as received",
    );
    s.check("RPOPLPUSH a a", "$1 3", 1, "lpush rpop", "as received");
    s.check_reply("LRANGE a 0 -1", "*2 $1 3 $1 2");
    s.check("RPOPLPUSH a b", "$1 2", 1, "lpush rpop", "as received");
    s.check(
        "LMOVE a b RIGHT RIGHT",
        "$1 3",
        1,
        "rpush rpop del",
        "as received",
    );
    s.check_reply("LRANGE b 0 -1", "*3 $1 2 $1 1 $1 3");
    s.check(
        "LMOVE b b LEFT RIGHT",
        "$1 2",
        1,
        "rpush lpop",
        "as received",
    );
}

#[test]
fn several_lists_are_popped_from() {
    let mut s = Session::new();
    s.check("LMPOP 1 l LEFT", "*-1", 0, "", "");
    s.run("RPUSH l a b c");
    let reply = "*2 $1 l *2 $1 c $1 b";
    s.check("LMPOP 2 none l RIGHT COUNT 2", reply, 2, "rpop", "RPOP l 2");
    s.check(
        "LMPOP 1 l LEFT COUNT 7",
        "*2 $1 l *1 $1 a",
        1,
        "lpop del",
        "LPOP l 1",
    );
    let numkeys = "-ERR numkeys should be greater than 0";
    s.check("LMPOP 0 l LEFT", numkeys, 0, "", "");
    s.check("LMPOP x l LEFT", numkeys, 0, "", "");
    s.check("LMPOP 2 l LEFT", "-ERR syntax error", 0, "", "");
    s.check(
        "LMPOP 9223372036854775807 l LEFT",
        "-ERR syntax error",
        0,
        "",
        "",
    );
    let count = "-ERR count should be greater than 0";
    s.check("LMPOP 1 l LEFT COUNT 0", count, 0, "", "");
    s.check(
        "LMPOP 1 l LEFT COUNT 1 COUNT 1",
        "-ERR syntax error",
        0,
        "",
        "",
    );
}

#[test]
fn what_waits_is_propagated_as_what_does_not() {
    let mut s = Session::new();
    s.run("RPUSH l a b c d e");
    s.check("BLPOP none l 1", "*2 $1 l $1 a", 1, "lpop", "LPOP l");
    s.check("BRPOP l 0", "*2 $1 l $1 e", 1, "rpop", "RPOP l");
    s.check(
        "BLMPOP 0 1 l LEFT",
        "*2 $1 l *1 $1 b",
        1,
        "lpop",
        "LPOP l 1",
    );
    s.check(
        "BLMOVE l m LEFT RIGHT 0",
        "$1 c",
        1,
        "new rpush lpop",
        "LMOVE l m LEFT RIGHT",
    );
    s.check(
        "BRPOPLPUSH l m 0",
        "$1 d",
        1,
        "lpush rpop del",
        "RPOPLPUSH l m",
    );
    s.check(
        "BLPOP m x",
        "-ERR timeout is not a float or out of range",
        0,
        "",
        "",
    );
    s.check("BLPOP m -1", "-ERR timeout is negative", 0, "", "");
    s.check("BLPOP m 1e300", "-ERR timeout is out of range", 0, "", "");
}

#[test]
fn elements_are_found_and_changed() {
    let mut s = Session::new();
    s.check("LSET l 0 x", "-ERR no such key", 0, "", "");
    s.check("LINSERT l BEFORE a x", ":0", 0, "", "");
    s.run("RPUSH l a b c b");
    s.check_reply("LINDEX l -1", "$1 b");
    s.check_reply("LINDEX l 4", "$-1");
    s.check_reply("LINDEX l -9223372036854775808", "$-1");
    s.check(
        "LINDEX l x",
        "-ERR value is not an integer or out of range",
        0,
        "",
        "",
    );
    s.check("LSET l 4 x", "-ERR index out of range", 0, "", "");
    s.check("LSET l 4294967296 x", "-ERR index out of range", 0, "", "");
    s.check("LSET l -4 A", "+OK", 1, "lset", "as received");
    s.check("LINSERT l AFTER b 1", ":5", 1, "linsert", "as received");
    s.check("LINSERT l BEFORE none 1", ":-1", 0, "", "");
    s.check("LINSERT l UNDER b 1", "-ERR syntax error", 0, "", "");
    s.check_reply("LRANGE l 0 -1", "*5 $1 A $1 b $1 1 $1 c $1 b");
    s.check_reply("LLEN l", ":5");
    s.check("LREM l -1 b", ":1", 1, "lrem", "as received");
    s.check("LREM l 0 none", ":0", 0, "", "");
    s.check("LTRIM l 1 2", "+OK", 2, "ltrim", "as received");
    s.check_reply("LRANGE l 0 -1", "*2 $1 b $1 1");
    s.check("LTRIM l 5 9", "+OK", 2, "ltrim del", "as received");
    s.check("LTRIM l 0 1", "+OK", 0, "", "");
}

#[test]
fn positions() {
    let mut s = Session::new();
    s.run("RPUSH l a b c 1 2 3 c c");
    s.check_reply("LPOS l c", ":2");
    s.check_reply("LPOS l none", "$-1");
    s.check_reply("LPOS none c", "$-1");
    s.check_reply("LPOS none c COUNT 1", "*0");
    s.check_reply("LPOS l c RANK 2", ":6");
    s.check_reply("LPOS l c RANK -1 COUNT 2", "*2 :7 :6");
    s.check_reply("LPOS l c COUNT 0", "*3 :2 :6 :7");
    s.check_reply("LPOS l c COUNT 0 MAXLEN 7", "*2 :2 :6");
    s.check_reply("LPOS l c RANK -2 MAXLEN 1", "$-1");
    s.check_reply("LPOS l 1 COUNT 9223372036854775807", "*1 :3");
    s.check(
        "LPOS l c COUNT -1",
        "-ERR COUNT can't be negative",
        0,
        "",
        "",
    );
    s.check(
        "LPOS l c MAXLEN -1",
        "-ERR MAXLEN can't be negative",
        0,
        "",
        "",
    );
    s.check("LPOS l c COUNT", "-ERR syntax error", 0, "", "");
    assert!(
        s.run("LPOS l c RANK 0")
            .starts_with("-ERR RANK can't be zero")
    );
    let rank = "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
    s.check("LPOS l c RANK -9223372036854775808", rank, 0, "", "");
}

#[test]
fn a_list_changes_its_form_at_its_limits() {
    let mut s = Session::new();
    s.config_mut().list_max_listpack_size = 4;
    s.run("RPUSH l 1 2 3 4");
    s.check_reply("OBJECT ENCODING l", "$8 listpack");
    s.run("RPUSH l 5");
    s.check_reply("OBJECT ENCODING l", "$9 quicklist");
    // Two nodes, however short they are.
    s.run("LPOP l 3");
    s.check_reply("OBJECT ENCODING l", "$9 quicklist");
    s.run("LPOP l");
    s.check_reply("OBJECT ENCODING l", "$8 listpack");
    s.check_reply("LRANGE l 0 -1", "*1 $1 5");
}

#[test]
fn ranges() {
    let check = |start, stop, len, expected: std::ops::Range<usize>| {
        assert_eq!(range(start, stop, len), expected, "{start} {stop} {len}")
    };
    check(0, -1, 3, 0..3);
    check(0, 0, 3, 0..1);
    check(-2, -1, 3, 1..3);
    check(-100, 100, 3, 0..3);
    check(2, 1, 3, 0..0);
    check(3, 5, 3, 0..0);
    check(-1, -2, 3, 0..0);
    check(0, -4, 3, 0..0);
    check(i64::MIN, i64::MAX, 3, 0..3);
    check(i64::MAX, i64::MIN, 3, 0..0);
    check(0, -1, 0, 0..0);
}
