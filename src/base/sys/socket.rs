#![allow(unsafe_code)]
//! Sockets, where the standard library would have memory cleared that is about to be overwritten.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Receives at most `max` bytes behind those that `into` holds. Its room must have been made: none is added.
pub fn receive(socket: BorrowedFd<'_>, into: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    let room = into.spare_capacity_mut();
    let len = room.len().min(max);
    // SAFETY: the descriptor is open for as long as it is borrowed; so many bytes may be written there.
    let received = unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), len, 0) };
    let Ok(received) = usize::try_from(received) else {
        return Err(io::Error::last_os_error());
    };
    assert!(
        received <= len,
        "the system wrote no more than there was room for"
    );
    // SAFETY: these bytes were written just now.
    unsafe { into.set_len(into.len() + received) };
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::receive;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_received_lies_behind_what_was_there() {
        let (mut sender, receiver) = UnixStream::pair().expect("two sockets");
        sender.write_all(b"0123456789").expect("there is room");
        let mut into = Vec::with_capacity(8);
        into.extend_from_slice(b"ab");
        assert_eq!(
            receive(receiver.as_fd(), &mut into, 3).expect("received"),
            3
        );
        assert_eq!(into, b"ab012");
        // No more than there is room for.
        let room = into.capacity() - into.len();
        let received = receive(receiver.as_fd(), &mut into, 100).expect("received");
        assert_eq!(received, room.min(7));
        drop(sender);
        let mut rest = Vec::with_capacity(100);
        while receive(receiver.as_fd(), &mut rest, 100).expect("received") > 0 {}
        assert_eq!([&into[2..], &rest[..]].concat(), b"0123456789");
    }
}
