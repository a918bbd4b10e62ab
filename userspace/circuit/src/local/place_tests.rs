// SPDX-License-Identifier: Apache-2.0 OR MIT
//! With agents that do nothing but write down what they are asked.

use super::*;
use crate::circuits::Circuits;
use crate::local::client::Settings;
use crate::request::{Best, Pair, Rate, Request};
use crate::time::Span;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const TOPOLOGY: &str = r#"
node = [{ name = "r1" }, { name = "p" }]
[[link]]
a = { node = "r1", interface = "e0", address = "10.0.0.1" }
b = { node = "p", interface = "e0", address = "10.0.0.2" }
mbps = 100
"#;

/// Every agent says that these are there. While `dir` has a file `dead`, none answers.
fn settings(dir: &Path, there: &[Item]) -> Settings {
    let path = |name: &str| dir.join(name);
    let [log, dead] = ["log", "dead"].map(|name| path(name).display().to_string());
    let items = serde_json::to_string(there).unwrap();
    let script = format!(
        "#!/bin/sh\nwhile read -r line; do\n[ -e '{dead}' ] && exit 1\necho \"$line\" >>'{log}'\n\
         case $line in *'\"ask\":\"read\"'*) echo '{{\"told\":\"there\",\"items\":{items},\"foreign\":[]}}';;\n\
         *) echo '{{\"told\":\"done\"}}';; esac\ndone\n"
    );
    let agent = path("agent");
    fs::write(&agent, script).unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(path("topology.toml"), TOPOLOGY).unwrap();
    let [topology, state] = ["topology.toml", "state.json"].map(path);
    let numbers = Numbers::default();
    Settings { topology, state, agent, numbers, hold_ms: 500, poll_ms: 0 }
}

#[tokio::test]
async fn beginnings_of_strays_go_first_on_all_nodes() {
    let dir = tempfile::tempdir().unwrap();
    let (via, interface) = ("10.0.0.2".parse().unwrap(), "e0".to_owned());
    let swap = Item::Swap { label: 100_007, out: 100_008, via, interface: interface.clone() };
    let ingress = Item::Ingress { table: 10_007, label: 100_009, via, interface };
    let counters = Arc::default();
    let settings = settings(dir.path(), &[swap, ingress]);
    Local::start(settings, Arc::clone(&counters)).await.unwrap();
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    let what = |line: &str| -> String {
        let words = ["read", "remove", "ingress", "swap"];
        let there = words.into_iter().filter(|word| line.contains(&format!("\"{word}\"")));
        there.collect::<Vec<_>>().join(" ")
    };
    let asked: Vec<String> = log.lines().map(what).collect();
    let expected =
        ["read", "read", "remove ingress", "remove ingress", "remove swap", "remove swap"];
    assert_eq!(asked, expected);
    assert_eq!(counters.strays_removed.load(Relaxed), 4);
}

/// A circuit that cannot be taken down, and behind it one whose hold has run out.
#[tokio::test]
async fn a_dead_agent_does_not_keep_others_from_being_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let local = Local::start(settings(dir.path(), &[]), Arc::default()).await.unwrap();
    let local: &dyn Circuits = &local;
    let at = now();
    let request = |n: u64, from, until| Request {
        name: Name::of(&Pair::new("r1", "p"), At(n)).unwrap(),
        rate: Rate::Unlimited,
        span: Span { from, until },
        best: Best::Hops,
        off_ip_path: false,
        both: true,
    };
    let dead = dir.path().join("dead");
    let over = local.reserve(&request(1, at.plus(600), Some(at.plus(601)))).await.unwrap().id;
    local.commit(&over).await.unwrap();
    local.provision(&over).await.unwrap();
    let held = local.reserve(&request(2, at, None)).await.unwrap().id;
    fs::write(&dead, "").unwrap();
    tokio::time::sleep(Duration::from_millis(650)).await;
    assert_eq!(local.notices().await.unwrap(), [(held, Notice::HoldExpired)]);
    let said = local.notices().await.unwrap_err().to_string();
    assert!(said.contains("agent"), "{said}");
    fs::remove_file(&dead).unwrap();
    let ended = Notice::Ended("its end is reached".into());
    assert_eq!(local.notices().await.unwrap(), [(over, ended)]);
}
