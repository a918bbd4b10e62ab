// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What was read, and what was wrong with it.

use super::{Cell, Table};
use crate::input::FileReport;
use crate::input::source::Again;
use crate::work::Far;
use telesteer_fam::Reading;
use telesteer_fam::series::{Days, range};

/// One row per file; a file with faults has one more per fault.
pub fn files(reports: &[FileReport]) -> Table {
    let columns = ["path", "format", "records", "bad_lines"];
    let mut table = Table::new("files", "files read", &columns).long();
    for report in reports {
        let format = report.format.map_or("empty", |format| match format {
            crate::input::Format::Csv => "csv",
            crate::input::Format::Nfdump => "nfdump",
            crate::input::Format::Json => "json",
            crate::input::Format::Parquet => "parquet",
            crate::input::Format::Ipfix => "ipfix",
            crate::input::Format::Capture => "capture",
        });
        let bad: u64 = report.bad.values().map(|bad| bad.lines).sum();
        let path = report.path.display().to_string();
        table.push([path.into(), format.into(), report.records.into(), bad.into()]);
    }
    table
}

/// Files that were named before, under the same name or another.
pub fn named_again(again: &[Again]) -> Table {
    let title = "files that were named before; each is read once";
    let mut table = Table::new("named_again", title, &["path", "first_named_as"]);
    for Again { name, first } in again {
        table.push([name, first].map(|path| path.display().to_string().into()));
    }
    table
}

/// Faults of lines, by file.
pub fn bad_lines(reports: &[FileReport]) -> Table {
    let columns = ["path", "reason", "lines", "first_line"];
    let mut table = Table::new("bad_lines", "lines that are no record", &columns);
    for report in reports {
        let path = report.path.display().to_string();
        if let Some(failed) = &report.failed {
            table.push([path.as_str().into(), failed.as_str().into(), Cell::None, Cell::None]);
        }
        for (reason, bad) in &report.bad {
            let path = path.as_str();
            table.push([path.into(), reason.as_str().into(), bad.lines.into(), bad.first.into()]);
        }
    }
    table
}

/// What is odd about records, by file.
pub fn notes(reports: &[FileReport]) -> Table {
    let columns = ["path", "records_that", "records", "first_line"];
    let mut table = Table::new("notes", "odd records", &columns);
    for report in reports {
        let path = report.path.display().to_string();
        for (oddity, note) in report.notes.seen() {
            let (path, name) = (path.as_str(), oddity.name());
            table.push([path.into(), name.into(), note.records.into(), note.first.into()]);
        }
    }
    table
}

/// Records on days that are not believed, by file.
pub fn far_records(far: &[Far], reading: &Reading) -> Table {
    let columns = ["path", "records", "first_day", "last_day"];
    let title = "records on days too far from all others, left out";
    let mut table = Table::new("far_records", title, &columns);
    for Far { path, records, first, last } in far {
        let [first, last] = [first, last].map(|day| Cell::from(reading.calendar.label(*day)));
        table.push([path.display().to_string().into(), (*records).into(), first, last]);
    }
    table
}

/// Records of each day that were left out, and why. Days without any record are named too.
pub fn left_out(days: &Days, reading: &Reading) -> Table {
    let columns = [
        "day",
        "missing",
        "unknown_sampling",
        "unknown_octets",
        "unknown_above_h",
        "negative_duration",
        "too_long",
        "other_exporter",
    ];
    let mut table = Table::new("left_out", "days with records left out, days missing", &columns);
    for day in range(days) {
        let label = Cell::from(reading.calendar.label(day));
        let Some(alpha) = days.get(&day) else {
            table.push([label, true.into()].into_iter().chain((0..6).map(|_| Cell::None)));
            continue;
        };
        let totals = &alpha.totals;
        let counts = [
            totals.unknown_sampling,
            totals.unknown_octets,
            totals.unknown_above,
            totals.negative,
            totals.too_long,
            totals.other_exporter,
        ];
        if counts.iter().any(|count| *count > 0) {
            let counts = counts.map(Cell::from);
            table.push([label, false.into()].into_iter().chain(counts));
        }
    }
    table
}
