// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A transaction: elements that go and elements that come, in as few messages as hold them.

use super::element::{self, Odd};
use super::message::{DELETE_ELEMENTS, Message, NEW_ELEMENTS, before};
use super::schema::{MAPS, Map, map_of};
use crate::matching::Match;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage};

/// Octets of elements in a message at most: the length of a list has 16 bits.
const LIST: usize = u16::MAX as usize - 3 - super::attribute::HEAD;

/// Elements of one map that all go or all come.
#[derive(Debug)]
struct Part {
    delete: bool,
    map: &'static Map,
    list: Vec<u8>,
    /// Where each begins in the list, and what it matches if it is ours.
    starts: Vec<(usize, Option<Match>)>,
}

/// Parts in order: what goes is before what comes, so an element that changes its mark does both.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    gone: Vec<Part>,
    new: Vec<Part>,
}

impl Batch {
    /// Takes the element of a match away.
    pub(crate) fn delete(&mut self, matching: &Match) {
        let body = element::named(matching);
        add(&mut self.gone, true, map_of(matching), Some(*matching), &body);
    }

    /// Takes one away that is none of ours.
    pub(crate) fn delete_odd(&mut self, odd: &Odd) {
        add(&mut self.gone, true, odd.map, None, &odd.body);
    }

    /// Gives what matches a mark.
    pub(crate) fn add(&mut self, matching: &Match, mark: u32) {
        let body = element::mapped(matching, mark);
        add(&mut self.new, false, map_of(matching), Some(*matching), &body);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.new.is_empty()
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.gone.iter().chain(&self.new)
    }

    /// As it is sent. The last message about elements asks for an answer, the others answer an error.
    pub(crate) fn messages(&self) -> impl Iterator<Item = NetlinkMessage<Message>> {
        let last = self.parts().count().saturating_sub(1);
        let parts = self.parts().enumerate().map(move |(at, part)| {
            let (kind, create) =
                if part.delete { (DELETE_ELEMENTS, 0) } else { (NEW_ELEMENTS, NLM_F_CREATE) };
            let ack = if at == last { NLM_F_ACK } else { 0 };
            Message::elements(kind, part.map, Some(&part.list)).with(NLM_F_REQUEST | create | ack)
        });
        let begin = std::iter::once_with(|| Message::begin().with(NLM_F_REQUEST));
        begin.chain(parts).chain(std::iter::once_with(|| Message::end().with(NLM_F_REQUEST)))
    }

    /// Which message asks for an answer.
    pub(crate) fn last(&self) -> usize {
        self.parts().count()
    }

    /// What the message at `place` does, and what the element at `offset` in it matches.
    pub(crate) fn blame(&self, place: usize, offset: Option<usize>) -> (String, Option<Match>) {
        let Some(part) = place.checked_sub(1).and_then(|place| self.parts().nth(place)) else {
            return ("NFNL_MSG_BATCH_BEGIN".to_owned(), None);
        };
        let verb = if part.delete { "NFT_MSG_DELSETELEM" } else { "NFT_MSG_NEWSETELEM" };
        let within = offset.and_then(|offset| offset.checked_sub(before(part.map)));
        let culprit = match (within, part.starts.as_slice()) {
            (None, [(_, only)]) => *only,
            (None, _) => None,
            (Some(within), starts) => {
                let after = starts.partition_point(|(start, _)| *start <= within);
                after.checked_sub(1).and_then(|at| starts.get(at)).and_then(|(_, one)| *one)
            }
        };
        (format!("{verb} {}", part.map.name), culprit)
    }
}

fn add(
    parts: &mut Vec<Part>,
    delete: bool,
    map: &'static Map,
    matching: Option<Match>,
    body: &[u8],
) {
    // Of each map the last part may have room: there are few maps, so it is near the end.
    let recent = parts.iter_mut().rev().take(MAPS.len());
    let room = |part: &&mut Part| part.list.len() + element::size(body) <= LIST;
    let part = match recent.filter(|part| part.map == map).find(room) {
        Some(part) => part,
        None => {
            parts.push(Part { delete, map, list: Vec::new(), starts: Vec::new() });
            let Some(part) = parts.last_mut() else { return };
            part
        }
    };
    part.starts.push((part.list.len(), matching));
    element::list(&mut part.list, body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::{net, tuple};

    fn flow(port: u16) -> Match {
        Match::flow(tuple(1, port)).unwrap()
    }

    #[test]
    fn a_large_one_is_many_messages_and_none_is_too_long() {
        let mut batch = Batch::default();
        for port in 1..=20_000 {
            batch.add(&flow(port), 101);
            batch.delete(&flow(port));
        }
        batch.delete(&net(1));
        assert!(batch.parts().all(|part| part.list.len() <= LIST));
        let held: usize = batch.parts().map(|part| part.starts.len()).sum();
        assert_eq!(held, 40_001);
        // 44 and 32 octets an element.
        assert_eq!(batch.new.len(), 20_000_usize.div_ceil(LIST / 44));
        assert_eq!(batch.gone.len(), 20_000_usize.div_ceil(LIST / 32) + 1);
        let messages: Vec<_> = batch.messages().collect();
        assert_eq!(messages.len(), batch.last() + 2);
        assert!(messages[..batch.last()].iter().all(|one| one.header.flags & NLM_F_ACK == 0));
        assert_eq!(messages[batch.last()].header.flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE);
    }

    #[test]
    fn the_culprit_is_found_by_its_place() {
        let mut batch = Batch::default();
        batch.delete(&net(1));
        (1..=3).for_each(|port| batch.add(&flow(port), 101));
        let start = before(map_of(&flow(1)));
        for (place, offset, verb, culprit) in [
            (0, None, "NFNL_MSG_BATCH_BEGIN", None),
            (1, None, "NFT_MSG_DELSETELEM net4", Some(net(1))),
            (2, None, "NFT_MSG_NEWSETELEM flow4", None),
            (2, Some(20), "NFT_MSG_NEWSETELEM flow4", None),
            (2, Some(start), "NFT_MSG_NEWSETELEM flow4", Some(flow(1))),
            (2, Some(start + 44), "NFT_MSG_NEWSETELEM flow4", Some(flow(2))),
            (2, Some(start + 92), "NFT_MSG_NEWSETELEM flow4", Some(flow(3))),
            (9, Some(start), "NFNL_MSG_BATCH_BEGIN", None),
        ] {
            assert_eq!(batch.blame(place, offset), (verb.to_owned(), culprit));
        }
    }
}
