// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Input that is not as it should be, and how tables are printed.

use crate::program::{csv_files, fam, fresh_seed, hntes, stdout};
use crate::workload;
use serde_json::{Value, json};
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
    for table in ["files", "bad_lines"] {
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
        tables["files"] = Value::Null;
        tables
    };
    let one = run(&[whole], "--threads=1");
    for threads in ["--threads=1", "--threads=3", "--threads=16"] {
        assert_eq!(one, run(&csv_files(&parts), threads), "{threads}");
    }
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
