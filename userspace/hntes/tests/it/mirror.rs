// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Packets of a header mirror: a capture of headers in, events out.

use crate::online::{brief, counter, events, lines_of, online, spawn};
use crate::program::said;
use serde_json::Value;
use std::io::Read;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// Octets of the IP packets.
const PACKET: u16 = 1000;

/// A capture of IP packets, cut after the TCP header: (milliseconds, source port, flags).
fn capture(packets: &[(u32, u16, u8)]) -> Vec<u8> {
    let mut file = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
    file.extend([2, 0, 4, 0]);
    // Zone, accuracy, snap length, raw IP.
    for word in [0, 0, 96, 101_u32] {
        file.extend(word.to_le_bytes());
    }
    for (ms, port, flags) in packets {
        let mut packet = vec![0x45, 0];
        packet.extend(PACKET.to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 7, 198, 51, 100, 9]);
        packet.extend(port.to_be_bytes());
        packet.extend(2811_u16.to_be_bytes());
        packet.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, *flags, 0, 0, 0, 0, 0, 0]);
        let cut = packet.len() as u32;
        for word in [ms / 1000, ms % 1000 * 1000, cut, u32::from(PACKET)] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

/// 20 packets a second from `from` to `until`, in seconds.
fn stream(port: u16, from: u32, until: u32) -> Vec<(u32, u16, u8)> {
    (from * 20..until * 20).map(|n| (n * 50, port, 0x10)).collect()
}

/// 1. 20 packets of 1000 octets a second are 1.2 MB in T = 60 s: above H = 600 kB after 30 s, below
///    2 MB for good.
/// 2. A FIN ends the flow at once, silence after T and a slot.
/// 3. The early rule names the first flow after a second.
#[test]
fn headers_are_enough() {
    let mut packets = [stream(1, 0, 50), stream(2, 10, 50)].concat();
    packets.push((50_000, 1, 0x11));
    packets.extend(stream(3, 120, 121));
    packets.sort_unstable();
    let args = ["--pcap", "--h", "600000", "--json", "-"];
    let output = online(&args, &capture(&packets));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let found = events(&output);
    let expected = [("alpha", 30, 1), ("alpha", 40, 2), ("ended", 50, 1), ("ended", 49, 2)];
    assert_eq!(brief(&found), expected);
    assert_eq!((&found[2]["reason"], &found[3]["reason"]), (&"fin".into(), &"idle".into()));
    // 600 packets are H, and the one above comes within a slot that the window has whole.
    assert_eq!(found[0]["window_bytes"], 601_000);
    assert_eq!(counter(&output, "online", "reports"), packets.len());
    let silent = online(&["--pcap", "--h", "2000000", "-"], &capture(&packets));
    assert!(events(&silent).is_empty());
    let early = online(&["--pcap", "--h", "600000", "--early", "2", "-"], &capture(&packets));
    assert_eq!(brief(&events(&early))[0], ("early", 1, 1));
}

/// A capture that breaks off is read as far as it goes: exit 1.
#[test]
fn a_torn_capture_is_done_in_part() {
    let whole = capture(&stream(1, 0, 31));
    let output = online(&["--pcap", "--h", "600000"], &whole[..whole.len() - 5]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(brief(&events(&output)), [("alpha", 30, 1), ("ended", 30, 1)]);
    assert!(said(&output).contains("ends inside a block"), "{}", said(&output));
}

/// 1. Datagrams over loopback are a flow at its interface, seen once each: with 28 octets of headers
///    200 of them are above H, and half as many are not.
/// 2. SIGTERM ends it.
#[test]
fn an_interface_is_a_mirror() {
    let mut child = spawn(&["--interface", "lo", "--h", "200000", "--json"]);
    let lines = lines_of(&mut child);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = sink.local_addr().unwrap().port();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut sent = 0;
    // It takes a while until somebody listens.
    let alpha = loop {
        if let Some(status) = child.try_wait().unwrap() {
            let mut talk = String::new();
            child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
            assert_eq!(status.code(), Some(2), "{talk}");
            assert!(talk.contains("--interface lo"), "{talk}");
            println!("skipped: {talk}");
            // Our own guest lets root read every interface.
            assert!(std::env::var_os("TELESTEER_GUEST").is_none(), "{talk}");
            return;
        }
        socket.send_to(&[0; 972], ("127.0.0.1", port)).unwrap();
        sent += 1;
        match lines.recv_timeout(Duration::from_millis(5)) {
            Ok(line) => {
                let event: Value = serde_json::from_str(&line).unwrap();
                if event["dst_port"] == port {
                    break event;
                }
            }
            Err(RecvTimeoutError::Timeout) => assert!(Instant::now() < deadline),
            Err(RecvTimeoutError::Disconnected) => {}
        }
    };
    assert_eq!((&alpha["event"], &alpha["src"]), (&"alpha".into(), &"127.0.0.1".into()));
    assert_eq!(alpha["window_bytes"], 201_000);
    assert!(sent > 200, "on loopback each goes out and comes in: {sent}");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let mut talk = String::new();
    child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{talk}");
    let none = online(&["--interface", "none0"], b"");
    assert_eq!(none.status.code(), Some(2));
    assert!(said(&none).contains("--interface none0"), "{}", said(&none));
}
