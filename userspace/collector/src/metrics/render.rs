// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The counters as Prometheus text and as JSON.

use std::{fmt::Write, sync::Arc};

use serde_json::{Value, json};
use telesteer_sys::{bound, reuseport};

use super::{Metrics, SocketRow};

/// What both renderings show.
pub struct View {
    /// The instance number.
    pub instance: u64,
    /// Steering and takeover in force, for people.
    pub mode: String,
    /// All counters.
    pub metrics: Arc<Metrics>,
    /// Every socket.
    pub sockets: Vec<Arc<SocketRow>>,
}

/// A number of one socket, if it is open and has it.
type OfSocket = fn(&SocketRow) -> Option<u64>;

/// Rows of exporters in one `/status`.
const EXPORTERS_SHOWN: usize = 2000;

impl View {
    /// Prometheus text format, version 0.0.4.
    pub fn prometheus(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        // Writing into a String cannot fail.
        for (name, help, value) in self.metrics.counters() {
            let _ = writeln!(
                text,
                "# HELP telesteer_{name}_total {help}\n# TYPE telesteer_{name}_total counter\n\
                 telesteer_{name}_total {value}"
            );
        }
        for (name, help, value) in self.metrics.gauges() {
            let _ = writeln!(
                text,
                "# HELP telesteer_{name} {help}\n# TYPE telesteer_{name} gauge\n\
                 telesteer_{name} {value}"
            );
        }
        for (name, help, label, counts) in self.metrics.labelled() {
            let _ = writeln!(
                text,
                "# HELP telesteer_{name}_total {help}\n# TYPE telesteer_{name}_total counter"
            );
            for (of, value) in counts {
                let of = escape(&of);
                let _ = writeln!(text, "telesteer_{name}_total{{{label}=\"{of}\"}} {value}");
            }
        }
        let per_socket: [(&str, &str, &str, OfSocket); 4] = [
            ("socket_received_total", "counter", "Datagrams or connections received.", |row| {
                Some(row.received.get())
            }),
            ("socket_kernel_drops_total", "counter", "Datagrams the kernel dropped.", |row| {
                Some(row.kernel_drops.get())
            }),
            ("socket_queue_bytes", "gauge", "Memory of the receive queue.", queue_bytes),
            ("socket_selections_total", "counter", "Choices of the policy.", selections),
        ];
        for (name, kind, help, of) in per_socket {
            let _ =
                writeln!(text, "# HELP telesteer_{name} {help}\n# TYPE telesteer_{name} {kind}");
            for row in &self.sockets {
                if let Some(value) = of(row) {
                    let (service, addr) = (row.service, row.addr);
                    let _ = writeln!(
                        text,
                        "telesteer_{name}{{service=\"{service}\",addr=\"{addr}\"}} {value}"
                    );
                }
            }
        }
        text
    }

    /// One JSON object.
    pub fn status(&self) -> Value {
        let map = |list: Vec<(&str, &str, u64)>| -> Value {
            list.into_iter().map(|(name, _, value)| (name.to_owned(), json!(value))).collect()
        };
        let labelled: Value = self
            .metrics
            .labelled()
            .into_iter()
            .map(|(name, _, _, counts)| {
                let counts: Value = counts.into_iter().map(|(of, n)| (of, json!(n))).collect();
                (name.to_owned(), counts)
            })
            .collect();
        let sockets: Vec<Value> = self
            .sockets
            .iter()
            .map(|row| {
                json!({"service": row.service, "addr": row.addr.to_string(),
                    "received": row.received.get(), "kernel_drops": row.kernel_drops.get(),
                    "queue_bytes": queue_bytes(row), "policy": policy(row), "member": member(row),
                    "selections": selections(row)})
            })
            .collect();
        let (rows, known) = self.metrics.exporters.snapshot(EXPORTERS_SHOWN);
        let exporters: Vec<Value> = rows
            .into_iter()
            .map(|(service, exporter, row)| {
                json!({"service": service, "exporter": exporter.to_string(),
                    "messages": row.messages.get(), "bytes": row.bytes.get(),
                    "records": row.records.get(), "undecodable": row.undecodable.get(),
                    "sequence_lost": row.sequence_lost.get(), "last_seen": row.last_seen.get()})
            })
            .collect();
        json!({"instance": self.instance, "mode": self.mode,
            "counters": map(self.metrics.counters()), "gauges": map(self.metrics.gauges()),
            "labelled": labelled, "sockets": sockets,
            "exporters": exporters, "exporters_known": known,
            "exporters_without_row": self.metrics.exporters.without_row.get()})
    }
}

fn queue_bytes(row: &SocketRow) -> Option<u64> {
    bound::receive_memory(&*row.socket.upgrade()?).ok().map(u64::from)
}

fn selections(row: &SocketRow) -> Option<u64> {
    reuseport::member(&*row.socket.upgrade()?).ok().map(|info| info.selections)
}

/// The policy the kernel has for the socket's group, read back; `none` if it has none.
fn policy(row: &SocketRow) -> Option<String> {
    let request = reuseport::policy(&*row.socket.upgrade()?).ok()?;
    let name = request.name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).into_owned();
    Some(if name.is_empty() { "none".to_owned() } else { name })
}

/// The id and the weight the kernel knows the socket by.
fn member(row: &SocketRow) -> Option<Value> {
    let info = reuseport::member(&*row.socket.upgrade()?).ok()?;
    Some(json!({ "id": info.member.id, "weight": info.member.weight }))
}

/// Label values of Prometheus escape three characters.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_renderings_hold_the_numbers() {
        let metrics = Arc::new(Metrics::default());
        metrics.datagrams.add(5);
        metrics.flow_undecodable.add("a \"b\"", 2);
        metrics.exporters.row("ipfix", "192.0.2.1".parse().unwrap()).messages.add(7);
        let view = View { instance: 3, mode: "none".into(), metrics, sockets: Vec::new() };
        let text = view.prometheus();
        assert!(text.contains("\ntelesteer_datagrams_total 5\n"), "{text}");
        assert!(text.contains("telesteer_flow_undecodable_total{reason=\"a \\\"b\\\"\"} 2\n"));
        let status = view.status();
        assert_eq!(status["counters"]["datagrams"], 5);
        assert_eq!(status["exporters"][0]["messages"], 7);
    }
}
