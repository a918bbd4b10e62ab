// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every engine gives the same analysis, to the last table, whatever the threads and the order. And what
//! a long run may use, and shows.

use crate::parquet::analysis;
use crate::program::{fresh_seed, generate, hntes};
use crate::workload;
use hntes::input::{Assume, read};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use telesteer_engine::stored::Writer;
use telesteer_fam::Record;

/// Engines that were built in, the reference first.
fn engines() -> Vec<&'static str> {
    let mut engines = vec!["--engine=rows", "--engine=arrow"];
    if cfg!(feature = "sql") {
        engines.push("--engine=datafusion");
    }
    engines
}

fn store(records: &[Record], path: &Path) {
    let mut file = Writer::create(path).unwrap();
    records.iter().for_each(|record| file.write(record).unwrap());
    file.close().unwrap();
}

fn records(path: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    read(path, &Assume::default(), |record| records.push(record.clone())).unwrap();
    records
}

/// The records as files of several sizes, in another order.
fn scattered(csv: &Path, dir: &Path) -> PathBuf {
    let mut all = records(csv);
    all.reverse();
    fs::create_dir_all(dir).unwrap();
    let (head, tail) = all.split_at(all.len() / 3);
    let odd: Vec<Record> = tail.iter().skip(1).step_by(2).cloned().collect();
    let even: Vec<Record> = tail.iter().step_by(2).cloned().collect();
    store(head, &dir.join("z.parquet"));
    store(&odd, &dir.join("a.parquet"));
    store(&even, &dir.join("m.parquet"));
    dir.to_owned()
}

/// 1. A random workload in which everything happens that a reading may have to decide.
/// 2. Whatever the reading, the engine, the threads and the order: the same tables.
/// 3. Broken twin: with one octet more in one record they are not.
#[test]
fn engines_agree_whatever_the_reading() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    workload::write(fresh_seed(), 400, &path("all.csv"));
    let mut all = records(&path("all.csv"));
    store(&all, &path("all.parquet"));
    let folder = scattered(&path("all.csv"), &path("scattered"));
    let readings: [&[&str]; 10] = [
        &["--h=1000"],
        &["--h=1000", "--threshold=reaches", "--long-report=whole"],
        &["--h=1000", "--detector=window", "--duplicates=each", "--bytes=whole-flows"],
        &["--h=1000", "--hourly", "--assume-sampling=2"],
        &["--h=1000", "--assume-sampling=192.0.2.2=4", "--gap=one-more", "--refresh=any-traffic"],
        &["--h=1000", "--exporter=192.0.2.9"],
        &["--h=1000", "--ingress=192.0.2.9/1", "--credit=same-day"],
        &["--h=1000", "--zone=America/St_Johns", "--burst=2011-05-02"],
        &["--h=1000", "--directions=both", "--aging=2,never"],
        &["--h=100000000"],
    ];
    for reading in readings {
        let of = |file: PathBuf, engine: &str, threads: &str| {
            analysis(&[file], &[reading, &[engine, threads]].concat())
        };
        let expected = of(path("all.csv"), "--engine=rows", "--threads=1");
        for engine in engines() {
            for (file, threads) in
                [(path("all.parquet"), "--threads=1"), (folder.clone(), "--threads=3")]
            {
                assert_eq!(of(file, engine, threads), expected, "{engine} {threads} {reading:?}");
            }
        }
    }
    let short = |record: &Record| (0..=60_000_000_000).contains(&(record.last - record.first));
    let known = all.iter_mut().find(|record| record.sampling.is_some() && short(record));
    known.unwrap().octets += 1;
    store(&all, &path("twin.parquet"));
    let args = ["--h=1000", "--duplicates=each"];
    assert_ne!(analysis(&[path("twin.parquet")], &args), analysis(&[path("all.csv")], &args));
}

/// The profiles, as CSV row by row and as Parquet by each engine.
#[test]
fn engines_agree_on_the_profiles() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    for profile in ["slides", "duplicates", "ipv6", "midnight", "sampled"] {
        let (csv, parquet) = (dir.path().join("csv"), dir.path().join("parquet"));
        let (files, _) = generate(profile, seed, &csv);
        let seed = seed.to_string();
        let args = ["generate", "--profile", profile, "--seed", &seed, "--format=parquet", "--out"];
        let args = args.map(std::ffi::OsStr::new).into_iter().chain([parquet.as_os_str()]);
        assert!(hntes(args).status.success());
        let expected = analysis(&files, &["--engine=rows"]);
        for engine in engines().into_iter().skip(1) {
            assert_eq!(
                analysis(std::slice::from_ref(&parquet), &[engine]),
                expected,
                "{profile} {engine}"
            );
        }
        fs::remove_dir_all(&csv).unwrap();
        fs::remove_dir_all(&parquet).unwrap();
    }
}

/// 1. Damage where a pass of columns comes upon it late: the file is named and read row by row.
/// 2. The tables are those of the reader of rows.
#[test]
fn a_damaged_file_is_left_to_the_reader_of_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    workload::write(9, 300, &path("all.csv"));
    let all = records(&path("all.csv"));
    store(&all, &path("good.parquet"));
    store(&all[..100], &path("bad.parquet"));
    let mut bytes = fs::read(path("bad.parquet")).unwrap();
    // Pages of the first column; the end of the file, by which it is known, stays.
    bytes[4..64].fill(0xff);
    fs::write(path("bad.parquet"), bytes).unwrap();
    let files = [path("good.parquet"), path("bad.parquet")];
    let run = |engine: &str| {
        let args = ["fam", "--json", "--h=1000", engine].map(std::ffi::OsStr::new);
        let output = hntes(args.into_iter().chain(files.iter().map(|path| path.as_os_str())));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (serde_json::from_slice::<Value>(&output.stdout).unwrap(), said)
    };
    let (expected, _) = run("--engine=rows");
    assert_eq!(expected["tables"]["bad_lines"].as_array().unwrap().len(), 1);
    for engine in engines().into_iter().skip(1) {
        let (tables, said) = run(engine);
        assert_eq!(tables, expected, "{engine}");
        assert!(said.contains("read row by row"), "{engine}: {said}");
        assert!(said.contains("bad.parquet: rows 1 to"), "{engine}: {said}");
    }
}

/// Of mixed schemas each file is read as it can be, and all together give what one of them gives.
#[test]
fn mixed_schemas_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    workload::write(fresh_seed(), 300, &path("all.csv"));
    let all = records(&path("all.csv"));
    store(&all[..150], &path("one.parquet"));
    let text = fs::read_to_string(path("all.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let rest = [&lines[..1], &lines[151..]].concat().join("\n") + "\n";
    fs::write(path("two.csv"), rest).unwrap();
    fs::write(path("three.csv"), "a,b\n1,2\n").unwrap();
    let expected = analysis(&[path("all.csv")], &["--h=1000"]);
    let mut mixed =
        analysis(&[path("one.parquet"), path("two.csv"), path("three.csv")], &["--h=1000"]);
    let faults = mixed["bad_lines"].take();
    assert!(faults[0]["path"].as_str().unwrap().ends_with("three.csv"), "{faults}");
    mixed["bad_lines"] = expected["bad_lines"].clone();
    assert_eq!(mixed, expected);
}

/// 1. A run that needs more than its bound ends with exit 2 and says so.
/// 2. One that has enough is what it is without a bound.
#[test]
fn memory_has_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.csv");
    // Every record an alpha report of its own: all of them are held.
    let mut text = hntes::schema::COLUMNS.join(",") + "\n";
    for number in 0..200_000u32 {
        let (a, b, c) = (number >> 16, number >> 8 & 255, number & 255);
        let first = 1_304_208_000_000_000_000 + i64::from(number) * 1_000_000;
        text +=
            &format!("10.0.0.1,{first},{first},10.{a}.{b}.{c},10.9.9.9,6,1,2,1,2,,0,5000,1,1\n");
    }
    fs::write(&file, &text).unwrap();
    let run = |args: &[&str]| {
        let args = [&["fam", "--h=1000", "--alpha-only", "--json"], args].concat();
        hntes(args.iter().map(std::ffi::OsStr::new).chain([file.as_os_str()]))
    };
    let tight = run(&["--memory=24M"]);
    let said = String::from_utf8_lossy(&tight.stderr);
    assert_eq!(tight.status.code(), Some(2), "{said}");
    assert!(said.contains("--memory 25165824"), "{said}");
    let wide = run(&["--memory=4G"]);
    assert!(wide.status.success());
    assert_eq!(wide.stdout, run(&[]).stdout);
    let bad = run(&["--memory=lots"]);
    assert_eq!(bad.status.code(), Some(2));
}

/// Progress is for terminals: none in a log, some where somebody looks.
#[test]
fn progress_is_shown_on_a_terminal_only() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.csv");
    workload::write(3, 400_000, &file);
    let quiet = hntes(["fam".as_ref(), "--h=1000".as_ref(), file.as_os_str()]);
    assert!(!String::from_utf8_lossy(&quiet.stderr).contains("M/s"));
    // util-linux's script gives a program a terminal.
    let line = format!("{} fam --h=1000 {}", env!("CARGO_BIN_EXE_hntes"), file.display());
    let typescript = dir.path().join("typescript");
    let mut script = std::process::Command::new("script");
    script.args(["-q", "-e", "-c", &line]).arg(&typescript);
    let Ok(output) = script.stdin(File::open("/dev/null").unwrap()).output() else {
        println!("skipped: there is no `script` to make a terminal");
        return;
    };
    assert!(output.status.success());
    let shown = fs::read(&typescript).unwrap();
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("M records") && shown.contains("M/s"), "{shown}");
}
