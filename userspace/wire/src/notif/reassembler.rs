// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Segments of a message put together, whatever order they come in.
//!
//! Messages are told apart by exporter address, publisher and message id: two routers may use the
//! same publisher id. A message that stays incomplete is given up after a time, or when there is
//! no room for newer ones.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Error;
use super::header::{Header, Segment};
use super::payload::{Encoding, Payload};

/// The bounds of a reassembler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Incomplete messages at a time.
    pub messages: usize,
    /// Octets they may hold together.
    pub bytes: usize,
    /// Segments of one message.
    pub segments: usize,
    /// Milliseconds a message may stay incomplete after its last segment came.
    pub incomplete_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { messages: 4096, bytes: 64 << 20, segments: 4096, incomplete_ms: 5_000 }
    }
}

/// What a reassembler has seen. All counts only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Datagrams pushed.
    pub datagrams: u64,
    /// Datagrams refused.
    pub refused: u64,
    /// Messages completed, unsegmented ones included.
    pub messages: u64,
    /// Segments that came twice.
    pub duplicates: u64,
    /// Messages given up because a segment never came.
    pub expired: u64,
    /// Messages given up for want of room.
    pub evicted: u64,
}

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How the payload is encoded.
    pub encoding: Encoding,
    /// Publisher id.
    pub publisher: u32,
    /// Message id.
    pub message_id: u32,
    /// Datagrams it came in.
    pub segments: u32,
    /// The payload's octets.
    pub payload: Vec<u8>,
}

impl Message {
    /// The payload as JSON, or why it is not.
    pub fn parse(&self) -> Payload {
        self.encoding.parse(&self.payload)
    }
}

/// What a datagram led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// A whole message.
    Complete(Message),
    /// A segment of a message that is not complete yet.
    Incomplete,
    /// A segment that is there already.
    Duplicate,
}

type Key = (IpAddr, u32, u32);

struct Partial {
    encoding: Encoding,
    segments: BTreeMap<u16, Vec<u8>>,
    last: Option<u16>,
    bytes: usize,
    touched_ms: u64,
}

/// The incomplete messages of any number of exporters.
pub struct Reassembler {
    limits: Limits,
    partials: HashMap<Key, Partial>,
    bytes: usize,
    counters: Counters,
}

impl Reassembler {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, partials: HashMap::new(), bytes: 0, counters: Counters::default() }
    }

    /// What it has seen.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Messages incomplete now.
    pub fn incomplete(&self) -> usize {
        self.partials.len()
    }

    /// Takes in one UDP payload; `now_ms` is the caller's clock, only differences matter.
    ///
    /// # Errors
    ///
    /// When the datagram is no UDP-notif message, contradicts earlier segments of its message
    /// (which is then given up), or is too large.
    pub fn push(
        &mut self,
        exporter: IpAddr,
        datagram: &[u8],
        now_ms: u64,
    ) -> Result<Pushed, Error> {
        self.counters.datagrams += 1;
        let pushed = self.take(exporter, datagram, now_ms);
        match &pushed {
            Ok(Pushed::Complete(_)) => self.counters.messages += 1,
            Ok(Pushed::Duplicate) => self.counters.duplicates += 1,
            Ok(Pushed::Incomplete) => {}
            Err(_) => self.counters.refused += 1,
        }
        pushed
    }

    fn take(&mut self, exporter: IpAddr, datagram: &[u8], now_ms: u64) -> Result<Pushed, Error> {
        let (header, payload) = Header::read(datagram)?;
        let whole = |segments, payload| {
            Ok(Pushed::Complete(Message {
                encoding: header.encoding,
                publisher: header.publisher,
                message_id: header.message_id,
                segments,
                payload,
            }))
        };
        let segment = match header.segment {
            None | Some(Segment { number: 0, last: true }) => return whole(1, payload.to_vec()),
            Some(segment) => segment,
        };
        if usize::from(segment.number) >= self.limits.segments || payload.len() > self.limits.bytes
        {
            return Err(Error::TooLarge);
        }
        let key = (exporter, header.publisher, header.message_id);
        self.make_room(&key, payload.len());
        let partial = self.partials.entry(key).or_insert_with(|| Partial {
            encoding: header.encoding,
            segments: BTreeMap::new(),
            last: None,
            bytes: 0,
            touched_ms: now_ms,
        });
        if let Some(known) = partial.segments.get(&segment.number) {
            if known == payload && segment.last == (partial.last == Some(segment.number)) {
                return Ok(Pushed::Duplicate);
            }
            self.forget(&key);
            return Err(Error::Contradiction);
        }
        let highest = partial.segments.last_key_value().map_or(0, |(number, _)| *number);
        let contradicts = match (segment.last, partial.last) {
            (true, Some(_)) => true,
            (true, None) => highest > segment.number,
            (false, Some(last)) => segment.number > last,
            (false, None) => false,
        };
        if contradicts || partial.encoding != header.encoding {
            self.forget(&key);
            return Err(Error::Contradiction);
        }
        if segment.last {
            partial.last = Some(segment.number);
        }
        partial.touched_ms = now_ms;
        partial.bytes += payload.len();
        self.bytes += payload.len();
        partial.segments.insert(segment.number, payload.to_vec());
        let count = partial.segments.len();
        if partial.last.is_none_or(|last| count != usize::from(last) + 1) {
            return Ok(Pushed::Incomplete);
        }
        match self.forget(&key) {
            Some(done) => {
                let mut payload = Vec::with_capacity(done.bytes);
                done.segments.values().for_each(|part| payload.extend_from_slice(part));
                whole(count as u32, payload)
            }
            None => Ok(Pushed::Incomplete),
        }
    }

    /// Gives up messages whose last segment came too long ago; call it from time to time.
    pub fn expire(&mut self, now_ms: u64) -> u64 {
        let limit = self.limits.incomplete_ms;
        let before = self.partials.len();
        let bytes = &mut self.bytes;
        self.partials.retain(|_, partial| {
            let keep = now_ms.saturating_sub(partial.touched_ms) <= limit;
            if !keep {
                *bytes -= partial.bytes;
            }
            keep
        });
        let gone = (before - self.partials.len()) as u64;
        self.counters.expired += gone;
        gone
    }

    /// Gives up the messages untouched for longest until `more` octets and `key` fit.
    fn make_room(&mut self, key: &Key, more: usize) {
        loop {
            let full =
                !self.partials.contains_key(key) && self.partials.len() >= self.limits.messages;
            if !full && self.bytes + more <= self.limits.bytes {
                return;
            }
            let oldest = self.partials.iter().min_by_key(|(_, partial)| partial.touched_ms);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { return };
            self.forget(&oldest);
            self.counters.evicted += 1;
        }
    }

    fn forget(&mut self, key: &Key) -> Option<Partial> {
        let partial = self.partials.remove(key)?;
        self.bytes -= partial.bytes;
        Some(partial)
    }
}
