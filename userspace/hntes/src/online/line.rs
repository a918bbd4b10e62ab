// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Events as lines of JSON. The format is told in docs/online.md.

use serde::Serialize;
use std::net::IpAddr;
use telesteer_online::meter::{Change, Crossing};
use telesteer_online::{Event, What};

/// Version of the lines.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Line {
    version: u32,
    event: &'static str,
    seq: u64,
    at_ns: i64,
    now_ns: i64,
    exporter: IpAddr,
    src: IpAddr,
    dst: IpAddr,
    proto: u8,
    src_port: u16,
    dst_port: u16,
    begun_ns: i64,
    bytes: u64,
    window_bytes: u64,
    rate_bps: u64,
    approx: bool,
    in_table: bool,
    missed_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct MeterLine<'a> {
    version: u32,
    event: &'static str,
    seq: u64,
    at_ns: i64,
    meter: &'a str,
    window_bytes: u64,
    rate_bps: u64,
}

/// Appends an event, number `seq`, with its line break.
///
/// # Errors
///
/// None that is known of.
pub fn event(out: &mut Vec<u8>, event: &Event, seq: u64) -> serde_json::Result<()> {
    let reason = match event.what {
        What::Ended(why) => Some(why.name()),
        What::Early | What::Alpha => None,
    };
    let line = Line {
        version: VERSION,
        event: event.what.name(),
        seq,
        at_ns: event.at,
        now_ns: event.now,
        exporter: event.exporter,
        src: event.key.src,
        dst: event.key.dst,
        proto: event.key.proto,
        src_port: event.key.src_port,
        dst_port: event.key.dst_port,
        begun_ns: event.begun,
        bytes: event.bytes,
        window_bytes: event.window,
        rate_bps: event.rate,
        approx: event.approx,
        in_table: event.gated,
        missed_bytes: event.missed,
        reason,
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.push(b'\n');
    Ok(())
}

/// Appends a meter's event.
///
/// # Errors
///
/// None that is known of.
pub fn crossing(out: &mut Vec<u8>, crossing: &Crossing, seq: u64) -> serde_json::Result<()> {
    let event = match crossing.change {
        Change::Above => "above",
        Change::Below => "below",
    };
    let line = MeterLine {
        version: VERSION,
        event,
        seq,
        at_ns: crossing.at,
        meter: &crossing.name,
        window_bytes: crossing.bytes,
        rate_bps: crossing.rate,
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_fam::FiveTuple;
    use telesteer_online::End;

    #[test]
    fn a_line_is_one_object() {
        let (src, dst) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let told = Event {
            at: 5,
            what: What::Ended(End::Fin),
            key: FiveTuple { src, dst, proto: 6, src_port: 1, dst_port: 2 },
            exporter: "10.0.0.1".parse().unwrap(),
            now: 6,
            begun: 1,
            bytes: 7,
            window: 0,
            rate: 8,
            approx: false,
            gated: true,
            missed: 9,
        };
        let mut out = Vec::new();
        event(&mut out, &told, 3).unwrap();
        let expected = "{\"version\":1,\"event\":\"ended\",\"seq\":3,\"at_ns\":5,\"now_ns\":6,\
                        \"exporter\":\"10.0.0.1\",\"src\":\"192.0.2.1\",\"dst\":\"2001:db8::1\",\
                        \"proto\":6,\"src_port\":1,\"dst_port\":2,\"begun_ns\":1,\"bytes\":7,\
                        \"window_bytes\":0,\"rate_bps\":8,\"approx\":false,\"in_table\":true,\
                        \"missed_bytes\":9,\"reason\":\"fin\"}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
