// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Days made by hand.

use super::*;
use crate::reading::{Detector, Exporters};
use crate::record::Sampling;
use crate::testing::{ip, midnight, record};
use crate::time::SECOND;

const GB: u64 = 1_000_000_000;
const DAY: Day = Day(15_095);

fn one(records: &[Record], reading: &Reading) -> AlphaDay {
    let mut days = read(records, reading);
    assert_eq!(days.len(), 1);
    days.pop_first().unwrap().1
}

/// Two alpha reports and the rest of one flow, one small flow.
#[test]
fn a_raw_flow_and_its_figures() {
    let t = midnight(DAY);
    let mut small = record("192.0.2.7", "198.51.100.1", t, t + 9, GB);
    small.key.src_port = 1;
    let records = [
        record("192.0.2.7", "198.51.100.1", t, t + 60, 2 * GB),
        record("192.0.2.7", "198.51.100.1", t + 60, t + 110, 3 * GB),
        record("192.0.2.7", "198.51.100.1", t + 110, t + 130, GB),
        small,
    ];
    let day = one(&records, &Reading::default());
    assert_eq!((day.totals.records, day.totals.bytes), (4, 7 * GB));
    let [flow] = day.flows.as_slice() else { panic!("one raw flow") };
    assert_eq!((flow.alpha_bytes(), flow.whole_bytes()), (5 * GB, 6 * GB));
    assert_eq!(flow.alpha_time(), 110 * SECOND as u64, "not 2 x 60 s");
    assert_eq!(flow.span(), (t * SECOND, (t + 130) * SECOND));
    let pairs = day.pairs(Width::NET);
    let (pair, pair_day) = pairs.first_key_value().unwrap();
    assert_eq!(pair.to_string(), "192.0.2.0/24 198.51.100.0/24");
    assert_eq!((pair_day.flows, pair_day.alpha_bytes, pair_day.whole_bytes), (1, 5 * GB, 6 * GB));
    assert_eq!((pair_day.later_alpha, pair_day.later_whole), (3 * GB, 4 * GB));
}

/// Two flows, 10 s of overlap.
#[test]
fn alpha_time_as_sum_and_as_union() {
    let mut records = [
        record("192.0.2.7", "198.51.100.1", 0, 60, 2 * GB),
        record("192.0.2.8", "198.51.100.1", 50, 70, 2 * GB),
    ];
    let day = one(&records, &Reading::default());
    let sum: u64 = day.flows.iter().map(RawFlow::alpha_time).sum();
    assert_eq!((sum, day.alpha_union()), (80 * SECOND as u64, 70 * SECOND as u64));
    records[1].first = 0;
    records[1].last = 0;
    let day = one(&records, &Reading::default());
    assert_eq!(day.alpha_union(), 60 * SECOND as u64);
}

/// The flow's reports end a second before and begin at midnight; a report that crosses it belongs
/// where it begins.
#[test]
fn midnight_makes_two_raw_flows() {
    let t = midnight(DAY);
    let records = [
        record("192.0.2.7", "198.51.100.1", t - 61, t - 1, 2 * GB),
        record("192.0.2.7", "198.51.100.1", t - 1, t + 59, 2 * GB),
        record("192.0.2.7", "198.51.100.1", t + 59, t + 119, 2 * GB),
    ];
    let days = read(&records, &Reading::default());
    let bytes: Vec<_> = days.iter().map(|(day, d)| (*day, d.flows[0].alpha_bytes())).collect();
    assert_eq!(bytes, [(DAY.plus(-1), 4 * GB), (DAY, 2 * GB)]);
}

#[test]
fn unknown_sampling_is_counted_and_left_out() {
    let mut records = [
        record("192.0.2.7", "198.51.100.1", 0, 60, 2 * GB),
        record("192.0.2.7", "198.51.100.1", 60, 120, GB / 2),
        record("192.0.2.8", "198.51.100.1", 60, 120, 2_000_000),
        record("192.0.2.8", "198.51.100.1", 60, 50, 2 * GB),
        record("192.0.2.8", "198.51.100.1", 60, 60 + 7 * 86_400 + 1, 2 * GB),
    ];
    records[0].sampling = None;
    records[1].sampling = None;
    records[2].sampling = Sampling::one_in(1000);
    let day = one(&records, &Reading::default());
    let expected = Totals {
        records: 1,
        bytes: 2 * GB,
        unknown_sampling: 2,
        unknown_octets: 2 * GB + GB / 2,
        unknown_above: 1,
        negative: 1,
        too_long: 1,
        other_exporter: 0,
    };
    assert_eq!(day.totals, expected);
    assert_eq!(day.flows.len(), 1);
    assert_eq!(day.flows[0].key.src, ip("192.0.2.8"));
}

/// Ingress and egress router both export the flow, the egress one a little less of it.
#[test]
fn two_exporters_one_flow() {
    let seen_by = |exporter, octets, in_if| Record {
        exporter: ip(exporter),
        in_if,
        ..record("192.0.2.7", "198.51.100.1", 0, 60, octets)
    };
    let records = [seen_by("10.0.0.2", 2 * GB, 1), seen_by("10.0.0.1", 2 * GB - 1, 7)];
    let count = |reading: Reading| {
        let day = one(&records, &reading);
        let bytes = day.flows.iter().map(RawFlow::alpha_bytes).sum::<u64>();
        (day.flows.len(), bytes, day.flows[0].exporter, day.flows[0].others)
    };
    let reading = Reading::default;
    assert_eq!(count(reading()), (1, 2 * GB, ip("10.0.0.2"), 1));
    assert_eq!(
        count(Reading { duplicates: Duplicates::Each, ..reading() }),
        (2, 4 * GB - 1, ip("10.0.0.1"), 0)
    );
    assert_eq!(
        count(Reading { exporters: Exporters::Only(ip("10.0.0.1")), ..reading() }),
        (1, 2 * GB - 1, ip("10.0.0.1"), 0)
    );
    let edges = [(ip("10.0.0.1"), 7), (ip("10.0.0.2"), 9)].into();
    assert_eq!(
        count(Reading { exporters: Exporters::Ingress(edges), ..reading() }),
        (1, 2 * GB - 1, ip("10.0.0.1"), 0)
    );
}

/// Reports of 10 s, 170 MB each: 1.02 GB in a minute. Small flows share the buckets.
#[test]
fn the_window_needs_both_passes() {
    let mut records: Vec<_> = (0..12)
        .map(|n| record("192.0.2.7", "198.51.100.1", n * 10, n * 10 + 10, 170_000_000))
        .collect();
    for n in 0..40 {
        let mut small = record("192.0.2.9", "198.51.100.1", 0, 60, 100_000_000);
        small.key.src_port = n;
        records.push(small);
    }
    assert_eq!(one(&records, &Reading::default()).flows.len(), 0);
    for suspect_buckets in [0, 1, 3, 1 << 14] {
        let detector = Detector::Window;
        let day = one(&records, &Reading { detector, suspect_buckets, ..Reading::default() });
        assert_eq!(day.flows.len(), 1);
        assert_eq!(day.flows[0].alpha_bytes(), 12 * 170_000_000);
    }
}

/// A flow of 10 s reports among 120 of 0.6 GB, two of which make a bucket suspicious: whatever may be
/// held at once, the same is found, and no more is held than that or one bucket.
#[test]
fn rounds_hold_a_part_and_find_the_whole() {
    let mut records: Vec<_> = (0..12)
        .map(|n| record("192.0.2.7", "198.51.100.1", n * 10, n * 10 + 10, 170_000_000))
        .collect();
    for n in 0..120 {
        let mut small = record("192.0.2.9", "198.51.100.1", 0, 60, 600_000_000);
        small.key.src_port = n;
        records.push(small);
    }
    let detector = Detector::Window;
    let wide = Reading { detector, suspect_buckets: 30, ..Reading::default() };
    let found = read(&records, &wide);
    let tight = Reading { suspect_reports: 20, ..wide.clone() };
    assert_eq!(read(&records, &tight), found);
    assert_eq!((found[&Day(0)].totals.records, found[&Day(0)].flows.len()), (132, 1));
    let mut suspects = Suspects::new(&tight);
    records.iter().for_each(|record| suspects.observe(record));
    let rounds = suspects.rounds();
    assert!(rounds.len() > 2);
    let mut all = 0;
    for round in rounds {
        let buckets = round.len();
        let mut gather = Gather::new(&suspects, round);
        records.iter().for_each(|record| gather.observe(record));
        let held: usize =
            gather.days.values().flat_map(|part| part.flows.values()).map(Vec::len).sum();
        assert!(held <= 20 || buckets == 1, "{held} reports of {buckets} buckets");
        all += held as u64;
    }
    assert_eq!(all, suspects.records());
}
