//! FUNCTION and FCALL through the whole of a command: replies, effects, what is propagated.

use crate::commands::testing::Session;
use crate::persist::rdb;

/// A session, and a way to run commands whose words may hold blanks and line ends.
struct Functions(Session);

impl Functions {
    fn new() -> Functions {
        Functions(Session::new())
    }

    #[track_caller]
    fn check(&mut self, words: &[&str], reply: &str) {
        let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        assert_eq!(self.0.run_argv(&bytes), reply, "{words:?}");
    }

    /// Loads a library of this code, and compares the reply.
    #[track_caller]
    fn load(&mut self, name: &str, code: &str, reply: &str) {
        let source = format!("#!lua name={name}\n{code}");
        self.check(&["function", "load", "replace", &source], reply);
    }

    /// A library that cannot be loaded.
    #[track_caller]
    fn fails(&mut self, code: &str, reply: &str) {
        self.load("l", code, &format!("-ERR {reply}"));
    }
}

#[test]
fn functions_get_keys_and_arguments() {
    let mut f = Functions::new();
    f.load(
        "l",
        "local function all(keys, args) return {#keys, keys[1], #args, args[1], args[2]} end\n\
         redis.register_function('all', all)\n\
         server.register_function{function_name='second', callback=function(keys, args)\n\
           return redis.call('set', keys[1], args[1]) end, description='sets'}",
        "$1 l",
    );
    f.check(
        &["fcall", "ALL", "1", "k", "a", "b"],
        "*5 :1 $1 k :2 $1 a $1 b",
    );
    f.check(&["fcall", "second", "1", "k", "v"], "+OK");
    f.0.check_reply("get k", "$1 v");
    f.check(&["fcall", "nobody", "0"], "-ERR Function not found");
    f.check(&["fcall", "all", "x"], "-ERR Bad number of keys provided");
    f.check(
        &["fcall", "all", "1"],
        "-ERR Number of keys can't be greater than number of args",
    );
    f.check(
        &["fcall", "all", "-1"],
        "-ERR Number of keys can't be negative",
    );
}

#[test]
fn errors_say_where() {
    let mut f = Functions::new();
    f.load(
        "l",
        "redis.register_function('unknown', function() return redis.call('nope') end)\n\
         redis.register_function('global', function() return KEYS end)\n\
         redis.register_function('write', function() x = 1 end)\n\
         redis.register_function('late', function() return redis.register_function end)",
        "$1 l",
    );
    f.check(
        &["fcall", "unknown", "0"],
        "-ERR Unknown command called from script script: unknown, on @user_function:2.",
    );
    f.check(
        &["fcall", "global", "0"],
        "-ERR user_function:3: Script attempted to access nonexistent global variable 'KEYS' script: global, on \
         @user_function:3.",
    );
    f.check(
        &["fcall", "write", "0"],
        "-ERR user_function:4: Attempt to modify a readonly table script: write, on @user_function:4.",
    );
    f.check(&["fcall", "late", "0"], "$-1");
}

#[test]
fn libraries_find_little_while_they_are_loaded() {
    let mut f = Functions::new();
    let unknown = |name: &str| {
        format!(
            "Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable \
             '{name}'"
        )
    };
    for (code, name) in [
        ("redis.call('get', 'x')", "call"),
        ("redis.pcall('get', 'x')", "pcall"),
        ("redis.setresp(3)", "setresp"),
        ("redis.sha1hex('x')", "sha1hex"),
        ("return redis.REPL_ALL", "REPL_ALL"),
        ("math.random()", "math"),
        ("return _G", "_G"),
        ("return error", "error"),
        ("return setfenv", "setfenv"),
    ] {
        f.fails(code, &unknown(name));
    }
    f.fails("redis.log(redis.LOG_DEBUG, 'x')", "No functions registered");
    f.fails(
        "return redis.REDIS_VERSION .. redis.SERVER_VERSION .. server.SERVER_NAME",
        "No functions registered",
    );
    const READ_ONLY: &str =
        "Error registering functions: ERR user_function:2: Attempt to modify a readonly table";
    f.fails("x = 1", READ_ONLY);
    f.fails("redis.x = 1", READ_ONLY);
    f.fails(
        "redis.register_function('f'",
        "Error compiling function: user_function:2: ')' expected near '<eof>'",
    );
    // What was loaded, and what failed to be, leaves everything in place for functions.
    f.load(
        "l",
        "redis.register_function('f', function() return {math.floor(1.5), type(redis.call), _G == nil} end)",
        "$1 l",
    );
    f.fails("nope()", &unknown("nope"));
    f.check(&["fcall", "f", "0"], "*3 :1 $8 function $-1");
}

#[test]
fn what_is_registered_is_checked() {
    let mut f = Functions::new();
    for (code, fault) in [
        (
            "()",
            "wrong number of arguments to server.register_function",
        ),
        (
            "(1, 2, 3)",
            "wrong number of arguments to server.register_function",
        ),
        (
            "({}, 1)",
            "first argument to server.register_function must be a string",
        ),
        (
            "('f', 1)",
            "second argument to server.register_function must be a function",
        ),
        (
            "('f')",
            "calling server.register_function with a single argument is only applicable to Lua table (representing \
             named arguments).",
        ),
        ("{1}", "unknown argument given to server.register_function"),
        (
            "{x=1}",
            "unknown argument given to server.register_function",
        ),
        (
            "{[{}]=1}",
            "named argument key given to server.register_function is not a string",
        ),
        (
            "{callback=print}",
            "server.register_function must get a function name argument",
        ),
        (
            "{function_name='f'}",
            "server.register_function must get a callback argument",
        ),
        (
            "{function_name={}}",
            "function_name argument given to server.register_function must be a string",
        ),
        (
            "{description={}}",
            "description argument given to server.register_function must be a string",
        ),
        (
            "{callback=1}",
            "callback argument given to server.register_function must be a function",
        ),
        (
            "{flags=1}",
            "flags argument to server.register_function must be a table representing function flags",
        ),
        ("{flags={'no-writes', 'x'}}", "unknown flag given"),
        ("{flags={{}}}", "unknown flag given"),
    ] {
        let code = code.replace("print", "function() end");
        f.fails(
            &format!("redis.register_function{code}"),
            &format!("Error registering functions: ERR {fault}"),
        );
    }
    const NAMES: &str = "Function names can only contain letters, numbers, or underscores(_) and must be at least one \
                         character long";
    f.fails("redis.register_function('a-b', function() end)", NAMES);
    f.fails("redis.register_function('', function() end)", NAMES);
    const TWICE: &str = "local f = function() end\n\
                         redis.register_function('f', f) redis.register_function('f', f)";
    f.fails(TWICE, "Function already exists in the library");
    f.load(
        "l",
        "redis.register_function('f', function() return 1 end)\n\
         redis.register_function('F', function() return 2 end)",
        "$1 l",
    );
    f.check(&["fcall", "F", "0"], ":1");
    f.check(&["function", "delete", "l"], "+OK");
    f.load(
        "l",
        "redis.register_function(5, function() return 6 end)",
        "$1 l",
    );
    f.check(&["fcall", "5", "0"], ":6");
}

#[test]
fn a_library_that_does_not_end_is_not_loaded() {
    let mut f = Functions::new();
    const TIMEOUT: &str = "Error registering functions: ERR FUNCTION LOAD timeout";
    f.fails("while true do end", TIMEOUT);
    f.load(
        "l",
        "redis.register_function('f', function() return 1 end)",
        "$1 l",
    );
    f.check(&["fcall", "f", "0"], ":1");
}

#[test]
fn libraries_are_listed_replaced_and_deleted() {
    let mut f = Functions::new();
    let source = "#!lua name=One\nredis.register_function{function_name='f', callback=function() return 1 end, \
                  flags={'NO-WRITES', 'allow-oom'}, description='d'}";
    f.check(&["function", "load", source], "$3 One");
    f.check(
        &["function", "load", source],
        "-ERR Library 'One' already exists",
    );
    const LISTED: &str = "*6 $12 library_name $3 One $6 engine $3 LUA $9 functions *1 *6 $4 name $1 f \
                          $11 description $1 d $5 flags *2 +no-writes +allow-oom";
    f.check(&["function", "list"], &format!("*1 {LISTED}"));
    f.check(
        &["function", "list", "libraryname", "o*"],
        &format!("*1 {LISTED}"),
    );
    f.check(&["function", "list", "libraryname", "x"], "*0");
    f.check(
        &["function", "list", "withcode"],
        &format!(
            "*1 {} $12 library_code ${} {}",
            LISTED.replacen("*6", "*8", 1),
            source.len(),
            source
        ),
    );
    f.check(
        &["function", "list", "libraryname"],
        "-ERR library name argument was not given",
    );
    f.check(&["function", "list", "x"], "-ERR Unknown argument x");
    // A function's name is only given once, in any case.
    f.load(
        "Two",
        "redis.register_function('F', function() end)",
        "-ERR Function F already exists",
    );
    f.load(
        "One",
        "redis.register_function('g', function() return 2 end)",
        "$3 One",
    );
    f.check(&["fcall", "f", "0"], "-ERR Function not found");
    f.check(&["fcall", "g", "0"], ":2");
    // What cannot be loaded replaces nothing.
    f.load(
        "One",
        "redis.register_function('g', 1)",
        "-ERR Error registering functions: ERR second argument to \
         server.register_function must be a function",
    );
    f.check(&["fcall", "g", "0"], ":2");
    f.check(
        &["function", "stats"],
        "*4 $14 running_script $-1 $7 engines *2 $3 LUA *4 $15 libraries_count :1 $15 functions_count :1",
    );
    f.0.check("function delete one", "-ERR Library not found", 0, "", "");
    f.0.check("function delete One", "+OK", 1, "", "as received");
    f.0.check("function flush sync", "+OK", 1, "", "as received");
    f.check(&["function", "list"], "*0");
    f.check(
        &["function", "flush", "x"],
        "-ERR FUNCTION FLUSH only supports SYNC|ASYNC option",
    );
}

#[test]
fn flags_decide_what_a_function_may_do() {
    let mut f = Functions::new();
    f.load(
        "l",
        "local function set() return redis.call('set', 'k', 'v') end\n\
         redis.register_function{function_name='reads', callback=set, flags={'no-writes'}}\n\
         redis.register_function('writes', set)\n\
         redis.register_function{function_name='get', callback=function() return redis.call('get', 'k') end, \
         flags={'no-writes'}}",
        "$1 l",
    );
    const REFUSED: &str = "-ERR Write commands are not allowed from read-only scripts. script: reads, on \
                           @user_function:2.";
    f.check(&["fcall", "reads", "0"], REFUSED);
    f.check(&["fcall_ro", "reads", "0"], REFUSED);
    f.check(
        &["fcall_ro", "writes", "0"],
        "-ERR Can not execute a script with write flag using *_ro command.",
    );
    f.check(&["fcall", "writes", "0"], "+OK");
    f.check(&["fcall_ro", "get", "0"], "$1 v");
    let nested =
        f.0.run_argv(&[b"eval", b"return redis.call('fcall', 'get', 0)", b"0"]);
    assert!(nested.starts_with("-ERR This Redis command is not allowed from script"));
}

#[test]
fn libraries_keep_what_they_share() {
    let mut f = Functions::new();
    f.load(
        "counter",
        "local count = 0\n\
         local function next() count = count + 1 return count end\n\
         redis.register_function('one', function() return next() end)\n\
         redis.register_function('other', next)",
        "$7 counter",
    );
    f.check(&["fcall", "one", "0"], ":1");
    f.check(&["fcall", "other", "0"], ":2");
    f.load(
        "x",
        "redis.register_function('x', function() return 1 end)",
        "$1 x",
    );
    f.check(&["fcall", "one", "0"], ":3");
}

#[test]
fn restore_heeds_the_switch_for_checksums() {
    let mut f = Functions::new();
    let source = b"#!lua name=l\nredis.register_function('f', function() return 1 end)";
    let mut payload = rdb::dump_libraries(&[source[..].into()], rdb::Version::Auto, false);
    *payload.last_mut().expect("a checksum") ^= 1;
    let restore: &[&[u8]] = &[b"function", b"restore", &payload];
    let refusal = f.0.run_argv(restore);
    assert_eq!(refusal, "-ERR DUMP payload version or checksum are wrong");
    f.0.config_mut().skip_checksum_validation = true;
    assert_eq!(f.0.run_argv(restore), "+OK");
    f.check(&["fcall", "f", "0"], ":1");
}
