// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer ls` beside real collectors. With our kernel it tells of ids and selections; on a stock
//! one it must say that it cannot, and guess.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Output,
};

use serde_json::Value;

use crate::collector::{Collector, Start, own_address, wait_for};

const SESSIONS: u8 = 16;

fn ls(args: &[&str]) -> Output {
    assert_cmd::Command::new(env!("CARGO_BIN_EXE_telesteer")).arg("ls").args(args).output().unwrap()
}

fn told() -> bool {
    let told = telesteer_sys::features::probe().unwrap().member;
    // In our own guest a kernel that does not tell would hide what is to be shown.
    assert!(
        told || std::env::var_os("TELESTEER_GUEST").is_none(),
        "the guest lacks SO_REUSEPORT_MEMBER"
    );
    told
}

/// The group bound to `local`, if `ls` shows it.
fn group(protocol: &str, local: SocketAddr, args: &[&str]) -> Option<Value> {
    let port = local.port().to_string();
    let output = ls(&[&["--json", "--port", &port], args].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let groups = report["groups"].as_array().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(groups.is_empty())));
    groups
        .iter()
        .find(|group| group["protocol"] == protocol && group["local"] == local.to_string())
        .cloned()
}

fn sum(group: &Value, field: &str) -> u64 {
    let members = group["members"].as_array().unwrap();
    members.iter().filter_map(|member| member[field].as_u64()).sum()
}

/// A session from an exporter's address.
fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

#[test]
fn help_explains_every_column() {
    let output = ls(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for word in
        ["WEIGHT", "FLAGS", "SELECTIONS", "EXPORTERS", "SESSIONS", "QUEUE", "PROCESS", "Exit code"]
    {
        assert!(help.contains(word), "{word} is not explained");
    }
}

#[test]
fn exit_codes_tell_what_happened() {
    assert_eq!(ls(&["--port", "1"]).status.code(), Some(1));
    assert_eq!(ls(&["--json", "--port", "1"]).status.code(), Some(1));
    for wrong in [&["--port", "x"][..], &["--watch", "0"], &["--metrics", "here"]] {
        assert_eq!(ls(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_collector_that_does_not_answer_is_named() {
    let output = ls(&["--port", "1", "--metrics", "127.0.0.1:1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no exporters from 127.0.0.1:1"), "{said}");
}

/// Two collectors, sessions from many addresses, one datagram; then one collector is killed.
#[test]
fn members_are_told_apart() {
    let told = told();
    let store = tempfile::tempdir().unwrap();
    let addr = own_address();
    let start = |instance: u64, args: &[&str]| {
        let state = Some(store.path().to_owned());
        Start { addr, instance, state, ..Start::new(args) }.run()
    };
    let (first, mut second) = (start(1, &[]), start(2, &["--weight", "3"]));
    let bmp = SocketAddr::from((addr, 1790));
    let streams: Vec<_> =
        (1..=SESSIONS).map(|n| connect(Ipv4Addr::new(127, 3, 0, n), bmp)).collect();
    let group_of = |args: &[&str]| group("tcp", bmp, args).expect("the BMP group");
    let seen = wait_for("all sessions are somebody's", || {
        let group = group_of(&[]);
        (sum(&group, "sessions") == u64::from(SESSIONS)).then_some(group)
    });
    let members = seen["members"].as_array().unwrap();
    assert_eq!(members.len(), 2);
    assert_eq!(seen["sockets"], 2);
    assert_eq!(sum(&seen, "exporters"), u64::from(SESSIONS));
    assert_eq!(seen["unaccepted"], 0);
    let mut pids: Vec<u64> =
        members.iter().map(|member| member["processes"][0]["pid"].as_u64().unwrap()).collect();
    if told {
        assert!(seen["group"].is_u64());
        assert_eq!(seen["policy"], "source");
        let of = |index: usize, field: &str| members[index][field].as_u64().unwrap();
        assert_eq!((of(0, "id"), of(0, "weight")), (1, 1));
        assert_eq!((of(1, "id"), of(1, "weight")), (2, 3));
        assert_eq!(pids, [u64::from(first.child.id()), u64::from(second.child.id())]);
        assert!(sum(&seen, "selections") >= u64::from(SESSIONS));
        assert_eq!(members[0]["draining"], false);
        udp_exporters(&first, &second, addr);
    } else {
        pids.sort_unstable();
        let mut want = [u64::from(first.child.id()), u64::from(second.child.id())];
        want.sort_unstable();
        assert_eq!(pids, want);
        assert!(seen["group"].is_null() && members[0]["id"].is_null());
        let said = String::from_utf8(ls(&["--port", "1790"]).stderr).unwrap();
        assert!(said.contains("this kernel does not tell of members"), "{said}");
    }
    let table = String::from_utf8(ls(&["--port", "1790"]).stdout).unwrap();
    assert!(table.contains(&format!("tcp {bmp}  ")), "{table}");
    assert!(table.contains(&format!("{} telesteer", first.child.id())), "{table}");

    // What is gone is not shown; one socket is no group to guess.
    second.kill();
    let left = group("tcp", bmp, &[]);
    if told {
        let left = left.expect("the group of one");
        assert_eq!(left["members"].as_array().unwrap().len(), 1);
        assert_eq!(left["members"][0]["id"], 1);
    } else {
        assert_eq!(left, None);
    }
    drop(streams);
}

/// The exporters of a UDP group are what the collectors say, each for itself.
fn udp_exporters(first: &Collector, second: &Collector, addr: Ipv4Addr) {
    let ipfix = SocketAddr::from((addr, 4739));
    // A message of a header only.
    let message = [0, 10, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    first.exporter(4739).send(&message).unwrap();
    let metrics = [1_u16, 2].map(|instance| format!("{addr}:{}", 9900 + instance));
    let args = ["--metrics", &metrics[0], "--metrics", &metrics[1]];
    let seen = wait_for("the exporter is somebody's", || {
        let group = group("udp", ipfix, &args).expect("the IPFIX group");
        (sum(&group, "exporters") == 1).then_some(group)
    });
    let members = seen["members"].as_array().unwrap();
    let counts: Vec<_> = members.iter().map(|member| member["exporters"].as_u64()).collect();
    assert!(counts == [Some(1), Some(0)] || counts == [Some(0), Some(1)], "{counts:?}");
    let chosen = members.iter().find(|member| member["exporters"] == 1).unwrap();
    assert_eq!(chosen["selections"], 1);
    let pid = [first, second][usize::from(chosen["id"] == 2)].child.id();
    assert_eq!(chosen["processes"][0]["pid"].as_u64(), Some(u64::from(pid)));
    // Without their word nothing is known.
    let blind = group("udp", ipfix, &[]).unwrap();
    assert!(blind["members"].as_array().unwrap().iter().all(|m| m["exporters"].is_null()));
}
