// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Totals by day from columns.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use telesteer_fam::reading::{Exporters, Reading};
use telesteer_fam::screen::{self, Fault, Totals};
use telesteer_fam::{Day, Ns};

use crate::notes::Notes;
use crate::rows::{number, text, value};
use crate::totals::{self, Assumed, Days, rate};

/// Columns that decide what every record counts, then those that some readings ask for too. Not every
/// file has the first.
const COLUMNS: [&str; 8] = [
    "export_s",
    "first_ns",
    "last_ns",
    "octets",
    "sampling",
    "sampling_taken",
    "exporter",
    "in_if",
];

/// One worker's totals.
#[derive(Debug)]
pub(crate) struct Tally<'r> {
    reading: &'r Reading,
    assumed: &'r Assumed,
    days: Days,
    /// The day of the row before, from when to when it lasts, and its totals: rows come sorted, nearly.
    now: Option<(Day, Ns, Ns)>,
    of_now: Totals,
    /// By the number of the file.
    notes: BTreeMap<usize, Notes>,
}

impl<'r> Tally<'r> {
    pub(crate) fn new(reading: &'r Reading, assumed: &'r Assumed) -> Self {
        let (days, of_now) = (Days::new(), Totals::default());
        Self { reading, assumed, days, now: None, of_now, notes: BTreeMap::new() }
    }

    /// The columns that [`Self::add`] needs.
    pub(crate) fn columns(reading: &Reading, assumed: &Assumed) -> &'static [&'static str] {
        match reading.exporters {
            Exporters::Ingress(_) => &COLUMNS,
            Exporters::All if assumed.of.is_empty() => &COLUMNS[..6],
            Exporters::All | Exporters::Only(_) => &COLUMNS[..7],
        }
    }

    /// Counts the rows of a batch, of which the first is number `from` of its file. Fails at a row
    /// that is no record.
    pub(crate) fn add(
        &mut self,
        batch: &RecordBatch,
        file: usize,
        path: &Path,
        from: u64,
    ) -> Result<(), String> {
        let mut notes = self.notes.remove(&file).unwrap_or_else(|| Notes::of(path));
        let outcome = self.add_noting(batch, &mut notes, from);
        self.notes.insert(file, notes);
        outcome
    }

    fn add_noting(
        &mut self,
        batch: &RecordBatch,
        notes: &mut Notes,
        from: u64,
    ) -> Result<(), String> {
        let export = number::<Int64Type>(batch, "export_s").ok();
        let (first, last) =
            (number::<Int64Type>(batch, "first_ns")?, number::<Int64Type>(batch, "last_ns")?);
        let octets = number::<UInt64Type>(batch, "octets")?;
        let observed = number::<UInt32Type>(batch, "sampling")?;
        let taken = number::<UInt32Type>(batch, "sampling_taken")?;
        let columns = Self::columns(self.reading, self.assumed);
        let exporter = if columns.len() > 6 { Some(text(batch, "exporter")?) } else { None };
        let in_if =
            if columns.len() > 7 { Some(number::<UInt32Type>(batch, "in_if")?) } else { None };
        for row in 0..batch.num_rows() {
            let own = rate(value(&observed, row), value(&taken, row));
            let own = own.map_err(|()| "a row has a sampling rate that is none".to_owned())?;
            let (mut counts, mut sampling) = (true, own.or(self.assumed.rest));
            if let Some(exporter) = &exporter {
                let exporter: IpAddr =
                    exporter.value(row).parse().map_err(|_| "bad exporter".to_owned())?;
                let exporter = exporter.to_canonical();
                let in_if = in_if.as_ref().map_or(0, |in_if| in_if.value(row));
                counts = screen::counts(exporter, in_if, self.reading);
                sampling = self.assumed.sampling(own, exporter);
            }
            let (life, octets) = ((first.value(row), last.value(row)), octets.value(row));
            let export_s = export.as_ref().and_then(|export| value(export, row));
            notes.look(from + row as u64, life, sampling, export_s);
            let outcome = if counts {
                screen::scaled(life, octets, sampling, self.reading)
            } else {
                Err(Fault::OtherExporter)
            };
            self.turn_to(life.0);
            self.of_now.add(octets, outcome, self.reading);
        }
        Ok(())
    }

    /// Makes the day of `at` the one that is added to.
    fn turn_to(&mut self, at: Ns) {
        if self.now.is_some_and(|(_, from, until)| from <= at && at < until) {
            return;
        }
        self.put_away();
        let day = self.reading.calendar.day(at);
        let (from, until) = self.reading.calendar.around(at);
        self.now = Some((day, from, until));
    }

    fn put_away(&mut self) {
        if let Some((day, _, _)) = self.now.take() {
            self.days.entry(day).or_default().merge(&std::mem::take(&mut self.of_now));
        }
    }

    /// Adds what another worker counted.
    pub(crate) fn merge(&mut self, mut other: Self) {
        other.put_away();
        totals::merge(&mut self.days, other.days);
        for (file, notes) in other.notes {
            match self.notes.get_mut(&file) {
                Some(ours) => ours.merge(&notes),
                None => {
                    self.notes.insert(file, notes);
                }
            }
        }
    }

    /// The days, and what is odd by the number of the file.
    pub(crate) fn finish(mut self) -> (Days, BTreeMap<usize, Notes>) {
        self.put_away();
        (self.days, self.notes)
    }
}
