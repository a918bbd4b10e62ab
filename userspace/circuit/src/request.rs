// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is asked for: a circuit for a pair of routers.

use crate::time::{At, Span};
use crate::word::Word;
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

/// Name of a circuit: its pair, when it was asked for, whose it is and for whom alone, if anybody:
/// `r1>r2@1700000000123`, `r1>r2@1700000000123.site-a+t7`. It travels with the reservation, so that a
/// restarted client knows its own among those of others.
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

    /// The name for a pair, of this owner and for this service alone.
    pub fn made(
        pair: &Pair,
        at: At,
        owner: Option<&Word>,
        service: Option<&Word>,
    ) -> Result<Self, BadName> {
        let Self(mut text) = Self::of(pair, at)?;
        for (sign, word) in [('.', owner), ('+', service)] {
            if let Some(word) = word {
                text.push(sign);
                text.push_str(word.as_str());
            }
        }
        Ok(Self(text))
    }

    /// Reads a name that [`Name::of`] or [`Name::made`] made; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (pair, rest) = text.split_once('@')?;
        let (ingress, egress) = pair.split_once('>')?;
        let (at, owner, service) = parts(rest);
        let known = |word: Option<&str>| word.map(Word::new).transpose().ok();
        let (owner, service) = (known(owner)?, known(service)?);
        let (pair, at) = (Pair::new(ingress, egress), At(at.parse().ok()?));
        let name = Self::made(&pair, at, owner.as_ref(), service.as_ref()).ok()?;
        (name.0 == text).then_some(name)
    }

    fn parts(&self) -> (&str, Option<&str>, Option<&str>) {
        // A router has no `@`.
        parts(self.0.split_once('@').map_or("", |(_, rest)| rest))
    }

    /// When it was asked for first.
    pub fn at(&self) -> At {
        At(self.parts().0.parse().unwrap_or(0))
    }

    /// Whose it is; `None`: of whoever has no word for that.
    pub fn owner(&self) -> Option<Word> {
        self.parts().1.and_then(|word| Word::new(word).ok())
    }

    /// For whom alone it is; `None`: for all that want one of its pair and rate.
    pub fn service(&self) -> Option<Word> {
        self.parts().2.and_then(|word| Word::new(word).ok())
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

/// What stands behind the `@` of a name: when, whose, for whom.
fn parts(rest: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, service) = match rest.split_once('+') {
        Some((rest, service)) => (rest, Some(service)),
        None => (rest, None),
    };
    match rest.split_once('.') {
        Some((at, owner)) => (at, Some(owner), service),
        None => (rest, None, service),
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
    fn a_name_says_whose_it_is_and_for_whom() {
        let (pair, at) = (Pair::new("r.1+", "r2"), At(7));
        let words = ["site-a", "t7"].map(|word| Word::new(word).unwrap());
        let [owner, service] = words.each_ref().map(Some);
        let texts = [
            (None, None, "r.1+>r2@7"),
            (owner, None, "r.1+>r2@7.site-a"),
            (None, service, "r.1+>r2@7+t7"),
            (owner, service, "r.1+>r2@7.site-a+t7"),
        ];
        for (owner, service, text) in texts {
            let name = Name::made(&pair, at, owner, service).unwrap();
            assert_eq!((name.as_str(), Name::parse(text)), (text, Some(name.clone())));
            assert_eq!((name.owner().as_ref(), name.service().as_ref()), (owner, service));
            assert_eq!(name.pair(), pair);
        }
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
        for text in [
            "",
            "a>b",
            "a@1",
            "a>b@",
            "a>b@x",
            "a>b@01",
            "a>b>c@1",
            "a b>c@1",
            "LHC primary",
            "a>b@1.",
            "a>b@1+",
            "a>b@1+t.s",
            "a>b@1.s+t+u",
            "a>b@1.s.t",
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
        assert!(Name::of(&Pair::new("", "b"), At(0)).is_err());
        assert!(Name::of(&Pair::new("a".repeat(40), "b"), At(0)).is_err());
    }
}
