// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What `nft -j list table` says of our table.

use super::schema::{CHAIN, MAPS, Map, map_of};
use crate::device::Count;
use crate::matching::{Match, Rank};
use serde_json::Value;
use std::net::IpAddr;
use telesteer_fam::{Prefix, Width};

/// An element of one of our maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) matching: Match,
    pub(crate) mark: u32,
    pub(crate) count: Count,
}

/// Our table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) elements: Vec<Element>,
    /// Elements of our maps that are none of ours: the map, and the key as it was listed.
    pub(crate) odd: Vec<(&'static str, Value)>,
    /// Handles of the rules that look into our maps.
    pub(crate) handles: Vec<u64>,
    /// Whether packets are looked up as they should be.
    pub(crate) intact: bool,
    /// What lies in the table besides.
    pub(crate) foreign: Vec<String>,
}

/// Reads a listing; an error says what was not understood.
pub(crate) fn parse(text: &str) -> Result<Listing, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let objects = value["nftables"].as_array().ok_or("no list of objects")?;
    let mut listing = Listing::default();
    let (mut maps, mut hooked, mut lookups) = (0, false, Vec::new());
    for object in objects {
        let Some((kind, body)) = object.as_object().and_then(|object| object.iter().next()) else {
            return Err(format!("an object that is none: {}", short(object)));
        };
        let name = body["name"].as_str().unwrap_or_default();
        match kind.as_str() {
            "metainfo" | "table" => {}
            "map" if known(name).is_some() => {
                let Some(map) = known(name) else { continue };
                maps += 1;
                for pair in body["elem"].as_array().into_iter().flatten() {
                    match element(map, pair) {
                        Some(element) => listing.elements.push(element),
                        None => listing.odd.push((map.name, bare(&pair[0]).clone())),
                    }
                }
            }
            "chain" if name == CHAIN => {
                hooked = body["hook"] == "prerouting" && body["type"] == "filter";
            }
            "rule" if body["chain"] == CHAIN && lookup(body).is_some() => {
                lookups.extend(lookup(body));
                listing.handles.extend(body["handle"].as_u64());
            }
            _ => listing.foreign.push(format!("{kind} {}", short(body))),
        }
    }
    let expected = MAPS.iter().map(|map| (format!("@{}", map.name), map.signature.to_owned()));
    listing.intact = hooked && maps == MAPS.len() && lookups.into_iter().eq(expected);
    Ok(listing)
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(160).collect()
}

fn known(name: &str) -> Option<&'static Map> {
    MAPS.iter().find(|map| map.name == name)
}

/// The key without what is listed around it.
fn bare(key: &Value) -> &Value {
    key.get("elem").map_or(key, |elem| &elem["val"])
}

fn element(map: &Map, pair: &Value) -> Option<Element> {
    let [key, data] = pair.as_array()?.as_slice() else { return None };
    let mark = u32::try_from(data.as_u64()?).ok()?;
    let counter = &key["elem"]["counter"];
    let number = |name: &str| counter[name].as_u64().unwrap_or(0);
    let count = Count { packets: number("packets"), bytes: number("bytes") };
    let fields = bare(key)["concat"].as_array()?.iter().map(|field| match field {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let fields: Vec<String> = fields.collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    Some(Element { matching: matching(map, &fields)?, mark, count })
}

/// What an element with such fields in its key matches; none if it is none of ours.
fn matching(map: &Map, fields: &[&str]) -> Option<Match> {
    let [src, dst, rest @ ..] = fields else { return None };
    let (src, dst) = (src.parse::<IpAddr>().ok()?, dst.parse::<IpAddr>().ok()?);
    let len = match map.rank {
        Rank::Net if map.ipv4 => Width::NET.v4,
        Rank::Net => Width::NET.v6,
        Rank::Flow | Rank::Host => Width::HOST.v6,
    };
    let ports = match rest {
        [] => None,
        [proto, src_port, dst_port] => {
            Some((protocol(proto)?, src_port.parse().ok()?, dst_port.parse().ok()?))
        }
        _ => return None,
    };
    let (src_net, dst_net) = (Prefix::new(src, len), Prefix::new(dst, len));
    let matching = Match::from_parts(src_net, dst_net, ports).ok()?;
    // A network's element that is not its first address matches no packet.
    let real = src_net.addr() == src && dst_net.addr() == dst && map_of(&matching) == map;
    real.then_some(matching)
}

/// `nft` lists protocols by name where it knows one.
fn protocol(word: &str) -> Option<u8> {
    Some(match word {
        "tcp" => 6,
        "udp" => 17,
        "dccp" => 33,
        "sctp" => 132,
        "udplite" => 136,
        number => number.parse().ok()?,
    })
}

/// Reads what `nft get element` prints, which is text whatever it is asked for: matches and marks.
pub(crate) fn parse_found(text: &str) -> Vec<(Match, u32)> {
    let mut map = None;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("map ").and_then(|rest| rest.strip_suffix(" {")) {
            map = known(name);
        }
        let Some(inner) = line.strip_prefix("elements = {").and_then(|rest| rest.strip_suffix('}'))
        else {
            continue;
        };
        found.extend(map.and_then(|map| one_found(map, inner)));
    }
    found
}

fn one_found(map: &Map, element: &str) -> Option<(Match, u32)> {
    let (key, mark) = element.trim().rsplit_once(" : 0x")?;
    let key = key.split_once(" counter ").map_or(key, |(key, _)| key);
    let fields: Vec<&str> = key.split(" . ").collect();
    Some((matching(map, &fields)?, u32::from_str_radix(mark, 16).ok()?))
}

/// The map a rule looks into, and by which key, if it does what ours do.
fn lookup(rule: &Value) -> Option<(String, String)> {
    let [mangle, verdict] = rule["expr"].as_array()?.as_slice() else { return None };
    verdict.get("return")?;
    let mangle = &mangle["mangle"];
    if mangle["key"]["meta"]["key"] != "mark" {
        return None;
    }
    let map = &mangle["value"]["map"];
    let data = map["data"].as_str()?.to_owned();
    known(data.strip_prefix('@')?)?;
    let fields = map["key"]["concat"].as_array()?;
    let fields: Vec<_> = fields.iter().map(signature).collect();
    Some((data, fields.join(" ")))
}

fn signature(field: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    if let Some([inner, mask]) = field["&"].as_array().map(Vec::as_slice) {
        format!("{}&{}", signature(inner), text(mask))
    } else if let Some(payload) = field.get("payload") {
        format!("{}.{}", text(&payload["protocol"]), text(&payload["field"]))
    } else {
        format!("meta.{}", text(&field["meta"]["key"]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What nft 1.1.3 lists of our table with six elements in it.
    const LISTED: &str = include_str!("listed.json");

    #[test]
    fn a_listing_is_read() {
        let listing = parse(LISTED).unwrap();
        assert!(listing.intact);
        assert_eq!(listing.handles.len(), MAPS.len());
        assert!(listing.foreign.is_empty() && listing.odd.is_empty(), "{listing:?}");
        let texts: Vec<_> = listing
            .elements
            .iter()
            .map(|one| format!("{} {} {}", one.matching, one.mark, one.count.packets))
            .collect();
        assert_eq!(
            texts,
            [
                "10.1.1.1:40000 10.2.1.1:5201 protocol 6 101 0",
                "10.1.0.1/32 10.2.0.1/32 102 3",
                "10.1.0.0/24 10.2.0.0/24 101 0",
                "[2001:db8::1]:40000 [2001:db8::2]:22 protocol 132 102 0",
                "2001:db8::1/128 2001:db8::2/128 101 0",
                "2001:db8::/64 2001:db8:0:1::/64 4294967295 0",
            ]
        );
    }

    #[test]
    fn single_elements_are_read() {
        let text = "table inet telesteer_hntes {\n\tmap flow4 {\n\t\ttype ipv4_addr . ipv4_addr\n\t\t\
            elements = { 10.1.1.1 . 10.2.1.1 . tcp . 40000 . 5201 counter packets 0 bytes 0 : \
            0x00000065 }\n\t}\n}\ntable inet telesteer_hntes {\n\tmap net6 {\n\t\telements = { \
            2001:db8:: . 2001:db8:0:1:: : 0xffffffff }\n\t}\n}\n";
        let found: Vec<_> =
            parse_found(text).iter().map(|(one, mark)| format!("{one} {mark:#x}")).collect();
        assert_eq!(
            found,
            [
                "10.1.1.1:40000 10.2.1.1:5201 protocol 6 0x65",
                "2001:db8::/64 2001:db8:0:1::/64 0xffffffff"
            ]
        );
    }

    #[test]
    fn what_was_tampered_with_is_not_intact() {
        for (from, to) in [
            ("\"255.255.255.0\"", "\"255.255.0.0\""),
            ("\"@host4\"", "\"@net4\""),
            ("\"prerouting\"", "\"output\""),
            ("{\"return\": null}", "{\"accept\": null}"),
        ] {
            assert!(LISTED.contains(from));
            assert!(!parse(&LISTED.replacen(from, to, 1)).unwrap().intact, "{from}");
        }
    }

    #[test]
    fn what_is_not_ours_is_told_apart() {
        let stranger =
            r#"{"chain": {"family": "inet", "table": "telesteer_hntes", "name": "x"}}, {"table":"#;
        let listing = parse(&LISTED.replacen(r#"{"table":"#, stranger, 1)).unwrap();
        assert!(listing.intact);
        assert_eq!(listing.foreign.len(), 1, "{:?}", listing.foreign);
        // An element in the net map that is no network's first address.
        let listing = parse(&LISTED.replacen("\"10.1.0.0\"", "\"10.1.0.7\"", 1)).unwrap();
        assert_eq!((listing.odd.len(), listing.odd[0].0), (1, "net4"));
        assert!(parse("{}").is_err() && parse("nonsense").is_err());
    }
}
