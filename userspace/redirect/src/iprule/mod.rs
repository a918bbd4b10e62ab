// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rules of the Linux kernel, one for each direction of each entry, through netlink.
//!
//! The kernel goes through rules one by one, so forwarding slows down with their number: for tables of
//! hundreds of entries [`crate::nft`] is the better one. Ours carry [`PROTOCOL`] as their originator and
//! one of three priorities, by rank; a rule of another originator among these priorities is foreign.
//! A change adds before it removes, so a pair that moves from one path to another is always on one.

mod links;
mod marks;
mod message;
mod socket;

pub use message::PROTOCOL;

pub(crate) use links::LinkRules;
pub(crate) use marks::{MarkRules, Marks};

use crate::device::{Capabilities, Commit, Device};
use crate::error::{DeviceError, Kind};
use crate::matching::{Match, Rank};
use crate::path::Paths;
use crate::rule::{Change, ReadBack, Rule};
use message::Selector;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::rule::RuleMessage;
use socket::{Request, RuleSocket};
use telesteer_fam::Ns;

/// The priority of 5-tuples unless said otherwise; hosts and networks follow.
pub const PRIORITY: u32 = 20_000;
/// Rules more than this make every packet slow.
pub const LIMIT: usize = 8192;

/// The rules of the network namespace of the thread that opens it.
#[derive(Debug)]
pub struct IpRule {
    name: String,
    socket: RuleSocket,
    priority: u32,
    ipv6: bool,
}

impl IpRule {
    /// Opens the kernel's rules, with ours at [`PRIORITY`].
    ///
    /// # Errors
    ///
    /// If there is no netlink socket or rules cannot be listed.
    pub fn open(name: &str) -> Result<Self, DeviceError> {
        Self::with_priority(name, PRIORITY)
    }

    /// The same with ours at `priority` and the two after it.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn with_priority(name: &str, priority: u32) -> Result<Self, DeviceError> {
        let mut socket = RuleSocket::open(name)?;
        socket.list(AddressFamily::Inet)?;
        let ipv6 = socket.list(AddressFamily::Inet6).is_ok();
        Ok(Self { name: name.to_owned(), socket, priority, ipv6 })
    }

    fn families(&self) -> impl Iterator<Item = AddressFamily> + use<> {
        [AddressFamily::Inet, AddressFamily::Inet6].into_iter().take(1 + usize::from(self.ipv6))
    }

    /// Where our rule is one we make, the rule; else the message and why not, if it is ours.
    fn sort(&mut self, paths: &Paths) -> Result<Sorted, DeviceError> {
        let mut sorted = Sorted::default();
        let last = Rank::ALL.len() - 1;
        let ours = self.priority..=self.priority + u32::try_from(last).unwrap_or(0);
        for family in self.families() {
            for message in self.socket.list(family)? {
                let read = message::read(&message);
                if !ours.contains(&read.priority) {
                    continue;
                }
                if read.protocol != PROTOCOL {
                    sorted.back.foreign.push(message::text(&message));
                    continue;
                }
                let rule = match read.selector {
                    Ok(Selector::Match(matching))
                        if self.priority + matching.rank().index() == read.priority =>
                    {
                        let path = paths.with_table(read.table).cloned();
                        path.map(|path| Rule { matching, path })
                    }
                    _ => None,
                };
                // A second rule that says the same is one too many.
                if !rule.is_some_and(|rule| sorted.back.rules.insert(rule)) {
                    sorted.back.amiss.push(message::text(&message));
                    sorted.amiss.push(message);
                }
            }
        }
        Ok(sorted)
    }

    fn message(&self, paths: &Paths, rule: &Rule) -> Result<RuleMessage, DeviceError> {
        let Some(target) = paths.get(&rule.path) else {
            let said = format!("unknown path {}", rule.path);
            let error = DeviceError::new(&self.name, "change", Kind::Unsupported, said);
            return Err(error.about(rule.matching));
        };
        if !rule.matching.is_ipv4() && !self.ipv6 {
            let error = DeviceError::new(&self.name, "change", Kind::Unsupported, "no IPv6 here");
            return Err(error.about(rule.matching));
        }
        let priority = self.priority + rule.matching.rank().index();
        Ok(message::of_match(&rule.matching, target.table, priority))
    }
}

#[derive(Debug, Default)]
struct Sorted {
    back: ReadBack,
    amiss: Vec<RuleMessage>,
}

impl Device for IpRule {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { ports: true, ipv6: self.ipv6, atomic: false, limit: LIMIT }
    }

    fn read_back(&mut self, paths: &Paths, _now: Ns) -> Result<ReadBack, DeviceError> {
        Ok(self.sort(paths)?.back)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, _now: Ns) -> Result<Commit, DeviceError> {
        let mut requests = Vec::with_capacity(change.add.len() + change.remove.len());
        let mut entries: Vec<Option<Match>> = Vec::with_capacity(requests.capacity());
        for rule in &change.add {
            requests.push(Request::Add(self.message(paths, rule)?));
            entries.push(Some(rule.matching));
        }
        for rule in &change.remove {
            requests.push(Request::Delete(self.message(paths, rule)?));
            entries.push(Some(rule.matching));
        }
        if change.purge {
            for message in self.sort(paths)?.amiss {
                requests.push(Request::Delete(message));
                entries.push(None);
            }
        }
        let refused = self.socket.change(&requests)?;
        match refused.into_iter().next() {
            None => Ok(Commit::Done),
            Some((place, error)) => Err(match entries.get(place).copied().flatten() {
                Some(entry) => error.about(entry),
                None => error,
            }),
        }
    }
}
