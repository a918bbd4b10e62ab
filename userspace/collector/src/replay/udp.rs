// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sends generated datagrams: all exporters of one section, in turn, by one task.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep};

use super::bmp_session::now_us;
use super::counters::Datagrams;
use super::flow;
use super::notif::Publisher;
use super::pace::Pace;
use super::phase::{Phase, Watch};

/// Exporters that send their templates in one tick, so that the start is no burst.
const STARTS_PER_TICK: usize = 16;
const TICK: Duration = Duration::from_millis(20);

/// What one source sends.
#[derive(Debug)]
pub(crate) enum Exporter {
    /// IPFIX or NetFlow v9.
    Flow(flow::Exporter),
    /// UDP-notif.
    Notif(Publisher),
}

/// One source address with its socket.
#[derive(Debug)]
pub(crate) struct Source {
    /// Bound to the exporter's address.
    pub socket: UdpSocket,
    /// What it sends.
    pub exporter: Exporter,
}

/// All exporters of one section.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// The exporters.
    pub sources: Vec<Source>,
    /// Where they send to; [`Fleet::target_of`] picks the one of the source's family.
    pub targets: Vec<SocketAddr>,
    /// Datagrams (or notifications) per second over all.
    pub rate: f64,
    /// Seconds between two rounds of templates; `None` sends them once only.
    pub refresh: Option<Duration>,
}

impl Fleet {
    /// Runs until the load is paused or ends.
    pub(crate) async fn run(mut self, counters: &Datagrams, mut watch: Watch) {
        if self.sources.is_empty() {
            return;
        }
        let mut starting = 0;
        let mut refreshed = Instant::now();
        while starting < self.sources.len() && watch.now() == Phase::Run {
            let until = (starting + STARTS_PER_TICK).min(self.sources.len());
            for index in starting..until {
                self.define(index, counters).await;
                counters.started.add(1);
            }
            starting = until;
            sleep(TICK).await;
        }
        let mut pace = Pace::new(self.rate, 0.0);
        let mut turn = 0;
        loop {
            tokio::select! {
                () = sleep(TICK) => {}
                () = watch.not_running() => return,
            }
            if self.refresh.is_some_and(|every| refreshed.elapsed() >= every) {
                refreshed = Instant::now();
                for index in 0..self.sources.len() {
                    self.define(index, counters).await;
                }
            }
            for _ in 0..pace.due(Instant::now()) {
                self.send(turn, counters).await;
                turn = (turn + 1) % self.sources.len();
            }
        }
    }

    fn target_of(&self, index: usize) -> Option<SocketAddr> {
        let local = self.sources[index].socket.local_addr().ok()?;
        self.targets.iter().find(|target| target.is_ipv4() == local.is_ipv4()).copied()
    }

    async fn define(&mut self, index: usize, counters: &Datagrams) {
        let mut datagrams = Vec::new();
        if let Exporter::Flow(exporter) = &mut self.sources[index].exporter {
            let now_s = (now_us() / 1_000_000) as u32;
            let (templates, records) =
                exporter.templates(now_s, |datagram| datagrams.push(datagram));
            counters.templates.add(templates);
            counters.records.add(records);
        }
        self.put(index, &datagrams, counters).await;
    }

    async fn send(&mut self, index: usize, counters: &Datagrams) {
        let mut datagrams = Vec::new();
        match &mut self.sources[index].exporter {
            Exporter::Flow(exporter) => {
                let (datagram, records) = exporter.data((now_us() / 1_000_000) as u32);
                counters.records.add(records);
                datagrams.push(datagram);
            }
            Exporter::Notif(publisher) => {
                publisher.notification(|datagram| datagrams.push(datagram));
                counters.records.add(1);
            }
        }
        self.put(index, &datagrams, counters).await;
    }

    async fn put(&self, index: usize, datagrams: &[Vec<u8>], counters: &Datagrams) {
        let Some(target) = self.target_of(index) else { return };
        for datagram in datagrams {
            send(&self.sources[index].socket, datagram, target, counters).await;
        }
    }
}

/// Sends one datagram, waiting when the socket is full, and counts it.
pub(crate) async fn send(
    socket: &UdpSocket,
    datagram: &[u8],
    target: SocketAddr,
    counters: &Datagrams,
) {
    let sent = match socket.try_send_to(datagram, target) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            counters.send_blocked.add(1);
            socket.send_to(datagram, target).await
        }
        other => other,
    };
    match sent {
        Ok(length) => {
            counters.datagrams.add(1);
            counters.bytes.add(length as u64);
        }
        Err(_) => counters.send_failed.add(1),
    }
}
