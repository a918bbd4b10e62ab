// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An element of a map: what is sent of it and what is read.
//!
//! Numbers are those of `linux/netfilter/nf_tables.h`. Counters are in network byte order; data of a map
//! are as the kernel's registers hold them, so a mark is in the byte order of the machine.

use super::attribute::{self, all, first, nest, put};
use super::key;
use super::schema::Map;
use crate::device::Count;
use crate::matching::Match;

/// `NFTA_SET_ELEM_KEY` and so on.
const KEY: u16 = 1;
const DATA: u16 = 2;
const FLAGS: u16 = 3;
const EXPRESSION: u16 = 7;
const KEY_END: u16 = 10;
const EXPRESSIONS: u16 = 11;
/// `NFTA_DATA_VALUE`.
const VALUE: u16 = 1;
/// `NFTA_LIST_ELEM`.
const LISTED: u16 = 1;
/// `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`.
const NAME: u16 = 1;
const INNER: u16 = 2;
/// `NFTA_COUNTER_BYTES` and `NFTA_COUNTER_PACKETS`.
const BYTES: u16 = 1;
const PACKETS: u16 = 2;

/// An element of one of our maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) matching: Match,
    pub(crate) mark: u32,
    pub(crate) count: Count,
}

/// An element of one of our maps that is none of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Odd {
    pub(crate) map: &'static Map,
    /// What names it, as the kernel told it: so it can be deleted, whatever it is.
    pub(crate) body: Vec<u8>,
    pub(crate) text: String,
}

/// An element as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// As we make them.
    Ours(Element),
    /// Whatever else.
    Odd(Odd),
}

/// The attributes that name the element of a match.
pub(crate) fn named(matching: &Match) -> Vec<u8> {
    let mut body = Vec::new();
    nest(&mut body, KEY, |to| put(to, VALUE, &key::encode(matching)));
    body
}

/// The attributes of an element that gives what matches a mark. A counter it gets from its map, which
/// says that all have one.
pub(crate) fn mapped(matching: &Match, mark: u32) -> Vec<u8> {
    let mut body = named(matching);
    nest(&mut body, DATA, |to| put(to, VALUE, &mark.to_ne_bytes()));
    body
}

/// Reads an element's attributes; an error says what was not understood.
pub(crate) fn read(map: &'static Map, body: &[u8]) -> Result<Held, String> {
    let (mut octets, mut mark, mut count, mut plain) = (None, None, Count::default(), true);
    let mut naming = Vec::new();
    for one in all(body) {
        let one = one?;
        match one.kind {
            KEY => {
                octets = first(one.value, VALUE)?;
                nest(&mut naming, KEY, |to| to.extend(one.value));
            }
            DATA => mark = first(one.value, VALUE)?.and_then(|value| value.try_into().ok()),
            // The end of an interval, or what stands for all keys that are not listed.
            FLAGS => {
                plain &= one.value.iter().all(|octet| *octet == 0);
                put(&mut naming, FLAGS, one.value);
            }
            KEY_END => {
                plain = false;
                nest(&mut naming, KEY_END, |to| to.extend(one.value));
            }
            EXPRESSION => count.add(counter(one.value)?),
            EXPRESSIONS => {
                for listed in all(one.value) {
                    let listed = listed?;
                    if listed.kind == LISTED {
                        count.add(counter(listed.value)?);
                    }
                }
            }
            _ => {}
        }
    }
    let matching = octets.filter(|_| plain).and_then(|octets| key::decode(map, octets));
    Ok(match (matching, mark.map(u32::from_ne_bytes)) {
        (Some(matching), Some(mark)) => Held::Ours(Element { matching, mark, count }),
        _ => {
            let text = octets.map_or("what is not listed".to_owned(), |key| key::text(map, key));
            Held::Odd(Odd { map, body: naming, text })
        }
    })
}

/// What an expression counted; nothing if it is no counter.
fn counter(expression: &[u8]) -> Result<Count, String> {
    if first(expression, NAME)? != Some(b"counter\0") {
        return Ok(Count::default());
    }
    let inner = first(expression, INNER)?.unwrap_or_default();
    let number = |kind| -> Result<u64, String> {
        let octets = first(inner, kind)?.and_then(|value| value.try_into().ok());
        octets.map(u64::from_be_bytes).ok_or_else(|| "a counter without its numbers".to_owned())
    };
    Ok(Count { packets: number(PACKETS)?, bytes: number(BYTES)? })
}

/// Octets that an element with such a body takes in a list.
pub(crate) fn size(body: &[u8]) -> usize {
    attribute::size(body.len())
}

/// Adds an element with such a body to a list.
pub(crate) fn list(to: &mut Vec<u8>, body: &[u8]) {
    nest(to, LISTED, |to| to.extend(body));
}

#[cfg(test)]
mod tests {
    use super::super::schema::{MAPS, map_of};
    use super::*;
    use crate::memory::testing::{net, tuple};

    /// What Linux 6.18 told of an element that nft 1.1.3 had made, but for the counter's numbers.
    const READ: [u8; 84] = [
        0x1c, 0x00, 0x01, 0x00, 0x18, 0x00, 0x01, 0x00, 0x0a, 0x01, 0x01, 0x01, 0x0a, 0x02, 0x01,
        0x01, 0x06, 0x00, 0x00, 0x00, 0x9c, 0x40, 0x00, 0x00, 0x14, 0x51, 0x00, 0x00, 0x0c, 0x00,
        0x02, 0x00, 0x08, 0x00, 0x01, 0x00, 0x65, 0x00, 0x00, 0x00, 0x2c, 0x00, 0x07, 0x00, 0x0c,
        0x00, 0x01, 0x00, 0x63, 0x6f, 0x75, 0x6e, 0x74, 0x65, 0x72, 0x00, 0x1c, 0x00, 0x02, 0x00,
        0x0c, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x2c, 0x0c, 0x00, 0x02,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03,
    ];

    fn flow() -> Match {
        Match::flow(tuple(1, 40_000)).unwrap()
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_kernels_element_is_read() {
        let count = Count { packets: 3, bytes: 300 };
        let ours = Held::Ours(Element { matching: flow(), mark: 101, count });
        assert_eq!(read(&MAPS[0], &READ), Ok(ours.clone()));
        // The same with its counter in a list, as with more than one.
        let mut listed = READ[..40].to_vec();
        nest(&mut listed, EXPRESSIONS, |to| nest(to, LISTED, |to| to.extend(&READ[44..])));
        assert_eq!(read(&MAPS[0], &listed), Ok(ours));
        for end in 1..READ.len() {
            // Torn between two attributes it lacks one, else it is an error.
            let torn = read(&MAPS[0], &READ[..end]);
            assert_eq!(torn.is_ok(), [28, 40].contains(&end), "{end}: {torn:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (matching, mark) in [(flow(), 1), (net(2), u32::MAX), (net(3), 0x0102_0304)] {
            let held = read(map_of(&matching), &mapped(&matching, mark)).unwrap();
            let count = Count::default();
            assert_eq!(held, Held::Ours(Element { matching, mark, count }));
        }
    }

    #[test]
    fn what_is_not_ours_keeps_what_names_it() {
        let whole = mapped(&net(1), 101);
        let (name, data) = whole.split_at(named(&net(1)).len());
        // Without data, with data of another length, as the start of an interval, as all the rest.
        let mut short = name.to_vec();
        nest(&mut short, DATA, |to| put(to, VALUE, &[1]));
        let mut interval = whole.clone();
        nest(&mut interval, KEY_END, |to| put(to, VALUE, &key::encode(&net(9))));
        let mut rest = data.to_vec();
        put(&mut rest, FLAGS, &[0, 0, 0, 2]);
        let (key, others) = ("10.1.1.0 . 10.2.1.0", "what is not listed");
        let end = &interval[whole.len()..];
        let map = map_of(&net(1));
        for (body, text, left) in [
            (name, key, name.to_vec()),
            (&short, key, name.to_vec()),
            (&interval, key, [name, end].concat()),
            (&rest, others, rest[data.len()..].to_vec()),
        ] {
            let odd = Odd { map, body: left, text: text.to_owned() };
            assert_eq!(read(map, body), Ok(Held::Odd(odd)));
        }
    }
}
