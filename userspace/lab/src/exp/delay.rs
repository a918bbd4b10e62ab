// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Detection delay, and the share of alpha bytes that is still redirected, by how flows are reported
//! and how long a route takes; beside what `hntes delay` reckons from the same flows.
//!
//! All periods are a fifth of the real ones: T is 12 s, reports are of 0.2, 2 and 12 s.

mod outcome;
mod point;
mod watch;

use super::{Bench, say};
use crate::capture::{Capture, finish};
use crate::count::load::{Loads, loads};
use crate::draw::bars;
use crate::error::{Result, odd};
use crate::lsp::Lsps;
use crate::net::{Net, host};
use crate::numbered::Sink;
use crate::paced::{Paced, send};
use crate::process::{run as program, write};
use crate::report::{Claim, Findings};
use crate::stats::percentile;
use outcome::{Found, LOOK_S, Outcome};
use point::{Kind, Point, Stage};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use telesteer_circuit::request::Rate;

/// H in bytes, and T.
pub(crate) const H: u64 = 600_000;
pub(crate) const T_S: f64 = 12.0;
/// Alpha flows of a run, and how far apart they begin.
const FLOWS: u16 = 32;
const APART: Duration = Duration::from_millis(1800);
/// Beta flows beside them, and their rate.
const BETAS: u16 = 6;
const BETA_MBPS: f64 = 0.05;
/// Percentage points that the simulation may be off by.
const SLACK: f64 = 5.0;
/// Ports of the first flow.
const PORTS: (u16, u16) = (20_000, 7000);

/// Runs it.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let points = if bench.brief { &Point::ALL[..1] } else { &Point::ALL[..] };
    let mut outcomes = Vec::new();
    for point in points {
        say(point.name);
        outcomes.push(outcome(bench, point)?);
    }
    Ok(findings(&outcomes))
}

/// Alpha flows, of ever other lengths and rates, and beta flows beside them.
fn flows(brief: bool) -> Vec<Paced> {
    let count = if brief { 6 } else { FLOWS };
    let alpha = (0..count).map(|at| Paced {
        from: (host(1, 1, 1), PORTS.0 + at),
        to: (host(2, 1, 1), PORTS.1),
        begins: Duration::from_secs(3) + APART * u32::from(at),
        // 16 to 78 s, and 1.4 to 4 times the rate of H in T, in no order.
        lasts: Duration::from_secs(16 + u64::from(at) * 13 % 32 * 2),
        mbps: H as f64 * 8.0 / T_S / 1e6 * (1.4 + f64::from(at * 7 % 27) / 10.0),
    });
    let last = APART * u32::from(count) + Duration::from_secs(80);
    let beta = (0..BETAS).map(|at| Paced {
        from: (host(1, 1, 1), PORTS.0 + 1000 + at),
        to: (host(2, 1, 1), PORTS.1),
        begins: Duration::ZERO,
        lasts: last,
        mbps: BETA_MBPS,
    });
    alpha.chain(beta).collect()
}

fn is_alpha(port: u16) -> bool {
    port < PORTS.0 + 1000
}

fn outcome(bench: &Bench, point: &'static Point) -> Result<Outcome> {
    let net = Net::build()?;
    let lsps = Lsps::start(&net, bench, 100)?;
    let lsp = lsps.up(Rate::Unlimited, true)?;
    let flows = flows(bench.brief);
    let _sink = Sink::open(&net.site2, &[PORTS.1])?;
    let captures = [
        Capture::start(&net.pe1, "to-site1", &bench.work, "pe1")?,
        Capture::start(&net.p2, "to-pe1", &bench.work, "p2")?,
    ];
    let stage = Stage::set(bench, &net, &lsp, point)?;
    let longest = flows.iter().map(|flow| flow.begins + flow.lasts).max().unwrap_or_default();
    let played = std::thread::scope(|scope| {
        let site1 = &net.site1;
        let flows = &flows;
        let sending = scope.spawn(move || send(site1, flows));
        let played = stage.play(longest);
        match sending.join() {
            Ok(sent) => sent.and(played),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    let [pe1, p2] = finish(captures)?;
    lsps.down(&lsp)?;
    let sent = loads(&pe1, |frame| frame.ports.map(|ports| ports.0))?;
    let labelled =
        loads(&p2, |frame| frame.ports.map(|ports| ports.0).filter(|_| frame.label.is_some()))?;
    let bytes = |loads: &Loads, alpha: bool| -> u64 {
        let of = loads.iter().filter(|(port, _)| is_alpha(**port) == alpha && **port >= PORTS.0);
        of.map(|(_, load)| load.octets).sum()
    };
    let alpha: Loads = sent
        .iter()
        .filter(|(port, _)| (PORTS.0..PORTS.0 + FLOWS).contains(port))
        .map(|(port, load)| (*port, *load))
        .collect();
    let wait = |(port, known_us): (&u16, &i64)| {
        let load = alpha.get(port)?;
        let fill_s = H as f64 * 8.0 / 1e6 / load.mbps();
        Some(Found { wait_s: (known_us - load.first_us) as f64 / 1e6, fill_s })
    };
    let mut waits: Vec<Found> = played.found.iter().filter_map(wait).collect();
    waits.sort_by(|one, other| one.wait_s.total_cmp(&other.wait_s));
    let (simulated_wait_s, simulated_percent) =
        simulated(bench, &alpha, point, played.install_s, &bench.work)?;
    Ok(Outcome {
        point: point.name,
        period_s: point.kind.period_s(),
        look_s: if point.kind == Kind::Mirror { 0.0 } else { LOOK_S },
        flows: alpha.len(),
        found: waits.len(),
        waits,
        install_s: played.install_s,
        redirected_percent: bytes(&labelled, true) as f64 * 100.0
            / bytes(&sent, true).max(1) as f64,
        beta_bytes: bytes(&labelled, false),
        simulated_wait_s,
        simulated_percent,
    })
}

/// What `hntes delay` says of the flows that were captured.
fn simulated(
    bench: &Bench,
    alpha: &Loads,
    point: &Point,
    install_s: f64,
    dir: &Path,
) -> Result<(f64, f64)> {
    let mut text =
        "exporter,first_ns,last_ns,src,dst,proto,src_port,dst_port,octets,sampling\n".to_owned();
    for (port, load) in alpha {
        text += &format!(
            "10.255.0.1,{}000,{}000,{},{},17,{port},{},{},1\n",
            load.first_us,
            load.last_us,
            host(1, 1, 1),
            host(2, 1, 1),
            PORTS.1,
            load.octets
        );
    }
    let file = dir.join("flows.csv");
    write(&file, text)?;
    let hntes = bench.programs.join("hntes").to_string_lossy().into_owned();
    let wanted = format!("{}+{install_s:.3}", point.reporting);
    let (h, t) = (H.to_string(), T_S.to_string());
    let said = program(&[
        &hntes,
        "delay",
        "--json",
        "--h",
        &h,
        "--t",
        &t,
        "--early",
        "0",
        "--points",
        &wanted,
        &file.to_string_lossy(),
    ])?;
    let value: Value = serde_json::from_str(&said).map_err(|error| odd("hntes delay", error))?;
    let row = &value["tables"]["delay_curve"][0];
    let number = |name: &str| {
        let number = row[name].as_f64();
        number.ok_or_else(|| odd("hntes delay", format!("no {name} in {row}")))
    };
    Ok((number("mean_wait_s")?, number("online_percent")?))
}

fn findings(outcomes: &[Outcome]) -> Findings {
    let mut claims: Vec<Claim> = outcomes
        .iter()
        .map(|one| {
            let off = (one.redirected_percent - one.simulated_percent).abs();
            Claim::new(
                format!(
                    "{}: the lab and the simulation agree within {SLACK:.0} percentage points: \
                     {:.1} and {:.1} %, {} flows",
                    one.point, one.redirected_percent, one.simulated_percent, one.flows
                ),
                off <= SLACK,
            )
        })
        .collect();
    claims.extend(outcomes.iter().map(Outcome::in_time));
    claims.extend(outcomes.iter().filter_map(Outcome::half_a_period));
    let least = outcomes.iter().map(|one| one.flows).min().unwrap_or(0);
    claims.push(Claim::new(format!("at least 30 alpha flows a point: {least}"), least >= 30));
    let beta: u64 = outcomes.iter().map(|one| one.beta_bytes).sum();
    claims.push(Claim::new(format!("no byte of a beta flow has the label: {beta}"), beta == 0));
    let groups: Vec<_> = outcomes
        .iter()
        .map(|one| {
            let values = vec![Some(one.redirected_percent), Some(one.simulated_percent)];
            (one.point.to_owned(), values)
        })
        .collect();
    Findings {
        title: "Detection delay and what is left to redirect",
        paragraph: format!(
            "{} alpha flows of constant rates, 16 to 78 s long, and {BETAS} beta flows of the same \
             hosts go from site to site. Each flow is found by `hntes online`, from packets mirrored \
             at the ingress router or from IPFIX of softflowd by way of three collectors that our \
             kernel steers to; then its 5-tuple is set on the router by the experiment itself with crate \
             redirect, so that what a router takes is the only other delay: `hntes run`, which waits for a \
             circuit too, is in the experiment redirect. Every period is a fifth of the \
             real one: H is {H} bytes in T = {T_S:.0} s, which stands for 60 s. The share is of bytes: those \
             with the label on the science path over those at the ingress router, both from captures. \
             The simulated share is that of `hntes delay` for the flows as captured and the time that \
             entries took to be read back; it knows nothing of the exporter's own clock, which looks \
             once a second.",
            FLOWS
        ),
        columns: vec![
            "point",
            "flows",
            "found",
            "mean wait s",
            "p90 s",
            "simulated s",
            "install s",
            "redirected %",
            "simulated %",
            "beta bytes",
        ],
        rows: outcomes
            .iter()
            .map(|one| {
                vec![
                    one.point.to_owned(),
                    one.flows.to_string(),
                    one.found.to_string(),
                    format!("{:.2}", one.mean_wait_s()),
                    format!("{:.2}", percentile(&one.waits_s(), 90.0)),
                    format!("{:.2}", one.simulated_wait_s),
                    format!("{:.2}", one.install_s),
                    format!("{:.1}", one.redirected_percent),
                    format!("{:.1}", one.simulated_percent),
                    one.beta_bytes.to_string(),
                ]
            })
            .collect(),
        claims,
        figure: bars("Share of alpha bytes redirected", "%", &["lab", "simulated"], &groups),
        data: json!({"points": outcomes, "h_bytes": H, "t_s": T_S}),
    }
}

#[cfg(test)]
mod tests {
    use super::outcome::tests::one;
    use super::*;

    #[test]
    fn all_flows_are_alpha_and_of_many_lengths() {
        let all = flows(false);
        let (alpha, beta): (Vec<&Paced>, Vec<&Paced>) =
            all.iter().partition(|flow| is_alpha(flow.from.1));
        assert_eq!((alpha.len(), beta.len()), (32, 6));
        let in_t = |flow: &Paced| flow.mbps * 1e6 / 8.0 * T_S;
        assert!(
            alpha.iter().all(|flow| in_t(flow) > 1.3 * H as f64 && flow.lasts.as_secs_f64() > T_S)
        );
        assert!(beta.iter().all(|flow| in_t(flow) < H as f64 / 5.0));
        let lengths: std::collections::BTreeSet<u64> =
            alpha.iter().map(|flow| flow.lasts.as_secs()).collect();
        assert_eq!(lengths.len(), 32);
    }

    #[test]
    fn they_must_agree() {
        assert!(findings(&[one(74.9, 32, 0)]).good());
        assert!(!findings(&[one(75.1, 32, 0)]).good());
        assert!(!findings(&[one(70.0, 29, 0)]).good() && !findings(&[one(70.0, 32, 1)]).good());
    }
}
