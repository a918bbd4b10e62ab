// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A netlink socket that lists and changes the kernel's rules.

use crate::error::{DeviceError, Kind};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL,
    NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use std::fmt;

/// Requests under way at once: their answers must fit a receive buffer of the default size.
const IN_FLIGHT: usize = 64;
/// The kernel never sends a longer datagram of rules.
const DATAGRAM: usize = 64 << 10;
/// Listings begun again because rules changed meanwhile.
const LISTINGS: usize = 8;
/// A netlink header, which begins the answer to a request.
const HEADER: usize = 16;
/// `NLMSGERR_ATTR_MSG`.
const SAID: u16 = 1;

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
pub(crate) struct RuleSocket {
    device: String,
    socket: Socket,
    sequence: u32,
}

impl fmt::Debug for RuleSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSocket").field("device", &self.device).finish_non_exhaustive()
    }
}

impl RuleSocket {
    pub(crate) fn open(device: &str) -> Result<Self, DeviceError> {
        let failed =
            |error| DeviceError::new(device, "socket(NETLINK_ROUTE)", Kind::Unreachable, error);
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed)?;
        socket.bind_auto().map_err(failed)?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(failed)?;
        // Older kernels lack them: errors are numbers there.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_ext_ack(true);
        Ok(Self { device: device.to_owned(), socket, sequence: 0 })
    }

    fn error(&self, command: &str, kind: Kind, said: impl fmt::Display) -> DeviceError {
        DeviceError::new(&self.device, command, kind, said)
    }

    fn send(
        &mut self,
        command: &str,
        messages: impl Iterator<Item = NetlinkMessage<RouteNetlinkMessage>>,
    ) -> Result<u32, DeviceError> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for mut message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            message.header.sequence_number = self.sequence;
            message.finalize();
            let at = bytes.len();
            // Messages begin at multiples of four.
            bytes.resize(at + message.buffer_len().next_multiple_of(4), 0);
            message.serialize(&mut bytes[at..]);
        }
        let sent = self.socket.send(&bytes, 0);
        let sent = sent.map_err(|error| self.error(command, Kind::Unreachable, error))?;
        if sent != bytes.len() {
            return Err(self.error(command, Kind::Unreachable, "a part was sent"));
        }
        Ok(first)
    }

    fn receive(
        &self,
        command: &str,
    ) -> Result<Vec<NetlinkMessage<RouteNetlinkMessage>>, DeviceError> {
        let mut buffer = Vec::with_capacity(DATAGRAM);
        self.socket
            .recv(&mut buffer, 0)
            .map_err(|error| self.error(command, Kind::Unreachable, error))?;
        let mut rest = buffer.as_slice();
        let mut messages = Vec::new();
        while rest.len() >= HEADER {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(|error| self.error(command, Kind::Garbled, error))?;
            let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
            if length < HEADER {
                return Err(self.error(command, Kind::Garbled, "a message without a length"));
            }
            messages.push(message);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(messages)
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
        Err(self.error(COMMAND, Kind::Late, said))
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
        let sequence = self.send(command, std::iter::once(NetlinkMessage::new(header, inner)))?;
        let (mut rules, mut consistent) = (Vec::new(), true);
        loop {
            for message in self.receive(command)? {
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
                        return Err(self.error(command, Kind::Refused, error.to_io()));
                    }
                    other => {
                        let said = format!("unexpected {other:?}");
                        return Err(self.error(command, Kind::Garbled, said));
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
            let first = self.send(command, part.iter().map(Request::message))?;
            let mut answers = 0;
            while answers < part.len() {
                for message in self.receive(command)? {
                    let place = message.header.sequence_number.wrapping_sub(first);
                    let place = usize::try_from(place).unwrap_or(usize::MAX);
                    let Some(request) = part.get(place) else { continue };
                    let NetlinkPayload::Error(answer) = message.payload else { continue };
                    answers += 1;
                    if answer.code.is_some() {
                        let told = message.header.flags & NLM_F_ACK_TLVS != 0;
                        let told = told.then(|| words(&answer.header)).flatten();
                        let mut said = answer.to_io().to_string();
                        if let Some(told) = told {
                            said = format!("{said}: {told}");
                        }
                        let error = self.error(request.verb(), Kind::Refused, said);
                        refused.push((chunk * IN_FLIGHT + place, error));
                    }
                }
            }
        }
        Ok(refused)
    }
}

/// What the kernel says besides a number.
fn words(answer: &[u8]) -> Option<String> {
    let attributes = NlasIterator::new(answer.get(HEADER..)?);
    let attribute = attributes.take(8).flatten().find(|one| one.kind() == SAID)?;
    let text = attribute.value().split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}
