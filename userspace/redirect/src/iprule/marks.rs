// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One rule for each path and family: packets with its mark look their route up in its table.

use super::message::{self, PROTOCOL, Selector};
use super::socket::{Request, RuleSocket};
use crate::error::DeviceError;
use crate::path::{Paths, Target};
use crate::rule::Listed;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::rule::RuleMessage;
use std::collections::BTreeSet;

/// Puts such rules into the network namespace of the thread that opens it.
#[derive(Debug)]
pub(crate) struct MarkRules {
    socket: RuleSocket,
    priority: u32,
    ipv6: bool,
}

/// The rules there are.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// IPv4 or not, mark and table of rules that are as we make them.
    good: BTreeSet<(bool, u32, u32)>,
    /// Ours, but of a path nobody knows or not as we make them.
    bad: Vec<RuleMessage>,
    pub(crate) amiss: Listed,
    pub(crate) foreign: Listed,
}

impl Marks {
    /// Whether packets of a family that carry the target's mark use its table.
    pub(crate) fn works(&self, ipv4: bool, target: Target) -> bool {
        self.good.contains(&(ipv4, target.mark, target.table))
    }
}

impl MarkRules {
    pub(crate) fn open(device: &str, priority: u32) -> Result<Self, DeviceError> {
        let mut socket = RuleSocket::open(device)?;
        socket.list(AddressFamily::Inet)?;
        let ipv6 = socket.list(AddressFamily::Inet6).is_ok();
        Ok(Self { socket, priority, ipv6 })
    }

    pub(crate) fn ipv6(&self) -> bool {
        self.ipv6
    }

    pub(crate) fn read(&mut self, paths: &Paths) -> Result<Marks, DeviceError> {
        let mut marks = Marks::default();
        for ipv4 in [true, false].into_iter().take(1 + usize::from(self.ipv6)) {
            let family = if ipv4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
            for message in self.socket.list(family)? {
                let read = message::read(&message);
                if read.priority != self.priority {
                    continue;
                }
                if read.protocol != PROTOCOL {
                    marks.foreign.push(message::text(&message));
                    continue;
                }
                let known = match read.selector {
                    Ok(Selector::Mark(mark)) => {
                        let path = paths.with_mark(mark).and_then(|path| paths.get(path));
                        path.is_some_and(|target| target.table == read.table)
                            && marks.good.insert((ipv4, mark, read.table))
                    }
                    _ => false,
                };
                if !known {
                    marks.amiss.push(message::text(&message));
                    marks.bad.push(message);
                }
            }
        }
        Ok(marks)
    }

    /// Adds the rules of `needed` that are not there.
    pub(crate) fn ensure(
        &mut self,
        marks: &Marks,
        needed: &BTreeSet<(bool, u32, u32)>,
    ) -> Result<(), DeviceError> {
        let missing = needed.difference(&marks.good);
        let requests: Vec<_> = missing
            .map(|(ipv4, mark, table)| {
                Request::Add(message::of_mark(*ipv4, *mark, *table, self.priority))
            })
            .collect();
        self.make(&requests)
    }

    /// Deletes what is ours and amiss.
    pub(crate) fn purge(&mut self, marks: &Marks) -> Result<(), DeviceError> {
        let requests: Vec<_> = marks.bad.iter().cloned().map(Request::Delete).collect();
        self.make(&requests)
    }

    fn make(&mut self, requests: &[Request]) -> Result<(), DeviceError> {
        match self.socket.change(requests)?.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}
