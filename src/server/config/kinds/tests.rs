//! Each kind of parameter: what it takes, what it reports, what it refuses.

use super::super::params::lookup;
use super::super::types::Config;
use super::*;

/// Sets a parameter as CONFIG SET does and compares what is reported, or the refusal.
fn check(name: &str, value: &str, expected: Result<&str, &str>) {
    let mut config = Config::default();
    let param = lookup(name.as_bytes()).unwrap();
    let before = param.get(&config);
    let set = param.set_text(&mut config, value.as_bytes(), Mode::Set);
    let after = param.get(&config);
    match expected {
        Ok(reported) => {
            assert_eq!(set, Ok(()), "{name} {value}");
            assert_eq!(after.escape_ascii().to_string(), reported, "{name} {value}");
        }
        Err(refusal) => {
            assert_eq!(set, Err(refusal.to_owned().into()), "{name} {value}");
            assert_eq!(after, before, "{name} {value} changed something");
        }
    }
}

#[test]
fn booleans() {
    check("activerehashing", "no", Ok("no"));
    check("activerehashing", "YES", Ok("yes"));
    for wrong in ["", "1", "true", "yes "] {
        check(
            "activerehashing",
            wrong,
            Err("argument must be 'yes' or 'no'"),
        );
    }
}

#[test]
fn numbers() {
    check("port", "0", Ok("0"));
    check("port", "65535", Ok("65535"));
    check(
        "port",
        "65536",
        Err("argument must be between 0 and 65535 inclusive"),
    );
    check(
        "port",
        "-1",
        Err("argument must be between 0 and 65535 inclusive"),
    );
    for wrong in [
        "",
        "x",
        "007",
        "+1",
        " 1",
        "1.5",
        "1k",
        "9223372036854775808",
    ] {
        check(
            "port",
            wrong,
            Err("argument couldn't be parsed into an integer"),
        );
    }
    check("list-max-listpack-size", "-2147483648", Ok("-2147483648"));
    check("slowlog-log-slower-than", "-1", Ok("-1"));
    check(
        "slowlog-max-len",
        "9223372036854775807",
        Ok("9223372036854775807"),
    );
    check(
        "slowlog-log-slower-than",
        "-2",
        Err("argument must be between -1 and 9223372036854775807 inclusive"),
    );
    check("maxclients", "4294967295", Ok("4294967295"));
}

#[test]
fn numbers_that_are_taken_for_others() {
    check("hz", "0", Ok("1"));
    check("hz", "501", Ok("500"));
    check("repl-backlog-size", "1", Ok("16384"));
}

#[test]
fn amounts_of_memory() {
    for (text, bytes) in [
        ("", "0"),
        ("1", "1"),
        ("1b", "1"),
        ("1k", "1000"),
        ("1kb", "1024"),
        ("2M", "2000000"),
        ("2mb", "2097152"),
        ("3g", "3000000000"),
        ("3Gb", "3221225472"),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "18446744073709551615"),
        ("99999999999gb", "18446744073709551615"),
    ] {
        check("maxmemory", text, Ok(bytes));
    }
    for wrong in ["-1", "1t", "1 mb", "mb1", "1.5gb"] {
        check("maxmemory", wrong, Err("argument must be a memory value"));
    }
    check(
        "proto-max-bulk-len",
        "1048575",
        Err("argument must be between 1048576 and 9223372036854775807 inclusive"),
    );
    check(
        "proto-max-bulk-len",
        "99999999999999999999",
        Err("argument must be between 1048576 and 9223372036854775807 inclusive"),
    );
}

#[test]
fn memory_or_percent() {
    check("maxmemory-clients", "5%", Ok("5%"));
    check("maxmemory-clients", "100%", Ok("100%"));
    check("maxmemory-clients", "0%", Ok("0"));
    check("maxmemory-clients", "1g", Ok("1000000000"));
    let refusal = "percentage argument must be less or equal to 100";
    check("maxmemory-clients", "101%", Err(refusal));
    check("maxmemory-clients", "18446744073709551615%", Err(refusal));
    for wrong in ["%", "-5%", "5%%", "x"] {
        let refusal = "argument must be a memory or percent value";
        check("maxmemory-clients", wrong, Err(refusal));
    }
}

#[test]
fn octal_numbers() {
    check("unixsocketperm", "770", Ok("770"));
    check("unixsocketperm", "0700", Ok("700"));
    check(
        "unixsocketperm",
        "1000",
        Err("argument must be between 0 and 777 inclusive"),
    );
    for wrong in ["", "8", "x", "0x1ff"] {
        let refusal = "argument couldn't be parsed as an octal number";
        check("unixsocketperm", wrong, Err(refusal));
    }
}

#[test]
fn texts() {
    check("requirepass", "a \"b\" ", Ok("a \\\"b\\\" "));
    check("requirepass", "", Ok(""));
    check("dbfilename", "", Err("dbfilename can't be empty"));
    let refusal = "dbfilename can't be a path, just a filename";
    check("dbfilename", "a/b", Err(refusal));
    check("dbfilename", "..\\b", Err(refusal));
}

#[test]
fn words_of_a_set() {
    check("maxmemory-policy", "AllKeys-LFU", Ok("allkeys-lfu"));
    check("oom-score-adj", "relative", Ok("yes"));
    let refusal = "argument(s) must be one of the following: \
                   debug, verbose, notice, warning, nothing";
    check("loglevel", "info", Err(refusal));
    check("loglevel", "", Err(refusal));
}

#[test]
fn several_words_of_a_set() {
    check(
        "shutdown-on-sigterm",
        "force NOW nosave",
        Ok("nosave now force"),
    );
    check("shutdown-on-sigterm", "default", Ok("default"));
    check("shutdown-on-sigterm", "default now", Ok("now"));
    let refusal = "argument(s) must be one of the following: default, save, nosave, now, force";
    check("shutdown-on-sigterm", "", Err(refusal));
    check("shutdown-on-sigterm", "now  force", Err(refusal));
    check(
        "shutdown-on-sigterm",
        "save nosave",
        Err("shutdown options SAVE and NOSAVE can't be used simultaneously"),
    );
}

#[test]
fn addresses() {
    check("bind", "127.0.0.1 -::1", Ok("127.0.0.1 -::1"));
    check("bind", "", Ok(""));
    let many = vec!["::1"; 17].join(" ");
    check("bind", &many, Err("Too many bind addresses specified."));
    check("bind", &many[4..], Ok(&many[4..]));
}

#[test]
fn one_value_takes_one_argument() {
    let mut config = Config::default();
    for args in [&[] as &[&[u8]], &[b"1", b"2"]] {
        let set = lookup(b"port").unwrap().set(&mut config, args, Mode::Load);
        assert_eq!(set, Err("wrong number of arguments".into()));
    }
}

#[test]
fn sizes_are_written_with_the_largest_unit() {
    for (bytes, text) in [
        (0, "0"),
        (1000, "1000"),
        (1024, "1kb"),
        (1536 << 10, "1536kb"),
        (1 << 20, "1mb"),
        (5 << 30, "5gb"),
        (-7, "7%"),
    ] {
        assert_eq!(memory_line(bytes), text);
    }
}

#[test]
fn locales() {
    check("locale-collate", "C", Ok("C"));
    check("locale-collate", "", Ok(""));
    check("locale-collate", "xx_YY.NONE", Err("Invalid locale name"));
}
