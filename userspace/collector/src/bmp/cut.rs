// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cuts the head of a stream into messages and raw pieces. Knows nothing of sockets.

use telesteer_wire::bmp::{Framing, next_len};

/// Largest raw piece in one line.
const PIECE: usize = 64 << 10;

/// One piece of the stream, at the front of what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// A message of this many bytes.
    Message(usize),
    /// This many bytes are kept raw.
    Raw(usize, &'static str),
    /// Nothing yet; the message needs this many bytes in all.
    Need(usize),
}

/// Where raw pieces come from and how far they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawRun {
    /// Stream offset at which the stream is read as messages again.
    pub until: u64,
    /// Why it is raw, as a counter label.
    pub reason: &'static str,
}

/// Cuts one piece off the front of `bytes`, which starts at stream offset `at`. `run` is the raw run
/// in force and is started here by a message longer than `cap`.
pub(super) fn cut(bytes: &[u8], at: u64, cap: usize, run: &mut RawRun) -> Cut {
    if bytes.is_empty() {
        return Cut::Need(1);
    }
    if run.until > at {
        let left = usize::try_from(run.until - at).unwrap_or(usize::MAX);
        return Cut::Raw(left.min(bytes.len()).min(PIECE), run.reason);
    }
    match next_len(bytes, cap) {
        Framing::Message(len) => Cut::Message(len),
        Framing::Need(len) => Cut::Need(len),
        Framing::Lost { skip, reason } => Cut::Raw(skip.min(PIECE).min(bytes.len()), reason),
        Framing::Oversize(len) => {
            *run = RawRun { until: at.saturating_add(len as u64), reason: "oversize" };
            Cut::Raw(len.min(bytes.len()).min(PIECE), run.reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: RawRun = RawRun { until: 0, reason: "" };

    fn message(len: u32) -> Vec<u8> {
        let mut bytes = vec![3];
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.push(4);
        bytes.resize(len as usize, 0);
        bytes
    }

    #[test]
    fn whole_messages_and_the_need_for_more() {
        let (bytes, mut run) = (message(50), NONE);
        assert_eq!(cut(&bytes, 0, 4096, &mut run), Cut::Message(50));
        assert_eq!(cut(&bytes[..49], 0, 4096, &mut run), Cut::Need(50));
        assert_eq!(cut(&bytes[..3], 0, 4096, &mut run), Cut::Need(6));
        assert_eq!(run, NONE);
    }

    #[test]
    fn a_message_over_the_cap_is_raw_to_its_end_and_not_further() {
        let (mut stream, mut run) = (message(10_000), NONE);
        stream.extend_from_slice(&message(20));
        let mut at = 1000;
        // It arrives in two parts.
        assert_eq!(cut(&stream[..6000], at, 4096, &mut run), Cut::Raw(6000, "oversize"));
        at += 6000;
        assert_eq!(cut(&stream[6000..], at, 4096, &mut run), Cut::Raw(4000, "oversize"));
        at += 4000;
        assert_eq!(cut(&stream[10_000..], at, 4096, &mut run), Cut::Message(20));
    }

    #[test]
    fn noise_is_raw_until_the_next_header() {
        let (mut stream, mut run) = (b"GET / HTTP/1.1\r\n\r\n".to_vec(), NONE);
        let noise = stream.len();
        stream.extend_from_slice(&message(20));
        assert_eq!(cut(&stream, 0, 4096, &mut run), Cut::Raw(noise, "bad_version"));
    }
}
