// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rules as terms of a firewall filter and as prefix lists.
//!
//! Each family has one filter, in it 5-tuples, then pairs of hosts, then pairs of networks: the first
//! term that matches a packet decides. A 5-tuple is a term; pairs are terms with two prefix lists, a
//! term for each [`Group`]. What a term does is to name a routing instance and nothing else, because
//! some platforms take no other action beside that.

use super::groups::{Group, groups};
use super::xml::Node;
use crate::matching::{Match, Rank};
use crate::path::PathName;
use crate::rule::Rule;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use telesteer_fam::Prefix;

/// The filter of either family.
pub(crate) const FILTER: &str = "HNTES";
/// Families with filters, as JunOS calls them.
pub(crate) const FAMILIES: [&str; 2] = ["inet", "inet6"];
/// What the names of our terms and lists begin with.
pub(crate) const OWNER: &str = "hntes-";

/// The family of a match.
pub(crate) fn family(matching: &Match) -> &'static str {
    if matching.is_ipv4() { FAMILIES[0] } else { FAMILIES[1] }
}

/// What a term matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// One transport flow.
    Flow(Match),
    /// Sources and destinations, by the names of their lists.
    Lists(String, String),
}

/// A term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) name: String,
    pub(crate) what: What,
    /// The routing instance it leads to.
    pub(crate) instance: String,
}

/// The name of a term, which may have 64 characters: too few for two IPv6 addresses and ports.
fn name(rank: Rank, content: &str) -> String {
    let hash = |start: u64| {
        content
            .bytes()
            .fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    let rank = match rank {
        Rank::Flow => "flow",
        Rank::Host => "host",
        Rank::Net => "net",
    };
    let (high, low) = (hash(0xcbf2_9ce4_8422_2325), hash(0x6c62_272e_07bb_0142));
    format!("{OWNER}{rank}-{high:016x}{low:016x}")
}

impl Term {
    fn flow(matching: Match, instance: &str) -> Self {
        let name = name(Rank::Flow, &matching.to_string());
        Self { name, what: What::Flow(matching), instance: instance.to_owned() }
    }

    /// It is called after its sources, so that destinations come and go in a list and no more.
    fn group(rank: Rank, group: &Group, instance: &str) -> Self {
        let mut content = instance.to_owned();
        for src in &group.sources {
            // Writing into a String cannot fail.
            let _ = write!(content, " {src}");
        }
        let name = name(rank, &content);
        let what = What::Lists(format!("{name}-src"), format!("{name}-dst"));
        Self { name, what, instance: instance.to_owned() }
    }

    /// The names of its lists.
    pub(crate) fn lists(&self) -> impl Iterator<Item = &String> {
        let both = match &self.what {
            What::Lists(sources, destinations) => Some([sources, destinations]),
            What::Flow(_) => None,
        };
        both.into_iter().flatten()
    }

    /// As it is sent.
    pub(crate) fn xml(&self, operation: &str) -> String {
        let from = match &self.what {
            What::Lists(sources, destinations) => format!(
                "<source-prefix-list><name>{sources}</name></source-prefix-list>\
                 <destination-prefix-list><name>{destinations}</name></destination-prefix-list>"
            ),
            What::Flow(matching) => {
                let mut from = format!(
                    "<source-address><name>{}</name></source-address>\
                     <destination-address><name>{}</name></destination-address>",
                    matching.src(),
                    matching.dst()
                );
                if let Some((proto, src, dst)) = matching.ports() {
                    let protocol = if matching.is_ipv4() { "protocol" } else { "next-header" };
                    let _ = write!(
                        from,
                        "<{protocol}>{proto}</{protocol}><source-port>{src}</source-port>\
                         <destination-port>{dst}</destination-port>"
                    );
                }
                from
            }
        };
        format!(
            "<term nc:operation=\"{operation}\"><name>{}</name><from>{from}</from><then>\
             <routing-instance><routing-instance-name>{}</routing-instance-name>\
             </routing-instance></then></term>",
            self.name, self.instance
        )
    }

    /// Reads a term that is as we make them; what its lists hold is not looked at.
    pub(crate) fn read(term: &Node) -> Option<Self> {
        let (from, then) = (term.find(&["from"])?, term.find(&["then"])?);
        let at = |name: &str| from.text_at(&[name, "name"]);
        let list = |name: &str| {
            let list = from.find(&[name]).filter(|list| list.children.len() == 1)?;
            list.text_at(&["name"]).map(str::to_owned)
        };
        let what = match from.children.len() {
            2 => What::Lists(list("source-prefix-list")?, list("destination-prefix-list")?),
            5 => {
                let proto = from.find(&["protocol"]).or(from.find(&["next-header"]))?;
                let port = |name: &str| from.text_at(&[name])?.parse().ok();
                let ports =
                    (protocol(&proto.text)?, port("source-port")?, port("destination-port")?);
                let prefix = |name: &str| at(name)?.parse::<Prefix>().ok();
                let (src, dst) = (prefix("source-address")?, prefix("destination-address")?);
                What::Flow(Match::from_parts(src, dst, Some(ports)).ok()?)
            }
            _ => return None,
        };
        let instance = then.text_at(&["routing-instance", "routing-instance-name"])?.to_owned();
        let name = term.text_at(&["name"])?.to_owned();
        let plain = term.children.len() == 3 && then.children.len() == 1 && term.is_active();
        plain.then_some(Self { name, what, instance })
    }
}

/// JunOS lists protocols by name where it knows one.
fn protocol(text: &str) -> Option<u8> {
    Some(match text {
        "tcp" => 6,
        "udp" => 17,
        "sctp" => 132,
        number => number.parse().ok()?,
    })
}

/// What of a configuration is ours, as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) lists: BTreeMap<String, BTreeSet<Prefix>>,
    /// By family, in their order.
    pub(crate) terms: BTreeMap<&'static str, Vec<(Rank, Term)>>,
}

impl Layout {
    /// For rules onto paths that all have an instance; others are left out.
    pub(crate) fn of(rules: &BTreeSet<Rule>, instances: &BTreeMap<PathName, String>) -> Self {
        let mut layout = Self::default();
        let mut pairs: BTreeMap<_, Vec<(Prefix, Prefix)>> = BTreeMap::new();
        let known = rules.iter().filter_map(|rule| Some((rule, instances.get(&rule.path)?)));
        for (Rule { matching, .. }, instance) in known {
            let (family, rank) = (family(matching), matching.rank());
            if rank == Rank::Flow {
                let term = Term::flow(*matching, instance);
                layout.terms.entry(family).or_default().push((rank, term));
            } else {
                let pairs = pairs.entry((family, rank, instance)).or_default();
                pairs.push((matching.src(), matching.dst()));
            }
        }
        for ((family, rank, instance), pairs) in pairs {
            for group in groups(pairs) {
                let term = Term::group(rank, &group, instance);
                let names = term.lists().cloned();
                layout.lists.extend(names.zip([group.sources, group.destinations]));
                layout.terms.entry(family).or_default().push((rank, term));
            }
        }
        // The rank decides; the name makes the order the same each time.
        for terms in layout.terms.values_mut() {
            terms.sort_by(|(a, x), (b, y)| (a, &x.name).cmp(&(b, &y.name)));
        }
        layout
    }
}

#[cfg(test)]
mod tests {
    use super::super::xml;
    use super::*;
    use crate::memory::testing::{name, net, tuple};

    fn listed(text: &str) -> Option<Term> {
        Term::read(&xml::parse(text).unwrap().children[0])
    }

    fn layout(rules: &[(Match, &str)]) -> Layout {
        let instances = ["a", "b"].map(|path| (name(path), format!("LSP-{path}")));
        let rule =
            |(matching, path): &(Match, &str)| Rule { matching: *matching, path: name(path) };
        Layout::of(&rules.iter().map(rule).collect(), &BTreeMap::from(instances))
    }

    #[test]
    fn what_is_written_is_read() {
        let flow = Match::flow(tuple(1, 40_000)).unwrap();
        let layout = layout(&[(net(1), "a"), (flow, "b")]);
        let terms = &layout.terms["inet"];
        assert_eq!(
            terms.iter().map(|(rank, _)| *rank).collect::<Vec<_>>(),
            [Rank::Flow, Rank::Net]
        );
        for (_, term) in terms {
            assert_eq!(listed(&term.xml("create")).as_ref(), Some(term));
            assert!(term.name.len() <= 64);
        }
        let by_name = terms[0].1.xml("create").replace(">6<", ">tcp<");
        assert_eq!(listed(&by_name).as_ref(), Some(&terms[0].1));
    }

    #[test]
    fn what_was_altered_is_not_read() {
        let flow = Match::flow(tuple(1, 40_000)).unwrap();
        let terms = layout(&[(net(1), "a"), (flow, "b")]).terms.remove("inet").unwrap();
        let both = terms.iter().map(|(_, term)| term.xml("create")).collect::<Vec<_>>();
        for (text, from, to) in [
            (&both[0], "<destination-port>5201</destination-port>", ""),
            (&both[0], "10.2.1.1/32", "10.2.1.0/24"),
            (&both[0], "</routing-instance></then>", "</routing-instance><log/></then>"),
            (&both[0], "<from>", "<from inactive=\"inactive\">"),
            (&both[1], "</source-prefix-list>", "<except/></source-prefix-list>"),
            (&both[1], "</from>", "<port>5</port></from>"),
            (&both[1], "<term ", "<term inactive=\"inactive\" "),
        ] {
            assert!(text.contains(from), "{from}");
            assert_eq!(listed(&text.replace(from, to)), None, "{from}");
        }
    }

    #[test]
    fn pairs_of_one_path_share_a_term_where_they_may() {
        let all: Vec<_> = (1..=3).map(|n| (net(n), "a")).collect();
        assert_eq!(layout(&all).terms["inet"].len(), 3, "none has another's source");
        let pair = |src: u8, dst: u8| {
            let of = |site, n| format!("10.{site}.{n}.0/24").parse().unwrap();
            Match::pair(telesteer_fam::PrefixFlow { src: of(1, src), dst: of(2, dst) }).unwrap()
        };
        let mesh: Vec<_> = (1..4).flat_map(|src| (1..4).map(move |dst| (src, dst))).collect();
        let mesh: Vec<_> = mesh.into_iter().map(|(src, dst)| (pair(src, dst), "a")).collect();
        let one = layout(&mesh);
        assert_eq!((one.terms["inet"].len(), one.lists.len()), (1, 2));
        // A destination more is an item of a list more, and the term is as it was.
        let more: Vec<_> = (1..4).map(|src| (pair(src, 9), "a")).chain(mesh.clone()).collect();
        assert_eq!(layout(&more).terms, one.terms);
        // Another path is another term.
        let other: Vec<_> = mesh.iter().map(|(one, _)| (*one, "b")).chain(mesh.clone()).collect();
        assert_eq!(layout(&other).terms["inet"].len(), 2);
    }
}
