// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What other collectors make of two exporters' datagrams, against the datagrams themselves
//! (`tests/fixtures`, its README says how).

use crate::program::{fam, hntes, said};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn tables(name: &str) -> Value {
    // Nearly every flow is above a byte.
    fam(&[fixture(name)], &["--h=1", "--assume-sampling=1", "--alpha-only"].map(str::to_owned))
}

fn figure(tables: &Value, name: &str) -> u64 {
    let rows = tables["summary"].as_array().unwrap();
    rows.iter().find(|row| row["figure"] == name).unwrap()["value"].as_u64().unwrap()
}

/// Flows in milliseconds, as far as `columns` go. ICMP has no ports, which programs tell in their own way.
fn flows(tables: &Value, columns: &[&str]) -> BTreeSet<String> {
    let rows = tables["raw_flows"].as_array().unwrap();
    assert!(rows.len() > 50, "{}", rows.len());
    let rows = rows.iter().filter(|row| row["proto"] != 1 && row["proto"] != 58);
    let cell = |row: &Value, name: &str| match name.ends_with("_ns") {
        true => (row[name].as_str().unwrap().parse::<i64>().unwrap() / 1_000_000).to_string(),
        false => row[name].to_string(),
    };
    rows.map(|row| columns.iter().map(|name| cell(row, name)).collect::<Vec<_>>().join(" "))
        .collect()
}

const FLOW: [&str; 8] =
    ["src", "dst", "proto", "src_port", "dst_port", "first_ns", "last_ns", "whole_bytes"];

/// 1. nfdump's CSV of three kinds, of several of nfcapd's files, and pmacct's JSON of two: every line is a
///    record, and there are as many octets as in the datagrams.
/// 2. Flow by flow the same ends, times and octets; where the form tells it, the same router and interface.
#[test]
fn other_collectors_tell_the_same_flows() {
    let capture = tables("export.pcap");
    assert!(figure(&capture, "bytes") > 10_000);
    let exporters: BTreeSet<&str> = capture["raw_flows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["ingress"].as_str().unwrap())
        .collect();
    assert_eq!(exporters, BTreeSet::from(["10.10.0.2", "10.8.255.1"]));
    let whole = [&FLOW[..], &["ingress", "egress"]].concat();
    // Debian's nfacctd tells no address of the exporter there.
    let routed = [&FLOW[..], &["egress"]].concat();
    for (name, format, columns) in [
        ("nfdump.csv", "nfdump", &FLOW[..]),
        ("nfdump-fast.csv", "nfdump", &FLOW[..]),
        ("nfdump-own.csv", "nfdump", &whole[..]),
        ("pmacct-timestamps_utc.json", "json", &routed[..]),
        ("pmacct-timestamps_since_epoch.json", "json", &routed[..]),
    ] {
        let found = tables(name);
        assert_eq!(found["files"][0]["format"], format, "{name}");
        assert_eq!(
            found["bad_lines"].as_array().unwrap().len(),
            0,
            "{name}: {}",
            found["bad_lines"]
        );
        assert_eq!(figure(&found, "bytes"), figure(&capture, "bytes"), "{name}");
        let (ours, theirs) = (flows(&capture, columns), flows(&found, columns));
        let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
            one.difference(other).take(3).cloned().collect::<Vec<_>>()
        };
        assert_eq!(only(&theirs, &ours), only(&ours, &theirs), "{name}");
    }
}

/// Sampling that a program does not tell is unknown, and said; what it tells is taken.
#[test]
fn what_they_do_not_tell_is_said() {
    let output =
        hntes(["fam".as_ref(), "--alpha-only".as_ref(), fixture("nfdump.csv").as_os_str()]);
    assert!(said(&output).contains("have unknown sampling; see --assume-sampling"));
}
