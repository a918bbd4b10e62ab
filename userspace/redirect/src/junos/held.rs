// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a router's configuration holds of ours, of others, and of ours that is amiss.

use super::terms::{FAMILIES, FILTER, OWNER, Term, What, family};
use super::xml::Node;
use crate::matching::{Match, Rank};
use crate::path::{PathName, Paths};
use crate::rule::{ReadBack, Rule};
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::{Prefix, PrefixFlow};

/// Pairs that lists may stand for: two lists that somebody filled are a great many.
const MAX_PAIRS: usize = 1 << 20;

/// A configuration, as far as it concerns us.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) back: ReadBack,
    /// Our lists; none where one is not as we make them.
    pub(crate) lists: BTreeMap<String, Option<BTreeSet<Prefix>>>,
    /// Our terms that are in force, by family and in their order.
    pub(crate) terms: BTreeMap<&'static str, Vec<(Rank, Term)>>,
    /// Names of our terms that are not.
    pub(crate) amiss: BTreeMap<&'static str, BTreeSet<String>>,
}

/// What our terms lead to, by the name of the routing instance.
pub(crate) type Instances<'a> = BTreeMap<&'a str, &'a PathName>;

/// The instances whose paths are known.
pub(crate) fn known<'a>(instances: &'a BTreeMap<PathName, String>, paths: &Paths) -> Instances<'a> {
    let known = instances.iter().filter(|(path, _)| paths.get(path).is_some());
    known.map(|(path, instance)| (instance.as_str(), path)).collect()
}

/// The prefixes of a list, if there are only prefixes and all are in force.
fn prefixes(list: &Node) -> Option<BTreeSet<Prefix>> {
    let items = list.children.iter().filter(|node| node.name != "name");
    let read = |item: &Node| match (item.name.as_str(), item.children.len()) {
        ("prefix-list-item", 1) => item.text_at(&["name"])?.parse().ok(),
        _ => None,
    };
    items.map(read).collect::<Option<_>>().filter(|_| list.is_active())
}

impl Held {
    /// Reads the reply to `get-config`.
    pub(crate) fn read(reply: &Node, instances: &Instances<'_>) -> Self {
        let mut held = Self::default();
        let of = ["data", "configuration", "policy-options"];
        let lists = reply.find(&of).into_iter().flat_map(|node| node.all("prefix-list"));
        for list in lists {
            if let Some(name) = list.text_at(&["name"]).filter(|name| name.starts_with(OWNER)) {
                held.lists.insert(name.to_owned(), prefixes(list));
            }
        }
        // Of others' lists only those matter that are used in our filter.
        let mut foreign = BTreeSet::new();
        for family in FAMILIES {
            let filters = reply.find(&["data", "configuration", "firewall", "family", family]);
            let filters = filters.into_iter().flat_map(|node| node.all("filter"));
            for filter in filters.filter(|one| one.text_at(&["name"]) == Some(FILTER)) {
                for term in filter.all("term") {
                    held.term(term, family, filter.inactive, instances, &mut foreign);
                }
            }
        }
        held.left_over();
        for list in foreign {
            held.back.foreign.push(format!("prefix-list {list}, used in filter {FILTER}"));
        }
        held
    }

    fn term(
        &mut self,
        node: &Node,
        family: &'static str,
        off: bool,
        instances: &Instances<'_>,
        foreign: &mut BTreeSet<String>,
    ) {
        let name = node.text_at(&["name"]).unwrap_or_default();
        if !name.starts_with(OWNER) {
            self.back.foreign.push(format!("filter {FILTER} {family} term {name}"));
            foreign.extend(lists_used(node));
            return;
        }
        let term = Term::read(node).filter(|_| !off).ok_or_else(|| "not as made".to_owned());
        let read = term.and_then(|term| {
            let (rank, rules) = self.meaning(&term, family, instances)?;
            Ok((rank, rules, term))
        });
        match read {
            Ok((rank, rules, term)) => {
                self.back.rules.extend(rules);
                self.terms.entry(family).or_default().push((rank, term));
            }
            Err(why) => {
                self.back.amiss.push(format!("filter {FILTER} {family} term {name}: {why}"));
                self.amiss.entry(family).or_default().insert(name.to_owned());
            }
        }
    }

    /// What a term does where it stands, after those that were read before.
    fn meaning(
        &self,
        term: &Term,
        in_family: &'static str,
        instances: &Instances<'_>,
    ) -> Result<(Rank, Vec<Rule>), String> {
        let path = *instances
            .get(term.instance.as_str())
            .ok_or_else(|| format!("unknown instance {}", term.instance))?;
        let matches = match &term.what {
            What::Flow(matching) => vec![*matching],
            What::Lists(sources, destinations) => {
                let list = |name: &String| match self.lists.get(name) {
                    Some(Some(list)) if !list.is_empty() => Ok(list),
                    Some(_) => Err(format!("prefix-list {name} is not as made")),
                    None => Err(format!("prefix-list {name} is not ours or not there")),
                };
                let (from, to) = (list(sources)?, list(destinations)?);
                let room = MAX_PAIRS.saturating_sub(self.back.rules.len());
                if from.len().saturating_mul(to.len()) > room {
                    return Err(format!("its lists make more than {MAX_PAIRS} pairs in all"));
                }
                let pairs = from.iter().flat_map(|src| to.iter().map(move |dst| (*src, *dst)));
                let pair = |(src, dst)| Match::pair(PrefixFlow { src, dst });
                pairs.map(pair).collect::<Result<_, _>>().map_err(|bad| bad.to_string())?
            }
        };
        let ranks: BTreeSet<Rank> = matches.iter().map(Match::rank).collect();
        let (Some(rank), 1) = (ranks.first().copied(), ranks.len()) else {
            return Err("hosts and networks in one term".to_owned());
        };
        if matches.iter().any(|one| family(one) != in_family) {
            return Err("of another family".to_owned());
        }
        let before = self.terms.get(in_family).and_then(|terms| terms.last());
        if before.is_some_and(|(before, _)| *before > rank) {
            return Err("after a wider term, which takes its packets".to_owned());
        }
        let rule = |matching| Rule { matching, path: path.clone() };
        Ok((rank, matches.into_iter().map(rule).collect()))
    }

    /// Our lists that no term of ours uses.
    fn left_over(&mut self) {
        let terms = self.terms.values().flatten();
        let used: BTreeSet<&String> = terms.flat_map(|(_, term)| term.lists()).collect();
        for name in self.lists.keys().filter(|name| !used.contains(*name)) {
            self.back.amiss.push(format!("prefix-list {name}: in no term that is in force"));
        }
    }
}

/// Lists that somebody's term names.
fn lists_used(term: &Node) -> impl Iterator<Item = String> {
    let from = term.find(&["from"]).into_iter().flat_map(|from| from.children.iter());
    from.filter(|node| node.name.ends_with("prefix-list"))
        .filter_map(|node| node.text_at(&["name"]).map(str::to_owned))
}
