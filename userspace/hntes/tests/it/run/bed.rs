// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A loop with routers and a provider that are files, and somebody who looks at these meanwhile.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// A condition that does not come in this time does not come.
const DEADLINE: Duration = Duration::from_secs(240);

/// Everything is quick: alpha is what sends, and what is silent for 0.6 s has ended.
const CONFIG: &str = r#"
[store]
dir = "store"
journal-bytes = 3000

[collector]
source = "records"
path = "flow.jsonl"
h = 1000
t-s = 1
slot-s = 0.2
idle-s = 0.6
jump-s = 3600

[online]
age-s = 0.3
jitter-s = 0
doubt-s = 1.5

[circuits]
provider = "file"
file = "circuits.json"
list-every-s = 0.5
manner = { lease-ms = 3000, linger-ms = 200, retry-ms = 100, withdraw-ms = 60000 }

[paths.forth]
from = "r1"
to = "r2"
mark = 101
table = 101

[paths.back]
from = "r2"
to = "r1"
mark = 101
table = 101

[routers.r1]
device = "file"
file = "r1.rules"
read-every-s = 0.3
addresses = ["10.255.0.1"]
prefixes = ["10.1.0.0/16"]

[routers.r2]
device = "file"
file = "r2.rules"
read-every-s = 0.3
prefixes = ["10.2.0.0/16"]
"#;

/// Who sends to whom.
const ENDS: [&str; 2] = ["10.1.0.1", "10.2.0.1"];

/// A folder with all of it.
pub(crate) struct Bed {
    pub(crate) dir: TempDir,
    sends: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    violations: Arc<Mutex<Vec<String>>>,
    threads: Vec<JoinHandle<()>>,
}

/// A rule: source port, destination port, path.
pub(crate) type Rule = (u64, u64, String);

fn now_ns() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()
}

/// A line as `telesteer collect` writes it.
fn line([src, dst]: [&str; 2], first: u128, last: u128) -> String {
    let fields = json!({
        "sourceIPv4Address": src, "destinationIPv4Address": dst,
        "protocolIdentifier": 6, "sourceTransportPort": 4001, "destinationTransportPort": 5201,
        "octetDeltaCount": 1_000_000, "packetDeltaCount": 1000,
    });
    let (first, last) = (first as u64, last as u64);
    let line = json!({
        "type": "flow", "instance": 1, "ts": last / 1_000_000_000, "exporter": "10.255.0.1",
        "port": 5000, "local_port": 4739, "domain": 1, "version": 10, "start_ns": first,
        "end_ns": last, "fields": fields, "sampling_interval": 1,
    });
    format!("{line}\n")
}

/// The rules of a router, as they are in its file.
fn rules(path: PathBuf) -> BTreeSet<Rule> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let rule = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let flow = &value["matching"]["flow"];
        let port = |name: &str| flow[name].as_u64().unwrap_or(0);
        (port("src_port"), port("dst_port"), value["path"].as_str().unwrap().to_owned())
    };
    text.lines().map(rule).collect()
}

/// The states of circuits, as they are in their file.
fn circuits(path: PathBuf) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let all: Vec<Value> =
        if text.is_empty() { vec![] } else { serde_json::from_str(&text).unwrap() };
    all.iter().map(|one| one["seen"].as_str().unwrap().to_owned()).collect()
}

impl Bed {
    /// One in which nothing runs yet.
    pub(crate) fn new() -> Self {
        Self::of(CONFIG, ENDS)
    }

    /// One with another configuration and other hosts.
    pub(crate) fn of(config: &str, hosts: [&'static str; 2]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("hntes.toml"), config).unwrap();
        File::create(dir.path().join("flow.jsonl")).unwrap();
        let (sends, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let violations: Arc<Mutex<Vec<String>>> = Arc::default();
        let path = dir.path().to_owned();
        let (of_writer, ends) = (sends.clone(), stop.clone());
        let writer = thread::spawn(move || {
            let mut last = now_ns();
            while !ends.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(100));
                let now = now_ns();
                if of_writer.load(Ordering::SeqCst) {
                    let mut file =
                        OpenOptions::new().append(true).open(path.join("flow.jsonl")).unwrap();
                    file.write_all(line(hosts, last, now).as_bytes()).unwrap();
                }
                last = now;
            }
        });
        let path = dir.path().to_owned();
        let (ends, found) = (stop.clone(), violations.clone());
        // Packets on a rule whose circuit is not up go nowhere.
        let watcher = thread::spawn(move || {
            while !ends.load(Ordering::SeqCst) {
                for router in ["r1.rules", "r2.rules"] {
                    let before = rules(path.join(router));
                    let states = circuits(path.join("circuits.json"));
                    let after = rules(path.join(router));
                    let held: Vec<&Rule> = before.intersection(&after).collect();
                    if !held.is_empty() && !states.iter().any(|state| state == "up") {
                        found.lock().unwrap().push(format!("{router} {held:?} onto {states:?}"));
                    }
                }
                thread::sleep(Duration::from_millis(3));
            }
        });
        Self { dir, sends, stop, violations, threads: vec![writer, watcher] }
    }

    /// Appends to the configuration.
    pub(crate) fn configure(&self, more: &str) {
        let path = self.dir.path().join("hntes.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{text}\n{more}")).unwrap();
    }

    /// A program like `hntes run`, to be started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        // A test that fails must not leave it running: it goes with the thread that started it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_hntes")]);
        command.current_dir(self.dir.path()).args(["run", "--config", "hntes.toml"]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts the loop.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let said = self.dir.path().join("said");
        let said = OpenOptions::new().append(true).create(true).open(said).unwrap();
        self.command(args).stderr(said).spawn().unwrap()
    }

    /// The flow sends, or is silent.
    pub(crate) fn send(&self, on: bool) {
        self.sends.store(on, Ordering::SeqCst);
    }

    /// A new file of flow records, as after a rotation.
    pub(crate) fn rotate(&self) {
        File::create(self.dir.path().join("flow.jsonl")).unwrap();
    }

    pub(crate) fn rules(&self, router: &str) -> BTreeSet<Rule> {
        rules(self.dir.path().join(format!("{router}.rules")))
    }

    pub(crate) fn circuits(&self) -> Vec<String> {
        circuits(self.dir.path().join("circuits.json"))
    }

    /// Both directions are redirected onto the one circuit, and nothing else is there.
    pub(crate) fn is_redirected(&self) -> bool {
        self.rules("r1") == [(4001, 5201, "forth".to_owned())].into()
            && self.rules("r2") == [(5201, 4001, "back".to_owned())].into()
            && self.circuits() == ["up"]
    }

    /// No rule is on a router, no circuit is held.
    pub(crate) fn is_empty(&self) -> bool {
        ["r1", "r2"].iter().all(|router| self.rules(router).is_empty())
            && self.circuits().is_empty()
    }

    /// Lines of the audit log.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let dir = self.dir.path().join("store");
        let text = fs::read_to_string(dir.join("audit.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How many lines of the audit log tell of this.
    pub(crate) fn told(&self, what: &str) -> usize {
        self.audit().iter().filter(|line| line["what"] == what).count()
    }

    /// Waits for something.
    pub(crate) fn until(&self, what: &str, is: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is() {
            assert!(begun.elapsed() < DEADLINE, "{what} does not come: {}", self.all());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the program is dead, and says how it died.
    pub(crate) fn death(&self, child: &mut Child) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if begun.elapsed() > DEADLINE {
                let _ = child.kill();
                let _ = child.wait();
                panic!("it does not end: {}", self.all());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the loop by SIGTERM.
    pub(crate) fn end(&self, mut child: Child) {
        let kill = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(kill.success());
        let status = self.death(&mut child);
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{}", self.all());
    }

    /// All there is, for messages.
    pub(crate) fn all(&self) -> String {
        let said = fs::read_to_string(self.dir.path().join("said")).unwrap_or_default();
        let audit: Vec<String> = self.audit().iter().map(Value::to_string).collect();
        let from = audit.len().saturating_sub(60);
        format!(
            "r1 {:?} r2 {:?} circuits {:?}\n{said}\n{}",
            self.rules("r1"),
            self.rules("r2"),
            self.circuits(),
            audit[from..].join("\n")
        )
    }

    /// Where the interface of the loop that was started last is.
    pub(crate) fn address(&self) -> Option<String> {
        let said = fs::read_to_string(self.dir.path().join("said")).unwrap_or_default();
        let line = said.lines().rev().find(|line| line.starts_with("http://"))?;
        Some(line.trim_end_matches('/').to_owned())
    }

    /// Forgets what loops have said.
    pub(crate) fn forget_address(&self) {
        let _ = fs::remove_file(self.dir.path().join("said"));
    }

    /// A metric of the loop that was started last.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let address = self.address()?;
        let mut stream = TcpStream::connect(address.strip_prefix("http://")?).ok()?;
        let ask = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(ask.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        text.lines().find_map(value)
    }

    /// Rules that were onto a circuit that was not up.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
