// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flows as `ovs-ofctl` writes and reads them.

use crate::device::Count;
use crate::matching::{Match, Rank};
use std::collections::BTreeMap;
use std::fmt::Write;
use telesteer_fam::Prefix;

/// Table our flows are in: the first, which every packet passes.
pub(crate) const TABLE: u8 = 0;
/// Priority of networks; hosts and 5-tuples follow.
pub(crate) const PRIORITY: u16 = 40_000;
/// The upper half of our cookies; the lower is the path's mark.
const OWNER: u64 = 0x484e_5445;

/// Cookie of a flow onto the path with this mark.
pub(crate) fn cookie(mark: u32) -> u64 {
    (OWNER << 32) | u64::from(mark)
}

/// The mark, if the cookie is ours.
pub(crate) fn mark(cookie: u64) -> Option<u32> {
    (cookie >> 32 == OWNER).then(|| u32::try_from(cookie & 0xffff_ffff).unwrap_or(0))
}

/// Priority of a rank.
pub(crate) fn priority(rank: Rank) -> u16 {
    match rank {
        Rank::Flow => PRIORITY + 2,
        Rank::Host => PRIORITY + 1,
        Rank::Net => PRIORITY,
    }
}

/// Seconds after which the switch lets go of a 5-tuple by itself; 0 is never. Pairs of hosts and of
/// networks have no such time: they are there for flows to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Without a packet.
    pub idle: u16,
    /// With packets or without.
    pub hard: u16,
}

impl Timeouts {
    /// What of it a flow of that rank has.
    pub(crate) fn of(self, rank: Rank) -> Self {
        if rank == Rank::Flow { self } else { Self::default() }
    }

    /// As words before a match.
    pub(crate) fn words(self) -> String {
        let word = |name: &str, seconds: u16| match seconds {
            0 => String::new(),
            seconds => format!("{name}_timeout={seconds},"),
        };
        word("idle", self.idle) + &word("hard", self.hard)
    }
}

/// How packets leave onto a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Egress {
    /// OpenFlow number of the port.
    pub port: u32,
    /// Label that is pushed.
    pub label: Option<u32>,
    /// Address of the next hop on the link, where the switch is to set it.
    pub mac: Option<[u8; 6]>,
}

impl Egress {
    /// The actions, as the switch prints them too.
    pub(crate) fn actions(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        if let Some([a, b, c, d, e, f]) = self.mac {
            let _ =
                write!(text, "set_field:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}->eth_dst,");
        }
        if let Some(label) = self.label {
            let _ = write!(text, "push_mpls:0x8847,set_field:{label}->mpls_label,");
        }
        let _ = write!(text, "output:{}", self.port);
        text
    }
}

/// The word for a protocol in a family, if OpenFlow has ports for it.
fn word(proto: u8, ipv4: bool) -> Option<&'static str> {
    Some(match (proto, ipv4) {
        (6, true) => "tcp",
        (6, false) => "tcp6",
        (17, true) => "udp",
        (17, false) => "udp6",
        (132, true) => "sctp",
        (132, false) => "sctp6",
        _ => return None,
    })
}

fn address(prefix: Prefix) -> String {
    let full = if prefix.addr().is_ipv4() { 32 } else { 128 };
    if prefix.len() == full { prefix.addr().to_string() } else { prefix.to_string() }
}

/// Table, priority and match; none if OpenFlow has no ports for the protocol.
pub(crate) fn spec(matching: &Match) -> Option<String> {
    let ipv4 = matching.is_ipv4();
    let (protocol, side) = match matching.ports() {
        Some((proto, _, _)) => (word(proto, ipv4)?, if ipv4 { "nw" } else { "ipv6" }),
        None if ipv4 => ("ip", "nw"),
        None => ("ipv6", "ipv6"),
    };
    let mut text = format!(
        "table={TABLE},priority={},{protocol},{side}_src={},{side}_dst={}",
        priority(matching.rank()),
        address(matching.src()),
        address(matching.dst())
    );
    if let Some((_, src, dst)) = matching.ports() {
        let _ = write!(text, ",tp_src={src},tp_dst={dst}");
    }
    Some(text)
}

/// A flow as it was listed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Flow {
    pub(crate) cookie: u64,
    pub(crate) table: u8,
    pub(crate) priority: u16,
    pub(crate) count: Count,
    /// How long it has been there, in seconds.
    pub(crate) age: f64,
    pub(crate) timeouts: Timeouts,
    /// What it matches, if it is a match of ours.
    pub(crate) matching: Option<Match>,
    /// Table, priority and match as listed, to name it by.
    pub(crate) spec: String,
    pub(crate) actions: String,
}

/// Words of a listed flow that are not part of what names it.
const BESIDE: [&str; 8] = [
    "cookie",
    "duration",
    "n_packets",
    "n_bytes",
    "idle_age",
    "hard_age",
    "idle_timeout",
    "hard_timeout",
];

/// Reads a line of `dump-flows`; none if it is no flow, an error if it is one and not understood.
pub(crate) fn parse(line: &str) -> Option<Result<Flow, String>> {
    let line = line.trim();
    line.starts_with("cookie=").then(|| flow(line).ok_or_else(|| line.to_owned()))
}

fn flow(line: &str) -> Option<Flow> {
    let (left, actions) = line.split_once("actions=")?;
    let tokens: Vec<&str> = left.split([',', ' ']).filter(|token| !token.is_empty()).collect();
    let mut values = BTreeMap::new();
    let mut words = Vec::new();
    for token in &tokens {
        match token.split_once('=') {
            Some((key, value)) => drop(values.insert(key, value)),
            None => words.push(*token),
        }
    }
    let cookie = values.get("cookie")?.strip_prefix("0x")?;
    let number = |key: &str| values.get(key).and_then(|value| value.parse::<u64>().ok());
    let named = |token: &&str| {
        let key = token.split('=').next().unwrap_or_default();
        !BESIDE.contains(&key) && !matches!(key, "table" | "priority")
    };
    let timeout = |key: &str| u16::try_from(number(key).unwrap_or(0)).ok();
    let table = u8::try_from(number("table")?).ok()?;
    let priority = u16::try_from(number("priority").unwrap_or(32_768)).ok()?;
    let rest: Vec<&str> = tokens.iter().copied().filter(|token| named(token)).collect();
    let spec = std::iter::once(format!("table={table},priority={priority}"))
        .chain(rest.iter().map(|token| (*token).to_owned()))
        .collect::<Vec<_>>()
        .join(",");
    Some(Flow {
        cookie: u64::from_str_radix(cookie, 16).ok()?,
        table,
        priority,
        count: Count {
            packets: number("n_packets").unwrap_or(0),
            bytes: number("n_bytes").unwrap_or(0),
        },
        age: values.get("duration").and_then(|text| text.strip_suffix('s')?.parse().ok())?,
        timeouts: Timeouts { idle: timeout("idle_timeout")?, hard: timeout("hard_timeout")? },
        matching: matching(&words, &values, rest.len()),
        spec,
        actions: actions.trim().to_owned(),
    })
}

/// The match that ours would be, given that `named` words and values name the flow.
fn matching(words: &[&str], values: &BTreeMap<&str, &str>, named: usize) -> Option<Match> {
    let [protocol] = words else { return None };
    let (proto, ipv4) = match *protocol {
        "ip" => (None, true),
        "ipv6" => (None, false),
        other => [6, 17, 132]
            .into_iter()
            .flat_map(|proto| [(Some(proto), true), (Some(proto), false)])
            .find(|(proto, ipv4)| word(proto.unwrap_or(0), *ipv4) == Some(other))?,
    };
    // Anything more, such as a port it came in by, makes it another flow.
    if named != if proto.is_some() { 5 } else { 3 } {
        return None;
    }
    let side = if ipv4 { "nw" } else { "ipv6" };
    let prefix = |end: &str| values.get(format!("{side}_{end}").as_str())?.parse::<Prefix>().ok();
    let port = |key: &str| values.get(key)?.parse::<u16>().ok();
    let ports = match proto {
        Some(proto) => Some((proto, port("tp_src")?, port("tp_dst")?)),
        None => None,
    };
    Match::from_parts(prefix("src")?, prefix("dst")?, ports).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::{net, tuple};
    use telesteer_fam::PrefixFlow;

    #[test]
    fn what_the_switch_lists_is_read() {
        let listed = " cookie=0x484e544500000065, duration=0.015s, table=0, n_packets=7, n_bytes=99, \
             priority=40002,tcp,nw_src=10.1.1.1,nw_dst=10.2.1.1,tp_src=40000,tp_dst=5201 \
             actions=push_mpls:0x8847,set_field:200->mpls_label,output:2";
        let flow = parse(listed).unwrap().unwrap();
        assert_eq!((mark(flow.cookie), flow.table, flow.priority), (Some(0x65), 0, 40_002));
        assert_eq!(cookie(0x65), flow.cookie);
        for theirs in [0, 0x65, 0x484e_5444_0000_0065, u64::MAX] {
            assert_eq!(mark(theirs), None, "{theirs:#x}");
        }
        assert_eq!(flow.matching, Some(Match::flow(tuple(1, 40_000)).unwrap()));
        assert_eq!(flow.count, Count { packets: 7, bytes: 99 });
        assert_eq!(flow.spec, spec(&flow.matching.unwrap()).unwrap());
        let egress = Egress { port: 2, label: Some(200), mac: None };
        assert_eq!(flow.actions, egress.actions());
        // With more to it, it is no flow of ours.
        let more = listed.replace("tcp,", "tcp,in_port=1,");
        assert_eq!(parse(&more).unwrap().unwrap().matching, None);
        // A time is not part of what it matches.
        let timed = listed.replace(" priority=", " idle_timeout=5, hard_timeout=60, priority=");
        let timed = parse(&timed).unwrap().unwrap();
        assert_eq!((timed.matching, &timed.spec), (flow.matching, &flow.spec));
        assert_eq!(timed.timeouts, Timeouts { idle: 5, hard: 60 });
        assert_eq!(timed.timeouts.words(), "idle_timeout=5,hard_timeout=60,");
        assert_eq!((flow.timeouts.words().as_str(), flow.age), ("", 0.015));
        assert_eq!(parse("OFPST_FLOW reply (OF1.3) (xid=0x2):"), None);
        assert!(parse("cookie=0x1, table=0").unwrap().is_err());
    }

    #[test]
    fn every_kind_of_match_is_read_again() {
        let v6 = |text: &str| text.parse().unwrap();
        let hosts = PrefixFlow { src: v6("2001:db8::1"), dst: v6("2001:db8:1::1") };
        let nets = PrefixFlow { src: v6("2001:db8::/64"), dst: v6("2001:db8:1::/64") };
        let mut udp6 = tuple(1, 9);
        (udp6.src, udp6.dst, udp6.proto) = (hosts.src.addr(), hosts.dst.addr(), 17);
        for one in [
            net(1),
            Match::pair(hosts).unwrap(),
            Match::pair(nets).unwrap(),
            Match::flow(udp6).unwrap(),
            Match::flow(tuple(3, 1)).unwrap().reverse(),
        ] {
            let spec = spec(&one).unwrap();
            let line = format!("cookie=0x1, duration=1s, {spec} actions=output:1");
            assert_eq!(parse(&line).unwrap().unwrap().matching, Some(one), "{line}");
        }
        let mut dccp = tuple(1, 9);
        dccp.proto = 33;
        assert_eq!(spec(&Match::flow(dccp).unwrap()), None);
    }
}
