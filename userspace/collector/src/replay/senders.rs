// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Turns the description of a load into running senders.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, ensure};
use tokio::task::JoinSet;

use super::bgp::Pool;
use super::bmp::Router;
use super::config::{Bgp, Bmp, Flow, Load, Notif};
use super::counters::Counters;
use super::flow::{self, Format};
use super::notif::Publisher;
use super::phase::Watch;
use super::rng::Rng;
use super::udp::{Exporter, Fleet, Source};
use super::{bgp_peer, bmp_session, sources};

/// The senders of a load.
pub(crate) struct Senders {
    /// What they have sent.
    pub counters: Arc<Counters>,
    /// One task a BMP session, one a section of datagram exporters.
    pub tasks: JoinSet<()>,
}

/// Hands out generators that differ from sender to sender but not from run to run.
struct Streams {
    seed: u64,
    next: u64,
}

impl Streams {
    fn rng(&mut self) -> Rng {
        self.next += 1;
        Rng::new(self.seed, self.next)
    }
}

/// A built sender, to be spawned when all are built.
enum Sender {
    Bmp(bmp_session::Session),
    Ipfix(Fleet),
    Netflow9(Fleet),
    Notif(Fleet),
    Bgp(bgp_peer::Peer),
    Pcap(super::pcap::Replay),
}

impl Senders {
    /// Builds all senders of `load`, then starts them.
    pub(crate) fn start(load: &Load, watch: &Watch) -> anyhow::Result<Self> {
        let mut streams = Streams { seed: load.seed, next: 0 };
        let mut built = Vec::new();
        for section in &load.bmp {
            bmp(section, &mut streams, &mut built).context("bmp")?;
        }
        for section in &load.ipfix {
            built
                .push(Sender::Ipfix(fleet(section, Format::Ipfix, &mut streams).context("ipfix")?));
        }
        for section in &load.netflow9 {
            built.push(Sender::Netflow9(
                fleet(section, Format::V9, &mut streams).context("netflow9")?,
            ));
        }
        for section in &load.notif {
            built.push(Sender::Notif(publishers(section, &mut streams).context("notif")?));
        }
        built.extend(load.bgp.iter().map(|section| Sender::Bgp(speaker(section, streams.rng()))));
        for section in &load.pcap {
            built.push(Sender::Pcap(super::pcap::Replay::read(section).context("pcap")?));
        }
        ensure!(!built.is_empty(), "the load has no section, so there is nothing to send");
        let counters = Arc::new(Counters::default());
        let mut tasks = JoinSet::new();
        for sender in built {
            spawn(sender, &counters, watch.clone(), &mut tasks);
        }
        Ok(Self { counters, tasks })
    }
}

fn spawn(sender: Sender, counters: &Arc<Counters>, watch: Watch, tasks: &mut JoinSet<()>) {
    let counters = Arc::clone(counters);
    match sender {
        Sender::Bmp(session) => {
            counters.bmp.sessions.add(1);
            tasks.spawn(async move { session.run(&counters.bmp, watch).await });
        }
        Sender::Ipfix(fleet) => {
            counters.ipfix.exporters.add(fleet.sources.len() as u64);
            tasks.spawn(async move { fleet.run(&counters.ipfix, watch).await });
        }
        Sender::Netflow9(fleet) => {
            counters.netflow9.exporters.add(fleet.sources.len() as u64);
            tasks.spawn(async move { fleet.run(&counters.netflow9, watch).await });
        }
        Sender::Notif(fleet) => {
            counters.notif.exporters.add(fleet.sources.len() as u64);
            tasks.spawn(async move { fleet.run(&counters.notif, watch).await });
        }
        Sender::Bgp(peer) => {
            tasks.spawn(async move { peer.run(&counters.bgp, watch).await });
        }
        Sender::Pcap(replay) => {
            tasks.spawn(async move { replay.run(&counters, watch).await });
        }
    }
}

/// The target of the family of `source`.
pub(crate) fn target_for(targets: &[SocketAddr], source: IpAddr) -> anyhow::Result<SocketAddr> {
    let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
    targets
        .iter()
        .find(|target| target.is_ipv4() == source.is_ipv4())
        .copied()
        .with_context(|| format!("no {family} target for the source {source}"))
}

fn bmp(section: &Bmp, streams: &mut Streams, built: &mut Vec<Sender>) -> anyhow::Result<()> {
    let pools = [false, true].map(|v6| Arc::new(Pool::new(&mut streams.rng(), 64_512, v6)));
    let rate = section.rate / section.sessions.max(1) as f64;
    for (index, source) in
        sources::addresses(&section.sources, section.sessions)?.into_iter().enumerate()
    {
        let target = target_for(&section.target, source)?;
        // Every fourth router sends IPv6 routes.
        let pool = Arc::clone(&pools[usize::from(index % 4 == 3)]);
        let router = Router::new(source, section.peers, pool, streams.rng(), section.large_every);
        built.push(Sender::Bmp(bmp_session::Session {
            source,
            target,
            rate,
            chunk: section.chunk,
            router,
            rng: streams.rng(),
        }));
    }
    Ok(())
}

fn fleet(section: &Flow, format: Format, streams: &mut Streams) -> anyhow::Result<Fleet> {
    let mut fleet = Vec::with_capacity(section.exporters);
    for address in sources::addresses(&section.sources, section.exporters)? {
        target_for(&section.target, address)?;
        let exporter =
            flow::Exporter::new(format, section.domains, section.records, &mut streams.rng());
        fleet.push(Source { socket: sources::udp(address)?, exporter: Exporter::Flow(exporter) });
    }
    Ok(Fleet {
        sources: fleet,
        targets: section.target.clone(),
        rate: section.rate,
        refresh: section.templates.refresh(),
    })
}

fn publishers(section: &Notif, streams: &mut Streams) -> anyhow::Result<Fleet> {
    let mut fleet = Vec::with_capacity(section.exporters);
    for (index, address) in
        sources::addresses(&section.sources, section.exporters)?.into_iter().enumerate()
    {
        target_for(&section.target, address)?;
        let publisher = Publisher::new(1 + index as u32, section.segment_every, &mut streams.rng());
        fleet.push(Source { socket: sources::udp(address)?, exporter: Exporter::Notif(publisher) });
    }
    Ok(Fleet { sources: fleet, targets: section.target.clone(), rate: section.rate, refresh: None })
}

fn speaker(section: &Bgp, rng: Rng) -> bgp_peer::Peer {
    bgp_peer::Peer {
        source: section.source,
        neighbor: section.neighbor,
        asn: section.asn,
        routes: section.routes,
        churn: section.churn,
        rng,
    }
}
