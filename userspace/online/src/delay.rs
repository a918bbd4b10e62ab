// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The delay curve: what is left of alpha flows once they are found and a route for them is set.
//!
//! A flow that is known from its records is reported again, by another way of reporting, and found by the
//! rules of [`crate::ring`]. What it sends once it is known and installed is redirected. It is found by its
//! own reports alone, so the figures hold for any number of flows.

use crate::ring::Ring;
use crate::setting::Setting;
use telesteer_fam::Ns;
use telesteer_fam::span::{self, Span};

/// What a flow sent, and when: evenly over each of some spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    spans: Vec<(Span, u64)>,
}

impl Profile {
    /// A flow of these spans and their bytes.
    pub fn new(mut spans: Vec<(Span, u64)>) -> Self {
        spans.sort_unstable();
        Self { spans }
    }

    /// From its first packet to its last.
    pub fn span(&self) -> Span {
        let first = self.spans.first().map_or(0, |(span, _)| span.0);
        (first, self.spans.iter().map(|(span, _)| span.1).max().unwrap_or(first))
    }

    /// Bytes sent before `at`.
    pub fn before(&self, at: Ns) -> u64 {
        let begun = self.spans.partition_point(|(span, _)| span.0 < at);
        let sent =
            self.spans.iter().take(begun).map(|(s, bytes)| span::sent_before(*bytes, *s, at));
        sent.fold(0, u64::saturating_add)
    }

    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.spans.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }
}

/// How flows become known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporting {
    /// Headers are mirrored and counted in bins.
    Mirror {
        /// Length of a bin.
        bin: Ns,
    },
    /// An exporter with an active timeout; the last report comes as the flow ends.
    Reports {
        /// The timeout.
        active: Ns,
    },
    /// Such reports, in files that are read when they are complete.
    Files {
        /// The timeout.
        active: Ns,
        /// How long a file collects.
        every: Ns,
    },
}

impl Reporting {
    /// Length of a report or bin.
    pub fn slot(self) -> Ns {
        match self {
            Self::Mirror { bin: slot }
            | Self::Reports { active: slot }
            | Self::Files { active: slot, .. } => slot,
        }
    }

    /// When what was complete at `at` is known.
    fn known(self, at: Ns) -> Ns {
        match self {
            Self::Mirror { .. } | Self::Reports { .. } => at,
            Self::Files { every, .. } => {
                let every = every.max(1);
                at.div_euclid(every).saturating_add(1).saturating_mul(every)
            }
        }
    }

    /// The span of the report or bin that begins at `from`, and when it is complete.
    fn next(self, from: Ns, flow: Span) -> (Span, Ns) {
        let until = from.saturating_add(self.slot());
        let last = until.min(flow.1);
        let complete = if matches!(self, Self::Mirror { .. }) { until } else { last };
        ((from.max(flow.0), last), complete)
    }
}

/// When a flow is known to be alpha, by the window rule or, if the setting has one, by the early rule.
/// `None` if its reports never show it.
pub fn known(flow: &Profile, reporting: Reporting, setting: &Setting) -> Option<Ns> {
    let (begin, end) = flow.span();
    let slot = reporting.slot();
    if slot.min(setting.t) <= 0 {
        return None;
    }
    let setting = Setting { slot: slot.min(setting.t), ..*setting };
    let mut from = match reporting {
        Reporting::Mirror { bin } => begin.div_euclid(bin) * bin,
        Reporting::Reports { .. } | Reporting::Files { .. } => begin,
    };
    let mut ring = Ring::default();
    // A flow that is one packet has a report too.
    let end = end.max(begin.saturating_add(1));
    let mut sent = 0;
    while from < end {
        let (span, complete) = reporting.next(from, (begin, end));
        let until = flow.before(span.1);
        let bytes = until - sent;
        if bytes > 0 {
            let taken = ring.take(span, bytes, &setting);
            let early = ring.running(&setting).is_some();
            let alpha = || ring.above(taken.since?, &setting);
            if early || until > setting.h && alpha().is_some() {
                return Some(reporting.known(complete));
            }
        }
        sent = until;
        from = from.saturating_add(slot);
    }
    None
}

/// Sums over alpha flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Flows.
    pub flows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Flows that were found.
    pub found: u64,
    /// Nanoseconds from their first packets until they were, in all.
    pub waited: u128,
    /// Flows of which something is redirected.
    pub redirected_flows: u64,
    /// Bytes redirected when every flow is looked for online.
    pub online: u64,
    /// Bytes redirected when only flows of the table are.
    pub gated: u64,
    /// Bytes redirected when flows of the table are from the first, by its entries, and the others are
    /// looked for online.
    pub with_table: u64,
    /// Bytes of flows of the table.
    pub table: u64,
}

impl Share {
    /// Adds a flow; `in_table`: the table has an entry for it when it begins.
    pub fn add(
        &mut self,
        flow: &Profile,
        in_table: bool,
        reporting: Reporting,
        install: Ns,
        setting: &Setting,
    ) {
        let (bytes, begin) = (flow.bytes(), flow.span().0);
        let known = known(flow, reporting, setting);
        let left = known.map_or(0, |at| bytes - flow.before(at.saturating_add(install)));
        self.flows += 1;
        self.found += u64::from(known.is_some());
        self.waited += known.map_or(0, |at| u128::from(span::length((begin, at))));
        self.redirected_flows += u64::from(left > 0);
        let add = |sum: &mut u64, bytes: u64| *sum = sum.saturating_add(bytes);
        add(&mut self.bytes, bytes);
        add(&mut self.online, left);
        add(&mut self.gated, if in_table { left } else { 0 });
        add(&mut self.with_table, if in_table { bytes } else { left });
        add(&mut self.table, if in_table { bytes } else { 0 });
    }

    /// A part of the bytes in percent; none without bytes.
    pub fn percent(&self, part: u64) -> Option<f64> {
        (self.bytes > 0).then(|| part as f64 * 100.0 / self.bytes as f64)
    }

    /// Mean seconds from the first packet until a flow was known, of those that were.
    pub fn mean_wait_s(&self) -> Option<f64> {
        (self.found > 0).then(|| self.waited as f64 / self.found as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_fam::time::SECOND;

    const S: Ns = SECOND;
    const START: Ns = 1000 * S + S / 4;

    /// 300 Mb/s: 37.5 MB a second, 1 GB after 26.7 s.
    fn flow(seconds: i64) -> Profile {
        let bytes = 37_500_000 * seconds as u64;
        Profile::new(vec![((START, START + seconds * S), bytes)])
    }

    fn waits(flow: &Profile, reporting: Reporting, early: u32) -> Option<f64> {
        let setting = Setting { early, ..Setting::default() };
        known(flow, reporting, &setting).map(|at| (at - START) as f64 / S as f64)
    }

    #[test]
    fn who_reports_sooner_knows_sooner() {
        let (mirror, ten) = (Reporting::Mirror { bin: S }, Reporting::Reports { active: 10 * S });
        let sixty = Reporting::Reports { active: 60 * S };
        let files = Reporting::Files { active: 60 * S, every: 300 * S };
        let flow = flow(100);
        assert_eq!(waits(&flow, ten, 0), Some(30.0));
        assert_eq!(waits(&flow, ten, 1), Some(10.0));
        assert_eq!(waits(&flow, ten, 2), Some(20.0));
        assert_eq!(waits(&flow, sixty, 0), Some(60.0));
        assert_eq!(waits(&flow, sixty, 1), Some(60.0));
        // Bins end on whole seconds. The first has three quarters of a second.
        assert_eq!(waits(&flow, mirror, 0), Some(26.75));
        assert_eq!(waits(&flow, mirror, 1), Some(0.75));
        // Known at 1200.
        assert_eq!(waits(&flow, files, 0), Some(199.75));
    }

    #[test]
    fn short_flows_end_first() {
        let ten = Reporting::Reports { active: 10 * S };
        assert_eq!(waits(&flow(28), ten, 0), Some(28.0), "as it ends");
        assert_eq!(waits(&flow(26), ten, 0), None, "not alpha");
        assert_eq!(waits(&Profile::default(), ten, 0), None);
        let mut share = Share::default();
        let setting = Setting::default();
        share.add(&flow(28), false, ten, 0, &setting);
        share.add(&flow(60), true, ten, 10 * S, &setting);
        assert_eq!((share.flows, share.found, share.redirected_flows), (2, 2, 1));
        assert_eq!(share.mean_wait_s(), Some(29.0));
        // 20 of the second one's 60 s are left.
        let second = 37_500_000;
        assert_eq!((share.online, share.gated), (20 * second, 20 * second));
        assert_eq!((share.with_table, share.table), (60 * second, 60 * second));
        assert_eq!(share.percent(share.online), Some(2000.0 / 88.0));
        assert_eq!(Share::default().percent(0), None);
    }

    /// Twice 20 s at 300 Mb/s with 50 s between them: never more than H in T.
    #[test]
    fn gaps_send_nothing() {
        let at = |from: i64| ((START + from * S, START + (from + 20) * S), 750_000_000);
        let flow = Profile::new(vec![at(70), at(0)]);
        assert_eq!(flow.span(), (START, START + 90 * S));
        assert_eq!(flow.before(START + 50 * S), 750_000_000);
        assert_eq!(waits(&flow, Reporting::Reports { active: 10 * S }, 0), None);
        let close = Profile::new(vec![at(30), at(0)]);
        assert_eq!(waits(&close, Reporting::Reports { active: 10 * S }, 0), Some(40.0));
    }
}
