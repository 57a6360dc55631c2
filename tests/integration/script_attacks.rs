//! Scripts that mean harm: after each the server answers as before, and the next script finds nothing of it.

use std::thread::sleep;
use std::time::Duration;

use crate::harness::{Server, is_ours, wait_for};
use crate::resp::{Client, Value};

const BUSY: &str =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

fn eval(client: &mut Client, script: &str) -> Value {
    client.command(&["EVAL", script, "0"])
}

/// Runs a script and compares the start of its reply.
#[track_caller]
fn check(client: &mut Client, script: &str, expected: &str) {
    let got = match eval(client, script) {
        Value::Integer(number) => number.to_string(),
        Value::Null => "nil".into(),
        other => other.text(),
    };
    assert!(got.starts_with(expected), "{script}\ngave {got}");
    assert_eq!(client.run("PING").text(), "PONG", "{script}");
}

/// A script that ends by itself in no time that anybody would wait for: others are told so, and can end it.
#[track_caller]
fn check_endless(server: &Server, script: &str) {
    let (mut victim, mut other) = (server.connect(), server.connect());
    victim.send(crate::resp::frame(&["EVAL", script, "0"]));
    wait_for(Duration::from_secs(20), "the server to be busy", || {
        sleep(Duration::from_millis(20));
        (other.run("PING").text() == BUSY).then_some(())
    });
    assert_eq!(other.run("SCRIPT KILL").text(), "OK", "{script}");
    let error = victim.read().text();
    assert!(
        error.contains("Script killed by user"),
        "{script}\ngave {error}"
    );
    assert_eq!(victim.run("PING").text(), "PONG", "{script}");
    assert_eq!(other.run("PING").text(), "PONG", "{script}");
    check(&mut other, "return 'as before'", "as before");
}

#[test]
fn what_never_ends_can_be_ended() {
    let server = Server::start(&["--busy-reply-threshold", "50"]);
    for script in [
        "while true do end",
        "repeat until false",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(error) end",
        "local function again() return again() end return again()",
        "xpcall(function() while true do end end, function() while true do end end) while true do end",
        "local f = coroutine.wrap(function() while true do coroutine.yield() end end) while true do f() end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "local t = setmetatable({}, {__index = function(t, k) while true do end end}) return t.x",
        "return tostring(setmetatable({}, {__tostring = function() while true do end end}))",
        "table.sort({1, 2, 3}, function() while true do end end)",
        "string.gsub('x', 'x', function() while true do end end)",
        "load(function() while true do end end)",
        "while true do redis.call('GET', 'k') end",
        "while true do redis.pcall('NOSUCH') end",
    ] {
        check_endless(&server, script);
    }
}

#[test]
fn a_pattern_that_backtracks_for_ever_can_be_ended() {
    if !is_ours() {
        return;
    }
    let server = Server::start(&["--busy-reply-threshold", "50"]);
    for call in [
        "string.find(s, p)",
        "string.match(s, p)",
        "string.gsub(s, p, '')",
        "string.gmatch(s, p)()",
        "pcall(string.find, s, p) while true do end",
    ] {
        let intro = "local s, p = string.rep('a', 5000), string.rep('a-', 30) .. 'b'";
        check_endless(&server, &format!("{intro} {call}"));
    }
}

/// Few instructions, each of which works on megabytes: others are served long before the next look at a clock that
/// counts instructions.
#[test]
fn a_few_instructions_on_long_texts_can_be_ended() {
    if !is_ours() {
        return;
    }
    let server = Server::start(&["--busy-reply-threshold", "50"]);
    for work in [
        "local t = s:rep(64)",
        "local t = s .. i",
        "local t = s:upper()",
        "local t = {s:find('y', 1, true)}",
        "local t = redis.sha1hex(s)",
        "local t = cjson.encode({s})",
        "local t = cjson.decode(j)",
        "local t = cmsgpack.pack(s, s)",
        "local t = table.concat({s, s}, i)",
        "redis.call('ECHO', s)",
        "pcall(string.rep, s, 64)",
        "coroutine.wrap(function() for i = 1, 100000 do local t = s .. i end end)()",
    ] {
        let script = format!(
            "local s = string.rep('x', 1000000) local j = cjson.encode({{s, '\\n'}})
             for i = 1, 100000 do {work} end"
        );
        check_endless(&server, &script);
    }
}

#[test]
fn what_asks_for_too_much_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let out_of_memory = "ERR Error running script ";
    for (script, expected) in [
        (
            "local function f() return 1 + f() end return f()",
            "ERR user_script:1: stack overflow",
        ),
        (
            "local function f() return pcall(f) end return tostring(f())",
            "",
        ),
        (
            "return unpack({}, 1, 1e8)",
            "ERR user_script:1: too many results to unpack",
        ),
        (
            "return string.rep('x', 1e10)",
            if is_ours() {
                "ERR not enough memory"
            } else {
                out_of_memory
            },
        ),
        (
            "return string.rep('ab', 2^52)",
            if is_ours() {
                "ERR not enough memory"
            } else {
                out_of_memory
            },
        ),
        (
            "return string.byte(string.rep('x', 1e7), 1, -1)",
            "ERR user_script:1: stack overflow (string slice too long)",
        ),
        ("return loadstring(string.rep('(', 1e5))", "nil"),
        (
            "return loadstring(string.rep('a=', 1e5) .. '1') == nil and 1",
            "1",
        ),
        (
            "return loadstring('return ' .. string.rep('{', 1e5)) == nil and 1",
            "1",
        ),
        ("local a = {} for i = 1, 300 do a = {a} end return #a", "1"),
    ] {
        check(&mut client, script, expected);
    }
    if is_ours() {
        for script in [
            "local t = {} for i = 1, 1e9 do t[i] = i end",
            "local t = {} for i = 1, 1e9 do t[i] = {i} end",
            "local s = 'x' while true do s = s .. s end",
            "local t = {} while true do t[#t + 1] = string.rep('x', 1e6) .. #t end",
            "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
            "return table.concat({string.rep('x', 4e8), string.rep('y', 4e8)})",
            "local s = string.rep('x', 3e8) return s .. 'a' .. s .. 'b' .. s",
            "return string.gsub(string.rep('x', 1e8), 'x', 'yyyyyyyyyyyyyyyy')",
        ] {
            check(&mut client, script, out_of_memory);
        }
        check(
            &mut client,
            "return pcall(string.rep, 'x', 1e10) and 1 or 2",
            "2",
        );
        // What the scripts had is garbage, and given back once another one needs room.
        eval(&mut client, "collectgarbage() collectgarbage()");
        assert!(server.info_number("used_memory_vm_eval") < 10_000_000);
    }
}

#[test]
fn nothing_of_a_script_is_there_for_the_next() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let readonly = "Attempt to modify a readonly table";
    for script in [
        "x = 1",
        "redis = 1",
        "KEYS = 1",
        "_G.x = 1",
        "_G['tostring'] = nil",
        "redis.call = 1",
        "redis.x = 1",
        "string.rep = 1",
        "math.random = 1",
        "table.insert(redis, 1)",
        "table.insert(_G, 1, 1)",
        "rawset(_G, 'x', 1)",
        "rawset(redis, 'call', 1)",
        "rawset(string, 'rep', 1)",
        "setmetatable(_G, {})",
        "setmetatable(redis, {})",
        "setmetatable(getmetatable(_G), {})",
        "getmetatable(_G).__index = 1",
        "getmetatable(_G).__newindex = 1",
        "for k, v in pairs(_G) do if type(v) == 'table' then v.x = 1 end end",
        "cjson.encode = 1",
        "rawset(cmsgpack, 'pack', 1)",
        "bit.band = 1",
        "struct.x = 1",
        "os.clock = 1",
        "coroutine.wrap = 1",
    ] {
        let error = eval(&mut client, script).text();
        let is_refused = error.contains(readonly) || error.contains("attempt to index");
        assert!(is_refused, "{script}\ngave {error}");
    }
    if is_ours() {
        for script in [
            "getmetatable('').__index = 1",
            "getmetatable('').__index.rep = 1",
            "getmetatable('').__gc = function() end",
            "rawset(getmetatable(''), '__index', 1)",
        ] {
            let error = eval(&mut client, script).text();
            assert!(error.contains(readonly), "{script}\ngave {error}");
        }
        // The environment of the function lasts as long as it runs.
        for _ in 0..2 {
            check(
                &mut client,
                "local n = next(redis) setfenv(1, {}) return tostring == nil and 1",
                "1",
            );
        }
        check(
            &mut client,
            "setfenv(0, {})",
            "ERR user_script:1: 'setfenv' cannot change",
        );
        check(
            &mut client,
            "setfenv(redis.call, {})",
            "ERR user_script:1: 'setfenv' cannot change",
        );
    }
    // Whatever was tried, this is as ever.
    let sound = "assert(type(redis.call) == 'function' and #redis == 0 and #_G == 0)
        assert(rawget(_G, 'x') == nil and redis.x == nil and string.x == nil)
        assert(('a'):rep(2) == 'aa' and rawget(string, 'rep') == string.rep)
        for i = 1, 10 do assert(redis[i] == nil and rawget(_G, i) == nil) end
        return 'sound'";
    check(&mut client, sound, "sound");
}

#[test]
fn what_could_get_out_is_not_there() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for name in [
        "dofile", "loadfile", "print", "require", "module", "package", "io", "debug",
    ] {
        let expected = format!(
            "ERR user_script:1: Script attempted to access nonexistent global variable '{name}'"
        );
        check(&mut client, &format!("return {name}"), &expected);
    }
    for name in ["os.execute", "os.exit", "os.remove", "os.getenv", "os.time"] {
        check(&mut client, &format!("return {name}"), "nil");
    }
    // Byte code, which could be forged.
    check(
        &mut client,
        "return loadstring(string.dump(function() end))",
        "nil",
    );
    check(
        &mut client,
        "local code = string.dump(function() end) return load(function() local c = code code = nil return c end)",
        "nil",
    );
    let compiled = client.command(&["EVAL", "\x1bLua", "0"]);
    assert!(compiled.is_error(), "{compiled:?}");
    if is_ours() {
        check(
            &mut client,
            "return newproxy(true)",
            "ERR user_script:1: Script attempted to access",
        );
    }
}

#[test]
fn collection_cannot_be_switched_off() {
    if !is_ours() {
        return;
    }
    let server = Server::start(&[]);
    let mut client = server.connect();
    eval(
        &mut client,
        "collectgarbage('stop') collectgarbage('setpause', 1e6)",
    );
    for _ in 0..2_000 {
        eval(&mut client, "local t = {} for i = 1, 1000 do t[i] = {} end");
    }
    assert!(server.info_number("used_memory_vm_eval") < 20_000_000);
}

#[test]
fn scripts_that_are_new_each_time_do_not_fill_the_memory() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let kept = client.command(&["SCRIPT", "LOAD", "return 'kept'"]).text();
    for round in 0..3_000 {
        eval(&mut client, &format!("return {round}"));
    }
    assert_eq!(server.info("number_of_cached_scripts"), "501");
    assert_eq!(server.info("evicted_scripts"), "2500");
    assert_eq!(client.run(&format!("EVALSHA {kept} 0")).text(), "kept");
}

#[test]
fn a_client_that_leaves_its_script_does_no_harm() {
    let server = Server::start(&["--busy-reply-threshold", "50"]);
    let mut other = server.connect();
    {
        let mut victim = server.connect();
        // What it sent after the script is not run: the script is ended.
        victim.send(crate::resp::frame(&["EVAL", "while true do end", "0"]));
        victim.send(crate::resp::frame(&["SET", "after", "1"]));
        wait_for(Duration::from_secs(20), "the server to be busy", || {
            (other.run("PING").text() == BUSY).then_some(())
        });
    }
    for _ in 0..20 {
        assert_eq!(other.run("PING").text(), BUSY);
        sleep(Duration::from_millis(5));
    }
    assert_eq!(other.run("SCRIPT KILL").text(), "OK");
    wait_for(Duration::from_secs(20), "the client to be gone", || {
        (server.info_number("connected_clients") == 2).then_some(())
    });
    assert_eq!(other.run("PING").text(), "PONG");
}
