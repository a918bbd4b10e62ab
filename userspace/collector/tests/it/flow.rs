// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Datagrams: records, the journal, templates that outlive a collector, UDP-notif.

use serde_json::json;

use crate::{
    collector::{Collector, Start, own_address, wait_for},
    messages::{data, ipfix, notif, template},
};

#[test]
fn records_and_journal() {
    let collector = Collector::start(&[]);
    let exporter = collector.exporter(4739);
    exporter.send(&ipfix(5, 0, &[template(256), data(256, &[11, 12])])).unwrap();
    let lines = collector.wait_lines("flow", 2);
    assert_eq!(
        lines[1]["fields"],
        json!({"sourceIPv4Address": "198.51.100.7", "octetDeltaCount": 12})
    );
    assert_eq!((&lines[1]["domain"], &lines[1]["record"]), (&5.into(), &1.into()));
    assert_eq!((&lines[1]["version"], &lines[1]["template"]), (&10.into(), &256.into()));
    let port = exporter.local_addr().unwrap().port();
    assert_eq!((&lines[1]["port"], &lines[1]["local_port"]), (&port.into(), &4739.into()));
    let journal = &collector.wait_lines("journal", 1)[0];
    assert_eq!((&journal["kind"], &journal["outcome"]), (&"ipfix".into(), &"ok".into()));
    assert_eq!(journal["records"], 2);
}

#[test]
fn what_is_no_flow_datagram_is_kept_raw() {
    let collector = Collector::start(&[]);
    collector.exporter(2055).send(&[0, 5, 0, 1, 9, 9]).unwrap();
    let line = &collector.wait_lines("flow", 1)[0];
    assert_eq!((&line["type"], &line["raw"]), (&"flow_raw".into(), &"000500010909".into()));
    assert_eq!(line["reason"], "unknown_version");
    let journal = &collector.wait_lines("journal", 1)[0];
    assert_eq!(journal["outcome"], "undecodable:unknown_version");
}

#[test]
fn data_before_its_template_is_decoded_late() {
    let collector = Collector::start(&[]);
    let exporter = collector.exporter(4739);
    exporter.send(&ipfix(5, 0, &[data(300, &[1, 2, 3])])).unwrap();
    let first = collector.wait_lines("journal", 1).remove(0);
    assert_eq!((&first["outcome"], &first["records"]), (&"waiting_template".into(), &0.into()));
    exporter.send(&ipfix(5, 3, &[template(300)])).unwrap();
    assert_eq!(collector.wait_lines("flow", 3).len(), 3);
    let late =
        collector.wait_lines("journal", 3).into_iter().find(|l| l["type"] == "late").unwrap();
    assert_eq!((&late["fnv"], &late["records"]), (&first["fnv"], &3.into()));
    assert_eq!(late["port"], first["port"]);
}

/// 1. A collector learns a template and is killed without a word.
/// 2. Its sibling gets data of the same exporter and decodes it from the shared store.
/// 3. Broken twin: a sibling with another store does not know the template.
#[test]
fn templates_outlive_the_collector_that_heard_them() {
    let store = tempfile::tempdir().unwrap();
    let addr = own_address();
    let mut first = Start { addr, state: Some(store.path().to_owned()), ..Start::new(&[]) }.run();
    let exporter = first.exporter(4739);
    exporter.send(&ipfix(7, 0, &[template(400), data(400, &[1])])).unwrap();
    first.wait_lines("flow", 1);
    first.kill();

    let heir = Start { addr, instance: 2, state: Some(store.path().to_owned()), ..Start::new(&[]) };
    let mut heir = heir.run();
    exporter.send(&ipfix(7, 1, &[data(400, &[2])])).unwrap();
    let line = heir.wait_lines("flow", 1).remove(0);
    assert_eq!(line["fields"]["octetDeltaCount"], 2);
    assert_eq!(heir.counter("templates_restored"), 1);
    assert_eq!(heir.counter("flow_sequence_lost"), 0, "what the first one read is not lost");
    heir.kill();

    let stranger = Start { addr, instance: 3, ..Start::new(&[]) }.run();
    exporter.send(&ipfix(7, 2, &[data(400, &[3])])).unwrap();
    assert_eq!(stranger.wait_lines("journal", 1)[0]["outcome"], "waiting_template");
    assert_eq!(stranger.counter("templates_restored"), 0);
}

#[test]
fn sequence_gaps_are_counted() {
    let collector = Collector::start(&[]);
    let exporter = collector.exporter(4739);
    exporter.send(&ipfix(1, 0, &[template(256), data(256, &[1, 2])])).unwrap();
    exporter.send(&ipfix(1, 7, &[data(256, &[1])])).unwrap();
    collector.wait_counter("flow_records", 3);
    assert_eq!(collector.counter("flow_sequence_lost"), 5);
    assert_eq!(collector.counter("flow_sequence_gaps"), 1);
}

#[test]
fn notifications_whole_and_in_segments() {
    let collector = Collector::start(&[]);
    let exporter = collector.exporter(10003);
    exporter.send(&notif(1, None, b"{\"a\":1}")).unwrap();
    exporter.send(&notif(2, Some((1, true)), b"2}")).unwrap();
    exporter.send(&notif(2, Some((0, false)), b"{\"b\":")).unwrap();
    exporter.send(&notif(3, None, b"not json")).unwrap();
    exporter.send(b"\x21\x0c").unwrap();
    let lines = collector.wait_lines("notif", 4);
    assert_eq!((&lines[0]["payload"], &lines[0]["publisher"]), (&json!({"a": 1}), &7.into()));
    assert_eq!((&lines[1]["payload"], &lines[1]["segments"]), (&json!({"b": 2}), &2.into()));
    assert_eq!(
        (&lines[2]["payload"], &lines[2]["raw"]),
        (&json!(null), &"6e6f74206a736f6e".into())
    );
    assert_eq!(
        (&lines[3]["type"], &lines[3]["reason"]),
        (&"notif_raw".into(), &"too_short".into())
    );
    assert_eq!(collector.wait_lines("journal", 5).len(), 5);
}

/// Everything that arrived before SIGTERM is in the output after the end.
#[test]
fn drain_reads_the_sockets_empty() {
    let mut collector = Collector::start(&[]);
    let exporter = collector.exporter(4739);
    exporter.send(&ipfix(1, 0, &[template(256)])).unwrap();
    for n in 0..2000 {
        exporter.send(&ipfix(1, n, &[data(256, &[1])])).unwrap();
    }
    assert_eq!(collector.terminate(), Some(0));
    assert_eq!(collector.lines("flow").len(), 2000);
    assert_eq!(collector.lines("journal").len(), 2001);
}

/// Datagrams the kernel had no room for are counted at the socket.
#[test]
fn kernel_drops_are_counted() {
    let collector = Collector::start(&["--rcvbuf", "4096"]);
    let exporter = collector.exporter(4739);
    let large = ipfix(1, 0, &[template(256), data(256, &[1; 100])]);
    wait_for("a drop", || {
        for _ in 0..200 {
            exporter.send(&large).unwrap();
        }
        let metrics = collector.get("/metrics");
        let drops = metrics.lines().filter(|line| line.contains("socket_kernel_drops_total{"));
        drops.into_iter().any(|line| !line.ends_with(" 0")).then_some(())
    });
}
