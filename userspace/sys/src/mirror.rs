// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Packets that come in at an interface, cut: a packet socket that only reads. Needs CAP_NET_RAW.

use std::{
    ffi::CString,
    io,
    mem::{size_of, zeroed},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::Duration,
};

/// How long [`Mirror::receive`] waits for a packet.
const WAIT: Duration = Duration::from_millis(200);
/// Octets the kernel may keep for us; it allows less unless it is told otherwise.
const BUFFER: usize = 16 << 20;

/// A packet socket bound to an interface, which is promiscuous as long as this lives.
#[derive(Debug)]
pub struct Mirror {
    socket: OwnedFd,
    data: Vec<u8>,
    drops: u64,
}

/// A packet, from its network layer on.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// As much of it as was wanted.
    pub data: &'a [u8],
    /// Octets it has.
    pub len: u32,
}

fn length<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

impl Mirror {
    /// Opens `interface`; of each packet `cut` octets are read.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` without CAP_NET_RAW; no such interface.
    pub fn open(interface: &str, cut: usize) -> io::Result<Self> {
        let name = CString::new(interface)?;
        // SAFETY: the name ends with a NUL and outlives the call.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        let index = libc::c_int::try_from(index).unwrap_or(0);
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        // Protocol 0: nothing is received before it is bound, from no other interface either.
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        let fd = checked(fd)?;
        // SAFETY: it has just been opened and is nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let settings = socket2::SockRef::from(&socket);
        settings.set_recv_buffer_size(BUFFER)?;
        settings.set_read_timeout(Some(WAIT))?;

        // SAFETY: an all-zero sockaddr_ll is a valid value.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index;
        let pointer = (&raw const address).cast();
        // SAFETY: a sockaddr_ll of the length that is told, and it outlives the call.
        checked(unsafe { libc::bind(fd, pointer, length::<libc::sockaddr_ll>()) })?;

        // SAFETY: an all-zero packet_mreq is a valid value.
        let mut all: libc::packet_mreq = unsafe { zeroed() };
        all.mr_ifindex = index;
        all.mr_type = libc::PACKET_MR_PROMISC as u16;
        let (level, option) = (libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP);
        let pointer = (&raw const all).cast();
        // SAFETY: a packet_mreq of the length that is told, and it outlives the call.
        let set =
            unsafe { libc::setsockopt(fd, level, option, pointer, length::<libc::packet_mreq>()) };
        checked(set)?;
        Ok(Self { socket, data: vec![0; cut.max(1)], drops: 0 })
    }

    /// Waits for a packet that comes in; `None` if there was none for a while, or one that goes out.
    ///
    /// # Errors
    ///
    /// Those of `recvfrom`, such as that the interface is gone.
    pub fn receive(&mut self) -> io::Result<Option<Packet<'_>>> {
        // SAFETY: an all-zero sockaddr_ll is a valid value.
        let mut from: libc::sockaddr_ll = unsafe { zeroed() };
        let mut from_len = length::<libc::sockaddr_ll>();
        // SAFETY: buffer and address have the lengths that are told, and outlive the call; with
        // MSG_TRUNC the kernel writes no more than that and returns the packet's own length.
        let len = unsafe {
            libc::recvfrom(
                self.socket.as_raw_fd(),
                self.data.as_mut_ptr().cast(),
                self.data.len(),
                libc::MSG_TRUNC,
                (&raw mut from).cast(),
                &raw mut from_len,
            )
        };
        let Ok(len) = usize::try_from(len) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            };
        };
        if from.sll_pkttype == libc::PACKET_OUTGOING {
            return Ok(None);
        }
        let data = self.data.get(..len.min(self.data.len())).unwrap_or_default();
        Ok(Some(Packet { data, len: u32::try_from(len).unwrap_or(u32::MAX) }))
    }

    /// Packets the kernel dropped since [`Mirror::open`] for want of room.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt`.
    pub fn drops(&mut self) -> io::Result<u64> {
        // SAFETY: an all-zero tpacket_stats is a valid value.
        let mut stats: libc::tpacket_stats = unsafe { zeroed() };
        let mut stats_len = length::<libc::tpacket_stats>();
        let fd = self.socket.as_raw_fd();
        let (level, option) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
        // SAFETY: a tpacket_stats of the length that is told, and it outlives the call.
        let got = unsafe {
            libc::getsockopt(fd, level, option, (&raw mut stats).cast(), &raw mut stats_len)
        };
        checked(got)?;
        // The kernel begins at 0 again with every call.
        self.drops += u64::from(stats.tp_drops);
        Ok(self.drops)
    }
}
