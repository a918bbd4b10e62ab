// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Lines of JSON: pmacct's, goflow2's, and telesteer's own flow output.

use super::csv::{address, protocol};
use super::stamp::instant;
use super::{Assume, Line};
use serde_json::{Map, Value};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
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

/// A number, if there is one; one that does not fit is none, and not another one.
fn number<T: TryFrom<u64> + FromStr>(object: &Object, name: &str) -> Result<Option<T>, String> {
    let number = match object.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Number(number)) => number.as_u64().and_then(|number| number.try_into().ok()),
        Some(_) => None,
    };
    need(number, name).map(Some)
}

/// A number, 0 if there is none.
fn or_zero<T: TryFrom<u64> + FromStr + Default>(object: &Object, name: &str) -> Result<T, String> {
    Ok(number(object, name)?.unwrap_or_default())
}

fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().filter(|text| !text.is_empty())
}

fn addr(object: &Object, name: &str) -> Result<IpAddr, String> {
    address(text(object, name).unwrap_or(""), name)
}

/// A router's address; unspecified ones say nothing.
fn router(object: &Object, names: &[&str]) -> Result<Option<IpAddr>, String> {
    for name in names.iter().filter(|name| text(object, name).is_some()) {
        let addr = addr(object, name)?;
        if !addr.is_unspecified() {
            return Ok(Some(addr));
        }
    }
    Ok(None)
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

fn one_in(object: &Object, name: &str) -> Result<Option<Sampling>, String> {
    Ok(number(object, name)?.and_then(Sampling::one_in))
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
    let exporter = exporter(router(object, &["peer_ip_src"])?, assume);
    Ok(Record {
        exporter,
        first: need(stamp("timestamp_start"), "timestamp_start")?,
        last: need(stamp("timestamp_end"), "timestamp_end")?,
        key: FiveTuple {
            src: addr(object, "ip_src")?,
            dst: addr(object, "ip_dst")?,
            proto: proto(object, "ip_proto")?,
            src_port: or_zero(object, "port_src")?,
            dst_port: or_zero(object, "port_dst")?,
        },
        in_if: or_zero(object, "iface_in")?,
        out_if: or_zero(object, "iface_out")?,
        next_hop: router(object, &["peer_ip_dst"])?,
        tos: or_zero(object, "tos")?,
        octets: need(number(object, "bytes")?, "bytes")?,
        packets: or_zero(object, "packets")?,
        sampling: assume.sampling(one_in(object, "sampling_rate")?, exporter),
    })
}

fn goflow2(object: &Object, assume: &Assume) -> Result<Record, String> {
    let stamp = |nanos: &str, seconds: &str| -> Result<Ns, String> {
        // Rendered as `datetimenano` they are text.
        if let Some(text) = text(object, nanos).filter(|text| text.contains('T')) {
            return need(instant(text), nanos);
        }
        if let Some(at) = number::<Ns>(object, nanos)?.filter(|at| *at > 0) {
            return Ok(at);
        }
        let at = number::<Ns>(object, seconds)?.and_then(|at| at.checked_mul(1000 * MS));
        need(at, nanos)
    };
    let exporter = exporter(router(object, &["sampler_address"])?, assume);
    Ok(Record {
        exporter,
        first: stamp("time_flow_start_ns", "time_flow_start")?,
        last: stamp("time_flow_end_ns", "time_flow_end")?,
        key: FiveTuple {
            src: addr(object, "src_addr")?,
            dst: addr(object, "dst_addr")?,
            proto: proto(object, "proto")?,
            src_port: or_zero(object, "src_port")?,
            dst_port: or_zero(object, "dst_port")?,
        },
        in_if: or_zero(object, "in_if")?,
        out_if: or_zero(object, "out_if")?,
        next_hop: router(object, &["bgp_next_hop"])?,
        tos: or_zero(object, "ip_tos")?,
        octets: need(number(object, "bytes")?, "bytes")?,
        packets: or_zero(object, "packets")?,
        sampling: assume.sampling(one_in(object, "sampling_rate")?, exporter),
    })
}

/// telesteer's flow lines: IPFIX names under `fields`. `None` for what is not about traffic.
fn telesteer(line: &Object, fields: &Object, assume: &Assume) -> Result<Option<Record>, String> {
    let octets = match number(fields, "octetDeltaCount")? {
        Some(octets) => Some(octets),
        None => number(fields, "octetTotalCount")?,
    };
    let Some(octets) = octets else { return Ok(None) };
    let ends = |v4: &str, v6: &str| addr(fields, v4).or_else(|_| addr(fields, v6));
    // Lines have both times since 1970, whichever way the record told them. Older ones have only
    // the record's own fields, which the decoder gives in their units.
    let stamp = |edge: &str| -> Result<Option<Ns>, String> {
        if let Some(told) = number(line, &format!("{}_ns", edge.to_lowercase()))? {
            return Ok(Some(told));
        }
        for (unit, factor) in [
            ("Nanoseconds", 1),
            ("Microseconds", 1000),
            ("Milliseconds", MS),
            ("Seconds", 1000 * MS),
        ] {
            let name = format!("flow{edge}{unit}");
            if let Some(value) = number::<Ns>(fields, &name)? {
                return need(value.checked_mul(factor), &name).map(Some);
            }
        }
        Ok(None)
    };
    let exporter = exporter(router(line, &["exporter"])?, assume);
    let told = match own_sampling(fields)? {
        Some(told) => Some(told),
        None => one_in(line, "sampling_interval")?,
    };
    let packets = match number(fields, "packetDeltaCount")? {
        Some(packets) => packets,
        None => or_zero(fields, "packetTotalCount")?,
    };
    Ok(Some(Record {
        exporter,
        first: need(stamp("Start")?, "flowStart")?,
        last: need(stamp("End")?, "flowEnd")?,
        key: FiveTuple {
            src: ends("sourceIPv4Address", "sourceIPv6Address")?,
            dst: ends("destinationIPv4Address", "destinationIPv6Address")?,
            proto: proto(fields, "protocolIdentifier")?,
            src_port: or_zero(fields, "sourceTransportPort")?,
            dst_port: or_zero(fields, "destinationTransportPort")?,
        },
        in_if: or_zero(fields, "ingressInterface")?,
        out_if: or_zero(fields, "egressInterface")?,
        next_hop: router(fields, &["bgpNextHopIPv4Address", "bgpNextHopIPv6Address"])?,
        tos: or_zero(fields, "ipClassOfService")?,
        octets,
        packets,
        sampling: assume.sampling(told, exporter),
    }))
}

/// The rate in the record itself: as interval and space, as sample and population, as probability,
/// or as NetFlow v9 says it. 0 says nothing.
fn own_sampling(fields: &Object) -> Result<Option<Sampling>, String> {
    let two = |one: &str, other: &str| -> Result<Option<(u32, u32)>, String> {
        Ok(number(fields, one)?.zip(number(fields, other)?))
    };
    if let Some((interval, space)) = two("samplingPacketInterval", "samplingPacketSpace")?
        && interval > 0
    {
        return need(Sampling::interval_space(interval, space), "samplingPacketSpace").map(Some);
    }
    if let Some((size, population)) = two("samplingSize", "samplingPopulation")?
        && size > 0
    {
        return need(Sampling::from_ratio(population, size), "samplingPopulation").map(Some);
    }
    let probability = match fields.get("samplingProbability") {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    if let Some(probability) = probability.filter(|probability| *probability != 0.0) {
        return need(Sampling::probability(probability), "samplingProbability").map(Some);
    }
    one_in(fields, "samplingInterval")
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
