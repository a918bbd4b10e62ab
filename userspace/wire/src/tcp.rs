// SPDX-License-Identifier: Apache-2.0 OR MIT
//! TCP streams out of captured segments, one direction at a time.
//!
//! Data on the SYN is accepted, whether the SYN counts as one sequence number (RFC 9293) or not (as
//! in synthetic captures, which the segment after it tells). Segments may come out of order,
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
    /// Octets that came on the SYN, as long as it is open whether the SYN itself counts.
    on_syn: u64,
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
        let repeated_syn = |known: &Direction| segment.syn && known.syn == Some(segment.sequence);
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
            let on_syn = if segment.syn { segment.payload.len() as u64 } else { 0 };
            let fresh = Direction { origin: first, syn, on_syn, ..Direction::default() };
            self.flows.insert(flow, fresh);
            sink(flow, Event::Start);
        }
        let Some(direction) = self.flows.get_mut(&flow) else { return };
        direction.touched = self.clock;
        if !segment.syn && segment.payload.len() > 1 && direction.on_syn > 0 {
            // One octet (a keep-alive probe) decides nothing; this does.
            let after = direction.origin.wrapping_add(direction.on_syn as u32);
            if direction.delivered == direction.on_syn && first == after.wrapping_sub(1) {
                direction.origin = direction.origin.wrapping_sub(1);
            }
            direction.on_syn = 0;
        }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flow() -> Flow {
        ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap())
    }

    fn segment(sequence: u32, payload: &[u8]) -> Segment<'_> {
        Segment { flow: flow(), sequence, syn: false, fin: false, rst: false, payload }
    }

    /// The stream as text, `|` for a start, `(n)` for a gap of n, `.` for the end.
    fn read(segments: &[Segment<'_>], limits: Limits) -> String {
        let mut text = String::new();
        let mut reassembler = Reassembler::new(limits);
        let mut next = 0;
        let mut sink = |_, event: Event<'_>| match event {
            Event::Start => {
                text.push('|');
                next = 0;
            }
            Event::Data { offset, bytes } => {
                assert_eq!(offset, next);
                next += bytes.len() as u64;
                text.push_str(std::str::from_utf8(bytes).unwrap());
            }
            Event::Gap(octets) => {
                next += octets;
                text.push_str(&format!("({octets})"));
            }
            Event::End => text.push('.'),
        };
        segments.iter().for_each(|segment| reassembler.push(segment, &mut sink));
        reassembler.finish(&mut sink);
        text
    }

    #[test]
    fn order_repeats_and_overlaps_do_not_matter() {
        let syn = Segment { syn: true, ..segment(99, b"") };
        let fin = Segment { fin: true, ..segment(112, b"") };
        let ordinary = [syn, segment(100, b"hello "), segment(106, b"world!"), fin];
        assert_eq!(read(&ordinary, Limits::default()), "|hello world!.");
        let wild = [
            syn,
            segment(106, b"wor"),
            segment(100, b"hell"),
            segment(102, b"llo w"),
            segment(100, b"hello "),
            syn,
            fin,
            segment(107, b"orld!"),
        ];
        assert_eq!(read(&wild, Limits::default()), "|hello world!.");
    }

    #[test]
    fn data_on_the_syn_is_read_whether_the_syn_counts_or_not() {
        let syn = Segment { syn: true, ..segment(1, b"hello ") };
        for next in [7, 8] {
            assert_eq!(read(&[syn, segment(next, b"world")], Limits::default()), "|hello world");
        }
        // A keep-alive probe repeats the last octet and says nothing about the SYN.
        let probe = segment(7, b" ");
        assert_eq!(read(&[syn, probe, segment(8, b"world")], Limits::default()), "|hello world");
    }

    #[test]
    fn sequence_numbers_wrap() {
        let start = u32::MAX - 2;
        let segments = [segment(start, b"abc"), segment(3, b"ghi"), segment(0, b"def")];
        assert_eq!(read(&segments, Limits::default()), "|abcdefghi");
    }

    #[test]
    fn holes_are_told_when_nothing_can_fill_them() {
        let segments = [segment(0, b"abc"), segment(5, b"fg")];
        assert_eq!(read(&segments, Limits::default()), "|abc(2)fg");
        let limits = Limits { pending_bytes: 3, ..Limits::default() };
        let segments =
            [segment(0, b"abc"), segment(5, b"fg"), segment(9, b"jk"), segment(3, b"de")];
        assert_eq!(read(&segments, limits), "|abc(2)fg(2)jk");
        let reset = Segment { rst: true, ..segment(7, b"") };
        assert_eq!(read(&[segment(0, b"abc"), segment(5, b"fg"), reset], limits), "|abc(2)fg.");
    }

    #[test]
    fn a_new_connection_on_the_same_ports_starts_over() {
        let syn = |sequence| Segment { syn: true, ..segment(sequence, b"") };
        let segments = [syn(0), segment(1, b"old"), syn(900), segment(901, b"new")];
        assert_eq!(read(&segments, Limits::default()), "|old|new");
        // Without a SYN the first segment seen is the start, and an ACK alone is nothing.
        assert_eq!(read(&[segment(5, b""), segment(7, b"x")], Limits::default()), "|x");
    }

    #[test]
    fn connections_are_bounded() {
        let mut reassembler = Reassembler::new(Limits { flows: 2, ..Limits::default() });
        for port in 1..=5 {
            let from = SocketAddr::new(flow().0.ip(), port);
            let one = Segment { flow: (from, flow().1), ..segment(0, b"x") };
            reassembler.push(&one, &mut |_, _| {});
        }
        assert_eq!(reassembler.evicted, 3);
    }

    proptest! {
        /// Any cut, order and overlap of a stream gives the stream.
        #[test]
        fn any_schedule_gives_the_stream(
            len in 1usize..200,
            start in any::<u32>(),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 1usize..40), 0..60),
        ) {
            let stream: Vec<u8> = (0..len).map(|at| b'a' + (at % 26) as u8).collect();
            let mut segments: Vec<Segment<'_>> = cuts
                .iter()
                .map(|(at, size)| {
                    let at = at.index(len);
                    segment(start.wrapping_add(at as u32), &stream[at..len.min(at + size)])
                })
                .collect();
            // Everything once more, so that nothing is missing.
            let whole = stream.chunks(7).enumerate();
            segments.extend(whole.map(|(n, c)| segment(start.wrapping_add(7 * n as u32), c)));
            let syn = Segment { syn: true, ..segment(start.wrapping_sub(1), b"") };
            segments.insert(0, syn);
            let expected = format!("|{}", String::from_utf8(stream.clone()).unwrap());
            prop_assert_eq!(read(&segments, Limits::default()), expected);
        }
    }
}
