// SPDX-License-Identifier: Apache-2.0 OR MIT
//! UDP-notif: segments put together, payloads as JSON.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use telesteer_wire::{
    json,
    notif::{Limits, Message, Payload, Pushed, Reassembler},
};

use super::{Arrived, Lines, journal::Outcome};
use crate::{line::Line, metrics::ExporterRow, shared::Shared};

/// Time between two looks for messages that stay incomplete.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// The decoder of one UDP-notif socket.
pub(super) struct Notif {
    shared: Arc<Shared>,
    reassembler: Reassembler,
    rows: HashMap<IpAddr, Arc<ExporterRow>>,
    expired: Duration,
    dropped: u64,
}

impl Notif {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            reassembler: Reassembler::new(Limits::default()),
            rows: HashMap::new(),
            expired: Duration::ZERO,
            dropped: 0,
        }
    }

    /// Decodes one datagram.
    pub(super) fn take(&mut self, of: &Arrived<'_>, lines: &mut Lines) {
        let row = self.row(of.from.ip());
        row.messages.inc();
        row.bytes.add(of.payload.len() as u64);
        row.last_seen.set(of.ts.as_secs());
        let metrics = &self.shared.metrics;
        metrics.datagrams_by_kind.add("notif", 1);
        let pushed = self.reassembler.push(of.from.ip(), of.payload, of.ts.as_millis() as u64);
        let (records, outcome) = match pushed {
            Ok(Pushed::Complete(message)) => {
                metrics.notif_messages.inc();
                row.records.inc();
                let undecodable = self.message(&message, of, lines);
                if let Some(reason) = undecodable {
                    metrics.notif_undecodable.add(reason, 1);
                    row.undecodable.inc();
                }
                (1, Outcome::Ok)
            }
            Ok(Pushed::Incomplete | Pushed::Duplicate) => (0, Outcome::Ok),
            Err(error) => {
                metrics.notif_undecodable.add(error.reason(), 1);
                row.undecodable.inc();
                Line::begin(&mut lines.data, "notif_raw", self.shared.instance, of.ts)
                    .ip("exporter", of.from.ip())
                    .number("port", u64::from(of.from.port()))
                    .number("local_port", u64::from(of.local_port))
                    .string("reason", error.reason())
                    .hex("raw", of.payload)
                    .end();
                lines.count += 1;
                (0, Outcome::Undecodable(error.reason()))
            }
        };
        if self.shared.journal {
            lines.datagram(self.shared.instance, of, "notif", records, outcome);
        }
    }

    /// Writes a whole message; gives the reason if its payload had to stay raw.
    fn message(
        &self,
        message: &Message,
        of: &Arrived<'_>,
        lines: &mut Lines,
    ) -> Option<&'static str> {
        let line = Line::begin(&mut lines.data, "notif", self.shared.instance, of.ts)
            .ip("exporter", of.from.ip())
            .number("port", u64::from(of.from.port()))
            .number("publisher", u64::from(message.publisher))
            .number("message_id", u64::from(message.message_id))
            .number("segments", u64::from(message.segments))
            .string("encoding", message.encoding.name());
        lines.count += 1;
        match message.parse() {
            Payload::Parsed(value) => {
                line.json("payload", |out| {
                    // Writing into a Vec cannot fail.
                    let _ = serde_json::to_writer(out, &value);
                })
                .end();
                None
            }
            Payload::Raw(reason) => {
                line.json("payload", |out| out.extend_from_slice(b"null"))
                    .string("error", &reason)
                    .json("raw", |out| json::hex(out, &message.payload))
                    .end();
                Some(match message.encoding.name() {
                    "json" => "payload_not_json",
                    "cbor" => "payload_not_cbor",
                    "xml" => "payload_not_text",
                    _ => "payload_encoding_unknown",
                })
            }
        }
    }

    /// Gives up messages that stay incomplete.
    pub(super) fn tick(&mut self, now: Duration) {
        if now.saturating_sub(self.expired) >= EXPIRE_EVERY {
            self.expired = now;
            self.reassembler.expire(now.as_millis() as u64);
        }
        let counters = self.reassembler.counters();
        let dropped = counters.expired + counters.evicted;
        self.shared.metrics.notif_segments_dropped.add(dropped - self.dropped);
        self.dropped = dropped;
    }

    fn row(&mut self, exporter: IpAddr) -> Arc<ExporterRow> {
        if let Some(row) = self.rows.get(&exporter) {
            return Arc::clone(row);
        }
        if self.rows.len() >= self.shared.limits.exporters {
            // The rows themselves live in the metrics; this is only the way to them.
            self.rows.clear();
        }
        let row = self.shared.metrics.exporters.row("notif", exporter);
        self.rows.insert(exporter, Arc::clone(&row));
        row
    }
}
