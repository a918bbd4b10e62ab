// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The primitives flows can be aggregated by: pmacct's names, and the JSON members they become.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde_json::Value;

use super::view::View;
use super::{Line, names};
use crate::flow::{Element, Value as Field};

/// What `auto` stands for.
pub const DEFAULT_KEYS: &str = "peer_src_ip,in_iface,out_iface,mpls_vpn_rd,src_host,src_net,\
dst_host,dst_net,src_mask,dst_mask,src_port,dst_port,tcpflags,fwd_status,mpls_label_stack,proto,tos";

/// Elements of the flow's addresses and masks.
const SRC: &[u16] = &[8, 27];
const DST: &[u16] = &[12, 28];
const SRC_MASK: &[u16] = &[9, 29];
const DST_MASK: &[u16] = &[13, 30];
const IN: &[u16] = &[10, 252];
const OUT: &[u16] = &[14, 253];

type Write = fn(&View<'_>, &mut Line);

/// One of pmacct's own primitives.
#[derive(Clone, Copy)]
pub struct Primitive {
    pub(super) name: &'static str,
    pub(super) write: Write,
}

impl std::fmt::Debug for Primitive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A primitive the operator defines (`aggregate_primitives`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custom {
    /// Name in the output.
    pub name: String,
    /// The element.
    pub element: Element,
    /// Octets; 0 = whatever is there.
    pub len: u16,
    /// How the octets are printed.
    pub semantics: Semantics,
}

/// How a custom primitive is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semantics {
    /// Decimal number.
    Number,
    /// Hexadecimal octets.
    Hex,
    /// IP address.
    Ip,
    /// MAC address.
    Mac,
    /// Text.
    Text,
}

/// What flows are aggregated by.
#[derive(Clone, Debug)]
pub enum Key {
    /// One of pmacct's own.
    Builtin(Primitive),
    /// One the operator defined.
    Custom(Custom),
}

/// A name that is no primitive, or a definition that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither built in nor defined.
    #[error("`{0}` is not a primitive this program knows")]
    Unknown(String),
    /// Not `NAME=FIELD:LEN[:SEMANTICS]`.
    #[error("`{0}` is not NAME=[PEN/]FIELD:LEN[:u_int|hex|ip|mac|str]")]
    BadDefinition(String),
}

impl FromStr for Custom {
    type Err = KeyError;

    /// Reads `NAME=[PEN/]FIELD:LEN[:SEMANTICS]`.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bad = || KeyError::BadDefinition(text.to_owned());
        let (name, rest) = text.split_once('=').ok_or_else(bad)?;
        let mut parts = rest.split(':');
        let field = parts.next().ok_or_else(bad)?;
        let (pen, id) = field.split_once('/').unwrap_or(("0", field));
        let element =
            Element { pen: pen.parse().map_err(|_| bad())?, id: id.parse().map_err(|_| bad())? };
        let len = match parts.next() {
            None | Some("vlen") => 0,
            Some(len) => len.parse().map_err(|_| bad())?,
        };
        let semantics = match parts.next() {
            None | Some("u_int") => Semantics::Number,
            Some("hex" | "raw") => Semantics::Hex,
            Some("ip") => Semantics::Ip,
            Some("mac") => Semantics::Mac,
            Some("str") => Semantics::Text,
            Some(_) => return Err(bad()),
        };
        if name.is_empty() || parts.next().is_some() {
            return Err(bad());
        }
        Ok(Self { name: name.to_owned(), element, len, semantics })
    }
}

impl Custom {
    fn print(&self, view: &View<'_>) -> String {
        let octets = view.record.octets(self.element);
        match self.semantics {
            Semantics::Number => {
                let number = octets.and_then(|octets| Field::Octets(octets).as_u64());
                number.unwrap_or(0).to_string()
            }
            Semantics::Hex => octets
                .map(|octets| octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>())
                .unwrap_or_default()
                .join("-"),
            Semantics::Ip => match octets {
                Some(&[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
                Some(octets) => match <[u8; 16]>::try_from(octets) {
                    Ok(octets) => IpAddr::from(octets).to_string(),
                    Err(_) => Ipv4Addr::UNSPECIFIED.to_string(),
                },
                None if self.len == 16 => "::".to_owned(),
                None => Ipv4Addr::UNSPECIFIED.to_string(),
            },
            Semantics::Mac => {
                let octets = octets.unwrap_or(&[0; 6]);
                octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
            }
            Semantics::Text => view.text(self.element),
        }
    }
}

impl Key {
    /// The primitives of a comma-separated list; `auto` is [`DEFAULT_KEYS`]. A name among
    /// `customs` wins over one built in.
    ///
    /// # Errors
    ///
    /// For a name that is neither.
    pub fn list(names: &str, customs: &[Custom]) -> Result<Vec<Self>, KeyError> {
        let names = if names == "auto" { DEFAULT_KEYS } else { names };
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        names
            .map(|name| {
                if let Some(custom) = customs.iter().find(|custom| custom.name == name) {
                    return Ok(Self::Custom(custom.clone()));
                }
                let known = PRIMITIVES.iter().find(|primitive| primitive.name == name);
                known.copied().map(Self::Builtin).ok_or_else(|| KeyError::Unknown(name.to_owned()))
            })
            .collect()
    }

    pub(super) fn write(&self, view: &View<'_>, line: &mut Line) {
        match self {
            Self::Builtin(primitive) => (primitive.write)(view, line),
            // pmacct keeps text beside the other members and the rest in a map of its own.
            Self::Custom(custom) if custom.semantics == Semantics::Text || view.settings.plain => {
                line.insert(custom.name.clone(), Value::from(custom.print(view)));
            }
            Self::Custom(custom) => {
                let map =
                    line.entry("custom_primitives").or_insert_with(|| Value::Object(Line::new()));
                if let Value::Object(map) = map {
                    map.insert(custom.name.clone(), Value::from(custom.print(view)));
                }
            }
        }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self, Self::Builtin(primitive) if primitive.name == name)
    }
}

fn put(line: &mut Line, name: &str, value: impl Into<Value>) {
    line.insert(name.to_owned(), value.into());
}

fn ip(address: IpAddr) -> String {
    address.to_string()
}

macro_rules! primitives {
    ($($name:literal => |$view:ident, $line:ident| $body:expr;)*) => {
        /// Every primitive by pmacct's name for it.
        pub(super) static PRIMITIVES: &[Primitive] = &[
            $(Primitive { name: $name, write: |$view, $line| $body },)*
        ];
    };
}

primitives! {
    "peer_src_ip" => |v, l| put(l, "peer_ip_src", ip(v.exporter));
    "peer_dst_ip" => |v, l| put(l, "peer_ip_dst", ip(v.address(&[18, 63, 47, 140, 15, 62])));
    "peer_src_as" => |v, l| put(l, "peer_as_src", v.number(&[129]));
    "peer_dst_as" => |v, l| put(l, "peer_as_dst", v.number(&[128]));
    "in_iface" => |v, l| put(l, "iface_in", v.number(IN));
    "out_iface" => |v, l| put(l, "iface_out", v.number(OUT));
    "in_iface_name" => |v, l| put(l, "iface_name_in", v.interface_name(IN));
    "out_iface_name" => |v, l| put(l, "iface_name_out", v.interface_name(OUT));
    "ingress_vrf_name" => |v, l| put(l, "ingress_vrf_name", v.vrf_name(234));
    "egress_vrf_name" => |v, l| put(l, "egress_vrf_name", v.vrf_name(235));
    "vrf_name" => |v, l| put(l, "vrf_name", v.text(Element::iana(236)));
    "mpls_vpn_rd" => |v, l| {
        let (rd, origin) = v.rd();
        put(l, "mpls_vpn_rd", rd);
        put(l, "mpls_vpn_rd_origin", origin);
    };
    "mpls_pw_id" => |v, l| put(l, "mpls_pw_id", v.number(&[249]));
    "src_host" => |v, l| put(l, "ip_src", ip(v.address(SRC)));
    "dst_host" => |v, l| put(l, "ip_dst", ip(v.address(DST)));
    "src_net" => |v, l| put(l, "net_src", ip(v.network(SRC, SRC_MASK)));
    "dst_net" => |v, l| put(l, "net_dst", ip(v.network(DST, DST_MASK)));
    "src_mask" => |v, l| put(l, "mask_src", v.mask(SRC_MASK));
    "dst_mask" => |v, l| put(l, "mask_dst", v.mask(DST_MASK));
    "src_port" => |v, l| put(l, "port_src", v.number(&[7, 180, 182]));
    "dst_port" => |v, l| put(l, "port_dst", v.number(&[11, 181, 183]));
    "src_as" => |v, l| put(l, "as_src", v.number(&[16]));
    "dst_as" => |v, l| put(l, "as_dst", v.number(&[17]));
    "src_mac" => |v, l| put(l, "mac_src", v.mac(&[56, 81]));
    "dst_mac" => |v, l| put(l, "mac_dst", v.mac(&[80, 57]));
    "vlan" => |v, l| put(l, "vlan", v.number(&[58, 243]));
    "in_vlan" => |v, l| put(l, "vlan_in", v.number(&[58, 243]));
    "out_vlan" => |v, l| put(l, "vlan_out", v.number(&[59, 254]));
    "in_cvlan" => |v, l| put(l, "cvlan_in", v.number(&[245]));
    "out_cvlan" => |v, l| put(l, "cvlan_out", v.number(&[255]));
    "cos" => |v, l| put(l, "cos", v.number(&[244]));
    "etype" => |v, l| put(l, "etype", format!("{:x}", v.number(&[256])));
    "proto" => |v, l| put(l, "ip_proto", names::protocol(v.number(&[4]) as u8));
    "tos" => |v, l| put(l, "tos", v.number(&[5]));
    "flow_label" => |v, l| put(l, "flow_label", v.number(&[31]));
    // Not a key: the flags of all records of a line are put together.
    "tcpflags" => |_v, _l| ();
    "flows" => |_v, _l| ();
    "fwd_status" => |v, l| {
        let status = v.number(&[89]) as u8;
        let words = names::forwarding_status(status).to_owned();
        put(l, "fwd_status", if v.settings.plain { status.to_string() } else { words });
    };
    "mpls_label_stack" => |v, l| {
        let labels = v.labels();
        put(l, "mpls_label_stack", if v.settings.plain {
            Value::from(labels.iter().map(u32::to_string).collect::<Vec<_>>().join(","))
        } else {
            labels.iter().enumerate().map(|(i, n)| format!("{i}-{n}")).collect()
        });
    };
    "mpls_label_top" => |v, l| put(l, "mpls_label_top", v.labels().first().copied().unwrap_or(0));
    "mpls_label_bottom" => |v, l| {
        put(l, "mpls_label_bottom", v.labels().last().copied().unwrap_or(0));
    };
    "mpls_stack_depth" => |v, l| put(l, "mpls_stack_depth", v.labels().len());
    "sampling_rate" => |v, l| {
        let rate = v.settings.sampling.or(v.record.sampling_interval()).unwrap_or(0);
        put(l, "sampling_rate", if v.settings.renormalize { 1 } else { rate });
    };
    "sampling_direction" => |v, l| {
        put(l, "sampling_direction", match v.record.unsigned(61) {
            Some(0) => "i",
            Some(1) => "e",
            _ => "u",
        });
    };
    "timestamp_start" => |v, l| put(l, "timestamp_start", v.time(22, [150, 152, 154, 156]));
    "timestamp_end" => |v, l| put(l, "timestamp_end", v.time(21, [151, 153, 155, 157]));
    "timestamp_arrival" => |v, l| put(l, "timestamp_arrival", v.stamp(v.arrival_ns));
    "timestamp_export" => |v, l| {
        let export_ns = u64::from(v.record.header().export_time) * 1_000_000_000;
        put(l, "timestamp_export", v.stamp(export_ns));
    };
    "export_proto_seqno" => |v, l| put(l, "export_proto_seqno", v.record.header().sequence);
    "export_proto_version" => |v, l| put(l, "export_proto_version", v.record.header().version);
    "export_proto_sysid" => |v, l| put(l, "export_proto_sysid", v.record.header().domain);
    "post_nat_src_host" => |v, l| put(l, "post_nat_ip_src", ip(v.address(&[225, 281])));
    "post_nat_dst_host" => |v, l| put(l, "post_nat_ip_dst", ip(v.address(&[226, 282])));
    "post_nat_src_port" => |v, l| put(l, "post_nat_port_src", v.number(&[227]));
    "post_nat_dst_port" => |v, l| put(l, "post_nat_port_dst", v.number(&[228]));
    "nat_event" => |v, l| put(l, "nat_event", v.number(&[230]));
    "fw_event" => |v, l| put(l, "fw_event", v.number(&[233]));
    "vxlan" => |v, l| put(l, "vxlan", v.number(&[351]) & 0xff_ffff);
    "path_delay_avg_usec" => |v, l| put(l, "path_delay_avg_usec", v.number(&[530]));
    "path_delay_min_usec" => |v, l| put(l, "path_delay_min_usec", v.number(&[531]));
    "path_delay_max_usec" => |v, l| put(l, "path_delay_max_usec", v.number(&[532]));
    "srv6_seg_ipv6_section" => |v, l| {
        let section = v.record.octets(Element::iana(497)).unwrap_or_default();
        let (segments, _) = section.as_chunks::<16>();
        let segments = segments.iter().map(|segment| IpAddr::from(*segment).to_string());
        put(l, "srv6_seg_ipv6_list", segments.collect::<Vec<_>>().join(","));
    };
}
