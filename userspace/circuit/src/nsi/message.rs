// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Messages that are sent.

use crate::nsi::names::{HEADERS, P2P, SOAP, TO_PROVIDER, TYPES, XSI};
use crate::time::At;
use crate::xml::write::Writer;

/// Who speaks to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// What answers will name.
    pub correlation: &'a str,
    /// We.
    pub requester: &'a str,
    /// The provider.
    pub provider: &'a str,
    /// Where answers go; none in an acknowledgement. A synchronous request has it too, for there are
    /// providers that refuse every request without one.
    pub reply_to: Option<&'a str>,
}

/// The end of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Not said: none for a new reservation, as it was for a changed one.
    Unsaid,
    /// Explicitly none.
    Never,
    /// Then.
    At(At),
}

/// What is reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criteria<'a> {
    /// Version, from 1.
    pub version: i64,
    /// Its start; none: now, or as it was.
    pub start: Option<At>,
    /// Its end.
    pub end: End,
    /// Service type and the service; none when only the schedule changes.
    pub service: Option<(&'a str, Service<'a>)>,
    /// Mb/s that a change keeps, for gRPC: what is left out there is 0.
    pub kept: Option<u64>,
}

/// A point-to-point service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service<'a> {
    /// Mb/s; 0 asks for no promise.
    pub capacity: u64,
    /// Both directions, on one path if `Some(true)`.
    pub symmetric: Option<bool>,
    /// One direction only.
    pub one_way: bool,
    /// Where it begins.
    pub source: &'a str,
    /// Where it ends.
    pub dest: &'a str,
    /// Where it passes.
    pub ero: &'a [String],
}

/// A new reservation (without `connection`) or a changed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve<'a> {
    /// The reservation that changes.
    pub connection: Option<&'a str>,
    /// A UUID as URN, the same for all attempts to reserve one circuit.
    pub global: Option<&'a str>,
    /// Text.
    pub description: Option<&'a str>,
    /// What.
    pub criteria: Criteria<'a>,
}

fn envelope(header: &Header<'_>, version: &str) -> Writer {
    let mut xml = Writer::new();
    let spaces = [
        ("xmlns:soapenv", SOAP),
        ("xmlns:head", HEADERS),
        ("xmlns:type", TYPES),
        ("xmlns:p2p", P2P),
        ("xmlns:xsi", XSI),
    ];
    xml.begin("soapenv:Envelope", &spaces)
        .begin("soapenv:Header", &[])
        .begin("head:nsiHeader", &[]);
    xml.leaf("protocolVersion", version)
        .leaf("correlationId", header.correlation)
        .leaf("requesterNSA", header.requester)
        .leaf("providerNSA", header.provider);
    if let Some(reply_to) = header.reply_to {
        xml.leaf("replyTo", reply_to);
    }
    xml.end().end().begin("soapenv:Body", &[]);
    xml
}

/// `reserve`.
pub fn reserve(header: &Header<'_>, reserve: &Reserve<'_>) -> String {
    let mut xml = envelope(header, TO_PROVIDER);
    xml.begin("type:reserve", &[]);
    let texts = [
        ("connectionId", reserve.connection),
        ("globalReservationId", reserve.global),
        ("description", reserve.description),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            xml.leaf(name, text);
        }
    }
    let criteria = &reserve.criteria;
    xml.begin("criteria", &[("version", &criteria.version.to_string())]).begin("schedule", &[]);
    if let Some(start) = criteria.start {
        xml.leaf("startTime", &start.to_string());
    }
    match criteria.end {
        End::Unsaid => {}
        End::Never => drop(xml.empty("endTime", &[("xsi:nil", "true")])),
        End::At(end) => drop(xml.leaf("endTime", &end.to_string())),
    }
    xml.end();
    if let Some((kind, service)) = &criteria.service {
        xml.leaf("serviceType", kind).begin("p2p:p2ps", &[]);
        xml.leaf("capacity", &service.capacity.to_string());
        xml.leaf(
            "directionality",
            if service.one_way { "Unidirectional" } else { "Bidirectional" },
        );
        if let Some(symmetric) = service.symmetric {
            xml.leaf("symmetricPath", if symmetric { "true" } else { "false" });
        }
        xml.leaf("sourceSTP", service.source).leaf("destSTP", service.dest);
        if !service.ero.is_empty() {
            xml.begin("ero", &[]);
            for (order, stp) in service.ero.iter().enumerate() {
                xml.begin("orderedSTP", &[("order", &order.to_string())]).leaf("stp", stp).end();
            }
            xml.end();
        }
    }
    xml.done()
}

/// `reserveCommit`, `reserveAbort`, `provision`, `release` or `terminate`.
pub fn of_connection(header: &Header<'_>, message: &str, connection: &str) -> String {
    let mut xml = envelope(header, TO_PROVIDER);
    xml.begin(&format!("type:{message}"), &[]).leaf("connectionId", connection);
    xml.done()
}

/// `querySummarySync` for one connection, or for all of this requester.
pub fn query(header: &Header<'_>, connection: Option<&str>) -> String {
    let mut xml = envelope(header, TO_PROVIDER);
    xml.begin("type:querySummarySync", &[]);
    if let Some(connection) = connection {
        xml.leaf("connectionId", connection);
    }
    xml.done()
}

/// `acknowledgment` of what came to our endpoint.
pub fn acknowledgment(header: &Header<'_>) -> String {
    let mut xml = envelope(header, crate::nsi::names::TO_REQUESTER);
    xml.empty("type:acknowledgment", &[]);
    xml.done()
}

/// A SOAP fault for what is no message.
pub fn fault(text: &str) -> String {
    let mut xml = Writer::new();
    xml.begin("soapenv:Envelope", &[("xmlns:soapenv", SOAP)]).begin("soapenv:Body", &[]);
    xml.begin("soapenv:Fault", &[]).leaf("faultcode", "soapenv:Client").leaf("faultstring", text);
    xml.done()
}
