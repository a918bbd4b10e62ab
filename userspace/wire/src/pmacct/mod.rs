// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Captures as the JSON lines pmacct's daemons (nfacctd, pmbmpd, pmtelemetryd) log for them, for
//! side-by-side comparison and for a migration that keeps its consumers.
//!
//! Key names and value formats are pmacct's. What depends on its configuration, not on the
//! traffic, is a setting here: primitives, renormalisation, labels, route distinguisher maps.
//! Sequence numbers, writer ids and the time of output have no meaning offline and are left out.

mod aggregate;
mod bmp;
mod names;
mod primitive;
mod rib;
mod route;
mod shaper;
mod view;

pub use primitive::{Custom, DEFAULT_KEYS, Key, KeyError};
pub use shaper::{Counters, Shaper};

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value};

/// A line.
pub type Line = Map<String, Value>;

/// How lists of AS numbers and communities are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lists {
    /// JSON arrays, empty ones included.
    #[default]
    Array,
    /// One string with blanks, `null` for an empty list.
    Text,
}

/// What happens to the routes of a session at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtEnd {
    /// Nothing.
    #[default]
    Nothing,
    /// A `delete` line for each, as a daemon logs when the connection closes.
    Delete,
    /// A table dump.
    Dump,
}

/// The settings of a [`Shaper`].
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What flow records are aggregated by.
    pub keys: Vec<Key>,
    /// Multiply packets and bytes by the sampling interval.
    pub renormalize: bool,
    /// Sampling interval used in place of what the exporter tells.
    pub sampling: Option<u32>,
    /// Cut the microseconds of flow times.
    pub whole_seconds: bool,
    /// Decode sets that came before their template; pmacct drops them.
    pub late: bool,
    /// Route distinguishers over what the exporter tells (pmacct's flow_to_rd_map).
    pub rds: HashMap<RdKey, String>,
    /// How lists are written.
    pub lists: Lists,
    /// What happens at a session's end.
    pub at_end: AtEnd,
    /// pmacct's JSON output with its default encodings instead of its Avro output decoded: nothing
    /// is `null`, flags, status and label stack are numbers in text, custom primitives stand
    /// beside the others, flows have an event type.
    pub plain: bool,
    /// Write next hops as nfacctd does: it keeps one copy of equal attributes and takes an IPv4
    /// next hop and its v4-mapped IPv6 form for equal, so the form that came first is printed.
    pub pooled_next_hops: bool,
}

/// What a route distinguisher is looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RdKey {
    /// Ingress VRF id, or egress without one.
    Vrf(u32),
    /// Ingress interface; wins over the others.
    In(u32),
    /// Egress interface; wins over the VRF.
    Out(u32),
}

/// How one capture is to be taken.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Stands in for the exporter's address.
    pub address: Option<IpAddr>,
    /// Stands in for the exporter's port.
    pub port: Option<u16>,
    /// Members added to every line, for example labels.
    pub members: Line,
}

impl Origin {
    fn of(&self, sender: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.address.unwrap_or(sender.ip()), self.port.unwrap_or(sender.port()))
    }
}

/// `seconds.microseconds` as text.
fn timestamp(nanoseconds: u64) -> Value {
    let micros = nanoseconds / 1000;
    Value::from(format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000))
}

/// Eight octets as `type:administrator:number`.
fn route_distinguisher(rd: [u8; 8]) -> String {
    let [t0, t1, a, b, c, d, e, f] = rd;
    match u16::from_be_bytes([t0, t1]) {
        0 => {
            format!("0:{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]))
        }
        1 => format!("1:{a}.{b}.{c}.{d}:{}", u16::from_be_bytes([e, f])),
        kind => {
            format!("{kind}:{}:{}", u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, f]))
        }
    }
}
