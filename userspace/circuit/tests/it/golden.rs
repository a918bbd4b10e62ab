// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Each message element by element, with the names, namespaces and order of the schemas:
//! connection/types and framework/headers of 2013/12, point2point of 2013/12, SOAP 1.1. Elements
//! inside a type are of no namespace, for the schemas qualify only what is global.

use std::collections::BTreeMap;
use telesteer_circuit::nsi::message::{
    Criteria, End, Header, Reserve, Service, acknowledgment, of_connection, query, reserve,
};
use telesteer_circuit::time::At;

/// Elements as `depth {namespace}name [attributes] text`, read by hand: tags hold no `>`.
fn outline(text: &str) -> Vec<String> {
    let text =
        text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("a declaration");
    let mut spaces: BTreeMap<String, String> = BTreeMap::new();
    let mut lines: Vec<String> = Vec::new();
    let mut depth = 0;
    for part in text.split('<').skip(1) {
        let (tag, content) = part.split_once('>').unwrap();
        if tag.starts_with('/') {
            depth -= 1;
            continue;
        }
        let closed = tag.ends_with('/');
        let mut words = tag.trim_end_matches('/').split_whitespace();
        let name = words.next().unwrap().to_owned();
        let mut attributes = Vec::new();
        for word in words {
            let (key, value) = word.split_once('=').unwrap();
            let value = value.trim_matches('"').to_owned();
            match key.strip_prefix("xmlns:") {
                Some(prefix) => drop(spaces.insert(prefix.to_owned(), value)),
                None => attributes.push((key.to_owned(), value)),
            }
        }
        let full = |name: &str| match name.split_once(':') {
            Some((prefix, local)) => format!("{{{}}}{local}", spaces[prefix]),
            None => name.to_owned(),
        };
        let attributes: Vec<String> =
            attributes.iter().map(|(key, value)| format!(" {}={value}", full(key))).collect();
        let content = if closed { "" } else { content };
        lines.push(
            format!("{depth} {}{} {content}", full(&name), attributes.concat())
                .trim_end()
                .to_owned(),
        );
        if !closed {
            depth += 1;
        }
    }
    assert_eq!(depth, 0);
    lines
}

const SOAP: &str = "{http://schemas.xmlsoap.org/soap/envelope/}";
const HEAD: &str = "{http://schemas.ogf.org/nsi/2013/12/framework/headers}";
const TYPE: &str = "{http://schemas.ogf.org/nsi/2013/12/connection/types}";
const P2P: &str = "{http://schemas.ogf.org/nsi/2013/12/services/point2point}";
const XSI: &str = "{http://www.w3.org/2001/XMLSchema-instance}";

fn header(reply_to: Option<&str>) -> Header<'_> {
    Header {
        correlation: "urn:uuid:390be79e-5b49-4688-9280-e49b139595e2",
        requester: "urn:ogf:network:example.org:2026:nsa:requester",
        provider: "urn:ogf:network:example.net:2026:nsa:provider",
        reply_to,
    }
}

fn expected(role: &str, reply_to: bool, body: &[String]) -> Vec<String> {
    let mut lines = vec![
        format!("0 {SOAP}Envelope"),
        format!("1 {SOAP}Header"),
        format!("2 {HEAD}nsiHeader"),
        format!("3 protocolVersion application/vnd.ogf.nsi.cs.v2.{role}+soap"),
        "3 correlationId urn:uuid:390be79e-5b49-4688-9280-e49b139595e2".into(),
        "3 requesterNSA urn:ogf:network:example.org:2026:nsa:requester".into(),
        "3 providerNSA urn:ogf:network:example.net:2026:nsa:provider".into(),
    ];
    if reply_to {
        lines.push("3 replyTo http://192.0.2.1:8080/".into());
    }
    lines.push(format!("1 {SOAP}Body"));
    lines.extend_from_slice(body);
    lines
}

const REPLY_TO: Option<&str> = Some("http://192.0.2.1:8080/");

#[test]
fn reserve_with_all_elements() {
    let ero = ["urn:ogf:network:a:x?vlan=1".to_owned(), "urn:ogf:network:a:y?vlan=2".to_owned()];
    let text = reserve(
        &header(REPLY_TO),
        &Reserve {
            connection: None,
            global: Some("urn:uuid:83fe4f36-5b38-41b6-bc46-a362a06a54ee"),
            description: Some("a>b@1"),
            criteria: Criteria {
                version: 1,
                start: Some(At(1_439_631_010_000)),
                end: End::At(At(1_439_634_610_000)),
                service: Some((
                    "http://services.ogf.org/nsi/2013/12/descriptions/EVTS.A-GOLE",
                    Service {
                        capacity: 10_000,
                        symmetric: Some(true),
                        one_way: false,
                        source: "urn:ogf:network:a:s?vlan=1780-1782",
                        dest: "urn:ogf:network:b:d?vlan=1780-1782",
                        ero: &ero,
                    },
                )),
                kept: None,
            },
        },
    );
    let body = [
        format!("2 {TYPE}reserve"),
        "3 globalReservationId urn:uuid:83fe4f36-5b38-41b6-bc46-a362a06a54ee".into(),
        "3 description a&gt;b@1".into(),
        "3 criteria version=1".into(),
        "4 schedule".into(),
        "5 startTime 2015-08-15T09:30:10Z".into(),
        "5 endTime 2015-08-15T10:30:10Z".into(),
        "4 serviceType http://services.ogf.org/nsi/2013/12/descriptions/EVTS.A-GOLE".into(),
        format!("4 {P2P}p2ps"),
        "5 capacity 10000".into(),
        "5 directionality Bidirectional".into(),
        "5 symmetricPath true".into(),
        "5 sourceSTP urn:ogf:network:a:s?vlan=1780-1782".into(),
        "5 destSTP urn:ogf:network:b:d?vlan=1780-1782".into(),
        "5 ero".into(),
        "6 orderedSTP order=0".into(),
        "7 stp urn:ogf:network:a:x?vlan=1".into(),
        "6 orderedSTP order=1".into(),
        "7 stp urn:ogf:network:a:y?vlan=2".into(),
    ];
    assert_eq!(outline(&text), expected("provider", true, &body));
}

#[test]
fn reserve_with_what_must_be() {
    let text = reserve(
        &header(REPLY_TO),
        &Reserve {
            connection: None,
            global: None,
            description: None,
            criteria: Criteria {
                version: 1,
                start: None,
                end: End::Unsaid,
                service: Some((
                    "s",
                    Service {
                        capacity: 0,
                        symmetric: None,
                        one_way: true,
                        source: "a",
                        dest: "b",
                        ero: &[],
                    },
                )),
                kept: None,
            },
        },
    );
    let body = [
        format!("2 {TYPE}reserve"),
        "3 criteria version=1".into(),
        "4 schedule".into(),
        "4 serviceType s".into(),
        format!("4 {P2P}p2ps"),
        "5 capacity 0".into(),
        "5 directionality Unidirectional".into(),
        "5 sourceSTP a".into(),
        "5 destSTP b".into(),
    ];
    assert_eq!(outline(&text), expected("provider", true, &body));
}

#[test]
fn a_change_says_only_what_changes() {
    let change = |end| {
        let criteria = Criteria { version: 3, start: None, end, service: None, kept: Some(7) };
        let reserve_ =
            Reserve { connection: Some("c-1"), global: None, description: None, criteria };
        outline(&reserve(&header(REPLY_TO), &reserve_))
    };
    let body = |end: String| {
        [
            format!("2 {TYPE}reserve"),
            "3 connectionId c-1".into(),
            "3 criteria version=3".into(),
            "4 schedule".into(),
            end,
        ]
    };
    assert_eq!(
        change(End::At(At(1_500))),
        expected("provider", true, &body("5 endTime 1970-01-01T00:00:01.5Z".into()))
    );
    assert_eq!(
        change(End::Never),
        expected("provider", true, &body(format!("5 endTime {XSI}nil=true")))
    );
}

#[test]
fn requests_of_a_connection() {
    for name in ["reserveCommit", "reserveAbort", "provision", "release", "terminate"] {
        let text = of_connection(&header(REPLY_TO), name, "c & 1");
        let body = [format!("2 {TYPE}{name}"), "3 connectionId c &amp; 1".into()];
        assert_eq!(outline(&text), expected("provider", true, &body));
    }
}

#[test]
fn queries_and_acknowledgments() {
    let body = [format!("2 {TYPE}querySummarySync"), "3 connectionId c-1".into()];
    assert_eq!(outline(&query(&header(REPLY_TO), Some("c-1"))), expected("provider", true, &body));
    assert_eq!(outline(&query(&header(REPLY_TO), None)), expected("provider", true, &body[..1]));
    let body = [format!("2 {TYPE}acknowledgment")];
    assert_eq!(outline(&acknowledgment(&header(None))), expected("requester", false, &body));
}
