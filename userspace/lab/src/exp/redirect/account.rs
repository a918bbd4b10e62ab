// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the captures say of the loop's work.

use super::claims;
use super::watch::{Ends, Life, Listed, Side};
use super::{ALPHA, ALPHA_MBPS, ALPHA_S, OTHER};
use crate::count::frame::{Frame, each};
use crate::count::order::Order;
use crate::count::way::{Way, numbers};
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
/// Octets of the headers of IP and UDP.
const HEADERS: u64 = 28;

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
    /// What comes back from the other edge router, the IP-routed way.
    pub(in crate::exp) p1_back: PathBuf,
    /// And on the science path.
    pub(in crate::exp) p2_back: PathBuf,
    /// What comes back to the first site.
    pub(in crate::exp) site1: PathBuf,
}

/// When what was seen on the routers, in microseconds of Unix time.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::exp) struct Moments {
    /// The loop had taken the routers over.
    pub(in crate::exp) ready_us: i64,
    /// The loop's own word, in its audit log: it knew of the flow, and that it was over.
    pub(in crate::exp) found_us: Option<i64>,
    pub(in crate::exp) over_us: Option<i64>,
    /// Circuit and entry at both edge routers.
    pub(in crate::exp) near: Ends,
    pub(in crate::exp) far: Ends,
    /// The alpha flow had ended.
    pub(in crate::exp) ended_us: i64,
    /// Its 5-tuple was used again.
    pub(in crate::exp) after_us: i64,
    /// Bytes of the alpha flow and of the other big one, as iperf3 says.
    pub(in crate::exp) alpha_sent: u64,
    pub(in crate::exp) other_sent: u64,
    /// Datagrams of the other direction.
    pub(in crate::exp) back_sent: u64,
    /// Alpha flows that the loop says it left alone.
    pub(in crate::exp) outside: Option<u64>,
}

impl Moments {
    /// Takes what was listed, with what tells the entry.
    pub(in crate::exp) fn see(&mut self, listed: &[Listed; 2], entry: impl Fn(Side, &str) -> bool) {
        self.near = Ends::of(&listed[0], |table| entry(Side::Near, table));
        self.far = Ends::of(&listed[1], |table| entry(Side::Far, table));
    }
}

/// What was counted.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::exp) struct Counted {
    /// Bytes of the alpha flow's first life: at the ingress router, labelled on the science path, on
    /// the IP-routed one, at the other site.
    pub(in crate::exp) alpha: u64,
    pub(in crate::exp) alpha_labelled: u64,
    pub(in crate::exp) alpha_plain: u64,
    pub(in crate::exp) alpha_arrived: u64,
    /// And without headers.
    pub(in crate::exp) alpha_payload: u64,
    /// Its first packet, its first and its last one with the label.
    pub(in crate::exp) first_us: Option<i64>,
    pub(in crate::exp) first_labelled_us: Option<i64>,
    pub(in crate::exp) last_labelled_us: Option<i64>,
    /// Labels of the alpha flow on the science path.
    pub(in crate::exp) labels: BTreeSet<Option<u32>>,
    /// How datagrams of its other direction went, under which labels, and what became of them.
    pub(in crate::exp) back: Way,
    pub(in crate::exp) back_labels: BTreeSet<Option<u32>>,
    pub(in crate::exp) back_lost: u64,
    pub(in crate::exp) back_doubled: u64,
    /// Packets of the same 5-tuple after the entry was gone, by way.
    pub(in crate::exp) after_plain: u64,
    pub(in crate::exp) after_science: u64,
    /// Bytes of the other big flow: at the ingress router, at the other site.
    pub(in crate::exp) other: u64,
    pub(in crate::exp) other_arrived: u64,
    /// Bytes of everything else on the science path, either way.
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

/// Whether it is of its other direction.
pub(in crate::exp) fn is_reverse(frame: &Frame) -> bool {
    frame.proto == 17 && frame.ports == Some((ALPHA.1, ALPHA.0))
}

/// Whether it is of the other big flow.
pub(in crate::exp) fn is_other(frame: &Frame) -> bool {
    frame.proto == 17 && frame.ports == Some(OTHER)
}

/// Counts.
pub(in crate::exp) fn count(files: &Captures, moments: &Moments, sent: u64) -> Result<Counted> {
    let mut all = Counted::default();
    let first = |frame: &Frame| frame.at_us < moments.after_us;
    each(&files.pe1, |frame| {
        if is_alpha(&frame) && first(&frame) {
            all.first_us.get_or_insert(frame.at_us);
            all.alpha += frame.octets;
        } else if is_other(&frame) {
            all.other += frame.octets;
        }
    })?;
    each(&files.p1, |frame| match is_alpha(&frame) {
        true if first(&frame) => all.alpha_plain += frame.octets,
        true => all.after_plain += 1,
        false => {}
    })?;
    each(&files.p2, |frame| match is_alpha(&frame) {
        true if first(&frame) => {
            all.alpha_labelled += frame.octets;
            all.labels.insert(frame.label);
            all.first_labelled_us.get_or_insert(frame.at_us);
            all.last_labelled_us = Some(frame.at_us);
        }
        true => all.after_science += 1,
        false => all.beta_science += frame.octets,
    })?;
    each(&files.site2, |frame| {
        if is_alpha(&frame) && first(&frame) {
            all.alpha_arrived += frame.octets;
            all.alpha_payload += frame.octets.saturating_sub(HEADERS);
        } else if is_other(&frame) {
            all.other_arrived += frame.octets;
        }
    })?;
    reverse(files, moments.back_sent, &mut all)?;
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

/// Counts the other direction.
fn reverse(files: &Captures, sent: u64, all: &mut Counted) -> Result<()> {
    let (mut plain, mut science, mut came) = (Vec::new(), Vec::new(), Vec::new());
    let number = |frame: &Frame| frame.number.filter(|_| is_reverse(frame)).map(|(_, one)| one);
    each(&files.p1_back, |frame| plain.extend(number(&frame)))?;
    each(&files.p2_back, |frame| match number(&frame) {
        Some(number) => {
            science.push(number);
            all.back_labels.insert(frame.label);
        }
        None => all.beta_science += frame.octets,
    })?;
    each(&files.site1, |frame| came.extend(number(&frame)))?;
    all.back = Way::of(&plain, &science, sent);
    let order = Order::of(&came, sent);
    (all.back_lost, all.back_doubled) = (order.lost(), order.again);
    Ok(())
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
        Line {
            name: "reverse, science path",
            points: series(&files.p2_back, from, is_reverse)?,
            joined: true,
        },
    ];
    let x = Axis { label: "seconds", log: false };
    let figure = plot("The two paths", x, Axis { label: "kb/s", log: false }, &lines);
    Ok(findings(&counted, moments, figure))
}

/// What of an alpha flow's bytes has the label, in percent.
pub(in crate::exp) fn share(all: &Counted) -> f64 {
    all.alpha_labelled as f64 * 100.0 / all.alpha.max(1) as f64
}

fn all_claims(all: &Counted, moments: &Moments) -> Vec<Claim> {
    vec![
        claims::onto(all),
        claims::labels(all, moments),
        claims::in_order(moments),
        claims::while_entry(all, moments),
        claims::whole(all, moments),
        claims::reverse(all, &[false, true, false]),
        claims::no_beta(all),
        claims::beta_whole(all),
        claims::aged(moments, moments.over_us),
        claims::after(all),
    ]
}

/// Rows of what was seen at an edge router.
pub(in crate::exp) fn rows(
    name: &str,
    life: &Life,
    since: impl Fn(i64) -> String,
) -> [Vec<String>; 2] {
    let row = |what: &str, at: Option<super::watch::Bounds>| {
        vec![format!("{name} {what}"), at.map_or("-".to_owned(), |bounds| since(bounds.by_us))]
    };
    [row("there", life.began), row("gone", life.ended)]
}

fn findings(all: &Counted, moments: &Moments, figure: String) -> Findings {
    let begin = all.first_us.unwrap_or(moments.ready_us);
    let since = |us: i64| format!("{:.1}", (us - begin) as f64 / 1e6);
    let row = |what: &str, us: Option<i64>| vec![what.to_owned(), us.map_or("-".to_owned(), since)];
    let [circuit, no_circuit] = rows("circuit", &moments.near.circuit, since);
    let [entry, no_entry] = rows("entry", &moments.near.entry, since);
    let [far, no_far] = rows("entry at the other router", &moments.far.entry, since);
    Findings {
        title: "Redirection end to end",
        paragraph: format!(
            "A UDP flow of iperf3, {ALPHA_MBPS} Mb/s for {ALPHA_S} s, goes from site to site beside \
             beta flows of the same hosts, of their networks, of other networks and to a peer; numbered \
             datagrams go the other way by its 5-tuple reversed. softflowd at the ingress and pmacctd at \
             the egress router export IPFIX to one address, where our kernel steers them to three \
             collectors; `hntes run` reads what these write, finds the flow, has a circuit of static MPLS \
             set up, sets policy routes for the 5-tuple at both edge routers with nftables, and takes all \
             of it away when the flow is over. {:.0} % of the flow's bytes took the science path; {} \
             bytes of anything else did, and {} of {} beta datagrams were lost. Moments are those of \
             captures, and the latest at which `nft` and `ip` on the routers, asked all the time by \
             threads that set nothing, can have listed what is said.",
            share(all),
            all.beta_science,
            all.beta_lost,
            all.beta_sent
        ),
        columns: vec!["moment", "seconds after the flow's first packet"],
        rows: vec![
            row("the flow's first packet", all.first_us),
            row("the loop says it knows of it", moments.found_us),
            circuit,
            entry,
            far,
            row("first packet with the label", all.first_labelled_us),
            row("flow over", Some(moments.ended_us)),
            row("last packet with the label", all.last_labelled_us),
            row("the loop says it is over", moments.over_us),
            no_entry,
            no_far,
            no_circuit,
        ],
        claims: all_claims(all, moments),
        figure,
        data: json!({"counted": all, "moments": moments}),
    }
}

#[cfg(test)]
pub(in crate::exp) mod tests {
    use super::super::watch::Bounds;
    use super::*;

    const S: i64 = 1_000_000;

    /// Something that was there from a second to another.
    pub(in crate::exp) fn life(from: i64, to: i64) -> Life {
        let bounds = |at: i64| Some(Bounds { after_us: (at - 1) * S, by_us: at * S });
        Life { began: bounds(from), ended: bounds(to), times: 1 }
    }

    /// A circuit from a second to another, with the entry in between.
    pub(in crate::exp) fn ends(label: u32, circuit: (i64, i64), entry: (i64, i64)) -> Ends {
        Ends {
            circuit: life(circuit.0, circuit.1),
            entry: life(entry.0, entry.1),
            labels: BTreeSet::from([label]),
            most: 1,
        }
    }

    pub(in crate::exp) fn moments() -> Moments {
        Moments {
            ready_us: 1,
            over_us: Some(58 * S),
            near: ends(7, (10, 70), (20, 65)),
            far: ends(8, (11, 71), (21, 64)),
            ended_us: 50 * S,
            after_us: 72 * S,
            alpha_sent: 90,
            back_sent: 9,
            ..Moments::default()
        }
    }

    pub(in crate::exp) fn good() -> Counted {
        Counted {
            alpha: 100,
            alpha_labelled: 60,
            alpha_plain: 40,
            alpha_arrived: 100,
            alpha_payload: 92,
            first_us: Some(5 * S),
            first_labelled_us: Some(20 * S),
            last_labelled_us: Some(50 * S),
            labels: BTreeSet::from([Some(7)]),
            back: Way { sent: 9, neither: 0, doubled: 0, runs: vec![false, true, false] },
            back_labels: BTreeSet::from([Some(8)]),
            after_plain: 9,
            beta_sent: 9,
            ..Counted::default()
        }
    }

    #[test]
    fn each_claim_can_fail() {
        let failed = |counted: Counted, moments: Moments| -> Vec<usize> {
            let all = all_claims(&counted, &moments);
            (0..all.len()).filter(|at| !all[*at].met).collect()
        };
        assert_eq!(failed(good(), moments()), [] as [usize; 0]);
        let little = Counted { alpha_labelled: 20, alpha_plain: 80, ..good() };
        assert_eq!(failed(little, moments()), [0]);
        assert_eq!(failed(Counted { labels: BTreeSet::from([None]), ..good() }, moments()), [1]);
        let back = Counted { back_labels: BTreeSet::from([Some(7)]), ..good() };
        assert_eq!(failed(back, moments()), [1]);
        // Circuit after the entry, and gone before it, at either router.
        let near = |circuit, entry| Moments { near: ends(7, circuit, entry), ..moments() };
        assert_eq!(failed(good(), near((20, 70), (20, 65))), [2]);
        assert_eq!(failed(good(), near((10, 65), (20, 65))), [2]);
        let far = Moments { far: ends(8, (11, 64), (21, 64)), ..moments() };
        assert_eq!(failed(good(), far), [2]);
        let early = Counted { first_labelled_us: Some(18 * S), ..good() };
        assert_eq!(failed(early, moments()), [3]);
        assert_eq!(failed(Counted { last_labelled_us: Some(66 * S), ..good() }, moments()), [3]);
        // Lost on the path, or before it.
        assert_eq!(failed(Counted { alpha_arrived: 99, ..good() }, moments()), [4]);
        assert_eq!(failed(Counted { alpha_payload: 89, ..good() }, moments()), [4]);
        assert_eq!(failed(Counted { back_lost: 1, ..good() }, moments()), [5]);
        let plain = Way { runs: vec![false], ..good().back };
        assert_eq!(failed(Counted { back: plain, ..good() }, moments()), [5]);
        assert_eq!(failed(Counted { beta_science: 1, ..good() }, moments()), [6]);
        assert_eq!(failed(Counted { beta_lost: 1, ..good() }, moments()), [7]);
        assert_eq!(failed(good(), Moments { over_us: Some(61 * S), ..moments() }), [8]);
        assert_eq!(failed(Counted { after_science: 1, ..good() }, moments()), [9]);
    }

    #[test]
    fn a_flow_without_any_path_meets_little() {
        let met = all_claims(&Counted::default(), &Moments::default());
        assert!(met.iter().filter(|claim| claim.met).count() <= 1, "{met:?}");
    }
}
