// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Several routers together, and each alone, in one run.

use crate::program::{fam, fresh_seed, generate, hntes, stdout};
use crate::workload;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Everything a run prints as JSON.
fn run(files: &[PathBuf], args: &[&str]) -> Value {
    let args = ["fam", "--json"].iter().chain(args).map(OsString::from);
    let files = files.iter().map(|path| path.clone().into_os_string());
    serde_json::from_str(&stdout(hntes(args.chain(files)))).unwrap()
}

/// The tables of each router.
fn each(all: &Value) -> Map<String, Value> {
    all["exporters"].as_object().unwrap().clone()
}

/// The table of all routers, by router.
fn beside(all: &Value) -> BTreeMap<String, Value> {
    let rows = all["tables"]["exporters"].as_array().unwrap().iter();
    rows.map(|row| (row["exporter"].as_str().unwrap().to_owned(), row.clone())).collect()
}

/// A table without what only files have, and days of which others' records are left out.
fn of_router(mut tables: Value) -> Value {
    for name in ["files", "bad_lines", "notes", "far_records", "named_again"] {
        tables.as_object_mut().unwrap().remove(name);
    }
    let own = |row: &Value| {
        let names = ["unknown_sampling", "negative_duration", "too_long", "missing"];
        names.iter().any(|name| row[name].as_u64() > Some(0))
    };
    let rows = tables["left_out"].as_array().unwrap().iter().filter(|row| own(row)).cloned();
    let kept: Value = rows.collect();
    tables["left_out"] = kept;
    tables
}

/// Holds a run over several routers against one of all and one of each; returns it.
fn as_alone(files: &[PathBuf], args: &[&str], what: &str) -> Value {
    let all = run(files, &[args, &["--each-exporter"]].concat());
    let options = |more: &[String]| -> Vec<String> {
        args.iter().map(|arg| (*arg).to_owned()).chain(more.iter().cloned()).collect()
    };
    let mut joint = all["tables"].clone();
    joint.as_object_mut().unwrap().remove("exporters");
    assert_eq!(joint, fam(files, &options(&[])), "{what}");
    for (exporter, tables) in each(&all) {
        let alone = of_router(fam(files, &options(&[format!("--exporter={exporter}")])));
        assert_eq!(tables, alone, "{exporter}, {what}");
    }
    all
}

/// 1. The egress routers export again what the ingress router saw: each router has its own tables, those
///    that a run over its records alone has, and the joint ones are those of a run without.
/// 2. Together a flow counts once; alone it counts for each router that saw it.
/// 3. Rows or columns, threads and order do not matter.
#[test]
fn each_router_alone_beside_all_together() {
    let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
    let (files, truth) = generate("duplicates", seed, &dir.path().join("w"));
    let what = format!("seed {seed}");
    let files = &files[..12];
    let all = as_alone(files, &["--aging=2,never"], &what);
    let days = truth["days"].as_array().unwrap()[..12].iter();
    let flows: u64 = days.map(|day| day["raw_flows"].as_u64().unwrap()).sum();
    assert!(flows > 0, "{what}");
    let rows = beside(&all);
    let raw = |name: &str| rows[name]["raw_flows"].as_u64().unwrap();
    assert_eq!((raw("all"), raw("10.0.0.1")), (flows, flows), "{what}");
    let egress = rows.keys().filter(|name| name.starts_with("10.0.1."));
    assert!(egress.clone().count() > 2, "{rows:?}");
    assert_eq!(egress.map(|name| raw(name)).sum::<u64>(), flows, "{what}");
    let records = |name: &str| rows[name]["records"].as_u64().unwrap();
    let sum: u64 = rows.keys().filter(|name| *name != "all").map(|name| records(name)).sum();
    assert_eq!(records("all"), sum, "every view is a record");

    let parquet = dir.path().join("parquet");
    let seed = seed.to_string();
    let args =
        ["generate", "--profile=duplicates", "--seed", &seed, "--days=12", "--format=parquet"];
    let out = ["--out".into(), parquet.clone().into_os_string()];
    stdout(hntes(args.iter().map(OsString::from).chain(out)));
    let columns = run(&[parquet], &["--aging=2,never", "--each-exporter", "--threads=3"]);
    assert_eq!(each(&columns), each(&all), "{what}");
    let mut turned = files.to_vec();
    turned.reverse();
    let turned = run(&turned, &["--aging=2,never", "--each-exporter", "--threads=1"]);
    assert_eq!(each(&turned), each(&all), "{what}");
}

/// Routers that see the same and not the same, with every fault there is: as alone, whatever the reading.
#[test]
fn as_alone_whatever_the_reading() {
    let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
    let file = dir.path().join("w.csv");
    workload::write(seed, 400, &file);
    let files = [file];
    for args in [
        &["--h=1000"][..],
        &["--h=1000", "--detector=window", "--duplicates=each", "--directions=both"],
        &["--h=100000000"],
    ] {
        let all = as_alone(&files, args, &format!("seed {seed}, {args:?}"));
        let names: Vec<_> = each(&all).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["192.0.2.2", "192.0.2.5", "192.0.2.9"], "those without alpha flows too");
    }
    // Of interfaces each router has its own.
    let args = ["--h=1000", "--ingress=192.0.2.9/1", "--ingress=192.0.2.2/2", "--each-exporter"];
    let all = run(&files, &args);
    for (exporter, interface) in [("192.0.2.9", 1), ("192.0.2.2", 2)] {
        let own = ["--h=1000".into(), format!("--ingress={exporter}/{interface}")];
        assert_eq!(each(&all)[exporter], of_router(fam(&files, &own)), "seed {seed}");
    }
    assert_eq!(each(&all).len(), 2);
}

/// Days kept: a second run has what a run over all of them has, of every router.
#[test]
fn days_are_kept_for_each_router() {
    let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
    let (files, _) = generate("duplicates", seed, &dir.path().join("w"));
    let state = format!("--state={}", dir.path().join("state").display());
    let args = ["--aging=2,never", "--each-exporter"];
    let kept = [&args[..], &[&state]].concat();
    run(&files[..8], &kept);
    let grown = run(&files[8..12], &kept);
    let whole = run(&files[..12], &args);
    assert_eq!(each(&grown), each(&whole), "seed {seed}");
    assert_eq!(beside(&grown), beside(&whole), "seed {seed}");
}

/// 1. As text each router has a heading; as CSV a folder, beside the report too.
/// 2. `--table` picks of each.
#[test]
fn each_router_is_printed_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    workload::write(6, 200, &path("w.csv"));
    let said = |args: &[&str]| {
        let files = [path("w.csv").into_os_string()];
        stdout(hntes(args.iter().map(OsString::from).chain(files)))
    };
    let csv = path("csv").display().to_string();
    let text = said(&["fam", "--h=1000", "--each-exporter", "--csv", &csv, "--table=series"]);
    assert!(text.starts_with("series:"), "{text}");
    assert_eq!(text.matches("\nseries:").count(), 3, "{text}");
    let heading = |name: &str| format!("== exporter {name} alone ==");
    for name in ["192.0.2.2", "192.0.2.5", "192.0.2.9"] {
        assert!(text.contains(&heading(name)), "{text}");
        let of_router = |place: &Path| {
            fs::read_to_string(place.join(format!("exporter-{name}/series.csv"))).unwrap()
        };
        let alone = said(&["fam", "--h=1000", "--exporter", name, "--json", "--table=series"]);
        let alone: Value = serde_json::from_str(&alone).unwrap();
        let days = alone["tables"]["series"].as_array().unwrap().len();
        assert_eq!(of_router(&path("csv")).lines().count(), days + 1);
        let out = path("report").display().to_string();
        said(&["report", "--h=1000", "--each-exporter", "--out", &out]);
        assert_eq!(of_router(&path("report")), of_router(&path("csv")));
        assert!(path("report/exporters.csv").exists());
    }
    let picked = run(&[path("w.csv")], &["--h=1000", "--each-exporter", "--table=series"]);
    for tables in each(&picked).values() {
        assert_eq!(tables.as_object().unwrap().keys().collect::<Vec<_>>(), ["series"]);
    }
    assert_eq!(picked["version"], json!(1));
    let refused = hntes(["fam", "--each-exporter", "--exporter=192.0.2.2", "x.csv"]);
    assert_eq!(refused.status.code(), Some(2));
}
