// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How the core spreads flows over servers of equal cost: what it hashes, and what it keeps.

use crate::error::Result;

use super::net::{Net, sysctl};

/// What the core hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    /// Policy 0. IPv4: both addresses. IPv6: also the flow label and the protocol.
    L3,
    /// Policy 1: addresses, protocol and ports.
    L4,
    /// Policy 3 with both addresses and nothing else: the same for IPv4 and IPv6.
    Addresses,
}

/// What a group of next hops keeps when one leaves or joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// The hash range is cut anew by position.
    Plain,
    /// Busy buckets stay where they are.
    Resilient,
    /// The same, but a lone next hop has no twin; see [`super::mirror`].
    Bare,
}

/// One way to spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// What is hashed.
    pub hash: Hash,
    /// What is kept.
    pub group: Group,
}

impl Hash {
    /// Name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::L3 => "l3",
            Self::L4 => "4-tuple",
            Self::Addresses => "addresses",
        }
    }

    /// Sets it in the core.
    pub(crate) fn apply(self, net: &Net) -> Result<()> {
        let settings: &[&str] = match self {
            Self::L3 => {
                &["net.ipv4.fib_multipath_hash_policy=0", "net.ipv6.fib_multipath_hash_policy=0"]
            }
            Self::L4 => {
                &["net.ipv4.fib_multipath_hash_policy=1", "net.ipv6.fib_multipath_hash_policy=1"]
            }
            // Bits 0 and 1: source and destination address.
            Self::Addresses => &[
                "net.ipv4.fib_multipath_hash_fields=3",
                "net.ipv6.fib_multipath_hash_fields=3",
                "net.ipv4.fib_multipath_hash_policy=3",
                "net.ipv6.fib_multipath_hash_policy=3",
            ],
        };
        sysctl(&net.core, settings)
    }
}

impl Group {
    /// Name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Resilient => "resilient",
            Self::Bare => "resilient-bare",
        }
    }
}

impl Mode {
    /// All of them, in the order they are played.
    pub(crate) fn all() -> Vec<Self> {
        let hashes = [Hash::L3, Hash::L4, Hash::Addresses];
        let groups = [Group::Plain, Group::Resilient];
        hashes
            .into_iter()
            .flat_map(|hash| groups.into_iter().map(move |group| Self { hash, group }))
            .chain([Self { hash: Hash::L3, group: Group::Bare }])
            .collect()
    }

    /// Name of its folder.
    pub(crate) fn name(self) -> String {
        format!("{}-{}", self.hash.name(), self.group.name())
    }
}
