// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The edit that makes of what a router holds what it should hold, and touches nothing else.

use super::held::Held;
use super::terms::{FAMILIES, FILTER, Layout};
use crate::matching::Rank;
use std::collections::BTreeSet;
use std::fmt::Write;
use telesteer_fam::Prefix;

/// The inside of `configuration`, empty if nothing is to be done. With `purge` what is amiss goes as
/// well; without, only where it is in the way.
pub(crate) fn edit(held: &Held, layout: &Layout, purge: bool) -> String {
    let lists = lists(held, layout, purge);
    let mut text = String::new();
    // Writing into a String cannot fail.
    if !lists.is_empty() {
        let _ = write!(text, "<policy-options>{lists}</policy-options>");
    }
    let mut families = String::new();
    for family in FAMILIES {
        let terms = terms(held, layout, family, purge);
        if !terms.is_empty() {
            let _ = write!(
                families,
                "<{family}><filter><name>{FILTER}</name>{terms}</filter></{family}>"
            );
        }
    }
    if !families.is_empty() {
        let _ = write!(text, "<firewall><family>{families}</family></firewall>");
    }
    text
}

fn items(prefixes: impl IntoIterator<Item = Prefix>, operation: &str) -> String {
    let item =
        |prefix| format!("<prefix-list-item{operation}><name>{prefix}</name></prefix-list-item>");
    prefixes.into_iter().map(item).collect()
}

fn lists(held: &Held, layout: &Layout, purge: bool) -> String {
    let mut text = String::new();
    let list = |operation: &str, name: &str, inside: &str| {
        format!("<prefix-list{operation}><name>{name}</name>{inside}</prefix-list>")
    };
    let in_force: BTreeSet<&String> =
        held.terms.values().flatten().flat_map(|(_, term)| term.lists()).collect();
    for name in held.lists.keys().filter(|name| !layout.lists.contains_key(*name)) {
        if purge || in_force.contains(name) {
            text += &list(" nc:operation=\"delete\"", name, "");
        }
    }
    for (name, want) in &layout.lists {
        text += &match held.lists.get(name) {
            None => list(" nc:operation=\"create\"", name, &items(want.iter().copied(), "")),
            Some(None) => list(" nc:operation=\"replace\"", name, &items(want.iter().copied(), "")),
            Some(Some(have)) if have == want => continue,
            Some(Some(have)) => {
                let gone = items(have.difference(want).copied(), " nc:operation=\"delete\"");
                let new = items(want.difference(have).copied(), " nc:operation=\"create\"");
                list("", name, &(gone + &new))
            }
        };
    }
    text
}

/// The terms of a family. A new one is made and then moved to where its rank belongs, ahead of all that
/// is not ours: the filter's last term may be one that takes everything.
fn terms(held: &Held, layout: &Layout, family: &'static str, purge: bool) -> String {
    let (have, want) = (held.terms.get(family), layout.terms.get(family));
    let (have, want) = (have.map_or(&[][..], Vec::as_slice), want.map_or(&[][..], Vec::as_slice));
    let amiss = held.amiss.get(family);
    let wanted: BTreeSet<&str> = want.iter().map(|(_, term)| term.name.as_str()).collect();
    let there: BTreeSet<&str> = have.iter().map(|(_, term)| term.name.as_str()).collect();
    let mut text = String::new();
    let mut order: Vec<(Rank, &str)> = Vec::new();
    for (rank, term) in have {
        let at = want.binary_search_by(|(a, one)| (a, &one.name).cmp(&(rank, &term.name)));
        if at.is_ok_and(|at| want.get(at).is_some_and(|one| one.1 == *term)) {
            order.push((*rank, &term.name));
        } else if !wanted.contains(term.name.as_str()) {
            text += &gone(&term.name);
        }
    }
    for name in amiss.into_iter().flatten().filter(|_| purge) {
        if !wanted.contains(name.as_str()) {
            text += &gone(name);
        }
    }
    let kept: BTreeSet<&str> = order.iter().map(|(_, name)| *name).collect();
    for (rank, term) in want.iter().filter(|(_, term)| !kept.contains(term.name.as_str())) {
        let known = there.contains(term.name.as_str())
            || amiss.is_some_and(|amiss| amiss.contains(&term.name));
        text += &term.xml(if known { "replace" } else { "create" });
        let at = order.partition_point(|(other, _)| other <= rank);
        let place = match (order.get(at), order.last()) {
            (Some((_, next)), _) => format!("insert=\"before\" name=\"{next}\""),
            (None, Some((_, last))) => format!("insert=\"after\" name=\"{last}\""),
            (None, None) => "insert=\"first\"".to_owned(),
        };
        let _ = write!(text, "<term {place}><name>{}</name></term>", term.name);
        order.insert(at, (*rank, &term.name));
    }
    text
}

fn gone(name: &str) -> String {
    format!("<term nc:operation=\"delete\"><name>{name}</name></term>")
}

#[cfg(test)]
mod tests {
    use super::super::held::known;
    use super::super::terms::{Term, What};
    use super::super::xml;
    use super::*;
    use crate::matching::Match;
    use crate::memory::testing::{name, net, tuple};
    use crate::path::{PathName, Paths, Target};
    use crate::rule::Rule;
    use std::collections::BTreeMap;
    use telesteer_fam::PrefixFlow;

    fn instances() -> BTreeMap<PathName, String> {
        BTreeMap::from([(name("a"), "LSP-a".to_owned())])
    }

    fn read(configuration: &str) -> Held {
        let mut paths = Paths::default();
        paths.insert(name("a"), Target { mark: 1, table: 101 }).unwrap();
        let text = format!("<data><configuration>{configuration}</configuration></data>");
        Held::read(&xml::parse(&text).unwrap(), &known(&instances(), &paths))
    }

    fn layout(matches: &[Match]) -> Layout {
        let rule = |one: &Match| Rule { matching: *one, path: name("a") };
        Layout::of(&matches.iter().map(rule).collect(), &instances())
    }

    fn pair(src: &str, dst: &str) -> Match {
        Match::pair(PrefixFlow { src: src.parse().unwrap(), dst: dst.parse().unwrap() }).unwrap()
    }

    fn flow() -> Match {
        Match::flow(tuple(1, 40_000)).unwrap()
    }

    const NET: &str = "hntes-net-NUMBER";

    /// An edit with names made short, a line an element that matters.
    fn shown(text: &str, layout: &Layout) -> String {
        let mut text = text.to_owned();
        for (rank, term) in layout.terms.values().flatten() {
            text =
                text.replace(&term.name, &format!("hntes-{}", format!("{rank:?}").to_lowercase()));
        }
        ["<prefix-list ", "<prefix-list>", "<prefix-list-item", "<term ", "<firewall>", "</filter>"]
            .iter()
            .fold(text, |text, tag| text.replace(tag, &format!("\n{tag}")))
    }

    #[test]
    fn the_first_edit_makes_lists_and_terms_in_order() {
        let matches =
            [net(1), pair("10.1.9.0/24", "10.2.1.0/24"), pair("10.1.1.7", "10.2.1.7"), flow()];
        let layout = layout(&matches);
        let edit = edit(&read(""), &layout, false);
        let golden = "<policy-options>
<prefix-list nc:operation=\"create\"><name>hntes-host-dst</name>
<prefix-list-item><name>10.2.1.7/32</name></prefix-list-item></prefix-list>
<prefix-list nc:operation=\"create\"><name>hntes-host-src</name>
<prefix-list-item><name>10.1.1.7/32</name></prefix-list-item></prefix-list>
<prefix-list nc:operation=\"create\"><name>hntes-net-dst</name>
<prefix-list-item><name>10.2.1.0/24</name></prefix-list-item></prefix-list>
<prefix-list nc:operation=\"create\"><name>hntes-net-src</name>
<prefix-list-item><name>10.1.1.0/24</name></prefix-list-item>
<prefix-list-item><name>10.1.9.0/24</name></prefix-list-item></prefix-list></policy-options>
<firewall><family><inet><filter><name>HNTES</name>
<term nc:operation=\"create\"><name>hntes-flow</name><from>\
<source-address><name>10.1.1.1/32</name></source-address>\
<destination-address><name>10.2.1.1/32</name></destination-address>\
<protocol>6</protocol><source-port>40000</source-port>\
<destination-port>5201</destination-port></from><then><routing-instance>\
<routing-instance-name>LSP-a</routing-instance-name></routing-instance></then></term>
<term insert=\"first\"><name>hntes-flow</name></term>
<term nc:operation=\"create\"><name>hntes-host</name><from>\
<source-prefix-list><name>hntes-host-src</name></source-prefix-list>\
<destination-prefix-list><name>hntes-host-dst</name></destination-prefix-list></from><then>\
<routing-instance><routing-instance-name>LSP-a</routing-instance-name></routing-instance></then></term>
<term insert=\"after\" name=\"hntes-flow\"><name>hntes-host</name></term>
<term nc:operation=\"create\"><name>hntes-net</name><from>\
<source-prefix-list><name>hntes-net-src</name></source-prefix-list>\
<destination-prefix-list><name>hntes-net-dst</name></destination-prefix-list></from><then>\
<routing-instance><routing-instance-name>LSP-a</routing-instance-name></routing-instance></then></term>
<term insert=\"after\" name=\"hntes-host\"><name>hntes-net</name></term>
</filter></inet></family></firewall>";
        assert_eq!(shown(&edit, &layout), golden);
    }

    /// A configuration that holds one term for networks and its lists.
    fn configuration(sources: &[&str], destinations: &[&str], more: &str) -> String {
        let list = |end: &str, prefixes: &[&str]| {
            let prefixes: Vec<Prefix> = prefixes.iter().map(|text| text.parse().unwrap()).collect();
            format!("<prefix-list><name>{NET}-{end}</name>{}</prefix-list>", items(prefixes, ""))
        };
        let what = What::Lists(format!("{NET}-src"), format!("{NET}-dst"));
        let term = Term { name: NET.to_owned(), what, instance: "LSP-a".to_owned() }.xml("x");
        format!(
            "<policy-options>{}{}<prefix-list><name>theirs</name></prefix-list></policy-options>\
             <firewall><family><inet><filter><name>HNTES</name>{term}{more}</filter></inet>\
             </family></firewall>",
            list("src", sources),
            list("dst", destinations)
        )
    }

    #[test]
    fn lists_are_read_as_their_cross_product() {
        let text = configuration(&["10.1.1.0/24", "10.1.2.0/24"], &["10.2.1.0/24"], "");
        let held = read(&text);
        let rule = |src| Rule { matching: pair(src, "10.2.1.0/24"), path: name("a") };
        assert_eq!(held.back.rules, ["10.1.1.0/24", "10.1.2.0/24"].map(rule).into());
        assert!(held.back.amiss.is_empty() && held.back.foreign.is_empty(), "{held:?}");
        // What somebody adds to a list shows as the pairs it makes.
        let two = ["10.2.1.0/24", "10.2.2.0/24"];
        let more = read(&configuration(&["10.1.1.0/24", "10.1.2.0/24"], &two, ""));
        assert_eq!(more.back.rules.len(), 4);
    }

    #[test]
    fn what_is_not_as_made_is_amiss() {
        let (from, to) = (["10.1.1.0/24"], ["10.2.1.0/24"]);
        let good = configuration(&from, &to, "");
        for (odd, why) in [
            (
                good.replace(&format!("<name>{NET}-dst</name><prefix"), "<name>x</name><prefix"),
                "not there",
            ),
            (good.replace("<name>10.2.1.0/24", "<name>10.2.1.5/32"), "a pair is"),
            (good.replace("<name>10.2.1.0/24", "<name>2001:db8::/64"), "two families"),
            (good.replace("<name>10.2.1.0/24", "<name>10.2.0.0/16"), "a pair is"),
            (
                good.replace("<prefix-list-item>", "<prefix-list-item inactive=\"inactive\">"),
                "not as made",
            ),
            (good.replace("LSP-a", "LSP-z"), "unknown instance LSP-z"),
            (good.replace("inet>", "inet6>"), "another family"),
            (configuration(&from, &[], ""), "not as made"),
            (configuration(&["10.1.1.0/24", "10.1.1.1"], &to, ""), "a pair is"),
        ] {
            assert_ne!(odd, good);
            let held = read(&odd);
            assert!(held.back.rules.is_empty(), "{odd}");
            assert!(held.back.amiss.shown[0].contains(why), "{why}: {:?}", held.back.amiss);
            // Purged, it is gone: the term, and the lists that are called ours.
            let edit = edit(&held, &Layout::default(), true);
            let lists = held.lists.len();
            assert_eq!(edit.matches("<prefix-list nc:operation=\"delete\">").count(), lists);
            assert_eq!(edit.matches("<term nc:operation=\"delete\">").count(), 1, "{edit}");
            assert_eq!(super::edit(&held, &Layout::default(), false), "", "{edit}");
        }
        let wide =
            Term { name: "hntes-late".into(), what: What::Flow(flow()), instance: "LSP-a".into() };
        let late = read(&configuration(&from, &to, &wide.xml("x")));
        assert!(late.back.amiss.shown[0].contains("after a wider term"), "{late:?}");
        assert_eq!(late.back.rules.len(), 1);
        let theirs = "<term><name>theirs</name><from><source-prefix-list><name>theirs</name>\
                      </source-prefix-list></from><then><accept/></then></term>";
        let held = read(&configuration(&from, &to, theirs));
        assert_eq!(held.back.foreign.shown.len(), 2, "{held:?}");
        assert!(!edit(&held, &Layout::default(), true).contains("theirs"));
    }

    #[test]
    fn a_destination_more_is_one_item() {
        let one = layout(&[net(1)]);
        let term = one.terms["inet"][0].1.name.clone();
        let held = configuration(&["10.1.1.0/24"], &["10.2.1.0/24"], "").replace(NET, &term);
        let held = read(&held);
        assert_eq!(edit(&held, &one, true), "");
        let two = layout(&[net(1), pair("10.1.1.0/24", "10.2.2.0/24")]);
        let golden = format!(
            "<policy-options><prefix-list><name>{term}-dst</name>\
             <prefix-list-item nc:operation=\"create\"><name>10.2.2.0/24</name></prefix-list-item>\
             </prefix-list></policy-options>"
        );
        assert_eq!(edit(&held, &two, false), golden);
        // A narrower entry goes before it.
        let narrow = edit(&held, &layout(&[net(1), flow()]), false);
        assert!(narrow.contains(&format!("<term insert=\"before\" name=\"{term}\">")), "{narrow}");
    }

    #[test]
    fn what_is_in_the_way_is_replaced() {
        let one = layout(&[net(1)]);
        let term = &one.terms["inet"][0].1.name;
        let text = configuration(&["10.1.1.0/24"], &["10.2.1.0/24"], "").replace(NET, term);
        let odd = text.replace("<name>10.2.1.0/24</name>", "<name>10.2.1.0/24</name><x/>");
        let edit = edit(&read(&odd.replace("LSP-a", "LSP-z")), &one, false);
        assert!(edit.contains("<prefix-list nc:operation=\"replace\">"), "{edit}");
        assert!(edit.contains("<term nc:operation=\"replace\">"), "{edit}");
        assert!(edit.contains("<term insert=\"first\">"), "{edit}");
    }
}
