// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer replay` against the real collector and against sockets of the test.

use std::{
    io::Read,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::collector::{Collector, own_address, wait_for};

fn replay(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_telesteer"))
        .arg("replay")
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The last line on standard output.
fn summary(child: Child) -> Value {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["final"], true);
    last
}

fn count(summary: &Value, pointer: &str) -> usize {
    summary.pointer(pointer).and_then(Value::as_u64).unwrap() as usize
}

/// 1. Every kind of generated exporter sends to a collector for a second.
/// 2. What the summary says was sent is what the collector decoded, nothing was undecodable.
#[test]
fn what_is_generated_is_decoded() {
    let collector = Collector::start(&[]);
    let to = collector.addr;
    let load = tempfile::NamedTempFile::new().unwrap();
    let section = |kind: &str, count: &str, port: u16, rate: u32| {
        let source = own_address();
        format!(
            "[[{kind}]]\n{count} = 3\nsources = [\"{source}/30\", \"{source}\"]\ntarget = [\"{to}:{port}\"]\nrate = {rate}\n"
        )
    };
    let text = [
        section("bmp", "sessions", 1790, 600),
        section("ipfix", "exporters", 4739, 100) + "domains = 2\n",
        section("netflow9", "exporters", 2055, 100),
        section("notif", "exporters", 10003, 40) + "segment_every = 3\n",
    ];
    std::fs::write(load.path(), text.concat()).unwrap();
    let path = load.path().to_str().unwrap();
    let sent = summary(replay(&["generate", "--config", path, "--duration", "1"]));
    let messages = count(&sent, "/bmp/messages");
    assert!(messages > 100, "{sent}");
    let lines = collector.wait_lines("bmp", messages);
    assert_eq!(lines.len(), messages);
    assert!(lines.iter().all(|line| line["error"].is_null()), "{lines:?}");
    let datagrams = ["ipfix", "netflow9", "notif"]
        .map(|kind| count(&sent, &format!("/{kind}/datagrams")))
        .iter()
        .sum();
    let journal = collector.wait_lines("journal", datagrams);
    assert_eq!(journal.len(), datagrams);
    assert!(journal.iter().all(|line| line["outcome"] == "ok"), "{journal:?}");
    assert_eq!(collector.wait_lines("notif", 1).len(), count(&sent, "/notif/records"));
}

/// 1. A receiver reads a little and resets the session.
/// 2. The reset is counted and the router comes back with a new opening.
#[test]
fn a_reset_session_reconnects_and_opens_again() {
    let listener = TcpListener::bind((own_address(), 0)).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let source = own_address().to_string();
    let mut child = replay(&["bmp", "--sources", &source, "--target", &target, "--rate", "500"]);
    for _ in 0..2 {
        let (mut stream, _) = listener.accept().unwrap();
        let mut start = [0; 6];
        stream.read_exact(&mut start).unwrap();
        assert_eq!((start[0], start[5]), (3, 4), "a session begins with Initiation");
        // Closing with unread bytes resets.
        wait_for("unread bytes", || (stream.peek(&mut [0; 64]).unwrap() > 0).then_some(()));
    }
    let (mut third, _) = listener.accept().unwrap();
    // Only what it sends shows that the sender, too, knows of the connection.
    third.read_exact(&mut [0; 6]).unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    let sent: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((count(&sent, "/bmp/resets"), count(&sent, "/bmp/connects")), (2, 3), "{sent}");
}

/// A captured BMP stream arrives whole, from the address it is mapped to.
#[test]
fn a_captured_stream_is_sent_again() {
    let listener = TcpListener::bind((own_address(), 0)).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let source = own_address();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../wire/tests/fixtures/frr-bmp.pcap");
    let child = replay(&["pcap", file, "--target", &target, "--sources", &source.to_string()]);
    let (mut stream, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), source);
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    drop(stream);
    let sent = summary(child);
    assert_eq!(count(&sent, "/pcap_tcp/bytes"), bytes.len());
    assert!(bytes.len() > 5000 && bytes.starts_with(&[3]));
}

#[test]
fn a_load_that_cannot_be_sent_is_an_error_that_says_why() {
    for (args, words) in [
        (["--sources", "127.0.0.1", "--target", "[::1]:9"], "no IPv4 target"),
        (["--sources", "127.0.0.1", "--target", "nowhere"], "invalid"),
        (["--sources", "127.0.0.0/33", "--target", "127.0.0.1:9"], "at most 32 bits"),
    ] {
        let output = replay(&[&["bmp"], &args[..]].concat()).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(words), "{said}");
    }
}
