// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A BMP session as pmbmpd logs it: one line for each message, route and counter.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use netgauze_bgp_pkt::BgpMessage;
use netgauze_bmp_pkt::{BmpMessage, v3, v4};
use serde_json::Value;

use super::rib::{Rib, RouteKey};
use super::route::{Change, attributes, routes};
use super::{AtEnd, Line, Settings, names, route_distinguisher, timestamp};
use crate::bmp::{Framing, Kind, MESSAGE_LEN_MAX, Peer, Session, next_len};
use crate::cursor::Cursor;

/// Octets of common and per-peer header.
const PEER_BODY: usize = 48;
/// Lines kept for a dump.
const STATE_MAX: usize = 1 << 16;
/// Attributes pooled.
const POOL_MAX: usize = 1 << 20;

/// What a session could not use.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    pub(super) undecoded: u64,
    pub(super) lost_octets: u64,
    pub(super) skipped_families: u64,
}

/// One session.
pub(super) struct BmpLog {
    router: SocketAddr,
    members: Line,
    session: Session,
    buffer: Vec<u8>,
    rib: Rib,
    /// Lines a dump repeats: those of every message but routes and statistics.
    state: Vec<Line>,
    /// Next hops as first written, by attributes (see [`Settings::pooled_next_hops`]).
    pool: HashMap<String, IpAddr>,
    started: bool,
    pub(super) losses: Losses,
}

/// Where lines go.
type Sink<'s> = &'s mut dyn FnMut(Line);

impl BmpLog {
    pub(super) fn new(router: SocketAddr, members: Line) -> Self {
        Self {
            router,
            members,
            session: Session::new(crate::bmp::Limits::default()),
            buffer: Vec::new(),
            rib: Rib::default(),
            state: Vec::new(),
            pool: HashMap::new(),
            started: false,
            losses: Losses::default(),
        }
    }

    /// Takes in the next octets of the stream; `now_ns` stands for the collector's clock.
    pub(super) fn data(&mut self, bytes: &[u8], now_ns: u64, settings: &Settings, sink: Sink<'_>) {
        self.buffer.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.buffer);
        let mut at = 0;
        loop {
            match next_len(&buffer[at..], MESSAGE_LEN_MAX) {
                Framing::Message(len) => {
                    let message = &buffer[at..at + len];
                    if !self.started {
                        self.started = true;
                        let mut line = self.line("log_init", now_ns);
                        line.remove("timestamp_event");
                        sink(line);
                    }
                    self.message(message, now_ns, settings, sink);
                    at += len;
                }
                Framing::Need(_) => break,
                Framing::Lost { skip, .. } => {
                    self.losses.lost_octets += skip as u64;
                    at += skip;
                }
                Framing::Oversize(_) => {
                    self.losses.lost_octets += 1;
                    at += 1;
                }
            }
        }
        self.buffer = buffer[at..].to_vec();
    }

    /// Octets of the stream that were not captured: what is buffered cannot be completed.
    pub(super) fn gap(&mut self, octets: u64) {
        self.losses.lost_octets += octets + self.buffer.len() as u64;
        self.buffer.clear();
    }

    /// The end of the stream.
    pub(super) fn end(&mut self, now_ns: u64, settings: &Settings, sink: Sink<'_>) {
        self.losses.lost_octets += self.buffer.len() as u64;
        self.buffer.clear();
        match settings.at_end {
            AtEnd::Nothing => {}
            AtEnd::Delete => {
                let gone = self.rib.take(None);
                self.deleted(gone, now_ns, sink);
            }
            AtEnd::Dump => self.dump(now_ns, sink),
        }
    }

    fn line(&self, event: &str, now_ns: u64) -> Line {
        let mut line = self.members.clone();
        put(&mut line, "event_type", event);
        put(&mut line, "timestamp", timestamp(now_ns));
        put(&mut line, "timestamp_event", Value::Null);
        put(&mut line, "bmp_router", self.router.ip().to_string());
        put(&mut line, "bmp_router_port", self.router.port());
        line
    }

    fn deleted(&self, routes: Vec<Line>, now_ns: u64, sink: Sink<'_>) {
        for mut line in routes {
            put(&mut line, "log_type", "delete");
            put(&mut line, "bmp_msg_type", "internal");
            put(&mut line, "timestamp", timestamp(now_ns));
            sink(line);
        }
    }

    fn dump(&self, now_ns: u64, sink: Sink<'_>) {
        let edge = |event| {
            let mut line = self.line(event, now_ns);
            line.remove("timestamp_event");
            line
        };
        sink(edge("dump_init"));
        for kept in &self.state {
            let mut line = kept.clone();
            let event = line.insert("timestamp".to_owned(), timestamp(now_ns));
            put(&mut line, "timestamp_event", event.unwrap_or_default());
            put(&mut line, "event_type", "dump");
            sink(line);
        }
        for kept in self.rib.lines() {
            let mut line = kept.clone();
            line.remove("log_type");
            put(&mut line, "timestamp", timestamp(now_ns));
            put(&mut line, "event_type", "dump");
            sink(line);
        }
        let mut close = edge("dump_close");
        put(&mut close, "entries", Value::Null);
        put(&mut close, "tables", Value::Null);
        sink(close);
    }

    fn message(&mut self, message: &[u8], now_ns: u64, settings: &Settings, sink: Sink<'_>) {
        let decoded = self.session.feed(message);
        if decoded.message.is_none() {
            self.losses.undecoded += 1;
        }
        let kind = Kind::of(decoded.message_type);
        let Some(peer) = decoded.peer else {
            let (name, infos): (_, &[&str]) = match kind {
                Kind::Initiation => ("init", &["string", "sysdescr", "sysname", "reserved"]),
                Kind::Termination => ("term", &["string", "reason"]),
                _ => return,
            };
            let mut line = self.line("log", 0);
            put(&mut line, "bmp_msg_type", name);
            let body = message.get(6..).unwrap_or_default();
            information(&mut line, &format!("bmp_{name}_info"), infos, body);
            self.remember(&line);
            sink(line);
            return;
        };
        let mut line = self.line("log", peer_time_ns(&peer));
        put(&mut line, "peer_ip", peer_ip(&peer));
        put(&mut line, "peer_asn", peer.asn);
        put(&mut line, "bgp_id", peer.bgp_id.to_string());
        rib_of(&mut line, &peer);
        let body = message.get(PEER_BODY..).unwrap_or_default();
        match kind {
            Kind::RouteMonitoring => {
                if let Some(update) = decoded.message.as_deref().and_then(update_of) {
                    self.routes(line, message, &peer, update, settings, sink);
                }
            }
            Kind::Stats => stats(line, &peer, body, sink),
            Kind::PeerUp => {
                peer_up(&mut line, &peer, body);
                self.remember(&line);
                sink(line);
            }
            Kind::PeerDown => {
                peer_down(&mut line, &peer, body);
                self.remember(&line);
                sink(line);
                if let Some(key) = peer_key(message) {
                    let gone = self.rib.take(Some(&key));
                    self.deleted(gone, now_ns, sink);
                }
            }
            _ => {}
        }
    }

    fn remember(&mut self, line: &Line) {
        if self.state.len() < STATE_MAX {
            self.state.push(line.clone());
        }
    }

    /// The next hop as nfacctd writes it: in the form it had when these attributes came first.
    fn pooled(&mut self, told: &Line, next_hop: IpAddr) -> IpAddr {
        let key = format!("{}{}", next_hop.to_canonical(), Value::Object(told.clone()));
        if self.pool.len() >= POOL_MAX && !self.pool.contains_key(&key) {
            return next_hop;
        }
        *self.pool.entry(key).or_insert(next_hop)
    }

    fn routes(
        &mut self,
        mut line: Line,
        message: &[u8],
        peer: &Peer,
        update: &netgauze_bgp_pkt::update::BgpUpdateMessage,
        settings: &Settings,
        sink: Sink<'_>,
    ) {
        let Some(peer_key) = peer_key(message) else { return };
        line.remove("timestamp_event");
        // pmacct tells the F flag of a Loc-RIB in its Peer Up only.
        put(&mut line, "is_filtered", 0);
        put(&mut line, "bmp_msg_type", "route_monitor");
        put(&mut line, "peer_tcp_port", 0);
        let told = attributes(Some(update), settings.lists);
        let nothing = attributes(None, settings.lists);
        for mut route in routes(update, &mut self.losses.skipped_families) {
            let mut line = line.clone();
            if settings.pooled_next_hops && route.change == Change::Update {
                route.next_hop = route.next_hop.map(|hop| self.pooled(&told, hop));
            }
            route.write(&mut line, peer.distinguisher);
            let log_type = match route.change {
                Change::Update => "update",
                Change::Withdraw => "withdraw",
                Change::EndOfRib => "end-of-rib",
            };
            put(&mut line, "log_type", log_type);
            let key: RouteKey = (
                peer_key,
                if peer.peer_type == 3 { 0 } else { peer.flags & 0x50 },
                route.afi,
                route.safi,
                route.rd.unwrap_or_default(),
                route.prefix.clone().unwrap_or_default(),
                route.path_id.unwrap_or_default(),
            );
            match route.change {
                Change::Update => {
                    line.extend(told.clone());
                    self.rib.announce(key, line.clone());
                }
                Change::Withdraw => {
                    // Logged with what is withdrawn; nothing is logged for what was not there.
                    let Some(mut gone) = self.rib.withdraw(&key) else { continue };
                    for name in ["timestamp", "log_type"] {
                        gone.extend(line.remove_entry(name));
                    }
                    line = gone;
                }
                Change::EndOfRib => line.extend(nothing.clone()),
            }
            sink(line);
        }
    }
}

fn put(line: &mut Line, name: &str, value: impl Into<Value>) {
    line.insert(name.to_owned(), value.into());
}

fn peer_time_ns(peer: &Peer) -> u64 {
    u64::from(peer.seconds) * 1_000_000_000 + u64::from(peer.microseconds) * 1000
}

fn peer_ip(peer: &Peer) -> String {
    peer.address.to_string()
}

fn peer_key(message: &[u8]) -> Option<crate::bmp::PeerKey> {
    let header = message.get(6..PEER_BODY)?;
    let mut key = [0; 33];
    key[0] = header[0];
    key[1..].copy_from_slice(&header[2..34]);
    Some(key)
}

fn update_of(message: &BmpMessage) -> Option<&netgauze_bgp_pkt::update::BgpUpdateMessage> {
    let bgp = match message {
        BmpMessage::V3(v3::BmpMessageValue::RouteMonitoring(message)) => message.update_message(),
        BmpMessage::V4(v4::BmpMessageValue::RouteMonitoring(message)) => message.update_message(),
        _ => return None,
    };
    match bgp {
        BgpMessage::Update(update) => Some(update),
        _ => None,
    }
}

/// Which RIB the message is about, and the flags that say so.
fn rib_of(line: &mut Line, peer: &Peer) {
    let post = u8::from(peer.flags & 0x40 != 0);
    let (name, filtered, is_in, is_loc, is_post, is_out) = if peer.peer_type == 3 {
        ("Loc-Rib", u8::from(peer.flags & 0x80 != 0), None, Some(1), None, None)
    } else if peer.flags & 0x10 != 0 {
        let names = ["Adj-Rib-Out Pre-Policy", "Adj-Rib-Out Post-Policy"];
        (names[usize::from(post)], 0, None, None, Some(post), Some(1))
    } else {
        let names = ["Adj-Rib-In Pre-Policy", "Adj-Rib-In Post-Policy"];
        (names[usize::from(post)], 0, Some(1), None, Some(post), None)
    };
    put(line, "bmp_rib_type", name);
    put(line, "is_filtered", filtered);
    put(line, "is_in", is_in);
    put(line, "is_loc", is_loc);
    put(line, "is_post", is_post);
    put(line, "is_out", is_out);
}

/// Peer type and route distinguisher, as in all lines but those of routes.
fn described(line: &mut Line, peer: &Peer) {
    put(line, "peer_type", peer.peer_type);
    put(line, "peer_type_str", names::peer_type(peer.peer_type));
    let known = peer.distinguisher != [0; 8];
    put(line, "rd", known.then(|| route_distinguisher(peer.distinguisher)));
    put(line, "rd_origin", known.then_some("bmp"));
}

/// Information TLVs: type and length of two octets each.
fn information(line: &mut Line, prefix: &str, infos: &[&str], body: &[u8]) {
    for info in infos {
        put(line, &format!("{prefix}_{info}"), Value::Null);
    }
    let mut cursor = Cursor::new(body);
    while let (Some(kind), Some(len)) = (cursor.u16(), cursor.u16()) {
        let Some(value) = cursor.take(usize::from(len)) else { return };
        let Some(info) = infos.get(usize::from(kind)) else { continue };
        let text = match (*info, value) {
            ("reason", &[high, low]) => {
                names::termination(u16::from_be_bytes([high, low])).to_owned()
            }
            _ => String::from_utf8_lossy(value).trim_end_matches('\0').to_owned(),
        };
        put(line, &format!("{prefix}_{info}"), text);
    }
}

fn peer_up(line: &mut Line, peer: &Peer, body: &[u8]) {
    put(line, "bmp_msg_type", "peer_up");
    described(line, peer);
    let mut cursor = Cursor::new(body);
    let address: [u8; 16] =
        cursor.take(16).and_then(|octets| octets.try_into().ok()).unwrap_or_default();
    let v6 = peer.peer_type != 3 && peer.flags & 0x80 != 0;
    let address = match address {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] if !v6 => {
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        octets => IpAddr::V6(Ipv6Addr::from(octets)),
    };
    put(line, "local_ip", address.to_string());
    put(line, "local_port", cursor.u16().unwrap_or_default());
    put(line, "remote_port", cursor.u16().unwrap_or_default());
    let rest = body.get(cursor.position()..).unwrap_or_default();
    let (sent, rest) = open(rest);
    let (_, rest) = open(rest);
    put(line, "local_as", sent);
    information(
        line,
        "bmp_peer_up_info",
        &["string", "reserved", "reserved", "vrf_table_name", "admin_label"],
        rest,
    );
}

/// The AS of an OPEN (that of the four-octet capability if it has one) and what follows it.
fn open(bytes: &[u8]) -> (u32, &[u8]) {
    let len = match bytes.get(16..18) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => return (0, &[]),
    };
    let (Some(message), Some(rest)) = (bytes.get(..len), bytes.get(len..)) else {
        return (0, &[]);
    };
    let short = message.get(20..22).map_or(0, |asn| u32::from(asn[0]) << 8 | u32::from(asn[1]));
    (four_octet_as(message.get(29..).unwrap_or_default()).unwrap_or(short), rest)
}

/// Looks for capability 65 (RFC 6793) in the optional parameters.
fn four_octet_as(parameters: &[u8]) -> Option<u32> {
    let mut cursor = Cursor::new(parameters);
    while let (Some(kind), Some(len)) = (cursor.u8(), cursor.u8()) {
        let value = cursor.take(usize::from(len))?;
        if kind != 2 {
            continue;
        }
        let mut capabilities = Cursor::new(value);
        while let (Some(code), Some(len)) = (capabilities.u8(), capabilities.u8()) {
            let value = capabilities.take(usize::from(len))?;
            if let (65, Ok(asn)) = (code, <[u8; 4]>::try_from(value)) {
                return Some(u32::from_be_bytes(asn));
            }
        }
    }
    None
}

fn peer_down(line: &mut Line, peer: &Peer, body: &[u8]) {
    put(line, "bmp_msg_type", "peer_down");
    described(line, peer);
    let reason = body.first().copied().unwrap_or_default();
    put(line, "reason_type", reason);
    put(line, "reason_str", names::peer_down(reason));
    let code = match (reason, body.get(1..3)) {
        (2, Some(&[high, low])) => Some(u16::from_be_bytes([high, low])),
        _ => None,
    };
    put(line, "reason_loc_code", code);
}

/// One line for each counter of a statistics report.
fn stats(mut line: Line, peer: &Peer, body: &[u8], sink: Sink<'_>) {
    put(&mut line, "bmp_msg_type", "stats");
    described(&mut line, peer);
    // pmacct leaves the words out of these lines.
    put(&mut line, "peer_type_str", "");
    let mut cursor = Cursor::new(body);
    let count = cursor.u32().unwrap_or_default();
    for _ in 0..count {
        let (Some(kind), Some(len)) = (cursor.u16(), cursor.u16()) else { return };
        let Some(value) = cursor.take(usize::from(len)) else { return };
        let (family, value) = match value {
            [a, b, c, rest @ ..] if rest.len() == 8 => {
                (Some((u16::from_be_bytes([*a, *b]), *c)), rest)
            }
            _ => (None, value),
        };
        let number = value.iter().take(8).fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
        let mut line = line.clone();
        put(&mut line, "counter_type", kind);
        put(&mut line, "counter_type_str", names::counter(kind));
        put(&mut line, "counter_value", number);
        put(&mut line, "afi", family.map(|(afi, _)| afi));
        put(&mut line, "safi", family.map(|(_, safi)| safi));
        sink(line);
    }
}
