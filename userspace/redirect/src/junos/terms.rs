// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rules as terms of firewall filters.
//!
//! There is a filter for each family and rank, which an interface applies as its `input-list`, in the
//! order 5-tuples, hosts, networks. Terms of one rank never match the same packet, so their order in
//! the filter does not matter and each can come and go by itself.

use super::xml::Node;
use crate::matching::{Match, Rank};
use std::fmt::Write;
use telesteer_fam::Prefix;

/// Families with filters, as JunOS calls them.
pub(crate) const FAMILIES: [&str; 2] = ["inet", "inet6"];
/// What the names of our terms begin with.
const OWNER: &str = "hntes-";

/// The filter of a rank.
pub(crate) fn filter(rank: Rank) -> &'static str {
    match rank {
        Rank::Flow => "HNTES-FLOW",
        Rank::Host => "HNTES-HOST",
        Rank::Net => "HNTES-NET",
    }
}

/// The family of a match.
pub(crate) fn family(matching: &Match) -> &'static str {
    if matching.is_ipv4() { FAMILIES[0] } else { FAMILIES[1] }
}

/// A term's name: it may have 64 characters, which two IPv6 addresses and ports would not fit.
pub(crate) fn name(matching: &Match) -> String {
    let hash = |start: u64| {
        matching
            .to_string()
            .bytes()
            .fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    format!("{OWNER}{:016x}{:016x}", hash(0xcbf2_9ce4_8422_2325), hash(0x6c62_272e_07bb_0142))
}

/// A term as it is sent, with an operation.
pub(crate) fn term(matching: &Match, instance: &str, operation: &str) -> String {
    let mut from = format!(
        "<source-address><name>{}</name></source-address>\
         <destination-address><name>{}</name></destination-address>",
        matching.src(),
        matching.dst()
    );
    if let Some((proto, src, dst)) = matching.ports() {
        let protocol = if matching.is_ipv4() { "protocol" } else { "next-header" };
        // Writing into a String cannot fail.
        let _ = write!(
            from,
            "<{protocol}>{proto}</{protocol}><source-port>{src}</source-port>\
             <destination-port>{dst}</destination-port>"
        );
    }
    format!(
        "<term nc:operation=\"{operation}\"><name>{}</name><from>{from}</from><then>\
         <routing-instance><routing-instance-name>{instance}</routing-instance-name>\
         </routing-instance></then></term>",
        name(matching)
    )
}

/// The same to take a term away.
pub(crate) fn no_term(matching: &Match) -> String {
    no_term_named(&name(matching))
}

pub(crate) fn no_term_named(name: &str) -> String {
    format!("<term nc:operation=\"delete\"><name>{name}</name></term>")
}

/// What a listed term is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// One as we make it, to that routing instance.
    Ours(Match, String),
    /// One with a name of ours and something else in it.
    Amiss(String),
    /// Somebody else's.
    Foreign(String),
}

/// Reads a term that is in the filter of `rank` in a family.
pub(crate) fn read(term: &Node, rank: Rank, in_family: &str) -> Listed {
    let named = term.text_at(&["name"]).unwrap_or_default();
    if !named.starts_with(OWNER) {
        return Listed::Foreign(named.to_owned());
    }
    match content(term) {
        Some((matching, instance))
            if name(&matching) == named
                && matching.rank() == rank
                && family(&matching) == in_family =>
        {
            Listed::Ours(matching, instance.to_owned())
        }
        _ => Listed::Amiss(named.to_owned()),
    }
}

fn content(term: &Node) -> Option<(Match, &str)> {
    let (from, then) = (term.find(&["from"])?, term.find(&["then"])?);
    let prefix = |name: &str| from.text_at(&[name, "name"])?.parse::<Prefix>().ok();
    let ports = match from.children.len() {
        2 => None,
        5 => {
            let proto = from.find(&["protocol"]).or(from.find(&["next-header"]))?;
            let port = |name: &str| from.text_at(&[name])?.parse().ok();
            Some((protocol(&proto.text)?, port("source-port")?, port("destination-port")?))
        }
        _ => return None,
    };
    let matching =
        Match::from_parts(prefix("source-address")?, prefix("destination-address")?, ports).ok()?;
    let instance = then.text_at(&["routing-instance", "routing-instance-name"])?;
    (term.children.len() == 3 && then.children.len() == 1).then_some((matching, instance))
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

#[cfg(test)]
mod tests {
    use super::super::xml;
    use super::*;
    use crate::memory::testing::{net, tuple};

    fn listed(text: &str, rank: Rank) -> Listed {
        read(&xml::parse(text).unwrap().children[0], rank, "inet")
    }

    #[test]
    fn what_is_written_is_read() {
        let flow = Match::flow(tuple(1, 40_000)).unwrap();
        for one in [flow, net(1)] {
            let text = term(&one, "lsp-a", "create");
            assert_eq!(listed(&text, one.rank()), Listed::Ours(one, "lsp-a".to_owned()));
            assert!(name(&one).len() <= 64);
        }
        let named = term(&flow, "lsp-a", "create").replace(">6<", ">tcp<");
        assert!(matches!(listed(&named, Rank::Flow), Listed::Ours(..)));
    }

    #[test]
    fn what_was_altered_is_amiss_and_the_rest_is_foreign() {
        let text = term(&Match::flow(tuple(1, 40_000)).unwrap(), "lsp-a", "create");
        for (from, to) in [
            ("40000", "40001"),
            ("<destination-port>5201</destination-port>", ""),
            ("10.2.1.1/32", "10.2.1.0/24"),
            ("</routing-instance></then>", "</routing-instance><log/></then>"),
        ] {
            assert!(text.contains(from), "{from}");
            let altered = listed(&text.replace(from, to), Rank::Flow);
            assert!(matches!(altered, Listed::Amiss(_)), "{from}");
        }
        assert!(matches!(listed(&text, Rank::Net), Listed::Amiss(_)), "in the wrong filter");
        let theirs = "<term><name>theirs</name><then><accept/></then></term>";
        assert_eq!(listed(theirs, Rank::Net), Listed::Foreign("theirs".to_owned()));
    }
}
