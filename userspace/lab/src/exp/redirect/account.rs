// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the captures say of a flow that is redirected.

use super::watch::{Bounds, Ends, Life, Listed, Side};
use super::{ALPHA, OTHER};
use crate::count::frame::{Frame, each};
use crate::count::order::Order;
use crate::count::way::{Way, numbers};
use crate::error::Result;
use serde::Serialize;
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
    // iperf3's own answer when it connects has no number.
    each(&files.p2_back, |frame| match is_reverse(&frame) {
        true => {
            science.extend(number(&frame));
            all.back_labels.insert(frame.label);
        }
        false => all.beta_science += frame.octets,
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

/// What of an alpha flow's bytes has the label, in percent.
pub(in crate::exp) fn share(all: &Counted) -> f64 {
    all.alpha_labelled as f64 * 100.0 / all.alpha.max(1) as f64
}

/// Rows of what was seen at an edge router.
pub(in crate::exp) fn rows(
    name: &str,
    life: &Life,
    since: impl Fn(i64) -> String,
) -> [Vec<String>; 2] {
    let row = |what: &str, at: Option<Bounds>| {
        vec![format!("{name} {what}"), at.map_or("-".to_owned(), |bounds| since(bounds.by_us))]
    };
    [row("there", life.began), row("gone", life.ended)]
}

#[cfg(test)]
pub(in crate::exp) mod tests {
    use super::*;

    pub(in crate::exp) const S: i64 = 1_000_000;

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
}
