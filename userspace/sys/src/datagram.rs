// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Many datagrams per call, each with its sender, and the kernel's count of those it dropped.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsFd, AsRawFd},
};

/// Room for the largest UDP payload.
pub const DATAGRAM_MAX: usize = 65_536;

/// Room for one control message with a `u32`.
const CONTROL: usize = 64;

/// Buffers for one `recvmmsg`, reused from call to call.
pub struct Batch {
    data: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    control: Vec<[u64; CONTROL / 8]>,
    lens: Vec<(usize, bool)>,
    filled: usize,
    drops: Option<u32>,
}

/// One received datagram.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// Its sender.
    pub from: SocketAddr,
    /// Its payload.
    pub payload: &'a [u8],
}

impl Batch {
    /// Room for `count` datagrams of any size.
    pub fn new(count: usize) -> Self {
        // SAFETY: an all-zero sockaddr_storage is a valid value.
        let name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        Self {
            data: vec![0; count * DATAGRAM_MAX],
            names: vec![name; count],
            control: vec![[0; CONTROL / 8]; count],
            lens: vec![(0, false); count],
            filled: 0,
            drops: None,
        }
    }

    /// Receives what waits, at most as many as there is room for, without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing waits; a pending error of the socket.
    pub fn receive(&mut self, fd: impl AsFd) -> io::Result<usize> {
        self.filled = 0;
        let count = self.names.len();
        let mut vectors: Vec<libc::iovec> = self
            .data
            .chunks_exact_mut(DATAGRAM_MAX)
            .map(|c| libc::iovec { iov_base: c.as_mut_ptr().cast(), iov_len: DATAGRAM_MAX })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = Vec::with_capacity(count);
        for ((vector, name), control) in
            vectors.iter_mut().zip(&mut self.names).zip(&mut self.control)
        {
            // SAFETY: an all-zero mmsghdr is a valid value; its fields are set below.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL as _;
            headers.push(header);
        }
        // SAFETY: every header points at a name, one vector and a control buffer of the lengths it
        // states; all of them outlive the call.
        let n = unsafe {
            libc::recvmmsg(
                fd.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                count as _,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        if n < 0 {
            return Err(io::Error::last_os_error());
        }
        self.filled = n as usize;
        for (header, len) in headers.iter().zip(&mut self.lens).take(self.filled) {
            *len = (header.msg_len as usize, header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0);
        }
        if let Some(last) = headers.get(..self.filled).and_then(<[_]>::last) {
            self.drops = overflow(&last.msg_hdr).or(self.drops);
        }
        Ok(self.filled)
    }

    /// The datagrams of the last [`Batch::receive`].
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.data
            .chunks_exact(DATAGRAM_MAX)
            .zip(&self.lens)
            .zip(&self.names)
            .take(self.filled)
            .filter_map(|((data, &(len, _)), name)| {
                Some(Datagram { from: to_socket_addr(name)?, payload: data.get(..len)? })
            })
    }

    /// Datagrams the kernel dropped at this socket since it was made, as last reported
    /// (`SO_RXQ_OVFL`; wraps at 32 bits). The kernel reports it only once it is not 0.
    pub fn kernel_drops(&self) -> u32 {
        self.drops.unwrap_or(0)
    }
}

/// The `SO_RXQ_OVFL` counter among the control messages of `header`.
fn overflow(header: &libc::msghdr) -> Option<u32> {
    // SAFETY: the kernel has set msg_controllen to what it wrote into a buffer that still lives, and
    // the CMSG macros stay within that length; the data of this kind is one u32, read unaligned.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while !at.is_null() {
            if (*at).cmsg_level == libc::SOL_SOCKET && (*at).cmsg_type == libc::SO_RXQ_OVFL {
                return Some(libc::CMSG_DATA(at).cast::<u32>().read_unaligned());
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    None
}

/// The IP address and port in `storage`, if its family has them.
pub(crate) fn to_socket_addr(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage, which is larger and aligned for all
            // families, holds a sockaddr_in.
            let v4 = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let v6 = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::fd::OwnedFd};

    use super::*;
    use crate::listen::Unbound;

    fn receiver(addr: &str, buffer: u32) -> (OwnedFd, SocketAddr) {
        let unbound = Unbound::udp(addr.parse().unwrap()).unwrap();
        unbound.receive_buffer(buffer).unwrap();
        let fd = unbound.bind().unwrap();
        let addr = crate::bound::local_addr(&fd).unwrap();
        (fd, addr)
    }

    #[test]
    fn a_batch_holds_senders_and_payloads_of_both_families() {
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let (fd, to) = receiver(loopback, 1 << 20);
            let sender = UdpSocket::bind(loopback).unwrap();
            let large = vec![7; 60_000];
            for payload in [&b"a"[..], b"", &large] {
                sender.send_to(payload, to).unwrap();
            }
            let mut batch = Batch::new(4);
            assert_eq!(batch.receive(&fd).unwrap(), 3);
            let got: Vec<_> = batch.iter().map(|d| (d.from, d.payload.len())).collect();
            let from = sender.local_addr().unwrap();
            assert_eq!(got, [(from, 1), (from, 0), (from, 60_000)]);
            assert_eq!(batch.receive(&fd).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            assert_eq!(batch.iter().count(), 0);
        }
    }

    #[test]
    fn drops_of_the_kernel_are_reported() {
        let (fd, to) = receiver("127.0.0.1:0", 4096);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[0; 1000], to).unwrap();
        }
        let mut batch = Batch::new(16);
        let mut received = 0;
        while let Ok(n) = batch.receive(&fd) {
            received += n;
        }
        // The counter travels with datagrams queued after the drop.
        sender.send_to(b"last", to).unwrap();
        received += batch.receive(&fd).unwrap();
        assert!(received < 101, "nothing was dropped");
        assert_eq!(batch.kernel_drops() as usize, 101 - received);
    }
}
