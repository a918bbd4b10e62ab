// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The sink with its threads.

use std::net::Ipv4Addr;
use std::path::Path;

use telesteer_wire::flow::Times;

use super::*;

fn rows(count: usize) -> Vec<Row> {
    let addr = Ipv4Addr::new(192, 0, 2, 1).into();
    let start_ns = 1_700_000_000_000_000_000;
    let row = Row {
        exporter: addr,
        domain: 1,
        version: 10,
        export_s: 1_700_000_000,
        times: Times { start_ns, end_ns: start_ns },
        src: addr,
        dst: addr,
        proto: Some(6),
        src_port: 1,
        dst_port: 2,
        in_if: 0,
        out_if: 0,
        next_hop: None,
        tos: 0,
        octets: 1,
        packets: 1,
        sampling: Some((5, 2)),
    };
    vec![row; count]
}

fn open(dir: &Path, limits: &Limits) -> (Sink, Threads, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    let told = dir.to_str().unwrap();
    let (sink, threads) = Sink::open(told, 7, 1000, limits, Arc::clone(&metrics)).unwrap();
    (sink, threads, metrics)
}

#[test]
fn everything_is_stored_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { parquet_rows: 1000, ..Limits::default() };
    let (sink, threads, metrics) = open(dir.path(), &limits);
    for _ in 0..5 {
        sink.take(rows(500));
    }
    sink.finish();
    threads.join();
    assert_eq!(metrics.parquet_rows_written.get(), 2500);
    assert_eq!((metrics.parquet_rows_held.get(), metrics.parquet_files_written.get()), (0, 3));
    let hour = dir.path().join("date=2023-11-14/hour=22");
    for number in 0..3 {
        assert!(hour.join(format!("7-1000-{number}.parquet")).is_file());
    }
    sink.take(rows(3));
    assert_eq!(metrics.parquet_rows_lost.snapshot(), [("stopped".to_owned(), 3)]);
    assert_eq!(metrics.parquet_rows_held.get(), 0);
}

/// 1. A place where no folder of a date can be made: something of that name is in the way.
/// 2. Rows beyond the bound are lost at once, the others when their file was tried.
/// 3. Broken twin: the same with nothing in the way loses nothing but what is beyond the bound.
#[test]
fn memory_is_bounded_and_losses_are_counted() {
    for blocked in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        if blocked {
            std::fs::write(dir.path().join("date=2023-11-14"), "").unwrap();
        }
        let limits = Limits { parquet_held: 4096, parquet_retry: 0, ..Limits::default() };
        let (sink, threads, metrics) = open(dir.path(), &limits);
        sink.take(rows(4097));
        assert_eq!(metrics.parquet_rows_lost.snapshot(), [("memory_full".to_owned(), 4097)]);
        sink.take(rows(1000));
        sink.finish();
        threads.join();
        let lost = metrics.parquet_rows_lost.snapshot();
        assert_eq!(lost.contains(&("storage".to_owned(), 1000)), blocked, "{lost:?}");
        assert_eq!(metrics.parquet_rows_written.get(), if blocked { 0 } else { 1000 });
        assert_eq!(metrics.parquet_rows_held.get(), 0);
        let staged = std::fs::read_dir(dir.path().join("_staging")).unwrap().count();
        assert_eq!(staged, 0, "files are left in _staging");
    }
}
