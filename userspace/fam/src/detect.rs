// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which reports of one transport flow are alpha reports.

use crate::lsp::{self, Egress};
use crate::reading::{Detector, LongReport, Reading};
use crate::record::Record;
use crate::span;
use crate::time::Ns;
use serde::{Deserialize, Serialize};

/// What one record says about its flow. Ordered by time, then by everything else, so that equal
/// sets of reports become equal lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Report {
    /// First packet.
    pub first: Ns,
    /// Last packet.
    pub last: Ns,
    /// Scaled bytes.
    pub bytes: u64,
    /// Where it left.
    pub egress: Egress,
    /// Whether it is an alpha report.
    pub alpha: bool,
}

impl Report {
    /// Duration.
    pub fn duration(&self) -> u64 {
        span::length((self.first, self.last))
    }
}

/// What a record of scaled `bytes` says.
pub fn report(record: &Record, bytes: u64, reading: &Reading) -> Report {
    let egress = lsp::egress(record, reading);
    Report { first: record.first, last: record.last, bytes, egress, alpha: false }
}

/// Whether a report is too long for its bytes to have been sent within T for certain.
fn long(report: &Report, reading: &Reading) -> bool {
    reading.long_report == LongReport::Spread
        && report.duration() > reading.t.saturating_add(reading.grace).max(0) as u64
}

/// Whether a report alone is above the threshold.
pub fn alone(report: &Report, reading: &Reading) -> bool {
    reading.above(if long(report, reading) {
        span::share(report.bytes, reading.t.max(0) as u64, report.duration())
    } else {
        report.bytes
    })
}

/// Marks the alpha reports of one flow; `reports` are sorted by it. Returns whether an alpha
/// report had to be spread, which makes the finding approximate.
pub fn mark(reports: &mut [Report], reading: &Reading) -> bool {
    for report in reports.iter_mut() {
        report.alpha = alone(report, reading);
    }
    reports.sort_unstable();
    if reading.detector == Detector::Window {
        window(reports, reading);
    }
    reports.iter().any(|report| report.alpha && long(report, reading))
}

/// Marks what lies in a window above the threshold. The bytes in the window `[t, t + T]`, as a
/// function of t, jump where a short report comes in or falls out, and bend where a long one begins
/// or ends: its maximum lies at one of these instants.
fn window(reports: &mut [Report], reading: &Reading) {
    let t = reading.t.max(0);
    // A report within grace is one of T: it has to lie in a window of its own length.
    let reach = t.saturating_add(reading.grace.max(0));
    let mut starts: Vec<Ns> = Vec::with_capacity(reports.len() * 2);
    for report in reports.iter() {
        starts.extend([report.first, report.last.saturating_sub(t)]);
        if long(report, reading) {
            starts.extend([report.last, report.first.saturating_sub(t)]);
        }
    }
    starts.sort_unstable();
    starts.dedup();
    let longest = reports.iter().map(Report::duration).max().unwrap_or(0);
    let longest = Ns::try_from(longest).unwrap_or(Ns::MAX);
    let mut marked = vec![false; reports.len()];
    for start in starts {
        let end = start.saturating_add(t);
        // Reports are sorted by `first`; none before this one reaches into the window.
        let from = reports.partition_point(|r| r.first < start.saturating_sub(longest));
        let inside = |report: &Report| -> u64 {
            if long(report, reading) {
                let part = span::length((report.first.max(start), report.last.min(end)));
                span::share(report.bytes, part, report.duration())
            } else if report.first >= start
                && (report.last <= end
                    || report.first == start && report.last <= start.saturating_add(reach))
            {
                report.bytes
            } else {
                0
            }
        };
        let near = || reports[from..].iter().take_while(|report| report.first <= end);
        let sum = near().fold(0u64, |sum, report| sum.saturating_add(inside(report)));
        if reading.above(sum) {
            for (mark, report) in marked[from..].iter_mut().zip(near()) {
                *mark |= inside(report) > 0;
            }
        }
    }
    for (report, mark) in reports.iter_mut().zip(marked) {
        report.alpha |= mark;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    const GB: u64 = 1_000_000_000;

    fn report(first: i64, last: i64, bytes: u64) -> Report {
        let (first, last) = (first * SECOND, last * SECOND);
        Report { first, last, bytes, egress: Egress::Unknown, alpha: false }
    }

    fn alpha(reading: &Reading, reports: &[Report]) -> Vec<bool> {
        let mut reports = reports.to_vec();
        mark(&mut reports, reading);
        reports.iter().map(|report| report.alpha).collect()
    }

    fn window() -> Reading {
        Reading { detector: Detector::Window, ..Reading::default() }
    }

    #[test]
    fn a_report_exceeds_or_not() {
        let reading = Reading::default();
        let reports = [report(0, 60, GB), report(60, 120, GB + 1), report(120, 121, GB - 1)];
        assert_eq!(alpha(&reading, &reports), [false, true, false]);
        assert_eq!(alpha(&window(), &reports), [false, true, false]);
    }

    /// 600 + 600 MB within 60 s, then 600 MB that share no window of 60 s with them.
    #[test]
    fn short_reports_add_up_in_a_window() {
        let reports = [
            report(0, 10, 600_000_000),
            report(50, 60, 600_000_000),
            report(111, 120, 600_000_000),
        ];
        assert_eq!(alpha(&Reading::default(), &reports), [false; 3]);
        assert_eq!(alpha(&window(), &reports), [true, true, false]);
        let mut apart = reports;
        apart[1].last += 1;
        assert_eq!(alpha(&window(), &apart), [false; 3], "61 s and a nanosecond");
        let exactly = [report(0, 10, 500_000_000), report(50, 60, 500_000_000)];
        assert_eq!(alpha(&window(), &exactly), [false; 2], "b = H");
    }

    /// A window that begins between two firsts: the last two of three.
    #[test]
    fn a_window_may_begin_anywhere() {
        let reports = [report(0, 50, 300), report(40, 90, 800), report(60, 100, 300)];
        let reading = Reading { h: 1000, ..window() };
        assert_eq!(alpha(&reading, &reports), [false, true, true]);
    }

    /// 300 s at 200 Mb/s are 1.5 GB in 60 s; at 100 Mb/s they are 0.75 GB.
    #[test]
    fn long_reports_are_spread() {
        let mut fast = [report(0, 300, 7_500_000_000)];
        let mut slow = [report(0, 300, 3_750_000_000)];
        for reading in [Reading::default(), window()] {
            assert!(mark(&mut fast, &reading) && fast[0].alpha, "approximate");
            assert!(!mark(&mut slow, &reading) && !slow[0].alpha);
        }
        let whole = Reading { long_report: LongReport::Whole, ..Reading::default() };
        assert!(!mark(&mut slow, &whole) && slow[0].alpha, "alpha, and not approximate");
        // 40 s of the long one at 100 Mb/s lie in a window with the short one.
        let mixed = [report(0, 300, 3_750_000_000), report(290, 320, 700_000_000)];
        assert_eq!(alpha(&window(), &mixed), [true, true]);
    }

    #[test]
    fn grace_is_for_late_timers() {
        let late = [report(0, 61, GB + 1)];
        for detector in [Detector::Report, Detector::Window] {
            let mut reading = Reading { detector, ..Reading::default() };
            assert_eq!(alpha(&reading, &late), [false], "60/61 of it");
            reading.grace = SECOND;
            assert_eq!(alpha(&reading, &late), [true]);
        }
    }
}
