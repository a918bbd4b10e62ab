// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flows of a constant rate each, with a beginning and an end, sent by one thread.

use crate::error::{Result, odd};
use crate::space::Space;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Octets of a payload.
pub(crate) const PAYLOAD: usize = 1200;
/// Octets of IP and UDP headers before it.
const HEADERS: usize = 28;
/// Octets of the IP packet.
pub(crate) const PACKET: usize = PAYLOAD + HEADERS;

/// One flow of UDP.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Paced {
    /// Source address and port.
    pub(crate) from: (String, u16),
    /// Destination address and port.
    pub(crate) to: (String, u16),
    /// After so long it begins.
    pub(crate) begins: Duration,
    /// So long after that it ends.
    pub(crate) lasts: Duration,
    /// Mb/s of 10^6 bits, of IP packets.
    pub(crate) mbps: f64,
}

impl Paced {
    /// From one datagram to the next.
    fn every(&self) -> Duration {
        Duration::from_secs_f64(PACKET as f64 * 8.0 / (self.mbps.max(1e-3) * 1e6))
    }
}

/// Sends all flows to their ends; what falls behind is sent at once, so rates hold on average.
///
/// # Errors
///
/// If a socket cannot be opened or refuses to send.
pub(crate) fn send(space: &Space, flows: &[Paced]) -> Result<()> {
    space.within(|| {
        let open = |flow: &Paced| -> Result<UdpSocket> {
            let whose = |error| odd(format!("a socket for {flow:?}"), error);
            let socket = UdpSocket::bind((flow.from.0.as_str(), flow.from.1)).map_err(whose)?;
            socket.connect((flow.to.0.as_str(), flow.to.1)).map_err(whose)?;
            Ok(socket)
        };
        let sockets: Vec<UdpSocket> = flows.iter().map(open).collect::<Result<_>>()?;
        let begin = Instant::now();
        let mut due: BinaryHeap<Reverse<(Duration, usize)>> =
            flows.iter().enumerate().map(|(at, flow)| Reverse((flow.begins, at))).collect();
        let payload = [0x5a; PAYLOAD];
        while let Some(Reverse((at, number))) = due.pop() {
            let (Some(flow), Some(socket)) = (flows.get(number), sockets.get(number)) else {
                continue;
            };
            if let Some(rest) = at.checked_sub(begin.elapsed()) {
                std::thread::sleep(rest);
            }
            socket.send(&payload).map_err(|error| odd("sending a datagram", error))?;
            let next = at + flow.every();
            if next < flow.begins + flow.lasts {
                due.push(Reverse((next, number)));
            }
        }
        Ok(())
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_ip_packets() {
        let flow = Paced {
            from: ("a".into(), 1),
            to: ("b".into(), 2),
            begins: Duration::ZERO,
            lasts: Duration::from_secs(1),
            mbps: 1.2280,
        };
        assert_eq!(flow.every(), Duration::from_millis(8));
    }
}
