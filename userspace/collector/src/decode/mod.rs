// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Captures as the lines `telesteer collect` would have written for them.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use telesteer_wire::bmp::{self, Framing, MESSAGE_LEN_MAX, next_len};
use telesteer_wire::capture::{Item, Kind, Source, Summary, looks_like_bmp};
use telesteer_wire::flow::{self, Arrival, Record};
use telesteer_wire::notif::{self, Payload, Pushed};
use telesteer_wire::{pcap, tcp};

use crate::line::{Line, fnv1a};

/// What decoding captures came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Flow records of traffic.
    pub flow_records: u64,
    /// Flow datagrams, or sets in them, that could not be decoded.
    pub flow_undecodable: u64,
    /// Flow sets whose template never came.
    pub sets_without_template: u64,
    /// BMP messages.
    pub bmp_messages: u64,
    /// BMP messages decoded but for something malformed.
    pub bmp_partly: u64,
    /// BMP messages that could not be decoded.
    pub bmp_undecoded: u64,
    /// Octets of TCP streams that are no BMP message.
    pub lost_octets: u64,
    /// UDP-notif messages.
    pub notif_messages: u64,
    /// UDP-notif datagrams or payloads that could not be decoded.
    pub notif_undecodable: u64,
    /// UDP datagrams of no known kind.
    pub unknown_datagrams: u64,
    /// TCP streams that are no BMP session.
    pub unknown_streams: u64,
}

impl Totals {
    /// Whether everything recognised was decoded.
    pub fn whole(&self) -> bool {
        self.flow_undecodable == 0
            && self.sets_without_template == 0
            && self.bmp_undecoded == 0
            && self.lost_octets == 0
            && self.notif_undecodable == 0
    }
}

/// Decodes captures one after the other as one collector would.
pub struct Decoder {
    source: Source,
    flows: HashMap<(SocketAddr, u16), flow::Session>,
    notifs: notif::Reassembler,
    totals: Totals,
    raw: bool,
    out: Vec<u8>,
}

/// One direction of a TCP connection.
struct Stream {
    session: bmp::Session,
    buffer: Vec<u8>,
    /// Stream offset of the buffer's first octet.
    offset: u64,
    /// Whether it is a BMP session, once its first octets are there.
    is_bmp: Option<bool>,
}

impl Decoder {
    /// A decoder; `raw` adds the octets of BMP messages to their lines.
    pub fn new(raw: bool) -> Self {
        Self {
            source: Source::default(),
            flows: HashMap::new(),
            notifs: notif::Reassembler::new(notif::Limits::default()),
            totals: Totals::default(),
            raw,
            out: Vec::new(),
        }
    }

    /// Decodes one capture and writes its lines.
    ///
    /// # Errors
    ///
    /// When the file is no capture, or writing fails.
    pub fn capture(&mut self, file: &[u8], to: &mut dyn Write) -> Result<Summary, Error> {
        let mut streams: HashMap<tcp::Flow, Stream> = HashMap::new();
        let mut source = std::mem::take(&mut self.source);
        let mut failed = None;
        let summary = source.read(file, &mut |now_ns, item| {
            let ts = Duration::from_nanos(now_ns);
            match item {
                Item::Datagram { kind: Kind::Flow, from, to, payload } => {
                    self.flow(ts, from, to.port(), payload);
                }
                Item::Datagram { kind: Kind::Notif, from, to, payload } => {
                    self.notif(ts, from, to.port(), payload);
                }
                Item::Datagram { kind: Kind::Unknown, .. } => self.totals.unknown_datagrams += 1,
                Item::Stream { flow, event } => self.stream(ts, flow, event, &mut streams),
            }
            if failed.is_none() {
                failed = to.write_all(&self.out).err();
            }
            self.out.clear();
        });
        self.source = source;
        for stream in streams.values() {
            self.totals.lost_octets += stream.buffer.len() as u64;
        }
        match failed {
            Some(error) => Err(Error::Write(error)),
            None => Ok(summary?),
        }
    }

    /// What all captures came to.
    pub fn totals(&self) -> Totals {
        let mut totals = self.totals;
        for session in self.flows.values() {
            totals.sets_without_template +=
                session.counters().sets_given_up + session.waiting() as u64;
        }
        totals
    }

    fn flow(&mut self, ts: Duration, from: SocketAddr, local_port: u16, payload: &[u8]) {
        let session = self
            .flows
            .entry((from, local_port))
            .or_insert_with(|| flow::Session::new(flow::Limits::default()));
        let arrival = Arrival { now_s: ts.as_secs(), tag: fnv1a(payload) };
        let (out, totals) = (&mut self.out, &mut self.totals);
        let report = session.decode(payload, arrival, &mut |record| {
            if !record.is_options() {
                totals.flow_records += 1;
                flow_line(out, ts, from, local_port, record);
            }
        });
        let reason = match &report {
            Err(error) => Some(error.reason()),
            Ok(report) => report.problems.first().map(|at| at.problem.reason()),
        };
        if let Some(reason) = reason {
            totals.flow_undecodable += 1;
            datagram(out, "flow_raw", ts, from, local_port)
                .string("reason", reason)
                .hex("raw", payload)
                .end();
        }
    }

    fn notif(&mut self, ts: Duration, from: SocketAddr, local_port: u16, payload: &[u8]) {
        let out = &mut self.out;
        let now_ms = u64::try_from(ts.as_millis()).unwrap_or(u64::MAX);
        self.notifs.expire(now_ms);
        let message = match self.notifs.push(from.ip(), payload, now_ms) {
            Ok(Pushed::Complete(message)) => message,
            Ok(_) => return,
            Err(error) => {
                self.totals.notif_undecodable += 1;
                datagram(out, "notif_raw", ts, from, local_port)
                    .string("reason", error.reason())
                    .hex("raw", payload)
                    .end();
                return;
            }
        };
        self.totals.notif_messages += 1;
        let line = Line::begin(out, "notif", 0, ts)
            .ip("exporter", from.ip())
            .number("port", u64::from(from.port()))
            .number("publisher", u64::from(message.publisher))
            .number("message_id", u64::from(message.message_id))
            .number("segments", u64::from(message.segments))
            .string("encoding", message.encoding.name());
        match message.parse() {
            Payload::Parsed(value) => line
                .json("payload", |out| {
                    // Writing into a Vec cannot fail.
                    let _ = serde_json::to_writer(out, &value);
                })
                .end(),
            Payload::Raw(reason) => {
                self.totals.notif_undecodable += 1;
                line.json("payload", |out| out.extend_from_slice(b"null"))
                    .string("error", &reason)
                    .hex("raw", &message.payload)
                    .end();
            }
        }
    }

    fn stream(
        &mut self,
        ts: Duration,
        flow: tcp::Flow,
        event: tcp::Event<'_>,
        streams: &mut HashMap<tcp::Flow, Stream>,
    ) {
        let fresh = || Stream {
            session: bmp::Session::new(bmp::Limits::default()),
            buffer: Vec::new(),
            offset: 0,
            is_bmp: None,
        };
        match event {
            tcp::Event::Start => {
                streams.insert(flow, fresh());
            }
            tcp::Event::Data { offset, bytes } => {
                let stream = streams.entry(flow).or_insert_with(fresh);
                if stream.is_bmp.is_none() {
                    stream.is_bmp = Some(looks_like_bmp(bytes));
                    self.totals.unknown_streams += u64::from(!looks_like_bmp(bytes));
                }
                if stream.is_bmp == Some(false) {
                    return;
                }
                if stream.buffer.is_empty() {
                    stream.offset = offset;
                }
                stream.buffer.extend_from_slice(bytes);
                self.messages(ts, flow, stream);
            }
            tcp::Event::Gap(octets) => {
                if let Some(stream) = streams.get_mut(&flow)
                    && stream.is_bmp != Some(false)
                {
                    self.totals.lost_octets += octets + stream.buffer.len() as u64;
                    stream.buffer.clear();
                }
            }
            tcp::Event::End => {
                if let Some(stream) = streams.remove(&flow) {
                    self.totals.lost_octets += stream.buffer.len() as u64;
                }
            }
        }
    }

    fn messages(&mut self, ts: Duration, flow: tcp::Flow, stream: &mut Stream) {
        let mut at = 0;
        loop {
            let rest = stream.buffer.get(at..).unwrap_or_default();
            let (len, reason) = match next_len(rest, MESSAGE_LEN_MAX) {
                Framing::Need(_) => break,
                Framing::Message(len) => (len, None),
                Framing::Lost { skip, reason } => (skip, Some(reason)),
                Framing::Oversize(_) => (rest.len(), Some("oversize")),
            };
            let piece = rest.get(..len).unwrap_or_default();
            let offset = stream.offset + at as u64;
            match reason {
                None => {
                    let decoded = stream.session.feed(piece);
                    self.totals.bmp_messages += 1;
                    match (&decoded.message, &decoded.error) {
                        (None, _) => self.totals.bmp_undecoded += 1,
                        (Some(_), Some(_)) => self.totals.bmp_partly += 1,
                        (Some(_), None) => {}
                    }
                    bmp_line(&mut self.out, ts, flow, offset, piece, &decoded, self.raw);
                }
                Some(reason) => {
                    self.totals.lost_octets += len as u64;
                    bmp_begin(&mut self.out, ts, flow, offset, len, "raw")
                        .string("error", reason)
                        .hex("raw", piece)
                        .end();
                }
            }
            at += len;
        }
        stream.buffer.drain(..at);
        stream.offset += at as u64;
    }
}

/// Why decoding stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is no capture.
    #[error(transparent)]
    Capture(#[from] pcap::Error),
    /// The output could not be written.
    #[error("failed to write: {0}")]
    Write(std::io::Error),
}

fn datagram<'o>(
    out: &'o mut Vec<u8>,
    kind: &str,
    ts: Duration,
    from: SocketAddr,
    local_port: u16,
) -> Line<'o> {
    Line::begin(out, kind, 0, ts)
        .ip("exporter", from.ip())
        .number("port", u64::from(from.port()))
        .number("local_port", u64::from(local_port))
}

fn flow_line(
    out: &mut Vec<u8>,
    ts: Duration,
    from: SocketAddr,
    local_port: u16,
    record: &Record<'_>,
) {
    let header = record.header();
    let line = datagram(out, "flow", ts, from, local_port)
        .number("domain", u64::from(header.domain))
        .number("version", u64::from(header.version))
        .number("export_time", u64::from(header.export_time))
        .number("seq", u64::from(header.sequence))
        .number("template", u64::from(record.template().id))
        .number("record", u64::from(record.index()))
        .times(record.times())
        .json("fields", |out| record.write_json(out))
        .optional("sampling_interval", record.sampling_interval().map(u64::from));
    let line = if record.is_late() { line.hex64("late", header.tag) } else { line };
    line.end();
}

fn bmp_begin<'o>(
    out: &'o mut Vec<u8>,
    ts: Duration,
    (from, to): tcp::Flow,
    offset: u64,
    len: usize,
    kind: &str,
) -> Line<'o> {
    Line::begin(out, "bmp", 0, ts)
        .ip("exporter", from.ip())
        .number("port", u64::from(from.port()))
        .ip("local", to.ip())
        .number("local_port", u64::from(to.port()))
        .string("session", &format!("{from}-{to}"))
        .number("offset", offset)
        .number("len", len as u64)
        .string("kind", kind)
}

fn bmp_line(
    out: &mut Vec<u8>,
    ts: Duration,
    flow: tcp::Flow,
    offset: u64,
    message: &[u8],
    decoded: &bmp::Decoded,
    raw: bool,
) {
    let mut line = bmp_begin(out, ts, flow, offset, message.len(), decoded.kind.name());
    if let Some(peer) = &decoded.peer {
        line = line.json("peer", |out| {
            // Writing into a Vec cannot fail.
            let _ = serde_json::to_writer(out, peer);
        });
    }
    line = line.json("message", |out| decoded.write_message_json(out));
    if let Some(error) = &decoded.error {
        line = line.string("error", error);
    }
    if raw || decoded.error.is_some() {
        line = line.hex("raw", message);
    }
    line.end();
}
