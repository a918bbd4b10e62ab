// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Input that is not as it should be, days kept between runs, and what is emitted.

use crate::program::{csv_files, fam, fresh_seed, generate, hntes, stdout};
use crate::workload;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

#[test]
fn what_is_wrong_is_named_and_the_rest_analysed() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.csv");
    workload::write(1, 50, &good);
    let text = fs::read_to_string(&good).unwrap();
    let clean = fam(&[good], &["--h=1000".into()]);

    // The same with a torn line, a line of rubbish and a line in another encoding.
    let bad = dir.path().join("bad.csv");
    let mut bytes = text.clone().into_bytes();
    bytes.extend_from_slice(b"x,y\n10.0.0.1,\xff\n10.0.0.1,1,2,192.0.2");
    fs::write(&bad, bytes).unwrap();
    let (empty, stranger) = (dir.path().join("empty.csv"), dir.path().join("stranger.csv"));
    fs::write(&empty, "").unwrap();
    fs::write(&stranger, "a,b\n1,2\n").unwrap();
    let missing = dir.path().join("missing.csv");
    let files = [bad.clone(), empty, stranger.clone(), missing.clone()];
    let mut tables = fam(&files, &["--h=1000".into()]);

    let lines = text.lines().count() as u64;
    let faults = tables["bad_lines"].as_array().unwrap();
    let of = |path: &std::path::Path, reason: &str| {
        let same = |row: &&Value| {
            row["path"] == path.display().to_string().as_str()
                && row["reason"].as_str().unwrap().contains(reason)
        };
        faults.iter().find(same).unwrap_or_else(|| panic!("{reason}: {faults:?}")).clone()
    };
    let few = of(&bad, "too few columns");
    assert_eq!((&few["lines"], &few["first_line"]), (&json!(2), &json!(lines + 1)));
    assert_eq!(of(&bad, "not UTF-8")["first_line"], lines + 2);
    of(&stranger, "first line");
    of(&missing, "missing.csv");
    assert_eq!(faults.len(), 4);
    for table in ["files", "bad_lines", "notes"] {
        tables[table] = clean[table].clone();
    }
    assert_eq!(tables, clean, "the rest is as without");

    let only = hntes(["fam".as_ref(), missing.as_os_str()]);
    assert_eq!(only.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&only.stderr).contains("missing.csv"));
}

#[test]
fn workers_and_files_do_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole.csv");
    workload::write(fresh_seed(), 300, &whole);
    let text = fs::read_to_string(&whole).unwrap();
    let (head, lines) = text.split_once('\n').unwrap();
    let parts = dir.path().join("parts");
    fs::create_dir(&parts).unwrap();
    for part in 0..7 {
        let own: Vec<_> = lines.lines().skip(part).step_by(7).collect();
        let text = format!("{head}\n{}\n", own.join("\n"));
        fs::write(parts.join(format!("{part}.csv")), text).unwrap();
    }
    let run = |files: &[std::path::PathBuf], threads: &str| {
        let mut tables = fam(files, &["--h=1000".into(), threads.into()]);
        (tables["files"], tables["notes"]) = (Value::Null, Value::Null);
        tables
    };
    let one = run(&[whole], "--threads=1");
    for threads in ["--threads=1", "--threads=3", "--threads=16"] {
        assert_eq!(one, run(&csv_files(&parts), threads), "{threads}");
    }
}

/// 1. Days come one by one; the state has what a run over all of them finds.
/// 2. A day replayed changes nothing, to the byte.
/// 3. Another reading is refused.
#[test]
fn days_are_kept() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    let (files, _) = generate("slides", seed, dir.path());
    let state = dir.path().join("state");
    let kept = format!("--state={}", state.display());
    let args = |more: &[&str]| -> Vec<String> {
        let base = [kept.as_str(), "--alpha-only"];
        base.iter().chain(more).map(|text| (*text).to_owned()).collect()
    };
    fam(&files[..100], &args(&[]));
    let grown = fam(&files[100..140], &args(&[]));
    let mut all = fam(&files[..140], &["--alpha-only".into()]);
    all["files"] = grown["files"].clone();
    assert_eq!(grown, all);

    let day = state.join("2011-06-01.day.json");
    let before = fs::read(&day).unwrap();
    let mut replayed = fam(&files[31..32], &args(&[]));
    assert_eq!(fs::read(&day).unwrap(), before);
    replayed["files"] = grown["files"].clone();
    assert_eq!(replayed, grown);

    let other = hntes(["fam", &kept, "--h=5"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("another reading"));
}

/// Tables of two days that follow each other: the second's diff leads from one to the other.
#[test]
fn emitted_tables_follow_from_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = generate("slides", fresh_seed(), dir.path());
    let out = dir.path().join("out");
    let emit = |day: &str| -> Value {
        let args = ["fam", "--alpha-only", "--emit-day", day, "--emit"];
        let args = args.map(std::ffi::OsStr::new).into_iter().chain([out.as_os_str()]);
        stdout(hntes(args.chain(files.iter().map(|path| path.as_os_str()))));
        serde_json::from_slice(&fs::read(out.join(format!("pbr-{day}.json"))).unwrap()).unwrap()
    };
    let keys = |table: &Value| -> BTreeSet<String> {
        let key = |entry: &Value| format!("{} {}", entry["src"], entry["dst"]);
        table.as_array().unwrap().iter().map(key).collect()
    };
    // Find a day with changes; in the first month hardly one is without.
    let (before, after) = (emit("2011-05-20"), emit("2011-05-21"));
    let mut table = keys(&before["entries"]);
    let change = &after["diff"]["entries"];
    table.retain(|key| !keys(&change["removed"]).contains(key));
    table.extend(keys(&change["added"]));
    assert_eq!(table, keys(&after["entries"]));
    assert!(keys(&change["added"]).is_disjoint(&keys(&before["entries"])));
    assert_eq!(after["diff"]["since"], "2011-05-20");
    assert_eq!((&after["version"], &after["both_directions"]), (&json!(1), &json!(true)));
    assert!(!table.is_empty());
    let entry = &after["entries"][0];
    assert!(entry["lsps"].as_array().unwrap().iter().all(|lsp| lsp["ingress"] == "10.0.0.1"));

    // The table that is in force after the last day, and its size.
    let last = emit("2011-12-01");
    let tables = fam(&files, &["--alpha-only".into()]);
    let sizes = tables["table_days"].as_array().unwrap();
    let of = |day: &str| {
        let same =
            |row: &&Value| row["width"] == "/24" && row["aging"] == "30" && row["day"] == day;
        sizes.iter().find(same).unwrap()["size"].as_u64().unwrap() as usize
    };
    assert_eq!(keys(&before["entries"]).len(), of("2011-05-20"));
    assert_eq!(keys(&after["entries"]).len(), of("2011-05-21"));
    assert!(keys(&last["entries"]).len() >= 40);
}

#[test]
fn text_csv_and_help_of_tables() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("w.csv");
    workload::write(3, 200, &file);
    let csv = dir.path().join("csv");
    let text = stdout(hntes([
        "fam".as_ref(),
        "--h=1000".as_ref(),
        "--csv".as_ref(),
        csv.as_os_str(),
        file.as_os_str(),
    ]));
    assert!(text.contains("effectiveness:") && !text.contains("table_days:"));
    let series = fs::read_to_string(csv.join("series.csv")).unwrap();
    assert!(series.starts_with("day,missing,records,raw_flows,"));
    let asked = stdout(hntes([
        "fam".as_ref(),
        "--h=1000".as_ref(),
        "--table=table_days".as_ref(),
        file.as_os_str(),
    ]));
    assert!(asked.starts_with("table_days:") && !asked.contains("effectiveness:"));
    let none = hntes(["fam".as_ref(), "--table=nothing".as_ref(), file.as_os_str()]);
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("table_days"));
}

/// 1. One file each: records that end before they begin, of unknown sampling, of a clock ahead; a day
///    between the files has none.
/// 2. Each is told with its file, how many and which is the first; the rest is as without.
#[test]
fn odd_records_are_told_by_file_and_count() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, lines: &[&str]| {
        let path = dir.path().join(name);
        let head = hntes::schema::COLUMNS.join(",");
        fs::write(&path, format!("{head}\n{}\n", lines.join("\n"))).unwrap();
        path
    };
    // Seconds since 1970 become nanoseconds; an alpha flow of 2011-05-01 and one of 2011-05-03.
    let line = |first: i64, last: i64, sampling: &str| {
        let (first, last) = (first * 1_000_000_000, last * 1_000_000_000);
        format!("10.9.9.9,{first},{last},10.0.0.1,10.0.1.1,6,1,2,1,2,,0,5000,1,{sampling}")
    };
    let (day, third) = (1_304_208_000, 1_304_208_000 + 2 * 86_400);
    let (good, later) = (line(day, day + 9, "1"), line(third, third + 9, "1"));
    let good = file("good.csv", &[&good, &later]);
    let (back, fine) = (line(day + 9, day + 8, "1"), line(day, day + 1, "1"));
    let negative = file("negative.csv", &[&fine, &back, &back]);
    let unknown = file("unknown.csv", &[&line(day, day + 9, "")]);
    let ahead = file("ahead.csv", &[&line(4_102_444_800, 4_102_444_801, "")]);
    let files = [good, negative.clone(), unknown.clone(), ahead.clone()];
    let args = ["fam", "--h=1000", "--json"].map(std::ffi::OsStr::new).into_iter();
    let output = hntes(args.chain(files[..3].iter().map(|path| path.as_os_str())));
    let said = String::from_utf8_lossy(&output.stderr);
    let tables: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |path: &std::path::Path| path.display().to_string();
    assert_eq!(
        tables["tables"]["notes"],
        json!([
            { "path": name(&negative), "records_that": "end before they begin", "records": 2, "first_line": 3 },
            { "path": name(&unknown), "records_that": "have no known sampling rate", "records": 1, "first_line": 2 },
        ])
    );
    assert!(
        said.contains("negative.csv: 2 records end before they begin, the first in line 3"),
        "{said}"
    );
    assert!(said.contains("1 intervals without any record, the first is 2011-05-02"), "{said}");
    assert_eq!(tables["tables"]["left_out"][1]["missing"], true);
    assert_eq!(tables["tables"]["raw_flows"].as_array().unwrap().len(), 2);

    let output = hntes(["fam".as_ref(), "--alpha-only".as_ref(), ahead.as_os_str()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("ahead.csv: 1 records begin after the file was written"), "{said}");
}
