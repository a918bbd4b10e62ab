// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is said on standard error about the files and the days of a run.

use crate::capacities::Capacities;
use crate::input::FileReport;
use crate::input::source::{Again, Sources};
use crate::state::Kept;
use crate::work::Far;
use std::collections::BTreeSet;
use telesteer_engine::notes::Oddity;
use telesteer_fam::Reading;
use telesteer_fam::lsp::Lsp;
use telesteer_fam::series::{Days, range};

/// Most remarks of one kind; the others are counted.
const SAID_MAX: usize = 10;

fn tell(remarks: impl ExactSizeIterator<Item = String>, table: &str) {
    let rest = remarks.len().saturating_sub(SAID_MAX);
    remarks.take(SAID_MAX).for_each(|remark| eprintln!("hntes: {remark}"));
    if rest > 0 {
        eprintln!("hntes: and {rest} more, see table {table}");
    }
}

/// Of files that were named before, and of pipes.
pub(super) fn of_sources(sources: &Sources) {
    let again = sources.again.iter().map(|Again { name, first }| {
        let (name, first) = (name.display(), first.display());
        format!("{name} is {first}, which was named before; it is read once")
    });
    tell(again, "named_again");
    for source in &sources.files {
        if let Some(octets) = source.copied() {
            let name = source.name.display();
            eprintln!("hntes: {name} is a pipe: {octets} octets are copied to be read again");
        }
    }
}

/// Of capacities without their LSP, and of LSPs without their capacity.
pub(super) fn of_capacities(capacities: &Capacities, known: &BTreeSet<Lsp>) {
    let unused = capacities.unused(known).into_iter();
    let unused = unused.map(|(lsp, _)| format!("--capacities: no alpha flow asks for LSP {lsp}"));
    tell(unused, "unused_capacities");
    let missing = capacities.missing(known).into_iter();
    let missing = missing.map(|lsp| format!("--capacities: none is listed of LSP {lsp}"));
    tell(missing, "lsp_utilisation");
}

/// Says what a run would be misread without.
pub(super) fn say(
    reports: &[FileReport],
    days: &Days,
    stayed: &[Kept],
    far: &[Far],
    reading: &Reading,
) {
    let of_days = of_stayed(stayed, reading).chain(unknown_sampling(days));
    let of_days = far.iter().map(|far| of_far(far, reading)).chain(of_days);
    for remark in reports.iter().flat_map(of_file).chain(of_days).chain(missing(days, reading)) {
        eprintln!("hntes: {remark}");
    }
}

/// Of lines that are no record, and of odd records. Those of unknown sampling are told of all files
/// at once; by file they are in the table of notes.
fn of_file(report: &FileReport) -> Vec<String> {
    let path = report.path.display();
    let bad: u64 = report.bad.values().map(|bad| bad.lines).sum();
    let mut remarks = Vec::new();
    if let Some(failed) = &report.failed {
        remarks.push(failed.clone());
    } else if bad > 0 {
        remarks.push(format!("{path}: {bad} lines are no record"));
    }
    for (oddity, note) in report.notes.seen().filter(|seen| seen.0 != Oddity::UnknownSampling) {
        let (records, odd, first) = (note.records, oddity.name(), note.first);
        remarks.push(format!("{path}: {records} records {odd}, the first in line {first}"));
    }
    remarks
}

/// Of days between the first and the last of which there is no record.
fn missing(days: &Days, reading: &Reading) -> Option<String> {
    let missing: Vec<_> = range(days).filter(|day| !days.contains_key(day)).collect();
    let first = reading.calendar.label(*missing.first()?);
    Some(format!("{} intervals without any record, the first is {first}", missing.len()))
}

fn of_stayed(stayed: &[Kept], reading: &Reading) -> impl Iterator<Item = String> {
    stayed.iter().map(|Kept { day, kept, read }| {
        let day = reading.calendar.label(*day);
        format!("{day} stays as it is kept: it has {kept} records, {read} were read; see --replace")
    })
}

/// Of records whose clock nobody believes.
fn of_far(far: &Far, reading: &Reading) -> String {
    let (path, records) = (far.path.display(), far.records);
    let [first, last] = [far.first, far.last].map(|day| reading.calendar.label(day));
    format!(
        "{path}: {records} records from {first} to {last} are too far from all others; see --far"
    )
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
