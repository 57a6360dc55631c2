//! The append-only file, seen from the files and the replies: what is acknowledged comes back, and a file
//! that went bad is noticed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::dialogue::render;
use crate::harness::{Server, is_ours, program, wait_for};
use crate::resp::{Client, Value, frame};

const TIMEOUT: Duration = Duration::from_secs(20);
const ON: [&str; 4] = ["--appendonly", "yes", "--enable-debug-command", "yes"];

fn start(args: &[&str]) -> Server {
    Server::start(&[&ON, args].concat())
}

fn again(mut server: Server, args: &[&str]) -> Server {
    server.kill();
    server.start_again(&[&ON, args].concat())
}

fn run_all(client: &mut Client, commands: &[&str]) {
    for words in commands {
        let reply = client.run(words);
        assert!(!reply.is_error(), "{words}: {reply:?}");
    }
}

fn digest(server: &Server) -> String {
    server.connect().run("DEBUG DIGEST").text()
}

fn folder(server: &Server) -> PathBuf {
    server.folder().join("appendonlydir")
}

/// The files that the manifest names, each with its type.
fn parts(server: &Server) -> Vec<String> {
    let manifest = fs::read_to_string(folder(server).join("appendonly.aof.manifest"));
    let manifest = manifest.expect("a manifest");
    let lines = manifest.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        format!("{} {}", words[1], words[5])
    });
    lines.collect()
}

/// The last increment.
fn increment(server: &Server) -> PathBuf {
    let parts = parts(server);
    let name = parts.iter().rev().find_map(|part| part.strip_suffix(" i"));
    folder(server).join(name.expect("an increment"))
}

/// The commands of a file, their words separated by spaces.
fn commands(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut commands: Vec<Vec<String>> = Vec::new();
    let mut lines = text.split("\r\n");
    while let Some(line) = lines.next() {
        match line.as_bytes().first() {
            Some(b'*') => commands.push(Vec::new()),
            Some(b'$') => {
                let word = lines.next().unwrap().to_string();
                commands.last_mut().unwrap().push(word);
            }
            _ => {}
        }
    }
    commands.iter().map(|words| words.join(" ")).collect()
}

fn rewrite(server: &Server) {
    let count = server.info_number("aof_rewrites");
    server.connect().run("BGREWRITEAOF");
    wait_for(TIMEOUT, "the rewrite", || {
        (server.info_number("aof_rewrites") > count).then_some(())
    });
    assert_eq!(server.info("aof_last_bgrewrite_status"), "ok");
}

#[test]
fn what_was_written_comes_back_after_a_kill() {
    for policy in ["always", "everysec", "no"] {
        let args = ["--appendfsync", policy];
        let server = start(&args);
        let mut client = server.connect();
        run_all(
            &mut client,
            &[
                "SET string value",
                "INCRBYFLOAT float 1.5",
                "RPUSH list a b c",
                "SADD set 1 2 3",
                "SPOP set",
                "ZADD zset 1 a 2 b",
                "HSET hash a 1 b 2",
                "HEXPIRE hash 1000 FIELDS 1 a",
                "XADD stream * field value",
                "SELECT 5",
                "SET elsewhere x EX 1000",
                "SWAPDB 5 6",
            ],
        );
        if policy == "everysec" {
            assert_eq!(render(&client.run("WAITAOF 1 0 0")), "[1, 0]");
        }
        let before = digest(&server);
        let server = again(server, &args);
        assert_eq!(digest(&server), before, "{policy}");
    }
}

#[test]
fn commands_are_kept_in_the_form_that_repeats_them() {
    let server = start(&["--appendfsync", "always"]);
    let mut client = server.connect();
    let path = increment(&server);
    let mut known = commands(&path).len();
    let mut check = |client: &mut Client, sent: &str, kept: &[&str]| {
        for words in sent.split("; ") {
            assert!(!client.run(words).is_error(), "{words}");
        }
        let all = commands(&path);
        let new: Vec<&str> = all[known..].iter().map(String::as_str).collect();
        assert_eq!(new, kept, "{sent}");
        known = all.len();
    };
    check(&mut client, "SET a 1", &["SELECT 0", "SET a 1"]);
    check(&mut client, "GET a; TTL a; EXISTS a; DEL nothing", &[]);
    check(&mut client, "INCRBYFLOAT a 0.5", &["SET a 1.5 KEEPTTL"]);
    check(
        &mut client,
        "SET e x PXAT 99999999999999",
        &["SET e x PXAT 99999999999999"],
    );
    check(
        &mut client,
        "EXPIREAT e 9999999999",
        &["PEXPIREAT e 9999999999000"],
    );
    check(&mut client, "SADD s a; SPOP s", &["SADD s a", "SREM s a"]);
    check(
        &mut client,
        "MULTI; SET b 1; GET b; SELECT 2; SET c 1; EXEC",
        &["MULTI", "SET b 1", "SELECT 2", "SET c 1", "EXEC"],
    );
    check(&mut client, "MULTI; GET c; EXEC", &[]);
    check(&mut client, "MULTI; INCR c; GET c; EXEC", &["INCR c"]);
    check(&mut client, "FLUSHDB; FLUSHDB", &["FLUSHDB", "FLUSHDB"]);
    check(&mut client, "PUBLISH channel message", &[]);
}

#[test]
fn a_key_that_is_found_expired_goes_before_the_command_that_found_it() {
    let server = start(&["--appendfsync", "always"]);
    let mut client = server.connect();
    run_all(
        &mut client,
        &["DEBUG SET-ACTIVE-EXPIRE 0", "SET a 1 PX 1", "SET b 1 PX 1"],
    );
    std::thread::sleep(Duration::from_millis(20));
    run_all(&mut client, &["GET a", "SETNX b 2"]);
    let all = commands(&increment(&server));
    let expected = ["DEL a", "MULTI", "DEL b", "SETNX b 2", "EXEC"];
    assert_eq!(all[all.len() - 5..], expected);
    run_all(&mut client, &["SET c 1 PX 1", "DEBUG SET-ACTIVE-EXPIRE 1"]);
    wait_for(TIMEOUT, "the clock to find it", || {
        let all = commands(&increment(&server));
        (all.last().unwrap() == "DEL c").then_some(())
    });
}

#[test]
fn a_waiting_client_is_served_by_what_can_be_repeated() {
    let server = start(&["--appendfsync", "always"]);
    let mut waiting = server.connect();
    waiting.send("BLPOP list 0\r\n");
    wait_for(TIMEOUT, "the client to wait", || {
        (server.info_number("blocked_clients") == 1).then_some(())
    });
    server.connect().run("RPUSH list a b");
    assert_eq!(render(&waiting.read()), "[list, a]");
    let all = commands(&increment(&server));
    assert_eq!(all[all.len() - 2..], ["RPUSH list a b", "LPOP list"]);
}

#[test]
fn evicted_keys_are_deleted() {
    let server = start(&["--maxmemory-policy", "allkeys-random"]);
    let mut client = server.connect();
    run_all(&mut client, &["DEBUG POPULATE 1000 key 1000"]);
    let used = server.info_number("used_memory");
    let limit = (used - 100_000).to_string();
    run_all(
        &mut client,
        &[&format!("CONFIG SET maxmemory {limit}"), "SET more x"],
    );
    wait_for(TIMEOUT, "evictions", || {
        (server.info_number("evicted_keys") > 0).then_some(())
    });
    run_all(
        &mut client,
        &[
            "CONFIG SET appendfsync always",
            "CONFIG SET maxmemory 0",
            "SET last x",
        ],
    );
    let evicted = server.info_number("evicted_keys") as usize;
    let all = commands(&increment(&server));
    let deleted = all.iter().filter(|c| c.starts_with("DEL key:")).count();
    assert_eq!(deleted, evicted);
}

#[test]
fn a_file_that_ends_early_is_cut_after_the_last_whole_command() {
    let args = ["--appendfsync", "always"];
    for (torn, kept) in [
        (frame(&["SET", "a", "2"])[..20].to_vec(), "1"),
        ([frame(&["MULTI"]), frame(&["SET", "a", "2"])].concat(), "1"),
        (b"#CRC:".to_vec(), "1"),
    ] {
        let mut server = start(&args);
        server.connect().run("SET a 1");
        server.kill();
        let path = increment(&server);
        let good = fs::read(&path).unwrap();
        fs::write(&path, [&good[..], &torn].concat()).unwrap();
        let (status, log) =
            server.fail_to_start_again(&[&ON, &args[..], &["--aof-load-truncated", "no"]].concat());
        assert_eq!(status.code(), Some(1));
        assert!(
            log.contains("Unexpected end of file reading the append only file"),
            "{log}"
        );
        let server = server.start_again(&[&ON, &args[..]].concat());
        assert_eq!(server.connect().run("GET a").text(), kept);
        assert_eq!(fs::read(&path).unwrap(), good);
        server.connect().run("SET a 3");
        let server = again(server, &args);
        assert_eq!(server.connect().run("GET a").text(), "3");
    }
}

#[test]
fn a_changed_byte_is_noticed() {
    if !is_ours() {
        return;
    }
    let mut server = start(&["--appendfsync", "always"]);
    let mut client = server.connect();
    run_all(&mut client, &["SET a first", "SET b second"]);
    server.kill();
    let path = increment(&server);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(5).position(|w| w == b"first").unwrap();
    bytes[at] = b'w';
    fs::write(&path, bytes).unwrap();
    let (status, log) = server.fail_to_start_again(&ON);
    assert_eq!(status.code(), Some(1));
    assert!(
        log.contains("Bad checksum in the append only file"),
        "{log}"
    );
    let server = server.start_again(&[&ON[..], &["--aof-checksum", "no"]].concat());
    assert_eq!(server.connect().run("GET a").text(), "wirst");
}

/// Changes a value in a file.
fn replace(path: &Path, from: &[u8], to: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let mut windows = bytes.windows(from.len());
    let at = windows.position(|window| window == from);
    let at = at.expect("the file has that");
    bytes.splice(at..at + from.len(), to.iter().copied());
    fs::write(path, bytes).unwrap();
}

/// A length that is wrong takes what follows for its own, up to the end of the file: that is no file that was cut
/// off, and cutting it there would lose what was acknowledged after.
#[test]
fn a_length_that_swallows_the_rest_is_no_truncation() {
    if !is_ours() {
        return;
    }
    let args = ["--appendfsync", "always"];
    let mut server = start(&args);
    let mut client = server.connect();
    run_all(&mut client, &["SET a 1", "SET b hello", "SET c 3"]);
    server.kill();
    let path = increment(&server);
    replace(&path, b"$5\r\nhello", b"$900\r\nhello");
    let damaged = fs::read(&path).unwrap();
    let (status, log) = server.fail_to_start_again(&[&ON, &args[..]].concat());
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("the file is damaged, not cut off"), "{log}");
    assert_eq!(fs::read(&path).unwrap(), damaged);
    let (_, report) = check_aof(&path, &["--fix"]);
    assert!(report.contains("Successfully truncated AOF"), "{report}");
    let server = server.start_again(&[&ON, &args[..]].concat());
    assert_eq!(server.connect().run("GET a").text(), "1");
    assert_eq!(server.connect().run("GET b"), Value::Null);
}

/// Checks a file as `--check-aof` does, and agrees to everything; gives whether it is good, and the report.
fn check_aof(path: &Path, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(program());
    command.arg("--check-aof").args(args).arg(path);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without having asked.
    let _ = child.stdin.take().unwrap().write_all(b"y\n");
    let output = child.wait_with_output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    (output.status.success(), report)
}

/// What was written before the end of the file was cut off, or by a server that seals nothing, does not keep what
/// follows from being checked.
#[test]
fn a_batch_behind_what_nobody_sealed_is_checked() {
    if !is_ours() {
        return;
    }
    for unsealed in ["cut", "unsealed"] {
        let args = ["--appendfsync", "always"];
        let mut server = match unsealed {
            "cut" => start(&args),
            _ => start(&[&args[..], &["--aof-checksum", "no"]].concat()),
        };
        run_all(&mut server.connect(), &["SET a first", "SET b second"]);
        server.kill();
        let path = increment(&server);
        let len = fs::metadata(&path).unwrap().len();
        if unsealed == "cut" {
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(len - 5).unwrap();
        }
        let mut server = server.start_again(&[&ON, &args[..]].concat());
        let cut_to = fs::metadata(&path).unwrap().len();
        assert_eq!(cut_to < len, unsealed == "cut");
        run_all(&mut server.connect(), &["SET c third", "SET d fourth"]);
        server.kill();
        let (good, report) = check_aof(&path, &[]);
        assert!(good, "{report}");
        replace(&path, b"third", b"thirk");
        let (status, log) = server.fail_to_start_again(&ON);
        assert_eq!(status.code(), Some(1));
        let expected = format!("what lies between the offsets {cut_to} and ");
        assert!(log.contains(&expected), "{log}");
        assert!(!check_aof(&path, &[]).0);
        let (good, report) = check_aof(&path, &["--fix"]);
        assert!(good, "{report}");
        assert_eq!(fs::metadata(&path).unwrap().len(), cut_to, "{report}");
        let server = server.start_again(&ON);
        let values = server.connect().run("MGET a b c d");
        assert_eq!(render(&values), "[first, second, nil, nil]");
    }
}

#[test]
fn a_file_of_more_databases_is_refused() {
    if !is_ours() {
        return;
    }
    let mut server = start(&["--appendfsync", "always", "--aof-use-rdb-preamble", "no"]);
    let mut client = server.connect();
    run_all(&mut client, &["SET a 0", "SELECT 9", "SET a 9"]);
    server.kill();
    let (status, log) = server.fail_to_start_again(&[&ON[..], &["--databases", "9"]].concat());
    assert_eq!(status.code(), Some(1));
    let expected = "'SELECT 9' is about a database that there is not: 'databases' is 9";
    assert!(log.contains(expected), "{log}");
    let server = server.start_again(&[&ON[..], &["--databases", "10"]].concat());
    assert_eq!(server.connect().run("GET a").text(), "0");
}

#[test]
fn a_rewrite_leaves_a_base_and_one_increment() {
    for preamble in ["yes", "no"] {
        let args = ["--aof-use-rdb-preamble", preamble];
        let server = start(&args);
        let mut client = server.connect();
        run_all(
            &mut client,
            &[
                "DEBUG POPULATE 5000 key 20",
                "RPUSH list a b",
                "HSET hash f v",
                "SADD set x y",
            ],
        );
        rewrite(&server);
        let form = if preamble == "yes" { "rdb" } else { "aof" };
        let expected = [
            format!("appendonly.aof.2.base.{form} b"),
            "appendonly.aof.2.incr.aof i".into(),
        ];
        assert_eq!(parts(&server), expected);
        run_all(&mut client, &["SET after x", "SELECT 1", "SET there y"]);
        let before = digest(&server);
        let server = again(server, &args);
        assert_eq!(digest(&server), before);
        assert_eq!(
            server.connect().run("DEBUG LOADAOF"),
            Value::Simple("OK".into())
        );
        assert_eq!(digest(&server), before);
    }
}

#[test]
fn turning_the_file_off_ends_a_rewrite_in_either_form() {
    for preamble in ["yes", "no"] {
        let args = ["--aof-use-rdb-preamble", preamble];
        let server = start(&args);
        let mut client = server.connect();
        // Long enough that only a signal can end the child.
        let steps = [
            "SET a b",
            "CONFIG SET rdb-key-save-delay 100000000",
            "BGREWRITEAOF",
            "CONFIG SET appendonly no",
        ];
        run_all(&mut client, &steps);
        let log = server.log();
        let expected = "Background AOF rewrite terminated by signal";
        assert!(log.contains(expected), "{preamble}: {log}");
        assert_eq!(server.info("aof_rewrite_in_progress"), "0");
    }
}

/// What a transaction did before it turned the file off is in it, and in no other.
#[test]
fn a_transaction_that_turns_the_file_off_is_not_repeated() {
    let server = start(&[]);
    let mut client = server.connect();
    let steps = [
        "MULTI",
        "INCR x",
        "INCR x",
        "CONFIG SET appendonly no",
        "INCR x",
        "EXEC",
    ];
    run_all(&mut client, &steps);
    let server = again(server, &[]);
    let mut client = server.connect();
    assert_eq!(client.run("GET x").text(), "2");
    let steps = [
        "MULTI",
        "INCR x",
        "CONFIG SET appendonly no",
        "INCR x",
        "CONFIG SET appendonly yes",
        "INCR x",
        "EXEC",
        "INCR x",
    ];
    run_all(&mut client, &steps);
    wait_for(Duration::from_secs(10), "the file", || {
        (server.info("aof_rewrite_in_progress") == "0").then_some(())
    });
    run_all(&mut client, &["INCR x"]);
    let server = again(server, &[]);
    assert_eq!(server.connect().run("GET x").text(), "7");
}

/// Who writes and says that it has nothing more to send waits for the answer.
#[test]
fn a_client_that_hangs_up_one_way_is_answered() {
    let server = start(&["--appendfsync", "always"]);
    for round in 1..=20 {
        let mut client = server.connect();
        client.send("SET key value\r\nINCR counter\r\n");
        client.finish_sending();
        assert_eq!(client.read(), Value::ok());
        assert_eq!(client.read(), Value::Integer(round));
        assert_eq!(client.read_to_close(), b"");
    }
}

/// A rewrite that is to turn the file on and fails is tried again.
#[test]
fn the_file_is_turned_on_in_the_end() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    let steps = ["SET a b", "CONFIG SET rdb-key-save-delay 300000", "BGSAVE"];
    run_all(&mut client, &steps);
    let obstacle = server
        .folder()
        .join("appendonlydir")
        .join("temp-appendonly.aof.incr");
    fs::create_dir_all(&obstacle).unwrap();
    // It is put off to the end of the snapshot, and cannot begin then.
    run_all(&mut client, &["CONFIG SET appendonly yes"]);
    wait_for(Duration::from_secs(10), "a failure", || {
        (server.info("aof_last_bgrewrite_status") == "err").then_some(())
    });
    fs::remove_dir(&obstacle).unwrap();
    run_all(&mut client, &["CONFIG SET rdb-key-save-delay 0"]);
    // After three failures it is left alone for a minute.
    wait_for(Duration::from_secs(90), "the file", || {
        let manifest = folder(&server).join("appendonly.aof.manifest");
        manifest.exists().then_some(())
    });
}

#[test]
fn the_file_is_turned_on_and_off_while_the_server_runs() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    run_all(
        &mut client,
        &["SET before 1", "CONFIG SET appendonly yes", "SET during 1"],
    );
    wait_for(TIMEOUT, "the first base", || {
        (server.info_number("aof_rewrite_in_progress") == 0
            && server.info_number("aof_rewrites") == 1)
            .then_some(())
    });
    run_all(&mut client, &["SET after 1", "CONFIG SET appendonly no"]);
    let before = digest(&server);
    run_all(&mut client, &["SET lost 1", "WAITAOF 0 0 0"]);
    assert!(client.run("WAITAOF 1 0 0").is_error());
    let server = again(server, &[]);
    assert_eq!(digest(&server), before);
    assert_eq!(
        parts(&server),
        ["appendonly.aof.1.base.rdb b", "appendonly.aof.1.incr.aof i"]
    );
}

#[test]
fn a_client_can_wait_for_the_disk() {
    let server = start(&["--appendfsync", "everysec"]);
    let mut client = server.connect();
    client.run("SET a 1");
    assert_eq!(render(&client.run("WAITAOF 1 0 0")), "[1, 0]");
    assert_eq!(render(&client.run("WAITAOF 1 1 50")), "[1, 0]");
    assert_eq!(client.run("WAIT 1 50"), Value::Integer(0));
    run_all(&mut client, &["CONFIG SET appendfsync no", "SET a 2"]);
    assert_eq!(render(&client.run("WAITAOF 1 0 50")), "[0, 0]");
    run_all(&mut client, &["MULTI", "WAITAOF 1 0 0"]);
    assert_eq!(render(&client.run("EXEC")), "[[0, 0]]");
    // A file that is begun anew is waited for too.
    run_all(
        &mut client,
        &[
            "CONFIG SET appendfsync everysec appendonly no",
            "CONFIG SET appendonly yes",
            "SET a 3",
        ],
    );
    let began = Instant::now();
    assert_eq!(render(&client.run("WAITAOF 1 0 9000")), "[1, 0]");
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// Under `always` those who write wait for the disk, and the latency monitor says how long.
#[test]
fn how_long_the_disk_takes_is_seen() {
    let server = start(&[
        "--appendfsync",
        "always",
        "--latency-monitor-threshold",
        "1",
    ]);
    let probe = fs::File::create(server.folder().join("probe")).unwrap();
    let value = vec![b'v'; 4 << 20];
    let mut client = server.connect();
    wait_for(TIMEOUT, "the disk to take a millisecond", || {
        client.command(&[&b"SET"[..], b"k", &value]);
        let Value::Array(seen) = client.run("LATENCY HISTORY aof-fsync-always") else {
            panic!("an array");
        };
        // A folder in memory is never slow.
        (&probe).write_all(&value).unwrap();
        let began = Instant::now();
        probe.sync_data().unwrap();
        let is_memory = began.elapsed() < Duration::from_millis(1);
        (!seen.is_empty() || is_memory).then_some(())
    });
    run_all(
        &mut client,
        &["CONFIG SET appendfsync everysec", "LATENCY RESET"],
    );
    client.command(&[&b"SET"[..], b"k", &value]);
    let history = client.run("LATENCY HISTORY aof-fsync-always");
    assert_eq!(history, Value::Array(Vec::new()));
}
