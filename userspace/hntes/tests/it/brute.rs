// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Against the brute-force reader, which shares no code with the crates.

use crate::program::{fam, fresh_seed, generate};
use crate::switches::{Setting, switches};
use crate::workload;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the brute-force reader says for each set of switches.
pub(crate) fn brute(files: &[PathBuf], switches: &[Value]) -> Vec<Value> {
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
pub(crate) fn options(switches: &Map<String, Value>) -> Vec<String> {
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

/// Both readers, by every set of switches.
fn agree(file: &Path, switches: &[Value], what: &str) {
    let files = [file.to_owned()];
    for (set, theirs) in switches.iter().zip(brute(&files, switches)) {
        let mut options = options(set.as_object().unwrap());
        options.push("--threads=1".into());
        compare(&fam(&files, &options), &theirs, &format!("{what}, {set}"));
    }
}

/// Takes the sampling and the exporter out of some lines: they are assumed, or the record is none.
fn blank(lines: &mut [String]) {
    for (number, line) in lines.iter_mut().enumerate() {
        let mut fields: Vec<&str> = line.split(',').collect();
        if number % 7 == 3 {
            fields[14] = "";
        }
        if number % 11 == 5 {
            fields[0] = "";
        }
        *line = fields.join(",");
    }
}

fn store(head: &str, lines: &[String], path: &Path) {
    fs::write(path, format!("{head}\n{}\n", lines.join("\n"))).unwrap();
}

#[test]
fn every_switch_on_random_workloads() {
    for round in 0..5 {
        let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
        let file = dir.path().join("workload.csv");
        workload::write(seed, 40 << round, &file);
        let text = fs::read_to_string(&file).unwrap();
        let (head, lines) = text.split_once('\n').unwrap();
        let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        let edges = ["192.0.2.9/1", "192.0.2.2/2"];
        let setting = Setting::new(1000, edges, &lines, dir.path());
        blank(&mut lines);
        store(head, &lines, &file);
        agree(&file, &switches(&setting), &format!("seed {seed}"));
    }
}

/// The first days of a workload, so few of its records that brute force is quick: those of some
/// prefix flows that have records above `h`, and some of the others, all over the days.
fn thinned(files: &[PathBuf], h: u64) -> (String, Vec<String>) {
    let texts: Vec<String> = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let head = texts[0].lines().next().unwrap().to_owned();
    let mut pairs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in texts.iter().flat_map(|text| text.lines().skip(1)) {
        let fields: Vec<&str> = line.split(',').collect();
        let net = |addr: &str| addr.rsplit_once(['.', ':']).unwrap().0.to_owned();
        pairs.entry(format!("{} {}", net(fields[3]), net(fields[4]))).or_default().push(line);
    }
    let above = |line: &&str| {
        let fields: Vec<&str> = line.split(',').collect();
        let n: u64 = fields[14].parse().unwrap();
        fields[12].parse::<u64>().unwrap() * n > h
    };
    let (large, small): (Vec<_>, Vec<_>) =
        pairs.into_values().partition(|lines| lines.iter().any(above));
    let few = |all: Vec<Vec<&str>>, most: usize| -> Vec<String> {
        let mut taken = Vec::new();
        for lines in all {
            // Whole prefix flows, so that they come again; of a large one some all over its days.
            let step = lines.len().div_ceil(60);
            if taken.len() + lines.len() / step <= most {
                taken.extend(lines.into_iter().step_by(step).map(str::to_owned));
            }
        }
        taken
    };
    let mut lines = few(large, 150);
    lines.extend(few(small, 60));
    (head, lines)
}

/// Each switch in each position, on five seeds of every profile.
#[test]
fn every_switch_on_every_profile() {
    const H: u64 = 1_500_000_000;
    let profiles = [
        "slides",
        "parallel",
        "beta",
        "renumbered",
        "duplicates",
        "loss",
        "ipv6",
        "midnight",
        "sampled",
    ];
    for profile in profiles {
        for _ in 0..5 {
            let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
            let (files, _) = generate(profile, seed, dir.path());
            let (head, mut lines) = thinned(&files[..12], H);
            let what = format!("{profile}, seed {seed}");
            assert!((20..=220).contains(&lines.len()), "{} records, {what}", lines.len());
            let setting = Setting::new(H, ["10.0.0.1/1", "10.0.1.1/9"], &lines, dir.path());
            blank(&mut lines);
            let file = dir.path().join("thin.csv");
            store(&head, &lines, &file);
            let mut switches = switches(&setting);
            for set in &mut switches {
                set.as_object_mut().unwrap().entry("aging").or_insert(json!(["2", "never"]));
            }
            agree(&file, &switches, &what);
        }
    }
}

/// No switch of the program is left out above: each name that the help has is in some set, or has
/// nothing to do with figures.
#[test]
fn no_switch_is_forgotten() {
    let help = crate::program::stdout(crate::program::hntes(["fam", "--help"]));
    let told: BTreeSet<String> = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--"))
        .map(|line| line.split([' ', '=', ',']).next().unwrap().replace('-', "_"))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let sets = switches(&Setting::new(1, ["192.0.2.9/1", "192.0.2.2/2"], &[], dir.path()));
    let tried: BTreeSet<String> =
        sets.iter().flat_map(|set| set.as_object().unwrap().keys().cloned()).collect();
    let others = [
        "alpha_only",
        "burst",
        "csv",
        "each_exporter",
        "emit",
        "engine",
        "flow_reports",
        "json",
        "memory",
        "replace",
        "spool",
        "state",
        "table",
        "threads",
    ];
    let left: Vec<_> = told
        .iter()
        .filter(|name| !tried.contains(*name) && !others.contains(&name.as_str()))
        .filter(|name| !name.starts_with("emit_"))
        .collect();
    assert!(told.len() > 30 && left.is_empty(), "{left:?}");
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

/// All days of the slides, where there is enough of everything.
#[test]
fn the_whole_of_the_slides() {
    let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
    let (files, _) = generate("slides", seed, dir.path());
    let tables = json!(["series", "aging", "prefix_flows", "lsp_months"]);
    let switches = [
        json!({"tables": tables}),
        json!({"tables": tables, "h": 2_000_000_000, "detector": "window", "zone": "-07:00"}),
        json!({"tables": tables, "gap": "one-more", "mean": "of-days", "warm_up": 30}),
    ];
    for (set, theirs) in switches.iter().zip(brute(&files, &switches)) {
        let options = options(set.as_object().unwrap());
        compare(&fam(&files, &options), &theirs, &format!("seed {seed}, {set}"));
    }
}
