//! One connection's socket.

use crate::base::sys;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// A connected socket of either kind.
pub(super) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Transport {
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        retry(|| match self {
            Transport::Tcp(s) => s.read(into),
            Transport::Unix(s) => s.read(into),
        })
    }

    /// Reads at most `max` bytes into the room that is behind those of `into`.
    pub(super) fn read_behind(&mut self, into: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        retry(|| match self {
            Transport::Tcp(s) => sys::receive(s.as_fd(), into, max),
            Transport::Unix(s) => sys::receive(s.as_fd(), into, max),
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| match self {
            Transport::Tcp(s) => s.write(bytes),
            Transport::Unix(s) => s.write(bytes),
        })
    }

    pub(super) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        retry(|| match self {
            Transport::Tcp(s) => s.write_vectored(slices),
            Transport::Unix(s) => s.write_vectored(slices),
        })
    }

    /// Registers for both directions at once, edge-triggered: nothing is ever re-registered.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Transport::Tcp(s) => registry.register(s, token, both),
            Transport::Unix(s) => registry.register(s, token, both),
        }
    }

    pub(super) fn fd(&self) -> RawFd {
        match self {
            Transport::Tcp(s) => s.as_raw_fd(),
            Transport::Unix(s) => s.as_raw_fd(),
        }
    }
}

/// Repeats a call that a signal interrupted.
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
