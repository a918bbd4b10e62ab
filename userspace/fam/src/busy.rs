// SPDX-License-Identifier: Apache-2.0 OR MIT
//! When redirected alpha flows were on an LSP, for all policies at once.

use crate::span::{self, Span};
use crate::time::{Calendar, Day, Ns};
use std::collections::BTreeMap;

/// Disjoint spans of time in order, each with the lowest level of [`crate::gaps::Levels`] whose table
/// redirected an alpha report then. Memory: O(alpha reports).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    spans: Vec<(Span, u32)>,
}

impl Busy {
    /// Of alpha reports with the levels of their flows.
    pub fn new(reports: impl IntoIterator<Item = (Span, u32)>) -> Self {
        let reports = reports.into_iter().filter(|((first, last), _)| first < last);
        let mut events: Vec<(Ns, u32, bool)> = reports
            .flat_map(|((first, last), level)| [(first, level, true), (last, level, false)])
            .collect();
        events.sort_unstable();
        let mut active: BTreeMap<u32, u64> = BTreeMap::new();
        let mut spans: Vec<(Span, u32)> = Vec::new();
        let mut since = Ns::MIN;
        for (at, level, begins) in events {
            if since < at
                && let Some((lowest, _)) = active.first_key_value()
            {
                match spans.last_mut() {
                    Some((span, same)) if span.1 == since && *same == *lowest => span.1 = at,
                    _ => spans.push(((since, at), *lowest)),
                }
            }
            since = at;
            let count = active.entry(level).or_default();
            *count = if begins { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                active.remove(&level);
            }
        }
        Self { spans }
    }

    /// The spans.
    pub fn spans(&self) -> &[(Span, u32)] {
        &self.spans
    }

    /// Hands the spans to `each` by the interval they lie in; one that crosses the end of an interval
    /// in parts. What is handed out for an interval does not change with what begins after it.
    pub fn by_day(&self, calendar: &Calendar, mut each: impl FnMut(Day, Span, u32)) {
        let mut last: Option<(Day, Span, u32)> = None;
        for (span, level) in &self.spans {
            let mut at = span.0;
            while at < span.1 {
                let until = calendar.around(at).1.min(span.1);
                // An interval may have parts where the zone changes: they are one again.
                match &mut last {
                    Some((day, before, same))
                        if *day == calendar.day(at) && before.1 == at && *same == *level =>
                    {
                        before.1 = until;
                    }
                    _ => {
                        let next = (calendar.day(at), (at, until), *level);
                        if let Some((day, span, level)) = last.replace(next) {
                            each(day, span, level);
                        }
                    }
                }
                at = until;
            }
        }
        if let Some((day, span, level)) = last {
            each(day, span, level);
        }
    }

    /// Bytes of a record in proportion to the part of its `life` during which alpha flows were there:
    /// `each` gets a level and the bytes that its table exposes beyond those of the level below. A
    /// single packet is there or not.
    pub fn exposed(&self, bytes: u64, life: Span, mut each: impl FnMut(u32, u64)) {
        let point = life.0 >= life.1;
        let seen = if point { (life.0, life.0.saturating_add(1)) } else { life };
        let from = self.spans.partition_point(|(other, _)| other.1 <= seen.0);
        let mut met: BTreeMap<u32, u64> = BTreeMap::new();
        for (other, level) in self.spans[from..].iter().take_while(|(other, _)| other.0 < seen.1) {
            let part = span::length((other.0.max(seen.0), other.1.min(seen.1)));
            *met.entry(*level).or_default() += part;
        }
        let (mut time, mut before) = (0, 0);
        for (level, more) in met {
            time += more;
            let until = if point { bytes } else { span::share(bytes, time, span::length(life)) };
            each(level, until - before);
            before = until;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    fn exposed(busy: &Busy, bytes: u64, life: Span) -> Vec<(u32, u64)> {
        let mut steps = Vec::new();
        busy.exposed(bytes, life, |level, bytes| steps.push((level, bytes)));
        steps
    }

    /// Level 7 from 0 to 10 and 20 to 30, level 1 from 5 to 8 and from 28 to 35, an empty one.
    #[test]
    fn the_lowest_level_of_every_instant() {
        let busy =
            Busy::new([((0, 10), 7), ((28, 35), 1), ((5, 8), 1), ((20, 30), 7), ((40, 40), 1)]);
        let expected = [((0, 5), 7), ((5, 8), 1), ((8, 10), 7), ((20, 28), 7), ((28, 35), 1)];
        assert_eq!(busy.spans(), expected);
        // Of 7 bytes 2/10 at level 1, 2/10 more at level 7: 1.4 and 2.8, rounded down.
        assert_eq!(exposed(&busy, 7, (6, 16)), [(1, 1), (7, 1)]);
        assert_eq!(exposed(&busy, 9, (5, 5)), [(1, 9)]);
        assert_eq!(exposed(&busy, 9, (10, 10)), []);
        assert_eq!(exposed(&busy, 9, (35, 99)), []);
        assert_eq!(Busy::new([((0, 5), 2), ((5, 9), 2), ((1, 3), 4)]).spans(), [((0, 9), 2)]);
    }

    /// A span across midnight comes in two parts, the first as if nothing came after it.
    #[test]
    fn days_have_their_own_parts() {
        let midnight = 86_400 * SECOND;
        let parts = |more: Option<(Span, u32)>| {
            let busy = Busy::new([((midnight - 9, midnight + 9), 7)].into_iter().chain(more));
            let mut parts = Vec::new();
            busy.by_day(&Calendar::default(), |day, span, level| parts.push((day, span, level)));
            parts
        };
        let first = (Day(0), (midnight - 9, midnight), 7);
        assert_eq!(parts(None), [first, (Day(1), (midnight, midnight + 9), 7)]);
        let later = parts(Some(((midnight + 2, midnight + 3), 1)));
        assert_eq!((later[0], later.len()), (first, 4));
    }
}
