// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading a TCP stream in two steps: look at it, and only then take it.
//!
//! A process that dies between the two has consumed nothing, so its heir finds the same bytes. The
//! price is that bytes looked at still fill the receive window.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

/// Copies what waits at the head of the stream into `buf` and leaves it there. 0 means end of
/// stream.
///
/// # Errors
///
/// `WouldBlock` if nothing waits; the error of the connection.
pub fn peek(fd: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    receive(fd, buf.as_mut_ptr(), buf.len(), libc::MSG_PEEK)
}

/// Copies and takes what waits at the head of the stream. 0 means end of stream.
///
/// # Errors
///
/// As [`peek`].
pub fn read(fd: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    receive(fd, buf.as_mut_ptr(), buf.len(), 0)
}

/// Takes `len` bytes that a [`peek`] has shown, without copying them, in one call that cannot stop
/// in the middle as long as they are queued. Says how many it took.
///
/// # Errors
///
/// `WouldBlock` if nothing waits; the error of the connection.
pub fn commit(fd: impl AsFd, len: usize) -> io::Result<usize> {
    receive(fd, std::ptr::null_mut(), len, libc::MSG_TRUNC)
}

/// `recv` that never waits. With `MSG_TRUNC` on TCP the buffer is not touched and may be null.
fn receive(fd: impl AsFd, buf: *mut u8, len: usize, flags: i32) -> io::Result<usize> {
    loop {
        // SAFETY: the descriptor is borrowed. `buf` holds `len` bytes, or the flags hold MSG_TRUNC,
        // with which TCP discards and never writes (tcp(7)).
        let n = unsafe {
            libc::recv(fd.as_fd().as_raw_fd(), buf.cast(), len, flags | libc::MSG_DONTWAIT)
        };
        if n >= 0 {
            return Ok(n as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (sender, listener.accept().unwrap().0)
    }

    fn wait_for(receiver: &TcpStream, want: usize) -> Vec<u8> {
        let mut buf = [0; 64];
        for _ in 0..1_000_000 {
            match peek(receiver, &mut buf) {
                Ok(n) if n >= want => return buf[..n].to_vec(),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => panic!("{e}"),
            }
            std::thread::yield_now();
        }
        panic!("the bytes never came");
    }

    #[test]
    fn peek_leaves_and_commit_takes() {
        let (mut sender, receiver) = pair();
        sender.write_all(b"hello world").unwrap();
        assert_eq!(wait_for(&receiver, 11), b"hello world");
        assert_eq!(wait_for(&receiver, 11), b"hello world");
        assert_eq!(commit(&receiver, 6).unwrap(), 6);
        assert_eq!(wait_for(&receiver, 5), b"world");
        let mut buf = [0; 3];
        assert_eq!(read(&receiver, &mut buf).unwrap(), 3);
        assert_eq!(&buf, b"wor");
        assert_eq!(commit(&receiver, 2).unwrap(), 2);
        assert_eq!(peek(&receiver, &mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(sender);
        for _ in 0..1_000_000 {
            match peek(&receiver, &mut buf) {
                Ok(0) => return,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                other => panic!("{other:?}"),
            }
        }
        panic!("the end never came");
    }
}
