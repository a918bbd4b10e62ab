// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Against the brute-force reader, which shares no code with the crates.

use crate::program::{fam, fresh_seed, generate};
use crate::workload;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the brute-force reader says for each set of switches.
fn brute(files: &[PathBuf], switches: &[Value]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/brute/brute.py");
    let mut python = Command::new("python3")
        .arg("-B")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let request = json!({ "files": files, "switches": switches }).to_string();
    python.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The switches as options.
fn options(switches: &Map<String, Value>) -> Vec<String> {
    let mut options = Vec::new();
    for (name, value) in switches.iter().filter(|(name, _)| *name != "tables") {
        let name = format!("--{}", name.replace('_', "-"));
        match value {
            Value::Bool(on) => options.extend(on.then_some(name)),
            Value::Array(values) => {
                options.extend(values.iter().map(|v| format!("{name}={}", v.as_str().unwrap())));
            }
            Value::String(text) => options.push(format!("{name}={text}")),
            other => options.push(format!("{name}={other}")),
        }
    }
    options
}

fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours.as_f64(), theirs.as_f64()) {
        _ if ours.is_u64() && theirs.is_u64() => ours == theirs,
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0),
        _ => ours == theirs,
    }
}

/// Compares every column of every table that the brute-force reader gives.
fn compare(ours: &Value, theirs: &Value, what: &str) {
    for (name, rows) in theirs.as_object().unwrap() {
        let rows = rows.as_array().unwrap();
        let found = ours[name].as_array().unwrap_or_else(|| panic!("no table {name}"));
        assert_eq!(found.len(), rows.len(), "rows of {name}; {what}");
        for (number, (found, row)) in found.iter().zip(rows).enumerate() {
            for (column, value) in row.as_object().unwrap() {
                let ours = found.get(column).unwrap_or_else(|| panic!("{name}.{column}"));
                assert!(
                    same(ours, value),
                    "{name}, row {number}, {column}: {ours}, by brute force {value}; {what}\n{found}\n{row}"
                );
            }
        }
    }
}

/// Every switch in each of its other positions, and some together.
fn switches() -> Vec<Value> {
    vec![
        json!({}),
        json!({"h": 700}),
        json!({"t": 20}),
        json!({"t": 7.25, "detector": "window"}),
        json!({"grace": 30}),
        json!({"grace": 30, "detector": "window"}),
        json!({"detector": "window"}),
        json!({"detector": "window", "duplicates": "each"}),
        json!({"detector": "window", "long_report": "whole"}),
        json!({"threshold": "reaches"}),
        json!({"long_report": "whole"}),
        json!({"hourly": true}),
        json!({"zone": "+02:00"}),
        json!({"zone": "-05:30"}),
        json!({"gap": "under"}),
        json!({"gap": "one-more"}),
        json!({"mean": "of-days"}),
        json!({"warm_up": 5}),
        json!({"warm_up": 5, "mean": "of-days"}),
        json!({"bytes": "whole-flows"}),
        json!({"refresh": "any-traffic"}),
        json!({"refresh": "any-traffic", "gap": "under"}),
        json!({"credit": "same-day"}),
        json!({"credit": "same-day", "bytes": "whole-flows"}),
        json!({"duplicates": "each"}),
        json!({"exporter": "192.0.2.9"}),
        json!({"exporter": "203.0.113.9"}),
        json!({"ingress": ["192.0.2.9/1", "192.0.2.2/2"]}),
        json!({"adjacent": 45}),
        json!({"utilisation_bin": 300, "capacity": 100}),
        json!({"utilisation_bin": 7.5, "capacity": 9}),
        json!({"aging": ["0", "1", "2", "3", "59"]}),
    ]
}

#[test]
fn every_switch_on_random_workloads() {
    for round in 0..5 {
        let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
        let file = dir.path().join("workload.csv");
        workload::write(seed, 60 << round, &file);
        let switches: Vec<Value> = switches()
            .into_iter()
            .map(|mut set| {
                let set_h = set.as_object_mut().unwrap();
                set_h.entry("h").or_insert(1000.into());
                set
            })
            .collect();
        let files = [file];
        for (set, theirs) in switches.iter().zip(brute(&files, &switches)) {
            // Hours make many rows; the beta pass is compared by days.
            let options = options(set.as_object().unwrap());
            compare(&fam(&files, &options), &theirs, &format!("seed {seed}, {set}"));
        }
    }
}

/// The broken twin: a figure that is off by one is found.
#[test]
#[should_panic(expected = "by brute force")]
fn a_wrong_figure_is_found() {
    let (seed, dir) = (4711, tempfile::tempdir().unwrap());
    let file = dir.path().join("workload.csv");
    workload::write(seed, 200, &file);
    let files = [file];
    let theirs = brute(&files, &[json!({"h": 1000, "gap": "under", "tables": ["aging"]})]);
    compare(&fam(&files, &["--h=1000".into()]), &theirs[0], "twin");
}

/// Each switch that changes a figure of the slides' workload, and the reference reading.
#[test]
fn switches_on_the_slides() {
    let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
    let (files, _) = generate("slides", seed, dir.path());
    let alpha = json!(["series", "aging", "prefix_flows", "lsp_months"]);
    let mut switches = vec![json!({})];
    for set in [
        json!({"h": 2_000_000_000}),
        json!({"detector": "window"}),
        json!({"zone": "-07:00"}),
        json!({"gap": "under"}),
        json!({"gap": "one-more"}),
        json!({"mean": "of-days"}),
        json!({"warm_up": 30}),
        json!({"bytes": "whole-flows"}),
        json!({"credit": "same-day"}),
    ] {
        let mut set = set;
        set["tables"] = alpha.clone();
        switches.push(set);
    }
    for (set, theirs) in switches.iter().zip(brute(&files, &switches)) {
        let options = options(set.as_object().unwrap());
        compare(&fam(&files, &options), &theirs, &format!("seed {seed}, {set}"));
    }
}

/// Every profile, by the reference reading and by the window; each fifth day, as the brute force
/// takes seconds a day.
#[test]
fn every_profile() {
    let profiles =
        ["parallel", "beta", "renumbered", "duplicates", "loss", "ipv6", "midnight", "sampled"];
    for profile in profiles {
        let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
        let (files, _) = generate(profile, seed, dir.path());
        let files: Vec<_> = files.into_iter().step_by(5).collect();
        let switches = [
            json!({"aging": ["7", "30"]}),
            json!({"detector": "window", "tables": ["series", "aging"], "aging": ["14"]}),
        ];
        for (set, theirs) in switches.iter().zip(brute(&files, &switches)) {
            let options = options(set.as_object().unwrap());
            compare(&fam(&files, &options), &theirs, &format!("{profile} {seed}, {set}"));
        }
    }
}
