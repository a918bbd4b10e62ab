// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Workloads as CSV, as Parquet and as IPFIX messages, in a file, as datagrams and in a capture: the same
//! records, the same analysis.

use crate::program::{fam, fresh_seed, hntes, stdout};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::Duration;
use telesteer_fam::{Calendar, Day};

fn generate<S: AsRef<OsStr>>(profile: &str, seed: u64, args: &[S], out: &Path) -> Output {
    let seed = seed.to_string();
    let first = ["generate", "--profile", profile, "--seed", &seed, "--out"].map(OsStr::new);
    let args = args.iter().map(AsRef::as_ref);
    hntes(first.into_iter().chain([out.as_os_str()]).chain(args))
}

/// Generates and returns the truth.
fn made(profile: &str, seed: u64, args: &[&str], out: &Path, truth: &Path) -> Value {
    stdout(generate(profile, seed, args, out));
    serde_json::from_slice(&fs::read(truth).unwrap()).unwrap()
}

/// Everything an analysis says, but for the names and formats of its files.
fn analysis(path: PathBuf) -> Value {
    let mut tables = fam(&[path], &[]);
    let rows = tables["files"].as_array().unwrap();
    let sum = |name: &str| rows.iter().map(|row| row[name].as_u64().unwrap()).sum::<u64>();
    tables["files"] = json!([sum("records"), sum("bad_lines")]);
    tables
}

/// Holds tables of the first so many days against the truth.
fn as_true(tables: &Value, truth: &Value, what: &str) {
    let figure = |name: &str| {
        let rows = tables["summary"].as_array().unwrap();
        &rows.iter().find(|row| row["figure"] == name).unwrap()["value"]
    };
    assert_eq!(figure("raw_flows"), &truth["raw_flows"], "{what}");
    let series = tables["series"].as_array().unwrap();
    for (index, day) in truth["days"].as_array().unwrap().iter().enumerate() {
        // 15 095 is the first of May 2011.
        let label = Calendar::default().label(Day(15_095 + index as i32));
        let row = series.iter().find(|row| row["day"] == label.as_str());
        for name in ["raw_flows", "alpha_bytes", "most_of_one"] {
            let found = row.map_or(&json!(0), |row| &row[name]).clone();
            assert_eq!(day[name], found, "{name} of {label}, {what}");
        }
    }
    for width in ["/24", "/32"] {
        let rows = tables["prefix_flows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["width"] == width).unwrap();
        assert_eq!(row["prefix_flows"], truth["prefix_flows"][width], "{what}");
        for aging in ["7", "14", "30", "never"] {
            let rows = tables["effectiveness"].as_array().unwrap();
            let row = rows.iter().find(|row| row["width"] == width && row["aging"] == aging);
            let found = row.unwrap()["effectiveness_percent"].as_f64().unwrap();
            let truth = truth["effectiveness"][width][aging].as_f64().unwrap();
            assert!((found - truth).abs() < 1e-9, "{width} {aging}: {found} {truth}, {what}");
        }
    }
    let months = tables["lsp_months"].as_array().unwrap();
    for (column, name) in [("total", "lsps"), ("active", "lsps_active")] {
        let found: Vec<_> = months.iter().map(|month| month[column].clone()).collect();
        assert_eq!(truth[name], json!(found), "{what}");
    }
}

/// 1. Each profile, of a part of the days, in each form.
/// 2. The analysis of each is the same to the last table, and as the truth has it.
#[test]
fn forms_are_the_same() {
    for profile in
        ["slides", "parallel", "beta", "renumbered", "duplicates", "ipv6", "midnight", "sampled"]
    {
        let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
        let path = |name: &str| dir.path().join(name);
        let make = |form: &str, out: &str, truth: &str| {
            let args = ["--format", form, "--days", "40"];
            made(profile, seed, &args, &path(out), &path(truth))
        };
        let truth = make("csv", "csv", "csv/truth.json");
        let what = format!("{profile}, seed {seed}");
        let csv = analysis(path("csv"));
        if profile != "sampled" {
            as_true(&csv, &truth, &what);
        }
        assert_eq!(csv["left_out"], json!([]), "{what}");
        assert_eq!(make("parquet", "parquet", "parquet/truth.json"), truth);
        assert_eq!(analysis(path("parquet")), csv, "{what}");
        let mut told = make("ipfix", "f.ipfix", "f.truth.json");
        assert_eq!(analysis(path("f.ipfix")), csv, "{what}");
        let export = told["export"].take();
        told.as_object_mut().unwrap().remove("export");
        assert_eq!(told, truth);
        assert_eq!(export["records"], csv["files"][0], "{what}");
        assert_eq!(export["octets"], fs::metadata(path("f.ipfix")).unwrap().len());
    }
}

/// 1. Every file lies in the folder of an hour and has all rows of it, and nothing else is there.
/// 2. Another seed's files go beside, under other names.
#[test]
fn parquet_lies_by_the_hour() {
    use parquet::file::reader::FileReader;
    let dir = tempfile::tempdir().unwrap();
    let mut paths = BTreeSet::new();
    for seed in ["7", "8"] {
        let args = ["--format", "parquet", "--days", "3"];
        stdout(generate("midnight", seed.parse().unwrap(), &args, dir.path()));
        let name = format!("midnight-{seed}.parquet");
        let mut rows = 0;
        for date in fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()) {
            if date.ends_with("truth.json") {
                continue;
            }
            for hour in fs::read_dir(&date).unwrap().map(|entry| entry.unwrap().path()) {
                let file = hour.join(&name);
                if !file.exists() {
                    continue;
                }
                let reader = parquet::file::serialized_reader::SerializedFileReader::new(
                    File::open(&file).unwrap(),
                )
                .unwrap();
                for row in reader.get_row_iter(None).unwrap() {
                    let row = row.unwrap();
                    let columns: BTreeMap<_, _> =
                        row.get_column_iter().map(|(name, field)| (name.as_str(), field)).collect();
                    let first: i64 = columns["first_ns"].to_string().parse().unwrap();
                    let (of_date, of_hour) =
                        (first / 86_400_000_000_000, first / 3_600_000_000_000);
                    let label = Calendar::default().label(Day(of_date as i32));
                    assert!(date.ends_with(format!("date={label}")), "{}", date.display());
                    assert!(hour.ends_with(format!("hour={:02}", of_hour % 24)));
                    rows += 1;
                }
                paths.insert(file);
            }
        }
        assert!(rows > 20, "{rows}");
    }
    let found = analysis(dir.path().to_owned());
    assert_eq!(found["files"][1], 0);
    let all = fam(&[dir.path().to_owned()], &["--alpha-only".into()]);
    assert_eq!(all["files"].as_array().unwrap().len(), paths.len(), "each hour once a seed");
}

/// 1. The profile `loss` as messages: whole ones are lost, always the same of a seed.
/// 2. The truth says how many records, sequence numbers show just these, the rest is as true.
/// 3. What was sent and what was lost is what the workload has without loss.
#[test]
fn messages_get_lost_and_all_is_known() {
    let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    let args = ["--format", "ipfix", "--days", "100"];
    let truth = made("loss", seed, &args, &path("f.ipfix"), &path("f.truth.json"));
    let again = made("loss", seed, &args, &path("g.ipfix"), &path("g.truth.json"));
    assert_eq!(truth, again);
    assert!(fs::read(path("f.ipfix")).unwrap() == fs::read(path("g.ipfix")).unwrap());
    let export = &truth["export"];
    let count = |name: &str| export[name].as_u64().unwrap();
    assert!(count("lost_messages") > 0, "{export}");
    let whole = made("slides", seed, &args, &path("w.ipfix"), &path("w.truth.json"));
    let all = whole["export"]["records"].as_u64().unwrap();
    assert_eq!(count("records") + count("lost_records"), all);
    assert!(truth["raw_flows"].as_u64() < whole["raw_flows"].as_u64());

    let tables = fam(&[path("f.ipfix")], &[]);
    as_true(&tables, &truth, &format!("seed {seed}"));
    assert_eq!(tables["files"][0]["records"], export["records"]);
    let faults = tables["bad_lines"].as_array().unwrap();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0]["reason"], "records missing by sequence number");
    assert_eq!(faults[0]["lines"], export["lost_records"]);
}

/// The messages of a file.
fn messages(path: &Path) -> Vec<Vec<u8>> {
    let octets = fs::read(path).unwrap();
    let (mut found, mut rest) = (Vec::new(), octets.as_slice());
    while !rest.is_empty() {
        let (message, after) = rest.split_at(usize::from(u16::from_be_bytes([rest[2], rest[3]])));
        found.push(message.to_vec());
        rest = after;
    }
    found
}

/// 1. Over UDP come the messages that the file has, so many as the truth says.
/// 2. Each exporter has a domain and a port of its own, and the address that --from gives it.
#[test]
fn datagrams_are_the_messages() {
    let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    let args = ["--format", "ipfix", "--days", "5"];
    stdout(generate("duplicates", seed, &args, &path("f.ipfix")));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = socket.local_addr().unwrap().to_string();
    let from: Vec<IpAddr> = (2..4).map(|last| Ipv4Addr::new(127, 9, 0, last).into()).collect();
    let sources = from.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    // A datagram of another port ends it.
    let end = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let last = end.local_addr().unwrap();
    let reader = thread::spawn(move || {
        socket.set_read_timeout(Some(Duration::from_secs(240))).unwrap();
        let mut found: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
        let mut buffer = [0; 2048];
        loop {
            let (length, peer) = socket.recv_from(&mut buffer).unwrap();
            if peer == last {
                return found;
            }
            found.push((peer, buffer[..length].to_vec()));
        }
    });
    let udp = [&args[..], &["--to", &to, "--from", &sources, "--rate", "2000"]].concat();
    let truth = made("duplicates", seed, &udp, &path("udp"), &path("udp/truth.json"));
    end.send_to(b"end", &to).unwrap();
    let found = reader.join().unwrap();
    assert_eq!(truth["export"]["messages"], found.len());
    let domain = |message: &[u8]| u32::from_be_bytes(message[12..16].try_into().unwrap());
    let peers: BTreeSet<_> = found.iter().map(|(peer, message)| (domain(message), *peer)).collect();
    let exporters = truth["export"]["exporters"].as_array().unwrap();
    assert!(exporters.len() > 2, "{exporters:?}");
    assert_eq!(peers.len(), exporters.len());
    let ports: BTreeSet<_> = peers.iter().map(|(_, peer)| *peer).collect();
    assert_eq!(ports.len(), exporters.len());
    for (number, exporter) in exporters.iter().enumerate() {
        let of = |(domain, _): &&(u32, SocketAddr)| *domain == exporter["domain"];
        let (_, peer) = peers.iter().find(of).unwrap();
        assert_eq!(peer.ip(), *from.get(number).unwrap_or(&from[1]));
    }
    let mut found: Vec<_> = found.into_iter().map(|(_, message)| message).collect();
    let mut file = messages(&path("f.ipfix"));
    found.sort();
    file.sort();
    assert!(found == file, "seed {seed}");
}

/// A capture of raw IPv4 packets (link type 101): each message comes from the exporter of its domain.
fn capture(messages: &[Vec<u8>], exporters: &Value) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([0, 0, 1, 0, 101, 0, 0, 0]);
    for message in messages {
        let domain = u32::from_be_bytes(message[12..16].try_into().unwrap());
        let of = |exporter: &&Value| exporter["domain"] == domain;
        let exporter = exporters.as_array().unwrap().iter().find(of).unwrap();
        let from: Ipv4Addr = exporter["address"].as_str().unwrap().parse().unwrap();
        let udp = 8 + message.len() as u16;
        let mut packet = vec![0x45, 0];
        packet.extend((20 + udp).to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        packet.extend(from.octets().into_iter().chain([10, 9, 9, 9]));
        packet.extend([0x30, 0x39, 0x12, 0x83]);
        packet.extend(udp.to_be_bytes().into_iter().chain([0, 0]));
        packet.extend(message);
        file.extend([0; 8]);
        file.extend([packet.len() as u32; 2].map(u32::to_le_bytes).concat());
        file.extend(packet);
    }
    file
}

/// 1. A capture of the datagrams on their way to a collector: the same analysis as of the CSV. Who sent
///    a datagram is its exporter.
/// 2. Broken twin: all from one address is another analysis.
#[test]
fn a_capture_is_the_same() {
    let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    stdout(generate("duplicates", seed, &["--days", "20"], &path("csv")));
    let args = ["--format", "ipfix", "--days", "20"];
    let truth = made("duplicates", seed, &args, &path("f.ipfix"), &path("f.truth.json"));
    let all = messages(&path("f.ipfix"));
    let mut exporters = truth["export"]["exporters"].clone();
    fs::write(path("f.pcap"), capture(&all, &exporters)).unwrap();
    let csv = analysis(path("csv"));
    assert_eq!(analysis(path("f.pcap")), csv, "seed {seed}");
    for exporter in exporters.as_array_mut().unwrap() {
        exporter["address"] = "10.7.7.7".into();
    }
    fs::write(path("g.pcap"), capture(&all, &exporters)).unwrap();
    let twin = analysis(path("g.pcap"));
    assert_eq!(twin["files"], csv["files"]);
    assert_ne!(twin["series"], csv["series"]);
}

/// 1. A file that ends inside a message, one with rubbish between messages, one of a message without
///    its templates, and a good one.
/// 2. Each fault is told with its file and the number of the message; the rest is as without.
#[test]
fn what_is_wrong_is_named_and_the_rest_analysed() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let args = ["--format", "ipfix", "--days", "9"];
    stdout(generate("slides", 3, &args, &path("good.ipfix")));
    let all = messages(&path("good.ipfix"));
    let clean = fam(&[path("good.ipfix")], &[]);
    let whole = all.concat();
    fs::write(path("cut.ipfix"), &whole[..all[0].len() + all[1].len() + 100]).unwrap();
    fs::write(path("rubbish.ipfix"), [&all[0][..], b"rubbish!", &all[1]].concat()).unwrap();
    fs::write(path("bare.ipfix"), &all[1]).unwrap();
    fs::write(path("short.ipfix"), [0, 10, 0, 3]).unwrap();
    let names = ["cut", "rubbish", "bare", "short"];
    let files: Vec<_> = names.iter().map(|name| path(&format!("{name}.ipfix"))).collect();
    let tables = fam(&files, &[]);
    let faults = tables["bad_lines"].as_array().unwrap();
    let of = |name: &str, reason: &str| {
        let same = |row: &&Value| {
            row["path"].as_str().unwrap().ends_with(&format!("/{name}.ipfix"))
                && row["reason"].as_str().unwrap().contains(reason)
        };
        assert!(faults.iter().any(|row| same(&row)), "{name} {reason}: {faults:?}");
    };
    of("cut", "cut.ipfix: message 3: the file ends inside it");
    of("rubbish", "rubbish.ipfix: message 2: it is no IPFIX message");
    of("bare", "sets without their template");
    of("short", "short.ipfix: message 1: it claims to have 3 octets");
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert_eq!(tables["files"][0]["records"], 23);
    let mut rest = fam(&[path("bare.ipfix"), path("good.ipfix")], &[]);
    for table in ["files", "bad_lines"] {
        rest[table] = clean[table].clone();
    }
    assert_eq!(rest, clean);
}

/// Many beta flows: each is a flow of its own, what is redirected of them is as the truth has it.
#[test]
fn beta_flows_scale() {
    let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    let args = ["--format", "parquet", "--days", "6", "--beta-flows", "60000"];
    let truth = made("beta", seed, &args, &path("w"), &path("w/truth.json"));
    let tables = fam(&[path("w")], &["--aging=never".into()]);
    as_true_beta(&tables, &truth, &format!("seed {seed}"));
    let csv = ["--days", "1", "--beta-flows", "60000"];
    stdout(generate("beta", seed, &csv, &path("csv")));
    let text = fs::read_to_string(path("csv/2011-05-01.csv")).unwrap();
    let keys = text.lines().skip(1).map(|line| line.split(',').skip(3).take(5).collect::<Vec<_>>());
    let beta = |key: &Vec<&str>| matches!(key[4].parse(), Ok(443..50_000));
    assert_eq!(keys.filter(beta).collect::<BTreeSet<_>>().len(), 60_000);
}

fn as_true_beta(tables: &Value, truth: &Value, what: &str) {
    for width in ["/24", "/32"] {
        let rows = tables["beta"].as_array().unwrap();
        let row = rows.iter().find(|row| row["width"] == width).unwrap();
        for name in ["beta1_bytes", "beta2_bytes", "beta2_records"] {
            assert_eq!(row[name], truth["beta"][width][name], "{name} of {width}, {what}");
        }
    }
    assert!(truth["beta"]["/24"]["beta2_records"].as_u64().unwrap() > 0, "{what}");
}

/// What cannot be is said, with exit code 2.
#[test]
fn what_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |args: &[&str]| {
        let output = generate("slides", 1, args, &dir.path().join("out"));
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&["--to", "127.0.0.1:9"]).contains("--to needs --format ipfix"));
    assert!(refused(&["--beta-flows", "5"]).contains("--beta-flows needs --profile beta"));
    refused(&["--days", "0"]);
    refused(&["--days", "215"]);
    refused(&["--beta-flows", "1000001"]);
    refused(&["--rate", "5"]);
    // Nobody listens there: the second datagram tells.
    let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let to = closed.to_string();
    let said = refused(&["--format", "ipfix", "--days", "9", "--to", &to]);
    assert!(said.contains(&format!("sending to {to}")), "{said}");
    let said = refused(&["--format", "ipfix", "--to", &to, "--from", "192.0.2.1"]);
    assert!(said.contains("sending from 192.0.2.1"), "{said}");
    fs::write(dir.path().join("file"), "").unwrap();
    let output = generate("slides", 1, &["--format", "parquet"], &dir.path().join("file"));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("file/date=2011-05-01/hour="));
}
