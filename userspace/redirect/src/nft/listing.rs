// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Our table: what `nft -j -t list table` says of it, and the elements of its maps.

use super::element::{Element, Held, Odd};
use super::schema::{CHAIN, MAPS, Map};
use serde_json::Value;

/// Our table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) elements: Vec<Element>,
    /// Elements of our maps that are none of ours.
    pub(crate) odd: Vec<Odd>,
    /// Maps of ours that are there.
    pub(crate) maps: Vec<&'static Map>,
    /// Handles of the rules that look into our maps.
    pub(crate) handles: Vec<u64>,
    /// Whether packets are looked up as they should be.
    pub(crate) intact: bool,
    /// What lies in the table besides.
    pub(crate) foreign: Vec<String>,
}

impl Listing {
    /// Takes in elements of a map.
    pub(crate) fn take(&mut self, held: Vec<Held>) {
        for one in held {
            match one {
                Held::Ours(element) => self.elements.push(element),
                Held::Odd(odd) => self.odd.push(odd),
            }
        }
    }
}

/// Reads all but elements; an error says what was not understood.
pub(crate) fn parse(text: &str) -> Result<Listing, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let objects = value["nftables"].as_array().ok_or("no list of objects")?;
    let mut listing = Listing::default();
    let (mut hooked, mut lookups) = (false, Vec::new());
    for object in objects {
        let Some((kind, body)) = object.as_object().and_then(|object| object.iter().next()) else {
            return Err(format!("an object that is none: {}", short(object)));
        };
        let name = body["name"].as_str().unwrap_or_default();
        match kind.as_str() {
            "metainfo" | "table" => {}
            "map" if known(name).is_some() => listing.maps.extend(known(name)),
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
    listing.intact = hooked && listing.maps.len() == MAPS.len() && lookups.into_iter().eq(expected);
    Ok(listing)
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(160).collect()
}

fn known(name: &str) -> Option<&'static Map> {
    MAPS.iter().find(|map| map.name == name)
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

    /// What nft 1.1.3 lists of our table, elements left out.
    const LISTED: &str = include_str!("listed.json");

    #[test]
    fn a_listing_is_read() {
        let listing = parse(LISTED).unwrap();
        assert!(listing.intact);
        assert_eq!(listing.handles.len(), MAPS.len());
        assert!(listing.maps.into_iter().eq(&MAPS));
        assert!(listing.foreign.is_empty(), "{:?}", listing.foreign);
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
        let without = LISTED.replacen("\"name\": \"net6\"", "\"name\": \"net7\"", 1);
        let listing = parse(&without).unwrap();
        assert_eq!((listing.maps.len(), listing.foreign.len()), (MAPS.len() - 1, 1));
        assert!(!listing.intact, "a map is missing");
        assert!(parse("{}").is_err() && parse("nonsense").is_err());
    }
}
