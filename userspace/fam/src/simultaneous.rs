// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many alpha raw flows are on an LSP at the same time.

use crate::day::RawFlow;
use crate::lsp::Lsp;
use crate::reading::Reading;
use crate::series::Days;
use crate::span;
use crate::time::{Ns, SECOND};
use serde::Serialize;
use std::collections::BTreeMap;

/// The simultaneous alpha flows of one LSP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Meeting {
    /// The LSP.
    pub lsp: Lsp,
    /// Raw flows.
    pub flows: u64,
    /// Most at once.
    pub most: u64,
    /// When that was first so.
    pub most_at: Ns,
    /// Nanoseconds with at least 1, 2, … flows.
    pub time_at_least: Vec<u64>,
    /// Most bit/s of all their reports together, each at its mean rate.
    pub peak_bps: u64,
}

/// Sweeps over the flows of each LSP. A raw flow stays `[first, last)`; its adjacent reports are one
/// stay, and an end comes before a beginning at the same instant.
pub fn meetings(days: &Days, reading: &Reading) -> Vec<Meeting> {
    let mut by_lsp: BTreeMap<Lsp, Vec<&RawFlow>> = BTreeMap::new();
    for flow in days.values().flat_map(|day| &day.flows) {
        by_lsp.entry(flow.lsp()).or_default().push(flow);
    }
    by_lsp.into_iter().map(|(lsp, flows)| meeting(lsp, &flows, reading.adjacent)).collect()
}

fn meeting(lsp: Lsp, flows: &[&RawFlow], adjacent: Ns) -> Meeting {
    let mut events: Vec<(Ns, i64)> = Vec::new();
    let mut rates: Vec<(Ns, i128)> = Vec::new();
    for flow in flows {
        let spans = flow.reports.iter().map(|report| (report.first, report.last)).collect();
        for (first, last) in span::union(spans, adjacent) {
            events.extend([(first, 1), (last, -1)]);
        }
        for report in flow.reports.iter().filter(|report| report.duration() > 0) {
            let bits = u128::from(report.bytes) * 8 * SECOND as u128;
            let rate = (bits / u128::from(report.duration())) as i128;
            rates.extend([(report.first, rate), (report.last, -rate)]);
        }
    }
    // At one instant the smaller step, the end, sorts first.
    events.sort_unstable();
    rates.sort_unstable();
    let mut meeting = Meeting {
        lsp,
        flows: flows.len() as u64,
        most: 0,
        most_at: events.first().map_or(0, |event| event.0),
        time_at_least: Vec::new(),
        peak_bps: 0,
    };
    let (mut now, mut since) = (0i64, 0);
    for (at, step) in events {
        let length = span::length((since, at));
        for time in meeting.time_at_least.iter_mut().take(now.max(0) as usize) {
            *time += length;
        }
        (now, since) = (now + step, at);
        if now.max(0) as u64 > meeting.most {
            meeting.most = now as u64;
            meeting.most_at = at;
            meeting.time_at_least.push(0);
        }
    }
    let mut rate = 0i128;
    for (_, step) in rates {
        rate += step;
        meeting.peak_bps = meeting.peak_bps.max(u64::try_from(rate).unwrap_or(0));
    }
    meeting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::read;
    use crate::testing::record;

    const GB: u64 = 1_000_000_000;

    /// a: 0-60 and 60-100 s, b: 50-80 s, c: 80-90 s and, after a second, 91-100 s.
    #[test]
    fn ends_come_before_beginnings() {
        let records = [
            record("192.0.2.1", "198.51.100.1", 0, 60, 6 * GB),
            record("192.0.2.1", "198.51.100.1", 60, 100, 2 * GB),
            record("192.0.2.2", "198.51.100.1", 50, 80, 3 * GB),
            record("192.0.2.3", "198.51.100.1", 80, 90, 2 * GB),
            record("192.0.2.3", "198.51.100.1", 91, 100, 90),
        ];
        let reading = Reading::default();
        let found = meetings(&read(&records, &reading), &reading);
        let seconds = |list: &[u64]| list.iter().map(|s| s * SECOND as u64).collect::<Vec<_>>();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].flows, found[0].most, found[0].most_at), (3, 2, 50 * SECOND));
        assert_eq!(found[0].time_at_least, seconds(&[100, 49]));
        assert_eq!(found[0].peak_bps, 2_000_000_000, "80-90 s: 0.4 + 1.6 Gb/s, not 50-60 s");

        let near = Reading { adjacent: SECOND, ..Reading::default() };
        assert_eq!(meetings(&read(&records, &near), &near)[0].time_at_least, seconds(&[100, 50]));
    }

    #[test]
    fn other_lsps_do_not_meet() {
        let mut records = [
            record("192.0.2.1", "198.51.100.1", 0, 60, 2 * GB),
            record("192.0.2.2", "198.51.100.1", 0, 60, 2 * GB),
        ];
        records[1].out_if = 5;
        let reading = Reading::default();
        let found = meetings(&read(&records, &reading), &reading);
        assert_eq!(found.iter().map(|meeting| meeting.most).collect::<Vec<_>>(), [1, 1]);
    }
}
