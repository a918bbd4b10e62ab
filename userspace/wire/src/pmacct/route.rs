// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A BGP UPDATE as routes: announced, withdrawn, or the end of a RIB.

use std::net::IpAddr;

use netgauze_bgp_pkt::community::ExtendedCommunity;
use netgauze_bgp_pkt::nlri::{MplsLabel, RouteDistinguisher};
use netgauze_bgp_pkt::path_attribute::{
    Aigp, AsPath, AsPathSegmentType, BgpSidAttribute, MpReach, MpUnreach, Origin,
    PathAttributeValue,
};
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_parse_utils::WritablePdu;
use serde_json::Value;

use super::{Line, Lists, route_distinguisher};

/// What happened to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Update,
    Withdraw,
    EndOfRib,
}

/// One route of an UPDATE.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) change: Change,
    pub(super) afi: u16,
    pub(super) safi: u8,
    pub(super) prefix: Option<String>,
    pub(super) rd: Option<[u8; 8]>,
    pub(super) path_id: Option<u32>,
    pub(super) label: Option<u32>,
    pub(super) next_hop: Option<IpAddr>,
}

/// Splits an UPDATE into its routes; what pmacct has no lines for (EVPN, BGP-LS, multicast, route
/// targets) is only counted in `skipped`.
pub(super) fn routes(update: &BgpUpdateMessage, skipped: &mut u64) -> Vec<Route> {
    let mut found = Vec::new();
    let route = |change, afi, safi| Route {
        change,
        afi,
        safi,
        prefix: None,
        rd: None,
        path_id: None,
        label: None,
        next_hop: None,
    };
    if let Some(family) = update.end_of_rib() {
        let (afi, safi) = (family.address_family(), family.subsequent_address_family());
        found.push(route(Change::EndOfRib, afi.into(), safi.into()));
        return found;
    }
    let mut next_hop = None;
    for attribute in update.path_attributes() {
        match attribute.value() {
            PathAttributeValue::NextHop(hop) => next_hop = Some(IpAddr::V4(hop.next_hop())),
            PathAttributeValue::MpReach(reach) => reached(reach, &mut found, skipped),
            PathAttributeValue::MpUnreach(unreach) => unreached(unreach, &mut found, skipped),
            _ => {}
        }
    }
    for withdrawn in update.withdraw_routes() {
        found.push(Route {
            prefix: Some(withdrawn.network().address().to_string()),
            path_id: withdrawn.path_id(),
            ..route(Change::Withdraw, 1, 1)
        });
    }
    for announced in update.nlri() {
        found.push(Route {
            prefix: Some(announced.network().address().to_string()),
            path_id: announced.path_id(),
            next_hop,
            ..route(Change::Update, 1, 1)
        });
    }
    found
}

/// Makes the routes of one family; each of its NLRI types has its own way to say the same.
macro_rules! family {
    ($found:ident, $change:expr, $afi:expr, $safi:expr, $hop:expr, $nlri:expr,
     |$n:ident| $prefix:expr, $rd:expr, $labels:expr) => {
        for $n in $nlri.iter() {
            $found.push(Route {
                change: $change,
                afi: $afi,
                safi: $safi,
                prefix: Some($prefix.to_string()),
                rd: $rd,
                path_id: $n.path_id(),
                label: $labels,
                next_hop: $hop,
            });
        }
    };
}

fn reached(reach: &MpReach, found: &mut Vec<Route>, skipped: &mut u64) {
    let change = Change::Update;
    match reach {
        MpReach::Ipv4Unicast { next_hop, nlri, .. } => {
            family!(
                found,
                change,
                1,
                1,
                Some(*next_hop),
                nlri,
                |n| n.network().address(),
                None,
                None
            );
        }
        MpReach::Ipv6Unicast { next_hop_global, nlri, .. } => {
            let hop = Some(IpAddr::V6(*next_hop_global));
            family!(found, change, 2, 1, hop, nlri, |n| n.network().address(), None, None);
        }
        MpReach::Ipv4NlriMplsLabels { next_hop, nlri, .. } => {
            family!(
                found,
                change,
                1,
                4,
                Some(*next_hop),
                nlri,
                |n| n.prefix(),
                None,
                label(n.labels())
            );
        }
        MpReach::Ipv6NlriMplsLabels { next_hop, nlri, .. } => {
            family!(
                found,
                change,
                2,
                4,
                Some(*next_hop),
                nlri,
                |n| n.prefix(),
                None,
                label(n.labels())
            );
        }
        MpReach::Ipv4MplsVpnUnicast { next_hop, nlri } => {
            let hop = Some(next_hop.next_hop());
            family!(
                found,
                change,
                1,
                128,
                hop,
                nlri,
                |n| n.network().address(),
                rd(&n.rd()),
                label(n.label_stack())
            );
        }
        MpReach::Ipv6MplsVpnUnicast { next_hop, nlri } => {
            let hop = Some(next_hop.next_hop());
            family!(
                found,
                change,
                2,
                128,
                hop,
                nlri,
                |n| n.network().address(),
                rd(&n.rd()),
                label(n.label_stack())
            );
        }
        _ => *skipped += 1,
    }
}

fn unreached(unreach: &MpUnreach, found: &mut Vec<Route>, skipped: &mut u64) {
    let change = Change::Withdraw;
    match unreach {
        MpUnreach::Ipv4Unicast { nlri } => {
            family!(found, change, 1, 1, None, nlri, |n| n.network().address(), None, None);
        }
        MpUnreach::Ipv6Unicast { nlri } => {
            family!(found, change, 2, 1, None, nlri, |n| n.network().address(), None, None);
        }
        MpUnreach::Ipv4NlriMplsLabels { nlri } => {
            family!(found, change, 1, 4, None, nlri, |n| n.prefix(), None, label(n.labels()));
        }
        MpUnreach::Ipv6NlriMplsLabels { nlri } => {
            family!(found, change, 2, 4, None, nlri, |n| n.prefix(), None, label(n.labels()));
        }
        MpUnreach::Ipv4MplsVpnUnicast { nlri } => {
            family!(
                found,
                change,
                1,
                128,
                None,
                nlri,
                |n| n.network().address(),
                rd(&n.rd()),
                label(n.label_stack())
            );
        }
        MpUnreach::Ipv6MplsVpnUnicast { nlri } => {
            family!(
                found,
                change,
                2,
                128,
                None,
                nlri,
                |n| n.network().address(),
                rd(&n.rd()),
                label(n.label_stack())
            );
        }
        _ => *skipped += 1,
    }
}

/// The top label's twenty bits.
fn label(stack: &[MplsLabel]) -> Option<u32> {
    let [a, b, c] = *stack.first()?.value();
    Some(u32::from_be_bytes([0, a, b, c]) >> 4)
}

pub(super) fn rd(rd: &RouteDistinguisher) -> Option<[u8; 8]> {
    let mut octets = Vec::with_capacity(8);
    rd.write(&mut octets).ok()?;
    octets.try_into().ok()
}

/// The attributes every route of an UPDATE shares; all of them `null` or empty without one.
/// Communities are sorted and each is told once, as BGP daemons keep them.
pub(super) fn attributes(update: Option<&BgpUpdateMessage>, lists: Lists) -> Line {
    let mut line = Line::new();
    for name in ["origin", "local_pref", "med", "aigp", "psid_li", "otc"] {
        line.insert(name.to_owned(), Value::Null);
    }
    let (mut path, mut path4, mut comms, mut ecomms, mut lcomms) =
        (Vec::new(), None, Vec::new(), Vec::new(), Vec::new());
    for attribute in update.map_or(&[][..], |update| update.path_attributes()) {
        let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
        match attribute.value() {
            PathAttributeValue::Origin(origin) => {
                let letter = match origin {
                    Origin::IGP => "i",
                    Origin::EGP => "e",
                    Origin::Incomplete => "u",
                };
                put("origin", letter.into());
            }
            PathAttributeValue::AsPath(AsPath::As2PathSegments(segments)) => {
                path = segments
                    .iter()
                    .flat_map(|s| hops(s.segment_type(), s.as_numbers().iter().map(|n| *n as u32)))
                    .collect();
            }
            PathAttributeValue::AsPath(AsPath::As4PathSegments(segments)) => {
                path = segments
                    .iter()
                    .flat_map(|s| hops(s.segment_type(), s.as_numbers().iter().copied()))
                    .collect();
            }
            PathAttributeValue::As4Path(told) => {
                let hops: Vec<String> = told
                    .segments()
                    .iter()
                    .flat_map(|s| hops(s.segment_type(), s.as_numbers().iter().copied()))
                    .collect();
                path4 = Some(hops);
            }
            PathAttributeValue::MultiExitDiscriminator(med) => {
                put("med", med.metric().into());
            }
            PathAttributeValue::LocalPreference(preference) => {
                put("local_pref", preference.metric().into());
            }
            PathAttributeValue::Communities(told) => {
                let mut told = told.communities().to_vec();
                told.sort_unstable_by_key(|c| c.value());
                told.dedup();
                comms = told
                    .iter()
                    .map(|c| format!("{}:{}", c.collection_asn(), c.collection_value()))
                    .collect();
            }
            PathAttributeValue::ExtendedCommunities(told) => {
                let mut told: Vec<[u8; 8]> = told.communities().iter().filter_map(octets).collect();
                told.sort_unstable();
                told.dedup();
                ecomms = told.into_iter().map(extended).collect();
            }
            PathAttributeValue::LargeCommunities(told) => {
                let mut told = told.communities().to_vec();
                told.sort_unstable_by_key(|c| (c.global_admin(), c.local_data1(), c.local_data2()));
                told.dedup();
                lcomms = told
                    .iter()
                    .map(|c| {
                        format!("{}:{}:{}", c.global_admin(), c.local_data1(), c.local_data2())
                    })
                    .collect();
            }
            PathAttributeValue::Aigp(Aigp::AccumulatedIgpMetric(metric)) => {
                put("aigp", (*metric).into());
            }
            PathAttributeValue::OnlyToCustomer(otc) => {
                put("otc", otc.asn().into());
            }
            PathAttributeValue::PrefixSegmentIdentifier(sid) => {
                let index = sid.tlvs().iter().find_map(|tlv| match tlv {
                    BgpSidAttribute::LabelIndex { label_index, .. } => Some(*label_index),
                    _ => None,
                });
                put("psid_li", index.into());
            }
            _ => {}
        }
    }
    // RFC 6793 section 4.2.3: the four-octet path replaces the tail of the two-octet one.
    if let Some(tail) = path4
        && tail.len() <= path.len()
    {
        path.truncate(path.len() - tail.len());
        path.extend(tail);
    }
    for (name, list) in
        [("as_path", path), ("comms", comms), ("ecomms", ecomms), ("lcomms", lcomms)]
    {
        let value = match lists {
            Lists::Array => Value::from(list),
            Lists::Text if list.is_empty() => Value::Null,
            Lists::Text => Value::from(list.join(" ")),
        };
        line.insert(name.to_owned(), value);
    }
    line
}

/// A segment's AS numbers; a set is one hop.
fn hops(kind: AsPathSegmentType, numbers: impl Iterator<Item = u32>) -> Vec<String> {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    match kind {
        AsPathSegmentType::AsSequence => numbers,
        AsPathSegmentType::AsSet => vec![format!("{{{}}}", numbers.join(","))],
    }
}

fn octets(community: &ExtendedCommunity) -> Option<[u8; 8]> {
    let mut octets = Vec::with_capacity(8);
    community.write(&mut octets).ok()?;
    octets.try_into().ok()
}

/// An extended community: route targets and origins by name, anything else by its octets.
fn extended(octets: [u8; 8]) -> String {
    let [kind, sub, a, b, c, d, e, f] = octets;
    let name = match sub {
        2 => "RT",
        3 => "SoO",
        _ => "",
    };
    let (two, four) = (u16::from_be_bytes([a, b]), u32::from_be_bytes([a, b, c, d]));
    match (kind & 0x3f, name) {
        (0, "RT" | "SoO") => format!("{name}:{two}:{}", u32::from_be_bytes([c, d, e, f])),
        (1, "RT" | "SoO") => format!("{name}:{a}.{b}.{c}.{d}:{}", u16::from_be_bytes([e, f])),
        (2, "RT" | "SoO") => format!("{name}:{four}:{}", u16::from_be_bytes([e, f])),
        _ => {
            let octets: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            format!("0x{octets}")
        }
    }
}

impl Route {
    /// The members that tell this route from the others of its UPDATE. `peer_rd` is that of the
    /// session's per-peer header.
    pub(super) fn write(&self, line: &mut Line, peer_rd: [u8; 8]) {
        let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
        put("afi", self.afi.into());
        put("safi", self.safi.into());
        put("ip_prefix", self.prefix.clone().into());
        let (rd, origin) = match self.rd {
            Some(rd) => (Some(route_distinguisher(rd)), Some("bgp")),
            // pmacct has no place for it beside a label.
            None if peer_rd != [0; 8] && self.safi == 1 => {
                (Some(route_distinguisher(peer_rd)), Some("bmp"))
            }
            None => (None, None),
        };
        put("rd", rd.into());
        put("rd_origin", origin.into());
        put("bgp_nexthop", self.next_hop.map(|hop| hop.to_string()).into());
        put("as_path_id", self.path_id.into());
        put("mpls_label", self.label.map(|label| label.to_string()).into());
    }
}
