// SPDX-License-Identifier: Apache-2.0 OR MIT
//! TCP streams out of captured segments, one direction at a time.
//!
//! Data on the SYN is accepted (synthetic captures carry it there), segments may come out of order,
//! repeated or overlapping; what is already delivered wins. A capture that starts inside a
//! connection is read from the first segment seen. A hole that stays open when the buffer is full,
//! or at the end, is reported as a gap and skipped.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

/// Sender and receiver of a direction.
pub type Flow = (SocketAddr, SocketAddr);

/// A captured segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Who sent it to whom.
    pub flow: Flow,
    /// Sequence number of the first octet (of the SYN, if it has one).
    pub sequence: u32,
    /// SYN flag.
    pub syn: bool,
    /// FIN flag.
    pub fin: bool,
    /// RST flag.
    pub rst: bool,
    /// Octets of payload that were captured.
    pub payload: &'a [u8],
}

/// The bounds of a reassembler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Directions held at a time; the one silent for longest makes room.
    pub flows: usize,
    /// Octets one direction may hold beyond a hole before the hole is skipped.
    pub pending_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { flows: 65_536, pending_bytes: 16 << 20 }
    }
}

/// What a segment led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A new connection: earlier octets of the flow belong to another one.
    Start,
    /// The next octets of the stream and the offset of the first one.
    Data {
        /// Octets of the stream before these.
        offset: u64,
        /// The octets.
        bytes: &'a [u8],
    },
    /// So many octets were not captured.
    Gap(u64),
    /// FIN or RST.
    End,
}

#[derive(Default)]
struct Direction {
    /// Sequence number of stream offset 0.
    origin: u32,
    /// Octets delivered, gaps included.
    delivered: u64,
    /// Pieces beyond a hole, by stream offset.
    pending: BTreeMap<u64, Vec<u8>>,
    pending_bytes: usize,
    /// Stream offset of the FIN.
    end: Option<u64>,
    touched: u64,
    syn: Option<u32>,
}

/// The directions of a capture.
pub struct Reassembler {
    limits: Limits,
    flows: HashMap<Flow, Direction>,
    clock: u64,
    /// Directions dropped to make room.
    pub evicted: u64,
    /// Octets seen again.
    pub repeated_bytes: u64,
    /// Octets that never came.
    pub gap_bytes: u64,
}

impl Reassembler {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            flows: HashMap::new(),
            clock: 0,
            evicted: 0,
            repeated_bytes: 0,
            gap_bytes: 0,
        }
    }

    /// Takes in one segment and tells what it made available.
    pub fn push(&mut self, segment: &Segment<'_>, sink: &mut dyn FnMut(Flow, Event<'_>)) {
        self.clock += 1;
        let flow = segment.flow;
        // A SYN takes one sequence number; its payload starts after it.
        let first = segment.sequence.wrapping_add(u32::from(segment.syn));
        let repeated_syn =
            |known: &Direction| segment.syn && known.syn == Some(segment.sequence);
        let fresh = match self.flows.get(&flow) {
            None => true,
            Some(known) => segment.syn && !repeated_syn(known),
        };
        if fresh {
            if segment.payload.is_empty() && !segment.syn {
                return; // nothing to learn from a bare ACK, FIN or RST
            }
            self.make_room();
            let syn = segment.syn.then_some(segment.sequence);
            self.flows.insert(flow, Direction { origin: first, syn, ..Direction::default() });
            sink(flow, Event::Start);
        }
        let Some(direction) = self.flows.get_mut(&flow) else { return };
        direction.touched = self.clock;
        // Offset by distance from what was delivered, so that 4 GiB wrap round.
        let expected = direction.origin.wrapping_add(direction.delivered as u32);
        let ahead = i64::from(first.wrapping_sub(expected) as i32);
        let mut payload = segment.payload;
        let offset = match direction.delivered.checked_add_signed(ahead) {
            Some(offset) => offset,
            None => {
                // From before the first segment seen.
                let skip = usize::try_from(ahead.unsigned_abs() - direction.delivered);
                payload = payload.get(skip.unwrap_or(usize::MAX)..).unwrap_or_default();
                0
            }
        };
        if segment.fin {
            direction.end = Some(offset + payload.len() as u64);
        }
        if !payload.is_empty() {
            self.repeated_bytes += direction.insert(offset, payload);
        }
        direction.drain(flow, sink);
        while direction.pending_bytes > self.limits.pending_bytes {
            self.gap_bytes += direction.skip_hole(flow, sink);
        }
        let complete = direction.end.is_some_and(|end| end <= direction.delivered);
        if segment.rst || complete {
            self.gap_bytes += direction.flush(flow, sink);
            self.flows.remove(&flow);
            sink(flow, Event::End);
        }
    }

    /// Delivers what is left, holes skipped, at the end of the capture.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Flow, Event<'_>)) {
        let mut left: Vec<(Flow, Direction)> = self.flows.drain().collect();
        left.sort_by_key(|(_, direction)| direction.touched);
        for (flow, mut direction) in left {
            self.gap_bytes += direction.flush(flow, sink);
        }
    }

    fn make_room(&mut self) {
        if self.flows.len() >= self.limits.flows {
            let silent = self.flows.iter().min_by_key(|(_, direction)| direction.touched);
            if let Some(silent) = silent.map(|(flow, _)| *flow) {
                self.flows.remove(&silent);
                self.evicted += 1;
            }
        }
    }
}

impl Direction {
    /// Puts a piece into the gaps left by what is there; returns how many octets were there.
    fn insert(&mut self, offset: u64, payload: &[u8]) -> u64 {
        let end = offset + payload.len() as u64;
        let mut at = offset.max(self.delivered).min(end);
        let mut repeated = at - offset;
        let before = self.pending.range(..=at).next_back();
        if let Some((start, piece)) = before {
            let covered = (start + piece.len() as u64).min(end);
            if covered > at {
                repeated += covered - at;
                at = covered;
            }
        }
        while at < end {
            let next = self.pending.range(at..end).next();
            let next = next.map(|(start, piece)| (*start, start + piece.len() as u64));
            let stop = next.map_or(end, |(start, _)| start);
            if stop > at {
                let piece = &payload[(at - offset) as usize..(stop - offset) as usize];
                self.pending_bytes += piece.len();
                self.pending.insert(at, piece.to_vec());
            }
            at = match next {
                Some((start, stop)) => {
                    repeated += stop.min(end) - start;
                    stop
                }
                None => end,
            };
        }
        repeated
    }

    /// Delivers the pieces without a hole before them.
    fn drain(&mut self, flow: Flow, sink: &mut dyn FnMut(Flow, Event<'_>)) {
        while let Some(entry) = self.pending.first_entry() {
            if *entry.key() > self.delivered {
                return;
            }
            let offset = *entry.key();
            let piece = entry.remove();
            self.pending_bytes -= piece.len();
            self.delivered = offset + piece.len() as u64;
            sink(flow, Event::Data { offset, bytes: &piece });
        }
    }

    /// Gives up the first hole; returns its octets.
    fn skip_hole(&mut self, flow: Flow, sink: &mut dyn FnMut(Flow, Event<'_>)) -> u64 {
        let Some((start, _)) = self.pending.first_key_value() else { return 0 };
        let gap = start - self.delivered;
        self.delivered = *start;
        sink(flow, Event::Gap(gap));
        self.drain(flow, sink);
        gap
    }

    fn flush(&mut self, flow: Flow, sink: &mut dyn FnMut(Flow, Event<'_>)) -> u64 {
        let mut gaps = 0;
        while !self.pending.is_empty() {
            gaps += self.skip_hole(flow, sink);
        }
        gaps
    }
}
