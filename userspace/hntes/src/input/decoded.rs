// SPDX-License-Identifier: Apache-2.0 OR MIT
//! NetFlow v9 and IPFIX messages of one transport session as flow records.

use super::{Assume, FileReport};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use telesteer_fam::{FiveTuple, Record, Sampling};
use telesteer_wire::flow::{
    self, Arrival, Element, LeftOut, Limits, NETFLOW_V9, Row, Sequence, Session,
};

/// Most domains whose exporter is remembered.
const DOMAINS_MAX: usize = 4096;

/// exporterIPv4Address and exporterIPv6Address.
const EXPORTER: [Element; 2] = [Element::iana(130), Element::iana(131)];

/// Decodes messages. What is wrong with one is counted under its number.
pub(super) struct Decoder {
    session: Session,
    /// Exporter of each domain, as options records tell it.
    exporters: BTreeMap<u32, IpAddr>,
    /// Where the messages came from, if that is known: then this is the exporter, as for a collector.
    from: Option<IpAddr>,
}

impl Decoder {
    pub(super) fn new(from: Option<IpAddr>) -> Self {
        Self { session: Session::new(Limits::default()), exporters: BTreeMap::new(), from }
    }

    /// Decodes message `number` of a file and hands its records to `each`.
    pub(super) fn take(
        &mut self,
        message: &[u8],
        number: u64,
        assume: &Assume,
        report: &mut FileReport,
        each: &mut dyn FnMut(&Record),
    ) {
        let (exporters, from) = (&mut self.exporters, self.from);
        let mut sink = |found: &flow::Record<'_>| {
            let domain = found.header().domain;
            let told = EXPORTER.into_iter().find_map(|element| found.get(element)?.as_ip());
            if found.is_options() {
                if let Some(told) = told
                    && (exporters.len() < DOMAINS_MAX || exporters.contains_key(&domain))
                {
                    exporters.insert(domain, told);
                }
                return;
            }
            let exporter = from
                .or(told)
                .or_else(|| exporters.get(&domain).copied())
                .or(assume.exporter)
                .unwrap_or(Ipv4Addr::UNSPECIFIED.into())
                .to_canonical();
            match record(found, exporter, assume) {
                Ok(record) => {
                    report.records += 1;
                    each(&record);
                }
                Err(reason) => report.count_all(reason, 1, number),
            }
        };
        let decoded = match self.session.decode(message, Arrival::default(), &mut sink) {
            Ok(decoded) => decoded,
            Err(error) => return report.count_all(&error.to_string(), 1, number),
        };
        for at in &decoded.problems {
            report.count_all(&at.problem.to_string(), 1, number);
        }
        if let Sequence::Lost(lost) = decoded.sequence {
            let what = match decoded.version {
                NETFLOW_V9 => "messages missing by sequence number",
                _ => "records missing by sequence number",
            };
            report.count_all(what, u64::from(lost), number);
        }
    }

    /// Counts what waits for a template that has not come, after the last message of the file.
    pub(super) fn finish(&self, number: u64, report: &mut FileReport) {
        let waiting = self.session.waiting() as u64 + self.session.counters().sets_given_up;
        if waiting > 0 {
            report.count_all("sets without their template", waiting, number);
        }
    }
}

/// A data record as a record, by the reading that the collector has of it too.
fn record(
    found: &flow::Record<'_>,
    exporter: IpAddr,
    assume: &Assume,
) -> Result<Record, &'static str> {
    let row = Row::of(found, exporter, found.times()).map_err(|lacks| match lacks {
        LeftOut::NoTime => "record without times",
        LeftOut::NoAddress => "record without addresses",
        LeftOut::NoOctets => "record without octets",
    })?;
    let sampling = match row.sampling {
        None => None,
        Some((observed, taken)) => {
            Some(Sampling::from_ratio(observed, taken).ok_or("bad sampling")?)
        }
    };
    Ok(Record {
        exporter,
        // Both are below 2^63.
        first: row.times.start_ns as i64,
        last: row.times.end_ns as i64,
        key: FiveTuple {
            src: row.src.to_canonical(),
            dst: row.dst.to_canonical(),
            proto: row.proto.ok_or("bad proto")?,
            src_port: row.src_port,
            dst_port: row.dst_port,
        },
        in_if: row.in_if,
        out_if: row.out_if,
        next_hop: row.next_hop.map(|hop| hop.to_canonical()),
        tos: row.tos,
        octets: row.octets,
        packets: row.packets,
        sampling: assume.sampling(sampling, exporter),
    })
}
