// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table of ours: a map for each family and rank, and a chain that looks packets up in them.

use crate::matching::{Match, Rank};
use std::fmt::Write;

/// Family and name of our table.
pub(crate) const FAMILY: &str = "inet";
/// Its name; nobody else should touch it.
pub(crate) const TABLE: &str = "telesteer_hntes";
/// The chain packets pass.
pub(crate) const CHAIN: &str = "steer";

/// A map from what is matched to a packet mark.
///
/// Networks are of one width, so packets' addresses are masked and looked up in a hash: to add an
/// entry costs the same however many there are, which an interval map does not offer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) name: &'static str,
    pub(crate) ipv4: bool,
    pub(crate) rank: Rank,
    /// Type of its keys.
    pub(crate) keys: &'static str,
    /// The key of a packet.
    lookup: &'static str,
    /// The same as [`super::listing`] makes it out of what `nft` lists.
    pub(crate) signature: &'static str,
}

/// All of them, in the order in which they are looked at: the first that knows a packet decides.
pub(crate) const MAPS: [Map; 6] = [
    Map {
        name: "flow4",
        ipv4: true,
        rank: Rank::Flow,
        keys: "ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service",
        lookup: "ip saddr . ip daddr . meta l4proto . th sport . th dport",
        signature: "ip.saddr ip.daddr meta.l4proto th.sport th.dport",
    },
    Map {
        name: "host4",
        ipv4: true,
        rank: Rank::Host,
        keys: "ipv4_addr . ipv4_addr",
        lookup: "ip saddr . ip daddr",
        signature: "ip.saddr ip.daddr",
    },
    Map {
        name: "net4",
        ipv4: true,
        rank: Rank::Net,
        keys: "ipv4_addr . ipv4_addr",
        lookup: "(ip saddr & 255.255.255.0) . (ip daddr & 255.255.255.0)",
        signature: "ip.saddr&255.255.255.0 ip.daddr&255.255.255.0",
    },
    Map {
        name: "flow6",
        ipv4: false,
        rank: Rank::Flow,
        keys: "ipv6_addr . ipv6_addr . inet_proto . inet_service . inet_service",
        lookup: "ip6 saddr . ip6 daddr . meta l4proto . th sport . th dport",
        signature: "ip6.saddr ip6.daddr meta.l4proto th.sport th.dport",
    },
    Map {
        name: "host6",
        ipv4: false,
        rank: Rank::Host,
        keys: "ipv6_addr . ipv6_addr",
        lookup: "ip6 saddr . ip6 daddr",
        signature: "ip6.saddr ip6.daddr",
    },
    Map {
        name: "net6",
        ipv4: false,
        rank: Rank::Net,
        keys: "ipv6_addr . ipv6_addr",
        lookup: "(ip6 saddr & ffff:ffff:ffff:ffff::) . (ip6 daddr & ffff:ffff:ffff:ffff::)",
        signature: "ip6.saddr&ffff:ffff:ffff:ffff:: ip6.daddr&ffff:ffff:ffff:ffff::",
    },
];

/// The map that holds such matches.
pub(crate) fn map_of(matching: &Match) -> &'static Map {
    let fits = |map: &&Map| map.ipv4 == matching.is_ipv4() && map.rank == matching.rank();
    // There is one for each.
    MAPS.iter().find(fits).unwrap_or(&MAPS[0])
}

/// Makes table, maps and chain where they are not there, and replaces the chain's rules of ours, which
/// have these handles now. For `limit` entries: during a swap the old and the new are both held.
pub(crate) fn set_up(limit: usize, handles: &[u64]) -> String {
    let mut text = format!("table {FAMILY} {TABLE} {{\n");
    for map in &MAPS {
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "  map {} {{ type {} : mark; size {}; counter; }}",
            map.name,
            map.keys,
            limit.saturating_mul(2).max(2)
        );
    }
    let _ = writeln!(
        text,
        "  chain {CHAIN} {{ type filter hook prerouting priority mangle; policy accept; }}\n}}"
    );
    for handle in handles {
        let _ = writeln!(text, "delete rule {FAMILY} {TABLE} {CHAIN} handle {handle}");
    }
    for map in &MAPS {
        let _ = writeln!(
            text,
            "add rule {FAMILY} {TABLE} {CHAIN} meta mark set {} map @{} return",
            map.lookup, map.name
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::{net, tuple};

    #[test]
    fn every_match_has_its_map_and_strong_ones_come_first() {
        assert_eq!(map_of(&net(1)).name, "net4");
        assert_eq!(map_of(&Match::flow(tuple(1, 1)).unwrap()).name, "flow4");
        for family in [true, false] {
            let ranks = MAPS.iter().filter(|map| map.ipv4 == family).map(|map| map.rank);
            assert!(ranks.eq(Rank::ALL));
        }
    }

    #[test]
    fn rules_are_replaced_in_one_go() {
        let text = set_up(8, &[3, 4]);
        assert!(text.contains("map net4 { type ipv4_addr . ipv4_addr : mark; size 16; counter; }"));
        let delete = text.find("delete rule inet telesteer_hntes steer handle 4\n").unwrap();
        let add = text.find("add rule inet telesteer_hntes steer meta mark set").unwrap();
        assert!(delete < add);
        assert_eq!(text.matches("add rule").count(), MAPS.len());
    }
}
