// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Days kept between runs.

use crate::program::{fam, fresh_seed, generate, hntes, said};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const DAY_NS: i64 = 86_400_000_000_000;

fn instant(line: &str, column: usize) -> i64 {
    line.split(',').nth(column).unwrap().parse().unwrap()
}

/// The same records in the files that a collector would write: by the day a record was exported on.
fn by_export(files: &[PathBuf], dir: &Path) -> Vec<PathBuf> {
    let mut days: BTreeMap<i64, String> = BTreeMap::new();
    let mut head = String::new();
    for path in files {
        let text = fs::read_to_string(path).unwrap();
        let (names, lines) = text.split_once('\n').unwrap();
        names.clone_into(&mut head);
        for line in lines.lines() {
            let day = days.entry(instant(line, 2) / DAY_NS).or_default();
            day.push_str(line);
            day.push('\n');
        }
    }
    fs::create_dir_all(dir).unwrap();
    let store = |(day, lines): (i64, String)| {
        let path = dir.join(format!("{day}.csv"));
        fs::write(&path, format!("{head}\n{lines}")).unwrap();
        path
    };
    days.into_iter().map(store).collect()
}

/// How many records of a file begin on the day before.
fn late(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().skip(1);
    lines.filter(|line| instant(line, 1) / DAY_NS < instant(line, 2) / DAY_NS).count()
}

/// The files of a folder and what is in them.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Files go by export, as those of nfdump, pmacct, goflow2 and our collector do.
///
/// 1. Days come one by one, from the last file of the time before on; the state has what a run over
///    all of them finds.
/// 2. A file replayed changes nothing, to the byte, though it has a few records of the day before.
/// 3. A record of a skewed clock changes nothing either. Both are said.
/// 4. `--replace` takes what is read.
/// 5. Another reading is refused, and so is another assumption.
#[test]
fn days_are_kept() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    println!("seed {seed}");
    let (files, _) = generate("midnight", seed, &dir.path().join("w"));
    let files = by_export(&files, &dir.path().join("by-export"));
    let state = dir.path().join("state");
    let kept = format!("--state={}", state.display());
    let args = |more: &[&str]| -> Vec<String> {
        let base = [kept.as_str(), "--alpha-only"];
        base.iter().chain(more).map(|text| (*text).to_owned()).collect()
    };
    let same = |mut grown: Value, as_all: &Value| {
        for table in ["files", "kept_days"] {
            grown[table] = as_all[table].clone();
        }
        assert_eq!(&grown, as_all);
    };
    // The file after the cut has something of the day before.
    let cut = (100..130).find(|at| late(&files[*at]) > 0).unwrap();
    fam(&files[..cut], &args(&[]));
    let grown = fam(&files[cut - 1..140], &args(&[]));
    let all = fam(&files[..140], &["--alpha-only".into()]);
    assert_eq!(all["kept_days"], json!([]));
    same(grown, &all);

    let before = contents(&state);
    let replayed = fam(&files[cut..=cut], &args(&[]));
    assert_eq!(contents(&state), before);
    let rows = replayed["kept_days"].as_array().unwrap();
    assert_eq!(rows[0]["records_read"], late(&files[cut]));
    assert!(rows[0]["records_kept"].as_u64().unwrap() > late(&files[cut]) as u64);
    same(replayed, &all);

    let skewed = dir.path().join("skewed.csv");
    let text = fs::read_to_string(&files[40]).unwrap();
    let two: String = text.lines().take(2).map(|line| format!("{line}\n")).collect();
    fs::write(&skewed, two).unwrap();
    let run = |more: &[&str]| {
        let args = ["fam", &kept, "--alpha-only"].into_iter().chain(more.iter().copied());
        hntes(args.map(Into::into).chain([skewed.clone().into_os_string()]))
    };
    let output = run(&[]);
    assert!(output.status.success());
    assert_eq!(contents(&state), before);
    let told = said(&output);
    assert!(told.contains("stays as it is kept") && told.contains("--replace"), "{told}");

    for (other, what) in [
        ("--h=5", "another reading (other switches)"),
        ("--assume-sampling=7", "--assume-sampling"),
        ("--assume-exporter=10.9.9.9", "--assume-exporter"),
        ("--zone=+02:00", "--zone UTC"),
        ("--hourly", "other switches"),
    ] {
        let refused = run(&[other]);
        assert_eq!(refused.status.code(), Some(2), "{other}");
        assert!(said(&refused).contains(what), "{other}: {}", said(&refused));
        assert_eq!(contents(&state), before);
    }

    assert!(run(&["--replace"]).status.success());
    let after = contents(&state);
    let changed = before.iter().filter(|(path, bytes)| after[*path] != **bytes).count();
    assert_eq!((changed, after.len()), (1, before.len()));
}

/// 1. Days come in two runs, the beta traffic of the first is kept; records cross midnight between
///    them, and other LSPs, agings and hosts come up. The tables are those of a run over all days.
/// 2. So they are with no file at all.
/// 3. Under another aging what is kept is worth nothing: the days are named and in no table. Read
///    again, they are known again.
/// 4. A day before the first makes the others stale.
fn beta_is_kept(directions: &str) {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    println!("seed {seed}");
    let file = dir.path().join("all.csv");
    crate::workload::write(seed, 1500, &file);
    let text = fs::read_to_string(&file).unwrap();
    let (head, lines) = text.split_once('\n').unwrap();
    let part = |name: &str, days: std::ops::Range<i64>| {
        let of = |line: &&str| days.contains(&(instant(line, 1) / DAY_NS - 15_095));
        let lines: Vec<&str> = lines.lines().filter(of).collect();
        let path = dir.path().join(name);
        fs::write(&path, format!("{head}\n{}\n", lines.join("\n"))).unwrap();
        path
    };
    let (zero, first, second) =
        (part("zero.csv", 0..1), part("first.csv", 1..24), part("second.csv", 24..99));
    let rest = part("rest.csv", 1..99);
    let kept = format!("--state={}", dir.path().join("state").display());
    let kept = kept.as_str();
    let run = |files: &[&PathBuf], more: &[&str]| {
        let args = ["--h=1000", directions].into_iter().chain(more.iter().copied());
        let args: Vec<String> = args.map(str::to_owned).collect();
        fam(&files.iter().map(|path| (*path).clone()).collect::<Vec<_>>(), &args)
    };
    let tables = ["beta", "beta_days", "lsp_utilisation", "beta_unknown"];
    let same = |ours: &Value, theirs: &Value, what: &str| {
        for table in tables {
            assert_eq!(ours[table], theirs[table], "{table}, {what}, seed {seed}");
        }
    };
    let all = run(&[&rest], &[]);
    assert!(all["beta_days"].as_array().unwrap().iter().any(|row| row["beta2_exposed_bytes"] != 0));
    run(&[&first], &[kept]);
    same(&run(&[&second], &[kept]), &all, "two runs");
    same(&run(&[], &[kept]), &all, "no file");

    let other = run(&[&second], &[kept, "--aging=3"]);
    let unknown = other["beta_unknown"].as_array().unwrap().len();
    assert!(unknown >= 20, "{unknown} days are not known");
    let days = other["series"].as_array().unwrap().len();
    assert_eq!(other["beta"][0]["days"], days - unknown);
    run(&[&first], &[kept, "--aging=3"]);
    let aged = run(&[&second], &[kept, "--aging=3"]);
    same(&aged, &run(&[&rest], &["--aging=3"]), "another aging");

    run(&[&rest], &[kept]);
    let before = run(&[&zero], &[kept]);
    assert!(!before["beta_unknown"].as_array().unwrap().is_empty(), "an earlier day, seed {seed}");
}

#[test]
fn beta_traffic_is_kept() {
    beta_is_kept("--directions=one-way");
}

#[test]
fn beta_traffic_of_both_directions_is_kept() {
    beta_is_kept("--directions=both");
}
