// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The delay curve.

use crate::program::{fresh_seed, generate, hntes, said, stdout};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

fn delay(files: &[PathBuf], args: &[&str]) -> Vec<Value> {
    let words = ["delay", "--json"].iter().chain(args).map(OsString::from);
    let files = files.iter().map(|path| path.as_os_str().to_owned());
    let text = stdout(hntes(words.chain(files)));
    let mut all: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(all["tables"]["delay_curve"].take()).unwrap()
}

fn percent(row: &Value, name: &str) -> f64 {
    row[name].as_f64().unwrap()
}

/// 100 s at 300 Mb/s, told in two reports. H is sent after 26.7 s.
#[test]
fn one_flow_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("one.csv");
    let header = "exporter,first_ns,last_ns,src,dst,proto,src_port,dst_port,octets,sampling";
    let line = |first: u64, last: u64, octets: u64| {
        let (first, last) = (first * 1_000_000_000, last * 1_000_000_000);
        format!("10.0.0.1,{first},{last},192.0.2.1,198.51.100.1,6,1,2811,{octets},1")
    };
    let lines = [header.to_owned(), line(0, 60, 2_250_000_000), line(60, 100, 1_500_000_000)];
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let rows = delay(&[path], &[]);
    assert_eq!(rows.len(), 10);
    // Known after, and what is left of 100 s less 20 ms or a minute.
    let expected = [
        (27.0, 72.98),
        (1.0, 98.98),
        (30.0, 69.98),
        (10.0, 89.98),
        (60.0, 39.98),
        (60.0, 39.98),
        (60.0, 0.0),
        (60.0, 0.0),
        (300.0, 0.0),
        (300.0, 0.0),
    ];
    for (row, (wait, left)) in rows.iter().zip(expected) {
        assert!((percent(row, "mean_wait_s") - wait).abs() < 1e-9, "{row}");
        assert!((percent(row, "online_percent") - left).abs() < 1e-6, "{row}");
        // Nothing was learnt before the only day.
        assert_eq!(percent(row, "gated_percent"), 0.0);
        assert_eq!(percent(row, "with_table_percent"), percent(row, "online_percent"));
    }
}

/// 1. What holds for any workload: sooner is more, for reports, rules and routes; the gate can only
///    lose, the table's entries only win.
/// 2. The table alone redirects what its effectiveness says.
/// 3. The drawing is written.
#[test]
fn sooner_is_more() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    let (files, _) = generate("slides", seed, &dir.path().join("w"));
    let svg = dir.path().join("delay.svg");
    let rows = delay(&files, &["--svg", svg.to_str().unwrap()]);
    let of =
        |rule: &str| -> Vec<&Value> { rows.iter().filter(|row| row["rule"] == rule).collect() };
    for rule in ["window", "early 1"] {
        for two in of(rule).windows(2) {
            let name = "online_percent";
            assert!(percent(two[0], name) > percent(two[1], name), "{two:?}, seed {seed}");
        }
    }
    for (window, early) in of("window").into_iter().zip(of("early 1")) {
        assert!(percent(early, "online_percent") >= percent(window, "online_percent"));
        for row in [window, early] {
            println!("{row}");
            assert_eq!(row["flows"], 22_041);
            assert!(percent(row, "gated_percent") <= percent(row, "online_percent"));
            assert!(percent(row, "with_table_percent") >= percent(row, "online_percent"));
            assert!(percent(row, "with_table_percent") >= percent(row, "table_alone_percent"));
            // Of all bytes of alpha flows, where effectiveness has those of alpha reports.
            assert!((percent(row, "table_alone_percent") - 91.0).abs() < 0.5, "{row}, seed {seed}");
        }
    }
    // H itself is sent before the window rule can know: 22 041 GB of at most 100 TB.
    assert!(percent(of("window")[0], "online_percent") < 78.0);
    let drawn = fs::read_to_string(svg).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("mirror 1 s + 20 ms"));
}

#[test]
fn slips_are_named() {
    for (args, what) in [
        (["delay", "--points=x:1+1", "x.csv"], "x:1+1"),
        (["delay", "--early=7", "x.csv"], "--early 7"),
        (["delay", "--aging=x", "x.csv"], "--aging"),
    ] {
        let output = hntes(args);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(what), "{}", said(&output));
    }
}
