// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Groups of alike rows as totals of days.

use std::net::IpAddr;

use arrow_array::RecordBatch;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use telesteer_fam::Reading;
use telesteer_fam::screen::{self, Totals};

use super::text;
use crate::Error;
use crate::rows::{number, text as column, value};
use crate::totals::{Assumed, Days, rate};

/// Totals so far.
pub(super) struct Groups<'r> {
    slot: i64,
    by: (bool, bool),
    assumed: &'r Assumed,
    reading: &'r Reading,
    days: Days,
    no_rate: u64,
}

impl<'r> Groups<'r> {
    pub(super) fn new(question: &text::Totals, assumed: &'r Assumed, reading: &'r Reading) -> Self {
        let (slot, by) = (question.slot, question.by);
        Self { slot, by, assumed, reading, days: Days::new(), no_rate: 0 }
    }

    /// Adds groups.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let slot = number::<Int64Type>(batch, "slot")?;
        let exporter = column(batch, "exporter")?;
        let in_if = number::<UInt32Type>(batch, "in_if")?;
        let observed = number::<UInt32Type>(batch, "sampling")?;
        let taken = number::<UInt32Type>(batch, "taken")?;
        let fault = number::<Int64Type>(batch, "fault")?;
        let over = number::<UInt64Type>(batch, "spare")?;
        let rows = number::<Int64Type>(batch, "n")?;
        let above = number::<Int64Type>(batch, "above")?;
        let high = number::<UInt64Type>(batch, "high")?;
        let low = number::<UInt64Type>(batch, "low")?;
        for row in 0..batch.num_rows() {
            let count = rows.value(row).max(0) as u64;
            let taken = value(&taken, row);
            let Ok(own) = rate(value(&observed, row), taken) else {
                self.no_rate += count;
                continue;
            };
            let (mut counts, mut sampling) = (true, own.or(self.assumed.rest));
            if self.by.0 {
                let exporter: IpAddr =
                    exporter.value(row).parse().map_err(|_| "bad exporter".to_owned())?;
                let exporter = exporter.to_canonical();
                counts = screen::counts(exporter, in_if.value(row), self.reading);
                sampling = self.assumed.sampling(own, exporter);
            }
            let times = (u128::from(high.value(row)) << 32) + u128::from(low.value(row));
            let per = u128::from(taken.unwrap_or(1).max(1));
            let (over, many) = (u128::from(over.value(row)), u128::from(count));
            let octets = times * per + over * many;
            let day = self.reading.calendar.day(slot.value(row).saturating_mul(self.slot));
            let of_day = self.days.entry(day).or_default();
            of_day.merge(&match (counts, fault.value(row), sampling) {
                (false, _, _) => Totals { other_exporter: count, ..Totals::default() },
                (_, 1, _) => Totals { negative: count, ..Totals::default() },
                (_, 2, _) => Totals { too_long: count, ..Totals::default() },
                (_, _, None) => Totals {
                    unknown_sampling: count,
                    unknown_octets: clip(octets),
                    unknown_above: above.value(row).max(0) as u64,
                    ..Totals::default()
                },
                (_, _, Some(sampling)) => {
                    // Of o = times · taken + over, only `over` is rounded when it is scaled.
                    let bytes = match (own.is_some(), sampling.ratio()) {
                        (true, (observed, _)) => {
                            let rest = sampling.scale(over as u64);
                            times * u128::from(observed) + u128::from(rest) * many
                        }
                        (false, (observed, 1)) => octets * u128::from(observed),
                        (false, _) => return Err("an assumed rate is no whole number".to_owned()),
                    };
                    Totals { records: count, bytes: clip(bytes), ..Totals::default() }
                }
            });
        }
        Ok(())
    }

    /// The days; an error if a row was no record.
    pub(super) fn finish(self) -> Result<Days, Error> {
        if self.no_rate > 0 { Err(Error::Sampling(self.no_rate)) } else { Ok(self.days) }
    }
}

fn clip(sum: u128) -> u64 {
    u64::try_from(sum).unwrap_or(u64::MAX)
}
