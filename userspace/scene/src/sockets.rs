// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sockets of a network namespace as `/proc/PID/net/{tcp,tcp6,udp,udp6}` shows them.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// TCP states of interest, as numbered by the kernel.
pub(crate) const LISTEN: u8 = 10;

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    /// Local address and port.
    pub local: (IpAddr, u16),
    /// Remote address and port.
    pub remote: (IpAddr, u16),
    /// TCP state.
    pub state: u8,
    /// Unread bytes; of a listener, connections waiting to be accepted; of UDP, memory held.
    pub rx_queue: u64,
    /// 0 for a connection that no process has accepted.
    pub inode: u64,
    /// Datagrams the kernel dropped at this socket (UDP).
    pub drops: u64,
}

/// The tables of a namespace at one moment; reading them is slow, so once for all questions.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// TCP sockets.
    pub tcp: Vec<Socket>,
    /// UDP sockets.
    pub udp: Vec<Socket>,
}

impl Tables {
    /// All sockets of the namespace the process `pid` lives in.
    pub(crate) fn all(pid: u32) -> Self {
        Self { udp: udp(pid), ..Self::tcp(pid) }
    }

    /// TCP only.
    pub(crate) fn tcp(pid: u32) -> Self {
        Self { tcp: tcp(pid), udp: Vec::new() }
    }
}

/// The TCP sockets of the namespace the process `pid` lives in.
fn tcp(pid: u32) -> Vec<Socket> {
    read(pid, ["tcp", "tcp6"])
}

/// The UDP sockets of the namespace the process `pid` lives in.
fn udp(pid: u32) -> Vec<Socket> {
    read(pid, ["udp", "udp6"])
}

fn read(pid: u32, files: [&str; 2]) -> Vec<Socket> {
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default();
        found.extend(text.lines().skip(1).filter_map(parse));
    }
    found
}

fn parse(line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, rx_queue) = fields.get(4)?.split_once(':')?;
    Some(Socket {
        local: endpoint(fields.get(1)?)?,
        remote: endpoint(fields.get(2)?)?,
        state: u8::from_str_radix(fields.get(3)?, 16).ok()?,
        rx_queue: u64::from_str_radix(rx_queue, 16).ok()?,
        inode: fields.get(9)?.parse().ok()?,
        drops: fields.get(12).and_then(|drops| drops.parse().ok()).unwrap_or(0),
    })
}

/// `0100007F:06FE`; 32-bit words in the machine's order. IPv4 in IPv6 is shown as IPv4.
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let mut bytes = Vec::with_capacity(16);
    for word in 0..address.len() / 8 {
        let word = u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let address: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

/// The inodes of all sockets a process holds.
pub(crate) fn inodes(pid: u32) -> HashSet<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return HashSet::new() };
    entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read() {
        let line = "  3: 010200C0:06FE 0100080A:9C41 01 00000000:00000A10 00:00000000 00000000     0        0 214730 1 0";
        let socket = parse(line).unwrap();
        assert_eq!(socket.local, ("192.0.2.1".parse().unwrap(), 1790));
        assert_eq!(socket.remote, ("10.8.0.1".parse().unwrap(), 40001));
        assert_eq!((socket.state, socket.rx_queue, socket.inode), (1, 0xa10, 214_730));
    }

    #[test]
    fn a_mapped_address_is_shown_as_ipv4() {
        let (address, port) = endpoint("0000000000000000FFFF00000100080A:0050").unwrap();
        assert_eq!((address, port), ("10.8.0.1".parse().unwrap(), 80));
    }

    #[test]
    fn own_sockets_are_found_with_their_inode() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = std::process::id();
        let socket = tcp(own)
            .into_iter()
            .find(|socket| socket.local.1 == port && socket.state == LISTEN)
            .unwrap();
        assert!(inodes(own).contains(&socket.inode));
    }
}
