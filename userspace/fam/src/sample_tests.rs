// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flows by hand, one for each cell that a flow can be in; samples of many.

use super::*;
use crate::day::read;
use crate::dimension::{Heavy, Limits, dimensions};
use crate::testing::{ip, record};
use crate::time::SECOND;

/// Flow number `port`, `bytes` within `seconds`: evenly, or four fifths of them in the first second.
fn flow(port: u16, bytes: u64, seconds: i64, burst: bool) -> Vec<Record> {
    let (src, dst) = ("192.0.2.7", "198.51.100.1");
    let mut records = match burst {
        false => vec![record(src, dst, 0, seconds, bytes)],
        true => vec![
            record(src, dst, 0, 1, bytes / 5 * 4),
            record(src, dst, 1, seconds, bytes - bytes / 5 * 4),
        ],
    };
    records.iter_mut().for_each(|record| record.key.src_port = port);
    records
}

fn sampled(records: &[Record], most: u64, reading: &Reading) -> Sample {
    let days = read(records, reading);
    let mut sample = FlowSample::new(&days, most, reading);
    records.iter().for_each(|record| sample.observe(record));
    sample.finish()
}

/// Limits: 1000 bytes, 480 bit/s, 10 s, 3. A flow of more than 1000 bytes within 10 s is faster than
/// 480 bit/s, unless it is too short to have a rate; then it has no burstiness either. So of the 16
/// cells one stays empty.
#[test]
fn a_flow_in_every_cell_that_can_be() {
    let kinds = [
        (0b000, 400, 8),
        (0b010, 800, 8),
        (0b100, 800, 20),
        (0b110, 990, 11),
        (0b101, 1100, 20),
        (0b111, 4000, 20),
        (0b011, 4000, 8),
    ];
    let mut records = Vec::new();
    for (cell, bytes, seconds) in kinds {
        records.extend(flow(cell, bytes, seconds, false));
        records.extend(flow(cell | 0b1000, bytes, seconds, true));
    }
    let mut short = flow(0b001, 2000, 1, false);
    short[0].last = SECOND / 10;
    records.extend(short);
    let sample = sampled(&records, 100, &Reading::default());
    let fixed = [1000, 480, 10 * SECOND as u64, 3000].map(Some);
    let limits = Heavy { fixed, ..Heavy::default() }.limits(&sample.shapes);
    let table = dimensions(&sample.shapes, limits);
    for (number, cell) in table.cells.iter().enumerate() {
        let expected = u64::from(number != 0b1001);
        assert_eq!(cell.flows, expected, "cell {number:04b}");
    }
    assert_eq!(table.cells[0b1111].bytes, 4000);
    assert_eq!((sample.records, sample.left_out, sample.part), (22, 0, 1.0));
}

/// A thousand times as many bytes: other limits, the same cells and the same ranks.
#[test]
fn scale_changes_no_cell() {
    let table = |scale: u64| {
        let mut records = Vec::new();
        for port in 0..200u16 {
            let (bytes, seconds) = (500 + u64::from(port % 17) * 10, 5 + i64::from(port % 7));
            let (bytes, seconds) = match port {
                0 => (100_000, seconds),
                1 => (bytes, 500),
                _ => (bytes, seconds),
            };
            records.extend(flow(port, bytes * scale, seconds, port < 3));
        }
        let sample = sampled(&records, 1000, &Reading::default());
        dimensions(&sample.shapes, Limits::of(&sample.shapes, 3.0))
    };
    let (one, many) = (table(1), table(1000));
    for (one, many) in one.cells.iter().zip(&many.cells) {
        assert_eq!((one.flows, one.bytes * 1000), (many.flows, many.bytes));
    }
    assert!(one.cells.iter().filter(|cell| cell.flows > 0).count() > 2);
    assert!(many.limits.0[0] > 900.0 * one.limits.0[0]);
}

/// A hundred flows of three reports, of which 120 reports may be held.
#[test]
fn a_sample_is_whole_flows_whatever_the_order() {
    let reading = Reading::default();
    let mut records: Vec<Record> = Vec::new();
    for report in 0..3 {
        for port in 0..100 {
            let mut one = record("192.0.2.7", "198.51.100.1", report * 9, report * 9 + 9, 100);
            one.key.src_port = port;
            records.push(one);
        }
    }
    let days = read(&records, &reading);
    let run = |records: &[Record], workers: usize| {
        let mut all = FlowSample::new(&days, 120, &reading);
        for worker in 0..workers {
            let mut own = FlowSample::new(&days, 120, &reading);
            records.iter().skip(worker).step_by(workers).for_each(|record| own.observe(record));
            assert!(own.held <= 120);
            all.merge(own);
        }
        all.finish()
    };
    let one = run(&records, 1);
    assert_eq!((one.shapes.len(), one.records, one.left_out), (40, 300, 180));
    assert!(one.shapes.iter().all(|shape| shape.bytes == 300), "whole");
    // 40 of 100: within four deviations of a binomial count, √(100·0.4·0.6) = 4.9.
    assert!((one.part - 0.4).abs() < 0.2, "{}", one.part);
    records.reverse();
    for workers in 1..6 {
        assert_eq!(run(&records, workers), one);
    }
    assert_eq!(sampled(&records, 2, &reading).shapes, [], "not one flow fits");
}

#[test]
fn two_views_are_one_flow() {
    let mut records = flow(1, 1000, 8, false);
    let seen = |exporter, octets| Record { exporter: ip(exporter), octets, ..records[0].clone() };
    let more = [seen("10.0.0.1", 1001), seen("10.0.0.2", 1001)];
    records.extend(more);
    let shapes = |duplicates| {
        let sample = sampled(&records, 9, &Reading { duplicates, ..Reading::default() });
        sample.shapes.iter().map(|shape| shape.bytes).collect::<Vec<_>>()
    };
    assert_eq!(shapes(Duplicates::Once), [1001]);
    assert_eq!(shapes(Duplicates::Each), [1001, 1001, 1000]);
}
