//! The server as a process: how it starts under supervision, what it logs, how it ends.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Server, free_port, is_ours, program, wait_for};
use crate::resp::{Client, REPLY_TIMEOUT, Value};

#[test]
fn sigterm_ends_it_cleanly() {
    let builder = Server::builder();
    let socket = builder.folder().join("socket");
    let pidfile = builder.folder().join("pidfile");
    let mut server = builder
        .args(&[
            "--unixsocket",
            socket.to_str().unwrap(),
            "--pidfile",
            pidfile.to_str().unwrap(),
        ])
        .start();
    assert_eq!(
        fs::read_to_string(&pidfile).unwrap().trim(),
        server.pid().to_string()
    );
    let mut client = server.connect();
    assert_eq!(client.run("PING"), Value::Simple("PONG".into()));
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(client.read_to_close(), b"");
    assert!(!pidfile.exists(), "the pid file is gone");
    assert!(!socket.exists(), "the socket is gone");
    assert!(
        server.log().contains("ready to exit, bye bye"),
        "the log says goodbye"
    );
}

#[test]
fn sigint_and_shutdown_end_it_too() {
    let mut server = Server::start(&[]);
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));

    let mut server = Server::start(&[]);
    let mut client = server.connect();
    client.send("SHUTDOWN NOSAVE\r\n");
    assert_eq!(client.read_to_close(), b"");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn sighup_is_ignored() {
    let mut server = Server::start(&[]);
    server.signal("HUP");
    std::thread::sleep(Duration::from_millis(200));
    assert!(server.is_running());
    assert_eq!(server.connect().run("PING"), Value::Simple("PONG".into()));
}

#[test]
fn systemd_is_told_when_it_is_ready() {
    let builder = Server::builder();
    let path = builder.folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(REPLY_TIMEOUT)).unwrap();
    let mut server = builder
        .environment("NOTIFY_SOCKET", path.to_str().unwrap())
        .args(&["--supervised", "systemd"])
        .start();
    let heard = |expected: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length = socket
                .recv(&mut buffer)
                .unwrap_or_else(|error| panic!("no {expected}: {error}"));
            if String::from_utf8_lossy(&buffer[..length])
                .lines()
                .any(|line| line == expected)
            {
                return;
            }
        }
    };
    heard("READY=1");
    server.signal("TERM");
    heard("STOPPING=1");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_log_has_the_lines_that_tools_wait_for() {
    let server = Server::start(&[]);
    let log = server.log();
    assert!(log.contains("Server initialized"), "{log}");
    assert!(log.contains("Ready to accept connections"), "{log}");
    // pid:role day month year time level message
    let line = log
        .lines()
        .find(|line| line.contains("Ready to accept connections"))
        .unwrap();
    assert!(line.starts_with(&format!("{}:M ", server.pid())), "{line}");
    assert!(line.contains(" * Ready"), "{line}");
}

#[test]
fn the_log_goes_to_a_file() {
    let server = Server::start(&["--logfile", "server.log", "--loglevel", "warning"]);
    let file = server.folder().join("server.log");
    assert!(file.exists());
    assert!(
        !fs::read_to_string(&file)
            .unwrap()
            .contains("Ready to accept"),
        "a notice is below warning"
    );
    assert_eq!(
        server.connect().run("CONFIG SET loglevel debug"),
        Value::ok()
    );
}

#[test]
fn a_daemon_detaches_and_leaves_its_pid() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let port = free_port();
    let output = Command::new(program())
        .args([
            "--port",
            &port.to_string(),
            "--daemonize",
            "yes",
            "--save",
            "",
            "--dir",
            &at(""),
        ])
        .args(["--pidfile", &at("pidfile"), "--logfile", &at("log")])
        .output()
        .unwrap();
    assert!(output.status.success());
    let pid = wait_for(Duration::from_secs(10), "the pid file", || {
        fs::read_to_string(at("pidfile"))
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    let _guard = KillOnDrop(pid.trim().to_owned());
    let address = format!("127.0.0.1:{port}");
    wait_for(Duration::from_secs(10), "the port", || {
        std::net::TcpStream::connect(&address).ok()
    });
    let mut client = Client::tcp(&address);
    assert!(
        client
            .run("INFO server")
            .text()
            .contains(&format!("process_id:{}\r\n", pid.trim()))
    );
    client.send("SHUTDOWN NOSAVE\r\n");
    client.read_to_close();
    wait_for(Duration::from_secs(10), "its end", || {
        (!Path::new(&at("pidfile")).exists()).then_some(())
    });
}

/// Ends a process that is no child of the test when the test is over, passed or failed.
struct KillOnDrop(String);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Fails, as it should, for a process that has ended.
        let _ = Command::new("kill")
            .args(["-s", "KILL", &self.0])
            .stderr(Stdio::null())
            .status();
    }
}

#[test]
fn a_taken_port_is_a_clear_error() {
    let server = Server::start(&[]);
    let output = Command::new(program())
        .args([
            "--port",
            &server.port.to_string(),
            "--save",
            "",
            "--dir",
            server.folder().to_str().unwrap(),
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("in use"), "{said}");
    assert!(said.contains(&server.port.to_string()), "{said}");
}

#[test]
fn it_answers_to_the_name_redis_server() {
    if !is_ours() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("redis-server");
    std::os::unix::fs::symlink(program(), &link).unwrap();
    let server = Server::builder()
        .program(&link)
        .args(&["--timeout", "3"])
        .start();
    assert_eq!(
        crate::harness::config_get(&mut server.connect(), "timeout"),
        "3"
    );
}

#[test]
fn a_thread_of_the_allocator_gives_memory_back_as_configured() {
    if !is_ours() {
        return;
    }
    let server = Server::start(&[]);
    let has_thread = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("threads");
        let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm"));
        tasks
            .flatten()
            .any(|task| name(task).is_ok_and(|name| name.starts_with("jemalloc_bg")))
    };
    let mut client = server.connect();
    for (setting, expected) in [("yes", true), ("no", false), ("yes", true)] {
        client.run(&format!("CONFIG SET jemalloc-bg-thread {setting}"));
        // It gives itself its name.
        wait_for(Duration::from_secs(5), "the thread", || {
            (has_thread() == expected).then_some(())
        });
    }
    // The child of a process that has it writes nevertheless.
    client.run("SET a b");
    client.run("BGSAVE");
    wait_for(Duration::from_secs(10), "the snapshot", || {
        (server.info("rdb_bgsave_in_progress") == "0").then_some(())
    });
    assert_eq!(server.info("rdb_last_bgsave_status"), "ok");
}

#[test]
fn a_crash_leaves_a_report() {
    let mut server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.send("DEBUG SEGFAULT\r\n");
    client.read_to_close();
    assert!(!server.wait().success());
    let log = server.log();
    for expected in [
        "BUG REPORT START",
        "crashed by signal: 11",
        "redis_version:",
    ] {
        assert!(log.contains(expected), "no {expected:?} in the log");
    }
}
