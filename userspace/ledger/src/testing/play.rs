// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A small phase in which everything goes well; tests break one thing of it.
//!
//! Seconds: steady 10, victim stopped 19, kill 20 (reaped 20.1), return 25 to 26, drain of
//! instance 2 29.5 to 31, senders stop 40. Instance 1 is the victim, 3 the heir.

use super::flow;
use super::frame::{self, SYN, Seg};
use crate::fnv::fnv1a64;
use crate::phase::{self, Phase, Series};
use crate::scene::Ports;
use std::path::Path;

pub(crate) const LOCAL: &str = "192.0.2.1";
pub(crate) const SECOND: i64 = 1_000_000;

pub(crate) struct Play {
    pub(crate) frames: Vec<(i64, Vec<u8>)>,
    pub(crate) lines: Vec<String>,
    pub(crate) timeline: Vec<String>,
    pub(crate) capture: String,
}

/// A BMP message of `length` bytes, told apart by `fill`.
pub(crate) fn message(length: u32, fill: u8) -> Vec<u8> {
    let mut out = vec![3];
    out.extend(length.to_be_bytes());
    out.resize(length as usize, fill);
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Play {
    /// The phase in which everything goes well.
    pub(crate) fn good() -> Self {
        let mut play = Self {
            frames: Vec::new(),
            lines: Vec::new(),
            timeline: Vec::new(),
            capture: r#"{"captured":9,"dropped_by_kernel":0,"dropped_by_interface":0}"#.into(),
        };
        let events = [
            (10.0, "steady", 0),
            (19.0, "stop_signal", 1),
            (20.0, "kill", 1),
            (20.1, "killed", 1),
            (25.0, "return_start", 1),
            (26.0, "return_ready", 1),
            (27.0, "mapped", 1),
            (29.5, "drain_start", 2),
            (31.0, "drain_end", 2),
            (40.0, "senders_stop", 0),
            (45.0, "phase_end", 0),
        ];
        for (at, event, instance) in events {
            let ts_us = (at * 1e6) as i64;
            play.timeline.push(format!(
                r#"{{"ts_us":{ts_us},"phase":"x","event":"{event}","instance":{instance}}}"#
            ));
        }
        play.bmp("10.8.0.1", &[(0, 1), (20, 3)]);
        play.bmp("10.8.0.2", &[(0, 2), (30, 3)]);
        play.lines.push(r#"{"type":"event","instance":2,"ts":29.9,"event":"drain_left"}"#.into());
        play.flows("10.8.0.3", &[(0, 1), (20, 3), (26, 1)]);
        play.flows("10.8.0.1", &[(0, 1), (20, 3), (26, 1)]);
        play.flows("2001:db8:8::4", &[(0, 2), (30, 3)]);
        play.frames.sort_by_key(|(ts, _)| *ts);
        play
    }

    fn receiver(owners: &[(i64, u64)], second: i64) -> u64 {
        owners.iter().rev().find(|(from, _)| *from <= second).map_or(0, |(_, owner)| *owner)
    }

    /// One session; a message every second from 11 to 39, sent in two segments. What is sent to
    /// a stopped or killed victim is written down by the heir.
    fn bmp(&mut self, exporter: &str, owners: &[(i64, u64)]) {
        let isn = 1000u32;
        let to = |seg: Seg<'_>| frame::tcp(exporter, 40_000, LOCAL, 1790, seg);
        let from = |seg: Seg<'_>| frame::tcp(LOCAL, 1790, exporter, 40_000, seg);
        self.frames.push((5 * SECOND, to(Seg::flag(isn, SYN))));
        self.frames.push((5 * SECOND + 1, from(Seg { ack: Some(isn + 1), ..Seg::flag(1, SYN) })));
        let mut offset = 0u32;
        let mut accept = |ts: f64, instance: u64, offset: u32, takeovers: usize| {
            let event = if takeovers == 0 { "accept" } else { "heir" };
            self.lines.push(format!(
                r#"{{"type":"event","instance":{instance},"ts":{ts},"event":"{event}","exporter":"{exporter}","port":40000,"session":"s-{exporter}","offset":{offset},"takeovers":{takeovers},"queued":0}}"#
            ));
        };
        accept(5.1, owners[0].1, 0, 0);
        for second in 11..40i64 {
            let length = 40 + second as u32;
            let bytes = message(length, second as u8);
            let ts = second * SECOND;
            let (head, tail) = bytes.split_at(9);
            let seq = isn + 1 + offset;
            self.frames.push((ts, to(Seg::data(seq, head))));
            // The message on the wire at the kill is cut by it.
            let late = if second == 20 { 10 } else { -10 };
            self.frames.push((ts + late, to(Seg::data(seq + 9, tail))));
            let acked = Seg { ack: Some(seq + length), ..Seg::default() };
            self.frames.push((ts + 20, from(acked)));
            let owner = Self::receiver(owners, second);
            let stopped = owners[0].1 == 1 && (19..=20).contains(&second);
            let (owner, read) = if stopped { (3, 20.3) } else { (owner, second as f64 + 0.01) };
            self.lines.push(format!(
                r#"{{"type":"bmp","instance":{owner},"ts":{read},"exporter":"{exporter}","port":40000,"local":"{LOCAL}","local_port":1790,"session":"s-{exporter}","offset":{offset},"len":{length},"kind":"raw","message":null,"raw":"{}"}}"#,
                hex(&bytes)
            ));
            offset += length;
        }
        let resumed = if owners[0].1 == 1 { 20.25 } else { 30.5 };
        let mut accept = |ts: f64, instance: u64, takeovers: usize| {
            self.lines.push(format!(
                r#"{{"type":"event","instance":{instance},"ts":{ts},"event":"heir","exporter":"{exporter}","port":40000,"session":"s-{exporter}","offset":5,"takeovers":{takeovers},"queued":9}}"#
            ));
        };
        accept(resumed, owners[1].1, 1);
    }

    /// One exporter: its template once, then two records in a datagram every half second.
    fn flows(&mut self, exporter: &str, owners: &[(i64, u64)]) {
        let template = flow::ipfix(7, &flow::set(2, &[256, 2, 8, 4, 12, 4]));
        self.datagram(exporter, 10 * SECOND + 5, &template, Some(owners[0].1), 0);
        for half in 22..78i64 {
            let ts = half * SECOND / 2 + 5;
            let mut body = [0u8; 16];
            body[0] = half as u8;
            let bytes = flow::ipfix(7, &flow::raw_set(256, &body));
            let second = half / 2;
            let died = owners[0].1 == 1 && second == 19;
            let owner = (!died).then(|| Self::receiver(owners, second));
            self.datagram(exporter, ts, &bytes, owner, 2);
        }
    }

    /// A datagram on the wire and, if it is received, its lines.
    pub(crate) fn datagram(
        &mut self,
        exporter: &str,
        ts: i64,
        bytes: &[u8],
        owner: Option<u64>,
        records: usize,
    ) {
        let local = if exporter.contains(':') { "2001:db8:ffff::1" } else { LOCAL };
        self.frames.push((ts, frame::udp(exporter, 5000, local, 4739, bytes)));
        let Some(instance) = owner else { return };
        let read = ts as f64 / 1e6 + 0.001;
        for record in 0..records {
            self.lines.push(format!(
                r#"{{"type":"flow","instance":{instance},"ts":{read},"exporter":"{exporter}","port":5000,"local_port":4739,"record":{record},"fields":{{}}}}"#
            ));
        }
        self.lines.push(format!(
            r#"{{"type":"datagram","instance":{instance},"ts":{read},"exporter":"{exporter}","port":5000,"local_port":4739,"len":{},"fnv":"{:016x}","kind":"ipfix","records":{records},"outcome":"ok"}}"#,
            bytes.len(),
            fnv1a64(bytes)
        ));
    }

    /// Index of the `nth` line that has all of `parts`.
    pub(crate) fn find(&self, nth: usize, parts: &[&str]) -> usize {
        let mut hits = (0..self.lines.len())
            .filter(|index| parts.iter().all(|part| self.lines[*index].contains(part)));
        hits.nth(nth).unwrap()
    }

    /// Writes the phase into a folder.
    pub(crate) fn write(&self, folder: &Path) {
        let out = folder.join("out");
        std::fs::create_dir_all(&out).unwrap();
        std::fs::write(folder.join("exporters.pcap"), frame::pcap(&self.frames)).unwrap();
        std::fs::write(folder.join("timeline.jsonl"), self.timeline.join("\n")).unwrap();
        std::fs::write(folder.join("capture.json"), &self.capture).unwrap();
        let info = r#"{"name":"telesteer","policy":"source","killed":1,"drained":2,"exporters":[{"addr":"10.8.0.3","by":"softflowd"}]}"#;
        std::fs::write(folder.join("phase.json"), info).unwrap();
        let text = self.lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        std::fs::write(out.join("all-1-1.jsonl"), text).unwrap();
    }

    /// Writes the phase and accounts for it.
    pub(crate) fn account(&self) -> (Phase, Series) {
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path());
        phase::account("telesteer", folder.path(), Ports::default(), 1 << 20).unwrap()
    }
}
