// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The hypothesis behind offline tables, and how long prefix flows live.

use super::{Cell, Table};
use telesteer_fam::Calendar;
use telesteer_fam::hypothesis::{NEW_PERCENT_MOST, STABLE_PERCENT_LEAST, Verdict, evidence, lives};
use telesteer_fam::series::PairHistory;

/// The figures of each width, and what they say.
pub fn hypothesis(histories: &[PairHistory], calendar: &Calendar) -> Table {
    let columns = [
        "width",
        "verdict",
        "intervals",
        "horizon",
        "stable_percent",
        "stable_percent_least",
        "new_percent",
        "new_percent_most",
        "candidates",
        "candidate_bytes",
        "stable_prefix_flows",
        "stable_bytes",
        "late_prefix_flows",
        "late_new_prefix_flows",
    ];
    let title = "whether alpha flows come from addresses that stay";
    let mut table = Table::new("hypothesis", title, &columns);
    for history in histories {
        let found = evidence(history, calendar);
        let verdict = match found.verdict() {
            Verdict::Holds => "holds",
            Verdict::False => "false",
            Verdict::Open => "open",
        };
        table.push([
            history.width.label().into(),
            verdict.into(),
            found.intervals.into(),
            found.horizon.into(),
            Cell::real(found.stable_percent(), 2),
            Cell::real(STABLE_PERCENT_LEAST, 0),
            Cell::real(found.new_percent(), 2),
            Cell::real(NEW_PERCENT_MOST, 0),
            found.candidates.into(),
            found.candidate_bytes.into(),
            found.stable.into(),
            found.stable_bytes.into(),
            found.late.into(),
            found.late_new.into(),
        ]);
    }
    table
}

/// Longest span of each class of lives, in intervals.
const SPANS: [u64; 5] = [0, 6, 29, 89, u64::MAX];

/// Prefix flows by the intervals from their first alpha flow to their last.
pub fn lifetimes(histories: &[PairHistory]) -> Table {
    let columns = ["width", "span_from", "span_to", "prefix_flows", "alpha_bytes"];
    let title = "prefix flows by intervals from first to last alpha flow";
    let mut table = Table::new("lifetimes", title, &columns);
    for history in histories {
        let lives = lives(history);
        let mut from = 0;
        for to in SPANS {
            let within = || lives.values().filter(|life| (from..=to).contains(&life.span()));
            let bytes = within().fold(0u64, |sum, life| sum.saturating_add(life.alpha_bytes));
            table.push([
                history.width.label().into(),
                from.into(),
                if to == u64::MAX { Cell::None } else { to.into() },
                within().count().into(),
                bytes.into(),
            ]);
            from = to.saturating_add(1);
        }
    }
    table
}
