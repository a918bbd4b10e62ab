// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Attributes of netlink: length, type, value, one behind the other and one within the other.

use netlink_packet_core::{NLA_F_NESTED, NLA_TYPE_MASK};

/// An attribute's length and type.
pub(crate) const HEAD: usize = 4;

/// Octets of an attribute whose value has so many.
pub(crate) fn size(value: usize) -> usize {
    HEAD + value.next_multiple_of(4)
}

/// Adds an attribute. The caller sees to it that its length fits 16 bits.
pub(crate) fn put(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    fill(to, kind, |to| to.extend(value));
}

/// Adds an attribute that others lie in.
pub(crate) fn nest(to: &mut Vec<u8>, kind: u16, inner: impl FnOnce(&mut Vec<u8>)) {
    fill(to, kind | NLA_F_NESTED, inner);
}

fn fill(to: &mut Vec<u8>, kind: u16, value: impl FnOnce(&mut Vec<u8>)) {
    let at = to.len();
    to.extend([0; HEAD]);
    value(to);
    let length = u16::try_from(to.len() - at).unwrap_or(u16::MAX);
    to[at..at + 2].copy_from_slice(&length.to_ne_bytes());
    to[at + 2..at + HEAD].copy_from_slice(&kind.to_ne_bytes());
    to.resize(to.len().next_multiple_of(4), 0);
}

/// One that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    pub(crate) value: &'a [u8],
}

/// All of them; a torn one is the last, and an error.
pub(crate) fn all(octets: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, String>> {
    let mut rest = octets;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let one = split(rest);
        let torn = || format!("a torn attribute, {} octets before the end", rest.len());
        let result = one.map(|(attribute, _)| attribute).ok_or_else(torn);
        rest = one.map(|(_, after)| after).unwrap_or_default();
        Some(result)
    })
}

fn split(octets: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let ([a, b, c, d], _) = octets.split_first_chunk::<HEAD>()?;
    let length = usize::from(u16::from_ne_bytes([*a, *b]));
    let kind = u16::from_ne_bytes([*c, *d]) & NLA_TYPE_MASK;
    let value = octets.get(HEAD..length)?;
    let after = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((Attribute { kind, value }, after))
}

/// The value of the first of a kind.
pub(crate) fn first(octets: &[u8], kind: u16) -> Result<Option<&[u8]>, String> {
    for one in all(octets) {
        let one = one?;
        if one.kind == kind {
            return Ok(Some(one.value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut octets = Vec::new();
        put(&mut octets, 2, b"flow4\0");
        nest(&mut octets, 3, |to| put(to, 1, &[1, 2, 3, 4]));
        assert_eq!(
            octets,
            [
                10, 0, 2, 0, b'f', b'l', b'o', b'w', b'4', 0, 0, 0, 12, 0, 3, 0x80, 8, 0, 1, 0, 1,
                2, 3, 4
            ]
        );
        assert_eq!(octets.len(), size(6) + size(size(4)));
        let inner = first(&octets, 3).unwrap().unwrap();
        assert_eq!(first(inner, 1).unwrap(), Some(&[1, 2, 3, 4][..]));
        assert_eq!(first(inner, 7).unwrap(), None);
    }

    #[test]
    fn torn_ones_are_an_error_and_the_end() {
        for torn in [&[1][..], &[3, 0, 1, 0], &[9, 0, 1, 0, 1, 2, 3, 4], &[0; 8]] {
            let mut octets = Vec::new();
            put(&mut octets, 5, &[1]);
            octets.extend(torn);
            let read: Vec<_> = all(&octets).collect();
            assert_eq!(read.len(), 2, "{torn:?}");
            assert_eq!(read[0], Ok(Attribute { kind: 5, value: &[1] }));
            assert!(read[1].is_err() && first(&octets, 6).is_err(), "{torn:?}");
        }
        // The last need not be filled up.
        assert_eq!(all(&[5, 0, 1, 0, 7]).count(), 1);
    }
}
