// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The back end `local` with agents that say "done" and do nothing: holds, budgets and what is read back
//! need no kernel, so this runs anywhere.

use serde_json::Value;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use telesteer_circuit::circuits::{Circuits, Held, Notice, Seen};
use telesteer_circuit::clock::now;
use telesteer_circuit::counters::Counters;
use telesteer_circuit::error::Why;
use telesteer_circuit::local::client::{Local, Settings};
use telesteer_circuit::plan::Numbers;
use telesteer_circuit::request::{Best, Excess, Name, Pair, Rate, Request};
use telesteer_circuit::time::Span;
use tempfile::TempDir;

/// It notes what it is asked to change, and finds nothing but what is in a file.
const AGENT: &str = r#"#!/bin/sh
cd "${0%/*}" || exit 9
while read -r line; do
    case $line in
        *'"ask":"read"'*) echo "{\"told\":\"there\",\"items\":[$(cat there)],\"foreign\":[]}" ;;
        *) echo "$line" >> asked; echo '{"told":"done"}' ;;
    esac
done
"#;

const TOPOLOGY: &str = r#"
[[node]]
name = "r1"
[[node]]
name = "r2"
[[link]]
a = { node = "r1", interface = "to-r2", address = "10.9.1.1" }
b = { node = "r2", interface = "to-r1", address = "10.9.1.2" }
mbps = 100
"#;

/// A folder with it, in which circuits are held for so long.
fn settings(dir: &TempDir, hold_ms: u64) -> Settings {
    let (topology, agent) = (dir.path().join("topology.toml"), dir.path().join("agent"));
    fs::write(&topology, TOPOLOGY).unwrap();
    fs::write(dir.path().join("there"), "").unwrap();
    // By another process: what one of ours has open to write, another test's child may have too for a
    // moment, and then it cannot be run.
    let write = format!("printf '%s' \"$1\" > {0} && chmod 755 {0}", agent.display());
    assert!(Command::new("sh").args(["-c", &write, "sh", AGENT]).status().unwrap().success());
    let (state, numbers) = (dir.path().join("circuits.json"), Numbers::default());
    Settings { topology, state, agent, numbers, hold_ms, poll_ms: 0 }
}

/// What agents were asked to change: the verb, and the kinds of items.
fn asked(dir: &TempDir) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(dir.path().join("asked")).unwrap_or_default();
    let line = |line: &str| {
        let ask: Value = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let items = ask["items"].as_array().unwrap();
        (text(&ask["ask"]), items.iter().map(|item| text(&item["kind"])).collect())
    };
    text.lines().map(line).collect()
}

/// Most of the only link, so that there is one of them at a time.
async fn request() -> Request {
    // Names are made of the clock.
    tokio::time::sleep(Duration::from_millis(2)).await;
    Request {
        name: Name::of(&Pair::new("r1", "r2"), now()).unwrap(),
        rate: Rate::Specified { mbps: 60, excess: Excess::Drop },
        span: Span { from: now(), until: None },
        best: Best::Hops,
        off_ip_path: false,
        both: true,
    }
}

/// What is read back decides: nothing there, so it is not up, and stays reserved.
#[tokio::test]
async fn what_an_agent_says_it_did_is_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let counters = Arc::new(Counters::default());
    let local = Local::start(settings(&dir, 60_000), counters.clone()).await.unwrap();
    let Held { id, .. } = local.reserve(&request().await).await.unwrap();
    let early = local.provision(&id).await.unwrap_err();
    assert_eq!(early.why, Why::Refused("it is not committed".into()));
    local.commit(&id).await.unwrap();
    let error = local.provision(&id).await.unwrap_err();
    assert!(matches!(error.why, Why::NotThere(_)), "{error}");
    assert_eq!(counters.read_back_failures.load(Relaxed), 1);
    assert_eq!(local.notices().await.unwrap(), []);
    assert_eq!(local.list().await.unwrap()[0].seen, Seen::Committed);
    // A path is entered when the rest of it is there, and left before that goes.
    let asked = asked(&dir);
    let places = |verb: &str, entrance: bool| {
        let is = |(own, kinds): &(String, Vec<String>)| {
            own == verb && kinds.iter().any(|kind| kind == "ingress") == entrance
        };
        asked.iter().enumerate().filter(|(_, one)| is(one)).map(|(at, _)| at).collect::<Vec<_>>()
    };
    let [rest, entered] = [places("add", false), places("add", true)];
    let [left, gone] = [places("remove", true), places("remove", false)];
    let order = [rest, entered, left, gone];
    assert!(order.iter().all(|places| places.len() == 2), "{asked:?}");
    assert!(order.concat().is_sorted(), "{asked:?}");
}

/// What is there of ours and of no circuit we know goes at the start; what cannot be kept apart from
/// others' does not.
#[tokio::test]
async fn strays_go_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir, 60_000);
    let strays = r#"{"kind":"pop","label":100000},{"kind":"input","interface":"to-r2"}"#;
    fs::write(dir.path().join("there"), strays).unwrap();
    let counters = Arc::new(Counters::default());
    drop(Local::start(settings, counters.clone()).await.unwrap());
    // At each of the two nodes.
    let pop = ("remove".to_owned(), vec!["pop".to_owned()]);
    assert_eq!(asked(&dir), [pop.clone(), pop]);
    assert_eq!(counters.strays_removed.load(Relaxed), 2);
}

/// What is given back is free again, whether its holder ends it or its hold runs out; a restart forgets
/// neither.
#[tokio::test]
async fn what_ends_leaves_room() {
    let dir = tempfile::tempdir().unwrap();
    let local = Local::start(settings(&dir, 60_000), Arc::default()).await.unwrap();
    let Held { id, .. } = local.reserve(&request().await).await.unwrap();
    assert!(local.reserve(&request().await).await.is_err(), "the link is full");
    drop(local);
    let local = Local::start(settings(&dir, 1), Arc::default()).await.unwrap();
    assert!(local.reserve(&request().await).await.is_err(), "it is full still");
    local.terminate(&id).await.unwrap();
    let Held { id, .. } = local.reserve(&request().await).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let late = local.commit(&id).await.unwrap_err();
    assert_eq!(late.why, Why::Refused("the hold has run out".into()));
    assert_eq!(local.notices().await.unwrap(), [(id, Notice::HoldExpired)]);
    local.reserve(&request().await).await.unwrap();
}
