// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a bound or connected socket says of itself, and accepting from it.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    time::Duration,
};

use socket2::SockRef;

use crate::{Result, sockopt};

/// Accepts one connection, non-blocking and close-on-exec.
///
/// # Errors
///
/// `WouldBlock` if none waits; anything `accept(2)` lists, of which only a bad descriptor is final.
pub fn accept(listener: impl AsFd) -> io::Result<(OwnedFd, SocketAddr)> {
    // SAFETY: an all-zero sockaddr_storage is a valid value.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the descriptor is borrowed; the kernel writes at most `len` bytes of address.
    let fd = unsafe {
        libc::accept4(
            listener.as_fd().as_raw_fd(),
            (&raw mut storage).cast(),
            &raw mut len,
            libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let addr = crate::datagram::to_socket_addr(&storage).ok_or(io::ErrorKind::InvalidData)?;
    Ok((fd, addr))
}

/// Address a socket is bound to.
///
/// # Errors
///
/// If it is not an IP socket.
pub fn local_addr(fd: impl AsFd) -> io::Result<SocketAddr> {
    SockRef::from(&fd).local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether a socket is one of streams (TCP), not of datagrams.
///
/// # Errors
///
/// If the descriptor is no socket.
pub fn is_stream(fd: impl AsFd) -> io::Result<bool> {
    Ok(SockRef::from(&fd).r#type()? == socket2::Type::STREAM)
}

/// Turns keep-alive on, so that a peer that vanished is noticed within `idle` and a few probes.
///
/// # Errors
///
/// If the kernel refuses.
pub fn keep_alive(fd: impl AsFd, idle: Duration) -> io::Result<()> {
    let probes = socket2::TcpKeepalive::new()
        .with_time(idle)
        .with_interval(Duration::from_secs(10))
        .with_retries(6);
    SockRef::from(&fd).set_tcp_keepalive(&probes)
}

/// Takes the pending error of the socket.
///
/// # Errors
///
/// If the descriptor is no socket.
pub fn take_error(fd: impl AsFd) -> io::Result<Option<io::Error>> {
    SockRef::from(&fd).take_error()
}

/// The receive buffer in force, in the kernel's count (twice what was asked).
///
/// # Errors
///
/// If the descriptor is no socket.
pub fn receive_buffer(fd: impl AsFd) -> io::Result<usize> {
    SockRef::from(&fd).recv_buffer_size()
}

/// Bytes held by the receive queue of a socket, book-keeping included (`SO_MEMINFO`).
///
/// # Errors
///
/// [`crate::Error::Missing`] before Linux 4.12.
pub fn receive_memory(fd: impl AsFd) -> Result<u32> {
    sockopt::get::<MemInfo>(fd, "SO_MEMINFO", libc::SOL_SOCKET, libc::SO_MEMINFO)
        .map(|(info, _)| info.0[0])
}

/// `SO_MEMINFO`: nine counters, of which the first is what the receive queue holds.
#[derive(Clone, Copy, Default)]
struct MemInfo([u32; 9]);

// SAFETY: an array of integers.
unsafe impl sockopt::Plain for MemInfo {}
