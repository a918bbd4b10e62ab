// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The XML of the mock of an NSI provider, written and read by hand, and what its requests must be.

use crate::plain::Asked;

pub(crate) const PROVIDER: &str = "urn:ogf:network:example.net:2026:nsa:provider";
pub(crate) const REQUESTER: &str = "urn:ogf:network:example.org:2026:nsa:requester";
pub(crate) const BASE: &str = "http://schemas.ogf.org/nsi/2013/12";

/// A reservation.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) description: String,
    pub(crate) global: String,
    pub(crate) capacity: String,
    pub(crate) source: String,
    pub(crate) dest: String,
    pub(crate) end: Option<String>,
    pub(crate) version: i64,
    pub(crate) reservation: &'static str,
    pub(crate) provision: &'static str,
    pub(crate) lifecycle: &'static str,
    pub(crate) active: bool,
    pub(crate) reply_to: String,
    pub(crate) notifications: i64,
    /// A change that is held: version and end.
    pub(crate) change: Option<(i64, Option<String>)>,
}

pub(crate) fn between<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

pub(crate) fn message(correlation: &str, version: &str, body: &str) -> String {
    format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n<S:Envelope xmlns:S='http://schemas.xmlsoap.org/soap/envelope/' \
         xmlns:h='{BASE}/framework/headers' xmlns:c='{BASE}/connection/types' xmlns:p='{BASE}/services/point2point' \
         xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>\n <S:Header>\n  <h:nsiHeader>\n   \
         <protocolVersion>application/vnd.ogf.nsi.cs.v2.{version}+soap</protocolVersion>\n   \
         <correlationId>{correlation}</correlationId>\n   <requesterNSA>{REQUESTER}</requesterNSA>\n   \
         <providerNSA>{PROVIDER}</providerNSA>\n  </h:nsiHeader>\n </S:Header>\n <S:Body>\n  {body}\n </S:Body>\n</S:Envelope>\n"
    )
}

pub(crate) fn exception(id: &str, text: &str) -> String {
    format!(
        "<serviceException><nsaId>{PROVIDER}</nsaId><errorId>{id}</errorId><text>{text}</text></serviceException>"
    )
}

impl Connection {
    /// One of which nothing is known but the state of its reservation.
    pub(crate) fn new(reservation: &'static str) -> Self {
        Self {
            description: String::new(),
            global: String::new(),
            capacity: String::new(),
            source: String::new(),
            dest: String::new(),
            end: None,
            version: 0,
            reservation,
            provision: "Released",
            lifecycle: "Created",
            active: false,
            reply_to: String::new(),
            notifications: 0,
            change: None,
        }
    }

    pub(crate) fn states(&self) -> String {
        format!(
            "<connectionStates><reservationState>{}</reservationState><provisionState>{}</provisionState>\
             <lifecycleState>{}</lifecycleState><dataPlaneStatus><active>{}</active><version>{}</version>\
             <versionConsistent>true</versionConsistent></dataPlaneStatus></connectionStates>",
            self.reservation, self.provision, self.lifecycle, self.active, self.version
        )
    }

    pub(crate) fn criteria(&self) -> String {
        let end = self
            .end
            .as_ref()
            .map_or("<endTime xsi:nil='true'/>".into(), |end| format!("<endTime>{end}</endTime>"));
        format!(
            "<criteria version='{}'><schedule><startTime>2026-01-01T00:00:00Z</startTime>{end}</schedule>\
             <serviceType>{BASE}/descriptions/EVTS.A-GOLE</serviceType><p:p2ps><capacity>{}</capacity>\
             <directionality>Bidirectional</directionality><sourceSTP>{}</sourceSTP><destSTP>{}</destSTP></p:p2ps></criteria>",
            self.version, self.capacity, self.source, self.dest
        )
    }
}

/// What every request must have, beyond what its handling needs.
pub(crate) fn check(complaints: &mut Vec<String>, asked: &Asked, action: &str, name: &str) {
    let mut complain = |ok: bool, what: &str| {
        if !ok {
            complaints.push(format!("{name}: {what}"));
        }
    };
    complain(asked.method == "POST" && asked.path == "/nsi/provider", "method or path");
    complain(action == format!("\"{BASE}/connection/service/{name}\""), "SOAPAction");
    let kind = asked.headers.get("content-type").map_or("", String::as_str);
    complain(kind == "text/xml; charset=utf-8", "Content-Type");
    let field = |name: &str| between(&asked.body, name).unwrap_or_default();
    complain(
        field("protocolVersion") == "application/vnd.ogf.nsi.cs.v2.provider+soap",
        "protocolVersion",
    );
    complain(field("requesterNSA") == REQUESTER && field("providerNSA") == PROVIDER, "NSAs");
    let uuid = field("correlationId").strip_prefix("urn:uuid:").unwrap_or_default();
    let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
    let hex = uuid.chars().all(|c| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c));
    complain(groups == [8, 4, 4, 4, 12] && hex, "correlationId");
    // There are providers that refuse a request without one, even if it needs none.
    complain(field("replyTo").starts_with("http://"), "replyTo");
}
