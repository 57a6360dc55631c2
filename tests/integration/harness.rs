//! Starts servers for tests: each on a free loopback port, in a folder of its own, ended by its pid when
//! the test is over; a test that fails shows the server's log.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::resp::{Client, Value};

/// How long a server may take to accept connections, and to end.
const START_STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// The program under test: ours, or the one that `CINNABAR_TEST_SERVER` names.
pub fn program() -> PathBuf {
    std::env::var_os("CINNABAR_TEST_SERVER")
        .map_or_else(|| env!("CARGO_BIN_EXE_cinnabar").into(), PathBuf::from)
}

/// False when the tests run against another server. Tests of what only ours has begin with this.
pub fn is_ours() -> bool {
    std::env::var_os("CINNABAR_TEST_SERVER").is_none()
}

/// A running server.
pub struct Server {
    child: Child,
    pub port: u16,
    /// `None` once another server has it.
    folder: Option<TempDir>,
}

impl Server {
    /// Starts a server with extra directives, as on its command line, and waits until it answers.
    pub fn start(args: &[&str]) -> Server {
        ServerBuilder::new().args(args).start()
    }

    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// A new connection that speaks raw protocol.
    pub fn connect(&self) -> Client {
        Client::tcp(&self.address())
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder the server runs in.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("it is still ours").path()
    }

    /// A field of INFO, over a connection of its own.
    pub fn info(&self, field: &str) -> String {
        info_field(&self.connect().run("INFO everything").text(), field)
    }

    pub fn info_number(&self, field: &str) -> i64 {
        let value = self.info(field);
        value
            .parse()
            .unwrap_or_else(|_| panic!("INFO's {field} is no integer: {value}"))
    }

    /// What the server wrote to standard output and standard error.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder().join("log")).unwrap_or_default())
            .into_owned()
    }

    /// Sends a signal by name, such as "TERM".
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "kill -s {name} {}", self.pid());
    }

    /// Waits for the server to end by itself.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait_for(START_STOP_TIMEOUT, "the server to end", || {
            self.child.try_wait().unwrap()
        })
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends the server by SIGKILL and waits for that.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts another server in the same folder once this one has ended.
    pub fn start_again(self, args: &[&str]) -> Server {
        ServerBuilder::in_folder_of(self).args(args).start()
    }

    /// The same for one that is not expected to come up: how it ended, and what it wrote.
    pub fn fail_to_start_again(&mut self, args: &[&str]) -> (ExitStatus, String) {
        let mut builder = ServerBuilder::new().args(args);
        std::mem::swap(
            &mut builder.folder,
            self.folder.as_mut().expect("still ours"),
        );
        let status = builder.spawn(free_port()).wait().unwrap();
        std::mem::swap(
            &mut builder.folder,
            self.folder.as_mut().expect("still ours"),
        );
        (status, self.log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail for a server that has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() && self.folder.is_some() {
            eprintln!(
                "--- log of the server on port {} ---\n{}---",
                self.port,
                self.log()
            );
        }
    }
}

/// How a server is to be started.
pub struct ServerBuilder {
    program: PathBuf,
    args: Vec<String>,
    config: Option<String>,
    environment: Vec<(String, String)>,
    folder: TempDir,
}

impl ServerBuilder {
    /// For a server that goes on where another, which has ended, was.
    fn in_folder_of(mut server: Server) -> ServerBuilder {
        assert!(!server.is_running(), "one server at a time in a folder");
        let folder = server.folder.take().expect("it is still there");
        ServerBuilder {
            folder,
            ..ServerBuilder::new()
        }
    }

    fn new() -> ServerBuilder {
        ServerBuilder {
            program: program(),
            args: Vec::new(),
            config: None,
            environment: Vec::new(),
            folder: tempfile::Builder::new()
                .prefix("cinnabar-test-")
                .tempdir()
                .expect("a temporary folder"),
        }
    }

    pub fn args(mut self, args: &[&str]) -> ServerBuilder {
        self.args.extend(args.iter().map(|arg| arg.to_string()));
        self
    }

    /// Starts with a configuration file of this text, `server.conf` in the server's folder.
    pub fn config(mut self, text: &str) -> ServerBuilder {
        self.config = Some(text.to_owned());
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> ServerBuilder {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the program under another name: servers look at argv\[0\].
    pub fn program(mut self, program: &Path) -> ServerBuilder {
        self.program = program.to_owned();
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn start(self) -> Server {
        let mut builder = self;
        loop {
            // Another process may take the port between the question and the server's start.
            let port = free_port();
            let child = builder.spawn(port);
            let mut server = Server {
                child,
                port,
                folder: Some(builder.folder),
            };
            let deadline = Instant::now() + START_STOP_TIMEOUT;
            loop {
                if answers(&server) {
                    return server;
                }
                let ended = !server.is_running();
                if ended && server.log().contains("already in use") {
                    builder.folder = server.folder.take().expect("it was just given");
                    break;
                }
                assert!(!ended, "the server ended at its start");
                assert!(Instant::now() < deadline, "the server does not answer");
                thread::sleep(Duration::from_millis(10));
            }
        }
    }

    fn spawn(&self, port: u16) -> Child {
        let folder = self.folder.path();
        let mut command = Command::new(&self.program);
        if let Some(config) = &self.config {
            fs::write(folder.join("server.conf"), config).unwrap();
            command.arg(folder.join("server.conf"));
        }
        let log = File::create(folder.join("log")).unwrap();
        command
            .args(["--port", &port.to_string(), "--save", ""])
            .args(["--dir", folder.to_str().expect("a UTF-8 path")])
            .args(&self.args)
            .current_dir(folder)
            .env_remove("NOTIFY_SOCKET")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()))
    }
}

/// True once the server's own port answers: with PONG, or with an error that a server gives.
fn answers(server: &Server) -> bool {
    if std::net::TcpStream::connect(server.address()).is_err() {
        return false;
    }
    let mut client = server.connect();
    client.try_send("PING\r\n").is_ok() && client.try_read().is_ok()
}

/// A loopback port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Asks again and again until there is an answer; fails when the time is over.
#[track_caller]
pub fn wait_for<T>(timeout: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {timeout:?} for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The value of a field in the text of INFO.
pub fn info_field(info: &str, field: &str) -> String {
    info.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .unwrap_or_else(|| panic!("no {field} in INFO"))
        .to_owned()
}

/// The value of one parameter by CONFIG GET.
pub fn config_get(client: &mut Client, name: &str) -> String {
    match client.command(&["CONFIG", "GET", name]) {
        Value::Array(items) if items.len() == 2 => items[1].text(),
        other => panic!("CONFIG GET {name}: {other:?}"),
    }
}
