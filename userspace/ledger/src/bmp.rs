// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where BMP messages begin and end (RFC 7854, section 4.1): version, 32-bit length, type.

/// Bytes of the common header.
const HEADER: usize = 6;
/// A length beyond this is taken for lost framing.
const MAX_MESSAGE: usize = 16 << 20;

/// Boundaries found in a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Offset just behind each complete message, ascending; the first begins at 0.
    pub ends: Vec<u64>,
    /// Offset at which the bytes stopped being BMP.
    pub broken_at: Option<u64>,
}

impl Messages {
    /// Frames a stream from its first byte.
    pub fn of(stream: &[u8]) -> Self {
        let mut found = Self::default();
        let mut at = 0;
        while let Some(header) = stream.get(at..at + HEADER) {
            let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
            if !(3..=4).contains(&header[0]) || !(HEADER..=MAX_MESSAGE).contains(&length) {
                found.broken_at = Some(at as u64);
                break;
            }
            at += length;
            if at > stream.len() {
                break;
            }
            found.ends.push(at as u64);
        }
        found
    }

    /// Begin and end of each message.
    pub fn spans(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter().copied())
    }

    /// Whether a message begins or ends at `offset`.
    pub fn is_boundary(&self, offset: u64) -> bool {
        offset == 0 || self.ends.binary_search(&offset).is_ok()
    }

    /// Offset behind the last complete message.
    pub fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32) -> Vec<u8> {
        let mut out = vec![3];
        out.extend(length.to_be_bytes());
        out.resize(length as usize, 4);
        out
    }

    #[test]
    fn boundaries() {
        let mut stream = message(6);
        stream.extend(message(48));
        stream.extend(&message(20)[..19]);
        let found = Messages::of(&stream);
        assert_eq!(found.ends, [6, 54]);
        assert_eq!(found.spans().collect::<Vec<_>>(), [(0, 6), (6, 54)]);
        assert!(found.is_boundary(0) && found.is_boundary(54) && !found.is_boundary(73));
        assert_eq!(found.broken_at, None);
    }

    #[test]
    fn lost_framing_is_told() {
        let mut stream = message(6);
        stream.extend([9, 0, 0, 0, 6, 4]);
        assert_eq!(Messages::of(&stream).broken_at, Some(6));
        let mut short = message(6);
        short.extend([3, 0, 0, 0, 5, 4]);
        assert_eq!(Messages::of(&short).broken_at, Some(6));
    }
}
