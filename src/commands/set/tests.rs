//! Replies and effects of the commands on sets.

use crate::commands::testing::Session;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn members_come_and_go() {
    let mut s = Session::new();
    s.check("SADD s b a b", ":2", 2, "new sadd", "as received");
    s.check("SADD s a b", ":0", 0, "", "");
    s.check("SADD s a 1", ":1", 1, "sadd", "as received");
    s.check("SREM s x y", ":0", 0, "", "");
    s.check("SREM s a x", ":1", 1, "srem", "as received");
    s.check("SREM s 1 b b", ":2", 2, "srem del", "as received");
    s.check("SREM s a", ":0", 0, "", "");
    s.run("SET text x");
    s.check("SADD text a", WRONG_TYPE, 0, "", "");
    s.check("SREM text a", WRONG_TYPE, 0, "", "");
}

#[test]
fn a_member_moves() {
    let mut s = Session::new();
    s.run("SET text x");
    s.run("SADD from a b c");
    s.check("SMOVE from to x", ":0", 0, "", "");
    s.check("SMOVE from to a", ":1", 2, "srem new sadd", "as received");
    s.check("SMOVE from from b", ":1", 0, "", "");
    s.check("SMOVE from from x", ":0", 0, "", "");
    s.check("SMOVE from text b", WRONG_TYPE, 0, "", "");
    s.check("SMOVE text from b", WRONG_TYPE, 0, "", "");
    s.check("SMOVE none text b", ":0", 0, "", "");
    s.run("SADD to b");
    // It is there already: only the source has changed.
    s.check("SMOVE from to b", ":1", 1, "srem", "as received");
    s.check("SMOVE from to c", ":1", 2, "srem del sadd", "as received");
}

#[test]
fn pops_are_propagated_as_what_they_removed() {
    let mut s = Session::new();
    s.run("SADD s a");
    s.check("SPOP s", "$1 a", 1, "spop del", "SREM s a");
    s.check("SPOP s", "$-1", 0, "", "");
    s.check("SPOP s 3", "*0", 0, "", "");
    s.run("SADD s a a");
    s.check("SPOP s 0", "*0", 0, "", "");
    s.check("SPOP s 9", "*1 $1 a", 1, "spop del", "DEL s");
    s.run("SADD s 5 6");
    let popped = s.run("SPOP s 1");
    let left = if popped == "*1 $1 5" { "6" } else { "5" };
    s.check_reply("SMEMBERS s", &format!("*1 $1 {left}"));
    let out_of_range = "-ERR value is out of range, must be positive";
    s.check("SPOP s -1", out_of_range, 0, "", "");
    s.check("SPOP s x", out_of_range, 0, "", "");
    s.check("SPOP s 1 1", "-ERR syntax error", 0, "", "");
    s.run("SET text x");
    s.check("SPOP text", WRONG_TYPE, 0, "", "");
}

/// A command of a thousand arguments is enough.
#[test]
fn many_pops_are_propagated_in_batches() {
    let mut s = Session::new();
    let members: Vec<String> = (0..3000).map(|n| format!("m{n}")).collect();
    s.run(&format!("SADD s {}", members.join(" ")));
    for (count, batches) in [(1500, vec![1026, 478]), (1490, vec![1026, 468])] {
        s.run(&format!("SPOP s {count}"));
        let propagated = s.propagated();
        let words: Vec<usize> = propagated
            .split("; ")
            .map(|command| command.split(' ').count())
            .collect();
        assert_eq!(words, batches);
        assert!(
            propagated
                .split("; ")
                .all(|command| command.starts_with("SREM s m"))
        );
    }
    s.check_reply("SCARD s", ":10");
    s.check_reply("OBJECT ENCODING s", "$8 listpack");
}

#[test]
fn random_members() {
    let mut s = Session::new();
    s.run("SADD s a");
    s.check_reply("SRANDMEMBER s", "$1 a");
    s.check_reply("SRANDMEMBER none", "$-1");
    s.check_reply("SRANDMEMBER s 5", "*1 $1 a");
    s.check_reply("SRANDMEMBER s -3", "*3 $1 a $1 a $1 a");
    s.check_reply("SRANDMEMBER s 0", "*0");
    s.check_reply("SRANDMEMBER none -3", "*0");
    s.check_reply("SRANDMEMBER s 1 2", "-ERR syntax error");
    s.check_reply(
        "SRANDMEMBER s x",
        "-ERR value is not an integer or out of range",
    );
    s.check_reply(
        "SRANDMEMBER s -9223372036854775808",
        "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
    );
    s.check_reply(
        "SRANDMEMBER s -9223372036854775807",
        "-ERR value is out of range",
    );
    s.check_reply("SRANDMEMBER s 9223372036854775807", "*1 $1 a");
}

#[test]
fn membership() {
    let mut s = Session::new();
    s.run("SADD s a 1");
    s.check_reply("SISMEMBER s 1", ":1");
    s.check_reply("SISMEMBER s 01", ":0");
    s.check_reply("SISMEMBER none a", ":0");
    s.check_reply("SMISMEMBER s a b 1", "*3 :1 :0 :1");
    s.check_reply("SMISMEMBER none a b", "*2 :0 :0");
    s.check_reply("SCARD s", ":2");
    s.check_reply("SSCAN s 0 MATCH [0-9]", "*2 $1 0 *1 $1 1");
    s.check_reply("SSCAN none 0", "*2 $1 0 *0");
    s.check_reply("SSCAN s x", "-ERR invalid cursor");
    s.check_reply("SSCAN s 0 TYPE set", "-ERR syntax error");
}

#[test]
fn intersections_unions_and_differences() {
    let mut s = Session::new();
    s.run("SADD a 1 2 3");
    s.run("SADD b 2 3 4");
    s.run("SADD c 3 x");
    s.check_reply("SINTER a b c", "*1 $1 3");
    s.check_reply("SINTER a none", "*0");
    s.check_reply("SUNION a b", "*4 $1 1 $1 2 $1 3 $1 4");
    s.check_reply("SDIFF a b c", "*1 $1 1");
    s.check_reply("SDIFF a a", "*0");
    s.check_reply("SDIFF none a", "*0");
    s.check_reply("SINTERCARD 2 a b", ":2");
    s.check_reply("SINTERCARD 2 a b LIMIT 1", ":1");
    s.check_reply("SINTERCARD 2 a b limit 0", ":2");
    s.check_reply("SINTERCARD 0 a", "-ERR numkeys should be greater than 0");
    s.check_reply(
        "SINTERCARD 3 a b",
        "-ERR Number of keys can't be greater than number of args",
    );
    s.check_reply("SINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative");
    s.check_reply("SINTERCARD 1 a b", "-ERR syntax error");
    s.run("SET text x");
    s.check_reply("SINTER none text", WRONG_TYPE);
}

#[test]
fn results_are_stored() {
    let mut s = Session::new();
    s.run("SADD a 1 2 3");
    s.run("SADD b 2 3 x");
    s.run("SET d text");
    s.check("SINTERSTORE d a b", ":2", 1, "sinterstore", "as received");
    s.check_reply("OBJECT ENCODING d", "$6 intset");
    s.check(
        "SUNIONSTORE new a b",
        ":4",
        1,
        "new sunionstore",
        "as received",
    );
    s.check_reply("OBJECT ENCODING new", "$8 listpack");
    s.check("SDIFFSTORE a a b", ":1", 1, "sdiffstore", "as received");
    s.check_reply("SMEMBERS a", "*1 $1 1");
    s.check("SINTERSTORE d a none", ":0", 1, "del", "as received");
    s.check("SINTERSTORE d a none", ":0", 0, "", "");
    s.run("SET text x");
    s.check("SUNIONSTORE a b text", WRONG_TYPE, 0, "", "");
}

/// Many sets are not looked through for every member.
#[test]
fn many_sets() {
    let mut s = Session::new();
    let mut keys = Vec::new();
    for n in 0..10 {
        s.run(&format!("SADD s{n} {n} {} all", n + 1));
        keys.push(format!("s{n}"));
    }
    let keys = keys.join(" ");
    let members: Vec<String> = (0..=10).map(|n| n.to_string()).collect();
    s.run(&format!("SADD first only {}", members.join(" ")));
    s.check_reply(&format!("SDIFF first {keys}"), "*1 $4 only");
    s.check_reply(&format!("SINTER {keys}"), "*1 $3 all");
    assert!(s.run(&format!("SUNION {keys}")).starts_with("*12 "));
    s.check_reply(&format!("SINTERCARD 10 {keys}"), ":1");
}
