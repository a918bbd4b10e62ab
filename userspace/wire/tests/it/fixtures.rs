// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Captures of real exporters made in the lab (`tests/fixtures`, its README says how).
//!
//! The expected totals are what nfacctd and pmbmpd 1.7.8 make of the same files.

use std::path::Path;

use telesteer_wire::bmp::{self, Framing, Kind as Message, next_len};
use telesteer_wire::capture::{Item, Kind, Source};
use telesteer_wire::flow::{Arrival, Limits, Session};
use telesteer_wire::pmacct::{Key, Line, Origin, Settings, Shaper};
use telesteer_wire::tcp::Event;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/fixtures").join(name)).unwrap()
}

/// Lines, packets and bytes of the flows in a fixture, aggregated by the usual keys.
fn flows(name: &str) -> (usize, u64, u64) {
    let keys = "src_host,dst_host,src_port,dst_port,proto,tos,tcpflags,in_iface,out_iface";
    let settings = Settings { keys: Key::list(keys, &[]).unwrap(), ..Settings::default() };
    let mut shaper = Shaper::new(settings);
    let mut lines: Vec<Line> = Vec::new();
    shaper.capture(&fixture(name), &Origin::default(), &mut |line| lines.push(line)).unwrap();
    let counters = shaper.finish(&mut |line| lines.push(line));
    assert_eq!(
        (counters.flow_problems, counters.flow_refused, counters.sets_without_template),
        (0, 0, 0),
        "{counters:?}"
    );
    let sum = |name: &str| lines.iter().map(|line| line[name].as_u64().unwrap()).sum();
    (lines.len(), sum("packets"), sum("bytes"))
}

#[test]
fn softflowd_ipfix() {
    assert_eq!(flows("softflowd-ipfix.pcap"), (694, 5953, 5_742_592));
}

#[test]
fn softflowd_v9() {
    assert_eq!(flows("softflowd-v9.pcap"), (722, 6181, 5_983_722));
}

#[test]
fn pmacctd_v9() {
    assert_eq!(flows("pmacctd-v9.pcap"), (385, 1057, 222_840));
}

#[test]
fn pmacctd_ipfix() {
    let (lines, packets, bytes) = flows("pmacctd-ipfix.pcap");
    assert!(lines > 0 && packets > 0 && bytes > 0);
}

/// A collector that starts late gets the same records as one that was there from the start, once
/// it has the other's templates.
#[test]
fn templates_handed_over_lose_no_record() {
    for name in ["softflowd-ipfix.pcap", "softflowd-v9.pcap", "pmacctd-v9.pcap"] {
        let mut datagrams = Vec::new();
        Source::default()
            .read(&fixture(name), &mut |_, item| {
                if let Item::Datagram { kind: Kind::Flow, payload, .. } = item {
                    datagrams.push(payload.to_vec());
                }
            })
            .unwrap();
        let records = |session: &mut Session, datagrams: &[Vec<u8>]| {
            let mut records = Vec::new();
            for datagram in datagrams {
                let report = session.decode(datagram, Arrival::default(), &mut |record| {
                    let mut json = Vec::new();
                    record.write_json(&mut json);
                    records.push(String::from_utf8(json).unwrap());
                });
                assert!(report.unwrap().problems.is_empty());
            }
            records
        };
        let (first, second) = datagrams.split_at(datagrams.len() / 2);
        let mut donor = Session::new(Limits::default());
        records(&mut donor, first);
        let mut heir = Session::new(Limits::default());
        for domain in donor.domains() {
            heir.restore(&donor.snapshot(domain).unwrap(), 0);
        }
        let expected = records(&mut donor, second);
        assert!(!expected.is_empty(), "{name}");
        assert_eq!(records(&mut heir, second), expected, "{name}");
        assert_eq!(heir.waiting(), 0, "{name}");
    }
}

fn stream(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let summary = Source::default()
        .read(&fixture(name), &mut |_, item| {
            if let Item::Stream { event: Event::Data { offset, bytes }, .. } = item {
                assert_eq!(offset, octets.len() as u64);
                octets.extend_from_slice(bytes);
            }
        })
        .unwrap();
    assert_eq!((summary.gap_bytes, summary.cut_short), (0, false));
    octets
}

/// What a session makes of messages: how many of each kind, and how many undecoded.
fn kinds(session: &mut bmp::Session, mut octets: &[u8]) -> (Vec<Message>, usize) {
    let (mut kinds, mut undecoded) = (Vec::new(), 0);
    while let Framing::Message(len) = next_len(octets, bmp::MESSAGE_LEN_MAX) {
        let decoded = session.feed(&octets[..len]);
        undecoded += usize::from(decoded.error.is_some());
        kinds.push(decoded.kind);
        octets = &octets[len..];
    }
    assert!(octets.is_empty());
    (kinds, undecoded)
}

#[test]
fn frr_session_is_decoded_whole() {
    let octets = stream("frr-bmp.pcap");
    let (kinds, undecoded) = kinds(&mut bmp::Session::new(bmp::Limits::default()), &octets);
    let count = |wanted| kinds.iter().filter(|kind| **kind == wanted).count();
    // FRR's Loc-RIB Peer Up has OPENs without a BGP id, which is told and does no harm.
    assert_eq!(undecoded, 1);
    assert_eq!((count(Message::Initiation), count(Message::PeerUp)), (1, 2));
    assert_eq!((count(Message::PeerDown), count(Message::Raw)), (1, 0));
}

/// The lines pmbmpd logs for the same session, and the two last of the 60 routes of the first
/// table, which it leaves out.
#[test]
fn frr_session_as_lines() {
    let mut lines: Vec<Line> = Vec::new();
    let mut shaper = Shaper::new(Settings::default());
    let file = fixture("frr-bmp.pcap");
    shaper.capture(&file, &Origin::default(), &mut |line| lines.push(line)).unwrap();
    let of = |kind: &str| {
        lines.iter().filter(|line| line.get("bmp_msg_type").is_some_and(|k| k == kind)).count()
    };
    assert_eq!((of("init"), of("peer_up"), of("stats"), of("peer_down")), (1, 2, 9, 1));
    let updates = lines.iter().filter(|line| line.get("log_type").is_some_and(|k| k == "update"));
    let first: Vec<&Line> = updates.collect();
    assert_eq!(first.len(), 105 + 2);
    assert_eq!(first[0]["ip_prefix"], "16.0.0.0/24");
    assert_eq!(first[0]["as_path"], serde_json::json!(["65000", "65001", "64600", "65100"]));
    assert_eq!(first[0]["bgp_nexthop"], "10.10.0.2");
}

/// Taken over in the middle, the session goes on as if nothing had happened; without the context
/// the peer is unknown.
#[test]
fn frr_session_goes_on_with_an_heir() {
    let octets = stream("frr-bmp.pcap");
    let mut cuts = Vec::new();
    let mut at = 0;
    while let Framing::Message(len) = next_len(&octets[at..], bmp::MESSAGE_LEN_MAX) {
        at += len;
        cuts.push(at);
    }
    let cut = cuts[cuts.len() / 2];
    let mut donor = bmp::Session::new(bmp::Limits::default());
    kinds(&mut donor, &octets[..cut]);
    let mut heir = bmp::Session::restore(bmp::Limits::default(), &donor.context());
    assert_eq!(heir.peers(), donor.peers());
    assert!(heir.peers() > 0);
    assert_eq!(kinds(&mut heir, &octets[cut..]), kinds(&mut donor, &octets[cut..]));
}
