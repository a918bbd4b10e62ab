// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What one capture says about flows: which were seen in which window, and which sessions were
//! reset when.

use super::timeline::{Timeline, Window};
use crate::error::Result;
use crate::packet::{self, Transport};
use crate::pcap::Reader;
use crate::scene::Ports;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// An exporter's flow: its address and port.
pub type Flow = (IpAddr, u16);

/// A BMP session as its segments show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// The handshake's answer was seen.
    pub established_us: Option<i64>,
    /// The first RST from the collectors after that.
    pub reset_us: Option<i64>,
    /// The first FIN from either side.
    pub closed_us: Option<i64>,
}

/// A capture, read to its end.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    /// Datagrams to the collectors.
    pub datagrams: BTreeMap<Flow, u64>,
    /// When each flow was last seen sending, by window.
    pub seen: BTreeMap<(Sort, Flow), [Option<i64>; 3]>,
    /// BMP sessions.
    pub sessions: BTreeMap<Flow, Session>,
    /// When the timeline's parts were.
    pub timeline: Timeline,
}

/// Datagrams or a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// IPFIX over UDP.
    Datagrams,
    /// BMP over TCP.
    Session,
}

impl Capture {
    /// Reads the file at `path`.
    pub fn read(path: &Path, ports: Ports, timeline: &Timeline) -> Result<Self> {
        let mut reader = Reader::open(path)?;
        let link = reader.link();
        let mut into = Self { timeline: *timeline, ..Self::default() };
        while let Some(record) = reader.record()? {
            if let Some(ip) = packet::ip(link, record.data) {
                let transport = packet::transport(ip.protocol, ip.body);
                if let Some(transport) = transport {
                    into.take((ip.src, ip.dst), &transport, record.ts_us, ports);
                }
            }
        }
        Ok(into)
    }

    /// One packet.
    pub fn take(
        &mut self,
        (src, dst): (IpAddr, IpAddr),
        transport: &Transport<'_>,
        ts_us: i64,
        ports: Ports,
    ) {
        match transport {
            Transport::Udp(udp) if ports.is_datagram(udp.dport) => {
                let flow = (src, udp.sport);
                *self.datagrams.entry(flow).or_default() += 1;
                self.saw(Sort::Datagrams, flow, ts_us);
            }
            Transport::Tcp(tcp) if tcp.dport == ports.bmp => {
                let flow = (src, tcp.sport);
                if tcp.fin {
                    self.sessions.entry(flow).or_default().closed_us.get_or_insert(ts_us);
                }
                // A handshake decides nothing: what counts is where the messages go.
                if !tcp.data.is_empty() {
                    self.saw(Sort::Session, flow, ts_us);
                }
            }
            Transport::Tcp(tcp) if tcp.sport == ports.bmp => {
                let session = self.sessions.entry((dst, tcp.dport)).or_default();
                if tcp.syn {
                    session.established_us.get_or_insert(ts_us);
                } else if tcp.rst && session.established_us.is_some() {
                    session.reset_us.get_or_insert(ts_us);
                } else if tcp.fin {
                    session.closed_us.get_or_insert(ts_us);
                }
            }
            _ => {}
        }
    }

    fn saw(&mut self, sort: Sort, flow: Flow, ts_us: i64) {
        let windows = self.seen.entry((sort, flow)).or_default();
        if let Some(window) = self.timeline.window(ts_us) {
            windows[window as usize] = Some(ts_us);
        }
    }

    /// When the flow was last seen in a window.
    pub fn last(&self, sort: Sort, flow: Flow, window: Window) -> Option<i64> {
        self.seen.get(&(sort, flow)).and_then(|windows| windows[window as usize])
    }
}
