//! Snapshots, loading and the end of the server, seen from the files and the replies.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::{Server, is_ours, wait_for};
use crate::resp::{Client, Value};

const DEBUG: [&str; 2] = ["--enable-debug-command", "yes"];
const TIMEOUT: Duration = Duration::from_secs(15);

fn start(args: &[&str]) -> Server {
    Server::start(&[&DEBUG, args].concat())
}

/// A bit of everything.
fn fill(client: &mut Client) {
    for words in [
        "SET string value",
        "SET integer 12345 EX 1000",
        "APPEND edited bytes",
        "RPUSH list a 1 b 2",
        "SADD ints 3 1 2",
        "SADD words x y z",
        "ZADD scores 1.5 a 2 b",
        "HSET hash field value other 1",
        "XADD stream 1-1 field value",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group consumer STREAMS stream >",
        "SELECT 3",
        "SET elsewhere 1",
        "SELECT 0",
        "DEBUG POPULATE 1000 filler 100",
    ] {
        let reply = client.run(words);
        assert!(!reply.is_error(), "{words}: {reply:?}");
    }
}

fn digest(server: &Server) -> String {
    server.connect().run("DEBUG DIGEST").text()
}

/// The child's process id.
fn child_of(server: &Server) -> String {
    wait_for(TIMEOUT, "a child", || {
        let pid = server.pid().to_string();
        let output = Command::new("ps")
            .args(["--ppid", &pid, "-o", "pid="])
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let child = text.split_whitespace().next()?;
        Some(child.to_string())
    })
}

fn wait_until_saved(server: &Server) {
    wait_for(TIMEOUT, "the child's end", || {
        (server.info("rdb_bgsave_in_progress") == "0").then_some(())
    });
}

fn wait_until_loaded(server: &Server) {
    wait_for(TIMEOUT, "the data set", || {
        (server.info("loading") == "0").then_some(())
    });
}

/// The files of a snapshot that was not finished.
fn temporary_files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("temp-")).collect()
}

#[test]
fn what_was_saved_is_there_after_a_restart() {
    for save in ["SAVE", "BGSAVE"] {
        let mut server = start(&[]);
        let mut client = server.connect();
        fill(&mut client);
        let before = digest(&server);
        assert!(!client.run(save).is_error());
        wait_until_saved(&server);
        assert_eq!(server.info("rdb_changes_since_last_save"), "0");
        assert_eq!(server.info("rdb_last_bgsave_status"), "ok");
        assert_eq!(temporary_files(server.folder()), [""; 0]);
        client.run("SET lost 1");
        server.kill();
        let server = server.start_again(&DEBUG);
        wait_until_loaded(&server);
        assert_eq!(digest(&server), before, "{save}");
        assert_eq!(server.info("rdb_last_load_keys_loaded"), "1010");
        assert!(server.log().contains("DB loaded from disk"));
    }
}

#[test]
fn reloading_changes_nothing() {
    let server = start(&["--appendonly", "no"]);
    let mut client = server.connect();
    fill(&mut client);
    let before = digest(&server);
    assert_eq!(client.run("DEBUG RELOAD"), Value::ok());
    assert_eq!(digest(&server), before);
    assert_eq!(client.run("DEBUG RELOAD NOSAVE"), Value::ok());
    assert_eq!(digest(&server), before);
    client.run("SET integer 7");
    client.run("SET new 7");
    assert_eq!(client.run("DEBUG RELOAD NOSAVE NOFLUSH MERGE"), Value::ok());
    assert_eq!(client.run("GET integer").text(), "12345");
    assert_eq!(client.run("GET new").text(), "7");
    assert!(client.run("DEBUG RELOAD NONSENSE").is_error());
}

#[test]
fn a_child_that_is_killed_leaves_the_file_before_and_stops_writes() {
    let mut server = start(&["--save", "900 1"]);
    let mut client = server.connect();
    client.run("SET kept 1");
    assert_eq!(client.run("SAVE"), Value::ok());
    let before = digest(&server);
    let file = fs::read(server.folder().join("dump.rdb")).unwrap();
    client.run("DEBUG POPULATE 100");
    client.run("CONFIG SET rdb-key-save-delay 1000000");
    client.run("BGSAVE");
    let child = child_of(&server);
    let temporary = server.folder().join(format!("temp-{child}.rdb"));
    wait_for(TIMEOUT, "the child's file", || {
        temporary.exists().then_some(())
    });
    assert!(client.run("SAVE").text().contains("already in progress"));
    assert!(client.run("BGSAVE").text().contains("already in progress"));
    assert!(
        Command::new("kill")
            .args(["-9", &child])
            .status()
            .unwrap()
            .success()
    );
    wait_until_saved(&server);
    assert_eq!(server.info("rdb_last_bgsave_status"), "err");
    assert_eq!(temporary_files(server.folder()), [""; 0]);
    assert_eq!(fs::read(server.folder().join("dump.rdb")).unwrap(), file);
    assert!(client.run("SET kept 2").text().starts_with("MISCONF"));
    assert!(client.run("PING").text().starts_with("MISCONF"));
    assert_eq!(client.run("GET kept").text(), "1");
    client.run("CONFIG SET stop-writes-on-bgsave-error no");
    assert_eq!(client.run("SET written 1"), Value::ok());
    client.run("CONFIG SET stop-writes-on-bgsave-error yes");
    assert!(client.run("SET kept 2").text().starts_with("MISCONF"));
    server.kill();
    let server = server.start_again(&DEBUG);
    wait_until_loaded(&server);
    assert_eq!(digest(&server), before);
}

#[test]
fn a_cancelled_snapshot_is_no_failure() {
    let server = start(&["--save", "900 1"]);
    let mut client = server.connect();
    client.run("DEBUG POPULATE 100");
    client.run("CONFIG SET rdb-key-save-delay 1000000");
    assert_eq!(client.run("BGSAVE").text(), "Background saving started");
    assert_eq!(server.info("rdb_bgsave_in_progress"), "1");
    assert_eq!(
        client.run("BGSAVE CANCEL").text(),
        "Background saving cancelled"
    );
    wait_until_saved(&server);
    assert_eq!(server.info("rdb_last_bgsave_status"), "ok");
    assert!(client.run("BGSAVE CANCEL").is_error());
    assert!(client.run("BGSAVE NONSENSE").is_error());
    assert_eq!(temporary_files(server.folder()), [""; 0]);
}

/// A mark on what is only read would have the page copied that it lies in: the memory of a server whose clients
/// read much would double during a snapshot.
#[test]
fn reads_leave_no_mark_while_a_child_shares_the_memory() {
    let server = start(&["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0"]);
    let mut client = server.connect();
    client.run("SET key value");
    let frequency = |client: &mut Client| client.run("OBJECT FREQ key");
    let Value::Integer(at_first) = frequency(&mut client) else {
        panic!("no counter")
    };
    client.run("CONFIG SET rdb-key-save-delay 1000000");
    client.run("BGSAVE");
    for words in ["GET key", "TOUCH key", "EXISTS key"] {
        client.run(words);
    }
    assert_eq!(frequency(&mut client), Value::Integer(at_first));
    client.run("BGSAVE CANCEL");
    wait_until_saved(&server);
    client.run("GET key");
    assert_eq!(frequency(&mut client), Value::Integer(at_first + 1));
}

#[test]
fn a_child_gives_up_when_its_server_has_died() {
    if !is_ours() {
        return;
    }
    let mut server = start(&[]);
    let mut client = server.connect();
    client.run("DEBUG POPULATE 5000 key 1000");
    client.run("CONFIG SET rdb-key-save-delay 1000");
    client.run("BGSAVE");
    let child = child_of(&server);
    server.kill();
    let process = Path::new("/proc").join(child);
    wait_for(TIMEOUT, "the child's end", || {
        (!process.exists()).then_some(())
    });
    assert_eq!(temporary_files(server.folder()), [""; 0]);
    assert!(!server.folder().join("dump.rdb").exists());
}

#[test]
fn a_folder_that_cannot_be_written_stops_writes_until_it_can() {
    let server = start(&["--save", "900 1"]);
    let mut client = server.connect();
    client.run("SET key 1");
    // Whoever is root may write everywhere, but nobody replaces a folder by a file.
    let file = server.folder().join("dump.rdb");
    fs::create_dir(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(client.run("SAVE").is_error());
    assert_eq!(client.run("SET key 2"), Value::ok(), "SAVE said so itself");
    client.run("BGSAVE");
    wait_until_saved(&server);
    assert!(client.run("SET key 3").text().starts_with("MISCONF"));
    assert!(server.log().contains("Background saving error"));
    fs::remove_dir(&file).unwrap();
    client.run("BGSAVE");
    wait_until_saved(&server);
    assert_eq!(client.run("SET key 3"), Value::ok());
    assert!(file.exists());
}

#[test]
fn save_points_are_kept() {
    let server = start(&["--save", "1 10"]);
    let mut client = server.connect();
    client.run("SET few 1");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!server.folder().join("dump.rdb").exists());
    for n in 0..10 {
        client.run(&format!("SET key{n} 1"));
    }
    wait_for(TIMEOUT, "a snapshot", || {
        server.folder().join("dump.rdb").exists().then_some(())
    });
    assert!(server.log().contains("10 changes in 1 seconds. Saving..."));
    // An empty data set takes its place at once.
    client.run("FLUSHALL");
    assert_eq!(server.info("rdb_changes_since_last_save"), "0");
}

#[test]
fn clients_are_answered_while_the_data_set_is_loaded() {
    let mut server = start(&[]);
    let mut client = server.connect();
    client.run("DEBUG POPULATE 20000 key 1000");
    client.run("CONFIG SET rdbcompression no");
    assert_eq!(client.run("SAVE"), Value::ok());
    server.kill();
    let server = server.start_again(&["--key-load-delay", "100"]);
    let mut client = server.connect();
    let refusal = "LOADING Redis is loading the dataset in memory";
    assert_eq!(client.run("GET key:1").text(), refusal);
    assert_eq!(client.run("SET key:1 x").text(), refusal);
    let info = client.run("INFO persistence").text();
    for part in [
        "loading:1",
        "loading_total_bytes:",
        "loading_loaded_perc:",
        "loading_eta_seconds:",
    ] {
        assert!(info.contains(part), "{info}");
    }
    let refused = client.run("CONFIG SET appendonly yes").text();
    assert!(refused.starts_with("LOADING"), "{refused}");
    assert!(!server.log().contains("Ready to accept connections"));
    wait_until_loaded(&server);
    assert_eq!(client.run("DBSIZE"), Value::Integer(20_000));
    assert!(server.log().contains("Ready to accept connections"));
}

#[test]
fn systemd_is_told_of_readiness_when_the_data_are_there() {
    let mut server = start(&[]);
    let mut client = server.connect();
    client.run("DEBUG POPULATE 5000 key 1000");
    client.run("CONFIG SET rdbcompression no");
    client.run("SAVE");
    server.kill();
    let builder = Server::builder();
    let folder = builder.folder();
    fs::copy(server.folder().join("dump.rdb"), folder.join("dump.rdb")).unwrap();
    let path = folder.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let server = builder
        .environment("NOTIFY_SOCKET", path.to_str().unwrap())
        .args(&["--supervised", "systemd", "--key-load-delay", "200"])
        .start();
    assert_eq!(server.info("loading"), "1");
    let mut heard = Vec::new();
    while !heard.iter().any(|text: &String| text.contains("READY=1")) {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    assert!(heard[0].starts_with("STATUS=Loading"), "{heard:?}");
    assert_eq!(server.info("loading"), "0");
}

#[test]
fn a_server_that_is_loading_can_be_ended() {
    let mut server = start(&[]);
    let mut client = server.connect();
    client.run("DEBUG POPULATE 20000 key 1000");
    client.run("SAVE");
    let file = fs::metadata(server.folder().join("dump.rdb"))
        .unwrap()
        .len();
    server.kill();
    let mut server = server.start_again(&["--key-load-delay", "1000", "--save", "900 1"]);
    assert!(
        server
            .connect()
            .run("SET key x")
            .text()
            .starts_with("LOADING")
    );
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(
        fs::metadata(server.folder().join("dump.rdb"))
            .unwrap()
            .len(),
        file
    );
}

#[test]
fn a_bad_file_ends_the_server() {
    let mut server = start(&[]);
    let mut client = server.connect();
    fill(&mut client);
    let before = digest(&server);
    client.run("SAVE");
    server.kill();
    let path = server.folder().join("dump.rdb");
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    for bad in [&flipped[..], &good[..good.len() / 2], b"", b"nonsense"] {
        fs::write(&path, bad).unwrap();
        let (status, log) = server.fail_to_start_again(&[]);
        assert_eq!(status.code(), Some(1), "{log}");
        let last = log.lines().last().unwrap();
        assert!(last.contains("Fatal error loading the DB"), "{log}");
    }
    fs::write(&path, good).unwrap();
    let server = server.start_again(&DEBUG);
    wait_until_loaded(&server);
    assert_eq!(digest(&server), before);
}

#[test]
fn the_end_saves_what_is_to_be_saved() {
    // How it is ended, with which save points, and whether there is a snapshot then.
    for (words, points, saves) in [
        ("SHUTDOWN", "", false),
        ("SHUTDOWN", "900 1", true),
        ("SHUTDOWN NOSAVE", "900 1", false),
        ("SHUTDOWN SAVE", "", true),
        ("SHUTDOWN SAVE NOW FORCE", "", true),
        ("TERM", "", false),
        ("TERM", "900 1", true),
        ("INT", "900 1", true),
    ] {
        let mut server = start(&["--save", points]);
        let mut client = server.connect();
        client.run("SET key 1");
        match words.strip_prefix("SHUTDOWN") {
            Some(_) => {
                client.send(format!("{words}\r\n"));
                assert_eq!(client.read_to_close(), b"", "{words}");
            }
            None => server.signal(words),
        }
        assert_eq!(server.wait().code(), Some(0), "{words}");
        let file = server.folder().join("dump.rdb");
        assert_eq!(file.exists(), saves, "{words} with save points {points:?}");
    }
}

#[test]
fn the_end_is_refused_when_saving_fails() {
    let mut server = start(&["--save", "900 1"]);
    let mut client = server.connect();
    client.run("SET key 1");
    fs::create_dir(server.folder().join("dump.rdb")).unwrap();
    let refusal = "ERR Errors trying to SHUTDOWN. Check logs.";
    assert_eq!(client.run("SHUTDOWN").text(), refusal);
    server.signal("TERM");
    wait_for(TIMEOUT, "the refusal", || {
        let log = server.log();
        (log.matches("Error trying to save the DB, can't exit.")
            .count()
            == 2)
            .then_some(())
    });
    assert_eq!(client.run("GET key").text(), "1");
    assert!(client.run("SHUTDOWN SAVE NOSAVE").is_error());
    assert!(client.run("SHUTDOWN ABORT NOW").is_error());
    assert!(
        client
            .run("SHUTDOWN ABORT")
            .text()
            .contains("No shutdown in progress")
    );
    client.send("SHUTDOWN FORCE\r\n");
    assert_eq!(client.read_to_close(), b"");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_end_takes_the_child_along() {
    let mut server = start(&[]);
    let mut client = server.connect();
    client.run("DEBUG POPULATE 100");
    client.run("CONFIG SET rdb-key-save-delay 1000000");
    client.run("BGSAVE");
    let child = child_of(&server);
    client.send("SHUTDOWN NOSAVE\r\n");
    assert_eq!(server.wait().code(), Some(0));
    assert!(!Path::new("/proc").join(child).exists());
    assert_eq!(temporary_files(server.folder()), [""; 0]);
}
