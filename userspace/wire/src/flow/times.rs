// SPDX-License-Identifier: Apache-2.0 OR MIT
//! When a flow began and ended, whichever way its record says it.
//!
//! | elements | what they count |
//! | --- | --- |
//! | 150 to 157 | seconds, milli-, micro- or nanoseconds since 1970 |
//! | 158, 159 | microseconds back from the message's export time |
//! | 22, 21 | milliseconds since the exporter started |
//! | 162, 161 | micro- or milliseconds from the flow's begin to its end, where one of them is missing |
//!
//! The exporter's start is in the header of NetFlow v9: export time less uptime, whole seconds less
//! milliseconds, so it is known to a second. IPFIX tells it as `systemInitTimeMilliseconds` (160) in
//! the record or in an options record; without it these two elements say nothing. Uptimes are 32
//! bits wide and start again after 49.7 days: of the instants they may mean, the one nearest to the
//! export time is taken.
//!
//! The finest element that a record has wins. A time since 1970 of 0 is what exporters write that do
//! not know it; it counts as not told.

use super::NETFLOW_V9;
use super::element::{Element, Kind};
use super::record::{Record, Value, slice, value};
use super::template::Field;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// Begin and end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// First packet, nanoseconds since 1970; below 2^63.
    pub start_ns: u64,
    /// Last packet, likewise. An exporter may well say that it is before the first.
    pub end_ns: u64,
}

/// What a field counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// So many nanoseconds a step, since 1970.
    Since1970(u64),
    /// Microseconds back from the export time.
    BeforeExport,
    /// Milliseconds since the exporter started.
    Uptime,
}

/// The elements that tell the begin, the finest first.
const START: [(u16, Clock); 6] = [
    (156, Clock::Since1970(1)),
    (154, Clock::Since1970(MICROSECOND)),
    (152, Clock::Since1970(MILLISECOND)),
    (150, Clock::Since1970(SECOND)),
    (158, Clock::BeforeExport),
    (22, Clock::Uptime),
];

/// The elements that tell the end, the finest first.
const END: [(u16, Clock); 6] = [
    (157, Clock::Since1970(1)),
    (155, Clock::Since1970(MICROSECOND)),
    (153, Clock::Since1970(MILLISECOND)),
    (151, Clock::Since1970(SECOND)),
    (159, Clock::BeforeExport),
    (21, Clock::Uptime),
];

/// The elements that tell how long it lasted, with their nanoseconds a step.
const DURATION: [(u16, u64); 2] = [(162, MICROSECOND), (161, MILLISECOND)];

/// Indices of a template's fields that tell times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TimeFields {
    start: Box<[(u16, Clock)]>,
    end: Box<[(u16, Clock)]>,
    duration: Box<[(u16, u64)]>,
    /// `systemInitTimeMilliseconds`.
    init: Option<u16>,
}

impl TimeFields {
    pub(super) fn of(fields: &[Field]) -> Self {
        let find = |id: u16| {
            let index = fields.iter().position(|field| field.element == Element::iana(id))?;
            u16::try_from(index).ok()
        };
        let clocks = |of: &[(u16, Clock)]| {
            of.iter().filter_map(|(id, clock)| Some((find(*id)?, *clock))).collect()
        };
        Self {
            start: clocks(&START),
            end: clocks(&END),
            duration: DURATION.iter().filter_map(|(id, step)| Some((find(*id)?, *step))).collect(),
            init: find(160),
        }
    }
}

impl Record<'_> {
    /// When the flow began and ended; `None` unless the record tells both.
    pub fn times(&self) -> Option<Times> {
        let fields = &self.template.times;
        let (start_ns, end_ns) = match (self.instant(&fields.start), self.instant(&fields.end)) {
            (Some(start), Some(end)) => (start, end),
            (Some(start), None) => (start, start.checked_add(self.duration()?)?),
            (None, Some(end)) => (end.checked_sub(self.duration()?)?, end),
            (None, None) => return None,
        };
        let fits = |ns: u64| i64::try_from(ns).is_ok();
        (fits(start_ns) && fits(end_ns)).then_some(Times { start_ns, end_ns })
    }

    /// The first of these fields that tells an instant, in nanoseconds since 1970.
    fn instant(&self, fields: &[(u16, Clock)]) -> Option<u64> {
        fields.iter().find_map(|(index, clock)| {
            let told = self.whole(*index)?;
            match clock {
                Clock::Since1970(step) => told.checked_mul(*step).filter(|ns| *ns > 0),
                Clock::BeforeExport => self
                    .exported_ms()?
                    .checked_mul(MILLISECOND)?
                    .checked_sub(told.checked_mul(MICROSECOND)?),
                Clock::Uptime => self.at_uptime(u32::try_from(told).ok()?),
            }
        })
    }

    fn duration(&self) -> Option<u64> {
        let told = |(index, step): &(u16, u64)| self.whole(*index)?.checked_mul(*step);
        self.template.times.duration.iter().find_map(told)
    }

    /// The instant at which the exporter had been up for `at` milliseconds.
    fn at_uptime(&self, at: u32) -> Option<u64> {
        let exported = i64::try_from(self.exported_ms()?).ok()?;
        let ms = if self.header.version == NETFLOW_V9 {
            // Wrapped arithmetic: the sign says on which side of the export time it is nearest.
            exported - i64::from(self.header.uptime_ms.wrapping_sub(at) as i32)
        } else {
            let own = self.template.times.init.and_then(|index| self.whole(index));
            let init = own.filter(|init| *init > 0).or(self.system_init_ms)?;
            let unwrapped = i64::try_from(init).ok()?.checked_add(i64::from(at))?;
            let half = exported.checked_sub(unwrapped)?.checked_add(1 << 31)?;
            let wraps = half.div_euclid(1 << 32).max(0);
            unwrapped.checked_add(wraps << 32)?
        };
        u64::try_from(ms).ok()?.checked_mul(MILLISECOND)
    }

    /// The export time in milliseconds since 1970; `None` for an exporter without a clock.
    fn exported_ms(&self) -> Option<u64> {
        let seconds = u64::from(self.header.export_time);
        (seconds > 0).then_some(seconds * 1000)
    }

    /// The field as a number, if its octets are one of its kind.
    fn whole(&self, index: u16) -> Option<u64> {
        let index = usize::from(index);
        let kind: Kind = self.template.fields.get(index)?.kind;
        match value(kind, slice(self.bytes, *self.spans.get(index)?)) {
            Value::Unsigned(value) => Some(value),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "times_tests.rs"]
mod tests;
