// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A netlink socket that changes and reads elements of our maps.
//!
//! The kernel answers before a send returns, so nothing here waits.

use super::batch::Batch;
use super::element::{self, Held};
use super::message::{GET_ELEMENTS, Message};
use super::schema::{Map, map_of};
use crate::error::{DeviceError, Kind};
use crate::matching::Match;
use crate::netlink::{Answers, Channel, Refusal, refusal};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkPayload};
use netlink_sys::protocols::NETLINK_NETFILTER;
use rustix::io::Errno;
use std::collections::BTreeMap;

/// Requests under way at once: answers, a page each, must fit a receive buffer of the default size.
const IN_FLIGHT: usize = 16;

/// The socket; it belongs to the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct ElementSocket {
    channel: Channel,
}

impl ElementSocket {
    pub(crate) fn open(device: &str) -> Result<Self, DeviceError> {
        Ok(Self { channel: Channel::open(device, NETLINK_NETFILTER, "socket(NETLINK_NETFILTER)")? })
    }

    fn refused(&self, command: &str, no: &Refusal) -> DeviceError {
        // What the kernel says of a map that has as many elements as it may.
        let full = no.errno == Errno::NFILE.raw_os_error();
        let kind = if full { Kind::Full } else { Kind::Refused };
        self.channel.error(command, kind, &no.said)
    }

    /// Makes the whole change, or none of it.
    pub(crate) fn change(&mut self, batch: &Batch) -> Result<(), DeviceError> {
        const COMMAND: &str = "NFNL_MSG_BATCH_BEGIN";
        if batch.is_empty() {
            return Ok(());
        }
        let first = self.channel.send(COMMAND, batch.messages())?;
        let answers: Answers<Message> = self.channel.drain(COMMAND)?;
        let mut done = false;
        for message in answers.messages {
            let NetlinkPayload::Error(answer) = message.payload else { continue };
            let place = message.header.sequence_number.wrapping_sub(first);
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            // Of an earlier change.
            if place > batch.last() + 1 {
                continue;
            }
            if let Some(no) = refusal(message.header.flags, &answer) {
                let (command, culprit) = batch.blame(place, no.offset);
                let error = self.refused(&command, &no);
                return Err(match culprit {
                    Some(matching) => error.about(matching),
                    None => error,
                });
            }
            done |= place == batch.last();
        }
        if !done || answers.lost {
            let said = if answers.lost { "an answer got lost" } else { "no answer" };
            return Err(self.channel.error(COMMAND, Kind::Late, said));
        }
        Ok(())
    }

    /// The marks of those that are in their map.
    pub(crate) fn find(&mut self, matches: &[Match]) -> Result<BTreeMap<Match, u32>, DeviceError> {
        const COMMAND: &str = "NFT_MSG_GETSETELEM";
        let mut found = BTreeMap::new();
        for part in matches.chunks(IN_FLIGHT) {
            let requests = part.iter().map(|matching| {
                let mut list = Vec::new();
                element::list(&mut list, &element::named(matching));
                Message::elements(GET_ELEMENTS, map_of(matching), Some(&list)).with(NLM_F_REQUEST)
            });
            let first = self.channel.send(COMMAND, requests)?;
            let mut answered = 0;
            for message in self.channel.drain::<Message>(COMMAND)?.messages {
                let place = message.header.sequence_number.wrapping_sub(first);
                let place = usize::try_from(place).unwrap_or(usize::MAX);
                let Some(matching) = part.get(place) else { continue };
                answered += 1;
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => {
                        let held = answer.held(map_of(matching)).map_err(|said| {
                            self.channel.error(COMMAND, Kind::Garbled, said).about(*matching)
                        })?;
                        for one in held {
                            if let Held::Ours(element) = one {
                                found.insert(element.matching, element.mark);
                            }
                        }
                    }
                    NetlinkPayload::Error(answer) => {
                        match refusal(message.header.flags, &answer) {
                            // No element, no map or no table.
                            Some(no) if no.errno == Errno::NOENT.raw_os_error() => {}
                            Some(no) => return Err(self.refused(COMMAND, &no).about(*matching)),
                            None => {}
                        }
                    }
                    _ => {}
                }
            }
            if answered < part.len() {
                let said = format!("{answered} answers to {} requests", part.len());
                return Err(self.channel.error(COMMAND, Kind::Late, said));
            }
        }
        Ok(found)
    }

    /// All elements of a map; none if it went away or was changed meanwhile.
    pub(crate) fn list(&mut self, map: &'static Map) -> Result<Option<Vec<Held>>, DeviceError> {
        const COMMAND: &str = "NFT_MSG_GETSETELEM";
        let request = Message::elements(GET_ELEMENTS, map, None).with(NLM_F_REQUEST | NLM_F_DUMP);
        let sequence = self.channel.send(COMMAND, std::iter::once(request))?;
        let mut held = Vec::new();
        for message in self.channel.drain::<Message>(COMMAND)?.messages {
            if message.header.sequence_number != sequence {
                continue;
            }
            if message.header.flags & NLM_F_DUMP_INTR != 0 {
                return Ok(None);
            }
            match message.payload {
                NetlinkPayload::InnerMessage(part) => {
                    let part = part.held(map);
                    held.extend(
                        part.map_err(|said| self.channel.error(COMMAND, Kind::Garbled, said))?,
                    );
                }
                NetlinkPayload::Done(done) if done.code == 0 => return Ok(Some(held)),
                // What it listed is gone.
                NetlinkPayload::Done(_) => return Ok(None),
                NetlinkPayload::Error(answer) => {
                    return match refusal(message.header.flags, &answer) {
                        Some(no) if no.errno != Errno::NOENT.raw_os_error() => {
                            Err(self.refused(COMMAND, &no))
                        }
                        _ => Ok(None),
                    };
                }
                _ => {}
            }
        }
        Err(self.channel.error(
            COMMAND,
            Kind::Late,
            format!("the end of map {} is missing", map.name),
        ))
    }

    /// The number that every transaction of nf_tables in this namespace counts up.
    pub(crate) fn generation(&mut self) -> Result<u32, DeviceError> {
        const COMMAND: &str = "NFT_MSG_GETGEN";
        let request = Message::generation().with(NLM_F_REQUEST);
        let sequence = self.channel.send(COMMAND, std::iter::once(request))?;
        for message in self.channel.drain::<Message>(COMMAND)?.messages {
            if message.header.sequence_number != sequence {
                continue;
            }
            match message.payload {
                NetlinkPayload::InnerMessage(answer) => {
                    let id = answer.generation_id();
                    return id.ok_or_else(|| {
                        self.channel.error(COMMAND, Kind::Garbled, "an answer without a number")
                    });
                }
                NetlinkPayload::Error(answer) => {
                    if let Some(no) = refusal(message.header.flags, &answer) {
                        return Err(self.refused(COMMAND, &no));
                    }
                }
                _ => {}
            }
        }
        Err(self.channel.error(COMMAND, Kind::Late, "no answer"))
    }
}
