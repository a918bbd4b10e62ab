// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Messages that come.

use crate::circuits::{Id, Notice, Remote, Seen};
use crate::nsi::names::{HEADERS, P2P, SOAP, SOAP_12, TYPES};
use crate::request::{Rate, read_label};
use crate::time::At;
use crate::xml::element::{Bad, Element, Limits, parse};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// An end so many seconds after 1970, in the year 9892, is none.
const FAR_S: u64 = 250_000_000_000;

/// A message that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Odd {
    /// No XML, or beyond a bound.
    #[error("{0}")]
    Xml(#[from] Bad),
    /// No SOAP 1.1.
    #[error("no SOAP 1.1 envelope")]
    NoEnvelope,
    /// An element is missing.
    #[error("no `{0}`")]
    Missing(&'static str),
    /// An element says nothing we know.
    #[error("`{element}` is `{said}`")]
    Value {
        /// The element.
        element: &'static str,
        /// What it says.
        said: String,
    },
    /// A message we do not take.
    #[error("a message `{0}`")]
    Unknown(String),
}

/// The body of a message, and the correlation of its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `correlationId` of the header.
    pub correlation: Option<String>,
    /// What it is.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `acknowledgment`, or nothing.
    Acknowledged,
    /// `reserveResponse`, with the connection.
    Response(String),
    /// An answer: `reserveConfirmed` and others. The name, and the connection.
    Confirmed(String, String),
    /// `reserveFailed`, `reserveCommitFailed`: the connection, and why.
    Failed(String, String),
    /// `error`: why.
    Error(String),
    /// A SOAP fault: why.
    Fault(String),
    /// A notification.
    Notified(Notified),
    /// `messageDeliveryTimeout`: the correlation of the message that was not delivered.
    Undelivered(String),
    /// `querySummarySyncConfirmed`.
    Summary(Vec<Summary>),
}

/// What a provider told by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notified {
    /// Of which connection.
    pub connection: String,
    /// Its number. It should grow, but there are providers that give each the same.
    pub number: i64,
    /// When it was written, if that can be read.
    pub stamp: Option<Timestamp>,
    /// What.
    pub notice: Notice,
}

/// One reservation of a query result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which.
    pub connection: String,
    /// Its description.
    pub description: String,
    /// Version of its criteria, the newest.
    pub version: i64,
    /// Capacity, Mb/s.
    pub capacity: u64,
    /// Its end.
    pub until: Option<At>,
    /// How far it is.
    pub seen: Seen,
    /// Whether it is to be provisioned, as far as the provider is concerned.
    pub provisioned: bool,
}

impl Summary {
    /// As what providers of circuits have in common.
    pub fn remote(&self) -> Remote {
        let label = read_label(&self.description, self.capacity);
        let rate = label.as_ref().map_or(Rate::Unlimited, |(_, rate)| *rate);
        let (id, seen, until) = (Id(self.connection.clone()), self.seen, self.until);
        Remote { id, name: label.map(|(name, _)| name), seen, rate, until }
    }
}

/// Reads a message.
pub fn read(bytes: &[u8], limits: Limits) -> Result<Message, Odd> {
    let root = parse(bytes, limits)?;
    if root.space != SOAP || root.name != "Envelope" {
        return Err(Odd::NoEnvelope);
    }
    let soap = |name: &str| root.children.iter().find(|one| one.space == SOAP && one.name == name);
    let header = soap("Header").and_then(|header| {
        header.children.iter().find(|one| one.space == HEADERS && one.name == "nsiHeader")
    });
    let correlation = header.and_then(|header| header.text_of("correlationId")).map(str::to_owned);
    let body = soap("Body").ok_or(Odd::Missing("Body"))?;
    Ok(Message { correlation, body: content(body)? })
}

fn content(body: &Element) -> Result<Body, Odd> {
    let Some(element) = body.children.first() else { return Ok(Body::Acknowledged) };
    if [SOAP, SOAP_12].contains(&element.space.as_str()) && element.name == "Fault" {
        return Ok(Body::Fault(fault(element)));
    }
    if element.space != TYPES {
        return Err(Odd::Unknown(format!("{{{}}}{}", element.space, element.name)));
    }
    let connection = || Ok::<_, Odd>(text(element, "connectionId")?.to_owned());
    let exception = || exception(element.child("serviceException"));
    Ok(match element.name.as_str() {
        "acknowledgment" => Body::Acknowledged,
        "reserveResponse" => Body::Response(connection()?),
        "reserveConfirmed"
        | "reserveCommitConfirmed"
        | "reserveAbortConfirmed"
        | "provisionConfirmed"
        | "releaseConfirmed"
        | "terminateConfirmed" => Body::Confirmed(element.name.clone(), connection()?),
        "reserveFailed" | "reserveCommitFailed" => Body::Failed(connection()?, exception()),
        "error" => Body::Error(exception()),
        "errorEvent" => {
            let event = text(element, "event")?;
            let said = format!("{event}: {}", exception());
            let notice = match event {
                "forcedEnd" => Notice::Ended(said),
                "activateFailed" | "dataplaneError" | "deactivateFailed" => Notice::Error(said),
                other => return Err(Odd::Value { element: "event", said: other.to_owned() }),
            };
            notified(element, notice)?
        }
        "reserveTimeout" => notified(element, Notice::HoldExpired)?,
        "dataPlaneStateChange" => {
            let status = element.child("dataPlaneStatus").ok_or(Odd::Missing("dataPlaneStatus"))?;
            let notice = if flag(status, "active")? { Notice::Active } else { Notice::Inactive };
            notified(element, notice)?
        }
        "messageDeliveryTimeout" => Body::Undelivered(text(element, "correlationId")?.to_owned()),
        "querySummarySyncConfirmed" => {
            Body::Summary(element.all("reservation").map(summary).collect::<Result<_, _>>()?)
        }
        other => return Err(Odd::Unknown(other.to_owned())),
    })
}

fn notified(element: &Element, notice: Notice) -> Result<Body, Odd> {
    Ok(Body::Notified(Notified {
        connection: text(element, "connectionId")?.to_owned(),
        number: number(element, "notificationId")?,
        stamp: element.text_of("timeStamp").and_then(|said| said.parse().ok()),
        notice,
    }))
}

fn text<'a>(element: &'a Element, name: &'static str) -> Result<&'a str, Odd> {
    element.text_of(name).filter(|text| !text.is_empty()).ok_or(Odd::Missing(name))
}

fn number(element: &Element, name: &'static str) -> Result<i64, Odd> {
    let said = text(element, name)?;
    said.parse().map_err(|_| Odd::Value { element: name, said: said.to_owned() })
}

fn flag(element: &Element, name: &'static str) -> Result<bool, Odd> {
    match text(element, name)? {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        said => Err(Odd::Value { element: name, said: said.to_owned() }),
    }
}

/// Who says what: `nsaId: errorId text`, those below it in brackets.
fn exception(exception: Option<&Element>) -> String {
    let Some(exception) = exception else { return "no reason given".to_owned() };
    let part = |name| exception.text_of(name).unwrap_or_default();
    let mut said = format!("{}: {} {}", part("nsaId"), part("errorId"), part("text"));
    for child in exception.all("childException") {
        said.push_str(&format!(" [{}]", self::exception(Some(child))));
    }
    said
}

fn fault(fault: &Element) -> String {
    let detail = fault.child("detail").or_else(|| fault.child("Detail"));
    // Of a query that fails it is inside the `error` that would have been its answer.
    let detail = detail.and_then(|detail| {
        let inner = || detail.children.iter().find_map(|one| one.child("serviceException"));
        detail.child("serviceException").or_else(inner)
    });
    let reason = || fault.child("Reason").and_then(|reason| reason.text_of("Text"));
    match (fault.text_of("faultstring").or_else(reason), detail) {
        (Some(text), Some(detail)) => format!("{text}; {}", exception(Some(detail))),
        (None, Some(detail)) => exception(Some(detail)),
        (text, None) => text.unwrap_or("a fault without a text").to_owned(),
    }
}

fn summary(element: &Element) -> Result<Summary, Odd> {
    let none = Element::default();
    let states = element.child("connectionStates").unwrap_or(&none);
    let version =
        |one: &&Element| one.attribute("version").and_then(|text| text.parse::<i64>().ok());
    let criteria = element.all("criteria").max_by_key(version);
    let p2ps = criteria.and_then(|criteria| {
        criteria.children.iter().find(|one| one.space == P2P && one.name == "p2ps")
    });
    let capacity = p2ps.and_then(|p2ps| p2ps.text_of("capacity")).map_or(Ok(0), |said| {
        said.parse().map_err(|_| Odd::Value { element: "capacity", said: said.to_owned() })
    })?;
    let schedule = criteria.and_then(|criteria| criteria.child("schedule"));
    let end = schedule.and_then(|schedule| schedule.child("endTime")).filter(|end| !end.is_nil());
    let said = end.map(|end| end.text.trim()).filter(|said| !said.is_empty());
    let until = said.map(time).transpose()?.flatten();
    Ok(Summary {
        connection: text(element, "connectionId")?.to_owned(),
        description: element.text_of("description").unwrap_or_default().to_owned(),
        version: criteria.as_ref().and_then(version).unwrap_or(0),
        capacity,
        until,
        seen: seen(states, criteria.is_some()),
        provisioned: matches!(
            states.text_of("provisionState"),
            Some("Provisioned" | "Provisioning")
        ),
    })
}

/// An end. Without a time zone it is taken for UTC, which the protocol has its times in; the last day
/// of all has no instant in every zone.
fn time(said: &str) -> Result<Option<At>, Odd> {
    if let Ok(stamp) = said.parse::<Timestamp>() {
        return Ok(end(stamp.as_second(), stamp.subsec_nanosecond()));
    }
    let odd = |_| Odd::Value { element: "endTime", said: said.to_owned() };
    let civil: DateTime = said.strip_suffix('Z').unwrap_or(said).parse().map_err(odd)?;
    let stamp = TimeZone::UTC.to_timestamp(civil).ok();
    Ok(stamp.and_then(|stamp| end(stamp.as_second(), stamp.subsec_nanosecond())))
}

/// An end, of seconds and nanoseconds since 1970. At the beginning of time, or far beyond any, it is
/// how some say that there is none.
pub(crate) fn end(seconds: i64, nanos: i32) -> Option<At> {
    let whole = u64::try_from(seconds).ok().filter(|whole| (1..FAR_S).contains(whole))?;
    Some(At(whole * 1000 + u64::try_from(nanos / 1_000_000).ok()?))
}

fn seen(states: &Element, criteria: bool) -> Seen {
    let status = states.child("dataPlaneStatus");
    let active = status.is_some_and(|status| flag(status, "active") == Ok(true));
    let state = |name| states.text_of(name).unwrap_or_default();
    let (reservation, provision) = (state("reservationState"), state("provisionState"));
    progress(reservation, provision, state("lifecycleState"), active, criteria)
}

/// How far a reservation in these states is; `criteria` says whether it has any yet. A word not known
/// says nothing: one odd reservation must not hide all others of a list.
pub(crate) fn progress(
    reservation: &str,
    provision: &str,
    lifecycle: &str,
    active: bool,
    criteria: bool,
) -> Seen {
    match lifecycle {
        "Failed" | "PassedEndTime" => return Seen::Failed,
        "Terminating" | "Terminated" => return Seen::Gone,
        _ => {}
    }
    // Whatever a change of the reservation came to, what is provisioned stays so.
    match provision {
        "Provisioned" | "Provisioning" if !active => return Seen::Provisioned,
        "Released" | "Releasing" => {}
        _ if active => return Seen::Up,
        _ => {}
    }
    match reservation {
        "ReserveStart" if criteria => Seen::Committed,
        // The second is how OpenNSA spells it.
        "ReserveHeld" | "ReserveComitting" | "ReserveCommitting" => Seen::Held,
        "ReserveFailed" | "ReserveAborting" | "ReserveTimeout" => Seen::Failed,
        _ => Seen::Requested,
    }
}
