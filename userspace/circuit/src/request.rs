// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is asked for: a circuit for a pair of routers.

use crate::time::{At, Span};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The ends of a circuit, by the names or addresses that flow records give them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pair {
    /// Where traffic comes in.
    pub ingress: String,
    /// Where it leaves.
    pub egress: String,
}

impl Pair {
    /// The pair of two names.
    pub fn new(ingress: impl Into<String>, egress: impl Into<String>) -> Self {
        Self { ingress: ingress.into(), egress: egress.into() }
    }

    /// The other direction.
    #[must_use]
    pub fn reverse(&self) -> Self {
        Self { ingress: self.egress.clone(), egress: self.ingress.clone() }
    }

    /// Of a pair and its reverse always the same one.
    #[must_use]
    pub fn canonical(&self) -> Self {
        self.clone().min(self.reverse())
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.ingress, self.egress)
    }
}

/// What becomes of packets above the rate.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Excess {
    /// They share what is free with everything else. Nothing is policed.
    #[default]
    BestEffort,
    /// They get what nobody else wants.
    Scavenger,
    /// They wait in the queue of the circuit and are dropped from it.
    Drop,
}

/// How much a circuit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rate {
    /// A path and no promise: nothing is reserved and nothing is shaped.
    Unlimited,
    /// Reserved on every link of the path.
    Specified {
        /// Mb/s, of 10^6 bits.
        mbps: u64,
        /// Beyond it.
        excess: Excess,
    },
}

impl Rate {
    /// What it takes from the budget of a link, Mb/s.
    pub fn mbps(self) -> u64 {
        match self {
            Self::Unlimited => 0,
            Self::Specified { mbps, .. } => mbps,
        }
    }
}

/// What the best path is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Best {
    /// The one of the fewest links.
    #[default]
    Hops,
    /// The one of the least delay.
    Delay,
}

/// Name of a circuit: its pair and when it was asked for. It travels with the reservation, so that a
/// restarted client knows its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(String);

/// No name of a circuit can be made of this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a router: 1 to 39 characters, without blanks, <, >, @, &, and quotes")]
pub struct BadName(pub String);

impl Name {
    /// Longest name of a router: an IPv6 address.
    pub const ROUTER: usize = 39;

    /// The name for a pair asked for at `at`.
    pub fn of(pair: &Pair, at: At) -> Result<Self, BadName> {
        for router in [&pair.ingress, &pair.egress] {
            let odd = |c: char| c.is_whitespace() || c.is_control() || "<>@&\"'".contains(c);
            if router.is_empty() || router.len() > Self::ROUTER || router.contains(odd) {
                return Err(BadName(router.clone()));
            }
        }
        Ok(Self(format!("{pair}@{}", at.0)))
    }

    /// Reads a name that [`Name::of`] made; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (pair, at) = text.split_once('@')?;
        let (ingress, egress) = pair.split_once('>')?;
        let name = Self::of(&Pair::new(ingress, egress), At(at.parse().ok()?)).ok()?;
        (name.0 == text).then_some(name)
    }

    /// Its pair.
    pub fn pair(&self) -> Pair {
        let pair = self.0.split_once('@').map_or(self.0.as_str(), |(pair, _)| pair);
        let (ingress, egress) = pair.split_once('>').unwrap_or((pair, ""));
        Pair::new(ingress, egress)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request for a circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its name, which holds the pair.
    pub name: Name,
    /// How much.
    pub rate: Rate,
    /// When.
    pub span: Span,
    /// Which path is best.
    #[serde(default)]
    pub best: Best,
    /// Away from the links that packets take by IP routing.
    #[serde(default)]
    pub off_ip_path: bool,
    /// The reverse direction too.
    pub both: bool,
}

impl Request {
    /// What a provider is told as description: the name, and what else a restarted client must know
    /// that providers have no field for.
    pub fn label(&self) -> String {
        match self.rate {
            Rate::Specified { excess: Excess::Scavenger, .. } => format!("{} scavenger", self.name),
            Rate::Specified { excess: Excess::Drop, .. } => format!("{} drop", self.name),
            _ => self.name.to_string(),
        }
    }
}

/// Reads a description that [`Request::label`] made, with the rate the provider says (0: unlimited).
pub fn read_label(text: &str, mbps: u64) -> Option<(Name, Rate)> {
    let (name, excess) = match text.split_once(' ') {
        Some((name, "scavenger")) => (name, Excess::Scavenger),
        Some((name, "drop")) => (name, Excess::Drop),
        Some(_) => return None,
        None => (text, Excess::BestEffort),
    };
    let rate = if mbps == 0 { Rate::Unlimited } else { Rate::Specified { mbps, excess } };
    Some((Name::parse(name)?, rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_its_pair() {
        let pair = Pair::new("2001:db8::1", "if7");
        let name = Name::of(&pair, At(1_700_000_000_123)).unwrap();
        assert_eq!(name.as_str(), "2001:db8::1>if7@1700000000123");
        assert_eq!(Name::parse(name.as_str()), Some(name.clone()));
        assert_eq!((name.pair(), name.pair().reverse().reverse()), (pair.clone(), pair));
    }

    #[test]
    fn a_label_says_the_rate_with_what_the_provider_says() {
        let name = Name::of(&Pair::new("a", "b"), At(1)).unwrap();
        let excesses = [Excess::BestEffort, Excess::Scavenger, Excess::Drop];
        let rates = excesses.map(|excess| Rate::Specified { mbps: 7, excess });
        for rate in rates.into_iter().chain([Rate::Unlimited]) {
            let span = Span { from: At(1), until: None };
            let (best, off_ip_path) = (Best::Hops, false);
            let request = Request { name: name.clone(), rate, span, best, off_ip_path, both: true };
            assert_eq!(read_label(&request.label(), rate.mbps()), Some((name.clone(), rate)));
        }
        assert_eq!(read_label("a>b@1 later", 7), None);
    }

    #[test]
    fn other_text_is_no_name() {
        for text in
            ["", "a>b", "a@1", "a>b@", "a>b@x", "a>b@01", "a>b>c@1", "a b>c@1", "LHC primary"]
        {
            assert_eq!(Name::parse(text), None, "{text}");
        }
        assert!(Name::of(&Pair::new("", "b"), At(0)).is_err());
        assert!(Name::of(&Pair::new("a".repeat(40), "b"), At(0)).is_err());
    }
}
