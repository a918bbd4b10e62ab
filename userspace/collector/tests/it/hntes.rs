// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collector and flow analysis together: `hntes generate` sends, `telesteer collect --parquet` stores,
//! `hntes fam` finds what the truth beside the workload says. And the same behind a relay, as an existing
//! collector's fan-out of raw datagrams is one.
//!
//! Skipped with a reason where `hntes` was not built: `cargo build -p hntes`, or test the workspace.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::{
    collector::{Collector, own_address},
    parquet::{by_reason, files, rows_of, start, text, unsigned},
};

/// The program beside ours.
fn hntes() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_BIN_EXE_telesteer")).with_file_name("hntes");
    if !path.exists() {
        eprintln!("skipped: no {}, which cargo build -p hntes makes", path.display());
        return None;
    }
    Some(path)
}

fn run<S: AsRef<OsStr>>(hntes: &Path, args: &[S]) -> String {
    let output = Command::new(hntes).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Lets the exporters of a workload send, and returns its truth.
fn export(hntes: &Path, profile: &str, to: SocketAddr, args: &[&str], dir: &Path) -> Value {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = (now.as_nanos() % 1_000_000_007).to_string();
    println!("{profile}, seed {seed}");
    let (to, out) = (to.to_string(), dir.join("workload"));
    let words = ["generate", "--profile", profile, "--seed", &seed, "--format", "ipfix", "--to"];
    let more = [to.as_str(), "--out", out.to_str().unwrap()];
    run(hntes, &[&words[..], &more, args].concat());
    serde_json::from_slice(&fs::read(out.join("truth.json")).unwrap()).unwrap()
}

/// So many addresses of this host to send from, one an exporter.
fn addresses(count: u8) -> Vec<IpAddr> {
    let [_, b, c, _] = own_address().octets();
    (1..=count).map(|d| Ipv4Addr::new(127, b - 64, c, d).into()).collect()
}

fn listed(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Waits for everything that was sent, ends the collector, and checks that it counted just that.
fn received(collector: &mut Collector, export: &Value) {
    let count = |name: &str| export[name].as_u64().unwrap();
    collector.wait_counter("datagrams", count("messages"));
    collector.wait_counter("flow_records", count("records"));
    assert_eq!(collector.counter("datagrams"), count("messages"));
    assert_eq!(by_reason(collector, "datagrams_by_kind", "ipfix"), count("messages"));
    assert_eq!(collector.counter("flow_records"), count("records"));
    assert_eq!(collector.counter("flow_sequence_lost"), count("lost_records"));
    assert_eq!(collector.counter("flow_sets_waiting"), 0);
    for reason in ["no_time", "no_address", "no_octets"] {
        assert_eq!(by_reason(collector, "parquet_records_left_out", reason), 0, "{reason}");
    }
    assert_eq!(collector.terminate(), Some(0));
}

/// What `hntes fam` makes of a folder.
fn fam(hntes: &Path, place: &Path) -> Value {
    let args = [OsStr::new("fam"), OsStr::new("--json"), place.as_os_str()];
    serde_json::from_str::<Value>(&run(hntes, &args)).unwrap()["tables"].take()
}

/// One column of a table, by another.
fn column(table: &Value, key: &str, name: &str) -> BTreeMap<String, Value> {
    let rows = table.as_array().unwrap().iter();
    rows.map(|row| (row[key].as_str().unwrap().to_owned(), row[name].clone())).collect()
}

/// Holds tables against the truth; `times` says how often each byte was counted.
fn as_true(tables: &Value, truth: &Value, times: u64) {
    let figure = column(&tables["summary"], "figure", "value");
    assert_eq!(figure["raw_flows"], truth["raw_flows"]);
    let days = truth["days"].as_array().unwrap();
    let sum = |name: &str| days.iter().map(|day| day[name].as_u64().unwrap()).sum::<u64>();
    assert!(sum("alpha_bytes") > 0);
    assert_eq!(figure["alpha_bytes"], times * sum("alpha_bytes"));
    // Days without any record have no row.
    let known = |name: &str| -> Vec<u64> {
        let all = days.iter().map(|day| day[name].as_u64().unwrap());
        all.filter(|value| *value > 0).collect()
    };
    let found = |name: &str| -> Vec<u64> {
        let rows = column(&tables["series"], "day", name).into_values();
        rows.map(|value| value.as_u64().unwrap()).filter(|value| *value > 0).collect()
    };
    assert_eq!(found("raw_flows"), known("raw_flows"));
    assert_eq!(found("most_of_one"), known("most_of_one"));
    let bytes: Vec<u64> = known("alpha_bytes").iter().map(|bytes| bytes * times).collect();
    assert_eq!(found("alpha_bytes"), bytes);
    let prefix_flows = column(&tables["prefix_flows"], "width", "prefix_flows");
    for width in ["/24", "/32"] {
        assert_eq!(prefix_flows[width], truth["prefix_flows"][width]);
        let rows = tables["effectiveness"].as_array().unwrap();
        for row in rows.iter().filter(|row| row["width"] == width) {
            let found = row["effectiveness_percent"].as_f64().unwrap();
            let aging = row["aging"].as_str().unwrap();
            let truth = truth["effectiveness"][width][aging].as_f64().unwrap();
            assert!((found - truth).abs() < 1e-9, "{width} {aging}: {found} {truth}");
        }
    }
    assert_eq!(tables["bad_lines"], Value::Array(Vec::new()));
    assert_eq!(tables["left_out"], Value::Array(Vec::new()));
}

/// Every hour of a day may be open at once: the profile `loss` sends a day in any order.
const LIMITS: &str = "parquet-partitions = 64\n# As many hundreds of files are stored at the end: a slow kernel takes its time.\ndrain = 200";

/// 1. The exporters of a workload send to a collector, which stores what it gets.
/// 2. Datagrams, records, and records missing by sequence number are as many as the truth says.
/// 3. What is stored is analysed as the truth has it: flows, bytes, prefix flows, effectiveness, and of
///    a sampled workload the flows.
#[test]
fn what_is_sent_is_collected_and_found() {
    let Some(hntes) = hntes() else { return };
    // Every hour is a file, which a kernel with detectors takes long to store.
    let (profiles, days): (&[&str], _) = if std::env::var_os("TELESTEER_SLOW").is_some() {
        (&["slides"], "6")
    } else {
        (&["slides", "loss", "ipv6", "midnight", "sampled"], "25")
    };
    for &profile in profiles {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("flows");
        let mut collector = start(&place, 1, LIMITS).run();
        let to = (collector.addr, 4739).into();
        let truth = export(&hntes, profile, to, &["--days", days], dir.path());
        received(&mut collector, &truth["export"]);
        // With bad luck `loss` loses nothing of so few messages.
        assert!(truth["export"]["lost_messages"] == 0 || profile == "loss", "{truth}");
        let tables = fam(&hntes, &place);
        let records: u64 = tables["files"].as_array().unwrap().iter().map(records_of).sum();
        assert_eq!(truth["export"]["records"], records);
        if profile == "sampled" {
            let figure = column(&tables["summary"], "figure", "value");
            assert_eq!(figure["raw_flows"], truth["raw_flows"]);
            assert_eq!(tables["left_out"], Value::Array(Vec::new()));
        } else {
            as_true(&tables, &truth, 1);
        }
    }
}

fn records_of(row: &Value) -> u64 {
    row["records"].as_u64().unwrap()
}

/// Passes datagrams on until it is told to end: from the address they came from, or from its own.
struct Relay {
    addr: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Relay {
    fn start(to: SocketAddr, keep: bool) -> Self {
        let socket = UdpSocket::bind((own_address(), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (addr, ended) = (socket.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let end = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            let mut senders: BTreeMap<SocketAddr, UdpSocket> = BTreeMap::new();
            let mut buffer = [0; 2048];
            let mut passed = 0;
            while !end.load(Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                // A relay with a raw socket keeps the port too; it tells exporters of one address apart.
                let own = if keep { from.ip() } else { addr.ip() };
                let sender = senders.entry(if keep { from } else { addr });
                let sender = sender.or_insert_with(|| UdpSocket::bind((own, 0)).unwrap());
                sender.send_to(&buffer[..length], to).unwrap();
                passed += 1;
            }
            passed
        });
        Self { addr, ended, thread }
    }

    /// How many datagrams it has passed on.
    fn end(self) -> u64 {
        self.ended.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}

/// 1. Nineteen exporters see every flow twice, and send to a relay that passes on to the collector.
/// 2. A relay that keeps source addresses: every record has its exporter, twice seen is once counted.
/// 3. Broken twin, a relay that does not: one exporter is left, and every byte counts twice. Templates
///    and sequence numbers still do not mix, as each exporter has its domain.
#[test]
fn relayed_datagrams_keep_their_exporter_if_their_address_is_kept() {
    let Some(hntes) = hntes() else { return };
    for keep in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("flows");
        let mut collector = start(&place, 1, LIMITS).run();
        let relay = Relay::start((collector.addr, 4739).into(), keep);
        let (relayed_by, from) = (relay.addr.ip(), addresses(19));
        // The relay has the buffer any socket has, and one thread: a slow kernel needs the pauses.
        let days = if std::env::var_os("TELESTEER_SLOW").is_some() { "6" } else { "15" };
        let args = ["--days", days, "--from", &listed(&from), "--rate", "50"];
        let truth = export(&hntes, "duplicates", relay.addr, &args, dir.path());
        received(&mut collector, &truth["export"]);
        assert_eq!(truth["export"]["messages"], relay.end());

        let exporters = truth["export"]["exporters"].as_array().unwrap();
        assert!(exporters.len() > 5, "{exporters:?}");
        let rows: Vec<_> = files(&place).iter().flat_map(|path| rows_of(path)).collect();
        let mut records: BTreeMap<(String, u64), u64> = BTreeMap::new();
        for row in &rows {
            *records.entry((text(row, "exporter"), unsigned(row, "domain"))).or_default() += 1;
        }
        let want = exporters.iter().enumerate().map(|(number, exporter)| {
            let address = if keep { from[number] } else { relayed_by };
            let domain = exporter["domain"].as_u64().unwrap();
            ((address.to_string(), domain), exporter["records"].as_u64().unwrap())
        });
        assert_eq!(records, want.collect());
        let addresses: BTreeSet<_> = records.keys().map(|(address, _)| address).collect();
        assert_eq!(addresses.len(), if keep { exporters.len() } else { 1 });
        as_true(&fam(&hntes, &place), &truth, if keep { 1 } else { 2 });
    }
}
