// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Input that is not as it should be, and how tables are printed.

use crate::program::{csv_files, fam, fresh_seed, hntes, said, stdout};
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
    assert_eq!((&few["lines"], &few["first_line"]), (&json!(1), &json!(lines + 1)));
    assert_eq!(of(&bad, "not UTF-8")["first_line"], lines + 2);
    assert_eq!(of(&bad, "line not ended")["first_line"], lines + 3);
    of(&stranger, "first line");
    of(&missing, "missing.csv");
    assert_eq!(faults.len(), 5);
    for table in ["files", "bad_lines", "notes"] {
        tables[table] = clean[table].clone();
    }
    assert_eq!(tables, clean, "the rest is as without");

    let only = hntes(["fam".as_ref(), missing.as_os_str()]);
    assert_eq!(only.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&only.stderr).contains("missing.csv"));
}

/// Wherever a file is torn: what is behind its last line break is no record, however much it looks
/// like one. `…,1000` cut to `…,1` would be another rate.
#[test]
fn a_torn_line_is_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("torn.csv");
    workload::write(2, 2, &path);
    let text = fs::read_to_string(&path).unwrap();
    let head = text.find('\n').unwrap() + 1;
    let sampled = |line: &str| line.rsplit_once(',').unwrap().0.to_owned() + ",1000\n";
    let whole = text[..head].to_owned() + &text[head..].lines().map(sampled).collect::<String>();
    for end in head..=whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let tables =
            fam(std::slice::from_ref(&path), &["--alpha-only".into(), "--threads=1".into()]);
        let lines = whole[head..end].matches('\n').count();
        let torn = !whole[..end].ends_with('\n');
        assert_eq!(tables["files"][0]["records"], lines, "{end}");
        let reasons = tables["bad_lines"].as_array().unwrap();
        assert_eq!(reasons.len(), usize::from(torn), "{end}: {reasons:?}");
        assert!(!torn || reasons[0]["reason"] == "line not ended");
    }
    // An object of JSON has its end in itself.
    let json =
        r#"{"ip_src":"192.0.2.7","ip_dst":"192.0.2.8","ip_proto":6,"bytes":9,"sampling_rate":1,
        "timestamp_start":1,"timestamp_end":2}"#
            .replace('\n', "");
    fs::write(&path, json).unwrap();
    assert_eq!(fam(&[path], &[])["files"][0]["records"], 1);
}

/// `cat a.csv b.csv`, b with its columns the other way round: as the two of them.
#[test]
fn files_one_behind_the_other_are_read_each_by_its_header() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    workload::write(fresh_seed(), 100, &path("a.csv"));
    workload::write(fresh_seed(), 100, &path("b.csv"));
    let turned: String = fs::read_to_string(path("b.csv"))
        .unwrap()
        .lines()
        .map(|line| line.split(',').rev().collect::<Vec<_>>().join(",") + "\n")
        .collect();
    let both = fs::read_to_string(path("a.csv")).unwrap() + &turned;
    fs::write(path("both.csv"), both).unwrap();
    let run = |names: &[&str]| {
        let files: Vec<_> = names.iter().map(|name| path(name)).collect();
        let mut tables = fam(&files, &["--h=1000".into()]);
        (tables["files"], tables["notes"]) = (Value::Null, Value::Null);
        (tables["bad_lines"].take(), tables)
    };
    let ((_, apart), (faults, together)) = (run(&["a.csv", "b.csv"]), run(&["both.csv"]));
    assert_eq!(together, apart);
    assert_eq!(faults.as_array().unwrap().len(), 1);
    assert_eq!((&faults[0]["reason"], &faults[0]["lines"]), (&json!("another header"), &json!(1)));
}

/// Nothing nfdump writes tells the rate: a run that finds nothing says why.
#[test]
fn unknown_sampling_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nfdump.csv");
    let line =
        "2011-05-01 00:00:01,2011-05-01 00:00:31,192.0.2.7,198.51.100.1,TCP,2000000000,10.0.0.1\n";
    fs::write(&path, format!("ts,te,sa,da,pr,ibyt,ra\n{line}{line}{line}")).unwrap();
    let run = |args: &[&str]| {
        let args = ["fam", "--table=summary"].iter().chain(args).map(|arg| (*arg).into());
        hntes(args.chain([path.clone().into_os_string()]))
    };
    let told = "3 of 3 records have unknown sampling; see --assume-sampling";
    assert!(said(&run(&[])).contains(told));
    assert!(!said(&run(&["--assume-sampling=::ffff:10.0.0.1=1"])).contains("unknown sampling"));
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
    assert_eq!(tables["tables"]["left_out"][1]["missing"], 1);
    assert_eq!(tables["tables"]["raw_flows"].as_array().unwrap().len(), 2);

    let output = hntes(["fam".as_ref(), "--alpha-only".as_ref(), ahead.as_os_str()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("ahead.csv: 1 records begin after the file was written"), "{said}");
}

/// 1. Five days of records, and two of 1970 in one of the files, in each form that a file has.
/// 2. The period is five days; the two are counted and named with their file, and nothing else changes.
/// 3. Who wants them has them: `--far never`.
#[test]
fn a_record_of_1970_does_not_stretch_the_period() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let line = |first: i64| {
        let (first, last) = (first * 1_000_000_000, (first + 9) * 1_000_000_000);
        format!("10.9.9.9,{first},{last},10.0.0.1,10.0.1.1,6,1,2,1,2,,0,5000,1,1\n")
    };
    let head = hntes::schema::COLUMNS.join(",") + "\n";
    let days: String = (0..5).map(|day| line(1_304_208_000 + day * 86_400).repeat(3)).collect();
    let stray = line(0) + &line(86_400);
    fs::write(path("good.csv"), head.clone() + &days).unwrap();
    fs::write(path("stray.csv"), head.clone() + &stray).unwrap();
    let mut writer = telesteer_engine::stored::Writer::create(&path("stray.parquet")).unwrap();
    hntes::input::read(&path("stray.csv"), &hntes::input::Assume::default(), |record| {
        writer.write(record).unwrap();
    })
    .unwrap();
    writer.close().unwrap();
    let run = |names: &[&str], more: &[&str]| {
        let args = ["fam", "--h=1000", "--json"].iter().chain(more).map(std::ffi::OsString::from);
        let output = hntes(args.chain(names.iter().map(|name| path(name).into_os_string())));
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        let tables: Value = serde_json::from_slice(&output.stdout).unwrap();
        (tables["tables"].clone(), said)
    };
    let (clean, _) = run(&["good.csv"], &[]);
    assert_eq!(clean["far_records"], json!([]));
    for stray in ["stray.csv", "stray.parquet"] {
        let (mut tables, said) = run(&["good.csv", stray], &[]);
        let named = path(stray).display().to_string();
        assert_eq!(
            tables["far_records"],
            json!([{ "path": named, "records": 2, "first_day": "1970-01-01", "last_day": "1970-01-02" }])
        );
        let expected = format!("{stray}: 2 records from 1970-01-01 to 1970-01-02 are too far");
        assert!(said.contains(&expected) && said.contains("--far"), "{said}");
        assert!(!said.contains("intervals without any record"), "{said}");
        for table in ["files", "far_records"] {
            tables[table] = clean[table].clone();
        }
        assert_eq!(tables, clean);
    }
    let (all, said) = run(&["good.csv", "stray.csv"], &["--far=never"]);
    assert_eq!(all["series"].as_array().unwrap().len(), 15_100);
    assert!(said.contains("15093 intervals without any record"), "{said}");
}
