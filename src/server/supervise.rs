//! How the process appears to whoever started it: supervision by systemd or upstart, the pid file, the process title,
//! processor lists.
//!
//! systemd's protocol is datagrams of `NAME=value` lines to the socket named in `$NOTIFY_SOCKET` (sd_notify(3));
//! upstart waits until the process stops itself.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::{info, warn};

use super::log;
use super::snapshot;
use crate::base::sys;

/// What the configuration says about supervision (`supervised`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervision {
    /// Nobody watches.
    No,
    /// Upstart waits for SIGSTOP.
    Upstart,
    /// systemd waits for a datagram.
    Systemd,
    /// Whoever the environment names.
    Auto,
}

/// The tie to whoever supervises us. Its messages are lost silently when nobody does.
#[derive(Debug, Default)]
pub struct Supervisor {
    kind: Kind,
    /// What is to be said of it once there is a log, and whether it is a warning.
    notice: Option<(bool, String)>,
}

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Nobody,
    Upstart,
    Systemd(Notifier),
}

impl Supervisor {
    /// Finds out who supervises us. A supervisor that was asked for and is not there costs a warning; see
    /// [`Supervisor::announce`].
    pub fn detect(wanted: Supervision) -> Supervisor {
        let upstart_job = std::env::var_os("UPSTART_JOB");
        let notify_socket = std::env::var_os("NOTIFY_SOCKET");
        Supervisor::of_environment(wanted, upstart_job.as_deref(), notify_socket.as_deref())
    }

    fn of_environment(
        wanted: Supervision,
        upstart_job: Option<&OsStr>,
        notify_socket: Option<&OsStr>,
    ) -> Supervisor {
        let (kind, notice) = match (wanted, upstart_job, notify_socket) {
            (Supervision::No, ..) | (Supervision::Auto, None, None) => (Kind::Nobody, None),
            (Supervision::Upstart | Supervision::Auto, Some(_), _) => {
                let notice = "Supervised by upstart: stopping until it lets us go on";
                (Kind::Upstart, Some((false, notice.to_owned())))
            }
            (Supervision::Systemd | Supervision::Auto, _, Some(socket)) => {
                match Notifier::connect(socket) {
                    Ok(notifier) => {
                        let notice =
                            "Supervised by systemd: it will be told when the server is ready";
                        (Kind::Systemd(notifier), Some((false, notice.to_owned())))
                    }
                    Err(error) => {
                        let notice = format!(
                            "Supervised by systemd, but its socket cannot be used: {error}"
                        );
                        (Kind::Nobody, Some((true, notice)))
                    }
                }
            }
            (Supervision::Upstart, None, _) => {
                let notice = "Supervision by upstart was asked for, but UPSTART_JOB is not set";
                (Kind::Nobody, Some((true, notice.to_owned())))
            }
            (Supervision::Systemd, _, None) => {
                let notice = "Supervision by systemd was asked for, but NOTIFY_SOCKET is not set";
                (Kind::Nobody, Some((true, notice.to_owned())))
            }
        };
        Supervisor { kind, notice }
    }

    /// Logs who was found: that is done before there is a log.
    pub fn announce(&self) {
        match &self.notice {
            Some((true, notice)) => warn!("{notice}"),
            Some((false, notice)) => info!("{notice}"),
            None => {}
        }
    }

    /// Who supervises us, as INFO says it.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Nobody => "no",
            Kind::Upstart => "upstart",
            Kind::Systemd(_) => "systemd",
        }
    }

    /// Whether somebody supervises us; then the process must not go to the background.
    pub fn is_supervised(&self) -> bool {
        !matches!(self.kind, Kind::Nobody)
    }

    /// Lets upstart know that the process is up, by stopping until it continues us. Nothing for others.
    pub fn stop_for_upstart(&self) {
        if matches!(self.kind, Kind::Upstart) {
            sys::stop_own_process();
        }
    }

    /// The server takes commands from now on.
    pub fn ready(&self) {
        self.notify("STATUS=Ready to accept connections\nREADY=1\n");
    }

    /// The server is shutting down.
    pub fn stopping(&self) {
        self.notify("STATUS=Shutting down\nSTOPPING=1\n");
    }

    /// What the server is doing, for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.notify(&format!("STATUS={}\n", status.replace('\n', " ")));
    }

    /// Starting or stopping takes this much longer, counted from now. While a big file loads, this must be said
    /// again before the time is over.
    pub fn extend_timeout(&self, more: Duration) {
        self.notify(&format!("EXTEND_TIMEOUT_USEC={}\n", more.as_micros()));
    }

    fn notify(&self, message: &str) {
        if let Kind::Systemd(notifier) = &self.kind {
            notifier.send(message);
        }
    }
}

/// A socket that systemd listens on.
#[derive(Debug)]
struct Notifier {
    socket: UnixDatagram,
}

impl Notifier {
    /// A name that begins with `@` is in the abstract namespace; others are paths.
    fn connect(name: &OsStr) -> io::Result<Notifier> {
        let name = name.as_bytes();
        let address = match name {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
            [b'/', ..] => SocketAddr::from_pathname(Path::new(OsStr::from_bytes(name)))?,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = UnixDatagram::unbound()?;
        // A supervisor that does not read must not stop the server.
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        Ok(Notifier { socket })
    }

    fn send(&self, message: &str) {
        if let Err(error) = self.socket.send(message.as_bytes()) {
            warn!(
                "systemd could not be told {:?}: {error}",
                message.trim_end()
            );
        }
    }
}

/// Takes charge of the signals that are not crashes: SIGHUP and SIGPIPE do nothing, SIGTERM and SIGINT are remembered
/// for `sys::stop_signal` and write a byte to `wake`. A SIGINT while one is remembered exits at once with code 1, so
/// the server keeps the request (`sys::clear_stop_signal`) until its shutdown is called off.
pub fn install_signals(wake: OwnedFd) -> io::Result<()> {
    sys::ignore_harmless_signals()?;
    sys::install_stop_signals(wake, || {
        log::write_emergency(format_args!(
            "Interrupted again: exiting at once, without saving"
        ));
        snapshot::remove_temporary_file_at_once();
    })
}

/// The pid file that a server in the background writes if none is configured.
pub const DEFAULT_PID_FILE: &str = "/var/run/redis.pid";

/// A file that holds our process id for as long as we run.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes the file. A server without one is still a server, so a failure costs a warning only.
    pub fn create(path: &Path) -> Option<PidFile> {
        match fs::write(path, format!("{}\n", std::process::id())) {
            // The path is kept whole: the server changes its working directory.
            Ok(()) => Some(PidFile {
                path: path.canonicalize().unwrap_or_else(|_| path.into()),
            }),
            Err(error) => {
                warn!("Failed to write the pid file {}: {error}", path.display());
                None
            }
        }
    }

    /// Removes the file, at the end.
    pub fn remove(self) {
        info!("Removing the pid file.");
        let _ = fs::remove_file(&self.path);
    }
}

/// Fills in a process title's template (`proc-title-template`), in which `{name}` stands for what `value` says for
/// that name, and `{{` for a brace. `None` if a name is unknown or a brace does not close.
pub fn expand_title(template: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut title = String::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        title.push_str(&rest[..open]);
        // A brace that stands for itself.
        if let Some(after) = rest[open + 1..].strip_prefix('{') {
            title.push('{');
            rest = after;
            continue;
        }
        let (name, after) = rest[open + 1..].split_once('}')?;
        title.push_str(&value(name)?);
        rest = after;
    }
    title.push_str(rest);
    Some(title)
}

/// The processors that a list such as `0,2,4-7` or `0-15:2` (every second one) names. `None` if it is not one.
pub fn parse_cpu_list(list: &str) -> Option<Vec<usize>> {
    const CPUS_MAX: usize = 1024;
    let number = |text: &str| {
        text.trim()
            .parse()
            .ok()
            .filter(|&cpu: &usize| cpu < CPUS_MAX)
    };
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let (range, stride) = match part.split_once(':') {
            Some((range, stride)) => (range, number(stride).filter(|&stride| stride > 0)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(range)?, number(range)?),
        };
        if first > last {
            return None;
        }
        cpus.extend((first..=last).step_by(stride));
    }
    cpus.sort_unstable();
    cpus.dedup();
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_detection(
        wanted: Supervision,
        upstart_job: Option<&str>,
        notify_socket: Option<&str>,
        expected: &str,
    ) {
        let found = Supervisor::of_environment(
            wanted,
            upstart_job.map(OsStr::new),
            notify_socket.map(OsStr::new),
        );
        let kind = match found.kind {
            Kind::Nobody => "nobody",
            Kind::Upstart => "upstart",
            Kind::Systemd(_) => "systemd",
        };
        assert_eq!(
            kind, expected,
            "{wanted:?} {upstart_job:?} {notify_socket:?}"
        );
        assert_eq!(found.is_supervised(), expected != "nobody");
    }

    #[test]
    fn the_environment_tells_who_supervises() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _listening = UnixDatagram::bind(&path).unwrap();
        let socket = path.to_str();
        check_detection(Supervision::No, Some("job"), socket, "nobody");
        check_detection(Supervision::Auto, None, None, "nobody");
        check_detection(Supervision::Auto, Some("job"), socket, "upstart");
        check_detection(Supervision::Auto, None, socket, "systemd");
        check_detection(Supervision::Upstart, None, socket, "nobody");
        check_detection(Supervision::Upstart, Some("job"), None, "upstart");
        check_detection(Supervision::Systemd, Some("job"), None, "nobody");
        check_detection(Supervision::Systemd, Some("job"), socket, "systemd");
        check_detection(
            Supervision::Systemd,
            None,
            Some("/nonexistent/socket"),
            "nobody",
        );
        check_detection(Supervision::Systemd, None, Some("relative"), "nobody");
        check_detection(Supervision::Systemd, None, Some(""), "nobody");
    }

    /// Everything that is said arrives at `listening`, named `name` in the environment.
    fn check_messages(listening: &UnixDatagram, name: &str) {
        let supervisor =
            Supervisor::of_environment(Supervision::Systemd, None, Some(OsStr::new(name)));
        let heard = || {
            let mut buffer = [0; 1000];
            let length = listening.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        listening
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        supervisor.status("Loading\nREADY=1");
        assert_eq!(heard(), "STATUS=Loading READY=1\n");
        supervisor.extend_timeout(Duration::from_millis(1500));
        assert_eq!(heard(), "EXTEND_TIMEOUT_USEC=1500000\n");
        supervisor.ready();
        assert_eq!(heard(), "STATUS=Ready to accept connections\nREADY=1\n");
        supervisor.stopping();
        assert_eq!(heard(), "STATUS=Shutting down\nSTOPPING=1\n");
        // Upstart's way does not stop a process that systemd watches.
        supervisor.stop_for_upstart();
    }

    #[test]
    fn systemd_hears_everything_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listening = UnixDatagram::bind(&path).unwrap();
        check_messages(&listening, path.to_str().unwrap());

        let name = format!("cinnabar-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listening = UnixDatagram::bind_addr(&address).unwrap();
        check_messages(&listening, &format!("@{name}"));
    }

    #[test]
    fn the_pid_file_lives_as_long_as_we_want() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.pid");
        let file = PidFile::create(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        file.remove();
        assert!(!path.exists());
        assert!(PidFile::create(Path::new("/nonexistent/server.pid")).is_none());
    }

    fn check_title(template: &str, expected: Option<&str>) {
        let value = |name: &str| match name {
            "title" => Some("cinnabar".to_string()),
            "port" => Some("{port}".to_string()),
            "empty" => Some(String::new()),
            _ => None,
        };
        assert_eq!(
            expand_title(template, value).as_deref(),
            expected,
            "{template}"
        );
    }

    #[test]
    fn titles_are_templates() {
        check_title("", Some(""));
        check_title("plain", Some("plain"));
        check_title("a {title} b{empty}{port}}", Some("a cinnabar b{port}}"));
        check_title("{unknown}", None);
        check_title("{title", None);
        check_title("{}", None);
    }

    fn check_cpus(list: &str, expected: Option<&[usize]>) {
        assert_eq!(parse_cpu_list(list).as_deref(), expected, "{list}");
    }

    #[test]
    fn cpu_lists_have_numbers_ranges_and_strides() {
        check_cpus("0", Some(&[0]));
        check_cpus("0,2,3", Some(&[0, 2, 3]));
        check_cpus("3-5,1", Some(&[1, 3, 4, 5]));
        check_cpus("1-7:3,4", Some(&[1, 4, 7]));
        check_cpus("2-2", Some(&[2]));
        for wrong in [
            "", ",", "a", "1-", "-1", "3-1", "1:0", "1-3:0", "0-1024", "1,", "1--2",
        ] {
            check_cpus(wrong, None);
        }
    }
}
