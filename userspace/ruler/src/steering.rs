// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ways of steering that are set side by side.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A way to choose the member of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Steering {
    /// No group: one socket without `SO_REUSEPORT`.
    Single,
    /// The kernel's hash; no group of the machine has a policy.
    Hash,
    /// The kernel's hash, while another group has a policy.
    HashBeside,
    /// A BPF program that takes the source address modulo N.
    BpfModulo,
    /// A BPF program for rendezvous, all members alike.
    BpfRendezvous,
    /// The same with weights.
    BpfWeighted,
    /// A kernel policy, all members of weight 1.
    Policy(String),
    /// A kernel policy, the members' weights are 1, 2, 3, 1, 2, 3 and so on.
    Weighted(String),
}

impl Steering {
    /// All that the tables show, with the policies `names`. Those without a policy come first: once
    /// a group has had one, the kernel's static key stays on for a while.
    pub fn table(names: &[String]) -> Vec<Self> {
        let mut list = vec![
            Self::Single,
            Self::Hash,
            Self::BpfModulo,
            Self::BpfRendezvous,
            Self::BpfWeighted,
            Self::HashBeside,
        ];
        for name in names {
            list.extend([Self::Policy(name.clone()), Self::Weighted(name.clone())]);
        }
        list
    }

    /// Whether a stock kernel can do it.
    pub fn is_stock(&self) -> bool {
        !matches!(self, Self::HashBeside | Self::Policy(_) | Self::Weighted(_))
    }

    /// Whether all flows of a source address go to one member.
    pub fn keeps_sources_together(&self) -> bool {
        !matches!(self, Self::Hash | Self::HashBeside)
    }

    /// The kernel policy, if it is one.
    pub fn policy(&self) -> Option<&str> {
        match self {
            Self::Policy(name) | Self::Weighted(name) => Some(name),
            _ => None,
        }
    }

    /// Weight of the member in place `at`.
    pub fn weight(&self, at: usize) -> u32 {
        match self {
            Self::BpfWeighted | Self::Weighted(_) => 1 + (at % 3) as u32,
            _ => 1,
        }
    }
}

impl fmt::Display for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single => f.pad("single"),
            Self::Hash => f.pad("hash"),
            Self::HashBeside => f.pad("hash-beside"),
            Self::BpfModulo => f.pad("bpf-modulo"),
            Self::BpfRendezvous => f.pad("bpf-rendezvous"),
            Self::BpfWeighted => f.pad("bpf-weighted"),
            Self::Policy(name) => f.pad(name),
            Self::Weighted(name) => f.pad(&format!("{name}-weighted")),
        }
    }
}

impl FromStr for Steering {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "" => return Err("a way of steering has a name".to_owned()),
            "single" => Self::Single,
            "hash" => Self::Hash,
            "hash-beside" => Self::HashBeside,
            "bpf-modulo" => Self::BpfModulo,
            "bpf-rendezvous" => Self::BpfRendezvous,
            "bpf-weighted" => Self::BpfWeighted,
            other => match other.strip_suffix("-weighted") {
                Some(name) => Self::Weighted(name.to_owned()),
                None => Self::Policy(other.to_owned()),
            },
        })
    }
}

impl From<Steering> for String {
    fn from(steering: Steering) -> Self {
        steering.to_string()
    }
}

impl TryFrom<String> for Steering {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_text() {
        for steering in Steering::table(&["source".to_owned(), "stable".to_owned()]) {
            assert_eq!(steering.to_string().parse(), Ok(steering));
        }
        assert!("".parse::<Steering>().is_err());
    }

    #[test]
    fn weights_repeat() {
        let weighted: Steering = "source-weighted".parse().unwrap();
        assert_eq!([0, 1, 2, 3].map(|at| weighted.weight(at)), [1, 2, 3, 1]);
        assert_eq!(Steering::BpfRendezvous.weight(2), 1);
    }
}
