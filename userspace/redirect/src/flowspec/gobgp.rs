// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GoBGP's command: announces, withdraws and lists FlowSpec routes. One process a route, some 20 ms each.
//!
//! Two things GoBGP 3.36 does without a word: it cuts an AS of four octets in a redirection to 65535
//! unless it is written with a dot, and it withdraws what is not there. What it took in is read from it.

use super::action::RouteTarget;
use super::nlri::{Component, DESTINATION, Item, Nlri, SOURCE};
use crate::bgp::Family;
use crate::error::{DeviceError, Kind};
use crate::matching::Match;
use crate::process::Program;
use serde_json::Value;

/// Type of the attribute with communities, and of the one with extended ones.
const COMMUNITIES: u64 = 8;
const EXTENDED: u64 = 16;
/// Subtype of extended communities that redirect; their types are these.
const REDIRECT: u64 = 8;
const TYPES: [u64; 3] = [0x80, 0x81, 0x82];

/// A route the speaker has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// The entry it stands for, if it does.
    pub(crate) matching: Option<Match>,
    /// Where it redirects to, if it does nothing else.
    pub(crate) target: Option<RouteTarget>,
    /// It carries our community.
    pub(crate) ours: bool,
    /// For lists.
    pub(crate) text: String,
}

#[derive(Clone, Debug)]
pub(crate) struct GoBgp {
    program: Program,
    community: u32,
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4-flowspec",
        Family::Ipv6 => "ipv6-flowspec",
    }
}

/// The words that name a route.
fn words(verb: &str, matching: &Match) -> Vec<String> {
    let family = if matching.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
    let mut words: Vec<String> =
        ["global", "rib", verb, "-a", family_name(family), "match"].map(str::to_owned).into();
    let mut pair = |key: &str, value: String| words.extend([key.to_owned(), value]);
    pair("destination", matching.dst().to_string());
    pair("source", matching.src().to_string());
    if let Some((proto, src_port, dst_port)) = matching.ports() {
        pair("protocol", proto.to_string());
        pair("destination-port", format!("=={dst_port}"));
        pair("source-port", format!("=={src_port}"));
    }
    words
}

impl GoBgp {
    pub(crate) fn new(device: &str, program: &[String], community: u32) -> Self {
        let program: Vec<&str> = program.iter().map(String::as_str).collect();
        Self { program: Program::new(device, &program), community }
    }

    fn run(&self, words: &[String]) -> Result<String, DeviceError> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = self.program.output(&words, "")?;
        if output.status.success() {
            return String::from_utf8(output.stdout)
                .map_err(|error| self.program.error(&words, Kind::Garbled, error));
        }
        let said = [output.stderr, output.stdout].concat();
        let said = String::from_utf8_lossy(&said);
        // The first line is the error, its usage follows.
        let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
        let away = ["deadline", "connect", "Unavailable"].iter().any(|word| said.contains(word));
        let kind = if away { Kind::Unreachable } else { Kind::Refused };
        Err(self.program.error(&words, kind, said))
    }

    pub(crate) fn announce(
        &self,
        matching: &Match,
        target: RouteTarget,
    ) -> Result<(), DeviceError> {
        let mut words = words("add", matching);
        let community = format!("{}:{}", self.community >> 16, self.community & 0xffff);
        let then = ["then", "redirect", &target.to_string(), "community", &community];
        words.extend(then.map(str::to_owned));
        self.run(&words).map(drop).map_err(|error| error.about(*matching))
    }

    pub(crate) fn withdraw(&self, matching: &Match) -> Result<(), DeviceError> {
        let words = words("del", matching);
        self.run(&words).map(drop).map_err(|error| error.about(*matching))
    }

    /// All FlowSpec routes of the speaker.
    pub(crate) fn list(&self) -> Result<Vec<Announced>, DeviceError> {
        let mut all = Vec::new();
        for family in Family::ALL {
            let words = ["global", "rib", "-a", family_name(family), "-j"];
            let text = self.run(&words.map(str::to_owned))?;
            let part = parse(&text, family, self.community);
            all.extend(part.map_err(|why| self.program.error(&words, Kind::Garbled, why))?);
        }
        Ok(all)
    }
}

/// Reads a table; an error says what was not understood.
pub(crate) fn parse(text: &str, family: Family, community: u32) -> Result<Vec<Announced>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let routes = value.as_object().ok_or("no table of routes")?;
    let mut all = Vec::new();
    for (name, paths) in routes {
        for path in paths.as_array().ok_or_else(|| format!("{name}: no list of paths"))? {
            let attributes = path["attrs"].as_array().map_or(&[][..], Vec::as_slice);
            let of = |kind| attributes.iter().find(|one| one["type"].as_u64() == Some(kind));
            let communities = of(COMMUNITIES).and_then(|one| one["communities"].as_array());
            let ours = communities.into_iter().flatten().any(|one| *one == community);
            let target = of(EXTENDED).and_then(|one| target(&one["value"]));
            let nlri = components(&path["nlri"]["value"]);
            let matching = nlri.and_then(|components| Nlri { family, components }.meaning().ok());
            all.push(Announced { matching, target, ours, text: name.clone() });
        }
    }
    Ok(all)
}

/// The target of a list of extended communities that redirects and does nothing else.
fn target(value: &Value) -> Option<RouteTarget> {
    let [one] = value.as_array()?.as_slice() else { return None };
    let kind = one["type"].as_u64().filter(|kind| TYPES.contains(kind))?;
    let target: RouteTarget = one["value"].as_str()?.parse().ok()?;
    let same = matches!(
        (kind, target),
        (0x80, RouteTarget::As2 { .. })
            | (0x81, RouteTarget::Ip { .. })
            | (0x82, RouteTarget::As4 { .. })
    );
    (one["subtype"] == REDIRECT && same).then_some(target)
}

fn components(value: &Value) -> Option<Vec<Component>> {
    value.as_array()?.iter().map(component).collect()
}

fn component(one: &Value) -> Option<Component> {
    let kind = u8::try_from(one["type"].as_u64()?).ok()?;
    if matches!(kind, DESTINATION | SOURCE) {
        let prefix = one["value"]["prefix"].as_str()?.parse().ok()?;
        let offset = u8::try_from(one["offset"].as_u64().unwrap_or(0)).ok()?;
        return Some(Component::Net { kind, prefix, offset });
    }
    let items = one["value"].as_array()?.iter().map(|item| {
        // The bit of the last and the length of the value say nothing here.
        let operator = u8::try_from(item["op"].as_u64()? & 0x47).ok()?;
        Some(Item { operator, value: item["value"].as_u64()? })
    });
    Some(Component::Numbers { kind, items: items.collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::{net, tuple};

    /// What `gobgp global rib -j` of GoBGP 3.36 prints.
    const IPV4: &str = include_str!("listed4.json");
    const IPV6: &str = include_str!("listed6.json");
    const OURS: u32 = (64_512 << 16) | 84;

    fn brief(text: &str, family: Family) -> Vec<String> {
        let all = parse(text, family, OURS).unwrap();
        let mut all: Vec<_> = all
            .iter()
            .map(|one| {
                let entry = one.matching.map_or("no entry".to_owned(), |one| one.to_string());
                let target = one.target.map_or("nowhere".to_owned(), |one| one.to_string());
                format!("{entry}; {target}; {}", if one.ours { "ours" } else { "theirs" })
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_listing_is_read() {
        assert_eq!(
            brief(IPV4, Family::Ipv4),
            [
                "10.1.0.0/24 10.2.0.0/24; 64512:101; ours",
                "10.1.0.1:40000 10.2.0.1:5201 protocol 136; 64512:101; ours",
                "no entry; 192.0.2.7:7; theirs",
                "no entry; 64512:101; ours",
                "no entry; nowhere; theirs",
            ]
        );
        assert_eq!(
            brief(IPV6, Family::Ipv6),
            [
                "2001:db8:1::/64 2001:db8:2::/64; 64512:102; ours",
                "[2001:db8:1::1]:40000 [2001:db8:2::1]:443 protocol 17; 65535:102; ours",
            ]
        );
        assert_eq!(parse("{}", Family::Ipv4, OURS), Ok(Vec::new()));
        assert!(parse("no", Family::Ipv4, OURS).is_err());
        assert!(parse("[]", Family::Ipv4, OURS).is_err());
    }

    #[test]
    fn a_route_is_named_in_words() {
        assert_eq!(
            words("add", &net(1)).join(" "),
            "global rib add -a ipv4-flowspec match destination 10.2.1.0/24 source 10.1.1.0/24"
        );
        assert_eq!(
            words("del", &Match::flow(tuple(1, 7)).unwrap()).join(" "),
            "global rib del -a ipv4-flowspec match destination 10.2.1.1/32 source 10.1.1.1/32 \
             protocol 6 destination-port ==5201 source-port ==7"
        );
    }
}
