// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sockets that join a `SO_REUSEPORT` group, made in steps so that options can be set before `bind`.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use socket2::{Domain, Socket, Type};

use crate::sockopt;

/// A socket with `SO_REUSEPORT` that is not bound yet.
#[derive(Debug)]
pub struct Unbound {
    socket: Socket,
    addr: SocketAddr,
}

impl Unbound {
    /// A TCP socket for a listener on `addr`. IPv6 sockets take IPv6 only.
    ///
    /// # Errors
    ///
    /// If the family is not available or descriptors are out.
    pub fn tcp(addr: SocketAddr) -> io::Result<Self> {
        Self::new(addr, Type::STREAM)
    }

    /// A UDP socket for `addr` that reports how many datagrams its buffer had no room for.
    ///
    /// # Errors
    ///
    /// If the family is not available or descriptors are out.
    pub fn udp(addr: SocketAddr) -> io::Result<Self> {
        let new = Self::new(addr, Type::DGRAM)?;
        sockopt::set(&new, "SO_RXQ_OVFL", libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &1_u32)
            .map_err(io::Error::other)?;
        Ok(new)
    }

    fn new(addr: SocketAddr, kind: Type) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), kind.nonblocking().cloexec(), None)?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if kind == Type::STREAM {
            socket.set_reuse_address(true)?;
        }
        socket.set_reuse_port(true)?;
        Ok(Self { socket, addr })
    }

    /// Sets the receive buffer, beyond `rmem_max` where the capability allows it. Says what the
    /// kernel made of it (it doubles the number for its own book-keeping).
    ///
    /// # Errors
    ///
    /// If even the plain option is refused.
    pub fn receive_buffer(&self, bytes: u32) -> io::Result<usize> {
        let forced = sockopt::set(
            &self.socket,
            "SO_RCVBUFFORCE",
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            &bytes,
        );
        if forced.is_err() {
            self.socket.set_recv_buffer_size(bytes as usize)?;
        }
        self.socket.recv_buffer_size()
    }

    /// Binds, and so joins the group of the address.
    ///
    /// # Errors
    ///
    /// The address is in use without `SO_REUSEPORT` or by another user, or not ours.
    pub fn bind(self) -> io::Result<OwnedFd> {
        self.socket.bind(&self.addr.into())?;
        Ok(self.socket.into())
    }

    /// Binds and listens.
    ///
    /// # Errors
    ///
    /// As [`Unbound::bind`].
    pub fn listen(self, backlog: i32) -> io::Result<OwnedFd> {
        self.socket.bind(&self.addr.into())?;
        self.socket.listen(backlog)?;
        Ok(self.socket.into())
    }
}

impl AsFd for Unbound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
