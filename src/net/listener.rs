//! Listening sockets, made as the configuration says.

use crate::base::sys;
use crate::server::client::Endpoint;
use crate::server::config::Config;
use mio::net::{TcpListener, TcpStream, UnixListener};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use super::transport::Transport;

/// All listening sockets, watched by the poll.
pub(super) struct Listeners {
    /// The Unix one, if there is one, before the others: its place does not change.
    all: Vec<Listener>,
    registry: Registry,
    /// The token of the first.
    first_token: usize,
}

impl Listeners {
    /// The most that there can be.
    pub(super) const COUNT_MAX: usize = 64;

    /// Opens those that a configuration names.
    pub(super) fn open(
        config: &Config,
        registry: &Registry,
        first_token: usize,
    ) -> Result<Listeners, String> {
        let registry = registry.try_clone().map_err(|e| e.to_string())?;
        let mut listeners = Listeners {
            all: Vec::new(),
            registry,
            first_token,
        };
        let unix = open_unix(config)?;
        let all = unix.into_iter().chain(open_tcp(config)?);
        listeners.watch(all.collect());
        if listeners.all.is_empty() {
            return Err("Configured to not listen anywhere, exiting.".into());
        }
        Ok(listeners)
    }

    /// Opens the TCP ones anew. If that fails there may be none left, and the caller tries what was before.
    pub(super) fn reopen_tcp(&mut self, config: &Config) -> Result<(), String> {
        // Two sockets on one port get in each other's way, so there the old ones go first.
        if self.all.iter().any(|l| l.port() == Some(config.port)) {
            self.close_tcp();
        }
        let opened = open_tcp(config)?;
        self.close_tcp();
        self.watch(opened);
        Ok(())
    }

    /// Accepts a connection from one of them, or fails with `WouldBlock`.
    pub(super) fn accept(&self, index: usize, keepalive_s: u32) -> io::Result<Accepted> {
        match self.all.get(index) {
            Some(listener) => listener.accept(keepalive_s),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// The descriptors of all of them.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        self.all.iter().map(Listener::descriptor).collect()
    }

    fn close_tcp(&mut self) {
        self.all.retain(|listener| listener.port().is_none());
    }

    fn watch(&mut self, opened: Vec<Listener>) {
        self.all.extend(opened);
        self.all.truncate(Self::COUNT_MAX);
        for (index, listener) in self.all.iter_mut().enumerate() {
            let token = Token(self.first_token + index);
            if let Err(e) = listener.register(&self.registry, token)
                && e.kind() != io::ErrorKind::AlreadyExists
            {
                tracing::warn!("A listener can't be watched: {e}");
            }
        }
    }
}

/// A listening socket of either kind.
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// A connection as it was accepted.
pub(super) struct Accepted {
    pub(super) transport: Transport,
    pub(super) peer: Endpoint,
    pub(super) local: Endpoint,
}

impl Listener {
    /// The port of a TCP one.
    fn port(&self) -> Option<u16> {
        match self {
            // A bound socket has an address.
            Listener::Tcp(listener) => Some(listener.local_addr().map_or(0, |a| a.port())),
            Listener::Unix(..) => None,
        }
    }

    fn descriptor(&self) -> RawFd {
        match self {
            Listener::Tcp(listener) => listener.as_raw_fd(),
            Listener::Unix(listener, _) => listener.as_raw_fd(),
        }
    }

    /// Accepts a connection, or fails with `WouldBlock`.
    fn accept(&self, keepalive_s: u32) -> io::Result<Accepted> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                prepare(&stream, keepalive_s);
                let local = Endpoint::tcp(stream.local_addr()?);
                Ok(Accepted {
                    transport: Transport::Tcp(stream),
                    peer: Endpoint::tcp(peer),
                    local,
                })
            }
            Listener::Unix(listener, path) => {
                let (stream, _) = listener.accept()?;
                let here = Endpoint::unix(path.clone());
                Ok(Accepted {
                    transport: Transport::Unix(stream),
                    peer: here.clone(),
                    local: here,
                })
            }
        }
    }

    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Listener::Tcp(l) => registry.register(l, token, Interest::READABLE),
            Listener::Unix(l, _) => registry.register(l, token, Interest::READABLE),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            // Nothing is lost if somebody removed it already.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Sets what every TCP connection has. Neither is worth refusing a client for.
fn prepare(stream: &TcpStream, keepalive_s: u32) {
    let _ = stream.set_nodelay(true);
    if keepalive_s > 0 {
        let idle = Duration::from_secs(keepalive_s.into());
        let between = Duration::from_secs((keepalive_s / 3).max(1).into());
        let keepalive = TcpKeepalive::new()
            .with_time(idle)
            .with_interval(between)
            .with_retries(3);
        let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
    }
}

/// Opens all TCP listeners of a configuration, or says which address failed and why.
fn open_tcp(config: &Config) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    if config.port == 0 {
        return Ok(listeners);
    }
    for entry in &config.bind {
        let (name, optional) = match entry.strip_prefix('-') {
            Some(name) => (name, true),
            None => (entry.as_str(), false),
        };
        match addresses(name, config.port).and_then(|all| bind_first(&all, config.tcp_backlog)) {
            Ok(listener) => listeners.push(Listener::Tcp(listener)),
            Err(e) if optional && is_absent(&e) => {}
            Err(e) => {
                tracing::warn!(
                    "Warning: Could not create server TCP listening socket {name}:{}: {e}",
                    config.port
                );
                return Err(format!(
                    "Failed listening on port {} (tcp), aborting.",
                    config.port
                ));
            }
        }
    }
    Ok(listeners)
}

/// Opens the Unix listener of a configuration, if it names one.
fn open_unix(config: &Config) -> Result<Option<Listener>, String> {
    if config.unixsocket.is_empty() {
        return Ok(None);
    }
    let path = config.unixsocket.as_path();
    let failed = |e: io::Error| format!("Failed opening Unix socket: bind: {e}");
    // A socket that an earlier process left behind is in the way.
    let _ = std::fs::remove_file(path);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
    let address = socket2::SockAddr::unix(path).map_err(failed)?;
    socket.bind(&address).map_err(failed)?;
    socket.listen(config.tcp_backlog as i32).map_err(failed)?;
    if !config.unixsocketgroup.is_empty() {
        let group = config.unixsocketgroup.to_text();
        let id = sys::group_id(&group)
            .ok_or_else(|| format!("Failed opening Unix socket: there is no group '{group}'"))?;
        std::os::unix::fs::chown(path, None, Some(id)).map_err(failed)?;
    }
    if config.unixsocketperm != 0 {
        let mode = std::fs::Permissions::from_mode(config.unixsocketperm);
        std::fs::set_permissions(path, mode).map_err(failed)?;
    }
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(Some(Listener::Unix(
        UnixListener::from_std(std::os::fd::OwnedFd::from(socket).into()),
        path.to_path_buf(),
    )))
}

/// The addresses that an entry of `bind` stands for.
fn addresses(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match name {
        "*" => Ok(vec![SocketAddr::new(
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port,
        )]),
        "::*" => Ok(vec![SocketAddr::new(
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            port,
        )]),
        _ => Ok(std::net::ToSocketAddrs::to_socket_addrs(&(name, port))?.collect()),
    }
}

fn bind_first(addresses: &[SocketAddr], backlog: u32) -> io::Result<TcpListener> {
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "no address");
    for &address in addresses {
        match bind(address, backlog) {
            Ok(listener) => return Ok(listener),
            Err(e) => failure = e,
        }
    }
    Err(failure)
}

fn bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog as i32)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Whether an address failed because the machine does not have it, or its family.
fn is_absent(e: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, InvalidInput, Unsupported};
    matches!(e.kind(), AddrNotAvailable | Unsupported | InvalidInput) || e.raw_os_error().is_none()
}
