// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files and frames built here.

use etherparse::PacketBuilder;

use super::*;

/// A classic pcap file in either byte order and resolution.
fn classic(big_endian: bool, nano: bool, link: u32, frames: &[&[u8]]) -> Vec<u8> {
    let word = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut file = word(if nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }).to_vec();
    file.extend(half(2));
    file.extend(half(4));
    for value in [0, 0, 65535, link] {
        file.extend(word(value));
    }
    for (index, frame) in frames.iter().enumerate() {
        for value in [100, index as u32, frame.len() as u32, frame.len() as u32] {
            file.extend(word(value));
        }
        file.extend_from_slice(frame);
    }
    file
}

/// A pcapng file: section, one interface counting in nanoseconds, enhanced packets.
fn next_generation(link: u16, frames: &[&[u8]]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let len = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &len, body, &len].concat()
    };
    let mut section = 0x1a2b_3c4du32.to_le_bytes().to_vec();
    section.extend_from_slice(&[1, 0, 0, 0]);
    section.extend_from_slice(&[0xff; 8]);
    let mut interface = link.to_le_bytes().to_vec();
    interface.extend_from_slice(&[0, 0, 0, 0, 4, 0]);
    interface.extend_from_slice(&[9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]); // if_tsresol 10^-9
    let mut file = block(0x0a0d_0d0a, &section);
    file.extend(block(1, &interface));
    for frame in frames {
        let time = 100_000_000_007u64;
        let mut body = vec![0; 4];
        body.extend_from_slice(&((time >> 32) as u32).to_le_bytes());
        body.extend_from_slice(&(time as u32).to_le_bytes());
        body.extend_from_slice(&(frame.len() as u32).to_le_bytes().repeat(2));
        body.extend_from_slice(frame);
        body.resize(body.len().next_multiple_of(4), 0);
        file.extend(block(6, &body));
    }
    file
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .udp(4739, 2055)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

/// Times and UDP payloads of a file.
fn payloads(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut reader = Reader::new(file).unwrap();
    let mut found = Vec::new();
    while let Some(packet) = reader.next_packet().unwrap() {
        match dissect(&packet) {
            Some(Transport::Udp { payload, .. }) => found.push((packet.time_ns, payload.to_vec())),
            other => panic!("{other:?}"),
        }
    }
    found
}

#[test]
fn every_file_format_says_the_same() {
    let (one, two) = (udp(b"one"), udp(b"two"));
    let frames: [&[u8]; 2] = [&one, &two];
    for big_endian in [false, true] {
        let micro = payloads(&classic(big_endian, false, 1, &frames));
        assert_eq!(micro[1], (100_000_001_000, b"two".to_vec()));
        let nano = payloads(&classic(big_endian, true, 1, &frames));
        assert_eq!(nano[1], (100_000_000_001, b"two".to_vec()));
    }
    let found = payloads(&next_generation(1, &frames));
    assert_eq!(found[0], (100_000_000_007, b"one".to_vec()));
    assert_eq!(found.len(), 2);
}

#[test]
fn every_link_layer_leads_to_the_payload() {
    let ethernet = udp(b"data");
    let ip = &ethernet[14..];
    let tagged = [&ethernet[..12], &[0x81, 0, 0, 7], &ethernet[12..]].concat();
    let sll = [&[0; 14][..], &[8, 0], ip].concat();
    let sll2 = [&[8, 0][..], &[0; 18], ip].concat();
    let null = [&[2, 0, 0, 0][..], ip].concat();
    for (link, frame) in [
        (1, ethernet.as_slice()),
        (1, &tagged),
        (101, ip),
        (228, ip),
        (113, &sll),
        (276, &sll2),
        (0, &null),
    ] {
        assert_eq!(payloads(&classic(false, false, link, &[frame]))[0].1, b"data", "{link}");
    }
    let mut v6 = Vec::new();
    PacketBuilder::ipv6([0x20; 16], [0x21; 16], 64).udp(1, 2).write(&mut v6, b"six").unwrap();
    assert_eq!(payloads(&classic(false, false, 101, &[&v6]))[0].1, b"six");
}

#[test]
fn fragments_are_put_together_in_any_order() {
    let whole = udp(&[7; 100]);
    let (head, body) = (&whole[14..34], &whole[34..]);
    let fragment = |offset: u16, more: bool, part: &[u8]| {
        let mut ip = head.to_vec();
        ip[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
        ip[6..8].copy_from_slice(&((u16::from(more) << 13) | (offset / 8)).to_be_bytes());
        ip.extend_from_slice(part);
        ip
    };
    let parts = [fragment(64, false, &body[64..]), fragment(0, true, &body[..64])];
    let mut dissector = Dissector::default();
    let packet = |data| Packet { time_ns: 0, link: 101, wire_len: 0, data };
    assert!(dissector.push(&packet(&parts[0])).is_none());
    match dissector.push(&packet(&parts[1])) {
        Some(Transport::Udp { payload, from, .. }) => {
            assert_eq!((payload, from.port()), (&[7; 100][..], 4739));
        }
        other => panic!("{other:?}"),
    }
}

/// A frame as a mirror ships it: cut after its headers.
#[test]
fn headers_tell_of_packets_that_were_cut() {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .tcp(5000, 2811, 7, 100)
        .fin()
        .write(&mut frame, &[0; 1400])
        .unwrap();
    let tagged = [&frame[..12], &[0x81, 0, 0, 7], &frame[12..]].concat();
    let told = |link, data: &[u8], wire_len| {
        let packet = Packet { time_ns: 0, link, wire_len, data };
        headers(&packet).map(|h| (h.proto, h.src_port, h.dst_port, h.octets, h.ends))
    };
    let cut = Some((6, 5000, 2811, 1440, true));
    assert_eq!(told(1, &frame[..54], 1454), cut);
    assert_eq!(told(1, &tagged[..58], 1458), cut);
    assert_eq!(told(101, &frame[14..54], 1440), cut);
    // So short that the flags are missing, and the ports.
    assert_eq!(told(1, &frame[..46], 1454), Some((6, 5000, 2811, 1440, false)));
    assert_eq!(told(1, &frame[..36], 1454), Some((6, 0, 0, 1440, false)));
    assert_eq!(told(1, &frame[..20], 1454), None);
    // Segments put together by the card: no length in the header.
    let mut joined = frame.clone();
    joined[16..18].fill(0);
    assert_eq!(told(1, &joined[..54], 70_014).map(|told| told.3), Some(70_000));
    // A fragment behind the first has no ports.
    let mut fragment = frame.clone();
    fragment[20..22].copy_from_slice(&100u16.to_be_bytes());
    assert_eq!(told(1, &fragment[..54], 1454), Some((6, 0, 0, 1440, false)));
    let mut v6 = Vec::new();
    PacketBuilder::ipv6([0x20; 16], [0x21; 16], 64).udp(1, 2).write(&mut v6, b"six").unwrap();
    assert_eq!(told(101, &v6, 51), Some((17, 1, 2, 51, false)));
}

/// A pipe may give a capture octet by octet, once the file's header is there.
#[test]
fn a_slow_pipe_is_no_end() {
    struct Slow<'f>(&'f [u8], usize);
    impl std::io::Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(into.len()).min(self.0.len());
            into[..count].copy_from_slice(&self.0[..count]);
            (self.0, self.1) = (&self.0[count..], 1);
            Ok(count)
        }
    }
    let (one, two) = (udp(b"one"), udp(b"two"));
    let frames: [&[u8]; 2] = [&one, &two];
    for file in [classic(false, false, 1, &frames), next_generation(1, &frames)] {
        // Whatever the first call gives: what tells the format is read whole.
        for first in [1, 4, 23, 60] {
            let mut reader = Reader::of(Slow(&file, first)).unwrap();
            assert!(reader.next_packet().unwrap().is_some());
            assert!(reader.next_packet().unwrap().is_some());
            assert!(reader.next_packet().unwrap().is_none());
        }
        for short in 0..24 {
            let error = Reader::of(Slow(&file[..short], 3)).err();
            assert_eq!(error, Some(Error::NotACapture), "{short} octets");
        }
        let mut torn = Reader::of(Slow(&file[..file.len() - 5], 60)).unwrap();
        assert!(torn.next_packet().unwrap().is_some());
        assert_eq!(torn.next_packet().unwrap_err(), Error::Truncated { packets: 1 });
    }
}

#[test]
fn files_that_end_early_are_read_as_far_as_they_go() {
    let frame = udp(b"one");
    let file = classic(false, false, 1, &[&frame, &frame]);
    let mut reader = Reader::new(&file[..file.len() - 5]).unwrap();
    assert!(reader.next_packet().unwrap().is_some());
    assert_eq!(reader.next_packet().unwrap_err(), Error::Truncated { packets: 1 });
    assert_eq!(
        Reader::new(b"not a capture at all, but long enough").err(),
        Some(Error::NotACapture)
    );
    assert_eq!(Reader::new(&[]).err(), Some(Error::NotACapture));
}

proptest::proptest! {
    #[test]
    fn arbitrary_frames_are_survived(
        link in proptest::prop_oneof![
            proptest::prelude::Just(0), proptest::prelude::Just(1), proptest::prelude::Just(101),
            proptest::prelude::Just(113), proptest::prelude::Just(276)],
        data in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120),
    ) {
        let packet = Packet { time_ns: 0, link, wire_len: 0, data: &data };
        let _ = Dissector::default().push(&packet);
        let _ = headers(&packet);
    }

    #[test]
    fn arbitrary_files_are_survived(
        mut file in proptest::collection::vec(proptest::prelude::any::<u8>(), 24..300),
        magic in proptest::prop_oneof![
            proptest::prelude::Just(0xa1b2_c3d4u32), proptest::prelude::Just(0x0a0d_0d0a)],
    ) {
        file[..4].copy_from_slice(&magic.to_le_bytes());
        if let Ok(mut reader) = Reader::new(&file) {
            while let Ok(Some(_)) = reader.next_packet() {}
        }
    }
}
