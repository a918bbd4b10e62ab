// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Message boundaries in a BMP stream (RFC 7854 section 4.1).

/// Octets of the common header: version, length, type.
pub const HEADER_LEN: usize = 6;

/// A message longer than this is not one: a Peer Up holds two OPENs, a Route Monitoring one
/// UPDATE, at most 65 535 octets each, and v4 repeats them in TLVs of that size.
pub const MESSAGE_LEN_MAX: usize = 1 << 20;

/// What the octets at the front of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Not decidable before this many octets are there.
    Need(usize),
    /// A whole message of this many octets is there.
    Message(usize),
    /// Not a message: this many octets are to be kept raw and skipped. They end where the next
    /// plausible header starts, or with the buffer.
    Lost {
        /// Octets to skip, at least 1.
        skip: usize,
        /// Why, as a counter label.
        reason: &'static str,
    },
    /// A header announcing more than the cap: so many octets are to be consumed raw in pieces.
    Oversize(usize),
}

/// Looks at the front of `buffer` for a message of at most `cap` octets.
pub fn next_len(buffer: &[u8], cap: usize) -> Framing {
    let &[version, a, b, c, d, message_type, ..] = buffer else {
        return match buffer.first() {
            Some(version) if !version_known(*version) => lost(buffer, "bad_version"),
            _ => Framing::Need(HEADER_LEN),
        };
    };
    if !version_known(version) {
        return lost(buffer, "bad_version");
    }
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    if len < HEADER_LEN {
        return lost(buffer, "bad_length");
    }
    if len > cap {
        // A lying length would swallow the stream, so an unknown type with it is taken as noise.
        return if message_type <= 6 { Framing::Oversize(len) } else { lost(buffer, "bad_length") };
    }
    if buffer.len() < len { Framing::Need(len) } else { Framing::Message(len) }
}

fn version_known(version: u8) -> bool {
    version == 3 || version == 4
}

/// Looks for the next header that could be one. BMP has no marker, so this is a guess: version,
/// plausible length, assigned type.
fn lost(buffer: &[u8], reason: &'static str) -> Framing {
    let plausible = |window: &[u8]| match *window {
        [version, a, b, c, d, message_type] => {
            let len = u32::from_be_bytes([a, b, c, d]) as usize;
            version_known(version)
                && (HEADER_LEN..=MESSAGE_LEN_MAX).contains(&len)
                && message_type <= 6
        }
        _ => false,
    };
    let found = buffer.windows(HEADER_LEN).skip(1).position(plausible);
    // Without a find, the tail may still be the start of a header.
    let tail = || buffer.len().saturating_sub(HEADER_LEN - 1);
    let skip = found.map_or_else(tail, |at| at + 1).clamp(1, buffer.len().max(1));
    Framing::Lost { skip, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIATION: [u8; 10] = [3, 0, 0, 0, 10, 4, 0, 2, 0, 0];

    #[test]
    fn a_message_is_found_at_any_split() {
        for len in 0..INITIATION.len() {
            let need = if len < HEADER_LEN { HEADER_LEN } else { INITIATION.len() };
            assert_eq!(next_len(&INITIATION[..len], 100), Framing::Need(need), "{len}");
        }
        assert_eq!(next_len(&INITIATION, 100), Framing::Message(10));
    }

    #[test]
    fn noise_is_skipped_up_to_the_next_header() {
        let mut stream = vec![0, 0, 0, 0, 0, 5, 9];
        stream.extend_from_slice(&INITIATION);
        assert_eq!(next_len(&stream, 100), Framing::Lost { skip: 7, reason: "bad_version" });
        assert_eq!(next_len(&stream[7..], 100), Framing::Message(10));
    }

    #[test]
    fn lying_lengths_are_not_believed() {
        assert_eq!(
            next_len(&[3, 0, 0, 0, 5, 4], 100),
            Framing::Lost { skip: 1, reason: "bad_length" }
        );
        assert_eq!(next_len(&[3, 0, 0, 1, 0, 4], 100), Framing::Oversize(256));
        assert!(matches!(next_len(&[3, 9, 9, 9, 9, 99], 100), Framing::Lost { .. }));
    }
}
