// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sockets as the kernel tells of them over `NETLINK_SOCK_DIAG`, the members of `SO_REUSEPORT` groups
//! among them.
//!
//! The caller's network namespace only. No capability is needed; who owns a socket is told by its
//! inode, to be looked up in `/proc`.

use std::{
    io::{self, Read},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use socket2::{Domain, Socket, Type};
use telesteer_uapi::{
    diag as attr,
    reuseport::{ReuseportMember, ReuseportMemberStats},
};

/// `NETLINK_SOCK_DIAG`.
const SOCK_DIAG: i32 = 4;
/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// Bytes of `struct nlmsghdr`, `struct inet_diag_req_v2`, `struct inet_diag_msg`.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const MESSAGE: usize = 72;
/// Attribute types without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const TYPE: u16 = 0x3fff;
/// `INET_DIAG_SKV6ONLY`.
const SKV6ONLY: u16 = 11;
/// More than the kernel puts into one message of a dump.
const BUFFER: usize = 64 << 10;

/// Transport of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// States of a dump, bits by the kernel's numbers.
pub mod states {
    /// Established TCP sessions, connected UDP sockets.
    pub const ESTABLISHED: u32 = 1 << 1;
    /// Sessions whose peer has sent all it will send.
    pub const CLOSE_WAIT: u32 = 1 << 8;
    /// Unconnected UDP sockets.
    pub const UNCONNECTED: u32 = 1 << 7;
    /// TCP listeners.
    pub const LISTEN: u32 = 1 << 10;
}

/// One socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagSocket {
    /// Its own address.
    pub local: SocketAddr,
    /// That of the other end; unspecified if there is none.
    pub remote: SocketAddr,
    /// An IPv6 socket that takes IPv6 only.
    pub only_v6: bool,
    /// The device it is bound to, or 0.
    pub interface: u32,
    /// State, a number of the kernel's.
    pub state: u8,
    /// Bytes not read; of a listener: sessions not accepted.
    pub receive_queue: u32,
    /// User that made it.
    pub uid: u32,
    /// Its inode; 0 if no process has it, as an unaccepted session.
    pub inode: u32,
    /// `SO_COOKIE`.
    pub cookie: u64,
    /// Its group, if one of its options is in use there.
    pub reuseport: Option<Reuseport>,
}

/// What the kernel tells of a member and its group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reuseport {
    /// Number of the group.
    pub group: u32,
    /// Sockets in it.
    pub members: u32,
    /// Policy in force.
    pub policy: Option<String>,
    /// Settings and counter; none if the socket is beyond the handles of the group.
    pub member: Option<ReuseportMemberStats>,
}

/// Hands every socket of `protocol` in one of `states` to `each`, IPv4 first.
///
/// # Errors
///
/// If the kernel has no sock_diag, or answers with something else than sockets.
pub fn dump(protocol: Protocol, states: u32, mut each: impl FnMut(DiagSocket)) -> io::Result<()> {
    for family in [libc::AF_INET, libc::AF_INET6] {
        match dump_family(protocol, family as u8, states, &mut each) {
            // A kernel without IPv6.
            Err(error) if family == libc::AF_INET6 && error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

fn dump_family(
    protocol: Protocol,
    family: u8,
    states: u32,
    each: &mut impl FnMut(DiagSocket),
) -> io::Result<()> {
    let socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::RAW.cloexec(),
        Some(socket2::Protocol::from(SOCK_DIAG)),
    )?;
    // Not connected: netlink takes that for the kernel.
    socket.send(&request(protocol, family, states))?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = (&socket).read(&mut buffer)?;
        if messages(&buffer[..n], each)? {
            return Ok(());
        }
    }
}

fn request(protocol: Protocol, family: u8, states: u32) -> Vec<u8> {
    let protocol = match protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
    };
    let len = (HEADER + REQUEST) as u32;
    let mut bytes = Vec::with_capacity(HEADER + REQUEST);
    bytes.extend(len.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(DUMP.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, protocol as u8, 0, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.resize(HEADER + REQUEST, 0);
    bytes
}

/// Takes one buffer of messages apart; true at the end of the dump.
fn messages(mut bytes: &[u8], each: &mut impl FnMut(DiagSocket)) -> io::Result<bool> {
    if bytes.is_empty() {
        return Err(torn());
    }
    while !bytes.is_empty() {
        let len = u32_at(bytes, 0)? as usize;
        let message = bytes.get(..len).filter(|_| len >= HEADER).ok_or_else(torn)?;
        match u16_at(message, 4)? {
            DONE => return Ok(true),
            ERROR => {
                let errno = u32_at(message, HEADER)? as i32;
                return Err(io::Error::from_raw_os_error(errno.wrapping_neg()));
            }
            BY_FAMILY => each(socket(&message[HEADER..])?),
            _ => {}
        }
        bytes = bytes.get(align(len)..).unwrap_or_default();
    }
    Ok(false)
}

/// `struct inet_diag_msg` and its attributes.
fn socket(bytes: &[u8]) -> io::Result<DiagSocket> {
    let family = *bytes.first().ok_or_else(torn)?;
    let address = |port: usize, at: usize| -> io::Result<SocketAddr> {
        let ip = if i32::from(family) == libc::AF_INET6 {
            IpAddr::from(Ipv6Addr::from(array::<16>(bytes, at)?))
        } else {
            IpAddr::from(Ipv4Addr::from(array::<4>(bytes, at)?))
        };
        Ok(SocketAddr::new(ip, u16::from_be_bytes(array(bytes, port)?)))
    };
    let mut socket = DiagSocket {
        state: *bytes.get(1).ok_or_else(torn)?,
        local: address(4, 8)?,
        remote: address(6, 24)?,
        only_v6: false,
        interface: u32_at(bytes, 40)?,
        // Two words, the lower half first.
        cookie: u64::from(u32_at(bytes, 44)?) | u64::from(u32_at(bytes, 48)?) << 32,
        receive_queue: u32_at(bytes, 56)?,
        uid: u32_at(bytes, 64)?,
        inode: u32_at(bytes, 68)?,
        reuseport: None,
    };
    attributes(bytes.get(MESSAGE..).ok_or_else(torn)?, |kind, value| {
        match kind {
            SKV6ONLY => socket.only_v6 = value.first().is_some_and(|byte| *byte != 0),
            attr::INET_DIAG_REUSEPORT => socket.reuseport = Some(reuseport(value)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(socket)
}

fn reuseport(bytes: &[u8]) -> io::Result<Reuseport> {
    let mut found = Reuseport::default();
    let (mut member, mut selections, mut named) = (ReuseportMember::default(), 0, false);
    attributes(bytes, |kind, value| {
        match kind {
            attr::GROUP => found.group = u32_at(value, 0)?,
            attr::MEMBERS => found.members = u32_at(value, 0)?,
            attr::POLICY => {
                let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
                found.policy = Some(String::from_utf8_lossy(name).into_owned());
            }
            attr::ID => {
                member.id = u64::from_ne_bytes(array(value, 0)?);
                named = true;
            }
            attr::WEIGHT => member.weight = u32_at(value, 0)?,
            attr::FLAGS => member.flags = u32_at(value, 0)?,
            attr::SELECTIONS => selections = u64::from_ne_bytes(array(value, 0)?),
            _ => {}
        }
        Ok(())
    })?;
    found.member = named.then_some(ReuseportMemberStats { member, selections });
    Ok(found)
}

/// Walks over attributes: length and type in two bytes each, then the value, then padding.
fn attributes(
    mut bytes: &[u8],
    mut each: impl FnMut(u16, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    while bytes.len() >= 4 {
        let len = usize::from(u16_at(bytes, 0)?);
        let value = bytes.get(4..len).ok_or_else(torn)?;
        each(u16_at(bytes, 2)? & TYPE, value)?;
        bytes = bytes.get(align(len)..).unwrap_or_default();
    }
    Ok(())
}

fn align(len: usize) -> usize {
    len.next_multiple_of(4)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; N]> {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().ok_or_else(torn)
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> io::Result<u16> {
    array(bytes, at).map(u16::from_ne_bytes)
}

fn torn() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "sock_diag: a message is cut short")
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    fn find(protocol: Protocol, states: u32, local: SocketAddr) -> Vec<DiagSocket> {
        let mut all = Vec::new();
        dump(protocol, states, |socket| {
            if socket.local == local {
                all.push(socket);
            }
        })
        .unwrap();
        all
    }

    #[test]
    fn own_sockets_are_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let stream = TcpStream::connect(local).unwrap();
        let found = find(Protocol::Tcp, states::LISTEN, local);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].cookie, crate::ident::socket_cookie(&listener).unwrap());
        assert_eq!(found[0].receive_queue, 1, "one session is not accepted");
        assert_eq!(found[0].reuseport, None);

        // The session is there, and nobody's.
        let sessions = find(Protocol::Tcp, states::ESTABLISHED, local);
        assert_eq!(sessions.len(), 1);
        assert_eq!(sessions[0].remote, stream.local_addr().unwrap());
        assert_eq!(sessions[0].inode, 0);
        let accepted = listener.accept().unwrap();
        assert_ne!(find(Protocol::Tcp, states::ESTABLISHED, local)[0].inode, 0);
        drop(accepted);
    }

    #[test]
    fn udp_and_v6_are_found() {
        let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = v4.local_addr().unwrap();
        assert_eq!(find(Protocol::Udp, states::UNCONNECTED, local).len(), 1);
        // The broken twin: it is not there in another state, nor as TCP.
        assert!(find(Protocol::Udp, states::ESTABLISHED, local).is_empty());
        assert!(find(Protocol::Tcp, states::LISTEN, local).is_empty());
        if let Ok(v6) = UdpSocket::bind("[::1]:0") {
            let local = v6.local_addr().unwrap();
            assert_eq!(find(Protocol::Udp, states::UNCONNECTED, local).len(), 1);
        }
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn the_nest_is_read() {
        let nest = [
            attribute(attr::GROUP, &7_u32.to_ne_bytes()),
            attribute(attr::MEMBERS, &3_u32.to_ne_bytes()),
            attribute(attr::POLICY, b"source\0"),
            attribute(attr::ID, &(1_u64 << 40).to_ne_bytes()),
            attribute(attr::WEIGHT, &2_u32.to_ne_bytes()),
            attribute(attr::FLAGS, &1_u32.to_ne_bytes()),
            attribute(attr::SELECTIONS, &99_u64.to_ne_bytes()),
            attribute(100, b"from a newer kernel"),
        ]
        .concat();
        let found = reuseport(&nest).unwrap();
        assert_eq!((found.group, found.members), (7, 3));
        assert_eq!(found.policy.as_deref(), Some("source"));
        let member = ReuseportMember { id: 1 << 40, weight: 2, flags: 1 };
        assert_eq!(found.member, Some(ReuseportMemberStats { member, selections: 99 }));
        // Without a handle, without a policy.
        let found = reuseport(&nest[..16]).unwrap();
        assert_eq!((found.members, found.policy, found.member), (3, None, None));
    }

    #[test]
    fn torn_messages_are_errors() {
        let id = attribute(attr::ID, &[0; 8]);
        assert!(reuseport(&id[..8]).is_err());
        assert!(reuseport(&attribute(attr::GROUP, &[1])).is_err());
        let none = &mut |_| {};
        assert!(messages(&[], none).is_err());
        assert!(messages(&[200, 0, 0, 0, 20, 0, 0, 0], none).is_err());
        assert!(messages(&[0; 16], none).is_err(), "a length of 0 must not loop");
        let mut refused = 20_u32.to_ne_bytes().to_vec();
        refused.extend(ERROR.to_ne_bytes());
        refused.resize(HEADER, 0);
        refused.extend((-2_i32).to_ne_bytes());
        assert_eq!(messages(&refused, none).unwrap_err().raw_os_error(), Some(2));
    }
}
