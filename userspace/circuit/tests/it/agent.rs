// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The agent of a node, asked by hand. Queues need no MPLS, so this runs wherever there are network
//! namespaces.

use crate::lsp_lab::run;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use telesteer_circuit::local::agent::{Ask, Told};
use telesteer_circuit::local::item::Item;
use telesteer_circuit::pool::Range;

const NETNS: &str = "tsc-agent";
const ALL: Range = Range { first: 16, last: 1 << 19 };

struct Agent {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Agent {
    fn start() -> Self {
        let mut child = Command::new("ip")
            .args(["netns", "exec", NETNS, env!("CARGO_BIN_EXE_circuit-agent")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, stdin, stdout: BufReader::new(stdout) }
    }

    fn line(&mut self, line: &str) -> Told {
        writeln!(self.stdin, "{line}").unwrap();
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn ask(&mut self, ask: &Ask) -> Told {
        self.line(&serde_json::to_string(ask).unwrap())
    }

    fn there(&mut self) -> Vec<Item> {
        match self.ask(&Ask::Read { labels: ALL, tables: ALL }) {
            Told::There { items, .. } => {
                items.into_iter().filter(|item| matches!(item, Item::Class { .. })).collect()
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new("ip").args(["netns", "del", NETNS]).output();
    }
}

fn class(label: u32, minor: u16, mbps: u64) -> Item {
    Item::Class { interface: "v0".into(), label, minor, mbps, ceil: 1000, prio: 7, link: 1000 }
}

fn said(told: Told) -> String {
    match told {
        Told::Failed { said } => said,
        other => panic!("{other:?}"),
    }
}

#[test]
fn queues_come_and_go() {
    let _ = Command::new("ip").args(["netns", "del", NETNS]).output();
    let made = Command::new("ip").args(["netns", "add", NETNS]).output();
    if !made.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no network namespace can be made");
        assert!(std::env::var_os("TELESTEER_GUEST").is_none());
        return;
    }
    run(&format!("ip link add v0 netns {NETNS} type veth peer name v1 netns {NETNS}"));
    let mut agent = Agent::start();
    assert!(agent.there().is_empty());
    let (one, two) = (class(100_000, 16, 20), class(100_001, 17, 1));
    for items in [vec![one.clone(), two.clone()], vec![one.clone()]] {
        assert_eq!(agent.ask(&Ask::Add { items }), Told::Done, "a second time is no error");
    }
    assert_eq!(agent.there(), [one.clone(), two.clone()]);
    // More for one of them.
    let more = class(100_000, 16, 30);
    assert_eq!(agent.ask(&Ask::Add { items: vec![more.clone()] }), Told::Done);
    assert_eq!(agent.there(), [more.clone(), two.clone()]);
    for _ in 0..2 {
        assert_eq!(agent.ask(&Ask::Remove { items: vec![more.clone()] }), Told::Done);
    }
    assert_eq!(agent.there(), std::slice::from_ref(&two));
    assert_eq!(agent.ask(&Ask::Remove { items: vec![two] }), Told::Done);
    assert!(agent.there().is_empty());
    let left = run(&format!("ip netns exec {NETNS} tc qdisc show dev v0"));
    assert!(!String::from_utf8_lossy(&left.stdout).contains("htb"));

    // Somebody else's discipline is left, and said.
    run(&format!("ip netns exec {NETNS} tc qdisc add dev v0 root handle 1: htb"));
    let refused = said(agent.ask(&Ask::Add { items: vec![one] }));
    assert!(
        refused.contains("v0") && refused.ends_with("a discipline that is not ours"),
        "{refused}"
    );
    let nowhere = Item::Class {
        interface: "v9".into(),
        label: 1,
        minor: 16,
        mbps: 1,
        ceil: 1,
        prio: 4,
        link: 1,
    };
    assert!(said(agent.ask(&Ask::Add { items: vec![nowhere.clone()] })).contains("v9"));
    assert_eq!(agent.ask(&Ask::Remove { items: vec![nowhere] }), Told::Done);
    assert!(said(agent.line("no JSON")).starts_with("a question that is none: "));
    assert!(said(agent.line(r#"{"ask":"reboot"}"#)).contains("reboot"));
}
