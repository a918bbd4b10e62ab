// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What falls off between an input and the events of its detector, over all times it was opened.

use crate::online::source::Odd;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use telesteer_control::feed::Tally;
use telesteer_fam::screen::Fault;
use telesteer_online::Detector;
use telesteer_online::hold::Hold;

/// It is told so often.
const EACH: Duration = Duration::from_millis(500);

/// The counter of a detector, what it is called in the metrics, and what it counts.
const OF_DETECTOR: [(&str, &str, &str); 8] = [
    ("backward", "reports_backward", "flow reports that end before they begin, left out"),
    ("late", "reports_late", "flow reports older than any window that matters"),
    ("spread", "reports_spread", "flow reports longer than a slot, spread evenly"),
    ("crowded", "reports_crowded", "flow reports that share a slot for want of room"),
    (
        "other_exporter",
        "reports_of_other_exporter",
        "flow reports by another exporter than the one its flow is read at",
    ),
    ("exporter_changed", "flow_exporters_changed", "flows read at another exporter from then on"),
    ("spilled", "flows_spilled", "flows to be looked for that had no exact room"),
    ("displaced", "flows_displaced", "flows of which nothing is known, heavier ones being enough"),
];

/// What fell off.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    /// Of detectors that are gone.
    before: BTreeMap<&'static str, u64>,
    left_out: BTreeMap<Fault, u64>,
    breaks: u64,
    told: Option<Instant>,
}

impl Tallies {
    /// A record that does not count.
    pub(super) fn leave_out(&mut self, fault: Fault) {
        *self.left_out.entry(fault).or_default() += 1;
    }

    /// The input has ended; whether it should not have.
    pub(super) fn broke_off(&mut self, amiss: bool) {
        self.breaks += u64::from(amiss);
    }

    /// Whether it is time to tell.
    pub(super) fn are_due(&self) -> bool {
        self.told.is_none_or(|told| told.elapsed() >= EACH)
    }

    /// Keeps what was counted by what is thrown away now.
    pub(super) fn keep(&mut self, detector: &Detector, hold: &Hold, odd: &Odd) {
        for (name, count, _) in counted(detector, hold, odd) {
            let sum = self.before.entry(name).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// All of it.
    pub(super) fn all(&mut self, detector: &Detector, hold: &Hold, odd: &Odd) -> Vec<Tally> {
        self.told = Some(Instant::now());
        let fault = |of: Fault| self.left_out.get(&of).copied().unwrap_or(0);
        let own = [
            ("input_breaks", self.breaks, "times that input broke off"),
            (
                "records_of_unknown_sampling",
                fault(Fault::UnknownSampling),
                "flow records left out: nobody knows how their packets were sampled",
            ),
            (
                "records_of_negative_duration",
                fault(Fault::NegativeDuration),
                "flow records left out: they end before they begin",
            ),
            (
                "records_too_long",
                fault(Fault::TooLong),
                "flow records left out: they claim to have lasted too long",
            ),
        ];
        let before = |name: &str| self.before.get(name).copied().unwrap_or(0);
        let counted = counted(detector, hold, odd).into_iter();
        let counted = counted
            .map(|(name, count, meaning)| (name, count.saturating_add(before(name)), meaning));
        let tally = |(name, count, meaning)| Tally { name, count, meaning };
        own.into_iter().chain(counted).map(tally).collect()
    }
}

type Row = (&'static str, u64, &'static str);

fn counted(detector: &Detector, hold: &Hold, odd: &Odd) -> Vec<Row> {
    let counters: BTreeMap<_, _> = detector.counters().named().into_iter().collect();
    let of_detector = OF_DETECTOR.iter().map(|(of, name, meaning)| {
        let count = counters.get(of).copied().unwrap_or(0);
        (*name, count, *meaning)
    });
    let more = [
        (
            "lines_unreadable",
            odd.bad.load(Ordering::Relaxed),
            "lines and packets that are no record",
        ),
        (
            "mirror_packets_dropped",
            odd.dropped.load(Ordering::Relaxed),
            "packets of the mirror that the kernel dropped for want of room",
        ),
        ("reports_held_too_short", hold.late, "flow reports that came after newer ones had passed"),
        (
            "reports_held_without_room",
            hold.crowded,
            "flow reports passed on early for want of room",
        ),
        ("clock_ahead", hold.clock.ahead, "flow reports further ahead than one may move the clock"),
        ("clock_behind", hold.clock.behind, "flow reports far behind the clock"),
    ];
    of_detector.chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_online::Setting;
    use telesteer_online::clock::Clock;

    fn count(all: &[Tally], name: &str) -> u64 {
        all.iter().find(|one| one.name == name).unwrap_or_else(|| panic!("no {name}")).count
    }

    #[test]
    fn every_counter_is_one_of_the_detector_and_sums_outlive_it() {
        let detector = Detector::new(Setting::default(), None).unwrap();
        let names: Vec<_> = detector.counters().named().into_iter().map(|(name, _)| name).collect();
        for (of, ..) in OF_DETECTOR {
            assert!(names.contains(&of), "{of}");
        }
        let mut hold = Hold::new(0, 1, Clock::new(1));
        let odd = Odd::default();
        odd.bad.store(3, Ordering::Relaxed);
        hold.late = 2;
        let mut tallies = Tallies::default();
        tallies.leave_out(Fault::UnknownSampling);
        tallies.broke_off(true);
        tallies.keep(&detector, &hold, &odd);
        odd.dropped.store(5, Ordering::Relaxed);
        let all = tallies.all(&detector, &hold, &odd);
        let names: std::collections::BTreeSet<_> = all.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), all.len(), "a name twice");
        assert_eq!(count(&all, "lines_unreadable"), 6);
        assert_eq!(count(&all, "reports_held_too_short"), 4);
        assert_eq!(count(&all, "mirror_packets_dropped"), 5);
        assert_eq!(count(&all, "records_of_unknown_sampling"), 1);
        assert_eq!(count(&all, "input_breaks"), 1);
    }
}
