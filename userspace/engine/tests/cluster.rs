// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A scheduler and two executors, three processes with sockets between them: what the cluster finds is
//! what the bare engine finds, and both executors had their part in it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use telesteer_engine::sql::{Engine, Place};
use telesteer_engine::stored::{Stored, Writer, look};
use telesteer_engine::{Assumed, Fields, Pick, Run, bare};
use telesteer_fam::time::SECOND;
use telesteer_fam::{FiveTuple, PrefixFlow, Reading, Record, Sampling, Width};

/// A node that ends with the test.
struct Node {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Node {
    /// Starts it and waits for its first line.
    fn start(words: &[&str]) -> (Self, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_telesteer-engine-node"))
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("a node that lives").unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&said);
        thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| keep.lock().unwrap().push(line));
        });
        (Self { child, said }, first)
    }

    /// One with room for half of the tasks, heard of by the scheduler.
    fn executor(scheduler: &str, folder: &Path) -> Self {
        std::fs::create_dir(folder).unwrap();
        let slots = (FILES / 2).to_string();
        let (node, said) = Self::start(&["executor", scheduler, &slots, folder.to_str().unwrap()]);
        assert_eq!(said, "ready");
        node
    }

    /// Rows that its scans gave.
    fn scanned(&self) -> u64 {
        let said = self.said.lock().unwrap();
        let scans = said.iter().filter(|line| line.contains("DataSourceExec"));
        scans.filter_map(|line| number_after(line, "output_rows=")).sum()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Files, and rows of each.
const FILES: usize = 8;
const ROWS: u64 = 20_000;
/// Longest that what was said already may take to be read.
const PATIENCE: Duration = Duration::from_secs(60);

/// `output_rows=1.5 K` and `output_rows=17` as numbers.
fn number_after(line: &str, name: &str) -> Option<u64> {
    let rest = &line[line.find(name)? + name.len()..];
    let end = rest.find([',', ']']).unwrap_or(rest.len());
    let (number, unit) = rest[..end].split_once(' ').unwrap_or((&rest[..end], ""));
    let factor = match unit {
        "K" => 1e3,
        "M" => 1e6,
        _ => 1.0,
    };
    Some((number.parse::<f64>().ok()? * factor) as u64)
}

fn record(number: u64) -> Record {
    let host = |net: u64, salt: u64| format!("10.{net}.{}.{}", number % 7, number * salt % 251);
    let first = (15_095 * 86_400 + (number * 37 % 200_000) as i64) * SECOND;
    Record {
        exporter: "10.0.0.1".parse().unwrap(),
        first,
        last: first + if number.is_multiple_of(50) { -1 } else { (number % 60) as i64 } * SECOND,
        key: FiveTuple {
            src: host(1, 13).parse().unwrap(),
            dst: host(2, 17).parse().unwrap(),
            proto: 6,
            src_port: (number % 9) as u16,
            dst_port: 443,
        },
        in_if: 1,
        out_if: 2,
        next_hop: None,
        tos: 0,
        octets: if number.is_multiple_of(97) { 1_000_000_001 + number } else { number * 11 % 5000 },
        packets: 1,
        sampling: if number.is_multiple_of(31) { None } else { Sampling::one_in(1) },
    }
}

fn files(dir: &Path) -> Vec<Stored> {
    let paths: Vec<_> = (0..FILES).map(|file| dir.join(format!("{file}.parquet"))).collect();
    for (file, path) in paths.iter().enumerate() {
        let mut writer = Writer::create(path).unwrap();
        (0..ROWS).for_each(|n| writer.write(&record(n * FILES as u64 + file as u64)).unwrap());
        writer.close().unwrap();
    }
    paths.iter().map(|path| look(path).unwrap()).collect()
}

#[test]
fn a_cluster_of_two_finds_what_one_process_finds() {
    let dir = tempfile::tempdir().unwrap();
    let (_scheduler, address) = Node::start(&["scheduler"]);
    let one = Node::executor(&address, &dir.path().join("one"));
    let two = Node::executor(&address, &dir.path().join("two"));

    let (files, assumed, reading) = (files(dir.path()), Assumed::default(), Reading::default());
    let run = Run {
        files: &files,
        assumed: &assumed,
        threads: 8,
        fields: Fields::ALL,
        tick: &|_| Ok(()),
    };
    let cluster = Engine::new(Place::Cluster(format!("ballista://{address}")), 2).unwrap();

    let (expected, _) = bare::totals(&run, &reading).unwrap();
    assert_eq!(cluster.totals(&run, &reading).unwrap(), expected);
    halved(&one, &two);

    let keys: Vec<FiveTuple> = (0..5).map(|number| record(number * 97).key).collect();
    let pairs: Vec<PrefixFlow> = keys.iter().map(|key| PrefixFlow::of(key, Width::NET)).collect();
    for pick in [Pick::above(&reading, 0), Pick::flows(keys), Pick::prefixes(pairs)] {
        let push = |rows: &mut Vec<Record>, record: &Record| rows.push(record.clone());
        let mut expected = bare::rows(&run, &pick, Vec::new, push, |a, b| a.extend(b)).unwrap();
        let mut found = Vec::new();
        cluster.rows(&run, &pick, |record| found.push(record.clone())).unwrap();
        let key = |r: &Record| (r.first, r.last, r.key, r.octets);
        expected.sort_by_key(key);
        found.sort_by_key(key);
        assert!(!found.is_empty());
        assert_eq!(found, expected, "{pick:?}");
    }
}

/// Every row was gone over once, 40 to 60 % of them by each.
fn halved(one: &Node, two: &Node) {
    let (all, began) = (FILES as u64 * ROWS, Instant::now());
    while one.scanned() + two.scanned() < all && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(10));
    }
    let rows = [one.scanned(), two.scanned()];
    assert_eq!(rows.iter().sum::<u64>(), all, "{rows:?}");
    assert!(rows.iter().all(|rows| (40..=60).contains(&(rows * 100 / all))), "{rows:?}");
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (files, assumed) = (files(dir.path()), Assumed::default());
    let run = Run {
        files: &files,
        assumed: &assumed,
        threads: 2,
        fields: Fields::ALL,
        tick: &|_| Ok(()),
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("ballista://127.0.0.1:{port}");
    let engine = Engine::new(Place::Cluster(url.clone()), 1).unwrap();
    let error = engine.totals(&run, &Reading::default()).unwrap_err().to_string();
    assert!(error.contains(&url), "{error}");
}
