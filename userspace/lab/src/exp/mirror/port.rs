// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A port that mirrors headers. What comes in at the ingress router from site 1 is copied by tc to an
//! ERSPAN tunnel, which cuts each frame to its MTU, and goes over a link of its own to whoever watches.

use crate::error::{Result, odd};
use crate::net::Net;
use crate::space::Space;
use serde::Serialize;

/// The link that is mirrored, at the ingress router.
pub(super) const LINK: &str = "to-site1";
/// The tunnel's device at both ends.
pub(super) const MIRROR: &str = "mirror";
/// Octets of IP that are left of a packet: IPv6 and TCP headers fit in, and no device may have less.
pub(super) const CUT: u64 = 68;
/// Octets of a cut frame on the mirror's link: Ethernet, IP and GRE, then Ethernet and what is left.
pub(super) const CUT_FRAME: u64 = 14 + 20 + 4 + 14 + CUT;
/// Both ends of the mirror's link: address and MAC.
const ENDS: [(&str, &str); 2] =
    [("10.9.9.1", "02:00:00:09:09:01"), ("10.9.9.2", "02:00:00:09:09:02")];

/// What came in at a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Wire {
    /// Frames.
    pub(super) packets: u64,
    /// Their octets, Ethernet headers included.
    pub(super) octets: u64,
}

impl Wire {
    /// By the interface's own counters.
    fn read(space: &Space, link: &str) -> Result<Self> {
        let counters = format!("/sys/class/net/{link}/statistics");
        let files = ["rx_packets", "rx_bytes"].map(|name| format!("{counters}/{name}"));
        let text = space.run(&["cat", &files[0], &files[1]])?;
        let mut lines = text.lines().map(str::parse);
        match (lines.next(), lines.next()) {
            (Some(Ok(packets)), Some(Ok(octets))) => Ok(Self { packets, octets }),
            _ => Err(odd(counters, text)),
        }
    }

    /// What came after an earlier reading.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(before.packets),
            octets: self.octets.saturating_sub(before.octets),
        }
    }

    /// Mb/s of 10^6 bits.
    pub(super) fn mbps(&self, seconds: f64) -> f64 {
        if seconds > 0.0 { self.octets as f64 * 8.0 / 1e6 / seconds } else { 0.0 }
    }
}

/// The port, and where its mirror ends; dropping it takes away where it ends.
#[derive(Debug)]
pub(super) struct Port<'a> {
    net: &'a Net,
    /// Who watches.
    pub(super) watch: Space,
}

impl<'a> Port<'a> {
    /// Makes the mirror; nothing is mirrored yet.
    pub(super) fn build(net: &'a Net) -> Result<Self> {
        let watch = Space::new("watch")?;
        for name in ["all", "default"] {
            watch.sysctl(&format!("net/ipv6/conf/{name}/disable_ipv6"), "1")?;
        }
        let [(_, near_mac), (_, far_mac)] = ENDS;
        net.pe1.ip(&format!(
            "link add to-watch address {near_mac} type veth peer name to-pe1 address {far_mac} \
             netns {}\n",
            watch.name
        ))?;
        for (space, link, here, there) in [(&net.pe1, "to-watch", 0, 1), (&watch, "to-pe1", 1, 0)] {
            let ((own, _), (other, mac)) = (ENDS[here], ENDS[there]);
            // Who knows the neighbour does not ask for it: nothing but the mirror is on this link.
            space.ip(&format!(
                "addr add {own}/24 dev {link}\nlink set {link} up\n\
                 neigh replace {other} lladdr {mac} dev {link} nud permanent\n\
                 link add {MIRROR} type erspan erspan_ver 0 local {own} remote {other}\n\
                 link set {MIRROR} mtu {CUT} up\n"
            ))?;
        }
        net.pe1.run(&["tc", "qdisc", "add", "dev", LINK, "clsact"])?;
        Ok(Self { net, watch })
    }

    /// Mirrors all IPv4, or only what goes from the first to the second prefix of one of these.
    pub(super) fn open(&self, table: Option<&[(&str, &str)]>) -> Result<()> {
        let copy = ["action", "mirred", "egress", "mirror", "dev", MIRROR];
        let add = |matching: &[&str]| {
            let filter = ["tc", "filter", "add", "dev", LINK, "ingress", "protocol", "ip"];
            self.net.pe1.run(&[&filter[..], matching, &copy].concat()).map(drop)
        };
        match table {
            None => add(&["matchall"]),
            Some(table) => table
                .iter()
                .try_for_each(|(src, dst)| add(&["flower", "src_ip", src, "dst_ip", dst])),
        }
    }

    /// Mirrors nothing any more.
    pub(super) fn close(&self) -> Result<()> {
        self.net.pe1.run(&["tc", "filter", "del", "dev", LINK, "ingress"]).map(drop)
    }

    /// What has come in so far: at the link, and at the end of the mirror's link.
    pub(super) fn counts(&self) -> Result<(Wire, Wire)> {
        Ok((Wire::read(&self.net.pe1, LINK)?, Wire::read(&self.watch, "to-pe1")?))
    }

    /// Octets that wait in the packet sockets that watch; none if nobody does.
    pub(super) fn waiting(&self) -> Result<Option<u64>> {
        Ok(waiting(&self.watch.run(&["cat", "/proc/net/packet"])?))
    }
}

/// Of /proc/net/packet, sockets bound to an interface that take packets.
fn waiting(text: &str) -> Option<u64> {
    let one = |line: &str| {
        let fields: Vec<u64> =
            line.split_whitespace().skip(4).map_while(|f| f.parse().ok()).collect();
        match fields[..] {
            [interface, 1, octets, ..] if interface > 0 => Some(octets),
            _ => None,
        }
    };
    text.lines().skip(1).filter_map(one).reduce(|sum, octets| sum + octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bound_sockets_watch() {
        let head = "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n";
        let line = |iface, runs, octets| format!("0000 3 2 0003 {iface:<5} {runs} {octets} 0 77\n");
        let text = |lines: &[String]| head.to_owned() + &lines.concat();
        assert_eq!(waiting(head), None);
        assert_eq!(waiting(&text(&[line(0, 0, 0), line(0, 1, 0), line(4, 0, 0)])), None);
        assert_eq!(waiting(&text(&[line(4, 1, 768), line(0, 0, 5), line(5, 1, 32)])), Some(800));
    }

    #[test]
    fn what_came_since() {
        let of = |packets, octets| Wire { packets, octets };
        assert_eq!(of(7, 900).since(of(2, 400)), of(5, 500));
        assert!((of(1, 1_000_000).mbps(4.0) - 2.0).abs() < 1e-12);
    }
}
