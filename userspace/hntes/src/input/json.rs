// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Lines of JSON: pmacct's, goflow2's, and telesteer's own flow output.

use super::csv::{address, protocol};
use super::stamp::instant;
use super::{Assume, Line};
use serde_json::{Map, Value};
use std::net::{IpAddr, Ipv4Addr};
use telesteer_fam::{FiveTuple, Ns, Record, Sampling};

/// Nanoseconds in a millisecond.
const MS: Ns = 1_000_000;

type Object = Map<String, Value>;

/// Reads a line.
pub(super) fn line(text: &str, assume: &Assume) -> Result<Line, String> {
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(text) else {
        return Err("not a JSON object".into());
    };
    let record = match object.get("fields") {
        Some(Value::Object(fields)) => match telesteer(&object, fields, assume)? {
            Some(record) => record,
            None => return Ok(Line::Skip),
        },
        _ if object.contains_key("ip_src") => pmacct(&object, assume)?,
        _ if object.contains_key("src_addr") => goflow2(&object, assume)?,
        _ if object.contains_key("type") || object.contains_key("event_type") => {
            return Ok(Line::Skip);
        }
        _ => return Err("no flow record".into()),
    };
    Ok(Line::Record(record))
}

fn number(object: &Object, name: &str) -> Option<u64> {
    match object.get(name)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().filter(|text| !text.is_empty())
}

fn addr(object: &Object, name: &str) -> Result<IpAddr, String> {
    address(text(object, name).unwrap_or(""), name)
}

/// A router's address; unspecified ones say nothing.
fn router(object: &Object, names: &[&str]) -> Option<IpAddr> {
    let found = names.iter().filter_map(|name| addr(object, name).ok());
    found.into_iter().find(|addr| !addr.is_unspecified())
}

fn need<T>(value: Option<T>, what: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("bad {what}"))
}

fn proto(object: &Object, name: &str) -> Result<u8, String> {
    let value = match object.get(name) {
        Some(Value::Number(number)) => number.as_u64().and_then(|n| u8::try_from(n).ok()),
        Some(Value::String(name)) => protocol(name),
        _ => None,
    };
    need(value, "protocol")
}

fn port(object: &Object, name: &str) -> u16 {
    number(object, name).and_then(|port| u16::try_from(port).ok()).unwrap_or(0)
}

fn small(object: &Object, name: &str) -> u32 {
    number(object, name).and_then(|value| u32::try_from(value).ok()).unwrap_or(0)
}

fn one_in(n: Option<u64>) -> Option<Sampling> {
    n.and_then(|n| u32::try_from(n).ok()).and_then(Sampling::one_in)
}

fn exporter(told: Option<IpAddr>, assume: &Assume) -> IpAddr {
    told.or(assume.exporter).unwrap_or(Ipv4Addr::UNSPECIFIED.into())
}

/// pmacct with `timestamp_start`, `timestamp_end` and the 5-tuple among its primitives. When it
/// renormalises, its bytes are scaled already: say so with a sampling of 1.
fn pmacct(object: &Object, assume: &Assume) -> Result<Record, String> {
    let stamp = |name: &str| match object.get(name) {
        Some(Value::String(text)) => instant(text),
        Some(Value::Number(seconds)) => instant(&seconds.to_string()),
        _ => None,
    };
    let exporter = exporter(router(object, &["peer_ip_src"]), assume);
    Ok(Record {
        exporter,
        first: need(stamp("timestamp_start"), "timestamp_start")?,
        last: need(stamp("timestamp_end"), "timestamp_end")?,
        key: FiveTuple {
            src: addr(object, "ip_src")?,
            dst: addr(object, "ip_dst")?,
            proto: proto(object, "ip_proto")?,
            src_port: port(object, "port_src"),
            dst_port: port(object, "port_dst"),
        },
        in_if: small(object, "iface_in"),
        out_if: small(object, "iface_out"),
        next_hop: router(object, &["peer_ip_dst"]),
        tos: small(object, "tos") as u8,
        octets: need(number(object, "bytes"), "bytes")?,
        packets: number(object, "packets").unwrap_or(0),
        sampling: assume.sampling(one_in(number(object, "sampling_rate")), exporter),
    })
}

fn goflow2(object: &Object, assume: &Assume) -> Result<Record, String> {
    let stamp = |nanos: &str, seconds: &str| {
        let nanos = number(object, nanos).and_then(|at| Ns::try_from(at).ok()).filter(|at| *at > 0);
        nanos.or_else(|| Ns::try_from(number(object, seconds)?).ok()?.checked_mul(1000 * MS))
    };
    let exporter = exporter(router(object, &["sampler_address"]), assume);
    Ok(Record {
        exporter,
        first: need(stamp("time_flow_start_ns", "time_flow_start"), "time_flow_start_ns")?,
        last: need(stamp("time_flow_end_ns", "time_flow_end"), "time_flow_end_ns")?,
        key: FiveTuple {
            src: addr(object, "src_addr")?,
            dst: addr(object, "dst_addr")?,
            proto: proto(object, "proto")?,
            src_port: port(object, "src_port"),
            dst_port: port(object, "dst_port"),
        },
        in_if: small(object, "in_if"),
        out_if: small(object, "out_if"),
        next_hop: router(object, &["bgp_next_hop"]),
        tos: small(object, "ip_tos") as u8,
        octets: need(number(object, "bytes"), "bytes")?,
        packets: number(object, "packets").unwrap_or(0),
        sampling: assume.sampling(one_in(number(object, "sampling_rate")), exporter),
    })
}

/// telesteer's flow lines: IPFIX names under `fields`. `None` for what is not about traffic.
fn telesteer(line: &Object, fields: &Object, assume: &Assume) -> Result<Option<Record>, String> {
    let any = |names: &[&str]| names.iter().find_map(|name| number(fields, name));
    let Some(octets) = any(&["octetDeltaCount", "octetTotalCount"]) else { return Ok(None) };
    let ends = |v4: &str, v6: &str| addr(fields, v4).or_else(|_| addr(fields, v6));
    // Lines have both times since 1970, whichever way the record told them. Older ones have only
    // the record's own fields, which the decoder gives in their units.
    let stamp = |edge: &str| {
        let told = number(line, &format!("{}_ns", edge.to_lowercase()));
        if let Some(told) = told.and_then(|ns| Ns::try_from(ns).ok()) {
            return Some(told);
        }
        [("Nanoseconds", 1), ("Microseconds", 1000), ("Milliseconds", MS), ("Seconds", 1000 * MS)]
            .into_iter()
            .find_map(|(unit, factor)| {
                let value = number(fields, &format!("flow{edge}{unit}"))?;
                Ns::try_from(value).ok()?.checked_mul(factor)
            })
    };
    let exporter = exporter(router(line, &["exporter"]), assume);
    let told = match (any(&["samplingPacketInterval"]), any(&["samplingPacketSpace"])) {
        (Some(interval), Some(space)) => match (u32::try_from(interval), u32::try_from(space)) {
            (Ok(interval), Ok(space)) => Sampling::interval_space(interval, space),
            _ => None,
        },
        _ => one_in(any(&["samplingInterval"]).or_else(|| number(line, "sampling_interval"))),
    };
    Ok(Some(Record {
        exporter,
        first: need(stamp("Start"), "flowStart")?,
        last: need(stamp("End"), "flowEnd")?,
        key: FiveTuple {
            src: ends("sourceIPv4Address", "sourceIPv6Address")?,
            dst: ends("destinationIPv4Address", "destinationIPv6Address")?,
            proto: proto(fields, "protocolIdentifier")?,
            src_port: port(fields, "sourceTransportPort"),
            dst_port: port(fields, "destinationTransportPort"),
        },
        in_if: small(fields, "ingressInterface"),
        out_if: small(fields, "egressInterface"),
        next_hop: router(fields, &["bgpNextHopIPv4Address", "bgpNextHopIPv6Address"]),
        tos: small(fields, "ipClassOfService") as u8,
        octets,
        packets: any(&["packetDeltaCount", "packetTotalCount"]).unwrap_or(0),
        sampling: assume.sampling(told, exporter),
    }))
}

#[cfg(test)]
mod tests {
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
}
