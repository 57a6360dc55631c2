//! Children: copies of this process that do one piece of work and end. They see memory as it was at the moment of
//! the fork; pages that either side writes to are copied then.
//!
//! A child has one thread, whatever the parent had, and every lock that another thread held stays locked in it. Its
//! work therefore keeps to memory, files and the log: the allocators are told of forks, and nobody waits long for
//! the log's locks.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::process::exit_at_once;
use super::signal::leave_stop_signals_to_parent;

/// The exit code of a child whose work panicked.
const PANICKED: i32 = 101;

/// The signal by which a child is ended that is no longer wanted.
pub const DISMISSAL_SIGNAL: i32 = libc::SIGUSR1;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Starts a child that does `work` and ends with the code that this returns; no destructor and no exit handler
/// runs in it. Before its work it closes `unwanted`: descriptors, such as the sockets of clients, that it must not
/// keep open behind its parent's back. Returns its process id.
pub fn fork_and_run(unwanted: &[RawFd], work: impl FnOnce() -> i32) -> io::Result<i32> {
    // SAFETY: the child keeps to what the head of this file says; it never returns from here.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            for &descriptor in unwanted {
                // SAFETY: closing takes a number. Whoever owns the descriptor here, a copy of its owner in the
                // parent, is never used or dropped again, as the caller promises of its work.
                unsafe { libc::close(descriptor) };
            }
            leave_stop_signals_to_parent();
            let code = catch_unwind(AssertUnwindSafe(work)).unwrap_or(PANICKED);
            exit_at_once(code)
        }
        pid => Ok(pid),
    }
}

/// Whether a child has ended, and how; does not wait for it. An ended child is forgotten by the system once this
/// has said so.
pub fn child_ended(pid: i32) -> io::Result<Option<Ended>> {
    wait_for(pid, libc::WNOHANG)
}

/// Waits until a child ends.
pub fn wait_for_child(pid: i32) -> io::Result<Ended> {
    let ended = wait_for(pid, 0)?;
    Ok(ended.expect("a wait without WNOHANG ends with the child"))
}

fn wait_for(pid: i32, flags: c_int) -> io::Result<Option<Ended>> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is there to be written to.
        match unsafe { libc::waitpid(pid, &mut status, flags) } {
            0 => return Ok(None),
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            _ if libc::WIFSIGNALED(status) => {
                return Ok(Some(Ended::Signal(libc::WTERMSIG(status))));
            }
            _ => return Ok(Some(Ended::Code(libc::WEXITSTATUS(status)))),
        }
    }
}

/// Sends a child of ours a signal.
pub fn signal_child(pid: i32, signal: i32) {
    assert!(pid > 0, "a child has a process id of its own");
    // SAFETY: kill takes numbers; the child is not waited for yet, so its id names nobody else.
    unsafe { libc::kill(pid, signal) };
}

/// Has reads and writes of a descriptor fail with `WouldBlock` rather than wait.
pub fn set_nonblocking(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let descriptor = descriptor.as_raw_fd();
    // SAFETY: the descriptor is open for as long as it is borrowed; the flags are numbers.
    unsafe {
        let flags = libc::fcntl(descriptor, libc::F_GETFL);
        if flags == -1 || libc::fcntl(descriptor, libc::F_SETFL, flags | libc::O_NONBLOCK) == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Asks the system to begin writing a part of a file to the disk, and does not wait for it: so that the bytes do
/// not pile up until the file is synchronised. Systems that cannot are none the worse for it.
pub fn begin_write_out(file: BorrowedFd<'_>, from: u64, len: u64) {
    let (Ok(from), Ok(len)) = (i64::try_from(from), i64::try_from(len)) else {
        return;
    };
    // SAFETY: the descriptor is open for as long as it is borrowed; the rest are numbers.
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), from, len, libc::SYNC_FILE_RANGE_WRITE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sys::child;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    /// Only does something when the test below starts it as a process of its own.
    #[test]
    fn process_that_has_children() {
        let Some(_) = child::scenario() else {
            return;
        };
        child::alone(|| {
            let (mut from_child, mut to_parent) = std::io::pipe().unwrap();
            let unwanted = std::fs::File::open("/dev/null").unwrap();
            let pid = fork_and_run(&[unwanted.as_raw_fd()], || {
                let closed = unwanted.metadata().is_err();
                to_parent.write_all(&[u8::from(closed)]).unwrap();
                7
            });
            drop(to_parent);
            let mut said = Vec::new();
            from_child.read_to_end(&mut said).unwrap();
            assert_eq!(said, [1]);
            assert!(unwanted.metadata().is_ok());
            assert_eq!(wait_for_child(pid.unwrap()).unwrap(), Ended::Code(7));

            let (held, mut holding) = std::io::pipe().unwrap();
            let mut held = Some(held);
            let pid = fork_and_run(&[holding.as_raw_fd()], || {
                let _ = held.take().unwrap().read(&mut [0]);
                0
            });
            let pid = pid.unwrap();
            assert_eq!(child_ended(pid).unwrap(), None);
            holding.write_all(b"").unwrap();
            signal_child(pid, DISMISSAL_SIGNAL);
            assert_eq!(
                wait_for_child(pid).unwrap(),
                Ended::Signal(DISMISSAL_SIGNAL)
            );
            assert!(child_ended(pid).is_err());
        });
    }

    #[test]
    fn children_end_as_they_are_told() {
        let output = child::run(
            "base::sys::fork::tests::process_that_has_children",
            "children",
        );
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
    }

    #[test]
    fn a_pipe_that_does_not_wait() {
        let (mut reader, _writer) = std::io::pipe().unwrap();
        set_nonblocking(reader.as_fd()).unwrap();
        let error = reader.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
