// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a forwarded packet costs, by device and size of its table, in a guest whose clock counts
//! instructions.
//!
//! On one processor a datagram goes its whole way within the call that sends it: through the router
//! and into a socket behind it. So the difference of the counter over a batch is the cost of all of
//! that; the cost of a datagram to the router itself, without any table, is taken off.

use super::{Bench, say};
use crate::draw::bars;
use crate::error::{Result, odd};
use crate::lsp::Lsps;
use crate::net::{Net, host};
use crate::report::{Claim, Findings};
use crate::router::{Router, hosts};
use crate::space::Space;
use serde::Serialize;
use serde_json::json;
use std::io::ErrorKind;
use std::net::UdpSocket;
use telesteer_circuit::request::Rate;
use telesteer_redirect::iprule::IpRule;
use telesteer_redirect::nft::Nft;
use telesteer_redirect::{Device, DeviceError, Match, Settings};
use telesteer_sys::counter::cycles;

/// Datagrams of a batch: they fit the receiver's buffer.
const BATCH: usize = 64;
/// Batches; a timer or a worker of the kernel can only add to one, so the least is the cost.
const BATCHES: usize = 60;
/// Sizes of tables, with nftables and with rules.
const NFT: [usize; 4] = [0, 125, 1548, 10_000];
const RULES: [usize; 3] = [0, 125, 1548];
/// How much dearer a packet may be with the largest table of nftables.
const MOST: f64 = 1.1;
const PORT: u16 = 7000;
const PAYLOAD: [u8; 100] = [0x5a; 100];

/// Packets that no entry matches, and those that one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// They follow IP routes.
    Miss,
    /// They go onto the LSP, through all of it.
    Hit,
}

/// One reading.
#[derive(Clone, Debug, Serialize)]
struct Reading {
    device: &'static str,
    /// None: the device was never opened.
    entries: Option<usize>,
    kind: Kind,
    /// Instructions of a packet: the least and the middle of the batches.
    least: f64,
    median: f64,
}

/// Runs it.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    let (near, far) = ("10.9.1.2", "10.9.2.2");
    let own = sink(&net.pe1, near)?;
    let behind = sink(&net.p1, far)?;
    let (from, to) = (host(1, 1, 1), host(2, 1, 1));
    let site2 = sink(&net.site2, &to)?;
    let send = |to: &str, sink: &UdpSocket| batches(&net.site1, &from, to, sink);
    let direct = send(near, &own)?.0;
    say(format!("a datagram to the router itself: {direct:.0} instructions"));
    let mut readings = Vec::new();
    let mut note = |device, entries, kind, (least, median): (f64, f64)| {
        let (least, median) = (least - direct, median - direct);
        say(format!("{device}, {entries:?} entries, {kind:?}: {least:.0} instructions"));
        readings.push(Reading { device, entries, kind, least, median });
    };
    note("none", None, Kind::Miss, send(far, &behind)?);

    let lsps = Lsps::start(&net, bench, 100)?;
    let lsp = lsps.up(Rate::Unlimited, true)?;
    // The table of nftables stays when its entries have gone, so it comes last.
    let sizes: [(&'static str, &[usize]); 2] = [("ip-rule", &RULES), ("nft", &NFT)];
    for (device, sizes) in sizes {
        let sizes = if bench.brief { &sizes[..2] } else { sizes };
        let open = || -> std::result::Result<Box<dyn Device + Send>, DeviceError> {
            Ok(match device {
                "nft" => Box::new(Nft::open(device)?),
                _ => Box::new(IpRule::open(device)?),
            })
        };
        let mut router = Router::open(&net.pe1, Settings::default(), open)?;
        router.science_up(&lsp)?;
        // So that a table of no entries is a table.
        router.swap(vec![hosts(&from, &to)?])?;
        router.settle()?;
        for &entries in sizes {
            router.swap(table(entries)?)?;
            router.settle()?;
            note(device, Some(entries), Kind::Miss, send(far, &behind)?);
            let mut with_hit = table(entries)?;
            with_hit.push(hosts(&from, &to)?);
            router.swap(with_hit)?;
            router.settle()?;
            note(device, Some(entries + 1), Kind::Hit, send(&to, &site2)?);
        }
        router.swap(Vec::new())?;
        router.settle()?;
    }
    lsps.down(&lsp)?;
    Ok(findings(&readings, direct))
}

/// Pairs of hosts that send nothing.
fn table(entries: usize) -> Result<Vec<Match>> {
    let pair = |number: usize| {
        let (high, low) = (number / 250, 1 + number % 250);
        hosts(&format!("10.100.{high}.{low}"), &format!("10.200.{high}.{low}"))
    };
    (0..entries).map(pair).collect()
}

fn sink(space: &Space, address: &str) -> Result<UdpSocket> {
    let whose = |error| odd(format!("a socket at {address}"), error);
    let open = || -> Result<UdpSocket> {
        let socket = UdpSocket::bind((address, PORT)).map_err(whose)?;
        socket.set_nonblocking(true).map_err(whose)?;
        Ok(socket)
    };
    space.within(open)?
}

/// Instructions of a datagram from sending to the socket behind: the least and the middle.
fn batches(space: &Space, from: &str, to: &str, sink: &UdpSocket) -> Result<(f64, f64)> {
    let mut readings = space.within(|| -> Result<Vec<u64>> {
        let fault = |error| odd(format!("datagrams to {to}"), error);
        let socket = UdpSocket::bind((from, 0)).map_err(fault)?;
        socket.connect((to, PORT)).map_err(fault)?;
        let mut readings = Vec::with_capacity(BATCHES);
        for batch in 0..BATCHES {
            let begin = cycles();
            for _ in 0..BATCH {
                socket.send(&PAYLOAD).map_err(fault)?;
            }
            let took = cycles().wrapping_sub(begin);
            let came = drain(sink).map_err(fault)?;
            // The first one finds neighbours and fills caches.
            match (batch, came) {
                (0, _) => std::thread::sleep(std::time::Duration::from_millis(50)),
                (_, BATCH) => readings.push(took),
                (_, came) => return Err(odd(to, format!("{came} of {BATCH} datagrams came"))),
            }
            drain(sink).map_err(fault)?;
        }
        Ok(readings)
    })??;
    readings.sort_unstable();
    let at = |place: usize| readings.get(place).map_or(f64::NAN, |one| *one as f64 / BATCH as f64);
    Ok((at(0), at(readings.len() / 2)))
}

fn drain(sink: &UdpSocket) -> std::io::Result<usize> {
    let mut bytes = [0; 256];
    let mut count = 0;
    loop {
        match sink.recv(&mut bytes) {
            Ok(_) => count += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(count),
            Err(error) => return Err(error),
        }
    }
}

fn findings(readings: &[Reading], direct: f64) -> Findings {
    let of = |device: &str, entries: Option<usize>, kind| {
        let same = |one: &&Reading| (one.device, one.entries, one.kind) == (device, entries, kind);
        readings.iter().find(same).map(|one| one.least)
    };
    let most = NFT[NFT.len() - 1];
    let ratio = |kind, more: usize| {
        Some(of("nft", Some(most + more), kind)? / of("nft", Some(more), kind)?)
    };
    let claim = |kind, more, what: &str| {
        let times = ratio(kind, more);
        let said = times.map_or("not measured".to_owned(), |times| format!("{times:.3} times"));
        let text = format!(
            "nftables: {what} costs at most {MOST} times as much with {most} entries more: {said}"
        );
        Claim::new(text, times.is_some_and(|times| times <= MOST))
    };
    let claims = vec![
        claim(Kind::Miss, 0, "a packet that no entry matches"),
        claim(Kind::Hit, 1, "a packet that one matches, all the way over the LSP,"),
    ];
    let none = of("none", None, Kind::Miss).unwrap_or(f64::NAN);
    let empty = of("nft", Some(0), Kind::Miss).unwrap_or(f64::NAN);
    let full = of("nft", Some(most), Kind::Miss).unwrap_or(f64::NAN);
    let rules = of("ip-rule", Some(RULES[RULES.len() - 1]), Kind::Miss).unwrap_or(f64::NAN);
    let label = |one: &Reading| match (one.entries, one.kind) {
        (None, _) => "no table".to_owned(),
        (Some(entries), Kind::Miss) => format!("{}, {entries}, no match", one.device),
        (Some(entries), Kind::Hit) => format!("{}, {entries}, match, LSP", one.device),
    };
    let groups: Vec<_> = readings.iter().map(|one| (label(one), vec![Some(one.least)])).collect();
    Findings {
        title: "Instructions of a forwarded packet",
        paragraph: format!(
            "In a guest whose clock counts instructions, one processor, datagrams go through the \
             ingress router to a socket behind it; what one to the router itself costs ({direct:.0}) \
             is taken off, so the rest is forwarding and one more link. Without any table that is \
             {none:.0} instructions, with our maps of nftables and no entry {empty:.0}, with {most} \
             entries {full:.0}. Rules of the kernel are gone through one by one: {rules:.0} with \
             {}. Packets that an entry matches get a label, go over three routers and lose it again, \
             so their figures compare with each other only.",
            RULES[RULES.len() - 1]
        ),
        columns: vec!["table", "least", "median"],
        rows: readings
            .iter()
            .map(|one| vec![label(one), format!("{:.0}", one.least), format!("{:.0}", one.median)])
            .collect(),
        claims,
        figure: bars("Instructions of a forwarded packet", "", &["least of the batches"], &groups),
        data: json!({"readings": readings, "direct": direct, "batch": BATCH}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_a_bound() {
        let reading = |entries, kind, least| Reading {
            device: "nft",
            entries: Some(entries),
            kind,
            least,
            median: least,
        };
        let all = |miss: f64, hit: f64| {
            findings(
                &[
                    reading(0, Kind::Miss, 1000.0),
                    reading(10_000, Kind::Miss, miss),
                    reading(1, Kind::Hit, 5000.0),
                    reading(10_001, Kind::Hit, hit),
                ],
                0.0,
            )
        };
        assert!(all(1099.0, 5499.0).good());
        assert!(!all(1101.0, 5000.0).good() && !all(1000.0, 5501.0).good());
        assert!(!findings(&[], 0.0).good());
    }
}
