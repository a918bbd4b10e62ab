// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What independent providers of NSI send, where they write it otherwise than the schemas have it or
//! otherwise than one another.

use crate::nsi_mock::Mock;
use std::sync::Arc;
use telesteer_circuit::circuits::{Circuits, Id, Seen};
use telesteer_circuit::error::Why;
use telesteer_circuit::nsi::client::Nsi;
use telesteer_circuit::nsi::reply::{Body, Summary, read};
use telesteer_circuit::time::At;
use telesteer_circuit::xml::element::Limits;

const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
const TYPES: &str = "http://schemas.ogf.org/nsi/2013/12/connection/types";

/// A message with this body; `t` stands for the namespace of types, `s` for SOAP 1.1.
fn envelope(body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:t='{TYPES}'>\
         <s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn body(text: &str) -> Body {
    read(envelope(text).as_bytes(), Limits::default()).unwrap().body
}

fn reservation(id: &str, schedule: &str, states: &str) -> String {
    format!(
        "<reservation><connectionId>{id}</connectionId><criteria version='1'>{schedule}</criteria>\
         <requesterNSA>urn:us</requesterNSA>{states}</reservation>"
    )
}

fn summaries(reservations: &str) -> Vec<Summary> {
    match body(&format!(
        "<t:querySummarySyncConfirmed>{reservations}</t:querySummarySyncConfirmed>"
    )) {
        Body::Summary(all) => all,
        other => panic!("{other:?}"),
    }
}

fn states(reservation: &str, provision: &str, lifecycle: &str, active: &str) -> String {
    format!(
        "<connectionStates><reservationState>{reservation}</reservationState>\
         <provisionState>{provision}</provisionState><lifecycleState>{lifecycle}</lifecycleState>\
         <dataPlaneStatus><active>{active}</active></dataPlaneStatus></connectionStates>"
    )
}

#[test]
fn odd_states_hide_no_other_reservation() {
    let all = [
        (states("ReserveComitting", "Released", "Created", "false"), Seen::Held),
        (states("ReserveCommitting", "Released", "Created", "false"), Seen::Held),
        (states("ReserveStart", "", "Created", "false"), Seen::Committed),
        (states("ReserveStart", "", "Created", "true"), Seen::Up),
        (states("ReserveStart", "Released", "Created", "true"), Seen::Committed),
        (states("Reserved", "Released", "Initial", "maybe"), Seen::Requested),
        (states("Reserved", "Provisioned", "Created", "1"), Seen::Up),
        (String::new(), Seen::Requested),
        ("<connectionStates/>".into(), Seen::Requested),
    ];
    let text: String = all.iter().map(|(states, _)| reservation("c", "", states)).collect();
    let seen: Vec<Seen> = summaries(&text).iter().map(|one| one.seen).collect();
    assert_eq!(seen, all.map(|(_, seen)| seen));
}

#[test]
fn ends_in_all_their_forms() {
    let ends = [
        ("", None),
        ("<endTime xsi:nil='true' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'/>", None),
        ("<endTime/>", None),
        ("<endTime>1970-01-01T00:00:00Z</endTime>", None),
        ("<endTime>9999-12-31T23:59:59.999999Z</endTime>", None),
        ("<endTime>9999-12-31T23:59:59.999999</endTime>", None),
        ("<endTime>2026-03-01T10:00:00Z</endTime>", Some(1_772_359_200_000)),
        ("<endTime> 2026-03-01T12:30:00.25+02:30 </endTime>", Some(1_772_359_200_250)),
        ("<endTime>2026-03-01T10:00:00.000000</endTime>", Some(1_772_359_200_000)),
    ];
    for (end, until) in ends {
        let schedule = format!("<schedule>{end}</schedule>");
        let one = summaries(&reservation("c", &schedule, "")).remove(0);
        assert_eq!(one.until, until.map(At), "{end}");
    }
}

const EXCEPTION: &str =
    "<nsaId>urn:them</nsaId><errorId>00203</errorId><text>no such connection</text>";

#[test]
fn faults_say_why_wherever_they_have_it() {
    let said = "not so; urn:them: 00203 no such connection";
    let text = "<faultcode>s:Server</faultcode><faultstring>not so</faultstring>";
    let exception = format!("<t:serviceException>{EXCEPTION}</t:serviceException>");
    let error = format!("<t:error><serviceException>{EXCEPTION}</serviceException></t:error>");
    let faults = [
        format!("<s:Fault>{text}<detail>{exception}</detail></s:Fault>"),
        format!("<s:Fault>{text}<detail>{error}</detail></s:Fault>"),
        format!("<f:Fault xmlns:f='{SOAP_12}'>{text}<detail>{exception}</detail></f:Fault>"),
        format!(
            "<f:Fault xmlns:f='{SOAP_12}'><f:Code><f:Value>f:Receiver</f:Value></f:Code>\
             <f:Reason><f:Text xml:lang='en'>not so</f:Text></f:Reason>\
             <f:Detail>{exception}</f:Detail></f:Fault>"
        ),
    ];
    for fault in faults {
        assert_eq!(body(&fault), Body::Fault(said.into()), "{fault}");
    }
}

/// One that says no at once, with success, to whatever it is asked.
#[tokio::test]
async fn refusals_at_once_are_refusals() {
    let error = format!("<t:error><serviceException>{EXCEPTION}</serviceException></t:error>");
    let fault = format!("<f:Fault xmlns:f='{SOAP_12}'><faultstring>not so</faultstring></f:Fault>");
    for (text, said) in [(error, "urn:them: 00203 no such connection"), (fault, "not so")] {
        let text = envelope(&text);
        let here = crate::plain::serve("text/xml", move |_| Some((200, text.clone())));
        let mut settings = crate::nsi::settings(&Mock::start());
        settings.provider_url = format!("http://{here}/");
        let nsi = Nsi::start(settings, Arc::default()).await.unwrap();
        let errors =
            [nsi.provision(&Id("c".into())).await.unwrap_err(), nsi.list().await.unwrap_err()];
        for error in errors {
            assert_eq!(error.why, Why::Refused(said.into()));
        }
    }
}
