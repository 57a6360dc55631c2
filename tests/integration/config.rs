//! Configuration from files, arguments and standard input, and CONFIG at run time.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::harness::{Server, config_get, is_ours, program};
use crate::resp::Value;

#[test]
fn a_file_is_read_and_arguments_override_it() {
    let server = Server::builder()
        .config(
            "# A comment.\nmaxmemory 10mb\ntimeout 17\n\nrequirepass \"with space\"\nsave 3600 1\n",
        )
        .args(&["--timeout", "18"])
        .start();
    let mut client = server.connect();
    assert_eq!(client.command(&["AUTH", "with space"]), Value::ok());
    assert_eq!(config_get(&mut client, "maxmemory"), "10485760");
    assert_eq!(config_get(&mut client, "timeout"), "18");
}

#[test]
fn a_file_may_include_others() {
    let builder = Server::builder();
    fs::write(builder.folder().join("one.inc"), "timeout 21\n").unwrap();
    fs::write(builder.folder().join("two.inc"), "maxmemory 3mb\n").unwrap();
    let include = format!("include {}/*.inc\n", builder.folder().display());
    let server = builder.config(&include).start();
    let mut client = server.connect();
    assert_eq!(config_get(&mut client, "timeout"), "21");
    assert_eq!(config_get(&mut client, "maxmemory"), "3145728");
}

#[test]
fn an_unknown_directive_is_fatal() {
    let output = run(&["-"], "port 0\nno-such-directive 1\n");
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(
        said.contains("FATAL CONFIG FILE ERROR") && said.contains("no-such-directive"),
        "{said}"
    );
}

#[test]
fn a_bad_value_is_fatal() {
    for line in [
        "maxmemory lots",
        "port 70000",
        "timeout",
        "appendonly perhaps",
        "maxmemory-policy sometimes",
    ] {
        let output = run(&["-"], &format!("{line}\n"));
        assert_eq!(output.status.code(), Some(1), "{line}: {}", said(&output));
        let name = line.split(' ').next().unwrap();
        assert!(said(&output).contains(name), "{line}: {}", said(&output));
    }
}

#[test]
fn check_config_checks_and_starts_nothing() {
    if !is_ours() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.conf");
    let path = file.to_str().unwrap();

    fs::write(&file, "port 7000\nmaxmemory 1gb\n").unwrap();
    let output = run(&[path, "--check-config"], "");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    fs::write(&file, "port 7000\nmaxmemory lots\n\nno-such-directive 1\n").unwrap();
    let output = run(&[path, "--check-config"], "");
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    for expected in ["server.conf", "2", "maxmemory", "4", "no-such-directive"] {
        assert!(said.contains(expected), "no {expected} in: {said}");
    }
}

#[test]
fn version_and_help() {
    let output = run(&["--version"], "");
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).contains("v="), "{}", said(&output));
    if is_ours() {
        assert_eq!(run(&["--help"], "").status.code(), Some(0));
        assert!(said(&run(&["--help"], "")).contains("--check-config"));
    }
}

#[test]
fn config_get_takes_patterns() {
    let server = Server::start(&["--maxmemory", "1mb", "--timeout", "5"]);
    let mut client = server.connect();
    let reply = client.run("CONFIG GET maxmemor? TIMEOUT nosuch*");
    let names: Vec<String> = reply
        .items()
        .chunks_exact(2)
        .map(|pair| pair[0].text())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&"maxmemory".to_owned()));
    let all = client.run("CONFIG GET *").items().len() / 2;
    assert!(all > 150, "only {all} parameters");
}

#[test]
fn config_set_is_all_or_nothing() {
    let server = Server::start(&["--timeout", "5"]);
    let mut client = server.connect();
    assert_eq!(
        client.run("CONFIG SET timeout 6 maxmemory 2mb"),
        Value::ok()
    );
    let refused = client.run("CONFIG SET timeout 7 maxmemory lots").text();
    assert!(
        refused.starts_with("ERR CONFIG SET failed (possibly related to argument 'maxmemory') - "),
        "{refused}"
    );
    assert_eq!(config_get(&mut client, "timeout"), "6");
    assert_eq!(config_get(&mut client, "maxmemory"), "2097152");
    let mut check = |request: &str, error: &str| {
        let text = client.run(request).text();
        assert!(text.starts_with(error), "{request}: {text}");
    };
    check(
        "CONFIG SET nosuch 1",
        "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'",
    );
    check(
        "CONFIG SET timeout",
        "ERR wrong number of arguments for 'config|set' command",
    );
    check(
        "CONFIG SET timeout 1 timeout 2",
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter",
    );
    check(
        "CONFIG SET databases 3",
        "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config",
    );
    check(
        "CONFIG SET timeout -1",
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument must be between 0 and 2147483647 inclusive",
    );
}

#[test]
fn config_rewrite_keeps_what_it_does_not_know() {
    let text = "# First comment.\ntimeout 5\n\n# Second comment.\nmaxmemory 1mb\nsave 3600 1\n";
    let mut server = Server::builder().config(text).start();
    let mut client = server.connect();
    assert_eq!(
        client.run("CONFIG SET timeout 9 maxclients 123"),
        Value::ok()
    );
    assert_eq!(client.run("CONFIG REWRITE"), Value::ok());
    let file = server.folder().join("server.conf");
    let written = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    let at = |line: &str| {
        lines
            .iter()
            .position(|l| *l == line)
            .unwrap_or_else(|| panic!("no line {line:?} in:\n{written}"))
    };
    assert!(at("# First comment.") < at("timeout 9"));
    assert!(at("timeout 9") < at("# Second comment."));
    assert!(at("# Second comment.") < at("maxmemory 1mb"));
    assert!(at("maxclients 123") > at("maxmemory 1mb"));

    // What was written is read again.
    server.signal("TERM");
    server.wait();
    let again = Server::builder().config(&written).start();
    assert_eq!(config_get(&mut again.connect(), "timeout"), "9");
    assert_eq!(config_get(&mut again.connect(), "maxclients"), "123");
}

#[test]
fn config_rewrite_needs_a_file() {
    let server = Server::start(&[]);
    assert_eq!(
        server.connect().run("CONFIG REWRITE"),
        Value::Error("ERR The server is running without a config file".into())
    );
}

#[test]
fn commands_may_be_renamed_and_disabled() {
    let server = Server::builder()
        .config("rename-command GET fetch\nrename-command APPEND \"\"\n")
        .start();
    let mut client = server.connect();
    assert_eq!(client.run("SET key value"), Value::ok());
    assert!(
        client
            .run("GET key")
            .text()
            .starts_with("ERR unknown command 'GET'")
    );
    assert_eq!(client.run("FETCH key"), Value::bulk("value"));
    assert!(
        client
            .run("APPEND key x")
            .text()
            .starts_with("ERR unknown command 'APPEND'")
    );
}

/// Runs the program to its end.
fn run(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(program())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that ends before it has read everything breaks the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
