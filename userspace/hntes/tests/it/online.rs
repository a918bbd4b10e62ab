// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flow records while they come: the collector's lines on standard input, in a file that grows, and
//! recorded ones; events out.

use crate::program::{fresh_seed, generate, hntes, said, stdout};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

const SECOND: i64 = 1_000_000_000;

/// Runs `hntes online` with something on standard input.
pub(crate) fn online(args: &[&str], input: &[u8]) -> Output {
    let mut child = spawn(args);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        // A program that has enough closes it.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// Starts `hntes online`.
pub(crate) fn spawn(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_hntes"))
        .arg("online")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Events of a run.
pub(crate) fn events(output: &Output) -> Vec<Value> {
    let lines = std::str::from_utf8(&output.stdout).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// (event, second, source port) of each.
pub(crate) fn brief(events: &[Value]) -> Vec<(&str, i64, u64)> {
    let of = |event: &Value| event["at_ns"].as_i64().unwrap() / SECOND;
    let port = |event: &Value| event["src_port"].as_u64().unwrap();
    let name = |event: &'_ Value| match event["reason"].as_str() {
        Some(_) => "ended",
        None if event["event"] == "alpha" => "alpha",
        None => "early",
    };
    events.iter().map(|event| (name(event), of(event), port(event))).collect()
}

/// A counter of the summary, which is one JSON object.
pub(crate) fn counter(output: &Output, table: &str, name: &str) -> Value {
    let summary: Value = serde_json::from_slice(&output.stderr).unwrap();
    let rows = summary["tables"][table].as_array().unwrap();
    let key = if table == "early_rule" { "figure" } else { "counter" };
    let found = rows.iter().find(|row| row[key] == name);
    found.unwrap_or_else(|| panic!("{name} in {rows:?}"))["value"].clone()
}

/// A line as `telesteer collect` writes it.
fn line(src: &str, port: u16, first: i64, last: i64, octets: u64) -> String {
    let fields = json!({
        "sourceIPv4Address": src,
        "destinationIPv4Address": "198.51.100.9",
        "protocolIdentifier": 6,
        "sourceTransportPort": port,
        "destinationTransportPort": 2811,
        "octetDeltaCount": octets,
        "packetDeltaCount": octets / 1000,
    });
    let (start, end) = (first * SECOND, last * SECOND);
    let line = json!({
        "type": "flow", "instance": 1, "ts": last, "exporter": "10.0.0.1", "port": 5000,
        "local_port": 4739, "domain": 1, "version": 10, "start_ns": start, "end_ns": end,
        "fields": fields, "sampling_interval": 1,
    });
    format!("{line}\n")
}

fn flow(port: u16, first: i64, last: i64, octets: u64) -> String {
    line("192.0.2.7", port, first, last, octets)
}

/// 1. A flow of 400 MB every 10 s is alpha with its third report; another one falls silent and ends.
/// 2. What is no record is counted; the summary says so.
#[test]
fn a_collectors_lines_become_events() {
    let mut input: String = (0..3).map(|n| flow(1, n * 10, n * 10 + 10, 400_000_000)).collect();
    input += "{\"type\":\"flow\",\"fields\":{}}\nnonsense\n";
    input += &flow(2, 10, 20, 1_000_000_000);
    input += &flow(2, 90, 100, 1_000_000_001);
    input += &flow(3, 201, 210, 5);
    let output = online(&["--json"], input.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let events = events(&output);
    let expected = [("alpha", 30, 1), ("ended", 30, 1), ("alpha", 100, 2), ("ended", 100, 2)];
    assert_eq!(brief(&events), expected);
    let reasons = [&events[1]["reason"], &events[3]["reason"]];
    assert_eq!(reasons, [&json!("idle"), &json!("idle")]);
    let first = &events[0];
    assert_eq!(
        (&first["version"], &first["seq"], &first["in_table"]),
        (&json!(1), &json!(0), &json!(true))
    );
    assert_eq!(
        (&first["bytes"], &first["window_bytes"]),
        (&json!(1_200_000_000), &json!(1_200_000_000))
    );
    assert_eq!((&first["rate_bps"], &first["begun_ns"]), (&json!(320_000_000), &json!(0)));
    assert_eq!((&first["exporter"], &first["src"]), (&json!("10.0.0.1"), &json!("192.0.2.7")));
    assert_eq!(counter(&output, "online", "reports"), 6);
    assert_eq!(counter(&output, "online", "alpha"), 2);
    let summary: Value = serde_json::from_slice(&output.stderr).unwrap();
    let bad = &summary["tables"]["bad_lines"][0];
    assert_eq!((&bad["path"], &bad["first_line"]), (&json!("standard input"), &json!(5)));
}

/// The early rule names flows and the summary judges it; holding puts late reports in order.
#[test]
fn the_early_rule_is_judged() {
    let mut input: String = (0..6).map(|n| flow(1, n * 10, n * 10 + 10, 170_000_000)).collect();
    input += &flow(2, 60, 70, 170_000_000);
    let output = online(&["--early", "1", "--json"], input.as_bytes());
    let found = events(&output);
    let expected =
        [("early", 10, 1), ("alpha", 60, 1), ("early", 70, 2), ("ended", 60, 1), ("ended", 70, 2)];
    assert_eq!(brief(&found), expected);
    for (name, value) in [
        ("alpha_named_before", 1.0),
        ("false_alarms", 1.0),
        ("false_alarms_percent_of_named", 50.0),
        ("missed_or_later_percent_of_alpha", 0.0),
        ("mean_lead_s", 50.0),
    ] {
        assert_eq!(counter(&output, "early_rule", name).as_f64(), Some(value), "{name}");
    }
    let lines: Vec<&str> = input.lines().collect();
    let turned = [2, 0, 1, 4, 3, 5, 6].map(|n| format!("{}\n", lines[n])).concat();
    let held = online(&["--early", "1", "--hold", "20"], turned.as_bytes());
    let fields =
        |event: &Value| (event["event"].clone(), event["at_ns"].clone(), event["bytes"].clone());
    let [straight, turned] =
        [found, events(&held)].map(|all| all.iter().map(fields).collect::<Vec<_>>());
    assert_eq!(straight, turned);
}

/// Lines of a child's standard output as they come.
pub(crate) fn lines_of(child: &mut Child) -> Receiver<String> {
    let (send, lines) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// 1. A file grows: the event comes while the program runs, and the end of the flow without anything
///    more being written: time goes on.
/// 2. SIGTERM ends it, with a summary and exit 0.
#[test]
fn a_file_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flow-1-1.jsonl");
    fs::write(&path, flow(1, 0, 10, 600_000_000)).unwrap();
    let mut child =
        spawn(&["--follow", "--idle", "1", "--slot", "1", "--t", "20", path.to_str().unwrap()]);
    let lines = lines_of(&mut child);
    let next = || -> Value {
        let line = lines.recv_timeout(Duration::from_secs(60)).unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    let text = flow(1, 10, 20, 1_100_000_000);
    file.write_all(&text.as_bytes()[..40]).unwrap();
    thread::sleep(Duration::from_millis(300));
    file.write_all(&text.as_bytes()[40..]).unwrap();
    let alpha = next();
    assert_eq!((&alpha["event"], &alpha["approx"]), (&json!("alpha"), &json!(true)));
    assert_eq!(next()["reason"], "idle");
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    let mut talk = String::new();
    child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{talk}");
    assert!(talk.contains("ended_idle") && talk.contains("reports"), "{talk}");
}

/// 1. A table learnt offline is the gate: flows of its networks are events, others are counted.
/// 2. `--outside` writes these too.
#[test]
fn the_offline_table_is_the_gate() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let text = |name: &str| path(name).to_str().unwrap().to_owned();
    fs::write(path("past.jsonl"), flow(1, 0, 60, 2_000_000_000)).unwrap();
    let emit = text("control");
    stdout(hntes(["fam", text("past.jsonl").as_str(), "--alpha-only", "--emit", emit.as_str()]));
    let table = text("control/pbr-1970-01-02.json");
    let now = 86_400;
    let input = [
        line("192.0.2.99", 1, now, now + 60, 2_000_000_000),
        line("203.0.113.1", 2, now, now + 60, 3_000_000_000),
    ]
    .concat();
    let args = ["--slot", "60", "--json", "--table", table.as_str()];
    let output = online(&args, input.as_bytes());
    let found = events(&output);
    assert_eq!(
        brief(&found),
        [("alpha", now + 60, 1), ("ended", now + 60, 1)],
        "{}",
        said(&output)
    );
    assert_eq!(counter(&output, "online", "would_have_been_seen"), 1);
    assert_eq!(counter(&output, "online", "would_have_been_seen_bytes"), 3_000_000_000_u64);
    assert_eq!(counter(&output, "online", "events_outside_not_written"), 2);
    // With a single counter for them it says what a flow that has none may have sent.
    assert_eq!(counter(&output, "online", "rest_bound_bytes"), 0);
    let few = online(&[&args[..], &["--rest", "1"]].concat(), input.as_bytes());
    assert_eq!(counter(&few, "online", "rest_bound_bytes"), 6_000_000_000_u64);
    let output = online(&[&args[..], &["--outside"]].concat(), input.as_bytes());
    let sides: Vec<_> = events(&output).iter().map(|event| event["in_table"].clone()).collect();
    assert_eq!(sides.iter().filter(|side| **side == json!(false)).count(), 2);
    assert_eq!(sides.len(), 4);
}

/// A recorded workload of 60 s reports: online finds the flows that the truth has, each once.
#[test]
fn recorded_days_have_the_flows_of_their_truth() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    let (files, truth) = generate("slides", seed, dir.path());
    let files: Vec<&str> = files[..40].iter().map(|path| path.to_str().unwrap()).collect();
    let output = online(&[&["--slot", "60", "--json"][..], &files[..]].concat(), b"");
    let days = truth["days"].as_array().unwrap()[..40].iter();
    let flows: u64 = days.map(|day| day["raw_flows"].as_u64().unwrap()).sum();
    assert_eq!(counter(&output, "online", "alpha"), flows, "seed {seed}");
    let mut ends: BTreeMap<String, i64> = BTreeMap::new();
    for event in events(&output) {
        let key = format!(
            "{} {} {} {}",
            event["src"], event["dst"], event["src_port"], event["dst_port"]
        );
        // Of each flow an alpha and then an end.
        let open = ends.entry(key).or_default();
        *open += if event["event"] == "alpha" { 1 } else { -1 };
        assert!((0..=1).contains(&*open), "{event}, seed {seed}");
    }
    assert!(ends.values().all(|open| *open == 0), "seed {seed}");
    assert_eq!(counter(&output, "online", "spread"), 0);
}

/// Method 1: readings of a meter at 0.9 of the threshold are silent, at 1.1 they are one event.
#[test]
fn meters_cross_once() {
    let readings = |step: u64| -> String {
        let of = |n: u64| json!({"meter": "lsp-1", "bytes": n * step % (1 << 32), "time_ns": n * 10 * SECOND as u64});
        (0..40).map(|n| format!("{}\n", of(n))).collect()
    };
    let args = ["--meters", "--meter-bits", "32", "--h", "600000000", "--json"];
    let silent = online(&args, readings(90_000_000).as_bytes());
    assert_eq!(events(&silent), Vec::<Value>::new());
    let output = online(&args, (readings(110_000_000) + "x\n").as_bytes());
    let found = events(&output);
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0]["event"], &found[0]["meter"]), (&json!("above"), &json!("lsp-1")));
    assert_eq!(
        (&found[0]["at_ns"], &found[0]["rate_bps"]),
        (&json!(60 * SECOND), &json!(88_000_000))
    );
    assert_eq!(counter(&output, "meters", "wraps"), 0);
    assert_eq!(counter(&silent, "online", "reports"), 0);
}

/// 1. Counters that the program reads itself, by an `nft` that adds 1 MB each time: one event for the
///    one that grows, none for the other, until SIGTERM.
/// 2. A table that is not there is told with the command.
#[test]
fn counters_of_a_router_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let nft = dir.path().join("nft");
    let text = r#"#!/bin/sh
[ "$*" = "-j list counters table inet lsp" ] || { echo "no such table: $*" >&2; exit 1; }
cd "$(dirname "$0")" && printf x >> calls && n=$(wc -c < calls)
counter() { printf '{"counter":{"family":"inet","name":"%s","table":"lsp","packets":1,"bytes":%s}}' $1 $2; }
echo "{\"nftables\":[{\"metainfo\":{}},$(counter lsp-1 ${n}000000),$(counter lsp-2 7)]}"
"#;
    fs::write(&nft, text).unwrap();
    fs::set_permissions(&nft, Permissions::from_mode(0o755)).unwrap();
    let start = |table: &str| {
        let path = std::env::var("PATH").unwrap();
        Command::new(env!("CARGO_BIN_EXE_hntes"))
            .args(["online", "--meters", "--nft-counters", "inet", table, "--every", "0.2"])
            .args(["--t", "1", "--h", "2000000", "--json"])
            .env("PATH", format!("{}:{path}", dir.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut child = start("lsp");
    let lines = lines_of(&mut child);
    let first = lines.recv_timeout(Duration::from_secs(60)).unwrap();
    let event: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&event["event"], &event["meter"]), (&json!("above"), &json!("lsp-1")));
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let mut talk = String::new();
    child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{talk}");
    let output = start("none").wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("nft -j list counters table inet none"), "{}", said(&output));
}

#[test]
fn what_cannot_run_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none").to_str().unwrap().to_owned();
    for (args, input, what) in [
        (vec![none.as_str()], "", "none"),
        (vec!["--follow"], "", "--follow needs one file"),
        (vec!["--slot", "61"], "", "a slot has to be"),
        (vec!["--t=-1"], "", "--t -1"),
        (vec!["--table", none.as_str()], "", "none"),
        (vec![], "a,b\n", "standard input: "),
        (vec!["--pcap"], "no capture at all, but long enough", "neither pcap nor pcapng"),
    ] {
        let output = online(&args, input.as_bytes());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(what), "{args:?}: {}", said(&output));
    }
}
