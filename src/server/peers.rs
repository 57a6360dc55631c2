//! Connections to other servers that MIGRATE has opened, kept open for a while since the next key often goes
//! the same way. They are used while the command runs and by nobody else: reading and writing waits, at most
//! for the command's timeout.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The connections, by host and port.
#[derive(Default)]
pub struct Peers {
    open: HashMap<Box<[u8]>, Peer>,
}

/// A connection.
pub struct Peer {
    stream: TcpStream,
    /// The database that is selected there, if it is known.
    pub db: Option<i64>,
    used_ms: i64,
    /// What came and was not read yet.
    ahead: Vec<u8>,
}

/// How many connections are kept.
const OPEN_MAX: usize = 64;
/// For how long they are kept.
const KEPT_MS: i64 = 10_000;
/// The longest line of a reply.
const LINE_MAX: usize = 1024;

impl Peers {
    /// How many connections are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The connection to a server, a new one if none is open.
    pub fn get(
        &mut self,
        host: &[u8],
        port: &[u8],
        timeout: Duration,
        now_ms: i64,
    ) -> io::Result<&mut Peer> {
        let name = name_of(host, port);
        if !self.open.contains_key(&name) {
            if self.open.len() >= OPEN_MAX
                && let Some(oldest) = self.oldest()
            {
                self.open.remove(&oldest);
            }
            let stream = connect(host, port, timeout)?;
            self.open.insert(
                name.clone(),
                Peer {
                    stream,
                    db: None,
                    used_ms: now_ms,
                    ahead: Vec::new(),
                },
            );
        }
        let peer = self.open.get_mut(&name).expect("it was just put there");
        peer.used_ms = now_ms;
        peer.stream.set_read_timeout(Some(timeout))?;
        peer.stream.set_write_timeout(Some(timeout))?;
        Ok(peer)
    }

    /// Notes which database is selected at a server, if that is known.
    pub fn note_db(&mut self, host: &[u8], port: &[u8], db: Option<i64>) {
        if let Some(peer) = self.open.get_mut(&name_of(host, port)) {
            peer.db = db;
        }
    }

    /// Closes the connection to a server.
    pub fn close(&mut self, host: &[u8], port: &[u8]) {
        self.open.remove(&name_of(host, port));
    }

    /// Closes the connections that were not used for a while.
    pub fn close_idle(&mut self, now_ms: i64) {
        self.open.retain(|_, peer| now_ms - peer.used_ms <= KEPT_MS);
    }

    fn oldest(&self) -> Option<Box<[u8]>> {
        let oldest = self.open.iter().min_by_key(|(_, peer)| peer.used_ms);
        oldest.map(|(name, _)| name.clone())
    }
}

impl Peer {
    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.ahead.clear();
        self.stream.write_all(bytes)
    }

    /// The next line of what comes back, without its end.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.ahead) {
                let mut line: Vec<u8> = self.ahead.drain(..=end).collect();
                line.truncate(end);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            if self.ahead.len() > LINE_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut piece = [0; LINE_MAX];
            match self.stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => self.ahead.extend_from_slice(&piece[..len]),
            }
        }
    }
}

/// Whether it took too long, so that another attempt would too.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

fn name_of(host: &[u8], port: &[u8]) -> Box<[u8]> {
    [host, b":", port].concat().into()
}

fn connect(host: &[u8], port: &[u8], timeout: Duration) -> io::Result<TcpStream> {
    let wrong = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let host = std::str::from_utf8(host).map_err(wrong)?;
    let port = std::str::from_utf8(port).map_err(wrong)?;
    let port: u16 = port.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
