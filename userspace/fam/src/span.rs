// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Half-open intervals of time: their union, and bytes spread evenly over one.

use crate::time::Ns;

/// `[first, last)`.
pub type Span = (Ns, Ns);

/// Length; 0 for what ends before it begins.
pub fn length((first, last): Span) -> u64 {
    last.saturating_sub(first).max(0) as u64
}

/// The same instants as disjoint spans in order. Spans at most `gap` apart become one; empty spans
/// vanish.
pub fn union(mut spans: Vec<Span>, gap: Ns) -> Vec<Span> {
    spans.retain(|span| span.0 < span.1);
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.0 <= last.1.saturating_add(gap) => last.1 = last.1.max(span.1),
            _ => merged.push(span),
        }
    }
    merged
}

/// Sum of the lengths.
pub fn total(spans: &[Span]) -> u64 {
    spans.iter().fold(0, |sum: u64, span| sum.saturating_add(length(*span)))
}

/// How much of `span` lies in `disjoint`, which [`union`] made.
pub fn overlap(span: Span, disjoint: &[Span]) -> u64 {
    let from = disjoint.partition_point(|other| other.1 <= span.0);
    disjoint[from..]
        .iter()
        .take_while(|other| other.0 < span.1)
        .map(|other| length((other.0.max(span.0), other.1.min(span.1))))
        .sum()
}

/// How many of `bytes`, sent evenly over `span`, were sent before `at`: rounded down, so that
/// differences of it over neighbouring instants add up to `bytes` exactly. An empty span sends
/// everything at its beginning.
pub fn sent_before(bytes: u64, span: Span, at: Ns) -> u64 {
    if at >= span.1.max(span.0.saturating_add(1)) {
        return bytes;
    }
    if at <= span.0 {
        return 0;
    }
    let part = u128::from(length((span.0, at)));
    (u128::from(bytes) * part / u128::from(length(span))) as u64
}

/// The part of `bytes` that falls on `part` of the `whole`, rounded down.
pub fn share(bytes: u64, part: u64, whole: u64) -> u64 {
    if part >= whole {
        return bytes;
    }
    (u128::from(bytes) * u128::from(part) / u128::from(whole)) as u64
}

/// Calls `each` with the number of every bin of `width` that `span` touches and its bytes.
pub fn for_bins(bytes: u64, span: Span, width: Ns, mut each: impl FnMut(i64, u64)) {
    let width = width.max(1);
    let first = span.0.div_euclid(width);
    let last = span.1.max(span.0.saturating_add(1)).saturating_sub(1).div_euclid(width);
    let mut before = 0;
    for bin in first..=last {
        let end = (bin.saturating_add(1)).saturating_mul(width);
        let until = if bin == last { bytes } else { sent_before(bytes, span, end) };
        each(bin, until - before);
        before = until;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn union_counts_overlap_once() {
        let spans = vec![(10, 20), (0, 5), (15, 30), (5, 7), (40, 40), (50, 49)];
        let merged = union(spans.clone(), 0);
        assert_eq!(merged, [(0, 7), (10, 30)]);
        assert_eq!(total(&merged), 27);
        assert_eq!(union(spans, 3), [(0, 30)]);
        assert_eq!(overlap((6, 12), &merged), 3);
        assert_eq!(overlap((7, 10), &merged), 0);
        assert_eq!(overlap((-5, 100), &merged), 27);
    }

    #[test]
    fn bytes_fall_into_bins_and_none_is_lost() {
        let mut bins = Vec::new();
        for_bins(10, (5, 25), 10, |bin, bytes| bins.push((bin, bytes)));
        assert_eq!(bins, [(0, 2), (1, 5), (2, 3)]);
        bins.clear();
        for_bins(9, (10, 10), 10, |bin, bytes| bins.push((bin, bytes)));
        assert_eq!(bins, [(1, 9)], "an empty span lies in its first bin");
        bins.clear();
        for_bins(9, (-5, 10), 10, |bin, bytes| bins.push((bin, bytes)));
        assert_eq!(bins, [(-1, 3), (0, 6)], "half-open: nothing in bin 1");
        assert_eq!(sent_before(9, (10, 10), 10), 0);
        assert_eq!(sent_before(9, (10, 10), 11), 9);
        assert_eq!(share(10, 1, 3), 3);
        assert_eq!(share(10, 0, 0), 10);
    }
}
