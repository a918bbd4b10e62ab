// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A flow record as it is stored.

use std::net::IpAddr;

/// One row; `docs/parquet.md` says what each column means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The router.
    pub exporter: IpAddr,
    /// First packet, nanoseconds since 1970 UTC.
    pub first_ns: i64,
    /// Last packet, likewise.
    pub last_ns: i64,
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Protocol, if told.
    pub proto: Option<u8>,
    /// Source port, 0 where there is none.
    pub src_port: u16,
    /// Destination port, likewise.
    pub dst_port: u16,
    /// Ingress interface, 0 if not told.
    pub in_if: u32,
    /// Egress interface, likewise.
    pub out_if: u32,
    /// BGP next hop, if told.
    pub bgp_next_hop: Option<IpAddr>,
    /// Type of service.
    pub tos: u8,
    /// Octets as exported, not scaled.
    pub octets: u64,
    /// Packets as exported, 0 if not told.
    pub packets: u64,
    /// Packets observed and packets taken, if told.
    pub sampling: Option<(u32, u32)>,
    /// Observation domain or source id.
    pub domain: u32,
    /// 9 NetFlow v9, 10 IPFIX.
    pub version: u8,
    /// Export time, seconds since 1970 UTC.
    pub export_s: i64,
    /// Number of the collector.
    pub instance: u64,
}
