// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The offline table as a gate: online, only its flows are looked for (Solution 2).

use std::collections::{BTreeSet, HashSet};
use telesteer_fam::{FiveTuple, Prefix, PrefixFlow};

/// Prefix flows, of any widths.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    pairs: HashSet<PrefixFlow>,
    /// Lengths that occur, of IPv4 or not.
    lengths: BTreeSet<(bool, u8, u8)>,
}

impl Gate {
    /// A gate for these flows and, if `both_directions`, for their reverses.
    pub fn new(pairs: impl IntoIterator<Item = PrefixFlow>, both_directions: bool) -> Self {
        let mut gate = Self::default();
        for pair in pairs {
            gate.add(pair);
            if both_directions {
                gate.add(pair.reverse());
            }
        }
        gate
    }

    fn add(&mut self, pair: PrefixFlow) {
        // A pair of two families matches nothing.
        if pair.src.addr().is_ipv4() == pair.dst.addr().is_ipv4() {
            self.lengths.insert((pair.src.addr().is_ipv4(), pair.src.len(), pair.dst.len()));
            self.pairs.insert(pair);
        }
    }

    /// Whether a flow is one of these.
    pub fn admits(&self, key: &FiveTuple) -> bool {
        let v4 = key.src.is_ipv4();
        self.lengths.iter().filter(|lengths| lengths.0 == v4).any(|(_, src, dst)| {
            let pair =
                PrefixFlow { src: Prefix::new(key.src, *src), dst: Prefix::new(key.dst, *dst) };
            self.pairs.contains(&pair)
        })
    }

    /// How many there are, reverses counted.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    fn pair(src: &str, dst: &str) -> PrefixFlow {
        PrefixFlow { src: src.parse().unwrap(), dst: dst.parse().unwrap() }
    }

    #[test]
    fn widths_may_differ() {
        let pairs = [
            pair("192.0.2.0/24", "198.51.100.0/24"),
            pair("203.0.113.5/32", "192.0.2.0/24"),
            pair("2001:db8:0:1::/64", "2001:db8:0:2::/64"),
            pair("192.0.2.0/24", "2001:db8::/32"),
        ];
        let gate = Gate::new(pairs, true);
        assert_eq!(gate.len(), 6);
        for (src, dst, admitted) in [
            ("192.0.2.7", "198.51.100.9", true),
            ("198.51.100.9", "192.0.2.7", true),
            ("203.0.113.5", "192.0.2.1", true),
            ("203.0.113.6", "192.0.2.1", false),
            ("2001:db8:0:1::9", "2001:db8:0:2::9", true),
            ("2001:db8:0:1::9", "2001:db8:0:3::9", false),
            ("192.0.2.7", "198.51.101.9", false),
        ] {
            assert_eq!(gate.admits(&key(src, dst, 1)), admitted, "{src} {dst}");
        }
        let one_way = Gate::new([pair("192.0.2.0/24", "198.51.100.0/24")], false);
        assert!(!one_way.admits(&key("198.51.100.9", "192.0.2.7", 1)));
        assert!(Gate::default().is_empty());
    }
}
