// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The addresses a load is sent from: lists of addresses and prefixes, and sockets bound to them.
//!
//! Sockets are bound with `IP_FREEBIND`, so a source only has to be routed to this host
//! (`ip route add local 10.8.0.0/24 dev lo`), it need not be configured on an interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, ensure};
use socket2::{Domain, Protocol, Socket, Type};

/// The first `count` addresses of a list of addresses and prefixes (`10.8.0.0/24`, `2001:db8::5`).
///
/// Of an IPv4 prefix shorter than /31 the network address and the last address are left out, of
/// an IPv6 prefix the first. It is an error when the list holds fewer than `count`.
pub(crate) fn addresses(list: &[String], count: usize) -> anyhow::Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    for item in list {
        extend(&mut found, item, count).with_context(|| format!("source {item:?}"))?;
    }
    ensure!(
        found.len() >= count,
        "the sources {list:?} hold {} addresses, {count} are asked for",
        found.len()
    );
    Ok(found)
}

fn extend(found: &mut Vec<IpAddr>, item: &str, count: usize) -> anyhow::Result<()> {
    let Some((address, length)) = item.split_once('/') else {
        if found.len() < count {
            found.push(item.parse()?);
        }
        return Ok(());
    };
    let length: u32 = length.parse().context("prefix length")?;
    match address.parse()? {
        IpAddr::V4(first) => {
            ensure!(length <= 32, "an IPv4 prefix has at most 32 bits");
            let size = 1_u64 << (32 - length);
            let edge = u64::from(size > 2);
            let first = u64::from(u32::from(first)) & !(size - 1);
            for offset in edge..size - edge {
                if found.len() == count {
                    break;
                }
                let address = u32::try_from(first + offset)?;
                found.push(Ipv4Addr::from(address).into());
            }
        }
        IpAddr::V6(first) => {
            ensure!(length <= 128, "an IPv6 prefix has at most 128 bits");
            let size = 1_u128.checked_shl(128 - length).unwrap_or(u128::MAX);
            let first = u128::from(first) & !(size - 1);
            for offset in u128::from(size > 1)..size {
                if found.len() == count {
                    break;
                }
                found.push(Ipv6Addr::from(first + offset).into());
            }
        }
    }
    Ok(())
}

/// A UDP socket bound to `source`, non-blocking, with a send buffer for bursts.
pub(crate) fn udp(source: IpAddr) -> anyhow::Result<tokio::net::UdpSocket> {
    let socket = bound(source, Type::DGRAM, Protocol::UDP)?;
    socket.set_send_buffer_size(1 << 20).context("SO_SNDBUF")?;
    Ok(tokio::net::UdpSocket::from_std(socket.into())?)
}

/// A TCP socket bound to `source`, to be connected; Nagle is off so that cuts reach the wire.
pub(crate) fn tcp(source: IpAddr) -> anyhow::Result<tokio::net::TcpSocket> {
    let socket = bound(source, Type::STREAM, Protocol::TCP)?;
    socket.set_tcp_nodelay(true).context("TCP_NODELAY")?;
    let stream: std::net::TcpStream = socket.into();
    Ok(tokio::net::TcpSocket::from_std_stream(stream))
}

fn bound(source: IpAddr, kind: Type, protocol: Protocol) -> anyhow::Result<Socket> {
    let domain = if source.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, kind, Some(protocol)).context("socket")?;
    match source {
        IpAddr::V4(_) => socket.set_freebind_v4(true),
        IpAddr::V6(_) => socket.set_freebind_v6(true),
    }
    .context("IP_FREEBIND")?;
    socket.set_nonblocking(true).context("O_NONBLOCK")?;
    socket.bind(&SocketAddr::new(source, 0).into()).with_context(|| format!("bind to {source}"))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn a_prefix_gives_its_hosts_in_order() {
        let found = addresses(&list(&["10.8.0.0/30", "2001:db8::/64"]), 4).unwrap();
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["10.8.0.1", "10.8.0.2", "2001:db8::1", "2001:db8::2"]);
    }

    #[test]
    fn single_addresses_and_the_smallest_prefixes_count() {
        let found = addresses(&list(&["10.0.0.9", "10.1.0.7/32", "::1/128"]), 3).unwrap();
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn too_few_addresses_and_nonsense_are_errors_that_name_the_source() {
        let few = addresses(&list(&["10.8.0.0/30"]), 3).unwrap_err().to_string();
        assert!(few.contains("hold 2 addresses, 3 are asked for"), "{few}");
        let odd = format!("{:#}", addresses(&list(&["10.8.0.0/99"]), 3).unwrap_err());
        assert!(odd.contains("10.8.0.0/99") && odd.contains("at most 32"), "{odd}");
    }
}
