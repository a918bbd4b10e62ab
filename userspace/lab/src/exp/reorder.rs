// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Packets out of order when a policy route is added under a flow: those that are under way on the old
//! path while later ones take the new one. Expected: rate × (delay of the old path − of the new one).

use super::{Bench, say};
use crate::capture::{Capture, finish};
use crate::count::order::Order;
use crate::count::way::numbers;
use crate::draw::{Axis, Line, plot};
use crate::error::Result;
use crate::iperf::{Iperf, Plan};
use crate::lsp::Lsps;
use crate::net::{Net, host};
use crate::numbered::{Flow, LEAST, Pace, Sink, under};
use crate::report::{Claim, Findings};
use crate::router::{Router, flow};
use serde::Serialize;
use serde_json::json;
use std::time::{Duration, Instant};
use telesteer_circuit::request::Rate;
use telesteer_redirect::{Aging, Settings};

/// Delays of the plain and the science path, in milliseconds.
const DELAYS: [(u32, u32); 6] = [(5, 5), (10, 5), (20, 5), (40, 5), (5, 20), (5, 40)];
/// From one numbered datagram to the next.
const EVERY: Duration = Duration::from_millis(2);
/// Datagrams before and after a switch.
const AROUND: u64 = 400;
/// The TCP flow, and how long it is.
const TCP_MBPS: f64 = 4.0;
const TCP_SECONDS: u32 = 8;
/// Octets of a segment's data.
const SEGMENT: f64 = 1448.0;
/// What rate × difference may be off by: a share, and packets.
const SLACK: (f64, f64) = (0.3, 3.0);

/// One switch.
#[derive(Clone, Debug, Serialize)]
struct Switch {
    /// Whether the entry was added or taken away.
    added: bool,
    /// Delay of the path before, and after, in milliseconds.
    before_ms: u32,
    after_ms: u32,
    /// Datagrams a second.
    rate: f64,
    /// What the numbers say.
    order: Order,
}

impl Switch {
    /// Milliseconds by which the new path is faster.
    fn gain_ms(&self) -> f64 {
        f64::from(self.before_ms) - f64::from(self.after_ms)
    }

    fn expected(&self) -> f64 {
        (self.rate * self.gain_ms() / 1000.0).max(0.0)
    }

    fn as_expected(&self) -> bool {
        let off = (self.order.late as f64 - self.expected()).abs();
        off <= SLACK.0 * self.expected() + SLACK.1
    }
}

/// The TCP flow over one added entry.
#[derive(Clone, Debug, Serialize)]
struct Tcp {
    before_ms: u32,
    after_ms: u32,
    /// Segments that the receiver queued out of order (TCPOFOQueue).
    queued: u64,
    /// Segments sent again.
    retransmits: u64,
    /// Rate × difference, in segments.
    expected: f64,
}

/// Runs it.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    let lsps = Lsps::start(&net, bench, 100)?;
    let lsp = lsps.up(Rate::Unlimited, true)?;
    let mut router = Router::nft(&net.pe1, Settings::default())?;
    router.science_up(&lsp)?;
    let delays = if bench.brief { &DELAYS[2..3] } else { &DELAYS[..] };
    let (mut switches, mut tcp) = (Vec::new(), Vec::new());
    for (port, &(plain, science)) in (4001..).zip(delays) {
        say(format!("delays: plain {plain} ms, science path {science} ms"));
        net.delays(plain, science)?;
        for added in [true, false] {
            switches.push(datagrams(bench, &net, &mut router, (plain, science), added)?);
        }
        tcp.push(segments(bench, &net, &mut router, (plain, science), port)?);
    }
    lsps.down(&lsp)?;
    Ok(findings(&switches, &tcp))
}

/// Numbered datagrams while an entry comes or goes.
fn datagrams(
    bench: &Bench,
    net: &Net,
    router: &mut Router<'_>,
    (plain, science): (u32, u32),
    added: bool,
) -> Result<Switch> {
    let (from, to) = (host(1, 1, 1), host(2, 1, 1));
    let flows = [Flow::new(&from, 4000, &to, 7000)];
    let matching = flow(17, (&from, 4000), (&to, 7000))?;
    let _sink = Sink::open(&net.site2, &[7000])?;
    let capture = Capture::start(&net.site2, "to-pe2", &bench.work, "site2")?;
    let begin = Instant::now();
    let pace = Pace { every: EVERY, octets: LEAST };
    let ((), sent) = under(&net.site1, &flows, pace, |progress| {
        progress.wait(AROUND)?;
        match added {
            true => router.want(matching, Aging::Kept)?,
            false => router.controller.unwant(&matching),
        }
        router.settle()?;
        progress.wait(AROUND)
    })?;
    let rate = sent as f64 / begin.elapsed().as_secs_f64();
    let [file] = finish([capture])?;
    let came = numbers(&file, None)?.remove(&0).unwrap_or_default();
    let (before_ms, after_ms) = if added { (plain, science) } else { (science, plain) };
    Ok(Switch { added, before_ms, after_ms, rate, order: Order::of(&came, sent) })
}

/// A TCP flow while an entry comes.
fn segments(
    bench: &Bench,
    net: &Net,
    router: &mut Router<'_>,
    (before_ms, after_ms): (u32, u32),
    from_port: u16,
) -> Result<Tcp> {
    const QUEUED: &str = "TCPOFOQueue";
    let (from, to) = (host(1, 1, 1), host(2, 1, 1));
    let matching = flow(6, (&from, from_port), (&to, 5201))?;
    let before = net.site2.tcp_counter(QUEUED)?;
    let plan = Plan {
        from: &from,
        from_port: Some(from_port),
        to: &to,
        port: 5201,
        seconds: TCP_SECONDS,
        mbps: Some(TCP_MBPS),
        udp: false,
    };
    let mut iperf = Iperf::start(&net.site1, &net.site2, &bench.work, &plan)?;
    std::thread::sleep(Duration::from_secs(u64::from(TCP_SECONDS) / 2));
    iperf.must_run()?;
    router.want(matching, Aging::Kept)?;
    router.settle()?;
    let said = iperf.finish()?;
    router.controller.unwant(&matching);
    router.settle()?;
    let gain = f64::from(before_ms) - f64::from(after_ms);
    Ok(Tcp {
        before_ms,
        after_ms,
        queued: net.site2.tcp_counter(QUEUED)? - before,
        retransmits: said.retransmits,
        expected: (TCP_MBPS * 1e6 / 8.0 / SEGMENT * gain / 1000.0).max(0.0),
    })
}

fn findings(switches: &[Switch], tcp: &[Tcp]) -> Findings {
    let sum = |of: fn(&Order) -> u64| switches.iter().map(|one| of(&one.order)).sum::<u64>();
    let (sent, lost, again) = (sum(|one| one.sent), sum(Order::lost), sum(|one| one.again));
    let slower = switches.iter().filter(|one| one.gain_ms() <= 0.0);
    let late_slower: u64 = slower.clone().map(|one| one.order.late).sum();
    let faster: Vec<&Switch> = switches.iter().filter(|one| one.gain_ms() > 0.0).collect();
    let as_expected = faster.iter().filter(|one| one.as_expected()).count();
    let claims = vec![
        Claim::new(
            format!(
                "no datagram is lost or doubled by a switch: {lost} lost, {again} doubled of {sent} \
                 over {} switches",
                switches.len()
            ),
            lost == 0 && again == 0,
        ),
        Claim::new(
            format!(
                "onto a path that is not faster none is out of order: {late_slower} in {} switches",
                slower.count()
            ),
            late_slower == 0,
        ),
        Claim::new(
            format!(
                "onto a faster one rate × difference are out of order, within 30 % and 3: {as_expected} \
                 of {} switches",
                faster.len()
            ),
            as_expected == faster.len(),
        ),
    ];
    let mut by_gain: Vec<&Switch> = switches.iter().collect();
    by_gain.sort_by(|a, b| a.gain_ms().total_cmp(&b.gain_ms()));
    let points =
        |of: fn(&Switch) -> f64| by_gain.iter().map(|one| (one.gain_ms(), of(one))).collect();
    let lines = [
        Line { name: "rate × difference", points: points(Switch::expected), joined: true },
        Line {
            name: "datagrams out of order",
            points: points(|one| one.order.late as f64),
            joined: false,
        },
        Line {
            name: "segments TCP queued out of order",
            points: tcp
                .iter()
                .map(|one| (f64::from(one.before_ms) - f64::from(one.after_ms), one.queued as f64))
                .collect(),
            joined: false,
        },
    ];
    let x = Axis { label: "milliseconds by which the new path is faster", log: false };
    let y = Axis { label: "packets", log: false };
    let row = |one: &Switch| {
        let queued = tcp.iter().find(|tcp| {
            one.added && (tcp.before_ms, tcp.after_ms) == (one.before_ms, one.after_ms)
        });
        vec![
            format!(
                "{}, {} to {} ms",
                if one.added { "added" } else { "removed" },
                one.before_ms,
                one.after_ms
            ),
            format!("{:.0}", one.rate),
            format!("{:.1}", one.expected()),
            one.order.late.to_string(),
            one.order.ahead.to_string(),
            one.order.lost().to_string(),
            queued.map_or("-".into(), |tcp| format!("{:.1}", tcp.expected)),
            queued.map_or("-".into(), |tcp| tcp.queued.to_string()),
            queued.map_or("-".into(), |tcp| tcp.retransmits.to_string()),
        ]
    };
    let rate = switches.first().map_or(0.0, |one| one.rate);
    Findings {
        title: "Packets out of order when a policy route is added",
        paragraph: format!(
            "A 5-tuple is moved from the IP-routed path to the LSP while it sends, and back; the \
             paths have delays of their own. Numbered datagrams, about {rate:.0} a second, are \
             captured as they come in at the other site. What is under way on a slower path is \
             overtaken, so rate × difference of the delays come out of order, and on the way to a \
             slower or equal path none: a gap instead. In {} switches {lost} of {sent} datagrams \
             were lost. A TCP flow of {TCP_MBPS} Mb/s over the same switch had at most {} segments \
             queued out of order and sent at most {} again.",
            switches.len(),
            tcp.iter().map(|one| one.queued).max().unwrap_or(0),
            tcp.iter().map(|one| one.retransmits).max().unwrap_or(0),
        ),
        columns: vec![
            "entry, delay",
            "rate/s",
            "expected",
            "late",
            "ahead",
            "lost",
            "TCP expected",
            "TCP queued",
            "TCP sent again",
        ],
        rows: switches.iter().map(row).collect(),
        claims,
        figure: plot("Out of order, by difference of the paths' delays", x, y, &lines),
        data: json!({"datagrams": switches, "tcp": tcp}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(before_ms: u32, after_ms: u32, late: u64) -> Switch {
        let order = Order { sent: 100, came: 100, late, ..Order::default() };
        Switch { added: true, before_ms, after_ms, rate: 1000.0, order }
    }

    #[test]
    fn claims_follow_from_the_counts() {
        let met = |switches: &[Switch]| -> Vec<bool> {
            findings(switches, &[]).claims.iter().map(|claim| claim.met).collect()
        };
        assert_eq!(met(&[switch(20, 5, 15), switch(5, 20, 0)]), [true, true, true]);
        assert_eq!(met(&[switch(20, 5, 40), switch(5, 20, 1)]), [true, false, false]);
        let mut lost = switch(5, 5, 0);
        lost.order.came = 99;
        assert_eq!(met(&[lost]), [false, true, true]);
    }
}
