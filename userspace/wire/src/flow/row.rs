// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What of a flow record goes into a row of a table of flows, and which records make none.

use std::net::IpAddr;

use super::{Record, Times, Value};

/// One row. `docs/parquet.md` says which elements each column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The router, by whichever address the caller knows it.
    pub exporter: IpAddr,
    /// Its observation domain or source id.
    pub domain: u32,
    /// 9 or 10.
    pub version: u8,
    /// Export time in the message header, Unix seconds.
    pub export_s: u32,
    /// First and last packet.
    pub times: Times,
    /// Source and destination address.
    pub src: IpAddr,
    /// See `src`.
    pub dst: IpAddr,
    /// Protocol, if told.
    pub proto: Option<u8>,
    /// Ports, 0 where there are none.
    pub src_port: u16,
    /// See `src_port`.
    pub dst_port: u16,
    /// Interfaces, 0 if not told.
    pub in_if: u32,
    /// See `in_if`.
    pub out_if: u32,
    /// BGP next hop, if told.
    pub next_hop: Option<IpAddr>,
    /// Type of service.
    pub tos: u8,
    /// Octets as exported.
    pub octets: u64,
    /// Packets as exported, 0 if not told.
    pub packets: u64,
    /// Packets observed and packets taken, if told.
    pub sampling: Option<(u32, u32)>,
}

/// Why a record makes no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// It does not tell when the flow began and ended.
    NoTime,
    /// It lacks a source or a destination address.
    NoAddress,
    /// It counts no octets: it is not about traffic.
    NoOctets,
}

impl LeftOut {
    /// The reason as a label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoTime => "no_time",
            Self::NoAddress => "no_address",
            Self::NoOctets => "no_octets",
        }
    }
}

/// The fields of a record that a row is made of; the first of its kind counts.
#[derive(Debug, Default)]
struct Fields {
    src: [Option<IpAddr>; 2],
    dst: [Option<IpAddr>; 2],
    next_hop: [Option<IpAddr>; 2],
    ip_version: Option<u64>,
    octets: [Option<u64>; 2],
    packets: [Option<u64>; 2],
    proto: Option<u64>,
    src_port: Option<u64>,
    dst_port: Option<u64>,
    in_if: Option<u64>,
    out_if: Option<u64>,
    tos: Option<u64>,
}

impl Fields {
    /// One walk over the record, whatever the order of its fields.
    fn of(record: &Record<'_>) -> Self {
        let mut all = Self::default();
        for (field, value) in record.fields() {
            if field.element.pen != 0 {
                continue;
            }
            match field.element.id {
                1 => number(&mut all.octets[0], value),
                85 => number(&mut all.octets[1], value),
                2 => number(&mut all.packets[0], value),
                86 => number(&mut all.packets[1], value),
                4 => number(&mut all.proto, value),
                5 => number(&mut all.tos, value),
                7 => number(&mut all.src_port, value),
                11 => number(&mut all.dst_port, value),
                8 => address(&mut all.src[0], value),
                27 => address(&mut all.src[1], value),
                12 => address(&mut all.dst[0], value),
                28 => address(&mut all.dst[1], value),
                10 => number(&mut all.in_if, value),
                14 => number(&mut all.out_if, value),
                18 => address(&mut all.next_hop[0], value),
                63 => address(&mut all.next_hop[1], value),
                60 => number(&mut all.ip_version, value),
                _ => {}
            }
        }
        all
    }

    /// IPv4 or IPv6. Some exporters send both in every record, one of them zero.
    fn pick(&self, [v4, v6]: [Option<IpAddr>; 2]) -> Option<IpAddr> {
        let told = |addr: &IpAddr| !addr.is_unspecified();
        match self.ip_version {
            Some(6) => v6.or(v4),
            Some(4) => v4.or(v6),
            _ => v4.filter(told).or(v6.filter(told)).or(v4).or(v6),
        }
    }
}

fn number(into: &mut Option<u64>, value: Value<'_>) {
    if into.is_none() {
        *into = value.as_u64();
    }
}

fn address(into: &mut Option<IpAddr>, value: Value<'_>) {
    if into.is_none() {
        *into = value.as_ip();
    }
}

/// A number that fits, else 0.
fn or_zero<T: TryFrom<u64> + Default>(told: Option<u64>) -> T {
    told.and_then(|value| T::try_from(value).ok()).unwrap_or_default()
}

impl Row {
    /// The row of a data record of `exporter`.
    ///
    /// # Errors
    ///
    /// What the record lacks. Nothing is made up for it.
    pub fn of(
        record: &Record<'_>,
        exporter: IpAddr,
        times: Option<Times>,
    ) -> Result<Self, LeftOut> {
        let fields = Fields::of(record);
        let header = record.header();
        let octets = fields.octets[0].or(fields.octets[1]).ok_or(LeftOut::NoOctets)?;
        let src = fields.pick(fields.src).ok_or(LeftOut::NoAddress)?;
        let dst = fields.pick(fields.dst).ok_or(LeftOut::NoAddress)?;
        let times = times.ok_or(LeftOut::NoTime)?;
        let told = |hop: &IpAddr| !hop.is_unspecified();
        let [v4, v6] = fields.next_hop;
        Ok(Self {
            exporter,
            domain: header.domain,
            version: or_zero(Some(u64::from(header.version))),
            export_s: header.export_time,
            times,
            src,
            dst,
            proto: fields.proto.and_then(|proto| u8::try_from(proto).ok()),
            src_port: or_zero(fields.src_port),
            dst_port: or_zero(fields.dst_port),
            in_if: or_zero(fields.in_if),
            out_if: or_zero(fields.out_if),
            next_hop: v4.filter(told).or(v6.filter(told)),
            tos: or_zero(fields.tos),
            octets,
            packets: fields.packets[0].or(fields.packets[1]).unwrap_or(0),
            sampling: record.sampling_ratio(),
        })
    }
}
