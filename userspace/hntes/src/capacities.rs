// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Capacities of LSPs in bit/s: one for all, or a list. A line each of the list is `INGRESS EGRESS BPS`,
//! routers as the tables name them; what follows a `#` is a comment.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use telesteer_fam::lsp::{Egress, Lsp};

/// What an LSP can carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacities {
    of: BTreeMap<Lsp, u64>,
    /// Of all others.
    rest: Option<u64>,
}

impl Capacities {
    /// Those of a list, and what all others have.
    pub fn new(list: Option<&Path>, rest: Option<u64>) -> Result<Self> {
        let of = list.map_or(Ok(BTreeMap::new()), read)?;
        Ok(Self { of, rest })
    }

    /// The capacity of an LSP, if it is known.
    pub fn of(&self, lsp: &Lsp) -> Option<u64> {
        self.of.get(lsp).copied().or(self.rest)
    }

    /// Those listed that are none of `known`.
    pub fn unused(&self, known: &BTreeSet<Lsp>) -> Vec<(Lsp, u64)> {
        let listed = self.of.iter().filter(|(lsp, _)| !known.contains(*lsp));
        listed.map(|(lsp, bps)| (*lsp, *bps)).collect()
    }

    /// Those of `known` that a list leaves out; none without a list.
    pub fn missing(&self, known: &BTreeSet<Lsp>) -> Vec<Lsp> {
        let missing = known.iter().filter(|lsp| !self.of.is_empty() && self.of(lsp).is_none());
        missing.copied().collect()
    }
}

fn read(path: &Path) -> Result<BTreeMap<Lsp, u64>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut of = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let at = || format!("{}, line {}", path.display(), number + 1);
        let words: Vec<&str> = line.split('#').next().unwrap_or("").split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        let (lsp, bps) = entry(&words).with_context(at)?;
        if of.insert(lsp, bps).is_some() {
            bail!("{}: LSP {lsp} is listed twice", at());
        }
    }
    Ok(of)
}

fn entry(words: &[&str]) -> Result<(Lsp, u64)> {
    let [ingress, egress, bps] = words else { bail!("not INGRESS EGRESS BPS") };
    let ingress: IpAddr =
        ingress.parse().with_context(|| format!("{ingress:?} is no address of a router"))?;
    Ok((Lsp { ingress: ingress.to_canonical(), egress: egress_of(egress)? }, bits(bps)?))
}

/// An egress as tables write it.
fn egress_of(text: &str) -> Result<Egress> {
    if text == "unknown" {
        return Ok(Egress::Unknown);
    }
    if let Some(interface) = text.strip_prefix("if") {
        let at = || format!("{text:?} is no interface such as if7");
        return Ok(Egress::Interface(interface.parse().with_context(at)?));
    }
    let at = || format!("{text:?} is no router, no interface such as if7, and not unknown");
    let router: IpAddr = text.parse().with_context(at)?;
    Ok(Egress::Router(router.to_canonical()))
}

/// Bits per second: `10000000000`, `10G` or `2.5G`; k, M, G and T are powers of 1000.
pub fn bits(text: &str) -> Result<u64> {
    let wrong = || format!("{text:?} is no rate in bit/s such as 10000000000, 10G or 2.5G");
    let (number, digits) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 3),
        Some((at, 'M')) => (&text[..at], 6),
        Some((at, 'G')) => (&text[..at], 9),
        Some((at, 'T')) => (&text[..at], 12),
        _ => (text, 0),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > digits || !plain(whole) || !plain(part) {
        bail!(wrong());
    }
    // Zeros at the end make the fraction whole.
    let bps: u64 = format!("{whole}{part:0<digits$}").parse().with_context(wrong)?;
    if bps == 0 {
        bail!(wrong());
    }
    Ok(bps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, bps) in [
            ("1", 1),
            ("10000000000", 10_000_000_000),
            ("10G", 10_000_000_000),
            ("2.5G", 2_500_000_000),
            ("0.064M", 64_000),
            ("9k", 9000),
            ("1T", 1_000_000_000_000),
        ] {
            assert_eq!(bits(text).unwrap(), bps, "{text}");
        }
        for text in
            ["", "0", "G", ".5G", "1.5", "1.2345k", "-1", "10 G", "1e9", "99999999999G", "10Gb"]
        {
            assert!(bits(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_names_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("capacities");
        let text = "# of ours\n10.0.0.1 ::ffff:10.0.1.1 10G # leased\n\n10.0.0.1 if7 1M\n10.0.0.1 unknown 5\n";
        fs::write(&path, text).unwrap();
        let found = Capacities::new(Some(&path), Some(9)).unwrap();
        let ingress: IpAddr = "10.0.0.1".parse().unwrap();
        let lsp = |egress| Lsp { ingress, egress };
        let router = Egress::Router("10.0.1.1".parse().unwrap());
        assert_eq!(found.of(&lsp(router)), Some(10_000_000_000));
        assert_eq!(found.of(&lsp(Egress::Interface(7))), Some(1_000_000));
        assert_eq!(found.of(&lsp(Egress::Interface(8))), Some(9), "the rest");
        let known = BTreeSet::from([lsp(router), lsp(Egress::Interface(8))]);
        let unused = [(lsp(Egress::Interface(7)), 1_000_000), (lsp(Egress::Unknown), 5)];
        assert_eq!(found.unused(&known), unused);
        assert!(found.missing(&known).is_empty());
        let list = Capacities::new(Some(&path), None).unwrap();
        assert_eq!(list.missing(&known), [lsp(Egress::Interface(8))]);
        assert!(Capacities::new(None, None).unwrap().missing(&known).is_empty());
        for (text, what) in [
            ("10.0.0.1 10.0.1.1", "line 1: not INGRESS EGRESS BPS"),
            ("\n10.0.0.1 ifx 5", "line 2: \"ifx\" is no interface"),
            ("router 10.0.1.1 5", "line 1: \"router\" is no address"),
            ("10.0.0.1 router 5", "line 1: \"router\" is no router"),
            ("10.0.0.1 10.0.1.1 fast", "line 1: \"fast\" is no rate"),
            ("10.0.0.1 if1 5\n10.0.0.1 if1 6", "line 2: LSP 10.0.0.1 if1 is listed twice"),
        ] {
            fs::write(&path, text).unwrap();
            let error = format!("{:#}", Capacities::new(Some(&path), None).unwrap_err());
            assert!(error.contains("capacities") && error.contains(what), "{error}");
        }
    }
}
