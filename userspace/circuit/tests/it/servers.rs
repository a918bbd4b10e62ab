// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What independent providers of NSI send, where they write it otherwise than the schemas have it or
//! otherwise than one another.

use telesteer_circuit::circuits::Seen;
use telesteer_circuit::nsi::reply::{Body, Summary, read};
use telesteer_circuit::xml::element::Limits;

const TYPES: &str = "http://schemas.ogf.org/nsi/2013/12/connection/types";

/// A message with this body; `t` stands for the namespace of types, `s` for SOAP 1.1.
fn body(text: &str) -> Body {
    let text = format!(
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:t='{TYPES}'>\
         <s:Body>{text}</s:Body></s:Envelope>"
    );
    read(text.as_bytes(), Limits::default()).unwrap().body
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
