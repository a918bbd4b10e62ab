// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What `show running-config` of pbrd says, and commands that change it.

use crate::matching::{Match, Rank};
use crate::rule::Rule;
use std::ops::RangeInclusive;
use telesteer_fam::Prefix;

/// Sequence numbers of pairs of hosts; a lower number goes first.
pub(crate) const HOSTS: RangeInclusive<u16> = 1..=350;
/// The same of networks. There are no numbers after these.
pub(crate) const NETS: RangeInclusive<u16> = 351..=700;

/// One sequence of a pbr-map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) map: String,
    pub(crate) number: u16,
    pub(crate) lines: Vec<String>,
}

/// What matters of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) sequences: Vec<Sequence>,
    /// Interfaces and the pbr-map that applies to what comes in there.
    pub(crate) policies: Vec<(String, String)>,
}

/// Reads a configuration.
pub(crate) fn parse(text: &str) -> Config {
    let mut config = Config::default();
    let mut interface = None;
    let mut inside = false;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["pbr-map", map, "seq", number] => {
                let number = number.parse().unwrap_or(0);
                let map = (*map).to_owned();
                config.sequences.push(Sequence { map, number, lines: Vec::new() });
                (inside, interface) = (true, None);
            }
            ["interface", name, ..] => {
                (inside, interface) = (false, Some((*name).to_owned()));
            }
            ["pbr-policy", map] => {
                config.policies.extend(interface.clone().map(|name| (name, (*map).to_owned())));
            }
            ["exit" | "end" | "!", ..] => (inside, interface) = (false, None),
            [] => {}
            _ if inside => {
                if let Some(sequence) = config.sequences.last_mut() {
                    sequence.lines.push(words.join(" "));
                }
            }
            _ => {}
        }
    }
    config
}

/// Where sequences of a rank are; none for 5-tuples, which pbrd does not do.
pub(crate) fn numbers(rank: Rank) -> Option<RangeInclusive<u16>> {
    match rank {
        Rank::Flow => None,
        Rank::Host => Some(HOSTS),
        Rank::Net => Some(NETS),
    }
}

impl Sequence {
    /// What it matches and the VRF it sends it to, if it is one that we would make.
    pub(crate) fn meaning(&self) -> Option<(Match, &str)> {
        let value = |key: &str| self.lines.iter().find_map(|line| line.strip_prefix(key));
        if self.lines.len() != 3 {
            return None;
        }
        let prefix = |key| value(key)?.parse::<Prefix>().ok();
        let matching =
            Match::from_parts(prefix("match src-ip ")?, prefix("match dst-ip ")?, None).ok()?;
        let right = numbers(matching.rank())?.contains(&self.number);
        right.then_some((matching, value("set vrf ")?))
    }

    /// For lists.
    pub(crate) fn text(&self) -> String {
        format!("pbr-map {} seq {}: {}", self.map, self.number, self.lines.join(", "))
    }
}

/// Commands for a new sequence.
pub(crate) fn add(map: &str, number: u16, rule: &Rule, vrf: &str) -> [String; 5] {
    [
        format!("pbr-map {map} seq {number}"),
        format!("match src-ip {}", rule.matching.src()),
        format!("match dst-ip {}", rule.matching.dst()),
        format!("set vrf {vrf}"),
        "exit".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::{name, net};

    const TEXT: &str = "\
frr version 10.3
!
interface in1
 pbr-policy HNTES
exit
!
pbr-map HNTES seq 351
 match src-ip 10.1.1.0/24
 match dst-ip 10.2.1.0/24
 set vrf lsp-a
exit
!
pbr-map HNTES seq 352
 match src-ip 10.1.2.0/24
 match dst-ip 10.2.2.0/24
 match dst-port 5201
 set vrf lsp-a
exit
!
pbr-map OTHER seq 5
 match src-ip 203.0.113.0/24
 set vrf lsp-b
exit
!
end
";

    #[test]
    fn a_configuration_is_read() {
        let config = parse(TEXT);
        assert_eq!(config.policies, [("in1".to_owned(), "HNTES".to_owned())]);
        assert_eq!(config.sequences.len(), 3);
        assert_eq!(config.sequences[0].meaning(), Some((net(1), "lsp-a")));
        assert_eq!(config.sequences[1].meaning(), None, "it matches a port");
        assert_eq!(config.sequences[2].map, "OTHER");
    }

    #[test]
    fn what_is_written_is_read() {
        let rule = Rule { matching: net(3), path: name("a") };
        let text = add("HNTES", 360, &rule, "lsp-a").join("\n");
        assert_eq!(parse(&text).sequences[0].meaning(), Some((net(3), "lsp-a")));
        // Among the hosts it would go before them.
        let text = add("HNTES", 7, &rule, "lsp-a").join("\n");
        assert_eq!(parse(&text).sequences[0].meaning(), None);
    }
}
