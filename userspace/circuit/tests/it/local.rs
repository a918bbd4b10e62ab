// SPDX-License-Identifier: Apache-2.0 OR MIT
//! MPLS paths on the running kernel, one namespace a router. What counts is what counters and
//! captures of labels say, not what we say.

use crate::lsp_lab::{Lab, cannot};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use telesteer_circuit::circuits::{Circuits, Held, Id, Notice, Seen};
use telesteer_circuit::clock::now;
use telesteer_circuit::counters::Counters;
use telesteer_circuit::error::Why;
use telesteer_circuit::local::client::Local;
use telesteer_circuit::request::{Best, Excess, Name, Pair, Rate, Request};
use telesteer_circuit::time::{At, Span};

fn can() -> bool {
    let Some(why) = cannot() else { return true };
    eprintln!("skipped: {why}");
    // In our own guest a skip would hide that the kernel is not as it should be.
    assert!(std::env::var_os("TELESTEER_GUEST").is_none(), "{why}");
    false
}

fn request(rate: Rate, until: Option<At>) -> Request {
    let at = now();
    let name = Name::of(&Pair::new("10.255.0.1", "10.255.0.3"), at).unwrap();
    Request {
        name,
        rate,
        span: Span { from: at, until },
        best: Best::Hops,
        off_ip_path: true,
        both: true,
    }
}

async fn up(local: &Local, request: &Request) -> Id {
    let Held { id, .. } = local.reserve(request).await.unwrap();
    local.commit(&id).await.unwrap();
    local.provision(&id).await.unwrap();
    assert_eq!(local.notices().await.unwrap(), [(id.clone(), Notice::Active)]);
    id
}

/// All that the back end may have put on the routers.
fn ours(lab: &Lab) -> String {
    let of = |node: &str| {
        let routes = lab.on(node, "ip route show table all proto 126");
        let labels = lab.on(node, "ip -f mpls route show");
        let queues = lab.on(node, "tc qdisc show");
        let queues: Vec<&str> = queues.lines().filter(|line| line.contains("htb")).collect();
        format!("{routes}{labels}{}", queues.concat())
    };
    ["r1", "p", "r2"].map(of).concat()
}

#[tokio::test]
async fn packets_of_a_table_take_the_path_both_ways() {
    if !can() {
        return;
    }
    let lab = Lab::new("path");
    let local = Local::start(lab.settings(), Arc::default()).await.unwrap();
    let id = up(&local, &request(Rate::Unlimited, None)).await;
    let entrances = local.entrances(&id).await;
    assert_eq!(entrances.iter().map(|one| one.node.as_str()).collect::<Vec<_>>(), ["r1", "r2"]);

    // Nothing is steered yet: the straight link.
    let before = (lab.sent("r1", "to-p"), lab.sent("r1", "to-r2"));
    assert!(lab.works("a", "ping -c 5 -i 0.1 -W 2 10.9.4.2"));
    assert!(lab.sent("r1", "to-r2") >= before.1 + 5);

    for entrance in &entrances {
        let (from, to) = if entrance.node == "r1" {
            ("10.9.1.0/24", "10.9.4.0/24")
        } else {
            ("10.9.4.0/24", "10.9.1.0/24")
        };
        lab.on(
            &entrance.node,
            &format!("ip rule add from {from} to {to} lookup {}", entrance.table),
        );
    }
    let (path, straight) = (lab.sent("r1", "to-p"), lab.sent("r1", "to-r2"));
    let (back, straight_back) = (lab.sent("r2", "to-p"), lab.sent("r2", "to-r1"));
    assert!(lab.works("a", "ping -c 20 -i 0.05 -W 2 10.9.4.2"));
    assert!(lab.sent("r1", "to-p") >= path + 20 && lab.sent("r2", "to-p") >= back + 20);
    // Neighbours may be asked for on the straight link, but no ping takes it.
    assert!(lab.sent("r1", "to-r2") < straight + 5 && lab.sent("r2", "to-r1") < straight_back + 5);

    // The labels are those of the plan.
    let label = entrances[0].label;
    let shown = lab.on("r1", &format!("ip route show table {}", entrances[0].table));
    assert!(
        shown.contains(&format!("encap mpls  {label}"))
            || shown.contains(&format!("encap mpls {label}")),
        "{shown}"
    );
    assert!(lab.on("p", "ip -f mpls route show").contains(&format!("{label} as to ")));

    local.release(&id).await.unwrap();
    assert_eq!(ours(&lab), "");
    local.terminate(&id).await.unwrap();
    assert_eq!(local.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_rate_has_its_queue() {
    if !can() {
        return;
    }
    let lab = Lab::new("rate");
    let local = Local::start(lab.settings(), Arc::default()).await.unwrap();
    let rate = Rate::Specified { mbps: 20, excess: Excess::Drop };
    let id = up(&local, &request(rate, None)).await;
    for (node, interface) in [("r1", "to-p"), ("p", "to-r2"), ("p", "to-r1"), ("r2", "to-p")] {
        let classes = lab.on(node, &format!("tc class show dev {interface}"));
        assert!(classes.contains("rate 20Mbit ceil 20Mbit"), "{node}: {classes}");
    }
    let table = local.entrances(&id).await[0].table;
    lab.on("r1", &format!("ip rule add from 10.9.1.0/24 to 10.9.4.0/24 lookup {table}"));
    assert!(lab.works("a", "ping -c 10 -i 0.05 -W 2 10.9.4.2"));
    // The packets were counted by the class of the circuit, not by that of all others.
    let counted = lab.on("r1", "tc -s class show dev to-p");
    let at = counted.find("rate 20Mbit").unwrap();
    let sent = counted[at..].split("Sent ").nth(1).unwrap();
    let packets: u64 = sent.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(packets >= 10, "{counted}");

    // 85 of the 80 that are left are refused, and leave nothing.
    let more = Rate::Specified { mbps: 85, excess: Excess::Drop };
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let error = local.reserve(&request(more, None)).await.unwrap_err();
    assert!(error.to_string().contains("no path from `r1` to `r2` with room for it"), "{error}");
    local.terminate(&id).await.unwrap();
    assert_eq!(ours(&lab), "");
}

#[tokio::test]
async fn a_restart_finds_its_own_and_sweeps_strays() {
    if !can() {
        return;
    }
    let lab = Lab::new("again");
    let first = Local::start(lab.settings(), Arc::default()).await.unwrap();
    let rate = Rate::Specified { mbps: 10, excess: Excess::Scavenger };
    let kept = up(&first, &request(rate, None)).await;
    let before = ours(&lab);
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let lost = up(&first, &request(Rate::Unlimited, None)).await;
    drop(first);
    // One circuit is forgotten, and of the other a part is gone; others have something in our range.
    let text = std::fs::read_to_string(lab.state()).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    state["circuits"]
        .as_array_mut()
        .unwrap()
        .retain(|one| one["plan"]["request"]["name"] == kept.0.as_str());
    std::fs::write(lab.state(), state.to_string()).unwrap();
    let label = lab.on("p", "ip -f mpls route show").split_whitespace().next().unwrap().to_owned();
    lab.on("p", &format!("ip -f mpls route del {label}"));
    lab.on("r1", "ip route add 192.0.2.0/24 via 10.9.5.2 table 20000");

    let counters = Arc::new(Counters::default());
    let second = Local::start(lab.settings(), counters.clone()).await.unwrap();
    assert_eq!(ours(&lab), before, "{lost} is gone, {kept} is whole");
    assert!(counters.strays_removed.load(Relaxed) >= 5);
    assert_eq!(counters.foreign.load(Relaxed), 1);
    assert!(
        lab.on("r1", "ip route show table 20000").contains("192.0.2.0/24"),
        "foreign routes are left"
    );
    let all = second.list().await.unwrap();
    assert_eq!((all.len(), &all[0].id, all[0].seen, all[0].rate), (1, &kept, Seen::Up, rate));
    // Taken away under its feet: put back, and if that cannot be done, told.
    let label = lab.on("r2", "ip -f mpls route show").split_whitespace().next().unwrap().to_owned();
    lab.on("r2", &format!("ip -f mpls route del {label}"));
    assert_eq!(second.notices().await.unwrap(), []);
    assert_eq!(ours(&lab), before);
    assert_eq!(counters.read_back_failures.load(Relaxed), 1);
    lab.on("p", "ip link del to-r2");
    assert_eq!(second.notices().await.unwrap(), [(kept.clone(), Notice::Inactive)]);
    second.terminate(&kept).await.unwrap();
    assert_eq!(ours(&lab), "");
}

#[tokio::test]
async fn what_cannot_be_installed_is_said_and_taken_back() {
    if !can() {
        return;
    }
    let lab = Lab::new("fail");
    lab.on("p", "tc qdisc add dev to-r2 root handle 1: prio");
    let local = Local::start(lab.settings(), Arc::default()).await.unwrap();
    let rate = Rate::Specified { mbps: 10, excess: Excess::BestEffort };
    let Held { id, .. } = local.reserve(&request(rate, None)).await.unwrap();
    let early = local.provision(&id).await.unwrap_err();
    assert_eq!(early.why, Why::Refused("it is not committed".into()));
    local.commit(&id).await.unwrap();
    let error = local.provision(&id).await.unwrap_err();
    assert!(error.to_string().contains("a discipline that is not ours"), "{error}");
    assert_eq!(ours(&lab), "");
    assert_eq!(local.list().await.unwrap()[0].seen, Seen::Committed);
    lab.on("p", "tc qdisc del dev to-r2 root");
    local.provision(&id).await.unwrap();
    assert_eq!(local.notices().await.unwrap(), [(id.clone(), Notice::Active)]);
    local.terminate(&id).await.unwrap();
    assert_eq!(ours(&lab), "");
}

#[tokio::test]
async fn holds_and_ends_run_out() {
    if !can() {
        return;
    }
    let lab = Lab::new("end");
    let mut settings = lab.settings();
    settings.hold_ms = 1;
    let local = Local::start(settings, Arc::default()).await.unwrap();
    let Held { id, .. } = local.reserve(&request(Rate::Unlimited, None)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    assert_eq!(
        local.commit(&id).await.unwrap_err().why,
        Why::Refused("the hold has run out".into())
    );
    assert_eq!(local.notices().await.unwrap(), [(id, Notice::HoldExpired)]);
    drop(local);
    let local = Local::start(lab.settings(), Arc::default()).await.unwrap();
    let end = now().plus(3_000);
    let id = up(&local, &request(Rate::Unlimited, Some(end))).await;
    local.extend(&id, Some(now().plus(1))).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let notices = local.notices().await.unwrap();
    assert_eq!(notices, [(id, Notice::Ended("its end is reached".into()))]);
    assert_eq!(ours(&lab), "");
    assert_eq!(local.list().await.unwrap(), []);
}
