// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rules that others put into the kernel for packets that come in by one interface.

use super::message::{self, Selector};
use super::socket::RuleSocket;
use crate::error::DeviceError;
use crate::matching::Match;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};
use std::collections::BTreeSet;

/// Lists such rules of the network namespace of the thread that opens it.
#[derive(Debug)]
pub(crate) struct LinkRules {
    socket: RuleSocket,
    ipv6: bool,
}

impl LinkRules {
    pub(crate) fn open(device: &str) -> Result<Self, DeviceError> {
        let mut socket = RuleSocket::open(device)?;
        socket.list(AddressFamily::Inet)?;
        let ipv6 = socket.list(AddressFamily::Inet6).is_ok();
        Ok(Self { socket, ipv6 })
    }

    pub(crate) fn ipv6(&self) -> bool {
        self.ipv6
    }

    /// Interface, match and table of those that select by nothing else.
    pub(crate) fn list(&mut self) -> Result<BTreeSet<(String, Match, u32)>, DeviceError> {
        let mut rules = self.socket.list(AddressFamily::Inet)?;
        if self.ipv6 {
            rules.extend(self.socket.list(AddressFamily::Inet6)?);
        }
        Ok(rules.into_iter().filter_map(by_link).collect())
    }
}

fn by_link(mut message: RuleMessage) -> Option<(String, Match, u32)> {
    let is_link = |one: &RuleAttribute| matches!(one, RuleAttribute::Iifname(_));
    let at = message.attributes.iter().position(is_link)?;
    let RuleAttribute::Iifname(link) = message.attributes.swap_remove(at) else { return None };
    let read = message::read(&message);
    match read.selector {
        Ok(Selector::Match(matching)) => Some((link, matching, read.table)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::{net, tuple};

    #[test]
    fn a_rule_without_the_ports_is_another_rule() {
        let flow = Match::flow(tuple(1, 40_000)).unwrap();
        let mut whole = message::of_match(&flow, 101, 300);
        whole.attributes.push(RuleAttribute::Iifname("in1".to_owned()));
        assert_eq!(by_link(whole.clone()), Some(("in1".to_owned(), flow, 101)));
        let ports = |one: &RuleAttribute| {
            matches!(
                one,
                RuleAttribute::SourcePortRange(_) | RuleAttribute::DestinationPortRange(_)
            )
        };
        // What pbrd of FRR 10.3 makes of it.
        whole.attributes.retain(|one| !ports(one));
        assert_eq!(by_link(whole), None);
        assert_eq!(by_link(message::of_match(&net(1), 101, 300)), None, "by any link");
    }
}
