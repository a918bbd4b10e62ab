// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sends a capture again: datagrams one by one in their order, TCP streams reassembled.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, ensure};
use telesteer_wire::pcap::{Dissector, Reader, Transport};
use telesteer_wire::tcp::{Event, Flow, Limits, Reassembler};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use super::config::Pcap;
use super::counters::{Counters, Sessions};
use super::pace::Pace;
use super::phase::{Phase, Watch};
use super::senders::target_for;
use super::{sources, udp};

/// Pause between two looks at what is due.
const TICK: Duration = Duration::from_millis(5);

/// A datagram of the capture and the socket it goes out of.
#[derive(Debug)]
struct Datagram {
    source: usize,
    payload: Vec<u8>,
}

/// One direction of a TCP connection of the capture.
#[derive(Debug)]
struct Stream {
    source: IpAddr,
    target: SocketAddr,
    bytes: Vec<u8>,
}

/// A capture to be sent.
#[derive(Debug)]
pub(crate) struct Replay {
    datagrams: Vec<Datagram>,
    sockets: Vec<(UdpSocket, SocketAddr)>,
    streams: Vec<Stream>,
    rate: f64,
    rounds: u64,
}

/// What a capture holds, by sender.
#[derive(Default)]
struct Contents {
    datagrams: Vec<(SocketAddr, Vec<u8>)>,
    streams: Vec<(Flow, Vec<u8>)>,
}

impl Replay {
    /// Reads the capture into memory and binds the sockets.
    pub(crate) fn read(section: &Pcap) -> anyhow::Result<Self> {
        let file = std::fs::read(&section.file)
            .with_context(|| format!("read {}", section.file.display()))?;
        let contents = contents(&file, section.port)
            .with_context(|| format!("capture {}", section.file.display()))?;
        ensure!(
            !contents.datagrams.is_empty() || !contents.streams.is_empty(),
            "{} holds nothing to send",
            section.file.display()
        );
        let places = Places::new(section, &contents)?;
        let mut index = HashMap::new();
        let mut sockets = Vec::new();
        let mut datagrams = Vec::with_capacity(contents.datagrams.len());
        for (from, payload) in contents.datagrams {
            let source = match index.get(&from) {
                Some(&source) => source,
                None => {
                    let place = places.of(from.ip());
                    sockets.push((sources::udp(place)?, target_for(&section.target, place)?));
                    index.insert(from, sockets.len() - 1);
                    sockets.len() - 1
                }
            };
            datagrams.push(Datagram { source, payload });
        }
        let mut streams = Vec::new();
        for ((from, _), bytes) in contents.streams {
            let source = places.of(from.ip());
            streams.push(Stream { source, target: target_for(&section.target, source)?, bytes });
        }
        Ok(Self { datagrams, sockets, streams, rate: section.rate, rounds: section.rounds })
    }

    /// Sends it as often as asked; streams go side by side, each over its own connection.
    pub(crate) async fn run(self, counters: &Arc<Counters>, mut watch: Watch) {
        let Self { datagrams, sockets, streams, rate, rounds } = self;
        counters.pcap_udp.exporters.add(sockets.len() as u64);
        counters.pcap_tcp.sessions.add(streams.len() as u64);
        let streams = Arc::new(streams);
        for _ in 0..rounds {
            if watch.now() != Phase::Run {
                return;
            }
            let mut connections = JoinSet::new();
            for index in 0..streams.len() {
                let (streams, counters, mut watch) =
                    (Arc::clone(&streams), Arc::clone(counters), watch.clone());
                connections.spawn(async move {
                    tokio::select! {
                        () = send(&streams[index], &counters.pcap_tcp) => {}
                        () = watch.end() => {}
                    }
                });
            }
            let mut pace = Pace::new(rate, 0.0);
            let mut rest = datagrams.iter();
            while rest.len() > 0 {
                for datagram in rest.by_ref().take(pace.due(Instant::now()) as usize) {
                    let (socket, target) = &sockets[datagram.source];
                    udp::send(socket, &datagram.payload, *target, &counters.pcap_udp).await;
                }
                tokio::select! {
                    () = sleep(TICK) => {}
                    () = watch.not_running() => return,
                }
            }
            while connections.join_next().await.is_some() {}
        }
    }
}

/// Which address stands for which of the capture.
struct Places(HashMap<IpAddr, IpAddr>);

impl Places {
    fn new(section: &Pcap, contents: &Contents) -> anyhow::Result<Self> {
        let mut captured: Vec<IpAddr> = Vec::new();
        let datagrams = contents.datagrams.iter().map(|(from, _)| from.ip());
        let streams = contents.streams.iter().map(|((from, _), _)| from.ip());
        for address in datagrams.chain(streams) {
            if !captured.contains(&address) {
                captured.push(address);
            }
        }
        if section.sources.is_empty() {
            return Ok(Self(captured.into_iter().map(|address| (address, address)).collect()));
        }
        let places = sources::addresses(&section.sources, captured.len())?;
        Ok(Self(captured.into_iter().zip(places).collect()))
    }

    fn of(&self, captured: IpAddr) -> IpAddr {
        self.0.get(&captured).copied().unwrap_or(captured)
    }
}

/// Takes a capture apart. Of a TCP connection only the direction with more bytes is kept.
fn contents(file: &[u8], port: Option<u16>) -> anyhow::Result<Contents> {
    let wanted = |to: SocketAddr| port.is_none_or(|port| to.port() == port);
    let mut found = Contents::default();
    let mut dissector = Dissector::default();
    let mut reassembler = Reassembler::new(Limits::default());
    let mut streams: Vec<(Flow, Vec<u8>)> = Vec::new();
    let mut open: HashMap<Flow, usize> = HashMap::new();
    let mut take = |flow: Flow, event: Event<'_>| match event {
        Event::Start => drop(open.remove(&flow)),
        Event::Data { bytes, .. } => {
            let index = *open.entry(flow).or_insert_with(|| {
                streams.push((flow, Vec::new()));
                streams.len() - 1
            });
            streams[index].1.extend_from_slice(bytes);
        }
        // What follows a gap cannot be told from what came before it: it is sent all the same.
        Event::Gap(_) | Event::End => {}
    };
    let mut reader = Reader::new(file)?;
    while let Some(packet) = reader.next_packet()? {
        match dissector.push(&packet) {
            Some(Transport::Udp { from, to, payload }) if wanted(to) => {
                found.datagrams.push((from, payload.to_vec()));
            }
            Some(Transport::Tcp(segment)) => reassembler.push(&segment, &mut take),
            _ => {}
        }
    }
    reassembler.finish(&mut take);
    let mut sizes: HashMap<Flow, usize> = HashMap::new();
    for (flow, bytes) in &streams {
        *sizes.entry(*flow).or_default() += bytes.len();
    }
    let back = |flow: &Flow| sizes.get(&(flow.1, flow.0)).copied().unwrap_or(0);
    let forth = |flow: &Flow| sizes.get(flow).copied().unwrap_or(0);
    found.streams = streams
        .iter()
        .filter(|(flow, _)| wanted(flow.1) && forth(flow) > back(flow))
        .cloned()
        .collect();
    Ok(found)
}

/// Connects, writes the whole stream, closes, and waits for the other side to close too.
async fn send(stream: &Stream, counters: &Sessions) {
    let connected = match sources::tcp(stream.source) {
        Ok(socket) => socket.connect(stream.target).await,
        Err(_) => return counters.connects_failed.add(1),
    };
    let Ok(mut connection) = connected else { return counters.connects_failed.add(1) };
    counters.connects.add(1);
    counters.connected.add(1);
    let written = async {
        connection.write_all(&stream.bytes).await?;
        connection.shutdown().await?;
        let mut sink = Vec::new();
        connection.read_to_end(&mut sink).await
    };
    match written.await {
        Ok(received) => {
            counters.bytes.add(stream.bytes.len() as u64);
            counters.bytes_received.add(received as u64);
        }
        Err(_) => counters.resets.add(1),
    }
    counters.connected.sub(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../wire/tests/fixtures/");
        std::fs::read(format!("{folder}{name}")).unwrap()
    }

    #[test]
    fn a_flow_capture_gives_its_datagrams() {
        let found = contents(&fixture("pmacctd-v9.pcap"), None).unwrap();
        assert!(found.streams.is_empty() && found.datagrams.len() > 50);
        assert!(found.datagrams.iter().all(|(_, payload)| payload.starts_with(&[0, 9])));
        assert!(contents(&fixture("pmacctd-v9.pcap"), Some(4739)).unwrap().datagrams.is_empty());
    }

    #[test]
    fn a_bmp_capture_gives_one_stream_from_the_router() {
        let found = contents(&fixture("frr-bmp.pcap"), None).unwrap();
        assert_eq!(found.streams.len(), 1);
        let (flow, bytes) = &found.streams[0];
        assert_eq!((flow.1.port(), bytes[0]), (1790, 3));
    }

    #[test]
    fn a_file_that_is_no_capture_is_refused() {
        assert!(contents(b"not a capture at all, only words", None).is_err());
    }
}
