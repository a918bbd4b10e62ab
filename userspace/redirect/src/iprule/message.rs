// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Our rules as messages of the kernel, and back.

use crate::matching::Match;
use netlink_packet_core::Nla;
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{
    RuleAction, RuleAttribute, RuleFlags, RuleMessage, RulePortRange,
};
use netlink_packet_route::{AddressFamily, IpProtocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use telesteer_fam::Prefix;

/// What marks a rule as ours: an originator number that no routing daemon uses.
pub const PROTOCOL: u8 = 84;

/// `FRA_SPORT_MASK` and `FRA_DPORT_MASK`, which newer kernels add to a single port.
const PORT_MASKS: [u16; 2] = [28, 29];

/// What selects the packets of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    /// Addresses and ports.
    Match(Match),
    /// A whole packet mark.
    Mark(u32),
}

/// A rule as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) protocol: u8,
    pub(crate) priority: u32,
    pub(crate) table: u32,
    /// Or why it is none of the rules we make.
    pub(crate) selector: Result<Selector, String>,
}

fn empty(ipv4: bool, table: u32, priority: u32) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = if ipv4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.table = u8::try_from(table).unwrap_or(0);
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![
        RuleAttribute::Priority(priority),
        RuleAttribute::Table(table),
        RuleAttribute::Protocol(RouteProtocol::from(PROTOCOL)),
    ];
    message
}

/// Sends what matches to a table.
pub(crate) fn of_match(matching: &Match, table: u32, priority: u32) -> RuleMessage {
    let mut message = empty(matching.is_ipv4(), table, priority);
    let (src, dst) = (matching.src(), matching.dst());
    message.header.src_len = src.len();
    message.header.dst_len = dst.len();
    message.attributes.push(RuleAttribute::Source(src.addr()));
    message.attributes.push(RuleAttribute::Destination(dst.addr()));
    if let Some((proto, src_port, dst_port)) = matching.ports() {
        let only = |port| RulePortRange { start: port, end: port };
        message.attributes.push(RuleAttribute::IpProtocol(IpProtocol::from(proto)));
        message.attributes.push(RuleAttribute::SourcePortRange(only(src_port)));
        message.attributes.push(RuleAttribute::DestinationPortRange(only(dst_port)));
    }
    message
}

/// Sends what is marked to a table.
pub(crate) fn of_mark(ipv4: bool, mark: u32, table: u32, priority: u32) -> RuleMessage {
    let mut message = empty(ipv4, table, priority);
    message.attributes.push(RuleAttribute::FwMark(mark));
    message.attributes.push(RuleAttribute::FwMask(u32::MAX));
    message
}

/// Reads a rule.
pub(crate) fn read(message: &RuleMessage) -> Read {
    let mut read = Read {
        protocol: 0,
        priority: 0,
        table: u32::from(message.header.table),
        selector: Err(String::new()),
    };
    let header = &message.header;
    let mut odd = Vec::new();
    if header.action != RuleAction::ToTable {
        odd.push(format!("action {:?}", header.action));
    }
    if header.flags.contains(RuleFlags::Invert) {
        odd.push("inverted".to_owned());
    }
    if header.tos != 0 {
        odd.push(format!("tos {}", header.tos));
    }
    let any: IpAddr = if header.family == AddressFamily::Inet {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let (mut src, mut dst) = (any, any);
    let (mut proto, mut src_port, mut dst_port) = (None, None, None);
    let (mut mark, mut mask) = (None, u32::MAX);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Protocol(protocol) => read.protocol = u8::from(*protocol),
            RuleAttribute::Priority(priority) => read.priority = *priority,
            RuleAttribute::Table(table) => read.table = *table,
            RuleAttribute::Source(addr) => src = *addr,
            RuleAttribute::Destination(addr) => dst = *addr,
            RuleAttribute::IpProtocol(number) => proto = Some(u8::from(*number)),
            RuleAttribute::SourcePortRange(range) => src_port = Some(*range),
            RuleAttribute::DestinationPortRange(range) => dst_port = Some(*range),
            RuleAttribute::FwMark(value) => mark = Some(*value),
            RuleAttribute::FwMask(value) => mask = *value,
            RuleAttribute::SuppressPrefixLen(u32::MAX)
            | RuleAttribute::SuppressIfGroup(u32::MAX)
            | RuleAttribute::L3MDev(false) => {}
            RuleAttribute::Other(other)
                if PORT_MASKS.contains(&other.kind()) && full_mask(other) => {}
            other => odd.push(format!("{other:?}")),
        }
    }
    let (src, dst) = (Prefix::new(src, header.src_len), Prefix::new(dst, header.dst_len));
    read.selector = if !odd.is_empty() {
        Err(odd.join(", "))
    } else if let Some(mark) = mark {
        let plain = src.len() == 0 && dst.len() == 0 && proto.is_none() && mask == u32::MAX;
        if plain && src_port.is_none() && dst_port.is_none() {
            Ok(Selector::Mark(mark))
        } else {
            Err(format!("mark {mark:#x}/{mask:#x} and more"))
        }
    } else {
        select(src, dst, proto, src_port, dst_port)
    };
    read
}

fn full_mask(attribute: &netlink_packet_core::DefaultNla) -> bool {
    let mut value = vec![0; attribute.value_len()];
    attribute.emit_value(&mut value);
    value == [0xff, 0xff]
}

fn select(
    src: Prefix,
    dst: Prefix,
    proto: Option<u8>,
    src_port: Option<RulePortRange>,
    dst_port: Option<RulePortRange>,
) -> Result<Selector, String> {
    let single = |range: RulePortRange| (range.start == range.end).then_some(range.start);
    let ports = match (proto, src_port, dst_port) {
        (None, None, None) => None,
        (Some(proto), Some(src), Some(dst)) => match (single(src), single(dst)) {
            (Some(src), Some(dst)) => Some((proto, src, dst)),
            _ => return Err("a range of ports".to_owned()),
        },
        _ => return Err("a part of a 5-tuple".to_owned()),
    };
    Match::from_parts(src, dst, ports).map(Selector::Match).map_err(|error| error.to_string())
}

/// A rule in words, for a list of what is foreign or amiss.
pub(crate) fn text(message: &RuleMessage) -> String {
    let read = read(message);
    let which = match read.selector {
        Ok(Selector::Match(matching)) => matching.to_string(),
        Ok(Selector::Mark(mark)) => format!("mark {mark:#x}"),
        Err(why) => why,
    };
    format!("rule {}: {which}, table {}, protocol {}", read.priority, read.table, read.protocol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::{net, tuple};
    use netlink_packet_core::{DefaultNla, Emitable, Parseable};

    #[test]
    fn what_is_written_is_read() {
        let flow = Match::flow(tuple(1, 40_000)).unwrap();
        for (matching, table) in [(flow, 100), (net(2), 1000), (flow.reverse(), 70_000)] {
            let message = of_match(&matching, table, 20_000);
            let mut bytes = vec![0; message.buffer_len()];
            message.emit(&mut bytes);
            let read = read(&RuleMessage::parse(&bytes[..]).unwrap());
            assert_eq!(read.selector, Ok(Selector::Match(matching)));
            assert_eq!((read.table, read.priority, read.protocol), (table, 20_000, PROTOCOL));
        }
        let read = read(&of_mark(false, 7, 100, 20_010));
        assert_eq!(read.selector, Ok(Selector::Mark(7)));
    }

    #[test]
    fn what_is_not_as_we_make_it_is_said() {
        let flow = Match::flow(tuple(1, 40_000)).unwrap();
        let mut without_port = of_match(&flow, 100, 20_000);
        without_port.attributes.pop();
        assert_eq!(read(&without_port).selector, Err("a part of a 5-tuple".to_owned()));
        let mut inverted = of_match(&net(1), 100, 20_002);
        inverted.header.flags = RuleFlags::Invert;
        assert!(text(&inverted).contains("inverted"));
        let mut from_link = of_match(&net(1), 100, 20_002);
        from_link.attributes.push(RuleAttribute::Iifname("eth0".to_owned()));
        assert!(text(&from_link).contains("eth0"));
        let mut masked = of_match(&flow, 100, 20_000);
        masked.attributes.push(RuleAttribute::Other(DefaultNla::new(28, vec![0xff, 0xff])));
        assert_eq!(read(&masked).selector, Ok(Selector::Match(flow)));
        masked.attributes.push(RuleAttribute::Other(DefaultNla::new(29, vec![0x00, 0xff])));
        assert!(read(&masked).selector.is_err());
    }
}
