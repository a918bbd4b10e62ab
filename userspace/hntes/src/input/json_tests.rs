// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Lines as programs write them.

use super::*;

fn read(text: &str) -> Record {
    match line(text, &Assume::default()) {
        Ok(Line::Record(record)) => record,
        Ok(_) => panic!("no record: {text}"),
        Err(reason) => panic!("{reason}: {text}"),
    }
}

#[test]
fn three_writers_one_record() {
    let pmacct = read(
        r#"{"event_type":"purge","peer_ip_src":"10.0.0.1","peer_ip_dst":"10.0.1.1","iface_in":1,
        "iface_out":2,"ip_src":"192.0.2.7","ip_dst":"198.51.100.1","port_src":5,"port_dst":2811,
        "ip_proto":"tcp","tos":8,"timestamp_start":"2011-05-01 00:00:01.500000",
        "timestamp_end":"2011-05-01 00:00:02.000000","packets":3,"bytes":999,
        "sampling_rate":10}"#,
    );
    let goflow2 = read(
        r#"{"type":"IPFIX","sampler_address":"10.0.0.1","bgp_next_hop":"10.0.1.1","in_if":1,
        "out_if":2,"src_addr":"192.0.2.7","dst_addr":"198.51.100.1","src_port":5,
        "dst_port":2811,"proto":"TCP","ip_tos":8,"time_flow_start_ns":1304208001500000000,
        "time_flow_end_ns":1304208002000000000,"packets":3,"bytes":999,"sampling_rate":10}"#,
    );
    let telesteer = read(
        r#"{"type":"flow","instance":1,"exporter":"10.0.0.1","sampling_interval":10,"fields":{
        "sourceIPv4Address":"192.0.2.7","destinationIPv4Address":"198.51.100.1",
        "sourceTransportPort":5,"destinationTransportPort":2811,"protocolIdentifier":6,
        "ipClassOfService":8,"flowStartMilliseconds":1304208001500,
        "flowEndMilliseconds":1304208002000,"packetDeltaCount":3,"octetDeltaCount":999,
        "ingressInterface":1,"egressInterface":2,"bgpNextHopIPv4Address":"10.0.1.1"}}"#,
    );
    assert_eq!(pmacct, goflow2);
    assert_eq!(pmacct, telesteer);
    assert_eq!(pmacct.sampling, Sampling::one_in(10));
}

/// goflow2 by default (fields of its mapping.yaml, in that order): names of five protocols, sampling 0
/// where nobody told it, `0.0.0.0/0` and `unknown` for what is not known. Times of arrival are rendered;
/// those of flows are if somebody asks for it.
#[test]
fn goflow2_by_default() {
    let text = r#"{"type":"NETFLOW_V9","time_received_ns":"2011-05-01T00:00:05.123456789Z","sequence_num":7,
        "sampling_rate":0,"flow_direction":0,"sampler_address":"10.0.0.1",
        "time_flow_start_ns":1304208001500000000,"time_flow_end_ns":1304208002000000000,"bytes":999,
        "packets":3,"src_addr":"2001:db8::7","src_net":"::/0","dst_addr":"2001:db8::1","dst_net":"::/0",
        "etype":"IPv6","proto":"ICMPv6","src_port":0,"dst_port":0,"in_if":1,"out_if":2,
        "src_mac":"00:00:00:00:00:00","dst_mac":"00:00:00:00:00:00","icmp_name":"unknown"}"#;
    let plain = read(text);
    assert_eq!((plain.key.proto, plain.key.src_port, plain.octets), (58, 0, 999));
    assert_eq!((plain.first, plain.last), (1_304_208_001_500_000_000, 1_304_208_002_000_000_000));
    assert_eq!((plain.exporter.to_string().as_str(), plain.sampling), ("10.0.0.1", None));
    let rendered = text
        .replace("1304208001500000000", r#""2011-05-01T00:00:01.5Z""#)
        .replace("1304208002000000000", r#""2011-05-01T00:00:02Z""#);
    assert_eq!(read(&rendered), plain);
    let wrong = text.replace("1304208001500000000", r#""2011-05-01T00:00""#);
    let wrong = line(&wrong, &Assume::default());
    assert!(wrong.is_err_and(|reason| reason == "bad time_flow_start_ns"));
    // It has no name for GRE.
    let gre = line(&text.replace("ICMPv6", ""), &Assume::default());
    assert!(gre.is_err_and(|reason| reason == "bad protocol"));
}

/// NetFlow v9 has uptimes in its fields; the line has what they mean.
#[test]
fn times_of_the_line_come_first() {
    let text = r#"{"type":"flow","exporter":"10.0.0.1","start_ns":5000000000,"end_ns":6000000001,
        "fields":{"sourceIPv4Address":"192.0.2.7","destinationIPv4Address":"198.51.100.1",
        "protocolIdentifier":6,"flowStartSysUpTime":7,"flowEndSysUpTime":8,
        "flowStartSeconds":9,"octetDeltaCount":999}}"#;
    let read = read(text);
    assert_eq!((read.first, read.last), (5_000_000_000, 6_000_000_001));
    let without = text.replace("start_ns", "x").replace("end_ns", "y");
    assert!(line(&without, &Assume::default()).is_err_and(|reason| reason == "bad flowEnd"));
}

#[test]
fn what_is_no_record() {
    let outcome = |text: &str| line(text, &Assume::default());
    assert!(matches!(outcome(r#"{"event_type":"purge_init"}"#), Ok(Line::Skip)));
    assert!(matches!(outcome(r#"{"type":"flow","fields":{"samplerId":1}}"#), Ok(Line::Skip)));
    assert!(outcome("[1]").is_err());
    assert!(outcome(r#"{"ip_src":"192.0.2.7""#).is_err());
    assert!(outcome(r#"{"a":1}"#).is_err());
}

const TELESTEER: &str = r#"{"type":"flow","exporter":"10.0.0.1","start_ns":5,"end_ns":6,"fields":{
    "sourceIPv4Address":"192.0.2.7","destinationIPv4Address":"198.51.100.1",
    "protocolIdentifier":6,"octetDeltaCount":999,"x":0}}"#;

fn sampling(fields: &str) -> Result<Option<(u32, u32)>, String> {
    match line(&TELESTEER.replace(r#""x":0"#, fields), &Assume::default()) {
        Ok(Line::Record(record)) => Ok(record.sampling.map(Sampling::ratio)),
        Ok(_) => panic!("no record: {fields}"),
        Err(reason) => Err(reason),
    }
}

#[test]
fn every_way_to_tell_the_rate() {
    for (fields, ratio) in [
        (r#""samplingPacketInterval":1,"samplingPacketSpace":99"#, Some((100, 1))),
        (r#""samplingPacketInterval":2,"samplingPacketSpace":3"#, Some((5, 2))),
        (r#""samplingSize":1,"samplingPopulation":1000"#, Some((1000, 1))),
        (r#""samplingSize":3,"samplingPopulation":10"#, Some((10, 3))),
        (r#""samplingProbability":0.01"#, Some((100, 1))),
        (r#""samplingProbability":"1.0""#, Some((1, 1))),
        (r#""samplingInterval":7"#, Some((7, 1))),
        (r#""samplingInterval":0"#, None),
        (r#""samplingPacketInterval":0,"samplingPacketSpace":0"#, None),
        (r#""samplingProbability":0.0"#, None),
        (r#""samplingSize":0,"samplingPopulation":0,"samplingInterval":9"#, Some((9, 1))),
        (r#""samplingSize":1"#, None),
    ] {
        assert_eq!(sampling(fields), Ok(ratio), "{fields}");
    }
    for (fields, reason) in [
        (r#""samplingSize":2,"samplingPopulation":1"#, "bad samplingPopulation"),
        (r#""samplingProbability":1.5"#, "bad samplingProbability"),
        (r#""samplingInterval":4294967296"#, "bad samplingInterval"),
        (r#""samplingInterval":-1"#, "bad samplingInterval"),
    ] {
        assert_eq!(sampling(fields), Err(reason.to_owned()), "{fields}");
    }
}

/// A number that does not fit is no number, and not another one. What is left out is 0.
#[test]
fn nothing_is_made_to_fit() {
    let pmacct = |name: &str, value: &str| {
        let mut object: Object = serde_json::from_str(
            r#"{"peer_ip_src":"10.0.0.1","peer_ip_dst":"10.0.1.1","iface_in":1,"iface_out":2,
            "ip_src":"192.0.2.7","ip_dst":"198.51.100.1","port_src":5,"port_dst":2811,
            "ip_proto":"tcp","tos":8,"timestamp_start":1,"timestamp_end":2,"packets":3,
            "bytes":999,"sampling_rate":10}"#,
        )
        .unwrap();
        match value {
            "" => object.remove(name),
            _ => object.insert(name.to_owned(), serde_json::from_str(value).unwrap()),
        };
        line(&Value::Object(object).to_string(), &Assume::default())
    };
    for (name, value) in [
        ("port_src", "65536"),
        ("port_dst", "-1"),
        ("iface_in", "4294967296"),
        ("iface_out", "1.5"),
        ("tos", "256"),
        ("packets", "[]"),
        ("sampling_rate", "4294967296"),
        ("peer_ip_src", "\"router\""),
        ("peer_ip_dst", "\"router\""),
    ] {
        assert!(matches!(pmacct(name, value), Err(is) if is == format!("bad {name}")), "{name}");
        for nothing in ["", "null", "\"\""] {
            assert!(matches!(pmacct(name, nothing), Ok(Line::Record(_))), "{name} {nothing}");
        }
    }
}

/// Routers in IPv6 clothes are the same routers, the assumed one too.
#[test]
fn routers_have_one_name() {
    let mapped = TELESTEER.replace("10.0.0.1", "::ffff:10.0.0.1");
    assert_eq!(read(&mapped), read(TELESTEER));
}

#[test]
fn times_have_offsets() {
    let text = r#"{"ip_src":"192.0.2.7","ip_dst":"198.51.100.1","ip_proto":"udp","bytes":9,
        "timestamp_start":"2011-05-01T02:00:01.5+02:00","timestamp_end":"2011-05-01T00:00:02Z"}"#;
    let read = read(text);
    assert_eq!((read.first, read.last), (1_304_208_001_500_000_000, 1_304_208_002_000_000_000));
}
