// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the captures say of the loop's work.

use super::{ALPHA, ALPHA_MBPS, ALPHA_S};
use crate::count::frame::{Frame, each};
use crate::count::order::Order;
use crate::count::way::numbers;
use crate::draw::{Axis, Line, plot};
use crate::error::Result;
use crate::report::{Claim, Findings};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Length of a step of the drawing, in microseconds.
const STEP_US: i64 = 1_000_000;
/// Steps of the drawing at most.
const STEPS: usize = 600;
/// Beta flows to site 2; the one after them is to the peer.
const TO_SITE2: u32 = 3;

/// Files.
pub(in crate::exp) struct Captures {
    /// What comes to the ingress router.
    pub(in crate::exp) pe1: PathBuf,
    /// And goes the IP-routed way.
    pub(in crate::exp) p1: PathBuf,
    /// And the science path.
    pub(in crate::exp) p2: PathBuf,
    /// What comes to the other site.
    pub(in crate::exp) site2: PathBuf,
    /// And to the peer.
    pub(in crate::exp) peer: PathBuf,
}

/// When what was seen on the routers, in microseconds of Unix time.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::exp) struct Moments {
    /// The loop had taken the routers over.
    pub(in crate::exp) ready_us: i64,
    /// The loop's own word, in its audit log: it knew of the flow.
    pub(in crate::exp) found_us: Option<i64>,
    /// The circuit was there.
    pub(in crate::exp) circuit_us: i64,
    /// Its label.
    pub(in crate::exp) label: Option<u32>,
    /// The entry was there.
    pub(in crate::exp) entry_us: i64,
    /// The alpha flow had ended.
    pub(in crate::exp) ended_us: i64,
    /// The entry was gone.
    pub(in crate::exp) gone_us: i64,
    /// The circuit was gone.
    pub(in crate::exp) released_us: i64,
    /// Bytes of the alpha flow, as iperf3 says.
    pub(in crate::exp) alpha_sent: u64,
}

/// What was counted.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::exp) struct Counted {
    /// Bytes of the alpha flow's first life: at the ingress router, labelled on the science path, on
    /// the IP-routed one.
    pub(in crate::exp) alpha: u64,
    pub(in crate::exp) alpha_labelled: u64,
    pub(in crate::exp) alpha_plain: u64,
    /// Its first packet, its first and its last one with the label.
    pub(in crate::exp) first_us: Option<i64>,
    pub(in crate::exp) first_labelled_us: Option<i64>,
    pub(in crate::exp) last_labelled_us: Option<i64>,
    /// Labels of the alpha flow on the science path.
    pub(in crate::exp) labels: BTreeSet<Option<u32>>,
    /// Packets of the same 5-tuple after the entry was gone, by way.
    pub(in crate::exp) after_plain: u64,
    pub(in crate::exp) after_science: u64,
    /// Bytes of everything else on the science path.
    pub(in crate::exp) beta_science: u64,
    /// Beta datagrams sent, lost, doubled.
    pub(in crate::exp) beta_sent: u64,
    pub(in crate::exp) beta_lost: u64,
    pub(in crate::exp) beta_doubled: u64,
}

/// Whether it is of the alpha flow.
pub(in crate::exp) fn is_alpha(frame: &Frame) -> bool {
    frame.proto == 17 && frame.ports == Some(ALPHA)
}

/// Counts.
pub(in crate::exp) fn count(files: &Captures, moments: &Moments, sent: u64) -> Result<Counted> {
    let mut all = Counted::default();
    each(&files.pe1, |frame| {
        if is_alpha(&frame) && frame.at_us < moments.gone_us {
            all.first_us.get_or_insert(frame.at_us);
            all.alpha += frame.octets;
        }
    })?;
    each(&files.p1, |frame| match is_alpha(&frame) {
        true if frame.at_us < moments.gone_us => all.alpha_plain += frame.octets,
        true => all.after_plain += 1,
        false => {}
    })?;
    each(&files.p2, |frame| match is_alpha(&frame) {
        true if frame.at_us < moments.gone_us => {
            all.alpha_labelled += frame.octets;
            all.labels.insert(frame.label);
            all.first_labelled_us.get_or_insert(frame.at_us);
            all.last_labelled_us = Some(frame.at_us);
        }
        true => all.after_science += 1,
        false => all.beta_science += frame.octets,
    })?;
    let (site2, peer) = (numbers(&files.site2, None)?, numbers(&files.peer, None)?);
    for flow in 0..=TO_SITE2 {
        let came = if flow < TO_SITE2 { site2.get(&flow) } else { peer.get(&flow) };
        let order = Order::of(came.map_or(&[], Vec::as_slice), sent);
        all.beta_sent += sent;
        all.beta_lost += order.lost();
        all.beta_doubled += order.again;
    }
    Ok(all)
}

/// Octets a step of what `wanted` takes, as kb/s.
pub(in crate::exp) fn series(
    file: &Path,
    from_us: i64,
    wanted: impl Fn(&Frame) -> bool,
) -> Result<Vec<(f64, f64)>> {
    let mut steps: Vec<u64> = Vec::new();
    each(file, |frame| {
        let step = usize::try_from((frame.at_us - from_us).div_euclid(STEP_US)).ok();
        if let Some(step) = step.filter(|step| *step < STEPS && wanted(&frame)) {
            steps.resize(steps.len().max(step + 1), 0);
            steps[step] += frame.octets;
        }
    })?;
    let points = steps.iter().enumerate();
    Ok(points.map(|(at, octets)| (at as f64 + 0.5, *octets as f64 * 8.0 / 1000.0)).collect())
}

/// Counts, draws, judges.
pub(in crate::exp) fn account(files: &Captures, moments: &Moments, sent: u64) -> Result<Findings> {
    let counted = count(files, moments, sent)?;
    let from = counted.first_us.unwrap_or(moments.ready_us) - 5 * STEP_US;
    let lines = [
        Line {
            name: "alpha, science path",
            points: series(&files.p2, from, is_alpha)?,
            joined: true,
        },
        Line { name: "alpha, IP-routed", points: series(&files.p1, from, is_alpha)?, joined: true },
        Line {
            name: "beta, IP-routed",
            points: series(&files.p1, from, |frame| frame.number.is_some())?,
            joined: true,
        },
        Line {
            name: "beta, science path",
            points: series(&files.p2, from, |frame| !is_alpha(frame))?,
            joined: true,
        },
    ];
    let x = Axis { label: "seconds", log: false };
    let figure = plot("The two paths", x, Axis { label: "kb/s", log: false }, &lines);
    Ok(findings(&counted, moments, figure))
}

fn claims(all: &Counted, moments: &Moments) -> Vec<Claim> {
    let share = all.alpha_labelled as f64 * 100.0 / all.alpha.max(1) as f64;
    let found = all.first_labelled_us.is_some();
    vec![
        Claim::new(
            format!("the alpha flow takes the science path: {share:.0} % of its bytes"),
            found && share >= 25.0,
        ),
        Claim::new(
            format!(
                "all of that under the circuit's label: {:?} of {:?}",
                all.labels, moments.label
            ),
            moments.label.is_some() && all.labels == BTreeSet::from([moments.label]),
        ),
        Claim::new(
            "circuit first, then the entry, then the label on packets",
            moments.circuit_us <= moments.entry_us
                && all.first_labelled_us.is_some_and(|at| at >= moments.circuit_us - 1_000_000),
        ),
        Claim::new(
            format!("no beta byte on the science path: {}", all.beta_science),
            all.beta_science == 0,
        ),
        Claim::new(
            format!("no beta datagram lost or doubled: {} of {}", all.beta_lost, all.beta_sent),
            all.beta_sent > 0 && all.beta_lost == 0 && all.beta_doubled == 0,
        ),
        Claim::new(
            "no byte of the alpha flow lost between the ports of the ingress router",
            all.alpha == all.alpha_labelled + all.alpha_plain,
        ),
        Claim::new(
            format!(
                "after aging the same 5-tuple goes the IP-routed way: {} packets, {} not",
                all.after_plain, all.after_science
            ),
            all.after_plain > 0 && all.after_science == 0,
        ),
        Claim::new(
            "the entry goes before the circuit",
            moments.gone_us <= moments.released_us && moments.gone_us > moments.ended_us,
        ),
    ]
}

fn findings(all: &Counted, moments: &Moments, figure: String) -> Findings {
    let begin = all.first_us.unwrap_or(moments.ready_us);
    let since = |us: i64| format!("{:.1}", (us - begin) as f64 / 1e6);
    let row = |what: &str, us: Option<i64>| vec![what.to_owned(), us.map_or("-".to_owned(), since)];
    let share = all.alpha_labelled as f64 * 100.0 / all.alpha.max(1) as f64;
    Findings {
        title: "Redirection end to end",
        paragraph: format!(
            "A UDP flow of iperf3, {ALPHA_MBPS} Mb/s for {ALPHA_S} s, goes from site to site beside \
             beta flows of the same hosts, of their networks, of other networks and to a peer. \
             softflowd at the ingress and pmacctd at the egress router export IPFIX to one address, \
             where our kernel steers them to three collectors; `hntes run` reads what these write, \
             finds the flow, has a circuit of static MPLS set up, sets a policy route for the 5-tuple \
             with nftables, and takes both away when the flow is over. {share:.0} % of the flow's \
             bytes took the science path under label {}; {} bytes of anything else did, and {} of {} \
             beta datagrams were lost. Moments are those of captures and of what `nft` and `ip` list \
             on the router, asked every few milliseconds by nobody who set it.",
            moments.label.map_or("none".to_owned(), |label| label.to_string()),
            all.beta_science,
            all.beta_lost,
            all.beta_sent
        ),
        columns: vec!["moment", "seconds after the flow's first packet"],
        rows: vec![
            row("the flow's first packet", all.first_us),
            row("the loop says it knows of it", moments.found_us),
            row("circuit there", Some(moments.circuit_us)),
            row("entry there", Some(moments.entry_us)),
            row("first packet with the label", all.first_labelled_us),
            row("flow over", Some(moments.ended_us)),
            row("last packet with the label", all.last_labelled_us),
            row("entry gone", Some(moments.gone_us)),
            row("circuit gone", Some(moments.released_us)),
        ],
        claims: claims(all, moments),
        figure,
        data: json!({"counted": all, "moments": moments}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_claim_can_fail() {
        let moments = || Moments {
            ready_us: 1,
            found_us: None,
            circuit_us: 10,
            label: Some(7),
            entry_us: 20,
            ended_us: 50,
            gone_us: 60,
            released_us: 70,
            alpha_sent: 100,
        };
        let good = || Counted {
            alpha: 100,
            alpha_labelled: 60,
            alpha_plain: 40,
            first_us: Some(5),
            first_labelled_us: Some(21),
            last_labelled_us: Some(50),
            labels: BTreeSet::from([Some(7)]),
            after_plain: 9,
            beta_sent: 9,
            ..Counted::default()
        };
        let failed = |counted: Counted, moments: Moments| -> Vec<usize> {
            let all = claims(&counted, &moments);
            (0..all.len()).filter(|at| !all[*at].met).collect()
        };
        assert_eq!(failed(good(), moments()), [] as [usize; 0]);
        assert_eq!(
            failed(Counted { alpha_labelled: 20, alpha_plain: 80, ..good() }, moments()),
            [0]
        );
        assert_eq!(failed(Counted { labels: BTreeSet::from([None]), ..good() }, moments()), [1]);
        assert_eq!(failed(good(), Moments { circuit_us: 30, ..moments() }), [2]);
        assert_eq!(failed(Counted { beta_science: 1, ..good() }, moments()), [3]);
        assert_eq!(failed(Counted { beta_lost: 1, ..good() }, moments()), [4]);
        assert_eq!(failed(Counted { alpha: 101, ..good() }, moments()), [5]);
        assert_eq!(failed(Counted { after_science: 1, ..good() }, moments()), [6]);
        assert_eq!(failed(good(), Moments { released_us: 55, ..moments() }), [7]);
    }
}
