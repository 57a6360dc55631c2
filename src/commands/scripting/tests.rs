//! Replies as Redis 7.0.15 and Valkey 8.1.1 give them.

use crate::commands::testing::Session;

impl Session {
    fn eval(&mut self, script: &str, rest: &[&str]) -> String {
        let mut words: Vec<&[u8]> = vec![b"EVAL", script.as_bytes()];
        words.extend(rest.iter().map(|word| word.as_bytes()));
        self.run_argv(&words)
    }
}

/// Checks scripts without keys.
#[track_caller]
fn check_all(s: &mut Session, rows: &[(&str, &str)]) {
    for (script, expected) in rows {
        assert_eq!(s.eval(script, &["0"]), *expected, "{script}");
    }
}

#[test]
fn values_of_lua_become_replies() {
    let mut s = Session::new();
    check_all(
        &mut s,
        &[
            ("return 1", ":1"),
            ("return 3.99", ":3"),
            ("return -3.99", ":-3"),
            ("return 2^53", ":9007199254740992"),
            ("return 1e300", ":-9223372036854775808"),
            ("return 0/0", ":-9223372036854775808"),
            ("return 'hello'", "$5 hello"),
            ("return nil", "$-1"),
            ("return true", ":1"),
            ("return false", "$-1"),
            ("return function() end", "$-1"),
            (
                "return {1,2,3.9,'x',{4,5},nil,7}",
                "*5 :1 :2 :3 $1 x *2 :4 :5",
            ),
            ("return {1,nil,3}", "*1 :1"),
            ("return {}", "*0"),
            ("return {a=1}", "*0"),
            ("return {ok='fine'}", "+fine"),
            ("return {err='MY error'}", "-MY error"),
            ("return {double=3.5}", "$3 3.5"),
            (
                "return {big_number='12345678901234567890'}",
                "$20 12345678901234567890",
            ),
            (
                "return {verbatim_string={string='abc',format='txt'}}",
                "$3 abc",
            ),
            ("return {map={a=1}}", "*2 $1 a :1"),
            ("return {set={a=true}}", "*1 $1 a"),
            ("return {1,{ok='x'},{err='E y'},{}}", "*4 :1 +x -E y *0"),
        ],
    );
    s.run("HELLO 3");
    check_all(
        &mut s,
        &[
            ("return true", ":1"),
            ("return nil", "_"),
            ("return {double=3.5}", ",3.5"),
            ("return {map={a=1}}", "%1 $1 a :1"),
            ("return {set={a=true}}", "~1 $1 a"),
            ("return {big_number='1'}", "(1"),
            (
                "return {verbatim_string={string='abc',format='txt'}}",
                "=7 txt:abc",
            ),
            ("redis.setresp(3) return {true,false}", "*2 #t #f"),
        ],
    );
}

#[test]
fn replies_become_values_of_lua() {
    let mut s = Session::new();
    s.run("SET k v");
    s.run("HSET h f v");
    s.run("ZADD z 1.5 m");
    check_all(
        &mut s,
        &[
            ("return redis.call('GET','k')", "$1 v"),
            (
                "return redis.call('GET','none') == false and 'false'",
                "$5 false",
            ),
            ("return redis.call('INCR','n') + 0.5", ":1"),
            ("return redis.call('SET','k','w').ok", "$2 OK"),
            (
                "return redis.call('MGET','k','none','n')",
                "*3 $1 w $-1 $1 1",
            ),
            ("return redis.call('HGETALL','h')", "*2 $1 f $1 v"),
            (
                "redis.setresp(3) return redis.call('HGETALL','h').map.f",
                "$1 v",
            ),
            (
                "redis.setresp(3) return redis.call('ZSCORE','z','m').double * 2",
                ":3",
            ),
            (
                "redis.setresp(3) return redis.call('GET','none') == nil and 'nil'",
                "$3 nil",
            ),
            (
                "return redis.pcall('LPUSH','k','x').err",
                "$65 WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            ("return redis.call('BLPOP','none',0)", "$-1"),
            (
                "redis.call('SET','f',0.1) return redis.call('GET','f')",
                "$3 0.1",
            ),
            (
                "redis.call('SET','f',1e15) return redis.call('GET','f')",
                "$16 1000000000000000",
            ),
        ],
    );
}

#[test]
fn errors_say_where_they_happened() {
    let mut s = Session::new();
    let place = |script: &str, line: u32| {
        let sha = crate::server::scripting::sha::digest(script.as_bytes());
        let hex = crate::server::scripting::sha::hex(&sha);
        format!(
            " script: {}, on @user_script:{line}.",
            String::from_utf8_lossy(&hex)
        )
    };
    for (script, expected, line) in [
        (
            "return redis.call('NOSUCH')",
            "-ERR Unknown command called from script",
            1,
        ),
        (
            "return redis.call('GET')",
            "-ERR Wrong number of args calling command from script",
            1,
        ),
        (
            "return redis.call()",
            "-ERR Please specify at least one argument for this call",
            1,
        ),
        (
            "return redis.call('GET', {})",
            "-ERR Command arguments must be strings or integers",
            1,
        ),
        (
            "return redis.call('EVAL', 'x', 0)",
            "-ERR This Redis command is not allowed from script",
            1,
        ),
        ("error('boom')", "-ERR user_script:1: boom", 1),
        ("\nerror({err='MY boom'})", "-MY boom", 2),
        (
            "return foo",
            "-ERR user_script:1: Script attempted to access nonexistent global variable 'foo'",
            1,
        ),
        (
            "foo = 1",
            "-ERR user_script:1: Attempt to modify a readonly table",
            1,
        ),
        (
            "setmetatable(_G, {})",
            "-ERR Attempt to modify a readonly table",
            1,
        ),
        (
            "\n\nreturn 1 + {}",
            "-ERR user_script:3: attempt to perform arithmetic on a table value",
            3,
        ),
    ] {
        let expected = expected.to_string() + &place(script, line);
        assert_eq!(s.eval(script, &["0"]), expected, "{script}");
    }
    check_all(
        &mut s,
        &[
            (
                "if",
                "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '<eof>'",
            ),
            ("#!lua", "-ERR Invalid script shebang"),
            ("#!js\n", "-ERR Could not find scripting engine 'js'"),
            ("return redis.error_reply('X y')", "-X y"),
            ("return redis.error_reply('y')", "-ERR y"),
            (
                "return redis.pcall('NOSUCH')",
                "-ERR Unknown command called from script",
            ),
        ],
    );
    for (count, expected) in [
        ("x", "-ERR value is not an integer or out of range"),
        ("-1", "-ERR Number of keys can't be negative"),
        (
            "2",
            "-ERR Number of keys can't be greater than number of args",
        ),
    ] {
        assert_eq!(s.eval("return 1", &[count, "k"]), expected);
    }
}

#[test]
fn keys_and_arguments_are_those_of_this_call() {
    let mut s = Session::new();
    let all = "return {#KEYS, #ARGV, KEYS[1] or 0, ARGV[1] or 0, ARGV[2] or 0, KEYS.x or 0, ARGV[5] or 0}";
    assert_eq!(
        s.eval(all, &["1", "k", "a", "b"]),
        "*7 :1 :2 $1 k $1 a $1 b :0 :0"
    );
    assert_eq!(s.eval(all, &["0", "a"]), "*7 :0 :1 :0 $1 a :0 :0 :0");
    // What a script leaves in them is not there for the next.
    s.eval(
        "KEYS.x = 1 ARGV[5] = 2 setmetatable(KEYS, {__index = error})",
        &["1", "k", "a"],
    );
    assert_eq!(s.eval(all, &["0"]), "*7 :0 :0 :0 :0 :0 :0 :0");
    s.eval("ARGV[5] = 2", &["0", "a"]);
    assert_eq!(s.eval(all, &["0", "a"]), "*7 :0 :1 :0 $1 a :0 :0 :0");
    let many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let many: Vec<&str> = [
        &["50"],
        &many.iter().map(String::as_str).collect::<Vec<_>>()[..],
    ]
    .concat();
    assert_eq!(
        s.eval("return {#KEYS, #ARGV, KEYS[50], ARGV[50]}", &many),
        "*4 :50 :50 $2 49 $2 99"
    );
    assert_eq!(s.eval(all, &["0"]), "*7 :0 :0 :0 :0 :0 :0 :0");
}

#[test]
fn scripts_are_known_by_their_digests() {
    let mut s = Session::new();
    let sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    let evalsha = |s: &mut Session| s.run(&format!("EVALSHA {sha} 0"));
    let unknown = "-NOSCRIPT No matching script. Please use EVAL.";
    assert_eq!(evalsha(&mut s), unknown);
    assert_eq!(s.eval("return 1", &["0"]), ":1");
    assert_eq!(evalsha(&mut s), ":1");
    assert_eq!(s.run(&format!("EVALSHA {} 0", sha.to_uppercase())), ":1");
    assert_eq!(s.run("EVALSHA short 0"), unknown);
    assert_eq!(
        s.run(&format!("SCRIPT EXISTS {sha} x {sha}")),
        "*3 :1 :0 :1"
    );
    assert_eq!(s.run(&format!("SCRIPT SHOW {sha}")), "$8 return 1");
    assert_eq!(
        s.run("SCRIPT FLUSH x"),
        "-ERR SCRIPT FLUSH only support SYNC|ASYNC option"
    );
    assert_eq!(s.run("SCRIPT FLUSH ASYNC"), "+OK");
    assert_eq!(evalsha(&mut s), unknown);
    assert_eq!(s.run(&format!("SCRIPT SHOW {sha}")), unknown);
    assert_eq!(
        s.run_argv(&[b"SCRIPT", b"LOAD", b"return 1"]),
        format!("$40 {sha}")
    );
    assert_eq!(evalsha(&mut s), ":1");
    assert_eq!(
        s.run("SCRIPT KILL"),
        "-NOTBUSY No scripts in execution right now."
    );
}

#[test]
fn scripts_that_declare_themselves_are_held_to_it() {
    let mut s = Session::new();
    let refusal = "-ERR Write commands are not allowed from read-only scripts.";
    let check = |s: &mut Session, command: &[u8], script: &str, expected: &str| {
        let got = s.run_argv(&[command, script.as_bytes(), b"0"]);
        assert!(got.starts_with(expected), "{script}: {got}");
    };
    let write = "return redis.call('SET','k','v')";
    check(&mut s, b"EVAL_RO", write, refusal);
    check(
        &mut s,
        b"EVAL_RO",
        "return redis.call('PUBLISH','c','m')",
        refusal,
    );
    check(&mut s, b"EVAL_RO", "return redis.call('GET','k')", "$-1");
    check(
        &mut s,
        b"EVAL",
        &format!("#!lua flags=no-writes\n{write}"),
        refusal,
    );
    check(&mut s, b"EVAL", &format!("#!lua\n{write}"), "+OK");
    check(
        &mut s,
        b"EVAL_RO",
        "#!lua\nreturn 1",
        "-ERR Can not execute a script with write flag using *_ro command.",
    );
    check(&mut s, b"EVAL_RO", "#!lua flags=no-writes\nreturn 1", ":1");
    check(
        &mut s,
        b"EVAL",
        "#!lua flags=what\nreturn 1",
        "-ERR Unexpected flag in script shebang: what",
    );
}

#[test]
fn numbers_at_random_are_the_same_everywhere() {
    let mut s = Session::new();
    let script = "math.randomseed(5) return {math.random(1000), math.random(10, 20), tostring(math.random())}";
    let first = s.eval(script, &["0"]);
    assert_eq!(s.eval(script, &["0"]), first);
    let error = s.eval("return math.random(0)", &["0"]);
    assert!(
        error.contains("bad argument #1 to 'random' (interval is empty)"),
        "{error}"
    );
}
