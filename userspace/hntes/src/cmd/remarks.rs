// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is said on standard error about the days of a run.

use crate::state::Kept;
use telesteer_fam::Reading;
use telesteer_fam::series::Days;

/// Says what a run would be misread without.
pub(super) fn say(days: &Days, stayed: &[Kept], reading: &Reading) {
    for remark in of_stayed(stayed, reading).chain(unknown_sampling(days)) {
        eprintln!("hntes: {remark}");
    }
}

fn of_stayed(stayed: &[Kept], reading: &Reading) -> impl Iterator<Item = String> {
    stayed.iter().map(|Kept { day, kept, read }| {
        let day = reading.calendar.label(*day);
        format!("{day} stays as it is kept: it has {kept} records, {read} were read; see --replace")
    })
}

/// Of records that are left out because nobody says what they stand for.
fn unknown_sampling(days: &Days) -> Option<String> {
    let sum = |of: fn(&telesteer_fam::screen::Totals) -> u64| {
        days.values().map(|day| of(&day.totals)).sum::<u64>()
    };
    let unknown = sum(|totals| totals.unknown_sampling);
    let others = sum(|totals| totals.records + totals.negative + totals.too_long);
    let all = unknown + others;
    (unknown > 0)
        .then(|| format!("{unknown} of {all} records have unknown sampling; see --assume-sampling"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_fam::Day;
    use telesteer_fam::day::AlphaDay;

    #[test]
    fn unknown_sampling_is_counted_over_all_days() {
        let mut day = AlphaDay::default();
        assert_eq!(unknown_sampling(&Days::from([(Day(1), day.clone())])), None);
        (day.totals.records, day.totals.unknown_sampling) = (5, 2);
        (day.totals.negative, day.totals.other_exporter) = (1, 9);
        let days = Days::from([(Day(1), day.clone()), (Day(2), day)]);
        let said = "4 of 16 records have unknown sampling; see --assume-sampling";
        assert_eq!(unknown_sampling(&days).as_deref(), Some(said));
    }
}
