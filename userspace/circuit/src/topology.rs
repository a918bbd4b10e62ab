// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The network, from a TOML file.
//!
//! ```toml
//! [[node]]
//! name = "r1"
//! address = "10.255.0.1"       # what flow records call it
//! netns = "r1"                 # where it is, for the back end `local`; here if left out
//!
//! [[link]]
//! a = { node = "r1", interface = "eth1", address = "10.0.1.1" }
//! b = { node = "p", interface = "eth0", address = "10.0.1.2" }
//! mbps = 1000                  # each way
//! reservable-mbps = 800        # for rate-specified circuits; all of it if left out
//! delay-us = 500
//! metric = 10                  # of IP routing, 1 if left out
//! circuits = true              # false: no circuit may take it
//! ```

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// Most nodes of a file.
pub const NODES: usize = 4096;
/// Most links of a file.
pub const LINKS: usize = 16384;

/// A file that is no topology.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {key}: {why}")]
pub struct Bad {
    /// The file.
    pub file: String,
    /// What of it.
    pub key: String,
    /// Why not.
    pub why: String,
}

/// A router.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What flow records call it.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// The network namespace it is.
    #[serde(default)]
    pub netns: Option<String>,
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct End {
    /// The router.
    pub node: String,
    /// Its interface.
    pub interface: String,
    /// The address of that interface.
    pub address: Ipv4Addr,
}

/// A link: both ways the same.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Link {
    /// One end.
    pub a: End,
    /// The other.
    pub b: End,
    /// Capacity each way, Mb/s.
    pub mbps: u64,
    /// What rate-specified circuits may have of it; all if not said.
    #[serde(default)]
    pub reservable_mbps: Option<u64>,
    /// Microseconds one way.
    #[serde(default)]
    pub delay_us: u64,
    /// Cost for IP routing.
    #[serde(default = "one")]
    pub metric: u64,
    /// Whether circuits may take it.
    #[serde(default = "yes")]
    pub circuits: bool,
}

fn one() -> u64 {
    1
}

fn yes() -> bool {
    true
}

impl Link {
    /// What rate-specified circuits may have of it each way, Mb/s.
    pub fn reservable(&self) -> u64 {
        self.reservable_mbps.unwrap_or(self.mbps)
    }
}

/// A link in one direction.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, Deserialize,
)]
pub struct Hop {
    /// Number of the link in the file.
    pub link: usize,
    /// From `a` to `b`.
    pub forth: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    #[serde(default)]
    node: Vec<Node>,
    #[serde(default)]
    link: Vec<Link>,
}

/// The network.
#[derive(Clone, Debug)]
pub struct Topology {
    nodes: Vec<Node>,
    links: Vec<Link>,
    names: BTreeMap<String, usize>,
    /// Of each node: hops away from it, and where they lead.
    out: Vec<Vec<(Hop, usize)>>,
}

impl Topology {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Bad> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| Bad {
            file: file.clone(),
            key: "reading".into(),
            why: error.to_string(),
        })?;
        Self::parse(&file, &text)
    }

    /// Reads text; `file` is for messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, Bad> {
        let bad = |key: String, why: String| Bad { file: file.to_owned(), key, why };
        let parsed: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            bad(format!("line {line}"), error.message().to_owned())
        })?;
        let check =
            |ok: bool, key: String, why: &str| if ok { Ok(()) } else { Err(bad(key, why.into())) };
        check(parsed.node.len() <= NODES, "node".into(), "more than 4096")?;
        check(parsed.link.len() <= LINKS, "link".into(), "more than 16384")?;
        let mut names = BTreeMap::new();
        for (at, node) in parsed.node.iter().enumerate() {
            let key = |what: &str| format!("node {}: {what}", at + 1);
            check(!node.name.is_empty(), key("name"), "empty")?;
            let address = node.address.map(|address| address.to_string());
            let all =
                [Some(("name", node.name.clone())), address.map(|address| ("address", address))];
            for (what, name) in all.into_iter().flatten() {
                let taken = names.insert(name.clone(), at).is_some_and(|before| before != at);
                check(!taken, key(what), &format!("`{name}` is another node's"))?;
            }
        }
        let mut out = vec![Vec::new(); parsed.node.len()];
        let mut interfaces = BTreeSet::new();
        for (at, link) in parsed.link.iter().enumerate() {
            let key = |what: &str| format!("link {}: {what}", at + 1);
            let node = |side: &str, end: &End| {
                let named =
                    |at: &usize| parsed.node.get(*at).is_some_and(|node| node.name == end.node);
                let known = names.get(&end.node).copied().filter(named);
                known.ok_or_else(|| {
                    bad(key(&format!("{side}.node")), format!("no node `{}`", end.node))
                })
            };
            let (a, b) = (node("a", &link.a)?, node("b", &link.b)?);
            check(a != b, key("b.node"), "a link of a node to itself")?;
            check(link.mbps > 0, key("mbps"), "no capacity")?;
            check(link.reservable() <= link.mbps, key("reservable-mbps"), "more than mbps")?;
            check(link.metric > 0, key("metric"), "0")?;
            for (side, end) in [("a", &link.a), ("b", &link.b)] {
                let name = &end.interface;
                let fits = !name.is_empty()
                    && name.len() < 16
                    && !name.contains(|c: char| c == '/' || c.is_whitespace());
                check(fits, key(&format!("{side}.interface")), "no name of an interface")?;
                let new = interfaces.insert((end.node.clone(), name.clone()));
                check(new, key(&format!("{side}.interface")), "of two links")?;
            }
            out[a].push((Hop { link: at, forth: true }, b));
            out[b].push((Hop { link: at, forth: false }, a));
        }
        Ok(Self { nodes: parsed.node, links: parsed.link, names, out })
    }

    /// Number of the node of that name or address.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Nodes, by number.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Links, by number.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Hops away from a node, and the numbers of the nodes they lead to.
    pub fn out(&self, node: usize) -> &[(Hop, usize)] {
        self.out.get(node).map_or(&[], Vec::as_slice)
    }

    /// The near and the far end of a hop.
    pub fn ends(&self, hop: Hop) -> Option<(&End, &End)> {
        let link = self.links.get(hop.link)?;
        Some(if hop.forth { (&link.a, &link.b) } else { (&link.b, &link.a) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
[[node]]
name = "r1"
address = "10.255.0.1"
[[node]]
name = "r2"
[[link]]
a = { node = "r1", interface = "eth0", address = "10.0.0.1" }
b = { node = "r2", interface = "eth0", address = "10.0.0.2" }
mbps = 100
"#;

    #[test]
    fn a_node_has_two_names() {
        let topology = Topology::parse("t.toml", TWO).unwrap();
        assert_eq!(topology.find("10.255.0.1"), topology.find("r1"));
        assert_eq!(topology.find("r3"), None);
        let (hop, to) = topology.out(0)[0];
        assert_eq!((topology.ends(hop).unwrap().1.node.as_str(), to), ("r2", 1));
    }

    #[test]
    fn a_bad_file_says_where() {
        let said = |from: &str, to: &str| {
            let text = TWO.replacen(from, to, 1);
            assert_ne!(text, TWO);
            Topology::parse("t.toml", &text).unwrap_err().to_string()
        };
        assert_eq!(
            said("b = { node = \"r2\"", "b = { node = \"r3\""),
            "t.toml: link 1: b.node: no node `r3`"
        );
        assert_eq!(
            said("name = \"r2\"", "name = \"10.255.0.1\""),
            "t.toml: node 2: name: `10.255.0.1` is another node's"
        );
        assert_eq!(said("mbps = 100", "mbps = 0"), "t.toml: link 1: mbps: no capacity");
        assert_eq!(
            said("mbps = 100", "mbps = 100\nreservable-mbps = 101"),
            "t.toml: link 1: reservable-mbps: more than mbps"
        );
        assert!(
            said("mbps = 100", "mbps = 100\nmpbs = 1").starts_with("t.toml: line 11: "),
            "{}",
            said("mbps = 100", "mbps = 100\nmpbs = 1")
        );
        assert!(said("\"10.0.0.2\"", "\"10.0.0\"").starts_with("t.toml: line 9"));
        assert!(said("b = { node = \"r2\"", "b = { node = \"r1\"").contains("b.node"));
    }
}
