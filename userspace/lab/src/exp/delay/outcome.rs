// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What came of a point of the curve, and whether flows were found in time.

use crate::report::Claim;
use serde::Serialize;

/// Seconds from one of the exporter's looks at its flows to the next, and so by how much a report may be
/// later than its period.
pub(super) const LOOK_S: f64 = 1.0;
/// Seconds that export, collector and detector may take besides, in an emulated guest.
const EXPORT_S: f64 = 1.0;
/// What became of an alpha flow that was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Found {
    /// Seconds from its first packet until it was known.
    pub(super) wait_s: f64,
    /// Seconds from its first packet until it had H bytes, at its rate as captured.
    pub(super) fill_s: f64,
}

impl Found {
    /// Seconds from its first packet until a report of so many seconds must have made it known: that
    /// which ends after the threshold, each as late as the exporter's looks make it.
    fn latest_s(&self, period_s: f64, look_s: f64) -> f64 {
        // The first report begins with the flow; where later ones end is not known.
        let last = if self.fill_s <= period_s { period_s } else { self.fill_s + period_s };
        last + look_s + EXPORT_S
    }
}

/// What came of a point.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) point: &'static str,
    /// Seconds of a report or of a mirror's bin, and from one of the exporter's looks to the next.
    pub(super) period_s: f64,
    pub(super) look_s: f64,
    /// Alpha flows, and those that were found.
    pub(super) flows: usize,
    pub(super) found: usize,
    /// Each of these, the quickest first.
    pub(super) waits: Vec<Found>,
    /// Seconds from then until its entry was read back: the mean.
    pub(super) install_s: f64,
    /// Percent of the bytes of alpha flows that had the label.
    pub(super) redirected_percent: f64,
    /// Bytes of beta flows that had the label.
    pub(super) beta_bytes: u64,
    /// By `hntes delay`: the mean wait and the percentage.
    pub(super) simulated_wait_s: f64,
    pub(super) simulated_percent: f64,
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

impl Outcome {
    pub(super) fn waits_s(&self) -> Vec<f64> {
        self.waits.iter().map(|one| one.wait_s).collect()
    }

    pub(super) fn mean_wait_s(&self) -> f64 {
        mean(self.waits.iter().map(|one| one.wait_s))
    }

    /// Every alpha flow is found, and in time.
    pub(super) fn in_time(&self) -> Claim {
        let late = |one: &&Found| one.wait_s > one.latest_s(self.period_s, self.look_s);
        let count = self.waits.iter().filter(late).count();
        let spare = |one: &Found| one.latest_s(self.period_s, self.look_s) - one.wait_s;
        let least = self.waits.iter().map(spare).fold(f64::INFINITY, f64::min);
        Claim::new(
            format!(
                "{}: each alpha flow is found by the end of the period of {} s in which it has H bytes, \
                 {} s of the exporter's look and {EXPORT_S} s for export and detection: {} of {}, {count} \
                 late, the latest with {least:.1} s to spare",
                self.point, self.period_s, self.look_s, self.found, self.flows
            ),
            self.found == self.flows && self.flows > 0 && count == 0,
        )
    }

    /// The mean wait is what it takes to reach the threshold and half a report; for reports that are
    /// shorter than that takes.
    pub(super) fn half_a_period(&self) -> Option<Claim> {
        let fill = mean(self.waits.iter().map(|one| one.fill_s));
        let reports = self.look_s > 0.0 && self.waits.iter().all(|one| one.fill_s > self.period_s);
        let wanted = fill + self.period_s / 2.0;
        reports.then(|| {
            Claim::new(
                format!(
                    "{}: the mean wait is that for H bytes, {fill:.2} s, and half a report of {} s, \
                     within {LOOK_S} s, the exporter's look: {:.2} of {wanted:.2} s",
                    self.point,
                    self.period_s,
                    self.mean_wait_s()
                ),
                !self.waits.is_empty() && (self.mean_wait_s() - wanted).abs() <= LOOK_S,
            )
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::exp::delay) fn one(
        redirected_percent: f64,
        flows: usize,
        beta_bytes: u64,
    ) -> Outcome {
        Outcome {
            point: "p",
            period_s: 2.0,
            look_s: 1.0,
            flows,
            found: flows,
            waits: vec![Found { wait_s: 6.5, fill_s: 5.0 }; flows],
            install_s: 0.1,
            redirected_percent,
            beta_bytes,
            simulated_wait_s: 1.0,
            simulated_percent: 70.0,
        }
    }

    #[test]
    fn a_flow_that_is_late_or_not_found_is_seen() {
        let with =
            |wait_s, fill_s| Outcome { waits: vec![Found { wait_s, fill_s }], ..one(70.0, 1, 0) };
        // Reports of 2 s: the one after the threshold ends 2 s after it, and a look later.
        assert!(with(9.0, 5.0).in_time().met && !with(9.1, 5.0).in_time().met);
        // The threshold is in the first report.
        assert!(with(4.0, 1.5).in_time().met && !with(4.1, 1.5).in_time().met);
        assert!(!Outcome { found: 0, ..with(6.0, 5.0) }.in_time().met);
        // A mirror has no looks.
        let mirror = Outcome { period_s: 0.2, look_s: 0.0, ..with(6.1, 5.0) };
        assert!(mirror.in_time().met && mirror.half_a_period().is_none());
        assert!(
            !Outcome { waits: vec![Found { wait_s: 6.3, fill_s: 5.0 }], ..mirror }.in_time().met
        );
        let half = |wait_s| with(wait_s, 5.0).half_a_period().is_some_and(|claim| claim.met);
        assert!(half(5.1) && half(6.9) && !half(4.9) && !half(7.1));
        // Reports longer than what the threshold takes find it in the first.
        assert!(Outcome { period_s: 12.0, ..with(12.5, 5.0) }.half_a_period().is_none());
    }
}
