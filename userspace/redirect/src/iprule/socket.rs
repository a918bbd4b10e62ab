// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A netlink socket that lists and changes the kernel's rules.

use crate::error::{DeviceError, Kind};
use crate::netlink::{Channel, refusal};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

/// Requests under way at once: their answers must fit a receive buffer of the default size.
const IN_FLIGHT: usize = 64;
/// Listings begun again because rules changed meanwhile.
const LISTINGS: usize = 8;

/// A rule to add or to delete.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// If there is none like it.
    Add(RuleMessage),
    /// The first like it.
    Delete(RuleMessage),
}

impl Request {
    fn verb(&self) -> &'static str {
        match self {
            Self::Add(_) => "RTM_NEWRULE",
            Self::Delete(_) => "RTM_DELRULE",
        }
    }

    fn message(&self) -> NetlinkMessage<RouteNetlinkMessage> {
        let mut header = NetlinkHeader::default();
        let inner = match self {
            Self::Add(rule) => {
                header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
                RouteNetlinkMessage::NewRule(rule.clone())
            }
            Self::Delete(rule) => {
                header.flags = NLM_F_REQUEST | NLM_F_ACK;
                RouteNetlinkMessage::DelRule(rule.clone())
            }
        };
        NetlinkMessage::new(header, NetlinkPayload::InnerMessage(inner))
    }
}

/// The socket; it belongs to the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct RuleSocket {
    channel: Channel,
}

impl RuleSocket {
    pub(crate) fn open(device: &str) -> Result<Self, DeviceError> {
        Ok(Self { channel: Channel::open(device, NETLINK_ROUTE, "socket(NETLINK_ROUTE)")? })
    }

    /// All rules of a family.
    pub(crate) fn list(&mut self, family: AddressFamily) -> Result<Vec<RuleMessage>, DeviceError> {
        const COMMAND: &str = "RTM_GETRULE";
        for _ in 0..LISTINGS {
            if let Some(rules) = self.list_once(COMMAND, family)? {
                return Ok(rules);
            }
        }
        let said = format!("rules changed during each of {LISTINGS} listings");
        Err(self.channel.error(COMMAND, Kind::Late, said))
    }

    /// None if rules changed meanwhile.
    fn list_once(
        &mut self,
        command: &str,
        family: AddressFamily,
    ) -> Result<Option<Vec<RuleMessage>>, DeviceError> {
        let mut wanted = RuleMessage::default();
        wanted.header.family = family;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let inner = NetlinkPayload::InnerMessage(RouteNetlinkMessage::GetRule(wanted));
        let sequence =
            self.channel.send(command, std::iter::once(NetlinkMessage::new(header, inner)))?;
        let (mut rules, mut consistent) = (Vec::new(), true);
        loop {
            for message in self.channel.receive::<RouteNetlinkMessage>(command)? {
                if message.header.sequence_number != sequence {
                    continue;
                }
                consistent &= message.header.flags & NLM_F_DUMP_INTR == 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRule(rule)) => {
                        rules.push(rule);
                    }
                    NetlinkPayload::Done(_) => return Ok(consistent.then_some(rules)),
                    NetlinkPayload::Error(error) => {
                        return Err(self.channel.error(command, Kind::Refused, error.to_io()));
                    }
                    other => {
                        let said = format!("unexpected {other:?}");
                        return Err(self.channel.error(command, Kind::Garbled, said));
                    }
                }
            }
        }
    }

    /// Makes all changes and gives those the kernel refused, by their place, with what it said.
    pub(crate) fn change(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<(usize, DeviceError)>, DeviceError> {
        let mut refused = Vec::new();
        for (chunk, part) in requests.chunks(IN_FLIGHT).enumerate() {
            let command = part.first().map_or("", Request::verb);
            let first = self.channel.send(command, part.iter().map(Request::message))?;
            let mut answers = 0;
            while answers < part.len() {
                for message in self.channel.receive::<RouteNetlinkMessage>(command)? {
                    let place = message.header.sequence_number.wrapping_sub(first);
                    let place = usize::try_from(place).unwrap_or(usize::MAX);
                    let Some(request) = part.get(place) else { continue };
                    let NetlinkPayload::Error(answer) = message.payload else { continue };
                    answers += 1;
                    if let Some(no) = refusal(message.header.flags, &answer) {
                        let error = self.channel.error(request.verb(), Kind::Refused, no.said);
                        refused.push((chunk * IN_FLIGHT + place, error));
                    }
                }
            }
        }
        Ok(refused)
    }
}
