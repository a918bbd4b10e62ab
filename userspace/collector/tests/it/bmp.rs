// SPDX-License-Identifier: Apache-2.0 OR MIT
//! BMP sessions: splits, garbage, long messages, ends, the drain.

use std::io::{Read, Write};

use serde_json::Value;

use crate::{
    collector::{Collector, Start, wait_for},
    messages::{bmp, initiation, peer_up, route},
};

/// Offset, length, kind and error of each line of one session, in stream order.
fn shape(lines: &[Value], session: &str) -> Vec<(u64, u64, String, String)> {
    let mut shape: Vec<_> = lines
        .iter()
        .filter(|line| line["session"] == session)
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or("").to_owned();
            let number = |key: &str| line[key].as_u64().unwrap();
            (number("offset"), number("len"), text("kind"), text("error"))
        })
        .collect();
    shape.sort();
    shape
}

fn sessions(collector: &Collector) -> Vec<String> {
    let accepts = collector.lines("events").into_iter().filter(|line| line["event"] == "accept");
    accepts.map(|line| line["session"].as_str().unwrap().to_owned()).collect()
}

/// 1. For every position in a stream of four messages, a session that sends up to there.
/// 2. Every message that is whole by then is written, and no other.
/// 3. The rest is sent; every session has the same four messages.
#[test]
fn split_at_every_byte() {
    let collector = Collector::start(&["--raw"]);
    let messages = [initiation("r1"), peer_up(1), route(1, 1), route(1, 2)];
    let stream = messages.concat();
    let ends: Vec<usize> = messages
        .iter()
        .scan(0, |at, message| {
            *at += message.len();
            Some(*at)
        })
        .collect();
    let mut whole = 0;
    let mut open: Vec<_> = (1..stream.len())
        .map(|at| {
            let mut session = collector.connect();
            session.write_all(&stream[..at]).unwrap();
            whole += ends.iter().filter(|end| **end <= at).count();
            (at, session)
        })
        .collect();
    let lines = collector.wait_lines("bmp", whole);
    assert_eq!(lines.len(), whole, "a message was written before it was whole");
    for (at, session) in &mut open {
        session.write_all(&stream[*at..]).unwrap();
    }
    let lines = collector.wait_lines("bmp", open.len() * messages.len());
    let all = sessions(&collector);
    assert_eq!(all.len(), open.len());
    let kinds = ["initiation", "peer_up", "route_monitoring", "route_monitoring"];
    let mut at = 0;
    let want: Vec<_> = messages
        .iter()
        .zip(kinds)
        .map(|(message, kind)| {
            at += message.len();
            let offset = (at - message.len()) as u64;
            (offset, message.len() as u64, kind.to_owned(), String::new())
        })
        .collect();
    for session in all {
        assert_eq!(shape(&lines, &session), want);
    }
    let raw = lines.iter().find(|line| line["kind"] == "initiation").unwrap()["raw"].clone();
    assert_eq!(raw.as_str().unwrap().len(), 2 * messages[0].len());
}

/// Something else than BMP is kept raw and counted, and does not hurt the messages after it.
#[test]
fn garbage_is_kept_and_the_session_goes_on() {
    let collector = Collector::start(&[]);
    let noise = b"GET / HTTP/1.1\r\n\r\n";
    let mut session = collector.connect();
    session.write_all(&[noise.to_vec(), initiation("after")].concat()).unwrap();
    let lines = collector.wait_lines("bmp", 2);
    assert_eq!((&lines[0]["kind"], &lines[0]["error"]), (&"raw".into(), &"bad_version".into()));
    assert_eq!(lines[0]["len"], noise.len());
    assert_eq!(&lines[0]["raw"].as_str().unwrap()[..6], "474554");
    assert_eq!(
        (&lines[1]["kind"], &lines[1]["offset"]),
        (&"initiation".into(), &noise.len().into())
    );
    assert!(
        collector.get("/metrics").contains("bmp_undecodable_total{reason=\"bad_version\"} 1\n")
    );
}

/// A peer that only ever sends noise is cut off after a bounded amount of it.
#[test]
fn endless_noise_ends_the_session() {
    let collector = Collector::start(&[]);
    let mut session = collector.connect();
    let noise = vec![b'x'; 64 << 10];
    for _ in 0..1000 {
        if session.write_all(&noise).is_err() {
            break;
        }
    }
    wait_for("the close event", || {
        let events = collector.lines("events");
        events
            .iter()
            .any(|line| line["event"] == "close" && line["reason"] == "noise")
            .then_some(())
    });
    // The next router is served.
    collector.connect().write_all(&initiation("next")).unwrap();
    wait_for("the next session", || {
        collector.lines("bmp").iter().any(|line| line["kind"] == "initiation").then_some(())
    });
}

/// 1. A message over the cap comes in two halves, then a normal one.
/// 2. It is kept raw in pieces, counted, and the stream is in step again behind it.
#[test]
fn a_message_over_the_cap_is_kept_raw() {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "[limits]\nbmp-message = 4096\n").unwrap();
    let collector = Collector::start(&["--config", config.path().to_str().unwrap()]);
    let long = bmp(0, &vec![7; 300_000]);
    let mut session = collector.connect();
    session.write_all(&long[..200]).unwrap();
    collector.wait_counter("bmp_raw_bytes", 200);
    session.write_all(&[&long[200..], &initiation("after")[..]].concat()).unwrap();
    let lines = wait_for("the message behind", || {
        let lines = collector.lines("bmp");
        lines.iter().any(|line| line["kind"] == "initiation").then_some(lines)
    });
    let (pieces, rest): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["kind"] == "raw");
    assert!(pieces.iter().all(|line| line["error"] == "oversize"), "{pieces:?}");
    let raw: String = pieces.iter().map(|line| line["raw"].as_str().unwrap()).collect();
    assert_eq!(raw.len(), 2 * long.len());
    assert_eq!((rest.len(), &rest[0]["offset"]), (1, &long.len().into()));
}

/// A length that lies: the window would shut on a message that never gets whole, and the peer would
/// wait for ever. It is given up after the stall time, byte by byte kept, and the session lives.
#[test]
fn a_lying_length_does_not_stop_the_session() {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "[limits]\nbmp-stall = 1\n").unwrap();
    let collector = Collector::start(&["--config", config.path().to_str().unwrap()]);
    let mut session = collector.connect();
    let mut lie = bmp(0, &[7; 94]);
    lie[1..5].copy_from_slice(&5000_u32.to_be_bytes());
    session.write_all(&lie).unwrap();
    let first = collector.wait_lines("bmp", 1);
    assert_eq!((&first[0]["error"], &first[0]["len"]), (&"stalled".into(), &100.into()));
    // What the length promised is raw too; then messages again.
    session.write_all(&[vec![7; 4900], initiation("after")].concat()).unwrap();
    wait_for("the message behind", || {
        collector.lines("bmp").iter().any(|line| line["kind"] == "initiation").then_some(())
    });
}

/// The unfinished message at the end of a stream is kept raw.
#[test]
fn a_truncated_last_message_is_kept_raw() {
    let collector = Collector::start(&[]);
    let mut session = collector.connect();
    let whole = initiation("r");
    session.write_all(&[&whole[..], &route(1, 1)[..20]].concat()).unwrap();
    drop(session);
    let lines = collector.wait_lines("bmp", 2);
    assert_eq!((&lines[1]["error"], &lines[1]["len"]), (&"truncated".into(), &20.into()));
    wait_for("the close event", || {
        let events = collector.lines("events");
        events.iter().any(|line| line["event"] == "close" && line["reason"] == "eof").then_some(())
    });
    assert_eq!(collector.counter("sessions_ended"), 1);
}

/// 1. Sessions with whole messages and a part of one are open.
/// 2. SIGTERM: exit code 0, every whole message written, events in order, nothing torn.
#[test]
fn drain_writes_what_is_whole() {
    let mut collector = Start::new(&["--raw"]).run();
    let mut open: Vec<_> = (0..20).map(|_| collector.connect()).collect();
    for session in &mut open {
        let part = &route(1, 9)[..30];
        session.write_all(&[&initiation("r"), &peer_up(1), &route(1, 1), part].concat()).unwrap();
    }
    wait_for("all sessions are accepted", || {
        (collector.counter("sessions_accepted") == 20).then_some(())
    });
    assert_eq!(collector.terminate(), Some(0));
    assert_eq!(collector.lines("bmp").len(), 60);
    let events = collector.lines("events");
    let names: Vec<&str> = events.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(names[0], "start");
    assert_eq!(names[names.len() - 2..], ["drain_end", "stop"]);
    assert_eq!(names.iter().filter(|name| **name == "close").count(), 20);
    for session in &mut open {
        // Ended one way or the other.
        let mut rest = Vec::new();
        let _ = session.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
}
