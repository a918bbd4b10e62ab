// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Captures in, lines out.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::aggregate::Aggregate;
use super::bmp::BmpLog;
use super::view::View;
use super::{Line, Origin, Settings, timestamp};
use crate::capture::{Item, Kind, Source, Summary, looks_like_bmp};
use crate::notif::{self, Payload, Pushed};
use crate::{flow, pcap, tcp};

/// What shaping left out, to be told on the side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Flow records taken.
    pub records: u64,
    /// Flow sets dropped because their template had not come.
    pub sets_without_template: u64,
    /// Problems inside flow datagrams.
    pub flow_problems: u64,
    /// Flow datagrams refused.
    pub flow_refused: u64,
    /// BMP messages netgauze could not decode.
    pub bmp_undecoded: u64,
    /// BMP octets that are no message, or were not captured.
    pub bmp_lost_octets: u64,
    /// NLRI of families pmacct has no lines for.
    pub bmp_skipped_families: u64,
    /// UDP-notif datagrams refused.
    pub notif_refused: u64,
    /// UDP-notif messages that stayed incomplete.
    pub notif_incomplete: u64,
    /// UDP datagrams that are none of these.
    pub unknown_datagrams: u64,
    /// TCP connections that are no BMP session.
    pub unknown_streams: u64,
}

enum Log {
    Bmp(Box<BmpLog>),
    Other,
}

/// Shapes any number of captures as one daemon that receives them one after the other.
pub struct Shaper {
    settings: Settings,
    source: Source,
    /// By exporter address, as pmacct scopes templates: ports do not count.
    sessions: HashMap<IpAddr, flow::Session>,
    flows: Aggregate,
    notifs: notif::Reassembler,
    nodes: HashSet<(IpAddr, u16)>,
    counters: Counters,
}

impl Shaper {
    /// A shaper without any state.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            source: Source::default(),
            sessions: HashMap::new(),
            flows: Aggregate::default(),
            notifs: notif::Reassembler::new(notif::Limits::default()),
            nodes: HashSet::new(),
            counters: Counters::default(),
        }
    }

    /// Takes in one capture. BMP and UDP-notif lines come at once, flows at [`Self::finish`].
    ///
    /// # Errors
    ///
    /// When the file is no capture.
    pub fn capture(
        &mut self,
        file: &[u8],
        origin: &Origin,
        sink: &mut dyn FnMut(Line),
    ) -> Result<Summary, pcap::Error> {
        let plain = self.settings.plain;
        let sink = &mut |mut line: Line| {
            if plain {
                line.retain(|_, value| !value.is_null());
            }
            sink(line);
        };
        let mut streams: HashMap<tcp::Flow, Log> = HashMap::new();
        let mut last_ns = 0;
        let mut source = std::mem::take(&mut self.source);
        let summary = source.read(file, &mut |now_ns, item| {
            last_ns = now_ns;
            match item {
                Item::Datagram { kind: Kind::Flow, from, payload, .. } => {
                    self.flow(now_ns, from, payload, origin);
                }
                Item::Datagram { kind: Kind::Notif, from, payload, .. } => {
                    self.notif(now_ns, from, payload, origin, sink);
                }
                Item::Datagram { kind: Kind::Unknown, .. } => self.counters.unknown_datagrams += 1,
                Item::Stream { flow, event } => {
                    self.stream(now_ns, flow, event, origin, &mut streams, sink);
                }
            }
        });
        self.source = source;
        let summary = summary?;
        for log in streams.values_mut() {
            self.end(log, last_ns, sink);
        }
        Ok(summary)
    }

    /// Hands out the aggregated flows and what was counted.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Line)) -> Counters {
        let plain = self.settings.plain;
        self.flows.finish(&self.settings, &mut |mut line| {
            if plain {
                line.retain(|_, value| !value.is_null());
            }
            sink(line);
        });
        for session in self.sessions.values() {
            let counted = session.counters();
            self.counters.sets_without_template += counted.sets_given_up + session.waiting() as u64;
            self.counters.flow_problems += counted.problems.iter().sum::<u64>();
        }
        self.counters.notif_incomplete = self.notifs.incomplete() as u64;
        self.counters
    }

    fn flow(&mut self, now_ns: u64, from: SocketAddr, payload: &[u8], origin: &Origin) {
        let limits = if self.settings.late {
            flow::Limits::default()
        } else {
            flow::Limits { waiting_sets: 0, ..flow::Limits::default() }
        };
        let exporter = origin.of(from);
        let session =
            self.sessions.entry(exporter.ip()).or_insert_with(|| flow::Session::new(limits));
        let (flows, settings) = (&mut self.flows, &self.settings);
        let mut records = 0;
        let arrival = flow::Arrival { now_s: now_ns / 1_000_000_000, tag: 0 };
        let decoded = session.decode(payload, arrival, &mut |record| {
            if !record.is_options() {
                records += 1;
                let view = View { record, exporter: exporter.ip(), arrival_ns: now_ns, settings };
                flows.add(&view, &origin.members);
            }
        });
        self.counters.records += records;
        if decoded.is_err() {
            self.counters.flow_refused += 1;
        }
    }

    fn notif(
        &mut self,
        now_ns: u64,
        from: SocketAddr,
        payload: &[u8],
        origin: &Origin,
        sink: &mut dyn FnMut(Line),
    ) {
        let node = origin.of(from);
        let message = match self.notifs.push(from.ip(), payload, now_ns / 1_000_000) {
            Ok(Pushed::Complete(message)) => message,
            Ok(_) => return,
            Err(_) => {
                self.counters.notif_refused += 1;
                return;
            }
        };
        let mut line = origin.members.clone();
        let put = |line: &mut Line, name: &str, value: Value| {
            line.insert(name.to_owned(), value);
        };
        put(&mut line, "timestamp", timestamp(now_ns));
        put(&mut line, "telemetry_node", node.ip().to_string().into());
        if self.nodes.insert((node.ip(), 0)) {
            let mut start = line.clone();
            put(&mut start, "event_type", "log_init".into());
            put(&mut start, "telemetry_node_port", node.port().into());
            sink(start);
        }
        put(&mut line, "event_type", "log".into());
        put(&mut line, "telemetry_port", node.port().into());
        let encoding = message.encoding.name();
        let data = match message.parse() {
            Payload::Parsed(value) => value,
            Payload::Raw(_) => Value::from(String::from_utf8_lossy(&message.payload).into_owned()),
        };
        put(&mut line, "telemetry_data", data);
        put(&mut line, "serialization", encoding.into());
        sink(line);
    }

    fn stream(
        &mut self,
        now_ns: u64,
        flow: tcp::Flow,
        event: tcp::Event<'_>,
        origin: &Origin,
        streams: &mut HashMap<tcp::Flow, Log>,
        sink: &mut dyn FnMut(Line),
    ) {
        match event {
            tcp::Event::Start => {
                if let Some(mut old) = streams.remove(&flow) {
                    self.end(&mut old, now_ns, sink);
                }
            }
            tcp::Event::Data { bytes, .. } => {
                let log = streams.entry(flow).or_insert_with(|| {
                    if looks_like_bmp(bytes) {
                        let members = origin.members.clone();
                        Log::Bmp(Box::new(BmpLog::new(origin.of(flow.0), members)))
                    } else {
                        Log::Other
                    }
                });
                if let Log::Bmp(log) = log {
                    log.data(bytes, now_ns, &self.settings, sink);
                }
            }
            tcp::Event::Gap(octets) => {
                if let Some(Log::Bmp(log)) = streams.get_mut(&flow) {
                    log.gap(octets);
                }
            }
            tcp::Event::End => {
                if let Some(mut log) = streams.remove(&flow) {
                    self.end(&mut log, now_ns, sink);
                }
            }
        }
    }

    fn end(&mut self, log: &mut Log, now_ns: u64, sink: &mut dyn FnMut(Line)) {
        match log {
            Log::Bmp(log) => {
                log.end(now_ns, &self.settings, sink);
                self.counters.bmp_undecoded += log.losses.undecoded;
                self.counters.bmp_lost_octets += log.losses.lost_octets;
                self.counters.bmp_skipped_families += log.losses.skipped_families;
            }
            Log::Other => self.counters.unknown_streams += 1,
        }
    }
}
