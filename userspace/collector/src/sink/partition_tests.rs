// SPDX-License-Identifier: Apache-2.0 OR MIT
//! When partitions are closed, by a clock made up here.

use std::net::Ipv4Addr;

use bytes::Bytes;
use parquet::file::{reader::FileReader, serialized_reader::SerializedFileReader};
use telesteer_wire::flow::Times;

use super::*;

const HOUR: u64 = HOUR_S * 1_000_000_000;

fn row(start_ns: u64) -> Row {
    let addr = Ipv4Addr::new(192, 0, 2, 1).into();
    Row {
        exporter: addr,
        domain: 1,
        version: 10,
        export_s: 1,
        times: Times { start_ns, end_ns: start_ns },
        src: addr,
        dst: addr,
        proto: None,
        src_port: 0,
        dst_port: 0,
        in_if: 0,
        out_if: 0,
        next_hop: None,
        tos: 0,
        octets: 1,
        packets: 1,
        sampling: None,
    }
}

fn table(file: usize, open: usize, partitions: usize) -> Partitions {
    let grace = Duration::from_secs(300);
    Partitions::new(Bounds { file, open, partitions, grace }, 1)
}

/// Adds rows of these hours, one a second.
fn add(table: &mut Partitions, hours: &[u64], from_s: u64) -> Vec<(u64, usize)> {
    let mut closed = Vec::new();
    for (at, hour) in hours.iter().enumerate() {
        let now = Duration::from_secs(from_s + at as u64);
        table.add(&row(hour * HOUR), now, &mut closed);
    }
    shown(closed)
}

/// Hour and rows of each file, as the file itself has them.
fn shown(closed: Vec<Closed>) -> Vec<(u64, usize)> {
    let rows = |closed: &Closed| {
        let file = Bytes::from(closed.file.as_ref().unwrap().clone());
        let rows = SerializedFileReader::new(file).unwrap().metadata().file_metadata().num_rows();
        assert_eq!(rows as usize, closed.rows);
        closed.rows
    };
    closed.iter().map(|closed| (closed.hour.0, rows(closed))).collect()
}

fn due(table: &mut Partitions, now_s: u64) -> Vec<(u64, usize)> {
    let mut closed = Vec::new();
    table.due(Duration::from_secs(now_s), &mut closed);
    shown(closed)
}

#[test]
fn hours_have_the_names_of_their_folders() {
    let name = |seconds: u64| Hour::of(seconds * 1_000_000_000).to_string();
    assert_eq!(name(0), "date=1970-01-01/hour=00");
    assert_eq!(name(951_782_399), "date=2000-02-28/hour=23");
    assert_eq!(name(951_782_400), "date=2000-02-29/hour=00");
    assert_eq!(name(1_700_000_000), "date=2023-11-14/hour=22");
    assert_eq!(name(4_102_444_799), "date=2099-12-31/hour=23");
    assert_eq!(name(4_107_542_400), "date=2100-03-01/hour=00");
    assert_eq!(name(i64::MAX as u64 / 1_000_000_000), "date=2262-04-11/hour=23");
}

#[test]
fn an_hour_is_closed_when_it_is_over_by_the_grace() {
    let mut table = table(100, 1000, 4);
    let (hour, end) = (500, 501 * HOUR_S);
    assert_eq!(add(&mut table, &[hour, hour], end - 10), []);
    assert_eq!(due(&mut table, end + 299), []);
    assert_eq!(due(&mut table, end + 300), [(500, 2)]);
    assert_eq!(table.len(), 0);
    // What comes later waits for the grace too, and for no more than that.
    assert_eq!(add(&mut table, &[hour, hour], end + 1000), []);
    assert_eq!(due(&mut table, end + 1299), []);
    assert_eq!(due(&mut table, end + 1300), [(500, 2)]);
}

#[test]
fn bounds_close_partitions() {
    // Rows of a file.
    let mut of_file = table(3, 1000, 4);
    assert_eq!(add(&mut of_file, &[7, 8, 7, 7, 7], 0), [(7, 3)]);
    assert_eq!(of_file.len(), 2);
    // Partitions: the one that waits longest makes room.
    let mut of_table = table(100, 1000, 2);
    assert_eq!(add(&mut of_table, &[7, 8, 7, 9], 0), [(8, 1)]);
    // Rows of all: the largest goes.
    let mut of_all = table(100, 4, 4);
    assert_eq!(add(&mut of_all, &[7, 8, 8, 9], 0), [(8, 2)]);
    let mut closed = Vec::new();
    of_all.finish(&mut closed);
    assert_eq!(shown(closed), [(7, 1), (9, 1)]);
    assert_eq!(of_all.rows, 0);
}

#[test]
fn large_partitions_are_whole() {
    let rows = 2 * telesteer_flowfile::layout::BATCH + 1;
    let mut table = table(rows, usize::MAX, 1);
    assert_eq!(add(&mut table, &vec![3; rows], 0), [(3, rows)]);
}
